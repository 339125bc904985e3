//! What others are told of the own belief (`spec/05 §10`).
//!
//! A broadcast has the cells that no earlier one had. Who connects later, or lost a message, can't read what refers to those: a peer of ours
//! asks for them, one of the reference waits for a poll, for which it needs a connection of its own. So all that is not final is told to
//! each new connection, and to all when nothing moves.

use std::collections::HashSet;

use cells::{Cell, CellError, Hash};
use signing::Now;

use super::Core;
use super::event::{Action, Outgoing};

/// Milliseconds between broadcasts when nothing changes (`spec/05 §1.2`).
pub(super) const REBROADCAST: u64 = 300;
/// Milliseconds for which blocks of the own order wait without any change of it before all is told again what is not final.
const STANDSTILL: u64 = 3_000;
/// Bytes of new cells that are kept for the next broadcast.
const MOST_NEW: usize = 16 << 20;
/// Bytes of a message with all that is not final. Where there is more of it, others have to ask.
const MOST_WHOLE: usize = 1 << 20;

impl Core {
    /// The broadcast of a belief that is about to be written, when others are to be told.
    pub(super) fn announcement(&mut self, belief: &Cell, now: Now) -> Option<Vec<u8>> {
        let gossip = &mut self.gossip;
        if gossip.opened.is_empty() || gossip.unannounced_bytes > MOST_NEW {
            // Who connects later asks for what it lacks.
            gossip.unannounced.clear();
            gossip.unannounced_bytes = 0;
        }
        if gossip.opened.is_empty() || !gossip.announce {
            return None;
        }
        gossip.announce = false;
        Some(self.news(belief, now))
    }

    /// What no broadcast had.
    fn news(&mut self, belief: &Cell, now: Now) -> Vec<u8> {
        let gossip = &mut self.gossip;
        gossip.last_broadcast = now.steady;
        let mut cells = std::mem::take(&mut gossip.unannounced);
        gossip.unannounced_bytes = 0;
        let hash = belief.hash();
        cells.retain(|cell| !cell.is_embedded() && cell.hash() != hash);
        cells.push(belief.clone());
        cells::encode_delta(&cells)
    }

    /// What is told when the own order has not changed: orders of others that are new, and to those who may lack it all that is not final.
    /// Nothing of it is on its way to the store.
    pub(super) fn tell_others(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.gossip.opened.is_empty()
            || self.gossip.announce
            || self.dirty
            || self.saver.in_flight() > 0
        {
            return;
        }
        let Some(belief) = self.gossip.durable_belief.clone() else {
            return;
        };
        if !self.gossip.untold.is_empty() {
            let untold = std::mem::take(&mut self.gossip.untold);
            if let Some(message) = self.whole(&belief) {
                let send = |connection| Action::Net(Outgoing::Send(connection, message.clone()));
                out.extend(untold.into_iter().map(send));
            }
        }
        if now.steady < self.gossip.last_broadcast + REBROADCAST {
            return;
        }
        let order = self.peer.order();
        let stands_still = order.blocks.count() > self.peer.position()
            && now.wall.saturating_sub(order.timestamp) > STANDSTILL as i64
            && now.steady >= self.gossip.last_whole + STANDSTILL;
        let whole = stands_still.then(|| self.whole(&belief)).flatten();
        let message = match whole {
            Some(message) => {
                self.gossip.last_whole = now.steady;
                self.gossip.last_broadcast = now.steady;
                message
            }
            None => self.news(&belief, now),
        };
        out.push(Action::Net(Outgoing::Broadcast(message)));
    }

    /// The belief with all its orders and their blocks, but those that are executed. `None` when that is too much, or can't be read.
    fn whole(&self, belief: &Cell) -> Option<Vec<u8>> {
        let settled = Cell::from(self.settled.blocks.clone());
        let cells = below(belief, edge(&settled).ok()?, MOST_WHOLE).ok()??;
        Some(cells::encode_delta(&cells))
    }
}

/// Hashes of the blocks and whole parts at the end of a vector, of which any longer one is made.
fn edge(vector: &Cell) -> Result<HashSet<Hash>, CellError> {
    let mut found = HashSet::from([vector.hash()]);
    let mut next = Some(vector.clone());
    while let Some(node) = next.take() {
        for part in node.refs() {
            found.insert(part.hash());
            if let Cell::Vector(inner) = &*part.load()? {
                next = Some(Cell::from(inner.clone()));
            }
        }
    }
    Ok(found)
}

/// The branches below a value, but for those that are known and what is below them, and the value itself as the last one. `None` when they
/// have more than so many bytes.
fn below(
    value: &Cell,
    mut known: HashSet<Hash>,
    most: usize,
) -> Result<Option<Vec<Cell>>, CellError> {
    let mut found = vec![value.clone()];
    let mut bytes = 0;
    let mut stack = vec![value.clone()];
    while let Some(cell) = stack.pop() {
        for part in cell.refs() {
            if part.is_branch() && !known.insert(part.hash()) {
                continue;
            }
            let is_branch = part.is_branch();
            let part = Cell::clone(&*part.load()?);
            if is_branch {
                bytes += part.encoded_len();
                if bytes > most {
                    return Ok(None);
                }
                found.push(part.clone());
            }
            stack.push(part);
        }
    }
    found.reverse();
    Ok(Some(found))
}
