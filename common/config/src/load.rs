//! From the sources to the settings.

use std::collections::BTreeMap;
use std::fmt;

use toml_edit::{Document, Item, Table, Value};

use crate::{Config, ENTRIES, Entry};

/// Prefix of environment variables: `CONVEXD_NETWORK_LISTEN` sets `network.listen`.
const PREFIX: &str = "CONVEXD_";
/// Longest file in bytes.
const MAX_FILE: usize = 1 << 20;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A file and the line in it.
    File(String, usize),
    /// An environment variable.
    Environment(String),
    /// The command line.
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name, line) => write!(f, "{name}, line {line}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// Why there are no settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file is no TOML.
    #[error("{name}, line {line}: {message}")]
    Syntax {
        /// The file.
        name: String,
        /// Where.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The file is too long.
    #[error("{name} is longer than {MAX_FILE} bytes: this is no config file")]
    TooLong {
        /// The file.
        name: String,
    },
    /// No such setting.
    #[error("{source_of}: there is no setting {path}{}", hint(nearest))]
    Unknown {
        /// Where it was.
        source_of: Source,
        /// What it said.
        path: String,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// A value is not as it should be.
    #[error("{source_of}: {path}: {why}")]
    Value {
        /// Where it was.
        source_of: Source,
        /// The setting.
        path: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A setting of the command line has no value.
    #[error("command line: expected section.key=value, not {0:?}")]
    NoValue(String),
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |path| format!("; did you mean {path}?"))
}

/// A config file that was parsed.
#[derive(Debug, Clone)]
pub struct File {
    name: String,
    text: String,
    document: Document<String>,
}

impl File {
    /// Parses the text of a file; the name is for messages.
    ///
    /// # Errors
    /// When it is no TOML.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        if text.len() > MAX_FILE {
            return Err(ConfigError::TooLong {
                name: name.to_owned(),
            });
        }
        let document = Document::parse(text.to_owned()).map_err(|error| ConfigError::Syntax {
            name: name.to_owned(),
            line: error.span().map_or(1, |span| line_at(text, span.start)),
            message: error.message().replace('\n', ", "),
        })?;
        Ok(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            document,
        })
    }

    fn source(&self, span: Option<std::ops::Range<usize>>) -> Source {
        Source::File(
            self.name.clone(),
            span.map_or(1, |span| line_at(&self.text, span.start)),
        )
    }

    /// All values by path.
    fn values(&self) -> Result<Vec<(&'static str, Source, Value)>, ConfigError> {
        let mut values = Vec::new();
        self.collect(self.document.as_table(), "", &mut values)?;
        Ok(values)
    }

    fn collect(
        &self,
        table: &Table,
        prefix: &str,
        values: &mut Vec<(&'static str, Source, Value)>,
    ) -> Result<(), ConfigError> {
        for (name, item) in table {
            let path = format!("{prefix}{name}");
            let span = table.key(name).and_then(|key| key.span());
            match item {
                Item::Table(inner) if prefix.is_empty() => {
                    if !ENTRIES
                        .iter()
                        .any(|e| e.path.starts_with(&format!("{name}.")))
                    {
                        return Err(unknown(self.source(span), path));
                    }
                    self.collect(inner, &format!("{name}."), values)?;
                }
                Item::Value(value) => {
                    let source = self.source(span);
                    values.push((known(&source, path)?, source, value.clone()));
                }
                _ => return Err(unknown(self.source(span), path)),
            }
        }
        Ok(())
    }
}

fn line_at(text: &str, position: usize) -> usize {
    1 + text.bytes().take(position).filter(|b| *b == b'\n').count()
}

fn known(source: &Source, path: String) -> Result<&'static str, ConfigError> {
    match ENTRIES.iter().find(|entry| entry.path == path) {
        Some(entry) => Ok(entry.path),
        None => Err(unknown(source.clone(), path)),
    }
}

fn unknown(source_of: Source, path: String) -> ConfigError {
    ConfigError::Unknown {
        source_of,
        nearest: nearest(&path),
        path,
    }
}

/// The setting that may have been meant.
fn nearest(path: &str) -> Option<&'static str> {
    ENTRIES
        .iter()
        .map(|entry| (distance(entry.path, path), entry.path))
        .min()
        .filter(|(distance, _)| *distance <= 4)
        .map(|(_, path)| path)
}

/// Edits that lead from one text to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A value that was given outside of a file: TOML, or else a text.
fn loose(text: &str) -> Value {
    text.trim().parse().unwrap_or_else(|_| Value::from(text))
}

/// The settings, and where each comes from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    values: BTreeMap<&'static str, (Source, Value)>,
}

impl Loaded {
    /// Where a setting comes from.
    #[must_use]
    pub fn source(&self, path: &str) -> &Source {
        self.values
            .get(path)
            .map_or(&Source::Default, |(source, _)| source)
    }

    /// All settings in the order of the reference: path, value as in a file (empty when there is none), source.
    pub fn list(&self) -> impl Iterator<Item = (&'static str, String, &Source)> {
        ENTRIES
            .iter()
            .map(|entry| match self.values.get(entry.path) {
                Some((source, value)) => (entry.path, value.to_string().trim().to_owned(), source),
                None => (entry.path, entry.default.to_owned(), &Source::Default),
            })
    }
}

impl Config {
    /// Puts the settings together. `environment` are all variables, `command_line` texts of the form `section.key=value`.
    ///
    /// # Errors
    /// The first setting that does not exist or has a bad value, with its place.
    pub fn load<'a>(
        file: Option<&File>,
        environment: impl IntoIterator<Item = (String, String)>,
        command_line: impl IntoIterator<Item = &'a str>,
    ) -> Result<Loaded, ConfigError> {
        let mut values: BTreeMap<&'static str, (Source, Value)> = BTreeMap::new();
        if let Some(file) = file {
            for (path, source, value) in file.values()? {
                values.insert(path, (source, value));
            }
        }
        for (name, text) in environment {
            let Some(rest) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let source = Source::Environment(name.clone());
            let named = |entry: &&Entry| entry.path.to_uppercase().replace(['.', '-'], "_") == rest;
            let Some(path) = ENTRIES.iter().find(named).map(|entry| entry.path) else {
                let path = rest.to_lowercase().replacen('_', ".", 1);
                // The tools and tests have variables of their own: only what looks like a setting is one.
                if nearest(&path).is_some() {
                    return Err(unknown(source, path));
                }
                continue;
            };
            values.insert(path, (source, loose(&text)));
        }
        for text in command_line {
            let (path, value) = text
                .split_once('=')
                .ok_or_else(|| ConfigError::NoValue(text.to_owned()))?;
            let path = known(&Source::CommandLine, path.trim().to_owned())?;
            values.insert(path, (Source::CommandLine, loose(value)));
        }
        let config = Self::fill(|path, check| {
            let (source, value) = match values.get(path) {
                Some((source, value)) => (source.clone(), value.clone()),
                None => (Source::Default, default_of(path)),
            };
            match check(&value) {
                Ok(()) => Ok(value),
                Err(why) => Err(ConfigError::Value {
                    source_of: source,
                    path,
                    why,
                }),
            }
        })?;
        Ok(Loaded { config, values })
    }
}

fn default_of(path: &str) -> Value {
    let text = ENTRIES
        .iter()
        .find(|entry| entry.path == path)
        .map_or("", |entry| entry.default);
    if text.is_empty() {
        Value::from("")
    } else {
        loose(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)], line: &[&str]) -> Result<Loaded, String> {
        let file = File::parse("peer.toml", text).map_err(|e| e.to_string())?;
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(Some(&file), environment, line.iter().copied()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_defaults_are_good() {
        let loaded = Config::load(None, [], []).unwrap();
        assert_eq!(loaded.config.network.listen[0].port(), 18_888);
        assert_eq!(loaded.config.store.checkpoint.0, 64 << 20);
        assert_eq!(loaded.config.peer.key, None);
        assert_eq!(loaded.list().count(), ENTRIES.len());
    }

    #[test]
    fn later_sources_win_and_are_named() {
        let text = "[network]\ntarget = 1\nconnections = 7\nidle = \"1 s\"\n";
        let environment = [
            ("CONVEXD_NETWORK_TARGET", "2"),
            ("CONVEXD_NETWORK_CONNECTIONS_PER_ADDRESS", "9"),
            ("CONVEXD_NETWORK_IDLE", "2 s"),
            ("CONVEXD_LOG", "debug"),
            ("CONVEXD_LONG", "1"),
            ("CONVEXD_VECTORS", "vectors"),
            ("CONVEXD_FUZZ_SECONDS", "5"),
            ("HOME", "/root"),
        ];
        let loaded = load(text, &environment, &["network.idle=3 min"]).unwrap();
        assert_eq!(loaded.config.network.connections, 7);
        assert_eq!(loaded.config.network.target, 2);
        assert_eq!(loaded.config.network.connections_per_address, 9);
        assert_eq!(loaded.config.network.idle.0, 180_000);
        let source = |path| loaded.source(path).to_string();
        assert_eq!(source("network.connections"), "peer.toml, line 3");
        assert_eq!(
            source("network.target"),
            "environment variable CONVEXD_NETWORK_TARGET"
        );
        assert_eq!(source("network.idle"), "command line");
        assert_eq!(source("network.memory"), "default");
    }

    #[test]
    fn errors_name_the_place_and_the_remedy() {
        let cases: &[(&str, &str)] = &[
            (
                "[network]\n\nlissen = []",
                "peer.toml, line 3: there is no setting network.lissen; did you mean network.listen?",
            ),
            (
                "[netwrk]\nlisten = []",
                "peer.toml, line 1: there is no setting netwrk",
            ),
            ("top = 1", "peer.toml, line 1: there is no setting top"),
            (
                "[network]\ntarget = \"x\"",
                "peer.toml, line 2: network.target: expected a whole number from 0 to 65535",
            ),
            (
                "[network]\ntarget = -1",
                "peer.toml, line 2: network.target: expected a whole number from 0 to 65535",
            ),
            (
                "[store]\nreserve = \"1 GB\"",
                "peer.toml, line 2: store.reserve: expected a number and a unit (B, KiB, MiB, GiB or TiB), such as \"64 MiB\"",
            ),
            (
                "[network]\ndeny = [\"10.0.0.0/33\"]",
                "peer.toml, line 2: network.deny: \"10.0.0.0/33\" is no network such as \"10.0.0.0/8\" or \"2001:db8::/32\"",
            ),
            (
                "[log]\nlevel = \"loud\"",
                "peer.toml, line 2: log.level: expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
            ),
        ];
        for (text, expected) in cases {
            let error = load(text, &[], &[]).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        assert!(
            load("[network\n", &[], &[])
                .unwrap_err()
                .starts_with("peer.toml, line 1: ")
        );
        assert_eq!(
            load("", &[("CONVEXD_NETWORK_TARGT", "1")], &[]).unwrap_err(),
            "environment variable CONVEXD_NETWORK_TARGT: there is no setting network.targt; did you mean network.target?"
        );
        assert_eq!(
            load("", &[], &["network.target"]).unwrap_err(),
            "command line: expected section.key=value, not \"network.target\""
        );
    }
}
