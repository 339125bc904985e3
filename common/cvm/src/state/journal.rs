//! What has to be put back when a transaction, a call or a block is undone.

use cells::Index;
use smallvec::SmallVec;

use super::{Account, Globals};

/// One undone step.
#[derive(Debug)]
pub(super) enum Undo {
    /// An account had this value, written down last in this epoch.
    Account {
        address: u64,
        epoch: u64,
        account: Account,
    },
    /// The last account didn't exist.
    Push,
    /// The peers were these.
    Peers(Index),
    /// The schedule was this.
    Schedule(Index),
    /// The globals were these.
    Globals(Globals),
}

/// A point to come back to.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    len: usize,
    epoch: u64,
}

/// Old values, oldest first.
///
/// Every mark starts an epoch. An account is written down once in an epoch: the stamp in its slot says when it
/// was written down last, and going back restores the stamp too. So the first old value since a mark is the one
/// whose own stamp is older than the mark.
#[derive(Debug)]
pub(super) struct Journal {
    entries: Vec<Undo>,
    epoch: u64,
}

impl Default for Journal {
    fn default() -> Self {
        // Slots start with stamp 0, older than any epoch.
        Self {
            entries: Vec::new(),
            epoch: 1,
        }
    }
}

/// Values of a state at a mark that differ, or may differ, from those of now.
#[derive(Debug, Default)]
pub(super) struct Before<'a> {
    pub(super) accounts: SmallVec<[(u64, &'a Account); 8]>,
    pub(super) pushed: u64,
    pub(super) peers: Option<&'a Index>,
    pub(super) schedule: Option<&'a Index>,
    pub(super) globals: Option<Globals>,
}

impl Journal {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// True when an account with this stamp has to be written down before it changes.
    #[inline]
    pub(super) fn is_new(&self, epoch: u64) -> bool {
        epoch < self.epoch
    }

    #[inline]
    pub(super) fn push(&mut self, undo: Undo) {
        self.entries.push(undo);
    }

    pub(super) fn mark(&mut self) -> Mark {
        self.epoch += 1;
        Mark {
            len: self.entries.len(),
            epoch: self.epoch,
        }
    }

    /// Takes back the newest step since a mark.
    pub(super) fn pop_since(&mut self, mark: Mark) -> Option<Undo> {
        if self.entries.len() > mark.len {
            self.entries.pop()
        } else {
            None
        }
    }

    /// The oldest values since a mark.
    pub(super) fn before(&self, mark: Mark) -> Before<'_> {
        let mut before = Before::default();
        for undo in &self.entries[mark.len.min(self.entries.len())..] {
            match undo {
                Undo::Account {
                    address,
                    epoch,
                    account,
                } if *epoch < mark.epoch => {
                    before.accounts.push((*address, account));
                }
                Undo::Account { .. } => {}
                Undo::Push => before.pushed += 1,
                Undo::Peers(peers) => {
                    before.peers.get_or_insert(peers);
                }
                Undo::Schedule(schedule) => {
                    before.schedule.get_or_insert(schedule);
                }
                Undo::Globals(globals) => {
                    before.globals.get_or_insert(*globals);
                }
            }
        }
        before
    }

    /// Drops what marks since this one would need: only the oldest values stay.
    pub(super) fn compact(&mut self, mark: Mark) {
        let start = mark.len.min(self.entries.len());
        let (mut peers, mut schedule, mut globals) = (false, false, false);
        let first = |seen: &mut bool| !std::mem::replace(seen, true);
        let mut i = 0;
        self.entries.retain(|undo| {
            i += 1;
            i <= start
                || match undo {
                    Undo::Account { epoch, .. } => *epoch < mark.epoch,
                    Undo::Push => true,
                    Undo::Peers(_) => first(&mut peers),
                    Undo::Schedule(_) => first(&mut schedule),
                    Undo::Globals(_) => first(&mut globals),
                }
        });
    }

    pub(super) fn len_since(&self, mark: Mark) -> usize {
        self.entries.len().saturating_sub(mark.len)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.epoch += 1;
    }
}
