//! The peer as a whole: starts the workers, wires them, watches them, and does what the operator asks.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use config::Config;
use ipc::control::{PeerStatus, Phase, Reply, Request, Why, WorkerView};
use ipc::supervision::{Alarm, AlarmKind, FromWorker, Ready, RoleStatus, ToWorker};
use ipc::{Channel, Epoch, Received, Role};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sandbox::Ended;

use crate::armed::Store;
use crate::clock;
use crate::control::{Control, Id};
use crate::destake::{Destake, Standing};
use crate::exit::{self, Fatal};
use crate::network::Asking;
use crate::notify::Notify;
use crate::observing::for_observer;
use crate::rescue::Rescues;
use crate::restart::{History, Next};
use crate::running::Running;
use crate::setup::Setup;
use crate::signals::Signals;
use crate::topology::{Breach, WORKERS, Worker, channels_of, index_of};

/// Milliseconds within which workers answer when the operator asks for the status.
const STATUS_TIME: u64 = 400;
/// Alarms that are kept.
const KEPT_ALARMS: usize = 100;
/// Milliseconds between two alarms of one kind from one worker that are acted upon.
const ALARM_EVERY: u64 = 1_000;
/// Milliseconds after a panic when every worker is killed.
const PANIC_TIME: u64 = 500;
/// A step of the wall clock that is worth an alarm, milliseconds.
const CLOCK_STEP: i64 = 1_000;
/// Milliseconds between two makings of one channel whose ends both live.
const REWIRE_EVERY: u64 = 1_000;
/// Messages of one worker that are taken in one turn.
const MESSAGES_PER_TURN: usize = 64;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// In good order.
    Stopped,
    /// Because it had to.
    Failed(Fatal),
}

/// Reads the settings again.
pub type Reload = Box<dyn FnMut() -> Result<Config, String>>;

/// Why the peer stops.
struct Stopping {
    end: End,
    /// When whatever still runs is killed, if nobody is asked to finish anything.
    kill_at: Option<u64>,
}

/// One place of the topology.
struct Slot {
    worker: &'static Worker,
    running: Option<Running>,
    history: History,
    start_at: Option<u64>,
    restarts: u32,
    last_exit: Option<String>,
    /// The operator asked for the restart: it is no failure.
    asked: bool,
    last_alarm: HashMap<AlarmKind, u64>,
}

/// A channel, as it was last made.
#[derive(Default)]
struct Wire {
    epoch: u32,
    /// When.
    made: u64,
    /// When it is made again although both ends live: one of them dropped it.
    again_at: Option<u64>,
}

/// A request that waits for something.
enum Waiting {
    Status { id: Id, number: u64, until: u64 },
    Verify(Id),
    Destake(Id),
    Stop(Id),
}

/// The peer.
pub struct Peer {
    setup: Setup,
    slots: [Slot; WORKERS.len()],
    wires: HashMap<Channel, Wire>,
    /// File and control page of the store, from `stored`.
    store: Option<[OwnedFd; 2]>,
    control: Control,
    signals: Signals,
    notify: Notify,
    /// Peers are being asked for their network: no worker runs before it is known.
    asking: Option<Asking>,
    destake: Destake,
    rescues: Rescues,
    armed: Store,
    waiting: Vec<Waiting>,
    alarms: VecDeque<(i64, Alarm)>,
    locked: bool,
    announced: bool,
    stopping: Option<Stopping>,
    started: u64,
    numbers: u64,
    next_watchdog: u64,
    clock_offset: i64,
    reload: Reload,
}

impl Peer {
    /// A peer whose workers are about to be started.
    ///
    /// # Errors
    /// When the control socket can't be made, or signals can't be taken over.
    pub fn new(setup: Setup, notify: Notify, reload: Reload) -> Result<Self, Fatal> {
        let now = clock::steady();
        let supervisor = &setup.config.supervisor;
        let control = Control::open(&supervisor.run, supervisor.group.as_deref())?;
        let signals = Signals::new()
            .map_err(|error| Fatal::new(exit::OS, format!("can't take over signals: {error}")))?;
        let armed = Store::new(&setup.config.destake.directory);
        let asking = match setup.network {
            Some(_) => None,
            None => Some(Asking::new(&setup.config.network.peers)),
        };
        let start_at = asking.is_none().then_some(now);
        let mut peer = Self {
            asking,
            setup,
            slots: std::array::from_fn(|index| Slot {
                worker: &WORKERS[index],
                running: None,
                history: History::default(),
                start_at,
                restarts: 0,
                last_exit: None,
                asked: false,
                last_alarm: HashMap::new(),
            }),
            wires: HashMap::new(),
            store: None,
            control,
            signals,
            next_watchdog: now,
            notify,
            destake: Destake::default(),
            rescues: Rescues::default(),
            armed,
            waiting: Vec::new(),
            alarms: VecDeque::new(),
            locked: false,
            announced: false,
            stopping: None,
            started: now,
            numbers: 0,
            clock_offset: clock::wall() - now as i64,
            reload,
        };
        peer.load_armed(now);
        Ok(peer)
    }

    /// Takes up the withdrawal that was armed before, once the network is known that it has to be of.
    fn load_armed(&mut self, now: u64) {
        let Some(network) = self.setup.network else {
            return;
        };
        match self.armed.load() {
            Ok(Some(withdrawal)) => {
                if let Err(error) = self.destake.arm(withdrawal, &network, now) {
                    log::error!(target: "supervisor", "the armed withdrawal is void: {error}");
                }
            }
            Ok(None) => {}
            Err(error) => log::error!(target: "supervisor", "{error}"),
        }
    }

    /// Asks for the network, while it is not known. With the answer the peer begins.
    fn find_network(&mut self, now: u64) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        let found = asking.turn(&self.setup, now);
        let belongs = found.and_then(|told| match told {
            Some(told) => self.setup.belong_to(told).map(|()| true),
            None => Ok(false),
        });
        match belongs {
            Ok(false) => return,
            Ok(true) => {}
            Err(fatal) => return self.stop(End::Failed(fatal), now),
        }
        self.asking = None;
        log::warn!(
            target: "supervisor",
            "EVENT=network_trusted network={} by=\"{}\": nobody vouches for it, and it stays; compare it with what the operators of the network publish, and set peer.network",
            hex::encode(self.setup.network_or_none()),
            self.setup.network_by.as_deref().unwrap_or_default()
        );
        self.load_armed(now);
        for slot in &mut self.slots {
            slot.start_at = Some(now);
        }
    }

    /// Runs until the peer is stopped or has to stop.
    pub fn run(mut self) -> End {
        for address in &self.setup.listen {
            log::info!(target: "supervisor", "listening at {address}");
        }
        loop {
            let now = clock::steady();
            self.find_network(now);
            self.start_due(now);
            self.rewire(now);
            self.beat(now);
            self.withdraw(now);
            self.answer_due(now);
            if let Some(end) = self.stop_turn(now) {
                return end;
            }
            self.wait(now);
            let now = clock::steady();
            let (stop, reload) = self.signals.take();
            if stop {
                self.stop(End::Stopped, now);
            }
            if reload {
                // What went wrong is in the log.
                let _ = self.reload();
            }
            for index in 0..self.slots.len() {
                self.listen(index, now);
            }
            for (attempt, outcome) in self.rescues.turn(now) {
                self.destake.ended(attempt, &outcome, now);
            }
            for (id, uid, request) in self.control.turn(now) {
                self.serve(id, uid, request, now);
            }
        }
    }

    // ---- workers

    fn running(&self, role: Role) -> Option<&Running> {
        self.slots[index_of(role)?].running.as_ref()
    }

    fn send(&self, role: Role, message: &ToWorker) {
        if let Some(running) = self.running(role) {
            running.send(message, &[]);
        }
    }

    fn start_due(&mut self, now: u64) {
        if self.stopping.is_some() || self.asking.is_some() {
            return;
        }
        for index in 0..self.slots.len() {
            if self.slots[index].start_at.is_some_and(|at| at <= now) {
                self.slots[index].start_at = None;
                if let Err(fatal) = self.start(index, now) {
                    if self.announced {
                        log::error!(target: "supervisor", "{fatal}");
                        self.slots[index].start_at = Some(now + 1_000);
                    } else {
                        self.stop(End::Failed(fatal), now);
                        return;
                    }
                }
            }
        }
    }

    /// Starts a worker, and wires it with those that run.
    fn start(&mut self, index: usize, now: u64) -> Result<(), Fatal> {
        let worker = self.slots[index].worker;
        if worker.role == Role::Keyd {
            self.setup.turn_audit_log();
        }
        let (settings, fds) = self.setup.settings(worker.role)?;
        let running = Running::start(
            &self.setup,
            worker.role,
            worker.program,
            worker.sandbox,
            &[],
            now,
        )?;
        log::debug!(target: "supervisor", "started {} as process {}", worker.role, running.pid());
        let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        running.send(&ToWorker::Start(Box::new(settings)), &borrowed);
        if worker.reads_store
            && let Some([file, page]) = &self.store
        {
            running.send(&ToWorker::Store, &[file.as_fd(), page.as_fd()]);
        }
        let withdrawing = self.destake.standing() != Standing::Idle && !self.destake.is_drill();
        if (worker.role == Role::Keyd && self.locked) || (worker.role == Role::Netd && withdrawing)
        {
            running.send(&ToWorker::Lock, &[]);
        }
        self.slots[index].running = Some(running);
        for (channel, _) in channels_of(worker.role) {
            self.wire(channel, now)?;
        }
        Ok(())
    }

    /// Makes a channel, if both of its workers run: which making it is.
    fn wire(&mut self, channel: Channel, now: u64) -> Result<Option<Epoch>, Fatal> {
        let [Some(one), Some(other)] = channel.ends().map(|role| self.running(role)) else {
            return Ok(None);
        };
        let pair = UnixStream::pair().map_err(|error| {
            Fatal::new(exit::OS, format!("no descriptors for a channel: {error}"))
        })?;
        let last = self.wires.get(&channel).map_or(0, |wire| wire.epoch);
        let epoch = Epoch(last.wrapping_add(1));
        let message = ToWorker::Channel { channel, epoch };
        one.send(&message, &[pair.0.as_fd()]);
        other.send(&message, &[pair.1.as_fd()]);
        let wire = Wire {
            epoch: epoch.0,
            made: now,
            again_at: None,
        };
        self.wires.insert(channel, wire);
        Ok(Some(epoch))
    }

    /// Makes the channels again that one end dropped while the other lives.
    fn rewire(&mut self, now: u64) {
        let due: Vec<Channel> = self
            .wires
            .iter()
            .filter(|(_, wire)| wire.again_at.is_some_and(|at| at <= now))
            .map(|(channel, _)| *channel)
            .collect();
        for channel in due {
            if let Some(wire) = self.wires.get_mut(&channel) {
                wire.again_at = None;
            }
            match self.wire(channel, now) {
                Ok(Some(Epoch(number))) => {
                    log::warn!(target: "supervisor", "the channel {channel:?} is made anew, number {number}");
                }
                // One of its ends is about to be started, and gets one then.
                Ok(None) => {}
                Err(fatal) => log::error!(target: "supervisor", "{fatal}"),
            }
        }
    }

    /// Hears what a worker says, and whether it is still there.
    fn listen(&mut self, index: usize, now: u64) {
        let mut broken = false;
        for _ in 0..MESSAGES_PER_TURN {
            let Some(running) = &self.slots[index].running else {
                return;
            };
            match running.channel.receive() {
                Ok(Received::Message(message, fds)) => self.hear(index, message, fds, now),
                Ok(Received::Nothing) => break,
                Ok(Received::Ended) => {
                    // Without the channel a worker ends by itself; one that does not is killed at the next missed ping.
                    break;
                }
                Err(error) => {
                    log::error!(target: "supervisor", "{}: {error}; it is killed", running.role);
                    broken = true;
                    break;
                }
            }
        }
        let Some(running) = &mut self.slots[index].running else {
            return;
        };
        if broken {
            running.kill();
        }
        running.read_output(now);
        if let Some(how) = running.ended() {
            running.finish_output(now);
            self.ended(index, how, now);
        }
    }

    fn hear(&mut self, index: usize, message: FromWorker, fds: Vec<OwnedFd>, now: u64) {
        let role = self.slots[index].worker.role;
        let Some(running) = &mut self.slots[index].running else {
            return;
        };
        match message {
            FromWorker::Sandboxed(report) => running.sandbox = Some(report),
            FromWorker::Ready(ready) => {
                if !is_of_role(&ready, role) {
                    log::error!(target: "supervisor", "{role} says that another worker is ready; it is killed");
                    running.kill();
                    return;
                }
                running.ready = true;
                self.slots[index].history.ready();
                self.is_ready(role, &ready, now);
            }
            FromWorker::Store if role == Role::Stored => {
                if let Ok(pair) = <[OwnedFd; 2]>::try_from(fds) {
                    for worker in WORKERS.iter().filter(|worker| worker.reads_store) {
                        if let Some(reader) = self.running(worker.role) {
                            reader.send(&ToWorker::Store, &[pair[0].as_fd(), pair[1].as_fd()]);
                        }
                    }
                    self.store = Some(pair);
                }
            }
            FromWorker::Pong(number) => {
                if running.pinged.is_some_and(|(pinged, _)| pinged == number) {
                    running.pinged = None;
                }
            }
            FromWorker::Status(number, status) => {
                if is_status_of(&status.of_role, role) {
                    let mut counters = status.counters;
                    counters.truncate(200);
                    running.status = Some((number, status.of_role, counters));
                }
            }
            FromWorker::Verified { cells, findings } if role == Role::Stored => {
                for id in self.take_waiting(|waiting| match waiting {
                    Waiting::Verify(id) => Some(*id),
                    _ => None,
                }) {
                    let findings = findings.clone();
                    self.control.reply(id, &Reply::Verified { cells, findings });
                }
            }
            FromWorker::Ended { channel, epoch } if role == Role::Consensusd => {
                if let Some(wire) = self.wires.get_mut(&channel)
                    && wire.epoch == epoch.0
                {
                    wire.again_at = Some(now.max(wire.made + REWIRE_EVERY));
                }
            }
            FromWorker::Alarm(alarm) => self.alarm(index, alarm, now),
            FromWorker::Fatal(text) => {
                let text: String = text
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(2_000)
                    .collect();
                log::error!(target: role.name(), "{text}");
                running.fatal = Some(text);
            }
            FromWorker::Store | FromWorker::Verified { .. } | FromWorker::Ended { .. } => {
                log::error!(target: "supervisor", "{role} says what only another worker may say; it is killed");
                running.kill();
            }
        }
    }

    fn is_ready(&mut self, role: Role, ready: &Ready, now: u64) {
        match ready {
            Ready::Consensusd { network } if Some(*network) != self.setup.network => {
                self.breach(
                    Breach::Lock,
                    Alarm {
                        kind: AlarmKind::Chain,
                        text: format!("the store belongs to network {}", hex::encode(network)),
                    },
                    now,
                );
            }
            _ => {}
        }
        let all = self
            .slots
            .iter()
            .all(|slot| slot.running.as_ref().is_some_and(|running| running.ready));
        if all && !self.announced {
            self.announced = true;
            log::info!(target: "supervisor", "the peer runs, {} ms after its start", now - self.started);
            self.notify.tell("READY=1\nSTATUS=running");
        } else if self.announced {
            log::info!(target: "supervisor", "{role} is at work again");
        }
    }

    fn ended(&mut self, index: usize, how: Ended, now: u64) {
        let slot = &mut self.slots[index];
        let worker = slot.worker;
        let Some(running) = slot.running.take() else {
            return;
        };
        if worker.role == Role::Stored {
            self.store = None;
        }
        let slot = &mut self.slots[index];
        slot.last_exit = Some(match &running.fatal {
            Some(text) => format!("{how}: {text}"),
            None => how.to_string(),
        });
        let orderly = slot.asked || (self.stopping.is_some() && how == Ended::Exited(0));
        if self.stopping.is_some() {
            if !orderly {
                log::warn!(target: "supervisor", "{} {how} while stopping", worker.role);
            }
            return;
        }
        slot.restarts += 1;
        if orderly {
            slot.asked = false;
            slot.start_at = Some(now);
            return;
        }
        log::error!(target: "supervisor", "{} (process {}) {how}", worker.role, running.pid());
        let breach = worker.breach;
        match slot.history.ended(how, now) {
            Next::Start { at, crash_loop } => {
                slot.start_at = Some(at);
                if crash_loop {
                    let text = format!(
                        "{} ends again and again, the last time it {how}",
                        worker.role
                    );
                    let kind = AlarmKind::CrashLoop;
                    self.breach(Breach::Lock, Alarm { kind, text }, now);
                }
            }
            Next::GiveUp(code) => {
                let text = running
                    .fatal
                    .unwrap_or_else(|| format!("{} {how}", worker.role));
                let code = u8::try_from(code).unwrap_or(exit::OS);
                self.stop(End::Failed(Fatal::new(code, text)), now);
                return;
            }
        }
        if how.is_violation() {
            let text = format!("{} broke a rule of its sandbox", worker.role);
            let kind = AlarmKind::Violation;
            self.breach(breach, Alarm { kind, text }, now);
        }
    }

    /// Pings the workers, kills those that don't answer, and looks at the clock.
    fn beat(&mut self, now: u64) {
        let patience = self.setup.config.supervisor.heartbeat.0.max(100);
        for index in 0..self.slots.len() {
            self.numbers += 1;
            let number = self.numbers;
            let Some(running) = &mut self.slots[index].running else {
                continue;
            };
            match running.pinged {
                Some((_, at)) if now - at > patience => {
                    log::error!(target: "supervisor", "{} does not answer; it is killed", running.role);
                    running.kill();
                    running.pinged = Some((0, now));
                }
                Some(_) => {}
                None if now - running.last_ping >= patience / 4 => {
                    running.pinged = Some((number, now));
                    running.last_ping = now;
                    running.send(&ToWorker::Ping(number), &[]);
                }
                None => {}
            }
        }
        if let Some(every) = self.notify.watchdog
            && now >= self.next_watchdog
        {
            self.next_watchdog = now + every;
            self.notify.tell("WATCHDOG=1");
        }
        let offset = clock::wall() - now as i64;
        let step = offset - self.clock_offset;
        self.clock_offset = offset;
        if step.abs() > CLOCK_STEP {
            let text = format!(
                "the clock was set by {step} ms; orders are signed again when it is past the last one"
            );
            self.record(Alarm {
                kind: AlarmKind::Clock,
                text,
            });
        }
    }

    // ---- alarms and withdrawal

    fn record(&mut self, alarm: Alarm) {
        log::error!(target: "alarm", "{:?}: {}", alarm.kind, alarm.text);
        if self.alarms.len() == KEPT_ALARMS {
            self.alarms.pop_front();
        }
        self.alarms.push_back((clock::wall(), alarm));
    }

    /// An alarm of a worker. It is about that worker alone, or about facts that only it can know.
    fn alarm(&mut self, index: usize, alarm: Alarm, now: u64) {
        let slot = &mut self.slots[index];
        let role = slot.worker.role;
        let allowed = match alarm.kind {
            AlarmKind::Signing | AlarmKind::Locked => role == Role::Keyd,
            AlarmKind::Store => role == Role::Stored,
            AlarmKind::Chain | AlarmKind::CutOff => role == Role::Consensusd,
            AlarmKind::Clock | AlarmKind::Channel => true,
            AlarmKind::Violation | AlarmKind::CrashLoop | AlarmKind::Destake | AlarmKind::Panic => {
                false
            }
        };
        let last = slot.last_alarm.get(&alarm.kind);
        if !allowed || last.is_some_and(|last| now - last < ALARM_EVERY) {
            return;
        }
        slot.last_alarm.insert(alarm.kind, now);
        let text: String = alarm
            .text
            .chars()
            .filter(|c| !c.is_control())
            .take(500)
            .collect();
        let alarm = Alarm {
            kind: alarm.kind,
            text: format!("{role}: {text}"),
        };
        match alarm.kind {
            // keyd was asked for what an honest consensusd never asks for.
            AlarmKind::Signing => self.breach(Breach::Withdraw, alarm, now),
            _ => self.record(alarm),
        }
    }

    /// A sign of compromise: signing stops first.
    fn breach(&mut self, breach: Breach, alarm: Alarm, now: u64) {
        self.lock();
        let reason = alarm.text.clone();
        self.record(alarm);
        if breach == Breach::Withdraw && self.destake.begin(false, now) {
            self.withdrawal_begins(&reason);
        }
    }

    fn lock(&mut self) {
        if !self.locked {
            self.locked = true;
            log::error!(target: "supervisor", "signing is locked until keyd is restarted by `convexctl peer restart`");
        }
        self.send(Role::Keyd, &ToWorker::Lock);
    }

    fn withdrawal_begins(&mut self, reason: &str) {
        self.send(Role::Netd, &ToWorker::Lock);
        // Nobody is to wait for an answer that does not come.
        self.setup.stop_listening();
        let effect = self
            .destake
            .armed()
            .map_or_else(String::new, |armed| armed.effect.clone());
        self.record(Alarm {
            kind: AlarmKind::Destake,
            text: format!("the stake is being withdrawn ({effect}): {reason}"),
        });
    }

    /// Makes the attempts that are due, and ends a withdrawal that is over.
    fn withdraw(&mut self, now: u64) {
        if self.stopping.is_none() {
            let attempts = self.destake.due(now);
            for attempt in attempts {
                let started = self
                    .destake
                    .armed()
                    .map(|armed| self.rescues.start(&self.setup, armed, attempt, now));
                if let Some(Err(outcome)) = started {
                    self.destake.ended(attempt, &outcome, now);
                }
            }
        }
        let standing = self.destake.standing();
        let drill = self.destake.is_drill();
        if !matches!(standing, Standing::Confirmed | Standing::Hopeless) {
            return;
        }
        let confirmed = standing == Standing::Confirmed;
        let outcomes = self.destake.outcomes();
        for id in self.take_waiting(|waiting| match waiting {
            Waiting::Destake(id) => Some(*id),
            _ => None,
        }) {
            let outcomes = outcomes.clone();
            self.control.reply(
                id,
                &Reply::Destaked {
                    outcomes,
                    confirmed,
                },
            );
        }
        self.destake.end();
        self.rescues.kill();
        if drill {
            return;
        }
        let said: Vec<String> = outcomes
            .iter()
            .map(|(host, text)| format!("{host}: {text}"))
            .collect();
        let said = said.join("; ");
        if confirmed {
            self.record(Alarm {
                kind: AlarmKind::Destake,
                text: format!("the stake is withdrawn, the peer stays down ({said})"),
            });
            self.stay_down("its stake was withdrawn in an emergency", now);
        } else {
            self.record(Alarm {
                kind: AlarmKind::Destake,
                text: format!("the armed withdrawal can't work any more ({said})"),
            });
        }
    }

    fn stay_down(&mut self, reason: &str, now: u64) {
        let reason = format!("{} at {}", reason, ipc::logging::utc(clock::wall()));
        if let Err(error) = self.setup.keep_down(&reason) {
            log::error!(target: "supervisor", "can't leave a note that the peer is to stay down: {error}");
        }
        self.stop(End::Stopped, now);
    }

    // ---- the operator

    fn take_waiting(&mut self, of: impl Fn(&Waiting) -> Option<Id>) -> Vec<Id> {
        let mut ids = Vec::new();
        self.waiting.retain(|waiting| match of(waiting) {
            Some(id) => {
                ids.push(id);
                false
            }
            None => true,
        });
        ids
    }

    fn serve(&mut self, id: Id, uid: u32, request: Request, now: u64) {
        if !request.is_observing() {
            log::info!(target: "supervisor", "operator with uid {uid}: {}", name_of(&request));
        }
        match self.answer(id, request, now) {
            Ok(Some(reply)) => self.control.reply(id, &reply),
            Ok(None) => {}
            Err((why, text)) => self.control.reply(id, &Reply::Refused { why, text }),
        }
    }

    fn answer(
        &mut self,
        id: Id,
        request: Request,
        now: u64,
    ) -> Result<Option<Reply>, (Why, String)> {
        let state = |text: &str| (Why::State, text.to_owned());
        match request {
            Request::Status => {
                self.numbers += 1;
                let number = self.numbers;
                for slot in &self.slots {
                    if let Some(running) = &slot.running {
                        running.send(&ToWorker::Status(number), &[]);
                    }
                }
                let until = now + STATUS_TIME;
                self.waiting.push(Waiting::Status { id, number, until });
                Ok(None)
            }
            Request::Logs { lines, of, follow } => {
                self.control.logs(id, lines as usize, of, follow);
                Ok(None)
            }
            Request::Stop => {
                self.waiting.push(Waiting::Stop(id));
                self.stop(End::Stopped, now);
                Ok(None)
            }
            Request::Restart(role) => {
                if self.destake.standing() != Standing::Idle && !self.destake.is_drill() {
                    return Err(state("a withdrawal goes on"));
                }
                if matches!(role, None | Some(Role::Keyd)) {
                    self.locked = false;
                }
                let within = self.setup.config.supervisor.grace.0;
                let mut found = false;
                for slot in &mut self.slots {
                    if role.is_none_or(|role| slot.worker.role == role) {
                        found = true;
                        match &mut slot.running {
                            Some(running) => {
                                slot.asked = true;
                                running.stop(now, within);
                            }
                            None => slot.start_at = Some(now),
                        }
                    }
                }
                if found {
                    Ok(Some(Reply::Done))
                } else {
                    Err(state("there is no such worker"))
                }
            }
            Request::Reload => match self.reload() {
                Ok(()) => Ok(Some(Reply::Done)),
                Err(text) => Err((Why::Failed, text)),
            },
            Request::Panic { reason } => {
                let reason: String = reason
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(500)
                    .collect();
                self.lock();
                self.send(Role::Netd, &ToWorker::Lock);
                self.record(Alarm {
                    kind: AlarmKind::Panic,
                    text: reason.clone(),
                });
                self.waiting.push(Waiting::Stop(id));
                self.stay_down(&format!("stopped by `convexctl panic` ({reason})"), now);
                if let Some(stopping) = &mut self.stopping {
                    stopping.kill_at = Some(now + PANIC_TIME);
                }
                Ok(None)
            }
            Request::Unlock => {
                if self.locked {
                    return Err(state(
                        "signing was locked by an alarm: restart keyd first (`convexctl peer restart keyd`)",
                    ));
                }
                let keyd = self
                    .running(Role::Keyd)
                    .ok_or_else(|| state("keyd does not run"))?;
                let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                    .map_err(|error| (Why::Failed, format!("no descriptors left: {error}")))?;
                keyd.send(&ToWorker::Unlock, &[read.as_fd()]);
                self.control.pass(id, write, now);
                Ok(None)
            }
            Request::Verify => {
                let stored = self
                    .running(Role::Stored)
                    .ok_or_else(|| state("stored does not run"))?;
                stored.send(&ToWorker::Verify, &[]);
                self.waiting.push(Waiting::Verify(id));
                Ok(None)
            }
            Request::Arm(withdrawal) => {
                if self.destake.standing() != Standing::Idle {
                    return Err(state("a withdrawal or a drill goes on"));
                }
                self.destake
                    .arm(withdrawal.clone(), &self.setup.network_or_none(), now)
                    .map_err(|error| (Why::State, error.to_string()))?;
                self.armed.save(&withdrawal).map_err(|error| {
                    (Why::Failed, format!("can't keep the withdrawal: {error}"))
                })?;
                Ok(Some(Reply::Done))
            }
            Request::Disarm => {
                if !self.destake.disarm() {
                    return Err(state("a withdrawal or a drill goes on"));
                }
                self.armed.remove().map_err(|error| {
                    (Why::Failed, format!("can't remove the withdrawal: {error}"))
                })?;
                Ok(Some(Reply::Done))
            }
            Request::Destake { reason, drill } => {
                if !self.destake.begin(drill, now) {
                    return Err(state(
                        "nothing is armed (`convexctl destake arm FILE`), or a withdrawal goes on already",
                    ));
                }
                if !drill {
                    self.lock();
                    let reason: String = reason
                        .chars()
                        .filter(|c| !c.is_control())
                        .take(500)
                        .collect();
                    self.withdrawal_begins(&format!("the operator asked for it ({reason})"));
                }
                self.waiting.push(Waiting::Destake(id));
                Ok(None)
            }
        }
    }

    fn reload(&mut self) -> Result<(), String> {
        let result = (self.reload)().and_then(|config| {
            let group = config.supervisor.group.as_deref();
            self.control.set_group(group).map_err(|e| e.text)?;
            let kept = self.setup.reload(config);
            crate::journal::set_level(self.setup.config.log.level.0);
            for worker in &WORKERS {
                if let Some(running) = self.running(worker.role) {
                    let (settings, _) = self.setup.settings(worker.role).map_err(|e| e.text)?;
                    running.send(&ToWorker::Reload(Box::new(settings)), &[]);
                }
            }
            if kept.is_empty() {
                Ok(())
            } else {
                Err(format!(
                    "taken over, but these need a restart of the peer: {}",
                    kept.join("; ")
                ))
            }
        });
        match &result {
            Ok(()) => log::info!(target: "supervisor", "the settings were read again"),
            Err(text) => log::warn!(target: "supervisor", "the settings were read again: {text}"),
        }
        result
    }

    /// Answers requests whose workers have all answered, or whose time is over.
    fn answer_due(&mut self, now: u64) {
        let mut due = Vec::new();
        let slots = &self.slots;
        self.waiting.retain(|waiting| match waiting {
            Waiting::Status { id, number, until } => {
                let all = slots.iter().all(|slot| {
                    slot.running.as_ref().is_none_or(|running| {
                        running.status.as_ref().is_some_and(|(n, ..)| n >= number)
                    })
                });
                if all || now >= *until {
                    due.push(*id);
                    false
                } else {
                    true
                }
            }
            _ => true,
        });
        for id in due {
            let mut status = Box::new(self.status(now));
            if !self.control.operates(id) {
                for_observer(&mut status);
            }
            self.control.reply(id, &Reply::Status(status));
        }
    }

    fn status(&self, now: u64) -> PeerStatus {
        let mut consensus = None;
        let workers = self
            .slots
            .iter()
            .map(|slot| {
                let running = slot.running.as_ref();
                let usage = running.map(Running::usage).unwrap_or_default();
                let status = running.and_then(|running| running.status.as_ref());
                if let Some((_, RoleStatus::Consensusd(status), _)) = status {
                    consensus = Some((**status).clone());
                }
                WorkerView {
                    role: slot.worker.role,
                    pid: running.map(Running::pid),
                    ready: running.is_some_and(|running| running.ready),
                    uptime: running.map_or(0, |running| now - running.started),
                    restarts: slot.restarts,
                    last_exit: slot.last_exit.clone(),
                    memory: usage.memory,
                    cpu: usage.processor,
                    sandbox: running.and_then(|running| running.sandbox.clone()),
                    status: status.map(|(_, status, _)| status.clone()),
                    counters: status
                        .map(|(_, _, counters)| counters.clone())
                        .unwrap_or_default(),
                }
            })
            .collect::<Vec<_>>();
        let all = workers.iter().all(|worker| worker.ready);
        PeerStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            key: self.setup.key,
            network: self.setup.network_or_none(),
            network_by: self.setup.network_by.clone(),
            listen: self.setup.listen.iter().map(ToString::to_string).collect(),
            public_host: self.setup.config.peer.public_host.clone(),
            pid: std::process::id(),
            uptime: now - self.started,
            phase: match (&self.stopping, self.locked, all, self.announced) {
                (Some(_), ..) => Phase::Stopping,
                (_, true, ..) => Phase::Locked,
                (_, _, true, _) => Phase::Running,
                (_, _, _, true) => Phase::Degraded,
                _ => Phase::Starting,
            },
            workers,
            consensus,
            alarms: self.alarms.iter().cloned().collect(),
            armed: self.destake.view(),
        }
    }

    // ---- the end

    fn stop(&mut self, end: End, _now: u64) {
        if self.stopping.is_none() {
            if end == End::Stopped {
                log::info!(target: "supervisor", "stopping");
            }
            self.notify.tell("STOPPING=1");
            self.stopping = Some(Stopping { end, kill_at: None });
        }
    }

    /// Goes on with stopping: those without whom nobody else can finish are stopped last.
    fn stop_turn(&mut self, now: u64) -> Option<End> {
        for slot in &mut self.slots {
            if let Some(running) = &mut slot.running
                && running.deadline.is_some_and(|deadline| now >= deadline)
            {
                log::warn!(target: "supervisor", "{} did not stop in time; it is killed", running.role);
                running.kill();
                running.deadline = Some(now + 1_000);
            }
        }
        let stopping = self.stopping.as_mut()?;
        if stopping.kill_at.is_some_and(|at| now >= at) {
            stopping.kill_at = None;
            for running in self.slots.iter().filter_map(|slot| slot.running.as_ref()) {
                running.kill();
            }
        }
        self.rescues.kill();
        if let Some(asking) = self.asking.take() {
            asking.kill();
        }
        let within = self.setup.config.supervisor.grace.0;
        let first = self
            .slots
            .iter()
            .filter(|slot| slot.running.is_some())
            .map(|slot| slot.worker.stop_order)
            .min();
        let Some(first) = first else {
            for id in self.take_waiting(|waiting| match waiting {
                Waiting::Stop(id) => Some(*id),
                _ => None,
            }) {
                self.control.reply(id, &Reply::Done);
            }
            let end = self.stopping.take().map(|stopping| stopping.end);
            log::info!(target: "supervisor", "stopped");
            return end;
        };
        for slot in &mut self.slots {
            if slot.worker.stop_order == first
                && let Some(running) = &mut slot.running
            {
                running.stop(now, within);
            }
        }
        None
    }

    // ---- waiting

    fn wait(&mut self, now: u64) {
        let mut until = now + self.setup.config.supervisor.heartbeat.0.max(100) / 4;
        let mut consider = |at: Option<u64>| {
            if let Some(at) = at {
                until = until.min(at);
            }
        };
        for slot in &self.slots {
            consider(slot.start_at.filter(|_| self.stopping.is_none()));
            consider(slot.running.as_ref().and_then(|running| running.deadline));
        }
        for waiting in &self.waiting {
            if let Waiting::Status { until, .. } = waiting {
                consider(Some(*until));
            }
        }
        for wire in self.wires.values() {
            consider(wire.again_at);
        }
        consider(self.control.next_deadline().map(|at| at + 1));
        consider(self.rescues.next());
        consider(self.asking.as_ref().map(Asking::next));
        consider(self.notify.watchdog.map(|_| self.next_watchdog));
        if self.stopping.is_none() {
            consider(self.destake.next());
        }
        consider(self.stopping.as_ref().and_then(|stopping| stopping.kill_at));

        let mut fds: Vec<PollFd<'_>> = Vec::new();
        fds.push(PollFd::new(&self.signals, PollFlags::IN));
        for running in self
            .slots
            .iter()
            .filter_map(|slot| slot.running.as_ref())
            .chain(self.rescues.running())
            .chain(self.asking.iter().filter_map(Asking::running))
        {
            fds.push(PollFd::from_borrowed_fd(
                running.channel.as_fd(),
                PollFlags::IN,
            ));
            fds.push(PollFd::from_borrowed_fd(running.output_fd(), PollFlags::IN));
            fds.push(PollFd::from_borrowed_fd(running.ended_fd(), PollFlags::IN));
        }
        for (fd, reads, writes) in self.control.descriptors() {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, reads);
            flags.set(PollFlags::OUT, writes);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        let left = until.saturating_sub(now);
        let timeout = Timespec {
            tv_sec: (left / 1000) as i64,
            tv_nsec: (left % 1000 * 1_000_000) as i64,
        };
        // An interruption by a signal is as good as a descriptor that is ready.
        let _ = poll(&mut fds, Some(&timeout));
    }
}

fn is_of_role(ready: &Ready, role: Role) -> bool {
    matches!(
        (ready, role),
        (Ready::Stored { .. }, Role::Stored)
            | (Ready::Keyd { .. }, Role::Keyd)
            | (Ready::Consensusd { .. }, Role::Consensusd)
            | (Ready::Netd, Role::Netd)
    )
}

fn is_status_of(status: &RoleStatus, role: Role) -> bool {
    matches!(
        (status, role),
        (RoleStatus::Stored { .. }, Role::Stored)
            | (RoleStatus::Keyd { .. }, Role::Keyd)
            | (RoleStatus::Consensusd(_), Role::Consensusd)
            | (RoleStatus::Netd { .. }, Role::Netd)
    )
}

fn name_of(request: &Request) -> String {
    match request {
        Request::Status => "status".to_owned(),
        Request::Logs { .. } => "logs".to_owned(),
        Request::Stop => "stop".to_owned(),
        Request::Restart(Some(role)) => format!("restart {role}"),
        Request::Restart(None) => "restart".to_owned(),
        Request::Reload => "reload".to_owned(),
        Request::Panic { .. } => "panic".to_owned(),
        Request::Unlock => "unlock".to_owned(),
        Request::Verify => "verify".to_owned(),
        Request::Arm(_) => "arm a withdrawal".to_owned(),
        Request::Disarm => "disarm the withdrawal".to_owned(),
        Request::Destake { drill: true, .. } => "drill a withdrawal".to_owned(),
        Request::Destake { drill: false, .. } => "withdraw the stake".to_owned(),
    }
}
