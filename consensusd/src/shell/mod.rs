//! The process: start, sandbox, threads.
//!
//! | thread | what it does |
//! |---|---|
//! | `consensusd` | listens to the supervisor, answers its pings at once |
//! | `peer` | the state machine of [`crate::peer`], and nothing that waits |
//! | one reading and one writing for each channel | frames; the writing one of `netd` encodes results |
//! | `check-N` | checks of transactions |
//! | `query` | queries |
//! | `gossip` | decoding of beliefs, challenges and answers of other peers |
//!
//! Queues towards the peer and its helpers are bounded, and their senders wait: a flood ends in the socket, before `netd`. Towards the
//! other processes nobody waits; a process that does not read loses its channel ([`links`]).

mod failure;
mod links;
mod peer_loop;
mod pool;
mod reporting;
mod room;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cells::{Cell, Decoder, MAX_MESSAGE};
use ipc::supervision::{ConsensusdSettings, FromWorker, Settings, ToWorker};
use ipc::{Received, Supervision};
use signing::Now;

pub use failure::Failure;
use peer_loop::Input;

/// Stack of threads that decode and execute.
const STACK: usize = 16 << 20;
/// Inputs that wait for the peer.
const INPUTS: usize = 1_024;

type Supervisor = Supervision<FromWorker, ToWorker>;

/// Runs the process to its end.
#[must_use]
pub fn run() -> ExitCode {
    ipc::logging::init();
    let warmed = warm_up();
    let supervisor = match Supervisor::inherited() {
        Ok(supervisor) => Arc::new(supervisor),
        Err(e) => {
            let failure = Failure::NoSupervisor(e);
            eprintln!("{failure}");
            return ExitCode::from(failure.exit_code());
        }
    };
    match warmed.and_then(|()| work(&supervisor)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(report(&supervisor, &failure)),
    }
}

/// Runs as many threads at once as the process will have later on. The C library asks for the number of processors when a ninth
/// thread of a process allocates; it reads a file for that, which the sandbox forbids, and keeps the answer.
fn warm_up() -> Result<(), Failure> {
    const THREADS: usize = 24;
    let all = Arc::new(Barrier::new(THREADS));
    let start = |_| {
        let all = all.clone();
        thread::Builder::new().spawn(move || {
            all.wait();
        })
    };
    let started: Result<Vec<_>, _> = (0..THREADS).map(start).collect();
    for thread in started.map_err(Failure::Thread)? {
        // It does nothing that could fail.
        let _ = thread.join();
    }
    Ok(())
}

/// Tells the supervisor why this ends.
fn report(supervisor: &Supervisor, failure: &Failure) -> u8 {
    log::error!("{failure}");
    // If the supervisor is gone, nobody is left to tell.
    let _ = supervisor.send(&FromWorker::Fatal(failure.to_string()), &[]);
    failure.exit_code()
}

/// Until the supervisor says stop, or is gone.
fn work(supervisor: &Arc<Supervisor>) -> Result<(), Failure> {
    let (settings, fds) = match supervisor.receive()? {
        Received::Message(ToWorker::Start(settings), fds) => match *settings {
            Settings::Consensusd(settings) => (settings, fds),
            _ => return Err(Failure::NotForConsensusd),
        },
        Received::Message(..) => return Err(Failure::NotForConsensusd),
        Received::Nothing | Received::Ended => return Ok(()),
    };
    let demands: sandbox::Requirements = settings.demands.parse()?;
    let report = sandbox::enter(&sandbox::policy::consensusd(), &demands)?;
    supervisor.send(&FromWorker::Sandboxed(report), &[])?;

    let (inputs, queue) = sync_channel(INPUTS);
    let genesis = fds.into_iter().next().map(File::from);
    start_peer(supervisor, settings, genesis, inputs.clone(), queue)?;
    loop {
        match supervisor.receive()? {
            Received::Message(ToWorker::Ping(number), _) => {
                supervisor.send(&FromWorker::Pong(number), &[])?;
            }
            Received::Message(ToWorker::Lock, _) => {
                log::warn!("ends by order of the supervisor");
                return Ok(());
            }
            Received::Message(ToWorker::Start(_) | ToWorker::Unlock | ToWorker::Verify, _) => {
                return Err(Failure::NotForConsensusd);
            }
            Received::Message(message, fds) => {
                let input = Input::Supervisor(message, fds);
                if inputs.send(input).is_err() {
                    return Ok(());
                }
            }
            Received::Nothing => {}
            Received::Ended => return Ok(()),
        }
    }
}

/// The thread of the peer. Its end is the end of the process.
fn start_peer(
    supervisor: &Arc<Supervisor>,
    settings: ConsensusdSettings,
    genesis: Option<File>,
    inputs: SyncSender<Input>,
    queue: Receiver<Input>,
) -> Result<(), Failure> {
    let supervisor = supervisor.clone();
    thread::Builder::new()
        .name("peer".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            let ended = peer_loop::run(&supervisor, settings, genesis, inputs, &queue);
            let code = match ended {
                Ok(()) => 0,
                Err(failure) => report(&supervisor, &failure),
            };
            std::process::exit(i32::from(code));
        })
        .map(drop)
        .map_err(Failure::Thread)
}

/// The genesis state in a file, as one message of cells.
fn read_genesis(file: &mut File) -> Result<Cell, Failure> {
    let mut bytes = Vec::new();
    let read = file.take(MAX_MESSAGE as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::Genesis(error.to_string()))?;
    cells::decode_message(&bytes, &Decoder::new())
        .map_err(|error| Failure::Genesis(error.to_string()))
}

/// The clocks of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            wall: wall.map_or(0, |wall| {
                i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)
            }),
            steady: u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The first descriptors of a message.
fn files<const N: usize>(fds: Vec<OwnedFd>) -> Option<[OwnedFd; N]> {
    fds.try_into().ok()
}
