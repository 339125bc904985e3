//! Seven peers in network namespaces, with latency and loss between them, fall apart and heal: the minority answers `:NETWORK`, the majority
//! goes on, and afterwards all agree.

use std::time::{Duration, Instant};

use cells::Cell;
use fabric::Conditions;
use local_networks::Parted;
use wire::Code;

const PEERS: usize = 7;
const WINDOW: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(60);

/// A transfer that succeeds.
fn transfer(parted: &mut Parted, peer: usize) -> Duration {
    let (reply, took) = parted.transfer(peer, PATIENCE).expect("an answer");
    assert_eq!(reply.error, Cell::Nil, "{:?}", reply.value);
    took
}

/// A transfer right after healing. A peer that has heard from a quorum may lose it once more before all of its connections are back: it
/// says `:NETWORK` then, and the client tries again.
fn transfer_in_the_end(parted: &mut Parted, peer: usize) -> Duration {
    let began = Instant::now();
    for _ in 0..3 {
        let (reply, _) = parted.transfer(peer, PATIENCE).expect("an answer");
        if reply.error != Cell::from(Code::Network) {
            assert_eq!(reply.error, Cell::Nil, "{:?}", reply.value);
            return began.elapsed();
        }
        println!("peer {peer} is cut off once more");
        parted.take_back();
        parted.wait_until_cut_off(&[]);
    }
    panic!("peer {peer} does not stay connected");
}

/// A transfer that is answered by an error, and was not executed.
fn refused(parted: &mut Parted, peer: usize, code: Code) -> Duration {
    let (reply, took) = parted.transfer(peer, PATIENCE).expect("an answer");
    assert_eq!(reply.error, Cell::from(code), "{:?}", reply.value);
    parted.take_back();
    took
}

/// Falls apart, with these peers away from the others, goes on for a while, and heals.
fn falls_apart_and_heals(parted: &mut Parted, away: &[usize], waiting: bool) {
    let others: Vec<usize> = (0..PEERS).filter(|peer| !away.contains(peer)).collect();
    let (before, _) = parted.network().agree(0);
    parted.fabric().part(away);
    let unknown = waiting.then(|| {
        // One that comes before the minority knows how it is: it goes into a block, which waits.
        refused(parted, away[0], Code::Timeout)
    });
    let noticed = parted.wait_until_cut_off(away);
    let mut slowest = [Duration::ZERO; 2];
    for peer in &others {
        slowest[0] = slowest[0].max(transfer(parted, *peer));
    }
    for peer in away {
        slowest[1] = slowest[1].max(refused(parted, *peer, Code::Network));
    }
    let executed = before.executed + others.len() as u64;
    for peer in away {
        let there = parted.network().standing(*peer).map(|s| s.executed);
        assert_eq!(there, Some(before.executed), "the minority stands still");
    }
    parted.fabric().heal();
    let healed = parted.wait_until_cut_off(&[]);
    let (after, agreed) = parted.network().agree(executed);
    let again = transfer_in_the_end(parted, away[0]);
    println!(
        "{away:?} away: client answered after {unknown:?}, noticed after {noticed:?}; slowest final at the majority {:?}, slowest refusal {:?}; connected {healed:?} after healing, agreed {agreed:?} later on {} blocks; then final in {again:?}",
        slowest[0], slowest[1], after.executed
    );
    assert!(
        slowest[1] < Duration::from_secs(10),
        "refusals wait for nothing"
    );
    parted.network().agree(after.executed + 1);
}

#[test]
fn seven_peers_in_namespaces_fall_apart_and_heal() {
    let long = std::env::var_os("CONVEXD_LONG").is_some_and(|value| value == "1");
    let conditions = Conditions {
        delay: (Duration::from_millis(2), Duration::from_millis(15)),
        loss: 10,
    };
    let Some(mut parted) = Parted::start(PEERS, WINDOW, conditions, 7) else {
        return;
    };
    let watch = parted.watch();
    parted.wait_until_cut_off(&[]);
    // Without a block of its own, a peer weighs next to nothing (`spec/05 §3.1`).
    let slowest = (0..PEERS).map(|peer| transfer(&mut parted, peer)).max();
    println!("slowest of the first {PEERS}: {slowest:?}");
    parted.network().agree(PEERS as u64);
    falls_apart_and_heals(&mut parted, &[1, 5], true);
    if long {
        for away in [&[0][..], &[2, 6], &[3], &[0, 4]] {
            falls_apart_and_heals(&mut parted, away, away.len() == 1);
        }
        // Nobody has a majority.
        parted.fabric().part(&[0, 1, 2]);
        let all: Vec<usize> = (0..PEERS).collect();
        parted.wait_until_cut_off(&all);
        for peer in all {
            refused(&mut parted, peer, Code::Network);
        }
        parted.fabric().heal();
        parted.wait_until_cut_off(&[]);
        transfer_in_the_end(&mut parted, 3);
    }
    let (all, _) = parted.network().agree(0);
    let seen = watch.end();
    let counts = parted.fabric().counts();
    println!("{} blocks, {seen:?}, {counts:?}", all.executed);
    assert!(seen.compared > 2 && counts.lost > 0 && counts.cut > 0);
}
