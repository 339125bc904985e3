//! Messages from and to consensus, and what follows when it ends.

use std::rc::Rc;

use cells::{Cell, Decoder, decode_partial};
use crypto::AccountKey;
use ipc::net::{Connection, FromNet, MAX_HOST, MAX_PEERS, NoAnswer, Peer, Request, Target, ToNet};
use ipc::supervision::AlarmKind;
use ipc::{Bytes, Epoch};
use std::os::fd::OwnedFd;

use super::{LINK, Server};
use crate::accepted::Ending;
use crate::counters::Counter;
use crate::dialled::Dialled;
use crate::link::{Link, LinkEnd};
use crate::outgoing::Candidate;
use crate::slab::is_dialled;

impl Server {
    /// Takes a new channel into use; what belonged to the old one is void.
    pub(super) fn set_link(&mut self, fd: OwnedFd, epoch: Epoch) {
        self.drop_link();
        let link = Link::new(fd, epoch).and_then(|mut link| {
            link.register(self.poll.registry(), LINK)?;
            Ok(link)
        });
        match link {
            Ok(link) => {
                self.hub.set_link(link, epoch);
                // The new consensus knows of no connection yet.
                let opened: Vec<FromNet> = self
                    .dialled
                    .values()
                    .filter(|c| c.is_established())
                    .map(Dialled::opened)
                    .collect();
                for message in &opened {
                    self.hub.tell(message);
                }
                self.told_reach = None;
                self.tell_reach();
            }
            Err(error) => log::error!("the channel to consensusd can't be used: {error}"),
        }
    }

    /// Consensus has ended, or another takes its place: who waits for an answer of it gets an error.
    pub(super) fn drop_link(&mut self) {
        let Some(mut link) = self.hub.link.take() else {
            return;
        };
        link.deregister(self.poll.registry());
        drop(link);
        let numbers: Vec<Connection> = self.accepted.iter().map(|c| c.number).collect();
        for number in numbers {
            let Some(connection) = self.accepted.get(number) else {
                continue;
            };
            match connection.consensus_ended(&mut self.hub) {
                Ok(()) => self.after(number),
                Err(ending) => self.close_accepted(number, &ending),
            }
        }
        for connection in self.dialled.values_mut() {
            connection.consensus_ended();
        }
    }

    fn link_ended(&mut self, end: &LinkEnd) {
        if end.is_alarming() {
            self.hub.counters.count(Counter::LinkBroken);
            self.alarm(AlarmKind::Channel, end.to_string());
        } else {
            log::info!("{end}");
        }
        self.drop_link();
    }

    /// Writes what there is for consensus.
    pub(super) fn flush_link(&mut self) {
        let Some(link) = &mut self.hub.link else {
            return;
        };
        let before = link.waiting();
        match link.flush() {
            Ok(()) => {
                let most = self.hub.limits.link;
                if before >= most / 4 && link.waiting() < before {
                    self.hub.room_made = true;
                }
            }
            Err(end) => self.link_ended(&end),
        }
    }

    /// One round with consensus: what there is for it, then what comes from it.
    pub(super) fn exchange_with_consensus(&mut self) {
        self.flush_link();
        let Some(link) = &mut self.hub.link else {
            return;
        };
        let was_open = link.is_open();
        let mut messages = std::mem::take(&mut self.messages);
        let read = link.read(&mut self.chunk, |message| messages.push(message));
        self.hub.room_made |= was_open != link.is_open();
        for message in messages.drain(..) {
            self.obey(message);
        }
        self.messages = messages;
        if let Err(end) = read {
            self.link_ended(&end);
        }
    }

    fn obey(&mut self, message: ToNet) {
        match message {
            ToNet::Reply { connection, body } => self.send_reply(connection, &body),
            ToNet::Status(value) => {
                if let Err(error) = self.hub.set_status(&value) {
                    self.alarm(
                        AlarmKind::Channel,
                        format!("consensusd: a status that can't be read: {error}"),
                    );
                }
            }
            ToNet::Challenge { connection, signed } => {
                self.send_challenge(connection, signed.as_ref().map(|signed| &signed[..]))
            }
            ToNet::Verified { connection, key } => self.verified(connection, key),
            ToNet::Peers(peers) => self.set_peers(&peers),
            ToNet::CutOff(cut_off) => self.set_cut_off(cut_off),
            ToNet::Broadcast(body) => self.broadcast(body),
            ToNet::Request {
                ticket,
                target,
                request,
            } => self.request(ticket, target, request),
            ToNet::Send { connection, body } => self.send_to_dialled(connection, &body),
            ToNet::Close { connection, reason } => {
                let reason: String = reason.chars().take(200).collect();
                self.close(connection, &Ending::Consensus(reason));
            }
        }
    }

    fn send_reply(&mut self, number: Connection, body: &[u8]) {
        let Some(connection) = self.accepted.get(number) else {
            self.hub.counters.count(Counter::RepliesUnasked);
            return;
        };
        match connection.answered(body, &mut self.hub) {
            Ok(()) => self.mark_dirty(number),
            Err(ending) => self.close_accepted(number, &ending),
        }
    }

    fn send_challenge(&mut self, number: Connection, signed: Option<&[u8]>) {
        let decoded = signed.map(|signed| decode_partial(signed, &Decoder::new().generic()));
        let (Some(Ok((Cell::Signed(signed), _))), Some(connection)) =
            (decoded, self.accepted.get(number))
        else {
            return;
        };
        match connection.challenge(signed, &mut self.hub) {
            Ok(()) => self.mark_dirty(number),
            Err(ending) => self.close_accepted(number, &ending),
        }
    }

    fn verified(&mut self, number: Connection, key: Option<[u8; 32]>) {
        if !is_dialled(number) {
            if let Some(connection) = self.accepted.get(number) {
                connection.verified(key.map(AccountKey::new));
            }
            return;
        }
        let (Some(connection), Some(key)) = (self.dialled.get_mut(&number), key) else {
            return;
        };
        connection.key = Some(key);
        if let Some(unwanted) = self.outgoing.proven(number, key) {
            self.hub.counters.count(Counter::PeersUnwanted);
            self.close_dialled(number, &Ending::Consensus(unwanted.to_string()));
        }
    }

    fn set_cut_off(&mut self, cut_off: bool) {
        let now = self.hub.now.steady;
        let chance = &mut self.chance;
        self.outgoing.set_cut_off(cut_off, now, || chance.draw());
        self.next_management = now;
    }

    fn set_peers(&mut self, peers: &[Peer]) {
        // The state is made by strangers: what is no host is left out.
        let candidates = peers.iter().take(MAX_PEERS).filter_map(|peer| {
            let host = Some(peer.host.as_str()).filter(|host| host.len() <= MAX_HOST)?;
            Some(Candidate {
                endpoint: host.parse().ok()?,
                key: peer.key,
                stake: u64::try_from(peer.stake).ok()?,
            })
        });
        self.outgoing.set_candidates(candidates);
        self.next_management = self.hub.now.steady;
    }

    fn broadcast(&mut self, body: Bytes) {
        let body = Rc::new(body);
        let numbers: Vec<Connection> = self.dialled.keys().copied().collect();
        for number in numbers {
            if let Some(connection) = self.dialled.get_mut(&number) {
                connection.broadcast(&body, &mut self.hub);
                self.after(number);
            }
        }
    }

    fn request(&mut self, ticket: u64, target: Target, request: Request) {
        let number = match target {
            Target::Opened(number) => Some(number),
            Target::Any => self.any_established(),
            // A peer answers no requests over a connection that it opened itself (`spec/06 §7.2`).
            Target::Accepted(_) => None,
        };
        let connection = number.and_then(|number| self.dialled.get_mut(&number));
        let sent = match connection {
            Some(connection) => connection.request(ticket, request, &mut self.hub),
            None => Err(NoAnswer::NoConnection),
        };
        match (sent, number) {
            (Ok(()), Some(number)) => self.after(number),
            (Err(why), _) => {
                self.hub.counters.count(Counter::RequestsUnanswered);
                self.hub.tell(&FromNet::Answered {
                    ticket,
                    answer: Err(why),
                });
            }
            (Ok(()), None) => {}
        }
    }

    fn any_established(&mut self) -> Option<Connection> {
        let established: Vec<Connection> = self
            .dialled
            .values()
            .filter(|c| c.is_established())
            .map(|c| c.number)
            .collect();
        let place = self.chance.draw() % (established.len().max(1) as u64);
        established.get(place as usize).copied()
    }

    fn send_to_dialled(&mut self, number: Connection, body: &[u8]) {
        if let Some(connection) = self.dialled.get_mut(&number) {
            connection.send(body, &self.hub);
            self.after(number);
        }
    }

    /// Sends on what the store answered.
    pub(super) fn deliver_answers(&mut self) {
        for answer in self.hub.data.answers() {
            self.hub.counters.count(match answer.failure {
                None => Counter::DataRequests,
                Some(_) => Counter::DataFailed,
            });
            if let Some(failure) = &answer.failure {
                self.quiet.store(self.hub.now.steady, failure);
            }
            let number = answer.connection;
            let Some(connection) = self.accepted.get(number) else {
                continue;
            };
            match connection.data_answered(&answer.body, &mut self.hub) {
                Ok(()) => self.after(number),
                Err(ending) => self.close_accepted(number, &ending),
            }
        }
    }
}
