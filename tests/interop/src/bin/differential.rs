//! Compares this tree with the running reference on random programs, ops and blocks.

use std::process::ExitCode;

use clap::Parser;
use interop::differential::{self, DifferentialError, Options};
use interop::oracle::{self, OracleError};

/// Compares this tree with the running reference on random programs, ops and blocks.
///
/// Exit codes: 0 nothing differs, 1 something differs, 77 the reference can't run on this machine, 70 anything else.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Number of cases; one in forty is a chain of blocks, the others a program or an op each
    #[arg(long, default_value_t = 100_000)]
    cases: u64,
    /// Seed of all cases
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of the first case
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Command that starts the oracle [default: run-oracle of this tree]
    #[arg(long)]
    oracle: Option<String>,
    /// Only one kind of cases
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Stops after this many differences
    #[arg(long, default_value_t = 20)]
    failures: usize,
    /// Also shows this many differences of texts that consensus doesn't see
    #[arg(long, default_value_t = 0)]
    show_texts: usize,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Only {
    /// Chains of blocks
    Chains,
    /// Programs and ops
    Executions,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        oracle: arguments.oracle.unwrap_or_else(oracle::own_oracle),
        cases: arguments.cases,
        first: arguments.first,
        seed: arguments.seed,
        most_failures: arguments.failures,
        chains: arguments.only.map(|only| matches!(only, Only::Chains)),
        show_texts: arguments.show_texts,
        progress: true,
    };
    match differential::run(&options) {
        Ok(report) => {
            print!("{report}");
            ExitCode::from(u8::from(!report.failures.is_empty()))
        }
        Err(DifferentialError::Oracle(OracleError::Lacking)) => {
            eprintln!("skipped: {}", OracleError::Lacking);
            ExitCode::from(77)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(70)
        }
    }
}
