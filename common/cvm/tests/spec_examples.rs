//! The verified examples of `../shared/spec/03-core-functions.md §11`: value or error, and juice.
//!
//! They were recorded on a genesis state with other keys than the one of the vectors, so the lines that show a key
//! or depend on the number of peers are left out by name.

use std::path::PathBuf;

use cells::{Cell, Decoder, decode_message};
use cvm::state::State;
use cvm::{Context, Exit, Machine, Rules, Start};

/// Parts of lines whose outcome depends on the keys, on the number of peers or on the funds of that genesis.
const OTHER_GENESIS: &[&str] = &[
    "0xf30e2d42",
    "0x12ef73ee",
    "e3d0f0",
    "(account #11)",
    "(account #2)",
    "(keys (:peers *state*))",
    "evict-peer",
    "(set-holding #12 nil) (encoding",
];

/// Examples that print a key of a map or a member of a set after it was changed through the argument buffer of
/// `reduce` (§1.6): the encodings, which alone reach the state, are those of the values as they were added.
const PRINTED_STALE: &[&str] = &[
    "(reduce (fn [acc & r] (assoc acc r 1))",
    "(reduce (fn [acc & r] (conj acc r)) #{}",
];

fn run(
    machine: &mut Machine,
    state: &mut State,
    limit: u64,
    f: impl FnOnce(&mut Context<'_>) -> cvm::Outcome,
) -> (cvm::Outcome, u64) {
    let start = Start {
        origin: 11,
        limit,
        location: (-1, 0),
        signer: None,
        peer: None,
    };
    let mut ctx = Context::new(machine, state, start);
    let outcome = f(&mut ctx);
    (outcome, ctx.juice())
}

fn text(outcome: &cvm::Outcome) -> String {
    match outcome {
        Ok(value) => value.to_string(),
        Err(Exit::Error(error)) => format!("!{}", error.code),
        Err(Exit::Juice) => "!:JUICE".into(),
        Err(other) => format!("!{other:?}"),
    }
}

#[test]
fn the_examples_of_the_specification_give_what_it_says() {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let (Ok(spec), Ok(genesis)) = (
        std::fs::read_to_string(shared.join("spec/03-core-functions.md")),
        std::fs::read(shared.join("vectors/genesis-085.bin")),
    ) else {
        println!("skipped: no ../shared");
        return;
    };
    let examples = &spec[spec.find("## 11. Verified examples").unwrap()..];
    let genesis = decode_message(&genesis, &Decoder::new()).unwrap();
    let mut state = State::from_cell(&genesis).unwrap();
    let mut machine = Machine::new(Rules::latest());
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in examples.lines() {
        let Some((source, expected)) = line.rsplit_once(" => ") else {
            continue;
        };
        if line.starts_with(';')
            || OTHER_GENESIS
                .iter()
                .chain(PRINTED_STALE)
                .any(|part| line.contains(part))
        {
            continue;
        }
        let expected = expected.trim_end_matches('†').trim_end();
        let (expected, juice) = match expected.rsplit_once(" (") {
            Some((value, juice)) if juice.trim_end_matches(')').parse::<u64>().is_ok() => {
                (value, juice.trim_end_matches(')').parse::<u64>().ok())
            }
            _ => (expected, None),
        };
        let (source, while_compiling) = match source.strip_suffix(" (compile)") {
            Some(source) => (source, true),
            None => (source, expected.starts_with("(compile)")),
        };
        let Ok(form) = cvm::reader::read(source) else {
            wrong.push(format!("{line}\n    can't be read"));
            continue;
        };
        let mark = state.mark();
        let compile = Cell::Core(257);
        let (op, _) = run(&mut machine, &mut state, u64::MAX >> 1, |ctx| {
            ctx.call(&compile, [form].into_iter().collect())
        });
        let (outcome, used) = match op {
            Ok(op) if !while_compiling => {
                run(&mut machine, &mut state, 1_000_000_000, |ctx| ctx.run(&op))
            }
            other => (other, 0),
        };
        state.rollback(mark);
        checked += 1;
        let seen = text(&outcome);
        let expected = expected.trim_start_matches("(compile)").trim();
        if seen != expected || (!while_compiling && juice.is_some_and(|juice| juice != used)) {
            wrong.push(format!("{line}\n    {seen} ({used})"));
        }
    }
    for text in &wrong {
        println!("{text}");
    }
    println!("{checked} examples, {} differ", wrong.len());
    assert!(wrong.is_empty());
}
