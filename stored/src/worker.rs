//! Start, sandbox, orders of the supervisor, end.
//!
//! This thread does nothing but listen to the supervisor, so that it is answered at once however slow the disk is.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use etch::{Options, Recovery, Writer, log_path};
use ipc::supervision::{FromWorker, Ready, Settings, StoredSettings, ToWorker};
use ipc::{Channel, Received, Supervision};

use crate::Failure;
use crate::checking::Checking;
use crate::files::{Files, Readers, free_space};
use crate::gauges::Gauges;
use crate::keeper::Keeper;
use crate::reading::Reading;
use crate::writing::{Event, Writing};

pub(crate) type Supervisor = Supervision<FromWorker, ToWorker>;

/// Messages of `consensusd` that wait for the writing thread, each of up to 2 MiB.
const QUEUE: usize = 4;
/// How long an end may take when the supervisor does not say.
const LEAVE: Duration = Duration::from_secs(10);

/// Runs the process to its end.
#[must_use]
pub fn run() -> ExitCode {
    ipc::logging::init();
    let supervisor = match Supervisor::inherited() {
        Ok(supervisor) => Arc::new(supervisor),
        Err(error) => {
            let failure = Failure::NoSupervisor(error);
            eprintln!("{failure}");
            return ExitCode::from(failure.exit_code());
        }
    };
    match work(&supervisor) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(report(&supervisor, &failure)),
    }
}

/// Says why the process ends, and with which code.
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
            Settings::Stored(settings) => (settings, fds),
            _ => return Err(Failure::NotForStored),
        },
        Received::Message(..) => return Err(Failure::NotForStored),
        Received::Nothing | Received::Ended => return Ok(()),
    };
    let Some(directory) = fds.into_iter().next() else {
        return Err(Failure::NotForStored);
    };
    let requirements: sandbox::Requirements = settings.demands.parse()?;
    let path = Path::new(&settings.directory);
    let files = Files::open(directory.as_fd(), path, &settings.file)?;

    // What is in the files comes from strangers, so they are read only from here on.
    let policy = sandbox::policy::stored(directory.as_fd());
    let report = sandbox::enter(&policy, &requirements)?;
    supervisor.send(&FromWorker::Sandboxed(report), &[])?;

    let worker = Worker::start(supervisor, settings, files)?;
    worker.serve()
}

struct Worker {
    supervisor: Arc<Supervisor>,
    settings: StoredSettings,
    name: std::path::PathBuf,
    readers: Readers,
    gauges: Arc<Gauges>,
    events: SyncSender<Event>,
    /// Comes when the store is closed.
    closed: std::sync::mpsc::Receiver<()>,
    reading: Option<Reading>,
    checking: Option<Checking>,
}

impl Worker {
    /// Recovers the store, hands it to its readers, and begins to take batches.
    fn start(
        supervisor: &Arc<Supervisor>,
        settings: StoredSettings,
        files: Files,
    ) -> Result<Self, Failure> {
        let Files {
            name,
            store,
            log,
            control,
            readers,
        } = files;
        let options = Options {
            checkpoint_bytes: settings.checkpoint,
            control: Some(control),
            ..Options::default()
        };
        let writer = Writer::open_files(store, &name, log, &log_path(&name), options)?;
        let recovery = describe(writer.recovery());
        if !recovery.is_empty() {
            log::info!("{}: {recovery}", name.display());
        }

        let gauges = Arc::new(Gauges::default());
        gauges.lock().free = free_space(&readers.store).unwrap_or_default();
        let place = readers.store.try_clone().map_err(Failure::Thread)?;
        let keeper = Keeper::new(writer, settings.reserve);
        let (events, queue) = sync_channel(QUEUE);
        let to_itself = events.clone();
        let writing = Writing::new(keeper, place, to_itself, supervisor.clone(), gauges.clone());
        let (done, closed) = channel();
        let for_failure = supervisor.clone();
        thread::Builder::new()
            .name("writing".to_owned())
            .spawn(move || match writing.run(&queue) {
                Ok(()) => {
                    // Nobody waits for it when the process ends anyway.
                    let _ = done.send(());
                }
                // The other threads wait for messages and could not be told.
                Err(failure) => std::process::exit(i32::from(report(&for_failure, &failure))),
            })
            .map_err(Failure::Thread)?;

        let fds = [readers.store.as_fd(), readers.control.as_fd()];
        supervisor.send(&FromWorker::Store, &fds)?;
        supervisor.send(&FromWorker::Ready(Ready::Stored { recovery }), &[])?;
        Ok(Self {
            supervisor: supervisor.clone(),
            settings,
            name,
            readers,
            gauges,
            events,
            closed,
            reading: None,
            checking: None,
        })
    }

    fn serve(mut self) -> Result<(), Failure> {
        loop {
            let (message, fds) = match self.supervisor.receive()? {
                Received::Message(message, fds) => (message, fds),
                Received::Nothing => continue,
                // What was acknowledged is in the log.
                Received::Ended => return Ok(()),
            };
            match message {
                ToWorker::Ping(number) => self.supervisor.send(&FromWorker::Pong(number), &[])?,
                ToWorker::Status(number) => {
                    if let Ok(free) = free_space(&self.readers.store) {
                        self.gauges.lock().free = free;
                    }
                    let status = Box::new(self.gauges.status());
                    let answer = FromWorker::Status(number, status);
                    self.supervisor.send(&answer, &[])?;
                }
                ToWorker::Channel {
                    channel: Channel::Store,
                    epoch,
                } => {
                    // The old one ends first: its messages are void from here on.
                    self.reading = None;
                    for fd in fds {
                        self.reading = Some(Reading::start(fd, epoch, self.events.clone())?);
                    }
                }
                ToWorker::Verify => self.verify()?,
                ToWorker::Reload(settings) => {
                    if *settings != Settings::Stored(self.settings.clone()) {
                        log::warn!("settings of stored change with its next start only");
                    }
                }
                ToWorker::Stop { within } => {
                    return self.stop(Duration::from_millis(u64::from(within)));
                }
                ToWorker::Lock => return self.stop(LEAVE),
                ToWorker::Start(_)
                | ToWorker::Store
                | ToWorker::Unlock
                | ToWorker::Channel { .. } => return Err(Failure::NotForStored),
            }
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        if self.checking.as_ref().is_some_and(Checking::is_running) {
            log::info!("the store is being checked already");
            return Ok(());
        }
        let checking = Checking::start(&self.readers, &self.name, self.supervisor.clone())?;
        self.checking = Some(checking);
        Ok(())
    }

    /// Takes what has arrived, closes the store, and ends.
    fn stop(mut self, within: Duration) -> Result<(), Failure> {
        self.checking = None;
        if let Some(reading) = &self.reading {
            reading.stop();
        }
        // A full queue is being worked off; the supervisor ends a process that takes too long.
        if self.events.send(Event::Stop).is_ok() {
            match self.closed.recv_timeout(within) {
                Ok(()) => log::info!("{}: closed", self.name.display()),
                Err(RecvTimeoutError::Timeout) => log::warn!(
                    "{}: not closed in time; the next start will replay its log",
                    self.name.display()
                ),
                Err(RecvTimeoutError::Disconnected) => {}
            }
        }
        Ok(())
    }
}

/// What recovery did, in words; empty when there was nothing to do.
fn describe(recovery: &Recovery) -> String {
    let mut said = Vec::new();
    if recovery.created {
        said.push("a new store".to_owned());
    }
    if recovery.replayed > 0 {
        said.push(format!(
            "{} commits replayed from its log",
            recovery.replayed
        ));
    }
    if recovery.checked && !recovery.created {
        said.push("written by another program; its index was checked".to_owned());
    }
    if let Some(length) = recovery.stale_length {
        said.push(format!(
            "its header said {length} bytes, and more were there and kept"
        ));
    }
    said.join("; ")
}
