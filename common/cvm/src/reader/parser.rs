//! Forms from tokens (`spec/02 §1.2`), with a stack of its own in place of recursion.

use cells::{Cell, List, Map, Set, Vector};

use super::lexer::{Bracket, Kind, Lexer, Token};
use super::{Problem, literal, metadata, position, shorten, tagged};

/// What waits for the form being read.
enum Frame {
    Items {
        bracket: Bracket,
        start: usize,
        items: Vec<Cell>,
    },
    /// After `#_`.
    Discard,
    /// After a quote mark.
    Quote(&'static str),
    /// After a tag.
    Tag(Token),
    /// After `^`: the metadata.
    Meta { start: usize },
    /// After `^` and the metadata: the value.
    Value { start: usize, meta: Cell },
}

pub(super) struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    peeked: Option<Token>,
    stack: Vec<Frame>,
    /// Cells of metadata that may still be looked at. No byte of a text stands for more than three cells and each is
    /// looked at once, except where the encoding of a raw literal shares parts, which would multiply.
    metadata_budget: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            lexer: Lexer::new(text),
            peeked: None,
            stack: Vec::new(),
            metadata_budget: text.len().saturating_mul(4),
        }
    }

    /// Exactly one form.
    pub(super) fn single(mut self) -> Result<Cell, Problem> {
        let form = self.form(false)?;
        let token = self.next()?;
        match (form, token.kind) {
            (Some(form), Kind::End) => Ok(form),
            _ => Err(self.misplaced(token)),
        }
    }

    /// Any number of forms.
    pub(super) fn all(mut self) -> Result<List, Problem> {
        let mut forms = Vec::new();
        while self.peek()?.kind != Kind::End {
            forms.extend(self.form(true)?);
        }
        Ok(forms.into_iter().collect())
    }

    fn peek(&mut self) -> Result<Token, Problem> {
        match self.peeked {
            Some(token) => Ok(token),
            None => Ok(*self.peeked.insert(self.lexer.next()?)),
        }
    }

    fn next(&mut self) -> Result<Token, Problem> {
        let token = self.peek()?;
        self.peeked = None;
        Ok(token)
    }

    fn source(&self, token: Token) -> &'a str {
        &self.text[token.start..token.end]
    }

    /// One form, or none when it is discarded, which `discards` permits at the top.
    fn form(&mut self, discards: bool) -> Result<Option<Cell>, Problem> {
        loop {
            let token = self.next()?;
            let primary = match token.kind {
                Kind::Open(bracket) => {
                    self.stack.push(Frame::Items {
                        bracket,
                        start: token.start,
                        items: Vec::new(),
                    });
                    continue;
                }
                Kind::Discard => {
                    let allowed = match self.stack.last() {
                        Some(frame) => matches!(frame, Frame::Items { .. }),
                        None => discards,
                    };
                    if !allowed {
                        return Err(self.misplaced(token));
                    }
                    self.stack.push(Frame::Discard);
                    continue;
                }
                Kind::Quote(name) => {
                    self.stack.push(Frame::Quote(name));
                    continue;
                }
                Kind::Tag => {
                    self.stack.push(Frame::Tag(token));
                    continue;
                }
                Kind::Meta => {
                    self.stack.push(Frame::Meta { start: token.start });
                    continue;
                }
                Kind::Close => self.close(token)?,
                Kind::Slash | Kind::End => return Err(self.misplaced(token)),
                _ => (literal::value(self.text, token)?, token.start),
            };
            let form = self.path(primary)?;
            if let Some(done) = self.deliver(form)? {
                return Ok(done);
            }
        }
    }

    /// The collection that `token` closes, and where it began.
    fn close(&mut self, token: Token) -> Result<(Cell, usize), Problem> {
        match self.stack.pop() {
            Some(Frame::Items {
                bracket,
                start,
                items,
            }) if bracket.closing() == self.source(token) => Ok((
                collect(bracket, items)
                    .ok_or_else(|| Problem::new(start, "map requires an even number of forms"))?,
                start,
            )),
            Some(frame) => {
                self.stack.push(frame);
                Err(self.misplaced(token))
            }
            None => Err(self.misplaced(token)),
        }
    }

    /// A primary with the slash symbols that follow it.
    fn path(&mut self, (mut form, start): (Cell, usize)) -> Result<Cell, Problem> {
        if self.peek()?.kind != Kind::Slash {
            return Ok(form);
        }
        if form.is_nil() {
            return Err(Problem::new(
                start,
                "path must start with address or symbol",
            ));
        }
        while self.peek()?.kind == Kind::Slash {
            let token = self.next()?;
            let name = literal::value(self.text, token)?;
            form = literal::call("lookup", [form, name]);
        }
        // Known restriction: a value with metadata does not end in a path.
        let mut waiting = self.stack.iter().rev();
        if waiting
            .find(|frame| !matches!(frame, Frame::Quote(_) | Frame::Tag(_)))
            .is_some_and(|frame| matches!(frame, Frame::Value { .. }))
        {
            let token = self.next()?;
            return Err(match token.kind {
                Kind::End => Problem::new(token.start, "empty input (expected a form)"),
                Kind::Close => Problem::new(
                    token.start,
                    format!("unmatched closing '{}'", self.source(token)),
                ),
                _ => self.unexpected(token),
            });
        }
        Ok(form)
    }

    /// Hands a form to what waits for it. Something when the whole form is done: the form, unless it is discarded.
    fn deliver(&mut self, mut form: Cell) -> Result<Option<Option<Cell>>, Problem> {
        loop {
            match self.stack.pop() {
                None => return Ok(Some(Some(form))),
                Some(Frame::Items {
                    bracket,
                    start,
                    mut items,
                }) => {
                    items.push(form);
                    self.stack.push(Frame::Items {
                        bracket,
                        start,
                        items,
                    });
                    return Ok(None);
                }
                Some(Frame::Discard) => return Ok(self.stack.is_empty().then_some(None)),
                Some(Frame::Quote(name)) => form = literal::call(name, [form]),
                Some(Frame::Tag(token)) => {
                    form = tagged::apply(&self.source(token)[1..], form)
                        .map_err(|message| Problem::new(token.start, message))?;
                }
                Some(Frame::Meta { start }) => {
                    self.stack.push(Frame::Value { start, meta: form });
                    return Ok(None);
                }
                Some(Frame::Value { start, meta }) => {
                    form = metadata::annotate(meta, form, &mut self.metadata_budget)
                        .map_err(|message| Problem::new(start, message))?;
                }
            }
        }
    }

    fn unexpected(&self, token: Token) -> Problem {
        Problem::new(
            token.start,
            format!("unexpected '{}'", shorten(self.source(token))),
        )
    }

    /// A token that the grammar has no place for.
    fn misplaced(&self, token: Token) -> Problem {
        let open = self.stack.iter().rev().find_map(|frame| match frame {
            Frame::Items { bracket, start, .. } => Some((bracket.opening(), *start)),
            _ => None,
        });
        let place = |offset: usize| {
            let (line, column) = position(self.text, offset);
            format!("{line}:{column}")
        };
        let source = self.source(token);
        let message = match (token.kind, open) {
            (Kind::End, Some((opening, start))) => {
                format!(
                    "unexpected end of input (unclosed '{opening}' at {})",
                    place(start)
                )
            }
            (Kind::End, None) if self.stack.is_empty() => "empty input (expected a form)".into(),
            (Kind::End, None) => "unexpected end of input".into(),
            (Kind::Close, Some((opening, start))) => {
                format!(
                    "'{opening}' at {} closed by mismatched '{source}' at {}",
                    place(start),
                    place(token.start)
                )
            }
            (Kind::Close, None) => format!("unmatched closing '{source}'"),
            _ => return self.unexpected(token),
        };
        Problem::new(token.start, message)
    }
}

/// The collection of the items; `None` for a map with a key left over.
fn collect(bracket: Bracket, items: Vec<Cell>) -> Option<Cell> {
    Some(match bracket {
        Bracket::List => items.into_iter().collect::<List>().into(),
        Bracket::Vector => items.into_iter().collect::<Vector>().into(),
        Bracket::Set => items.into_iter().collect::<Set>().into(),
        Bracket::Map => {
            if !items.len().is_multiple_of(2) {
                return None;
            }
            let mut items = items.into_iter();
            std::iter::from_fn(|| items.next().zip(items.next()))
                .collect::<Map>()
                .into()
        }
    })
}
