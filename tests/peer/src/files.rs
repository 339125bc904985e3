//! The files of a peer: its keys, its genesis state, its config.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use keys::{Cost, KeyStore, Passphrase, Seed, file};

use crate::users::Genesis;

/// First of the users that the workers get when root runs the tests.
const FIRST_UID: u32 = 64_500;
/// The passphrase of the key store.
const PASSPHRASE: &str = "a passphrase of the tests";

/// The directory of a peer, removed in the end unless it was given.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    port: u16,
    _held: Option<OwnedFd>,
}

impl Files {
    /// Files of a peer in a new temporary directory.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn temporary(genesis: &mut Genesis) -> io::Result<Self> {
        let temporary = tempfile::Builder::new().prefix("peer-test-").tempdir()?;
        // Workers with users of their own go through it.
        fs::set_permissions(temporary.path(), Permissions::from_mode(0o755))?;
        let mut files = Self::in_directory(temporary.path().to_owned(), genesis, 0)?;
        files._temporary = Some(temporary);
        Ok(files)
    }

    /// Files of a peer in a directory that stays. Port 0 takes a free one.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn in_directory(directory: PathBuf, genesis: &mut Genesis, port: u16) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        let (port, held) = match port {
            0 => free_port().map(|(port, held)| (port, Some(held)))?,
            port => (port, None),
        };
        let files = Self {
            directory,
            _temporary: None,
            port,
            _held: held,
        };
        let key = write_key(&files.key_store(), &files.passphrase(), &genesis.peer_seed)?;
        let state = genesis.state.to_cell().map_err(io::Error::other)?;
        let bytes = cells::encode_message(&state).map_err(io::Error::other)?;
        fs::write(files.directory.join("genesis.cad3"), bytes)?;
        fs::write(files.config(), files.text(&key, &state.hash().to_string()))?;
        Ok(files)
    }

    fn text(&self, key: &str, network: &str) -> String {
        let path = |name: &str| format!("{:?}", self.directory.join(name).display().to_string());
        format!(
            "[peer]\nkey = \"{key}\"\nnetwork = \"{network}\"\ngenesis = {}\n\
             [key]\nstore = {}\npassphrase = {}\njournal = {}\n\
             [store]\ndirectory = {}\n\
             [network]\nlisten = [\"127.0.0.1:{}\"]\nconnections-per-address = 10000\n\
             [supervisor]\nrun = {}\nusers = \"{FIRST_UID}\"\n\
             [destake]\ndirectory = {}\n[log]\nformat = \"text\"\n",
            path("genesis.cad3"),
            path("keys.pfx"),
            path("passphrase"),
            path("keyd"),
            path("store"),
            self.port,
            path("run"),
            path("destake"),
        )
    }

    /// Where everything is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The config file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.directory.join("convexd.toml")
    }

    /// The key store.
    #[must_use]
    pub fn key_store(&self) -> PathBuf {
        self.directory.join("keys.pfx")
    }

    /// The file with its passphrase.
    #[must_use]
    pub fn passphrase(&self) -> PathBuf {
        self.directory.join("passphrase")
    }

    /// The store file.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.directory.join("store/peer.etch")
    }

    /// The run directory.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// What the supervisor and the workers have logged in all runs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Where the peer is reached.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A port that nobody listens at, and a socket that keeps the system from giving it to others.
fn free_port() -> io::Result<(u16, OwnedFd)> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
    Ok((address.port(), socket))
}

fn write_key(store: &Path, passphrase_file: &Path, seed: &[u8; 32]) -> io::Result<String> {
    let seed = Seed::take(&mut { *seed }).map_err(io::Error::other)?;
    let passphrase = Passphrase::copy_of(PASSPHRASE).map_err(io::Error::other)?;
    let mut keys = KeyStore::new();
    let key = keys
        .insert(&seed, &passphrase, Cost::REFERENCE, SystemTime::now())
        .map_err(io::Error::other)?;
    let bytes = keys
        .to_bytes(&passphrase, Cost::REFERENCE)
        .map_err(io::Error::other)?;
    file::create(store, &bytes).map_err(io::Error::other)?;
    file::create(passphrase_file, PASSPHRASE.as_bytes()).map_err(io::Error::other)?;
    Ok(hex::encode(key.to_bytes()))
}
