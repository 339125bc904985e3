//! What the process says of itself. The writing thread sets it, the supervisor's questions are answered from it at once, also while
//! the disk is slow.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ipc::supervision::{RoleStatus, WorkerStatus};

/// Gauges and counters since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) sizes: Option<etch::Sizes>,
    /// Number of the last commit of the file.
    pub(crate) sequence: u64,
    pub(crate) free: u64,
    pub(crate) refuses: Option<String>,
    pub(crate) batches: u64,
    pub(crate) cells: u64,
    pub(crate) new_cells: u64,
    pub(crate) barriers: u64,
    pub(crate) barrier_micros: u64,
    pub(crate) checkpoints: u64,
    pub(crate) checkpoint_micros: u64,
    pub(crate) refused: u64,
    pub(crate) broken_channels: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Gauges(Mutex<Figures>);

impl Gauges {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Figures> {
        // Numbers are right however far an update came.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> WorkerStatus {
        let of = self.lock().clone();
        let sizes = |get: fn(&etch::Sizes) -> u64| of.sizes.as_ref().map_or(0, get);
        let counters = [
            ("batches", of.batches),
            ("cells", of.cells),
            ("cells_new", of.new_cells),
            ("barriers", of.barriers),
            ("barrier_micros", of.barrier_micros),
            ("checkpoints", of.checkpoints),
            ("checkpoint_micros", of.checkpoint_micros),
            ("batches_refused", of.refused),
            ("channels_broken", of.broken_channels),
            ("store_reserved_bytes", sizes(|s| s.physical)),
            ("log_reserved_bytes", sizes(|s| s.log_physical)),
            ("slots_deferred", sizes(|s| s.deferred)),
        ];
        WorkerStatus {
            of_role: RoleStatus::Stored {
                used: sizes(|s| s.length),
                log: sizes(|s| s.log_pending),
                free: of.free,
                sequence: of.sequence,
                refuses: of.refuses,
            },
            counters: counters
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }
}
