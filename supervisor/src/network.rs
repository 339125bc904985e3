//! Which network the peer belongs to, when the settings don't say: the one that the named peers are of, once and for all.
//!
//! Nobody vouches for the answer of the first time. It is written down, so that it is the same from then on whatever anybody says; the
//! store holds the peer to it too, since its root has the genesis state.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ipc::Bytes;

use crate::clock;
use crate::durable;
use crate::exit::{self, Fatal};
use crate::rescue::{Answer, Courier, Errand};
use crate::running::Running;
use crate::setup::Setup;

/// Name of the file.
const NAME: &str = "network";
/// Longest file that is one of ours.
const LONGEST: usize = 1_000;
/// Milliseconds for one peer to answer.
const WITHIN: u64 = 8_000;
/// Named peers that are asked.
const MOST: usize = 8;
/// Wait after a round in which nobody answered, milliseconds; it doubles up to [`MAX_WAIT`].
const FIRST_WAIT: u64 = 500;
const MAX_WAIT: u64 = 30_000;

/// The network, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Hash of the genesis state.
    pub network: [u8; 32],
    /// Who and when, for people.
    pub by: String,
}

/// The file in which the network is written down.
#[derive(Debug)]
pub struct Record(PathBuf);

impl Record {
    /// In this directory.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self(directory.join(NAME))
    }

    /// What is written there, if anything.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn load(&self) -> Result<Option<Told>, Fatal> {
        let path = self.0.display();
        let text = match fs::read(&self.0) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Fatal::new(
                    exit::NO_INPUT,
                    format!(
                        "can't read {path}, where the network of this peer is written: {error}"
                    ),
                ));
            }
        };
        let read = || {
            let text = std::str::from_utf8(text.get(..LONGEST.min(text.len()))?).ok()?;
            let (hash, by) = text.split_once('\n')?;
            let mut network = [0; 32];
            hex::decode_to_slice(hash, &mut network).ok()?;
            let by = by.trim().to_owned();
            Some(Told { network, by })
        };
        read().map(Some).ok_or_else(|| {
            Fatal::new(
                exit::CONFIG,
                format!(
                    "{path} should hold the network of this peer, and does not: set peer.network, or remove the file to have the peers of network.peers asked again"
                ),
            )
        })
    }

    /// Writes it down; it is on disk when this returns.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, told: &Told) -> io::Result<()> {
        let text = format!("{}\n{}\n", hex::encode(told.network), told.by);
        durable::replace(&self.0, text.as_bytes())
    }
}

/// The named peers are being asked, one after the other.
#[derive(Debug)]
pub struct Asking {
    peers: Vec<String>,
    next: usize,
    courier: Option<Courier>,
    answers: Vec<(String, [u8; 32])>,
    rounds: u32,
    not_before: u64,
}

impl Asking {
    /// Nobody was asked yet.
    #[must_use]
    pub fn new(peers: &[String]) -> Self {
        Self {
            peers: peers.iter().take(MOST).cloned().collect(),
            next: 0,
            courier: None,
            answers: Vec::new(),
            rounds: 0,
            not_before: 0,
        }
    }

    /// Goes on; the network, once all that answer were asked and say the same.
    ///
    /// # Errors
    /// When they are of different networks, or nobody can be asked.
    pub fn turn(&mut self, setup: &Setup, now: u64) -> Result<Option<Told>, Fatal> {
        if let Some(courier) = &mut self.courier {
            let Some(answer) = courier.turn(now) else {
                return Ok(None);
            };
            self.courier = None;
            self.answered(answer, now);
        }
        if now < self.not_before {
            return Ok(None);
        }
        if let Some(target) = self.peers.get(self.next) {
            let errand = Errand {
                target: target.clone(),
                transaction: Bytes::default(),
                check: String::new(),
                expected: String::new(),
                within: WITHIN,
            };
            self.courier = Some(Courier::start(setup, errand, now)?);
            return Ok(None);
        }
        self.decide(now)
    }

    fn answered(&mut self, answer: Result<Answer, String>, now: u64) {
        let peer = self.peers[self.next].clone();
        self.next += 1;
        let read = answer.and_then(|answer| {
            let mut network = [0; 32];
            hex::decode_to_slice(&answer.text, &mut network)
                .map(|()| network)
                .map_err(|_| format!("no hash of a genesis state: {}", answer.text))
        });
        match read {
            Ok(network) => self.answers.push((peer, network)),
            Err(text) => {
                log::warn!(target: "supervisor", "which network is this? {peer}: {text}");
            }
        }
        if self.next == self.peers.len() && self.answers.is_empty() {
            self.next = 0;
            self.not_before = now + (FIRST_WAIT << self.rounds.min(10)).min(MAX_WAIT);
            self.rounds += 1;
            log::warn!(
                target: "supervisor",
                "peer.network is not set, and no peer of network.peers has said its network; they are asked again"
            );
        }
    }

    fn decide(&self, _now: u64) -> Result<Option<Told>, Fatal> {
        let Some((first, network)) = self.answers.first() else {
            return Ok(None);
        };
        if let Some((other, strange)) = self.answers.iter().find(|(_, n)| n != network) {
            return Err(Fatal::new(
                exit::CONFIG,
                format!(
                    "{first} is of the network {}, and {other} of {}: set peer.network to the one that is meant",
                    hex::encode(network),
                    hex::encode(strange)
                ),
            ));
        }
        let names: Vec<&str> = self.answers.iter().map(|(peer, _)| peer.as_str()).collect();
        Ok(Some(Told {
            network: *network,
            by: format!(
                "{} at {}",
                names.join(", "),
                ipc::logging::utc(clock::wall())
            ),
        }))
    }

    /// The process that asks.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        self.courier.as_ref().map(Courier::running)
    }

    /// When it has to go on.
    #[must_use]
    pub fn next(&self) -> u64 {
        match &self.courier {
            Some(courier) => courier.kill_at(),
            None => self.not_before,
        }
    }

    /// Nobody needs to know any more.
    pub fn kill(self) {
        if let Some(courier) = self.courier {
            courier.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answers: &[(&str, Result<&str, &str>)]) -> Asking {
        let peers: Vec<String> = answers.iter().map(|(peer, _)| (*peer).to_owned()).collect();
        let mut asking = Asking::new(&peers);
        for (_, answer) in answers {
            let answer = answer.map(|text| Answer {
                text: text.to_owned(),
                confirmed: true,
            });
            asking.answered(answer.map_err(str::to_owned), 1_000);
        }
        asking
    }

    #[test]
    fn the_network_is_what_all_say_who_answer() {
        let hash = "ab".repeat(32);
        let asking = asked(&[
            ("a:1", Err("connection refused")),
            ("b:2", Ok(&hash)),
            ("c:3", Ok(&hash)),
        ]);
        let told = asking.decide(1_000).unwrap().unwrap();
        assert_eq!(told.network, [0xab; 32]);
        assert!(told.by.starts_with("b:2, c:3 at "), "{}", told.by);
    }

    #[test]
    fn peers_of_different_networks_are_no_answer() {
        let (one, other) = ("ab".repeat(32), "cd".repeat(32));
        let asking = asked(&[("a:1", Ok(&one)), ("b:2", Ok(&other))]);
        let error = asking.decide(1_000).unwrap_err();
        assert_eq!(error.code, exit::CONFIG);
        assert!(
            error.text.contains("b:2") && error.text.contains(&other),
            "{error}"
        );
    }

    #[test]
    fn when_nobody_answers_all_are_asked_again_after_a_while() {
        let asking = asked(&[("a:1", Err("no")), ("b:2", Ok("nonsense"))]);
        assert_eq!(asking.decide(1_000), Ok(None));
        assert_eq!((asking.next, asking.next()), (0, 1_500));
    }

    #[test]
    fn what_was_told_once_is_kept_and_what_is_no_record_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let record = Record::new(dir.path());
        assert_eq!(record.load(), Ok(None));
        let told = Told {
            network: [7; 32],
            by: "a:1 at some time".to_owned(),
        };
        record.save(&told).unwrap();
        assert_eq!(record.load(), Ok(Some(told)));
        for bad in ["", "nonsense\nby", "abcd\nby"] {
            fs::write(dir.path().join(NAME), bad).unwrap();
            let error = record.load().unwrap_err();
            assert!(error.text.contains("peer.network"), "{error}");
        }
    }
}
