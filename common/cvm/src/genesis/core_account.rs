//! The core account #8: native functions, special values and special forms with their documentation, and the part
//! of the library that is written in Lisp (`spec/03 §1.1`, `§6`, `§7`).

use cells::{Cell, Keyword, Map, Symbol, Vector};

use super::{Builder, GenesisError, read_data};
use crate::env::CORE;
use crate::natives::{Kind, Native};
use crate::rules::Rules;
use crate::special::SPECIALS;
use crate::state::Account;

const DOCS_FILE: &str = "special-docs.cvx";
const DOCS: &str = include_str!("../../lisp/special-docs.cvx");
const CORE_FILE: &str = "core.cvx";
const CORE_SOURCE: &str = include_str!("../../lisp/core.cvx");

/// Native functions that are marked as special, beside being static.
const SPECIAL_NATIVES: [&str; 6] = ["quote", "reverse", "lookup", "recur", "return", "rollback"];

/// Special forms that are bound to their own symbols.
const FORMS: [&str; 8] = ["cond", "def", "do", "fn", "let", "loop", "query", "set!"];

/// Special ops that the core account does not bind.
const UNBOUND: [&str; 3] = ["*juice-price*", "*scope*", "*env*"];

fn keyword(name: &'static str) -> Cell {
    Cell::from(Keyword::literal(name))
}

/// A symbol where the text is one, else the text.
fn symbol_or_text(text: &str) -> Cell {
    match Symbol::new(text.as_bytes()) {
        Some(symbol) if !text.contains(char::is_whitespace) => Cell::from(symbol),
        _ => Cell::from(text),
    }
}

/// Documentation of a native function, in the form in which definitions carry it.
fn documentation(native: &Native) -> Result<Cell, GenesisError> {
    let mut signature = Vector::empty();
    for params in native.params {
        let params: Vector = params.split_whitespace().map(symbol_or_text).collect();
        let mut form = Map::empty().assoc(keyword("params"), Cell::from(params))?;
        if native.kind != Kind::Expander {
            form = form.assoc(keyword("return"), symbol_or_text(native.returns))?;
        }
        signature = signature.push(Cell::from(form))?;
    }
    let mut examples = Vector::empty();
    for (code, result) in native.examples {
        let example = Map::empty()
            .assoc(keyword("code"), Cell::from(*code))?
            .assoc(keyword("result"), Cell::from(*result))?;
        examples = examples.push(Cell::from(example))?;
    }
    let mut doc = Map::empty()
        .assoc(keyword("description"), Cell::from(native.doc))?
        .assoc(keyword("signature"), Cell::from(signature))?
        .assoc(keyword("examples"), Cell::from(examples))?;
    if !native.errors.is_empty() {
        let mut errors = Map::empty();
        for (code, _) in native.errors {
            // A code may be listed for more than one reason.
            let reasons: Vec<_> = native
                .errors
                .iter()
                .filter(|(c, _)| c == code)
                .map(|(_, when)| *when)
                .collect();
            errors = errors.assoc(code.cell(), Cell::from(reasons.join(" ").as_str()))?;
        }
        doc = doc.assoc(keyword("errors"), Cell::from(errors))?;
    }
    Ok(Cell::from(doc))
}

/// Environment and metadata that are collected.
struct Bindings {
    environment: Map,
    metadata: Map,
}

impl Bindings {
    fn bind(&mut self, name: &str, value: Cell, metadata: Map) -> Result<(), GenesisError> {
        let symbol = symbol_or_text(name);
        self.environment = self.environment.clone().assoc(symbol.clone(), value)?;
        self.metadata = self.metadata.clone().assoc(symbol, Cell::from(metadata))?;
        Ok(())
    }
}

/// Adds #8.
pub(super) fn add(builder: &mut Builder) -> Result<(), GenesisError> {
    let yes = Cell::Bool(true);
    let mut bindings = Bindings {
        environment: Map::empty(),
        metadata: Map::empty(),
    };
    for native in Rules::latest().natives() {
        let mut flags = Map::empty().assoc(keyword("static"), yes.clone())?;
        if SPECIAL_NATIVES.contains(&native.symbol) {
            flags = flags.assoc(keyword("special"), yes.clone())?;
        }
        if native.symbol == "quote" {
            flags = flags.assoc(keyword("expander"), yes.clone())?;
        }
        let flags = flags.assoc(keyword("doc"), documentation(native)?)?;
        bindings.bind(native.symbol, Cell::Core(native.code), flags)?;
    }

    let Cell::Map(docs) = read_data(DOCS_FILE, DOCS)? else {
        return Err(GenesisError::Data {
            file: DOCS_FILE,
            what: "not a map",
        });
    };
    let special = |name: &str| -> Result<Map, GenesisError> {
        let doc = docs.get(&symbol_or_text(name))?.ok_or(GenesisError::Data {
            file: DOCS_FILE,
            what: "a special value or form is not documented",
        })?;
        Ok(Map::empty()
            .assoc(keyword("special"), yes.clone())?
            .assoc(keyword("doc"), doc)?)
    };
    for (code, name) in SPECIALS
        .iter()
        .enumerate()
        .filter(|(_, name)| !UNBOUND.contains(name))
    {
        bindings.bind(name, Cell::Special(code as u8), special(name)?)?;
    }
    for name in FORMS {
        bindings.bind(name, symbol_or_text(name), special(name)?)?;
    }

    let mut account = Account::default();
    // Every form that is run looks for `*lang*`; the first form of the library documents it.
    let lang = symbol_or_text("*lang*");
    account.set_environment(Some(bindings.environment.assoc(lang, Cell::Nil)?));
    account.set_metadata(Some(bindings.metadata));
    let address = builder.state.push_account(account);
    debug_assert_eq!(address, CORE);
    builder.evaluate(CORE_FILE, CORE_SOURCE, CORE)
}
