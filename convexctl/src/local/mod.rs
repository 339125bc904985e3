//! `convexctl local`: a network on this machine.

mod layout;
mod make;
mod run;

use std::path::{Path, PathBuf};

use ipc::control::{Reply, Request};

use crate::cli;
use crate::control::{Connection, SOCKET, unexpected};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(crate) use layout::{Layout, UserFiles};

pub(crate) fn run(command: cli::Local, out: &mut Out) -> Result<Exit, Failure> {
    match command {
        cli::Local::Start(args) => run::start(&args, out),
        cli::Local::Stop { dir } => stop(dir, out),
    }
}

/// The directory that is meant.
fn directory(dir: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let dir = dir.or_else(Layout::default_directory).ok_or_else(|| {
        Failure::usage("no directory for the network: there is no home directory")
            .remedy("name one with --dir")
    })?;
    std::path::absolute(&dir).map_err(|error| Failure::usage(format!("{}: {error}", dir.display())))
}

/// The directory of the programs of a peer.
pub(crate) fn programs(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let candidates: Vec<PathBuf> = match given {
        Some(dir) => vec![dir.to_owned()],
        None => std::env::current_exe()
            .ok()
            .and_then(|path| Some(path.parent()?.to_owned()))
            .into_iter()
            .chain([
                PathBuf::from("/usr/libexec/convexd"),
                PathBuf::from("/usr/lib/convexd"),
            ])
            .collect(),
    };
    candidates
        .iter()
        .find(|dir| dir.join("supervisor").is_file())
        .cloned()
        .ok_or_else(|| {
            Failure::new(
                Exit::Unavailable,
                format!(
                    "the programs of a peer are not in {}",
                    candidates
                        .iter()
                        .map(|dir| dir.display().to_string())
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            )
            .remedy(
                "build them with `cargo build --release`, or name their directory with --programs",
            )
        })
}

fn stop(dir: Option<PathBuf>, out: &mut Out) -> Result<Exit, Failure> {
    let layout = Layout::new(directory(dir)?);
    let mut stopped = 0;
    for peer in layout.peers() {
        if !peer.run().join(SOCKET).exists() {
            continue;
        }
        // A socket without a listener is left by a peer that was killed.
        let Ok(mut connection) = Connection::open(&peer.run()) else {
            continue;
        };
        match connection.call(&Request::Stop)? {
            Reply::Done => stopped += 1,
            other => return Err(unexpected(&other)),
        }
    }
    if stopped == 0 {
        out.line("no peer of this network runs")?;
        return Ok(Exit::Negative);
    }
    out.line(format!("{stopped} stopped"))?;
    Ok(Exit::Ok)
}
