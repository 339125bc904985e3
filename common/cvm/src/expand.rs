//! Expansion of forms (`spec/02 §3`).
//!
//! An expander is a function of a form and a continuation. The initial expander hands forms whose head is bound
//! to an expander to it, and the parts of other forms to the continuation.

use cells::{Cell, List, Map, Set, Symbol, Syntax, Vector};

use crate::call;
use crate::context::{Args, Context};
use crate::exit::{Exit, Outcome, Trace};
use crate::juice;
use crate::names;

/// Code of the initial expander.
pub(crate) const INITIAL: u16 = 259;
/// Code of the expander that leaves its form alone.
const QUOTE: u16 = 0;

impl Context<'_> {
    /// Calls the expander `expander` one level deeper.
    pub(crate) fn expand(&mut self, expander: &Cell, form: &Cell, cont: &Cell) -> Outcome {
        if self.depth >= self.rules.max_depth {
            return Err(self.too_deep());
        }
        self.depth += 1;
        self.note_depth(0);
        let outcome = self.call_expander(expander, form, cont);
        self.depth -= 1;
        outcome
    }

    /// Calls an expander at this level.
    pub(crate) fn call_expander(&mut self, expander: &Cell, form: &Cell, cont: &Cell) -> Outcome {
        if let (Cell::Core(INITIAL), true) = (expander, call::is_function(cont)) {
            // Nearly every form takes this way.
            return match Self::traced(self.initial_expander(form, cont), || Trace::Core(INITIAL)) {
                exit @ Err(Exit::Recur | Exit::Tailcall | Exit::Return(_)) => {
                    self.trampoline(expander, exit)
                }
                outcome => outcome,
            };
        }
        if !matches!(expander, Cell::Core(QUOTE)) {
            self.note_other();
        }
        self.call(expander, Args::from_iter([form.clone(), cont.clone()]))
    }

    /// Expands a form as the initial expander does. `cont` is a function.
    pub(crate) fn initial_expander(&mut self, form: &Cell, cont: &Cell) -> Outcome {
        match form {
            Cell::Syntax(syntax) => self.expand_syntax(syntax.clone(), cont),
            Cell::List(list) if !list.is_empty() => match self.expander_of(&head(list)?)? {
                Some(expander) => self.expand(&expander, form, cont),
                None => {
                    let mut parts = Vec::with_capacity(list.count().min(1 << 12) as usize);
                    for part in list.iter() {
                        parts.push(self.expand_part(&part?, cont)?);
                    }
                    parts.reverse();
                    self.done(
                        juice::EXPAND_COLLECTION,
                        List::from_reversed(parts.into_iter().collect()),
                    )
                }
            },
            Cell::Vector(vector) if !vector.is_empty() => {
                let mut parts = Vec::with_capacity(vector.count().min(1 << 12) as usize);
                for part in vector.iter() {
                    parts.push(self.expand_part(&part?, cont)?);
                }
                self.done(
                    juice::EXPAND_COLLECTION,
                    parts.into_iter().collect::<Vector>(),
                )
            }
            Cell::Set(set) => {
                let mut expanded = Set::empty();
                for element in set.iter() {
                    expanded = expanded.include(self.expand_part(&element?, cont)?)?;
                }
                self.done(juice::EXPAND_COLLECTION, expanded)
            }
            Cell::Map(map) => {
                let mut expanded = Map::empty();
                for entry in map.iter() {
                    let (key, value) = entry?;
                    let key = self.expand_part(&key, cont)?;
                    let value = self.expand_part(&value, cont)?;
                    expanded = expanded.assoc(key, value)?;
                }
                self.done(juice::EXPAND_COLLECTION, expanded)
            }
            other => self.done(juice::EXPAND_CONSTANT, other.clone()),
        }
    }

    /// One part of a form. The most frequent case, a leaf for the initial expander, needs no call.
    #[inline]
    fn expand_part(&mut self, part: &Cell, cont: &Cell) -> Outcome {
        let leaf = match part {
            Cell::List(l) => l.is_empty(),
            Cell::Vector(v) => v.is_empty(),
            Cell::Syntax(_) | Cell::Set(_) | Cell::Map(_) => false,
            _ => true,
        };
        if leaf && matches!(cont, Cell::Core(INITIAL)) && self.depth < self.rules.max_depth {
            self.note_depth(1);
            return self.done(juice::EXPAND_CONSTANT, part.clone());
        }
        self.expand(cont, part, cont)
    }

    /// Expands what is inside and puts the metadata around the result. Layers are peeled in a loop, since their
    /// number has no bound.
    fn expand_syntax(&mut self, syntax: Syntax, cont: &Cell) -> Outcome {
        let mut layers = vec![syntax.meta().clone()];
        let mut inner = syntax.value()?;
        while let Cell::Syntax(next) = &inner {
            layers.push(next.meta().clone());
            let value = next.value()?;
            inner = value;
        }
        let mut result = self.call_expander(&Cell::Core(INITIAL), &inner, cont)?;
        while let Some(meta) = layers.pop() {
            result = self.done(juice::EXPAND_CONSTANT, with_meta(result, &meta)?)?;
        }
        Ok(result)
    }

    /// The expander that a form with this head has (`spec/02 §3.2`).
    fn expander_of(&mut self, head: &Cell) -> Outcome<Option<Cell>> {
        match head {
            Cell::Symbol(symbol) => self.expander_in(self.address, symbol),
            Cell::List(list) if matches!(list.count(), 2 | 3) => {
                if !matches!(list.get(0)?, Some(Cell::Symbol(s)) if s.name() == b"lookup") {
                    return Ok(None);
                }
                let Some(Cell::Symbol(symbol)) = list.get(list.count() - 1)? else {
                    return Ok(None);
                };
                if list.count() == 2 {
                    return self.expander_in(self.address, &symbol);
                }
                match list.get(1)? {
                    Some(Cell::Address(address)) => {
                        self.note_address();
                        self.expander_in(address, &symbol)
                    }
                    Some(Cell::Symbol(name)) => match self.noted_lookup(self.address, &name)? {
                        Some(Cell::Address(address)) => self.expander_in(address, &symbol),
                        _ => Ok(None),
                    },
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    fn expander_in(&mut self, address: u64, symbol: &Symbol) -> Outcome<Option<Cell>> {
        self.note_symbol(address, symbol)?;
        let Some((account, found)) = self.definer(address, symbol)? else {
            return Ok(None);
        };
        let Some(meta) = self.own_meta(found.address, account, symbol)? else {
            return Ok(None);
        };
        if !meta.get(&names::expander())?.is_some_and(|c| c.is_truthy()) {
            return Ok(None);
        }
        Ok(Some(found.value).filter(call::is_callable))
    }
}

/// First element of a list that has one, without one layer of syntax.
pub(crate) fn head(list: &List) -> Outcome {
    unwrap_once(list.get(0)?.unwrap_or(Cell::Nil))
}

/// Without one layer of syntax.
pub(crate) fn unwrap_once(cell: Cell) -> Outcome {
    Ok(match &cell {
        Cell::Syntax(syntax) => syntax.value()?,
        _ => cell,
    })
}

/// A value with `meta` merged over the metadata that it has.
pub(crate) fn with_meta(value: Cell, meta: &Map) -> Outcome {
    Ok(Cell::from(match &value {
        Cell::Syntax(syntax) => Syntax::new(syntax.value()?, syntax.meta().clone().merge(meta)?),
        _ => Syntax::new(value, meta.clone()),
    }))
}
