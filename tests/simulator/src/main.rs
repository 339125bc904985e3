//! `simulator`: plays a network of peers and prints what it was like.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use simulator::{Config, Malice, Partition, charts, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plays networks of peers on the consensus crate. Times are milliseconds. Ends with 1 when safety or liveness did not hold.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Number of peers
    #[arg(long, default_value_t = 100)]
    peers: usize,
    /// Decides everything that looks like chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs with this seed and the following ones
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// For how long blocks are proposed
    #[arg(long, default_value_t = 5_000)]
    load: u64,
    /// How long all blocks may take to become final after that
    #[arg(long, default_value_t = 20_000)]
    drain: u64,
    /// Time between two blocks, anywhere
    #[arg(long, default_value_t = 200)]
    interval: u64,
    /// Transactions of a block
    #[arg(long, default_value_t = 4)]
    transactions: usize,
    /// Connections that each peer makes
    #[arg(long, default_value_t = 10)]
    degree: usize,
    /// Least latency
    #[arg(long, default_value_t = 5)]
    near: u64,
    /// Greatest latency
    #[arg(long, default_value_t = 80)]
    far: u64,
    /// Lost messages of a thousand
    #[arg(long, default_value_t = 0)]
    loss: u64,
    /// Greatest error of a clock
    #[arg(long, default_value_t = 5)]
    skew: u64,
    /// Least time between two rounds of a peer
    #[arg(long, default_value_t = 10)]
    round: u64,
    /// Stakes that fall as one by n to this power, in hundredths
    #[arg(long, default_value_t = 0)]
    steepness: u32,
    /// Peers that never run
    #[arg(long, default_value_t = 0)]
    offline: usize,
    /// Peers that are deaf through the first half of the load
    #[arg(long, default_value_t = 0)]
    stale: usize,
    /// Restarts
    #[arg(long, default_value_t = 0)]
    restarts: usize,
    /// Peers that lie
    #[arg(long, default_value_t = 0)]
    malicious: usize,
    /// Peers with a tenth of the stake of others, all of one attacker, that lie
    #[arg(long, default_value_t = 0)]
    sybils: usize,
    /// Peers of which two instances run with one key, one on each side of a cut
    #[arg(long, default_value_t = 0)]
    twins: usize,
    /// How they lie, in turn
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "equivocate,time-travel,withhold,forge,malform,crowd,endless"
    )]
    malice: Vec<Lie>,
    /// A cut, as FROM:TO:PERCENT of the peers on one side
    #[arg(long = "cut", value_parser = cut)]
    cuts: Vec<Partition>,
    /// Wait for the next poll when a belief lacks data, as the reference does, instead of asking its sender
    #[arg(long)]
    wait_for_polls: bool,
    /// Plays the networks of the pictures in docs/consensus.md instead, and writes these to a directory
    #[arg(long, value_name = "DIRECTORY")]
    charts: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Lie {
    Equivocate,
    TimeTravel,
    Withhold,
    Forge,
    Malform,
    Crowd,
    Endless,
    FutureBlocks,
}

fn cut(text: &str) -> Result<Partition, String> {
    let parts: Result<Vec<u64>, _> = text.split(':').map(str::parse).collect();
    match parts.as_deref() {
        Ok([from, to, percent]) if from < to && *percent <= 100 => Ok(Partition {
            from: *from,
            to: *to,
            percent: *percent,
        }),
        _ => Err("FROM:TO:PERCENT is wanted, for instance 1000:4000:50".to_owned()),
    }
}

impl Arguments {
    fn config(&self, seed: u64) -> Config {
        let malice = self.malice.iter().map(|lie| match lie {
            Lie::Equivocate => Malice::Equivocate,
            Lie::TimeTravel => Malice::TimeTravel,
            Lie::Withhold => Malice::Withhold,
            Lie::Forge => Malice::Forge,
            Lie::Malform => Malice::Malform,
            Lie::Crowd => Malice::Crowd,
            Lie::Endless => Malice::Endless,
            Lie::FutureBlocks => Malice::FutureBlocks,
        });
        Config {
            peers: self.peers,
            seed,
            load: self.load,
            drain: self.drain,
            interval: self.interval,
            transactions: self.transactions,
            degree: self.degree,
            latency: (self.near.min(self.far), self.far),
            loss: self.loss,
            skew: self.skew,
            round: self.round,
            steepness: self.steepness,
            offline: self.offline,
            stale: self.stale,
            restarts: self.restarts,
            malicious: self.malicious,
            sybils: self.sybils,
            twins: self.twins,
            malice: malice.collect(),
            partitions: self.cuts.clone(),
            ask: !self.wait_for_polls,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(directory) = &arguments.charts {
        let written = charts::write(directory, arguments.seed, &mut |line| println!("{line}"));
        return match written {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!(
                    "the pictures can't be written to {}: {error}",
                    directory.display()
                );
                ExitCode::FAILURE
            }
        };
    }
    let mut good = true;
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.runs) {
        let begin = Instant::now();
        let report = run(&arguments.config(seed));
        let took = begin.elapsed().as_secs_f64();
        println!("seed {seed}, {} peers, {took:.1} s", arguments.peers);
        println!("{report}");
        let held = report.is_safe() && report.is_live();
        if !held {
            println!(
                "seed {seed} failed: the same arguments with --seed {seed} --runs 1 show it again"
            );
        }
        good &= held;
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
