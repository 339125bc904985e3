//! Local bindings of the code that runs (`spec/02 §9.1`).
//!
//! They behave as an immutable vector that scopes replace and restore. Most code has few of them, so they live
//! on a stack; what grows beyond [`SPILL`] moves into a persistent vector, so that neither a closure over many
//! locals nor a call of one copies them each time.

use cells::{Cell, CellError, Vector};

/// Locals of one frame that stay on the stack.
const SPILL: usize = 48;

/// The bindings of the running code, over those of its callers.
#[derive(Default)]
pub(crate) struct Locals {
    stack: Vec<Cell>,
    /// Where the running frame begins on the stack.
    base: usize,
    /// The first locals of the frame, when there were too many for the stack.
    prefix: Option<Vector>,
    /// Values that `set!` replaced on the stack, to be put back when the scope ends.
    undo: Vec<(usize, Cell)>,
}

/// Bindings to come back to.
pub(crate) struct Scope {
    base: usize,
    len: usize,
    undo: usize,
    prefix: Option<Vector>,
}

impl Locals {
    /// Remembers the bindings.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            base: self.base,
            len: self.stack.len(),
            undo: self.undo.len(),
            prefix: self.prefix.clone(),
        }
    }

    /// Comes back to the bindings of `scope`.
    pub(crate) fn restore(&mut self, scope: Scope) {
        self.rewind(&scope);
    }

    /// Comes back to the bindings of `scope`, which stays good.
    pub(crate) fn rewind(&mut self, scope: &Scope) {
        while self.undo.len() > scope.undo {
            if let Some((at, value)) = self.undo.pop()
                && let Some(slot) = self.stack.get_mut(at)
            {
                *slot = value;
            }
        }
        self.stack.truncate(scope.len);
        self.base = scope.base;
        if self.prefix.is_some() || scope.prefix.is_some() {
            self.prefix = scope.prefix.clone();
        }
    }

    /// Begins an empty frame; the caller holds a [`Scope`] to leave it.
    pub(crate) fn enter(&mut self) {
        self.base = self.stack.len();
        self.prefix = None;
    }

    /// Begins a frame with the bindings `env`.
    pub(crate) fn enter_with(&mut self, env: &Vector) -> Result<(), CellError> {
        self.enter();
        match env.as_leaf() {
            Some(refs) => {
                for r in refs {
                    self.stack.push(r.get()?);
                }
            }
            None => self.prefix = Some(env.clone()),
        }
        Ok(())
    }

    fn prefix_len(&self) -> u64 {
        self.prefix.as_ref().map_or(0, Vector::count)
    }

    /// Number of bindings.
    pub(crate) fn len(&self) -> u64 {
        self.prefix_len() + (self.stack.len() - self.base) as u64
    }

    /// Adds a binding at the next position.
    pub(crate) fn push(&mut self, value: Cell) -> Result<(), CellError> {
        if self.stack.len() - self.base >= SPILL {
            self.prefix = Some(self.capture()?);
            self.base = self.stack.len();
        }
        self.stack.push(value);
        Ok(())
    }

    /// The value at a position.
    pub(crate) fn get(&self, position: u64) -> Result<Option<Cell>, CellError> {
        let Some(prefix) = &self.prefix else {
            return Ok(usize::try_from(position)
                .ok()
                .and_then(|p| self.stack[self.base..].get(p))
                .cloned());
        };
        if position < prefix.count() {
            return prefix.get(position);
        }
        let at = usize::try_from(position - prefix.count()).ok();
        Ok(at.and_then(|p| self.stack[self.base..].get(p)).cloned())
    }

    /// Replaces the value at a position until the scope ends; false when there is none.
    pub(crate) fn set(&mut self, position: u64, value: Cell) -> Result<bool, CellError> {
        if position >= self.len() {
            return Ok(false);
        }
        let prefix_len = self.prefix_len();
        if position < prefix_len {
            if let Some(prefix) = self.prefix.take() {
                self.prefix = prefix.assoc(position, value)?;
            }
        } else {
            let at = self.base + (position - prefix_len) as usize;
            let old = std::mem::replace(&mut self.stack[at], value);
            self.undo.push((at, old));
        }
        Ok(true)
    }

    /// All bindings as a value.
    pub(crate) fn capture(&self) -> Result<Vector, CellError> {
        let own = self.stack[self.base..].iter().cloned();
        match &self.prefix {
            None => Ok(own.collect()),
            Some(prefix) => own.into_iter().try_fold(prefix.clone(), Vector::push),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longs(locals: &Locals) -> Vec<i64> {
        let all = locals.capture().unwrap();
        all.iter()
            .map(|c| match c.unwrap() {
                Cell::Long(n) => n,
                other => panic!("{other}"),
            })
            .collect()
    }

    #[test]
    fn a_scope_puts_back_what_set_replaced_and_drops_what_was_added() {
        let mut locals = Locals::default();
        locals.push(Cell::Long(1)).unwrap();
        let outer = locals.scope();
        locals.push(Cell::Long(2)).unwrap();
        assert!(locals.set(0, Cell::Long(9)).unwrap());
        assert!(locals.set(1, Cell::Long(8)).unwrap());
        assert!(!locals.set(2, Cell::Nil).unwrap());
        assert_eq!(longs(&locals), [9, 8]);
        locals.restore(outer);
        assert_eq!(longs(&locals), [1]);
    }

    #[test]
    fn many_locals_behave_as_few() {
        let mut locals = Locals::default();
        for i in 0..500 {
            locals.push(Cell::Long(i)).unwrap();
        }
        let scope = locals.scope();
        assert!(locals.set(3, Cell::Long(-3)).unwrap());
        assert!(locals.set(499, Cell::Long(-499)).unwrap());
        assert_eq!(locals.get(3).unwrap(), Some(Cell::Long(-3)));
        assert_eq!(locals.get(499).unwrap(), Some(Cell::Long(-499)));
        assert_eq!(locals.get(500).unwrap(), None);
        assert_eq!(locals.len(), 500);
        locals.restore(scope);
        assert_eq!(longs(&locals), (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn a_frame_hides_the_bindings_of_its_caller() {
        let mut locals = Locals::default();
        locals.push(Cell::Long(1)).unwrap();
        let caller = locals.scope();
        let env: Vector = (0..40).map(Cell::Long).collect();
        locals.enter_with(&env).unwrap();
        assert_eq!(locals.len(), 40);
        locals.push(Cell::Long(40)).unwrap();
        assert_eq!(longs(&locals), (0..41).collect::<Vec<_>>());
        locals.restore(caller);
        assert_eq!(longs(&locals), [1]);
    }
}
