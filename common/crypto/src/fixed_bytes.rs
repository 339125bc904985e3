//! Keys and signatures as they travel: bytes of a fixed number, hex as text, nothing said about validity.

use std::fmt;
use std::str::FromStr;

/// An Ed25519 public key, the name of a signer everywhere in the protocol. It may or may not decode to a usable point.
///
/// Ordered as unsigned bytes. Printed as 64 lower-case hex digits; parsed from 64 hex digits with or without `0x`.
///
/// ```
/// let text = "5bd5a30f58ced4385f5a1c4bba297a4085e79affdfef847f7dc9422d7ce10f8f";
/// let key: crypto::AccountKey = text.parse()?;
/// assert_eq!(key.to_string(), text);
/// # Ok::<(), crypto::ParseHexError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey([u8; 32]);

/// An Ed25519 signature: R (32 bytes), then S (32 bytes).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature([u8; 64]);

/// Text that isn't the hex form of a fixed number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseHexError {
    /// Wrong number of digits (an optional leading `0x` not counted).
    #[error("expected {expected} hex digits, found {found} bytes of text")]
    Length {
        /// Digits needed.
        expected: usize,
        /// Bytes of text found.
        found: usize,
    },
    /// A character that is no hex digit.
    #[error("not a hex digit at offset {offset}")]
    Digit {
        /// Byte offset, an optional leading `0x` not counted.
        offset: usize,
    },
}

/// Bytes of the wrong length for a key or signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} bytes, found {found}")]
pub struct LengthError {
    /// Bytes needed.
    pub expected: usize,
    /// Bytes found.
    pub found: usize,
}

macro_rules! fixed_bytes {
    ($name:ident, $length:literal) => {
        impl $name {
            /// Length in bytes.
            pub const LENGTH: usize = $length;

            /// Wraps raw bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// The raw bytes by value.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; $length] {
                self.0
            }
        }

        impl From<[u8; $length]> for $name {
            fn from(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = LengthError;
            fn try_from(bytes: &[u8]) -> Result<Self, LengthError> {
                let length = LengthError {
                    expected: $length,
                    found: bytes.len(),
                };
                bytes.try_into().map(Self).map_err(|_| length)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseHexError;
            fn from_str(text: &str) -> Result<Self, ParseHexError> {
                parse_hex(text).map(Self)
            }
        }
    };
}

fixed_bytes!(AccountKey, 32);
fixed_bytes!(Signature, 64);

impl Signature {
    /// The commitment R, still encoded.
    pub(crate) fn r_bytes(&self) -> &[u8; 32] {
        let (r, _) = self.halves();
        r
    }

    /// The scalar S, still encoded.
    pub(crate) fn s_bytes(&self) -> &[u8; 32] {
        let (_, s) = self.halves();
        s
    }

    fn halves(&self) -> (&[u8; 32], &[u8; 32]) {
        let chunks = self.0.as_chunks::<32>().0;
        (&chunks[0], &chunks[1])
    }
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseHexError> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    if digits.len() != 2 * N {
        return Err(ParseHexError::Length {
            expected: 2 * N,
            found: digits.len(),
        });
    }
    let mut bytes = [0; N];
    for (i, digit) in digits.iter().enumerate() {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return Err(ParseHexError::Digit { offset: i }),
        };
        bytes[i / 2] = bytes[i / 2] << 4 | value;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "c80faa95b7302dd71a384081f992d94eb6e4da5ab480fe0b4edfc31cac471d85";

    #[test]
    fn a_key_prints_as_it_was_parsed() {
        let key: AccountKey = TEXT.parse().unwrap();
        assert_eq!(key.as_bytes()[..2], [0xc8, 0x0f]);
        assert_eq!(key.to_string(), TEXT);
        assert_eq!(format!("0x{TEXT}").parse(), Ok(key));
        assert_eq!(TEXT.to_uppercase().parse(), Ok(key));
        assert_eq!(format!("{key:?}"), format!("AccountKey({TEXT})"));
    }

    #[test]
    fn text_that_is_not_hex_of_the_right_length_is_refused() {
        let length = |found| {
            Err(ParseHexError::Length {
                expected: 64,
                found,
            })
        };
        assert_eq!(AccountKey::from_str(""), length(0));
        assert_eq!(AccountKey::from_str(&TEXT[1..]), length(63));
        assert_eq!(AccountKey::from_str(&format!("{TEXT}0")), length(65));
        assert_eq!(AccountKey::from_str(&format!("0x0x{TEXT}")), length(66));
        let digit = |offset| Err(ParseHexError::Digit { offset });
        assert_eq!(AccountKey::from_str(&TEXT.replace("aa", "ag")), digit(5));
        assert_eq!(AccountKey::from_str(&TEXT.replace("c80f", "c8é")), digit(2));
    }

    #[test]
    fn slices_of_another_length_are_refused() {
        assert!(AccountKey::try_from([7; 32].as_slice()).is_ok());
        let error = AccountKey::try_from([7; 31].as_slice()).unwrap_err();
        assert_eq!(error.to_string(), "expected 32 bytes, found 31");
        assert!(Signature::try_from([7; 65].as_slice()).is_err());
    }

    #[test]
    fn keys_are_ordered_as_unsigned_bytes() {
        let mut high = [0; 32];
        high[0] = 0x80;
        assert!(AccountKey::new(high) > AccountKey::new([0x7f; 32]));
    }
}
