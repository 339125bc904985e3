//! The signer: recognition, rules, rates, the ceiling and counts in one state machine.

use crate::{
    Approval, Ceiling, Identity, Kind, Memory, Rate, Refusal, TokenBucket, authorise, recognise,
};

/// The two clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the epoch; may step.
    pub wall: i64,
    /// Milliseconds of a clock that does not step, from any origin.
    pub steady: u64,
}

/// Most requests of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Orders: a peer asks for at most one each millisecond.
    pub orders: Rate,
    /// Blocks.
    pub blocks: Rate,
    /// Own challenges: one for each connection that is to be verified.
    pub challenges: Rate,
    /// Answers to the challenges of others.
    pub answers: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            orders: Rate::new(2_000, 2_000),
            blocks: Rate::new(2_000, 2_000),
            challenges: Rate::new(100, 1_000),
            answers: Rate::new(100, 1_000),
        }
    }
}

impl Rates {
    /// What the process that asks keeps itself to, half of what the signer allows: requests beyond the signer's rate count as a sign
    /// of compromise, and must not be in the power of strangers who challenge or send beliefs.
    #[must_use]
    pub fn for_asker(&self) -> Self {
        let half = |rate: Rate| Rate::new(rate.per_second / 2, rate.burst / 2);
        Self {
            orders: half(self.orders),
            blocks: half(self.blocks),
            challenges: half(self.challenges),
            answers: half(self.answers),
        }
    }
}

/// What was signed and refused since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    signed: [u64; Kind::ALL.len()],
    refused: [u64; Refusal::ALL.len()],
}

impl Counts {
    /// Approvals of a kind.
    #[must_use]
    pub fn signed(&self, kind: Kind) -> u64 {
        self.signed[kind as usize]
    }

    /// Refusals for a reason.
    #[must_use]
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.refused[reason.index()]
    }
}

/// What to do about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Write this ceiling to the journal, sync it, call [`Signer::recorded`], then submit the request again.
    Record(i64),
    /// Sign it; the signer already counts it as signed.
    Sign(Approval),
    /// Don't.
    Refuse(Refusal),
}

/// Decides what a peer key signs, for one run of the process that holds the key.
///
/// ```
/// use signing::{Decision, Identity, Now, Rates, Refusal, Signer};
///
/// let key = crypto::SigningKey::from_seed(&[7; 32]);
/// let identity = Identity { key: key.account_key(), network: cells::Hash([1; 32]) };
/// let now = Now { wall: 1_735_056_000_000, steady: 0 };
/// let mut signer = Signer::new(identity, None, Rates::default(), now);
///
/// // A challenge to anybody, with a token drawn for it.
/// let Decision::Sign(approval) = signer.submit(&[0x00], [9; 32], now) else { panic!() };
/// let _signature = key.sign(&approval.message(&identity.key));
/// // A transaction.
/// assert_eq!(signer.submit(&[0xd1, 4], [9; 32], now), Decision::Refuse(Refusal::Transaction));
/// ```
#[derive(Debug, Clone)]
pub struct Signer {
    identity: Identity,
    memory: Memory,
    ceiling: Ceiling,
    buckets: [TokenBucket; Kind::ALL.len()],
    counts: Counts,
    locked: bool,
}

impl Signer {
    /// At the start of a run, with the ceiling that the journal holds.
    #[must_use]
    pub fn new(identity: Identity, found: Option<i64>, rates: Rates, now: Now) -> Self {
        let ceiling = Ceiling::start(found, now.wall);
        let bucket = |rate| TokenBucket::new(rate, now.steady);
        Self {
            identity,
            memory: Memory::new(ceiling.floor()),
            ceiling,
            buckets: [rates.orders, rates.blocks, rates.challenges, rates.answers].map(bucket),
            counts: Counts {
                signed: [0; Kind::ALL.len()],
                refused: [0; Refusal::ALL.len()],
            },
            locked: false,
        }
    }

    /// Decides on a request. `token` are 32 random bytes that have never been used before.
    pub fn submit(&mut self, request: &[u8], token: [u8; 32], now: Now) -> Decision {
        match self.decide(request, token, now) {
            Ok(decision) => decision,
            Err(reason) => {
                self.counts.refused[reason.index()] += 1;
                Decision::Refuse(reason)
            }
        }
    }

    fn decide(&mut self, request: &[u8], token: [u8; 32], now: Now) -> Result<Decision, Refusal> {
        if self.locked {
            return Err(Refusal::Locked);
        }
        let request = recognise(request)?;
        let bucket = &mut self.buckets[request.kind() as usize];
        let before = *bucket;
        if !bucket.take(1, now.steady) {
            return Err(Refusal::Rate);
        }
        let approval = authorise(&request, &self.identity, &self.memory, token, now.wall)?;
        let ceiling = |time| self.ceiling.needed(time, now.wall);
        if let Some(ceiling) = approval.time().and_then(ceiling) {
            // Asked again after the sync, which must not cost a second unit.
            *bucket = before;
            return Ok(Decision::Record(ceiling));
        }
        self.memory.signed(&approval);
        self.counts.signed[approval.kind() as usize] += 1;
        Ok(Decision::Sign(approval))
    }

    /// The ceiling to write when there is time, so that no signature has to wait for it.
    #[must_use]
    pub fn extension(&self, now: Now) -> Option<i64> {
        if self.locked {
            return None;
        }
        self.ceiling.extension(now.wall)
    }

    /// Notes that the journal holds `ceiling` and its sync has returned. After a failed write or sync, don't call it: the next
    /// request asks for the write again.
    pub fn recorded(&mut self, ceiling: i64) {
        self.ceiling.recorded(ceiling);
    }

    /// Refuses everything from now on. There is no way back but a new run.
    pub fn lock(&mut self) {
        self.locked = true;
    }

    /// Whether everything is refused.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// What was signed and refused.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The ceiling of this run.
    #[must_use]
    pub fn ceiling(&self) -> &Ceiling {
        &self.ceiling
    }
}
