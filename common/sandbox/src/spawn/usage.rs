//! What a worker takes of the machine, for whoever started it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// Memory and processor time of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes: the share of the process, where the system tells it; else all that is resident.
    pub memory: u64,
    /// Processor time in milliseconds.
    pub processor: u64,
}

/// Files of `/proc` about a process. They are opened while it still has the user of its parent: of another user's process a `/proc`
/// that hides those (`hidepid`) shows nothing.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    pid: i32,
    stat: Option<File>,
    memory: Option<File>,
}

impl Gauge {
    pub(super) fn open(pid: i32) -> Self {
        let open = |name| File::open(format!("/proc/{pid}/{name}")).ok();
        Self {
            pid,
            stat: open("stat"),
            memory: open("statm"),
        }
    }

    pub(super) fn read(&self) -> Usage {
        Usage {
            memory: self.share().or_else(|| self.resident()).unwrap_or(0),
            processor: self.processor().unwrap_or(0),
        }
    }

    /// Allowed only where the process belongs to the same user, and only by its name: an open file stays with the program before `exec`.
    fn share(&self) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }

    fn resident(&self) -> Option<u64> {
        let text = whole(self.memory.as_ref()?)?;
        let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }

    fn processor(&self) -> Option<u64> {
        let text = whole(self.stat.as_ref()?)?;
        // The name in parentheses may hold anything; what follows the last one counts.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Some((ticks(11)? + ticks(12)?) * 1000 / per_second)
    }
}

/// What the file says now. One that belonged to a process that is gone says nothing.
fn whole(file: &File) -> Option<String> {
    let mut text = [0; 1024];
    let length = file.read_at(&mut text, 0).ok()?;
    Some(String::from_utf8_lossy(&text[..length]).into_owned())
}
