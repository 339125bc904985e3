//! What execution costs (`spec/02 §12.4`). Amounts are units of juice; formulas saturate at 2^63-1.

/// Largest amount: a cost that nothing can pay.
pub const MAX: u64 = i64::MAX as u64;

/// Juice limit of a transaction, of a scheduled operation and of each part of a multi transaction.
pub const TRANSACTION_LIMIT: u64 = 10_000_000;
/// Charged for every transaction.
pub const TRANSACTION_BASE: u64 = 500;
/// Charged for each byte of a transaction.
pub const TRANSACTION_BYTE: u64 = 20;

/// Constant op.
pub const CONSTANT: u64 = 5;
/// `do`.
pub const DO: u64 = 5;
/// Local variable.
pub const LOCAL: u64 = 15;
/// Environment look-up.
pub const LOOKUP: u64 = 40;
/// Special op.
pub const SPECIAL: u64 = 10;
/// `def`, `undef*`.
pub const DEF: u64 = 100;
/// `cond`.
pub const COND: u64 = 20;
/// `let`, `loop`.
pub const LET: u64 = 30;
/// Each attempted branch of `try`.
pub const TRY: u64 = 50;
/// `query`.
pub const QUERY: u64 = 10;
/// `fn`.
pub const LAMBDA: u64 = 100;
/// `set!` of a local.
pub const SET_LOCAL: u64 = 20;
/// `call*`.
pub const CALL: u64 = 100;
/// `accept`.
pub const ACCEPT: u64 = 200;
/// `recur`, `tailcall*`.
pub const RECUR: u64 = 30;
/// `return`, `halt`, `rollback`, `reduced`.
pub const RETURN: u64 = 20;
/// `eval`, `eval-as`, `query-as`.
pub const EVAL: u64 = 500;
/// `deploy`.
pub const DEPLOY: u64 = 1000;
/// Expansion of a leaf.
pub const EXPAND_CONSTANT: u64 = 40;
/// Expansion of a collection.
pub const EXPAND_COLLECTION: u64 = 100;
/// Compilation of a constant.
pub const COMPILE_CONSTANT: u64 = 30;
/// Compilation of a look-up, local or static value.
pub const COMPILE_LOOKUP: u64 = 50;
/// Compilation of any other node.
pub const COMPILE_NODE: u64 = 200;
/// Milliseconds of delay that cost one unit in `schedule*`.
pub const SCHEDULE_MILLIS: i64 = 360_000;
/// A data structure, and each of its elements.
pub const BUILD: u64 = 50;
/// A string built.
pub const STRING: u64 = 20;
/// A blob built.
pub const BLOB: u64 = 20;
/// Each byte built.
pub const BYTE: u64 = 1;
/// Simple functions, arithmetic, casts.
pub const SIMPLE: u64 = 20;
/// `meta` and the like.
pub const CHEAP: u64 = 10;
/// `=`.
pub const EQUALS: u64 = 20;
/// Numeric comparison.
pub const COMPARE: u64 = 10;
/// `get`, each step of `get-in`.
pub const GET: u64 = 30;
/// `set-holding` and other setters of account fields.
pub const ASSOC: u64 = 150;
/// Each level of `assoc-in`.
pub const ASSOC_IN: u64 = 180;
/// `balance`.
pub const BALANCE: u64 = 50;
/// `apply`.
pub const APPLY: u64 = 50;
/// `map`.
pub const MAP: u64 = 100;
/// `reduce`.
pub const REDUCE: u64 = 100;
/// Each element compared by set functions.
pub const SET_COMPARE: u64 = 10;
/// Hash functions.
pub const HASH: u64 = 1000;
/// Each byte hashed.
pub const HASH_BYTE: u64 = 20;
/// `log`, beside the vector that it builds.
pub const LOG: u64 = 1000;
/// `transfer`, `set-memory`, `transfer-memory`, `set-stake`.
pub const TRANSFER: u64 = 200;
/// A memory trade, and each delegator of an evicted peer.
pub const TRADE: u64 = 200;
/// Changes of a peer.
pub const PEER_UPDATE: u64 = 1000;
/// `lookup`, `lookup-meta`, `callable?`, `get-holding`, `get-stake`.
pub const LOOKUP_FUNCTION: u64 = 15;

/// `base + each * n`, saturating.
#[must_use]
pub fn linear(base: u64, each: u64, n: u64) -> u64 {
    each.saturating_mul(n).saturating_add(base).min(MAX)
}

/// A data structure of `n` elements; an entry of a map counts as two.
#[must_use]
pub fn build(n: u64) -> u64 {
    linear(BUILD, BUILD, n)
}

/// A part of a string or blob of `n` bytes.
#[must_use]
pub fn slice(n: u64) -> u64 {
    linear(BUILD, BYTE, n)
}

/// A string of `n` bytes.
#[must_use]
pub fn string(n: u64) -> u64 {
    linear(STRING, BYTE, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_saturate_instead_of_wrapping() {
        assert_eq!(build(3), 200);
        assert_eq!(build(u64::MAX), MAX);
        assert_eq!(string(u64::MAX), MAX);
    }
}
