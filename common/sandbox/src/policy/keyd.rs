use super::groups::{BASE, CHANNELS, EVENTS, FILE_READS, FILE_WRITES, LOCKED_MEMORY};
use super::{Policy, Role};

/// `keyd`: parses, signs, writes its journal and audit log by descriptor. Its secret is in locked memory. It can't shorten a file, nor
/// take from one that it was opened for appending: what is in the audit log stays there.
#[must_use]
pub fn keyd() -> Policy<'static> {
    Policy::new(
        Role::Keyd,
        &[
            &BASE,
            &CHANNELS,
            &EVENTS,
            &FILE_READS,
            &FILE_WRITES,
            &LOCKED_MEMORY,
        ],
    )
}
