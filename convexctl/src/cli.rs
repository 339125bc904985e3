//! Commands and their arguments.

use std::path::PathBuf;

use cells::Hash;
use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::exit;

/// Account that evaluates unless said otherwise: the first ordinary account of every network.
const DEFAULT_ADDRESS: &str = "#11";

/// What the program is asked to do.
#[derive(Debug, Parser)]
#[command(name = "convexctl", version, about = "Look into, check and try out a Convex network", long_about = None,
    after_help = exit::table(), max_term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
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
