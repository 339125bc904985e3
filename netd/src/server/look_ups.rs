//! The sockets of look-ups: one for each question to a name server, made when it is asked and closed with the answer.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use ipc::net::Connection;
use ipc::supervision::NetdSettings;
use mio::net::{TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, connect, socket,
};

use crate::counters::{Counter, Counters};
use crate::endpoint::Endpoint;
use crate::names::{Action, EXCHANGES, Exchange, Known, MAX_ANSWER, Moment, Names, Over, Resolver};

/// Tokens of exchanges are above those of listeners and below those of connections.
const FIRST_TOKEN: usize = 1 << 10;
/// Longest datagram that is read; longer ones are cut off, and then they are no answer.
const DATAGRAM: usize = 4 << 10;

/// The exchange that a token stands for.
pub(super) fn exchange_of(token: usize) -> Option<Exchange> {
    let number = Exchange::try_from(token.checked_sub(FIRST_TOKEN)?).ok()?;
    (number < EXCHANGES).then_some(number)
}

/// Whom and what a supervisor lets this process ask.
pub(super) fn names(settings: &NetdSettings) -> Names {
    let lower =
        |(name, addresses): &(String, Vec<IpAddr>)| (name.to_ascii_lowercase(), addresses.clone());
    Names {
        servers: settings.name_servers.clone(),
        hosts: settings.hosts.iter().map(lower).collect(),
    }
}

/// A connection that waits for an address.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) endpoint: Endpoint,
    pub(super) key: Option<[u8; 32]>,
    /// How often it failed before.
    pub(super) failures: u32,
}

/// A name, and its addresses or why there are none.
pub(super) type Outcome = (String, Result<Vec<IpAddr>, &'static str>);

/// The look-ups and who waits for them.
pub(super) struct LookUps {
    resolver: Resolver,
    sockets: BTreeMap<Exchange, Socket>,
    ready: Vec<Exchange>,
    waiting: BTreeMap<Connection, Wanted>,
}

impl LookUps {
    pub(super) fn new(names: Names) -> Self {
        Self {
            resolver: Resolver::new(names),
            sockets: BTreeMap::new(),
            ready: Vec::new(),
            waiting: BTreeMap::new(),
        }
    }

    pub(super) fn configure(&mut self, names: Names) {
        self.resolver.configure(names);
    }

    pub(super) fn look_up(&mut self, name: &str, moment: &mut Moment<'_>) -> Known {
        self.resolver.look_up(name, moment)
    }

    /// A connection waits for the address of its host.
    pub(super) fn wait(&mut self, number: Connection, wanted: Wanted) {
        self.waiting.insert(number, wanted);
    }

    /// A connection waits no more: true when it did.
    pub(super) fn forget(&mut self, number: Connection) -> bool {
        self.waiting.remove(&number).is_some()
    }

    /// The connections that wait for this name.
    pub(super) fn take(&mut self, name: &str) -> Vec<(Connection, Wanted)> {
        let waiting = std::mem::take(&mut self.waiting);
        let (of_name, others): (BTreeMap<_, _>, BTreeMap<_, _>) = waiting
            .into_iter()
            .partition(|(_, wanted)| wanted.endpoint.name() == Some(name));
        self.waiting = others;
        of_name.into_iter().collect()
    }

    /// The system reports something of a socket.
    pub(super) fn note_event(&mut self, exchange: Exchange) {
        self.ready.push(exchange);
    }

    /// When there is something to do, if nothing else happens.
    pub(super) fn due(&self) -> Option<u64> {
        self.resolver.due()
    }

    /// Reads what came, asks what is to be asked, and tells which look-ups are over.
    pub(super) fn turn(
        &mut self,
        registry: &Registry,
        moment: &mut Moment<'_>,
        counters: &mut Counters,
    ) -> Vec<Outcome> {
        for exchange in std::mem::take(&mut self.ready) {
            self.go_on(exchange, moment, counters);
        }
        if self.due().is_some_and(|due| due <= moment.now) {
            self.resolver.tick(moment);
        }
        let mut over = Vec::new();
        while let Some(action) = self.resolver.next_action() {
            match action {
                Action::Ask {
                    exchange,
                    server,
                    over,
                    message,
                } => {
                    counters.count(Counter::NamesAsked);
                    match Socket::open(server, over, &message, exchange, registry) {
                        Ok(socket) => {
                            self.sockets.insert(exchange, socket);
                        }
                        Err(error) => {
                            log::debug!("asking the name server {server}: {error}");
                            self.resolver.failed(exchange, moment);
                        }
                    }
                }
                // Its end takes it off the list of those that are watched.
                Action::Close(exchange) => drop(self.sockets.remove(&exchange)),
                Action::Done { name, result } => over.push((name, result)),
            }
        }
        over
    }

    /// Reads from a socket until there is nothing more, or the exchange is over.
    fn go_on(&mut self, exchange: Exchange, moment: &mut Moment<'_>, counters: &mut Counters) {
        while let Some(socket) = self.sockets.get_mut(&exchange) {
            match socket.receive() {
                Ok(Some(message)) => {
                    if self.resolver.received(exchange, &message, moment).is_err() {
                        counters.count(Counter::NamesStrange);
                    }
                    if !self.resolver.expects(exchange) {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    log::debug!("a name server: {error}");
                    return self.resolver.failed(exchange, moment);
                }
            }
        }
    }
}

/// The socket of one exchange.
enum Socket {
    Udp(UdpSocket),
    Tcp {
        stream: TcpStream,
        /// What is not written yet.
        out: Vec<u8>,
        input: Vec<u8>,
    },
}

impl Socket {
    fn open(
        server: SocketAddr,
        over: Over,
        message: &[u8],
        exchange: Exchange,
        registry: &Registry,
    ) -> io::Result<Self> {
        let token = Token(FIRST_TOKEN + exchange as usize);
        match over {
            Over::Udp => {
                let mut socket = connected_udp(server)?;
                socket.send(message)?;
                registry.register(&mut socket, token, Interest::READABLE)?;
                Ok(Self::Udp(socket))
            }
            Over::Tcp => {
                let mut stream = TcpStream::connect(server)?;
                let interest = Interest::READABLE | Interest::WRITABLE;
                registry.register(&mut stream, token, interest)?;
                // Questions are short.
                let mut out = (message.len() as u16).to_be_bytes().to_vec();
                out.extend_from_slice(message);
                let input = Vec::new();
                Ok(Self::Tcp { stream, out, input })
            }
        }
    }

    /// The next message; `None` when none is there yet.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let received = match self {
            Self::Udp(socket) => {
                let mut datagram = vec![0; DATAGRAM];
                socket.recv(&mut datagram).map(|length| {
                    datagram.truncate(length);
                    Some(datagram)
                })
            }
            Self::Tcp { stream, out, input } => receive_over_tcp(stream, out, input),
        };
        match received {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            received => received,
        }
    }
}

fn receive_over_tcp(
    stream: &mut TcpStream,
    out: &mut Vec<u8>,
    input: &mut Vec<u8>,
) -> io::Result<Option<Vec<u8>>> {
    while !out.is_empty() {
        let written = stream.write(out)?;
        out.drain(..written);
    }
    loop {
        if let Some((length, rest)) = input.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length > MAX_ANSWER {
                return Err(io::Error::other("its answer is too long"));
            }
            if rest.len() >= length {
                let message = rest[..length].to_vec();
                input.drain(..2 + length);
                return Ok(Some(message));
            }
        }
        let mut chunk = [0; DATAGRAM];
        match stream.read(&mut chunk)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            length => input.extend_from_slice(&chunk[..length]),
        }
    }
}

/// A socket that takes datagrams of this server only, at a port that the system chooses: its sandbox lets this process bind none.
fn connected_udp(server: SocketAddr) -> io::Result<UdpSocket> {
    let family = match server {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(family, SockType::Datagram, flags, SockProtocol::Udp)?;
    connect(fd.as_raw_fd(), &SockaddrStorage::from(server))?;
    Ok(UdpSocket::from_std(fd.into()))
}
