//! Corners of execution that the network's code has and that a clean design would not, each as the reference has it:
//! value or error, and juice. They need the core library, so they run on the genesis of the shared vectors.

use cells::{Decoder, decode_message};
use cvm::state::State;
use cvm::{Context, Exit, Machine, Rules, Start, juice};

/// Program, printed value or `!:CODE`, juice.
const CASES: &[(&str, &str, u64)] = &[
    // A compiled op stays in the result register while `unquote` runs it (`spec/02 §7.11`); a `try` inside `unquote`
    // loses its effects (§4.7); `query` leaves offers and limits changed (§7.6); a recur of `eval` and of expanders
    // starts them again (§10.2); and so on through §7 to §10 and `spec/03 §1.6`.
    ("~~*result*", "nil", 790),
    ("(do 5 ~*result*)", "5", 770),
    ("~(try 1 2)", "1", 1005),
    (
        "(do (def a 1) ~(try (do (def b 2) 5) 6) [(defined? 'a) (defined? 'b)])",
        "[true false]",
        5040,
    ),
    (
        "[~(do (def c 3) (try (def d 4) 1) (def e 5) 7) (defined? 'c) (defined? 'd) (defined? 'e)]",
        "[7 true false false]",
        6455,
    ),
    (
        "[~(do (transfer #12 100) (try (transfer #12 50) 1) 5) *balance*]",
        "[5 99899999999900]",
        3710,
    ),
    ("~(do (try (fail :a) (do (def zz 1) 2)) 3)", "3", 3340),
    (
        "(do (query (transfer #12 99899999999000)) *juice-limit*)",
        "!:JUICE",
        0,
    ),
    (
        "(do (try (do (transfer #12 99890000000000) (fail :x)) 2) *juice-limit*)",
        "10000000",
        2470,
    ),
    (
        "(let [a (deploy '(defn ^:callable f [] (accept 10) (query (accept 10)) *offer*))] [(call a 100 (f)) *balance* (balance a)])",
        "[80 99899999999980 10]",
        12095,
    ),
    (
        "(let [a (deploy '(defn ^:callable f [] (try (do (accept 10) (fail :x)) *offer*)))] [(call a 100 (f)) *balance* (balance a)])",
        "[100 99900000000000 0]",
        12225,
    ),
    (
        "(do (defn ^:callable check-trusted? [s a o] (def trace [s a o *scope* *caller*]) true) (let [a (deploy '(set-controller [#13 :x]))] [(eval-as a '(+ 1 2)) trace]))",
        "[3 [#13 :control #132 :x #13]]",
        11591,
    ),
    (
        "(loop [a 1 & 2] (if (= a 1) (recur 5 6 7) a))",
        "!:ARITY",
        3985,
    ),
    ("(let [a 1] (do (set! a (do (set! a 5) 6)) a))", "6", 3130),
    (
        "(do (def ^{:static true} s 5) (def g (fn [] s)) (def s 6) [(g) s])",
        "[6 6]",
        3615,
    ),
    (
        "(do (def *lang* (fn [x] (return (compile 7)))) (eval-as *address* '(+ 1 2)))",
        "7",
        3385,
    ),
    (
        "(do (def ^:expander rr (fn [x e] (recur 1 e))) (eval '(rr)))",
        "!:JUICE",
        10000000,
    ),
    (
        "(do (def ^:expander rr (fn [x e] (halt 5))) (rr) 7)",
        "!:ARITY",
        2450,
    ),
    ("(eval '(recur))", "!:ARITY", 1395),
    ("(loop [i 0] (eval '(recur 5)))", "5", 2850),
    ("(deploy '(do (def a 1) (rollback 7)))", "#132", 2860),
    (
        "(reduce (fn [acc & r] (list acc r)) nil [1 2 3])",
        "(((nil [3]) [3]) [3])",
        3085,
    ),
    (
        "(map (fn [f] (f)) (reduce (fn [acc & r] (conj acc (fn [] r))) [] [1 2 3]))",
        "[[3] [3] [3]]",
        5275,
    ),
];

#[test]
fn oddities_of_execution_are_those_of_the_network() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/vectors/genesis-085.bin"
    );
    let Ok(genesis) = std::fs::read(path) else {
        println!("skipped: no ../shared/vectors");
        return;
    };
    let genesis = decode_message(&genesis, &Decoder::new()).unwrap();
    let mut state = State::from_cell(&genesis).unwrap();
    let mut machine = Machine::new(Rules::latest());
    for (source, expected, used) in CASES {
        let form = cvm::reader::read(source).unwrap();
        let mark = state.mark();
        let start = Start {
            origin: 13,
            limit: juice::TRANSACTION_LIMIT,
            location: (-1, 0),
            signer: None,
            peer: None,
        };
        let mut ctx = Context::new(&mut machine, &mut state, start);
        let seen = match ctx.run(&form) {
            Ok(value) => value.to_string(),
            Err(Exit::Error(error)) => format!("!{}", error.code),
            Err(Exit::Juice) => "!:JUICE".to_owned(),
            Err(other) => format!("!{other:?}"),
        };
        assert_eq!((seen.as_str(), ctx.juice()), (*expected, *used), "{source}");
        state.rollback(mark);
    }
}
