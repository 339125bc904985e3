//! Between the supervisor and a worker: datagrams of a socket pair, with descriptors.
//!
//! The worker is started with nothing but this channel, as descriptor [`crate::SUPERVISION_FD`]. The first message is
//! [`ToWorker::Start`]; the channels follow, each by a [`ToWorker::Channel`]. `stored` answers with [`FromWorker::Store`] when the store
//! is open, and the supervisor hands that on to the readers. When the channel ends, the worker ends.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{Bytes, Channel, Epoch, FdKind, Role};
use crate::Bounded;

/// Largest message of this channel in bytes.
pub const MAX_DATAGRAM: usize = 1 << 16;
/// Most descriptors that one message brings.
pub const MAX_FDS: usize = 4;

/// From the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// The first message: what to do. Descriptors: those that the settings say.
    Start(Box<Settings>),
    /// One end of a channel; it takes the place of an older one. Descriptor: a [`FdKind::Channel`].
    Channel {
        /// Which.
        channel: Channel,
        /// Which making of it.
        epoch: Epoch,
    },
    /// The store for reading; it takes the place of an older one. Descriptors: the file, and its control page ([`FdKind::Memory`]).
    /// To `consensusd` and `netd`.
    Store,
    /// Answer with a [`FromWorker::Pong`] of this number.
    Ping(u64),
    /// Answer with a [`FromWorker::Status`] of this number.
    Status(u64),
    /// `keyd`: sign nothing from now on. `netd`: answer nobody from now on. The others: as [`ToWorker::Stop`]. Nothing undoes it but a restart.
    Lock,
    /// `keyd`: here is a pipe with the passphrase. Descriptor: a [`FdKind::Secret`].
    Unlock,
    /// `stored`: verify all cells against their keys; answered by [`FromWorker::Verified`].
    Verify,
    /// New settings. What can't be changed while the worker runs must be as before.
    Reload(Box<Settings>),
    /// Finish what was accepted, and end within the time.
    Stop {
        /// Milliseconds.
        within: u32,
    },
}

impl Bounded for ToWorker {
    const MAX: usize = MAX_DATAGRAM;
}

impl ToWorker {
    /// The descriptors that come with the message.
    #[must_use]
    pub fn descriptors(&self) -> Vec<FdKind> {
        match self {
            Self::Start(settings) => settings.descriptors(),
            Self::Channel { .. } => vec![FdKind::Channel],
            Self::Store => vec![FdKind::File, FdKind::Memory],
            Self::Unlock => vec![FdKind::Secret],
            Self::Ping(_)
            | Self::Status(_)
            | Self::Lock
            | Self::Verify
            | Self::Reload(_)
            | Self::Stop { .. } => Vec::new(),
        }
    }
}

/// From a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWorker {
    /// Inside its sandbox, before the first byte from anybody else.
    Sandboxed(sandbox::Report),
    /// At work.
    Ready(Ready),
    /// From `stored`: the store is open. Descriptors: the file, opened for reading, and its control page.
    Store,
    /// Answer to [`ToWorker::Ping`].
    Pong(u64),
    /// Answer to [`ToWorker::Status`].
    Status(u64, Box<WorkerStatus>),
    /// Answer to [`ToWorker::Verify`].
    Verified {
        /// Cells that were looked at.
        cells: u64,
        /// What is wrong, in words; at most 20 lines.
        findings: Vec<String>,
    },
    /// From `consensusd`, which has an end of every channel: this one is over, although the process goes on. The supervisor makes it anew.
    Ended {
        /// Which.
        channel: Channel,
        /// Which making of it.
        epoch: Epoch,
    },
    /// Something that the operator has to know, and that the policy may act upon.
    Alarm(Alarm),
    /// The worker ends because it has to; its exit code follows. The text names the cause and the remedy.
    Fatal(String),
}

impl Bounded for FromWorker {
    const MAX: usize = MAX_DATAGRAM;
}

impl FromWorker {
    /// The descriptors that come with the message.
    #[must_use]
    pub fn descriptors(&self) -> Vec<FdKind> {
        match self {
            Self::Store => vec![FdKind::File, FdKind::Memory],
            _ => Vec::new(),
        }
    }
}

/// What a worker found when it was ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ready {
    /// `stored` has the store open.
    Stored {
        /// What recovery did, in words; empty when there was nothing to recover.
        recovery: String,
    },
    /// `keyd` holds the key.
    Keyd {
        /// True when it waits for a passphrase.
        locked: bool,
    },
    /// `consensusd` has a state.
    Consensusd {
        /// Hash of the genesis state: the network.
        network: [u8; 32],
    },
    /// `netd` listens.
    Netd,
    /// The attempt of a rescue ended.
    Rescue {
        /// The printed result of the query when there is one, else what went wrong, for people.
        outcome: String,
        /// True when the query was answered.
        answered: bool,
        /// True when the peer shows the effect.
        confirmed: bool,
    },
}

/// What an alarm is about (DESIGN §4 says what follows from each).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its kind.
    pub kind: AlarmKind,
    /// For people.
    pub text: String,
}

/// Kinds of alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AlarmKind {
    /// `keyd` was asked for what an honest `consensusd` never asks for.
    Signing,
    /// `keyd` is locked and waits for a passphrase.
    Locked,
    /// The store can't be written: disk full or an error.
    Store,
    /// The state shows another stake, controller or host of this peer.
    Chain,
    /// A clock that stepped.
    Clock,
    /// A worker sent what no honest one sends.
    Channel,
    /// The peer is cut off from the others. Its end is no alarm: the status tells.
    CutOff,
    /// A worker broke out of its sandbox, or tried to. Raised by the supervisor.
    Violation,
    /// A worker ends again and again. Raised by the supervisor.
    CrashLoop,
    /// A withdrawal began, ended, or can't work. Raised by the supervisor.
    Destake,
    /// The operator stopped the peer by `convexctl panic`. Raised by the supervisor.
    Panic,
}

/// What a worker is told at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settings {
    /// To `stored`.
    Stored(StoredSettings),
    /// To `keyd`.
    Keyd(KeydSettings),
    /// To `consensusd`.
    Consensusd(ConsensusdSettings),
    /// To `netd`.
    Netd(NetdSettings),
    /// To a rescue.
    Rescue(RescueSettings),
}

impl Settings {
    /// For whom.
    #[must_use]
    pub const fn role(&self) -> Role {
        match self {
            Self::Stored(_) => Role::Stored,
            Self::Keyd(_) => Role::Keyd,
            Self::Consensusd(_) => Role::Consensusd,
            Self::Netd(_) => Role::Netd,
            Self::Rescue(_) => Role::Rescue,
        }
    }

    /// The descriptors that come with them at the start.
    #[must_use]
    pub fn descriptors(&self) -> Vec<FdKind> {
        match self {
            Self::Keyd(settings) => {
                let mut kinds = vec![FdKind::File; 3];
                kinds.extend(settings.passphrase.then_some(FdKind::Secret));
                kinds
            }
            Self::Consensusd(settings) if settings.genesis => vec![FdKind::File],
            Self::Netd(settings) => vec![FdKind::Listener; usize::from(settings.listeners)],
            Self::Stored(_) => vec![FdKind::Directory],
            Self::Consensusd(_) | Self::Rescue(_) => Vec::new(),
        }
    }
}

/// Settings of `stored`. Descriptors with them: the store directory; it opens files in it by name, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSettings {
    /// Path of the directory, for messages.
    pub directory: String,
    /// Name of the store file in it. The redo log is beside it.
    pub file: String,
    /// Free bytes of the file system below which no batch is taken.
    pub reserve: u64,
    /// Bytes of the redo log after which it is worked into the index.
    pub checkpoint: u64,
    /// The sandbox that is demanded at least: a `sandbox::Requirements` in words.
    pub demands: String,
}

/// Settings of `keyd`. Descriptors with them: the journal ([`FdKind::File`], opened for reading and writing), the audit log (opened for
/// appending), the key store (opened for reading), and, when `passphrase` says so, a file or pipe with the passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeydSettings {
    /// Path of the key store, for messages.
    pub key_store: String,
    /// User of the supervisor, who may own the files that it passes, as root and the user of `keyd` may.
    pub supervisor: u32,
    /// The peer key.
    pub key: [u8; 32],
    /// Hash of the genesis state.
    pub network: [u8; 32],
    /// Bytes that the audit log may have.
    pub audit: u64,
    /// True when the fourth descriptor brings the passphrase; else `keyd` starts locked.
    pub passphrase: bool,
    /// The sandbox that is demanded at least: a `sandbox::Requirements` in words.
    pub demands: String,
}

/// Settings of `consensusd`. Descriptors with them: the genesis state as one message of cells, opened for reading, when `genesis` says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsensusdSettings {
    /// The peer key.
    pub key: [u8; 32],
    /// Hash of the genesis state.
    pub network: [u8; 32],
    /// True when the descriptor brings the genesis state. It is read when the store has no state of this network.
    pub genesis: bool,
    /// Threads that check signatures.
    pub verifiers: u16,
    /// Transactions that may wait for a block.
    pub queue: u32,
    /// Bytes of state and orders that may be in memory before they are read from the store again.
    pub memory: u64,
    /// For how long a sign of life of another peer counts, milliseconds.
    pub window: u64,
    /// True when queries are answered from the last state while the peer is cut off from the others.
    pub stale_queries: bool,
    /// The sandbox that is demanded at least: a `sandbox::Requirements` in words.
    pub demands: String,
}

/// Settings of `netd`. Descriptors with them: the listening sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetdSettings {
    /// The peer key.
    pub key: [u8; 32],
    /// Hash of the genesis state.
    pub network: [u8; 32],
    /// Number of listening sockets, at most [`MAX_FDS`].
    pub listeners: u8,
    /// Most accepted connections.
    pub connections: u32,
    /// Most accepted connections of one address (of IPv6: of one /64).
    pub connections_per_address: u32,
    /// Bytes that all connections together may hold in buffers.
    pub memory: u64,
    /// Close an accepted connection after so many milliseconds without a byte; 0 never.
    pub idle: u64,
    /// Networks (CIDR) that may connect; empty allows all.
    pub allow: Vec<String>,
    /// Networks (CIDR) that may not, whatever `allow` says.
    pub deny: Vec<String>,
    /// Peers to connect to, `host:port`, beside those of the state.
    pub peers: Vec<String>,
    /// Connections to other peers to keep.
    pub target: u16,
    /// Name servers, the preferred ones first.
    pub name_servers: Vec<SocketAddr>,
    /// Addresses of hosts among `peers` that are known without a name server.
    pub hosts: Vec<(String, Vec<IpAddr>)>,
    /// The sandbox that is demanded at least: a `sandbox::Requirements` in words.
    pub demands: String,
}

/// Settings of a rescue. Descriptors with them: none; it resolves and connects before its sandbox closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescueSettings {
    /// The peer to ask, `host:port`.
    pub target: String,
    /// The signed transaction, encoded; empty when nothing is to be sent, only asked.
    pub transaction: Bytes,
    /// What to ask afterwards: a query whose result tells whether it had its effect, as source. Empty: which network the peer is of; the
    /// result is the hash of the genesis state, 64 hexadecimal digits.
    pub check: String,
    /// What the result of the query looks like when it had, printed. Empty: any answer will do.
    pub expected: String,
    /// Milliseconds for everything.
    pub within: u32,
    /// The sandbox that is demanded at least: a `sandbox::Requirements` in words.
    pub demands: String,
}

/// What a worker says of itself. Counters are named as the metrics: lower case, words joined by `_`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// What only this role has to say.
    pub of_role: RoleStatus,
    /// Other counters and gauges, at most 200.
    pub counters: Vec<(String, u64)>,
}

/// What only one role has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoleStatus {
    /// `stored`.
    Stored {
        /// Bytes in use in the file.
        used: u64,
        /// Bytes of the redo log.
        log: u64,
        /// Free bytes of the file system.
        free: u64,
        /// Number of the last durable batch of the file.
        sequence: u64,
        /// Why no batches are taken, if so.
        refuses: Option<String>,
    },
    /// `keyd`.
    Keyd {
        /// True when it signs nothing: no passphrase yet, or by order.
        locked: bool,
        /// Times up to here may be signed without another sync, milliseconds since the epoch.
        ceiling: i64,
    },
    /// `consensusd`.
    Consensusd(Box<ConsensusStatus>),
    /// `netd`.
    Netd {
        /// Accepted connections.
        accepted: u32,
        /// Of them, those that have proven a peer key.
        trusted: u32,
        /// Open connections to other peers.
        opened: u32,
        /// Their addresses and keys, as far as they fit. For the operator of this peer alone: whoever knows them knows whom to attack to cut
        /// it off.
        peers: Vec<(String, Option<[u8; 32]>)>,
        /// True when connections are answered.
        serving: bool,
    },
}

/// Whether consensus is within reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// The peer has just started.
    #[default]
    Joining,
    /// It is, for all that is known.
    Connected,
    /// It is not: too little of the stake is heard from.
    Silence,
    /// It is not: blocks wait, and nothing moves.
    Standstill,
}

impl Standing {
    /// True when transactions can't become final.
    #[must_use]
    pub const fn is_cut_off(self) -> bool {
        matches!(self, Self::Silence | Self::Standstill)
    }
}

/// Where consensus and execution stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsensusStatus {
    /// Hash of the state after the last executed block.
    pub state: [u8; 32],
    /// Blocks executed.
    pub executed: u64,
    /// Own order: number of blocks, proposal, consensus and finality.
    pub points: [u64; 4],
    /// Time of the own order.
    pub order_time: i64,
    /// Time of the state.
    pub state_time: i64,
    /// Accounts.
    pub accounts: u64,
    /// Peers with stake.
    pub peers: u32,
    /// Own stake, coppers; `None` when the state has no such peer.
    pub stake: Option<i64>,
    /// `host:port` by which others reach this peer, as the state says it; strangers read it there.
    pub host: Option<String>,
    /// Part of the stake that is heard from, in thousandths.
    pub heard: u16,
    /// Whether consensus is within reach.
    pub standing: Standing,
    /// For how long, milliseconds.
    pub standing_for: u64,
    /// Transactions that wait for a block.
    pub queue: u32,
    /// True when blocks are proposed and orders signed.
    pub signing: bool,
    /// Why not, or what else keeps the peer from its work; for people.
    pub hindrance: Option<String>,
    /// How far it is, while it joins or catches up.
    pub joining: Option<JoiningStatus>,
}

/// How far a peer is that joins a network or catches up with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoiningStatus {
    /// What is going on.
    pub stage: JoiningStage,
    /// Cells that came from other peers since the start.
    pub cells: u64,
    /// Bytes of their encodings.
    pub bytes: u64,
    /// Cells in a second.
    pub cells_per_second: u64,
    /// Bytes in a second.
    pub bytes_per_second: u64,
    /// Connections to other peers.
    pub sources: u32,
    /// Blocks executed.
    pub blocks: u64,
    /// Blocks that are final, as far as is known.
    pub known_blocks: u64,
    /// Blocks in a second.
    pub blocks_per_second: u64,
    /// Seconds until this stage is over, by guess.
    pub left: Option<u64>,
}

/// What a peer that joins is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoiningStage {
    /// The genesis state comes from others.
    #[default]
    Genesis,
    /// A belief, with the blocks in it, comes from others.
    Belief,
    /// Final blocks are executed.
    Blocks,
}

impl JoiningStage {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Belief => "belief",
            Self::Blocks => "blocks",
        }
    }
}
