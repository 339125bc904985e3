//! Core functions that execute in other accounts, and the log.

use cells::{Cell, Vector};

use super::{Arity, Kind, Native};
use crate::context::{Args, Context};
use crate::exit::{Code, Outcome};
use crate::juice;

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 384,
        symbol: "log",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& values"],
        doc: "Adds an entry with the given values to the log of the transaction. Clients that follow the chain can \
              watch for such entries; they are not part of the state, and vanish with effects that are undone.",
        returns: "the values, as a Vector",
        errors: &[],
        juice: "P:1050+50*argc",
        examples: &[("(log)", "[]"), ("(log :sold 3)", "[:sold 3]")],
        run: log,
    },
    Native {
        code: 386,
        symbol: "call*",
        kind: Kind::Function,
        arity: Arity::at_least(3),
        params: &["target offer function-name & args"],
        doc: "Calls a callable function of an actor. The function executes in the actor's account, with the calling \
              account as `*caller*`, and may accept up to `offer` coppers. `target` is an address, or a vector of an \
              address and a scope that the actor sees as `*scope*`. The macro `call` is more convenient.",
        returns: "what the function returns",
        errors: &[
            (Code::Cast, "target, offer or name is of the wrong type"),
            (Code::Nobody, "there is no such account"),
            (Code::Funds, "the offer is more than the balance"),
            (Code::Argument, "the offer is negative"),
            (
                Code::State,
                "the account has no callable function of this name",
            ),
        ],
        juice: "F:100",
        examples: &[
            ("(call* #99999999 0 'f)", "!:NOBODY"),
            ("(call* *address* -1 'f)", "!:ARGUMENT"),
            ("(call* *address* 1000000000000000000 'f)", "!:FUNDS"),
            ("(call* :a 0 'f)", "!:CAST"),
            ("(call* *address* 0 'no-such-function)", "!:STATE"),
        ],
        run: call_star,
    },
    Native {
        code: 387,
        symbol: "deploy",
        kind: Kind::Function,
        arity: Arity::at_least(1),
        params: &["& code"],
        doc: "Makes a new account and runs each piece of code in it, until one does not end normally. The account has \
              no key, so it is an actor from the start; code that wants to be controlled later sets a controller.",
        returns: "the Address of the new account",
        errors: &[(Code::Compile, "code does not compile")],
        juice: "code juice, then E:1000",
        examples: &[
            ("(callable? (deploy nil))", "true"),
            ("(lookup (deploy '(def a 1)) a)", "1"),
            ("(deploy '(fail :OOPS 1))", "!:OOPS"),
            ("(deploy '(def 1 2))", "!:COMPILE"),
        ],
        run: deploy,
    },
];

fn log(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let cost = juice::LOG.saturating_add(juice::build(args.len() as u64));
    ctx.precheck(cost)?;
    let values: Vector = args.iter().cloned().collect();
    let (block, index) = ctx.location;
    let location: Vector = [block, index].into_iter().map(Cell::Long).collect();
    let entry: Vector = [
        Cell::Address(ctx.address),
        ctx.scope.clone(),
        Cell::from(location),
        Cell::from(values.clone()),
    ]
    .into_iter()
    .collect();
    ctx.log.push(Cell::from(entry));
    ctx.done(cost, values)
}

fn call_star(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    ctx.charge(juice::CALL)?;
    let offer = ctx.long(args, 1)?;
    let name = ctx.symbol(args, 2)?;
    let passed = Args::from_iter(args[3..].iter().cloned());
    ctx.actor_call(&args[0], offer, &name, passed)
}

fn deploy(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    ctx.deploy(args)
}
