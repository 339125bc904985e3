//! The tool of operators and developers: commands over a small shared base.
//!
//! `cli` names the commands and their arguments; each command is a module with a `run` that writes its answer to an
//! [`output::Out`] and fails with a [`failure::Failure`], which says cause, remedy and exit code. Nothing panics on a
//! closed pipe, and nothing but `main` ends the process.
#![forbid(unsafe_code)]

pub mod amount;
mod chain;
pub mod cli;
mod control;
mod destake;
mod eval;
pub mod exit;
pub mod failure;
mod files;
mod generate;
mod inspect;
mod key;
mod local;
mod logs;
mod offline;
pub mod output;
mod peer;
mod progress;
mod remote;
mod repl;
mod session;
mod settings;
mod snippet;
pub mod stake;
mod status;
mod terminal;
mod transact;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use exit::Exit;
use failure::Failure;
use output::Out;

/// Runs the command that `args` (the name of the program first) ask for.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version arrive here too, on standard output. Nobody is left to tell when printing fails.
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            return ExitCode::from(exit.code());
        }
    };
    let mut out = Out::stdout();
    let exit = run(cli.command, &mut out).and_then(|exit| out.finish().map(|()| exit));
    let exit = exit.unwrap_or_else(|failure| {
        failure.report();
        failure.exit
    });
    ExitCode::from(exit.code())
}

fn run(command: Command, out: &mut Out) -> Result<Exit, Failure> {
    match command {
        Command::Local(command) => local::run(command, out),
        Command::Status(args) => status::run(&args, out),
        Command::Peer(command) => peer::run(command, out),
        Command::Query(args) => remote::query(&args, out),
        Command::Transact(args) => transact::run(&args, out),
        Command::Logs(args) => logs::run(&args, out),
        Command::Panic { on, reason } => peer::panic(&on, reason, out),
        Command::Key(command) => key::run(command, out),
        Command::Stake(command) => stake::run(command, out),
        Command::Destake(command) => destake::run(command, out),
        Command::Sign(args) => offline::run_sign(&args, out),
        Command::Submit(args) => offline::run_submit(&args, out),
        Command::Config(command) => settings::run(&command, out),
        Command::VerifyChain(args) => verify::run(&args, out),
        Command::Eval(args) => eval::run(&args, out),
        Command::Repl(args) => repl::run(&args, out),
        Command::Inspect(args) => inspect::run(&args, out),
        Command::Completions { shell } => generate::completions(shell, out),
        Command::Manpages { dir } => generate::manpages(&dir),
    }
}
