//! The process itself, inside its sandbox, with this test in the place of the supervisor and of `consensusd`.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use etch::{ControlView, Reader};
use ipc::store::{FromStore, ToStore};
use ipc::supervision::{
    AlarmKind, FromWorker, Ready, RoleStatus, Settings, StoredSettings, ToWorker,
};
use ipc::{Channel, Epoch, Link, Received, Supervision};
use sandbox::{Ended, Role, Spawn};
use stored::cells::{NewCell, push};

const PATIENCE: Duration = Duration::from_secs(60);
const FILE: &str = "peer.etch";

type FromConsensus = Link<ToStore, FromStore>;

struct Process {
    child: sandbox::Child,
    supervision: Supervision<ToWorker, FromWorker>,
    folder: PathBuf,
    epoch: u32,
}

impl Process {
    fn spawn(folder: &Path) -> Self {
        let (supervision, theirs) = Supervision::pair().unwrap();
        supervision.set_blocking(true).unwrap();
        let child = Spawn::new(Path::new(env!("CARGO_BIN_EXE_stored")), Role::Stored)
            .descriptor(3, theirs.as_fd())
            .start()
            .unwrap();
        Self {
            child,
            supervision,
            folder: folder.to_owned(),
            epoch: 0,
        }
    }

    fn settings(&self, reserve: u64) -> StoredSettings {
        StoredSettings {
            directory: self.folder.display().to_string(),
            file: FILE.to_owned(),
            reserve,
            checkpoint: 1 << 20,
            demands: "default".to_owned(),
        }
    }

    fn begin(&self, settings: StoredSettings) {
        let directory = File::open(&self.folder).unwrap();
        let start = ToWorker::Start(Box::new(Settings::Stored(settings)));
        self.supervision.send(&start, &[directory.as_fd()]).unwrap();
    }

    fn next(&self) -> (FromWorker, Vec<OwnedFd>) {
        match self.supervision.receive().unwrap() {
            Received::Message(message, fds) => (message, fds),
            other => panic!("{other:?}"),
        }
    }

    /// Started, in its sandbox, its store open for us to read.
    fn start(folder: &Path, reserve: u64) -> (Self, Reader, String) {
        let process = Self::spawn(folder);
        process.begin(process.settings(reserve));
        match process.next().0 {
            FromWorker::Sandboxed(report) => println!("{report}"),
            other => panic!("{other:?}"),
        }
        let (message, fds) = process.next();
        assert_eq!(message, FromWorker::Store);
        let [store, control]: [OwnedFd; 2] = fds.try_into().unwrap();
        let view = ControlView::from_file(&File::from(control)).unwrap();
        let store = File::from(store);
        let reader = Reader::follow(store, &folder.join(FILE), view).unwrap();
        let recovery = match process.next().0 {
            FromWorker::Ready(Ready::Stored { recovery }) => recovery,
            other => panic!("{other:?}"),
        };
        (process, reader, recovery)
    }

    /// A new channel, whose other end we are.
    fn connect(&mut self) -> FromConsensus {
        self.epoch += 1;
        let epoch = Epoch(self.epoch);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let channel = Channel::Store;
        self.supervision
            .send(&ToWorker::Channel { channel, epoch }, &[theirs.as_fd()])
            .unwrap();
        Link::open(ours, channel, epoch, PATIENCE).unwrap()
    }

    fn ask(&self, message: &ToWorker) -> FromWorker {
        self.supervision.send(message, &[]).unwrap();
        self.next().0
    }

    fn ended(&self) -> Ended {
        self.child.wait().unwrap()
    }

    fn stop(self) {
        let stop = ToWorker::Stop { within: 30_000 };
        self.supervision.send(&stop, &[]).unwrap();
        assert_eq!(self.ended(), Ended::Exited(0));
    }
}

/// Cells of batch `n`: key and encoding.
fn cells(n: u64) -> HashMap<[u8; 32], Vec<u8>> {
    (0..200u64)
        .map(|i| {
            let seed = crypto::sha3_256(&[n.to_le_bytes(), i.to_le_bytes()].concat());
            let length = 1 + usize::from(u16::from_le_bytes([seed[0], seed[1]])) % 400;
            let encoding: Vec<u8> = seed.into_iter().cycle().take(length.max(9)).collect();
            (crypto::sha3_256(&encoding), encoding)
        })
        .collect()
}

fn send(link: &mut FromConsensus, n: u64) -> [u8; 32] {
    let cells = cells(n);
    let root = *cells.keys().min().unwrap();
    let all: Vec<&Vec<u8>> = cells.values().collect();
    for part in all.chunks(70) {
        let mut bytes = Vec::new();
        for encoding in part {
            push(
                &mut bytes,
                NewCell {
                    memory_size: 0,
                    encoding,
                },
            );
        }
        let cells = serde_bytes::ByteBuf::from(bytes);
        link.sender.send(&ToStore::Cells { cells }).unwrap();
    }
    let commit = ToStore::Commit {
        sequence: n,
        root: Some(root),
    };
    link.sender.send(&commit).unwrap();
    root
}

fn durable(link: &mut FromConsensus) -> u64 {
    match link.receiver.receive().unwrap() {
        Some(FromStore::Durable { sequence }) => sequence,
        other => panic!("{other:?}"),
    }
}

fn all_there(reader: &Reader, n: u64) {
    for (key, encoding) in cells(n) {
        assert_eq!(reader.get(&key).unwrap(), Some(encoding), "batch {n}");
    }
}

#[test]
fn batches_are_readable_when_they_are_acknowledged_and_a_stop_leaves_a_plain_store() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, reader, recovery) = Process::start(dir.path(), 0);
    assert_eq!(recovery, "a new store");
    let mut link = process.connect();
    let mut sent = 0;
    let mut acknowledged = 0;
    let mut root = [0; 32];
    while acknowledged < 60 {
        while sent < 60 && sent < acknowledged + 16 {
            sent += 1;
            root = send(&mut link, sent);
        }
        let last = durable(&mut link);
        assert!(last > acknowledged && last <= sent);
        for n in acknowledged + 1..=last {
            all_there(&reader, n);
        }
        acknowledged = last;
    }
    assert_eq!(reader.root().unwrap(), root);
    assert_eq!(reader.get(&[1; 32]).unwrap(), None);
    assert_eq!(process.ask(&ToWorker::Ping(9)), FromWorker::Pong(9));
    match process.ask(&ToWorker::Status(4)) {
        FromWorker::Status(4, status) => {
            let RoleStatus::Stored {
                used,
                free,
                sequence,
                refuses: None,
                ..
            } = status.of_role
            else {
                panic!("{status:?}");
            };
            assert!(used > 524_332 && free > 0 && (1..=60).contains(&sequence));
            let counters: HashMap<String, u64> = status.counters.into_iter().collect();
            assert_eq!(counters["batches"], 60);
            assert_eq!(counters["barriers"], sequence);
            assert_eq!(counters["cells_new"], 12_000);
        }
        other => panic!("{other:?}"),
    }
    // There was more than one log full; each is worked in beside the batches.
    let started = Instant::now();
    let checkpoints = || match process.ask(&ToWorker::Status(5)) {
        FromWorker::Status(5, status) => {
            let counters: HashMap<String, u64> = status.counters.into_iter().collect();
            counters["checkpoints"]
        }
        other => panic!("{other:?}"),
    };
    while checkpoints() == 0 {
        assert!(started.elapsed() < PATIENCE, "no checkpoint");
    }
    all_there(&reader, 60);
    match process.ask(&ToWorker::Verify) {
        FromWorker::Verified { cells, findings } => {
            assert_eq!((cells, findings), (12_000, vec![]));
        }
        other => panic!("{other:?}"),
    }
    // Half a batch more, which nobody acknowledges.
    let mut bytes = Vec::new();
    let encoding = b"never complete";
    push(
        &mut bytes,
        NewCell {
            memory_size: 0,
            encoding,
        },
    );
    let cells = serde_bytes::ByteBuf::from(bytes);
    link.sender.send(&ToStore::Cells { cells }).unwrap();
    process.stop();
    let (still, info) = Reader::inspect(&dir.path().join(FILE)).unwrap();
    assert!(!info.in_use && !info.log);
    assert_eq!(info.header.root, root);
    assert_eq!(still.get(&crypto::sha3_256(encoding)).unwrap(), None);
    all_there(&still, 1);
    all_there(&still, 60);
}

#[test]
fn a_killed_process_loses_nothing_acknowledged_and_its_successor_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..4 {
        let (mut process, reader, recovery) = Process::start(dir.path(), 0);
        assert_eq!(recovery.contains("replayed"), round > 0, "{recovery}");
        for n in 1..=acknowledged {
            all_there(&reader, n);
        }
        let mut link = process.connect();
        let upto = acknowledged + 5;
        for n in acknowledged + 1..=upto + 3 {
            send(&mut link, n);
        }
        while acknowledged < upto {
            acknowledged = durable(&mut link);
        }
        process.child.kill().unwrap();
        assert!(matches!(process.ended(), Ended::Killed(9)));
        // Its readers keep what they had.
        all_there(&reader, acknowledged);
    }
}

#[test]
fn a_new_channel_takes_the_place_of_the_old_one_and_numbers_begin_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, reader, _) = Process::start(dir.path(), 0);
    let mut first = process.connect();
    send(&mut first, 1);
    assert_eq!(durable(&mut first), 1);
    let mut second = process.connect();
    assert!(matches!(first.receiver.receive(), Ok(None)));
    send(&mut second, 40);
    assert_eq!(durable(&mut second), 40);
    all_there(&reader, 40);
    process.stop();
}

#[test]
fn a_sender_that_breaks_the_rules_loses_its_channel_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, reader, _) = Process::start(dir.path(), 0);
    let cells = |bytes: &[u8]| ToStore::Cells {
        cells: serde_bytes::ByteBuf::from(bytes),
    };
    let commit = |sequence, root| ToStore::Commit { sequence, root };
    let mut first = true;
    for wrong in [
        vec![cells(&[1, 2, 3])],
        vec![cells(&[0; 12])],
        vec![commit(1, None), commit(3, None)],
        vec![commit(1, Some([5; 32]))],
        vec![commit(u64::MAX, None)],
    ] {
        let mut link = process.connect();
        link.sender.send_all(&wrong).unwrap();
        while let Ok(Some(answer)) = link.receiver.receive() {
            assert!(matches!(answer, FromStore::Durable { sequence: 1 }));
        }
        // The first is told to the operator at once, those that follow are counted.
        if std::mem::take(&mut first) {
            match process.next().0 {
                FromWorker::Alarm(alarm) => assert_eq!(alarm.kind, AlarmKind::Channel),
                other => panic!("{other:?}"),
            }
        }
    }
    let mut link = process.connect();
    send(&mut link, 2);
    assert_eq!(durable(&mut link), 2);
    all_there(&reader, 2);
    process.stop();
}

#[test]
fn below_the_reserve_batches_are_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, _, _) = Process::start(dir.path(), u64::MAX / 2);
    let mut link = process.connect();
    send(&mut link, 1);
    match link.receiver.receive().unwrap() {
        Some(FromStore::Refused {
            sequence: 1,
            text,
            retry: true,
        }) => assert!(text.contains("free space"), "{text}"),
        other => panic!("{other:?}"),
    }
    match process.next().0 {
        FromWorker::Alarm(alarm) => assert_eq!(alarm.kind, AlarmKind::Store),
        other => panic!("{other:?}"),
    }
    match process.ask(&ToWorker::Status(1)) {
        FromWorker::Status(1, status) => assert!(matches!(
            status.of_role,
            RoleStatus::Stored {
                refuses: Some(_),
                ..
            }
        )),
        other => panic!("{other:?}"),
    }
    process.stop();
}

#[test]
fn a_store_that_cannot_be_opened_ends_the_process_with_cause_and_code() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), [b'x'; 1000]).unwrap();
    let process = Process::spawn(dir.path());
    process.begin(process.settings(0));
    match process.next().0 {
        FromWorker::Fatal(text) => assert!(text.contains("not an Etch store"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(process.ended(), Ended::Exited(65));

    let dir = tempfile::tempdir().unwrap();
    let (held, _, _) = Process::start(dir.path(), 0);
    let second = Process::spawn(dir.path());
    second.begin(second.settings(0));
    match second.next().0 {
        FromWorker::Fatal(text) => assert!(text.contains("another process"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(second.ended(), Ended::Exited(75));
    held.stop();
}

#[test]
fn without_a_supervisor_it_says_so_and_with_its_end_it_ends() {
    let by_hand = std::process::Command::new(env!("CARGO_BIN_EXE_stored"))
        .output()
        .unwrap();
    assert_eq!(by_hand.status.code(), Some(64));
    let text = String::from_utf8(by_hand.stderr).unwrap();
    assert!(text.contains("supervisor"), "{text}");

    let dir = tempfile::tempdir().unwrap();
    let (process, _, _) = Process::start(dir.path(), 0);
    let Process {
        child, supervision, ..
    } = process;
    let started = Instant::now();
    drop(supervision);
    assert_eq!(child.wait().unwrap(), Ended::Exited(0));
    assert!(started.elapsed() < PATIENCE);
}
