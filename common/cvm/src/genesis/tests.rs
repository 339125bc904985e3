//! Tests of the genesis state.

use std::sync::OnceLock;

use cells::{Cell, Keyword, Map};

use super::*;
use crate::env::CORE;
use crate::state::{Account, MAX_COINS};

/// Keys of 32 equal bytes stand for everybody here; nothing is signed.
const GOVERNANCE: [u8; 32] = [3; 32];
const GENESIS: [u8; 32] = [1; 32];
const PEER: [u8; 32] = [2; 32];
const OTHER_PEER: [u8; 32] = [4; 32];

fn parameters() -> Parameters {
    Parameters::new(GOVERNANCE, GENESIS, &[PEER])
}

/// The state for one peer. Built once: every library is compiled for it.
fn state() -> State {
    static CELL: OnceLock<Cell> = OnceLock::new();
    let cell = CELL.get_or_init(|| genesis(&parameters()).unwrap().to_cell().unwrap());
    State::from_cell(cell).unwrap()
}

fn account(state: &State, address: u64) -> Account {
    state.account(address).unwrap().unwrap().clone()
}

/// Runs a program as #11 in the state for one peer.
fn eval(source: &str) -> String {
    eval_as(11, source)
}

/// Runs a program as any account.
fn eval_as(origin: u64, source: &str) -> String {
    let mut state = state();
    let mut machine = Machine::new(Rules::latest());
    let start = Start {
        origin,
        limit: FORM_LIMIT,
        location: (-1, 0),
        signer: None,
        peer: None,
    };
    let form = crate::reader::read(source).unwrap();
    match Context::new(&mut machine, &mut state, start).run(&form) {
        Ok(value) => value.to_string(),
        Err(Exit::Error(error)) => format!("!{}", error.code),
        Err(other) => format!("!{other:?}"),
    }
}

#[track_caller]
fn check(table: &[(&str, &str)]) {
    for (source, expected) in table {
        assert_eq!(eval(source), *expected, "{source}");
    }
}

/// The account record in hex, with names in place of the keys.
fn record(state: &State, address: u64) -> String {
    let mut hex: String = account(state, address)
        .to_cell()
        .encode()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    for (name, byte) in [
        ("<gov>", "03"),
        ("<gen>", "01"),
        ("<peer>", "02"),
        ("<other>", "04"),
    ] {
        hex = hex.replacen(&format!("3120{}", byte.repeat(32)), name, 1);
    }
    hex
}

#[test]
fn the_coins_add_up_to_the_supply() {
    let peers = [PEER, OTHER_PEER, [5; 32]];
    for n in 1..=3 {
        let state = genesis(&Parameters::new(GOVERNANCE, GENESIS, &peers[..n])).unwrap();
        assert_eq!(
            state.total_coins().unwrap(),
            i128::from(MAX_COINS),
            "{n} peers"
        );
        assert_eq!(
            state.coin_supply().unwrap(),
            1_000_000_000_000_000,
            "{n} peers"
        );
        let allowances: i64 = (0..state.account_count())
            .map(|a| account(&state, a).allowance)
            .sum();
        assert_eq!(allowances, 53 * 10_000);
    }
}

#[test]
fn key_dependent_accounts_are_those_of_the_standard_layout() {
    let state = state();
    assert_eq!(state.account_count(), 132);
    // spec/04 §12.6, with the keys left out.
    let expected = [
        (0, "d809100010100000000000"),
        (1, "d809100010100000000000"),
        (2, "d80910<gov>17038d7ea4c68000100000000000"),
        (3, "d80910<gov>18037112afa04c00001000ea02000000"),
        (4, "d80910<gov>180a4502144dca00001000ea02000000"),
        (5, "d80910<gov>17238520c676e0001000ea02000000"),
        (6, "d80910<gov>1600e8d4a510001000ea02000000"),
        (7, "d80910<gen>1600e8d4a510001000ea02000000"),
        (
            11,
            "d80910<gen>17016256d1718d2012271000ea0782023205746f727573ea42320366756eea4082023205746f7275738201330673\
             7461746963b1320366756e82013306737461746963b100",
        ),
        (12, "d80910<gen>17016b6f200d600012271000ea07000000"),
        (13, "d80910<gen>1012271000ea07000000"),
        (63, "d80910<gen>1012271000ea07000000"),
        (78, "d8091000101000ea07000000"),
        (127, "d8091000101000ea07000000"),
    ];
    for (address, hex) in expected {
        assert_eq!(record(&state, address), hex, "#{address}");
    }
}

#[test]
fn markets_and_actors_have_their_controllers_and_coins() {
    let state = state();
    let expected = [
        (8, None, 0),
        (9, Some(6), 0),
        (10, Some(6), 0),
        (66, Some(2), 0),
        (77, Some(6), 0),
    ];
    let currencies = [
        (128, Some(2), 0),
        (129, Some(66), 5_000_000_000_000),
        (130, Some(2), 0),
        (131, Some(66), 5_000_002_700_000),
    ];
    for (address, controller, balance) in expected.into_iter().chain(currencies) {
        let account = account(&state, address);
        assert_eq!(
            *account.controller(),
            controller.map_or(Cell::Nil, Cell::Address),
            "#{address}"
        );
        assert_eq!(
            (account.balance, account.sequence, account.allowance),
            (balance, 0, 0),
            "#{address}"
        );
        assert!(
            account.is_actor() && account.parent().is_none(),
            "#{address}"
        );
    }
}

#[test]
fn peers_share_evenly_and_what_does_not_divide_goes_to_the_last() {
    let even = genesis(&Parameters::new(GOVERNANCE, GENESIS, &[PEER, OTHER_PEER])).unwrap();
    for (number, key) in [PEER, OTHER_PEER].iter().enumerate() {
        let peer = even.peer(key).unwrap().unwrap();
        assert_eq!(
            (peer.stake, peer.balance, peer.timestamp),
            (99_900_000_000_000, 99_900_000_000_000, -1)
        );
        assert_eq!(peer.controller, Some(12 + number as u64));
        assert_eq!(
            account(&even, 12 + number as u64).balance,
            199_800_000_000_000
        );
    }
    assert_eq!(account(&even, 12).key(), Some(&GENESIS));
    assert_eq!(account(&even, 13).key(), Some(&OTHER_PEER));
}

#[test]
fn an_own_stake_is_paid_by_the_controller() {
    let mut asked = parameters();
    asked.peers[0].stake = Some(1_000_000_000_000);
    let state = genesis(&asked).unwrap();
    assert_eq!(state.peer(&PEER).unwrap().unwrap().stake, 1_000_000_000_000);
    assert_eq!(
        account(&state, 12).balance,
        399_600_000_000_000 + 199_800_000_000_000 - 1_000_000_000_000
    );
    assert_eq!(state.total_coins().unwrap(), i128::from(MAX_COINS));
}

#[test]
fn parameters_that_make_no_network_are_refused() {
    let with = |peers: &[[u8; 32]]| genesis(&Parameters::new(GOVERNANCE, GENESIS, peers));
    assert!(matches!(with(&[]), Err(GenesisError::PeerCount(0))));
    let many: Vec<_> = (0..=MAX_PEERS as u8).map(|i| [i; 32]).collect();
    assert!(matches!(with(&many), Err(GenesisError::PeerCount(52))));
    assert!(matches!(
        with(&[PEER, OTHER_PEER, PEER]),
        Err(GenesisError::SamePeer(0, 2))
    ));
    let stake = |stake| {
        let mut asked = parameters();
        asked.peers[0].stake = Some(stake);
        genesis(&asked)
    };
    assert!(matches!(
        stake(-1),
        Err(GenesisError::Stake { peer: 0, .. })
    ));
    assert!(matches!(
        stake(i64::MAX),
        Err(GenesisError::Stake { peer: 0, .. })
    ));
    assert!(matches!(
        stake(999_999_999_999),
        Err(GenesisError::NoValidPeer(_))
    ));
}

#[test]
fn the_same_parameters_give_the_same_hash_and_others_another() {
    let hash = |p: &Parameters| genesis(p).unwrap().hash().unwrap();
    assert_eq!(hash(&parameters()), hash(&parameters()));
    let later = Parameters {
        timestamp: INITIAL_TIMESTAMP + 1,
        ..parameters()
    };
    assert_ne!(hash(&parameters()), hash(&later));
}

#[test]
fn every_name_leads_to_its_account() {
    check(&[
        (
            "(map (fn [x] (#9/resolve x)) '[init convex.core convex.registry convex.cns convex.trust])",
            "[#1 #8 #9 #9 #10]",
        ),
        (
            "(map (fn [x] (#9/resolve x)) '[convex.fungible convex.asset torus.exchange])",
            "[#64 #65 #66]",
        ),
        (
            "(map (fn [x] (#9/resolve x)) '[asset.nft.simple asset.nft.basic asset.box.actor asset.box])",
            "[#67 #68 #69 #70]",
        ),
        (
            "(map (fn [x] (#9/resolve x)) '[asset.multi-token asset.wrap.convex])",
            "[#71 #72]",
        ),
        (
            "(map (fn [x] (#9/resolve (symbol (str \"convex.trust.\" x)))) [\"ownership-monitor\" \"delegate\" \"whitelist\" \"monitors\"])",
            "[#73 #74 #75 #76]",
        ),
        (
            "(map (fn [x] (#9/resolve x)) '[convex.governance currency.USDF currency.GBPF])",
            "[#77 #128 #130]",
        ),
        ("(#9/read 'convex.cns)", "[#9 #6 nil [#9 []]]"),
        ("(#9/read 'init)", "[#1 #1 nil nil]"),
        (
            "#9/cns-owners",
            "{[\"convex\" \"trust\"] #6,[\"currency\"] #6,[\"torus\"] #6,[\"asset\" \"wrap\"] #6,[\"asset\"] #6,[\"asset\" \"box\"] #6,[\"convex\"] #6,[\"asset\" \"nft\"] #6,[] #6}",
        ),
    ]);
}

#[test]
fn accounts_that_do_not_register_themselves_have_an_entry() {
    for address in [
        2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 64, 65, 66, 67, 68, 69, 70, 71, 128, 130,
    ] {
        let source = format!("(str? (:name (call #9 (lookup #{address}))))");
        assert_eq!(eval(&source), "true", "#{address}");
    }
}

/// Metadata of the definitions of an account.
fn metadata(state: &State, address: u64) -> Vec<(String, Map)> {
    let metadata = account(state, address)
        .metadata()
        .cloned()
        .unwrap_or_else(Map::empty);
    metadata
        .iter()
        .map(|entry| match entry.unwrap() {
            (symbol, Cell::Map(metadata)) => (symbol.to_string(), metadata),
            (symbol, other) => panic!("metadata of {symbol}: {other}"),
        })
        .collect()
}

fn keyword(name: &'static str) -> Cell {
    Cell::from(Keyword::literal(name))
}

#[test]
fn everything_in_the_core_account_is_documented() {
    let state = state();
    let all = metadata(&state, CORE);
    for (symbol, metadata) in &all {
        assert!(metadata.contains(&keyword("doc")).unwrap(), "{symbol}");
    }
    // As many as in the networks in operation (spec/04 §12.5).
    assert_eq!(all.len(), 230);
    assert_eq!(account(&state, CORE).environment().unwrap().count(), 230);
}

#[test]
fn every_example_of_a_macro_or_library_function_gives_its_result() {
    let mut run = 0;
    for (symbol, metadata) in metadata(&state(), CORE) {
        // Those of native functions are tested beside their table.
        if metadata.contains(&keyword("static")).unwrap() {
            continue;
        }
        let Some(Cell::Map(doc)) = metadata.get(&keyword("doc")).unwrap() else {
            panic!("{symbol} has no doc")
        };
        let Some(Cell::Vector(examples)) = doc.get(&keyword("examples")).unwrap() else {
            continue;
        };
        for example in examples.iter() {
            let Cell::Map(example) = example.unwrap() else {
                panic!("{symbol}: an example that is no map")
            };
            let text = |key| match example.get(&keyword(key)).unwrap() {
                Some(Cell::Str(text)) => Some(String::from_utf8(text.to_vec().unwrap()).unwrap()),
                _ => None,
            };
            if let (Some(code), Some(result)) = (text("code"), text("result")) {
                assert_eq!(eval(&code), result, "example of {symbol}: {code}");
                run += 1;
            }
        }
    }
    assert!(run > 50, "only {run} examples");
}

#[test]
fn libraries_answer_as_those_of_networks_in_operation() {
    let files = [
        include_str!("../../lisp/cases/core.txt"),
        include_str!("../../lisp/cases/registry-and-trust.txt"),
        include_str!("../../lisp/cases/fungible-and-asset.txt"),
        include_str!("../../lisp/cases/nft-box-multi-wrap.txt"),
        include_str!("../../lisp/cases/monitors.txt"),
        include_str!("../../lisp/cases/torus.txt"),
    ];
    let mut wrong = Vec::new();
    let mut run = 0;
    for file in files {
        let mut lines = file
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with(';'));
        while let Some(line) = lines.next() {
            let expected = lines
                .next()
                .and_then(|line| line.strip_prefix("=> "))
                .expect("a value after each source");
            let (origin, source) =
                match line.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
                    Some((origin, source)) => (origin.parse().unwrap(), source),
                    None => (11, line),
                };
            let value = eval_as(origin, source);
            if value != expected {
                wrong.push(format!("{line}\n  expected {expected}\n  got      {value}"));
            }
            run += 1;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {run} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(run > 1_700, "only {run} cases");
}

#[test]
fn natives_are_constants_in_the_library() {
    // What a user binds to a name of the core does not reach into the library.
    check(&[
        (
            "(do (def count 1) (def reduce 2) (filter number? [1 :a 2]))",
            "[1 2]",
        ),
        ("(do (def apply 1) (update {:a 1} :a inc))", "{:a 2}"),
    ]);
}

#[test]
fn macros_expand_as_programs_expect() {
    check(&[
        ("(expand-1 '(and 1 2 3))", "(cond 1 (and 2 3) *result*)"),
        ("(expand-1 '(or 1 2 3))", "(cond 1 *result* (or 2 3))"),
        (
            "(expand-1 '(if-let [a b] c d))",
            "(cond b (let [a *result*] c) d)",
        ),
        (
            "(expand-1 '(call a 5 (f b c)))",
            "(call* a 5 (quote f) b c)",
        ),
        ("(let [a 10] (for [x [1 2]] a))", "[[] [[]]]"),
        ("``(a ~(b ~(+ 1 2)))", "(quasiquote (a (unquote (b 3))))"),
        (
            "`(1 ~(+ 1 2) [~(inc 4)] {:a ~:b} #{~7})",
            "(1 3 [5] (hash-map :a :b) (hash-set 7))",
        ),
        ("(if 1)", "!:ARITY"),
        ("(call #9 foo)", "!:COMPILE"),
        ("(import foo.bar :as a)", "!:NOBODY"),
        ("(import convex.asset :as :foo)", "!:SYNTAX"),
    ]);
}

#[test]
fn tokens_boxes_and_markets_work_together() {
    check(&[
        (
            "(let [t (deploy (#64/build-token {:supply 1000}))] [(#65/transfer #12 [t 10]) (#65/balance t #12) (#65/balance t)])",
            "[10 10 990]",
        ),
        (
            "(let [t (deploy (#64/build-token {:supply 1000}) (#64/add-mint {:max-supply 2000}))] (#64/mint t 1001))",
            "!:STATE",
        ),
        (
            "(let [b (#70/create)] (#72/wrap 100) [(#70/insert b [#72 60]) (#65/balance #72) (#70/remove b [#72 60]) (#70/burn #{(second b)})])",
            "[{0 {#72 60}} 40 [100 {}] nil]",
        ),
        (
            "[(#66/price #128) (#66/price #128 #130) (#66/buy-quote #128 100) (#66/sell-quote #128 100 #130)]",
            "[1.0E7 0.7874015748031497 1001200241 78]",
        ),
        (
            "[(#66/buy-tokens #128 100) (#66/sell #128 100 #130) (#66/add-liquidity #128 100)]",
            "[1001200241 78 316227]",
        ),
        ("(#10/trusted? (#76/delegate #1 #2 #3) #1)", "true"),
        ("(#10/trusted? [#75 nil] #13)", "!:ARGUMENT"),
        ("(#9/create 'convex.foo #11)", "!:TRUST"),
    ]);
}

#[test]
fn a_symbol_of_the_library_is_never_callable_from_outside() {
    let all = metadata(&state(), CORE);
    for (symbol, metadata) in &all {
        assert!(
            !metadata.contains(&keyword("callable")).unwrap(),
            "{symbol}"
        );
    }
    // Every function has a metadata entry, so asking whether it is callable is no host fault (spec/03 §1.6).
    assert_eq!(eval("(callable? #8 'quasiquote*)"), "false");
}
