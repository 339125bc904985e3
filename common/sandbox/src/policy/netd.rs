use super::groups::{ACCEPTING, BASE, CHANNELS, CONNECTING, CONNECTIONS, EVENTS, FILE_READS};
use super::{Limits, Policy, Role};

/// `netd`: accepts on the inherited listeners and connects to peers and name servers. It binds nothing and opens no file.
#[must_use]
pub fn netd() -> Policy<'static> {
    let calls = [
        &BASE,
        &CHANNELS,
        &EVENTS,
        &FILE_READS,
        &ACCEPTING,
        &CONNECTING,
        &CONNECTIONS,
    ];
    let mut policy = Policy::new(Role::Netd, &calls);
    policy.tcp_connect = true;
    // Thousands of idle connections are its job.
    policy.limits = Limits {
        files: Some(65_536),
        ..Limits::default()
    };
    policy
}
