//! PBES2 (RFC 8018): PBKDF2 and AES in CBC mode, which is how keytool and the reference encrypt keys.

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use cbc::{Decryptor, Encryptor};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::asn1::{Algorithm, EncryptedKey, Pbes2, Pbkdf2, oid, unsupported};
use super::{KeyStoreError, MAX_ITERATIONS, MAX_SALT_BYTES, broken};
use crate::{Passphrase, random};

/// Decrypts an EncryptedPrivateKeyInfo. A wrong passphrase shows by the padding, but once in 256 times it doesn't.
pub(super) fn decrypt(
    encoded: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
    let encrypted = EncryptedKey::from_der(encoded).map_err(broken("encrypted key"))?;
    if encrypted.algorithm.oid != oid::PBES2 {
        return Err(unsupported("an encryption", &encrypted.algorithm.oid));
    }
    let scheme: Pbes2<'_> = encrypted.algorithm.parameters("encryption of a key")?;
    let length = match scheme.cipher.oid {
        oid::AES128_CBC => 16,
        oid::AES192_CBC => 24,
        oid::AES256_CBC => 32,
        other => return Err(unsupported("a cipher", &other)),
    };
    let iv: &OctetStringRef = scheme.cipher.parameters("cipher of a key")?;
    let data = encrypted.data.as_bytes();
    if iv.as_bytes().len() != 16 || data.is_empty() || !data.len().is_multiple_of(16) {
        return Err(KeyStoreError::Broken("encryption of a key"));
    }
    let key = derive(&scheme.derivation, length, passphrase)?;
    let mut buffer = Zeroizing::new(data.to_vec());
    let iv = iv.as_bytes();
    let plain = match length {
        16 => open::<Decryptor<Aes128>>(&key, iv, &mut buffer),
        24 => open::<Decryptor<Aes192>>(&key, iv, &mut buffer),
        _ => open::<Decryptor<Aes256>>(&key, iv, &mut buffer),
    };
    let plain = plain.ok_or(KeyStoreError::WrongKeyPassphrase)?;
    buffer.truncate(plain);
    Ok(buffer)
}

/// Decrypts in place; the length of the plaintext, or `None` when its padding is wrong.
fn open<C: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    iv: &[u8],
    buffer: &mut [u8],
) -> Option<usize> {
    let cipher = C::new_from_slices(key, iv).expect("lengths are checked");
    let plain = cipher.decrypt_padded::<Pkcs7>(buffer).ok()?;
    Some(plain.len())
}

/// The key of a cipher.
fn derive(
    derivation: &Algorithm<'_>,
    length: usize,
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
    if derivation.oid != oid::PBKDF2 {
        return Err(unsupported("a key derivation", &derivation.oid));
    }
    let Pbkdf2 {
        salt,
        iterations,
        key_length,
        prf,
    } = derivation.parameters("key derivation")?;
    if iterations > u64::from(MAX_ITERATIONS) {
        return Err(KeyStoreError::TooManyIterations(iterations));
    }
    let salt = salt.as_bytes();
    let rounds = u32::try_from(iterations).unwrap_or_default();
    let stated = key_length.map_or(length, usize::from);
    if rounds == 0 || salt.len() > MAX_SALT_BYTES || stated != length {
        return Err(KeyStoreError::Broken("key derivation"));
    }
    let password = passphrase.expose().as_bytes();
    let mut key = Zeroizing::new(vec![0; length]);
    let out = key.as_mut_slice();
    match prf.map_or(oid::HMAC_SHA1, |prf| prf.oid) {
        oid::HMAC_SHA1 => pbkdf2_hmac::<Sha1>(password, salt, rounds, out),
        oid::HMAC_SHA224 => pbkdf2_hmac::<Sha224>(password, salt, rounds, out),
        oid::HMAC_SHA256 => pbkdf2_hmac::<Sha256>(password, salt, rounds, out),
        oid::HMAC_SHA384 => pbkdf2_hmac::<Sha384>(password, salt, rounds, out),
        oid::HMAC_SHA512 => pbkdf2_hmac::<Sha512>(password, salt, rounds, out),
        other => return Err(unsupported("a key derivation", &other)),
    }
    Ok(key)
}

/// Encrypts as an EncryptedPrivateKeyInfo: the functions of the reference, but a salt of its own for every key (there it is zero) and
/// AES with 256 bits.
pub(super) fn encrypt(
    plain: &[u8],
    passphrase: &Passphrase,
    iterations: u32,
) -> Result<Vec<u8>, KeyStoreError> {
    let salt: [u8; 20] = random()?;
    let iv: [u8; 16] = random()?;
    let derivation = Pbkdf2 {
        salt: octets(&salt)?,
        iterations: iterations.into(),
        key_length: Some(32),
        prf: Some(Algorithm::with_null(oid::HMAC_SHA512)),
    };
    let derivation = encode(&derivation)?;
    let derivation = algorithm(oid::PBKDF2, &derivation)?;
    let key = derive(&derivation, 32, passphrase)?;

    let mut buffer = Zeroizing::new(plain.to_vec());
    buffer.resize(plain.len() + 16, 0);
    let cipher = Encryptor::<Aes256>::new_from_slices(&key, &iv).expect("lengths are right");
    let sealed = cipher
        .encrypt_padded::<Pkcs7>(&mut buffer, plain.len())
        .expect("there is room for a block of padding");

    let iv = encode(&octets(&iv)?)?;
    let scheme = encode(&Pbes2 {
        derivation,
        cipher: algorithm(oid::AES256_CBC, &iv)?,
    })?;
    encode(&EncryptedKey {
        algorithm: algorithm(oid::PBES2, &scheme)?,
        data: octets(sealed)?,
    })
}

fn algorithm(oid: ObjectIdentifier, parameters: &[u8]) -> Result<Algorithm<'_>, KeyStoreError> {
    Ok(Algorithm {
        oid,
        parameters: Some(AnyRef::from_der(parameters).map_err(broken("size"))?),
    })
}

fn octets(bytes: &[u8]) -> Result<&OctetStringRef, KeyStoreError> {
    OctetStringRef::new(bytes).map_err(broken("size"))
}

fn encode(value: &impl Encode) -> Result<Vec<u8>, KeyStoreError> {
    value.to_der().map_err(broken("size"))
}
