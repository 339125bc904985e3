//! The recorded sessions with peers of the reference (`spec/06 §16`): reading them, and playing them to a peer of this tree.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use cells::{Cell, Decoder, Hash, Keyword, Signed, decode_message, decode_partial};
use serde_json::Value;
use wire::{FrameLimits, FrameReader, MAX_MESSAGE, Message, Reply, Status, frame};

use crate::oracle::Oracle;
use crate::own_peer::{GOVERNANCE, key};

/// Frames of any length.
pub const WIDE: FrameLimits = FrameLimits {
    belief: MAX_MESSAGE,
    result: MAX_MESSAGE,
    request: MAX_MESSAGE,
};

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Id of the request behind which no answer to an earlier one can come.
pub const FENCE: i64 = 777_000;

/// All lines of all sessions.
///
/// # Panics
/// When they can't be read.
#[must_use]
pub fn lines() -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/vectors/wire-transcripts.jsonl");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect()
}

/// The bytes of a line.
///
/// # Panics
/// When they are no hex.
#[must_use]
pub fn bytes(line: &Value) -> Vec<u8> {
    hex::decode(line["hex"].as_str().unwrap_or_default()).expect("hex")
}

/// The genesis state that the reference makes for peers with these keys, which has this hash. `None` where the reference can't run.
///
/// # Panics
/// When it makes another.
#[must_use]
pub fn genesis(peers: &[[u8; 32]], expected: &str) -> Option<Cell> {
    let mut oracle = Oracle::chosen()?;
    let file = tempfile::NamedTempFile::new().expect("a file");
    let keys: Vec<String> = peers.iter().map(hex::encode).collect();
    let requests = [
        format!("genesis {GOVERNANCE} {} {}", keys[0], keys.join(" ")),
        format!("dump {}", file.path().display()),
    ];
    let answers = oracle.ask(&requests).expect("answers");
    assert_eq!(answers[0]["state"], expected);
    let message = fs::read(file.path()).expect("the state");
    Some(decode_message(&message, &Decoder::new()).expect("the state"))
}

/// What came from the peer.
#[derive(Debug)]
pub enum Came {
    /// A message.
    Body(Vec<u8>),
    /// The end of the connection.
    Closed,
    /// Nothing in time.
    Nothing,
}

/// A connection to a peer, which waits for what it reads.
pub struct Connection {
    stream: TcpStream,
    reader: FrameReader,
    input: Vec<u8>,
    /// Answers that were read and not asked for yet.
    early: Vec<Reply>,
    /// Challenges that were read and not asked for.
    pub challenges: Vec<(i64, Signed)>,
}

impl Connection {
    /// To the peer at this endpoint.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn open(endpoint: &str) -> Self {
        let stream = TcpStream::connect(endpoint).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            reader: FrameReader::new(WIDE),
            input: Vec::new(),
            early: Vec::new(),
            challenges: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        // A connection that is closed shows when it is read.
        let _ = self.stream.write_all(bytes);
    }

    /// Sends a message.
    ///
    /// # Panics
    /// When it is too long.
    pub fn ask(&mut self, message: &Message) {
        let body = message.encode().expect("a message");
        self.send(&frame(&body).expect("a frame"));
    }

    /// The next challenge, within this time.
    ///
    /// # Panics
    /// When something comes that no client is sent.
    pub fn challenge(&mut self, within: Duration) -> Option<(i64, Signed)> {
        self.stream
            .set_read_timeout(Some(within))
            .expect("a timeout");
        while self.challenges.is_empty() {
            match self.come() {
                Came::Body(body) => self.keep(&body),
                Came::Closed | Came::Nothing => break,
            }
        }
        self.stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout");
        (!self.challenges.is_empty()).then(|| self.challenges.remove(0))
    }

    fn keep(&mut self, body: &[u8]) {
        let (payload, _) = decode_partial(body, &Decoder::new()).expect("a message");
        match Message::read(payload).expect("a message") {
            Message::Result(reply) => self.early.push(reply),
            Message::Challenge { id, signed } => self.challenges.push((id, signed)),
            other => panic!("not for a client: {other:?}"),
        }
    }

    fn come(&mut self) -> Came {
        loop {
            let mut input = &self.input[..];
            let body = self.reader.read(&mut input).expect("frames of the peer");
            let rest = input.to_vec();
            self.input = rest;
            if let Some(body) = body {
                return Came::Body(body);
            }
            let mut chunk = [0; 1 << 16];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Came::Closed,
                Ok(length) => self.input.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Came::Closed,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Came::Nothing,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    /// The next answer, with this id if one is given.
    ///
    /// # Errors
    /// What came instead.
    ///
    /// # Panics
    /// When something comes that no client is sent.
    pub fn answer(&mut self, id: Option<&Cell>) -> Result<Reply, Came> {
        let wanted = |reply: &Reply| id.is_none_or(|id| reply.id == *id);
        loop {
            if let Some(place) = self.early.iter().position(wanted) {
                return Ok(self.early.remove(place));
            }
            match self.come() {
                Came::Body(body) => self.keep(&body),
                other => return Err(other),
            }
        }
    }

    /// Asks what is answered behind all else, both at once and by the query thread. All answers that come before; `None` when the connection
    /// is closed.
    ///
    /// # Panics
    /// When something comes that no client is sent.
    pub fn rest(&mut self, in_frame: bool) -> Option<Vec<Reply>> {
        if in_frame {
            // More would belong to the frame. The other end answers what it has before it closes too.
            let _ = self.stream.shutdown(Shutdown::Write);
            return match self.answer(None) {
                Ok(reply) => Some(vec![reply]),
                Err(_) => Some(std::mem::take(&mut self.early)),
            };
        }
        let form = Cell::Long(1);
        for message in [
            Message::Ping { id: FENCE },
            Message::Query {
                id: FENCE + 1,
                form,
                address: None,
            },
        ] {
            self.ask(&message);
        }
        for id in [FENCE, FENCE + 1] {
            self.answer(Some(&Cell::Long(id))).ok()?;
        }
        Some(std::mem::take(&mut self.early))
    }
}

/// A recorded answer, and whether its value is a text that was cut off.
#[must_use]
pub fn recorded(line: &Value) -> Option<(Reply, bool)> {
    let bytes = bytes(line);
    let prefix = line["prefix"].as_str()?.len() / 2;
    let top = usize::try_from(line["top_len"].as_u64()?).ok()?;
    let body = match line.get("truncated") {
        Some(_) => &bytes[prefix..prefix + top],
        None => &bytes[prefix..],
    };
    let Cell::Record(record) = decode_partial(body, &Decoder::new()).ok()?.0 else {
        return None;
    };
    if let Ok(reply) = Reply::read(&record) {
        return Some((reply, false));
    }
    let field = |index| record.field(index).ok().flatten();
    let reply = Reply {
        id: field(0)?,
        value: Cell::from(""),
        error: field(2)?,
        log: Cell::Nil,
        info: Cell::Nil,
    };
    Some((reply, true))
}

/// What is to be the same: all but clocks, the belief, which has the signature of a time in it, states with the time of a block in them, and
/// the traces of the reference.
///
/// # Panics
/// When the answer is not whole.
#[must_use]
pub fn shown(reply: &Reply, cut: bool) -> String {
    let value = match (&reply.value, Status::read(&reply.value)) {
        (_, Ok(status)) => {
            let state = if status.state == status.genesis {
                "genesis"
            } else {
                "later"
            };
            format!(
                "status {} {} {:?} {state}",
                status.genesis, status.peer, status.points
            )
        }
        (Cell::Long(time), _)
            if *time > 1_700_000_000_000
                && *time < 1_000_000_000_000_000
                && reply.info.is_nil() =>
        {
            "a time".to_owned()
        }
        (Cell::Str(_), _) if cut => "a text".to_owned(),
        (value, _) => value.to_string(),
    };
    let mut info = reply.info.clone();
    if let (Cell::Map(map), true) = (&info, reply.id.is_nil()) {
        let trace = Cell::from(Keyword::literal("trace"));
        let without = map.clone().dissoc(&trace).expect("in memory");
        info = if without.is_empty() {
            Cell::Nil
        } else {
            Cell::from(without)
        };
    }
    format!("{} {value} {} {} {info}", reply.id, reply.error, reply.log)
}

/// The answer to a data request: which cells it has, those with a name by their name.
///
/// # Panics
/// When the answer is not whole.
#[must_use]
pub fn shown_data(reply: &Reply, names: &[(Hash, &str)]) -> String {
    let Cell::Vector(vector) = &reply.value else {
        return shown(reply, false);
    };
    let name = |hash: Hash| {
        let name = names.iter().find(|(named, _)| *named == hash);
        name.map_or_else(|| hash.to_string(), |(_, name)| (*name).to_owned())
    };
    let cells: Vec<String> = (0..vector.count())
        .map(|index| match vector.get(index).expect("in memory") {
            None | Some(Cell::Nil) => "nil".to_owned(),
            Some(cell) => name(cell.hash()),
        })
        .collect();
    format!(
        "{} {cells:?} {} {} {}",
        reply.id, reply.error, reply.log, reply.info
    )
}

/// A request as it is sent here: instead of cells that nobody else can have, since a time is signed in them, others are asked for.
///
/// # Panics
/// When it can't be encoded again.
#[must_use]
pub fn request(line: &Value, instead: &[(Hash, Hash)]) -> (Vec<u8>, bool) {
    let recorded = bytes(line);
    let body = FrameReader::new(WIDE)
        .read(&mut &recorded[..])
        .ok()
        .flatten();
    let message = body
        .and_then(|body| Some(decode_partial(&body, &Decoder::new()).ok()?.0))
        .and_then(|payload| Message::read(payload).ok());
    let Some(Message::DataRequest(mut request)) = message else {
        return (recorded, false);
    };
    for wanted in &mut request.hashes {
        if let Some((_, other)) = instead.iter().find(|(hash, _)| hash == wanted) {
            *wanted = *other;
        }
    }
    let body = Message::DataRequest(request).encode().expect("a message");
    (frame(&body).expect("a frame"), true)
}

/// The belief that the recorded peers had at first.
pub const BELIEF: &str = "aa1af1d8242688d7668ddaa9d10821428a18849583079871c6a53d2fac1e4043";

/// A hash in hex.
#[must_use]
pub fn hash(text: &str) -> Hash {
    Hash(key(text))
}
