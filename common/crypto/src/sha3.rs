//! SHA3-256 (FIPS 202): one message, and many independent messages side by side in SIMD lanes.
//!
//! Cells are small (most encodings fit one to three blocks of 136 bytes), so a single hash cannot use wide
//! registers, but a decoded message or a Merkle level brings many of them at once. Which instructions are used is
//! decided at run time; the digests are the same everywhere.

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
        // Same code, compiled with and-not and flagless rotates.
        return simd.vectorize(Single(data));
    }
    hash_single(data)
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
    {
        if inputs.len() >= MIN_MESSAGES_AVX512
            && let Some(simd) = pulp::x86::V4::try_new()
        {
            let schedule = Schedule::new(inputs);
            return simd.vectorize(Many {
                simd,
                schedule,
                out,
            });
        }
        if inputs.len() >= MIN_MESSAGES_AVX2
            && let Some(simd) = pulp::x86::V3::try_new()
        {
            let schedule = Schedule::new(inputs);
            return simd.vectorize(Many {
                simd,
                schedule,
                out,
            });
        }
    }
    for (input, digest) in inputs.iter().zip(out) {
        *digest = sha3_256(input);
    }
}

/// From how many messages on the lanes beat hashing one after the other (measured).
#[cfg(target_arch = "x86_64")]
const MIN_MESSAGES_AVX512: usize = 2;
#[cfg(target_arch = "x86_64")]
const MIN_MESSAGES_AVX2: usize = 3;

#[cfg(target_arch = "x86_64")]
struct Single<'a>(&'a [u8]);

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for Single<'_> {
    type Output = [u8; 32];
    #[inline(always)]
    fn call(self) -> [u8; 32] {
        hash_single(self.0)
    }
}

#[cfg(target_arch = "x86_64")]
struct Many<'a, S> {
    simd: S,
    schedule: Schedule<'a>,
    out: &'a mut [[u8; 32]],
}

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for Many<'_, pulp::x86::V3> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        hash_lanes(self.simd, self.schedule, self.out);
    }
}

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for Many<'_, pulp::x86::V4> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        hash_lanes(self.simd, self.schedule, self.out);
    }
}

#[inline(always)]
fn hash_single(data: &[u8]) -> [u8; 32] {
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

/// The order in which messages enter the lanes: most blocks first.
struct Schedule<'a> {
    inputs: &'a [&'a [u8]],
    /// Indices into `inputs`; `None` when all need equally many blocks, so that any order will do.
    order: Option<Vec<usize>>,
    next: usize,
}

/// Messages of this many blocks or more are one class in the schedule.
const LONGEST_CLASS: usize = 63;

impl<'a> Schedule<'a> {
    fn new(inputs: &'a [&'a [u8]]) -> Self {
        let class = |input: &[u8]| (input.len() / RATE).min(LONGEST_CLASS);
        let mut starts = [0usize; LONGEST_CLASS + 1];
        for input in inputs {
            starts[class(input)] += 1;
        }
        let order = if starts.contains(&inputs.len()) {
            None
        } else {
            // Counting sort, longest class first.
            let mut start = 0;
            for count in starts.iter_mut().rev() {
                start += std::mem::replace(count, start);
            }
            let mut order = vec![0; inputs.len()];
            for (index, input) in inputs.iter().enumerate() {
                let place = &mut starts[class(input)];
                order[*place] = index;
                *place += 1;
            }
            Some(order)
        };
        Self {
            inputs,
            order,
            next: 0,
        }
    }
}

impl<'a> Iterator for Schedule<'a> {
    type Item = (usize, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let index = match &self.order {
            Some(order) => *order.get(self.next)?,
            None => self.next,
        };
        self.next += 1;
        Some((index, self.inputs.get(index)?))
    }
}

/// A message on its way through a lane. An idle lane has no output index; it permutes leftovers that nobody reads.
#[derive(Clone, Copy, Default)]
struct Message<'a> {
    output: Option<usize>,
    rest: &'a [u8],
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn hash_lanes<const N: usize, L: Lanes<N>>(l: L, mut schedule: Schedule<'_>, out: &mut [[u8; 32]]) {
    let zero = l.splat(0);
    let mut state = [zero; STATE_WORDS];
    let mut last_blocks = [[0; RATE]; N];
    let mut lanes = [Message::default(); N];
    let mut busy = 0;
    for lane in &mut lanes {
        if let Some((output, rest)) = schedule.next() {
            *lane = Message {
                output: Some(output),
                rest,
            };
            busy += 1;
        }
    }
    while busy > 0 {
        let mut finishing = [false; N];
        for i in 0..N {
            if lanes[i].rest.len() < RATE && lanes[i].output.is_some() {
                pad(&mut last_blocks[i], lanes[i].rest);
                finishing[i] = true;
            }
        }
        let blocks =
            std::array::from_fn(|i| lanes[i].rest.first_chunk().unwrap_or(&last_blocks[i]));
        absorb(l, &mut state, blocks);
        permute(l, &mut state);

        for (lane, finished) in lanes.iter_mut().zip(finishing) {
            if !finished {
                lane.rest = lane.rest.get(RATE..).unwrap_or_default();
            }
        }
        if finishing == [false; N] {
            continue;
        }
        let words = [state[0], state[1], state[2], state[3]].map(|word| l.scatter(word));
        let mut keep = [u64::MAX; N];
        for i in 0..N {
            if !finishing[i] {
                continue;
            }
            if let Some(output) = lanes[i].output {
                out[output] = digest(words.map(|word| word[i]));
            }
            keep[i] = 0;
            lanes[i] = match schedule.next() {
                Some((output, rest)) => Message {
                    output: Some(output),
                    rest,
                },
                None => {
                    busy -= 1;
                    Message::default()
                }
            };
        }
        if keep == [0; N] {
            state = [zero; STATE_WORDS];
        } else {
            let keep = l.gather(keep);
            state = state.map(|word| l.and(word, keep));
        }
    }
}
