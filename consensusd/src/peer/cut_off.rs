//! What follows when consensus is out of reach, and within reach again (requirements P-65 to P-69).
//!
//! | a transaction | is answered |
//! |---|---|
//! | that arrives meanwhile | `:NETWORK`: it was not taken, and may be sent to another peer |
//! | that waits for a block | the same |
//! | that is in an own block | `:TIMEOUT`: the block may become final once others are there again, so its outcome is not known |

use signing::Now;
use wire::{Code, Reply};

use super::connectivity::{Sight, Standing};
use super::event::{Action, Outgoing};
use super::{Core, building::Making};

/// To the client of a transaction that goes no further.
const NOT_TAKEN: &str = "Peer is cut off from the network: the transaction was not taken";
/// To the client of a transaction that is in a block.
const UNKNOWN: &str =
    "Peer is cut off from the network: the transaction is in a block that waits for it";

/// The answer to a transaction that arrives while consensus is out of reach.
#[must_use]
pub(crate) fn not_taken(id: i64) -> Reply {
    Reply::rejected(id, Code::Network, NOT_TAKEN)
}

impl Core {
    /// Looks whether others are there.
    pub(super) fn tend_connectivity(&mut self, now: Now, out: &mut Vec<Action>) {
        self.look_at_silent(now, out);
        let [blocks, proposal, point, finality] = self.points();
        let sight = Sight {
            electorate: self.peer.electorate(),
            own: self.peer.key(),
            progress: [self.peer.position(), proposal, point, finality],
            waiting: blocks > self.peer.position(),
        };
        let Some(standing) = self.connectivity.look(&sight, now.steady) else {
            return;
        };
        out.push(Action::Standing(standing, self.heard_from(now)));
        self.tell_net_standing(out);
        if matches!(standing, Standing::CutOff(_)) {
            self.answer_who_waits(out);
        }
        self.tell_view(out);
    }

    /// Tells `netd`, which looks for others.
    pub(super) fn tell_net_standing(&self, out: &mut Vec<Action>) {
        let cut_off = self.connectivity.is_cut_off();
        out.push(Action::Net(Outgoing::CutOff(cut_off)));
    }

    /// Part of the stake that is heard from, in thousandths.
    pub(super) fn heard_from(&self, now: Now) -> u16 {
        let electorate = self.peer.electorate();
        let total = electorate.total();
        if total <= 0.0 {
            return 0;
        }
        let weight = self
            .connectivity
            .weight(electorate, self.peer.key(), now.steady);
        (weight / total * 1_000.0) as u16
    }

    /// Nobody is kept waiting for what may take hours.
    fn answer_who_waits(&mut self, out: &mut Vec<Action>) {
        let waiting = self.queue.take_all();
        let mut replies = self.queue.reject(waiting, Code::Network, NOT_TAKEN);
        let made = match &self.making {
            Making::Asked(_, entries) | Making::Made(_, entries) => entries.as_slice(),
            Making::Idle => &[],
        };
        let own = self.unfinal.iter().flat_map(|block| &block.entries);
        for entry in own.chain(made) {
            for requester in self.queue.release(&entry.hash) {
                let reply = Reply::unknown(requester.id, UNKNOWN, &entry.hash);
                replies.push((requester.connection, reply));
            }
        }
        if !replies.is_empty() {
            out.push(Action::Net(Outgoing::Replies(replies)));
        }
    }
}
