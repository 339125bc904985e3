//! Special forms, macros and functions around a form of some kind.

use super::{Generator, Kind};
use crate::form::Form;

impl Generator<'_> {
    /// A special form or macro whose value is, as a rule, of the kind.
    pub(super) fn control(&mut self, kind: Kind, depth: usize) -> Form {
        let below = depth - 1;
        match self.rng.below(30) {
            0..=4 => self.let_form(kind, depth),
            5 | 6 => {
                let mut parts = vec![self.form(Kind::Any, below)];
                parts.push(self.form(kind, below));
                Form::call("do", parts)
            }
            7..=9 => {
                let test = self.form(Kind::Boolean, below);
                let (yes, no) = (self.form(kind, below), self.form(kind, below));
                if self.rng.chance(25) {
                    Form::call("cond", [test, yes, no])
                } else {
                    Form::call("if", [test, yes, no])
                }
            }
            10 => {
                let mut parts = Vec::new();
                for _ in 0..self.rng.below(4) {
                    parts.push(self.form(Kind::Boolean, below));
                    parts.push(self.form(kind, below));
                }
                if self.rng.chance(70) {
                    parts.push(self.form(kind, below));
                }
                Form::call("cond", parts)
            }
            11 => {
                let name = self.rng.pick(&["and", "or", "when", "when-not"]);
                let mut parts = vec![self.form(Kind::Boolean, below)];
                parts.push(self.form(kind, below));
                Form::call(name, parts)
            }
            12 | 13 => self.loop_form(kind, depth),
            14 | 15 => {
                let attempt = self.form(kind, below);
                let mut parts = vec![attempt];
                for _ in 0..self.rng.between(1, 2) {
                    let otherwise = self.form(kind, below);
                    parts.push(if self.rng.chance(20) {
                        Form::vector(vec![otherwise, Form::atom("*result*")])
                    } else {
                        otherwise
                    });
                }
                Form::call("try", parts)
            }
            16 => {
                let parts = [self.statement(below), self.form(kind, below)];
                Form::call("query", parts)
            }
            17..=19 => {
                // A function that is called at once.
                let count = self.rng.below(3);
                let mut items = vec![self.lambda(count, depth)];
                for _ in 0..count {
                    items.push(self.form(kind, below));
                }
                Form::list(items)
            }
            20 => {
                let name = self.fresh("d");
                let value = self.form(Kind::Any, below);
                let body = self.scoped(std::slice::from_ref(&name), |g| g.form(kind, below));
                let form = self.rng.pick(&["when-let", "if-let"]);
                Form::call(form, [Form::vector(vec![Form::atom(name), value]), body])
            }
            21 => {
                let name = self.fresh("e");
                let items = self.form(Kind::Collection, below);
                let body = self.scoped(std::slice::from_ref(&name), |g| g.form(kind, below));
                Form::call("for", [Form::vector(vec![Form::atom(name), items]), body])
            }
            22 => {
                let name = self.fresh("t");
                let times = Form::atom(self.rng.below(5).to_string());
                let body = self.scoped(std::slice::from_ref(&name), |g| g.statement(below));
                Form::call(
                    "dotimes",
                    [Form::vector(vec![Form::atom(name), times]), body],
                )
            }
            23 => self.quasiquoted(depth),
            24 => {
                let name = self.fresh("w");
                let first = self.form(Kind::Number, below);
                let (value, body) = self.scoped(std::slice::from_ref(&name), |g| {
                    (g.form(kind, below), g.form(kind, below))
                });
                let changed = Form::call("set!", [Form::atom(name.clone()), value]);
                Form::call(
                    "let",
                    [Form::vector(vec![Form::atom(name), first]), changed, body],
                )
            }
            25 => {
                let mut parts = vec![self.form(Kind::Any, below)];
                for _ in 0..self.rng.below(3) {
                    parts.push(self.key_literal());
                    parts.push(self.form(kind, below));
                }
                if self.rng.chance(60) {
                    parts.push(self.form(kind, below));
                }
                Form::call("switch", parts)
            }
            26 => {
                let name = self.fresh("v");
                let limit = self.rng.below(6).to_string();
                let body = self.scoped(std::slice::from_ref(&name), |g| g.form(kind, below));
                let head = [
                    Form::atom(name.clone()),
                    Form::atom("0"),
                    Form::call("<", [Form::atom(name.clone()), Form::atom(limit)]),
                    Form::call("inc", [Form::atom(name)]),
                ];
                Form::call("for-loop", [Form::vector(head.to_vec()), body])
            }
            27 => {
                let name = self.rng.pick(&[
                    "return",
                    "halt",
                    "rollback",
                    "reduced",
                    "fail",
                    "recur",
                    "tailcall*",
                    "fail :A",
                    "assert",
                ]);
                let value = self.form(kind, below);
                Form::call(name, [value])
            }
            28 => self.grown(depth),
            _ => {
                let value = self.form(kind, below);
                let metadata = self.metadata(below);
                if self.rng.chance(50) {
                    Form::meta(metadata, value)
                } else {
                    Form::call("eval", [Form::quote(value)])
                }
            }
        }
    }

    /// A binding form and the names that it binds.
    fn binding(&mut self, depth: usize) -> (Form, Vec<String>) {
        if depth > 0 && self.rng.chance(15) {
            let mut items = Vec::new();
            let mut names = Vec::new();
            for _ in 0..self.rng.between(1, 3) {
                let (form, bound) = self.binding(depth - 1);
                items.push(form);
                names.extend(bound);
            }
            if self.rng.chance(30) {
                let rest = self.fresh("r");
                items.push(Form::atom("&"));
                items.push(Form::atom(rest.clone()));
                names.push(rest);
            }
            return (Form::vector(items), names);
        }
        let name = self.fresh("v");
        (Form::atom(name.clone()), vec![name])
    }

    fn let_form(&mut self, kind: Kind, depth: usize) -> Form {
        let mut items = Vec::new();
        let mut names = Vec::new();
        for _ in 0..self.rng.between(1, 3) {
            let (form, bound) = self.binding(1);
            let value_kind = if matches!(form, Form::Atom(_)) {
                Kind::Any
            } else {
                Kind::Sequence
            };
            let value = self.scoped(&names.clone(), |g| g.form(value_kind, depth - 1));
            items.push(form);
            items.push(value);
            names.extend(bound);
        }
        let body = self.scoped(&names, |g| {
            let mut body = Vec::new();
            if g.rng.chance(20) {
                body.push(g.statement(depth - 1));
            }
            body.push(g.form(kind, depth - 1));
            body
        });
        Form::call("let", std::iter::once(Form::vector(items)).chain(body))
    }

    /// A function of `count` parameters, or of several arities.
    pub(super) fn lambda(&mut self, count: usize, depth: usize) -> Form {
        let mut parts = Vec::new();
        if self.rng.chance(12) {
            for arity in [count, count + 1] {
                let (params, body) = self.arity(arity, depth, true);
                parts.push(Form::list(std::iter::once(params).chain(body).collect()));
            }
        } else {
            let (params, body) = self.arity(count, depth, true);
            parts.push(params);
            parts.extend(body);
        }
        Form::call("fn", parts)
    }

    /// Parameters and body of one arity.
    pub(super) fn arity(
        &mut self,
        count: usize,
        depth: usize,
        variadic: bool,
    ) -> (Form, Vec<Form>) {
        let mut params = Vec::new();
        let mut names = Vec::new();
        let rest = variadic && self.rng.chance(12);
        for _ in 0..if rest { count.min(1) } else { count } {
            let nesting = usize::from(self.rng.chance(10));
            let (form, bound) = self.binding(nesting);
            params.push(form);
            names.extend(bound);
        }
        if rest {
            let name = self.fresh("r");
            params.push(Form::atom("&"));
            params.push(Form::atom(name.clone()));
            names.push(name);
        }
        let body = self.scoped(&names, |g| {
            let mut body = Vec::new();
            if g.rng.chance(15) {
                body.push(g.statement(depth.saturating_sub(1)));
            }
            body.push(g.form(Kind::Any, depth.saturating_sub(1)));
            body
        });
        (Form::vector(params), body)
    }

    /// A loop that counts to a small number.
    fn loop_form(&mut self, kind: Kind, depth: usize) -> Form {
        let (i, acc) = (self.fresh("i"), self.fresh("acc"));
        let times = self.rng.below(8).to_string();
        let start = self.form(kind, depth - 1);
        let next = self.scoped(&[i.clone(), acc.clone()], |g| g.form(kind, depth - 1));
        let again = Form::call("recur", [Form::call("inc", [Form::atom(i.clone())]), next]);
        let test = Form::call("<", [Form::atom(i.clone()), Form::atom(times)]);
        let bindings = vec![
            Form::atom(i),
            Form::atom("0"),
            Form::atom(acc.clone()),
            start,
        ];
        Form::call(
            "loop",
            [
                Form::vector(bindings),
                Form::call("if", [test, again, Form::atom(acc)]),
            ],
        )
    }

    /// A template with holes.
    fn quasiquoted(&mut self, depth: usize) -> Form {
        let mut items = Vec::new();
        for _ in 0..self.rng.below(4) {
            let inner = self.form(Kind::Any, depth - 1);
            items.push(match self.rng.below(6) {
                0..=2 => Form::Marked("~", Box::new(inner)),
                3 => Form::Marked("~@", Box::new(inner)),
                4 => Form::vector(vec![Form::Marked("~", Box::new(inner))]),
                _ => inner,
            });
        }
        let template = match self.rng.below(4) {
            0 => Form::list(items),
            1 => Form::set(items),
            2 if items.len().is_multiple_of(2) => Form::map(items),
            3 if items.len() == 1 => items.remove(0),
            _ => Form::vector(items),
        };
        let quoted = Form::Marked("`", Box::new(template));
        if self.rng.chance(30) {
            Form::call("eval", [quoted])
        } else {
            quoted
        }
    }

    /// Something large: blobs and strings about their chunk size, collections of several levels.
    fn grown(&mut self, depth: usize) -> Form {
        let below = depth - 1;
        let doubling = |name: &str, seed: Form, times: usize, join: Form| {
            Form::call(
                "loop",
                [
                    Form::vector(vec![
                        Form::atom("i"),
                        Form::atom("0"),
                        Form::atom(name),
                        seed,
                    ]),
                    Form::call(
                        "if",
                        [
                            Form::call("<", [Form::atom("i"), Form::atom(times.to_string())]),
                            Form::call("recur", [Form::call("inc", [Form::atom("i")]), join]),
                            Form::atom(name),
                        ],
                    ),
                ],
            )
        };
        let x = || Form::atom("x");
        match self.rng.below(6) {
            0 => {
                let times = self.rng.between(3, 10);
                let seed = self.form(Kind::Text, below);
                doubling("x", seed, times, Form::call("str", [x(), x()]))
            }
            1 => {
                let times = self.rng.between(2, 9);
                let seed = self.form(Kind::Blob, below);
                let text = Form::call("str", [x(), x()]);
                // Printed blobs begin with 0x: cut it off to join them.
                let joined = Form::call(
                    "blob",
                    [Form::call(
                        "str",
                        [
                            Form::call("slice", [Form::call("str", [x()]), Form::atom("2")]),
                            Form::call(
                                "slice",
                                [
                                    text,
                                    Form::atom("2"),
                                    Form::call(
                                        "+",
                                        [
                                            Form::atom("2"),
                                            Form::call(
                                                "*",
                                                [Form::atom("2"), Form::call("count", [x()])],
                                            ),
                                        ],
                                    ),
                                ],
                            ),
                        ],
                    )],
                );
                doubling("x", seed, times, joined)
            }
            2 => {
                let times = self.rng.between(2, 5);
                let seed = self.form(Kind::Sequence, below);
                doubling("x", seed, times, Form::call("concat", [x(), x()]))
            }
            3 => {
                let seed = Form::atom(self.rng.between(2, 1000).to_string());
                let times = self.rng.between(3, 13);
                doubling("x", seed, times, Form::call("*", [x(), x()]))
            }
            4 => {
                // Many keys, so that some share the first digits of their hashes.
                let times = self.rng.between(16, 300);
                let name = self.rng.pick(&["conj", "assoc", "disj", "dissoc"]);
                let i = || Form::atom("i");
                let (seed, join) = match name {
                    "conj" => (Form::atom("#{}"), Form::call("conj", [x(), i()])),
                    "assoc" => {
                        let value = self.literal(Kind::Small, 0);
                        (Form::atom("{}"), Form::call("assoc", [x(), i(), value]))
                    }
                    _ => {
                        let seed = self.literal(Kind::Set, 0);
                        (seed, Form::call("conj", [x(), Form::call("*", [i(), i()])]))
                    }
                };
                let grown = doubling("x", seed, times, join);
                match self.rng.below(4) {
                    0 => Form::call("first", [grown]),
                    1 => Form::call(
                        self.rng.pick(&["union", "intersection", "difference"]),
                        [grown, Form::call("set", [self.form(Kind::Sequence, below)])],
                    ),
                    2 => Form::call("reduce", [Form::atom(name), Form::atom("#{}"), grown]),
                    _ => grown,
                }
            }
            _ => {
                let times = self.rng.between(5, 140);
                let wrap = self
                    .rng
                    .pick(&["vector", "list", "hash-set", "syntax", "hash-map :a"]);
                doubling("x", Form::atom("1"), times, Form::call(wrap, [x()]))
            }
        }
    }
}
