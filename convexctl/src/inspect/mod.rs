//! `convexctl inspect`: what bytes hold, told within bounds whatever they are.

mod tree;

use std::path::Path;

use cells::print::print;
use cells::{Cell, Decoder, Hash, MAX_MESSAGE, branches, decode_partial, validate};
use serde_json::{Value, json};

use crate::cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files::{self, kind_name};
use crate::output::Out;

/// Printed form of the whole value: bytes that are shown at most.
const PRINTED: usize = 2_000;
/// Memory size up to which the structure of a value is checked, bytes. The check visits every occurrence of a cell, as
/// the memory size counts them; cells that share their children can claim any size.
const CHECKED: u64 = 500_000_000;
/// Hashes of missing branches that are shown at most.
const MISSING: usize = 10;

pub(crate) fn run(args: &cli::Inspect, out: &mut Out) -> Result<Exit, Failure> {
    let bytes = match (&args.hex, &args.file) {
        (Some(text), _) if text == "-" => {
            // Two digits a byte and a blank after each.
            let text = files::read(Path::new("-"), 3 * MAX_MESSAGE)?;
            unhex(&text)?
        }
        (Some(text), _) => unhex(text.as_bytes())?,
        (None, Some(path)) => files::read(path, MAX_MESSAGE)?,
        // The parser of arguments lets nothing else through.
        (None, None) => return Err(Failure::usage("neither a file nor hex is given")),
    };
    let (cell, missing) = decode_partial(&bytes, &Decoder::new()).map_err(|error| {
        Failure::data(format!("these {} bytes are no cell: {error}", bytes.len())).remedy(
            "a cell is an encoding as in CAD3, alone or followed by its branches, each after its length; text in hex \
             goes to --hex",
        )
    })?;
    let description = Description::new(&cell, bytes.len(), missing);
    if args.json {
        let mut value = description.json();
        value["tree"] = tree::json(&cell, args.depth, args.width);
        out.line(value)?;
    } else {
        description.text(out)?;
        out.line("")?;
        tree::text(&cell, args.depth, args.width, out)?;
    }
    out.flush()?;
    // It dies with the process; a large value takes long to be taken apart.
    std::mem::forget(cell);
    Ok(Exit::Ok)
}

/// The bytes of hex digits; blanks and a leading `0x` are skipped.
fn unhex(text: &[u8]) -> Result<Vec<u8>, Failure> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"0x").unwrap_or(text);
    let digits: Vec<u8> = text
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    if digits.is_empty() {
        return Err(Failure::data("there are no hex digits"));
    }
    let bytes =
        hex::decode(&digits).map_err(|error| Failure::data(format!("this is no hex: {error}")))?;
    if bytes.len() > MAX_MESSAGE {
        return Err(Failure::data(format!(
            "this is longer than {MAX_MESSAGE} bytes, the longest message of the network"
        )));
    }
    Ok(bytes)
}

struct Description {
    kind: String,
    hash: Hash,
    /// Bytes of the input, of the top cell alone.
    bytes: usize,
    encoded: usize,
    embedded: bool,
    cvm_value: bool,
    refs: usize,
    branches: usize,
    /// Bytes that storing it costs; unknown where branches are missing.
    memory: Result<u64, String>,
    /// The structural check of the whole value; none when it was not made.
    valid: Option<Result<(), String>>,
    missing: Vec<Hash>,
    printed: String,
}

impl Description {
    fn new(cell: &Cell, bytes: usize, missing: Vec<Hash>) -> Self {
        let memory = cell.memory_size();
        let check = matches!(memory, Ok(size) if size <= CHECKED);
        Self {
            kind: kind_name(cell),
            hash: cell.hash(),
            bytes,
            encoded: cell.encoded_len(),
            embedded: cell.is_embedded(),
            cvm_value: cell.is_cvm_value(),
            refs: cell.ref_count(),
            branches: branches(cell).len(),
            memory: memory.map_err(|error| error.to_string()),
            valid: check.then(|| validate(cell).map_err(|error| error.to_string())),
            missing,
            printed: printed(cell, PRINTED),
        }
    }

    fn text(&self, out: &mut Out) -> Result<(), Failure> {
        let yes = |b| if b { "yes" } else { "no" };
        out.line(format_args!("type      {}", self.kind))?;
        out.line(format_args!("hash      {}", self.hash))?;
        out.line(format_args!("input     {} bytes", self.bytes))?;
        out.line(format_args!(
            "encoding  {} bytes (this cell alone)",
            self.encoded
        ))?;
        match &self.memory {
            Ok(size) => out.line(format_args!("memory    {size} bytes"))?,
            Err(why) => out.line(format_args!("memory    unknown: {why}"))?,
        }
        out.line(format_args!("embedded  {}", yes(self.embedded)))?;
        out.line(format_args!(
            "refs      {}, branches {}",
            self.refs, self.branches
        ))?;
        out.line(format_args!("CVM value {}", yes(self.cvm_value)))?;
        match &self.valid {
            Some(Ok(())) => out.line("valid     yes")?,
            Some(Err(why)) => out.line(format_args!("valid     no: {why}"))?,
            None if self.missing.is_empty() => out.line("valid     not checked: too large")?,
            None => out.line("valid     not checked: incomplete")?,
        }
        if !self.missing.is_empty() {
            out.line(format_args!("missing   {} branches", self.missing.len()))?;
            for hash in self.missing.iter().take(MISSING) {
                out.line(format_args!("          {hash}"))?;
            }
        }
        out.line(format_args!("printed   {}", self.printed))
    }

    fn json(&self) -> Value {
        json!({
            "type": self.kind,
            "hash": self.hash.to_string(),
            "input_bytes": self.bytes,
            "encoded_bytes": self.encoded,
            "memory": self.memory.as_ref().ok(),
            "embedded": self.embedded,
            "refs": self.refs,
            "branches": self.branches,
            "cvm_value": self.cvm_value,
            "valid": self.valid.as_ref().map(Result::is_ok),
            "invalid_because": self.valid.as_ref().and_then(|valid| valid.as_ref().err()),
            "missing": self.missing.len(),
            "missing_hashes": self.missing.iter().take(MISSING).map(Hash::to_string).collect::<Vec<_>>(),
            "printed": self.printed,
        })
    }
}

/// The printed form on one line, or what there is to say instead.
fn printed(cell: &Cell, limit: usize) -> String {
    match print(cell, limit) {
        Ok(Some(text)) => one_line(&String::from_utf8_lossy(&text)),
        Ok(None) => format!("(longer than {limit} bytes)"),
        Err(error) => format!("({error})"),
    }
}

/// Without what would move the cursor or colour a terminal: the value may come from anybody.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_may_have_blanks_and_a_prefix() {
        assert_eq!(unhex(b"0x80 03\n11 01").unwrap(), [0x80, 3, 0x11, 1]);
        for wrong in ["", "0x", "8", "zz", "0x0x00"] {
            assert!(unhex(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\x1b[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
    }
}
