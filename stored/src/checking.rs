//! Compares all cells with their keys in a thread of its own, by the map that every reader has, while batches go on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use etch::{ControlView, Reader, verify};
use ipc::supervision::FromWorker;

use crate::Failure;
use crate::files::Readers;
use crate::worker::Supervisor;

/// Most lines of a report.
const LINES: usize = 20;

/// A check that runs, or has run.
#[derive(Debug)]
pub(crate) struct Checking {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Checking {
    pub(crate) fn start(
        readers: &Readers,
        name: &Path,
        supervisor: Arc<Supervisor>,
    ) -> Result<Self, Failure> {
        let store = readers.store.try_clone().map_err(Failure::Thread)?;
        let reader = Reader::follow(store, name, ControlView::from_file(&readers.control)?)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name("checking".to_owned())
            .spawn(move || {
                let report = check(&reader, &stopped);
                if let FromWorker::Verified { findings, .. } = &report {
                    for finding in findings {
                        log::error!("EVENT=store_damaged {finding}");
                    }
                }
                // A supervisor that is gone needs no report.
                let _ = supervisor.send(&report, &[]);
            })
            .map_err(Failure::Thread)?;
        Ok(Self { thread, stop })
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }
}

impl Drop for Checking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn check(reader: &Reader, stop: &AtomicBool) -> FromWorker {
    let progress = |_| !stop.load(Ordering::Relaxed);
    let report = match verify(reader, progress) {
        Ok(report) => report,
        Err(fault) => {
            return FromWorker::Verified {
                cells: 0,
                findings: vec![format!("the check could not be finished: {fault:?}")],
            };
        }
    };
    let mut findings: Vec<String> = report
        .findings
        .iter()
        .take(LINES - 2)
        .map(|finding| format!("at {}: {}", finding.at, finding.why))
        .collect();
    let more = report.finding_count.saturating_sub(findings.len() as u64);
    if more > 0 {
        findings.push(format!("and {more} more"));
    }
    if stop.load(Ordering::Relaxed) {
        findings.push("the check was broken off".to_owned());
    }
    FromWorker::Verified {
        cells: report.stats.records,
        findings,
    }
}
