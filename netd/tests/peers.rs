//! Connections to other peers, which the tests play.

mod common;

use std::net::{TcpListener, TcpStream};

use cells::{Cell, Decoder};
use common::{Client, Consensus, Netd, settings};
use ipc::Bytes;
use ipc::net::{FromNet, NoAnswer, Peer, Request, Target, ToNet};
use ipc::supervision::{RoleStatus, Settings, ToWorker};
use wire::{Message, Reply, Status, frame};

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    (listener, host)
}

fn accept(listener: &TcpListener) -> Client {
    Client::over(listener.accept().unwrap().0)
}

fn opened(consensus: &mut Consensus) -> (u64, String, Option<[u8; 32]>) {
    loop {
        match consensus.receive() {
            FromNet::Opened {
                connection,
                host,
                key,
            } => return (connection, host, key),
            FromNet::Closed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn message(client: &mut Client) -> Message {
    Message::decode(&client.receive(), &Decoder::new())
        .unwrap()
        .unwrap()
}

/// A peer that the settings name, and its end of the connection.
fn connected() -> (Netd, Consensus, TcpListener, Client, u64) {
    let (listener, host) = listener();
    let mut settings = settings();
    settings.peers = vec![host.clone()];
    settings.target = 2;
    let mut netd = Netd::start(settings);
    let mut consensus = netd.consensus();
    let peer = accept(&listener);
    let (connection, at, key) = opened(&mut consensus);
    assert_eq!((at, key), (host, None));
    (netd, consensus, listener, peer, connection)
}

#[test]
fn requests_are_answered_by_their_ticket() {
    let (netd, mut consensus, _listener, mut peer, connection) = connected();
    let ask = |consensus: &mut Consensus, ticket, target, request| {
        consensus.send(&ToNet::Request {
            ticket,
            target,
            request,
        });
    };
    ask(
        &mut consensus,
        70,
        Target::Opened(connection),
        Request::Status,
    );
    ask(
        &mut consensus,
        71,
        Target::Any,
        Request::Data(vec![[5; 32], [6; 32]]),
    );
    let Message::Status { id: first } = message(&mut peer) else {
        panic!("no status request");
    };
    let Message::DataRequest(data) = message(&mut peer) else {
        panic!("no data request");
    };
    assert_eq!(data.hashes.len(), 2);
    let Cell::Long(second) = data.id else {
        panic!("{}", data.id);
    };
    // In another order than they were asked.
    peer.send(&Message::Result(Reply::ok(second, Cell::Nil)));
    peer.send(&Message::Result(Reply::ok(
        first,
        common::status().to_cell(),
    )));
    let FromNet::Answered {
        ticket: 71,
        answer: Ok(_),
    } = consensus.receive()
    else {
        panic!("the second first");
    };
    let FromNet::Answered {
        ticket: 70,
        answer: Ok(body),
    } = consensus.receive()
    else {
        panic!("then the first");
    };
    let Message::Result(reply) = Message::decode(&body, &Decoder::new()).unwrap().unwrap() else {
        panic!("no result");
    };
    assert_eq!(Status::read(&reply.value), Ok(common::status()));
    // What is not answered when the connection ends is told.
    ask(&mut consensus, 72, Target::Any, Request::Status);
    message(&mut peer);
    drop(peer);
    let FromNet::Answered { ticket: 72, answer } = consensus.receive() else {
        panic!("no answer");
    };
    assert_eq!(answer, Err(NoAnswer::NoConnection));
    assert_eq!(consensus.receive(), FromNet::Closed { connection });
    assert!(netd.count("requests_unanswered") >= 1);
}

#[test]
fn challenges_of_the_other_side_go_to_consensus_and_its_answer_back() {
    let (_netd, mut consensus, _listener, mut peer, connection) = connected();
    let key = crypto::SigningKey::from_seed(&[3; 32]);
    let value =
        signing::challenge::challenge(&cells::Hash([1; 32]), None, &cells::Hash(common::NETWORK));
    let signed = cells::Signed::new(key.account_key(), key.sign(&value.encode()), value);
    peer.send(&Message::Challenge {
        id: 9,
        signed: signed.clone(),
    });
    let FromNet::Challenged {
        connection: of,
        id: 9,
        signed: encoding,
    } = consensus.receive()
    else {
        panic!("no challenge");
    };
    assert_eq!(
        (of, encoding.into_vec()),
        (connection, Cell::from(signed).encode())
    );
    let body = Reply::ok(9, Cell::Long(1)).encode().unwrap();
    consensus.send(&ToNet::Send {
        connection,
        body: Bytes::from(body),
    });
    assert_eq!(peer.reply(), Reply::ok(9, Cell::Long(1)));
}

#[test]
fn open_connections_are_told_to_a_new_consensus_and_what_the_old_one_asked_is_void() {
    let (mut netd, mut consensus, _listener, mut peer, connection) = connected();
    consensus.send(&ToNet::Request {
        ticket: 1,
        target: Target::Any,
        request: Request::Status,
    });
    let Message::Status { id } = message(&mut peer) else {
        panic!("no status request");
    };
    drop(consensus);
    let mut consensus = netd.consensus();
    assert_eq!(opened(&mut consensus).0, connection);
    peer.send(&Message::Result(Reply::ok(id, Cell::Nil)));
    consensus.send(&ToNet::Request {
        ticket: 2,
        target: Target::Any,
        request: Request::Status,
    });
    let Message::Status { id } = message(&mut peer) else {
        panic!("no status request");
    };
    peer.send(&Message::Result(Reply::ok(id, Cell::Nil)));
    let FromNet::Answered { ticket, .. } = consensus.receive() else {
        panic!("no answer");
    };
    assert_eq!(ticket, 2);
}

#[test]
fn beliefs_reach_every_peer_and_a_laggard_gets_the_newest() {
    let (netd, mut consensus, _listener, mut peer, _) = connected();
    let belief = |n: u8, length: usize| {
        let mut body = vec![n; length];
        body[0] = 0xd4;
        Bytes::from(body)
    };
    consensus.send(&ToNet::Broadcast(belief(1, 100)));
    assert_eq!(peer.receive(), belief(1, 100).into_vec());
    // Not read: what the system keeps for it is full at some time.
    let large = 2 << 20;
    for n in 0..100 {
        consensus.send(&ToNet::Broadcast(belief(n, large)));
    }
    netd.wait_for_count("broadcasts_skipped", 50);
    let mut last = Vec::new();
    let mut received = 0;
    while last != belief(99, large).into_vec() {
        last = peer.receive();
        received += 1;
    }
    assert!(received <= 50, "{received}");
    assert_eq!(netd.count("broadcasts"), 1 + received);
}

#[test]
fn the_target_is_kept_from_the_peers_of_the_state_and_a_lost_one_replaced() {
    let peers: Vec<(TcpListener, String)> = (0..5).map(|_| listener()).collect();
    let mut settings = settings();
    settings.target = 3;
    let mut netd = Netd::start(settings);
    let mut consensus = netd.consensus();
    let listed = peers.iter().zip(1u8..).map(|((_, host), n)| Peer {
        key: [n; 32],
        host: format!("tcp://{host}"),
        stake: 1_000,
    });
    let own = Peer {
        key: common::KEY,
        host: peers[0].1.clone(),
        stake: i64::MAX,
    };
    consensus.send(&ToNet::Peers(listed.chain([own]).collect()));
    let mut open: Vec<_> = (0..3).map(|_| opened(&mut consensus)).collect();
    let hosts: std::collections::HashSet<String> =
        open.iter().map(|(_, host, _)| host.clone()).collect();
    assert_eq!(hosts.len(), 3);
    for (_, host, key) in &open {
        let place = peers.iter().position(|(_, h)| h == host).unwrap();
        assert_eq!(*key, Some([place as u8 + 1; 32]));
    }
    // Another key than the state says: closed, and another peer takes its place.
    let (wrong, _, _) = open.remove(0);
    consensus.send(&ToNet::Verified {
        connection: wrong,
        key: Some([99; 32]),
    });
    let (next, host, _) = opened(&mut consensus);
    assert_ne!(next, wrong);
    assert!(peers.iter().any(|(_, h)| *h == host));
    let RoleStatus::Netd { peers, .. } = netd.status().of_role else {
        panic!("another role");
    };
    assert_eq!(peers.len(), 3);
}

#[test]
fn an_unreachable_peer_is_tried_again_and_found_when_it_is_there() {
    let (first, host) = listener();
    drop(first);
    let mut settings = settings();
    settings.peers = vec![
        host.clone(),
        "no-such-host.invalid:5".to_owned(),
        "not a host".to_owned(),
    ];
    settings.target = 2;
    let mut netd = Netd::start(settings);
    let mut consensus = netd.consensus();
    netd.wait_for_count("dial_failed", 1);
    netd.wait_for_count("dial_unresolved", 1);
    let address: std::net::SocketAddr = host.parse().unwrap();
    let listener = TcpListener::bind(address).unwrap();
    assert_eq!(opened(&mut consensus).1, host);
    drop(listener);
}

#[test]
fn a_hostile_peer_loses_its_connection_and_nobody_else() {
    let (netd, mut consensus, listener, mut peer, connection) = connected();
    let mut client = netd.client();
    // Results that nobody asked, requests, and then a broken frame.
    for _ in 0..100 {
        peer.send(&Message::Result(Reply::ok(5, Cell::Nil)));
        peer.send(&Message::Ping { id: 1 });
        peer.raw(&frame(&[0xff, 0xff]).unwrap());
    }
    peer.raw(&[0x80, 1]);
    assert_eq!(consensus.receive(), FromNet::Closed { connection });
    client.ping(1);
    // It is tried again after a while.
    let mut again: TcpStream = listener.accept().unwrap().0;
    assert_ne!(opened(&mut consensus).0, connection);
    use std::io::Write;
    again.write_all(&[0xff; 100]).unwrap();
    assert!(matches!(consensus.receive(), FromNet::Closed { .. }));
    client.ping(2);
}

#[test]
fn peers_hear_a_goodbye_when_it_stops() {
    let (netd, _consensus, _listener, mut peer, _) = connected();
    netd.order(&ipc::supervision::ToWorker::Stop { within: 5_000 });
    assert!(matches!(message(&mut peer), Message::Goodbye { .. }));
    assert!(peer.is_closed());
}

#[test]
fn consensus_is_told_how_far_connections_could_reach() {
    let mut settings = settings();
    settings.peers = vec!["127.0.0.1:1".to_owned()];
    settings.target = 2;
    let mut netd = Netd::start(settings.clone());
    let mut consensus = netd.consensus();
    consensus.wait_for_reach(1, 2);
    let peer = |i: u8, host: &str| Peer {
        key: [i; 32],
        host: host.to_owned(),
        stake: 10,
    };
    // One of them is the one of the settings, and one is no host at all.
    let peers = [
        peer(1, "127.0.0.1:1"),
        peer(2, "127.0.0.1:2"),
        peer(3, "no host"),
    ];
    consensus.send(&ToNet::Peers(peers.to_vec()));
    consensus.wait_for_reach(2, 2);
    settings.target = 9;
    netd.order(&ToWorker::Reload(Box::new(Settings::Netd(settings))));
    consensus.wait_for_reach(2, 9);
    // A new consensus learns it, too.
    netd.consensus().wait_for_reach(2, 9);
}
