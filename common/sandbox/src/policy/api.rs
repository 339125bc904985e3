use super::groups::{ACCEPTING, BASE, CHANNELS, CONNECTIONS, EVENTS, FILE_READS, LOCKED_MEMORY};
use super::{Limits, Policy, Role};

/// `netd --role api`: accepts on its inherited listener; makes no connection. It may hold a TLS key.
#[must_use]
pub fn api() -> Policy<'static> {
    let calls = [
        &BASE,
        &CHANNELS,
        &EVENTS,
        &FILE_READS,
        &ACCEPTING,
        &CONNECTIONS,
        &LOCKED_MEMORY,
    ];
    let mut policy = Policy::new(Role::Api, &calls);
    policy.limits = Limits {
        files: Some(16_384),
        ..Limits::default()
    };
    policy
}
