//! A watch over a network: peers that have executed equally many blocks have the same state, at every look.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::control;

/// Between two looks at all peers.
const PAUSE: Duration = Duration::from_millis(200);

/// A thread that looks again and again.
#[derive(Debug)]
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Result<Seen, String>>,
}

/// What was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Looks at one peer.
    pub looks: usize,
    /// Numbers of blocks at which states were compared.
    pub compared: usize,
}

impl Watch {
    /// Over peers with these run directories.
    pub(crate) fn start(run: Vec<PathBuf>) -> Self {
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let mut states = BTreeMap::new();
            let mut latest = vec![0; run.len()];
            let mut seen = Seen::default();
            loop {
                look(&run, &mut states, &mut latest, &mut seen)?;
                match stopped.recv_timeout(PAUSE) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(seen),
                }
            }
        });
        Self { stop, thread }
    }

    /// Ends it; answers what was seen.
    ///
    /// # Panics
    /// When peers disagreed, or one went back.
    pub fn end(self) -> Seen {
        drop(self.stop);
        let seen = self.thread.join().expect("it does not panic");
        seen.unwrap_or_else(|disagreement| panic!("{disagreement}"))
    }
}

fn look(
    run: &[PathBuf],
    states: &mut BTreeMap<u64, ([u8; 32], usize)>,
    latest: &mut [u64],
    seen: &mut Seen,
) -> Result<(), String> {
    for (peer, run) in run.iter().enumerate() {
        // One that is busy or being started says nothing this time.
        let Some(consensus) = control::status(run).ok().and_then(|s| s.consensus) else {
            continue;
        };
        let executed = consensus.executed;
        let [blocks, proposal, point, finality] = consensus.points;
        if !(blocks >= proposal && proposal >= point && point >= finality) {
            return Err(format!("peer {peer} has the points {:?}", consensus.points));
        }
        if executed < latest[peer] {
            let before = latest[peer];
            return Err(format!("peer {peer} went back from {before} to {executed}"));
        }
        latest[peer] = executed;
        let (state, first) = states.entry(executed).or_insert((consensus.state, peer));
        if *state != consensus.state {
            return Err(format!(
                "peers {first} and {peer} have different states after {executed} blocks"
            ));
        }
        seen.looks += 1;
        seen.compared = states.len();
    }
    Ok(())
}
