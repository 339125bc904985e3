//! One line of a file of vectors, and typed access to its fields.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::outcome::Mismatch;

/// The fields of a line.
pub(crate) type Fields = Map<String, Value>;

/// A case to run.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// File that it comes from, as printed.
    pub(crate) file: Arc<str>,
    /// Line in that file, from 1.
    pub(crate) line: u64,
    /// What `--only` looks at and a failure prints: `kind/number name`.
    pub(crate) label: String,
    /// The fields.
    pub(crate) fields: Fields,
}

/// Names of the fields that name a case, in the order in which its label has them.
const NAMING_FIELDS: [&str; 9] = [
    "n", "b", "seq", "session", "scenario", "step", "id", "name", "note",
];

/// Longest label, in characters: notes can be whole sentences.
const MAX_LABEL: usize = 120;

/// The label of a line: its kind, then whatever names it.
pub(crate) fn label(kind: &str, fields: &Fields) -> String {
    let mut label = String::from(kind);
    let mut separator = '/';
    for name in NAMING_FIELDS {
        let text = match fields.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => continue,
        };
        label.push(separator);
        label.push_str(&text);
        separator = ' ';
    }
    match label.char_indices().nth(MAX_LABEL) {
        Some((end, _)) => label[..end].to_owned(),
        None => label,
    }
}

impl Case {
    /// A field, `None` if it is absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// A text that has to be there.
    pub(crate) fn text(&self, name: &'static str) -> Result<&str, Mismatch> {
        self.optional_text(name)?
            .ok_or_else(|| Mismatch::malformed(name, "text", None))
    }

    /// A text that may be absent.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<&str>, Mismatch> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            other => Err(Mismatch::malformed(name, "text", other)),
        }
    }

    /// Bytes in hex that have to be there.
    pub(crate) fn bytes(&self, name: &'static str) -> Result<Vec<u8>, Mismatch> {
        let text = self.text(name)?;
        hex::decode(text).map_err(|_| Mismatch::malformed(name, "hex", self.get(name)))
    }

    /// Bytes of a fixed length in hex that have to be there.
    pub(crate) fn array<const N: usize>(&self, name: &'static str) -> Result<[u8; N], Mismatch> {
        let bytes = self.bytes(name)?;
        bytes
            .try_into()
            .map_err(|_| Mismatch::malformed(name, "hex of the right length", self.get(name)))
    }

    /// A truth value that has to be there.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Mismatch> {
        self.get(name)
            .and_then(Value::as_bool)
            .ok_or_else(|| Mismatch::malformed(name, "true or false", self.get(name)))
    }

    /// A count that has to be there.
    pub(crate) fn count(&self, name: &'static str) -> Result<u64, Mismatch> {
        self.get(name)
            .and_then(Value::as_u64)
            .ok_or_else(|| Mismatch::malformed(name, "a count", self.get(name)))
    }
}

#[cfg(test)]
pub(crate) fn from_json(kind: &str, json: &str) -> Case {
    let Ok(Value::Object(fields)) = serde_json::from_str(json) else {
        panic!("not an object: {json}");
    };
    Case {
        file: "test".into(),
        line: 1,
        label: label(kind, &fields),
        fields,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_the_kind_then_number_and_name() {
        let case = from_json("encoding", r#"{"name":"vector/rnd3","n":17,"text":"x"}"#);
        assert_eq!(case.label, "encoding/17 vector/rnd3");
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named() {
        let case = from_json("x", r#"{"a":1,"b":"0g","c":"00"}"#);
        for (got, field) in [
            (case.text("a").unwrap_err(), "a"),
            (case.bytes("b").unwrap_err(), "b"),
            (case.array::<2>("c").unwrap_err(), "c"),
            (case.flag("d").unwrap_err(), "d"),
        ] {
            assert_eq!(got.field, field);
        }
        assert_eq!(case.bytes("c").unwrap(), [0]);
    }
}
