//! The rules of the accept set one by one, and the law that a batch answers as single checks do.

use crypto::{
    AccountKey, KeyCache, Signature, SignedMessage, SigningKey, VerifyingKey, sha3_256, verify,
    verify_batch,
};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;
use sha2::{Digest, Sha512};

/// L, the group order, little-endian.
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[derive(Debug, Clone)]
struct Signed {
    key: AccountKey,
    message: Vec<u8>,
    signature: Signature,
}

impl Signed {
    fn is_valid(&self) -> bool {
        let valid = verify(&self.key, &self.message, &self.signature);
        let decoded = VerifyingKey::decode(&self.key);
        let again = decoded.is_some_and(|key| key.verify(&self.message, &self.signature));
        assert_eq!(valid, again);
        valid
    }

    fn item(&self) -> SignedMessage<'_> {
        SignedMessage {
            key: &self.key,
            message: &self.message,
            signature: &self.signature,
        }
    }
}

fn honest(seed: u64, message: &[u8]) -> Signed {
    let signer = SigningKey::from_seed(&sha3_256(&seed.to_le_bytes()));
    Signed {
        key: signer.account_key(),
        message: message.to_vec(),
        signature: signer.sign(message),
    }
}

/// A signature made with full control: the key and R get the given torsion components, and may be given other bytes.
struct Forge {
    key_torsion: EdwardsPoint,
    r_torsion: EdwardsPoint,
    key_bytes: Option<[u8; 32]>,
    r_bytes: Option<[u8; 32]>,
    secret: Scalar,
    nonce: Scalar,
}

impl Forge {
    fn new(seed: u64) -> Self {
        let scalar = |label: u8| {
            let hash: [u8; 64] =
                Sha512::digest([&seed.to_le_bytes()[..], &[label]].concat()).into();
            Scalar::from_bytes_mod_order_wide(&hash)
        };
        Self {
            key_torsion: EIGHT_TORSION[0],
            r_torsion: EIGHT_TORSION[0],
            key_bytes: None,
            r_bytes: None,
            secret: scalar(0),
            nonce: scalar(1),
        }
    }

    fn sign(&self, message: &[u8]) -> Signed {
        let encode = |scalar: &Scalar, torsion: EdwardsPoint| {
            (scalar * ED25519_BASEPOINT_POINT + torsion)
                .compress()
                .to_bytes()
        };
        let key = self
            .key_bytes
            .unwrap_or_else(|| encode(&self.secret, self.key_torsion));
        let r = self
            .r_bytes
            .unwrap_or_else(|| encode(&self.nonce, self.r_torsion));
        let hash: [u8; 64] = Sha512::digest([&r[..], &key, message].concat()).into();
        let s = self.nonce + Scalar::from_bytes_mod_order_wide(&hash) * self.secret;
        Signed {
            key: key.into(),
            message: message.to_vec(),
            signature: signature(r, s.to_bytes()),
        }
    }
}

fn signature(r: [u8; 32], s: [u8; 32]) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&r);
    bytes[32..].copy_from_slice(&s);
    bytes.into()
}

/// a + b as 256-bit little-endian numbers.
fn add(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    std::array::from_fn(|i| {
        let sum = u16::from(a[i]) + u16::from(b[i]) + carry;
        carry = sum >> 8;
        sum as u8
    })
}

/// y + p for a small y: the other encoding of the same point, with the sign of x as given.
fn plus_p(y: u8, sign: bool) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + y;
    bytes[31] = if sign { 0xff } else { 0x7f };
    bytes
}

#[test]
fn an_honest_signature_is_accepted_and_only_for_its_message_and_key() {
    let signed = honest(1, b"hello");
    assert!(signed.is_valid());
    assert!(
        !Signed {
            message: b"hellp".to_vec(),
            ..signed.clone()
        }
        .is_valid()
    );
    assert!(
        !Signed {
            key: honest(2, b"").key,
            ..signed
        }
        .is_valid()
    );
}

#[test]
fn a_forge_without_tricks_makes_honest_signatures() {
    assert!(Forge::new(1).sign(b"hello").is_valid());
}

#[test]
fn rule_1_s_must_be_below_the_group_order() {
    let signed = honest(1, b"hello");
    let (r, s) = signed.signature.as_bytes().split_at(32);
    let (r, s): ([u8; 32], [u8; 32]) = (r.try_into().unwrap(), s.try_into().unwrap());
    let mut larger = s;
    for multiple in 1..=7 {
        larger = add(larger, GROUP_ORDER);
        let signed = Signed {
            signature: signature(r, larger),
            ..signed.clone()
        };
        assert!(!signed.is_valid(), "S + {multiple}L");
    }
}

#[test]
fn rule_2_r_may_have_small_order() {
    for torsion in EIGHT_TORSION {
        let forge = Forge {
            nonce: Scalar::ZERO,
            r_torsion: torsion,
            ..Forge::new(3)
        };
        assert!(forge.sign(b"small R").is_valid());
    }
}

#[test]
fn rule_2_r_must_be_canonical() {
    // The identity is y = 1. Its other encodings: y + p, and the sign of x = 0 set.
    let identity = Forge {
        nonce: Scalar::ZERO,
        ..Forge::new(3)
    };
    assert_eq!(
        identity.sign(b"m").signature.as_bytes()[..32],
        EIGHT_TORSION[0].compress().to_bytes()
    );
    let mut minus_zero = [0; 32];
    (minus_zero[0], minus_zero[31]) = (1, 0x80);
    for bytes in [plus_p(1, false), plus_p(1, true), minus_zero] {
        let forge = Forge {
            nonce: Scalar::ZERO,
            r_bytes: Some(bytes),
            ..Forge::new(3)
        };
        assert!(!forge.sign(b"m").is_valid(), "{bytes:02x?}");
    }
    // The point of order two is y = −1, x = 0, accepted above; with the sign set it isn't.
    let order_two = EIGHT_TORSION[4].compress().to_bytes();
    assert_eq!(order_two[0], 0xec);
    let mut minus_zero = order_two;
    minus_zero[31] |= 0x80;
    let forge = Forge {
        nonce: Scalar::ZERO,
        r_bytes: Some(minus_zero),
        ..Forge::new(3)
    };
    assert!(!forge.sign(b"m").is_valid());
}

#[test]
fn rule_2_r_must_decode() {
    let mut forge = Forge::new(3);
    let mut y = [0; 32];
    y[0] = 2;
    assert!(CompressedEdwardsY(y).decompress().is_none());
    forge.r_bytes = Some(y);
    assert!(!forge.sign(b"m").is_valid());
}

#[test]
fn rule_3_the_key_must_not_have_small_order() {
    for torsion in EIGHT_TORSION {
        let forge = Forge {
            secret: Scalar::ZERO,
            key_torsion: torsion,
            ..Forge::new(4)
        };
        let signed = forge.sign(b"small key");
        assert!(!signed.is_valid());
        assert_eq!(VerifyingKey::decode(&signed.key), None);
    }
}

#[test]
fn rule_3_the_key_may_have_a_torsion_component() {
    for torsion in EIGHT_TORSION {
        let forge = Forge {
            key_torsion: torsion,
            ..Forge::new(5)
        };
        assert!(forge.sign(b"mixed key").is_valid());
    }
}

#[test]
fn rule_3_the_key_must_be_canonical() {
    // Every y below 19 has a second encoding y + p. Those that decode must still be refused.
    let mut decodable = 0;
    for y in 0..19 {
        for sign in [false, true] {
            let bytes = plus_p(y, sign);
            if CompressedEdwardsY(bytes).decompress().is_some() {
                decodable += 1;
            }
            assert_eq!(VerifyingKey::decode(&bytes.into()), None, "{bytes:02x?}");
        }
    }
    assert!(decodable > 10);
}

#[test]
fn keys_decode_exactly_when_their_point_encodes_to_the_same_bytes() {
    // All encodings near 0, p and 2^255, with both signs.
    for low in 0..=255u8 {
        for fill in [0, 0xff] {
            for top in [0, 0x7f, 0x80, 0xff] {
                let mut bytes = [fill; 32];
                (bytes[0], bytes[31]) = (low, top);
                let point = CompressedEdwardsY(bytes).decompress();
                let usable = point.is_some_and(|point| {
                    point.compress().to_bytes() == bytes && !point.is_small_order()
                });
                assert_eq!(
                    VerifyingKey::decode(&bytes.into()).is_some(),
                    usable,
                    "{bytes:02x?}"
                );
            }
        }
    }
}

#[test]
fn rule_4_the_equation_is_cofactored() {
    for key_torsion in EIGHT_TORSION {
        for r_torsion in EIGHT_TORSION {
            let forge = Forge {
                key_torsion,
                r_torsion,
                ..Forge::new(6)
            };
            assert!(forge.sign(b"mixed key and R").is_valid());
        }
    }
}

#[test]
fn an_empty_batch_has_no_verdicts() {
    assert!(verify_batch(&KeyCache::new(10), &[0; 32], &[]).is_empty());
}

#[test]
fn one_bad_signature_is_found_at_every_position() {
    let cache = KeyCache::new(100);
    let batch: Vec<_> = (0..33).map(|i| honest(i % 5, &[i as u8])).collect();
    for bad in 0..batch.len() {
        let mut batch = batch.clone();
        batch[bad].message.push(0);
        let items: Vec<_> = batch.iter().map(Signed::item).collect();
        let verdicts = verify_batch(&cache, &[1; 32], &items);
        let expected: Vec<_> = (0..batch.len()).map(|i| i != bad).collect();
        assert_eq!(verdicts, expected);
    }
}

#[test]
fn errors_that_cancel_without_coefficients_are_found() {
    // S + d in one signature and S − d in another: the plain sum of both equations holds.
    let shift = |signed: &mut Signed, delta: Scalar| {
        let (r, s) = signed.signature.as_bytes().split_at(32);
        let s = Scalar::from_canonical_bytes(s.try_into().unwrap()).unwrap() + delta;
        signed.signature = signature(r.try_into().unwrap(), s.to_bytes());
    };
    let mut batch: Vec<_> = (0..20).map(|i| honest(1, &[i])).collect();
    shift(&mut batch[3], Scalar::from(77u8));
    shift(&mut batch[4], -Scalar::from(77u8));
    let items: Vec<_> = batch.iter().map(Signed::item).collect();
    let verdicts = verify_batch(&KeyCache::new(10), &[0; 32], &items);
    let expected: Vec<_> = (0..20).map(|i| i != 3 && i != 4).collect();
    assert_eq!(verdicts, expected);
}

#[test]
fn a_batch_of_bad_signatures_only_is_refused_wholly() {
    let batch: Vec<_> = (0..300)
        .map(|i| Signed {
            message: vec![9],
            ..honest(i % 7, &i.to_le_bytes())
        })
        .collect();
    let items: Vec<_> = batch.iter().map(Signed::item).collect();
    assert_eq!(
        verify_batch(&KeyCache::new(10), &[3; 32], &items),
        [false; 300]
    );
}

/// Any kind of signature: honest, with torsion, or broken in one of several ways.
fn any_signed() -> impl Strategy<Value = Signed> {
    let message = prop::collection::vec(any::<u8>(), 0..50);
    (
        0u64..6,
        0usize..8,
        0usize..8,
        0u8..10,
        any::<prop::sample::Index>(),
        message,
    )
        .prop_map(|(seed, key_torsion, r_torsion, kind, place, message)| {
            let (key_torsion, r_torsion) = (EIGHT_TORSION[key_torsion], EIGHT_TORSION[r_torsion]);
            let forge = Forge::new(seed);
            let mut signed = match kind {
                0..=3 => honest(seed, &message),
                4 | 5 => Forge {
                    key_torsion,
                    r_torsion,
                    ..forge
                }
                .sign(&message),
                6 => Forge {
                    nonce: Scalar::ZERO,
                    r_torsion,
                    ..forge
                }
                .sign(&message),
                7 => Forge {
                    secret: Scalar::ZERO,
                    key_torsion,
                    ..forge
                }
                .sign(&message),
                _ => honest(seed, &message),
            };
            if kind == 8 {
                signed.message.push(0);
            }
            if kind == 9 {
                let mut bytes = signed.signature.to_bytes();
                let bit = place.index(512);
                bytes[bit / 8] ^= 1 << (bit % 8);
                signed.signature = bytes.into();
            }
            signed
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn honest_signatures_are_accepted(seed: [u8; 32], message: Vec<u8>) {
        let signer = SigningKey::from_seed(&seed);
        prop_assert!(verify(&signer.account_key(), &message, &signer.sign(&message)));
    }

    #[test]
    fn any_flipped_bit_is_refused(
        seed: u64,
        message in prop::collection::vec(any::<u8>(), 1..80),
        place: prop::sample::Index,
    ) {
        let mut signed = honest(seed, &message);
        let (mut key, mut bytes) = (signed.key.to_bytes(), signed.signature.to_bytes());
        let bit = place.index(8 * (32 + 64 + message.len()));
        let (byte, mask) = (bit / 8, 1 << (bit % 8));
        match byte {
            0..32 => key[byte] ^= mask,
            32..96 => bytes[byte - 32] ^= mask,
            _ => signed.message[byte - 96] ^= mask,
        }
        (signed.key, signed.signature) = (key.into(), bytes.into());
        prop_assert!(!signed.is_valid());
    }

    #[test]
    fn a_batch_answers_as_single_checks_do(
        batch in prop::collection::vec(any_signed(), 0..80),
        seed: [u8; 32],
    ) {
        let items: Vec<_> = batch.iter().map(Signed::item).collect();
        let verdicts = verify_batch(&KeyCache::new(4), &seed, &items);
        let expected: Vec<_> = batch.iter().map(Signed::is_valid).collect();
        prop_assert_eq!(verdicts, expected);
    }

    #[test]
    fn a_mostly_valid_batch_answers_as_single_checks_do(
        bad in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        count in 200usize..300,
    ) {
        let mut batch: Vec<_> = (0..count).map(|i| honest(i as u64 % 3, &i.to_le_bytes())).collect();
        let bad: Vec<_> = bad.into_iter().map(|index| index.index(count)).collect();
        for &index in &bad {
            batch[index].message = b"another".to_vec();
        }
        let items: Vec<_> = batch.iter().map(Signed::item).collect();
        let verdicts = verify_batch(&KeyCache::new(40), &[0; 32], &items);
        for (i, verdict) in verdicts.into_iter().enumerate() {
            prop_assert_eq!(verdict, !bad.contains(&i));
        }
    }
}
