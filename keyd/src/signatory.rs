//! A request in, an answer out: the rules of `signing`, the key, the journal.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cells::Hash;
use crypto::{AccountKey, SigningKey};
use ipc::key::Answer;
use keys::Locked;
use signing::{Approval, Counts, Decision, Identity, Kind, Now, Rates, Refusal, Signer};

use crate::Failure;
use crate::journal::Journal;

/// Milliseconds after a signature of an order or block during which the ceiling is raised ahead of need. A peer at rest writes nothing.
const BUSY: u64 = 1_000;

/// The clocks of the system.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            // Before 1970 nothing can be signed anyway: zero is under every floor.
            wall: wall.map_or(0, |since| {
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }),
            steady: u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Notices that the wall clock stepped: nothing is signed until it has passed the times that were signed before a step back, and others
/// drop what is signed after a step forward.
#[derive(Debug)]
pub struct StepWatch {
    /// Wall time less steady time.
    offset: i64,
}

impl StepWatch {
    /// Milliseconds that are no step: a clock that is being slewed, a process that waited between reading the two clocks.
    const TOLERANCE: i64 = 2_000;

    /// From now on.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self {
            offset: Self::offset(now),
        }
    }

    /// By how many milliseconds the clock stepped since the last step that was told, if it did.
    pub fn stepped(&mut self, now: Now) -> Option<i64> {
        let offset = Self::offset(now);
        let step = offset.saturating_sub(self.offset);
        (step.saturating_abs() > Self::TOLERANCE).then(|| {
            self.offset = offset;
            step
        })
    }

    fn offset(now: Now) -> i64 {
        now.wall.saturating_sub_unsigned(now.steady)
    }
}

/// Decides and signs.
#[derive(Debug)]
pub struct Signatory {
    identity: Identity,
    signer: Signer,
    journal: Journal,
    key: Option<Locked<SigningKey>>,
    busy_until: u64,
}

impl Signatory {
    /// Without a key, so that every answer is [`Answer::Locked`] until [`Signatory::unlock`].
    #[must_use]
    pub fn new(key: AccountKey, network: [u8; 32], journal: Journal, now: Now) -> Self {
        let identity = Identity {
            key,
            network: Hash(network),
        };
        Self {
            identity,
            signer: Signer::new(identity, journal.ceiling(), Rates::default(), now),
            journal,
            key: None,
            busy_until: 0,
        }
    }

    /// Takes the key. After [`Signatory::lock`] it changes nothing.
    ///
    /// # Panics
    /// When it is the key of somebody else: whoever unlocks has compared it.
    pub fn unlock(&mut self, key: Locked<SigningKey>) {
        assert_eq!(key.account_key(), self.identity.key, "the key of this peer");
        if !self.signer.is_locked() {
            self.key = Some(key);
        }
    }

    /// Refuses everything from now on, and erases the key. Nothing undoes it but a new process.
    pub fn lock(&mut self) {
        self.signer.lock();
        self.key = None;
    }

    /// True when nothing is signed: no key yet, or by order.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.key.is_none()
    }

    /// True when no key can change that.
    #[must_use]
    pub fn is_locked_for_good(&self) -> bool {
        self.signer.is_locked()
    }

    /// Answers a request, with the refusal when it is one.
    ///
    /// # Errors
    /// When the journal can't be written or there are no random numbers. Nothing was signed then, and nothing can be.
    pub fn answer(
        &mut self,
        request: &[u8],
        now: Now,
    ) -> Result<(Answer, Option<Refusal>), Failure> {
        let Some(key) = &self.key else {
            return Ok((Answer::Locked, None));
        };
        let mut token = [0; 32];
        getrandom::fill(&mut token)?;
        loop {
            match self.signer.submit(request, token, now) {
                // Once: the ceiling then covers every time that is not refused.
                Decision::Record(ceiling) => {
                    self.journal.record(ceiling)?;
                    self.signer.recorded(ceiling);
                }
                Decision::Sign(approval) => {
                    if approval.time().is_some() {
                        self.busy_until = now.steady + BUSY;
                    }
                    return Ok((sign(key, &approval), None));
                }
                Decision::Refuse(Refusal::Locked) => return Ok((Answer::Locked, None)),
                Decision::Refuse(refusal) => {
                    let reason = refusal.name().to_owned();
                    return Ok((Answer::Refused { reason }, Some(refusal)));
                }
            }
        }
    }

    /// Raises the ceiling ahead of need, when there is time and something was signed lately.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn extend(&mut self, now: Now) -> Result<(), Failure> {
        if let Some(ceiling) = self.signer.extension(now).filter(|_| self.is_busy(now)) {
            self.journal.record(ceiling)?;
            self.signer.recorded(ceiling);
        }
        Ok(())
    }

    /// True when [`Signatory::extend`] should be called every now and then.
    #[must_use]
    pub fn is_busy(&self, now: Now) -> bool {
        !self.is_locked() && now.steady < self.busy_until
    }

    /// What was signed and refused.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        self.signer.counts()
    }

    /// The ceiling on disk, milliseconds since the epoch; zero in a new journal.
    #[must_use]
    pub fn ceiling(&self) -> i64 {
        self.journal.ceiling().unwrap_or(0)
    }
}

fn sign(key: &SigningKey, approval: &Approval) -> Answer {
    let signature = key.sign(&approval.message(&key.account_key()));
    let value = match approval.kind() {
        // With the token that was drawn here.
        Kind::Challenge => approval.value().encode(),
        Kind::Order | Kind::Block | Kind::Answer => Vec::new(),
    };
    Answer::Signed {
        signature: serde_bytes::ByteArray::new(signature.to_bytes()),
        value: value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_clock_is_told_once_and_a_drift_never() {
        let now = |wall, steady| Now { wall, steady };
        let mut watch = StepWatch::new(now(1_000_000, 50));
        assert_eq!(watch.stepped(now(1_500_000, 500_050)), None);
        assert_eq!(watch.stepped(now(1_502_000, 500_050)), None);
        assert_eq!(watch.stepped(now(1_600_000, 500_060)), Some(99_990));
        assert_eq!(watch.stepped(now(1_600_100, 500_160)), None);
        assert_eq!(watch.stepped(now(1_500_100, 500_160)), Some(-100_000));
    }
}
