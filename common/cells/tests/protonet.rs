//! The state and the belief of the live network survive export and import. Needs the shared data; says so when
//! they are absent.

use std::path::PathBuf;

use cells::{Cell, Decoder, decode_message, encode_message, validate};

fn shared(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!("skipped: {}: {error}", path.display());
            None
        }
    }
}

/// The message's top and the sorted list of its children: the order of children is free.
fn parts(message: &[u8], top: usize) -> Vec<Vec<u8>> {
    let (mut at, mut parts) = (top, Vec::new());
    while at < message.len() {
        let (len, prefix) = cells::vlq::read(&message[at..]).unwrap();
        at += prefix;
        parts.push(message[at..at + len as usize].to_vec());
        at += len as usize;
    }
    parts.sort();
    parts.insert(0, message[..top].to_vec());
    parts
}

fn round_trip(bytes: &[u8]) -> Cell {
    let cell = decode_message(bytes, &Decoder::new()).unwrap();
    validate(&cell).unwrap();
    let exported = encode_message(&cell).unwrap();
    let top = cell.encoded_len();
    assert!(
        parts(&exported, top) == parts(bytes, top),
        "the exported message has other cells"
    );
    let imported = decode_message(&exported, &Decoder::new()).unwrap();
    assert_eq!(imported.hash(), cell.hash());
    cell
}

#[test]
fn the_genesis_state_of_the_live_network_keeps_its_hash() {
    let Some(bytes) = shared("protonet-genesis.cad3") else {
        return;
    };
    let state = round_trip(&bytes);
    assert_eq!(
        state.hash().to_string(),
        "b0e44f2a645abfa539f5b96b7a0eabb0f902866feaff0f7c12d1213e02333f13"
    );
}

#[test]
fn the_belief_of_the_live_network_round_trips() {
    let Some(bytes) = shared("protonet-belief-728.cad3") else {
        return;
    };
    round_trip(&bytes);
}
