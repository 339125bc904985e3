//! Core functions that compare, and the two of logic (`spec/03 §5.3`).

use cells::Cell;

use super::{Arity, Kind, Native};
use crate::context::Context;
use crate::exit::{Code, Outcome};
use crate::juice;
use crate::numeric::{self, Relation};

const LOOKED_AT: (Code, &str) = (
    Code::Cast,
    "an argument is no number, and no earlier pair has decided",
);
const NOT_A_NUMBER: (Code, &str) = (Code::Cast, "an argument is no number");

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 123,
        symbol: "=",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& values"],
        doc: "True when all values are the same. Values of different types never are: 1 is not 1.0. Numbers are compared \
              by what they count with `==`.",
        returns: "Boolean",
        errors: &[],
        juice: "E:20",
        examples: &[
            ("(= 1 1)", "true"),
            ("(= 1 1.0)", "false"),
            ("(= [1 2] '(1 2))", "false"),
            ("(= :a :a :b)", "false"),
            ("(= ##NaN ##NaN)", "true"),
            ("(=)", "true"),
        ],
        run: equal,
    },
    Native {
        code: 124,
        symbol: "==",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& numbers"],
        doc: "True when all numbers count the same, whatever their types.",
        returns: "Boolean",
        errors: &[LOOKED_AT],
        juice: "E:10",
        examples: &[
            ("(== 1 1.0)", "true"),
            ("(== 1 2 :a)", "false"),
            ("(== 1 1 :a)", "!:CAST"),
            ("(== ##NaN ##NaN)", "false"),
            ("(==)", "true"),
        ],
        run: |ctx, args| relation(ctx, args, Relation::Equal),
    },
    Native {
        code: 125,
        symbol: "!=",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& numbers"],
        doc: "The opposite of `==`: true when not all numbers count the same.",
        returns: "Boolean",
        errors: &[LOOKED_AT],
        juice: "E:10",
        examples: &[
            ("(!= 1 2)", "true"),
            ("(!= 1 1.0)", "false"),
            ("(!= 1)", "false"),
            ("(!= :a)", "!:CAST"),
        ],
        run: not_equal,
    },
    Native {
        code: 126,
        symbol: ">=",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& numbers"],
        doc: "True when each number is at least the next.",
        returns: "Boolean",
        errors: &[LOOKED_AT],
        juice: "E:10",
        examples: &[
            ("(>= 3 2 2)", "true"),
            ("(>= 1 2 :a)", "false"),
            ("(>= 2 1 :a)", "!:CAST"),
        ],
        run: |ctx, args| relation(ctx, args, Relation::GreaterOrEqual),
    },
    Native {
        code: 127,
        symbol: ">",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& numbers"],
        doc: "True when each number is greater than the next.",
        returns: "Boolean",
        errors: &[LOOKED_AT],
        juice: "E:10",
        examples: &[
            ("(> 3 2 1)", "true"),
            ("(> 3 2 2)", "false"),
            ("(> nil)", "!:CAST"),
        ],
        run: |ctx, args| relation(ctx, args, Relation::Greater),
    },
    Native {
        code: 128,
        symbol: "<=",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& numbers"],
        doc: "True when each number is at most the next.",
        returns: "Boolean",
        errors: &[LOOKED_AT],
        juice: "E:10",
        examples: &[
            ("(<= 1 1 2.5)", "true"),
            ("(<= 1 0)", "false"),
            ("(<= 1 \"2\")", "!:CAST"),
        ],
        run: |ctx, args| relation(ctx, args, Relation::LessOrEqual),
    },
    Native {
        code: 129,
        symbol: "<",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& numbers"],
        doc: "True when each number is less than the next.",
        returns: "Boolean",
        errors: &[LOOKED_AT],
        juice: "E:10",
        examples: &[
            ("(< 1 2 3)", "true"),
            ("(< 1 1)", "false"),
            ("(< 1 2 :a)", "!:CAST"),
        ],
        run: |ctx, args| relation(ctx, args, Relation::Less),
    },
    Native {
        code: 130,
        symbol: "min",
        kind: Kind::Function,
        arity: Arity::at_least(1),
        params: &["x & numbers"],
        doc: "The least number, the earliest of equal ones; NaN when there is one among several.",
        returns: "Number",
        errors: &[NOT_A_NUMBER],
        juice: "E:10",
        examples: &[
            ("(min 3 1 2)", "1"),
            ("(min 0.0 -0.0)", "0.0"),
            ("(min 1 ##NaN)", "##NaN"),
            ("(min 1 :a)", "!:CAST"),
            ("(min)", "!:ARITY"),
        ],
        run: min,
    },
    Native {
        code: 131,
        symbol: "max",
        kind: Kind::Function,
        arity: Arity::at_least(1),
        params: &["x & numbers"],
        doc: "The greatest number, the earliest of equal ones; NaN when there is one among several.",
        returns: "Number",
        errors: &[NOT_A_NUMBER],
        juice: "E:10",
        examples: &[
            ("(max 3 1 2)", "3"),
            ("(max 2 2.0)", "2"),
            ("(max ##NaN 1)", "##NaN"),
            ("(max :a)", "!:CAST"),
            ("(max)", "!:ARITY"),
        ],
        run: max,
    },
    Native {
        code: 134,
        symbol: "boolean",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "False for nil and false, true for anything else.",
        returns: "Boolean",
        errors: &[],
        juice: "E:20",
        examples: &[
            ("(boolean 0)", "true"),
            ("(boolean nil)", "false"),
            ("(boolean)", "!:ARITY"),
        ],
        run: |ctx, args| ctx.done(juice::SIMPLE, args[0].is_truthy()),
    },
    Native {
        code: 135,
        symbol: "boolean?",
        kind: Kind::Predicate,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "True for true and false.",
        returns: "Boolean",
        errors: &[],
        juice: "E:20",
        examples: &[
            ("(boolean? false)", "true"),
            ("(boolean? nil)", "false"),
            ("(boolean? 1 2)", "!:ARITY"),
        ],
        run: |ctx, args| ctx.done(juice::SIMPLE, matches!(args[0], Cell::Bool(_))),
    },
    Native {
        code: 175,
        symbol: "not",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "True for nil and false, false for anything else.",
        returns: "Boolean",
        errors: &[],
        juice: "E:20",
        examples: &[
            ("(not nil)", "true"),
            ("(not 0)", "false"),
            ("(not)", "!:ARITY"),
        ],
        run: |ctx, args| ctx.done(juice::SIMPLE, !args[0].is_truthy()),
    },
];

fn equal(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let all = args.windows(2).all(|pair| pair[0] == pair[1]);
    ctx.done(juice::EQUALS, all)
}

fn relation(ctx: &mut Context<'_>, args: &[Cell], relation: Relation) -> Outcome {
    let holds = ctx.numeric(args, numeric::compare_all(args, relation))?;
    ctx.done(juice::COMPARE, holds)
}

fn not_equal(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let differ = ctx.numeric(args, numeric::not_equal(args))?;
    ctx.done(juice::COMPARE, differ)
}

fn min(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let least = ctx.numeric(args, numeric::min(args))?;
    ctx.done(juice::COMPARE, least)
}

fn max(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let greatest = ctx.numeric(args, numeric::max(args))?;
    ctx.done(juice::COMPARE, greatest)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn comparison_ends_with_the_first_pair_that_decides() {
        check(&[
            ("(== 1 2 :a)", "false"),
            ("(== 1 1 :a)", "!:CAST"),
            ("(!= 1 2 :a)", "true"),
            ("(!= 1 1 :a)", "!:CAST"),
            ("(< 2 1 nil)", "false"),
            ("(< 1 2 nil)", "!:CAST"),
            ("(>= :a 1)", "!:CAST"),
            ("(<= :a)", "!:CAST"),
            ("(<)", "true"),
            ("(!=)", "false"),
            ("(min 2 1 :a)", "!:CAST"),
            ("(max nil 1)", "!:CAST"),
        ]);
    }

    #[test]
    fn integers_compare_exactly_and_mixed_numbers_as_doubles() {
        check(&[
            ("(== 9007199254740993 9007199254740992)", "false"),
            ("(== 9007199254740993 9007199254740992.0)", "true"),
            ("(< 9223372036854775807 9223372036854775808)", "true"),
            ("(== 0.0 -0.0)", "true"),
            ("(= 0.0 -0.0)", "false"),
            ("(max 1 1.0)", "1"),
            ("(min 1.0 1)", "1.0"),
            ("(min 1 ##NaN 0)", "##NaN"),
        ]);
    }

    #[test]
    fn equality_is_of_type_and_content() {
        check(&[
            ("(= :a \"a\")", "false"),
            ("(= (hash-map) (index))", "false"),
            ("(= (first (hash-map 1 2)) [1 2])", "true"),
            ("(= 1 1 2)", "false"),
            ("(= :a)", "true"),
        ]);
    }
}
