//! Source text as a tree, so that a failing program can be made smaller and still be a program.

use std::fmt;

/// A piece of source text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A token, or text that is kept as it is.
    Atom(String),
    /// Forms between brackets.
    Group(Bracket, Vec<Form>),
    /// A form behind a mark such as `'` or `~`.
    Marked(&'static str, Box<Form>),
    /// A form with metadata before it.
    Meta(Box<Form>, Box<Form>),
    /// A look-up: account or alias, then a name.
    Path(Box<Form>, String),
}

/// Which brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bracket {
    /// `( )`
    List,
    /// `[ ]`
    Vector,
    /// `#{ }`
    Set,
    /// `{ }`
    Map,
}

impl Form {
    /// A token.
    pub fn atom(text: impl Into<String>) -> Self {
        Self::Atom(text.into())
    }

    /// A list that begins with a name.
    pub fn call(name: &str, args: impl IntoIterator<Item = Self>) -> Self {
        let mut items = vec![Self::atom(name)];
        items.extend(args);
        Self::Group(Bracket::List, items)
    }

    /// A list.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::Group(Bracket::List, items)
    }

    /// A vector.
    #[must_use]
    pub fn vector(items: Vec<Self>) -> Self {
        Self::Group(Bracket::Vector, items)
    }

    /// A set.
    #[must_use]
    pub fn set(items: Vec<Self>) -> Self {
        Self::Group(Bracket::Set, items)
    }

    /// A map; an even number of items.
    #[must_use]
    pub fn map(items: Vec<Self>) -> Self {
        Self::Group(Bracket::Map, items)
    }

    /// A quoted form.
    #[must_use]
    pub fn quote(form: Self) -> Self {
        Self::Marked("'", Box::new(form))
    }

    /// A form with metadata.
    #[must_use]
    pub fn meta(metadata: Self, form: Self) -> Self {
        Self::Meta(Box::new(metadata), Box::new(form))
    }

    /// `head/name`
    pub fn path(head: Self, name: &str) -> Self {
        Self::Path(Box::new(head), name.to_owned())
    }

    fn children(&self) -> Vec<&Self> {
        match self {
            Self::Atom(_) => vec![],
            Self::Group(_, items) => items.iter().collect(),
            Self::Marked(_, form) | Self::Path(form, _) => vec![form],
            Self::Meta(metadata, form) => vec![metadata, form],
        }
    }

    /// Number of forms in it, itself included.
    #[must_use]
    pub fn size(&self) -> usize {
        1 + self.children().into_iter().map(Self::size).sum::<usize>()
    }

    /// Forms that are one step smaller, the greatest steps first.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let mut found = Vec::new();
        for n in 0..self.size() {
            let Some(part) = self.part(n) else { break };
            for replacement in part.own_reductions() {
                let mut at = n;
                found.push(self.replace(&mut at, &replacement));
            }
        }
        found.sort_by_key(Self::size);
        found
    }

    /// The tree with lists, from the inside out, replaced by what `change` makes of their items.
    #[must_use]
    pub fn rewritten(&self, change: &dyn Fn(&[Self]) -> Option<Self>) -> Self {
        match self {
            Self::Atom(_) => self.clone(),
            Self::Marked(mark, inner) => Self::Marked(mark, Box::new(inner.rewritten(change))),
            Self::Path(head, name) => Self::Path(Box::new(head.rewritten(change)), name.clone()),
            Self::Meta(metadata, inner) => {
                Self::meta(metadata.rewritten(change), inner.rewritten(change))
            }
            Self::Group(bracket, items) => {
                let items: Vec<_> = items.iter().map(|item| item.rewritten(change)).collect();
                let changed = (*bracket == Bracket::List)
                    .then(|| change(&items))
                    .flatten();
                changed.unwrap_or(Self::Group(*bracket, items))
            }
        }
    }

    /// The `n`th form of the tree, parents first.
    fn part(&self, n: usize) -> Option<&Self> {
        let mut open = vec![self];
        let mut i = 0;
        while let Some(form) = open.pop() {
            if i == n {
                return Some(form);
            }
            i += 1;
            open.extend(form.children().into_iter().rev());
        }
        None
    }

    /// The tree with its `at`th form replaced.
    fn replace(&self, at: &mut usize, replacement: &Self) -> Self {
        if *at == 0 {
            *at = usize::MAX;
            return replacement.clone();
        }
        *at = at.wrapping_sub(1);
        match self {
            Self::Atom(_) => self.clone(),
            Self::Group(bracket, items) => Self::Group(
                *bracket,
                items.iter().map(|f| f.replace(at, replacement)).collect(),
            ),
            Self::Marked(mark, form) => Self::Marked(mark, Box::new(form.replace(at, replacement))),
            Self::Path(form, name) => {
                Self::Path(Box::new(form.replace(at, replacement)), name.clone())
            }
            Self::Meta(metadata, form) => {
                let metadata = metadata.replace(at, replacement);
                Self::meta(metadata, form.replace(at, replacement))
            }
        }
    }

    /// What may stand in this form's place.
    fn own_reductions(&self) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        match self {
            Self::Atom(text) => {
                for simple in ["nil", "1"] {
                    if text.len() > 6 {
                        found.push(Self::atom(simple));
                    }
                }
            }
            Self::Group(bracket, items) => {
                found.push(Self::atom("nil"));
                found.extend(items.iter().filter(|f| f.size() > 1).cloned());
                let step = if *bracket == Bracket::Map { 2 } else { 1 };
                if items.len() > 4 * step {
                    let half = items.len() / 2 / step * step;
                    found.push(Self::Group(*bracket, items[..half].to_vec()));
                    found.push(Self::Group(*bracket, items[half..].to_vec()));
                }
                for i in (0..items.len()).step_by(step) {
                    let mut rest = items.clone();
                    rest.drain(i..(i + step).min(items.len()));
                    found.push(Self::Group(*bracket, rest));
                }
            }
            Self::Marked(_, form) | Self::Meta(_, form) | Self::Path(form, _) => {
                found.push((**form).clone());
            }
        }
        found
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atom(text) => f.write_str(text),
            Self::Group(bracket, items) => {
                let (open, close) = match bracket {
                    Bracket::List => ("(", ")"),
                    Bracket::Vector => ("[", "]"),
                    Bracket::Set => ("#{", "}"),
                    Bracket::Map => ("{", "}"),
                };
                f.write_str(open)?;
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        f.write_str(" ")?;
                    }
                    item.fmt(f)?;
                }
                f.write_str(close)
            }
            Self::Marked(mark, form) => write!(f, "{mark}{form}"),
            Self::Meta(metadata, form) => write!(f, "^{metadata} {form}"),
            Self::Path(head, name) => write!(f, "{head}/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_prints_as_source_text() {
        let form = Form::call(
            "do",
            [
                Form::meta(Form::atom(":a"), Form::quote(Form::atom("x"))),
                Form::set(vec![Form::atom("1"), Form::vector(vec![])]),
                Form::path(Form::atom("#8"), "count"),
                Form::map(vec![Form::atom("2"), Form::atom("3")]),
            ],
        );
        assert_eq!(form.to_string(), "(do ^:a 'x #{1 []} #8/count {2 3})");
    }

    #[test]
    fn smaller_forms_of_a_sum_include_the_sum_without_its_parts() {
        let form = Form::call("+", [Form::atom("1"), Form::call("f", [Form::atom("22")])]);
        let smaller: Vec<_> = form.smaller().iter().map(Form::to_string).collect();
        for expected in [
            "nil",
            "(f 22)",
            "(+ (f 22))",
            "(+ 1)",
            "(+ 1 nil)",
            "(+ 1 (f))",
        ] {
            assert!(
                smaller.contains(&expected.to_owned()),
                "{expected} in {smaller:?}"
            );
        }
        assert!(smaller.iter().all(|s| *s != form.to_string()));
    }
}
