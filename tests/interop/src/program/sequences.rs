//! Sequences of a leaf and more, put together and taken apart at and beside the borders of leaves: the reference
//! keeps some of them as views of arguments, and fails at views where it does not expect them.

use super::Generator;
use crate::form::Form;

/// Counts around the borders of leaves.
const COUNTS: &[i64] = &[
    0, 1, 3, 8, 15, 16, 16, 17, 31, 32, 32, 33, 47, 48, 48, 49, 64, 80,
];
/// Rarely, counts around the first border of trees.
const LARGE_COUNTS: &[i64] = &[224, 240, 255, 256, 257, 272, 288];
/// Positions to cut at.
const POSITIONS: &[i64] = &[
    0, 0, 1, 8, 15, 16, 16, 17, 24, 32, 32, 33, 40, 47, 48, 64, 80, 96, 256, 272,
];

impl Generator<'_> {
    /// A program that makes a few long sequences, some of them by means of earlier ones.
    pub(super) fn sequences(&mut self) -> Form {
        let mut parts = Vec::new();
        for i in 0..self.rng.between(1, 3) {
            let depth = self.rng.between(1, 3);
            let value = self.long_sequence(depth);
            let name = format!("g{i}");
            parts.push(Form::call("def", [Form::atom(name.clone()), value]));
            self.globals.push(name);
        }
        let depth = self.rng.between(2, 4);
        let value = self.long_sequence(depth);
        parts.push(if self.rng.chance(50) {
            Form::call("count", [value])
        } else {
            value
        });
        Form::call("do", parts)
    }

    fn long_sequence(&mut self, depth: usize) -> Form {
        if !self.globals.is_empty() && self.rng.chance(20) {
            let name = &self.globals[self.rng.below(self.globals.len())];
            return Form::atom(name.clone());
        }
        if depth == 0 {
            return self.made_sequence();
        }
        let below = depth - 1;
        let one = Form::atom("1");
        match self.rng.below(24) {
            0..=6 => {
                let parts = (0..self.rng.between(1, 3)).map(|_| self.long_sequence(below));
                Form::call("concat", parts.collect::<Vec<_>>())
            }
            7 => {
                let empty = self.rng.pick(&["[]", "()", "nil", "#{}"]);
                Form::call("concat", [Form::atom(empty), self.long_sequence(below)])
            }
            8 => {
                let empty = self.rng.pick(&["[]", "()", "nil"]);
                Form::call("concat", [self.long_sequence(below), Form::atom(empty)])
            }
            9 | 10 => {
                let (to, from) = (self.long_sequence(below), self.long_sequence(below));
                Form::call("into", [to, from])
            }
            11 => {
                let empty = self.rng.pick(&["[]", "()", "nil", "#{}"]);
                Form::call("into", [Form::atom(empty), self.long_sequence(below)])
            }
            12..=14 => {
                let whole = self.long_sequence(below);
                let (a, b) = (self.position(), self.position());
                let cut = |n: i64| {
                    let count = Form::call("count", [Form::atom("x")]);
                    Form::call("min", [count, Form::atom(n.to_string())])
                };
                let part = Form::call("slice", [Form::atom("x"), cut(a.min(b)), cut(a.max(b))]);
                Form::call("let", [Form::vector(vec![Form::atom("x"), whole]), part])
            }
            15 => Form::call("next", [self.long_sequence(below)]),
            16 | 17 => Form::call("reverse", [self.long_sequence(below)]),
            18 => Form::call("vec", [self.long_sequence(below)]),
            19 => {
                let name = self.rng.pick(&["conj", "cons"]);
                let whole = self.long_sequence(below);
                Form::call(
                    name,
                    if name == "conj" {
                        [whole, one]
                    } else {
                        [one, whole]
                    },
                )
            }
            20 => {
                let at = Form::atom(self.position().to_string());
                let changed = Form::call("assoc", [Form::atom("x"), at, one]);
                let changed = Form::call("try", [changed, Form::atom("x")]);
                let bindings = vec![Form::atom("x"), self.long_sequence(below)];
                Form::call("let", [Form::vector(bindings), changed])
            }
            21 => {
                let mut names = vec![Form::atom("_"); self.rng.pick_long(&[0, 1, 16, 17]) as usize];
                names.extend([Form::atom("&"), Form::atom("r")]);
                if self.rng.chance(30) {
                    names.push(Form::atom("_"));
                }
                let bindings = vec![Form::vector(names), self.long_sequence(below)];
                Form::call("let", [Form::vector(bindings), Form::atom("r")])
            }
            22 => {
                let function = Form::call(
                    "fn",
                    [
                        Form::vector(vec![Form::atom("_")]),
                        self.long_sequence(below),
                    ],
                );
                let over = self.rng.pick(&["[1]", "[1 2]", "(quote (1 2))", "#{1 2}"]);
                Form::call("mapcat", [function, Form::atom(over)])
            }
            _ => Form::call("map", [Form::atom("inc"), self.long_sequence(below)]),
        }
    }

    fn position(&mut self) -> i64 {
        self.rng.pick_long(POSITIONS)
    }

    fn made_sequence(&mut self) -> Form {
        let count = if self.rng.chance(4) {
            self.rng.pick_long(LARGE_COUNTS)
        } else {
            self.rng.pick_long(COUNTS)
        };
        let first = self.rng.below(100) as i64;
        let items: Vec<Form> = (first..first + count)
            .map(|n| Form::atom(n.to_string()))
            .collect();
        let rest = Form::vector(vec![Form::atom("&"), Form::atom("r")]);
        match self.rng.below(16) {
            0..=3 => Form::vector(items),
            4..=8 => Form::quote(Form::vector(items)),
            9 => Form::call("list", items),
            10 => Form::quote(Form::list(items)),
            11 => Form::set(items),
            12 => {
                let mut call = vec![Form::call("fn", [rest, Form::atom("r")])];
                call.extend(items);
                Form::list(call)
            }
            13 => Form::call(
                "apply",
                [Form::atom("vector"), Form::quote(Form::vector(items))],
            ),
            14 => {
                let pairs = items.iter().flat_map(|n| [n.clone(), n.clone()]).collect();
                let name = self.rng.pick(&["keys", "values", "vec"]);
                Form::call(name, [Form::map(pairs)])
            }
            _ => Form::call("vec", [Form::set(items)]),
        }
    }
}
