//! The 819 edge cases measured on the reference (spec/01 §11.1): honest, mixed-order, small-order, non-canonical.

use crypto::{AccountKey, KeyCache, Signature, SignedMessage, verify, verify_batch};

struct Case {
    name: String,
    key: AccountKey,
    message: Vec<u8>,
    signature: Signature,
    valid: bool,
}

impl Case {
    fn item(&self) -> SignedMessage<'_> {
        SignedMessage {
            key: &self.key,
            message: &self.message,
            signature: &self.signature,
        }
    }
}

fn cases() -> Vec<Case> {
    let parse = |line: &str| {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| case[field].as_str().unwrap().to_owned();
        let message = text("msg");
        let byte = |i| u8::from_str_radix(&message[2 * i..2 * i + 2], 16).unwrap();
        Case {
            name: text("name"),
            key: text("key").parse().unwrap(),
            message: (0..message.len() / 2).map(byte).collect(),
            signature: text("sig").parse().unwrap(),
            valid: case["valid"].as_bool().unwrap(),
        }
    };
    include_str!("vectors/ed25519-edge.jsonl")
        .lines()
        .map(parse)
        .collect()
}

/// An order that depends on `round` only.
fn shuffled(cases: &[Case], round: u64) -> Vec<&Case> {
    let mut order: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(i, case)| {
            let label = [round.to_le_bytes(), (i as u64).to_le_bytes()].concat();
            (crypto::sha3_256(&label), case)
        })
        .collect();
    order.sort_by_key(|&(place, _)| place);
    order.into_iter().map(|(_, case)| case).collect()
}

fn assert_batches_agree(cases: &[&Case], size: usize) {
    let cache = KeyCache::new(100);
    for (i, batch) in cases.chunks(size).enumerate() {
        let items: Vec<_> = batch.iter().map(|case| case.item()).collect();
        let verdicts = verify_batch(&cache, &[i as u8; 32], &items);
        assert_eq!(verdicts.len(), batch.len());
        for (case, verdict) in batch.iter().zip(verdicts) {
            assert_eq!(verdict, case.valid, "{} in a batch of {size}", case.name);
        }
    }
}

#[test]
fn single_checks_agree_with_the_reference() {
    let cases = cases();
    assert_eq!(cases.len(), 819);
    let cache = KeyCache::new(50);
    for case in &cases {
        let verdict = verify(&case.key, &case.message, &case.signature);
        assert_eq!(verdict, case.valid, "{}", case.name);
        let cached = cache.verify(&case.key, &case.message, &case.signature);
        assert_eq!(cached, case.valid, "{} with a key cache", case.name);
    }
    let valid = cases.iter().filter(|case| case.valid).count();
    assert!(
        valid > 100 && valid < 700,
        "both verdicts are well represented: {valid}"
    );
}

#[test]
fn batches_of_any_size_agree_with_the_reference() {
    let cases = cases();
    let in_file_order: Vec<_> = cases.iter().collect();
    for size in [1, 2, 3, 5, 8, 17, 64, 250, 819] {
        assert_batches_agree(&in_file_order, size);
    }
}

#[test]
fn batches_in_random_order_agree_with_the_reference() {
    let cases = cases();
    for round in 0..6 {
        let order = shuffled(&cases, round);
        for size in [7, 32, 100, 819] {
            assert_batches_agree(&order, size);
        }
    }
}

#[test]
fn batches_of_valid_cases_with_few_bad_ones_agree_with_the_reference() {
    let cases = cases();
    for round in 0..6 {
        let order = shuffled(&cases, round);
        let bad = order.iter().filter(|case| !case.valid).take(round as usize);
        let valid = order.iter().filter(|case| case.valid);
        let mut mixture: Vec<_> = valid.chain(bad).copied().collect();
        // Spread the bad ones, which are at the end, over the batch.
        let step = mixture.len() / 7;
        mixture.rotate_right(step);
        assert_batches_agree(&mixture, mixture.len());
        assert_batches_agree(&mixture, 64);
    }
}
