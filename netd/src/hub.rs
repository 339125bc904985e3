//! What all connections share: the way to consensus, the store, the status, and how much room there is.

use cells::{Cell, DecodeError, Decoder, decode_partial};
use ipc::net::{Connection, FromNet};
use ipc::{Bytes, Epoch};
use signing::{Identity, Now};
use wire::{Code, DataRequest, Forward, Kind, Message, Reply};

use crate::beliefs::Beliefs;
use crate::counters::{Counter, Counters};
use crate::data::DataService;
use crate::flow::{Asked, Flow, Request};
use crate::limits::Limits;
use crate::link::Link;

/// What is shared.
#[derive(Debug)]
pub struct Hub {
    /// Who this peer is.
    pub identity: Identity,
    /// The limits.
    pub limits: Limits,
    /// The time, as of this turn of the loop.
    pub now: Now,
    /// What is counted.
    pub counters: Counters,
    /// The channel to consensus, while there is one.
    pub link: Option<Link>,
    /// Requests that consensus has.
    pub flow: Flow,
    /// The store.
    pub data: DataService,
    /// Bytes that connections hold.
    pub memory: usize,
    /// Set when there may be room for what waits.
    pub room_made: bool,
    /// Messages that this round has passed on to consensus.
    pub passed: u64,
    status: Option<Cell>,
    beliefs: Beliefs,
}

/// What becomes of a message for consensus.
#[derive(Debug)]
pub enum Passed {
    /// It is on its way, or was dropped and counted.
    Done,
    /// It has to wait for room.
    Wait(Forward),
}

impl Hub {
    /// Without a channel, a store or a status yet.
    #[must_use]
    pub fn new(identity: Identity, limits: Limits, data: DataService, now: Now) -> Self {
        Self {
            identity,
            now,
            counters: Counters::default(),
            link: None,
            flow: Flow::new(limits.room),
            data,
            memory: 0,
            room_made: false,
            passed: 0,
            status: None,
            beliefs: Beliefs::new(limits.beliefs, limits.peer_beliefs, now),
            limits,
        }
    }

    /// The channel, where the other side has greeted and does not lag behind.
    fn open_link(&mut self) -> Option<&mut Link> {
        let most = self.limits.link;
        self.link
            .as_mut()
            .filter(|link| link.is_open() && link.waiting() < most)
    }

    /// True when consensus takes messages.
    #[must_use]
    pub fn has_link_room(&self) -> bool {
        let open = |link: &Link| link.is_open() && link.waiting() < self.limits.link;
        self.link.as_ref().is_some_and(open)
    }

    /// Passes a message of an accepted connection on.
    pub fn pass(&mut self, connection: Connection, asked: &mut Asked, forward: Forward) -> Passed {
        match forward.kind {
            Kind::Query | Kind::Transact => {
                if !self.has_link_room() || !self.flow.admits(asked, forward.body.len()) {
                    return Passed::Wait(forward);
                }
                self.ask(asked, &forward);
                self.send(connection, forward);
            }
            Kind::Challenge => {
                let whole = whole_challenge(&forward);
                let (true, Some(body)) = (self.has_link_room(), whole) else {
                    self.counters.count(Counter::ChallengesDropped);
                    return Passed::Done;
                };
                self.ask(asked, &forward);
                self.send(connection, Forward { body, ..forward });
            }
            Kind::Belief => {
                if !self.keeps_up_with(&forward) {
                    self.counters.count(Counter::BeliefsDropped);
                } else if !self
                    .beliefs
                    .take(forward.trusted, forward.body.len(), self.now)
                {
                    self.counters.count(Counter::BeliefsBeyondRate);
                } else {
                    self.send(connection, forward);
                }
            }
            _ if self.has_link_room() => self.send(connection, forward),
            _ => self.counters.count(Counter::ChallengesDropped),
        }
        Passed::Done
    }

    fn ask(&mut self, asked: &mut Asked, forward: &Forward) {
        let request = Request {
            id: forward.id.unwrap_or_default(),
            // Frames are shorter than 2^32.
            bytes: forward.body.len() as u32,
            kind: forward.kind,
        };
        self.flow.ask(asked, request);
    }

    /// Whether consensus keeps up well enough for a belief: requests go before, and beliefs of peers before those of strangers.
    fn keeps_up_with(&mut self, belief: &Forward) -> bool {
        let most = self.limits.link;
        let part = if belief.trusted.is_some() { 2 } else { 4 };
        let link = self.open_link();
        link.is_some_and(|link| link.waiting() <= most / part)
    }

    fn send(&mut self, connection: Connection, forward: Forward) {
        self.counters.count(Counter::Forwarded);
        self.passed += 1;
        let message = FromNet::Message {
            connection,
            trusted: forward.trusted.map(|key| key.to_bytes()),
            body: Bytes::from(forward.body),
        };
        self.tell(&message);
    }

    /// Sends a message to consensus, if there is a channel.
    pub fn tell(&mut self, message: &FromNet) {
        if let Some(link) = &mut self.link {
            link.send(message);
        }
    }

    /// Has a challenge for a connection signed, if consensus keeps up; else the next belief asks again.
    pub fn want_challenge(&mut self, connection: Connection) {
        if let Some(link) = self.open_link() {
            link.send(&FromNet::WantChallenge { connection });
        } else {
            self.counters.count(Counter::ChallengesDropped);
        }
    }

    /// A data request goes to the store, or has to wait for room.
    ///
    /// # Errors
    /// The request, when it has to wait.
    pub fn ask_store(
        &mut self,
        connection: Connection,
        of_connection: usize,
        request: DataRequest,
    ) -> Result<(), DataRequest> {
        if of_connection >= self.limits.data_per_connection || !self.data.has_room() {
            return Err(request);
        }
        self.data.ask(connection, request);
        Ok(())
    }

    /// The value of all status replies from now on.
    ///
    /// # Errors
    /// When it is no whole cell.
    pub fn set_status(&mut self, encoding: &[u8]) -> Result<(), DecodeError> {
        let (status, missing) = decode_partial(encoding, &Decoder::new().generic())?;
        if !missing.is_empty() {
            return Err(DecodeError::BadFormat(
                "status with cells that did not come along",
            ));
        }
        self.status = Some(status);
        Ok(())
    }

    /// The answer to a status request.
    #[must_use]
    pub fn status_reply(&mut self, id: i64) -> Reply {
        self.counters.count(Counter::Statuses);
        match &self.status {
            Some(status) => Reply::ok(id, status.clone()),
            // The reference fails so as long as it has no order of its own (`spec/06 §6.2`).
            None => Reply::rejected(id, Code::Exception, "The peer has no status yet"),
        }
    }

    /// Takes a channel into use.
    pub fn set_link(&mut self, link: Link, epoch: Epoch) {
        log::debug!("a channel to consensusd, epoch {}", epoch.0);
        self.counters.count(Counter::Links);
        self.link = Some(link);
    }
}

/// The challenge as the message that it came in: the connection hands on its signed part only.
fn whole_challenge(forward: &Forward) -> Option<Vec<u8>> {
    let (payload, _) = decode_partial(&forward.body, &Decoder::new().generic()).ok()?;
    let Cell::Signed(signed) = payload else {
        return None;
    };
    let id = forward.id?;
    Message::Challenge { id, signed }.encode().ok()
}

/// The answer to a request whose outcome nobody will tell, since consensus ended.
#[must_use]
pub fn restarted(request: &Request) -> Reply {
    match request.kind {
        // It may have become part of a block, so it is not said that it has not.
        Kind::Transact => {
            let text = "The peer restarted before the outcome was known; look at the sequence before trying again";
            Reply::rejected(request.id, Code::Timeout, text)
        }
        _ => {
            let text = "The peer restarted before it answered; try again";
            Reply::rejected(request.id, Code::Load, text)
        }
    }
}
