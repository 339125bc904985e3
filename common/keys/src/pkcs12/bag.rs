//! One bag of a store: an entry, or something that is only carried along.

use std::time::{SystemTime, UNIX_EPOCH};

use der::asn1::{AnyRef, OctetStringRef};
use der::{Decode, Encode, Tag, Tagged};
use zeroize::Zeroizing;

use super::asn1::{
    Attribute, EncryptedKey, PrivateKey, SafeBag, SecretBag, constructed, octets, oid, unsupported,
};
use super::{Entry, KeyStoreError, broken, key_of, pbes2};
use crate::{Passphrase, Seed};

/// How a key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// As a secret bag, the reference's way.
    Secret,
    /// As a private key with a certificate, keytool's way.
    PrivateKey,
}

/// A bag and what was seen in it.
#[derive(Debug)]
pub(super) struct Bag {
    /// Its encoding, which is what gets written.
    der: Vec<u8>,
    alias: String,
    key: Option<Encrypted>,
}

/// An encrypted key.
#[derive(Debug)]
struct Encrypted {
    kind: EntryKind,
    /// EncryptedPrivateKeyInfo.
    der: Vec<u8>,
}

/// Reads SafeContents.
pub(super) fn parse_all(bytes: &[u8]) -> Result<Vec<Bag>, KeyStoreError> {
    let bags = Vec::<AnyRef<'_>>::from_der(bytes).map_err(broken("list of entries"))?;
    bags.into_iter().map(Bag::parse).collect()
}

/// Encodes SafeContents.
pub(super) fn encode_all(bags: &[Bag]) -> Result<Vec<u8>, KeyStoreError> {
    let encoded: Vec<&[u8]> = bags.iter().map(|bag| bag.der.as_slice()).collect();
    constructed(Tag::Sequence, &encoded.concat())
}

impl Bag {
    fn parse(any: AnyRef<'_>) -> Result<Self, KeyStoreError> {
        let bag: SafeBag<'_> = any.decode_as().map_err(broken("entry"))?;
        let key = match bag.bag_id {
            oid::SHROUDED_KEY_BAG => Some(Encrypted {
                kind: EntryKind::PrivateKey,
                der: bag.value.to_der().map_err(broken("entry"))?,
            }),
            oid::SECRET_BAG => encrypted_secret(bag.value)?,
            _ => None,
        };
        Ok(Self {
            der: any.to_der().map_err(broken("entry"))?,
            alias: match bag.attributes {
                Some(attributes) => friendly_name(attributes)?,
                None => String::new(),
            },
            key,
        })
    }

    /// A new secret bag.
    pub(super) fn encrypt(
        seed: &Seed,
        alias: &str,
        passphrase: &Passphrase,
        iterations: u32,
        now: SystemTime,
    ) -> Result<Self, KeyStoreError> {
        /// PrivateKeyInfo of Ed25519 up to the key, which the reference does not wrap a second time as RFC 8410 does.
        const BEFORE_SEED: [u8; 14] = [
            0x30, 0x2c, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x20,
        ];
        let mut plain = Zeroizing::new([0; BEFORE_SEED.len() + 32]);
        plain[..BEFORE_SEED.len()].copy_from_slice(&BEFORE_SEED);
        plain[BEFORE_SEED.len()..].copy_from_slice(seed.expose());
        let encrypted = pbes2::encrypt(&*plain, passphrase, iterations)?;

        let value = OctetStringRef::new(&encrypted).map_err(broken("size"))?;
        let secret = SecretBag {
            type_id: oid::SHROUDED_KEY_BAG,
            value: value.into(),
        };
        let secret = secret.to_der().map_err(broken("size"))?;
        let attributes = attributes(alias, now)?;
        let bag = SafeBag {
            bag_id: oid::SECRET_BAG,
            value: AnyRef::from_der(&secret).map_err(broken("size"))?,
            attributes: Some(AnyRef::from_der(&attributes).map_err(broken("size"))?),
        };
        Ok(Self {
            der: bag.to_der().map_err(broken("size"))?,
            alias: alias.to_owned(),
            key: Some(Encrypted {
                kind: EntryKind::Secret,
                der: encrypted,
            }),
        })
    }

    /// What can be seen of it, if it is an entry with a key.
    pub(super) fn entry(&self) -> Option<Entry<'_>> {
        let key = self.key.as_ref()?;
        Some(Entry {
            alias: &self.alias,
            key: key_of(&self.alias),
            kind: key.kind,
        })
    }

    /// Whether it is an entry with this alias. Java does not tell upper from lower case.
    pub(super) fn is_named(&self, alias: &str) -> bool {
        self.key.is_some() && self.alias.eq_ignore_ascii_case(alias)
    }

    pub(super) fn decrypt(&self, passphrase: &Passphrase) -> Result<Seed, KeyStoreError> {
        let none = || KeyStoreError::NoSuchKey(self.alias.clone());
        let key = self.key.as_ref().ok_or_else(none)?;
        let plain = pbes2::decrypt(&key.der, passphrase)?;
        // A wrong passphrase gives well padded bytes once in 256 times. That those are a private key by chance, too, won't happen.
        private_key(&plain)?.ok_or(KeyStoreError::WrongKeyPassphrase)
    }
}

/// The seed in a PrivateKeyInfo, or `None` when the bytes are none.
pub(super) fn private_key(plain: &[u8]) -> Result<Option<Seed>, KeyStoreError> {
    let Ok(private) = PrivateKey::parse(plain) else {
        return Ok(None);
    };
    if private.algorithm.oid != oid::ED25519 {
        return Err(unsupported(
            "a key that is not of Ed25519",
            &private.algorithm.oid,
        ));
    }
    let bytes = private.key.as_bytes();
    // RFC 8410 has the seed in an octet string inside of the octet string.
    let seed = match bytes {
        [0x04, 0x20, seed @ ..] if seed.len() == 32 => seed,
        _ => bytes,
    };
    let seed = <[u8; 32]>::try_from(seed).map(Zeroizing::new);
    let mut seed = seed.map_err(|_| KeyStoreError::Broken("length of a key"))?;
    Ok(Some(Seed::take(&mut seed)?))
}

/// The encrypted key in a secret bag, or `None` when the bag holds another kind of secret.
fn encrypted_secret(value: AnyRef<'_>) -> Result<Option<Encrypted>, KeyStoreError> {
    let secret: SecretBag<'_> = value.decode_as().map_err(broken("secret entry"))?;
    if secret.type_id != oid::SHROUDED_KEY_BAG {
        return Ok(None);
    }
    let der = octets(secret.value)?;
    EncryptedKey::from_der(der).map_err(broken("secret entry"))?;
    Ok(Some(Encrypted {
        kind: EntryKind::Secret,
        der: der.to_vec(),
    }))
}

/// The value of the attribute friendlyName, which is the alias; empty without one.
fn friendly_name(attributes: AnyRef<'_>) -> Result<String, KeyStoreError> {
    const PART: &str = "attributes of an entry";
    if attributes.tag() != Tag::Set {
        return Err(KeyStoreError::Broken(PART));
    }
    for any in elements(attributes).map_err(broken(PART))? {
        let attribute: Attribute<'_> = any.decode_as().map_err(broken(PART))?;
        if attribute.oid != oid::FRIENDLY_NAME {
            continue;
        }
        let values = elements(attribute.values).map_err(broken(PART))?;
        return match values.as_slice() {
            [name] if name.tag() == Tag::BmpString => utf16(name.value()),
            _ => Err(KeyStoreError::Broken("name of an entry")),
        };
    }
    Ok(String::new())
}

/// The elements of a set or sequence in the order of the file.
fn elements(of: AnyRef<'_>) -> Result<Vec<AnyRef<'_>>, der::Error> {
    use der::Reader;
    let mut reader = der::SliceReader::new(of.value())?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(AnyRef::decode(&mut reader)?);
    }
    Ok(found)
}

fn utf16(bytes: &[u8]) -> Result<String, KeyStoreError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err(KeyStoreError::Broken("name of an entry")),
    }
}

/// The set of alias and date, in the order and form of Java, which reads the date back.
fn attributes(alias: &str, now: SystemTime) -> Result<Vec<u8>, KeyStoreError> {
    let name: Vec<u8> = alias.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = format!("Time {}", since.as_millis());
    let encoded = [
        attribute(oid::FRIENDLY_NAME, Tag::BmpString, &name)?,
        attribute(oid::LOCAL_KEY_ID, Tag::OctetString, date.as_bytes())?,
    ];
    constructed(Tag::Set, &encoded.concat())
}

fn attribute(
    oid: der::asn1::ObjectIdentifier,
    tag: Tag,
    value: &[u8],
) -> Result<Vec<u8>, KeyStoreError> {
    let value = constructed(tag, value)?;
    let attribute = Attribute {
        oid,
        values: AnyRef::new(Tag::Set, &value).map_err(broken("size"))?,
    };
    attribute.to_der().map_err(broken("size"))
}
