//! Environment look-ups along the chain of parents (`spec/02 §9.4`).

use cells::{Cell, Map, Symbol};

use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::state::Account;

/// The core account, whose definitions everybody inherits.
pub const CORE: u64 = 8;

impl Context<'_> {
    /// The value of a symbol as `address` sees it; `None` when nobody in its chain defines it, or when there is
    /// no such account.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn lookup(&self, address: u64, symbol: &Symbol) -> Outcome<Option<Cell>> {
        let mut at = address;
        for _ in 0..self.rules.max_lookup {
            let Some(account) = self.state.account(at)? else {
                return Ok(None);
            };
            if let Some(env) = account.environment()
                && let Some(value) = self.defined(at, env, symbol)?
            {
                return Ok(Some(value));
            }
            match next(at, account) {
                Some(parent) if parent != at => at = parent,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// As [`Context::lookup`], of nil, which ops can define like a symbol.
    pub(crate) fn lookup_nil(&self, address: u64) -> Outcome<Option<Cell>> {
        let mut at = address;
        for _ in 0..self.rules.max_lookup {
            let Some(account) = self.state.account(at)? else {
                return Ok(None);
            };
            if let Some(env) = account.environment()
                && let Some(value) = env.get(&Cell::Nil)?
            {
                return Ok(Some(value));
            }
            match next(at, account) {
                Some(parent) if parent != at => at = parent,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Metadata of a symbol as `address` sees it: those of the first account in its chain that defines it, empty
    /// when that has none; `None` when nobody defines it.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn lookup_meta(&self, address: u64, symbol: &Symbol) -> Outcome<Option<Map>> {
        let Some((account, found)) = self.definer(address, symbol)? else {
            return Ok(None);
        };
        let meta = self.own_meta(found.address, account, symbol)?;
        Ok(Some(meta.unwrap_or_else(Map::empty)))
    }

    /// What the environment of the account at `address` has for a symbol.
    #[inline]
    fn defined(&self, address: u64, env: &Map, symbol: &Symbol) -> Outcome<Option<Cell>> {
        Ok(if address == CORE {
            self.machine.core.value(env, symbol.hash())?
        } else {
            env.get_by_hash(symbol.hash())?
        })
    }

    /// Metadata that an account itself has for a symbol.
    pub(crate) fn own_meta(
        &self,
        address: u64,
        account: &Account,
        symbol: &Symbol,
    ) -> Outcome<Option<Map>> {
        let Some(metadata) = account.metadata() else {
            return Ok(None);
        };
        let meta = if address == CORE {
            self.machine.core.meta(metadata, symbol.hash())?
        } else {
            metadata.get_by_hash(symbol.hash())?
        };
        Ok(match meta {
            Some(Cell::Map(meta)) => Some(meta),
            _ => None,
        })
    }

    /// The first account in the chain that defines a symbol, with the symbol's value.
    pub(crate) fn definer(
        &self,
        address: u64,
        symbol: &Symbol,
    ) -> Outcome<Option<(&Account, Found)>> {
        let mut at = address;
        for _ in 0..self.rules.max_lookup {
            let Some(account) = self.state.account(at)? else {
                return Ok(None);
            };
            if let Some(env) = account.environment()
                && let Some(value) = self.defined(at, env, symbol)?
            {
                return Ok(Some((account, Found { address: at, value })));
            }
            if at == CORE {
                return Ok(None);
            }
            at = account.parent().unwrap_or(CORE);
        }
        Ok(None)
    }

    /// The value that an account itself, not its parents, gives to a symbol.
    pub(crate) fn own_value(&self, address: u64, symbol: &Symbol) -> Outcome<Option<Cell>> {
        let Some(account) = self.state.account(address)? else {
            return Ok(None);
        };
        let Some(env) = account.environment() else {
            return Ok(None);
        };
        Ok(env.get_by_hash(symbol.hash())?)
    }

    /// The function that actor calls of `symbol` on `address` reach (`spec/02 §10.4`).
    ///
    /// # Errors
    /// A host fault for a function without a metadata entry (`spec/02 §11`).
    pub fn callable_function(&self, address: u64, symbol: &Symbol) -> Outcome<Option<Cell>> {
        let Some(function) = self.own_value(address, symbol)? else {
            return Ok(None);
        };
        if !crate::call::is_function(&function) {
            return Ok(None);
        }
        let metadata = self.state.account(address)?.and_then(Account::metadata);
        let meta = match metadata {
            Some(all) => all.get_by_hash(symbol.hash())?,
            None => None,
        };
        match meta {
            Some(Cell::Map(meta)) => {
                let callable = meta.get(&crate::names::callable())?;
                Ok(callable.is_some_and(|c| c.is_truthy()).then_some(function))
            }
            _ => Err(Exit::host_fault(format!(
                "function {symbol:?} of #{address} has no metadata"
            ))),
        }
    }
}

/// What a look-up found, and where.
pub(crate) struct Found {
    pub(crate) address: u64,
    pub(crate) value: Cell,
}

/// The account asked after `at`. Core is its own parent unless it names one.
fn next(at: u64, account: &Account) -> Option<u64> {
    match account.parent() {
        Some(parent) => Some(parent),
        None if at == CORE => None,
        None => Some(CORE),
    }
}
