//! Clients that flood, stall and send garbage, beside honest ones, who go on being served.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use cells::{Cell, Signed};
use crypto::Signature;
use ipc::Role;
use peer_tests::files::Files;
use peer_tests::honest::{self, Told};
use peer_tests::running::{self, PATIENCE, Running, connect, status};
use peer_tests::users::{self, Users};
use wire::Message;

/// Honest clients.
const HONEST: usize = 3;
/// Transactions that they get done while everything goes on.
const DONE: usize = 300;
/// How long an honest transaction may take at worst. The attackers run on the same processors as the peer and the tests.
const WORST: Duration = Duration::from_secs(20);
/// Half of the honest transactions are done within this time.
const USUAL: Duration = Duration::from_secs(5);
/// Connections that are kept in the middle of a frame.
const HALF_OPEN: usize = 300;
/// Lengths that no frame may have.
const LENGTHS: [&[u8]; 5] = [
    &[0xff, 0xff, 0xff, 0xff, 0x7f],
    &[0x97, 0xeb, 0xe1, 0x01],
    &[0x80, 0x0a],
    &[0x90, 0x80, 0x80, 0x80, 0x0a],
    &[0xff; 64],
];

type Attack = fn(&Files, &Users, &AtomicBool);

const ATTACKS: [(&str, Attack); 5] = [
    ("lengths that no frame may have", lengths),
    ("garbage", garbage),
    ("wrong signatures", signatures),
    ("replies that are not read", unread),
    ("connections and nothing else", connections),
];

fn open(files: &Files) -> Option<TcpStream> {
    let stream = TcpStream::connect(files.endpoint()).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    stream
        .set_write_timeout(Some(Duration::from_secs(1)))
        .ok()?;
    Some(stream)
}

/// Reads until the other side closes; false when it does not in time.
fn ends(stream: &mut TcpStream) -> bool {
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            }
        }
    }
}

fn lengths(files: &Files, _: &Users, stop: &AtomicBool) {
    for bytes in LENGTHS.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut stream) = open(files) else {
            continue;
        };
        if stream.write_all(bytes).is_ok() {
            assert!(ends(&mut stream), "{} is waited for", hex::encode(bytes));
        }
    }
}

fn garbage(files: &Files, _: &Users, stop: &AtomicBool) {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    while !stop.load(Ordering::Relaxed) {
        let bytes: Vec<u8> = (0..4096)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        // As it is, and as frames of a good length.
        let frames: Vec<u8> = bytes
            .chunks(100)
            .filter_map(wire::frame)
            .flatten()
            .collect();
        for sent in [bytes, frames] {
            let Some(mut stream) = open(files) else {
                continue;
            };
            let _ = stream.write_all(&sent);
            let _ = stream.shutdown(Shutdown::Write);
            ends(&mut stream);
        }
    }
}

/// As many as the connection takes, and the answers are read.
fn signatures(files: &Files, users: &Users, stop: &AtomicBool) {
    let good = users.transfer(70, 1);
    let key = *good.key().expect("a key");
    let forged: Vec<u8> = (0..64u8)
        .flat_map(|n| {
            let mut bytes = good.signature().to_bytes();
            bytes[usize::from(n) % 32] ^= 1 << (n / 32 + 1);
            let value = good.value().expect("in memory");
            let message = Message::Transact {
                id: i64::from(n),
                transaction: Signed::new(key, Signature::new(bytes), value),
            };
            wire::frame(&message.encode().expect("in memory")).expect("a frame")
        })
        .collect();
    while !stop.load(Ordering::Relaxed) {
        let Some(mut stream) = open(files) else {
            continue;
        };
        let Ok(mut reader) = stream.try_clone() else {
            continue;
        };
        std::thread::scope(|scope| {
            scope.spawn(move || ends(&mut reader));
            while !stop.load(Ordering::Relaxed) && stream.write_all(&forged).is_ok() {}
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

fn unread(files: &Files, _: &Users, stop: &AtomicBool) {
    let frames: Vec<u8> = (0..256)
        .flat_map(|id| {
            let body = Message::Status { id }.encode().expect("in memory");
            wire::frame(&body).expect("a frame")
        })
        .collect();
    while !stop.load(Ordering::Relaxed) {
        let Some(mut stream) = open(files) else {
            continue;
        };
        while !stop.load(Ordering::Relaxed) && stream.write_all(&frames).is_ok() {}
    }
}

fn connections(files: &Files, _: &Users, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        drop(open(files));
    }
}

#[test]
fn floods_slow_connections_and_garbage_leave_honest_clients_served() {
    let mut genesis = users::fresh();
    let files = Files::temporary(&mut genesis).expect("files");
    let (peer, _) = Running::start(&files, &[]).expect("a peer");
    // The first byte of a frame of ten kilobytes, and no more.
    let half_open: Vec<TcpStream> = (0..HALF_OPEN)
        .map(|_| {
            let mut stream = open(&files).expect("a connection");
            stream.write_all(&[0xce]).expect("sent");
            stream
        })
        .collect();
    let (stop, enough) = (AtomicBool::new(false), AtomicBool::new(false));
    let succeeded = AtomicUsize::new(0);
    let (sender, events) = channel();
    let told: Vec<Told> = std::thread::scope(|scope| {
        let attackers: Vec<_> = ATTACKS
            .iter()
            .map(|(name, attack)| {
                let (users, files, stop) = (genesis.users.clone(), &files, &stop);
                (name, scope.spawn(move || attack(files, &users, stop)))
            })
            .collect();
        let honest: Vec<_> = (0..HONEST)
            .map(|user| {
                let (users, sender, endpoint) =
                    (genesis.users.clone(), sender.clone(), files.endpoint());
                let (enough, succeeded) = (&enough, &succeeded);
                scope.spawn(move || {
                    honest::work(&endpoint, &users, user, enough, succeeded, &sender)
                })
            })
            .collect();
        let served = (0..DONE).all(|_| events.recv_timeout(PATIENCE).is_ok());
        enough.store(true, Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        let told = honest
            .into_iter()
            .map(|client| client.join().expect("an honest client"))
            .collect();
        for (name, attacker) in attackers {
            attacker.join().unwrap_or_else(|_| panic!("{name}"));
        }
        assert!(served, "{}", running::log_of(&files));
        told
    });
    let mut latencies: Vec<Duration> = told
        .iter()
        .flat_map(|told| told.latencies.clone())
        .collect();
    latencies.sort();
    let median = latencies[latencies.len() / 2];
    let worst = latencies[latencies.len() - 1];
    let now = status(&files);
    let netd = now
        .workers
        .iter()
        .find(|worker| worker.role == Role::Netd)
        .expect("netd");
    let counters: Vec<_> = netd.counters.iter().filter(|(_, n)| *n > 0).collect();
    let counted = |name: &str| counters.iter().any(|(known, _)| known == name);
    println!(
        "{} honest transactions, median {median:?}, worst {worst:?}, {counters:?}",
        latencies.len()
    );
    for told in &told {
        assert_eq!(told.unclear, 0, "an honest transaction was sent in vain");
    }
    assert!(worst < WORST && median < USUAL, "{median:?}, {worst:?}");
    for worker in &now.workers {
        assert_eq!(worker.restarts, 0, "{} ended", worker.role.name());
    }
    assert!(
        counted("closed_padded_length") && counted("closed_frame_too_long"),
        "{counters:?}"
    );
    let log = running::log_of(&files);
    let closed = "netd: closed 127.0.0.1";
    assert!(log.lines().any(|line| line.contains(closed)), "{log}");
    drop(half_open);
    // Nothing of it is left behind: the peer answers at once.
    let reply = connect(&files).transact(genesis.users.transfer(90, 1));
    assert_eq!(reply.expect("an answer").error, Cell::Nil);
    assert!(peer.stop().is_some_and(|status| status.success()));
}
