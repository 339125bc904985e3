//! `convexctl transact`: sign, send, print.

use std::path::Path;

use cells::{Cell, Signed};
use client::Client;
use crypto::AccountKey;
use cvm::state::{Kind, Transaction};
use keys::file::Owner;
use keys::{KeyStore, MAX_STORE_BYTES, Passphrase, Seed};

use crate::cli;
use crate::destake;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local::{Layout, UserFiles};
use crate::output::Out;
use crate::remote::{connect, form, no_answer, show};

pub(crate) fn run(args: &cli::Transact, out: &mut Out) -> Result<Exit, Failure> {
    let command = form(&args.form)?;
    let local = Layout::default_directory().map(Layout::new);
    let user = local
        .as_ref()
        .map(Layout::user)
        .filter(|user| user.key_store().exists());
    let (store, passphrase) = match (&args.key_store, &user) {
        (Some(store), _) => (store.clone(), args.passphrase_file.clone()),
        (None, Some(user)) => (user.key_store(), Some(user.passphrase())),
        (None, None) => {
            return Err(Failure::usage("no key to sign with")
                .remedy("name a key store with --key-store, or start a network with `convexctl local start`"));
        }
    };
    let address = match (args.address, &user) {
        (Some(address), _) => address,
        (None, Some(_)) if args.key_store.is_none() => UserFiles::ADDRESS,
        _ => return Err(Failure::usage("no account that acts").remedy("name it with --address")),
    };
    let seed = unlock(&store, args.key.as_deref(), passphrase.as_deref())?;
    let (mut client, host) = connect(&args.at)?;
    let sequence = match args.sequence {
        Some(sequence) => sequence,
        None => next_sequence(&mut client, address, &host)?,
    };
    let transaction = Transaction {
        origin: address,
        sequence,
        kind: Kind::Invoke { command },
    };
    let signed = sign(&transaction.to_cell(), &seed)?;
    drop(seed);
    let reply = client
        .transact(signed)
        .map_err(|error| no_answer(&host, &error))?;
    let exit = show(&reply, args.json, out)?;
    out.flush()?;
    destake::remind(&args.on, address, sequence);
    Ok(exit)
}

/// A value signed with a key that is in memory for this alone.
pub(crate) fn sign(value: &Cell, seed: &Seed) -> Result<Signed, Failure> {
    let key = seed
        .signing_key()
        .map_err(|error| Failure::new(Exit::Software, error))?;
    Ok(Signed::sign(&key, value.clone()))
}

/// The number that the next transaction of an account needs.
pub(crate) fn next_sequence(client: &mut Client, address: u64, host: &str) -> Result<i64, Failure> {
    let question = form(&format!("(:sequence (account #{address}))"))?;
    let reply = client
        .query(question, None)
        .map_err(|error| no_answer(host, &error))?;
    match reply.value {
        Cell::Long(last) if reply.error == Cell::Nil => Ok(last.saturating_add(1)),
        _ => Err(Failure::new(
            Exit::Negative,
            format!("there is no account #{address}"),
        )),
    }
}

/// A key of a key store.
pub(crate) fn unlock(
    store: &Path,
    key: Option<&str>,
    passphrase: Option<&Path>,
) -> Result<Seed, Failure> {
    let bytes = keys::file::read(store, MAX_STORE_BYTES, Owner::AnyForRoot)
        .map_err(|error| Failure::new(Exit::NoPermission, error))?;
    let passphrase = read_passphrase(passphrase)?;
    let entries = KeyStore::parse(&bytes, Some(&passphrase))
        .map_err(|error| Failure::data(format!("{}: {error}", store.display())))?;
    let known: Vec<AccountKey> = entries.entries().filter_map(|entry| entry.key).collect();
    let wanted = match (key, known.as_slice()) {
        (Some(text), _) => {
            let text = text.trim_start_matches("0x").to_lowercase();
            *known
                .iter()
                .find(|key| hex::encode(key.as_bytes()).starts_with(&text))
                .ok_or_else(|| {
                    let store = store.display();
                    Failure::data(format!("{store} holds no key {text}")).remedy(format!(
                        "`convexctl key list --key-store {store}` tells which it holds"
                    ))
                })?
        }
        (None, [only]) => *only,
        (None, []) => return Err(Failure::data(format!("{} holds no key", store.display()))),
        (None, _) => {
            return Err(
                Failure::usage(format!("{} holds several keys", store.display()))
                    .remedy("choose one with --key"),
            );
        }
    };
    entries
        .unlock(&wanted, &passphrase)
        .map_err(|error| Failure::data(format!("{}: {error}", store.display())))
}

/// From a file, or from the terminal without an echo.
pub(crate) fn read_passphrase(file: Option<&Path>) -> Result<Passphrase, Failure> {
    let Some(path) = file else {
        return crate::terminal::passphrase("Passphrase: ");
    };
    let bytes = keys::file::read(path, keys::MAX_PASSPHRASE_BYTES + 2, Owner::AnyForRoot)
        .map_err(|error| Failure::new(Exit::NoPermission, error))?;
    Passphrase::read_from(&mut bytes.as_slice()).map_err(Failure::data)
}
