//! What `netd` costs: processor time of a transaction that goes through it to consensus and back, and memory of an idle connection.
//!
//! The clients and the consensus of this bench take processor time too, so what counts is the time of the process, not that of the wall.

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use common::{Netd, id_of, settings, transact};
use ipc::Bytes;
use ipc::net::{FromNet, ToNet};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use wire::{Reply, frame};

const CLIENTS: usize = 8;
const WINDOW: usize = 500;
const EACH: usize = 100_000;

fn main() {
    throughput();
    for connections in [1_000, 10_000] {
        idle(connections);
    }
}

/// Processor time of a process in seconds, and its resident memory in bytes.
fn of_process(pid: u32) -> (f64, u64) {
    // Nanoseconds that each thread has run; the usual counts are samples.
    let ran = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap();
        text.split_whitespace()
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanoseconds: u64 = tasks.map(|task| ran(task.unwrap())).sum();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (nanoseconds as f64 / 1e9, kilobytes << 10)
}

/// Answers everything at once, as much at a time as has arrived.
fn echo(mut consensus: common::Consensus) {
    let mut replies = Vec::new();
    while let Ok(Some(message)) = consensus.link.receiver.receive() {
        let mut next = Some(message);
        while let Some(message) = next {
            if let FromNet::Message {
                connection, body, ..
            } = message
            {
                let reply = Reply::ok(id_of(&body), cells::Cell::Long(1));
                let body = Bytes::from(reply.encode().unwrap());
                replies.push(ToNet::Reply { connection, body });
            }
            next = consensus.link.receiver.buffered().unwrap();
        }
        if consensus.link.sender.send_all(&replies).is_err() {
            return;
        }
        replies.clear();
    }
}

fn client(address: std::net::SocketAddr) {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = frame(&transact(0, 60).encode().unwrap()).unwrap();
    // Id 0 is one byte, and so is the place of it: replies count, ids don't.
    let mut reader = wire::FrameReader::new(common::WIDE);
    let mut chunk = vec![0; 64 << 10];
    let (mut sent, mut received) = (0, 0);
    let mut batch = Vec::new();
    while received < EACH {
        let free = (WINDOW - (sent - received)).min(EACH - sent);
        batch.clear();
        for _ in 0..free {
            batch.extend_from_slice(&request);
        }
        sent += free;
        (&stream).write_all(&batch).unwrap();
        let n = (&stream).read(&mut chunk).unwrap();
        assert!(n > 0);
        let mut input = &chunk[..n];
        while reader.read(&mut input).unwrap().is_some() {
            received += 1;
        }
    }
}

fn throughput() {
    let mut netd = Netd::start(settings());
    let consensus = netd.consensus();
    let echo = thread::spawn(move || echo(consensus));
    let before = of_process(netd.pid()).0;
    let start = Instant::now();
    let address = netd.address;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| thread::spawn(move || client(address)))
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let wall = start.elapsed().as_secs_f64();
    let used = of_process(netd.pid()).0 - before;
    let total = (CLIENTS * EACH) as f64;
    println!(
        "{:.0} transactions/s, {:.2} us of netd each: {:.0} transactions/s of one core; waits {}",
        total / wall,
        used * 1e6 / total,
        total / used,
        netd.count("waits"),
    );
    drop(netd);
    echo.join().unwrap();
}

fn idle(connections: usize) {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let mut settings = settings();
    settings.connections = 20_000;
    settings.connections_per_address = 20_000;
    let netd = Netd::start(settings);
    let before = of_process(netd.pid()).1;
    let start = Instant::now();
    let mut open: Vec<_> = (0..connections).map(|_| netd.client()).collect();
    // Each has been used.
    for client in &mut open {
        client.ping(1);
    }
    let took = start.elapsed();
    // After the next look at all connections, their buffers are given back.
    let statuses = netd.count("accepted") as usize;
    assert_eq!(statuses, connections);
    let wait = Instant::now();
    while wait.elapsed() < Duration::from_secs(3) {
        open[0].ping(2);
    }
    let (cpu, after) = of_process(netd.pid());
    let idle = Instant::now();
    netd.receive_nothing_for(Duration::from_secs(3));
    let (cpu_after, _) = of_process(netd.pid());
    println!(
        "{connections} idle connections: {} bytes each; opened and used in {took:.1?}; {:.2} % of a core while idle",
        (after - before) / connections as u64,
        (cpu_after - cpu) * 100.0 / idle.elapsed().as_secs_f64(),
    );
}
