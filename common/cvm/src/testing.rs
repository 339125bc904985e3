//! What unit tests execute code with: a small state whose core account binds every core function.

use cells::{Cell, Map, Symbol, Vector};

use crate::context::{Context, Machine, Start};
use crate::exit::{Exit, Outcome};
use crate::juice;
use crate::rules::Rules;
use crate::state::{Account, Globals, State};

/// The account that tests run as; it has a key, coins and memory.
pub(crate) const USER: u64 = 11;

/// Outcome of a test program.
pub(crate) struct Run {
    /// Printed value.
    pub(crate) value: String,
    /// Juice of execution, expansion and compilation.
    pub(crate) juice: u64,
}

/// Accounts #0 to #13; #8 binds the core functions, special ops and special forms, as in a genesis state but without
/// the library that is written in Lisp.
pub(crate) fn small_state() -> State {
    let mut env = Map::empty();
    let mut meta = Map::empty();
    let keyword = |name: &'static str| Cell::from(cells::Keyword::literal(name));
    let mut bind = |name: &str, value: Cell, flags: &[&'static str]| {
        let symbol = Cell::from(Symbol::new(name.as_bytes()).unwrap());
        let flags = flags.iter().fold(Map::empty(), |m, flag| {
            m.assoc(keyword(flag), Cell::Bool(true)).unwrap()
        });
        env = env.clone().assoc(symbol.clone(), value).unwrap();
        meta = meta.clone().assoc(symbol, Cell::from(flags)).unwrap();
    };
    for native in Rules::latest().natives() {
        let flags: &[_] = if native.symbol == "quote" {
            &["static", "expander"]
        } else {
            &["static"]
        };
        bind(native.symbol, Cell::Core(native.code), flags);
    }
    for (code, name) in crate::special::SPECIALS.iter().enumerate() {
        bind(name, Cell::Special(code as u8), &[]);
    }
    bind("*lang*", Cell::Nil, &[]);
    let accounts: Vector = (0..14)
        .map(|address| {
            let mut account = Account::default();
            account.balance = 1_000_000_000_000;
            account.allowance = 1_000_000;
            if address == crate::CORE {
                account.set_environment(Some(env.clone()));
                account.set_metadata(Some(meta.clone()));
            }
            if address == USER {
                account.set_key(Some([7; 32]));
            }
            account.to_cell()
        })
        .collect();
    State::new(
        accounts,
        cells::Index::empty(),
        Globals::default(),
        cells::Index::empty(),
    )
}

/// Reads and runs a program under rules.
pub(crate) fn run_under(rules: &'static Rules, source: &str) -> Outcome<Run> {
    let form = crate::reader::read(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    let mut state = small_state();
    let mut machine = Machine::new(rules);
    let start = Start {
        origin: USER,
        limit: juice::TRANSACTION_LIMIT,
        location: (-1, 0),
        signer: None,
        peer: None,
    };
    let mut ctx = Context::new(&mut machine, &mut state, start);
    let value = ctx.run(&form)?;
    Ok(Run {
        value: value.to_string(),
        juice: ctx.juice(),
    })
}

/// Printed value of a program, or `!:CODE`.
pub(crate) fn eval(source: &str) -> String {
    match run_under(Rules::latest(), source) {
        Ok(run) => run.value,
        Err(Exit::Error(error)) => format!("!{}", error.code),
        Err(Exit::Juice) => "!:JUICE".into(),
        Err(other) => format!("!{other:?}"),
    }
}

/// Checks programs against their printed values or errors.
#[track_caller]
pub(crate) fn check(table: &[(&str, &str)]) {
    for (source, expected) in table {
        assert_eq!(eval(source), *expected, "{source}");
    }
}
