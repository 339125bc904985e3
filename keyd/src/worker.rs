//! Start, sandbox, loop, end.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crypto::AccountKey;
use ipc::key::{FromKey, ToKey};
use ipc::logging::Quiet;
use ipc::supervision::{
    Alarm, AlarmKind, FromWorker, KeydSettings, Ready, RoleStatus, Settings, ToWorker, WorkerStatus,
};
use ipc::{Channel, Epoch, Received, Supervision, SupervisionError};
use keys::file::{self, Owner};
use keys::{IncomingPassphrase, Passphrase, PassphraseError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signing::{Kind, Refusal, Suspicion};

use crate::Failure;
use crate::audit::Audit;
use crate::journal::Journal;
use crate::key_link::{Broken, Chunk, KeyLink};
use crate::signatory::{Clock, Signatory, StepWatch};
use crate::unlock::{LockedStore, UnlockError, check_passphrase_file};

type Supervisor = Supervision<FromWorker, ToWorker>;

/// Requests that are answered before the supervisor is listened to again.
const TURN: usize = 16;
/// How often the ceiling is looked at while orders and blocks are signed.
const EXTENSION: Duration = Duration::from_millis(100);
/// Least milliseconds between two alarms of one kind.
const QUIET: u64 = 1_000;

/// Runs the process to its end.
#[must_use]
pub fn run() -> ExitCode {
    ipc::logging::init();
    let supervisor = match Supervisor::inherited() {
        Ok(supervisor) => supervisor,
        Err(e) => {
            let failure = Failure::NoSupervisor(e);
            eprintln!("{failure}");
            return ExitCode::from(failure.exit_code());
        }
    };
    match work(&supervisor) {
        // Without a supervisor there is nobody to sign for.
        Ok(()) | Err(Failure::Supervisor(SupervisionError::Closed)) => ExitCode::SUCCESS,
        Err(failure) => {
            log::error!("{failure}");
            // If the supervisor is gone, nobody is left to tell.
            let _ = supervisor.send(&FromWorker::Fatal(failure.to_string()), &[]);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Until the supervisor says stop, or is gone.
fn work(supervisor: &Supervisor) -> Result<(), Failure> {
    let (settings, fds) = match supervisor.receive()? {
        Received::Message(ToWorker::Start(settings), fds) => match *settings {
            Settings::Keyd(settings) => (settings, fds),
            _ => return Err(Failure::NotForKeyd),
        },
        Received::Message(..) => return Err(Failure::NotForKeyd),
        Received::Nothing | Received::Ended => return Ok(()),
    };
    let mut files = fds.into_iter().map(File::from);
    let (Some(journal), Some(audit), Some(store)) = (files.next(), files.next(), files.next())
    else {
        return Err(Failure::NotForKeyd);
    };
    let secret = files.next();
    let requirements: sandbox::Requirements = settings.demands.parse()?;

    // Who may use the files is asked outside of the sandbox, which does not let a process ask who it is; nothing is read yet.
    let name = Path::new(&settings.key_store);
    let good = Owner::OwnOr(settings.supervisor);
    file::check(&store, name, good).map_err(UnlockError::File)?;
    let is_file = |file: &File| file.metadata().is_ok_and(|m| m.is_file());
    if let Some(secret) = secret.as_ref().filter(|secret| is_file(secret)) {
        check_passphrase_file(secret, good).map_err(UnlockError::File)?;
    }
    let own = rustix::process::geteuid().as_raw();
    Journal::lock(&journal, &[own, settings.supervisor])?;
    Journal::reserve(&journal)?;

    let report = sandbox::enter(&sandbox::policy::keyd(), &requirements)?;
    supervisor.send(&FromWorker::Sandboxed(report), &[])?;

    let key = AccountKey::new(settings.key);
    let store = LockedStore::read(&store, name)?;
    store.require(&key)?;
    let clock = Clock::default();
    let journal = Journal::open(journal)?;
    let now = clock.now();
    let signatory = Signatory::new(key, settings.network, journal, now);
    let audit = Audit::new(audit, settings.audit).map_err(Failure::Audit)?;
    let mut worker = Worker {
        supervisor,
        must_be_locked: requirements == sandbox::Requirements::strict(),
        memory_is_locked: false,
        key,
        settings,
        store,
        clock,
        steps: StepWatch::new(now),
        signatory,
        audit,
        link: None,
        chunk: Chunk::default(),
        has_more: false,
        unlocking: None,
        alarms: [Quiet::new(QUIET), Quiet::new(QUIET)],
    };
    let end = worker.start(secret).and_then(|()| worker.serve());
    worker.sign_off(&end);
    end
}

struct Worker<'a> {
    supervisor: &'a Supervisor,
    /// Whether a key in memory that can be swapped out is an error.
    must_be_locked: bool,
    memory_is_locked: bool,
    key: AccountKey,
    settings: KeydSettings,
    store: LockedStore,
    clock: Clock,
    steps: StepWatch,
    signatory: Signatory,
    audit: Audit,
    link: Option<KeyLink>,
    chunk: Chunk,
    /// Whether the last turn ended with requests left in the buffer.
    has_more: bool,
    /// A pipe with a passphrase, and what it has brought.
    unlocking: Option<(File, IncomingPassphrase)>,
    /// Of alarms about requests and about the channel.
    alarms: [Quiet; 2],
}

impl Worker<'_> {
    /// Unlocks, if there is a passphrase, and says that it is ready.
    fn start(&mut self, secret: Option<File>) -> Result<(), Failure> {
        let text = format!("started key={}", self.key);
        self.audit.event(self.clock.now(), &text);
        match secret {
            None => {}
            Some(secret) if secret.metadata().is_ok_and(|m| m.is_file()) => {
                let mut secret = secret;
                // A supervisor that passes it a second time has not read it, but the keyd before this one has.
                io::Seek::rewind(&mut secret)
                    .map_err(PassphraseError::Read)
                    .map_err(UnlockError::Passphrase)?;
                let passphrase = Passphrase::read_from(&mut secret);
                self.unlock(&passphrase.map_err(UnlockError::Passphrase)?)?;
            }
            Some(pipe) => self.begin_unlocking(pipe)?,
        }
        self.say_ready()?;
        if self.signatory.is_locked() && self.unlocking.is_none() {
            self.alarm(
                AlarmKind::Locked,
                "keyd has no passphrase, so nothing is signed: run convexctl key unlock",
            )?;
        }
        Ok(())
    }

    /// The last lines of the audit log.
    fn sign_off(&mut self, end: &Result<(), Failure>) {
        let now = self.clock.now();
        self.audit.count(now, self.signatory.counts());
        match end {
            Ok(()) => self.audit.event(now, "ended"),
            Err(failure) => self.audit.event(now, &format!("ended: {failure}")),
        }
    }

    fn serve(&mut self) -> Result<(), Failure> {
        loop {
            let ready = self.wait()?;
            // The supervisor first: an order to lock must not wait for requests.
            if ready.supervisor && !self.obey()? {
                return Ok(());
            }
            if ready.passphrase {
                self.go_on_unlocking()?;
            }
            if ready.requests || ready.room || self.has_more {
                self.talk(ready.requests)?;
            }
            let now = self.clock.now();
            self.signatory.extend(now)?;
            self.audit.count_if_due(now, self.signatory.counts());
            if let Some(step) = self.steps.stepped(now) {
                let text = format!(
                    "the clock of this machine stepped by {step} ms: check its time service. After a step back nothing is signed until the clock has caught up"
                );
                self.alarm(AlarmKind::Clock, &text)?;
            }
        }
    }

    fn wait(&self) -> Result<Waited, Failure> {
        let mut fds = vec![PollFd::new(self.supervisor, PollFlags::IN)];
        let link = self.link.as_ref().map(|link| {
            let mut events = PollFlags::empty();
            events.set(PollFlags::IN, link.takes_requests() && !self.has_more);
            events.set(PollFlags::OUT, link.is_sending());
            fds.push(PollFd::new(link, events));
            fds.len() - 1
        });
        let pipe = self.unlocking.as_ref().map(|(pipe, _)| {
            fds.push(PollFd::new(pipe, PollFlags::IN));
            fds.len() - 1
        });
        let can_go_on = self.has_more && self.link.as_ref().is_some_and(KeyLink::takes_requests);
        let timeout = if can_go_on {
            Some(Duration::ZERO)
        } else {
            let busy = self.signatory.is_busy(self.clock.now());
            busy.then_some(EXTENSION)
        };
        let timeout = timeout.and_then(|t| Timespec::try_from(t).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Failure::Wait(e.into())),
        }
        let has = |i: usize, what| fds[i].revents().intersects(what);
        let gone = PollFlags::HUP | PollFlags::ERR;
        Ok(Waited {
            supervisor: has(0, PollFlags::IN | gone),
            requests: link.is_some_and(|i| has(i, PollFlags::IN | gone)),
            room: link.is_some_and(|i| has(i, PollFlags::OUT)),
            passphrase: pipe.is_some_and(|i| has(i, PollFlags::IN | gone)),
        })
    }

    /// Does what the supervisor says; false when that is to end.
    fn obey(&mut self) -> Result<bool, Failure> {
        let (message, mut fds) = match self.supervisor.receive()? {
            Received::Message(message, fds) => (message, fds.into_iter().next()),
            Received::Nothing => return Ok(true),
            Received::Ended => return Ok(false),
        };
        match message {
            ToWorker::Ping(number) => self.supervisor.send(&FromWorker::Pong(number), &[])?,
            ToWorker::Status(number) => {
                let status = Box::new(self.status());
                self.supervisor
                    .send(&FromWorker::Status(number, status), &[])?;
            }
            ToWorker::Channel {
                channel: Channel::Key,
                epoch,
            } => self.connect(fds.take(), epoch)?,
            ToWorker::Lock => {
                log::warn!("EVENT=key_locked by order; nothing is signed until a restart");
                self.unlocking = None;
                self.signatory.lock();
                let now = self.clock.now();
                self.audit.count(now, self.signatory.counts());
                self.audit.event(now, "locked by order");
            }
            ToWorker::Unlock => {
                if let Some(pipe) = fds.take() {
                    self.begin_unlocking(File::from(pipe))?;
                }
            }
            ToWorker::Reload(settings) => {
                if *settings != Settings::Keyd(self.settings.clone()) {
                    log::warn!("settings of keyd change with its next start only");
                }
            }
            ToWorker::Stop { .. } => {
                // Requests that were answered are on their way; more are not taken.
                if let Some(link) = &mut self.link {
                    let _ = link.flush();
                }
                return Ok(false);
            }
            ToWorker::Start(_) | ToWorker::Store | ToWorker::Verify | ToWorker::Channel { .. } => {
                return Err(Failure::NotForKeyd);
            }
        }
        Ok(true)
    }

    fn status(&self) -> WorkerStatus {
        let counts = self.signatory.counts();
        let signed = Kind::ALL
            .iter()
            .map(|&kind| (format!("signed_{}", kind.name()), counts.signed(kind)));
        let refused = Refusal::ALL
            .iter()
            .map(|&reason| (format!("refused_{}", reason.name()), counts.refused(reason)))
            .filter(|(_, count)| *count > 0);
        let memory = (
            "key_memory_locked".to_owned(),
            u64::from(self.memory_is_locked),
        );
        let audit = ("audit_lines_lost".to_owned(), self.audit.lost());
        WorkerStatus {
            of_role: RoleStatus::Keyd {
                locked: self.signatory.is_locked(),
                ceiling: self.signatory.ceiling(),
            },
            counters: signed.chain(refused).chain([memory, audit]).collect(),
        }
    }

    /// A new channel to `consensusd`; what belongs to the old one is void.
    fn connect(&mut self, stream: Option<OwnedFd>, epoch: Epoch) -> Result<(), Failure> {
        self.has_more = false;
        self.link = None;
        if let Some(stream) = stream {
            match KeyLink::new(UnixStream::from(stream), epoch) {
                Ok(link) => self.link = Some(link),
                Err(broken) => self.disconnect(&broken)?,
            }
        }
        self.talk(false)
    }

    fn disconnect(&mut self, broken: &Broken) -> Result<(), Failure> {
        self.link = None;
        self.has_more = false;
        if broken.is_ordinary() {
            log::info!("{broken}");
            return Ok(());
        }
        self.alarm(AlarmKind::Channel, &broken.to_string())
    }

    /// Answers some requests, and sends what can be sent.
    fn talk(&mut self, readable: bool) -> Result<(), Failure> {
        let Some(mut link) = self.link.take() else {
            return Ok(());
        };
        match self.turn(&mut link, readable)? {
            Ok(()) => {
                self.link = Some(link);
                Ok(())
            }
            Err(broken) => {
                // What was signed before the mistake may still arrive.
                let _ = link.flush();
                self.disconnect(&broken)
            }
        }
    }

    fn turn(&mut self, link: &mut KeyLink, readable: bool) -> Result<Result<(), Broken>, Failure> {
        self.has_more = false;
        if readable && let Err(broken) = link.fill(&mut self.chunk) {
            return Ok(Err(broken));
        }
        for _ in 0..TURN {
            match link.next() {
                Ok(Some(request)) => {
                    let answer = self.answer(&request)?;
                    if let Err(broken) = link.answer(&answer) {
                        return Ok(Err(broken));
                    }
                }
                Ok(None) => {
                    self.has_more = !link.takes_requests();
                    return Ok(link.flush());
                }
                Err(broken) => return Ok(Err(broken)),
            }
        }
        self.has_more = true;
        Ok(link.flush())
    }

    fn answer(&mut self, request: &ToKey) -> Result<FromKey, Failure> {
        let now = self.clock.now();
        let (answer, refusal) = self.signatory.answer(&request.request, now)?;
        if let Some(refusal) = refusal {
            self.audit.refused(now, refusal);
            self.note(refusal)?;
        }
        Ok(FromKey {
            ticket: request.ticket,
            answer,
        })
    }

    fn note(&mut self, refusal: Refusal) -> Result<(), Failure> {
        match refusal.suspicion() {
            Suspicion::Alarming => {
                let text =
                    format!("consensusd asked for a signature that is never given: {refusal}");
                self.alarm(AlarmKind::Signing, &text)
            }
            Suspicion::Ordinary => {
                log::debug!("EVENT=key_denied reason={}", refusal.name());
                Ok(())
            }
        }
    }

    /// Tells the supervisor, but not more often than once a second of each kind.
    fn alarm(&mut self, kind: AlarmKind, text: &str) -> Result<(), Failure> {
        let quiet = match kind {
            AlarmKind::Signing => Some(0),
            AlarmKind::Channel => Some(1),
            _ => None,
        };
        let held = match quiet {
            Some(i) => self.alarms[i].pass(self.clock.now().steady),
            None => Some(0),
        };
        let Some(held) = held else {
            return Ok(());
        };
        let mut text = text.to_owned();
        if held > 0 {
            text.push_str(&format!(" (and {held} more before this one)"));
        }
        log::warn!("EVENT=key_denied {text}");
        let line = format!("alarm kind={kind:?}: {text}");
        self.audit.event(self.clock.now(), &line);
        let alarm = Alarm { kind, text };
        Ok(self.supervisor.send(&FromWorker::Alarm(alarm), &[])?)
    }

    fn begin_unlocking(&mut self, pipe: File) -> Result<(), Failure> {
        if self.signatory.is_locked_for_good() {
            let text = "signing is locked by order: only a restart of keyd undoes that";
            return self.alarm(AlarmKind::Locked, text);
        }
        if !self.signatory.is_locked() {
            return self.say_ready();
        }
        // Whoever types the passphrase may take long.
        rustix::io::ioctl_fionbio(&pipe, true).map_err(|e| Failure::Wait(e.into()))?;
        let incoming = IncomingPassphrase::new().map_err(UnlockError::Passphrase)?;
        self.unlocking = Some((pipe, incoming));
        Ok(())
    }

    fn go_on_unlocking(&mut self) -> Result<(), Failure> {
        let Some((mut pipe, mut incoming)) = self.unlocking.take() else {
            return Ok(());
        };
        let read = match incoming.read_some(&mut pipe) {
            Ok(true) => incoming.finish(),
            Ok(false) => {
                self.unlocking = Some((pipe, incoming));
                return Ok(());
            }
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                self.unlocking = Some((pipe, incoming));
                return Ok(());
            }
            Err(e) => Err(e.into()),
        };
        let unlocked = read
            .map_err(|e| Failure::Unlock(e.into()))
            .and_then(|passphrase| self.unlock(&passphrase));
        match unlocked {
            Ok(()) => self.say_ready(),
            // A slip of the operator is no reason to end.
            Err(Failure::Unlock(error)) => self.alarm(AlarmKind::Locked, &error.to_string()),
            Err(failure) => Err(failure),
        }
    }

    fn unlock(&mut self, passphrase: &Passphrase) -> Result<(), Failure> {
        let key = self.store.unlock(&self.key, passphrase)?;
        let protection = key.protection();
        if let Err(missing) = protection.demand() {
            if self.must_be_locked {
                return Err(missing.into());
            }
            log::warn!("{missing}");
        }
        self.memory_is_locked = protection.locked;
        self.signatory.unlock(key);
        self.audit.event(self.clock.now(), "unlocked");
        log::info!("EVENT=key_unlocked key={}", self.key);
        Ok(())
    }

    fn say_ready(&self) -> Result<(), Failure> {
        let locked = self.signatory.is_locked();
        let ready = FromWorker::Ready(Ready::Keyd { locked });
        Ok(self.supervisor.send(&ready, &[])?)
    }
}

/// What can be done now.
struct Waited {
    supervisor: bool,
    requests: bool,
    room: bool,
    passphrase: bool,
}
