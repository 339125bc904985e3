//! The kinds of cases: how a line of each is recognised, and who runs it.
//!
//! A new kind is a file below `kinds/` with one type that implements [`Kind`], and one line in [`KINDS`].

mod class;
mod consensus_merge;
mod cvm_eval;
mod decode_reject;
mod ed25519;
mod encoding;
mod etch;
mod messages;
mod transactions;
mod unsupported;
mod wire;

use cells::{Cell, DecodeError};

use crate::case::{Case, Fields};
use crate::files::VectorFile;
use crate::outcome::{Checks, Mismatch, Outcome};

/// Name under which lines are counted that no kind recognises.
pub(crate) const UNKNOWN: &str = "unknown";

/// A kind of case.
pub(crate) trait Kind: Sync {
    /// Name, as in `--kind` and the report.
    fn name(&self) -> &'static str;

    /// Whether a line with these fields is a case of this kind. At most one kind may say so.
    fn recognises(&self, fields: &Fields) -> bool;

    /// What runs the cases of one file. The error says why none of them can be run, for example which file beside it is absent.
    fn open(&self, file: &VectorFile) -> Result<Runner, String>;
}

/// What runs the cases of one file.
pub(crate) enum Runner {
    /// They do not depend on each other.
    Independent(Box<dyn Independent>),
    /// Each continues where the one before it ended.
    Sequential(Box<dyn Sequential>),
    /// This build recognises the kind but has nothing to run it with.
    Unsupported,
}

/// Runs cases in any order, on several threads.
pub(crate) trait Independent: Send + Sync {
    /// One case.
    fn run(&self, case: &Case) -> Result<Outcome, Mismatch>;

    /// A group of cases of one file; overridden where they are also to be run together. As many outcomes as cases.
    fn run_group(&self, cases: &[Case]) -> Vec<Outcome> {
        cases
            .iter()
            .map(|case| guarded(case, || self.run(case)))
            .collect()
    }
}

/// Runs the cases of one file in their order.
pub(crate) trait Sequential {
    /// The next case.
    fn run(&mut self, case: &Case) -> Result<Outcome, Mismatch>;

    /// After the last one: checks of the file as a whole, each with its label.
    fn finish(&mut self) -> Vec<(&'static str, Outcome)> {
        Vec::new()
    }
}

/// Runs one case; a case that cannot be read is a failure, and a panic names the case.
pub(crate) fn guarded(case: &Case, run: impl FnOnce() -> Result<Outcome, Mismatch>) -> Outcome {
    crate::run::with_case(case, || {
        run().unwrap_or_else(|mismatch| Outcome::Fail(vec![mismatch]))
    })
}

/// All kinds.
pub(crate) static KINDS: &[&dyn Kind] = &[
    &ed25519::Ed25519,
    &encoding::Encoding,
    &decode_reject::DecodeReject,
    &etch::Etch,
    &cvm_eval::CvmEval,
    &transactions::Transactions,
    &consensus_merge::ConsensusMerge,
    &wire::Wire,
    &unsupported::REST,
];

/// The names for `--kind`.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name())
}

/// Where in [`KINDS`] the kind of a line is.
pub(crate) fn recognise(fields: &Fields) -> Option<usize> {
    KINDS.iter().position(|kind| kind.recognises(fields))
}

/// Whether a line has all of these fields.
fn has(fields: &Fields, names: &[&str]) -> bool {
    names.iter().all(|name| fields.contains_key(*name))
}

/// What the reference calls a decoder's error.
fn exception(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::BadFormat(_) => "BadFormatException",
        DecodeError::Partial(_) => "PartialMessageException",
        DecodeError::Missing(_) => "MissingDataException",
        DecodeError::Store(_) => "a failure of the store",
    }
}

/// Compares the printed form with `text`, or `text_hex` where it is not UTF-8; with neither, it has to be longer than `max`
/// bytes, up to which the file has it.
fn check_text(case: &Case, cell: &Cell, max: usize, checks: &mut Checks) -> Result<(), Mismatch> {
    let text = printed(cell, max)?;
    if case.get("text_hex").is_some() {
        checks.bytes(
            "text_hex",
            &case.bytes("text_hex")?,
            &text.unwrap_or_default(),
        );
    } else {
        let longer = format!("longer than {max} bytes");
        let expected = case.optional_text("text")?.unwrap_or(&longer);
        let got = text.map_or_else(
            || longer.clone(),
            |text| String::from_utf8_lossy(&text).into_owned(),
        );
        checks.equal("text", expected, &got);
    }
    Ok(())
}

/// The printed form; `None` if it is longer than `max` bytes.
fn printed(cell: &Cell, max: usize) -> Result<Option<Vec<u8>>, Mismatch> {
    cells::print::print(cell, max)
        .map_err(|error| Mismatch::new("text", "a printed form", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn recognised_by(json: &str) -> Vec<&'static str> {
        let Ok(Value::Object(fields)) = serde_json::from_str(json) else {
            panic!("not an object: {json}");
        };
        KINDS
            .iter()
            .filter(|kind| kind.recognises(&fields))
            .map(|kind| kind.name())
            .collect()
    }

    #[test]
    fn each_format_is_recognised_by_exactly_one_kind() {
        for (json, expected) in [
            (
                r#"{"name":"small/0/0","msg":"43","key":"01","sig":"01","valid":false}"#,
                "ed25519",
            ),
            (
                r#"{"n":0,"name":"nil","text":"nil","enc":"00","cells":1,"mc":"00","hash":"5d","mem":0,"embedded":true,"cvm":true,"refs":0,"branches":0}"#,
                "encoding",
            ),
            (
                r#"{"n":0,"name":"empty","hex":"","reject":true,"exception":"BadFormatException","single_cell":"BadFormatException"}"#,
                "decode-reject",
            ),
            (
                r#"{"n":4119,"name":"nest/vec20000","len":40001,"sha3":"1b","reject":true}"#,
                "decode-reject",
            ),
            (
                r#"{"kind":"header","offset":0,"magic":"e7c6","version":1,"dataLength":5,"rootHash":"c6"}"#,
                "etch",
            ),
            (
                r#"{"kind":"record","offset":44,"size":45,"key":"f3","flags":"0f","hashMatches":true}"#,
                "etch",
            ),
            (
                r#"{"n":0,"cat":"hand","src":"nil","as":13,"juice_limit":10,"form":"00","r":{"ok":true}}"#,
                "cvm-eval",
            ),
            (
                r#"{"n":5,"cat":"hand","src":")","as":13,"juice_limit":10,"read_error":"x"}"#,
                "cvm-eval",
            ),
            (
                r#"{"b":0,"note":"empty","timestamp":1,"peer":"5b","ntx":0,"block":"90","block_hash":"29","pre":"e4","post":"dc","txs":[]}"#,
                "transactions",
            ),
            (
                r#"{"type":"meta","about":"x","threshold":0.67}"#,
                "consensus-merge",
            ),
            (
                r#"{"type":"value","id":"s","kind":"State","hex":"d5"}"#,
                "consensus-merge",
            ),
            (
                r#"{"session":"client","seq":0,"t_ms":0.0,"dir":"C>S","setup":"x","hex":"07","type":"STATUS"}"#,
                "wire",
            ),
            (
                r#"{"name":"_about","reference":"x","peer_seed":"00","peer_key":"4c","genesis_state":"0x1c"}"#,
                "rest",
            ),
            (
                r#"{"name":"a","method":"GET","path":"/","request_headers":{},"status":200}"#,
                "rest",
            ),
        ] {
            assert_eq!(recognised_by(json), [expected], "{json}");
        }
        assert_eq!(recognised_by(r#"{"name":"x"}"#), [""; 0]);
    }
}
