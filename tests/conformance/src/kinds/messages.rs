//! Messages taken apart without the crate under test, and cells found in them.

use std::collections::HashMap;
use std::sync::Arc;

use cells::{Cell, CellError, DecodeError, Decoder, Hash, Source};
use crypto::sha3_256;

/// Bytes of a count in a message: 63 bits in groups of 7.
const MAX_COUNT_BYTES: usize = 9;

/// The cells of a message after its top cell, as they stand in it (`spec/01 §13.3`).
pub(super) fn children(message: &[u8], top_length: usize) -> Result<Vec<&[u8]>, String> {
    let mut rest = message
        .get(top_length..)
        .ok_or("the message is shorter than its top cell")?;
    let mut children = Vec::new();
    while !rest.is_empty() {
        let (length, after) = count(rest)?;
        if length > after.len() {
            return Err(format!(
                "a child of {length} bytes where {} are left",
                after.len()
            ));
        }
        let (child, after) = after.split_at(length);
        children.push(child);
        rest = after;
    }
    Ok(children)
}

fn count(bytes: &[u8]) -> Result<(usize, &[u8]), String> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(MAX_COUNT_BYTES).enumerate() {
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            let value = usize::try_from(value).map_err(|error| error.to_string())?;
            return Ok((value, &bytes[index + 1..]));
        }
    }
    Err("a count that does not end".to_owned())
}

/// The message with its children in the order in which the vectors have them: ascending by hash.
pub(super) fn sorted(message: &[u8], top_length: usize) -> Result<Vec<u8>, String> {
    let mut children: Vec<([u8; 32], &[u8])> = children(message, top_length)?
        .into_iter()
        .map(|child| (sha3_256(child), child))
        .collect();
    children.sort_unstable();
    let mut out = message[..top_length].to_vec();
    for (_, child) in children {
        write_count(&mut out, child.len());
        out.extend_from_slice(child);
    }
    Ok(out)
}

fn write_count(out: &mut Vec<u8>, value: usize) {
    let groups = (usize::BITS - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group > 0 { 0x80 } else { 0 };
        out.push((value >> (7 * group)) as u8 & 0x7f | more);
    }
}

/// Cells by hash, standing in for a store.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<HashMap<Hash, Box<[u8]>>>);

impl Shelf {
    /// Holds these cells, under the hashes of their bytes.
    pub(super) fn new<'a>(encodings: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let entry = |encoding: &'a [u8]| (Hash(sha3_256(encoding)), encoding.into());
        Self(Arc::new(encodings.into_iter().map(entry).collect()))
    }

    /// A decoder that looks for branches here.
    pub(super) fn decoder(&self) -> Decoder {
        Decoder::with_source(Arc::new(self.clone()))
    }
}

impl Source for Shelf {
    fn load(&self, hash: &Hash) -> Result<Cell, CellError> {
        let encoding = self.0.get(hash).ok_or(CellError::Missing(*hash))?;
        cells::decode_cell(encoding, &self.decoder()).map_err(|error| match error {
            DecodeError::Missing(hash) => CellError::Missing(hash),
            error => CellError::Store {
                hash: *hash,
                reason: error.to_string().into(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_as_they_are_read() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 1 << 40] {
            let mut bytes = Vec::new();
            write_count(&mut bytes, value);
            assert_eq!(count(&bytes), Ok((value, &[][..])));
        }
    }

    #[test]
    fn children_are_put_in_the_order_of_their_hashes() {
        let (one, two) = ([0x11, 1], [0x11, 2]);
        let message = [&[0x10, 2][..], &one, &[2], &two].concat();
        let other = [&[0x10, 2][..], &two, &[2], &one].concat();
        assert_eq!(children(&message, 1), Ok(vec![&one[..], &two]));
        let expected = if sha3_256(&one) < sha3_256(&two) {
            &message
        } else {
            &other
        };
        assert_eq!(sorted(&message, 1).as_ref(), Ok(expected));
        assert_eq!(sorted(&other, 1).as_ref(), Ok(expected));
    }

    #[test]
    fn a_message_that_ends_within_a_child_is_refused() {
        assert!(children(&[0x10, 2, 0x11], 1).is_err());
        assert!(children(&[0x10, 0x81], 1).is_err());
        assert!(children(&[0x10], 2).is_err());
    }
}
