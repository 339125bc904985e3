//! Forms that change the state: definitions, accounts, coins, memory, peers, actors, libraries.

use super::literals::KEYS;
use super::{Generator, Kind};
use crate::form::Form;

impl Generator<'_> {
    /// A form that is there for its effect.
    pub(super) fn statement(&mut self, depth: usize) -> Form {
        match self.rng.below(10) {
            0..=3 => self.definition(depth),
            4..=8 => self.effect(depth),
            _ => self.form(Kind::Any, depth),
        }
    }

    fn definition(&mut self, depth: usize) -> Form {
        let below = depth.saturating_sub(1);
        let name = format!("g{}", self.rng.below(6));
        let made = match self.rng.below(12) {
            0..=4 => {
                let value = self.form(Kind::Any, below);
                let target = if self.rng.chance(20) {
                    let metadata = self.metadata(below);
                    Form::meta(metadata, Form::atom(name.clone()))
                } else {
                    Form::atom(name.clone())
                };
                Form::call("def", [target, value])
            }
            5..=7 => {
                let count = self.rng.below(3);
                let (params, body) = self.arity(count, below, true);
                let mut parts = vec![Form::atom(name.clone())];
                if self.rng.chance(25) {
                    parts = vec![Form::meta(
                        Form::atom(":callable"),
                        Form::atom(name.clone()),
                    )];
                }
                parts.push(params);
                parts.extend(body);
                Form::call("defn", parts)
            }
            8 => {
                let params = vec![Form::atom("p"), Form::atom("q")];
                let body = self.scoped(&["p".to_owned(), "q".to_owned()], |g| g.template(below));
                Form::call(
                    "defmacro",
                    [Form::atom(name.clone()), Form::vector(params), body],
                )
            }
            9 => {
                let value = self.form(Kind::Any, below);
                Form::call("set!", [Form::atom(name.clone()), value])
            }
            10 => {
                let undo = self.rng.pick(&["undef", "declare", "define"]);
                Form::call(undo, [Form::atom(name.clone())])
            }
            _ => {
                let value = self.form(Kind::Any, below);
                let path = self.literal(Kind::Path, 0);
                Form::call("set-in!", [Form::atom(name.clone()), path, value])
            }
        };
        self.globals.push(name);
        made
    }

    /// The body of a macro: code made of its parameters.
    fn template(&mut self, depth: usize) -> Form {
        let hole = |name: &str| Form::Marked("~", Box::new(Form::atom(name)));
        match self.rng.below(4) {
            0 => Form::Marked("`", Box::new(Form::call("+", [hole("p"), hole("q")]))),
            1 => Form::Marked(
                "`",
                Box::new(Form::call("if", [hole("p"), hole("q"), Form::atom("nil")])),
            ),
            2 => Form::call(
                "list",
                [
                    Form::quote(Form::atom("do")),
                    Form::atom("q"),
                    Form::atom("p"),
                ],
            ),
            _ => self.form(Kind::Any, depth),
        }
    }

    /// A form that changes or asks the state.
    pub(super) fn effect(&mut self, depth: usize) -> Form {
        let below = depth.saturating_sub(1);
        match self.rng.below(32) {
            0 | 1 => {
                let values: Vec<_> = (0..self.rng.below(3))
                    .map(|_| self.form(Kind::Any, below))
                    .collect();
                Form::call("log", values)
            }
            2 | 3 => {
                let target = self.form(Kind::Address, 0);
                let amount = self.amount();
                Form::call("transfer", [target, amount])
            }
            4 => {
                let n = self.memory_amount();
                Form::call("set-memory", [n])
            }
            5 => {
                let target = self.form(Kind::Address, 0);
                let n = self.memory_amount();
                Form::call("transfer-memory", [target, n])
            }
            6 | 7 => {
                let target = self.form(Kind::Address, 0);
                let value = self.form(Kind::Any, below);
                Form::call("set-holding", [target, value])
            }
            8 => {
                let name = self.rng.pick(&["set-controller", "set-parent"]);
                let target = match self.rng.below(5) {
                    0 => Form::atom("nil"),
                    1 => Form::vector(vec![self.address(), self.literal(Kind::Any, 0)]),
                    _ => self.form(Kind::Address, 0),
                };
                Form::call(name, [target])
            }
            9 => {
                let key = if self.rng.chance(20) {
                    Form::atom("nil")
                } else {
                    self.form(Kind::Key, 0)
                };
                let name = self.rng.pick(&["set-key", "create-account", "set-key"]);
                Form::call(name, [key])
            }
            10..=12 => self.peer_change(),
            13..=17 => self.deployment(depth),
            18..=20 => self.actor_call(depth),
            21 | 22 => {
                let when = match self.rng.below(4) {
                    0 => Form::call(
                        "+",
                        [
                            Form::atom("*timestamp*"),
                            Form::atom(self.rng.below(100_000).to_string()),
                        ],
                    ),
                    1 => Form::atom(self.rng.pick(&[
                        "0",
                        "-1",
                        "1735056000001",
                        "1735056000500",
                        "9223372036854775807",
                    ])),
                    _ => Form::call(
                        "+",
                        [
                            Form::atom("*timestamp*"),
                            Form::atom(self.rng.below(3000).to_string()),
                        ],
                    ),
                };
                let code = self.form(Kind::Any, below);
                Form::call("schedule", [when, code])
            }
            23 => {
                let name = self.rng.pick(&["eval-as", "query-as"]);
                let target = Form::atom(self.rng.pick(&[
                    "*address*",
                    "#11",
                    "#12",
                    "#13",
                    "#17",
                    "#64",
                    "#9999",
                    "#8",
                ]));
                let code = self.statement(below);
                Form::call(name, [target, Form::quote(code)])
            }
            24 => {
                let offer = self.amount();
                Form::call("accept", [offer])
            }
            25 => Form::call("undef", [Form::atom(format!("g{}", self.rng.below(6)))]),
            26..=29 => self.library(below),
            _ => {
                let name = self.rng.pick(&["balance", "account", "get-holding"]);
                let target = self.form(Kind::Address, 0);
                Form::call(name, [target])
            }
        }
    }

    /// Coppers.
    fn amount(&mut self) -> Form {
        match self.rng.below(12) {
            0 => Form::atom("*balance*"),
            1 => Form::atom(self.rng.pick(&[
                "-1",
                "1000000000000000001",
                "9223372036854775807",
                "-9223372036854775808",
                "99900000000000",
            ])),
            2 => Form::call(
                "-",
                [
                    Form::atom("*balance*"),
                    Form::atom(self.rng.magnitude(30).to_string()),
                ],
            ),
            3 => self.form(Kind::Number, 1),
            4 | 5 => Form::atom("0"),
            _ => Form::atom(self.rng.magnitude(45).to_string()),
        }
    }

    /// Bytes.
    fn memory_amount(&mut self) -> Form {
        match self.rng.below(8) {
            0 => Form::atom("*memory*"),
            1 => Form::atom(self.rng.pick(&[
                "-1",
                "1009999",
                "1010000",
                "1010001",
                "9223372036854775807",
            ])),
            2 => self.form(Kind::Number, 1),
            _ => Form::atom(self.rng.below(20_000).to_string()),
        }
    }

    fn peer_change(&mut self) -> Form {
        let key = if self.rng.chance(10) {
            self.form(Kind::Key, 1)
        } else {
            Form::atom(self.rng.pick(KEYS))
        };
        match self.rng.below(8) {
            0 => Form::call("evict-peer", [key]),
            1 => {
                let data = self.form(Kind::Map, 1);
                Form::call("set-peer-data", [key, data])
            }
            2 => Form::call("get-peer-stake", [key]),
            3 => {
                let target = self.form(Kind::Address, 0);
                Form::call("get-stake", [key, target])
            }
            n => {
                let name = ["set-stake", "set-stake", "set-peer-stake", "create-peer"][n - 4];
                let amount = if self.rng.chance(50) {
                    Form::atom(self.rng.pick(&[
                        "0",
                        "1000000000000",
                        "49950000000000",
                        "1000",
                        "999999999999",
                    ]))
                } else {
                    self.amount()
                };
                Form::call(name, [key, amount])
            }
        }
    }

    /// A new actor with some callable functions.
    fn deployment(&mut self, depth: usize) -> Form {
        let below = depth.saturating_sub(1);
        let mut code = Vec::new();
        let outside = std::mem::take(&mut self.locals);
        for name in ["f", "receive-coin", "check-trusted?"] {
            if !self.rng.chance(60) {
                continue;
            }
            let count = if name == "f" { self.rng.below(3) } else { 3 };
            let (params, mut body) = self.arity(count, below.min(2), name == "f");
            if self.rng.chance(50) {
                let offered =
                    self.rng
                        .pick(&["*offer*", "1", "0", "(div *offer* 2)", "(inc *offer*)"]);
                body.insert(0, Form::call("accept", [Form::atom(offered)]));
            }
            let flag = Form::atom(self.rng.pick(&[
                ":callable",
                ":callable",
                ":callable",
                ":other",
                "{:callable false}",
            ]));
            let mut parts = vec![Form::meta(flag, Form::atom(name)), params];
            parts.extend(body);
            code.push(Form::call("defn", parts));
        }
        if self.rng.chance(20) {
            let value = self.form(Kind::Function1, below.min(2));
            code.push(Form::call("def", [Form::atom("h"), value]));
        }
        if self.rng.chance(50) {
            code.push(self.statement(below.min(2)));
        }
        self.locals = outside;
        let code = if code.len() == 1 && self.rng.chance(50) {
            code.remove(0)
        } else {
            Form::call("do", code)
        };
        let deploy = Form::call("deploy", [Form::quote(code)]);
        if self.rng.chance(85) {
            let name = format!("ac{}", self.rng.below(3));
            self.actors.push(name.clone());
            return Form::call("def", [Form::atom(name), deploy]);
        }
        deploy
    }

    fn actor_call(&mut self, depth: usize) -> Form {
        let below = depth.saturating_sub(1);
        let target = match self.rng.below(8) {
            0 => Form::vector(vec![self.address(), self.form(Kind::Any, 0)]),
            1 => self.form(Kind::Any, 0),
            _ => self.address(),
        };
        let name = self.rng.pick(&[
            "f",
            "f",
            "f",
            "f",
            "h",
            "receive-coin",
            "check-trusted?",
            "g0",
            "g1",
            "read",
            "count",
            "balance",
            "total-supply",
        ]);
        let args: Vec<_> = (0..self.rng.below(4))
            .map(|_| self.form(Kind::Any, below))
            .collect();
        match self.rng.below(4) {
            0 => {
                let offer = self.amount();
                Form::call(
                    "call*",
                    [target, offer, Form::quote(Form::atom(name))]
                        .into_iter()
                        .chain(args),
                )
            }
            1 => {
                let offer = self.amount();
                Form::call("call", [target, offer, Form::call(name, args)])
            }
            2 => Form::list(
                std::iter::once(Form::path(self.address(), name))
                    .chain(args)
                    .collect(),
            ),
            _ => Form::call("call", [target, Form::call(name, args)]),
        }
    }

    /// A use of the libraries of the genesis state.
    fn library(&mut self, depth: usize) -> Form {
        const TEXTS: &[&str] = &[
            "(import convex.asset :as asset)",
            "(import convex.fungible :as fungible)",
            "(import convex.trust :as trust)",
            "(import nobody.here :as none)",
            "(call #9 (read 'convex.core))",
            "(call *registry* (create 'foo.bar))",
            "(call *registry* (register {:name \"me\"}))",
            "(def ac0 (deploy (#64/build-token {:supply 1000000})))",
            "(def ac1 (deploy (#64/build-token {:supply 5000 :decimals 2})))",
            "(def ac0 (deploy [(#64/build-token {:supply 1000}) (#64/add-mint {:max-supply 2000})]))",
            "(def ac2 (call #67 (create)))",
            "(def ac2 (call #68 (create {:name \"n\"})))",
            "(def ac1 (call #69 (create)))",
            "(#70/create)",
            "(#65/create #68 {:a 1})",
            "(call #71 (create :token))",
            "(call [#71 :token] (mint 100))",
            "(call #72 10 (wrap 10))",
            "(#72/wrap 1000)",
            "(#66/create-market ac0)",
            "(call #66 (create-market ac0))",
            "(#66/add-liquidity ac0 1000 100000)",
            "(#66/buy-tokens #128 10)",
            "(#66/sell-cvx #128 1000000)",
            "(#66/buy-cvx #128 5)",
            "(#66/price #130)",
            "(#66/buy-quote #128 100)",
            "(#10/trusted? [#75 #{#13}] *address*)",
            "(#10/trusted? #13 *address* :action)",
            "(#10/trusted? [#73 [#128 10]] *caller* :x)",
            "(#76/permit-subjects #13 #12)",
            "(#10/trusted? (#76/any (#76/everyone) (#76/before 0)) #11)",
            "(call #74 (create #13))",
            "(set-controller [#75 #{#13 #12}])",
            "(set-controller (#76/everyone))",
            "(doc count)",
            "*state*",
            "(count (encoding *state*))",
            "(:accounts *state*)",
            "(get-in *state* [:globals 0])",
            "(def *lang* (fn [x] (compile x)))",
            "(account #13)",
        ];
        let small = self.rng.below(3000).to_string();
        let holder = self.address();
        let token = self.address();
        let library = match self.rng.below(12) {
            0 => Form::call("#64/balance", [token, holder]),
            1 => Form::call("#64/transfer", [token, holder, Form::atom(small)]),
            2 => Form::call("#64/mint", [token, Form::atom(small)]),
            3 => Form::call("#65/balance", [token, holder]),
            4 => Form::call(
                "#65/transfer",
                [holder, Form::vector(vec![token, Form::atom(small)])],
            ),
            5 => Form::call(
                "#65/owns?",
                [holder, Form::vector(vec![token, Form::atom(small)])],
            ),
            6 => Form::call(
                "#65/quantity-add",
                [token, Form::atom(small), self.form(Kind::Any, depth.min(1))],
            ),
            _ => Form::atom(self.rng.pick(TEXTS)),
        };
        if self.rng.chance(10) {
            Form::call("try", [library, self.form(Kind::Any, depth.min(1))])
        } else {
            library
        }
    }
}
