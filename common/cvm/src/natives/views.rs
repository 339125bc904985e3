//! A defect that shows: `reduce` in the reference hands the same argument buffer to every step, and the `&`
//! parameter of a closure that it calls is a view of that buffer, not a copy (`spec/03 §1.6`). A view that
//! survives a step therefore changes with the next one:
//! `(reduce (fn [acc & r] (conj acc r)) [] [1 2 3])` is `[[3] [3] [3]]`.
//!
//! Values here can't change, so before each step the views of earlier steps are looked for in the accumulator
//! and replaced. A view that takes in the accumulator itself would contain itself; nothing can be done with such
//! a value in the reference (it exhausts its stack), and here it stays the copy that it looks like.

use cells::{Cell, CellError, Index, List, Map, RecordKind, Vector};

use crate::bind::is_rest_mark;
use crate::context::{Args, Context};
use crate::exit::Outcome;

/// Values looked at in one `reduce` at most.
const BUDGET: usize = 1 << 20;
/// Levels of the accumulator that are searched.
const LEVELS: usize = 8;

/// The view of the last step's element that a closure with the parameters `[acc & rest]` was given.
pub(super) struct Views {
    view: Option<Cell>,
    budget: usize,
}

impl Views {
    /// For a function that is given views; `None` for all others.
    pub(super) fn of(function: &Cell) -> Option<Self> {
        let Cell::Record(record) = function else {
            return None;
        };
        let closures = match record.kind()? {
            RecordKind::Fn => vec![function.clone()],
            RecordKind::MultiFn => record.fields().iter().filter_map(Result::ok).collect(),
            _ => return None,
        };
        let takes_rest = |closure: &Cell| {
            let Cell::Record(closure) = closure else {
                return false;
            };
            let Ok(Some(Cell::Vector(params))) = closure.field(1) else {
                return false;
            };
            params.count() == 3 && matches!(params.get(1), Ok(Some(form)) if is_rest_mark(&form))
        };
        closures.iter().any(takes_rest).then_some(Self {
            view: None,
            budget: BUDGET,
        })
    }

    /// Calls the function with the accumulator and the next element. Views of the element before it, anywhere in
    /// the accumulator, follow.
    pub(super) fn call(
        &mut self,
        ctx: &mut Context<'_>,
        function: &Cell,
        reached: Cell,
        element: Cell,
    ) -> Outcome {
        let now = Cell::from([element.clone()].into_iter().collect::<Vector>());
        let reached = match self.view.replace(now.clone()) {
            Some(before) => self.replace(&reached, &before, &now, 0)?.unwrap_or(reached),
            None => reached,
        };
        ctx.view_next = Some(now.clone());
        let outer = ctx.view.replace(now);
        let outcome = ctx.call(function, Args::from_iter([reached, element]));
        ctx.view = outer;
        outcome
    }

    /// `cell` with views replaced; `None` when it has none.
    fn replace(
        &mut self,
        cell: &Cell,
        before: &Cell,
        now: &Cell,
        level: usize,
    ) -> Result<Option<Cell>, CellError> {
        if level > 0 && cell.is_identical(before) {
            return Ok(Some(now.clone()));
        }
        if level >= LEVELS {
            return Ok(None);
        }
        Ok(match cell {
            Cell::Vector(v) => self.replace_vector(v, before, now, level)?.map(Cell::from),
            Cell::List(l) => self
                .replace_vector(l.reversed(), before, now, level)?
                .map(|v| Cell::from(List::from_reversed(v))),
            // A closure that captured a view.
            Cell::Record(r) if r.kind() == Some(RecordKind::Fn) => {
                let Some(Cell::Vector(env)) = r.field(2)? else {
                    return Ok(None);
                };
                match self.replace_vector(&env, before, now, level + 1)? {
                    Some(env) => r.with_field(2, Cell::from(env))?.map(Cell::from),
                    None => None,
                }
            }
            Cell::Map(m) => {
                let mut changed: Option<Map> = None;
                for entry in m.iter() {
                    let (key, value) = entry?;
                    if !self.spend() {
                        break;
                    }
                    if let Some(value) = self.replace(&value, before, now, level + 1)? {
                        changed = Some(changed.unwrap_or_else(|| m.clone()).assoc(key, value)?);
                    }
                }
                changed.map(Cell::from)
            }
            Cell::Index(m) => {
                let mut changed: Option<Index> = None;
                for entry in m.iter() {
                    let (key, value) = entry?;
                    if !self.spend() {
                        break;
                    }
                    if let Some(value) = self.replace(&value, before, now, level + 1)? {
                        changed = changed.unwrap_or_else(|| m.clone()).assoc(key, value)?;
                    }
                }
                changed.map(Cell::from)
            }
            _ => None,
        })
    }

    fn replace_vector(
        &mut self,
        v: &Vector,
        before: &Cell,
        now: &Cell,
        level: usize,
    ) -> Result<Option<Vector>, CellError> {
        let mut changed: Option<Vector> = None;
        for (i, element) in v.iter().enumerate() {
            if !self.spend() {
                break;
            }
            if let Some(element) = self.replace(&element?, before, now, level + 1)? {
                changed = changed
                    .unwrap_or_else(|| v.clone())
                    .assoc(i as u64, element)?;
            }
        }
        Ok(changed)
    }

    fn spend(&mut self) -> bool {
        self.budget = self.budget.saturating_sub(1);
        self.budget > 0
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn a_rest_vector_that_survives_a_step_of_reduce_follows_the_next_one() {
        check(&[
            (
                "(reduce (fn [acc & r] (conj acc r)) [] [1 2 3])",
                "[[3] [3] [3]]",
            ),
            (
                "(reduce (fn [acc & r] (conj acc (first r))) [] [1 2 3])",
                "[1 2 3]",
            ),
            (
                "(reduce (fn [acc & r] (conj acc (vec r))) [] [1 2 3])",
                "[[1] [2] [3]]",
            ),
            (
                "(reduce (fn [acc & r] {:seen [acc r]}) nil [1 2])",
                "{:seen [{:seen [nil [2]]} [2]]}",
            ),
            (
                "(reduce (fn [acc & r] (let [[& y] r] (conj acc y))) [] [1 2 3])",
                "[[1] [2] [3]]",
            ),
            (
                "(map (fn [f] (f)) (reduce (fn [acc & r] (conj acc (fn [] r))) [] [1 2 3]))",
                "[[3] [3] [3]]",
            ),
            ("(reduce vector [1 2])", "[1 2]"),
        ]);
    }
}
