//! Rule sets: everything about execution that a network upgrade may change, as a value.
//!
//! A block is applied under one [`Rules`] value, chosen by the transition from the block's position and time. A
//! later upgrade is one more constant here (and, where behaviour itself differs, one more switch), never an edit
//! of an existing one: old blocks must replay for ever.

use crate::natives::{self, Native};

/// The rules in force for a block.
#[derive(Debug)]
pub struct Rules {
    /// Release of the reference whose behaviour these are.
    pub version: &'static str,
    /// Deepest execution (`spec/02 §9.2`).
    pub max_depth: u32,
    /// Accounts that an environment look-up visits at most (`spec/02 §9.4`).
    pub max_lookup: u32,
    /// Juice that `apply` charges for each element of its last argument (`spec/02 §16`).
    pub apply_element: u64,
    /// Core functions by code.
    table: fn() -> &'static natives::Table,
}

impl Rules {
    /// Release 0.8.5.
    pub const V0_8_5: Self = Self {
        version: "0.8.5",
        max_depth: 256,
        max_lookup: 16,
        apply_element: 50,
        table: natives::table_0_8_5,
    };

    /// These rules as of another release, with another charge of `apply` for each element.
    #[must_use]
    pub const fn revised(self, version: &'static str, apply_element: u64) -> Self {
        Self {
            version,
            apply_element,
            ..self
        }
    }

    /// The newest rules.
    #[must_use]
    pub fn latest() -> &'static Self {
        &Self::V0_8_5
    }

    /// The table of core functions.
    pub(crate) fn table(&self) -> &'static natives::Table {
        (self.table)()
    }

    /// The core function with this code.
    #[must_use]
    pub fn native(&self, code: u16) -> Option<&'static Native> {
        (self.table)().get(code)
    }

    /// Every core function, by ascending code.
    pub fn natives(&self) -> impl Iterator<Item = &'static Native> {
        (self.table)().iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_upgrade_is_one_more_value() {
        // What a release that makes `apply` free of the charge for each element would add.
        const LATER: Rules = Rules {
            version: "later",
            apply_element: 0,
            ..Rules::V0_8_5
        };
        let code = "(#%apply #%+ [1 2 3])";
        let now = crate::testing::run_under(&Rules::V0_8_5, code).unwrap();
        let later = crate::testing::run_under(&LATER, code).unwrap();
        assert_eq!(now.value, later.value);
        assert_eq!(now.juice - later.juice, 150);
    }

    #[test]
    fn the_table_holds_every_core_function_of_the_release() {
        let codes: Vec<_> = Rules::latest().natives().map(|n| n.code).collect();
        let expected: Vec<_> = cells::CORE_NAMES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, expected);
        for native in Rules::latest().natives() {
            assert_eq!(cells::core_name(native.code), Some(native.symbol));
        }
    }
}
