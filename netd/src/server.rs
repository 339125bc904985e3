//! The loop: events of sockets in, turns of connections, one write each way at the end of a round.
//!
//! One thread does it all but reading the store. A round takes what the system reports, lets each connection that can go on have one
//! turn of bounded length, writes to consensus once what they brought, takes its answers, and writes to each connection once what is for it.

mod accepting;
mod consensus;
mod dialling;
mod look_ups;
mod supervision;
mod turns;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crypto::AccountKey;
use ipc::Supervision;
use ipc::logging::Quiet;
use ipc::net::{Connection, ToNet};
use ipc::supervision::{FromWorker, NetdSettings, ToWorker};
use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use signing::Identity;

use crate::admission::Admission;
use crate::chance::Chance;
use crate::cidr::{AccessList, CidrError};
use crate::clock::Clock;
use crate::data::DataService;
use crate::dialled::Dialled;
use crate::endpoint::Endpoint;
use crate::gathering::Gathering;
use crate::hub::Hub;
use crate::limits::Limits;
use crate::outgoing::{Outgoing, OutgoingConfig};
use crate::slab::{FIRST, Numbers, Slab, is_dialled};
use look_ups::LookUps;

/// The worker's end of its supervision channel.
pub type ToSupervisor = Supervision<FromWorker, ToWorker>;

const SUPERVISION: Token = Token(0);
const LINK: Token = Token(1);
const ANSWERS: Token = Token(2);
const FIRST_LISTENER: usize = 3;
/// Bytes that one turn of a connection reads at most.
const CHUNK: usize = 64 << 10;
/// Events of one round.
const EVENTS: usize = 1024;
/// Time between two looks at the outgoing connections, milliseconds (`spec/06 §9.5`).
const MANAGE: u64 = 500;
/// Log lines of one kind: one in so many milliseconds.
const QUIET: u64 = 10_000;

/// Why the process can't work.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The settings name a network that is none.
    #[error("{0}")]
    Network(#[from] CidrError),
    /// The system refuses.
    #[error("{doing}: {error}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Its answer.
        error: io::Error,
    },
}

impl ServerError {
    fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { doing, error }
    }
}

/// What the system tells of a socket.
#[derive(Clone, Copy)]
struct Told {
    readable: bool,
    writable: bool,
    /// The other side sends nothing more.
    ended: bool,
}

struct Listener {
    socket: TcpListener,
    readable: bool,
}

/// Everything that the process has.
pub struct Server {
    poll: Poll,
    clock: Clock,
    chance: Chance,
    hub: Hub,
    gathering: Gathering,
    supervision: ToSupervisor,
    listeners: Vec<Listener>,
    /// A descriptor that is given up to close a connection when there is no other left.
    spare: Option<OwnedFd>,
    access: AccessList,
    admission: Admission,
    numbers: Numbers,
    accepted: Slab,
    dialled: BTreeMap<Connection, Dialled>,
    outgoing: Outgoing,
    look_ups: LookUps,
    /// Hosts that are known and connections that are wanted, as consensus was told.
    told_reach: Option<(usize, usize)>,
    /// Connections that can go on.
    ready: VecDeque<Connection>,
    /// Connections whose request waits for room, the longest waiting first.
    waiting: VecDeque<Connection>,
    /// Connections that may be read again later.
    paused: BinaryHeap<Reverse<(u64, Connection)>>,
    /// Connections that have something to write.
    dirty: Vec<Connection>,
    messages: Vec<ToNet>,
    chunk: Box<[u8]>,
    next_sweep: u64,
    next_management: u64,
    quiet: supervision::Lines,
    /// When to end, once asked to.
    stopping: Option<u64>,
    locked: bool,
    /// True where this peer's network is on this machine.
    local: bool,
}

impl Server {
    /// Takes the listeners over. To be called before the sandbox closes; nothing is read or accepted yet.
    ///
    /// # Errors
    /// When the system refuses, or the settings name no proper networks.
    pub fn prepare(
        settings: &NetdSettings,
        limits: Limits,
        listeners: Vec<OwnedFd>,
    ) -> Result<Prepared, ServerError> {
        let poll = Poll::new().map_err(ServerError::io("making an event queue"))?;
        let waker =
            Waker::new(poll.registry(), ANSWERS).map_err(ServerError::io("making a waker"))?;
        let listeners = accepting::take_over(listeners, poll.registry())?;
        let access = AccessList::new(&settings.allow, &settings.deny)?;
        Ok(Prepared {
            poll,
            waker: Arc::new(waker),
            settings: settings.clone(),
            limits,
            listeners,
            access,
        })
    }

    /// Serves until told to end.
    ///
    /// # Errors
    /// When the system fails in a way that leaves nothing to do.
    pub fn run(&mut self) -> Result<ExitCode, ServerError> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.poll_events(&mut events)?;
            if self.supervise() {
                return Ok(ExitCode::SUCCESS);
            }
            self.accept();
            self.take_turns();
            self.exchange_with_consensus();
            self.deliver_answers();
            self.make_use_of_room();
            self.manage_outgoing();
            self.look_names_up();
            self.sweep();
            self.write_all();
            self.shed();
            if self.has_stopped() {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }

    fn poll_events(&mut self, events: &mut Events) -> Result<(), ServerError> {
        let passed = std::mem::take(&mut self.hub.passed);
        self.gathering.passed(passed, self.hub.now.steady);
        let (mut timeout, gather) = (self.timeout(), self.gathering.wait());
        if timeout > gather && gather > 0 {
            // Nobody unparks this thread: it lets time pass, and what arrives meanwhile is read in one round.
            std::thread::park_timeout(Duration::from_millis(gather));
            timeout -= gather;
        }
        match self.poll.poll(events, Some(Duration::from_millis(timeout))) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            Err(error) => return Err(ServerError::io("waiting for events")(error)),
        }
        self.hub.now = self.clock.now();
        for event in &*events {
            let told = Told {
                ended: event.is_read_closed(),
                readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                writable: event.is_writable(),
            };
            match event.token() {
                // Looked at in each round anyway: its queue is short.
                SUPERVISION | ANSWERS => {}
                LINK => {
                    if let (Some(link), true) = (&mut self.hub.link, told.readable) {
                        link.set_readable(told.ended);
                    }
                }
                Token(number) if (number as u64) < FIRST => {
                    if let Some(exchange) = look_ups::exchange_of(number) {
                        self.look_ups.note_event(exchange);
                    } else if let Some(listener) = self.listeners.get_mut(number - FIRST_LISTENER) {
                        listener.readable = true;
                    }
                }
                Token(number) => self.note_event(number as u64, told),
            }
        }
        Ok(())
    }

    fn note_event(&mut self, number: Connection, told: Told) {
        if is_dialled(number) {
            let Some(connection) = self.dialled.get_mut(&number) else {
                return;
            };
            connection.readable |= told.readable;
            connection.ended |= told.ended;
            let established = connection.establish();
            match established {
                Ok(true) => self.established(number),
                Ok(false) => {}
                Err(ending) => return self.close_dialled(number, &ending),
            }
        } else if let Some(connection) = self.accepted.get(number) {
            connection.readable |= told.readable;
            connection.ended |= told.ended;
        } else {
            return;
        }
        if told.readable {
            self.queue(number);
        }
        if told.writable {
            self.mark_dirty(number);
        }
    }

    /// How long to wait for events, milliseconds.
    fn timeout(&self) -> u64 {
        let listening = self.listeners.iter().any(|listener| listener.readable);
        let link = self
            .hub
            .link
            .as_ref()
            .is_some_and(crate::link::Link::is_readable);
        if !self.ready.is_empty()
            || listening
            || link
            || (self.hub.room_made && !self.waiting.is_empty())
        {
            return 0;
        }
        let now = self.hub.now.steady;
        let paused = self.paused.peek().map(|Reverse((until, _))| *until);
        let wants_management = !self.locked && self.stopping.is_none();
        let times = [
            paused,
            (!self.accepted.is_empty() || !self.dialled.is_empty()).then_some(self.next_sweep),
            wants_management.then_some(self.next_management),
            self.look_ups.due(),
            self.stopping,
        ];
        let next = times.into_iter().flatten().min();
        next.map_or(60_000, |next| next.saturating_sub(now))
    }
}

/// A server that has everything but its thread: to be started inside the sandbox.
pub struct Prepared {
    poll: Poll,
    waker: Arc<Waker>,
    settings: NetdSettings,
    limits: Limits,
    listeners: Vec<Listener>,
    access: AccessList,
}

impl Prepared {
    /// Starts the thread of the store, and takes orders over the supervision channel from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start(self, supervision: ToSupervisor) -> Result<Server, ServerError> {
        let Self {
            poll,
            waker,
            settings,
            limits,
            listeners,
            access,
        } = self;
        let clock = Clock::start();
        let now = clock.now();
        let data = DataService::start(limits.data, limits.data_answer, waker)
            .map_err(ServerError::io("starting the thread of the store"))?;
        supervision.set_blocking(false).map_err(|error| {
            ServerError::io("setting up the supervision channel")(io::Error::other(error))
        })?;
        let fd = supervision.as_fd().as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&fd), SUPERVISION, Interest::READABLE)
            .map_err(ServerError::io("watching the supervision channel"))?;
        let identity = Identity {
            key: AccountKey::new(settings.key),
            network: cells::Hash(settings.network),
        };
        let mut chance = Chance::new();
        let local = is_local(&listeners, &settings.peers);
        let outgoing = Outgoing::new(outgoing_config(&settings, local), now.steady);
        Ok(Server {
            clock,
            hub: Hub::new(identity, limits.clone(), data, now),
            gathering: Gathering::default(),
            supervision,
            spare: listeners
                .first()
                .and_then(|l| l.socket.as_fd().try_clone_to_owned().ok()),
            listeners,
            access,
            admission: Admission::new(limits.admission),
            numbers: Numbers::new(chance.draw()),
            chance,
            accepted: Slab::default(),
            dialled: BTreeMap::new(),
            outgoing,
            look_ups: LookUps::new(look_ups::names(&settings)),
            told_reach: None,
            ready: VecDeque::new(),
            waiting: VecDeque::new(),
            paused: BinaryHeap::new(),
            dirty: Vec::new(),
            messages: Vec::new(),
            chunk: vec![0; CHUNK].into_boxed_slice(),
            next_sweep: now.steady + limits.sweep,
            next_management: now.steady,
            quiet: supervision::Lines::default(),
            stopping: None,
            locked: false,
            local,
            poll,
        })
    }
}

/// Whether this peer's network lives on this machine: it listens there, or is told to connect there.
fn is_local(listeners: &[Listener], peers: &[String]) -> bool {
    let listens = |listener: &Listener| {
        listener
            .socket
            .local_addr()
            .is_ok_and(|a| a.ip().to_canonical().is_loopback())
    };
    let connects = |text: &String| {
        let addresses = text
            .parse::<Endpoint>()
            .ok()
            .and_then(|endpoint| endpoint.addresses());
        addresses.is_some_and(|all| all.iter().any(|a| a.ip().to_canonical().is_loopback()))
    };
    listeners.iter().any(listens) || peers.iter().any(connects)
}

fn outgoing_config(settings: &NetdSettings, local: bool) -> OutgoingConfig {
    let parse = |text: &String| match text.parse() {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            log::warn!("peer `{text}` of the settings is left out: {error}");
            None
        }
    };
    OutgoingConfig {
        own: settings.key,
        target: usize::from(settings.target),
        configured: settings.peers.iter().filter_map(parse).collect(),
        local,
    }
}

/// A line each [`QUIET`] milliseconds.
const fn quiet() -> Quiet {
    Quiet::new(QUIET)
}
