//! The key store file: PKCS #12 as Java and the reference write it (`spec/09 §3.3`).
//!
//! ```text
//! PFX ─┬─ authSafe ── contents ─┬─ data ── bags ─┬─ secret bag: a key of the reference, encrypted with its own passphrase
//!      │                        │                ├─ shrouded key bag: a private key as keytool makes them, the same way
//!      │                        │                └─ other bags: kept as they are
//!      │                        └─ anything else (encrypted certificates): kept as it is
//!      └─ macData: over authSafe, with the passphrase of the store
//! ```
//!
//! The alias of a key is its public key in lower-case hex, which the reference does not check and this does. Unlike the
//! reference's, each entry gets a salt of its own, and every store a MAC.

mod asn1;
mod bag;
mod mac;
mod pbes2;
mod pkcs8;

use std::time::SystemTime;

use crypto::AccountKey;
use der::asn1::OctetStringRef;
use der::{Decode, Encode};

use crate::locked::MemoryError;
use crate::{Passphrase, RandomError, Seed};
use asn1::{ContentInfo, ContentInfos, Pfx, oid};
use bag::Bag;
pub use bag::EntryKind;
pub(crate) use pkcs8::{decrypt as decrypt_private_key, read as read_private_key};

/// Largest key store file in bytes.
pub const MAX_STORE_BYTES: usize = 1 << 20;
/// Most iterations of a key derivation: seconds of work, where the file could ask for years.
pub const MAX_ITERATIONS: u32 = 10_000_000;
/// Longest salt in bytes.
const MAX_SALT_BYTES: usize = 1_024;

/// A key store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// It is larger than a key store is.
    #[error("the key store is larger than {MAX_STORE_BYTES} bytes")]
    TooLarge,
    /// Its bytes are no PKCS #12 in DER.
    #[error("the key store is damaged or no PKCS #12 file: {0}")]
    Broken(&'static str),
    /// It is well-formed, but uses what this can't do.
    #[error("the key store uses {0}, which is not supported")]
    Unsupported(String),
    /// It asks for more work than is reasonable.
    #[error(
        "the key store asks for {0} iterations, more than the {MAX_ITERATIONS} that are allowed"
    )]
    TooManyIterations(u64),
    /// The MAC does not fit: which of the two is wrong can't be told.
    #[error("wrong passphrase of the key store, or the key store was changed without it")]
    WrongStorePassphrase,
    /// It does not decrypt the key.
    #[error("wrong passphrase of the key")]
    WrongKeyPassphrase,
    /// No such key.
    #[error("the key store has no key {0}")]
    NoSuchKey(String),
    /// The key is another one than the file says.
    #[error(
        "the entry {alias} of the key store holds another key, {found}: somebody changed the file"
    )]
    OtherKey {
        /// What the file says.
        alias: String,
        /// What is there.
        found: AccountKey,
    },
    /// A passphrase is needed to keep what the store holds.
    #[error(
        "the key store has parts that are encrypted with its passphrase, so it can't get another one here"
    )]
    SealedParts,
    /// No memory for a key.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// No random numbers for salts.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// What is known about a store that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// Its MAC was checked with its passphrase.
    Verified,
    /// It has a MAC, which was not checked, since no passphrase was given.
    Unchecked,
    /// It has none: a store of the reference without a passphrase, or a new one.
    NoMac,
}

/// How hard it is to try passphrases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    iterations: u32,
}

impl Default for Cost {
    /// 210,000, OWASP's number for PBKDF2 with HMAC-SHA-512; the reference's is 100,000.
    fn default() -> Self {
        Self {
            iterations: 210_000,
        }
    }
}

impl Cost {
    /// The number that the reference uses, for throw-away networks.
    pub const REFERENCE: Self = Self {
        iterations: 100_000,
    };

    /// Iterations of each key derivation, for keys and for the MAC. Java reads up to 5,000,000; less than the reference's number is
    /// raised to it.
    #[must_use]
    pub fn new(iterations: u32) -> Self {
        let Self { iterations: least } = Self::REFERENCE;
        Self {
            iterations: iterations.clamp(least, 5_000_000),
        }
    }
}

/// One entry of a store, as far as it can be seen without a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name; the public key in hex by the rules of the reference, any text otherwise.
    pub alias: &'a str,
    /// The public key, when the alias is one.
    pub key: Option<AccountKey>,
    /// How it is kept.
    pub kind: EntryKind,
}

/// A key store in memory. Its keys are encrypted there, too.
#[derive(Debug)]
pub struct KeyStore {
    contents: Vec<Content>,
    integrity: Integrity,
    /// The file as it was read, when it has parts that are encrypted with the passphrase of the store.
    sealed: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Content {
    Bags(Vec<Bag>),
    /// The encoding of something else.
    Other(Vec<u8>),
}

impl Default for KeyStore {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            contents: Vec::new(),
            integrity: Integrity::NoMac,
            sealed: None,
        }
    }

    /// Reads a store. With the passphrase its MAC is checked; without, or when the file has none, nothing tells whether entries were
    /// changed or left out, and [`KeyStore::integrity`] says so.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    pub fn parse(bytes: &[u8], passphrase: Option<&Passphrase>) -> Result<Self, KeyStoreError> {
        if bytes.len() > MAX_STORE_BYTES {
            return Err(KeyStoreError::TooLarge);
        }
        let pfx = Pfx::from_der(bytes).map_err(broken("outer structure"))?;
        let safe = pfx.auth_safe()?;
        let integrity = match (&pfx.mac_data, passphrase) {
            (None, _) => Integrity::NoMac,
            (Some(_), None) => Integrity::Unchecked,
            (Some(mac), Some(passphrase)) => {
                mac::verify(mac, safe, passphrase)?;
                Integrity::Verified
            }
        };
        let infos = ContentInfos::from_der(safe).map_err(broken("list of contents"))?;
        let mut contents = Vec::with_capacity(infos.len());
        for info in &infos {
            contents.push(if info.content_type == oid::DATA {
                Content::Bags(bag::parse_all(info.octets()?)?)
            } else {
                Content::Other(info.to_der().map_err(broken("contents"))?)
            });
        }
        let is_sealed = contents.iter().any(|c| matches!(c, Content::Other(_)));
        Ok(Self {
            contents,
            integrity,
            sealed: is_sealed.then(|| bytes.to_vec()),
        })
    }

    /// What is known about the file that this was read from.
    #[must_use]
    pub fn integrity(&self) -> Integrity {
        self.integrity
    }

    /// The entries with keys in the order of the file.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.bags().filter_map(Bag::entry)
    }

    /// Decrypts the key with this public key.
    ///
    /// # Errors
    /// [`KeyStoreError::NoSuchKey`], a wrong passphrase, an entry that holds another key than it says, and so on.
    pub fn unlock(&self, key: &AccountKey, passphrase: &Passphrase) -> Result<Seed, KeyStoreError> {
        self.unlock_alias(&alias_of(key), passphrase)
    }

    /// Decrypts the key with this alias, for stores that other tools made. An alias that is a public key must be the one of the key.
    ///
    /// # Errors
    /// As [`KeyStore::unlock`].
    pub fn unlock_alias(
        &self,
        alias: &str,
        passphrase: &Passphrase,
    ) -> Result<Seed, KeyStoreError> {
        let found = self.bags().find(|bag| bag.is_named(alias));
        let bag = found.ok_or_else(|| KeyStoreError::NoSuchKey(alias.to_owned()))?;
        let seed = bag.decrypt(passphrase)?;
        let found = seed.account_key();
        match key_of(alias) {
            Some(key) if key != found => Err(KeyStoreError::OtherKey {
                alias: alias.to_owned(),
                found,
            }),
            _ => Ok(seed),
        }
    }

    /// Puts a key into the store, in place of the entry with its alias where there is one. `now` becomes the date of the entry.
    ///
    /// # Errors
    /// No random numbers, or the store would get too large.
    pub fn insert(
        &mut self,
        seed: &Seed,
        passphrase: &Passphrase,
        cost: Cost,
        now: SystemTime,
    ) -> Result<AccountKey, KeyStoreError> {
        let key = seed.account_key();
        let alias = alias_of(&key);
        let new = Bag::encrypt(seed, &alias, passphrase, cost.iterations, now)?;
        if let Some(old) = self.bags_mut().find(|bag| bag.is_named(&alias)) {
            *old = new;
            return Ok(key);
        }
        let first = self.contents.iter_mut().find_map(|content| match content {
            Content::Bags(bags) => Some(bags),
            Content::Other(_) => None,
        });
        match first {
            Some(bags) => bags.push(new),
            None => self.contents.insert(0, Content::Bags(vec![new])),
        }
        Ok(key)
    }

    /// Takes the entry with this alias out; whether there was one.
    pub fn remove(&mut self, alias: &str) -> bool {
        let mut removed = false;
        for content in &mut self.contents {
            if let Content::Bags(bags) = content {
                let before = bags.len();
                bags.retain(|bag| !bag.is_named(alias));
                removed |= bags.len() < before;
            }
        }
        removed
    }

    /// The file, with a MAC under `passphrase`.
    ///
    /// # Errors
    /// [`KeyStoreError::SealedParts`] for a store with parts that only its old passphrase opens, when `passphrase` is another one; no
    /// random numbers; a store that is too large.
    pub fn to_bytes(&self, passphrase: &Passphrase, cost: Cost) -> Result<Vec<u8>, KeyStoreError> {
        if let Some(original) = &self.sealed {
            let same = Self::parse(original, Some(passphrase));
            if !same.is_ok_and(|store| store.integrity != Integrity::Unchecked) {
                return Err(KeyStoreError::SealedParts);
            }
        }
        let encoded = self.encode_contents(passphrase, cost);
        let bytes = encoded?;
        if bytes.len() > MAX_STORE_BYTES {
            return Err(KeyStoreError::TooLarge);
        }
        Ok(bytes)
    }

    fn encode_contents(
        &self,
        passphrase: &Passphrase,
        cost: Cost,
    ) -> Result<Vec<u8>, KeyStoreError> {
        let mut encoded = Vec::with_capacity(self.contents.len());
        for content in &self.contents {
            encoded.push(match content {
                Content::Other(der) => der.clone(),
                Content::Bags(bags) => asn1::data_content(&bag::encode_all(bags)?)?,
            });
        }
        let safe = asn1::sequence(&encoded)?;
        let mac = mac::Fresh::new(&safe, passphrase, cost.iterations)?;
        let content = OctetStringRef::new(&safe).map_err(broken("size"))?;
        let pfx = Pfx {
            version: Pfx::VERSION,
            auth_safe: ContentInfo {
                content_type: oid::DATA,
                content: content.into(),
            },
            mac_data: Some(mac.data()?),
        };
        pfx.to_der().map_err(broken("size"))
    }

    fn bags(&self) -> impl Iterator<Item = &Bag> {
        self.contents.iter().flat_map(|content| match content {
            Content::Bags(bags) => bags.as_slice(),
            Content::Other(_) => &[],
        })
    }

    fn bags_mut(&mut self) -> impl Iterator<Item = &mut Bag> {
        self.contents.iter_mut().flat_map(|content| match content {
            Content::Bags(bags) => bags.as_mut_slice(),
            Content::Other(_) => &mut [],
        })
    }
}

/// The alias of a key: 64 lower-case hex digits.
fn alias_of(key: &AccountKey) -> String {
    hex::encode(key.as_bytes())
}

/// The key that an alias names, if it is one.
fn key_of(alias: &str) -> Option<AccountKey> {
    let mut bytes = [0; AccountKey::LENGTH];
    hex::decode_to_slice(alias, &mut bytes).ok()?;
    Some(AccountKey::new(bytes))
}

/// For errors of the DER reader, whose own words say nothing to an operator.
fn broken(part: &'static str) -> impl Fn(der::Error) -> KeyStoreError {
    move |_| KeyStoreError::Broken(part)
}
