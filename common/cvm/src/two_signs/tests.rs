//! Expected values are those of the reference, of forms and of ops that were decoded.

use cells::{Cell, Decoder, decode_message, encode_message};

use crate::context::{Context, Machine, Start};
use crate::exit::Exit;
use crate::juice;
use crate::rules::Rules;
use crate::testing::{USER, small_state};

/// A number with two signs that is embedded where it is used.
const B: &str = "9223372036854775808";

/// The source with `B` in it, and `L` and `M`, which are so long that they are branches.
fn filled(source: &str) -> String {
    let long = num_bigint::BigInt::from(1) << 1199u32;
    let mut out = String::new();
    for word in source.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let end = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        match end {
            "B" => out += B,
            "L" => out += &(&long + 12345u32).to_string(),
            "M" => out += &long.to_string(),
            _ => out += end,
        }
        out += &word[end.len()..];
    }
    out
}

/// What a program gives that comes as bytes.
fn run(machine: &mut Machine, program: &Cell) -> Result<Cell, Exit> {
    let bytes = encode_message(program).unwrap();
    let decoded = decode_message(&bytes, &Decoder::new()).unwrap();
    let mut state = small_state();
    let start = Start {
        origin: USER,
        limit: juice::TRANSACTION_LIMIT,
        location: (-1, 0),
        signer: None,
        peer: None,
    };
    Context::new(machine, &mut state, start).run(&decoded)
}

/// Runs each form and what it compiles to, all in one machine, twice: what the machine keeps must not show.
fn check(table: &[(&str, &str)]) {
    let mut machine = Machine::new(Rules::latest());
    let mut wrong = Vec::new();
    for (source, expected) in table.iter().chain(table) {
        let (source, expected) = (filled(source), filled(expected));
        let form = crate::reader::read(&source).unwrap();
        let text = format!("(compile (quote {source}))");
        let op = run(&mut machine, &crate::reader::read(&text).unwrap()).unwrap_or(Cell::Nil);
        for program in [&form, &op] {
            let value = match run(&mut machine, program) {
                Ok(value) => value.to_string(),
                Err(Exit::Error(error)) => format!("!{}", error.code),
                Err(other) => format!("!{other:?}"),
            };
            if value != expected {
                wrong.push(format!("{program}\n    {value} instead of {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Checks the sign of `x` after each expression, whatever comes of the expression.
fn check_after(expressions: &[&str], sign: &str) {
    let sources: Vec<String> = expressions
        .iter()
        .map(|e| format!("(let [x B] (try {e} 1) (signum x))"))
        .collect();
    let table: Vec<(&str, &str)> = sources.iter().map(|s| (s.as_str(), sign)).collect();
    check(&table);
}

#[test]
fn what_computes_with_a_number_compares_or_prints_it_gives_it_its_sign() {
    check_after(
        &[
            "(+ x 1)",
            "(+ 1 x)",
            "(+ x 1.0)",
            "(+ 1.0 x)",
            "(- x)",
            "(- x 1)",
            "(- 1 x)",
            "(- 1.5 x)",
            "(* x 1)",
            "(* 2 x)",
            "(* x 0)",
            "(* 1.5 x)",
            "(/ x)",
            "(/ x 2)",
            "(/ 2 x)",
            "(inc x)",
            "(dec x)",
            "(abs x)",
            "(mod x 3)",
            "(mod 3 x)",
            "(rem x 3)",
            "(rem 3 x)",
            "(quot x 3)",
            "(quot 3 x)",
            "(div x 3)",
            "(div 3 x)",
            "(mod x x)",
            "(pow x 2)",
            "(pow 2 x)",
            "(exp x)",
            "(sqrt x)",
            "(floor x)",
            "(ceil x)",
            "(< x 1)",
            "(< 1 x)",
            "(<= x 1)",
            "(> x 1)",
            "(>= x 1)",
            "(== x x)",
            "(== x 1)",
            "(== 1 x)",
            "(!= x 1)",
            "(!= x x)",
            "(min x 1)",
            "(min 1 x)",
            "(max x 1)",
            "(max 1 x)",
            "(max 1 2 x)",
            "(max x ##NaN)",
            "(== x 1.0)",
            "(zero? x)",
            "(double x)",
            "(char x)",
            "(str x)",
            "(str [x])",
            "(str :a x)",
            "(print x)",
            "(print [x])",
            "(reduce + 0 [x])",
            "(map inc [x])",
            "(eval (list '+ x 1))",
        ],
        "1",
    );
}

#[test]
fn what_only_looks_at_a_number_leaves_its_sign_at_zero() {
    check_after(
        &[
            "nil",
            "(+ x)",
            "(* x)",
            "(div 3.0 x)",
            "(mod x 3.0)",
            "(mod x 0)",
            "(rem x 0)",
            "(quot x 0)",
            "(div x 0)",
            "(div x nil)",
            "(div nil x)",
            "(signum x)",
            "(< x)",
            "(== x)",
            "(== 1 2 x)",
            "(< 2 1 x)",
            "(min x)",
            "(max x)",
            "(== ##NaN x)",
            "(= x 1)",
            "(= x x)",
            "(= x B)",
            "(= x 9223372036854775809)",
            "(= x 1.0)",
            "(= x nil)",
            "(= x [x])",
            "(nan? x)",
            "(int? x)",
            "(number? x)",
            "(long? x)",
            "(double? x)",
            "(blob? x)",
            "(boolean? x)",
            "(bool? x)",
            "(nil? x)",
            "(fn? x)",
            "(str? x)",
            "(char? x)",
            "(byte x)",
            "(long x)",
            "(int x)",
            "(blob x)",
            "(name x)",
            "(symbol x)",
            "(keyword x)",
            "(address x)",
            "(boolean x)",
            "(hash x)",
            "(encoding x)",
            "(hash [x])",
            "(encoding [x])",
            "(vec x)",
            "(set [x])",
            "(hash-set x)",
            "(hash-map x 1)",
            "(hash-map 1 x)",
            "(index x 1)",
            "(bit-and x 1)",
            "(bit-or x 1)",
            "(bit-xor x 1)",
            "(bit-not x)",
            "(bit-and 1 x)",
            "(nth [1 2] x)",
            "(get [1 2] x)",
            "(get [1 2] x nil)",
            "(get {1 2} x)",
            "(get {1 2} x 3)",
            "(get #{1 2} x)",
            "(get (index) x)",
            "(contains-key? [1 2] x)",
            "(contains-key? #{1} x)",
            "(contains-key? {1 2} x)",
            "(assoc [1 2] x 3)",
            "(assoc {} x 3)",
            "(assoc {B 4} x 3)",
            "(dissoc {1 2} x)",
            "(dissoc {B 2} x)",
            "(conj #{} x)",
            "(conj [] x)",
            "(conj () x)",
            "(disj #{1} x)",
            "(disj #{B} x)",
            "(slice [1 2] x)",
            "(slice [1 2] 0 x)",
            "(count x)",
            "(empty? x)",
            "(first x)",
            "(next x)",
            "(last x)",
            "(empty x)",
            "(reverse x)",
            "(concat x)",
            "(concat [x] [1])",
            "(into [] [x])",
            "(into #{} [x])",
            "(union #{x} #{1})",
            "(union #{x} #{B})",
            "(intersection #{x} #{1})",
            "(subset? #{x} #{1})",
            "(difference #{x} #{1})",
            "(merge {x 1} {2 3})",
            "(cons x ())",
            "(list x)",
            "(vector x)",
            "(keys {x 1})",
            "(values {1 x})",
            "(get-in {1 2} [x])",
            "(get-in {1 {1 2}} [1 x])",
            "(assoc-in {} [x] 1)",
            "(assoc-in {1 {}} [1 x] 1)",
            "(update {} x identity)",
            "(reduce + [x])",
            "(reduce (fn [a b] b) 0 [x])",
            "(map identity [x])",
            "(mapv identity [x])",
            "(apply + [x])",
            "(apply vector [x])",
            "(apply + x)",
            "(x 1)",
            "(identity x)",
            "(eval x)",
            "(eval (list 'quote x))",
            "(eval (list 'signum x))",
            "(compile x)",
            "(expand x)",
            "(quote 1)",
            "(if x 1 2)",
            "(cond x 1)",
            "(def zz x)",
            "(do (def zz x) zz)",
            "(set! x x)",
            "(let [y x] y)",
            "(let [[a b] [x 1]] a)",
            "(loop [i x] i)",
            "((fn [y] y) x)",
            "((fn [& y] y) x)",
            "(and x 1)",
            "(or x 1)",
            "(not x)",
            "(when x 1)",
            "(transfer #11 x)",
            "(transfer x 1)",
            "(transfer-memory #11 x)",
            "(set-memory x)",
            "(stake 1 x)",
            "(accept x)",
            "(set-holding #11 x)",
            "(get-holding x)",
            "(balance x)",
            "(account x)",
            "(call #11 x (foo))",
            "(call x (foo))",
            "(call #11 (foo x))",
            "(offer x)",
            "(account? x)",
            "(actor? x)",
            "(callable? x)",
            "(callable? #11 x)",
            "(callable? x 'foo)",
            "(exports x)",
            "(set-controller x)",
            "(set-key x)",
            "(set-stake x 1)",
            "(set-stake 0x5bd5a30f58ce5bd5a30f58ce5bd5a30f58ce5bd5a30f58ce5bd5a30f58ce5bd5 x)",
            "(set-peer-data x {})",
            "(evict-peer x)",
            "(create-peer x 1)",
            "(schedule x (+ 1 2))",
            "(schedule* x '(+ 1 2))",
            "(deploy x)",
            "(eval-as #13 x)",
            "(eval-as x 1)",
            "(query x)",
            "(log x)",
            "(log :a [x])",
            "(assert x)",
            "(fail x)",
            "(fail :a x)",
            "(memory x)",
            "(undef x)",
            "(lookup x)",
            "(lookup-meta x)",
            "(lookup x foo)",
            "(defined? x)",
            "(type x)",
            "(syntax x)",
            "(syntax x {})",
            "(syntax x {:a x})",
            "(meta x)",
            "(unsyntax x)",
            "(unsyntax (syntax x))",
            "(syntax? x)",
            "(gensym)",
            "(keccak256 x)",
            "(sha256 x)",
            "(ed25519? x)",
            "(split x 1)",
            r#"(split "a b" x)"#,
            "(join x 1)",
            r#"(join ["a" "b"] x)"#,
            "(str-index x)",
            "(blob->x x)",
            "(sub x)",
            "(nth x 0)",
            "(nth [x] 0)",
            "(get x 1)",
            "(zero? [x])",
            "(sort [x 1])",
            "(sort-by identity [x 1])",
            "(cond (= x 1) 2 3)",
            "(case x 1 2)",
            "(assoc! x)",
            "(switch x 1 2)",
            "(every? int? [x])",
            "(some int? [x])",
            "(filter int? [x])",
            "(index 0x00 x)",
            "(assoc (index) x 1)",
            "(assoc (index) 0x00 x)",
            "(for [i [x]] i)",
            "(doseq [i [x]] i)",
            "(encoding #{x})",
            "(hash {x x})",
            "(get {x 1} x)",
            "(get {x 1} B)",
            "(get #{x} B)",
            "(get #{B} x)",
            "(= [x] [B])",
            "(= [x] [1])",
            "(= #{x} #{B})",
            "(= {x x} {B B})",
            "(slice 0x0011 x)",
            "(slice 0x0011 0 x)",
            r#"(slice "abc" x)"#,
            r#"(nth "abc" x)"#,
            "(nth 0x0011 x)",
            "(get 0x0011 x)",
            "(concat x x)",
            "(bit-not x)",
            "(even? x)",
            "(odd? x)",
            "(neg? x)",
            "(pos? x)",
        ],
        "0",
    );
}

#[test]
fn a_number_is_one_object_wherever_it_is_shared_and_no_longer() {
    check(&[
        ("(do (+ B 1) (signum B))", "0"),
        ("(do (+ L 1) (signum L))", "1"),
        ("[(signum L) (+ L 1.0) (signum L)]", "[0 ##Inf 1]"),
        (
            "(let [f (fn [] (let [x B] [(signum x) (+ x 1.0)]))] [(f) (f)])",
            "[[0 9.223372036854776E18] [1 9.223372036854776E18]]",
        ),
        (
            "(let [f (fn [] (let [x L] [(signum x) (+ x 1.0)]))] [(f) (f)])",
            "[[0 ##Inf] [1 ##Inf]]",
        ),
        (
            "(let [f (fn [] (let [x B] [(signum x) (+ x 1.0)])) g (fn [] (let [x B] [(signum x) (+ x 1.0)]))] [(f) (g) (f) (g)])",
            "[[0 9.223372036854776E18] [0 9.223372036854776E18] [1 9.223372036854776E18] [1 9.223372036854776E18]]",
        ),
        (
            "(loop [i 0 a []] (cond (< i 3) (let [x B] (recur (inc i) (conj a (signum x) (+ x 1.0)))) a))",
            "[0 9.223372036854776E18 1 9.223372036854776E18 1 9.223372036854776E18]",
        ),
        (
            "(let [v [B]] [(+ 1.0 (first v)) (signum (first v)) (signum (nth v 0)) (signum (last v))])",
            "[9.223372036854776E18 1 1 1]",
        ),
        (
            "(let [v '[B B]] [(+ 1.0 (first v)) (signum (first v)) (signum (nth v 1))])",
            "[9.223372036854776E18 1 0]",
        ),
        (
            "(let [a B b B] (+ a 1) [(signum a) (signum b) (signum (first (conj #{a} b))) (signum (first (conj #{b} a)))])",
            "[1 0 1 0]",
        ),
        (
            "(let [a B b B] (+ a 1) [(signum (first #{a b})) (signum (first #{b a})) (signum (first (union #{a} #{b}))) (signum (first (union #{b} #{a}))) (signum (first (intersection #{a} #{b}))) (signum (first (intersection #{b} #{a}))) (signum (first (difference #{a} #{1}))) (signum (first (difference #{b} #{1})))])",
            "[1 1 1 0 1 0 1 0]",
        ),
        (
            "(let [a B b B] (+ a 1) [(signum (get (assoc {1 a} 1 b) 1)) (signum (get (assoc {1 b} 1 a) 1)) (signum (first (keys (assoc {a 1} b 2)))) (signum (first (keys (assoc {b 1} a 2)))) (signum (first (keys (assoc {b 1} a 1)))) (signum (first (keys (assoc {a 1} b 1))))])",
            "[1 0 1 0 0 1]",
        ),
        (
            "(let [a B b B] (+ a 1) [(signum (get {1 a 1 b} 1)) (signum (first (keys {a 1 b 2}))) (signum (first (keys {b 1 a 2}))) (signum (get (merge {1 a} {1 b}) 1)) (signum (get (merge {1 b} {1 a}) 1))])",
            "[0 0 0 1 0]",
        ),
        (
            "(let [a B b B] (+ a 1) [(signum (get (assoc [a] 0 b) 0)) (signum (get (assoc [b] 0 a) 0)) (signum (get (assoc (index 0x00 a) 0x00 b) 0x00)) (signum (get (assoc (index 0x00 b) 0x00 a) 0x00)) (signum (first (assoc (list a) 0 b))) (signum (first (assoc (list b) 0 a)))])",
            "[0 1 0 1 0 1]",
        ),
        ("(let [a L b M] (+ a 1) [(signum a) (signum b)])", "[1 0]"),
        (
            "(let [a B b B] (+ a 1) (def q a) (def q b) [(signum q) (do (def r b) (def r a) (signum r))])",
            "[1 0]",
        ),
        ("(signum (int 0x008000000000000000))", "0"),
        ("(signum (int 0x0100000000000000000000))", "1"),
        ("(signum (int 0x00ffffffffffffffffffffffffff))", "0"),
        (
            "(let [x (int 0x00ffffffffffffffffffffffffff)] [(signum x) (+ x 1.0) (signum x)])",
            "[0 2.028240960365167E31 1]",
        ),
        ("(signum (first (eval '[B])))", "0"),
        ("(signum (eval (quote B)))", "0"),
        ("(signum (quote B))", "0"),
        ("(eval '(do (+ B 1) (signum B)))", "0"),
        (
            "(let [x B] [(eval (list 'do (list '+ x 1.0) (list 'signum x))) (signum x)])",
            "[1 1]",
        ),
        (
            "(let [x B] [(eval (eval (list 'quote (list 'signum x)))) (eval (list 'signum x))])",
            "[0 0]",
        ),
        ("(let [f (fn [x] (signum x))] [(f B) (f (+ B 0))])", "[0 1]"),
        ("(map signum [B B])", "[0 0]"),
        ("(signum (abs B))", "1"),
        (
            "(let [x B] [(signum (max x 1)) (signum (min x 99999999999999999999))])",
            "[1 1]",
        ),
        (
            "(let [x B] [(signum x) (== x ##NaN) (signum x)])",
            "[0 false 1]",
        ),
        ("(let [x B] [(< ##NaN x) (signum x)])", "[false 0]"),
        ("(let [x B] [(< x ##NaN) (signum x)])", "[false 1]"),
        ("(let [x B] [(> ##NaN x) (signum x)])", "[false 0]"),
        ("(let [x B] [(!= ##NaN x) (signum x)])", "[true 0]"),
        ("(let [x B] [(!= x ##NaN) (signum x)])", "[true 1]"),
        ("(let [x B] [(max ##NaN x) (signum x)])", "[##NaN 0]"),
        ("(let [x B] [(min ##NaN x) (signum x)])", "[##NaN 0]"),
        ("(let [x B] [(min x ##NaN) (signum x)])", "[##NaN 1]"),
        ("(let [x B] [(max ##NaN 1 x) (signum x)])", "[##NaN 0]"),
        ("(let [x B] [(max 1 ##NaN x) (signum x)])", "[##NaN 0]"),
        ("(let [x B] [(min 1 ##NaN x) (signum x)])", "[##NaN 0]"),
        ("(let [x B] [(< 1.0 x) (signum x)])", "[true 1]"),
        ("(let [x B] [(== 1.0 x) (signum x)])", "[false 1]"),
        ("(let [x B] [(> 1.0 x) (signum x)])", "[false 1]"),
        ("(let [x B] [(<= 1.0 x) (signum x)])", "[true 1]"),
        ("(let [x B] [(>= ##Inf x) (signum x)])", "[true 1]"),
        ("(let [x B] [(* 0 x) (signum x)])", "[0 1]"),
        ("(let [x B] [(* 1 x) (signum x)])", "[B 1]"),
        ("(let [x B] [(* 0.0 x) (signum x)])", "[0.0 1]"),
        ("(let [x B] [(+ 0 x) (signum x)])", "[B 1]"),
        ("(let [x B] [(- 0 x) (signum x)])", "[-B 1]"),
        ("(let [x B] [(+ ##NaN x) (signum x)])", "[##NaN 1]"),
        ("(let [x B] [(* x ##NaN) (signum x)])", "[##NaN 1]"),
        ("(let [x B] [(- ##NaN x) (signum x)])", "[##NaN 1]"),
        ("(let [x B] [(/ ##NaN x) (signum x)])", "[##NaN 1]"),
        ("(let [x B] [(try (+ 1 x nil) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (+ x nil) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (+ nil x) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (* x nil) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (- x nil) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (- nil x) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (/ x nil) :e) (signum x)])", "[:e 1]"),
        ("(let [x B] [(try (/ nil x) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (< x nil) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (< nil x) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (max x nil) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (max nil x) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (pow nil x) :e) (signum x)])", "[:e 1]"),
        ("(let [x B] [(try (pow :a x) :e) (signum x)])", "[:e 1]"),
        ("(let [x B] [(try (pow x nil) :e) (signum x)])", "[:e 1]"),
        ("(let [x B] [(try (mod 1.0 x) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (quot nil x) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (quot x nil) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (quot 0 x) :e) (signum x)])", "[nil 1]"),
        ("(let [x B] [(try (div 5 x) :e) (signum x)])", "[nil 1]"),
        ("(let [x B] [(try (rem 5 x) :e) (signum x)])", "[nil 1]"),
        ("(let [x B] [(try (mod 5 x) :e) (signum x)])", "[5 1]"),
        (
            "(let [x B] [(try (mod -5 x) :e) (signum x)])",
            "[9223372036854775803 1]",
        ),
        (
            "(let [x B] [(try (rem 99999999999999999999 x) :e) (signum x)])",
            "[7766279631452241919 1]",
        ),
        ("(let [x B] [(try (mod x 0.0) :e) (signum x)])", "[:e 0]"),
        ("(let [x B y 1] [(try (#{x} 1 2) :e) (signum x)])", "[:e 1]"),
        (
            "(let [x B y 1] [(try ({x 1} 1 2 3) :e) (signum x)])",
            "[:e 0]",
        ),
        ("(let [x B] [(try (x 1) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(str x) (signum x)])", r#"["B" 1]"#),
        (
            "(let [x B] [(str '(+ 1 x) (fn [] 1)) (signum x)])",
            r#"["(+ 1 x)(fn [] 1)" 0]"#,
        ),
        (
            "(let [x B] [(print (fn [] x)) (signum x)])",
            r#"["(fn [] %0)" 0]"#,
        ),
        ("(let [x B] [(print '(a x)) (signum x)])", r#"["(a x)" 0]"#),
        ("(let [x B] [(try (char x) :e) (signum x)])", "[:e 1]"),
        ("(let [x L] [(try (char x) :e) (signum x)])", "[:e 1]"),
        (
            "(let [x L] [(byte x) (signum x) (try (long x) :e) (signum x) (int x) (signum x) (double x) (signum x)])",
            "[57 0 :e 0 L 0 ##Inf 1]",
        ),
        ("(let [x B] [(zero? x) (signum x)])", "[false 1]"),
        (
            "(let [x 18446744073709551615] [(signum x) (inc x) (signum x)])",
            "[0 18446744073709551616 1]",
        ),
        (
            "(let [x (let [y B] y)] [(signum x) (nan? x) (signum x)])",
            "[0 false 0]",
        ),
        (
            "(let [x B] [(try (#{1} x) :e) ({x 2} x) ([1 2] 0) (signum x)])",
            "[false 2 1 0]",
        ),
        (
            "(let [x B] [(try ([1 2] x) :e) (try ([1 2] x 3) :e) (signum x)])",
            "[:e :e 0]",
        ),
        ("(let [x B] [(try (:a x) :e) (signum x)])", "[:e 0]"),
        (
            "(let [x B] [(reduce (fn [a b] b) [x 1]) (signum x) (reduce + 1.0 [x]) (signum x)])",
            "[1 0 9.223372036854776E18 1]",
        ),
        (
            "(let [x B] [(def a x) (signum a) (+ a 1.0) (signum a) (signum x)])",
            "[B 0 9.223372036854776E18 1 1]",
        ),
        (
            "(let [x B] [(query (+ x 1.0)) (signum x)])",
            "[9.223372036854776E18 1]",
        ),
        (
            "(let [x B] [(eval-as *address* (list '+ x 1.0)) (signum x)])",
            "[9.223372036854776E18 1]",
        ),
        (
            "(let [x B] [(try (do (+ x 1) (fail :a 1)) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [g (fn [b y] (cond b (+ nil y) (signum y))) f (fn [b] (g b B))] [(f false) (try (f true) :e) (f false)])",
            "[0 :e 1]",
        ),
        (
            "(let [g (fn [b y] (cond b (fail :a 1) (signum y))) f (fn [b] (g b B))] [(f false) (try (f true) :e) (f false)])",
            "[0 :e 1]",
        ),
        (
            "(let [a B b B] (+ a 1) (def q [a]) (def q [b]) [(signum (first q)) (do (def r [b]) (def r [a]) (signum (first r)))])",
            "[1 0]",
        ),
        (
            "(let [a B b B] (+ a 1) [(signum (first (hash-set a b))) (signum (first (hash-set b a))) (signum (get (hash-map 1 a 1 b) 1)) (signum (get (hash-map 1 b 1 a) 1)) (signum (first (keys (hash-map a 1 b 2)))) (signum (first (keys (hash-map b 1 a 2))))])",
            "[1 0 1 0 1 0]",
        ),
        (
            "(let [a B b B] (+ a 1) [(signum (first (set [a b]))) (signum (first (set [b a]))) (signum (first (into #{} [a b]))) (signum (first (into #{} [b a]))) (signum (first (into #{a} [b]))) (signum (first (into #{b} [a])))])",
            "[1 0 1 0 1 0]",
        ),
        (
            "(let [a B b B] (+ a 1) [(signum (first (get (assoc {1 [a]} 1 [b]) 1))) (signum (first (get (assoc {1 [b]} 1 [a]) 1))) (signum (first (first (conj #{[a]} [b])))) (signum (first (first (conj #{[b]} [a]))))])",
            "[1 0 1 0]",
        ),
        (
            "(let [a B b B] (+ a 1) [(signum (first (disj #{a 1} 1))) (signum (first (difference #{b 1} #{1}))) (signum (first (union #{a 1 2 3} #{b 4 5}))) 0])",
            "[1 0 1 0]",
        ),
        (
            "(let [a B b B f (fn [s] (reduce (fn [r k] (cond (= k B) (signum k) r)) nil (vec s)))] (+ a 1) [(f (union #{a 1 2 3} #{b 4 5})) (f (union #{b 1 2 3} #{a 4 5})) (f (intersection #{a 1 2} #{b 1})) (f (intersection #{b 1 2} #{a 1})) (f (intersection #{a 1} #{b 1 2})) (f (intersection #{b 1} #{a 1 2}))  (f (union #{a 1} #{b 1})) (f (union #{b 1} #{a 1}))  (f (difference #{a 1 2} #{1})) (f (conj #{a 1 2} b)) (f (conj #{b 1 2} a)) (f (hash-set a 1 b 2)) (f (hash-set b 1 a 2)) (f (into #{a 1} [b 2])) (f (into #{b 1} [a 2]))])",
            "[1 0 1 0 1 0 1 0 1 1 0 1 0 1 0]",
        ),
        (
            "(let [a B b B f (fn [s] (reduce (fn [r k] (cond (= k B) (signum k) r)) nil (vec s)))] (+ a 1) [(f (union #{a} #{b 4 5})) (f (union #{b} #{a 4 5})) (f (union #{a 4 5} #{b})) (f (union #{b 4 5} #{a})) (f (intersection #{a} #{b 4 5})) (f (intersection #{b} #{a 4 5})) (f (intersection #{a 4 5} #{b})) (f (intersection #{b 4 5} #{a})) (f (union #{a 1} #{b 1} #{b 2}))])",
            "[1 0 1 0 1 0 1 0 1]",
        ),
        (
            "(let [a B b B f (fn [m] (reduce (fn [r k] (cond (= k B) (signum k) r)) nil (keys m)))] (+ a 1) [(f (merge {a 1 2 3} {b 1})) (f (merge {b 1 2 3} {a 1})) (f (merge {a 1} {b 2 3 4})) (f (merge {b 1} {a 2 3 4})) (f (assoc {a 1 2 3 4 5} b 7)) (f (assoc {b 1 2 3 4 5} a 7)) (f (dissoc {a 1 2 3} 2)) (f (into {a 1 2 3} {b 1})) (f (into {a 1 2 3} [[b 5]])) (f (into {b 1 2 3} [[a 5]]))])",
            "[1 0 0 1 1 0 1 1 0 1]",
        ),
        (
            "(let [a B b B f (fn [m] (signum (get m 0)))] (+ a 1) [(f (merge {0 a 2 3} {0 b})) (f (merge {0 b 2 3} {0 a})) (f (merge {0 a} {0 b 3 4})) (f (merge {0 b} {0 a 3 4})) (f (assoc {0 a 2 3 4 5} 0 b)) (f (assoc {0 b 2 3 4 5} 0 a)) (f (into {0 a 2 3} {0 b})) (f (into {0 a 2 3} [[0 b]])) (f (into {0 b 2 3} [[0 a]])) ])",
            "[1 0 1 0 1 0 1 1 0]",
        ),
        (
            "(let [a B b B f (fn [m] (signum (first m)))] (+ a 1) [(f (vec (slice [a b] 1))) (f (slice [b a] 1)) (f (concat [b] [a])) (f (reverse [a b])) (f (next [a b])) (f (next (list b a))) (f (cons b [a])) (f (conj (list a) b)) (f (into [] (list b a))) (f (vec #{b})) (f (map (fn [x] x) [b])) (f (apply vector [b a]))  (f (list b)) (f (first {b 1}))])",
            "[0 1 0 0 0 1 0 0 0 0 0 0 0 0]",
        ),
        (
            "(let [x 1 y [B B]] [(signum (first y)) (first (map inc y)) (signum (first y)) (signum (last y))])",
            "[0 9223372036854775809 1 1]",
        ),
        (
            "(let [a B] [(= a B) (+ a 1.0) (= a B) (signum a)])",
            "[true 9.223372036854776E18 true 1]",
        ),
        (
            "(let [s #{B}] [(signum (first s)) (contains-key? s B) (+ 1.0 (first s)) (signum (first s))])",
            "[0 true 9.223372036854776E18 1]",
        ),
        (
            "(let [f (fn [] (quote [B 1]))] [(signum (first (f))) (+ 1.0 (first (f))) (signum (first (f)))])",
            "[0 9.223372036854776E18 1]",
        ),
        (
            "(let [c (compile '(signum B))] [(eval c) (eval c)])",
            "[0 0]",
        ),
        (
            "(let [c (compile '(let [x B] [(signum x) (+ x 1.0)]))] [(eval c) (eval c) (eval (compile '(let [x B] [(signum x) (+ x 1.0)])))])",
            "[[0 9.223372036854776E18] [1 9.223372036854776E18] [0 9.223372036854776E18]]",
        ),
        (
            "(let [c '(let [x B] [(signum x) (+ x 1.0)])] [(eval c) (eval c)])",
            "[[0 9.223372036854776E18] [1 9.223372036854776E18]]",
        ),
        (
            "(let [c (quote (let [x B] [(signum x) (+ x 1.0)]))] [(eval c) (eval (list 'let ['x B] ['signum 'x])) (eval (compile c))])",
            "[[0 9.223372036854776E18] [signum B] [1 9.223372036854776E18]]",
        ),
        (
            "(do (def c (fn [x] (cond x (+ B 1.0) (signum B)))) [(c false) (c true) (c false)])",
            "[0 9.223372036854776E18 0]",
        ),
        (
            "(do (def a B) (def c (fn [] (signum a))) [(c) (str a) (c)])",
            r#"[0 "B" 1]"#,
        ),
        (
            "(let [x (syntax B {:a B})] [(signum (unsyntax x)) (str x) (signum (unsyntax x)) (signum (get (meta x) :a))])",
            r#"[0 "^{:a B} B" 1 1]"#,
        ),
        ("(let [x B] [(str {:a x}) (signum x)])", r#"["{:a B}" 1]"#),
        ("(let [x B] [(str #{x}) (signum x)])", r##"["#{B}" 1]"##),
        ("(let [x B] [(try (fail x) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (fail :a x) :e) (signum x)])", "[:e 0]"),
        ("(let [x B] [(try (fail [x] x) :e) (signum x)])", "[:e 0]"),
        (
            "(let [x B] [(try (call #13 (nofoo x)) :e) (signum x)])",
            "[:e 0]",
        ),
        ("(let [x B] [(try (nth [1] x) :e) (signum x)])", "[:e 0]"),
        (
            "(let [x B] [(try ((fn [a] a) x 1) :e) (signum x)])",
            "[:e 0]",
        ),
        (
            "(let [x B] [(try ((fn [[a]] a) x) :e) (signum x)])",
            "[:e 0]",
        ),
        (
            "(let [x B] [(try ((fn [[a b]] a) [x]) :e) (signum x)])",
            "[:e 0]",
        ),
        (
            "(let [x B] [(try (let [[a b] [x]] a) :e) (signum x)])",
            "[:e 0]",
        ),
        ("(let [x B] [(try (get-in x [1]) :e) (signum x)])", "[:e 0]"),
        (
            "(let [x B] [(try (lookup-meta #13 x) :e) (signum x)])",
            "[:e 0]",
        ),
        (
            "(let [x B] [(try (eval (list x 1)) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [x B] [(try (eval (list 'let x 1)) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [x B] [(try (eval (list 'let [x 1] 1)) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [x B] [(try (eval (list 'fn x 1)) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [x B] [(try (eval (list 'fn [x] 1)) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [x B] [(try (eval (list 'fn (list x))) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [x B] [(try (eval (list 'def x 1)) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [x B] [(try (eval (list 'set! x 1)) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [x B] [(try (eval (list 'lookup x)) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [x B] [(try (eval (list 'lookup x 'a)) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [x B] [(try (eval (list 'if x)) :e) (signum x)])",
            "[:e 0]",
        ),
        (
            "(let [x B] [(try (eval (list 'cond x)) :e) (signum x)])",
            "[B 0]",
        ),
        (
            "(let [x B] [(try (eval (list 'loop [x 1] 1)) :e) (signum x)])",
            "[:e 1]",
        ),
        (
            "(let [x B] [(try (eval (list 'query x 1)) :e) (signum x)])",
            "[1 0]",
        ),
        (
            "(let [x B] [(try (eval (list 'unquote x)) :e) (signum x)])",
            "[B 0]",
        ),
        (
            "(let [x B] [(try (eval (list 'call #13 x)) :e) (signum x)])",
            "[:e 0]",
        ),
        (
            "(let [x B] [(try (eval (list 'import x)) :e) (signum x)])",
            "[:e 0]",
        ),
        (
            "(let [x B] [(try (eval (list 'doc x)) :e) (signum x)])",
            "[:e 0]",
        ),
        ("(let [x B] [(try (index [x]) :e) (signum x)])", "[:e 0]"),
        (
            "(let [x B] [(try (assoc (index 0x00 1) x 1) :e) (signum x)])",
            "[:e 0]",
        ),
        (
            "(let [x B] [(try (str (list x (fn [a] x))) :e) (signum x)])",
            r#"["(B (fn [a] %0))" 1]"#,
        ),
        (
            "(let [x B] [(try (apply + 1 x) :e) (try (apply + 1 [x nil]) :e) (signum x) (try (apply + 1.0 [x]) :e) (signum x)])",
            "[:e :e 0 9.223372036854776E18 1]",
        ),
        (
            "(let [a B b B f (fn [m] (reduce (fn [r k] (cond (= k B) (signum k) r)) nil (keys m)))] (+ a 1) [(f (conj {a 1} [b 2])) (f (conj {b 1} [a 2])) (f (conj {b 1} [a 1])) (f (merge {b 1 5 6} {a 2} {b 2})) (f (merge {b 1 5 6} {a 2} {b 3})) (f (into {} [[b 1] [a 1]])) (f (into {} [[b 1] [a 2]]))])",
            "[0 1 0 1 0 0 1]",
        ),
        (
            "(let [a B b B] (+ a 1) [(signum (first (get (assoc {1 [a 2]} 1 [b 2]) 1))) (signum (get (get (assoc {1 {2 b}} 1 {2 a}) 1) 2)) (signum (first (first (keys (conj {[b] 1} [[a] 2])))))])",
            "[1 0 1]",
        ),
    ]);
}
