//! Between `netd` and `consensusd`.
//!
//! `netd` answers status, ping and data requests itself; everything else it passes on as it arrived. Nothing in a message from it is
//! believed: a key that a connection "has proven" decides about priority, nothing else.

use serde::{Deserialize, Serialize};

use super::Bytes;
use crate::Bounded;

/// Largest body: a message of the network, `spec/06 §2`.
pub const MAX_BODY: usize = 50_000_000;
/// Room for what is beside the body.
const HEAD: usize = 4096;
/// Most peers in a [`ToNet::Peers`].
pub const MAX_PEERS: usize = 4096;
/// Longest host name with port, bytes.
pub const MAX_HOST: usize = 300;

/// An accepted connection, or a connection that `netd` opened: numbers of this run of `netd`, never used again in it.
pub type Connection = u64;

/// From `netd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromNet {
    /// A message of an accepted connection: query, transact, challenge, belief, or the result that answers our challenge.
    /// Queries, transactions and challenges are answered by a [`ToNet::Reply`] each, whatever happens.
    Message {
        /// Where it came from.
        connection: Connection,
        /// The key that the connection has proven, says `netd`.
        trusted: Option<[u8; 32]>,
        /// The message.
        body: Bytes,
    },
    /// A challenge for this connection is wanted: answered by [`ToNet::Challenge`].
    WantChallenge {
        /// The connection.
        connection: Connection,
    },
    /// A connection to another peer is open.
    Opened {
        /// The connection.
        connection: Connection,
        /// `host:port`.
        host: String,
        /// The key that is expected there.
        key: Option<[u8; 32]>,
    },
    /// The other peer answered a [`ToNet::Request`].
    Answered {
        /// The number of the request.
        ticket: u64,
        /// The message, or why there is none.
        answer: Result<Bytes, NoAnswer>,
    },
    /// The other peer challenges us: a signed challenge, encoded. Answered by a [`ToNet::Send`] with a result message of this id, or not at all.
    Challenged {
        /// The connection.
        connection: Connection,
        /// Id of the challenge.
        id: i64,
        /// The encoding.
        signed: Bytes,
    },
    /// A connection to another peer is closed.
    Closed {
        /// The connection.
        connection: Connection,
    },
    /// How many connections to other peers there could be. Told on a new channel, and when it changes.
    Reach {
        /// Hosts of others that are known, from the settings and the state.
        named: u32,
        /// Connections that are wanted.
        target: u16,
    },
}

impl Bounded for FromNet {
    const MAX: usize = MAX_BODY + HEAD;
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoAnswer {
    /// No connection, or none any more.
    NoConnection,
    /// Too many requests wait for an answer there.
    Busy,
    /// None in time.
    Timeout,
}

/// Whom a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A connection that `netd` opened.
    Opened(Connection),
    /// An accepted connection, for cells that a belief from it lacks. Who dialled answers no requests (`spec/06 §7.2`), so `netd` answers
    /// [`NoAnswer::NoConnection`].
    Accepted(Connection),
    /// Any connection that `netd` opened, chosen at random.
    Any,
}

/// From `consensusd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToNet {
    /// A message to an accepted connection: the answer to one of its messages.
    Reply {
        /// The connection; if it is gone, so is the reply.
        connection: Connection,
        /// The message, without the length before it.
        body: Bytes,
    },
    /// The value of all status replies from now on (`spec/06 §5`), encoded.
    Status(Bytes),
    /// Our challenge for an accepted connection, signed and encoded; `None` when nobody can sign.
    Challenge {
        /// The connection.
        connection: Connection,
        /// The encoding.
        signed: Option<Bytes>,
    },
    /// Whether the answer of a connection, of either kind, to our challenge is good, and whose it is.
    Verified {
        /// The connection.
        connection: Connection,
        /// The proven key.
        key: Option<[u8; 32]>,
    },
    /// The peers of the state that can be connected to; replaces the former list. At most [`MAX_PEERS`].
    Peers(Vec<Peer>),
    /// Whether this peer is cut off from the others: then they are looked for harder. Told on a new channel, and when it changes.
    CutOff(bool),
    /// A message to all connections that `netd` opened. One that lags behind gets the newest only.
    Broadcast(Bytes),
    /// A request to another peer: answered by [`FromNet::Answered`]. The id in the message is set by `netd`.
    Request {
        /// The number by which the answer is told.
        ticket: u64,
        /// Whom.
        target: Target,
        /// What.
        request: Request,
    },
    /// A message to a connection that `netd` opened, without an answer.
    Send {
        /// The connection.
        connection: Connection,
        /// The message.
        body: Bytes,
    },
    /// Close a connection: what came from it breaks the protocol.
    Close {
        /// The connection.
        connection: Connection,
        /// For the log.
        reason: String,
    },
}

impl Bounded for ToNet {
    const MAX: usize = MAX_BODY + HEAD;
}

/// A request to another peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Its status.
    Status,
    /// Cells by hash, at most 254 (`wire::MAX_HASHES`).
    Data(Vec<[u8; 32]>),
    /// To prove its key: our signed challenge, encoded.
    Challenge(Bytes),
}

/// A peer of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its key.
    pub key: [u8; 32],
    /// `host:port`, at most [`MAX_HOST`] bytes; as the state has it, so from strangers.
    pub host: String,
    /// Its stake, coppers.
    pub stake: i64,
}
