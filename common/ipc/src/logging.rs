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

/// A time, milliseconds since the epoch, as people write it, in UTC.
#[must_use]
pub fn utc(wall: i64) -> String {
    let (days, rest) = (wall.div_euclid(86_400_000), wall.rem_euclid(86_400_000));
    // Days since 1 March of year 0, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        rest / 3_600_000,
        rest / 60_000 % 60,
        rest / 1000 % 60,
        rest % 1000
    )
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
    fn times_are_written_as_the_calendar_has_them() {
        for (time, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(utc(time), expected);
        }
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
