//! Where the files of a local network are.

use std::path::PathBuf;

/// Account of the first user, who holds most coins of a new network.
const USER: u64 = 11;
/// Most peers of a local network.
pub(crate) const MAX_PEERS: usize = 16;

/// A local network in a directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    dir: PathBuf,
}

/// The files of one peer.
#[derive(Debug, Clone)]
pub(crate) struct PeerFiles {
    dir: PathBuf,
}

/// The files of the user.
#[derive(Debug, Clone)]
pub(crate) struct UserFiles {
    dir: PathBuf,
}

impl Layout {
    /// The directory of the network that is used without `--dir`.
    pub(crate) fn default_directory() -> Option<PathBuf> {
        let data = std::env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let home = || Some(std::env::home_dir()?.join(".local/share"));
        Some(data.or_else(home)?.join("convexd/local"))
    }

    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) fn directory(&self) -> &PathBuf {
        &self.dir
    }

    /// The genesis state.
    pub(crate) fn genesis(&self) -> PathBuf {
        self.dir.join("genesis.cad3")
    }

    /// Where supervisors tell that they are ready.
    pub(crate) fn notify(&self) -> PathBuf {
        self.dir.join("notify.sock")
    }

    pub(crate) fn user(&self) -> UserFiles {
        UserFiles {
            dir: self.dir.join("user"),
        }
    }

    /// A peer by its number, from 0.
    pub(crate) fn peer(&self, number: usize) -> PeerFiles {
        PeerFiles {
            dir: self.dir.join(format!("peer-{}", number + 1)),
        }
    }

    /// The peers that the network has.
    pub(crate) fn peers(&self) -> Vec<PeerFiles> {
        (0..MAX_PEERS)
            .map(|number| self.peer(number))
            .take_while(|peer| peer.config().exists())
            .collect()
    }
}

impl PeerFiles {
    pub(crate) fn directory(&self) -> &PathBuf {
        &self.dir
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("convexd.toml")
    }

    pub(crate) fn key_store(&self) -> PathBuf {
        self.dir.join("keys.pfx")
    }

    pub(crate) fn passphrase(&self) -> PathBuf {
        self.dir.join("passphrase")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.dir.join("keyd")
    }

    pub(crate) fn destake(&self) -> PathBuf {
        self.dir.join("destake")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Where it listens, as its last start noted.
    pub(crate) fn endpoint_file(&self) -> PathBuf {
        self.dir.join("endpoint")
    }

    pub(crate) fn endpoint(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.endpoint_file()).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

impl UserFiles {
    pub(crate) fn directory(&self) -> &PathBuf {
        &self.dir
    }

    pub(crate) fn key_store(&self) -> PathBuf {
        self.dir.join("keys.pfx")
    }

    pub(crate) fn passphrase(&self) -> PathBuf {
        self.dir.join("passphrase")
    }

    /// The account of the user.
    pub(crate) const ADDRESS: u64 = USER;
}
