//! `etch`: the listing of a store file that the reference wrote, which lies beside the listing.
//!
//! Every entry is compared with the file as this tree reads it. At the end the whole file is verified, the tree under its root is
//! followed, and the records are written into a new store, which has to become the same file again.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use cells::Decoder;
use etch::{Flags, Header, Image, Key, Options, Reader, Record, ScanLimit, Source, Writer};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::{Kind, Runner, Sequential, has};
use crate::case::{Case, Fields};
use crate::files::VectorFile;
use crate::outcome::{Checks, Mismatch, Outcome};

/// The kind.
pub(super) struct Etch;

impl Kind for Etch {
    fn name(&self) -> &'static str {
        "etch"
    }

    fn recognises(&self, fields: &Fields) -> bool {
        has(fields, &["kind", "offset"])
    }

    fn open(&self, file: &VectorFile) -> Result<Runner, String> {
        let compressed = file.beside(".etch.gz");
        let plain = file.beside(".etch");
        let bytes = if compressed.exists() {
            read(&compressed, true)?
        } else {
            read(&plain, false)?
        };
        Ok(Runner::Sequential(Box::new(Listing {
            bytes,
            header: None,
            records: Vec::new(),
            keys: HashSet::new(),
            blocks: Vec::new(),
        })))
    }
}

/// Longest printed form of any record: a flat string of nothing but escapes is twice its encoding.
const MAX_TEXT: usize = 4 * etch::MAX_ENCODING;

/// Largest store that is read, in bytes.
const MAX_STORE: u64 = 256 << 20;

fn read(path: &Path, compressed: bool) -> Result<Vec<u8>, String> {
    let describe = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(|error| describe(&error))?;
    let reader: Box<dyn Read> = if compressed {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut bytes = Vec::new();
    reader
        .take(MAX_STORE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| describe(&error))?;
    if bytes.len() as u64 > MAX_STORE {
        return Err(describe(&format!("larger than {MAX_STORE} bytes")));
    }
    Ok(bytes)
}

/// The store and what was listed of it so far.
struct Listing {
    bytes: Vec<u8>,
    header: Option<Header>,
    /// In the order of the listing, which is that of their writing.
    records: Vec<Record>,
    keys: HashSet<Key>,
    /// Level of each listed index block.
    blocks: Vec<u64>,
}

impl Sequential for Listing {
    fn run(&mut self, case: &Case) -> Result<Outcome, Mismatch> {
        let mut checks = Checks::default();
        match case.text("kind")? {
            "header" => self.check_header(case, &mut checks)?,
            "index" => {
                // Blocks have no mark of their own in the file; the walk at the end counts them.
                let level = case.count("level")?;
                checks.equal("bytes", case.count("bytes")?, 8 * case.count("slots")?);
                self.blocks.push(level);
            }
            "slot" => {
                let at = case.count("offset")?;
                let expected = u64::from_be_bytes(case.array("value")?);
                match Image(&self.bytes).slot(at) {
                    Ok(got) => checks.bytes("value", &expected.to_be_bytes(), &got.to_be_bytes()),
                    Err(fault) => checks.fail(Mismatch::new(
                        "value",
                        format!("{expected:016x}"),
                        format!("{fault:?}"),
                    )),
                }
            }
            "record" => self.check_record(case, &mut checks)?,
            _ => return Ok(Outcome::Skip("no entry of this kind is known")),
        }
        Ok(checks.outcome())
    }

    fn finish(&mut self) -> Vec<(&'static str, Outcome)> {
        let outcome = |run: fn(&Self, &mut Checks) -> Result<(), String>| {
            let mut checks = Checks::default();
            if let Err(error) = run(self, &mut checks) {
                checks.fail(Mismatch::new("running", "no error", error));
            }
            checks.outcome()
        };
        vec![
            (
                "the whole file verifies and holds what is listed",
                outcome(Self::check_whole),
            ),
            (
                "the tree under the root is complete",
                outcome(Self::check_tree),
            ),
            (
                "written anew it is the same file",
                outcome(Self::check_written_anew),
            ),
            (
                "a rebuild by its index finds everything",
                outcome(|listing, checks| listing.check_rebuild(None, checks)),
            ),
            (
                "a rebuild without its index finds everything",
                outcome(|listing, checks| {
                    let size = listing.bytes.len() as u64;
                    listing.check_rebuild(Some(ScanLimit::for_size(size)), checks)
                }),
            ),
        ]
    }
}

impl Listing {
    fn check_header(&mut self, case: &Case, checks: &mut Checks) -> Result<(), Mismatch> {
        let header = etch::header(&Image(&self.bytes))
            .map_err(|fault| Mismatch::new("header", "a header", format!("{fault:?}")))?;
        checks.bytes("magic", &case.array::<2>("magic")?, &etch::MAGIC);
        checks.equal("version", case.count("version")?, u64::from(etch::VERSION));
        checks.equal("dataLength", case.count("dataLength")?, header.length);
        checks.bytes("rootHash", &case.array::<32>("rootHash")?, &header.root);
        let used = usize::try_from(case.count("usedPrefix")?).unwrap_or(usize::MAX);
        let prefix = self.bytes.get(..used).unwrap_or(&self.bytes);
        checks.bytes(
            "sha256OfUsedPrefix",
            &case.array::<32>("sha256OfUsedPrefix")?,
            &Sha256::digest(prefix),
        );
        self.header = Some(header);
        Ok(())
    }

    fn check_record(&mut self, case: &Case, checks: &mut Checks) -> Result<(), Mismatch> {
        let key: Key = case.array("key")?;
        let found = etch::find(&Image(&self.bytes), &key)
            .map_err(|fault| Mismatch::new("record", "the record", format!("{fault:?}")))?;
        let record = found.ok_or_else(|| Mismatch::new("record", "the record", "proven absent"))?;
        checks.equal("offset", case.count("offset")?, record.at);
        checks.equal("size", case.count("size")?, record.size());
        checks.bytes("flags", &case.array::<1>("flags")?, &[record.flags.0]);
        checks.equal(
            "status",
            case.count("status")?,
            u64::from(record.flags.status()),
        );
        checks.equal("memorySize", case.count("memorySize")?, record.memory_size);
        checks.equal(
            "length",
            case.count("length")?,
            record.encoding.len() as u64,
        );
        checks.bytes("encoding", &case.bytes("encoding")?, &record.encoding);
        checks.equal("hashMatches", case.flag("hashMatches")?, record.is_sound());
        // What has branches is listed without its text; so it is decoded, with the store behind it, but not printed.
        let alone = cells::decode_cell(&record.encoding, &Decoder::new());
        match alone {
            Ok(cell) => {
                let text = super::printed(&cell, MAX_TEXT)?.unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                // A text that is too long is listed by its beginning.
                let (expected, got) = match case.text("value")?.strip_suffix("...") {
                    Some(beginning) => (beginning, text.get(..beginning.len()).unwrap_or(&text)),
                    None => (case.text("value")?, &text[..]),
                };
                checks.equal("value", expected, got);
            }
            Err(_) => {
                let branches = branches(&record.encoding);
                checks.equal(
                    "branches",
                    true,
                    branches.is_ok_and(|branches| !branches.is_empty()),
                );
            }
        }
        self.keys.insert(key);
        self.records.push(record);
        Ok(())
    }

    fn check_whole(&self, checks: &mut Checks) -> Result<(), String> {
        let report =
            etch::verify(&Image(&self.bytes), |_| true).map_err(|fault| format!("{fault:?}"))?;
        checks.equal(
            "findings",
            String::new(),
            format!("{:?}", report.findings).replace("[]", ""),
        );
        checks.equal("sound records", self.records.len() as u64, report.sound);
        for (level, got) in report.stats.blocks.iter().enumerate() {
            let listed = self
                .blocks
                .iter()
                .filter(|listed| **listed == level as u64)
                .count() as u64;
            checks.equal(&format!("index blocks of level {level}"), listed, *got);
        }
        for record in etch::records(&Image(&self.bytes)) {
            let record = record.map_err(|fault| format!("{fault:?}"))?;
            if !self.keys.contains(&record.key) {
                checks.fail(Mismatch::new(
                    "record",
                    "listed",
                    format!("{} is not", hex::encode(record.key)),
                ));
            }
        }
        Ok(())
    }

    fn check_tree(&self, checks: &mut Checks) -> Result<(), String> {
        let header = self.header.ok_or("the listing has no header")?;
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = directory.path().join("sample.etch");
        std::fs::write(&path, &self.bytes).map_err(|error| error.to_string())?;
        let (reader, _) = Reader::inspect(&path).map_err(|error| error.to_string())?;
        let reach =
            etch::reach(&reader, &[header.root], branches).map_err(|error| error.to_string())?;
        checks.equal("missing cells", 0, reach.missing_count);
        checks.equal("cells reached, at least the root", true, reach.cells > 0);
        Ok(())
    }

    fn check_written_anew(&self, checks: &mut Checks) -> Result<(), String> {
        let header = self.header.ok_or("the listing has no header")?;
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = directory.path().join("anew.etch");
        let mut writer =
            Writer::open(&path, Options::default()).map_err(|error| error.to_string())?;
        for record in &self.records {
            let flags = Flags(record.flags.0);
            let (key, _) = writer
                .put(&record.encoding, flags, record.memory_size)
                .map_err(|error| error.to_string())?;
            checks.bytes("key", &record.key, &key);
        }
        writer
            .set_root(header.root)
            .map_err(|error| error.to_string())?;
        writer.commit().map_err(|error| error.to_string())?;
        writer.close().map_err(|error| error.to_string())?;
        let written = std::fs::read(&path).map_err(|error| error.to_string())?;
        let data = written.get(..self.bytes.len()).unwrap_or(&written);
        if let Some(at) = self
            .bytes
            .iter()
            .zip(data)
            .position(|(expected, got)| expected != got)
        {
            let around = |bytes: &[u8]| hex::encode(&bytes[at..bytes.len().min(at + 16)]);
            let what = format!("bytes from {at}");
            checks.fail(Mismatch::new(what, around(&self.bytes), around(data)));
        }
        checks.equal("length", self.bytes.len(), data.len());
        let rest = written.get(self.bytes.len()..).unwrap_or_default();
        checks.equal(
            "everything behind the data is zero",
            true,
            rest.iter().all(|byte| *byte == 0),
        );
        Ok(())
    }

    fn check_rebuild(&self, limit: Option<ScanLimit>, checks: &mut Checks) -> Result<(), String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = directory.path().join("rebuilt.etch");
        let mut writer =
            Writer::open(&path, Options::default()).map_err(|error| error.to_string())?;
        let rebuilt = etch::rebuild(&Image(&self.bytes), &mut writer, limit, branches)
            .map_err(|error| error.to_string())?;
        checks.equal("records", self.records.len() as u64, rebuilt.records);
        checks.equal("root complete", true, rebuilt.root_complete);
        for record in &self.records {
            let got = writer.get(&record.key).map_err(|error| error.to_string())?;
            checks.bytes(
                "encoding",
                &record.encoding,
                &got.map(|got| got.encoding).unwrap_or_default(),
            );
        }
        Ok(())
    }
}

/// The keys of the cells that a cell refers to.
fn branches(encoding: &[u8]) -> Result<Vec<Key>, String> {
    // The branches are only named, never read, so any source will do.
    let decoder = super::messages::Shelf::default().decoder();
    let cell = cells::decode_cell(encoding, &decoder).map_err(|error| error.to_string())?;
    Ok(cells::branches(&cell)
        .iter()
        .map(|branch| branch.hash().0)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::from_json;

    /// A store with one cell, the integer 42, as its root.
    fn store() -> (tempfile::TempDir, VectorFile) {
        let directory = tempfile::tempdir().unwrap();
        let mut writer =
            Writer::open(&directory.path().join("small.etch"), Options::default()).unwrap();
        let (key, _) = writer
            .put(&[0x11, 0x2a], Flags::new(Flags::PERSISTED, 2), 0)
            .unwrap();
        writer.set_root(key).unwrap();
        writer.commit().unwrap();
        writer.close().unwrap();
        let path = directory.path().join("small.jsonl");
        (
            directory,
            VectorFile {
                path,
                genesis: None,
            },
        )
    }

    fn record(status: u8) -> Case {
        let json = serde_json::json!({
            "kind": "record", "offset": etch::EMPTY_LENGTH, "size": 45, "key": hex::encode(crypto::sha3_256(&[0x11, 0x2a])),
            "flags": format!("1{status}"), "status": status, "memorySize": 0, "length": 2, "encoding": "112a",
            "value": "42", "hashMatches": true,
        });
        from_json("etch", &json.to_string())
    }

    fn open(file: &VectorFile) -> Box<dyn Sequential> {
        match Etch.open(file) {
            Ok(Runner::Sequential(runner)) => runner,
            _ => panic!("no runner"),
        }
    }

    #[test]
    fn a_record_as_listed_passes_and_one_with_another_status_fails() {
        let (_directory, file) = store();
        let mut runner = open(&file);
        assert_eq!(runner.run(&record(3)), Ok(Outcome::Pass));
        let Ok(Outcome::Fail(found)) = runner.run(&record(4)) else {
            panic!("passed")
        };
        let fields: Vec<&str> = found.iter().map(|mismatch| &mismatch.field[..]).collect();
        assert_eq!(fields, ["flags", "status"]);
    }

    #[test]
    fn a_file_that_holds_more_than_is_listed_fails_as_a_whole() {
        let (_directory, file) = store();
        let outcomes = open(&file).finish();
        assert!(
            matches!(&outcomes[0], (_, Outcome::Fail(_))),
            "{outcomes:?}"
        );
    }

    #[test]
    fn a_listing_without_its_store_says_which_file_is_absent() {
        let file = VectorFile {
            path: "nowhere/small.jsonl".into(),
            genesis: None,
        };
        let error = Etch.open(&file).err().unwrap();
        assert!(error.starts_with("nowhere/small.etch: "), "{error}");
    }
}
