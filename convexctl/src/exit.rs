//! Exit codes: one table that the commands, the help text and the man pages read. The numbers from 64 on are those
//! of `sysexits.h`.

use std::fmt::Write;

macro_rules! exits {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        /// How the process ends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Exit { $(#[doc = $meaning] $name,)* }

        impl Exit {
            /// Every way, by ascending code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code that the shell sees.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$name => $code),* }
            }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }
        }
    };
}

exits! {
    Ok = 0, "it worked";
    Negative = 1, "the answer is no: the code ended in an error, or the state is not the expected one";
    Usage = 64, "wrong arguments";
    Data = 65, "a file or value is not what it should be, or a signature is wrong";
    NoInput = 66, "an input file does not exist";
    Unavailable = 69, "the peer can't be reached, or does not start";
    Software = 70, "an internal error";
    CantCreate = 73, "an output can't be created";
    Io = 74, "reading or writing failed";
    Temporary = 75, "no answer in time; it may have been done all the same";
    NoPermission = 77, "not permitted";
    Config = 78, "the settings are wrong";
}

/// The table as text, for the end of help texts.
#[must_use]
pub fn table() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for exit in Exit::ALL {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:>2}  {}", exit.code(), exit.meaning());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_meaning_and_the_guide_has_the_same_table() {
        let codes: Vec<_> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        let guide = include_str!("../../docs/convexctl.md");
        let rows: String = Exit::ALL
            .iter()
            .map(|exit| format!("| {} | {} |\n", exit.code(), exit.meaning()))
            .collect();
        assert!(guide.contains(&format!("|---|---|\n{rows}\n")), "{rows}");
        assert!(table().contains("\n  65  a file or value"));
    }
}
