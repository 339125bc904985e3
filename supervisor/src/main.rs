//! `supervisor`: starts, watches, restarts and stops the workers (DESIGN §1).
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use config::{Config, File, Loaded};
use supervisor::exit::{self, Fatal};
use supervisor::journal;
use supervisor::notify::Notify;
use supervisor::peer::{End, Peer};
use supervisor::setup::Setup;

/// The config file that is read when none is named and it exists.
const DEFAULT_FILE: &str = "/etc/convexd/convexd.toml";

/// Runs a Convex peer: starts its processes, watches them, and stops them in good order.
#[derive(Debug, Parser)]
#[command(name = "supervisor", version, about)]
struct Arguments {
    /// The config file.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting, instead of the one in the file; may be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    settings: Vec<String>,
    /// Look at the settings and stop.
    #[arg(long)]
    check_config: bool,
}

fn load(arguments: &Arguments) -> Result<Loaded, Fatal> {
    let fail = |error: config::ConfigError| Fatal::new(exit::CONFIG, error.to_string());
    let path = match &arguments.config {
        Some(path) => Some(path.clone()),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()),
    };
    let file = match &path {
        Some(path) => Some(read(path)?),
        None => None,
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Config::load(
        file.as_ref(),
        environment,
        arguments.settings.iter().map(String::as_str),
    )
    .map_err(fail)
}

fn read(path: &Path) -> Result<File, Fatal> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Fatal::new(
            exit::NO_INPUT,
            format!("can't read {}: {error}", path.display()),
        )
    })?;
    File::parse(&path.display().to_string(), &text)
        .map_err(|error| Fatal::new(exit::CONFIG, error.to_string()))
}

fn run(arguments: Arguments) -> Result<(), Fatal> {
    let loaded = load(&arguments)?;
    if arguments.check_config {
        println!("the settings are good");
        return Ok(());
    }
    journal::start(loaded.config.log.level.0, loaded.config.log.format);
    // The workers inherit it. Their allocator asks for huge pages, of which a small process would fill little: an idle peer takes half
    // the memory without them.
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        log::debug!(target: "supervisor", "huge pages stay as they are: {error}");
    }
    let notify = Notify::from_environment();
    let setup = Setup::new(loaded.config)?;
    let reload = move || load(&arguments).map(|l| l.config).map_err(|e| e.text);
    let peer = Peer::new(setup, notify, Box::new(reload))?;
    match peer.run() {
        End::Stopped => Ok(()),
        End::Failed(fatal) => Err(fatal),
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            if log::max_level() == log::LevelFilter::Off {
                eprintln!("supervisor: {fatal}");
            } else {
                log::error!(target: "supervisor", "{fatal}");
            }
            ExitCode::from(fatal.code)
        }
    }
}
