//! Why the process ends, with the exit code of `sysexits.h` that tells the supervisor what kind of thing it was.

use keys::KeyStoreError;
use keys::file::FileError;

use crate::journal::JournalError;
use crate::unlock::UnlockError;

/// An end that is not in order. The text names cause and remedy.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Started by hand.
    #[error("keyd is started by the supervisor of a peer, not by hand: use convexctl ({0})")]
    NoSupervisor(ipc::SupervisionError),
    /// The supervisor says what it shouldn't.
    #[error("the supervisor: {0}")]
    Supervisor(#[from] ipc::SupervisionError),
    /// The supervisor starts with something else than settings for this role.
    #[error(
        "the supervisor did not begin with the settings of keyd: all programs have to be of one version"
    )]
    NotForKeyd,
    /// The demanded sandbox has no such layer.
    #[error(transparent)]
    Demands(#[from] sandbox::UnknownLayer),
    /// The sandbox is not what is demanded.
    #[error(transparent)]
    Sandbox(#[from] sandbox::SandboxError),
    /// The memory of the key is not what is demanded.
    #[error(transparent)]
    Memory(#[from] keys::MemoryError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The audit log.
    #[error("can't examine the audit log of keyd: {0}")]
    Audit(std::io::Error),
    /// The key store or the passphrase.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// No random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The system refuses to tell which descriptor is ready.
    #[error("waiting for messages: {0}")]
    Wait(std::io::Error),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        const USAGE: u8 = 64;
        const BAD_DATA: u8 = 65;
        const SOFTWARE: u8 = 70;
        const SYSTEM: u8 = 71;
        const IO: u8 = 74;
        const TEMPORARY: u8 = 75;
        const CONFIGURATION: u8 = 78;
        match self {
            Self::NoSupervisor(_) => USAGE,
            Self::Supervisor(_) | Self::NotForKeyd => SOFTWARE,
            Self::Demands(_) => CONFIGURATION,
            Self::Sandbox(error) => error.exit_code(),
            Self::Memory(keys::MemoryError::Map(_)) => SYSTEM,
            Self::Memory(_) => CONFIGURATION,
            Self::Journal(JournalError::InUse) => TEMPORARY,
            Self::Journal(JournalError::Damaged) => BAD_DATA,
            Self::Journal(JournalError::Exposed { .. }) => CONFIGURATION,
            Self::Journal(JournalError::Io { .. }) | Self::Audit(_) => IO,
            Self::Unlock(UnlockError::Store { source, .. }) => match source {
                KeyStoreError::WrongKeyPassphrase
                | KeyStoreError::WrongStorePassphrase
                | KeyStoreError::NoSuchKey(_) => CONFIGURATION,
                KeyStoreError::Memory(_) | KeyStoreError::Random(_) => SYSTEM,
                _ => BAD_DATA,
            },
            Self::Unlock(UnlockError::File(FileError::Io { .. })) => IO,
            Self::Unlock(UnlockError::Memory(_)) => SYSTEM,
            Self::Unlock(_) => CONFIGURATION,
            Self::Random(_) | Self::Wait(_) => SYSTEM,
        }
    }
}
