//! `convexctl sign` and `convexctl submit`: transactions on their way to a machine without a network and back, as lines of hex.

use std::path::Path;

use cells::print::print;
use cells::{Cell, Decoder, Hash, Signed, decode_message, encode_message};
use cvm::state::{Kind, Transaction};

use crate::cli;
use crate::destake;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::Out;
use crate::remote::{connect, no_answer, show};
use crate::terminal;
use crate::transact::{sign, unlock};

/// Longest file with transactions, bytes.
const MAX_FILE: usize = 1 << 20;
/// Longest form that is shown, bytes.
const MAX_FORM: usize = 100_000;
/// Begins a line that says something to people.
const REMARK: char = '#';

/// A signed transaction, and the bytes that it was read from.
pub(crate) struct Read {
    pub(crate) bytes: Vec<u8>,
    pub(crate) signed: Signed,
    pub(crate) transaction: Transaction,
}

/// The lines of a file that are no remarks, with their numbers.
pub(crate) fn lines(path: &Path) -> Result<Vec<(usize, String)>, Failure> {
    let bytes = files::read(path, MAX_FILE)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| not_one(path, 1, "no hex digits"))?;
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(REMARK));
    Ok(lines
        .map(|(number, line)| (number + 1, line.to_owned()))
        .collect())
}

/// A line that is not what it should be.
pub(crate) fn not_one(path: &Path, line: usize, why: &str) -> Failure {
    Failure::data(format!("{}, line {line}: {why}", path.display()))
}

/// A signed transaction from a line.
pub(crate) fn read_signed(line: &str) -> Result<Read, String> {
    let (bytes, cell) = decode(line)?;
    let Cell::Signed(signed) = cell else {
        return Err("nothing signed".to_owned());
    };
    if !signed.verify() {
        return Err("the signature is wrong".to_owned());
    }
    let value = signed.value().map_err(|error| error.to_string())?;
    Ok(Read {
        bytes,
        transaction: transaction(&value)?,
        signed,
    })
}

fn decode(line: &str) -> Result<(Vec<u8>, Cell), String> {
    let bytes = hex::decode(line).map_err(|_| "no hex digits".to_owned())?;
    let cell = decode_message(&bytes, &Decoder::new()).map_err(|error| error.to_string())?;
    Ok((bytes, cell))
}

fn transaction(value: &Cell) -> Result<Transaction, String> {
    let read = Transaction::from_cell(value).map_err(|error| error.to_string())?;
    read.ok_or_else(|| "no transaction".to_owned())
}

/// What a transaction says, in one line.
fn described(transaction: &Transaction) -> Result<String, Failure> {
    let what = match &transaction.kind {
        Kind::Invoke { command } => {
            let text = print(command, MAX_FORM).map_err(Failure::data)?;
            let text = text.ok_or_else(|| {
                Failure::data("the form is too long to be shown, and is not signed unseen")
            })?;
            // Nobody has looked at it yet: what moves the cursor would hide what is signed.
            String::from_utf8_lossy(&text)
                .chars()
                .flat_map(|c| {
                    if c.is_control() {
                        c.escape_unicode().collect::<Vec<_>>()
                    } else {
                        vec![c]
                    }
                })
                .collect()
        }
        Kind::Transfer { target, amount } => {
            format!("transfers {} to {target}", crate::amount::coins(*amount))
        }
        _ => {
            return Err(Failure::data(
                "a transaction of another kind than a form or a transfer is not signed here",
            ));
        }
    };
    Ok(format!(
        "#{}, sequence number {}: {what}",
        transaction.origin, transaction.sequence
    ))
}

/// Writes a transaction for `sign`.
pub(crate) fn write_unsigned(
    path: &Path,
    transaction: &Transaction,
    network: Hash,
) -> Result<(), Failure> {
    let bytes = encode_message(&transaction.to_cell()).map_err(Failure::data)?;
    let text = format!(
        "{REMARK} not signed yet: `convexctl sign`; for the network {network}\n{REMARK} {}\n{}\n",
        described(transaction)?,
        hex::encode(bytes)
    );
    std::fs::write(path, text).map_err(|error| {
        Failure::new(
            Exit::CantCreate,
            format!("{} can't be written: {error}", path.display()),
        )
    })
}

/// Shows what is to be signed, asks, signs.
pub(crate) fn run_sign(args: &cli::Sign, out: &mut Out) -> Result<Exit, Failure> {
    let mut transactions = Vec::new();
    for (number, line) in lines(&args.file)? {
        let read = decode(&line).and_then(|(_, cell)| transaction(&cell));
        let read = read.map_err(|why| {
            not_one(&args.file, number, &why)
                .remedy("make it with --unsigned of the commands that change a stake")
        })?;
        eprintln!("{}", described(&read)?);
        transactions.push(read);
    }
    if transactions.is_empty() {
        return Err(Failure::data(format!(
            "{} holds no transaction",
            args.file.display()
        )));
    }
    if !args.yes {
        terminal::confirm("This signs what is shown.")?;
    }
    let seed = unlock(
        &args.key_store,
        args.key.as_deref(),
        args.passphrase_file.as_deref(),
    )?;
    for transaction in transactions {
        let signed = sign(&transaction.to_cell(), &seed)?;
        let bytes = encode_message(&Cell::from(signed)).map_err(Failure::data)?;
        out.line(hex::encode(bytes))?;
    }
    Ok(Exit::Ok)
}

/// Has a transaction executed that was signed elsewhere.
pub(crate) fn run_submit(args: &cli::Submit, out: &mut Out) -> Result<Exit, Failure> {
    let lines = lines(&args.file)?;
    let [(number, line)] = lines.as_slice() else {
        return Err(Failure::data(format!(
            "{} holds {} transactions: one is sent at a time",
            args.file.display(),
            lines.len()
        )));
    };
    let read = read_signed(line).map_err(|why| {
        not_one(&args.file, *number, &why).remedy("sign it with `convexctl sign`")
    })?;
    eprintln!("{}", described(&read.transaction)?);
    let (mut client, host) = connect(&args.at)?;
    if let Some(network) = args.network {
        let status = client.status().map_err(|error| no_answer(&host, &error))?;
        if status.genesis != network {
            return Err(Failure::new(
                Exit::Negative,
                format!("{host} is of the network {}", status.genesis),
            )
            .remedy("name a peer of the right network with --peer HOST:PORT"));
        }
    }
    let reply = client
        .transact(read.signed)
        .map_err(|error| no_answer(&host, &error))?;
    let exit = show(&reply, args.json, out)?;
    out.flush()?;
    destake::remind(&args.on, read.transaction.origin, read.transaction.sequence);
    Ok(exit)
}
