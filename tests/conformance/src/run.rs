//! Reads files, hands their lines to the runners, collects what comes of them.
//!
//! A file is read in bounded portions. Of a portion, cases that do not depend on each other are spread over the cores;
//! the others are run in order. Reports keep the order of the file.

use std::cell::RefCell;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::case::{self, Case};
use crate::files::{self, VectorFile};
use crate::kinds::{self, Independent, KINDS, Runner, UNKNOWN, guarded};
use crate::lines::{self, Line, MAX_LINE};
use crate::options::Options;
use crate::outcome::{Mismatch, Outcome};
use crate::report::Report;

/// Lines of a portion, at most.
const PORTION_LINES: usize = 4096;
/// Bytes of a portion, at most, before its last line.
const PORTION_BYTES: usize = 16 << 20;
/// Cases that one thread takes at a time; also how many a runner sees together.
const GROUP: usize = 64;

/// Kind under which whole files are counted that cannot be read.
const FILE: &str = "file";

/// Runs everything that was asked for. True if the run is good.
pub(crate) fn run(options: &Options, out: &mut impl Write) -> io::Result<bool> {
    if options.list_kinds {
        return list_kinds(out);
    }
    let mut report = Report::new(out, options.max_failures);
    for path in &options.paths {
        match files::find(path) {
            Ok(found) => {
                for path in found {
                    let file = VectorFile {
                        path,
                        genesis: options.genesis.clone(),
                    };
                    FileRun::new(options, &file).run(&mut report)?;
                }
            }
            Err(error) => unreadable(&mut report, path, &error)?,
        }
    }
    report.finish(options.strict)
}

fn list_kinds(out: &mut impl Write) -> io::Result<bool> {
    let nowhere = VectorFile {
        path: "none".into(),
        genesis: None,
    };
    for kind in KINDS {
        let supported = !matches!(kind.open(&nowhere), Ok(Runner::Unsupported));
        writeln!(
            out,
            "{:<18}{}",
            kind.name(),
            if supported {
                "runs"
            } else {
                "no runner in this build"
            }
        )?;
    }
    Ok(true)
}

fn unreadable<W: Write>(
    report: &mut Report<'_, W>,
    path: &Path,
    error: &io::Error,
) -> io::Result<()> {
    let mismatch = Mismatch::new("reading", "a readable file", error.to_string());
    report.record(
        FILE,
        &path.display().to_string(),
        FILE,
        Outcome::Fail(vec![mismatch]),
    )
}

/// The run of one file.
struct FileRun<'a> {
    options: &'a Options,
    file: &'a VectorFile,
    /// The path as printed.
    name: Arc<str>,
    /// What runs each kind of [`KINDS`] in this file, from its first case on.
    runners: Vec<Option<Result<Runner, String>>>,
}

impl<'a> FileRun<'a> {
    fn new(options: &'a Options, file: &'a VectorFile) -> Self {
        let name = file.path.display().to_string().into();
        Self {
            options,
            file,
            name,
            runners: KINDS.iter().map(|_| None).collect(),
        }
    }

    fn run<W: Write>(mut self, report: &mut Report<'_, W>) -> io::Result<()> {
        let mut lines = match lines::open(&self.file.path) {
            Ok(lines) => lines,
            Err(error) => return unreadable(report, &self.file.path, &error),
        };
        let mut number = 0;
        let mut portion = Portion::default();
        loop {
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    self.run_portion(std::mem::take(&mut portion), report)?;
                    unreadable(report, &self.file.path, &error)?;
                    break;
                }
            };
            number += 1;
            self.take_line(line, number, &mut portion, report)?;
            if portion.cases.len() >= PORTION_LINES || portion.bytes >= PORTION_BYTES {
                self.run_portion(std::mem::take(&mut portion), report)?;
            }
        }
        self.run_portion(portion, report)?;
        self.finish(report)
    }

    /// Parses a line into a case of the portion, or reports why it is none.
    fn take_line<W: Write>(
        &mut self,
        line: Line,
        number: u64,
        portion: &mut Portion,
        report: &mut Report<'_, W>,
    ) -> io::Result<()> {
        let place = format!("{}:{number}", self.name);
        let bytes = match line {
            Line::Bytes(bytes) => bytes,
            Line::TooLong => {
                let wrong = Mismatch::new(
                    "length",
                    format!("at most {MAX_LINE} bytes"),
                    "a longer line",
                );
                return report.record(FILE, &place, FILE, Outcome::Fail(vec![wrong]));
            }
        };
        if bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        let fields = match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => {
                let wrong = Mismatch::new("line", "a JSON object", String::from_utf8_lossy(&bytes));
                return report.record(FILE, &place, FILE, Outcome::Fail(vec![wrong]));
            }
            Err(error) => {
                let wrong = Mismatch::new("line", "a JSON object", error.to_string());
                return report.record(FILE, &place, FILE, Outcome::Fail(vec![wrong]));
            }
        };
        let kind = kinds::recognise(&fields);
        let kind_name = kind.map_or(UNKNOWN, |kind| KINDS[kind].name());
        if !self.options.kinds.is_empty()
            && !self.options.kinds.iter().any(|asked| asked == kind_name)
        {
            report.not_asked(kind_name);
            return Ok(());
        }
        let label = case::label(kind_name, &fields);
        let case = Case {
            file: self.name.clone(),
            line: number,
            label,
            fields,
        };
        let Some(kind) = kind else {
            if self.counts(&case) {
                let outcome = Outcome::Skip("no kind has these fields");
                report.record(UNKNOWN, &place, &case.label, outcome)?;
            }
            return Ok(());
        };
        portion.bytes += bytes.len();
        portion.cases.push((kind, case));
        Ok(())
    }

    /// Whether `--only` lets this case count.
    fn counts(&self, case: &Case) -> bool {
        self.options
            .only
            .as_ref()
            .is_none_or(|only| case.label.contains(only))
    }

    fn run_portion<W: Write>(
        &mut self,
        portion: Portion,
        report: &mut Report<'_, W>,
    ) -> io::Result<()> {
        let mut outcomes: Vec<Option<Outcome>> = portion.cases.iter().map(|_| None).collect();
        for kind in 0..KINDS.len() {
            let mut places = Vec::new();
            let mut cases = Vec::new();
            for (place, (of, case)) in portion.cases.iter().enumerate() {
                if *of == kind {
                    places.push(place);
                    cases.push(case.clone());
                }
            }
            if !cases.is_empty() {
                for (place, outcome) in places.into_iter().zip(self.run_cases(kind, cases)) {
                    outcomes[place] = outcome;
                }
            }
        }
        for ((kind, case), outcome) in portion.cases.iter().zip(outcomes) {
            if let Some(outcome) = outcome {
                let place = format!("{}:{}", case.file, case.line);
                report.record(KINDS[*kind].name(), &place, &case.label, outcome)?;
            }
        }
        Ok(())
    }

    /// Runs cases of one kind; no outcome for those that do not count.
    fn run_cases(&mut self, kind: usize, cases: Vec<Case>) -> Vec<Option<Outcome>> {
        let counts: Vec<bool> = cases.iter().map(|case| self.counts(case)).collect();
        let only_counting = |outcome: Outcome, counts: bool| counts.then_some(outcome);
        match self.runners[kind].get_or_insert_with(|| KINDS[kind].open(self.file)) {
            Ok(Runner::Independent(runner)) => {
                let wanted = cases
                    .into_iter()
                    .zip(&counts)
                    .filter(|(_, counts)| **counts)
                    .map(|(case, _)| case);
                let mut outcomes = run_independent(&**runner, wanted.collect()).into_iter();
                counts
                    .iter()
                    .map(|counts| if *counts { outcomes.next() } else { None })
                    .collect()
            }
            // All of them are run, since each needs what the ones before it left.
            Ok(Runner::Sequential(runner)) => cases
                .iter()
                .zip(counts)
                .map(|(case, counts)| only_counting(guarded(case, || runner.run(case)), counts))
                .collect(),
            Ok(Runner::Unsupported) => counts
                .into_iter()
                .map(|counts| {
                    only_counting(
                        Outcome::Skip("no runner for this kind in this build"),
                        counts,
                    )
                })
                .collect(),
            Err(error) => {
                let failure = || {
                    Outcome::Fail(vec![Mismatch::new(
                        "before the first case",
                        "ready to run",
                        error.clone(),
                    )])
                };
                counts
                    .into_iter()
                    .map(|counts| only_counting(failure(), counts))
                    .collect()
            }
        }
    }

    fn finish<W: Write>(&mut self, report: &mut Report<'_, W>) -> io::Result<()> {
        for (kind, runner) in KINDS.iter().zip(&mut self.runners) {
            let Some(Ok(Runner::Sequential(runner))) = runner else {
                continue;
            };
            for (what, outcome) in runner.finish() {
                let label = format!("{}/{what}", kind.name());
                if self
                    .options
                    .only
                    .as_ref()
                    .is_none_or(|only| label.contains(only))
                {
                    report.record(kind.name(), &self.name, &label, outcome)?;
                }
            }
        }
        Ok(())
    }
}

/// Cases that were read and not yet run, each with its kind.
#[derive(Default)]
struct Portion {
    cases: Vec<(usize, Case)>,
    bytes: usize,
}

/// Spreads cases over the cores; outcomes come in the order of the cases.
fn run_independent(runner: &dyn Independent, cases: Vec<Case>) -> Vec<Outcome> {
    let groups: Vec<&[Case]> = cases.chunks(GROUP).collect();
    let threads = std::thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(groups.len());
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, Vec<Outcome>)> = std::thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            while let Some((index, group)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                groups.get(index).map(|group| (index, group))
            } {
                done.push((index, runner.run_group(group)));
            }
            done
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter()
        .flat_map(|(_, outcomes)| outcomes)
        .collect()
}

thread_local! {
    /// The case that this thread runs, for the message of a panic.
    static CURRENT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs something as part of a case.
pub(crate) fn with_case<T>(case: &Case, run: impl FnOnce() -> T) -> T {
    CURRENT.with_borrow_mut(|current| {
        *current = Some(format!("{}:{} {}", case.file, case.line, case.label));
    });
    let result = run();
    CURRENT.with_borrow_mut(|current| *current = None);
    result
}

/// A release build ends at a panic; without this, one could not tell which case met it.
pub(crate) fn name_the_case_when_a_crate_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        CURRENT.with_borrow(|current| {
            if let Some(case) = current {
                eprintln!("conformance: panic in {case}");
            }
        });
        default(info);
    }));
}
