//! Keywords that the machine looks for in metadata.

use std::sync::OnceLock;

use cells::{Cell, Keyword};

macro_rules! keywords {
    ($($name:ident = $text:literal;)*) => {
        $(#[doc = concat!("`:", $text, "`")]
        pub(crate) fn $name() -> Cell {
            static CELL: OnceLock<Cell> = OnceLock::new();
            CELL.get_or_init(|| Cell::from(Keyword::literal($text))).clone()
        })*
    };
}

keywords! {
    callable = "callable";
    expander = "expander";
    is_static = "static";
    control = "control";
}
