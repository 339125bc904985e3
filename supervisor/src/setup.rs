//! From the settings to what workers are given: directories, listeners, users, descriptors.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::Config;
use ipc::Role;
use ipc::supervision::{
    ConsensusdSettings, KeydSettings, MAX_FDS, NetdSettings, Settings, StoredSettings,
};
use nix::unistd::{User, geteuid};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use sandbox::Identity;

use crate::exit::{self, Fatal};
use crate::names;
use crate::network::{Record, Told};
use crate::topology::WORKERS;

/// Connections that wait for being accepted.
const BACKLOG: i32 = 4096;
/// Name of the file that holds the ceiling of signed times.
const JOURNAL: &str = "ceiling";
/// Name of the audit log of keyd, beside it, and of the one before.
const AUDIT: [&str; 2] = ["audit.log", "audit.log.1"];
/// Least bytes of an audit log.
const LEAST_AUDIT: u64 = 1 << 12;
/// Name of the file that keeps a peer down.
const DOWN: &str = "down";

/// Everything that is made once, before the first worker starts.
#[derive(Debug)]
pub struct Setup {
    /// The settings.
    pub config: Config,
    /// The peer key.
    pub key: [u8; 32],
    /// Hash of the genesis state; `None` until a peer has said it, when the settings don't.
    pub network: Option<[u8; 32]>,
    /// Who said it, when the settings don't.
    pub network_by: Option<String>,
    /// Where the peer listens.
    pub listen: Vec<SocketAddr>,
    listeners: Vec<OwnedFd>,
    programs: PathBuf,
    identities: [Option<Identity>; WORKERS.len()],
    /// Keeps other supervisors away.
    _lock: File,
}

impl Setup {
    /// Checks the settings, makes what is missing and opens the ports.
    ///
    /// # Errors
    /// What is wrong, with the remedy and the exit code.
    pub fn new(config: Config) -> Result<Self, Fatal> {
        let key = key_of(&config)?;
        let programs = match &config.supervisor.programs {
            Some(directory) => directory.clone(),
            None => std::env::current_exe()
                .ok()
                .and_then(|path| Some(path.parent()?.to_owned()))
                .ok_or_else(|| {
                    Fatal::new(
                        exit::OS,
                        "can't tell where the programs are; set supervisor.programs",
                    )
                })?,
        };
        for worker in WORKERS {
            let program = programs.join(worker.program);
            if !program.is_file() {
                return Err(Fatal::new(
                    exit::UNAVAILABLE,
                    format!(
                        "{} is missing; set supervisor.programs to the directory of the programs",
                        program.display()
                    ),
                ));
            }
        }
        let identities = identities(&config.supervisor.users)?;
        let owner = |role| {
            crate::topology::index_of(role)
                .and_then(|index| identities[index])
                .map_or_else(|| geteuid().as_raw(), |identity| identity.uid)
        };
        let us = geteuid().as_raw();
        directory(&config.supervisor.run, 0o755, us)?;
        let lock = lock(&config.supervisor.run)?;
        directory(&config.destake.directory, 0o700, us)?;
        directory(&config.key.journal, 0o700, us)?;
        directory(&config.store.directory, 0o700, owner(Role::Stored))?;
        refuse_if_down(&config)?;
        let told = match config.peer.network {
            Some(_) => None,
            None => Record::new(&config.key.journal).load()?,
        };
        let network = config.peer.network.as_ref().map(|network| network.0);
        let network = network.or(told.as_ref().map(|told| told.network));
        if network.is_none() && config.network.peers.is_empty() {
            return Err(Fatal::new(
                exit::CONFIG,
                "peer.network is not set, and network.peers names nobody to ask: put the hash of the genesis state into the one, or `host:port` of a peer of the network into the other",
            ));
        }
        let (listeners, listen) = listen(&config.network.listen)?;
        let setup = Self {
            config,
            key,
            network,
            network_by: told.map(|told| told.by),
            listen,
            listeners,
            programs,
            identities,
            _lock: lock,
        };
        for worker in WORKERS {
            setup.settings(worker.role)?;
        }
        Ok(setup)
    }

    /// The network is known now, and is never another one.
    ///
    /// # Errors
    /// When it can't be written down.
    pub fn belong_to(&mut self, told: Told) -> Result<(), Fatal> {
        Record::new(&self.config.key.journal)
            .save(&told)
            .map_err(|error| {
                let directory = self.config.key.journal.display();
                Fatal::new(
                    exit::CANT_CREATE,
                    format!(
                        "can't write down the network in {directory}: {error}; make room there"
                    ),
                )
            })?;
        self.network = Some(told.network);
        self.network_by = Some(told.by);
        Ok(())
    }

    /// The network, of which no worker is told before it is known.
    #[must_use]
    pub fn network_or_none(&self) -> [u8; 32] {
        self.network.unwrap_or_default()
    }

    /// Closes the ports: whoever tries to connect is told so at once.
    pub fn stop_listening(&mut self) {
        self.listeners.clear();
    }

    /// The program of a worker.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The user that a worker runs as, if not ours.
    #[must_use]
    pub fn identity(&self, role: Role) -> Option<Identity> {
        let role = if role == Role::Rescue {
            Role::Netd
        } else {
            role
        };
        crate::topology::index_of(role).and_then(|index| self.identities[index])
    }

    /// What a worker is told at its start, with freshly opened descriptors.
    ///
    /// # Errors
    /// When a file can't be opened, or is open to others.
    pub fn settings(&self, role: Role) -> Result<(Settings, Vec<OwnedFd>), Fatal> {
        let config = &self.config;
        let demands = config.sandbox.minimum.0.clone();
        match role {
            Role::Stored => {
                let path = &config.store.directory;
                let directory = rustix::fs::open(
                    path,
                    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                    rustix::fs::Mode::empty(),
                )
                .map_err(|error| cant_open(path, &error.into()))?;
                let settings = StoredSettings {
                    directory: path.display().to_string(),
                    file: config.store.file.clone(),
                    reserve: config.store.reserve.0,
                    checkpoint: config.store.checkpoint.0,
                    demands,
                };
                Ok((Settings::Stored(settings), vec![directory]))
            }
            Role::Keyd => self.keyd(demands),
            Role::Consensusd => {
                let mut fds = Vec::new();
                if let Some(path) = &config.peer.genesis {
                    fds.push(File::open(path).map_err(|e| cant_open(path, &e))?.into());
                }
                let settings = ConsensusdSettings {
                    key: self.key,
                    network: self.network_or_none(),
                    genesis: !fds.is_empty(),
                    verifiers: match config.consensus.verifiers {
                        0 => std::thread::available_parallelism()
                            .map_or(2, |n| u16::try_from(n.get()).unwrap_or(u16::MAX)),
                        some => some,
                    },
                    queue: config.consensus.queue,
                    memory: config.consensus.memory.0,
                    window: config.consensus.window.0,
                    stale_queries: config.consensus.when_cut_off == config::WhenCutOff::Stale,
                    demands,
                };
                Ok((Settings::Consensusd(settings), fds))
            }
            Role::Netd => {
                let fds = self
                    .listeners
                    .iter()
                    .map(|listener| listener.try_clone())
                    .collect::<io::Result<Vec<_>>>()
                    .map_err(|error| {
                        Fatal::new(exit::OS, format!("no descriptors left: {error}"))
                    })?;
                let network = &config.network;
                let texts =
                    |networks: &[config::Network]| networks.iter().map(|n| n.0.clone()).collect();
                let settings = NetdSettings {
                    key: self.key,
                    network: self.network_or_none(),
                    listeners: fds.len() as u8,
                    connections: network.connections,
                    connections_per_address: network.connections_per_address,
                    memory: network.memory.0,
                    idle: network.idle.0,
                    allow: texts(&network.allow),
                    deny: texts(&network.deny),
                    peers: network.peers.clone(),
                    target: network.target,
                    name_servers: names::servers(network),
                    hosts: names::hosts(network),
                    demands,
                };
                Ok((Settings::Netd(settings), fds))
            }
            Role::Rescue => Err(Fatal::new(
                exit::USAGE,
                "a rescue has no settings of its own",
            )),
        }
    }

    fn keyd(&self, demands: String) -> Result<(Settings, Vec<OwnedFd>), Fatal> {
        let key = &self.config.key;
        let journal = key.journal.join(JOURNAL);
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&journal)
            .map_err(|error| cant_open(&journal, &error))?;
        let audit = key.journal.join(AUDIT[0]);
        let audit_opened = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&audit)
            .map_err(|error| cant_open(&audit, &error))?;
        let mut fds: Vec<OwnedFd> = vec![
            opened.into(),
            audit_opened.into(),
            open_secret(&key.store, self.identity(Role::Keyd))?.into(),
        ];
        let passphrase = match key.passphrase.as_str() {
            "ask" => None,
            "credential" => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    Fatal::new(
                        exit::CONFIG,
                        "key.passphrase is \"credential\", but the service manager passes none; add LoadCredential=passphrase:FILE to the unit",
                    )
                })?;
                Some(PathBuf::from(directory).join("passphrase"))
            }
            path => Some(PathBuf::from(path)),
        };
        if let Some(path) = &passphrase {
            fds.push(open_secret(path, self.identity(Role::Keyd))?.into());
        }
        let settings = KeydSettings {
            key_store: key.store.display().to_string(),
            supervisor: geteuid().as_raw(),
            key: self.key,
            network: self.network_or_none(),
            audit: self.audit_size(),
            passphrase: passphrase.is_some(),
            demands,
        };
        Ok((Settings::Keyd(settings), fds))
    }

    fn audit_size(&self) -> u64 {
        self.config.key.audit.0.max(LEAST_AUDIT)
    }

    /// Begins a new audit log if the one there is half full, so that `keyd`, which is about to start, has room. One is kept.
    pub fn turn_audit_log(&self) {
        let [now, before] = AUDIT.map(|name| self.config.key.journal.join(name));
        let half = self.audit_size() / 2;
        if fs::metadata(&now).is_ok_and(|status| status.len() >= half)
            && let Err(error) = fs::rename(&now, &before)
        {
            log::error!(target: "supervisor", "no new audit log: can't rename {}: {error}", now.display());
        }
    }

    /// Takes over settings that were read again; those that need a restart stay, and are named.
    pub fn reload(&mut self, new: Config) -> Vec<&'static str> {
        let mut kept = Vec::new();
        let mut keep = |name, changed: bool| {
            if changed {
                kept.push(name);
            }
        };
        let old = &self.config;
        keep("peer", new.peer != old.peer);
        keep("key", new.key != old.key);
        keep(
            "store.directory, store.file",
            (&new.store.directory, &new.store.file) != (&old.store.directory, &old.store.file),
        );
        keep("network.listen", new.network.listen != old.network.listen);
        keep(
            "supervisor.run, supervisor.users, supervisor.programs",
            (
                &new.supervisor.run,
                &new.supervisor.users,
                &new.supervisor.programs,
            ) != (
                &old.supervisor.run,
                &old.supervisor.users,
                &old.supervisor.programs,
            ),
        );
        keep(
            "destake.directory",
            new.destake.directory != old.destake.directory,
        );
        let mut merged = new;
        merged.peer = old.peer.clone();
        merged.key = old.key.clone();
        merged.store.directory.clone_from(&old.store.directory);
        merged.store.file.clone_from(&old.store.file);
        merged.network.listen.clone_from(&old.network.listen);
        merged.supervisor.run.clone_from(&old.supervisor.run);
        merged.supervisor.users.clone_from(&old.supervisor.users);
        merged
            .supervisor
            .programs
            .clone_from(&old.supervisor.programs);
        merged.destake.directory.clone_from(&old.destake.directory);
        self.config = merged;
        kept
    }

    /// Keeps the peer down after this run, until the operator removes the file.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn keep_down(&self, reason: &str) -> io::Result<()> {
        let path = self.config.destake.directory.join(DOWN);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        io::Write::write_all(&mut file, format!("{reason}\n").as_bytes())?;
        file.sync_all()
    }
}

fn key_of(config: &Config) -> Result<[u8; 32], Fatal> {
    let key = config.peer.key.as_ref().ok_or_else(|| {
        Fatal::new(exit::CONFIG, "peer.key is not set: put the public key of the peer there (`convexctl key list` shows it)")
    })?;
    Ok(key.0)
}

fn refuse_if_down(config: &Config) -> Result<(), Fatal> {
    let path = config.destake.directory.join(DOWN);
    match fs::read_to_string(&path) {
        Ok(reason) => Err(Fatal::new(
            exit::CONFIG,
            format!(
                "this peer is to stay down: {}; when it may run again, remove {}",
                reason.trim(),
                path.display()
            ),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cant_open(&path, &error)),
    }
}

fn cant_open(path: &Path, error: &io::Error) -> Fatal {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => exit::PERMISSION,
        _ => exit::NO_INPUT,
    };
    Fatal::new(code, format!("can't open {}: {error}", path.display()))
}

/// Opens a file that nobody but its owner may read: us, root, or the user of `keyd`, who reads it anyway. A credential that systemd passes
/// belongs to root and lets a group in that exists for it alone.
fn open_secret(path: &Path, keyd: Option<Identity>) -> Result<File, Fatal> {
    let us = geteuid().as_raw();
    let file = File::open(path).map_err(|error| {
        let mut fatal = cant_open(path, &error);
        if error.kind() == io::ErrorKind::PermissionDenied {
            let remedy = format!(
                "; the supervisor has uid {us}: chown {us} {}",
                path.display()
            );
            fatal.text.push_str(&remedy);
        }
        fatal
    })?;
    let status = file.metadata().map_err(|error| cant_open(path, &error))?;
    let owner = status.uid();
    if owner != us && owner != 0 && keyd.is_none_or(|keyd| owner != keyd.uid) {
        let path = path.display();
        return Err(Fatal::new(
            exit::CONFIG,
            format!("{path} belongs to uid {owner}, not to us (uid {us}): chown {us} {path}"),
        ));
    }
    let mode = status.mode() & 0o777;
    let is_credential = owner == 0 && mode == 0o440;
    if status.is_file() && mode & 0o077 != 0 && !is_credential {
        let path = path.display();
        return Err(Fatal::new(
            exit::CONFIG,
            format!("{path} can be read by others (mode {mode:o}): chmod 600 {path}"),
        ));
    }
    Ok(file)
}

/// Makes a directory, or checks that it belongs to the one who uses it.
fn directory(path: &Path, mode: u32, owner: u32) -> Result<(), Fatal> {
    match fs::metadata(path) {
        Ok(status) if !status.is_dir() => Err(Fatal::new(
            exit::CANT_CREATE,
            format!("{} is no directory", path.display()),
        )),
        Ok(status) if status.uid() != owner => Err(Fatal::new(
            exit::PERMISSION,
            format!(
                "{} belongs to uid {}, but is used by uid {owner}: chown -R {owner} {}",
                path.display(),
                status.uid(),
                path.display()
            ),
        )),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = DirBuilder::new()
                .recursive(true)
                .mode(mode)
                .create(path)
                // The mode that was asked for, whatever the umask.
                .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
                .and_then(|()| {
                    if owner == geteuid().as_raw() {
                        Ok(())
                    } else {
                        chown(path, Some(owner), Some(owner))
                    }
                });
            made.map_err(|error| {
                Fatal::new(
                    exit::CANT_CREATE,
                    format!("can't make {}: {error}", path.display()),
                )
            })
        }
        Err(error) => Err(cant_open(path, &error)),
    }
}

/// One supervisor for each run directory.
fn lock(run: &Path) -> Result<File, Fatal> {
    let path = run.join("supervisor.lock");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| cant_open(&path, &error))?;
    match flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Fatal::new(
            exit::TEMPORARY,
            format!(
                "another supervisor runs with {}: stop it first, or set supervisor.run to another directory",
                run.display()
            ),
        )),
        Err(error) => Err(cant_open(&path, &error.into())),
    }
}

/// Whether workers have users of their own: for root always, and for a user who got the right to give them from the service manager.
fn gives_users() -> bool {
    use rustix::thread::{CapabilitySet, capabilities};
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    geteuid().is_root() || capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// The users of the workers: `<prefix>-<worker>`, or for a number consecutive ids from it; none where they can't be given.
fn identities(users: &str) -> Result<[Option<Identity>; WORKERS.len()], Fatal> {
    let mut identities = [None; WORKERS.len()];
    if !gives_users() {
        return Ok(identities);
    }
    let base: Option<u32> = users.parse().ok();
    for (index, worker) in WORKERS.iter().enumerate() {
        let identity = match base {
            Some(base) if base == 0 || base > 4_000_000_000 => {
                return Err(Fatal::new(
                    exit::CONFIG,
                    "supervisor.users: ids from 1 to 4000000000",
                ));
            }
            Some(base) => Identity {
                uid: base + index as u32,
                gid: base + index as u32,
            },
            None => {
                let name = format!("{users}-{}", worker.program);
                let user = User::from_name(&name)
                    .map_err(|error| Fatal::new(exit::OS, format!("can't look up user {name}: {error}")))?
                    .ok_or_else(|| {
                        Fatal::new(
                            exit::NO_USER,
                            format!("there is no user {name}: systemd-sysusers makes it from the package's sysusers.d file; or set supervisor.users to a number, from which on four unused ids are taken"),
                        )
                    })?;
                Identity {
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                }
            }
        };
        identities[index] = Some(identity);
    }
    Ok(identities)
}

/// Opens the ports.
fn listen(addresses: &[SocketAddr]) -> Result<(Vec<OwnedFd>, Vec<SocketAddr>), Fatal> {
    if addresses.is_empty() || addresses.len() > MAX_FDS {
        return Err(Fatal::new(
            exit::CONFIG,
            format!("network.listen: from one to {MAX_FDS} addresses"),
        ));
    }
    let mut fds = Vec::new();
    let mut bound = Vec::new();
    for address in addresses {
        let listener = patiently(|| listener(address)).map_err(|error| {
            let remedy = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    "another program listens there: stop it, or choose another port with network.listen"
                }
                io::ErrorKind::AddrNotAvailable => "this machine has no such address: see `ip address`",
                io::ErrorKind::PermissionDenied => "ports below 1024 need privileges: choose a higher one",
                _ => "choose another address with network.listen",
            };
            Fatal::new(exit::UNAVAILABLE, format!("can't listen at {address}: {error}; {remedy}"))
        })?;
        bound.push(listener.local_addr().unwrap_or(*address));
        fds.push(listener.into());
    }
    Ok((fds, bound))
}

/// Workers of a supervisor that was just killed may hold its ports a moment longer than it lived.
#[expect(
    clippy::disallowed_methods,
    reason = "nobody tells when a port becomes free"
)]
fn patiently<T>(bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
    const TRIES: u32 = 20;
    const BETWEEN: Duration = Duration::from_millis(50);
    for _ in 1..TRIES {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => std::thread::sleep(BETWEEN),
            result => return result,
        }
    }
    bind()
}

fn listener(address: &SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 as well, whatever the system's default.
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    rustix::net::bind(&socket, address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_the_remedy() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(&[address]).unwrap_err();
        assert_eq!(error.code, exit::UNAVAILABLE);
        assert!(error.text.contains(&address.to_string()), "{error}");
        assert!(error.text.contains("network.listen"), "{error}");
    }

    #[test]
    fn the_unspecified_address_takes_both_families() {
        let (_fds, bound) = listen(&["[::]:0".parse().unwrap()]).unwrap();
        for host in ["127.0.0.1", "::1"] {
            let host: std::net::IpAddr = host.parse().unwrap();
            std::net::TcpStream::connect((host, bound[0].port())).unwrap();
        }
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.pfx");
        fs::write(&path, b"x").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = open_secret(&path, None).unwrap_err();
        assert_eq!(error.code, exit::CONFIG);
        assert!(error.text.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        open_secret(&path, None).unwrap();
    }

    #[test]
    fn an_audit_log_that_is_half_full_makes_room_and_one_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let setup = |audit: &str| {
            let journal = format!("key.journal={}", dir.path().display());
            let settings = [journal.as_str(), audit];
            let config = Config::load(None, [], settings).unwrap().config;
            Setup {
                config,
                key: [1; 32],
                network: Some([2; 32]),
                network_by: None,
                listen: Vec::new(),
                listeners: Vec::new(),
                programs: PathBuf::new(),
                identities: Default::default(),
                _lock: tempfile::tempfile().unwrap(),
            }
        };
        let [now, before] = AUDIT.map(|name| dir.path().join(name));
        let setup = setup("key.audit=8 KiB");
        setup.turn_audit_log();
        for (length, turned) in [(4_095, false), (4_096, true), (5_000, true)] {
            fs::write(&now, vec![b'x'; length]).unwrap();
            setup.turn_audit_log();
            assert_eq!(!now.exists(), turned, "{length}");
            if turned {
                assert_eq!(fs::metadata(&before).unwrap().len(), length as u64);
            }
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_supervisor_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = lock(dir.path()).unwrap();
        assert_eq!(lock(dir.path()).unwrap_err().code, exit::TEMPORARY);
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = directory(dir.path(), 0o700, geteuid().as_raw() + 1).unwrap_err();
        assert_eq!(error.code, exit::PERMISSION);
        assert!(error.text.contains("chown -R"), "{error}");
    }
}
