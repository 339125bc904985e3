//! The channels to `netd`, `stored` and `keyd`: one reading and one writing thread for each.

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use crypto::AccountKey;
use ipc::key::{Answer, FromKey, ToKey};
use ipc::net::{FromNet, ToNet};
use ipc::store::{FromStore, ToStore};
use ipc::{Bounded, Bytes, Channel, Epoch, Link, LinkError};
use wire::{Header, Kind, Reply};

use super::Failure;
use super::peer_loop::Input;
use super::pool::{Pool, Talk};
use crate::answering::encode_results;
use crate::checking::Arrived;
use crate::peer::{self, Batch, Event, KeyAnswer, Outgoing, Reach, Request, Target};

/// How long the greeting of the other side may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Things that wait for a process that does not read. It has long been dead or in other hands then.
const BACKLOG: usize = 1 << 17;
/// Transactions in one batch of checks.
const TOGETHER: usize = 1_024;
/// Bytes of messages in one write.
const AT_ONCE: usize = 1 << 20;

/// A way to a writing thread: nobody waits on it.
pub(crate) struct Outbox<T> {
    queue: Sender<T>,
    waiting: Arc<AtomicUsize>,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            waiting: self.waiting.clone(),
        }
    }
}

impl<T> Outbox<T> {
    fn new() -> (Self, Receiver<T>, Arc<AtomicUsize>) {
        let (queue, receiver) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let outbox = Self {
            queue,
            waiting: waiting.clone(),
        };
        (outbox, receiver, waiting)
    }

    /// Hands something over; when too much waits, or the channel is gone, it is dropped.
    pub(crate) fn send(&self, item: T) -> bool {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= BACKLOG {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        self.queue.send(item).is_ok()
    }
}

/// A way for answers to `netd`.
pub(crate) type Replies = Outbox<Outgoing>;

/// What the writing threads take.
pub(crate) enum Writing {
    Net(Replies),
    Store(Outbox<Arc<Batch>>),
    Key(Outbox<(u64, Vec<u8>)>),
}

/// One making of a channel. Dropping it ends the channel.
pub(crate) struct Reading {
    pub(crate) epoch: Epoch,
    stream: UnixStream,
}

impl Reading {
    /// Ends the channel; the reading thread says so.
    pub(crate) fn shut(&self) {
        // It fails only when the channel has ended already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.shut();
    }
}

/// Opens a channel, on a thread of its own: the peer learns of it by an input.
pub(crate) fn start(
    channel: Channel,
    epoch: Epoch,
    stream: OwnedFd,
    pool: &Pool,
    inputs: &SyncSender<Input>,
) -> Result<Reading, Failure> {
    let stream = UnixStream::from(stream);
    let end = stream.try_clone().map_err(Failure::Thread)?;
    let (pool, inputs) = (pool.clone(), inputs.clone());
    let body = move || {
        let ended = match channel {
            Channel::Net => read_net(stream, epoch, &pool, &inputs),
            Channel::Store => read_store(stream, epoch, &inputs),
            Channel::Key => read_key(stream, epoch, &inputs),
        };
        // When the peer is gone, the process is about to end.
        let _ = inputs.send(Input::LinkEnded {
            channel,
            epoch,
            why: ended.err(),
        });
    };
    thread::Builder::new()
        .name(format!("read-{channel:?}").to_lowercase())
        .spawn(body)
        .map_err(Failure::Thread)?;
    Ok(Reading { epoch, stream: end })
}

/// Starts the writing thread of a channel.
fn write<T: Send + 'static, S: Bounded + Send + 'static>(
    name: &str,
    mut sender: ipc::Sender<S>,
    mut convert: impl FnMut(T, &mut Vec<S>) -> usize + Send + 'static,
) -> Result<Outbox<T>, LinkError> {
    let (outbox, queue, waiting) = Outbox::new();
    let body = move || {
        let mut messages = Vec::new();
        while let Ok(item) = queue.recv() {
            waiting.fetch_sub(1, Ordering::Relaxed);
            let mut bytes = convert(item, &mut messages);
            while bytes < AT_ONCE
                && let Ok(item) = queue.try_recv()
            {
                waiting.fetch_sub(1, Ordering::Relaxed);
                bytes += convert(item, &mut messages);
            }
            if !messages.is_empty() && sender.send_all(&messages).is_err() {
                sender.shutdown();
                return;
            }
            messages.clear();
        }
        sender.shutdown();
    };
    thread::Builder::new()
        .name(format!("write-{name}"))
        .spawn(body)?;
    Ok(outbox)
}

fn read_store(
    stream: UnixStream,
    epoch: Epoch,
    inputs: &SyncSender<Input>,
) -> Result<(), LinkError> {
    let link = Link::<ToStore, FromStore>::open(stream, Channel::Store, epoch, PATIENCE)?;
    let outbox = write("store", link.sender, |batch: Arc<Batch>, out| {
        let mut bytes = 0;
        for piece in &batch.pieces {
            bytes += piece.len();
            out.push(ToStore::Cells {
                cells: Bytes::from(piece.clone()),
            });
        }
        out.push(ToStore::Commit {
            sequence: batch.sequence,
            root: batch.root.map(|root| root.0),
        });
        bytes
    })?;
    opened(inputs, Channel::Store, epoch, Writing::Store(outbox));
    let mut receiver = link.receiver;
    while let Some(message) = receiver.receive()? {
        let event = match message {
            FromStore::Durable { sequence } => Event::Durable(sequence),
            FromStore::Refused {
                sequence,
                text,
                retry: _,
            } => Event::NotStored { sequence, text },
        };
        if inputs
            .send(Input::Linked(Channel::Store, epoch, event))
            .is_err()
        {
            break;
        }
    }
    Ok(())
}

fn read_key(stream: UnixStream, epoch: Epoch, inputs: &SyncSender<Input>) -> Result<(), LinkError> {
    let link = Link::<ToKey, FromKey>::open(stream, Channel::Key, epoch, PATIENCE)?;
    let outbox = write(
        "key",
        link.sender,
        |(ticket, request): (u64, Vec<u8>), out| {
            let bytes = request.len();
            out.push(ToKey {
                ticket,
                request: Bytes::from(request),
            });
            bytes
        },
    )?;
    opened(inputs, Channel::Key, epoch, Writing::Key(outbox));
    let mut receiver = link.receiver;
    while let Some(FromKey { ticket, answer }) = receiver.receive()? {
        let answer = match answer {
            Answer::Signed { signature, value } => {
                let value = cells::decode_cell(&value, &cells::Decoder::new()).ok();
                KeyAnswer::Signed(crypto::Signature::new(*signature), value)
            }
            Answer::Refused { reason } => KeyAnswer::Refused(reason),
            Answer::Locked => KeyAnswer::Locked,
        };
        let event = Event::Signed { ticket, answer };
        if inputs
            .send(Input::Linked(Channel::Key, epoch, event))
            .is_err()
        {
            break;
        }
    }
    Ok(())
}

fn opened(inputs: &SyncSender<Input>, channel: Channel, epoch: Epoch, writing: Writing) {
    // When the peer is gone, the process is about to end.
    let _ = inputs.send(Input::LinkOpened {
        channel,
        epoch,
        writing,
    });
}

fn read_net(
    stream: UnixStream,
    epoch: Epoch,
    pool: &Pool,
    inputs: &SyncSender<Input>,
) -> Result<(), LinkError> {
    let link = Link::<ToNet, FromNet>::open(stream, Channel::Net, epoch, PATIENCE)?;
    let replies: Replies = write("net", link.sender, to_net)?;
    opened(inputs, Channel::Net, epoch, Writing::Net(replies.clone()));
    let mut reader = NetReader {
        pool,
        inputs,
        epoch,
        replies,
        transactions: Vec::new(),
    };
    let mut receiver = link.receiver;
    while let Some(message) = receiver.receive()? {
        let mut next = Some(message);
        // All that came with the same read is checked together.
        while let Some(message) = next {
            if !reader.take(message) {
                return Ok(());
            }
            next = receiver.buffered()?;
        }
        if !reader.hand_over() {
            return Ok(());
        }
    }
    Ok(())
}

struct NetReader<'a> {
    pool: &'a Pool,
    inputs: &'a SyncSender<Input>,
    epoch: Epoch,
    replies: Replies,
    transactions: Vec<Arrived>,
}

impl NetReader<'_> {
    /// Passes a message on; false when nobody is left to take it.
    fn take(&mut self, message: FromNet) -> bool {
        let event = match message {
            FromNet::Message {
                connection,
                trusted,
                body,
            } => {
                let trusted = trusted.map(AccountKey::new);
                return self.message(connection, trusted, body.into_vec());
            }
            FromNet::Answered { ticket, answer } => {
                let body = answer.ok().map(Bytes::into_vec);
                return self.talk(Talk::Answered { ticket, body });
            }
            FromNet::Challenged {
                connection,
                id,
                signed,
            } => {
                return self.talk(Talk::Challenged {
                    connection,
                    id,
                    signed: signed.into_vec(),
                });
            }
            FromNet::WantChallenge { connection } => Event::WantChallenge(connection),
            FromNet::Opened { connection, .. } => Event::Opened(connection),
            FromNet::Closed { connection } => Event::Closed(connection),
            FromNet::Reach { named, target } => Event::Reach(Reach {
                named: named as usize,
                target: usize::from(target),
            }),
        };
        self.inputs
            .send(Input::Linked(Channel::Net, self.epoch, event))
            .is_ok()
    }

    fn message(
        &mut self,
        connection: peer::Connection,
        trusted: Option<AccountKey>,
        body: Vec<u8>,
    ) -> bool {
        let header = Header::peek(&body);
        match header.map(|header| header.kind) {
            Some(Kind::Transact) => {
                self.transactions.push(Arrived { connection, body });
                self.transactions.len() < TOGETHER || self.hand_over()
            }
            Some(Kind::Query) => {
                let request = (Arrived { connection, body }, self.replies.clone());
                match self.pool.queries.try_send(request) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => {
                        if let Some(id) = header.and_then(|header| header.id) {
                            let reply = Reply::overloaded(id);
                            self.replies
                                .send(Outgoing::Replies(vec![(connection, reply)]));
                        }
                    }
                    Err(TrySendError::Disconnected(_)) => return false,
                }
                true
            }
            Some(Kind::Belief) => {
                // A belief that finds no room comes again, newer.
                let Some(taken) = self.pool.beliefs.take(body.len()) else {
                    return true;
                };
                let talk = Talk::Message {
                    connection,
                    trusted,
                    body,
                    taken: Some(taken),
                };
                !matches!(
                    self.pool.talk.try_send((talk, self.replies.clone())),
                    Err(TrySendError::Disconnected(_))
                )
            }
            _ => self.talk(Talk::Message {
                connection,
                trusted,
                body,
                taken: None,
            }),
        }
    }

    fn talk(&self, talk: Talk) -> bool {
        self.pool.talk.send((talk, self.replies.clone())).is_ok()
    }

    /// Hands transactions over to be checked.
    fn hand_over(&mut self) -> bool {
        if self.transactions.is_empty() {
            return true;
        }
        let batch = std::mem::take(&mut self.transactions);
        self.pool.hand_over(batch, self.replies.clone())
    }
}

/// One thing for `netd` as messages; answers how many bytes they have.
fn to_net(outgoing: Outgoing, out: &mut Vec<ToNet>) -> usize {
    let before = out.len();
    let reply = |connection, body: Vec<u8>| ToNet::Reply {
        connection,
        body: Bytes::from(body),
    };
    match outgoing {
        Outgoing::Replies(replies) => {
            for (connection, answer) in replies {
                // Answers of the peer itself are small values in memory; a query's result may lack a part that can't be read.
                let body = answer.encode().or_else(|_| {
                    let id = match answer.id {
                        cells::Cell::Long(id) => id,
                        _ => 0,
                    };
                    Reply::rejected(id, wire::Code::Io, "Result can't be read").encode()
                });
                out.extend(body.ok().map(|body| reply(connection, body)));
            }
        }
        Outgoing::Results(results) => {
            let encoded = encode_results(&results);
            out.extend(encoded.into_iter().map(|(c, body)| reply(c, body)));
        }
        Outgoing::Status(value) => out.push(ToNet::Status(Bytes::from(value))),
        Outgoing::Challenge(connection, signed) => out.push(ToNet::Challenge {
            connection,
            signed: signed.map(Bytes::from),
        }),
        Outgoing::Verified(connection, key) => out.push(ToNet::Verified {
            connection,
            key: key.map(|key| key.to_bytes()),
        }),
        Outgoing::Peers(peers) => {
            let peer = |(key, host, stake): (crypto::AccountKey, String, i64)| ipc::net::Peer {
                key: key.to_bytes(),
                host,
                stake,
            };
            out.push(ToNet::Peers(peers.into_iter().map(peer).collect()));
        }
        Outgoing::CutOff(cut_off) => out.push(ToNet::CutOff(cut_off)),
        Outgoing::Broadcast(body) => out.push(ToNet::Broadcast(Bytes::from(body))),
        Outgoing::Request(ticket, target, request) => out.push(ToNet::Request {
            ticket,
            target: match target {
                Target::Opened(connection) => ipc::net::Target::Opened(connection),
                Target::Accepted(connection) => ipc::net::Target::Accepted(connection),
            },
            request: match request {
                Request::Status => ipc::net::Request::Status,
                Request::Data(hashes) => {
                    ipc::net::Request::Data(hashes.into_iter().map(|hash| hash.0).collect())
                }
                Request::Challenge(signed) => ipc::net::Request::Challenge(Bytes::from(signed)),
            },
        }),
        Outgoing::Send(connection, body) => out.push(ToNet::Send {
            connection,
            body: Bytes::from(body),
        }),
        Outgoing::Close(connection, reason) => out.push(ToNet::Close { connection, reason }),
    }
    let length = |message: &ToNet| match message {
        ToNet::Reply { body, .. } | ToNet::Broadcast(body) | ToNet::Send { body, .. } => body.len(),
        _ => 64,
    };
    out[before..].iter().map(length).sum()
}
