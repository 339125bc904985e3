//! Laws of the merge over random beliefs.

mod support;

use cells::{Cell, Signed};
use consensus::{Belief, Decision, Electorate, LEVELS, Order, THRESHOLD, common_prefix};
use proptest::prelude::*;
use support::{T0, belief, block, chain, electorate, finish, key, order, run};

const PEERS: u8 = 5;
const MERGE_TIME: i64 = T0 + 1_000;

/// Blocks to make chains of: a trunk, and branches behind it.
fn blocks() -> Vec<Signed> {
    (0..6).map(|i| block(1 + i as u8 % PEERS, T0 + i)).collect()
}

#[derive(Debug, Clone)]
struct Draft {
    time: i64,
    trunk: usize,
    branch: Vec<usize>,
    points: [usize; 3],
}

impl Draft {
    fn order(&self) -> Order {
        let all = blocks();
        let mut picked: Vec<Signed> = all[..self.trunk].to_vec();
        for i in &self.branch {
            let next = &all[*i];
            let there = |b: &Signed| Cell::from(b.clone()) == Cell::from(next.clone());
            if !picked.iter().any(there) {
                picked.push(next.clone());
            }
        }
        let mut points = [picked.len() as i64; LEVELS];
        for level in 1..LEVELS {
            points[level] = points[level - 1].min(self.points[level - 1] as i64);
        }
        order(T0 + self.time, points, &picked)
    }
}

fn draft() -> impl Strategy<Value = Draft> {
    let branch = proptest::collection::vec(0usize..6, 0..4);
    (
        0i64..900,
        0usize..4,
        branch,
        [0usize..7, 0usize..5, 0usize..3],
    )
        .prop_map(|(time, trunk, branch, points)| Draft {
            time,
            trunk,
            branch,
            points,
        })
}

/// An order of each of some peers; that of peer 1 always.
fn beliefs() -> impl Strategy<Value = Belief> {
    (
        draft(),
        proptest::collection::vec((2u8..=PEERS, draft()), 0..6),
    )
        .prop_map(|(own, others)| {
            let mut orders = vec![(1, own.order())];
            orders.extend(others.iter().map(|(peer, draft)| (*peer, draft.order())));
            belief(&orders)
        })
}

/// What intake lets through: own orders never come back.
fn others() -> impl Strategy<Value = Belief> {
    proptest::collection::vec((2u8..=PEERS, draft()), 0..6).prop_map(|others| {
        let orders: Vec<(u8, Order)> = others
            .iter()
            .map(|(peer, draft)| (*peer, draft.order()))
            .collect();
        belief(&orders)
    })
}

fn voters() -> impl Strategy<Value = Electorate> {
    proptest::collection::vec(2i64..9, PEERS as usize).prop_map(|gold| {
        let stakes: Vec<i64> = gold.iter().map(|g| g * 1_000_000_000_000).collect();
        electorate(&stakes)
    })
}

fn hash(belief: &Belief) -> cells::Hash {
    belief.to_cell().hash()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// One level moves per merge, so the same input leads to rest in a few merges, and then to the same belief for ever.
    #[test]
    fn merging_the_same_again_comes_to_rest(own in beliefs(), other in beliefs(), electorate in voters()) {
        let mut mine = own;
        let mut rested = false;
        for _ in 0..8 {
            let outcome = run(1, MERGE_TIME, &electorate, &mine, std::slice::from_ref(&other)).unwrap();
            let decision = outcome.decision;
            let next = finish(1, outcome);
            rested = hash(&next) == hash(&mine);
            mine = next;
            if rested {
                prop_assert!(!matches!(decision, Decision::Advanced | Decision::Switched));
                break;
            }
        }
        prop_assert!(rested);
    }

    #[test]
    fn beliefs_may_come_in_any_order(own in beliefs(), a in beliefs(), b in beliefs(), electorate in voters()) {
        // Two orders of one peer and one time replace each other by points, not by what came last.
        let times = |belief: &Belief, peer| belief.order(&key(peer)).unwrap().map(|o| o.timestamp);
        for peer in 1..=PEERS {
            let mut given: Vec<i64> = [&own, &a, &b].iter().filter_map(|x| times(x, peer)).collect();
            given.sort_unstable();
            let count = given.len();
            given.dedup();
            prop_assume!(given.len() == count);
        }
        let one = run(1, MERGE_TIME, &electorate, &own, &[a.clone(), b.clone()]).unwrap();
        let two = run(1, MERGE_TIME, &electorate, &own, &[b, a]).unwrap();
        prop_assert_eq!(hash(&finish(1, one)), hash(&finish(1, two)));
    }

    #[test]
    fn orders_that_do_not_count_change_nothing(own in beliefs(), other in beliefs(), stray in draft(), electorate in voters()) {
        let plain = run(1, MERGE_TIME, &electorate, &own, std::slice::from_ref(&other)).unwrap();
        // Of a stranger, from the future, and older than any.
        let mut future = stray.order();
        future.timestamp = MERGE_TIME + 1;
        let mut old = stray.order();
        old.timestamp = -1;
        let noise = [belief(&[(99, stray.order()), (3, future)]), belief(&[(1, old)]), Belief::empty()];
        let [a, b, c] = noise;
        let noisy = run(1, MERGE_TIME, &electorate, &own, &[a, other, b, c]).unwrap();
        prop_assert_eq!(noisy.dropped.len(), plain.dropped.len() + 2);
        prop_assert_eq!(hash(&finish(1, plain)), hash(&finish(1, noisy)));
    }

    #[test]
    fn what_is_signed_is_well_formed_and_backed_by_more_than_the_threshold(
        own in beliefs(), other in others(), electorate in voters(),
    ) {
        let before = own.order(&key(1)).unwrap().unwrap();
        let outcome = run(1, MERGE_TIME, &electorate, &own, &[other]).unwrap();
        let Some(after) = outcome.to_sign().cloned() else {
            prop_assert!(matches!(outcome.decision, Decision::Unchanged | Decision::Held | Decision::NoVote));
            return Ok(());
        };
        prop_assert_eq!(after.check(), Ok(()));
        prop_assert_eq!(after.timestamp, MERGE_TIME);
        prop_assert!(after.is_consistent_with(&before).unwrap());
        let merged = finish(1, outcome);
        for level in 1..LEVELS {
            let point = after.point(level);
            if point <= before.point(level) {
                continue;
            }
            let mut backing = 0.0;
            for peer in 1..=PEERS {
                // The own order counts as it was published.
                let published = if peer == 1 { Some(before.clone()) } else { merged.order(&key(peer)).unwrap() };
                let Some(published) = published else { continue };
                let common = common_prefix(&published.blocks, &after.blocks).unwrap() as i64;
                if common.min(published.point(level - 1)) >= point {
                    backing += electorate.weight(&key(peer));
                }
            }
            prop_assert!(backing > electorate.total() * THRESHOLD, "level {} to {} with {}", level, point, backing);
        }
    }

    #[test]
    fn an_order_is_its_record(draft in draft()) {
        let order = draft.order();
        prop_assert_eq!(Order::from_cell(&order.to_cell()), Ok(order.clone()));
        prop_assert_eq!(order.check(), Ok(()));
    }

    #[test]
    fn other_blocks_lower_the_points_and_keep_the_time(draft in draft(), keep in 0usize..7) {
        let order = draft.order();
        let other = order.clone().with_blocks(chain(&blocks()[..keep.min(6)]));
        prop_assert_eq!(other.check(), Ok(()));
        prop_assert_eq!(other.timestamp, order.timestamp);
    }
}
