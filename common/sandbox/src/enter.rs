//! What a worker does to itself before it reads the first untrusted byte.

use std::env;
use std::os::fd::BorrowedFd;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

use crate::filter::Filters;
use crate::layer::{Layer, PREPARED_VARIABLE, Report, State, decode_prepared};
use crate::policy::{Limits, Policy, Violation};
use crate::requirements::{Requirements, SandboxError};
use crate::{confine, privileges};

/// Enters the sandbox for good: every layer that the system grants is put in force, then compared with the minimum.
///
/// Has to be called after the process has its descriptors, before it reads anything that others can influence, and before it
/// starts a thread. Whatever needs files by name (`available_parallelism`, time zones, loggers, name services) comes before it.
/// A layer that the system refuses is reported, and is an error only where `requirements` ask for it.
///
/// # Errors
/// [`SandboxError::Threads`] if another thread exists already (nothing has been changed then); [`SandboxError::Filter`] for a
/// mistake in the policy's list; [`SandboxError::Below`] if the minimum is not met: the process is restricted then as far as it
/// goes, and has to end.
pub fn enter(policy: &Policy<'_>, requirements: &Requirements) -> Result<Report, SandboxError> {
    if !is_single_threaded() {
        return Err(SandboxError::Threads);
    }
    let filters = Filters::compile(policy)?;

    let mut report = Report::new(policy.role);
    take_over_prepared(&mut report);
    no_backtraces();
    rustix::process::umask(Mode::RWXG | Mode::RWXO);

    report.set(
        Layer::Root,
        State::from_result(change_root(policy.directory)),
    );
    let own_count = [Layer::Identity, Layer::UserNamespace]
        .iter()
        .any(|&layer| report.state(layer) == Some(&State::Enforced));
    report.set(Layer::Limits, set_limits(&policy.limits, own_count));
    let no_core = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    report.set(
        Layer::CoreDumps,
        State::from_result(rustix::process::setrlimit(Resource::Core, no_core)),
    );
    report.set(
        Layer::NoNewPrivileges,
        State::from_result(rustix::thread::set_no_new_privs(true)),
    );
    report.set(Layer::Capabilities, drop_capabilities());
    let undumpable = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let user_namespace = report.state(Layer::UserNamespace) == Some(&State::Enforced);
    let not_dumpable = match State::from_result(undumpable) {
        State::Enforced if user_namespace => State::partial(
            "other workers can't look in; programs of this user outside can: they own its user namespace",
        ),
        state => state,
    };
    report.set(Layer::NotDumpable, not_dumpable);
    confine::apply(policy, &mut report);
    let seccomp = match (filters.install(), policy.violation) {
        (Ok(()), Violation::Kill) => State::Enforced,
        (Ok(()), Violation::Errno) => State::partial(
            "a call outside the list fails instead of ending the process (debugging)",
        ),
        (Ok(()), Violation::Log) => {
            State::unavailable("a call outside the list is only logged (debugging)")
        }
        (Err(error), _) => State::unavailable(error),
    };
    report.set(Layer::Seccomp, seccomp);

    report.check(requirements)?;
    Ok(report)
}

fn is_single_threaded() -> bool {
    // The kernel defines this call as "fails if there is a second thread" and does nothing else; it needs no mounted /proc.
    // SAFETY: takes a number only.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } == 0 {
        return true;
    }
    // A container may refuse the call whatever it asks for.
    std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
        && std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

/// The layers that the supervisor put in force when it started this process.
fn take_over_prepared(report: &mut Report) {
    let Ok(text) = env::var(PREPARED_VARIABLE) else {
        return;
    };
    for entry in decode_prepared(&text) {
        report.set(entry.layer, entry.state);
    }
    // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
    unsafe { env::remove_var(PREPARED_VARIABLE) };
}

/// A backtrace is made from files, so with it a panic would end as a violation of the sandbox and be taken for an attack.
fn no_backtraces() {
    for name in ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"] {
        // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
        unsafe { env::set_var(name, "0") };
    }
}

/// The store directory, or the one place on every system that holds nothing and takes nothing: the list of own descriptors.
fn change_root(directory: Option<BorrowedFd<'_>>) -> rustix::io::Result<()> {
    match directory {
        Some(directory) => rustix::process::fchdir(directory)?,
        None => rustix::process::chdir("/proc/self/fdinfo")?,
    }
    let changed = rustix::process::chroot(".");
    rustix::process::chdir("/")?;
    changed
}

fn set_limits(limits: &Limits, threads_are_counted_alone: bool) -> State {
    let fixed = [
        (Resource::Msgqueue, Some(0)),
        (Resource::Rtprio, Some(0)),
        (Resource::Nice, Some(0)),
    ];
    let chosen = [
        (Resource::Nofile, limits.files),
        (
            Resource::Nproc,
            limits.threads.filter(|_| threads_are_counted_alone),
        ),
        (Resource::Fsize, limits.file_size),
        (Resource::Data, limits.data),
        (Resource::As, limits.address_space),
    ];
    for (resource, limit) in fixed.into_iter().chain(chosen) {
        let Some(wanted) = limit else { continue };
        // Never above what was inherited: that is root's to do, and a lower limit binds as well.
        let granted = rustix::process::getrlimit(resource)
            .maximum
            .map_or(wanted, |maximum| maximum.min(wanted));
        if let Err(error) = rustix::process::setrlimit(
            resource,
            Rlimit {
                current: Some(granted),
                maximum: Some(granted),
            },
        ) {
            return State::unavailable(format!("{resource:?}: {error}"));
        }
    }
    if limits.threads.is_some() && !threads_are_counted_alone {
        return State::partial("threads are not limited: other processes of this uid would count");
    }
    State::Enforced
}

fn drop_capabilities() -> State {
    // Refused without CAP_SETPCAP, which is where it matters least; looked at below.
    let _ = privileges::drop_bounding_set();
    if let Err(error) = privileges::drop_all() {
        return State::unavailable(error);
    }
    match privileges::bounding_set_is_empty() {
        Ok(true) => State::Enforced,
        _ => State::partial(
            "none is held; the bounding set can't be emptied without CAP_SETPCAP (no_new_privs makes it void)",
        ),
    }
}
