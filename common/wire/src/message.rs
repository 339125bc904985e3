//! Messages as types (`spec/06 §4`).

use cells::{
    Blob, Cell, CellError, DecodeError, Decoder, Hash, Keyword, RecordKind, Signed, Vector,
    decode_partial,
};

use crate::{DataRequest, Header, Kind, MAX_HASHES, Reply};

/// A message whose payload is as its type demands. Elements beyond those that a type has are dropped in reading.
#[derive(Clone)]
pub enum Message {
    /// Ask for the status.
    Status {
        /// Id.
        id: i64,
    },
    /// Evaluate a form.
    Query {
        /// Id.
        id: i64,
        /// What to evaluate.
        form: Cell,
        /// For which account; [`Message::DEFAULT_ADDRESS`] without one.
        address: Option<u64>,
    },
    /// Execute a transaction.
    Transact {
        /// Id.
        id: i64,
        /// The transaction with its signature, neither of them checked.
        transaction: Signed,
    },
    /// Ask for cells.
    DataRequest(DataRequest),
    /// Prove the peer key.
    Challenge {
        /// Id.
        id: i64,
        /// The challenge: see [`crate::check_challenge`].
        signed: Signed,
    },
    /// Ask for the clock.
    Ping {
        /// Id.
        id: i64,
    },
    /// The sender closes the connection.
    Goodbye {
        /// Last words.
        message: Option<Cell>,
    },
    /// Ask a lattice node for a value.
    LatticeQuery {
        /// Id.
        id: i64,
        /// Where.
        path: Cell,
    },
    /// A value for a lattice node.
    LatticeValue {
        /// Where.
        path: Cell,
        /// What.
        value: Cell,
    },
    /// A belief, or a signed order alone.
    Belief(Cell),
    /// The answer to a request.
    Result(Reply),
    /// No message that a peer acts upon.
    Unknown(Cell),
}

/// A payload whose type is known but whose elements are not as the type demands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unusable {} message: {why}", kind.name())]
pub struct Unusable {
    /// The type.
    pub kind: Kind,
    /// The id to answer to.
    pub id: Option<i64>,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No id to answer to.
    #[error("no id")]
    NoId,
    /// Fewer elements than the type has, or more than it may.
    #[error("wrong number of elements")]
    Count,
    /// An element of another type.
    #[error("element of the wrong type")]
    Type,
    /// An element can't be read.
    #[error("{0}")]
    Unreadable(#[from] CellError),
}

impl Message {
    /// The account for queries that name none (`spec/06 §6.3`).
    pub const DEFAULT_ADDRESS: u64 = 11;

    /// Decodes a message. Without a source in `decoder`, branches that did not come along are missing when they are used.
    ///
    /// # Errors
    /// The outer one when the bytes are no message, the inner one when the payload does not suit its type.
    pub fn decode(body: &[u8], decoder: &Decoder) -> Result<Result<Self, Unusable>, DecodeError> {
        decode_partial(body, decoder).map(|(payload, _)| Self::read(payload))
    }

    /// A decoded payload as a message.
    ///
    /// # Errors
    /// When its elements are not as its type demands.
    pub fn read(payload: Cell) -> Result<Self, Unusable> {
        let header = Header::of_payload(&payload);
        read_as(&header, payload).map_err(|why| Unusable {
            kind: header.kind,
            id: header.id,
            why,
        })
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Status { .. } => Kind::Status,
            Self::Query { .. } => Kind::Query,
            Self::Transact { .. } => Kind::Transact,
            Self::DataRequest(_) => Kind::DataRequest,
            Self::Challenge { .. } => Kind::Challenge,
            Self::Ping { .. } => Kind::Ping,
            Self::Goodbye { .. } => Kind::Goodbye,
            Self::LatticeQuery { .. } => Kind::LatticeQuery,
            Self::LatticeValue { .. } => Kind::LatticeValue,
            Self::Belief(_) => Kind::Belief,
            Self::Result(_) => Kind::Result,
            Self::Unknown(_) => Kind::Unknown,
        }
    }

    /// The value that is sent.
    #[must_use]
    pub fn payload(&self) -> Cell {
        let id = |id: &i64| Cell::Long(*id);
        let elements = match self {
            Self::Status { id: i } | Self::Ping { id: i } => vec![id(i)],
            Self::Query {
                id: i,
                form,
                address,
            } => vec![
                id(i),
                form.clone(),
                address.map_or(Cell::Nil, Cell::Address),
            ],
            Self::Transact {
                id: i,
                transaction: signed,
            }
            | Self::Challenge { id: i, signed } => vec![id(i), Cell::from(signed.clone())],
            Self::DataRequest(request) => {
                let hashes = request.hashes.iter().map(|hash| Cell::from(*hash));
                std::iter::once(request.id.clone()).chain(hashes).collect()
            }
            Self::Goodbye { message } => message.iter().cloned().collect(),
            Self::LatticeQuery { id: i, path } => vec![id(i), path.clone()],
            Self::LatticeValue { path, value } => vec![path.clone(), value.clone()],
            Self::Belief(cell) | Self::Unknown(cell) => return cell.clone(),
            Self::Result(reply) => return reply.to_cell(),
        };
        let keyword = self
            .kind()
            .keyword()
            .map(|k| Cell::from(Keyword::literal(k)));
        let vector: Vector = keyword.into_iter().chain(elements).collect();
        Cell::from(vector)
    }

    /// The bytes of the message with all its branches. Beliefs are sent as deltas instead ([`cells::encode_delta`]), answers to
    /// data requests as [`crate::answer_data`] makes them.
    ///
    /// # Errors
    /// When a branch can't be read.
    pub fn encode(&self) -> Result<Vec<u8>, CellError> {
        cells::encode_message(&self.payload())
    }
}

fn read_as(header: &Header, payload: Cell) -> Result<Message, Why> {
    let vector = match (header.kind, &payload) {
        (Kind::Belief, _) => return Ok(Message::Belief(payload)),
        (Kind::Unknown, _) => return Ok(Message::Unknown(payload)),
        (Kind::Result, Cell::Record(r)) if r.kind() == Some(RecordKind::Result) => {
            return Ok(Message::Result(Reply::read(r)?));
        }
        (_, Cell::Vector(v)) => v,
        _ => return Err(Why::Type),
    };
    let id = || header.id.ok_or(Why::NoId);
    let at_least = |n: u64| {
        if vector.count() < n {
            Err(Why::Count)
        } else {
            Ok(())
        }
    };
    let element = |i: u64| vector.get(i)?.ok_or(Why::Count);
    let signed = |i: u64| match element(i)? {
        Cell::Signed(signed) => Ok(signed),
        _ => Err(Why::Type),
    };
    Ok(match header.kind {
        Kind::Status => Message::Status { id: id()? },
        Kind::Ping => Message::Ping { id: id()? },
        Kind::Query => {
            let id = id()?;
            at_least(4)?;
            let address = match element(3)? {
                Cell::Address(address) => Some(address),
                _ => None,
            };
            Message::Query {
                id,
                form: element(2)?,
                address,
            }
        }
        Kind::Transact => Message::Transact {
            id: id()?,
            transaction: signed(2)?,
        },
        Kind::Challenge => Message::Challenge {
            id: id()?,
            signed: signed(2)?,
        },
        Kind::DataRequest => Message::DataRequest(data_request(vector)?),
        Kind::Goodbye => Message::Goodbye {
            message: vector.get(1)?,
        },
        Kind::LatticeQuery => Message::LatticeQuery {
            id: id()?,
            path: vector.get(2)?.unwrap_or(Cell::Nil),
        },
        Kind::LatticeValue => Message::LatticeValue {
            path: element(1)?,
            value: element(2)?,
        },
        // Returned above.
        Kind::Belief | Kind::Result | Kind::Unknown => return Err(Why::Type),
    })
}

fn data_request(vector: &Vector) -> Result<DataRequest, Why> {
    if !(2..=MAX_HASHES as u64 + 2).contains(&vector.count()) {
        return Err(Why::Count);
    }
    let mut elements = vector.iter().skip(1);
    let id = elements.next().ok_or(Why::Count)??;
    let hash = |element: Result<Cell, CellError>| match element? {
        Cell::Blob(blob) => Blob::as_key(&blob).map(|key| Hash(*key)).ok_or(Why::Type),
        _ => Err(Why::Type),
    };
    let hashes = elements.map(hash).collect::<Result<_, Why>>()?;
    Ok(DataRequest { id, hashes })
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.payload() == other.payload()
    }
}

impl Eq for Message {}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind().name(), self.payload())
    }
}
