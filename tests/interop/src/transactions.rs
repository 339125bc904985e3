//! Random transactions, described so that they can be made again from another state: sequences are relative, signers
//! are looked up.

use std::fmt;

use cells::{Cell, Keyword, Record, RecordKind, Signed, Symbol, Vector};
use crypto::SigningKey;
use cvm::state::State;
use cvm::{Context, Machine, Start};

use crate::form::Form;
use crate::program::{Generator, Kind};
use crate::rng::Rng;

/// Labels of the keys of the shared genesis and of its users (`vectors/README.md`).
const LABELS: &[&str] = &[
    "peer0",
    "peer1",
    "peer2",
    "peer3",
    "governance",
    "genesis",
    "user0",
    "user1",
    "user2",
    "nopeer",
];
/// How many of the labels, from the first, are peers.
const PEERS: usize = 4;

/// Signing keys that accounts of the chain have or may get.
pub struct Keys(Vec<([u8; 32], SigningKey)>);

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

impl Keys {
    /// The keys of all labels.
    #[must_use]
    pub fn new() -> Self {
        let key = |label: &&str| {
            let label = format!("convex-vectors-shared/{label}");
            let key = SigningKey::from_seed(&crypto::sha3_256(label.as_bytes()));
            (*key.account_key().as_bytes(), key)
        };
        Self(LABELS.iter().map(key).collect())
    }

    /// The request for a genesis with these keys.
    #[must_use]
    pub fn genesis_request(&self) -> String {
        let keys = [4, 5].into_iter().chain(0..PEERS);
        let words: Vec<_> = keys.map(|i| hex::encode(self.0[i].0)).collect();
        format!("genesis {}", words.join(" "))
    }

    /// A key by its number, any number.
    #[must_use]
    pub fn get(&self, i: usize) -> &SigningKey {
        &self.0[i % self.0.len()].1
    }

    fn of(&self, public: &[u8; 32]) -> Option<&SigningKey> {
        self.0
            .iter()
            .find(|(key, _)| key == public)
            .map(|(_, key)| key)
    }

    /// Public key as source text.
    fn text(&self, i: usize) -> String {
        format!("0x{}", hex::encode(self.0[i % self.0.len()].0))
    }
}

/// Who signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The key of the origin's account.
    Own,
    /// The key with this number.
    Other(usize),
    /// The origin's key, but the signature is that of something else.
    Forged,
}

/// Coppers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// This many.
    Exactly(i64),
    /// The origin's balance, and this many more.
    Balance(i64),
}

/// What a transaction does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Runs a program.
    Invoke(Form),
    /// Runs a program that was compiled before.
    Compiled(Form),
    /// Moves coins to what the form evaluates to when read.
    Transfer(Form, Amount),
    /// Calls an actor, which doesn't work.
    Call(u64, Amount),
    /// Runs several.
    Multi(i64, Vec<Sent>),
    /// A value that is no transaction.
    Odd(Form),
}

/// One transaction.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Account it acts for.
    pub origin: u64,
    /// Who signs.
    pub signer: Signer,
    /// Sequence, relative to the right one.
    pub off_by: i64,
    /// What it does.
    pub action: Action,
}

fn origin(rng: &mut Rng) -> u64 {
    match rng.below(24) {
        0 => [0, 8, 9, 64, 66, 16, 9999][rng.below(7)],
        1 | 2 => rng.between(2, 7) as u64,
        3..=6 => rng.between(17, 20) as u64,
        7..=10 => rng.between(132, 136) as u64,
        11..=14 => rng.between(13, 15) as u64,
        15..=17 => 11,
        _ => 12,
    }
}

fn amount(rng: &mut Rng) -> Amount {
    match rng.below(14) {
        0 => Amount::Exactly(rng.pick_long(&[
            -1,
            i64::MIN,
            i64::MAX,
            1_000_000_000_000_000_000,
            1_000_000_000_000_000_001,
        ])),
        1 => Amount::Balance(0),
        2 => Amount::Balance(-(rng.magnitude(20) as i64)),
        3 => Amount::Balance(1),
        4 => Amount::Exactly(0),
        5..=8 => Amount::Exactly(rng.magnitude(18) as i64),
        _ => Amount::Exactly(rng.magnitude(47) as i64),
    }
}

/// A program that does to the state what transactions are for.
fn program(rng: &mut Rng, keys: &Keys) -> Form {
    let key = keys.text(rng.below(LABELS.len()));
    let small = rng.magnitude(20).to_string();
    let text = match rng.below(24) {
        0 => format!("(create-account {key})"),
        1 => format!("(transfer (create-account {key}) {})", rng.magnitude(40)),
        2 => format!("(set-key {key})"),
        3 => format!("(set-stake {} {})", keys.text(rng.below(PEERS)), rng.pick(&["0", "1000", "1000000000000", "5000000000"])),
        4 => format!("(set-peer-stake {} {})", keys.text(rng.below(PEERS)), rng.pick(&["0", "1000", "1000000000000", "49950000000000", "60000000000000"])),
        5 => format!("(create-peer {key} {})", rng.pick(&["0", "1000", "1000000000000", "2000000000000"])),
        6 => format!("(evict-peer {key})"),
        7 => format!("(set-peer-data {key} {{:url \"host{small}\"}})"),
        8 | 9 => format!("(schedule (+ *timestamp* {}) (do (def s{} *timestamp*) (transfer #11 1) (log *juice*)))", rng.magnitude(14), rng.below(3)),
        10 => format!("(schedule (+ *timestamp* {}) (fail :X))", rng.magnitude(12)),
        11 => format!("(set-memory {})", rng.magnitude(15)),
        12 => format!("(def big{} (loop [i 0 s \"0123456789abcdef\"] (if (< i {}) (recur (inc i) (str s s)) s)))", rng.below(3), rng.below(10)),
        13 => format!("(dotimes [i {}] (def acc i) (log i))", rng.below(9)),
        14 => format!("(set-controller #{})", rng.between(11, 15)),
        15 => format!("(loop [] (do {small} (recur)))"),
        16 => format!("(do (def ac0 (deploy '(do (defn ^:callable receive-coin [a b c] (accept (div *offer* {}))) (defn ^:callable f [x] (accept *offer*) (def n x) [*caller* *offer* *balance*])))) (transfer ac0 {small}))", rng.between(1, 3)),
        17 => format!("(transfer #{} {})", rng.between(11, 20), rng.magnitude(44)),
        18 => format!("(transfer #{} (- *balance* {}))", rng.between(11, 20), rng.magnitude(24)),
        19 => "[*location* *peer* *signer* *sequence* *timestamp* *memory* *balance* *juice-limit* *memory-price*]".to_owned(),
        20 => format!("(schedule (+ *timestamp* 5) (schedule (+ *timestamp* {small}) (def again *location*)))"),
        21 => return Generator::new(rng, 8).form(Kind::Any, 1),
        _ => return Generator::new(rng, 60).steps(),
    };
    Form::atom(text)
}

impl Sent {
    /// Any transaction.
    pub fn random(rng: &mut Rng, keys: &Keys, depth: usize) -> Self {
        let action = match rng.below(40) {
            0 if rng.chance(40) => Action::Call(rng.between(11, 133) as u64, amount(rng)),
            1 if rng.chance(15) => Action::Odd(Form::atom(rng.pick(&[
                "1",
                "nil",
                "[]",
                "#[d0030a00]",
                "#[d103ea0b110100]",
            ]))),
            2..=5 if depth > 0 => {
                let mode = rng.below(4) as i64;
                let children = (0..rng.below(4))
                    .map(|_| Self::random(rng, keys, depth - 1))
                    .collect();
                Action::Multi(mode, children)
            }
            6..=12 => {
                let target = match rng.below(30) {
                    0 if rng.chance(30) => "nil".to_owned(),
                    1 | 2 => format!("#{}", rng.pick(&["0", "8", "64", "72", "9999"])),
                    3..=9 => format!("#{}", rng.between(132, 137)),
                    10..=19 => format!("#{}", rng.between(17, 20)),
                    _ => format!("#{}", rng.between(11, 15)),
                };
                Action::Transfer(Form::atom(target), amount(rng))
            }
            13..=17 => Action::Compiled(program(rng, keys)),
            _ => Action::Invoke(program(rng, keys)),
        };
        let (signer, off_by) = match rng.below(25) {
            0 => (Signer::Other(rng.below(LABELS.len())), 0),
            1 => (Signer::Own, rng.pick_long(&[-1, 1, 5, i64::MIN])),
            2 => (Signer::Forged, 0),
            _ => (Signer::Own, 0),
        };
        Self {
            origin: origin(rng),
            signer,
            off_by,
            action,
        }
    }

    /// The record, for a given sequence.
    fn record(
        &self,
        state: &State,
        machine: &mut Machine,
        scratch: &mut State,
        sequence: i64,
    ) -> Cell {
        let balance = state
            .account(self.origin)
            .ok()
            .flatten()
            .map_or(0, |a| a.balance);
        let coppers = |amount: Amount| match amount {
            Amount::Exactly(n) => n,
            Amount::Balance(n) => balance.saturating_add(n),
        };
        let read = |form: &Form| cvm::reader::read(&form.to_string()).unwrap_or(Cell::Nil);
        let mut fields = vec![Cell::Address(self.origin), Cell::Long(sequence)];
        let kind = match &self.action {
            Action::Odd(form) => return read(form),
            Action::Invoke(form) => {
                fields.push(read(form));
                RecordKind::Invoke
            }
            Action::Compiled(form) => {
                fields.push(compiled(machine, scratch, &read(form)));
                RecordKind::Invoke
            }
            Action::Transfer(target, amount) => {
                fields.extend([read(target), Cell::Long(coppers(*amount))]);
                RecordKind::Transfer
            }
            Action::Call(target, offer) => {
                let name = Symbol::new(b"f").map_or(Cell::Nil, Cell::from);
                fields.extend([
                    Cell::Address(*target),
                    Cell::Long(coppers(*offer)),
                    name,
                    Cell::from(Vector::empty()),
                ]);
                RecordKind::Call
            }
            Action::Multi(mode, children) => {
                let children = children
                    .iter()
                    .map(|c| c.record(state, machine, scratch, 0))
                    .collect::<Vector>();
                fields.extend([Cell::Long(*mode), Cell::from(children)]);
                RecordKind::Multi
            }
        };
        Cell::from(Record::of_kind(kind, fields))
    }

    /// The signed transaction. `before` transactions of the same origin precede it in the block.
    pub fn signed(
        &self,
        state: &State,
        machine: &mut Machine,
        scratch: &mut State,
        keys: &Keys,
        before: i64,
    ) -> Cell {
        let account = state.account(self.origin).ok().flatten();
        let next = account.map_or(1, |a| a.sequence + 1);
        let sequence = next.wrapping_add(before).wrapping_add(self.off_by);
        let own = account
            .and_then(|a| a.key())
            .and_then(|public| keys.of(public));
        let own = own.unwrap_or(keys.get(LABELS.len() - 1));
        let record = self.record(state, machine, scratch, sequence);
        let signed = match self.signer {
            Signer::Own => Signed::sign(own, record),
            Signer::Other(i) => Signed::sign(keys.get(i), record),
            Signer::Forged => {
                let other = Signed::sign(own, Keyword::new(b"other").map_or(Cell::Nil, Cell::from));
                Signed::new(own.account_key(), *other.signature(), record)
            }
        };
        Cell::from(signed)
    }

    /// True when the sequence of the origin is one higher after it, as a rule.
    #[must_use]
    pub fn counts(&self, state: &State, keys: &Keys) -> bool {
        let account = state.account(self.origin).ok().flatten();
        let affords = account.is_some_and(|a| a.balance >= 5010);
        let owned = account
            .and_then(|a| a.key())
            .is_some_and(|key| keys.of(key).is_some());
        affords
            && owned
            && self.signer == Signer::Own
            && self.off_by == 0
            && !matches!(self.action, Action::Odd(_))
    }

    /// The transaction with every program in it changed.
    #[must_use]
    pub fn with_programs(&self, change: &dyn Fn(&Form) -> Form) -> Self {
        let action = match &self.action {
            Action::Invoke(form) => Action::Invoke(change(&reread(form))),
            Action::Compiled(form) => Action::Compiled(change(&reread(form))),
            Action::Multi(mode, children) => Action::Multi(
                *mode,
                children.iter().map(|c| c.with_programs(change)).collect(),
            ),
            other => other.clone(),
        };
        Self {
            action,
            ..self.clone()
        }
    }

    /// Transactions that are one step smaller.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let with = |action| Self {
            action,
            ..self.clone()
        };
        let mut found: Vec<Self> = match &self.action {
            Action::Invoke(form) => reread(form)
                .smaller()
                .into_iter()
                .map(|f| with(Action::Invoke(f)))
                .collect(),
            Action::Compiled(form) => reread(form)
                .smaller()
                .into_iter()
                .map(|f| with(Action::Compiled(f)))
                .collect(),
            Action::Multi(mode, children) => {
                let mut found = children.clone();
                for i in 0..children.len() {
                    let mut rest = children.clone();
                    rest.remove(i);
                    found.push(with(Action::Multi(*mode, rest)));
                    for smaller in children[i].smaller() {
                        let mut rest = children.clone();
                        rest[i] = smaller;
                        found.push(with(Action::Multi(*mode, rest)));
                    }
                }
                found
            }
            _ => vec![],
        };
        if self.signer != Signer::Own || self.off_by != 0 {
            found.push(Self {
                signer: Signer::Own,
                off_by: 0,
                ..self.clone()
            });
        }
        found
    }
}

/// The form that a text means, so that it can be made smaller.
fn reread(form: &Form) -> Form {
    match form {
        Form::Atom(text) => {
            cvm::reader::read(text).map_or_else(|_| form.clone(), |cell| from_cell(&cell))
        }
        _ => form.clone(),
    }
}

fn from_cell(cell: &Cell) -> Form {
    let parts = || {
        cell.refs()
            .filter_map(|r| r.get().ok())
            .map(|c| from_cell(&c))
            .collect()
    };
    match cell {
        Cell::List(list) if list.count() > 0 && list.count() <= 16 => Form::list(
            list.iter()
                .filter_map(Result::ok)
                .map(|c| from_cell(&c))
                .collect(),
        ),
        Cell::Vector(vector) if vector.count() <= 16 => Form::vector(parts()),
        _ => Form::atom(cell.to_string()),
    }
}

/// The op of a form, or the form where it doesn't compile.
fn compiled(machine: &mut Machine, scratch: &mut State, form: &Cell) -> Cell {
    const COMPILE: Cell = Cell::Core(257);
    let mark = scratch.mark();
    let start = Start {
        origin: 13,
        limit: cvm::juice::TRANSACTION_LIMIT,
        location: (-1, 0),
        signer: None,
        peer: None,
    };
    let op = Context::new(machine, scratch, start)
        .call(&COMPILE, std::iter::once(form.clone()).collect());
    scratch.rollback(mark);
    op.unwrap_or_else(|_| form.clone())
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} ", self.origin)?;
        if self.signer != Signer::Own {
            write!(f, "({:?}) ", self.signer)?;
        }
        if self.off_by != 0 {
            write!(f, "(sequence off by {}) ", self.off_by)?;
        }
        match &self.action {
            Action::Invoke(form) => write!(f, "invoke {form}"),
            Action::Compiled(form) => write!(f, "invoke compiled {form}"),
            Action::Transfer(target, amount) => write!(f, "transfer {amount:?} to {target}"),
            Action::Call(target, offer) => write!(f, "call #{target} with {offer:?}"),
            Action::Odd(form) => write!(f, "no transaction: {form}"),
            Action::Multi(mode, children) => {
                write!(f, "multi of mode {mode}:")?;
                for child in children {
                    write!(f, " <{child}>")?;
                }
                Ok(())
            }
        }
    }
}
