//! `convexctl stake show`: what a peer has at stake, of whom, and what that is worth in the network.

use cells::Cell;
use consensus::MIN_STAKE;
use serde_json::json;

use super::effect::tame;
use super::standing::{Peer, percent};
use super::{Target, standing};
use crate::amount::coins;
use crate::chain::Chain;
use crate::cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

/// Somebody with a delegation.
struct Delegator {
    address: u64,
    shares: i64,
    worth: Option<i64>,
}

pub(super) fn run(args: &cli::StakeShow, out: &mut Out) -> Result<Exit, Failure> {
    let target = Target::of(&args.which)?;
    let chain = Chain::open(&args.which.at)?;
    target.check_network(&chain)?;
    let snapshot = chain.snapshot()?;
    let found = Peer::of(&snapshot.state, &target.key, 0).map_err(|error| chain.unread(&error))?;
    let Some(peer) = found else {
        return Err(Failure::new(
            Exit::Negative,
            format!(
                "the network {} has no peer {}",
                chain.network,
                hex::encode(target.key)
            ),
        )
        .remedy("register it with `convexctl peer create`, or check --peer-key and --peer"));
    };
    let delegators = delegators(&peer).map_err(|error| chain.unread(&error))?;
    let shown = &delegators[..delegators.len().min(args.delegators)];
    let controller = match peer.record.controller {
        Some(address) => Some((address, standing(&chain, &snapshot, &target.key, address)?)),
        None => None,
    };
    if args.json {
        let mut object = peer.as_json();
        object["peer"] = json!(hex::encode(target.key));
        object["network"] = json!(chain.network.to_string());
        object["state"] = json!(snapshot.hash.to_string());
        object["minimum"] = json!(MIN_STAKE);
        object["controller_balance"] = json!(controller.as_ref().map(|(_, at)| at.balance));
        object["controller_sequence"] = json!(controller.as_ref().map(|(_, at)| at.sequence));
        object["delegator_count"] = json!(delegators.len());
        object["delegators"] = shown
            .iter()
            .map(|one| json!({ "account": one.address, "shares": one.shares, "worth": one.worth }))
            .collect();
        out.line(object)?;
        return Ok(Exit::Ok);
    }
    let mut row = |name: &str, text: String| out.line(format!("{name:<11} {text}"));
    row("peer", hex::encode(target.key))?;
    row("network", chain.network.to_string())?;
    row("state", snapshot.hash.to_string())?;
    match &controller {
        Some((address, at)) => row(
            "controller",
            format!("#{address}, which has {}", coins(at.balance)),
        )?,
        None => row("controller", "nobody".to_owned())?,
    }
    row("own stake", own(&peer))?;
    let amount = |amount: Option<i64>| amount.map_or_else(|| "not to be told".to_owned(), coins);
    row(
        "delegated",
        match delegators.len() {
            0 => amount(peer.delegated),
            1 => format!("{} by one account", amount(peer.delegated)),
            many => format!("{} by {many} accounts", amount(peer.delegated)),
        },
    )?;
    for one in shown {
        row("", format!("#{}: {}", one.address, amount(one.worth)))?;
    }
    if shown.len() < delegators.len() {
        row(
            "",
            format!(
                "and {} more: --delegators N",
                delegators.len() - shown.len()
            ),
        )?;
    }
    row("vote", vote(&peer))?;
    row("active", active(&peer))?;
    row("earned", earned(&peer))?;
    row(
        "host",
        peer.host
            .as_deref()
            .map_or_else(|| "none: see `convexctl peer set-host`".to_owned(), tame),
    )?;
    Ok(Exit::Ok)
}

/// Those with most first.
fn delegators(peer: &Peer) -> Result<Vec<Delegator>, cells::CellError> {
    let mut found = Vec::new();
    for entry in peer.record.stakes.iter().flat_map(cells::Index::iter) {
        if let (Cell::Address(address), Cell::Long(shares)) = entry? {
            let worth = peer.record.delegated(shares).ok();
            found.push(Delegator {
                address,
                shares,
                worth,
            });
        }
    }
    found.sort_by_key(|one| (std::cmp::Reverse(one.shares), one.address));
    Ok(found)
}

fn own(peer: &Peer) -> String {
    match peer.own {
        None => {
            "NOT TO BE TOLD: more shares were withdrawn than delegated, and its blocks are void"
                .to_owned()
        }
        Some(own) if own < MIN_STAKE => {
            format!(
                "{}, BELOW the minimum of {}: its blocks and its vote don't count",
                coins(own),
                coins(MIN_STAKE)
            )
        }
        Some(MIN_STAKE) => format!(
            "{}, exactly the minimum: others keep no connection to it",
            coins(MIN_STAKE)
        ),
        Some(own) => format!("{}, above the minimum of {}", coins(own), coins(MIN_STAKE)),
    }
}

fn vote(peer: &Peer) -> String {
    let share = percent(peer.share);
    if peer.counts() {
        format!("{share} of all weight")
    } else {
        format!("none; its {share} of all weight count for nobody")
    }
}

fn active(peer: &Peer) -> String {
    match peer.silent {
        None => format!(
            "NO: none of its blocks was executed so far; its stake weighs {}",
            percent(peer.activity)
        ),
        Some(silent) if peer.activity < 1.0 => {
            format!(
                "NO: silent for {} of the network's time; its stake weighs {}",
                seconds(silent),
                percent(peer.activity)
            )
        }
        Some(0) => "yes: the latest block is its own".to_owned(),
        Some(silent) => format!(
            "yes: its latest block is {} behind the network's time",
            seconds(silent)
        ),
    }
}

fn earned(peer: &Peer) -> String {
    format!(
        "{} so far; it gets half of the fees in its blocks, and shares them with its delegators",
        coins(peer.earned())
    )
}

fn seconds(milliseconds: i64) -> String {
    match milliseconds / 1000 {
        0 => format!("{milliseconds} ms"),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
