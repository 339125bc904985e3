//! Measures how long a peer takes to join the network of a chain that is given in files: ours, and the reference's beside it.
//!
//! One of ours joins from the files; the others join from that one, in turn, so that what else goes on meets both kinds. Times go until all
//! blocks are executed: ours from the start of its processes, with an empty store; that of the reference from the request to a virtual
//! machine that is up already. It is a new one each time: whatever joins in one a second time finds the cells of the first.

use std::path::Path;
use std::time::{Duration, Instant};

use local_networks::{Archive, Manner, Network, Reference, Relay};

/// How often each joins.
const TIMES: usize = 4;
/// How long the reference may take.
const PATIENCE: Duration = Duration::from_secs(120);

struct Joined {
    took: Duration,
    bytes: u64,
}

fn main() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let [genesis, belief] = &files[..] else {
        eprintln!(
            "usage: joining GENESIS BELIEF (files with one value each, as `convexctl verify-chain` takes them)"
        );
        std::process::exit(64);
    };
    let archive = Archive::serve(Path::new(genesis), Path::new(belief));
    println!(
        "{} blocks, {} cells, {} bytes",
        archive.blocks, archive.cells, archive.bytes
    );
    let mut network = Network::start(2);
    let own = hex::encode(network.status(0).network);
    for peer in 0..2 {
        network.kill(peer);
        network.forget_all(peer);
        network.configure(peer, &own, &archive.network.to_string());
    }
    network.name_peers(0, &[&archive.endpoint]);
    let first = join_ours(&mut network, 0, archive.blocks);
    println!("the first of ours, from the files: {first:?}");
    for _ in 0..TIMES {
        let reference = Reference::start("-Xmx1500m");
        let ours = {
            network.empty_store_if_any(1);
            let relay = Relay::to(network.endpoint(0), Manner::Plain);
            network.name_peers(1, &[relay.endpoint()]);
            let took = join_ours(&mut network, 1, archive.blocks);
            network.kill(1);
            let bytes = relay.bytes();
            Joined { took, bytes }
        };
        print!("ours {:?}, {} bytes", ours.took, ours.bytes);
        if let Some(mut reference) = reference {
            let relay = Relay::to(network.endpoint(0), Manner::Plain);
            match join_theirs(&mut reference, &relay, archive.blocks) {
                Some(theirs) => println!(
                    "; the reference {:?}, {} bytes: {:.1} times as long",
                    theirs.took,
                    theirs.bytes,
                    theirs.took.as_secs_f64() / ours.took.as_secs_f64()
                ),
                None => println!("; the reference did not get there"),
            }
        } else {
            println!();
        }
    }
}

fn join_ours(network: &mut Network, peer: usize, blocks: u64) -> Duration {
    let began = Instant::now();
    network.restart(peer);
    network.wait("all blocks to be executed", |network| {
        let standing = network.standing(peer)?;
        (standing.executed >= blocks).then_some(())
    });
    began.elapsed()
}

fn join_theirs(reference: &mut Reference, relay: &Relay, blocks: u64) -> Option<Joined> {
    // It answers from here on.
    reference.ask("hello");
    let seed = "07".repeat(32);
    let began = Instant::now();
    let reply = reference.ask(&format!("peer-join {seed} {}", relay.endpoint()));
    let number = reply["peer"].as_u64()?;
    let mut executed = reply["blocks"].as_u64()?;
    while executed < blocks {
        if began.elapsed() > PATIENCE {
            return None;
        }
        let reply = reference.ask(&format!("peer-where {number}"));
        executed = reply["blocks"].as_u64()?;
    }
    Some(Joined {
        took: began.elapsed(),
        bytes: relay.bytes(),
    })
}
