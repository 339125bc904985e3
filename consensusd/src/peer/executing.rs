//! From finality to results (`spec/05 §7.4`, `§12.4`).

use cells::{Cell, Signed};
use consensus::ProgressError;
use cvm::transition::BlockError;
use signing::Now;

use super::event::{Action, AlarmKind, Outgoing, Results};
use super::{Core, RETRY};

impl Core {
    /// Executes the next final block. True when there may be another.
    pub(super) fn try_execute(&mut self, now: Now, out: &mut Vec<Action>) -> bool {
        if self.stuck.is_some() || self.compacting || now.steady < self.execute_not_before {
            return false;
        }
        let executable = match self.peer.executable() {
            Ok(executable) => executable,
            Err(ProgressError::Data(error)) => {
                self.unexecutable(BlockError::Data(error), now, out);
                return false;
            }
            Err(fork @ ProgressError::Fork { .. }) => {
                self.stuck = Some(fork.to_string());
                out.push(Action::Alarm(AlarmKind::Chain, fork.to_string()));
                out.push(Action::Fatal(format!(
                    "{fork}; the store belongs to another history than the one that the network agrees on: start with an empty store"
                )));
                return false;
            }
        };
        let Some(number) = executable.range.clone().next() else {
            return false;
        };
        let block = match executable.blocks().next() {
            Some(Ok(block)) => block.get(),
            Some(Err(error)) => Err(error),
            None => return false,
        };
        let block = match block {
            Ok(Cell::Signed(signed)) => signed,
            Ok(_) => {
                let fatal = BlockError::Fatal("an element of the chain is no signed block".into());
                self.unexecutable(fatal, now, out);
                return false;
            }
            Err(error) => {
                self.unexecutable(BlockError::Data(error), now, out);
                return false;
            }
        };
        let applied = match self.ledger.finalise(&block) {
            Ok(applied) => applied,
            Err(error) => {
                self.unexecutable(error, now, out);
                return false;
            }
        };
        let results = self.results.clone().push(applied.record.clone());
        let electorate = applied.electorate.clone();
        let chain = executable.chain;
        let done = results.map_err(BlockError::Data).and_then(|results| {
            self.peer
                .executed(chain, number + 1, electorate)
                .map_err(|error| BlockError::Fatal(error.to_string()))?;
            Ok(results)
        });
        match done {
            Ok(results) => self.results = results,
            Err(error) => {
                self.unexecutable(error, now, out);
                return false;
            }
        }
        self.settled = self.peer.order().clone();
        self.counters.blocks += 1;
        self.counters.executed += applied.results.len() as u64;
        self.dirty = true;
        self.report_results(number, &block, applied.record);
        self.tell_view(out);
        number + 1 < executable.range.end
    }

    /// Results for the clients whose transactions were in this block. They leave when it is written down.
    fn report_results(&mut self, number: u64, block: &Signed, record: Cell) {
        if block.key() != Some(self.peer.key()) {
            return;
        }
        let hash = Cell::from(block.clone()).hash();
        let Some(at) = self.unfinal.iter().position(|own| own.hash == hash) else {
            return;
        };
        let Some(own) = self.unfinal.remove(at) else {
            return;
        };
        let mut waiting = Vec::with_capacity(own.entries.len());
        for (index, entry) in (0..).zip(own.entries) {
            for requester in self.queue.answered(&entry.hash) {
                waiting.push((index, entry.hash, requester));
            }
        }
        if !waiting.is_empty() {
            self.withheld.push(Outgoing::Results(Results {
                block: number,
                record,
                waiting,
            }));
        }
    }

    /// A block has no outcome: for the moment, since data can't be read, or for good.
    pub(super) fn unexecutable(&mut self, error: BlockError, now: Now, out: &mut Vec<Action>) {
        match error {
            BlockError::Data(error) => {
                self.execute_not_before = now.steady + RETRY;
                self.block_not_before = now.steady + RETRY;
                out.push(Action::Alarm(AlarmKind::Store, error.to_string()));
            }
            BlockError::Fatal(why) => {
                out.push(Action::Alarm(AlarmKind::Chain, why.clone()));
                self.stuck = Some(why);
            }
        }
    }
}
