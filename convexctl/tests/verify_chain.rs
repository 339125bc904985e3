//! `convexctl verify-chain` as an operator runs it.

mod tool;

use cells::{
    Cell, Decoder, Record, RecordKind, Signed, Vector, decode_message, encode_message, vlq,
};
use crypto::Signature;
use serde_json::Value;
use tool::{Files, Ran, belief, belief_of, block, forged, genesis, key, run, shared, transfer};

const FINAL: &str = "9359348383b11973856e100abf0ab5785fcb8ea6184e011361fc9138b7ba81a8";
const GENESIS: &str = "b0e44f2a645abfa539f5b96b7a0eabb0f902866feaff0f7c12d1213e02333f13";

fn verify(genesis: &str, belief: &str, more: &[&str]) -> Ran {
    let args = ["verify-chain", "--genesis", genesis, "--belief", belief];
    run(&[&args, more].concat())
}

fn json(ran: &Ran) -> Value {
    let last = ran.out.lines().last().unwrap_or_else(|| panic!("{ran:?}"));
    serde_json::from_str(last).unwrap()
}

/// The live network's files.
fn protonet() -> Option<(String, String)> {
    Some((
        shared("protonet-genesis.cad3")?,
        shared("protonet-belief-728.cad3")?,
    ))
}

#[test]
fn the_chain_of_the_live_network_leads_to_its_state() {
    let Some((genesis, belief)) = protonet() else {
        return;
    };
    let ran = verify(&genesis, &belief, &["--json", "--expect", FINAL]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let report = json(&ran);
    assert_eq!(report["state"], FINAL);
    assert_eq!(report["genesis"], GENESIS);
    assert_eq!(report["accounts"], 14_303);
    assert_eq!(report["blocks"], 728);
    assert_eq!(report["transactions"], 728);
    assert_eq!(report["matches"], true);
    assert_eq!(
        report["order"]["points"],
        serde_json::json!([728, 728, 728, 728])
    );
    assert_eq!(report["signatures"]["checked"], 1456);
    assert_eq!(report["signatures"]["wrong_transactions"], 0);
    assert_eq!(report["invalid_blocks"], serde_json::json!([]));

    let text = verify(&genesis, &belief, &["--peer", "d6ef2d42"]);
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(
        text.out.contains(&format!("\nstate         {FINAL}\n")),
        "{text:?}"
    );
    assert!(text.out.contains("\naccounts      14303\n"), "{text:?}");
    assert!(
        text.out.contains(" (asked for; 1 usable in the belief)\n"),
        "{text:?}"
    );
}

#[test]
fn a_replay_may_stop_earlier_and_an_expected_state_is_looked_for_on_the_way() {
    let Some((genesis, belief)) = protonet() else {
        return;
    };
    let none = verify(&genesis, &belief, &["--until", "0", "--expect", GENESIS]);
    assert_eq!(none.code, Some(0), "{none:?}");

    let listed = verify(&genesis, &belief, &["--until", "5", "--blocks", "--json"]);
    let lines: Vec<Value> = listed
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[4]["state"], lines[5]["state"]);
    let third = lines[2]["state"].as_str().unwrap();

    let ran = verify(&genesis, &belief, &["--until", "5", "--expect", third]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.out.contains("that is the state after 3 blocks"),
        "{ran:?}"
    );

    let beyond = verify(&genesis, &belief, &["--until", "729"]);
    assert_eq!(beyond.code, Some(64), "{beyond:?}");
    assert!(
        beyond.err.contains("only 728 blocks in consensus"),
        "{beyond:?}"
    );
}

#[test]
fn a_flipped_bit_in_the_signature_of_the_order_is_reported() {
    let Some((genesis, belief)) = protonet() else {
        return;
    };
    let mut bytes = std::fs::read(&belief).unwrap();
    let Cell::Record(record) = decode_message(&bytes, &Decoder::new()).unwrap() else {
        panic!("a record")
    };
    let Some(Cell::Index(orders)) = record.field(0).unwrap() else {
        panic!("an index")
    };
    let Some((name, Cell::Signed(order))) = orders.entry_at(0).unwrap() else {
        panic!("a signed order")
    };
    let files = Files::new();

    // In the file alone: the order is no longer the one whose hash the belief names.
    let signature = order.signature().as_bytes();
    let at = bytes
        .windows(64)
        .position(|window| window == signature)
        .unwrap();
    bytes[at + 3] ^= 1;
    let ran = verify(&genesis, &files.bytes("flipped", &bytes), &[]);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(ran.err.contains("is not in it\n  hint: "), "{ran:?}");

    // By somebody who makes a belief around it.
    let mut signature = *signature;
    signature[3] ^= 1;
    let key = *order.key().unwrap();
    let order = Signed::new(key, Signature::new(signature), order.value().unwrap());
    let orders = orders.assoc(name, Cell::from(order)).unwrap().unwrap();
    let tampered = Record::of_kind(RecordKind::Belief, [Cell::from(orders)]);
    let ran = verify(
        &genesis,
        &files.cell("tampered", &Cell::from(tampered)),
        &[],
    );
    assert_eq!(ran.code, Some(65), "{ran:?}");
    let expected = format!("that of 0x{key}: its signature is wrong\n  hint: ");
    assert!(ran.err.contains(&expected), "{ran:?}");
}

#[test]
fn only_blocks_in_consensus_are_replayed() {
    let files = Files::new();
    let blocks = [1, 2, 3].map(|n| block(n, [transfer(n, Cell::Address(0))]));
    let (genesis, belief) = (
        files.cell("genesis", &genesis()),
        files.cell("belief", &belief(&blocks, 2)),
    );
    let report = json(&verify(&genesis, &belief, &["--json"]));
    assert_eq!(report["blocks"], 2);
    assert_eq!(report["order"]["points"], serde_json::json!([3, 3, 2, 0]));
    assert_eq!(report["transaction_errors"], 0);
}

#[test]
fn an_invalid_block_is_named_with_its_transaction_and_rule_and_is_no_failure() {
    let files = Files::new();
    let good = |n| transfer(n, Cell::Address(0));
    let blocks = [
        block(1, [good(1)]),
        block(2, [good(2), good(3), transfer(4, Cell::Nil), good(5)]),
        block(-900_001, [good(2)]),
        block(3, [good(2)]),
    ];
    let (genesis, belief) = (
        files.cell("genesis", &genesis()),
        files.cell("belief", &belief(&blocks, 4)),
    );
    let ran = verify(&genesis, &belief, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("4 replayed, 2 invalid"), "{ran:?}");
    assert!(
        ran.out
            .contains("invalid       block 1, transaction 2: transfer to what is no address"),
        "{ran:?}"
    );
    assert!(
        ran.out
            .contains("invalid       block 2: Block out of order (rule: "),
        "{ran:?}"
    );
    let report = json(&verify(&genesis, &belief, &["--json"]));
    assert_eq!(report["invalid_blocks"][0]["section"], "spec/04 §5.5, §11");
    assert_eq!(report["invalid_blocks"][1]["transaction"], Value::Null);
}

#[test]
fn a_wrong_signature_of_a_block_is_a_failure_that_names_the_block() {
    let files = Files::new();
    let blocks = [1, 2, 3].map(|n| block(n, [transfer(n, Cell::Address(0))]));
    let [first, second, third] = &blocks;
    let tampered = [first.clone(), forged(second), third.clone()];
    let (genesis, belief) = (
        files.cell("genesis", &genesis()),
        files.cell("belief", &belief(&tampered, 3)),
    );
    let ran = verify(&genesis, &belief, &[]);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(
        ran.out.contains("WRONG         the signature of block 1\n"),
        "{ran:?}"
    );
}

#[test]
fn a_wrong_signature_of_a_transaction_is_an_error_of_that_transaction_alone() {
    let files = Files::new();
    let Cell::Signed(signed) = transfer(1, Cell::Address(0)) else {
        panic!("signed")
    };
    let blocks = [block(
        1,
        [Cell::from(forged(&signed)), transfer(1, Cell::Address(0))],
    )];
    let (genesis, belief) = (
        files.cell("genesis", &genesis()),
        files.cell("belief", &belief(&blocks, 1)),
    );
    let report = json(&verify(&genesis, &belief, &["--json"]));
    assert_eq!(report["transaction_errors"], 1);
    assert_eq!(report["signatures"]["wrong_transactions"], 1);
    assert_eq!(report["signatures"]["checked"], 3);
}

#[test]
fn a_small_file_that_claims_endless_blocks_or_transactions_is_refused() {
    // A tree whose sixteen branches are the same, ten levels deep: 16^11 elements in a few cells.
    let endless = |element: &Cell| {
        let leaf = Cell::from(std::iter::repeat_n(element.clone(), 16).collect::<Vector>());
        let mut tree = leaf;
        let mut count = 16u64;
        for _ in 0..10 {
            count *= 16;
            let mut bytes = vec![0x80];
            vlq::write(&mut bytes, count);
            for _ in 0..16 {
                bytes.push(0x20);
                bytes.extend_from_slice(&tree.hash().0);
            }
            let child = encode_message(&tree).unwrap();
            let top = tree.encode();
            vlq::write(&mut bytes, top.len() as u64);
            bytes.extend_from_slice(&child);
            tree = decode_message(&bytes, &Decoder::new()).unwrap();
        }
        let Cell::Vector(tree) = tree else {
            panic!("a vector")
        };
        assert_eq!(tree.count(), 16u64.pow(11));
        tree
    };
    let files = Files::new();
    let genesis = files.cell("genesis", &genesis());
    let one = block(1, [transfer(1, Cell::Address(0))]);

    let blocks = endless(&Cell::from(one));
    let ran = verify(
        &genesis,
        &files.cell("blocks", &belief_of(blocks, 16i64.pow(11))),
        &[],
    );
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(
        ran.err.contains("more blocks than a file can hold"),
        "{ran:?}"
    );

    let transactions = endless(&transfer(1, Cell::Address(0)));
    let fat = Record::of_kind(RecordKind::Block, [Cell::Long(1), Cell::from(transactions)]);
    let fat = Signed::sign(&key(), Cell::from(fat));
    let ran = verify(&genesis, &files.cell("fat", &belief(&[fat], 1)), &[]);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(
        ran.err
            .contains("block 0 claims 17592186044416 transactions"),
        "{ran:?}"
    );
}

#[test]
fn files_that_are_not_what_they_should_be_are_told_apart() {
    let files = Files::new();
    let (state, empty) = (genesis(), belief(&[], 0));
    let (genesis, belief) = (files.cell("genesis", &state), files.cell("belief", &empty));
    for (genesis, belief, code, cause) in [
        (&*files.path("absent"), &*belief, 66, "absent can't be read"),
        (&belief, &belief, 65, "holds a Belief, not a State"),
        (&genesis, &genesis, 65, "holds a State, not a Belief"),
        (&files.bytes("empty", b""), &belief, 65, "empty message"),
        (
            &files.bytes("noise", b"\xff\xff\xff"),
            &belief,
            65,
            "holds no complete value",
        ),
        (
            &files.bytes("number", &[0x11, 1]),
            &belief,
            65,
            "holds a Integer, not a State",
        ),
    ] {
        let ran = verify(genesis, belief, &[]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.err.contains(cause), "{cause}: {ran:?}");
        assert!(ran.err.contains("hint:"), "{ran:?}");
    }
    let ran = verify(&genesis, &belief, &["--expect", "12"]);
    assert_eq!(ran.code, Some(64), "{ran:?}");
}

#[test]
fn a_cut_file_is_refused_wherever_it_ends() {
    let Some((genesis, belief)) = protonet() else {
        return;
    };
    let bytes = std::fs::read(&belief).unwrap();
    let files = Files::new();
    for end in [1, 100, 1_000, bytes.len() / 2, bytes.len() - 1] {
        let ran = verify(&genesis, &files.bytes("cut", &bytes[..end]), &[]);
        assert_eq!(ran.code, Some(65), "{end}: {ran:?}");
        assert!(ran.err.contains("holds no complete value"), "{ran:?}");
    }
}
