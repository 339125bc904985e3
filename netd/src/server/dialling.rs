//! Connections to other peers: from the policy's wish over the name and its addresses to the socket, and its end.

use std::net::{IpAddr, SocketAddr};

use ipc::net::{Connection, FromNet};
use mio::net::TcpStream;
use mio::{Interest, Token};

use super::accepting::set_options;
use super::look_ups::Wanted;
use super::{MANAGE, Server};
use crate::accepted::Ending;
use crate::chance::Chance;
use crate::counters::Counter;
use crate::dialled::Dialled;
use crate::endpoint::Endpoint;
use crate::names::{Known, Moment};
use crate::outgoing::Step;

impl Server {
    /// Tells consensus how many connections there could be, when that is news.
    pub(super) fn tell_reach(&mut self) {
        let reach = self.outgoing.reach();
        if self.hub.link.is_some() && self.told_reach != Some(reach) {
            self.told_reach = Some(reach);
            self.hub.tell(&FromNet::Reach {
                named: u32::try_from(reach.0).unwrap_or(u32::MAX),
                target: u16::try_from(reach.1).unwrap_or(u16::MAX),
            });
        }
    }

    /// Opens and closes connections to other peers as the policy says.
    pub(super) fn manage_outgoing(&mut self) {
        let now = self.hub.now.steady;
        if self.locked || self.stopping.is_some() || now < self.next_management {
            return;
        }
        self.next_management = now + MANAGE;
        self.tell_reach();
        while let Some(step) = {
            let chance = &mut self.chance;
            self.outgoing.step(now, || chance.draw())
        } {
            match step {
                Step::Dial {
                    endpoint,
                    key,
                    failures,
                } => self.dial(endpoint, key, failures),
                Step::Close(number, unwanted) => {
                    self.hub.counters.count(Counter::PeersUnwanted);
                    self.close_dialled(number, &Ending::Consensus(unwanted.to_string()));
                }
            }
        }
    }

    fn dial(&mut self, endpoint: Endpoint, key: Option<[u8; 32]>, failures: u32) {
        self.hub.counters.count(Counter::Dialled);
        let number = self.numbers.dialled();
        self.outgoing.dialled(number, endpoint.clone(), key);
        let known = self.addresses_of(&endpoint);
        let wanted = Wanted {
            endpoint,
            key,
            failures,
        };
        match known {
            Known::Addresses(addresses) => self.connect(number, wanted, &addresses),
            Known::Nothing(why) => self.unresolved(number, &wanted.endpoint, why),
            Known::Pending => self.look_ups.wait(number, wanted),
        }
    }

    fn addresses_of(&mut self, endpoint: &Endpoint) -> Known {
        if let Some(addresses) = endpoint.addresses() {
            return Known::Addresses(addresses.iter().map(SocketAddr::ip).collect());
        }
        let mut random = unguessable(&mut self.chance);
        let mut moment = Moment {
            now: self.hub.now.steady,
            random: &mut random,
        };
        let name = endpoint.name().unwrap_or_default();
        self.look_ups.look_up(name, &mut moment)
    }

    /// Goes on with look-ups, and connects to what they found.
    pub(super) fn look_names_up(&mut self) {
        let over = {
            let mut random = unguessable(&mut self.chance);
            let mut moment = Moment {
                now: self.hub.now.steady,
                random: &mut random,
            };
            let registry = self.poll.registry();
            self.look_ups
                .turn(registry, &mut moment, &mut self.hub.counters)
        };
        for (name, result) in over {
            for (number, wanted) in self.look_ups.take(&name) {
                match &result {
                    Ok(addresses) => self.connect(number, wanted, addresses),
                    Err(why) => self.unresolved(number, &wanted.endpoint, why),
                }
            }
        }
    }

    fn unresolved(&mut self, number: Connection, endpoint: &Endpoint, why: &str) {
        let now = self.hub.now.steady;
        self.hub.counters.count(Counter::DialUnresolved);
        self.quiet
            .unresolved(now, endpoint, self.outgoing.is_configured(endpoint), why);
        let random = self.chance.draw();
        self.outgoing.closed(number, now, random);
    }

    /// Connects to one of the addresses of a host, another each time: of those that may be connected to, whoever named them.
    fn connect(&mut self, number: Connection, wanted: Wanted, addresses: &[IpAddr]) {
        let Wanted {
            endpoint,
            key,
            failures,
        } = wanted;
        let may = |address: &&IpAddr| self.outgoing.may_dial(&endpoint, **address);
        let allowed: Vec<&IpAddr> = addresses.iter().filter(may).collect();
        let place = failures as usize % allowed.len().max(1);
        let Some(address) = allowed.get(place) else {
            return self.unresolved(number, &endpoint, "its addresses are none to connect to");
        };
        let address = SocketAddr::new(**address, endpoint.port());
        let socket = TcpStream::connect(address).and_then(|mut socket| {
            set_options(&socket)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut socket, Token(number as usize), interest)?;
            Ok(socket)
        });
        match socket {
            Ok(socket) => {
                let mut connection =
                    Dialled::new(number, endpoint, key, (socket, address), &self.hub);
                connection.counted = connection.held();
                self.hub.memory += connection.counted;
                self.dialled.insert(number, connection);
            }
            Err(error) => {
                self.hub.counters.count(Counter::DialFailed);
                log::debug!("connecting to {endpoint} ({address}): {error}");
                let random = self.chance.draw();
                self.outgoing.closed(number, self.hub.now.steady, random);
            }
        }
    }

    /// A connection to another peer is open.
    pub(super) fn established(&mut self, number: Connection) {
        let Some(connection) = self.dialled.get(&number) else {
            return;
        };
        self.hub.counters.count(Counter::Established);
        log::debug!(
            "connected to {} ({})",
            connection.endpoint,
            connection.address
        );
        self.outgoing.established(number, self.hub.now.steady);
        let opened = connection.opened();
        self.hub.tell(&opened);
    }

    /// Closes a connection to another peer.
    pub(super) fn close_dialled(&mut self, number: Connection, ending: &Ending) {
        let Some(mut connection) = self.dialled.remove(&number) else {
            if self.look_ups.forget(number) {
                let random = self.chance.draw();
                self.outgoing.closed(number, self.hub.now.steady, random);
            }
            return;
        };
        log::debug!(
            "connection to {} ({}) ended: {ending}",
            connection.endpoint,
            connection.address
        );
        self.hub.memory -= connection.counted;
        connection.forget(&mut self.hub);
        let established = connection.is_established();
        self.hub.counters.count(if established {
            Counter::PeersClosed
        } else {
            Counter::DialFailed
        });
        if established {
            self.hub.tell(&FromNet::Closed { connection: number });
        }
        let random = self.chance.draw();
        self.outgoing.closed(number, self.hub.now.steady, random);
    }
}

/// Numbers of the system, for questions whose answers nobody else may give.
fn unguessable(chance: &mut Chance) -> impl FnMut() -> u64 {
    // The system refuses only before it has ever had any.
    move || getrandom::u64().unwrap_or_else(|_| chance.draw())
}
