//! What systemd is told (`sd_notify(3)`): a datagram to the socket that it names.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where the service manager listens; nowhere when there is none.
#[derive(Debug)]
pub struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// Milliseconds between two signs of life, if it wants any.
    pub watchdog: Option<u64>,
}

impl Notify {
    /// From the environment: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    #[must_use]
    pub fn from_environment() -> Self {
        let address =
            env::var("NOTIFY_SOCKET")
                .ok()
                .and_then(|name| match name.strip_prefix('@') {
                    Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name).ok(),
                    None => SocketAddr::from_pathname(name).ok(),
                });
        let ours =
            env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        // Half of the time that the service manager allows.
        let watchdog = env::var("WATCHDOG_USEC")
            .ok()
            .and_then(|time| time.parse::<u64>().ok())
            .filter(|time| ours && *time > 0)
            .map(|time| (time / 2000).max(1));
        Self {
            socket: address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address))),
            watchdog,
        }
    }

    /// Tells the service manager. That nobody listens is no reason to stop.
    pub fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}
