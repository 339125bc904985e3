//! The published examples and the oddities of indexes.

use super::*;
use crate::{Blob, Keyword, Symbol};

fn hex(index: &Index) -> String {
    Cell::from(index.clone())
        .encode()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn of(entries: &[(&[u8], i64)]) -> Index {
    entries.iter().fold(Index::empty(), |index, (k, v)| {
        index
            .assoc(Cell::from(Blob::new(k)), Cell::from(*v))
            .unwrap()
            .unwrap()
    })
}

#[test]
fn published_examples_have_their_bytes() {
    assert_eq!(hex(&of(&[(&[0x12, 0x34], 1)])), "8401310212341101");
    assert_eq!(
        hex(&of(&[(&[0x12, 0x35], 2), (&[0x12, 0x34], 1)])),
        "84020003003084013102123411018401310212351102"
    );
    assert_eq!(
        hex(&of(&[(&[0x12, 0x35], 2), (&[0x12], 1)])),
        "840280310112110102000884013102123511 02".replace(' ', "")
    );
    assert_eq!(
        hex(&of(&[(&[0x35], 2), (&[], 1)])),
        "84028031001101000008840131013511 02".replace(' ', "")
    );
    let mixed = Index::empty()
        .assoc(Cell::from("a"), Cell::Long(1))
        .unwrap()
        .unwrap()
        .assoc(Cell::from(Keyword::literal("b")), Cell::Long(2))
        .unwrap()
        .unwrap()
        .assoc(Cell::from(Symbol::literal("ab")), Cell::Long(0))
        .unwrap()
        .unwrap();
    assert_eq!(
        hex(&mixed),
        "840300010006840280300161110102004084013202616210840133016211 02".replace(' ', "")
    );
}

#[test]
fn deletions_promote_and_shrink() {
    let text = |s: &str| Cell::from(s);
    let keys: [(&[u8], &str); 5] = [
        (&[], ""),
        (&[0x12], "12"),
        (&[0x12, 0x34], "1234"),
        (&[0x12, 0x35], "1235"),
        (&[0x20], "20"),
    ];
    let mut index = keys.iter().fold(Index::empty(), |index, (k, v)| {
        index
            .assoc(Cell::from(Blob::new(k)), text(v))
            .unwrap()
            .unwrap()
    });
    assert_eq!(
        hex(&index),
        "8405803100300000000684038031011230023132020008840200030030840131021234300431323334840131021235300431323335840131012030023230"
    );
    index = index.dissoc(&Cell::from(Blob::new(&[]))).unwrap();
    assert_eq!(
        hex(&index),
        "84040000000684038031011230023132020008840200030030840131021234300431323334840131021235300431323335840131012030023230"
    );
    index = index.dissoc(&Cell::from(Blob::new(&[0x20]))).unwrap();
    assert_eq!(
        hex(&index),
        "84038031011230023132020008840200030030840131021234300431323334840131021235300431323335"
    );
    index = index.dissoc(&Cell::from(Blob::new(&[0x12]))).unwrap();
    assert_eq!(
        hex(&index),
        "840200030030840131021234300431323334840131021235300431323335"
    );
}

#[test]
fn a_key_counts_by_its_first_32_bytes_and_is_replaced_with_its_value() {
    let index = of(&[(&[0; 32], 1), (&[0; 33], 2)]);
    assert_eq!(index.count(), 1);
    assert_eq!(hex(&index), format!("84013121{}1102", "00".repeat(33)));
    let two = of(&[(&[0; 31], 0), (&[0; 32], 1)]);
    assert_eq!(two.count(), 2);
    let other = of(&[(b"a", 1), (b"b", 2)])
        .assoc(Cell::from("a"), Cell::Long(3))
        .unwrap()
        .unwrap();
    assert_eq!(
        hex(&other),
        "84020001000684013001611103840131016211 02".replace(' ', "")
    );
}

/// All from the reference, `{'g0 1}` and `{0x12 1, 0x3456 3}` among them.
#[test]
fn a_key_of_several_chunks_is_inserted_without_a_look_at_its_bytes() {
    let long = |start: &[u8], fill: u8| {
        let mut bytes = start.to_vec();
        bytes.resize(4098, fill);
        Cell::from(crate::Blob::new(&bytes))
    };
    let short = |bytes: &[u8]| Cell::from(crate::Blob::new(bytes));
    let insert = |keys: &[Cell]| {
        let mut index = Index::empty();
        for (i, key) in keys.iter().enumerate() {
            let inserted = index.assoc(key.clone(), Cell::Long(i as i64 + 1));
            index = inserted.unwrap().unwrap();
        }
        index
    };
    let zeros = long(&[], 0);
    // Below the entry that is there, although nothing is common.
    let symbol = Cell::from(crate::Symbol::literal("g0"));
    let below = insert(&[symbol.clone(), zeros.clone()]);
    assert!(hex(&below).starts_with("840280320267301101040001840131a00220"));
    assert_eq!(below.get(&zeros).unwrap(), Some(Cell::Long(2)));
    // The other way round it is where it belongs.
    assert!(hex(&insert(&[zeros.clone(), symbol])).starts_with("840200000041"));
    // In the place of a key of 32 bytes or more.
    let replaced = insert(&[short(&[0x12; 32]), zeros.clone()]);
    assert_eq!(replaced.count(), 1);
    assert_eq!(replaced.entry_at(0).unwrap().unwrap().0, zeros);
    assert_eq!(insert(&[short(&[0x12; 31]), zeros.clone()]).count(), 2);
    assert_eq!(insert(&[long(&[0x77], 1), zeros.clone()]).count(), 1);
    let three = insert(&[short(&[0x12]), zeros, short(&[0x34, 0x56])]);
    assert!(hex(&three).starts_with("84030000000a8402803101121101020001840131a00220"));
}

#[test]
fn the_value_filter_does_not_revisit_lower_digits_after_a_promotion() {
    // Removing 0200 promotes the node of 0203; its child under digit 0 comes too late to be tested.
    let index = of(&[(&[2, 0], 0), (&[2, 3], 0), (&[2, 3, 0], 0)]);
    let none = index
        .filter_values::<CellError>(&mut |_| Ok(false))
        .unwrap();
    assert_eq!(hex(&none), "84013103020300 10".replace(' ', ""));
    // Without the promotion everything goes.
    let index = of(&[(&[2, 3], 0), (&[2, 3, 0], 0)]);
    assert!(
        index
            .filter_values::<CellError>(&mut |_| Ok(false))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn numbers_and_collections_are_no_keys() {
    assert!(
        Index::empty()
            .assoc(Cell::Long(1), Cell::Nil)
            .unwrap()
            .is_none()
    );
    assert!(of(&[(&[1], 1)]).get(&Cell::Long(1)).unwrap().is_none());
}
