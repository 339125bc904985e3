//! Chains of random blocks, applied one after another from the genesis state.

use std::collections::HashMap;

use cells::{Cell, CellError, Decoder, Map, Record, RecordKind, Signed, Vector, decode_message};
use cvm::state::{Block, State};
use cvm::transition::{BlockError, BlockOutcome, apply_block};
use cvm::{Machine, Rules};
use serde_json::Value;

use crate::compare::{self, Aspect, Findings};
use crate::form::Form;
use crate::oracle::{Oracle, OracleError};
use crate::rng::Rng;
use crate::subject::{sorted_message, under_way};
use crate::transactions::{Keys, Sent};

/// One block.
#[derive(Debug, Clone)]
pub struct BlockSpec {
    /// Number of the key that signs it.
    pub peer: usize,
    /// Milliseconds after the state's time; may be negative.
    pub after: i64,
    /// Its transactions.
    pub transactions: Vec<Sent>,
}

/// Blocks in order.
#[derive(Debug, Clone)]
pub struct Chain(Vec<BlockSpec>);

impl Chain {
    /// Some blocks of some transactions each.
    pub fn random(rng: &mut Rng) -> Self {
        let keys = Keys::new();
        let blocks = (0..rng.between(1, 6)).map(|_| {
            let peer = match rng.below(20) {
                0 => rng.below(10),
                n => n % 4,
            };
            let after = match rng.below(12) {
                0 => rng.pick_long(&[
                    -900_000,
                    -900_001,
                    -1,
                    3_600_000,
                    360_000_000,
                    31_536_000_000,
                ]),
                1 => 0,
                2 => -(rng.magnitude(12) as i64),
                _ => rng.magnitude(16) as i64,
            };
            let most = [1, 6, 14][rng.below(3)];
            let transactions = (0..rng.between(usize::from(most > 1), most))
                .map(|_| Sent::random(rng, &keys, 2))
                .collect();
            BlockSpec {
                peer,
                after,
                transactions,
            }
        });
        Self(blocks.collect())
    }

    /// Chains that are one step smaller.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let mut found = Vec::new();
        if self.0.len() > 1 {
            found.push(Self(self.0[..self.0.len() - 1].to_vec()));
        }
        for i in 0..self.0.len() {
            let mut rest = self.0.clone();
            rest.remove(i);
            found.push(Self(rest));
        }
        for (i, block) in self.0.iter().enumerate() {
            for k in 0..block.transactions.len() {
                let mut rest = self.0.clone();
                rest[i].transactions.remove(k);
                found.push(Self(rest));
            }
        }
        for (i, block) in self.0.iter().enumerate() {
            for (k, sent) in block.transactions.iter().enumerate() {
                for smaller in sent.smaller() {
                    let mut rest = self.0.clone();
                    rest[i].transactions[k] = smaller;
                    found.push(Self(rest));
                }
            }
        }
        found
    }

    /// The chain with every program changed.
    #[must_use]
    pub fn with_programs(&self, change: &dyn Fn(&Form) -> Form) -> Self {
        let blocks = self.0.iter().map(|block| BlockSpec {
            transactions: block
                .transactions
                .iter()
                .map(|sent| sent.with_programs(change))
                .collect(),
            ..block.clone()
        });
        Self(blocks.collect())
    }

    /// The blocks for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (i, block) in self.0.iter().enumerate() {
            text.push_str(&format!(
                "  block {i} of key {}, {} ms after the state's time\n",
                block.peer, block.after
            ));
            for (k, sent) in block.transactions.iter().enumerate() {
                text.push_str(&format!("    {k}: {sent}\n"));
            }
        }
        text
    }
}

/// What a comparison of a chain found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Differences of the first block that has any.
    pub findings: Findings,
    /// Blocks compared.
    pub blocks: u64,
    /// Of these, invalid ones.
    pub invalid: u64,
    /// Transactions compared.
    pub transactions: u64,
    /// Of these, successful ones.
    pub succeeded: u64,
}

/// What this tree made of a block.
struct Applied {
    outcome: Result<BlockOutcome, BlockError>,
    post: String,
    memory: u64,
    coins: i128,
}

/// Applies a chain on both sides.
///
/// # Errors
/// When the oracle is broken.
pub fn check(
    chain: &Chain,
    oracle: &mut Oracle,
    genesis: &Cell,
    keys: &Keys,
    rules: &'static Rules,
) -> Result<Checked, OracleError> {
    let mut checked = Checked::default();
    let mut requests = vec!["reset".to_owned()];
    let mut ours = Vec::new();
    if let Err(error) = apply(chain, genesis, keys, rules, &mut requests, &mut ours) {
        checked.findings.add(Aspect::Ending, "chain", error, "");
        return Ok(checked);
    }
    let replies = oracle.ask(&requests)?;
    for (number, (ours, reply)) in ours.iter().zip(&replies[1..]).enumerate() {
        checked.blocks += 1;
        compare_block(&mut checked, number, ours, reply);
        if !checked.findings.aspects().is_empty()
            || checked.findings.no_verdict
            || ours.outcome.is_err()
        {
            break;
        }
    }
    Ok(checked)
}

fn apply(
    chain: &Chain,
    genesis: &Cell,
    keys: &Keys,
    rules: &'static Rules,
    requests: &mut Vec<String>,
    ours: &mut Vec<Applied>,
) -> Result<(), CellError> {
    let mut machine = Machine::new(rules);
    let mut state = State::from_cell(genesis)?;
    // Ops are compiled against the genesis, as by a client that knows no newer state.
    let mut scratch = State::from_cell(genesis)?;
    for spec in &chain.0 {
        let mut before: HashMap<u64, i64> = HashMap::new();
        let mut transactions = Vec::new();
        for sent in &spec.transactions {
            let count = before.entry(sent.origin).or_default();
            transactions.push(sent.signed(&state, &mut machine, &mut scratch, keys, *count));
            *count += i64::from(sent.counts(&state, keys));
        }
        let block = Block {
            timestamp: state.globals().timestamp.saturating_add(spec.after),
            transactions: transactions.into_iter().collect::<Vector>(),
        };
        let signed = Cell::from(Signed::sign(keys.get(spec.peer), block.to_cell()));
        let message = sorted_message(&signed)?;
        requests.push(format!("block {}", hex::encode(&message)));
        under_way(&chain.text());
        // As a peer has it: from bytes.
        let Ok(Cell::Signed(signed)) = decode_message(&message, &Decoder::new()) else {
            return Err(CellError::Malformed("the block that was made"));
        };
        let outcome = apply_block(&mut machine, &mut state, &signed);
        let fatal = outcome.is_err();
        let cell = state.to_cell()?;
        ours.push(Applied {
            outcome,
            post: cell.hash().to_string(),
            memory: cell.memory_size()?,
            coins: state.total_coins()?,
        });
        if fatal {
            break;
        }
    }
    Ok(())
}

fn compare_block(checked: &mut Checked, number: usize, ours: &Applied, reply: &Value) {
    let place = format!("block {number}");
    let findings = &mut checked.findings;
    let outcome = match (&ours.outcome, reply["fail"].as_str()) {
        // No peer survives it; how the reference dies is a matter of time and memory.
        (Err(BlockError::Fatal(_)), Some(_)) => {
            findings.no_verdict = true;
            return;
        }
        (_, Some(exception)) if compare::is_exhaustion(exception) => {
            findings.no_verdict = true;
            return;
        }
        (Ok(outcome), None) => outcome,
        (ours, _) => {
            let aspect = if reply["fail"] == "Timeout" {
                Aspect::Timeout
            } else {
                Aspect::Ending
            };
            let reply: String = reply.to_string().chars().take(400).collect();
            findings.add(aspect, &place, format!("{ours:?}"), reply);
            return;
        }
    };
    if reply["post"].as_str() != Some(&ours.post) {
        findings.add(Aspect::State, &place, &ours.post, &reply["post"]);
    }
    if reply["mem"].as_u64() != Some(ours.memory) {
        findings.add(Aspect::Memory, &place, ours.memory, &reply["mem"]);
    }
    if reply["total_balance"].as_i64().map(i128::from) != Some(ours.coins) {
        findings.add(Aspect::Info, &place, ours.coins, &reply["total_balance"]);
    }
    let empty = Vec::new();
    let theirs = reply["txs"].as_array().unwrap_or(&empty);
    if theirs.len() != outcome.results.len() {
        findings.add(
            Aspect::Validity,
            &place,
            outcome.results.len(),
            theirs.len(),
        );
        return;
    }
    checked.invalid += u64::from(outcome.invalid.is_some());
    for (i, (ours, theirs)) in outcome.results.iter().zip(theirs).enumerate() {
        let place = format!("block {number}, transaction {i}");
        checked.transactions += 1;
        checked.succeeded += u64::from(ours.error.is_nil());
        let findings = &mut checked.findings;
        let code = theirs["error"].as_str().unwrap_or("nil");
        if ours.error.to_string() != code {
            let theirs = format!("{code} {} {}", theirs["value"], theirs["info"]);
            findings.add(
                Aspect::Code,
                &place,
                format!("{} {}", ours.error, ours.value),
                theirs,
            );
            continue;
        }
        let cell = ours.to_cell();
        if compare::same(theirs, "result", &cell) {
            continue;
        }
        let decoded = theirs["result"]
            .as_str()
            .and_then(|text| hex::decode(text).ok())
            .and_then(|bytes| decode_message(&bytes, &Decoder::new()).ok());
        let shown = format!("{} {}", theirs["value"], theirs["info"]);
        let aspect = match decoded {
            // A long one, of which only a hash is here: the value's own hash may still tell.
            None if ours.error.is_nil() && !compare::same(theirs, "value_enc", &ours.value) => {
                Aspect::Value
            }
            None => Aspect::Text,
            Some(theirs) if without_texts(&theirs).ok() == without_texts(&cell).ok() => {
                Aspect::Text
            }
            Some(_) if ours.error.is_nil() && !compare::same(theirs, "value_enc", &ours.value) => {
                Aspect::Value
            }
            Some(_) => Aspect::Info,
        };
        findings.add(aspect, &place, &cell, shown);
    }
}

/// A result without what only people read: messages, traces and addresses of errors, here and in results within it.
fn without_texts(cell: &Cell) -> Result<Cell, CellError> {
    match cell {
        Cell::Vector(items) if items.count() <= 16 => {
            let items: Result<Vector, CellError> =
                items.iter().map(|item| without_texts(&item?)).collect();
            Ok(Cell::from(items?))
        }
        Cell::Record(record) if record.kind() == Some(RecordKind::Result) => {
            let mut fields = Vec::new();
            for i in 0..5 {
                fields.push(record.field(i)?.unwrap_or(Cell::Nil));
            }
            let failed = !fields[2].is_nil();
            // The message of a Multi's failure is made of results.
            fields[1] = match &fields[1] {
                Cell::Vector(_) => without_texts(&fields[1])?,
                _ if failed => Cell::Nil,
                value => value.clone(),
            };
            if let Cell::Map(info) = &fields[4] {
                let mut kept = Vec::new();
                for entry in info.iter() {
                    let (key, value) = entry?;
                    if !matches!(key.to_string().as_str(), ":trace" | ":eaddr") {
                        kept.push((key, value));
                    }
                }
                fields[4] = Cell::from(Map::from_iter(kept));
            }
            Ok(Cell::from(Record::of_kind(RecordKind::Result, fields)))
        }
        other => Ok(other.clone()),
    }
}
