//! A client of the peer protocol (`spec/06`) for threads that block: the state machine of [`wire::Dialler`] on a TCP connection.
//!
//! One request at a time ([`Client::call`] and what stands on it), or several under way ([`Client::send`], [`Client::receive`]).
//! What a peer answers is decoded strictly and never larger than a frame may be; whether it is true is for the caller to judge.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use cells::{Cell, CellError, DecodeError, Decoder, Hash, Signed, decode_partial};
use signing::Now;
use wire::{
    CloseReason, DataRequest, Dialler, DiallerAction, DiallerConfig, Kind, Message, Reply,
    RequestError, Status, StatusError,
};

/// Bytes that are read at once.
const READ: usize = 1 << 16;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The name has no address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// The connection can't be made, or failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(CloseReason),
    /// The request is not sent.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The answer is no result.
    #[error("the answer is no result: {0}")]
    Answer(String),
    /// The status in an answer is none.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// A value can't be read.
    #[error(transparent)]
    Cell(#[from] CellError),
}

/// A connection to a peer.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    dialler: Dialler,
    started: Instant,
    patience: Duration,
    /// Bytes that were read and not looked at.
    input: Vec<u8>,
    used: usize,
    /// Answers that arrived while another was waited for.
    answers: BTreeMap<i64, Vec<u8>>,
}

impl Client {
    /// Connects to `host:port`; each answer may take as long as `patience`.
    ///
    /// # Errors
    /// When no address of the host accepts a connection.
    pub fn connect(host: &str, patience: Duration) -> Result<Self, ClientError> {
        let mut last = ClientError::NoAddress(host.to_owned());
        for address in host.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(stream) => return Self::over(stream, patience),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// On a connection that is open already.
    ///
    /// # Errors
    /// When the system refuses to set it up.
    pub fn over(stream: TcpStream, patience: Duration) -> Result<Self, ClientError> {
        stream.set_nodelay(true)?;
        let config = DiallerConfig {
            timeout: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            ..DiallerConfig::default()
        };
        let started = Instant::now();
        Ok(Self {
            stream,
            dialler: Dialler::new(None, config, now(started)),
            started,
            patience,
            input: Vec::new(),
            used: 0,
            answers: BTreeMap::new(),
        })
    }

    /// Sends a request and returns its id, under which [`Client::receive`] finds the answer.
    ///
    /// # Errors
    /// When it can't be sent.
    pub fn send(&mut self, message: impl FnOnce(i64) -> Message) -> Result<i64, ClientError> {
        let (id, bytes) = self.dialler.request(now(self.started), message)?;
        self.stream.write_all(&bytes)?;
        self.dialler.written(bytes.len());
        Ok(id)
    }

    /// The answer to a request.
    ///
    /// # Errors
    /// When none arrives in time, or the connection ends.
    pub fn receive(&mut self, id: i64) -> Result<Reply, ClientError> {
        let body = self.receive_body(id)?;
        read_reply(&body)
    }

    fn receive_body(&mut self, id: i64) -> Result<Vec<u8>, ClientError> {
        let until = Instant::now() + self.patience;
        loop {
            if let Some(body) = self.answers.remove(&id) {
                return Ok(body);
            }
            let mut input = &self.input[self.used..];
            let before = input.len();
            let action = self.dialler.receive(&mut input, now(self.started));
            self.used += before - input.len();
            match action {
                Some(DiallerAction::Answered { id, body, .. }) => {
                    self.answers.insert(id, body);
                }
                Some(DiallerAction::Send(bytes)) => {
                    self.stream.write_all(&bytes)?;
                    self.dialler.written(bytes.len());
                }
                Some(DiallerAction::Close(CloseReason::Goodbye)) => {
                    return Err(ClientError::Closed);
                }
                Some(DiallerAction::Close(reason)) => return Err(ClientError::Protocol(reason)),
                Some(DiallerAction::Challenged { .. } | DiallerAction::Drop(_)) => {}
                None => self.read(until)?,
            }
        }
    }

    fn read(&mut self, until: Instant) -> Result<(), ClientError> {
        let left = until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
            .ok_or(ClientError::Timeout)?;
        self.stream.set_read_timeout(Some(left))?;
        self.input.resize(READ, 0);
        self.used = 0;
        match self.stream.read(&mut self.input) {
            Ok(0) => Err(ClientError::Closed),
            Ok(length) => {
                self.input.truncate(length);
                Ok(())
            }
            Err(error) => {
                self.input.clear();
                match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        Err(ClientError::Timeout)
                    }
                    io::ErrorKind::Interrupted => Ok(()),
                    io::ErrorKind::ConnectionReset => Err(ClientError::Closed),
                    _ => Err(error.into()),
                }
            }
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// As [`Client::send`] and [`Client::receive`].
    pub fn call(&mut self, message: impl FnOnce(i64) -> Message) -> Result<Reply, ClientError> {
        let id = self.send(message)?;
        self.receive(id)
    }

    /// Evaluates a form for an account.
    ///
    /// # Errors
    /// When there is no answer. An error of the form is an answer.
    pub fn query(&mut self, form: Cell, address: Option<u64>) -> Result<Reply, ClientError> {
        self.call(|id| Message::Query { id, form, address })
    }

    /// Has a signed transaction executed, and waits for its result.
    ///
    /// # Errors
    /// When there is no answer; the transaction may have been executed then. An error of the transaction is an answer.
    pub fn transact(&mut self, transaction: Signed) -> Result<Reply, ClientError> {
        self.call(|id| Message::Transact { id, transaction })
    }

    /// What the peer says of itself.
    ///
    /// # Errors
    /// When there is no answer, or no status in it.
    pub fn status(&mut self) -> Result<Status, ClientError> {
        let reply = self.call(|id| Message::Status { id })?;
        if reply.error != Cell::Nil {
            let text = cells::print::print(&reply.value, 1_000)?.unwrap_or_default();
            return Err(ClientError::Answer(
                String::from_utf8_lossy(&text).into_owned(),
            ));
        }
        Ok(Status::read(&reply.value)?)
    }

    /// Cells by hash: each with what came along of the cells below it; `None` for what the peer does not have.
    ///
    /// # Errors
    /// When there is no answer, or a cell in it is not the one that was asked for.
    pub fn data(&mut self, hashes: &[Hash]) -> Result<Vec<Option<Cell>>, ClientError> {
        let wanted = hashes.to_vec();
        let id = self.send(|id| {
            Message::DataRequest(DataRequest {
                id: Cell::Long(id),
                hashes: wanted,
            })
        })?;
        let body = self.receive_body(id)?;
        let reply = read_reply(&body)?;
        let Cell::Vector(found) = &reply.value else {
            return Err(ClientError::Answer("no vector of cells".to_owned()));
        };
        let mut cells = Vec::with_capacity(hashes.len());
        for (index, hash) in hashes.iter().enumerate() {
            match found.get(index as u64)? {
                Some(Cell::Nil) | None => cells.push(None),
                Some(cell) if cell.hash() == *hash => cells.push(Some(cell)),
                Some(_) => {
                    return Err(ClientError::Answer(
                        "another cell than was asked for".to_owned(),
                    ));
                }
            }
        }
        Ok(cells)
    }
}

fn now(started: Instant) -> Now {
    Now {
        // No request has a time of its own.
        wall: 0,
        steady: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

fn read_reply(body: &[u8]) -> Result<Reply, ClientError> {
    let answer = |error: DecodeError| ClientError::Answer(error.to_string());
    let (payload, _) = decode_partial(body, &Decoder::new()).map_err(answer)?;
    match Message::read(payload) {
        Ok(Message::Result(reply)) => Ok(reply),
        Ok(other) => Err(ClientError::Answer(format!(
            "a message of kind {}",
            Kind::name(other.kind())
        ))),
        Err(error) => Err(ClientError::Answer(error.to_string())),
    }
}
