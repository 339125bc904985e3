//! Key stores of the reference, of keytool and of openssl are read; ours keep what they should.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keys::{
    Cost, EntryKind, Integrity, KeyStore, KeyStoreError, MAX_STORE_BYTES, Passphrase, Seed,
};
use proptest::prelude::*;

/// spec/09 §3.3: key passphrase `test`, seed 1, no MAC.
const WITHOUT_MAC: &str = "308201bb020103308201b406092a864886f70d010701a08201a5048201a13082019d3082019906092a864886f70d010701a082018a04820186308201823082017e060b2a864886f70d010c0a0105a081b43081b1060b2a864886f70d010c0a0102a081a104819e30819b306706092a864886f70d01050d305a303906092a864886f70d01050c302c0414000000000000000000000000000000000000000002030186a0020110300c06082a864886f70d020b0500301d060960864801650304010204106edcb73e520608d489c84733342beefa0430786567a1080bf89f6fc0f6580b64b68427f6d732a8c21c027b8b074fa34e16cdc5668d563c56ffa55b6e6d21490fae8a3181b730819106092a864886f70d0109143181831e81800034006300620035006100620066003600610064003700390066006200660035006100620062006300630061006600630063003200360039006400380035006300640032003600350031006500640034006200380038003500620035003800360039006600320034003100610065006400660030006100350062006100320039302106092a864886f70d0109153114041254696d652031373935323434363335393939";
/// Made by the reference library 0.8.0: store passphrase `storepw`, key passphrase `test`, seed 2.
const WITH_MAC: &str = "3082020a020103308201b406092a864886f70d010701a08201a5048201a13082019d3082019906092a864886f70d010701a082018a04820186308201823082017e060b2a864886f70d010c0a0105a081b43081b1060b2a864886f70d010c0a0102a081a104819e30819b306706092a864886f70d01050d305a303906092a864886f70d01050c302c0414000000000000000000000000000000000000000002030186a0020110300c06082a864886f70d020b0500301d0609608648016503040102041019f820b0a89c19958ab482de8dad41d004304b908efbec9d7429fa22cdd47f4de7a7ce057c41e1c15fff390ff9923a3ca97a0b54be53d9bad400cd6a761d93f8a4393181b730819106092a864886f70d0109143181831e81800037003400320032006200390038003800370035003900380030003600380065003300320063003400340034003800610039003400390061006400620032003900300064003000660034006500330035006200390065003000310062003000650065003500660031006100310065003600300030006600650032003600370034302106092a864886f70d0109153114041254696d652031373935353236373132363532304d3031300d0609608648016503040201050004208f9d647d978294ae2575bfd035f24c7fa23fe350063a13a38c66d6567df60dc20414a8999f08255346e9c266d3343c1e2b2374f2ed1502022710";
const KEY_1: &str = "4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29";
const KEY_2: &str = "7422b9887598068e32c4448a949adb290d0f4e35b9e01b0ee5f1a1e600fe2674";

const KEYTOOL: &[u8] = include_bytes!("data/keytool.p12");
const OPENSSL: &[u8] = include_bytes!("data/openssl.p12");
const OLD_ENCRYPTION: &[u8] = include_bytes!("data/old-encryption.p12");
const FOREIGN_SEED: &str = "6c5bfcb60a46ae22a69fdecb246e6eb26c7ae29d75c460236c1d49f2d029228a";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::copy_of(text).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn seed(last: u8) -> Seed {
    let mut bytes = [0; 32];
    bytes[31] = last;
    Seed::take(&mut bytes).unwrap()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_795_244_635_999)
}

/// Encoding of a store with the keys of these seeds, all under the passphrase `key`.
fn store_of(seeds: &[u8]) -> Vec<u8> {
    let mut store = KeyStore::new();
    for &last in seeds {
        let inserted = store.insert(&seed(last), &passphrase("key"), Cost::REFERENCE, now());
        assert_eq!(inserted.unwrap(), seed(last).account_key());
    }
    store
        .to_bytes(&passphrase("store"), Cost::REFERENCE)
        .unwrap()
}

fn aliases(store: &KeyStore) -> Vec<String> {
    store.entries().map(|e| e.alias.to_owned()).collect()
}

#[test]
fn a_store_of_the_reference_without_a_mac_gives_its_seed() {
    let store = KeyStore::parse(&bytes(WITHOUT_MAC), Some(&passphrase("whatever"))).unwrap();
    assert_eq!(store.integrity(), Integrity::NoMac);
    let entry = store.entries().next().unwrap();
    let key = KEY_1.parse().unwrap();
    assert_eq!(
        (entry.alias, entry.key, entry.kind),
        (KEY_1, Some(key), EntryKind::Secret)
    );
    let found = store.unlock(&key, &passphrase("test")).unwrap();
    assert_eq!(found.expose(), seed(1).expose());
}

#[test]
fn a_store_of_the_reference_with_a_mac_gives_its_seed() {
    let store = KeyStore::parse(&bytes(WITH_MAC), Some(&passphrase("storepw"))).unwrap();
    assert_eq!(store.integrity(), Integrity::Verified);
    let found = store
        .unlock(&KEY_2.parse().unwrap(), &passphrase("test"))
        .unwrap();
    assert_eq!(found.expose(), seed(2).expose());
    let unchecked = KeyStore::parse(&bytes(WITH_MAC), None).unwrap();
    assert_eq!(unchecked.integrity(), Integrity::Unchecked);
}

#[test]
fn stores_of_keytool_and_openssl_give_their_seed() {
    for (file, secret, alias) in [(KEYTOOL, "secret1", "mykey"), (OPENSSL, "secret2", "other")] {
        let store = KeyStore::parse(file, Some(&passphrase(secret))).unwrap();
        assert_eq!(store.integrity(), Integrity::Verified);
        let entry = store.entries().next().unwrap();
        assert_eq!(
            (entry.alias, entry.key, entry.kind),
            (alias, None, EntryKind::PrivateKey)
        );
        let found = store.unlock_alias(alias, &passphrase(secret)).unwrap();
        assert_eq!(found.to_hex().as_str(), FOREIGN_SEED);
    }
}

#[test]
fn each_wrong_passphrase_has_its_own_error() {
    let parsed = KeyStore::parse(&bytes(WITH_MAC), Some(&passphrase("storepw ")));
    assert!(matches!(parsed, Err(KeyStoreError::WrongStorePassphrase)));
    let store = KeyStore::parse(&bytes(WITH_MAC), Some(&passphrase("storepw"))).unwrap();
    for wrong in ["", "Test", "storepw"] {
        let unlocked = store.unlock(&KEY_2.parse().unwrap(), &passphrase(wrong));
        assert!(
            matches!(unlocked, Err(KeyStoreError::WrongKeyPassphrase)),
            "{wrong}"
        );
    }
    let missing = store.unlock(&KEY_1.parse().unwrap(), &passphrase("test"));
    assert!(matches!(missing, Err(KeyStoreError::NoSuchKey(alias)) if alias == KEY_1));
}

#[test]
fn a_changed_byte_is_found_by_the_mac() {
    let whole = bytes(WITH_MAC);
    let name = whole
        .windows(4)
        .position(|w| w == [0, b'7', 0, b'4'])
        .unwrap();
    let mut changed = whole.clone();
    changed[name + 1] = b'8';
    let parsed = KeyStore::parse(&changed, Some(&passphrase("storepw")));
    assert!(matches!(parsed, Err(KeyStoreError::WrongStorePassphrase)));
    // Without it, by the key not being the one that its name says.
    let store = KeyStore::parse(&changed, None).unwrap();
    let alias = aliases(&store).remove(0);
    let found = store.unlock_alias(&alias, &passphrase("test"));
    assert!(matches!(found, Err(KeyStoreError::OtherKey { .. })));
}

#[test]
fn keys_can_be_put_in_replaced_and_taken_out() {
    let mut store = KeyStore::parse(&store_of(&[1, 2, 3]), Some(&passphrase("store"))).unwrap();
    let named = [1, 2, 3].map(|last| hex::encode(seed(last).account_key().as_bytes()));
    assert_eq!(aliases(&store), named);
    // The same key under another passphrase keeps its place.
    store
        .insert(&seed(2), &passphrase("new"), Cost::REFERENCE, now())
        .unwrap();
    assert!(store.remove(&named[0].to_uppercase()));
    assert!(!store.remove(&named[0]));
    let written = store
        .to_bytes(&passphrase("store 2"), Cost::REFERENCE)
        .unwrap();

    let store = KeyStore::parse(&written, Some(&passphrase("store 2"))).unwrap();
    assert_eq!(aliases(&store), named[1..]);
    let unlock = |last, text| store.unlock(&seed(last).account_key(), &passphrase(text));
    assert_eq!(unlock(2, "new").unwrap().expose(), seed(2).expose());
    assert_eq!(unlock(3, "key").unwrap().expose(), seed(3).expose());
    assert!(matches!(
        unlock(2, "key"),
        Err(KeyStoreError::WrongKeyPassphrase)
    ));
}

#[test]
fn what_other_tools_put_into_a_store_stays_there() {
    let secret = passphrase("secret1");
    let mut store = KeyStore::parse(KEYTOOL, Some(&secret)).unwrap();
    store
        .insert(&seed(1), &secret, Cost::REFERENCE, now())
        .unwrap();
    let written = store.to_bytes(&secret, Cost::REFERENCE).unwrap();
    let again = KeyStore::parse(&written, Some(&secret)).unwrap();
    assert_eq!(aliases(&again), ["mykey", KEY_1]);
    let found = again.unlock_alias("mykey", &secret).unwrap();
    assert_eq!(found.to_hex().as_str(), FOREIGN_SEED);
    // The certificate is encrypted with the passphrase of the store and would be lost under another one.
    let other = store.to_bytes(&passphrase("another"), Cost::REFERENCE);
    assert!(matches!(other, Err(KeyStoreError::SealedParts)));
    let part = &KEYTOOL[KEYTOOL.len() - 400..KEYTOOL.len() - 80];
    assert!(written.windows(part.len()).any(|window| window == part));
}

#[test]
fn every_store_and_every_key_has_a_salt_of_its_own() {
    let [a, b] = [store_of(&[1]), store_of(&[1])];
    let salt = |store: &[u8]| {
        // PBKDF2, then the parameters: sequence, octet string of 20 bytes.
        let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
        let at = store.windows(9).position(|w| w == oid).unwrap() + 9;
        assert_eq!(store[at + 2..at + 4], [0x04, 20]);
        store[at + 4..at + 24].to_vec()
    };
    assert_ne!(salt(&a), salt(&b));
    assert_ne!(salt(&a), [0; 20]);
    assert_ne!(a[a.len() - 25..], b[b.len() - 25..]);
}

#[test]
fn a_store_does_not_hold_its_seed_in_the_clear() {
    let secret = [0xa5; 32];
    let mut store = KeyStore::new();
    let seed = Seed::take(&mut secret.clone()).unwrap();
    store
        .insert(&seed, &passphrase("key"), Cost::REFERENCE, now())
        .unwrap();
    let bytes = store
        .to_bytes(&passphrase("store"), Cost::REFERENCE)
        .unwrap();
    assert!(!bytes.windows(8).any(|window| window == &secret[..8]));
    assert!(!format!("{store:?}").contains("165, 165, 165"));
}

#[test]
fn an_encryption_of_another_age_is_named_and_not_taken_for_a_wrong_passphrase() {
    let store = KeyStore::parse(OLD_ENCRYPTION, Some(&passphrase("secret3"))).unwrap();
    let unlocked = store.unlock_alias("legacy", &passphrase("secret3"));
    let Err(KeyStoreError::Unsupported(what)) = unlocked else {
        panic!("{unlocked:?}");
    };
    assert!(what.contains("1.2.840.113549.1.12.1.3"), "{what}");
}

#[test]
fn work_without_bound_is_refused_before_it_starts() {
    // 10,000,001 iterations; the salt gives the bytes for the longer number.
    let too_many = "020400989681";
    let key = WITHOUT_MAC.replacen("302c041400", "302c0413", 1);
    let key = key.replacen("02030186a0", too_many, 1);
    let store = KeyStore::parse(&bytes(&key), None).unwrap();
    let unlocked = store.unlock(&KEY_1.parse().unwrap(), &passphrase("test"));
    assert!(matches!(
        unlocked,
        Err(KeyStoreError::TooManyIterations(10_000_001))
    ));

    let mac = WITH_MAC.strip_suffix("02022710").unwrap();
    let (before, salt) = mac.split_at(mac.len() - 40);
    let before = before.strip_suffix("0414").unwrap();
    let mac = format!("{before}0412{}{too_many}", &salt[4..]);
    let parsed = KeyStore::parse(&bytes(&mac), Some(&passphrase("storepw")));
    assert!(matches!(
        parsed,
        Err(KeyStoreError::TooManyIterations(10_000_001))
    ));
}

#[test]
fn what_is_no_store_is_told_from_a_wrong_passphrase() {
    let whole = bytes(WITH_MAC);
    let mut longer = whole.clone();
    longer.push(0);
    for broken in [
        &[][..],
        b"-----BEGIN PRIVATE KEY-----",
        &whole[1..],
        &longer,
        &[0x30; 64],
    ] {
        let parsed = KeyStore::parse(broken, Some(&passphrase("storepw")));
        assert!(
            matches!(parsed, Err(KeyStoreError::Broken(_))),
            "{parsed:?}"
        );
    }
    for end in 0..whole.len() {
        assert!(KeyStore::parse(&whole[..end], None).is_err(), "{end}");
    }
    let large = KeyStore::parse(&vec![0; MAX_STORE_BYTES + 1], None);
    assert!(matches!(large, Err(KeyStoreError::TooLarge)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_the_reader_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), which in 0..3_usize) {
        let mut bytes = [&bytes(WITH_MAC), KEYTOOL, OPENSSL][which].to_vec();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        if let Ok(store) = KeyStore::parse(&bytes, None) {
            for entry in store.entries() {
                prop_assert_eq!(entry.key.is_some(), entry.alias.len() == 64 && hex::decode(entry.alias).is_ok());
            }
        }
    }
}
