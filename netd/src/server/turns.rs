//! Turns of connections, what they wait for, and how they end.

use std::cmp::Reverse;

use ipc::net::Connection;

use super::Server;
use crate::accepted::{Ending, Turn};
use crate::counters::Counter;
use crate::slab::is_dialled;

/// Connections with a waiting request that are looked at in one round.
const RELEASES: usize = 256;

impl Server {
    /// Lets a connection have a turn.
    pub(super) fn queue(&mut self, number: Connection) {
        let queued = if is_dialled(number) {
            self.dialled.get_mut(&number).map(|c| &mut c.queued)
        } else {
            self.accepted.get(number).map(|c| &mut c.queued)
        };
        if let Some(queued) = queued
            && !std::mem::replace(queued, true)
        {
            self.ready.push_back(number);
        }
    }

    /// Has a connection written to at the end of the round.
    pub(super) fn mark_dirty(&mut self, number: Connection) {
        let dirty = if is_dialled(number) {
            self.dialled.get_mut(&number).map(|c| &mut c.dirty)
        } else {
            self.accepted.get(number).map(|c| &mut c.dirty)
        };
        if let Some(dirty) = dirty
            && !std::mem::replace(dirty, true)
        {
            self.dirty.push(number);
        }
    }

    /// One turn for each connection that can go on.
    pub(super) fn take_turns(&mut self) {
        while let Some(Reverse((until, number))) = self.paused.peek().copied() {
            if until > self.hub.now.steady {
                break;
            }
            self.paused.pop();
            if let Some(connection) = self.accepted.get(number) {
                connection.paused = false;
            }
            self.queue(number);
        }
        for _ in 0..self.ready.len() {
            let Some(number) = self.ready.pop_front() else {
                break;
            };
            if is_dialled(number) {
                self.turn_of_dialled(number);
            } else {
                self.turn_of_accepted(number);
            }
        }
    }

    fn turn_of_accepted(&mut self, number: Connection) {
        let Some(connection) = self.accepted.get(number) else {
            return;
        };
        connection.queued = false;
        // While the peer ends, nothing more is read.
        if self.stopping.is_some() {
            return;
        }
        match connection.turn(&mut self.hub, &mut self.chunk) {
            Ok(Turn::Drained) => {}
            Ok(Turn::Unread) => connection.unread = true,
            Ok(Turn::More) => self.queue(number),
            Ok(Turn::Paused(until)) => {
                if !std::mem::replace(&mut connection.paused, true) {
                    self.paused.push(Reverse((until, number)));
                }
            }
            Ok(Turn::Waiting) => self.wait(number),
            Err(ending) => return self.close_accepted(number, &ending),
        }
        self.after(number);
    }

    fn turn_of_dialled(&mut self, number: Connection) {
        let Some(connection) = self.dialled.get_mut(&number) else {
            return;
        };
        connection.queued = false;
        match connection.turn(&mut self.hub, &mut self.chunk) {
            Ok(Turn::More) => self.queue(number),
            Ok(Turn::Waiting) => {
                if !std::mem::replace(&mut connection.waiting, true) {
                    self.waiting.push_back(number);
                }
            }
            Ok(_) => {}
            Err(ending) => return self.close_dialled(number, &ending),
        }
        self.after(number);
    }

    fn wait(&mut self, number: Connection) {
        if let Some(connection) = self.accepted.get(number)
            && !std::mem::replace(&mut connection.waiting, true)
        {
            self.waiting.push_back(number);
        }
    }

    /// Counts the memory of a connection, and has it written to if it has something.
    pub(super) fn after(&mut self, number: Connection) {
        let (held, counted, unwritten) = if is_dialled(number) {
            let Some(connection) = self.dialled.get_mut(&number) else {
                return;
            };
            let quiet = connection.is_quiet();
            (connection.held(), &mut connection.counted, !quiet)
        } else {
            let Some(connection) = self.accepted.get(number) else {
                return;
            };
            let unwritten = connection.unwritten() > 0;
            (connection.held(), &mut connection.counted, unwritten)
        };
        self.hub.memory = self.hub.memory + held - *counted;
        *counted = held;
        if unwritten {
            self.mark_dirty(number);
        }
    }

    /// What waits for room gets it in the order in which it came, as far as there is some.
    pub(super) fn make_use_of_room(&mut self) {
        if !std::mem::take(&mut self.hub.room_made) {
            return;
        }
        for _ in 0..self.waiting.len().min(RELEASES) {
            let Some(number) = self.waiting.pop_front() else {
                break;
            };
            if is_dialled(number) {
                if let Some(connection) = self.dialled.get_mut(&number) {
                    connection.waiting = false;
                }
                self.queue(number);
                continue;
            }
            let Some(connection) = self.accepted.get(number) else {
                continue;
            };
            if connection.release(&mut self.hub) {
                connection.waiting = false;
                self.queue(number);
                self.after(number);
            } else {
                self.waiting.push_back(number);
            }
        }
    }

    /// Looks at all connections now and then.
    pub(super) fn sweep(&mut self) {
        let now = self.hub.now.steady;
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + self.hub.limits.sweep;
        let mut over = Vec::new();
        let mut changed = Vec::new();
        for connection in self.accepted.iter() {
            let number = connection.number;
            let gave_up = connection.give_up(&mut self.hub);
            let swept = gave_up.and_then(|gave_up| connection.sweep(&self.hub).map(|()| gave_up));
            match swept {
                Ok(false) => {}
                Ok(true) => {
                    connection.waiting = false;
                    changed.push(number);
                }
                Err(ending) => over.push((number, ending)),
            }
            let held = connection.held();
            self.hub.memory = self.hub.memory + held - connection.counted;
            connection.counted = held;
        }
        if !changed.is_empty() {
            // Who gave up is no longer in the list.
            let accepted = &mut self.accepted;
            self.waiting.retain(|number| {
                is_dialled(*number) || accepted.get(*number).is_some_and(|c| c.waiting)
            });
        }
        for number in changed {
            self.queue(number);
            self.after(number);
        }
        for (number, ending) in over {
            self.close_accepted(number, &ending);
        }
        self.sweep_dialled();
        // With no channel there may be room again as soon as there is one; nobody tells.
        self.hub.room_made = true;
    }

    fn sweep_dialled(&mut self) {
        let numbers: Vec<Connection> = self.dialled.keys().copied().collect();
        for number in numbers {
            let Some(connection) = self.dialled.get_mut(&number) else {
                continue;
            };
            match connection.sweep(&mut self.hub) {
                Ok(()) => self.after(number),
                Err(ending) => self.close_dialled(number, &ending),
            }
        }
    }

    /// Writes what there is for consensus and for each connection.
    pub(super) fn write_all(&mut self) {
        self.flush_link();
        for number in std::mem::take(&mut self.dirty) {
            self.flush(number);
        }
    }

    fn flush(&mut self, number: Connection) {
        if is_dialled(number) {
            let Some(connection) = self.dialled.get_mut(&number) else {
                return;
            };
            connection.dirty = false;
            if let Err(ending) = connection.flush(&mut self.hub) {
                return self.close_dialled(number, &ending);
            }
        } else {
            let Some(connection) = self.accepted.get(number) else {
                return;
            };
            connection.dirty = false;
            if let Err(ending) = connection.flush(&mut self.hub) {
                return self.close_accepted(number, &ending);
            }
            if connection.unread && connection.unwritten() == 0 {
                connection.unread = false;
                self.queue(number);
            }
        }
        self.count(number);
    }

    fn count(&mut self, number: Connection) {
        let (held, counted) = if is_dialled(number) {
            let Some(connection) = self.dialled.get_mut(&number) else {
                return;
            };
            (connection.held(), &mut connection.counted)
        } else {
            let Some(connection) = self.accepted.get(number) else {
                return;
            };
            (connection.held(), &mut connection.counted)
        };
        self.hub.memory = self.hub.memory + held - *counted;
        *counted = held;
    }

    /// While all connections together hold too much, the one that holds most is closed.
    pub(super) fn shed(&mut self) {
        while self.hub.memory > self.hub.limits.memory {
            let accepted = self.accepted.iter().map(|c| (c.counted, c.number));
            let dialled = self.dialled.values().map(|c| (c.counted, c.number));
            match accepted.chain(dialled).max() {
                Some((_, number)) => self.close(number, &Ending::Memory),
                None => return,
            }
        }
    }

    /// Closes a connection of either side.
    pub(super) fn close(&mut self, number: Connection, ending: &Ending) {
        if is_dialled(number) {
            self.close_dialled(number, ending);
        } else {
            self.close_accepted(number, ending);
        }
    }

    /// Closes an accepted connection, after what can still be written at once.
    pub(super) fn close_accepted(&mut self, number: Connection, ending: &Ending) {
        let Some(mut connection) = self.accepted.remove(number) else {
            return;
        };
        if matches!(ending, Ending::Protocol(_) | Ending::Denied) {
            // It is over anyway.
            let _ = connection.flush(&mut self.hub);
        }
        self.hub.memory -= connection.counted;
        connection.forget(&mut self.hub);
        self.admission.leave(connection.address.ip());
        let counters = &mut self.hub.counters;
        match ending {
            Ending::Protocol(reason) => counters.closed(*reason),
            Ending::Gone | Ending::Failed(_) => counters.count(Counter::ClosedByOther),
            Ending::Unread => counters.count(Counter::ClosedUnread),
            Ending::Memory => counters.count(Counter::ClosedMemory),
            Ending::Denied => counters.count(Counter::ClosedDenied),
            Ending::Consensus(_) => counters.count(Counter::ClosedByConsensus),
            Ending::Over => {}
        }
        self.quiet
            .closed(self.hub.now.steady, &connection.address, ending);
    }
}
