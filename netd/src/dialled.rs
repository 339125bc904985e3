//! One connection to another peer: requests by ticket, beliefs, and challenges that the other side sends.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::rc::Rc;

use cells::{Cell, Decoder, Hash, decode_partial};
use ipc::Bytes;
use ipc::net::{Connection, FromNet, NoAnswer, Request};
use mio::net::TcpStream;
use wire::{DataRequest, Dialler, DiallerAction, MAX_HASHES, Message, RequestError};

use crate::accepted::{Ending, Turn};
use crate::counters::Counter;
use crate::endpoint::Endpoint;
use crate::hub::Hub;
use crate::out_buffer::OutBuffer;

/// The connection.
#[derive(Debug)]
pub struct Dialled {
    /// Its number.
    pub number: Connection,
    /// The peer, as it was named.
    pub endpoint: Endpoint,
    /// Where it is.
    pub address: SocketAddr,
    /// The key that is expected or proven there.
    pub key: Option<[u8; 32]>,
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
    /// Bytes that are counted for it.
    pub counted: usize,
    socket: TcpStream,
    dialler: Dialler,
    out: OutBuffer,
    /// Until when it has to be established; `None` once it is.
    until: Option<u64>,
    /// The newest belief, for when the other side has caught up.
    newest: Option<Rc<Bytes>>,
    tickets: HashMap<i64, u64>,
    progress: u64,
}

impl Dialled {
    /// A connection that is being established.
    #[must_use]
    pub fn new(
        number: Connection,
        endpoint: Endpoint,
        key: Option<[u8; 32]>,
        (socket, address): (TcpStream, SocketAddr),
        hub: &Hub,
    ) -> Self {
        Self {
            number,
            endpoint,
            address,
            key,
            readable: false,
            ended: false,
            queued: false,
            dirty: false,
            waiting: false,
            counted: 0,
            socket,
            dialler: Dialler::new(Some(hub.identity), hub.limits.dialler, hub.now),
            out: OutBuffer::default(),
            until: Some(hub.now.steady.saturating_add(hub.limits.connect)),
            newest: None,
            tickets: HashMap::new(),
            progress: hub.now.steady,
        }
    }

    /// The socket, for its events.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// True once it is established.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.until.is_none()
    }

    /// Looks whether it is established now: true when it has just become so.
    ///
    /// # Errors
    /// When the attempt failed.
    pub fn establish(&mut self) -> Result<bool, Ending> {
        if self.until.is_none() {
            return Ok(false);
        }
        if let Some(error) = self.socket.take_error().map_err(Ending::Failed)? {
            return Err(Ending::Failed(error));
        }
        match self.socket.peer_addr() {
            Ok(_) => {
                self.until = None;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(Ending::Failed(error)),
        }
    }

    /// How consensus is told of it.
    #[must_use]
    pub fn opened(&self) -> FromNet {
        FromNet::Opened {
            connection: self.number,
            host: self.endpoint.to_string(),
            key: self.key,
        }
    }

    /// Reads once and acts on it, through `chunk`.
    ///
    /// # Errors
    /// When the connection has to be closed.
    pub fn turn(&mut self, hub: &mut Hub, chunk: &mut [u8]) -> Result<Turn, Ending> {
        if !self.is_established() || !self.readable {
            return Ok(Turn::Drained);
        }
        // Answers are large: they come only as fast as consensus takes them.
        if hub.link.is_some() && !hub.has_link_room() {
            return Ok(Turn::Waiting);
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
        self.readable = self.ended || read == chunk.len();
        let mut input = &chunk[..read];
        while let Some(action) = self.dialler.receive(&mut input, hub.now) {
            self.act(action, hub)?;
        }
        Ok(if self.readable {
            Turn::More
        } else {
            Turn::Drained
        })
    }

    fn act(&mut self, action: DiallerAction, hub: &mut Hub) -> Result<(), Ending> {
        match action {
            DiallerAction::Send(bytes) => self.push(bytes, hub),
            DiallerAction::Answered { id, body, .. } => {
                // None after a restart of consensus: what an earlier one asked is nothing to this one.
                if let Some(ticket) = self.tickets.remove(&id) {
                    let answer = Ok(Bytes::from(body));
                    hub.tell(&FromNet::Answered { ticket, answer });
                }
            }
            DiallerAction::Challenged { id, signed } => hub.tell(&FromNet::Challenged {
                connection: self.number,
                id,
                signed: Bytes::from(signed),
            }),
            DiallerAction::Drop(reason) => hub.counters.dropped(reason),
            DiallerAction::Close(reason) => return Err(Ending::Protocol(reason)),
        }
        Ok(())
    }

    fn push(&mut self, bytes: Vec<u8>, hub: &Hub) {
        if self.out.is_empty() {
            self.progress = hub.now.steady;
        }
        self.out.push(bytes);
    }

    /// Sends a request; the answer is told under `ticket`.
    ///
    /// # Errors
    /// When it is not sent.
    pub fn request(
        &mut self,
        ticket: u64,
        request: Request,
        hub: &mut Hub,
    ) -> Result<(), NoAnswer> {
        if !self.is_established() {
            return Err(NoAnswer::NoConnection);
        }
        let sent = match request {
            Request::Status => self.dialler.request(hub.now, |id| Message::Status { id }),
            Request::Data(hashes) if hashes.len() <= MAX_HASHES => {
                self.dialler.request(hub.now, |id| {
                    Message::DataRequest(DataRequest {
                        id: Cell::Long(id),
                        hashes: hashes.into_iter().map(Hash).collect(),
                    })
                })
            }
            Request::Data(_) => return Err(NoAnswer::Busy),
            Request::Challenge(signed) => {
                let decoded = decode_partial(&signed, &Decoder::new().generic());
                let Ok((Cell::Signed(signed), _)) = decoded else {
                    return Err(NoAnswer::NoConnection);
                };
                self.dialler
                    .request(hub.now, |id| Message::Challenge { id, signed })
            }
        };
        match sent {
            Ok((id, bytes)) => {
                hub.counters.count(Counter::Requests);
                self.tickets.insert(id, ticket);
                self.push(bytes, hub);
                Ok(())
            }
            Err(RequestError::Pending | RequestError::Full) => Err(NoAnswer::Busy),
            Err(_) => Err(NoAnswer::NoConnection),
        }
    }

    /// Sends a message that has no answer; false when the other side is too far behind.
    pub fn send(&mut self, body: &[u8], hub: &Hub) -> bool {
        match self.dialler.send(body) {
            Ok(bytes) => {
                self.push(bytes, hub);
                true
            }
            Err(_) => false,
        }
    }

    /// Sends a belief, or keeps it as the newest for when the other side has caught up.
    pub fn broadcast(&mut self, body: &Rc<Bytes>, hub: &mut Hub) {
        if !self.is_established() {
            return;
        }
        if self.out.len() <= hub.limits.lag && self.send(body, hub) {
            hub.counters.count(Counter::Broadcasts);
        } else if self.newest.replace(Rc::clone(body)).is_some() {
            hub.counters.count(Counter::BroadcastsSkipped);
        }
    }

    /// Sends a goodbye.
    pub fn goodbye(&mut self, hub: &Hub) {
        if let Ok(body) = (Message::Goodbye { message: None }).encode() {
            self.send(&body, hub);
        }
    }

    /// Writes what waits, as far as the other side takes it.
    ///
    /// # Errors
    /// When the connection has failed.
    pub fn flush(&mut self, hub: &mut Hub) -> Result<(), Ending> {
        if !self.is_established() {
            return Ok(());
        }
        loop {
            let written = self
                .out
                .write_to(&mut self.socket)
                .map_err(Ending::Failed)?;
            if written > 0 {
                self.progress = hub.now.steady;
                self.dialler.written(written);
            }
            if self.out.len() > hub.limits.lag {
                return Ok(());
            }
            match self.newest.take() {
                Some(belief) if self.send(&belief, hub) => hub.counters.count(Counter::Broadcasts),
                _ => return Ok(()),
            }
        }
    }

    /// To be called now and then: tells which requests got no answer in time, and ends what takes too long.
    ///
    /// # Errors
    /// When the connection has to be closed.
    pub fn sweep(&mut self, hub: &mut Hub) -> Result<(), Ending> {
        self.out.rest();
        let now = hub.now.steady;
        if self.until.is_some_and(|until| until <= now) {
            return Err(Ending::Failed(io::ErrorKind::TimedOut.into()));
        }
        for (id, _) in self.dialler.expire(hub.now) {
            self.unanswered(id, NoAnswer::Timeout, hub);
        }
        if !self.out.is_empty() && now.saturating_sub(self.progress) >= hub.limits.unread {
            return Err(Ending::Unread);
        }
        Ok(())
    }

    fn unanswered(&mut self, id: i64, why: NoAnswer, hub: &mut Hub) {
        if let Some(ticket) = self.tickets.remove(&id) {
            hub.counters.count(Counter::RequestsUnanswered);
            let answer = Err(why);
            hub.tell(&FromNet::Answered { ticket, answer });
        }
    }

    /// The connection is closed: nothing that was asked will be answered.
    pub fn forget(&mut self, hub: &mut Hub) {
        let ids: Vec<i64> = self.tickets.keys().copied().collect();
        for id in ids {
            self.unanswered(id, NoAnswer::NoConnection, hub);
        }
    }

    /// Consensus has ended: what it asked is void.
    pub fn consensus_ended(&mut self) {
        self.tickets.clear();
    }

    /// Bytes of memory that the connection holds, itself included.
    #[must_use]
    pub fn held(&self) -> usize {
        let newest = self.newest.as_ref().map_or(0, |belief| belief.len());
        size_of::<Self>() + self.dialler.held() + self.out.held() + newest
    }

    /// True when nothing waits for being written.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.out.is_empty()
    }
}
