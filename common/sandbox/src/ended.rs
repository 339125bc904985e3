//! How a worker ended: by itself, by a violation of its sandbox, or otherwise.

use std::fmt;

/// The end of a process, as a supervisor has to tell it apart (DESIGN §4: a violation is a sign of compromise, a crash is not).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Exited(i32),
    /// `SIGSYS`: it made a system call outside its list.
    Violation,
    /// `SIGABRT`: a panic, a failed allocation. In a process namespace the same shows as `Crashed(SIGSEGV)`, since the first
    /// process of a namespace ignores a `SIGABRT` and libc then faults on purpose.
    Aborted,
    /// A fault in its own code, with the signal: `SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE`, `SIGTRAP`.
    Crashed(i32),
    /// It passed a resource limit, with the signal: `SIGXFSZ`, `SIGXCPU`.
    Limited(i32),
    /// Any other signal: somebody, or the kernel for want of memory, ended it.
    Killed(i32),
}

impl Ended {
    /// From the number of the signal that ended a process.
    #[must_use]
    pub const fn by_signal(signal: i32) -> Self {
        match signal {
            libc::SIGSYS => Self::Violation,
            libc::SIGABRT => Self::Aborted,
            libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP => {
                Self::Crashed(signal)
            }
            libc::SIGXFSZ | libc::SIGXCPU => Self::Limited(signal),
            _ => Self::Killed(signal),
        }
    }

    /// From the status that `wait` gives for a process started in another way; none if it has not ended.
    #[must_use]
    pub const fn from_wait_status(status: i32) -> Option<Self> {
        if libc::WIFEXITED(status) {
            Some(Self::Exited(libc::WEXITSTATUS(status)))
        } else if libc::WIFSIGNALED(status) {
            Some(Self::by_signal(libc::WTERMSIG(status)))
        } else {
            None
        }
    }

    /// Whether it is a sign of compromise.
    #[must_use]
    pub const fn is_violation(self) -> bool {
        matches!(self, Self::Violation)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Violation => f.write_str("made a system call outside its sandbox (SIGSYS)"),
            Self::Aborted => f.write_str("aborted (SIGABRT)"),
            Self::Crashed(signal) => write!(f, "crashed by signal {signal}"),
            Self::Limited(signal) => write!(f, "passed a resource limit (signal {signal})"),
            Self::Killed(signal) => write!(f, "was killed by signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_told_from_a_crash_and_a_kill() {
        assert_eq!(Ended::from_wait_status(31), Some(Ended::Violation));
        // With the core dump flag.
        assert_eq!(Ended::from_wait_status(31 | 0x80), Some(Ended::Violation));
        assert_eq!(Ended::from_wait_status(3 << 8), Some(Ended::Exited(3)));
        assert_eq!(Ended::from_wait_status(6), Some(Ended::Aborted));
        assert_eq!(Ended::from_wait_status(11), Some(Ended::Crashed(11)));
        assert_eq!(Ended::from_wait_status(9), Some(Ended::Killed(9)));
        assert_eq!(Ended::from_wait_status(25), Some(Ended::Limited(25)));
        // Stopped, not ended.
        assert_eq!(Ended::from_wait_status(0x137f), None);
        assert!(Ended::Violation.is_violation() && !Ended::Crashed(11).is_violation());
    }
}
