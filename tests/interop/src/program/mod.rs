//! Random programs: the grammar of forms of every kind, over the core functions and the libraries of the genesis.
//!
//! A program is mostly well typed, so that it gets somewhere; a few in a hundred forms are of any other kind.

mod control;
mod effects;
mod literals;
mod sequences;
mod signatures;
mod signs;

use crate::form::Form;
use crate::rng::Rng;

/// What a form should evaluate to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Any,
    /// Long, big integer or double.
    Number,
    /// Long or big integer.
    Integer,
    /// A small integer, not negative.
    Small,
    /// A string.
    Text,
    /// A blob.
    Blob,
    /// A keyword.
    Keyword,
    /// A symbol.
    Symbol,
    /// An address.
    Address,
    /// Vector or list.
    Sequence,
    /// A set.
    Set,
    /// A hash map.
    Map,
    /// An index.
    Index,
    /// Any data structure.
    Collection,
    /// A boolean.
    Boolean,
    /// A function of one argument.
    Function1,
    /// A function of two arguments.
    Function2,
    /// A path of keys.
    Path,
    /// Unevaluated code.
    Code,
    /// A key of 32 bytes.
    Key,
}

/// Makes the forms of one program.
pub struct Generator<'a> {
    pub(crate) rng: &'a mut Rng,
    /// Names that are bound around the form under way.
    locals: Vec<String>,
    /// Names that an earlier part of the program defined.
    globals: Vec<String>,
    /// Names of actors that an earlier part deployed.
    actors: Vec<String>,
    /// Forms that may still be made.
    budget: usize,
    names: usize,
}

impl<'a> Generator<'a> {
    /// A generator for one program of at most about `budget` forms.
    pub fn new(rng: &'a mut Rng, budget: usize) -> Self {
        Self {
            rng,
            locals: Vec::new(),
            globals: Vec::new(),
            actors: Vec::new(),
            budget,
            names: 0,
        }
    }

    /// A whole program.
    pub fn program(&mut self) -> Form {
        if self.rng.chance(6) {
            return self.sequences();
        }
        if self.rng.chance(4) {
            return self.signs();
        }
        match self.rng.below(10) {
            0..=4 => {
                let depth = self.rng.between(2, 6);
                self.form(Kind::Any, depth)
            }
            _ => self.steps(),
        }
    }

    /// A program that changes the state in several steps.
    pub fn steps(&mut self) -> Form {
        let mut parts = Vec::new();
        for _ in 0..self.rng.between(1, 5) {
            let depth = self.rng.between(1, 4);
            parts.push(self.statement(depth));
        }
        let depth = self.rng.between(1, 4);
        parts.push(self.form(Kind::Any, depth));
        Form::call("do", parts)
    }

    /// A form of a kind, nested at most `depth` levels.
    pub fn form(&mut self, kind: Kind, depth: usize) -> Form {
        self.budget = self.budget.saturating_sub(1);
        if self.rng.chance(3) {
            let kind = signatures::ANY_KIND[self.rng.below(signatures::ANY_KIND.len())];
            return self.plain(kind, depth);
        }
        self.plain(kind, depth)
    }

    fn plain(&mut self, kind: Kind, depth: usize) -> Form {
        if depth == 0 || self.budget == 0 {
            return self.leaf(kind);
        }
        match self.rng.below(20) {
            0..=3 => self.leaf(kind),
            4..=6 => self.literal(kind, depth),
            7..=13 => self.function_call(kind, depth),
            14..=17 => self.control(kind, depth),
            _ if kind == Kind::Any => self.effect(depth),
            _ => self.function_call(kind, depth),
        }
    }

    /// A name or a literal without parts.
    fn leaf(&mut self, kind: Kind) -> Form {
        let known = self.locals.len() + self.globals.len();
        if known > 0 && self.rng.chance(35) {
            let i = self.rng.below(known);
            let name = self
                .locals
                .get(i)
                .or_else(|| self.globals.get(i - self.locals.len()));
            if let Some(name) = name {
                return Form::atom(name.clone());
            }
        }
        self.literal(kind, 0)
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.names += 1;
        if self.rng.chance(4) {
            // A name that already means something.
            return self
                .rng
                .pick(&[
                    "count", "list", "hash-map", "if", "x", "_", "*result*", "concat", "vector",
                    "map",
                ])
                .to_owned();
        }
        format!("{prefix}{}", self.names % 7)
    }

    /// Makes a form in which `names` are bound.
    fn scoped<T>(&mut self, names: &[String], make: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.locals.len();
        self.locals
            .extend(names.iter().filter(|n| *n != "_").cloned());
        let made = make(self);
        self.locals.truncate(before);
        made
    }
}
