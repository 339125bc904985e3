//! The global state: typed views of its records, and the working state that execution changes.
//!
//! A state is a cell, immutable and possibly larger than memory. [`State`] is its mutable form: it reads accounts
//! when they are touched, changes them in place, notes the old values in a journal so that a transaction or a
//! call can be undone, and turns back into a cell when somebody wants its hash.

mod account;
mod block;
mod globals;
mod journal;
mod memory;
mod pages;
mod peer;
pub mod pool;
mod result;
mod schedule;
mod size;
mod transaction;

pub use account::Account;
pub use block::{Block, MAX_TRANSACTIONS};
pub use globals::{Globals, INITIAL_TIMESTAMP};
pub use journal::Mark;
pub use peer::{NegativeStake, PeerStatus};
pub(crate) use result::block_result;
pub use result::{Info, ResultRecord, Source};
pub use schedule::ScheduleError;
pub(crate) use size::storage_size;
pub use transaction::{Kind, Mode, Transaction};

use cells::{Blob, Cell, CellError, Hash, Index, Record, RecordKind, Vector};

use journal::{Journal, Undo};
use pages::{Pages, Slot};

/// Largest amount of coins, in coppers: the supply (`spec/04 §1.1`).
pub const MAX_COINS: i64 = 1_000_000_000_000_000_000;

/// Accounts that stay in memory between blocks at most.
const MAX_RESIDENT: usize = 1 << 20;

/// Accounts whose balances are not in circulation (`spec/04 §2.5`).
const RESERVED: u64 = 8;

/// The state while it is worked on.
///
/// Boundaries are marked with [`State::mark`] and undone with [`State::rollback`]; keeping what happened since a
/// mark needs no call. Marks nest like a stack.
#[derive(Debug)]
pub struct State {
    /// Accounts as of the last [`State::to_cell`].
    base: Vector,
    pages: Pages,
    count: u64,
    /// Accounts at the start of `base` that still exist; those behind them were undone.
    valid: u64,
    peers: Index,
    globals: Globals,
    schedule: Index,
    /// Addresses below `valid` whose value `base` doesn't have.
    dirty: Vec<u64>,
    journal: Journal,
}

/// The fields of a record of this kind, as many as asked for.
fn record_fields<const N: usize>(
    cell: &Cell,
    kind: RecordKind,
    malformed: CellError,
) -> Result<[Cell; N], CellError> {
    let Cell::Record(record) = cell else {
        return Err(malformed);
    };
    if record.kind() != Some(kind) || record.fields().count() != N as u64 {
        return Err(malformed);
    }
    let mut fields = [const { Cell::Nil }; N];
    for (i, field) in fields.iter_mut().enumerate() {
        *field = record.field(i as u64)?.ok_or(malformed.clone())?;
    }
    Ok(fields)
}

impl State {
    /// A working state over a state record. Accounts are read when they are touched.
    ///
    /// # Errors
    /// When the cell is no state, or its top nodes can't be read.
    pub fn from_cell(cell: &Cell) -> Result<Self, CellError> {
        const MALFORMED: CellError = CellError::Malformed("no state record");
        let [accounts, peers, globals, schedule] =
            record_fields(cell, RecordKind::State, MALFORMED)?;
        let (Cell::Vector(accounts), Cell::Index(peers), Cell::Index(schedule)) =
            (accounts, peers, schedule)
        else {
            return Err(MALFORMED);
        };
        let globals = Globals::from_cell(&globals)?;
        Ok(Self::new(accounts, peers, globals, schedule))
    }

    /// A working state of these parts.
    #[must_use]
    pub fn new(accounts: Vector, peers: Index, globals: Globals, schedule: Index) -> Self {
        let count = accounts.count();
        Self {
            base: accounts,
            pages: Pages::new(count),
            count,
            valid: count,
            peers,
            globals,
            schedule,
            dirty: Vec::new(),
            journal: Journal::default(),
        }
    }

    /// The state record. Possible at any time; what can be undone stays so.
    ///
    /// # Errors
    /// When a node of the accounts vector can't be read.
    pub fn to_cell(&mut self) -> Result<Cell, CellError> {
        self.write_accounts()?;
        Ok(Cell::from(Record::of_kind(
            RecordKind::State,
            [
                Cell::from(self.base.clone()),
                Cell::from(self.peers.clone()),
                self.globals.to_cell(),
                Cell::from(self.schedule.clone()),
            ],
        )))
    }

    /// Hash of the state record.
    ///
    /// # Errors
    /// As [`State::to_cell`].
    pub fn hash(&mut self) -> Result<Hash, CellError> {
        Ok(self.to_cell()?.hash_all())
    }

    /// Brings the accounts vector up to date.
    fn write_accounts(&mut self) -> Result<(), CellError> {
        const BEYOND: CellError = CellError::Malformed("address beyond the accounts");
        let stale = self.valid < self.base.count();
        if self.dirty.is_empty() && !stale && self.count == self.valid {
            return Ok(());
        }
        let mut base = if stale {
            self.base.slice(0, self.valid)?.ok_or(BEYOND)?
        } else {
            self.base.clone()
        };
        self.dirty.sort_unstable();
        for &address in self
            .dirty
            .iter()
            .take_while(|&&address| address < self.valid)
        {
            let slot = self.pages.in_memory(address).ok_or(BEYOND)?;
            base = base.assoc(address, slot.account.to_cell())?.ok_or(BEYOND)?;
        }
        for address in self.valid..self.count {
            let slot = self.pages.in_memory(address).ok_or(BEYOND)?;
            base = base.push(slot.account.to_cell())?;
        }
        for address in self.dirty.drain(..).chain(self.valid..self.count) {
            if let Some(slot) = self.pages.in_memory(address) {
                slot.dirty = false;
            }
        }
        self.base = base;
        self.valid = self.count;
        Ok(())
    }

    /// Number of accounts; addresses are below it.
    #[must_use]
    pub fn account_count(&self) -> u64 {
        self.count
    }

    /// The account at an address, `None` when there is no such account.
    ///
    /// # Errors
    /// When its record can't be read.
    #[inline]
    pub fn account(&self, address: u64) -> Result<Option<&Account>, CellError> {
        if address >= self.count {
            return Ok(None);
        }
        self.pages
            .get(address, &self.base)
            .map(|slot| Some(&slot.account))
    }

    /// The account at an address, to change it in place; its old value goes to the journal.
    ///
    /// # Errors
    /// When its record can't be read.
    #[inline]
    pub fn account_mut(&mut self, address: u64) -> Result<Option<&mut Account>, CellError> {
        if address >= self.count {
            return Ok(None);
        }
        let slot = self.pages.get_mut(address, &self.base)?;
        if self.journal.is_new(slot.epoch) {
            self.journal.push(Undo::Account {
                address,
                epoch: slot.epoch,
                account: slot.account.clone(),
            });
            slot.epoch = self.journal.epoch();
        }
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(address);
        }
        Ok(Some(&mut slot.account))
    }

    /// Adds an account; answers its address.
    pub fn push_account(&mut self, account: Account) -> u64 {
        let address = self.count;
        self.journal.push(Undo::Push);
        self.pages.push(
            address,
            Slot {
                account,
                epoch: self.journal.epoch(),
                dirty: true,
            },
        );
        self.count += 1;
        address
    }

    /// The global values.
    #[must_use]
    pub fn globals(&self) -> &Globals {
        &self.globals
    }

    /// The global values, to change them.
    pub fn globals_mut(&mut self) -> &mut Globals {
        self.journal.push(Undo::Globals(self.globals));
        &mut self.globals
    }

    /// All peers by key.
    #[must_use]
    pub fn peers(&self) -> &Index {
        &self.peers
    }

    /// A peer by its key.
    ///
    /// # Errors
    /// When its record can't be read.
    pub fn peer(&self, key: &[u8; 32]) -> Result<Option<PeerStatus>, CellError> {
        let record = self.peers.get(&Cell::from(Blob::new(key)))?;
        record
            .map(|record| PeerStatus::from_cell(&record))
            .transpose()
    }

    /// Adds or replaces a peer.
    ///
    /// # Errors
    /// When a node of the index can't be read.
    pub fn set_peer(&mut self, key: &[u8; 32], peer: &PeerStatus) -> Result<(), CellError> {
        const MALFORMED: CellError = CellError::Malformed("a blob is no index key");
        let peers = self
            .peers
            .clone()
            .assoc(Cell::from(Blob::new(key)), peer.to_cell())?
            .ok_or(MALFORMED)?;
        self.journal
            .push(Undo::Peers(std::mem::replace(&mut self.peers, peers)));
        Ok(())
    }

    /// Removes a peer together with the coins left in it.
    ///
    /// # Errors
    /// When a node of the index can't be read.
    pub fn remove_peer(&mut self, key: &[u8; 32]) -> Result<(), CellError> {
        let peers = self.peers.clone().dissoc(&Cell::from(Blob::new(key)))?;
        self.journal
            .push(Undo::Peers(std::mem::replace(&mut self.peers, peers)));
        Ok(())
    }

    /// Sum of all coins: accounts, peers, fees and memory pool (`spec/04 §2.5`). Reads every account.
    ///
    /// # Errors
    /// When a record can't be read.
    pub fn total_coins(&self) -> Result<i128, CellError> {
        let mut total = i128::from(self.globals.fees) + i128::from(self.globals.memory_coins);
        for address in 0..self.count {
            total += i128::from(self.balance(address)?);
        }
        for peer in self.peers.iter() {
            total += i128::from(PeerStatus::from_cell(&peer?.1)?.balance);
        }
        Ok(total)
    }

    /// Coins in circulation as `coin-supply` reports them (`spec/04 §2.5`).
    ///
    /// # Errors
    /// When a record can't be read.
    pub fn coin_supply(&self) -> Result<i64, CellError> {
        (0..RESERVED.min(self.count)).try_fold(MAX_COINS, |supply, address| {
            Ok(supply - self.balance(address)?)
        })
    }

    fn balance(&self, address: u64) -> Result<i64, CellError> {
        Ok(self.account(address)?.map_or(0, |account| account.balance))
    }

    /// Marks this point, to come back to it.
    pub fn mark(&mut self) -> Mark {
        self.journal.mark()
    }

    /// Undoes everything since the mark, and forgets the marks set since.
    pub fn rollback(&mut self, mark: Mark) {
        while let Some(undo) = self.journal.pop_since(mark) {
            match undo {
                Undo::Account {
                    address,
                    epoch,
                    account,
                } => {
                    if let Some(slot) = self.pages.in_memory(address) {
                        slot.account = account;
                        slot.epoch = epoch;
                        if !slot.dirty {
                            slot.dirty = true;
                            self.dirty.push(address);
                        }
                    }
                }
                Undo::Push => {
                    self.count -= 1;
                    self.valid = self.valid.min(self.count);
                    self.pages.remove(self.count);
                }
                Undo::Peers(peers) => self.peers = peers,
                Undo::Schedule(schedule) => self.schedule = schedule,
                Undo::Globals(globals) => self.globals = globals,
            }
        }
    }

    /// Ends a block: what happened can't be undone any more. Memory taken by accounts is given back when they
    /// are many.
    ///
    /// # Errors
    /// As [`State::to_cell`].
    pub fn settle(&mut self) -> Result<(), CellError> {
        self.settle_within(MAX_RESIDENT)
    }

    fn settle_within(&mut self, resident: usize) -> Result<(), CellError> {
        self.journal.clear();
        if self.pages.capacity() > resident {
            self.write_accounts()?;
            self.pages = Pages::new(self.count);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(accounts: u64) -> State {
        let accounts = (0..accounts)
            .map(|_| Account::default().to_cell())
            .collect();
        State::new(accounts, Index::empty(), Globals::default(), Index::empty())
    }

    #[test]
    fn a_state_survives_the_way_through_its_cell() {
        let mut state = state(40);
        state.account_mut(39).unwrap().unwrap().balance = 7;
        state.push_account(Account::default());
        state.set_peer(&[1; 32], &PeerStatus::new(3, 5)).unwrap();
        state.schedule_op(9, 3, Cell::Long(1)).unwrap();
        let cell = state.to_cell().unwrap();
        let mut again = State::from_cell(&cell).unwrap();
        assert_eq!(again.to_cell().unwrap(), cell);
        assert_eq!(
            (
                again.account_count(),
                again.account(39).unwrap().unwrap().balance
            ),
            (41, 7)
        );
        assert_eq!(again.peer(&[1; 32]).unwrap(), Some(PeerStatus::new(3, 5)));
        assert!(again.account(41).unwrap().is_none());
    }

    /// `spec/04 §2.1`.
    #[test]
    fn the_empty_state_has_the_hash_of_the_specification() {
        let mut state = state(0);
        let hash = "197994ca82b2bb38f23c6918e1ee73571e99b788c3f283c56423098e8a4654f8";
        assert_eq!(state.hash().unwrap().to_string(), hash);
    }

    #[test]
    fn a_cell_that_is_no_state_is_refused() {
        let fields = [Cell::Nil, Cell::Nil, Cell::Nil, Cell::Nil];
        let odd = Cell::from(Record::of_kind(RecordKind::State, fields));
        for cell in [Cell::Nil, Account::default().to_cell(), odd] {
            assert!(
                matches!(State::from_cell(&cell), Err(CellError::Malformed(_))),
                "{cell}"
            );
        }
    }

    #[test]
    fn accounts_are_forgotten_after_a_block_when_they_are_many_and_read_again() {
        let mut state = state(200);
        for address in 0..200 {
            state.account_mut(address).unwrap().unwrap().balance = address as i64;
        }
        let address = state.push_account(Account::default());
        state.settle_within(1000).unwrap();
        assert!(state.pages.capacity() >= 200);
        let before = state.to_cell().unwrap();
        state.settle_within(100).unwrap();
        assert_eq!(state.pages.capacity(), 0);
        assert_eq!(state.account(150).unwrap().unwrap().balance, 150);
        state.account_mut(address).unwrap().unwrap().balance = 3;
        let mark = state.mark();
        state.account_mut(address).unwrap().unwrap().balance = 4;
        state.rollback(mark);
        assert_eq!(state.account(address).unwrap().unwrap().balance, 3);
        assert_ne!(state.to_cell().unwrap(), before);
    }

    /// `spec/04 §2.5`.
    #[test]
    fn coins_are_counted_over_accounts_peers_fees_and_pool() {
        let mut state = state(9);
        state.account_mut(2).unwrap().unwrap().balance = 30;
        state.account_mut(8).unwrap().unwrap().balance = 12;
        state.set_peer(&[1; 32], &PeerStatus::new(3, 5)).unwrap();
        state.globals_mut().fees = 1;
        assert_eq!(state.total_coins(), Ok(1_000_000_000_000 + 48));
        assert_eq!(state.coin_supply(), Ok(MAX_COINS - 30));
    }
}
