//! Emergency de-staking as a pure state machine (DESIGN §4): what is armed, whether it would still work, and bringing it out.
//!
//! It asks for *attempts*: each is a process of its own that talks to one good peer. An attempt either only asks for the sequence number
//! of the account, or sends the transaction that fits it and asks whether the stake is gone. The withdrawal is over when a majority of the
//! good peers shows it gone. Signing is locked before the first attempt; that is the caller's part.

use ipc::control::{Armed, ArmedView, MAX_LADDER};

/// Attempts at the same time.
const AT_ONCE: usize = 4;
/// The first wait after a failed attempt, milliseconds; it doubles.
const FIRST_WAIT: u64 = 1_000;
/// The longest wait.
const LONGEST_WAIT: u64 = 30_000;
/// Time between two looks whether the withdrawal would still work.
const LOOK: u64 = 600_000;
/// Longest account of an outcome, bytes.
const MAX_TEXT: usize = 500;
/// Most good peers.
pub const MAX_PEERS: usize = 32;

/// Why a withdrawal can't be armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotArmed {
    /// No transaction, or too many.
    #[error("from one to {MAX_LADDER} transactions")]
    Transactions,
    /// No good peer, or too many.
    #[error("from one to {MAX_PEERS} peers")]
    Peers,
    /// Made for another network.
    #[error("the withdrawal was made for another network")]
    Network,
    /// A sequence number that no account can have.
    #[error("sequence numbers begin with 1")]
    Sequence,
}

/// What an attempt does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Ask for the sequence number of the account.
    Ask,
    /// Send this transaction of the ladder, and ask whether the stake is gone.
    Send(usize),
}

/// An attempt that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Position of the peer among the good peers.
    pub peer: usize,
    /// What to do there.
    pub task: Task,
}

/// What an attempt brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The sequence number of the account; `None` when there is no such account.
    Sequence(Option<i64>),
    /// The stake is gone, says the peer.
    Gone,
    /// The peer answered, but the stake is there still; for people.
    Still(String),
    /// No answer; for people.
    Failed(String),
}

/// How a withdrawal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// None goes on.
    Idle,
    /// It goes on.
    UnderWay,
    /// A majority of the good peers shows the stake gone; or a drill went through at a majority.
    Confirmed,
    /// No transaction of the ladder fits what a majority says: it can't work.
    Hopeless,
}

#[derive(Debug, Clone)]
struct PeerState {
    task: Task,
    busy: bool,
    next: u64,
    wait: u64,
    done: bool,
    hopeless: bool,
    text: String,
}

impl PeerState {
    fn new(now: u64) -> Self {
        Self {
            task: Task::Ask,
            busy: false,
            next: now,
            wait: FIRST_WAIT,
            done: false,
            hopeless: false,
            text: "not asked yet".to_owned(),
        }
    }

    fn later(&mut self, now: u64) {
        self.next = now + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
    }
}

#[derive(Debug, Clone)]
struct Run {
    drill: bool,
    peers: Vec<PeerState>,
}

/// The state machine. Times are milliseconds of the steady clock.
#[derive(Debug, Clone, Default)]
pub struct Destake {
    armed: Option<Armed>,
    run: Option<Run>,
    /// The last look: the peer whose turn it is, whether it is under way, when the next is due.
    look: (usize, bool, u64),
    works: Option<bool>,
    remark: String,
}

impl Destake {
    /// Arms a withdrawal; it takes the place of an older one.
    ///
    /// # Errors
    /// When it is not one for this network, or beyond a bound.
    pub fn arm(&mut self, armed: Armed, network: &[u8; 32], now: u64) -> Result<(), NotArmed> {
        if armed.transactions.is_empty() || armed.transactions.len() > MAX_LADDER {
            return Err(NotArmed::Transactions);
        }
        if armed.peers.is_empty() || armed.peers.len() > MAX_PEERS {
            return Err(NotArmed::Peers);
        }
        if armed.network != *network {
            return Err(NotArmed::Network);
        }
        if armed.sequence < 1 || armed.sequence > i64::MAX - MAX_LADDER as i64 {
            return Err(NotArmed::Sequence);
        }
        self.armed = Some(armed);
        self.works = None;
        "nobody was asked yet".clone_into(&mut self.remark);
        self.look = (0, false, now);
        Ok(())
    }

    /// Forgets the withdrawal, unless it goes on; false then.
    pub fn disarm(&mut self) -> bool {
        if self.run.is_some() {
            return false;
        }
        *self = Self::default();
        true
    }

    /// What is armed.
    #[must_use]
    pub fn armed(&self) -> Option<&Armed> {
        self.armed.as_ref()
    }

    /// What is armed, for people.
    #[must_use]
    pub fn view(&self) -> Option<ArmedView> {
        self.armed.as_ref().map(|armed| ArmedView {
            effect: armed.effect.clone(),
            account: armed.account,
            sequences: (armed.sequence, last_sequence(armed)),
            works: self.works,
            remark: self.remark.clone(),
        })
    }

    /// Begins to bring it out; false when nothing is armed, or it goes on already. A drill asks only.
    pub fn begin(&mut self, drill: bool, now: u64) -> bool {
        let Some(armed) = &self.armed else {
            return false;
        };
        if self.run.as_ref().is_some_and(|run| !run.drill) {
            return false;
        }
        self.run = Some(Run {
            drill,
            peers: vec![PeerState::new(now); armed.peers.len()],
        });
        true
    }

    /// Ends a drill, or what is confirmed or hopeless, so that another may begin.
    pub fn end(&mut self) {
        self.run = None;
    }

    /// The attempts that are due. Each has to be answered by [`Destake::ended`].
    pub fn due(&mut self, now: u64) -> Vec<Attempt> {
        let Some(armed) = &self.armed else {
            return Vec::new();
        };
        let Some(run) = &mut self.run else {
            let (peer, busy, next) = self.look;
            if busy || now < next {
                return Vec::new();
            }
            self.look = (peer, true, next);
            return vec![Attempt {
                peer: peer % armed.peers.len(),
                task: Task::Ask,
            }];
        };
        let mut busy = run.peers.iter().filter(|peer| peer.busy).count();
        let mut attempts = Vec::new();
        for (index, peer) in run.peers.iter_mut().enumerate() {
            if busy < AT_ONCE && !peer.busy && !peer.done && !peer.hopeless && now >= peer.next {
                peer.busy = true;
                busy += 1;
                attempts.push(Attempt {
                    peer: index,
                    task: peer.task,
                });
            }
        }
        attempts
    }

    /// When [`Destake::due`] has something next, if nothing else happens.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.armed.as_ref()?;
        match &self.run {
            None => (!self.look.1).then_some(self.look.2),
            Some(run) => run
                .peers
                .iter()
                .filter(|peer| !peer.busy && !peer.done && !peer.hopeless)
                .map(|peer| peer.next)
                .min(),
        }
    }

    /// An attempt ended.
    pub fn ended(&mut self, attempt: Attempt, outcome: &Outcome, now: u64) {
        let Some(armed) = &self.armed else {
            return;
        };
        if let Outcome::Sequence(sequence) = outcome {
            let position = position(armed, *sequence);
            self.works = Some(position.is_some());
            self.remark = match (sequence, position) {
                (None, _) => format!("account #{} does not exist", armed.account),
                (Some(at), Some(index)) => format!(
                    "account #{} is at sequence {at}: {} of {} are left",
                    armed.account,
                    armed.transactions.len() - index,
                    armed.transactions.len()
                ),
                (Some(at), None) => format!(
                    "account #{} is at sequence {at}, the withdrawal is for {} to {}: arm it again",
                    armed.account,
                    armed.sequence,
                    last_sequence(armed)
                ),
            };
        }
        let Some(run) = &mut self.run else {
            if let Outcome::Failed(text) = outcome {
                self.remark = shorten(text);
            }
            self.look = ((attempt.peer + 1) % armed.peers.len(), false, now + LOOK);
            return;
        };
        let Some(peer) = run.peers.get_mut(attempt.peer) else {
            return;
        };
        peer.busy = false;
        match outcome {
            Outcome::Sequence(sequence) => match position(armed, *sequence) {
                Some(index) => {
                    peer.text = format!("sequence {}", sequence.unwrap_or(0));
                    if run.drill {
                        peer.done = true;
                    } else {
                        peer.task = Task::Send(index);
                        peer.next = now;
                    }
                }
                None => {
                    // Sent by way of another peer, the transaction has used up its number: then the stake is gone.
                    peer.text.clone_from(&self.remark);
                    if run.drill {
                        peer.hopeless = true;
                    } else {
                        peer.task = Task::Send(0);
                        peer.hopeless = sequence.is_none_or(|at| at < armed.sequence - 1);
                        peer.later(now);
                    }
                }
            },
            Outcome::Gone => {
                "the stake is gone".clone_into(&mut peer.text);
                peer.done = true;
            }
            Outcome::Still(text) => {
                peer.text = shorten(text);
                peer.task = Task::Ask;
                peer.later(now);
            }
            Outcome::Failed(text) => {
                peer.text = shorten(text);
                peer.task = Task::Ask;
                peer.later(now);
            }
        }
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let Some(run) = &self.run else {
            return Standing::Idle;
        };
        let majority = run.peers.len() / 2 + 1;
        if run.peers.iter().filter(|peer| peer.done).count() >= majority {
            Standing::Confirmed
        } else if run.peers.iter().filter(|peer| peer.hopeless).count() >= majority {
            Standing::Hopeless
        } else {
            Standing::UnderWay
        }
    }

    /// What each good peer said last.
    #[must_use]
    pub fn outcomes(&self) -> Vec<(String, String)> {
        let (Some(armed), Some(run)) = (&self.armed, &self.run) else {
            return Vec::new();
        };
        armed
            .peers
            .iter()
            .zip(&run.peers)
            .map(|(host, peer)| (host.clone(), peer.text.clone()))
            .collect()
    }

    /// True while a drill goes on.
    #[must_use]
    pub fn is_drill(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.drill)
    }
}

fn last_sequence(armed: &Armed) -> i64 {
    armed.sequence + armed.transactions.len() as i64 - 1
}

/// The transaction of the ladder for an account at this sequence number.
fn position(armed: &Armed, sequence: Option<i64>) -> Option<usize> {
    let next = sequence?.checked_add(1)?;
    let index = usize::try_from(next.checked_sub(armed.sequence)?).ok()?;
    (index < armed.transactions.len()).then_some(index)
}

fn shorten(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end]
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipc::Bytes;
    use proptest::prelude::*;

    fn armed(peers: usize, ladder: usize) -> Armed {
        Armed {
            transactions: (0..ladder).map(|i| Bytes::from(vec![i as u8])).collect(),
            sequence: 11,
            account: 13,
            network: [7; 32],
            peers: (0..peers).map(|i| format!("192.0.2.{i}:18888")).collect(),
            check: String::new(),
            expected: String::new(),
            effect: "withdraws 5 gold".to_owned(),
        }
    }

    fn ready(peers: usize, ladder: usize) -> Destake {
        let mut destake = Destake::default();
        destake.arm(armed(peers, ladder), &[7; 32], 0).unwrap();
        destake
    }

    #[test]
    fn only_withdrawals_of_this_network_within_bounds_are_armed() {
        let mut destake = Destake::default();
        let arm = |destake: &mut Destake, armed| destake.arm(armed, &[7; 32], 0);
        assert_eq!(arm(&mut destake, armed(0, 1)), Err(NotArmed::Peers));
        assert_eq!(arm(&mut destake, armed(1, 0)), Err(NotArmed::Transactions));
        assert_eq!(
            arm(&mut destake, armed(1, MAX_LADDER + 1)),
            Err(NotArmed::Transactions)
        );
        assert_eq!(
            destake.arm(armed(1, 1), &[8; 32], 0),
            Err(NotArmed::Network)
        );
        assert!(!destake.begin(false, 0));
        assert_eq!(arm(&mut destake, armed(1, 1)), Ok(()));
    }

    #[test]
    fn a_withdrawal_asks_then_sends_what_fits_and_ends_with_a_majority() {
        let mut destake = ready(3, 4);
        assert!(destake.begin(false, 0));
        let attempts = destake.due(0);
        assert_eq!(attempts.len(), 3);
        assert!(attempts.iter().all(|a| a.task == Task::Ask));
        destake.ended(attempts[0], &Outcome::Sequence(Some(12)), 1);
        let send = destake.due(1);
        assert_eq!(
            send,
            [Attempt {
                peer: 0,
                task: Task::Send(2)
            }]
        );
        destake.ended(send[0], &Outcome::Gone, 2);
        assert_eq!(destake.standing(), Standing::UnderWay);
        // The second peer has seen the transaction already.
        destake.ended(attempts[1], &Outcome::Sequence(Some(13)), 3);
        let send = destake.due(3);
        destake.ended(send[0], &Outcome::Gone, 4);
        assert_eq!(destake.standing(), Standing::Confirmed);
        assert!(!destake.disarm());
    }

    #[test]
    fn a_peer_that_fails_is_asked_again_ever_later() {
        let mut destake = ready(1, 1);
        destake.begin(false, 0);
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let attempt = destake.due(now)[0];
            destake.ended(attempt, &Outcome::Failed("refused".to_owned()), now);
            assert!(destake.due(now).is_empty());
            let next = destake.next().unwrap();
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits, [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
    }

    #[test]
    fn a_drill_never_sends() {
        let mut destake = ready(3, 2);
        assert!(destake.begin(true, 0));
        for attempt in destake.due(0) {
            assert_eq!(attempt.task, Task::Ask);
            destake.ended(attempt, &Outcome::Sequence(Some(10)), 1);
        }
        assert!(destake.due(100_000).is_empty());
        assert_eq!(destake.standing(), Standing::Confirmed);
        // A real one may take its place.
        assert!(destake.begin(false, 2));
    }

    #[test]
    fn what_is_armed_is_looked_after() {
        let mut destake = ready(2, 2);
        let first = destake.due(0);
        assert_eq!(
            first,
            [Attempt {
                peer: 0,
                task: Task::Ask
            }]
        );
        assert!(destake.due(1).is_empty());
        destake.ended(first[0], &Outcome::Sequence(Some(11)), 5);
        let view = destake.view().unwrap();
        assert_eq!(view.works, Some(true));
        assert!(view.remark.contains("1 of 2"), "{}", view.remark);
        assert_eq!(destake.next(), Some(5 + LOOK));
        let second = destake.due(5 + LOOK);
        assert_eq!(second[0].peer, 1);
        destake.ended(second[0], &Outcome::Sequence(Some(12)), 6 + LOOK);
        let view = destake.view().unwrap();
        assert_eq!(view.works, Some(false));
        assert!(view.remark.contains("arm it again"), "{}", view.remark);
        assert!(destake.disarm());
        assert_eq!(destake.view(), None);
    }

    proptest! {
        #[test]
        fn any_course_of_events_keeps_its_bounds(
            steps in proptest::collection::vec((0u8..6, -2i64..20, 0u64..5_000), 0..300),
            peers in 1usize..8,
            ladder in 1usize..6,
            drill: bool,
        ) {
            let mut destake = ready(peers, ladder);
            destake.begin(drill, 0);
            let mut now = 0;
            let mut open: Vec<Attempt> = Vec::new();
            for (kind, sequence, time) in steps {
                now += time;
                for attempt in destake.due(now) {
                    prop_assert!(!open.iter().any(|o| o.peer == attempt.peer), "two attempts at one peer");
                    if let Task::Send(index) = attempt.task {
                        prop_assert!(!drill && index < ladder);
                    }
                    open.push(attempt);
                }
                prop_assert!(open.len() <= AT_ONCE);
                if let Some(attempt) = open.pop() {
                    let outcome = match (kind, attempt.task) {
                        (0, _) => Outcome::Failed("x".to_owned()),
                        (1, Task::Send(_)) => Outcome::Gone,
                        (2, Task::Send(_)) => Outcome::Still("y".to_owned()),
                        (3, _) => Outcome::Sequence(None),
                        _ => Outcome::Sequence(Some(sequence)),
                    };
                    destake.ended(attempt, &outcome, now);
                }
            }
            prop_assert_eq!(destake.outcomes().len(), peers);
        }
    }
}
