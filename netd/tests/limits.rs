//! Every limit: who goes beyond it is limited or dropped, counted, and costs others nothing.

mod common;

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;

use cells::{Cell, Hash};
use common::{Client, Netd, id_of, query, settings, transact};
use ipc::net::FromNet;
use ipc::supervision::{Settings, ToWorker};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signing::Rate;
use wire::{DataRequest, FrameLimits, Message, Reply, frame};

#[test]
fn connections_beyond_the_limits_are_closed_without_a_byte() {
    let mut settings = settings();
    settings.connections = 3;
    let netd = Netd::start(settings);
    let mut open: Vec<Client> = (0..3).map(|_| netd.client()).collect();
    for client in &mut open {
        client.ping(1);
    }
    assert!(netd.client().is_closed());
    assert_eq!(netd.count("refused_total"), 1);
    // One that leaves makes place for another.
    drop(open.pop());
    netd.wait_for_count("closed_by_other", 1);
    netd.client().ping(1);
}

#[test]
fn connections_of_one_address_are_limited() {
    let mut settings = settings();
    settings.connections_per_address = 2;
    let netd = Netd::start(settings);
    let mut open: Vec<Client> = (0..2).map(|_| netd.client()).collect();
    for client in &mut open {
        client.ping(1);
    }
    assert!(netd.client().is_closed());
    let from = |address: &str| {
        let local = SocketAddr::new(address.parse().unwrap(), 0);
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Inet,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_CLOEXEC,
            None,
        )
        .unwrap();
        let storage = |address: SocketAddr| nix::sys::socket::SockaddrStorage::from(address);
        nix::sys::socket::bind(socket.as_raw_fd(), &storage(local)).unwrap();
        nix::sys::socket::connect(socket.as_raw_fd(), &storage(netd.address)).unwrap();
        Client::over(TcpStream::from(socket))
    };
    from("127.0.0.2").ping(1);
    assert_eq!(netd.count("refused_address"), 1);
}

#[test]
fn networks_that_may_not_connect_are_refused_also_after_a_reload() {
    let mut denied = settings();
    denied.deny = vec!["127.0.0.0/8".to_owned()];
    let netd = Netd::start(denied.clone());
    assert!(netd.client().is_closed());
    netd.order(&ToWorker::Reload(Box::new(Settings::Netd(settings()))));
    let status = netd.count("refused_denied");
    assert_eq!(status, 1);
    let mut client = netd.client();
    client.ping(1);
    netd.order(&ToWorker::Reload(Box::new(Settings::Netd(denied))));
    assert!(client.is_closed());
    assert_eq!(netd.count("closed_denied"), 1);
    // A slip in a list changes nothing.
    let mut slip = settings();
    slip.deny = vec!["localhost/8".to_owned()];
    netd.order(&ToWorker::Reload(Box::new(Settings::Netd(slip))));
    assert!(netd.client().is_closed());
}

#[test]
fn broken_frames_close_their_connection_and_no_other() {
    let netd = Netd::start(settings());
    let mut honest = netd.client();
    honest.ping(1);
    for (bytes, counter) in [
        (&[0x80, 1, 1][..], "closed_padded_length"),
        (&[0x97, 0xeb, 0xe1, 0x01], "closed_frame_too_long"),
        (&[0x90, 0x80, 0x80, 0x80, 0x0a], "closed_frame_too_long"),
        (&[0xff; 64], "closed_frame_too_long"),
        // More than requests, and than results, of strangers may have.
        (&[0xc0, 0x80, 0x01, 0x80], "closed_frame_too_long"),
        (&[0xa0, 0x01, 0xdd], "closed_frame_too_long"),
    ] {
        let before = netd.count(counter);
        let mut client = netd.client();
        client.raw(bytes);
        assert!(client.is_closed(), "{bytes:x?}");
        assert_eq!(netd.count(counter), before + 1, "{bytes:x?}");
        honest.ping(2);
    }
    let mut client = netd.client();
    client.raw(&frame(&[0x80, 3, 0x33, 1, b'Q', 0, 0]).unwrap());
    assert!(client.is_closed());
    assert_eq!(netd.count("closed_query_without_id"), 1);
}

#[test]
fn garbage_of_any_kind_is_answered_dropped_or_ends_its_connection() {
    let netd = Netd::start(settings());
    let mut honest = netd.client();
    let mut chance = netd::chance::Chance::from_seed(1);
    for round in 0..300 {
        let mut client = netd.client();
        let length = chance.draw() as usize % 400;
        let bytes: Vec<u8> = (0..length).map(|_| chance.draw() as u8).collect();
        // As it is, or as the body of a proper frame, or a proper message with a byte changed.
        let bytes = match round % 3 {
            0 => bytes,
            1 => frame(&bytes).unwrap_or_default(),
            _ => {
                let mut bytes = frame(&Message::Ping { id: 7 }.encode().unwrap()).unwrap();
                let place = chance.draw() as usize % bytes.len();
                bytes[place] ^= chance.draw() as u8;
                bytes
            }
        };
        // It may be closed before all is sent.
        let _ = client.stream.write_all(&bytes);
        let _ = client.stream.shutdown(Shutdown::Write);
        while client.try_receive().is_some() {}
        honest.ping(round);
    }
    assert_eq!(netd.accepted(), 1);
}

#[test]
fn slow_frames_and_silence_end_connections() {
    let netd = Netd::with_limits(settings(), |limits| {
        limits.sweep = 20;
        limits.acceptor.frame_time = 200;
        limits.acceptor.idle = Some(2_000);
    });
    // The frame arrives too slowly, whatever comes meanwhile.
    let mut slow = netd.client();
    slow.raw(&[0x0a, 0x80]);
    assert!(slow.is_closed());
    assert_eq!(netd.count("closed_slow_frame"), 1);
    // Who waits for an answer is not idle; who has it and is silent is.
    let mut idle = netd.client();
    idle.ping(1);
    assert!(idle.is_closed());
    assert_eq!(netd.count("closed_idle"), 1);
}

#[test]
fn a_client_that_waits_for_an_answer_is_not_idle() {
    let mut netd = Netd::with_limits(settings(), |limits| {
        limits.sweep = 10;
        limits.acceptor.idle = Some(100);
    });
    let mut consensus = netd.consensus();
    let mut waits = netd.client();
    waits.send(&query(1, "x"));
    let (connection, _) = consensus.message();
    let mut idle = netd.client();
    idle.ping(1);
    assert!(idle.is_closed());
    consensus.reply(connection, &Reply::ok(1, Cell::Nil));
    assert_eq!(waits.reply(), Reply::ok(1, Cell::Nil));
    assert!(waits.is_closed());
}

#[test]
fn who_does_not_read_its_replies_is_not_read_and_then_closed() {
    let netd = Netd::with_limits(settings(), |limits| {
        limits.sweep = 20;
        limits.unread = 300;
    });
    let large = Cell::from("a".repeat(16_000).as_str());
    let _store = netd.store(std::slice::from_ref(&large));
    let mut greedy = netd.client();
    let request = Message::DataRequest(DataRequest {
        id: Cell::Long(1),
        hashes: vec![large.hash(); 1],
    });
    let framed = frame(&request.encode().unwrap()).unwrap();
    // Never reads; at some time it can't write either.
    let mut honest = netd.client();
    let flood = thread::spawn(move || {
        let batch = framed.repeat(1_000);
        while greedy.stream.write_all(&batch).is_ok() {}
    });
    netd.wait_for_count("closed_unread", 1);
    honest.ping(1);
    flood.join().unwrap();
    assert!(netd.count("memory") < 4 << 20);
}

#[test]
fn replies_beyond_the_buffer_close_the_connection() {
    let mut netd = Netd::with_limits(settings(), |limits| limits.acceptor.reply_buffer = 1 << 20);
    let mut consensus = netd.consensus();
    let mut client = netd.client();
    for id in 0..100 {
        client.send(&query(id, "x"));
    }
    for _ in 0..100 {
        let (connection, body) = consensus.message();
        consensus.reply(connection, &Reply::ok(id_of(&body), varied(300_000)));
    }
    netd.wait_for_count("closed_slow_reader", 1);
}

#[test]
fn memory_of_all_connections_is_bounded_and_the_largest_pays() {
    let mut settings = settings();
    settings.memory = 4 << 20;
    let netd = Netd::start(settings);
    let mut honest = netd.client();
    honest.ping(1);
    // Each begins a frame of 16 MB and goes on slowly.
    let mut hogs: Vec<Client> = (0..10).map(|_| netd.client()).collect();
    for hog in &mut hogs {
        hog.raw(&[0x87, 0xd0, 0x80, 0x00, 0xd4]);
    }
    let piece = vec![0; 100_000];
    for _ in 0..10 {
        for hog in &mut hogs {
            let _ = hog.stream.write_all(&piece);
        }
        honest.ping(2);
    }
    netd.wait_for_count("closed_memory", 1);
    honest.ping(3);
    assert!(netd.count("memory") <= 4 << 20);
    assert!(netd.accepted() >= 2);
}

#[test]
fn who_is_beyond_its_rate_waits_and_others_do_not() {
    let netd = Netd::with_limits(settings(), |limits| {
        limits.acceptor.messages = Rate::new(100, 10)
    });
    let mut fast = netd.client();
    let mut other = netd.client();
    let ping = |id| frame(&Message::Ping { id }.encode().unwrap()).unwrap();
    let burst: Vec<u8> = (0..40).flat_map(ping).collect();
    let start = std::time::Instant::now();
    fast.raw(&burst);
    other.ping(1);
    let of_other = start.elapsed();
    for id in 0..40 {
        assert_eq!(fast.reply().id, Cell::Long(id));
    }
    // 10 at once, 30 at 100 a second.
    assert!(start.elapsed().as_millis() >= 250 && of_other < start.elapsed());
}

#[test]
fn a_full_queue_makes_only_the_greedy_wait_and_then_says_load() {
    let mut netd = Netd::with_limits(settings(), |limits| {
        limits.room.count = 100;
        limits.patience = 300;
        limits.sweep = 20;
    });
    let mut consensus = netd.consensus();
    let mut greedy = netd.client();
    for id in 0..60 {
        greedy.send(&transact(id, 10));
    }
    // It gets a fifth.
    for _ in 0..20 {
        let (_, body) = consensus.message();
        assert!(id_of(&body) < 20);
    }
    let mut honest = netd.client();
    honest.send(&query(7, "x"));
    let (connection, body) = consensus.message();
    assert_eq!(id_of(&body), 7, "nothing of the greedy one is before it");
    consensus.reply(connection, &Reply::ok(7, Cell::Nil));
    assert_eq!(honest.reply(), Reply::ok(7, Cell::Nil));
    assert_eq!(greedy.reply(), Reply::overloaded(20));
    assert!(netd.count("overloaded") >= 1);
    // Not read meanwhile: its ping comes after all that was asked before.
    greedy.send(&Message::Ping { id: 99 });
    let mut replies = 0;
    loop {
        let reply = greedy.reply();
        if reply.id == Cell::Long(99) {
            break;
        }
        assert_eq!(reply.error.to_string(), ":LOAD");
        replies += 1;
    }
    assert_eq!(replies, 39);
}

#[test]
fn without_consensus_requests_wait_for_it() {
    let mut netd = Netd::with_limits(settings(), |limits| {
        limits.patience = 300;
        limits.sweep = 20;
    });
    let mut client = netd.client();
    client.send(&query(1, "x"));
    assert_eq!(client.reply(), Reply::overloaded(1));
    client.send(&query(2, "y"));
    // It may have waited too long already when consensus comes.
    let mut consensus = netd.consensus();
    client.send(&query(3, "z"));
    let (connection, body) = consensus.message();
    let id = id_of(&body);
    consensus.reply(connection, &Reply::ok(id, Cell::Nil));
    if id == 3 {
        assert_eq!(client.reply(), Reply::overloaded(2));
    }
    assert_eq!(client.reply(), Reply::ok(id, Cell::Nil));
}

#[test]
fn a_flood_of_beliefs_of_strangers_leaves_room_for_requests() {
    let mut netd = Netd::with_limits(settings(), |limits| {
        limits.beliefs.count = Rate::new(1, 5);
    });
    let mut consensus = netd.consensus();
    let mut flooder = netd.client();
    let belief: Vec<u8> = [0xd4, 1, 0x20].into_iter().chain([0; 32]).collect();
    let batch = frame(&belief).unwrap().repeat(1_000);
    flooder.raw(&batch);
    flooder.ping(1);
    let mut honest = netd.client();
    honest.send(&query(7, "x"));
    let mut beliefs = 0;
    loop {
        match consensus.receive() {
            FromNet::Message { body, .. } if body[0] == 0xd4 => beliefs += 1,
            FromNet::Message { .. } => break,
            FromNet::WantChallenge { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(beliefs <= 7, "{beliefs}");
    assert!(netd.count("beliefs_beyond_rate") >= 990);
}

#[test]
fn many_data_requests_of_one_connection_are_all_answered() {
    let netd = Netd::start(settings());
    let cells: Vec<Cell> = (0..254)
        .map(|i| Cell::from(format!("{i:0200}").as_str()))
        .collect();
    let _store = netd.store(&cells);
    let hashes: Vec<Hash> = cells.iter().map(Cell::hash).collect();
    let mut client = netd.client();
    let writer = client.stream.try_clone().unwrap();
    let asks = thread::spawn(move || {
        for id in 0..500 {
            let request = DataRequest {
                id: Cell::Long(id),
                hashes: hashes.clone(),
            };
            let body = Message::DataRequest(request).encode().unwrap();
            (&writer).write_all(&frame(&body).unwrap()).unwrap();
        }
    });
    for id in 0..500 {
        assert_eq!(client.reply().id, Cell::Long(id));
    }
    asks.join().unwrap();
    assert_eq!(netd.count("data_requests"), 500);
}

#[test]
fn ten_thousand_idle_connections_are_cheap_and_others_are_served() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    // The tests of this file share the descriptors of their process.
    let connections = 10_000.min(most.saturating_sub(1_000)) as usize;
    let mut settings = settings();
    settings.connections = 20_000;
    settings.connections_per_address = 20_000;
    let netd = Netd::start(settings);
    let before = resident(netd.pid());
    let mut idle: Vec<Client> = (0..connections).map(|_| netd.client()).collect();
    for client in &mut idle {
        client.ping(1);
    }
    let mut client = netd.client();
    client.ping(2);
    assert_eq!(netd.accepted() as usize, connections + 1);
    let each = (resident(netd.pid()) - before) / connections as u64;
    assert!(each < 4_096, "{each} bytes for each connection");
}

/// A string of so many bytes, no two parts of which are one cell.
fn varied(length: usize) -> Cell {
    let mut text: String = (0..length / 7 + 1).map(|i| format!("{i:07}")).collect();
    text.truncate(length);
    Cell::from(text.as_str())
}

fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        << 10
}

#[test]
fn limits_of_frames_are_those_of_the_protocol() {
    // What the table of the crate says.
    assert_eq!(FrameLimits::ACCEPTED.request, 1 << 20);
    let netd = Netd::start(settings());
    let mut client = netd.client();
    let longest = 1_000_000;
    client.send(&Message::Unknown(varied(longest)));
    client.ping(1);
    assert_eq!(netd.count("dropped_unknown"), 1);
}
