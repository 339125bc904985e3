//! Where keys live: in locked memory while they are used, in an encrypted file while they are not.
//!
//! | part | what it is |
//! |---|---|
//! | [`Locked`] | a value in pages of its own: not swapped, not dumped, not inherited by a child, erased on drop |
//! | [`Seed`], [`Passphrase`] | the two secrets of a peer, in such pages; neither can be printed or cloned |
//! | [`KeyStore`] | the key store file of the reference, PKCS #12 with one secret bag for each key (`spec/09 §3.3`) |
//! | [`pem`] | a key as the reference exports it, and as OpenSSL writes it (`spec/09 §3.4`) |
//! | [`mnemonic`] | words to seeds as the reference derives them (`spec/09 §3.2`) |
//! | [`file`] | files of secrets: readable by their owner only, replaced whole or not at all |
//!
//! What passes through ordinary memory on its way (the plaintext of an entry, derived keys) is erased there.

pub mod file;
mod locked;
pub mod mnemonic;
pub mod pem;
mod pkcs12;
mod secret;

pub use locked::{Locked, MemoryError, Protection};
pub use pkcs12::{
    Cost, Entry, EntryKind, Integrity, KeyStore, KeyStoreError, MAX_ITERATIONS, MAX_STORE_BYTES,
};
pub use secret::{
    IncomingPassphrase, MAX_PASSPHRASE_BYTES, Passphrase, PassphraseError, Seed, SeedError,
};

/// The random source of the system failed: nothing secret can be made.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers: {0}")]
pub struct RandomError(#[from] getrandom::Error);

/// Fresh random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
