//! From the bytes of a message to cells ([`ipc::store::ToStore::Cells`] has their form).

use etch::MAX_ENCODING;

/// Bytes before each encoding: memory size and length.
const HEAD: usize = 12;

/// A cell of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewCell<'a> {
    /// What the sender says that it takes in memory with everything below it; 0 = not known.
    pub memory_size: u64,
    /// Its encoding, 1 to 16,383 bytes. Not looked into: it is stored under its hash, whatever it says.
    pub encoding: &'a [u8],
}

/// Why bytes are no cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCells {
    /// They end within a cell.
    #[error("cells of a batch end within a cell, at byte {0}")]
    Short(usize),
    /// No cell has such an encoding.
    #[error(
        "a cell of {length} bytes at byte {at} of a batch, where 1 to {MAX_ENCODING} are possible"
    )]
    Length {
        /// Position of the cell.
        at: usize,
        /// What its length says.
        length: u32,
    },
}

/// Takes the bytes apart; all of them or none.
///
/// # Errors
/// When they are not exactly a sequence of cells.
pub fn split(bytes: &[u8]) -> Result<Vec<NewCell<'_>>, BadCells> {
    let mut cells = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let (size, tail) = rest.split_first_chunk::<8>().ok_or(BadCells::Short(at))?;
        let (length, tail) = tail.split_first_chunk::<4>().ok_or(BadCells::Short(at))?;
        let length = u32::from_le_bytes(*length);
        if length == 0 || length as usize > MAX_ENCODING {
            return Err(BadCells::Length { at, length });
        }
        let (encoding, tail) = tail
            .split_at_checked(length as usize)
            .ok_or(BadCells::Short(at))?;
        cells.push(NewCell {
            memory_size: u64::from_le_bytes(*size),
            encoding,
        });
        rest = tail;
    }
    Ok(cells)
}

/// Appends a cell in the form of a message: the other side of [`split`].
pub fn push(bytes: &mut Vec<u8>, cell: NewCell<'_>) {
    bytes.reserve(HEAD + cell.encoding.len());
    bytes.extend_from_slice(&cell.memory_size.to_le_bytes());
    bytes.extend_from_slice(&(cell.encoding.len() as u32).to_le_bytes());
    bytes.extend_from_slice(cell.encoding);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_they_were_and_a_cut_at_any_byte_is_noticed() {
        let cells = [
            NewCell {
                memory_size: 7,
                encoding: &[1, 2, 3],
            },
            NewCell {
                memory_size: 0,
                encoding: &[9; MAX_ENCODING],
            },
            NewCell {
                memory_size: u64::MAX,
                encoding: &[0],
            },
        ];
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for cell in cells {
            push(&mut bytes, cell);
            ends.push(bytes.len());
        }
        assert_eq!(split(&bytes).unwrap(), cells);
        assert_eq!(split(&[]).unwrap(), []);
        for cut in 0..bytes.len() {
            let whole = ends.iter().position(|&end| end == cut);
            match split(&bytes[..cut]) {
                Ok(found) => assert_eq!(Some(found.len()), whole),
                Err(BadCells::Short(at)) => assert!(whole.is_none() && ends.contains(&at)),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn impossible_lengths_are_refused_before_anything_is_reserved() {
        for length in [0, MAX_ENCODING as u32 + 1, u32::MAX] {
            let mut bytes = vec![0; 8];
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&[5; 40]);
            assert_eq!(split(&bytes), Err(BadCells::Length { at: 0, length }));
        }
    }
}
