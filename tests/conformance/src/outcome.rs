//! What came of a case, and how a difference is shown.

use serde_json::Value;

/// Result of one case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything that the case pins down is as expected.
    Pass,
    /// Everything that can be checked is as expected; the text says what the file does not let us check.
    PassAsFarAsGiven(&'static str),
    /// These differ.
    Fail(Vec<Mismatch>),
    /// Not run, for this reason.
    Skip(&'static str),
}

/// One thing that is not as expected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The field, or what was done.
    pub(crate) field: String,
    /// What the case says.
    pub(crate) expected: String,
    /// What this tree gives.
    pub(crate) got: String,
}

impl Mismatch {
    /// A difference.
    pub(crate) fn new(
        field: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            expected: expected.into(),
            got: got.into(),
        }
    }

    /// A field of the case itself that is absent or of the wrong type.
    pub(crate) fn malformed(field: &'static str, expected: &str, got: Option<&Value>) -> Self {
        let got = got.map_or_else(|| "no such field".to_owned(), Value::to_string);
        Self::new(field, format!("{expected} in the file"), got)
    }
}

/// Collects the differences of one case.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<Mismatch>);

impl Checks {
    /// Compares two values by their text.
    pub(crate) fn equal<T: ToString + PartialEq>(&mut self, field: &str, expected: T, got: T) {
        if expected != got {
            self.0
                .push(Mismatch::new(field, expected.to_string(), got.to_string()));
        }
    }

    /// Compares bytes, shown in hex.
    pub(crate) fn bytes(&mut self, field: &str, expected: &[u8], got: &[u8]) {
        if expected != got {
            self.0.push(Mismatch::new(
                field,
                hex::encode(expected),
                hex::encode(got),
            ));
        }
    }

    /// Records a difference.
    pub(crate) fn fail(&mut self, mismatch: Mismatch) {
        self.0.push(mismatch);
    }

    /// Passed if nothing differs.
    pub(crate) fn outcome(self) -> Outcome {
        if self.0.is_empty() {
            Outcome::Pass
        } else {
            Outcome::Fail(self.0)
        }
    }
}

/// Characters of a value that are shown.
const SHOWN: usize = 320;

/// Both values cut to the same window, so that long ones show where they part.
pub(crate) fn windows(expected: &str, got: &str) -> (String, String) {
    let common = expected
        .chars()
        .zip(got.chars())
        .take_while(|(a, b)| a == b)
        .count();
    let longest = expected.chars().count().max(got.chars().count());
    let start = if longest <= SHOWN {
        0
    } else {
        common.saturating_sub(SHOWN / 4)
    };
    (window(expected, start), window(got, start))
}

fn window(text: &str, start: usize) -> String {
    let total = text.chars().count();
    // Control characters would let a value of a file write over the report.
    let shown: String = text
        .chars()
        .skip(start)
        .take(SHOWN)
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect();
    if start == 0 && total <= SHOWN {
        return shown;
    }
    let (before, after) = (
        if start > 0 { "…" } else { "" },
        if start + SHOWN < total { "…" } else { "" },
    );
    format!("{before}{shown}{after} ({total} characters, shown from {start})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_are_shown_whole() {
        assert_eq!(windows("abc", "abd"), ("abc".to_owned(), "abd".to_owned()));
    }

    #[test]
    fn long_values_are_cut_to_where_they_part() {
        let expected = format!("{}X{}", "a".repeat(1000), "b".repeat(1000));
        let got = format!("{}Y", "a".repeat(1000));
        let (expected, got) = windows(&expected, &got);
        assert!(
            expected.contains("aXb") && expected.contains("(2001 characters, shown from 920)"),
            "{expected}"
        );
        assert!(
            got.contains("aY (1001 characters, shown from 920)"),
            "{got}"
        );
        assert!(expected.chars().count() < SHOWN + 60);
    }

    #[test]
    fn equal_values_are_no_difference() {
        let mut checks = Checks::default();
        checks.equal("n", 1, 1);
        checks.bytes("b", &[1], &[1]);
        assert_eq!(checks.outcome(), Outcome::Pass);
    }

    #[test]
    fn different_values_are_shown_as_in_the_file() {
        let mut checks = Checks::default();
        checks.bytes("hash", &[0xab], &[0xcd, 1]);
        assert_eq!(
            checks.outcome(),
            Outcome::Fail(vec![Mismatch::new("hash", "ab", "cd01")])
        );
    }
}
