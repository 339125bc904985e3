//! Syntax objects: a value with metadata (`spec/01 §11.2`).

use triomphe::Arc;

use crate::node::{Cache, Node, write_ref};
use crate::{Cell, CellError, Map, Ref, tag};

/// A value with a metadata map, which is part of this cell whatever its size.
#[derive(Clone)]
pub struct Syntax(Arc<Inner>);

struct Inner {
    cache: Cache,
    value: Ref,
    meta: Map,
}

impl Node for Inner {
    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(tag::SYNTAX);
        write_ref(out, &self.value);
        if self.meta.is_empty() {
            out.push(tag::NIL);
        } else {
            self.meta.node().write(out);
        }
    }

    fn head_len(&self) -> Option<usize> {
        None
    }

    fn ref_at(&self, i: usize) -> Option<&Ref> {
        match i.checked_sub(1) {
            None => Some(&self.value),
            Some(i) => self.meta.node().ref_at(i),
        }
    }
}

impl Syntax {
    /// `value` with `meta`. Callers merge metadata instead of nesting one syntax object in another.
    #[must_use]
    pub fn new(value: Cell, meta: Map) -> Self {
        Self::from_parts(Ref::new(value), meta, Cache::new())
    }

    pub(crate) fn from_parts(value: Ref, meta: Map, cache: Cache) -> Self {
        Self(Arc::new(Inner { cache, value, meta }))
    }

    /// The value inside.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn value(&self) -> Result<Cell, CellError> {
        self.0.value.get()
    }

    /// The metadata, perhaps empty.
    #[must_use]
    pub fn meta(&self) -> &Map {
        &self.0.meta
    }

    pub(crate) fn node(&self) -> &dyn Node {
        &*self.0
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
