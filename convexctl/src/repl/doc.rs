//! What a symbol means: from the table of core functions, the metadata of its definition, or its value.

use std::fmt::Write;

use cells::{Cell, Keyword, Map};
use cvm::natives::{Arity, Native};
use cvm::{Rules, SPECIALS, special_code};

/// Explains `name`, whose value and metadata in the state are given where there are any.
pub(super) fn text(name: &str, value: Option<&Cell>, metadata: Option<&Map>) -> String {
    let native = match value {
        // An account may have given the name another meaning.
        Some(Cell::Core(code)) => Rules::latest().native(*code),
        Some(_) => None,
        None => Rules::latest()
            .natives()
            .find(|native| native.symbol == name),
    };
    if let Some(native) = native {
        return of_native(native);
    }
    let mut text = name.to_owned();
    match value {
        _ if special_code(name.as_bytes()).is_some() => {
            text += ": a special value, that of the place where it is evaluated";
        }
        Some(value) => {
            let _ = write!(text, ": value of type {}", cvm::value::type_name(value));
        }
        None if metadata.is_some() => {
            text += ": a special form or macro without a value of its own"
        }
        None => {
            let _ = write!(text, " is not defined here");
            let near: Vec<_> = SPECIALS
                .iter()
                .copied()
                .chain(Rules::latest().natives().map(|native| native.symbol))
                .filter(|known| name.len() > 1 && known.contains(name))
                .take(8)
                .collect();
            if !near.is_empty() {
                let _ = write!(text, "; similar: {}", near.join(" "));
            }
        }
    }
    if let Some(metadata) = metadata {
        of_metadata(&mut text, metadata);
    }
    text
}

fn of_native(native: &Native) -> String {
    let mut text = String::new();
    for params in native.params {
        let blank = if params.is_empty() { "" } else { " " };
        let _ = writeln!(text, "({}{blank}{params})", native.symbol);
    }
    let _ = writeln!(text, "{}", native.doc);
    let _ = writeln!(text, "arguments  {}", arity(native.arity));
    let _ = writeln!(text, "returns    {}", native.returns);
    let _ = writeln!(text, "juice      {}", native.juice);
    for (code, when) in native.errors {
        let _ = writeln!(text, "error      :{} {when}", code.name());
    }
    for (source, value) in native.examples {
        let value = match value.strip_prefix("!:") {
            Some(code) => format!("error :{code}"),
            None => (*value).to_owned(),
        };
        let _ = writeln!(text, "example    {source}  =>  {value}");
    }
    text.truncate(text.trim_end().len());
    text
}

fn arity(arity: Arity) -> String {
    match arity {
        Arity::Exactly(n) => n.to_string(),
        Arity::Between(low, high) => format!("{low} to {high}"),
        Arity::AtLeast(n) => format!("{n} or more"),
        Arity::Even => "an even number".to_owned(),
        Arity::Odd => "an odd number".to_owned(),
        Arity::Any => "any number".to_owned(),
    }
}

/// The `:doc` entry as people read it, everything else as it is.
fn of_metadata(text: &mut String, metadata: &Map) {
    let key = |name| Cell::from(Keyword::literal(name));
    let get = |map: &Map, name| map.get(&key(name)).ok().flatten();
    if let Some(Cell::Map(doc)) = get(metadata, "doc") {
        // One text, or a vector of them.
        let description = match get(&doc, "description") {
            Some(Cell::Vector(texts)) => texts.iter().filter_map(Result::ok).collect(),
            Some(one) => vec![one],
            None => Vec::new(),
        };
        for part in description {
            let part = match &part {
                Cell::Str(text) => {
                    String::from_utf8_lossy(&text.to_vec().unwrap_or_default()).into_owned()
                }
                other => other.to_string(),
            };
            let _ = write!(text, "\n{part}");
        }
        for (name, title) in [
            ("signature", "signature"),
            ("errors", "errors"),
            ("examples", "examples"),
        ] {
            if let Some(value) = get(&doc, name) {
                let _ = write!(text, "\n{title:<10} {value}");
            }
        }
    }
    for entry in metadata.iter() {
        match entry {
            Ok((name, _)) if name == key("doc") => {}
            Ok((name, value)) => {
                let _ = write!(text, "\n{name} {value}");
            }
            Err(error) => {
                let _ = write!(text, "\n({error})");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_function_is_explained_from_the_table() {
        let text = text("count", None, None);
        assert!(text.starts_with("(count "), "{text}");
        for part in [
            "\narguments  1\n",
            "\nreturns    ",
            "\nerror      :CAST ",
            "\nexample    (count ",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_symbol_with_another_value_is_not_the_core_function() {
        assert_eq!(
            text("count", Some(&Cell::Long(1)), None),
            "count: value of type Integer"
        );
        assert!(text("count", Some(&Cell::Core(183)), None).starts_with("(count "));
    }

    #[test]
    fn an_unknown_symbol_names_similar_ones() {
        assert_eq!(text("nonsense", None, None), "nonsense is not defined here");
        let text = text("addre", None, None);
        assert!(
            text.contains("similar:") && text.contains("*address*"),
            "{text}"
        );
    }

    #[test]
    fn documentation_in_metadata_is_read_out() {
        let Cell::Map(metadata) = cvm::reader::read(
            "{:doc {:description [\"Does it.\" \"Well.\"] :signature [{:params [x]}]} :static true}",
        )
        .unwrap() else {
            panic!("a map")
        };
        assert_eq!(
            text("it", Some(&Cell::Nil), Some(&metadata)),
            "it: value of type Nil\nDoes it.\nWell.\nsignature  [{:params [x]}]\n:static true"
        );
    }
}
