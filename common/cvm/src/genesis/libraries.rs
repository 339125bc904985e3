//! The libraries that live in accounts of their own, their entries in the registry, and their names.

use cells::{Cell, Index};

use super::{Builder, GenesisError, layout, read_data};
use crate::state::Account;

/// The registry and name service.
const REGISTRY: u64 = 9;
/// Torus, the only library that is not under [`layout::GOVERNANCE`].
const TORUS: u64 = 66;
/// The foundation.
const FOUNDATION: u64 = 2;
/// Account of the first currency.
const CURRENCY: u64 = 128;

/// A library: its file, its source, and its name.
struct Library {
    file: &'static str,
    source: &'static str,
    name: &'static str,
}

/// A library from its file.
macro_rules! library {
    ($file:literal, $name:literal) => {
        Library {
            file: $file,
            source: include_str!(concat!("../../lisp/", $file)),
            name: $name,
        }
    };
}

/// #9 and #10. Their names are given by [`NAMES`].
const STATIC: [Library; 2] = [library!("registry.cvx", ""), library!("trust.cvx", "")];

/// #64 to #77.
const STANDARD: [Library; 14] = [
    library!("fungible.cvx", "convex.fungible"),
    library!("asset.cvx", "convex.asset"),
    library!("torus.cvx", "torus.exchange"),
    library!("nft-simple.cvx", "asset.nft.simple"),
    library!("nft-basic.cvx", "asset.nft.basic"),
    library!("box-actor.cvx", "asset.box.actor"),
    library!("box.cvx", "asset.box"),
    library!("multi-token.cvx", "asset.multi-token"),
    library!("wrap.cvx", "asset.wrap.convex"),
    library!("ownership-monitor.cvx", "convex.trust.ownership-monitor"),
    library!("delegate.cvx", "convex.trust.delegate"),
    library!("whitelist.cvx", "convex.trust.whitelist"),
    library!("monitors.cvx", "convex.trust.monitors"),
    Library {
        file: "(empty)",
        source: "",
        name: "convex.governance",
    },
];

const NAMES: Library = library!("genesis-names.cvx", "");
const CURRENCIES: Library = library!("genesis-currencies.cvx", "");
const ENTRIES: Library = library!("registry-entries.cvx", "");

/// Makes an account for a library and evaluates the library in it.
fn deploy(builder: &mut Builder, library: &Library) -> Result<u64, GenesisError> {
    let mut account = Account::default();
    account.set_controller(Cell::Address(layout::GOVERNANCE));
    let address = builder.state.push_account(account);
    builder.evaluate(library.file, library.source, address)?;
    Ok(address)
}

/// Gives an account a name.
fn name(
    builder: &mut Builder,
    file: &'static str,
    name: &str,
    address: u64,
) -> Result<(), GenesisError> {
    builder.evaluate(
        file,
        &format!("(#9/create '{name} #{address})"),
        layout::GOVERNANCE,
    )
}

/// Adds #9 and #10, the entries of accounts that don't register themselves, and the first names.
pub(super) fn add_static(builder: &mut Builder) -> Result<(), GenesisError> {
    for library in &STATIC {
        deploy(builder, library)?;
    }
    add_entries(builder)?;
    builder.evaluate(NAMES.file, NAMES.source, layout::GOVERNANCE)
}

/// Writes the entries into the holdings of the registry.
fn add_entries(builder: &mut Builder) -> Result<(), GenesisError> {
    let Cell::Map(entries) = read_data(ENTRIES.file, ENTRIES.source)? else {
        return Err(GenesisError::Data {
            file: ENTRIES.file,
            what: "not a map",
        });
    };
    let Some(registry) = builder.state.account_mut(REGISTRY)? else {
        return Err(GenesisError::Data {
            file: ENTRIES.file,
            what: "the registry does not exist yet",
        });
    };
    let mut holdings = registry.holdings().cloned().unwrap_or_else(Index::empty);
    for entry in entries.iter() {
        let (address, data) = entry?;
        if !matches!(address, Cell::Address(_)) {
            return Err(GenesisError::Data {
                file: ENTRIES.file,
                what: "an entry is not under an address",
            });
        }
        holdings = holdings.assoc(address, data)?.ok_or(GenesisError::Data {
            file: ENTRIES.file,
            what: "an address is no key",
        })?;
    }
    registry.set_holdings(Some(holdings));
    Ok(())
}

/// Adds #64 to #77, each with its name.
pub(super) fn add_standard(builder: &mut Builder) -> Result<(), GenesisError> {
    for library in &STANDARD {
        let address = deploy(builder, library)?;
        name(builder, library.file, library.name, address)?;
    }
    let Some(torus) = builder.state.account_mut(TORUS)? else {
        return Err(GenesisError::Data {
            file: "torus.cvx",
            what: "the account does not exist",
        });
    };
    torus.set_controller(Cell::Address(FOUNDATION));
    Ok(())
}

/// Adds the currencies and their markets, #128 to #131.
pub(super) fn add_currencies(builder: &mut Builder) -> Result<(), GenesisError> {
    builder.evaluate(CURRENCIES.file, CURRENCIES.source, layout::USER)?;
    for (number, symbol) in ["USDF", "GBPF"].into_iter().enumerate() {
        name(
            builder,
            CURRENCIES.file,
            &format!("currency.{symbol}"),
            CURRENCY + 2 * number as u64,
        )?;
    }
    Ok(())
}
