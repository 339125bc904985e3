//! A vector that is being decoded.

use triomphe::UniqueArc;

use super::{Inner, Vector};
use crate::Ref;
use crate::blob::Children;
use crate::node::Cache;

/// A vector whose refs are being decoded into their places, as [`super::ref_shape`] demands them.
pub(crate) struct Growing(UniqueArc<Inner>);

impl Growing {
    #[inline]
    pub(crate) fn new(count: u64) -> Self {
        Self(UniqueArc::new(Inner::new(count, Children::new(), None)))
    }

    #[inline]
    pub(crate) fn refs(&mut self) -> &mut Children {
        &mut self.0.refs
    }

    #[inline]
    pub(crate) fn prefix(&mut self) -> &mut Option<Ref> {
        &mut self.0.prefix
    }

    #[inline]
    pub(crate) fn cache(&mut self) -> &mut Cache {
        &mut self.0.cache
    }

    #[inline]
    pub(crate) fn finish(self) -> Vector {
        Vector(self.0.shareable())
    }
}
