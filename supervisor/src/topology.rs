//! The processes and channels of a peer, as one table.

use ipc::{Channel, Role};

/// A worker, as the supervisor sees it.
#[derive(Debug, Clone, Copy)]
pub struct Worker {
    /// Which.
    pub role: Role,
    /// Name of its program.
    pub program: &'static str,
    /// Which sandbox it enters.
    pub sandbox: sandbox::Role,
    /// True when it reads the store.
    pub reads_store: bool,
    /// When it is stopped: those with lower numbers have ended before.
    pub stop_order: u8,
    /// What a violation of its sandbox, or a crash loop, leads to (DESIGN §4).
    pub breach: Breach,
}

/// What follows from a sign of compromise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// Signing is locked, an alarm raised: whoever can crash a worker from far must not be able to make every peer withdraw.
    Lock,
    /// Signing is locked, and the stake withdrawn if a withdrawal is armed.
    Withdraw,
}

/// All workers that run as long as the peer does, in the order of their start.
pub const WORKERS: [Worker; 4] = [
    Worker {
        role: Role::Stored,
        program: "stored",
        sandbox: sandbox::Role::Stored,
        reads_store: false,
        stop_order: 2,
        breach: Breach::Withdraw,
    },
    Worker {
        role: Role::Keyd,
        program: "keyd",
        sandbox: sandbox::Role::Keyd,
        reads_store: false,
        stop_order: 2,
        breach: Breach::Withdraw,
    },
    Worker {
        role: Role::Consensusd,
        program: "consensusd",
        sandbox: sandbox::Role::Consensusd,
        reads_store: true,
        stop_order: 1,
        breach: Breach::Withdraw,
    },
    Worker {
        role: Role::Netd,
        program: "netd",
        sandbox: sandbox::Role::Netd,
        reads_store: true,
        stop_order: 0,
        breach: Breach::Lock,
    },
];

/// Position of a worker in [`WORKERS`].
#[must_use]
pub fn index_of(role: Role) -> Option<usize> {
    WORKERS.iter().position(|worker| worker.role == role)
}

/// The channels that a worker has, each with the worker at the other end.
pub fn channels_of(role: Role) -> impl Iterator<Item = (Channel, Role)> {
    Channel::ALL.into_iter().filter_map(move |channel| {
        let [a, b] = channel.ends();
        if a == role {
            Some((channel, b))
        } else if b == role {
            Some((channel, a))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_channel_is_a_worker() {
        for channel in Channel::ALL {
            for role in channel.ends() {
                assert!(index_of(role).is_some(), "{role}");
                assert!(channels_of(role).any(|(c, other)| c == channel && other != role));
            }
        }
        assert_eq!(WORKERS.map(|worker| worker.role), Role::WORKERS);
    }

    #[test]
    fn only_the_network_process_can_be_attacked_without_a_withdrawal() {
        for worker in WORKERS {
            assert_eq!(
                worker.breach == Breach::Lock,
                worker.role == Role::Netd,
                "{}",
                worker.role
            );
        }
    }
}
