//! The process under load: closed loop throughput and the time of one transaction at a time, with a signer and a store in threads of the
//! load generator. `cargo bench -p consensusd --bench peer [TRANSACTIONS] [WINDOW] [MEGABYTES]`.

#[path = "../tests/support/mod.rs"]
mod support;

#[path = "../tests/support/process.rs"]
#[allow(dead_code)]
mod process;

use std::time::{Duration, Instant};

use ipc::net::{FromNet, ToNet};
use process::Peer;
use support::{STAKE, genesis, peer_key, transfer};
use wire::Message;

const USERS: usize = 100;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn argument(n: usize, otherwise: usize) -> usize {
    let given = std::env::args().filter(|a| !a.starts_with("--")).nth(n);
    given.and_then(|a| a.parse().ok()).unwrap_or(otherwise)
}

fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |i: usize| {
        fields
            .get(i)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

fn main() {
    let (count, window) = (argument(1, 100_000), argument(2, 4_000));
    let mut peer = Peer::new(&genesis(USERS, &[STAKE]), peer_key(0));
    peer.settings.memory = (argument(3, 512) as u64) << 20;
    let began = Instant::now();
    let consensusd = peer.start();
    println!(
        "start to ready: {:.1} ms",
        began.elapsed().as_secs_f64() * 1e3
    );
    let mut netd = peer.netd(&consensusd);
    let bodies: Vec<Vec<u8>> = (0..count + 60)
        .map(|n| {
            let (user, sequence) = (n % USERS, (n / USERS + 1) as i64);
            let transaction = transfer(user, sequence, (7 * user as u64 + 1) % 100 + 1, 1_000);
            let id = n as i64;
            Message::Transact { id, transaction }.encode().unwrap()
        })
        .collect();
    let message = |n: usize| FromNet::Message {
        connection: (n % 8) as u64,
        trusted: None,
        body: bodies[n].clone().into(),
    };
    let is_reply = |m: &ToNet| matches!(m, ToNet::Reply { .. });
    let mut one = Vec::new();
    for n in 0..60 {
        let began = Instant::now();
        netd.link.sender.send(&message(n)).unwrap();
        while !is_reply(&netd.hear()) {}
        one.push(began.elapsed());
    }
    let mut one = one.split_off(10);
    one.sort();
    println!(
        "one at a time: median {:.2} ms, worst {:.2} ms",
        one[one.len() / 2].as_secs_f64() * 1e3,
        one[one.len() - 1].as_secs_f64() * 1e3
    );
    let pid = consensusd.child.pid();
    let before = cpu(pid);
    let began = Instant::now();
    let (mut sent, mut done) = (60, 60);
    let mut failed = 0;
    let mut times: Vec<(Instant, Duration)> = Vec::new();
    while done < count + 60 {
        let room = (window + done - sent).min(count + 60 - sent);
        if room >= window / 8 || (room > 0 && sent + room == count + 60) {
            let batch: Vec<FromNet> = (sent..sent + room).map(message).collect();
            netd.link.sender.send_all(&batch).unwrap();
            sent += room;
            times.push((Instant::now(), began.elapsed()));
        }
        let mut next = Some(netd.hear());
        while let Some(message) = next {
            if let ToNet::Reply { body, .. } = &message {
                done += 1;
                failed += u32::from(body.windows(4).any(|w| w == b"PEER" || w == b"LOAD"));
            }
            next = netd.link.receiver.buffered().unwrap();
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "{count} transfers, window {window}: {:.0} tx/s, {failed} failed, {:.1} us of consensusd each",
        count as f64 / took,
        (cpu(pid) - before) / count as f64 * 1e6
    );
    let memory = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    for line in memory
        .lines()
        .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM"))
    {
        println!("{line}");
    }
    println!("{:?}", consensusd.counters());
    consensusd.kill();
}
