//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use thiserror::Error;

use crate::kinds;

/// Text of `--help`.
pub(crate) const USAGE: &str = "\
usage: conformance [OPTIONS] FILE_OR_DIR...

Runs golden vectors: JSON lines (.jsonl), also gzip (.jsonl.gz). Of a directory, every such file directly in it.
The kind of each line is recognised by its fields.

  --genesis FILE      state that a file's cases start from   (default: the genesis*.bin beside the file)
  --kind KIND         run only lines of this kind; may be given several times
  --only SUBSTRING    count only cases whose label has this text, for example encoding/12, vector/ or a scenario's name;
                      a label is what FAIL lines print after the file and line
  --max-failures N    print at most N failing cases; the others are still counted   (default: all)
  --strict            a skipped case is a failure of the run as well. Lines left out by --kind or --only were not asked for:
                      they are no skips, and the report counts the former apart
  --list-kinds        print the kinds and whether this build runs them
  --help              this text

The last line is \"N passed, N failed, N skipped\". Exit code 0: nothing failed (with --strict: and nothing was skipped);
1: something did, or there was nothing to run; 64: wrong usage; 74: the report could not be written.
";

/// What one invocation asks for.
pub(crate) enum Command {
    /// Run vectors.
    Run(Options),
    /// Print the usage.
    Help,
}

/// A run's options.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Files and directories, as given.
    pub(crate) paths: Vec<PathBuf>,
    /// State file instead of the one beside each file.
    pub(crate) genesis: Option<PathBuf>,
    /// Kinds asked for; empty means all.
    pub(crate) kinds: Vec<String>,
    /// Text that a case's label must have.
    pub(crate) only: Option<String>,
    /// How many failing cases are printed.
    pub(crate) max_failures: Option<u64>,
    /// Skips fail the run.
    pub(crate) strict: bool,
    /// Print the table of kinds and do nothing else.
    pub(crate) list_kinds: bool,
}

/// Wrong usage.
#[derive(Debug, Error)]
pub(crate) enum UsageError {
    /// An option that needs a value is the last argument.
    #[error("{0} needs a value")]
    NoValue(&'static str),
    /// A number was expected.
    #[error("--max-failures needs a number, not {0:?}")]
    NotANumber(OsString),
    /// Text that is not UTF-8 cannot be part of any label or kind.
    #[error("{0} needs UTF-8 text, not {1:?}")]
    NotText(&'static str, OsString),
    /// There is no such kind.
    #[error("unknown kind {0:?}; the kinds are {known}", known = kinds::names().collect::<Vec<_>>().join(", "))]
    UnknownKind(String),
    /// There is no such option.
    #[error("unknown option {0}")]
    UnknownOption(String),
    /// Nothing to run.
    #[error("no file or directory given")]
    NoPaths,
}

/// Parses the arguments after the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut options = Options::default();
    let mut arguments = arguments.into_iter();
    let mut only_paths = false;
    while let Some(argument) = arguments.next() {
        let option = argument
            .to_str()
            .filter(|text| !only_paths && text.len() > 1 && text.starts_with('-'));
        let Some(option) = option else {
            options.paths.push(argument.into());
            continue;
        };
        match option {
            "--" => only_paths = true,
            "--help" | "-h" => return Ok(Command::Help),
            "--strict" => options.strict = true,
            "--list-kinds" => options.list_kinds = true,
            "--genesis" => options.genesis = Some(value("--genesis", &mut arguments)?.into()),
            "--only" => options.only = Some(text("--only", &mut arguments)?),
            "--kind" => {
                let kind = text("--kind", &mut arguments)?;
                if !kinds::names().any(|name| name == kind) {
                    return Err(UsageError::UnknownKind(kind));
                }
                options.kinds.push(kind);
            }
            "--max-failures" => {
                let number = value("--max-failures", &mut arguments)?;
                let parsed = number.to_str().and_then(|text| text.parse().ok());
                options.max_failures = Some(parsed.ok_or(UsageError::NotANumber(number))?);
            }
            unknown => return Err(UsageError::UnknownOption(unknown.to_owned())),
        }
    }
    if options.paths.is_empty() && !options.list_kinds {
        return Err(UsageError::NoPaths);
    }
    Ok(Command::Run(options))
}

fn value(
    option: &'static str,
    arguments: &mut impl Iterator<Item = OsString>,
) -> Result<OsString, UsageError> {
    arguments.next().ok_or(UsageError::NoValue(option))
}

fn text(
    option: &'static str,
    arguments: &mut impl Iterator<Item = OsString>,
) -> Result<String, UsageError> {
    value(option, arguments)?
        .into_string()
        .map_err(|other| UsageError::NotText(option, other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<Options, UsageError> {
        match parse(arguments.iter().map(OsString::from))? {
            Command::Run(options) => Ok(options),
            Command::Help => panic!("not asked for help"),
        }
    }

    #[test]
    fn options_may_stand_between_paths() {
        let options = run(&[
            "a",
            "--only",
            "vector/",
            "--strict",
            "b",
            "--max-failures",
            "3",
        ])
        .unwrap();
        assert_eq!(options.paths, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(options.only.as_deref(), Some("vector/"));
        assert_eq!(options.max_failures, Some(3));
        assert!(options.strict);
    }

    #[test]
    fn after_two_dashes_everything_is_a_path() {
        assert_eq!(
            run(&["--", "--strict"]).unwrap().paths,
            [PathBuf::from("--strict")]
        );
    }

    #[test]
    fn wrong_usage_is_refused_and_says_what_is_wrong() {
        for (arguments, expected) in [
            (&[][..], "no file or directory given"),
            (&["--frob", "a"], "unknown option --frob"),
            (&["a", "--genesis"], "--genesis needs a value"),
            (
                &["a", "--max-failures", "-1"],
                "--max-failures needs a number, not \"-1\"",
            ),
        ] {
            assert_eq!(run(arguments).unwrap_err().to_string(), expected);
        }
        let unknown = run(&["a", "--kind", "frob"]).unwrap_err().to_string();
        assert!(
            unknown.starts_with("unknown kind \"frob\"; the kinds are "),
            "{unknown}"
        );
    }
}
