use super::groups::{BASE, CHANNELS, EVENTS, FILE_READS, SEALED_MEMORY};
use super::{Policy, Role};

/// `consensusd`: computes on what it gets by channels and reads in the map of the store. No file, no socket, no secret.
#[must_use]
pub fn consensusd() -> Policy<'static> {
    Policy::new(
        Role::Consensusd,
        &[&BASE, &CHANNELS, &EVENTS, &FILE_READS, &SEALED_MEMORY],
    )
}
