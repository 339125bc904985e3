//! A keyd as the supervisor starts it, and the ends of its channels.
#![allow(dead_code, unreachable_pub, clippy::missing_panics_doc)]

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cells::{Cell, Hash, Record, RecordKind, Signed, Vector};
use crypto::{AccountKey, Signature, SigningKey};
use ipc::key::{Answer, FromKey, ToKey};
use ipc::supervision::{
    Alarm, AlarmKind, FromWorker, KeydSettings, Ready, RoleStatus, Settings, ToWorker, WorkerStatus,
};
use ipc::{Channel, Epoch, Link, Received, Supervision};
use keys::{Cost, KeyStore, Passphrase, Seed};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sandbox::{Child, Ended, Role, Spawn};

/// Longest wait for anything; nothing takes so long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const PASSPHRASE: &str = "correct horse";
pub const NETWORK: [u8; 32] = [0x11; 32];

pub fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

/// Milliseconds since the epoch.
pub fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// The files of a peer key.
pub struct Files {
    directory: tempfile::TempDir,
    pub settings: KeydSettings,
}

impl Files {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut store = KeyStore::new();
        let seed = Seed::take(&mut [7; 32]).unwrap();
        let passphrase = Passphrase::copy_of(PASSPHRASE).unwrap();
        store
            .insert(&seed, &passphrase, Cost::REFERENCE, SystemTime::now())
            .unwrap();
        let bytes = store.to_bytes(&passphrase, Cost::REFERENCE).unwrap();
        let path = directory.path().join("keystore.pfx");
        keys::file::create(&path, &bytes).unwrap();
        let settings = KeydSettings {
            key_store: path.display().to_string(),
            supervisor: rustix::process::geteuid().as_raw(),
            key: key().account_key().to_bytes(),
            network: NETWORK,
            audit: 1 << 20,
            passphrase: true,
            demands: "default".to_owned(),
        };
        let files = Self {
            directory,
            settings,
        };
        files.write_passphrase(&format!("{PASSPHRASE}\n"));
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write_passphrase(&self, text: &str) {
        keys::file::replace(&self.path("passphrase"), text.as_bytes()).unwrap();
    }

    fn journal(&self) -> File {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        options.mode(0o600).open(self.path("journal")).unwrap()
    }

    fn audit(&self) -> File {
        let mut options = File::options();
        let options = options.append(true).create(true).mode(0o600);
        options.open(self.path("audit.log")).unwrap()
    }

    /// The lines of the audit log, without their times.
    pub fn audit_lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("audit.log")).unwrap();
        text.lines().map(|line| line[25..].to_owned()).collect()
    }

    /// Starts keyd and sends it its settings.
    pub fn spawn(&self) -> Keyd {
        let (supervisor, theirs) = Supervision::pair().unwrap();
        let child = Spawn::new(Path::new(env!("CARGO_BIN_EXE_keyd")), Role::Keyd)
            .descriptor(ipc::SUPERVISION_FD, theirs.as_fd())
            .start()
            .unwrap();
        drop(theirs);
        let mut fds: Vec<OwnedFd> = vec![
            self.journal().into(),
            self.audit().into(),
            File::open(self.path("keystore.pfx")).unwrap().into(),
        ];
        if self.settings.passphrase {
            fds.push(File::open(self.path("passphrase")).unwrap().into());
        }
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let settings = Box::new(Settings::Keyd(self.settings.clone()));
        supervisor.send(&ToWorker::Start(settings), &fds).unwrap();
        Keyd {
            child,
            supervisor,
            epoch: 0,
        }
    }

    /// Starts keyd, which has to get ready and unlocked.
    pub fn start(&self) -> Keyd {
        let keyd = self.spawn();
        let FromWorker::Sandboxed(report) = keyd.hear() else {
            panic!("no report");
        };
        assert!(report.check(&sandbox::Requirements::default()).is_ok());
        assert_eq!(
            keyd.hear(),
            FromWorker::Ready(Ready::Keyd { locked: false })
        );
        keyd
    }

    /// Starts a keyd that can't get ready: its exit code and last words.
    pub fn fail(&self) -> (i32, String) {
        let keyd = self.spawn();
        let mut words = String::new();
        while let Some(message) = keyd.hear_or_end() {
            match message {
                FromWorker::Fatal(text) => words = text,
                FromWorker::Sandboxed(_) => {}
                other => panic!("{other:?}"),
            }
        }
        match keyd.child.wait().unwrap() {
            Ended::Exited(code) => (code, words),
            other => panic!("{other:?}"),
        }
    }
}

/// A running keyd, seen by its supervisor.
pub struct Keyd {
    pub child: Child,
    pub supervisor: Supervision<ToWorker, FromWorker>,
    epoch: u32,
}

impl Keyd {
    /// The next message, or `None` at the end of the channel.
    pub fn hear_or_end(&self) -> Option<FromWorker> {
        let timeout = Timespec::try_from(PATIENCE).unwrap();
        let fds = &mut [PollFd::new(&self.supervisor, PollFlags::IN)];
        assert_eq!(poll(fds, Some(&timeout)).unwrap(), 1, "keyd says nothing");
        match self.supervisor.receive().unwrap() {
            Received::Message(message, _) => Some(message),
            Received::Ended => None,
            Received::Nothing => panic!("readable, but nothing there"),
        }
    }

    pub fn hear(&self) -> FromWorker {
        self.hear_or_end().expect("keyd ended")
    }

    pub fn hear_alarm(&self, kind: AlarmKind) -> String {
        match self.hear() {
            FromWorker::Alarm(Alarm { kind: found, text }) if found == kind => text,
            other => panic!("{other:?}"),
        }
    }

    pub fn tell(&self, message: &ToWorker) {
        self.supervisor.send(message, &[]).unwrap();
    }

    /// Answers a ping in time, with nothing else in between but alarms.
    pub fn assert_alive(&self) {
        let begun = Instant::now();
        self.tell(&ToWorker::Ping(99));
        loop {
            match self.hear() {
                FromWorker::Pong(99) => break,
                FromWorker::Alarm(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(2));
    }

    /// What it says of itself; alarms before that are not looked at.
    pub fn status(&self) -> (bool, i64, Vec<(String, u64)>) {
        self.tell(&ToWorker::Status(5));
        let status = loop {
            match self.hear() {
                FromWorker::Status(5, status) => break status,
                // On a slow machine there is a second one of a kind.
                FromWorker::Alarm(_) => {}
                other => panic!("{other:?}"),
            }
        };
        let WorkerStatus { of_role, counters } = *status;
        match of_role {
            RoleStatus::Keyd { locked, ceiling } => (locked, ceiling, counters),
            other => panic!("{other:?}"),
        }
    }

    /// A new stream to it, not yet greeted.
    pub fn stream(&mut self) -> (UnixStream, Epoch) {
        self.epoch += 1;
        let epoch = Epoch(self.epoch);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let channel = Channel::Key;
        self.supervisor
            .send(&ToWorker::Channel { channel, epoch }, &[theirs.as_fd()])
            .unwrap();
        ours.set_write_timeout(Some(PATIENCE)).unwrap();
        (ours, epoch)
    }

    pub fn connect(&mut self) -> Asker {
        let (stream, epoch) = self.stream();
        Asker {
            link: Link::open(stream, Channel::Key, epoch, PATIENCE).unwrap(),
            tickets: 0,
        }
    }

    /// Kills it and waits until it is gone, as the supervisor does before it starts another one.
    pub fn end(self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a pipe and writes `passphrase` to it.
    pub fn unlock(&self, passphrase: &str) {
        let (reader, mut writer) = std::io::pipe().unwrap();
        self.supervisor
            .send(&ToWorker::Unlock, &[reader.as_fd()])
            .unwrap();
        for byte in passphrase.bytes() {
            writer.write_all(&[byte]).unwrap();
        }
    }
}

/// The end of `consensusd`.
pub struct Asker {
    pub link: Link<ToKey, FromKey>,
    tickets: u64,
}

impl Asker {
    pub fn ask(&mut self, request: &[u8]) -> Answer {
        self.tickets += 1;
        let ticket = self.tickets;
        let request = request.to_vec().into();
        self.link.sender.send(&ToKey { ticket, request }).unwrap();
        let answer = self.link.receiver.receive().unwrap().unwrap();
        assert_eq!(answer.ticket, ticket);
        answer.answer
    }

    /// Asks for what has to be refused, and gives the reason.
    pub fn refused(&mut self, request: &[u8]) -> String {
        match self.ask(request) {
            Answer::Refused { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Asks for a signature of `value`, and checks it.
    pub fn signed(&mut self, request: &[u8], value: &Cell) {
        match self.ask(request) {
            Answer::Signed {
                signature,
                value: told,
            } => {
                assert!(told.is_empty());
                assert!(is_signature_of(signature.into_array(), value));
            }
            other => panic!("{other:?}"),
        }
    }
}

pub fn is_signature_of(signature: [u8; 64], value: &Cell) -> bool {
    Signed::new(
        key().account_key(),
        Signature::new(signature),
        value.clone(),
    )
    .verify()
}

/// An order with the blocks of these numbers.
pub fn order(time: i64, blocks: &[u32]) -> Record {
    let count = blocks.len() as i64;
    let points: Vector = [count, 0, 0, 0].into_iter().map(Cell::Long).collect();
    let blocks: Vector = blocks.iter().map(|id| signed_block(*id)).collect();
    let fields = [Cell::Long(time), Cell::from(points), Cell::from(blocks)];
    Record::of_kind(RecordKind::Order, fields)
}

/// The request for an order, all of its blocks along.
pub fn order_request(order: &Record) -> Vec<u8> {
    signing::order_request(order, 0).unwrap()
}

fn signed_block(id: u32) -> Cell {
    let signature = Signature::new([id as u8; 64]);
    let block = Cell::from(block(i64::from(id), 1));
    Cell::from(Signed::new(key().account_key(), signature, block))
}

pub fn block(time: i64, transactions: i64) -> Record {
    let transactions: Vector = (0..transactions).map(transaction).collect();
    let fields = [Cell::Long(time), Cell::from(transactions)];
    Record::of_kind(RecordKind::Block, fields)
}

pub fn transfer(sequence: i64) -> Record {
    let fields = [
        Cell::Address(11),
        Cell::Long(sequence),
        Cell::Address(12),
        Cell::Long(1),
    ];
    Record::of_kind(RecordKind::Transfer, fields)
}

fn transaction(sequence: i64) -> Cell {
    let value = Cell::from(transfer(sequence));
    let signature = Signature::new([3; 64]);
    Cell::from(Signed::new(key().account_key(), signature, value))
}

/// A challenge of somebody else.
pub fn challenge(target: Option<&AccountKey>, network: [u8; 32]) -> (Signed, SigningKey) {
    let challenger = SigningKey::from_seed(&[9; 32]);
    let value = signing::challenge::challenge(&Hash([5; 32]), target, &Hash(network));
    let nobody = Signature::new([0; 64]);
    let unsigned = Signed::new(challenger.account_key(), nobody, value.clone());
    let signature = challenger.sign(&unsigned.message());
    let signed = Signed::new(challenger.account_key(), signature, value);
    (signed, challenger)
}
