//! The log of the whole peer: the supervisor's own lines and those of the workers.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard};

use config::LogFormat;
use log::{Level, LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::JournalLog;

use crate::clock;

/// Lines that are kept for `convexctl logs`.
const KEPT: usize = 2_000;

/// Where lines go, beside the memory.
enum Output {
    Journal(JournalLog),
    Text { colour: bool },
}

struct Journal {
    output: Output,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    lines: VecDeque<Line>,
    /// Number of the line after the last one.
    next: u64,
}

/// A line that is kept.
#[derive(Debug, Clone)]
pub struct Line {
    number: u64,
    worker: String,
    text: String,
}

impl Journal {
    fn recent(&self) -> MutexGuard<'_, Recent> {
        // A thread that panicked ends the process.
        self.recent.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let worker = record.target();
        let message = record.args().to_string();
        let text = format!(
            "{} {:5} {worker}: {message}",
            ipc::logging::utc(clock::wall()),
            record.level().as_str().to_lowercase()
        );
        match &self.output {
            Output::Journal(journal) => journal.log(record),
            Output::Text { colour } => {
                let (start, end) = match (colour, record.level()) {
                    (true, Level::Error) => ("\x1b[31m", "\x1b[0m"),
                    (true, Level::Warn) => ("\x1b[33m", "\x1b[0m"),
                    _ => ("", ""),
                };
                // There is nowhere to report that the report failed.
                let _ = writeln!(std::io::stderr().lock(), "{start}{text}{end}");
            }
        }
        let mut recent = self.recent();
        if recent.lines.len() == KEPT {
            recent.lines.pop_front();
        }
        let number = recent.next;
        recent.next += 1;
        recent.lines.push_back(Line {
            number,
            worker: worker.to_owned(),
            text,
        });
    }

    fn flush(&self) {}
}

static JOURNAL: std::sync::OnceLock<Journal> = std::sync::OnceLock::new();

/// Starts the log. A journal that can't be reached is replaced by text.
pub fn start(level: &str, format: LogFormat) {
    let wanted = match format {
        LogFormat::Journal => true,
        LogFormat::Text => false,
        LogFormat::Auto => systemd_journal_logger::connected_to_journal(),
    };
    let journal = wanted
        .then(|| JournalLog::new().ok())
        .flatten()
        .map(|journal| journal.with_syslog_identifier("convexd".to_owned()));
    let output = match journal {
        Some(journal) => Output::Journal(journal),
        None => Output::Text {
            colour: std::io::stderr().is_terminal(),
        },
    };
    let journal = JOURNAL.get_or_init(|| Journal {
        output,
        recent: Mutex::default(),
    });
    if log::set_logger(journal).is_ok() {
        set_level(level);
    }
}

/// Changes the level.
pub fn set_level(level: &str) {
    log::set_max_level(level.parse().unwrap_or(LevelFilter::Info));
}

/// The lines from number `from` on, at most `most` of the newest, of one worker or all; and the number after the last line.
#[must_use]
pub fn lines(from: u64, most: usize, of: Option<&str>) -> (Vec<String>, u64) {
    let Some(journal) = JOURNAL.get() else {
        return (Vec::new(), 0);
    };
    let recent = journal.recent();
    let mut found: Vec<String> = recent
        .lines
        .iter()
        .rev()
        .take_while(|line| line.number >= from)
        .filter(|line| of.is_none_or(|of| line.worker == of))
        .take(most)
        .map(|line| line.text.clone())
        .collect();
    found.reverse();
    (found, recent.next)
}
