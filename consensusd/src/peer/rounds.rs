//! Rounds: merge, own blocks behind the outcome, the signature, the new belief (`spec/05 §4`, `§8`).

use std::collections::{HashSet, VecDeque};

use cells::{Cell, Signed, Verdict};
use consensus::{Answer, Decision, Input, Offer, Round};
use signing::{Now, Refusal, order_request};

use super::building::Making;
use super::event::{Action, AlarmKind, KeyAnswer};
use super::trust::Asked;
use super::{Core, MAX_IN_FLIGHT, OwnBlock, RETRY};

/// How often a merge is tried again whose outcome is held back because the own proposal is young, milliseconds.
const HELD: u64 = 10;

/// A round whose order is being signed.
pub(super) struct Pending {
    round: Round,
    /// Whether it has the block that was made.
    with_block: bool,
    /// Whether its order has a time of its own.
    fresh: bool,
}

impl Core {
    /// Whether an order is to be signed only because the signer may not know the one before.
    pub(super) fn wants_fresh(&self) -> bool {
        self.fresh && self.key.signs()
    }

    /// The signer may not know the own order, or may know another one: the next needs a time that no order had.
    pub(super) fn require_fresh(&mut self, now: Now) {
        self.fresh = true;
        self.fresh_after = self.fresh_after.max(now.wall);
    }

    /// Merges what came in, and publishes what was made.
    pub(super) fn try_round(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.round.is_some()
            || self.compacting
            || self.saver.pictures_in_flight() >= MAX_IN_FLIGHT
        {
            return;
        }
        let late = now.wall > self.peer.order().timestamp;
        let may_sign = self.key.signs() && now.steady >= self.order_not_before;
        let fresh = self.fresh && may_sign && late && now.wall > self.fresh_after;
        // In the next millisecond the levels can be raised together with it, for one signature.
        let soon = now.wall == self.peer.order().timestamp;
        let block = match &self.making {
            // Behind an order that the signer knows, or in one with a time of its own.
            Making::Made(signed, _) if may_sign && !soon && (fresh || !self.fresh) => {
                Some(signed.clone())
            }
            _ => None,
        };
        let offers = self.gossip.offers.len();
        let merge = !self.peer.is_resting() && late && now.steady >= self.order_not_before;
        if offers == 0 && block.is_none() && !fresh && !merge {
            return;
        }
        let mut intake = self.peer.intake(now.wall);
        for offer in &self.gossip.offers {
            // A node of the own belief that can't be read now can't be read by the merge either, which says so.
            let _ = intake.accept(Offer::clone(offer));
        }
        let with_block = block.is_some();
        let input = Input {
            incoming: intake.finish(),
            blocks: block.into_iter().collect(),
            fresh,
        };
        let round = match self.peer.round(now.wall, input) {
            Ok(round) => round,
            Err(error) => {
                self.order_not_before = now.steady + RETRY;
                out.push(Action::Alarm(AlarmKind::Store, error.to_string()));
                return;
            }
        };
        self.gossip.offers.clear();
        if matches!(round.outcome(), Some(outcome) if outcome.decision == Decision::Held) {
            self.order_not_before = now.steady + HELD;
        }
        let pending = Pending {
            round,
            with_block,
            fresh,
        };
        let Some(order) = pending.round.to_sign() else {
            return self.complete(pending, Answer::None, now, out);
        };
        if self.fresh && !pending.fresh && self.key.signs() {
            return self.complete(pending, Answer::None, now, out);
        }
        if !self.key.signs() {
            // To others it is as if all our messages were lost.
            return self.complete(pending, Answer::Follow, now, out);
        }
        if now.steady < self.order_not_before || !self.key.orders.take(1, now.steady) {
            self.order_not_before = self.order_not_before.max(now.steady + 1);
            return self.complete(pending, Answer::None, now, out);
        }
        let Cell::Record(record) = order.to_cell() else {
            return;
        };
        match order_request(&record, pending.round.appended_from()) {
            Ok(request) => {
                self.ask(Asked::Order, request, out);
                self.round = Some(pending);
            }
            Err(error) => {
                self.order_not_before = now.steady + RETRY;
                out.push(Action::Alarm(AlarmKind::Store, error.to_string()));
            }
        }
    }

    /// The signer answered about the order.
    pub(super) fn order_signed(&mut self, answer: KeyAnswer, now: Now, out: &mut Vec<Action>) {
        let Some(pending) = self.round.take() else {
            return;
        };
        let Some(order) = pending.round.to_sign() else {
            return;
        };
        let answer = match answer {
            KeyAnswer::Signed(signature, _) => {
                let signed = Signed::new(*self.peer.key(), signature, order.to_cell());
                signed.set_verdict(Verdict::Good);
                self.counters.signed_orders += 1;
                Answer::Signed(signed)
            }
            KeyAnswer::Refused(reason) => {
                if reason == Refusal::FromTheFuture.name()
                    || reason == Refusal::OrderNotLater.name()
                {
                    let text = format!(
                        "the signer refuses the time {} of an order: {reason}; did the clock step?",
                        order.timestamp
                    );
                    out.push(Action::Alarm(AlarmKind::Clock, text));
                }
                // Whatever the signer knows: an order with a time of its own is good, if not now then soon.
                self.require_fresh(now);
                self.order_not_before = now.steady + RETRY;
                Answer::None
            }
            KeyAnswer::Locked => {
                self.require_fresh(now);
                Answer::Follow
            }
        };
        self.complete(pending, answer, now, out);
    }

    fn complete(&mut self, pending: Pending, answer: Answer, now: Now, out: &mut Vec<Action>) {
        let Pending {
            round,
            with_block,
            fresh,
        } = pending;
        let published = !matches!(answer, Answer::None);
        match (&answer, round.to_sign()) {
            (Answer::Signed(_), _) if fresh => self.fresh = false,
            (Answer::Follow, Some(_)) => self.require_fresh(now),
            _ => {}
        }
        let switched = round.switched();
        let step = match self.peer.complete(round, answer) {
            Ok(step) => step,
            Err(error) => {
                self.require_fresh(now);
                self.order_not_before = now.steady + RETRY;
                out.push(Action::Alarm(AlarmKind::Store, error.to_string()));
                return;
            }
        };
        if with_block
            && published
            && let Making::Made(signed, entries) = std::mem::replace(&mut self.making, Making::Idle)
        {
            let hash = Cell::from(signed).hash();
            self.unfinal.push_back(OwnBlock { hash, entries });
            self.counters.proposed += 1;
        }
        if step.changed {
            self.dirty = true;
        }
        if step.own_changed {
            self.gossip.announce = true;
            self.told.status = None;
        }
        if switched && published {
            self.recover_lost_blocks();
        }
    }

    /// Own blocks that the new chain does not have: their transactions wait again.
    fn recover_lost_blocks(&mut self) {
        if self.unfinal.is_empty() {
            return;
        }
        let blocks = &self.peer.order().blocks;
        let kept: HashSet<_> = blocks
            .iter_refs_from(self.peer.position())
            .filter_map(|block| Some(block.ok()?.hash()))
            .collect();
        let mut lost = Vec::new();
        let mut still = VecDeque::new();
        for own in self.unfinal.drain(..) {
            if kept.contains(&own.hash) {
                still.push_back(own);
            } else {
                lost.extend(own.entries);
            }
        }
        self.unfinal = still;
        self.queue.put_back(lost);
    }
}
