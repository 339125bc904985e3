//! SHA3-256, single and side by side, against an independent implementation.

use crypto::{sha3_256, sha3_256_many};
use proptest::prelude::*;
use sha3::{Digest, Sha3_256};

fn expected(data: &[u8]) -> [u8; 32] {
    Sha3_256::digest(data).into()
}

fn message(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i * 7 + length * 13 + i / 251) as u8)
        .collect()
}

fn assert_batch_agrees(messages: &[Vec<u8>]) {
    let inputs: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let mut out = vec![[0xaa; 32]; inputs.len()];
    sha3_256_many(&inputs, &mut out);
    for (message, digest) in messages.iter().zip(out) {
        assert_eq!(digest, expected(message), "length {}", message.len());
    }
}

#[test]
fn published_digests_are_met() {
    // FIPS 202 examples: the empty message and 1600 bits of a3.
    let empty = "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a";
    let a3 = "79f38adec5c20307a98ef76e8324afbfd46cfd81b22e3973c65fa1bd9de31787";
    let hex = |digest: [u8; 32]| crypto::AccountKey::new(digest).to_string();
    assert_eq!(hex(sha3_256(b"")), empty);
    assert_eq!(hex(sha3_256(&[0xa3; 200])), a3);
    let mut both = [[0; 32]; 2];
    sha3_256_many(&[b"", &[0xa3; 200]], &mut both);
    assert_eq!(both.map(hex), [empty, a3]);
}

#[test]
fn every_length_to_a_thousand_hashes_right() {
    for length in 0..=1_000 {
        let message = message(length);
        assert_eq!(sha3_256(&message), expected(&message), "length {length}");
    }
}

#[test]
fn batches_of_every_size_hash_right() {
    for size in 0..=40 {
        assert_batch_agrees(&(0..size).map(|i| message(i * 37 % 300)).collect::<Vec<_>>());
        assert_batch_agrees(&(0..size).map(|i| message(140 + i % 4)).collect::<Vec<_>>());
    }
}

#[test]
fn all_lengths_side_by_side_hash_right() {
    assert_batch_agrees(&(0..=1_000).map(message).collect::<Vec<_>>());
    assert_batch_agrees(&(0..=1_000).rev().map(message).collect::<Vec<_>>());
}

#[test]
fn one_long_message_among_short_ones_hashes_right() {
    let mut messages: Vec<_> = (0..50).map(|i| message(i * 3)).collect();
    messages.insert(20, message(100_000));
    messages.insert(30, message(9_000));
    assert_batch_agrees(&messages);
}

#[test]
#[should_panic(expected = "one digest per input")]
fn a_missing_output_is_refused() {
    sha3_256_many(&[b"a", b"b"], &mut [[0; 32]]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_batches_hash_right(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..60),
    ) {
        assert_batch_agrees(&messages);
    }

    #[test]
    fn batches_around_block_boundaries_hash_right(
        lengths in prop::collection::vec((0usize..5, -2isize..=2), 1..40),
    ) {
        let length = |(blocks, offset): (usize, isize)| (blocks * 136).saturating_add_signed(offset);
        let messages: Vec<_> = lengths.into_iter().map(|l| message(length(l))).collect();
        assert_batch_agrees(&messages);
    }
}
