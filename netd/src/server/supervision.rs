//! Orders of the supervisor, what it is told, and lines for the log.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use ipc::logging::Quiet;
use ipc::net::Connection;
use ipc::supervision::{
    Alarm, AlarmKind, FromWorker, NetdSettings, RoleStatus, Settings, ToWorker, WorkerStatus,
};
use ipc::{Channel, Received};

use super::look_ups::{self, LookUps};
use super::{Server, outgoing_config, quiet};
use crate::accepted::Ending;
use crate::cidr::AccessList;
use crate::endpoint::Endpoint;
use crate::limits::Limits;
use crate::names::Names;

/// Peers in a status at most: it has to fit a datagram.
const SHOWN: usize = 128;
/// Milliseconds that are kept of the time for ending, so that the process is gone when it is over.
const MARGIN: u64 = 100;

impl Server {
    /// Does what the supervisor says: true when the process has to end now.
    pub(super) fn supervise(&mut self) -> bool {
        loop {
            match self.supervision.receive() {
                Ok(Received::Message(order, fds)) => self.order(order, fds),
                Ok(Received::Nothing) => return false,
                Ok(Received::Ended) => return true,
                Err(error) => {
                    // The supervisor is of the same build; whatever this is, it is no order.
                    log::error!("{error}");
                    return matches!(
                        error,
                        ipc::SupervisionError::Io(_) | ipc::SupervisionError::Closed
                    );
                }
            }
        }
    }

    fn order(&mut self, order: ToWorker, fds: Vec<OwnedFd>) {
        let mut fds = fds.into_iter();
        match order {
            ToWorker::Channel {
                channel: Channel::Net,
                epoch,
            } => {
                if let Some(fd) = fds.next()
                    && !self.locked
                {
                    self.set_link(fd, epoch);
                }
            }
            ToWorker::Store => {
                if let (Some(file), Some(control)) = (fds.next(), fds.next())
                    && let Err(error) = self.hub.data.set_store(file, control)
                {
                    self.alarm(
                        AlarmKind::Store,
                        format!("the store can't be read: {error}"),
                    );
                }
            }
            ToWorker::Ping(number) => self.tell_supervisor(&FromWorker::Pong(number)),
            ToWorker::Status(number) => {
                let status = self.status();
                self.tell_supervisor(&FromWorker::Status(number, Box::new(status)));
            }
            ToWorker::Lock => self.lock(),
            ToWorker::Stop { within } => self.stop(u64::from(within)),
            ToWorker::Reload(settings) => match *settings {
                Settings::Netd(settings) => self.reload(&settings),
                _ => log::error!("settings of another role"),
            },
            ToWorker::Start(_) | ToWorker::Channel { .. } | ToWorker::Unlock | ToWorker::Verify => {
                log::error!("an order that is not for this role");
            }
        }
    }

    /// Sends the supervisor a message; when it does not read, the message is lost.
    pub fn tell_supervisor(&mut self, message: &FromWorker) {
        if let Err(error) = self.supervision.send(message, &[]) {
            log::error!("{error}");
        }
    }

    pub(super) fn alarm(&mut self, kind: AlarmKind, text: String) {
        let Some(held) = self.quiet.alarm.pass(self.hub.now.steady) else {
            return;
        };
        log::error!("{text}{}", more(held));
        self.tell_supervisor(&FromWorker::Alarm(Alarm { kind, text }));
    }

    fn status(&mut self) -> WorkerStatus {
        let trusted = self
            .accepted
            .iter()
            .filter(|c| c.trusted().is_some())
            .count();
        let established = || self.dialled.values().filter(|c| c.is_established());
        let opened = established().count();
        let peers = established()
            .take(SHOWN)
            .map(|c| (c.endpoint.to_string(), c.key))
            .collect();
        let mut counters = self.hub.counters.named();
        let asked = self.hub.flow.taken();
        let gauges = [
            ("memory", self.hub.memory),
            ("asked", asked.count),
            ("asked_bytes", asked.bytes),
            ("waiting", self.waiting.len()),
            (
                "link_waiting",
                self.hub.link.as_ref().map_or(0, crate::link::Link::waiting),
            ),
        ];
        counters.extend(gauges.map(|(name, value)| (name.to_owned(), value as u64)));
        WorkerStatus {
            of_role: RoleStatus::Netd {
                accepted: u32::try_from(self.accepted.len()).unwrap_or(u32::MAX),
                trusted: u32::try_from(trusted).unwrap_or(u32::MAX),
                opened: u32::try_from(opened).unwrap_or(u32::MAX),
                peers,
                serving: !self.locked && self.stopping.is_none(),
            },
            counters,
        }
    }

    /// Answers nobody any more. Nothing undoes it.
    fn lock(&mut self) {
        log::warn!("locked: connections are closed, and nobody is answered any more");
        self.locked = true;
        self.listeners.clear();
        self.spare = None;
        let accepted: Vec<Connection> = self.accepted.iter().map(|c| c.number).collect();
        let dialled = self.dialled.keys().copied();
        for number in accepted.into_iter().chain(dialled.collect::<Vec<_>>()) {
            self.close(number, &Ending::Over);
        }
        self.look_ups = LookUps::new(Names::default());
        self.drop_link();
    }

    /// Accepts and reads nothing more; what was asked is still answered, within so many milliseconds.
    fn stop(&mut self, within: u64) {
        self.stopping = Some(self.hub.now.steady + within.saturating_sub(MARGIN));
        self.listeners.clear();
        self.spare = None;
        self.look_ups = LookUps::new(Names::default());
        let numbers: Vec<Connection> = self.dialled.keys().copied().collect();
        for number in numbers {
            if let Some(connection) = self.dialled.get_mut(&number) {
                connection.goodbye(&self.hub);
                self.mark_dirty(number);
            }
        }
    }

    /// True when the process was asked to end and may.
    pub(super) fn has_stopped(&mut self) -> bool {
        let Some(until) = self.stopping else {
            return false;
        };
        let quiet = self.accepted.iter().all(|c| c.is_quiet())
            && self.dialled.values().all(|c| c.is_quiet());
        quiet || self.hub.now.steady >= until
    }

    fn reload(&mut self, settings: &NetdSettings) {
        match AccessList::new(&settings.allow, &settings.deny) {
            Ok(access) => self.access = access,
            Err(error) => log::error!("the networks that may connect stay as they were: {error}"),
        }
        let limits = Limits::new(settings);
        self.admission.set_limits(limits.admission);
        // Connections that are open keep the limits that they were accepted with.
        self.hub.limits = limits;
        self.outgoing
            .configure(outgoing_config(settings, self.local));
        self.look_ups.configure(look_ups::names(settings));
        let access = &self.access;
        let denied: Vec<Connection> = self
            .accepted
            .iter()
            .filter(|c| !access.permits(c.address.ip()))
            .map(|c| c.number)
            .collect();
        for number in denied {
            self.close_accepted(number, &Ending::Denied);
        }
    }
}

/// Lines about connections, each kind at its own pace. Those to other peers are not named at the usual level.
pub(super) struct Lines {
    pub(super) alarm: Quiet,
    refused: Quiet,
    closed: Quiet,
    accept: Quiet,
    unresolved: Quiet,
    store: Quiet,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            alarm: quiet(),
            refused: quiet(),
            closed: quiet(),
            accept: quiet(),
            unresolved: quiet(),
            store: quiet(),
        }
    }
}

impl Lines {
    pub(super) fn refused(&mut self, now: u64, address: &SocketAddr, why: &str) {
        if let Some(held) = self.refused.pass(now) {
            log::info!(
                "refused {}: {why}{}",
                address.ip().to_canonical(),
                more(held)
            );
        }
    }

    /// Who left by itself is nothing to tell.
    pub(super) fn closed(&mut self, now: u64, address: &SocketAddr, ending: &Ending) {
        let usual = match ending {
            Ending::Gone | Ending::Failed(_) | Ending::Over => true,
            Ending::Protocol(reason) => {
                matches!(reason, wire::CloseReason::Goodbye | wire::CloseReason::Idle)
            }
            _ => false,
        };
        if usual {
            log::debug!("closed {}: {ending}", address.ip().to_canonical());
        } else if let Some(held) = self.closed.pass(now) {
            log::info!(
                "closed {}: {ending}{}",
                address.ip().to_canonical(),
                more(held)
            );
        }
    }

    pub(super) fn accept(&mut self, now: u64, error: &io::Error) {
        if let Some(held) = self.accept.pass(now) {
            log::error!("accepting: {error}{}", more(held));
        }
    }

    pub(super) fn unresolved(
        &mut self,
        now: u64,
        endpoint: &Endpoint,
        configured: bool,
        why: &str,
    ) {
        if !configured {
            log::debug!("no address for {endpoint}: {why}");
        } else if let Some(held) = self.unresolved.pass(now) {
            log::warn!("no address for {endpoint}: {why}{}", more(held));
        }
    }

    pub(super) fn store(&mut self, now: u64, failure: &dyn Display) {
        if let Some(held) = self.store.pass(now) {
            log::warn!("a data request was not answered: {failure}{}", more(held));
        }
    }
}

/// How many lines of a kind were held back.
fn more(held: u64) -> String {
    match held {
        0 => String::new(),
        n => format!(" (and {n} more since the last such line)"),
    }
}
