//! A key as a PEM file: what the reference exports (`spec/09 §3.4`), and what OpenSSL writes.

use der::pem;
use zeroize::Zeroizing;

use crate::pkcs12::{decrypt_private_key, read_private_key};
use crate::{KeyStoreError, MemoryError, Passphrase, Seed};

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const PLAIN: &str = "PRIVATE KEY";
/// How a text begins that is one.
const BEGIN: &str = "-----BEGIN ";

/// No key in the text.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It is not laid out as RFC 7468 says.
    #[error("the PEM text is damaged: {0}")]
    Text(pem::Error),
    /// It is something else.
    #[error("the PEM text holds a {0:?}, not a private key (\"{ENCRYPTED}\" or \"{PLAIN}\")")]
    Label(String),
    /// It needs a passphrase.
    #[error("the PEM text is encrypted, and there is no passphrase for it")]
    NoPassphrase,
    /// The passphrase, or a change of the text.
    #[error("wrong passphrase of the PEM text")]
    WrongPassphrase,
    /// What only other programs can decrypt.
    #[error(
        "the PEM text uses {0}, which is not supported: `openssl pkcs8 -topk8 -v2 aes-256-cbc` makes one of it that is"
    )]
    Unsupported(String),
    /// What is inside is no private key.
    #[error("the PEM text is damaged: {0}")]
    Content(KeyStoreError),
    /// No memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// Whether a text is a PEM text, good or not.
#[must_use]
pub fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with(BEGIN)
}

/// Whether it takes a passphrase to read it.
#[must_use]
pub fn is_encrypted(text: &str) -> bool {
    let rest = text.trim_start().strip_prefix(BEGIN);
    rest.is_some_and(|rest| rest.starts_with(ENCRYPTED))
}

/// The seed of an Ed25519 key.
///
/// # Errors
/// [`PemError`].
pub fn seed(text: &str, passphrase: Option<&Passphrase>) -> Result<Seed, PemError> {
    let (label, content) = pem::decode_vec(text.trim().as_bytes()).map_err(PemError::Text)?;
    let content = Zeroizing::new(content);
    let seed = match (label, passphrase) {
        (PLAIN, _) => read_private_key(&content),
        (ENCRYPTED, Some(passphrase)) => decrypt_private_key(&content, passphrase),
        (ENCRYPTED, None) => return Err(PemError::NoPassphrase),
        (other, _) => return Err(PemError::Label(other.to_owned())),
    };
    seed.map_err(|error| match error {
        KeyStoreError::WrongKeyPassphrase => PemError::WrongPassphrase,
        KeyStoreError::Unsupported(what) => PemError::Unsupported(what),
        KeyStoreError::Memory(error) => error.into(),
        other => PemError::Content(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `spec/09 §3.4`: of the reference, passphrase `foobar`, seed 1.
    const REFERENCE: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MGUwKQYKKoZIhvcNAQwBBTAbBBTXKHnsxITtdYT3+2WebwFZImfS2gIDAQAABDic
qSZhBN3Zn2qhDG6pNmhTGw8QuVeYmFigbWJubr4Xmye1nWemp13uQnOFlE1FSONG
Jur+COtB5w==
-----END ENCRYPTED PRIVATE KEY-----
";
    /// The same key by OpenSSL 3.0: PBES2 with AES, 4,096 iterations.
    const OPENSSL: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiD71burjPfBQICEAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEHpAXNwD2LlVzKracBB+CjAEQN7b
YjZb2YU9LSGeug8f4OVh/3zMXhry8Z/mVjweys6+SzEGDhN+EVwfCWqIE2t5QKKK
v1dZdjjU6zbxSVwBDDk=
-----END ENCRYPTED PRIVATE KEY-----
";
    const OPEN: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB
-----END PRIVATE KEY-----
";
    /// By OpenSSL with an older cipher.
    const TRIPLE_DES: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MFgwHAYKKoZIhvcNAQwBAzAOBAib7romyjh2OgICCAAEOBjDco5F/LoGCgnIqShA
WXUKRmVjpFgnFkobmM6mjTcEpxj80KRoTbD8/Ski/QZX5WIRYkh8+j2D
-----END ENCRYPTED PRIVATE KEY-----
";

    fn passphrase(text: &str) -> Option<Passphrase> {
        Some(Passphrase::copy_of(text).unwrap())
    }

    fn is_seed_one(seed: &Seed) -> bool {
        seed.expose()[..31] == [0; 31] && seed.expose()[31] == 1
    }

    #[test]
    fn keys_of_the_reference_and_of_openssl_are_read() {
        for text in [REFERENCE, OPENSSL] {
            assert!(is_pem(text) && is_encrypted(text));
            let read = seed(text, passphrase("foobar").as_ref()).unwrap();
            assert!(is_seed_one(&read));
            let crlf = text.replace('\n', "\r\n");
            assert!(is_seed_one(
                &seed(&crlf, passphrase("foobar").as_ref()).unwrap()
            ));
        }
        assert!(is_pem(OPEN) && !is_encrypted(OPEN));
        assert!(is_seed_one(&seed(OPEN, None).unwrap()));
    }

    #[test]
    fn a_wrong_passphrase_is_told_as_that() {
        for text in [REFERENCE, OPENSSL] {
            // Enough of them that some decrypt to good padding.
            for n in 0..if text == REFERENCE { 3 } else { 300 } {
                let wrong = passphrase(&format!("foobar{n}"));
                let error = seed(text, wrong.as_ref()).unwrap_err();
                assert!(matches!(error, PemError::WrongPassphrase), "{error}");
            }
            assert!(matches!(seed(text, None), Err(PemError::NoPassphrase)));
        }
    }

    #[test]
    fn what_is_damaged_foreign_or_not_supported_is_told_apart() {
        let given = passphrase("foobar");
        let error = |text: &str| seed(text, given.as_ref()).unwrap_err();
        assert!(matches!(error(&REFERENCE[..200]), PemError::Text(_)));
        let certificate = OPEN.replace("PRIVATE KEY", "CERTIFICATE");
        assert!(matches!(error(&certificate), PemError::Label(_)));
        let changed = OPEN.replace("MC4C", "MC8C");
        assert!(matches!(error(&changed), PemError::Content(_)));
        let text = error(TRIPLE_DES).to_string();
        assert!(text.contains("openssl pkcs8"), "{text}");
        // X25519 instead of Ed25519.
        let other = OPEN.replace("BQYDK2Vw", "BQYDK2Vu");
        assert!(matches!(error(&other), PemError::Unsupported(_)));
    }
}
