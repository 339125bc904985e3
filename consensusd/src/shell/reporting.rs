//! How far a peer is that joins or catches up: a line in the log now and then, and what the operator is told who asks.

use ipc::supervision::{JoiningStage, JoiningStatus};
use signing::Now;

use crate::peer::progress::{Meter, Progress, Stage};

/// Milliseconds between two lines.
const EVERY: u64 = 5_000;

/// The line, and its rates.
#[derive(Default)]
pub(crate) struct Reporter {
    meter: Meter,
    /// When the next line is due; `None` while nothing is reported.
    due: Option<u64>,
    /// Whether there was a line.
    told: bool,
}

impl Reporter {
    /// Writes a line when one is due.
    pub(crate) fn report(&mut self, progress: Option<&Progress>, now: Now) {
        let Some(progress) = progress else {
            if self.told {
                log::info!("EVENT=caught_up");
            }
            *self = Self::default();
            return;
        };
        let due = *self.due.get_or_insert_with(|| {
            self.meter.look(progress, now.steady);
            now.steady + EVERY
        });
        if now.steady < due {
            return;
        }
        self.due = Some(now.steady + EVERY);
        self.told = true;
        let status = self.status(progress, now);
        log::info!(
            "EVENT=joining stage={} cells={} cells_per_second={} bytes={} bytes_per_second={} sources={} blocks={} known_blocks={} blocks_per_second={} seconds_left={}",
            status.stage.name(),
            status.cells,
            status.cells_per_second,
            status.bytes,
            status.bytes_per_second,
            status.sources,
            status.blocks,
            status.known_blocks,
            status.blocks_per_second,
            status
                .left
                .map_or_else(|| "unknown".to_owned(), |left| left.to_string()),
        );
    }

    /// What the operator is told.
    pub(crate) fn status(&mut self, progress: &Progress, now: Now) -> JoiningStatus {
        let pace = self.meter.look(progress, now.steady);
        JoiningStatus {
            stage: match progress.stage {
                Stage::Genesis => JoiningStage::Genesis,
                Stage::Belief => JoiningStage::Belief,
                Stage::Blocks => JoiningStage::Blocks,
            },
            cells: progress.acquired.cells,
            bytes: progress.acquired.bytes,
            cells_per_second: pace.cells,
            bytes_per_second: pace.bytes,
            sources: u32::try_from(progress.sources).unwrap_or(u32::MAX),
            blocks: progress.blocks,
            known_blocks: progress.known_blocks,
            blocks_per_second: pace.blocks,
            left: pace.left,
        }
    }
}
