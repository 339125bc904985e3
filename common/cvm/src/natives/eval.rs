//! Core functions that expand, compile and evaluate code, and syntax values.

use cells::{Cell, Map, Syntax};

use super::{Arity, Kind, Native};
use crate::call;
use crate::context::Context;
use crate::exit::{Code, Exit, Outcome};
use crate::expand::{self, INITIAL};
use crate::juice;

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 0,
        symbol: "quote",
        kind: Kind::Expander,
        arity: Arity::exactly(2),
        params: &["form continuation"],
        doc: "The form as data, not evaluated and not expanded. Also written as an apostrophe before the form. As a \
              function it is the expander that leaves its form alone.",
        returns: "the form, unchanged",
        errors: &[],
        juice: "E:40",
        examples: &[
            ("(quote foo)", "foo"),
            ("'(+ 1 2)", "(+ 1 2)"),
            ("(#%apply quote ['a nil])", "a"),
        ],
        run: quote,
    },
    Native {
        code: 17,
        symbol: "eval",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["form"],
        doc: "Expands, compiles and executes a form in the executing account. Local bindings around the call are not \
              visible to it. An op is executed as it is.",
        returns: "the value of the form",
        errors: &[],
        juice: "expand+compile+exec, then A:500 (not when expand/compile failed)",
        examples: &[
            ("(eval '(+ 1 2))", "3"),
            ("(eval (compile 7))", "7"),
            ("(eval '(let))", "!:SYNTAX"),
        ],
        run: eval,
    },
    Native {
        code: 18,
        symbol: "eval-as",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["address form"],
        doc: "Evaluates a form in another account that the executing account controls: its own, one whose controller it \
              is, or one whose controller is an actor that says so.",
        returns: "the value of the form",
        errors: &[
            (Code::Cast, "address is no Address"),
            (Code::Nobody, "there is no such account"),
            (
                Code::Trust,
                "the account is not controlled by the executing one",
            ),
        ],
        juice: "work, then A:500",
        examples: &[
            ("(eval-as *address* '(+ 1 2))", "3"),
            ("(eval-as #99999999 1)", "!:NOBODY"),
            ("(eval-as #1 1)", "!:TRUST"),
            ("(eval-as 1 1)", "!:CAST"),
        ],
        run: eval_as,
    },
    Native {
        code: 19,
        symbol: "query-as",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["address form"],
        doc: "Evaluates a form as if in another account and undoes all effects. No control is needed.",
        returns: "the value of the form",
        errors: &[
            (Code::Cast, "address is no Address"),
            (Code::Nobody, "there is no such account"),
        ],
        juice: "work, then A:500",
        examples: &[
            ("(query-as #8 '*address*)", "#8"),
            ("(query-as #99999999 1)", "!:NOBODY"),
            ("(query-as 1 1)", "!:CAST"),
        ],
        run: query_as,
    },
    Native {
        code: 20,
        symbol: "schedule*",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["timestamp op"],
        doc: "Schedules an op for execution in the executing account when the time of the network reaches the given \
              number of milliseconds. A time in the past means as soon as possible. The macro `schedule` compiles a \
              form first.",
        returns: "the effective time",
        errors: &[
            (Code::Cast, "timestamp is no Long, or op no compiled op"),
            (Code::State, "the time of the network is negative"),
        ],
        juice: "P:floor((t-now)/360000)",
        examples: &[
            ("(= *timestamp* (schedule* 0 (compile 1)))", "true"),
            ("(schedule* 0 1)", "!:CAST"),
        ],
        run: schedule,
    },
    Native {
        code: 21,
        symbol: "syntax",
        kind: Kind::Function,
        arity: Arity::between(1, 2),
        params: &["value", "value meta"],
        doc: "Wraps a value with metadata. Metadata that the value already has are kept where the new ones do not \
              replace them.",
        returns: "Syntax",
        errors: &[(Code::Cast, "meta is neither a hash map nor nil")],
        juice: "E:20",
        examples: &[
            ("(syntax 'a)", "^{} a"),
            ("(syntax 'a {:b 1})", "^{:b 1} a"),
            ("(syntax 1 [])", "!:CAST"),
        ],
        run: syntax,
    },
    Native {
        code: 22,
        symbol: "unsyntax",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "Takes a value out of its metadata. A value without metadata is returned as it is.",
        returns: "the value",
        errors: &[],
        juice: "E:20",
        examples: &[
            ("(unsyntax (syntax 'a {:b 1}))", "a"),
            ("(unsyntax 7)", "7"),
        ],
        run: unsyntax,
    },
    Native {
        code: 23,
        symbol: "meta",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "Metadata of a syntax value.",
        returns: "a hash map, or nil for anything but syntax",
        errors: &[],
        juice: "E:10",
        examples: &[("(meta (syntax 'a {:b 1}))", "{:b 1}"), ("(meta 7)", "nil")],
        run: meta,
    },
    Native {
        code: 257,
        symbol: "compile",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["form"],
        doc: "Expands and compiles a form. Names are resolved as the executing account sees them now.",
        returns: "an op, for `eval`, `schedule*` or a transaction",
        errors: &[
            (Code::Compile, "the form can't be compiled"),
            (Code::Syntax, "a special form has the wrong shape"),
            (Code::Expand, "a quasiquoted form has the wrong shape"),
            (Code::Depth, "the form is nested too deep"),
        ],
        juice: "expand and compile juice only",
        examples: &[
            ("(compile '(do 1 2))", "(do 1 2)"),
            ("(compile '(def 1 2))", "!:COMPILE"),
            ("(compile '(fn 1))", "!:SYNTAX"),
            (
                "(compile (loop [form :a n 300] (cond (= n 0) form (recur [form] (dec n)))))",
                "!:DEPTH",
            ),
        ],
        run: compile,
    },
    Native {
        code: 258,
        symbol: "expand",
        kind: Kind::Function,
        arity: Arity::between(1, 3),
        params: &["form", "form expander", "form expander continuation"],
        doc: "Expands a form. An expander is a function of a form and of the expander to be used for parts of it; \
              without one, macros are expanded everywhere.",
        returns: "the expanded form",
        errors: &[
            (Code::Cast, "an expander is no function"),
            (Code::Depth, "the form is nested too deep"),
        ],
        juice: "expander juice only",
        examples: &[
            ("(expand '(a b))", "(a b)"),
            ("(expand 'a (fn [x e] [x]))", "[a]"),
            ("(expand 'a 1)", "!:CAST"),
            (
                "(expand (loop [form :a n 300] (cond (= n 0) form (recur [form] (dec n)))))",
                "!:DEPTH",
            ),
        ],
        run: expand,
    },
    Native {
        code: 259,
        symbol: "*initial-expander*",
        kind: Kind::Expander,
        arity: Arity::exactly(2),
        params: &["form continuation"],
        doc: "The expander that expansion begins with: hands a list whose head is bound to an expander to that expander, \
              and the parts of other collections to the continuation.",
        returns: "the expanded form",
        errors: &[
            (Code::Cast, "continuation is no function"),
            (Code::Depth, "the form is nested too deep"),
        ],
        juice: "E:40 for a leaf, E:100 per collection (plus children)",
        examples: &[
            ("(*initial-expander* 'a *initial-expander*)", "a"),
            ("(*initial-expander* '[a b] (fn [x e] 1))", "[1 1]"),
            ("(*initial-expander* 'a :b)", "!:CAST"),
            (
                "(*initial-expander* (loop [form :a n 300] (cond (= n 0) form (recur [form] (dec n)))) *initial-expander*)",
                "!:DEPTH",
            ),
        ],
        run: initial_expander,
    },
];

fn quote(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    ctx.done(juice::EXPAND_CONSTANT, args[0].clone())
}

fn eval(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let op = match ctx.prepared(&args[0]) {
        Some(op) => op,
        None => {
            let op = ctx.expand_compile(&args[0])?;
            // The register keeps the compiled op while it runs (`spec/02 §2`, quirk).
            ctx.result = op.cell().clone();
            op
        }
    };
    let scope = ctx.locals.scope();
    ctx.locals.enter();
    let outcome = ctx.exec(&op);
    ctx.locals.restore(scope);
    ctx.after(juice::EVAL, outcome)
}

fn eval_as(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let address = ctx.address(args, 0)?;
    let outcome = ctx.eval_as(address, &args[1]);
    ctx.after(juice::EVAL, outcome)
}

fn query_as(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let address = ctx.address(args, 0)?;
    let outcome = ctx.query_as(address, &args[1]);
    ctx.after(juice::EVAL, outcome)
}

fn schedule(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let time = ctx.long(args, 0)?;
    if !crate::op::is_op(&args[1]) {
        return Err(ctx.cast(args, 1, "Op"));
    }
    let now = ctx.state.globals().timestamp;
    let time = time.max(now);
    if time < 0 {
        return Err(ctx.error(Code::State, "Can't schedule at a negative time"));
    }
    let cost = (i128::from(time) - i128::from(now)) / i128::from(juice::SCHEDULE_MILLIS);
    let cost = u64::try_from(cost).unwrap_or(juice::MAX);
    ctx.precheck(cost)?;
    let address = ctx.address;
    ctx.state.schedule_op(time, address, args[1].clone())?;
    ctx.done(cost, Cell::Long(time))
}

fn syntax(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let meta = match args.get(1) {
        None | Some(Cell::Nil) => Map::empty(),
        Some(Cell::Map(meta)) => meta.clone(),
        Some(_) => return Err(ctx.cast(args, 1, "Map")),
    };
    let value = match &args[0] {
        Cell::Syntax(_) => expand::with_meta(args[0].clone(), &meta)?,
        plain => Cell::from(Syntax::new(plain.clone(), meta)),
    };
    ctx.done(juice::SIMPLE, value)
}

fn unsyntax(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let value = expand::unwrap_once(args[0].clone())?;
    ctx.done(juice::SIMPLE, value)
}

fn meta(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let meta = match &args[0] {
        Cell::Syntax(syntax) => Cell::from(syntax.meta().clone()),
        _ => Cell::Nil,
    };
    ctx.done(juice::CHEAP, meta)
}

fn compile(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    ctx.expand_compile(&args[0]).map(|op| op.cell().clone())
}

fn expand(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let function = |ctx: &Context<'_>, i: usize| -> Outcome {
        if call::is_function(&args[i]) {
            Ok(args[i].clone())
        } else {
            Err(ctx.cast(args, i, "Function"))
        }
    };
    let expander = if args.len() > 1 {
        function(ctx, 1)?
    } else {
        Cell::Core(INITIAL)
    };
    let cont = if args.len() > 2 {
        function(ctx, 2)?
    } else {
        expander.clone()
    };
    ctx.expand(&expander, &args[0], &cont)
}

fn initial_expander(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !call::is_function(&args[1]) {
        return Err::<Cell, Exit>(ctx.cast(args, 1, "Function"));
    }
    let (form, cont) = (args[0].clone(), args[1].clone());
    ctx.initial_expander(&form, &cont)
}

#[cfg(test)]
mod tests {
    use crate::context::{Context, Machine, Start};
    use crate::exit::Exit;
    use crate::juice;
    use crate::rules::Rules;
    use crate::testing::{USER, small_state};

    #[test]
    fn nothing_is_scheduled_for_a_time_before_that_of_any_network() {
        for (now, time, expected) in [(-5, -3, ":STATE"), (-5, 0, "0"), (-5, 3, "3"), (7, -3, "7")]
        {
            let (mut machine, mut state) = (Machine::new(Rules::latest()), small_state());
            state.globals_mut().timestamp = now;
            let start = Start {
                origin: USER,
                limit: juice::TRANSACTION_LIMIT,
                location: (0, 0),
                signer: None,
                peer: None,
            };
            let source = format!("(schedule* {time} (compile 1))");
            let form = crate::reader::read(&source).unwrap();
            let seen = match Context::new(&mut machine, &mut state, start).run(&form) {
                Ok(value) => value.to_string(),
                Err(Exit::Error(error)) => error.code.to_string(),
                Err(other) => format!("{other:?}"),
            };
            assert_eq!(seen, expected, "{source} at {now}");
        }
    }
}
