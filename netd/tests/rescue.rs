//! The courier of a rescue, with a peer that the tests play.

mod common;

use std::net::TcpListener;

use cells::{Cell, Decoder};
use common::{Client, Netd, transact};
use ipc::Bytes;
use ipc::supervision::{FromWorker, Ready, RescueSettings, Settings, ToWorker};
use wire::{Code, Message, Reply};

fn courier(target: &str, within: u32) -> Netd {
    let Message::Transact { transaction, .. } = transact(0, 10) else {
        panic!("no transaction");
    };
    let settings = RescueSettings {
        target: target.to_owned(),
        transaction: Bytes::from(Cell::from(transaction).encode()),
        check: "(:stake (get-in *state* [:peers 0x01]))".to_owned(),
        expected: "0".to_owned(),
        within,
        demands: "seccomp".to_owned(),
    };
    let nowhere = "127.0.0.1:1".parse().unwrap();
    Netd::spawn(
        Settings::Rescue(settings),
        &["--role", "rescue"],
        &[],
        nowhere,
    )
}

fn outcome(netd: &mut Netd) -> (String, bool, bool) {
    assert!(matches!(netd.receive(), FromWorker::Sandboxed(_)));
    loop {
        match netd.receive() {
            FromWorker::Ready(Ready::Rescue {
                outcome,
                answered,
                confirmed,
            }) => {
                assert_eq!(netd.ended(), sandbox::Ended::Exited(0));
                return (outcome, answered, confirmed);
            }
            FromWorker::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn message(peer: &mut Client) -> Message {
    Message::decode(&peer.receive(), &Decoder::new())
        .unwrap()
        .unwrap()
}

#[test]
fn a_transaction_is_carried_and_its_effect_confirmed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // A name that needs no name server, and an address that does not answer before the one that does.
    let mut netd = courier(&format!("localhost:{port}"), 20_000);
    let mut peer = Client::over(listener.accept().unwrap().0);
    let Message::Transact { id, transaction } = message(&mut peer) else {
        panic!("no transaction");
    };
    let Message::Transact {
        transaction: expected,
        ..
    } = transact(0, 10)
    else {
        panic!("no transaction");
    };
    assert_eq!(
        Cell::from(transaction).encode(),
        Cell::from(expected).encode()
    );
    netd.order(&ToWorker::Ping(4));
    peer.send(&Message::Result(Reply::ok(id, Cell::Nil)));
    for answer in [5, 0] {
        let Message::Query { id, form, address } = message(&mut peer) else {
            panic!("no query");
        };
        assert_eq!(address, None);
        assert_eq!(form.to_string(), "(:stake (get-in *state* [:peers 0x01]))");
        peer.send(&Message::Result(Reply::ok(id, Cell::Long(answer))));
    }
    assert_eq!(outcome(&mut netd), ("0".to_owned(), true, true));
}

#[test]
fn refusals_silence_and_broken_peers_are_told() {
    // Refused, and the question never shows it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut netd = courier(&target, 1_500);
    let mut peer = Client::over(listener.accept().unwrap().0);
    message(&mut peer);
    peer.send(&Message::Result(Reply::rejected(0, Code::State, "no")));
    while let Some(body) = peer.try_receive() {
        let id = common::id_of(&body);
        peer.send(&Message::Result(Reply::ok(id, Cell::Long(9))));
    }
    assert_eq!(outcome(&mut netd), ("9".to_owned(), true, false));
    // Silent.
    let mut netd = courier(&target, 500);
    let silent = listener.accept().unwrap();
    assert_eq!(
        outcome(&mut netd),
        ("no answer in time".to_owned(), false, false)
    );
    drop(silent);
    // Garbage.
    let mut netd = courier(&target, 20_000);
    let mut peer = Client::over(listener.accept().unwrap().0);
    peer.raw(&[0x80, 1, 2, 3]);
    let (text, answered, confirmed) = outcome(&mut netd);
    assert!(
        text.contains("starts with zeros") && !answered && !confirmed,
        "{text}"
    );
    // Gone.
    let mut netd = courier(&target, 20_000);
    drop(listener.accept().unwrap());
    let (text, answered, confirmed) = outcome(&mut netd);
    assert!(!answered && !confirmed, "{text}");
    // Nobody there at all.
    drop(listener);
    let mut netd = courier(&target, 20_000);
    let (text, answered, confirmed) = outcome(&mut netd);
    assert!(
        text.contains("refused") && !answered && !confirmed,
        "{text}"
    );
    let mut netd = courier("no host", 20_000);
    assert!(outcome(&mut netd).0.contains("no host"));
}

#[test]
fn it_ends_when_it_is_told_to_or_its_supervisor_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut netd = courier(&target, 60_000);
    let peer = listener.accept().unwrap();
    netd.order(&ToWorker::Stop { within: 1_000 });
    assert_eq!(netd.ended(), sandbox::Ended::Exited(0));
    let netd = courier(&target, 60_000);
    let other = listener.accept().unwrap();
    drop(netd);
    drop((peer, other));
}
