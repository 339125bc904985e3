//! Documented differences between the release that runs as the oracle and the one that this tree follows.
//!
//! An oracle of that same release is excused nothing but what the reference itself leaves open ([`UNDEFINED`],
//! [`READ_FORM`]). A 0.8.0 oracle is met half-way: the machine runs under rules without the
//! charge of `apply` for each element (`spec/02 §16`), which leaves the lines of [`TABLE`].

use cvm::Rules;

use crate::compare::{Aspect, Findings};
use crate::form::Form;

/// One documented difference.
#[derive(Debug)]
pub struct Known {
    /// Its name in reports.
    pub name: &'static str,
    /// Where it is documented.
    pub source: &'static str,
}

/// `apply` and `mapcat` refuse sets and maps.
pub const APPLY: usize = 0;
/// `mod` of a Long by a negative big integer faults.
pub const MOD: usize = 1;
/// Peers have other metadata after a change of stake or data.
pub const PEER_METADATA: usize = 2;
/// Hostile messages are taken less strictly.
pub const DECODING: usize = 3;
/// The reference gives another outcome each time it is started (all releases).
pub const UNDEFINED: usize = 4;

/// What 0.8.0 does differently beside the juice of `apply`, and what no release defines.
pub const TABLE: &[Known] = &[
    Known {
        name: "apply and mapcat refuse sets and maps",
        source: "spec/03 §10",
    },
    Known {
        name: "mod of a Long by a negative big integer is a host fault",
        source: "spec/03 §10",
    },
    Known {
        name: "metadata of peers after changes of stake or data",
        source: "spec/03 §10, spec/04 §14",
    },
    Known {
        name: "messages with missing cells or overlong counts are accepted",
        source: "spec/01 §20",
    },
    Known {
        name: "the reference disagrees with itself from one process to the next",
        source: "it expands the entries of a map in an order drawn at its start: what was charged before a failure, and the \
                 order of what macros do, are left open",
    },
    Known {
        name: "memory of a form that was read from text; the same from bytes agrees",
        source: "long blobs of the reader are not made of chunks yet; transactions come from bytes",
    },
];

/// A form counts less memory in the reference when it comes from text than when it comes from bytes (all releases).
pub const READ_FORM: usize = 5;

/// The rules of 0.8.0, as far as they are a matter of [`Rules`].
pub const RULES_0_8_0: Rules = Rules::V0_8_5.revised("0.8.0", 0);

/// The rules to compare a release with, and whether differences are excused at all.
#[must_use]
pub fn rules_for(version: &str) -> Option<(&'static Rules, bool)> {
    match version {
        "0.8.0" => Some((&RULES_0_8_0, true)),
        same if same == Rules::latest().version => Some((Rules::latest(), false)),
        _ => None,
    }
}

/// A line of the table that explains all that differs in one execution, if there is one. `text` is the code.
///
/// The others are found by [`REWRITES`].
#[must_use]
pub fn explains(findings: &Findings, text: &str) -> Option<usize> {
    let aspects = findings.aspects();
    if aspects.iter().all(|a| *a == Aspect::Decode) {
        return Some(DECODING);
    }
    let faulted = findings
        .differences
        .iter()
        .any(|d| d.aspect == Aspect::Ending && d.theirs.starts_with("host fault"));
    if faulted && text.contains("mod") {
        return Some(MOD);
    }
    let peers = STAKE.iter().any(|name| text.contains(name));
    if peers
        && aspects
            .iter()
            .all(|a| matches!(a, Aspect::State | Aspect::Memory))
    {
        return Some(PEER_METADATA);
    }
    None
}

/// A change to a program that takes a documented difference out of it: where the two machines agree on the changed
/// program, that difference was all that kept them apart.
#[derive(Debug)]
pub struct Rewrite {
    /// The line of the table.
    pub line: usize,
    /// The change.
    pub change: fn(&Form) -> Form,
}

/// What is tried, in this order.
pub const REWRITES: &[Rewrite] = &[
    Rewrite {
        line: APPLY,
        change: sequenced,
    },
    Rewrite {
        line: PEER_METADATA,
        change: unstaked,
    },
    Rewrite {
        line: PEER_METADATA,
        change: |form| unstaked(&sequenced(form)),
    },
    Rewrite {
        line: MOD,
        change: by_positive,
    },
    Rewrite {
        line: MOD,
        change: |form| by_positive(&unstaked(&sequenced(form))),
    },
];

/// Functions after which peers have other metadata.
const STAKE: &[&str] = &["set-stake", "set-peer-stake", "set-peer-data", "evict-peer"];

/// True when the reference says of code with `apply` or `mapcat` that something is no sequence, for what can't be
/// rewritten: ops, and functions that are values.
#[must_use]
pub fn refuses_a_sequence(findings: &Findings, text: &str) -> bool {
    let refused = |d: &crate::compare::Difference| d.theirs.contains("to type Sequence");
    (text.contains("apply") || text.contains("mapcat")) && findings.differences.iter().any(refused)
}

/// The program with the collections that every `apply` and `mapcat` takes made vectors first.
fn sequenced(form: &Form) -> Form {
    form.rewritten(&|items| {
        let Some(Form::Atom(name)) = items.first() else {
            return None;
        };
        let first = match name.trim_start_matches("#8/") {
            "apply" => (items.len() - 1).max(2),
            "mapcat" => 2,
            _ => return None,
        };
        let vectors = |(i, item): (usize, &Form)| match i >= first {
            true => Form::call("vec", [item.clone()]),
            false => item.clone(),
        };
        Some(Form::list(items.iter().enumerate().map(vectors).collect()))
    })
}

/// The program with the size of each divisor of a `mod` in place of the divisor.
fn by_positive(form: &Form) -> Form {
    form.rewritten(&|items| match items {
        [Form::Atom(name), dividend, divisor] if name.trim_start_matches("#8/") == "mod" => {
            let size = Form::call("abs", [divisor.clone()]);
            Some(Form::call("mod", [dividend.clone(), size]))
        }
        _ => None,
    })
}

/// The program without what changes a peer's stake or data.
fn unstaked(form: &Form) -> Form {
    form.rewritten(&|items| {
        let stakes =
            matches!(items.first(), Some(Form::Atom(name)) if STAKE.contains(&name.as_str()));
        stakes.then(|| Form::atom("nil"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apply_and_mapcat_take_is_made_a_vector() {
        let sum = Form::call("apply", [Form::atom("+"), Form::atom("1"), Form::atom("x")]);
        let program = Form::call("do", [sum, Form::call("inc", [Form::atom("apply")])]);
        assert_eq!(
            sequenced(&program).to_string(),
            "(do (apply + 1 (vec x)) (inc apply))"
        );
        let items = ["f", "x", "y"].map(Form::atom);
        let mapped = sequenced(&Form::call("mapcat", items));
        assert_eq!(mapped.to_string(), "(mapcat f (vec x) (vec y))");
        let plain = Form::call("inc", [Form::atom("2")]);
        assert_eq!(sequenced(&plain), plain);
    }

    #[test]
    fn divisors_of_mod_are_made_positive() {
        let program = Form::call("inc", [Form::call("mod", ["x", "y"].map(Form::atom))]);
        assert_eq!(by_positive(&program).to_string(), "(inc (mod x (abs y)))");
        let other = Form::call("mod", [Form::atom("x")]);
        assert_eq!(by_positive(&other), other);
    }

    #[test]
    fn changes_of_stake_are_taken_out_of_a_program() {
        let stake = Form::call("set-stake", [Form::atom("k"), Form::atom("1")]);
        let asked = Form::call("get-stake", [Form::atom("k")]);
        let program = Form::call("do", [stake, asked]);
        assert_eq!(unstaked(&program).to_string(), "(do nil (get-stake k))");
    }

    #[test]
    fn the_release_that_this_tree_follows_is_excused_nothing() {
        assert!(matches!(
            rules_for(Rules::latest().version),
            Some((_, false))
        ));
        assert!(matches!(rules_for("0.8.0"), Some((rules, true)) if rules.apply_element == 0));
        assert!(rules_for("9").is_none());
    }
}
