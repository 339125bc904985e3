//! The state transition workloads of `spec/10`: ten blocks of a thousand transactions on the genesis of the shared
//! vectors with a hundred more accounts.
#![allow(unreachable_pub, reason = "shared by a test and a benchmark")]

use std::path::PathBuf;

use cells::{
    Cell, Decoder, Hash, Record, RecordKind, Signed, Vector, decode_message, encode_message, vlq,
};
use crypto::{SigningKey, sha3_256};
use cvm::state::{Account, Block, INITIAL_TIMESTAMP, State};

/// Accounts that send.
const USERS: u64 = 100;
/// Address of the first of them.
pub const FIRST_USER: u64 = 132;
const BLOCKS: u64 = 10;
const BLOCK_SIZE: u64 = 1000;

/// What the transactions do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Transfer of 1000 + n.
    Transfer,
    /// Invoke of the form `(do (def a (inc 41)) (* a 2))`.
    Form,
    /// Invoke of the same code, compiled.
    Op,
}

impl Workload {
    #[allow(dead_code, reason = "the tests name each")]
    pub const ALL: [Self; 3] = [Self::Transfer, Self::Form, Self::Op];

    /// State hash after the ten blocks.
    pub fn final_hash(self) -> &'static str {
        match self {
            Self::Transfer => "79b5262cc184f280be7c5e47da63cd7109ad3304373d0a91f477c0611df27392",
            Self::Form => "f6c63b96b90a7ea23f253db3b458c78d90c914df7d2c4425d649cdeda8a5b174",
            Self::Op => "3a3b2154ab592d9d2ecc91c838fb68e0b16f8fced0399cdc7b1fca7981152e79",
        }
    }
}

/// The genesis of the shared vectors with the users behind its accounts; `None`, said aloud, where there are no
/// vectors.
pub fn genesis() -> Option<Cell> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/genesis-085.bin");
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: no shared vectors at {}", path.display());
        return None;
    };
    let genesis = decode_message(&bytes, &Decoder::new()).expect("the genesis state");
    let mut state = State::from_cell(&genesis).expect("a state");
    for user in 0..USERS {
        let mut account = Account::default();
        (account.balance, account.allowance) = (100_000_000_000, 100_000);
        account.set_key(Some(
            *signer(&format!("perf-user{user}")).account_key().as_bytes(),
        ));
        assert_eq!(state.push_account(account), FIRST_USER + user);
    }
    Some(state.to_cell().expect("a state in memory"))
}

/// The key whose seed is the hash of a label.
pub fn signer(label: &str) -> SigningKey {
    SigningKey::from_seed(&sha3_256(label.as_bytes()))
}

/// The signed blocks as messages.
pub fn blocks(workload: Workload) -> Vec<Vec<u8>> {
    let users: Vec<_> = (0..USERS)
        .map(|user| signer(&format!("perf-user{user}")))
        .collect();
    let peer = signer("convex-vectors-shared/peer0");
    (0..BLOCKS)
        .map(|b| {
            let numbers = b * BLOCK_SIZE..(b + 1) * BLOCK_SIZE;
            let transactions: Vector = numbers
                .map(|n| {
                    Cell::from(Signed::sign(
                        &users[(n % USERS) as usize],
                        transaction(workload, n),
                    ))
                })
                .collect();
            let block = Block {
                timestamp: INITIAL_TIMESTAMP + 1000 + 1000 * b as i64,
                transactions,
            };
            encode_message(&Cell::from(Signed::sign(&peer, block.to_cell()))).expect("in memory")
        })
        .collect()
}

/// The signed block in a message, with nothing known about its signatures.
pub fn decode(message: &[u8]) -> Signed {
    match decode_message(message, &Decoder::new()) {
        Ok(Cell::Signed(signed)) => signed,
        other => panic!("not a signed block: {other:?}"),
    }
}

fn transaction(workload: Workload, n: u64) -> Cell {
    let user = n % USERS;
    let head = [
        Cell::Address(FIRST_USER + user),
        Cell::Long((1 + n / USERS) as i64),
    ];
    let (kind, rest) = match workload {
        Workload::Transfer => {
            let target = Cell::Address(FIRST_USER + (7 * user + 1) % USERS);
            (
                RecordKind::Transfer,
                vec![target, Cell::Long((1000 + n) as i64)],
            )
        }
        Workload::Form => (RecordKind::Invoke, vec![form()]),
        Workload::Op => (RecordKind::Invoke, vec![op(FIRST_USER + user)]),
    };
    Cell::from(Record::of_kind(kind, head.into_iter().chain(rest)))
}

/// `(do (def a (inc 41)) (* a 2))`.
fn form() -> Cell {
    cell(
        "81038103110232016132012a8103810211293203696e6332016132036465663202646f",
        &[],
        "",
    )
}

/// The same, compiled in the account with this address.
fn op(address: u64) -> Cell {
    let mut number = Vec::new();
    vlq::write(&mut number, address);
    cell(
        "da02cd320161db02c0b0ed8104c0b01129db03c0b0ed8122c1c0b0ea",
        &number,
        "320161c0b01102",
    )
}

fn cell(before: &str, middle: &[u8], after: &str) -> Cell {
    let unhex = |text: &str| -> Vec<u8> {
        let digit = |c: u8| (c as char).to_digit(16).expect("hex") as u8;
        text.as_bytes()
            .chunks(2)
            .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
            .collect()
    };
    let bytes = [unhex(before), middle.to_vec(), unhex(after)].concat();
    decode_message(&bytes, &Decoder::new()).expect("a cell")
}

/// The hash in hex.
pub fn hex(hash: &Hash) -> String {
    hash.to_string()
}
