//! The thread that owns the store.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread;
use std::time::Instant;

use ipc::logging::Quiet;
use ipc::store::{FromStore, ToStore};
use ipc::supervision::{Alarm, AlarmKind, FromWorker};
use ipc::{Epoch, LinkError, Sender};

use crate::Failure;
use crate::files::free_space;
use crate::gauges::Gauges;
use crate::keeper::{Keeper, Trouble};
use crate::worker::Supervisor;

/// Least milliseconds between two alarms.
const QUIET: u64 = 10_000;

/// What happens to the store.
pub(crate) enum Event {
    /// A channel is open; it takes the place of the one before.
    Opened {
        epoch: Epoch,
        sender: Sender<FromStore>,
    },
    /// A message of a channel.
    Message { epoch: Epoch, message: ToStore },
    /// A channel ended.
    Ended {
        epoch: Epoch,
        broken: Option<LinkError>,
    },
    /// What was in the store file when a checkpoint was prepared is on the disk.
    Synced(std::io::Result<()>),
    /// Finish and close the store.
    Stop,
}

struct Open {
    epoch: Epoch,
    sender: Sender<FromStore>,
}

pub(crate) struct Writing {
    keeper: Keeper,
    /// The store file, in a description of its own: to be asked for free space, and to be synced beside the batches. What fails in that
    /// sync fails again in that of the checkpoint itself.
    place: Arc<File>,
    /// A checkpoint is being prepared.
    settling: bool,
    events: SyncSender<Event>,
    link: Option<Open>,
    supervisor: Arc<Supervisor>,
    gauges: Arc<Gauges>,
    started: Instant,
    alarms: [Quiet; 2],
}

impl Writing {
    pub(crate) fn new(
        keeper: Keeper,
        place: File,
        events: SyncSender<Event>,
        supervisor: Arc<Supervisor>,
        gauges: Arc<Gauges>,
    ) -> Self {
        let mut writing = Self {
            keeper,
            place: Arc::new(place),
            settling: false,
            events,
            link: None,
            supervisor,
            gauges,
            started: Instant::now(),
            alarms: [Quiet::new(QUIET), Quiet::new(QUIET)],
        };
        writing.measure();
        writing
    }

    /// Works until it is told to stop, then leaves a plain Etch file.
    pub(crate) fn run(mut self, events: &Receiver<Event>) -> Result<(), Failure> {
        loop {
            let event = if self.keeper.is_due() {
                None
            } else {
                events.try_recv().ok()
            };
            let event = match event {
                Some(event) => event,
                // Nothing more to gather: the barrier, then what can be done while nobody waits, then the next event.
                None => {
                    if self.keeper.waiting() > 0 {
                        self.flush()?;
                        continue;
                    }
                    self.prepare_checkpoint()?;
                    match events.recv() {
                        Ok(event) => event,
                        Err(_) => return self.close(),
                    }
                }
            };
            match event {
                Event::Opened { epoch, sender } => {
                    self.keeper.begin();
                    self.link = Some(Open { epoch, sender });
                }
                Event::Message { epoch, message } if self.is_current(epoch) => {
                    self.obey(message)?
                }
                Event::Ended { epoch, broken } if self.is_current(epoch) => {
                    // What is complete is worth keeping, though nobody hears of it.
                    self.flush()?;
                    self.end_link();
                    if let Some(broken) = broken.filter(|b| !matches!(b, LinkError::Closed)) {
                        self.complain(AlarmKind::Channel, &broken.to_string())?;
                    }
                }
                Event::Ended {
                    broken: Some(broken),
                    ..
                } => log::info!("a channel of consensusd did not open: {broken}"),
                Event::Message { .. } | Event::Ended { .. } => {}
                Event::Synced(result) => {
                    self.settling = false;
                    if let Err(error) = result {
                        log::warn!("{}: {error}", self.keeper.writer().name().display());
                    }
                    self.flush()?;
                    self.checkpoint()?;
                }
                Event::Stop => {
                    self.flush()?;
                    return self.close();
                }
            }
        }
    }

    fn is_current(&self, epoch: Epoch) -> bool {
        self.link.as_ref().is_some_and(|link| link.epoch == epoch)
    }

    fn end_link(&mut self) {
        if let Some(link) = self.link.take() {
            link.sender.shutdown();
        }
        self.keeper.begin();
    }

    fn obey(&mut self, message: ToStore) -> Result<(), Failure> {
        let done = match message {
            ToStore::Cells { cells } => self.keeper.cells(&cells).map(|added| {
                let mut figures = self.gauges.lock();
                figures.cells += added.cells;
                figures.new_cells += added.new;
            }),
            ToStore::Commit { sequence, root } => self.keeper.commit(sequence, root),
        };
        match done {
            Ok(()) => Ok(()),
            Err(trouble) => self.trouble(trouble),
        }
    }

    fn trouble(&mut self, trouble: Trouble) -> Result<(), Failure> {
        match trouble {
            Trouble::Violation(violation) => {
                self.gauges.lock().broken_channels += 1;
                self.end_link();
                self.complain(AlarmKind::Channel, &violation.to_string())
            }
            Trouble::Store(error) => {
                if let Some(refusal) = self.keeper.give_up(&error) {
                    self.answer(&refusal);
                }
                self.gauges.lock().refuses = Some(error.to_string());
                self.alarm(AlarmKind::Store, &error.to_string())?;
                Err(error.into())
            }
        }
    }

    /// The barrier of the complete batches, and the answer.
    fn flush(&mut self) -> Result<(), Failure> {
        let waiting = self.keeper.waiting();
        if waiting == 0 {
            return Ok(());
        }
        // A system that does not say how much is free will say so when it is full.
        let free = free_space(&self.place).unwrap_or(u64::MAX);
        let started = Instant::now();
        let answer = match self.keeper.flush(free) {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(()),
            Err(trouble) => return self.trouble(trouble),
        };
        // The answer first: others wait for it.
        self.answer(&answer);
        self.measure();
        let mut figures = self.gauges.lock();
        figures.free = free;
        match answer {
            FromStore::Durable { .. } => {
                figures.batches += waiting;
                figures.barriers += 1;
                figures.barrier_micros += started.elapsed().as_micros() as u64;
                let again = figures.refuses.take().is_some();
                drop(figures);
                if again {
                    log::info!("EVENT=store_resumed batches are taken again");
                }
                Ok(())
            }
            FromStore::Refused { text, .. } => {
                figures.refused += waiting;
                figures.refuses = Some(text.clone());
                drop(figures);
                self.complain(AlarmKind::Store, &text)
            }
        }
    }

    fn answer(&mut self, answer: &FromStore) {
        if let Some(link) = &mut self.link
            && let Err(error) = link.sender.send(answer)
        {
            // The reading thread says that the channel ended.
            log::debug!("an answer to consensusd: {error}");
        }
    }

    /// A checkpoint has thousands of pages to sync. They are begun with here, beside the batches, so that these wait for little.
    fn prepare_checkpoint(&mut self) -> Result<(), Failure> {
        if self.settling {
            return Ok(());
        }
        match self.keeper.settle_if_due() {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return self.trouble(Trouble::Store(error)),
        }
        let (file, events) = (self.place.clone(), self.events.clone());
        thread::Builder::new()
            .name("syncing".to_owned())
            .spawn(move || {
                // When the writing thread is gone, the store is closed.
                let _ = events.send(Event::Synced(file.sync_data()));
            })
            .map_err(Failure::Thread)?;
        self.settling = true;
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        if let Err(error) = self.keeper.checkpoint() {
            return self.trouble(Trouble::Store(error));
        }
        {
            let mut figures = self.gauges.lock();
            figures.checkpoints += 1;
            figures.checkpoint_micros += started.elapsed().as_micros() as u64;
        }
        self.measure();
        Ok(())
    }

    fn measure(&mut self) {
        let writer = self.keeper.writer();
        let mut figures = self.gauges.lock();
        figures.sizes = Some(writer.sizes());
        figures.sequence = writer.durable().sequence;
    }

    /// Tells the operator, but not again and again.
    fn complain(&mut self, kind: AlarmKind, text: &str) -> Result<(), Failure> {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let quiet = &mut self.alarms[usize::from(kind == AlarmKind::Store)];
        match quiet.pass(now) {
            Some(0) => self.alarm(kind, text),
            Some(held) => self.alarm(kind, &format!("{text} (and {held} more before this one)")),
            None => Ok(()),
        }
    }

    fn alarm(&self, kind: AlarmKind, text: &str) -> Result<(), Failure> {
        let event = match kind {
            AlarmKind::Store => "store_refuses",
            _ => "channel_broken",
        };
        log::warn!("EVENT={event} {text}");
        let text = text.to_owned();
        let alarm = FromWorker::Alarm(Alarm { kind, text });
        Ok(self.supervisor.send(&alarm, &[])?)
    }

    fn close(self) -> Result<(), Failure> {
        Ok(self.keeper.close()?)
    }
}
