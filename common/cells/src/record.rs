//! Dense records: fields by position under a tag (`spec/01 §11.4, §12`).

use triomphe::{Arc, UniqueArc};

use crate::node::{Cache, Node};
use crate::{Cell, CellError, Ref, Vector, tag};

/// A dense record, `d0`..=`df`. One whose fields do not suit its tag is *generic*: it keeps its bytes but is no
/// value of the CVM.
#[derive(Clone)]
pub struct Record(Arc<Inner>);

struct Inner {
    cache: Cache,
    tag: u8,
    kind: Option<RecordKind>,
    body: Vector,
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// `d0`: transaction that runs a command.
    Invoke,
    /// `d1`: transaction that moves coins.
    Transfer,
    /// `d2`: transaction that calls an actor.
    Call,
    /// `d3`: transaction made of transactions.
    Multi,
    /// `d4`: what a peer believes of the orders of all.
    Belief,
    /// `d5`: the global state.
    State,
    /// `d6`: transactions with a time.
    Block,
    /// `d7`: an order of blocks with consensus points.
    Order,
    /// `d8`: an account.
    Account,
    /// `d9`: a peer's entry in the state.
    Peer,
    /// `da`: op that runs ops in turn.
    Do,
    /// `db`: op that calls a function.
    Apply,
    /// `dc`: op that chooses.
    Cond,
    /// `dd`: outcome of a transaction or query.
    Result,
    /// `de`: outcome of a block.
    BlockResult,
    /// `df` with a flag first: a function.
    Fn,
    /// `df` otherwise: functions of several arities.
    MultiFn,
}

impl RecordKind {
    /// Names of the fields in order; empty for ops and functions.
    #[must_use]
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Invoke => &["origin", "sequence", "command"],
            Self::Transfer => &["origin", "sequence", "target", "amount"],
            Self::Call => &["origin", "sequence", "target", "offer", "call", "args"],
            Self::Multi => &["origin", "sequence", "mode", "txs"],
            Self::Belief => &["orders"],
            Self::State => &["accounts", "peers", "globals", "schedule"],
            Self::Block => &["timestamp", "transactions"],
            Self::Order => &["timestamp", "consensus", "blocks"],
            Self::Account => &[
                "sequence",
                "key",
                "balance",
                "allowance",
                "holdings",
                "controller",
                "environment",
                "metadata",
                "parent",
            ],
            Self::Peer => &[
                "controller",
                "stake",
                "stakes",
                "delegated-stake",
                "metadata",
                "timestamp",
                "balance",
            ],
            Self::Result => &["id", "result", "error", "log", "info"],
            Self::BlockResult => &["state", "results"],
            Self::Do | Self::Apply | Self::Cond | Self::Fn | Self::MultiFn => &[],
        }
    }

    /// The tag of this kind.
    #[must_use]
    pub const fn tag(self) -> u8 {
        match self {
            Self::Invoke => 0xd0,
            Self::Transfer => 0xd1,
            Self::Call => 0xd2,
            Self::Multi => 0xd3,
            Self::Belief => 0xd4,
            Self::State => 0xd5,
            Self::Block => 0xd6,
            Self::Order => 0xd7,
            Self::Account => 0xd8,
            Self::Peer => 0xd9,
            Self::Do => 0xda,
            Self::Apply => 0xdb,
            Self::Cond => 0xdc,
            Self::Result => 0xdd,
            Self::BlockResult => 0xde,
            Self::Fn | Self::MultiFn => 0xdf,
        }
    }

    /// True for transactions.
    #[must_use]
    pub const fn is_transaction(self) -> bool {
        matches!(
            self,
            Self::Invoke | Self::Transfer | Self::Call | Self::Multi
        )
    }

    /// True for ops.
    #[must_use]
    pub const fn is_op(self) -> bool {
        matches!(self, Self::Do | Self::Apply | Self::Cond)
    }

    /// Decides what a record with these fields is. Fields whose type matters are read.
    fn of(tag: u8, body: &Vector) -> Result<Option<Self>, CellError> {
        let n = body.count();
        let is = |i: u64, test: Test| -> Result<bool, CellError> {
            match body.get_ref(i)? {
                Some(r) => Ok(test(&*r.load()?)),
                None => Ok(false),
            }
        };
        let address: Test = |c| matches!(c, Cell::Address(_));
        let long: Test = |c| matches!(c, Cell::Long(_));
        let mode: Test = |c| matches!(c, Cell::Long(0..=3));
        let all = |tests: &[(u64, Test)]| -> Result<bool, CellError> {
            for (i, test) in tests {
                if !is(*i, *test)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let (kind, fits) = match tag {
            0xd0 => (Self::Invoke, n == 3 && all(&[(0, address), (1, long)])?),
            0xd1 => (
                Self::Transfer,
                n == 4 && all(&[(0, address), (1, long), (3, long)])?,
            ),
            0xd2 => (
                Self::Call,
                n == 6 && all(&[(0, address), (1, long), (3, long)])?,
            ),
            0xd3 => (
                Self::Multi,
                n == 4 && all(&[(0, address), (1, long), (2, mode)])?,
            ),
            0xd4 => (Self::Belief, n == 1),
            0xd5 => (Self::State, n == 4),
            0xd6 => (Self::Block, n == 2 && is(0, long)?),
            0xd7 => (
                Self::Order,
                n == 3 && is(0, long)? && is_vector_of_longs(body)?,
            ),
            0xd8 => (
                Self::Account,
                n == 9 && all(&[(0, long), (2, long), (3, long)])?,
            ),
            0xd9 => (
                Self::Peer,
                n == 7 && all(&[(1, long), (3, long), (5, long), (6, long)])?,
            ),
            0xda => (Self::Do, true),
            0xdb => (Self::Apply, true),
            0xdc => (Self::Cond, true),
            0xdd => (Self::Result, n == 5),
            0xde => (Self::BlockResult, n == 2),
            0xdf => {
                let flagged = body
                    .node()
                    .ref_at(0)
                    .is_some_and(|r| matches!(r.0, crate::refs::Slot::Direct(Cell::Bool(false))));
                if flagged {
                    (Self::Fn, n == 4)
                } else {
                    (Self::MultiFn, n > 0)
                }
            }
            _ => return Ok(None),
        };
        Ok(fits.then_some(kind))
    }
}

/// A condition on one field.
type Test = fn(&Cell) -> bool;

/// Second field of an order: consensus points.
fn is_vector_of_longs(body: &Vector) -> Result<bool, CellError> {
    let Some(points) = body.get_ref(1)? else {
        return Ok(false);
    };
    let Cell::Vector(points) = &*points.load()? else {
        return Ok(false);
    };
    for point in points.iter_refs() {
        if !matches!(&*point?.load()?, Cell::Long(_)) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Node for Inner {
    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.tag);
        self.body.write_body(out);
    }

    fn head_len(&self) -> Option<usize> {
        self.body.node().head_len()
    }

    fn ref_at(&self, i: usize) -> Option<&Ref> {
        self.body.node().ref_at(i)
    }
}

impl Record {
    /// A record with a tag of `d0`..=`df` (other bits of `tag` are dropped) and any fields.
    ///
    /// # Errors
    /// When a field whose type decides the kind can't be read.
    pub fn new(tag: u8, fields: Vector) -> Result<Self, CellError> {
        let tag = tag::RECORD | tag & 0x0f;
        let kind = RecordKind::of(tag, &fields)?;
        Ok(Self::from_parts(tag, kind, fields))
    }

    /// A record whose fields are known to suit its kind; with fields that do not, it would claim a kind that the
    /// decoder denies it.
    #[must_use]
    pub fn of_kind(kind: RecordKind, fields: impl IntoIterator<Item = Cell>) -> Self {
        let fields: Vector = fields.into_iter().collect();
        debug_assert!(
            matches!(RecordKind::of(kind.tag(), &fields), Ok(k) if k == Some(kind)),
            "{kind:?} {fields:?}"
        );
        Self::from_parts(kind.tag(), Some(kind), fields)
    }

    fn from_parts(tag: u8, kind: Option<RecordKind>, body: Vector) -> Self {
        Self(Arc::new(Inner {
            cache: Cache::new(),
            tag,
            kind,
            body,
        }))
    }

    /// A record that was decoded. With `generic`, no kind is looked for. `fill` may fill the cache.
    #[inline]
    pub(crate) fn decoded(
        tag: u8,
        body: Vector,
        generic: bool,
        fill: impl FnOnce(&mut Cache),
    ) -> Result<Self, CellError> {
        let kind = if generic {
            None
        } else {
            RecordKind::of(tag, &body)?
        };
        let mut inner = UniqueArc::new(Inner {
            cache: Cache::new(),
            tag,
            kind,
            body,
        });
        fill(&mut inner.cache);
        Ok(Self(inner.shareable()))
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> u8 {
        self.0.tag
    }

    /// What this record is; `None` when generic.
    #[must_use]
    pub fn kind(&self) -> Option<RecordKind> {
        self.0.kind
    }

    /// The fields in order.
    #[must_use]
    pub fn fields(&self) -> &Vector {
        &self.0.body
    }

    /// Field `i`; `None` past the end.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn field(&self, i: u64) -> Result<Option<Cell>, CellError> {
        self.0.body.get(i)
    }

    /// With field `i` replaced; `None` past the end. The kind is decided anew.
    ///
    /// # Errors
    /// When a field whose type decides the kind can't be read.
    pub fn with_field(&self, i: u64, value: Cell) -> Result<Option<Self>, CellError> {
        self.0
            .body
            .clone()
            .assoc(i, value)?
            .map(|fields| Self::new(self.0.tag, fields))
            .transpose()
    }

    pub(crate) fn node(&self) -> &dyn Node {
        &*self.0
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        Cell::from(self.clone()) == Cell::from(other.clone())
    }
}

impl Eq for Record {}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&Cell::from(self.clone()), f)
    }
}
