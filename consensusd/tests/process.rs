//! The real process in its real sandbox, between a real signer, a real store, and a netd that may be hostile.

mod support;

#[path = "support/process.rs"]
mod process;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use cells::{Cell, Signed};
use ipc::net::{FromNet, ToNet};
use ipc::supervision::{AlarmKind, FromWorker, ToWorker};
use process::Peer;
use sandbox::Ended;
use signing::challenge::{challenge, proven_key};
use support::{STAKE, account_key, genesis, peer_key, transfer, user_key};
use wire::{Message, Status};

fn peer() -> Peer {
    Peer::new(&genesis(10, &[STAKE]), peer_key(0))
}

#[test]
fn a_transaction_goes_in_and_its_result_comes_out() {
    let mut peer = peer();
    let consensusd = peer.start();
    let mut netd = peer.netd(&consensusd);
    let mut fastest = u128::MAX;
    for sequence in 1..=20 {
        let began = Instant::now();
        netd.transact(1, sequence, &transfer(0, sequence, 2, 5));
        let (connection, reply) = netd.reply();
        fastest = fastest.min(began.elapsed().as_millis());
        assert_eq!((connection, &reply.id), (1, &Cell::Long(sequence)));
        assert!(reply.error.is_nil(), "{reply:?}");
        assert_eq!(reply.value, Cell::Long(5));
    }
    // No tick is waited for.
    assert!(fastest < 20, "{fastest} ms");
    let status = consensusd.status();
    assert_eq!(status.executed, 20);
    let executed = ("transactions_executed".to_owned(), 20);
    assert!(consensusd.counters().contains(&executed));
    assert!(status.signing, "{:?}", status.hindrance);
    consensusd.kill();
}

#[test]
fn queries_see_what_was_executed() {
    let peer_key = peer_key(0);
    let own = peer_key.account_key().to_bytes();
    let users = user_key(0);
    let keys = users.account_key().to_bytes();
    let parameters = cvm::genesis::Parameters::new(keys, keys, &[own]);
    let mut state = cvm::genesis::genesis(&parameters).unwrap();
    let mut peer = Peer::new(&state.to_cell().unwrap(), peer_key);
    let consensusd = peer.start();
    let mut netd = peer.netd(&consensusd);
    let read = |source: &str| cvm::reader::read(source).unwrap();
    let invoke = cells::Record::of_kind(
        cells::RecordKind::Invoke,
        [Cell::Address(11), Cell::Long(1), read("(def answer 42)")],
    );
    netd.transact(1, 1, &Signed::sign(&users, Cell::from(invoke)));
    let (_, reply) = netd.reply();
    assert!(reply.error.is_nil(), "{reply:?}");
    let query = |id, form, address| Message::Query { id, form, address };
    netd.send(4, &query(2, read("(+ answer 1)"), None));
    let (connection, reply) = netd.reply();
    assert_eq!((connection, reply.value.clone()), (4, Cell::Long(43)));
    assert!(reply.info.to_string().contains(":source :PEER"));
    netd.send(4, &query(3, Cell::Long(7), Some(1_000)));
    let (_, reply) = netd.reply();
    assert_eq!(reply.error.to_string(), ":NOBODY");
    assert_eq!(reply.value, Cell::from("Query for non-existant account"));
    consensusd.kill();
}

#[test]
fn what_was_acknowledged_outlives_kills() {
    let mut peer = peer();
    let mut sequence = 0;
    for round in 0..4 {
        let consensusd = peer.start();
        assert_eq!(consensusd.status().executed, sequence as u64, "{round}");
        let mut netd = peer.netd(&consensusd);
        for _ in 0..5 {
            sequence += 1;
            netd.transact(1, sequence, &transfer(0, sequence, 2, 5));
            let (_, reply) = netd.reply();
            assert!(reply.error.is_nil(), "{reply:?}");
        }
        // The same again is old.
        netd.transact(1, 99, &transfer(0, sequence, 2, 5));
        assert_eq!(netd.reply().1.value, Cell::from("Old sequence number"));
        consensusd.kill();
    }
}

#[test]
fn challenges_are_answered_and_asked() {
    let mut peer = peer();
    let consensusd = peer.start();
    let network = genesis(10, &[STAKE]).hash();
    let mut netd = peer.netd(&consensusd);
    let token = cells::Hash([9; 32]);
    let asker = user_key(3);
    let asked = Signed::sign(&asker, challenge(&token, Some(&account_key(0)), &network));
    let message = |signed| Message::Challenge { id: 5, signed };
    netd.send(8, &message(asked.clone()));
    let (connection, reply) = netd.reply();
    let Cell::Signed(answer) = reply.value else {
        panic!("{reply:?}");
    };
    assert_eq!(connection, 8);
    let proven = proven_key(&answer, &token, &asker.account_key(), &network);
    assert_eq!(proven, Some(account_key(0)));
    // With a wrong signature, and for another peer, there is no answer.
    let forged = Signed::new(
        asker.account_key(),
        *answer.signature(),
        asked.value().unwrap(),
    );
    netd.send(8, &message(forged));
    assert_eq!(netd.reply().1.error.to_string(), ":TRUST");
    let other = challenge(&token, Some(&account_key(1)), &network);
    netd.send(8, &message(Signed::sign(&asker, other)));
    assert_eq!(netd.reply().1.value, Cell::from("Wrong target key"));

    netd.link
        .sender
        .send(&FromNet::WantChallenge { connection: 9 })
        .unwrap();
    let encoding = loop {
        if let ToNet::Challenge { connection, signed } = netd.hear() {
            assert_eq!(connection, 9);
            break signed.unwrap();
        }
    };
    let ours = signing::challenge::ReceivedChallenge::parse(&encoding).unwrap();
    assert!(ours.is_genuine());
    let answer = Signed::sign(&peer_key(0), ours.answer());
    netd.send(9, &Message::Result(wire::Reply::ok(1, Cell::from(answer))));
    loop {
        if let ToNet::Verified { connection, key } = netd.hear() {
            assert_eq!((connection, key), (9, Some(account_key(0).to_bytes())));
            break;
        }
    }
    consensusd.kill();
}

#[test]
fn status_tells_the_network_and_the_points() {
    let mut peer = peer();
    let consensusd = peer.start();
    let mut netd = peer.netd(&consensusd);
    netd.transact(1, 1, &transfer(0, 1, 2, 5));
    loop {
        if let ToNet::Status(value) = netd.hear() {
            let value = cells::decode_message(&value, &cells::Decoder::new()).unwrap();
            let status = Status::read(&value).unwrap();
            assert_eq!(status.genesis, genesis(10, &[STAKE]).hash());
            assert_eq!(status.peer, account_key(0));
            if status.points == [1, 1, 1, 1] {
                break;
            }
        }
    }
    consensusd.kill();
}

#[test]
fn a_hostile_netd_loses_its_channel_and_nothing_else() {
    let mut peer = peer();
    let consensusd = peer.start();
    let mut netd = peer.netd(&consensusd);
    // Bodies that are no messages, claims of trust for nobody, answers that nobody asked for.
    let bodies: [&[u8]; 6] = [
        &[],
        &[0xff; 40],
        &[0xd4, 0x01, 0x84, 0xff],
        &[0x90; 200],
        &[0x80, 0x03, 0x33, 0x02, 0x43, 0x48, 0x11, 0x01, 0x00],
        &[0xdd, 0x05, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00],
    ];
    for body in bodies {
        let message = FromNet::Message {
            connection: 3,
            trusted: Some([0xaa; 32]),
            body: body.to_vec().into(),
        };
        netd.link.sender.send(&message).unwrap();
        let answered = FromNet::Answered {
            ticket: 7,
            answer: Ok(body.to_vec().into()),
        };
        netd.link.sender.send(&answered).unwrap();
        let challenged = FromNet::Challenged {
            connection: 4,
            id: 1,
            signed: body.to_vec().into(),
        };
        netd.link.sender.send(&challenged).unwrap();
    }
    netd.link
        .sender
        .send(&FromNet::Closed { connection: 77 })
        .unwrap();
    netd.transact(1, 1, &transfer(0, 1, 2, 5));
    while netd.reply().0 != 1 {}
    // A frame longer than any message.
    (&netd.raw).write_all(&[0xff; 64]).unwrap();
    assert_eq!(consensusd.hear_ended(), ipc::Channel::Net);
    let text = consensusd.hear_alarm(AlarmKind::Channel);
    assert!(text.contains("Net"), "{text}");
    let mut rest = Vec::new();
    let _ = (&netd.raw).read_to_end(&mut rest);
    let mut again = peer.netd(&consensusd);
    again.transact(2, 2, &transfer(0, 2, 2, 5));
    let (connection, reply) = again.reply();
    assert!(connection == 2 && reply.error.is_nil(), "{reply:?}");
    consensusd.assert_alive();
    consensusd.kill();
}

#[test]
fn what_was_accepted_is_done_before_an_orderly_end() {
    let mut peer = peer();
    let consensusd = peer.start();
    let mut netd = peer.netd(&consensusd);
    netd.transact(1, 1, &transfer(0, 1, 2, 5));
    assert!(netd.reply().1.error.is_nil());
    consensusd.tell(&ToWorker::Stop { within: 10_000 });
    assert_eq!(consensusd.child.wait().unwrap(), Ended::Exited(0));
    let consensusd = peer.start();
    assert_eq!(consensusd.status().executed, 1);
    // The end of the supervisor is the end of the worker.
    drop(consensusd.supervisor);
    assert_eq!(consensusd.child.wait().unwrap(), Ended::Exited(0));
}

#[test]
fn wrong_circumstances_are_told_with_their_remedy() {
    let ends = |peer: &mut Peer| {
        let consensusd = peer.spawn();
        let mut words = String::new();
        while let Some(message) = consensusd.hear_or_end() {
            if let FromWorker::Fatal(text) = message {
                words = text;
            }
        }
        (consensusd.child.wait().unwrap(), words)
    };
    let mut other = peer();
    other.settings.network = [1; 32];
    let (ended, words) = ends(&mut other);
    assert_eq!(ended, Ended::Exited(78));
    assert!(words.contains("configured network"), "{words}");
    let by_hand = Command::new(env!("CARGO_BIN_EXE_consensusd"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(by_hand.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&by_hand.stderr).contains("convexctl"));
}
