//! Checking one signature, with exactly the accept set of the network (spec/01 §11.1).
//!
//! (R, S) is a valid signature by key A over message M when all of these hold:
//!
//! 1. S is canonical: below the group order L.
//! 2. R decodes and is the canonical encoding of its point. Small order is allowed.
//! 3. A decodes, is the canonical encoding of its point, and 8·A is not the identity. Torsion is allowed.
//! 4. 8·(S·B − k·A − R) is the identity, where k = SHA-512(R ‖ A ‖ M) mod L over the bytes as given.
//!
//! This is neither the default nor the strict check of common libraries, nor ZIP-215: each of those would fork the
//! state on crafted input.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha512};

use crate::{AccountKey, Signature};

/// A key that satisfies rule 3, decoded. Decoding costs about as much as a tenth of a check, so keep these
/// (see [`crate::KeyCache`]).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey {
    key: AccountKey,
    /// −A, the form in which the equation needs it.
    negated: EdwardsPoint,
}

impl VerifyingKey {
    /// Decodes a key; `None` when no signature by it is ever valid.
    #[must_use]
    pub fn decode(key: &AccountKey) -> Option<Self> {
        let point = decode_canonical(key.as_bytes())?;
        (!point.is_small_order()).then(|| Self {
            key: *key,
            negated: -point,
        })
    }

    /// The bytes this was decoded from.
    #[must_use]
    pub fn account_key(&self) -> &AccountKey {
        &self.key
    }

    /// Whether `signature` is valid for `message` under this key.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let Some(parts) = SignatureParts::decode(signature) else {
            return false;
        };
        let k = challenge(&self.key, message, signature);
        self.equation_holds(&k, &parts)
    }

    /// Rule 4.
    pub(crate) fn equation_holds(&self, k: &Scalar, parts: &SignatureParts) -> bool {
        let expected_r =
            EdwardsPoint::vartime_double_scalar_mul_basepoint(k, &self.negated, &parts.s);
        (expected_r - parts.r).is_small_order()
    }

    pub(crate) fn negated(&self) -> &EdwardsPoint {
        &self.negated
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyingKey({})", self.key)
    }
}

/// Whether `signature` is valid for `message` under `key`.
///
/// Decodes the key each time; where keys recur use [`crate::KeyCache::verify`] or keep a [`VerifyingKey`].
#[must_use]
pub fn verify(key: &AccountKey, message: &[u8], signature: &Signature) -> bool {
    VerifyingKey::decode(key).is_some_and(|key| key.verify(message, signature))
}

/// A signature that satisfies rules 1 and 2.
#[derive(Clone, Copy)]
pub(crate) struct SignatureParts {
    pub(crate) r: EdwardsPoint,
    pub(crate) s: Scalar,
}

impl SignatureParts {
    pub(crate) fn decode(signature: &Signature) -> Option<Self> {
        let s = Option::from(Scalar::from_canonical_bytes(*signature.s_bytes()))?;
        let r = decode_canonical(signature.r_bytes())?;
        Some(Self { r, s })
    }
}

/// k of rule 4.
pub(crate) fn challenge(key: &AccountKey, message: &[u8], signature: &Signature) -> Scalar {
    let hash = Sha512::new()
        .chain_update(signature.r_bytes())
        .chain_update(key.as_bytes())
        .chain_update(message)
        .finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

fn decode_canonical(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    if !is_canonical(bytes) {
        return None;
    }
    CompressedEdwardsY(*bytes).decompress()
}

/// Whether the bytes, if they decode at all, are the encoding that their point would get.
///
/// An encoding is y (255 bits, little-endian) and the sign of x. It is not canonical when y ≥ p = 2^255 − 19, or
/// when the sign is set although x = 0, which is so exactly for y = ±1. Checking that on the bytes saves the
/// inversion of encoding the point again.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let mut y = *bytes;
    y[31] &= 0x7f;
    let sign = bytes[31] != y[31];
    let low = y[0];
    let middle = &y[1..31];
    if y[31] == 0x7f && middle.iter().all(|&byte| byte == 0xff) {
        // p ends in ed; ec is −1.
        low < 0xec || (low == 0xec && !sign)
    } else {
        let is_one = low == 1 && y[31] == 0 && middle.iter().all(|&byte| byte == 0);
        !(is_one && sign)
    }
}
