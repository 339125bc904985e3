//! SHA3-256 (FIPS 202): one message, and many independent messages side by side in SIMD lanes.
//!
//! Cells are small (most encodings fit one to three blocks of 136 bytes), so a single hash cannot use wide
//! registers, but a decoded message or a Merkle level brings many of them at once. Which instructions are used is
//! decided at run time; the digests are the same everywhere.

#[cfg(target_arch = "x86_64")]
mod lanes;

use crate::keccak::{Lanes, STATE_WORDS, Scalar, permute};

/// Bytes absorbed for each permutation.
const RATE: usize = 136;
const RATE_WORDS: usize = RATE / 8;

/// Padding of SHA-3: the two domain bits `01`, then `1 0* 1` (FIPS 202 §6.1, §B.2).
const PAD_FIRST: u8 = 0x06;
const PAD_LAST: u8 = 0x80;

/// SHA3-256 of `data`.
///
/// ```
/// let hash = crypto::sha3_256(b"");
/// assert_eq!(hash[..4], [0xa7, 0xff, 0xc6, 0xf8]);
/// ```
#[must_use]
pub fn sha3_256(data: &[u8]) -> [u8; 32] {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return simd.vectorize(Integers(data));
    }
    hash_integers(data)
}

/// SHA3-256 of every input: `out[i]` becomes the hash of `inputs[i]`.
///
/// Inputs may differ in length; longer ones are started first so that all lanes stay busy to the end.
///
/// # Panics
/// When `inputs` and `out` differ in length.
pub fn sha3_256_many(inputs: &[&[u8]], out: &mut [[u8; 32]]) {
    assert_eq!(inputs.len(), out.len(), "one digest per input");
    #[cfg(target_arch = "x86_64")]
    if inputs.len() >= MIN_MESSAGES
        && (lanes::many_avx512(inputs, out) || lanes::many_avx2(inputs, out))
    {
        return;
    }
    for (input, digest) in inputs.iter().zip(out) {
        *digest = sha3_256(input);
    }
}

/// From how many messages on the lanes beat hashing one after the other (measured, both widths).
#[cfg(target_arch = "x86_64")]
const MIN_MESSAGES: usize = 2;

/// One message with integers only, compiled with and-not and flagless rotates. (Spreading one state over the planes of
/// wide registers was measured too: it is slower, moving words between registers takes longer than it saves.)
#[cfg(target_arch = "x86_64")]
struct Integers<'a>(&'a [u8]);

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for Integers<'_> {
    type Output = [u8; 32];
    #[inline(always)]
    fn call(self) -> [u8; 32] {
        hash_integers(self.0)
    }
}

#[inline(always)]
fn hash_integers(data: &[u8]) -> [u8; 32] {
    let mut state = [0; STATE_WORDS];
    let (blocks, rest) = data.as_chunks::<RATE>();
    for block in blocks {
        absorb(Scalar, &mut state, [block]);
        permute(Scalar, &mut state);
    }
    let mut last = [0; RATE];
    pad(&mut last, rest);
    absorb(Scalar, &mut state, [&last]);
    permute(Scalar, &mut state);
    digest([state[0], state[1], state[2], state[3]])
}

/// Writes the last block of a message whose unabsorbed bytes are `rest` (fewer than a block).
#[inline(always)]
fn pad(block: &mut [u8; RATE], rest: &[u8]) {
    block[..rest.len()].copy_from_slice(rest);
    block[rest.len()..].fill(0);
    block[rest.len()] = PAD_FIRST;
    block[RATE - 1] |= PAD_LAST;
}

#[inline(always)]
fn digest(words: [u64; 4]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
    bytes
}

/// Adds one block to each of `N` states.
#[inline(always)]
fn absorb<const N: usize, L: Lanes<N>>(
    l: L,
    state: &mut [L::Word; STATE_WORDS],
    blocks: [&[u8; RATE]; N],
) {
    let halves = blocks.map(|block| block.as_chunks::<64>());
    for half in 0..2 {
        let words = l.load8(halves.map(|(chunks, _)| &chunks[half]));
        for (w, word) in words.into_iter().enumerate() {
            state[8 * half + w] = l.xor(state[8 * half + w], word);
        }
    }
    let tail = halves.map(|(_, rest)| u64::from_le_bytes(rest.as_chunks::<8>().0[0]));
    state[RATE_WORDS - 1] = l.xor(state[RATE_WORDS - 1], l.gather(tail));
}

#[cfg(test)]
mod tests {
    use sha3::Digest;

    #[test]
    fn integers_hash_right_without_any_cpu_feature() {
        for length in 0..=500 {
            let message: Vec<_> = (0..length).map(|i| (i * 31 + length) as u8).collect();
            let expected: [u8; 32] = sha3::Sha3_256::digest(&message).into();
            assert_eq!(super::hash_integers(&message), expected, "length {length}");
        }
    }
}
