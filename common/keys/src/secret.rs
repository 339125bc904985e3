//! The two secrets of a peer: its seed and the passphrase of its key store.

use std::io::Read;

use crypto::{AccountKey, SigningKey};
use zeroize::{Zeroize, Zeroizing};

use crate::locked::{Locked, MemoryError, Protection};
use crate::{RandomError, random};

/// No seed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The text is no seed. It is not shown, for it may be one with a slip.
    #[error("a seed is 64 hex digits, with or without 0x before them")]
    NotHex,
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// There is no randomness for it.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The 32 bytes that an Ed25519 key pair is made from (RFC 8032, `spec/09 §3.1`), in locked memory.
#[derive(Debug)]
pub struct Seed(Locked<[u8; 32]>);

impl Seed {
    /// Takes the bytes over and erases the caller's.
    ///
    /// # Errors
    /// [`MemoryError`]; the caller's bytes are erased then, too.
    pub fn take(bytes: &mut [u8; 32]) -> Result<Self, MemoryError> {
        let seed = Locked::new(|| *bytes);
        bytes.zeroize();
        seed.map(Self)
    }

    /// A new seed from the random numbers of the system.
    ///
    /// # Errors
    /// No memory or no randomness.
    pub fn generate() -> Result<Self, SeedError> {
        Ok(Self::take(&mut random()?)?)
    }

    /// Reads 64 hex digits of either case, `0x` before them allowed.
    ///
    /// # Errors
    /// [`SeedError::NotHex`] or no memory.
    pub fn from_hex(text: &str) -> Result<Self, SeedError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = [0; 32];
        let read = hex::decode_to_slice(digits, &mut bytes);
        let seed = Self::take(&mut bytes)?;
        read.map(|()| seed).map_err(|_| SeedError::NotHex)
    }

    /// The seed in 64 lower-case hex digits, erased on drop. For an export that the operator asked for.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut digits = Zeroizing::new([0; 64]);
        hex::encode_to_slice(*self.0, &mut *digits).expect("two digits for each byte");
        // Exact capacity, so that no part is left behind by a reallocation.
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(std::str::from_utf8(&*digits).expect("hex digits are text"));
        text
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key.
    #[must_use]
    pub fn account_key(&self) -> AccountKey {
        SigningKey::from_seed(&self.0).account_key()
    }

    /// The key that signs, in locked memory of its own.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn signing_key(&self) -> Result<Locked<SigningKey>, MemoryError> {
        Locked::new(|| SigningKey::from_seed(&self.0))
    }

    /// How well the memory is protected.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.0.protection()
    }
}

/// Longest passphrase in bytes of UTF-8.
pub const MAX_PASSPHRASE_BYTES: usize = 1_024;

/// For a line end, and one byte that tells that there is more.
const ROOM: usize = 3;

/// No passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// It can't be read.
    #[error("the passphrase can't be read: {0}")]
    Read(#[from] std::io::Error),
    /// It is too long.
    #[error("the passphrase is longer than {MAX_PASSPHRASE_BYTES} bytes")]
    TooLong,
    /// It is no text.
    #[error("the passphrase is not UTF-8 text, or has a zero byte in it")]
    NotText,
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// A passphrase in locked memory.
#[derive(Debug)]
pub struct Passphrase {
    bytes: Locked<[u8; MAX_PASSPHRASE_BYTES + ROOM]>,
    length: usize,
}

impl Passphrase {
    /// Reads to the end of `source`, straight into locked memory. One line end after the passphrase is not part of it, so that a file
    /// that an editor or `echo` made does what its author meant.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn read_from(source: &mut impl Read) -> Result<Self, PassphraseError> {
        let mut incoming = IncomingPassphrase::new()?;
        loop {
            match incoming.read_some(source) {
                Ok(true) => return incoming.finish(),
                Ok(false) => {}
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Copies a passphrase that is in memory already. The caller erases its own.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn copy_of(text: &str) -> Result<Self, PassphraseError> {
        let mut bytes = Locked::new(|| [0; MAX_PASSPHRASE_BYTES + ROOM])?;
        let place = bytes
            .get_mut(..text.len())
            .ok_or(PassphraseError::TooLong)?;
        place.copy_from_slice(text.as_bytes());
        Self::checked(bytes, text.len())
    }

    fn checked(
        bytes: Locked<[u8; MAX_PASSPHRASE_BYTES + ROOM]>,
        length: usize,
    ) -> Result<Self, PassphraseError> {
        if length > MAX_PASSPHRASE_BYTES {
            return Err(PassphraseError::TooLong);
        }
        // No terminal can type a zero, and one ends a passphrase in half of the programs that might read the store.
        match std::str::from_utf8(&bytes[..length]) {
            Ok(text) if !text.contains('\0') => Ok(Self { bytes, length }),
            _ => Err(PassphraseError::NotText),
        }
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("checked when it was made")
    }

    /// Whether there is none, which protects nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// A passphrase that arrives in pieces, in locked memory from its first byte.
#[derive(Debug)]
pub struct IncomingPassphrase {
    bytes: Locked<[u8; MAX_PASSPHRASE_BYTES + ROOM]>,
    length: usize,
}

impl IncomingPassphrase {
    /// Nothing has arrived.
    ///
    /// # Errors
    /// No memory.
    pub fn new() -> Result<Self, PassphraseError> {
        Ok(Self {
            bytes: Locked::new(|| [0; MAX_PASSPHRASE_BYTES + ROOM])?,
            length: 0,
        })
    }

    /// Reads once; true when `source` is at its end, or has brought more than a passphrase can be.
    ///
    /// # Errors
    /// What `source` says. One that would block, or was interrupted, can be read again.
    pub fn read_some(&mut self, source: &mut impl Read) -> std::io::Result<bool> {
        let read = source.read(&mut self.bytes[self.length..])?;
        self.length += read;
        Ok(read == 0 || self.length == self.bytes.len())
    }

    /// The passphrase, without one line end.
    ///
    /// # Errors
    /// Too long, or no text.
    pub fn finish(self) -> Result<Passphrase, PassphraseError> {
        let line = &self.bytes[..self.length];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let length = line.len();
        Passphrase::checked(self.bytes, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0000000000000000000000000000000000000000000000000000000000000001";

    #[test]
    fn the_seed_one_gives_the_key_of_the_specification() {
        // spec/09 §3.1
        let key = "4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29";
        for text in [HEX.to_owned(), format!("0x{HEX}")] {
            let seed = Seed::from_hex(&text).unwrap();
            assert_eq!(seed.account_key(), key.parse().unwrap());
            assert_eq!(
                seed.signing_key().unwrap().account_key(),
                seed.account_key()
            );
            assert_eq!(seed.to_hex().as_str(), HEX);
        }
    }

    #[test]
    fn other_lengths_and_other_digits_are_no_seed_and_are_not_repeated() {
        for text in [
            "",
            "01",
            &HEX[1..],
            &format!("{HEX}00"),
            &HEX.replace('1', "g"),
        ] {
            let error = Seed::from_hex(text).unwrap_err();
            assert!(matches!(error, SeedError::NotHex), "{text}");
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
    }

    #[test]
    fn taking_a_seed_erases_what_it_was_taken_from() {
        let mut bytes = [9; 32];
        let seed = Seed::take(&mut bytes).unwrap();
        assert_eq!((bytes, *seed.expose()), ([0; 32], [9; 32]));
    }

    #[test]
    fn generated_seeds_differ() {
        let [a, b] = [Seed::generate().unwrap(), Seed::generate().unwrap()];
        assert_ne!(a.expose(), b.expose());
    }

    #[test]
    fn no_debug_form_shows_a_secret() {
        let seed = Seed::from_hex(&"ab".repeat(32)).unwrap();
        let shown = format!("{seed:?} {:?}", Passphrase::copy_of("open sesame").unwrap());
        for part in ["ab", "171", "sesame", "111"] {
            assert!(!shown.contains(part), "{shown}");
        }
    }

    #[test]
    fn one_line_end_is_not_part_of_a_passphrase() {
        for (file, passphrase) in [
            ("", ""),
            ("abc", "abc"),
            ("abc\n", "abc"),
            ("abc\r\n", "abc"),
            ("abc\n\n", "abc\n"),
            (" a b ", " a b "),
            ("Grüße", "Grüße"),
        ] {
            let read = Passphrase::read_from(&mut file.as_bytes()).unwrap();
            assert_eq!(read.expose(), passphrase);
            assert_eq!(read.is_empty(), passphrase.is_empty());
        }
    }

    #[test]
    fn the_longest_passphrase_may_end_its_line() {
        let longest = "x".repeat(MAX_PASSPHRASE_BYTES);
        for end in ["", "\n", "\r\n"] {
            let read = Passphrase::read_from(&mut format!("{longest}{end}").as_bytes());
            assert_eq!(read.unwrap().expose(), longest);
        }
        for longer in [
            format!("{longest}x"),
            format!("{longest}xyz"),
            format!("{longest}\r\nx"),
            format!("{longest}x\n"),
        ] {
            let read = Passphrase::read_from(&mut longer.as_bytes());
            assert!(matches!(read, Err(PassphraseError::TooLong)));
            assert!(Passphrase::copy_of(&longer).is_err());
        }
    }

    #[test]
    fn what_is_no_text_is_no_passphrase() {
        for bytes in [&b"\xff\xfe"[..], b"a\0b"] {
            let read = Passphrase::read_from(&mut &*bytes);
            assert!(matches!(read, Err(PassphraseError::NotText)));
        }
    }
}
