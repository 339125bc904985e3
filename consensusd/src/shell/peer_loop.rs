//! The thread of the peer: inputs, the clock, and what the state machine wants done.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cells::{Cell, Hash};
use cellstore::StoreSource;
use crypto::AccountKey;
use etch::{ControlView, Reader};
use ipc::logging::Quiet;
use ipc::supervision::{
    Alarm, AlarmKind, ConsensusStatus, ConsensusdSettings, FromWorker, Ready, RoleStatus, ToWorker,
    WorkerStatus,
};
use ipc::{Channel, Epoch, LinkError, SupervisionError};
use signing::{Identity, Now};

use super::links::{self, Reading, Writing};
use super::pool::{self, CheckedBatch, Means, Pool, Views};
use super::reporting::Reporter;
use super::room::Taken;
use super::{Clock, Failure, Supervisor, files, read_genesis};
use crate::answering::WhenCutOff;
use crate::peer::joining::Joining;
use crate::peer::progress::Progress;
use crate::peer::{self, Action, Cause, Config, Core, Event, Next, Standing};
use crate::source::Shelf;

/// Inputs that are taken in before the peer goes on.
const TURN: usize = 256;
/// Least milliseconds between two alarms of one kind.
const QUIET: u64 = 5_000;

/// What the thread of the peer gets.
pub(crate) enum Input {
    /// Something that happened, whatever the channel, and the room that it takes until it is dealt with.
    Event(Event, Option<Taken>),
    /// Something that happened on this making of a channel.
    Linked(Channel, Epoch, Event),
    /// Checked transactions.
    Checked(CheckedBatch),
    /// A channel was opened.
    LinkOpened {
        channel: Channel,
        epoch: Epoch,
        writing: Writing,
    },
    /// A channel ended.
    LinkEnded {
        channel: Channel,
        epoch: Epoch,
        why: Option<LinkError>,
    },
    /// The supervisor says something.
    Supervisor(ToWorker, Vec<OwnedFd>),
}

/// Runs until the supervisor says stop.
pub(crate) fn run(
    supervisor: &Supervisor,
    settings: ConsensusdSettings,
    genesis: Option<File>,
    inputs: SyncSender<Input>,
    queue: &Receiver<Input>,
) -> Result<(), Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let shelf = Shelf::new();
    let views = Views::default();
    let means = Means {
        identity: Identity {
            key: AccountKey::new(settings.key),
            network: Hash(settings.network),
        },
        shelf: shelf.clone(),
        views: views.clone(),
        seed,
        when_cut_off: if settings.stale_queries {
            WhenCutOff::Stale
        } else {
            WhenCutOff::Refuse
        },
        inputs: inputs.clone(),
    };
    let pool = pool::start(&means, settings.verifiers)?;
    let mut worker = Worker {
        supervisor,
        clock: Clock::start(),
        seed,
        settings,
        genesis,
        root: Cell::Nil,
        shelf,
        views,
        pool,
        inputs,
        core: None,
        joining: Joining::new(means.identity.network),
        reporter: Reporter::default(),
        links: [None, None, None],
        writing: [None, None, None],
        checked: BTreeMap::new(),
        next_checked: 0,
        stop_at: None,
        out: Vec::new(),
        alarms: Vec::new(),
    };
    worker.serve(queue)
}

struct Worker<'a> {
    supervisor: &'a Supervisor,
    clock: Clock,
    seed: [u8; 32],
    settings: ConsensusdSettings,
    genesis: Option<File>,
    /// Root of the store, as it was first seen.
    root: Cell,
    shelf: Arc<Shelf>,
    views: Views,
    pool: Pool,
    inputs: SyncSender<Input>,
    /// The peer, once there is a store.
    core: Option<Core>,
    /// What goes on before there is a peer.
    joining: Joining,
    reporter: Reporter,
    links: [Option<Reading>; 3],
    writing: [Option<Writing>; 3],
    /// Batches of checked transactions that overtook others.
    checked: BTreeMap<u64, CheckedBatch>,
    next_checked: u64,
    /// When to end, at the latest (steady milliseconds).
    stop_at: Option<u64>,
    out: Vec<Action>,
    alarms: Vec<(AlarmKind, Quiet)>,
}

fn place(channel: Channel) -> usize {
    match channel {
        Channel::Net => 0,
        Channel::Store => 1,
        Channel::Key => 2,
    }
}

fn to_peer(channel: Channel) -> peer::Channel {
    match channel {
        Channel::Net => peer::Channel::Net,
        Channel::Store => peer::Channel::Store,
        Channel::Key => peer::Channel::Key,
    }
}

impl Worker<'_> {
    fn serve(&mut self, queue: &Receiver<Input>) -> Result<(), Failure> {
        let mut wait = Duration::from_secs(1);
        loop {
            let mut input = match queue.recv_timeout(wait) {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let now = self.clock.now();
            let mut taken = 0;
            while let Some(next) = input {
                self.take(next, now)?;
                taken += 1;
                input = if taken < TURN {
                    queue.try_recv().ok()
                } else {
                    None
                };
            }
            wait = self.advance(self.clock.now())?;
            if taken == TURN {
                wait = Duration::ZERO;
            }
            if self.may_stop(self.clock.now()) {
                return Ok(());
            }
        }
    }

    /// Lets the peer go on; answers how long it can wait.
    fn advance(&mut self, now: Now) -> Result<Duration, Failure> {
        if self.core.is_none() {
            self.join(now)?;
        }
        self.reporter.report(self.progress(now).as_ref(), now);
        let Some(core) = &mut self.core else {
            return Ok(Duration::from_millis(self.joining.wait(now)));
        };
        let mut out = std::mem::take(&mut self.out);
        let next = core.advance(now, &mut out);
        for action in out.drain(..) {
            self.act(action, now)?;
        }
        self.out = out;
        Ok(match next {
            Next::Now => Duration::ZERO,
            // The next millisecond begins sooner than a millisecond from now.
            Next::In(1) => until_next_millisecond(),
            Next::In(wait) => Duration::from_millis(wait),
        })
    }

    fn take(&mut self, input: Input, now: Now) -> Result<(), Failure> {
        match input {
            Input::Event(event, _taken) => self.happen(event, now),
            Input::Linked(channel, epoch, event) => {
                let current = self.links[place(channel)].as_ref();
                if current.is_some_and(|link| link.epoch == epoch) {
                    self.happen(event, now);
                }
            }
            Input::Checked(batch) => {
                self.checked.insert(batch.number, batch);
                while let Some(batch) = self.checked.remove(&self.next_checked) {
                    self.next_checked += 1;
                    if !batch.accepted.is_empty() {
                        self.happen(Event::Transactions(batch.accepted), now);
                    }
                }
            }
            Input::LinkOpened {
                channel,
                epoch,
                writing,
            } => {
                let current = self.links[place(channel)].as_ref();
                if current.is_some_and(|link| link.epoch == epoch) {
                    self.writing[place(channel)] = Some(writing);
                    self.happen(Event::Link(to_peer(channel), true), now);
                }
            }
            Input::LinkEnded {
                channel,
                epoch,
                why,
            } => self.link_ended(channel, epoch, why, now)?,
            Input::Supervisor(message, fds) => self.obey(message, fds, now)?,
        }
        Ok(())
    }

    fn happen(&mut self, event: Event, now: Now) {
        match (&mut self.core, event) {
            (Some(core), event) => core.handle(event, now, &mut self.out),
            (None, event) => self.joining.handle(event, now, &self.shelf, &mut self.out),
        }
    }

    fn link_ended(
        &mut self,
        channel: Channel,
        epoch: Epoch,
        why: Option<LinkError>,
        now: Now,
    ) -> Result<(), Failure> {
        let at = place(channel);
        if self.links[at]
            .as_ref()
            .is_none_or(|link| link.epoch != epoch)
        {
            return Ok(());
        }
        self.links[at] = None;
        if self.writing[at].take().is_some() {
            self.happen(Event::Link(to_peer(channel), false), now);
        }
        self.send(&FromWorker::Ended { channel, epoch })?;
        match why {
            Some(error @ (LinkError::Frame(_) | LinkError::Hello { .. })) => self.alarm(
                AlarmKind::Channel,
                &format!("{channel:?} channel: {error}"),
                now,
            ),
            Some(error) => {
                log::info!("{channel:?} channel: {error}");
                Ok(())
            }
            None => {
                log::info!("{channel:?} channel ended");
                Ok(())
            }
        }
    }

    fn obey(&mut self, message: ToWorker, fds: Vec<OwnedFd>, now: Now) -> Result<(), Failure> {
        match message {
            ToWorker::Channel { channel, epoch } => {
                let at = place(channel);
                if self.writing[at].take().is_some() {
                    self.happen(Event::Link(to_peer(channel), false), now);
                }
                self.links[at] = None;
                let Some([stream]) = files(fds) else {
                    return Err(Failure::NotForConsensusd);
                };
                let link = links::start(channel, epoch, stream, &self.pool, &self.inputs)?;
                self.links[at] = Some(link);
            }
            ToWorker::Store => {
                let Some([file, control]) = files(fds) else {
                    return Err(Failure::NotForConsensusd);
                };
                self.open_store(File::from(file), &File::from(control), now)?;
            }
            ToWorker::Status(number) => {
                let status = Box::new(self.status(now));
                self.send(&FromWorker::Status(number, status))?;
            }
            ToWorker::Stop { within } => {
                self.stop_at = Some(now.steady + u64::from(within) / 2);
            }
            ToWorker::Reload(settings) => {
                let same = matches!(
                    *settings,
                    ipc::supervision::Settings::Consensusd(ref new) if *new == self.settings
                );
                if !same {
                    log::warn!("settings of consensusd change with its next start only");
                }
            }
            // Answered or refused where they arrive.
            ToWorker::Start(_)
            | ToWorker::Ping(_)
            | ToWorker::Lock
            | ToWorker::Unlock
            | ToWorker::Verify => {}
        }
        Ok(())
    }

    /// Reads from this store from now on; with the first one the peer begins.
    fn open_store(&mut self, file: File, control: &File, now: Now) -> Result<(), Failure> {
        let view = ControlView::from_file(control)?;
        let reader = Reader::follow(file, Path::new("the store"), view)?;
        // Cells are small; the largest have 16 KiB.
        let cached = (self.settings.memory / 8_192).clamp(1_024, 1 << 15);
        let source = StoreSource::held_by(reader, cached as usize, self.shelf.as_source());
        self.shelf.set_store(source.clone());
        if self.core.is_some() {
            return Ok(());
        }
        self.root = source.root().map_err(peer::StartError::Data)?;
        let mut file = self.genesis.take();
        self.begin(|| file.as_mut().map(read_genesis).transpose(), now)
    }

    /// Gets the genesis state from other peers, when it is wanted.
    fn join(&mut self, now: Now) -> Result<(), Failure> {
        let mut out = std::mem::take(&mut self.out);
        let genesis = self.joining.advance(now, &self.shelf, &mut out);
        for action in out.drain(..) {
            self.act(action, now)?;
        }
        self.out = out;
        match genesis {
            Some(genesis) => self.begin(|| Ok(Some(genesis)), now),
            None => Ok(()),
        }
    }

    /// The peer begins, if there is what it needs. The genesis state is asked for only when the store has no state.
    fn begin(
        &mut self,
        genesis: impl FnOnce() -> Result<Option<Cell>, Failure>,
        now: Now,
    ) -> Result<(), Failure> {
        let config = Config {
            key: AccountKey::new(self.settings.key),
            network: Hash(self.settings.network),
            queue: self.settings.queue as usize,
            memory: self.settings.memory,
            seed: self.seed,
            threads: usize::from(self.settings.verifiers.max(1)),
            window: self.settings.window,
        };
        let mut failed = None;
        let genesis = || {
            genesis().unwrap_or_else(|failure| {
                failed = Some(failure);
                None
            })
        };
        let started = Core::start(config, self.shelf.clone(), &self.root, genesis, now);
        if let Some(failure) = failed {
            return Err(failure);
        }
        let mut core = match started {
            Err(peer::StartError::NoGenesis) => {
                log::info!("the store is empty: the genesis state comes from other peers");
                self.joining.want();
                return Ok(());
            }
            other => other?,
        };
        log::info!(
            "EVENT=started position={} state={}",
            core.position(),
            core.state().hash()
        );
        if core.is_ready_at_once() {
            self.ready()?;
        }
        // Channels that were opened before; that to the store has been in use.
        for channel in [Channel::Net, Channel::Key] {
            if self.writing[place(channel)].is_some() {
                let event = Event::Link(to_peer(channel), true);
                core.handle(event, now, &mut self.out);
            }
        }
        core.take_over(self.joining.end(), now, &mut self.out);
        self.core = Some(core);
        Ok(())
    }

    fn progress(&self, now: Now) -> Option<Progress> {
        match &self.core {
            Some(core) => core.progress(now),
            None => self.joining.progress(),
        }
    }

    fn ready(&self) -> Result<(), Failure> {
        self.send(&FromWorker::Ready(Ready::Consensusd {
            network: self.settings.network,
        }))
    }

    fn send(&self, message: &FromWorker) -> Result<(), Failure> {
        match self.supervisor.send(message, &[]) {
            // The thread that listens to it ends the process.
            Err(SupervisionError::Closed) => Ok(()),
            other => Ok(other?),
        }
    }

    fn act(&mut self, action: Action, now: Now) -> Result<(), Failure> {
        match action {
            Action::Net(outgoing) => {
                if let Some(Writing::Net(outbox)) = &self.writing[0]
                    && !outbox.send(outgoing)
                {
                    self.overflow(Channel::Net, now)?;
                }
            }
            Action::Store(batch) => {
                if let Some(Writing::Store(outbox)) = &self.writing[1]
                    && !outbox.send(batch)
                {
                    self.overflow(Channel::Store, now)?;
                }
            }
            Action::Sign { ticket, request } => {
                if let Some(Writing::Key(outbox)) = &self.writing[2]
                    && !outbox.send((ticket, request))
                {
                    self.overflow(Channel::Key, now)?;
                }
            }
            Action::View(view) => {
                let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
                *views = Some(view);
            }
            Action::Alarm(kind, text) => {
                let kind = match kind {
                    peer::AlarmKind::Store => AlarmKind::Store,
                    peer::AlarmKind::Clock => AlarmKind::Clock,
                    peer::AlarmKind::Chain => AlarmKind::Chain,
                    peer::AlarmKind::Channel => AlarmKind::Channel,
                };
                self.alarm(kind, &text, now)?;
            }
            Action::Standing(standing, heard) => self.note(standing, heard, now)?,
            Action::Fatal(text) => return Err(Failure::Fatal(text)),
            Action::Ready => self.ready()?,
        }
        Ok(())
    }

    /// Whether consensus is within reach has changed.
    fn note(&mut self, standing: Standing, heard: u16, now: Now) -> Result<(), Failure> {
        let heard = format!("{}.{}", heard / 10, heard % 10);
        let Standing::CutOff(cause) = standing else {
            log::info!("EVENT=connected heard={heard}");
            return Ok(());
        };
        let (name, why) = match cause {
            Cause::Silence => ("silence", "too little of the stake is heard from"),
            Cause::Standstill => ("standstill", "blocks wait and consensus does not move"),
        };
        log::warn!("EVENT=cut_off cause={name} heard={heard}");
        let text = format!(
            "cut off from the network: {why} ({heard} %); transactions are answered :NETWORK until others are there again"
        );
        self.alarm(AlarmKind::CutOff, &text, now)
    }

    /// The process at the other end does not read, or its channel ends just now.
    fn overflow(&mut self, channel: Channel, now: Now) -> Result<(), Failure> {
        if self.links[place(channel)].is_none() {
            return Ok(());
        }
        // Its reading thread reports the end.
        if let Some(link) = &self.links[place(channel)] {
            link.shut();
        }
        self.alarm(
            AlarmKind::Channel,
            &format!("{channel:?} channel: the other process does not read"),
            now,
        )
    }

    /// Tells the supervisor, but not too often.
    fn alarm(&mut self, kind: AlarmKind, text: &str, now: Now) -> Result<(), Failure> {
        let at = match self.alarms.iter().position(|(held, _)| *held == kind) {
            Some(at) => at,
            None => {
                self.alarms.push((kind, Quiet::new(QUIET)));
                self.alarms.len() - 1
            }
        };
        let Some(held) = self.alarms[at].1.pass(now.steady) else {
            return Ok(());
        };
        let text = match held {
            0 => text.to_owned(),
            held => format!("{text} (and {held} more before this one)"),
        };
        log::warn!("{text}");
        self.send(&FromWorker::Alarm(Alarm { kind, text }))
    }

    /// Whether everything that was accepted is done, after the order to stop.
    fn may_stop(&self, now: Now) -> bool {
        match self.stop_at {
            None => false,
            Some(at) => now.steady >= at || self.core.as_ref().is_none_or(Core::is_idle),
        }
    }

    fn status(&mut self, now: Now) -> WorkerStatus {
        let progress = self.progress(now);
        let joining = progress.map(|progress| self.reporter.status(&progress, now));
        let Some(core) = &self.core else {
            return WorkerStatus {
                of_role: RoleStatus::Consensusd(Box::new(ConsensusStatus {
                    hindrance: Some(match joining {
                        Some(_) => "the genesis state comes from other peers".to_owned(),
                        None => "there is no store yet".to_owned(),
                    }),
                    joining,
                    ..ConsensusStatus::default()
                })),
                counters: Vec::new(),
            };
        };
        let report = core.report(now);
        let counters = core.counters();
        let counters = [
            ("transactions", counters.transactions),
            ("overloaded", counters.overloaded),
            ("blocks_proposed", counters.proposed),
            ("transactions_voiding", counters.poison),
            ("blocks_executed", counters.blocks),
            ("transactions_executed", counters.executed),
            ("orders_accepted", counters.orders),
            ("orders_refused", core.conduct().refused()),
            ("acquisitions", counters.acquisitions),
            ("acquisitions_failed", counters.failed_acquisitions),
            ("orders_signed", counters.signed_orders),
            ("signatures_refused", counters.refused_signatures),
            ("compactions", counters.compactions),
        ];
        WorkerStatus {
            of_role: RoleStatus::Consensusd(Box::new(ConsensusStatus {
                state: report.state.0,
                executed: report.executed,
                points: report.points,
                order_time: report.order_time,
                state_time: report.state_time,
                accounts: report.accounts,
                peers: report.peers,
                stake: report.stake,
                host: report.host,
                heard: report.heard,
                standing: told(report.standing),
                standing_for: report.standing_for,
                queue: report.queue,
                signing: report.signing,
                hindrance: report.hindrance,
                joining,
            })),
            counters: counters
                .into_iter()
                .chain(core.conduct().named())
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
        }
    }
}

fn told(standing: Standing) -> ipc::supervision::Standing {
    use ipc::supervision::Standing as Told;
    match standing {
        Standing::Joining => Told::Joining,
        Standing::Connected => Told::Connected,
        Standing::CutOff(Cause::Silence) => Told::Silence,
        Standing::CutOff(Cause::Standstill) => Told::Standstill,
    }
}

fn until_next_millisecond() -> Duration {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |wall| u64::from(wall.subsec_nanos()) % 1_000_000);
    Duration::from_nanos(1_000_000 - nanos)
}
