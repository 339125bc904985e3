//! Core functions that ask what a value is (`spec/03 §5.3`). None raises an error but `ARITY`.

use cells::Cell;

use super::{Arity, Kind, Native, Run};
use crate::call;
use crate::context::Context;
use crate::exit::Outcome;
use crate::juice;
use crate::numeric;
use crate::value;

/// A predicate of one argument; all cost the same.
const fn predicate(
    code: u16,
    symbol: &'static str,
    doc: &'static str,
    examples: &'static [(&'static str, &'static str)],
    run: Run,
) -> Native {
    Native {
        code,
        symbol,
        kind: Kind::Predicate,
        arity: Arity::exactly(1),
        params: &["x"],
        doc,
        returns: "Boolean",
        errors: &[],
        juice: "E:20",
        examples,
        run,
    }
}

pub(super) const NATIVES: &[Native] = &[
    predicate(
        24,
        "syntax?",
        "True for values with metadata, as `syntax` makes them.",
        &[
            ("(syntax? (syntax 'a))", "true"),
            ("(syntax? 'a)", "false"),
            ("(syntax?)", "!:ARITY"),
        ],
        |ctx, args| answer(ctx, args, |x| matches!(x, Cell::Syntax(_))),
    ),
    predicate(
        240,
        "nil?",
        "True for nil.",
        &[
            ("(nil? nil)", "true"),
            ("(nil? false)", "false"),
            ("(nil? 1 2)", "!:ARITY"),
        ],
        |ctx, args| answer(ctx, args, Cell::is_nil),
    ),
    predicate(
        241,
        "vector?",
        "True for vectors, entries of maps included.",
        &[
            ("(vector? [1])", "true"),
            ("(vector? (first {1 2}))", "true"),
            ("(vector? '(1))", "false"),
        ],
        |ctx, args| answer(ctx, args, |x| matches!(x, Cell::Vector(_))),
    ),
    predicate(
        242,
        "list?",
        "True for lists.",
        &[("(list? '(1))", "true"), ("(list? [1])", "false")],
        |ctx, args| answer(ctx, args, |x| matches!(x, Cell::List(_))),
    ),
    predicate(
        243,
        "set?",
        "True for sets.",
        &[("(set? #{})", "true"), ("(set? {})", "false")],
        |ctx, args| answer(ctx, args, |x| matches!(x, Cell::Set(_))),
    ),
    predicate(
        244,
        "map?",
        "True for hash maps, indexes and records.",
        &[
            ("(map? {})", "true"),
            ("(map? (index))", "true"),
            ("(map? (account *address*))", "true"),
            ("(map? [])", "false"),
        ],
        |ctx, args| answer(ctx, args, |x| value::is_map(x) || is_generic_record(x)),
    ),
    predicate(
        245,
        "coll?",
        "True for vectors, lists, sets and maps of any kind.",
        &[
            ("(coll? #{1})", "true"),
            ("(coll? \"ab\")", "false"),
            ("(coll? nil)", "false"),
        ],
        |ctx, args| {
            answer(ctx, args, |x| {
                value::is_data_structure(x) || is_generic_record(x)
            })
        },
    ),
    predicate(
        246,
        "empty?",
        "True for nil and for anything countable without elements.",
        &[
            ("(empty? nil)", "true"),
            ("(empty? \"\")", "true"),
            ("(empty? [1])", "false"),
            ("(empty? 0)", "false"),
        ],
        empty,
    ),
    predicate(
        247,
        "symbol?",
        "True for symbols.",
        &[("(symbol? 'a)", "true"), ("(symbol? :a)", "false")],
        |ctx, args| answer(ctx, args, |x| matches!(x, Cell::Symbol(_))),
    ),
    predicate(
        248,
        "keyword?",
        "True for keywords.",
        &[("(keyword? :a)", "true"), ("(keyword? 'a)", "false")],
        |ctx, args| answer(ctx, args, |x| matches!(x, Cell::Keyword(_))),
    ),
    predicate(
        249,
        "blob?",
        "True for blobs, hashes and keys included.",
        &[
            ("(blob? 0x12)", "true"),
            ("(blob? \"12\")", "false"),
            ("(blob? #12)", "false"),
        ],
        |ctx, args| answer(ctx, args, |x| matches!(x, Cell::Blob(_))),
    ),
    predicate(
        250,
        "address?",
        "True for addresses, whether there is such an account or not.",
        &[("(address? #12)", "true"), ("(address? 12)", "false")],
        |ctx, args| answer(ctx, args, |x| matches!(x, Cell::Address(_))),
    ),
    predicate(
        251,
        "long?",
        "True for integers that fit in 64 bits.",
        &[
            ("(long? 1)", "true"),
            ("(long? 9223372036854775808)", "false"),
            ("(long? 1.0)", "false"),
        ],
        |ctx, args| answer(ctx, args, |x| numeric::as_long(x).is_some()),
    ),
    predicate(
        252,
        "int?",
        "True for integers of any size.",
        &[
            ("(int? 9223372036854775808)", "true"),
            ("(int? 1.0)", "false"),
        ],
        |ctx, args| answer(ctx, args, numeric::is_integer),
    ),
    predicate(
        253,
        "double?",
        "True for doubles, NaN and the infinities included.",
        &[
            ("(double? 1.0)", "true"),
            ("(double? ##NaN)", "true"),
            ("(double? 1)", "false"),
        ],
        |ctx, args| answer(ctx, args, |x| matches!(x, Cell::Double(_))),
    ),
    predicate(
        254,
        "str?",
        "True for strings.",
        &[("(str? \"a\")", "true"), ("(str? \\a)", "false")],
        |ctx, args| answer(ctx, args, |x| matches!(x, Cell::Str(_))),
    ),
    predicate(
        255,
        "number?",
        "True for integers and doubles, NaN included.",
        &[
            ("(number? 1)", "true"),
            ("(number? ##NaN)", "true"),
            ("(number? \\1)", "false"),
        ],
        |ctx, args| answer(ctx, args, numeric::is_number),
    ),
    predicate(
        256,
        "countable?",
        "True for what `count` accepts: nil, collections, and values made of bytes.",
        &[
            ("(countable? nil)", "true"),
            ("(countable? :a)", "true"),
            ("(countable? 1)", "false"),
            ("(countable? count)", "false"),
        ],
        countable,
    ),
    predicate(
        270,
        "nan?",
        "True for the double that is not a number.",
        &[
            ("(nan? (/ 0 0))", "true"),
            ("(nan? 1)", "false"),
            ("(nan? :a)", "false"),
        ],
        |ctx, args| answer(ctx, args, numeric::is_nan),
    ),
    predicate(
        271,
        "fn?",
        "True for functions. Collections and keywords, which can be called too, are none.",
        &[
            ("(fn? count)", "true"),
            ("(fn? (fn [] 1))", "true"),
            ("(fn? :a)", "false"),
        ],
        |ctx, args| answer(ctx, args, call::is_function),
    ),
    predicate(
        272,
        "zero?",
        "True for numbers equal to zero.",
        &[
            ("(zero? 0)", "true"),
            ("(zero? -0.0)", "true"),
            ("(zero? nil)", "false"),
        ],
        |ctx, args| answer(ctx, args, numeric::is_zero),
    ),
];

fn answer(ctx: &mut Context<'_>, args: &[Cell], test: fn(&Cell) -> bool) -> Outcome {
    ctx.done(juice::SIMPLE, test(&args[0]))
}

/// Records without a meaning count as maps, although they have no named fields.
fn is_generic_record(cell: &Cell) -> bool {
    matches!(cell, Cell::Record(r) if r.kind().is_none())
}

/// Number of elements; records without a meaning have their fields.
fn count(cell: &Cell) -> Outcome<Option<u64>> {
    match cell {
        Cell::Record(r) if r.kind().is_none() => Ok(Some(r.fields().count())),
        _ => Ok(value::count(cell)?),
    }
}

fn empty(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let empty = count(&args[0])? == Some(0);
    ctx.done(juice::SIMPLE, empty)
}

fn countable(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let countable = count(&args[0])?.is_some();
    ctx.done(juice::SIMPLE, countable)
}

#[cfg(test)]
mod tests {
    use super::NATIVES;
    use crate::testing::{check, eval};

    #[test]
    fn every_predicate_takes_exactly_one_argument() {
        for native in NATIVES {
            assert_eq!(eval(&format!("({})", native.symbol)), "!:ARITY");
            assert_eq!(eval(&format!("({} 1 2)", native.symbol)), "!:ARITY");
        }
    }

    #[test]
    fn every_value_is_recognised_by_its_own_predicates_only() {
        let table = [
            ("nil", "nil? empty? countable?"),
            ("false", ""),
            ("0", "long? int? number? zero?"),
            ("-9223372036854775809", "int? number?"),
            ("-0.0", "double? number? zero?"),
            ("##NaN", "double? number? nan?"),
            ("\\a", ""),
            ("\"\"", "str? empty? countable?"),
            ("0x", "blob? empty? countable?"),
            ("#12", "address? countable?"),
            ("'a", "symbol? countable?"),
            (":a", "keyword? countable?"),
            ("[]", "vector? coll? empty? countable?"),
            ("'(1)", "list? coll? countable?"),
            ("(hash-set)", "set? coll? empty? countable?"),
            ("(hash-map 1 2)", "map? coll? countable?"),
            ("(index)", "map? coll? empty? countable?"),
            ("(account *address*)", "map? coll? countable?"),
            ("(syntax 1)", "syntax?"),
            ("count", "fn?"),
            ("(fn [] 1)", "fn?"),
            ("(compile 1)", ""),
            ("#[d002b0b1]", "map? coll? countable?"),
            ("#[df00]", "map? coll? empty? countable?"),
            ("#[e005]", "countable?"),
            ("#[1d7ff8000000000001]", "double? number?"),
        ];
        for (value, names) in table {
            for native in NATIVES {
                let expected = names
                    .split(' ')
                    .any(|name| name == native.symbol)
                    .to_string();
                assert_eq!(
                    eval(&format!("({} {value})", native.symbol)),
                    expected,
                    "{} {value}",
                    native.symbol
                );
            }
        }
    }

    #[test]
    fn booleans_are_no_numbers() {
        check(&[
            ("(boolean? true)", "true"),
            ("(number? true)", "false"),
            ("(zero? false)", "false"),
        ]);
    }
}
