//! Core functions that look into collections.

use cells::{Cell, Ref, Vector};

use super::args::take;
use super::{Arity, Kind, Native, leaf_views};
use crate::context::Context;
use crate::exit::{Code, Outcome};
use crate::juice;
use crate::value;

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 83,
        symbol: "keys",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["map"],
        doc: "The keys of a map, index or record, in its order.",
        returns: "Vector",
        errors: &[(Code::Cast, "the argument is no map; nil is none either")],
        juice: "P:50+50*count",
        examples: &[
            ("(keys {1 2 3 4})", "[3 1]"),
            ("(keys (index 0x12 1 0x 2))", "[0x 0x12]"),
            ("(keys nil)", "!:CAST"),
            ("(keys [])", "!:CAST"),
        ],
        run: keys,
    },
    Native {
        code: 84,
        symbol: "values",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["map"],
        doc: "The values of a map, index or record, in the order of its keys.",
        returns: "Vector",
        errors: &[(Code::Cast, "the argument is no map; nil is none either")],
        juice: "P:50+50*count",
        examples: &[
            ("(values {:a 5})", "[5]"),
            ("(values nil)", "!:CAST"),
            ("(values [])", "!:CAST"),
        ],
        run: values,
    },
    Native {
        code: 112,
        symbol: "get",
        kind: Kind::Function,
        arity: Arity::between(2, 3),
        params: &["coll key", "coll key not-found"],
        doc: "What a collection holds at a key or position. A set answers whether it has the key, or not-found if that \
              is given and it has not. In nil nothing is found.",
        returns: "the value, or not-found, which is nil unless given",
        errors: &[(Code::Cast, "coll is neither a data structure nor nil")],
        juice: "E:30",
        examples: &[
            ("(get {1 2} 1)", "2"),
            ("(get {1 2} 3)", "nil"),
            ("(get [1 2] 2 :none)", ":none"),
            ("(get #{1 2} 3)", "false"),
            ("(get #{1 2} 3 4)", "4"),
            ("(get nil 1 2)", "2"),
            ("(get \"abc\" 0)", "!:CAST"),
        ],
        run: get,
    },
    Native {
        code: 113,
        symbol: "get-in",
        kind: Kind::Function,
        arity: Arity::between(2, 3),
        params: &["coll path", "coll path not-found"],
        doc: "What lies at the end of a path of keys into nested collections.",
        returns: "the value, or not-found, which is nil unless given; a nil at the very end is a value",
        errors: &[(
            Code::Cast,
            "the path is neither a sequence nor nil, or leads into something that is no data structure",
        )],
        juice: "E:30*(1+len)",
        examples: &[
            ("(get-in {1 {2 3}} [1 2])", "3"),
            ("(get-in {1 {2 3}} [1 3] :none)", ":none"),
            ("(get-in {:a nil} [:a] :none)", "nil"),
            ("(get-in 5 [])", "5"),
            ("(get-in {1 {2 3}} [1 2 3])", "!:CAST"),
            ("(get-in nil 1)", "!:CAST"),
        ],
        run: get_in,
    },
    Native {
        code: 114,
        symbol: "contains-key?",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["coll key"],
        doc: "True when a map has the key, a set the element, or a sequence the position. Nil has nothing.",
        returns: "Boolean",
        errors: &[(Code::Cast, "coll is neither a data structure nor nil")],
        juice: "E:30",
        examples: &[
            ("(contains-key? {1 nil} 1)", "true"),
            ("(contains-key? [1 2] 2)", "false"),
            ("(contains-key? #{1} 1)", "true"),
            ("(contains-key? nil 1)", "false"),
            ("(contains-key? \"abc\" 0)", "!:CAST"),
        ],
        run: contains_key,
    },
    Native {
        code: 120,
        symbol: "first",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["coll"],
        doc: "The first element of anything countable, as `nth` gives it.",
        returns: "the element",
        errors: &[
            (Code::Cast, "coll is not countable"),
            (Code::Bounds, "coll has no element"),
        ],
        juice: "E:20",
        examples: &[
            ("(first [1 2])", "1"),
            ("(first {1 2})", "[1 2]"),
            ("(first \"é\")", "\\é"),
            ("(first nil)", "!:BOUNDS"),
            ("(first 1)", "!:CAST"),
        ],
        run: |ctx, args| element_at(ctx, args, |_| 0),
    },
    Native {
        code: 121,
        symbol: "second",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["coll"],
        doc: "The second element of anything countable, as `nth` gives it.",
        returns: "the element",
        errors: &[
            (Code::Cast, "coll is not countable"),
            (Code::Bounds, "coll has fewer than two elements"),
        ],
        juice: "E:20",
        examples: &[
            ("(second [1 2])", "2"),
            ("(second \"ab\")", "\\b"),
            ("(second [1])", "!:BOUNDS"),
            ("(second 1)", "!:CAST"),
        ],
        run: |ctx, args| element_at(ctx, args, |_| 1),
    },
    Native {
        code: 122,
        symbol: "last",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["coll"],
        doc: "The last element of anything countable, as `nth` gives it.",
        returns: "the element",
        errors: &[
            (Code::Cast, "coll is not countable"),
            (Code::Bounds, "coll has no element"),
        ],
        juice: "E:20",
        examples: &[
            ("(last [1 2])", "2"),
            ("(last #511)", "255"),
            ("(last \"é\")", "nil"),
            ("(last [])", "!:BOUNDS"),
            ("(last 1)", "!:CAST"),
        ],
        run: |ctx, args| element_at(ctx, args, |count| count as i64 - 1),
    },
    Native {
        code: 183,
        symbol: "count",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["coll"],
        doc: "Number of elements of anything countable: entries of maps, bytes of text, blobs and addresses. Nil has \
              none.",
        returns: "Long",
        errors: &[(Code::Cast, "coll is not countable")],
        juice: "E:20",
        examples: &[
            ("(count [1 2])", "2"),
            ("(count {1 2})", "1"),
            ("(count \"é€\")", "5"),
            ("(count #1)", "8"),
            ("(count nil)", "0"),
            ("(count 1)", "!:CAST"),
        ],
        run: count,
    },
    Native {
        code: 192,
        symbol: "empty",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["coll"],
        doc: "A value of the same type without elements: a map for a record, nil for what can't be empty.",
        returns: "a countable value, or nil",
        errors: &[(Code::Cast, "coll is not countable")],
        juice: "E:20",
        examples: &[
            ("(empty [1])", "[]"),
            ("(empty \"abc\")", "\"\""),
            ("(empty (index 0x 1))", "#Index {}"),
            ("(empty :foo)", "nil"),
            ("(empty 1)", "!:CAST"),
        ],
        run: empty,
    },
    Native {
        code: 193,
        symbol: "nth",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["coll position"],
        doc: "The element at a position, from 0, of anything countable: an entry of a map, a byte of a blob, the \
              character that starts at a byte of a text (nil inside a character).",
        returns: "the element",
        errors: &[
            (
                Code::Cast,
                "coll is not countable, or the position is no integer",
            ),
            (Code::Bounds, "there is no such position"),
        ],
        juice: "E:20",
        examples: &[
            ("(nth [1 2] 0)", "1"),
            ("(nth {1 2 3 4} 1)", "[1 2]"),
            ("(nth 0x1234 1)", "52"),
            ("(nth [1 2] 2)", "!:BOUNDS"),
            ("(nth [1 2] 1.0)", "!:CAST"),
        ],
        run: nth,
    },
    Native {
        code: 194,
        symbol: "next",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["coll"],
        doc: "The elements after the first one.",
        returns: "List for a list, Vector for anything else; nil when nothing is left",
        errors: &[(Code::Cast, "coll is neither a data structure nor nil")],
        juice: "E:20",
        examples: &[
            ("(next [1 2 3])", "[2 3]"),
            ("(next '(1 2 3))", "(2 3)"),
            ("(next #{1 2})", "[1]"),
            ("(next [1])", "nil"),
            ("(next \"abc\")", "!:CAST"),
        ],
        run: next,
    },
    Native {
        code: 195,
        symbol: "slice",
        kind: Kind::Function,
        arity: Arity::between(2, 3),
        params: &["coll start", "coll start end"],
        doc: "The elements from one position up to, but without, another: the end unless given. Works on anything \
              countable but nil; texts are cut by bytes.",
        returns: "the same type; HashMap for a record, Blob for an address, nil for an empty name",
        errors: &[
            (
                Code::Cast,
                "coll is not countable or nil, or a position is no Long",
            ),
            (
                Code::Bounds,
                "a position is outside, or the end lies before the start",
            ),
        ],
        juice: "P:50+k*len (k=50 DataStructure, 1 otherwise)",
        examples: &[
            ("(slice [1 2 3] 1)", "[2 3]"),
            ("(slice \"hello\" 1 3)", "\"el\""),
            ("(slice {1 2 3 4} 0 1)", "{3 4}"),
            ("(slice #511 6 8)", "0x01ff"),
            ("(slice :abc 0 0)", "nil"),
            ("(slice [1 2 3] 2 1)", "!:BOUNDS"),
            ("(slice nil 0)", "!:CAST"),
        ],
        run: slice,
    },
];

fn keys(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let cost = map_cost(ctx, args)?;
    if matches!(&args[0], Cell::Record(r) if r.kind().is_none()) {
        // A record without a meaning has fields but no names for them.
        return ctx.done(cost, Cell::Nil);
    }
    let mut keys = Vec::new();
    value::for_each_entry(&args[0], |key, _| {
        keys.push(Ref::new(key));
        Outcome::Ok(())
    })?;
    ctx.done(cost, Vector::from_refs(keys).into_view())
}

fn values(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let cost = map_cost(ctx, args)?;
    let mut values = Vec::new();
    value::for_each_entry(&args[0], |_, value| {
        values.push(Ref::new(value));
        Outcome::Ok(())
    })?;
    ctx.done(cost, Vector::from_refs(values).into_view())
}

/// Checks that the argument is a map, and that a vector of as many elements can be paid.
fn map_cost(ctx: &mut Context<'_>, args: &[Cell]) -> Outcome<u64> {
    if !value::is_map(&args[0]) {
        return Err(ctx.cast(args, 0, "Map"));
    }
    let cost = juice::build(value::count(&args[0])?.unwrap_or(0));
    ctx.precheck(cost)?;
    Ok(cost)
}

fn get(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let not_found = args.get_mut(2).map(take);
    if args[0].is_nil() {
        return ctx.done(juice::GET, not_found);
    }
    if !value::is_data_structure(&args[0]) {
        return Err(ctx.cast_value(&args[0], "DataStructure"));
    }
    // With three arguments, a position that arithmetic has left in the large form is not seen (`spec/03 §2`).
    let unseen =
        not_found.is_some() && value::is_sequence(&args[0]) && matches!(args[1], Cell::BigInt(_));
    let found = if unseen {
        None
    } else {
        value::get(&args[0], &args[1])?
    };
    let found = match (found, not_found) {
        (Some(value), _) => value,
        (None, Some(not_found)) => not_found,
        (None, None) if matches!(args[0], Cell::Set(_)) => Cell::Bool(false),
        (None, None) => Cell::Nil,
    };
    ctx.done(juice::GET, found)
}

fn get_in(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !args[1].is_nil() && !value::is_sequence(&args[1]) {
        return Err(ctx.cast_value(&args[1], "Sequence"));
    }
    let length = value::count(&args[1])?.unwrap_or(0);
    let cost = juice::linear(juice::GET, juice::GET, length);
    let mut at = Some(take(&mut args[0]));
    for i in 0..length {
        let collection = match at {
            Some(collection) if !collection.is_nil() => collection,
            _ => {
                at = None;
                break;
            }
        };
        if !value::is_data_structure(&collection) {
            return Err(ctx.cast_value(&collection, "DataStructure"));
        }
        let key = value::element(&args[1], i)?.unwrap_or(Cell::Nil);
        at = value::get(&collection, &key)?;
        if at.is_none() {
            break;
        }
    }
    let found = at.unwrap_or_else(|| args.get_mut(2).map_or(Cell::Nil, take));
    ctx.done(cost, found)
}

fn contains_key(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !args[0].is_nil() && !value::is_data_structure(&args[0]) {
        return Err(ctx.cast_value(&args[0], "DataStructure"));
    }
    let found = value::get(&args[0], &args[1])?.is_some();
    ctx.done(juice::GET, found)
}

/// The element at the position that `position` computes from the count.
fn element_at(ctx: &mut Context<'_>, args: &[Cell], position: fn(u64) -> i64) -> Outcome {
    let Some(count) = value::count(&args[0])? else {
        return Err(ctx.cast(args, 0, "Sequence"));
    };
    positional(ctx, &args[0], position(count))
}

fn positional(ctx: &mut Context<'_>, collection: &Cell, position: i64) -> Outcome {
    let element = match u64::try_from(position) {
        Ok(i) => value::nth(collection, i)?,
        Err(_) => None,
    };
    match element {
        Some(element) => ctx.done(juice::SIMPLE, element),
        None => Err(ctx.out_of_bounds(position)),
    }
}

fn count(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let Some(count) = value::count(&args[0])? else {
        return Err(ctx.cast(args, 0, "DataStructure"));
    };
    ctx.done(juice::SIMPLE, count as i64)
}

fn empty(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let Some(empty) = value::empty(&args[0]) else {
        return Err(ctx.cast(args, 0, "DataStructure"));
    };
    ctx.done(juice::SIMPLE, empty)
}

fn nth(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if value::count(&args[0])?.is_none() {
        return Err(ctx.cast_value(&args[0], "Sequence"));
    }
    match (value::long(&args[1]), &args[1]) {
        (Some(i), _) => positional(ctx, &args[0], i),
        (None, Cell::BigInt(_)) => Err(ctx.error(Code::Bounds, "Excessively large index")),
        (None, _) => Err(ctx.cast(args, 1, "Integer")),
    }
}

fn next(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !args[0].is_nil() && !value::is_data_structure(&args[0]) {
        return Err(ctx.cast(args, 0, "Sequence"));
    }
    let count = value::count(&args[0])?.unwrap_or(0);
    if !matches!(args[0], Cell::List(_)) {
        ctx.copy_unpaid(count)?;
    }
    let rest = match &args[0] {
        _ if count <= 1 => Cell::Nil,
        Cell::List(list) => leaf_views::list_part(list, 1, count)?.into(),
        set @ Cell::Set(_) => {
            leaf_views::part(&value::to_vector(set)?.into_view(), 1, count)?.into()
        }
        other => leaf_views::part(&value::to_vector(other)?, 1, count)?.into(),
    };
    ctx.done(juice::SIMPLE, rest)
}

fn slice(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let count = match value::count(&args[0])? {
        Some(count) if !args[0].is_nil() => count,
        _ => return Err(ctx.cast(args, 0, "Countable")),
    };
    let start = ctx.long(args, 1)?;
    if start < 0 {
        return Err(ctx.out_of_bounds(start));
    }
    let end = match args.len() {
        3 => ctx.long(args, 2)?,
        _ => count as i64,
    };
    if end > count as i64 {
        return Err(ctx.out_of_bounds(end));
    }
    if end < start {
        return Err(ctx.error(Code::Bounds, "End before start"));
    }
    let len = (end - start) as u64;
    let cost = if value::is_data_structure(&args[0]) {
        juice::build(len)
    } else {
        juice::slice(len)
    };
    ctx.precheck(cost)?;
    let (start, stop) = (start as u64, end as u64);
    let part = match &args[0] {
        Cell::Vector(vector) => leaf_views::part(vector, start, stop)?.map(Cell::from),
        Cell::List(list) => leaf_views::list_part(list, start, stop)?.map(Cell::from),
        other => value::slice(other, start, stop)?,
    };
    match part {
        Some(part) => ctx.done(cost, part),
        None => Err(ctx.out_of_bounds(end)),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn look_up_knows_maps_sets_and_sequences_only() {
        check(&[
            ("(get)", "!:ARITY"),
            ("(get nil)", "!:ARITY"),
            ("(get 1 2 3 4)", "!:ARITY"),
            ("(get 0x12 0)", "!:CAST"),
            ("(get :foo 0)", "!:CAST"),
            ("(get 1 2 3)", "!:CAST"),
            ("(get {1 nil} 1 3)", "nil"),
            ("(get [1 2] -1 :none)", ":none"),
            ("(get [1 2] 0.0)", "nil"),
            ("(get [1 2] 9223372036854775808 5)", "5"),
            ("(get (index 0x12 1) :a)", "nil"),
            ("(get (index 0x12 1) nil 4)", "4"),
            ("(get #{nil} nil 5)", "true"),
            ("(get (account #0) :key 3)", "nil"),
            ("(get (account #0) :foo 3)", "3"),
            ("(get (account #0) \"key\" 3)", "3"),
            ("(contains-key? [1 2] :a)", "false"),
            ("(contains-key? (index 0x12 1) 1)", "false"),
            ("(contains-key? (account #0) :key)", "true"),
            ("(contains-key? 1 1)", "!:CAST"),
            ("(contains-key? nil)", "!:ARITY"),
        ]);
    }

    #[test]
    fn integers_in_the_large_form_are_positions_except_for_get_with_not_found() {
        check(&[
            ("(get [1 2] (* 9223372036854775808 0))", "1"),
            ("(get [1 2] (* 9223372036854775808 0) :none)", ":none"),
            ("(get {0 5} (* 9223372036854775808 0) :none)", "5"),
            ("(get-in [1 2] [(* 9223372036854775808 0)] :none)", "1"),
            ("(contains-key? [1 2] (* 9223372036854775808 0))", "true"),
            ("(nth [1 2] (* 9223372036854775808 0))", "1"),
            ("(nth [1 2] (* 9223372036854775808 -1))", "!:BOUNDS"),
            ("(slice [1 2] (* 9223372036854775808 0))", "[1 2]"),
            ("(assoc [1 2] (* 9223372036854775808 0) 7)", "[7 2]"),
        ]);
    }

    #[test]
    fn a_path_ends_where_nothing_is() {
        check(&[
            ("(get-in nil [] 2)", "nil"),
            ("(get-in nil [1] 2)", "2"),
            ("(get-in {1 {2 3}} [1 3 3] :none)", ":none"),
            ("(get-in {1 nil} [1 3] :none)", ":none"),
            ("(get-in [1 [2 3]] '(1 0))", "2"),
            ("(get-in [1 [2 3]] #{1})", "!:CAST"),
            ("(get-in #{1} [1])", "true"),
            ("(get-in #{1} [2])", "nil"),
            ("(get-in \"abc\" [] 7)", "\"abc\""),
            ("(get-in \"abc\" [0])", "!:CAST"),
            ("(get-in nil)", "!:ARITY"),
        ]);
    }

    #[test]
    fn positions_are_checked_after_types() {
        check(&[
            ("(nth 1 :a)", "!:CAST"),
            ("(nth [1 2] nil)", "!:CAST"),
            ("(nth [1 2] -1)", "!:BOUNDS"),
            ("(nth [1 2] 9223372036854775808)", "!:BOUNDS"),
            ("(nth nil 0)", "!:BOUNDS"),
            ("(nth nil 1.5)", "!:CAST"),
            ("(nth \"é\" 1)", "nil"),
            ("(nth \"abc\" 3)", "!:BOUNDS"),
            ("(nth 'foo 2)", "\\o"),
            ("(nth #128 7)", "128"),
            ("(nth #128 8)", "!:BOUNDS"),
            ("(nth (account #0) 9)", "!:BOUNDS"),
            ("(nth [1 2])", "!:ARITY"),
            ("(last nil)", "!:BOUNDS"),
            ("(last {1 2})", "[1 2]"),
            ("(second nil)", "!:BOUNDS"),
            ("(first \\a)", "!:CAST"),
            ("(first \"\")", "!:BOUNDS"),
        ]);
    }

    #[test]
    fn slices_check_one_bound_after_the_other() {
        check(&[
            ("(slice [1] -1 :a)", "!:BOUNDS"),
            ("(slice [1] 5 :a)", "!:CAST"),
            ("(slice [1] 0.0)", "!:CAST"),
            ("(slice [1] 9223372036854775808)", "!:CAST"),
            ("(slice [1 2 3] 1 4)", "!:BOUNDS"),
            ("(slice [1 2 3] 1 -1)", "!:BOUNDS"),
            ("(slice [1 2 3] 4)", "!:BOUNDS"),
            ("(slice [1 2 3] 3)", "[]"),
            ("(slice '(1 2 3) 1 2)", "(2)"),
            ("(slice #{1 2 3} 1 3)", "#{3,1}"),
            ("(slice (index 0x 1 0x12 2) 1 2)", "#Index {0x12 2}"),
            ("(slice (account #0) 0 2)", "{:sequence 0,:key nil}"),
            ("(= (account #0) (slice (account #0) 0))", "false"),
            ("(slice 'abc 3 3)", "nil"),
            ("(slice :abc 1)", ":bc"),
            ("(slice #12 0 0)", "0x"),
            ("(slice 0x123456 1 2)", "0x34"),
            ("(slice [1])", "!:ARITY"),
            ("(slice [1] 0 1 2)", "!:ARITY"),
            ("(slice 1 0)", "!:CAST"),
        ]);
    }

    #[test]
    fn what_can_be_counted_and_emptied() {
        check(&[
            ("(count (account #11))", "9"),
            ("(count :foo)", "3"),
            ("(count (index 0x 1))", "1"),
            ("(count inc)", "!:CAST"),
            ("(count (fn [x] x))", "!:CAST"),
            ("(count (compile '(+ 1 2)))", "!:CAST"),
            ("(count (syntax [1 2]))", "!:CAST"),
            ("(count)", "!:ARITY"),
            ("(empty nil)", "nil"),
            ("(empty '(1))", "()"),
            ("(empty 0x1234)", "0x"),
            ("(empty #12)", "nil"),
            ("(empty (account #11))", "{}"),
            ("(empty \\a)", "!:CAST"),
            ("(next nil)", "nil"),
            ("(next {1 2 3 4})", "[[1 2]]"),
            ("(next 0x12)", "!:CAST"),
            ("(keys #{1})", "!:CAST"),
            ("(keys)", "!:ARITY"),
            ("(values (index 0x12 1 0x 2))", "[2 1]"),
        ]);
    }
}
