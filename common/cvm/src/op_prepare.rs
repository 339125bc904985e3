//! From op cells to prepared ops (`spec/02 §6`).
//!
//! Op cells are hostile: nested without bound, as wide as a transaction can pay for, sharing parts so that the
//! tree is exponentially larger than its bytes. Each preparation therefore takes apart a bounded number of ops
//! and leaves the rest [`Kind::Deferred`] until it is executed.

use cells::{Cell, CellError, Coded, Record, RecordKind, Ref, Vector};

use crate::op::{Casting, DefTarget, Kind, Let, Op, Ops, Pattern};

/// Ops that one preparation takes apart at most.
pub(crate) const BUDGET: usize = 512;
/// Levels that one preparation descends at most.
const LEVELS: usize = 48;

/// Takes an op apart; `None` for a cell that is no op. `used` receives the number of ops made.
pub(crate) fn prepare(cell: &Cell, used: &mut usize) -> Option<Op> {
    let mut preparation = Preparation { left: BUDGET };
    let op = preparation.op(cell, 0);
    *used = BUDGET - preparation.left + 1;
    op
}

struct Preparation {
    left: usize,
}

impl Preparation {
    fn op(&mut self, cell: &Cell, level: usize) -> Option<Op> {
        let kind = match cell {
            Cell::Special(code) => Kind::Special(*code),
            Cell::Local(position) => Kind::Local(*position),
            Cell::Coded(coded) => self.coded(coded, level)?,
            Cell::Record(record) => self.record(record, level)?,
            _ => return None,
        };
        Some(Op::with_cell(kind, cell.clone()))
    }

    fn coded(&mut self, coded: &Coded, level: usize) -> Option<Kind> {
        use cells::Op as Tag;
        Some(match coded.op()? {
            Tag::Constant => match coded.value().load() {
                Ok(value) => Kind::Constant(value.into_cell()),
                // The branch may be readable when it is executed; it is asked for again then.
                Err(_) => Kind::Deferred(Ref::new(Cell::from(coded.clone()))),
            },
            Tag::Set(position) => Kind::SetLocal {
                position,
                value: self.child(coded.value(), Casting::Constant, level),
            },
            Tag::Lookup => self.lookup(coded, level),
            Tag::Def => self.def(coded, level),
            Tag::Let => self.binding(coded, false, level),
            Tag::Loop => self.binding(coded, true, level),
            Tag::Try => match self.vector(coded.value(), Casting::Fault, level) {
                Some(ops) => Kind::Try(ops),
                None => Kind::Fault("try without a vector of ops"),
            },
            Tag::Query => match self.vector(coded.value(), Casting::Constant, level) {
                Some(ops) => Kind::Query(ops),
                None => Kind::Fault("query without a vector of ops"),
            },
            Tag::Lambda => match coded.value().load() {
                Ok(value) => match &*value {
                    Cell::Record(r)
                        if matches!(r.kind(), Some(RecordKind::Fn | RecordKind::MultiFn)) =>
                    {
                        Kind::Lambda(value.into_cell())
                    }
                    _ => Kind::Fault("lambda without a function"),
                },
                Err(_) => Kind::Deferred(Ref::new(Cell::from(coded.clone()))),
            },
        })
    }

    fn lookup(&mut self, coded: &Coded, level: usize) -> Kind {
        let address = if coded.code().is_nil() {
            None
        } else {
            Some(self.child(coded.code(), Casting::Fault, level))
        };
        let symbol = match coded.value().get() {
            Ok(Cell::Symbol(symbol)) => symbol,
            Ok(symbol) => return Kind::LookupOdd { address, symbol },
            Err(_) => return Kind::Deferred(Ref::new(Cell::from(coded.clone()))),
        };
        let Some(address) = address else {
            return Kind::Lookup {
                address: None,
                symbol,
            };
        };
        match address.kind() {
            Kind::Fault(why) => Kind::Fault(why),
            Kind::Constant(Cell::Address(address)) => Kind::LookupAt {
                address: *address,
                symbol,
            },
            _ => Kind::Lookup {
                address: Some(address),
                symbol,
            },
        }
    }

    fn def(&mut self, coded: &Coded, level: usize) -> Kind {
        let key = coded.code().get().unwrap_or(Cell::Nil);
        let target = def_target(&key);
        let value = match coded.value().load() {
            Ok(value) if !crate::op::is_op(&value) => None,
            _ => Some(self.child(coded.value(), Casting::Fault, level)),
        };
        Kind::Def { key, target, value }
    }

    fn binding(&mut self, coded: &Coded, looped: bool, level: usize) -> Kind {
        let Ok(Cell::Vector(forms)) = coded.code().get() else {
            return Kind::LetFault("let without a vector of bindings");
        };
        let Some(ops) = self.vector(coded.value(), Casting::Fault, level) else {
            return Kind::LetFault("let without a vector of ops");
        };
        let patterns = if forms.count() <= self.left as u64 {
            forms.iter().map(|f| Ok(Pattern::of(f?))).collect()
        } else {
            Ok(Vec::new())
        };
        // Forms that can't be read now are read when they are bound.
        let patterns: Vec<_> = patterns.unwrap_or_else(|_: CellError| Vec::new());
        self.left -= patterns.len();
        Kind::Let(Box::new(Let {
            looped,
            forms,
            patterns: patterns.into(),
            ops,
        }))
    }

    fn record(&mut self, record: &Record, level: usize) -> Option<Kind> {
        let kind: fn(Ops) -> Kind = match record.kind()? {
            RecordKind::Do => Kind::Do,
            RecordKind::Cond => Kind::Cond,
            RecordKind::Apply => Kind::Invoke,
            _ => return None,
        };
        Some(kind(self.ops(record.fields(), Casting::Constant, level)))
    }

    fn vector(&mut self, r: &Ref, casting: Casting, level: usize) -> Option<Ops> {
        match r.get() {
            Ok(Cell::Vector(ops)) => Some(self.ops(&ops, casting, level)),
            _ => None,
        }
    }

    fn ops(&mut self, ops: &Vector, casting: Casting, level: usize) -> Ops {
        if ops.count() > self.left as u64 {
            return Ops::Many(ops.clone(), casting);
        }
        let mut ready = Vec::with_capacity(ops.count() as usize);
        for r in ops.iter_refs() {
            match r {
                Ok(r) => ready.push(self.child(&r, casting, level)),
                // A node of the vector can't be read now; perhaps it can when its ops are executed.
                Err(_) => return Ops::Many(ops.clone(), casting),
            }
        }
        Ops::Ready(ready.into())
    }

    fn child(&mut self, r: &Ref, casting: Casting, level: usize) -> Op {
        let Ok(cell) = r.load() else {
            return Op::with_cell(Kind::Deferred(r.clone()), Cell::Nil);
        };
        if !crate::op::is_op(&cell) {
            return not_an_op(&cell, casting);
        }
        if self.left == 0 || level >= LEVELS {
            return Op::with_cell(Kind::Deferred(r.clone()), cell.clone());
        }
        self.left -= 1;
        let deferred = || Op::with_cell(Kind::Deferred(r.clone()), cell.clone());
        self.op(&cell, level + 1).unwrap_or_else(deferred)
    }
}

/// What a child that is no op does.
pub(crate) fn not_an_op(cell: &Cell, casting: Casting) -> Op {
    match casting {
        Casting::Constant => Op::new(Kind::Constant(cell.clone())),
        Casting::Fault => Op::with_cell(Kind::Fault("an op was expected"), cell.clone()),
    }
}

/// Symbol and metadata of the key of a `def`; `None` for a key that faults.
pub(crate) fn def_target(key: &Cell) -> Option<DefTarget> {
    let (key, meta) = match key {
        Cell::Syntax(syntax) => (syntax.value().ok()?, Some(syntax.meta().clone())),
        plain => (plain.clone(), None),
    };
    matches!(key, Cell::Symbol(_) | Cell::Nil).then_some(DefTarget { key, meta })
}
