use super::groups::{BASE, CHANNELS, CONNECTIONS, EVENTS};
use super::{Policy, Role};

/// `netd --role rescue`: speaks on the one connection that it made before it entered. No other socket, no file, no map.
#[must_use]
pub fn rescue() -> Policy<'static> {
    Policy::new(Role::Rescue, &[&BASE, &CHANNELS, &EVENTS, &CONNECTIONS])
}
