//! Code that is as deep, as wide and as shared as an attacker can make it ends in an ordinary outcome, in bounded
//! time and on an ordinary stack.

use cells::{Cell, Coded, Index, List, Map, Record, RecordKind, Symbol, Syntax, Vector, tag};
use cvm::state::{Account, Globals, State};
use cvm::{Context, Exit, Machine, Outcome, Rules, Start, juice};

const LIMIT: u64 = juice::TRANSACTION_LIMIT;

/// Accounts of which core defines no more than the compiler needs to be found; functions go by `#%name`.
fn state() -> State {
    let accounts: Vector = (0..14)
        .map(|address| {
            let mut account = Account::default();
            if address == cvm::CORE {
                let env = Map::empty().assoc(symbol("*lang*"), Cell::Nil);
                account.set_environment(Some(env.unwrap()));
            }
            account.to_cell()
        })
        .collect();
    State::new(accounts, Index::empty(), Globals::default(), Index::empty())
}

/// Runs a form or op: outcome and juice.
fn run(command: &Cell) -> (Outcome, u64) {
    let (mut machine, mut state) = (Machine::new(Rules::latest()), state());
    let start = Start {
        origin: 11,
        limit: LIMIT,
        location: (0, 0),
        signer: None,
        peer: None,
    };
    let mut ctx = Context::new(&mut machine, &mut state, start);
    let outcome = ctx.run(command);
    (outcome, ctx.juice())
}

fn read(source: &str) -> Cell {
    cvm::reader::read(source).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn text(outcome: &Outcome) -> String {
    match outcome {
        Ok(value) => value.to_string(),
        Err(Exit::Error(error)) => error.code.to_string(),
        Err(Exit::Juice) => ":JUICE".into(),
        Err(other) => format!("{other:?}"),
    }
}

fn eval(source: &str) -> String {
    text(&run(&read(source)).0)
}

fn constant(value: Cell) -> Cell {
    Cell::from(Coded::new(tag::CODED, Cell::Bool(false), value))
}

fn ops(kind: RecordKind, parts: impl IntoIterator<Item = Cell>) -> Cell {
    Cell::from(Record::of_kind(kind, parts))
}

fn vector(parts: impl IntoIterator<Item = Cell>) -> Cell {
    Cell::from(parts.into_iter().collect::<Vector>())
}

fn symbol(name: &'static str) -> Cell {
    Cell::from(Symbol::literal(name))
}

/// `levels` times around `inner`.
fn nested(levels: usize, inner: Cell, around: impl Fn(Cell) -> Cell) -> Cell {
    (0..levels).fold(inner, |inner, _| around(inner))
}

#[test]
fn every_way_to_recurse_ends_at_the_depth_limit() {
    for source in [
        "((fn [f] (f f)) (fn [f] (do (f f))))",
        "((fn [f] (f f)) (fn [f] (#%first (#%map (fn [x] (f f)) [1]))))",
        "((fn [f] (f f)) (fn [f] (#%reduce (fn [a x] (f f)) 0 [1])))",
        "((fn [f] (f f)) (fn [f] (#%apply f [f])))",
        "((fn [f] (f f)) (fn [f] (#%eval (#%list (#%list 'quote f) (#%list 'quote f)))))",
        "((fn [f] (f f)) (fn [f] (let [x (f f)] x)))",
        "((fn [f] (f f)) (fn [f] (loop [x (f f)] x)))",
        "((fn [f] (f f)) (fn [f] (cond (f f) 1)))",
        "((fn [f] (f f)) (fn [f] (query (f f))))",
        "((fn [f] (f f)) (fn ([f] (f f 1)) ([f g] (f f))))",
        "(do (def ^{:callable true} f (fn [] (#%call* *address* 0 'f))) (f))",
        "(do (def e (fn [x e] (e x e))) (#%expand 1 e))",
        "((fn [f] (f f)) (fn [f] (#%deploy (#%list f (#%list 'quote f)))))",
        "(do (def ^{:callable true} f (fn [] (#%eval-as *address* '(f)))) (f))",
        "(do (def ^{:expander true} m (fn [x e] (e '(m) e))) (#%eval '(m)))",
    ] {
        let seen = eval(source);
        assert!(
            matches!(seen.as_str(), ":DEPTH" | ":JUICE" | "#15"),
            "{source} {seen}"
        );
    }
}

#[test]
fn nested_forms_compile_up_to_the_depth_limit_of_the_network() {
    let deep =
        |levels: usize, around: fn(Cell) -> Cell| run(&nested(levels, Cell::Long(1), around)).0;
    let in_vector: fn(Cell) -> Cell = |x| vector([x]);
    let in_do: fn(Cell) -> Cell =
        |x| Cell::from([symbol("do"), x, Cell::Nil].into_iter().collect::<List>());
    let in_let: fn(Cell) -> Cell =
        |x| Cell::from([symbol("let"), vector([]), x].into_iter().collect::<List>());
    // spec/02 §9.2
    for (limit, around) in [(254, in_vector), (254, in_do), (127, in_let)] {
        let seen = deep(limit, around);
        assert!(seen.is_ok(), "{limit} {}", text(&seen));
        assert_eq!(text(&deep(limit + 1, around)), ":DEPTH", "{limit}");
        assert_eq!(text(&deep(50_000, around)), ":DEPTH");
    }
}

#[test]
fn quoted_data_may_be_nested_without_limit() {
    let quoted = nested(100_000, Cell::Nil, |x| vector([x]));
    let form = Cell::from(
        [symbol("quote"), quoted.clone()]
            .into_iter()
            .collect::<List>(),
    );
    // Account #11 does not inherit `quote` as an expander here, so the data are handed over in an op.
    assert!(matches!(run(&form).0, Err(Exit::Error(_))));
    assert!(run(&constant(quoted)).0.is_ok());
}

#[test]
fn layers_of_syntax_without_limit_are_peeled() {
    let layered = nested(100_000, Cell::Long(7), |x| {
        Cell::from(Syntax::new(x, Map::empty()))
    });
    let (outcome, used) = run(&layered);
    assert_eq!(text(&outcome), "7");
    assert_eq!(used, 40 * 100_001 + 30 + 5);
}

#[test]
fn binding_forms_may_be_nested_without_limit() {
    let levels = 100_000;
    let form = nested(levels, symbol("a"), |x| vector([x]));
    let value = nested(levels, Cell::Long(9), |x| vector([x]));
    let bind = |value| {
        let forms = vector([form.clone()]);
        Cell::from(Coded::new(
            tag::LET,
            forms,
            vector([constant(value), Cell::Local(0)]),
        ))
    };
    assert_eq!(text(&run(&bind(value)).0), "9");
    assert_eq!(text(&run(&bind(vector([Cell::Long(1)]))).0), ":CAST");
    let params = Record::of_kind(
        RecordKind::Fn,
        [Cell::Bool(false), form.clone(), Cell::Nil, Cell::Local(0)],
    );
    assert_eq!(
        text(
            &run(&ops(
                RecordKind::Apply,
                [constant(Cell::from(params)), constant(Cell::Nil)]
            ))
            .0
        ),
        ":ARITY"
    );
    let source = Cell::from(
        [symbol("let"), vector([form.clone(), Cell::Nil])]
            .into_iter()
            .collect::<List>(),
    );
    assert_eq!(text(&run(&source).0), ":DEPTH");
}

#[test]
fn ops_that_share_their_parts_cost_juice_and_not_memory() {
    // 2^60 executions of one constant, in sixty cells.
    let shared = nested(60, constant(Cell::Long(1)), |x| {
        ops(RecordKind::Do, [x.clone(), x])
    });
    let (outcome, used) = run(&shared);
    assert_eq!((text(&outcome).as_str(), used), (":JUICE", LIMIT));
    let args = nested(60, constant(Cell::Long(1)), |x| {
        ops(RecordKind::Apply, [constant(Cell::Core(1)), x.clone(), x])
    });
    assert_eq!(text(&run(&args).0), ":JUICE");
}

#[test]
fn ops_as_wide_as_a_transaction_can_pay_for_are_executed() {
    let wide = |kind| ops(kind, (0..200_000).map(|i| constant(Cell::Long(i))));
    assert_eq!(text(&run(&wide(RecordKind::Do)).0), "199999");
    assert_eq!(text(&run(&wide(RecordKind::Cond)).0), "1");
    assert_eq!(text(&run(&wide(RecordKind::Apply)).0), ":CAST");
    let forms = vector((0..50_000).map(|_| symbol("x")));
    let values = vector(
        (0..50_000)
            .map(|i| constant(Cell::Long(i)))
            .chain([Cell::Local(49_999)]),
    );
    assert_eq!(
        text(&run(&Cell::from(Coded::new(tag::LET, forms, values))).0),
        "49999"
    );
}

#[test]
fn closures_over_many_locals_share_them() {
    // 5,000 locals, and a loop that makes closures over all of them and keeps each.
    let locals: String = (0..5_000).map(|i| format!("x{i} {i} ")).collect();
    let source = format!(
        "(let [{locals} n 0] (loop [i 0 kept []] (cond (#%< i 2000) (#%recur (#%inc i) (#%conj kept (fn [] i))) (#%count kept))))"
    );
    let (outcome, used) = run(&read(&source));
    assert_eq!(text(&outcome), "2000", "{used}");
}

#[test]
fn errors_are_as_cheap_as_their_juice() {
    // Each turn raises an error about a value of a hundred thousand elements.
    let source = "(do (def big (loop [v [1]] (cond (#%< (#%count v) 50000) (#%recur (#%concat v v)) v))) \
                  (loop [i 0] (cond (#%< i 2000) (do (try (#%undef* big) (#%apply (fn [a] a) [big big]) 1) (#%recur (#%inc i))) i)))";
    assert!(matches!(eval(source).as_str(), "2000" | ":JUICE"));
}
