//! Shell completions and man pages, generated from the arguments that the program really takes.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

/// Writes the completion script of a shell.
pub(crate) fn completions(shell: Shell, out: &mut Out) -> Result<Exit, Failure> {
    // Into memory first: the generator panics when its output fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "convexctl", &mut script);
    out.bytes(&script)?;
    Ok(Exit::Ok)
}

/// Writes one page for the tool and one for each of its commands.
pub(crate) fn manpages(dir: &Path) -> Result<Exit, Failure> {
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .map_err(|error| {
            Failure::new(
                Exit::CantCreate,
                format!("man pages can't be written to {}: {error}", dir.display()),
            )
            .remedy("name a directory that this user may write to")
        })?;
    Ok(Exit::Ok)
}
