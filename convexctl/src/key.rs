//! `convexctl key`: the key store of a peer or an account.
//!
//! While it runs, this process holds secrets: it can't be dumped or traced, and they are in locked memory. None comes from the command line or the
//! environment.

use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use crypto::AccountKey;
use ipc::control::{Reply, Request};
use keys::file::{self, FileError, Owner};
use keys::mnemonic::{Mnemonic, WordCount};
use keys::pem;
use keys::{
    Cost, EntryKind, Integrity, KeyStore, KeyStoreError, MAX_STORE_BYTES, Passphrase, Seed,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::cli;
use crate::control::{Connection, run_directory, unexpected};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;
use crate::transact::read_passphrase;

/// Longest file with a seed, words, or a key as PEM.
const MAX_SECRET: usize = 1024;

pub(crate) fn run(command: cli::Key, out: &mut Out) -> Result<Exit, Failure> {
    harden()?;
    match command {
        cli::Key::Generate { store, words } => generate(&store, words, out),
        cli::Key::Import(args) => import(&args, out),
        cli::Key::List { key_store } => list(&key_store, out),
        cli::Key::Show { store, key } => show(&store, &key, out),
        cli::Key::Unlock {
            on,
            passphrase_file,
        } => unlock(&on, passphrase_file.as_deref(), out),
    }
}

/// No other program of this user can look in, and nothing of it is written to a core dump.
fn harden() -> Result<(), Failure> {
    let fail = |error| {
        Failure::new(
            Exit::Software,
            format!("can't protect the memory of this process: {error}"),
        )
    };
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(fail)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).map_err(fail)
}

fn generate(
    args: &cli::KeyStoreArgs,
    words: Option<usize>,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let software = |error: &dyn std::fmt::Display| Failure::new(Exit::Software, error);
    let (seed, mnemonic) = match words {
        None => (Seed::generate().map_err(|error| software(&error))?, None),
        Some(count) => {
            let count = WordCount::try_from(count).map_err(Failure::usage)?;
            let mnemonic = Mnemonic::generate(count).map_err(|error| software(&error))?;
            let seed = mnemonic
                .seed(None, &keys::mnemonic::Path::default())
                .map_err(|error| software(&error))?;
            (seed, Some(mnemonic))
        }
    };
    let key = insert(args, &seed)?;
    out.line(hex::encode(key.as_bytes()))?;
    out.flush()?;
    eprintln!("The key is in {}.", args.key_store.display());
    if let Some(mnemonic) = mnemonic {
        eprintln!(
            "Write down these words, and where they can't be found by others; with them the key can be imported again\n\
             (path {}). They are not shown a second time.",
            keys::mnemonic::Path::default()
        );
        out.line(mnemonic.phrase())?;
    }
    Ok(Exit::Ok)
}

fn import(args: &cli::KeyImport, out: &mut Out) -> Result<Exit, Failure> {
    let secret = match &args.file {
        Some(path) => {
            let bytes = file::read(path, MAX_SECRET, Owner::AnyForRoot)
                .map_err(|error| Failure::new(Exit::NoPermission, error))?;
            Passphrase::read_from(&mut bytes.as_slice()).map_err(Failure::data)?
        }
        None => crate::terminal::passphrase("Seed (64 hex digits) or words: ")?,
    };
    let text = secret.expose().trim();
    let seed = if pem::is_pem(text) {
        let passphrase = match &args.pem_passphrase_file {
            Some(path) => Some(read_passphrase(Some(path))?),
            None if pem::is_encrypted(text) => {
                Some(crate::terminal::passphrase("Passphrase of the PEM file: ")?)
            }
            None => None,
        };
        pem::seed(text, passphrase.as_ref()).map_err(Failure::data)?
    } else if text.contains(char::is_whitespace) {
        words(args, text)?
    } else {
        Seed::from_hex(text).map_err(Failure::data)?
    };
    let key = insert(&args.store, &seed)?;
    out.line(hex::encode(key.as_bytes()))?;
    Ok(Exit::Ok)
}

/// The seed that words stand for.
fn words(args: &cli::KeyImport, text: &str) -> Result<Seed, Failure> {
    let path = match &args.path {
        Some(path) => path.parse().map_err(Failure::usage)?,
        None => keys::mnemonic::Path::default(),
    };
    let extra = match (&args.words_passphrase_file, args.words_passphrase) {
        (Some(path), _) => Some(read_passphrase(Some(path))?),
        (None, true) => Some(crate::terminal::passphrase("Passphrase of the words: ")?),
        (None, false) => None,
    };
    Mnemonic::parse(text)
        .and_then(|mnemonic| mnemonic.seed(extra.as_ref(), &path))
        .map_err(Failure::data)
}

/// Adds a key to the store, which is made if it is missing. A key that is there already stays as it is.
fn insert(args: &cli::KeyStoreArgs, seed: &Seed) -> Result<AccountKey, Failure> {
    let path = &args.key_store;
    let new = !path.exists();
    let passphrase = read_passphrase(args.passphrase_file.as_deref())?;
    if new && args.passphrase_file.is_none() {
        let again = crate::terminal::passphrase("Once more: ")?;
        if again.expose() != passphrase.expose() {
            return Err(Failure::data("the two passphrases differ"));
        }
    }
    if passphrase.is_empty() {
        return Err(Failure::data("an empty passphrase protects nothing"));
    }
    let key = seed.account_key();
    let change = |old: Option<&[u8]>| -> Result<_, Change> {
        let mut store = match old {
            Some(bytes) => KeyStore::parse(bytes, Some(&passphrase))?,
            None => KeyStore::new(),
        };
        if store.entries().any(|entry| entry.key == Some(key)) {
            return Err(Change::There);
        }
        store.insert(seed, &passphrase, Cost::default(), SystemTime::now())?;
        Ok(store.to_bytes(&passphrase, Cost::default())?.into())
    };
    file::update(path, MAX_STORE_BYTES, change).map_err(|error| match error {
        Change::There => Failure::new(
            Exit::CantCreate,
            format!(
                "{} holds the key {} already",
                path.display(),
                hex::encode(key.as_bytes())
            ),
        ),
        Change::Store(error) => Failure::data(format!("{}: {error}", path.display())),
        Change::File(error) => Failure::new(Exit::CantCreate, error),
    })?;
    Ok(key)
}

/// Why a store was not changed.
enum Change {
    There,
    Store(KeyStoreError),
    File(FileError),
}

impl From<FileError> for Change {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<KeyStoreError> for Change {
    fn from(error: KeyStoreError) -> Self {
        Self::Store(error)
    }
}

fn open(path: &Path, passphrase: Option<&Passphrase>) -> Result<KeyStore, Failure> {
    let bytes = file::read(path, MAX_STORE_BYTES, Owner::AnyForRoot).map_err(|error| {
        let exit = match &error {
            FileError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Exit::NoInput
            }
            _ => Exit::NoPermission,
        };
        Failure::new(exit, error)
    })?;
    KeyStore::parse(&bytes, passphrase)
        .map_err(|error| Failure::data(format!("{}: {error}", path.display())))
}

fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Secret => "secret bag",
        EntryKind::PrivateKey => "private key with a certificate",
    }
}

fn list(path: &Path, out: &mut Out) -> Result<Exit, Failure> {
    for entry in open(path, None)?.entries() {
        out.line(match entry.key {
            Some(key) => hex::encode(key.as_bytes()),
            None => format!("{:?} ({})", entry.alias, kind(entry.kind)),
        })?;
    }
    Ok(Exit::Ok)
}

fn show(args: &cli::KeyStoreArgs, wanted: &str, out: &mut Out) -> Result<Exit, Failure> {
    let passphrase = read_passphrase(args.passphrase_file.as_deref())?;
    let store = open(&args.key_store, Some(&passphrase))?;
    let wanted = wanted.trim_start_matches("0x").to_lowercase();
    let found = store
        .entries()
        .find(|entry| entry.alias.to_lowercase().starts_with(&wanted))
        .ok_or_else(|| {
            Failure::data(format!(
                "{} holds no key {wanted}",
                args.key_store.display()
            ))
        })?;
    let seed = store
        .unlock_alias(found.alias, &passphrase)
        .map_err(|error| Failure::data(format!("{}: {error}", args.key_store.display())))?;
    out.line(format!(
        "public key  {}",
        hex::encode(seed.account_key().as_bytes())
    ))?;
    out.line(format!("name        {}", found.alias))?;
    out.line(format!("kept as     {}", kind(found.kind)))?;
    out.line(format!(
        "store       {}, {}",
        args.key_store.display(),
        match store.integrity() {
            Integrity::Verified => "unchanged since it was written",
            Integrity::NoMac => "WITHOUT a checksum: nothing tells whether entries were changed",
            Integrity::Unchecked => "checksum not checked",
        }
    ))?;
    out.line("the passphrase opens it, and the private key belongs to the public one")?;
    Ok(Exit::Ok)
}

fn unlock(
    on: &cli::Control,
    passphrase_file: Option<&Path>,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let passphrase = read_passphrase(passphrase_file)?;
    let mut connection = Connection::open(&run_directory(on))?;
    match connection.call(&Request::Unlock)? {
        Reply::Done => {}
        other => return Err(unexpected(&other)),
    }
    // It goes through the supervisor unread, within the kernel.
    let mut stream = connection.into_stream();
    stream
        .write_all(passphrase.expose().as_bytes())
        .and_then(|()| stream.shutdown(std::net::Shutdown::Write))
        .map_err(|error| {
            Failure::new(
                Exit::Io,
                format!("the passphrase was not passed on: {error}"),
            )
        })?;
    out.line("the passphrase is with keyd; `convexctl status` tells whether it fits")?;
    Ok(Exit::Ok)
}
