//! Running the real program, and small networks to run it on.
#![allow(dead_code, reason = "every test file uses a part")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use cells::{Blob, Cell, Index, Record, RecordKind, Signed, Vector, encode_message};
use crypto::SigningKey;
use cvm::state::{Account, Block, Globals, PeerStatus, State};

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `convexctl` with these arguments and this standard input.
pub(crate) fn run_with(args: &[&str], input: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_convexctl"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // Beside the reading of the output, or both could wait for each other. The program may end without reading.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("written");
    Ran {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `convexctl` without standard input.
pub(crate) fn run(args: &[&str]) -> Ran {
    run_with(args, b"")
}

/// A file of the shared data; says so when it is not there.
pub(crate) fn shared(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name);
    if path.exists() {
        return Some(path.to_str().expect("UTF-8").to_owned());
    }
    println!("skipped: {} is not there", path.display());
    None
}

/// A directory with files of cells.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// Writes a file; its path.
    pub(crate) fn bytes(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Writes a cell with its branches; the path.
    pub(crate) fn cell(&self, name: &str, cell: &Cell) -> String {
        self.bytes(name, &encode_message(cell).expect("in memory"))
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }
}

/// The one key of a small network: that of its user and of its peer.
pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

/// A genesis of two accounts and one peer: enough for blocks of transfers, not for code.
pub(crate) fn genesis() -> Cell {
    let mut user = Account::default();
    user.balance = 1_000_000_000_000;
    user.allowance = 10_000;
    user.set_key(Some(key().account_key().to_bytes()));
    let accounts = [Account::default(), user].map(|account| account.to_cell());
    let accounts = accounts.into_iter().collect();
    let mut state = State::new(accounts, Index::empty(), Globals::default(), Index::empty());
    let peer = PeerStatus::new(1, 2_000_000_000_000);
    state
        .set_peer(&key().account_key().to_bytes(), &peer)
        .expect("in memory");
    state.to_cell().expect("in memory")
}

/// A signed transfer of nothing from the user; to no address at all it voids its block (`spec/04 §3.4`).
pub(crate) fn transfer(sequence: i64, target: Cell) -> Cell {
    let fields = [
        Cell::Address(1),
        Cell::Long(sequence),
        target,
        Cell::Long(0),
    ];
    Cell::from(Signed::sign(
        &key(),
        Cell::from(Record::of_kind(RecordKind::Transfer, fields)),
    ))
}

/// A block at this many milliseconds after genesis.
pub(crate) fn block(later: i64, transactions: impl IntoIterator<Item = Cell>) -> Signed {
    let block = Block {
        timestamp: Globals::default().timestamp + later,
        transactions: transactions.into_iter().collect(),
    };
    Signed::sign(&key(), block.to_cell())
}

/// The same value under a signature that is wrong.
pub(crate) fn forged(signed: &Signed) -> Signed {
    let value = signed.value().expect("in memory");
    Signed::new(key().account_key(), crypto::Signature::new([7; 64]), value)
}

/// A belief with one order: all blocks, the first `consensus` of them in consensus, none final.
pub(crate) fn belief(blocks: &[Signed], consensus: i64) -> Cell {
    belief_of(blocks.iter().cloned().map(Cell::from).collect(), consensus)
}

/// The same from a vector.
pub(crate) fn belief_of(blocks: Vector, consensus: i64) -> Cell {
    let count = blocks.count() as i64;
    let points = [count, count, consensus, 0].map(Cell::Long);
    let fields = [
        Cell::Long(1),
        Cell::from(points.into_iter().collect::<Vector>()),
        Cell::from(blocks),
    ];
    let order = Record::of_kind(RecordKind::Order, fields);
    let order = Signed::sign(&key(), Cell::from(order));
    let name = Cell::from(Blob::new(key().account_key().as_bytes()));
    let orders = Index::empty()
        .assoc(name, Cell::from(order))
        .expect("in memory")
        .expect("a blob is a key");
    Cell::from(Record::of_kind(RecordKind::Belief, [Cell::from(orders)]))
}
