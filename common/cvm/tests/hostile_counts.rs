//! A few kilobytes of shared cells can claim any number of elements. Whatever core function gets them, in whatever
//! place, its work is bounded by its juice.

use std::time::{Duration, Instant};

use cells::{
    CORE_NAMES, Cell, Coded, Decoder, Hash, Index, Map, Record, RecordKind, Symbol, Vector,
    decode_message, tag, vlq,
};
use cvm::state::{Account, Globals, State};
use cvm::{Context, Exit, Machine, Rules, Start};

/// Enough for thousands of elements.
const LIMIT: u64 = 200_000;
/// Far more than that needs, on any machine.
const TIME: Duration = Duration::from_secs(5);

/// Cells on top of each other, each with several refs to the one below it.
struct Tower {
    encoding: Vec<u8>,
    below: Vec<Vec<u8>>,
}

impl Tower {
    fn new(encoding: Vec<u8>) -> Self {
        Self {
            encoding,
            below: Vec::new(),
        }
    }

    /// One more cell: `head`, then `width` times the tower so far.
    fn raise(mut self, head: Vec<u8>, width: usize) -> Self {
        let mut encoding = head;
        let one = if self.encoding.len() <= cells::MAX_EMBEDDED {
            self.encoding.clone()
        } else {
            let mut branch = vec![tag::BRANCH];
            branch.extend_from_slice(&Hash::of(&self.encoding).0);
            self.below.push(std::mem::take(&mut self.encoding));
            branch
        };
        for _ in 0..width {
            encoding.extend_from_slice(&one);
        }
        self.encoding = encoding;
        self
    }

    fn cell(self) -> Cell {
        let mut message = self.encoding;
        for encoding in self.below.into_iter().rev() {
            vlq::write(&mut message, encoding.len() as u64);
            message.extend_from_slice(&encoding);
        }
        decode_message(&message, &Decoder::new()).expect("the decoder lets it pass")
    }
}

/// A tag and a count.
fn head(tag: u8, count: u64) -> Vec<u8> {
    let mut head = vec![tag];
    vlq::write(&mut head, count);
    head
}

/// 16 times what is below on each of 14 levels, so 2^60 in all.
fn vector(top: u8) -> Cell {
    let leaf = [head(tag::VECTOR, 16), [0x11, 1].repeat(16)].concat();
    let tower = (2..15u32).fold(Tower::new(leaf), |tower, level| {
        tower.raise(head(tag::VECTOR, 1 << (4 * level)), 16)
    });
    tower.raise(head(top, 1 << 60), 16).cell()
}

/// As many bytes in chunks of 4096.
fn bytes(tag: u8) -> Cell {
    let chunk = [head(tag, 4096), vec![b'a'; 4096]].concat();
    let tower = (4..15u32).fold(Tower::new(chunk), |tower, level| {
        tower.raise(head(tag, 1 << (4 * level)), 16)
    });
    tower.raise(head(tag, 1 << 60), 16).cell()
}

/// A hash map or set whose tree has the same children everywhere.
fn trie(tag: u8, entry: &[u8]) -> Cell {
    let leaf = [head(tag, 1), entry.to_vec()].concat();
    let tower = (1..16u32).fold(Tower::new(leaf), |tower, level| {
        let shape = vec![15 - level as u8, 0xff, 0xff];
        tower.raise([head(tag, 1 << (4 * level)), shape].concat(), 16)
    });
    tower.cell()
}

fn index() -> Cell {
    let leaf = [head(tag::INDEX, 1), vec![0x31, 1, 7, 0x11, 1]].concat();
    let tower = (1..16u32).fold(Tower::new(leaf), |tower, level| {
        let shape = vec![tag::NIL, 15 - level as u8, 0xff, 0xff];
        tower.raise([head(tag::INDEX, 1 << (4 * level)), shape].concat(), 16)
    });
    tower.cell()
}

/// A map that only says that it has many entries.
fn boasting_map() -> Cell {
    let entry = |n: u8| [head(tag::MAP, 1), vec![0x11, n, 0x11, n]].concat();
    let shape = vec![0, 0x00, 0x03];
    let encoding = [head(tag::MAP, 1 << 61), shape, entry(1), entry(2)].concat();
    Tower::new(encoding).cell()
}

fn huge() -> Vec<(&'static str, Cell)> {
    vec![
        ("vector", vector(tag::VECTOR)),
        ("list", vector(tag::LIST)),
        ("blob", bytes(tag::BLOB)),
        ("string", bytes(tag::STRING)),
        ("map", trie(tag::MAP, &[0x11, 1, 0x11, 1])),
        ("set", trie(tag::SET, &[0x11, 1])),
        ("index", index()),
        ("boasting map", boasting_map()),
    ]
}

/// Accounts of which core defines no more than the compiler needs to be found.
fn state() -> State {
    let accounts: Vector = (0..14)
        .map(|address| {
            let mut account = Account::default();
            account.balance = 1_000_000_000_000;
            account.allowance = 1_000_000;
            if address == cvm::CORE {
                let env = Map::empty().assoc(symbol("*lang*"), Cell::Nil);
                account.set_environment(Some(env.unwrap()));
            }
            account.to_cell()
        })
        .collect();
    State::new(accounts, Index::empty(), Globals::default(), Index::empty())
}

fn symbol(name: &'static str) -> Cell {
    Cell::from(Symbol::literal(name))
}

fn constant(value: Cell) -> Cell {
    Cell::from(Coded::new(tag::CODED, Cell::Bool(false), value))
}

fn call(code: u16, args: &[Cell]) -> Cell {
    let parts = std::iter::once(Cell::Core(code)).chain(args.iter().cloned());
    Cell::from(Record::of_kind(RecordKind::Apply, parts.map(constant)))
}

/// Runs an op as a transaction would; answers how long that took.
fn run(machine: &mut Machine, state: &mut State, op: &Cell) -> Duration {
    let start = Start {
        origin: 11,
        limit: LIMIT,
        location: (0, 0),
        signer: None,
        peer: None,
    };
    let mark = state.mark();
    let clock = Instant::now();
    let mut ctx = Context::new(machine, state, start);
    // What takes a while in a real execution takes a moment here.
    ctx.patience = 1 << 14;
    let outcome = ctx.run(op);
    assert!(ctx.juice() <= LIMIT);
    if let Err(exit) = outcome {
        assert!(
            matches!(exit, Exit::Error(_) | Exit::Juice | Exit::Abort(_)),
            "{exit:?}"
        );
    }
    state.rollback(mark);
    clock.elapsed()
}

#[test]
fn no_core_function_does_more_for_huge_counts_than_its_juice_pays() {
    let (mut machine, mut state) = (Machine::new(Rules::latest()), state());
    let small: Vec<Cell> = vec![
        Cell::Nil,
        Cell::Long(1),
        Cell::Long(1 << 59),
        Cell::from(Vector::empty()),
        Cell::from(Map::empty()),
        Cell::from(Vector::from_iter([Cell::Long(1)])),
        Cell::Core(cells::core_code("inc").expect("a core function")),
        Cell::Core(cells::core_code("vector").expect("a core function")),
        Cell::Address(12),
        symbol("a"),
    ];
    // Three arguments make many cases.
    let few = if std::env::var_os("CONVEXD_LONG").is_some() {
        &small[..]
    } else {
        &small[1..3]
    };
    let huge = huge();
    for (code, name) in CORE_NAMES {
        for (kind, big) in &huge {
            let mut check = |args: &[Cell]| {
                let time = run(&mut machine, &mut state, &call(*code, args));
                assert!(time < TIME, "{name} of a {kind} took {time:?}");
            };
            check(std::slice::from_ref(big));
            for (_, other) in &huge {
                check(&[big.clone(), other.clone()]);
            }
            for one in &small {
                check(&[big.clone(), one.clone()]);
                check(&[one.clone(), big.clone()]);
                for two in few {
                    check(&[big.clone(), one.clone(), two.clone()]);
                    check(&[one.clone(), big.clone(), two.clone()]);
                    check(&[one.clone(), two.clone(), big.clone()]);
                }
            }
        }
    }
}
