//! The audit log: one line for every refusal, alarm, unlocking and locking, and now and then the number of signatures.
//!
//! ```text
//! 2026-11-24T17:45:40.123Z refused reason=transaction
//! 2026-11-24T17:45:40.123Z alarm kind=Signing: consensusd asked for a signature that is never given: …
//! ```
//!
//! The supervisor opens the file for appending and passes it. The sandbox has no call that takes this property off a file, shortens a
//! file or opens one, so that whoever takes over the process later can add to the log, but change nothing in it.
//!
//! It is bounded: a file that is full takes nothing more, and the supervisor begins a new one with the next start of `keyd`. Of what a
//! hostile `consensusd` causes, some lines in a second are written and the others counted. No line holds a secret.

use std::fs::File;
use std::io::{self, Write};

use ipc::logging::utc;
use signing::{Counts, Kind, Now, Refusal};

/// Refusals that are written in one second.
const REFUSALS_PER_SECOND: u32 = 20;
/// Milliseconds between two counts of signatures.
const COUNTS_EVERY: u64 = 3_600_000;
/// Longest text of a line in bytes, without its time.
const MAX_TEXT: usize = 600;

/// The open log.
#[derive(Debug)]
pub struct Audit {
    file: File,
    /// Bytes that it may have.
    limit: u64,
    length: u64,
    full: bool,
    /// A second of the steady clock, and the refusals written in it.
    second: (u64, u32),
    /// Refusals that were not written since the last one that was.
    held: u64,
    /// Lines that did not get into the file: it is full, or can't be written.
    lost: u64,
    /// What was last counted, and when it is next.
    counted: String,
    count_at: u64,
}

impl Audit {
    /// Goes on with a file that was opened for appending, up to so many bytes.
    ///
    /// # Errors
    /// When the system does not say how long it is.
    pub fn new(file: File, limit: u64) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            limit,
            length,
            full: false,
            second: (0, 0),
            held: 0,
            lost: 0,
            counted: String::new(),
            count_at: COUNTS_EVERY,
        })
    }

    /// Lines that did not get into the file.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Something that a person may have to know for certain: on disk when this returns, unless it is lost.
    pub fn event(&mut self, now: Now, text: &str) {
        self.line(now, text);
        if let Err(error) = self.file.sync_data() {
            self.failed(&error);
        }
    }

    /// A request that was refused.
    pub fn refused(&mut self, now: Now, refusal: Refusal) {
        let second = now.steady / 1_000;
        if self.second.0 != second {
            self.second = (second, 0);
        }
        if self.second.1 == REFUSALS_PER_SECOND {
            self.held += 1;
            return;
        }
        self.second.1 += 1;
        self.tell_held(now);
        self.line(now, &format!("refused reason={}", refusal.name()));
    }

    /// Writes the number of signatures and refusals if an hour has passed and they have changed.
    pub fn count_if_due(&mut self, now: Now, counts: &Counts) {
        if now.steady >= self.count_at {
            self.count(now, counts);
        }
    }

    /// Writes the number of signatures and refusals since the start, unless that is what was written last.
    pub fn count(&mut self, now: Now, counts: &Counts) {
        self.count_at = now.steady.saturating_add(COUNTS_EVERY);
        self.tell_held(now);
        let signed = Kind::ALL
            .iter()
            .map(|&kind| format!(" {}={}", kind.name(), counts.signed(kind)));
        let refused: u64 = Refusal::ALL
            .iter()
            .map(|&reason| counts.refused(reason))
            .sum();
        let text = format!("signed{}, refused {refused}", signed.collect::<String>());
        if text != self.counted {
            self.line(now, &text);
            self.counted = text;
        }
    }

    fn tell_held(&mut self, now: Now) {
        match std::mem::take(&mut self.held) {
            0 => {}
            held => self.line(now, &format!("refused {held} more")),
        }
    }

    fn line(&mut self, now: Now, text: &str) {
        let mut line = utc(now.wall);
        line.push(' ');
        for c in text.chars() {
            if line.len() >= MAX_TEXT {
                break;
            }
            line.push(if c.is_control() { ' ' } else { c });
        }
        line.push('\n');
        if self.full {
            self.lost += 1;
            return;
        }
        if self.length + line.len() as u64 > self.limit {
            line = format!("{} full\n", utc(now.wall));
            self.full = true;
            self.lost += 1;
            log::error!(
                "EVENT=audit_full the audit log is full: a restart of keyd begins a new one"
            );
        }
        self.length += line.len() as u64;
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            self.failed(&error);
        }
    }

    /// Signing goes on: its rules do not depend on the log, and the supervisor hears of everything that is grave.
    fn failed(&mut self, error: &io::Error) {
        if self.lost == 0 {
            log::error!(
                "EVENT=audit_failed the audit log can't be written: {error}; make room on its disk"
            );
        }
        self.lost += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use cells::Hash;
    use crypto::SigningKey;
    use signing::{Decision, Identity, Rates, Signer};

    use super::*;

    const WALL: i64 = 1_735_689_599_999;

    fn at(steady: u64) -> Now {
        Now { wall: WALL, steady }
    }

    fn audit(limit: u64) -> (Audit, impl Fn() -> Vec<String>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = File::options().append(true).open(file.path()).unwrap();
        let read = move || {
            let mut text = String::new();
            let mut file = file.reopen().unwrap();
            file.read_to_string(&mut text).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'));
            text.lines().map(str::to_owned).collect()
        };
        (Audit::new(open, limit).unwrap(), read)
    }

    #[test]
    fn a_line_has_the_time_and_stays_one_line() {
        let (mut audit, read) = audit(1 << 20);
        audit.event(at(0), "alarm kind=Channel: a\nb\x1b[2J");
        audit.event(at(0), &"é".repeat(5_000));
        let lines = read();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0],
            "2024-12-31T23:59:59.999Z alarm kind=Channel: a b [2J"
        );
        assert!(lines[1].len() <= MAX_TEXT + 2);
    }

    #[test]
    fn of_many_refusals_in_a_second_some_are_written_and_the_others_counted() {
        let (mut audit, read) = audit(1 << 20);
        for _ in 0..1_000 {
            audit.refused(at(5_500), Refusal::Transaction);
        }
        assert_eq!(read().len(), REFUSALS_PER_SECOND as usize);
        audit.refused(at(6_000), Refusal::Rate);
        let lines = read();
        let [.., held, last] = lines.as_slice() else {
            panic!()
        };
        assert!(held.ends_with(" refused 980 more"), "{held}");
        assert!(last.ends_with(" refused reason=rate"), "{last}");
        assert_eq!(audit.lost(), 0);
    }

    #[test]
    fn a_full_log_says_so_and_takes_nothing_more() {
        let (mut audit, read) = audit(1_000);
        for second in 0..1_000 {
            audit.refused(at(second * 1_000), Refusal::Malformed);
        }
        let lines = read();
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        assert!(bytes <= 1_000 + 40, "{bytes}");
        let (last, others) = lines.split_last().unwrap();
        assert!(last.ends_with(" full"), "{last}");
        assert_eq!(others.len() as u64 + audit.lost(), 1_000);
    }

    #[test]
    fn signatures_are_counted_once_an_hour_and_only_if_there_are_new_ones() {
        let (mut audit, read) = audit(1 << 20);
        let identity = Identity {
            key: SigningKey::from_seed(&[7; 32]).account_key(),
            network: Hash([1; 32]),
        };
        let mut signer = Signer::new(identity, None, Rates::default(), at(0));
        audit.count_if_due(at(COUNTS_EVERY - 1), signer.counts());
        assert!(read().is_empty());
        audit.count_if_due(at(COUNTS_EVERY), signer.counts());
        audit.count_if_due(at(COUNTS_EVERY + 1), signer.counts());
        audit.count_if_due(at(3 * COUNTS_EVERY), signer.counts());
        let challenge = signer.submit(&[0x00], [9; 32], at(0));
        assert!(matches!(challenge, Decision::Sign(_)));
        audit.count_if_due(at(4 * COUNTS_EVERY), signer.counts());
        let counts: Vec<String> = read().iter().map(|line| line[25..].to_owned()).collect();
        let expected = [0, 1].map(|challenges| {
            format!("signed order=0 block=0 challenge={challenges} answer=0, refused 0")
        });
        assert_eq!(counts, expected);
    }
}
