//! A connection that the other side opened: what comes in, and what to do about it.

use std::collections::VecDeque;

use cells::{Cell, Decoder, Signed, decode_partial};
use crypto::AccountKey;
use signing::{Identity, Now, Rate, TokenBucket};

use crate::outbox::Outbox;
use crate::{
    CloseReason, Code, DataRequest, DropReason, FrameLimits, FrameReader, Header, Kind, Message,
    Reply, check_challenge, frame,
};

/// Limits of a connection. Times are milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptorConfig {
    /// Longest frames.
    pub frames: FrameLimits,
    /// Time for a frame to arrive, however short it is.
    pub frame_time: u64,
    /// Bytes each second at which longer frames have to arrive; 0 gives them no more time than short ones.
    pub frame_rate: u64,
    /// Time without a byte after which the connection is closed. The reference has none.
    pub idle: Option<u64>,
    /// Most bytes of replies that wait for being written.
    pub reply_buffer: usize,
    /// Time for the answer to a challenge (`spec/06 §8.3`).
    pub verification: u64,
    /// Messages that are read. Beyond it, nothing is read for a while, and the other side has to wait.
    pub messages: Rate,
    /// The same for bytes.
    pub bytes: Rate,
    /// Challenges that are passed on for an answer. Beyond it they are dropped.
    pub challenges: Rate,
}

impl Default for AcceptorConfig {
    fn default() -> Self {
        Self {
            frames: FrameLimits::ACCEPTED,
            frame_time: 30_000,
            frame_rate: 16_384,
            idle: None,
            reply_buffer: 16 << 20,
            verification: 5_000,
            messages: Rate::new(50_000, 100_000),
            bytes: Rate::new(16 << 20, 32 << 20),
            challenges: Rate::new(1, 10),
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write these bytes, then say so with [`Acceptor::written`].
    Send(Vec<u8>),
    /// Answer with the status of the peer: [`Reply::ok`] with [`crate::Status::to_cell`], by [`Acceptor::reply`].
    AnswerStatus {
        /// Id of the request.
        id: i64,
    },
    /// Answer from the store: [`crate::answer_data`], by [`Acceptor::reply`].
    AnswerData(DataRequest),
    /// Pass this on to consensus. A full queue is waited for, and nothing of this connection read meanwhile; after 8 s the answer
    /// is [`Reply::overloaded`].
    Forward(Forward),
    /// Have a challenge to anybody signed, and hand it to [`Acceptor::challenge`].
    AskChallenge,
    /// Nothing, but count it.
    Drop(DropReason),
    /// Close the connection. Nothing comes after this.
    Close(CloseReason),
}

/// A message for consensus, as it arrived. Whoever gets it decodes and checks it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Its type: query, transact, challenge, belief, or the result that answers our challenge.
    pub kind: Kind,
    /// Its id.
    pub id: Option<i64>,
    /// The key that this connection has proven, for the priority of beliefs.
    pub trusted: Option<AccountKey>,
    /// The message.
    pub body: Vec<u8>,
}

/// Where the verification of the other side stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verification {
    None,
    /// A challenge is being signed.
    Signing {
        until: u64,
    },
    /// It was sent with this id.
    Sent {
        id: i64,
        until: u64,
    },
    /// The answer is being checked.
    Checking {
        until: u64,
    },
    Trusted(AccountKey),
}

/// One accepted connection.
///
/// ```
/// use signing::{Identity, Now};
/// use wire::{Acceptor, AcceptorConfig, Action, Reply, frame};
///
/// let identity = Identity { key: crypto::AccountKey::new([1; 32]), network: cells::Hash([2; 32]) };
/// let now = Now { wall: 1_735_056_000_000, steady: 0 };
/// let mut connection = Acceptor::new(identity, AcceptorConfig::default(), now);
/// let mut input = &b"\x0a\x80\x02\x33\x04PING\x11\x01"[..];
/// let answer = Reply::ok(1, cells::Cell::Long(now.wall)).encode()?;
/// assert_eq!(connection.receive(&mut input, now), frame(&answer).map(Action::Send));
/// assert_eq!(connection.receive(&mut input, now), None);
/// # Ok::<(), cells::CellError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Acceptor {
    identity: Identity,
    config: AcceptorConfig,
    reader: FrameReader,
    outbox: Outbox,
    messages: TokenBucket,
    bytes: TokenBucket,
    challenges: TokenBucket,
    verification: Verification,
    next_challenge: i64,
    /// When the frame that is arriving began.
    frame_began: Option<u64>,
    last_byte: u64,
    /// Further actions of the message that was read last; at most two.
    further: VecDeque<Action>,
    closed: bool,
}

impl Acceptor {
    /// A connection that has just been accepted.
    #[must_use]
    pub fn new(identity: Identity, config: AcceptorConfig, now: Now) -> Self {
        let bucket = |rate| TokenBucket::new(rate, now.steady);
        Self {
            identity,
            config,
            reader: FrameReader::new(config.frames),
            outbox: Outbox::new(config.reply_buffer),
            messages: bucket(config.messages),
            bytes: bucket(config.bytes),
            challenges: bucket(config.challenges),
            verification: Verification::None,
            next_challenge: 1,
            frame_began: None,
            last_byte: now.steady,
            further: VecDeque::new(),
            closed: false,
        }
    }

    /// Takes bytes off `input` up to the next thing to do. `None` when all is taken, or for the time being nothing may be
    /// ([`Acceptor::paused_until`]); call it again with what is left.
    pub fn receive(&mut self, input: &mut &[u8], now: Now) -> Option<Action> {
        if let Some(action) = self.further.pop_front() {
            return Some(action);
        }
        if self.closed || self.paused_until(now).is_some() {
            return None;
        }
        let before = input.len();
        let read = self.reader.read(input);
        let taken = before - input.len();
        if taken > 0 {
            self.last_byte = now.steady;
            self.bytes
                .spend(u32::try_from(taken).unwrap_or(u32::MAX), now.steady);
        }
        match read {
            Err(error) => Some(self.close(error.into())),
            Ok(None) => {
                if self.reader.is_within_frame() {
                    self.frame_began.get_or_insert(now.steady);
                }
                None
            }
            Ok(Some(body)) => {
                self.frame_began = None;
                self.messages.spend(1, now.steady);
                Some(self.message(body, now))
            }
        }
    }

    /// Until when (steady milliseconds) nothing is read, since this connection is beyond its rates; `None` when it is not.
    #[must_use]
    pub fn paused_until(&self, now: Now) -> Option<u64> {
        let messages = self.messages.free_at(now.steady);
        messages.max(self.bytes.free_at(now.steady))
    }

    fn message(&mut self, body: Vec<u8>, now: Now) -> Action {
        let Some(header) = Header::peek(&body) else {
            return self.inline(&body, now);
        };
        match header.kind {
            Kind::Query if header.id.is_none() => self.close(CloseReason::QueryWithoutId),
            Kind::Query if header.count < 4 => {
                let id = header.id.unwrap_or_default();
                self.reply_with(&Reply::rejected(id, Code::Format, "Bad Message Format!"))
            }
            Kind::Transact if header.id.is_none() => Action::Drop(DropReason::NoId),
            Kind::Query | Kind::Transact => self.forward(header, body),
            Kind::Belief => {
                self.begin_verification(now);
                let forward = self.forward(header, body);
                self.after_further(forward)
            }
            Kind::Result => self.result(header, body, now),
            _ => self.inline(&body, now),
        }
    }

    /// Messages that are answered here, hence decoded here.
    fn inline(&mut self, body: &[u8], now: Now) -> Action {
        // Generic: nothing that is answered here depends on what records mean.
        let payload = match decode_partial(body, &Decoder::new().generic()) {
            Ok((payload, _)) => payload,
            Err(error) => return self.reply_with(&Reply::undecodable(body, &error)),
        };
        let header = Header::of_payload(&payload);
        match (header.kind, header.id) {
            (Kind::Status, Some(id)) => Action::AnswerStatus { id },
            (Kind::Ping, Some(id)) => self.reply_with(&Reply::ok(id, Cell::Long(now.wall))),
            (Kind::DataRequest, _) => match Message::read(payload) {
                Ok(Message::DataRequest(request)) => Action::AnswerData(request),
                _ => Action::Drop(DropReason::BadDataRequest),
            },
            (Kind::Challenge, Some(id)) => self.challenged(&payload, id, now),
            (Kind::Goodbye, _) => self.close(CloseReason::Goodbye),
            (Kind::LatticeQuery, Some(id)) => {
                let text = "Unrecognised message type";
                self.reply_with(&Reply::rejected(id, Code::Format, text))
            }
            (Kind::LatticeValue, _) => Action::Drop(DropReason::LatticeValue),
            (Kind::Query, None) => self.close(CloseReason::QueryWithoutId),
            // Only with their first elements in a cell further on, which no client makes.
            (Kind::Query | Kind::Transact, Some(_)) => self.forward(header, body.to_vec()),
            (
                Kind::Status | Kind::Ping | Kind::Challenge | Kind::LatticeQuery | Kind::Transact,
                None,
            ) => Action::Drop(DropReason::NoId),
            (Kind::Belief | Kind::Result | Kind::Unknown, _) => Action::Drop(DropReason::Unknown),
        }
    }

    fn challenged(&mut self, payload: &Cell, id: i64, now: Now) -> Action {
        let Cell::Vector(vector) = payload else {
            return Action::Drop(DropReason::Unknown);
        };
        let received = match check_challenge(vector, id, &self.identity) {
            Ok(received) => received,
            Err(reply) => return self.reply_with(&reply),
        };
        if !self.challenges.take(1, now.steady) {
            return Action::Drop(DropReason::ChallengeRate);
        }
        // Who asks for our key shows that it wants beliefs exchanged (`spec/06 §8.3`).
        self.begin_verification(now);
        let forward = Action::Forward(Forward {
            kind: Kind::Challenge,
            id: Some(id),
            trusted: self.trusted(),
            body: received.encode(),
        });
        self.after_further(forward)
    }

    /// `last` after what waits already: the first of them.
    fn after_further(&mut self, last: Action) -> Action {
        match self.further.pop_front() {
            None => last,
            Some(first) => {
                self.further.push_back(last);
                first
            }
        }
    }

    fn begin_verification(&mut self, now: Now) {
        let until = now.steady.saturating_add(self.config.verification);
        self.expire_verification(now);
        if self.verification == Verification::None {
            self.verification = Verification::Signing { until };
            self.further.push_back(Action::AskChallenge);
        }
    }

    fn expire_verification(&mut self, now: Now) {
        match self.verification {
            Verification::Signing { until }
            | Verification::Sent { until, .. }
            | Verification::Checking { until }
                if until <= now.steady =>
            {
                self.verification = Verification::None;
            }
            _ => {}
        }
    }

    /// Sends the challenge that was asked for by [`Action::AskChallenge`]; `None` when it comes too late.
    pub fn challenge(&mut self, signed: Signed, now: Now) -> Option<Action> {
        self.expire_verification(now);
        if !matches!(self.verification, Verification::Signing { .. }) || self.closed {
            return None;
        }
        let id = self.next_challenge;
        self.next_challenge = self.next_challenge.wrapping_add(1);
        let until = now.steady.saturating_add(self.config.verification);
        self.verification = Verification::Sent { id, until };
        let body = Message::Challenge { id, signed }.encode().ok()?;
        Some(self.reply(&body))
    }

    fn result(&mut self, header: Header, body: Vec<u8>, now: Now) -> Action {
        self.expire_verification(now);
        match self.verification {
            // By its id, not merely by its connection (`spec/06 §14`).
            Verification::Sent { id, until } if header.id == Some(id) => {
                self.verification = Verification::Checking { until };
                self.forward(header, body)
            }
            _ => Action::Drop(DropReason::UnexpectedResult),
        }
    }

    /// The outcome of checking the answer to our challenge: the key that it proves, if it is a peer's.
    pub fn verified(&mut self, key: Option<AccountKey>) {
        if matches!(self.verification, Verification::Checking { .. }) {
            self.verification = key.map_or(Verification::None, Verification::Trusted);
        }
    }

    /// The key that the other side has proven.
    #[must_use]
    pub fn trusted(&self) -> Option<AccountKey> {
        match self.verification {
            Verification::Trusted(key) => Some(key),
            _ => None,
        }
    }

    fn forward(&self, header: Header, body: Vec<u8>) -> Action {
        Action::Forward(Forward {
            kind: header.kind,
            id: header.id,
            trusted: self.trusted(),
            body,
        })
    }

    fn reply_with(&mut self, reply: &Reply) -> Action {
        match reply.encode() {
            Ok(body) => self.reply(&body),
            // Replies made here have no branch that could be missing.
            Err(_) => Action::Drop(DropReason::Unknown),
        }
    }

    /// Sends a message; or closes the connection when the other side leaves too much unread.
    pub fn reply(&mut self, body: &[u8]) -> Action {
        match frame(body) {
            Some(bytes) if self.outbox.add(bytes.len()) => Action::Send(bytes),
            Some(_) => self.close(CloseReason::SlowReader),
            // Nothing is made that long.
            None => Action::Drop(DropReason::Unknown),
        }
    }

    /// Notes that bytes of [`Action::Send`] were written.
    pub fn written(&mut self, bytes: usize) {
        self.outbox.written(bytes);
    }

    /// Bytes that were handed out and not written yet.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.outbox.queued()
    }

    /// Bytes of memory that are held for a frame that is arriving.
    #[must_use]
    pub fn held(&self) -> usize {
        self.reader.held()
    }

    fn close(&mut self, reason: CloseReason) -> Action {
        self.closed = true;
        self.further.clear();
        Action::Close(reason)
    }

    /// When (steady milliseconds) to call [`Acceptor::tick`], if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let frame = self.frame_deadline();
        let idle = self.idle_deadline();
        match (frame, idle) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn frame_deadline(&self) -> Option<u64> {
        let began = self.frame_began?;
        let length = self.reader.frame_length() as u64;
        let more = (length * 1_000).checked_div(self.config.frame_rate);
        let time = self.config.frame_time.saturating_add(more.unwrap_or(0));
        Some(began.saturating_add(time))
    }

    fn idle_deadline(&self) -> Option<u64> {
        Some(self.last_byte.saturating_add(self.config.idle?))
    }

    /// Closes the connection when its time is up. Not to be called while the connection is paused or its input is held back: that is
    /// not the other side's doing.
    pub fn tick(&mut self, now: Now) -> Option<Action> {
        let over = |deadline: Option<u64>| deadline.is_some_and(|d| d <= now.steady);
        if self.closed {
            return None;
        }
        if over(self.frame_deadline()) {
            return Some(self.close(CloseReason::SlowFrame));
        }
        over(self.idle_deadline()).then(|| self.close(CloseReason::Idle))
    }
}
