//! `convexctl status`: what a peer does, and what is wrong with it.

use ipc::control::{PeerStatus, Phase, Reply, Request, WorkerView};
use ipc::supervision::{ConsensusStatus, JoiningStage, JoiningStatus, RoleStatus, Standing};
use sandbox::State;
use serde_json::{Value, json};

use crate::amount::coins;
use crate::cli;
use crate::control::{Connection, run_directory, unexpected};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(crate) fn run(args: &cli::Status, out: &mut Out) -> Result<Exit, Failure> {
    let status = match Connection::open(&run_directory(&args.on))?.call(&Request::Status)? {
        Reply::Status(status) => status,
        other => return Err(unexpected(&other)),
    };
    if args.json {
        out.line(as_json(&status))?;
    } else {
        print(&status, args.counters, out)?;
    }
    let cut_off = status
        .consensus
        .as_ref()
        .is_some_and(|consensus| consensus.standing.is_cut_off());
    Ok(if status.phase == Phase::Running && !cut_off {
        Exit::Ok
    } else {
        Exit::Negative
    })
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Degraded => "degraded: a process is being restarted",
        Phase::Locked => "LOCKED: nothing is signed until `convexctl peer restart`",
        Phase::Stopping => "stopping",
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Joining => "joining",
        Standing::Connected => "connected",
        Standing::Silence => "CUT OFF, too little of the stake is heard from,",
        Standing::Standstill => "CUT OFF, blocks wait and consensus does not move,",
    }
}

/// Where others look for this peer, and whether that is where the settings say that it can be reached.
fn host(of_state: Option<&str>, of_settings: Option<&str>) -> String {
    let remedy = "its controller changes that with `convexctl peer set-host`";
    match (of_state, of_settings) {
        (Some(state), Some(settings)) if full(state) != full(settings) => {
            format!("OTHERS LOOK AT {state}, but peer.public-host is {settings}: {remedy}")
        }
        (Some(state), _) => state.to_owned(),
        (None, Some(settings)) => {
            format!("NONE in the state, but peer.public-host is {settings}: {remedy}")
        }
        (None, None) => "none: others do not connect to this peer by themselves".to_owned(),
    }
}

/// A host as the state has it: without a scheme, with a port.
fn full(host: &str) -> String {
    let (_, host) = host.split_once("://").unwrap_or(("", host));
    let host = host.trim_end_matches('/').to_ascii_lowercase();
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(before, _)| !before.contains(':') || before.ends_with(']'));
    if has_port {
        host
    } else {
        format!("{host}:{}", wire::DEFAULT_PORT)
    }
}

fn print(status: &PeerStatus, counters: bool, out: &mut Out) -> Result<(), Failure> {
    let row = |out: &mut Out, name: &str, text: String| out.line(format!("{name:<11} {text}"));
    row(
        out,
        "peer",
        format!("{} for {}", phase(status.phase), duration(status.uptime)),
    )?;
    row(out, "key", hex::encode(status.key))?;
    let network = if status.network == [0; 32] {
        "not known yet: the peers of network.peers are asked".to_owned()
    } else {
        hex::encode(status.network)
    };
    row(out, "network", network)?;
    if let Some(by) = &status.network_by {
        let text = "nobody vouches for it; set peer.network when you have compared it";
        row(out, "", format!("told by {by}: {text}"))?;
    }
    row(out, "listening", status.listen.join(", "))?;
    match &status.consensus {
        Some(consensus) => {
            let host = host(consensus.host.as_deref(), status.public_host.as_deref());
            row(out, "host", host)?;
            let [blocks, proposal, point, finality] = consensus.points;
            row(out, "state", hex::encode(consensus.state))?;
            row(
                out,
                "consensus",
                format!(
                    "{} executed; blocks {blocks}, proposal {proposal}, consensus {point}, final {finality}",
                    consensus.executed
                ),
            )?;
            if let Some(joining) = &consensus.joining {
                row(out, "joining", progress(joining))?;
            }
            row(
                out,
                "accounts",
                format!(
                    "{}; {} peers with stake",
                    consensus.accounts, consensus.peers
                ),
            )?;
            row(
                out,
                "stake",
                match consensus.stake {
                    Some(stake) => coins(stake),
                    None => "none: the state has no such peer".to_owned(),
                },
            )?;
            row(
                out,
                "signing",
                match (&consensus.hindrance, consensus.signing) {
                    (Some(why), _) => format!("no: {why}"),
                    (None, true) => "yes".to_owned(),
                    (None, false) => "no".to_owned(),
                },
            )?;
            row(
                out,
                "standing",
                format!(
                    "{} for {}; {}.{} % of the stake heard from",
                    standing(consensus.standing),
                    duration(consensus.standing_for),
                    consensus.heard / 10,
                    consensus.heard % 10
                ),
            )?;
            row(out, "queue", format!("{} transactions", consensus.queue))?;
        }
        None => row(out, "consensus", "consensusd does not answer".to_owned())?,
    }
    for worker in &status.workers {
        match &worker.status {
            Some(RoleStatus::Stored {
                used,
                log,
                free,
                sequence,
                refuses,
            }) => {
                row(
                    out,
                    "store",
                    format!(
                        "{} used, log {}, {} free, batch {sequence}",
                        bytes(*used),
                        bytes(*log),
                        bytes(*free)
                    ),
                )?;
                if let Some(why) = refuses {
                    row(out, "", format!("REFUSES: {why}"))?;
                }
            }
            Some(RoleStatus::Netd {
                accepted,
                trusted,
                opened,
                peers,
                serving,
            }) => {
                row(
                    out,
                    "network",
                    format!(
                        "{accepted} connections accepted, {trusted} proven; {opened} to other peers{}",
                        if *serving { "" } else { "; NOT SERVING" }
                    ),
                )?;
                for (host, key) in peers {
                    let key =
                        key.map_or_else(|| "not proven".to_owned(), |key| hex::encode(&key[..8]));
                    row(out, "", format!("{host}  {key}"))?;
                }
            }
            Some(RoleStatus::Keyd { locked: true, .. }) => {
                row(out, "keyd", "locked: `convexctl key unlock`".to_owned())?;
            }
            _ => {}
        }
    }
    out.line("")?;
    out.line(format!(
        "{:<11} {:>8} {:>9} {:>9} {:>9} {:>8}  {}",
        "process", "pid", "up", "memory", "cpu", "restarts", "sandbox"
    ))?;
    for worker in &status.workers {
        out.line(format!(
            "{:<11} {:>8} {:>9} {:>9} {:>9} {:>8}  {}",
            worker.role.name(),
            worker
                .pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            if worker.ready {
                duration(worker.uptime)
            } else {
                "not ready".to_owned()
            },
            bytes(worker.memory),
            duration(worker.cpu),
            worker.restarts,
            sandbox_summary(worker)
        ))?;
        if let (Some(exit), true) = (&worker.last_exit, worker.restarts > 0) {
            out.line(format!("{:<11} last ended: {exit}", ""))?;
        }
        if counters {
            for (name, value) in &worker.counters {
                out.line(format!("{:<11} {name} {value}", ""))?;
            }
        }
    }
    if let Some(armed) = &status.armed {
        out.line("")?;
        let works = match armed.works {
            Some(true) => "would work",
            Some(false) => "WOULD NOT WORK",
            None => "not checked yet",
        };
        row(
            out,
            "armed",
            format!("{} ({works}: {})", armed.effect, armed.remark),
        )?;
    }
    if !status.alarms.is_empty() {
        out.line("")?;
        for (time, alarm) in &status.alarms {
            let ago = wall().saturating_sub(*time).max(0) as u64;
            row(
                out,
                "ALARM",
                format!("{} ago, {:?}: {}", duration(ago), alarm.kind, alarm.text),
            )?;
        }
    }
    Ok(())
}

fn wall() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| {
            i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
        })
}

/// How far a peer is that joins.
fn progress(joining: &JoiningStatus) -> String {
    let left = match joining.left {
        Some(seconds) => format!("about {} left", duration(seconds.saturating_mul(1_000))),
        None => "time left unknown".to_owned(),
    };
    let fetched = format!(
        "{} cells, {} from {} peers, {}/s",
        joining.cells,
        bytes(joining.bytes),
        joining.sources,
        bytes(joining.bytes_per_second)
    );
    let blocks = format!("block {} of {}", joining.blocks, joining.known_blocks);
    match joining.stage {
        JoiningStage::Genesis => format!("fetching the genesis state: {fetched}; {left}"),
        JoiningStage::Belief => format!("fetching the chain: {fetched}; {blocks}; {left}"),
        JoiningStage::Blocks => format!(
            "executing the chain: {blocks}, {}/s; {left} ({fetched})",
            joining.blocks_per_second
        ),
    }
}

/// How many layers are in force, and which are not as designed.
fn sandbox_summary(worker: &WorkerView) -> String {
    let Some(report) = &worker.sandbox else {
        return "none".to_owned();
    };
    let mut enforced = 0;
    let mut others = Vec::new();
    for layer in &report.layers {
        match &layer.state {
            State::Enforced => enforced += 1,
            State::Off(_) => {}
            State::Partial(why) => others.push(format!("{} partly ({why})", layer.layer)),
            State::Unavailable(why) => others.push(format!("no {} ({why})", layer.layer)),
        }
    }
    if others.is_empty() {
        format!("{enforced} layers")
    } else {
        format!("{enforced} layers; {}", others.join("; "))
    }
}

fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut scaled = bytes * 10;
    while scaled >= 10_240 && unit + 1 < UNITS.len() {
        scaled /= 1024;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{}.{} {}", scaled / 10, scaled % 10, UNITS[unit])
    }
}

fn as_json(status: &PeerStatus) -> Value {
    json!({
        "version": status.version,
        "key": hex::encode(status.key),
        "network": hex::encode(status.network),
        "network_by": status.network_by,
        "listen": status.listen,
        "public_host": status.public_host,
        "pid": status.pid,
        "uptime_ms": status.uptime,
        "phase": format!("{:?}", status.phase).to_lowercase(),
        "consensus": status.consensus.as_ref().map(consensus_json),
        "workers": status.workers.iter().map(worker_json).collect::<Vec<_>>(),
        "alarms": status.alarms.iter().map(|(time, alarm)| json!({
            "time": time,
            "kind": format!("{:?}", alarm.kind).to_lowercase(),
            "text": alarm.text,
        })).collect::<Vec<_>>(),
        "armed": status.armed.as_ref().map(|armed| json!({
            "effect": armed.effect,
            "account": armed.account,
            "first_sequence": armed.sequences.0,
            "last_sequence": armed.sequences.1,
            "works": armed.works,
            "remark": armed.remark,
        })),
    })
}

fn consensus_json(c: &ConsensusStatus) -> Value {
    json!({
        "state": hex::encode(c.state),
        "executed": c.executed,
        "blocks": c.points[0],
        "proposal": c.points[1],
        "consensus": c.points[2],
        "finality": c.points[3],
        "order_time": c.order_time,
        "state_time": c.state_time,
        "accounts": c.accounts,
        "peers": c.peers,
        "stake": c.stake,
        "host": c.host,
        "heard_thousandths": c.heard,
        "standing": match c.standing {
            Standing::Joining => "joining",
            Standing::Connected => "connected",
            Standing::Silence | Standing::Standstill => "cut_off",
        },
        "cut_off_by": match c.standing {
            Standing::Silence => Some("silence"),
            Standing::Standstill => Some("standstill"),
            Standing::Joining | Standing::Connected => None,
        },
        "standing_for_ms": c.standing_for,
        "queue": c.queue,
        "signing": c.signing,
        "hindrance": c.hindrance,
        "joining": c.joining.as_ref().map(|j| json!({
            "stage": j.stage.name(),
            "cells": j.cells,
            "bytes": j.bytes,
            "cells_per_second": j.cells_per_second,
            "bytes_per_second": j.bytes_per_second,
            "sources": j.sources,
            "blocks": j.blocks,
            "known_blocks": j.known_blocks,
            "blocks_per_second": j.blocks_per_second,
            "seconds_left": j.left,
        })),
    })
}

fn worker_json(worker: &WorkerView) -> Value {
    let mut own = match &worker.status {
        Some(RoleStatus::Stored {
            used,
            log,
            free,
            sequence,
            refuses,
        }) => json!({
            "used": used, "log": log, "free": free, "sequence": sequence, "refuses": refuses,
        }),
        Some(RoleStatus::Keyd { locked, ceiling }) => {
            json!({ "locked": locked, "ceiling": ceiling })
        }
        Some(RoleStatus::Netd {
            accepted,
            trusted,
            opened,
            peers,
            serving,
        }) => json!({
            "accepted": accepted,
            "trusted": trusted,
            "opened": opened,
            "serving": serving,
            "peers": peers.iter().map(|(host, key)| json!({
                "host": host, "key": key.map(hex::encode),
            })).collect::<Vec<_>>(),
        }),
        _ => json!({}),
    };
    own["role"] = json!(worker.role.name());
    own["pid"] = json!(worker.pid);
    own["ready"] = json!(worker.ready);
    own["uptime_ms"] = json!(worker.uptime);
    own["restarts"] = json!(worker.restarts);
    own["last_exit"] = json!(worker.last_exit);
    own["memory"] = json!(worker.memory);
    own["cpu_ms"] = json!(worker.cpu);
    own["sandbox"] = json!(worker.sandbox.as_ref().map(|report| {
        report
            .layers
            .iter()
            .map(|layer| (layer.layer.to_string(), json!(layer.state.to_string())))
            .collect::<serde_json::Map<_, _>>()
    }));
    own["counters"] = json!(
        worker
            .counters
            .iter()
            .map(|(name, value)| { (name.clone(), json!(value)) })
            .collect::<serde_json::Map<_, _>>()
    );
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_by_stage() {
        let mut joining = JoiningStatus {
            stage: JoiningStage::Belief,
            cells: 1_200,
            bytes: 3 << 20,
            bytes_per_second: 1 << 20,
            sources: 2,
            known_blocks: 728,
            left: Some(61),
            ..JoiningStatus::default()
        };
        assert_eq!(
            progress(&joining),
            "fetching the chain: 1200 cells, 3.0 MiB from 2 peers, 1.0 MiB/s; block 0 of 728; about 1m 1s left"
        );
        joining.stage = JoiningStage::Blocks;
        joining.left = None;
        assert!(
            progress(&joining)
                .ends_with("time left unknown (1200 cells, 3.0 MiB from 2 peers, 1.0 MiB/s)")
        );
    }

    #[test]
    fn sizes_and_times_are_written_for_people() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(duration(999), "999 ms");
        assert_eq!(duration(61_000), "1m 1s");
    }
}
