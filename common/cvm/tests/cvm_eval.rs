//! The evaluations of `../shared/vectors/cvm-eval.jsonl.gz`: reader, compiler, execution, juice and state.
//!
//! Without those files nothing is tested, and the test says so. `CVM_EVAL_SHOW=n` prints up to n differences of
//! each kind; `CVM_EVAL_ONLY=number` runs one case.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use cells::{Cell, Decoder, decode_message};
use cvm::state::State;
use cvm::{Context, Exit, Machine, Outcome, Rules, Start};
use serde_json::Value;

fn vectors() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    dir.is_dir().then_some(dir)
}

/// The multi-cell encoding with branches in the order of their hashes.
fn sorted_message(cell: &Cell) -> Vec<u8> {
    let mut below = BTreeMap::new();
    let mut open = cells::branches(cell);
    while let Some(branch) = open.pop() {
        let child = branch.get().unwrap();
        if below.insert(child.hash().0, child.encode()).is_none() {
            open.extend(cells::branches(&child));
        }
    }
    let mut out = cell.encode();
    for encoding in below.values() {
        cells::vlq::write(&mut out, encoding.len() as u64);
        out.extend_from_slice(encoding);
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// True when `cell` is what the fields `name`, or `name_len` and `name_sha3`, say.
fn same(case: &Value, name: &str, cell: &Cell) -> bool {
    let message = sorted_message(cell);
    match case.get(name).and_then(Value::as_str) {
        Some(text) => hex(&message) == text,
        None => {
            case[format!("{name}_len")].as_u64() == Some(message.len() as u64)
                && case[format!("{name}_sha3")].as_str()
                    == Some(&cells::Hash::of(&message).to_string())
        }
    }
}

struct Seen {
    outcome: Outcome,
    juice: u64,
    log: Vec<Cell>,
    state: String,
    memory: i64,
}

struct Bench {
    machine: Machine,
    state: State,
    memory: i64,
}

impl Bench {
    fn start(case: &Value) -> Start {
        Start {
            origin: case["as"].as_u64().unwrap(),
            limit: case["juice_limit"].as_u64().unwrap(),
            location: (-1, 0),
            signer: None,
            peer: None,
        }
    }

    /// Runs `f` on the genesis state, looks at the state afterwards, and undoes everything.
    fn run(&mut self, case: &Value, f: impl FnOnce(&mut Context<'_>) -> Outcome) -> Seen {
        let mark = self.state.mark();
        let mut ctx = Context::new(&mut self.machine, &mut self.state, Self::start(case));
        let outcome = f(&mut ctx);
        let (juice, log) = (ctx.juice(), std::mem::take(&mut ctx.log));
        let cell = self.state.to_cell().unwrap();
        let memory = cell.memory_size().unwrap() as i64 - self.memory;
        let state = cell.hash().to_string();
        self.state.rollback(mark);
        Seen {
            outcome,
            juice,
            log,
            state,
            memory,
        }
    }
}

/// Differences between an outcome and what the vector says; the first element of each is its kind.
fn differences(expected: &Value, seen: &Seen, soft: bool) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let mut differ = |kind, text: String| found.push((kind, text));
    let ok = expected["ok"].as_bool().unwrap();
    match &seen.outcome {
        Ok(value) => {
            if !ok {
                differ(
                    "value for error",
                    format!("{value} for {}", expected["error"]),
                );
            } else if !same(expected, "value_enc", value) {
                differ("value", format!("{value} for {}", expected["value"]));
            }
        }
        Err(Exit::Error(error)) => {
            if ok || !same(expected, "error_enc", &error.code) {
                differ(
                    "error",
                    format!("{} {} for {expected}", error.code, error.message),
                );
            } else if soft {
                if !same(expected, "message_enc", &error.message) {
                    differ(
                        "message",
                        format!("{} for {}", error.message, expected["message"]),
                    );
                }
                if error.address != expected["eaddr"].as_u64() {
                    differ(
                        "eaddr",
                        format!("{:?} for {}", error.address, expected["eaddr"]),
                    );
                }
                let trace = error.trace.iter().map(cvm::Trace::text).collect::<Vec<_>>();
                if Value::from(trace.clone()) != expected["trace"] {
                    differ("trace", format!("{trace:?} for {}", expected["trace"]));
                }
            }
        }
        Err(Exit::Juice) => {
            if expected["error"].as_str() != Some(":JUICE") {
                differ("error", format!("juice failure for {expected}"));
            }
        }
        Err(other) => differ("abort", format!("{other:?} for {expected}")),
    }
    if expected["juice"].as_u64().unwrap_or(0) != seen.juice {
        differ("juice", format!("{} for {}", seen.juice, expected["juice"]));
    }
    if expected["state"].as_str() != Some(&seen.state) {
        differ("state", format!("{} for {}", seen.state, expected["state"]));
    }
    if expected["mem_delta"].as_i64().unwrap_or(0) != seen.memory {
        differ(
            "memory",
            format!("{} for {}", seen.memory, expected["mem_delta"]),
        );
    }
    let log: cells::Vector = seen.log.iter().cloned().collect();
    let expected_log = expected
        .get("log")
        .and_then(Value::as_str)
        .unwrap_or("8000");
    if hex(&sorted_message(&Cell::from(log))) != expected_log {
        differ("log", format!("{:?} for {expected_log}", seen.log));
    }
    found
}

#[test]
fn every_recorded_evaluation_has_the_recorded_outcome() {
    let Some(dir) = vectors() else {
        println!("skipped: no ../shared/vectors");
        return;
    };
    let show: usize = std::env::var("CVM_EVAL_SHOW")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(3);
    let only: Option<u64> = std::env::var("CVM_EVAL_ONLY")
        .ok()
        .and_then(|s| s.parse().ok());
    let genesis = decode_message(
        &std::fs::read(dir.join("genesis-085.bin")).unwrap(),
        &Decoder::new(),
    )
    .unwrap();
    let mut text = String::new();
    let file = std::fs::File::open(dir.join("cvm-eval.jsonl.gz")).unwrap();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();

    let memory = genesis.memory_size().unwrap() as i64;
    let state = State::from_cell(&genesis).unwrap();
    let mut bench = Bench {
        machine: Machine::new(Rules::latest()),
        state,
        memory,
    };
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut cases = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        if only.is_some_and(|n| case["n"].as_u64() != Some(n)) {
            continue;
        }
        cases += 1;
        for (kind, text) in check(&mut bench, &case) {
            let count = counts.entry(kind).or_default();
            *count += 1;
            if *count <= show {
                let source = case["src"].as_str().unwrap_or("");
                let (source, text) = (
                    source.chars().take(400).collect::<String>(),
                    text.chars().take(700).collect::<String>(),
                );
                println!("{kind}: #{} {source}\n    {text}", case["n"]);
            }
        }
    }
    println!("{cases} cases; differences: {counts:?}");
    assert!(counts.is_empty(), "{counts:?}");
}

fn check(bench: &mut Bench, case: &Value) -> Vec<(&'static str, String)> {
    let source = case["src"].as_str().unwrap();
    let form = match cvm::reader::read(source) {
        Err(error) => {
            return if case.get("read_error").is_some() {
                vec![]
            } else {
                vec![("read", error.to_string())]
            };
        }
        Ok(form) => form,
    };
    if case.get("read_error").is_some() {
        return vec![("read", format!("{form} was read"))];
    }
    let mut found = Vec::new();
    if !same(case, "form", &form) {
        found.push(("form", form.to_string()));
    }
    if case.get("throws").is_some() {
        let seen = bench.run(case, |ctx| ctx.run(&form));
        if !matches!(&seen.outcome, Err(Exit::Abort(abort)) if matches!(**abort, cvm::Abort::HostFault(_)))
        {
            found.push(("abort", format!("{:?} for a host fault", seen.outcome)));
        }
        return found;
    }
    // Compilation alone, which the recorder ran without the limit of the case.
    let compile = Cell::Core(257);
    let mut unlimited = case.clone();
    unlimited["juice_limit"] = Value::from(cvm::juice::TRANSACTION_LIMIT);
    let compiled = bench.run(&unlimited, |ctx| {
        ctx.call(&compile, std::iter::once(form.clone()).collect())
    });
    match (&compiled.outcome, case.get("compile_fails").is_some()) {
        (Ok(op), false) => {
            if !same(case, "op", op) {
                found.push(("op", format!("{op} {}", hex(&sorted_message(op)))));
            }
            if case["compile_juice"].as_u64() != Some(compiled.juice) {
                found.push((
                    "compile juice",
                    format!("{} for {}", compiled.juice, case["compile_juice"]),
                ));
            }
        }
        (Err(_), true) => {}
        (outcome, _) => found.push(("compile", format!("{outcome:?}"))),
    }
    let seen = bench.run(case, |ctx| ctx.run(&form));
    found.extend(differences(&case["r"], &seen, true));
    // The op that was recorded, executed as it is.
    if let Ok(op) = &compiled.outcome {
        let seen = bench.run(case, |ctx| ctx.run(op));
        let mut expected = case.get("ro").unwrap_or(&case["r"]).clone();
        if let Some(juice) = case.get("op_juice") {
            expected["juice"] = juice.clone();
        }
        found.extend(differences(&expected, &seen, false).into_iter().map(
            |(kind, text)| match kind {
                "juice" => ("juice of op", text),
                "value" => ("value of op", text),
                kind => (kind, text),
            },
        ));
    }
    found
}
