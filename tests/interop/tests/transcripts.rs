//! The recorded sessions of clients with one peer of the reference (`spec/06 §16`), played to a whole peer of this tree on the same genesis
//! state: its answers are the recorded ones, but for the deviations that are listed here, each of which `docs/compatibility.md` explains. A
//! listed deviation that is none any more fails as well. Says so and does nothing where the reference, which makes the genesis state, can't
//! run.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use cells::{Cell, Decoder, Hash, Keyword, decode_message, decode_partial};
use interop::differential;
use interop::oracle::{Oracle, OracleError};
use interop::own_peer::{OwnPeer, SEED_1, key, public};
use serde_json::Value;
use wire::{FrameLimits, FrameReader, MAX_MESSAGE, Message, Reply, Status, frame};

/// The governance key of the recorded genesis.
const GOVERNANCE: &str = "12ef73ee900ed1fe78a188f59bf8cede467baa66f5b60368afaaa3b9521ab94d";

/// The recorded genesis: a peer with seed 1.
const GENESIS: &str = "c18a5e032c22ff755ea6e6f6147957f883b9e6f9788e1682ed5d7fcb2051f074";

/// Sessions that were recorded one after the other with one peer.
const FAMILIES: [&[&str]; 4] = [
    &["client"],
    &[
        "client-tx",
        "client-query",
        "client-query2",
        "client-query3",
        "client-query4",
        "client-status",
    ],
    &[
        "client-malformed1",
        "client-malformed2",
        "client-malformed3",
        "client-malformed4",
        "client-partial2",
        "client-data",
        "client-challenge",
    ],
    &[
        "lib-client-0.8.5#1",
        "lib-client-0.8.0#1",
        "client-pipeline",
        "client-sameid",
        "client-lenwrap",
        "client-len-neg",
    ],
];

/// What is done otherwise on purpose.
struct Deviation {
    session: &'static str,
    /// Place of the request in the session.
    seq: u64,
    /// What this peer does.
    here: &'static str,
    /// A row of `docs/compatibility.md`.
    why: &'static str,
}

const DEVIATIONS: &[Deviation] = &[
    Deviation {
        session: "client-query",
        seq: 1,
        here: "1 \"Bad Message Format!\" :FORMAT",
        why: "query that can't be understood but has an id",
    },
    Deviation {
        session: "client-query4",
        seq: 4,
        here: "12 \"Bad Message Format!\" :FORMAT",
        why: "query that can't be understood but has an id",
    },
    Deviation {
        session: "client-malformed4",
        seq: 10,
        here: "9 \"Bad Message Format!\" :FORMAT",
        why: "query that can't be understood but has an id",
    },
    Deviation {
        session: "client-malformed1",
        seq: 13,
        here: "nil \"input ends inside a cell\" :FORMAT",
        why: "undecodable message",
    },
    Deviation {
        session: "client-malformed1",
        seq: 16,
        here: "nothing",
        why: "undecodable result",
    },
    Deviation {
        session: "client-malformed1",
        seq: 19,
        here: "nil \"integer is not minimal\" :FORMAT",
        why: "undecodable message",
    },
    Deviation {
        session: "client-malformed1",
        seq: 25,
        here: "nil \"embedded cell among the children of a message\" :FORMAT",
        why: "undecodable message",
    },
    Deviation {
        session: "client-malformed1",
        seq: 28,
        here: "nil \"embedded cell among the children of a message\" :FORMAT",
        why: "undecodable message",
    },
    Deviation {
        session: "client-malformed1",
        seq: 40,
        here: "nil \"embedded cell among the children of a message\" :FORMAT",
        why: "undecodable message",
    },
    Deviation {
        session: "client-malformed1",
        seq: 43,
        here: "closed",
        why: "frame length with a leading `80`, or of more than 32 bits",
    },
    Deviation {
        session: "client-lenwrap",
        seq: 0,
        here: "closed",
        why: "frame length with a leading `80`, or of more than 32 bits",
    },
    Deviation {
        session: "client-challenge",
        seq: 35,
        here: "12 \"Token and context must be hashes\" :UNEXPECTED",
        why: "challenge whose token or context is no hash",
    },
    Deviation {
        session: "client-challenge",
        seq: 38,
        here: "13 \"Token and context must be hashes\" :UNEXPECTED",
        why: "challenge whose token or context is no hash",
    },
    Deviation {
        session: "client-challenge",
        seq: 41,
        here: "14 \"Token and context must be hashes\" :UNEXPECTED",
        why: "challenge whose token or context is no hash",
    },
];

/// Sessions at whose end the reference closed the connection (`spec/06 §2`, `§4.1`, `§6.3`, `§6.5`).
const CLOSED: &[&str] = &[
    "client-query",
    "client-query2",
    "client-query3",
    "client-query4",
    "client-status",
    "client-malformed2",
    "client-malformed4",
    "client-len-neg",
];

/// The session that ends inside a frame.
const IN_FRAME: &str = "client-malformed3";

/// The belief that the recorded peer had.
const BELIEF: &str = "aa1af1d8242688d7668ddaa9d10821428a18849583079871c6a53d2fac1e4043";

const WIDE: FrameLimits = FrameLimits {
    belief: MAX_MESSAGE,
    result: MAX_MESSAGE,
    request: MAX_MESSAGE,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Id of the request behind which no answer to an earlier one can come.
const FENCE: i64 = 777_000;

fn lines() -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/vectors/wire-transcripts.jsonl");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect()
}

fn bytes(line: &Value) -> Vec<u8> {
    hex::decode(line["hex"].as_str().unwrap_or_default()).expect("hex")
}

/// The genesis state of the reference, and of the recorded sessions.
fn genesis() -> Option<Cell> {
    let command = std::env::var("CONVEXD_ORACLE").unwrap_or_else(|_| differential::own_oracle());
    let mut oracle = match Oracle::start(&command) {
        Ok(oracle) => oracle,
        Err(OracleError::Lacking) => {
            println!("skipped: {}", OracleError::Lacking);
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let file = tempfile::NamedTempFile::new().expect("a file");
    let key = hex::encode(public(&SEED_1));
    let requests = [
        format!("genesis {GOVERNANCE} {key} {key}"),
        format!("dump {}", file.path().display()),
    ];
    let answers = oracle.ask(&requests).expect("answers");
    assert_eq!(answers[0]["state"], GENESIS);
    let message = fs::read(file.path()).expect("the state");
    Some(decode_message(&message, &Decoder::new()).expect("the state"))
}

/// What came from the peer.
#[derive(Debug)]
enum Came {
    Body(Vec<u8>),
    Closed,
    Nothing,
}

struct Connection {
    stream: TcpStream,
    reader: FrameReader,
    input: Vec<u8>,
    /// Answers that were read and not asked for yet.
    early: Vec<Reply>,
    /// Challenges that were read.
    challenges: usize,
}

impl Connection {
    fn open(endpoint: &str) -> Self {
        let stream = TcpStream::connect(endpoint).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            reader: FrameReader::new(WIDE),
            input: Vec::new(),
            early: Vec::new(),
            challenges: 0,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        // A connection that is closed shows when it is read.
        let _ = self.stream.write_all(bytes);
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
    fn answer(&mut self, id: Option<&Cell>) -> Result<Reply, Came> {
        let wanted = |reply: &Reply| id.is_none_or(|id| reply.id == *id);
        if let Some(place) = self.early.iter().position(wanted) {
            return Ok(self.early.remove(place));
        }
        loop {
            let body = match self.come() {
                Came::Body(body) => body,
                other => return Err(other),
            };
            let (payload, _) = decode_partial(&body, &Decoder::new()).expect("a message");
            match Message::read(payload).expect("a message") {
                Message::Result(reply) if wanted(&reply) => return Ok(reply),
                Message::Result(reply) => self.early.push(reply),
                Message::Challenge { .. } => self.challenges += 1,
                other => panic!("not for a client: {other:?}"),
            }
        }
    }

    /// Asks what is answered behind all else, both at once and by the query thread. All answers that come before; `None` when the connection
    /// is closed.
    fn rest(&mut self, in_frame: bool) -> Option<Vec<Reply>> {
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
            let body = message.encode().expect("a message");
            self.send(&frame(&body).expect("a frame"));
        }
        for id in [FENCE, FENCE + 1] {
            self.answer(Some(&Cell::Long(id))).ok()?;
        }
        Some(std::mem::take(&mut self.early))
    }
}

/// A recorded answer, and whether its value is a text that was cut off.
fn recorded(line: &Value) -> Option<(Reply, bool)> {
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
fn shown(reply: &Reply, cut: bool) -> String {
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

/// The answer to a data request: which cells it has.
fn shown_data(reply: &Reply, belief: &Hash) -> String {
    let Cell::Vector(vector) = &reply.value else {
        return shown(reply, false);
    };
    let cells: Vec<String> = (0..vector.count())
        .map(|index| match vector.get(index).expect("in memory") {
            None | Some(Cell::Nil) => "nil".to_owned(),
            Some(cell) if cell.hash() == *belief => "the belief".to_owned(),
            Some(cell) => cell.hash().to_string(),
        })
        .collect();
    format!(
        "{} {cells:?} {} {} {}",
        reply.id, reply.error, reply.log, reply.info
    )
}

fn hash(text: &str) -> Hash {
    Hash(key(text))
}

struct Play<'a> {
    peer: &'a OwnPeer,
    /// The belief at the beginning.
    belief: Hash,
    /// What differs, by session and place of the request: recorded, here.
    differences: BTreeMap<(String, u64), (String, String)>,
    compared: usize,
}

impl Play<'_> {
    fn compare(&mut self, place: (&str, u64), recorded: String, here: String) {
        self.compared += 1;
        if recorded != here {
            let place = (place.0.to_owned(), place.1);
            self.differences.insert(place, (recorded, here));
        }
    }

    /// The request as it is sent here: of the recorded belief, which nobody else can have, the belief of this peer is asked for.
    fn request(&self, line: &Value) -> (Vec<u8>, bool) {
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
            if *wanted == hash(BELIEF) {
                *wanted = self.belief;
            }
        }
        let body = Message::DataRequest(request).encode().expect("a message");
        (frame(&body).expect("a frame"), true)
    }

    fn session(&mut self, name: &str, lines: &[Value]) {
        let mut connection = Connection::open(self.peer.endpoint());
        let requests: Vec<usize> = (0..lines.len())
            .filter(|at| lines[*at]["dir"] == "C>S" && lines[*at].get("hex").is_some())
            .collect();
        let mut challenged = false;
        let mut seq = 0;
        for (number, &at) in requests.iter().enumerate() {
            seq = lines[at]["seq"].as_u64().expect("a number");
            let (bytes, data) = self.request(&lines[at]);
            connection.send(&bytes);
            let end = requests.get(number + 1).copied().unwrap_or(lines.len());
            for answer in lines[at..end].iter().filter(|line| line["dir"] == "S>C") {
                if answer["type"] == "CHALLENGE" {
                    challenged = true;
                    continue;
                }
                let Some((expected, cut)) = recorded(answer) else {
                    continue;
                };
                let came = connection.answer(Some(&expected.id));
                let text = |reply: &Reply, belief| {
                    if data {
                        shown_data(reply, belief)
                    } else {
                        shown(reply, cut)
                    }
                };
                let here = match &came {
                    Ok(reply) => text(reply, &self.belief),
                    Err(Came::Closed) => "closed".to_owned(),
                    Err(_) => "nothing".to_owned(),
                };
                self.compare((name, seq), text(&expected, &hash(BELIEF)), here);
                if matches!(came, Err(Came::Closed)) {
                    connection = Connection::open(self.peer.endpoint());
                }
            }
        }
        let recorded = if CLOSED.contains(&name) { "closed" } else { "" };
        let here = match connection.rest(name == IN_FRAME) {
            Some(replies) => {
                let replies: Vec<String> = replies.iter().map(|r| shown(r, false)).collect();
                replies.join(", ")
            }
            None => "closed".to_owned(),
        };
        if self
            .differences
            .get(&(name.to_owned(), seq))
            .is_none_or(|(_, before)| *before != here)
        {
            self.compare((name, seq), recorded.to_owned(), here);
        }
        assert_eq!(connection.challenges > 0, challenged, "{name}");
    }
}

#[test]
fn recorded_sessions_of_clients_have_the_recorded_answers() {
    let Some(genesis) = genesis() else {
        return;
    };
    let mut sessions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines() {
        let name = line["session"].as_str().expect("a name").to_owned();
        sessions.entry(name).or_default().push(line);
    }
    let mut differences = BTreeMap::new();
    let mut compared = 0;
    for family in FAMILIES {
        let peer = OwnPeer::start(&genesis, &SEED_1);
        let mut client = Connection::open(peer.endpoint());
        let body = Message::Status { id: FENCE }.encode().expect("a message");
        client.send(&frame(&body).expect("a frame"));
        let status = client.answer(None).expect("an answer");
        let mut play = Play {
            peer: &peer,
            belief: Status::read(&status.value).expect("a status").belief,
            differences: BTreeMap::new(),
            compared: 0,
        };
        for name in family {
            play.session(name, &sessions[*name]);
        }
        differences.append(&mut play.differences);
        compared += play.compared;
    }
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md");
    let page = fs::read_to_string(page).expect("the page of deviations");
    for deviation in DEVIATIONS {
        let row = format!("| {} |", deviation.why);
        assert!(page.contains(&row), "the page has no row {row}");
        let place = (deviation.session.to_owned(), deviation.seq);
        let Some((recorded, here)) = differences.remove(&place) else {
            panic!("{place:?} is no deviation any more");
        };
        assert!(
            here.starts_with(deviation.here),
            "{place:?}\n  recorded {recorded}\n  here     {here}"
        );
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(compared > 120, "{compared}");
}
