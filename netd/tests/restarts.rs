//! Restarts of consensus, hostile messages from it, and the orders of the supervisor.

mod common;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use cells::Cell;
use common::{Netd, id_of, query, settings, status, transact};
use ipc::net::{FromNet, MAX_BODY, Peer, Request, Target, ToNet};
use ipc::supervision::{AlarmKind, FromWorker, RoleStatus, ToWorker};
use ipc::{Bytes, Channel, Epoch, Hello, encode};
use wire::{Message, Reply, Status};

#[test]
fn requests_in_flight_are_answered_at_once_when_consensus_ends_and_later_ones_wait_for_the_next() {
    let mut netd = Netd::start(settings());
    let mut consensus = netd.consensus();
    consensus.send(&ToNet::Status(Bytes::from(status().to_cell().encode())));
    let mut client = netd.client();
    let mut other = netd.client();
    client.send(&query(1, "x"));
    client.send(&transact(2, 10));
    other.send(&transact(3, 10));
    for _ in 0..3 {
        consensus.message();
    }
    drop(consensus);
    // A query may be asked again; what became of a transaction is not known.
    let replies = [client.reply(), client.reply(), other.reply()];
    let codes: Vec<String> = replies
        .iter()
        .map(|r| format!("{} {}", r.id, r.error))
        .collect();
    assert_eq!(codes, ["1 :LOAD", "2 :TIMEOUT", "3 :TIMEOUT"]);
    // The connections stay, the last status counts, and requests wait.
    let reply = client.ask(&Message::Status { id: 4 });
    assert_eq!(Status::read(&reply.value), Ok(status()));
    client.send(&query(5, "y"));
    let mut consensus = netd.consensus();
    let (connection, body) = consensus.message();
    assert_eq!(id_of(&body), 5);
    consensus.reply(connection, &Reply::ok(5, Cell::Nil));
    assert_eq!(client.reply(), Reply::ok(5, Cell::Nil));
    assert_eq!(netd.count("restarted"), 3);
    assert_eq!(netd.count("asked"), 0);
}

#[test]
fn a_new_channel_takes_the_place_of_one_that_still_works() {
    let mut netd = Netd::start(settings());
    let mut old = netd.consensus();
    let mut client = netd.client();
    client.send(&query(1, "x"));
    old.message();
    let mut new = netd.consensus();
    assert_eq!(client.reply().error.to_string(), ":LOAD");
    // The old one is shut, and nothing that it says counts.
    assert!(matches!(old.link.receiver.receive(), Ok(None)));
    client.send(&query(2, "y"));
    let (connection, _) = new.message();
    new.reply(connection, &Reply::ok(2, Cell::Nil));
    assert_eq!(client.reply(), Reply::ok(2, Cell::Nil));
}

#[test]
fn many_restarts_under_load_leave_no_client_without_an_answer() {
    let mut netd = Netd::start(settings());
    let mut clients: Vec<_> = (0..10).map(|_| netd.client()).collect();
    let mut id = 0;
    for round in 0..30 {
        let mut consensus = netd.consensus();
        for client in &mut clients {
            for _ in 0..20 {
                client.send(&transact(id, 100));
                id += 1;
            }
        }
        // Some are answered, some read, some neither.
        for n in 0..round * 7 {
            let (connection, body) = consensus.message();
            if n % 2 == 0 {
                consensus.reply(connection, &Reply::ok(id_of(&body), Cell::Nil));
            }
            if n > 150 {
                break;
            }
        }
        if round % 2 == 0 {
            drop(consensus);
        }
        // Whoever was left waits for the next consensus.
        let mut last = netd.consensus();
        let answering = std::thread::spawn(move || {
            while let Some(FromNet::Message {
                connection, body, ..
            }) = last.next()
            {
                let reply = Reply::ok(id_of(&body), Cell::Nil).encode().unwrap();
                let body = Bytes::from(reply);
                if last
                    .link
                    .sender
                    .send(&ToNet::Reply { connection, body })
                    .is_err()
                {
                    return;
                }
            }
        });
        for client in &mut clients {
            for _ in 0..20 {
                client.reply();
            }
            client.ping(1);
        }
        drop(netd.consensus());
        answering.join().unwrap();
    }
    assert_eq!(netd.count("asked"), 0);
}

/// A channel whose other end the test has in its hands, byte by byte.
fn raw_channel(netd: &Netd, epoch: u32) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let message = ToWorker::Channel {
        channel: Channel::Net,
        epoch: Epoch(epoch),
    };
    netd.supervision.send(&message, &[theirs.as_fd()]).unwrap();
    ours.set_read_timeout(Some(common::PATIENCE)).unwrap();
    ours
}

#[test]
fn a_channel_that_breaks_the_rules_is_closed_with_an_alarm_and_clients_are_served_on() {
    let hello = |channel, epoch| {
        let mut bytes = Vec::new();
        encode(&Hello::new(channel, Epoch(epoch)), &mut bytes).unwrap();
        bytes
    };
    let good = || hello(Channel::Net, 9);
    let with = |tail: &[u8]| {
        good()
            .into_iter()
            .chain(tail.iter().copied())
            .collect::<Vec<u8>>()
    };
    let cases: [Vec<u8>; 7] = [
        hello(Channel::Key, 9),
        hello(Channel::Net, 8),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        with(&[0xff; 4]),
        with(&[1, 0, 0, 0, 0xff]),
        with(&[3, 0, 0, 0, 0, 0, 0xff]),
        with(&((MAX_BODY + 10_000) as u32).to_le_bytes()),
    ];
    for bytes in cases {
        // A process of its own: alarms are told at their own pace.
        let netd = Netd::start(settings());
        let mut channel = raw_channel(&netd, 9);
        channel.write_all(&bytes).unwrap();
        let FromWorker::Alarm(alarm) = netd.receive() else {
            panic!("no alarm for {bytes:x?}");
        };
        assert_eq!(alarm.kind, AlarmKind::Channel);
        let mut rest = Vec::new();
        // Closed: at its end, or reset where something was left unread.
        let _ = channel.read_to_end(&mut rest);
        assert_eq!(netd.count("link_broken"), 1);
        netd.client().ping(1);
    }
}

#[test]
fn hostile_messages_of_consensus_do_no_harm() {
    let mut netd = Netd::start(settings());
    let mut consensus = netd.consensus();
    let mut client = netd.client();
    client.send(&query(1, "x"));
    let (connection, _) = consensus.message();
    let numbers = [
        connection,
        connection | 1,
        connection + 2,
        0,
        1,
        u64::MAX,
        u64::MAX - 1,
        1 << 25,
        1 << 62,
    ];
    let junk = || Bytes::from(vec![0xff; 50]);
    let peer = |host: &str, stake| Peer {
        key: [1; 32],
        host: host.to_owned(),
        stake,
    };
    for number in numbers {
        consensus.send(&ToNet::Challenge {
            connection: number,
            signed: Some(junk()),
        });
        consensus.send(&ToNet::Challenge {
            connection: number,
            signed: Some(Bytes::new()),
        });
        consensus.send(&ToNet::Verified {
            connection: number,
            key: Some([1; 32]),
        });
        consensus.send(&ToNet::Send {
            connection: number,
            body: junk(),
        });
        let requests = [
            Request::Status,
            Request::Data(vec![[0; 32]; 300]),
            Request::Challenge(junk()),
        ];
        for request in requests {
            for target in [
                Target::Opened(number),
                Target::Accepted(number),
                Target::Any,
            ] {
                consensus.send(&ToNet::Request {
                    ticket: number,
                    target,
                    request: request.clone(),
                });
                assert!(matches!(
                    consensus.receive(),
                    FromNet::Answered { answer: Err(_), .. }
                ));
            }
        }
    }
    consensus.send(&ToNet::Status(junk()));
    consensus.send(&ToNet::Status(Bytes::new()));
    consensus.send(&ToNet::Broadcast(Bytes::new()));
    consensus.send(&ToNet::Broadcast(junk()));
    let hosts = [
        "",
        "\0",
        "a b",
        "[::",
        "x:0",
        &"h".repeat(400),
        "224.0.0.1:5",
        "[ff02::1]:5",
    ];
    consensus.send(&ToNet::Peers(
        hosts.iter().map(|host| peer(host, i64::MAX)).collect(),
    ));
    consensus.send(&ToNet::Peers(
        (0..5_000)
            .map(|i| peer(&format!("h{i}.invalid:1"), i64::MIN + i))
            .collect(),
    ));
    // Replies that are no messages, and one that is too long to be one.
    for body in [
        Vec::new(),
        vec![0xff; 3],
        vec![0xdd],
        vec![0xdd, 5, 0x11, 1],
    ] {
        client.send(&query(2, "x"));
        let (connection, _) = consensus.message();
        let body = Bytes::from(body);
        consensus.send(&ToNet::Reply { connection, body });
    }
    // The first query is still asked.
    consensus.reply(connection, &Reply::ok(1, Cell::Nil));
    let mut got = 0;
    while client.receive() != Reply::ok(1, Cell::Nil).encode().unwrap() {
        got += 1;
        assert!(got < 10);
    }
    for number in numbers {
        consensus.send(&ToNet::Close {
            connection: number,
            reason: "r\u{1b}[2J".repeat(1_000),
        });
    }
    assert!(client.is_closed());
    assert_eq!(netd.count("closed_by_consensus"), 1);
    netd.client().ping(1);
}

#[test]
fn locked_it_answers_nobody_any_more() {
    let mut netd = Netd::start(settings());
    let mut consensus = netd.consensus();
    let mut client = netd.client();
    client.send(&query(1, "x"));
    consensus.message();
    let start = std::time::Instant::now();
    netd.order(&ToWorker::Lock);
    assert!(client.is_closed());
    assert!(start.elapsed().as_millis() < 1_000);
    assert!(
        consensus
            .link
            .receiver
            .receive()
            .map_or(true, |message| message.is_none())
    );
    let RoleStatus::Netd {
        accepted, serving, ..
    } = netd.status().of_role
    else {
        panic!("another role");
    };
    assert_eq!((accepted, serving), (0, false));
    // The supervisor of this test holds no listener: the port is closed.
    assert!(std::net::TcpStream::connect(netd.address).is_err());
    // A channel changes nothing.
    let _channel = raw_channel(&netd, 5);
    netd.order(&ToWorker::Ping(6));
    assert_eq!(netd.receive(), FromWorker::Pong(6));
}

#[test]
fn asked_to_stop_it_answers_what_was_asked_and_ends() {
    let mut netd = Netd::start(settings());
    let mut consensus = netd.consensus();
    let mut client = netd.client();
    client.send(&query(1, "x"));
    let (connection, _) = consensus.message();
    netd.order(&ToWorker::Stop { within: 10_000 });
    // Its word has arrived when it says so.
    while netd.status().of_role == serving() {}
    consensus.reply(connection, &Reply::ok(1, Cell::Long(4)));
    assert_eq!(client.reply(), Reply::ok(1, Cell::Long(4)));
    assert!(client.is_closed());
    assert_eq!(netd.ended(), sandbox::Ended::Exited(0));
}

fn serving() -> RoleStatus {
    RoleStatus::Netd {
        opened: 0,
        accepted: 1,
        trusted: 0,
        peers: Vec::new(),
        serving: true,
    }
}

#[test]
fn asked_to_stop_it_ends_in_time_whatever_is_left() {
    let mut netd = Netd::start(settings());
    let mut consensus = netd.consensus();
    let mut client = netd.client();
    client.send(&query(1, "x"));
    consensus.message();
    let start = std::time::Instant::now();
    netd.order(&ToWorker::Stop { within: 500 });
    assert!(client.is_closed());
    assert!(start.elapsed().as_millis() < 2_000);
    assert_eq!(netd.ended(), sandbox::Ended::Exited(0));
}

#[test]
fn it_ends_with_its_supervisor_and_answers_its_heartbeat() {
    let netd = Netd::start(settings());
    for number in [0, 1, u64::MAX] {
        netd.order(&ToWorker::Ping(number));
        assert_eq!(netd.receive(), FromWorker::Pong(number));
    }
    // The end of the test closes the channel; it has to end with code 0 then.
    drop(netd);
}

#[test]
fn started_by_hand_it_says_who_starts_it() {
    for arguments in [
        &[][..],
        &["--role", "rescue"],
        &["--help"],
        &["--role", "king"],
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_netd"))
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("supervisor"),
            "{arguments:?}"
        );
    }
}
