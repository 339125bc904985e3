//! Results of transactions (`spec/04 §6`, `spec/02 §13.3`).

use std::sync::LazyLock;

use cells::{Cell, Keyword, Map, Record, RecordKind, Vector};

/// What a result says besides its value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// Lines of the trace and the address where the error arose, of errors.
    pub error: Option<(Vector, Option<u64>)>,
    /// Bytes of memory; shown when above zero.
    pub memory: i64,
    /// Coppers charged; shown when above zero.
    pub fees: i64,
    /// Juice used; shown when above zero.
    pub juice: i64,
    /// Who raised the error: `:CODE` or `:CVM`.
    pub source: Option<Source>,
}

/// Where an error comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The transaction's own code.
    Code,
    /// The machine around it.
    Cvm,
}

/// The result of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRecord {
    /// Position in the block; `None` in invalid blocks and for children of a Multi.
    pub id: Option<i64>,
    /// The value, or the message of an error.
    pub value: Cell,
    /// Error code; nil is success.
    pub error: Cell,
    /// What the transaction logged; `None` where nothing ran.
    pub log: Option<Vec<Cell>>,
    /// `None` where nothing ran.
    pub info: Option<Info>,
}

macro_rules! keywords {
    ($($name:ident = $text:literal),* $(,)?) => {
        $(static $name: LazyLock<Cell> = LazyLock::new(|| Cell::from(Keyword::literal($text)));)*
    };
}

keywords! {
    TRACE = "trace", EADDR = "eaddr", MEM = "mem", FEES = "fees", JUICE = "juice", SOURCE = "source",
    CODE = "CODE", CVM = "CVM",
}

impl Info {
    /// The map in field 4 of a result.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        let mut entries = Vec::new();
        if let Some((trace, address)) = &self.error {
            entries.push((&TRACE, Cell::from(trace.clone())));
            entries.push((&EADDR, address.map_or(Cell::Nil, Cell::Address)));
        }
        for (key, n) in [
            (&MEM, self.memory),
            (&FEES, self.fees),
            (&JUICE, self.juice),
        ] {
            if n > 0 {
                entries.push((key, Cell::Long(n)));
            }
        }
        match self.source {
            Some(Source::Code) => entries.push((&SOURCE, CODE.clone())),
            Some(Source::Cvm) => entries.push((&SOURCE, CVM.clone())),
            None => {}
        }
        Cell::from(Map::from_iter(
            entries
                .into_iter()
                .map(|(key, value)| ((**key).clone(), value)),
        ))
    }
}

impl ResultRecord {
    /// The record.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        let log = self
            .log
            .as_ref()
            .map(|log| Vector::from_iter(log.iter().cloned()));
        Cell::from(Record::of_kind(
            RecordKind::Result,
            [
                self.id.map_or(Cell::Nil, Cell::Long),
                self.value.clone(),
                self.error.clone(),
                Cell::from(log),
                self.info.as_ref().map_or(Cell::Nil, Info::to_cell),
            ],
        ))
    }
}

/// The record of a block's results (`spec/04 §2.6`).
#[must_use]
pub(crate) fn block_result(state: Cell, results: Vector) -> Cell {
    Cell::from(Record::of_kind(
        RecordKind::BlockResult,
        [state, Cell::from(results)],
    ))
}
