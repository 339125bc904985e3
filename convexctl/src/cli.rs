//! Commands and their arguments.

mod staking;

use std::path::PathBuf;

use cells::Hash;
use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::exit;

pub use staking::{
    Acting, PeerCreate, PeerEvict, PeerSetHost, Sign, Stake, StakeDelegate, StakeSet, StakeShow,
    StakeWithdraw, Submit, WhichPeer,
};

/// Account that evaluates unless said otherwise: the first ordinary account of every network.
const DEFAULT_ADDRESS: &str = "#11";

/// Key store of an installed peer.
const KEY_STORE: &str = "/etc/convexd/keys.pfx";

/// What the program is asked to do.
#[derive(Debug, Parser)]
#[command(name = "convexctl", version, about = "Run, watch, check and try out a Convex peer and its network", long_about = None,
    after_help = exit::table(), max_term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a network on this machine, to try things out
    #[command(subcommand)]
    Local(Local),
    /// Show what a peer of this machine does, and what is wrong with it
    Status(Status),
    /// Start, stop and restart a peer of this machine
    #[command(subcommand)]
    Peer(Peer),
    /// Evaluate a form on the consensus state of a peer; nothing changes
    Query(Query),
    /// Sign a transaction, have it executed, and print its result
    Transact(Transact),
    /// Show the log of a peer of this machine
    Logs(Logs),
    /// Stop signing and serving at once, and stay down
    ///
    /// Within one second no process of the peer signs or answers any more. The store and the journal of the key stay as they
    /// are. The peer does not start again before the note that this leaves is removed.
    Panic {
        /// Which peer.
        #[command(flatten)]
        on: Control,
        /// For the log and the note
        #[arg(long, value_name = "TEXT", default_value = "no reason given")]
        reason: String,
    },
    /// Make, import and look at keys; unlock a peer
    #[command(subcommand)]
    Key(Key),
    /// The stake of a peer: look at it, set it, withdraw it, delegate to it
    #[command(subcommand)]
    Stake(Stake),
    /// Withdrawals of the stake, signed beforehand, for an emergency
    #[command(subcommand)]
    Destake(Destake),
    /// Sign transactions from a file, on a machine without a network; prints one on each line
    Sign(Sign),
    /// Have a transaction executed that was signed elsewhere, and print its result
    Submit(Submit),
    /// Show the settings of a peer and where each comes from
    #[command(subcommand)]
    Config(Config),
    /// Replay the blocks of a belief on a genesis state and report the state that they lead to
    ///
    /// Takes an order from the belief, checks its signature and those of its blocks and transactions, and executes its
    /// blocks up to its consensus point (the blocks that its peer holds to be in consensus; the finality point is
    /// reported beside it). A block that has no effect by the rules of the network is reported and is no failure.
    VerifyChain(VerifyChain),
    /// Evaluate Convex Lisp and print the values
    ///
    /// Prints the value of each form on a line of its own and stops at the first error, which goes to standard error.
    /// Nothing is charged and nothing leaves this process; forms see the effects of those before them.
    Eval(Eval),
    /// Evaluate Convex Lisp interactively
    Repl(Repl),
    /// Print what a cell file or an encoding holds
    Inspect(Inspect),
    /// Print the completion script of a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write man pages to a directory
    #[command(hide = true)]
    Manpages {
        /// The directory, made where it is missing
        dir: PathBuf,
    },
}

/// A peer of this machine, by its control socket.
#[derive(Debug, Args)]
pub struct Control {
    /// Run directory of the peer [default: the first peer of the local network, else /run/convexd]
    #[arg(long, value_name = "DIR", env = "CONVEXCTL_RUN")]
    pub run: Option<PathBuf>,
}

/// A peer anywhere, by the peer protocol.
#[derive(Debug, Args)]
pub struct Remote {
    /// Host and port of the peer [default: the first peer of the local network, else localhost:18888]
    #[arg(long, value_name = "HOST:PORT", env = "CONVEXCTL_PEER")]
    pub peer: Option<String>,
    /// Seconds to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub timeout: u64,
}

/// Commands of `local`.
#[derive(Debug, Subcommand)]
pub enum Local {
    /// Start a network of one or several peers, new or as it was left
    Start(LocalStart),
    /// Stop it
    Stop {
        /// Directory of the network [default: ~/.local/share/convexd/local]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Arguments of `local start`.
#[derive(Debug, Args)]
pub struct LocalStart {
    /// Directory of the network [default: ~/.local/share/convexd/local]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Peers of a new network
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub peers: u16,
    /// Port of the first peer; the others have the next ones. 0 takes free ones
    #[arg(long, value_name = "PORT", default_value_t = wire::DEFAULT_PORT)]
    pub port: u16,
    /// Go on in the background, until `convexctl local stop`
    #[arg(long)]
    pub detach: bool,
    /// A setting for all peers; may be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub settings: Vec<String>,
    /// Directory of the programs [default: that of convexctl]
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Which peer.
    #[command(flatten)]
    pub on: Control,
    /// Also print every counter
    #[arg(long)]
    pub counters: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Commands of `peer`.
#[derive(Debug, Subcommand)]
pub enum Peer {
    /// Start a peer: its service where the package is installed, else a supervisor in the foreground
    Start {
        /// Config file; runs a supervisor with it in the foreground
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Stop it in good order
    Stop {
        /// Which peer.
        #[command(flatten)]
        on: Control,
    },
    /// Restart one process of it, or all; unlocks signing that an alarm has locked
    Restart {
        /// Which peer.
        #[command(flatten)]
        on: Control,
        /// The process
        #[arg(value_name = "PROCESS", value_parser = role)]
        process: Option<ipc::Role>,
    },
    /// As `convexctl status`
    Status(Status),
    /// Read the settings again
    Reload {
        /// Which peer.
        #[command(flatten)]
        on: Control,
    },
    /// Verify every cell of the store against its hash
    Verify {
        /// Which peer.
        #[command(flatten)]
        on: Control,
    },
    /// Register a peer in the network, with a stake; the account becomes its controller
    Create(PeerCreate),
    /// Publish where a peer is to be reached
    SetHost(PeerSetHost),
    /// Remove a peer from the network; everybody gets the coins in it back
    Evict(PeerEvict),
}

/// Arguments of `query`.
#[derive(Debug, Args)]
pub struct Query {
    /// The form
    #[arg(value_name = "FORM", allow_hyphen_values = true)]
    pub form: String,
    /// Where.
    #[command(flatten)]
    pub at: Remote,
    /// Account that evaluates
    #[arg(long, value_name = "N", value_parser = address)]
    pub address: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `transact`.
#[derive(Debug, Args)]
pub struct Transact {
    /// The form
    #[arg(value_name = "FORM", allow_hyphen_values = true)]
    pub form: String,
    /// Where.
    #[command(flatten)]
    pub at: Remote,
    /// Account that acts [default: the user of the local network]
    #[arg(long, value_name = "N", value_parser = address)]
    pub address: Option<u64>,
    /// Key store with the key of the account [default: that of the user of the local network]
    #[arg(long, value_name = "FILE")]
    pub key_store: Option<PathBuf>,
    /// Key in it, in hex [default: the only one]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// File with the passphrase, readable by its owner only [default: ask]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Sequence number [default: the next one of the account]
    #[arg(long, value_name = "N")]
    pub sequence: Option<i64>,
    /// The peer with the armed withdrawals that one is reminded of.
    #[command(flatten)]
    pub on: Control,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// Which peer.
    #[command(flatten)]
    pub on: Control,
    /// Lines at most
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub lines: u32,
    /// Only of this process
    #[arg(long, value_name = "PROCESS", value_parser = role)]
    pub of: Option<ipc::Role>,
    /// Go on with new lines
    #[arg(long, short)]
    pub follow: bool,
}

/// Commands of `config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print every setting, its value and its source
    Show {
        /// The config file [default: /etc/convexd/convexd.toml where it exists]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// A setting, as for the supervisor; may be repeated
        #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
        settings: Vec<String>,
    },
    /// Print the reference of all settings
    Reference,
}

/// A key store and its passphrase.
#[derive(Debug, Args)]
pub struct KeyStoreArgs {
    /// The key store (PKCS#12)
    #[arg(long, value_name = "FILE", default_value = KEY_STORE)]
    pub key_store: PathBuf,
    /// File with the passphrase, readable by its owner only [default: ask]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Commands of `key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a new key, add it to a key store, and print its public key
    Generate {
        /// Where to.
        #[command(flatten)]
        store: KeyStoreArgs,
        /// Make it from this many BIP39 words, and print them once: 12, 15, 18, 21 or 24
        #[arg(long, value_name = "N")]
        words: Option<usize>,
    },
    /// Add a key that exists: an Ed25519 seed or BIP39 words, from a file or the terminal, or a PEM file
    Import(KeyImport),
    /// Print the public keys in a key store; needs no passphrase
    List {
        /// The key store (PKCS#12)
        #[arg(long, value_name = "FILE", default_value = KEY_STORE)]
        key_store: PathBuf,
    },
    /// Check that the passphrase opens a key, and print what is public of it
    Show {
        /// Where from.
        #[command(flatten)]
        store: KeyStoreArgs,
        /// The key in hex, or the beginning of it
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Give a running peer the passphrase of its key
    Unlock {
        /// Which peer.
        #[command(flatten)]
        on: Control,
        /// File with the passphrase, readable by its owner only [default: ask]
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
}

/// Arguments of `key import`.
#[derive(Debug, Args)]
pub struct KeyImport {
    /// Where to.
    #[command(flatten)]
    pub store: KeyStoreArgs,
    /// File with the seed, the words or the key as PEM, readable by its owner only [default: ask]
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Derivation path for words [default: m/44/864/0/0/0]
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// The words have a passphrase of their own: ask for it
    #[arg(long)]
    pub words_passphrase: bool,
    /// File with the passphrase of the words
    #[arg(long, value_name = "FILE")]
    pub words_passphrase_file: Option<PathBuf>,
    /// File with the passphrase of an encrypted PEM file [default: ask]
    #[arg(long, value_name = "FILE")]
    pub pem_passphrase_file: Option<PathBuf>,
}

/// Commands of `destake`.
#[derive(Debug, Subcommand)]
pub enum Destake {
    /// Sign withdrawals, on the machine that has the controller's key; prints one on each line
    Prepare(DestakePrepare),
    /// Check signed withdrawals, and keep them in the supervisor for an emergency
    Arm(DestakeArm),
    /// Show what is armed, and whether it would still work
    Show {
        /// Which peer.
        #[command(flatten)]
        on: Control,
    },
    /// Forget what is armed
    Disarm {
        /// Which peer.
        #[command(flatten)]
        on: Control,
    },
    /// Go through everything but sending
    Drill {
        /// Which peer.
        #[command(flatten)]
        on: Control,
    },
    /// Lock signing, withdraw the stake, and stay down
    Now {
        /// Which peer.
        #[command(flatten)]
        on: Control,
        /// For the log
        #[arg(long, value_name = "TEXT", default_value = "no reason given")]
        reason: String,
        /// Yes, withdraw
        #[arg(long)]
        yes: bool,
    },
}

/// Arguments of `destake prepare`.
#[derive(Debug, Args)]
pub struct DestakePrepare {
    /// The controller account of the peer
    #[arg(long, value_name = "N", value_parser = address)]
    pub address: u64,
    /// Key of the peer, 64 hex digits
    #[arg(long, value_name = "KEY", value_parser = peer_key)]
    pub peer_key: [u8; 32],
    /// First sequence number: the next one of the account
    #[arg(long, value_name = "N")]
    pub from: i64,
    /// How many: each is good for one sequence number
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub count: usize,
    /// Stake that stays, coppers
    #[arg(long, value_name = "COPPERS", default_value_t = 0)]
    pub keep: i64,
    /// Key store with the key of the controller
    #[arg(long, value_name = "FILE")]
    pub key_store: PathBuf,
    /// Key in it, in hex [default: the only one]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// File with the passphrase, readable by its owner only [default: ask]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Arguments of `destake arm`.
#[derive(Debug, Args)]
pub struct DestakeArm {
    /// Which peer.
    #[command(flatten)]
    pub on: Control,
    /// Files of `destake prepare`
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// A good peer that it is brought to; may be repeated
    #[arg(long = "peer", value_name = "HOST:PORT", required = true)]
    pub peers: Vec<String>,
}

/// A process of a peer by its name.
fn role(text: &str) -> Result<ipc::Role, String> {
    ipc::Role::WORKERS
        .into_iter()
        .find(|role| role.name() == text)
        .ok_or_else(|| {
            format!(
                "one of {}",
                ipc::Role::WORKERS.map(ipc::Role::name).join(", ")
            )
        })
}

/// Arguments of `verify-chain`.
#[derive(Debug, Args)]
pub struct VerifyChain {
    /// Genesis state, a cell file
    #[arg(long, value_name = "FILE")]
    pub genesis: PathBuf,
    /// Belief, a cell file
    #[arg(long, value_name = "FILE")]
    pub belief: PathBuf,
    /// Peer whose order is replayed: its key in hex, or the beginning of it [default: highest consensus point]
    #[arg(long, value_name = "KEY")]
    pub peer: Option<String>,
    /// Stop after this many blocks
    #[arg(long, value_name = "N")]
    pub until: Option<u64>,
    /// State hash that is expected in the end; another one ends with code 1
    #[arg(long, value_name = "HASH")]
    pub expect: Option<Hash>,
    /// Also print a line for each block, with the hash of the state after it
    #[arg(long)]
    pub blocks: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The state that code is evaluated on, and as whom.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("on").args(["state", "fresh"]))]
pub struct Evaluation {
    /// State to evaluate on, a cell file [default: a fresh network]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Evaluate on the genesis state of a fresh network
    #[arg(long)]
    pub fresh: bool,
    /// Account that evaluates
    #[arg(long, value_name = "N", default_value = DEFAULT_ADDRESS, value_parser = address)]
    pub address: u64,
    /// Juice limit of each form
    #[arg(long, value_name = "N", default_value_t = cvm::juice::TRANSACTION_LIMIT)]
    pub juice: u64,
}

/// Arguments of `eval`.
#[derive(Debug, Args)]
pub struct Eval {
    /// Forms to evaluate; may be given several times [default: standard input]
    #[arg(
        short,
        long = "expression",
        value_name = "FORMS",
        allow_hyphen_values = true
    )]
    pub expressions: Vec<String>,
    /// State and account.
    #[command(flatten)]
    pub on: Evaluation,
    /// Print one JSON object for each form
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `repl`.
#[derive(Debug, Args)]
pub struct Repl {
    /// State and account.
    #[command(flatten)]
    pub on: Evaluation,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["file", "hex"]).required(true))]
pub struct Inspect {
    /// Cell file; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Encoding in hex, blanks allowed; `-` reads it from standard input
    #[arg(long, value_name = "HEX")]
    pub hex: Option<String>,
    /// Levels of the tree that are shown
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub depth: u32,
    /// Children of a cell that are shown
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub width: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// An account number, with or without its `#`.
pub(crate) fn address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    match digits.parse() {
        Ok(n) if i64::try_from(n).is_ok() && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(n),
        _ => Err("an address is a number like #11".to_owned()),
    }
}

/// A peer key, with or without 0x.
fn peer_key(text: &str) -> Result<[u8; 32], String> {
    let mut key = [0; 32];
    match hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut key) {
        Ok(()) => Ok(key),
        Err(_) => Err("a peer key has 64 hex digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_address_is_a_number_with_or_without_its_sign() {
        assert_eq!(address("#11"), Ok(11));
        assert_eq!(address("0"), Ok(0));
        for wrong in ["", "#", "+1", "-1", "##1", "9223372036854775808", "0x1"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
