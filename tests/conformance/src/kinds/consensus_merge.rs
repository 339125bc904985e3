//! `consensus-merge`: merges of beliefs, with everything around them that decides orders and states (`spec/05 §24`).

use std::collections::HashMap;
use std::fmt::Display;

use cells::{Cell, Decoder, Hash, Signed, Vector};
use consensus::{
    Belief, BlockFault, Context, Decision, DropReason, Electorate, Order, OrderFault,
    ProgressError, check_block, executable, joining_order, merge,
};
use crypto::{AccountKey, SigningKey};
use cvm::state::{Block, State};
use cvm::transition::apply_block;
use cvm::{Machine, Rules};
use serde_json::Value;

use super::{Kind, Runner, Sequential, has};
use crate::case::{Case, Fields};
use crate::files::VectorFile;
use crate::outcome::{Checks, Mismatch, Outcome};

/// The kind.
pub(super) struct ConsensusMerge;

impl Kind for ConsensusMerge {
    fn name(&self) -> &'static str {
        "consensus-merge"
    }

    fn recognises(&self, fields: &Fields) -> bool {
        has(fields, &["type"]) && !has(fields, &["session"])
    }

    fn open(&self, _file: &VectorFile) -> Result<Runner, String> {
        Ok(Runner::Sequential(Box::new(Scenarios {
            machine: Machine::new(Rules::latest()),
            values: HashMap::new(),
            now: Scenario::default(),
            absent: false,
        })))
    }
}

/// The values given so far, and the scenario that is played.
struct Scenarios {
    machine: Machine,
    values: HashMap<String, Cell>,
    now: Scenario,
    /// A summary names a belief that no line before it gives.
    absent: bool,
}

/// What the lines of one scenario lead to.
#[derive(Default)]
struct Scenario {
    name: String,
    /// By the key of the peer: its latest belief, and the chain of which `position` blocks are executed.
    beliefs: HashMap<String, String>,
    executed: HashMap<String, Executed>,
    /// Hashes of the cells that were announced.
    announced: Vec<Hash>,
}

#[derive(Clone)]
struct Executed {
    chain: Vector,
    position: u64,
    state: String,
}

fn failed(field: &str) -> impl Fn(&dyn Display) -> Mismatch + '_ {
    move |error| Mismatch::new(field, "no error", error.to_string())
}

/// The text form of an error, for `map_err`.
fn because<E: Display>(field: &str) -> impl Fn(E) -> Mismatch + '_ {
    move |error| failed(field)(&error)
}

fn decode(name: &'static str, bytes: &[u8]) -> Result<Cell, Mismatch> {
    cells::decode_message(bytes, &Decoder::new()).map_err(because(name))
}

fn key_of(case: &Case) -> Result<SigningKey, Mismatch> {
    Ok(SigningKey::from_seed(&case.array::<32>("seed")?))
}

/// An order in the form of the file.
fn describe(order: &Order) -> Result<Value, Mismatch> {
    let blocks: Result<Vec<String>, _> = order
        .blocks
        .iter_refs()
        .map(|block| block.map(|b| b.hash().to_string()))
        .collect();
    Ok(serde_json::json!({
        "hash": order.to_cell().hash().to_string(),
        "time": order.timestamp,
        "points": order.points.as_slice(),
        "blocks": blocks.map_err(because("blocks"))?,
    }))
}

fn own_order(belief: &Belief, key: &AccountKey) -> Result<Order, Mismatch> {
    belief
        .order(key)
        .map_err(because("own order"))?
        .ok_or_else(|| Mismatch::new("own order", "an order", "none"))
}

fn check_order(
    checks: &mut Checks,
    case: &Case,
    field: &'static str,
    order: &Order,
) -> Result<(), Mismatch> {
    let expected = case
        .get(field)
        .ok_or_else(|| Mismatch::malformed(field, "an order", None))?;
    checks.equal(field, expected.clone(), describe(order)?);
    Ok(())
}

impl Scenarios {
    fn value(&self, id: &str) -> Result<&Cell, Mismatch> {
        self.values
            .get(id)
            .ok_or_else(|| Mismatch::new(id, "a value of an earlier line", "none"))
    }

    fn named(&self, case: &Case, field: &'static str) -> Result<&Cell, Mismatch> {
        self.value(case.text(field)?)
    }

    fn belief(&self, case: &Case, field: &'static str) -> Result<Belief, Mismatch> {
        Belief::from_cell(self.named(case, field)?).map_err(because(field))
    }

    fn electorate(&self, case: &Case) -> Result<Electorate, Mismatch> {
        let state = State::from_cell(self.named(case, "state")?).map_err(because("state"))?;
        Electorate::of(&state).map_err(because("state"))
    }

    fn take_value(&mut self, case: &Case) -> Result<Checks, Mismatch> {
        let mut checks = Checks::default();
        let cell = decode("hex", &case.bytes("hex")?)?;
        checks.equal("id", case.text("id")?.to_owned(), cell.hash().to_string());
        match case.text("kind")? {
            "Belief" => {
                let belief = Belief::from_cell(&cell).map_err(because("hex"))?;
                checks.equal(
                    "belief from its parts",
                    cell.hash(),
                    belief.to_cell().hash(),
                );
            }
            _ => {
                let mut state = State::from_cell(&cell).map_err(because("hex"))?;
                let rebuilt = state.to_cell().map_err(because("hex"))?;
                checks.equal("state from its parts", cell.hash(), rebuilt.hash());
            }
        }
        self.values.insert(case.text("id")?.to_owned(), cell);
        Ok(checks)
    }

    fn stakes(&self, case: &Case) -> Result<Checks, Mismatch> {
        let mut checks = Checks::default();
        let electorate = self.electorate(case)?;
        let voters: Vec<Value> = electorate
            .voters()
            .iter()
            .map(|v| {
                serde_json::json!({
                    "key": v.key.to_string(), "time": v.timestamp, "balance": v.balance, "own_stake": v.own_stake,
                    "bits": format!("{:016x}", v.weight.to_bits()),
                })
            })
            .collect();
        let mut expected = case.get("peers").cloned().unwrap_or_default();
        for peer in expected.as_array_mut().into_iter().flatten() {
            // Weights in decimal say less than their bits, which are compared.
            if let Some(fields) = peer.as_object_mut() {
                fields.remove("effective");
            }
        }
        checks.equal("peers", expected, Value::from(voters));
        let total = format!("{:016x}", electorate.total().to_bits());
        checks.equal("total_bits", case.text("total_bits")?.to_owned(), total);
        Ok(checks)
    }

    fn merge(&mut self, case: &Case) -> Result<Checks, Mismatch> {
        let mut checks = Checks::default();
        let key = key_of(case)?;
        checks.equal(
            "key",
            case.text("key")?.to_owned(),
            key.account_key().to_string(),
        );
        let own = self.belief(case, "belief")?;
        let mut incoming = Vec::new();
        for id in case
            .get("incoming")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(id) = id.as_str() {
                let belief = Belief::from_cell(self.value(id)?).map_err(because("incoming"))?;
                incoming.push(belief);
            }
        }
        check_order(
            &mut checks,
            case,
            "order_before",
            &own_order(&own, &key.account_key())?,
        )?;
        let context = Context {
            key: key.account_key(),
            time: case.count("time")? as i64,
            electorate: &self.electorate(case)?,
            verify: &Signed::verify,
        };
        let outcome = merge(&context, &own, &incoming).map_err(because("merge"))?;
        if let Some(error) = case.optional_text("error")? {
            // The reference's merge ends here; ours goes on without the order, and says so.
            let malformed = outcome
                .dropped
                .iter()
                .any(|dropped| matches!(&dropped.reason, DropReason::Fault(OrderFault::Points(_))));
            checks.equal(
                "error",
                error,
                if malformed { "malformed-order" } else { "none" },
            );
            checks.equal("adopted orders", 0, outcome.adopted.len());
            return Ok(checks);
        }
        let moved = matches!(outcome.decision, Decision::Advanced | Decision::Switched);
        checks.equal("an order to sign", moved, outcome.to_sign().is_some());
        let after = match outcome.to_sign().map(Order::to_cell) {
            Some(order) => outcome
                .signed(Signed::sign(&key, order))
                .map_err(because("signed order"))?,
            None => outcome.unsigned(),
        };
        self.check_belief(&mut checks, case, &after)?;
        // The flag is about objects of the reference: an equal belief may be a new one there.
        let same = after.orders().is_identical(own.orders());
        checks.equal(
            "same belief",
            case.text("result")? == case.text("belief")?,
            same,
        );
        if case.flag("unchanged")? {
            checks.equal("unchanged", true, same);
        }
        let count = case.count("order_count")?;
        checks.equal("order_count", count, after.orders().count());
        let order = own_order(&after, &key.account_key())?;
        check_order(&mut checks, case, "order_after", &order)?;
        let signed = after
            .signed_order(&key.account_key())
            .map_err(because("signed order"))?
            .map(|signed| Cell::from(signed).hash().to_string());
        checks.equal(
            "signed_order_after",
            case.text("signed_order_after")?,
            signed.as_deref().unwrap_or("none"),
        );
        self.own(case)?;
        Ok(checks)
    }

    fn check_belief(
        &self,
        checks: &mut Checks,
        case: &Case,
        belief: &Belief,
    ) -> Result<(), Mismatch> {
        checks.equal(
            "result",
            case.text("result")?.to_owned(),
            belief.to_cell().hash().to_string(),
        );
        Ok(())
    }

    /// Notes the belief that a peer now has.
    fn own(&mut self, case: &Case) -> Result<(), Mismatch> {
        let (key, result) = (
            case.text("key")?.to_owned(),
            case.text("result")?.to_owned(),
        );
        self.now.beliefs.insert(key, result);
        Ok(())
    }

    fn propose(&mut self, case: &Case) -> Result<Checks, Mismatch> {
        let mut checks = Checks::default();
        let key = key_of(case)?;
        let own = self.belief(case, "belief")?;
        let order = own_order(&own, &key.account_key())?;
        check_order(&mut checks, case, "order_before", &order)?;
        let mut transactions = Vec::new();
        for hex in case
            .get("transactions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let bytes = hex.as_str().and_then(|text| hex::decode(text).ok());
            let bytes =
                bytes.ok_or_else(|| Mismatch::malformed("transactions", "hex", Some(hex)))?;
            transactions.push(decode("transactions", &bytes)?);
        }
        let block = Block {
            timestamp: case.count("block_time")? as i64,
            transactions: transactions.into_iter().collect(),
        };
        let block = block.to_cell();
        checks.equal(
            "block_hash",
            case.text("block_hash")?.to_owned(),
            block.hash().to_string(),
        );
        let signed = Signed::sign(&key, block);
        let cell = Cell::from(signed.clone());
        checks.equal(
            "signed_block_hash",
            case.text("signed_block_hash")?.to_owned(),
            cell.hash().to_string(),
        );
        let message = cells::encode_message(&cell).map_err(because("signed_block"))?;
        checks.bytes("signed_block", &case.bytes("signed_block")?, &message);
        let order = order.append(&[signed]).map_err(because("append"))?;
        check_order(&mut checks, case, "order_after", &order)?;
        let belief = own
            .with_order(&key.account_key(), Signed::sign(&key, order.to_cell()))
            .map_err(because("belief"))?;
        self.check_belief(&mut checks, case, &belief)?;
        self.own(case)?;
        Ok(checks)
    }

    fn update_state(&mut self, case: &Case) -> Result<Checks, Mismatch> {
        let mut checks = Checks::default();
        let name = case.text("key")?;
        let key: AccountKey = name.parse().map_err(because("key"))?;
        let order = own_order(&self.belief(case, "belief")?, &key)?;
        let position = case.count("position_before")?;
        let settled = match self.now.executed.get(name) {
            Some(executed) => {
                checks.equal("position_before", position, executed.position);
                checks.equal("state_before", case.text("state_before")?, &executed.state);
                executed.chain.clone()
            }
            None if position == 0 => Vector::empty(),
            None => return Err(Mismatch::new("position_before", "0", position.to_string())),
        };
        let error = case.optional_text("error")?.unwrap_or("none");
        let range = match executable(&order, &settled, position) {
            Ok(range) => range,
            Err(ProgressError::Fork { .. }) => {
                checks.equal("error", error, "fork");
                return Ok(checks);
            }
            Err(error) => return Err(failed("executable")(&error)),
        };
        checks.equal("error", error, "none");
        checks.equal("position_after", case.count("position_after")?, range.end);
        let mut state =
            State::from_cell(self.named(case, "state_before")?).map_err(because("state_before"))?;
        let mut applied = Vec::new();
        for number in range.clone() {
            let block = order.blocks.get(number).map_err(because("blocks"))?;
            let Some(Cell::Signed(block)) = block else {
                return Err(Mismatch::new(
                    "blocks",
                    "a signed block",
                    format!("{block:?}"),
                ));
            };
            let outcome =
                apply_block(&mut self.machine, &mut state, &block).map_err(because("apply"))?;
            let after = state.to_cell().map_err(because("state"))?;
            let results = cells::encode_message(&Cell::from(outcome.results_cell()))
                .map_err(because("results"))?;
            applied.push(serde_json::json!({
                "block": number,
                "signed_block": Cell::from(block).hash().to_string(),
                "state": after.hash().to_string(),
                "results": hex::encode(results),
                "block_result_hash": outcome.to_cell(after).hash().to_string(),
            }));
        }
        let expected = case.get("applied").cloned().unwrap_or_default();
        checks.equal("applied", expected, Value::from(applied));
        let after = state.to_cell().map_err(because("state"))?;
        let hash = after.hash().to_string();
        checks.equal("state_after", case.text("state_after")?, &hash);
        let executed = Executed {
            chain: order.blocks,
            position: range.end,
            state: hash,
        };
        self.now.executed.insert(name.to_owned(), executed);
        Ok(checks)
    }

    fn check_block(&mut self, case: &Case) -> Result<Checks, Mismatch> {
        let mut checks = Checks::default();
        let cell = decode("signed_block", &case.bytes("signed_block")?)?;
        let Cell::Signed(signed) = cell else {
            return Err(Mismatch::new(
                "signed_block",
                "a signed block",
                cell.to_string(),
            ));
        };
        let verdict = check_block(&self.electorate(case)?, &signed);
        let error = verdict.as_ref().err().map(BlockFault::to_string);
        let expected = case.get("error").and_then(Value::as_str);
        checks.equal(
            "error",
            expected.unwrap_or("none"),
            error.as_deref().unwrap_or("none"),
        );
        let mut state = State::from_cell(self.named(case, "state")?).map_err(because("state"))?;
        let outcome =
            apply_block(&mut self.machine, &mut state, &signed).map_err(because("apply"))?;
        let after = state.to_cell().map_err(because("state"))?;
        checks.equal(
            "state_after",
            case.text("state_after")?.to_owned(),
            after.hash().to_string(),
        );
        checks.equal(
            "block_result_hash",
            case.text("block_result_hash")?.to_owned(),
            outcome.to_cell(after).hash().to_string(),
        );
        Ok(checks)
    }

    fn join(&mut self, case: &Case) -> Result<Checks, Mismatch> {
        let mut checks = Checks::default();
        let key = key_of(case)?;
        let remote = self.belief(case, "remote_belief")?;
        let remote_key = AccountKey::new(case.array("remote_key")?);
        let order = joining_order(&remote, &remote_key).map_err(because("remote order"))?;
        let belief = remote
            .with_order(&key.account_key(), Signed::sign(&key, order.to_cell()))
            .map_err(because("belief"))?;
        self.check_belief(&mut checks, case, &belief)?;
        let name = key.account_key().to_string();
        // The joining peer starts at genesis.
        self.now.executed.remove(&name);
        self.now
            .beliefs
            .insert(name, case.text("result")?.to_owned());
        Ok(checks)
    }

    fn belief_message(&mut self, case: &Case) -> Result<Checks, Mismatch> {
        let mut checks = Checks::default();
        let belief = self.named(case, "belief")?.clone();
        let announced = &self.now.announced;
        let mut cells = cells::novelty(&belief, |hash| announced.contains(hash));
        // A belief is sent again even when nothing in it is new.
        if cells.last() != Some(&belief) {
            cells.push(belief.clone());
        }
        let ids: Vec<String> = cells.iter().rev().map(|c| c.hash().to_string()).collect();
        let expected = case.get("cells").cloned().unwrap_or_default();
        checks.equal("cells", expected, Value::from(ids));
        let message = cells::encode_delta(&cells);
        checks.bytes("message", &case.bytes("message")?, &message);
        let fresh = cells
            .iter()
            .filter(|cell| !cell.is_embedded())
            .map(Cell::hash);
        let fresh: Vec<Hash> = fresh.collect();
        self.now.announced.extend(fresh);
        Ok(checks)
    }

    /// A peer at the end of its scenario.
    fn summary(&mut self, case: &Case) -> Result<Checks, Mismatch> {
        let mut checks = Checks::default();
        for peer in case
            .get("peers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let text = |name: &str| peer[name].as_str().unwrap_or_default();
            let key: AccountKey = text("key").parse().map_err(because("key"))?;
            let order = text("order").to_owned();
            match self.values.get(text("belief")) {
                Some(belief) => check_summary(&mut checks, belief, &key, &order)?,
                None => self.absent = true,
            }
            if let Some(latest) = self.now.beliefs.get(text("key")) {
                checks.equal("belief", text("belief"), latest);
            }
            if let Some(executed) = self.now.executed.get(text("key")) {
                let position = peer["position"].as_u64().unwrap_or(u64::MAX);
                checks.equal("position", position, executed.position);
                checks.equal("state", text("state"), &executed.state);
            }
        }
        Ok(checks)
    }
}

fn check_summary(
    checks: &mut Checks,
    belief: &Cell,
    key: &AccountKey,
    order: &str,
) -> Result<(), Mismatch> {
    let belief = Belief::from_cell(belief).map_err(because("belief"))?;
    let hash = own_order(&belief, key)?.to_cell().hash().to_string();
    checks.equal("order", order, &hash);
    Ok(())
}

fn compare_orders(case: &Case) -> Result<Checks, Mismatch> {
    let mut checks = Checks::default();
    let mut orders = Vec::new();
    for (field, hex) in [("old", "old_hex"), ("new", "new_hex")] {
        let cell = decode(hex, &case.bytes(hex)?)?;
        let order = Order::from_cell(&cell).map_err(because(hex))?;
        check_order(&mut checks, case, field, &order)?;
        checks.equal("order from its parts", cell.hash(), order.to_cell().hash());
        orders.push(order);
    }
    let replaces = orders[1].replaces(&orders[0]).map_err(because("replace"))?;
    checks.equal("replace", case.flag("replace")?, replaces);
    Ok(checks)
}

/// Persisted maps are values like others: what they hold is given by the other lines.
fn stored(case: &Case) -> Result<Checks, Mismatch> {
    let mut checks = Checks::default();
    let cell = decode("hex", &case.bytes("hex")?)?;
    checks.equal("id", case.text("id")?.to_owned(), cell.hash().to_string());
    Ok(checks)
}

/// The constants that the file was made with.
fn meta(case: &Case) -> Result<Checks, Mismatch> {
    let mut checks = Checks::default();
    for (field, ours) in [
        ("minimum_effective_stake", consensus::MIN_STAKE),
        ("keep_proposal_ms", consensus::KEEP_PROPOSAL),
        ("max_block_backdate_ms", consensus::MAX_BACKDATE),
    ] {
        checks.equal(field, case.count(field)? as i64, ours);
    }
    let threshold = case.get("threshold").and_then(Value::as_f64);
    checks.equal(
        "threshold",
        threshold.map_or(0, f64::to_bits),
        consensus::THRESHOLD.to_bits(),
    );
    Ok(checks)
}

impl Sequential for Scenarios {
    fn run(&mut self, case: &Case) -> Result<Outcome, Mismatch> {
        if let Some(name) = case.optional_text("scenario")?
            && name != self.now.name
        {
            self.now = Scenario {
                name: name.to_owned(),
                ..Scenario::default()
            };
        }
        let checks = match case.text("type")? {
            "meta" => meta(case),
            // Which scenario follows: nothing to compute.
            "scenario" => Ok(Checks::default()),
            "value" => self.take_value(case),
            "stakes" => self.stakes(case),
            "merge" => self.merge(case),
            "propose" => self.propose(case),
            "update_state" => self.update_state(case),
            "check_block" => self.check_block(case),
            "compare_orders" => compare_orders(case),
            "join" => self.join(case),
            "belief_message" => self.belief_message(case),
            "peer_data" | "root_data" => stored(case),
            "summary" => self.summary(case),
            other => return Err(Mismatch::new("type", "a type that is known", other)),
        };
        match checks?.outcome() {
            Outcome::Pass if std::mem::take(&mut self.absent) => Ok(Outcome::PassAsFarAsGiven(
                "the file does not give the belief of every peer",
            )),
            outcome => Ok(outcome),
        }
    }
}
