//! `convexctl`: the operator's hand: control socket, remote peers, offline tools (DESIGN §1).
//!
//! This build holds the data layer only; the process itself is not there yet and says so.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// `EX_UNAVAILABLE` of `sysexits.h`: the service that was asked for does not exist here.
const EX_UNAVAILABLE: u8 = 69;

fn main() -> ExitCode {
    eprintln!("convexctl: this build contains only the data layer; there is no peer to run");
    ExitCode::from(EX_UNAVAILABLE)
}
