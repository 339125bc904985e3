//! `convexctl verify-chain`: does this belief lead from this genesis to that state?

mod order;
mod replay;
mod report;
mod rule;
mod signatures;

use std::time::Instant;

use cells::RecordKind;

use crate::cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::Out;

use order::Orders;
use replay::Replay;
use report::Report;

/// Most orders, blocks of an order, and transactions of a block that are looked at. A file can't hold more different
/// ones (each takes 97 bytes and more), but cells that share their children can claim any number.
const MOST: u64 = 500_000;
/// Level of the consensus point among an order's points (`spec/05 §1.1`).
const CONSENSUS: usize = 2;
/// Level of the finality point.
const FINALITY: usize = 3;

pub(crate) fn run(args: &cli::VerifyChain, out: &mut Out) -> Result<Exit, Failure> {
    let start = Instant::now();
    // The belief is decoded while the other core decodes the state.
    let (genesis, belief) = std::thread::scope(|scope| {
        let belief = scope.spawn(|| files::load(&args.belief, RecordKind::Belief));
        let genesis = files::load(&args.genesis, RecordKind::State);
        let belief = belief
            .join()
            .unwrap_or_else(|_| Err(Failure::new(Exit::Software, "decoding the belief panicked")));
        (genesis, belief)
    });
    let (genesis, belief) = (genesis?, belief?);
    let seed = signatures::seed()?;

    let orders = Orders::read(&belief, &seed)?;
    let chosen = orders.choose(args.peer.as_deref())?;
    let points = chosen.order.points;
    let consensus = points[CONSENSUS];
    let until = match args.until {
        Some(until) if until > consensus => {
            return Err(Failure::usage(format!(
                "the order of {} has only {consensus} blocks in consensus, not {until}",
                chosen.order.peer
            ))
            .remedy("lower --until, or leave it out"));
        }
        Some(until) => until,
        None => consensus,
    };
    let blocks = chosen.order.blocks(until)?;
    let replay = Replay {
        genesis: &genesis,
        blocks: &blocks,
        seed: &seed,
    };
    let outcome = replay.run(args.blocks.then_some((&mut *out, args.json)))?;
    let expected = match args.expect {
        Some(expected) if expected != outcome.hash => Some((expected, replay.find(&expected)?)),
        _ => None,
    };
    let report = Report {
        orders: &orders,
        chosen: &chosen,
        genesis: genesis.hash(),
        outcome: &outcome,
        expect: args.expect,
        found_after: expected.and_then(|(_, after)| after),
        time: start.elapsed(),
    };
    if args.json {
        out.line(report.json())?;
    } else {
        report.text(out)?;
    }
    let exit = report.exit();
    out.flush()?;
    // The values die with the process; taking them apart piece by piece would take longer than the replay's own
    // bookkeeping.
    std::mem::forget((genesis, belief, blocks, outcome.state));
    Ok(exit)
}
