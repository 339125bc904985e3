//! Compares what the oracle says with what this tree did.

use std::collections::BTreeSet;
use std::fmt;

use cells::{Cell, Hash};
use serde_json::Value;

use crate::subject::{End, Seen, sorted_message};

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Whether the text can be read, or the form in it.
    Read,
    /// Whether bytes are accepted.
    Decode,
    /// The compiled op, or whether there is one.
    Op,
    /// Juice of the compilation.
    CompileJuice,
    /// Whether it ended with a value, an error or a fault.
    Ending,
    /// The value.
    Value,
    /// The error code.
    Code,
    /// Juice used.
    Juice,
    /// The state afterwards.
    State,
    /// Growth of the state in memory.
    Memory,
    /// The log.
    Log,
    /// Whether a block counts.
    Validity,
    /// Fees, memory or source of a transaction's result.
    Info,
    /// The oracle took too long.
    Timeout,
    /// Texts that consensus doesn't see.
    Text,
}

impl Aspect {
    /// True when peers that differ in this would part.
    #[must_use]
    pub fn is_consensus(self) -> bool {
        self != Self::Text
    }
}

/// One difference.
#[derive(Debug, Clone)]
pub struct Difference {
    /// What differs.
    pub aspect: Aspect,
    /// In what part of the case.
    pub place: String,
    /// What this tree has.
    pub ours: String,
    /// What the reference has.
    pub theirs: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} of {}\n      ours      {}\n      reference {}",
            self.aspect, self.place, self.ours, self.theirs
        )
    }
}

/// What a comparison found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// In the order of finding.
    pub differences: Vec<Difference>,
    /// The reference ran out of stack or memory, so nothing was compared.
    pub no_verdict: bool,
    /// The reference ended with an error.
    pub error: bool,
}

impl Findings {
    /// Adds a difference.
    pub fn add(
        &mut self,
        aspect: Aspect,
        place: &str,
        ours: impl fmt::Display,
        theirs: impl fmt::Display,
    ) {
        self.differences.push(Difference {
            aspect,
            place: place.to_owned(),
            ours: shortened(&ours.to_string()),
            theirs: shortened(&theirs.to_string()),
        });
    }

    fn check(
        &mut self,
        aspect: Aspect,
        place: &str,
        ours: impl fmt::Display,
        theirs: impl fmt::Display,
    ) {
        let (ours, theirs) = (ours.to_string(), theirs.to_string());
        if ours != theirs {
            self.add(aspect, place, ours, theirs);
        }
    }

    /// What differs that consensus sees.
    #[must_use]
    pub fn aspects(&self) -> BTreeSet<Aspect> {
        self.differences
            .iter()
            .map(|d| d.aspect)
            .filter(|aspect| aspect.is_consensus())
            .collect()
    }
}

fn shortened(text: &str) -> String {
    const MOST: usize = 600;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let head: String = text.chars().take(MOST).collect();
    format!("{head}…")
}

/// True when the oracle's exception means that its host gave up, which says nothing about the rules.
#[must_use]
pub fn is_exhaustion(exception: &str) -> bool {
    matches!(exception, "StackOverflowError" | "OutOfMemoryError")
}

/// True when `cell` is what the fields `name`, or `name_len` and `name_sha3`, say.
#[must_use]
pub fn same(reply: &Value, name: &str, cell: &Cell) -> bool {
    let Ok(message) = sorted_message(cell) else {
        return false;
    };
    match reply.get(name).and_then(Value::as_str) {
        Some(text) => hex::encode(&message) == text,
        None => {
            reply[format!("{name}_len")].as_u64() == Some(message.len() as u64)
                && reply[format!("{name}_sha3")].as_str() == Some(&Hash::of(&message).to_string())
        }
    }
}

/// An encoding for people.
fn brief(cell: &Cell) -> String {
    format!("{cell}  {}", hex::encode(cell.encode()))
}

fn described(reply: &Value, name: &str) -> String {
    let encoding = &reply[format!("{name}_enc")];
    format!("{}  {}", reply[name], encoding.as_str().unwrap_or_default())
}

/// Compares an outcome object (`r` or `ro`) with what this tree did.
pub fn outcome(findings: &mut Findings, place: &str, theirs: &Value, ours: &Seen) {
    let ok = theirs["ok"].as_bool().unwrap_or_default();
    findings.error |= !ok;
    let their_end = if ok {
        described(theirs, "value")
    } else {
        format!("{} {}", described(theirs, "error"), theirs["message"])
    };
    match &ours.end {
        End::Value(value) if ok => {
            if !same(theirs, "value_enc", value) {
                findings.add(Aspect::Value, place, brief(value), their_end);
            }
        }
        End::Value(value) => findings.add(Aspect::Ending, place, brief(value), their_end),
        End::Error {
            code,
            message,
            address,
            trace,
        } => {
            if ok {
                findings.add(
                    Aspect::Ending,
                    place,
                    format!("{code} {message}"),
                    their_end,
                );
            } else if !same(theirs, "error_enc", code) {
                findings.add(Aspect::Code, place, format!("{code} {message}"), their_end);
            } else {
                if !same(theirs, "message_enc", message) {
                    findings.add(Aspect::Text, place, message, &theirs["message"]);
                }
                if *address != theirs["eaddr"].as_u64() {
                    findings.add(
                        Aspect::Text,
                        place,
                        format!("{address:?}"),
                        &theirs["eaddr"],
                    );
                }
                let trace = Value::from(trace.clone());
                findings.check(Aspect::Text, place, &trace, &theirs["trace"]);
            }
        }
        End::Juice => {
            if theirs["error"].as_str() != Some(":JUICE") {
                findings.add(Aspect::Ending, place, "out of juice", their_end);
            }
        }
        other => findings.add(Aspect::Ending, place, format!("{other:?}"), their_end),
    }
    findings.check(
        Aspect::Juice,
        place,
        ours.juice,
        theirs["juice"].as_u64().unwrap_or(0),
    );
    findings.check(
        Aspect::State,
        place,
        &ours.state,
        theirs["state"].as_str().unwrap_or_default(),
    );
    findings.check(
        Aspect::Memory,
        place,
        ours.memory,
        theirs["mem_delta"].as_i64().unwrap_or(0),
    );
    let log = theirs.get("log").is_some() || theirs.get("log_len").is_some();
    let same_log = match &ours.log {
        Cell::Vector(ours) if !log => ours.is_empty(),
        ours => same(theirs, "log", ours),
    };
    if !same_log {
        findings.add(Aspect::Log, place, &ours.log, &theirs["log"]);
    }
}

/// Compares an exception of the reference with what this tree did.
pub fn fault(findings: &mut Findings, place: &str, exception: &str, why: &Value, ours: &End) {
    if is_exhaustion(exception) {
        findings.no_verdict = true;
        return;
    }
    if !matches!(ours, End::HostFault(_)) {
        findings.add(
            Aspect::Ending,
            place,
            format!("{ours:?}"),
            format!("host fault {exception} {why}"),
        );
    }
}
