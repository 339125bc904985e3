//! `transactions`: signed blocks applied one after another, each to the state that the one before left.

use cells::{Cell, Decoder};
use cvm::state::State;
use cvm::transition::{BlockOutcome, apply_block};
use cvm::{Machine, Rules};
use serde_json::Value;

use super::cvm_eval::{message, read_state};
use super::{Kind, Runner, Sequential, has};
use crate::case::{Case, Fields};
use crate::files::VectorFile;
use crate::outcome::{Checks, Mismatch, Outcome};

/// Blocks of the golden file whose results carry text that the Java runtime makes (`vectors/README`).
const HOST_TEXT: [u64; 9] = [9, 11, 12, 13, 14, 23, 24, 27, 54];

/// The kind.
pub(super) struct Transactions;

impl Kind for Transactions {
    fn name(&self) -> &'static str {
        "transactions"
    }

    fn recognises(&self, fields: &Fields) -> bool {
        has(fields, &["block", "pre", "post"])
    }

    fn open(&self, file: &VectorFile) -> Result<Runner, String> {
        let genesis = read_state(file)?;
        let state = State::from_cell(&genesis).map_err(|error| error.to_string())?;
        Ok(Runner::Sequential(Box::new(Chain {
            machine: Machine::new(Rules::latest()),
            state,
        })))
    }
}

/// The state after the blocks so far.
struct Chain {
    machine: Machine,
    state: State,
}

fn unreadable(error: &dyn std::fmt::Display) -> Mismatch {
    Mismatch::new("state", "a readable state", error.to_string())
}

fn decode(fields: &Value, name: &'static str) -> Result<Cell, Mismatch> {
    let malformed = || Mismatch::malformed(name, "the hex of a cell", fields.get(name));
    let bytes = fields[name]
        .as_str()
        .and_then(|text| hex::decode(text).ok())
        .ok_or_else(malformed)?;
    cells::decode_message(&bytes, &Decoder::new())
        .map_err(|error| Mismatch::new(name, "a cell", error.to_string()))
}

impl Sequential for Chain {
    fn run(&mut self, case: &Case) -> Result<Outcome, Mismatch> {
        let mut checks = Checks::default();
        let fields = Value::Object(case.fields.clone());
        let pre = self.state.hash().map_err(|error| unreadable(&error))?;
        checks.equal("pre", case.text("pre")?.to_owned(), pre.to_string());
        let block = decode(&fields, "block")?;
        checks.equal(
            "block_hash",
            case.text("block_hash")?.to_owned(),
            block.hash().to_string(),
        );
        let Cell::Signed(signed) = block else {
            return Err(Mismatch::new("block", "a signed block", block.to_string()));
        };
        let outcome = apply_block(&mut self.machine, &mut self.state, &signed)
            .map_err(|error| Mismatch::new("block", "an outcome", error.to_string()))?;
        checks.equal(
            "invalid_block",
            case.flag("invalid_block").unwrap_or(false),
            outcome.invalid.is_some(),
        );
        checks.equal("ntx", case.count("ntx")?, outcome.results.len() as u64);
        let host_text = HOST_TEXT.contains(&case.count("b")?);
        check_results(&mut checks, &fields, &outcome, host_text)?;
        let post = self.state.to_cell().map_err(|error| unreadable(&error))?;
        if !host_text {
            let hash = outcome.to_cell(post.clone()).hash().to_string();
            checks.equal(
                "block_result_hash",
                case.text("block_result_hash")?.to_owned(),
                hash,
            );
        }
        self.check_state(&mut checks, case, &fields, &post)?;
        Ok(checks.outcome())
    }
}

fn check_results(
    checks: &mut Checks,
    fields: &Value,
    outcome: &BlockOutcome,
    host_text: bool,
) -> Result<(), Mismatch> {
    let expected = fields["txs"].as_array().map_or(&[][..], Vec::as_slice);
    for (i, (result, case)) in outcome.results.iter().zip(expected).enumerate() {
        let case = if case["same"] == true {
            &expected[0]
        } else {
            case
        };
        if host_text {
            let error = case["error"].as_str().unwrap_or("nil").to_owned();
            checks.equal(
                &format!("error of transaction {i}"),
                error,
                result.error.to_string(),
            );
            continue;
        }
        let wanted = case["result"].as_str().unwrap_or_default();
        let cell = result.to_cell();
        let got = hex::encode(message(&cell)?);
        if got != wanted {
            checks.fail(Mismatch::new(
                format!("result of transaction {i}"),
                decode(case, "result")?.to_string(),
                cell.to_string(),
            ));
        }
    }
    Ok(())
}

impl Chain {
    fn check_state(
        &mut self,
        checks: &mut Checks,
        case: &Case,
        fields: &Value,
        post: &Cell,
    ) -> Result<(), Mismatch> {
        checks.equal(
            "post",
            case.text("post")?.to_owned(),
            post.hash().to_string(),
        );
        let memory = post.memory_size().map_err(|error| unreadable(&error))?;
        checks.equal("mem_size", case.count("mem_size")?, memory);
        let globals = decode(fields, "globals")?;
        checks.equal(
            "globals",
            globals.to_string(),
            self.state.globals().to_cell().to_string(),
        );
        checks.equal(
            "schedule_count",
            case.count("schedule_count")?,
            self.state.schedule().count(),
        );
        checks.equal(
            "peer_count",
            case.count("peer_count")?,
            self.state.peers().count(),
        );
        let coins = self
            .state
            .total_coins()
            .map_err(|error| unreadable(&error))?;
        checks.equal(
            "total_balance",
            fields["total_balance"].to_string(),
            coins.to_string(),
        );
        for expected in fields["accounts"].as_array().into_iter().flatten() {
            let address = expected["a"].as_u64().unwrap_or(u64::MAX);
            let Some(account) = self
                .state
                .account(address)
                .map_err(|error| unreadable(&error))?
            else {
                checks.fail(Mismatch::new(
                    format!("account #{address}"),
                    "an account",
                    "none",
                ));
                continue;
            };
            let got = serde_json::json!({
                "balance": account.balance,
                "memory": account.allowance,
                "seq": account.sequence,
                "account_hash": account.to_cell().hash().to_string(),
            });
            for (name, got) in got.as_object().into_iter().flatten() {
                checks.equal(
                    &format!("{name} of #{address}"),
                    expected[name].clone(),
                    got.clone(),
                );
            }
        }
        for expected in fields["peers"].as_array().into_iter().flatten() {
            let key = expected["key"]
                .as_str()
                .and_then(|text| hex::decode(text).ok())
                .and_then(|k| k.try_into().ok());
            let key: [u8; 32] = key.ok_or_else(|| {
                Mismatch::malformed("key", "32 bytes in hex", expected.get("key"))
            })?;
            match self.state.peer(&key).map_err(|error| unreadable(&error))? {
                None => checks.fail(Mismatch::new("peer", expected["key"].to_string(), "none")),
                Some(peer) => {
                    checks.equal(
                        "balance of a peer",
                        expected["balance"].clone(),
                        peer.balance.into(),
                    );
                    checks.equal(
                        "ts of a peer",
                        expected["ts"].clone(),
                        peer.timestamp.into(),
                    );
                    let hash = expected["hash"].as_str().unwrap_or_default().to_owned();
                    checks.equal("hash of a peer", hash, peer.to_cell().hash().to_string());
                }
            }
        }
        Ok(())
    }
}
