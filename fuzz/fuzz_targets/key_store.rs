//! Key stores from arbitrary bytes.
//!
//! - Whatever the bytes are, reading gives a store or an error.
//! - The entries of a store that was read can be listed, and taken out by the names that they have.
//! - No entry gives a key with the passphrase of nobody; trying is bounded by the iterations that are allowed, so it is tried only
//!   where the bytes ask for few.
#![no_main]

use keys::{KeyStore, Passphrase};
use libfuzzer_sys::fuzz_target;

/// The integers in the bytes that could be numbers of iterations are at most this.
const FEW: u64 = 2_000;

fuzz_target!(|data: &[u8]| {
    let Ok(mut store) = KeyStore::parse(data, None) else {
        return;
    };
    let aliases: Vec<String> = store.entries().map(|e| e.alias.to_owned()).collect();
    if asks_for_few_iterations(data) {
        let nobody = Passphrase::copy_of("nobody").expect("memory");
        for alias in aliases.iter().take(4) {
            let _ = store.unlock_alias(alias, &nobody);
        }
        let _ = KeyStore::parse(data, Some(&nobody));
    }
    for alias in &aliases {
        store.remove(alias);
    }
    assert_eq!(store.entries().count(), 0, "{aliases:?}");
});

/// Looks at everything that could be the encoding of an integer.
fn asks_for_few_iterations(data: &[u8]) -> bool {
    data.windows(2).enumerate().all(|(at, head)| {
        let length = usize::from(head[1]);
        if head[0] != 2 || !(2..=8).contains(&length) {
            return true;
        }
        let Some(bytes) = data.get(at + 2..at + 2 + length) else {
            return true;
        };
        bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b)) <= FEW
    })
}
