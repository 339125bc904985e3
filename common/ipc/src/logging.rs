//! Log lines of workers. A worker has no journal to write to: it writes lines to its standard error, which the supervisor reads and passes on.

use std::io::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Longest line in bytes; the rest is cut off.
pub const MAX_LINE: usize = 2048;
/// The variable by which the supervisor tells workers the level.
pub const LEVEL: &str = "CONVEXD_LOG";

struct Lines;

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(record.level(), &record.args().to_string());
            // There is nowhere to report that the report failed.
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// Makes `log` write lines for the supervisor, at the level that it asked for (`info` without).
pub fn init() {
    let level = std::env::var(LEVEL)
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::Info);
    if log::set_logger(&Lines).is_ok() {
        log::set_max_level(level);
    }
}

/// A line: `<N>` with the syslog level, as services of systemd write them, the text without control characters, a line feed.
fn line(level: Level, text: &str) -> String {
    let number = match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    let mut line = format!("<{number}>");
    for c in text.chars() {
        if line.len() + c.len_utf8() >= MAX_LINE {
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    line.push('\n');
    line
}

/// Level and text of a line; a line without a level is a warning: a library or a crash wrote it.
#[must_use]
pub fn parse(line: &str) -> (Level, &str) {
    let known = [
        ("<3>", Level::Error),
        ("<4>", Level::Warn),
        ("<6>", Level::Info),
        ("<7>", Level::Debug),
    ];
    known
        .into_iter()
        .find_map(|(prefix, level)| Some((level, line.strip_prefix(prefix)?)))
        .unwrap_or((Level::Warn, line))
}

/// Lets one line in so many milliseconds through, and counts the others.
#[derive(Debug, Clone)]
pub struct Quiet {
    every: u64,
    next: u64,
    held: u64,
}

impl Quiet {
    /// One line each `every` milliseconds.
    #[must_use]
    pub const fn new(every: u64) -> Self {
        Self {
            every,
            next: 0,
            held: 0,
        }
    }

    /// `Some(n)` when a line may be written at `now` (milliseconds of a clock that does not step), where `n` lines were held back before it.
    pub fn pass(&mut self, now: u64) -> Option<u64> {
        if now < self.next {
            self.held += 1;
            return None;
        }
        self.next = now + self.every;
        Some(std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_strangers_stays_one_line() {
        let line = line(Level::Warn, "a\n<3>b\x1b[2J");
        assert_eq!(line, "<4>a <3>b [2J\n");
        assert_eq!(parse(line.trim_end()), (Level::Warn, "a <3>b [2J"));
        assert!(super::line(Level::Info, &"é".repeat(5000)).len() <= MAX_LINE);
    }

    #[test]
    fn held_lines_are_counted() {
        let mut quiet = Quiet::new(1000);
        assert_eq!(quiet.pass(5), Some(0));
        assert_eq!(quiet.pass(6), None);
        assert_eq!(quiet.pass(1004), None);
        assert_eq!(quiet.pass(1005), Some(2));
    }
}
