//! How far a peer is that joins or catches up.

use super::acquisition::Acquired;

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The genesis state comes from others.
    Genesis,
    /// A belief, with the blocks in it, comes from others.
    Belief,
    /// Final blocks are executed.
    Blocks,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// What is going on.
    pub stage: Stage,
    /// What was acquired since the start.
    pub acquired: Acquired,
    /// Connections to other peers.
    pub sources: usize,
    /// The part of what is being acquired that is there, by guess, and since when it is being acquired (steady milliseconds).
    pub done: Option<(f64, u64)>,
    /// Blocks executed.
    pub blocks: u64,
    /// Blocks that are known to be final, or were said to be by the peer that was asked last.
    pub known_blocks: u64,
}

/// Rates, from looks at the progress now and then.
#[derive(Debug, Default)]
pub struct Meter {
    /// The look that rates go from, and the one that takes its place.
    from: Option<Look>,
    next: Option<Look>,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    at: u64,
    cells: u64,
    bytes: u64,
    blocks: u64,
}

/// Rates, and what follows from them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// Cells in a second.
    pub cells: u64,
    /// Bytes in a second.
    pub bytes: u64,
    /// Blocks in a second.
    pub blocks: u64,
    /// Seconds until this stage is over, if it goes on like this.
    pub left: Option<u64>,
}

/// Milliseconds that rates go back, between once and twice.
const WINDOW: u64 = 10_000;

impl Meter {
    /// Looks at the progress at `now` (steady milliseconds).
    pub fn look(&mut self, progress: &Progress, now: u64) -> Pace {
        let look = Look {
            at: now,
            cells: progress.acquired.cells,
            bytes: progress.acquired.bytes,
            blocks: progress.blocks,
        };
        let from = *self.from.get_or_insert(look);
        if now >= self.next.map_or(from.at, |next| next.at) + WINDOW {
            self.from = self.next.or(Some(from));
            self.next = Some(look);
        }
        let millis = now.saturating_sub(from.at);
        if millis == 0 {
            return Pace::default();
        }
        let rate = |new: u64, old: u64| new.saturating_sub(old) * 1_000 / millis;
        let mut pace = Pace {
            cells: rate(look.cells, from.cells),
            bytes: rate(look.bytes, from.bytes),
            blocks: rate(look.blocks, from.blocks),
            left: None,
        };
        let blocks = progress.known_blocks.saturating_sub(progress.blocks);
        pace.left = match (progress.stage, progress.done) {
            (Stage::Blocks, _) => (pace.blocks > 0).then(|| blocks.div_ceil(pace.blocks)),
            (_, Some((done, began))) if done > 0.001 => {
                let spent = now.saturating_sub(began) as f64 / 1_000.0;
                Some((spent * (1.0 - done) / done).ceil() as u64)
            }
            _ => None,
        };
        pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(stage: Stage, cells: u64, blocks: u64, done: Option<(f64, u64)>) -> Progress {
        Progress {
            stage,
            acquired: Acquired {
                cells,
                bytes: cells * 100,
                ..Acquired::default()
            },
            sources: 1,
            done,
            blocks,
            known_blocks: 1_000,
        }
    }

    #[test]
    fn rates_are_of_the_last_seconds_and_not_of_the_whole_time() {
        let mut meter = Meter::default();
        let mut cells = 0;
        let mut pace = Pace::default();
        // A minute of nothing, then a minute of work.
        for second in 0..120 {
            cells += if second < 60 { 0 } else { 500 };
            pace = meter.look(&progress(Stage::Belief, cells, 0, None), second * 1_000);
        }
        assert_eq!((pace.cells, pace.bytes), (500, 50_000));
        assert_eq!(pace.left, None);
    }

    #[test]
    fn the_time_left_follows_from_blocks_or_from_the_part_that_is_there() {
        let mut meter = Meter::default();
        meter.look(&progress(Stage::Blocks, 0, 0, None), 0);
        let pace = meter.look(&progress(Stage::Blocks, 0, 200, None), 2_000);
        assert_eq!((pace.blocks, pace.left), (100, Some(8)));
        let mut meter = Meter::default();
        meter.look(&progress(Stage::Genesis, 0, 0, Some((0.0, 0))), 0);
        let pace = meter.look(&progress(Stage::Genesis, 10, 0, Some((0.25, 0))), 10_000);
        assert_eq!(pace.left, Some(30));
        // Nothing is promised before anything is there.
        let pace = meter.look(&progress(Stage::Genesis, 10, 0, Some((0.0, 0))), 11_000);
        assert_eq!(pace.left, None);
    }
}
