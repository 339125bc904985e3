//! The MAC of a store: HMAC with a key that the derivation of RFC 7292, appendix B, makes from the passphrase.

use der::asn1::{ObjectIdentifier, OctetStringRef};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::digest::common::BlockSizeUser;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::{Zeroize, Zeroizing};

use super::asn1::{Algorithm, DigestInfo, MacData, oid, unsupported};
use super::{KeyStoreError, MAX_ITERATIONS, MAX_SALT_BYTES, broken};
use crate::{Passphrase, random};

/// Checks a MAC over `content`.
pub(super) fn verify(
    mac: &MacData<'_>,
    content: &[u8],
    passphrase: &Passphrase,
) -> Result<(), KeyStoreError> {
    let salt = mac.salt.as_bytes();
    if salt.len() > MAX_SALT_BYTES {
        return Err(KeyStoreError::Broken("salt of the MAC"));
    }
    let iterations = mac.iterations;
    if iterations == 0 || iterations > u64::from(MAX_ITERATIONS) {
        return Err(KeyStoreError::TooManyIterations(iterations));
    }
    let verify = verifier(&mac.mac.algorithm.oid)?;
    let expected = mac.mac.digest.as_bytes();
    if verify(content, passphrase, salt, iterations, expected) {
        Ok(())
    } else {
        Err(KeyStoreError::WrongStorePassphrase)
    }
}

type Verify = fn(&[u8], &Passphrase, &[u8], u64, &[u8]) -> bool;

fn verifier(digest: &ObjectIdentifier) -> Result<Verify, KeyStoreError> {
    /// HMAC of one digest, with a check that takes the same time whatever differs.
    macro_rules! hmac {
        ($digest:ty) => {
            |content, passphrase, salt, iterations, expected| {
                let key = derive::<$digest>(Purpose::Mac, passphrase, salt, iterations);
                let mut mac = Hmac::<$digest>::new_from_slice(&key).expect("a key of any length");
                mac.update(content);
                mac.verify_slice(expected).is_ok()
            }
        };
    }
    Ok(match *digest {
        oid::SHA1 => hmac!(Sha1),
        oid::SHA224 => hmac!(Sha224),
        oid::SHA256 => hmac!(Sha256),
        oid::SHA384 => hmac!(Sha384),
        oid::SHA512 => hmac!(Sha512),
        _ => return Err(unsupported("a MAC", digest)),
    })
}

/// A new MAC, as Java makes it: SHA-256 and a salt of 20 bytes.
pub(super) struct Fresh {
    digest: [u8; 32],
    salt: [u8; 20],
    iterations: u32,
}

impl Fresh {
    pub(super) fn new(
        content: &[u8],
        passphrase: &Passphrase,
        iterations: u32,
    ) -> Result<Self, KeyStoreError> {
        let salt = random()?;
        let key = derive::<Sha256>(Purpose::Mac, passphrase, &salt, iterations.into());
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
        mac.update(content);
        Ok(Self {
            digest: mac.finalize().into_bytes().into(),
            salt,
            iterations,
        })
    }

    pub(super) fn data(&self) -> Result<MacData<'_>, KeyStoreError> {
        let octets = |bytes| OctetStringRef::new(bytes).map_err(broken("size"));
        Ok(MacData {
            mac: DigestInfo {
                algorithm: Algorithm::with_null(oid::SHA256),
                digest: octets(&self.digest)?,
            },
            salt: octets(&self.salt)?,
            iterations: self.iterations.into(),
        })
    }
}

/// What is derived from a passphrase (RFC 7292 B.3).
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// RFC 7292 B.2 for as many bytes as the digest has: then its loop over output blocks runs once.
pub(super) fn derive<D: Digest + BlockSizeUser>(
    purpose: Purpose,
    passphrase: &Passphrase,
    salt: &[u8],
    iterations: u64,
) -> Zeroizing<Vec<u8>> {
    let block = D::block_size();
    let mut password = Zeroizing::new(Vec::with_capacity(2 * passphrase.expose().len() + 2));
    // BMPString with its terminating zero; what needs two UTF-16 units takes two, as in Java.
    for unit in passphrase.expose().encode_utf16().chain([0]) {
        password.extend_from_slice(&unit.to_be_bytes());
    }
    let mut digest = D::new();
    digest.update(vec![purpose as u8; block]);
    for part in [salt, &password] {
        let filled = part.len().next_multiple_of(block);
        let repeated = part.iter().copied().cycle().take(filled);
        let repeated: Zeroizing<Vec<u8>> = Zeroizing::new(repeated.collect());
        digest.update(&*repeated);
    }
    let mut output = digest.finalize();
    for _ in 1..iterations {
        output = D::digest(&output);
    }
    let key = Zeroizing::new(output.to_vec());
    output.as_mut_slice().zeroize();
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key<D: Digest + BlockSizeUser>(passphrase: &str, salt: &str, iterations: u64) -> String {
        let passphrase = Passphrase::copy_of(passphrase).unwrap();
        hex::encode(&*derive::<D>(
            Purpose::Mac,
            &passphrase,
            &hex::decode(salt).unwrap(),
            iterations,
        ))
    }

    #[test]
    fn keys_are_those_of_openssl() {
        // openssl kdf -kdfopt id:3 -kdfopt iter:10 -kdfopt hexpass:… PKCS12KDF, version 3.0
        let salt = "01".repeat(70);
        let key = [
            key::<Sha1>("Grüße 🔑", &salt, 10),
            key::<Sha224>("Grüße 🔑", &salt, 10),
            key::<Sha256>("Grüße 🔑", &salt, 10),
            key::<Sha384>("Grüße 🔑", &salt, 10),
            key::<Sha512>("Grüße 🔑", &salt, 10),
        ];
        assert_eq!(
            key,
            [
                "1b48e2378865bd34d96a41ff12c223f81bb3411a",
                "f3835f9fe866897f4624ea8f3354cf546ba2a59e5339c78cf7949edd",
                "4f32ab06d59596d0bccdb95f5b4314c07d6f9a8658cbd4059a41a4820fc23500",
                "744d00f21a18b30d262eb292558986e21bdf77636b31fa362811edaa9200496a0045ef3c3b3cd022a1cfb329c651034c",
                "55f02a1625a69d67e8ec108a8ab789bc237371170a8bc4acfd1b65e030d71484a336b466a0c1927d2e99b2f9cc84a65885144f14140dbdccad4fafdb7b9741db",
            ]
        );
    }
}
