//! States and blocks for the worked examples of `spec/04 §13`.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use std::path::PathBuf;

use cells::{Cell, Decoder, Record, RecordKind, Signed, Vector, decode_message, encode_message};
use crypto::SigningKey;
use cvm::state::{Account, Block, INITIAL_TIMESTAMP, PeerStatus, State};
use cvm::transition::{BlockError, BlockOutcome, apply_block};
use cvm::{Machine, Rules};

/// Time of the genesis states.
pub const T0: i64 = INITIAL_TIMESTAMP;

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

pub fn hex(cell: &Cell) -> String {
    cell.encode()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub fn decode(text: &str) -> Cell {
    decode_message(&unhex(text), &Decoder::new()).expect("a cell")
}

/// Test key `n`: its seed is 32 times the byte `n` (`spec/04 §12.6`).
pub fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&[n; 32])
}

pub fn public(n: u8) -> [u8; 32] {
    *key(n).account_key().as_bytes()
}

/// A working state with a machine.
pub struct Ground {
    pub state: State,
    pub machine: Machine,
}

impl Ground {
    pub fn new(state: State) -> Self {
        Self {
            state,
            machine: Machine::new(Rules::latest()),
        }
    }

    /// The state of `spec/04 §13.1`.
    pub fn minimal() -> Self {
        let parts = [
            "d50420ba0b4a4137d2aa3b6a2ff734790013edd4eee04666f6370b22db11536d343cbb8401312081",
            "39770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394d907ea0b1601d1a94a",
            "20008400100011ff1601d1a94a20008006160193f965840010110a130f42401600e8d4a5100011ff8400",
            "812f800c",
            &"d809100010100000000000".repeat(11),
            "d8091031208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c180de0b3f92974d000100000000000",
        ];
        Self::new(State::from_cell(&decode(&parts.concat())).expect("a state"))
    }

    /// The standard genesis with governance key K3, genesis key K1 and peers K2 and, for two, K4 (`spec/04 §12.6`, G1
    /// and G2); `None`, said aloud, where the shared vectors are not beside the workspace.
    pub fn standard(peers: usize) -> Option<Self> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/vectors/genesis-085.bin");
        let Ok(bytes) = std::fs::read(&path) else {
            println!("skipped: no shared vectors at {}", path.display());
            return None;
        };
        let genesis = decode_message(&bytes, &Decoder::new()).expect("the genesis state");
        let mut state = State::from_cell(&genesis).expect("a state");
        let first_user = unhex("89b5142678bfef7a2245af5ae5b9ab1e10c282b375fa297c5aaeccc48ac97cac");
        let first_user: [u8; 32] = first_user.try_into().expect("32 bytes");
        let keys = [2u8, 4].map(public);
        for address in 2..64u64 {
            let key = match address {
                2..=6 => public(3),
                8..=10 => continue,
                13 if peers == 2 => keys[1],
                a if a == 12 + peers as u64 => first_user,
                _ => public(1),
            };
            let account = state
                .account_mut(address)
                .expect("in memory")
                .expect("exists");
            account.set_key(Some(key));
            if (12..64).contains(&address) {
                account.balance = if address < 12 + peers as u64 {
                    399_600_000_000_000 / peers as i64
                } else {
                    0
                };
            }
        }
        let old: Vec<_> = state
            .peers()
            .iter()
            .map(|entry| entry.expect("in memory").0)
            .collect();
        for peer in old {
            let Cell::Blob(blob) = peer else {
                panic!("{peer}")
            };
            state
                .remove_peer(blob.as_key().expect("32 bytes"))
                .expect("in memory");
        }
        for (i, key) in keys.iter().take(peers).enumerate() {
            let peer = PeerStatus::new(12 + i as u64, 199_800_000_000_000 / peers as i64);
            state.set_peer(key, &peer).expect("in memory");
        }
        Some(Self::new(state))
    }

    pub fn account(&self, address: u64) -> &Account {
        self.state
            .account(address)
            .expect("in memory")
            .expect("exists")
    }

    pub fn account_mut(&mut self, address: u64) -> &mut Account {
        self.state
            .account_mut(address)
            .expect("in memory")
            .expect("exists")
    }

    pub fn peer(&self, n: u8) -> PeerStatus {
        self.state
            .peer(&public(n))
            .expect("in memory")
            .expect("exists")
    }

    /// Moves coins from one account to another.
    pub fn give(&mut self, from: u64, to: u64, amount: i64) {
        self.account_mut(from).balance -= amount;
        self.account_mut(to).balance += amount;
    }

    pub fn hash(&mut self) -> String {
        self.state.hash().expect("in memory").to_string()
    }

    /// Coins beyond the supply of the network.
    pub fn surplus(&self) -> i128 {
        self.state.total_coins().expect("in memory") - 1_000_000_000_000_000_000
    }

    /// Applies a block of the peer with test key `peer`, after a way over the network.
    pub fn apply(&mut self, peer: u8, timestamp: i64, transactions: Vec<Cell>) -> BlockOutcome {
        let block = sent(&block(peer, timestamp, transactions));
        self.try_apply(&block).expect("an outcome")
    }

    pub fn try_apply(&mut self, block: &Cell) -> Result<BlockOutcome, BlockError> {
        let Cell::Signed(signed) = block else {
            panic!("{block}")
        };
        apply_block(&mut self.machine, &mut self.state, signed)
    }
}

pub fn block(peer: u8, timestamp: i64, transactions: Vec<Cell>) -> Cell {
    let block = Block {
        timestamp,
        transactions: Vector::from_iter(transactions),
    };
    Cell::from(Signed::sign(&key(peer), block.to_cell()))
}

/// The cell as another peer decodes it.
pub fn sent(cell: &Cell) -> Cell {
    decode_message(&encode_message(cell).expect("in memory"), &Decoder::new()).expect("a cell")
}

fn record(kind: RecordKind, fields: Vec<Cell>) -> Cell {
    Cell::from(Record::of_kind(kind, fields))
}

pub fn invoke(origin: u64, sequence: i64, source: &str) -> Cell {
    let command = cvm::reader::read(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    record(
        RecordKind::Invoke,
        vec![Cell::Address(origin), Cell::Long(sequence), command],
    )
}

pub fn transfer(origin: u64, sequence: i64, target: u64, amount: i64) -> Cell {
    let fields = vec![
        Cell::Address(origin),
        Cell::Long(sequence),
        Cell::Address(target),
        Cell::Long(amount),
    ];
    record(RecordKind::Transfer, fields)
}

pub fn multi(origin: u64, sequence: i64, mode: i64, children: Vec<Cell>) -> Cell {
    let children = Cell::from(Vector::from_iter(children));
    record(
        RecordKind::Multi,
        vec![
            Cell::Address(origin),
            Cell::Long(sequence),
            Cell::Long(mode),
            children,
        ],
    )
}

pub fn call(origin: u64, sequence: i64, target: u64, function: &'static str) -> Cell {
    let function = Cell::from(cells::Symbol::literal(function));
    let target = Cell::Address(target);
    let fields = [
        Cell::Address(origin),
        Cell::Long(sequence),
        target,
        Cell::Long(0),
        function,
    ];
    record(
        RecordKind::Call,
        fields
            .into_iter()
            .chain([Cell::from(Vector::empty())])
            .collect(),
    )
}

/// Signed by test key `n`.
pub fn signed(n: u8, transaction: Cell) -> Cell {
    Cell::from(Signed::sign(&key(n), transaction))
}

/// Error codes of the results, `nil` for success.
pub fn codes(outcome: &BlockOutcome) -> Vec<String> {
    outcome
        .results
        .iter()
        .map(|result| result.error.to_string())
        .collect()
}
