//! Reading entries: with history and completion from a terminal, plainly from anything else.

use std::cell::RefCell;
use std::io::BufRead;
use std::path::PathBuf;
use std::rc::Rc;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Helper};

use super::input;
use crate::exit::Exit;
use crate::failure::Failure;

/// Names that are offered for completion, of each account at most.
pub(super) const MAX_NAMES: usize = 10_000;
/// Entries that are remembered.
const HISTORY: usize = 10_000;
/// Longest entry from a pipe, bytes.
const MAX_ENTRY: usize = 10_000_000;

/// What reading came to.
pub(super) enum Line {
    Text(String),
    /// The entry was given up.
    Interrupted,
    End,
}

/// Reads entries.
pub(super) enum Editor {
    Terminal {
        editor: Box<rustyline::Editor<Assistant, FileHistory>>,
        history: Option<PathBuf>,
    },
    Plain,
}

impl Editor {
    pub(super) fn new(interactive: bool) -> Result<Self, Failure> {
        if !interactive {
            return Ok(Self::Plain);
        }
        let fail = |error: ReadlineError| {
            Failure::new(Exit::Io, format!("the terminal can't be used: {error}"))
        };
        let config = Config::builder()
            .max_history_size(HISTORY)
            .map_err(fail)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor = rustyline::Editor::with_config(config).map_err(fail)?;
        editor.set_helper(Some(Assistant::default()));
        let history = history_file();
        if let Some(path) = &history {
            // There is none at first.
            let _ = editor.load_history(path);
        }
        Ok(Self::Terminal {
            editor: Box::new(editor),
            history,
        })
    }

    /// Names to complete with, sorted.
    pub(super) fn set_names(&mut self, names: Vec<String>) {
        if let Self::Terminal { editor, .. } = self
            && let Some(assistant) = editor.helper()
        {
            *assistant.names.borrow_mut() = names;
        }
    }

    pub(super) fn read(&mut self, prompt: &str) -> Result<Line, Failure> {
        match self {
            Self::Plain => read_plain(&mut std::io::stdin().lock()),
            Self::Terminal { editor, .. } => match editor.readline(prompt) {
                Ok(text) => {
                    // Not to be remembered is no reason to stop.
                    let _ = editor.add_history_entry(&text);
                    Ok(Line::Text(text))
                }
                Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
                Err(ReadlineError::Eof) => Ok(Line::End),
                Err(error) => Err(Failure::new(
                    Exit::Io,
                    format!("the terminal can't be read: {error}"),
                )),
            },
        }
    }

    /// Keeps the history for the next time.
    pub(super) fn save(&mut self) {
        if let Self::Terminal {
            editor,
            history: Some(path),
        } = self
        {
            let saved = match path.parent() {
                Some(dir) => std::fs::create_dir_all(dir).map_err(ReadlineError::Io),
                None => Ok(()),
            }
            .and_then(|()| editor.save_history(path));
            if let Err(error) = saved {
                use std::io::Write;
                let _ = writeln!(
                    std::io::stderr(),
                    "convexctl: the history can't be kept in {}: {error}",
                    path.display()
                );
            }
        }
    }
}

/// Lines until the forms in them close.
fn read_plain(input: &mut dyn BufRead) -> Result<Line, Failure> {
    let mut text = String::new();
    loop {
        let mut line = Vec::new();
        let mut most = std::io::Read::take(&mut *input, (MAX_ENTRY - text.len()) as u64 + 1);
        most.read_until(b'\n', &mut line).map_err(|error| {
            Failure::new(Exit::Io, format!("standard input can't be read: {error}"))
        })?;
        text += std::str::from_utf8(&line).map_err(|_| Failure::data("the input is not UTF-8"))?;
        if text.len() > MAX_ENTRY {
            return Err(Failure::data(format!(
                "an entry is longer than {MAX_ENTRY} bytes"
            )));
        }
        if line.is_empty() {
            // The reader will say what is not closed.
            return Ok(if text.trim().is_empty() {
                Line::End
            } else {
                Line::Text(text)
            });
        }
        if !input::is_open(&text) {
            return Ok(Line::Text(text));
        }
    }
}

/// The file of the state directory of the user (XDG base directories).
fn history_file() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state =
        absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("convexctl/repl-history"))
}

/// Completes symbols and knows when an entry is complete.
#[derive(Default)]
pub(super) struct Assistant {
    names: Rc<RefCell<Vec<String>>>,
}

/// Where the symbol before the cursor begins.
fn symbol_start(before: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || "()[]{}\"'`~,;^@/\\".contains(c);
    before.rfind(ends).map_or(0, |i| {
        i + before[i..].chars().next().map_or(1, char::len_utf8)
    })
}

/// The names that begin with `prefix`; all of `names` is sorted.
fn matching(names: &[String], prefix: &str) -> Vec<String> {
    let from = names.partition_point(|name| name.as_str() < prefix);
    names[from..]
        .iter()
        .take_while(|name| name.starts_with(prefix))
        .cloned()
        .collect()
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = line.get(..pos).unwrap_or(line);
        let start = symbol_start(before);
        let prefix = &before[start..];
        if prefix.is_empty() {
            return Ok((start, Vec::new()));
        }
        Ok((start, matching(&self.names.borrow(), prefix)))
    }
}

impl Validator for Assistant {
    fn validate(&self, ctx: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if input::is_open(ctx.input()) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {}

impl Helper for Assistant {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbol_before_the_cursor_is_completed() {
        for (before, start) in [
            ("", 0),
            ("ma", 0),
            ("(ma", 1),
            ("(map in", 5),
            ("(f 'é x", 7),
            ("@fo", 1),
            ("é(a", 3),
        ] {
            assert_eq!(symbol_start(before), start, "{before}");
        }
        let names = ["*address*", "map", "map?", "mapcat", "max"].map(str::to_owned);
        assert_eq!(matching(&names, "map"), ["map", "map?", "mapcat"]);
        assert!(matching(&names, "zz").is_empty());
    }

    #[test]
    fn lines_are_joined_until_the_form_closes() {
        let mut input: &[u8] = b"(+ 1\n 2)\n:state\n(open";
        let mut texts = Vec::new();
        while let Line::Text(text) = read_plain(&mut input).unwrap() {
            texts.push(text);
        }
        assert_eq!(texts, ["(+ 1\n 2)\n", ":state\n", "(open"]);
    }

    #[test]
    fn an_endless_entry_is_refused() {
        let mut input = std::io::BufReader::new(std::io::repeat(b'('));
        let Err(failure) = read_plain(&mut input) else {
            panic!("it ended")
        };
        assert!(failure.cause.contains("longer than"), "{}", failure.cause);
    }
}
