//! The election of a chain among those of the staked orders (`spec/05 §4.5`).

use std::collections::HashMap;

use cells::{CellError, Hash, Keyed, Vector};

use crate::prefix::common_prefix;

/// A chain of blocks with the weight of all orders that have it.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) blocks: Vector,
    /// Leading blocks that it has in common with one chain, the same for all chains of an election.
    pub(crate) common: u64,
    pub(crate) weight: f64,
}

/// Index of the winning chain, from block number `from` on. `considered` is the weight of all together.
///
/// The rule goes block by block. Rounds that change nothing are skipped as far as the chains agree, so the cost depends on the
/// number of chains and not on their length.
pub(crate) fn elect(
    chains: &[Chain],
    considered: f64,
    from: u64,
) -> Result<Option<usize>, CellError> {
    let mut alive: Vec<usize> = (0..chains.len()).collect();
    let mut total = considered;
    let mut position = from;
    while alive.len() > 1 {
        let Some(round) = hold(chains, &alive, total, position)? else {
            break;
        };
        match round {
            Round::Majority(i) => return Ok(Some(i)),
            Round::Winner { voters, votes } => {
                let settled = voters.len() == alive.len() && votes.to_bits() == total.to_bits();
                alive = voters;
                total = votes;
                position += 1;
                if settled {
                    position = position.max(agreement(chains, &alive, position)?);
                }
            }
        }
    }
    Ok(alive.first().copied())
}

enum Round {
    /// One chain has more than half of the weight.
    Majority(usize),
    /// The chains that have the winning block, and their weight.
    Winner { voters: Vec<usize>, votes: f64 },
}

/// One round; `None` when no chain is long enough.
fn hold(
    chains: &[Chain],
    alive: &[usize],
    total: f64,
    position: u64,
) -> Result<Option<Round>, CellError> {
    let mut votes: HashMap<Hash, f64, Keyed> = HashMap::default();
    let mut cast: Vec<(usize, Hash)> = Vec::with_capacity(alive.len());
    for &i in alive {
        let chain = &chains[i];
        // A chain that has ended can't win this round, and does not hold back others.
        let Some(block) = chain.blocks.get_ref(position)? else {
            continue;
        };
        if chain.weight > total * 0.5 {
            return Ok(Some(Round::Majority(i)));
        }
        let block = block.hash();
        *votes.entry(block).or_default() += chain.weight;
        cast.push((i, block));
    }
    // Of equal votes the lowest hash wins.
    let winner = votes
        .into_iter()
        .max_by(|(hash_a, a), (hash_b, b)| a.total_cmp(b).then(hash_b.cmp(hash_a)));
    Ok(winner.map(|(winner, votes)| {
        cast.retain(|(_, block)| *block == winner);
        let voters = cast.into_iter().map(|(i, _)| i).collect();
        Round::Winner { voters, votes }
    }))
}

/// Number of blocks that all of these chains have in common; of fewer than that when it is known to be more than `enough`.
fn agreement(chains: &[Chain], alive: &[usize], enough: u64) -> Result<u64, CellError> {
    let Some((&first, others)) = alive.split_first() else {
        return Ok(0);
    };
    // What all have in common with one more chain, they have in common with each other.
    let known = alive.iter().map(|&i| chains[i].common).min().unwrap_or(0);
    if known > enough {
        return Ok(known);
    }
    let mut common = chains[first].blocks.count();
    for &i in others {
        common = common.min(common_prefix(&chains[first].blocks, &chains[i].blocks)?);
    }
    Ok(common)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::Cell;

    fn chain(blocks: &[i64], weight: f64) -> Chain {
        Chain {
            blocks: blocks.iter().map(|n| Cell::Long(*n)).collect(),
            common: 0,
            weight,
        }
    }

    fn winner(chains: &[Chain], from: u64) -> usize {
        let considered = chains.iter().map(|c| c.weight).sum();
        elect(chains, considered, from).unwrap().unwrap()
    }

    #[test]
    fn the_block_with_most_weight_wins_its_position() {
        let chains = [
            chain(&[1, 2], 3.0),
            chain(&[1, 3, 5], 2.0),
            chain(&[1, 3, 6], 2.5),
        ];
        assert_eq!(winner(&chains, 0), 2);
    }

    #[test]
    fn a_chain_with_more_than_half_wins_at_once_with_its_tail() {
        assert_eq!(winner(&[chain(&[1, 2], 6.0), chain(&[3], 5.0)], 0), 0);
        assert_eq!(winner(&[chain(&[1], 6.0), chain(&[1, 2], 5.0)], 0), 0);
    }

    #[test]
    fn a_short_chain_does_not_hold_back_a_longer_one() {
        let chains = [
            chain(&[1], 4.0),
            chain(&[1, 2], 1.0),
            chain(&[9], 3.0),
            chain(&[8], 3.0),
        ];
        assert_eq!(winner(&chains, 0), 1);
    }

    #[test]
    fn the_lowest_hash_wins_a_tie() {
        let (a, b) = (Cell::Long(1).hash(), Cell::Long(2).hash());
        let chains = [chain(&[1], 2.0), chain(&[2], 2.0)];
        assert_eq!(winner(&chains, 0), usize::from(b < a));
    }

    /// The rule as it is written, one round for each position.
    fn plain(chains: &[Chain], considered: f64, from: u64) -> Option<usize> {
        let mut alive: Vec<usize> = (0..chains.len()).collect();
        let (mut total, mut position) = (considered, from);
        while alive.len() > 1 {
            match hold(chains, &alive, total, position).unwrap() {
                None => break,
                Some(Round::Majority(i)) => return Some(i),
                Some(Round::Winner { voters, votes }) => (alive, total) = (voters, votes),
            }
            position += 1;
        }
        alive.first().copied()
    }

    proptest::proptest! {
        #[test]
        fn skipping_rounds_changes_no_election(
            parts in proptest::collection::btree_map(
                (0usize..40, 0usize..40, 0i64..3, 0i64..3), 1u32..9, 1..12),
            from in 0u64..5,
            known in proptest::option::of(proptest::prelude::any::<proptest::sample::Index>()),
        ) {
            // A common trunk, one block of choice, a common part, another choice.
            let mut chains: Vec<Chain> = Vec::new();
            for ((a, b, x, y), weight) in parts {
                let mut blocks: Vec<i64> = (0..a as i64 + 5).map(|i| 100 + i).collect();
                blocks.push(x);
                blocks.extend((0..b as i64).map(|i| 200 + i));
                blocks.push(y);
                if !chains.iter().any(|c| c.blocks == chain(&blocks, 0.0).blocks) {
                    chains.push(chain(&blocks, f64::from(weight) * 1.1));
                }
            }
            if let Some(known) = known {
                let one = known.get(&chains).blocks.clone();
                for chain in &mut chains {
                    chain.common = common_prefix(&one, &chain.blocks).unwrap();
                }
            }
            let considered = chains.iter().map(|c| c.weight).sum();
            proptest::prop_assert_eq!(elect(&chains, considered, from).unwrap(), plain(&chains, considered, from));
        }
    }
}
