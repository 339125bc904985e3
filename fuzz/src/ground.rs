//! A small state to apply hostile blocks to.

use std::sync::OnceLock;

use cells::{Cell, Index, Keyword, Map, Record, RecordKind, Signed, Symbol, Vector, Verdict};
use crypto::{AccountKey, Signature};
use cvm::Rules;
use cvm::state::{Account, Block, Globals, INITIAL_TIMESTAMP, PeerStatus, State};

/// The account whose transactions are tried; its key is [`KEY`].
pub const USER: u64 = 11;
/// Key of the user and of the peer. Nobody signs with it: what is signed here is marked as checked.
pub const KEY: [u8; 32] = [7; 32];
/// Accounts of the state.
const ACCOUNTS: u64 = 16;
const BALANCE: i64 = 1_000_000_000_000_000;

/// The state's cell: #8 binds the core functions, special forms and special ops as a genesis state does, without the
/// library that is written in Lisp. #12 controls the one peer.
///
/// # Panics
/// Never: everything is in memory.
pub fn genesis() -> &'static Cell {
    static MADE: OnceLock<Cell> = OnceLock::new();
    MADE.get_or_init(|| {
        let symbol = |name: &str| Cell::from(Symbol::new(name.as_bytes()).expect("a short name"));
        let flag = |name| (Cell::from(Keyword::literal(name)), Cell::Bool(true));
        let natives: Vec<_> = Rules::latest().natives().collect();
        let specials = cvm::SPECIALS
            .iter()
            .enumerate()
            .map(|(code, name)| (symbol(name), Cell::Special(code as u8)));
        let environment: Map = natives
            .iter()
            .map(|native| (symbol(native.symbol), Cell::Core(native.code)))
            .chain(specials)
            .chain([(symbol("*lang*"), Cell::Nil)])
            .collect();
        let metadata: Map = natives
            .iter()
            .map(|native| {
                let expander = (native.symbol == "quote").then(|| flag("expander"));
                let flags: Map = expander.into_iter().chain([flag("static")]).collect();
                (symbol(native.symbol), Cell::from(flags))
            })
            .collect();
        let accounts: Vector = (0..ACCOUNTS)
            .map(|address| {
                let mut account = Account::default();
                account.balance = BALANCE;
                account.allowance = 1_000_000;
                if address == cvm::CORE {
                    account.set_environment(Some(environment.clone()));
                    account.set_metadata(Some(metadata.clone()));
                } else if address >= USER {
                    account.set_key(Some(KEY));
                }
                account.to_cell()
            })
            .collect();
        let mut state = State::new(accounts, Index::empty(), Globals::default(), Index::empty());
        state
            .set_peer(&KEY, &PeerStatus::new(12, BALANCE))
            .expect("in memory");
        state.to_cell().expect("in memory")
    })
}

/// Signed by the key, as if the signature had been checked.
#[must_use]
pub fn signed(value: Cell) -> Signed {
    let signed = Signed::new(AccountKey::new(KEY), Signature::new([0; 64]), value);
    signed.set_verdict(Verdict::Good);
    signed
}

/// The transaction that runs a command.
#[must_use]
pub fn invoke(sequence: i64, command: Cell) -> Cell {
    let fields = [Cell::Address(USER), Cell::Long(sequence), command];
    Cell::from(Record::of_kind(RecordKind::Invoke, fields))
}

/// A signed block of these transactions, each signed, a moment after the genesis state.
#[must_use]
pub fn block(transactions: impl IntoIterator<Item = Cell>) -> Signed {
    let transactions = transactions.into_iter().map(|t| Cell::from(signed(t)));
    let block = Block {
        timestamp: INITIAL_TIMESTAMP + 1,
        transactions: transactions.collect(),
    };
    signed(block.to_cell())
}
