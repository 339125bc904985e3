//! Values in a store: written, found again branch by branch, changed, verified.

use std::path::PathBuf;

use cells::{Blob, Cell, CellError, Decoder, Map, Source, Vector, decode_message, encode_message};
use cellstore::{StoreSource, branches, put, put_root};
use etch::{Options, Reader, Writer};

fn large() -> Cell {
    let entry = |i: i64| {
        (
            Cell::Long(i),
            Cell::from(Blob::new(&i.to_be_bytes().repeat(20))),
        )
    };
    let map: Map = (0..3000).map(entry).collect();
    let vector: Vector = (0..3000i64).map(|i| Cell::from(i % 7)).collect();
    Cell::from(Vector::from_iter([
        map.into(),
        vector.into(),
        Cell::from("text"),
    ]))
}

fn reopen(path: &std::path::Path, cells: usize) -> std::sync::Arc<StoreSource> {
    StoreSource::new(Reader::inspect(path).unwrap().0, cells)
}

#[test]
fn a_value_is_found_again_whatever_the_size_of_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("value.etch");
    let value = large();
    let mut writer = Writer::open(&path, Options::default()).unwrap();
    let stored = put_root(&mut writer, &value, |_| false).unwrap();
    writer.commit().unwrap();
    writer.close().unwrap();
    assert!(stored.cells > 1000);
    for cache in [0, 64, 100_000] {
        let root = reopen(&path, cache).root().unwrap();
        assert_eq!(root, value);
        assert_eq!(root.memory_size().unwrap(), value.memory_size().unwrap());
        assert!(encode_message(&root).unwrap() == encode_message(&value).unwrap());
        let Cell::Vector(v) = &root else {
            panic!("{root}")
        };
        let Some(Cell::Map(map)) = v.get(0).unwrap() else {
            panic!()
        };
        assert_eq!(
            map.get(&Cell::Long(1234)).unwrap().unwrap(),
            Cell::from(Blob::new(&1234i64.to_be_bytes().repeat(20)))
        );
    }
}

#[test]
fn a_change_of_a_stored_value_stores_only_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("value.etch");
    let mut writer = Writer::open(&path, Options::default()).unwrap();
    put_root(&mut writer, &large(), |_| false).unwrap();
    writer.commit().unwrap();
    writer.checkpoint().unwrap();
    let root = reopen(&path, 1000).root().unwrap();
    let Cell::Vector(v) = root else { panic!() };
    let Some(Cell::Map(map)) = v.get(0).unwrap() else {
        panic!()
    };
    let map = map.assoc(Cell::Long(5), Cell::Nil).unwrap();
    let changed = Cell::from(v.assoc(0, map.into()).unwrap().unwrap());
    let stored = put_root(&mut writer, &changed, |_| false).unwrap();
    assert!(
        stored.cells <= 5,
        "{} cells for one changed entry",
        stored.cells
    );
    writer.commit().unwrap();
    writer.close().unwrap();
    let back = reopen(&path, 1000).root().unwrap();
    assert_eq!(back, changed);
    let report = etch::reach(
        &Reader::inspect(&path).unwrap().0,
        &[back.hash().0],
        branches,
    )
    .unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert!(encode_message(&back).unwrap() == encode_message(&changed).unwrap());
}

#[test]
fn absent_and_unset_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("value.etch");
    let mut writer = Writer::open(&path, Options::default()).unwrap();
    // A parent without its child, as a broken import would leave it.
    let child = Cell::from(Blob::new(&[1; 300]));
    let parent = Cell::from(Vector::from_iter([child.clone()]));
    put(&mut writer, &parent, |hash| *hash == child.hash()).unwrap();
    writer.commit().unwrap();
    writer.close().unwrap();
    let source = reopen(&path, 10);
    assert_eq!(source.root().unwrap(), Cell::Nil);
    let Cell::Vector(v) = source.load(&parent.hash()).unwrap() else {
        panic!()
    };
    assert_eq!(v.get(0), Err(CellError::Missing(child.hash())));
}

#[test]
fn the_genesis_state_of_the_live_network_survives_the_store() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/protonet-genesis.cad3");
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("skipped: no {}", path.display());
        return;
    };
    let state = decode_message(&bytes, &Decoder::new()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state.etch");
    let mut writer = Writer::open(&file, Options::default()).unwrap();
    put_root(&mut writer, &state, |_| false).unwrap();
    writer.commit().unwrap();
    writer.close().unwrap();
    let reader = Reader::inspect(&file).unwrap().0;
    let report = etch::reach(&reader, &[state.hash().0], branches).unwrap();
    assert!(report.is_complete(), "{report:?}");
    let back = StoreSource::new(reader, 256).root().unwrap();
    assert_eq!(back.memory_size().unwrap(), state.memory_size().unwrap());
    assert!(encode_message(&back).unwrap() == encode_message(&state).unwrap());
}
