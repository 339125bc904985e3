//! Core functions that compute with numbers (`spec/03 §2`, `§5.4`). The computing itself is in [`crate::numeric`].

use cells::Cell;

use super::{Arity, Kind, Native};
use crate::context::Context;
use crate::exit::{Code, Exit, Outcome};
use crate::juice;
use crate::numeric::{self, NumericError};
use crate::value;

/// What `+`, `-` and `*` cost: the sizes that the numbers reach, then the operation.
const PRECOST: &str = "F:precost, E:20";
const NOT_A_NUMBER: (Code, &str) = (Code::Cast, "an argument is no number");
const X_NOT_A_NUMBER: (Code, &str) = (Code::Cast, "x is no number");
const NOT_AN_INTEGER: (Code, &str) = (Code::Cast, "an argument is no integer");
const NOT_A_LONG: (Code, &str) = (Code::Cast, "an argument is no integer of 64 bits");
const TOO_BIG: (Code, &str) = (Code::Argument, "the result has more than 4096 bytes");
const BY_ZERO: (Code, &str) = (Code::Argument, "the divisor is zero");

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 132,
        symbol: "inc",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["n"],
        doc: "One more than an integer.",
        returns: "Integer, or nil when it would have more than 4096 bytes",
        errors: &[(Code::Cast, "n is no integer")],
        juice: "E:20",
        examples: &[
            ("(inc 1)", "2"),
            ("(inc 9223372036854775807)", "9223372036854775808"),
            ("(inc 1.0)", "!:CAST"),
            ("(inc nil)", "!:CAST"),
        ],
        run: |ctx, args| of_one(ctx, args, numeric::inc),
    },
    Native {
        code: 133,
        symbol: "dec",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["n"],
        doc: "One less than an integer.",
        returns: "Integer, or nil when it would have more than 4096 bytes",
        errors: &[(Code::Cast, "n is no integer")],
        juice: "E:20",
        examples: &[
            ("(dec 1)", "0"),
            ("(dec -9223372036854775808)", "-9223372036854775809"),
            ("(dec 1.0)", "!:CAST"),
        ],
        run: |ctx, args| of_one(ctx, args, numeric::dec),
    },
    Native {
        code: 160,
        symbol: "+",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& numbers"],
        doc: "The sum of numbers. It is exact among integers of any size; once a double is met, it goes on with doubles.",
        returns: "Number, 0 without arguments",
        errors: &[NOT_A_NUMBER, TOO_BIG],
        juice: PRECOST,
        examples: &[
            ("(+ 1 2 3)", "6"),
            ("(+)", "0"),
            ("(+ 1 2.5)", "3.5"),
            ("(+ 9223372036854775807 1)", "9223372036854775808"),
            ("(+ 1 :a)", "!:CAST"),
        ],
        run: add,
    },
    Native {
        code: 161,
        symbol: "-",
        kind: Kind::Function,
        arity: Arity::at_least(1),
        params: &["x", "x & numbers"],
        doc: "The first number less the others, or the negation of a single one.",
        returns: "Number",
        errors: &[NOT_A_NUMBER, TOO_BIG],
        juice: PRECOST,
        examples: &[
            ("(- 10 1 2)", "7"),
            ("(- 5)", "-5"),
            ("(- 0.0)", "-0.0"),
            ("(- -9223372036854775808)", "9223372036854775808"),
            ("(- \"1\")", "!:CAST"),
            ("(-)", "!:ARITY"),
        ],
        run: subtract,
    },
    Native {
        code: 162,
        symbol: "*",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& numbers"],
        doc: "The product of numbers. It is exact among integers of any size; once a double is met, it goes on with \
              doubles.",
        returns: "Number, 1 without arguments",
        errors: &[NOT_A_NUMBER, TOO_BIG],
        juice: PRECOST,
        examples: &[
            ("(* 2 3 4)", "24"),
            ("(*)", "1"),
            ("(* 2 0.5)", "1.0"),
            ("(* 4294967296 4294967296)", "18446744073709551616"),
            ("(* 2 nil)", "!:CAST"),
        ],
        run: multiply,
    },
    Native {
        code: 163,
        symbol: "/",
        kind: Kind::Function,
        arity: Arity::at_least(1),
        params: &["x", "x & divisors"],
        doc: "The first number divided by the others one by one, or the reciprocal of a single one, all as doubles. \
              Division by zero gives an infinity or NaN.",
        returns: "Double",
        errors: &[NOT_A_NUMBER],
        juice: "E:20",
        examples: &[
            ("(/ 12 2 4)", "1.5"),
            ("(/ 4)", "0.25"),
            ("(/ 1 0)", "##Inf"),
            ("(/ 0 0)", "##NaN"),
            ("(/ :a)", "!:CAST"),
        ],
        run: divide,
    },
    Native {
        code: 164,
        symbol: "floor",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The greatest whole number that is not above x, as a double.",
        returns: "Double",
        errors: &[X_NOT_A_NUMBER],
        juice: "E:20",
        examples: &[
            ("(floor 1.5)", "1.0"),
            ("(floor -1.5)", "-2.0"),
            ("(floor 3)", "3.0"),
            ("(floor :a)", "!:CAST"),
        ],
        run: |ctx, args| of_one(ctx, args, numeric::floor),
    },
    Native {
        code: 165,
        symbol: "ceil",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The least whole number that is not below x, as a double.",
        returns: "Double",
        errors: &[X_NOT_A_NUMBER],
        juice: "E:20",
        examples: &[
            ("(ceil 1.5)", "2.0"),
            ("(ceil -0.5)", "-0.0"),
            ("(ceil 3)", "3.0"),
            ("(ceil :a)", "!:CAST"),
        ],
        run: |ctx, args| of_one(ctx, args, numeric::ceil),
    },
    Native {
        code: 166,
        symbol: "sqrt",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The square root, correctly rounded; NaN of a negative number.",
        returns: "Double",
        errors: &[X_NOT_A_NUMBER],
        juice: "E:20",
        examples: &[
            ("(sqrt 16)", "4.0"),
            ("(sqrt -1)", "##NaN"),
            ("(sqrt -0.0)", "-0.0"),
            ("(sqrt nil)", "!:CAST"),
        ],
        run: |ctx, args| of_one(ctx, args, numeric::sqrt),
    },
    Native {
        code: 167,
        symbol: "abs",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The magnitude of a number.",
        returns: "Number of the same type",
        errors: &[X_NOT_A_NUMBER, TOO_BIG],
        juice: "E:20",
        examples: &[
            ("(abs -5)", "5"),
            ("(abs -0.0)", "0.0"),
            ("(abs -9223372036854775808)", "9223372036854775808"),
            ("(abs :a)", "!:CAST"),
        ],
        run: |ctx, args| of_one(ctx, args, numeric::abs),
    },
    Native {
        code: 168,
        symbol: "signum",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The sign of a number: -1, 0 or 1. A zero that is a double keeps its own sign, and NaN stays NaN.",
        returns: "Long for an integer, Double for a double",
        errors: &[X_NOT_A_NUMBER],
        juice: "E:20",
        examples: &[
            ("(signum -7)", "-1"),
            ("(signum 2.5)", "1.0"),
            ("(signum -0.0)", "-0.0"),
            ("(signum :a)", "!:CAST"),
        ],
        run: |ctx, args| of_one(ctx, args, numeric::signum),
    },
    Native {
        code: 169,
        symbol: "mod",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["dividend divisor"],
        doc: "The remainder of a division of integers that is not negative.",
        returns: "Integer",
        errors: &[NOT_AN_INTEGER, BY_ZERO],
        juice: "E:20",
        examples: &[
            ("(mod 7 3)", "1"),
            ("(mod -7 3)", "2"),
            ("(mod -7 -3)", "2"),
            ("(mod 1 0)", "!:ARGUMENT"),
            ("(mod 1 1.0)", "!:CAST"),
        ],
        run: |ctx, args| of_two(ctx, args, numeric::modulo),
    },
    Native {
        code: 170,
        symbol: "div",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["dividend divisor"],
        doc: "The quotient of integers: of 64 bits rounded down when the divisor is positive, of bigger ones rounded \
              toward zero. An integer of 64 bits divided by a bigger one gives nil.",
        returns: "Integer or nil",
        errors: &[NOT_AN_INTEGER, BY_ZERO],
        juice: "E:20",
        examples: &[
            ("(div 7 3)", "2"),
            ("(div -7 3)", "-3"),
            ("(div -7 -3)", "1"),
            ("(div 1 0)", "!:ARGUMENT"),
            ("(div 1.0 1)", "!:CAST"),
        ],
        run: |ctx, args| of_two(ctx, args, numeric::div),
    },
    Native {
        code: 171,
        symbol: "rem",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["dividend divisor"],
        doc: "The remainder of a division of integers, with the sign of the dividend. An integer of 64 bits divided by \
              a bigger one gives nil.",
        returns: "Integer or nil",
        errors: &[NOT_AN_INTEGER, BY_ZERO],
        juice: "E:20",
        examples: &[
            ("(rem 7 3)", "1"),
            ("(rem -7 3)", "-1"),
            ("(rem 1 99999999999999999999)", "nil"),
            ("(rem 1 0)", "!:ARGUMENT"),
            ("(rem :a 0)", "!:CAST"),
        ],
        run: |ctx, args| of_two(ctx, args, numeric::rem),
    },
    Native {
        code: 172,
        symbol: "quot",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["dividend divisor"],
        doc: "The quotient of integers, rounded toward zero. An integer of 64 bits divided by a bigger one gives nil.",
        returns: "Integer or nil",
        errors: &[NOT_AN_INTEGER, BY_ZERO],
        juice: "E:20",
        examples: &[
            ("(quot 7 3)", "2"),
            ("(quot -7 3)", "-2"),
            ("(quot 1 99999999999999999999)", "nil"),
            ("(quot 1 0)", "!:ARGUMENT"),
            ("(quot 1 nil)", "!:CAST"),
        ],
        run: |ctx, args| of_two(ctx, args, numeric::quot),
    },
    Native {
        code: 173,
        symbol: "pow",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["base exponent"],
        doc: "A number raised to a power, as doubles.",
        returns: "Double",
        errors: &[NOT_A_NUMBER],
        juice: "E:20",
        examples: &[
            ("(pow 2 10)", "1024.0"),
            ("(pow 4 0.5)", "2.0"),
            ("(pow -1 0.5)", "##NaN"),
            ("(pow 1 :a)", "!:CAST"),
        ],
        run: |ctx, args| of_two(ctx, args, numeric::pow),
    },
    Native {
        code: 174,
        symbol: "exp",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "Euler's number raised to a power, as a double.",
        returns: "Double",
        errors: &[X_NOT_A_NUMBER],
        juice: "E:20",
        examples: &[
            ("(exp 0)", "1.0"),
            ("(exp 1)", "2.7182818284590455"),
            ("(exp :a)", "!:CAST"),
        ],
        run: |ctx, args| of_one(ctx, args, numeric::exp),
    },
    Native {
        code: 176,
        symbol: "bit-and",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["a b"],
        doc: "The bits that are set in both of two integers of 64 bits.",
        returns: "Long",
        errors: &[NOT_A_LONG],
        juice: "E:20",
        examples: &[
            ("(bit-and 12 10)", "8"),
            ("(bit-and -1 7)", "7"),
            ("(bit-and 1 1.0)", "!:CAST"),
        ],
        run: |ctx, args| of_two(ctx, args, numeric::bit_and),
    },
    Native {
        code: 177,
        symbol: "bit-xor",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["a b"],
        doc: "The bits that are set in exactly one of two integers of 64 bits.",
        returns: "Long",
        errors: &[NOT_A_LONG],
        juice: "E:20",
        examples: &[
            ("(bit-xor 12 10)", "6"),
            ("(bit-xor -1 0)", "-1"),
            ("(bit-xor nil 1)", "!:CAST"),
        ],
        run: |ctx, args| of_two(ctx, args, numeric::bit_xor),
    },
    Native {
        code: 178,
        symbol: "bit-or",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["a b"],
        doc: "The bits that are set in one or both of two integers of 64 bits.",
        returns: "Long",
        errors: &[NOT_A_LONG],
        juice: "E:20",
        examples: &[
            ("(bit-or 12 10)", "14"),
            ("(bit-or 99999999999999999999 1)", "!:CAST"),
        ],
        run: |ctx, args| of_two(ctx, args, numeric::bit_or),
    },
    Native {
        code: 179,
        symbol: "bit-not",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["a"],
        doc: "The bits that are not set in an integer of 64 bits.",
        returns: "Long",
        errors: &[(Code::Cast, "a is no integer of 64 bits")],
        juice: "E:20",
        examples: &[
            ("(bit-not 0)", "-1"),
            ("(bit-not 7)", "-8"),
            ("(bit-not 1.0)", "!:CAST"),
        ],
        run: |ctx, args| of_one(ctx, args, numeric::bit_not),
    },
];

impl Context<'_> {
    /// The result of an operation on numbers, its failure as the error that programs see.
    pub(super) fn numeric<T>(&self, args: &[Cell], result: Result<T, NumericError>) -> Outcome<T> {
        result.map_err(|error| {
            let code = match error {
                NumericError::Cast { .. } => Code::Cast,
                NumericError::Argument(_) => Code::Argument,
                NumericError::HostFault(_) => return Exit::host_fault(error.to_string()),
                NumericError::Cell(error) => return Exit::from(error),
            };
            let culprit = match &error {
                NumericError::Cast { argument, .. } => {
                    args.get(*argument).map_or("Nil", value::type_name)
                }
                _ => "",
            };
            self.error(code, error.message(culprit).as_str())
        })
    }
}

fn of_one(
    ctx: &mut Context<'_>,
    args: &[Cell],
    function: fn(&Cell) -> Result<Cell, NumericError>,
) -> Outcome {
    let value = ctx.numeric(args, function(&args[0]))?;
    ctx.done(juice::SIMPLE, value)
}

fn of_two(
    ctx: &mut Context<'_>,
    args: &[Cell],
    function: fn(&Cell, &Cell) -> Result<Cell, NumericError>,
) -> Outcome {
    let value = ctx.numeric(args, function(&args[0], &args[1]))?;
    ctx.done(juice::SIMPLE, value)
}

/// The operations that charge for the sizes of their arguments before they start.
fn sized(
    ctx: &mut Context<'_>,
    args: &[Cell],
    function: fn(&[Cell]) -> Result<Cell, NumericError>,
) -> Outcome {
    let cost = ctx.numeric(args, numeric::precost(args))?;
    ctx.charge(cost)?;
    let value = ctx.numeric(args, function(args))?;
    ctx.done(juice::SIMPLE, value)
}

fn add(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    sized(ctx, args, numeric::add)
}

fn subtract(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    sized(ctx, args, numeric::subtract)
}

fn multiply(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    sized(ctx, args, numeric::multiply)
}

fn divide(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let value = ctx.numeric(args, numeric::divide(args))?;
    ctx.done(juice::SIMPLE, value)
}

#[cfg(test)]
mod tests {
    use crate::juice;
    use crate::rules::Rules;
    use crate::testing::{check, run_under};

    #[test]
    fn wrong_arguments_give_the_first_error_in_order() {
        check(&[
            ("(inc)", "!:ARITY"),
            ("(inc 1 2)", "!:ARITY"),
            ("(dec nil)", "!:CAST"),
            ("(+ 1 nil)", "!:CAST"),
            ("(- :a)", "!:CAST"),
            ("(* \"a\")", "!:CAST"),
            ("(/)", "!:ARITY"),
            ("(/ 1 \\a)", "!:CAST"),
            ("(mod 1)", "!:ARITY"),
            ("(mod :a 0)", "!:CAST"),
            ("(div 1.5 0)", "!:CAST"),
            ("(quot 1 0.0)", "!:CAST"),
            ("(rem 1 0)", "!:ARGUMENT"),
            ("(pow 2)", "!:ARITY"),
            ("(pow :a :b)", "!:CAST"),
            ("(bit-and 1)", "!:ARITY"),
            ("(bit-or 1 2 3)", "!:ARITY"),
            ("(bit-not 18446744073709551616)", "!:CAST"),
            ("(bit-xor 1 true)", "!:CAST"),
            ("(floor nil)", "!:CAST"),
            ("(signum #12)", "!:CAST"),
        ]);
    }

    #[test]
    fn integers_beyond_4096_bytes_are_refused_or_nil_or_a_host_fault() {
        // 2^16383, its square, and that twice less one: the greatest integer.
        let greatest = "(let [r (loop [i 0 x 2] (cond (< i 13) (recur (inc i) (* x x 2)) x)) h (* r r) \
                        g (+ h (- h 1))] ";
        let program = |body: &str| format!("{greatest}{body})");
        check(&[
            (&program("(inc g)"), "nil"),
            (&program("(dec (- -1 g))"), "nil"),
            (&program("(+ g 1)"), "!:ARGUMENT"),
            (&program("(* g 2)"), "!:ARGUMENT"),
            (&program("(- (- -1 g))"), "!:ARGUMENT"),
            (&program("(abs (- -1 g))"), "!:ARGUMENT"),
            (&program("(- -1 g 1)"), "!:ARGUMENT"),
        ]);
        assert!(crate::testing::eval(&program("(- -2 g 1)")).contains("HostFault"));
    }

    #[test]
    fn a_small_product_of_a_bigger_integer_divides_as_the_bigger_one_that_it_was() {
        let least = "(* 9223372036854775808 -1)";
        let zero = "(* 9223372036854775808 0)";
        check(&[
            (least, "-9223372036854775808"),
            (&format!("(= {least} -9223372036854775808)"), "true"),
            (&format!("(long? {least})"), "true"),
            (&format!("(div 2 {least})"), "nil"),
            (&format!("(rem 2 {least})"), "nil"),
            (&format!("(div {least} -1)"), "9223372036854775808"),
            (&format!("(quot {zero} 9223372036854775808)"), "0"),
            (&format!("(quot 1 {zero})"), "!:ARGUMENT"),
            (&format!("(split \"a\" {zero})"), "!:CAST"),
        ]);
    }

    #[test]
    fn sums_cost_the_largest_size_so_far_for_each_argument() {
        let cost = |source: &str| {
            run_under(Rules::latest(), source)
                .map(|run| run.juice)
                .unwrap()
        };
        // A constant more costs its expansion, compilation and execution.
        let constant = juice::EXPAND_CONSTANT + juice::COMPILE_CONSTANT + juice::CONSTANT;
        let none = cost("(+)");
        assert_eq!(cost("(+ 1)") - none, constant + 8);
        assert_eq!(cost("(+ 1 2.0)") - none, 2 * (constant + 8));
        // Nine bytes, and from there on.
        assert_eq!(
            cost("(* 1 9223372036854775808 1)") - none,
            3 * constant + 8 + 9 + 9
        );
    }
}
