//! A progress bar on standard error, for people only.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Work that is done sooner shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two drawings.
const INTERVAL: Duration = Duration::from_millis(100);
/// Cells of the bar.
const WIDTH: u64 = 40;

/// The bar: appears when the work has taken a second and standard error is a terminal, and goes when it is dropped.
pub(crate) struct Bar {
    total: u64,
    unit: &'static str,
    start: Instant,
    next: Option<Instant>,
    drawn: bool,
}

impl Bar {
    pub(crate) fn new(total: u64, unit: &'static str) -> Self {
        let start = Instant::now();
        Self {
            total,
            unit,
            start,
            next: std::io::stderr().is_terminal().then(|| start + PATIENCE),
            drawn: false,
        }
    }

    /// Says how much is done.
    pub(crate) fn at(&mut self, done: u64) {
        let Some(next) = self.next else { return };
        let now = Instant::now();
        if now < next {
            return;
        }
        self.next = Some(now + INTERVAL);
        self.drawn = true;
        let line = line(done, self.total, self.unit, now - self.start);
        // Only decoration: nothing is lost with it.
        let _ = write!(std::io::stderr(), "\r{line}\x1b[K");
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.drawn {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(done: u64, total: u64, unit: &str, elapsed: Duration) -> String {
    let total = total.max(1);
    let done = done.min(total);
    let filled = (u128::from(done) * u128::from(WIDTH) / u128::from(total)) as usize;
    let rate = done as f64 / elapsed.as_secs_f64().max(1e-3);
    let left = (total - done) as f64 / rate.max(1e-3);
    format!(
        "[{}{}] {done}/{total} {unit}, {rate:.0}/s, {left:.0} s left",
        "#".repeat(filled),
        ".".repeat(WIDTH as usize - filled),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_in_proportion() {
        let second = Duration::from_secs(1);
        let half = line(50, 100, "blocks", second);
        assert_eq!(
            half,
            format!(
                "[{}{}] 50/100 blocks, 50/s, 1 s left",
                "#".repeat(20),
                ".".repeat(20)
            )
        );
        assert!(line(100, 100, "blocks", second).starts_with(&format!("[{}]", "#".repeat(40))));
        // Neither nothing to do nor more than planned upsets it.
        assert!(line(0, 0, "blocks", Duration::ZERO).starts_with("[...."));
        assert!(line(9, 3, "blocks", second).contains("3/3"));
    }
}
