//! Processes of a peer are killed while clients work: it comes back by itself, keeps what it promised, and never says two things.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ipc::Role;
use peer_tests::chain::{Cells, Witness, own_order, replay};
use peer_tests::files::Files;
use peer_tests::honest::{self, Told};
use peer_tests::running::{
    self, PATIENCE, Running, connect, kill, pids, recovered, status, worker,
};
use peer_tests::users::{self, Genesis};

/// Clients that work at a time.
const CLIENTS: usize = 4;
/// Seed of the choice of whom to kill.
const SEED: u64 = 0x5eed_c0de;
/// Kills of a normal run and of a long one.
const KILLS: (usize, usize) = (20, 330);
/// Transactions that must succeed between two kills.
const BETWEEN: usize = 8;
/// How long a restart of one worker may take on an idle peer.
const RESTART: Duration = Duration::from_secs(2);

/// Numbers that look random and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn is_long() -> bool {
    std::env::var_os("CONVEXD_LONG").is_some_and(|value| value == "1")
}

/// Waits for so many successes.
fn progress(events: &Receiver<()>, files: &Files, count: usize) {
    // What happened before counts for nothing.
    while events.try_recv().is_ok() {}
    for _ in 0..count {
        if events.recv_timeout(PATIENCE).is_err() {
            panic!("nothing gets done:\n{}", running::log_of(files));
        }
    }
}

fn observe(endpoint: &str, cells: &Cells, witness: &mut Witness) {
    let Ok(mut client) = client::Client::connect(endpoint, Duration::from_secs(5)) else {
        return;
    };
    if let Ok(Some(order)) = own_order(&mut client, cells) {
        witness.see(order);
    }
}

#[test]
fn killed_processes_come_back_and_nothing_that_was_acknowledged_is_lost_or_done_twice() {
    let mut genesis = users::fresh();
    let files = Files::temporary(&mut genesis).expect("files");
    let (mut peer, _) = Running::start(&files, &[]).expect("a peer");
    let kills = if is_long() { KILLS.1 } else { KILLS.0 };
    let (stop, succeeded) = (AtomicBool::new(false), AtomicUsize::new(0));
    let cells = Cells::default();
    let mut witness = Witness::default();
    let mut killed: HashMap<&str, usize> = HashMap::new();
    let mut slowest = Duration::ZERO;
    let (sender, events) = channel();
    let told: Vec<Told> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|user| {
                let (users, sender, files) = (genesis.users.clone(), sender.clone(), &files);
                let (stop, succeeded) = (&stop, &succeeded);
                scope.spawn(move || {
                    honest::work(&files.endpoint(), &users, user, stop, succeeded, &sender)
                })
            })
            .collect();
        // Whatever ends this closure lets the clients end too.
        let stopping = Stop(&stop);
        let mut chance = Chance(SEED);
        for n in 0..kills {
            progress(&events, &files, BETWEEN);
            observe(&files.endpoint(), &cells, &mut witness);
            let now = status(&files);
            // Each once in turn, then anybody; the supervisor is one of five.
            let turn = if n < 5 { n as u64 } else { chance.below(5) };
            // Just when is chance too: after up to a hundred further successes.
            for _ in 0..chance.below(100) {
                let _ = events.recv_timeout(PATIENCE);
            }
            let began = Instant::now();
            if let Some(role) = Role::WORKERS.get(turn as usize) {
                let pid = worker(&now, *role).expect("a running worker");
                assert!(kill(pid), "{} runs", role.name());
                recovered(&files, *role, pid);
                *killed.entry(role.name()).or_default() += 1;
            } else {
                // As systemd does it: the next one starts when the last one is gone.
                let workers = pids(&now);
                peer.kill(&workers);
                peer = Running::start(&files, &[]).expect("a peer").0;
                *killed.entry("supervisor").or_default() += 1;
            }
            slowest = slowest.max(began.elapsed());
        }
        progress(&events, &files, BETWEEN);
        drop(stopping);
        clients
            .into_iter()
            .map(|client| client.join().expect("a client"))
            .collect()
    });
    observe(&files.endpoint(), &cells, &mut witness);
    println!(
        "{killed:?}, {} successes, {} unclear, {} orders seen, slowest recovery {slowest:?}",
        succeeded.load(Ordering::Relaxed),
        told.iter().map(|told| told.unclear).sum::<usize>(),
        witness.count()
    );
    if is_long() {
        assert!(killed.values().all(|count| *count >= 40), "{killed:?}");
    }
    assert!(
        witness.count() > kills / 2,
        "{} orders seen",
        witness.count()
    );
    witness.check();
    verify(&mut genesis, &files, &cells, &told);
    assert!(peer.stop().is_some_and(|status| status.success()));
}

/// Sets a flag when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Replays the chain and compares it with what the clients were told and with the state of the peer.
fn verify(genesis: &mut Genesis, files: &Files, cells: &Cells, told: &[Told]) {
    let mut client = connect(files);
    let began = Instant::now();
    let (replayed, state) = loop {
        let order = own_order(&mut client, cells)
            .expect("an answer")
            .expect("an order");
        let state = client.status().expect("a status").state;
        let replayed = replay(&genesis.state.to_cell().expect("in memory"), &order);
        // Blocks of the last moment may still be on their way to finality.
        if replayed.state == state || began.elapsed() > PATIENCE {
            break (replayed, state);
        }
    };
    assert_eq!(
        replayed.state, state,
        "an undisturbed replay leads to the same state"
    );
    assert_eq!(replayed.invalid, 0, "no block is without effect");
    for hash in told
        .iter()
        .flat_map(|told| told.acknowledged.iter().chain(&told.inferred))
    {
        let (_, succeeded) = replayed.transactions.get(hash).copied().unwrap_or_default();
        assert_eq!(succeeded, 1, "{hash} was executed once");
    }
    for (user, told) in told.iter().enumerate() {
        let executed =
            honest::sequence(&mut client, genesis.users.address(user)).expect("an answer");
        let noted = told.acknowledged.len() + told.inferred.len();
        let executed = executed
            .and_then(|n| usize::try_from(n).ok())
            .expect("a number");
        // The last one may have been under way when the client stopped.
        assert!(
            executed == noted || executed == noted + 1,
            "{executed} executed, {noted} noted"
        );
    }
}

#[test]
fn a_killed_worker_of_an_idle_peer_is_back_within_two_seconds() {
    let mut genesis = users::fresh();
    let files = Files::temporary(&mut genesis).expect("files");
    let (peer, _) = Running::start(&files, &[]).expect("a peer");
    let mut client = connect(&files);
    let reply = client
        .transact(genesis.users.transfer(0, 1))
        .expect("a result");
    assert_eq!(reply.error, cells::Cell::Nil);
    for (n, role) in Role::WORKERS.into_iter().enumerate() {
        let pid = worker(&status(&files), role).expect("a running worker");
        let began = Instant::now();
        assert!(kill(pid));
        recovered(&files, role, pid);
        let running = began.elapsed();
        // The proof that it works again.
        let mut client = connect(&files);
        let reply = client
            .transact(genesis.users.transfer(1, n as i64 + 1))
            .expect("a result");
        assert_eq!(reply.error, cells::Cell::Nil, "{:?}", reply.value);
        let took = began.elapsed();
        println!(
            "{}: running after {running:?}, a transaction done after {took:?}",
            role.name()
        );
        assert!(took < RESTART, "{} took {took:?}", role.name());
    }
    assert!(peer.stop().is_some_and(|status| status.success()));
}
