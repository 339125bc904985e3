//! The recorded sessions of clients with a reference peer, played against the process, as far as they need no consensus
//! (`../shared/vectors/wire-transcripts.jsonl`, `spec/06 §16`).

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use cells::{Cell, Decoder, decode_partial};
use common::{Client, Netd, WIDE, settings};
use ipc::Bytes;
use ipc::net::ToNet;
use serde_json::Value;
use wire::{FrameReader, Header, Kind, Message, Reply, Status};

fn lines() -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/vectors/wire-transcripts.jsonl");
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

/// Sessions of one client with a 0.8.5 peer, by name, lines in their order.
fn sessions() -> BTreeMap<String, Vec<Value>> {
    let mut sessions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines() {
        let session = text(&line, "session").to_owned();
        if session.starts_with("client") && text(&line, "setup").contains("0.8.5") {
            sessions.entry(session).or_default().push(line);
        }
    }
    sessions
}

/// Whether consensus, or a key, has to answer this; or nobody, as a result that was not asked for.
fn needs_others(body: &[u8]) -> bool {
    let header = Header::peek(body);
    matches!(
        header.map(|header| header.kind),
        Some(Kind::Query | Kind::Transact | Kind::Challenge | Kind::Belief | Kind::Result)
    )
}

fn result_of(line: &Value) -> Option<Reply> {
    if line.get("truncated").is_some() {
        return None;
    }
    let bytes = bytes(line);
    let body = FrameReader::new(WIDE).read(&mut &bytes[..]).ok()??;
    match decode_partial(&body, &Decoder::new()).ok()?.0 {
        Cell::Record(record) => Reply::read(&record).ok(),
        _ => None,
    }
}

/// What can be compared: values that the peer chose by its clock are only alike in kind.
fn shown(reply: &Reply) -> String {
    let value = match &reply.value {
        Cell::Long(_) => "a number".to_owned(),
        other => other.to_string(),
    };
    format!("{} {} {value}", reply.id, reply.error)
}

#[test]
fn what_one_peer_answers_alone_it_answers_as_recorded() {
    let mut compared = 0;
    for (name, session) in &sessions() {
        let mut netd = Netd::start(settings());
        let mut consensus = netd.consensus();
        // The status and the cells that the recorded peer had.
        let recorded: Vec<Reply> = session
            .iter()
            .filter(|l| l["dir"] == "S>C")
            .filter_map(result_of)
            .collect();
        if let Some(status) = recorded
            .iter()
            .find_map(|reply| Status::read(&reply.value).ok())
        {
            consensus.send(&ToNet::Status(Bytes::from(status.to_cell().encode())));
            let mut probe = netd.client();
            while !probe.ask(&Message::Status { id: 0 }).error.is_nil() {}
        }
        let mut cells = Vec::new();
        for reply in &recorded {
            if let Cell::Vector(values) = &reply.value
                && Status::read(&reply.value).is_err()
            {
                cells.extend(
                    values
                        .iter()
                        .filter_map(Result::ok)
                        .filter(|cell| !cell.is_nil()),
                );
            }
        }
        let _store = netd.store(&cells);
        let mut expected: Vec<&Reply> = recorded.iter().collect();
        let mut client = netd.client();
        for line in session {
            let request = bytes(line);
            // What is no message has no id by which its answer could be told.
            if line["dir"] != "C>S" || line.get("truncated").is_some() || !line["type"].is_string()
            {
                continue;
            }
            let body = FrameReader::new(WIDE)
                .read(&mut &request[..])
                .ok()
                .flatten();
            if body.as_ref().is_none_or(|body| needs_others(body)) {
                continue;
            }
            let body = body.unwrap();
            // Of sessions that use an id several times, the answer of the right kind.
            let answers =
                |reply: &Reply| match Header::peek(&body).map(|header| (header.kind, header.id)) {
                    Some((Kind::Status, Some(id))) => {
                        reply.id == Cell::Long(id) && Status::read(&reply.value).is_ok()
                    }
                    Some((Kind::Ping, Some(id))) => {
                        reply.id == Cell::Long(id) && matches!(reply.value, Cell::Long(_))
                    }
                    Some((_, Some(id))) => reply.id == Cell::Long(id),
                    _ => false,
                };
            let Some(place) = expected.iter().position(|reply| answers(reply)) else {
                continue;
            };
            let recorded = expected.remove(place);
            client.raw(&request);
            let reply = client.reply();
            assert_eq!(shown(&reply), shown(recorded), "{name} {line}");
            compared += 1;
        }
    }
    assert!(compared >= 18, "{compared}");
}

#[test]
fn every_recorded_byte_of_a_client_leaves_the_process_well() {
    let netd = Netd::start(settings());
    let mut honest = netd.client();
    let mut id = 0;
    for session in sessions().values() {
        let mut client: Option<Client> = None;
        for line in session.iter().filter(|line| line["dir"] == "C>S") {
            // Each in a connection that an earlier one may have closed.
            let connection = client.get_or_insert_with(|| netd.client());
            if connection.stream.write_all(&bytes(line)).is_err() {
                client = None;
            }
            honest.ping(id);
            id += 1;
        }
    }
    assert!(id > 100);
}
