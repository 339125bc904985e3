//! Beliefs of others: intake, what they lack, and polls (`spec/05 §9`, `§17.4`).

use std::collections::{HashMap, HashSet};

use cells::{Cell, Signed, Source, Verdict};
use consensus::Offer;
use crypto::{AccountKey, KeyCache, SignedMessage, verify_batch};
use signing::Now;
use wire::{Reply, Status};

use super::Core;
use super::acquisition::{Ended, Failure, Fetcher, Wanted, missing};
use super::conduct::{Conduct, Fault};
use super::event::{Action, Challenger, Connection, Outgoing, Request, Target};
use super::telling::REBROADCAST;

/// Orders that wait for the next merge.
const MAX_OFFERS: usize = 4_096;
/// Connections to other peers that are looked at.
const MAX_OPENED: usize = 256;
/// Milliseconds without a belief after which another peer is asked for its own.
const SILENCE: u64 = 1_000;
/// Age of the state in milliseconds from which on others are asked whatever is heard: what is heard may be the same again and again.
const OLD: i64 = 2_000;
/// Orders of one message of which the rest is asked for.
const MAX_LACKING: usize = 32;
/// The same for a peer that nobody dials: beliefs go from who dialled to who was dialled only (`spec/05 §10`), so that it hears what it asks for.
const IMPATIENCE: u64 = 150;
/// Milliseconds without a belief that came by itself after which nobody dials, it seems: whoever does repeats its own.
const UNDIALLED: u64 = 10 * REBROADCAST;
/// Milliseconds for an answer; `netd` gives up earlier.
const PATIENCE: u64 = 15_000;
/// Milliseconds until peers are challenged again that have not proven who they are: `keyd` signs nothing of its first second. Each time twice
/// as long, since 0.8.0 never answers.
const CHALLENGE_AGAIN: u64 = 2_000;
const CHALLENGE_SELDOM: u64 = 60_000;
/// Signatures that are checked one by one rather than together.
const FEW: usize = 3;
/// Bytes of a message that is kept until what it lacks has come.
pub(super) const MOST_KEPT: usize = 2 << 20;

/// What is known of others, and what is wanted from them.
#[derive(Default)]
pub(super) struct Gossip {
    /// Orders that were found good, for the next merge.
    pub(super) offers: Vec<Offer>,
    /// The own order changed since the last broadcast.
    pub(super) announce: bool,
    /// Cells of the belief that no broadcast had.
    pub(super) unannounced: Vec<Cell>,
    pub(super) unannounced_bytes: usize,
    /// The belief as last written, for broadcasts without news.
    pub(super) durable_belief: Option<Cell>,
    pub(super) opened: Vec<Connection>,
    /// Who proved to be at the other end of them.
    pub(super) proven: HashMap<Connection, AccountKey>,
    /// When those that are not proven are challenged again.
    challenge_at: u64,
    challenge_wait: u64,
    /// Requests that challenge a connection.
    pub(super) proofs: HashMap<u64, Connection>,
    pub(super) fetcher: Fetcher,
    /// Final blocks, as the peer said that was asked last.
    pub(super) claimed: u64,
    /// How others behave.
    pub(super) conduct: Conduct,
    poll: Option<Poll>,
    pub(super) tickets: u64,
    turn: usize,
    /// Connections that were not yet sent all that is not final.
    pub(super) untold: Vec<Connection>,
    /// When anything was sent to all, and when all that is not final was (steady milliseconds).
    pub(super) last_broadcast: u64,
    pub(super) last_whole: u64,
    last_heard: u64,
    last_poll: u64,
    /// Requests for a sign of life, on which connection, and until when.
    looks: HashMap<u64, (Connection, u64)>,
    /// When a belief last came by itself.
    pub(super) last_told: u64,
    /// Nobody dials, and who is asked answers.
    impatient: bool,
    keys: Option<KeyCache>,
}

struct Poll {
    connection: Connection,
    ticket: u64,
    until: u64,
}

impl Gossip {
    pub(super) fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// All connections are gone.
    pub(super) fn disconnected(&mut self) {
        self.opened.clear();
        self.untold.clear();
        self.proven.clear();
        self.fetcher.clear();
        self.proofs.clear();
        self.looks.clear();
        self.poll = None;
    }

    /// Milliseconds until something is due. `quiet` says that nothing is on its way to the store, `old` that the state is.
    pub(super) fn wait(&self, now: Now, quiet: bool, old: bool) -> u64 {
        let until = |time: u64| time.saturating_sub(now.steady).max(1);
        if self.opened.is_empty() {
            return u64::MAX;
        }
        let acquisition = self.fetcher.next(now.steady).map_or(u64::MAX, until);
        let broadcast = quiet.then(|| until(self.last_broadcast + REBROADCAST));
        let poll = match &self.poll {
            Some(poll) => until(poll.until),
            None if self.fetcher.is_busy() => u64::MAX,
            None => until(self.poll_at(old)),
        };
        acquisition.min(poll).min(broadcast.unwrap_or(u64::MAX))
    }

    /// When the next poll is due (steady milliseconds).
    fn poll_at(&self, old: bool) -> u64 {
        let since = if old { self.last_poll } else { u64::MAX };
        self.last_heard.min(since) + if self.impatient { IMPATIENCE } else { SILENCE }
    }
}

impl Core {
    /// Takes in a belief, or a signed order alone, that came over `connection`, from a peer that has proven to be `from`.
    pub(super) fn believe(
        &mut self,
        message: &Cell,
        connection: Connection,
        from: Option<AccountKey>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let offers = match self.peer.intake(now.wall).offers(message) {
            Ok(offers) => offers,
            Err(_) => return,
        };
        let mut incomplete = false;
        for dropped in &offers.refused {
            let fault = Fault::of(&dropped.reason);
            incomplete |= fault == Fault::Incomplete;
            self.gossip.conduct.count(fault);
        }
        let good = self.verify(&offers.orders);
        if good < offers.orders.len() {
            // What stands behind it is left aside (`spec/05 §9.2`): forgeries are to cost their sender more than us.
            let ends = self.gossip.conduct.forged(connection, from.as_ref(), now);
            out.extend(ends.map(|reason| Action::Net(Outgoing::Close(connection, reason))));
        }
        let mut lacking = offers.incomplete;
        let is_bad = |signed: &Signed| !signed.verify();
        if let Some(bad) = lacking.iter().take(MAX_LACKING).position(is_bad) {
            lacking.truncate(bad);
        }
        lacking.truncate(MAX_LACKING);
        let mut seen = HashSet::new();
        for offer in offers.orders.into_iter().take(good) {
            if self.gossip.offers.len() >= MAX_OFFERS {
                self.gossip.conduct.count(Fault::Surplus);
                continue;
            }
            // All of it, down to the last transaction, has to be here before anybody votes on it.
            let order = Cell::from(offer.signed().clone());
            match missing(&order, &self.shelf, &mut seen) {
                Ok(none) if none.is_empty() => {
                    self.counters.orders += 1;
                    let age = now.wall.saturating_sub(offer.order().timestamp);
                    self.connectivity.signed(*offer.key(), age, now.steady);
                    self.gossip.offers.push(offer);
                }
                Ok(_) => {
                    self.gossip.conduct.count(Fault::Incomplete);
                    incomplete = true;
                    // What it lacks counts as seen from here on, and another order may lack the same.
                    seen.clear();
                    lacking.push(offer.signed().clone());
                }
                Err(_) => return,
            }
        }
        if !incomplete {
            self.gossip.last_heard = now.steady;
        }
        // Whoever brought it, its peer has signed it. Of what nobody has signed, a stranger can't make us ask for anything; that comes with
        // the next poll.
        let signed = lacking.iter().filter_map(|signed| {
            let key = signed.key().copied()?;
            Some((Cell::from(signed.clone()), key))
        });
        let mut wanted: Vec<(Cell, AccountKey)> = signed.collect();
        if wanted.is_empty() && incomplete {
            wanted.extend(from.map(|key| (message.clone(), key)));
        }
        for (value, key) in wanted {
            if self.gossip.conduct.may_ask(&key, now)
                && let Some(connection) = self.source(&key)
            {
                self.acquire(Wanted::Message(value, key), connection, now);
            }
        }
    }

    /// The connection on which what this peer has signed can be asked for: who dialled us answers no requests (`spec/06 §7.2`). That is the
    /// one that we have to it, by its proof or by its word; without one, any, since beliefs are alike.
    fn source(&mut self, key: &AccountKey) -> Option<Connection> {
        let gossip = &mut self.gossip;
        let to_it = self.connectivity.line_to(key);
        if to_it.is_some_and(|connection| gossip.opened.contains(&connection)) {
            return to_it;
        }
        gossip.turn += 1;
        let place = gossip.turn % gossip.opened.len().max(1);
        gossip.opened.get(place).copied()
    }

    fn acquire(&mut self, wanted: Wanted, from: Connection, now: Now) {
        let fetcher = &mut self.gossip.fetcher;
        if let Some(begun) = fetcher.want(wanted, Some(from), now.steady, &self.shelf) {
            self.counters.acquisitions += 1;
            if begun.is_err() {
                self.counters.failed_acquisitions += 1;
            }
        }
    }

    /// Checks signatures, in parts that grow: how many are good before the first that is not.
    fn verify(&mut self, offers: &[Offer]) -> usize {
        let mut checked = 0;
        let mut part = FEW;
        while checked < offers.len() {
            let offers = &offers[checked..offers.len().min(checked + part)];
            self.verify_part(offers);
            let bad = |offer: &Offer| offer.signed().verdict() != Verdict::Good;
            if let Some(first) = offers.iter().position(bad) {
                return checked + first;
            }
            checked += offers.len();
            part *= 4;
        }
        checked
    }

    fn verify_part(&mut self, offers: &[Offer]) {
        if offers.len() <= FEW {
            for offer in offers {
                let _ = offer.signed().verify();
            }
            return;
        }
        let keys = self.gossip.keys.get_or_insert_with(|| KeyCache::new(4_096));
        let messages: Vec<Vec<u8>> = offers.iter().map(|o| o.signed().message()).collect();
        let items: Vec<SignedMessage<'_>> = offers
            .iter()
            .zip(&messages)
            .map(|(offer, message)| SignedMessage {
                key: offer.key(),
                message,
                signature: offer.signed().signature(),
            })
            .collect();
        for (offer, good) in offers
            .iter()
            .zip(verify_batch(keys, &self.config.seed, &items))
        {
            let verdict = if good { Verdict::Good } else { Verdict::Bad };
            offer.signed().set_verdict(verdict);
        }
    }

    /// A connection to another peer is open: who is there, and what does it believe?
    pub(super) fn opened(&mut self, connection: Connection, now: Now, out: &mut Vec<Action>) {
        if self.gossip.opened.len() >= MAX_OPENED || self.gossip.opened.contains(&connection) {
            return;
        }
        self.gossip.opened.push(connection);
        self.gossip.untold.push(connection);
        self.gossip.fetcher.sources().opened(connection);
        self.connectivity.opened(connection, now.steady);
        self.want_challenge(Challenger::Opened(connection), now, out);
        self.gossip.challenge_wait = CHALLENGE_AGAIN;
        self.gossip.challenge_at = now.steady + CHALLENGE_AGAIN;
        if self.gossip.poll.is_none() {
            self.poll(connection, now, out);
        }
        self.gossip.announce = true;
        self.dirty = true;
    }

    pub(super) fn connection_closed(&mut self, connection: Connection) {
        self.gossip.opened.retain(|c| *c != connection);
        self.gossip.untold.retain(|c| *c != connection);
        self.connectivity.closed(connection);
        self.gossip.proven.remove(&connection);
        self.gossip.proofs.retain(|_, c| *c != connection);
        if self
            .gossip
            .poll
            .as_ref()
            .is_some_and(|poll| poll.connection == connection)
        {
            self.gossip.poll = None;
        }
        self.gossip.fetcher.closed(connection);
    }

    /// Challenges who is not proven: the signer had nothing to say at first, or the answer was lost.
    fn challenge_again(&mut self, now: Now, out: &mut Vec<Action>) {
        let gossip = &mut self.gossip;
        gossip.challenge_at = now.steady + gossip.challenge_wait;
        if !self.key.signs() {
            return;
        }
        gossip.challenge_wait = CHALLENGE_SELDOM.min(2 * gossip.challenge_wait);
        let open = |c: &&Connection| {
            !gossip.proven.contains_key(c) && !gossip.proofs.values().any(|asked| asked == *c)
        };
        let unproven: Vec<Connection> = gossip.opened.iter().filter(open).copied().collect();
        for connection in unproven {
            self.want_challenge(Challenger::Opened(connection), now, out);
        }
    }

    /// Asks those who have given no sign of life for their status.
    pub(super) fn look_at_silent(&mut self, now: Now, out: &mut Vec<Action>) {
        self.gossip
            .looks
            .retain(|_, (_, until)| now.steady < *until);
        for connection in self.connectivity.silent(now.steady) {
            let ticket = self.gossip.ticket();
            let look = (connection, now.steady + PATIENCE);
            self.gossip.looks.insert(ticket, look);
            out.push(Action::Net(Outgoing::Request(
                ticket,
                Target::Opened(connection),
                Request::Status,
            )));
        }
    }

    /// A status says whose it is.
    fn introduced(&mut self, connection: Connection, status: &Status, now: Now) {
        if status.genesis == self.config.network {
            let proven = self.gossip.proven.get(&connection).copied();
            let key = proven.unwrap_or(status.peer);
            self.connectivity.named(connection, key, now.steady);
        }
    }

    fn poll(&mut self, connection: Connection, now: Now, out: &mut Vec<Action>) {
        let ticket = self.gossip.ticket();
        self.gossip.poll = Some(Poll {
            connection,
            ticket,
            until: now.steady + PATIENCE,
        });
        // One attempt for each silence.
        self.gossip.last_heard = now.steady;
        self.gossip.last_poll = now.steady;
        out.push(Action::Net(Outgoing::Request(
            ticket,
            Target::Opened(connection),
            Request::Status,
        )));
    }

    /// The answer to a request to another peer.
    pub(super) fn answered(
        &mut self,
        ticket: u64,
        answer: Option<Reply>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if let Some((connection, _)) = self.gossip.looks.remove(&ticket) {
            if let Some(status) = answer.and_then(|reply| Status::read(&reply.value).ok()) {
                self.introduced(connection, &status, now);
            }
            return;
        }
        if let Some(connection) = self.gossip.proofs.remove(&ticket) {
            let signed = answer.and_then(|reply| match reply.value {
                Cell::Signed(signed) if reply.error.is_nil() => Some(signed),
                _ => None,
            });
            self.proof(connection, signed, now, out);
            return;
        }
        if let Some(poll) = self.gossip.poll.take_if(|poll| poll.ticket == ticket) {
            let undialled = now.steady >= self.gossip.last_told + UNDIALLED;
            self.gossip.impatient = undialled && answer.is_some();
            if let Some(reply) = answer {
                self.polled(poll.connection, &reply, now);
            }
            return;
        }
        let fetcher = &mut self.gossip.fetcher;
        fetcher.answered(ticket, answer.as_ref(), now.steady, &self.shelf);
    }

    /// Goes on with what is being acquired, and believes what is there.
    fn fetch(&mut self, now: Now, out: &mut Vec<Action>) {
        while let Some(ended) = self.gossip.fetcher.ended(now.steady) {
            self.acquired(ended, now, out);
        }
        if self.compacting {
            return;
        }
        let gossip = &mut self.gossip;
        self.saver.take_fetched(&mut gossip.fetcher, false);
        let (fetcher, tickets) = (&mut gossip.fetcher, &mut gossip.tickets);
        for (ticket, source, hashes) in fetcher.requests(tickets, now.steady, &self.shelf) {
            out.push(Action::Net(Outgoing::Request(
                ticket,
                Target::Opened(source),
                Request::Data(hashes),
            )));
        }
    }

    fn acquired(&mut self, ended: Ended, now: Now, out: &mut Vec<Action>) {
        let Some(connection) = ended.from else {
            return;
        };
        let is_message = matches!(ended.wanted, Wanted::Message(..));
        let message = ended.outcome.and_then(|()| match ended.wanted {
            Wanted::Message(message, _) => Ok(message),
            Wanted::Hash(hash) => self.shelf.load(&hash).map_err(Failure::Store),
        });
        match message {
            Ok(message) => self.believe(&message, connection, None, now, out),
            Err(why) => {
                self.counters.failed_acquisitions += 1;
                if why == Failure::TooMuch && is_message {
                    // An honest peer that was away for long: its status leads to all of it.
                    if self.gossip.poll.is_none() {
                        self.poll(connection, now, out);
                    }
                } else if why == Failure::TooMuch {
                    // An honest peer of a very long chain is connected to again, and goes on.
                    let reason = self.gossip.conduct.boundless(now);
                    out.push(Action::Net(Outgoing::Close(connection, reason)));
                }
            }
        }
    }

    fn polled(&mut self, connection: Connection, reply: &Reply, now: Now) {
        let Ok(status) = Status::read(&reply.value) else {
            return;
        };
        self.introduced(connection, &status, now);
        if status.genesis != self.config.network || !reply.error.is_nil() {
            // What it has is of no use.
            self.gossip.fetcher.sources().closed(connection);
            return;
        }
        self.gossip.claimed = status.points[3];
        let own = self.gossip.durable_belief.as_ref().map(Cell::hash);
        if own != Some(status.belief) {
            self.acquire(Wanted::Hash(status.belief), connection, now);
        }
    }

    /// True when no block was executed for a while.
    pub(super) fn has_old_state(&self, now: Now) -> bool {
        self.ledger.globals().timestamp.saturating_add(OLD) < now.wall
    }

    /// Requests that are due, and polls.
    pub(super) fn tend_gossip(&mut self, now: Now, out: &mut Vec<Action>) {
        self.fetch(now, out);
        let gossip = &mut self.gossip;
        if gossip
            .poll
            .as_ref()
            .is_some_and(|poll| now.steady >= poll.until)
        {
            gossip.poll = None;
        }
        if gossip.opened.is_empty() {
            return;
        }
        if now.steady >= gossip.challenge_at {
            self.challenge_again(now, out);
        }
        let old = self.has_old_state(now);
        let gossip = &mut self.gossip;
        let due = now.steady >= gossip.poll_at(old);
        if due && gossip.poll.is_none() && !gossip.fetcher.is_busy() {
            gossip.turn += 1;
            let connection = gossip.opened[gossip.turn % gossip.opened.len()];
            self.poll(connection, now, out);
        }
    }
}
