//! Accounts (`spec/04 §2.2`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use cells::{Blob, Cell, CellError, Index, Map, Record, RecordKind};

use super::size::{long_ref, memory_size, own_memory, ref_len};

/// One account.
///
/// The three numbers that every transaction changes lie flat; what changes rarely is shared behind one pointer,
/// so that a copy for the undo journal costs one reference count.
#[derive(Debug, Clone)]
pub struct Account {
    /// Transactions charged so far.
    pub sequence: i64,
    /// Coppers. Below zero after an unaffordable memory purchase (`spec/04 §4.6`).
    pub balance: i64,
    /// Bytes that the account may still use without buying memory.
    pub allowance: i64,
    rest: Arc<Rest>,
}

/// The fields that only code changes.
#[derive(Debug, Clone, Default)]
struct Rest {
    key: Option<Blob>,
    holdings: Option<Index>,
    controller: Nil,
    environment: Option<Map>,
    metadata: Option<Map>,
    parent: Option<u64>,
    /// Bytes that the fields of this struct take in the record; computed when first needed.
    ref_len: Known,
    stamp: Stamp,
}

/// Tells values of [`Rest`] apart: those with the same stamp are equal. No state depends on it.
#[derive(Debug, Clone, Default)]
struct Stamp(u64);

impl Stamp {
    /// One that no other value in this process has; zero is that of new accounts.
    fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A length that is computed when first needed; zero, which none of these has, is unknown.
#[derive(Debug, Default)]
struct Known(AtomicU64);

impl Known {
    fn get_or(&self, compute: impl FnOnce() -> u64) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            0 => {
                let length = compute();
                self.0.store(length, Ordering::Relaxed);
                length
            }
            length => length,
        }
    }
}

impl Clone for Known {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}

/// A cell that starts as `nil`.
#[derive(Debug, Clone)]
struct Nil(Cell);

impl Default for Nil {
    fn default() -> Self {
        Self(Cell::Nil)
    }
}

impl Default for Account {
    /// A new account (`spec/04 §2.2`).
    fn default() -> Self {
        static REST: LazyLock<Arc<Rest>> = LazyLock::new(Arc::default);
        Self {
            sequence: 0,
            balance: 0,
            allowance: 0,
            rest: REST.clone(),
        }
    }
}

impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        self.to_cell() == other.to_cell()
    }
}

/// Bytes that a cell takes in its parent.
pub(super) fn cell_ref_len(cell: &Cell) -> u64 {
    ref_len(cell.encoded_len() as u64)
}

impl Account {
    /// The key that signs for this account; without one it is an actor.
    #[must_use]
    pub fn key(&self) -> Option<&[u8; 32]> {
        self.rest.key.as_ref().and_then(Blob::as_key)
    }

    /// The key as a value: a blob or nil.
    #[must_use]
    pub fn key_cell(&self) -> Cell {
        Cell::from(self.rest.key.clone())
    }

    /// True for an account that can't sign transactions.
    #[must_use]
    pub fn is_actor(&self) -> bool {
        self.rest.key.is_none()
    }

    /// Values that the account holds by the address of an actor.
    #[must_use]
    pub fn holdings(&self) -> Option<&Index> {
        self.rest.holdings.as_ref()
    }

    /// Nil, an address, or a vector of an address and a scope.
    #[must_use]
    pub fn controller(&self) -> &Cell {
        &self.rest.controller.0
    }

    /// Definitions of the account.
    #[must_use]
    pub fn environment(&self) -> Option<&Map> {
        self.rest.environment.as_ref()
    }

    /// Metadata of definitions.
    #[must_use]
    pub fn metadata(&self) -> Option<&Map> {
        self.rest.metadata.as_ref()
    }

    /// Account whose definitions are inherited; core (#8) when `None`.
    #[must_use]
    pub fn parent(&self) -> Option<u64> {
        self.rest.parent
    }

    fn change(&mut self) -> &mut Rest {
        let rest = Arc::make_mut(&mut self.rest);
        rest.ref_len = Known::default();
        rest.stamp = Stamp::fresh();
        rest
    }

    /// A number that other definitions, metadata or parents of this or another account don't have.
    pub(crate) fn stamp(&self) -> u64 {
        self.rest.stamp.0
    }

    /// Sets or removes the key.
    pub fn set_key(&mut self, key: Option<[u8; 32]>) {
        self.change().key = key.map(|k| Blob::new(&k));
    }

    /// Sets the holdings; an empty index is stored as nil.
    pub fn set_holdings(&mut self, holdings: Option<Index>) {
        self.change().holdings = holdings.filter(|h| !h.is_empty());
    }

    /// Sets the controller, as given.
    pub fn set_controller(&mut self, controller: Cell) {
        self.change().controller = Nil(controller);
    }

    /// Sets the definitions; an empty map stays one.
    pub fn set_environment(&mut self, environment: Option<Map>) {
        self.change().environment = environment;
    }

    /// Sets the metadata of definitions; an empty map stays one.
    pub fn set_metadata(&mut self, metadata: Option<Map>) {
        self.change().metadata = metadata;
    }

    /// Sets or removes the parent.
    pub fn set_parent(&mut self, parent: Option<u64>) {
        self.change().parent = parent;
    }

    /// The definitions, to be changed in place.
    pub fn environment_mut(&mut self) -> &mut Option<Map> {
        &mut self.change().environment
    }

    /// The metadata of definitions, to be changed in place.
    pub fn metadata_mut(&mut self) -> &mut Option<Map> {
        &mut self.change().metadata
    }

    /// The record.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        let rest = &*self.rest;
        Cell::from(Record::of_kind(
            RecordKind::Account,
            [
                Cell::Long(self.sequence),
                Cell::from(rest.key.clone()),
                Cell::Long(self.balance),
                Cell::Long(self.allowance),
                Cell::from(rest.holdings.clone()),
                rest.controller.0.clone(),
                Cell::from(rest.environment.clone()),
                Cell::from(rest.metadata.clone()),
                rest.parent.map_or(Cell::Nil, Cell::Address),
            ],
        ))
    }

    /// From its record.
    ///
    /// # Errors
    /// When a field can't be read, or has a type that no rule produces.
    pub fn from_cell(cell: &Cell) -> Result<Self, CellError> {
        const MALFORMED: CellError = CellError::Malformed("no account record");
        let fields: [Cell; 9] = super::record_fields(cell, RecordKind::Account, MALFORMED)?;
        let [
            sequence,
            key,
            balance,
            allowance,
            holdings,
            controller,
            environment,
            metadata,
            parent,
        ] = fields;
        let long = |cell: Cell| match cell {
            Cell::Long(n) => Ok(n),
            _ => Err(MALFORMED),
        };
        let map = |cell: Cell| match cell {
            Cell::Map(m) => Ok(Some(m)),
            Cell::Nil => Ok(None),
            _ => Err(MALFORMED),
        };
        let rest = Rest {
            key: match key {
                Cell::Blob(b) if b.as_key().is_some() => Some(b),
                Cell::Nil => None,
                _ => return Err(MALFORMED),
            },
            holdings: match holdings {
                Cell::Index(i) => Some(i),
                Cell::Nil => None,
                _ => return Err(MALFORMED),
            },
            controller: Nil(controller),
            environment: map(environment)?,
            metadata: map(metadata)?,
            parent: match parent {
                Cell::Address(a) => Some(a),
                Cell::Nil => None,
                _ => return Err(MALFORMED),
            },
            ref_len: Known::default(),
            stamp: Stamp::fresh(),
        };
        Ok(Self {
            sequence: long(sequence)?,
            balance: long(balance)?,
            allowance: long(allowance)?,
            rest: Arc::new(rest),
        })
    }

    /// Bytes of the record's encoding.
    pub(super) fn encoded_len(&self) -> u64 {
        2 + long_ref(self.sequence)
            + long_ref(self.balance)
            + long_ref(self.allowance)
            + self.rest.ref_len()
    }

    /// Bytes that the record takes in the accounts vector.
    pub(super) fn ref_len(&self) -> u64 {
        ref_len(self.encoded_len())
    }

    /// Memory size of the record.
    pub(super) fn memory(&self) -> Result<i64, CellError> {
        let below = self.rest.memory_since(&NOTHING)?;
        Ok(below.saturating_add(own_memory(self.encoded_len()) as i64))
    }

    /// Memory size of this record minus that of `before`; looks only at fields that differ.
    pub(super) fn memory_since(&self, before: &Self) -> Result<i64, CellError> {
        let mut delta =
            own_memory(self.encoded_len()) as i64 - own_memory(before.encoded_len()) as i64;
        if !Arc::ptr_eq(&self.rest, &before.rest) {
            delta = delta.saturating_add(self.rest.memory_since(&before.rest)?);
        }
        Ok(delta)
    }
}

impl Rest {
    /// Memory size of the fields minus that of `before`; looks only at those that differ.
    fn memory_since(&self, before: &Self) -> Result<i64, CellError> {
        let mut delta = 0i64;
        let mut add = |new: i64, old: i64| delta = delta.saturating_add(new - old);
        for (new, old) in [
            (&self.environment, &before.environment),
            (&self.metadata, &before.metadata),
        ] {
            if !same(new, old, Map::is_identical) {
                add(
                    memory(new.as_ref(), Map::memory_size)?,
                    memory(old.as_ref(), Map::memory_size)?,
                );
            }
        }
        let (new, old) = (&self.holdings, &before.holdings);
        if !same(new, old, Index::is_identical) {
            add(
                memory(new.as_ref(), Index::memory_size)?,
                memory(old.as_ref(), Index::memory_size)?,
            );
        }
        let (new, old) = (&self.controller.0, &before.controller.0);
        if !new.is_identical(old) {
            add(memory_size(new)?, memory_size(old)?);
        }
        Ok(delta)
    }

    fn ref_len(&self) -> u64 {
        self.ref_len.get_or(|| {
            let key = if self.key.is_some() { 34 } else { 1 };
            let parent = self.parent.map_or(Cell::Nil, Cell::Address).encoded_len() as u64;
            let map =
                |map: &Option<Map>| map.as_ref().map_or(1, |m| ref_len(m.encoded_len() as u64));
            let holdings = self.holdings.as_ref();
            key + parent
                + map(&self.environment)
                + map(&self.metadata)
                + holdings.map_or(1, |h| ref_len(h.encoded_len() as u64))
                + cell_ref_len(&self.controller.0)
        })
    }
}

/// The fields of a new account.
static NOTHING: Rest = Rest {
    key: None,
    holdings: None,
    controller: Nil(Cell::Nil),
    environment: None,
    metadata: None,
    parent: None,
    ref_len: Known(AtomicU64::new(0)),
    stamp: Stamp(0),
};

/// True when both are absent, or the same.
fn same<T>(a: &Option<T>, b: &Option<T>, identical: impl Fn(&T, &T) -> bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => identical(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Memory size of a field, which `nil` has none of.
fn memory<T>(
    field: Option<&T>,
    size: impl FnOnce(&T) -> Result<u64, CellError>,
) -> Result<i64, CellError> {
    let size = field.map_or(Ok(0), size)?;
    Ok(i64::try_from(size).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::Symbol;

    fn hex(cell: &Cell) -> String {
        cell.encode().iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn a_new_account_has_the_encoding_of_the_specification() {
        assert_eq!(hex(&Account::default().to_cell()), "d809100010100000000000");
    }

    #[test]
    fn encoded_length_and_memory_equal_those_of_the_record() {
        let long = Cell::from(Blob::new(&[1; 200]));
        let mut accounts = vec![Account::default()];
        let mut a = Account {
            sequence: 300,
            balance: -18_350,
            allowance: 10_000,
            ..Account::default()
        };
        a.set_key(Some([5; 32]));
        a.set_parent(Some(132));
        accounts.push(a.clone());
        a.set_controller(Cell::from(cells::Vector::from_iter([
            Cell::Address(7),
            long.clone(),
        ])));
        accounts.push(a.clone());
        let map = Map::empty()
            .assoc(Cell::from(Symbol::literal("foo")), long.clone())
            .unwrap();
        a.set_environment(Some(map));
        a.set_metadata(Some(Map::empty()));
        accounts.push(a.clone());
        let holdings = Index::empty()
            .assoc(Cell::Address(7), long)
            .unwrap()
            .unwrap();
        a.set_holdings(Some(holdings));
        a.balance = i64::MAX;
        a.sequence = i64::MAX;
        a.allowance = i64::MAX;
        accounts.push(a.clone());
        let long = Cell::from(Blob::new(&[1; 60]));
        a.set_environment(Some(
            Map::empty()
                .assoc(Cell::from(Symbol::literal("foo")), long)
                .unwrap(),
        ));
        accounts.push(a);
        for account in &accounts {
            let cell = account.to_cell();
            assert_eq!(account.encoded_len(), cell.encoded_len() as u64, "{cell}");
            assert_eq!(
                account.memory().unwrap(),
                cell.memory_size().unwrap() as i64,
                "{cell}"
            );
            assert_eq!(&Account::from_cell(&cell).unwrap(), account);
            for before in &accounts {
                let expected = account.memory().unwrap() - before.memory().unwrap();
                assert_eq!(account.memory_since(before), Ok(expected));
            }
        }
    }

    /// `spec/04 §2.2`: holdings are never an empty index, definitions may become an empty map.
    #[test]
    fn empty_holdings_become_nil_and_empty_definitions_stay() {
        let mut a = Account::default();
        a.set_holdings(Some(Index::empty()));
        a.set_environment(Some(Map::empty()));
        a.set_metadata(Some(Map::empty()));
        assert_eq!(hex(&a.to_cell()), "d8091000101000008200820000");
    }
}
