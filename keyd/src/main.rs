//! `keyd`: signs with the peer key, and only what a peer should sign (DESIGN §1).
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    keyd::run()
}
