//! From the key store and a passphrase to the key.
//!
//! The MAC of the store is not checked: which key it has to be is known from the settings, so a changed entry can't give another one, and the
//! other entries do not matter here. `convexctl key list` checks it.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crypto::{AccountKey, SigningKey};
use keys::file::{self, FileError, Owner};
use keys::{
    KeyStore, KeyStoreError, Locked, MAX_STORE_BYTES, MemoryError, Passphrase, PassphraseError,
};

/// There is no key.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// The file of the key store or of the passphrase.
    #[error(transparent)]
    File(#[from] FileError),
    /// The content of the key store, or the passphrase.
    #[error("key store {}: {source}{}", file.display(), remedy(source))]
    Store {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        source: KeyStoreError,
    },
    /// The passphrase itself.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// No memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

fn remedy(error: &KeyStoreError) -> &'static str {
    match error {
        KeyStoreError::WrongKeyPassphrase => {
            ": give the passphrase that the key was stored with (a file of it must have nothing else in it)"
        }
        KeyStoreError::NoSuchKey(_) => {
            ": name one of its keys as the peer's (convexctl key list), or import this one (convexctl key import)"
        }
        _ => "",
    }
}

/// The key store in memory, encrypted as it is.
#[derive(Debug)]
pub struct LockedStore {
    store: KeyStore,
    file: PathBuf,
}

impl LockedStore {
    /// Reads an open file that was checked; `name` is for the messages.
    ///
    /// # Errors
    /// [`UnlockError`].
    pub fn read(file: &File, name: &Path) -> Result<Self, UnlockError> {
        let bytes = file::read_checked(file, name, MAX_STORE_BYTES)?;
        let store = KeyStore::parse(&bytes, None).map_err(|source| UnlockError::Store {
            file: name.to_owned(),
            source,
        })?;
        Ok(Self {
            store,
            file: name.to_owned(),
        })
    }

    /// Whether it has this key.
    ///
    /// # Errors
    /// When it has not, so that this is known before a passphrase is asked for.
    pub fn require(&self, key: &AccountKey) -> Result<(), UnlockError> {
        if self.store.entries().any(|entry| entry.key == Some(*key)) {
            return Ok(());
        }
        Err(self.error(KeyStoreError::NoSuchKey(key.to_string())))
    }

    /// Decrypts the key.
    ///
    /// # Errors
    /// A wrong passphrase, a damaged entry, no memory.
    pub fn unlock(
        &self,
        key: &AccountKey,
        passphrase: &Passphrase,
    ) -> Result<Locked<SigningKey>, UnlockError> {
        let seed = self.store.unlock(key, passphrase);
        Ok(seed.map_err(|e| self.error(e))?.signing_key()?)
    }

    fn error(&self, source: KeyStoreError) -> UnlockError {
        UnlockError::Store {
            file: self.file.clone(),
            source,
        }
    }
}

/// Checks an open file with a passphrase: for its owner only (`good`), or as systemd gives credentials to a service with a user of its own (root's, and
/// readable by what looks like a group but is an access list).
///
/// # Errors
/// [`FileError`].
pub fn check_passphrase_file(file: &File, good: Owner) -> Result<(), FileError> {
    let is_credential = file
        .metadata()
        .is_ok_and(|m| m.is_file() && m.uid() == 0 && m.mode() & 0o7777 == 0o440);
    if is_credential {
        return Ok(());
    }
    file::check(file, Path::new("the passphrase file"), good)
}
