//! Requests, for the process that asks: a value with exactly the cells that the signer looks into.

use cells::{Cell, CellError, Record, Vector, vlq};

use crate::order::last_child;

/// The request to sign `order`, of whose blocks those from number `appended_from` on may be new to the signer: its top cell, the right edge of
/// its blocks and the nodes above the new ones.
///
/// # Errors
/// When `order` has no vector of blocks, or a node can't be read.
pub fn order_request(order: &Record, appended_from: u64) -> Result<Vec<u8>, CellError> {
    let Some(Cell::Vector(blocks)) = order.field(2)? else {
        return Err(CellError::Malformed("order without a vector of blocks"));
    };
    let mut out = Cell::from(order.clone()).encode();
    push(&mut out, &Cell::from(blocks.clone()));
    push_nodes(&mut out, &blocks, 0, appended_from)?;
    Ok(out)
}

/// The request to sign `block`: its top cell, the nodes of its vector, its signed transactions and the transactions in them.
///
/// # Errors
/// When `block` has no vector of signed data, or a part can't be read.
pub fn block_request(block: &Record) -> Result<Vec<u8>, CellError> {
    let Some(Cell::Vector(transactions)) = block.field(1)? else {
        return Err(CellError::Malformed(
            "block without a vector of transactions",
        ));
    };
    let mut out = Cell::from(block.clone()).encode();
    push(&mut out, &Cell::from(transactions.clone()));
    push_nodes(&mut out, &transactions, 0, 0)?;
    for element in transactions.iter() {
        let element = element?;
        push(&mut out, &element);
        let Cell::Signed(signed) = element else {
            return Err(CellError::Malformed(
                "block with an element that is not signed",
            ));
        };
        push(&mut out, &*signed.value_ref().load()?);
    }
    Ok(out)
}

/// The nodes below `node`, whose first element has number `start`, that lead to elements from `from` on or are on the right edge.
fn push_nodes(out: &mut Vec<u8>, node: &Vector, start: u64, from: u64) -> Result<(), CellError> {
    // Without children that are nodes, this is a leaf.
    let Some((_, last_count)) = last_child(node) else {
        return Ok(());
    };
    let cell = Cell::from(node.clone());
    let tail = node.count() % 16;
    let nodes = if tail > 0 { 1 } else { cell.ref_count() };
    let mut at = start;
    for (i, child) in cell.refs().take(nodes).enumerate() {
        let last = i + 1 == nodes;
        let count = if last {
            last_count
        } else {
            (node.count() - last_count) / (nodes as u64 - 1)
        };
        if last || at + count > from {
            let child = child.load()?;
            let Cell::Vector(below) = &*child else {
                return Err(CellError::Malformed("node of a vector is no vector"));
            };
            push(out, &child);
            push_nodes(out, below, at, from)?;
        }
        at += count;
    }
    Ok(())
}

/// Appends a cell that is not embedded in its parent.
fn push(out: &mut Vec<u8>, cell: &Cell) {
    if !cell.is_embedded() {
        cell.with_encoding(|encoding| {
            vlq::write(out, encoding.len() as u64);
            out.extend_from_slice(encoding);
        });
    }
}
