//! The worked examples of `spec/04 §13`, all made by executing the reference.

mod ground;

use cells::Cell;
use ground::{Ground, T0, block, codes, hex, invoke, key, multi, sent, signed, transfer};

/// `spec/04 §13.1`: four transactions on the smallest state, down to the bytes of every result.
#[test]
fn four_transactions_on_the_minimal_genesis() {
    let mut ground = Ground::minimal();
    assert_eq!(
        ground.hash(),
        "a81fec3d71fa64d1c80dc03426078f291aa0b4cbfd14016a02df6c965b2a2cc7"
    );
    assert_eq!(ground.state.to_cell().unwrap().memory_size(), Ok(239));
    let transactions = vec![
        signed(1, transfer(11, 1, 0, 5)),
        signed(1, invoke(11, 2, "(+ 1 2)")),
        signed(1, transfer(11, 3, 3, 7)),
        signed(1, transfer(11, 3, 0, 7)),
    ];
    let block = block(2, T0 + 1, transactions);
    assert_eq!(
        block.hash().to_string(),
        "871948850a323bd1f06bba983e6c8c0184da8210ee389c53d97a611dec1420ac"
    );
    let outcome = ground.try_apply(&sent(&block)).unwrap();
    let results: Vec<_> = outcome
        .results
        .iter()
        .map(|result| hex(&result.to_cell()))
        .collect();
    assert_eq!(
        results,
        [
            "dd05101105008000820333036d656d1101330466656573130f656a33056a756963651200c8",
            "dd05110130062a6c616e672a330a554e4445434c415245448000820433057472616365800033056561646472ea0b33046665657312\
             1f403306736f757263653304434f4445",
            "dd051102302f4163636f756e7420233320646f6573206e6f7420646566696e652053796d626f6c3a20726563656976652d636f696e\
             330553544154458000820533057472616365800033056561646472ea0b3304666565731223283306736f757263653304434f4445\
             33056a756963651200c8",
            "dd051103301b53657175656e6365203d2033206275742065787065637465642034330853455155454e434580008203330574726163\
             65800033056561646472ea003306736f75726365330343564d",
        ]
    );
    assert_eq!(
        hex(&ground.account(0).to_cell()),
        "d80910001232cd100000000000"
    );
    assert_eq!(
        (ground.account(11).sequence, ground.account(11).balance),
        (3, 999_996_999_998_973_993)
    );
    assert_eq!(
        (ground.peer(2).timestamp, ground.peer(2).balance),
        (T0 + 1, 2_000_000_013_000)
    );
    let globals = ground.state.globals();
    assert_eq!(
        (
            globals.memory_pool,
            globals.memory_coins,
            globals.block_number
        ),
        (999_999, 1_000_001_000_002, 0)
    );
    assert_eq!(
        ground.hash(),
        "5c3bde9a9561051fbf978982f0e95126a1274559a2551e1d4e93faf69b69d651"
    );
    let state = ground.state.to_cell().unwrap();
    assert_eq!(state.memory_size(), Ok(242));
    let result = outcome.to_cell(state).hash().to_string();
    assert_eq!(
        result,
        "a1328b125fa75b8ba86fff8b955e4ec9d15e4db0e8c9fff9ed789ecb31aacb3c"
    );
}

/// `spec/04 §12.6`.
#[test]
fn the_standard_genesis_states_have_their_hashes() {
    for (peers, hash) in [
        (
            1,
            "8c3b9cb495cba93dac80c0f8f24067bac5eea11a774c4e6460a07cede2086cc6",
        ),
        (
            2,
            "95a86f806aa85c278fe838e11baf7d056cad0ad6f22e980c445f650d056b6650",
        ),
    ] {
        let Some(mut ground) = Ground::standard(peers) else {
            return;
        };
        assert_eq!(ground.hash(), hash);
        assert_eq!(ground.surplus(), 0);
    }
}

/// `spec/04 §13.2`.
#[test]
fn ten_transactions_on_the_standard_genesis() {
    let Some(mut ground) = Ground::standard(1) else {
        return;
    };
    let k5 = key(5).account_key();
    let create = format!(
        "(create-account 0x{})",
        k5.as_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    );
    let transactions = vec![
        signed(1, invoke(11, 1, "(def x 42)")),
        signed(1, transfer(11, 2, 13, 1_000_000_000)),
        signed(1, transfer(11, 9, 13, 5)),
        signed(1, invoke(12, 1, &create)),
        signed(3, transfer(11, 3, 13, 7)),
        signed(1, transfer(78, 1, 13, 7)),
        signed(1, transfer(9999, 1, 13, 7)),
        signed(1, invoke(11, 3, "(fail :FOO \"bar\")")),
        signed(1, invoke(11, 4, "(transfer #12 99999999999999999)")),
        signed(1, invoke(14, 1, "1")),
    ];
    let block = block(2, T0 + 7_200_123, transactions);
    assert_eq!(
        block.hash().to_string(),
        "bac9ea59b3c7f49633493f24d3e3e85b3a9119ba3cbc90a9e53898a325ed87c4"
    );
    let outcome = ground.try_apply(&sent(&block)).unwrap();
    assert_eq!(
        codes(&outcome),
        [
            "nil",
            "nil",
            ":SEQUENCE",
            "nil",
            ":SIGNATURE",
            ":STATE",
            ":NOBODY",
            ":FOO",
            ":FUNDS",
            ":JUICE"
        ]
    );
    let charged: Vec<_> = outcome
        .results
        .iter()
        .map(|r| r.info.as_ref().unwrap())
        .map(|i| (i.juice, i.fees))
        .collect();
    assert_eq!(
        charged,
        [
            (555, 14_150),
            (200, 9_600),
            (0, 0),
            (2505, 41_650),
            (0, 0),
            (0, 0),
            (0, 0),
            (545, 15_250),
            (745, 18_250),
            (0, 0)
        ]
    );
    assert_eq!(ground.account(0).balance, 52_750);
    assert_eq!(ground.peer(2).balance, 199_800_000_052_750);
    assert_eq!(ground.surplus(), 6_600);
    assert_eq!(ground.state.globals().memory_pool, 1_080_000);
    assert_eq!(
        ground.hash(),
        "bca48b0ab7c545014ebec6f7b7d7e82cb4f316be5d79550875fc0c00e250902a"
    );
    let state = ground.state.to_cell().unwrap();
    assert_eq!(state.memory_size(), Ok(228_324));
    assert_eq!(
        outcome.to_cell(state).hash().to_string(),
        "bfcade998f9579f8a4dcd4d1287f80a8a361ceea00a45aa1abce6eeb5241b129"
    );

    let empty = ground.apply(2, T0 + 7_200_123, Vec::new());
    assert_eq!((empty.results.len(), empty.invalid), (0, None));
    assert_eq!(
        ground.hash(),
        "8e12b3f78af43b8555b18a45baee0e9c9039dbce9d60a2bd32c96421ba3942cb"
    );
    let old = ground.apply(2, T0 + 7_200_122, Vec::new());
    assert_eq!(old.invalid.as_deref(), Some("Block out of order"));
    let unknown = ground.apply(3, T0 + 7_200_123, vec![Cell::Nil, Cell::Nil]);
    let expected = "dd0500300d4d697373696e672050656572213304504545520000";
    assert!(
        unknown
            .results
            .iter()
            .all(|result| hex(&result.to_cell()) == expected)
    );
    assert_eq!(
        ground.hash(),
        "8e12b3f78af43b8555b18a45baee0e9c9039dbce9d60a2bd32c96421ba3942cb"
    );
}

/// Code that defines a blob of 2^k bytes and more (`spec/04 §13.3`, D(k)).
fn big(k: u32) -> String {
    format!(
        "(do (def b (loop [b 0x00 i 0] (if (< i {k}) (recur (blob (str b b)) (inc i)) b))) nil)"
    )
}

struct Row {
    balance: i64,
    code: String,
    error: &'static str,
    juice: i64,
    charged: i64,
    left: i64,
    sequence: i64,
    defines: bool,
    surplus: i128,
}

/// `spec/04 §13.3`: which branch of the completion is taken, and what it leaves.
#[test]
fn fees_and_memory_take_the_branches_of_the_specification() {
    let row = |balance, code: &str, error, juice, charged, left, sequence, defines, surplus| Row {
        balance,
        code: code.to_owned(),
        error,
        juice,
        charged,
        left,
        sequence,
        defines,
        surplus,
    };
    let spend_14 = 6_937_890_210;
    let spend_16 = 60_720_527_548;
    for row in [
        row(5_000, "(def x 42)", ":JUICE", 0, 0, 5_000, 0, false, 8_600),
        row(5_010, "(def x 42)", ":JUICE", 1, 5_010, 0, 1, false, 3_600),
        row(
            12_000,
            "(def x 42)",
            ":JUICE",
            555,
            12_000,
            0,
            1,
            true,
            2_150,
        ),
        row(
            30_000,
            "(do (def x 42) (log :a) (log :b))",
            ":JUICE",
            2_500,
            30_000,
            0,
            1,
            false,
            8_800,
        ),
        row(
            40_000,
            "(transfer #13 25000)",
            ":JUICE",
            745,
            15_000,
            0,
            1,
            false,
            -22_950,
        ),
        row(
            40_000,
            "(do (def x 42) (transfer #13 20000) 1 2 3 4 5 6 7 8 9 10)",
            ":JUICE",
            1_500,
            32_200,
            7_800,
            1,
            false,
            0,
        ),
        row(
            1_000_000,
            "(loop [] (recur))",
            ":JUICE",
            99_500,
            1_000_000,
            0,
            1,
            false,
            5_000,
        ),
        row(
            200_000_000_000,
            &big(14),
            "nil",
            107_728,
            spend_14,
            200_000_000_000 - spend_14,
            1,
            true,
            0,
        ),
        row(
            200_000_000_000,
            &big(16),
            "nil",
            403_060,
            spend_16,
            200_000_000_000 - spend_16,
            1,
            true,
            0,
        ),
        row(
            2_000_000_000,
            &big(16),
            ":MEMORY",
            403_060,
            4_056_000,
            1_995_944_000,
            1,
            false,
            0,
        ),
    ] {
        let Some(mut ground) = Ground::standard(1) else {
            return;
        };
        ground.give(11, 14, row.balance);
        let outcome = ground.apply(2, T0 + 2, vec![signed(1, invoke(14, 1, &row.code))]);
        let result = &outcome.results[0];
        let info = result.info.as_ref().unwrap();
        let code = format!("{} with {}", row.code, row.balance);
        assert_eq!(
            result.error.to_string(),
            row.error,
            "{code}: {}",
            result.value
        );
        assert_eq!((info.juice, info.fees), (row.juice, row.charged), "{code}");
        let account = ground.account(14);
        assert_eq!(
            (account.balance, account.sequence),
            (row.left, row.sequence),
            "{code}"
        );
        assert_eq!(account.environment().is_some(), row.defines, "{code}");
        assert_eq!(ground.surplus(), row.surplus, "{code}");
    }
}

/// `spec/04 §13.3`, the last row, and `§11` number 5.
#[test]
fn buying_more_memory_than_the_pool_has_voids_the_block() {
    let Some(mut ground) = Ground::standard(1) else {
        return;
    };
    ground.give(11, 14, 200_000_000_000);
    ground.state.globals_mut().memory_pool = 20_000;
    let before = ground.hash();
    let outcome = ground.apply(2, T0 + 2, vec![signed(1, invoke(14, 1, &big(16)))]);
    assert!(outcome.invalid.is_some());
    assert_eq!(ground.hash(), before);
}

/// `spec/04 §13.3`, the sentences behind the table.
#[test]
fn memory_that_is_freed_goes_to_the_allowance_and_can_be_sold_by_hand() {
    let Some(mut ground) = Ground::standard(1) else {
        return;
    };
    ground.give(11, 14, 200_000_000_000);
    let transactions = vec![
        signed(1, invoke(14, 1, &big(16))),
        signed(1, invoke(14, 2, "(undef b)")),
    ];
    ground.apply(2, T0 + 2, transactions);
    assert_eq!(ground.account(14).allowance, 67_239);

    let Some(mut ground) = Ground::standard(1) else {
        return;
    };
    ground.give(11, 14, 200_000_000_000);
    let transactions = vec![
        signed(1, invoke(14, 1, "(set-memory 20000)")),
        signed(1, invoke(14, 2, "(set-memory 5000)")),
    ];
    let outcome = ground.apply(2, T0 + 2, transactions);
    let values: Vec<_> = outcome.results.iter().map(|r| r.value.clone()).collect();
    assert_eq!(values, [10_101_010_102, -15_076_134_479].map(Cell::Long));
    let globals = ground.state.globals();
    assert_eq!(
        (globals.memory_pool, globals.memory_coins),
        (1_005_000, 995_024_875_623)
    );
}

/// `spec/04 §13.4`.
#[test]
fn multi_transactions_keep_what_their_mode_says() {
    let a = "(do (def a 1) (log :one) 1)";
    let f = "(do (def c 3) (log :bad) (fail :OOPS \"x\"))";
    let z = "(do (def d 4) (loop [] (recur)))";
    let third = "(do (def b 2) (log :two) [*juice* *juice-limit* *origin* *caller* *address* *sequence* *location* \
                 *signer* *peer*])";
    for (mode, children, error, juice, fees, hash) in [
        (
            1,
            vec![a, f, third],
            ":CHILD",
            3_015,
            101_350,
            "f42f93e75e4c90eff019bc59b044d6e8f830a88a9a62108fff305f21a505fc06",
        ),
        (
            3,
            vec![a, f, third],
            "nil",
            3_015,
            101_350,
            "320a41621b86acc3e0a306a5720f996a87a5641aaf695ded96534e296a3dc073",
        ),
        (
            2,
            vec![a, f, third],
            "nil",
            2_545,
            96_650,
            "c296b02ba97d8783a2396e4509a0a8e529c6604a97c96616912fe244b8b51dba",
        ),
        (
            1,
            vec![a, z],
            "nil",
            10_000_000,
            100_022_800,
            "5f65ec6799427d2ebff37564c0ada00dbccb14805210722d538f9d79e30d8b73",
        ),
        (
            1,
            vec![],
            "nil",
            0,
            7_000,
            "27131e56904db152702de81b43e8edf93339b6b7d8ea3df2ee883d09e04beac4",
        ),
        (
            0,
            vec![],
            "nil",
            0,
            6_800,
            "b1dcd8e8eabbe295e3cd38624dca615226037784518f457dd424dbc0633115d8",
        ),
    ] {
        let Some(mut ground) = Ground::standard(1) else {
            return;
        };
        let sequences = [0, 0, 77];
        let children = children
            .iter()
            .zip(sequences)
            .map(|(code, n)| invoke(11, n, code))
            .collect();
        let outcome = ground.apply(2, T0 + 1, vec![signed(1, multi(11, 1, mode, children))]);
        let result = &outcome.results[0];
        let info = result.info.as_ref().unwrap();
        assert_eq!(result.error.to_string(), error, "{}", result.value);
        assert_eq!((info.juice, info.fees), (juice, fees), "{}", result.value);
        assert_eq!(ground.hash(), hash, "{}", result.value);
    }
}

/// `spec/04 §13.4`, last sentence: a child sees a context of its own.
#[test]
fn a_child_of_a_multi_has_fresh_juice_and_neither_signer_nor_peer() {
    let Some(mut ground) = Ground::standard(1) else {
        return;
    };
    let third = "(do (def b 2) (log :two) [*juice* *juice-limit* *origin* *caller* *address* *sequence* *location* \
                 *signer* *peer*])";
    let outcome = ground.apply(
        2,
        T0 + 1,
        vec![signed(1, multi(11, 1, 0, vec![invoke(11, 77, third)]))],
    );
    let Cell::Vector(results) = &outcome.results[0].value else {
        panic!("{}", outcome.results[0].value)
    };
    let Cell::Record(child) = results.get(0).unwrap().unwrap() else {
        panic!("no record")
    };
    let value = child.field(1).unwrap().unwrap();
    assert_eq!(
        value.to_string(),
        "[3135 10000000 #11 nil #11 0 [0 0] nil nil]"
    );
}

/// `spec/04 §13.5`.
#[test]
fn blocks_are_checked_as_on_the_genesis_with_two_peers() {
    let Some(mut ground) = Ground::standard(2) else {
        return;
    };
    let invalid = |ground: &mut Ground, peer, time, transactions: Vec<Cell>| {
        let before = ground.hash();
        let outcome = ground.apply(peer, time, transactions);
        if outcome.invalid.is_some() {
            assert_eq!(ground.hash(), before, "an invalid block changes nothing");
        }
        outcome.invalid
    };
    assert_eq!(invalid(&mut ground, 2, T0 + 2_000_000, vec![]), None);
    let old = invalid(&mut ground, 4, T0 + 1_099_999, vec![]);
    assert_eq!(old.as_deref(), Some("Block too old"));
    assert_eq!(invalid(&mut ground, 4, T0 + 1_100_000, vec![]), None);
    assert_eq!(ground.state.globals().timestamp, T0 + 2_000_000);
    let late = invalid(&mut ground, 2, T0 + 1_999_999, vec![]);
    assert_eq!(late.as_deref(), Some("Block out of order"));
    let one = signed(1, transfer(11, 1, 13, 7));
    let many = invalid(&mut ground, 2, T0 + 2_000_000, vec![one.clone(); 1025]);
    assert_eq!(many.as_deref(), Some("Illegal Block Size!"));
    assert_eq!(
        invalid(&mut ground, 2, T0 + 2_000_000, vec![one; 1024]),
        None
    );

    let Some(mut ground) = Ground::standard(2) else {
        return;
    };
    assert_eq!(invalid(&mut ground, 2, T0 + 365 * 86_400_000, vec![]), None);
    assert_eq!(ground.state.globals().memory_pool, 1_000_000 + 350_400_000);
    let mut peer = ground.peer(2);
    (peer.stake, peer.balance) = (1_000_000_000_000, 1_000_000_000_000);
    ground.state.set_peer(&ground::public(2), &peer).unwrap();
    assert_eq!(invalid(&mut ground, 2, T0 + 365 * 86_400_000, vec![]), None);
    peer.balance -= 1;
    peer.timestamp = T0;
    ground.state.set_peer(&ground::public(2), &peer).unwrap();
    let poor = invalid(&mut ground, 2, T0 + 365 * 86_400_000, vec![]);
    assert_eq!(poor.as_deref(), Some("Insufficient Stake!"));
}
