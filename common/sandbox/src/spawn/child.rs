//! The new process between its creation and `exec`: system calls only. The parent may have had other threads, so a lock that
//! one of them held (the allocator's, for one) stays locked for ever here.

use std::ffi::{CString, c_char};
use std::os::fd::RawFd;
use std::ptr;

use rustix::fs::{CWD, Mode};
use rustix::io::{Errno, Result};
use rustix::mount::MountPropagationFlags;
use rustix::process::{DumpableBehavior, Gid, Resource, Rlimit, Signal, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::privileges;

/// What the new process does, with everything allocated that it needs.
pub(super) struct Plan {
    pub(super) program: CString,
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<CString>,
    /// Descriptors: number here, number there.
    pub(super) descriptors: Vec<(RawFd, RawFd)>,
    /// Our end of the socket to the parent.
    pub(super) channel: RawFd,
    /// The parent's end, of which the new process has a copy that would hide the parent's death.
    pub(super) parent_channel: RawFd,
    /// In a user namespace, whose identities the parent maps.
    pub(super) user_namespace: bool,
    /// In a mount namespace.
    pub(super) mount_namespace: bool,
    pub(super) read_only: bool,
    pub(super) empty_bounding_set: bool,
    /// Keeps the one capability that the worker needs to change its root directory, until it has done so.
    pub(super) keep_chroot: bool,
    pub(super) drop_groups: bool,
    pub(super) identity: Option<(Uid, Gid)>,
}

/// The steps of a start, in their order; a failure names its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    Clone,
    Identities,
    Session,
    Mounts,
    ReadOnly,
    KeepChroot,
    BoundingSet,
    Groups,
    Gid,
    Uid,
    Ambient,
    Limits,
    NoNewPrivileges,
    ParentDeath,
    Descriptors,
    Exec,
}

impl Step {
    const ALL: [Self; 16] = [
        Self::Clone,
        Self::Identities,
        Self::Session,
        Self::Mounts,
        Self::ReadOnly,
        Self::KeepChroot,
        Self::BoundingSet,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::Ambient,
        Self::Limits,
        Self::NoNewPrivileges,
        Self::ParentDeath,
        Self::Descriptors,
        Self::Exec,
    ];

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&step| step as u8 == byte)
    }

    pub(super) const fn doing(self) -> &'static str {
        match self {
            Self::Clone => "create the process",
            Self::Identities => "wait for its uid and gid",
            Self::Session => "make a session of its own",
            Self::Mounts => "part its mounts from ours",
            Self::ReadOnly => "make its mounts read-only",
            Self::KeepChroot => "keep CAP_SYS_CHROOT until it has changed its root directory",
            Self::Ambient => "leave it no capability but the one to change its root directory",
            Self::BoundingSet => "empty its capability bounding set",
            Self::Groups => "drop its supplementary groups",
            Self::Gid => "change its gid",
            Self::Uid => "change its uid",
            Self::Limits => "turn off core dumps",
            Self::NoNewPrivileges => "set no_new_privs",
            Self::ParentDeath => "tie its life to ours",
            Self::Descriptors => "hand over its descriptors",
            Self::Exec => "execute the program",
        }
    }
}

/// First message to the parent, before anything is changed; its answer has one byte too.
pub(super) const READY: u8 = 0xff;

/// Carries out the plan. Comes back only by ending the process, with a message to the parent that names step and error.
///
/// # Safety
/// Only in a process made for it, without other threads, whose memory is its own (`clone` without `CLONE_VM`).
pub(super) unsafe fn run(
    plan: &Plan,
    argv: &[*const c_char],
    envp: &[*const c_char],
    scratch: &mut [RawFd],
) -> ! {
    // SAFETY: as the caller promises.
    let (channel, step, error) = match unsafe { steps(plan, argv, envp, scratch) } {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    let [a, b, c, d] = error.raw_os_error().to_le_bytes();
    let message = [step as u8, a, b, c, d];
    // SAFETY: the buffer lives here and has this length. If the parent is gone nobody wants to know.
    unsafe {
        libc::send(
            channel,
            message.as_ptr().cast(),
            message.len(),
            libc::MSG_NOSIGNAL,
        )
    };
    // SAFETY: ends the process without running anything that was registered in the parent.
    unsafe { libc::_exit(127) }
}

enum Never {}

/// # Safety
/// See [`run`].
unsafe fn steps(
    plan: &Plan,
    argv: &[*const c_char],
    envp: &[*const c_char],
    scratch: &mut [RawFd],
) -> std::result::Result<Never, (RawFd, Step, Errno)> {
    let at = |step: Step| move |error: Errno| (plan.channel, step, error);
    let flag = |on: bool, action: fn() -> Result<()>| if on { action() } else { Ok(()) };

    // SAFETY: a copy that nobody uses here.
    unsafe { libc::close(plan.parent_channel) };
    // The parent writes files below /proc that belong to root while the process, a copy of it, is not dumpable.
    let dumpable = || rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable);
    flag(plan.user_namespace, dumpable).map_err(at(Step::Identities))?;
    // SAFETY: in the process made for this plan.
    unsafe { await_parent(plan.channel) }.map_err(at(Step::Identities))?;
    rustix::process::setsid().map_err(at(Step::Session))?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::chdir(c"/").map_err(at(Step::Session))?;

    // Nothing that is mounted outside appears inside, or the other way round.
    let private = || {
        rustix::mount::mount_change(
            c"/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
    };
    flag(plan.mount_namespace, private).map_err(at(Step::Mounts))?;
    flag(
        plan.mount_namespace && plan.read_only,
        make_mounts_read_only,
    )
    .map_err(at(Step::ReadOnly))?;

    // The capability has to be inheritable before the bounding set, its upper limit, is emptied.
    flag(plan.keep_chroot, make_chroot_inheritable).map_err(at(Step::KeepChroot))?;
    flag(plan.empty_bounding_set, privileges::drop_bounding_set).map_err(at(Step::BoundingSet))?;
    flag(plan.drop_groups, || rustix::thread::set_thread_groups(&[])).map_err(at(Step::Groups))?;
    if let Some((uid, gid)) = plan.identity {
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(at(Step::Gid))?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(at(Step::Uid))?;
    }
    // A parent that is not root holds its rights there, and the program would have them as well.
    rustix::thread::clear_ambient_capability_set().map_err(at(Step::Ambient))?;
    flag(plan.keep_chroot, raise_chroot).map_err(at(Step::Ambient))?;

    let no_core = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, no_core).map_err(at(Step::Limits))?;
    rustix::thread::set_no_new_privs(true).map_err(at(Step::NoNewPrivileges))?;
    // After the last change of identity, which would undo it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(at(Step::ParentDeath))?;
    // SAFETY: in the process made for this plan.
    unsafe { parent_is_alive(plan.channel) }.map_err(at(Step::ParentDeath))?;

    // SAFETY: as above; from here on the channel has another number.
    let channel = unsafe { arrange_descriptors(plan, scratch) }.map_err(at(Step::Descriptors))?;
    // SAFETY: as above.
    unsafe { default_signals() };
    // SAFETY: both arrays end with a null pointer and point to strings that the plan owns.
    unsafe { libc::execve(plan.program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    Err((channel, Step::Exec, last_error()))
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// # Safety
/// See [`run`].
unsafe fn await_parent(channel: RawFd) -> Result<()> {
    let mut byte = [READY];
    // SAFETY: a buffer of one byte, for the length of the call.
    if unsafe { libc::send(channel, byte.as_ptr().cast(), 1, libc::MSG_NOSIGNAL) } != 1 {
        return Err(last_error());
    }
    // SAFETY: as above.
    match unsafe { libc::recv(channel, byte.as_mut_ptr().cast(), 1, 0) } {
        1 => Ok(()),
        0 => Err(Errno::PIPE),
        _ => Err(last_error()),
    }
}

fn make_mounts_read_only() -> Result<()> {
    #[repr(C)]
    struct MountAttributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let attributes = MountAttributes {
        set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the path is a C string, the structure is the first version of `struct mount_attr` and its size is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            rustix::fd::AsRawFd::as_raw_fd(&CWD),
            c"/".as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_error())
    }
}

fn make_chroot_inheritable() -> Result<()> {
    let mut sets = rustix::thread::capabilities(None)?;
    sets.inheritable = CapabilitySet::SYS_CHROOT;
    rustix::thread::set_capabilities(None, sets)?;
    // The change of uid would empty the permitted set as well.
    rustix::thread::set_keep_capabilities(true)
}

fn raise_chroot() -> Result<()> {
    let only = CapabilitySet::SYS_CHROOT;
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: only,
            permitted: only,
            inheritable: only,
        },
    )?;
    rustix::thread::configure_capability_in_ambient_set(only, true)
}

/// # Safety
/// See [`run`].
unsafe fn parent_is_alive(channel: RawFd) -> Result<()> {
    let mut poll = libc::pollfd {
        fd: channel,
        events: 0,
        revents: 0,
    };
    // SAFETY: one structure, for the length of the call.
    if unsafe { libc::poll(&raw mut poll, 1, 0) } < 0 {
        return Err(last_error());
    }
    // The parent holds its end until this process has executed its program.
    if poll.revents == 0 {
        Ok(())
    } else {
        Err(Errno::PIPE)
    }
}

/// Every descriptor gets its number, all others end with `exec`. Gives the channel's new number.
///
/// # Safety
/// See [`run`]. `scratch` has room for all descriptors.
unsafe fn arrange_descriptors(plan: &Plan, scratch: &mut [RawFd]) -> Result<RawFd> {
    let above = plan
        .descriptors
        .iter()
        .map(|&(_, target)| target)
        .max()
        .unwrap_or(0)
        .max(2)
        + 1;
    // First out of the way, since a source may have the number that another one is to get.
    // SAFETY: duplicates descriptors of this process, which nobody else uses.
    let up = |fd: RawFd| match unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, above) } {
        -1 => Err(last_error()),
        number => Ok(number),
    };
    let channel = up(plan.channel)?;
    for (slot, &(source, _)) in scratch.iter_mut().zip(&plan.descriptors) {
        *slot = up(source)?;
    }
    // SAFETY: changes a flag of descriptors of this process.
    unsafe { close_on_exec_from(3) }?;
    for (&moved, &(_, target)) in scratch.iter().zip(&plan.descriptors) {
        // SAFETY: replaces a descriptor of this process; a number that was in use has been copied upwards above.
        if unsafe { libc::dup2(moved, target) } < 0 {
            return Err(last_error());
        }
    }
    Ok(channel)
}

/// # Safety
/// See [`run`].
unsafe fn close_on_exec_from(first: RawFd) -> Result<()> {
    // SAFETY: numbers only.
    if unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    } == 0
    {
        return Ok(());
    }
    // Before Linux 5.11: one by one, as many as there can be.
    let most = rustix::process::getrlimit(Resource::Nofile)
        .current
        .unwrap_or(65_536)
        .min(1 << 20);
    for fd in first..RawFd::try_from(most).unwrap_or(RawFd::MAX) {
        // SAFETY: numbers only; one that is not open gives an error that means nothing.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// Signal handlers of the parent must not run here, and what it ignores the program should decide for itself.
///
/// # Safety
/// See [`run`].
unsafe fn default_signals() {
    // The kernel's structure: handler (default), flags, restorer and mask, all of them zero.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: reads a structure of at most this size; the two signals that can't be set give an error.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    let none = 0_u64;
    // SAFETY: reads a mask of eight bytes.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            ptr::null::<u64>(),
            size_of::<u64>(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_travel_as_a_byte() {
        for step in Step::ALL {
            assert_eq!(Step::from_byte(step as u8), Some(step));
        }
        assert_eq!(Step::from_byte(READY), None);
    }
}
