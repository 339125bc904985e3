//! First bytes of encodings (`spec/01 §3`).

/// `nil`.
pub const NIL: u8 = 0x00;
/// Integer zero; `INTEGER + n` is an integer of n bytes, n = 1..=8.
pub const INTEGER: u8 = 0x10;
/// Integer of 9..=4096 bytes.
pub const BIG_INTEGER: u8 = 0x19;
/// Double.
pub const DOUBLE: u8 = 0x1d;
/// Branch: the hash of a child that is not embedded. Only inside another cell.
pub const BRANCH: u8 = 0x20;
/// String.
pub const STRING: u8 = 0x30;
/// Blob.
pub const BLOB: u8 = 0x31;
/// Symbol.
pub const SYMBOL: u8 = 0x32;
/// Keyword.
pub const KEYWORD: u8 = 0x33;
/// Character of one byte; up to `CHAR + 2` for three bytes.
pub const CHAR: u8 = 0x3c;
/// Vector.
pub const VECTOR: u8 = 0x80;
/// List.
pub const LIST: u8 = 0x81;
/// Hash map.
pub const MAP: u8 = 0x82;
/// Set.
pub const SET: u8 = 0x83;
/// Index.
pub const INDEX: u8 = 0x84;
/// Syntax object.
pub const SYNTAX: u8 = 0x88;
/// Signed data.
pub const SIGNED: u8 = 0x90;
/// Signed data without its key.
pub const SIGNED_KEYLESS: u8 = 0x91;
/// First byte flag (`b0` = false); `b1` = true, up to `bf`.
pub const FLAG: u8 = 0xb0;
/// First coded value; up to `cf`.
pub const CODED: u8 = 0xc0;
/// Lookup op.
pub const LOOKUP: u8 = 0xc1;
/// Let op.
pub const LET: u8 = 0xc2;
/// Loop op.
pub const LOOP: u8 = 0xc3;
/// Def op.
pub const DEF: u8 = 0xcd;
/// First dense record; up to `df`.
pub const RECORD: u8 = 0xd0;
/// First extension value; up to `ef`.
pub const EXTENSION: u8 = 0xe0;
/// Special op.
pub const SPECIAL: u8 = 0xe5;
/// Local variable op.
pub const LOCAL: u8 = 0xe6;
/// Address.
pub const ADDRESS: u8 = 0xea;
/// Core definition.
pub const CORE: u8 = 0xed;

/// Code (the byte flag in a `c0` coded value) of a constant op.
pub const CODE_CONSTANT: u8 = 0xb0;
/// Code of a try op.
pub const CODE_TRY: u8 = 0xba;
/// Code of a query op.
pub const CODE_QUERY: u8 = 0xbb;
/// Code of a lambda op.
pub const CODE_LAMBDA: u8 = 0xbf;
