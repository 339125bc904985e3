//! Own blocks: executed before they are proposed, so that no transaction voids the block that others are in.

use cells::{Cell, Signed};
use consensus::propose;
use cvm::state::{Block, MAX_TRANSACTIONS};
use cvm::transition::BlockError;
use signing::{Now, block_request};
use wire::Code;

use super::event::{Action, KeyAnswer, Outgoing};
use super::ledger::NotProposed;
use super::queue::Entry;
use super::trust::Asked;
use super::{Core, MAX_IN_FLIGHT, RETRY};

/// Own blocks in the order that are not final. More would only wait longer.
const MAX_UNFINAL: usize = 8;
/// Blocks of anybody that are executed ahead of their finality.
const MAX_AHEAD: u64 = 64;
/// Transactions that are taken out of one block by executing it again. If there are more, what comes before the next is proposed.
const MAX_CULPRITS: usize = 4;

/// The block that is being made.
pub(super) enum Making {
    /// None.
    Idle,
    /// It is being signed.
    Asked(Block, Vec<Entry>),
    /// It waits for the next order.
    Made(Signed, Vec<Entry>),
}

impl Making {
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }
}

impl Core {
    /// Proposes what waits, if nothing is being proposed.
    pub(super) fn try_propose(&mut self, now: Now, out: &mut Vec<Action>) {
        let may = self.making.is_idle()
            && !self.queue.is_empty()
            && self.key.signs()
            && !self.compacting
            && now.steady >= self.block_not_before
            && self.unfinal.len() < MAX_UNFINAL
            && self.saver.pictures_in_flight() < MAX_IN_FLIGHT;
        if !may || self.pace.until(self.queue.len(), now.steady) > now.steady {
            return;
        }
        if !propose::is_ready(self.peer.electorate(), self.peer.key()) {
            let all = self.queue.take(usize::MAX, now.steady);
            self.reject(all, Code::State, self.closed().unwrap_or("Not ready"), out);
            return;
        }
        match self.align() {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return self.unexecutable(error, now, out),
        }
        if !self.key.blocks.take(1, now.steady) {
            self.block_not_before = now.steady + 1;
            return;
        }
        let mut most = MAX_TRANSACTIONS as usize;
        let mut culprits = 0;
        while most > 0 && !self.queue.is_empty() {
            let entries = self.queue.take(most, now.steady);
            let Some((block, request)) = self.block_of(&entries, now) else {
                most = entries.len() / 2;
                self.queue.put_back(entries);
                continue;
            };
            match self.ledger.propose(*self.peer.key(), &block) {
                Ok(()) => {
                    self.pace.proposed(now.steady);
                    self.ask(Asked::Block, request, out);
                    self.making = Making::Asked(block, entries);
                    return;
                }
                Err(NotProposed::Culprit(number, why)) => {
                    let mut rest = entries;
                    let culprit = rest.remove(number);
                    self.queue.watch(culprit.origin, now.steady);
                    self.queue.put_back(rest);
                    let text = format!("Transaction can't be executed: {why}");
                    self.reject([culprit], Code::Peer, &text, out);
                    self.counters.poison += 1;
                    culprits += 1;
                    if culprits >= MAX_CULPRITS {
                        most = number.max(1);
                    }
                }
                Err(NotProposed::Void(why)) => {
                    self.reject(entries, Code::Peer, &why, out);
                    return;
                }
                Err(NotProposed::Error(error)) => {
                    self.queue.put_back(entries);
                    return self.unexecutable(error, now, out);
                }
            }
        }
    }

    /// The block of these transactions and the request to sign it; `None` when it is more than the signer takes.
    fn block_of(&self, entries: &[Entry], now: Now) -> Option<(Block, Vec<u8>)> {
        let transactions: Vec<Signed> = entries.iter().map(|e| e.signed.clone()).collect();
        let block = self.peer.blocks(now.wall, &transactions).pop()?;
        let Cell::Record(record) = block.to_cell() else {
            return None;
        };
        let request = block_request(&record).ok()?;
        (request.len() <= signing::MAX_BLOCK_BYTES).then_some((block, request))
    }

    /// Has what is in the own order executed ahead, as far as that is worth it. False when a new block would lie too far ahead.
    fn align(&mut self) -> Result<bool, BlockError> {
        let (position, blocks) = (self.peer.position(), &self.peer.order().blocks);
        if blocks.count().saturating_sub(position) > MAX_AHEAD {
            return Ok(false);
        }
        let mut chain = Vec::new();
        for block in blocks.iter_refs_from(position) {
            match block.and_then(|block| block.get()) {
                Ok(Cell::Signed(signed)) => chain.push(signed),
                Ok(_) => return Ok(false),
                Err(error) => return Err(BlockError::Data(error)),
            }
        }
        self.ledger.align(chain)?;
        Ok(true)
    }

    /// Answers those who wait for transactions that go no further.
    fn reject(
        &mut self,
        entries: impl IntoIterator<Item = Entry>,
        code: Code,
        text: &str,
        out: &mut Vec<Action>,
    ) {
        let replies = self.queue.reject(entries, code, text);
        if !replies.is_empty() {
            out.push(Action::Net(Outgoing::Replies(replies)));
        }
    }

    /// The signer answered about the block.
    pub(super) fn block_signed(&mut self, answer: KeyAnswer, now: Now) {
        let Making::Asked(block, entries) = std::mem::replace(&mut self.making, Making::Idle)
        else {
            return;
        };
        match answer {
            KeyAnswer::Signed(signature, _) => {
                let signed = Signed::new(*self.peer.key(), signature, block.to_cell());
                self.making = Making::Made(signed, entries);
            }
            KeyAnswer::Refused(_) | KeyAnswer::Locked => {
                // A time that the signer can't sign yet or any more: with a later one it will.
                self.queue.put_back(entries);
                self.block_not_before = now.steady + RETRY;
            }
        }
    }
}
