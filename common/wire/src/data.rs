//! Cells by hash: the answers to data requests (`spec/06 §7`, `spec/01 §13.7`).

use std::collections::HashSet;

use cells::{
    Cell, CellError, DecodeError, Decoder, Hash, MAX_EMBEDDED, MAX_MESSAGE, Record, RecordKind,
    Ref, Vector, decode_stored, vlq,
};

/// Most hashes of a request, so that its vector has at most two levels.
pub const MAX_HASHES: usize = 254;

/// A request for cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataRequest {
    /// Echoed in the result, whatever it is.
    pub id: Cell,
    /// Hashes of the cells, at most [`MAX_HASHES`].
    pub hashes: Vec<Hash>,
}

/// Why a request could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError<E> {
    /// The store failed.
    #[error("store failure: {0}")]
    Store(E),
    /// The store gave bytes that are no cell.
    #[error("the cell {hash} is malformed in the store: {error}")]
    Cell {
        /// The cell.
        hash: Hash,
        /// What is wrong.
        error: DecodeError,
    },
    /// The id of the request has parts that can't be read.
    #[error("id of a data request: {0}")]
    Id(#[from] CellError),
}

/// The message that answers `request`: a result with the vector of the cells, nil for those that `find` does not know, and
/// those that are not embedded once each; nothing below them.
///
/// `find` returns the encoding of the cell with a hash, which it has verified. Cells that would take the message beyond
/// `max_bytes` (and [`MAX_MESSAGE`]) are left out; the vector still names them.
///
/// # Errors
/// When the store fails; a cell is unknown only if `find` says so.
pub fn answer_data<E>(
    request: &DataRequest,
    max_bytes: usize,
    mut find: impl FnMut(&Hash) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<u8>, AnswerError<E>> {
    let max_bytes = max_bytes.min(MAX_MESSAGE);
    let mut refs = Vec::with_capacity(request.hashes.len());
    let mut children = Vec::new();
    let mut seen = HashSet::new();
    let mut total = 0;
    for hash in &request.hashes {
        // What is left out for its size is still named, and once is enough to know it.
        if !seen.insert(*hash) {
            let first = request.hashes.iter().position(|h| h == hash);
            let same = first.and_then(|i| refs.get(i)).cloned();
            refs.push(same.unwrap_or(Ref::NIL));
            continue;
        }
        match find(hash).map_err(AnswerError::Store)? {
            None => refs.push(Ref::NIL),
            Some(encoding) if encoding.len() <= MAX_EMBEDDED => {
                // Embedded: its bytes stand in the vector, its own branches stay what they are.
                let cell = decode_stored(*hash, &encoding, &Decoder::new().generic())
                    .map_err(|error| AnswerError::Cell { hash: *hash, error })?;
                refs.push(Ref::new(cell));
            }
            Some(encoding) => {
                refs.push(Ref::branch(*hash, None));
                // No more is held than can be sent.
                if total + encoding.len() <= max_bytes {
                    total += encoding.len();
                    children.push(encoding);
                }
            }
        }
    }
    let value = Cell::from(Vector::from_refs(refs));
    let mut nodes = Vec::new();
    collect_nodes(&value, &mut nodes);
    let fields = [request.id.clone(), value, Cell::Nil, Cell::Nil, Cell::Nil];
    let mut out = cells::encode_message(&request.id)?;
    let id_length = request.id.encoded_len();
    let id_branches = out.split_off(id_length);
    out = Cell::from(Record::of_kind(RecordKind::Result, fields)).encode();
    // An id of strange size comes back whole.
    if !request.id.is_embedded() {
        push(&mut out, &request.id.encode());
    }
    out.extend_from_slice(&id_branches);
    let mut sent = HashSet::new();
    for child in nodes.iter().chain(&children) {
        // Nodes of equal content are one cell.
        if !sent.insert(child) {
            continue;
        }
        if out.len() + vlq::len(child.len() as u64) + child.len() <= max_bytes {
            push(&mut out, child);
        }
    }
    Ok(out)
}

fn push(out: &mut Vec<u8>, encoding: &[u8]) {
    vlq::write(out, encoding.len() as u64);
    out.extend_from_slice(encoding);
}

/// The encodings of the nodes of a vector that are not embedded, the vector itself first; none of its elements.
fn collect_nodes(node: &Cell, found: &mut Vec<Vec<u8>>) {
    let Cell::Vector(vector) = node else {
        return;
    };
    if !node.is_embedded() {
        found.push(node.encode());
    }
    let below = match vector.count() {
        0..=16 => 0,
        n if n % 16 == 0 => node.ref_count(),
        // The tree before the elements of the tail.
        _ => 1,
    };
    for child in node.refs().take(below) {
        if let Some(child) = child.in_memory() {
            collect_nodes(child, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::{decode_partial, encode_cells};
    use std::collections::HashMap;
    use std::convert::Infallible;

    fn store(cells: &[Cell]) -> HashMap<Hash, Vec<u8>> {
        cells.iter().map(|c| (c.hash(), c.encode())).collect()
    }

    fn answer(store: &HashMap<Hash, Vec<u8>>, hashes: Vec<Hash>, max: usize) -> Vec<u8> {
        let request = DataRequest {
            id: Cell::Long(1),
            hashes,
        };
        answer_data(&request, max, |hash| {
            Ok::<_, Infallible>(store.get(hash).cloned())
        })
        .unwrap()
    }

    #[test]
    fn answers_hold_what_was_asked_and_nothing_below() {
        let below = Cell::from("b".repeat(200).as_str());
        let vector = Cell::from([below.clone()].into_iter().collect::<Vector>());
        let large = Cell::from("a".repeat(300).as_str());
        let store = store(&[below.clone(), vector.clone(), large.clone()]);
        let unknown = Hash([9; 32]);
        let hashes = vec![vector.hash(), large.hash(), unknown, large.hash()];
        let message = answer(&store, hashes, MAX_MESSAGE);
        let (cell, missing) = decode_partial(&message, &Decoder::new()).unwrap();
        assert_eq!(missing, [below.hash()]);
        let expected: Vector = [vector, large.clone(), Cell::Nil, large.clone()]
            .into_iter()
            .collect();
        let Cell::Record(result) = cell else {
            panic!("no record");
        };
        assert_eq!(result.field(1).unwrap(), Some(Cell::from(expected)));
        // The large one once.
        let text = large.encode();
        assert_eq!(
            message.windows(text.len()).filter(|w| *w == text).count(),
            1
        );
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_still_named() {
        let cells: Vec<Cell> = (0..50)
            .map(|i| Cell::from(format!("{i:0200}").as_str()))
            .collect();
        let store = store(&cells);
        let hashes: Vec<Hash> = cells.iter().map(Cell::hash).collect();
        let message = answer(&store, hashes.clone(), 5_000);
        assert!(message.len() <= 5_000);
        let (_, missing) = decode_partial(&message, &Decoder::new()).unwrap();
        assert!(
            missing.len() > 10 && missing.len() < 50,
            "{}",
            missing.len()
        );
        assert!(missing.iter().all(|hash| hashes.contains(hash)));
    }

    #[test]
    fn unknown_cells_of_a_full_request_take_332_bytes() {
        let hashes = (0..254u8).map(|i| Hash([i; 32])).collect();
        let message = answer(&HashMap::new(), hashes, MAX_MESSAGE);
        assert_eq!(message.len(), 332);
        assert_eq!(
            answer(&HashMap::new(), Vec::new(), 100),
            [0xdd, 5, 0x11, 1, 0x80, 0, 0, 0, 0]
        );
        assert!(!encode_cells(&[Cell::Nil]).is_empty());
    }

    #[test]
    fn a_failing_store_is_no_unknown_cell() {
        let request = DataRequest {
            id: Cell::Nil,
            hashes: vec![Hash([1; 32])],
        };
        let answer = answer_data(&request, 1_000, |_| Err("broken"));
        assert_eq!(answer, Err(AnswerError::Store("broken")));
    }
}
