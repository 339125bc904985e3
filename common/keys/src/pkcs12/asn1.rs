//! The structures of RFC 7292, RFC 8018 and RFC 5958 that a key store has.
//!
//! Attributes of bags stay as they are: Java does not sort them, which DER demands, so a strict reader refuses its stores.

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Choice, Decode, DecodeValue, Encode, Sequence, Tag, Tagged};

use super::{KeyStoreError, broken};

/// Object identifiers.
pub(super) mod oid {
    use der::asn1::ObjectIdentifier;

    const fn oid(text: &str) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(text)
    }

    pub(crate) const DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.1");
    pub(crate) const SHROUDED_KEY_BAG: ObjectIdentifier = oid("1.2.840.113549.1.12.10.1.2");
    pub(crate) const SECRET_BAG: ObjectIdentifier = oid("1.2.840.113549.1.12.10.1.5");
    pub(crate) const FRIENDLY_NAME: ObjectIdentifier = oid("1.2.840.113549.1.9.20");
    pub(crate) const LOCAL_KEY_ID: ObjectIdentifier = oid("1.2.840.113549.1.9.21");
    pub(crate) const PBE_SHA1_RC2_128: ObjectIdentifier = oid("1.2.840.113549.1.12.1.5");
    pub(crate) const PBES2: ObjectIdentifier = oid("1.2.840.113549.1.5.13");
    pub(crate) const PBKDF2: ObjectIdentifier = oid("1.2.840.113549.1.5.12");
    pub(crate) const HMAC_SHA1: ObjectIdentifier = oid("1.2.840.113549.2.7");
    pub(crate) const HMAC_SHA224: ObjectIdentifier = oid("1.2.840.113549.2.8");
    pub(crate) const HMAC_SHA256: ObjectIdentifier = oid("1.2.840.113549.2.9");
    pub(crate) const HMAC_SHA384: ObjectIdentifier = oid("1.2.840.113549.2.10");
    pub(crate) const HMAC_SHA512: ObjectIdentifier = oid("1.2.840.113549.2.11");
    pub(crate) const AES128_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.2");
    pub(crate) const AES192_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.22");
    pub(crate) const AES256_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.42");
    pub(crate) const SHA1: ObjectIdentifier = oid("1.3.14.3.2.26");
    pub(crate) const SHA224: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.4");
    pub(crate) const SHA256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
    pub(crate) const SHA384: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.2");
    pub(crate) const SHA512: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.3");
    pub(crate) const ED25519: ObjectIdentifier = oid("1.3.101.112");
}

/// PFX: the whole file.
#[derive(Sequence)]
pub(super) struct Pfx<'a> {
    pub(super) version: u8,
    pub(super) auth_safe: ContentInfo<'a>,
    #[asn1(optional = "true")]
    pub(super) mac_data: Option<MacData<'a>>,
}

impl<'a> Pfx<'a> {
    pub(super) const VERSION: u8 = 3;

    /// The encoding of the contents, which the MAC covers.
    pub(super) fn auth_safe(&self) -> Result<&'a [u8], KeyStoreError> {
        if self.version != Self::VERSION {
            return Err(KeyStoreError::Unsupported(format!(
                "version {} of PKCS #12",
                self.version
            )));
        }
        if self.auth_safe.content_type != oid::DATA {
            let other = self.auth_safe.content_type;
            return Err(unsupported("integrity by public keys", &other));
        }
        self.auth_safe.octets()
    }
}

/// ContentInfo.
#[derive(Sequence)]
pub(super) struct ContentInfo<'a> {
    pub(super) content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(super) content: AnyRef<'a>,
}

impl<'a> ContentInfo<'a> {
    /// The bytes of a content of type data.
    pub(super) fn octets(&self) -> Result<&'a [u8], KeyStoreError> {
        octets(self.content)
    }
}

/// AuthenticatedSafe.
pub(super) type ContentInfos<'a> = Vec<ContentInfo<'a>>;

/// MacData.
#[derive(Sequence)]
pub(super) struct MacData<'a> {
    pub(super) mac: DigestInfo<'a>,
    pub(super) salt: &'a OctetStringRef,
    #[asn1(default = "one")]
    pub(super) iterations: u64,
}

fn one() -> u64 {
    1
}

/// DigestInfo.
#[derive(Sequence)]
pub(super) struct DigestInfo<'a> {
    pub(super) algorithm: Algorithm<'a>,
    pub(super) digest: &'a OctetStringRef,
}

/// AlgorithmIdentifier.
#[derive(Sequence, Clone, Copy)]
pub(super) struct Algorithm<'a> {
    pub(super) oid: ObjectIdentifier,
    #[asn1(optional = "true")]
    pub(super) parameters: Option<AnyRef<'a>>,
}

impl<'a> Algorithm<'a> {
    pub(super) fn with_null(oid: ObjectIdentifier) -> Self {
        Self {
            oid,
            parameters: Some(AnyRef::NULL),
        }
    }

    /// The parameters, decoded.
    pub(super) fn parameters<T: Choice<'a> + DecodeValue<'a, Error = der::Error>>(
        &self,
        part: &'static str,
    ) -> Result<T, KeyStoreError> {
        let any = self.parameters.ok_or(KeyStoreError::Broken(part))?;
        any.decode_as().map_err(broken(part))
    }
}

/// SafeBag.
#[derive(Sequence)]
pub(super) struct SafeBag<'a> {
    pub(super) bag_id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(super) value: AnyRef<'a>,
    #[asn1(optional = "true")]
    pub(super) attributes: Option<AnyRef<'a>>,
}

/// SecretBag.
#[derive(Sequence)]
pub(super) struct SecretBag<'a> {
    pub(super) type_id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(super) value: AnyRef<'a>,
}

/// PKCS12Attribute.
#[derive(Sequence)]
pub(super) struct Attribute<'a> {
    pub(super) oid: ObjectIdentifier,
    /// A set, of one value for the attributes that are read here.
    pub(super) values: AnyRef<'a>,
}

/// EncryptedPrivateKeyInfo.
#[derive(Sequence)]
pub(super) struct EncryptedKey<'a> {
    pub(super) algorithm: Algorithm<'a>,
    pub(super) data: &'a OctetStringRef,
}

/// Pkcs-12-PbeParams.
#[derive(Sequence)]
pub(super) struct Pkcs12Pbe<'a> {
    pub(super) salt: &'a OctetStringRef,
    pub(super) iterations: u64,
}

/// PBES2-params.
#[derive(Sequence)]
pub(super) struct Pbes2<'a> {
    pub(super) derivation: Algorithm<'a>,
    pub(super) cipher: Algorithm<'a>,
}

/// PBKDF2-params, with a salt that is given.
#[derive(Sequence)]
pub(super) struct Pbkdf2<'a> {
    pub(super) salt: &'a OctetStringRef,
    pub(super) iterations: u64,
    #[asn1(optional = "true")]
    pub(super) key_length: Option<u16>,
    #[asn1(optional = "true")]
    pub(super) prf: Option<Algorithm<'a>>,
}

/// PrivateKeyInfo and OneAsymmetricKey, as far as the private key.
pub(super) struct PrivateKey<'a> {
    pub(super) algorithm: Algorithm<'a>,
    pub(super) key: &'a OctetStringRef,
}

impl<'a> PrivateKey<'a> {
    /// Reads the first three fields; attributes and a public key may follow.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, der::Error> {
        let any = AnyRef::from_der(bytes)?;
        any.sequence(|reader| {
            use der::Reader;
            let _version = u8::decode(reader)?;
            let private = Self {
                algorithm: Algorithm::decode(reader)?,
                key: <&OctetStringRef>::decode(reader)?,
            };
            while !reader.is_finished() {
                AnyRef::decode(reader)?;
            }
            Ok(private)
        })
    }
}

/// The bytes of an octet string.
pub(super) fn octets(any: AnyRef<'_>) -> Result<&[u8], KeyStoreError> {
    if any.tag() != Tag::OctetString {
        return Err(KeyStoreError::Broken("type of contents"));
    }
    Ok(any.value())
}

/// Encodes a sequence of what is encoded already.
pub(super) fn sequence(encoded: &[Vec<u8>]) -> Result<Vec<u8>, KeyStoreError> {
    constructed(Tag::Sequence, &encoded.concat())
}

/// Encodes something constructed around the encodings in it.
pub(super) fn constructed(tag: Tag, inner: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
    let any = AnyRef::new(tag, inner).map_err(broken("size"))?;
    any.to_der().map_err(broken("size"))
}

/// Encodes a ContentInfo of type data.
pub(super) fn data_content(bytes: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
    let content = OctetStringRef::new(bytes).map_err(broken("size"))?;
    let info = ContentInfo {
        content_type: oid::DATA,
        content: content.into(),
    };
    info.to_der().map_err(broken("size"))
}

/// What is not supported, with its number for a search.
pub(super) fn unsupported(what: &str, oid: &ObjectIdentifier) -> KeyStoreError {
    KeyStoreError::Unsupported(format!("{what} ({oid})"))
}
