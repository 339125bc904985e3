//! What is written down, and what waits for it (DESIGN §2).
//!
//! A batch is a picture of the peer at one moment: belief, state, results, position. All that happened since the batch before is in it,
//! so several rounds share a barrier while the one before is under way. What may only leave after it hangs on the batch. Between them are
//! batches of fetched cells alone, which no root names yet.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use cells::{Cell, Hash};

use super::acquisition::Fetcher;
use super::event::{Action, AlarmKind, Batch, Outgoing};
use crate::source::Shelf;

/// Bytes of a piece of a batch: within what a message to `stored` may hold.
const PIECE: usize = 1 << 20;
/// Bytes before the encoding of a cell.
const HEAD: usize = 12;
/// Batches of fetched cells that may wait for the store.
const MAX_FETCHED: usize = 6;

/// The batches of one run.
#[derive(Default)]
pub struct Saver {
    /// Hashes of cells in memory that are in a batch already.
    known: HashSet<Hash>,
    /// Bytes of those cells.
    bytes: u64,
    sequence: u64,
    sent: VecDeque<Sent>,
    /// Durable up to here.
    durable: u64,
    connected: bool,
    /// Do not send before this time (steady milliseconds): the store refused.
    not_before: Option<u64>,
    /// The store refused, and has made nothing durable since.
    refuses: bool,
}

struct Sent {
    batch: Arc<Batch>,
    /// Whether it was handed over on the channel in force.
    handed: bool,
    then: Vec<Outgoing>,
    ready: bool,
    /// Cells on the shelf that the store has when this is durable.
    fetched: Vec<Hash>,
}

impl Saver {
    /// Batches that are not durable yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// Of them, those that are pictures of the peer.
    #[must_use]
    pub fn pictures_in_flight(&self) -> usize {
        let picture = |sent: &&Sent| sent.batch.root.is_some();
        self.sent.iter().filter(picture).count()
    }

    /// Makes a batch of cells that are fetched and whole: when they are many or the store has nothing to do, and whatever waits when
    /// `all` are to be in it.
    pub fn take_fetched(&mut self, fetcher: &mut Fetcher, all: bool) {
        let waiting = self.sent.len() - self.pictures_in_flight();
        if !all && waiting >= MAX_FETCHED {
            return;
        }
        if let Some(cells) = fetcher.batch(all || self.sent.is_empty()) {
            let fetched = cells.iter().map(Cell::hash).collect();
            let pieces = pieces(&cells).0;
            self.push(pieces, None, Vec::new(), false, fetched);
        }
    }

    /// Number of the last batch that is durable.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Bytes of the cells in memory that were written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Forgets which cells in memory were written: nothing of what was is in memory any more.
    pub fn forget(&mut self) {
        self.known = HashSet::new();
        self.bytes = 0;
    }

    /// Collects what is new of a value: the cells that are in memory and in no batch yet, children first. The value itself is collected
    /// even when it is embedded, as others may ask for it by its hash.
    pub fn collect(&mut self, value: &Cell, found: &mut Vec<Cell>) {
        if value.is_nil() || !self.known.insert(value.hash()) {
            return;
        }
        let mut stack = vec![Frame::of(value.clone())];
        while let Some(frame) = stack.last_mut() {
            match frame.children.pop() {
                Some(child) => {
                    if child.is_embedded() || self.known.insert(child.hash()) {
                        stack.push(Frame::of(child));
                    }
                }
                None => {
                    let done = stack.pop().map(|frame| frame.cell);
                    found.extend(done.filter(|cell| stack.is_empty() || !cell.is_embedded()));
                }
            }
        }
    }

    /// Makes a batch of these cells. `then` leaves when it is durable.
    pub fn seal(&mut self, cells: &[Cell], root: Hash, then: Vec<Outgoing>, ready: bool) {
        let (pieces, bytes) = pieces(cells);
        self.bytes += bytes;
        self.push(pieces, Some(root), then, ready, Vec::new());
    }

    fn push(
        &mut self,
        pieces: Vec<Vec<u8>>,
        root: Option<Hash>,
        then: Vec<Outgoing>,
        ready: bool,
        fetched: Vec<Hash>,
    ) {
        self.sequence += 1;
        self.sent.push_back(Sent {
            batch: Arc::new(Batch {
                sequence: self.sequence,
                pieces,
                root,
            }),
            handed: false,
            then,
            ready,
            fetched,
        });
    }

    /// Hands over what was not yet handed over on this channel.
    pub fn send(&mut self, now: u64, out: &mut Vec<Action>) {
        if !self.connected || self.not_before.is_some_and(|time| now < time) {
            return;
        }
        self.not_before = None;
        for sent in self.sent.iter_mut().filter(|sent| !sent.handed) {
            sent.handed = true;
            out.push(Action::Store(sent.batch.clone()));
        }
    }

    /// True from a refusal until the store takes something again.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.refuses
    }

    /// When to try again what the store refused.
    #[must_use]
    pub fn retry_at(&self) -> Option<u64> {
        self.not_before
    }

    /// The channel to the store was made anew, or ended: all that is not durable is sent again, under the same numbers.
    pub fn link(&mut self, up: bool) {
        self.connected = up;
        self.not_before = None;
        self.refuses = false;
        for sent in &mut self.sent {
            sent.handed = false;
        }
    }

    /// The store did not take this batch and those behind it.
    pub fn refused(&mut self, sequence: u64, again_at: u64) {
        self.not_before = Some(again_at);
        self.refuses = true;
        for sent in &mut self.sent {
            if sent.batch.sequence >= sequence {
                sent.handed = false;
            }
        }
    }

    /// All batches up to `sequence` are durable, says the store.
    pub fn durable_up_to(&mut self, sequence: u64, shelf: &Shelf, out: &mut Vec<Action>) {
        let given = self.sent.iter().rfind(|sent| sent.handed);
        if sequence > self.durable && given.is_none_or(|last| sequence > last.batch.sequence) {
            let text = "stored acknowledged a batch that it was not given".to_owned();
            out.push(Action::Alarm(AlarmKind::Channel, text));
            return;
        }
        while let Some(sent) = self.sent.front()
            && sent.batch.sequence <= sequence
        {
            self.durable = sent.batch.sequence;
            self.refuses = false;
            if let Some(sent) = self.sent.pop_front() {
                shelf.drop(&sent.fetched);
                out.extend(sent.then.into_iter().map(Action::Net));
                if sent.ready {
                    out.push(Action::Ready);
                }
            }
        }
    }
}

/// Cells as a batch has them, in pieces of bounded size, and the bytes of their encodings.
fn pieces(cells: &[Cell]) -> (Vec<Vec<u8>>, u64) {
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    let mut bytes = 0;
    for cell in cells {
        cell.with_encoding(|encoding| {
            if !piece.is_empty() && piece.len() + HEAD + encoding.len() > PIECE {
                pieces.push(std::mem::take(&mut piece));
            }
            // The memory size of a cell is left open: a reader that needs it computes it (`spec/07 §12`).
            piece.extend_from_slice(&[0; 8]);
            // Encodings are at most 16 KiB.
            piece.extend_from_slice(&(encoding.len() as u32).to_le_bytes());
            piece.extend_from_slice(encoding);
            bytes += encoding.len() as u64;
        });
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    (pieces, bytes)
}

struct Frame {
    cell: Cell,
    /// Those that are still to be looked at, the last one first.
    children: Vec<Cell>,
}

impl Frame {
    fn of(cell: Cell) -> Self {
        let mut children: Vec<Cell> = cell
            .refs()
            .filter_map(|r| match r.in_memory() {
                // Without refs there is nothing to store of an embedded one.
                Some(child) if child.is_embedded() && child.refs().next().is_none() => None,
                Some(child) => Some(child.clone()),
                // What is not in memory is in the store, or in a batch of fetched cells before this one.
                None => None,
            })
            .collect();
        children.reverse();
        Self { cell, children }
    }
}
