//! `encoding`: cells with their encoding, hash, sizes and printed form.
//!
//! Each cell is decoded from its message and compared in every field. Decoded cells keep the bytes they came from, so the top cell
//! is then built a second time from its elements, through the constructors that programs use, and has to have the same encoding.

use cells::{
    Blob, Cell, CellError, Coded, Decoder, Index, List, Map, Record, Set, Signed, Str, Syntax,
    Vector,
};
use crypto::sha3_256;

use super::messages::{Shelf, children, sorted};
use super::{Independent, Kind, Runner, has};
use crate::case::{Case, Fields};
use crate::files::VectorFile;
use crate::outcome::{Checks, Mismatch, Outcome};

/// The kind.
pub(super) struct Encoding;

impl Kind for Encoding {
    fn name(&self) -> &'static str {
        "encoding"
    }

    fn recognises(&self, fields: &Fields) -> bool {
        has(fields, &["enc", "hash", "embedded"])
    }

    fn open(&self, file: &VectorFile) -> Result<Runner, String> {
        // Only some of the cells whose message was too long for the file are also in the genesis state; without it, less of
        // them is checked, and the report says so.
        let genesis = match file.genesis() {
            Ok(path) => genesis_cells(&path)?,
            Err(_) => Shelf::default(),
        };
        Ok(Runner::Independent(Box::new(Cells { genesis })))
    }
}

fn genesis_cells(path: &std::path::Path) -> Result<Shelf, String> {
    let describe = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let message = std::fs::read(path).map_err(|error| describe(&error))?;
    let state =
        cells::decode_message(&message, &Decoder::new()).map_err(|error| describe(&error))?;
    let top = state.encode();
    let cells = children(&message, top.len()).map_err(|error| describe(&error))?;
    Ok(Shelf::new(cells.into_iter().chain([&top[..]])))
}

/// Longest printed form that the file has, in bytes.
const MAX_TEXT: usize = 1_999;

struct Cells {
    genesis: Shelf,
}

impl Independent for Cells {
    fn run(&self, case: &Case) -> Result<Outcome, Mismatch> {
        let mut checks = Checks::default();
        let encoding = case.bytes("enc")?;
        if case.get("mc").is_some() {
            let message = case.bytes("mc")?;
            let cell = decode(case, &message, encoding.len(), &mut checks)?;
            checks.bytes("enc with CVM types", &encoding, &cell.encode());
            let cell = as_recorded(case, cell, &message, encoding.len())?;
            check_top(case, &cell, &encoding, &mut checks)?;
            let same = check_message(case, &cell, &mut checks)?;
            checks.bytes("mc", &message, &same);
            check_below(case, &cell, &mut checks)?;
            return Ok(checks.outcome());
        }

        let cell = match from_a_rule(case.text("name")?) {
            Some(cell) => cell,
            None => cells::decode_cell(&encoding, &self.genesis.decoder())
                .map_err(|error| Mismatch::new("decoding enc", "a cell", error.to_string()))?,
        };
        check_top(case, &cell, &encoding, &mut checks)?;
        if matches!(cell.memory_size(), Err(CellError::Missing(_))) {
            return Ok(match checks.outcome() {
                Outcome::Pass => Outcome::PassAsFarAsGiven("only the top cell is in the file"),
                other => other,
            });
        }
        let message = check_message(case, &cell, &mut checks)?;
        checks.equal("mc_len", case.count("mc_len")?, message.len() as u64);
        checks.bytes(
            "mc_sha3",
            &case.array::<32>("mc_sha3")?,
            &sha3_256(&message),
        );
        check_below(case, &cell, &mut checks)?;
        Ok(checks.outcome())
    }
}

/// Decodes the message as the case says it decodes: without any store, or not without one.
fn decode(case: &Case, message: &[u8], top: usize, checks: &mut Checks) -> Result<Cell, Mismatch> {
    let alone = cells::decode_message(message, &Decoder::new());
    let Some(expected) = case.optional_text("decode")? else {
        return alone.map_err(|error| Mismatch::new("decoding mc", "a cell", error.to_string()));
    };
    let got = alone.map_or_else(
        |error| super::exception(&error).to_owned(),
        |_| "a cell".to_owned(),
    );
    checks.equal("decoding mc", expected.to_owned(), got);
    let malformed = |error| Mismatch::new("splitting mc", "a message", error);
    let shelf = Shelf::new(children(message, top).map_err(malformed)?);
    cells::decode_message(message, &shelf.decoder()).map_err(|error| {
        Mismatch::new(
            "decoding mc with its cells in a store",
            "a cell",
            error.to_string(),
        )
    })
}

/// The cell in the type that it was recorded in.
///
/// Records and coded values of random content were made as generic values, even where their bytes would decode as something
/// that the CVM knows; such a value is no CVM value and prints as its bytes. The decoder of plain data gives the same.
fn as_recorded(case: &Case, cell: Cell, message: &[u8], top: usize) -> Result<Cell, Mismatch> {
    let may_be_generic = matches!(message.first(), Some(0xc0..=0xdf));
    if !may_be_generic || case.flag("cvm")? {
        return Ok(cell);
    }
    let malformed = |error| Mismatch::new("splitting mc", "a message", error);
    let shelf = Shelf::new(children(message, top).map_err(malformed)?);
    cells::decode_message(message, &shelf.decoder().generic()).map_err(|error| {
        Mismatch::new("decoding mc without CVM types", "a cell", error.to_string())
    })
}

/// What the top cell alone pins down.
fn check_top(
    case: &Case,
    cell: &Cell,
    encoding: &[u8],
    checks: &mut Checks,
) -> Result<(), Mismatch> {
    checks.bytes("enc", encoding, &cell.encode());
    checks.equal("length of enc", encoding.len(), cell.encoded_len());
    checks.bytes("hash", &case.array::<32>("hash")?, &cell.hash().0);
    checks.equal("embedded", case.flag("embedded")?, cell.is_embedded());
    checks.equal("cvm", case.flag("cvm")?, cell.is_cvm_value());
    checks.equal("refs", case.count("refs")?, cell.ref_count() as u64);
    checks.equal(
        "branches",
        case.count("branches")?,
        cells::branches(cell).len() as u64,
    );
    Ok(())
}

/// The whole message, in sorted form, and the number of its cells.
fn check_message(case: &Case, cell: &Cell, checks: &mut Checks) -> Result<Vec<u8>, Mismatch> {
    let top = cell.encoded_len();
    let message = cells::encode_message(cell)
        .map_err(|error| Mismatch::new("encoding the message", "a message", error.to_string()))?;
    let malformed = |error| Mismatch::new("splitting our message", "a message", error);
    let count = 1 + children(&message, top).map_err(malformed)?.len() as u64;
    checks.equal("cells", case.count("cells")?, count);
    sorted(&message, top).map_err(malformed)
}

/// What needs the cells below the top: memory size, text, and building the same value again.
fn check_below(case: &Case, cell: &Cell, checks: &mut Checks) -> Result<(), Mismatch> {
    match cell.memory_size() {
        Ok(size) => checks.equal("mem", case.count("mem")?, size),
        Err(error) => checks.fail(Mismatch::new(
            "mem",
            case.count("mem")?.to_string(),
            error.to_string(),
        )),
    }
    super::check_text(case, cell, MAX_TEXT, checks)?;
    match rebuilt(cell) {
        Ok(again) => checks.bytes(
            "enc when built from its elements",
            &cell.encode(),
            &again.encode(),
        ),
        Err(error) => checks.fail(Mismatch::new(
            "building from its elements",
            "a cell",
            error.to_string(),
        )),
    }
    Ok(())
}

/// The same value, built from its elements.
fn rebuilt(cell: &Cell) -> Result<Cell, CellError> {
    Ok(match cell {
        Cell::Str(text) => Str::new(&text.to_vec()?).into(),
        Cell::Blob(blob) => Blob::new(&blob.to_vec()?).into(),
        Cell::Vector(vector) => vector.iter().collect::<Result<Vector, _>>()?.into(),
        Cell::List(list) => list.iter().collect::<Result<List, _>>()?.into(),
        Cell::Map(map) => map.iter().collect::<Result<Map, _>>()?.into(),
        Cell::Set(set) => set.iter().collect::<Result<Set, _>>()?.into(),
        Cell::Index(index) => {
            let mut again = Index::empty();
            for entry in index.iter() {
                let (key, value) = entry?;
                let Some(longer) = again.assoc(key, value)? else {
                    return Err(CellError::Malformed("index key"));
                };
                again = longer;
            }
            again.into()
        }
        Cell::Syntax(syntax) => Syntax::new(
            syntax.value()?,
            syntax.meta().iter().collect::<Result<Map, _>>()?,
        )
        .into(),
        Cell::Signed(signed) => match signed.key() {
            Some(key) => Signed::new(*key, *signed.signature(), signed.value()?).into(),
            None => cell.clone(),
        },
        Cell::Coded(coded) => {
            Coded::new(coded.tag(), coded.code().get()?, coded.value().get()?).into()
        }
        Cell::Record(record) => Record::new(
            record.tag(),
            record.fields().iter().collect::<Result<Vector, _>>()?,
        )?
        .into(),
        other => other.clone(),
    })
}

/// Cells whose content follows from their name, so that the long ones among them can be checked whole.
fn from_a_rule(name: &str) -> Option<Cell> {
    let count = |prefix| name.strip_prefix(prefix)?.parse::<i64>().ok();
    if let Some(count) = count("vector/ix") {
        return Some(Vector::from_iter((0..count).map(Cell::from)).into());
    }
    let count = count("set/str")?;
    let element = |index| Cell::from(format!("element number {index}").as_str());
    Some(Set::from_iter((0..count).map(element)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::from_json;

    fn run(case: &Case) -> Outcome {
        let cells = Cells {
            genesis: Shelf::default(),
        };
        cells
            .run(case)
            .unwrap_or_else(|wrong| Outcome::Fail(vec![wrong]))
    }

    /// The case of a vector of one blob that is a branch.
    fn case() -> Case {
        let blob = Blob::new(&[7; 200]);
        let vector = Cell::from(Vector::from_iter([Cell::from(blob)]));
        let json = serde_json::json!({
            "name": "made", "text": format!("[0x{}]", "07".repeat(200)), "enc": hex::encode(vector.encode()), "cells": 2,
            "mc": hex::encode(cells::encode_message(&vector).unwrap()), "hash": hex::encode(vector.hash().0),
            "mem": 203 + 64, "embedded": true, "cvm": true, "refs": 1, "branches": 1,
        });
        from_json("encoding", &json.to_string())
    }

    #[test]
    fn each_field_can_fail_by_itself() {
        assert_eq!(run(&case()), Outcome::Pass);
        for (field, wrong) in [
            ("text", "[]".into()),
            ("cells", 3.into()),
            ("hash", "00".repeat(32).into()),
            ("mem", 0.into()),
            ("embedded", false.into()),
            ("cvm", false.into()),
            ("refs", 2.into()),
            ("branches", 0.into()),
        ] {
            let mut case = case();
            case.fields.insert(field.to_owned(), wrong);
            let Outcome::Fail(found) = run(&case) else {
                panic!("{field} passed")
            };
            assert_eq!((found.len(), &found[0].field[..]), (1, field), "{found:?}");
        }
    }

    #[test]
    fn without_its_message_a_cell_passes_only_as_far_as_it_is_given() {
        let mut case = case();
        case.fields.remove("mc");
        case.fields.insert("mc_len".to_owned(), 0.into());
        assert!(matches!(run(&case), Outcome::PassAsFarAsGiven(_)));
        case.fields.insert("refs".to_owned(), 2.into());
        assert!(matches!(run(&case), Outcome::Fail(_)));
    }

    #[test]
    fn a_long_cell_whose_content_follows_from_its_name_is_checked_whole() {
        let cell = from_a_rule("vector/ix300").unwrap();
        let message = sorted(&cells::encode_message(&cell).unwrap(), cell.encoded_len()).unwrap();
        let json = serde_json::json!({
            "name": "vector/ix300", "enc": hex::encode(cell.encode()), "hash": hex::encode(cell.hash().0),
            "cells": 1 + children(&message, cell.encoded_len()).unwrap().len(), "mem": cell.memory_size().unwrap(),
            "text": cell.to_string(), "embedded": cell.is_embedded(), "cvm": true, "refs": cell.ref_count(),
            "branches": cells::branches(&cell).len(), "mc_len": message.len(), "mc_sha3": hex::encode(sha3_256(&message)),
        });
        let mut case = from_json("encoding", &json.to_string());
        assert_eq!(run(&case), Outcome::Pass);
        case.fields
            .insert("mc_sha3".to_owned(), "11".repeat(32).into());
        assert!(matches!(run(&case), Outcome::Fail(found) if found[0].field == "mc_sha3"));
    }
}
