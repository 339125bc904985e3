//! One accepted connection: its socket, its state machine, and what waits in either direction.

use std::io::{self, Read};
use std::mem;
use std::net::SocketAddr;

use crypto::AccountKey;
use ipc::net::Connection;
use mio::net::TcpStream;
use wire::{Acceptor, Action, CloseReason, Code, DataRequest, Forward, Reply};

use crate::counters::Counter;
use crate::flow::Asked;
use crate::hub::{Hub, Passed, restarted};
use crate::out_buffer::OutBuffer;

/// Replies that may wait before nothing more is read: whoever asks faster than it reads answers has to wait.
const UNREAD: usize = 1 << 20;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum Ending {
    /// By the rules of the protocol.
    #[error("{0}")]
    Protocol(CloseReason),
    /// The other side closed it.
    #[error("the other side closed the connection")]
    Gone,
    /// The system reports an error.
    #[error("{0}")]
    Failed(io::Error),
    /// It does not read its replies.
    #[error("replies were not taken for too long")]
    Unread,
    /// All connections together hold too much memory, and this one most.
    #[error("connections hold too much memory, and this one most")]
    Memory,
    /// Its network may not connect any more.
    #[error("its network may not connect any more")]
    Denied,
    /// Consensus wants it closed.
    #[error("{0}")]
    Consensus(String),
    /// This process answers nobody any more.
    #[error("this peer ends")]
    Over,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is left to read.
    Drained,
    /// There may be more.
    More,
    /// A request waits for room.
    Waiting,
    /// Nothing may be read before this time, steady milliseconds.
    Paused(u64),
    /// The other side has to read first.
    Unread,
}

/// A request that waits for room.
#[derive(Debug)]
enum Held {
    Forward(Forward),
    Data(DataRequest),
}

/// The connection.
#[derive(Debug)]
pub struct Accepted {
    /// Its number.
    pub number: Connection,
    /// Who is at the other end.
    pub address: SocketAddr,
    /// More may be there to read.
    pub readable: bool,
    /// The other side has said that nothing follows: what it said before is still there to read.
    pub ended: bool,
    /// It is in the queue of those that have a turn.
    pub queued: bool,
    /// It is in the list of those that have something to write.
    pub dirty: bool,
    /// It is in the list of those that wait for room.
    pub waiting: bool,
    /// It is in the list of those that may be read again later.
    pub paused: bool,
    /// It is not read until its replies are.
    pub unread: bool,
    /// Bytes that are counted for it.
    pub counted: usize,
    socket: TcpStream,
    acceptor: Acceptor,
    out: OutBuffer,
    /// Bytes that were read and may not be looked at yet.
    stash: Vec<u8>,
    held: Option<(Held, u64)>,
    asked: Asked,
    /// Data requests that the store has.
    data: usize,
    /// When a reply was last taken, or there was none to take.
    progress: u64,
}

impl Accepted {
    /// A connection that has just been accepted.
    #[must_use]
    pub fn new(number: Connection, socket: TcpStream, address: SocketAddr, hub: &Hub) -> Self {
        Self {
            number,
            address,
            readable: false,
            ended: false,
            queued: false,
            dirty: false,
            waiting: false,
            paused: false,
            unread: false,
            counted: 0,
            socket,
            acceptor: Acceptor::new(hub.identity, hub.limits.acceptor, hub.now),
            out: OutBuffer::default(),
            stash: Vec::new(),
            held: None,
            asked: Asked::default(),
            data: 0,
            progress: hub.now.steady,
        }
    }

    /// The socket, for its events.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Reads once and acts on it, through `chunk`.
    ///
    /// # Errors
    /// When the connection has to be closed.
    pub fn turn(&mut self, hub: &mut Hub, chunk: &mut [u8]) -> Result<Turn, Ending> {
        if self.held.is_some() {
            return Ok(Turn::Waiting);
        }
        if self.out.len() > UNREAD {
            return Ok(Turn::Unread);
        }
        let stash = mem::take(&mut self.stash);
        let mut input = &stash[..];
        self.consume(&mut input, hub)?;
        if !input.is_empty() {
            self.stash = input.to_vec();
        }
        if let Some(turn) = self.obstacle(hub) {
            return Ok(turn);
        }
        if !self.readable {
            return Ok(Turn::Drained);
        }
        let read = match self.socket.read(chunk) {
            Ok(0) => return Err(Ending::Gone),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(Turn::Drained);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Turn::More),
            Err(error) => return Err(Ending::Failed(error)),
        };
        // Less than asked for: nothing is left, and what comes next makes an event; but the end may have come already.
        self.readable = self.ended || read == chunk.len();
        hub.counters.add(Counter::BytesIn, read as u64);
        let mut input = &chunk[..read];
        self.consume(&mut input, hub)?;
        if !input.is_empty() {
            self.stash = input.to_vec();
        }
        Ok(self.obstacle(hub).unwrap_or(if self.readable {
            Turn::More
        } else {
            Turn::Drained
        }))
    }

    /// What keeps the connection from being read.
    fn obstacle(&self, hub: &Hub) -> Option<Turn> {
        if self.held.is_some() {
            return Some(Turn::Waiting);
        }
        if self.out.len() > UNREAD {
            return Some(Turn::Unread);
        }
        self.acceptor.paused_until(hub.now).map(Turn::Paused)
    }

    fn consume(&mut self, input: &mut &[u8], hub: &mut Hub) -> Result<(), Ending> {
        while self.held.is_none() && self.out.len() <= UNREAD {
            let Some(action) = self.acceptor.receive(input, hub.now) else {
                break;
            };
            self.act(action, hub)?;
        }
        Ok(())
    }

    fn act(&mut self, action: Action, hub: &mut Hub) -> Result<(), Ending> {
        match action {
            Action::Send(bytes) => self.push(bytes, hub),
            Action::AnswerStatus { id } => {
                let reply = hub.status_reply(id);
                return self.reply(&reply, hub);
            }
            Action::AnswerData(request) => {
                let asked = hub.ask_store(self.number, self.data, request);
                match asked {
                    Ok(()) => self.data += 1,
                    Err(request) => self.hold(Held::Data(request), hub),
                }
            }
            Action::Forward(forward) => {
                if let Passed::Wait(forward) = hub.pass(self.number, &mut self.asked, forward) {
                    self.hold(Held::Forward(forward), hub);
                }
            }
            Action::AskChallenge => hub.want_challenge(self.number),
            Action::Drop(reason) => hub.counters.dropped(reason),
            Action::Close(reason) => return Err(Ending::Protocol(reason)),
        }
        Ok(())
    }

    fn push(&mut self, bytes: Vec<u8>, hub: &Hub) {
        if self.out.is_empty() {
            self.progress = hub.now.steady;
        }
        self.out.push(bytes);
    }

    fn hold(&mut self, held: Held, hub: &mut Hub) {
        hub.counters.count(Counter::Waits);
        self.held = Some((held, hub.now.steady));
    }

    fn reply(&mut self, reply: &Reply, hub: &mut Hub) -> Result<(), Ending> {
        match reply.encode() {
            Ok(body) => self.send(&body, hub),
            // Replies made here have no branch that could be missing.
            Err(_) => Ok(()),
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When too much is unread.
    pub fn send(&mut self, body: &[u8], hub: &mut Hub) -> Result<(), Ending> {
        let action = self.acceptor.reply(body);
        self.act(action, hub)
    }

    /// Sends the answer of consensus to a request.
    ///
    /// # Errors
    /// As [`Accepted::send`].
    pub fn answered(&mut self, body: &[u8], hub: &mut Hub) -> Result<(), Ending> {
        let id = wire::Header::peek(body).and_then(|header| header.id);
        if hub.flow.answered(&mut self.asked, id).is_none() {
            hub.counters.count(Counter::RepliesUnasked);
            return Ok(());
        }
        hub.room_made = true;
        hub.counters.count(Counter::Replies);
        self.send(body, hub)
    }

    /// Sends the answer of the store to a data request.
    ///
    /// # Errors
    /// As [`Accepted::send`].
    pub fn data_answered(&mut self, body: &[u8], hub: &mut Hub) -> Result<(), Ending> {
        self.data = self.data.saturating_sub(1);
        hub.room_made = true;
        self.send(body, hub)
    }

    /// Sends the challenge that was asked for.
    ///
    /// # Errors
    /// As [`Accepted::send`].
    pub fn challenge(&mut self, signed: cells::Signed, hub: &mut Hub) -> Result<(), Ending> {
        match self.acceptor.challenge(signed, hub.now) {
            Some(action) => self.act(action, hub),
            None => Ok(()),
        }
    }

    /// What consensus says of the proof that came.
    pub fn verified(&mut self, key: Option<AccountKey>) {
        self.acceptor.verified(key);
    }

    /// The key that the other side has proven.
    #[must_use]
    pub fn trusted(&self) -> Option<AccountKey> {
        self.acceptor.trusted()
    }

    /// Consensus has ended: what it was asked is answered by errors.
    ///
    /// # Errors
    /// As [`Accepted::send`].
    pub fn consensus_ended(&mut self, hub: &mut Hub) -> Result<(), Ending> {
        for request in hub.flow.forget(&mut self.asked) {
            hub.counters.count(Counter::Restarted);
            self.reply(&restarted(&request), hub)?;
        }
        Ok(())
    }

    /// Tries to pass on what waits: true when nothing waits any more.
    pub fn release(&mut self, hub: &mut Hub) -> bool {
        match self.held.take() {
            None => true,
            Some((Held::Forward(forward), since)) => {
                match hub.pass(self.number, &mut self.asked, forward) {
                    Passed::Done => true,
                    Passed::Wait(forward) => {
                        self.held = Some((Held::Forward(forward), since));
                        false
                    }
                }
            }
            Some((Held::Data(request), since)) => {
                match hub.ask_store(self.number, self.data, request) {
                    Ok(()) => {
                        self.data += 1;
                        true
                    }
                    Err(request) => {
                        self.held = Some((Held::Data(request), since));
                        false
                    }
                }
            }
        }
    }

    /// Gives up what has waited for too long, with an answer that says so: true when it did.
    ///
    /// # Errors
    /// As [`Accepted::send`].
    pub fn give_up(&mut self, hub: &mut Hub) -> Result<bool, Ending> {
        let patience = hub.limits.patience;
        let over = |since: &u64| hub.now.steady.saturating_sub(*since) >= patience;
        let Some((held, _)) = self.held.take_if(|(_, since)| over(since)) else {
            return Ok(false);
        };
        hub.counters.count(Counter::Overloaded);
        let reply = match held {
            Held::Forward(forward) => Reply::overloaded(forward.id.unwrap_or_default()),
            Held::Data(request) => Reply {
                id: request.id,
                ..Reply::rejected(0, Code::Load, "Trx overload")
            },
        };
        self.reply(&reply, hub)?;
        Ok(true)
    }

    /// Writes what waits, as far as the other side takes it.
    ///
    /// # Errors
    /// When the connection has failed.
    pub fn flush(&mut self, hub: &mut Hub) -> Result<(), Ending> {
        let written = self
            .out
            .write_to(&mut self.socket)
            .map_err(Ending::Failed)?;
        if written > 0 {
            self.progress = hub.now.steady;
            self.acceptor.written(written);
            hub.counters.add(Counter::BytesOut, written as u64);
        }
        Ok(())
    }

    /// Bytes that wait for being taken by the other side.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.out.len()
    }

    /// True when nothing is asked and nothing waits for being written.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.out.is_empty() && self.asked.is_empty() && self.data == 0 && self.held.is_none()
    }

    /// To be called now and then: gives memory back, and ends what takes too long.
    ///
    /// # Errors
    /// When the connection has to be closed.
    pub fn sweep(&mut self, hub: &Hub) -> Result<(), Ending> {
        self.out.rest();
        let now = hub.now.steady;
        if !self.out.is_empty() && now.saturating_sub(self.progress) >= hub.limits.unread {
            return Err(Ending::Unread);
        }
        // What waits here is not the other side's doing, nor is its silence while it waits for an answer.
        let busy = self.held.is_some()
            || !self.stash.is_empty()
            || self.acceptor.paused_until(hub.now).is_some();
        let answer_due = !self.asked.is_empty() || self.data > 0 || !self.out.is_empty();
        if busy || (answer_due && self.acceptor.held() == 0) {
            return Ok(());
        }
        match self.acceptor.tick(hub.now) {
            Some(Action::Close(reason)) => Err(Ending::Protocol(reason)),
            _ => Ok(()),
        }
    }

    /// Bytes of memory that the connection holds, itself included.
    #[must_use]
    pub fn held(&self) -> usize {
        let waiting = match &self.held {
            Some((Held::Forward(forward), _)) => forward.body.capacity(),
            Some((Held::Data(request), _)) => request.hashes.capacity() * 32,
            None => 0,
        };
        size_of::<Self>()
            + self.acceptor.held()
            + self.out.held()
            + self.stash.capacity()
            + self.asked.held()
            + waiting
    }

    /// Nothing that was asked counts any more.
    pub fn forget(&mut self, hub: &mut Hub) {
        hub.flow.forget(&mut self.asked);
        hub.room_made = true;
    }
}
