//! Messages with trees that no peer would make: wrong counts, shifts, masks, types, shared and missing children.

use arbitrary::{Result, Unstructured};
use cells::{Hash, MAX_EMBEDDED, vlq};

use crate::make;

/// Tags of cells with children.
const PARENTS: [u8; 20] = [
    0x30, 0x31, 0x80, 0x81, 0x82, 0x83, 0x84, 0x88, 0x90, 0x91, 0xc0, 0xc1, 0xcb, 0xd0, 0xd1, 0xd8,
    0xdc, 0xdd, 0xde, 0xdf,
];

fn count(u: &mut Unstructured<'_>, plausible: usize) -> Result<u64> {
    Ok(match u.int_in_range(0..=5)? {
        0 => u.arbitrary::<u64>()? >> 1,
        1 => 1 << u.int_in_range(0..=62)?,
        2 => u.int_in_range(0..=33)?,
        _ => plausible as u64,
    })
}

/// One cell whose children are earlier ones, written byte by byte.
fn parent(u: &mut Unstructured<'_>, made: &[Vec<u8>]) -> Result<Vec<u8>> {
    let child = |out: &mut Vec<u8>, u: &mut Unstructured<'_>| -> Result<()> {
        let back = u.int_in_range(0..=3usize)?;
        match (u.int_in_range(0..=11u8)?, made.len().checked_sub(back + 1)) {
            (0, _) | (_, None) => out.push(0),
            (1, _) => {
                out.push(0x20);
                out.extend_from_slice(&[u.arbitrary()?; 32]);
            }
            (2, _) => make::leaf(u)?.with_encoding(|e| write_child(out, e)),
            (_, Some(i)) => write_child(out, &made[i]),
        }
        Ok(())
    };
    let tag = *u.choose(&PARENTS)?;
    let mut out = vec![tag];
    let mut children = 0;
    match tag {
        0x30 | 0x31 => {
            children = u.int_in_range(1..=16)?;
            let len = if u.ratio(3, 4)? {
                let capacity = 4096u64 << (4 * u.int_in_range(0..=11u32)?);
                (capacity * (children as u64 - 1)).saturating_add(u.int_in_range(1..=capacity)?)
            } else {
                u.arbitrary::<u64>()?
            };
            vlq::write(&mut out, len & (u64::MAX >> 1));
        }
        0x80 | 0x81 | 0xd0..=0xdf => {
            children = u.int_in_range(0..=17)?;
            let count = count(u, children)?;
            vlq::write(&mut out, count);
        }
        0x82 | 0x83 => {
            let mask: u16 = u.arbitrary()?;
            let n = mask.count_ones() as usize;
            let plausible = n * u.int_in_range(1..=40)?;
            vlq::write(&mut out, count(u, plausible)?);
            out.push(u.int_in_range(0..=64)?);
            out.extend_from_slice(&mask.to_be_bytes());
            children = n;
        }
        0x84 => {
            let mask: u16 = u.arbitrary()?;
            let n = mask.count_ones() as usize;
            let plausible = n * u.int_in_range(1..=4)?;
            let count = count(u, plausible)?;
            vlq::write(&mut out, count);
            if count == 1 {
                make::index_key(u)?.with_encoding(|e| write_child(&mut out, e));
                child(&mut out, u)?;
            } else if count > 1 {
                if u.arbitrary()? {
                    out.push(0x80);
                    make::index_key(u)?.with_encoding(|e| write_child(&mut out, e));
                    child(&mut out, u)?;
                } else {
                    out.push(0);
                }
                out.push(u.int_in_range(0..=64)?);
                out.extend_from_slice(&mask.to_be_bytes());
                children = n;
            }
        }
        0x88 => {
            child(&mut out, u)?;
            out.push(0);
        }
        0x90 => {
            out.extend_from_slice(&[u.arbitrary()?; 96]);
            children = 1;
        }
        0x91 => {
            out.extend_from_slice(&[u.arbitrary()?; 64]);
            children = 1;
        }
        _ => children = 2,
    }
    for _ in 0..children {
        child(&mut out, u)?;
    }
    Ok(out)
}

fn write_child(out: &mut Vec<u8>, encoding: &[u8]) {
    if encoding.len() <= MAX_EMBEDDED {
        out.extend_from_slice(encoding);
    } else {
        out.push(0x20);
        out.extend_from_slice(&Hash::of(encoding).0);
    }
}

/// A message whose last made cell is on top.
///
/// # Errors
/// When the fuzzer's bytes are used up before there is one cell.
pub fn message(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut made: Vec<Vec<u8>> = Vec::new();
    let n = u.int_in_range(1..=40)?;
    for _ in 0..n {
        let next = if u.ratio(1, 4)? {
            make::cell(u, 2).map(|c| c.encode())
        } else {
            parent(u, &made)
        };
        match next {
            Ok(cell) => made.push(cell),
            Err(_) if !made.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    let mut out = made.pop().unwrap_or_default();
    for cell in made.iter().rev().filter(|c| c.len() > MAX_EMBEDDED) {
        vlq::write(&mut out, cell.len() as u64);
        out.extend_from_slice(cell);
    }
    Ok(out)
}
