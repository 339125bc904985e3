//! Everything that is counted, as one table: what the metrics show and operators compare.

use wire::{CloseReason, DropReason};

macro_rules! counters {
    ($($name:ident, $metric:literal, $doc:literal;)*) => {
        /// Something that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Counter {
            $(#[doc = $doc] $name,)*
        }

        impl Counter {
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

counters! {
    Accepted, "accepted", "Connections that were accepted.";
    RefusedTotal, "refused_total", "Connections closed at once: as many as there may be in all.";
    RefusedAddress, "refused_address", "Connections closed at once: as many as there may be of one address.";
    RefusedDenied, "refused_denied", "Connections closed at once: from a network that may not connect.";
    RefusedDescriptors, "refused_descriptors", "Connections closed at once: no descriptor left.";
    AcceptFailed, "accept_failed", "Failures of accepting that concern no single connection.";
    ClosedMemory, "closed_memory", "Connections closed since all together held too much memory, and they most.";
    ClosedDenied, "closed_denied", "Connections closed since their network may not connect any more.";
    ClosedByConsensus, "closed_by_consensus", "Connections closed since what came from them breaks the rules of consensus.";
    ClosedByOther, "closed_by_other", "Connections that the other side closed.";
    ClosedUnread, "closed_unread", "Connections closed since replies to them were not taken for too long.";
    BytesIn, "bytes_in", "Bytes of accepted connections that were read.";
    BytesOut, "bytes_out", "Bytes of accepted connections that were written.";
    Forwarded, "forwarded", "Messages that were passed on to consensus.";
    Replies, "replies", "Answers of consensus that were sent on.";
    RepliesUnasked, "replies_unasked", "Answers of consensus that nobody waited for.";
    Statuses, "statuses", "Status requests answered.";
    DataRequests, "data_requests", "Data requests answered from the store.";
    DataFailed, "data_failed", "Data requests that the store could not answer.";
    Waits, "waits", "Requests that had to wait for room.";
    Overloaded, "overloaded", "Requests answered with :LOAD since there was no room for too long.";
    Restarted, "restarted", "Requests answered with an error since consensus ended before it answered.";
    BeliefsDropped, "beliefs_dropped", "Beliefs that were dropped since consensus did not keep up.";
    BeliefsBeyondRate, "beliefs_beyond_rate", "Beliefs that were dropped since their sender, or all strangers together, sent too many.";
    ChallengesDropped, "challenges_dropped", "Challenges and proofs that were dropped since consensus did not keep up.";
    Links, "links", "Channels to consensus that were opened.";
    LinkBroken, "link_broken", "Channels to consensus closed since a message broke a rule.";
    Dialled, "dialled", "Connections to other peers that were attempted.";
    DialFailed, "dial_failed", "Attempts that failed.";
    DialUnresolved, "dial_unresolved", "Attempts given up since the host has no address.";
    NamesAsked, "names_asked", "Questions to name servers.";
    NamesStrange, "names_strange", "Messages to look-ups that answer something else: what who wants to mislead them sends.";
    Established, "established", "Connections to other peers that were established.";
    PeersClosed, "peers_closed", "Connections to other peers that ended.";
    PeersUnwanted, "peers_unwanted", "Connections to other peers that this peer closed.";
    Requests, "requests", "Requests sent to other peers.";
    RequestsUnanswered, "requests_unanswered", "Requests to other peers that got no answer.";
    Broadcasts, "broadcasts", "Beliefs sent to other peers.";
    BroadcastsSkipped, "broadcasts_skipped", "Beliefs that a peer which lags behind did not get, since a newer one came.";
}

/// The counts.
#[derive(Debug, Clone)]
pub struct Counters {
    counts: [u64; Counter::ALL.len()],
    drops: [u64; DropReason::ALL.len()],
    closes: [u64; CloseReason::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            counts: [0; Counter::ALL.len()],
            drops: [0; DropReason::ALL.len()],
            closes: [0; CloseReason::ALL.len()],
        }
    }
}

impl Counters {
    /// One more.
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// So many more.
    pub fn add(&mut self, counter: Counter, n: u64) {
        let count = &mut self.counts[counter as usize];
        *count = count.saturating_add(n);
    }

    /// One more message dropped.
    pub fn dropped(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }

    /// One more connection closed.
    pub fn closed(&mut self, reason: CloseReason) {
        self.closes[reason as usize] += 1;
    }

    /// How often.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }

    /// All with their names.
    #[must_use]
    pub fn named(&self) -> Vec<(String, u64)> {
        let own = Counter::ALL
            .iter()
            .zip(self.counts)
            .map(|(c, n)| (c.name().to_owned(), n));
        let drops = DropReason::ALL
            .iter()
            .zip(self.drops)
            .map(|(r, n)| (format!("dropped_{}", r.name()), n));
        let closes = CloseReason::ALL
            .iter()
            .zip(self.closes)
            .map(|(r, n)| (format!("closed_{}", r.name()), n));
        own.chain(drops).chain(closes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_count_has_a_name_of_its_own() {
        let mut counters = Counters::default();
        for (i, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, i);
            counters.count(*counter);
        }
        for reason in DropReason::ALL {
            counters.dropped(*reason);
        }
        for reason in CloseReason::ALL {
            counters.closed(*reason);
        }
        let named = counters.named();
        let names: HashSet<&String> = named.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), named.len());
        assert!(named.iter().all(|(_, n)| *n == 1));
        // A worker may report so many, with gauges beside them.
        assert!(named.len() < 190);
    }
}
