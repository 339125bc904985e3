//! Well-formed values of every type, made from the fuzzer's bytes.

use arbitrary::{Result, Unstructured};
use cells::{
    BigInt, Blob, CORE_NAMES, Cell, Coded, Index, Keyword, List, Map, Record, Set, Signed, Str,
    Symbol, Syntax, Vector,
};
use crypto::{AccountKey, Signature};

/// Sizes at which the shape of blobs, strings and sequences changes.
const EDGES: [usize; 14] = [
    0, 1, 15, 16, 17, 32, 33, 136, 139, 141, 256, 4096, 4097, 8200,
];

/// The fuzzer's bytes followed by pseudo-random ones that depend on them. Where one run is slow, the fuzzer never gets to
/// long inputs by itself; so a short one, too, makes a rich case.
#[must_use]
pub fn stretched(data: &[u8], n: usize) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let mut block = crypto::sha3_256(data);
    while bytes.len() < data.len() + n {
        bytes.extend_from_slice(&block);
        block = crypto::sha3_256(&block);
    }
    bytes
}

/// A size: mostly small, sometimes one where a shape changes.
///
/// # Errors
/// When the fuzzer's bytes are used up.
pub fn size(u: &mut Unstructured<'_>, most: usize) -> Result<usize> {
    let n = if u.ratio(1, 4)? {
        *u.choose(&EDGES)? + u.int_in_range(0..=1)?
    } else {
        u.int_in_range(0..=12)?
    };
    Ok(n.min(most))
}

/// Bytes of such a size: the fuzzer's own where they are few, else a pattern.
///
/// # Errors
/// When the fuzzer's bytes are used up.
pub fn bytes(u: &mut Unstructured<'_>, most: usize) -> Result<Vec<u8>> {
    let n = size(u, most)?;
    if n <= 40 {
        return Ok(u.bytes(n.min(u.len()))?.to_vec());
    }
    let first: u8 = u.arbitrary()?;
    Ok((0..n).map(|i| first.wrapping_add(i as u8)).collect())
}

/// A key of an index. The alphabet is small, so that keys share prefixes and meet again.
///
/// # Errors
/// When the fuzzer's bytes are used up.
pub fn index_key(u: &mut Unstructured<'_>) -> Result<Cell> {
    let kind = u.int_in_range(0..=9)?;
    if kind == 0 {
        return Ok(Cell::Address(u.int_in_range(0..=600)?));
    }
    let n = match u.int_in_range(0..=4)? {
        0 => u.int_in_range(30..=34)?,
        1 => u.int_in_range(4..=40)?,
        _ => u.int_in_range(0..=4)?,
    };
    let mut key = Vec::with_capacity(n);
    for i in 0..n {
        // Long keys differ at their start and near the cut only.
        let byte = if n > 8 && (2..28).contains(&i) {
            0x11
        } else {
            u.arbitrary::<u8>()? & 0x13
        };
        key.push(byte);
    }
    Ok(match kind {
        1 => Cell::Str(Str::new(&key)),
        2 => Keyword::new(&key).map_or(Cell::Blob(Blob::new(&key)), Cell::Keyword),
        3 => Symbol::new(&key).map_or(Cell::Blob(Blob::new(&key)), Cell::Symbol),
        4 => {
            // Longer than what counts, and a tree of chunks.
            key.resize(4100, 0);
            Cell::Blob(Blob::new(&key))
        }
        _ => Cell::Blob(Blob::new(&key)),
    })
}

/// A value without children.
///
/// # Errors
/// When the fuzzer's bytes are used up.
pub fn leaf(u: &mut Unstructured<'_>) -> Result<Cell> {
    Ok(match u.int_in_range(0..=15)? {
        0 => Cell::Nil,
        1 => Cell::flag(u.arbitrary::<u8>()? & 0x0f),
        2 => Cell::Long(u.arbitrary()?),
        3..=5 => Cell::Long(u.int_in_range(-130..=130)?),
        6 => {
            let b = bytes(u, 300)?;
            BigInt::from_bytes(&b).map_or(Cell::Long(0), Cell::BigInt)
        }
        7 => Cell::Double(f64::from_bits(u.arbitrary()?)),
        8 => Cell::Char(u.int_in_range(0..=0x10_ffff)?),
        9 => Cell::Str(Str::new(&bytes(u, 9000)?)),
        10 => Cell::Blob(Blob::new(&bytes(u, 9000)?)),
        11 => Symbol::new(&bytes(u, 128)?).map_or(Cell::Nil, Cell::Symbol),
        12 => Keyword::new(&bytes(u, 128)?).map_or(Cell::Nil, Cell::Keyword),
        13 => Cell::Address(u.arbitrary::<u64>()? >> 1),
        14 => match u.int_in_range(0..=2)? {
            0 => Cell::Special(u.int_in_range(0..=24)?),
            1 => Cell::Local(u.arbitrary::<u64>()? >> 1),
            _ => Cell::Core(u.choose(CORE_NAMES)?.0),
        },
        _ => Cell::Extension(0xe0, u.arbitrary::<u64>()? >> 1),
    })
}

fn many(u: &mut Unstructured<'_>, depth: u32) -> Result<Vec<Cell>> {
    if u.ratio(1, 6)? {
        // Wide enough for trees, from few bytes.
        let (n, first) = (u.int_in_range(14..=300)?, u.int_in_range(-1000..=1000)?);
        return Ok((0..n).map(|i| Cell::Long(first + i)).collect());
    }
    let n = u.int_in_range(0..=6)?;
    (0..n).map(|_| cell(u, depth - 1)).collect()
}

fn pairs(u: &mut Unstructured<'_>, depth: u32) -> Result<Map> {
    let (keys, value) = (many(u, depth)?, cell(u, depth - 1)?);
    Ok(keys.into_iter().map(|k| (k, value.clone())).collect())
}

/// Any value, nested at most `depth` levels.
///
/// # Errors
/// When the fuzzer's bytes are used up.
pub fn cell(u: &mut Unstructured<'_>, depth: u32) -> Result<Cell> {
    if depth == 0 || u.is_empty() {
        return leaf(u);
    }
    Ok(match u.int_in_range(0..=13)? {
        0..=3 => leaf(u)?,
        4 => Cell::Vector(many(u, depth)?.into_iter().collect::<Vector>()),
        5 => Cell::List(many(u, depth)?.into_iter().collect::<List>()),
        6 => Cell::Set(many(u, depth)?.into_iter().collect::<Set>()),
        7 => Cell::Map(pairs(u, depth)?),
        8 => {
            let mut index = Index::empty();
            for _ in 0..u.int_in_range(0..=6)? {
                let (key, value) = (index_key(u)?, cell(u, depth - 1)?);
                index = index
                    .assoc(key, value)
                    .expect("a tree in memory is readable")
                    .expect("a key");
            }
            Cell::Index(index)
        }
        9 => Cell::Syntax(Syntax::new(cell(u, depth - 1)?, pairs(u, depth)?)),
        10 => Cell::Signed(Signed::new(
            AccountKey::new(u.arbitrary()?),
            Signature::new([u.arbitrary::<u8>()?; 64]),
            cell(u, depth - 1)?,
        )),
        11 => Cell::Coded(Coded::new(
            u.int_in_range(0xc0..=0xcf)?,
            cell(u, depth - 1)?,
            cell(u, depth - 1)?,
        )),
        _ => {
            let (tag, fields) = (u.int_in_range(0xd0..=0xdf)?, many(u, depth)?);
            Cell::Record(
                Record::new(tag, fields.into_iter().collect()).expect("fields are in memory"),
            )
        }
    })
}
