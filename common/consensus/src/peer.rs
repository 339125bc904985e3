//! One peer between its rounds: its belief, what it may show others, and how far it has executed (`spec/05 §7`, `§8`).

use std::ops::Range;
use std::sync::Arc;

use cells::{Cell, CellError, Ref, Signed, Vector, Verdict};
use crypto::{AccountKey, Signature};
use cvm::state::Block;

use crate::belief::key_cell;
use crate::prefix::common_prefix;
use crate::{
    Belief, Context, Decision, Electorate, Intake, LEVELS, MergeError, Order, OrderFault, Outcome,
    ProgressError, executable, joining_order, merge, propose,
};

/// The part of a peer that takes part in consensus, without clock, key, network or store.
#[derive(Clone)]
pub struct Peer {
    key: AccountKey,
    electorate: Arc<Electorate>,
    belief: Belief,
    order: Order,
    /// The own order as it was last signed.
    published: Option<Signed>,
    /// A chain that begins with the executed blocks.
    settled: Vector,
    position: u64,
    last_block: Option<i64>,
    /// Another merge without anything new would change nothing.
    resting: bool,
    rounds: u64,
}

/// What a round takes in.
#[derive(Clone, Default)]
pub struct Input {
    /// From [`Intake::finish`].
    pub incoming: Option<Belief>,
    /// Own signed blocks to publish, stored before the order that names them is signed.
    pub blocks: Vec<Signed>,
    /// Sign the order with the time of the round even when only blocks are appended, or nothing changed. Needed for the first order, and
    /// for the next one after the signer started anew or did not answer: it may not know the order that this one would append to.
    pub fresh: bool,
}

/// A round on its way to the signer.
#[derive(Debug, Clone)]
pub struct Round {
    number: u64,
    /// What it was voted with.
    electorate: Arc<Electorate>,
    /// The belief with the orders of others as merged and the own one as it was.
    belief: Belief,
    /// The same after the merges that followed; what is signed takes the place of its own order.
    settled: Option<Belief>,
    outcome: Option<Outcome>,
    order: Option<Order>,
    appended_from: u64,
    switched: bool,
    /// Another merge without anything new would change nothing, once the order is the own one.
    resting: bool,
}

impl Round {
    /// The own order to sign, with new blocks appended; `None` when it stays as it is.
    #[must_use]
    pub fn to_sign(&self) -> Option<&Order> {
        self.order.as_ref()
    }

    /// Number of leading blocks of [`Round::to_sign`] that the order signed before has as well, when its time is the same: what the
    /// signer need not be told again.
    #[must_use]
    pub fn appended_from(&self) -> u64 {
        self.appended_from
    }

    fn take_decision(&mut self, outcome: &Outcome) {
        let still = matches!(outcome.decision, Decision::Unchanged | Decision::NoVote);
        self.resting = still && outcome.missing().is_empty();
        self.switched |= outcome.decision == Decision::Switched;
    }

    /// Merges what there is until the own order stays as it is. Each merge but the last raises a point of it, so they are few.
    fn settle(&mut self, context: &Context<'_>) -> Result<(), MergeError> {
        for _ in 0..=LEVELS {
            let Some(order) = &self.order else {
                return Ok(());
            };
            let own = unsigned(&context.key, order);
            let belief = self.settled.as_ref().unwrap_or(&self.belief);
            let belief = place(belief, &context.key, own)?;
            let outcome = merge(context, &belief, &[])?;
            self.take_decision(&outcome);
            let next = outcome.to_sign.clone();
            self.settled = Some(outcome.unsigned());
            if next.is_none() {
                return Ok(());
            }
            self.order = next;
        }
        self.resting = false;
        Ok(())
    }

    /// What the merge of the input did, with reasons; `None` when there was nothing to merge.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// True when another chain took the place of the own proposal.
    #[must_use]
    pub fn switched(&self) -> bool {
        self.switched
    }
}

/// What came of the request to sign.
#[derive(Clone)]
pub enum Answer {
    /// [`Round::to_sign`] with the signature of the own key.
    Signed(Signed),
    /// None was asked for, or the signer refused: the own order stays as it was, and own blocks are not in it.
    None,
    /// There is no signer now: go on as if it had been signed, unseen by others. To them it is as if all our messages were lost.
    Follow,
}

/// What a round changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The own order has other points or blocks: tell others at once (`spec/05 §10`).
    pub own_changed: bool,
    /// The belief changed: it is to be stored.
    pub changed: bool,
}

/// Blocks that may be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// The chain.
    pub chain: Vector,
    /// Numbers of its blocks to execute.
    pub range: Range<u64>,
}

impl Executable {
    /// The blocks.
    pub fn blocks(&self) -> impl Iterator<Item = Result<Ref, CellError>> + use<> {
        let count = self.range.end.saturating_sub(self.range.start);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.chain.iter_refs_from(self.range.start).take(count)
    }
}

impl Peer {
    /// A peer that begins with a network: it knows nothing but the peers of the genesis state (`spec/05 §14.1`).
    #[must_use]
    pub fn new(key: AccountKey, electorate: Arc<Electorate>) -> Self {
        Self {
            key,
            electorate,
            belief: Belief::empty(),
            order: Order::empty(),
            published: None,
            settled: Vector::empty(),
            position: 0,
            last_block: None,
            resting: false,
            rounds: 0,
        }
    }

    /// A peer that joins by the belief of another one, whose order it makes its own (`spec/05 §14.2` step 7). It is still at genesis, and
    /// what that order has as final is executable. The own order counts from its first signature on, which [`Input::fresh`] demands.
    ///
    /// # Errors
    /// When the remote order is malformed or can't be read.
    pub fn joining(
        key: AccountKey,
        electorate: Arc<Electorate>,
        remote: &Belief,
        remote_key: &AccountKey,
    ) -> Result<Self, OrderFault> {
        let mut peer = Self::new(key, electorate);
        let mut order = joining_order(remote, remote_key)?;
        // The clock of the other peer may be ahead of ours.
        order.timestamp = 0;
        peer.belief = place(remote, &key, unsigned(&key, &order))?;
        peer.order = order;
        Ok(peer)
    }

    /// A peer as it was when it stopped: its belief, and a chain of which the first `position` blocks are executed.
    ///
    /// # Errors
    /// When the belief has no own order or a malformed one.
    pub fn restored(
        key: AccountKey,
        electorate: Arc<Electorate>,
        belief: Belief,
        settled: Vector,
        position: u64,
    ) -> Result<Self, MergeError> {
        let order = belief
            .order(&key)
            .map_err(MergeError::OwnOrder)?
            .ok_or(MergeError::NoOwnOrder)?;
        order.check().map_err(MergeError::OwnOrder)?;
        let own = belief.signed_order(&key)?;
        Ok(Self {
            published: own.filter(|own| own.key() == Some(&key) && own.verify()),
            belief,
            order,
            settled,
            position,
            ..Self::new(key, electorate)
        })
    }

    /// The own key.
    #[must_use]
    pub fn key(&self) -> &AccountKey {
        &self.key
    }

    /// The peers of the state after [`Peer::position`] blocks.
    #[must_use]
    pub fn electorate(&self) -> &Arc<Electorate> {
        &self.electorate
    }

    /// The own order, signed or not.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Number of executed blocks.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The belief to store. Its own order may be one that nobody signed; then the signature is all zeros.
    #[must_use]
    pub fn belief(&self) -> &Belief {
        &self.belief
    }

    /// The belief to show to others: with the own order as last signed, or without one.
    ///
    /// # Errors
    /// When a node of the belief can't be read.
    pub fn public_belief(&self) -> Result<Belief, CellError> {
        let Some(published) = &self.published else {
            let others = self.belief.orders().clone().dissoc(&key_cell(&self.key))?;
            return Ok(Belief::new(others));
        };
        match self.belief.signed_order(&self.key)? {
            Some(own) if own.signature() == published.signature() => Ok(self.belief.clone()),
            _ => place(&self.belief, &self.key, published.clone()),
        }
    }

    /// Begins to take in messages at time `now`, in milliseconds since the epoch.
    #[must_use]
    pub fn intake(&self, now: i64) -> Intake<'_> {
        Intake::of_order(
            self.key,
            now,
            &self.electorate,
            &self.belief,
            self.order.clone(),
        )
    }

    /// The blocks to sign and store for these transactions at `now`: cut and timed as the rules say (`spec/05 §11`). None when this peer
    /// may not publish.
    #[must_use]
    pub fn blocks(&self, now: i64, transactions: &[Signed]) -> Vec<Block> {
        if !propose::is_ready(&self.electorate, &self.key) {
            return Vec::new();
        }
        let time = propose::block_time(&self.electorate, &self.key, self.last_block, now);
        propose::blocks(time, transactions)
    }

    /// True when [`Peer::round`] would change nothing without input: the loop may sleep until something comes, the electorate changes or
    /// a broadcast is due.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        self.resting
    }

    /// Merges, puts own blocks behind the outcome, and merges again until nothing changes, all at time `now`.
    ///
    /// A merge raises an own point by one level at most, and its order counts in the next one. What is signed is the order after the last
    /// merge: to others it is as if they had not heard of those between, which each peer is free to sign or not. So a peer that needs nobody
    /// else signs once for a block, not once for each level.
    ///
    /// The own order never gets the time of an earlier one with other content: at a `now` that is not later than the own order, the merge
    /// waits and says [`Decision::Early`].
    ///
    /// # Errors
    /// When data that was there before can't be read. The peer is as before, and the round can be tried again.
    pub fn round(&self, now: i64, input: Input) -> Result<Round, MergeError> {
        let mut round = Round {
            number: self.rounds,
            electorate: self.electorate.clone(),
            belief: self.with_own()?,
            settled: None,
            outcome: None,
            order: None,
            appended_from: 0,
            switched: false,
            resting: self.resting,
        };
        let late_enough = now > self.order.timestamp;
        let context = Context {
            key: self.key,
            time: now,
            electorate: &self.electorate,
            verify: &|signed| signed.verdict() == Verdict::Good,
        };
        if !self.resting || input.incoming.is_some() {
            let mut outcome = merge(&context, &round.belief, input.incoming.as_slice())?;
            if outcome.to_sign.is_some() && !late_enough {
                outcome.to_sign = None;
                outcome.decision = Decision::Early;
            }
            round.take_decision(&outcome);
            round.order = outcome.to_sign.clone();
            round.belief = outcome.clone().unsigned();
            round.outcome = Some(outcome);
        }
        if !input.blocks.is_empty() {
            let order = round.order.as_ref().unwrap_or(&self.order);
            round.order = Some(order.append(&input.blocks)?);
        }
        if input.fresh && late_enough {
            let order = round.order.get_or_insert_with(|| self.order.clone());
            order.timestamp = now;
        }
        if late_enough {
            round.settle(&context)?;
        } else {
            round.resting &= round.order.is_none();
        }
        if let Some(order) = &round.order {
            round.appended_from = if order.timestamp == self.order.timestamp {
                self.order.blocks.count()
            } else {
                order.blocks.count()
            };
        }
        Ok(round)
    }

    /// The belief as the merge wants it: with an own order.
    fn with_own(&self) -> Result<Belief, CellError> {
        if self.belief.orders().get(&key_cell(&self.key))?.is_some() {
            return Ok(self.belief.clone());
        }
        place(&self.belief, &self.key, unsigned(&self.key, &self.order))
    }

    /// Ends a round.
    ///
    /// # Errors
    /// [`MergeError::WrongSignature`] when something else was signed, or by another key; the signature itself is not checked.
    /// [`MergeError::Stale`] when another round ended meanwhile. The peer is as before.
    pub fn complete(&mut self, round: Round, answer: Answer) -> Result<Step, MergeError> {
        if round.number != self.rounds {
            return Err(MergeError::Stale);
        }
        let mut taken = round.order.is_none();
        let mut published = None;
        let settled = round.settled.as_ref().unwrap_or(&round.belief);
        let (belief, order) = match (round.order, answer) {
            (Some(order), Answer::Signed(signed)) => {
                let right = signed.key() == Some(&self.key)
                    && signed.value_ref().hash() == order.to_cell().hash();
                if !right {
                    return Err(MergeError::WrongSignature);
                }
                let belief = place(settled, &self.key, signed.clone())?;
                published = Some(signed);
                taken = true;
                (belief, Some(order))
            }
            (Some(order), Answer::Follow) => {
                let own = unsigned(&self.key, &order);
                taken = true;
                (place(settled, &self.key, own)?, Some(order))
            }
            (None, Answer::Signed(_)) => return Err(MergeError::WrongSignature),
            (_, Answer::None | Answer::Follow) => (round.belief, None),
        };
        let mut step = Step {
            own_changed: false,
            changed: belief != self.belief,
        };
        if let Some(order) = order {
            step.own_changed = !order.same_consensus(&self.order);
            // Nothing changes before everything that may fail is done.
            self.last_block = self.latest_own_block(&order)?;
            self.order = order;
        }
        self.published = published.or(self.published.take());
        let same_voters = Arc::ptr_eq(&round.electorate, &self.electorate);
        self.resting = round.resting && taken && same_voters;
        self.belief = belief;
        self.rounds += 1;
        Ok(step)
    }

    /// The time of the latest own block, with those of a new order: own blocks are not to go back in time (`spec/05 §20` number 14).
    fn latest_own_block(&self, order: &Order) -> Result<Option<i64>, CellError> {
        let mut latest = self.last_block;
        let common = common_prefix(&self.order.blocks, &order.blocks)?;
        for block in order.blocks.iter_refs_from(common) {
            let block = block?;
            if let Ok(loaded) = block.load()
                && let Cell::Signed(signed) = &*loaded
                && signed.key() == Some(&self.key)
                && let Ok(value) = signed.value_ref().load()
                && let Ok(block) = Block::from_cell(&value)
            {
                latest = latest.max(Some(block.timestamp));
            }
        }
        Ok(latest)
    }

    /// The blocks to execute now: an empty range when there are none.
    ///
    /// # Errors
    /// [`ProgressError::Fork`], which is fatal for the peer.
    pub fn executable(&self) -> Result<Executable, ProgressError> {
        Ok(Executable {
            range: executable(&self.order, &self.settled, self.position)?,
            chain: self.order.blocks.clone(),
        })
    }

    /// Notes that the first `position` blocks of `chain`, from [`Peer::executable`], are executed, with the peers of the state after them.
    ///
    /// # Errors
    /// [`ProgressError::Fork`] when the chain lacks blocks that were executed before, or has fewer than `position`.
    pub fn executed(
        &mut self,
        chain: Vector,
        position: u64,
        electorate: Arc<Electorate>,
    ) -> Result<(), ProgressError> {
        let common = common_prefix(&chain, &self.settled)?;
        if common < self.position || position < self.position || position > chain.count() {
            let position = position.max(self.position);
            return Err(ProgressError::Fork { common, position });
        }
        self.settled = chain;
        self.position = position;
        self.electorate = electorate;
        self.resting = false;
        Ok(())
    }
}

fn place(belief: &Belief, key: &AccountKey, signed: Signed) -> Result<Belief, CellError> {
    belief.clone().with_order(key, signed)
}

/// An order in the place of a signed one, for the own eyes only.
fn unsigned(key: &AccountKey, order: &Order) -> Signed {
    let signed = Signed::new(*key, Signature::new([0; 64]), order.to_cell());
    signed.set_verdict(Verdict::Bad);
    signed
}
