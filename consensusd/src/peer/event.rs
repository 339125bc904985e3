//! What happens to a peer, and what it wants done.

use std::sync::Arc;

use cells::{Cell, Hash, Signed};
use crypto::{AccountKey, Signature};
use signing::challenge::ReceivedChallenge;
use wire::Reply;

use super::connectivity::Standing;

/// A connection, by the number that `netd` gave it.
pub type Connection = u64;

/// What happens.
pub enum Event {
    /// Transactions of clients that passed the checks on a recent state, in the order in which they arrived.
    Transactions(Vec<Submitted>),
    /// A belief, or a signed order alone.
    Belief {
        /// The accepted connection that sent it.
        connection: Connection,
        /// The peer that the connection has proven to be, says `netd`.
        trusted: Option<AccountKey>,
        /// The message.
        message: Cell,
        /// Its length.
        bytes: usize,
    },
    /// A challenge to this peer, of this network, with a good signature.
    Challenged {
        /// Where the answer goes.
        to: Challenger,
        /// Id of the request.
        id: i64,
        /// The challenge.
        challenge: ReceivedChallenge,
    },
    /// An accepted connection answered our challenge with this.
    Proof {
        /// The connection.
        connection: Connection,
        /// What it signed, if anything.
        answer: Option<Signed>,
    },
    /// `netd` wants a challenge for this accepted connection.
    WantChallenge(Connection),
    /// A connection to another peer is open.
    Opened(Connection),
    /// A connection to another peer is closed.
    Closed(Connection),
    /// How many connections to other peers there could be.
    Reach(Reach),
    /// The answer to a request, `None` when there is none.
    Answered {
        /// Number of the request.
        ticket: u64,
        /// The answer.
        answer: Option<Reply>,
    },
    /// What came of a request to sign.
    Signed {
        /// Number of the request.
        ticket: u64,
        /// The answer.
        answer: KeyAnswer,
    },
    /// All batches up to this one are durable.
    Durable(u64),
    /// This batch and those behind it were not taken, and are to be sent again after a while.
    NotStored {
        /// Number of the first of them.
        sequence: u64,
        /// Why, for people.
        text: String,
    },
    /// A channel was made anew, or ended.
    Link(Channel, bool),
}

/// How far connections could reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Hosts of others that are known, from the settings and the state.
    pub named: usize,
    /// Connections that are wanted.
    pub target: usize,
}

/// A channel to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// `netd`.
    Net,
    /// `stored`.
    Store,
    /// `keyd`.
    Key,
}

/// A transaction of a client.
#[derive(Clone)]
pub struct Submitted {
    /// Where the result goes.
    pub requester: Requester,
    /// The transaction. Its signature was checked.
    pub signed: Signed,
    /// Its hash.
    pub hash: Hash,
    /// The account that it acts for.
    pub origin: u64,
    /// Bytes of it and all below it.
    pub size: usize,
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requester {
    /// The connection.
    pub connection: Connection,
    /// Id of the request.
    pub id: i64,
}

/// Where a challenge came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenger {
    /// An accepted connection.
    Accepted(Connection),
    /// A connection to another peer.
    Opened(Connection),
}

/// What `keyd` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAnswer {
    /// The signature, and the signed value where only the signer knew it.
    Signed(Signature, Option<Cell>),
    /// It won't sign this: name of the reason.
    Refused(String),
    /// It signs nothing.
    Locked,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// To `netd`.
    Net(Outgoing),
    /// A request to `keyd`.
    Sign {
        /// By which the answer is told.
        ticket: u64,
        /// The request.
        request: Vec<u8>,
    },
    /// A batch to `stored`.
    Store(Arc<Batch>),
    /// What checks and queries go by from now on.
    View(Arc<View>),
    /// Something for the operator.
    Alarm(AlarmKind, String),
    /// Whether the peer can take part in consensus has changed; the part of the stake that is heard from, in thousandths.
    Standing(Standing, u16),
    /// The peer can't go on.
    Fatal(String),
    /// The first state is durable: at work.
    Ready,
}

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlarmKind {
    /// The store does not take data.
    Store,
    /// The clock stepped.
    Clock,
    /// Stake, controller or host of this peer changed.
    Chain,
    /// Another process sent what no honest one sends.
    Channel,
}

/// For `netd`.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// Answers of the peer itself.
    Replies(Vec<(Connection, Reply)>),
    /// Results of a block.
    Results(Results),
    /// The value of all status replies from now on, as a message.
    Status(Vec<u8>),
    /// Our challenge for an accepted connection; `None` when nobody can sign.
    Challenge(Connection, Option<Vec<u8>>),
    /// Whose key the answer to our challenge proves.
    Verified(Connection, Option<AccountKey>),
    /// The peers of the state that can be connected to: key, `host:port`, stake.
    Peers(Vec<(AccountKey, String, i64)>),
    /// Whether this peer is cut off from the others.
    CutOff(bool),
    /// A message to all connections to other peers.
    Broadcast(Vec<u8>),
    /// A request to another peer.
    Request(u64, Target, Request),
    /// A message to one connection to another peer.
    Send(Connection, Vec<u8>),
    /// A connection is to be closed, and why.
    Close(Connection, String),
}

/// Whom a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A connection to another peer.
    Opened(Connection),
    /// An accepted connection.
    Accepted(Connection),
}

/// A request to another peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Its status.
    Status,
    /// Cells by hash.
    Data(Vec<Hash>),
    /// The answer to a challenge.
    Challenge(Vec<u8>),
}

/// Results for the clients that wait for them.
#[derive(Debug, Clone)]
pub struct Results {
    /// Number of the block in the chain.
    pub block: u64,
    /// The block result record.
    pub record: Cell,
    /// For whom: number of the transaction in the block, its hash, who waits.
    pub waiting: Vec<(u64, Hash, Requester)>,
}

/// Cells that become durable together.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// One more than that of the batch before.
    pub sequence: u64,
    /// Cells, children first, as `ToStore::Cells` has them; in pieces of bounded size.
    pub pieces: Vec<Vec<u8>>,
    /// The root from this batch on; `None` for cells alone.
    pub root: Option<Hash>,
}

/// What checks of transactions and queries go by.
#[derive(Debug, Clone)]
pub struct View {
    /// The state after the executed blocks.
    pub state: Cell,
    /// Why no transactions are taken, if so.
    pub closed: Option<&'static str>,
    /// True while consensus is out of reach.
    pub cut_off: bool,
}
