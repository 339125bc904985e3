//! What a run is about. Times are milliseconds.

/// One of the ways in which a peer can lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malice {
    /// Signs two orders of one time with different chains, each said to be final, and shows one to each half of the others.
    Equivocate,
    /// Orders from the future and from long ago, blocks that are too old.
    TimeTravel,
    /// Orders whose blocks nobody can get until seconds later.
    Withhold,
    /// Orders in the names of others, with signatures that are wrong.
    Forge,
    /// Orders that are none: short or rising points, wrong types, chains with what is no block, nil for the orders of others.
    Malform,
    /// Beliefs with the orders of hundreds that nobody knows.
    Crowd,
    /// Blocks whose data come bit by bit when they are asked for, and never to an end.
    Endless,
    /// Blocks from an hour ahead. The protocol has no answer to them (`spec/05 §20` number 5), so that a run with them shows the damage.
    FutureBlocks,
}

/// A time during which two groups of peers don't hear each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Begin.
    pub from: u64,
    /// End.
    pub to: u64,
    /// Size of the first group in percent of all peers.
    pub percent: u64,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Number of peers, all staked.
    pub peers: usize,
    /// Decides everything that looks like chance.
    pub seed: u64,
    /// For how long blocks are proposed.
    pub load: u64,
    /// For how long the network may take after that to make all of them final.
    pub drain: u64,
    /// Time between two blocks, anywhere in the network.
    pub interval: u64,
    /// Transactions of a block.
    pub transactions: usize,
    /// Connections that each peer makes; beliefs go along them.
    pub degree: usize,
    /// Least and greatest latency of a connection.
    pub latency: (u64, u64),
    /// Lost messages of a thousand.
    pub loss: u64,
    /// Greatest difference of a clock from the true time, either way.
    pub skew: u64,
    /// Least time between two rounds of a peer.
    pub round: u64,
    /// Stakes fall from first to last peer as one by n to this power, in hundredths; 0 makes them equal.
    pub steepness: u32,
    /// Peers that never run.
    pub offline: usize,
    /// Peers that show their first belief again and again through the first half of the load, deaf to all others.
    pub stale: usize,
    /// Restarts from the stored belief, spread over the load.
    pub restarts: usize,
    /// Peers that lie.
    pub malicious: usize,
    /// Peers with the least stake that counts, the others have ten times as much: many hosts of one attacker. They lie.
    pub sybils: usize,
    /// Peers of which two instances run with one key, one on each side of a cut, neither knowing of the other.
    pub twins: usize,
    /// How those lie that do, each the next way.
    pub malice: Vec<Malice>,
    /// Cuts of the network.
    pub partitions: Vec<Partition>,
    /// Ask the sender at once for what a belief lacks, instead of waiting for the next poll.
    pub ask: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            peers: 20,
            seed: 1,
            load: 5_000,
            drain: 20_000,
            interval: 200,
            transactions: 4,
            degree: 10,
            latency: (5, 80),
            loss: 0,
            skew: 5,
            round: 10,
            steepness: 0,
            offline: 0,
            stale: 0,
            restarts: 0,
            malicious: 0,
            sybils: 0,
            twins: 0,
            malice: vec![
                Malice::Equivocate,
                Malice::TimeTravel,
                Malice::Withhold,
                Malice::Forge,
            ],
            partitions: Vec::new(),
            ask: true,
        }
    }
}

/// Idle wait of a round (`spec/05 §1.2`).
pub(crate) const IDLE: u64 = 30;
/// Quiet time after which a belief is sent again.
pub(crate) const REBROADCAST: u64 = 300;
/// Time between two looks at whether to poll.
pub(crate) const POLL: u64 = 500;
/// Age of the state from which a peer polls.
pub(crate) const POLL_DELAY: i64 = 2_000;
/// Beliefs that wait for a round; surplus is dropped.
pub(crate) const QUEUE: usize = 200;
/// Begin of the run, milliseconds since the epoch.
pub(crate) const START: i64 = 1_735_056_000_000;
