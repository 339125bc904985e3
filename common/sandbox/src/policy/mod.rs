//! What each role may do: a table a role, made of groups of system calls with their reasons.

mod api;
mod consensusd;
mod groups;
mod keyd;
mod netd;
mod rescue;
mod stored;

use std::fmt;
use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

pub use api::api;
pub use consensusd::consensusd;
pub use keyd::keyd;
pub use netd::netd;
pub use rescue::rescue;
pub use stored::stored;

/// The job of a worker (DESIGN §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The only writer of the store.
    Stored,
    /// Beliefs, blocks and state.
    Consensusd,
    /// Holds the peer key and signs.
    Keyd,
    /// The peer protocol.
    Netd,
    /// The HTTP API, health and metrics.
    Api,
    /// Carries one prepared transaction to one good peer.
    Rescue,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] = [
        Self::Stored,
        Self::Consensusd,
        Self::Keyd,
        Self::Netd,
        Self::Api,
        Self::Rescue,
    ];

    /// The name in reports and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Consensusd => "consensusd",
            Self::Keyd => "keyd",
            Self::Netd => "netd",
            Self::Api => "api",
            Self::Rescue => "rescue",
        }
    }

    /// Whether the role makes connections of its own. The others live in a network namespace without an interface; a listener
    /// that they inherit stays in the namespace where it was made.
    #[must_use]
    pub const fn uses_network(self) -> bool {
        matches!(self, Self::Netd | Self::Rescue)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Everything that [`enter`](crate::enter) puts in force for a role.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy<'fd> {
    /// Whose policy it is.
    pub role: Role,
    /// The allowed system calls. The same call may stand in several groups; its conditions add up.
    pub calls: Vec<&'static Group>,
    /// Resource limits. A worker may set them from its configuration before it enters.
    pub limits: Limits,
    /// The one directory whose files may be opened, and the root directory from then on.
    pub directory: Option<BorrowedFd<'fd>>,
    /// Whether Landlock leaves outgoing TCP connections alone. Binding a port is denied to every role.
    pub tcp_connect: bool,
    /// What happens at a system call outside the list.
    pub violation: Violation,
}

impl Policy<'_> {
    fn new(role: Role, calls: &[&'static Group]) -> Self {
        Self {
            role,
            calls: calls.to_vec(),
            limits: Limits::default(),
            directory: None,
            tcp_connect: false,
            violation: Violation::Kill,
        }
    }
}

impl fmt::Display for Policy<'_> {
    /// The list of system calls as a person checks it: each group with its purpose, each call with its reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.role)?;
        for group in &self.calls {
            writeln!(f, "  {}", group.purpose)?;
            for call in group.calls {
                let how = match call.when {
                    When::Always => "",
                    When::AnyOf(_) => " (some arguments)",
                    When::Refused(_) => " (fails)",
                };
                let name = call.name.trim_start_matches("SYS_");
                writeln!(f, "    {name}{how}: {}", call.why)?;
            }
        }
        Ok(())
    }
}

/// Resource limits; none leaves the inherited one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Open descriptors (`RLIMIT_NOFILE`). Also bounds what a hostile process at the other end could push in.
    pub files: Option<u64>,
    /// Threads (`RLIMIT_NPROC`). All processes of the uid count, so there is room for several peers on one machine. Left alone where the uid is
    /// that of the supervisor.
    pub threads: Option<u64>,
    /// Size of a file in bytes (`RLIMIT_FSIZE`): also memory files, and a log file behind standard error.
    pub file_size: Option<u64>,
    /// Private writable memory in bytes (`RLIMIT_DATA`): what is allocated, without mapped stores.
    pub data: Option<u64>,
    /// Address space in bytes (`RLIMIT_AS`), the mapped store included.
    pub address_space: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: Some(64),
            threads: Some(512),
            file_size: Some(1 << 30),
            data: None,
            address_space: None,
        }
    }
}

/// What the kernel does at a system call outside the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Violation {
    /// The whole process ends by `SIGSYS`. The only setting for production.
    #[default]
    Kill,
    /// The call fails with `EPERM`: to find out, in a test, what a library tries.
    Errno,
    /// The call is carried out and logged by the kernel's audit: to complete a list.
    Log,
}

/// System calls that belong together.
#[derive(Debug)]
pub struct Group {
    /// What they are for.
    pub purpose: &'static str,
    /// The calls.
    pub calls: &'static [Call],
}

/// One system call and when it is allowed.
#[derive(Debug)]
pub struct Call {
    /// Its number on this processor.
    pub number: i64,
    /// Its name.
    pub name: &'static str,
    /// Condition on the arguments.
    pub when: When,
    /// Why the role needs it.
    pub why: &'static str,
}

/// Condition under which a call is allowed.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// Whatever its arguments are.
    Always,
    /// One of these alternatives holds; an alternative holds if all its tests do.
    AnyOf(&'static [&'static [Test]]),
    /// Never, but it fails with this error number instead of ending the process.
    Refused(i32),
}

/// A test of one argument, counted from 0. Seccomp sees the register, never what a pointer points to.
#[derive(Clone, Copy, Debug)]
pub enum Test {
    /// The lower 32 bits are this value.
    Is(u8, u32),
    /// The lower 32 bits under the mask (first) are this value (second).
    Masked(u8, u32, u32),
    /// A null pointer.
    Null(u8),
    /// The process itself; its number is read when the sandbox is entered.
    OwnProcess(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_role_may_do_what_would_undo_its_sandbox() {
        let policies = [
            stored_calls(),
            consensusd().calls,
            keyd().calls,
            netd().calls,
            api().calls,
            rescue().calls,
        ];
        let forbidden = [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_getfd,
            libc::SYS_kill,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_mount,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_io_uring_setup,
            libc::SYS_keyctl,
            libc::SYS_userfaultfd,
            libc::SYS_bind,
            libc::SYS_listen,
            libc::SYS_seccomp,
            libc::SYS_setuid,
            libc::SYS_capset,
            libc::SYS_personality,
        ];
        for calls in policies {
            for call in calls.iter().flat_map(|group| group.calls) {
                assert!(!forbidden.contains(&call.number), "{}", call.name);
                assert!(!call.why.is_empty(), "{} has no reason", call.name);
            }
        }
    }

    #[test]
    fn a_policy_can_be_read() {
        let text = keyd().to_string();
        assert!(text.starts_with("keyd\n  what the standard library"));
        assert!(text.contains(
            "    mmap (some arguments): memory, stacks, maps of descriptors; not executable\n"
        ));
        assert!(text.contains("    fdatasync: durability barrier\n"));
        assert!(!text.contains("socket:"));
    }

    fn stored_calls() -> Vec<&'static Group> {
        use std::os::fd::AsFd;
        stored(std::io::stdin().as_fd()).calls
    }
}
