//! `decode-reject`: hostile and odd-but-legal messages, decoded in each of the situations that the reference knows.

use cells::{Cell, DecodeError, Decoder};
use crypto::sha3_256;

use super::class::{class, plain_class};
use super::messages::Shelf;
use super::{Independent, Kind, Runner, exception, has};
use crate::case::{Case, Fields};
use crate::files::VectorFile;
use crate::outcome::{Checks, Mismatch, Outcome};

/// The kind.
pub(super) struct DecodeReject;

impl Kind for DecodeReject {
    fn name(&self) -> &'static str {
        "decode-reject"
    }

    fn recognises(&self, fields: &Fields) -> bool {
        has(fields, &["reject"])
    }

    fn open(&self, _file: &VectorFile) -> Result<Runner, String> {
        Ok(Runner::Independent(Box::new(Messages)))
    }
}

/// Longest printed form that the file has, in bytes.
const MAX_TEXT: usize = 300;

/// What the reference says when it ran out of stack. Nothing nested that deeply is legal, so it has to be malformed here.
const OUT_OF_STACK: &str = "StackOverflowError";

struct Messages;

impl Independent for Messages {
    fn run(&self, case: &Case) -> Result<Outcome, Mismatch> {
        let mut checks = Checks::default();
        let input = input(case)?;
        let empty_store = Shelf::default().decoder();

        let message = cells::decode_message(&input, &Decoder::new());
        let expected = if case.flag("reject")? {
            case.text("exception")?
        } else {
            "ok"
        };
        checks.equal("decoding", expected_word(expected), word(&message));

        let with_store = case.optional_text("with_empty_store")?.unwrap_or(expected);
        let got = cells::decode_message(&input, &empty_store);
        checks.equal("with_empty_store", expected_word(with_store), word(&got));

        let single = cells::decode_cell(&input, &empty_store);
        checks.equal(
            "single_cell",
            expected_word(case.text("single_cell")?),
            word(&single),
        );

        // Where nothing else is said, the decoder of plain data does the same.
        let same = if expected == "ok" {
            format!("ok:{}", case.text("kind")?)
        } else {
            expected_word(expected).to_owned()
        };
        let generic = case.optional_text("generic")?.map_or(same, str::to_owned);
        let got = match cells::decode_message(&input, &Decoder::new().generic()) {
            Ok(cell) => format!("ok:{}", plain_class(&cell)),
            Err(error) => exception(&error).to_owned(),
        };
        checks.equal("generic", generic, got);

        let mut stricter = false;
        if let Ok(cell) = &message
            && expected == "ok"
        {
            stricter = check_accepted(case, &input, cell, &mut checks)?;
        }
        Ok(match checks.outcome() {
            Outcome::Pass if stricter => Outcome::PassAsFarAsGiven(STRICTER),
            outcome => outcome,
        })
    }
}

/// Shown for cases where `validate` of the file is weaker than ours.
const STRICTER: &str =
    "accepted and malformed: our structural check says so, the reference's does not look";

/// What accepted input pins down. True when only our structural check objects: it finds everything that the
/// reference's own check finds, and malformed trees that the other passes. Neither is part of the protocol.
fn check_accepted(
    case: &Case,
    input: &[u8],
    cell: &Cell,
    checks: &mut Checks,
) -> Result<bool, Mismatch> {
    checks.equal("kind", case.text("kind")?, class(cell));
    if case.get("hash").is_some() {
        checks.bytes("hash", &case.array::<32>("hash")?, &cell.hash().0);
    }
    if case.get("reencodes_same").is_some() {
        let same = input.starts_with(&cell.encode());
        checks.equal("reencodes_same", case.flag("reencodes_same")?, same);
    }
    let valid = cells::validate(cell).is_ok();
    let stricter = match case.text("validate")? {
        "ok" => !valid,
        expected => {
            checks.equal(
                "validate",
                expected,
                if valid { "ok" } else { "InvalidDataException" },
            );
            false
        }
    };
    if case.get("text").is_some() || case.get("text_hex").is_some() {
        super::check_text(case, cell, MAX_TEXT, checks)?;
    }
    Ok(stricter)
}

/// A result in the words of the file.
fn word(result: &Result<Cell, DecodeError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => exception(error),
    }
}

fn expected_word(word: &str) -> &str {
    if word == OUT_OF_STACK {
        "BadFormatException"
    } else {
        word
    }
}

/// The bytes of a case: in the file, or the deep nest that its name describes.
fn input(case: &Case) -> Result<Vec<u8>, Mismatch> {
    if case.get("hex").is_some() {
        return case.bytes("hex");
    }
    let name = case.text("name")?;
    let input = nest(name).ok_or_else(|| {
        Mismatch::new(
            "name",
            "a nest of known form, since there is no hex",
            name.to_owned(),
        )
    })?;
    let wrong = |field, expected: String, got: String| Err(Mismatch::new(field, expected, got));
    if input.len() as u64 != case.count("len")? {
        return wrong(
            "len",
            case.count("len")?.to_string(),
            input.len().to_string(),
        );
    }
    let (expected, got) = (case.array("sha3")?, sha3_256(&input));
    if expected != got {
        return wrong("sha3", hex::encode(expected), hex::encode(got));
    }
    Ok(input)
}

/// Deepest nest that is built: some MiB of input.
const MAX_NEST: usize = 4_000_000;

/// A form of nests.
struct Nest {
    name: &'static str,
    /// What opens each level.
    open: &'static [u8],
    /// What the innermost level holds.
    within: &'static [u8],
    /// What closes each level.
    close: &'static [u8],
}

const fn form(
    name: &'static str,
    open: &'static [u8],
    within: &'static [u8],
    close: &'static [u8],
) -> Nest {
    Nest {
        name,
        open,
        within,
        close,
    }
}

const NESTS: [Nest; 7] = [
    form("nest/vec", &[0x80, 0x01], &[0x10], &[]),
    form("nest/set", &[0x83, 0x01], &[0x10], &[]),
    form("nest/syntax", &[0x88], &[0x10], &[0x00]),
    form("nest/list-unterminated", &[0x81, 0x01], &[], &[]),
    form("nest/map", &[0x82, 0x01, 0x10], &[0x10], &[]),
    form("nest/coded", &[0xc0, 0x10], &[0x10], &[]),
    form("nest/dense", &[0xda, 0x01], &[0x10], &[]),
];

fn nest(name: &str) -> Option<Vec<u8>> {
    NESTS.iter().find_map(|nest| {
        let depth = name
            .strip_prefix(nest.name)?
            .parse()
            .ok()
            .filter(|depth| *depth <= MAX_NEST)?;
        Some(
            [
                nest.open.repeat(depth),
                nest.within.to_vec(),
                nest.close.repeat(depth),
            ]
            .concat(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::from_json;

    fn run(json: &str) -> Outcome {
        Messages
            .run(&from_json("decode-reject", json))
            .unwrap_or_else(|wrong| Outcome::Fail(vec![wrong]))
    }

    #[test]
    fn a_nest_is_built_from_its_name() {
        assert_eq!(nest("nest/syntax2"), Some(vec![0x88, 0x88, 0x10, 0, 0]));
        assert_eq!(nest("nest/list-unterminated1"), Some(vec![0x81, 1]));
        assert_eq!(nest("nest/vec99999999999"), None);
        assert_eq!(nest("nest/other3"), None);
    }

    #[test]
    fn a_nest_other_than_the_recorded_one_fails() {
        let wrong = r#"{"name":"nest/vec2","len":5,"sha3":"00","reject":true,"exception":"x","single_cell":"x"}"#;
        assert!(matches!(run(wrong), Outcome::Fail(found) if found[0].field == "sha3"));
    }

    #[test]
    fn accepting_what_is_to_be_rejected_fails_and_so_does_the_reverse() {
        let accepted = r#"{"name":"x","hex":"1101","reject":true,"exception":"BadFormatException","single_cell":"ok"}"#;
        let Outcome::Fail(found) = run(accepted) else {
            panic!("passed")
        };
        assert_eq!(
            found[0],
            Mismatch::new("decoding", "BadFormatException", "ok")
        );
        let rejected = r#"{"name":"x","hex":"1100","reject":false,"kind":"CVMLong","validate":"ok","single_cell":"BadFormatException"}"#;
        let Outcome::Fail(found) = run(rejected) else {
            panic!("passed")
        };
        assert_eq!(
            found[0],
            Mismatch::new("decoding", "ok", "BadFormatException")
        );
    }
}
