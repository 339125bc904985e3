//! Ed25519 and SHA3-256 exactly as the network uses them.
//!
//! Pure: results depend on the arguments alone. Two parts that share nothing:
//!
//! - [`sha3_256`] and [`sha3_256_many`], the hash behind every cell (spec/01).
//! - Signatures: [`SigningKey`] makes them; [`verify`], [`KeyCache::verify`] and [`verify_batch`] check them, all three
//!   with the reference's accept set (spec/01 §11.1), which no common library's default check has.
#![forbid(unsafe_code)]

mod batch;
mod fixed_bytes;
mod keccak;
mod key_cache;
mod sha3;
mod signing;
mod verify;

pub use batch::{SignedMessage, verify_batch};
pub use fixed_bytes::{AccountKey, LengthError, ParseHexError, Signature};
pub use key_cache::KeyCache;
pub use sha3::{sha3_256, sha3_256_many};
pub use signing::SigningKey;
pub use verify::{VerifyingKey, verify};
