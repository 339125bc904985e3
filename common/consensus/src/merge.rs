//! The merge of beliefs (`spec/05 §4`), step by step.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use cells::{Cell, CellError, Hash, Index, Keyed, Ref, Signed, Vector};
use crypto::AccountKey;

use crate::belief::{insert, key_of};
use crate::order::covers;
use crate::outcome::{Decision, DropReason, Dropped, MergeError, Outcome};
use crate::prefix::{Hashes, common_prefix, walk};
use crate::vote::{Chain, elect};
use crate::{
    Belief, BeliefEntry, BeliefFault, BlockFault, Electorate, KEEP_PROPOSAL, LEVELS, Order,
    OrderFault, THRESHOLD, check_block,
};

/// What a merge goes by.
pub struct Context<'a> {
    /// The merging peer.
    pub key: AccountKey,
    /// Time of the merge, milliseconds since the epoch.
    pub time: i64,
    /// The peers of its own consensus state.
    pub electorate: &'a Electorate,
    /// Whether the signature of an incoming order is right. Asked only about orders that would enter the belief; for instance
    /// [`Signed::verify`], or a look at a verdict that a batch has set.
    pub verify: &'a dyn Fn(&Signed) -> bool,
}

/// An order of the belief that is being made.
struct Held {
    signed: Signed,
    order: Order,
    chain: usize,
    /// Position in the own belief, as opposed to an incoming one.
    own: bool,
}

/// A chain that orders have, whatever their points.
struct Known {
    blocks: Vector,
    /// Leading blocks in common with the own chain.
    common: u64,
}

struct Merge<'a> {
    context: &'a Context<'a>,
    mine: Order,
    held: HashMap<AccountKey, Held, Keyed>,
    chains: Vec<Known>,
    /// By the hash of the vector.
    chain_of: HashMap<Hash, usize, Keyed>,
    /// Nodes of chains that were found to be in order.
    walked: Hashes,
    orders: Index,
    adopted: Vec<AccountKey>,
    dropped: Vec<Dropped>,
}

/// Merges incoming beliefs into the own one.
///
/// Every order and block of others that can't be used is left aside with a reason; only a failing store, or an own belief that is
/// malformed, ends the merge. Costs depend on the number of orders and of blocks beyond the own chain, not on the length of chains.
///
/// # Errors
/// When the own order is absent or malformed, or data that had been read before can't be.
pub fn merge(
    context: &Context<'_>,
    own: &Belief,
    incoming: &[Belief],
) -> Result<Outcome, MergeError> {
    let mine = own
        .order(&context.key)
        .map_err(MergeError::OwnOrder)?
        .ok_or(MergeError::NoOwnOrder)?;
    if mine.points.len() != LEVELS {
        let fault = OrderFault::Points(mine.points.len() as u64);
        return Err(MergeError::OwnOrder(fault));
    }
    // Orders of others than these play no part, so whatever a belief claims, there is room for no more.
    let voters = context.electorate.voters().len();
    let mut merge = Merge {
        context,
        mine,
        held: HashMap::with_capacity_and_hasher(voters, Keyed::new()),
        chains: Vec::new(),
        chain_of: HashMap::with_capacity_and_hasher(voters, Keyed::new()),
        walked: Hashes::default(),
        orders: own.orders().clone(),
        adopted: Vec::new(),
        dropped: Vec::new(),
    };
    merge.take_own(own)?;
    for belief in incoming {
        merge.collect(belief)?;
    }
    merge.drop_forks()?;
    merge.vote(own)
}

/// Failures of the store end a merge; all else is the fault of the order.
fn fault(error: CellError) -> Result<OrderFault, MergeError> {
    match error {
        CellError::Store { .. } => Err(MergeError::Data(error)),
        other => Ok(OrderFault::Data(other)),
    }
}

impl Merge<'_> {
    /// Reads the own belief. Its orders were verified when they came and are not tested again (`spec/05 §4.2`).
    fn take_own(&mut self, own: &Belief) -> Result<(), MergeError> {
        for entry in own.entries() {
            let BeliefEntry { key, value } = entry.map_err(MergeError::OwnBelief)?;
            let Some(key) = key else {
                return Err(MergeError::OwnBelief(BeliefFault::NotABelief));
            };
            let Cell::Signed(signed) = value else {
                self.drop(key, true, DropReason::Fault(OrderFault::NotAnOrder));
                continue;
            };
            match self.read(&signed)? {
                Ok((order, chain)) => {
                    let own = true;
                    self.held.insert(
                        key,
                        Held {
                            signed,
                            order,
                            chain,
                            own,
                        },
                    );
                }
                Err(fault) if key == self.context.key => return Err(MergeError::OwnOrder(fault)),
                Err(fault) => self.drop(key, true, DropReason::Fault(fault)),
            }
        }
        Ok(())
    }

    fn drop(&mut self, key: AccountKey, held: bool, reason: DropReason) {
        self.dropped.push(Dropped {
            key: Some(key),
            held,
            reason,
        });
    }

    /// The order and its chain, all of which can be read as far as the merge will look.
    fn read(&mut self, signed: &Signed) -> Result<Result<(Order, usize), OrderFault>, MergeError> {
        let order = match signed.value_ref().load() {
            Ok(value) => Order::from_cell(&value),
            Err(error) => Err(OrderFault::Data(error)),
        };
        let order = match order {
            Ok(order) => order,
            Err(OrderFault::Data(error)) => return Ok(Err(fault(error)?)),
            Err(other) => return Ok(Err(other)),
        };
        match self.chain(&order.blocks) {
            Ok(chain) => Ok(Ok((order, chain))),
            Err(error) => Ok(Err(fault(error)?)),
        }
    }

    fn chain(&mut self, blocks: &Vector) -> Result<usize, CellError> {
        // Most peers have the own chain.
        let hash = Cell::from(blocks.clone()).hash();
        if let Some(known) = self.chain_of.get(&hash) {
            return Ok(*known);
        }
        let common = common_prefix(&self.mine.blocks, blocks)?;
        // A fork will be dropped unread: nobody is to make us read all that was ever executed.
        if covers(common, self.mine.point(2)) {
            walk(blocks, common, &mut self.walked, &mut |_| {
                Ok::<(), CellError>(())
            })?;
        }
        self.chains.push(Known {
            blocks: blocks.clone(),
            common,
        });
        self.chain_of.insert(hash, self.chains.len() - 1);
        Ok(self.chains.len() - 1)
    }

    /// Step 1 (`spec/05 §4.2`).
    fn collect(&mut self, belief: &Belief) -> Result<(), MergeError> {
        for entry in belief.entries() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(BeliefFault::Data(error @ CellError::Store { .. })) => {
                    return Err(MergeError::Data(error));
                }
                Err(BeliefFault::Data(error)) => {
                    self.drop_unnamed(OrderFault::Data(error));
                    break;
                }
                Err(BeliefFault::NotABelief | BeliefFault::Unordered) => {
                    self.drop_unnamed(OrderFault::NotAnOrder);
                    break;
                }
            };
            let Some(key) = entry.key else {
                self.dropped.push(Dropped {
                    key: None,
                    held: false,
                    reason: DropReason::Unregistered,
                });
                continue;
            };
            if let Err(reason) = self.offer(&key, &entry.value)? {
                self.drop(key, false, reason);
            }
        }
        Ok(())
    }

    fn drop_unnamed(&mut self, fault: OrderFault) {
        self.dropped.push(Dropped {
            key: None,
            held: false,
            reason: DropReason::Fault(fault),
        });
    }

    /// One incoming entry; the error is why it plays no part. One that is merely not newer is none.
    fn offer(
        &mut self,
        key: &AccountKey,
        value: &Cell,
    ) -> Result<Result<(), DropReason>, MergeError> {
        let Cell::Signed(signed) = value else {
            return Ok(Err(DropReason::Fault(OrderFault::NotAnOrder)));
        };
        let held = self.held.get(key);
        if held.is_some_and(|held| Cell::from(held.signed.clone()) == *value) {
            return Ok(Ok(()));
        }
        match self.context.electorate.voter(key) {
            None => return Ok(Err(DropReason::Unregistered)),
            Some(peer) if !peer.is_staked() => return Ok(Err(DropReason::Understaked)),
            Some(_) => {}
        }
        // Intake files orders under their signer, so that nobody votes in the name of others.
        if signed.key() != Some(key) {
            return Ok(Err(DropReason::WrongKey));
        }
        let (order, chain) = match self.read(signed)? {
            Ok(read) => read,
            Err(fault) => return Ok(Err(DropReason::Fault(fault))),
        };
        if order.timestamp > self.context.time {
            return Ok(Err(DropReason::Future(order.timestamp)));
        }
        if let Some(held) = self.held.get(key) {
            match order.replaces(&held.order) {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(())),
                Err(fault) => return Ok(Err(DropReason::Fault(fault))),
            }
        }
        // The own order may be replaced by a newer one of an earlier run, but the own belief never loses it.
        let (common, consensus) = (self.chains[chain].common, self.mine.point(2));
        if *key == self.context.key && !covers(common, consensus) {
            return Ok(Err(DropReason::Conflict { common, consensus }));
        }
        if !(self.context.verify)(signed) {
            return Ok(Err(DropReason::BadSignature));
        }
        self.orders = insert(
            std::mem::replace(&mut self.orders, Index::empty()),
            key,
            signed.clone(),
        )?;
        self.adopted.push(*key);
        self.held.insert(
            *key,
            Held {
                signed: signed.clone(),
                order,
                chain,
                own: false,
            },
        );
        Ok(Ok(()))
    }

    /// Step 2 (`spec/05 §4.3`).
    fn drop_forks(&mut self) -> Result<(), MergeError> {
        let consensus = self.mine.point(2);
        let consistent = |held: &Held| covers(self.chains[held.chain].common, consensus);
        let unread = self.orders.count() != self.held.len() as u64;
        if !unread && self.held.values().all(consistent) {
            return Ok(());
        }
        let keep: Hashes = self
            .held
            .values()
            .filter(|held| consistent(held))
            .map(|held| Cell::from(held.signed.clone()).hash())
            .collect();
        let mut keep_value = |value: &Cell| Ok::<bool, CellError>(keep.contains(&value.hash()));
        self.orders = self.orders.filter_values(&mut keep_value)?;
        let kept: HashSet<AccountKey> = self
            .orders
            .iter()
            .map(|entry| Ok(key_of(&entry?.0)))
            .filter_map(Result::transpose)
            .collect::<Result<_, CellError>>()?;
        let mut left: Vec<AccountKey> = self.held.keys().copied().collect();
        left.retain(|key| !kept.contains(key));
        left.sort_unstable();
        for key in left {
            if let Some(held) = self.held.remove(&key) {
                let common = self.chains[held.chain].common;
                self.drop(key, held.own, DropReason::Conflict { common, consensus });
            }
        }
        self.adopted.retain(|key| kept.contains(key));
        Ok(())
    }

    /// Steps 3 to 7 (`spec/05 §4.4`–`§4.8`).
    fn vote(self, own: &Belief) -> Result<Outcome, MergeError> {
        let count = Count::of(&self);
        let mut outcome = Outcome {
            key: self.context.key,
            before: own.clone(),
            orders: self.orders.clone(),
            to_sign: None,
            decision: Decision::NoVote,
            adopted: Vec::new(),
            dropped: Vec::new(),
            chain: 0,
            appended: Vec::new(),
            refused: Vec::new(),
            considered: count.considered,
            total: self.context.electorate.total(),
        };
        let consensus = u64::try_from(self.mine.point(2)).unwrap_or(0);
        let Some(winner) = elect(&count.chains, count.considered, consensus)? else {
            outcome.orders = own.orders().clone();
            outcome.dropped = self.dropped;
            return Ok(outcome);
        };
        let base = &count.chains[winner].blocks;
        outcome.chain = base.count();
        let mut common = Vec::with_capacity(count.chains.len());
        for chain in &count.chains {
            common.push(common_prefix(base, &chain.blocks)?);
        }
        let chain = self.append_new(&count, base, &common, consensus, &mut outcome)?;
        for (common, other) in common.iter_mut().zip(&count.chains) {
            // Only a chain that has all of the winner's blocks can have more in common with what they became.
            if *common == base.count() {
                *common = common_prefix(&chain, &other.blocks)?;
            }
        }
        let order = self.raise_levels(&count, &common, chain);
        self.adopt(order, &mut outcome)?;
        outcome.adopted = self.adopted;
        outcome.dropped = self.dropped;
        Ok(outcome)
    }

    /// Step 5 (`spec/05 §4.6`): blocks of losing chains behind the winning one, by time.
    fn append_new(
        &self,
        count: &Count<'_>,
        base: &Vector,
        common: &[u64],
        consensus: u64,
        outcome: &mut Outcome,
    ) -> Result<Vector, MergeError> {
        let mut candidates: Vec<Ref> = Vec::with_capacity(count.chains.len());
        let mut met = Hashes::with_capacity_and_hasher(count.chains.len(), Keyed::new());
        let mut seen = Hashes::default();
        for (chain, common) in count.chains.iter().zip(common) {
            let from = consensus.max(*common);
            walk(&chain.blocks, from, &mut seen, &mut |r| {
                if met.insert(r.hash()) {
                    candidates.push(r.clone());
                }
                Ok::<(), CellError>(())
            })?;
        }
        if candidates.is_empty() {
            return Ok(base.clone());
        }
        let mut present = Hashes::default();
        let from = base.count().min(consensus);
        walk(base, from, &mut Hashes::default(), &mut |r| {
            present.insert(r.hash());
            Ok::<(), CellError>(())
        })?;
        let mut new = Vec::new();
        for candidate in candidates {
            let hash = candidate.hash();
            if present.contains(&hash) {
                continue;
            }
            match self.admit(&candidate) {
                Ok(time) => new.push((time, hash, candidate)),
                Err(BlockFault::Data(error @ CellError::Store { .. })) => {
                    return Err(MergeError::Data(error));
                }
                Err(fault) => outcome.refused.push((hash, fault)),
            }
        }
        new.sort_by_key(|(time, ..)| *time);
        outcome.appended = new.iter().map(|(_, hash, _)| *hash).collect();
        let new = Vector::from_refs(new.into_iter().map(|(_, _, block)| block));
        Ok(base.clone().concat(&new)?)
    }

    /// The time of a block that may be appended.
    fn admit(&self, block: &Ref) -> Result<i64, BlockFault> {
        match &*block.load()? {
            Cell::Signed(signed) => {
                check_block(self.context.electorate, signed).map(|b| b.timestamp)
            }
            _ => Err(BlockFault::NotABlock),
        }
    }

    /// Step 6 (`spec/05 §4.7`): each level is where more than 0.67 of all weight agree at least.
    /// `common` is what each chain has in common with the new one.
    fn raise_levels(&self, count: &Count<'_>, common: &[u64], chain: Vector) -> Order {
        let mut order = self.mine.clone().with_blocks(chain);
        let limit = self.context.electorate.total() * THRESHOLD;
        for level in 1..LEVELS {
            let below = order.point(level - 1);
            let mut matches: Vec<(i64, f64)> = count
                .staked
                .iter()
                .map(|staked| {
                    let supported = below.min(staked.order.point(level - 1));
                    (covered(common[staked.chain]).min(supported), staked.weight)
                })
                .collect();
            matches.sort_by_key(|(matched, _)| Reverse(*matched));
            let mut sum = 0.0;
            for (matched, weight) in matches {
                sum += weight;
                if sum > limit {
                    order.points[level] = matched;
                    break;
                }
            }
        }
        order
    }

    /// Step 7 (`spec/05 §4.8`).
    fn adopt(&self, mut order: Order, outcome: &mut Outcome) -> Result<(), MergeError> {
        outcome.decision = if order.same_consensus(&self.mine) {
            Decision::Unchanged
        } else if covers(
            common_prefix(&order.blocks, &self.mine.blocks)?,
            self.mine.point(1),
        ) {
            Decision::Advanced
        } else if self.context.time > self.mine.timestamp.saturating_add(KEEP_PROPOSAL) {
            Decision::Switched
        } else {
            Decision::Held
        };
        if matches!(outcome.decision, Decision::Advanced | Decision::Switched) {
            order.timestamp = self.context.time;
            outcome.to_sign = Some(order);
        }
        Ok(())
    }
}

/// A number of blocks as a point.
fn covered(common: u64) -> i64 {
    i64::try_from(common).unwrap_or(i64::MAX)
}

/// The orders that vote (`spec/05 §4.4`).
struct Count<'a> {
    /// Equal orders together.
    staked: Vec<Staked<'a>>,
    /// Distinct chains with their weight, by the hash of the vector: the reference's order is arbitrary (`spec/05 §4.8`).
    chains: Vec<Chain>,
    considered: f64,
}

struct Staked<'a> {
    order: &'a Order,
    /// In [`Count::chains`].
    chain: usize,
    weight: f64,
}

impl<'a> Count<'a> {
    fn of(merge: &'a Merge<'_>) -> Self {
        let mut held: Vec<(&AccountKey, &Held)> = merge.held.iter().collect();
        held.sort_unstable_by_key(|(key, _)| **key);
        let mut staked: Vec<(Hash, &Order, usize, f64)> = Vec::new();
        let mut at: HashMap<Hash, usize, Keyed> =
            HashMap::with_capacity_and_hasher(held.len(), Keyed::new());
        let mut considered = 0.0;
        for (_, held) in held {
            let weight = held
                .signed
                .key()
                .map_or(0.0, |key| merge.context.electorate.weight(key));
            if weight == 0.0 {
                continue;
            }
            let hash = held.signed.value_ref().hash();
            let i = *at.entry(hash).or_insert_with(|| {
                staked.push((hash, &held.order, held.chain, 0.0));
                staked.len() - 1
            });
            staked[i].3 += weight;
            considered += weight;
        }
        let mut used: Vec<(Hash, usize)> = merge
            .chain_of
            .iter()
            .map(|(hash, chain)| (*hash, *chain))
            .collect();
        used.sort_unstable();
        let mut position = vec![usize::MAX; merge.chains.len()];
        let mut weights = vec![None; merge.chains.len()];
        for (_, _, chain, weight) in &staked {
            *weights[*chain].get_or_insert(0.0) += *weight;
        }
        let mut chains = Vec::new();
        for (_, chain) in used {
            if let Some(weight) = weights[chain] {
                position[chain] = chains.len();
                chains.push(Chain {
                    blocks: merge.chains[chain].blocks.clone(),
                    common: merge.chains[chain].common,
                    weight,
                });
            }
        }
        let staked = staked
            .into_iter()
            .map(|(_, order, chain, weight)| Staked {
                order,
                chain: position[chain],
                weight,
            })
            .collect();
        Self {
            staked,
            chains,
            considered,
        }
    }
}
