//! Core functions that add to collections, take away from them, or put something else in its place.

use cells::{Cell, Map, Vector};

use super::args::take;
use super::{Arity, Kind, Native};
use crate::context::Context;
use crate::exit::{Code, Outcome};
use crate::juice;
use crate::value;

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 85,
        symbol: "assoc",
        kind: Kind::Function,
        arity: Arity::Odd,
        params: &["coll & keys-and-values"],
        doc: "The collection with other values at some keys. In a sequence keys are existing positions; in a set the \
              value true adds the key and false removes it. A record becomes a map; nil counts as the empty map.",
        returns: "a data structure of the type of the first",
        errors: &[
            (Code::Cast, "coll is neither a data structure nor nil"),
            (
                Code::Argument,
                "the collection does not take a key, or a value at it",
            ),
        ],
        juice: "P:50+50*(argc-1)",
        examples: &[
            ("(assoc {:a 1} :a 2)", "{:a 2}"),
            ("(assoc nil 1 2)", "{1 2}"),
            ("(assoc [1 2 3] 1 :a)", "[1 :a 3]"),
            ("(assoc #{1} 1 false 2 true)", "#{2}"),
            ("(assoc [1 2 3] 3 :a)", "!:ARGUMENT"),
            ("(assoc 1 2 3)", "!:CAST"),
            ("(assoc nil 1)", "!:ARITY"),
        ],
        run: assoc,
    },
    Native {
        code: 86,
        symbol: "assoc-in",
        kind: Kind::Function,
        arity: Arity::exactly(3),
        params: &["coll path value"],
        doc: "The collection with another value at the end of a path of keys into nested collections. Where nothing is \
              yet, maps are made. With an empty path, the value itself.",
        returns: "a data structure of the type of the first",
        errors: &[
            (
                Code::Cast,
                "the path is neither a sequence nor nil, or leads into something that is no data structure",
            ),
            (
                Code::Argument,
                "a collection does not take a key of the path, or the value at it",
            ),
        ],
        juice: "E:180*(1+len)",
        examples: &[
            ("(assoc-in nil [1 2] 3)", "{1 {2 3}}"),
            ("(assoc-in {:a [7 8]} [:a 0] 9)", "{:a [9 8]}"),
            ("(assoc-in {1 5} nil 4)", "4"),
            ("(assoc-in {:a [7 8]} [:a 2] 9)", "!:ARGUMENT"),
            ("(assoc-in {1 5} [1 3] 4)", "!:CAST"),
        ],
        run: assoc_in,
    },
    Native {
        code: 116,
        symbol: "dissoc",
        kind: Kind::Function,
        arity: Arity::at_least(1),
        params: &["map & keys"],
        doc: "The map without some keys. Keys that it does not have are ignored. A record without one of its fields is \
              a map; nil counts as the empty map.",
        returns: "a map of the type of the first",
        errors: &[(Code::Cast, "the first argument is neither a map nor nil")],
        juice: "E:50+50*(argc-1)",
        examples: &[
            ("(dissoc {1 2 3 4} 1)", "{3 4}"),
            ("(dissoc nil 1)", "{}"),
            ("(dissoc (index 0x12 1) 1)", "#Index {0x12 1}"),
            ("(dissoc [1 2] 0)", "!:CAST"),
        ],
        run: dissoc,
    },
    Native {
        code: 117,
        symbol: "conj",
        kind: Kind::Function,
        arity: Arity::at_least(1),
        params: &["coll & elements"],
        doc: "The collection with more elements: at the end of a vector, one by one at the front of a list. A map takes \
              entries, vectors of key and value. Nil counts as the empty vector.",
        returns: "a data structure of the type of the first",
        errors: &[
            (Code::Cast, "coll is neither a data structure nor nil"),
            (
                Code::Argument,
                "an element does not fit into the collection",
            ),
        ],
        juice: "P:50+50*(argc-1)",
        examples: &[
            ("(conj [1] 2 3)", "[1 2 3]"),
            ("(conj '(1) 2 3)", "(3 2 1)"),
            ("(conj #{1} 2 1)", "#{2,1}"),
            ("(conj {} [:a 1])", "{:a 1}"),
            ("(conj nil 1)", "[1]"),
            ("(conj {1 2} '(3 4))", "!:ARGUMENT"),
            ("(conj \"ab\" \\c)", "!:CAST"),
        ],
        run: conj,
    },
    Native {
        code: 225,
        symbol: "merge",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& maps"],
        doc: "The first map with the entries of the others, later ones winning. Nil counts as the empty map; a record \
              that gets entries becomes a map.",
        returns: "a map of the type of the first",
        errors: &[(
            Code::Cast,
            "an argument is neither a map nor nil, or an index does not take a key",
        )],
        juice: "P:50+50*sum(count args 2..n), cumulative",
        examples: &[
            ("(merge {1 2} {1 3 2 4})", "{2 4,1 3}"),
            ("(merge nil {1 2} nil)", "{1 2}"),
            ("(merge)", "{}"),
            ("(merge (index 0x 1) {0x12 2})", "#Index {0x 1,0x12 2}"),
            ("(merge (index 0x 1) {1 2})", "!:CAST"),
            ("(merge {1 2} [3 4])", "!:CAST"),
        ],
        run: merge,
    },
];

fn assoc(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let cost = juice::build(args.len() as u64 - 1);
    ctx.precheck(cost)?;
    if !args[0].is_nil() && !value::is_data_structure(&args[0]) {
        return Err(ctx.cast(args, 0, "DataStructure"));
    }
    let mut all = or_map(take(&mut args[0]));
    for pair in args[1..].chunks_exact_mut(2) {
        let kind = value::type_name(&pair[0]);
        all = match value::assoc(all, take(&mut pair[0]), take(&mut pair[1]))? {
            Some(more) => more,
            None => {
                let text = format!(
                    "Cannot assoc value - invalid (key type {kind} is invalid or out of bounds)"
                );
                return Err(ctx.error(Code::Argument, text.as_str()));
            }
        };
    }
    ctx.done(cost, all)
}

/// Nil as the empty map.
fn or_map(cell: Cell) -> Cell {
    if cell.is_nil() {
        Cell::from(Map::empty())
    } else {
        cell
    }
}

fn assoc_in(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !args[1].is_nil() && !value::is_sequence(&args[1]) {
        return Err(ctx.cast(args, 1, "Sequence"));
    }
    let length = value::count(&args[1])?.unwrap_or(0);
    // Each key may need a map of its own.
    ctx.copy_unpaid(length)?;
    let cost = juice::linear(juice::ASSOC_IN, juice::ASSOC_IN, length);
    // Down: what each key of the path is to be put into.
    let mut levels = Vec::new();
    let mut at = take(&mut args[0]);
    for i in 0..length {
        let key = value::element(&args[1], i)?.unwrap_or(Cell::Nil);
        let collection = or_map(at);
        if !value::is_data_structure(&collection) {
            return Err(ctx.cast_value(&collection, "DataStructure"));
        }
        at = match value::get(&collection, &key)? {
            Some(value) => value,
            None if matches!(collection, Cell::Set(_)) => Cell::Bool(false),
            None => Cell::Nil,
        };
        levels.push((collection, key));
    }
    // Up again.
    let mut value = take(&mut args[2]);
    while let Some((collection, key)) = levels.pop() {
        let kind = value::type_name(&key);
        value = match value::assoc(collection, key, value)? {
            Some(more) => more,
            None => {
                let text = format!("Invalid key of type {kind} or value of type Nil for assoc-in");
                return Err(ctx.error(Code::Argument, text.as_str()));
            }
        };
    }
    ctx.done(cost, value)
}

fn dissoc(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !args[0].is_nil() && !value::is_map(&args[0]) {
        return Err(ctx.cast_value(&args[0], "Map"));
    }
    let mut map = or_map(take(&mut args[0]));
    for key in &args[1..] {
        map = value::dissoc(map, key)?;
    }
    ctx.done(juice::build(args.len() as u64 - 1), map)
}

fn conj(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let cost = juice::build(args.len() as u64 - 1);
    ctx.precheck(cost)?;
    if !args[0].is_nil() && !value::is_data_structure(&args[0]) {
        return Err(ctx.cast(args, 0, "DataStructure"));
    }
    let mut all = match take(&mut args[0]) {
        Cell::Nil => Cell::from(Vector::empty()),
        other => other,
    };
    for (i, element) in args.iter_mut().enumerate().skip(1) {
        let kind = value::type_name(element);
        all = match value::conj(all, take(element))? {
            Some(more) => more,
            None => {
                let text = format!(
                    "Failure to 'conj' argument at position {i} (with Type {kind}). \
                     Probably not a legal value for this data structure?"
                );
                return Err(ctx.error(Code::Argument, text.as_str()));
            }
        };
    }
    ctx.done(cost, all)
}

fn merge(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let Some((first, others)) = args.split_first_mut() else {
        return ctx.done(juice::BUILD, Map::empty());
    };
    let mut all = or_map(take(first));
    if !value::is_map(&all) {
        return Err(ctx.cast_value(&all, "Map"));
    }
    let mut sum = 0u64;
    for other in others {
        if other.is_nil() {
            continue;
        }
        if !value::is_map(other) {
            return Err(ctx.cast_value(other, "Map"));
        }
        sum = sum.saturating_add(value::count(other)?.unwrap_or(0));
        ctx.precheck(juice::build(sum))?;
        value::for_each_entry(other, |key, value| {
            match value::assoc_entry(take(&mut all), key, value)? {
                Some(more) => {
                    all = more;
                    Ok(())
                }
                None => Err(ctx.error(Code::Cast, "Unable to merge")),
            }
        })?;
    }
    ctx.done(juice::build(sum), all)
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, eval};

    #[test]
    fn sequences_take_existing_positions_only() {
        check(&[
            ("(assoc [1 2 3] -1 :a)", "!:ARGUMENT"),
            ("(assoc [1 2 3] 1.0 :a)", "!:ARGUMENT"),
            ("(assoc [1 2 3] 9223372036854775808 :a)", "!:ARGUMENT"),
            ("(assoc '(1 2 3) 0 :a)", "(:a 2 3)"),
            ("(assoc '() 0 :a)", "!:ARGUMENT"),
            ("(assoc [1 2] 0 :a 5 :b)", "!:ARGUMENT"),
            ("(assoc (first {1 2}) 0 5)", "[5 2]"),
        ]);
    }

    #[test]
    fn every_kind_of_collection_has_its_own_rule_for_assoc() {
        check(&[
            ("(assoc nil)", "{}"),
            ("(assoc)", "!:ARITY"),
            ("(assoc 1)", "!:CAST"),
            ("(assoc 1 2)", "!:ARITY"),
            ("(assoc #{1} 1 nil)", "!:ARGUMENT"),
            ("(assoc #{1} 1 2)", "!:ARGUMENT"),
            ("(assoc (index) 0x 1)", "#Index {0x 1}"),
            ("(assoc (index) 1 1)", "!:ARGUMENT"),
            ("(assoc \"abc\" 0 \\d)", "!:CAST"),
            ("(assoc :foo 0 1)", "!:CAST"),
        ]);
    }

    #[test]
    fn a_changed_record_is_a_map() {
        check(&[
            ("(= (account #0) (assoc (account #0)))", "true"),
            ("(= (account #0) (assoc (account #0) :sequence 0))", "false"),
            ("(= (account #0) (dissoc (account #0) :foo))", "true"),
            ("(= (account #0) (dissoc (account #0) :key))", "false"),
            ("(= (account #0) (merge (account #0) {}))", "true"),
            (
                "(= (account #0) (merge (account #0) {:sequence 0}))",
                "false",
            ),
            ("(= (account #0) (conj (account #0)))", "true"),
            ("(count (dissoc (account #0) :key :foo))", "8"),
            ("(count (merge {} (account #0)))", "9"),
            ("(:foo (conj (account #0) [:foo 1]))", "1"),
            ("(conj (account #0) 1)", "!:ARGUMENT"),
        ]);
    }

    #[test]
    fn a_path_is_followed_before_anything_is_put() {
        check(&[
            ("(assoc-in 5 [] 3)", "3"),
            ("(assoc-in 5 [1] 3)", "!:CAST"),
            ("(assoc-in {1 5} #{1} 4)", "!:CAST"),
            ("(assoc-in {1 5} :a 4)", "!:CAST"),
            ("(assoc-in (index) [1] 2)", "!:ARGUMENT"),
            ("(assoc-in (index) [:a 1] 9)", "#Index {:a {1 9}}"),
            ("(assoc-in #{} [1] true)", "#{1}"),
            ("(assoc-in #{1} [1] 2)", "!:ARGUMENT"),
            ("(assoc-in #{1} [1 2] 2)", "!:CAST"),
            ("(assoc-in #{} [1 2] 2)", "!:CAST"),
            ("(assoc-in [[1 2]] [5 1] 9)", "!:ARGUMENT"),
            ("(assoc-in {1 \"abc\"} [1 0] \\d)", "!:CAST"),
            ("(assoc-in '((1 2)) '(0 1) 9)", "((1 9))"),
            ("(assoc-in {} [1])", "!:ARITY"),
        ]);
    }

    #[test]
    fn maps_take_entries_only() {
        check(&[
            ("(conj)", "!:ARITY"),
            ("(conj nil)", "[]"),
            ("(conj {1 2} [3])", "!:ARGUMENT"),
            ("(conj {1 2} [3 4 5])", "!:ARGUMENT"),
            ("(conj {1 2} nil)", "!:ARGUMENT"),
            ("(conj (index) [0x12 1])", "#Index {0x12 1}"),
            ("(conj (index) [1 1])", "!:ARGUMENT"),
            ("(conj 1)", "!:CAST"),
            ("(dissoc)", "!:ARITY"),
            ("(dissoc 1)", "!:CAST"),
            ("(dissoc #{1} 1)", "!:CAST"),
            ("(dissoc {1 2} 1 1 nil)", "{}"),
            ("(merge [1])", "!:CAST"),
            ("(merge {1 2} nil 1)", "!:CAST"),
            ("(merge nil (index 0x 1))", "{0x 1}"),
        ]);
    }

    #[test]
    fn a_collection_that_somebody_else_holds_is_not_changed() {
        assert_eq!(
            eval("(let [a [1 2] b (conj a 3) c (assoc a 0 :x)] [a b c])"),
            "[[1 2] [1 2 3] [:x 2]]"
        );
    }
}
