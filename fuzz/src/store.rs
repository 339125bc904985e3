//! Small Etch stores in memory, as a writer leaves them, and as nobody should find them.

use arbitrary::{Result, Unstructured};
use cells::{Cell, DecodeError, Decoder, Hash, Source, branches, decode_cell};
use etch::{EMPTY_LENGTH, Flags, INDEX_AT, Key, Options, Writer};

use crate::disk::MemoryFile;

/// A writer over the two files.
///
/// # Errors
/// As opening a store.
pub fn open(
    main: &MemoryFile,
    log: &MemoryFile,
) -> std::result::Result<Writer<MemoryFile>, etch::Error> {
    Writer::open_files(
        main.clone(),
        "store".as_ref(),
        log.clone(),
        "store.redo".as_ref(),
        Options::default(),
    )
}

struct Nothing;

impl Source for Nothing {
    fn load(&self, hash: &Hash) -> std::result::Result<Cell, cells::CellError> {
        Err(cells::CellError::Missing(*hash))
    }
}

/// The keys of the branches of an encoding, which must be a canonical cell: what repair and collection go by.
///
/// # Errors
/// When it is not.
pub fn references(encoding: &[u8]) -> std::result::Result<Vec<Key>, DecodeError> {
    let decoder = Decoder::with_source(std::sync::Arc::new(Nothing)).generic();
    let cell = decode_cell(encoding, &decoder)?;
    Ok(branches(&cell).iter().map(|r| r.hash().0).collect())
}

/// Encodings whose keys start with the same two bytes, so that chains and blocks of the index come from few cells.
pub fn neighbours() -> &'static [Vec<u8>] {
    static FOUND: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    FOUND.get_or_init(|| {
        (0i64..)
            .map(|n| Cell::Long(n).encode())
            .filter(|e| crypto::sha3_256(e)[..2] == [0x5a, 0x01])
            .take(24)
            .collect()
    })
}

/// Encodings of cells, children before parents; many are neighbours.
///
/// # Errors
/// When the fuzzer's bytes are used up.
pub fn encodings(u: &mut Unstructured<'_>) -> Result<Vec<Vec<u8>>> {
    let mut encodings: Vec<Vec<u8>> = neighbours()[..u.int_in_range(0..=24)?].to_vec();
    for _ in 0..u.int_in_range(0..=3)? {
        let cell = crate::make::cell(u, 2)?;
        encodings.extend(
            branches(&cell)
                .iter()
                .filter_map(|r| Some(r.get().ok()?.encode())),
        );
        encodings.push(cell.encode());
    }
    Ok(encodings)
}

/// The two files of a store that was made and closed. Copied, since making one takes a while.
#[must_use]
pub fn empty() -> (MemoryFile, MemoryFile) {
    static MADE: std::sync::OnceLock<(Vec<u8>, Vec<u8>)> = std::sync::OnceLock::new();
    let (main, log) = MADE.get_or_init(|| {
        let (main, log) = (MemoryFile::default(), MemoryFile::default());
        let writer = open(&main, &log).expect("an empty file becomes a store");
        writer.close().expect("nothing fails");
        (main.content(), log.content())
    });
    (MemoryFile::new(main.clone()), MemoryFile::new(log.clone()))
}

/// A store with these cells, the last one its root, and their keys.
#[must_use]
pub fn filled(encodings: &[Vec<u8>]) -> (MemoryFile, MemoryFile, Vec<Key>) {
    let (main, log) = empty();
    let mut writer = open(&main, &log).expect("a closed store");
    let keys: Vec<Key> = encodings
        .iter()
        .map(|e| {
            let flags = Flags::new(Flags::STORED, e.len());
            writer.put(e, flags, 0).expect("a new cell").0
        })
        .collect();
    if let Some(root) = keys.last() {
        writer.set_root(*root).expect("the root was put");
    }
    writer.commit().expect("space enough");
    writer.close().expect("nothing fails");
    (main, log, keys)
}

/// A position worth damaging: in the header, a slot on the way to a key, or anywhere near the records.
fn position(u: &mut Unstructured<'_>, keys: &[Key], size: usize) -> Result<usize> {
    let data = EMPTY_LENGTH as usize;
    Ok(match u.int_in_range(0..=5)? {
        0 => u.int_in_range(0..=43)?,
        1 if !keys.is_empty() => {
            let key = u.choose(keys)?;
            let digit = usize::from(u16::from_be_bytes([key[0], key[1]]));
            INDEX_AT as usize + 8 * ((digit + u.int_in_range(0..=2)?) % 65536)
        }
        2 => INDEX_AT as usize + 8 * (0x5a01 + u.int_in_range(0..=3)?),
        3 => u.int_in_range(0..=size)?,
        _ => data + u.int_in_range(0..=6000)?,
    })
}

/// Damages the bytes of a store: slots that point anywhere, foreign bytes, sound records in wrong places, another size.
///
/// # Errors
/// When the fuzzer's bytes are used up.
pub fn damage(u: &mut Unstructured<'_>, bytes: &mut Vec<u8>, keys: &[Key]) -> Result<()> {
    let put = |bytes: &mut Vec<u8>, at: usize, new: &[u8]| {
        let end = (at + new.len()).min(bytes.len());
        if at < end {
            bytes[at..end].copy_from_slice(&new[..end - at]);
        }
    };
    match u.int_in_range(0..=7)? {
        0 | 1 => {
            // A slot of any type that points near the data.
            let at = position(u, keys, bytes.len())?;
            let to = position(u, keys, bytes.len())? as u64;
            let slot = u.int_in_range(0..=3u64)? << 62 | to;
            put(bytes, at, &slot.to_be_bytes());
        }
        2 => {
            let at = position(u, keys, bytes.len())?;
            let slot: u64 = u.arbitrary()?;
            put(bytes, at, &slot.to_be_bytes());
        }
        3 => {
            let at = position(u, keys, bytes.len())?;
            let n = u.int_in_range(1..=16)?;
            let new = u.bytes(n.min(u.len()))?.to_vec();
            put(bytes, at, &new);
        }
        4 => {
            // A sound record anywhere, and perhaps the slot of its key.
            let encoding = crate::make::cell(u, 1)?.encode();
            if encoding.len() <= etch::MAX_ENCODING {
                let key = crypto::sha3_256(&encoding);
                let at = position(u, keys, bytes.len())?;
                let mut record = key.to_vec();
                record.push(u.arbitrary()?);
                record.extend_from_slice(&u.arbitrary::<u64>()?.to_be_bytes());
                record.extend_from_slice(&(encoding.len() as u16).to_be_bytes());
                record.extend_from_slice(&encoding);
                put(bytes, at, &record);
                if u.arbitrary()? {
                    let digit = usize::from(u16::from_be_bytes([key[0], key[1]]));
                    put(
                        bytes,
                        INDEX_AT as usize + 8 * digit,
                        &(at as u64).to_be_bytes(),
                    );
                }
            }
        }
        5 => {
            let at = position(u, keys, bytes.len())?;
            bytes.truncate(at);
        }
        6 => {
            let n = u.int_in_range(0..=8000)?;
            let (to, byte) = (bytes.len() + n, u.arbitrary()?);
            bytes.resize(to, byte);
        }
        _ => {
            let length: u64 = if u.arbitrary()? {
                position(u, keys, bytes.len())? as u64
            } else {
                u.arbitrary()?
            };
            put(bytes, 4, &length.to_be_bytes());
        }
    }
    Ok(())
}
