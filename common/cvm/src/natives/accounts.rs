//! Core functions on accounts: definitions, coins, memory, holdings and who controls them (`spec/03 §5.8`).

use cells::{Cell, Index, Map, Symbol};

use super::{Arity, Kind, Native};
use crate::actor::target_parts;
use crate::context::{Args, Context};
use crate::exit::{Code, Outcome};
use crate::juice;
use crate::state::{Account, MAX_COINS, pool};

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 30,
        symbol: "callable?",
        kind: Kind::Function,
        arity: Arity::between(1, 2),
        params: &["target", "target function-name"],
        doc: "Whether a value can be the target of an actor call: the address of an account, or a vector of such an \
              address and a scope. With a name, whether the account also has a callable function of that name.",
        returns: "Boolean",
        errors: &[(Code::Cast, "function-name is no Symbol")],
        juice: "E:15",
        examples: &[
            ("(callable? #8)", "true"),
            ("(callable? [#8 :scope])", "true"),
            ("(callable? 8)", "false"),
            ("(callable? #8 'count)", "false"),
            ("(callable? #8 :count)", "!:CAST"),
        ],
        run: callable,
    },
    Native {
        code: 31,
        symbol: "undef*",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["symbol"],
        doc: "Removes the definition of a symbol, with its metadata, from the executing account. The macro `undef` \
              takes the symbol unquoted.",
        returns: "nil",
        errors: &[(Code::Argument, "the argument is no Symbol")],
        juice: "E:100",
        examples: &[
            ("(do (def a 1) (undef* 'a) (lookup-meta 'a))", "nil"),
            ("(undef* :a)", "!:ARGUMENT"),
        ],
        run: undef,
    },
    Native {
        code: 32,
        symbol: "lookup",
        kind: Kind::Function,
        arity: Arity::between(1, 2),
        params: &["symbol", "address symbol"],
        doc: "The value of a symbol as an account sees it, the executing account by default. Written directly, `lookup` \
              is a special form that takes its symbol unquoted; this is the function that it is as a value.",
        returns: "the value, or nil when nobody defines the symbol",
        errors: &[(Code::Cast, "address or symbol is of the wrong type")],
        juice: "E:15",
        examples: &[
            ("(apply lookup ['count])", "count"),
            ("(apply lookup [#9 'count])", "count"),
            ("(apply lookup ['nobody-defines-this])", "nil"),
            ("(apply lookup [8 'count])", "!:CAST"),
        ],
        run: lookup,
    },
    Native {
        code: 33,
        symbol: "lookup-meta",
        kind: Kind::Function,
        arity: Arity::between(1, 2),
        params: &["symbol", "address symbol"],
        doc: "The metadata of a symbol as an account sees it, the executing account by default.",
        returns: "a hash map, empty without metadata; nil when nobody defines the symbol",
        errors: &[(Code::Cast, "address or symbol is of the wrong type")],
        juice: "E:15",
        examples: &[
            ("(do (def ^{:a 1} b 2) (lookup-meta 'b))", "{:a 1}"),
            ("(lookup-meta #8 'nobody-defines-this)", "nil"),
            ("(lookup-meta :a)", "!:CAST"),
        ],
        run: lookup_meta,
    },
    Native {
        code: 36,
        symbol: "account",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["address"],
        doc: "The record of an account: its sequence, key, balance, memory allowance, holdings, controller, definitions \
              and parent.",
        returns: "an account record, or nil when there is no such account",
        errors: &[(Code::Cast, "address is no Address")],
        juice: "E:20",
        examples: &[
            ("(get (account #12) :sequence)", "0"),
            ("(account #99999999)", "nil"),
            ("(account 12)", "!:CAST"),
        ],
        run: account,
    },
    Native {
        code: 37,
        symbol: "balance",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["address"],
        doc: "Coins of an account, in coppers.",
        returns: "Long, or nil when there is no such account",
        errors: &[(Code::Cast, "address is no Address")],
        juice: "E:50",
        examples: &[
            ("(= (balance *address*) *balance*)", "true"),
            ("(balance #99999999)", "nil"),
            ("(balance nil)", "!:CAST"),
        ],
        run: balance,
    },
    Native {
        code: 38,
        symbol: "transfer",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["address amount"],
        doc: "Moves coppers from the executing account to another. An actor takes them with its callable function \
              `receive-coin`, which may accept only a part.",
        returns: "the amount moved",
        errors: &[
            (Code::Cast, "address or amount is of the wrong type"),
            (
                Code::Argument,
                "the amount is negative or more than there can be",
            ),
            (Code::Funds, "the amount is more than the balance"),
            (Code::Nobody, "there is no such account"),
            (
                Code::State,
                "the account is an actor that does not receive coins",
            ),
        ],
        juice: "A:200 (plus juice of receive-coin call)",
        examples: &[
            ("(transfer #11 5)", "5"),
            ("(transfer #12 1.0)", "!:CAST"),
            ("(transfer #12 -1)", "!:ARGUMENT"),
            ("(transfer #12 1000000000000000000)", "!:FUNDS"),
            ("(transfer #99999999 5)", "!:NOBODY"),
            ("(transfer #8 5)", "!:STATE"),
        ],
        run: transfer,
    },
    Native {
        code: 39,
        symbol: "set-memory",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["allowance"],
        doc: "Sets the memory allowance of the executing account to a number of bytes, and buys from or sells to the \
              memory pool what that takes.",
        returns: "the price paid in coppers; negative when coins came back",
        errors: &[
            (Code::Cast, "allowance is no Long"),
            (Code::Argument, "allowance is negative"),
            (
                Code::Funds,
                "the pool or the balance can't cover the change",
            ),
        ],
        juice: "E:200 when allowance changes, then A:200",
        examples: &[
            ("(set-memory *memory*)", "0"),
            ("(set-memory 1.0)", "!:CAST"),
            ("(set-memory -1)", "!:ARGUMENT"),
            ("(set-memory 9223372036854775807)", "!:FUNDS"),
        ],
        run: set_memory,
    },
    Native {
        code: 40,
        symbol: "transfer-memory",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["address bytes"],
        doc: "Moves memory allowance from the executing account to another.",
        returns: "the number of bytes",
        errors: &[
            (Code::Cast, "address or bytes is of the wrong type"),
            (
                Code::Argument,
                "the number of bytes is negative or too large",
            ),
            (Code::Memory, "the allowance is smaller"),
            (Code::Nobody, "there is no such account"),
        ],
        juice: "A:200",
        examples: &[
            ("(transfer-memory #12 5)", "5"),
            ("(transfer-memory 12 5)", "!:CAST"),
            ("(transfer-memory #12 -5)", "!:ARGUMENT"),
            ("(transfer-memory #12 1000000000000)", "!:MEMORY"),
            ("(transfer-memory #99999999 5)", "!:NOBODY"),
        ],
        run: transfer_memory,
    },
    Native {
        code: 96,
        symbol: "get-holding",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["address"],
        doc: "What the executing account holds under an address: actors that manage assets keep balances there.",
        returns: "the value, or nil",
        errors: &[(Code::Cast, "address is no Address")],
        juice: "E:15",
        examples: &[
            ("(get-holding #12)", "nil"),
            ("(do (set-holding #12 7) (get-holding #12))", "7"),
            ("(get-holding 12)", "!:CAST"),
        ],
        run: get_holding,
    },
    Native {
        code: 97,
        symbol: "set-holding",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["address value"],
        doc: "Sets what the executing account holds under an address; nil removes it. The account need not exist.",
        returns: "the value",
        errors: &[(Code::Cast, "address is no Address")],
        juice: "E:150",
        examples: &[
            (
                "(do (set-holding #12 [1 2]) *holdings*)",
                "#Index {#12 [1 2]}",
            ),
            ("(set-holding 12 1)", "!:CAST"),
        ],
        run: set_holding,
    },
    Native {
        code: 98,
        symbol: "set-controller",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["controller"],
        doc: "Sets who may execute code as the executing account with `eval-as`: an address, a vector of an address and a \
              scope for an actor that decides, or nil for nobody else.",
        returns: "the controller",
        errors: &[
            (
                Code::Cast,
                "controller is no address, scoped address or nil",
            ),
            (Code::Nobody, "there is no such account"),
        ],
        juice: "E:150",
        examples: &[
            ("(do (set-controller [#12 :a]) *controller*)", "[#12 :a]"),
            ("(set-controller 12)", "!:CAST"),
            ("(set-controller #99999999)", "!:NOBODY"),
        ],
        run: set_controller,
    },
    Native {
        code: 99,
        symbol: "set-parent",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["address"],
        doc: "Sets the account whose definitions the executing account inherits; nil for the core account.",
        returns: "the address",
        errors: &[
            (
                Code::Cast,
                "the argument is something else than an Address or nil",
            ),
            (Code::Nobody, "there is no such account"),
            (Code::Argument, "it is the executing account itself"),
        ],
        juice: "E:150",
        examples: &[
            ("(do (set-parent #12) *parent*)", "#12"),
            ("(set-parent 12)", "!:CAST"),
            ("(set-parent #99999999)", "!:NOBODY"),
            ("(set-parent *address*)", "!:ARGUMENT"),
        ],
        run: set_parent,
    },
    Native {
        code: 100,
        symbol: "set-key",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["key"],
        doc: "Sets the public key that transactions of the executing account must be signed with from the next one on. \
              Without a key, nil, nobody can sign for it any more: it is an actor.",
        returns: "the key",
        errors: &[
            (Code::Cast, "key is neither a Blob nor nil"),
            (Code::Argument, "key has not 32 bytes"),
        ],
        juice: "E:150",
        examples: &[
            ("(do (set-key nil) *key*)", "nil"),
            ("(set-key 0x12)", "!:ARGUMENT"),
            ("(set-key :a)", "!:CAST"),
        ],
        run: set_key,
    },
    Native {
        code: 385,
        symbol: "accept",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["amount"],
        doc: "Takes coppers from the offer of the caller of an actor.",
        returns: "the amount",
        errors: &[
            (Code::Cast, "amount is no Long"),
            (Code::Argument, "amount is negative"),
            (Code::State, "less is offered"),
        ],
        juice: "E:200",
        examples: &[
            ("(accept 0)", "0"),
            ("(accept 1)", "!:STATE"),
            ("(accept -1)", "!:ARGUMENT"),
            ("(accept 1.0)", "!:CAST"),
        ],
        run: accept,
    },
];

fn callable(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let name = if args.len() == 2 {
        Some(ctx.symbol(args, 1)?)
    } else {
        None
    };
    let exists = match target_parts(&args[0]) {
        Some((address, _)) => ctx.state.account(address)?.map(|_| address),
        None => None,
    };
    let answer = match (exists, name) {
        (Some(address), Some(name)) => ctx.callable_function(address, &name)?.is_some(),
        (exists, _) => exists.is_some(),
    };
    ctx.done(juice::LOOKUP_FUNCTION, Cell::Bool(answer))
}

fn undef(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let Cell::Symbol(_) = &args[0] else {
        let text = format!(
            "Invalid Symbol name for undef: {}",
            match &args[0] {
                Cell::Nil => "nil".to_owned(),
                other => crate::value::plain_text(other),
            }
        );
        return Err(ctx.error(Code::Argument, text.as_str()));
    };
    let account = ctx.account_mut()?;
    let without = |map: Option<Map>| map.unwrap_or_else(Map::empty).dissoc(&args[0]);
    let slot = account.environment_mut();
    *slot = Some(without(slot.take())?);
    let slot = account.metadata_mut();
    *slot = Some(without(slot.take())?);
    ctx.done(juice::DEF, Cell::Nil)
}

/// Address and symbol of `lookup` and `lookup-meta`.
fn place(ctx: &Context<'_>, args: &[Cell]) -> Outcome<(u64, Symbol)> {
    let address = if args.len() == 2 {
        ctx.address(args, 0)?
    } else {
        ctx.address
    };
    Ok((address, ctx.symbol(args, args.len() - 1)?))
}

fn lookup(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let (address, symbol) = place(ctx, args)?;
    let value = ctx.lookup(address, &symbol)?;
    ctx.done(juice::LOOKUP_FUNCTION, value.unwrap_or(Cell::Nil))
}

fn lookup_meta(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let (address, symbol) = place(ctx, args)?;
    let meta = ctx.lookup_meta(address, &symbol)?;
    ctx.done(juice::LOOKUP_FUNCTION, meta.map_or(Cell::Nil, Cell::from))
}

fn account(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let address = ctx.address(args, 0)?;
    let record = ctx
        .state
        .account(address)?
        .map_or(Cell::Nil, Account::to_cell);
    ctx.done(juice::SIMPLE, record)
}

fn balance(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let address = ctx.address(args, 0)?;
    let balance = ctx
        .state
        .account(address)?
        .map_or(Cell::Nil, |a| Cell::Long(a.balance));
    ctx.done(juice::BALANCE, balance)
}

fn transfer(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let target = ctx.address(args, 0)?;
    let amount = ctx.long(args, 1)?;
    let outcome = move_coins(ctx, target, amount);
    ctx.after(juice::TRANSFER, outcome)
}

fn move_coins(ctx: &mut Context<'_>, target: u64, amount: i64) -> Outcome {
    if amount < 0 {
        return Err(ctx.error(Code::Argument, "Can't transfer a negative amount"));
    }
    if amount > MAX_COINS {
        return Err(ctx.error(
            Code::Argument,
            "Can't transfer an amount beyond maximum limit",
        ));
    }
    let balance = ctx.account()?.balance;
    if balance < amount {
        let text = format!(
            "Insufficient funds in account [#{}] required={amount}",
            ctx.address
        );
        return Err(ctx.error(Code::Funds, text.as_str()));
    }
    let Some(receiver) = ctx.state.account(target)? else {
        return Err(ctx.error(
            Code::Nobody,
            format!("Target account for transfer #{target} does not exist").as_str(),
        ));
    };
    if receiver.is_actor() && target != 0 {
        let receive = Symbol::literal("receive-coin");
        let passed = Args::from_iter([Cell::Address(ctx.address), Cell::Long(amount), Cell::Nil]);
        ctx.actor_call(&Cell::Address(target), amount, &receive, passed)?;
        let left = ctx.account()?.balance;
        return Ok(Cell::Long(balance.wrapping_sub(left)));
    }
    if target != ctx.address {
        ctx.changing_coins(|ctx| {
            ctx.account_mut()?.balance -= amount;
            if let Some(receiver) = ctx.state.account_mut(target)? {
                receiver.balance = receiver.balance.wrapping_add(amount);
            }
            Ok(())
        })?;
    }
    Ok(Cell::Long(amount))
}

fn set_memory(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let allowance = ctx.long(args, 0)?;
    let outcome = trade_memory(ctx, allowance);
    ctx.after(juice::TRANSFER, outcome)
}

fn trade_memory(ctx: &mut Context<'_>, allowance: i64) -> Outcome {
    if allowance < 0 {
        return Err(ctx.error(Code::Argument, "Can't transfer a negative allowance amount"));
    }
    let account = ctx.account()?;
    let (balance, delta) = (account.balance, allowance.wrapping_sub(account.allowance));
    if delta == 0 {
        return Ok(Cell::Long(0));
    }
    let globals = ctx.state.globals();
    let Some(price) = pool::price(globals.memory_pool, globals.memory_coins, delta) else {
        return Err(ctx.error(
            Code::Funds,
            "Cannot trade allowance: Trying to buy entire pool!",
        ));
    };
    if price > balance {
        return Err(ctx.error(
            Code::Funds,
            format!("Cannot afford allowance, would cost: {price}").as_str(),
        ));
    }
    ctx.changing_coins(|ctx| {
        let account = ctx.account_mut()?;
        account.balance -= price;
        account.allowance = allowance;
        let globals = ctx.state.globals_mut();
        globals.memory_pool -= delta;
        globals.memory_coins += price;
        Ok(())
    })?;
    ctx.done(juice::TRADE, Cell::Long(price))
}

fn transfer_memory(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let target = ctx.address(args, 0)?;
    let amount = ctx.long(args, 1)?;
    let outcome = move_memory(ctx, target, amount);
    ctx.after(juice::TRANSFER, outcome)
}

fn move_memory(ctx: &mut Context<'_>, target: u64, amount: i64) -> Outcome {
    if amount < 0 {
        return Err(ctx.error(Code::Argument, "Can't transfer a negative allowance amount"));
    }
    if amount > MAX_COINS {
        return Err(ctx.error(
            Code::Argument,
            "Can't transfer an allowance amount beyond maximum limit",
        ));
    }
    if ctx.account()?.allowance < amount {
        return Err(ctx.error(Code::Memory, "Insufficient memory allowance for transfer"));
    }
    if ctx.state.account(target)?.is_none() {
        return Err(ctx.error(
            Code::Nobody,
            format!("Cannot transfer memory allowance to non-existent account: #{target}").as_str(),
        ));
    }
    if target != ctx.address {
        ctx.account_mut()?.allowance -= amount;
        if let Some(receiver) = ctx.state.account_mut(target)? {
            receiver.allowance = receiver.allowance.wrapping_add(amount);
        }
    }
    Ok(Cell::Long(amount))
}

fn get_holding(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let Cell::Address(_) = args[0] else {
        return Err(ctx.cast_value(&args[0], "Address"));
    };
    let value = match ctx.account()?.holdings() {
        Some(holdings) => holdings.get(&args[0])?,
        None => None,
    };
    ctx.done(juice::LOOKUP_FUNCTION, value.unwrap_or(Cell::Nil))
}

fn set_holding(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let Cell::Address(_) = args[0] else {
        return Err(ctx.cast_value(&args[0], "Address"));
    };
    let (key, value) = (&args[0], args[1].clone());
    let account = ctx.account_mut()?;
    let held = account.holdings().cloned().unwrap_or_else(Index::empty);
    let held = if value.is_nil() {
        Some(held.dissoc(key)?)
    } else {
        held.assoc(key.clone(), value.clone())?
    };
    account.set_holdings(held);
    ctx.done(juice::ASSOC, value)
}

fn set_controller(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let controller = args[0].clone();
    if !controller.is_nil() {
        let Some((address, _)) = target_parts(&controller) else {
            return Err(ctx.error(
                Code::Cast,
                "set-controller requires an Address or scoped Actor",
            ));
        };
        if ctx.state.account(address)?.is_none() {
            return Err(ctx.error(
                Code::Nobody,
                "set-controller requires an address for an existing account",
            ));
        }
    }
    ctx.account_mut()?.set_controller(controller.clone());
    ctx.done(juice::ASSOC, controller)
}

fn set_parent(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let parent = match &args[0] {
        Cell::Nil => None,
        Cell::Address(address) => {
            if ctx.state.account(*address)?.is_none() {
                return Err(ctx.error(
                    Code::Nobody,
                    "set-parent requires an address for an existing account",
                ));
            }
            if *address == ctx.address {
                return Err(ctx.error(Code::Argument, "Can't set parent of account to itself!"));
            }
            Some(*address)
        }
        _ => return Err(ctx.error(Code::Cast, "set-parent requires an Address or nil")),
    };
    ctx.account_mut()?.set_parent(parent);
    ctx.done(juice::ASSOC, args[0].clone())
}

fn set_key(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let key = match &args[0] {
        Cell::Nil => None,
        Cell::Blob(blob) => match blob.as_key() {
            Some(key) => Some(*key),
            None => return Err(ctx.error(Code::Argument, "Invalid key length")),
        },
        other => return Err(ctx.cast_value(other, "Blob")),
    };
    ctx.account_mut()?.set_key(key);
    ctx.done(juice::ASSOC, args[0].clone())
}

fn accept(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let amount = ctx.long(args, 0)?;
    if amount < 0 {
        return Err(ctx.error(Code::Argument, "Negative accept argument"));
    }
    if amount > ctx.offer {
        return Err(ctx.error(Code::State, "Insufficient offered funds"));
    }
    if amount > 0 {
        ctx.changing_coins(|ctx| {
            let account = ctx.account_mut()?;
            account.balance = account.balance.wrapping_add(amount);
            ctx.offer -= amount;
            Ok(())
        })?;
    }
    ctx.done(juice::ACCEPT, Cell::Long(amount))
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn definitions_are_found_along_the_parents() {
        check(&[
            ("(do (def b 2) (apply lookup [*address* 'b]))", "2"),
            (
                "(do (eval-as (deploy '(set-controller *caller*)) '(def x 1)) (apply lookup ['x]))",
                "nil",
            ),
            (
                "(let [p (deploy '(def inherited 5))] (set-parent p) (eval 'inherited))",
                "5",
            ),
            ("(lookup-meta #99999999 'count)", "nil"),
            ("(apply lookup [#99999999 'count])", "nil"),
        ]);
    }

    #[test]
    fn undefining_leaves_empty_maps() {
        check(&[
            ("(do (def a 1) (undef* 'a) *env*)", "{}"),
            (
                "(do (undef* 'a) [(get (account *address*) :environment) (get (account *address*) :metadata)])",
                "[{} {}]",
            ),
        ]);
    }

    #[test]
    fn coins_move_and_come_back_when_an_actor_leaves_them() {
        check(&[
            ("(do (transfer #0 5) (- 1000000000000 *balance*))", "5"),
            (
                "(let [a (deploy '(def receive-coin ^{:callable true} (fn [s n d] (accept 3))))] \
                 [(transfer a 5) (balance a)])",
                "[3 3]",
            ),
            (
                "(let [a (deploy '(def receive-coin ^{:callable true} (fn [s n d] (accept 9))))] (transfer a 5))",
                "!:STATE",
            ),
        ]);
    }

    #[test]
    fn a_function_without_metadata_voids_the_block() {
        let fault = crate::testing::eval("(let [a (deploy '(def f (fn [] 1)))] (callable? a 'f))");
        assert!(fault.contains("HostFault"), "{fault}");
    }

    #[test]
    fn memory_is_bought_and_sold_and_moved() {
        check(&[
            ("(do (set-memory 999999) *memory*)", "999999"),
            ("(< (set-memory 0) 0)", "true"),
            (
                "(do (transfer-memory #12 5) [*memory* (get (account #12) :allowance)])",
                "[999995 1000005]",
            ),
            ("(do (transfer-memory *address* 5) *memory*)", "1000000"),
        ]);
    }

    #[test]
    fn holdings_become_nil_when_the_last_one_goes() {
        check(&[
            (
                "(do (set-holding #1 2) (set-holding #1 nil) (get (account *address*) :holdings))",
                "nil",
            ),
            (
                "(do (set-holding #99999999 2) *holdings*)",
                "#Index {#99999999 2}",
            ),
        ]);
    }

    #[test]
    fn an_account_ends_as_an_actor_when_it_gives_up_its_key() {
        check(&[
            ("(do (set-key nil) (get (account *address*) :key))", "nil"),
            ("(count (set-key *key*))", "32"),
            ("(set-controller nil)", "nil"),
            ("(set-parent nil)", "nil"),
        ]);
    }
}
