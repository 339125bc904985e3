//! The signer's requests and answers, and challenges (`spec/06 §8`).

use std::collections::{HashMap, VecDeque};

use cells::{Cell, Hash, Signed, Vector};
use crypto::{AccountKey, Signature};
use signing::Now;
use signing::challenge::{ReceivedChallenge, proven_key};
use wire::{Code, Reply};

use super::Core;
use super::event::{
    Action, AlarmKind, Challenger, Connection, KeyAnswer, Outgoing, Request, Target,
};

/// Requests to the signer that may be under way for strangers.
const MAX_ASKED: usize = 256;
/// Own challenges whose answer is awaited.
const MAX_CHALLENGED: usize = 1_024;

/// What the signer was asked for.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// The block that is being made.
    Block,
    /// The order of the round.
    Order,
    /// An own challenge for this connection.
    Challenge(Challenger),
    /// The answer to a challenge from there, and its id.
    Answer(Challenger, i64, Box<ReceivedChallenge>),
}

/// Tokens of own challenges, by connection; the oldest are forgotten first.
#[derive(Debug, Default)]
pub(super) struct Challenged {
    tokens: HashMap<Connection, Hash>,
    order: VecDeque<Connection>,
}

impl Challenged {
    fn insert(&mut self, connection: Connection, token: Hash) {
        if self.tokens.insert(connection, token).is_none() {
            self.order.push_back(connection);
        }
        while self.order.len() > MAX_CHALLENGED
            && let Some(oldest) = self.order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }

    fn take(&mut self, connection: Connection) -> Option<Hash> {
        let token = self.tokens.remove(&connection)?;
        self.order.retain(|c| *c != connection);
        Some(token)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Core {
    /// Sends a request to the signer.
    pub(super) fn ask(&mut self, what: Asked, request: Vec<u8>, out: &mut Vec<Action>) {
        self.key.ticket += 1;
        let ticket = self.key.ticket;
        self.key.asked.push_back((ticket, what));
        out.push(Action::Sign { ticket, request });
    }

    /// The signer answered.
    pub(super) fn signed(
        &mut self,
        ticket: u64,
        answer: KeyAnswer,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        // Answers come in the order of requests.
        let next = self
            .key
            .asked
            .front()
            .is_some_and(|(asked, _)| *asked == ticket);
        let Some((_, asked)) = self.key.asked.pop_front().filter(|_| next) else {
            let text = "keyd answered what it was not asked".to_owned();
            out.push(Action::Alarm(AlarmKind::Channel, text));
            return;
        };
        match &answer {
            KeyAnswer::Signed(..) => self.key.locked = false,
            KeyAnswer::Refused(_) => self.counters.refused_signatures += 1,
            KeyAnswer::Locked => self.key.locked = true,
        }
        match asked {
            Asked::Block => self.block_signed(answer, now),
            Asked::Order => self.order_signed(answer, now, out),
            Asked::Challenge(to) => self.challenge_signed(to, answer, out),
            Asked::Answer(to, id, challenge) => {
                self.answer_signed(to, id, &challenge, answer, out);
            }
        }
        self.tell_view(out);
    }

    /// The channel to the signer was made anew or ended: what was asked is void, and a new signer knows nothing of what was signed.
    pub(super) fn link_key(&mut self, up: bool, now: Now, out: &mut Vec<Action>) {
        self.key.up = up;
        self.key.locked = false;
        self.require_fresh(now);
        self.order_not_before = 0;
        self.block_not_before = 0;
        for (_, asked) in std::mem::take(&mut self.key.asked) {
            match asked {
                Asked::Block => self.block_signed(KeyAnswer::Locked, now),
                Asked::Order => self.order_signed(KeyAnswer::Locked, now, out),
                Asked::Challenge(to) => self.challenge_signed(to, KeyAnswer::Locked, out),
                Asked::Answer(to, id, challenge) => {
                    self.answer_signed(to, id, &challenge, KeyAnswer::Locked, out);
                }
            }
        }
        self.block_not_before = 0;
        self.tell_view(out);
    }

    /// A good challenge to this peer.
    pub(super) fn challenged(
        &mut self,
        to: Challenger,
        id: i64,
        challenge: &ReceivedChallenge,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let may = self.key.signs()
            && self.key.asked.len() < MAX_ASKED
            && self.key.answers.take(1, now.steady);
        if may {
            let request = challenge.encode();
            self.ask(
                Asked::Answer(to, id, Box::new(challenge.clone())),
                request,
                out,
            );
        } else {
            self.answer_signed(to, id, challenge, KeyAnswer::Locked, out);
        }
    }

    fn answer_signed(
        &mut self,
        to: Challenger,
        id: i64,
        challenge: &ReceivedChallenge,
        answer: KeyAnswer,
        out: &mut Vec<Action>,
    ) {
        let reply = match answer {
            KeyAnswer::Signed(signature, _) => {
                let signed = Signed::new(*self.peer.key(), signature, challenge.answer());
                Reply::ok(id, Cell::from(signed))
            }
            KeyAnswer::Refused(_) | KeyAnswer::Locked => {
                Reply::error(id, Code::Trust, "No signing key")
            }
        };
        match to {
            Challenger::Accepted(connection) => {
                out.push(Action::Net(Outgoing::Replies(vec![(connection, reply)])));
            }
            Challenger::Opened(connection) => {
                if let Ok(message) = reply.encode() {
                    out.push(Action::Net(Outgoing::Send(connection, message)));
                }
            }
        }
    }

    /// A challenge for this connection is wanted.
    pub(super) fn want_challenge(&mut self, to: Challenger, now: Now, out: &mut Vec<Action>) {
        let may = self.key.signs()
            && self.key.asked.len() < MAX_ASKED
            && self.key.challenges.take(1, now.steady);
        if may {
            self.ask(Asked::Challenge(to), vec![cells::tag::NIL], out);
        } else {
            self.challenge_signed(to, KeyAnswer::Locked, out);
        }
    }

    fn challenge_signed(&mut self, to: Challenger, answer: KeyAnswer, out: &mut Vec<Action>) {
        let signed = match answer {
            KeyAnswer::Signed(signature, Some(value)) => self.own_challenge(signature, &value),
            _ => None,
        };
        match (to, signed) {
            (Challenger::Accepted(connection), signed) => {
                let encoding = signed.map(|(token, encoding)| {
                    self.key.challenged.insert(connection, token);
                    encoding
                });
                out.push(Action::Net(Outgoing::Challenge(connection, encoding)));
            }
            (Challenger::Opened(connection), Some((token, encoding))) => {
                self.key.challenged.insert(connection, token);
                let ticket = self.gossip.ticket();
                self.gossip.proofs.insert(ticket, connection);
                let request = Request::Challenge(encoding);
                let target = Target::Opened(connection);
                out.push(Action::Net(Outgoing::Request(ticket, target, request)));
            }
            (Challenger::Opened(_), None) => {}
        }
    }

    /// Token and encoding of an own challenge.
    fn own_challenge(&self, signature: Signature, value: &Cell) -> Option<(Hash, Vec<u8>)> {
        let Cell::Vector(parts) = value else {
            return None;
        };
        let token = token_of(parts)?;
        let signed = Signed::new(*self.peer.key(), signature, value.clone());
        Some((token, Cell::from(signed).encode()))
    }

    /// What a connection signed in answer to our challenge.
    pub(super) fn proof(
        &mut self,
        connection: Connection,
        answer: Option<Signed>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let token = self.key.challenged.take(connection);
        let proven = token.zip(answer).and_then(|(token, answer)| {
            proven_key(&answer, &token, self.peer.key(), &self.config.network)
        });
        // A stranger with a key has proven nothing that matters here. Nor has a peer without stake that dialled us: anybody can register
        // any number of those.
        let opened = self.gossip.opened.contains(&connection);
        let counts = |key: &AccountKey| {
            let voter = self.peer.electorate().voter(key);
            voter.is_some_and(|voter| opened || voter.is_staked())
        };
        let known = proven.filter(counts);
        if opened && let Some(key) = known {
            self.gossip.proven.insert(connection, key);
            self.connectivity.named(connection, key, now.steady);
        } else if let Some(key) = known {
            self.connectivity.heard(key, now.steady);
        }
        out.push(Action::Net(Outgoing::Verified(connection, known)));
    }
}

fn token_of(parts: &Vector) -> Option<Hash> {
    match parts.get(0) {
        Ok(Some(Cell::Blob(token))) => token.as_key().copied().map(Hash),
        _ => None,
    }
}
