//! Execution of ops (`spec/02 §7`).

use cells::{Cell, List, Record, RecordKind, Ref, Symbol, Vector};

use crate::bind;
use crate::call;
use crate::context::{Args, Before, Context};
use crate::exit::{Code, Exit, Outcome, Trace};
use crate::juice;
use crate::op::{DefTarget, Kind, Let, Op, Ops, Pattern};
use crate::op_prepare;
use crate::special;
use crate::value;

impl Context<'_> {
    /// The prepared form of an op cell, from the cache when it was executed before; `None` for other cells.
    pub(crate) fn prepared(&mut self, cell: &Cell) -> Option<Op> {
        if !crate::op::is_op(cell) {
            return None;
        }
        let hash = cell.hash();
        if let Some(op) = self.machine.cache.op(&hash, cell) {
            return Some(op);
        }
        let mut used = 0;
        let op = op_prepare::prepare(cell, &mut used)?;
        if !matches!(op.kind(), Kind::Deferred(_)) {
            self.machine.cache.insert_op(hash, op.clone(), used);
        }
        Some(op)
    }

    /// Executes an op one level deeper.
    pub(crate) fn exec(&mut self, op: &Op) -> Outcome {
        if self.depth >= self.rules.max_depth {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let outcome = match op.kind() {
            Kind::Constant(value) => self.charge(juice::CONSTANT).map(|()| value::copy(value)),
            Kind::Local(position) => self.local(*position),
            Kind::Special(code) => special::execute(self, *code),
            // The result register follows from the call.
            Kind::Invoke(ops) => {
                let outcome = self.invoke(op, ops);
                self.depth -= 1;
                return outcome;
            }
            Kind::LookupAt { address, symbol } => self.lookup_at(*address, symbol),
            Kind::Lookup { address, symbol } => self.lookup_op(address.as_ref(), symbol),
            Kind::LookupOdd { address, symbol } => self.lookup_odd(address.as_ref(), symbol),
            Kind::Cond(ops) => self.cond(ops),
            Kind::Do(ops) => self.charge(juice::DO).and_then(|()| self.sequence(ops, 0)),
            Kind::Let(parts) => self.bind_and_run(parts),
            Kind::Def { target, value, .. } => self.def(target.as_ref(), value.as_ref()),
            Kind::SetLocal { position, value } => self.set_local(*position, value),
            Kind::Lambda(function) => self.lambda(function),
            Kind::Try(ops) => self.try_ops(ops),
            Kind::Query(ops) => self.query(ops),
            Kind::Deferred(r) => {
                // The op itself, not a level below it.
                self.depth -= 1;
                return self.deferred(r);
            }
            Kind::Fault(why) => Err(Exit::host_fault(*why)),
            Kind::LetFault(why) => self
                .charge(juice::LET)
                .and_then(|()| Err(Exit::host_fault(*why))),
        };
        self.depth -= 1;
        if let Ok(value) = &outcome {
            self.result = value::copy(value);
        }
        outcome
    }

    fn deferred(&mut self, r: &Ref) -> Outcome {
        let cell = r.get()?;
        match self.prepared(&cell) {
            Some(op) if matches!(op.kind(), Kind::Deferred(_)) => {
                // What could not be read when it was prepared still can't.
                Err(unreadable(&cell))
            }
            Some(op) => self.exec(&op),
            None => Err(Exit::host_fault("an op was expected")),
        }
    }

    /// Executes child `i`.
    pub(crate) fn exec_nth(&mut self, ops: &Ops, i: u64) -> Outcome {
        match ops {
            Ops::Ready(ops) => match ops.get(i as usize) {
                Some(op) => self.exec(op),
                None => Err(Exit::host_fault("fewer ops than bindings")),
            },
            Ops::Many(ops, casting) => {
                let Some(cell) = ops.get(i)? else {
                    return Err(Exit::host_fault("fewer ops than bindings"));
                };
                let op = match op_prepare::prepare(&cell, &mut 0) {
                    Some(op) => op,
                    None => op_prepare::not_an_op(&cell, *casting),
                };
                self.exec(&op)
            }
        }
    }

    /// Executes the children from `start` on; the last gives the value, none gives nil.
    fn sequence(&mut self, ops: &Ops, start: u64) -> Outcome {
        let mut value = Cell::Nil;
        for i in start..ops.len() {
            value = self.exec_nth(ops, i)?;
        }
        Ok(value)
    }

    fn local(&mut self, position: u64) -> Outcome {
        let outcome = match self.locals.get(position)? {
            Some(value) => Ok(value),
            None => Err(self.error(
                Code::Bounds,
                format!("Bad position for Local: {position}").as_str(),
            )),
        };
        self.after(juice::LOCAL, outcome)
    }

    fn set_local(&mut self, position: i64, value: &Op) -> Outcome {
        let known = u64::try_from(position)
            .ok()
            .filter(|&p| p < self.locals.len());
        let Some(position) = known else {
            let text = format!("Bad position for set!: {position}");
            return Err(self.error(Code::Bounds, text.as_str()));
        };
        let before = self.locals.scope();
        let value = self.exec(value)?;
        self.locals.restore(before);
        self.locals.set(position, value.clone())?;
        self.done(juice::SET_LOCAL, value)
    }

    fn lookup_op(&mut self, address: Option<&Op>, symbol: &Symbol) -> Outcome {
        let address = self.lookup_address(address)?;
        let outcome = self.symbol_value(address, symbol);
        self.after(juice::LOOKUP, outcome)
    }

    /// A look-up of something that is no symbol. Of these only nil can have been defined; that it is not can't be
    /// told in an error.
    fn lookup_odd(&mut self, address: Option<&Op>, symbol: &Cell) -> Outcome {
        let address = self.lookup_address(address)?;
        if !symbol.is_nil() {
            return Err(Exit::host_fault("lookup of something that is no symbol"));
        }
        let outcome = match self.lookup_nil(address)? {
            Some(value) => Ok(value),
            None if self.state.account(address)?.is_none() => Err(self.nobody(address)),
            None => return Err(Exit::host_fault("lookup without a symbol")),
        };
        self.after(juice::LOOKUP, outcome)
    }

    fn lookup_address(&mut self, address: Option<&Op>) -> Outcome<u64> {
        Ok(match address {
            None => self.address,
            Some(op) => match self.exec(op)? {
                Cell::Address(address) => address,
                other => {
                    let text = format!(
                        "Lookup requires Address but got: {}",
                        crate::value::type_name(&other)
                    );
                    return Err(self.error(Code::Cast, text.as_str()));
                }
            },
        })
    }

    /// A look-up whose address is a constant op.
    fn lookup_at(&mut self, address: u64, symbol: &Symbol) -> Outcome {
        if self.depth >= self.rules.max_depth {
            return Err(self.too_deep());
        }
        self.charge(juice::CONSTANT)?;
        let outcome = self.symbol_value(address, symbol);
        self.after(juice::LOOKUP, outcome)
    }

    fn symbol_value(&mut self, address: u64, symbol: &Symbol) -> Outcome {
        if let Some(value) = self.lookup(address, symbol)? {
            return Ok(value);
        }
        if self.state.account(address)?.is_none() {
            return Err(self.nobody(address));
        }
        Err(self.error(Code::Undeclared, cells::Str::new(symbol.name())))
    }

    fn nobody(&self, address: u64) -> Exit {
        let text = format!("No account found for: #{address}");
        self.error(Code::Nobody, text.as_str())
    }

    fn def(&mut self, target: Option<&DefTarget>, value: Option<&Op>) -> Outcome {
        let value = match value {
            Some(op) => Some(self.exec(op)?),
            None => None,
        };
        let Some(target) = target else {
            return Err(Exit::host_fault("def of something that is no symbol"));
        };
        let value = match value {
            Some(value) => value,
            None => match self.account()?.environment() {
                Some(env) => env.get(&target.key)?.unwrap_or(Cell::Nil),
                None => Cell::Nil,
            },
        };
        self.define(&target.key, value.clone(), target.meta.as_ref())?;
        self.done(juice::DEF, value)
    }

    fn cond(&mut self, ops: &Ops) -> Outcome {
        self.charge(juice::COND)?;
        let n = ops.len();
        let mut i = 0;
        while i + 1 < n {
            if self.exec_nth(ops, i)?.is_truthy() {
                return self.exec_nth(ops, i + 1);
            }
            i += 2;
        }
        if i < n {
            self.exec_nth(ops, i)
        } else {
            Ok(Cell::Nil)
        }
    }

    fn query(&mut self, ops: &Ops) -> Outcome {
        self.charge(juice::QUERY)?;
        let mark = self.state.mark();
        let scope = self.locals.scope();
        let outcome = self.sequence(ops, 0);
        if let Err(abort @ Exit::Abort(_)) = outcome {
            return Err(abort);
        }
        let during = self.origin_balance()?;
        self.state.rollback(mark);
        self.locals.restore(scope);
        // The old state is installed anew; that is lower when coins came in meanwhile.
        self.lower_limit(during)?;
        outcome
    }

    fn try_ops(&mut self, ops: &Ops) -> Outcome {
        let n = ops.len();
        if n == 0 {
            return self.done(juice::TRY, Cell::Nil);
        }
        for i in 0..n {
            self.charge(juice::TRY)?;
            let fork = self.fork;
            let before = self.before();
            let scope = self.locals.scope();
            self.fork = self.new_fork();
            match self.exec_nth(ops, i) {
                Ok(value) => {
                    self.remember(fork, before);
                    return Ok(value);
                }
                Err(Exit::Error(error)) if i + 1 < n => {
                    let used = self.juice();
                    self.go_back(before);
                    self.set_juice(used);
                    self.locals.restore(scope);
                    self.fork = fork;
                    self.result = error.code;
                }
                Err(exit) => return Err(exit),
            }
        }
        Ok(Cell::Nil)
    }

    /// Notes for an `unquote` under way what a successful `try` in its own context began with.
    fn remember(&mut self, fork: u32, before: Before) {
        if let Some(watch) = &mut self.watch
            && watch.fork == fork
            && watch.before.is_none()
        {
            watch.before = Some(before);
        }
    }

    fn bind_and_run(&mut self, parts: &Let) -> Outcome {
        self.charge(juice::LET)?;
        let scope = self.locals.scope();
        let outcome = self.bind_values(parts).and_then(|()| {
            let bindings = parts.forms.count();
            let mut outcome = self.sequence(&parts.ops, bindings);
            while parts.looped && matches!(outcome, Err(Exit::Recur)) {
                let args = std::mem::take(&mut self.pending);
                outcome = if args.len() as u64 == bindings {
                    self.locals.rewind(&scope);
                    bind::arguments(self, &parts.forms, &args)
                        .and_then(|()| self.sequence(&parts.ops, bindings))
                } else {
                    let text = format!(
                        "Expected {bindings} value(s) for recur but got: {}",
                        args.len()
                    );
                    Err(self.error(Code::Arity, text.as_str()))
                };
            }
            outcome
        });
        self.locals.restore(scope);
        outcome
    }

    fn bind_values(&mut self, parts: &Let) -> Outcome<()> {
        for i in 0..parts.forms.count() {
            // A form that can't be reached faults before its value is looked for.
            let pattern = parts.pattern(i)?;
            let value = self.exec_nth(&parts.ops, i)?;
            match pattern {
                Pattern::Name => {
                    self.result = Cell::Nil;
                    self.locals.push(value)?;
                }
                Pattern::Ignore => self.result = Cell::Nil,
                Pattern::Other(form) => bind::bind(self, &form, value)?,
            }
        }
        Ok(())
    }

    fn lambda(&mut self, function: &Cell) -> Outcome {
        self.charge(juice::LAMBDA)?;
        let env = self.locals.capture()?;
        enclose(function, &env)
    }

    fn invoke(&mut self, op: &Op, ops: &Ops) -> Outcome {
        let n = ops.len();
        if n == 0 {
            let empty = self.done(juice::BUILD, List::empty())?;
            self.result = empty.clone();
            return Ok(empty);
        }
        if let Ops::Ready(ops) = ops
            && let Kind::Constant(Cell::Core(code)) = ops[0].kind()
        {
            return self.invoke_native(op, *code, &ops[1..]);
        }
        let fork = self.fork;
        let function = self.exec_nth(ops, 0)?;
        if !call::is_callable(&function) {
            if self.fork != fork {
                return Err(Exit::host_fault("no function after a successful try"));
            }
            let text = format!(
                "Can't convert value of type {} to type Function",
                crate::value::type_name(&function)
            );
            let error = Err(self.error(Code::Cast, text.as_str()));
            // The reference prints the op for the trace, and faults where it can't.
            crate::natives::printable(op.cell())?;
            return Self::traced(error, || Trace::FunctionOf(op.clone()));
        }
        let mut args = Args::with_capacity((n - 1).min(1 << 16) as usize);
        for i in 1..n {
            args.push(self.exec_nth(ops, i)?);
        }
        let outcome = self.call_with(&function, &mut args);
        Self::traced(outcome, || Trace::Expression(op.clone()))
    }

    /// A call whose function position is a constant core function: the most frequent of all.
    fn invoke_native(&mut self, op: &Op, code: u16, ops: &[Op]) -> Outcome {
        // The function position is an op of its own, one level deeper.
        if self.depth >= self.rules.max_depth {
            return Err(self.too_deep());
        }
        self.charge(juice::CONSTANT)?;
        self.result = Cell::Core(code);
        let mut args = Args::with_capacity(ops.len());
        for op in ops {
            args.push(self.exec(op)?);
        }
        let outcome = self.call_native(code, &mut args);
        Self::traced(outcome, || Trace::Expression(op.clone()))
    }

    /// Runs a form or op in the account that executes, with its front end (`spec/02 §2`).
    pub(crate) fn run_form(&mut self, form: &Cell) -> Outcome {
        let op = if crate::op::is_op(form) {
            match self.prepared_once(form) {
                Some(op) => op,
                None => return Err(Exit::host_fault("an op was expected")),
            }
        } else {
            let op = self.compile_command(form)?;
            self.result = Cell::Nil;
            op
        };
        self.exec(&op)
    }

    /// Makes an op of a form with the account's `*lang*`, or else the compiler.
    pub(crate) fn front_end(&mut self, form: &Cell) -> Outcome<Op> {
        let name = self.machine.lang.clone();
        self.note_symbol(self.address, &name)?;
        let lang = self.lookup(self.address, &name)?;
        let made = match lang {
            Some(lang) if call::is_function(&lang) => {
                self.note_other();
                self.call(&lang, Args::from_iter([form.clone()]))?
            }
            Some(_) => return self.compile_top(form),
            // Where even core can't be reached, no form can be run (`spec/04 §12.1`).
            None => return Err(self.error(Code::Undeclared, "*lang*")),
        };
        self.op_of(&made)
    }

    /// The op that a compiler returned.
    pub(crate) fn op_of(&mut self, made: &Cell) -> Outcome<Op> {
        match op_prepare::prepare(made, &mut 0) {
            Some(op) => Ok(op),
            None => Err(self.error(Code::Compile, "*lang* did not produce CVM op")),
        }
    }

    /// Adds or replaces a definition of the account that executes.
    pub(crate) fn define(
        &mut self,
        key: &Cell,
        value: Cell,
        meta: Option<&cells::Map>,
    ) -> Outcome<()> {
        // The same value once more changes nothing, and what doesn't change need not be undone, measured or hashed.
        if meta.is_none()
            && let Some(env) = self.account()?.environment()
            && let Some(old) = env.get(key)?
            && !matches!(old, Cell::BigInt(_))
            && old.is_identical(&value)
        {
            return Ok(());
        }
        let account = self.account_mut()?;
        let slot = account.environment_mut();
        let env = slot.take().unwrap_or_else(cells::Map::empty);
        *slot = Some(env.assoc(key.clone(), value)?);
        if let Some(meta) = meta {
            let slot = account.metadata_mut();
            let all = slot.take().unwrap_or_else(cells::Map::empty);
            *slot = Some(all.assoc(key.clone(), Cell::from(meta.clone()))?);
        }
        Ok(())
    }
}

/// Why a cell that could not be read when it was prepared can't be read now.
fn unreadable(cell: &Cell) -> Exit {
    for r in cell.refs() {
        if let Err(error) = r.load() {
            return Exit::from(error);
        }
    }
    Exit::host_fault("an op that can't be read")
}

/// A function over `env` from its template. In a function of several arities every member gets it, at any level;
/// a member that is no function becomes nil.
fn enclose(template: &Cell, env: &Vector) -> Outcome {
    // Functions of several arities under way, with their members so far: hostile ones nest deeply.
    let mut open: Vec<(Record, Vec<Cell>)> = Vec::new();
    let mut next = template.clone();
    loop {
        let mut made = match &next {
            Cell::Record(record) => match record.kind() {
                Some(RecordKind::Fn) => with_environment(record, env)?,
                Some(RecordKind::MultiFn) => {
                    open.push((record.clone(), Vec::new()));
                    next = record.field(0)?.unwrap_or(Cell::Nil);
                    continue;
                }
                _ => Cell::Nil,
            },
            _ => Cell::Nil,
        };
        next = loop {
            let Some((record, mut members)) = open.pop() else {
                return Ok(made);
            };
            members.push(made);
            if let Some(member) = record.field(members.len() as u64)? {
                open.push((record, members));
                break member;
            }
            let fields: Vector = members.into_iter().collect();
            made = Cell::from(Record::new(record.tag(), fields)?);
        };
    }
}

/// A closure over `env` from its template. What is no vector counts as an empty environment.
fn with_environment(record: &Record, env: &Vector) -> Outcome {
    let unchanged = env.is_empty()
        && match record.field(2)? {
            Some(Cell::Vector(old)) => old.is_empty(),
            _ => true,
        };
    if unchanged {
        return Ok(Cell::from(record.clone()));
    }
    let fields = record.fields().clone().assoc(2, Cell::from(env.clone()))?;
    let Some(fields) = fields else {
        return Err(Exit::host_fault("function without an environment field"));
    };
    Ok(Cell::from(Record::new(record.tag(), fields)?))
}
