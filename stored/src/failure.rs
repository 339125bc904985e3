//! Why the process ends, with the exit code of `sysexits.h` that tells the supervisor what kind of thing it was.

use std::io::{self, ErrorKind};

/// An end that is not in order. The text names cause and remedy.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Started by hand.
    #[error("stored is started by the supervisor of a peer, not by hand: use convexctl ({0})")]
    NoSupervisor(ipc::SupervisionError),
    /// The supervisor says what it shouldn't.
    #[error("the supervisor: {0}")]
    Supervisor(#[from] ipc::SupervisionError),
    /// The supervisor starts with something else than settings for this role.
    #[error(
        "the supervisor did not begin with the settings of stored: all programs have to be of one version"
    )]
    NotForStored,
    /// The name of the store file is not one name.
    #[error(
        "{0:?} is no name of a store file: it has to be a name in the store directory, without a path"
    )]
    Name(String),
    /// The demanded sandbox has no such layer.
    #[error(transparent)]
    Demands(#[from] sandbox::UnknownLayer),
    /// The sandbox is not what is demanded.
    #[error(transparent)]
    Sandbox(#[from] sandbox::SandboxError),
    /// Somebody else may write to the store.
    #[error(
        "{path}: {what}; only the user that stored runs as may write to it: chown and chmod it"
    )]
    Exposed {
        /// What is exposed.
        path: String,
        /// To whom.
        what: &'static str,
    },
    /// A file can't be opened.
    #[error("{path}: {doing}: {source}{}", remedy(source))]
    Open {
        /// Which.
        path: String,
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] etch::Error),
    /// No thread can be started.
    #[error("no thread can be started: {0}; raise the limit of processes")]
    Thread(io::Error),
}

/// What helps where a file can't be opened.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "; the user that stored runs as has to own it: chown it, or restore it as that user"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room",
        _ => "",
    }
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        const USAGE: u8 = 64;
        const BAD_DATA: u8 = 65;
        const SOFTWARE: u8 = 70;
        const SYSTEM: u8 = 71;
        const CANT_CREATE: u8 = 73;
        const IO: u8 = 74;
        const TEMPORARY: u8 = 75;
        const PERMISSION: u8 = 77;
        const CONFIGURATION: u8 = 78;
        let of_system = |error: &io::Error| match error.kind() {
            ErrorKind::PermissionDenied => PERMISSION,
            ErrorKind::ReadOnlyFilesystem | ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                CANT_CREATE
            }
            _ => IO,
        };
        match self {
            Self::NoSupervisor(_) => USAGE,
            Self::Supervisor(_) | Self::NotForStored => SOFTWARE,
            Self::Name(_) | Self::Demands(_) => CONFIGURATION,
            Self::Sandbox(error) => error.exit_code(),
            Self::Exposed { .. } => PERMISSION,
            Self::Open { source, .. } => of_system(source),
            Self::Thread(_) => SYSTEM,
            Self::Store(error) => match error {
                etch::Error::Io { source, .. } => of_system(source),
                etch::Error::Locked { .. } => TEMPORARY,
                etch::Error::Failed { .. } | etch::Error::Unproven { .. } => IO,
                etch::Error::NotEtch { .. }
                | etch::Error::Version { .. }
                | etch::Error::Truncated { .. }
                | etch::Error::LogMismatch { .. }
                | etch::Error::LogDamaged { .. }
                | etch::Error::Corrupt { .. } => BAD_DATA,
                _ => SOFTWARE,
            },
        }
    }
}
