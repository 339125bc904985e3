//! The pictures of `docs/consensus.md`: time to finality and volume against the number of peers, loss, and the distribution of stake.

use std::io;
use std::path::Path;

use crate::config::Config;
use crate::report::{Report, percentile};
use crate::run;
use crate::svg::{Axis, Series, chart};

/// Peers of the networks that differ in something else.
const PEERS: usize = 50;
/// Numbers of peers, and the least time between two rounds of one: what a machine of ours has for each of so many orders.
const SIZES: [(usize, u64); 8] = [
    (1, 10),
    (4, 10),
    (10, 10),
    (25, 10),
    (50, 10),
    (100, 20),
    (300, 60),
    (1_000, 200),
];
/// Lost messages of a thousand.
const LOSSES: [u64; 7] = [0, 20, 50, 100, 200, 300, 400];
/// Exponents of the distribution of stake, in hundredths.
const STEEPNESS: [u32; 7] = [0, 50, 75, 100, 125, 150, 200];

const TIME: Axis = Axis {
    label: "from proposal to finality, ms",
    is_log: false,
};

/// Something of a report in dependence of something.
struct Times {
    median: Vec<(f64, f64)>,
    most: Vec<(f64, f64)>,
    everywhere: Vec<(f64, f64)>,
}

fn play(config: &Config, print: &mut dyn FnMut(&str)) -> Report {
    let report = run(config);
    print(&format!(
        "{} peers, loss {}, steepness {}: final after {} ms (median), {} ms (95 %), {} ms everywhere; {:.0} messages and {:.0} KB a \
         second and peer; safe {}, live {}",
        config.peers,
        config.loss,
        config.steepness,
        percentile(&report.finality, 50).unwrap_or(0),
        percentile(&report.finality, 95).unwrap_or(0),
        report.everywhere.last().copied().unwrap_or(0),
        report.each(report.messages.0),
        report.each(report.messages.1) / 1e3,
        report.is_safe(),
        report.is_live(),
    ));
    report
}

impl Times {
    fn of(runs: &[(f64, Report)]) -> Self {
        let all = |value: &dyn Fn(&Report) -> Option<u32>| {
            let point = |(x, report): &(f64, Report)| Some((*x, f64::from(value(report)?)));
            runs.iter().filter_map(point).collect()
        };
        Self {
            median: all(&|r| percentile(&r.finality, 50)),
            most: all(&|r| percentile(&r.finality, 95)),
            everywhere: all(&|r| r.everywhere.last().copied()),
        }
    }

    fn series(self) -> [Series; 3] {
        let series = |name, points| Series { name, points };
        [
            series("median peer", self.median),
            series("95 % of peers", self.most),
            series("last peer, slowest", self.everywhere),
        ]
    }
}

/// Plays the networks and writes the pictures to a directory; what each was like is told on the way. False when one was unsafe or did not
/// finish.
///
/// # Errors
/// When a file can't be written.
pub fn write(directory: &Path, seed: u64, print: &mut dyn FnMut(&str)) -> io::Result<bool> {
    let base = Config {
        seed,
        load: 2_000,
        ..Config::default()
    };
    let axis = |label, is_log| Axis { label, is_log };
    let save = |name: &str, picture: String| std::fs::write(directory.join(name), picture);
    let mut good = true;
    let mut all = |configs: Vec<(f64, Config)>| -> Vec<(f64, Report)> {
        let played = |(x, config): (f64, Config)| {
            let report = play(&config, print);
            good &= report.is_safe() && report.is_live();
            (x, report)
        };
        configs.into_iter().map(played).collect()
    };
    let of_peers = Config {
        peers: PEERS,
        ..base.clone()
    };
    let of_loss = |loss: u64| {
        let config = Config {
            loss,
            ..of_peers.clone()
        };
        (loss as f64 / 10.0, config)
    };
    let losses = all(LOSSES.map(of_loss).to_vec());
    let title = format!("Time to finality against loss, {PEERS} peers");
    let lost = axis("lost messages, per cent", false);
    let picture = chart(&title, lost, TIME, &Times::of(&losses).series());
    save("finality-loss.svg", picture)?;
    let of_steepness = |steepness: u32| {
        let config = Config {
            steepness,
            ..of_peers.clone()
        };
        (f64::from(steepness) / 100.0, config)
    };
    let stakes = all(STEEPNESS.map(of_steepness).to_vec());
    let title = format!("Time to finality against the distribution of stake, {PEERS} peers");
    let label = "s, where the stake of the n-th peer is 1/n^s of that of the first";
    let steep = axis(label, false);
    let picture = chart(&title, steep, TIME, &Times::of(&stakes).series());
    save("finality-stake.svg", picture)?;
    let of_size = |(peers, round): (usize, u64)| {
        let config = Config {
            peers,
            round,
            // A few blocks take as long as many, and a thousand peers are work.
            load: if peers > 100 { 100 } else { base.load },
            ..base.clone()
        };
        (peers as f64, config)
    };
    let sizes = all(SIZES.map(of_size).to_vec());
    let peers = axis("peers", true);
    let title = "Time to finality against the number of peers";
    save(
        "finality-peers.svg",
        chart(title, peers, TIME, &Times::of(&sizes).series()),
    )?;
    let several = || sizes.iter().filter(|(peers, _)| *peers > 1.0);
    let each = |name, value: &dyn Fn(&Report) -> f64| Series {
        name,
        points: several().map(|(x, report)| (*x, value(report))).collect(),
    };
    let volume = [
        each("KB", &|r| r.each(r.messages.1) / 1e3),
        each("messages", &|r| r.each(r.messages.0)),
    ];
    let title = "Volume of beliefs against the number of peers";
    save(
        "volume-peers.svg",
        chart(title, peers, axis("a second and peer", true), &volume),
    )?;
    Ok(good)
}
