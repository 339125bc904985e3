//! A network that a test starts, and ends.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cells::{Cell, Decoder, Signed};
use client::{Client, ClientError};
use cvm::state::{Kind, State, Transaction};
use ipc::Role;
use ipc::control::PeerStatus;
use keys::{KeyStore, Passphrase, Seed};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tempfile::TempDir;
use wire::Reply;

use crate::{control, programs};

/// The account that has the coins of a new network.
const USER: u64 = 11;
/// How long whatever a test waits for may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that can only be looked at.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

/// What peers agree about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// Executed blocks.
    pub executed: u64,
    /// Hash of the state after them.
    pub state: [u8; 32],
}

/// A network in a directory of its own.
#[derive(Debug)]
pub struct Network {
    dir: TempDir,
    user: Seed,
    /// The processes of the supervisors; `None` for one that was killed.
    peers: Vec<Option<OwnedFd>>,
    /// Those of them that are children of this process.
    children: Vec<Child>,
    sequence: i64,
}

impl Network {
    /// A new network of our peers, all at work.
    ///
    /// # Panics
    /// When they don't start.
    #[must_use]
    pub fn start(peers: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // The users of the workers have to get through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir.path(), open).expect("permissions");
        let output = Command::new(programs::directory().join("convexctl"))
            .args(["local", "start", "--detach", "--port", "0", "--peers"])
            .arg(peers.to_string())
            .arg("--dir")
            .arg(dir.path())
            .output()
            .expect("convexctl runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let user = seed(&dir.path().join("user"));
        let mut network = Self {
            dir,
            user,
            peers: (0..peers).map(|_| None).collect(),
            children: Vec::new(),
            sequence: 0,
        };
        for peer in 0..peers {
            network.note(peer);
        }
        network
    }

    /// A new network on another genesis state than the usual one, which nobody has started yet. `change` is given the state, and key and
    /// address of each peer.
    ///
    /// # Panics
    /// When it can't be made.
    #[must_use]
    pub fn prepare(peers: usize, change: impl FnOnce(&mut State, &[([u8; 32], String)])) -> Self {
        let mut network = Self::start(peers);
        let key = |peer| {
            let key = network.seed(peer).signing_key().expect("a key");
            (*key.account_key().as_bytes(), network.endpoint(peer))
        };
        let keys: Vec<_> = (0..peers).map(key).collect();
        let bytes = fs::read(network.genesis()).expect("a genesis state");
        let old = cells::decode_message(&bytes, &Decoder::new()).expect("a state");
        let mut state = State::from_cell(&old).expect("a state");
        change(&mut state, &keys);
        let new = state.to_cell().expect("in memory");
        let bytes = cells::encode_message(&new).expect("in memory");
        for peer in 0..peers {
            network.kill(peer);
            network.empty_store(peer);
            network.configure(peer, &old.hash().to_string(), &new.hash().to_string());
        }
        fs::write(network.genesis(), bytes).expect("a genesis state");
        network
    }

    /// Directory of a peer.
    #[must_use]
    pub fn directory(&self, peer: usize) -> PathBuf {
        self.dir.path().join(format!("peer-{}", peer + 1))
    }

    /// The genesis state, as a file.
    #[must_use]
    pub fn genesis(&self) -> PathBuf {
        self.dir.path().join("genesis.cad3")
    }

    /// Where a peer listens.
    #[must_use]
    pub fn endpoint(&self, peer: usize) -> String {
        let text = fs::read_to_string(self.directory(peer).join("endpoint")).expect("an endpoint");
        text.trim().to_owned()
    }

    /// The seed of the key of a peer.
    #[must_use]
    pub fn seed(&self, peer: usize) -> Seed {
        seed(&self.directory(peer))
    }

    /// `convexctl`, to be given arguments.
    #[must_use]
    pub fn convexctl(&self) -> Command {
        let mut command = Command::new(programs::directory().join("convexctl"));
        // Whatever else is on this machine is none of the test's business.
        command
            .env("XDG_DATA_HOME", self.dir.path())
            .env_remove("CONVEXCTL_PEER")
            .env_remove("CONVEXCTL_RUN")
            .stdin(Stdio::null());
        command
    }

    /// The directory of the user: key store and passphrase.
    #[must_use]
    pub fn user(&self) -> PathBuf {
        self.dir.path().join("user")
    }

    /// Prepares one more peer, which no state knows, with nothing but a key and the hosts of the others; answers its number and its
    /// key in hex. [`Network::restart`] starts it.
    ///
    /// # Panics
    /// When that fails.
    pub fn add(&mut self) -> (usize, String) {
        let number = self.peers.len();
        let dir = self.directory(number);
        fs::create_dir(&dir).expect("a directory");
        let passphrase = dir.join("passphrase");
        fs::write(&passphrase, "of a machine").expect("a passphrase");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&passphrase, private).expect("permissions");
        let made = self
            .convexctl()
            .args(["key", "generate", "--key-store"])
            .arg(dir.join("keys.pfx"))
            .arg("--passphrase-file")
            .arg(&passphrase)
            .output()
            .expect("convexctl runs");
        assert!(made.status.success(), "{made:?}");
        let key = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = free.local_addr().expect("an address").to_string();
        fs::write(dir.join("endpoint"), &endpoint).expect("an endpoint");
        let others: Vec<String> = (0..number)
            .map(|peer| format!("{:?}", self.endpoint(peer)))
            .collect();
        let first = fs::read_to_string(self.directory(0).join("convexd.toml")).expect("a config");
        let mut text = String::new();
        for line in first.lines().filter(|line| !line.starts_with("genesis")) {
            text += &match line.split_once(" = ").map(|(name, _)| name) {
                Some("key") => format!("key = {key:?}"),
                Some("public-host") => format!("public-host = {endpoint:?}"),
                Some("listen") => format!("listen = [{endpoint:?}]"),
                Some("peers") => format!("peers = [{}]", others.join(", ")),
                Some("users") => format!("users = \"{}\"", 64_500 + 4 * number),
                _ => line.replace("/peer-1/", &format!("/peer-{}/", number + 1)),
            };
            text.push('\n');
        }
        fs::write(dir.join("convexd.toml"), text).expect("a config");
        self.peers.push(None);
        (number, key)
    }

    /// Changes a text in the configuration of a peer.
    ///
    /// # Panics
    /// When it is not there.
    pub fn configure(&self, peer: usize, from: &str, to: &str) {
        let path = self.directory(peer).join("convexd.toml");
        let text = fs::read_to_string(&path).expect("a configuration");
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).expect("a configuration");
    }

    /// Remembers the process of a peer that runs.
    fn note(&mut self, peer: usize) {
        let status = control::status(&self.directory(peer).join("run")).expect("a status");
        self.peers[peer] = Some(open(status.pid).expect("the process of a peer"));
    }

    /// Kills the supervisor of a peer: all of the peer ends with it.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self, peer: usize) {
        let status = control::status(&self.directory(peer).join("run"));
        let workers = status.map(|status| status.workers).unwrap_or_default();
        let workers: Vec<OwnedFd> = workers
            .iter()
            .filter_map(|worker| open(worker.pid?))
            .collect();
        let process = self.peers[peer].take().expect("a peer that runs");
        pidfd_send_signal(&process, Signal::KILL).expect("the process runs");
        for process in std::iter::once(&process).chain(&workers) {
            assert!(ends(process), "it ends");
        }
    }

    /// Stops a peer in good order: its store is a plain Etch file then.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn stop(&mut self, peer: usize) {
        let process = self.peers[peer].take().expect("a peer that runs");
        pidfd_send_signal(&process, Signal::TERM).expect("the process runs");
        assert!(ends(&process), "it ends");
    }

    /// The store of a peer.
    #[must_use]
    pub fn store(&self, peer: usize) -> PathBuf {
        self.directory(peer).join("store/peer.etch")
    }

    /// Gives a peer that does not run this file as its store.
    ///
    /// # Panics
    /// When it can't be copied.
    pub fn give_store(&self, peer: usize, file: &Path) {
        let store = self.store(peer);
        let directory = store.parent().expect("a directory");
        if directory.exists() {
            fs::remove_dir_all(directory).expect("the old store is removed");
        }
        let private = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::create_dir(directory).expect("a directory");
        fs::set_permissions(directory, private(0o700)).expect("permissions");
        fs::copy(file, &store).expect("a copy");
        fs::set_permissions(&store, private(0o600)).expect("permissions");
        if rustix::process::geteuid().is_root() {
            // The user of `stored` is the first of them.
            let path = self.directory(peer).join("convexd.toml");
            let text = fs::read_to_string(path).expect("a configuration");
            let users = text.lines().find_map(|line| line.strip_prefix("users = "));
            let user = users.and_then(|users| users.trim_matches('"').parse().ok());
            for path in [directory, &store] {
                std::os::unix::fs::chown(path, user, user).expect("another owner");
            }
        }
    }

    /// Kills a worker of a peer, whose supervisor starts another one.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill_worker(&self, peer: usize, role: Role) {
        let status = control::status(&self.directory(peer).join("run")).expect("a status");
        let worker = status.workers.iter().find(|worker| worker.role == role);
        let worker = worker.and_then(|worker| open(worker.pid?));
        let worker = worker.expect("a worker that runs");
        pidfd_send_signal(&worker, Signal::KILL).expect("the process runs");
        assert!(ends(&worker), "it ends");
    }

    /// Takes away all that a peer has stored.
    ///
    /// # Panics
    /// When it can't be removed.
    pub fn empty_store(&self, peer: usize) {
        fs::remove_dir_all(self.directory(peer).join("store")).expect("the store is removed");
    }

    /// Takes away what a peer may have stored.
    ///
    /// # Panics
    /// When it can't be removed.
    pub fn empty_store_if_any(&self, peer: usize) {
        if self.directory(peer).join("store").exists() {
            self.empty_store(peer);
        }
    }

    /// Takes away all that a peer has stored, and the file with the genesis state: what remains are key, network and the hosts of others.
    ///
    /// # Panics
    /// When it has none.
    pub fn forget_all(&self, peer: usize) {
        self.empty_store(peer);
        self.forget_genesis(peer);
    }

    /// Takes the file with the genesis state away from a peer.
    ///
    /// # Panics
    /// When it has none.
    pub fn forget_genesis(&self, peer: usize) {
        self.remove_setting(peer, "genesis");
    }

    /// Takes a line that begins like this out of the configuration of a peer.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove_setting(&self, peer: usize, start: &str) {
        let path = self.directory(peer).join("convexd.toml");
        let text = fs::read_to_string(&path).expect("a configuration");
        let kept = text.lines().filter(|line| !line.starts_with(start));
        let kept: Vec<&str> = kept.collect();
        assert!(kept.len() < text.lines().count(), "{text}");
        fs::write(path, kept.join("\n")).expect("a configuration");
    }

    /// Names the peers that a peer connects to.
    ///
    /// # Panics
    /// When its configuration can't be changed.
    pub fn name_peers(&self, peer: usize, peers: &[&str]) {
        let path = self.directory(peer).join("convexd.toml");
        let text = fs::read_to_string(&path).expect("a configuration");
        let line = format!("peers = {peers:?}");
        let changed = text.lines().map(|old| match old.starts_with("peers =") {
            true => line.as_str(),
            false => old,
        });
        let changed: Vec<&str> = changed.collect();
        assert!(changed.contains(&line.as_str()), "{text}");
        fs::write(path, changed.join("\n")).expect("a configuration");
    }

    /// What a peer says of itself.
    ///
    /// # Panics
    /// When it says nothing.
    #[must_use]
    pub fn status(&self, peer: usize) -> PeerStatus {
        control::status(&self.directory(peer).join("run")).expect("a status")
    }

    /// What a peer has logged since its start.
    #[must_use]
    pub fn log(&self, peer: usize) -> String {
        fs::read_to_string(self.directory(peer).join("log")).unwrap_or_default()
    }

    /// Starts a peer that was killed; answers how long it took until its supervisor told its status.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self, peer: usize) -> Duration {
        let began = Instant::now();
        let dir = self.directory(peer);
        let log = fs::File::create(dir.join("log")).expect("a log");
        let start = || {
            Command::new(programs::directory().join("supervisor"))
                .arg("--config")
                .arg(dir.join("convexd.toml"))
                .args(["--set", "log.format=text"])
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("a log"))
                .stderr(log.try_clone().expect("a log"))
                .spawn()
                .expect("the supervisor starts")
        };
        let mut child = start();
        self.wait(&format!("peer {peer} to start"), |_| {
            // As systemd would: processes of the killed peer may hold its port for a moment.
            if child.try_wait().expect("a child").is_some() {
                child = start();
            }
            control::status(&dir.join("run")).ok()
        });
        self.children.push(child);
        self.note(peer);
        began.elapsed()
    }

    /// The peers that run.
    #[must_use]
    pub fn running(&self) -> Vec<usize> {
        let running = |peer: &usize| self.peers[*peer].is_some();
        (0..self.peers.len()).filter(running).collect()
    }

    /// Looks until there is something, or the time is over.
    ///
    /// # Panics
    /// When it is over.
    pub fn wait<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            self.pause(began, || what.to_owned());
        }
    }

    /// The time between two looks at what has been waited for since `began`.
    ///
    /// # Panics
    /// When it has been waited for too long, or a peer has ended.
    pub fn pause(&self, began: Instant, what: impl FnOnce() -> String) {
        assert!(
            began.elapsed() < PATIENCE,
            "waited for {}: {:?}\n{}",
            what(),
            self.standings(),
            self.logs()
        );
        // Until a peer ends, which is for nobody to happen, or the time for the next look has come.
        let mut ends: Vec<PollFd<'_>> = self
            .peers
            .iter()
            .flatten()
            .map(|peer| PollFd::new(peer, PollFlags::IN))
            .collect();
        let ended = poll(&mut ends, Some(&LOOK));
        assert_eq!(ended, Ok(0), "a peer ended\n{}", self.logs());
    }

    /// Where a peer is, when it says so.
    #[must_use]
    pub fn standing(&self, peer: usize) -> Option<Agreement> {
        let status = control::status(&self.directory(peer).join("run")).ok()?;
        // One that is still joining has no state.
        let consensus = status.consensus.filter(|at| at.state != [0; 32])?;
        Some(Agreement {
            executed: consensus.executed,
            state: consensus.state,
        })
    }

    /// The workers of a peer, and their processes.
    ///
    /// # Panics
    /// When the peer says nothing.
    #[must_use]
    pub fn workers(&self, peer: usize) -> Vec<(Role, u32)> {
        let workers = self.status(peer).workers.into_iter();
        workers.filter_map(|w| Some((w.role, w.pid?))).collect()
    }

    /// How often each worker of a peer was started again.
    ///
    /// # Panics
    /// When the peer says nothing.
    #[must_use]
    pub fn restarts(&self, peer: usize) -> Vec<(u32, Role)> {
        let workers = self.status(peer).workers.into_iter();
        workers.map(|w| (w.restarts, w.role)).collect()
    }

    /// What a worker of a peer has counted.
    ///
    /// # Panics
    /// When there is no such count.
    #[must_use]
    pub fn counter(&self, peer: usize, role: Role, name: &str) -> u64 {
        let mut workers = self.status(peer).workers.into_iter();
        let worker = workers.find(|w| w.role == role).expect("a worker");
        let mut counters = worker.counters.iter();
        let found = counters.find(|(known, _)| known == name);
        found
            .unwrap_or_else(|| panic!("no {name}: {:?}", worker.counters))
            .1
    }

    /// Where all peers that run are.
    #[must_use]
    pub fn standings(&self) -> Vec<Option<Agreement>> {
        let running = self.running();
        running.iter().map(|peer| self.standing(*peer)).collect()
    }

    /// Waits until all peers that run have executed the same blocks, at least `least` of them; answers what they have and how long it took.
    pub fn agree(&self, least: u64) -> (Agreement, Duration) {
        let began = Instant::now();
        let agreed = self.wait(&format!("all to execute {least} blocks"), |network| {
            let all: Option<Vec<Agreement>> = network.standings().into_iter().collect();
            let all = all?;
            let first = *all.first()?;
            (first.executed >= least && all.iter().all(|one| *one == first)).then_some(first)
        });
        (agreed, began.elapsed())
    }

    /// Sends a transfer of the user to a peer; answers how long the result took.
    ///
    /// # Panics
    /// When it fails.
    pub fn transfer(&mut self, peer: usize) -> Duration {
        let endpoint = self.endpoint(peer);
        self.transfer_to(&endpoint)
    }

    /// Sends a transfer of the user to whoever listens there; answers how long the result took.
    ///
    /// # Panics
    /// When it fails.
    pub fn transfer_to(&mut self, endpoint: &str) -> Duration {
        let began = Instant::now();
        let reply = self.try_transfer(endpoint, PATIENCE);
        let reply =
            reply.unwrap_or_else(|e| panic!("{e}: {:?}\n{}", self.standings(), self.logs()));
        assert_eq!(reply.error, Cell::Nil, "{:?}", reply.value);
        began.elapsed()
    }

    /// Sends a transfer of the user, and waits so long for the result.
    ///
    /// # Errors
    /// When there is none.
    ///
    /// # Panics
    /// When there is no connection.
    pub fn try_transfer(
        &mut self,
        endpoint: &str,
        patience: Duration,
    ) -> Result<Reply, ClientError> {
        let mut client = Client::connect(endpoint, patience).expect("a connection");
        self.sequence += 1;
        let transaction = Transaction {
            origin: USER,
            sequence: self.sequence,
            kind: Kind::Transfer {
                target: Cell::Address(12),
                amount: 1_000,
            },
        };
        let key = self.user.signing_key().expect("a key");
        client.transact(Signed::sign(&key, transaction.to_cell()))
    }

    /// The last transfer was not taken: the next one has its sequence number.
    pub fn take_back(&mut self) {
        self.sequence -= 1;
    }

    /// The ends of all logs, for who has to find out what went wrong.
    fn logs(&self) -> String {
        let log = |peer| {
            let text = fs::read_to_string(self.directory(peer).join("log")).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = &lines[lines.len().saturating_sub(12)..];
            format!("peer {peer}:\n{}\n", tail.join("\n"))
        };
        (0..self.peers.len()).map(log).collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for peer in self.peers.iter().flatten() {
            // It fails only when the process has ended.
            let _ = pidfd_send_signal(peer, Signal::KILL);
        }
        for peer in self.peers.iter().flatten() {
            let patience = Timespec {
                tv_sec: 10,
                tv_nsec: 0,
            };
            // What does not end leaves its files.
            let _ = poll(&mut [PollFd::new(peer, PollFlags::IN)], Some(&patience));
        }
        for child in &mut self.children {
            let _ = child.try_wait();
        }
    }
}

/// A process, while it runs.
fn open(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Waits for the end of a process.
fn ends(process: &OwnedFd) -> bool {
    let patience = Timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience)) == Ok(1)
}

/// The only key of a key store, by the passphrase beside it.
fn seed(dir: &Path) -> Seed {
    let passphrase = fs::read_to_string(dir.join("passphrase")).expect("a passphrase");
    let passphrase = Passphrase::copy_of(passphrase.trim()).expect("a passphrase");
    let bytes = fs::read(dir.join("keys.pfx")).expect("a key store");
    let store = KeyStore::parse(&bytes, Some(&passphrase)).expect("a key store");
    let key = store.entries().find_map(|entry| entry.key).expect("a key");
    store.unlock(&key, &passphrase).expect("a seed")
}
