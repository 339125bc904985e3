//! Signing keys.

use ed25519_dalek::Signer;

use crate::{AccountKey, Signature};

/// An Ed25519 signing key. The secret is erased when it is dropped, never printed, and can't be copied out.
pub struct SigningKey {
    secret: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// The key of an RFC 8032 seed. The caller erases its own copy of the seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self {
            secret: ed25519_dalek::SigningKey::from_bytes(seed),
        }
    }

    /// The public key that verifies what this key signs.
    #[must_use]
    pub fn account_key(&self) -> AccountKey {
        AccountKey::new(self.secret.verifying_key().to_bytes())
    }

    /// Signs `message` (RFC 8032 Ed25519, deterministic, no prefix, no pre-hash; spec/01 §11.1).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::new(self.secret.sign(message).to_bytes())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey(secret of {})", self.account_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8032 §7.1, test 2.
    const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    fn key() -> SigningKey {
        SigningKey::from_seed(SEED.parse::<AccountKey>().unwrap().as_bytes())
    }

    #[test]
    fn signatures_are_those_of_rfc_8032() {
        assert_eq!(key().account_key(), PUBLIC.parse().unwrap());
        assert_eq!(key().sign(&[0x72]), SIGNATURE.parse().unwrap());
    }

    #[test]
    fn the_debug_form_shows_no_secret() {
        let shown = format!("{:?}", key());
        assert!(shown.contains(PUBLIC));
        assert!(!shown.contains(SEED));
    }

    #[test]
    fn the_secret_is_erased_on_drop() {
        fn erased_on_drop<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        erased_on_drop(&key().secret);
    }
}
