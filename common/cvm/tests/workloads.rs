//! The workloads of `spec/10` end in the states that the reference reached.

#[path = "../benches/workload/mod.rs"]
mod workload;

use cells::Verdict;
use crypto::KeyCache;
use cvm::state::State;
use cvm::transition::{apply_block, check_signatures, check_signatures_parallel};
use cvm::{Machine, Rules};
use workload::Workload;

/// `spec/10`, "Repeat with another implementation", step 1.
#[test]
fn the_state_with_a_hundred_users_and_two_peers_has_the_hash_of_the_reference() {
    let Some(genesis) = workload::genesis() else {
        return;
    };
    let mut state = State::from_cell(&genesis).unwrap();
    let key = |n: usize| {
        *workload::signer(&format!("convex-vectors-shared/peer{n}"))
            .account_key()
            .as_bytes()
    };
    for n in 2..4 {
        state.remove_peer(&key(n)).unwrap();
    }
    let mut peer = state.peer(&key(1)).unwrap().unwrap();
    (peer.stake, peer.balance) = (1_000_000_000_000, 1_000_000_000_000);
    state.set_peer(&key(1), &peer).unwrap();
    assert_eq!(
        workload::hex(&state.hash().unwrap()),
        "9bba1d673c1775ba84ff6eebda671f56e8f213c655d515bc0d9b0b6bf1a05893"
    );
}

fn run(workload: Workload) {
    let Some(genesis) = workload::genesis() else {
        return;
    };
    let mut state = State::from_cell(&genesis).unwrap();
    let mut machine = Machine::new(Rules::latest());
    let blocks: Vec<_> = workload::blocks(workload)
        .iter()
        .map(|message| workload::decode(message))
        .collect();
    check_signatures_parallel(&blocks, &KeyCache::new(256), &[7; 32], 2).unwrap();
    for block in &blocks {
        let outcome = apply_block(&mut machine, &mut state, block).unwrap();
        assert_eq!(outcome.invalid, None);
        assert!(
            outcome.results.iter().all(|r| r.error.is_nil()),
            "{:?}",
            outcome.results[0]
        );
    }
    assert_eq!(workload::hex(&state.hash().unwrap()), workload.final_hash());
}

#[test]
fn ten_thousand_transfers_end_in_the_state_of_the_reference() {
    run(Workload::Transfer);
}

#[test]
fn ten_thousand_forms_end_in_the_state_of_the_reference() {
    run(Workload::Form);
}

#[test]
fn ten_thousand_ops_end_in_the_state_of_the_reference() {
    run(Workload::Op);
}

/// What a batch finds equals what the block itself would find.
#[test]
fn a_batch_marks_good_and_bad_signatures_as_single_checks_do() {
    let blocks: Vec<_> = workload::blocks(Workload::Transfer)
        .iter()
        .take(1)
        .map(|m| workload::decode(m))
        .collect();
    let transactions: Vec<_> = {
        let block = cvm::state::Block::from_cell(&blocks[0].value().unwrap()).unwrap();
        block.transactions.iter().map(Result::unwrap).collect()
    };
    let signed = |cell: &cells::Cell| match cell {
        cells::Cell::Signed(signed) => signed.clone(),
        other => panic!("{other}"),
    };
    // The signature of the first under the second, all others as they are.
    let (first, second) = (signed(&transactions[0]), signed(&transactions[1]));
    let forged = cells::Signed::new(
        *second.key().unwrap(),
        *first.signature(),
        second.value().unwrap(),
    );
    let mixed = cvm::state::Block {
        timestamp: 1,
        transactions: transactions
            .iter()
            .take(80)
            .cloned()
            .chain([cells::Cell::from(forged)])
            .collect(),
    };
    let block = cells::Signed::new(*first.key().unwrap(), *first.signature(), mixed.to_cell());
    check_signatures(&[block], &KeyCache::new(256), &[1; 32]).unwrap();
    let verdicts: Vec<_> = mixed
        .transactions
        .iter()
        .map(|t| signed(&t.unwrap()).verdict())
        .collect();
    assert!(verdicts[..80].iter().all(|v| *v == Verdict::Good));
    assert_eq!(verdicts[80], Verdict::Bad);
}
