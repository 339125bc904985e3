//! From the first message of the supervisor to the loop.

use std::os::fd::OwnedFd;
use std::process::ExitCode;

use ipc::supervision::{FromWorker, NetdSettings, Ready, RescueSettings, Settings, ToWorker};
use ipc::{Received, Role, Supervision, SupervisionError};
use nix::sys::resource::{Resource, getrlimit};

use crate::limits::Limits;
use crate::rescue;
use crate::server::{Server, ServerError, ToSupervisor};

/// Exit codes of `sysexits.h`.
mod exit {
    pub(super) const USAGE: u8 = 64;
    pub(super) const SOFTWARE: u8 = 70;
    pub(super) const OS: u8 = 71;
    pub(super) const CONFIG: u8 = 78;
}

/// Descriptors beside those of connections: channels, the store, listeners, the event queue, and some to spare.
const OTHER_DESCRIPTORS: u64 = 64;

/// Runs the role that the arguments name, told by the supervisor what to do.
#[must_use]
pub fn main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let role = match (
        arguments.next().as_deref(),
        arguments.next().as_deref(),
        arguments.next(),
    ) {
        (None, ..) => Role::Netd,
        (Some("--role"), Some("rescue"), None) => Role::Rescue,
        _ => return by_hand("unknown arguments"),
    };
    ipc::logging::init();
    let supervision: ToSupervisor = match Supervision::inherited() {
        Ok(supervision) => supervision,
        Err(error) => return by_hand(&error.to_string()),
    };
    let (settings, fds) = match supervision.receive() {
        Ok(Received::Message(ToWorker::Start(settings), fds)) => (settings, fds),
        Ok(Received::Ended) => return ExitCode::SUCCESS,
        Ok(_) => {
            return fatal(
                &supervision,
                exit::SOFTWARE,
                "the supervisor did not begin with the settings",
            );
        }
        Err(error) => return fatal(&supervision, exit::SOFTWARE, &error.to_string()),
    };
    match *settings {
        Settings::Netd(settings) if role == Role::Netd => serve(settings, fds, supervision),
        Settings::Rescue(settings) if role == Role::Rescue => rescue(&settings, &supervision),
        other => {
            let text = format!("started as {role}, and told to be {}", other.role());
            fatal(&supervision, exit::SOFTWARE, &text)
        }
    }
}

fn by_hand(why: &str) -> ExitCode {
    eprintln!(
        "netd: {why}. The supervisor starts this program; start `supervisor` instead, or see `convexctl --help`."
    );
    ExitCode::from(exit::USAGE)
}

fn fatal(supervision: &ToSupervisor, code: u8, text: &str) -> ExitCode {
    log::error!("{text}");
    // The supervisor may be what has failed.
    let _ = supervision.send(&FromWorker::Fatal(text.to_owned()), &[]);
    ExitCode::from(code)
}

fn serve(
    mut settings: NetdSettings,
    listeners: Vec<OwnedFd>,
    supervision: ToSupervisor,
) -> ExitCode {
    let files = u64::from(settings.connections) + u64::from(settings.target) + OTHER_DESCRIPTORS;
    let granted = getrlimit(Resource::RLIMIT_NOFILE).map_or(files, |(_, most)| most.min(files));
    if granted < files {
        let connections = granted.saturating_sub(u64::from(settings.target) + OTHER_DESCRIPTORS);
        log::warn!(
            "{} connections are allowed, but the system grants descriptors for {connections}: raise the limit of open files (LimitNOFILE)",
            settings.connections
        );
        settings.connections = u32::try_from(connections).unwrap_or(settings.connections);
    }
    let limits = Limits::new(&settings);
    let prepared = match Server::prepare(&settings, limits, listeners) {
        Ok(prepared) => prepared,
        Err(error) => return fatal(&supervision, code_of(&error), &error.to_string()),
    };
    let mut policy = sandbox::policy::netd();
    policy.limits.files = Some(files);
    if let Err(code) = enter(&policy, &settings.demands, &supervision) {
        return code;
    }
    let mut server = match prepared.start(supervision) {
        Ok(server) => server,
        Err(error) => {
            log::error!("{error}");
            return ExitCode::from(code_of(&error));
        }
    };
    server.tell_supervisor(&FromWorker::Ready(Ready::Netd));
    match server.run() {
        Ok(code) => code,
        Err(error) => {
            server.tell_supervisor(&FromWorker::Fatal(error.to_string()));
            ExitCode::from(code_of(&error))
        }
    }
}

/// Enters the sandbox and says so.
fn enter(
    policy: &sandbox::policy::Policy<'_>,
    demands: &str,
    supervision: &ToSupervisor,
) -> Result<(), ExitCode> {
    let demands: sandbox::Requirements = demands.parse().map_err(|error| {
        fatal(
            supervision,
            exit::CONFIG,
            &format!("demands of the sandbox: {error}"),
        )
    })?;
    let report = sandbox::enter(policy, &demands)
        .map_err(|error| fatal(supervision, error.exit_code(), &error.to_string()))?;
    match supervision.send(&FromWorker::Sandboxed(report), &[]) {
        Ok(()) => Ok(()),
        // Its end ends its workers, at whatever moment.
        Err(SupervisionError::Closed) => Err(ExitCode::SUCCESS),
        Err(error) => Err(fatal(supervision, exit::OS, &error.to_string())),
    }
}

const fn code_of(error: &ServerError) -> u8 {
    match error {
        ServerError::Network(_) => exit::CONFIG,
        ServerError::Io { .. } => exit::OS,
    }
}

fn rescue(settings: &RescueSettings, supervision: &ToSupervisor) -> ExitCode {
    // The only steps that need files and new sockets.
    let connected = rescue::connect(settings);
    if let Err(code) = enter(&sandbox::policy::rescue(), &settings.demands, supervision) {
        return code;
    }
    let outcome = match connected {
        Ok(connected) => match rescue::carry(connected, settings, supervision) {
            Some(outcome) => outcome,
            // The supervisor has ended, or wants this to end.
            None => return ExitCode::SUCCESS,
        },
        Err(text) => rescue::Outcome::failed(text),
    };
    let ready = Ready::Rescue {
        outcome: outcome.text,
        answered: outcome.answered,
        confirmed: outcome.confirmed,
    };
    match supervision.send(&FromWorker::Ready(ready), &[]) {
        Ok(()) | Err(SupervisionError::Closed) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(exit::OS),
    }
}
