//! Forms with a tag (`spec/02 §1.2`).

use cells::{Cell, Index, Keyword, Map, Record, RecordKind, Signed};
use crypto::{AccountKey, Signature};

/// The value that `form` stands for after `tag`; unknown tags are dropped.
pub(super) fn apply(tag: &str, form: Cell) -> Result<Cell, String> {
    let read: fn(&Map) -> Result<Cell, String> = match tag {
        "Index" => index,
        "Result" => result,
        "Signed" => signed,
        _ => return Ok(form),
    };
    match &form {
        Cell::Map(map) => read(map),
        _ => Err(format!("{tag} tag must be on a map")),
    }
}

fn index(map: &Map) -> Result<Cell, String> {
    let mut index = Index::empty();
    for entry in map.iter() {
        let (key, value) = entry.map_err(|error| error.to_string())?;
        index = index
            .assoc(key, value)
            .map_err(|error| error.to_string())?
            .ok_or("Invalid #Index keys")?;
    }
    Ok(index.into())
}

fn field(map: &Map, name: &'static str) -> Result<Cell, String> {
    let value = map
        .get(&Keyword::literal(name).into())
        .map_err(|error| error.to_string())?;
    Ok(value.unwrap_or(Cell::Nil))
}

/// Fields of the wrong type are left out, as the reference does; info in the form of another kind of map is an
/// error there and here.
fn result(map: &Map) -> Result<Cell, String> {
    let id = Some(field(map, "id")?).filter(|id| matches!(id, Cell::Long(_)));
    let log = Some(field(map, "log")?).filter(|log| matches!(log, Cell::Vector(_)));
    let info = match field(map, "info")? {
        Cell::Index(_) | Cell::Record(_) => return Err("info of a Result must be a map".into()),
        info => Some(info).filter(|info| matches!(info, Cell::Map(_))),
    };
    let nil = |cell: Option<Cell>| cell.unwrap_or(Cell::Nil);
    let fields = [
        nil(id),
        field(map, "result")?,
        field(map, "error")?,
        nil(log),
        nil(info),
    ];
    Ok(Record::of_kind(RecordKind::Result, fields).into())
}

/// Signed data without a key can't be encoded, so there is none to be read.
fn signed(map: &Map) -> Result<Cell, String> {
    fn bytes<const N: usize>(cell: &Cell) -> Option<[u8; N]> {
        match cell {
            Cell::Blob(blob) => blob.as_flat()?.try_into().ok(),
            _ => None,
        }
    }
    let key = bytes::<32>(&field(map, "public-key")?)
        .ok_or("Signed tag needs a :public-key of 32 bytes")?;
    let signature = bytes::<64>(&field(map, "signature")?)
        .ok_or("Signed tag needs a :signature of 64 bytes")?;
    Ok(Signed::new(
        AccountKey::new(key),
        Signature::new(signature),
        field(map, "value")?,
    )
    .into())
}
