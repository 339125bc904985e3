//! A connection that this side opened: requests and their answers.

use std::collections::BTreeMap;

use cells::{Cell, CellError, Decoder, decode_partial};
use signing::{Identity, Now, Rate, TokenBucket};

use crate::outbox::Outbox;
use crate::{
    CloseReason, DropReason, FrameLimits, FrameReader, Header, Kind, Message, Reply,
    check_challenge, frame,
};

/// Limits of a connection. Times are milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiallerConfig {
    /// Longest frames.
    pub frames: FrameLimits,
    /// Most requests without an answer.
    pub max_pending: usize,
    /// Time for an answer (`spec/06 §12`).
    pub timeout: u64,
    /// Most bytes that wait for being written.
    pub send_buffer: usize,
    /// Challenges that are passed on for an answer. Beyond it they are dropped.
    pub challenges: Rate,
}

impl Default for DiallerConfig {
    fn default() -> Self {
        Self {
            frames: FrameLimits::DIALLED,
            max_pending: 10_000,
            timeout: 8_000,
            send_buffer: 64 << 20,
            challenges: Rate::new(1, 10),
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiallerAction {
    /// Write these bytes, then say so with [`Dialler::written`].
    Send(Vec<u8>),
    /// The answer to a request of ours, as it arrived.
    Answered {
        /// Id of the request.
        id: i64,
        /// What was asked.
        kind: Kind,
        /// The message; its id is the only thing that was looked at.
        body: Vec<u8>,
    },
    /// Have this challenge answered, and hand the result to [`Dialler::send`].
    Challenged {
        /// Id of the challenge, and of the result.
        id: i64,
        /// The encoding of the signed challenge.
        signed: Vec<u8>,
    },
    /// Nothing, but count it.
    Drop(DropReason),
    /// Close the connection. Nothing comes after this.
    Close(CloseReason),
}

/// Why a request is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Too many requests wait for an answer.
    #[error("too many requests without an answer")]
    Pending,
    /// Too much waits for being written.
    #[error("the other side does not read")]
    Full,
    /// The message can't be encoded.
    #[error("request can't be encoded: {0}")]
    Encode(#[from] CellError),
    /// The message is longer than any may be.
    #[error("message is empty or longer than a frame may be")]
    Length,
    /// The connection is closed.
    #[error("connection is closed")]
    Closed,
}

/// One connection from the side that opened it.
#[derive(Debug, Clone)]
pub struct Dialler {
    identity: Option<Identity>,
    config: DiallerConfig,
    reader: FrameReader,
    outbox: Outbox,
    challenges: TokenBucket,
    next_id: i64,
    /// What was asked, and until when an answer is waited for.
    pending: BTreeMap<i64, (Kind, u64)>,
    closed: bool,
}

impl Dialler {
    /// A connection that has just been opened; with an identity it answers challenges.
    #[must_use]
    pub fn new(identity: Option<Identity>, config: DiallerConfig, now: Now) -> Self {
        Self {
            identity,
            config,
            reader: FrameReader::new(config.frames),
            outbox: Outbox::new(config.send_buffer),
            challenges: TokenBucket::new(config.challenges, now.steady),
            next_id: 0,
            pending: BTreeMap::new(),
            closed: false,
        }
    }

    /// Sends a request that `message` makes of its id, counted from 0: the id and the bytes to write.
    ///
    /// # Errors
    /// When it is not sent. Then nothing has changed.
    pub fn request(
        &mut self,
        now: Now,
        message: impl FnOnce(i64) -> Message,
    ) -> Result<(i64, Vec<u8>), RequestError> {
        if self.pending.len() >= self.config.max_pending {
            return Err(RequestError::Pending);
        }
        let id = self.next_id;
        let message = message(id);
        let bytes = self.send(&message.encode()?)?;
        let until = now.steady.saturating_add(self.config.timeout);
        self.pending.insert(id, (message.kind(), until));
        self.next_id = self.next_id.wrapping_add(1);
        Ok((id, bytes))
    }

    /// Sends a message that has no answer: a belief, a result, a goodbye. The bytes to write.
    ///
    /// # Errors
    /// When it is not sent.
    pub fn send(&mut self, body: &[u8]) -> Result<Vec<u8>, RequestError> {
        if self.closed {
            return Err(RequestError::Closed);
        }
        let bytes = frame(body).ok_or(RequestError::Length)?;
        if self.outbox.add(bytes.len()) {
            Ok(bytes)
        } else {
            Err(RequestError::Full)
        }
    }

    /// Takes bytes off `input` up to the next thing to do; `None` when all is taken.
    pub fn receive(&mut self, input: &mut &[u8], now: Now) -> Option<DiallerAction> {
        if self.closed {
            return None;
        }
        match self.reader.read(input) {
            Err(error) => Some(self.close(error.into())),
            Ok(None) => None,
            Ok(Some(body)) => Some(self.message(body, now)),
        }
    }

    fn message(&mut self, body: Vec<u8>, now: Now) -> DiallerAction {
        let Some(header) = Header::peek(&body) else {
            return DiallerAction::Drop(DropReason::Unknown);
        };
        match (header.kind, header.id) {
            (Kind::Result, Some(id)) => match self.pending.remove(&id) {
                Some((kind, _)) => DiallerAction::Answered { id, kind, body },
                None => DiallerAction::Drop(DropReason::UnexpectedResult),
            },
            (Kind::Result, None) => DiallerAction::Drop(DropReason::UnexpectedResult),
            (Kind::Challenge, Some(id)) => self.challenged(&body, id, now),
            (Kind::Challenge, None) => DiallerAction::Drop(DropReason::NoId),
            (Kind::Goodbye, _) => self.close(CloseReason::Goodbye),
            (Kind::Unknown, _) => DiallerAction::Drop(DropReason::Unknown),
            _ => DiallerAction::Drop(DropReason::NotForDialler),
        }
    }

    fn challenged(&mut self, body: &[u8], id: i64, now: Now) -> DiallerAction {
        let Some(identity) = &self.identity else {
            return DiallerAction::Drop(DropReason::NotForDialler);
        };
        let payload = decode_partial(body, &Decoder::new().generic());
        let Ok((Cell::Vector(payload), _)) = payload else {
            return DiallerAction::Drop(DropReason::Unknown);
        };
        let refusal = match check_challenge(&payload, id, identity) {
            Ok(received) if self.challenges.take(1, now.steady) => {
                let signed = received.encode();
                return DiallerAction::Challenged { id, signed };
            }
            Ok(_) => return DiallerAction::Drop(DropReason::ChallengeRate),
            Err(reply) => reply,
        };
        self.refuse(&refusal)
    }

    fn refuse(&mut self, reply: &Reply) -> DiallerAction {
        let bytes = reply.encode().map_err(RequestError::from);
        match bytes.and_then(|body| self.send(&body)) {
            Ok(bytes) => DiallerAction::Send(bytes),
            Err(_) => self.close(CloseReason::SlowReader),
        }
    }

    fn close(&mut self, reason: CloseReason) -> DiallerAction {
        self.closed = true;
        DiallerAction::Close(reason)
    }

    /// Notes that bytes were written.
    pub fn written(&mut self, bytes: usize) {
        self.outbox.written(bytes);
    }

    /// Bytes of memory that are held for a frame that is arriving.
    #[must_use]
    pub fn held(&self) -> usize {
        self.reader.held()
    }

    /// When (steady milliseconds) the next request runs out of time.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        // Ids ascend with time, so the first is the oldest.
        self.pending.first_key_value().map(|(_, (_, until))| *until)
    }

    /// The requests whose time is up. Answers that come later are dropped.
    pub fn expire(&mut self, now: Now) -> Vec<(i64, Kind)> {
        let mut over = Vec::new();
        while let Some(entry) = self.pending.first_entry() {
            let (kind, until) = *entry.get();
            if until > now.steady {
                break;
            }
            over.push((*entry.key(), kind));
            entry.remove();
        }
        over
    }
}
