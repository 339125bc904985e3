//! The courier of a rescue: one connection to one peer, one transaction, and the question whether it had its effect (DESIGN §4).
//!
//! It resolves and connects before its sandbox closes; inside, it has that one socket and the supervision channel.

pub mod steps;

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Duration;

use ipc::Received;
use ipc::supervision::{FromWorker, RescueSettings, RoleStatus, ToWorker, WorkerStatus};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::steps::{Next, Steps};
use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::out_buffer::OutBuffer;
use crate::server::ToSupervisor;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The printed result of the question when there is one, else what went wrong, for people.
    pub text: String,
    /// The question was answered.
    pub answered: bool,
    /// The peer shows the effect.
    pub confirmed: bool,
}

impl Outcome {
    /// Nothing was answered.
    #[must_use]
    pub fn failed(text: String) -> Self {
        Self {
            text,
            answered: false,
            confirmed: false,
        }
    }
}

/// A connection, and the time of which connecting has taken its part.
#[derive(Debug)]
pub struct Connected {
    stream: TcpStream,
    clock: Clock,
}

/// Looks the target up and connects to the first of its addresses that answers.
///
/// # Errors
/// Why there is no connection, for people.
pub fn connect(settings: &RescueSettings) -> Result<Connected, String> {
    let clock = Clock::start();
    let target = &settings.target;
    let endpoint: Endpoint = target
        .parse()
        .map_err(|error| format!("{target}: {error}"))?;
    let addresses = match endpoint.addresses() {
        Some(addresses) => addresses,
        None => look_up(&endpoint)?,
    };
    let mut failure = format!("{target} has no address");
    for (i, address) in addresses.iter().enumerate() {
        // What is left is shared by the addresses that are left, and half of it is for asking.
        let spent = clock.now().steady;
        let left =
            u64::from(settings.within).saturating_sub(spent) / 2 / (addresses.len() - i) as u64;
        match TcpStream::connect_timeout(address, Duration::from_millis(left.max(1))) {
            Ok(stream) => return Ok(Connected { stream, clock }),
            Err(error) => failure = format!("connecting to {target} ({address}): {error}"),
        }
    }
    Err(failure)
}

fn look_up(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, String> {
    let addresses = endpoint.to_string().to_socket_addrs();
    addresses
        .map(Iterator::collect)
        .map_err(|error| format!("looking up {endpoint}: {error}"))
}

/// Brings the transaction and asks, until the effect shows or the time is over. `None` when the supervisor ended it.
pub fn carry(
    connected: Connected,
    settings: &RescueSettings,
    supervision: &ToSupervisor,
) -> Option<Outcome> {
    let Connected { stream, clock } = connected;
    let steps = match Steps::new(settings, clock.now()) {
        Ok(steps) => steps,
        Err(text) => return Some(Outcome::failed(text)),
    };
    if let Err(error) = stream.set_nonblocking(true) {
        return Some(Outcome::failed(error.to_string()));
    }
    let mut courier = Courier {
        stream,
        clock,
        steps,
        out: OutBuffer::default(),
        chunk: vec![0; CHUNK],
    };
    let outcome = courier.run(supervision);
    match courier.steps.told() {
        Some(told) => log::info!("{} answered the transaction with {told}", settings.target),
        None => log::info!("{} did not answer a transaction", settings.target),
    }
    outcome
}

struct Courier {
    stream: TcpStream,
    clock: Clock,
    steps: Steps,
    out: OutBuffer,
    chunk: Vec<u8>,
}

impl Courier {
    fn run(&mut self, supervision: &ToSupervisor) -> Option<Outcome> {
        loop {
            let now = self.clock.now();
            let until = match self.steps.next(now) {
                Next::Send(bytes) => {
                    self.out.push(bytes);
                    continue;
                }
                Next::Wait(until) => until,
                Next::Done(outcome) => return Some(outcome),
            };
            if let Err(error) = self.out.write_to(&mut self.stream) {
                return Some(self.steps.failed(&error.to_string()));
            }
            let wait = u16::try_from(until.saturating_sub(now.steady)).unwrap_or(u16::MAX);
            let (order, readable) = match self.poll(supervision, wait) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => continue,
                Err(error) => return Some(self.steps.failed(&error.to_string())),
            };
            if order && !obey(supervision) {
                return None;
            }
            if readable && let Err(why) = self.read() {
                return Some(self.steps.failed(&why));
            }
        }
    }

    /// Which of the two can be read now.
    fn poll(&self, supervision: &ToSupervisor, wait: u16) -> Result<(bool, bool), Errno> {
        let mut of_stream = PollFlags::POLLIN;
        of_stream.set(PollFlags::POLLOUT, !self.out.is_empty());
        let mut fds = [
            PollFd::new(supervision.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stream.as_fd(), of_stream),
        ];
        poll(&mut fds, PollTimeout::from(wait))?;
        let ready = |fd: &PollFd<'_>| {
            fd.revents()
                .is_some_and(|events| events.intersects(!PollFlags::POLLOUT))
        };
        Ok((ready(&fds[0]), ready(&fds[1])))
    }

    fn read(&mut self) -> Result<(), String> {
        match self.stream.read(&mut self.chunk) {
            Ok(0) => Err("the peer closed the connection".to_owned()),
            Ok(n) => {
                let now = self.clock.now();
                self.steps.receive(&self.chunk[..n], now)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Answers the supervisor: false when this has to end.
fn obey(supervision: &ToSupervisor) -> bool {
    let answer = match supervision.receive() {
        Ok(Received::Message(ToWorker::Ping(number), _)) => FromWorker::Pong(number),
        Ok(Received::Message(ToWorker::Status(number), _)) => {
            let of_role = RoleStatus::Netd {
                accepted: 0,
                trusted: 0,
                opened: 0,
                peers: Vec::new(),
                serving: false,
            };
            let counters = Vec::new();
            FromWorker::Status(number, Box::new(WorkerStatus { of_role, counters }))
        }
        Ok(Received::Message(ToWorker::Stop { .. } | ToWorker::Lock, _) | Received::Ended)
        | Err(_) => return false,
        Ok(_) => return true,
    };
    supervision.send(&answer, &[]).is_ok()
}
