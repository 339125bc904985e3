//! Getting cells from other peers: what a message lacks, or a value of which only the hash is known (`spec/06 §7.3`).
//!
//! | part | what it does |
//! |---|---|
//! | [`Tree`] | what is lacking of a value, and what can't be stored yet |
//! | [`Sources`] | who is asked, and who is left alone for a while |
//! | [`Fetcher`] | requests and answers: many at once, of all sources |
//!
//! Whatever is whole goes to the store in batches, while the rest is still on its way: memory is bounded however much there is, and who
//! is interrupted goes on where he was. Every cell is compared with the hash that was asked for, so nobody has to be trusted.

mod sources;
mod tree;

use std::collections::HashMap;

use cells::{Cell, CellError, Decoder, Hash};
use crypto::AccountKey;
use wire::Reply;

use super::event::Connection;
use crate::source::Shelf;

pub use sources::{Fault, Sources};
pub use tree::{Failure as TreeFailure, MAX_HELD, MAX_NODES, Tree, missing};

/// Requests under way, in all.
const MAX_ASKED: usize = 16;
/// Requests under way while the work goes sideways, and hashes in one.
const FEW_ASKED: usize = 2;
const FEW_HASHES: usize = 32;
/// Bytes of fetched cells that are not durable yet, beyond which nothing more is asked for.
const MAX_UNWRITTEN: usize = 16 << 20;
/// Bytes of whole cells that make a batch.
const BATCH: usize = 1 << 20;
/// Bytes that one acquisition may bring. A larger value is had in several, since each finds in the store what those before it brought.
const MAX_BYTES: u64 = 1 << 30;
/// The same of what one message lacks, and milliseconds within which it has to come. A peer that was away for longer gets the rest by a poll.
const MESSAGE_BYTES: u64 = 16 << 20;
const MESSAGE_PATIENCE: u64 = 60_000;
/// Acquisitions at once.
const MAX_GOALS: usize = 4;
/// A request for fewer cells follows a single branch.
const FEW: usize = 8;
/// So many such requests in a row are more than trees of orders and blocks have levels.
const STREAK: u32 = 256;
/// Milliseconds after which an idle source is asked for what another one has not answered.
const HURRY: u64 = 2_000;
/// Milliseconds for an answer; `netd` gives up earlier.
const PATIENCE: u64 = 15_000;
/// Milliseconds without anything new after which an acquisition is given up.
const GIVE_UP: u64 = 30_000;

/// What is to be had.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// All that this message of this peer lacks.
    Message(Cell, AccountKey),
    /// The value with this hash.
    Hash(Hash),
}

/// Why an acquisition ended without its aim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nobody has this cell.
    Nowhere(Hash),
    /// Nothing new came for long, or not all in time.
    Stalled,
    /// More than may be acquired at once.
    TooMuch,
    /// It has a branch that nobody has (a value that small stands in its parent).
    Malformed,
    /// The store fails.
    Store(CellError),
}

/// What was acquired so far, by all acquisitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Acquired {
    /// Cells.
    pub cells: u64,
    /// Bytes of their encodings.
    pub bytes: u64,
    /// Requests that were answered.
    pub answers: u64,
    /// Requests that were not, or not with what was asked for.
    pub failures: u64,
}

/// Acquisitions under way.
#[derive(Debug, Default)]
pub struct Fetcher {
    sources: Sources,
    goals: Vec<Goal>,
    /// Requests under way, by their numbers.
    asked: HashMap<u64, Asked>,
    /// Cells in them, and in how many.
    in_flight: HashMap<Hash, usize>,
    /// Whole cells that are in no batch.
    whole: Vec<Cell>,
    whole_bytes: usize,
    acquired: Acquired,
}

#[derive(Debug)]
struct Goal {
    wanted: Wanted,
    from: Option<Connection>,
    tree: Tree,
    bytes: u64,
    /// Bytes that are too much.
    most: u64,
    /// When it has to be over.
    end: u64,
    /// Requests in a row that followed a single branch.
    streak: u32,
    began: u64,
    /// When something new came last.
    last: u64,
    failure: Option<Failure>,
}

impl Goal {
    fn is_endless(&self) -> bool {
        self.streak >= STREAK
    }
}

#[derive(Debug)]
struct Asked {
    source: Connection,
    hashes: Vec<Hash>,
    at: u64,
    /// Who else was asked for the same.
    also: Vec<Connection>,
}

/// An acquisition that is over.
#[derive(Debug)]
pub struct Ended {
    /// What was wanted.
    pub wanted: Wanted,
    /// Who named it.
    pub from: Option<Connection>,
    /// Whether it is there now.
    pub outcome: Result<(), Failure>,
}

impl Fetcher {
    /// What was acquired so far.
    #[must_use]
    pub fn acquired(&self) -> Acquired {
        self.acquired
    }

    /// The sources.
    pub fn sources(&mut self) -> &mut Sources {
        &mut self.sources
    }

    /// Number of acquisitions under way.
    #[must_use]
    pub fn goals(&self) -> usize {
        self.goals.len()
    }

    /// True when something is being acquired that may have an end: while one follows a single branch for longer than honest beliefs are
    /// deep, which a transaction may do too, nobody has to wait for it.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.goals.iter().any(|goal| !goal.is_endless())
    }

    /// Bytes of cells that are held until what is below them is there.
    #[must_use]
    pub fn held(&self) -> usize {
        self.goals.iter().map(|goal| goal.tree.held()).sum()
    }

    /// The part of the oldest acquisition that is there, by guess, and since when it is under way.
    #[must_use]
    pub fn done(&self) -> Option<(f64, u64)> {
        let goal = self.goals.first()?;
        Some((goal.tree.done(), goal.began))
    }

    /// Forgets all sources and acquisitions: all connections are gone.
    pub fn clear(&mut self) {
        self.sources = Sources::default();
        self.goals.clear();
        self.asked.clear();
        self.in_flight.clear();
    }

    /// A source is gone: its requests will not be answered.
    pub fn closed(&mut self, connection: Connection) {
        self.sources.closed(connection);
        let of_it =
            |(ticket, asked): (&u64, &Asked)| (asked.source == connection).then_some(*ticket);
        let tickets: Vec<u64> = self.asked.iter().filter_map(of_it).collect();
        for ticket in tickets {
            self.put_back(ticket);
        }
    }

    /// Begins to acquire something that `from` named. `None` when enough is being acquired, or something of the same peer.
    ///
    /// # Errors
    /// When the store fails, or it is too much at once.
    pub fn want(
        &mut self,
        wanted: Wanted,
        from: Option<Connection>,
        now: u64,
        shelf: &Shelf,
    ) -> Option<Result<(), Failure>> {
        let of = |wanted: &Wanted| match wanted {
            Wanted::Message(_, key) => Some(*key),
            Wanted::Hash(_) => None,
        };
        let whose = of(&wanted);
        let same = |goal: &Goal| {
            (from.is_some() && goal.from == from) || (whose.is_some() && of(&goal.wanted) == whose)
        };
        if self.goals.iter().any(same) {
            return None;
        }
        if self.goals.len() >= MAX_GOALS {
            // One that follows a branch without end makes place for who may have one.
            let endless = self.goals.iter_mut().find(|goal| goal.is_endless())?;
            endless.failure = Some(Failure::Stalled);
        }
        let tree = match &wanted {
            Wanted::Message(message, _) => Tree::of_value(message, shelf),
            Wanted::Hash(hash) => Tree::of_hash(*hash, shelf),
        };
        let tree = match tree {
            Ok(tree) => tree,
            Err(failure) => return Some(Err(failure.into())),
        };
        let (most, end) = match wanted {
            Wanted::Message(..) => (MESSAGE_BYTES, now + MESSAGE_PATIENCE),
            Wanted::Hash(_) => (MAX_BYTES, u64::MAX),
        };
        self.goals.push(Goal {
            wanted,
            from,
            tree,
            bytes: 0,
            most,
            end,
            streak: 0,
            began: now,
            last: now,
            failure: None,
        });
        Some(Ok(()))
    }

    /// The next requests, with numbers from `ticket` on.
    pub fn requests(
        &mut self,
        ticket: &mut u64,
        now: u64,
        shelf: &Shelf,
    ) -> Vec<(u64, Connection, Vec<Hash>)> {
        self.expire(now);
        let mut requests = Vec::new();
        if self.goals.is_empty() || shelf.fetched_bytes() >= MAX_UNWRITTEN {
            return requests;
        }
        // Who is late with an answer is asked for nothing else meanwhile.
        let late = self.asked.values().filter(|asked| now >= asked.at + HURRY);
        let late: Vec<Connection> = late.map(|asked| asked.source).collect();
        let mut any = true;
        while any {
            any = false;
            for (source, most) in self.sources.free(now) {
                if late.contains(&source) {
                    continue;
                }
                let usable = |home| self.sources.may_answer(home, now) && !late.contains(&home);
                let alone: Vec<Connection> = self.homes().filter(|home| usable(*home)).collect();
                let Some(hashes) = self.pick(source, most, &alone, now) else {
                    continue;
                };
                for hash in &hashes {
                    *self.in_flight.entry(*hash).or_default() += 1;
                }
                self.sources.asked(source);
                *ticket += 1;
                let asked = Asked {
                    source,
                    hashes: hashes.clone(),
                    at: now,
                    also: Vec::new(),
                };
                self.asked.insert(*ticket, asked);
                requests.push((*ticket, source, hashes));
                any = true;
            }
        }
        requests
    }

    /// Those that named what is being acquired.
    fn homes(&self) -> impl Iterator<Item = Connection> + '_ {
        self.goals.iter().filter_map(|goal| goal.from)
    }

    /// What to ask a source for. Those who are `alone` need no help with little: who has named something has all of it, others may not.
    fn pick(
        &mut self,
        source: Connection,
        most: usize,
        alone: &[Connection],
        now: u64,
    ) -> Option<Vec<Hash>> {
        if self.asked.len() >= MAX_ASKED {
            return None;
        }
        for goal in self.goals.iter_mut().filter(|goal| goal.failure.is_none()) {
            let others = goal.from.filter(|home| *home != source);
            if others.is_some_and(|home| alone.contains(&home))
                && goal.tree.waiting() <= FEW
                && !goal.tree.has_scarce()
            {
                continue;
            }
            let mut most = most;
            if goal.tree.is_broad() {
                if self.asked.len() >= FEW_ASKED {
                    continue;
                }
                most = most.min(FEW_HASHES);
            }
            let in_flight = &self.in_flight;
            let asked = |hash: &Hash| in_flight.contains_key(hash);
            let hashes = goal.tree.take(source, most, asked);
            if !hashes.is_empty() {
                goal.streak = match hashes.len() {
                    ..FEW => goal.streak.saturating_add(1),
                    _ => 0,
                };
                return Some(hashes);
            }
        }
        if !self.sources.is_idle(source) {
            return None;
        }
        let late = |asked: &&mut Asked| {
            asked.source != source && !asked.also.contains(&source) && now >= asked.at + HURRY
        };
        let late = self.asked.values_mut().find(late)?;
        late.also.push(source);
        Some(late.hashes.clone())
    }

    /// Requests that were never answered.
    fn expire(&mut self, now: u64) {
        let late =
            |(ticket, asked): (&u64, &Asked)| (now >= asked.at + PATIENCE).then_some(*ticket);
        let tickets: Vec<u64> = self.asked.iter().filter_map(late).collect();
        for ticket in tickets {
            if let Some(source) = self.put_back(ticket) {
                self.sources.failed(source, Fault::Silent, now);
            }
        }
    }

    /// A request is over without an answer; answers who was asked.
    fn put_back(&mut self, ticket: u64) -> Option<Connection> {
        let asked = self.asked.remove(&ticket)?;
        self.acquired.failures += 1;
        self.sources.over(asked.source);
        for hash in &asked.hashes {
            self.lacks(hash, None);
        }
        Some(asked.source)
    }

    /// A cell did not come with an answer, or its source has said not to have it.
    fn lacks(&mut self, hash: &Hash, without: Option<Connection>) {
        let elsewhere = self.landed(hash);
        if elsewhere && without.is_none() {
            return;
        }
        for goal in &mut self.goals {
            goal.tree.lacks(hash, without);
        }
    }

    /// One request less has this cell; true when there are others.
    fn landed(&mut self, hash: &Hash) -> bool {
        match self.in_flight.get_mut(hash) {
            Some(count) if *count > 1 => {
                *count -= 1;
                true
            }
            _ => {
                self.in_flight.remove(hash);
                false
            }
        }
    }

    /// True when this is the number of a request under way.
    #[must_use]
    pub fn has_asked(&self, ticket: u64) -> bool {
        self.asked.contains_key(&ticket)
    }

    /// Takes in the answer to a request.
    pub fn answered(&mut self, ticket: u64, answer: Option<&Reply>, now: u64, shelf: &Shelf) {
        let fault = match answer {
            None => Fault::Silent,
            Some(reply) if !reply.error.is_nil() => Fault::Useless,
            Some(reply) => match &reply.value {
                Cell::Vector(values) => {
                    let Some(asked) = self.asked.remove(&ticket) else {
                        return;
                    };
                    self.sources.over(asked.source);
                    match self.take_in(&asked, values, now, shelf) {
                        Ok(useful) => {
                            self.acquired.answers += 1;
                            if useful {
                                self.sources.useful(asked.source);
                            }
                        }
                        Err(fault) => {
                            self.acquired.failures += 1;
                            self.sources.failed(asked.source, fault, now);
                        }
                    }
                    return;
                }
                _ => Fault::Lied,
            },
        };
        if let Some(source) = self.put_back(ticket) {
            self.sources.failed(source, fault, now);
        }
    }

    /// Takes in what came of a request; answers whether there was anything.
    fn take_in(
        &mut self,
        asked: &Asked,
        values: &cells::Vector,
        now: u64,
        shelf: &Shelf,
    ) -> Result<bool, Fault> {
        let mut useful = false;
        let mut left_out = false;
        let mut lied = values.count() != asked.hashes.len() as u64;
        let mut elements = values.iter_refs();
        for hash in &asked.hashes {
            let element = match elements.next() {
                Some(Ok(element)) if !lied => element,
                _ => {
                    lied = true;
                    self.lacks(hash, None);
                    continue;
                }
            };
            match element.in_memory() {
                Some(Cell::Nil) => self.lacks(hash, Some(asked.source)),
                Some(cell) if cell.hash() == *hash => {
                    useful = true;
                    self.landed(hash);
                    self.arrived(*hash, cell, now, shelf);
                }
                // Named but left out, since the answer would have been too long.
                None if element.hash() == *hash => {
                    left_out = true;
                    self.lacks(hash, None);
                }
                _ => {
                    lied = true;
                    self.lacks(hash, None);
                }
            }
        }
        match (lied, useful) {
            (true, _) => Err(Fault::Lied),
            (false, false) if left_out => Err(Fault::Useless),
            // Not to have something is no fault; it is not asked for that again.
            (false, useful) => Ok(useful),
        }
    }

    fn arrived(&mut self, hash: Hash, cell: &Cell, now: u64, shelf: &Shelf) {
        let length = cell.encoded_len();
        self.acquired.cells += 1;
        self.acquired.bytes += length as u64;
        let before = self.whole.len();
        let Some(cell) = alone(cell, hash, shelf) else {
            return;
        };
        for goal in self.goals.iter_mut().filter(|goal| goal.failure.is_none()) {
            match goal.tree.offer(hash, &cell, shelf, &mut self.whole) {
                Ok(false) => {}
                Ok(true) => {
                    goal.last = now;
                    goal.bytes += length as u64;
                    if goal.bytes > goal.most {
                        goal.failure = Some(Failure::TooMuch);
                    }
                }
                Err(failure) => goal.failure = Some(failure.into()),
            }
        }
        // What one has made whole, others may wait for.
        let mut at = before;
        while self.goals.len() > 1 && at < self.whole.len() {
            let cell = self.whole[at].clone();
            for goal in self.goals.iter_mut().filter(|goal| goal.failure.is_none()) {
                match goal.tree.offer(cell.hash(), &cell, shelf, &mut self.whole) {
                    Ok(true) => goal.last = now,
                    Ok(false) => {}
                    Err(failure) => goal.failure = Some(failure.into()),
                }
            }
            at += 1;
        }
        let new = &self.whole[before..];
        self.whole_bytes += new.iter().map(Cell::encoded_len).sum::<usize>();
    }

    /// The next acquisition that is over. What it brought is among [`Fetcher::batch`].
    pub fn ended(&mut self, now: u64) -> Option<Ended> {
        let honest = self.sources.honest();
        let over = |goal: &Goal| {
            goal.failure.is_some()
                || goal.tree.is_whole()
                || now >= (goal.last + GIVE_UP).min(goal.end)
                || (!honest.is_empty() && goal.tree.unobtainable(&honest).is_some())
        };
        let at = self.goals.iter().position(over)?;
        let goal = self.goals.remove(at);
        let outcome = match goal.failure {
            Some(failure) => Err(failure),
            None if goal.tree.is_whole() => Ok(()),
            None => Err(match goal.tree.unobtainable(&honest) {
                Some(hash) if !honest.is_empty() => Failure::Nowhere(hash),
                _ => Failure::Stalled,
            }),
        };
        if outcome == Err(Failure::TooMuch)
            && let Some(from) = goal.from
        {
            self.sources.failed(from, Fault::Endless, now);
        }
        Some(Ended {
            wanted: goal.wanted,
            from: goal.from,
            outcome,
        })
    }

    /// Whole cells for a batch, children first: when they are enough for one, or when `any` will do.
    pub fn batch(&mut self, any: bool) -> Option<Vec<Cell>> {
        if self.whole.is_empty() || (!any && self.whole_bytes < BATCH) {
            return None;
        }
        self.whole_bytes = 0;
        Some(std::mem::take(&mut self.whole))
    }

    /// When something is due that nobody says (steady milliseconds).
    #[must_use]
    pub fn next(&self, now: u64) -> Option<u64> {
        if self.goals.is_empty() {
            return None;
        }
        let late = self.asked.values().map(|asked| {
            let hurry = asked.at + HURRY;
            if hurry > now {
                hurry
            } else {
                asked.at + PATIENCE
            }
        });
        let stalled = self
            .goals
            .iter()
            .map(|goal| (goal.last + GIVE_UP).min(goal.end));
        late.chain(stalled).chain(self.sources.next(now)).min()
    }
}

/// The cell without what may have come along below it: that is nobody's to hold.
fn alone(cell: &Cell, hash: Hash, shelf: &Shelf) -> Option<Cell> {
    if !tree::has_branch_in_memory(cell) {
        return Some(cell.clone());
    }
    let source = shelf.as_source().upgrade();
    let decoder = source.map_or_else(Decoder::new, Decoder::with_source);
    cells::decode_stored(hash, &cell.encode(), &decoder).ok()
}

impl From<TreeFailure> for Failure {
    fn from(failure: TreeFailure) -> Self {
        match failure {
            TreeFailure::TooMuch => Self::TooMuch,
            TreeFailure::Malformed => Self::Malformed,
            TreeFailure::Store(error) => Self::Store(error),
        }
    }
}
