//! What a run prints: each failing case, a table of counts for each kind, and the last line.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::outcome::{Mismatch, Outcome, windows};

/// Differences printed for one case.
const MISMATCHES_SHOWN: usize = 8;

/// Counts of one kind.
#[derive(Debug, Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Lines left out by `--kind`.
    not_asked: u64,
    /// Reasons of skips, and what passed cases could not check, each with how often.
    remarks: BTreeMap<String, u64>,
}

/// Writes and counts.
pub(crate) struct Report<'w, W> {
    out: &'w mut W,
    max_failures: u64,
    shown: u64,
    kinds: BTreeMap<&'static str, Counts>,
}

impl<'w, W: Write> Report<'w, W> {
    /// A report that prints at most so many failing cases.
    pub(crate) fn new(out: &'w mut W, max_failures: Option<u64>) -> Self {
        Self {
            out,
            max_failures: max_failures.unwrap_or(u64::MAX),
            shown: 0,
            kinds: BTreeMap::new(),
        }
    }

    /// Counts one case and prints it if it failed. `place` is `file:line`.
    pub(crate) fn record(
        &mut self,
        kind: &'static str,
        place: &str,
        label: &str,
        outcome: Outcome,
    ) -> io::Result<()> {
        let counts = self.kinds.entry(kind).or_default();
        match outcome {
            Outcome::Pass => counts.passed += 1,
            Outcome::PassAsFarAsGiven(why) => {
                counts.passed += 1;
                *counts
                    .remarks
                    .entry(format!("passed as far as given: {why}"))
                    .or_default() += 1;
            }
            Outcome::Skip(why) => {
                counts.skipped += 1;
                *counts.remarks.entry(format!("skipped: {why}")).or_default() += 1;
            }
            Outcome::Fail(mismatches) => {
                counts.failed += 1;
                self.print_failure(place, label, &mismatches)?;
            }
        }
        Ok(())
    }

    /// Counts a line that `--kind` left out.
    pub(crate) fn not_asked(&mut self, kind: &'static str) {
        self.kinds.entry(kind).or_default().not_asked += 1;
    }

    fn print_failure(
        &mut self,
        place: &str,
        label: &str,
        mismatches: &[Mismatch],
    ) -> io::Result<()> {
        if self.shown >= self.max_failures {
            return Ok(());
        }
        self.shown += 1;
        writeln!(self.out, "FAIL {place} {label}")?;
        for Mismatch {
            field,
            expected,
            got,
        } in mismatches.iter().take(MISMATCHES_SHOWN)
        {
            let (expected, got) = windows(expected, got);
            writeln!(
                self.out,
                "  {field}\n    expected  {expected}\n    got       {got}"
            )?;
        }
        if mismatches.len() > MISMATCHES_SHOWN {
            writeln!(
                self.out,
                "  and {} more differences",
                mismatches.len() - MISMATCHES_SHOWN
            )?;
        }
        Ok(())
    }

    /// Prints the table and the last line. True if the run is good.
    pub(crate) fn finish(self, strict: bool) -> io::Result<bool> {
        let Self {
            out, shown, kinds, ..
        } = self;
        let total = |count: fn(&Counts) -> u64| kinds.values().map(count).sum::<u64>();
        let (passed, failed, skipped) = (
            total(|c| c.passed),
            total(|c| c.failed),
            total(|c| c.skipped),
        );
        if failed > shown {
            writeln!(out, "{} more failing cases are not shown", failed - shown)?;
        }
        if !kinds.is_empty() {
            writeln!(
                out,
                "{:<18}{:>9}{:>9}{:>9}",
                "kind", "passed", "failed", "skipped"
            )?;
        }
        for (name, counts) in &kinds {
            let Counts {
                passed,
                failed,
                skipped,
                ..
            } = counts;
            if passed + failed + skipped > 0 {
                writeln!(out, "{name:<18}{passed:>9}{failed:>9}{skipped:>9}")?;
            }
            for (remark, count) in &counts.remarks {
                writeln!(out, "    {count} {remark}")?;
            }
        }
        for (name, counts) in kinds.iter().filter(|(_, counts)| counts.not_asked > 0) {
            writeln!(
                out,
                "{} lines of kind {name} were not asked for",
                counts.not_asked
            )?;
        }
        if passed + failed + skipped == 0 {
            writeln!(out, "there was no case to run")?;
        }
        writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped")?;
        out.flush()?;
        Ok(failed == 0 && passed + skipped > 0 && !(strict && skipped > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: Vec<Outcome>, max: Option<u64>, strict: bool) -> (String, bool) {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out, max);
        for outcome in outcomes {
            report.record("k", "f:1", "k/1", outcome).unwrap();
        }
        let good = report.finish(strict).unwrap();
        (String::from_utf8(out).unwrap(), good)
    }

    fn failure() -> Outcome {
        Outcome::Fail(vec![Mismatch::new("hash", "aa", "bb")])
    }

    #[test]
    fn the_last_line_adds_up() {
        let outcomes = vec![
            Outcome::Pass,
            Outcome::PassAsFarAsGiven("x"),
            failure(),
            Outcome::Skip("y"),
        ];
        let (text, good) = report(outcomes, None, false);
        assert_eq!(text.lines().last(), Some("2 passed, 1 failed, 1 skipped"));
        assert!(
            text.contains("FAIL f:1 k/1\n  hash\n    expected  aa\n    got       bb\n"),
            "{text}"
        );
        assert!(!good);
    }

    #[test]
    fn a_skip_fails_a_strict_run_only() {
        assert!(report(vec![Outcome::Pass, Outcome::Skip("y")], None, false).1);
        assert!(!report(vec![Outcome::Pass, Outcome::Skip("y")], None, true).1);
        assert!(report(vec![Outcome::Pass], None, true).1);
    }

    #[test]
    fn a_run_of_nothing_is_not_good() {
        let (text, good) = report(vec![], None, false);
        assert_eq!(
            text,
            "there was no case to run\n0 passed, 0 failed, 0 skipped\n"
        );
        assert!(!good);
    }

    #[test]
    fn failures_over_the_limit_are_counted_but_not_printed() {
        let (text, _) = report(vec![failure(), failure(), failure()], Some(1), false);
        assert_eq!(text.matches("FAIL").count(), 1);
        assert!(text.contains("2 more failing cases are not shown"));
        assert_eq!(text.lines().last(), Some("0 passed, 3 failed, 0 skipped"));
    }
}
