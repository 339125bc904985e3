//! Transactions that wait for a block, and clients that wait for results.

use std::collections::{HashMap, VecDeque};

use cells::{Hash, Signed};
use cvm::state::MAX_TRANSACTIONS;
use smallvec::{SmallVec, smallvec};
use wire::{Code, Reply};

use super::event::{Connection, Requester, Submitted};

/// Bytes of transactions in one block, with all below them.
const BLOCK_BYTES: usize = 4 << 20;
/// Clients that wait for the result of the same transaction.
const MAX_REQUESTERS: usize = 16;
/// For how long an account whose transaction would have voided a block is watched, milliseconds.
const WATCH: u64 = 60_000;
/// Accounts that are watched at once.
const MAX_WATCHED: usize = 4_096;

/// A transaction on its way into a block.
#[derive(Clone)]
pub struct Entry {
    /// The transaction.
    pub signed: Signed,
    /// Its hash.
    pub hash: Hash,
    /// The account that it acts for.
    pub origin: u64,
    size: usize,
}

/// The queue.
#[derive(Default)]
pub struct Queue {
    limit: usize,
    entries: VecDeque<Entry>,
    bytes: usize,
    waiting: HashMap<Hash, SmallVec<[Requester; 1]>>,
    /// Accounts, and until when (steady milliseconds) at most one transaction of all of them goes into a block.
    watched: HashMap<u64, u64>,
}

/// Bytes of all waiting transactions, for each place in the queue: ordinary ones are far smaller.
const BYTES_PER_PLACE: usize = 2_048;

impl Queue {
    /// For so many transactions.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            ..Self::default()
        }
    }

    /// Transactions that wait for a block.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Clients' transactions without a result.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a transaction in. One that is on its way already is not taken twice, but both clients get its result.
    ///
    /// # Errors
    /// The answer when there is no room.
    pub fn submit(&mut self, submitted: Submitted) -> Result<(), Reply> {
        let Submitted {
            requester,
            signed,
            hash,
            origin,
            size,
        } = submitted;
        if let Some(waiting) = self.waiting.get_mut(&hash) {
            if waiting.len() >= MAX_REQUESTERS {
                return Err(Reply::overloaded(requester.id));
            }
            waiting.push(requester);
            return Ok(());
        }
        let full = self.entries.len() >= self.limit
            // What is in blocks already counts too: it takes memory until its block is final.
            || self.waiting.len() >= self.limit.saturating_mul(2)
            || self.bytes + size > self.limit.saturating_mul(BYTES_PER_PLACE).max(BLOCK_BYTES);
        if full {
            return Err(Reply::overloaded(requester.id));
        }
        self.waiting.insert(hash, smallvec![requester]);
        self.bytes += size;
        self.entries.push_back(Entry {
            signed,
            hash,
            origin,
            size,
        });
        Ok(())
    }

    /// The transactions for a block of at most `most`, in the order of arrival.
    pub fn take(&mut self, most: usize, now: u64) -> Vec<Entry> {
        if !self.watched.is_empty() {
            self.watched.retain(|_, until| *until > now);
        }
        let most = most.min(MAX_TRANSACTIONS as usize);
        let mut taken: Vec<Entry> = Vec::with_capacity(most.min(self.entries.len()));
        let mut bytes = 0;
        let mut watched = false;
        let mut aside = Vec::new();
        while taken.len() < most
            && aside.len() < most
            && let Some(entry) = self.entries.pop_front()
        {
            if !self.watched.is_empty() && self.watched.contains_key(&entry.origin) {
                if watched {
                    aside.push(entry);
                    continue;
                }
                watched = true;
            }
            if !taken.is_empty() && bytes + entry.size > BLOCK_BYTES {
                self.entries.push_front(entry);
                break;
            }
            bytes += entry.size;
            taken.push(entry);
        }
        for entry in aside.into_iter().rev() {
            self.entries.push_front(entry);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        taken
    }

    /// Puts transactions back to the front.
    pub fn put_back(&mut self, entries: Vec<Entry>) {
        for entry in entries.into_iter().rev() {
            self.bytes += entry.size;
            self.entries.push_front(entry);
        }
    }

    /// A transaction of this account would have voided a block.
    pub fn watch(&mut self, origin: u64, now: u64) {
        if self.watched.len() < MAX_WATCHED || self.watched.contains_key(&origin) {
            self.watched.insert(origin, now + WATCH);
        }
    }

    /// All transactions that wait for a block.
    pub fn take_all(&mut self) -> Vec<Entry> {
        self.bytes = 0;
        self.entries.drain(..).collect()
    }

    /// Who waits for the result of a transaction that is on its way all the same; they don't any longer.
    pub fn release(&mut self, hash: &Hash) -> SmallVec<[Requester; 1]> {
        self.waiting
            .get_mut(hash)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Who waits for the result of a transaction; they don't any longer.
    pub fn answered(&mut self, hash: &Hash) -> SmallVec<[Requester; 1]> {
        self.waiting.remove(hash).unwrap_or_default()
    }

    /// Answers to those who wait for these transactions, which go no further.
    pub fn reject(
        &mut self,
        entries: impl IntoIterator<Item = Entry>,
        code: Code,
        text: &str,
    ) -> Vec<(Connection, Reply)> {
        let mut replies = Vec::new();
        for entry in entries {
            for requester in self.answered(&entry.hash) {
                let reply = Reply::rejected(requester.id, code, text);
                replies.push((requester.connection, reply));
            }
        }
        replies
    }

    /// Nobody waits any longer: the connections are gone.
    pub fn forget_requesters(&mut self) {
        for waiting in self.waiting.values_mut() {
            waiting.clear();
        }
    }
}
