//! Numbers whose sign is read as 0 until somebody computes with them, from block to block: what a block does follows
//! from it and the state before it, however often it was executed before, and whoever looked at the state.

mod ground;

use cells::Cell;
use cvm::genesis::{Parameters, genesis};
use cvm::transition::{query, try_block};
use ground::{Ground, T0, block, invoke, public, sent, signed};

const USER: u64 = 11;

struct Chain {
    ground: Ground,
    blocks: i64,
    sequence: i64,
}

impl Chain {
    fn new() -> Self {
        let parameters = Parameters::new(public(3), public(1), &[public(2)]);
        Self {
            ground: Ground::new(genesis(&parameters).unwrap()),
            blocks: 0,
            sequence: 0,
        }
    }

    /// The next block, as another peer decodes it.
    fn next(&mut self, sources: &[&str]) -> Cell {
        self.blocks += 1;
        let transactions = sources.iter().map(|source| {
            self.sequence += 1;
            signed(1, invoke(USER, self.sequence, source))
        });
        sent(&block(2, T0 + self.blocks, transactions.collect()))
    }

    fn values(&mut self, sources: &[&str]) -> Vec<String> {
        let block = self.next(sources);
        let outcome = self.ground.try_apply(&block).unwrap();
        outcome
            .results
            .iter()
            .map(|r| r.value.to_string())
            .collect()
    }
}

#[test]
fn a_block_that_was_tried_before_does_the_same_again() {
    let mut chain = Chain::new();
    let block = chain.next(&[
        "(let [x 9223372036854775808] (def a [(signum x) (+ x 1) (signum x)]))",
        "(do (def f (fn [] (let [x 9223372036854775808] [(signum x) (try (fail x) 1) (str x) (signum x)]))) (f))",
        "(try (nth [1 2] 18446744073709551615) (signum (last '(a 18446744073709551615))))",
    ]);
    let Cell::Signed(signed) = &block else {
        panic!("{block}")
    };
    let Ground { machine, state, .. } = &mut chain.ground;
    let first = try_block(machine, state, signed).unwrap();
    let values: Vec<_> = first.results.iter().map(|r| r.value.to_string()).collect();
    assert_eq!(
        values,
        [
            "[0 9223372036854775809 1]",
            r#"[0 1 "9223372036854775808" 1]"#,
            "0",
        ]
    );
    for _ in 0..2 {
        assert_eq!(try_block(machine, state, signed).unwrap(), first);
    }
    assert_eq!(chain.ground.try_apply(&block).unwrap(), first);
}

#[test]
fn a_use_counts_until_the_end_of_its_block() {
    let mut chain = Chain::new();
    assert_eq!(
        chain.values(&["(def z 9223372036854775808)", "(signum z)"])[1],
        "0"
    );
    assert_eq!(
        chain.values(&["(signum z)", "(do (inc z) (signum z))", "(signum z)"]),
        ["0", "1", "1"]
    );
    assert_eq!(chain.values(&["(signum z)"]), ["0"]);
}

#[test]
fn what_was_computed_has_its_sign_in_later_blocks_too_and_loses_it_when_the_state_is_read_again() {
    let mut chain = Chain::new();
    chain.values(&["(def z (inc 9223372036854775807))"]);
    assert_eq!(chain.values(&["(signum z)"]), ["1"]);
    let bytes = sent(&chain.ground.state.to_cell().unwrap());
    chain.ground = Ground::new(cvm::state::State::from_cell(&bytes).unwrap());
    assert_eq!(chain.values(&["(signum z)"]), ["0"]);
}

#[test]
fn a_query_does_not_decide_what_a_block_does() {
    let mut chain = Chain::new();
    chain.values(&["(def z 9223372036854775808)"]);
    let form = sent(&cvm::reader::read("[(signum z) (inc z) (signum z)]").unwrap());
    for _ in 0..2 {
        let Ground { machine, state, .. } = &mut chain.ground;
        let answer = query(machine, state, USER, form.clone()).unwrap();
        assert_eq!(answer.value.to_string(), "[0 9223372036854775809 1]");
    }
    assert_eq!(chain.values(&["(signum z)"]), ["0"]);
}
