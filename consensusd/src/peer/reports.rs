//! What others and the operator are told.

use std::sync::Arc;

use cells::{Cell, Hash, Keyword, Map};
use consensus::MIN_STAKE;
use cvm::state::PeerStatus;
use signing::Now;
use wire::Status;

use super::Core;
use super::connectivity::Standing;
use super::event::{Action, AlarmKind, Outgoing, View};
use super::progress::{Progress, Stage};

/// Most peers that `netd` is told.
const MAX_PEERS: usize = 4_096;
/// Longest host name with port, bytes.
const MAX_HOST: u64 = 300;
/// Milliseconds between two looks at the peers of the state.
const LOOK: u64 = 1_000;

/// Milliseconds after which an acquisition is more than what a message lacked.
const LONG: u64 = 2_000;
/// Blocks to be executed that are more than what just became final.
const MANY: u64 = 64;

/// What was told already.
#[derive(Default)]
pub(super) struct Told {
    /// The status as last told.
    pub(super) status: Option<Vec<u8>>,
    peers: Option<Vec<Connectable>>,
    /// When the peers of the state are looked at again (steady milliseconds).
    peers_not_before: u64,
    /// Controller, own shares and host of this peer.
    own: Option<Own>,
    view: Option<(Hash, Option<&'static str>, bool)>,
}

/// Key, host and stake of a peer of the state.
type Connectable = (crypto::AccountKey, String, i64);

/// What the chain says of this peer that only its controller should change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Own {
    controller: Option<u64>,
    stake: i64,
    host: Option<String>,
}

impl Told {
    /// Nobody knows anything: a new `netd`.
    pub(super) fn forget(&mut self) {
        self.status = None;
        self.peers = None;
        self.peers_not_before = 0;
    }
}

/// Where the peer stands, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Hash of the state after the last executed block.
    pub state: Hash,
    /// Blocks executed.
    pub executed: u64,
    /// Own order: blocks, proposal, consensus, finality.
    pub points: [u64; 4],
    /// Time of the own order.
    pub order_time: i64,
    /// Time of the state.
    pub state_time: i64,
    /// Accounts.
    pub accounts: u64,
    /// Peers with stake.
    pub peers: u32,
    /// Own stake, coppers; `None` when the state has no such peer.
    pub stake: Option<i64>,
    /// `host:port` of this peer in the state.
    pub host: Option<String>,
    /// Part of the stake that is heard from, in thousandths.
    pub heard: u16,
    /// Whether consensus is within reach.
    pub standing: Standing,
    /// For how long, milliseconds.
    pub standing_for: u64,
    /// Transactions that wait for a block.
    pub queue: u32,
    /// True when blocks are proposed and orders signed.
    pub signing: bool,
    /// Why not, or what else keeps the peer from its work.
    pub hindrance: Option<String>,
}

impl Core {
    /// Why no transactions of clients are taken, if so (`spec/05 §12.1`).
    pub(super) fn closed(&self) -> Option<&'static str> {
        if self.stuck.is_some() {
            return Some("Server is not live");
        }
        match self.peer.electorate().voter(self.peer.key()) {
            None => Some("Peer not registered in global state"),
            Some(peer) if peer.balance < MIN_STAKE => {
                Some("Peer not sufficiently staked to publish transactions")
            }
            Some(_) if self.key.locked => Some("Peer key is locked: blocks can't be signed"),
            Some(_) if self.saver.refuses() => Some("Peer store takes no data"),
            Some(_) => None,
        }
    }

    /// Tells the checkers what to go by, when that changed.
    pub(super) fn tell_view(&mut self, out: &mut Vec<Action>) {
        let cut_off = self.connectivity.is_cut_off();
        let now = (self.ledger.state().hash(), self.closed(), cut_off);
        if self.told.view != Some(now) {
            self.told.view = Some(now);
            out.push(Action::View(Arc::new(View {
                state: self.ledger.state().clone(),
                closed: now.1,
                cut_off,
            })));
        }
    }

    /// Tells `netd` what it has to know, when that changed.
    pub(super) fn tell(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.told.view.is_none() {
            self.tell_view(out);
        }
        let look = now.steady >= self.told.peers_not_before;
        if look {
            self.told.peers_not_before = now.steady + LOOK;
            self.watch_own(out);
        }
        if !self.net {
            return;
        }
        if self.told.status.is_none()
            && let Some(belief) = self.gossip.durable_belief.clone()
            && self.saver.pictures_in_flight() == 0
            && !self.dirty
        {
            out.extend(
                self.status_for(&belief)
                    .map(|status| Action::Net(Outgoing::Status(status))),
            );
        }
        if !look {
            return;
        }
        let list = self.connectable();
        if self
            .told
            .peers
            .as_ref()
            .is_none_or(|told| differ(told, &list))
        {
            self.told.peers = Some(list.clone());
            out.push(Action::Net(Outgoing::Peers(list)));
        }
    }

    /// An alarm when stake, controller or host of this peer changed (DESIGN §4).
    fn watch_own(&mut self, out: &mut Vec<Action>) {
        let own = self.own();
        if let (Some(before), now) = (&self.told.own, &own)
            && now.as_ref() != Some(before)
        {
            let text = match now {
                Some(now) => format!("the state has changed this peer from {before:?} to {now:?}"),
                None => format!("the state has no longer this peer, which was {before:?}"),
            };
            out.push(Action::Alarm(AlarmKind::Chain, text));
        }
        self.told.own = own;
    }

    fn own(&self) -> Option<Own> {
        let key = Cell::from(cells::Blob::new(self.peer.key().as_bytes()));
        let record = self.peers_of_state()?.get(&key).ok()??;
        let status = PeerStatus::from_cell(&record).ok()?;
        Some(Own {
            controller: status.controller,
            stake: status.stake,
            host: status.metadata.as_ref().and_then(host_of),
        })
    }

    /// The status with this belief, when it is another than the one told before.
    pub(super) fn status_for(&mut self, belief: &Cell) -> Option<Vec<u8>> {
        let status = Status {
            belief: belief.hash(),
            genesis: self.config.network,
            peer: *self.peer.key(),
            state: self.ledger.state().hash(),
            points: self.points(),
        };
        let encoded = cells::encode_message(&status.to_cell()).ok()?;
        if self.told.status.as_ref() == Some(&encoded) {
            return None;
        }
        self.told.status = Some(encoded.clone());
        Some(encoded)
    }

    /// Own order: blocks, proposal, consensus, finality.
    pub(super) fn points(&self) -> [u64; 4] {
        std::array::from_fn(|level| u64::try_from(self.peer.order().point(level)).unwrap_or(0))
    }

    fn peers_of_state(&self) -> Option<cells::Index> {
        let Cell::Record(state) = self.ledger.state() else {
            return None;
        };
        match state.field(1) {
            Ok(Some(Cell::Index(peers))) => Some(peers),
            _ => None,
        }
    }

    /// Peers of the state, other than this one, that name a host.
    fn connectable(&self) -> Vec<Connectable> {
        let Some(peers) = self.peers_of_state() else {
            return Vec::new();
        };
        let mut list = Vec::new();
        for entry in peers.iter() {
            let Ok((Cell::Blob(key), value)) = entry else {
                break;
            };
            let Some(key) = key.as_key().map(|key| crypto::AccountKey::new(*key)) else {
                continue;
            };
            let Ok(status) = PeerStatus::from_cell(&value) else {
                continue;
            };
            let stake = status.own_stake().unwrap_or(0);
            let host = status.metadata.as_ref().and_then(host_of);
            if let Some(host) = host
                && key != *self.peer.key()
                && stake > MIN_STAKE
                && list.len() < MAX_PEERS
            {
                list.push((key, host, stake));
            }
        }
        list
    }

    /// How far the peer is, while it catches up.
    #[must_use]
    pub fn progress(&self, now: Now) -> Option<Progress> {
        let blocks = self.peer.position();
        let [_, _, _, finality] = self.points();
        let done = self.gossip.fetcher.done();
        let fetches = done.is_some_and(|(_, began)| now.steady >= began + LONG);
        let stage = match (fetches, finality >= blocks + MANY) {
            (_, true) => Stage::Blocks,
            (true, false) => Stage::Belief,
            (false, false) => return None,
        };
        Some(Progress {
            stage,
            acquired: self.gossip.fetcher.acquired(),
            sources: self.gossip.opened.len(),
            done,
            blocks,
            known_blocks: match stage {
                Stage::Blocks => finality,
                _ => self.gossip.claimed.max(finality),
            },
        })
    }

    /// Where the peer stands at `now`.
    #[must_use]
    pub fn report(&self, now: Now) -> Report {
        let electorate = self.peer.electorate();
        let (standing, since) = self.connectivity.standing();
        let hindrance = self.hindrance();
        Report {
            state: self.ledger.state().hash(),
            executed: self.peer.position(),
            points: self.points(),
            order_time: self.peer.order().timestamp,
            state_time: self.ledger.globals().timestamp,
            accounts: self.ledger.accounts(),
            peers: electorate.voters().iter().filter(|v| v.is_staked()).count() as u32,
            stake: electorate
                .voter(self.peer.key())
                .map(|own| own.own_stake.unwrap_or(0)),
            host: self.told.own.as_ref().and_then(|own| own.host.clone()),
            heard: self.heard_from(now),
            standing,
            standing_for: now.steady.saturating_sub(since),
            queue: u32::try_from(self.queue.len()).unwrap_or(u32::MAX),
            signing: self.key.signs() && !self.fresh && hindrance.is_none(),
            hindrance,
        }
    }

    fn hindrance(&self) -> Option<String> {
        if let Some(why) = &self.stuck {
            return Some(format!("nothing can be executed any more: {why}"));
        }
        if !self.key.up {
            return Some("keyd is not connected: nothing can be signed".to_owned());
        }
        if self.key.locked {
            return Some(
                "the peer key is locked: unlock it with `convexctl key unlock`".to_owned(),
            );
        }
        if self.saver.refuses() {
            return Some("the store takes no data".to_owned());
        }
        if let Some(why) = self.closed() {
            return Some(format!("{why}: it follows, and takes no transactions"));
        }
        self.fresh
            .then(|| "the signer has just started and signs nothing of its first second".to_owned())
    }
}

/// Whether `netd` should know: other peers or hosts, or stakes that are quite different. Fees change stakes a little with every block.
fn differ(told: &[Connectable], list: &[Connectable]) -> bool {
    let same = |(a, b): (&Connectable, &Connectable)| {
        a.0 == b.0 && a.1 == b.1 && a.2.abs_diff(b.2) <= a.2.unsigned_abs() / 16
    };
    told.len() != list.len() || !told.iter().zip(list).all(same)
}

/// `host:port` of the metadata of a peer, without a scheme (`spec/06 §1`).
fn host_of(metadata: &Map) -> Option<String> {
    let url = metadata.get(&Cell::from(Keyword::literal("url"))).ok()??;
    let Cell::Str(text) = url else {
        return None;
    };
    if text.len() > MAX_HOST {
        return None;
    }
    let text = String::from_utf8(text.to_vec().ok()?).ok()?;
    let host = text
        .split_once("://")
        .map_or(text.as_str(), |(_, rest)| rest);
    let host = host.split('/').next()?;
    if host.is_empty() || host.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let has_port = host.rsplit_once(':').is_some_and(|(before, port)| {
        !port.is_empty()
            && port.bytes().all(|b| b.is_ascii_digit())
            && (!before.contains(':') || before.ends_with(']'))
    });
    Some(if has_port {
        host.to_owned()
    } else {
        format!("{host}:{}", wire::DEFAULT_PORT)
    })
}
