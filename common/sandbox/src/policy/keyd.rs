use super::groups::{BASE, CHANNELS, EVENTS, FILE_READS, FILE_WRITES, LOCKED_MEMORY};
use super::{Policy, Role};

/// `keyd`: parses, signs, writes its journal and audit log by descriptor. Its secret is in locked memory.
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
