//! Many messages side by side: each SIMD lane runs the sponge of one message, and takes the next when it is done.

use pulp::NullaryFnOnce;
use pulp::x86::{V3, V4};

use super::{RATE, absorb, digest, pad};
use crate::keccak::{Lanes, STATE_WORDS, permute};

/// Eight lanes. False, with nothing done, when the CPU can't.
pub(super) fn many_avx512(inputs: &[&[u8]], out: &mut [[u8; 32]]) -> bool {
    let token = V4::try_new();
    let hash = |simd: V4| {
        simd.vectorize(Many {
            simd,
            schedule: Schedule::new(inputs),
            out,
        })
    };
    token.map(hash).is_some()
}

/// Four lanes. False, with nothing done, when the CPU can't.
pub(super) fn many_avx2(inputs: &[&[u8]], out: &mut [[u8; 32]]) -> bool {
    let token = V3::try_new();
    let hash = |simd: V3| {
        simd.vectorize(Many {
            simd,
            schedule: Schedule::new(inputs),
            out,
        })
    };
    token.map(hash).is_some()
}

/// Many messages, one in each lane.
struct Many<'a, S> {
    simd: S,
    schedule: Schedule<'a>,
    out: &'a mut [[u8; 32]],
}

impl NullaryFnOnce for Many<'_, V3> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        hash_lanes(self.simd, self.schedule, self.out);
    }
}

impl NullaryFnOnce for Many<'_, V4> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        hash_lanes(self.simd, self.schedule, self.out);
    }
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
        if busy == 0 {
            break;
        }
        if keep == [0; N] {
            state = [zero; STATE_WORDS];
        } else {
            let keep = l.gather(keep);
            state = state.map(|word| l.and(word, keep));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha3::Digest;

    type HashMany = fn(&[&[u8]], &mut [[u8; 32]]) -> bool;

    fn assert_hashes_right(hash_many: HashMany, messages: &[Vec<u8>]) {
        let inputs: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let mut out = vec![[0; 32]; inputs.len()];
        if hash_many(&inputs, &mut out) {
            for (message, digest) in messages.iter().zip(out) {
                let expected: [u8; 32] = sha3::Sha3_256::digest(message).into();
                assert_eq!(digest, expected, "length {}", message.len());
            }
        }
    }

    fn assert_way_hashes_right(hash_many: HashMany) {
        let message = |length: usize| (0..length).map(|i| (i * 31 + length) as u8).collect();
        for count in 0..20 {
            assert_hashes_right(hash_many, &vec![message(140); count]);
            let lengths = (0..count).map(|i| i * 61 % 450);
            assert_hashes_right(hash_many, &lengths.map(message).collect::<Vec<_>>());
        }
        assert_hashes_right(hash_many, &(0..=1_000).map(message).collect::<Vec<_>>());
    }

    #[test]
    fn four_lanes_hash_right() {
        assert_way_hashes_right(many_avx2);
    }

    #[test]
    fn eight_lanes_hash_right() {
        assert_way_hashes_right(many_avx512);
    }

    #[test]
    fn the_schedule_holds_each_message_once_and_longest_first() {
        let messages: Vec<_> = (0..200usize).map(|i| vec![0; i * 7919 % 10_007]).collect();
        let inputs: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let order: Vec<_> = Schedule::new(&inputs).collect();
        let class = |input: &[u8]| (input.len() / RATE).min(LONGEST_CLASS);
        assert!(order.is_sorted_by_key(|(_, input)| std::cmp::Reverse(class(input))));
        let mut indices: Vec<_> = order.iter().map(|&(index, _)| index).collect();
        indices.sort_unstable();
        assert!(indices.into_iter().eq(0..200));
    }
}
