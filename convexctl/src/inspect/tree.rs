//! The tree of cells: every child position, as it is stored. Depth and width are bounded, and nothing recurses.

use cells::{Cell, Hash, Ref};
use serde_json::{Value, json};

use super::{one_line, printed};
use crate::failure::Failure;
use crate::files::kind_name;
use crate::output::Out;

/// Printed form of a node: bytes that are shown at most.
const PRINTED: usize = 72;
/// Nodes that are shown at most, whatever depth and width allow.
const NODES: usize = 5_000;

/// A node of the tree, in the order in which they are shown.
struct Node {
    depth: u32,
    /// Its place in the parent.
    label: String,
    what: What,
}

enum What {
    Cell(Cell),
    /// A branch that did not come along.
    Missing(Hash),
    /// Children that are not shown.
    More(usize),
    /// The bound on nodes was reached.
    End,
}

/// Walks the tree in the order in which it is shown.
struct Walk {
    depth: u32,
    width: usize,
    shown: usize,
    stack: Vec<Node>,
}

impl Walk {
    fn new(top: &Cell, depth: u32, width: u32) -> Self {
        Self {
            depth,
            width: width as usize,
            shown: 0,
            stack: vec![Node {
                depth: 0,
                label: String::new(),
                what: What::Cell(top.clone()),
            }],
        }
    }
}

impl Iterator for Walk {
    type Item = Node;

    fn next(&mut self) -> Option<Node> {
        let node = self.stack.pop()?;
        if self.shown == NODES {
            self.stack.clear();
            return Some(Node {
                depth: 0,
                label: String::new(),
                what: What::End,
            });
        }
        self.shown += 1;
        if let What::Cell(cell) = &node.what
            && node.depth < self.depth
        {
            let refs = cell.ref_count();
            let mut children: Vec<Node> = cell
                .refs()
                .take(self.width)
                .enumerate()
                .map(|(i, r)| Node {
                    depth: node.depth + 1,
                    label: label(cell, i),
                    what: child(r),
                })
                .collect();
            if refs > self.width {
                children.push(Node {
                    depth: node.depth + 1,
                    label: String::new(),
                    what: What::More(refs - self.width),
                });
            }
            self.stack.extend(children.into_iter().rev());
        }
        Some(node)
    }
}

fn child(r: &Ref) -> What {
    match r.in_memory() {
        Some(cell) => What::Cell(cell.clone()),
        None => What::Missing(r.hash()),
    }
}

/// The name of the field where there is one, else the number of the child.
fn label(parent: &Cell, i: usize) -> String {
    let name = match parent {
        Cell::Record(record) => record.kind().and_then(|kind| kind.fields().get(i).copied()),
        Cell::Signed(_) => Some("value"),
        Cell::Syntax(_) => ["value", "meta"].get(i).copied(),
        _ => None,
    };
    name.map_or_else(|| i.to_string(), str::to_owned)
}

/// What there is to say about a cell beside its children: its type with the number of its elements.
fn head(cell: &Cell) -> String {
    let count = match cell {
        Cell::Vector(v) => v.count(),
        Cell::List(l) => l.count(),
        Cell::Map(m) => m.count(),
        Cell::Set(s) => s.count(),
        Cell::Index(i) => i.count(),
        Cell::Str(s) => s.len(),
        Cell::Blob(b) => b.len(),
        _ => return kind_name(cell),
    };
    format!("{}({count})", kind_name(cell))
}

pub(super) fn text(top: &Cell, depth: u32, width: u32, out: &mut Out) -> Result<(), Failure> {
    for node in Walk::new(top, depth, width) {
        if !out.is_open() {
            break;
        }
        let indent = "  ".repeat(node.depth as usize);
        let label = match node.label.as_str() {
            "" => String::new(),
            label => format!("{label}: "),
        };
        match node.what {
            What::Cell(cell) => {
                let place = if cell.is_embedded() {
                    "embedded".to_owned()
                } else {
                    format!("{}…", &cell.hash().to_string()[..12])
                };
                let text = match printed(&cell, PRINTED) {
                    text if text.starts_with("(longer") => String::new(),
                    text => format!("  {text}"),
                };
                out.line(format_args!(
                    "{indent}{label}{} [{place} {} bytes]{text}",
                    head(&cell),
                    cell.encoded_len()
                ))?;
            }
            What::Missing(hash) => out.line(format_args!("{indent}{label}missing {hash}"))?,
            What::More(n) => out.line(format_args!("{indent}… {n} more (--width shows them)"))?,
            What::End => out.line(format_args!(
                "… and more: the first {NODES} cells are shown"
            ))?,
        }
    }
    Ok(())
}

/// The same as a list of nodes with their depth, which is easier to read with a program than nesting without bound.
pub(super) fn json(top: &Cell, depth: u32, width: u32) -> Value {
    Walk::new(top, depth, width)
        .map(|node| match node.what {
            What::Cell(cell) => json!({
                "depth": node.depth,
                "label": node.label,
                "type": kind_name(&cell),
                "hash": cell.hash().to_string(),
                "encoded_bytes": cell.encoded_len(),
                "embedded": cell.is_embedded(),
                "refs": cell.ref_count(),
                "printed": one_line(&printed(&cell, PRINTED)),
            }),
            What::Missing(hash) => {
                json!({ "depth": node.depth, "label": node.label, "missing": hash.to_string() })
            }
            What::More(n) => json!({ "depth": node.depth, "more": n }),
            What::End => json!({ "depth": 0, "truncated_after": NODES }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::{Record, RecordKind, Vector};

    fn lines(cell: &Cell, depth: u32, width: u32) -> Vec<String> {
        Walk::new(cell, depth, width)
            .map(|node| {
                let what = match node.what {
                    What::Cell(cell) => head(&cell),
                    What::Missing(_) => "missing".to_owned(),
                    What::More(n) => format!("+{n}"),
                    What::End => "end".to_owned(),
                };
                format!("{}{}:{what}", node.depth, node.label)
            })
            .collect()
    }

    #[test]
    fn fields_have_names_and_bounds_hold() {
        let transactions: Vector = (0..5).map(Cell::Long).collect();
        let block = Cell::from(Record::of_kind(
            RecordKind::Block,
            [Cell::Long(7), Cell::from(transactions)],
        ));
        assert_eq!(lines(&block, 0, 9), ["0:Block"]);
        assert_eq!(
            lines(&block, 1, 9),
            ["0:Block", "1timestamp:Integer", "1transactions:Vector(5)"]
        );
        assert_eq!(
            lines(&block, 2, 2)[2..],
            [
                "1transactions:Vector(5)",
                "20:Integer",
                "21:Integer",
                "2:+3"
            ]
        );
    }

    #[test]
    fn a_wide_and_deep_value_ends_at_the_bound_on_nodes() {
        let mut cell = Cell::Nil;
        for _ in 0..10 {
            cell = Cell::from(std::iter::repeat_n(cell, 16).collect::<Vector>());
        }
        let lines = lines(&cell, u32::MAX, u32::MAX);
        assert_eq!(lines.len(), NODES + 1);
        assert_eq!(lines.last().unwrap(), "0:end");
    }

    #[test]
    fn a_long_chain_does_not_exhaust_the_stack() {
        let mut cell = Cell::Nil;
        for _ in 0..200_000 {
            cell = Cell::from([cell].into_iter().collect::<Vector>());
        }
        assert_eq!(lines(&cell, u32::MAX, 1).len(), NODES + 1);
    }
}
