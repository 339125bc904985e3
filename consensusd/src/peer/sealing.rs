//! When a picture of the peer is written, and when values are read from the store again.

use cells::Cell;
use signing::Now;

use super::Core;
use super::building::Making;
use super::event::{Action, AlarmKind, Outgoing};
use crate::root::{self, PeerData};

/// What values in memory take, as a multiple of their encodings: measured with blocks of transfers, which are the worst.
const OVERHEAD: u64 = 24;
/// Least bytes of encodings in memory before they are let go.
const LEAST: u64 = 1 << 20;

impl Core {
    /// Writes down what changed, when the store has nothing else to do or somebody waits for it.
    pub(super) fn try_seal(&mut self, now: Now, out: &mut Vec<Action>) {
        let waited_for =
            !self.withheld.is_empty() || (self.gossip.announce && !self.gossip.opened.is_empty());
        let may = match self.saver.pictures_in_flight() {
            0 => true,
            1 => waited_for || self.compacting,
            _ => false,
        };
        if self.dirty
            && may
            && let Err(error) = self.seal(now)
        {
            out.push(Action::Alarm(AlarmKind::Store, error.to_string()));
        }
    }

    fn seal(&mut self, now: Now) -> Result<(), root::RootError> {
        // What the picture refers to goes before it.
        self.saver.take_fetched(&mut self.gossip.fetcher, true);
        let belief = self.peer.public_belief()?.to_cell();
        let data = PeerData {
            belief: self.peer.belief().clone(),
            genesis: self.genesis.clone(),
            state: self.ledger.state().clone(),
            position: self.peer.position(),
            order: self.settled.clone(),
            results: self.results.clone(),
            timestamp: self.started,
        };
        let root = root::write(&self.others, self.peer.key(), &data)?;
        let _ = belief.hash_all();
        let hash = root.hash_all();
        let mut cells = Vec::new();
        if self.unwritten_genesis {
            self.saver.collect(&self.genesis, &mut cells);
        }
        let first = cells.len();
        self.saver.collect(&belief, &mut cells);
        if !self.gossip.opened.is_empty() {
            for cell in &cells[first..] {
                self.gossip.unannounced_bytes += cell.encoded_len();
                self.gossip.unannounced.push(cell.clone());
            }
        }
        // Written even when they are embedded in the root: others ask for them by their hashes, which the status tells.
        self.saver.collect(&data.belief.to_cell(), &mut cells);
        self.saver.collect(&data.state, &mut cells);
        self.saver.collect(&root, &mut cells);
        let mut then = std::mem::take(&mut self.withheld);
        if let Some(message) = self.announcement(&belief, now) {
            then.push(Outgoing::Broadcast(message));
        }
        then.extend(self.status_for(&belief).map(Outgoing::Status));
        self.gossip.durable_belief = Some(belief);
        let ready = std::mem::take(&mut self.unwritten_genesis);
        self.saver.seal(&cells, hash, then, ready);
        self.dirty = false;
        Ok(())
    }

    /// Lets values in memory go that the store has, when they are many.
    pub(super) fn try_compact(&mut self, out: &mut Vec<Action>) {
        let limit = (self.config.memory / OVERHEAD).max(LEAST);
        if !self.compacting {
            if self.saver.bytes() <= limit {
                return;
            }
            // Nothing new is begun until all is written.
            self.compacting = true;
        }
        let idle = self.round.is_none()
            && !self.dirty
            && self.saver.in_flight() == 0
            && !matches!(self.making, Making::Asked(..));
        if !idle {
            return;
        }
        match self.reread() {
            Ok(()) => {
                self.counters.compactions += 1;
                self.compacting = false;
            }
            Err(error) => {
                out.push(Action::Alarm(AlarmKind::Store, error));
                self.compacting = false;
            }
        }
    }

    /// The same peer, read from the store.
    fn reread(&mut self) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let position = self.peer.position();
        let data = PeerData {
            belief: self.peer.belief().clone(),
            genesis: self.genesis.clone(),
            state: self.ledger.state().clone(),
            position,
            order: self.settled.clone(),
            results: self.results.clone(),
            timestamp: self.started,
        };
        let hash = root::write(&self.others, self.peer.key(), &data)
            .map_err(|e| text(&e))?
            .hash();
        let stored = cells::Source::load(&*self.shelf, &hash).map_err(|e| text(&e))?;
        let entries = root::entries(&stored).map_err(|e| text(&e))?;
        let read = root::read(&entries, self.peer.key()).map_err(|e| text(&e))?;
        let Some(read) = read else {
            return Err("the root in the store has no data of this peer".to_owned());
        };
        let electorate = self.ledger.electorate().clone();
        let settled = read.order.blocks.clone();
        let peer = super::start::restored(&self.config, electorate, &read, settled)
            .map_err(|e| text(&e))?;
        self.ledger.reread(read.state).map_err(|e| text(&e))?;
        self.peer = peer;
        self.genesis = read.genesis;
        self.results = read.results;
        self.settled = read.order;
        self.others = entries;
        self.gossip.durable_belief =
            self.gossip.durable_belief.take().map(|belief| {
                cells::Source::load(&*self.shelf, &belief.hash()).unwrap_or(Cell::Nil)
            });
        self.gossip.durable_belief.take_if(|belief| belief.is_nil());
        self.saver.forget();
        Ok(())
    }
}
