//! Threads beside the peer: checks, queries, decoding.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use cells::{Cell, Decoder, Source, decode_partial};
use crypto::{AccountKey, KeyCache};
use signing::Identity;
use signing::challenge::ReceivedChallenge;
use wire::{Code, Message, Reply, check_challenge};

use super::links::Replies;
use super::peer_loop::Input;
use super::room::{Room, Taken};
use super::{Failure, STACK};
use crate::answering::{Answerer, WhenCutOff};
use crate::checking::{Arrived, Checker};
use crate::peer::{Challenger, Connection, Event, Outgoing, Submitted, View};
use crate::source::Shelf;

/// Batches of transactions that wait to be checked.
const BATCHES: usize = 8;
/// Queries that wait for an answer.
const QUERIES: usize = 1_024;
/// Messages of other peers that wait to be decoded.
const MESSAGES: usize = 64;
/// Bytes of beliefs among them, and of those that are decoded and wait: decoded, they take many times as much.
const BELIEFS: usize = 16 << 20;
/// Keys whose decoded form is kept.
const KEYS: usize = 1 << 17;

/// What checks and queries go by, once the peer has begun.
pub(crate) type Views = Arc<RwLock<Option<Arc<View>>>>;

/// What came of a batch of checks, in the order in which the batches arrived.
pub(crate) struct CheckedBatch {
    /// Number of the batch.
    pub(crate) number: u64,
    /// For the queue.
    pub(crate) accepted: Vec<Submitted>,
}

/// A message of another peer, still encoded.
pub(crate) enum Talk {
    /// Of an accepted connection; a belief takes room.
    Message {
        connection: Connection,
        trusted: Option<AccountKey>,
        body: Vec<u8>,
        taken: Option<Taken>,
    },
    /// The answer to a request.
    Answered { ticket: u64, body: Option<Vec<u8>> },
    /// A challenge on a connection that `netd` opened.
    Challenged {
        connection: Connection,
        id: i64,
        signed: Vec<u8>,
    },
}

/// Ways to the helpers.
#[derive(Clone)]
pub(crate) struct Pool {
    checks: Arc<Mutex<Numbered>>,
    /// For beliefs that wait to be decoded, and to be looked at.
    pub(crate) beliefs: Room,
    pub(crate) queries: SyncSender<(Arrived, Replies)>,
    pub(crate) talk: SyncSender<(Talk, Replies)>,
}

/// Batches get their numbers in the order in which they are handed over, whoever does it.
struct Numbered {
    next: u64,
    batches: SyncSender<(u64, Vec<Arrived>, Replies)>,
}

impl Pool {
    /// Hands over transactions to be checked; waits while many are. False when nobody is left to check.
    pub(crate) fn hand_over(&self, batch: Vec<Arrived>, replies: Replies) -> bool {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let number = checks.next;
        checks.next += 1;
        checks.batches.send((number, batch, replies)).is_ok()
    }
}

/// What the helpers work with.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) identity: Identity,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) views: Views,
    pub(crate) seed: [u8; 32],
    pub(crate) when_cut_off: WhenCutOff,
    pub(crate) inputs: SyncSender<Input>,
}

impl Means {
    fn view(&self) -> Option<Arc<View>> {
        let view = self.views.read().unwrap_or_else(PoisonError::into_inner);
        view.clone()
    }

    fn decoder(&self) -> Decoder {
        let source: Arc<dyn Source> = self.shelf.clone();
        Decoder::with_source(source)
    }
}

/// Starts the helpers.
pub(crate) fn start(means: &Means, checkers: u16) -> Result<Pool, Failure> {
    let (checks, batches) = sync_channel(BATCHES);
    let (queries, asked) = sync_channel(QUERIES);
    let (talk, messages) = sync_channel(MESSAGES);
    let batches = Arc::new(Mutex::new(batches));
    let keys = Arc::new(KeyCache::new(KEYS));
    for number in 0..checkers.max(1) {
        let (means, batches) = (means.clone(), batches.clone());
        let checker = Checker::new(keys.clone(), means.seed, means.shelf.clone());
        spawn(&format!("check-{number}"), move || {
            check(&means, &batches, checker)
        })?;
    }
    let own = means.clone();
    spawn("query", move || answer(&own, &asked))?;
    let own = means.clone();
    spawn("gossip", move || decode(&own, &messages))?;
    Ok(Pool {
        checks: Arc::new(Mutex::new(Numbered {
            next: 0,
            batches: checks,
        })),
        beliefs: Room::new(BELIEFS),
        queries,
        talk,
    })
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(body)
        .map(drop)
        .map_err(Failure::Thread)
}

type Batches = Mutex<Receiver<(u64, Vec<Arrived>, Replies)>>;

fn check(means: &Means, batches: &Batches, mut checker: Checker) {
    loop {
        let next = {
            let batches = batches.lock().unwrap_or_else(PoisonError::into_inner);
            batches.recv()
        };
        let Ok((number, arrived, replies)) = next else {
            return;
        };
        let checked = match means.view() {
            Some(view) => checker.check(&view, &arrived),
            None => not_live(&arrived),
        };
        if !checked.replies.is_empty() {
            replies.send(Outgoing::Replies(checked.replies));
        }
        let accepted = checked.accepted;
        let batch = CheckedBatch { number, accepted };
        if means.inputs.send(Input::Checked(batch)).is_err() {
            return;
        }
    }
}

/// Before the peer has begun.
fn not_live(arrived: &[Arrived]) -> crate::checking::Checked {
    let answer = |request: &Arrived| {
        let id = wire::Header::peek(&request.body)?.id?;
        let reply = Reply::rejected(id, Code::State, "Server is not live");
        Some((request.connection, reply))
    };
    crate::checking::Checked {
        accepted: Vec::new(),
        replies: arrived.iter().filter_map(answer).collect(),
    }
}

fn answer(means: &Means, asked: &Receiver<(Arrived, Replies)>) {
    let mut answerer = Answerer::new(means.shelf.clone(), means.when_cut_off);
    while let Ok((request, replies)) = asked.recv() {
        let reply = match means.view() {
            Some(view) => answerer.answer(&view, &request),
            None => not_live(std::slice::from_ref(&request))
                .replies
                .pop()
                .map(|(_, reply)| reply),
        };
        if let Some(reply) = reply {
            replies.send(Outgoing::Replies(vec![(request.connection, reply)]));
        }
    }
}

fn decode(means: &Means, messages: &Receiver<(Talk, Replies)>) {
    while let Ok((talk, replies)) = messages.recv() {
        let mut room = None;
        let event = match talk {
            Talk::Message {
                connection,
                trusted,
                body,
                taken,
            } => {
                room = taken;
                decode_message(means, connection, trusted, &body, &replies)
            }
            Talk::Answered { ticket, body } => {
                let reply = body.and_then(|body| match Message::decode(&body, &means.decoder()) {
                    Ok(Ok(Message::Result(reply))) => Some(reply),
                    _ => None,
                });
                Some(Event::Answered {
                    ticket,
                    answer: reply,
                })
            }
            Talk::Challenged {
                connection,
                id,
                signed,
            } => genuine(means, &signed).map(|challenge| Event::Challenged {
                to: Challenger::Opened(connection),
                id,
                challenge,
            }),
        };
        if let Some(event) = event
            && means.inputs.send(Input::Event(event, room)).is_err()
        {
            return;
        }
    }
}

fn decode_message(
    means: &Means,
    connection: Connection,
    trusted: Option<AccountKey>,
    body: &[u8],
    replies: &Replies,
) -> Option<Event> {
    let answer = |reply| {
        replies.send(Outgoing::Replies(vec![(connection, reply)]));
        None
    };
    let payload = match decode_partial(body, &means.decoder()) {
        Ok((payload, _)) => payload,
        Err(error) => return answer(Reply::undecodable(body, &error)),
    };
    let header = wire::Header::of_payload(&payload);
    match (header.kind, payload) {
        (wire::Kind::Challenge, Cell::Vector(vector)) => {
            let id = header.id?;
            let challenge = match check_challenge(&vector, id, &means.identity) {
                Ok(challenge) => challenge,
                Err(reply) => return answer(reply),
            };
            if !challenge.is_genuine() {
                let reply = Reply::error(id, Code::Trust, "Bad signature of the challenge");
                return answer(reply);
            }
            Some(Event::Challenged {
                to: Challenger::Accepted(connection),
                id,
                challenge,
            })
        }
        (wire::Kind::Belief, message) => Some(Event::Belief {
            connection,
            trusted,
            message,
            bytes: body.len(),
        }),
        (wire::Kind::Result, payload) => {
            let signed = match Message::read(payload) {
                Ok(Message::Result(reply)) if reply.error.is_nil() => match reply.value {
                    Cell::Signed(signed) => Some(signed),
                    _ => None,
                },
                _ => None,
            };
            Some(Event::Proof {
                connection,
                answer: signed,
            })
        }
        _ => None,
    }
}

/// A challenge that this peer may have answered: for its key and network, with a good signature.
fn genuine(means: &Means, signed: &[u8]) -> Option<ReceivedChallenge> {
    let challenge = ReceivedChallenge::parse(signed).ok()?;
    let for_us = challenge
        .target()
        .is_none_or(|key| *key == means.identity.key)
        && challenge
            .network()
            .is_none_or(|network| *network == means.identity.network);
    (for_us && challenge.is_genuine()).then_some(challenge)
}
