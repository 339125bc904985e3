//! `netd`: the peer protocol on TCP, and in its other role the courier of a rescue (DESIGN §1).
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    netd::start::main(std::env::args().skip(1))
}
