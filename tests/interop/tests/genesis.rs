//! Our own genesis, in the hands of the reference: it decodes the state to the same hash and applies blocks to it
//! with the same results. Says so and does nothing where the reference can't run.

use cvm::genesis::{Parameters, genesis};
use interop::chain::{self, Chain};
use interop::oracle::Oracle;
use interop::rng::Rng;
use interop::transactions::Keys;
use interop::{known, subject};

/// Chains of up to six blocks that are applied on both sides.
const CHAINS: u64 = 40;

#[test]
fn the_reference_has_the_same_hash_of_our_genesis_and_applies_blocks_to_it_with_the_same_results() {
    let Some(mut oracle) = Oracle::chosen() else {
        return;
    };
    let (rules, lenient) = known::rules_for(oracle.version()).expect("a release that is known");
    oracle.set_up("limit 16000000 1999").expect("a limit");

    let keys = Keys::new();
    let public = |i: usize| *keys.get(i).account_key().as_bytes();
    let parameters = Parameters::new(public(4), public(5), &[0, 1, 2, 3].map(public));
    let state = genesis(&parameters)
        .expect("a genesis")
        .to_cell()
        .expect("in memory");
    let message = subject::sorted_message(&state).expect("in memory");
    let reply = oracle
        .set_up(&format!("state {}", hex::encode(message)))
        .expect("a state");
    assert_eq!(
        reply["state"].as_str(),
        Some(state.hash().to_string().as_str()),
        "{reply}"
    );

    let (mut blocks, mut transactions, mut excused) = (0, 0, 0);
    for number in 0..CHAINS {
        let chain = Chain::random(&mut Rng::of_case(7, number));
        let checked = chain::check(&chain, &mut oracle, &state, &keys, rules).expect("an answer");
        if checked.findings.aspects().is_empty() {
            blocks += checked.blocks;
            transactions += checked.succeeded;
            continue;
        }
        // An older release differs in what its page of the specification says; without that it agrees.
        let mut known = lenient && known::explains(&checked.findings, &chain.text()).is_some();
        for rewrite in known::REWRITES.iter().filter(|_| lenient) {
            let changed = chain.with_programs(&rewrite.change);
            let again = chain::check(&changed, &mut oracle, &state, &keys, rules);
            known |= again.expect("an answer").findings.aspects().is_empty();
        }
        assert!(
            known,
            "chain {number}: {:?}\n{}",
            checked.findings,
            chain.text()
        );
        excused += 1;
    }
    println!("{blocks} blocks, {transactions} successful transactions; {excused} chains excused");
    assert!(blocks > 20 && transactions > 20, "too little was compared");
}
