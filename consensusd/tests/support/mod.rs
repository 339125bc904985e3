//! Peers without processes: a store whose batches become durable when the test says so, a real signer, and a network that the test drives.
#![allow(dead_code)] // Each test file uses a part of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use cells::{
    Cell, CellError, Decoder, Hash, Record, RecordKind, Signed, Source, Vector, decode_cell,
    decode_partial, decode_stored,
};
use consensusd::answering::encode_results;
use consensusd::checking::{Arrived, Checker};
use consensusd::peer::{
    Action, Batch, Challenger, Config, Connection, Core, Event, KeyAnswer, Next, Outgoing, Request,
    Standing, Target, View,
};
use consensusd::source::{Shelf, Store};
use crypto::{AccountKey, KeyCache, SigningKey};
use cvm::state::{Account, Globals, PeerStatus, State};
use signing::challenge::ReceivedChallenge;
use signing::{Decision, Identity, Now, Rates, Signer};
use wire::{DataRequest, Message, Reply, answer_data};

/// Time of the genesis state.
pub(crate) const T0: i64 = 1_735_056_000_000;
/// Number of the first account with a user.
pub(crate) const USER: u64 = 1;
pub(crate) const STAKE: i64 = 10_000_000_000_000;
pub(crate) const BALANCE: i64 = 1_000_000_000_000;

pub(crate) fn peer_key(i: usize) -> SigningKey {
    SigningKey::from_seed(&[i as u8 + 1; 32])
}

pub(crate) fn user_key(i: usize) -> SigningKey {
    let mut seed = [0xee; 32];
    seed[..8].copy_from_slice(&(i as u64).to_le_bytes());
    SigningKey::from_seed(&seed)
}

/// A state with users and peers; no libraries.
pub(crate) fn genesis(users: usize, peers: &[i64]) -> Cell {
    let mut accounts = vec![Account::default()];
    for i in 0..users {
        let mut account = Account::default();
        account.set_key(Some(*user_key(i).account_key().as_bytes()));
        account.balance = BALANCE;
        account.allowance = 1_000_000;
        accounts.push(account);
    }
    let accounts: Vector = accounts.iter().map(Account::to_cell).collect();
    let mut state = State::new(
        accounts,
        cells::Index::empty(),
        Globals::default(),
        cells::Index::empty(),
    );
    for (i, stake) in peers.iter().enumerate() {
        let peer = PeerStatus::new(USER, *stake);
        state
            .set_peer(peer_key(i).account_key().as_bytes(), &peer)
            .unwrap();
    }
    let cell = state.to_cell().unwrap();
    let _ = cell.hash_all();
    cell
}

pub(crate) fn transfer(user: usize, sequence: i64, target: u64, amount: i64) -> Signed {
    sign(
        user,
        RecordKind::Transfer,
        &[
            Cell::Address(USER + user as u64),
            Cell::Long(sequence),
            Cell::Address(target),
            Cell::Long(amount),
        ],
    )
}

/// A Multi whose child is a call: it voids its block, and no look at it alone tells.
pub(crate) fn poison(user: usize, sequence: i64) -> Signed {
    let origin = Cell::Address(USER + user as u64);
    let call = Record::of_kind(
        RecordKind::Call,
        [
            origin.clone(),
            Cell::Long(1),
            Cell::Address(0),
            Cell::Long(0),
            Cell::Nil,
            Cell::from(Vector::empty()),
        ],
    );
    let children: Vector = [Cell::from(call)].into_iter().collect();
    sign(
        user,
        RecordKind::Multi,
        &[
            origin,
            Cell::Long(sequence),
            Cell::Long(0),
            Cell::from(children),
        ],
    )
}

pub(crate) fn sign(user: usize, kind: RecordKind, fields: &[Cell]) -> Signed {
    let record = Record::of_kind(kind, fields.iter().cloned());
    Signed::sign(&user_key(user), Cell::from(record))
}

/// What a store has, and survives a crash.
#[derive(Default)]
pub(crate) struct Disk {
    cells: Mutex<HashMap<Hash, Vec<u8>>>,
    root: Mutex<Hash>,
    through: Mutex<Option<std::sync::Weak<dyn Source>>>,
    pub(crate) broken: std::sync::atomic::AtomicBool,
}

impl Disk {
    pub(crate) fn commit(&self, batch: &Batch) {
        let mut cells = self.cells.lock().unwrap();
        for piece in &batch.pieces {
            let mut rest = piece.as_slice();
            while let Some((head, after)) = rest.split_first_chunk::<12>() {
                let length = u32::from_le_bytes(head[8..].try_into().unwrap()) as usize;
                let encoding = &after[..length];
                // Children come first.
                for child in cells::branch_hashes(encoding).unwrap() {
                    assert!(
                        cells.contains_key(&child),
                        "a cell before its child {child}"
                    );
                }
                cells.insert(Hash::of(encoding), encoding.to_vec());
                rest = &after[length..];
            }
            assert!(rest.is_empty());
        }
        if let Some(root) = batch.root {
            assert!(cells.contains_key(&root));
            *self.root.lock().unwrap() = root;
        }
    }

    /// A shelf before this disk.
    pub(crate) fn shelf(self: &Arc<Self>) -> Arc<Shelf> {
        let shelf = Shelf::new();
        *self.through.lock().unwrap() = Some(shelf.as_source());
        shelf.set_store(self.clone());
        shelf
    }

    /// Has all of a value that is in memory.
    pub(crate) fn fill(&self, value: &Cell) {
        let mut cells = self.cells.lock().unwrap();
        for cell in cells::novelty(value, |_| false) {
            cells.insert(cell.hash(), cell.encode());
        }
    }

    /// Has a value, whatever its size.
    pub(crate) fn fill_top(&self, value: &Cell) {
        let mut cells = self.cells.lock().unwrap();
        cells.insert(value.hash(), value.encode());
    }

    /// A value with all below it, in memory.
    pub(crate) fn load_all(&self, hash: &Hash) -> Cell {
        let mut message = Vec::new();
        let mut stack = vec![*hash];
        while let Some(hash) = stack.pop() {
            let encoding = self.get(&hash).unwrap();
            stack.extend(cells::branch_hashes(&encoding).unwrap());
            if !message.is_empty() {
                cells::vlq::write(&mut message, encoding.len() as u64);
            }
            message.extend_from_slice(&encoding);
        }
        cells::decode_message(&message, &Decoder::new()).unwrap()
    }

    pub(crate) fn root(&self) -> Cell {
        let root = *self.root.lock().unwrap();
        if root == Hash([0; 32]) {
            return Cell::Nil;
        }
        self.load(&root).unwrap()
    }

    pub(crate) fn get(&self, hash: &Hash) -> Option<Vec<u8>> {
        self.cells.lock().unwrap().get(hash).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.cells.lock().unwrap().len()
    }
}

impl Store for Disk {
    fn has_whole(&self, hash: &Hash) -> Result<bool, CellError> {
        match self.load(hash) {
            Ok(_) => Ok(true),
            Err(CellError::Missing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Source for Disk {
    fn load(&self, hash: &Hash) -> Result<Cell, CellError> {
        if self.broken.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(CellError::Store {
                hash: *hash,
                reason: "broken".into(),
            });
        }
        let Some(encoding) = self.get(hash) else {
            return Err(CellError::Missing(*hash));
        };
        let source = self.through.lock().unwrap().as_ref().unwrap().upgrade();
        let decoder = source.map_or_else(Decoder::new, Decoder::with_source);
        Ok(decode_stored(*hash, &encoding, &decoder).unwrap())
    }
}

pub(crate) struct Node {
    pub(crate) index: usize,
    pub(crate) core: Core,
    pub(crate) disk: Arc<Disk>,
    pub(crate) network: Hash,
    genesis: Cell,
    key: SigningKey,
    signer: Signer,
    token: u8,
    pub(crate) signs: bool,
    checker: Checker,
    pub(crate) view: Option<Arc<View>>,
    /// Batches that the store was given and that are not durable.
    pub(crate) batches: VecDeque<Arc<Batch>>,
    pub(crate) auto_commit: bool,
    pub(crate) events: VecDeque<Event>,
    pub(crate) replies: Vec<(Connection, Reply)>,
    pub(crate) outbox: Vec<Outgoing>,
    pub(crate) status: Option<Cell>,
    pub(crate) alarms: Vec<String>,
    pub(crate) fatal: Option<String>,
    pub(crate) ready: bool,
    pub(crate) standings: Vec<Standing>,
    pub(crate) next: Next,
    config: Config,
}

pub(crate) fn config(index: usize, network: Hash) -> Config {
    Config {
        key: peer_key(index).account_key(),
        network,
        queue: 10_000,
        memory: 1 << 30,
        seed: [7; 32],
        threads: 1,
        window: 10_000,
    }
}

pub(crate) fn signer(key: &SigningKey, network: Hash, now: Now, ceiling: Option<i64>) -> Signer {
    let identity = Identity {
        key: key.account_key(),
        network,
    };
    Signer::new(identity, ceiling, Rates::default(), now)
}

impl Node {
    pub(crate) fn new(index: usize, genesis: &Cell, now: Now) -> Self {
        Self::with_config(index, genesis, now, |_| {})
    }

    pub(crate) fn with_config(
        index: usize,
        genesis: &Cell,
        now: Now,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let network = genesis.hash();
        let mut config = config(index, network);
        change(&mut config);
        let key = peer_key(index);
        // The signer has been running for a while.
        let before = Now {
            wall: now.wall - 5_000,
            steady: now.steady,
        };
        let signer = signer(&key, network, before, None);
        Self::begin(index, genesis, config, key, signer, Arc::default(), now)
    }

    fn begin(
        index: usize,
        genesis: &Cell,
        config: Config,
        key: SigningKey,
        signer: Signer,
        disk: Arc<Disk>,
        now: Now,
    ) -> Self {
        let shelf = disk.shelf();
        let root = disk.root();
        // Every process of its own reads its own copy.
        let message = cells::encode_message(genesis).unwrap();
        let genesis = cells::decode_message(&message, &Decoder::new()).unwrap();
        let core = Core::start(
            config.clone(),
            shelf.clone(),
            &root,
            || Some(genesis.clone()),
            now,
        )
        .unwrap();
        let mut node = Self {
            index,
            network: config.network,
            genesis,
            key,
            signer,
            token: 0,
            signs: true,
            checker: Checker::new(Arc::new(KeyCache::new(1024)), [7; 32], shelf),
            view: None,
            batches: VecDeque::new(),
            auto_commit: true,
            events: VecDeque::new(),
            replies: Vec::new(),
            outbox: Vec::new(),
            status: None,
            alarms: Vec::new(),
            fatal: None,
            ready: core.is_ready_at_once(),
            standings: Vec::new(),
            next: Next::Now,
            core,
            disk,
            config,
        };
        use consensusd::peer::Channel;
        for channel in [Channel::Store, Channel::Key, Channel::Net] {
            node.events.push_back(Event::Link(channel, true));
        }
        node
    }

    /// Killed and started again: what was not durable is gone, the signer lives on.
    pub(crate) fn crash(self, now: Now, keep_batches: usize) -> Self {
        for batch in self.batches.iter().take(keep_batches) {
            self.disk.commit(batch);
        }
        Self::begin(
            self.index,
            &self.genesis,
            self.config,
            self.key,
            self.signer,
            self.disk,
            now,
        )
    }

    /// The signer is killed and started again; its journal lives on.
    pub(crate) fn restart_signer(&mut self, now: Now) {
        let ceiling = now.wall + 1_000;
        self.signer = signer(&self.key, self.network, now, Some(ceiling));
        use consensusd::peer::Channel;
        self.events.push_back(Event::Link(Channel::Key, false));
        self.events.push_back(Event::Link(Channel::Key, true));
    }

    /// The store is killed and started again: what it did not acknowledge may or may not be there.
    pub(crate) fn restart_store(&mut self, keep_batches: usize) {
        for batch in self.batches.drain(..).take(keep_batches) {
            self.disk.commit(&batch);
        }
        use consensusd::peer::Channel;
        self.events.push_back(Event::Link(Channel::Store, false));
        self.events.push_back(Event::Link(Channel::Store, true));
    }

    pub(crate) fn submit(&mut self, connection: Connection, id: i64, transaction: &Signed) {
        let message = Message::Transact {
            id,
            transaction: transaction.clone(),
        };
        let body = message.encode().unwrap();
        self.submit_raw(&[Arrived { connection, body }]);
    }

    pub(crate) fn submit_raw(&mut self, arrived: &[Arrived]) {
        let view = self.view.clone().expect("a view");
        let checked = self.checker.check(&view, arrived);
        self.replies.extend(checked.replies);
        self.events.push_back(Event::Transactions(checked.accepted));
    }

    /// Handles what happened, and does what is to be done. True when anything was.
    pub(crate) fn step(&mut self, now: Now) -> bool {
        let mut out = Vec::new();
        let mut busy = !self.events.is_empty();
        while let Some(event) = self.events.pop_front() {
            self.core.handle(event, now, &mut out);
        }
        self.next = self.core.advance(now, &mut out);
        busy |= !out.is_empty() || self.next == Next::Now;
        for action in out {
            self.act(action, now);
        }
        if self.auto_commit {
            self.commit();
        }
        busy
    }

    pub(crate) fn commit(&mut self) {
        while self.commit_one() {}
    }

    pub(crate) fn commit_one(&mut self) -> bool {
        let Some(batch) = self.batches.pop_front() else {
            return false;
        };
        self.disk.commit(&batch);
        self.events.push_back(Event::Durable(batch.sequence));
        true
    }

    fn act(&mut self, action: Action, now: Now) {
        match action {
            Action::Net(Outgoing::Replies(replies)) => self.replies.extend(replies),
            Action::Net(Outgoing::Results(results)) => {
                for (connection, body) in encode_results(&results) {
                    let message = Message::decode(&body, &Decoder::new()).unwrap().unwrap();
                    let Message::Result(reply) = message else {
                        panic!("no result");
                    };
                    self.replies.push((connection, reply));
                }
            }
            Action::Net(Outgoing::Status(bytes)) => {
                self.status = Some(cells::decode_message(&bytes, &Decoder::new()).unwrap());
            }
            Action::Net(other) => self.outbox.push(other),
            Action::Sign { ticket, request } => {
                let answer = self.sign(&request, now);
                self.events.push_back(Event::Signed { ticket, answer });
            }
            Action::Store(batch) => self.batches.push_back(batch),
            Action::View(view) => self.view = Some(view),
            Action::Alarm(kind, text) => self.alarms.push(format!("{kind:?}: {text}")),
            Action::Fatal(text) => self.fatal = Some(text),
            Action::Ready => self.ready = true,
            Action::Standing(standing, _) => self.standings.push(standing),
        }
    }

    fn sign(&mut self, request: &[u8], now: Now) -> KeyAnswer {
        if !self.signs {
            return KeyAnswer::Locked;
        }
        loop {
            self.token = self.token.wrapping_add(1);
            match self.signer.submit(request, [self.token; 32], now) {
                Decision::Record(ceiling) => self.signer.recorded(ceiling),
                Decision::Sign(approval) => {
                    let signature = self.key.sign(&approval.message(&self.key.account_key()));
                    let value = matches!(approval.kind(), signing::Kind::Challenge)
                        .then(|| approval.value().clone());
                    return KeyAnswer::Signed(signature, value);
                }
                Decision::Refuse(reason) => {
                    assert_eq!(
                        reason.suspicion(),
                        signing::Suspicion::Ordinary,
                        "{reason:?}"
                    );
                    return KeyAnswer::Refused(reason.name().to_owned());
                }
            }
        }
    }

    /// The one reply to this request, if it has come.
    pub(crate) fn reply(&self, connection: Connection, id: i64) -> Option<&Reply> {
        let mut found = self
            .replies
            .iter()
            .filter(|(c, reply)| *c == connection && reply.id == Cell::Long(id));
        let first = found.next().map(|(_, reply)| reply);
        assert!(found.next().is_none(), "two replies to {id}");
        first
    }

    pub(crate) fn account(&self, user: usize) -> Account {
        let state = State::from_cell(self.core.state()).unwrap();
        let account = state.account(USER + user as u64).unwrap().unwrap();
        account.clone()
    }
}

/// Peers, the clock, and messages between them.
pub(crate) struct Network {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Now,
    /// What each has told all others.
    pub(crate) told: Vec<(usize, Vec<u8>)>,
    /// Requests for a status.
    pub(crate) polls: usize,
    /// Whether a message from one to another arrives.
    pub(crate) link: Box<dyn Fn(usize, usize) -> bool>,
    /// Whether beliefs are sent at all.
    pub(crate) broadcasts: bool,
}

impl Network {
    pub(crate) fn new(genesis: &Cell, count: usize) -> Self {
        let now = Now {
            wall: T0 + 10_000,
            steady: 10_000,
        };
        Self {
            nodes: (0..count).map(|i| Node::new(i, genesis, now)).collect(),
            now,
            link: Box::new(|_, _| true),
            broadcasts: true,
            told: Vec::new(),
            polls: 0,
        }
    }

    pub(crate) fn connect(&mut self) {
        for peer in 0..self.nodes.len() {
            self.connect_one(peer);
        }
    }

    /// One peer connects to all others.
    pub(crate) fn connect_one(&mut self, peer: usize) {
        let others = (0..self.nodes.len()).filter(|other| *other != peer);
        let opened = others.map(|other| Event::Opened(other as u64));
        self.nodes[peer].events.extend(opened);
    }

    /// Runs until `done`, at most `steps` times everything that there is to do.
    pub(crate) fn run(&mut self, steps: usize, done: impl Fn(&[Node]) -> bool) {
        for _ in 0..steps {
            if done(&self.nodes) {
                return;
            }
            self.turn();
        }
        assert!(done(&self.nodes), "not done after {steps} steps");
    }

    /// Runs for so many milliseconds.
    pub(crate) fn pass(&mut self, millis: u64) {
        let until = self.now.steady + millis;
        while self.now.steady < until {
            self.turn();
        }
    }

    /// All that there is to do now, or the way to when there is more.
    fn turn(&mut self) {
        let mut busy = false;
        for i in 0..self.nodes.len() {
            busy |= self.nodes[i].step(self.now);
            for outgoing in std::mem::take(&mut self.nodes[i].outbox) {
                busy |= self.deliver(i, outgoing);
            }
        }
        if !busy {
            let wait = self.nodes.iter().map(|node| match node.next {
                Next::Now => 0,
                Next::In(wait) => wait,
            });
            let wait = wait.min().unwrap_or(1).max(1);
            self.now.steady += wait;
            self.now.wall += wait as i64;
        }
    }

    fn deliver(&mut self, from: usize, outgoing: Outgoing) -> bool {
        match outgoing {
            Outgoing::Broadcast(_) if !self.broadcasts => false,
            Outgoing::Broadcast(body) => {
                for to in (0..self.nodes.len()).filter(|to| *to != from) {
                    if (self.link)(from, to) {
                        self.belief(from, to, &body);
                    }
                }
                self.told.push((from, body));
                true
            }
            // A belief for one alone; answers to challenges are not played here.
            Outgoing::Send(to, body) if body.first() == Some(&RecordKind::Belief.tag()) => {
                if self.broadcasts && (self.link)(from, to as usize) {
                    self.belief(from, to as usize, &body);
                }
                true
            }
            Outgoing::Request(ticket, target, request) => {
                let (Target::Opened(to) | Target::Accepted(to)) = target;
                self.polls += usize::from(request == Request::Status);
                let answer = self.request(from, to as usize, &request);
                self.nodes[from]
                    .events
                    .push_back(Event::Answered { ticket, answer });
                true
            }
            _ => false,
        }
    }

    pub(crate) fn belief(&mut self, from: usize, to: usize, body: &[u8]) {
        self.belief_by(from, to, body, Some(account_key(from)));
    }

    /// A message of somebody who has proven to be this peer, or nobody.
    pub(crate) fn belief_by(
        &mut self,
        from: usize,
        to: usize,
        body: &[u8],
        trusted: Option<AccountKey>,
    ) {
        let node = &mut self.nodes[to];
        let source: Arc<dyn Source> = node.core.shelf().clone();
        let (message, _) = decode_partial(body, &Decoder::with_source(source)).unwrap();
        node.events.push_back(Event::Belief {
            connection: from as u64,
            trusted,
            message,
            bytes: body.len(),
        });
    }

    fn request(&mut self, from: usize, to: usize, request: &Request) -> Option<Reply> {
        if !(self.link)(from, to) || !(self.link)(to, from) {
            return None;
        }
        match request {
            Request::Status => {
                let status = self.nodes[to].status.clone()?;
                Some(Reply::ok(0, status))
            }
            Request::Data(hashes) => {
                let request = DataRequest {
                    id: Cell::Long(0),
                    hashes: hashes.clone(),
                };
                let disk = &self.nodes[to].disk;
                let body = answer_data(&request, 1 << 20, |hash| {
                    Ok::<_, std::convert::Infallible>(disk.get(hash))
                })
                .unwrap();
                let source: Arc<dyn Source> = self.nodes[from].core.shelf().clone();
                let decoder = Decoder::with_source(source);
                match Message::decode(&body, &decoder).unwrap().unwrap() {
                    Message::Result(reply) => Some(reply),
                    other => panic!("{other:?}"),
                }
            }
            Request::Challenge(bytes) => {
                let challenge = ReceivedChallenge::parse(bytes).unwrap();
                let answer = Signed::sign(&peer_key(to), challenge.answer());
                Some(Reply::ok(0, Cell::from(answer)))
            }
        }
    }
}

pub(crate) fn encoded(cell: &[u8]) -> Cell {
    decode_cell(cell, &Decoder::new()).unwrap()
}

pub(crate) fn challenger(connection: Connection) -> Challenger {
    Challenger::Accepted(connection)
}

pub(crate) fn account_key(i: usize) -> AccountKey {
    peer_key(i).account_key()
}
