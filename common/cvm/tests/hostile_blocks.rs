//! Blocks that nobody honest would send: whatever they hold, they are answered, an invalid one changes nothing, and
//! what a valid one leaves is a well-formed state.

mod ground;

use cells::{Cell, Decoder, Record, RecordKind, decode_message};
use cvm::state::State;
use cvm::transition::BlockError;
use ground::{Ground, T0, block, invoke, multi, public, sent, signed, transfer};
use proptest::prelude::*;

/// Code that reaches far into the machine, to be damaged.
const SOURCES: [&str; 12] = [
    "(do (def a (inc 41)) (* a 2))",
    "(deploy '(do (defn ^:callable f [x] (accept *offer*)) (set-controller #11)))",
    "(schedule* (+ *timestamp* 1) '(transfer #13 5))",
    "(loop [i 0] (if (< i 10) (recur (inc i)) [i i]))",
    "(try (fail :A 1) (query (transfer #13 7)) #{1 2})",
    "(set-holding #13 {:a [1 2 3]})",
    "(set-memory 10050)",
    "(do (set-stake 0xK 500) (set-stake 0xK 20) (get-stake 0xK *address*))",
    "(create-peer 0x1234567812345678123456781234567812345678123456781234567812345678 77)",
    "(eval-as #11 '(halt *state*))",
    "(map (fn [x & y] (str x y)) [1 2] '(3 4))",
    "(let [[a & b] [1 2 3]] (rollback (log a b)))",
];

fn source(i: usize) -> String {
    let key: String = public(2).iter().map(|byte| format!("{byte:02x}")).collect();
    SOURCES[i % SOURCES.len()].replace("0xK", &format!("0x{key}"))
}

#[derive(Debug, Clone)]
enum Damage {
    Set(usize, u8),
    Delete(usize),
    Insert(usize, u8),
}

fn damaged(cell: &Cell, damage: &[Damage]) -> Option<Cell> {
    let mut bytes = cells::encode_message(cell).ok()?;
    for d in damage {
        let at = |i: usize, len: usize| i % len.max(1);
        match *d {
            Damage::Set(i, byte) => {
                let i = at(i, bytes.len());
                bytes[i] = byte;
            }
            Damage::Delete(i) => {
                let i = at(i, bytes.len());
                bytes.remove(i);
            }
            Damage::Insert(i, byte) => bytes.insert(at(i, bytes.len()), byte),
        }
    }
    decode_message(&bytes, &Decoder::new()).ok()
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(i, b)| Damage::Set(i, b)),
        1 => any::<usize>().prop_map(Damage::Delete),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(i, b)| Damage::Insert(i, b)),
    ]
}

/// Which transaction to damage and how: source, compiled or not, kind, damages.
type Plan = (usize, u8, Vec<Damage>);

fn transaction(ground: &mut Ground, sequence: i64, (code, kind, damage): &Plan) -> Cell {
    let form = source(*code);
    let whole = match kind % 5 {
        0 => transfer(11, sequence, *code as u64 % 200, i64::from(*kind) * 1000),
        1 => multi(
            11,
            sequence,
            i64::from(kind / 5 % 4),
            vec![invoke(11, 1, &form), transfer(11, 1, 13, 5)],
        ),
        2 => {
            // The compiled form, as an op.
            let compile = cvm::reader::read(&format!("(compile '{form})")).expect("a form");
            let op = cvm::transition::query(&mut ground.machine, &mut ground.state, 11, compile)
                .expect("compiles");
            let fields = [Cell::Address(11), Cell::Long(sequence), op.value];
            Cell::from(Record::of_kind(RecordKind::Invoke, fields))
        }
        _ => invoke(11, sequence, &form),
    };
    damaged(&whole, damage).unwrap_or(whole)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damaged_transactions_are_answered_and_leave_a_well_formed_state(
        plans in prop::collection::vec((any::<usize>(), any::<u8>(), prop::collection::vec(damage(), 0..4)), 1..8),
    ) {
        let Some(mut ground) = Ground::standard(1) else { return Ok(()) };
        let mut time = T0;
        for plan in &plans {
            let before = ground.hash();
            time += 1;
            let sequence = ground.account(11).sequence + 1;
            let transaction = transaction(&mut ground, sequence, plan);
            let Ok(_) = cells::encode_message(&transaction) else { continue };
            let block = sent(&block(2, time, vec![signed(1, transaction)]));
            match ground.try_apply(&block) {
                Ok(outcome) => {
                    prop_assert_eq!(outcome.results.len(), 1);
                    if outcome.invalid.is_some() {
                        prop_assert_eq!(ground.hash(), before);
                    }
                    cells::encode_message(&outcome.to_cell(ground.state.to_cell().unwrap())).unwrap();
                }
                Err(BlockError::Fatal(_)) => prop_assert_eq!(ground.hash(), before),
                Err(error) => prop_assert!(false, "{}", error),
            }
            // What is in the working state is what its cell says.
            let cell = sent(&ground.state.to_cell().unwrap());
            let mut again = State::from_cell(&cell).unwrap();
            prop_assert_eq!(again.hash().unwrap().to_string(), ground.hash());
            for address in 0..again.account_count() {
                prop_assert_eq!(again.account(address).unwrap(), ground.state.account(address).unwrap());
            }
        }
    }
}
