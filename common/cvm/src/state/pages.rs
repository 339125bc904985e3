//! Accounts by address, read from the accounts vector when they are first touched.

use std::cell::OnceCell;

use cells::{CellError, Vector};

use super::Account;

/// Accounts of one page. Small enough that a lone account among millions doesn't cost much.
const PAGE: usize = 64;

/// One account in memory.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) account: Account,
    /// Epoch of the journal in which the account was written down last; 0 before the first time.
    pub(super) epoch: u64,
    /// True when the accounts vector doesn't have this value yet.
    pub(super) dirty: bool,
}

type Page = [OnceCell<Slot>; PAGE];

/// A table of the accounts in memory.
#[derive(Debug, Default)]
pub(super) struct Pages {
    directory: Vec<OnceCell<Box<Page>>>,
}

fn position(address: u64) -> (usize, usize) {
    // Addresses in the table are below the number of accounts, so they fit.
    let address = address as usize;
    (address / PAGE, address % PAGE)
}

impl Pages {
    /// Room for `count` accounts, none of which is in memory.
    pub(super) fn new(count: u64) -> Self {
        let mut pages = Self::default();
        pages.grow(count);
        pages
    }

    fn grow(&mut self, count: u64) {
        let pages = (count as usize).div_ceil(PAGE);
        if pages > self.directory.len() {
            self.directory.resize_with(pages, OnceCell::new);
        }
    }

    fn cell(&self, address: u64) -> Option<&OnceCell<Slot>> {
        let (page, slot) = position(address);
        Some(
            &self
                .directory
                .get(page)?
                .get_or_init(|| Box::new([const { OnceCell::new() }; PAGE]))[slot],
        )
    }

    /// The account, from memory or from `base`. The address is below the number of accounts.
    #[inline]
    pub(super) fn get(&self, address: u64, base: &Vector) -> Result<&Slot, CellError> {
        const BEYOND: CellError = CellError::Malformed("address beyond the accounts");
        let cell = self.cell(address).ok_or(BEYOND)?;
        match cell.get() {
            Some(slot) => Ok(slot),
            None => {
                let record = base.get(address)?.ok_or(BEYOND)?;
                let account = Account::from_cell(&record)?;
                Ok(cell.get_or_init(|| Slot {
                    account,
                    epoch: 0,
                    dirty: false,
                }))
            }
        }
    }

    /// As [`Pages::get`], to change it.
    #[inline]
    pub(super) fn get_mut(&mut self, address: u64, base: &Vector) -> Result<&mut Slot, CellError> {
        self.get(address, base)?;
        Ok(self.in_memory(address).expect("was just read"))
    }

    /// The account when it is in memory.
    pub(super) fn in_memory(&mut self, address: u64) -> Option<&mut Slot> {
        let (page, slot) = position(address);
        self.directory.get_mut(page)?.get_mut()?[slot].get_mut()
    }

    /// Adds a new account behind the `address` existing ones.
    pub(super) fn push(&mut self, address: u64, slot: Slot) {
        self.grow(address + 1);
        if let Some(cell) = self.cell(address) {
            let fresh = cell.set(slot).is_ok();
            debug_assert!(fresh, "the address was free");
        }
    }

    /// Forgets an account.
    pub(super) fn remove(&mut self, address: u64) {
        let (page, slot) = position(address);
        if let Some(page) = self.directory.get_mut(page).and_then(OnceCell::get_mut) {
            page[slot].take();
        }
    }

    /// Accounts that the pages in memory have room for.
    pub(super) fn capacity(&self) -> usize {
        self.directory
            .iter()
            .filter(|page| page.get().is_some())
            .count()
            * PAGE
    }
}
