//! The relay: a thread that takes packets from all nodes, and hands each to the node that it is for, later or never.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::node_of;

/// Longest packet.
const LONGEST: usize = 1 << 16;
/// Packets on the way; more are lost, as in any router.
const MOST: usize = 1 << 14;

/// What the relay does to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// Least and most time that a packet takes; each pair of nodes has a time of its own, the same in both directions.
    pub delay: (Duration, Duration),
    /// Of a thousand packets, so many are lost.
    pub loss: u32,
}

/// What became of packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handed over.
    pub moved: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Not let through between nodes that are cut off from each other.
    pub cut: u64,
}

/// What the relay and its owner share.
#[derive(Debug)]
pub(crate) struct Shared {
    conditions: Conditions,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    /// Side of each node.
    away: Vec<bool>,
    counts: Counts,
}

impl Shared {
    pub(crate) fn new(nodes: usize, conditions: Conditions) -> Self {
        let now = Now {
            away: vec![false; nodes],
            counts: Counts::default(),
        };
        Self {
            conditions,
            now: Mutex::new(now),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn part(&self, nodes: &[usize]) {
        let mut now = self.lock();
        for (number, away) in now.away.iter_mut().enumerate() {
            *away = nodes.contains(&number);
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Closing it ends the thread.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    pub(crate) fn start(tunnels: Vec<File>, shared: Arc<Shared>, seed: u64) -> io::Result<Self> {
        let (stopped, stop) = rustix::pipe::pipe()?;
        let work = Work {
            tunnels,
            shared,
            chance: seed,
            pairs: seed,
            way: BinaryHeap::new(),
            sequence: 0,
        };
        let thread = thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || work.run(&stopped))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(crate) fn stop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

/// A packet on its way: when it is due, a number that keeps the order, for whom.
type OnTheWay = Reverse<(Instant, u64, usize, Vec<u8>)>;

struct Work {
    tunnels: Vec<File>,
    shared: Arc<Shared>,
    chance: u64,
    pairs: u64,
    way: BinaryHeap<OnTheWay>,
    sequence: u64,
}

impl Work {
    fn run(mut self, stopped: &OwnedFd) {
        let mut buffer = vec![0; LONGEST];
        loop {
            self.deliver();
            let wait = self.way.peek().map(|Reverse((due, ..))| {
                let wait = due.saturating_duration_since(Instant::now());
                Timespec {
                    tv_sec: wait.as_secs() as i64,
                    tv_nsec: i64::from(wait.subsec_nanos()),
                }
            });
            let mut polled: Vec<PollFd<'_>> = self
                .tunnels
                .iter()
                .map(|tunnel| PollFd::new(tunnel, PollFlags::IN))
                .collect();
            polled.push(PollFd::new(stopped, PollFlags::IN));
            match poll(&mut polled, wait.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("waiting for packets: {error}"),
            }
            let told: Vec<bool> = polled.iter().map(|p| !p.revents().is_empty()).collect();
            if told.last() == Some(&true) {
                return;
            }
            for (from, told) in told.iter().enumerate().take(self.tunnels.len()) {
                if *told {
                    self.take(from, &mut buffer);
                }
            }
        }
    }

    /// Takes all packets that a node has sent.
    fn take(&mut self, from: usize, buffer: &mut [u8]) {
        while let Ok(length) = self.tunnels[from].read(buffer) {
            if let Some(to) = receiver(&buffer[..length]).filter(|to| *to < self.tunnels.len()) {
                self.send(from, to, buffer[..length].to_vec());
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, packet: Vec<u8>) {
        let Conditions { delay, loss } = self.shared.conditions;
        let lost = next(&mut self.chance) % 1_000 < u64::from(loss) || self.way.len() >= MOST;
        let mut now = self.shared.lock();
        if now.away[from] != now.away[to] {
            now.counts.cut += 1;
            return;
        }
        if lost {
            now.counts.lost += 1;
            return;
        }
        drop(now);
        // A pair has one number, whichever way.
        let mut pair = self.pairs ^ (from.min(to) << 8 | from.max(to)) as u64;
        let spread = (delay.1 - delay.0).as_micros() as u64;
        let more = Duration::from_micros(next(&mut pair) % (spread + 1));
        self.sequence += 1;
        let due = Instant::now() + delay.0 + more;
        self.way.push(Reverse((due, self.sequence, to, packet)));
    }

    /// Hands over what is due.
    fn deliver(&mut self) {
        let time = Instant::now();
        let mut moved = 0;
        while self
            .way
            .peek()
            .is_some_and(|Reverse((due, ..))| *due <= time)
        {
            if let Some(Reverse((_, _, to, packet))) = self.way.pop() {
                // A node that takes no more has lost it.
                moved += u64::from(self.tunnels[to].write(&packet).is_ok());
            }
        }
        if moved > 0 {
            self.shared.lock().counts.moved += moved;
        }
    }
}

/// The node that an IPv4 packet is for.
fn receiver(packet: &[u8]) -> Option<usize> {
    let is_ipv4 = packet.first().is_some_and(|byte| byte >> 4 == 4);
    let address = packet.get(16..20)?.try_into().ok()?;
    is_ipv4.then(|| node_of(address)).flatten()
}

/// A pseudo-random number (SplitMix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
