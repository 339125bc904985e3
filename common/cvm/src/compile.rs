//! Compilation of expanded forms to ops (`spec/02 §4`).

use cells::{Cell, List, Map, Record, RecordKind, Symbol, Syntax, Vector};

use crate::bind;
use crate::context::{Context, Watch};
use crate::exit::{Code, Exit, Outcome, Trace};
use crate::expand::{self, INITIAL};
use crate::juice;
use crate::names;
use crate::op::{Kind, Let, Op, Ops, Pattern};
use crate::op_prepare;
use crate::special;
use crate::value;

/// Codes of the core functions that compiled code holds.
const VECTOR: u16 = 1;
const LOOKUP_META: u16 = 33;
const FAIL: u16 = 211;
/// Code of the compiler as a function.
pub(crate) const COMPILE: u16 = 257;

impl Context<'_> {
    /// Expands and compiles a form as a call of `compile` does.
    pub(crate) fn compile_top(&mut self, form: &Cell) -> Outcome<Op> {
        match Self::traced(self.expand_compile(form), || Trace::Core(COMPILE)) {
            Err(exit @ (Exit::Recur | Exit::Tailcall | Exit::Return(_))) => {
                let made = self.trampoline(&Cell::Core(COMPILE), Err(exit))?;
                self.op_of(&made)
            }
            outcome => outcome,
        }
    }

    /// Expands and compiles a form one level deeper.
    pub(crate) fn expand_compile(&mut self, form: &Cell) -> Outcome<Op> {
        if self.depth >= self.rules.max_depth {
            return Err(self.too_deep());
        }
        self.depth += 1;
        self.note_depth(0);
        let initial = Cell::Core(INITIAL);
        let outcome = self
            .call_expander(&initial, form, &initial)
            .and_then(|expanded| self.compile(&expanded));
        self.depth -= 1;
        outcome
    }

    /// Compiles an expanded form one level deeper; names that it binds are forgotten afterwards.
    pub(crate) fn compile(&mut self, form: &Cell) -> Outcome<Op> {
        if self.depth >= self.rules.max_depth {
            return Err(self.too_deep());
        }
        self.depth += 1;
        self.note_depth(0);
        let names = self.scopes.len();
        let outcome = self.compile_form(form);
        self.scopes.truncate(names);
        self.depth -= 1;
        outcome
    }

    fn compile_form(&mut self, form: &Cell) -> Outcome<Op> {
        match form {
            Cell::Symbol(symbol) => self.compile_symbol(symbol),
            Cell::List(list) => {
                if list.is_empty() {
                    return self.constant(form.clone());
                }
                Self::traced(self.compile_list(list), || Trace::Compiling(form.clone()))
            }
            Cell::Vector(vector) if !vector.is_empty() => {
                let mut ops = vec![Op::new(Kind::Constant(Cell::Core(VECTOR)))];
                for element in vector.iter() {
                    ops.push(self.compile(&element?)?);
                }
                self.node(Kind::Invoke(Ops::Ready(ops.into())))
            }
            Cell::Map(map) if !map.is_empty() => {
                let mut parts = vec![Cell::from(Symbol::literal("hash-map"))];
                for entry in map.iter() {
                    let (key, value) = entry?;
                    parts.extend([key, value]);
                }
                self.compile_invoke(&parts)
            }
            Cell::Set(set) if !set.is_empty() => {
                let mut parts: Vec<Cell> = set.iter().collect::<Result<_, _>>()?;
                parts.push(Cell::from(Symbol::literal("hash-set")));
                parts.reverse();
                self.compile_invoke(&parts)
            }
            Cell::Syntax(_) => {
                let datum = unwrap_all(form)?;
                self.compile_form(&datum)
            }
            op if crate::op::is_op(op) => {
                self.note_address();
                self.charge(juice::COMPILE_CONSTANT)?;
                self.op_of(op)
            }
            other => self.constant(other.clone()),
        }
    }

    fn constant(&mut self, value: Cell) -> Outcome<Op> {
        self.charge(juice::COMPILE_CONSTANT)?;
        Ok(Op::new(Kind::Constant(value)))
    }

    fn node(&mut self, kind: Kind) -> Outcome<Op> {
        self.charge(juice::COMPILE_NODE)?;
        Ok(Op::new(kind))
    }

    fn compile_all(
        &mut self,
        forms: impl Iterator<Item = Result<Cell, cells::CellError>>,
    ) -> Outcome<Vec<Op>> {
        let mut ops = Vec::new();
        for form in forms {
            ops.push(self.compile(&form?)?);
        }
        Ok(ops)
    }

    fn compile_invoke(&mut self, parts: &[Cell]) -> Outcome<Op> {
        let ops = self.compile_all(parts.iter().cloned().map(Ok))?;
        self.node(Kind::Invoke(Ops::Ready(ops.into())))
    }

    // ---- symbols (§4.2) --------------------------------------------------------------------------------

    fn compile_symbol(&mut self, symbol: &Symbol) -> Outcome<Op> {
        if let Some(position) = self.scopes.position(symbol) {
            self.charge(juice::COMPILE_LOOKUP)?;
            return Ok(Op::new(Kind::Local(position)));
        }
        if let Some(code) = special::special_code(symbol.name()) {
            return Ok(Op::new(Kind::Special(code)));
        }
        if let Some(code) = intrinsic(symbol) {
            return self.constant(Cell::Core(code));
        }
        let kind = match self.static_or_definer(self.address, symbol)? {
            Some((_, Some(value))) => Kind::Constant(value),
            found => {
                let address = found.map_or(self.address, |(address, _)| address);
                self.note_own_lookup(address);
                Kind::LookupAt {
                    address,
                    symbol: symbol.clone(),
                }
            }
        };
        self.charge(juice::COMPILE_LOOKUP)?;
        Ok(Op::new(kind))
    }

    /// The account that defines a symbol, and its value when that is static.
    fn static_or_definer(
        &mut self,
        address: u64,
        symbol: &Symbol,
    ) -> Outcome<Option<(u64, Option<Cell>)>> {
        self.note_symbol(address, symbol)?;
        let Some((account, found)) = self.definer(address, symbol)? else {
            return Ok(None);
        };
        let is_static = match self.own_meta(found.address, account, symbol)? {
            Some(meta) => matches!(meta.get(&names::is_static())?, Some(Cell::Bool(true))),
            None => false,
        };
        Ok(Some((found.address, is_static.then_some(found.value))))
    }

    // ---- lists (§4.3) ----------------------------------------------------------------------------------

    fn compile_list(&mut self, list: &List) -> Outcome<Op> {
        let head = expand::head(list)?;
        if let Cell::Symbol(symbol) = &head {
            match symbol.name() {
                b"do" => return self.compile_sequence(list, Kind::Do),
                b"try" => return self.compile_sequence(list, Kind::Try),
                b"cond" => return self.compile_plain(list, Kind::Cond),
                b"query" => return self.compile_plain(list, Kind::Query),
                b"quote" => return self.compile_quote(list),
                b"quasiquote" => {
                    return Err(self.error(Code::Compile, "quasiquote should have been expanded"));
                }
                b"unquote" => return self.compile_unquote(list),
                b"let" => return self.compile_let(list, false),
                b"loop" => return self.compile_let(list, true),
                b"fn" => return self.compile_fn(list),
                b"def" => return self.compile_def(list),
                b"set!" => return self.compile_set(list),
                b"lookup" => return self.compile_lookup(list),
                _ => {}
            }
        }
        self.compile_plain_from(list, 0, Kind::Invoke)
    }

    fn compile_plain_from(
        &mut self,
        list: &List,
        start: usize,
        kind: fn(Ops) -> Kind,
    ) -> Outcome<Op> {
        let ops = self.compile_all(list.iter().skip(start))?;
        self.node(kind(Ops::Ready(ops.into())))
    }

    fn compile_plain(&mut self, list: &List, kind: fn(Ops) -> Kind) -> Outcome<Op> {
        self.compile_plain_from(list, 1, kind)
    }

    /// `do` and `try`: nil for no form, the form itself for one.
    fn compile_sequence(&mut self, list: &List, kind: fn(Ops) -> Kind) -> Outcome<Op> {
        let ops = self.compile_all(list.iter().skip(1))?;
        self.charge(juice::COMPILE_NODE)?;
        Ok(sequence(ops, kind))
    }

    fn compile_quote(&mut self, list: &List) -> Outcome<Op> {
        if list.count() != 2 {
            return Err(self.error(Code::Arity, "quote requires one argument."));
        }
        let quoted = nth(list, 1)?;
        self.constant(quoted)
    }

    /// Evaluation while compiling (`spec/02 §4.7`).
    fn compile_unquote(&mut self, list: &List) -> Outcome<Op> {
        if list.count() != 2 {
            return Err(self.error(Code::Arity, "unquote requires one argument."));
        }
        self.note_other();
        let op = self.expand_compile(&nth(list, 1)?)?;
        let watch = Watch {
            fork: self.fork,
            before: None,
        };
        let outer = self.watch.replace(Box::new(watch));
        let fork = self.fork;
        // The compiled op is what was made last (`spec/02 §7.11`).
        self.result = op.cell().clone();
        let outcome = self.exec(&op);
        let watch = std::mem::replace(&mut self.watch, outer);
        let value = outcome?;
        if let Some(before) = watch.and_then(|w| w.before) {
            self.go_back(before);
        }
        self.fork = fork;
        let form = match value {
            Cell::Syntax(_) => value,
            plain => Cell::from(Syntax::new(plain, Map::empty())),
        };
        let initial = Cell::Core(INITIAL);
        let expanded = self.call_expander(&initial, &form, &initial)?;
        self.compile(&expanded)
    }

    // ---- let, loop (§4.4) ------------------------------------------------------------------------------

    fn compile_let(&mut self, list: &List, looped: bool) -> Outcome<Op> {
        let name = if looped { "loop" } else { "let" };
        if list.count() < 2 {
            let text = format!("{name} requires a binding form vector at minimum");
            return Err(self.error(Code::Syntax, text.as_str()));
        }
        let bindings = nth(list, 1)?;
        let Cell::Vector(bindings) = bindings else {
            let text = format!(
                "{name} requires a vector of binding forms but got: {}",
                value::plain_text(&bindings)
            );
            return Err(self.error(Code::Syntax, text.as_str()));
        };
        if !bindings.count().is_multiple_of(2) {
            let n = bindings.count();
            let text = format!(
                "{name} requires a binding vector with an even number of forms but got: {n}"
            );
            return Err(self.error(Code::Syntax, text.as_str()));
        }
        let mut forms = Vec::new();
        let mut ops = Vec::new();
        let mut parts = bindings.iter();
        while let (Some(form), Some(value)) = (parts.next(), parts.next()) {
            let form = form?;
            ops.push(self.expand_compile(&value?)?);
            self.bind_names(&form)?;
            forms.push(form);
        }
        for form in list.iter().skip(2) {
            ops.push(self.expand_compile(&form?)?);
        }
        let patterns: Vec<Pattern> = forms.iter().cloned().map(Pattern::of).collect();
        let forms: Vector = forms.into_iter().collect();
        let parts = Let {
            looped,
            forms,
            patterns: patterns.into(),
            ops: Ops::Ready(ops.into()),
        };
        self.node(Kind::Let(Box::new(parts)))
    }

    /// Gives positions to the symbols of a binding form. Its nesting is bounded only by what is decoded, so this
    /// is a loop.
    fn bind_names(&mut self, form: &Cell) -> Outcome<()> {
        // What is left of each vector being walked, and whether its `&` has been passed.
        let mut levels: Vec<(Vector, u64, bool)> = Vec::new();
        let mut next = Some(expand::unwrap_once(form.clone())?);
        loop {
            match next.take() {
                Some(Cell::Symbol(symbol)) if symbol.name() == b"_" => {}
                Some(Cell::Symbol(symbol)) => self.scopes.push(&symbol),
                Some(Cell::Vector(forms)) => levels.push((forms, 0, false)),
                Some(_) => return Err(self.error(Code::Compile, "Bad binding form")),
                None => {}
            }
            let Some((forms, at, rest)) = levels.last_mut() else {
                return Ok(());
            };
            if *at >= forms.count() {
                levels.pop();
                continue;
            }
            let form = forms.get(*at)?.unwrap_or(Cell::Nil);
            *at += 1;
            if !bind::is_rest_mark(&form) {
                next = Some(expand::unwrap_once(form)?);
            } else if std::mem::replace(rest, true) || *at >= forms.count() {
                return Err(self.error(Code::Compile, "Bad binding form"));
            }
        }
    }

    // ---- fn (§4.5) -------------------------------------------------------------------------------------

    fn compile_fn(&mut self, list: &List) -> Outcome<Op> {
        if list.count() < 2 {
            let text = format!(
                "fn requires parameter vector and body in form: {}",
                value::brief_text(&Cell::from(list.clone()))
            );
            return Err(self.error(Code::Arity, text.as_str()));
        }
        if let Cell::Vector(params) = expand::unwrap_once(nth(list, 1)?)? {
            let function = self.compile_arity(&params, list.iter().skip(2))?;
            return self.node(Kind::Lambda(function));
        }
        let mut members = Vec::new();
        for member in list.iter().skip(1) {
            let Cell::List(member) = expand::unwrap_once(member?)? else {
                let members = list
                    .reversed()
                    .slice(0, list.count() - 1)?
                    .unwrap_or_else(Vector::empty);
                let members = value::brief_text(&Cell::from(List::from_reversed(members)));
                let text = format!(
                    "multi-function requires instances of form: ([args] ...) but got {members}"
                );
                return Err(self.error(Code::Syntax, text.as_str()));
            };
            let Cell::Vector(params) = expand::unwrap_once(member.get(0)?.unwrap_or(Cell::Nil))?
            else {
                let member = value::brief_text(&Cell::from(member));
                let text =
                    format!("fn instance requires a vector of parameters but got form: {member}");
                return Err(self.error(Code::Syntax, text.as_str()));
            };
            members.push(self.compile_arity(&params, member.iter().skip(1))?);
            self.charge(juice::COMPILE_NODE)?;
        }
        let function = Cell::from(Record::of_kind(RecordKind::MultiFn, members));
        self.node(Kind::Lambda(function))
    }

    /// One arity: a function value without an environment.
    fn compile_arity(
        &mut self,
        params: &Vector,
        body: impl Iterator<Item = Result<Cell, cells::CellError>>,
    ) -> Outcome {
        let names = self.scopes.len();
        let ops = self
            .bind_names(&Cell::from(params.clone()))
            .and_then(|()| self.compile_all(body));
        self.scopes.truncate(names);
        let body = sequence(ops?, Kind::Do);
        self.note_function();
        let fields = [
            Cell::Bool(false),
            Cell::from(params.clone()),
            Cell::Nil,
            body.cell().clone(),
        ];
        Ok(Cell::from(Record::of_kind(RecordKind::Fn, fields)))
    }

    // ---- def, set!, lookup (§4.6) ----------------------------------------------------------------------

    fn compile_def(&mut self, list: &List) -> Outcome<Op> {
        let n = list.count();
        if !(2..=3).contains(&n) {
            let text = if n < 2 {
                "def requires a symbol as second argument"
            } else {
                "Too many arguments to def"
            };
            return Err(self.error(Code::Compile, text));
        }
        let mut key = nth(list, 1)?;
        let target = unwrap_all(&key)?;
        if !matches!(target, Cell::Symbol(_)) {
            let text = format!(
                "def requires a Symbol as first argument but got: {}",
                match &target {
                    // To this message an index is a kind of map.
                    Cell::Index(_) => "Map",
                    other => value::type_name(other),
                }
            );
            return Err(self.error(Code::Compile, text.as_str()));
        }
        let value = if n == 3 {
            let mut form = nth(list, 2)?;
            if let Cell::Syntax(syntax) = &form {
                key = expand::with_meta(key, syntax.meta())?;
                let datum = syntax.value()?;
                form = datum;
            }
            Some(self.compile(&form)?)
        } else {
            None
        };
        self.def_op(key, value)
    }

    fn def_op(&mut self, key: Cell, value: Option<Op>) -> Outcome<Op> {
        let target = op_prepare::def_target(&key);
        self.node(Kind::Def { key, target, value })
    }

    fn compile_set(&mut self, list: &List) -> Outcome<Op> {
        if list.count() != 3 {
            return Err(self.error(
                Code::Arity,
                "set! requires two arguments, a symbol and an expression",
            ));
        }
        let Cell::Symbol(symbol) = nth(list, 1)? else {
            return Err(self.error(Code::Syntax, "set! requires a symbol as first argument"));
        };
        let value = self.compile(&nth(list, 2)?)?;
        if let Some(position) = self.scopes.position(&symbol) {
            return self.node(Kind::SetLocal {
                position: position as i64,
                value,
            });
        }
        let key = Cell::from(symbol.clone());
        self.note_symbol(self.address, &symbol)?;
        if self.own_value(self.address, &symbol)?.is_some() {
            return self.def_op(key, Some(value));
        }
        let constant = |value: Cell| Op::new(Kind::Constant(value));
        let invoke = |ops: Vec<Op>| Op::new(Kind::Invoke(Ops::Ready(ops.into())));
        let defined = invoke(vec![
            constant(Cell::Core(LOOKUP_META)),
            Op::new(Kind::Special(special::ADDRESS)),
            constant(key.clone()),
        ]);
        let fail = invoke(vec![
            constant(Cell::Core(FAIL)),
            constant(Code::Undeclared.cell()),
            constant(key.clone()),
        ]);
        let def = self.def_op(key, Some(value))?;
        self.charge(2 * juice::COMPILE_NODE)?;
        Ok(Op::new(Kind::Cond(Ops::Ready([defined, def, fail].into()))))
    }

    fn compile_lookup(&mut self, list: &List) -> Outcome<Op> {
        let n = list.count();
        if !(2..=3).contains(&n) {
            return Err(self.error(
                Code::Arity,
                "lookup requires one or two arguments: an optional expression specifying an account and a Symbol",
            ));
        }
        let address = if n == 3 {
            Some(self.compile(&nth(list, 1)?)?)
        } else {
            None
        };
        let Cell::Symbol(symbol) = nth(list, n - 1)? else {
            return Err(self.error(Code::Compile, "lookup requires a Symbol as last argument"));
        };
        let Some(address) = address else {
            return self.node(Kind::Lookup {
                address: None,
                symbol,
            });
        };
        let Some(constant) = address.constant() else {
            return self.node(Kind::Lookup {
                address: Some(address),
                symbol,
            });
        };
        let Cell::Address(account) = *constant else {
            return Err(self.error(Code::Cast, "lookup first expression must be an Address"));
        };
        self.note_address();
        if let Some((_, Some(value))) = self.static_or_definer(account, &symbol)? {
            self.charge(juice::COMPILE_LOOKUP)?;
            return Ok(Op::new(Kind::Constant(value)));
        }
        self.node(Kind::LookupAt {
            address: account,
            symbol,
        })
    }
}

/// Nil for no op, the op itself for one.
fn sequence(mut ops: Vec<Op>, kind: fn(Ops) -> Kind) -> Op {
    match ops.len() {
        0 => Op::new(Kind::Constant(Cell::Nil)),
        1 => ops.swap_remove(0),
        _ => Op::new(kind(Ops::Ready(ops.into()))),
    }
}

fn nth(list: &List, i: u64) -> Outcome {
    Ok(list.get(i)?.unwrap_or(Cell::Nil))
}

/// Without all layers of syntax.
pub(crate) fn unwrap_all(cell: &Cell) -> Outcome {
    let mut cell = cell.clone();
    while let Cell::Syntax(syntax) = &cell {
        let inner = syntax.value()?;
        cell = inner;
    }
    Ok(cell)
}

/// The core function that a symbol like `#%count` names.
fn intrinsic(symbol: &Symbol) -> Option<u16> {
    let name = symbol.name().strip_prefix(b"#%")?;
    cells::core_code(std::str::from_utf8(name).ok()?)
}
