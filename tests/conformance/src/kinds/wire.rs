//! `wire-transcripts`: recorded frames, read and written again.
//!
//! Checked of each frame: length prefix, body length, type, length of the top cell, number of children, and that the message which
//! was read is written with the same cells. Not checked here: what a peer answers, which depends on its state; deltas of
//! beliefs and answers to data requests are compared as they are, since what they leave out depends on what was sent before.

use ::wire::{FrameLimits, FrameReader, Header, Kind as MessageKind, MAX_MESSAGE, Message, frame};
use cells::{Cell, Decoder, decode_partial};

use super::messages::{children, sorted};
use super::{Independent, Kind, Runner, exception, has};
use crate::case::{Case, Fields};
use crate::files::VectorFile;
use crate::outcome::{Checks, Mismatch, Outcome};

/// The kind.
pub(super) struct Wire;

impl Kind for Wire {
    fn name(&self) -> &'static str {
        "wire"
    }

    fn recognises(&self, fields: &Fields) -> bool {
        has(fields, &["session", "dir"])
    }

    fn open(&self, _file: &VectorFile) -> Result<Runner, String> {
        Ok(Runner::Independent(Box::new(Frames)))
    }
}

struct Frames;

/// As wide as the network allows.
const LIMITS: FrameLimits = FrameLimits {
    belief: MAX_MESSAGE,
    result: MAX_MESSAGE,
    request: MAX_MESSAGE,
};

impl Independent for Frames {
    fn run(&self, case: &Case) -> Result<Outcome, Mismatch> {
        if case.get("hex").is_none() {
            return Ok(Outcome::Skip("an event, not a frame"));
        }
        if case.get("len").is_none() {
            return Ok(Outcome::Skip("raw bytes, not a frame"));
        }
        let bytes = case.bytes("hex")?;
        let length = case.count("len")?;
        let mut checks = Checks::default();
        let mut reader = FrameReader::new(LIMITS);
        let mut input = &bytes[..];
        let read = reader
            .read(&mut input)
            .map_err(|error| Mismatch::new("frame", "a frame", error.to_string()))?;
        if case.get("truncated").is_some() {
            checks.equal("len", length, reader.frame_length() as u64);
            return Ok(match checks.outcome() {
                Outcome::Pass => {
                    Outcome::PassAsFarAsGiven("the file holds the start of the frame only")
                }
                failed => failed,
            });
        }
        let body = read.ok_or_else(|| Mismatch::new("frame", "a whole frame", "part of one"))?;
        checks.equal("len", length, body.len() as u64);
        checks.equal("bytes after the frame", 0, input.len());
        checks.bytes("hex", &bytes, &frame(&body).unwrap_or_default());
        checks.bytes(
            "prefix",
            &case.bytes("prefix")?,
            &bytes[..bytes.len() - body.len()],
        );
        if case.get("type").is_some() {
            check_message(case, &body, &mut checks)?;
        }
        Ok(checks.outcome())
    }
}

fn check_message(case: &Case, body: &[u8], checks: &mut Checks) -> Result<(), Mismatch> {
    let (payload, missing) = decode_partial(body, &Decoder::new())
        .map_err(|error| Mismatch::new("decode", "a message", exception(&error)))?;
    let header = Header::of_payload(&payload);
    checks.equal(
        "type",
        case.text("type")?.to_owned(),
        header.kind.name().to_uppercase(),
    );
    if let Some(peeked) = Header::peek(body) {
        checks.equal("header", format!("{header:?}"), format!("{peeked:?}"));
    }
    let top_length = payload.encoded_len();
    checks.equal("top_len", case.count("top_len")?, top_length as u64);
    let children = children(body, top_length).map_err(|why| Mismatch::new("body", "cells", why))?;
    checks.equal("branches", case.count("branches")?, children.len() as u64);
    checks.bytes("top cell", &body[..top_length], &payload.encode());
    let whole = missing.is_empty() && header.kind != MessageKind::Belief;
    match Message::read(payload.clone()) {
        Ok(message) if whole && message.payload() == payload => {
            check_encoding(body, &payload, &message, checks)
        }
        // Requests that somebody wrote by hand have elements that their type does not.
        _ => Ok(()),
    }
}

fn check_encoding(
    body: &[u8],
    payload: &Cell,
    message: &Message,
    checks: &mut Checks,
) -> Result<(), Mismatch> {
    let unsortable = |why| Mismatch::new("body", "cells", why);
    let unreadable =
        |error: cells::CellError| Mismatch::new("encode", "a message", error.to_string());
    let top_length = payload.encoded_len();
    let written = message.encode().map_err(unreadable)?;
    checks.bytes(
        "cells",
        &sorted(body, top_length).map_err(unsortable)?,
        &sorted(&written, top_length).map_err(unsortable)?,
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::from_json;

    fn run(json: &str) -> Outcome {
        let case = from_json("wire", json);
        Frames
            .run(&case)
            .unwrap_or_else(|mismatch| Outcome::Fail(vec![mismatch]))
    }

    const PING: &str = r#"{"session":"client","seq":2,"dir":"C>S","hex":"0a8002330450494e471101","prefix":"0a","len":10,"top_len":10,"type":"PING","branches":0}"#;

    #[test]
    fn a_recorded_ping_passes_and_a_wrong_field_fails() {
        assert_eq!(run(PING), Outcome::Pass);
        for (from, to) in [
            ("\"PING\"", "\"STATUS\""),
            ("\"len\":10", "\"len\":11"),
            ("\"branches\":0", "\"branches\":1"),
            ("\"top_len\":10", "\"top_len\":9"),
            ("\"prefix\":\"0a\"", "\"prefix\":\"800a\""),
            ("1101\"", "1100\""),
        ] {
            let changed = PING.replace(from, to);
            assert!(matches!(run(&changed), Outcome::Fail(_)), "{changed}");
        }
    }

    #[test]
    fn notes_and_raw_bytes_are_no_frames() {
        let note = r#"{"session":"client","seq":0,"dir":"note","note":"x"}"#;
        assert!(matches!(run(note), Outcome::Skip(_)));
        let raw = r#"{"session":"client","seq":0,"dir":"C>S","hex":"00","note":"raw bytes"}"#;
        assert!(matches!(run(raw), Outcome::Skip(_)));
    }
}
