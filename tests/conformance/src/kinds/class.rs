//! The reference's names of the types that a cell can have, as vectors spell them.

use cells::{Cell, Op, RecordKind};

/// Elements of a vector's leaf (`spec/01 §7.1`).
const LEAF: u64 = 16;
/// Elements from which a map or set is a tree (`spec/01 §8.1`).
const TREE: u64 = 16;

/// The name of a cell's type.
pub(super) fn class(cell: &Cell) -> &'static str {
    match cell {
        Cell::Nil => "nil",
        Cell::Bool(_) => "CVMBool",
        Cell::Flag(_) => "ByteFlag",
        Cell::Long(_) => "CVMLong",
        Cell::BigInt(_) => "CVMBigInteger",
        Cell::Double(_) => "CVMDouble",
        Cell::Char(_) => "CVMChar",
        Cell::Str(text) => {
            if text.as_flat().is_some() {
                "StringShort"
            } else {
                "StringTree"
            }
        }
        Cell::Blob(blob) => {
            if blob.as_flat().is_some() {
                "Blob"
            } else {
                "BlobTree"
            }
        }
        Cell::Symbol(_) => "Symbol",
        Cell::Keyword(_) => "Keyword",
        Cell::Vector(vector) => match vector.count() {
            // A count that is no multiple of 16 has its last elements in a leaf with a prefix.
            count if count > LEAF && count % LEAF == 0 => "VectorTree",
            _ => "VectorLeaf",
        },
        Cell::List(_) => "List",
        Cell::Map(map) => {
            if map.count() < TREE {
                "MapLeaf"
            } else {
                "MapTree"
            }
        }
        Cell::Set(set) => {
            if set.count() < TREE {
                "SetLeaf"
            } else {
                "SetTree"
            }
        }
        Cell::Index(_) => "Index",
        Cell::Syntax(_) => "Syntax",
        Cell::Signed(_) => "SignedData",
        Cell::Coded(coded) => coded.op().map_or("CodedValue", op),
        Cell::Record(record) => record.kind().map_or("DenseRecord", self::record),
        Cell::Address(_) => "Address",
        Cell::Special(_) => "Special",
        Cell::Local(_) => "Local",
        // Core functions have classes without a name there.
        Cell::Core(_) => "",
        Cell::Extension(..) => "ExtensionValue",
    }
}

/// The name of the type of a cell that the decoder of plain data gave.
///
/// There the reference has types of its own for what our decoders both give as an address or a coded value: for those two, only
/// that they are accepted can be compared.
pub(super) fn plain_class(cell: &Cell) -> &'static str {
    match cell {
        Cell::Coded(_) => "CodedValue",
        Cell::Address(_) => "ExtensionValue",
        other => class(other),
    }
}

fn op(op: Op) -> &'static str {
    match op {
        Op::Constant => "Constant",
        Op::Try => "Try",
        Op::Query => "Query",
        Op::Lambda => "Lambda",
        Op::Set(_) => "Set",
        Op::Lookup => "Lookup",
        Op::Let | Op::Loop => "Let",
        Op::Def => "Def",
    }
}

fn record(kind: RecordKind) -> &'static str {
    match kind {
        // The transaction and the op have one name.
        RecordKind::Invoke | RecordKind::Apply => "Invoke",
        RecordKind::Transfer => "Transfer",
        RecordKind::Call => "Call",
        RecordKind::Multi => "Multi",
        RecordKind::Belief => "Belief",
        RecordKind::State => "State",
        RecordKind::Block => "Block",
        RecordKind::Order => "Order",
        RecordKind::Account => "AccountStatus",
        RecordKind::Peer => "PeerStatus",
        RecordKind::Do => "Do",
        RecordKind::Cond => "Cond",
        RecordKind::Result => "Result",
        RecordKind::BlockResult => "BlockResult",
        RecordKind::Fn => "Fn",
        RecordKind::MultiFn => "MultiFn",
    }
}
