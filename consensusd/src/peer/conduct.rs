//! How others behave: what is wrong with what they send, and what they may have us do.
//!
//! All of it is local. No order is judged by who sent it, and nobody is left out of a vote (`spec/05 §9`): who can't behave loses a connection,
//! and what it may have us fetch.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use consensus::{DropReason, OrderFault};
use crypto::AccountKey;
use ipc::logging::Quiet;
use signing::{Now, Rate, TokenBucket};

use super::event::Connection;

/// Forgeries before a connection is closed. The reference takes over unchecked what a peer says that it joins by (`spec/05 §14.2`), so
/// that an honest peer may have one.
const FORGERIES: Rate = Rate::new(1, 16);
/// Messages with missing data for which others are asked, of each peer.
const QUESTIONS: Rate = Rate::new(20, 40);
/// Connections and peers that are remembered.
const REMEMBERED: usize = 1_024;
/// Milliseconds between two lines of the log.
const LINES: u64 = 10_000;

macro_rules! faults {
    ($($name:ident, $metric:literal, $doc:literal;)*) => {
        /// What is wrong with an order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $(#[doc = $doc] $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Name in metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $metric,)* }
            }
        }
    };
}

faults! {
    Forged, "orders_forged", "Its signature is wrong.";
    Malformed, "orders_malformed", "It is no order, or a part of it is not what it should be.";
    Future, "orders_future", "Its time lies ahead of the own clock.";
    Stranger, "orders_stranger", "Its signer has no stake to speak of.";
    Incomplete, "orders_incomplete", "A part of it is not there.";
    Surplus, "orders_surplus", "Too many wait already.";
}

impl Fault {
    /// What a reason to leave an order aside comes to.
    #[must_use]
    pub fn of(reason: &DropReason) -> Self {
        match reason {
            DropReason::BadSignature | DropReason::WrongKey => Self::Forged,
            DropReason::Future(_) => Self::Future,
            DropReason::Unregistered | DropReason::Understaked => Self::Stranger,
            DropReason::Fault(OrderFault::Data(cells::CellError::Missing(_))) => Self::Incomplete,
            DropReason::Fault(_) | DropReason::Conflict { .. } => Self::Malformed,
        }
    }
}

/// Buckets by who is meant; the oldest is forgotten first.
struct Buckets<K> {
    rate: Rate,
    buckets: HashMap<K, TokenBucket>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    fn take(&mut self, who: K, now: Now) -> bool {
        if !self.buckets.contains_key(&who) {
            self.order.push_back(who);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.buckets.remove(&oldest);
            }
        }
        let full = TokenBucket::new(self.rate, now.steady);
        let bucket = self.buckets.entry(who).or_insert(full);
        bucket.take(1, now.steady)
    }
}

/// What is remembered of others.
pub struct Conduct {
    counts: [u64; Fault::ALL.len()],
    closed: u64,
    forgeries: Buckets<Connection>,
    questions: Buckets<AccountKey>,
    lines: Quiet,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            counts: [0; Fault::ALL.len()],
            closed: 0,
            forgeries: Buckets::new(FORGERIES),
            questions: Buckets::new(QUESTIONS),
            lines: Quiet::new(LINES),
        }
    }
}

impl Conduct {
    /// One more order with this fault.
    pub fn count(&mut self, fault: Fault) {
        self.counts[fault as usize] += 1;
    }

    /// Orders that were left aside for faults.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All counts with their names.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let faults = Fault::ALL.iter().map(|fault| fault.name());
        let closed = ("connections_misused", self.closed);
        faults.zip(self.counts).chain([closed])
    }

    /// A message had a wrong signature: why its connection is to be closed, when it is.
    pub fn forged(
        &mut self,
        connection: Connection,
        from: Option<&AccountKey>,
        now: Now,
    ) -> Option<String> {
        self.count(Fault::Forged);
        if self.forgeries.take(connection, now) {
            return None;
        }
        let reason = match from {
            Some(key) => format!("the peer {key} sends orders with wrong signatures"),
            None => "orders with wrong signatures".to_owned(),
        };
        Some(self.close(reason, now))
    }

    /// A peer's belief has no end: why the connection to it is to be closed.
    pub fn boundless(&mut self, now: Now) -> String {
        self.close("its belief has no end".to_owned(), now)
    }

    fn close(&mut self, reason: String, now: Now) -> String {
        self.closed += 1;
        if let Some(held) = self.lines.pass(now.steady) {
            log::warn!("a connection is closed: {reason} ({held} more since the last such line)");
        }
        reason
    }

    /// Whether others may be asked for what a message of this peer lacks.
    pub fn may_ask(&mut self, key: &AccountKey, now: Now) -> bool {
        self.questions.take(*key, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(steady: u64) -> Now {
        Now { wall: 0, steady }
    }

    #[test]
    fn who_forges_now_and_then_is_borne_with_and_who_does_it_all_the_time_is_not() {
        let mut conduct = Conduct::default();
        assert!((0..100).all(|i| conduct.forged(1, None, at(i * 1_000)).is_none()));
        let ends: Vec<bool> = (0..40)
            .map(|_| conduct.forged(2, None, at(0)).is_some())
            .collect();
        assert_eq!(ends.iter().filter(|end| **end).count(), 40 - 16);
        let closed = conduct.named().last();
        assert_eq!(closed, Some(("connections_misused", 24)));
        assert_eq!(conduct.refused(), 140);
    }

    #[test]
    fn a_peer_has_its_own_share_of_questions_and_memory_is_bounded() {
        let mut conduct = Conduct::default();
        let key = |i: u64| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&i.to_be_bytes());
            AccountKey::new(bytes)
        };
        let asked = (0..1_000).filter(|_| conduct.may_ask(&key(0), at(0)));
        assert_eq!(asked.count(), 40);
        assert!(conduct.may_ask(&key(1), at(0)));
        for i in 0..10_000 {
            conduct.may_ask(&key(i), at(1));
        }
        assert_eq!(conduct.questions.buckets.len(), REMEMBERED);
    }
}
