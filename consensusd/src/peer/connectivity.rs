//! Whether this peer can take part in consensus or is cut off from the others: a policy without clock and connections.
//!
//! Consensus needs more than [`THRESHOLD`] of all weight (`spec/05 §4.7`); who is heard from with no more than that can only wait. A peer
//! counts as heard from for one [window](Connectivity::new) after a sign of life: a recent order of its own, a message on a connection that
//! has proven its key, or an answer on a connection that we opened. In an idle network nobody signs anything, so that connections without
//! a sign are asked for their status.
//!
//! | standing | until |
//! |---|---|
//! | joining, after the start | a quorum is heard from, or a window is over |
//! | connected | no quorum can be hoped for, or a block waits for two windows without any progress |
//! | cut off by silence | a quorum can be hoped for again, for an eighth of a window |
//! | cut off by standstill | consensus makes progress, or nothing waits any more |
//!
//! With more peers than connections, most give no sign while the network is idle. They get the benefit of the doubt as long as the
//! connections that are wanted are there, or half of them at least; what is waiting then shows how it is. In a network where each peer
//! connects to every other one, who is not heard from is away.
//!
//! A peer that has a quorum by itself is never cut off.

use std::collections::HashMap;

use consensus::{Electorate, THRESHOLD};
use crypto::AccountKey;

use super::event::{Connection, Reach};

/// Whether the peer can take part in consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has just started.
    Joining,
    /// It can, for all it knows.
    Connected,
    /// It can't.
    CutOff(Cause),
}

/// Why a peer counts as cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Too little of the stake is heard from.
    Silence,
    /// A block waits for its finality, and nothing moves.
    Standstill,
}

/// What there is to see.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// Who votes with how much.
    pub electorate: &'a Electorate,
    /// The own key.
    pub own: &'a AccountKey,
    /// Executed blocks, and proposal, consensus and finality of the own order.
    pub progress: [u64; 4],
    /// Blocks of the own order wait for their finality.
    pub waiting: bool,
}

/// A connection that we opened.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    /// Who is at the other end, by proof or by its own word.
    key: Option<AccountKey>,
    heard: Option<u64>,
    asked: Option<u64>,
}

/// The policy. Times are milliseconds of a clock that does not step.
#[derive(Debug)]
pub struct Connectivity {
    window: u64,
    standing: Standing,
    since: u64,
    heard: HashMap<AccountKey, u64>,
    lines: HashMap<Connection, Line>,
    reach: Option<Reach>,
    /// The furthest that consensus ever was.
    furthest: Option<[u64; 4]>,
    progressed: Option<u64>,
    /// Since when blocks wait without progress.
    waiting: Option<u64>,
    looked: u64,
    /// Until when silence says nothing: this process itself did not run.
    excused: u64,
    /// Since when there is hope for a quorum, while cut off.
    hopeful: Option<u64>,
}

impl Connectivity {
    /// A peer that starts now. A sign of life counts for `window` milliseconds.
    #[must_use]
    pub fn new(window: u64, now: u64) -> Self {
        Self {
            window: window.max(1),
            standing: Standing::Joining,
            since: now,
            heard: HashMap::new(),
            lines: HashMap::new(),
            reach: None,
            furthest: None,
            progressed: None,
            waiting: None,
            looked: now,
            excused: 0,
            hopeful: None,
        }
    }

    /// How it is, and since when.
    #[must_use]
    pub fn standing(&self) -> (Standing, u64) {
        (self.standing, self.since)
    }

    /// True when transactions can't become final.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        matches!(self.standing, Standing::CutOff(_))
    }

    /// A peer gave a sign of life.
    pub fn heard(&mut self, key: AccountKey, now: u64) {
        self.heard.insert(key, now);
    }

    /// A peer signed an order `age` milliseconds ago, by its clock; below zero when that clock is ahead.
    pub fn signed(&mut self, key: AccountKey, age: i64, now: u64) {
        // An old one may have come by anybody.
        if age.unsigned_abs() < self.window {
            self.heard(key, now);
        }
    }

    /// We opened a connection, and ask who is there.
    pub fn opened(&mut self, connection: Connection, now: u64) {
        let asked = Some(now);
        let line = Line {
            asked,
            ..Line::default()
        };
        self.lines.insert(connection, line);
    }

    /// It is closed.
    pub fn closed(&mut self, connection: Connection) {
        self.lines.remove(&connection);
    }

    /// All connections are closed, and nobody opens others.
    pub fn disconnected(&mut self) {
        self.lines.clear();
        self.reach = None;
    }

    /// Somebody answered there.
    fn answered(&mut self, connection: Connection, now: u64) {
        if let Some(line) = self.lines.get_mut(&connection) {
            line.heard = Some(now);
            if let Some(key) = line.key {
                self.heard(key, now);
            }
        }
    }

    /// Who it is. A peer of the reference 0.8.0 can't prove it; at a host that we chose its word is good enough for this.
    pub fn named(&mut self, connection: Connection, key: AccountKey, now: u64) {
        if let Some(line) = self.lines.get_mut(&connection) {
            line.key = Some(key);
        }
        self.answered(connection, now);
    }

    /// A connection at whose other end this peer is.
    #[must_use]
    pub fn line_to(&self, key: &AccountKey) -> Option<Connection> {
        let mut lines = self.lines.iter();
        let found = lines.find(|(_, line)| line.key.as_ref() == Some(key));
        found.map(|(connection, _)| *connection)
    }

    /// How many hosts there are to connect to.
    pub fn set_reach(&mut self, reach: Reach) {
        self.reach = Some(reach);
    }

    fn is_recent(&self, time: Option<u64>, now: u64, within: u64) -> bool {
        time.is_some_and(|time| now.saturating_sub(time) < within)
    }

    fn last_sign(&self, line: &Line) -> Option<u64> {
        line.heard
            .max(line.key.and_then(|key| self.heard.get(&key).copied()))
    }

    fn answering(&self, now: u64) -> usize {
        let answers = |line: &&Line| self.is_recent(self.last_sign(line), now, self.window);
        self.lines.values().filter(answers).count()
    }

    /// Connections without a sign of life for a quarter of a window, each to be asked for one now.
    pub fn silent(&mut self, now: u64) -> Vec<Connection> {
        let quarter = self.window / 4;
        let silent =
            |line: &Line| !self.is_recent(self.last_sign(line).max(line.asked), now, quarter);
        let found: Vec<Connection> = self
            .lines
            .iter()
            .filter(|(_, line)| silent(line))
            .map(|(connection, _)| *connection)
            .collect();
        for connection in &found {
            if let Some(line) = self.lines.get_mut(connection) {
                line.asked = Some(now);
            }
        }
        found
    }

    /// The weight of this peer and of those that it heard from.
    #[must_use]
    pub fn weight(&self, electorate: &Electorate, own: &AccountKey, now: u64) -> f64 {
        let there = |key: &AccountKey| {
            key == own || self.is_recent(self.heard.get(key).copied(), now, self.window)
        };
        let voters = electorate.voters().iter();
        voters.filter(|v| there(&v.key)).map(|v| v.weight).sum()
    }

    /// Milliseconds between two looks.
    fn pause(&self) -> u64 {
        (self.window / 16).clamp(50, 500)
    }

    /// Milliseconds until the next look is due.
    #[must_use]
    pub fn wait(&self, now: u64) -> u64 {
        (self.looked + self.pause()).saturating_sub(now).max(1)
    }

    /// Looks, when it is time to; answers the new standing when it has changed.
    pub fn look(&mut self, sight: &Sight<'_>, now: u64) -> Option<Standing> {
        if now < self.looked + self.pause() && self.furthest.is_some() {
            return None;
        }
        if now - self.looked > self.window / 2 {
            // What came meanwhile is still to be read.
            self.excused = now + self.window;
            self.waiting = self.waiting.map(|_| now);
        }
        self.looked = now;
        self.heard
            .retain(|key, _| sight.electorate.voter(key).is_some());
        self.note_progress(sight, now);
        let next = self.judge(sight, now);
        if next == self.standing {
            return None;
        }
        self.standing = next;
        self.since = now;
        self.hopeful = None;
        if next == Standing::Connected {
            // What waits has its time from now on.
            self.waiting = self.waiting.map(|_| now);
        }
        Some(next)
    }

    fn note_progress(&mut self, sight: &Sight<'_>, now: u64) {
        let furthest = self.furthest.get_or_insert(sight.progress);
        let mut further = false;
        for (before, reached) in furthest.iter_mut().zip(sight.progress) {
            further |= reached > *before;
            *before = reached.max(*before);
        }
        if further {
            self.progressed = Some(now);
        }
        self.waiting = match self.waiting {
            _ if !sight.waiting => None,
            Some(since) if !further => Some(since),
            _ => Some(now),
        };
    }

    fn judge(&mut self, sight: &Sight<'_>, now: u64) -> Standing {
        let limit = sight.electorate.total() * THRESHOLD;
        if sight.electorate.weight(sight.own) > limit {
            return Standing::Connected;
        }
        let there = self.weight(sight.electorate, sight.own, now) > limit
            || self.is_recent(self.progressed, now, self.window);
        let hope = there || !self.is_telling(sight, now);
        let stands = self
            .waiting
            .is_some_and(|since| now - since >= 2 * self.window);
        let judged = now >= self.excused;
        match self.standing {
            Standing::Joining if there => Standing::Connected,
            Standing::Joining if now < self.since + self.window || !judged => Standing::Joining,
            Standing::Joining | Standing::Connected if judged && !hope => {
                Standing::CutOff(Cause::Silence)
            }
            Standing::Connected if judged && stands => Standing::CutOff(Cause::Standstill),
            Standing::Joining | Standing::Connected => Standing::Connected,
            Standing::CutOff(Cause::Silence) if hope => {
                let since = *self.hopeful.get_or_insert(now);
                if now - since >= self.window / 8 {
                    Standing::Connected
                } else {
                    self.standing
                }
            }
            Standing::CutOff(Cause::Standstill) if hope && !stands => Standing::Connected,
            Standing::CutOff(_) => {
                self.hopeful = None;
                self.standing
            }
        }
    }

    /// Whether silence says something: who is away would be heard from, were it there.
    fn is_telling(&self, sight: &Sight<'_>, now: u64) -> bool {
        let others = || {
            sight
                .electorate
                .voters()
                .iter()
                .filter(|v| v.key != *sight.own)
        };
        let alone =
            !others().any(|v| self.is_recent(self.heard.get(&v.key).copied(), now, self.window));
        let Some(Reach { named, target }) = self.reach else {
            return alone;
        };
        let staked = others().filter(|v| v.is_staked()).count();
        let all_are_neighbours = staked <= named && named <= target;
        let most_fail = self.answering(now) * 2 < named.min(target);
        alone || all_are_neighbours || most_fail
    }
}

#[cfg(test)]
mod tests {
    use cells::{Blob, Cell, Index};
    use cvm::state::PeerStatus;

    use super::*;

    const WINDOW: u64 = 10_000;
    const COIN: i64 = 1_000_000_000;

    fn key(i: usize) -> AccountKey {
        AccountKey::new([i as u8; 32])
    }

    /// Peers with so many thousands of coins each; the first is ours.
    fn electorate(stakes: &[i64]) -> Electorate {
        let mut peers = Index::empty();
        for (i, stake) in stakes.iter().enumerate() {
            let peer = PeerStatus::new(1, stake * 1_000 * COIN);
            let key = Cell::from(Blob::new(key(i).as_bytes()));
            peers = peers.assoc(key, peer.to_cell()).unwrap().unwrap();
        }
        Electorate::new(0, &peers).unwrap()
    }

    fn sight<'a>(electorate: &'a Electorate, own: &'a AccountKey) -> Sight<'a> {
        Sight {
            electorate,
            own,
            progress: [0; 4],
            waiting: false,
        }
    }

    /// Looks at each step of a minute in which these peers are heard from; the last standing.
    fn after_a_minute(stakes: &[i64], heard: &[usize]) -> Standing {
        let (electorate, own) = (electorate(stakes), key(0));
        let mut connectivity = Connectivity::new(WINDOW, 0);
        connectivity.set_reach(Reach {
            named: stakes.len() - 1,
            target: 20,
        });
        for now in (0..60_000).step_by(500) {
            for peer in heard {
                connectivity.heard(key(*peer), now);
            }
            connectivity.look(&sight(&electorate, &own), now);
        }
        connectivity.standing().0
    }

    #[test]
    fn a_quorum_is_more_than_sixty_seven_hundredths() {
        let cut_off = Standing::CutOff(Cause::Silence);
        assert_eq!(after_a_minute(&[30, 37, 33], &[1]), cut_off, "exactly 67");
        assert_eq!(after_a_minute(&[30, 38, 32], &[1]), Standing::Connected);
        assert_eq!(after_a_minute(&[67, 33], &[]), cut_off);
        assert_eq!(after_a_minute(&[68, 32], &[]), Standing::Connected);
        assert_eq!(after_a_minute(&[1], &[]), Standing::Connected);
        assert_eq!(after_a_minute(&[1, 1, 1], &[1]), cut_off, "two of three");
        assert_eq!(after_a_minute(&[1, 1, 1, 1], &[1, 2]), Standing::Connected);
    }

    #[test]
    fn an_old_order_is_no_sign_of_life() {
        let mut connectivity = Connectivity::new(WINDOW, 0);
        let window = WINDOW as i64;
        for (age, counts) in [
            (0, true),
            (window - 1, true),
            (window, false),
            (1 - window, true),
            (-window, false),
            (i64::MIN, false),
        ] {
            connectivity.heard.clear();
            connectivity.signed(key(1), age, 5);
            assert_eq!(connectivity.heard.contains_key(&key(1)), counts, "{age}");
        }
    }

    #[test]
    fn connections_without_a_sign_are_asked_four_times_a_window() {
        let mut connectivity = Connectivity::new(WINDOW, 0);
        connectivity.opened(1, 0);
        connectivity.opened(2, 0);
        let mut asked = [0, 0];
        for now in (0..60_000).step_by(100) {
            // The first answers what it is asked, the second is heard from in another way.
            for connection in connectivity.silent(now) {
                asked[connection as usize - 1] += 1;
                if connection == 1 {
                    connectivity.answered(1, now);
                } else {
                    connectivity.named(2, key(2), now);
                }
            }
            connectivity.heard(key(2), now);
        }
        assert_eq!(asked, [23, 1]);
        connectivity.closed(1);
        assert!(connectivity.silent(100_000).iter().all(|c| *c == 2));
    }

    #[test]
    fn who_is_heard_from_now_and_then_makes_nothing_flap() {
        let (electorate, own) = (electorate(&[1, 1, 1]), key(0));
        let mut connectivity = Connectivity::new(WINDOW, 0);
        let mut changes = 0;
        for now in (0..600_000).step_by(100) {
            connectivity.heard(key(1), now);
            // Nine seconds without a sign, again and again.
            if now % 9_000 == 0 {
                connectivity.heard(key(2), now);
            }
            changes += u32::from(connectivity.look(&sight(&electorate, &own), now).is_some());
        }
        assert_eq!(
            (changes, connectivity.standing().0),
            (1, Standing::Connected)
        );
    }

    #[test]
    fn what_is_kept_of_others_is_bounded_by_the_electorate() {
        let (electorate, own) = (electorate(&[1, 1]), key(0));
        let mut connectivity = Connectivity::new(WINDOW, 0);
        for i in 0..255 {
            connectivity.heard(key(i), 0);
        }
        connectivity.look(&sight(&electorate, &own), 0);
        assert_eq!(connectivity.heard.len(), 2);
    }
}
