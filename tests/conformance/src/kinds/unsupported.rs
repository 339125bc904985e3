//! Kinds that are recognised and counted, for which this build has no runner.

use super::{Kind, Runner, has};
use crate::case::Fields;
use crate::files::VectorFile;

/// A kind known by its fields only.
pub(super) struct Unsupported {
    name: &'static str,
    recognises: fn(&Fields) -> bool,
}

impl Kind for Unsupported {
    fn name(&self) -> &'static str {
        self.name
    }

    fn recognises(&self, fields: &Fields) -> bool {
        (self.recognises)(fields)
    }

    fn open(&self, _file: &VectorFile) -> Result<Runner, String> {
        Ok(Runner::Unsupported)
    }
}

/// Requests and responses of the HTTP interface.
pub(super) static REST: Unsupported = Unsupported {
    name: "rest",
    recognises: |fields| {
        has(fields, &["method", "path"]) || has(fields, &["peer_seed", "genesis_state"])
    },
};
