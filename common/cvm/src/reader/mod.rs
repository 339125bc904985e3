//! The reader: source text to cells (`spec/02 §1`).
//!
//! No program on the network reads text, so nothing here affects a state; the reader decides which cells a client
//! submits. It takes time and memory in proportion to the text and does not recurse, so that no nesting exhausts the
//! stack. The first problem ends the read.
//!
//! ```
//! let form = cvm::reader::read("(+ 1 foo/bar)").unwrap();
//! assert_eq!(form.to_string(), "(+ 1 (lookup foo bar))");
//! let error = cvm::reader::read("[1\n 2)").unwrap_err();
//! assert_eq!(error.to_string(), "Parse error at 2:2: '[' at 1:0 closed by mismatched ')' at 2:2");
//! ```

mod lexer;
mod literal;
mod metadata;
mod parser;
mod tagged;

use cells::{Cell, List};
use thiserror::Error;

/// Why a text can't be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Parse error at {line}:{column}: {message}")]
pub struct ReadError {
    /// Line of the problem, from 1.
    pub line: usize,
    /// Characters before the problem in that line.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// Reads exactly one form.
///
/// # Errors
/// When `text` is empty, is no form, or goes on after it.
pub fn read(text: &str) -> Result<Cell, ReadError> {
    parser::Parser::new(text)
        .single()
        .map_err(|problem| problem.at(text))
}

/// Reads any number of forms; none give the empty list. Unlike in [`read`], `#_` may discard whole forms.
///
/// # Errors
/// When `text` is not a sequence of forms.
pub fn read_all(text: &str) -> Result<List, ReadError> {
    parser::Parser::new(text)
        .all()
        .map_err(|problem| problem.at(text))
}

/// [`read`] from bytes.
///
/// # Errors
/// As [`read`], and when `bytes` are not UTF-8.
pub fn read_bytes(bytes: &[u8]) -> Result<Cell, ReadError> {
    read(decode(bytes)?)
}

/// [`read_all`] from bytes.
///
/// # Errors
/// As [`read_all`], and when `bytes` are not UTF-8.
pub fn read_all_bytes(bytes: &[u8]) -> Result<List, ReadError> {
    read_all(decode(bytes)?)
}

fn decode(bytes: &[u8]) -> Result<&str, ReadError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (valid, _) = bytes.split_at(error.valid_up_to());
        let text = std::str::from_utf8(valid).unwrap_or_default();
        Problem::new(text.len(), "invalid UTF-8").at(text)
    })
}

/// A problem at a byte of the text, before lines are counted.
struct Problem {
    offset: usize,
    message: String,
}

impl Problem {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
        }
    }

    fn at(self, text: &str) -> ReadError {
        let (line, column) = position(text, self.offset);
        ReadError {
            line,
            column,
            message: self.message,
        }
    }
}

/// Line (from 1) and column (characters, from 0) of a byte of the text.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    (line, before[start..].chars().count())
}

/// The text of a token for a message, cut to 20 characters.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(20) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
