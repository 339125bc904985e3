//! Calling functions (`spec/02 §8`, `§10.2`).

use std::collections::HashSet;
use std::sync::Arc;

use cells::{Cell, Record, RecordKind, Ref, Vector};

use crate::bind::{self, Params};
use crate::context::{Args, Context};
use crate::exit::{Code, Exit, Outcome, Trace};
use crate::natives::Arity;
use crate::op::{Kind, Op};
use crate::op_prepare;
use crate::value;

/// A function taken apart: what all closures of one template share.
#[derive(Debug)]
pub(crate) struct Closure {
    pub(crate) params: Params,
    pub(crate) body: Op,
}

/// Core functions that consume their own control value (`spec/02 §10.2`).
const RECUR: u16 = 196;
const TAILCALL: u16 = 197;
const RETURN: u16 = 210;

/// True for functions proper: closures, closures of several arities, core functions.
#[must_use]
pub fn is_function(cell: &Cell) -> bool {
    match cell {
        Cell::Core(_) => true,
        Cell::Record(r) => matches!(r.kind(), Some(RecordKind::Fn | RecordKind::MultiFn)),
        _ => false,
    }
}

/// True for everything that can stand in function position (`spec/02 §8.4`).
#[must_use]
pub fn is_callable(cell: &Cell) -> bool {
    is_function(cell)
        || matches!(
            cell,
            Cell::Keyword(_)
                | Cell::Map(_)
                | Cell::Index(_)
                | Cell::Set(_)
                | Cell::Vector(_)
                | Cell::List(_)
        )
        || value::is_record_map(cell)
}

impl Context<'_> {
    /// Calls a function or data function. `recur`, `tailcall*` and `return` end here; the other control values
    /// pass through.
    ///
    /// # Errors
    /// Whatever ends the call without a value.
    pub fn call(&mut self, function: &Cell, mut args: Args) -> Outcome {
        self.call_with(function, &mut args)
    }

    /// As [`Context::call`], with arguments that lie somewhere else.
    #[inline]
    pub(crate) fn call_with(&mut self, function: &Cell, args: &mut [Cell]) -> Outcome {
        match self.call_once(function, args) {
            exit @ Err(Exit::Recur | Exit::Tailcall | Exit::Return(_)) => {
                self.trampoline(function, exit)
            }
            outcome => outcome,
        }
    }

    /// Calls a core function.
    #[inline]
    pub(crate) fn call_native(&mut self, code: u16, args: &mut [Cell]) -> Outcome {
        match self.call_core(code, args) {
            Ok(value) => {
                self.result = value::copy(&value);
                Ok(value)
            }
            exit @ Err(Exit::Recur | Exit::Tailcall | Exit::Return(_)) => {
                self.trampoline(&Cell::Core(code), exit)
            }
            outcome => outcome,
        }
    }

    /// Goes on from the outcome of a call of `function` (`spec/02 §10.2`).
    pub(crate) fn trampoline(&mut self, function: &Cell, mut outcome: Outcome) -> Outcome {
        let mut function = function.clone();
        loop {
            let is = |code: u16| matches!(function, Cell::Core(c) if c == code);
            match outcome {
                Err(Exit::Recur) if !is(RECUR) => {}
                Err(Exit::Tailcall) if !is(TAILCALL) => {
                    function = std::mem::replace(&mut self.pending_target, Cell::Nil);
                }
                Err(Exit::Return(value)) if !is(RETURN) => {
                    self.result = value.clone();
                    return Ok(value);
                }
                outcome => return outcome,
            }
            self.result = Cell::Nil;
            let mut args = std::mem::take(&mut self.pending);
            outcome = self.call_once(&function, &mut args);
        }
    }

    fn call_once(&mut self, function: &Cell, args: &mut [Cell]) -> Outcome {
        let outcome = match function {
            Cell::Core(code) => self.call_core(*code, args),
            Cell::Record(record) => match record.kind() {
                Some(RecordKind::Fn) => return self.call_closure(record, args),
                Some(RecordKind::MultiFn) => return self.call_multi(record, args),
                _ => self.call_data(function, args),
            },
            _ => self.call_data(function, args),
        };
        if let Ok(value) = &outcome {
            self.result = value::copy(value);
        }
        outcome
    }

    fn call_core(&mut self, code: u16, args: &mut [Cell]) -> Outcome {
        let Some(native) = self.natives.get(code) else {
            return Err(Exit::host_fault("core function without an implementation"));
        };
        let outcome = if native.arity.accepts(args.len()) {
            (native.run)(self, args)
        } else {
            Err(self.error(
                Code::Arity,
                native.arity.complaint(native, args.len()).as_str(),
            ))
        };
        Self::traced(outcome, || Trace::Core(code))
    }

    fn call_closure(&mut self, record: &Record, args: &mut [Cell]) -> Outcome {
        // The fields of a function lie side by side: nothing is copied to look at them.
        let Some([_, params, env, body]) = record.fields().as_leaf() else {
            return Err(Exit::host_fault("function with fields missing"));
        };
        let closure = self.closure(params, body)?;
        let env = env.load()?;
        let scope = self.locals.scope();
        match &*env {
            Cell::Vector(env) => self.locals.enter_with(env)?,
            _ => self.locals.enter(),
        }
        let outcome =
            bind::parameters(self, &closure.params, args).and_then(|()| self.exec(&closure.body));
        self.locals.restore(scope);
        outcome
    }

    /// Calls the first member that accepts the arguments (`spec/02 §8.2`).
    fn call_multi(&mut self, record: &Record, args: &mut [Cell]) -> Outcome {
        if let Some(member) = member_for(record, args.len() as u64)? {
            return self.call_closure(&member, args);
        }
        let text = format!("No matching function arity found for arity {}", args.len());
        Err(self.error(Code::Arity, text.as_str()))
    }

    /// The shared part of a closure, from the cache when one of its template was called before.
    fn closure(&mut self, params: &Ref, body: &Ref) -> Outcome<Arc<Closure>> {
        let key = (params.hash(), body.hash());
        if let Some(closure) = self.machine.cache.closure(&key)
            && (!closure.body.shows_object() || closure.body.cell().is_identical(&*body.load()?))
        {
            return Ok(closure);
        }
        let (params, body) = (params.get()?, body.get()?);
        let mut weight = 1;
        let body = match op_prepare::prepare(&body, &mut weight) {
            Some(op) => op,
            None => Op::with_cell(Kind::Fault("function whose body is no op"), body),
        };
        let params = Params::of(&params)?;
        let weight = weight + params.weight();
        let closure = Arc::new(Closure { params, body });
        if !matches!(closure.body.kind(), Kind::Deferred(_)) {
            self.machine
                .cache
                .insert_closure(key, closure.clone(), weight);
        }
        Ok(closure)
    }

    /// Calls a collection or keyword (`spec/02 §8.4`).
    fn call_data(&mut self, function: &Cell, args: &[Cell]) -> Outcome {
        let most = if matches!(function, Cell::Set(_)) {
            1
        } else {
            2
        };
        if args.is_empty() || args.len() > most {
            let (arity, kind) = match function {
                Cell::Set(_) => ("1", "set"),
                Cell::Keyword(_) => ("1 or 2", "keyword"),
                Cell::Vector(_) | Cell::List(_) => ("1 or 2", "sequence"),
                _ => ("1 or 2", "map"),
            };
            let mut text = format!("Expected arity {arity} for {kind} lookup");
            if kind != "sequence" {
                text += &format!(" but got: {}", args.len());
            }
            if kind == "set" {
                text += &format!(" in set: {}", value::brief_text(function));
            }
            return Err(self.error(Code::Arity, text.as_str()));
        }
        let default = args.get(1);
        match function {
            Cell::Keyword(_) => self.call_keyword(function, &args[0], default),
            Cell::Set(set) => Ok(Cell::Bool(set.contains(&args[0])?)),
            Cell::Vector(_) | Cell::List(_) => {
                let Cell::Long(i) = args[0] else {
                    return Err(self.cast(args, 0, "Long"));
                };
                let found = u64::try_from(i)
                    .ok()
                    .map(|i| value::element(function, i))
                    .transpose()?
                    .flatten();
                match (found, default) {
                    (Some(value), _) => Ok(value),
                    (None, Some(default)) => Ok(default.clone()),
                    (None, None) => Err(self.error(Code::Bounds, format!("Index: {i}").as_str())),
                }
            }
            _ => {
                let found = value::get(function, &args[0])?;
                Ok(found.unwrap_or_else(|| default.cloned().unwrap_or(Cell::Nil)))
            }
        }
    }

    fn call_keyword(
        &mut self,
        keyword: &Cell,
        collection: &Cell,
        default: Option<&Cell>,
    ) -> Outcome {
        let or_default = || default.cloned().unwrap_or(Cell::Nil);
        if collection.is_nil() {
            return Ok(or_default());
        }
        if !value::is_data_structure(collection) {
            return Err(self.error(
                Code::Cast,
                "Can't convert argument at position 1 to type DataStructure",
            ));
        }
        match (value::get(collection, keyword)?, collection, default) {
            (Some(value), _, _) => Ok(value),
            (None, Cell::Set(_), None) => Ok(Cell::Bool(false)),
            (None, _, _) => Ok(or_default()),
        }
    }
}

/// Field `i` of a record.
pub(crate) fn field(record: &Record, i: u64) -> Outcome {
    Ok(record.field(i)?.unwrap_or(Cell::Nil))
}

/// True for closures, of one arity or several.
pub(crate) fn is_closure(cell: &Cell) -> bool {
    matches!(cell, Cell::Record(r) if matches!(r.kind(), Some(RecordKind::Fn | RecordKind::MultiFn)))
}

/// The first function for `n` arguments among the members, those of members with several arities included.
fn member_for(record: &Record, n: u64) -> Outcome<Option<Record>> {
    let mut open = vec![record.fields().iter()];
    // Hostile ones share what they are made of: nothing is searched twice.
    let mut seen = HashSet::new();
    while let Some(members) = open.last_mut() {
        let Some(member) = members.next() else {
            open.pop();
            continue;
        };
        let Cell::Record(member) = member? else {
            continue;
        };
        match member.kind() {
            Some(RecordKind::Fn) if accepts(&member, n)? => return Ok(Some(member)),
            Some(RecordKind::MultiFn) if seen.insert(Cell::from(member.clone()).hash()) => {
                open.push(member.fields().iter());
            }
            _ => {}
        }
    }
    Ok(None)
}

/// True when a closure takes `n` arguments, as the choice among arities sees it.
fn accepts(record: &Record, n: u64) -> Outcome<bool> {
    let Cell::Vector(params) = field(record, 1)? else {
        return Err(Exit::host_fault("function without a vector of parameters"));
    };
    let count = params.count();
    Ok(match rest_mark(&params)? {
        Some(at) if at + 1 < count => n >= count - 2,
        _ => n == count,
    })
}

/// Where `&` stands in a binding form.
fn rest_mark(forms: &Vector) -> Outcome<Option<u64>> {
    for (i, form) in forms.iter().enumerate() {
        if bind::is_rest_mark(&form?) {
            return Ok(Some(i as u64));
        }
    }
    Ok(None)
}

/// Number of arguments as people read it.
impl Arity {
    pub(crate) fn complaint(&self, native: &crate::natives::Native, given: usize) -> String {
        let name = native.symbol;
        if native.kind == crate::natives::Kind::Predicate {
            return format!("{name} requires exactly one argument");
        }
        if let Some(text) = odd_complaint(name, given) {
            return text;
        }
        match *self {
            Self::Exactly(n) => format!("{name} requires arity {n} but called with: {given}"),
            Self::Between(low, _) if given < low => {
                format!("{name} requires minimum arity {low} but called with: {given}")
            }
            Self::Between(_, high) => {
                format!("{name} requires maximum arity {high} but called with: {given}")
            }
            Self::AtLeast(n) => {
                format!("{name} requires minimum arity {n} but called with: {given}")
            }
            Self::Even => format!("{name} requires an even number of arguments"),
            Self::Odd => format!("{name} requires an odd number of arguments"),
            Self::Any => String::new(),
        }
    }
}

/// Complaints of functions that do not speak like the others.
fn odd_complaint(name: &str, given: usize) -> Option<String> {
    Some(match name {
        "call*" => format!("{name} requires minimum arity 1 but called with: {given}"),
        "schedule*" | "reduce" => format!("{name} requires arity 3 but called with: {given}"),
        "set-peer-data" => format!("{name} requires arity 1 but called with: {given}"),
        "get" | "get-in" => format!("{name} requires exactly 2 or 3 arguments"),
        "callable?" | "lookup-meta" => {
            format!("{name} requires arity between 1 and 2 but called with: {given}")
        }
        "assoc" if given == 0 => format!("{name} requires minimum arity 1 but called with: 0"),
        "assoc" => format!("{name} requires key/value pairs as successive args"),
        "conj" => format!("{name} requires a data structure as first argument"),
        "expand" => format!(
            "{name} requires a form argument, optional expander and optional continuation expander (arity 1, 2 or 2)"
        ),
        _ => return None,
    })
}
