//! What a run was like.

use std::collections::BTreeMap;
use std::fmt;

use cells::Hash;

/// Two peers executed different blocks at one position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Milliseconds since the begin.
    pub time: u64,
    /// The peer that came second.
    pub peer: usize,
    /// Number of the block.
    pub number: u64,
}

/// Sizes and times of a run. Times are milliseconds of the simulated clocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Honest peers that ran.
    pub honest: usize,
    /// Simulated time.
    pub time: u64,
    /// Blocks that honest peers proposed.
    pub proposed: u64,
    /// Of these, blocks that are final with every honest peer.
    pub settled: u64,
    /// Blocks of honest peers that everybody executed as void: they came too late for the state.
    pub void: u64,
    /// Blocks that are final with at least one peer, those of liars included.
    pub executed: u64,
    /// From a proposal to its execution by a peer, for each honest peer, in ascending order.
    pub finality: Vec<u32>,
    /// From a proposal to its execution by the last honest peer, in ascending order.
    pub everywhere: Vec<u32>,
    /// Different blocks at one position.
    pub violations: Vec<Violation>,
    /// Peers that saw a fork of their own chain, which is fatal.
    pub forks: usize,
    /// Rounds, and how many of them merged.
    pub rounds: (u64, u64),
    /// Orders that honest peers signed.
    pub signatures: u64,
    /// Messages sent along connections, and their bytes.
    pub messages: (u64, u64),
    /// Messages that were lost, cut off or dropped by a full queue.
    pub lost: u64,
    /// Questions for missing data or by polling, and the bytes of their answers.
    pub polls: (u64, u64),
    /// Orders taken in.
    pub accepted: u64,
    /// Orders left aside at intake, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Peers at the end that had not executed everything.
    pub behind: usize,
    /// The blocks in force, told by one hash: equal for equal runs.
    pub history: Option<Hash>,
}

impl Report {
    /// True when no two honest peers executed different blocks.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.violations.is_empty() && self.forks == 0
    }

    /// So much of a sum for each second and honest peer.
    pub(crate) fn each(&self, sum: u64) -> f64 {
        let seconds = self.time.max(1) as f64 / 1000.0;
        sum as f64 / seconds / self.honest.max(1) as f64
    }

    /// True when every block of an honest peer is final with every honest peer, and has an effect.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.settled == self.proposed && self.behind == 0
    }
}

/// The value below which `percent` of an ascending list lie.
pub(crate) fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get(last * percent / 100).copied()
}

struct Times<'a>(&'a [u32]);

impl fmt::Display for Times<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |percent| percentile(self.0, percent).unwrap_or(0);
        write!(
            f,
            "median {} ms, 95% {} ms, most {} ms",
            of(50),
            of(95),
            of(100)
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: fmt::Arguments<'_>| writeln!(f, "{name:<22}{value}");
        let seconds = self.time.max(1) as f64 / 1000.0;
        let each = |n: u64| self.each(n);
        row("simulated", format_args!("{seconds:.1} s"))?;
        row("honest peers", format_args!("{}", self.honest))?;
        row(
            "blocks",
            format_args!(
                "{} proposed by honest peers, {} of them final everywhere, {} void, {} executed in all",
                self.proposed, self.settled, self.void, self.executed
            ),
        )?;
        row("finality", format_args!("{}", Times(&self.finality)))?;
        row(
            "finality everywhere",
            format_args!("{}", Times(&self.everywhere)),
        )?;
        row(
            "rounds",
            format_args!(
                "{} ({:.1} a second and peer), {} with a merge",
                self.rounds.0,
                each(self.rounds.0),
                self.rounds.1
            ),
        )?;
        row(
            "orders",
            format_args!("{} signed, {} taken in", self.signatures, self.accepted),
        )?;
        row(
            "messages",
            format_args!(
                "{} ({:.1} a second and peer), {} lost",
                self.messages.0,
                each(self.messages.0),
                self.lost
            ),
        )?;
        row(
            "bytes",
            format_args!(
                "{:.1} MB ({:.0} KB a second and peer)",
                self.messages.1 as f64 / 1e6,
                each(self.messages.1) / 1e3
            ),
        )?;
        row(
            "polls",
            format_args!("{}, {:.1} MB", self.polls.0, self.polls.1 as f64 / 1e6),
        )?;
        for (reason, count) in &self.refused {
            row("refused", format_args!("{count} {reason}"))?;
        }
        row(
            "safety",
            format_args!(
                "{} ({} violations, {} forks)",
                if self.is_safe() { "held" } else { "BROKEN" },
                self.violations.len(),
                self.forks
            ),
        )?;
        row(
            "liveness",
            format_args!(
                "{} ({} peers behind)",
                if self.is_live() { "held" } else { "BROKEN" },
                self.behind
            ),
        )
    }
}
