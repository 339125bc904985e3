//! `stored`: the only writer of the Etch file (DESIGN §1).
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    stored::run()
}
