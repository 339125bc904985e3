//! `cvm-eval`: source text read, expanded, compiled and executed, each case in a fresh fork of the genesis state.

use cells::{Cell, Decoder, Vector};
use cvm::state::State;
use cvm::{Abort, Context, Exit, Machine, Outcome as Evaluation, Rules, Start, Trace};
use serde_json::Value;

use super::messages::sorted;
use super::{Kind, Runner, Sequential, has};
use crate::case::{Case, Fields};
use crate::files::VectorFile;
use crate::outcome::{Checks, Mismatch, Outcome};

/// The kind.
pub(super) struct CvmEval;

impl Kind for CvmEval {
    fn name(&self) -> &'static str {
        "cvm-eval"
    }

    fn recognises(&self, fields: &Fields) -> bool {
        has(fields, &["src", "as"])
    }

    fn open(&self, file: &VectorFile) -> Result<Runner, String> {
        let genesis = read_state(file)?;
        let memory = genesis.memory_size().map_err(|error| error.to_string())?;
        let state = State::from_cell(&genesis).map_err(|error| error.to_string())?;
        let machine = Machine::new(Rules::latest());
        Ok(Runner::Sequential(Box::new(Fork {
            machine,
            state,
            memory,
        })))
    }
}

/// The state that the cases of a file start from.
pub(super) fn read_state(file: &VectorFile) -> Result<Cell, String> {
    let path = file.genesis()?;
    let describe = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(&path).map_err(|error| describe(&error))?;
    cells::decode_message(&bytes, &Decoder::new()).map_err(|error| describe(&error))
}

/// The multi-cell encoding in the order of the vectors.
pub(super) fn message(cell: &Cell) -> Result<Vec<u8>, Mismatch> {
    let failed = |error: String| Mismatch::new("encoding", "an encoding", error);
    let bytes = cells::encode_message(cell).map_err(|error| failed(error.to_string()))?;
    sorted(&bytes, cell.encoded_len()).map_err(failed)
}

/// Compares a cell with the field `name`, or `name_len` and `name_sha3` of a long one.
fn check_cell(
    checks: &mut Checks,
    label: &str,
    fields: &Value,
    name: &str,
    cell: &Cell,
) -> Result<(), Mismatch> {
    let got = message(cell)?;
    if let Some(expected) = fields.get(name).and_then(Value::as_str) {
        if hex::encode(&got) != expected {
            checks.fail(Mismatch::new(
                label,
                expected,
                format!("{} = {cell}", hex::encode(&got)),
            ));
        }
        return Ok(());
    }
    let (len, sha3) = (
        &fields[format!("{name}_len")],
        &fields[format!("{name}_sha3")],
    );
    let found = (
        Value::from(got.len()),
        Value::from(hex::encode(crypto::sha3_256(&got))),
    );
    if (len, sha3) != (&found.0, &found.1) {
        checks.fail(Mismatch::new(
            label,
            format!("{len} bytes, hash {sha3}"),
            format!("{} bytes, hash {}", found.0, found.1),
        ));
    }
    Ok(())
}

/// The genesis state, which every case changes and gets back.
struct Fork {
    machine: Machine,
    state: State,
    memory: u64,
}

/// What a run left behind.
struct Seen {
    outcome: Evaluation,
    juice: u64,
    log: Vector,
    state: Cell,
}

impl Fork {
    fn run(
        &mut self,
        origin: u64,
        limit: u64,
        f: impl FnOnce(&mut Context<'_>) -> Evaluation,
    ) -> Result<Seen, Mismatch> {
        let mark = self.state.mark();
        let start = Start {
            origin,
            limit,
            location: (-1, 0),
            signer: None,
            peer: None,
        };
        let mut ctx = Context::new(&mut self.machine, &mut self.state, start);
        let outcome = f(&mut ctx);
        let (juice, log) = (ctx.juice(), std::mem::take(&mut ctx.log));
        let state = self.state.to_cell();
        self.state.rollback(mark);
        let state = state.map_err(|error| Mismatch::new("state", "a state", error.to_string()))?;
        Ok(Seen {
            outcome,
            juice,
            log: log.into_iter().collect(),
            state,
        })
    }

    /// Compares a run with an outcome object of the file. `texts`: also message, address and trace of errors.
    fn check(
        &self,
        checks: &mut Checks,
        what: &str,
        expected: &Value,
        seen: &Seen,
        texts: bool,
    ) -> Result<(), Mismatch> {
        let label = |field: &str| format!("{what}{field}");
        let ok = expected["ok"].as_bool().unwrap_or(false);
        match &seen.outcome {
            Ok(value) if ok => check_cell(checks, &label("value"), expected, "value_enc", value)?,
            Err(Exit::Error(error)) if !ok => {
                check_cell(checks, &label("error"), expected, "error_enc", &error.code)?;
                if texts {
                    check_cell(
                        checks,
                        &label("message"),
                        expected,
                        "message_enc",
                        &error.message,
                    )?;
                    let trace: Vec<String> = error.trace.iter().map(Trace::text).collect();
                    checks.equal(
                        &label("trace"),
                        expected["trace"].clone(),
                        Value::from(trace),
                    );
                    checks.equal(
                        &label("eaddr"),
                        expected["eaddr"].clone(),
                        Value::from(error.address),
                    );
                }
            }
            Err(Exit::Juice) if !ok => {
                checks.equal(&label("error"), expected["error"].clone(), ":JUICE".into())
            }
            other => checks.fail(Mismatch::new(
                label("outcome"),
                expected.to_string(),
                format!("{other:?}"),
            )),
        }
        checks.equal(
            &label("juice"),
            expected["juice"].as_u64().unwrap_or(0),
            seen.juice,
        );
        checks.equal(
            &label("state"),
            expected["state"].as_str().unwrap_or("").to_owned(),
            seen.state.hash().to_string(),
        );
        let memory = seen
            .state
            .memory_size()
            .map_err(|error| Mismatch::new("memory", "a size", error.to_string()))?;
        checks.equal(
            &label("mem_delta"),
            expected["mem_delta"].as_i64().unwrap_or(0),
            memory as i64 - self.memory as i64,
        );
        let log = expected
            .get("log")
            .and_then(Value::as_str)
            .unwrap_or("8000");
        checks.equal(
            &label("log"),
            log.to_owned(),
            hex::encode(message(&seen.log.clone().into())?),
        );
        Ok(())
    }
}

impl Sequential for Fork {
    fn run(&mut self, case: &Case) -> Result<Outcome, Mismatch> {
        let mut checks = Checks::default();
        let (origin, limit) = (case.count("as")?, case.count("juice_limit")?);
        let form = match (cvm::reader::read(case.text("src")?), case.get("read_error")) {
            (Err(_), Some(_)) => return Ok(Outcome::Pass),
            (Err(error), None) => return Err(Mismatch::new("read", "a form", error.to_string())),
            (Ok(form), Some(_)) => return Err(Mismatch::new("read", "an error", form.to_string())),
            (Ok(form), None) => form,
        };
        let fields = Value::Object(case.fields.clone());
        check_cell(&mut checks, "form", &fields, "form", &form)?;
        if case.get("throws").is_some() {
            let seen = Fork::run(self, origin, limit, |ctx| ctx.run(&form))?;
            if !matches!(&seen.outcome, Err(Exit::Abort(abort)) if matches!(**abort, Abort::HostFault(_)))
            {
                checks.fail(Mismatch::new(
                    "outcome",
                    "a host fault",
                    format!("{:?}", seen.outcome),
                ));
            }
            return Ok(checks.outcome());
        }
        // Compilation alone was recorded without the limit of the case.
        let compile = Cell::Core(cells::core_code("compile").unwrap_or_default());
        let compiled = Fork::run(self, origin, cvm::juice::TRANSACTION_LIMIT, |ctx| {
            ctx.call(&compile, std::iter::once(form.clone()).collect())
        })?;
        match (&compiled.outcome, case.get("compile_fails").is_some()) {
            (Ok(op), false) => {
                check_cell(&mut checks, "op", &fields, "op", op)?;
                checks.equal(
                    "compile_juice",
                    case.count("compile_juice")?,
                    compiled.juice,
                );
            }
            (Err(_), true) => {}
            (outcome, fails) => {
                let expected = if fails { "no op" } else { "an op" };
                checks.fail(Mismatch::new("compile", expected, format!("{outcome:?}")));
            }
        }
        let seen = Fork::run(self, origin, limit, |ctx| ctx.run(&form))?;
        self.check(&mut checks, "", &fields["r"], &seen, true)?;
        if let Ok(op) = &compiled.outcome {
            let seen = Fork::run(self, origin, limit, |ctx| ctx.run(op))?;
            let mut expected = case.get("ro").unwrap_or(&fields["r"]).clone();
            if let Some(juice) = case.get("op_juice") {
                expected["juice"] = juice.clone();
            }
            self.check(&mut checks, "op: ", &expected, &seen, false)?;
        }
        Ok(checks.outcome())
    }
}
