//! `convexctl destake`: withdrawals of the stake, signed beforehand and kept for an emergency (DESIGN §4).

use std::path::{Path, PathBuf};
use std::time::Duration;

use cells::print::print;
use cells::{Cell, Signed, encode_message};
use client::Client;
use cvm::state::{Kind, Transaction};
use ipc::Bytes;
use ipc::control::{Armed, MAX_LADDER, PeerStatus, Reply, Request};

use crate::cli;
use crate::control::{Connection, run_directory, unexpected};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::offline::{self, Read, lines, read_signed};
use crate::output::Out;
use crate::remote::form;
use crate::transact::{sign, unlock};

/// Longest printed form of a withdrawal.
const MAX_FORM: usize = 1000;
/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(command: cli::Destake, out: &mut Out) -> Result<Exit, Failure> {
    match command {
        cli::Destake::Prepare(args) => prepare(&args, out),
        cli::Destake::Arm(args) => arm(&args, out),
        cli::Destake::Show { on } => show(&on, out),
        cli::Destake::Disarm { on } => {
            match Connection::open(&run_directory(&on))?.call(&Request::Disarm)? {
                Reply::Done => out.line("no withdrawal is armed any more")?,
                other => return Err(unexpected(&other)),
            }
            Ok(Exit::Ok)
        }
        cli::Destake::Drill { on } => bring_out(&on, "a drill", true, out),
        cli::Destake::Now { on, reason, yes } => {
            if !yes {
                return Err(Failure::usage("this withdraws the stake and leaves the peer down")
                    .remedy("say so with --yes; `convexctl destake drill` goes through everything but sending"));
            }
            bring_out(&on, &reason, false, out)
        }
    }
}

/// The form that withdraws.
fn withdrawal(peer: &[u8; 32], keep: i64) -> Result<Cell, Failure> {
    form(&format!("(set-peer-stake 0x{} {keep})", hex::encode(peer)))
}

/// Signs a ladder of withdrawals; needs no network.
fn prepare(args: &cli::DestakePrepare, out: &mut Out) -> Result<Exit, Failure> {
    let peer = args.peer_key;
    if args.from < 1 || args.count < 1 || args.count > MAX_LADDER {
        return Err(Failure::usage(format!(
            "a ladder begins with 1 or more and has from 1 to {MAX_LADDER} steps"
        )));
    }
    let seed = unlock(
        &args.key_store,
        args.key.as_deref(),
        args.passphrase_file.as_deref(),
    )?;
    for step in 0..args.count as i64 {
        let transaction = Transaction {
            origin: args.address,
            sequence: args.from + step,
            kind: Kind::Invoke {
                command: withdrawal(&peer, args.keep)?,
            },
        };
        let signed = sign(&transaction.to_cell(), &seed)?;
        let bytes = encode_message(&Cell::from(signed)).map_err(Failure::data)?;
        out.line(hex::encode(bytes))?;
    }
    Ok(Exit::Ok)
}

/// The withdrawals of files: one in hex on each line.
fn read(paths: &[PathBuf]) -> Result<Vec<Read>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        for (number, line) in lines(path)? {
            let read = read_signed(&line);
            found.push(read.map_err(|why| not_one(path, number, &why))?);
        }
    }
    found.sort_by_key(|withdrawal| withdrawal.transaction.sequence);
    if found.is_empty() || found.len() > MAX_LADDER {
        return Err(Failure::data(format!(
            "from one to {MAX_LADDER} withdrawals are armed at a time"
        )));
    }
    Ok(found)
}

fn not_one(path: &Path, line: usize, why: &str) -> Failure {
    offline::not_one(path, line, &format!("no withdrawal: {why}"))
        .remedy("make them with `convexctl destake prepare`")
}

/// What a withdrawal leaves of the stake of `peer`.
fn rest(transaction: &Transaction, peer: &[u8; 32]) -> Result<i64, Failure> {
    let Kind::Invoke { command } = &transaction.kind else {
        return Err(Failure::data(
            "a withdrawal invokes (set-peer-stake KEY AMOUNT)",
        ));
    };
    let text = print(command, MAX_FORM)
        .map_err(Failure::data)?
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let rest = text
        .strip_prefix(&format!("(set-peer-stake 0x{} ", hex::encode(peer)))
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|amount| amount.parse::<i64>().ok());
    rest.filter(|rest| *rest >= 0).ok_or_else(|| {
        Failure::data(format!(
            "this does not withdraw the stake of this peer: {text}"
        ))
        .remedy(format!(
            "it should be (set-peer-stake 0x{} 0)",
            hex::encode(peer)
        ))
    })
}

fn status(on: &cli::Control) -> Result<Box<PeerStatus>, Failure> {
    match Connection::open(&run_directory(on))?.call(&Request::Status)? {
        Reply::Status(status) => Ok(status),
        other => Err(unexpected(&other)),
    }
}

fn arm(args: &cli::DestakeArm, out: &mut Out) -> Result<Exit, Failure> {
    let ladder = read(&args.files)?;
    let status = status(&args.on)?;
    let first = &ladder[0].transaction;
    let (account, sequence) = (first.origin, first.sequence);
    let keep = rest(first, &status.key)?;
    for (step, withdrawal) in ladder.iter().enumerate() {
        if withdrawal.transaction.origin != account
            || rest(&withdrawal.transaction, &status.key)? != keep
        {
            return Err(Failure::data(
                "the withdrawals are of several accounts, or leave different amounts",
            ));
        }
        if withdrawal.transaction.sequence != sequence + step as i64 {
            return Err(Failure::data(format!(
                "the ladder has a gap: {} follows {}",
                withdrawal.transaction.sequence,
                sequence + step as i64 - 1
            )));
        }
    }
    let peer = hex::encode(status.key);
    let effect = format!("sets the stake of this peer to {keep} coppers, by account #{account}");
    out.line(format!(
        "{} withdrawals, for the sequence numbers {sequence} to {}:",
        ladder.len(),
        sequence + ladder.len() as i64 - 1
    ))?;
    out.line(format!("  {effect}"))?;
    let mut good = 0;
    for host in &args.peers {
        match look(host, account, &ladder[0].signed, &status.network) {
            Ok(at) => {
                good += 1;
                let last = sequence + ladder.len() as i64 - 1;
                let remark = if (sequence..=last).contains(&(at + 1)) {
                    "would work now".to_owned()
                } else {
                    format!("would NOT work now: the account is at {at}")
                };
                out.line(format!("  {host}: {remark}"))?;
            }
            Err(why) => out.line(format!("  {host}: {why}"))?,
        }
    }
    if good == 0 {
        return Err(Failure::new(
            Exit::Unavailable,
            "none of the peers confirms the account: nothing is armed",
        )
        .remedy("name good peers that run, with --peer HOST:PORT"));
    }
    let armed = Armed {
        transactions: ladder
            .into_iter()
            .map(|withdrawal| Bytes::from(withdrawal.bytes))
            .collect(),
        sequence,
        account,
        network: status.network,
        peers: args.peers.clone(),
        // The shares: fees that the peer has earned stay in it beside them, and count as stake until it is evicted (`spec/04 §8.6`).
        check: format!("(<= (or (:stake (get (:peers *state*) 0x{peer})) 0) {keep})"),
        expected: "true".to_owned(),
        effect,
    };
    match Connection::open(&run_directory(&args.on))?.call(&Request::Arm(armed))? {
        Reply::Done => out.line("armed; whenever the account is used otherwise, arm it again")?,
        other => return Err(unexpected(&other)),
    }
    Ok(Exit::Ok)
}

/// The sequence number of the account, if this peer is of the network and the signature is of the account's key.
fn look(host: &str, account: u64, signed: &Signed, network: &[u8; 32]) -> Result<i64, String> {
    let text = |error: client::ClientError| error.to_string();
    let mut client = Client::connect(host, PATIENCE).map_err(text)?;
    if client.status().map_err(text)?.genesis.0 != *network {
        return Err("belongs to another network".to_owned());
    }
    let mut ask = |question: &str| -> Result<Cell, String> {
        let question = form(question).map_err(|failure| failure.cause)?;
        Ok(client.query(question, None).map_err(text)?.value)
    };
    match ask(&format!("(:key (account #{account}))"))? {
        Cell::Blob(key) if key.as_flat() == signed.key().map(|key| key.as_bytes().as_slice()) => {}
        Cell::Blob(_) => {
            return Err(format!(
                "account #{account} has another key than the one that signed"
            ));
        }
        _ => return Err(format!("there is no account #{account} with a key")),
    }
    match ask(&format!("(:sequence (account #{account}))"))? {
        Cell::Long(sequence) => Ok(sequence),
        _ => Err("no sequence number".to_owned()),
    }
}

fn show(on: &cli::Control, out: &mut Out) -> Result<Exit, Failure> {
    let Some(armed) = status(on)?.armed else {
        out.line("no withdrawal is armed")?;
        return Ok(Exit::Negative);
    };
    out.line(&armed.effect)?;
    out.line(format!(
        "sequence numbers {} to {}",
        armed.sequences.0, armed.sequences.1
    ))?;
    let works = match armed.works {
        Some(true) => "it would work",
        Some(false) => "it would NOT work",
        None => "not known whether it would work",
    };
    out.line(format!("{works}: {}", armed.remark))?;
    Ok(if armed.works == Some(true) {
        Exit::Ok
    } else {
        Exit::Negative
    })
}

fn bring_out(on: &cli::Control, reason: &str, drill: bool, out: &mut Out) -> Result<Exit, Failure> {
    let request = Request::Destake {
        reason: reason.to_owned(),
        drill,
    };
    match Connection::open(&run_directory(on))?.call(&request)? {
        Reply::Destaked {
            outcomes,
            confirmed,
        } => {
            for (host, outcome) in outcomes {
                out.line(format!("{host}: {outcome}"))?;
            }
            out.line(match (confirmed, drill) {
                (true, true) => "a majority of the peers would take it",
                (true, false) => {
                    "a majority of the peers shows the stake gone; the peer stays down"
                }
                (false, _) => "it does not work: arm a withdrawal with the right sequence numbers",
            })?;
            Ok(if confirmed { Exit::Ok } else { Exit::Negative })
        }
        other => Err(unexpected(&other)),
    }
}

/// Armed withdrawals are good for one sequence number each: whoever uses their account uses one of them up (DESIGN §4).
pub(crate) fn remind(on: &cli::Control, account: u64, used: i64) {
    let Ok(status) = status(on) else {
        return;
    };
    let Some(armed) = status.armed.filter(|armed| armed.account == account) else {
        return;
    };
    let (first, last) = armed.sequences;
    let next = used.saturating_add(1);
    let left = if (first..=last).contains(&next) {
        last - next + 1
    } else {
        0
    };
    let now = match left {
        0 => "does NOT work any more".to_owned(),
        1 => "is good for the next transaction only".to_owned(),
        left => format!("is good for the next {left} transactions"),
    };
    eprintln!(
        "#{account} has used the sequence number {used}: the armed withdrawal {now}.\n\
         Arm a new one: `convexctl destake prepare --address {account} --peer-key {} --from {next} ...`, then `convexctl destake arm`.",
        hex::encode(status.key)
    );
}
