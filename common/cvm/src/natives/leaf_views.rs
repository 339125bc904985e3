//! A defect that shows: vectors that the reference holds as views of arguments (`cells`, `views.rs`).
//!
//! `vector`, literals, `& rest`, `keys`, `values` and parts of what they made are views, and lists and sets count as such
//! where they are appended to a vector. The leaves that they add to a packed tree stay views inside of it. Taking
//! that tree leaf by leaf, which the reference does where it lies at a leaf's start in the result, is a host fault.

use cells::{Cell, List, Vector};

use crate::exit::{Exit, Outcome};
use crate::value;

/// Elements of a leaf.
const WIDTH: u64 = 16;

/// `left` followed by the elements of a data structure or nil. The caller bounds their number.
pub(crate) fn append(left: Vector, right: &Cell) -> Outcome<Vector> {
    let views = match right {
        Cell::Vector(v) => v.is_view(),
        Cell::List(_) | Cell::Set(_) => true,
        _ => false,
    };
    let start = left.count();
    let right = value::to_vector(right)?;
    if !views {
        return join(left, &right);
    }
    Ok(left.concat(&right)?.with_view_leaves(start)?)
}

/// `left` followed by a list.
pub(crate) fn append_list(left: List, right: &List) -> Outcome<List> {
    if right.is_empty() {
        return Ok(left);
    }
    let reversed = join(right.reversed().clone(), left.reversed())?;
    Ok(List::from_reversed(reversed))
}

fn join(left: Vector, right: &Vector) -> Outcome<Vector> {
    if left.count().is_multiple_of(WIDTH) {
        readable(right, 0, right.count())?;
    }
    Ok(left.concat(right)?)
}

/// The part `start..end` of a vector; `None` unless 0 ≤ start ≤ end ≤ count.
pub(crate) fn part(vector: &Vector, start: u64, end: u64) -> Outcome<Option<Vector>> {
    if vector.is_view() {
        return Ok(vector.slice(start, end)?.map(Vector::into_view));
    }
    let count = vector.count();
    let whole = start == 0 && end == count && !count.is_multiple_of(WIDTH);
    if !whole && start.is_multiple_of(WIDTH) && end <= count {
        readable(vector, start, end)?;
    }
    Ok(vector.slice(start, end)?)
}

/// The part `start..end` of a list; `None` unless 0 ≤ start ≤ end ≤ count.
pub(crate) fn list_part(list: &List, start: u64, end: u64) -> Outcome<Option<List>> {
    let n = list.count();
    if start > end || end > n {
        return Ok(None);
    }
    if start == 0 && end == n {
        return Ok(Some(list.clone()));
    }
    Ok(part(list.reversed(), n - end, n - start)?.map(List::from_reversed))
}

/// A host fault when one of these elements lies in a leaf that is a view.
fn readable(vector: &Vector, start: u64, end: u64) -> Outcome<()> {
    if vector.has_views(start, end) {
        return Err(Exit::host_fault(
            "a view of arguments as a leaf of a vector",
        ));
    }
    Ok(())
}
