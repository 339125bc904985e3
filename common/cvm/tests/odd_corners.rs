//! The odd corners of `spec/04`: what the reference does although nobody would have designed it so.

mod ground;

use cells::{Cell, Decoder, Record, RecordKind, Signed, Vector, decode_cell};
use crypto::KeyCache;
use cvm::genesis::Parameters;
use cvm::state::{Block, Transaction};
use cvm::transition::{
    BlockError, QueryError, check_signatures, detached, preview, query, try_block,
};
use ground::{Ground, T0, block, call, codes, invoke, key, multi, public, sent, signed, transfer};

/// Applies a block that must be void: one `:PEER` result a transaction, and nothing changed.
#[track_caller]
fn assert_void(ground: &mut Ground, timestamp: i64, transactions: Vec<Cell>) {
    let before = ground.hash();
    let count = transactions.len();
    let outcome = ground.apply(2, timestamp, transactions);
    assert!(outcome.invalid.is_some(), "{:?}", codes(&outcome));
    assert_eq!(codes(&outcome), vec![":PEER"; count]);
    assert!(
        outcome
            .results
            .iter()
            .all(|r| r.id.is_none() && r.log.is_none() && r.info.is_none())
    );
    assert_eq!(ground.hash(), before);
}

/// `spec/04 §3.5`, `§11` number 2.
#[test]
fn a_call_transaction_that_reaches_execution_voids_its_block() {
    let mut ground = Ground::minimal();
    let good = signed(1, transfer(11, 1, 0, 5));
    assert_void(
        &mut ground,
        T0 + 1,
        vec![good.clone(), signed(1, call(11, 2, 3, "f"))],
    );
    let child = multi(11, 1, 0, vec![call(11, 2, 3, "f")]);
    assert_void(&mut ground, T0 + 1, vec![signed(1, child)]);
    // One that fails its checks is an ordinary error.
    let outcome = ground.apply(
        2,
        T0 + 1,
        vec![
            signed(1, call(11, 7, 3, "f")),
            signed(3, call(11, 1, 3, "f")),
            good,
        ],
    );
    assert_eq!(codes(&outcome), [":SEQUENCE", ":SIGNATURE", "nil"]);
}

/// `spec/04 §3.4`, `§11` number 3: only with the funds for it.
#[test]
fn a_transfer_to_no_address_voids_its_block_if_the_funds_suffice() {
    let mut ground = Ground::minimal();
    let odd = |amount| {
        let fields = [
            Cell::Address(11),
            Cell::Long(1),
            Cell::Long(3),
            Cell::Long(amount),
        ];
        signed(1, Cell::from(Record::of_kind(RecordKind::Transfer, fields)))
    };
    assert_void(&mut ground, T0 + 1, vec![odd(7)]);
    let outcome = ground.apply(2, T0 + 1, vec![odd(999_999_999_999_999_999)]);
    assert_eq!(codes(&outcome), [":FUNDS"]);
}

/// `spec/04 §3.2` check 0, `§11` number 1.
#[test]
fn an_element_that_is_no_transaction_voids_its_block() {
    let mut ground = Ground::minimal();
    let four_fields = Record::new(
        0xd0,
        Vector::from_iter([Cell::Address(11), Cell::Long(1), Cell::Nil, Cell::Nil]),
    )
    .unwrap();
    for odd in [
        signed(1, Cell::Long(1)),
        signed(1, Cell::from(four_fields)),
        Cell::Long(7),
        Cell::Nil,
    ] {
        let text = format!("Not a signed transaction: 0x{}", odd.hash());
        assert_void(&mut ground, T0 + 1, vec![odd.clone()]);
        let outcome = ground.apply(2, T0 + 1, vec![odd]);
        assert_eq!(outcome.invalid, Some(text));
    }
}

/// `spec/04 §3.2`, `§11` number 9: the form of signed data that omits its key.
#[test]
fn signed_data_without_a_key_voids_its_block_at_the_signature_check_and_not_before() {
    let mut ground = Ground::minimal();
    let keyless = |transaction: Cell| {
        let full = signed(1, transaction).encode();
        let bytes = [&[0x91], &full[33..]].concat();
        decode_cell(&bytes, &Decoder::new()).unwrap()
    };
    for (sequence, void) in [(1, true), (2, false)] {
        let block = block(2, T0 + 1, vec![keyless(transfer(11, sequence, 0, 5))]);
        assert_eq!(ground.try_apply(&block).unwrap().invalid.is_some(), void);
    }
}

/// `spec/04 §3.6`, `§11` number 4.
#[test]
fn a_multi_without_a_vector_of_transactions_voids_its_block() {
    let mut ground = Ground::minimal();
    let odd = |children: Cell| {
        let fields = [Cell::Address(11), Cell::Long(1), Cell::Long(0), children];
        signed(1, Cell::from(Record::of_kind(RecordKind::Multi, fields)))
    };
    assert_void(&mut ground, T0 + 1, vec![odd(Cell::Nil)]);
    assert_void(
        &mut ground,
        T0 + 1,
        vec![odd(Cell::from(Vector::from_iter([Cell::Long(1)])))],
    );
}

/// `spec/04 §3.2`: of several reasons, the first in the order of the table counts.
#[test]
fn checks_of_a_transaction_come_in_their_order() {
    let mut ground = Ground::minimal();
    let outcome = ground.apply(
        2,
        T0 + 1,
        vec![
            signed(3, transfer(9999, 5, 0, 5)),
            signed(3, transfer(3, 5, 0, 5)),
            signed(3, transfer(3, 1, 0, 5)),
            signed(3, transfer(11, 1, 0, 5)),
        ],
    );
    assert_eq!(
        codes(&outcome),
        [":NOBODY", ":SEQUENCE", ":STATE", ":SIGNATURE"]
    );
    assert_eq!(
        (ground.account(11).sequence, ground.surplus()),
        (0, -1_000_000_000_000 + 1_000_000_000_000)
    );
}

/// `spec/04 §3.2`, "fee accounting trap": nobody pays, yet the fee is handed out.
#[test]
fn a_transaction_without_juice_costs_nothing_and_still_feeds_peer_and_pool() {
    let mut ground = Ground::minimal();
    let rich = ground.account(11).balance;
    ground.account_mut(11).balance = 5_009;
    let surplus = ground.surplus();
    let outcome = ground.apply(2, T0 + 1, vec![signed(1, transfer(11, 1, 0, 5))]);
    assert_eq!(codes(&outcome), [":JUICE"]);
    let (account, pool) = (ground.account(11), ground.account(0));
    assert_eq!(
        (account.sequence, account.balance, pool.balance),
        (0, 5_009, 3_500)
    );
    assert_eq!(ground.peer(2).balance, 2_000_000_003_500);
    assert_eq!(ground.surplus() - surplus, 7_000);
    assert!(rich > 5_009);
}

/// `spec/04 §4.3` branch 1: the record of the origin as its code left it, and the rest undone.
#[test]
fn an_unpaid_fee_keeps_what_the_code_did_to_its_own_account_only() {
    const CODE: &str = "(do (def x 1) (set-holding #7 :h) (set-controller #12) (transfer #13 20000) \
                        (set-key nil) (deploy nil))";
    let run = |balance: i64| {
        let mut ground = Ground::standard(1)?;
        ground.give(11, 14, balance);
        let outcome = ground.apply(2, T0 + 1, vec![signed(1, invoke(14, 1, CODE))]);
        Some((ground, outcome))
    };
    let Some((_, outcome)) = run(1_000_000) else {
        return;
    };
    assert_eq!(codes(&outcome), ["nil"], "{:?}", outcome.results);
    let juice = outcome.results[0].info.as_ref().unwrap().juice;
    // Just enough for the juice of the code, and not for the bytes of the transaction.
    let Some((ground, outcome)) = run(20_000 + (juice + 500) * 10) else {
        return;
    };
    assert_eq!(codes(&outcome), [":JUICE"], "{:?}", outcome.results);
    assert_ne!(outcome.results[0].value, Cell::from("Out of juice!"));
    let account = ground.account(14);
    assert_eq!((account.balance, account.sequence), (0, 1));
    assert!(account.environment().is_some() && account.holdings().is_some() && account.is_actor());
    assert_eq!(*account.controller(), Cell::Address(12));
    assert_eq!(
        (ground.account(13).balance, ground.state.account_count()),
        (0, 132)
    );
}

/// `spec/04 §4.6`: coins from an actor are gone again while the fee they made affordable stays due.
#[test]
fn a_memory_failure_can_leave_a_negative_balance() {
    let Some(mut ground) = Ground::standard(1) else {
        return;
    };
    ground.give(11, 14, 44_000);
    ground.account_mut(14).allowance = 0;
    let faucet = "(deploy '(defn ^:callable pay [] (transfer *caller* 100000)))";
    ground.apply(
        2,
        T0 + 1,
        vec![
            signed(1, invoke(11, 1, faucet)),
            signed(1, transfer(11, 2, 14, 0)),
        ],
    );
    let actor = ground.state.account_count() - 1;
    ground.give(11, actor, 1_000_000);
    let text = "x".repeat(40);
    let code = format!("(do (call #{actor} (pay)) (def s \"{text}\"))");
    let outcome = ground.apply(2, T0 + 1, vec![signed(1, invoke(14, 1, &code))]);
    assert_eq!(codes(&outcome), [":MEMORY"], "{:?}", outcome.results);
    let fee = outcome.results[0].info.as_ref().unwrap().fees;
    assert!(fee > 44_000);
    assert_eq!(ground.account(14).balance, 44_000 - fee);
    // And with a negative balance, nothing runs any more.
    let outcome = ground.apply(2, T0 + 1, vec![signed(1, transfer(14, 2, 0, 0))]);
    assert_eq!(
        (codes(&outcome), ground.account(14).sequence),
        (vec![":JUICE".to_owned()], 1)
    );
}

/// `spec/04 §5`: the signature of the block is not the transition's business.
#[test]
fn a_block_with_a_zeroed_signature_is_applied_as_any_other() {
    let (mut with, mut without) = (Ground::minimal(), Ground::minimal());
    let block = block(2, T0 + 1, vec![signed(1, transfer(11, 1, 0, 5))]);
    let Cell::Signed(signed) = &block else {
        panic!("{block}")
    };
    let zeroed = Signed::new(
        *signed.key().unwrap(),
        crypto::Signature::new([0; 64]),
        signed.value().unwrap(),
    );
    with.try_apply(&block).unwrap();
    without.try_apply(&Cell::from(zeroed)).unwrap();
    assert_eq!(with.hash(), without.hash());
}

/// `spec/04 §5.5`: not even the results of an invalid block could be made.
#[test]
fn a_block_without_a_vector_of_transactions_is_fatal() {
    let mut ground = Ground::minimal();
    let before = ground.hash();
    let block = Cell::from(Record::of_kind(
        RecordKind::Block,
        [Cell::Long(T0 + 1), Cell::Nil],
    ));
    let block = sent(&Cell::from(Signed::sign(&key(2), block)));
    assert!(matches!(
        ground.try_apply(&block),
        Err(BlockError::Fatal(_))
    ));
    assert_eq!(ground.hash(), before);
}

/// `spec/04 §5.4`: more than 100 operations under one due key.
#[test]
fn more_than_a_hundred_operations_of_one_time_stop_the_chain() {
    let mut ground = Ground::minimal();
    for _ in 0..101 {
        ground.state.schedule_op(T0 + 5, 11, Cell::Nil).unwrap();
    }
    assert_eq!(ground.apply(2, T0 + 4, vec![]).invalid, None);
    let before = ground.hash();
    let stuck = ground.try_apply(&block(2, T0 + 5, vec![]));
    assert!(matches!(stuck, Err(BlockError::Fatal(_))), "{stuck:?}");
    assert_eq!(ground.hash(), before);
}

/// `spec/04 §5.4`: what fails is undone alone, and nobody pays.
#[test]
fn scheduled_operations_run_free_of_charge_and_fail_alone() {
    let Some(mut ground) = Ground::standard(1) else {
        return;
    };
    let code = "(do (schedule (+ *timestamp* 5) (do (def a 1) (halt 1))) (schedule (+ *timestamp* 5) (do (def b 1) (fail :NO 1))) \
                (schedule (+ *timestamp* 5) (def c [*origin* *caller* *signer* *peer* *location* *juice-limit*])))";
    let outcome = ground.apply(2, T0 + 1, vec![signed(1, invoke(12, 1, code))]);
    assert_eq!(codes(&outcome), ["nil"], "{:?}", outcome.results);
    let (balance, allowance) = (ground.account(12).balance, ground.account(12).allowance);
    assert_eq!(ground.state.schedule().count(), 1);
    ground.apply(2, T0 + 6, vec![]);
    let account = ground.account(12);
    let environment = Cell::from(account.environment().cloned());
    let expected = cvm::reader::read("{a 1 c [#12 nil nil nil [1 0] 10000000]}").unwrap();
    assert_eq!(environment, expected);
    assert_eq!(
        (account.balance, account.allowance, account.sequence),
        (balance, allowance, 1)
    );
    assert_eq!(ground.state.schedule().count(), 0);
}

/// `spec/04 §5.4`: an operation that faults stays due for every later block.
#[test]
fn a_scheduled_host_fault_voids_every_block_from_its_time_on() {
    let mut ground = Ground::minimal();
    // A definition of a number (spec/02 §11 c).
    let fault = ground::decode("cd1101c0b01101");
    ground.state.schedule_op(T0 + 5, 11, fault).unwrap();
    assert_void(&mut ground, T0 + 5, vec![signed(1, transfer(11, 1, 0, 5))]);
    assert_void(&mut ground, T0 + 6, vec![]);
    assert_eq!(ground.apply(2, T0 + 4, vec![]).invalid, None);
}

/// `spec/04 §5.6`: a peer that was evicted in its own block gets nothing.
#[test]
fn all_fees_go_to_the_pool_when_the_peer_is_gone() {
    let Some(mut ground) = Ground::standard(2) else {
        return;
    };
    let key: String = public(2).iter().map(|b| format!("{b:02x}")).collect();
    let outcome = ground.apply(
        2,
        T0 + 1,
        vec![signed(1, invoke(12, 1, &format!("(evict-peer 0x{key})")))],
    );
    assert_eq!(codes(&outcome), ["nil"], "{:?}", outcome.results);
    let fees = outcome.results[0].info.as_ref().unwrap().fees;
    assert_eq!(ground.account(0).balance, fees);
    assert_eq!(ground.state.peers().count(), 1);
    let next = ground.apply(2, T0 + 2, vec![]);
    assert_eq!(next.invalid.as_deref(), Some("Missing Peer!"));
}

/// `spec/04 §8.6`, the worked table: rewards, and a withdrawal that takes them along.
#[test]
fn a_delegator_that_withdraws_rewards_makes_the_next_block_of_the_peer_void() {
    let Some(mut ground) = Ground::standard(2) else {
        return;
    };
    let key: String = public(2).iter().map(|b| format!("{b:02x}")).collect();
    let stake =
        |n: i64, sequence| signed(1, invoke(11, sequence, &format!("(set-stake 0x{key} {n})")));
    ground.apply(2, T0 + 1, vec![stake(99_900_000_000_000, 1)]);
    assert_eq!(
        (ground.peer(2).balance, ground.peer(2).delegated_stake),
        (199_800_000_012_225, 99_900_000_000_000)
    );
    ground.apply(2, T0 + 2, vec![stake(0, 2)]);
    assert!(ground.peer(2).delegated_stake < 0);
    assert_eq!(ground.peer(2).stakes, None);
    let before = ground.hash();
    let outcome = ground.apply(2, T0 + 3, vec![]);
    assert_eq!(outcome.invalid.as_deref(), Some("Negative multiplicand!"));
    assert_eq!(ground.hash(), before);
    assert_eq!(ground.apply(4, T0 + 3, vec![]).invalid, None);
}

/// `spec/04 §5.1`: nothing bounds the time of a block from above.
#[test]
fn a_block_from_the_far_future_is_valid_and_makes_all_others_too_old() {
    let Some(mut ground) = Ground::standard(2) else {
        return;
    };
    assert_eq!(ground.apply(2, i64::MAX, vec![]).invalid, None);
    let other = ground.apply(4, T0 + 1, vec![]);
    assert_eq!(other.invalid.as_deref(), Some("Block too old"));
}

/// A message may nest multi transactions as deep as it is long; the reference has no limit of its own
/// (`spec/04 §3.6`), and we must not exhaust the stack.
#[test]
fn multi_transactions_nest_to_any_depth() {
    let mut ground = Ground::minimal();
    let mut transaction = transfer(11, 1, 0, 5);
    for _ in 0..20_000 {
        transaction = multi(11, 1, 0, vec![transaction]);
    }
    let outcome = ground.apply(2, T0 + 1, vec![signed(1, transaction)]);
    assert_eq!(outcome.invalid, None);
    assert_eq!(codes(&outcome), ["nil"]);
    assert_eq!(outcome.results[0].info.as_ref().unwrap().juice, 200);
}

/// `spec/04 §10`.
#[test]
fn a_query_answers_as_a_transaction_would_and_leaves_the_state_alone() {
    let Some(mut ground) = Ground::standard(1) else {
        return;
    };
    let before = ground.hash();
    let command =
        cvm::reader::read("(do (def x 42) [*address* *signer* *peer* *sequence*])").unwrap();
    let mark = ground.state.mark();
    ground.account_mut(11).balance -= 1;
    let result = query(&mut ground.machine, &mut ground.state, 11, command).unwrap();
    assert_eq!(
        (result.value.to_string().as_str(), result.error),
        ("[#11 nil nil 0]", Cell::Nil)
    );
    assert!(
        result
            .info
            .is_some_and(|info| info.fees > 0 && info.memory > 0)
    );
    ground.state.rollback(mark);
    assert_eq!(ground.hash(), before);

    let missing = query(&mut ground.machine, &mut ground.state, 9999, Cell::Nil).unwrap();
    assert_eq!(missing.error.to_string(), ":NOBODY");
    let fault = ground::decode("cd1101c0b01101");
    let fault = query(&mut ground.machine, &mut ground.state, 11, fault);
    assert!(matches!(fault, Err(QueryError::HostFault(_))), "{fault:?}");
    assert_eq!(ground.hash(), before);
}

/// What somebody is shown before a transaction is signed is what comes: value, fees, memory, and everything in the account.
#[test]
fn a_preview_comes_to_what_a_block_with_the_transaction_alone_comes_to() {
    let transactions = [
        transfer(11, 1, 0, 5),
        transfer(11, 1, 9_999, 5),
        invoke(11, 1, "(do (def x [1 2 3]) (transfer #0 7))"),
        invoke(11, 1, "(do (def x 1) (fail :NO))"),
    ];
    for transaction in transactions {
        let (Some(mut shown), Some(mut ground)) = (Ground::standard(1), Ground::standard(1)) else {
            return;
        };
        let kind = Transaction::from_cell(&transaction).unwrap().unwrap().kind;
        let result = preview(&mut shown.machine, &mut shown.state, 11, kind).unwrap();
        let outcome = ground.apply(2, T0, vec![signed(1, transaction.clone())]);
        assert_eq!(vec![result], outcome.results, "{transaction}");
        assert_eq!(shown.account(11), ground.account(11), "{transaction}");
        assert_eq!(shown.account(11).sequence, 1);
        let (pool, real) = (shown.state.globals(), ground.state.globals());
        assert_eq!(pool.memory_coins, real.memory_coins, "{transaction}");
        assert_eq!(pool.memory_pool, real.memory_pool, "{transaction}");
    }
}

/// `spec/06 §6.3`: a transaction as a query. Its size counts as it is, its sequence number does not.
#[test]
fn a_detached_transaction_of_any_sequence_is_executed_and_leaves_the_state_alone() {
    let key = public(1);
    let state = cvm::genesis::genesis(&Parameters::new(key, key, &[key])).unwrap();
    let mut ground = Ground::new(state);
    let before = ground.hash();
    let mut outcome = |transaction: Cell| {
        let transaction = Transaction::from_cell(&transaction).unwrap().unwrap();
        let result = detached(&mut ground.machine, &mut ground.state, transaction).unwrap();
        assert_eq!(ground.hash(), before);
        let info = result.info.unwrap();
        let shown = format!("{} {}", result.value, result.error);
        (shown, info.juice, info.fees)
    };
    let is = |value: &str, juice, fees| (format!("{value} nil"), juice, fees);
    assert_eq!(outcome(invoke(11, 1, "(+ 1 2)")), is("3", 581, 13_810));
    assert_eq!(outcome(invoke(11, 7, "(+ 1 2)")), is("3", 581, 13_810));
    assert_eq!(outcome(invoke(11, 0, "*sequence*")), is("0", 50, 8_900));
    assert_eq!(outcome(invoke(11, 1, "*sequence*")), is("0", 50, 9_100));
    assert_eq!(outcome(transfer(11, 1, 12, 1_000)), is("1000", 200, 9_200));
    let children = vec![
        invoke(11, 1, "(def y 7)"),
        transfer(11, 2, 12, 10),
        invoke(11, 3, "(fail :INNER 1)"),
    ];
    for (mode, error, juice, fees) in [
        (0, "nil", 545, 22_450),
        (1, ":CHILD", 545, 22_650),
        (2, "nil", 555, 22_750),
        (3, "nil", 545, 22_650),
    ] {
        let (shown, of_juice, of_fees) = outcome(multi(11, 1, mode, children.clone()));
        assert!(shown.ends_with(error), "{shown}");
        assert_eq!((of_juice, of_fees), (juice, fees), "{mode}");
    }
    let nobody = "\"Account does not exist\" :NOBODY".to_owned();
    assert_eq!(outcome(invoke(99_999, 1, "1")), (nobody, 0, 0));

    let fault = Transaction::from_cell(&call(11, 1, 11, "f"))
        .unwrap()
        .unwrap();
    let fault = detached(&mut ground.machine, &mut ground.state, fault);
    assert!(matches!(fault, Err(QueryError::HostFault(_))), "{fault:?}");
    assert_eq!(ground.hash(), before);
}

/// A peer looks at what its own block would do before it offers it (`spec/04 §11`).
#[test]
fn trying_a_block_leaves_the_state_alone() {
    let mut ground = Ground::minimal();
    let before = ground.hash();
    let good = block(2, T0 + 1, vec![signed(1, transfer(11, 1, 0, 5))]);
    let Cell::Signed(good) = &good else {
        panic!("{good}")
    };
    let tried = try_block(&mut ground.machine, &mut ground.state, good).unwrap();
    assert_eq!(
        (codes(&tried), ground.hash()),
        (vec!["nil".to_owned()], before)
    );
    let applied = ground.try_apply(&Cell::from(good.clone())).unwrap();
    assert_eq!(applied, tried);
}

/// Shared cells can claim more transactions than fit in any memory (`spec/04 §5.1`, block size).
#[test]
fn a_block_that_claims_countless_transactions_is_void_and_answered_within_bounds() {
    let mut ground = Ground::minimal();
    let before = ground.hash();
    let mut many: Vector = (0..16).map(|_| signed(1, transfer(11, 1, 0, 5))).collect();
    while many.count() < 1 << 40 {
        many = many.clone().concat(&many).unwrap();
    }
    let value = Block {
        timestamp: T0 + 1,
        transactions: many,
    };
    let block = Signed::sign(&ground::key(2), value.to_cell());
    check_signatures(std::slice::from_ref(&block), &KeyCache::new(16), &[0; 32]).unwrap();
    let outcome = ground.try_apply(&Cell::from(block)).unwrap();
    assert_eq!(outcome.invalid.as_deref(), Some("Illegal Block Size!"));
    assert_eq!(outcome.results.len(), 65_536);
    assert_eq!(ground.hash(), before);
}
