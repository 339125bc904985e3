//! Core functions, as data: one record says what a function is called, takes, costs, does and means.
//!
//! Execution, the documentation in the genesis state, tools and tests all read this table.

mod accounts;
mod actors;
mod args;
mod arithmetic;
mod bounded_text;
mod build;
mod casts;
mod compare;
mod control;
mod digest;
mod eval;
pub(crate) mod leaf_views;
mod peers;
mod predicates;
mod read;
mod sets;
mod text;
mod update;
mod views;

pub(crate) use text::printable;

use std::sync::OnceLock;

use cells::Cell;

use crate::context::Context;
use crate::exit::{Code, Outcome};

/// How a core function is run. Its number of arguments has been checked.
pub type Run = fn(&mut Context<'_>, &mut [Cell]) -> Outcome;

/// A core function.
#[derive(Debug)]
pub struct Native {
    /// Number in its encoding, `ed` + VLQ.
    pub code: u16,
    /// Name.
    pub symbol: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// How many arguments it takes.
    pub arity: Arity,
    /// Parameter names, one entry for each form that a call may have.
    pub params: &'static [&'static str],
    /// What it does.
    pub doc: &'static str,
    /// What it returns.
    pub returns: &'static str,
    /// Error codes beside `ARITY`, and what raises them.
    pub errors: &'static [(Code, &'static str)],
    /// What it costs, in the notation of `spec/03 §1.3`.
    pub juice: &'static str,
    /// Source texts with the printed value, or `!:CODE` for an error. All are executed by a test.
    pub examples: &'static [(&'static str, &'static str)],
    /// The implementation.
    pub run: Run,
}

/// What a core function is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An ordinary function.
    Function,
    /// A function of one argument that answers true or false.
    Predicate,
    /// A function from a form and a continuation to a form.
    Expander,
}

/// How many arguments a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// This many.
    Exactly(usize),
    /// From the first to the second.
    Between(usize, usize),
    /// This many or more.
    AtLeast(usize),
    /// An even number.
    Even,
    /// An odd number.
    Odd,
    /// Any number.
    Any,
}

impl Arity {
    /// This many.
    #[must_use]
    pub const fn exactly(n: usize) -> Self {
        Self::Exactly(n)
    }

    /// This many or more.
    #[must_use]
    pub const fn at_least(n: usize) -> Self {
        Self::AtLeast(n)
    }

    /// From `low` to `high`.
    #[must_use]
    pub const fn between(low: usize, high: usize) -> Self {
        Self::Between(low, high)
    }

    /// True when `n` arguments are acceptable.
    #[must_use]
    pub const fn accepts(self, n: usize) -> bool {
        match self {
            Self::Exactly(m) => n == m,
            Self::Between(low, high) => low <= n && n <= high,
            Self::AtLeast(low) => low <= n,
            Self::Even => n.is_multiple_of(2),
            Self::Odd => !n.is_multiple_of(2),
            Self::Any => true,
        }
    }
}

/// The functions of one release, by code.
#[derive(Debug)]
pub struct Table {
    by_code: Vec<Option<&'static Native>>,
}

impl Table {
    fn new(groups: &[&'static [Native]]) -> Self {
        let mut by_code = Vec::new();
        for native in groups.iter().copied().flatten() {
            let at = usize::from(native.code);
            if by_code.len() <= at {
                by_code.resize(at + 1, None);
            }
            by_code[at] = Some(native);
        }
        Self { by_code }
    }

    /// The function with this code.
    #[inline]
    #[must_use]
    pub fn get(&self, code: u16) -> Option<&'static Native> {
        self.by_code.get(usize::from(code)).copied().flatten()
    }

    /// All functions by ascending code.
    pub fn iter(&self) -> impl Iterator<Item = &'static Native> {
        self.by_code.iter().copied().flatten()
    }
}

/// Every group of functions.
const GROUPS: &[&[Native]] = &[
    accounts::NATIVES,
    actors::NATIVES,
    arithmetic::NATIVES,
    build::NATIVES,
    casts::NATIVES,
    compare::NATIVES,
    control::NATIVES,
    digest::NATIVES,
    eval::NATIVES,
    peers::NATIVES,
    predicates::NATIVES,
    read::NATIVES,
    sets::NATIVES,
    text::NATIVES,
    update::NATIVES,
];

/// The functions of release 0.8.5.
pub(crate) fn table_0_8_5() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::new(GROUPS))
}

#[cfg(test)]
mod tests {
    use crate::exit::Code;
    use crate::rules::Rules;
    use crate::testing::eval;

    #[test]
    fn every_example_in_the_table_gives_what_it_says() {
        let mut wrong = Vec::new();
        for native in Rules::latest().natives() {
            let name = native.symbol;
            assert!(!native.examples.is_empty(), "{name} has no example");
            for (source, expected) in native.examples {
                let seen = eval(source);
                if seen != *expected {
                    wrong.push(format!("{name}: {source} gives {seen}, not {expected}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn every_error_that_a_function_is_said_to_raise_is_raised_by_an_example() {
        // What takes integers of more than 4,096 bytes, a macro of the library, or a network whose time has not begun has
        // a test of its own.
        let elsewhere = [
            ("*", Code::Argument),
            ("+", Code::Argument),
            ("-", Code::Argument),
            ("abs", Code::Argument),
            ("compile", Code::Expand),
            ("schedule*", Code::State),
        ];
        let mut missing = Vec::new();
        for native in Rules::latest().natives() {
            for (code, _) in native.errors {
                let raised = format!("!:{}", code.name());
                if !native.examples.iter().any(|(_, value)| *value == raised) {
                    missing.push((native.symbol, *code));
                }
            }
        }
        missing.sort_unstable();
        assert_eq!(missing, elsewhere);
    }

    #[test]
    fn every_function_is_documented() {
        for native in Rules::latest().natives() {
            for text in [native.doc, native.returns, native.juice] {
                assert!(!text.is_empty(), "{}", native.symbol);
            }
            assert!(!native.params.is_empty(), "{}", native.symbol);
            for (code, when) in native.errors {
                assert!(!when.is_empty(), "{} {code:?}", native.symbol);
            }
        }
    }

    #[test]
    fn a_wrong_number_of_arguments_is_an_arity_error_that_costs_nothing() {
        for native in Rules::latest().natives() {
            for n in 0..8 {
                if native.arity.accepts(n) {
                    continue;
                }
                let call = format!("(apply {} [{}])", native.symbol, "1 ".repeat(n));
                assert_eq!(eval(&format!("(try {call} *result*)")), ":ARITY", "{call}");
                // What is spent is that of the two branches, of `apply` and of its arguments alone.
                let shown = eval(&format!(
                    "(let [start *juice*] (try {call} (- *juice* start)))"
                ));
                let vector = if n == 0 { 5 } else { 55 + 55 * n };
                let expected = 10 + 50 + 10 + vector + 50 + 50 * n + 50 + 5;
                assert_eq!(shown, expected.to_string(), "{call}");
            }
        }
    }
}
