//! Core functions that make collections.

use cells::{Cell, Index, List, Map, Set, Vector};

use super::args::take;
use super::{Arity, Kind, Native, leaf_views};
use crate::context::Context;
use crate::exit::{Code, Outcome};
use crate::juice;
use crate::value;

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 1,
        symbol: "vector",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& elements"],
        doc: "A vector of the arguments.",
        returns: "Vector",
        errors: &[],
        juice: "P:50+50*argc",
        examples: &[("(vector 1 2 3)", "[1 2 3]"), ("(vector)", "[]")],
        run: vector,
    },
    Native {
        code: 2,
        symbol: "concat",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& colls"],
        doc: "The elements of all collections, one after the other. The first that is not nil decides between list and \
              vector; sets and maps count as vectors of their elements.",
        returns: "Vector or List; nil without a collection",
        errors: &[(
            Code::Cast,
            "an argument is neither a data structure nor nil",
        )],
        juice: "P:5+sum(50+50*count) over non-nil args",
        examples: &[
            ("(concat [1] nil [2 3])", "[1 2 3]"),
            ("(concat '(1 2) [3])", "(1 2 3)"),
            ("(concat {1 2} [3])", "[[1 2] 3]"),
            ("(concat nil nil)", "nil"),
            ("(concat [1] 5)", "!:CAST"),
        ],
        run: concat,
    },
    Native {
        code: 3,
        symbol: "vec",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["coll"],
        doc: "The elements of anything countable as a vector: entries of maps, bytes of blobs, and for text the \
              character that starts at each byte (nil inside a character).",
        returns: "Vector",
        errors: &[(Code::Cast, "coll is not countable")],
        juice: "P:50+50*count",
        examples: &[
            ("(vec '(1 2))", "[1 2]"),
            ("(vec {1 2})", "[[1 2]]"),
            ("(vec \"abc\")", "[\\a \\b \\c]"),
            ("(vec 0x1234)", "[18 52]"),
            ("(vec nil)", "[]"),
            ("(vec 1)", "!:CAST"),
        ],
        run: vec,
    },
    Native {
        code: 4,
        symbol: "reverse",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["sequence"],
        doc: "The elements in reverse order, at constant cost: a vector becomes a list, a list a vector.",
        returns: "List for a vector or nil, Vector for a list",
        errors: &[(
            Code::Cast,
            "the argument is neither a vector, a list nor nil",
        )],
        juice: "E:50",
        examples: &[
            ("(reverse [1 2 3])", "(3 2 1)"),
            ("(reverse '(1 2 3))", "[3 2 1]"),
            ("(reverse nil)", "()"),
            ("(reverse #{1})", "!:CAST"),
        ],
        run: reverse,
    },
    Native {
        code: 9,
        symbol: "list",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& elements"],
        doc: "A list of the arguments.",
        returns: "List",
        errors: &[],
        juice: "P:50+50*argc",
        examples: &[("(list 1 2 3)", "(1 2 3)"), ("(list)", "()")],
        run: list,
    },
    Native {
        code: 80,
        symbol: "hash-map",
        kind: Kind::Function,
        arity: Arity::Even,
        params: &["& keys-and-values"],
        doc: "A map of the keys and values given in turn. Of equal keys the last one counts.",
        returns: "HashMap",
        errors: &[],
        juice: "E:50+50*argc",
        examples: &[
            ("(hash-map 1 2 1 3)", "{1 3}"),
            ("(hash-map)", "{}"),
            ("(hash-map 1)", "!:ARITY"),
        ],
        run: hash_map,
    },
    Native {
        code: 81,
        symbol: "index",
        kind: Kind::Function,
        arity: Arity::Even,
        params: &["& keys-and-values"],
        doc: "A map that is ordered by the bytes of its keys. Keys are blobs, strings, names and addresses; only their \
              first 32 bytes count, and keys with equal bytes are one key, whatever their type.",
        returns: "Index",
        errors: &[(Code::Argument, "a key is not made of bytes")],
        juice: "P:50+50*argc",
        examples: &[
            ("(index 0x01 :a 0x00 :b)", "#Index {0x00 :b,0x01 :a}"),
            ("(index :a 1 \"a\" 2 'a 3 0x61 4)", "#Index {0x61 4}"),
            ("(index 1 2)", "!:ARGUMENT"),
            ("(index 0x)", "!:ARITY"),
        ],
        run: index,
    },
    Native {
        code: 82,
        symbol: "hash-set",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& elements"],
        doc: "A set of the arguments.",
        returns: "Set",
        errors: &[],
        juice: "P:50+50*argc",
        examples: &[("(hash-set 1 2 1)", "#{2,1}"), ("(hash-set)", "#{}")],
        run: hash_set,
    },
    Native {
        code: 119,
        symbol: "cons",
        kind: Kind::Function,
        arity: Arity::at_least(2),
        params: &["& elements coll"],
        doc: "A list of the elements given, followed by those of a collection.",
        returns: "List",
        errors: &[(
            Code::Cast,
            "the last argument is neither a data structure nor nil",
        )],
        juice: "P:50+50*(argc-1)",
        examples: &[
            ("(cons :a '(:b))", "(:a :b)"),
            ("(cons 1 2 [3])", "(1 2 3)"),
            ("(cons 1 nil)", "(1)"),
            ("(cons 1 {2 3})", "(1 [2 3])"),
            ("(cons 1 \"abc\")", "!:CAST"),
        ],
        run: cons,
    },
    Native {
        code: 224,
        symbol: "into",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["to from"],
        doc: "Adds the elements of one collection to another, in order, as `conj` does. Into nil gives the second \
              collection itself.",
        returns: "a data structure of the type of the first; nil for two nils",
        errors: &[
            (
                Code::Cast,
                "an argument is neither a data structure nor nil",
            ),
            (
                Code::Argument,
                "an element does not fit into the collection",
            ),
        ],
        juice: "P:50 (+50*count(arg 2) when arg 1 non-nil)",
        examples: &[
            ("(into [1] '(2 3))", "[1 2 3]"),
            ("(into '() [1 2 3])", "(3 2 1)"),
            ("(into {} [[:a 1]])", "{:a 1}"),
            ("(into nil {1 2})", "{1 2}"),
            ("(into {} [1])", "!:ARGUMENT"),
            ("(into [] \"abc\")", "!:CAST"),
        ],
        run: into,
    },
];

fn vector(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let cost = juice::build(args.len() as u64);
    ctx.precheck(cost)?;
    let vector: Vector = args.iter_mut().map(take).collect();
    ctx.done(cost, vector.into_view())
}

fn list(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let cost = juice::build(args.len() as u64);
    ctx.precheck(cost)?;
    let list: List = args.iter_mut().map(take).collect();
    ctx.done(cost, list)
}

fn hash_set(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let cost = juice::build(args.len() as u64);
    ctx.precheck(cost)?;
    let set: Set = args.iter_mut().map(take).collect();
    ctx.done(cost, set)
}

fn hash_map(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let map: Map = args
        .chunks_exact_mut(2)
        .map(|pair| (take(&mut pair[0]), take(&mut pair[1])))
        .collect();
    ctx.done(juice::build(args.len() as u64), map)
}

fn index(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let cost = juice::build(args.len() as u64);
    ctx.precheck(cost)?;
    let mut index = Index::empty();
    for pair in args.chunks_exact_mut(2) {
        let kind = value::type_name(&pair[0]);
        let (key, value) = (take(&mut pair[0]), take(&mut pair[1]));
        index = match index.assoc(key, value)? {
            Some(more) => more,
            None => {
                let text = format!("Cannot have a key of Type {kind} in Index");
                return Err(ctx.error(Code::Argument, text.as_str()));
            }
        };
    }
    ctx.done(cost, index)
}

fn concat(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let mut cost = juice::DO;
    let mut all = Cell::Nil;
    let mut several = false;
    for i in 0..args.len() {
        if args[i].is_nil() {
            continue;
        }
        if !value::is_data_structure(&args[i]) {
            return Err(ctx.cast(args, i, "Sequence"));
        }
        let count = value::count(&args[i])?.unwrap_or(0);
        cost = cost.saturating_add(juice::build(count)).min(juice::MAX);
        ctx.precheck(cost)?;
        let next = take(&mut args[i]);
        several = !all.is_nil();
        all = match all {
            Cell::Nil if matches!(next, Cell::List(_)) => next,
            Cell::Nil if matches!(next, Cell::Set(_)) => {
                value::to_vector(&next)?.into_view().into()
            }
            Cell::Nil => value::to_vector(&next)?.into(),
            Cell::List(list) => leaf_views::append_list(list, &to_list(&next)?)?.into(),
            Cell::Vector(vector) => leaf_views::append(vector, &next)?.into(),
            other => other,
        };
    }
    if several {
        all = ctx.independent(all);
    }
    ctx.done(cost, all)
}

/// The elements of a data structure or nil as a list.
fn to_list(cell: &Cell) -> Outcome<List> {
    if let Cell::List(list) = cell {
        return Ok(list.clone());
    }
    let mut elements = Vec::new();
    value::for_each(cell, |x| {
        elements.push(x);
        Outcome::Ok(())
    })?;
    Ok(elements.into_iter().collect())
}

fn vec(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let Some(count) = value::count(&args[0])? else {
        return Err(ctx.cast(args, 0, "Vector"));
    };
    let cost = juice::build(count);
    ctx.precheck(cost)?;
    let mut vector = value::to_vector(&args[0])?.without_view();
    if matches!(args[0], Cell::Set(_)) {
        vector = vector.into_view();
    }
    if ctx
        .view
        .as_ref()
        .is_some_and(|view| view.is_identical(&args[0]))
    {
        // A view becomes a copy (`views.rs`).
        vector = vector.iter().collect::<Result<_, _>>()?;
    }
    ctx.done(cost, vector)
}

fn reverse(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !args[0].is_nil() && !value::is_sequence(&args[0]) {
        return Err(ctx.cast(args, 0, "Sequence"));
    }
    let reversed = match ctx.independent(take(&mut args[0])) {
        Cell::Vector(v) => Cell::from(List::from_reversed(v.without_view())),
        Cell::List(l) => Cell::from(l.reversed().clone()),
        _ => Cell::from(List::empty()),
    };
    ctx.done(juice::BUILD, reversed)
}

fn cons(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let last = args.len() - 1;
    let cost = juice::build(last as u64);
    ctx.precheck(cost)?;
    if !args[last].is_nil() && !value::is_data_structure(&args[last]) {
        return Err(ctx.cast(args, last, "Sequence"));
    }
    let tail = take(&mut args[last]);
    let mut list = match tail {
        Cell::List(list) => list,
        other => {
            ctx.copy_unpaid(value::count(&other)?.unwrap_or(0))?;
            to_list(&other)?
        }
    };
    for element in args[..last].iter_mut().rev() {
        list = list.cons(take(element))?;
    }
    ctx.done(cost, list)
}

fn into(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if args[0].is_nil() {
        if !args[1].is_nil() && !value::is_data_structure(&args[1]) {
            return Err(ctx.cast_value(&args[1], "DataStructure"));
        }
        return ctx.done(juice::BUILD, take(&mut args[1]));
    }
    if !value::is_data_structure(&args[0]) {
        return Err(ctx.cast(args, 0, "DataStructure"));
    }
    let Some(count) = value::count(&args[1])? else {
        return Err(ctx.cast_value(&args[1], "DataStructure"));
    };
    let cost = juice::build(count);
    ctx.precheck(cost)?;
    if !args[1].is_nil() && !value::is_data_structure(&args[1]) {
        return Err(ctx.cast_value(&args[1], "DataStructure"));
    }
    let all = match take(&mut args[0]) {
        Cell::Vector(vector) => leaf_views::append(vector, &args[1])?.into(),
        Cell::List(list) => {
            let reversed = leaf_views::append(list.reversed().clone(), &args[1])?;
            List::from_reversed(reversed).into()
        }
        mut all => {
            value::for_each(&args[1], |element| {
                match value::conj(take(&mut all), element)? {
                    Some(more) => {
                        all = more;
                        Ok(())
                    }
                    None => Err(ctx.error(Code::Argument, "Invalid element type for 'into'")),
                }
            })?;
            all
        }
    };
    let all = ctx.independent(all);
    ctx.done(cost, all)
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, eval};

    #[test]
    fn collections_are_made_of_anything_that_can_be_counted() {
        check(&[
            ("(vec \"é€\")", "[\\é nil \\€ nil nil]"),
            ("(vec :foo)", "[\\f \\o \\o]"),
            ("(vec #511)", "[0 0 0 0 0 0 1 255]"),
            (
                "(vec (index 0xff 1 0x00 2 0x 3))",
                "[[0x 3] [0x00 2] [0xff 1]]",
            ),
            ("(vec [1 2])", "[1 2]"),
            ("(count (vec (account #11)))", "9"),
            ("(vec true)", "!:CAST"),
            ("(vec count)", "!:CAST"),
            ("(vec)", "!:ARITY"),
            ("(vec [] [])", "!:ARITY"),
        ]);
    }

    #[test]
    fn the_first_collection_decides_what_concat_makes() {
        check(&[
            ("(concat)", "nil"),
            ("(concat [] nil)", "[]"),
            ("(concat nil '() [1])", "(1)"),
            ("(concat #{1} '(2))", "[1 2]"),
            ("(concat '(1) {2 3} #{4})", "(1 [2 3] 4)"),
            ("(concat \"ab\" \"c\")", "!:CAST"),
            ("(concat nil 0x12)", "!:CAST"),
            (
                "(count (concat [1 2 3 4 5 6 7 8 9] [1 2 3 4 5 6 7 8 9] '(1 2)))",
                "20",
            ),
        ]);
    }

    #[test]
    fn an_index_knows_keys_by_their_bytes() {
        check(&[
            ("(index 0x000000000000000c 2 #12 1)", "#Index {#12 1}"),
            (
                "(index 0x00 1 0x 2 0x0011 3 0x0010 4)",
                "#Index {0x 2,0x00 1,0x0010 4,0x0011 3}",
            ),
            ("(index nil 2)", "!:ARGUMENT"),
            ("(index [] 2)", "!:ARGUMENT"),
            ("(index \\a 2)", "!:ARGUMENT"),
            ("(index count 1)", "!:ARGUMENT"),
        ]);
    }

    #[test]
    fn into_adds_as_conj_does() {
        check(&[
            ("(into nil nil)", "nil"),
            ("(into nil 1)", "!:CAST"),
            ("(into nil \"a\")", "!:CAST"),
            ("(into [] nil)", "[]"),
            ("(into [] {1 2})", "[[1 2]]"),
            ("(into {1 2} '([3 4]))", "{3 4,1 2}"),
            ("(into (index) [[1 1]])", "!:ARGUMENT"),
            ("(into (index) {0x12 1})", "#Index {0x12 1}"),
            ("(into 1 [])", "!:CAST"),
            ("(into \"a\" [])", "!:CAST"),
            ("(into [] 1)", "!:CAST"),
            ("(into [])", "!:ARITY"),
            ("(:foo (into (account #0) [[:foo 1]]))", "1"),
        ]);
    }

    #[test]
    fn copies_do_not_follow_the_buffer_of_reduce() {
        for copy in [
            "(vec r)",
            "(concat [] r)",
            "(concat r [])",
            "(into [] r)",
            "(into r nil)",
            "(reverse (reverse r))",
        ] {
            let source = format!("(reduce (fn [acc & r] (conj acc {copy})) [] [1 2 3])");
            assert_eq!(eval(&source), "[[1] [2] [3]]", "{source}");
        }
        for same in ["(concat nil r)", "(into nil r)", "(conj r)", "(slice r 0)"] {
            let source = format!("(reduce (fn [acc & r] (conj acc {same})) [] [1 2 3])");
            assert_eq!(eval(&source), "[[3] [3] [3]]", "{source}");
        }
    }

    #[test]
    fn reversing_twice_gives_the_same_type_and_elements() {
        check(&[
            ("(reverse (reverse [1 2 3]))", "[1 2 3]"),
            ("(reverse '())", "[]"),
            ("(reverse {1 2})", "!:CAST"),
            ("(reverse \"abc\")", "!:CAST"),
            ("(cons 1 (reverse [2 3]))", "(1 3 2)"),
            ("(cons 1)", "!:ARITY"),
            ("(cons 1 2)", "!:CAST"),
        ]);
    }
}
