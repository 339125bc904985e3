//! Accepting: who may connect, how many, and what happens when the system has no descriptor left.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

use super::{FIRST_LISTENER, Listener, Server, ServerError};
use crate::accepted::Accepted;
use crate::admission::Full;
use crate::counters::Counter;

/// Connections that one round accepts from one listener at most.
const ROUND: usize = 256;
/// Seconds without a byte after which the system asks whether the other side is still there, and between two such questions.
const KEEP_ALIVE: (u32, u32) = (120, 30);

/// Listeners of the supervisor, ready for the loop. What is set here, accepted connections inherit.
pub(super) fn take_over(
    fds: Vec<OwnedFd>,
    registry: &Registry,
) -> Result<Vec<Listener>, ServerError> {
    let take = |(i, fd): (usize, OwnedFd)| {
        let listener = std::net::TcpListener::from(fd);
        listener.set_nonblocking(true)?;
        set_options(&listener)?;
        let mut socket = TcpListener::from_std(listener);
        registry.register(&mut socket, Token(FIRST_LISTENER + i), Interest::READABLE)?;
        Ok(Listener {
            socket,
            readable: true,
        })
    };
    let taken: io::Result<Vec<Listener>> = fds.into_iter().enumerate().map(take).collect();
    taken.map_err(ServerError::io("taking over a listener"))
}

/// The options of connections in either direction.
pub(super) fn set_options(socket: &impl AsFd) -> io::Result<()> {
    let (idle, interval) = KEEP_ALIVE;
    setsockopt(socket, sockopt::TcpNoDelay, &true)?;
    setsockopt(socket, sockopt::KeepAlive, &true)?;
    setsockopt(socket, sockopt::TcpKeepIdle, &idle)?;
    setsockopt(socket, sockopt::TcpKeepInterval, &interval)?;
    Ok(())
}

impl Server {
    /// Accepts what waits.
    pub(super) fn accept(&mut self) {
        for i in 0..self.listeners.len() {
            let mut left = ROUND;
            while left > 0 && self.listeners[i].readable {
                left -= 1;
                match self.listeners[i].socket.accept() {
                    Ok((socket, address)) => self.admit(socket, address),
                    Err(error) => self.accept_failed(i, &error),
                }
            }
        }
    }

    fn accept_failed(&mut self, i: usize, error: &io::Error) {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EAGAIN) => self.listeners[i].readable = false,
            // This connection is gone already; the next may be well.
            Some(
                Errno::EINTR
                | Errno::ECONNABORTED
                | Errno::EPROTO
                | Errno::ENETDOWN
                | Errno::EHOSTUNREACH,
            ) => {
                self.hub.counters.count(Counter::AcceptFailed);
            }
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                self.turn_away(i)
            }
            _ => {
                self.hub.counters.count(Counter::AcceptFailed);
                self.listeners[i].readable = false;
                self.quiet.accept(self.hub.now.steady, error);
            }
        }
    }

    /// No descriptor is left: the one that is kept for this accepts and closes a connection, so that the other side does not wait.
    fn turn_away(&mut self, i: usize) {
        self.hub.counters.count(Counter::RefusedDescriptors);
        self.spare = None;
        let accepted = self.listeners[i].socket.accept();
        if let Ok((_, address)) = &accepted {
            self.quiet
                .refused(self.hub.now.steady, address, "no descriptor left");
        } else {
            // Looked at again when the next one arrives.
            self.listeners[i].readable = false;
        }
        drop(accepted);
        self.spare = self.listeners[i].socket.as_fd().try_clone_to_owned().ok();
    }

    fn admit(&mut self, socket: TcpStream, address: SocketAddr) {
        let now = self.hub.now.steady;
        if !self.access.permits(address.ip()) {
            self.hub.counters.count(Counter::RefusedDenied);
            return self
                .quiet
                .refused(now, &address, "its network may not connect");
        }
        if let Err(full) = self.admission.enter(address.ip()) {
            self.hub.counters.count(match full {
                Full::Total => Counter::RefusedTotal,
                Full::Origin => Counter::RefusedAddress,
            });
            return self.quiet.refused(now, &address, &full.to_string());
        }
        let hub = &self.hub;
        let make = |number| Accepted::new(number, socket, address, hub);
        let Some(connection) = self.accepted.insert(&mut self.numbers, make) else {
            self.admission.leave(address.ip());
            self.hub.counters.count(Counter::RefusedTotal);
            return;
        };
        let number = connection.number;
        let token = Token(number as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self
            .poll
            .registry()
            .register(connection.socket(), token, interest);
        connection.counted = connection.held();
        self.hub.memory += connection.counted;
        self.hub.counters.count(Counter::Accepted);
        if let Err(error) = registered {
            self.close_accepted(number, &crate::accepted::Ending::Failed(error));
        }
    }
}
