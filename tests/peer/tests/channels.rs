//! Channels between workers that live: one that an end gives up is made anew, with the next number, and the peer goes on.

use std::time::Instant;

use cells::Cell;
use ipc::Role;
use ipc::control::Phase;
use peer_tests::files::Files;
use peer_tests::running::{self, PATIENCE, Running, connect, kill, status, worker};
use peer_tests::users;
use rustix::process::Signal;

/// What the supervisor logs of a channel that it makes again although both ends live.
const ANEW: &str = "the channel Key is made anew, number ";

/// Waits until the channel was made anew.
fn made_anew(files: &Files) {
    let began = Instant::now();
    while !running::log_of(files).contains(ANEW) {
        let log = running::log_of(files);
        assert!(began.elapsed() < PATIENCE, "it was not:\n{log}");
        // Who stands still lets everybody wait who asks for the status.
        let _ = status(files);
    }
}

/// `keyd` stands still while a new `consensusd` greets it, which after a while gives the channel up. Both live, so nobody but the supervisor
/// can bring them together again.
#[test]
fn a_channel_that_one_end_gives_up_is_made_anew_and_the_peer_goes_on() {
    let mut genesis = users::fresh();
    let files = Files::temporary(&mut genesis).expect("files");
    // Who stands still does not answer either, and would be killed for it.
    let arguments = ["--set", "supervisor.heartbeat=\"10 min\""];
    let (peer, _) = Running::start(&files, &arguments).expect("a peer");
    let transacts = |sequence| {
        let reply = connect(&files).transact(genesis.users.transfer(0, sequence));
        let reply = reply.expect("a result");
        assert_eq!(reply.error, Cell::Nil, "{:?}", reply.value);
    };
    transacts(1);
    let before = status(&files);
    let keyd = worker(&before, Role::Keyd).expect("keyd");
    let consensusd = worker(&before, Role::Consensusd).expect("consensusd");
    let others = [Role::Stored, Role::Netd].map(|role| worker(&before, role));

    assert!(running::signal(keyd, Signal::STOP));
    assert!(kill(consensusd));
    // The second making of the channel, for the new process, is in vain.
    made_anew(&files);
    assert!(running::signal(keyd, Signal::CONT));

    let began = Instant::now();
    let after = loop {
        let now = status(&files);
        let signing = now.consensus.as_ref().is_some_and(|c| c.signing);
        if now.phase == Phase::Running && signing {
            break now;
        }
        assert!(began.elapsed() < PATIENCE, "{}", running::log_of(&files));
        std::thread::yield_now();
    };
    transacts(2);
    assert_eq!(
        worker(&after, Role::Keyd),
        Some(keyd),
        "it was not restarted"
    );
    assert_eq!(
        [Role::Stored, Role::Netd].map(|role| worker(&after, role)),
        others
    );
    let restarts: u32 = after.workers.iter().map(|worker| worker.restarts).sum();
    assert_eq!(restarts, 1, "only consensusd was");
    // Every making had the next number: the supervisor says which.
    let log = running::log_of(&files);
    let numbers: Vec<u32> = log
        .lines()
        .filter_map(|line| line.split_once(ANEW))
        .map(|(_, number)| number.trim().parse().expect("a number"))
        .collect();
    for (i, number) in numbers.iter().enumerate() {
        // The first and the second were made for the two processes.
        assert_eq!(*number, 3 + i as u32, "{numbers:?}");
    }
    assert!(peer.stop().is_some_and(|status| status.success()));
}
