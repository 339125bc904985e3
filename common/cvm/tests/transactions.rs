//! The golden blocks of the reference: `transactions.jsonl` of the shared vectors, applied one after another.
//!
//! Skipped, saying so, where the vectors are not beside the workspace.

use std::path::PathBuf;

use cells::{Cell, Decoder, Signed, decode_message};
use cvm::state::{PeerStatus, State};
use cvm::transition::apply_block;
use cvm::{Machine, Rules};
use serde_json::Value;

/// Blocks whose result text the host of the reference makes (vectors/README, surprises 1 and 2).
const HOST_TEXT: [u64; 9] = [9, 11, 12, 13, 14, 23, 24, 27, 54];

fn vectors(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/vectors")
        .join(name);
    let found = std::fs::read(&path);
    if found.is_err() {
        println!("skipped: no shared vectors at {}", path.display());
    }
    found.ok()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).expect("hex") as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn decode(hex: &Value) -> Cell {
    decode_message(&unhex(hex.as_str().expect("hex text")), &Decoder::new()).expect("a cell")
}

fn key(hex: &Value) -> [u8; 32] {
    unhex(hex.as_str().expect("hex text"))
        .try_into()
        .expect("32 bytes")
}

/// Differences between what happened and what should have, in words.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn check(
        &mut self,
        what: impl std::fmt::Display,
        got: impl std::fmt::Display,
        expected: &Value,
    ) {
        let got = got.to_string();
        let expected = expected
            .as_str()
            .map_or_else(|| expected.to_string(), str::to_owned);
        if got != expected {
            self.0
                .push(format!("{what}: got {got}, expected {expected}"));
        }
    }
}

fn check_state(state: &mut State, case: &Value, differences: &mut Differences) {
    let cell = state.to_cell().expect("a state in memory");
    differences.check("post", cell.hash(), &case["post"]);
    differences.check(
        "memory size",
        cell.memory_size().expect("in memory"),
        &case["mem_size"],
    );
    differences.check(
        "globals",
        state.globals().to_cell().hash(),
        &Value::from(decode(&case["globals"]).hash().to_string()),
    );
    differences.check(
        "schedule count",
        state.schedule().count(),
        &case["schedule_count"],
    );
    differences.check("peer count", state.peers().count(), &case["peer_count"]);
    differences.check(
        "coins",
        state.total_coins().expect("in memory"),
        &case["total_balance"],
    );
    for expected in case["accounts"].as_array().into_iter().flatten() {
        let address = expected["a"].as_u64().expect("address");
        let Some(account) = state.account(address).expect("in memory") else {
            differences.0.push(format!("#{address} is missing"));
            continue;
        };
        differences.check(
            format!("balance of #{address}"),
            account.balance,
            &expected["balance"],
        );
        differences.check(
            format!("memory of #{address}"),
            account.allowance,
            &expected["memory"],
        );
        differences.check(
            format!("sequence of #{address}"),
            account.sequence,
            &expected["seq"],
        );
        differences.check(
            format!("hash of #{address}"),
            account.to_cell().hash(),
            &expected["account_hash"],
        );
    }
    for expected in case["peers"].as_array().into_iter().flatten() {
        let peer: Option<PeerStatus> = state.peer(&key(&expected["key"])).expect("in memory");
        let Some(peer) = peer else {
            differences
                .0
                .push(format!("peer {} is missing", expected["key"]));
            continue;
        };
        differences.check("peer balance", peer.balance, &expected["balance"]);
        differences.check("peer time", peer.timestamp, &expected["ts"]);
        differences.check("peer hash", peer.to_cell().hash(), &expected["hash"]);
    }
}

#[test]
fn every_golden_block_gives_the_state_and_results_of_the_reference() {
    let (Some(genesis), Some(lines)) = (vectors("genesis-085.bin"), vectors("transactions.jsonl"))
    else {
        return;
    };
    let genesis = decode_message(&genesis, &Decoder::new()).expect("genesis");
    let mut state = State::from_cell(&genesis).expect("a state");
    let mut machine = Machine::new(Rules::latest());
    let mut blocks = 0;
    let mut texts = Vec::new();
    for line in String::from_utf8(lines).expect("text").lines() {
        let case: Value = serde_json::from_str(line).expect("JSON");
        let number = case["b"].as_u64().expect("block number");
        let mut differences = Differences::default();
        differences.check("pre", state.hash().expect("in memory"), &case["pre"]);
        let block = decode(&case["block"]);
        differences.check("block hash", block.hash(), &case["block_hash"]);
        let Cell::Signed(signed) = block else {
            panic!("block {number} is not signed")
        };
        let signed: Signed = signed;
        let outcome = apply_block(&mut machine, &mut state, &signed).expect("an outcome");

        differences.check("invalid", outcome.invalid.is_some(), &case["invalid_block"]);
        let expected = case["txs"].as_array().expect("transactions");
        differences.check("results", outcome.results.len(), &case["ntx"]);
        for (i, (result, expected)) in outcome.results.iter().zip(expected).enumerate() {
            let expected = if expected["same"] == true {
                &case["txs"][0]
            } else {
                expected
            };
            let wanted = decode(&expected["result"]);
            if HOST_TEXT.contains(&number) {
                let code = expected["error"].as_str().expect("an error");
                differences.check(format!("error {i}"), &result.error, &Value::from(code));
            } else if result.to_cell() != wanted {
                let text = format!(
                    "block {number} result {i} ({}):\n     got {}\n     expected {wanted}",
                    expected["note"],
                    result.to_cell()
                );
                // A wrong wording does not stop the chain; everything wrong is shown at the end.
                if result.error.to_string() == expected["error"].as_str().unwrap_or("nil") {
                    texts.push(text);
                } else {
                    differences.0.push(text);
                }
            }
        }
        check_state(&mut state, &case, &mut differences);
        if !HOST_TEXT.contains(&number) && texts.is_empty() {
            let result = outcome.to_cell(state.to_cell().expect("in memory"));
            differences.check("block result", result.hash(), &case["block_result_hash"]);
        }
        assert!(
            differences.0.is_empty(),
            "block {number} ({}):\n  {}\n  ({:?})\n{}",
            case["note"],
            differences.0.join("\n  "),
            outcome.invalid,
            texts.join("\n  ")
        );
        blocks += 1;
    }
    assert!(
        texts.is_empty(),
        "{} wordings differ:\n  {}",
        texts.len(),
        texts.join("\n  ")
    );
    assert_eq!(blocks, 70);
    let last = vectors("final-085.bin").expect("stands beside the others");
    assert_eq!(
        state.to_cell().expect("in memory"),
        decode_message(&last, &Decoder::new()).expect("a state")
    );
}
