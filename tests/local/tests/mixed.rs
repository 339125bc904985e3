//! Our peers and peers of the reference (0.8.0, with work that it executes like 0.8.5) in one network: they agree on order and state, whoever
//! takes in the transactions and whoever is killed and comes back: ours with its store, one of theirs only by joining anew, since it can't use
//! the store of one that was killed. The state names the hosts of all, so that each finds the others by it.

use std::time::{Duration, Instant};

use ipc::Role;
use local_networks::{Mixed, Tally};

/// Rounds of the test with kills.
const ROUNDS: usize = 9;

/// A peer of the reference that came back and does not move for so long will not move.
const STANDSTILL: Duration = Duration::from_secs(15);

/// Transactions at each peer in a round with kills.
fn at_each() -> usize {
    let long = std::env::var_os("CONVEXD_LONG").is_some_and(|value| value == "1");
    let total = if long { 10_000 } else { 1_000 };
    usize::div_ceil(total, ROUNDS * 4)
}

/// All have the same state and order after a round, and those that nothing was done to executed all that they were sent.
fn settle(mixed: &mut Mixed, tallies: &[(usize, Tally)], victim: Option<usize>, what: &str) {
    for (peer, tally) in tallies {
        let excused = Some(*peer) == victim;
        assert!(
            excused || tally.is_clean(),
            "{what}: peer {peer}: {tally:?}"
        );
    }
    let (blocks, took) = agree_in_all(mixed);
    let unclear = mixed.settle();
    let victim = tallies.iter().find(|(peer, _)| Some(*peer) == victim);
    println!(
        "{what}: {blocks} blocks, all agree {took:?} after the last answer; accounts with an unclear outcome: {unclear}{}",
        victim.map_or(String::new(), |(_, tally)| format!(", there {tally}"))
    );
}

/// Waits until all have the same order and have executed all of it: what nobody waits for any more may still become a block.
fn agree_in_all(mixed: &mut Mixed) -> (u64, Duration) {
    let mut least = 1;
    for _ in 0..8 {
        let (blocks, took) = mixed.agree(least);
        let ordered = mixed.same_order();
        if ordered == blocks {
            return (blocks, took);
        }
        assert!(
            ordered > blocks,
            "{ordered} blocks of {blocks} executed ones"
        );
        least = ordered;
    }
    panic!("blocks keep coming, though all is answered");
}

fn calm(mixed: &mut Mixed, each: usize, what: &str) {
    let tallies = mixed.round(each, |_, _| {});
    settle(mixed, &tallies, None, what);
}

#[test]
fn two_of_each_kind_agree_while_each_kind_is_killed_and_comes_back() {
    let began = Instant::now();
    let Some(mut mixed) = Mixed::start(&[31, 24], &[26, 22]) else {
        return;
    };
    println!("started after {:?}", began.elapsed());
    let each = at_each();
    calm(&mut mixed, each, "nobody is killed");
    let tallies = mixed.round(each, |mixed, answers| {
        mixed.look_on(answers, each / 16);
        mixed.network.kill(1);
        mixed.look_on(answers, each);
        mixed.network.restart(1);
    });
    settle(&mut mixed, &tallies, Some(1), "one of ours is killed");
    for role in Role::WORKERS {
        let tallies = mixed.round(each, |mixed, answers| {
            mixed.look_on(answers, each / 16);
            mixed.network.kill_worker(0, role);
        });
        let what = format!("{} of one of ours is killed", role.name());
        settle(&mut mixed, &tallies, Some(0), &what);
    }
    let tallies = mixed.round(each, |mixed, answers| {
        mixed.look_on(answers, each / 16);
        mixed.theirs[1].stop();
        mixed.look_on(answers, each);
        assert!(mixed.theirs[1].resume());
    });
    if mixed.catch_up_or_join(1, STANDSTILL) {
        println!("the peer that came back stood still, and joined anew");
    }
    settle(&mut mixed, &tallies, Some(3), "one of theirs is stopped");
    let tallies = mixed.round(each, |mixed, answers| {
        mixed.look_on(answers, each / 16);
        mixed.theirs[1].kill();
        mixed.look_on(answers, each);
        let source = mixed.network.endpoint(0);
        assert!(mixed.theirs[1].join(&source));
    });
    settle(&mut mixed, &tallies, Some(3), "one of theirs is killed");
    calm(&mut mixed, each, "all are back");
    mixed.verify();
    let (looks, places) = mixed.looked();
    println!(
        "{} transactions, {looks} states compared at {places} places, {:?}",
        ROUNDS * 4 * each,
        began.elapsed()
    );
}

#[test]
fn ours_joins_a_network_of_the_reference_with_nothing_but_key_network_and_hosts() {
    let mut mixed = Mixed::new(&[25], &[45, 35]);
    for theirs in 0..2 {
        if !mixed.start_theirs(theirs) {
            return;
        }
    }
    for _ in 0..3 {
        calm(&mut mixed, 20, "before it joins");
    }
    let (blocks, _) = mixed.agree(1);
    mixed.network.forget_genesis(0);
    let started = mixed.network.restart(0);
    let (joined, took) = mixed.agree(blocks);
    println!("joined {took:?} after its start, which took {started:?}");
    assert_eq!(joined, blocks);
    calm(&mut mixed, 20, "after it joined");
    mixed.verify();
}

#[test]
fn a_peer_of_the_reference_joins_ours() {
    let mut mixed = Mixed::new(&[45, 35], &[25]);
    for peer in 0..2 {
        mixed.network.restart(peer);
    }
    for _ in 0..3 {
        calm(&mut mixed, 20, "before it joins");
    }
    let (blocks, _) = mixed.agree(1);
    let source = mixed.network.endpoint(0);
    let began = Instant::now();
    if !mixed.theirs[0].join(&source) {
        return;
    }
    let (joined, took) = mixed.agree(blocks);
    println!(
        "joined {took:?} after its start, {:?} in all",
        began.elapsed()
    );
    assert_eq!(joined, blocks);
    calm(&mut mixed, 20, "after it joined");
    mixed.verify();
}
