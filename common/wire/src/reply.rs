//! Results: the answers to requests (`spec/06 §5`).

use cells::{
    Cell, CellError, DecodeError, Hash, Keyword, Map, Record, RecordKind, Vector, decode_cell,
};

macro_rules! codes {
    ($($name:ident, $keyword:literal, $doc:literal;)*) => {
        /// Error codes that a peer itself gives. Programs may return any others.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $doc] $name,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Name of the keyword.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $keyword,)* }
            }
        }
    };
}

codes! {
    Exception, "EXCEPTION", "The request could not be handled.";
    Fatal, "FATAL", "The result could not be produced.";
    Format, "FORMAT", "The message is malformed.";
    Io, "IO", "The store failed.";
    Load, "LOAD", "The peer is overloaded.";
    Missing, "MISSING", "A cell is not available.";
    Network, "NETWORK", "The peer is cut off from the network.";
    Nobody, "NOBODY", "No such account.";
    Peer, "PEER", "The peer failed to publish.";
    Sequence, "SEQUENCE", "Sequence number out of order.";
    Signature, "SIGNATURE", "Bad signature or wrong key.";
    State, "STATE", "Not possible in this state.";
    Timeout, "TIMEOUT", "No answer in time.";
    Trust, "TRUST", "The challenge is not for this peer.";
    Unexpected, "UNEXPECTED", "A value of an unexpected type.";
}

impl From<Code> for Cell {
    fn from(code: Code) -> Self {
        Self::from(Keyword::literal(code.name()))
    }
}

/// A result record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Id of the request; nil where there is none.
    pub id: Cell,
    /// The value, or the message of an error.
    pub value: Cell,
    /// Error code; nil for success.
    pub error: Cell,
    /// Log of the execution, or nil.
    pub log: Cell,
    /// Map of further facts, or nil.
    pub info: Cell,
}

impl Reply {
    /// Success, without log and info.
    #[must_use]
    pub fn ok(id: i64, value: Cell) -> Self {
        Self {
            id: Cell::Long(id),
            value,
            error: Cell::Nil,
            log: Cell::Nil,
            info: Cell::Nil,
        }
    }

    /// An error without info, as answers to challenges have it.
    #[must_use]
    pub fn error(id: i64, code: Code, text: &str) -> Self {
        Self {
            error: code.into(),
            ..Self::ok(id, Cell::from(text))
        }
    }

    /// An error with source `:PEER`, as rejected requests have it (`spec/06 §6.4`).
    #[must_use]
    pub fn rejected(id: i64, code: Code, text: &str) -> Self {
        Self {
            info: info([("source", Cell::from(Keyword::literal("PEER")))]),
            ..Self::error(id, code, text)
        }
    }

    /// The outcome of a transaction is not known: it may have its effect yet, or may not. `:TIMEOUT` is what the client library gives itself
    /// when it has waited in vain.
    #[must_use]
    pub fn unknown(id: i64, text: &str, transaction: &Hash) -> Self {
        Self {
            info: info([
                ("source", Cell::from(Keyword::literal("PEER"))),
                ("tx", Cell::from(*transaction)),
            ]),
            ..Self::error(id, Code::Timeout, text)
        }
    }

    /// The same, marked as one of a state that others may have left behind: `:stale true`.
    ///
    /// # Errors
    /// When the info of the reply can't be read.
    pub fn stale(mut self) -> Result<Self, CellError> {
        self.add_info("stale", Cell::Bool(true))?;
        Ok(self)
    }

    /// The queue for this request stayed full (`spec/06 §12`).
    #[must_use]
    pub fn overloaded(id: i64) -> Self {
        Self::rejected(id, Code::Load, "Trx overload")
    }

    /// A cell that handling the request needed is not available (`spec/06 §6.5`).
    #[must_use]
    pub fn missing(id: i64, hash: &Hash) -> Self {
        Self::rejected(id, Code::Missing, &format!("Missing data: 0x{hash}"))
    }

    /// A message that can't be decoded. It has no id, and no trace of this peer's insides (`spec/06 §6.1`).
    #[must_use]
    pub fn undecodable(body: &[u8], error: &DecodeError) -> Self {
        Self {
            id: Cell::Nil,
            value: Cell::from(&*decode_text(body, error)),
            error: Code::Format.into(),
            log: Cell::Nil,
            info: Cell::Nil,
        }
    }

    /// The outcome of a transaction of a final block: with the id of the request, the hash of the signed transaction and its place,
    /// `[block index]` (`spec/06 §5`).
    ///
    /// # Errors
    /// When the outcome is no result record, or a field of it can't be read.
    pub fn executed(
        id: i64,
        outcome: &Record,
        transaction: &Hash,
        block: u64,
        index: u64,
    ) -> Result<Self, CellError> {
        let mut reply = Self::read(outcome)?;
        let number = |n| i64::try_from(n).map(Cell::Long).unwrap_or(Cell::Nil);
        let place: Vector = [number(block), number(index)].into_iter().collect();
        reply.id = Cell::Long(id);
        reply.add_info("tx", Cell::from(*transaction))?;
        reply.add_info("loc", Cell::from(place))?;
        Ok(reply)
    }

    /// The outcome of a query: with the id of the request, and `:source :PEER`.
    ///
    /// # Errors
    /// As [`Reply::executed`].
    pub fn queried(id: i64, outcome: &Record) -> Result<Self, CellError> {
        let mut reply = Self::read(outcome)?;
        reply.id = Cell::Long(id);
        reply.add_info("source", Cell::from(Keyword::literal("PEER")))?;
        Ok(reply)
    }

    fn add_info(&mut self, key: &'static str, value: Cell) -> Result<(), CellError> {
        let map = match std::mem::replace(&mut self.info, Cell::Nil) {
            Cell::Map(map) => map,
            _ => Map::empty(),
        };
        self.info = Cell::from(map.assoc(Cell::from(Keyword::literal(key)), value)?);
        Ok(())
    }

    /// The fields of a result record.
    ///
    /// # Errors
    /// When it is another record, or a field can't be read.
    pub fn read(record: &Record) -> Result<Self, CellError> {
        if record.kind() != Some(RecordKind::Result) {
            return Err(CellError::Malformed("no result record"));
        }
        let field = |i| record.field(i).map(|f| f.unwrap_or(Cell::Nil));
        Ok(Self {
            id: field(0)?,
            value: field(1)?,
            error: field(2)?,
            log: field(3)?,
            info: field(4)?,
        })
    }

    /// The record.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        let fields = [&self.id, &self.value, &self.error, &self.log, &self.info];
        Cell::from(Record::of_kind(
            RecordKind::Result,
            fields.map(Clone::clone),
        ))
    }

    /// The message: the record with all its branches.
    ///
    /// # Errors
    /// When a branch can't be read.
    pub fn encode(&self) -> Result<Vec<u8>, CellError> {
        cells::encode_message(&self.to_cell())
    }
}

fn info<const N: usize>(entries: [(&'static str, Cell); N]) -> Cell {
    // Flat maps of keywords have nothing that could be missing.
    let map = entries
        .into_iter()
        .try_fold(Map::empty(), |map, (key, value)| {
            map.assoc(Cell::from(Keyword::literal(key)), value)
        });
    map.map_or(Cell::Nil, Cell::from)
}

/// The text of a decoding error, in the network's words where it has some for exactly this case.
fn decode_text(body: &[u8], error: &DecodeError) -> String {
    let known = match error {
        DecodeError::BadFormat("empty message") => "Attempt to decode from empty Blob",
        DecodeError::BadFormat("bytes after nil") => "Extra bytes after nil message",
        DecodeError::BadFormat("child reaches beyond the message") => {
            "Child encoding exceeds message bounds"
        }
        DecodeError::BadFormat("child of a message has another length") => {
            "Child encoding length mismatch"
        }
        DecodeError::BadFormat(text) => {
            let first = &body[..1.min(body.len())];
            let alone = decode_cell(first, &cells::Decoder::new());
            if let (Err(DecodeError::BadFormat("unknown tag")), [byte]) = (alone, first) {
                return format!("Unrecognised tag byte 0x{byte:02x}");
            }
            text
        }
        other => return other.to_string(),
    };
    known.to_owned()
}
