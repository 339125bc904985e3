//! Vectors that the reference holds as views of arguments, and where it fails at them (`natives/leaf_views.rs`). What
//! each expression is was found out from the running reference. The core library is needed, so this runs on the genesis of
//! the shared vectors.

use cells::{Cell, Decoder, decode_message, encode_message};
use cvm::state::State;
use cvm::{Context, Exit, Machine, Rules, Start, juice};

/// What an expression makes, as it shows when that is appended to other vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A sequence that can be appended to anything.
    Plain,
    /// Its leaves stay views in what it is appended to.
    View,
    /// It holds a leaf that is a view: appended at the start of a leaf, it is a host fault.
    Holds,
    /// The expression itself is a host fault.
    Faults,
}

use Class::{Faults, Holds, Plain, View};

const CASES: &[(&str, Class)] = &[
    // who is a view
    ("v16", View),
    ("v48", View),
    ("(concat v48)", View),
    ("(concat nil v48 nil)", View),
    ("(into nil v48)", View),
    ("(slice v48 3 19)", View),
    ("(slice v48 0 48)", View),
    ("(next v48)", View),
    ("(apply vector q48)", View),
    ("(apply (fn [a & r z] r) q48)", View),
    ("(let [[& r] s] r)", View),
    ("((fn [[& r]] r) s)", View),
    ("(let [[a & r] s] r)", Plain),
    ("(let [[& r a] s] r)", Plain),
    ("(let [[& r] l] r)", Plain),
    ("(let [[& r] m] r)", Plain),
    ("(keys m)", View),
    ("(values m)", View),
    ("(vec s)", View),
    ("(concat s)", View),
    ("(next s)", View),
    ("l", View),
    ("s", View),
    ("(reverse v48)", View),
    // who is not
    ("(vec v48)", Plain),
    ("(into v48 nil)", Plain),
    ("(concat v48 [])", Plain),
    ("(conj v48 1)", Plain),
    ("(assoc v48 3 1)", Plain),
    ("(map inc v48)", Plain),
    ("(reverse (reverse v48))", Plain),
    ("(reverse l)", Plain),
    ("(vec l)", Plain),
    ("(vec m)", Plain),
    ("m", Plain),
    ("(next m)", Plain),
    ("(let [[& r] v48] r)", Plain),
    ("(let [[a & r] l] r)", Plain),
    ("(slice q48 1 40)", Plain),
    // leaves that stay views
    ("t", Holds),
    ("tt", Holds),
    ("(concat [] v48)", Holds),
    ("(concat [] v33)", Plain),
    ("(concat q15 v17)", Plain),
    ("(concat q15 v33)", Holds),
    ("(concat q16 v17)", Plain),
    ("(concat q16 v33)", Holds),
    ("(concat q32 v16)", Holds),
    ("(concat q32 l)", Holds),
    ("(concat q32 s)", Holds),
    ("(concat q32 m)", Plain),
    ("(concat q32 (vec v48))", Plain),
    ("(concat q240 v16)", Holds),
    ("(concat q240 v33)", Holds),
    ("(concat q240 v48)", Holds),
    ("(concat q240 v80)", Holds),
    ("(concat q256 v33)", Plain),
    ("(concat q256 v48)", Holds),
    ("(concat v48 v16)", Holds),
    ("(into q32 v48)", Holds),
    ("(into [] s)", Holds),
    ("(into [] m)", Plain),
    ("(reverse (into () v48))", Holds),
    ("(reverse (concat () l))", Plain),
    ("(mapcat (fn [x] v48) [1])", Holds),
    ("(reverse (reverse t))", Holds),
    ("(vec t)", Holds),
    ("(conj t 1)", Holds),
    ("(concat t [1])", Holds),
    ("(concat t nil)", Holds),
    ("(concat t [])", Holds),
    ("(into tt nil)", Holds),
    ("(assoc t 0 1)", Holds),
    ("(assoc t 33 1)", Holds),
    ("(reduce (fn [x i] (assoc x i 1)) t [33 50 70])", Plain),
    ("(do (def x t) x)", Holds),
    ("(eval (list 'quote t))", Holds),
    ("(first (values {1 t}))", Holds),
    ("(let [[& r] tt] r)", Holds),
    ("(reverse (conj (reverse t) 1))", Holds),
    ("(reverse (concat (reverse q16) (reverse t)))", Holds),
    // where they are host faults
    ("(concat [] t)", Faults),
    ("(concat q16 t)", Faults),
    ("(concat v48 t)", Faults),
    ("(concat [1] q15 t)", Faults),
    ("(concat t t)", Faults),
    ("(concat tt tt)", Holds),
    ("(into [] t)", Faults),
    ("(into () t)", Faults),
    ("(into #{} t)", View),
    ("(concat #{} t)", Faults),
    ("(concat #{1} t)", Plain),
    ("(apply concat [[] t])", Faults),
    ("(mapcat (fn [x] t) [1])", Faults),
    ("(mapcat (fn [x] [x]) t)", Plain),
    ("(concat (reverse t) (reverse q16))", Faults),
    ("(concat (reverse t) '(1))", View),
    ("(concat (reverse t) ())", View),
    ("(concat () t)", View),
    ("(slice t 0 80)", Faults),
    ("(slice tt 0 85)", Holds),
    ("(slice tt 0 80)", Faults),
    ("(slice tt 80 85)", Plain),
    ("(slice t 0 32)", Plain),
    ("(slice t 0 33)", Faults),
    ("(slice t 16 47)", Faults),
    ("(slice t 48 48)", Plain),
    ("(slice t 64 70)", Faults),
    ("(slice t 1 80)", Plain),
    ("(slice t 17 79)", Plain),
    ("(slice (concat q240 v48) 256 272)", Plain),
    ("(slice (concat q240 v48) 272 288)", Plain),
    ("(slice (concat q240 v80) 288 304)", Faults),
    ("(slice (reverse t) 0 80)", View),
    ("(slice (reverse t) 0 79)", View),
    ("(slice (reverse t) 1 80)", Faults),
    ("(next t)", Plain),
    ("(next (reverse t))", Faults),
    ("(next (next (reverse tt)))", Faults),
    ("(let [[& r] t] r)", Faults),
    ("(let [[& r z] t] r)", Faults),
    ("(let [[a & r] t] r)", Plain),
    ("(let [[_ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ & r] t] r)", Faults),
    ("(let [[a & r] (reverse t)] r)", Plain),
    ("(apply vector t)", View),
    ("(map inc t)", Plain),
    ("(cons 1 t)", View),
];

/// The names that the expressions use: `q` and a number are that many quoted elements, `v` are elements of a literal.
fn prelude() -> String {
    let numbers = |n: u32| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(" ");
    let mut names = String::new();
    for n in [15, 16, 32, 48, 240, 256] {
        names += &format!("q{n} (quote [{}]) ", numbers(n));
    }
    for n in [16, 17, 33, 48, 53, 80] {
        names += &format!("v{n} [{}] ", numbers(n));
    }
    let pairs: String = (0..48).map(|i| format!("{i} {i} ")).collect();
    let elements = numbers(48);
    names
        + &format!(
            "l (list {elements}) s #{{{elements}}} m {{{pairs}}} t (concat q32 v48) tt (concat q32 v53)"
        )
}

struct Bench {
    machine: Machine,
    state: State,
}

impl Bench {
    /// `None`, said aloud, where there are no vectors.
    fn new() -> Option<Self> {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../shared/vectors/genesis-085.bin"
        );
        let Ok(genesis) = std::fs::read(path) else {
            println!("skipped: no ../shared/vectors");
            return None;
        };
        let genesis = decode_message(&genesis, &Decoder::new()).unwrap();
        Some(Self {
            machine: Machine::new(Rules::latest()),
            state: State::from_cell(&genesis).unwrap(),
        })
    }

    /// True when the expression has a value, false when it is a host fault.
    fn has_value(&mut self, expression: &str) -> bool {
        let source = format!("(let [{}] (do {expression} 1))", prelude());
        let form = cvm::reader::read(&source).unwrap();
        self.run(&form)
    }

    fn run(&mut self, form: &Cell) -> bool {
        let start = Start {
            origin: 13,
            limit: juice::TRANSACTION_LIMIT,
            location: (0, 0),
            signer: None,
            peer: None,
        };
        match Context::new(&mut self.machine, &mut self.state, start).run(form) {
            Ok(_) => true,
            Err(Exit::Abort(_)) => false,
            Err(other) => panic!("{form}: {other:?}"),
        }
    }
}

#[test]
fn views_come_from_and_stay_and_fail_where_they_do_in_the_reference() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    for (expression, expected) in CASES {
        let appended = format!("(concat q16 {expression})");
        let twice = format!("(concat q16 (concat q32 {expression}))");
        let class = match [expression, &*appended, &*twice].map(|e| bench.has_value(e)) {
            [true, true, true] => Plain,
            [true, true, false] => View,
            [true, false, false] => Holds,
            [false, false, false] => Faults,
            other => panic!("{expression}: {other:?}"),
        };
        assert_eq!(class, *expected, "{expression}");
    }
}

#[test]
fn a_view_stays_one_in_the_environment_until_it_is_decoded_anew() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    assert!(bench.has_value("(def held t)"));
    assert!(bench.has_value("(concat [1] held)"));
    assert!(!bench.has_value("(concat [] held)"));
    let message = encode_message(&bench.state.to_cell().unwrap()).unwrap();
    let state = decode_message(&message, &Decoder::new()).unwrap();
    bench.state = State::from_cell(&state).unwrap();
    assert!(bench.has_value("(concat [] held)"));
}
