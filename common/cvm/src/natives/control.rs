//! Core functions that call functions or change the flow of control.

use cells::Cell;

use super::views::Views;
use super::{Arity, Kind, Native};
use crate::call;
use crate::context::{Args, Context};
use crate::exit::{Code, Exit, Outcome};
use crate::juice;
use crate::value;

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 196,
        symbol: "recur",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& args"],
        doc: "Starts the nearest enclosing function or loop again with new arguments. The stack does not grow.",
        returns: "does not return",
        errors: &[(Code::Exception, "there is no enclosing function or loop")],
        juice: "E:30",
        examples: &[
            ("(loop [i 0] (cond (< i 3) (recur (inc i)) i))", "3"),
            ("((fn [n] (cond (> n 0) (recur (dec n)) :done)) 5)", ":done"),
            ("(recur 1)", "!:EXCEPTION"),
        ],
        run: recur,
    },
    Native {
        code: 197,
        symbol: "tailcall*",
        kind: Kind::Function,
        arity: Arity::at_least(1),
        params: &["f & args"],
        doc: "Ends the enclosing function with a call of another one. The stack does not grow.",
        returns: "does not return",
        errors: &[
            (Code::Cast, "f is no function"),
            (Code::Exception, "there is no enclosing function"),
        ],
        juice: "E:30",
        examples: &[
            ("((fn [a b] (tailcall* + a b)) 3 4)", "7"),
            ("(tailcall* :a {})", "!:CAST"),
            ("(tailcall* inc 1)", "!:EXCEPTION"),
        ],
        run: tailcall,
    },
    Native {
        code: 198,
        symbol: "apply",
        kind: Kind::Function,
        arity: Arity::at_least(2),
        params: &["f & args elements"],
        doc: "Calls a function with the arguments given and with the elements of the last one, a data structure or nil.",
        returns: "what the function returns",
        errors: &[(
            Code::Cast,
            "f can't be called, or the last argument is neither a data structure nor nil",
        )],
        juice: "F:50+50*count(last)",
        examples: &[
            ("(apply + [1 2])", "3"),
            ("(apply + 1 2 '(3 4))", "10"),
            ("(apply + nil)", "0"),
            ("(apply +)", "!:ARITY"),
            ("(apply + 1 2)", "!:CAST"),
        ],
        run: apply,
    },
    Native {
        code: 208,
        symbol: "rollback",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["value"],
        doc: "Ends the transaction, or the actor call under way, and undoes all effects that it has had. This is not an \
              error: the value is returned.",
        returns: "does not return",
        errors: &[],
        juice: "E:20",
        examples: &[
            ("(rollback 6)", "6"),
            ("(do (def gone 1) (rollback :undone))", ":undone"),
        ],
        run: rollback,
    },
    Native {
        code: 209,
        symbol: "halt",
        kind: Kind::Function,
        arity: Arity::between(0, 1),
        params: &["", "value"],
        doc: "Ends the transaction, or the actor call under way, with a value, nil by default. Effects are kept.",
        returns: "does not return",
        errors: &[],
        juice: "E:20",
        examples: &[("(halt 5)", "5"), ("(do (halt) 1)", "nil")],
        run: halt,
    },
    Native {
        code: 210,
        symbol: "return",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["value"],
        doc: "Ends the enclosing function with a value.",
        returns: "does not return",
        errors: &[],
        juice: "E:20",
        examples: &[
            ("((fn [x] (return x) 2) 1)", "1"),
            ("(do (return 1) 2)", "1"),
        ],
        run: return_value,
    },
    Native {
        code: 211,
        symbol: "fail",
        kind: Kind::Function,
        arity: Arity::between(0, 2),
        params: &["", "message", "code message"],
        doc: "Ends with an error. The code is `:ASSERT` unless given; any value but nil may serve. Programs see only the \
              code, clients also the message.",
        returns: "does not return",
        errors: &[
            (Code::Assert, "no code is given"),
            (Code::Argument, "the code is nil"),
        ],
        juice: "0",
        examples: &[
            ("(fail \"sold out\")", "!:ASSERT"),
            ("(fail :SOLD-OUT \"sorry\")", "!:SOLD-OUT"),
            ("(try (fail :A 1) *result*)", ":A"),
            ("(fail nil 1)", "!:ARGUMENT"),
        ],
        run: fail,
    },
    Native {
        code: 226,
        symbol: "map",
        kind: Kind::Function,
        arity: Arity::at_least(2),
        params: &["f coll & more"],
        doc: "Calls a function with the elements of one or more collections, one from each, as far as the shortest goes.",
        returns: "the results, in a collection of the type of the first; nil when that is nil",
        errors: &[
            (
                Code::Cast,
                "f can't be called, or a collection is no data structure",
            ),
            (Code::Argument, "a result does not fit into the collection"),
        ],
        juice: "P:100+50*len, charged after the calls",
        examples: &[
            ("(map inc [1 2])", "[2 3]"),
            ("(map + [1 2 3] [10 20])", "[11 22]"),
            ("(map inc nil)", "nil"),
            ("(map inc 1)", "!:CAST"),
            ("(map first {1 2})", "!:ARGUMENT"),
        ],
        run: map,
    },
    Native {
        code: 227,
        symbol: "reduce",
        kind: Kind::Function,
        arity: Arity::between(2, 3),
        params: &["f coll", "f init coll"],
        doc: "Combines the elements of a collection: calls f with what has been reached so far and the next element. \
              Without an initial value it begins with the first element. `reduced` ends it early.",
        returns: "the last result",
        errors: &[(
            Code::Cast,
            "f can't be called, or coll is neither a data structure nor nil",
        )],
        juice: "A:100",
        examples: &[
            ("(reduce + 0 [1 2 3])", "6"),
            ("(reduce + [])", "0"),
            (
                "(reduce (fn [a x] (cond (> x 1) (reduced :big) x)) [0 1 2 3])",
                ":big",
            ),
            ("(reduce + 1 2)", "!:CAST"),
        ],
        run: reduce,
    },
    Native {
        code: 228,
        symbol: "reduced",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["value"],
        doc: "Ends the enclosing `reduce` with a value.",
        returns: "does not return",
        errors: &[(Code::Exception, "there is no enclosing reduce")],
        juice: "E:20",
        examples: &[
            ("(reduce (fn [a x] (reduced a)) 0 [1 2 3])", "0"),
            ("(reduced 1)", "!:EXCEPTION"),
        ],
        run: reduced,
    },
];

fn take(arg: &mut Cell) -> Cell {
    std::mem::replace(arg, Cell::Nil)
}

fn recur(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    ctx.charge(juice::RECUR)?;
    ctx.pending = args.iter_mut().map(take).collect();
    Err(Exit::Recur)
}

fn tailcall(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !call::is_function(&args[0]) {
        return Err(ctx.cast(args, 0, "Function"));
    }
    ctx.charge(juice::RECUR)?;
    ctx.pending_target = take(&mut args[0]);
    ctx.pending = args[1..].iter_mut().map(take).collect();
    Err(Exit::Tailcall)
}

fn apply(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !call::is_callable(&args[0]) {
        return Err(ctx.cast(args, 0, "Function"));
    }
    let last = args.len() - 1;
    let n = count_of(ctx, args, last, "DataStructure")?;
    ctx.charge(juice::linear(juice::APPLY, ctx.rules.apply_element, n))?;
    let mut passed: Args = args[1..last].iter_mut().map(take).collect();
    each_element(&args[last], n, |element| passed.push(element))?;
    ctx.call(&args[0], passed)
}

/// Number of elements of argument `i`, a data structure or nil; `wanted` is what an error calls it.
fn count_of(ctx: &Context<'_>, args: &[Cell], i: usize, wanted: &str) -> Outcome<u64> {
    if !args[i].is_nil() && !value::is_data_structure(&args[i]) {
        return Err(ctx.cast(args, i, wanted));
    }
    Ok(value::count(&args[i])?.unwrap_or(0))
}

/// Hands the first `n` elements of a data structure to `f`, in order.
fn each_element(cell: &Cell, n: u64, mut f: impl FnMut(Cell)) -> Outcome<()> {
    match cell {
        Cell::Vector(v) => {
            for element in v.iter().take(n as usize) {
                f(element?);
            }
        }
        Cell::List(l) => {
            for element in l.iter().take(n as usize) {
                f(element?);
            }
        }
        Cell::Set(s) => {
            for element in s.iter().take(n as usize) {
                f(element?);
            }
        }
        Cell::Map(m) => {
            for entry in m.iter().take(n as usize) {
                let (key, value) = entry?;
                f(value::entry_cell(key, value));
            }
        }
        Cell::Index(m) => {
            for entry in m.iter().take(n as usize) {
                let (key, value) = entry?;
                f(value::entry_cell(key, value));
            }
        }
        other => {
            for i in 0..n {
                if let Some(element) = value::element(other, i)? {
                    f(element);
                }
            }
        }
    }
    Ok(())
}

fn rollback(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    ctx.charge(juice::RETURN)?;
    Err(Exit::Rollback(take(&mut args[0])))
}

fn halt(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    ctx.charge(juice::RETURN)?;
    Err(Exit::Halt(args.first_mut().map_or(Cell::Nil, take)))
}

fn return_value(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    ctx.charge(juice::RETURN)?;
    Err(Exit::Return(take(&mut args[0])))
}

fn reduced(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    ctx.charge(juice::RETURN)?;
    Err(Exit::Reduced(take(&mut args[0])))
}

fn fail(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    Err(match args {
        [] => ctx.error_value(Code::Assert.cell(), Cell::Nil),
        [message] => ctx.error_value(Code::Assert.cell(), take(message)),
        [code, ..] if code.is_nil() => ctx.error(Code::Argument, "Error code cannot be nil"),
        [code, message, ..] => ctx.error_value(take(code), take(message)),
    })
}

fn map(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !call::is_callable(&args[0]) {
        return Err(ctx.cast_value(&args[0], "Function"));
    }
    let mut len = u64::MAX;
    for i in 1..args.len() {
        if args[i].is_nil() {
            let empty = value::empty_like(&args[1]).unwrap_or(Cell::Nil);
            return ctx.done(juice::MAP, empty);
        }
        if !value::is_data_structure(&args[i]) {
            return Err(ctx.cast_value(&args[i], "Sequence"));
        }
        len = len.min(count_of(ctx, args, i, "Sequence")?);
    }
    let cost = juice::linear(juice::MAP, juice::BUILD, len);
    ctx.precheck(cost)?;
    let reversed = matches!(args[1], Cell::List(_));
    let mut made = value::empty_like(&args[1]).unwrap_or(Cell::Nil);
    for step in 0..len {
        let i = if reversed { len - 1 - step } else { step };
        let mut passed = Args::new();
        for collection in &args[1..] {
            passed.push(value::element(collection, i)?.unwrap_or(Cell::Nil));
        }
        let result = ctx.call(&args[0], passed)?;
        let kind = value::type_name(&args[1]);
        let Some(more) = value::conj(made, result)? else {
            let text = format!("Invalid element type for {kind}");
            return Err(ctx.error(Code::Argument, text.as_str()));
        };
        made = more;
    }
    ctx.done(cost, made)
}

/// What a step of `reduce` counts among elements that are visited without being paid for.
const STEP: u64 = 16;

fn reduce(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !call::is_callable(&args[0]) {
        return Err(ctx.cast(args, 0, "Function"));
    }
    let last = args.len() - 1;
    let n = count_of(ctx, args, last, "Sequence")?;
    let outcome = reduce_elements(ctx, args, n);
    let outcome = match outcome {
        Err(Exit::Reduced(value)) => Ok(value),
        other => other,
    };
    ctx.after(juice::REDUCE, outcome)
}

fn reduce_elements(ctx: &mut Context<'_>, args: &mut [Cell], n: u64) -> Outcome {
    let last = args.len() - 1;
    let mut next = 0;
    let mut reached = if last == 2 {
        take(&mut args[1])
    } else {
        match n {
            0 => return ctx.call(&args[0], Args::new()),
            1 => {
                let only = value::element(&args[last], 0)?.unwrap_or(Cell::Nil);
                return ctx.call(&args[0], Args::from_iter([only]));
            }
            _ => {
                next = 1;
                value::element(&args[last], 0)?.unwrap_or(Cell::Nil)
            }
        }
    };
    let mut views = Views::of(&args[0]);
    while next < n {
        // A function that is data costs no juice.
        ctx.visit_unpaid(STEP)?;
        let element = value::element(&args[last], next)?.unwrap_or(Cell::Nil);
        reached = match &mut views {
            Some(views) => views.call(ctx, &args[0], reached, element)?,
            None => ctx.call(&args[0], Args::from_iter([reached, element]))?,
        };
        next += 1;
    }
    Ok(reached)
}
