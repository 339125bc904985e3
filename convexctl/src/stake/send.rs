//! A change from the first look at the state to the last.

use std::path::Path;

use cells::Cell;
use client::ClientError;
use cvm::state::{Kind, ResultRecord, Transaction};
use cvm::transition::{QueryError, preview};
use cvm::{Machine, Rules};
use serde_json::json;
use wire::Reply;

use super::change::Change;
use super::effect::{Bill, Effect, standing_json, table};
use super::standing::Standing;
use super::{Target, standing};
use crate::chain::{Chain, Snapshot};
use crate::cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local::{Layout, UserFiles};
use crate::output::Out;
use crate::remote::{form, no_answer};
use crate::transact::{sign, unlock};
use crate::{destake, offline, terminal};

/// Error codes that are about the peer, not about the transaction: it may work a little later, or elsewhere.
const PASSING: [&str; 3] = [":TIMEOUT", ":LOAD", ":NETWORK"];

/// Finds the effect of a change, asks, has it executed, and looks whether it was done.
pub(super) fn run(
    by: &cli::Acting,
    below_minimum: bool,
    change: &Change,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let target = Target::of(&by.which)?;
    let chain = Chain::open(&by.which.at)?;
    target.check_network(&chain)?;
    let mut snapshot = chain.snapshot()?;
    let peer = target.key;
    let account = account(by, &chain, &snapshot, &peer)?;
    let before = standing(&chain, &snapshot, &peer, account)?;
    change.check(account, &before, below_minimum)?;
    let text = change.form(&peer, before.key.as_ref());
    let command = form(&text)?;
    let state = snapshot.hash;
    let (result, after) = execute(&chain, &mut snapshot, &peer, account, command.clone())?;
    refused(&result, account)?;
    change.check_effect(&before, &after)?;
    let info = result.info.unwrap_or_default();
    let effect = Effect {
        change,
        peer: &peer,
        account,
        sequence: before.sequence.saturating_add(1),
        network: chain.network,
        form: &text,
        state,
        before: &before,
        after: &after,
        bill: Bill {
            fees: info.fees,
            juice: info.juice,
            memory: info.memory,
        },
    };
    let transaction = Transaction {
        origin: account,
        sequence: effect.sequence,
        kind: Kind::Invoke { command },
    };
    let key = before.key.map(hex::encode);
    if key.is_none() && !by.dry_run {
        return Err(actor(account, &text));
    }
    if let Some(path) = &by.unsigned {
        return unsigned(path, &effect, &transaction, by.json, out);
    }
    if !by.json {
        effect.print(out)?;
    }
    if by.dry_run {
        if by.json {
            out.line(json!({ "dry_run": true, "effect": effect.as_json() }))?;
        } else {
            out.line("nothing was sent")?;
        }
        return Ok(Exit::Ok);
    }
    if !by.yes {
        out.flush()?;
        terminal::confirm(&format!(
            "This {}.",
            change.effect(account, &before, &after)
        ))?;
    }
    let (store, passphrase) = key_store(by)?;
    // Whatever else is in the store: the key that the state has for the account is the only one that is any good.
    let seed =
        unlock(&store, key.as_deref(), passphrase.as_deref()).map_err(|failure| Failure {
            cause: format!(
                "#{account} signs with the key {}: {}",
                key.unwrap_or_default(),
                failure.cause
            ),
            ..failure
        })?;
    let signed = sign(&transaction.to_cell(), &seed)?;
    drop(seed);
    let transaction_hash = Cell::from(signed.clone()).hash();
    let reply = chain
        .transact(signed)
        .map_err(|error| unanswered(&chain, &error))?;
    let shown = spent(&reply, account, &transaction)
        .and_then(|()| chain.snapshot_after(account, transaction.sequence))
        .and_then(|snapshot| {
            let now = standing(&chain, &snapshot, &peer, account)?;
            Ok((now, snapshot.hash))
        });
    let (now, hash) = match shown {
        Ok(shown) => shown,
        Err(failure) => {
            destake::remind(&by.which.on, account, transaction.sequence);
            return Err(failure);
        }
    };
    let done = change.is_done(account, &before, &now, &reply.value);
    if by.json {
        out.line(json!({
            "dry_run": false,
            "effect": effect.as_json(),
            "transaction": transaction_hash.to_string(),
            "state": hash.to_string(),
            "done": done,
            "now": standing_json(&now),
        }))?;
    } else {
        out.line("")?;
        let what = if done {
            "done, and in"
        } else {
            "answered, and this is"
        };
        out.line(format!("{what} the state {hash}:"))?;
        table(account, &before, &now, out)?;
    }
    out.flush()?;
    destake::remind(&by.which.on, account, transaction.sequence);
    if done {
        return Ok(Exit::Ok);
    }
    Err(Failure::new(
        Exit::Negative,
        format!("{} answered that it was done, but its state {hash} does not show it", chain.host),
    )
    .remedy("somebody else may have changed it since: see `convexctl stake show`; ask another peer, too, with --peer HOST:PORT"))
}

/// The account that acts: the one that is named, else the controller of the peer, else the user of the local network.
fn account(
    by: &cli::Acting,
    chain: &Chain,
    snapshot: &Snapshot,
    peer: &[u8; 32],
) -> Result<u64, Failure> {
    if let Some(address) = by.address {
        return Ok(address);
    }
    let record = snapshot
        .state
        .peer(peer)
        .map_err(|error| chain.unread(&error))?;
    match record.and_then(|record| record.controller) {
        Some(controller) => Ok(controller),
        None if by.key_store.is_none() && local_user().is_some() => Ok(UserFiles::ADDRESS),
        None => Err(Failure::usage("no account that acts: the network has no peer with this key, so that nobody controls it")
            .remedy("name the account with --address, or check --peer-key")),
    }
}

fn local_user() -> Option<UserFiles> {
    let user = Layout::new(Layout::default_directory()?).user();
    user.key_store().exists().then_some(user)
}

fn key_store(
    by: &cli::Acting,
) -> Result<(std::path::PathBuf, Option<std::path::PathBuf>), Failure> {
    match (&by.key_store, local_user()) {
        (Some(store), _) => Ok((store.clone(), by.passphrase_file.clone())),
        (None, Some(user)) => Ok((user.key_store(), Some(user.passphrase()))),
        (None, None) => Err(Failure::usage("no key to sign with").remedy(
            "name the key store of the account with --key-store, or write the transaction to a file with --unsigned and sign it elsewhere",
        )),
    }
}

/// Executes a form as the next transaction of an account, on our own machine.
fn execute(
    chain: &Chain,
    snapshot: &mut Snapshot,
    peer: &[u8; 32],
    account: u64,
    command: Cell,
) -> Result<(ResultRecord, Standing), Failure> {
    let mut machine = Machine::new(Rules::latest());
    let result = preview(
        &mut machine,
        &mut snapshot.state,
        account,
        Kind::Invoke { command },
    );
    let result = result.map_err(|error| match error {
        QueryError::HostFault(why) => Failure::new(
            Exit::Negative,
            format!("this would void the whole block that it is in, and no peer takes it: {why}"),
        )
        .remedy("the stake of this peer is in a state that the network can't handle: see `convexctl stake show`"),
        QueryError::Block(cvm::transition::BlockError::Data(error)) => chain.unread(&error),
        QueryError::Block(error) => Failure::new(Exit::Software, error),
    })?;
    let after = standing(chain, snapshot, peer, account)?;
    Ok((result, after))
}

/// Why the network would refuse it.
fn refused(result: &ResultRecord, account: u64) -> Result<(), Failure> {
    if result.error == Cell::Nil {
        return Ok(());
    }
    Err(explained(
        &result.error.to_string(),
        &text(&result.value),
        account,
    ))
}

/// An error of a transaction, with what to do about it.
fn explained(code: &str, message: &str, account: u64) -> Failure {
    let exit = if PASSING.contains(&code) {
        Exit::Temporary
    } else {
        Exit::Negative
    };
    let failure = Failure::new(exit, format!("{code} {message}"));
    match code {
        ":SEQUENCE" => failure.remedy(format!("#{account} was used by somebody else in the meantime: look again, and repeat the command")),
        ":FUNDS" | ":JUICE" | ":MEMORY" => failure.remedy(format!("#{account} needs coins for the amount, for fees and for memory: choose less, or transfer coins to it")),
        ":SIGNATURE" => failure.remedy(format!("the key of #{account} has changed in the meantime: repeat the command")),
        ":STATE" => failure.remedy("the state has changed in the meantime, or the peer that was asked can't take transactions: see `convexctl stake show`, or use another peer with --peer"),
        ":NETWORK" => failure.remedy("the peer has lost the network: use another one with --peer HOST:PORT"),
        ":LOAD" => failure.remedy("the peer has too much to do: repeat the command, or use another one with --peer HOST:PORT"),
        ":TIMEOUT" => failure.remedy("it may have been done all the same: see `convexctl stake show`"),
        _ => failure,
    }
}

fn text(value: &Cell) -> String {
    match value {
        Cell::Str(text) => text.to_vec().map_or_else(
            |_| value.to_string(),
            |bytes| super::effect::tame(&String::from_utf8_lossy(&bytes)),
        ),
        other => super::effect::tame(&other.to_string()),
    }
}

fn unanswered(chain: &Chain, error: &ClientError) -> Failure {
    match error {
        ClientError::Timeout | ClientError::Closed | ClientError::Io(_) => Failure::new(
            Exit::Temporary,
            format!(
                "{}: {error}; it may have been done all the same",
                chain.host
            ),
        )
        .remedy("see `convexctl stake show` before you try again"),
        _ => no_answer(&chain.host, error),
    }
}

fn spent(reply: &Reply, account: u64, transaction: &Transaction) -> Result<(), Failure> {
    if reply.error == Cell::Nil {
        return Ok(());
    }
    let failure = explained(&reply.error.to_string(), &text(&reply.value), account);
    Err(Failure {
        cause: format!(
            "the transaction with sequence number {} was not done: {}",
            transaction.sequence, failure.cause
        ),
        ..failure
    })
}

/// An account without a key: nobody can sign for it.
fn actor(account: u64, form: &str) -> Failure {
    Failure::new(
        Exit::NoPermission,
        format!("#{account} is an actor: nobody can sign for it"),
    )
    .remedy(format!("have the actor itself execute {form}"))
}

/// Writes the transaction for a machine without a network.
fn unsigned(
    path: &Path,
    effect: &Effect<'_>,
    transaction: &Transaction,
    json: bool,
    out: &mut Out,
) -> Result<Exit, Failure> {
    offline::write_unsigned(path, transaction, effect.network)?;
    if json {
        out.line(json!({ "dry_run": true, "effect": effect.as_json(), "unsigned": path }))?;
    } else {
        effect.print(out)?;
        out.line(format!(
            "nothing was sent; sign {} where the key of #{} is with `convexctl sign`, and send it with `convexctl submit`",
            path.display(),
            effect.account
        ))?;
    }
    Ok(Exit::Ok)
}
