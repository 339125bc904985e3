//! A private key by itself (PKCS #8), encrypted or not, as PEM files hold it.

use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use der::Decode;
use rc2::Rc2;
use sha1::Sha1;
use zeroize::Zeroizing;

use super::asn1::{Algorithm, EncryptedKey, Pkcs12Pbe, oid};
use super::mac::{Purpose, derive};
use super::{KeyStoreError, MAX_ITERATIONS, MAX_SALT_BYTES, bag, broken, pbes2};
use crate::{Passphrase, Seed};

/// Reads a PrivateKeyInfo.
pub(crate) fn read(encoded: &[u8]) -> Result<Seed, KeyStoreError> {
    bag::private_key(encoded)?.ok_or(KeyStoreError::Broken("private key"))
}

/// Decrypts an EncryptedPrivateKeyInfo: by PBES2, or by the older scheme that the reference exports with (`spec/09 §3.4`).
pub(crate) fn decrypt(encoded: &[u8], passphrase: &Passphrase) -> Result<Seed, KeyStoreError> {
    let encrypted = EncryptedKey::from_der(encoded).map_err(broken("encrypted key"))?;
    let plain = if encrypted.algorithm.oid == oid::PBE_SHA1_RC2_128 {
        decrypt_rc2(&encrypted.algorithm, encrypted.data.as_bytes(), passphrase)?
    } else {
        pbes2::decrypt(encoded, passphrase)?
    };
    // As in a key store: by chance it won't be a private key.
    bag::private_key(&plain)?.ok_or(KeyStoreError::WrongKeyPassphrase)
}

/// RC2 with 128 bits in CBC mode, its key and IV derived as in RFC 7292. Weak by today's measure, which is the affair of whoever exported.
fn decrypt_rc2(
    algorithm: &Algorithm<'_>,
    data: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
    let Pkcs12Pbe { salt, iterations } = algorithm.parameters("encryption of a key")?;
    if iterations > u64::from(MAX_ITERATIONS) {
        return Err(KeyStoreError::TooManyIterations(iterations));
    }
    let salt = salt.as_bytes();
    if iterations == 0 || salt.is_empty() || salt.len() > MAX_SALT_BYTES {
        return Err(KeyStoreError::Broken("encryption of a key"));
    }
    let key = derive::<Sha1>(Purpose::Key, passphrase, salt, iterations);
    let iv = derive::<Sha1>(Purpose::Iv, passphrase, salt, iterations);
    let cipher = Decryptor::<Rc2>::new_from_slices(&key[..16], &iv[..8])
        .map_err(|_| KeyStoreError::Broken("encryption of a key"))?;
    let mut buffer = Zeroizing::new(data.to_vec());
    let plain = cipher
        .decrypt_padded::<Pkcs7>(&mut buffer)
        .map_err(|_| KeyStoreError::WrongKeyPassphrase)?
        .len();
    buffer.truncate(plain);
    Ok(buffer)
}
