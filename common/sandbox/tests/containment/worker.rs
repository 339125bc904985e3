//! The worker's side: it does one act, in its sandbox or, for comparison, without, and tells by its exit code how that went.

use std::env;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process;

use sandbox::policy::{self, Policy};
use sandbox::{Child, Ended, Requirements, Role, Spawn};

use crate::{Bench, forbidden, needed, processes};

/// Names the act, and so that this is a worker.
pub(crate) const ACT: &str = "SANDBOX_TEST_ACT";
pub(crate) const ROLE: &str = "SANDBOX_TEST_ROLE";
const FREE: &str = "SANDBOX_TEST_FREE";

/// Numbers of the descriptors that every worker gets.
pub(crate) const CHANNEL: RawFd = 3;
pub(crate) const JOURNAL: RawFd = 4;
pub(crate) const STORE: RawFd = 5;
pub(crate) const MAP: RawFd = 6;
pub(crate) const LISTENER: RawFd = 7;
pub(crate) const OUTSIDE: RawFd = 8;
pub(crate) const CONNECTION: RawFd = 9;
pub(crate) const LOG: RawFd = 10;

/// The act did what it should.
pub(crate) const DONE: i32 = 0;
/// The system refused the act with an error number.
const REFUSED: i32 = 10;
/// The sandbox itself could not be entered.
const NOT_ENTERED: i32 = 11;

/// What an act is: the system's answer.
pub(crate) type Act = fn() -> io::Result<()>;

pub(crate) fn inherited(number: RawFd) -> OwnedFd {
    // SAFETY: the parent gave this descriptor, and the process, which does one thing, takes it once.
    unsafe { OwnedFd::from_raw_fd(number) }
}

pub(crate) fn borrowed<'fd>(number: RawFd) -> BorrowedFd<'fd> {
    // SAFETY: the parent gave this descriptor; nobody closes it.
    unsafe { BorrowedFd::borrow_raw(number) }
}

pub(crate) fn policy(role: Role) -> Policy<'static> {
    match role {
        Role::Stored => policy::stored(borrowed(STORE)),
        Role::Consensusd => policy::consensusd(),
        Role::Keyd => policy::keyd(),
        Role::Netd => policy::netd(),
        Role::Api => policy::api(),
        Role::Rescue => policy::rescue(),
    }
}

pub(crate) fn main() -> ! {
    let act = env::var(ACT).expect("an act");
    let role = env::var(ROLE).expect("a role");
    let role = Role::ALL
        .into_iter()
        .find(|known| known.name() == role)
        .expect("a known role");
    if let Some(own) = processes::act(&act) {
        // These enter by themselves, or not at all.
        own(role);
    }
    let act = forbidden::act(&act)
        .or_else(|| needed::act(&act))
        .expect("a known act");
    if env::var_os(FREE).is_none() {
        enter(role);
    }
    finish(act())
}

/// Enters the sandbox and tells the parent.
pub(crate) fn enter(role: Role) {
    match sandbox::enter(&policy(role), &Requirements::default()) {
        Ok(report) => tell(&report.to_string()),
        Err(error) => {
            eprintln!("{error}");
            process::exit(NOT_ENTERED);
        }
    }
}

/// Sends a text, with a zero byte at its end.
pub(crate) fn tell(text: &str) {
    let mut channel = io::BufWriter::new(UnixStream::from(
        borrowed(CHANNEL)
            .try_clone_to_owned()
            .expect("a second handle"),
    ));
    channel
        .write_all(text.as_bytes())
        .and_then(|()| channel.write_all(&[0]))
        .and_then(|()| channel.flush())
        .expect("told");
}

/// Waits until the parent says something.
pub(crate) fn listen() {
    let mut channel = UnixStream::from(
        borrowed(CHANNEL)
            .try_clone_to_owned()
            .expect("a second handle"),
    );
    channel
        .read_exact(&mut [0])
        .expect("a word from the parent");
}

pub(crate) fn finish(result: io::Result<()>) -> ! {
    match result {
        Ok(()) => process::exit(DONE),
        Err(error) => {
            eprintln!("    refused: {error}");
            process::exit(REFUSED)
        }
    }
}

/// One system call.
pub(crate) fn call<const N: usize>(number: i64, arguments: [i64; N]) -> io::Result<i64> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: the acts pass numbers, null pointers, and pointers to what lives as long as the call.
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

/// A worker that is running, and our end of its channel.
pub(crate) struct Worker {
    pub(crate) child: Child,
    pub(crate) channel: UnixStream,
    /// What its listener is bound to.
    pub(crate) listener: std::net::TcpListener,
}

/// Starts a worker that does an act.
pub(crate) fn start(bench: &Bench, role: Role, act: &str, sandboxed: bool) -> Worker {
    let (ours, theirs) = UnixStream::pair().expect("a channel");
    let path = |name: &str| bench.directory.path().join(name);
    let journal = tempfile::tempfile().expect("a journal");
    let log = tempfile::NamedTempFile::new().expect("a log");
    let log = std::fs::OpenOptions::new()
        .append(true)
        .open(log.path())
        .expect("a log that only grows");
    let store = std::fs::File::open(path("store")).expect("the store directory");
    let outside = std::fs::File::open(path("outside")).expect("the other directory");
    let map = std::fs::File::open(path("store/file")).expect("a file to map");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let connection = std::net::TcpStream::connect(elsewhere.local_addr().expect("address"))
        .expect("a connection");
    let (mut accepted, _) = elsewhere.accept().expect("a connection");
    accepted.write_all(b"!").expect("a byte");
    let mut spawn = Spawn::new(&bench.program, role)
        .env(ACT, act)
        .env(ROLE, role.name())
        .env(
            "PORT",
            listener.local_addr().expect("address").port().to_string(),
        )
        // As an operator might have it: see the test of panics.
        .env("RUST_BACKTRACE", "1")
        .descriptor(CHANNEL, theirs.as_fd())
        .descriptor(JOURNAL, journal.as_fd())
        .descriptor(STORE, store.as_fd())
        .descriptor(MAP, map.as_fd())
        .descriptor(LISTENER, listener.as_fd())
        .descriptor(OUTSIDE, outside.as_fd())
        .descriptor(CONNECTION, connection.as_fd())
        .descriptor(LOG, log.as_fd());
    if !sandboxed {
        spawn = spawn.env(FREE, "1");
    }
    if let Some(identity) = bench.identity {
        spawn = spawn.identity(identity);
    }
    let child = spawn.start().expect("the worker starts");
    Worker {
        child,
        channel: ours,
        listener,
    }
}

impl Worker {
    /// The text that the worker tells next; empty if it ended instead.
    pub(crate) fn hear(&mut self) -> String {
        hear(&mut self.channel)
    }

    pub(crate) fn say(&mut self) {
        self.channel.write_all(b"!").expect("a word to the worker");
    }

    pub(crate) fn wait(&self) -> Ended {
        self.child.wait().expect("the end of the worker")
    }
}

/// The text that comes next on a channel, up to a zero byte or the end.
pub(crate) fn hear(channel: &mut UnixStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while matches!(channel.read(&mut byte), Ok(1)) && byte != [0] {
        text.push(byte[0]);
    }
    String::from_utf8(text).expect("text")
}

/// Does an act in the role's sandbox, which has to be entered, and gives its end.
pub(crate) fn in_sandbox(bench: &Bench, role: Role, act: &str) -> Ended {
    let mut worker = start(bench, role, act, true);
    let report = worker.hear();
    assert!(
        report.contains("seccomp            enforced"),
        "not in its sandbox: {report:?}, {}",
        worker.wait()
    );
    worker.wait()
}

/// Does an act in a worker that was started in the same way but did not enter.
pub(crate) fn outside(bench: &Bench, role: Role, act: &str) -> Ended {
    start(bench, role, act, false).wait()
}

pub(crate) const fn refused(ended: Ended) -> bool {
    matches!(ended, Ended::Exited(REFUSED))
}

/// The raw number of a borrowed descriptor as an argument.
pub(crate) fn number(descriptor: &impl AsFd) -> i64 {
    descriptor.as_fd().as_raw_fd().into()
}
