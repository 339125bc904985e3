//! What processes use: processor time and memory, as the system counts them.

use std::fs;
use std::time::Duration;

/// Clock ticks of a second in `/proc`: the same on every Linux system of today.
const TICKS: u64 = 100;

/// Processor time of a process so far, of all its threads.
#[must_use]
pub fn cpu(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i)?.parse::<u64>().ok();
    Some(Duration::from_millis(
        (ticks(11)? + ticks(12)?) * 1000 / TICKS,
    ))
}

/// Memory of a process in bytes: its own, and its part of what it shares.
#[must_use]
pub fn pss(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Of several processes together.
#[must_use]
pub fn cpu_of_all(pids: &[u32]) -> Duration {
    pids.iter().filter_map(|pid| cpu(*pid)).sum()
}

/// Of several processes together, in bytes.
#[must_use]
pub fn pss_of_all(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| pss(*pid)).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_uses_memory_and_another_than_all_does_not_exist() {
        let own = std::process::id();
        assert!(super::pss(own).is_some_and(|bytes| bytes > 100_000));
        assert!(super::cpu(own).is_some());
        assert_eq!(super::pss(u32::MAX), None);
        assert_eq!(super::cpu_of_all(&[u32::MAX]), std::time::Duration::ZERO);
    }
}
