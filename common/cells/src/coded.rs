//! Coded values: two refs under a tag; most ops of the CVM are (`spec/01 §11.3, §12.4`).

use triomphe::{Arc, UniqueArc};

use crate::node::{Cache, Node, write_ref};
use crate::{Cell, CellError, Ref, tag};

/// A coded value, `c0`..=`cf`.
#[derive(Clone)]
pub struct Coded(Arc<Inner>);

struct Inner {
    cache: Cache,
    tag: u8,
    op: Option<Op>,
    code: Ref,
    value: Ref,
}

/// The ops among the coded values. What their parts must be is checked when they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Its value.
    Constant,
    /// Ops in turn until one succeeds.
    Try,
    /// Ops whose effects are undone.
    Query,
    /// A function that captures local bindings.
    Lambda,
    /// Sets the local at this position.
    Set(i64),
    /// Reads a symbol of an account.
    Lookup,
    /// Binds locals.
    Let,
    /// Binds locals, again after each `recur`.
    Loop,
    /// Defines a symbol.
    Def,
}

impl Node for Inner {
    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.tag);
        write_ref(out, &self.code);
        write_ref(out, &self.value);
    }

    fn head_len(&self) -> Option<usize> {
        Some(1)
    }

    fn ref_at(&self, i: usize) -> Option<&Ref> {
        match i {
            0 => Some(&self.code),
            1 => Some(&self.value),
            _ => None,
        }
    }
}

impl Coded {
    /// A coded value with a tag of `c0`..=`cf`; other bits of `tag` are dropped.
    #[must_use]
    pub fn new(tag: u8, code: Cell, value: Cell) -> Self {
        let (tag, code) = (tag::CODED | tag & 0x0f, Ref::new(code));
        Self(Arc::new(Inner {
            cache: Cache::new(),
            tag,
            op: op_of(tag, &code),
            code,
            value: Ref::new(value),
        }))
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> u8 {
        self.0.tag
    }

    /// First part: what the value is, or an op's first operand.
    #[must_use]
    pub fn code(&self) -> &Ref {
        &self.0.code
    }

    /// Second part.
    #[must_use]
    pub fn value(&self) -> &Ref {
        &self.0.value
    }

    /// Which op this is; `None` for a generic coded value. Decided by the tag and, for `c0`, the code inline.
    #[must_use]
    pub fn op(&self) -> Option<Op> {
        self.0.op
    }

    pub(crate) fn node(&self) -> &dyn Node {
        &*self.0
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A coded value whose parts are being decoded into their places.
pub(crate) struct Growing(UniqueArc<Inner>);

impl Growing {
    #[inline]
    pub(crate) fn new(tag: u8) -> Self {
        Self(UniqueArc::new(Inner {
            cache: Cache::new(),
            tag,
            op: None,
            code: Ref::NIL,
            value: Ref::NIL,
        }))
    }

    #[inline]
    pub(crate) fn code(&mut self) -> &mut Ref {
        &mut self.0.code
    }

    #[inline]
    pub(crate) fn value(&mut self) -> &mut Ref {
        &mut self.0.value
    }

    #[inline]
    pub(crate) fn cache(&mut self) -> &mut Cache {
        &mut self.0.cache
    }

    /// Finds out what op this is. A generic value has its parts read, as the reference does when it decodes one.
    #[inline]
    pub(crate) fn recognise(&mut self) -> Result<(), CellError> {
        let inner = &mut *self.0;
        inner.op = op_of(inner.tag, &inner.code);
        if inner.op.is_none() {
            inner.code.load()?;
            inner.value.load()?;
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn finish(self) -> Coded {
        Coded(self.0.shareable())
    }
}

fn op_of(tag: u8, code: &Ref) -> Option<Op> {
    use crate::refs::Slot;
    match tag {
        tag::LOOKUP => Some(Op::Lookup),
        tag::LET => Some(Op::Let),
        tag::LOOP => Some(Op::Loop),
        tag::DEF => Some(Op::Def),
        tag::CODED => match &code.0 {
            Slot::Direct(Cell::Bool(false)) => Some(Op::Constant),
            Slot::Direct(Cell::Flag(n)) => match tag::FLAG + n {
                tag::CODE_TRY => Some(Op::Try),
                tag::CODE_QUERY => Some(Op::Query),
                tag::CODE_LAMBDA => Some(Op::Lambda),
                _ => None,
            },
            Slot::Direct(Cell::Long(position)) => Some(Op::Set(*position)),
            _ => None,
        },
        _ => None,
    }
}
