//! Between `convexctl` and the supervisor: one [`Request`], one [`Reply`], over a socket in the run directory.
//!
//! The supervisor asks the system who is on the other side. Everybody who may open the socket may observe; operating needs the user of the
//! supervisor, root, or the group that the config names.

use serde::{Deserialize, Serialize};

use super::supervision::{Alarm, ConsensusStatus, RoleStatus};
use super::{Bytes, Role};
use crate::Bounded;

/// Largest message in bytes.
pub const MAX: usize = 1 << 20;
/// Most transactions of an armed ladder.
pub const MAX_LADDER: usize = 64;

/// From `convexctl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// What runs, and how it is. Observe.
    Status,
    /// The last lines of the log. Observe.
    Logs {
        /// Most lines.
        lines: u32,
        /// Only of this worker.
        of: Option<Role>,
        /// True to be sent further lines, a [`Reply::Logs`] each time, until this side closes.
        follow: bool,
    },
    /// Stop the peer in good order. Operate.
    Stop,
    /// Restart one worker, or all. Operate.
    Restart(Option<Role>),
    /// Read the config again. Operate.
    Reload,
    /// Stop signing and serving at once, keep the evidence, stay down. Operate.
    Panic {
        /// For the log.
        reason: String,
    },
    /// Unlock `keyd`. The passphrase follows: the next bytes of the socket up to its end, passed through a pipe unread. Operate.
    Unlock,
    /// Verify every cell of the store. Operate.
    Verify,
    /// Arm withdrawals, for consecutive sequence numbers of one account. Operate.
    Arm(Armed),
    /// Forget them. Operate.
    Disarm,
    /// Withdraw now. Operate.
    Destake {
        /// For the log.
        reason: String,
        /// True to go through everything but sending.
        drill: bool,
    },
}

impl Request {
    /// True when observing is enough.
    #[must_use]
    pub const fn is_observing(&self) -> bool {
        matches!(self, Self::Status | Self::Logs { .. })
    }
}

impl Bounded for Request {
    const MAX: usize = MAX;
}

/// Withdrawals, signed elsewhere; `convexctl` has parsed and explained them, the supervisor keeps them as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// The signed transactions, encoded, of consecutive sequence numbers. At most [`MAX_LADDER`].
    pub transactions: Vec<Bytes>,
    /// Sequence number of the first.
    pub sequence: i64,
    /// The account that signs.
    pub account: u64,
    /// The genesis at arming.
    pub network: [u8; 32],
    /// Peers to send them to, `host:port`.
    pub peers: Vec<String>,
    /// A query whose result tells whether the stake is gone, as source.
    pub check: String,
    /// The result when it is.
    pub expected: String,
    /// What they do, for people.
    pub effect: String,
}

/// From the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// Answer to [`Request::Status`].
    Status(Box<PeerStatus>),
    /// Lines of the log, oldest first.
    Logs(Vec<String>),
    /// Answer to [`Request::Verify`].
    Verified {
        /// Cells that were looked at.
        cells: u64,
        /// What is wrong.
        findings: Vec<String>,
    },
    /// Answer to [`Request::Destake`]: what each peer said.
    Destaked {
        /// Peer and outcome.
        outcomes: Vec<(String, String)>,
        /// True when a majority shows the stake gone.
        confirmed: bool,
    },
    /// Not done.
    Refused {
        /// Why.
        why: Why,
        /// For people, with the remedy.
        text: String,
    },
}

impl Bounded for Reply {
    const MAX: usize = MAX;
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The user may observe only.
    Permission,
    /// The request makes no sense now.
    State,
    /// It failed.
    Failed,
}

/// The whole peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Version of the programs.
    pub version: String,
    /// The peer key.
    pub key: [u8; 32],
    /// Hash of the genesis state; zeros while it is not known.
    pub network: [u8; 32],
    /// Who told it and when, for people, if the settings don't say it; `None` when they do.
    pub network_by: Option<String>,
    /// Where `netd` listens.
    pub listen: Vec<String>,
    /// `host:port` by which others reach this peer, as the settings say it.
    pub public_host: Option<String>,
    /// Process id of the supervisor.
    pub pid: u32,
    /// Milliseconds since its start.
    pub uptime: u64,
    /// Where the peer stands.
    pub phase: Phase,
    /// Each worker.
    pub workers: Vec<WorkerView>,
    /// Where consensus stands, if `consensusd` says so in time.
    pub consensus: Option<ConsensusStatus>,
    /// Alarms since the start, the newest last, at most 100, with the time (milliseconds since the epoch).
    pub alarms: Vec<(i64, Alarm)>,
    /// The armed withdrawal: what it does and whether it would still work.
    pub armed: Option<ArmedView>,
}

/// Where a peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Workers are being started.
    Starting,
    /// All workers are ready.
    Running,
    /// A worker is being restarted.
    Degraded,
    /// Signing is locked by an alarm or the operator.
    Locked,
    /// Stopping in good order.
    Stopping,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its role.
    pub role: Role,
    /// Its process id, while it runs.
    pub pid: Option<u32>,
    /// True when it is at work.
    pub ready: bool,
    /// Milliseconds since its start.
    pub uptime: u64,
    /// Restarts since the start of the supervisor.
    pub restarts: u32,
    /// How the last run ended, for people.
    pub last_exit: Option<String>,
    /// Memory in bytes (PSS where it can be read, else resident).
    pub memory: u64,
    /// Processor time in milliseconds.
    pub cpu: u64,
    /// Its sandbox.
    pub sandbox: Option<sandbox::Report>,
    /// What it says of itself, if it did so in time.
    pub status: Option<RoleStatus>,
    /// Its counters.
    pub counters: Vec<(String, u64)>,
}

/// An armed withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmedView {
    /// What it does.
    pub effect: String,
    /// The account that signs.
    pub account: u64,
    /// First and last sequence number that it is good for.
    pub sequences: (i64, i64),
    /// Whether it would work now: `None` when nobody could be asked yet.
    pub works: Option<bool>,
    /// Why not, for people.
    pub remark: String,
}
