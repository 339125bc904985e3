//! `convexctl config`.

use std::path::{Path, PathBuf};

use config::{Config, File};

use crate::cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

/// The config file of an installed peer.
const INSTALLED: &str = "/etc/convexd/convexd.toml";

pub(crate) fn run(command: &cli::Config, out: &mut Out) -> Result<Exit, Failure> {
    match command {
        cli::Config::Reference => out.bytes(config::reference().as_bytes())?,
        cli::Config::Show { config, settings } => show(config.as_deref(), settings, out)?,
    }
    Ok(Exit::Ok)
}

fn show(path: Option<&Path>, settings: &[String], out: &mut Out) -> Result<(), Failure> {
    let path = match path {
        Some(path) => Some(path.to_owned()),
        None => Some(PathBuf::from(INSTALLED)).filter(|path| path.exists()),
    };
    let bad = |error: config::ConfigError| Failure::new(Exit::Config, error);
    let file = match &path {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::new(
                    Exit::NoInput,
                    format!("{} can't be read: {error}", path.display()),
                )
            })?;
            Some(File::parse(&path.display().to_string(), &text).map_err(bad)?)
        }
        None => None,
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let loaded = Config::load(
        file.as_ref(),
        environment,
        settings.iter().map(String::as_str),
    )
    .map_err(bad)?;
    let rows: Vec<_> = loaded.list().collect();
    let width = |of: fn(&(&str, String, &config::Source)) -> usize, most: usize| {
        rows.iter().map(of).max().unwrap_or(0).min(most)
    };
    let path_width = width(|row| row.0.len(), 40);
    let value_width = width(|row| row.1.len(), 44);
    for (path, value, source) in &rows {
        let value = if value.is_empty() { "-" } else { value };
        out.line(format!(
            "{path:path_width$}  {value:value_width$}  {source}"
        ))?;
    }
    Ok(())
}
