//! `load`: drives a peer with the work of `spec/10` and measures it. See `benches/README.md`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use peer_tests::files::Files;
use peer_tests::reference::Reference;
use peer_tests::replay::{Outcome, Pace, Script, run};
use peer_tests::running::{Running, pids, status};
use peer_tests::usage::{cpu_of_all, pss_of_all};
use peer_tests::users::{self, Genesis, USERS, Users};
use serde_json::{Value, json};
use wire::Message;

/// Transactions that are sent one at a time.
const ONE_BY_ONE: usize = 50;

#[derive(Parser)]
#[command(about = "Drives a peer with pre-signed transfers of a hundred users, and measures")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a fresh peer and measure everything; the last line is JSON
    Suite(Suite),
    /// Drive a peer that runs already, once
    Drive(Drive),
}

#[derive(Parser)]
struct Suite {
    /// Measure the reference peer instead (77: it can't be had here)
    #[arg(long)]
    reference: bool,
    /// Transactions of a closed loop
    #[arg(long, default_value_t = 100_000)]
    count: usize,
    /// Closed loops; the first one meets a cold peer
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Connections of a closed loop
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Unanswered transactions on each connection at most
    #[arg(long, default_value_t = 500)]
    window: usize,
    /// Transactions a second of the open loop
    #[arg(long, default_value_t = 5_000)]
    rate: u32,
    /// Transactions of the open loop
    #[arg(long, default_value_t = 50_000)]
    open: usize,
    /// Idle connections on the side
    #[arg(long, default_value_t = 1_000)]
    idle: usize,
    /// Seconds after the start at which idle memory is read
    #[arg(long, default_value_t = 8)]
    settle: u64,
    /// A setting of the supervisor; may be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    settings: Vec<String>,
}

#[derive(Parser)]
struct Drive {
    /// Host and port of the peer; its state must know the hundred users
    #[arg(long)]
    peer: String,
    /// Transactions
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    /// Connections
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Unanswered transactions on each connection at most
    #[arg(long, default_value_t = 500)]
    window: usize,
    /// Transactions a second, instead of a window
    #[arg(long)]
    rate: Option<u32>,
    /// Sequence number of the first transaction of each user
    #[arg(long, default_value_t = 1)]
    sequence: i64,
    /// Address of the first user
    #[arg(long, default_value_t = 132)]
    first_user: u64,
}

/// Prepares transfers; it remembers the sequence numbers.
struct Work {
    users: Users,
    next: [i64; USERS],
}

impl Work {
    /// Signed transfers in turn of the users; user u goes over connection u mod `connections`.
    fn scripts(&mut self, count: usize, connections: usize) -> Vec<Script> {
        let mut ids = vec![0; connections];
        let plan: Vec<(usize, i64, usize, i64)> = (0..count)
            .map(|n| {
                let user = n % USERS;
                let connection = user % connections;
                let (sequence, id) = (self.next[user], ids[connection]);
                self.next[user] += 1;
                ids[connection] += 1;
                (user, sequence, connection, id)
            })
            .collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let users = &self.users;
        let bodies: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let signers: Vec<_> = plan
                .chunks(plan.len().div_ceil(threads).max(1))
                .map(|part| {
                    scope.spawn(move || part.iter().map(|p| body(users, *p)).collect::<Vec<_>>())
                })
                .collect();
            signers
                .into_iter()
                .flat_map(|s| s.join().expect("a signer"))
                .collect()
        });
        let mut scripts = vec![Script::default(); connections];
        for ((_, _, connection, _), body) in plan.iter().zip(bodies) {
            scripts[*connection].push(&body);
        }
        scripts
    }
}

fn body(users: &Users, (user, sequence, _, id): (usize, i64, usize, i64)) -> Vec<u8> {
    let transaction = users.transfer(user, sequence);
    Message::Transact { id, transaction }
        .encode()
        .expect("in memory")
}

/// The peer under test.
enum Subject {
    Ours(Running, Box<Files>),
    Reference(Reference),
}

impl Subject {
    fn endpoint(&self) -> String {
        match self {
            Self::Ours(_, files) => files.endpoint(),
            Self::Reference(peer) => peer.endpoint().to_owned(),
        }
    }

    fn pids(&self) -> Vec<u32> {
        match self {
            Self::Ours(_, files) => pids(&status(files)),
            Self::Reference(peer) => vec![peer.pid()],
        }
    }
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Suite(suite) => measure(&suite),
        Command::Drive(drive) => drive_once(&drive),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn genesis() -> Genesis {
    users::measured().unwrap_or_else(|| {
        println!("without shared vectors: a genesis state of our own");
        users::fresh()
    })
}

fn drive_once(args: &Drive) -> Result<(), Box<dyn Error>> {
    let mut work = Work {
        users: Users::from(args.first_user),
        next: [args.sequence; USERS],
    };
    let pace = args.rate.map_or(Pace::Window(args.window), Pace::Rate);
    let outcome = run(&args.peer, work.scripts(args.count, args.connections), pace)?;
    println!("{}", row("transfers", &outcome, None));
    Ok(())
}

fn measure(args: &Suite) -> Result<(), Box<dyn Error>> {
    let mut genesis = genesis();
    let mut work = Work {
        users: genesis.users.clone(),
        next: [1; USERS],
    };
    let directory = tempfile::tempdir()?;
    let mut figures = BTreeMap::new();
    let mut options = Vec::new();
    for setting in &args.settings {
        options.extend(["--set", setting]);
    }
    let (subject, took) = if args.reference {
        let state = directory.path().join("genesis.cad3");
        fs::write(&state, cells::encode_message(&genesis.state.to_cell()?)?)?;
        let store = directory.path().join("store.etch");
        match Reference::start(&state, &genesis.peer_seed, &store)? {
            Some((peer, took)) => (Subject::Reference(peer), took),
            None => {
                println!("skipped: the reference can't be had here");
                std::process::exit(77);
            }
        }
    } else {
        let files = Files::temporary(&mut genesis)?;
        let (peer, took) = Running::start(&files, &options)?;
        (Subject::Ours(peer, Box::new(files)), took)
    };
    note(&mut figures, "start to ready, ms", ms(took));
    let endpoint = subject.endpoint();
    let pids = subject.pids();
    settle(args);
    note(&mut figures, "memory idle, MB", megabytes(&pids));
    let before = cpu_of_all(&pids);
    settle(args);
    note(
        &mut figures,
        "processor time idle, ms for each second",
        json!(ms_of(cpu_of_all(&pids) - before) / args.settle as f64),
    );
    let idle: Vec<TcpStream> = (0..args.idle)
        .map(|_| TcpStream::connect(&endpoint))
        .collect::<Result<_, _>>()?;
    note(
        &mut figures,
        "memory with idle connections, MB",
        megabytes(&pids),
    );
    let drive = |title: &str, scripts: Vec<Script>, pace: Pace| -> Result<Value, Box<dyn Error>> {
        let before = cpu_of_all(&pids);
        let outcome = run(&endpoint, scripts, pace)?;
        let cpu = cpu_of_all(&pids) - before;
        println!("{}", row(title, &outcome, Some(cpu)));
        for error in &outcome.errors {
            println!("    error {error}");
        }
        Ok(json!({
            "succeeded": outcome.succeeded, "failed": outcome.failed, "per_second": outcome.rate(),
            "p50_ms": outcome.latency(500), "p99_ms": outcome.latency(990), "worst_ms": outcome.latency(1000),
            "server_cpu_us_each": ms_of(cpu) * 1e3 / (outcome.succeeded + outcome.failed).max(1) as f64,
        }))
    };
    let window = Pace::Window(args.window);
    let mut closed = Vec::new();
    for n in 0..args.runs {
        let title = if n == 0 {
            "closed loop, cold"
        } else {
            "closed loop"
        };
        let scripts = work.scripts(args.count, args.connections);
        closed.push(drive(title, scripts, window)?);
    }
    let scripts = work.scripts(args.open, args.connections);
    let open = drive(
        &format!("open loop, {}/s", args.rate),
        scripts,
        Pace::Rate(args.rate),
    )?;
    let one = drive(
        "one at a time",
        work.scripts(ONE_BY_ONE, 1),
        Pace::Window(1),
    )?;
    note(&mut figures, "closed loop", json!(closed));
    note(&mut figures, "open loop", open);
    note(&mut figures, "one at a time", one);
    note(&mut figures, "memory after load, MB", megabytes(&pids));
    drop(idle);
    match subject {
        Subject::Ours(peer, files) => {
            note(
                &mut figures,
                "store, MB",
                json!(fs::metadata(files.store()).map_or(0.0, |m| m.len() as f64 / 1e6)),
            );
            peer.stop();
            let (peer, took) = Running::start(&files, &options)?;
            note(&mut figures, "restart to ready, ms", ms(took));
            note(
                &mut figures,
                "memory after the restart, MB",
                megabytes(&pids_of(&files)),
            );
            peer.stop();
        }
        Subject::Reference(peer) => peer.stop(),
    }
    println!("{}", json!(figures));
    Ok(())
}

/// Lets time pass in which nothing is asked of the peer: idleness has no event.
#[allow(
    clippy::disallowed_methods,
    reason = "the time without events is what is measured"
)]
fn settle(args: &Suite) {
    std::thread::sleep(Duration::from_secs(args.settle));
}

fn pids_of(files: &Files) -> Vec<u32> {
    pids(&status(files))
}

fn note(figures: &mut BTreeMap<&'static str, Value>, name: &'static str, value: Value) {
    if !value.is_object() && !value.is_array() {
        println!("{name:<42} {value:.1}");
    }
    figures.insert(name, value);
}

fn ms_of(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn ms(time: Duration) -> Value {
    json!(ms_of(time))
}

fn megabytes(pids: &[u32]) -> Value {
    json!(pss_of_all(pids) as f64 / 1e6)
}

fn row(title: &str, outcome: &Outcome, cpu: Option<Duration>) -> String {
    let answers = outcome.succeeded + outcome.failed;
    let cpu = cpu.map_or(String::new(), |cpu| {
        format!(
            ", server {:.1} us each",
            ms_of(cpu) * 1e3 / answers.max(1) as f64
        )
    });
    format!(
        "{title:<22} {answers} in {:.2} s, {:.0}/s, p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms, {} failed{cpu}",
        outcome.took.as_secs_f64(),
        outcome.rate(),
        outcome.latency(500),
        outcome.latency(990),
        outcome.latency(1000),
        outcome.failed
    )
}
