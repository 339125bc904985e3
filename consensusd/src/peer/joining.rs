//! Before there is a peer: a store without a state, and no file with the genesis state. Other peers have it (`spec/05 §14.2`).
//!
//! The settings name the network by the hash of its genesis state, so whoever sends it need not be trusted. Belief and blocks follow as they
//! do for a peer that was away.

use cells::{Cell, Hash};
use signing::Now;

use super::acquisition::Acquisition;
use super::event::{Action, Channel, Connection, Event, Outgoing, Request, Target};
use crate::source::Shelf;

/// Milliseconds for an answer; `netd` gives up earlier.
const PATIENCE: u64 = 15_000;
/// Milliseconds until somebody is asked again after a failure.
const AGAIN: u64 = 500;

/// What is known before there is a peer, and what is wanted.
pub struct Joining {
    network: Hash,
    /// Whether the genesis state is wanted from others.
    wanted: bool,
    opened: Vec<Connection>,
    turn: usize,
    tickets: u64,
    not_before: u64,
    under_way: Option<(u64, Acquisition)>,
    cells: u64,
}

impl Joining {
    /// Nothing is wanted yet.
    #[must_use]
    pub fn new(network: Hash) -> Self {
        Self {
            network,
            wanted: false,
            opened: Vec::new(),
            turn: 0,
            tickets: 0,
            not_before: 0,
            under_way: None,
            cells: 0,
        }
    }

    /// The genesis state is to be had from others.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// Connections to other peers, for the peer that there is from now on: `netd` tells of each once.
    pub fn into_opened(&mut self) -> Vec<Connection> {
        self.under_way = None;
        std::mem::take(&mut self.opened)
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Now, shelf: &Shelf) {
        match event {
            Event::Opened(connection) => self.opened.push(connection),
            Event::Closed(connection) => {
                self.opened.retain(|c| *c != connection);
                let from = Target::Opened(connection);
                self.under_way.take_if(|(_, a)| a.target == from);
            }
            Event::Link(Channel::Net, _) => {
                self.opened.clear();
                self.under_way = None;
            }
            Event::Answered { ticket, answer } => {
                let Some((until, acquisition)) = &mut self.under_way else {
                    return;
                };
                if acquisition.ticket() != Some(ticket) {
                    return;
                }
                *until = now.steady + PATIENCE;
                if let Err(why) = acquisition.arrived(answer.as_ref(), shelf) {
                    log::warn!("the genesis state: {why:?}; another peer is asked");
                    self.under_way = None;
                    self.not_before = now.steady + AGAIN;
                }
            }
            _ => {}
        }
    }

    /// Asks for what is lacking; the genesis state once all of it is there.
    pub fn advance(&mut self, now: Now, shelf: &Shelf, out: &mut Vec<Action>) -> Option<Cell> {
        if !self.wanted {
            return None;
        }
        self.under_way.take_if(|(until, _)| now.steady >= *until);
        if self.under_way.is_none() && now.steady >= self.not_before && !self.opened.is_empty() {
            self.turn += 1;
            let target = Target::Opened(self.opened[self.turn % self.opened.len()]);
            let acquisition = Acquisition::of_hash(self.network, target);
            self.under_way = Some((now.steady + PATIENCE, acquisition));
        }
        let (_, acquisition) = self.under_way.as_mut()?;
        self.tickets += 1;
        if let Some(hashes) = acquisition.request(self.tickets) {
            self.cells += hashes.len() as u64;
            let (target, request) = (acquisition.target, Request::Data(hashes));
            out.push(Action::Net(Outgoing::Request(
                self.tickets,
                target,
                request,
            )));
        } else if acquisition.is_complete() {
            log::info!("EVENT=genesis_acquired cells={}", self.cells);
            return acquisition.value(shelf);
        }
        None
    }
}
