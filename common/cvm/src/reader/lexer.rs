//! Tokens: the longest match at each position, the earlier rule of the table among equals (`spec/02 §1.1`).

use super::{Problem, shorten};

/// A kind of bracket that holds items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bracket {
    List,
    Vector,
    Set,
    Map,
}

impl Bracket {
    pub(super) const fn opening(self) -> &'static str {
        match self {
            Self::List => "(",
            Self::Vector => "[",
            Self::Set => "#{",
            Self::Map => "{",
        }
    }

    pub(super) const fn closing(self) -> &'static str {
        match self {
            Self::List => ")",
            Self::Vector => "]",
            Self::Set | Self::Map => "}",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Discard,
    Open(Bracket),
    Close,
    Meta,
    Nil,
    True,
    False,
    Double,
    Address,
    Special,
    Intrinsic,
    Tag,
    Raw,
    Resolve,
    Blob,
    Integer,
    String,
    /// A quote mark, with the symbol it stands for.
    Quote(&'static str),
    Keyword,
    Symbol,
    Slash,
    Char,
    End,
}

/// A token and the bytes it covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    at: usize,
}

/// Characters that begin a name, besides letters.
fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || b".*+!-_?$%&=<>".contains(&byte)
}

fn continues_name(byte: u8) -> bool {
    begins_name(byte) || byte.is_ascii_digit() || byte == b':' || byte == b'#'
}

/// Characters that a number doesn't swallow as its guard.
fn ends_number(byte: u8) -> bool {
    b" \t\n\r,;()[]{}".contains(&byte)
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn byte(&self, i: usize) -> Option<u8> {
        self.text.as_bytes().get(i).copied()
    }

    /// The end of the run of bytes from `i` that satisfy `test`.
    fn run(&self, i: usize, test: impl Fn(u8) -> bool) -> usize {
        let bytes = &self.text.as_bytes()[i..];
        i + bytes.iter().position(|&b| !test(b)).unwrap_or(bytes.len())
    }

    /// The end of the character at `i`, or `i` at the end of the text.
    fn after_char(&self, i: usize) -> usize {
        i + self.text[i..].chars().next().map_or(0, char::len_utf8)
    }

    /// The end of the name at `i`, if there is one.
    fn name(&self, i: usize) -> Option<usize> {
        self.byte(i)
            .filter(|&b| begins_name(b))
            .map(|_| self.run(i, continues_name))
    }

    fn skip_blanks(&mut self) {
        loop {
            self.at = self.run(self.at, |b| b" \t\r\n,".contains(&b));
            if self.byte(self.at) != Some(b';') {
                return;
            }
            self.at = self.run(self.at, |b| b != b'\n' && b != b'\r');
        }
    }

    pub(super) fn next(&mut self) -> Result<Token, Problem> {
        self.skip_blanks();
        let start = self.at;
        let (kind, end) = match self.byte(start) {
            None => (Kind::End, start),
            Some(byte) => self.scan(start, byte)?,
        };
        self.at = end;
        Ok(Token { kind, start, end })
    }

    /// The kind and the end of the token that starts with `byte` at `start`.
    fn scan(&self, start: usize, byte: u8) -> Result<(Kind, usize), Problem> {
        let one = start + 1;
        Ok(match byte {
            b'(' => (Kind::Open(Bracket::List), one),
            b'[' => (Kind::Open(Bracket::Vector), one),
            b'{' => (Kind::Open(Bracket::Map), one),
            b')' | b']' | b'}' => (Kind::Close, one),
            b'^' => (Kind::Meta, one),
            b'\'' => (Kind::Quote("quote"), one),
            b'`' => (Kind::Quote("quasiquote"), one),
            b'~' if self.byte(one) == Some(b'@') => (Kind::Quote("unquote-splicing"), start + 2),
            b'~' => (Kind::Quote("unquote"), one),
            b'"' => (Kind::String, self.string(start)?),
            b'\\' => (Kind::Char, self.character(start)?),
            b'#' => self.hash_sign(start)?,
            b'@' => match self.name(one) {
                Some(end) => (Kind::Resolve, end),
                None => return Err(self.unexpected(start, self.after_char(one))),
            },
            b':' => {
                let name = self.run(one, |b| b == b':');
                match self.name(name) {
                    _ if self.byte(name) == Some(b'/') => (Kind::Keyword, name + 1),
                    Some(end) => (Kind::Keyword, end),
                    None => return Err(self.unexpected(start, self.after_char(name))),
                }
            }
            b'/' => match self.name(one) {
                _ if self.byte(one) == Some(b'/') => (Kind::Slash, one + 1),
                Some(end) => (Kind::Slash, end),
                None => (Kind::Symbol, one),
            },
            b'0' if self.byte(one) == Some(b'x') => {
                (Kind::Blob, self.run(start + 2, |b| b.is_ascii_hexdigit()))
            }
            b'0'..=b'9' => self.number(start, start),
            b'-' if self.byte(one).is_some_and(|b| b.is_ascii_digit()) => {
                let (kind, end) = self.number(start, one);
                let name = self.run(start, continues_name);
                if name > end {
                    (Kind::Symbol, name)
                } else {
                    (kind, end)
                }
            }
            _ if begins_name(byte) => {
                let end = self.run(start, continues_name);
                let kind = match &self.text[start..end] {
                    "nil" => Kind::Nil,
                    "true" => Kind::True,
                    "false" => Kind::False,
                    _ => Kind::Symbol,
                };
                (kind, end)
            }
            0x00..=0x1f | 0x7f => {
                return Err(Problem::new(
                    start,
                    format!("unexpected control character ({byte:#x})"),
                ));
            }
            _ => return Err(self.unexpected(start, self.after_char(start))),
        })
    }

    fn unexpected(&self, start: usize, end: usize) -> Problem {
        Problem::new(
            start,
            format!("unexpected '{}'", shorten(&self.text[start..end])),
        )
    }

    /// A number whose digits begin at `digits`, with its guard character.
    fn number(&self, start: usize, digits: usize) -> (Kind, usize) {
        let is_digit = |b: u8| b.is_ascii_digit();
        let exponent = |i: usize| -> Option<usize> {
            self.byte(i).filter(|b| matches!(b, b'e' | b'E'))?;
            let digits = if self.byte(i + 1) == Some(b'-') {
                i + 2
            } else {
                i + 1
            };
            let end = self.run(digits.min(self.text.len()), is_digit);
            (end > digits).then_some(end)
        };
        let whole = self.run(digits, is_digit);
        let mut end = whole;
        if self.byte(end) == Some(b'.') {
            let fraction = self.run(end + 1, is_digit);
            if fraction > end + 1 {
                end = fraction;
            }
        }
        end = exponent(end).unwrap_or(end);
        debug_assert!(start < end);
        let kind = if end == whole {
            Kind::Integer
        } else {
            Kind::Double
        };
        match self.byte(end) {
            Some(guard) if !ends_number(guard) => (kind, self.after_char(end)),
            _ => (kind, end),
        }
    }

    /// What begins with `#`.
    fn hash_sign(&self, start: usize) -> Result<(Kind, usize), Problem> {
        let one = start + 1;
        let invalid = |end: usize| {
            Problem::new(
                start,
                format!(
                    "invalid '#' sequence: '{}'",
                    shorten(&self.text[start..end])
                ),
            )
        };
        let named = |kind: Kind| match self.name(start + 2) {
            Some(end) => Ok((kind, end)),
            None => Err(invalid(self.after_char(start + 2))),
        };
        match self.byte(one) {
            Some(b'_') => Ok((Kind::Discard, start + 2)),
            Some(b'{') => Ok((Kind::Open(Bracket::Set), start + 2)),
            Some(b'#') => named(Kind::Special),
            Some(b'%') => named(Kind::Intrinsic),
            Some(b'0'..=b'9') => Ok((Kind::Address, self.run(one, |b| b.is_ascii_digit()))),
            Some(b'a'..=b'z' | b'A'..=b'Z') => Ok((
                Kind::Tag,
                self.run(one, |b| b.is_ascii_alphanumeric() || b == b'.'),
            )),
            Some(b'[') => {
                let end = self.run(start + 2, |b| b.is_ascii_hexdigit());
                if self.byte(end) == Some(b']') && (end - start).is_multiple_of(2) {
                    Ok((Kind::Raw, end + 1))
                } else {
                    Err(invalid(self.after_char(end)))
                }
            }
            _ => Err(invalid(self.after_char(one))),
        }
    }

    /// The end of the string literal that begins at `start`.
    fn string(&self, start: usize) -> Result<usize, Problem> {
        let unterminated = || Problem::new(start, "unterminated string");
        let mut i = start + 1;
        loop {
            i = self.run(i, |b| b != b'"' && b != b'\\');
            match self.byte(i) {
                None => return Err(unterminated()),
                Some(b'"') => return Ok(i + 1),
                Some(_) => match self.byte(i + 1) {
                    Some(b'b' | b't' | b'n' | b'f' | b'r' | b'"' | b'\'' | b'\\' | b'0'..=b'7') => {
                        i += 2
                    }
                    Some(b'u') if self.four_hex(i + 2) => i += 6,
                    _ => return Err(unterminated()),
                },
            }
        }
    }

    fn four_hex(&self, i: usize) -> bool {
        self.text
            .as_bytes()
            .get(i..i + 4)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    }

    /// The end of the character literal that begins at `start`.
    fn character(&self, start: usize) -> Result<usize, Problem> {
        let one = start + 1;
        let rest = &self.text[one..];
        if let Some((name, _)) = super::literal::CHARACTER_NAMES
            .iter()
            .find(|(name, _)| rest.starts_with(name))
        {
            return Ok(one + name.len());
        }
        if rest.starts_with('u') && self.four_hex(one + 1) {
            return Ok(one + 5);
        }
        match self.after_char(one) {
            end if end > one => Ok(end),
            _ => Err(self.unexpected(start, one)),
        }
    }
}
