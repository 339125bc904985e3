//! What is kept in the store has the layout of the reference (`spec/05 §15.1`): scenario s22 of its merge vectors, read and written again.

use cells::{Blob, Cell, Decoder, Map, decode_message};
use consensusd::root;
use crypto::AccountKey;

/// The peer data of a fresh peer, with all below it.
const FRESH: &str = include_str!("vectors/peer-data-fresh.hex");
/// After one final block.
const EXECUTED: &str = include_str!("vectors/peer-data-executed.hex");
const KEY: &str = "4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29";

fn root_of(hex: &str) -> (AccountKey, Map) {
    let bytes = hex::decode(hex.trim()).unwrap();
    let data = decode_message(&bytes, &Decoder::new()).unwrap();
    let key: AccountKey = KEY.parse().unwrap();
    let root = Map::empty()
        .assoc(Cell::from(Blob::new(key.as_bytes())), data)
        .unwrap();
    (key, root)
}

#[test]
fn peer_data_of_the_reference_is_read_and_written_to_the_byte() {
    let ids = [
        "ea2e9cd380c34b99ea64594434ef83415fa2cb1097c32677aa0f7945988d1dc3",
        "dcb473f886f9253caf0acceaa541505e3055348c55a6802004d57f7ecc3dafbb",
    ];
    for ((hex, id), position) in [FRESH, EXECUTED].into_iter().zip(ids).zip(0..) {
        let (key, root) = root_of(hex);
        let peer = root::read(&root, &key).unwrap().unwrap();
        assert_eq!(peer.position, position);
        assert_eq!(peer.results.count(), position);
        let data = Cell::from(root::data(&key, &peer).unwrap());
        assert_eq!(data.hash().to_string(), id);
    }
}

#[test]
fn the_root_keeps_what_it_has_of_other_peers() {
    let (key, root) = root_of(EXECUTED);
    let peer = root::read(&root, &key).unwrap().unwrap();
    let alone = root::write(&Map::empty(), &key, &peer).unwrap();
    assert_eq!(
        alone.hash().to_string(),
        "3436df6df684ce281571f53158a4c743ea39c2bc6fa6855554c6323617bb5157"
    );
    let other = AccountKey::new([5; 32]);
    assert!(root::read(&root, &other).unwrap().is_none());
    let Cell::Map(both) = root::write(&root, &other, &peer).unwrap() else {
        panic!("no map");
    };
    assert_eq!(both.count(), 2);
    assert_eq!(root::read(&both, &key).unwrap().unwrap().position, 1);
}

#[test]
fn other_roots_are_refused_with_what_is_wrong() {
    assert!(root::entries(&Cell::Long(1)).is_err());
    assert!(root::entries(&Cell::Nil).unwrap().is_empty());
    let key = AccountKey::new([5; 32]);
    let place = |value| {
        Map::empty()
            .assoc(Cell::from(Blob::new(key.as_bytes())), value)
            .unwrap()
    };
    for value in [Cell::Long(1), Cell::from(Map::empty())] {
        assert!(root::read(&place(value), &key).is_err());
    }
}
