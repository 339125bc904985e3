//! A peer of this tree, as processes, on a genesis that is given: what clients of the reference and recorded sessions are tried on.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use cells::{Cell, Hash};
use crypto::SigningKey;
use cvm::genesis::{Parameters, genesis};
use keys::{Cost, KeyStore, Passphrase, Seed, file};
use tempfile::TempDir;

/// The packages whose programs a peer needs.
const PACKAGES: [&str; 6] = [
    "supervisor",
    "netd",
    "consensusd",
    "stored",
    "keyd",
    "convexctl",
];

/// First of the users that the workers get when root runs the tests.
const FIRST_UID: u32 = 64_520;

/// How long a peer may take to sign after its start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The passphrase of the key store.
const PASSPHRASE: &str = "a passphrase of the tests";

/// Seed 1 of the recorded sessions (`spec/06 §16`): it signs for the accounts #11 and #12 of their genesis, and for the peer.
pub const SEED_1: [u8; 32] = [
    0x00, 0x00, 0x00, 0x12, 0x10, 0x30, 0x50, 0x6e, 0xe1, 0x0c, 0xc1, 0xc6, 0x95, 0xec, 0xbd, 0xea,
    0x21, 0x6a, 0xac, 0x6a, 0xb4, 0x6f, 0xef, 0xf0, 0xa1, 0x9a, 0x8f, 0x0f, 0x0d, 0xdf, 0x81, 0xef,
];

/// Seed 2 of the recorded sessions: the second peer.
pub const SEED_2: [u8; 32] = [
    0x00, 0x00, 0x00, 0x26, 0x00, 0x52, 0xe0, 0xd1, 0xe3, 0xf0, 0x36, 0x3b, 0x87, 0x5a, 0xaf, 0xd1,
    0xb5, 0x7b, 0x02, 0x54, 0x79, 0xbb, 0x87, 0x02, 0xf1, 0xa6, 0x50, 0x03, 0xc8, 0x11, 0xbb, 0xf6,
];

/// Public key of seed 2 of the recorded sessions.
pub const KEY_2: &str = "a63005bbf05fd09c6722682d06d09712f16b0ecb2d9ca103392c559bcffba366";

/// Keys that the reference puts into a genesis for which it is told the peers only.
pub(crate) const GOVERNANCE: &str =
    "12ef73ee900ed1fe78a188f59bf8cede467baa66f5b60368afaaa3b9521ab94d";
const FIRST_USER: &str = "89b5142678bfef7a2245af5ae5b9ab1e10c282b375fa297c5aaeccc48ac97cac";

/// A key in hex.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn key(text: &str) -> [u8; 32] {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).expect("a key in hex");
    key
}

/// The public key of a seed.
#[must_use]
pub fn public(seed: &[u8; 32]) -> [u8; 32] {
    *SigningKey::from_seed(seed).account_key().as_bytes()
}

/// The genesis state that the reference makes for these peers when it is told nothing else.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn default_genesis(peers: &[[u8; 32]]) -> Cell {
    let mut parameters = Parameters::new(key(GOVERNANCE), peers[0], peers);
    parameters.first_user = Some(key(FIRST_USER));
    let mut state = genesis(&parameters).expect("a genesis");
    state.to_cell().expect("in memory")
}

/// A running peer. Dropped, it is stopped.
#[derive(Debug)]
pub struct OwnPeer {
    directory: TempDir,
    endpoint: String,
    genesis: Hash,
}

impl OwnPeer {
    /// Starts a peer with this key on this genesis state, at a free port of the loopback.
    ///
    /// # Panics
    /// When it does not start, with what it says.
    #[must_use]
    pub fn start(genesis: &Cell, seed: &[u8; 32]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        // Workers with users of their own go through it.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("permissions");
        let hash = genesis.hash();
        write(directory.path(), genesis, seed);
        let output = Command::new(programs().join("convexctl"))
            .args(["local", "start", "--detach", "--dir"])
            .arg(directory.path())
            // Variables of the tests would be settings that do not exist.
            .env_clear()
            .output()
            .expect("convexctl runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let endpoint =
            fs::read_to_string(directory.path().join("peer-1/endpoint")).expect("an endpoint");
        Self {
            directory,
            endpoint: endpoint.trim().to_owned(),
            genesis: hash,
        }
    }

    /// Waits until it signs. A peer that has started can be asked; for what takes its key it waits for `keyd` a little longer.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn wait_until_it_signs(&self) {
        let began = Instant::now();
        while !self.signs() {
            assert!(began.elapsed() < PATIENCE, "it does not sign");
        }
    }

    /// Whether it can sign, as its status says.
    fn signs(&self) -> bool {
        let output = Command::new(programs().join("convexctl"))
            .args(["status", "--json", "--run"])
            .arg(self.directory.path().join("peer-1/run"))
            .env_clear()
            .output()
            .expect("convexctl runs");
        serde_json::from_slice::<serde_json::Value>(&output.stdout)
            .is_ok_and(|status| status["consensus"]["signing"] == true)
    }

    /// Where it is reached.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Hash of the genesis state: the network.
    #[must_use]
    pub fn genesis(&self) -> Hash {
        self.genesis
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("peer-1/log")).unwrap_or_default()
    }
}

impl Drop for OwnPeer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the peer has logged:\n{}", self.log());
        }
        // A peer that has ended by itself needs no stop.
        let _ = Command::new(programs().join("convexctl"))
            .args(["local", "stop", "--dir"])
            .arg(self.directory.path())
            .output();
    }
}

/// The files of a local network of one peer (`docs/convexctl.md`).
fn write(directory: &Path, genesis: &Cell, seed: &[u8; 32]) {
    let peer = directory.join("peer-1");
    fs::create_dir(&peer).expect("a directory");
    let state = directory.join("genesis.cad3");
    let bytes = cells::encode_message(genesis).expect("a whole state");
    fs::write(&state, bytes).expect("the genesis state");
    let public = write_key(&peer, seed);
    let path = |path: PathBuf| format!("{:?}", path.display().to_string());
    let at = |name: &str| path(peer.join(name));
    let text = format!(
        "[peer]\nkey = \"{public}\"\nnetwork = \"{}\"\ngenesis = {}\n\
         [key]\nstore = {}\npassphrase = {}\njournal = {}\n\
         [store]\ndirectory = {}\n\
         [network]\nlisten = [\"127.0.0.1:0\"]\n\
         [supervisor]\nrun = {}\nusers = \"{FIRST_UID}\"\n\
         [destake]\ndirectory = {}\n",
        genesis.hash(),
        path(state),
        at("keys.pfx"),
        at("passphrase"),
        at("keyd"),
        at("store"),
        at("run"),
        at("destake"),
    );
    fs::write(peer.join("convexd.toml"), text).expect("the config");
}

fn write_key(peer: &Path, seed: &[u8; 32]) -> String {
    let seed = Seed::from_hex(&hex::encode(seed)).expect("a seed");
    let passphrase = Passphrase::copy_of(PASSPHRASE).expect("a passphrase");
    let mut store = KeyStore::new();
    let public = store
        .insert(&seed, &passphrase, Cost::REFERENCE, SystemTime::now())
        .expect("room for a key");
    let bytes = store
        .to_bytes(&passphrase, Cost::REFERENCE)
        .expect("a key store");
    file::create(&peer.join("keys.pfx"), &bytes).expect("the key store");
    file::create(&peer.join("passphrase"), PASSPHRASE.as_bytes()).expect("the passphrase");
    public.to_string()
}

/// The directory with the programs: `CONVEXD_PROGRAMS`, else that of this build, where they are brought up to date first.
///
/// # Panics
/// When they can't be built.
#[must_use]
pub fn programs() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).clone()
}

fn build() -> PathBuf {
    if let Some(given) = std::env::var_os("CONVEXD_PROGRAMS") {
        return given.into();
    }
    let own = std::env::current_exe().expect("the path of this program");
    let directory = own
        .ancestors()
        .skip(1)
        .find(|dir| !dir.ends_with("deps"))
        .expect("a directory")
        .to_owned();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", directory.parent().expect("a directory"))
        .args(["build", "--quiet", "--bins"]);
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "the programs of the peer can't be built");
    directory
}
