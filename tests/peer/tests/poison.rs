//! Clients that send what voids a whole block in the reference (`spec/04 §11`), beside honest ones, who lose nothing by it.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use cells::{Cell, Decoder, Keyword, Record, RecordKind, Signed, Vector, decode_cell};
use client::Client;
use peer_tests::chain::{Cells, own_order, replay};
use peer_tests::files::Files;
use peer_tests::honest::{self, Told};
use peer_tests::running::{self, PATIENCE, Running, connect};
use peer_tests::users::{self, Users, invoke, transfer};

/// Honest clients.
const HONEST: usize = 4;
/// The poisoners.
const POISONERS: std::ops::Range<usize> = 50..53;
/// Times that each poisoner sends everything.
const ROUNDS: usize = 12;
/// Ops that are host faults when they are executed.
const OPS: [&str; 6] = [
    "cd1101c0b01101",
    "c20000",
    "c280013201781101",
    "c0ba00",
    "c10000",
    "c1c0b0ea0800",
];
/// Forms that are host faults: a function without metadata is asked about or called, and, with `t` a vector that holds a view,
/// what appends to it.
const FORMS: [&str; 4] = [
    "(do (def f (fn [] 1)) (callable? *address* 'f))",
    "(do (def f (fn [] 1)) (call *address* (f)))",
    "(into [] t)",
    "(slice t 16 47)",
];

fn record(kind: RecordKind, fields: impl IntoIterator<Item = Cell>) -> Cell {
    Cell::from(Record::of_kind(kind, fields))
}

/// A form, with `t` bound to the concatenation of a quoted and a literal vector.
fn form(source: &str) -> Cell {
    let numbers = |n: u32| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(" ");
    let source = format!(
        "(let [t (concat (quote [{}]) [{}])] {source})",
        numbers(32),
        numbers(48)
    );
    cvm::reader::read(&source).expect("a form")
}

/// A call transaction: it loses its arguments on the way.
fn call(from: u64, sequence: i64) -> Cell {
    record(
        RecordKind::Call,
        [
            Cell::Address(from),
            Cell::Long(sequence),
            Cell::Address(8),
            Cell::Long(0),
            Cell::from(Keyword::literal("f")),
            Cell::from(Vector::empty()),
        ],
    )
}

fn multi(from: u64, sequence: i64, children: Cell) -> Cell {
    let head = [Cell::Address(from), Cell::Long(sequence), Cell::Long(0)];
    record(RecordKind::Multi, head.into_iter().chain([children]))
}

fn vector(cells: impl IntoIterator<Item = Cell>) -> Cell {
    Cell::from(cells.into_iter().collect::<Vector>())
}

/// One of everything.
fn poisons(from: u64, sequence: i64) -> Vec<Cell> {
    let to_a_number = [
        Cell::Address(from),
        Cell::Long(sequence),
        Cell::Long(7),
        Cell::Long(1),
    ];
    let mut all = vec![
        call(from, sequence),
        record(RecordKind::Transfer, to_a_number),
        multi(from, sequence, Cell::Nil),
        multi(from, sequence, Cell::Long(1)),
        multi(from, sequence, vector([Cell::Long(1)])),
        multi(
            from,
            sequence,
            vector([transfer(from, 1, from, 1), call(from, 1)]),
        ),
        Cell::Long(sequence),
    ];
    for op in OPS {
        let bytes = hex::decode(op).expect("hex");
        let op = decode_cell(&bytes, &Decoder::new()).expect("an op");
        all.push(invoke(from, sequence, op));
    }
    all.extend(FORMS.map(|source| invoke(from, sequence, form(source))));
    all
}

/// Everything, so many times; how many were refused.
fn poison(files: &Files, users: &Users, user: usize) -> usize {
    let mut client = connect(files);
    let from = users.address(user);
    let mut refused = 0;
    for round in 0..ROUNDS {
        let sequence = honest::sequence(&mut client, from);
        let next = sequence.expect("an answer").expect("a number") + 1;
        for transaction in poisons(from, next) {
            let signed = users.signed(user, transaction.clone());
            let reply = client.transact(signed).expect("an answer");
            assert_ne!(reply.error, Cell::Nil, "{transaction}: {:?}", reply.value);
            refused += 1;
        }
        // All at once, and behind them what can be executed.
        let mut ids = Vec::new();
        for transaction in poisons(from, next) {
            let transaction = users.signed(user, transaction);
            let message = |id| wire::Message::Transact { id, transaction };
            ids.push(client.send(message).expect("sent"));
        }
        let good = transfer(from, next, users.address(0), 5 + round as i64);
        let paid = client
            .transact(users.signed(user, good))
            .expect("an answer");
        assert_eq!(paid.error, Cell::Nil, "{:?}", paid.value);
        for id in ids {
            let reply = client.receive(id).expect("an answer");
            assert_ne!(reply.error, Cell::Nil);
            refused += 1;
        }
        without_key(files, users, user, next + 1);
    }
    refused
}

/// Sends a transaction whose signed form has no key (tag `91`).
fn without_key(files: &Files, users: &Users, user: usize, sequence: i64) {
    let signed: Signed = users.transfer(user, sequence);
    let key = signed.key().expect("a key").to_bytes();
    let message = wire::Message::Transact {
        id: 1,
        transaction: signed,
    };
    let bytes = message.encode().expect("in memory");
    let at = bytes.windows(32).position(|part| part == key);
    let at = at.expect("the key");
    let mut short = bytes[..at - 1].to_vec();
    short.push(0x91);
    short.extend_from_slice(&bytes[at + 32..]);
    let mut stream = TcpStream::connect(files.endpoint()).expect("a connection");
    stream
        .write_all(&wire::frame(&short).expect("a frame"))
        .expect("sent");
    // Answered or not: the peer still answers what comes after.
    let mut client = Client::over(stream, Duration::from_secs(20)).expect("a connection");
    client.status().expect("a status");
}

#[test]
fn what_voids_a_block_costs_nobody_else_a_transaction() {
    let mut genesis = users::fresh();
    let files = Files::temporary(&mut genesis).expect("files");
    let (peer, _) = Running::start(&files, &[]).expect("a peer");
    let (stop, succeeded) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (sender, events) = channel();
    let (told, refused): (Vec<Told>, usize) = std::thread::scope(|scope| {
        let honest: Vec<_> = (0..HONEST)
            .map(|user| {
                let (users, sender, endpoint) =
                    (genesis.users.clone(), sender.clone(), files.endpoint());
                let (stop, succeeded) = (&stop, &succeeded);
                scope.spawn(move || honest::work(&endpoint, &users, user, stop, succeeded, &sender))
            })
            .collect();
        let poisoners: Vec<_> = POISONERS
            .map(|user| {
                let (users, files) = (genesis.users.clone(), &files);
                scope.spawn(move || poison(files, &users, user))
            })
            .collect();
        let refused: Vec<_> = poisoners
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        while events.try_recv().is_ok() {}
        let goes_on = (0..100).all(|_| events.recv_timeout(PATIENCE).is_ok());
        stop.store(true, Ordering::Relaxed);
        let told = honest
            .into_iter()
            .map(|client| client.join().expect("an honest client"))
            .collect();
        assert!(goes_on, "{}", running::log_of(&files));
        let refused = refused.into_iter().map(|n| n.expect("a poisoner")).sum();
        (told, refused)
    });
    let done: usize = told.iter().map(|told| told.acknowledged.len()).sum();
    println!("{done} honest transactions beside {refused} that were refused");
    for told in &told {
        assert_eq!(told.unclear, 0, "an honest transaction was sent in vain");
    }
    let order = own_order(&mut connect(&files), &Cells::default());
    let order = order.expect("an answer").expect("an order");
    let replayed = replay(&genesis.state.to_cell().expect("in memory"), &order);
    assert_eq!(replayed.invalid, 0, "no block is without effect");
    let status = connect(&files).status().expect("a status");
    assert_eq!(replayed.state, status.state);
    assert!(peer.stop().is_some_and(|status| status.success()));
}
