//! What was entered: a command of the tool, or forms that may still be open.

use cvm::reader::read_all;

/// An entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// Forms to evaluate.
    Forms,
    Help,
    State,
    Quit,
    /// Evaluate as this account.
    Address(&'a str),
    /// Explain this symbol.
    Doc(&'a str),
}

/// Only exactly these words are commands; every other keyword is a form.
pub(super) fn parse(text: &str) -> Entry<'_> {
    let words: Vec<_> = text.split_whitespace().take(3).collect();
    match words.as_slice() {
        [":help"] => Entry::Help,
        [":state"] => Entry::State,
        [":quit"] => Entry::Quit,
        [":address", address] => Entry::Address(address),
        [":doc", name] => Entry::Doc(name),
        _ => Entry::Forms,
    }
}

/// True when more lines could complete the text.
pub(super) fn is_open(text: &str) -> bool {
    const STRING: &str = "unterminated string";
    if parse(text) != Entry::Forms {
        return false;
    }
    match read_all(text) {
        Ok(_) => false,
        Err(error) if error.message.starts_with("unexpected end of input") => true,
        Err(error) if error.message == STRING => {
            // A wrong escape ends a string too, and no further line mends that; a closing quote mends the open one.
            !matches!(read_all(&format!("{text}\"")), Err(error) if error.message == STRING)
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_words_are_commands() {
        assert_eq!(parse(" :doc  map "), Entry::Doc("map"));
        assert_eq!(parse(":address #12"), Entry::Address("#12"));
        for form in [":doc", ":help me", ":key", "(:doc x)", ""] {
            assert_eq!(parse(form), Entry::Forms, "{form}");
        }
    }

    #[test]
    fn forms_are_open_until_every_bracket_and_string_closes() {
        for open in [
            "(",
            "(+ 1",
            "[{:a 1} #{",
            "\"abc",
            "(str \"a\nb",
            "'",
            "(a ; )",
            "^{:a 1}",
            "#_",
            "(f \"x)",
        ] {
            assert!(is_open(open), "{open}");
        }
        for closed in [
            "",
            "1",
            "(+ 1 2)",
            "(]",
            ")",
            "\"a\"",
            "; (",
            "(str \"\\q",
            ":help",
        ] {
            assert!(!is_open(closed), "{closed}");
        }
    }
}
