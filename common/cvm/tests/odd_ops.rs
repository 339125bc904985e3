//! Ops that no compiler makes, with what the reference does with them (found by the differential tests).
//!
//! Anybody can send these; where the reference raises an exception of its own, the block is void (`spec/02 §11`).

mod ground;

use cvm::{Abort, Context, Exit, Start};
use ground::{Ground, decode, hex};

/// How an op ends.
#[derive(Debug, PartialEq)]
enum End {
    /// With the value of this encoding and this juice.
    Value(&'static str, u64),
    /// With an error of this code and this juice.
    Error(&'static str, u64),
    /// Out of juice.
    Juice,
    /// In a host fault.
    Fault,
}

use End::{Error, Fault, Juice, Value};

#[track_caller]
fn check(cases: &[(&'static str, u64, End)]) {
    for (op, limit, expected) in cases {
        let mut ground = Ground::minimal();
        let start = Start {
            origin: 11,
            limit: *limit,
            location: (-1, 0),
            signer: None,
            peer: None,
        };
        let mut context = Context::new(&mut ground.machine, &mut ground.state, start);
        let outcome = context.run(&decode(op));
        let juice = context.juice();
        let same = match (&outcome, expected) {
            (Ok(value), Value(text, j)) => hex(value) == *text && juice == *j,
            (Err(Exit::Error(error)), Error(code, j)) => {
                error.code.to_string() == *code && juice == *j
            }
            (Err(Exit::Juice), Juice) => juice == *limit,
            (Err(Exit::Abort(abort)), Fault) => matches!(**abort, Abort::HostFault(_)),
            _ => false,
        };
        assert!(
            same,
            "{op} with {limit}: {outcome:?} and juice {juice}, not {expected:?}"
        );
    }
}

/// Limit that is never reached.
const AMPLE: u64 = 1_000_000;

#[test]
fn a_let_whose_forms_have_no_tree_faults_before_a_value_is_looked_for() {
    check(&[("c280d080013205636f756e74320267318001e601", AMPLE, Fault)]);
}

#[test]
fn a_let_without_its_vectors_is_paid_for_before_it_faults() {
    check(&[
        ("c20000", 29, Juice),
        ("c30000", 29, Juice),
        ("c20000", 30, Fault),
        ("c30000", 30, Fault),
        ("c211018000", 0, Juice),
        ("c280013201781101", 29, Juice),
        ("c280013201781101", 30, Fault),
        ("c280013201788000", 30, Fault),
        ("c0ba00", 0, Fault),
        ("c0bb00", 0, Fault),
        ("c0bf00", 0, Fault),
    ]);
}

#[test]
fn nil_can_be_defined_and_looked_up_like_a_symbol() {
    check(&[
        ("cd0000", AMPLE, Value("00", 100)),
        ("cd0000", 99, Juice),
        ("cd001101", AMPLE, Value("00", 100)),
        ("cd00c0b01101", AMPLE, Value("1101", 105)),
        ("cd00c0b01101", 104, Juice),
        // `*env*` is `{nil 1}` then.
        ("da02cd00c0b01101e512", AMPLE, Value("8201001101", 120)),
        ("da02cd00c0b01101cd0000", AMPLE, Value("1101", 210)),
        ("da02cd00c0b01101c10000", AMPLE, Value("1101", 150)),
        ("da02cd00c0b01101c1c0b0ea0b00", AMPLE, Value("1101", 155)),
        ("da02cd00c0b01101c10000", 130, Juice),
        ("cd88008201330161b1c0b01101", AMPLE, Value("1101", 105)),
        // Anything else is no symbol, and that shows when the value has been computed.
        ("cd1101c0b01101", 50, Fault),
        ("cd88110100c0b01101", AMPLE, Fault),
        ("cd8888320178008201330161b1c0b01101", AMPLE, Fault),
    ]);
}

#[test]
fn a_lookup_without_a_symbol_evaluates_its_address_first() {
    check(&[
        ("c10000", 0, Fault),
        ("c1001101", 0, Fault),
        ("c1c0b0ea0800", 4, Juice),
        ("c1c0b0ea0800", 30, Fault),
        ("c1c0b0ea081101", 4, Juice),
        ("c1c0b0ea081101", AMPLE, Fault),
        ("c1c0b00000", AMPLE, Error(":CAST", 5)),
        ("c1dc0000", AMPLE, Error(":CAST", 20)),
        ("c1c0b0ea862b00", AMPLE, Error(":NOBODY", 45)),
        ("c1c0b0ea862b1101", AMPLE, Fault),
        ("c1c10032016600", AMPLE, Error(":UNDECLARED", 40)),
    ]);
}

#[test]
fn an_expression_that_has_no_printed_form_can_not_be_traced() {
    check(&[
        ("db0200c10000", AMPLE, Fault),
        ("db0200c20000", AMPLE, Fault),
        ("db0200c0ba00", AMPLE, Fault),
        ("db0200c0bf00", AMPLE, Fault),
        ("db0200df04b0000000", AMPLE, Fault),
        ("db020081dfea413301783208686173682d6d6170", AMPLE, Fault),
        ("db020010", AMPLE, Error(":CAST", 5)),
    ]);
}

#[test]
fn a_closure_is_made_of_a_template_at_every_level_and_other_members_are_lost() {
    check(&[
        ("c0bfdf01e601", AMPLE, Value("df0100", 100)),
        ("c0bfdf02ed8120e601", AMPLE, Value("df020000", 100)),
        (
            "c0bfdf02df01df04b08000001101df04b08000001102",
            AMPLE,
            Value("df02df01df04b08000001101df04b08000001102", 100),
        ),
        (
            "c0bfdf04b08000800211011102e600",
            AMPLE,
            Value("df04b080008000e600", 100),
        ),
        (
            "c0bfdf04b080001105e600",
            AMPLE,
            Value("df04b080001105e600", 100),
        ),
        // `(let [x 7] …)`
        (
            "c280013201788002c0b01107c0bfdf04b080001105e600",
            AMPLE,
            Value("df04b0800080011107e600", 135),
        ),
        (
            "c280013201788002c0b01107c0bfdf02df04b080008002110111021101df01df04b080008002110111021101",
            AMPLE,
            Value("df02df04b08000800111071101df01df04b08000800111071101", 135),
        ),
        ("c0bfed01", AMPLE, Fault),
    ]);
}

#[test]
fn members_of_members_are_called_and_a_member_without_parameters_faults() {
    check(&[
        ("db01df01df01df04b0800000c0b01105", AMPLE, Value("1105", 10)),
        (
            "db02df02df01df04b0800000c0b01105df01df04b0800132017800e60010",
            AMPLE,
            Value("10", 25),
        ),
        (
            "db01df01df02df04b0800132017800e600df04b0800000c0b01105",
            AMPLE,
            Value("1105", 10),
        ),
        ("db01df01e601", AMPLE, Error(":ARITY", 5)),
        ("db01df01df04b0110100c0b010", AMPLE, Fault),
        // Nobody asks the ones behind the first that fits.
        (
            "db01df02df04b0800000c0b01101df04b0000000",
            AMPLE,
            Value("1101", 10),
        ),
        ("db01df04b0000000", AMPLE, Error(":COMPILE", 5)),
    ]);
}
