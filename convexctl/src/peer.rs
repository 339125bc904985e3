//! `convexctl peer` and `convexctl panic`: commands for a peer of this machine.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use ipc::control::{Reply, Request};

use crate::cli;
use crate::control::{Connection, run_directory, unexpected};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local;
use crate::output::Out;
use crate::{stake, status};

/// The unit of an installed peer.
const UNIT: &str = "convexd.service";
/// Where its unit file may be.
const UNIT_FILES: [&str; 2] = [
    "/usr/lib/systemd/system/convexd.service",
    "/etc/systemd/system/convexd.service",
];

pub(crate) fn run(command: cli::Peer, out: &mut Out) -> Result<Exit, Failure> {
    match command {
        cli::Peer::Start { config } => start(config.as_deref(), out),
        cli::Peer::Stop { on } => done(&on, &Request::Stop, "the peer has stopped", out),
        cli::Peer::Restart { on, process } => {
            let what = process.map_or("all processes are", |role| role.name());
            let text = match process {
                Some(_) => format!("{what} is being restarted"),
                None => format!("{what} being restarted"),
            };
            done(&on, &Request::Restart(process), &text, out)
        }
        cli::Peer::Status(args) => status::run(&args, out),
        cli::Peer::Reload { on } => {
            done(&on, &Request::Reload, "the settings were read again", out)
        }
        cli::Peer::Verify { on } => verify(&on, out),
        cli::Peer::Create(args) => stake::create(&args, out),
        cli::Peer::SetHost(args) => stake::set_host(&args, out),
        cli::Peer::Evict(args) => stake::evict(&args, out),
    }
}

pub(crate) fn panic(on: &cli::Control, reason: String, out: &mut Out) -> Result<Exit, Failure> {
    done(
        on,
        &Request::Panic { reason },
        "the peer is down, and stays down",
        out,
    )
}

/// Sends a request that is answered by its being done.
fn done(on: &cli::Control, request: &Request, text: &str, out: &mut Out) -> Result<Exit, Failure> {
    match Connection::open(&run_directory(on))?.call(request)? {
        Reply::Done => {
            out.line(text)?;
            Ok(Exit::Ok)
        }
        other => Err(unexpected(&other)),
    }
}

fn verify(on: &cli::Control, out: &mut Out) -> Result<Exit, Failure> {
    match Connection::open(&run_directory(on))?.call(&Request::Verify)? {
        Reply::Verified { cells, findings } if findings.is_empty() => {
            out.line(format!("{cells} cells, all as their hashes say"))?;
            Ok(Exit::Ok)
        }
        Reply::Verified { cells, findings } => {
            out.line(format!("{cells} cells"))?;
            for finding in findings {
                out.line(finding)?;
            }
            Ok(Exit::Negative)
        }
        other => Err(unexpected(&other)),
    }
}

/// Starts the service, or a supervisor that takes the place of this process.
fn start(config: Option<&Path>, out: &mut Out) -> Result<Exit, Failure> {
    if config.is_none() && UNIT_FILES.iter().any(|path| Path::new(path).exists()) {
        out.flush()?;
        let status = Command::new("systemctl")
            .args(["start", UNIT])
            .status()
            .map_err(|error| Failure::new(Exit::Unavailable, format!("systemctl: {error}")))?;
        if status.success() {
            out.line(format!("{UNIT} is started"))?;
            return Ok(Exit::Ok);
        }
        return Err(
            Failure::new(Exit::Unavailable, format!("{UNIT} does not start")).remedy(format!(
                "see `systemctl status {UNIT}` and `journalctl -u {UNIT}`"
            )),
        );
    }
    let Some(config) = config else {
        return Err(Failure::usage("there is no service of a peer on this machine")
            .remedy("name a config file with --config, or run a network to try things out with `convexctl local start`"));
    };
    let program = local::programs(None)?.join("supervisor");
    let error = Command::new(&program).arg("--config").arg(config).exec();
    Err(Failure::new(
        Exit::Unavailable,
        format!("{} can't be run: {error}", program.display()),
    ))
}
