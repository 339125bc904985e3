//! What a start asks for, what the system refuses of it, and how it goes on without.

use std::fs;

use rustix::io::{Errno, Result};
use rustix::thread::CapabilitySet;

use super::child::Step;
use super::{Cloned, Failure, Identity, clone};
use crate::layer::{Layer, LayerState, State};
use crate::policy::Role;
use crate::privileges::have;

/// The namespaces that a worker gets, beside the user namespace that may be needed for them.
const NAMESPACES: [(Layer, u64); 5] = [
    (Layer::MountNamespace, libc::CLONE_NEWNS as u64),
    (Layer::PidNamespace, libc::CLONE_NEWPID as u64),
    (Layer::NetworkNamespace, libc::CLONE_NEWNET as u64),
    (Layer::IpcNamespace, libc::CLONE_NEWIPC as u64),
    (Layer::UtsNamespace, libc::CLONE_NEWUTS as u64),
];
const USER_NAMESPACE: u64 = libc::CLONE_NEWUSER as u64;

/// What the next attempt asks for.
pub(super) struct Features {
    /// Whether the supervisor itself may make namespaces; otherwise a user namespace gives that right.
    privileged: bool,
    /// Namespaces to ask for, or why not.
    namespaces: Vec<(Layer, u64, Option<Errno>)>,
    /// Why there is no user namespace, where one was needed.
    no_user_namespace: Option<Errno>,
    /// The namespaces that the system grants have been found out one by one.
    probed: bool,
    /// Why the mounts stay writable.
    pub(super) read_only: Option<Errno>,
    pub(super) bounding_set: bool,
    pub(super) keep_chroot: bool,
}

impl Features {
    /// Everything that makes sense for the role.
    pub(super) fn wanted(role: Role) -> Self {
        let wanted =
            |&(layer, _): &(Layer, u64)| layer != Layer::NetworkNamespace || !role.uses_network();
        Self {
            privileged: have(CapabilitySet::SYS_ADMIN),
            namespaces: NAMESPACES
                .into_iter()
                .filter(wanted)
                .map(|(layer, flag)| (layer, flag, None))
                .collect(),
            no_user_namespace: None,
            probed: false,
            read_only: None,
            bounding_set: true,
            keep_chroot: true,
        }
    }

    pub(super) fn has(&self, layer: Layer) -> bool {
        self.namespaces
            .iter()
            .any(|&(has, _, refused)| has == layer && refused.is_none())
    }

    pub(super) fn user_namespace(&self) -> bool {
        !self.privileged && self.no_user_namespace.is_none()
    }

    fn user_flag(&self) -> u64 {
        if self.user_namespace() {
            USER_NAMESPACE
        } else {
            0
        }
    }

    pub(super) fn clone_flags(&self) -> u64 {
        let granted = self
            .namespaces
            .iter()
            .filter(|(_, _, refused)| refused.is_none());
        granted.fold(self.user_flag(), |flags, (_, flag, _)| flags | flag)
    }

    /// Takes out what just failed. False if the start can't do without it, or has done without it already.
    pub(super) fn do_without(&mut self, failure: &Failure) -> bool {
        let &Failure { step, error } = failure;
        match step {
            Step::Clone if self.clone_flags() == 0 => false,
            Step::Clone if self.probed => {
                self.refuse_all(error);
                true
            }
            Step::Clone => {
                self.probe();
                true
            }
            Step::Identities if self.user_namespace() => {
                self.refuse_all(error);
                true
            }
            Step::Mounts if self.has(Layer::MountNamespace) => {
                self.refuse(Layer::MountNamespace, error);
                true
            }
            Step::ReadOnly if self.read_only.is_none() => {
                self.read_only = Some(error);
                true
            }
            // The worker sees for itself, and reports, what came of these two.
            Step::BoundingSet => std::mem::replace(&mut self.bounding_set, false),
            Step::KeepChroot | Step::Ambient => std::mem::replace(&mut self.keep_chroot, false),
            _ => false,
        }
    }

    fn refuse(&mut self, layer: Layer, error: Errno) {
        for (_, _, refused) in self
            .namespaces
            .iter_mut()
            .filter(|(has, _, _)| *has == layer)
        {
            *refused = refused.or(Some(error));
        }
    }

    fn refuse_all(&mut self, error: Errno) {
        if !self.privileged {
            self.no_user_namespace = Some(error);
        }
        for (_, _, refused) in &mut self.namespaces {
            *refused = refused.or(Some(error));
        }
    }

    /// Tries each namespace alone.
    fn probe(&mut self) {
        self.probed = true;
        if self.user_namespace()
            && let Err(error) = try_flags(USER_NAMESPACE)
        {
            return self.refuse_all(error);
        }
        let user = self.user_flag();
        for (_, flag, refused) in &mut self.namespaces {
            if let Err(error) = try_flags(user | *flag) {
                *refused = refused.or(Some(error));
            }
        }
    }

    /// The layers that these are.
    pub(super) fn report(&self, role: Role) -> Vec<LayerState> {
        let user = match self.no_user_namespace {
            _ if self.privileged => {
                State::off("the supervisor has the right to make the other namespaces itself")
            }
            Some(error) => State::unavailable(error),
            None => State::Enforced,
        };
        let mut layers = vec![LayerState {
            layer: Layer::UserNamespace,
            state: user,
        }];
        for &(layer, _, refused) in &self.namespaces {
            let state = match (refused, self.read_only) {
                (Some(error), _) => State::unavailable(error),
                (None, Some(error)) if layer == Layer::MountNamespace => {
                    State::partial(format!("its mounts are writable: {error}"))
                }
                (None, _) => State::Enforced,
            };
            layers.push(LayerState { layer, state });
        }
        if role.uses_network() {
            let state = State::off("connections are this role's job");
            layers.push(LayerState {
                layer: Layer::NetworkNamespace,
                state,
            });
        }
        layers
    }
}

/// Makes a process with these flags that ends at once.
fn try_flags(flags: u64) -> Result<()> {
    let _held = super::SignalsHeld::new();
    // SAFETY: the child only ends.
    match unsafe { clone(flags)? } {
        Cloned::Child => {
            // SAFETY: ends the process without running anything that was registered in the parent.
            unsafe { libc::_exit(0) }
        }
        Cloned::Parent(_, pidfd) => {
            let id = rustix::process::WaitId::PidFd(std::os::fd::AsFd::as_fd(&pidfd));
            while let Err(Errno::INTR) =
                rustix::process::waitid(id.clone(), rustix::process::WaitIdOptions::EXITED)
            {
            }
            Ok(())
        }
    }
}

/// Gives a process in a new user namespace its uid and gid: one of each, the same inside and outside.
pub(super) fn map_identities(pid: i32, identity: Option<Identity>) -> Result<()> {
    let uid = identity.map_or(rustix::process::geteuid().as_raw(), |identity| identity.uid);
    let gid = identity.map_or(rustix::process::getegid().as_raw(), |identity| identity.gid);
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/{pid}/{file}"), text)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    write("uid_map", format!("{uid} {uid} 1\n"))?;
    if !have(CapabilitySet::SETGID) {
        // Without the privilege a group may be mapped only by who gives up changing groups.
        write("setgroups", "deny".to_owned())?;
    }
    write("gid_map", format!("{gid} {gid} 1\n"))
}
