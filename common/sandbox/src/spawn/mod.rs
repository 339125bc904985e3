//! Starting a worker with as little as possible: what has to be done from outside, or before the program runs.

mod child;
mod namespaces;
mod usage;

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Gid, Signal, Uid, WaitId, WaitIdOptions, WaitIdStatus};
use rustix::thread::CapabilitySet;

use crate::ended::Ended;
use crate::layer::{Layer, LayerState, PREPARED_VARIABLE, State, encode_prepared};
use crate::policy::Role;
use crate::privileges::{as_user, have};
use child::{Plan, READY, Step};
use namespaces::Features;
use usage::Gauge;
pub use usage::Usage;

/// The user and group that a worker runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group. Supplementary groups are dropped.
    pub gid: u32,
}

/// A worker that is about to be started. Its environment is empty but for what is added here.
#[derive(Debug)]
pub struct Spawn<'fd> {
    program: CString,
    role: Role,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    descriptors: Vec<(BorrowedFd<'fd>, RawFd)>,
    identity: Option<Identity>,
    /// An argument with a zero byte, which no program can be given.
    unfit: bool,
}

/// Why a worker could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// A path, argument or variable holds a zero byte, or a descriptor's number is taken twice or out of range (0 to 1023).
    #[error("{0}: an argument holds a zero byte, or two descriptors have the same number")]
    Arguments(Role),
    /// A step that the start can't do without.
    #[error("{role}: can't {doing}: {source}")]
    Step {
        /// Whose start it was.
        role: Role,
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl<'fd> Spawn<'fd> {
    /// A worker of this role. Its first argument, the name, is the role's.
    #[must_use]
    pub fn new(program: &Path, role: Role) -> Self {
        let mut spawn = Self {
            program: CString::default(),
            role,
            arguments: Vec::new(),
            environment: Vec::new(),
            descriptors: Vec::new(),
            identity: None,
            unfit: false,
        };
        spawn.program = spawn.c_string(program.as_os_str().as_bytes());
        spawn.arg(role.name())
    }

    fn c_string(&mut self, bytes: &[u8]) -> CString {
        CString::new(bytes).unwrap_or_else(|_| {
            self.unfit = true;
            CString::default()
        })
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        let argument = self.c_string(argument.as_ref().as_bytes());
        self.arguments.push(argument);
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut variable = name.as_bytes().to_vec();
        variable.push(b'=');
        variable.extend_from_slice(value.as_ref().as_bytes());
        let variable = self.c_string(&variable);
        self.environment.push(variable);
        self
    }

    /// Hands over a descriptor as this number. Every other descriptor but standard output and error ends with the start;
    /// standard input is empty unless given.
    #[must_use]
    pub fn descriptor(mut self, number: RawFd, descriptor: BorrowedFd<'fd>) -> Self {
        self.unfit |= !(0..1024).contains(&number)
            || self.descriptors.iter().any(|&(_, taken)| taken == number);
        self.descriptors.push((descriptor, number));
        self
    }

    /// Runs it as another user. Needs the privilege to do so.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Starts the worker. Has to be called by a thread that lives as long as the worker may: the worker is killed when that
    /// thread ends, so the main thread is the right one.
    ///
    /// Namespaces, the read-only mounts and the like are left out where the system refuses them, and then reported.
    ///
    /// # Errors
    /// [`SpawnError`] if the process can't be made, or can't be given its identity, its descriptors or its program.
    pub fn start(&self) -> Result<Child, SpawnError> {
        if self.unfit {
            return Err(SpawnError::Arguments(self.role));
        }
        let mut features = Features::wanted(self.role);
        loop {
            match self.attempt(&features) {
                Ok(child) => return Ok(child),
                Err(failure) if features.do_without(&failure) => {}
                Err(Failure { step, error }) => {
                    return Err(SpawnError::Step {
                        role: self.role,
                        doing: step.doing(),
                        source: error.into(),
                    });
                }
            }
        }
    }

    fn attempt(&self, features: &Features) -> Result<Child, Failure> {
        let at = |step: Step| move |error: Errno| Failure { step, error };
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(at(Step::Clone))?;
        let nothing = rustix::fs::open(
            c"/dev/null",
            rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )
        .map_err(at(Step::Descriptors))?;

        let prepared = self.prepared(features);
        let mut environment = self.environment.clone();
        // The text has no zero byte: it is made of error messages without them.
        environment.extend(CString::new(format!(
            "{PREPARED_VARIABLE}={}",
            encode_prepared(&prepared)
        )));
        let mut descriptors: Vec<_> = self
            .descriptors
            .iter()
            .map(|(here, there)| (here.as_raw_fd(), *there))
            .collect();
        if descriptors.iter().all(|&(_, there)| there != 0) {
            descriptors.push((nothing.as_raw_fd(), 0));
        }
        let plan = Plan {
            program: self.program.clone(),
            arguments: self.arguments.clone(),
            environment,
            descriptors,
            channel: theirs.as_raw_fd(),
            parent_channel: ours.as_raw_fd(),
            user_namespace: features.user_namespace(),
            mount_namespace: features.has(Layer::MountNamespace),
            read_only: features.read_only.is_none(),
            empty_bounding_set: features.bounding_set,
            keep_chroot: features.keep_chroot,
            drop_groups: self.drops_groups(),
            identity: self
                .identity
                .map(|Identity { uid, gid }| (Uid::from_raw(uid), Gid::from_raw(gid))),
        };
        let (pid, pidfd) = create(&plan, features.clone_flags()).map_err(at(Step::Clone))?;
        drop(theirs);
        let mut child = Child {
            pid,
            pidfd,
            identity: self.identity,
            gauge: Gauge::default(),
            prepared,
        };
        match self.accompany(&ours, &mut child, features.user_namespace()) {
            Ok(()) => Ok(child),
            Err(failure) => {
                // Whatever it is doing, it is not the worker that was wanted; nothing of it must stay.
                let _ = child.kill();
                let _ = child.wait();
                Err(failure)
            }
        }
    }

    /// Does what the new process waits for, until it has executed its program.
    fn accompany(
        &self,
        channel: &OwnedFd,
        child: &mut Child,
        user_namespace: bool,
    ) -> Result<(), Failure> {
        let mut message = [0; 5];
        let mut receive = || loop {
            match rustix::net::recv(channel, &mut message, RecvFlags::empty()) {
                Ok((length, _)) => return Ok((length, message)),
                Err(Errno::INTR) => {}
                Err(error) => {
                    return Err(Failure {
                        step: Step::Exec,
                        error,
                    });
                }
            }
        };
        match receive()? {
            (1, [READY, ..]) => {}
            (5, message) => return Err(Failure::decode(message)),
            _ => {
                return Err(Failure {
                    step: Step::Identities,
                    error: Errno::PIPE,
                });
            }
        }
        child.gauge = Gauge::open(child.pid);
        let mapped = if user_namespace {
            namespaces::map_identities(child.pid, self.identity)
        } else {
            Ok(())
        };
        mapped
            .and_then(|()| rustix::net::send(channel, &[READY], SendFlags::NOSIGNAL))
            .map_err(|error| Failure {
                step: Step::Identities,
                error,
            })?;
        match receive()? {
            // The end that the new process held is closed by the execution of its program, or by its death.
            (0, _) => Ok(()),
            (5, message) => Err(Failure::decode(message)),
            _ => Err(Failure {
                step: Step::Exec,
                error: Errno::PROTO,
            }),
        }
    }

    fn drops_groups(&self) -> bool {
        self.identity.is_some() && have(CapabilitySet::SETGID)
    }

    /// The layers that come from here; the worker adds its own.
    fn prepared(&self, features: &Features) -> Vec<LayerState> {
        let identity = match self.identity {
            Some(_) if self.drops_groups() => State::Enforced,
            Some(_) => {
                State::partial("supplementary groups are kept: dropping them needs CAP_SETGID")
            }
            None => State::partial(format!(
                "shares uid {} with the supervisor",
                rustix::process::geteuid().as_raw()
            )),
        };
        let mut layers = vec![
            LayerState {
                layer: Layer::Identity,
                state: identity,
            },
            LayerState {
                layer: Layer::ParentDeath,
                state: State::Enforced,
            },
        ];
        layers.extend(features.report(self.role));
        layers
    }
}

/// What went wrong in an attempt.
#[derive(Clone, Copy, Debug)]
struct Failure {
    step: Step,
    error: Errno,
}

impl Failure {
    fn decode([step, a, b, c, d]: [u8; 5]) -> Self {
        match Step::from_byte(step) {
            Some(step) => Self {
                step,
                error: Errno::from_raw_os_error(i32::from_le_bytes([a, b, c, d])),
            },
            None => Self {
                step: Step::Exec,
                error: Errno::PROTO,
            },
        }
    }
}

/// Makes the process that carries out the plan.
fn create(plan: &Plan, flags: u64) -> rustix::io::Result<(i32, OwnedFd)> {
    let pointers = |strings: &[CString]| {
        strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([std::ptr::null()])
            .collect::<Vec<_>>()
    };
    let (argv, envp) = (pointers(&plan.arguments), pointers(&plan.environment));
    let mut scratch = vec![0; plan.descriptors.len()];
    let _held = SignalsHeld::new();
    // SAFETY: without CLONE_VM, so the child has its own copy of the memory and its one thread never returns from `run`.
    match unsafe { clone(flags)? } {
        Cloned::Parent(pid, pidfd) => Ok((pid, pidfd)),
        // SAFETY: this is the process just made for the plan.
        Cloned::Child => unsafe { child::run(plan, &argv, &envp, &mut scratch) },
    }
}

/// Which of the two processes this is.
enum Cloned {
    Parent(i32, OwnedFd),
    Child,
}

/// # Safety
/// The child may make system calls only, and must end by itself: other threads do not exist there, but their locks do.
unsafe fn clone(flags: u64) -> rustix::io::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let flags = flags | (libc::CLONE_PIDFD | libc::SIGCHLD) as u64;
    // The old call, since containers refuse the new one, whose flags a filter can't see. On all processors the last two arguments
    // are a thread's, and not used; no stack means a copy of ours.
    // SAFETY: the kernel writes `pidfd` before it returns to the parent.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) } {
        -1 => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
        0 => Ok(Cloned::Child),
        // SAFETY: the kernel made this descriptor for us.
        pid => Ok(Cloned::Parent(pid as i32, unsafe {
            OwnedFd::from_raw_fd(pidfd)
        })),
    }
}

/// No signal handler of ours runs in the child: all signals wait until the parent's thread goes on.
struct SignalsHeld(libc::sigset_t);

impl SignalsHeld {
    fn new() -> Self {
        // SAFETY: both sets are initialised by the calls that write them.
        unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Self(before)
        }
    }
}

impl Drop for SignalsHeld {
    fn drop(&mut self) {
        // SAFETY: the set that was in force before.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut())
        };
    }
}

/// A worker that was started. Dropping it leaves the worker alone.
#[derive(Debug)]
pub struct Child {
    pid: i32,
    pidfd: OwnedFd,
    identity: Option<Identity>,
    gauge: Gauge,
    prepared: Vec<LayerState>,
}

impl Child {
    /// Its process number here (in its own process namespace it is 1).
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// The layers that it was started with. Its own report holds them too.
    #[must_use]
    pub fn prepared(&self) -> &[LayerState] {
        &self.prepared
    }

    /// Memory and processor time that it takes now; zero where the system doesn't tell, or when it was waited for.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.gauge.read()
    }

    /// Ends it at once. No error if it has ended but was not waited for yet. One of another user is ended as that user, so
    /// that it takes no `CAP_KILL`, the right to signal everybody.
    ///
    /// # Errors
    /// If it was waited for already.
    pub fn kill(&self) -> io::Result<()> {
        let kill = || rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        match (kill(), self.identity) {
            (Err(Errno::PERM), Some(identity)) => {
                as_user(Uid::from_raw(identity.uid), kill)??;
                Ok(())
            }
            (result, _) => Ok(result?),
        }
    }

    /// Waits for its end and frees its process number.
    ///
    /// # Errors
    /// If it was waited for already.
    pub fn wait(&self) -> io::Result<Ended> {
        loop {
            match self.wait_with(WaitIdOptions::EXITED) {
                Ok(Some(ended)) => return Ok(ended),
                Ok(None) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Its end, if it has come to one: then its process number is free. None while it runs.
    ///
    /// # Errors
    /// If it was waited for already.
    pub fn try_wait(&self) -> io::Result<Option<Ended>> {
        Ok(self.wait_with(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?)
    }

    fn wait_with(&self, options: WaitIdOptions) -> rustix::io::Result<Option<Ended>> {
        let ended = |status: WaitIdStatus| match (status.exit_status(), status.terminating_signal())
        {
            (Some(code), _) => Some(Ended::Exited(code)),
            (None, Some(signal)) => Some(Ended::by_signal(signal)),
            (None, None) => None,
        };
        Ok(rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options)?.and_then(ended))
    }
}

impl AsFd for Child {
    /// A descriptor that is readable once the worker has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
