//! What those may see of a peer who may not operate it.

use ipc::control::PeerStatus;
use ipc::supervision::RoleStatus;

/// Takes out what only the operator is to see: who knows the connections to other peers knows whom to attack to cut this one off.
pub fn for_observer(status: &mut PeerStatus) {
    for worker in &mut status.workers {
        if let Some(RoleStatus::Netd { peers, .. }) = &mut worker.status {
            peers.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use ipc::Role;
    use ipc::control::{Phase, WorkerView};

    use super::*;

    #[test]
    fn an_observer_sees_how_many_connections_there_are_and_not_whose() {
        let netd = WorkerView {
            role: Role::Netd,
            pid: Some(1),
            ready: true,
            uptime: 0,
            restarts: 0,
            last_exit: None,
            memory: 0,
            cpu: 0,
            sandbox: None,
            status: Some(RoleStatus::Netd {
                accepted: 3,
                trusted: 1,
                opened: 2,
                peers: vec![
                    ("192.0.2.1:18888".to_owned(), None),
                    ("192.0.2.2:18888".to_owned(), Some([7; 32])),
                ],
                serving: true,
            }),
            counters: Vec::new(),
        };
        let mut status = PeerStatus {
            version: String::new(),
            key: [0; 32],
            network: [0; 32],
            network_by: None,
            listen: Vec::new(),
            public_host: None,
            pid: 1,
            uptime: 0,
            phase: Phase::Running,
            workers: vec![netd],
            consensus: None,
            alarms: Vec::new(),
            armed: None,
        };
        let text = |status: &PeerStatus| format!("{status:?}");
        assert!(text(&status).contains("192.0.2."));
        for_observer(&mut status);
        assert!(!text(&status).contains("192.0.2."));
        assert!(text(&status).contains("opened: 2"));
    }
}
