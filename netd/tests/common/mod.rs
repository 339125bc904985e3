//! Both neighbours of `netd`, played by the tests: the supervisor that starts it, and `consensusd`; and clients.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use cells::{Cell, Decoder, Hash, decode_partial};
use ipc::net::{FromNet, ToNet};
use ipc::supervision::{
    FromWorker, NetdSettings, Ready, RoleStatus, Settings, ToWorker, WorkerStatus,
};
use ipc::{Bytes, Channel, Epoch, Link, Received, Supervision};
use netd::limits::Limits;
use netd::server::Server;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use wire::{FrameLimits, FrameReader, Message, Reply, frame};

/// How long a test waits for what has to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const WIDE: FrameLimits = FrameLimits {
    belief: wire::MAX_MESSAGE,
    result: wire::MAX_MESSAGE,
    request: wire::MAX_MESSAGE,
};

pub const KEY: [u8; 32] = [7; 32];
pub const NETWORK: [u8; 32] = [8; 32];

/// Settings that no test comes up against by chance.
pub fn settings() -> NetdSettings {
    NetdSettings {
        key: KEY,
        network: NETWORK,
        listeners: 1,
        connections: 1_000,
        connections_per_address: 1_000,
        memory: 256 << 20,
        idle: 0,
        allow: Vec::new(),
        deny: Vec::new(),
        peers: Vec::new(),
        target: 0,
        name_servers: Vec::new(),
        hosts: Vec::new(),
        demands: "seccomp".to_owned(),
    }
}

enum Run {
    Process(sandbox::Child),
    Thread(Option<JoinHandle<()>>),
    Over,
}

/// A running `netd`, seen from its supervisor.
pub struct Netd {
    run: Run,
    pub supervision: Supervision<ToWorker, FromWorker>,
    pub address: SocketAddr,
    epoch: u32,
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // As the supervisor: a crowd must not wait for the next try of its system.
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(4096).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn patient(supervision: &Supervision<ToWorker, FromWorker>) {
    supervision.set_blocking(true).unwrap();
    let seconds = TimeVal::seconds(PATIENCE.as_secs() as i64);
    setsockopt(&supervision.as_fd(), sockopt::ReceiveTimeout, &seconds).unwrap();
}

impl Netd {
    /// The program itself, in its sandbox.
    pub fn start(settings: NetdSettings) -> Self {
        let (listener, address) = listener();
        let netd = Self::spawn(Settings::Netd(settings), &[], &[listener.as_fd()], address);
        netd.wait_ready();
        netd
    }

    pub fn spawn(
        settings: Settings,
        arguments: &[&str],
        fds: &[std::os::fd::BorrowedFd<'_>],
        address: SocketAddr,
    ) -> Self {
        let (supervision, theirs) = Supervision::pair().unwrap();
        patient(&supervision);
        let program = Path::new(env!("CARGO_BIN_EXE_netd"));
        let role = if arguments.is_empty() {
            sandbox::Role::Netd
        } else {
            sandbox::Role::Rescue
        };
        let mut spawn = sandbox::Spawn::new(program, role).descriptor(3, theirs.as_fd());
        for argument in arguments {
            spawn = spawn.arg(*argument);
        }
        if let Ok(level) = std::env::var(ipc::logging::LEVEL) {
            spawn = spawn.env(ipc::logging::LEVEL, level);
        }
        let child = spawn.start().unwrap();
        drop(theirs);
        supervision
            .send(&ToWorker::Start(Box::new(settings)), fds)
            .unwrap();
        Self {
            run: Run::Process(child),
            supervision,
            address,
            epoch: 0,
        }
    }

    /// The same on a thread of the test, with other limits.
    pub fn with_limits(settings: NetdSettings, change: impl FnOnce(&mut Limits)) -> Self {
        let (listener, address) = listener();
        let (supervision, theirs) = Supervision::pair().unwrap();
        patient(&supervision);
        let mut limits = Limits::new(&settings);
        change(&mut limits);
        let prepared = Server::prepare(&settings, limits, vec![OwnedFd::from(listener)]).unwrap();
        let thread = std::thread::spawn(move || {
            let mut server = prepared.start(Supervision::new(theirs)).unwrap();
            server.run().unwrap();
        });
        Self {
            run: Run::Thread(Some(thread)),
            supervision,
            address,
            epoch: 0,
        }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        match &self.run {
            Run::Process(child) => child.pid(),
            Run::Thread(_) | Run::Over => std::process::id(),
        }
    }

    pub fn receive(&self) -> FromWorker {
        match self.supervision.receive().unwrap() {
            Received::Message(message, _) => message,
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass in which nothing is said.
    pub fn receive_nothing_for(&self, time: Duration) {
        let timeout = TimeVal::milliseconds(time.as_millis() as i64);
        setsockopt(&self.supervision.as_fd(), sockopt::ReceiveTimeout, &timeout).unwrap();
        assert!(matches!(self.supervision.receive(), Ok(Received::Nothing)));
        patient(&self.supervision);
    }

    fn wait_ready(&self) {
        let FromWorker::Sandboxed(_) = self.receive() else {
            panic!("it begins with its sandbox");
        };
        assert_eq!(self.receive(), FromWorker::Ready(Ready::Netd));
    }

    pub fn order(&self, order: &ToWorker) {
        self.supervision.send(order, &[]).unwrap();
    }

    pub fn status(&self) -> WorkerStatus {
        self.order(&ToWorker::Status(5));
        loop {
            match self.receive() {
                FromWorker::Status(5, status) => return *status,
                FromWorker::Alarm(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn count(&self, name: &str) -> u64 {
        let status = self.status();
        let found = status.counters.iter().find(|(n, _)| n == name);
        found.unwrap_or_else(|| panic!("no counter {name}")).1
    }

    /// Asks until a counter has this value.
    pub fn wait_for_count(&self, name: &str, value: u64) {
        let start = std::time::Instant::now();
        while self.count(name) < value {
            assert!(
                start.elapsed() < PATIENCE,
                "{name} stays below {value}: {:?}",
                self.status()
            );
            std::thread::yield_now();
        }
    }

    pub fn accepted(&self) -> u32 {
        match self.status().of_role {
            RoleStatus::Netd { accepted, .. } => accepted,
            other => panic!("{other:?}"),
        }
    }

    /// A new `consensusd`, which has greeted.
    pub fn consensus(&mut self) -> Consensus {
        self.epoch += 1;
        let (ours, theirs) = UnixStream::pair().unwrap();
        let message = ToWorker::Channel {
            channel: Channel::Net,
            epoch: Epoch(self.epoch),
        };
        self.supervision.send(&message, &[theirs.as_fd()]).unwrap();
        drop(theirs);
        ours.set_write_timeout(Some(PATIENCE)).unwrap();
        let raw = ours.try_clone().unwrap();
        let link = Link::open(ours, Channel::Net, Epoch(self.epoch), PATIENCE).unwrap();
        raw.set_read_timeout(Some(PATIENCE)).unwrap();
        Consensus { link, raw }
    }

    /// A store with these cells; it has to be kept as long as it is used.
    pub fn store(&self, cells: &[Cell]) -> Store {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.etch");
        let control = etch::ControlPage::anonymous(1).unwrap();
        let page = control.reader_file().unwrap();
        let options = etch::Options {
            control: Some(control),
            ..etch::Options::default()
        };
        let mut writer = etch::Writer::open(&path, options).unwrap();
        for cell in cells {
            let encoding = cell.encode();
            writer
                .put(
                    &encoding,
                    etch::Flags::new(etch::Flags::PERSISTED, encoding.len()),
                    0,
                )
                .unwrap();
        }
        writer.commit().unwrap();
        let file = std::fs::File::open(&path).unwrap();
        self.supervision
            .send(&ToWorker::Store, &[file.as_fd(), page.as_fd()])
            .unwrap();
        Store { directory, writer }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// The exit of the process.
    pub fn ended(&mut self) -> sandbox::Ended {
        match std::mem::replace(&mut self.run, Run::Over) {
            Run::Process(child) => child.wait().unwrap(),
            Run::Thread(_) | Run::Over => panic!("no process"),
        }
    }
}

impl Drop for Netd {
    fn drop(&mut self) {
        // The end of the channel ends it.
        let (supervision, _) = Supervision::pair().unwrap();
        drop(std::mem::replace(&mut self.supervision, supervision));
        match &mut self.run {
            Run::Process(child) => {
                let ended = child.wait().unwrap();
                if std::thread::panicking() {
                    eprintln!("netd ended: {ended:?}");
                } else {
                    assert_eq!(ended, sandbox::Ended::Exited(0));
                }
            }
            Run::Thread(thread) => {
                let ended = thread.take().unwrap().join();
                if !std::thread::panicking() {
                    ended.unwrap();
                }
            }
            Run::Over => {}
        }
    }
}

pub struct Store {
    directory: tempfile::TempDir,
    writer: etch::Writer,
}

/// The other end of the channel of `consensusd`.
pub struct Consensus {
    pub link: Link<ToNet, FromNet>,
    pub raw: UnixStream,
}

impl Consensus {
    /// The next message but [`FromNet::Reach`], which may come at any time; `None` at the end.
    pub fn next(&mut self) -> Option<FromNet> {
        loop {
            match self.link.receiver.receive() {
                Ok(Some(FromNet::Reach { .. })) => {}
                other => return other.ok().flatten(),
            }
        }
    }

    pub fn receive(&mut self) -> FromNet {
        self.next().expect("the channel ended")
    }

    /// Waits until it is told so many known hosts and wanted connections.
    pub fn wait_for_reach(&mut self, named: u32, target: u16) {
        loop {
            let message = self.link.receiver.receive().unwrap();
            if message.expect("the channel ended") == (FromNet::Reach { named, target }) {
                return;
            }
        }
    }

    /// The next message of a client, with its connection.
    pub fn message(&mut self) -> (u64, Vec<u8>) {
        match self.receive() {
            FromNet::Message {
                connection, body, ..
            } => (connection, body.into_vec()),
            other => panic!("{other:?}"),
        }
    }

    pub fn send(&mut self, message: &ToNet) {
        self.link.sender.send(message).unwrap();
    }

    pub fn reply(&mut self, connection: u64, reply: &Reply) {
        let body = Bytes::from(reply.encode().unwrap());
        self.send(&ToNet::Reply { connection, body });
    }
}

pub fn id_of(body: &[u8]) -> i64 {
    wire::Header::peek(body).unwrap().id.unwrap()
}

/// A client, which waits.
pub struct Client {
    pub stream: TcpStream,
    reader: FrameReader,
    input: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            reader: FrameReader::new(WIDE),
            input: Vec::new(),
        }
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn send(&mut self, message: &Message) {
        self.raw(&frame(&message.encode().unwrap()).unwrap());
    }

    /// The next message; `None` when the connection is closed.
    pub fn try_receive(&mut self) -> Option<Vec<u8>> {
        loop {
            let mut input = &self.input[..];
            let body = self.reader.read(&mut input).unwrap();
            self.input = input.to_vec();
            if body.is_some() {
                return body;
            }
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(n) => self.input = chunk[..n].to_vec(),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub fn receive(&mut self) -> Vec<u8> {
        self.try_receive().expect("closed")
    }

    pub fn reply(&mut self) -> Reply {
        let body = self.receive();
        match decode_partial(&body, &Decoder::new()).unwrap() {
            (Cell::Record(record), _) => Reply::read(&record).unwrap(),
            (other, _) => panic!("{other}"),
        }
    }

    pub fn ask(&mut self, message: &Message) -> Reply {
        self.send(message);
        self.reply()
    }

    /// True when the other side closes before anything else comes.
    pub fn is_closed(&mut self) -> bool {
        self.try_receive().is_none()
    }

    pub fn ping(&mut self, id: i64) {
        let reply = self.ask(&Message::Ping { id });
        assert_eq!(reply.id, Cell::Long(id));
        assert!(reply.error.is_nil());
    }
}

pub fn query(id: i64, text: &str) -> Message {
    Message::Query {
        id,
        form: Cell::from(text),
        address: None,
    }
}

/// A transaction as good as any to who only passes it on.
pub fn transact(id: i64, size: usize) -> Message {
    let key = crypto::SigningKey::from_seed(&[1; 32]);
    let value = Cell::from("t".repeat(size).as_str());
    let signature = key.sign(&value.encode());
    Message::Transact {
        id,
        transaction: cells::Signed::new(key.account_key(), signature, value),
    }
}

pub fn status() -> wire::Status {
    wire::Status {
        belief: Hash([1; 32]),
        genesis: Hash(NETWORK),
        peer: crypto::AccountKey::new(KEY),
        state: Hash([4; 32]),
        points: [9, 7, 5, 3],
    }
}
