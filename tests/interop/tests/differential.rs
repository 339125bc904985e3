//! The comparison with the reference, as a test. Says so and does nothing where the reference can't run.

use interop::differential::{self, DifferentialError, Options};
use interop::oracle::{OracleError, chosen_oracle};

/// Cases of the short run, and of the one with `CONVEXD_LONG=1`.
const SHORT: u64 = 400;
const LONG: u64 = 100_000;

/// Most stack of the thread: programs nest up to the depth limit of the machine, and builds without optimisation
/// use more of it.
const STACK: usize = 64 << 20;

#[test]
fn random_programs_ops_and_blocks_end_as_in_the_reference() {
    let long = std::env::var_os("CONVEXD_LONG").is_some_and(|v| v == "1");
    let options = Options {
        oracle: chosen_oracle(),
        cases: if long { LONG } else { SHORT },
        first: 0,
        seed: 1,
        most_failures: 10,
        chains: None,
        show_texts: 0,
        progress: false,
    };
    let run = std::thread::Builder::new().stack_size(STACK);
    let run = run
        .spawn(move || differential::run(&options))
        .expect("a thread");
    match run.join().expect("no panic") {
        Ok(report) => {
            println!("{report}");
            assert!(report.failures.is_empty(), "{}", report.failures.join("\n"));
            assert!(
                report.executions > SHORT / 2 && report.transactions > 50,
                "{report}"
            );
        }
        Err(DifferentialError::Oracle(OracleError::Lacking)) => {
            println!("skipped: {}", OracleError::Lacking)
        }
        Err(error) => panic!("{error}"),
    }
}
