//! Words to seeds (`spec/09 §3.2`): BIP39 with the English list, then SLIP-0010 down a path.
//!
//! The reference does not check the checksum of words that it imports, and takes the master key for a path that it can't read. Both
//! lead to keys that nobody meant, so both are errors here.

use std::str::FromStr;

use bip0039::{English, Mnemonic as Words};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::{Zeroize, Zeroizing};

use crate::locked::MemoryError;
use crate::{Passphrase, RandomError, Seed, random};

/// No mnemonic.
#[derive(Debug, thiserror::Error)]
pub enum MnemonicError {
    /// The words are none. They are not shown, for they may be right but for one.
    #[error("no mnemonic: {0}")]
    Words(&'static str),
    /// There is no memory for the seed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// There is no randomness for it.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// How many words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WordCount(u8);

impl WordCount {
    /// The numbers that BIP39 has.
    pub const ALL: [Self; 5] = [Self(12), Self(15), Self(18), Self(21), Self(24)];
    /// Most entropy.
    pub const DEFAULT: Self = Self(24);

    /// The number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// Bytes of entropy: 32 bits for every three words.
    const fn entropy(self) -> usize {
        self.get() / 3 * 4
    }
}

impl TryFrom<usize> for WordCount {
    type Error = MnemonicError;

    fn try_from(words: usize) -> Result<Self, MnemonicError> {
        let found = Self::ALL.into_iter().find(|count| count.get() == words);
        found.ok_or(MnemonicError::Words(
            "12, 15, 18, 21 or 24 words are needed",
        ))
    }
}

/// Words whose checksum is right, erased on drop.
pub struct Mnemonic(Words<English>);

impl Mnemonic {
    /// New words from the random numbers of the system.
    ///
    /// # Errors
    /// No randomness.
    pub fn generate(count: WordCount) -> Result<Self, MnemonicError> {
        let entropy = Zeroizing::new(random::<32>()?);
        // The words take the vector over and erase it.
        Words::from_entropy(entropy[..count.entropy()].to_vec())
            .map(Self)
            .map_err(why)
    }

    /// Reads words from the English list with any white space between them.
    ///
    /// # Errors
    /// Says what is wrong without repeating a word.
    pub fn parse(phrase: &str) -> Result<Self, MnemonicError> {
        Words::from_phrase(phrase).map(Self).map_err(why)
    }

    /// The words with single spaces between them, to be shown to the operator once.
    #[must_use]
    pub fn phrase(&self) -> &str {
        self.0.phrase()
    }

    /// The seed at `path`. The passphrase is part of the derivation: another one gives another key, and no error.
    ///
    /// # Errors
    /// No memory.
    pub fn seed(
        &self,
        passphrase: Option<&Passphrase>,
        path: &Path,
    ) -> Result<Seed, MnemonicError> {
        let passphrase = passphrase.map_or("", Passphrase::expose);
        let seed = Zeroizing::new(self.0.to_seed(passphrase));
        Ok(derive(&seed, path)?)
    }
}

impl std::fmt::Debug for Mnemonic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mnemonic(secret)")
    }
}

fn why(error: bip0039::Error) -> MnemonicError {
    use bip0039::Error;
    MnemonicError::Words(match error {
        Error::BadEntropyBitCount(_) | Error::BadWordCount(_) => {
            "12, 15, 18, 21 or 24 words are needed"
        }
        Error::UnknownWord(_) => {
            "a word is not in the English list of BIP39, whose words are in lower case"
        }
        Error::InvalidChecksum => "the checksum is wrong: a word is mistyped or out of place",
    })
}

/// A path is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a path is m, then up to {MAX_DEPTH} steps below 2147483648, such as m/44/864/0/0/0")]
pub struct PathError;

/// Longest path, which is BIP32's.
pub const MAX_DEPTH: usize = 255;

/// Steps down from the master key, every one hardened (there are no others for Ed25519): `m/44/864/0/0/0`. The marks `'`, `h` and `H` say
/// the same and may be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<u32>);

impl Default for Path {
    /// `m/44/864/0/0/0`: 864 is the coin's registered number.
    fn default() -> Self {
        Self(vec![44, 864, 0, 0, 0])
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut steps = text.split('/');
        if steps.next() != Some("m") {
            return Err(PathError);
        }
        let step = |step: &str| {
            let digits = step.strip_suffix(['\'', 'h', 'H']).unwrap_or(step);
            let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
            let index: u32 = digits.parse().ok().filter(|_| all_digits)?;
            (index < HARDENED).then_some(index)
        };
        let steps: Option<Vec<u32>> = steps.take(MAX_DEPTH + 1).map(step).collect();
        steps
            .filter(|s| s.len() <= MAX_DEPTH)
            .map(Self)
            .ok_or(PathError)
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("m")?;
        self.0.iter().try_for_each(|step| write!(f, "/{step}"))
    }
}

const HARDENED: u32 = 1 << 31;

/// SLIP-0010 for Ed25519.
fn derive(seed: &[u8; 64], path: &Path) -> Result<Seed, MemoryError> {
    let mut node = keyed(b"ed25519 seed", &[seed]);
    for step in &path.0 {
        let (key, chain_code) = node.split_at(32);
        let index = (step | HARDENED).to_be_bytes();
        node = keyed(chain_code, &[&[0], key, &index]);
    }
    let mut left = Zeroizing::new([0; 32]);
    left.copy_from_slice(&node[..32]);
    Seed::take(&mut left)
}

fn keyed(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    let mut output = mac.finalize().into_bytes();
    let result = Zeroizing::new(output.into());
    output.as_mut_slice().zeroize();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

    /// Rows of spec/09 §3.2 and one of our own with letters that NFKD changes; each was obtained from the reference library 0.8.0.
    const VECTORS: &[(&str, &str, &str)] = &[
        (
            "",
            "m/44/864/0/0/0",
            "401fc829f23f2ed4e37ec18c90df9ed6a8a7de99072460762b0387d12bb7dfd2",
        ),
        (
            "",
            "m",
            "560f9f3c94558b6551928bb781cf6092c6b8800b4fc544af2c9444ed126d51aa",
        ),
        (
            "",
            "m/44/864/1/0/0",
            "14375e75e206f045649e4261b49bd6bf839b389f7fdd4c1f870cac5966e9a6e0",
        ),
        (
            "TREZOR",
            "m/44/864/0/0/0",
            "07eefc2490d593efb657e6969e7e2c61224a5ce649857c540b952a89e5e46608",
        ),
        (
            "Gr\u{fc}\u{df}e \u{212b}",
            "m/44h/864'/0H/0/0",
            "17d394192137f9bcc2ca65beee194748ee72eb8d96286f651c7e1f0fb0b309cf",
        ),
    ];

    #[test]
    fn seeds_are_those_of_the_reference() {
        for (passphrase, path, seed) in VECTORS {
            let passphrase = Passphrase::copy_of(passphrase).unwrap();
            let words = Mnemonic::parse(WORDS).unwrap();
            let derived = words.seed(Some(&passphrase), &path.parse().unwrap());
            assert_eq!(derived.unwrap().to_hex().as_str(), *seed, "{path}");
        }
    }

    #[test]
    fn no_passphrase_is_the_empty_one_and_no_path_the_usual_one() {
        let seed = Mnemonic::parse(WORDS).unwrap().seed(None, &Path::default());
        assert_eq!(seed.unwrap().to_hex().as_str(), VECTORS[0].2);
        assert_eq!(Path::default().to_string(), VECTORS[0].1);
    }

    #[test]
    fn white_space_between_words_does_not_matter() {
        let loose = format!("  {}\n", WORDS.replace(' ', " \t"));
        assert_eq!(Mnemonic::parse(&loose).unwrap().phrase(), WORDS);
    }

    #[test]
    fn wrong_words_are_told_apart_without_repeating_them() {
        let thirteen = format!("{WORDS} about");
        for (phrase, reason) in [
            (thirteen.as_str(), "12, 15, 18"),
            ("abandon", "12, 15, 18"),
            ("", "12, 15, 18"),
            (&WORDS.replace("about", "abandon"), "checksum"),
            (&WORDS.replace("about", "convex"), "English list"),
            (&WORDS.replace("about", "About"), "English list"),
        ] {
            let error = Mnemonic::parse(phrase).unwrap_err().to_string();
            assert!(error.contains(reason), "{phrase}: {error}");
            assert!(!error.contains("bout") && !error.contains("convex"));
        }
    }

    #[test]
    fn generated_words_of_every_number_can_be_read_back_and_differ() {
        for count in WordCount::ALL {
            let [a, b] = [(); 2].map(|()| Mnemonic::generate(count).unwrap());
            assert_eq!(a.phrase().split(' ').count(), count.get());
            assert_ne!(a.phrase(), b.phrase());
            let read = Mnemonic::parse(a.phrase()).unwrap();
            let seed = |words: &Mnemonic| words.seed(None, &Path::default()).unwrap();
            assert_eq!(seed(&read).expose(), seed(&a).expose());
        }
        assert!(WordCount::try_from(13).is_err());
        assert_eq!(WordCount::try_from(24).unwrap(), WordCount::DEFAULT);
    }

    #[test]
    fn paths_that_the_reference_takes_for_the_master_key_are_errors() {
        let deep = format!("m{}", "/0".repeat(MAX_DEPTH + 1));
        for path in [
            "",
            "M",
            "44/864",
            "m/",
            "m//1",
            "m/x",
            "m/-1",
            "m/+1",
            "m/1''",
            "m/2147483648",
            "m/4294967296",
            " m",
            "m/1 ",
            &deep,
        ] {
            assert_eq!(path.parse::<Path>(), Err(PathError), "{path}");
        }
        assert!("m/2147483647".parse::<Path>().is_ok());
        assert!(deep[..deep.len() - 2].parse::<Path>().is_ok());
    }

    #[test]
    fn the_debug_form_shows_no_word() {
        assert!(!format!("{:?}", Mnemonic::parse(WORDS).unwrap()).contains("abandon"));
    }
}
