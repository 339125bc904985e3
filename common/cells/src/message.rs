//! Messages: a cell with the branches below it (`spec/01 §13.3`–`§13.6`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::decode::Reader;
use crate::keyed::Keyed;
use crate::refs::{Lazy, Slot};
use crate::{Cell, CellError, DecodeError, Decoder, Hash, MAX_EMBEDDED, MAX_MESSAGE, Ref, vlq};

const fn bad<T>(why: &'static str) -> Result<T, DecodeError> {
    Err(DecodeError::BadFormat(why))
}

/// Decodes a message. Without a source in `decoder` every branch must come along.
///
/// Branches that came along are attached; of the others, those of a source stay lazy.
///
/// # Errors
/// [`DecodeError::BadFormat`] for bytes that are no message or exceed [`MAX_MESSAGE`];
/// [`DecodeError::Partial`] when a branch is needed and there is no source; [`DecodeError::Missing`] when decoding
/// has to look into a branch that is absent.
pub fn decode_message(bytes: &[u8], decoder: &Decoder) -> Result<Cell, DecodeError> {
    let (cell, lazies) = read_message(bytes, decoder)?;
    if decoder.source.is_none()
        && lazies.values().any(|lazy| lazy.resolved().is_none())
        && let Some(hash) = unresolved(&cell, true).first()
    {
        return Err(DecodeError::Partial(*hash));
    }
    Ok(cell)
}

/// Decodes a message of which branches may be missing, and lists those that the top cell needs, each once.
///
/// # Errors
/// [`DecodeError::BadFormat`] and [`DecodeError::Missing`] as for [`decode_message`].
pub fn decode_partial(bytes: &[u8], decoder: &Decoder) -> Result<(Cell, Vec<Hash>), DecodeError> {
    let (cell, lazies) = read_message(bytes, decoder)?;
    let complete = lazies.values().all(|lazy| lazy.resolved().is_some());
    let missing = if complete {
        Vec::new()
    } else {
        unresolved(&cell, false)
    };
    Ok((cell, missing))
}

type Lazies = HashMap<Hash, Arc<Lazy>, Keyed>;

fn read_message(bytes: &[u8], decoder: &Decoder) -> Result<(Cell, Lazies), DecodeError> {
    if bytes.is_empty() {
        return bad("empty message");
    }
    if bytes.len() > MAX_MESSAGE {
        return bad("message is too long");
    }
    let mut lazies = Lazies::with_hasher(Keyed::new());
    let mut branch = |hash: Hash| {
        let lazy = lazies
            .entry(hash)
            .or_insert_with(|| Arc::new(Lazy::new(hash, decoder.source.clone())));
        Ref(Slot::Lazy(lazy.clone()))
    };
    let mut reader = Reader::new(bytes, decoder.generic, &mut branch);
    let top = reader.top()?;
    let mut at = reader.position();
    if top.is_nil() && at < bytes.len() {
        return bad("bytes after nil");
    }
    let mut children = Vec::new();
    while at < bytes.len() {
        let child = next_child(bytes, &mut at)?;
        if child.len() <= MAX_EMBEDDED {
            return bad("embedded cell among the children of a message");
        }
        let mut reader = Reader::new(child, decoder.generic, &mut branch);
        let cell = reader.top()?;
        if reader.position() != child.len() {
            return bad("child of a message has another length");
        }
        if child[0] == crate::tag::SIGNED_KEYLESS {
            return bad("signed data without its key among the children of a message");
        }
        children.push((cell, child));
    }
    let encodings: Vec<&[u8]> = children.iter().map(|(_, bytes)| *bytes).collect();
    for ((cell, _), hash) in children.iter().zip(Hash::of_many(&encodings)) {
        cell.set_known_hash(hash);
        if let Some(lazy) = lazies.get(&hash) {
            lazy.resolve(cell.clone());
        }
    }
    Ok((top, lazies))
}

/// The bytes of the next child and their length prefix.
fn next_child<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a [u8], DecodeError> {
    let (len, prefix) =
        vlq::read(&bytes[*at..]).ok_or(DecodeError::BadFormat("bad length of a child"))?;
    let start = *at + prefix;
    let end = usize::try_from(len)
        .ok()
        .and_then(|len| start.checked_add(len))
        .filter(|&end| end <= bytes.len());
    let Some(end) = end else {
        return bad("child reaches beyond the message");
    };
    *at = end;
    Ok(&bytes[start..end])
}

/// Branches below `top` that are not in memory, each once; only one when `first` is asked for.
fn unresolved(top: &Cell, first: bool) -> Vec<Hash> {
    let mut missing = Vec::new();
    let mut seen = HashSet::new();
    let mut stack = vec![top.clone()];
    while let Some(cell) = stack.pop() {
        for r in cell.refs() {
            match &r.0 {
                Slot::Direct(child) => {
                    if child.has_children() {
                        stack.push(child.clone());
                    }
                }
                Slot::Lazy(lazy) => {
                    if !seen.insert(*lazy.hash()) {
                        continue;
                    }
                    match lazy.resolved() {
                        Some(child) => stack.push(child.clone()),
                        None => {
                            missing.push(*lazy.hash());
                            if first {
                                return missing;
                            }
                        }
                    }
                }
            }
        }
    }
    missing
}

/// The branches of `cell`: children that are not embedded, looked for through embedded ones. Each occurrence, in
/// the order of the refs.
#[must_use]
pub fn branches(cell: &Cell) -> Vec<Ref> {
    let mut found = Vec::new();
    collect_branches(cell, &mut found);
    found
}

/// The hashes of the branches in the encoding of one cell, each occurrence, without looking into any of them.
///
/// # Errors
/// [`DecodeError::BadFormat`] when the bytes are not one canonical cell.
pub fn branch_hashes(encoding: &[u8]) -> Result<Vec<Hash>, DecodeError> {
    let mut hashes = Vec::new();
    let mut branch = |hash| {
        hashes.push(hash);
        Ref::branch(hash, None)
    };
    // Generic: what a cell means to the CVM does not matter for what it refers to.
    let mut reader = Reader::new(encoding, true, &mut branch);
    reader.top()?;
    if reader.position() != encoding.len() {
        return bad("bytes after the end of the cell");
    }
    Ok(hashes)
}

/// Recursion ends with the embedded cells, which nest no deeper than 140 bytes allow.
fn collect_branches(cell: &Cell, found: &mut Vec<Ref>) {
    for r in cell.refs() {
        match &r.0 {
            Slot::Lazy(_) => found.push(r.clone()),
            Slot::Direct(child) if !child.is_embedded() => found.push(r.clone()),
            Slot::Direct(child) => collect_branches(child, found),
        }
    }
}

/// The full encoding: `cell`, then every branch below it once, parents before children (`spec/01 §13.4`).
///
/// Cells that would take the message beyond [`MAX_MESSAGE`] are left out, so that it becomes partial.
///
/// # Errors
/// When a branch can't be read.
pub fn encode_message(cell: &Cell) -> Result<Vec<u8>, CellError> {
    let _ = cell.hash_all();
    let mut out = cell.encode();
    let mut seen = HashSet::new();
    // Reversed, so that branches come off the stack in the order of the refs.
    let mut stack: Vec<Ref> = branches(cell);
    stack.reverse();
    while let Some(r) = stack.pop() {
        if !seen.insert(r.hash()) {
            continue;
        }
        let child = r.load()?;
        child.with_encoding(|encoding| {
            if out.len() + vlq::len(encoding.len() as u64) + encoding.len() <= MAX_MESSAGE {
                vlq::write(&mut out, encoding.len() as u64);
                out.extend_from_slice(encoding);
            }
        });
        let mut below = branches(&child);
        below.reverse();
        stack.append(&mut below);
    }
    Ok(out)
}

/// The delta encoding of new cells in post-order, the root last: the root first, then the others from last to
/// first (`spec/01 §13.5`). Empty without cells.
#[must_use]
pub fn encode_delta(cells: &[Cell]) -> Vec<u8> {
    let reversed: Vec<&Cell> = cells.iter().rev().collect();
    encode_list(&reversed)
}

/// The flat list of independent cells (`spec/01 §13.6`). Empty without cells.
#[must_use]
pub fn encode_cells(cells: &[Cell]) -> Vec<u8> {
    encode_list(&cells.iter().collect::<Vec<_>>())
}

fn encode_list(cells: &[&Cell]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, cell) in cells.iter().enumerate() {
        cell.with_encoding(|encoding| {
            if i > 0 {
                vlq::write(&mut out, encoding.len() as u64);
            }
            out.extend_from_slice(encoding);
        });
    }
    out
}

/// Decodes a flat list of independent cells (`spec/01 §13.6`). Their branches stay lazy.
///
/// # Errors
/// As for [`decode_message`], except that no branch has to come along.
pub fn decode_cells(bytes: &[u8], decoder: &Decoder) -> Result<Vec<Cell>, DecodeError> {
    if bytes.is_empty() {
        return bad("empty list of cells");
    }
    if bytes.len() > MAX_MESSAGE {
        return bad("message is too long");
    }
    let mut branch = |hash| Ref::branch(hash, decoder.source.clone());
    let mut reader = Reader::new(bytes, decoder.generic, &mut branch);
    let mut cells = vec![reader.top()?];
    let mut at = reader.position();
    while at < bytes.len() {
        let child = next_child(bytes, &mut at)?;
        let mut reader = Reader::new(child, decoder.generic, &mut branch);
        cells.push(reader.top()?);
        if reader.position() != child.len() {
            return bad("cell of a list has another length");
        }
    }
    Ok(cells)
}
