//! `conformance`: runs the golden vectors of the reference peer against this tree's crates.
//!
//! Reads JSON lines in the formats that `vectors/README.md` describes, tells what kind of case each line is by its fields, runs
//! those it knows, and counts passed, failed and skipped for each kind.
#![forbid(unsafe_code)]

mod case;
mod files;
mod kinds;
mod lines;
mod options;
mod outcome;
mod report;
mod run;

use std::process::ExitCode;

use options::{Command, USAGE};

/// `EX_USAGE` of `sysexits.h`.
const EX_USAGE: u8 = 64;
/// `EX_IOERR` of `sysexits.h`: the report could not be written.
const EX_IOERR: u8 = 74;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("conformance: {error}\n\n{USAGE}");
            return ExitCode::from(EX_USAGE);
        }
    };
    run::name_the_case_when_a_crate_panics();
    match run::run(&options, &mut std::io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: cannot write the report: {error}");
            ExitCode::from(EX_IOERR)
        }
    }
}
