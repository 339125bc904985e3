//! The real process in its real sandbox, between ends of its channels that the test holds: a real signer and a real store.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cells::{Cell, Decoder, Hash, Signed};
use crypto::SigningKey;
use ipc::key::{Answer, FromKey, ToKey};
use ipc::net::{FromNet, ToNet};
use ipc::store::{FromStore, ToStore};
use ipc::supervision::{
    Alarm, AlarmKind, ConsensusStatus, ConsensusdSettings, FromWorker, RoleStatus, Settings,
    ToWorker,
};
use ipc::{Channel, Epoch, Link, Received, Supervision};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sandbox::{Child, Role, Spawn};
use signing::{Decision, Identity, Now, Rates, Signer};
use wire::{Message, Reply};

/// Longest wait for anything; nothing takes so long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

fn now() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Now {
        wall: wall.as_millis() as i64,
        steady: wall.as_millis() as u64,
    }
}

/// A key process in a thread: it lives on when consensusd is killed.
fn key_process(key: SigningKey, network: Hash, links: &Receiver<(UnixStream, Epoch)>) {
    let identity = Identity {
        key: key.account_key(),
        network,
    };
    // It has been running for a while.
    let start = Now {
        wall: now().wall - 5_000,
        ..now()
    };
    let mut signer = Signer::new(identity, None, Rates::default(), start);
    let mut token = 0u64;
    while let Ok((stream, epoch)) = links.recv() {
        let Ok(mut link) = Link::<FromKey, ToKey>::open(stream, Channel::Key, epoch, PATIENCE)
        else {
            continue;
        };
        while let Ok(Some(ToKey { ticket, request })) = link.receiver.receive() {
            let answer = loop {
                token += 1;
                let drawn = crypto::sha3_256(&token.to_le_bytes());
                match signer.submit(&request, drawn, now()) {
                    Decision::Record(ceiling) => signer.recorded(ceiling),
                    Decision::Sign(approval) => {
                        let signature = key.sign(&approval.message(&key.account_key()));
                        let value = match approval.kind() {
                            signing::Kind::Challenge => approval.value().encode(),
                            _ => Vec::new(),
                        };
                        break Answer::Signed {
                            signature: (*signature.as_bytes()).into(),
                            value: value.into(),
                        };
                    }
                    Decision::Refuse(reason) => {
                        assert_eq!(
                            reason.suspicion(),
                            signing::Suspicion::Ordinary,
                            "{reason:?}"
                        );
                        break Answer::Refused {
                            reason: reason.name().to_owned(),
                        };
                    }
                }
            };
            if link.sender.send(&FromKey { ticket, answer }).is_err() {
                break;
            }
        }
    }
}

/// A store process in a thread.
fn store_process(mut writer: etch::Writer, links: &Receiver<(UnixStream, Epoch)>) {
    while let Ok((stream, epoch)) = links.recv() {
        let Ok(mut link) =
            Link::<FromStore, ToStore>::open(stream, Channel::Store, epoch, PATIENCE)
        else {
            continue;
        };
        while let Ok(Some(message)) = link.receiver.receive() {
            match message {
                ToStore::Cells { cells } => {
                    let mut rest = cells.as_slice();
                    while let Some((head, after)) = rest.split_first_chunk::<12>() {
                        let length = u32::from_le_bytes(head[8..].try_into().unwrap()) as usize;
                        let flags = etch::Flags::new(etch::Flags::PERSISTED, length);
                        writer.put(&after[..length], flags, 0).unwrap();
                        rest = &after[length..];
                    }
                }
                ToStore::Commit { sequence, root } => {
                    writer.set_root(root.unwrap()).unwrap();
                    writer.commit().unwrap();
                    if link.sender.send(&FromStore::Durable { sequence }).is_err() {
                        break;
                    }
                }
            }
        }
        // What was not committed belongs to a link that is gone.
        writer.abort();
    }
}

/// What outlives consensusd.
pub(crate) struct Peer {
    directory: tempfile::TempDir,
    genesis: Vec<u8>,
    pub(crate) settings: ConsensusdSettings,
    control: File,
    keys: Sender<(UnixStream, Epoch)>,
    stores: Sender<(UnixStream, Epoch)>,
    epoch: u32,
}

impl Peer {
    pub(crate) fn new(genesis: &Cell, key: SigningKey) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let control = etch::ControlPage::anonymous(1).unwrap();
        let reader = control.reader_file().unwrap();
        let options = etch::Options {
            control: Some(control),
            ..etch::Options::default()
        };
        let writer = etch::Writer::open(&directory.path().join("peer.etch"), options).unwrap();
        let network = genesis.hash();
        let settings = ConsensusdSettings {
            window: 10_000,
            stale_queries: false,
            key: key.account_key().to_bytes(),
            network: network.0,
            genesis: true,
            verifiers: 2,
            queue: 30_000,
            memory: 512 << 20,
            demands: "default".to_owned(),
        };
        let (keys, key_links) = channel();
        let (stores, store_links) = channel();
        thread::spawn(move || key_process(key, network, &key_links));
        thread::spawn(move || store_process(writer, &store_links));
        Self {
            directory,
            genesis: cells::encode_message(genesis).unwrap(),
            settings,
            control: reader,
            keys,
            stores,
            epoch: 0,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts consensusd, with its channels but the one to netd.
    pub(crate) fn spawn(&mut self) -> Consensusd {
        let (supervisor, theirs) = Supervision::pair().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_consensusd"));
        let child = Spawn::new(program, Role::Consensusd)
            .descriptor(ipc::SUPERVISION_FD, theirs.as_fd())
            .start()
            .unwrap();
        drop(theirs);
        File::create(self.path("genesis"))
            .unwrap()
            .write_all(&self.genesis)
            .unwrap();
        let genesis = File::open(self.path("genesis")).unwrap();
        let settings = Box::new(Settings::Consensusd(self.settings.clone()));
        let fds: Vec<OwnedFd> = match self.settings.genesis {
            true => vec![genesis.into()],
            false => Vec::new(),
        };
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        supervisor.send(&ToWorker::Start(settings), &fds).unwrap();
        let consensusd = Consensusd { child, supervisor };
        self.epoch += 1;
        let epoch = Epoch(self.epoch);
        let store = File::open(self.path("peer.etch")).unwrap();
        consensusd
            .supervisor
            .send(&ToWorker::Store, &[store.as_fd(), self.control.as_fd()])
            .unwrap();
        let links = [
            (Channel::Key, self.keys.clone()),
            (Channel::Store, self.stores.clone()),
        ];
        for (channel, to) in links {
            let ours = consensusd.stream(channel, epoch);
            to.send((ours, epoch)).unwrap();
        }
        consensusd
    }

    /// Starts consensusd and waits until it is at work.
    pub(crate) fn start(&mut self) -> Consensusd {
        let consensusd = self.spawn();
        let FromWorker::Sandboxed(report) = consensusd.hear() else {
            panic!("no report");
        };
        assert!(report.check(&sandbox::Requirements::default()).is_ok());
        loop {
            match consensusd.hear() {
                FromWorker::Ready(_) => return consensusd,
                FromWorker::Alarm(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// A new channel as netd.
    pub(crate) fn netd(&mut self, consensusd: &Consensusd) -> Netd {
        self.epoch += 1;
        let epoch = Epoch(self.epoch);
        let stream = consensusd.stream(Channel::Net, epoch);
        let end = stream.try_clone().unwrap();
        let link = Link::open(stream, Channel::Net, epoch, PATIENCE).unwrap();
        end.set_read_timeout(Some(PATIENCE)).unwrap();
        Netd { link, raw: end }
    }
}

/// A running consensusd, seen by its supervisor.
pub(crate) struct Consensusd {
    pub(crate) child: Child,
    pub(crate) supervisor: Supervision<ToWorker, FromWorker>,
}

impl Consensusd {
    fn stream(&self, channel: Channel, epoch: Epoch) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.supervisor
            .send(&ToWorker::Channel { channel, epoch }, &[theirs.as_fd()])
            .unwrap();
        ours
    }

    /// The next message, or `None` at the end of the channel.
    pub(crate) fn hear_or_end(&self) -> Option<FromWorker> {
        let timeout = Timespec::try_from(PATIENCE).unwrap();
        let fds = &mut [PollFd::new(&self.supervisor, PollFlags::IN)];
        assert_eq!(poll(fds, Some(&timeout)).unwrap(), 1, "it says nothing");
        match self.supervisor.receive().unwrap() {
            Received::Message(message, _) => Some(message),
            Received::Ended => None,
            Received::Nothing => panic!("readable, but nothing there"),
        }
    }

    pub(crate) fn hear(&self) -> FromWorker {
        self.hear_or_end().expect("consensusd ended")
    }

    pub(crate) fn hear_alarm(&self, kind: AlarmKind) -> String {
        loop {
            match self.hear() {
                FromWorker::Alarm(Alarm { kind: found, text }) if found == kind => return text,
                FromWorker::Alarm(_) | FromWorker::Ended { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits until it says that one of its channels is over.
    pub(crate) fn hear_ended(&self) -> Channel {
        loop {
            match self.hear() {
                FromWorker::Ended { channel, .. } => return channel,
                FromWorker::Alarm(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn tell(&self, message: &ToWorker) {
        self.supervisor.send(message, &[]).unwrap();
    }

    pub(crate) fn assert_alive(&self) {
        let begun = Instant::now();
        self.tell(&ToWorker::Ping(99));
        while self.hear() != FromWorker::Pong(99) {}
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    pub(crate) fn status(&self) -> ConsensusStatus {
        self.tell(&ToWorker::Status(5));
        loop {
            if let FromWorker::Status(5, status) = self.hear() {
                match status.of_role {
                    RoleStatus::Consensusd(status) => return *status,
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    pub(crate) fn counters(&self) -> Vec<(String, u64)> {
        self.tell(&ToWorker::Status(6));
        loop {
            if let FromWorker::Status(6, status) = self.hear() {
                return status.counters;
            }
        }
    }

    pub(crate) fn kill(self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The end of netd.
pub(crate) struct Netd {
    pub(crate) link: Link<FromNet, ToNet>,
    pub(crate) raw: UnixStream,
}

impl Netd {
    pub(crate) fn hear(&mut self) -> ToNet {
        self.link.receiver.receive().unwrap().unwrap()
    }

    pub(crate) fn send(&mut self, connection: u64, message: &Message) {
        let body = message.encode().unwrap().into();
        self.link
            .sender
            .send(&FromNet::Message {
                connection,
                trusted: None,
                body,
            })
            .unwrap();
    }

    pub(crate) fn transact(&mut self, connection: u64, id: i64, transaction: &Signed) {
        let message = Message::Transact {
            id,
            transaction: transaction.clone(),
        };
        self.send(connection, &message);
    }

    /// The next reply, to whichever request.
    pub(crate) fn reply(&mut self) -> (u64, Reply) {
        loop {
            if let ToNet::Reply { connection, body } = self.hear() {
                let message = Message::decode(&body, &Decoder::new()).unwrap().unwrap();
                match message {
                    Message::Result(reply) => return (connection, reply),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
