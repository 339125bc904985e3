//! One program or one op, in a fresh fork of the genesis state.

use cells::{Cell, Decoder, decode_message};
use serde_json::Value;

use crate::compare::{self, Aspect, Findings};
use crate::form::Form;
use crate::ops;
use crate::program::Generator;
use crate::rng::Rng;
use crate::subject::{End, Seen, Setting, Subject, sorted_message, under_way};

/// What is executed.
#[derive(Debug, Clone)]
pub enum Code {
    /// A program.
    Program(Form),
    /// Text that may not be a form.
    Text(String),
    /// A message that may not be a cell; an op, mostly.
    Bytes(Vec<u8>),
}

/// One execution.
#[derive(Debug, Clone)]
pub struct Case {
    /// Account and limit.
    pub setting: Setting,
    /// What to execute.
    pub code: Code,
}

/// What this tree made of a case.
pub enum Ours {
    /// The text is no form, or the bytes are no cell.
    Refused {
        /// Why.
        why: String,
        /// True for text.
        text: bool,
    },
    /// The form, its op, and how form and op ended.
    Program {
        /// The form.
        form: Cell,
        /// Outcome of compiling.
        compiled: Box<Seen>,
        /// Outcome of the form.
        form_run: Box<Seen>,
        /// Outcome of the op.
        op_run: Option<Box<Seen>>,
    },
    /// How the cell ended.
    Op(Box<Seen>),
}

fn setting(rng: &mut Rng) -> Setting {
    let account = match rng.below(20) {
        0 => 11,
        1 => 12,
        2 => rng.below(132) as u64,
        3 => [0, 2, 6, 7, 8, 9, 64, 66][rng.below(8)],
        _ => 13,
    };
    let limit = match rng.below(20) {
        0..=3 => rng.magnitude(15),
        4 => rng.magnitude(20),
        5 => 10_000_000,
        _ => 1_000_000,
    };
    Setting { account, limit }
}

impl Case {
    /// A program. Text with errors is made only where both readers follow the same rules.
    pub fn program(rng: &mut Rng, with_errors: bool) -> Self {
        let setting = setting(rng);
        let budget = [20, 60, 150][rng.below(3)];
        let form = Generator::new(rng, budget).program();
        let code = if with_errors && rng.chance(4) {
            Code::Text(misspelt(rng, &form.to_string()))
        } else {
            Code::Program(form)
        };
        Self { setting, code }
    }

    /// An op, or, with errors, bytes like one.
    pub fn op(rng: &mut Rng, subject: &mut Subject, with_errors: bool) -> Self {
        let mut setting = setting(rng);
        setting.limit = setting.limit.min(1_000_000);
        let cell = if rng.chance(40) {
            let form = Generator::new(rng, 25).program().to_string();
            let form = cvm::reader::read(&form).unwrap_or(Cell::Nil);
            match subject.compile(13, &form).end {
                End::Value(op) => op,
                _ => form,
            }
        } else {
            let depth = rng.between(1, 4);
            ops::tree(rng, depth)
        };
        let mut bytes = sorted_message(&cell).unwrap_or_default();
        if with_errors && rng.chance(50) {
            ops::mutate(rng, &mut bytes);
        }
        Self {
            setting,
            code: Code::Bytes(bytes),
        }
    }

    /// The line that asks the oracle.
    #[must_use]
    pub fn request(&self) -> String {
        let Setting { account, limit } = self.setting;
        match &self.code {
            Code::Program(form) => {
                format!("eval {account} {limit} x:{}", hex::encode(form.to_string()))
            }
            Code::Text(text) => format!("eval {account} {limit} x:{}", hex::encode(text)),
            Code::Bytes(bytes) if bytes.is_empty() => format!("run {account} {limit} -"),
            Code::Bytes(bytes) => format!("run {account} {limit} {}", hex::encode(bytes)),
        }
    }

    /// The code for people.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.code {
            Code::Program(form) => form.to_string(),
            Code::Text(text) => text.clone(),
            Code::Bytes(bytes) => {
                let cell = decode_message(bytes, &Decoder::new());
                let text = cell.map_or_else(|why| why.to_string(), |cell| cell.to_string());
                format!("{}\n      = {text}", hex::encode(bytes))
            }
        }
    }

    /// The form of a program as a message.
    #[must_use]
    pub fn form_bytes(&self) -> Option<Vec<u8>> {
        let form = cvm::reader::read(&self.text()).ok()?;
        sorted_message(&form).ok()
    }

    /// Runs it here.
    pub fn run(&self, subject: &mut Subject) -> Ours {
        under_way(&format!(
            "account {} limit {}: {}\n{}",
            self.setting.account,
            self.setting.limit,
            self.text(),
            self.request()
        ));
        match &self.code {
            Code::Program(form) => self.run_text(subject, &form.to_string()),
            Code::Text(text) => self.run_text(subject, text),
            Code::Bytes(bytes) => match decode_message(bytes, &Decoder::new()) {
                Ok(cell) => Ours::Op(Box::new(subject.run(self.setting, &cell))),
                Err(why) => Ours::Refused {
                    why: why.to_string(),
                    text: false,
                },
            },
        }
    }

    fn run_text(&self, subject: &mut Subject, text: &str) -> Ours {
        let form = match cvm::reader::read(text) {
            Ok(form) => form,
            Err(why) => {
                return Ours::Refused {
                    why: why.to_string(),
                    text: true,
                };
            }
        };
        let compiled = subject.compile(self.setting.account, &form);
        let form_run = subject.run(self.setting, &form);
        let op_run = match &compiled.end {
            End::Value(op) => Some(subject.run(self.setting, op)),
            _ => None,
        };
        Ours::Program {
            form,
            compiled: Box::new(compiled),
            form_run: Box::new(form_run),
            op_run: op_run.map(Box::new),
        }
    }

    /// Cases that are one step smaller.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let with = |code| Self {
            code,
            ..self.clone()
        };
        let mut found: Vec<Self> = match &self.code {
            Code::Program(form) => form
                .smaller()
                .into_iter()
                .map(|f| with(Code::Program(f)))
                .collect(),
            Code::Text(text) => {
                let text: Vec<char> = text.chars().collect();
                let mut shorter = Vec::new();
                for step in [text.len() / 2, text.len() / 4, 4, 1] {
                    for start in (0..text.len()).step_by(step.max(1)) {
                        let mut rest = text.clone();
                        rest.drain(start..(start + step.max(1)).min(text.len()));
                        shorter.push(with(Code::Text(rest.into_iter().collect())));
                    }
                }
                shorter
            }
            Code::Bytes(bytes) => smaller_cells(bytes)
                .into_iter()
                .map(|b| with(Code::Bytes(b)))
                .collect(),
        };
        if self.setting.account != 13 {
            found.push(Self {
                setting: Setting {
                    account: 13,
                    ..self.setting
                },
                ..self.clone()
            });
        }
        if self.setting.limit != 1_000_000 {
            found.push(Self {
                setting: Setting {
                    limit: 1_000_000,
                    ..self.setting
                },
                ..self.clone()
            });
        }
        found
    }
}

/// A text with a few characters changed.
fn misspelt(rng: &mut Rng, text: &str) -> String {
    const TELLING: &[&str] = &[
        "(", ")", "[", "]", "{", "}", "#{", "'", "`", "~", "~@", "^", "#", "#_", "#[10]", "##",
        "@", "/", "\"", "\\", ";", " ", "\n", ",", ".", "-", "0x", "1", "e", "1.5", ":", "nil",
        "\\u", "\\u00", "é", "&", "%", "#%", "#foo ", "#Index ", "\u{c}", "_", "0x1", "+1", "1e5",
        "f", "\\n", "$", "|", "!",
    ];
    let mut chars: Vec<char> = text.chars().take(160).collect();
    for _ in 0..rng.between(1, 3) {
        let at = rng.below(chars.len() + 1);
        let insert = TELLING[rng.below(TELLING.len())];
        match rng.below(4) {
            0 if at < chars.len() => {
                chars.remove(at);
            }
            1 if at < chars.len() => {
                chars.splice(at..=at, insert.chars());
            }
            _ => {
                chars.splice(at..at, insert.chars());
            }
        }
    }
    chars.into_iter().collect()
}

/// Messages of cells that are parts of the one in `bytes`, or lack a part.
fn smaller_cells(bytes: &[u8]) -> Vec<Vec<u8>> {
    let Ok(cell) = decode_message(bytes, &Decoder::new()) else {
        return (0..bytes.len())
            .map(|i| {
                let mut rest = bytes.to_vec();
                rest.remove(i);
                rest
            })
            .collect();
    };
    reductions(&cell, 3)
        .iter()
        .filter_map(|c| sorted_message(c).ok())
        .collect()
}

fn reductions(cell: &Cell, depth: usize) -> Vec<Cell> {
    use cells::{Coded, Record, Vector};
    let mut found = Vec::new();
    if !matches!(cell, Cell::Nil) {
        found.push(Cell::Nil);
    }
    let children: Vec<Cell> = cell.refs().filter_map(|r| r.get().ok()).collect();
    found.extend(children.iter().cloned());
    let rebuild = |parts: Vec<Cell>| match cell {
        Cell::Record(record) => {
            let fields = parts.into_iter().collect::<Vector>();
            Record::new(record.tag(), fields).ok().map(Cell::from)
        }
        Cell::Vector(_) => Some(Cell::from(parts.into_iter().collect::<Vector>())),
        Cell::Coded(coded) => {
            let mut parts = parts.into_iter();
            Some(Cell::from(Coded::new(
                coded.tag(),
                parts.next()?,
                parts.next()?,
            )))
        }
        _ => None,
    };
    if depth == 0 || children.len() > 16 {
        return found;
    }
    for i in 0..children.len() {
        if !matches!(cell, Cell::Coded(_)) {
            let mut rest = children.clone();
            rest.remove(i);
            found.extend(rebuild(rest));
        }
        for smaller in reductions(&children[i], depth - 1) {
            let mut changed = children.clone();
            changed[i] = smaller;
            found.extend(rebuild(changed));
        }
    }
    found
}

/// Compares what this tree made of a case with the oracle's answer.
#[must_use]
pub fn compare(ours: &Ours, reply: &Value) -> Findings {
    let mut findings = Findings::default();
    if reply["fail"] == "Timeout" {
        findings.add(Aspect::Timeout, "answer", "an outcome", reply);
        return findings;
    }
    match ours {
        Ours::Refused { why, text } => {
            findings.error = true;
            // Some texts make the reference's reader fail in other ways than its own error.
            let refused = reply.get("read_error").is_some()
                || reply["fail"]
                    .as_str()
                    .is_some_and(|exception| *text || is_refusal(exception));
            if !refused && reply["fail"].as_str().is_some_and(compare::is_exhaustion) {
                findings.no_verdict = true;
            } else if !refused {
                let aspect = if reply.get("form").is_some() {
                    Aspect::Read
                } else {
                    Aspect::Decode
                };
                findings.add(aspect, "input", why, brief(reply));
            }
        }
        Ours::Op(seen) => match reply["fail"].as_str() {
            None => compare::outcome(&mut findings, "op", reply, seen),
            Some(exception) if is_refusal(exception) => {
                findings.add(Aspect::Decode, "input", "accepted", brief(reply));
            }
            Some(exception) => {
                compare::fault(&mut findings, "op", exception, &reply["why"], &seen.end)
            }
        },
        Ours::Program {
            form,
            compiled,
            form_run,
            op_run,
        } => program(
            &mut findings,
            reply,
            form,
            compiled,
            form_run,
            op_run.as_deref(),
        ),
    }
    findings
}

fn is_refusal(exception: &str) -> bool {
    matches!(
        exception,
        "BadFormatException"
            | "PartialMessageException"
            | "MissingDataException"
            | "ParseException"
    )
}

fn brief(reply: &Value) -> String {
    reply.to_string().chars().take(400).collect()
}

fn program(
    findings: &mut Findings,
    reply: &Value,
    form: &Cell,
    compiled: &Seen,
    form_run: &Seen,
    op_run: Option<&Seen>,
) {
    if let Some(why) = reply.get("read_error") {
        findings.add(Aspect::Read, "text", form, why);
        return;
    }
    if let Some(exception) = reply["fail"].as_str() {
        compare::fault(findings, "form", exception, &reply["why"], &form_run.end);
        return;
    }
    if !compare::same(reply, "form", form) {
        findings.add(Aspect::Read, "text", form, &reply["form_text"]);
    }
    if let Some(exception) = reply["throws"].as_str() {
        compare::fault(findings, "form", exception, &Value::Null, &form_run.end);
        return;
    }
    match (&compiled.end, reply.get("compile_fails").is_some()) {
        (End::Value(op), false) => {
            if !compare::same(reply, "op", op) {
                findings.add(
                    Aspect::Op,
                    "form",
                    format!("{op} {}", hex::encode(op.encode())),
                    &reply["op"],
                );
            }
            let theirs = reply["compile_juice"].as_u64().unwrap_or(0);
            if compiled.juice != theirs {
                findings.add(Aspect::CompileJuice, "form", compiled.juice, theirs);
            }
        }
        (End::Value(op), true) => findings.add(Aspect::Op, "form", op, "does not compile"),
        (_, true) => {}
        (end, false) => findings.add(Aspect::Op, "form", format!("{end:?}"), &reply["op"]),
    }
    compare::outcome(findings, "form", &reply["r"], form_run);
    if let Some(op_run) = op_run {
        if let Some(exception) = reply["op_throws"].as_str() {
            compare::fault(findings, "op", exception, &Value::Null, &op_run.end);
        } else if reply.get("ro").is_some() {
            compare::outcome(findings, "op", &reply["ro"], op_run);
        }
    }
}
