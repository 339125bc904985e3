//! Blocks that nobody honest would send, applied to a small state: messages from arbitrary bytes as block, transaction or
//! command, malformed trees as constants, and programs.
//!
//! - Every block is answered: no panic, no endless loop, nothing deeper, dearer or larger than the rules allow.
//! - An invalid block, and one without an outcome, leaves the state alone; a valid one leaves a state whose cell decodes to
//!   it and in which the coins add up as before.
//! - The outcome depends on state and block alone: a new machine on a decoded copy of the state answers the same.
//! - An execution never uses more juice than its limit, and one that fails leaves no trace.
#![no_main]

use arbitrary::{Result, Unstructured};
use cells::{Cell, Decoder, List, Signed, Symbol, decode_message, decode_partial, encode_message};
use convexd_fuzz::{ground, hostile, make, program};
use cvm::state::State;
use cvm::transition::{BlockError, BlockOutcome, apply_block};
use cvm::{Context, Exit, Machine, Rules, Start};
use libfuzzer_sys::fuzz_target;

/// Juice that a single execution gets.
const LIMIT: u64 = 100_000;

fn fresh() -> (Machine, State) {
    let state = State::from_cell(ground::genesis()).expect("in memory");
    (Machine::new(Rules::latest()), state)
}

fn apply(block: &Signed) -> (std::result::Result<BlockOutcome, BlockError>, State) {
    let (mut machine, mut state) = fresh();
    let before = state.hash().expect("in memory");
    let coins = state.total_coins().expect("in memory");
    let outcome = apply_block(&mut machine, &mut state, block);
    let after = state.hash().expect("in memory");
    match &outcome {
        Ok(outcome) if outcome.invalid.is_none() => {
            let cell = state.to_cell().expect("in memory");
            let encoded = encode_message(&cell).expect("in memory");
            let decoded = decode_message(&encoded, &Decoder::new()).expect("a state");
            let mut again = State::from_cell(&decoded).expect("a state");
            assert_eq!(again.hash().expect("in memory"), after);
            assert_eq!(again.total_coins().expect("in memory"), coins);
            assert_eq!(state.total_coins().expect("in memory"), coins);
            for result in &outcome.results {
                let info = result.info.clone().unwrap_or_default();
                assert!((0..=10_000_000).contains(&info.juice), "{info:?}");
                assert!(info.fees >= 0, "{info:?}");
                let _ = result.to_cell().hash();
            }
        }
        Ok(_) | Err(_) => assert_eq!(after, before),
    }
    (outcome, state)
}

fn blocks(block: &Signed) {
    let (outcome, mut state) = apply(block);
    let (again, mut other) = apply(block);
    assert_eq!(outcome, again);
    assert_eq!(state.hash(), other.hash());
}

fn execute(command: &Cell) {
    let (mut machine, mut state) = fresh();
    let before = state.hash().expect("in memory");
    let start = Start {
        origin: ground::USER,
        limit: LIMIT,
        location: (0, 0),
        signer: None,
        peer: None,
    };
    let mut context = Context::new(&mut machine, &mut state, start);
    let outcome = context.run(command);
    assert!(
        context.juice() <= context.limit(),
        "more juice than allowed"
    );
    assert_eq!(context.depth, 0);
    match outcome {
        Ok(value) => {
            let _ = value.hash();
            let _ = value.memory_size();
        }
        Err(Exit::Error(_) | Exit::Juice | Exit::Abort(_)) => {
            assert_eq!(state.hash().expect("in memory"), before);
        }
        Err(other) => panic!("left the machine: {other:?}"),
    }
}

/// A value as hostile as decoding lets it be.
fn value(u: &mut Unstructured<'_>) -> Result<Option<Cell>> {
    let message = match u.int_in_range(0..=2)? {
        0 => {
            let n = u.int_in_range(0..=u.len())?;
            u.bytes(n)?.to_vec()
        }
        1 => hostile::message(u)?,
        _ => encode_message(&make::cell(u, 3)?).expect("in memory"),
    };
    let decoded = if u.arbitrary()? {
        decode_partial(&message, &Decoder::new())
            .ok()
            .map(|(cell, _)| cell)
    } else {
        decode_message(&message, &Decoder::new()).ok()
    };
    // Signed data without its key stands alone: within another cell nobody can send it.
    Ok(decoded.filter(|cell| !matches!(cell, Cell::Signed(s) if s.key().is_none())))
}

/// A form as another peer decodes it; nil where it can't be sent (`spec/01 §11.3`: a coded value with branches).
fn form(u: &mut Unstructured<'_>, depth: u32) -> Result<Cell> {
    let message = encode_message(&program::form(u, depth)?).expect("in memory");
    Ok(decode_message(&message, &Decoder::new()).unwrap_or(Cell::Nil))
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    match u.int_in_range(0..=7)? {
        0 => {
            if let Some(Cell::Signed(block)) = value(u)? {
                blocks(&block);
            }
        }
        1 => {
            if let Some(cell) = value(u)? {
                blocks(&ground::signed(cell));
            }
        }
        2 => {
            if let Some(cell) = value(u)? {
                blocks(&ground::block([cell]));
            }
        }
        3 => {
            if let Some(cell) = value(u)? {
                blocks(&ground::block([ground::invoke(1, cell)]));
            }
        }
        4 => {
            // A malformed value as the argument of a program.
            if let Some(cell) = value(u)? {
                let symbol = |name| Cell::from(Symbol::literal(name));
                let quoted = List::from_iter([symbol("quote"), cell]);
                let definition = [symbol("def"), symbol("a"), Cell::from(quoted)];
                let definition = Cell::from(List::from_iter(definition));
                let mut transactions = vec![ground::invoke(1, definition)];
                for sequence in 2..5 {
                    transactions.push(ground::invoke(sequence, form(u, 3)?));
                }
                blocks(&ground::block(transactions));
            }
        }
        5 => {
            let mut transactions = Vec::new();
            for sequence in 1..=u.int_in_range(1..=3)? {
                transactions.push(ground::invoke(sequence, form(u, 5)?));
            }
            blocks(&ground::block(transactions));
        }
        _ => execute(&form(u, 6)?),
    }
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(&make::stretched(data, 400)));
});
