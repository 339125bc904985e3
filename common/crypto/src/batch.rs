//! Checking many signatures at once.
//!
//! # The equation
//!
//! For each signature i that satisfies rules 1 to 3 of spec/01 §11.1, let E_i = S_i·B − k_i·A_i − R_i; it is valid
//! exactly when 8·E_i is the identity. A batch computes one sum, E = Σ z_i·E_i with 128-bit coefficients z_i, in
//! which the multiples of B, and those of each key, are merged. If all are valid, 8·E is the identity, always. If
//! one is not, 8·E is the identity with a chance of 2^-128 when the z_i are random: the points 8·E_i lie in the
//! group of prime order L > 2^128, so for given other terms at most one value of z_i makes the sum vanish. Hence
//! the accept set is the same as that of single checks. (Scalars are reduced modulo L although points may carry a
//! torsion component; a multiple of L times such a point is torsion, which the cofactor 8 removes.)
//!
//! # The coefficients
//!
//! This crate has no randomness of its own. The z_i are a SHA-512 expansion of a hash over the caller's seed and every
//! (key, signature, k) of the batch in order; k is itself a hash that binds the message. They are therefore fixed
//! only after the sender has fixed everything they multiply, as in a Fiat-Shamir proof: to pass a bad signature the
//! sender must try batches until one happens to cancel, 2^128 of them on average, each costing at least a hash. With
//! a seed unknown to senders (random at process start) they can't even try on their own machine. The seed doesn't
//! influence any result except through that 2^-128.
//!
//! # Finding the bad ones
//!
//! When 8·E is not the identity, the batch is halved. The same coefficients stay in use, so E = E_left + E_right: only
//! the left half is computed and the right is the difference. Halves that sum to the identity are done; others are
//! halved again, until they are so short that single checks are cheaper. The union bound over at most 2n such sums keeps the chance of a wrong
//! verdict below n·2^-127.
//!
//! Work is bounded: after the first pass over n terms, halves with [`EXTRA_PASSES`]·n terms in total may be computed;
//! then what is still open is checked one by one. So a batch of n never costs more than 1 + [`EXTRA_PASSES`] passes
//! plus n single checks. One bad signature costs at most one extra pass (n/2 + n/4 + …).

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use sha2::{Digest, Sha512};

use crate::verify::{SignatureParts, challenge};
use crate::{AccountKey, KeyCache, Signature, VerifyingKey};

/// One signature to check.
#[derive(Debug, Clone, Copy)]
pub struct SignedMessage<'a> {
    /// Who is said to have signed.
    pub key: &'a AccountKey,
    /// The signed bytes: the encoding of the ref of the signed value (spec/01 §11.1).
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a Signature,
}

/// Most passes over the whole batch, in terms, that the search for bad signatures may spend on halves.
const EXTRA_PASSES: usize = 2;

/// Open ranges of at most this many signatures are checked one by one: a sum this short saves nothing.
const SMALLEST_SUM: usize = 4;

/// Most signatures in one sum. More would hardly be faster.
const MAX_BATCH: usize = 4_096;

/// Domain of the coefficients' hash.
const DOMAIN: &[u8] = b"convex ed25519 batch v1";

/// Checks every item; element i of the result is what [`crate::verify`] returns for item i.
///
/// `seed` should be unpredictable to whoever sends signatures (random bytes from process start will do); results don't
/// depend on it, up to a chance of 2^-127 an item. Larger batches are faster, most of all when keys recur. Items are
/// taken 4,096 at a time, so working memory is bounded.
///
/// Cost: bad signatures in a batch make it slower, at worst by three passes over the batch and a single check of
/// each item. Whoever sent them should pay for that.
#[must_use]
pub fn verify_batch(cache: &KeyCache, seed: &[u8; 32], items: &[SignedMessage<'_>]) -> Vec<bool> {
    let mut verdicts = vec![false; items.len()];
    for (items, verdicts) in items.chunks(MAX_BATCH).zip(verdicts.chunks_mut(MAX_BATCH)) {
        Batch::new(cache, seed, items).check(|position| verdicts[position] = true);
    }
    verdicts
}

/// A signature that satisfies rules 1 to 3, with its coefficient.
struct Term {
    /// Index into the caller's items.
    position: usize,
    /// Index into the batch's keys.
    key: usize,
    parts: SignatureParts,
    /// k, the challenge.
    k: Scalar,
    /// z, the coefficient.
    z: Scalar,
    /// −R.
    negated_r: EdwardsPoint,
}

struct Batch {
    terms: Vec<Term>,
    /// Distinct keys.
    keys: Vec<VerifyingKey>,
}

impl Batch {
    fn new(cache: &KeyCache, seed: &[u8; 32], items: &[SignedMessage<'_>]) -> Self {
        let mut slots = HashMap::new();
        let mut keys = Vec::new();
        let mut terms = Vec::with_capacity(items.len());
        let mut transcript = Sha512::new();
        transcript.update(DOMAIN);
        transcript.update(seed);
        for (position, item) in items.iter().enumerate() {
            let slot = *slots.entry(item.key).or_insert_with(|| {
                cache.decode(item.key).map(|key| {
                    keys.push(key);
                    keys.len() - 1
                })
            });
            let (Some(key), Some(parts)) = (slot, SignatureParts::decode(item.signature)) else {
                continue;
            };
            let k = challenge(item.key, item.message, item.signature);
            transcript.update(item.key.as_bytes());
            transcript.update(item.signature.as_bytes());
            transcript.update(k.as_bytes());
            terms.push(Term {
                position,
                key,
                parts,
                k,
                z: Scalar::ZERO,
                negated_r: -parts.r,
            });
        }
        let transcript: [u8; 64] = transcript.finalize().into();
        for (group, terms) in (0u64..).zip(terms.chunks_mut(4)) {
            let expanded: [u8; 64] = Sha512::new()
                .chain_update(transcript)
                .chain_update(group.to_le_bytes())
                .finalize()
                .into();
            for (term, bytes) in terms.iter_mut().zip(expanded.as_chunks::<16>().0) {
                term.z = Scalar::from(u128::from_le_bytes(*bytes));
            }
        }
        Self { terms, keys }
    }

    /// Calls `valid` with the position of each valid signature.
    fn check(&self, mut valid: impl FnMut(usize)) {
        let mut scratch = Scratch::default();
        let mut budget = EXTRA_PASSES * self.terms.len();
        let mut open = VecDeque::new();
        if self.terms.len() > SMALLEST_SUM {
            let all = 0..self.terms.len();
            open.push_back((all.clone(), self.sum(all, &mut scratch)));
        } else {
            self.check_singly(&self.terms, &mut valid);
        }
        // Breadth first: the budget goes to the long sums, where halving gains most.
        while let Some((range, sum)) = open.pop_front() {
            if sum.is_small_order() {
                self.terms[range]
                    .iter()
                    .for_each(|term| valid(term.position));
                continue;
            }
            let middle = range.start + range.len() / 2;
            let left = range.start..middle;
            if range.len() <= SMALLEST_SUM || left.len() > budget {
                self.check_singly(&self.terms[range], &mut valid);
                continue;
            }
            budget -= left.len();
            let left_sum = self.sum(left.clone(), &mut scratch);
            open.push_back((left, left_sum));
            open.push_back((middle..range.end, sum - left_sum));
        }
    }

    fn check_singly(&self, terms: &[Term], valid: &mut impl FnMut(usize)) {
        for term in terms {
            if self.keys[term.key].equation_holds(&term.k, &term.parts) {
                valid(term.position);
            }
        }
    }

    /// Σ z·E over a range of terms.
    fn sum(&self, range: Range<usize>, scratch: &mut Scratch) -> EdwardsPoint {
        let terms = &self.terms[range];
        scratch.clear(self.keys.len());
        let mut base = Scalar::ZERO;
        for term in terms {
            base += term.z * term.parts.s;
            *scratch.key_scalar(term.key) += term.z * term.k;
        }
        let scalars = std::iter::once(&base)
            .chain(&scratch.scalars)
            .chain(terms.iter().map(|term| &term.z));
        let points = std::iter::once(&ED25519_BASEPOINT_POINT)
            .chain(scratch.keys.iter().map(|&key| self.keys[key].negated()))
            .chain(terms.iter().map(|term| &term.negated_r));
        EdwardsPoint::vartime_multiscalar_mul(
            scalars.collect::<Vec<_>>(),
            points.collect::<Vec<_>>(),
        )
    }
}

/// The scalars of the keys that occur in one sum.
#[derive(Default)]
struct Scratch {
    /// Place in `scalars` of each key of the batch, if it occurs.
    places: Vec<Option<usize>>,
    keys: Vec<usize>,
    scalars: Vec<Scalar>,
}

impl Scratch {
    fn clear(&mut self, keys: usize) {
        self.places.clear();
        self.places.resize(keys, None);
        self.keys.clear();
        self.scalars.clear();
    }

    fn key_scalar(&mut self, key: usize) -> &mut Scalar {
        let place = *self.places[key].get_or_insert_with(|| {
            self.keys.push(key);
            self.scalars.push(Scalar::ZERO);
            self.scalars.len() - 1
        });
        &mut self.scalars[place]
    }
}
