//! What went wrong, why, and what to do about it.

use std::fmt::Display;
use std::io::Write;

use crate::exit::Exit;

/// The end of a command that could not do its work.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What was being done, on what, and why it failed.
    pub cause: String,
    /// What the operator can do.
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure without a remedy.
    #[must_use]
    pub fn new(exit: Exit, cause: impl Display) -> Self {
        Self {
            exit,
            cause: cause.to_string(),
            remedy: None,
        }
    }

    /// Wrong data.
    #[must_use]
    pub fn data(cause: impl Display) -> Self {
        Self::new(Exit::Data, cause)
    }

    /// Wrong arguments.
    #[must_use]
    pub fn usage(cause: impl Display) -> Self {
        Self::new(Exit::Usage, cause)
    }

    /// With what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Display) -> Self {
        self.remedy = Some(remedy.to_string());
        self
    }

    /// Says it on standard error.
    pub(crate) fn report(&self) {
        let mut stderr = std::io::stderr().lock();
        // Nobody is left to tell when this fails.
        let _ = writeln!(stderr, "convexctl: {}", self.cause);
        if let Some(remedy) = &self.remedy {
            let _ = writeln!(stderr, "  hint: {remedy}");
        }
    }
}
