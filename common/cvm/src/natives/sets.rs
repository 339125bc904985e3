//! Core functions on sets.
//!
//! Union, intersection, difference and subset are those of `spec/01 §9.6`, with the shapes that the network has.

use cells::{Cell, Set, SetOp};

use super::args::take;
use super::{Arity, Kind, Native};
use crate::context::Context;
use crate::exit::{Code, Outcome};
use crate::juice;
use crate::value;

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 5,
        symbol: "set",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["coll"],
        doc: "The elements of anything countable as a set: entries of maps, bytes of blobs, characters of text.",
        returns: "Set",
        errors: &[(Code::Cast, "coll is not countable")],
        juice: "P:50+50*count",
        examples: &[
            ("(set [1 1 2])", "#{2,1}"),
            ("(set {1 2})", "#{[1 2]}"),
            ("(set \"aab\")", "#{\\b,\\a}"),
            ("(set nil)", "#{}"),
            ("(set 1)", "!:CAST"),
        ],
        run: set,
    },
    Native {
        code: 6,
        symbol: "union",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& sets"],
        doc: "The elements of all sets; nil counts as the empty set.",
        returns: "Set",
        errors: &[(
            Code::Cast,
            "an argument is something else than a set or nil",
        )],
        juice: "P:50+50*sum(count all args), cumulative",
        examples: &[
            ("(union #{1} #{2} nil)", "#{2,1}"),
            ("(union)", "#{}"),
            ("(union #{1} [2])", "!:CAST"),
        ],
        run: union,
    },
    Native {
        code: 7,
        symbol: "intersection",
        kind: Kind::Function,
        arity: Arity::at_least(1),
        params: &["set & sets"],
        doc: "The elements that all sets have; nil counts as the empty set.",
        returns: "Set",
        errors: &[(
            Code::Cast,
            "an argument is something else than a set or nil",
        )],
        juice: "P:50+50*sum(count args 2..n), cumulative",
        examples: &[
            ("(intersection #{:a :b} #{:b})", "#{:b}"),
            ("(intersection #{1 2} nil)", "#{}"),
            ("(intersection [1])", "!:CAST"),
        ],
        run: |ctx, args| narrowed(ctx, args, SetOp::Intersection),
    },
    Native {
        code: 8,
        symbol: "difference",
        kind: Kind::Function,
        arity: Arity::at_least(1),
        params: &["set & sets"],
        doc: "The elements of the first set that no other set has; nil counts as the empty set.",
        returns: "Set",
        errors: &[(
            Code::Cast,
            "an argument is something else than a set or nil",
        )],
        juice: "P:50+50*sum(count args 2..n), cumulative",
        examples: &[
            ("(difference #{1 2} #{2})", "#{1}"),
            ("(difference nil #{1})", "#{}"),
            ("(difference #{1} [1])", "!:CAST"),
        ],
        run: |ctx, args| narrowed(ctx, args, SetOp::Difference),
    },
    Native {
        code: 115,
        symbol: "subset?",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["part whole"],
        doc: "True when every element of the first set is one of the second; nil counts as the empty set.",
        returns: "Boolean",
        errors: &[(
            Code::Cast,
            "an argument is something else than a set or nil",
        )],
        juice: "P:20+10*count(first)",
        examples: &[
            ("(subset? #{1} #{1 2})", "true"),
            ("(subset? #{1 2} #{1})", "false"),
            ("(subset? nil nil)", "true"),
            ("(subset? [1] #{1})", "!:CAST"),
        ],
        run: subset,
    },
    Native {
        code: 118,
        symbol: "disj",
        kind: Kind::Function,
        arity: Arity::at_least(1),
        params: &["set & elements"],
        doc: "The set without some elements. Elements that it does not have are ignored; nil counts as the empty set.",
        returns: "Set",
        errors: &[(
            Code::Cast,
            "the first argument is something else than a set or nil",
        )],
        juice: "P:50+50*(argc-1)",
        examples: &[
            ("(disj #{1 2 3} 1 2)", "#{3}"),
            ("(disj nil 1)", "#{}"),
            ("(disj {1 2} 1)", "!:CAST"),
        ],
        run: disj,
    },
];

/// Argument `i` as a set, taken out; nil is the empty set.
fn take_set(ctx: &Context<'_>, args: &mut [Cell], i: usize) -> Outcome<Set> {
    match take(&mut args[i]) {
        Cell::Set(set) => Ok(set),
        Cell::Nil => Ok(Set::empty()),
        other => {
            args[i] = other;
            Err(ctx.cast(args, i, "Set"))
        }
    }
}

fn set(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let Some(count) = value::count(&args[0])? else {
        return Err(ctx.cast(args, 0, "Sequence"));
    };
    let cost = juice::build(count);
    ctx.precheck(cost)?;
    let set = match take(&mut args[0]) {
        // As it is, whatever the shape that set algebra gave it.
        Cell::Set(set) => set,
        other => {
            let mut elements = Vec::new();
            value::for_each(&other, |x| {
                elements.push(x);
                Outcome::Ok(())
            })?;
            elements.into_iter().collect()
        }
    };
    ctx.done(cost, set)
}

fn union(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let mut all = Set::empty();
    let mut sum = 0u64;
    for i in 0..args.len() {
        let set = take_set(ctx, args, i)?;
        sum = sum.saturating_add(set.count());
        ctx.precheck(juice::build(sum))?;
        all = all.combine(&set, SetOp::Union)?;
    }
    ctx.done(juice::build(sum), all)
}

fn narrowed(ctx: &mut Context<'_>, args: &mut [Cell], op: SetOp) -> Outcome {
    let mut left = take_set(ctx, args, 0)?;
    let mut sum = 0u64;
    for i in 1..args.len() {
        let set = take_set(ctx, args, i)?;
        sum = sum.saturating_add(set.count());
        ctx.precheck(juice::build(sum))?;
        left = left.combine(&set, op)?;
    }
    ctx.done(juice::build(sum), left)
}

fn subset(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let as_set = |ctx: &Context<'_>, cell: &Cell| match cell {
        Cell::Set(set) => Ok(set.clone()),
        Cell::Nil => Ok(Set::empty()),
        other => Err(ctx.cast_value(other, "Set")),
    };
    let part = as_set(ctx, &args[0])?;
    let cost = juice::linear(juice::SIMPLE, juice::SET_COMPARE, part.count());
    ctx.precheck(cost)?;
    let whole = as_set(ctx, &args[1])?;
    let answer = whole.contains_all(&part)?;
    ctx.done(cost, answer)
}

fn disj(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let cost = juice::build(args.len() as u64 - 1);
    ctx.precheck(cost)?;
    let mut set = take_set(ctx, args, 0)?;
    for element in &args[1..] {
        set = set.exclude(element)?;
    }
    ctx.done(cost, set)
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, eval};

    /// Twenty integers whose hashes begin with the same digit, as source text.
    const A: &str = "#{5 18 34 57 62 79 107 115 117 194 195 198 201 254 264 296 305 332 336 361}";

    #[test]
    fn sets_of_anything_that_can_be_counted() {
        check(&[
            ("(set '(1 2))", "#{2,1}"),
            ("(set 0x0000ff)", "#{255,0}"),
            ("(set :foo)", "#{\\f,\\o}"),
            ("(set #5)", "#{5,0}"),
            ("(set)", "!:ARITY"),
            ("(set true)", "!:CAST"),
        ]);
    }

    #[test]
    fn algebra_takes_sets_and_nil_only() {
        check(&[
            ("(union nil)", "#{}"),
            ("(union [1])", "!:CAST"),
            ("(intersection)", "!:ARITY"),
            ("(intersection nil)", "#{}"),
            ("(intersection #{1} [1])", "!:CAST"),
            ("(difference)", "!:ARITY"),
            ("(difference #{1 2} nil)", "#{2,1}"),
            ("(difference #{1 2 3} #{1} #{2})", "#{3}"),
            ("(subset? nil #{1})", "true"),
            ("(subset? #{1} nil)", "false"),
            ("(subset? nil 1)", "!:CAST"),
            ("(subset? #{1})", "!:ARITY"),
            ("(disj nil)", "#{}"),
            ("(disj #{nil} nil)", "#{}"),
            ("(disj #{1} 5)", "#{1}"),
            ("(disj)", "!:ARITY"),
        ]);
    }

    #[test]
    fn shapes_of_the_network_survive() {
        let union = format!("(union {A} #{{4}})");
        for (source, expected) in [
            (format!("(= {union} (conj {A} 4))"), "false"),
            (format!("(= {union} (set {union}))"), "true"),
            (format!("(= (conj {A} 4) (set (vec {union})))"), "true"),
            (format!("(= (conj {A} 4) (into #{{}} {union}))"), "true"),
            (format!("(= {union} (slice {union} 0))"), "true"),
            (format!("(subset? {union} (conj {A} 4))"), "false"),
            (format!("(subset? {A} (conj {A} 4))"), "false"),
        ] {
            assert_eq!(eval(&source), expected, "{source}");
        }
    }

    #[test]
    fn trees_of_different_shift_have_no_outcome() {
        for op in ["union", "intersection", "difference"] {
            let source = format!("(try ({op} {A} (conj {A} 4)) 1)");
            assert!(eval(&source).contains("Fatal"), "{source}");
        }
    }
}
