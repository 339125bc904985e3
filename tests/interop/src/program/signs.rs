//! Big integers whose sign the reference has wrong until it computes with them: such numbers, moved about and shared,
//! used by a few expressions, and asked for their sign before and after.

use super::Generator;
use crate::form::Form;

/// Magnitudes whose highest bit fills a byte, one of them twice, and others.
const NUMBERS: &[&str] = &[
    "9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "340282366920938463463374607431768211455",
];
/// Expressions of a number `x` and another one, `y`.
const USES: &[&str] = &[
    "(+ x 1)",
    "(+ x)",
    "(* x)",
    "(* 0 x)",
    "(- x y)",
    "(- x)",
    "(/ 2 x)",
    "(inc x)",
    "(dec x)",
    "(abs x)",
    "(mod 3 x)",
    "(mod x 0)",
    "(rem x y)",
    "(quot 1 x)",
    "(div x nil)",
    "(pow nil x)",
    "(sqrt x)",
    "(floor x)",
    "(< x)",
    "(< 1 x)",
    "(< 2 1 x)",
    "(== ##NaN x)",
    "(== x ##NaN)",
    "(!= x y)",
    "(min x y)",
    "(max ##NaN x)",
    "(max x ##NaN)",
    "(= x y)",
    "(= x 1)",
    "(zero? x)",
    "(int? x)",
    "(nan? x)",
    "(byte x)",
    "(long x)",
    "(int x)",
    "(double x)",
    "(char x)",
    "(blob x)",
    "(str x)",
    "(str [x])",
    "(print {x y})",
    "(hash x)",
    "(encoding x)",
    "(bit-and x 1)",
    "(nth [1 2] x)",
    "(get {x y} y)",
    "(x 1)",
    "(#{x} 1 2)",
    "(fail :a x)",
    "(assert (= 1 x))",
    "(transfer #11 x)",
    "(set-memory x)",
    "(apply + [x])",
    "(apply + 1 [x y])",
    "(reduce + [x])",
    "(reduce max [x y])",
    "(map inc [x])",
    "(sort [y x])",
    "(eval (list (quote +) x 1))",
    "(eval (list x 1))",
    "(eval (list (quote signum) x))",
    "(query (+ x 1))",
    "(do (+ x 1) (fail :a))",
    "(log x)",
    "(def z x)",
];
/// Expressions of `x` and `y` that hold one of them.
const PLACES: &[&str] = &[
    "[x]",
    "(list y x)",
    "#{x y}",
    "(conj #{y} x)",
    "(union #{x} #{y})",
    "(intersection #{x 1} #{y 1})",
    "(keys {x 1 y 2})",
    "(keys (assoc {x 1} y 1))",
    "(keys (conj {x 1} [y 2]))",
    "(keys (merge {x 1 2 3} {y 2}))",
    "(values (assoc {1 x} 1 y))",
    "(values (merge {1 x} {1 y}))",
    "(values {1 x})",
    "(assoc [x] 0 y)",
    "(values (assoc (index 0x00 x) 0x00 y))",
    "(map (fn [n] n) [x])",
    "(do (def z [x]) (def z [y]) z)",
    "(do (def z x) (def z y) [z])",
    "(quote [9223372036854775808])",
    "[(f)]",
    "[(int 0x008000000000000001)]",
    "(reverse [x y])",
    "(concat [y] [x])",
    "(next [1 x])",
    "(into [] #{x})",
    "[(max x y)]",
    "[(+ x)]",
    "[(abs x)]",
];

impl Generator<'_> {
    /// A program about the signs of two numbers.
    pub(super) fn signs(&mut self) -> Form {
        let sign = |of: &str| Form::call("signum", [Form::atom(of)]);
        let constant = self.number_with_two_signs();
        let mut bindings = vec![
            Form::atom("f"),
            Form::call("fn", [Form::vector(vec![]), constant]),
        ];
        for name in ["x", "y"] {
            let number = if self.rng.chance(15) {
                Form::atom("(f)")
            } else {
                self.number_with_two_signs()
            };
            bindings.extend([Form::atom(name), number]);
        }
        let mut seen = Vec::new();
        for _ in 0..self.rng.between(1, 4) {
            let attempt = Form::atom(self.rng.pick(USES));
            seen.push(Form::call("try", [attempt, Form::atom(":failed")]));
            if self.rng.chance(50) {
                let place = Form::atom(self.rng.pick(PLACES));
                seen.push(Form::call("mapv", [Form::atom("signum"), place]));
            }
            if self.rng.chance(30) {
                seen.push(sign(self.rng.pick(&["x", "y", "(f)"])));
            }
        }
        seen.extend([sign("x"), sign("y"), sign("(f)")]);
        Form::call("let", [Form::vector(bindings), Form::vector(seen)])
    }

    fn number_with_two_signs(&mut self) -> Form {
        if self.rng.chance(10) {
            // A branch, so that equal ones are one object.
            return Form::atom(format!(
                "5{}",
                "0".repeat(self.rng.pick_long(&[333, 334, 334, 399]) as usize)
            ));
        }
        Form::atom(self.rng.pick(NUMBERS))
    }
}
