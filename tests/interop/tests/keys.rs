//! One key store, to and fro: this tree and the reference take turns in adding keys, and each reads and signs with all of them. And
//! seeds from words, which have to be the same. Says so and does nothing where the reference can't run.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use interop::oracle::Oracle;
use interop::rng::Rng;
use keys::file::Owner;
use keys::mnemonic::{Mnemonic, WordCount};
use keys::{Cost, Integrity, KeyStore, MAX_STORE_BYTES, Passphrase, Seed};
use serde_json::Value;

fn ask(oracle: &mut Oracle, request: String) -> Value {
    let answer = oracle.ask(&[request]).expect("an answer").remove(0);
    assert!(answer.get("fail").is_none(), "{answer}");
    answer
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::copy_of(text).expect("a passphrase")
}

/// For a line of the reference.
fn hex_of(text: &str) -> String {
    hex::encode(text)
}

fn hex_of_seed(seed: &Seed) -> String {
    hex::encode(seed.expose())
}

fn open(file: &Path, store: &str) -> KeyStore {
    let bytes = keys::file::read(file, MAX_STORE_BYTES, Owner::Own).expect("a file");
    let read = KeyStore::parse(&bytes, Some(&passphrase(store))).expect("a key store");
    assert_eq!(read.integrity(), Integrity::Verified);
    read
}

#[test]
fn a_key_store_goes_from_this_tree_to_the_reference_and_back_with_every_key_in_it() {
    let Some(mut oracle) = Oracle::chosen() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keystore.pfx");
    // Beyond ASCII and beyond 16 bits: the two derivations encode them differently.
    let store = "Schl\u{fc}ssel \u{1f511}";
    let words = |i: usize| format!("passphrase \u{df}\u{1f511} {i}");
    let message = b"a message to sign";
    let date = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let mut seeds: Vec<Seed> = Vec::new();
    for round in 0..3 {
        // This tree adds a key, with the iterations of this tree or of the reference.
        let cost = [Cost::default(), Cost::REFERENCE][round % 2];
        let seed = Seed::generate().expect("random");
        let added = keys::file::update(&file, MAX_STORE_BYTES, |old| {
            let mut keys = match old {
                Some(bytes) => KeyStore::parse(bytes, Some(&passphrase(store))).expect("a store"),
                None => KeyStore::new(),
            };
            let secret = passphrase(&words(seeds.len()));
            keys.insert(&seed, &secret, cost, date).expect("room");
            let bytes = keys.to_bytes(&passphrase(store), cost).expect("room");
            Ok::<_, keys::file::FileError>(bytes.into())
        });
        added.expect("written");
        seeds.push(seed);

        // So does the reference.
        let seed = Seed::generate().expect("random");
        let [path, store_hex] = [file.display().to_string(), hex_of(store)];
        let secret = hex_of(&words(seeds.len()));
        let written = ask(
            &mut oracle,
            format!(
                "keys-write {path} {store_hex} {secret} {}",
                hex_of_seed(&seed)
            ),
        );
        assert_eq!(written["key"], seed.account_key().to_string());
        seeds.push(seed);

        // Both read all of them.
        let read = open(&file, store);
        assert_eq!(read.entries().count(), seeds.len());
        for (i, seed) in seeds.iter().enumerate() {
            let key = seed.account_key();
            let found = read.unlock(&key, &passphrase(&words(i))).expect("unlocked");
            assert_eq!(found.expose(), seed.expose());
            let secret = hex_of(&words(i));
            let alias = key.to_string();
            let message_hex = hex::encode(message);
            let theirs = ask(
                &mut oracle,
                format!("keys-read {path} {store_hex} {secret} {alias} {message_hex}"),
            );
            assert_eq!(theirs["key"], alias);
            assert_eq!(theirs["seed"], hex_of_seed(seed));
            let signing = seed.signing_key().expect("memory");
            assert_eq!(theirs["signature"], signing.sign(message).to_string());
            let aliases = theirs["aliases"].as_str().expect("a text");
            assert_eq!(aliases.split(' ').count(), seeds.len());
            if i % 2 == 0 {
                assert_eq!(theirs["date"], 1_700_000_000_123_i64);
            }
        }
    }
    // The reference refuses what this tree refuses.
    let line = format!(
        "keys-read {} {} {} {} 00",
        file.display(),
        hex_of("wrong"),
        hex_of(&words(0)),
        seeds[0].account_key()
    );
    let refused = oracle.ask(&[line]).expect("an answer").remove(0);
    assert!(refused.get("fail").is_some(), "{refused}");
}

#[test]
fn words_give_the_seeds_of_the_reference() {
    let Some(mut oracle) = Oracle::chosen() else {
        return;
    };
    let mut rng = Rng::of_case(77, 0);
    for i in 0..40 {
        let count = WordCount::ALL[i % WordCount::ALL.len()];
        let words = Mnemonic::generate(count).expect("random");
        let depth = rng.below(7);
        let steps: String = (0..depth)
            .map(|_| format!("/{}", rng.below(1 << 31)))
            .collect();
        let path = format!("m{steps}");
        let text = ["", "TREZOR", "\u{212b} \u{fb01} \u{1f511}"][i % 3];
        let ours = words.seed(Some(&passphrase(text)), &path.parse().expect("a path"));
        let ours = ours.expect("memory");
        let secret = if text.is_empty() {
            "-".to_owned()
        } else {
            hex_of(text)
        };
        let line = format!("keys-derive {path} {secret} {}", hex_of(words.phrase()));
        let theirs = ask(&mut oracle, line);
        assert_eq!(theirs["seed"], hex_of_seed(&ours), "{path} {text}");
        assert_eq!(theirs["key"], ours.account_key().to_string());
    }
}
