//! Names of locals while code is compiled: the compiler state of `spec/02 §4`.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use cells::{Hash, Symbol};

use crate::op_cache::HashPrefix;

/// Symbols in scope with their positions. Scopes end by going back to a former length.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    /// Hash of each bound symbol and the position that it shadows; the index is its own position.
    bound: Vec<(Hash, Option<u64>)>,
    positions: HashMap<Hash, u64, BuildHasherDefault<HashPrefix>>,
}

impl Scopes {
    /// Number of bound symbols: the next position.
    pub(crate) fn len(&self) -> usize {
        self.bound.len()
    }

    /// Binds a symbol to the next position.
    pub(crate) fn push(&mut self, symbol: &Symbol) {
        let hash = *symbol.hash();
        let shadowed = self.positions.insert(hash, self.bound.len() as u64);
        self.bound.push((hash, shadowed));
    }

    /// Position of a symbol.
    pub(crate) fn position(&self, symbol: &Symbol) -> Option<u64> {
        if self.bound.is_empty() {
            return None;
        }
        self.positions.get(symbol.hash()).copied()
    }

    /// Forgets the symbols bound since there were `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        while self.bound.len() > len {
            let Some((hash, shadowed)) = self.bound.pop() else {
                return;
            };
            match shadowed {
                Some(position) => self.positions.insert(hash, position),
                None => self.positions.remove(&hash),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadowed_name_comes_back_when_the_scope_ends() {
        let (a, b) = (Symbol::literal("a"), Symbol::literal("b"));
        let mut scopes = Scopes::default();
        scopes.push(&a);
        let outer = scopes.len();
        scopes.push(&b);
        scopes.push(&a);
        assert_eq!(scopes.position(&a), Some(2));
        assert_eq!(scopes.position(&b), Some(1));
        scopes.truncate(outer);
        assert_eq!(scopes.position(&a), Some(0));
        assert_eq!(scopes.position(&b), None);
    }
}
