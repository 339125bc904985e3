//! A place in a source text, shown as the line with a mark under it.

use cvm::reader::ReadError;

/// Characters of the line that are shown.
const WIDTH: usize = 100;

/// The problem with its line below it. `name` says where the text comes from.
pub(crate) fn show(name: &str, text: &str, error: &ReadError) -> String {
    let line = text
        .split('\n')
        .nth(error.line.saturating_sub(1))
        .unwrap_or_default();
    // A window of a long line, with the place in its middle.
    let from = error.column.saturating_sub(WIDTH / 2);
    let shown: String = line
        .chars()
        .skip(from)
        .take(WIDTH)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mark = " ".repeat(error.column - from);
    format!(
        "{name}:{}:{}: {}\n  | {shown}\n  | {mark}^",
        error.line, error.column, error.message
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        show("text", text, &cvm::reader::read_all(text).unwrap_err())
    }

    #[test]
    fn the_mark_stands_under_the_place() {
        assert_eq!(
            shown("(+ 1\n 2]"),
            "text:2:2: '(' at 1:0 closed by mismatched ']' at 2:2\n  |  2]\n  |   ^"
        );
    }

    #[test]
    fn the_end_of_the_text_is_a_place_too() {
        assert_eq!(
            shown("(a"),
            "text:1:2: unexpected end of input (unclosed '(' at 1:0)\n  | (a\n  |   ^"
        );
        assert!(shown("(a\n").contains("text:2:0"));
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}]", "a ".repeat(1000));
        let shown = shown(&text);
        assert!(shown.len() < 400, "{shown}");
        assert!(shown.lines().nth(1).unwrap().ends_with(']'), "{shown}");
    }
}
