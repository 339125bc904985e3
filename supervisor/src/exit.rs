//! Exit codes, as in `sysexits.h`, and errors that have one.

/// `EX_USAGE`: wrong arguments.
pub const USAGE: u8 = 64;
/// `EX_NOINPUT`: a file is missing or can't be read.
pub const NO_INPUT: u8 = 66;
/// `EX_NOUSER`: a user does not exist.
pub const NO_USER: u8 = 67;
/// `EX_UNAVAILABLE`: something that is needed is not to be had, such as a port.
pub const UNAVAILABLE: u8 = 69;
/// `EX_OSERR`: the system refuses.
pub const OS: u8 = 71;
/// `EX_CANTCREAT`: a file can't be made.
pub const CANT_CREATE: u8 = 73;
/// `EX_TEMPFAIL`: another instance runs.
pub const TEMPORARY: u8 = 75;
/// `EX_NOPERM`: permissions are too loose or too tight.
pub const PERMISSION: u8 = 77;
/// `EX_CONFIG`: the config is wrong.
pub const CONFIG: u8 = 78;

/// An error that ends the supervisor: its text names the cause and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fatal {
    /// The exit code.
    pub code: u8,
    /// For people.
    pub text: String,
}

impl Fatal {
    /// An error with a code of this module.
    pub fn new(code: u8, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}
