//! Before there is a peer: a store without a state, and no file with the genesis state. Other peers have it (`spec/05 §14.2`).
//!
//! The settings name the network by the hash of its genesis state, so whoever sends it need not be trusted. What came of it is in the
//! store already when this is interrupted. Belief and blocks follow as they do for a peer that was away.

use cells::{Cell, Hash, Source};
use signing::Now;

use super::acquisition::{Failure, Fetcher, Wanted};
use super::event::{
    Action, AlarmKind, Channel, Connection, Event, Outgoing, Reach, Request, Target,
};
use super::progress::{Progress, Stage};
use super::saving::Saver;
use crate::source::Shelf;

/// Milliseconds until it is tried again after a failure.
const AGAIN: u64 = 500;
/// Longest wait, milliseconds.
const IDLE: u64 = 500;

/// What is known before there is a peer, and what is wanted.
pub struct Joining {
    network: Hash,
    /// Whether the genesis state is wanted from others.
    wanted: bool,
    opened: Vec<Connection>,
    reach: Option<Reach>,
    fetcher: Fetcher,
    saver: Saver,
    tickets: u64,
    not_before: u64,
}

/// What a peer takes over from its joining.
#[derive(Default)]
pub struct Joined {
    /// Connections to other peers: `netd` tells of each once.
    pub opened: Vec<Connection>,
    /// How many there could be.
    pub reach: Option<Reach>,
    /// What the store was given.
    pub saver: Saver,
    /// What is known of those that were asked.
    pub fetcher: Fetcher,
    /// Number of the last request.
    pub tickets: u64,
}

impl Joining {
    /// Nothing is wanted yet.
    #[must_use]
    pub fn new(network: Hash) -> Self {
        Self {
            network,
            wanted: false,
            opened: Vec::new(),
            reach: None,
            fetcher: Fetcher::default(),
            saver: Saver::default(),
            tickets: 0,
            not_before: 0,
        }
    }

    /// The genesis state is to be had from others.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// There is a peer, which takes over.
    pub fn end(&mut self) -> Joined {
        self.wanted = false;
        Joined {
            opened: std::mem::take(&mut self.opened),
            reach: self.reach.take(),
            saver: std::mem::take(&mut self.saver),
            fetcher: std::mem::take(&mut self.fetcher),
            tickets: self.tickets,
        }
    }

    /// How far it is, once something is wanted.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.wanted.then(|| Progress {
            stage: Stage::Genesis,
            acquired: self.fetcher.acquired(),
            sources: self.opened.len(),
            done: self.fetcher.done(),
            blocks: 0,
            known_blocks: 0,
        })
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Now, shelf: &Shelf, out: &mut Vec<Action>) {
        match event {
            Event::Opened(connection) => {
                self.opened.push(connection);
                self.fetcher.sources().opened(connection);
            }
            Event::Reach(reach) => self.reach = Some(reach),
            Event::Closed(connection) => {
                self.opened.retain(|c| *c != connection);
                self.fetcher.closed(connection);
            }
            Event::Link(Channel::Net, _) => {
                self.opened.clear();
                self.reach = None;
                self.fetcher.clear();
            }
            Event::Link(Channel::Store, up) => self.saver.link(up),
            Event::Durable(sequence) => self.saver.durable_up_to(sequence, shelf, out),
            Event::NotStored { sequence, text } => {
                self.saver.refused(sequence, now.steady + 1_000);
                out.push(Action::Alarm(AlarmKind::Store, text));
            }
            Event::Answered { ticket, answer } => {
                self.fetcher
                    .answered(ticket, answer.as_ref(), now.steady, shelf);
            }
            _ => {}
        }
    }

    /// Asks for what is lacking; the genesis state once all of it is there.
    pub fn advance(&mut self, now: Now, shelf: &Shelf, out: &mut Vec<Action>) -> Option<Cell> {
        if !self.wanted {
            return None;
        }
        if self.fetcher.goals() == 0 && now.steady >= self.not_before {
            let wanted = Wanted::Hash(self.network);
            let begun = self.fetcher.want(wanted, None, now.steady, shelf);
            if let Some(Err(failure)) = begun {
                self.failed(&failure, now);
            }
        }
        let mut whole = false;
        while let Some(ended) = self.fetcher.ended(now.steady) {
            match ended.outcome {
                Ok(()) => whole = true,
                Err(failure) => self.failed(&failure, now),
            }
        }
        self.saver.take_fetched(&mut self.fetcher, whole);
        self.saver.send(now.steady, out);
        if whole {
            let acquired = self.fetcher.acquired();
            log::info!(
                "EVENT=genesis_acquired cells={} bytes={}",
                acquired.cells,
                acquired.bytes
            );
            return shelf.load(&self.network).ok();
        }
        for (ticket, source, hashes) in self.fetcher.requests(&mut self.tickets, now.steady, shelf)
        {
            let request = Request::Data(hashes);
            out.push(Action::Net(Outgoing::Request(
                ticket,
                Target::Opened(source),
                request,
            )));
        }
        None
    }

    /// Milliseconds until something is due.
    #[must_use]
    pub fn wait(&self, now: Now) -> u64 {
        let due = self.fetcher.next(now.steady);
        due.map_or(IDLE, |time| time.saturating_sub(now.steady).clamp(1, IDLE))
    }

    fn failed(&mut self, failure: &Failure, now: Now) {
        self.not_before = now.steady + AGAIN;
        let why = match failure {
            Failure::Nowhere(hash) => format!(
                "no connected peer has the cell {hash}: are they of the network {}?",
                self.network
            ),
            Failure::Stalled if self.opened.is_empty() => {
                "no other peer is connected: network.peers has to name one that can be reached"
                    .to_owned()
            }
            Failure::Stalled => "the connected peers don't answer".to_owned(),
            Failure::TooMuch => "the first part of it is there".to_owned(),
            Failure::Malformed => "its hash is that of no state".to_owned(),
            Failure::Store(error) => error.to_string(),
        };
        log::warn!("the genesis state: {why}; it is tried again, what came already is kept");
    }
}
