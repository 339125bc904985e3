//! The reader against every source text of the published evaluation vectors.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use cells::{Cell, Hash, encode_message};
use cvm::reader::{read, read_all};
use serde_json::Value;

/// The vectors lie beside the repository; without them there is nothing to compare with.
fn cases() -> Option<Vec<Value>> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/cvm-eval.jsonl.gz");
    let file = File::open(path).ok()?;
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    Some(
        lines
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect(),
    )
}

/// The cells of a message: the top first, then the others as a set, since their order is free.
fn split(message: &[u8]) -> (Vec<u8>, HashSet<Vec<u8>>) {
    let decoder = cells::Decoder::new();
    let top = cells::decode_message(message, &decoder).unwrap();
    let encoding = top.encode();
    let mut rest = &message[encoding.len()..];
    let mut children = HashSet::new();
    while !rest.is_empty() {
        let head = rest.iter().position(|b| b & 0x80 == 0).unwrap() + 1;
        let len = rest[..head]
            .iter()
            .fold(0usize, |n, b| n << 7 | usize::from(b & 0x7f));
        children.insert(rest[head..head + len].to_vec());
        rest = &rest[head + len..];
    }
    (encoding, children)
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn check(src: &str, form: &Cell, case: &Value) {
    if let Some(expected) = case.get("form") {
        let expected = hex(expected.as_str().unwrap());
        assert_eq!(
            split(&encode_message(form).unwrap()),
            split(&expected),
            "{src}"
        );
    } else {
        let (len, hash) = (
            case["form_len"].as_u64().unwrap(),
            case["form_sha3"].as_str().unwrap(),
        );
        let message = encode_message(form).unwrap();
        let (top, children) = split(&message);
        assert_eq!(message.len() as u64, len, "{src}");
        let mut sorted: Vec<_> = children
            .into_iter()
            .map(|c| (Hash::of(&c).to_string(), c))
            .collect();
        sorted.sort();
        let mut bytes = top;
        for (_, child) in sorted {
            cells::vlq::write(&mut bytes, child.len() as u64);
            bytes.extend_from_slice(&child);
        }
        assert_eq!(Hash::of(&bytes).to_string(), hash, "{src}");
    }
}

#[test]
fn every_published_source_reads_as_the_published_form() {
    let Some(cases) = cases() else { return };
    let (mut forms, mut errors) = (0, 0);
    for case in &cases {
        let src = case["src"].as_str().unwrap();
        if case.get("read_error").is_some() {
            assert!(read(src).is_err(), "{src} can be read");
            errors += 1;
            continue;
        }
        let form = read(src).unwrap_or_else(|error| panic!("{src}: {error}"));
        check(src, &form, case);
        if let Some(text) = case.get("form_text") {
            assert_eq!(form.to_string(), text.as_str().unwrap(), "{src}");
        }
        let all: Vec<Cell> = read_all(src).unwrap().iter().map(Result::unwrap).collect();
        assert_eq!(all, [form], "{src}");
        forms += 1;
    }
    assert!(
        forms > 14_000 && errors > 10,
        "{forms} forms, {errors} errors"
    );
}
