//! Networks of our peers and peers of the reference.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cells::{Cell, Keyword, Map};
use client::Client;
use cvm::state::{PeerStatus, State};
use peer_tests::chain::{self, Cells};
use peer_tests::honest;

use crate::{Agreement, Network, Theirs, Work};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// A network of which the first peers are ours and the others the reference's, with accounts that send transactions.
pub struct Mixed {
    /// Ours, and the files of all.
    pub network: Network,
    /// The reference's.
    pub theirs: Vec<Theirs>,
    /// The accounts.
    pub work: Work,
    ours: usize,
    /// Ours that are in the places of the reference's.
    stand_ins: Vec<usize>,
    /// State hash by the number of executed blocks, as the first peer had it that was seen there, and which one that was.
    chronicle: HashMap<u64, (String, usize)>,
    sightings: usize,
}

impl Mixed {
    /// A network that nobody has started yet. Stakes in thousands of coins; the state names the hosts of all peers.
    ///
    /// # Panics
    /// When it can't be made.
    #[must_use]
    pub fn new(ours: &[i64], theirs: &[i64]) -> Self {
        let count = ours.len() + theirs.len();
        let stakes: Vec<i64> = ours.iter().chain(theirs).copied().collect();
        let mut work = None;
        let network = Network::prepare(count, |state, peers| {
            for ((key, endpoint), stake) in peers.iter().zip(&stakes) {
                register(state, key, endpoint, stake * 1_000_000_000_000);
            }
            work = Some(Work::endow(state, count));
        });
        let theirs = (ours.len()..count)
            .map(|peer| {
                let seed = network.seed(peer).to_hex().to_string();
                let store = network.directory(peer).join("reference.etch");
                Theirs::new(&seed, &store, &network.endpoint(peer))
            })
            .collect();
        Self {
            network,
            theirs,
            work: work.expect("accounts"),
            ours: ours.len(),
            stand_ins: Vec::new(),
            chronicle: HashMap::new(),
            sightings: 0,
        }
    }

    /// The same, all peers started; `None` where the reference can't run.
    #[must_use]
    pub fn start(ours: &[i64], theirs: &[i64]) -> Option<Self> {
        let mut mixed = Self::new(ours, theirs);
        for number in 0..theirs.len() {
            if !mixed.start_theirs(number) {
                return None;
            }
        }
        for peer in 0..ours.len() {
            mixed.network.restart(peer);
        }
        Some(mixed)
    }

    /// Starts a peer of the reference on the genesis state. False where it can't run.
    pub fn start_theirs(&mut self, number: usize) -> bool {
        let genesis = self.network.genesis();
        self.theirs[number].start(&genesis)
    }

    /// One of ours runs in the place of one of the reference's, or does so no longer.
    pub fn ours_is(&mut self, peer: usize, there: bool) {
        self.stand_ins.retain(|other| *other != peer);
        if there {
            self.stand_ins.push(peer);
        }
    }

    /// Number and address of each peer that runs, ours first.
    #[must_use]
    pub fn running(&self) -> Vec<(usize, String)> {
        let ours = self.network.running().into_iter();
        let ours = ours.map(|peer| (peer, self.network.endpoint(peer)));
        let theirs = self.theirs.iter().enumerate();
        let theirs = theirs.filter(|(_, theirs)| theirs.runs());
        ours.chain(theirs.map(|(n, theirs)| (self.ours + n, theirs.endpoint())))
            .collect()
    }

    /// Looks where each peer is, and that nobody has ever been elsewhere after as many blocks; `None` for those that do not say.
    ///
    /// # Panics
    /// When two peers had different states after the same number of blocks.
    pub fn look(&mut self) -> Vec<Option<(u64, String)>> {
        let mut seen = Vec::new();
        for (peer, _) in self.running() {
            let standing = if peer < self.ours || self.stand_ins.contains(&peer) {
                self.network.standing(peer).map(|at| {
                    let Agreement { executed, state } = at;
                    (executed, state.iter().map(|b| format!("{b:02x}")).collect())
                })
            } else {
                let standing = self.theirs[peer - self.ours].standing();
                standing.map(|at| (at.executed, at.state))
            };
            if let Some((executed, state)) = &standing {
                self.sightings += 1;
                let first = self
                    .chronicle
                    .entry(*executed)
                    .or_insert_with(|| (state.clone(), peer));
                assert_eq!(
                    first.0, *state,
                    "after {executed} blocks, peers {} and {peer} have different states",
                    first.1
                );
            }
            seen.push(standing);
        }
        seen
    }

    /// How many states were compared, and after how many different numbers of blocks.
    #[must_use]
    pub fn looked(&self) -> (usize, usize) {
        (self.sightings, self.chronicle.len())
    }

    /// Waits until all that run have executed the same, and at least so many blocks; answers how many.
    pub fn agree(&mut self, least: u64) -> (u64, Duration) {
        let began = Instant::now();
        loop {
            let all: Option<Vec<(u64, String)>> = self.look().into_iter().collect();
            if let Some(all) = &all
                && let Some(first) = all.first()
                && first.0 >= least
                && all.iter().all(|one| one == first)
            {
                return (first.0, began.elapsed());
            }
            self.network.pause(began, || {
                format!("both kinds to agree after {least} blocks: {all:?}")
            });
        }
    }

    /// Waits until a peer of the reference that came back has executed what all others have. One that stands still for `patience` joins
    /// anew, as its operator would have it: 0.8.0 ends the thread that takes in beliefs when its store lacks a part of a value that it has
    /// marked as stored (`docs/compatibility.md`). True when it did.
    ///
    /// # Panics
    /// When it can't join.
    pub fn catch_up_or_join(&mut self, theirs: usize, patience: Duration) -> bool {
        let began = Instant::now();
        let place = self
            .running()
            .iter()
            .position(|(n, _)| *n == self.ours + theirs);
        let place = place.expect("a peer that runs");
        let (mut furthest, mut moved) = (None, began);
        while moved.elapsed() < patience {
            let seen = self.look();
            let at = |peer: usize| seen[peer].as_ref().map(|(executed, _)| *executed);
            if (0..seen.len()).all(|peer| at(peer).is_some() && at(peer) <= at(place)) {
                return false;
            }
            if at(place) > furthest {
                (furthest, moved) = (at(place), Instant::now());
            }
            self.network.pause(began, || {
                format!("peer {theirs} of the reference to catch up")
            });
        }
        self.theirs[theirs].kill();
        let source = self.network.endpoint(0);
        assert!(self.theirs[theirs].join(&source), "it joins");
        true
    }

    /// Waits until all that run have the same blocks in consensus, as their signed orders show; answers how many.
    ///
    /// # Panics
    /// When they don't.
    pub fn same_order(&mut self) -> u64 {
        let began = Instant::now();
        loop {
            let orders: Vec<_> = self
                .running()
                .iter()
                .map(|(_, endpoint)| {
                    let mut client = Client::connect(endpoint, ANSWER).ok()?;
                    let order = chain::own_order(&mut client, &Cells::default()).ok()??;
                    Some((order.points, Cell::from(order.blocks).hash()))
                })
                .collect();
            if let Some(Some((points, _))) = orders.first()
                && points.iter().all(|point| *point == points[0])
                && orders.iter().all(|order| *order == orders[0])
            {
                return points[0].unsigned_abs();
            }
            self.network
                .pause(began, || format!("the same orders everywhere: {orders:?}"));
        }
    }

    /// Sends transactions to all that run while `meanwhile` may look at, kill and start peers: it is given the answers, by peer. Looks on
    /// after that until all answers are there.
    pub fn round(
        &mut self,
        count: usize,
        mut meanwhile: impl FnMut(&mut Self, &std::sync::mpsc::Receiver<usize>),
    ) -> Vec<(usize, crate::Tally)> {
        let peers = self.running();
        let mut work = std::mem::take(&mut self.work);
        let tallies = work.round(&peers, count, |answers| {
            meanwhile(self, answers);
            self.look_on(answers, usize::MAX);
        });
        self.work = work;
        peers
            .into_iter()
            .map(|(peer, _)| peer)
            .zip(tallies)
            .collect()
    }

    /// Looks at all peers again and again, until so many answers have come.
    pub fn look_on(&mut self, answers: &std::sync::mpsc::Receiver<usize>, count: usize) {
        const LOOK: Duration = Duration::from_millis(50);
        let mut heard = 0;
        while heard < count {
            let looked = Instant::now();
            self.look();
            // All answers until the next look.
            while let Some(left) = LOOK.checked_sub(looked.elapsed()) {
                use std::sync::mpsc::RecvTimeoutError;
                match answers.recv_timeout(left) {
                    Ok(_) => heard += 1,
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        }
    }

    /// Asks one of our peers what became of transactions whose outcome was not clear.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn settle(&mut self) -> usize {
        let (_, endpoint) = self.running().into_iter().next().expect("a peer");
        let mut client = Client::connect(&endpoint, ANSWER).expect("a connection");
        self.work.settle(|address| {
            let answer = honest::sequence(&mut client, address);
            answer.expect("an answer").expect("a sequence number")
        })
    }

    /// Executes the whole chain once more, undisturbed: it leads to the state that all have, every transaction that was acknowledged is
    /// in it once, and no other succeeded.
    ///
    /// # Panics
    /// When it is not so.
    pub fn verify(&mut self) {
        let (_, endpoint) = self.running().into_iter().next().expect("a peer");
        let mut client = Client::connect(&endpoint, ANSWER).expect("a connection");
        let order = chain::own_order(&mut client, &Cells::default());
        let order = order.expect("an answer").expect("an order");
        let bytes = std::fs::read(self.network.genesis()).expect("a genesis state");
        let genesis = cells::decode_message(&bytes, &cells::Decoder::new()).expect("a state");
        let replayed = chain::replay(&genesis, &order);
        let (executed, _) = self.agree(0);
        let (state, _) = &self.chronicle[&executed];
        assert_eq!(replayed.state.to_string().trim_start_matches("0x"), state);
        assert_eq!(replayed.blocks.len() as u64, executed);
        for hash in self.work.acknowledged() {
            let (_, succeeded) = replayed.transactions.get(hash).copied().unwrap_or_default();
            assert_eq!(succeeded, 1, "{hash} was acknowledged");
        }
        for (address, sequence) in self.work.sequences() {
            let answer = honest::sequence(&mut client, address).expect("an answer");
            assert_eq!(answer, Some(sequence), "account {address}");
        }
    }
}

/// Gives a peer of a state its stake, in coppers, and its host.
///
/// # Panics
/// When the state has no such peer.
pub fn register(state: &mut State, key: &[u8; 32], endpoint: &str, stake: i64) {
    let old = state.peer(key).expect("in memory").expect("a peer");
    let mut peer = PeerStatus::new(old.controller.expect("a controller"), stake);
    let url = Cell::from(format!("tcp://{endpoint}").as_str());
    let metadata = Map::empty().assoc(Cell::from(Keyword::literal("url")), url);
    peer.metadata = Some(metadata.expect("in memory"));
    state.set_peer(key, &peer).expect("in memory");
}
