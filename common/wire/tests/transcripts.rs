//! The recorded frames of reference peers, in `../shared/vectors/wire-transcripts.jsonl` (`spec/06 §16`).

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::path::PathBuf;

use cells::{Cell, Decoder, Hash, decode_partial, vlq};
use crypto::SigningKey;
use serde_json::Value;
use signing::{Decision, Identity, Now, Rates, Signer};
use wire::{
    Acceptor, AcceptorConfig, Action, CloseReason, DropReason, FrameLimits, FrameReader, Header,
    Kind, MAX_MESSAGE, Message, Reply, Status, answer_data, check_challenge, frame,
};

const LIMITS: FrameLimits = FrameLimits {
    belief: MAX_MESSAGE,
    result: MAX_MESSAGE,
    request: MAX_MESSAGE,
};

/// The private seed of peer 1 in the recordings.
const SEED_1: &str = "000000121030506ee10cc1c695ecbdea216aac6ab46feff0a19a8f0f0ddf81ef";

fn lines() -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/vectors/wire-transcripts.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_default()
}

fn bytes(line: &Value) -> Vec<u8> {
    hex::decode(text(line, "hex")).unwrap()
}

/// Frames whose bytes are there in full, that were sent as such.
fn whole_frames() -> Vec<(Value, Vec<u8>)> {
    let whole = |line: &Value| line["len"].is_u64() && line.get("truncated").is_none();
    lines()
        .into_iter()
        .filter(whole)
        .map(|line| {
            let bytes = bytes(&line);
            let mut input = &bytes[..];
            let body = FrameReader::new(LIMITS).read(&mut input).unwrap().unwrap();
            assert!(input.is_empty());
            (line, body)
        })
        .collect()
}

/// The top cell and the children, sorted: their order is free.
fn parts(body: &[u8], top_length: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (top, mut rest) = body.split_at(top_length);
    let mut children = Vec::new();
    while !rest.is_empty() {
        let (length, prefix) = vlq::read(rest).unwrap();
        let (child, after) = rest[prefix..].split_at(length as usize);
        children.push(child.to_vec());
        rest = after;
    }
    children.sort();
    (top.to_vec(), children)
}

fn top_length(line: &Value) -> usize {
    line["top_len"].as_u64().map_or(0, |n| n as usize)
}

#[test]
fn every_frame_is_read_and_written_with_the_same_bytes() {
    let frames = whole_frames();
    assert!(frames.len() > 700, "{}", frames.len());
    for (line, body) in frames {
        assert_eq!(body.len() as u64, line["len"].as_u64().unwrap());
        assert_eq!(frame(&body).unwrap(), bytes(&line), "{line}");
    }
}

#[test]
fn every_frame_has_the_type_that_was_recorded() {
    let mut seen = BTreeMap::<&str, u32>::new();
    for (line, body) in whole_frames() {
        let Some(expected) = line["type"].as_str() else {
            continue;
        };
        let kind = Kind::ALL
            .iter()
            .find(|k| k.name().to_uppercase() == expected);
        let kind = kind.unwrap_or_else(|| panic!("{expected}"));
        let (payload, _) = decode_partial(&body, &Decoder::new()).unwrap();
        let header = Header::of_payload(&payload);
        assert_eq!(header.kind, *kind, "{line}");
        if let Some(peeked) = Header::peek(&body) {
            assert_eq!(peeked, header, "{line}");
        } else {
            assert_eq!(*kind, Kind::DataRequest, "{line}");
        }
        *seen.entry(kind.name()).or_default() += 1;
    }
    assert_eq!(seen.len(), Kind::ALL.len(), "{seen:?}");
}

/// Sessions whose requests somebody wrote byte by byte.
fn is_made_by_hand(line: &Value) -> bool {
    let session = text(line, "session");
    let by_hand = ["client", "0.8.0 client", "lattice-node"];
    by_hand.iter().any(|start| session.starts_with(start))
}

#[test]
fn every_message_is_encoded_with_the_same_cells() {
    let mut exact = BTreeMap::<&str, u32>::new();
    let mut odd = 0;
    for (line, body) in whole_frames() {
        if line["type"].is_null() {
            continue;
        }
        let (payload, missing) = decode_partial(&body, &Decoder::new()).unwrap();
        let message = match Message::read(payload.clone()) {
            Ok(message) if message.payload() == payload => message,
            // Made by hand: no peer and no library sends what its type does not have.
            _ if is_made_by_hand(&line) => {
                odd += 1;
                continue;
            }
            other => panic!("{other:?} {line}"),
        };
        *exact.entry(message.kind().name()).or_default() += 1;
        let recorded = parts(&body, top_length(&line));
        let (top, children) = match message.kind() {
            // Deltas and answers to data requests leave cells out on purpose.
            Kind::Belief => (payload.encode(), recorded.1.clone()),
            _ if !missing.is_empty() => (payload.encode(), recorded.1.clone()),
            _ => parts(&message.encode().unwrap(), payload.encoded_len()),
        };
        assert_eq!((top, children), recorded, "{line}");
    }
    assert!(odd < 60, "{odd}");
    for kind in Kind::ALL {
        assert!(exact.contains_key(kind.name()), "{kind:?}: {exact:?}");
    }
}

#[test]
fn beliefs_are_written_as_deltas_of_the_recorded_cells() {
    let mut count = 0;
    for (line, body) in whole_frames() {
        if line["type"] != "BELIEF" {
            continue;
        }
        let decoder = Decoder::new();
        let (top, _) = decode_partial(&body, &decoder).unwrap();
        let mut cells: Vec<Cell> = Vec::new();
        let mut rest = &body[top_length(&line)..];
        while !rest.is_empty() {
            let (length, prefix) = vlq::read(rest).unwrap();
            let (child, after) = rest[prefix..].split_at(length as usize);
            let hash = Hash::of(child);
            cells.push(cells::decode_stored(hash, child, &decoder).unwrap());
            rest = after;
        }
        cells.reverse();
        cells.push(top);
        assert_eq!(cells::encode_delta(&cells), body, "{line}");
        count += 1;
    }
    assert!(count > 100, "{count}");
}

#[test]
fn data_requests_are_answered_with_the_recorded_bytes() {
    let mut asked: HashMap<(String, Vec<u8>), Message> = HashMap::new();
    let mut count = 0;
    for (line, body) in whole_frames() {
        let session = text(&line, "session").to_owned();
        let (payload, _) = decode_partial(&body, &Decoder::new()).unwrap();
        match Message::read(payload) {
            Ok(Message::DataRequest(request)) if line["dir"] == "C>S" => {
                let key = (session, request.id.encode());
                asked.insert(key, Message::DataRequest(request));
            }
            Ok(Message::Result(reply)) if line["dir"] == "S>C" => {
                let request = asked.remove(&(session, reply.id.encode()));
                let (Some(Message::DataRequest(request)), Cell::Vector(values)) =
                    (request, reply.value)
                else {
                    continue;
                };
                let mut store = HashMap::new();
                for (hash, value) in request.hashes.iter().zip(values.iter_refs()) {
                    let value = value.unwrap().get().unwrap();
                    if !value.is_nil() {
                        assert_eq!(value.hash(), *hash);
                        store.insert(*hash, value.encode());
                    }
                }
                let answer = answer_data(&request, MAX_MESSAGE, |hash| {
                    Ok::<_, Infallible>(store.get(hash).cloned())
                });
                let top = top_length(&line);
                assert_eq!(parts(&answer.unwrap(), top), parts(&body, top), "{line}");
                count += 1;
            }
            _ => {}
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn every_recorded_status_is_read_and_written_alike() {
    let mut count = 0;
    for (line, body) in whole_frames() {
        let Ok(Ok(Message::Result(reply))) = Message::decode(&body, &Decoder::new()) else {
            continue;
        };
        if let Ok(status) = Status::read(&reply.value) {
            assert_eq!(status.to_cell(), reply.value, "{line}");
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

fn identity_of(session: &[&Value]) -> Option<(SigningKey, Identity)> {
    let mut seed = [0; 32];
    hex::decode_to_slice(SEED_1, &mut seed).unwrap();
    let key = SigningKey::from_seed(&seed);
    let network = |line: &&Value| {
        let body = bytes(line);
        let mut input = &body[..];
        let body = FrameReader::new(LIMITS).read(&mut input).ok()??;
        let Ok(Ok(Message::Challenge { signed, .. })) = Message::decode(&body, &Decoder::new())
        else {
            return None;
        };
        let received = signing::challenge::ReceivedChallenge::read(&signed)?;
        received.network().copied()
    };
    // The peer names its network in its own challenges.
    let network = session
        .iter()
        .filter(|l| l["dir"] == "S>C")
        .find_map(network)?;
    let identity = Identity {
        key: key.account_key(),
        network,
    };
    Some((key, identity))
}

/// Sessions of one client with a 0.8.5 peer, by name.
fn sessions(all: &[Value]) -> BTreeMap<&str, Vec<&Value>> {
    let mut sessions: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for line in all {
        let session = text(line, "session");
        if session.starts_with("client") && text(line, "setup").contains("0.8.5") {
            sessions.entry(session).or_default().push(line);
        }
    }
    sessions
}

#[test]
fn challenges_are_answered_with_the_recorded_signatures() {
    let all = lines();
    let session = &sessions(&all)["client-challenge"];
    let (key, identity) = identity_of(session).unwrap();
    let now = Now {
        wall: 1_795_245_000_000,
        steady: 0,
    };
    let mut signer = Signer::new(identity, None, Rates::default(), now);
    let mut recorded: BTreeMap<i64, (Cell, Cell)> = BTreeMap::new();
    let mut given: BTreeMap<i64, Reply> = BTreeMap::new();
    for line in session {
        if line.get("truncated").is_some() || line["dir"] == "note" {
            continue;
        }
        let bytes = bytes(line);
        let mut input = &bytes[..];
        let body = FrameReader::new(LIMITS).read(&mut input).unwrap().unwrap();
        let (payload, _) = decode_partial(&body, &Decoder::new()).unwrap();
        let header = Header::of_payload(&payload);
        let id = header.id.unwrap();
        match payload {
            Cell::Record(r) => {
                let reply = Reply::read(&r).unwrap();
                recorded.insert(id, (reply.value, reply.error));
            }
            Cell::Vector(payload) if line["dir"] == "C>S" => {
                let reply = check_challenge(&payload, id, &identity).map_or_else(
                    |reply| reply,
                    |received| match signer.submit(&received.encode(), [0; 32], now) {
                        Decision::Sign(approval) => {
                            let signature = key.sign(&approval.message(&identity.key));
                            let value = approval.value().clone();
                            let signed = cells::Signed::new(identity.key, signature, value);
                            Reply::ok(id, Cell::from(signed))
                        }
                        other => panic!("{id}: {other:?}"),
                    },
                );
                given.insert(id, reply);
            }
            _ => {}
        }
    }
    // 12 to 14 carry a token that is no hash, which the reference signs and this peer does not, on purpose.
    let odd_tokens = [11, 12, 13, 14];
    let mut same = 0;
    for (id, (value, error)) in &recorded {
        if odd_tokens.contains(id) {
            continue;
        }
        let reply = &given[id];
        assert_eq!(
            (&reply.value, &reply.error),
            (value, error),
            "challenge {id}"
        );
        same += 1;
    }
    assert!(same >= 7, "{same}");
}

/// What an acceptor does with the bytes that a client sent in a session.
fn play(session: &[&Value]) -> Vec<Action> {
    let key = SigningKey::from_seed(&[1; 32]).account_key();
    let identity = Identity {
        key,
        network: Hash([2; 32]),
    };
    let now = Now {
        wall: 1_795_244_799_200,
        steady: 0,
    };
    let mut connection = Acceptor::new(identity, AcceptorConfig::default(), now);
    let mut actions = Vec::new();
    for line in session {
        if line["dir"] == "C>S" && line.get("truncated").is_none() {
            let bytes = bytes(line);
            let mut input = &bytes[..];
            while let Some(action) = connection.receive(&mut input, now) {
                actions.push(action);
            }
        }
    }
    actions
}

/// Id, error and value of a reply; the value only where the peer chose it.
fn shown(frame_bytes: &[u8]) -> String {
    let mut input = frame_bytes;
    let body = FrameReader::new(LIMITS).read(&mut input).unwrap().unwrap();
    let (Cell::Record(record), _) = decode_partial(&body, &Decoder::new()).unwrap() else {
        panic!("no result");
    };
    let reply = Reply::read(&record).unwrap();
    let value = match &reply.value {
        Cell::Long(_) => "time".to_owned(),
        other => other.to_string(),
    };
    format!("{} {} {value}", reply.id, reply.error)
}

fn summary(actions: &[Action]) -> Vec<String> {
    let line = |action: &Action| match action {
        Action::Send(bytes) => shown(bytes),
        Action::AnswerStatus { id } => format!("status {id}"),
        Action::AnswerData(request) => format!("data {}", request.id),
        Action::Forward(f) => format!("{} {:?}", f.kind.name(), f.id),
        Action::AskChallenge => "ask".to_owned(),
        Action::Drop(reason) => format!("drop {}", reason.name()),
        Action::Close(reason) => format!("close {}", reason.name()),
    };
    actions.iter().map(line).collect()
}

#[test]
fn odd_requests_are_answered_as_recorded() {
    let all = lines();
    let sessions = sessions(&all);
    let play = |name: &str| play(&sessions[name]);
    assert_eq!(
        summary(&play("client-status")),
        [
            "status 1",
            "drop no_id",
            "drop no_id",
            "3 nil time",
            "4 :FORMAT \"Unrecognised message type\"",
            "drop lattice_value",
            "drop unknown",
            "drop unknown",
            "drop unknown",
            "drop unknown",
            "drop unknown",
            "drop unexpected_result",
            "drop unknown",
            "drop unknown",
            "8 nil time",
            "close goodbye",
        ]
    );
    assert_eq!(
        summary(&play("client-malformed4")),
        ["5 nil time", "7 nil time", "8 nil time", "query Some(9)"]
    );
    assert_eq!(
        summary(&play("client-malformed2")),
        ["close frame_too_long"]
    );
    assert_eq!(summary(&play("client-lenwrap")), ["close frame_too_long"]);
    assert_eq!(summary(&play("client-len-neg")), ["close frame_too_long"]);
    assert_eq!(
        summary(&play("client-query2")),
        [
            "query Some(1)",
            "query Some(2)",
            "query Some(3)",
            "close query_without_id"
        ]
    );
    assert_eq!(
        summary(&play("client-query3")),
        ["query Some(9223372036854775807)", "close query_without_id"]
    );
    // The reference closes here; a reply says more.
    assert_eq!(
        summary(&play("client-query")),
        ["1 :FORMAT \"Bad Message Format!\""]
    );
    let malformed = summary(&play("client-malformed1"));
    assert_eq!(
        malformed[..4],
        [
            "nil :FORMAT \"Attempt to decode from empty Blob\"",
            "1 nil time",
            "nil :FORMAT \"Unrecognised tag byte 0xff\"",
            "nil :FORMAT \"Unrecognised tag byte 0x05\"",
        ]
    );
    assert_eq!(
        malformed
            .iter()
            .filter(|l| l.starts_with("nil :FORMAT"))
            .count(),
        11
    );
    assert_eq!(
        malformed.last().map(String::as_str),
        Some("close padded_length")
    );
    assert!(
        malformed.contains(&"5 nil time".to_owned()),
        "an unrelated child is no error"
    );
}

#[test]
fn every_recorded_data_request_is_answered_or_dropped_as_recorded() {
    let all = lines();
    let actions = play(&sessions(&all)["client-data"]);
    let answered = actions
        .iter()
        .filter(|a| matches!(a, Action::AnswerData(_)))
        .count();
    let dropped = actions
        .iter()
        .filter(|a| **a == Action::Drop(DropReason::BadDataRequest))
        .count();
    assert!(answered > 5 && dropped >= 3, "{:?}", summary(&actions));
    assert!(!actions.contains(&Action::Close(CloseReason::FrameTooLong)));
}
