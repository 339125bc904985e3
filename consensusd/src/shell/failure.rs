//! Why the process ends, with the exit code of `sysexits.h`.

use crate::peer::StartError;

/// An end that is not in order. The text names cause and remedy.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Started by hand.
    #[error("consensusd is started by the supervisor of a peer, not by hand: use convexctl ({0})")]
    NoSupervisor(ipc::SupervisionError),
    /// The supervisor says what it shouldn't.
    #[error("the supervisor: {0}")]
    Supervisor(#[from] ipc::SupervisionError),
    /// The supervisor begins with something else than settings for this role.
    #[error(
        "the supervisor did not begin with the settings of consensusd: all programs have to be of one version"
    )]
    NotForConsensusd,
    /// The demanded sandbox has no such layer.
    #[error(transparent)]
    Demands(#[from] sandbox::UnknownLayer),
    /// The sandbox is not what is demanded.
    #[error(transparent)]
    Sandbox(#[from] sandbox::SandboxError),
    /// No random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// No threads.
    #[error("the system gives no thread: {0}")]
    Thread(std::io::Error),
    /// The genesis state can't be read.
    #[error("the genesis state can't be read: {0}; give the file that was made for this network")]
    Genesis(String),
    /// The store can't be mapped.
    #[error("the store can't be read: {0}")]
    Store(#[from] etch::Error),
    /// The peer can't begin.
    #[error("{0}; give the store and the genesis state of the configured network")]
    Start(#[from] StartError),
    /// The peer can't go on.
    #[error("{0}")]
    Fatal(String),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        const USAGE: u8 = 64;
        const BAD_DATA: u8 = 65;
        const NO_INPUT: u8 = 66;
        const SOFTWARE: u8 = 70;
        const SYSTEM: u8 = 71;
        const IO: u8 = 74;
        const CONFIGURATION: u8 = 78;
        match self {
            Self::NoSupervisor(_) => USAGE,
            Self::Supervisor(_) | Self::NotForConsensusd => SOFTWARE,
            Self::Demands(_) => CONFIGURATION,
            Self::Sandbox(error) => error.exit_code(),
            Self::Random(_) | Self::Thread(_) => SYSTEM,
            Self::Genesis(_) => BAD_DATA,
            Self::Store(_) => IO,
            Self::Start(StartError::NoGenesis) => NO_INPUT,
            Self::Start(StartError::OtherNetwork { .. } | StartError::OtherGenesis { .. }) => {
                CONFIGURATION
            }
            Self::Start(_) | Self::Fatal(_) => BAD_DATA,
        }
    }
}
