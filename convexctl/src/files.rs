//! Cell files: one cell with the branches below it (`spec/01 §13.4`), as peers exchange and export them.

use std::io::{ErrorKind, Read};
use std::path::Path;

use cells::{Cell, DecodeError, Decoder, MAX_MESSAGE, RecordKind, decode_message};

use crate::exit::Exit;
use crate::failure::Failure;

/// The bytes of a file, or of standard input where `path` is `-`; at most `limit` of them.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let fail = |error: std::io::Error| {
        let (exit, remedy) = match error.kind() {
            ErrorKind::NotFound => (Exit::NoInput, "check the path"),
            ErrorKind::PermissionDenied => (Exit::NoPermission, "make it readable for this user"),
            ErrorKind::IsADirectory => (Exit::NoInput, "name a file, not a directory"),
            _ => (Exit::Io, "check the device that the file is on"),
        };
        Failure::new(exit, format!("{} can't be read: {error}", path.display())).remedy(remedy)
    };
    let mut bytes = Vec::new();
    // One byte more than the limit tells a file of exactly the limit from a longer one.
    let most = limit as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(fail)?;
    } else {
        let file = std::fs::File::open(path).map_err(fail)?;
        let expected = file.metadata().map_err(fail)?.len().min(most);
        bytes.reserve_exact(usize::try_from(expected).unwrap_or(0) + 1);
        file.take(most).read_to_end(&mut bytes).map_err(fail)?;
    }
    if bytes.len() > limit {
        return Err(Failure::data(format!(
            "{} is longer than {limit} bytes, the longest that is accepted",
            path.display()
        )));
    }
    Ok(bytes)
}

/// The complete value in a cell file.
pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<Cell, Failure> {
    let name = path.display();
    decode_message(bytes, &Decoder::new()).map_err(|error| {
        let failure = Failure::data(format!("{name} holds no complete value: {error}"));
        match error {
            DecodeError::Partial(_) | DecodeError::Missing(_) => {
                failure.remedy("export it with all its branches, as one multi-cell encoding")
            }
            DecodeError::BadFormat(_) | DecodeError::Store(_) => failure.remedy(
                "it should be a multi-cell encoding (CAD3) and complete: compare its length with the original; \
                 `convexctl inspect` tells more",
            ),
        }
    })
}

/// A cell file with a record of this kind.
pub(crate) fn load(path: &Path, kind: RecordKind) -> Result<Cell, Failure> {
    let cell = decode(path, &read(path, MAX_MESSAGE)?)?;
    match &cell {
        Cell::Record(record) if record.kind() == Some(kind) => Ok(cell),
        other => Err(Failure::data(format!(
            "{} holds a {}, not a {kind:?}",
            path.display(),
            kind_name(other)
        ))
        .remedy("check that the file belongs to this option")),
    }
}

/// What a value is, in the words of `spec/01`.
pub(crate) fn kind_name(cell: &Cell) -> String {
    match cell {
        Cell::Record(record) => match record.kind() {
            Some(kind) => format!("{kind:?}"),
            None => format!("record with tag {:02x}", record.tag()),
        },
        Cell::Coded(coded) => match coded.op() {
            Some(op) => format!("{op:?} op"),
            None => format!("coded value with tag {:02x}", coded.tag()),
        },
        Cell::Nil => "Nil".to_owned(),
        Cell::Bool(_) => "Boolean".to_owned(),
        Cell::Flag(n) => format!("byte flag {n}"),
        Cell::Long(_) | Cell::BigInt(_) => "Integer".to_owned(),
        Cell::Double(_) => "Double".to_owned(),
        Cell::Char(_) => "Character".to_owned(),
        Cell::Str(_) => "String".to_owned(),
        Cell::Blob(_) => "Blob".to_owned(),
        Cell::Symbol(_) => "Symbol".to_owned(),
        Cell::Keyword(_) => "Keyword".to_owned(),
        Cell::Vector(_) => "Vector".to_owned(),
        Cell::List(_) => "List".to_owned(),
        Cell::Map(_) => "Map".to_owned(),
        Cell::Set(_) => "Set".to_owned(),
        Cell::Index(_) => "Index".to_owned(),
        Cell::Syntax(_) => "Syntax".to_owned(),
        Cell::Signed(_) => "Signed".to_owned(),
        Cell::Address(_) => "Address".to_owned(),
        Cell::Special(_) => "special op".to_owned(),
        Cell::Local(_) => "local op".to_owned(),
        Cell::Core(_) => "core function".to_owned(),
        Cell::Extension(tag, _) => format!("extension value with tag {tag:02x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_and_a_directory_are_told_apart() {
        let missing = read(Path::new("no/such/file"), 10).unwrap_err();
        assert_eq!(missing.exit, Exit::NoInput);
        let directory = read(Path::new("."), 10).unwrap_err();
        assert!(directory.cause.contains("directory"), "{}", directory.cause);
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused_and_one_at_it_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0; 10]).unwrap();
        assert_eq!(read(file.path(), 10).unwrap().len(), 10);
        assert_eq!(read(file.path(), 9).unwrap_err().exit, Exit::Data);
    }
}
