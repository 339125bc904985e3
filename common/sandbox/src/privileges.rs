//! Capabilities and the other attributes of a process that say what it may become.

use rustix::io::{Errno, Result};
use rustix::process::{DumpableBehavior, Uid, dumpable_behavior, geteuid, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_thread_res_uid,
};

/// Numbers of capabilities that a kernel may know: the sets have 64 bits.
const CAPABILITIES: u32 = 64;

/// Empties the bounding set. Needs `CAP_SETPCAP`.
///
/// Makes system calls only, so it may run between fork and exec.
pub(crate) fn drop_bounding_set() -> Result<()> {
    for number in 0..CAPABILITIES {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            // This kernel's capabilities end here.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether a program could still gain a capability if `no_new_privs` did not forbid it.
pub(crate) fn bounding_set_is_empty() -> Result<bool> {
    for number in 0..CAPABILITIES {
        match capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(true) => return Ok(false),
            Ok(false) => {}
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Empties the ambient, inheritable, permitted and effective sets.
pub(crate) fn drop_all() -> Result<()> {
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets)?;
    if capabilities(None)? == sets {
        Ok(())
    } else {
        Err(Errno::PERM)
    }
}

/// Whether the calling thread may use a capability now.
pub(crate) fn have(capability: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(capability))
}

/// Does something with another user as the effective one of the calling thread. Needs `CAP_SETUID`.
///
/// The real and the saved user stay, and those are what decides who may signal or trace this process.
pub(crate) fn as_user<T>(user: Uid, act: impl FnOnce() -> T) -> Result<T> {
    let (own, keep) = (geteuid(), None::<Uid>);
    let dumpable = dumpable_behavior()?;
    set_thread_res_uid(keep, user, keep)?;
    let result = act();
    if set_thread_res_uid(keep, own, keep).is_err() {
        // The way back to the real or saved user needs no right at all. Nothing may go on as somebody else.
        std::process::abort();
    }
    if dumpable == DumpableBehavior::Dumpable {
        // Any change of user takes it, and then the files in /proc of the processes made from here would be root's.
        set_dumpable_behavior(dumpable)?;
    }
    Ok(result)
}
