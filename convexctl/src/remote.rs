//! `convexctl query`, and what is common to commands that talk to a peer by the peer protocol.

use std::time::Duration;

use cells::Cell;
use cells::print::print;
use client::{Client, ClientError};
use cvm::reader::read_all_bytes;
use serde_json::{Value, json};
use wire::Reply;

use crate::cli;
use crate::control::SOCKET;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local::Layout;
use crate::output::Out;

/// Longest printed value, bytes.
const MAX_PRINTED: usize = 50_000_000;

pub(crate) fn query(args: &cli::Query, out: &mut Out) -> Result<Exit, Failure> {
    let form = form(&args.form)?;
    let (mut client, host) = connect(&args.at)?;
    let reply = client
        .query(form, args.address)
        .map_err(|error| no_answer(&host, &error))?;
    show(&reply, args.json, out)
}

/// The one form in a text.
pub(crate) fn form(text: &str) -> Result<Cell, Failure> {
    let forms = read_all_bytes(text.as_bytes()).map_err(|error| {
        Failure::data(format!(
            "line {}, column {}: {}",
            error.line, error.column, error.message
        ))
    })?;
    match forms.count() {
        1 => forms
            .get(0)
            .map_err(Failure::data)?
            .ok_or_else(|| Failure::data("no form")),
        0 => Err(Failure::usage("there is no form").remedy("give one, such as '(+ 1 2)'")),
        _ => Err(Failure::usage("more than one form").remedy("put them into one: (do FORM FORM)")),
    }
}

/// Connects to the peer that is meant.
pub(crate) fn connect(at: &cli::Remote) -> Result<(Client, String), Failure> {
    let host = match &at.peer {
        Some(host) => host.clone(),
        None => local_endpoint().unwrap_or_else(|| format!("localhost:{}", wire::DEFAULT_PORT)),
    };
    let patience = Duration::from_secs(at.timeout.clamp(1, 86_400));
    match Client::connect(&host, patience) {
        Ok(client) => Ok((client, host)),
        Err(error) => Err(Failure::new(
            Exit::Unavailable,
            format!("no connection to {host}: {error}"),
        )
        .remedy(
            "start a network with `convexctl local start`, or name a peer with --peer HOST:PORT",
        )),
    }
}

/// Where the first peer of the local network listens, if it runs.
fn local_endpoint() -> Option<String> {
    let peer = Layout::new(Layout::default_directory()?).peer(0);
    if !peer.run().join(SOCKET).exists() {
        return None;
    }
    peer.endpoint()
}

pub(crate) fn no_answer(host: &str, error: &ClientError) -> Failure {
    let failure = Failure::new(
        match error {
            ClientError::Timeout => Exit::Temporary,
            _ => Exit::Unavailable,
        },
        format!("{host}: {error}"),
    );
    match error {
        ClientError::Timeout => failure.remedy("see whether the peer is at work: `convexctl status`; or wait longer: --timeout SECONDS"),
        _ => failure,
    }
}

/// Prints a result.
pub(crate) fn show(reply: &Reply, as_json: bool, out: &mut Out) -> Result<Exit, Failure> {
    let ok = reply.error == Cell::Nil;
    if as_json {
        let mut object = json!({ "value": text(&reply.value)? });
        if !ok {
            object["error"] = text(&reply.error)?;
        }
        if reply.info != Cell::Nil {
            object["info"] = text(&reply.info)?;
        }
        if reply.log != Cell::Nil {
            object["log"] = text(&reply.log)?;
        }
        out.line(object)?;
    } else if ok {
        out.line(text(&reply.value)?.as_str().unwrap_or_default())?;
    } else {
        out.flush()?;
        let (code, value) = (text(&reply.error)?, text(&reply.value)?);
        let value = match &reply.value {
            Cell::Str(_) => value
                .as_str()
                .unwrap_or_default()
                .trim_matches('"')
                .to_owned(),
            _ => value.as_str().unwrap_or_default().to_owned(),
        };
        eprintln!("{} {value}", code.as_str().unwrap_or_default());
    }
    Ok(if ok { Exit::Ok } else { Exit::Negative })
}

fn text(cell: &Cell) -> Result<Value, Failure> {
    let printed = print(cell, MAX_PRINTED).map_err(Failure::data)?;
    let printed = printed.ok_or_else(|| Failure::data("the result is too long to be printed"))?;
    Ok(Value::from(String::from_utf8_lossy(&printed).into_owned()))
}
