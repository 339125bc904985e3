//! Requests of clients, each kind on its way.

mod common;

use cells::{Cell, Hash, Vector};
use common::{Netd, id_of, query, settings, status, transact};
use ipc::Bytes;
use ipc::net::{FromNet, ToNet};
use wire::{DataRequest, Message, Reply, Status};

#[test]
fn ping_status_and_errors_are_answered_without_consensus() {
    let mut netd = Netd::start(settings());
    let mut client = netd.client();
    client.ping(1);
    let reply = client.ask(&Message::Status { id: 2 });
    assert_eq!(reply.id, Cell::Long(2));
    assert_eq!(reply.error.to_string(), ":EXCEPTION");
    let mut consensus = netd.consensus();
    let value = status().to_cell().encode();
    consensus.send(&ToNet::Status(Bytes::from(value)));
    // The order of two sockets is not known: asked until it is there.
    let mut id = 3;
    let reply = loop {
        let reply = client.ask(&Message::Status { id });
        assert_eq!(reply.id, Cell::Long(id));
        if reply.error.is_nil() {
            break reply;
        }
        id += 1;
    };
    assert_eq!(Status::read(&reply.value), Ok(status()));
    client.raw(&[2, 0xff, 0xff]);
    let reply = client.reply();
    assert_eq!(
        (reply.id, reply.error.to_string().as_str()),
        (Cell::Nil, ":FORMAT")
    );
    client.ping(9);
    client.send(&Message::Goodbye { message: None });
    assert!(client.is_closed());
}

#[test]
fn data_requests_are_answered_from_the_store_and_wait_for_one() {
    let netd = Netd::start(settings());
    let mut client = netd.client();
    let large = Cell::from("a".repeat(300).as_str());
    let small = Cell::Long(5);
    let request = |id| {
        Message::DataRequest(DataRequest {
            id: Cell::Long(id),
            hashes: vec![large.hash(), Hash([9; 32]), small.hash()],
        })
    };
    client.send(&request(1));
    let store = netd.store(&[large.clone(), small.clone()]);
    let expected: Vector = [large.clone(), Cell::Nil, small.clone()]
        .into_iter()
        .collect();
    assert_eq!(client.reply(), Reply::ok(1, Cell::from(expected.clone())));
    for id in 2..50 {
        client.send(&request(id));
    }
    for id in 2..50 {
        assert_eq!(client.reply(), Reply::ok(id, Cell::from(expected.clone())));
    }
    drop(store);
    // A store of another run takes its place.
    let other = Cell::from("b".repeat(300).as_str());
    let _store = netd.store(std::slice::from_ref(&other));
    let request = DataRequest {
        id: Cell::Nil,
        hashes: vec![other.hash()],
    };
    let reply = client.ask(&Message::DataRequest(request));
    let expected: Vector = [other].into_iter().collect();
    assert_eq!((reply.id, reply.value), (Cell::Nil, Cell::from(expected)));
    assert_eq!(netd.count("data_requests"), 50);
}

#[test]
fn queries_and_transactions_go_to_consensus_and_come_back_to_who_asked() {
    let mut netd = Netd::start(settings());
    let mut consensus = netd.consensus();
    let mut clients: Vec<_> = (0..5).map(|_| netd.client()).collect();
    for (i, client) in (0..).zip(&mut clients) {
        // The same ids everywhere.
        client.send(&query(1, &format!("q{i}")));
        client.send(&transact(2, 10));
    }
    let mut seen = Vec::new();
    for _ in 0..10 {
        let (connection, body) = consensus.message();
        seen.push((connection, body));
    }
    seen.reverse();
    for (connection, body) in &seen {
        let value = match Message::decode(body, &cells::Decoder::new())
            .unwrap()
            .unwrap()
        {
            Message::Query { form, .. } => form,
            Message::Transact { transaction, .. } => transaction.value().unwrap(),
            other => panic!("{other:?}"),
        };
        consensus.reply(*connection, &Reply::ok(id_of(body), value));
    }
    for (i, client) in clients.iter_mut().enumerate() {
        let mut replies = [client.reply(), client.reply()];
        replies.sort_by_key(|reply| reply.id.to_string());
        assert_eq!(
            replies[0],
            Reply::ok(1, Cell::from(format!("q{i}").as_str()))
        );
        assert_eq!(
            replies[1],
            Reply::ok(2, Cell::from("t".repeat(10).as_str()))
        );
    }
    assert_eq!(netd.count("replies"), 10);
    assert_eq!(netd.count("asked"), 0);
}

#[test]
fn a_reply_to_a_connection_that_is_gone_is_dropped() {
    let mut netd = Netd::start(settings());
    let mut consensus = netd.consensus();
    let mut client = netd.client();
    client.send(&query(1, "x"));
    let (connection, _) = consensus.message();
    drop(client);
    netd.wait_for_count("closed_by_other", 1);
    consensus.reply(connection, &Reply::ok(1, Cell::Nil));
    netd.wait_for_count("replies_unasked", 1);
    // Nobody asked either.
    let mut client = netd.client();
    client.ping(1);
    for connection in 0..1000 {
        consensus.reply(connection << 25, &Reply::ok(1, Cell::Nil));
    }
    client.send(&query(7, "y"));
    let (connection, _) = consensus.message();
    consensus.reply(connection, &Reply::ok(7, Cell::Long(1)));
    consensus.reply(connection, &Reply::ok(7, Cell::Long(2)));
    assert_eq!(client.reply(), Reply::ok(7, Cell::Long(1)));
    client.ping(8);
}

#[test]
fn a_belief_starts_a_proof_whose_answer_gives_trust() {
    let mut netd = Netd::start(settings());
    let mut consensus = netd.consensus();
    let mut client = netd.client();
    // A belief without orders: consensus looks at it, not we.
    let belief = [0xd4, 1, 0x20]
        .iter()
        .copied()
        .chain([0; 32])
        .collect::<Vec<u8>>();
    let framed = wire::frame(&belief).unwrap();
    client.raw(&framed);
    let mut wants = None;
    let mut beliefs = 0;
    while wants.is_none() || beliefs == 0 {
        match consensus.receive() {
            FromNet::WantChallenge { connection } => wants = Some(connection),
            FromNet::Message { body, trusted, .. } => {
                assert_eq!((body.into_vec(), trusted), (belief.clone(), None));
                beliefs += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    let connection = wants.unwrap();
    let key = crypto::SigningKey::from_seed(&[3; 32]);
    let value = Cell::from(["token"].into_iter().map(Cell::from).collect::<Vector>());
    let signed = cells::Signed::new(key.account_key(), key.sign(&value.encode()), value);
    consensus.send(&ToNet::Challenge {
        connection,
        signed: Some(Bytes::from(Cell::from(signed.clone()).encode())),
    });
    let body = client.receive();
    let Message::Challenge { id, .. } = Message::decode(&body, &cells::Decoder::new())
        .unwrap()
        .unwrap()
    else {
        panic!("no challenge");
    };
    client.send(&Message::Result(Reply::ok(id, Cell::from(signed))));
    let (of, proof) = consensus.message();
    assert_eq!((of, id_of(&proof)), (connection, id));
    consensus.send(&ToNet::Verified {
        connection,
        key: Some([3; 32]),
    });
    // Once more a belief, until the word of consensus has arrived.
    loop {
        client.raw(&framed);
        match consensus.receive() {
            FromNet::Message {
                trusted: Some(key), ..
            } => {
                assert_eq!(key, [3; 32]);
                break;
            }
            FromNet::Message { trusted: None, .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_challenge_is_passed_on_as_a_message_and_answered_by_consensus() {
    let mut netd = Netd::start(settings());
    let mut consensus = netd.consensus();
    let mut client = netd.client();
    let key = crypto::SigningKey::from_seed(&[3; 32]);
    let value = signing::challenge::challenge(&Hash([1; 32]), None, &Hash(common::NETWORK));
    let signed = cells::Signed::new(key.account_key(), key.sign(&value.encode()), value);
    let message = Message::Challenge { id: 4, signed };
    client.send(&message);
    let (connection, body) = loop {
        match consensus.receive() {
            FromNet::Message {
                connection, body, ..
            } => break (connection, body.into_vec()),
            FromNet::WantChallenge { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        Message::decode(&body, &cells::Decoder::new())
            .unwrap()
            .unwrap(),
        message
    );
    consensus.reply(connection, &Reply::ok(4, Cell::Nil));
    assert_eq!(client.reply(), Reply::ok(4, Cell::Nil));
    // For another network: refused here.
    let value = signing::challenge::challenge(&Hash([1; 32]), None, &Hash([0; 32]));
    let signed = cells::Signed::new(key.account_key(), key.sign(&value.encode()), value);
    let reply = client.ask(&Message::Challenge { id: 5, signed });
    assert_eq!(reply.error.to_string(), ":TRUST");
}
