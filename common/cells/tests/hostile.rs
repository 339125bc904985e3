//! Trees that no peer would make: answered with an error or at once, never after as many steps as they claim.

use std::collections::HashMap;
use std::sync::Arc;

use cells::{
    Cell, CellError, DecodeError, Decoder, Hash, Record, Set, SetOp, Source, Vector, decode_cell,
    decode_message, encode_message, validate, vlq,
};

/// A message of nodes, each but the first with every child being the one before it.
fn message(innermost: Vec<u8>, levels: usize, parent: impl Fn(&Hash) -> Vec<u8>) -> Vec<u8> {
    let mut nodes = vec![innermost];
    for _ in 0..levels {
        let below = Hash::of(&nodes[nodes.len() - 1]);
        nodes.push(parent(&below));
    }
    let mut out = nodes.pop().unwrap();
    for node in nodes.iter().rev() {
        assert!(node.len() > cells::MAX_EMBEDDED);
        vlq::write(&mut out, node.len() as u64);
        out.extend_from_slice(node);
    }
    out
}

/// A node of an index that claims `count` entries and has the same child under each digit.
fn index_node(count: u64, depth: u8, child: &Hash) -> Vec<u8> {
    let mut node = vec![0x84];
    vlq::write(&mut node, count);
    node.extend_from_slice(&[0, depth, 0xff, 0xff]);
    for _ in 0..16 {
        node.push(0x20);
        node.extend_from_slice(&child.0);
    }
    node
}

/// An index of one entry that is no embedded value.
fn large_entry() -> Vec<u8> {
    let mut node = vec![0x84, 1];
    for _ in 0..2 {
        node.extend_from_slice(&[0x31, 100]);
        node.resize(node.len() + 100, 7);
    }
    node
}

#[test]
fn the_slice_of_an_index_ends_where_its_entries_do_not_go_away() {
    // Claims 2^40 entries; the last one is not found under its own key.
    let mut bytes = vec![0x84];
    vlq::write(&mut bytes, 1 << 40);
    bytes.extend_from_slice(&[0, 0, 0x60, 0]);
    bytes.push(0x84);
    vlq::write(&mut bytes, (1 << 40) - 1);
    bytes.extend_from_slice(&[0, 4, 0, 0]);
    bytes.extend_from_slice(&[0x84, 1, 0x31, 1, 0x11, 0x11, 1]);
    let Cell::Index(index) = decode_cell(&bytes, &Decoder::new()).unwrap() else {
        panic!("an index");
    };
    assert!(matches!(
        index.slice(0, (1 << 40) - 5),
        Err(CellError::Malformed(_))
    ));
    assert!(matches!(
        index.slice(5, 1 << 40),
        Err(CellError::Malformed(_))
    ));
}

#[test]
fn the_value_filter_visits_a_shared_node_once() {
    let bytes = message(large_entry(), 40, |below| index_node(1 << 50, 1, below));
    let Cell::Index(index) = decode_message(&bytes, &Decoder::new()).unwrap() else {
        panic!("an index");
    };
    let mut asked = 0;
    let all = index.filter_values::<CellError>(&mut |_| {
        asked += 1;
        Ok(true)
    });
    assert_eq!(all, Ok(index.clone()));
    assert_eq!(asked, 1);
    let none = index.filter_values::<CellError>(&mut |_| Ok(false));
    assert!(none.is_ok_and(|i| i.count() < 1 << 60));
}

/// A set that claims 16 elements and has the same child under each digit, 40 levels deep.
fn shared_set() -> Set {
    let leaf = Cell::from(Set::from_iter(
        (0..15).map(|i| Cell::from(format!("element {i:>20}").as_str())),
    ));
    let level = std::cell::Cell::new(40);
    let bytes = message(leaf.encode(), 40, |below| {
        level.set(level.get() - 1);
        let mut node = vec![0x83, 16, level.get(), 0xff, 0xff];
        for _ in 0..16 {
            node.push(0x20);
            node.extend_from_slice(&below.0);
        }
        node
    });
    let Cell::Set(set) = decode_message(&bytes, &Decoder::new()).unwrap() else {
        panic!("a set");
    };
    set
}

#[test]
fn set_algebra_ends_where_nodes_outnumber_the_elements() {
    let (a, b) = (shared_set(), shared_set());
    let few = Set::from_iter([Cell::Long(1)]);
    for op in [
        SetOp::Union,
        SetOp::Intersection,
        SetOp::Difference,
        SetOp::ReverseDifference,
    ] {
        // Where one side has nothing, the other is taken or left as a whole: nobody has to walk it.
        for (left, right) in [(&a, &few), (&few, &a)] {
            assert!(left.combine(right, op).is_ok(), "{op:?}");
        }
        let combined = a.combine(&b, op);
        assert!(matches!(combined, Err(CellError::Malformed(_))), "{op:?}");
    }
    assert!(matches!(a.contains_all(&b), Err(CellError::Malformed(_))));
    let whole: Set = (0..300).map(Cell::Long).collect();
    assert_eq!(whole.combine(&few, SetOp::Union), Ok(whole.clone()));
    assert_eq!(whole.contains_all(&whole.clone()), Ok(true));
}

#[test]
fn the_structural_check_visits_a_shared_node_once() {
    // 2^20 chunks of zeros and five levels above them: 2^52 bytes that are told in a few thousand.
    let mut chunk = vec![0x31];
    vlq::write(&mut chunk, 4096);
    chunk.resize(chunk.len() + 4096, 0);
    let level = std::cell::Cell::new(0);
    let bytes = message(chunk, 10, |below| {
        level.set(level.get() + 1);
        let mut node = vec![0x31];
        vlq::write(&mut node, 4096u64 << (4 * level.get()));
        for _ in 0..16 {
            node.push(0x20);
            node.extend_from_slice(&below.0);
        }
        node
    });
    let blob = decode_message(&bytes, &Decoder::new()).unwrap();
    assert_eq!(validate(&blob), Ok(()));
}

/// Decodes anew each time it is asked.
struct Forgetful(HashMap<Hash, Vec<u8>>);

impl Source for Forgetful {
    fn load(&self, hash: &Hash) -> Result<Cell, CellError> {
        let bytes = self.0.get(hash).ok_or(CellError::Missing(*hash))?;
        let decoder = Decoder::with_source(Arc::new(Forgetful(self.0.clone())));
        decode_cell(bytes, &decoder).map_err(|_| CellError::Malformed("not a cell"))
    }
}

#[test]
fn the_memory_size_of_a_shared_value_is_summed_once_even_when_the_store_forgets() {
    let mut value = Cell::from("x".repeat(200).as_str());
    let mut store = HashMap::new();
    for _ in 0..62 {
        store.insert(value.hash(), value.encode());
        value = Cell::from(Vector::from_iter([
            value.clone(),
            value.clone(),
            value.clone(),
            value.clone(),
            value,
        ]));
    }
    let expected = value.memory_size();
    let decoder = Decoder::with_source(Arc::new(Forgetful(store)));
    let lazy = decode_cell(&value.encode(), &decoder).unwrap();
    assert_eq!(lazy.memory_size(), expected);
    assert_eq!(expected, Ok(i64::MAX as u64));
}

#[test]
fn a_branch_where_a_record_is_typed_needs_a_store() {
    // The origin of a transfer decides whether it is one, and here it is no embedded value (`spec/01 §12`, `§13.8`).
    let origin = Cell::from("x".repeat(200).as_str());
    let fields = [origin.clone(), Cell::Long(1), Cell::Nil, Cell::Long(2)];
    let odd = Cell::Record(Record::new(0xd1, fields.into_iter().collect()).unwrap());
    let bytes = encode_message(&odd).unwrap();

    // Children are attached after all cells were read: that this one came along does not help.
    assert_eq!(
        decode_message(&bytes, &Decoder::new()),
        Err(DecodeError::Missing(origin.hash()))
    );
    assert_eq!(
        decode_message(&bytes, &Decoder::new().generic()).map(|cell| cell.hash()),
        Ok(odd.hash())
    );
    let store = HashMap::from([(origin.hash(), origin.encode())]);
    let decoder = Decoder::with_source(Arc::new(Forgetful(store)));
    assert_eq!(decode_message(&bytes, &decoder), Ok(odd));
}
