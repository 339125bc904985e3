//! Application of a block (`spec/04 §5`).

use cells::{Cell, Signed, UsesOfRun, Vector};

use super::look_ahead::touch;
use super::transaction::Ledger;
use super::{BlockError, Stop};
use crate::context::{Context, Machine, Start};
use crate::exit::{Code, Exit};
use crate::state::{Block, MAX_TRANSACTIONS, Mark, ResultRecord, State, block_result};

/// Most that a block may lie behind the state's time, milliseconds.
const MAX_BACKDATE: i64 = 900_000;
/// Stake that a peer needs for its blocks to count: 1000 gold in coppers.
const MIN_STAKE: i64 = 1_000_000_000_000;
/// Time between two steps of the memory pool's growth, milliseconds.
const GROWTH_INTERVAL: i64 = 3_600_000;
/// Bytes that each step adds to the memory pool.
const GROWTH: i64 = 40_000;
/// Juice limit of a scheduled operation.
const SCHEDULED_LIMIT: u64 = super::transaction::MAX_JUICE;
/// The account that collects half of all fees.
const REWARD_POOL: u64 = 0;

/// Most transactions of a void block that are answered. A few hundred bytes of shared cells can claim any number of
/// them; the state does not depend on the answers.
const MAX_ANSWERS: u64 = 64 * MAX_TRANSACTIONS;

/// What a block did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockOutcome {
    /// One for each transaction, in their order; of a void block with absurdly many, for the first 65,536.
    pub results: Vec<ResultRecord>,
    /// Why the block did nothing, if it was invalid. The wording after host faults is our own.
    pub invalid: Option<String>,
}

impl BlockOutcome {
    /// The results as cells.
    #[must_use]
    pub fn results_cell(&self) -> Vector {
        self.results.iter().map(ResultRecord::to_cell).collect()
    }

    /// The block result record, with the state after the block (`spec/04 §2.6`).
    #[must_use]
    pub fn to_cell(&self, state: Cell) -> Cell {
        block_result(state, self.results_cell())
    }
}

/// Applies a block, signed by the peer that made it, to the state.
///
/// The signature of the block itself is not looked at (`spec/04 §5`). Those of the transactions are checked one
/// by one unless their verdict is known already; [`super::check_signatures`] does many at once. The rules in force
/// are those of `machine`. Marks set before can't be gone back to afterwards.
///
/// # Errors
/// When the block has no outcome; the state is as before then. An *invalid* block is no error: it has results
/// and leaves the state alone.
pub fn apply_block(
    machine: &mut Machine,
    state: &mut State,
    signed: &Signed,
) -> Result<BlockOutcome, BlockError> {
    state.settle().map_err(BlockError::Data)?;
    apply(machine, state, signed)
}

/// What [`apply_block`] would answer; the state stays as it is, and marks stay good.
///
/// # Errors
/// As [`apply_block`].
pub fn try_block(
    machine: &mut Machine,
    state: &mut State,
    signed: &Signed,
) -> Result<BlockOutcome, BlockError> {
    let start = state.mark();
    let outcome = apply(machine, state, signed);
    state.rollback(start);
    outcome
}

fn apply(
    machine: &mut Machine,
    state: &mut State,
    signed: &Signed,
) -> Result<BlockOutcome, BlockError> {
    let block = signed
        .value()
        .and_then(|value| Block::from_cell(&value))
        .map_err(|error| match error {
            cells::CellError::Malformed(why) => BlockError::Fatal(why.to_owned()),
            other => BlockError::Data(other),
        })?;
    let _uses = UsesOfRun::transition();
    let start = state.mark();
    let mut application = Application {
        machine,
        state,
        start,
    };
    match application.run(signed, &block) {
        Ok(results) => Ok(BlockOutcome {
            results,
            invalid: None,
        }),
        Err(Stop::Void(why)) => {
            state.rollback(start);
            let result = ResultRecord {
                id: None,
                value: Cell::from(why.as_str()),
                error: Code::Peer.cell(),
                log: None,
                info: None,
            };
            let count = block.transactions.count().min(MAX_ANSWERS);
            Ok(BlockOutcome {
                results: vec![result; count as usize],
                invalid: Some(why),
            })
        }
        Err(Stop::Error(error)) => {
            state.rollback(start);
            Err(error)
        }
    }
}

struct Application<'a> {
    machine: &'a mut Machine,
    state: &'a mut State,
    start: Mark,
}

impl Application<'_> {
    /// The steps of `spec/04 §5.2`.
    fn run(&mut self, signed: &Signed, block: &Block) -> Result<Vec<ResultRecord>, Stop> {
        let key = *signed
            .key()
            .ok_or_else(|| Stop::void("Missing Peer!"))?
            .as_bytes();
        self.check(&key, block)?;
        self.state.globals_mut().block_number += 1;
        self.advance_time(block.timestamp);
        self.run_scheduled()?;
        let mut results = Vec::with_capacity(block.transactions.count() as usize);
        let mut ledger = Ledger::new(self.machine, self.state, key);
        for leaf in block.transactions.leaves() {
            let leaf = leaf?;
            touch(leaf.refs());
            for element in leaf.refs() {
                results.push(ledger.apply(results.len() as i64, &*element.load()?)?);
            }
            ledger.compact(self.start);
        }
        let fees = ledger.fees();
        self.distribute(&key, block.timestamp, fees)?;
        Ok(results)
    }

    /// `spec/04 §5.1`, in this order.
    fn check(&self, key: &[u8; 32], block: &Block) -> Result<(), Stop> {
        let Some(peer) = self.state.peer(key)? else {
            return Err(Stop::void("Missing Peer!"));
        };
        let stake = peer
            .own_stake()
            .map_err(|fault| Stop::void(fault.to_string()))?;
        if stake < MIN_STAKE {
            return Err(Stop::void("Insufficient Stake!"));
        }
        if block.timestamp < peer.timestamp {
            return Err(Stop::void("Block out of order"));
        }
        if block.timestamp < self.state.globals().timestamp.saturating_sub(MAX_BACKDATE) {
            return Err(Stop::void("Block too old"));
        }
        if block.transactions.count() > MAX_TRANSACTIONS {
            return Err(Stop::void("Illegal Block Size!"));
        }
        Ok(())
    }

    /// `spec/04 §5.3`.
    fn advance_time(&mut self, timestamp: i64) {
        let before = self.state.globals().timestamp;
        if timestamp <= before {
            return;
        }
        let steps = timestamp / GROWTH_INTERVAL - before / GROWTH_INTERVAL;
        let globals = self.state.globals_mut();
        globals.timestamp = timestamp;
        globals.memory_pool = globals.memory_pool.wrapping_add(GROWTH.wrapping_mul(steps));
    }

    /// `spec/04 §5.4`: all that is due leaves the schedule before any of it runs. Nobody pays, and what fails is
    /// undone.
    fn run_scheduled(&mut self) -> Result<(), Stop> {
        let globals = *self.state.globals();
        for (origin, op) in self.state.take_due(globals.timestamp)? {
            let start = Start {
                origin,
                limit: SCHEDULED_LIMIT,
                location: (globals.block_number, 0),
                signer: None,
                peer: None,
            };
            // The run itself has kept or undone its effects.
            if let Err(Exit::Abort(abort)) = Context::new(self.machine, self.state, start).run(&op)
            {
                return Err((*abort).into());
            }
        }
        Ok(())
    }

    /// `spec/04 §5.6`.
    fn distribute(&mut self, key: &[u8; 32], timestamp: i64, fees: i64) -> Result<(), Stop> {
        let mut pool = fees;
        if let Some(mut peer) = self.state.peer(key)? {
            let half = fees / 2;
            peer.balance = peer.balance.wrapping_add(half);
            peer.timestamp = peer.timestamp.max(timestamp);
            self.state.set_peer(key, &peer)?;
            pool = fees - half;
        }
        if self.state.account(REWARD_POOL)?.is_none() {
            return Err(Stop::void("account #0 is missing"));
        }
        if pool != 0
            && let Some(account) = self.state.account_mut(REWARD_POOL)?
        {
            account.balance = account.balance.wrapping_add(pool);
        }
        Ok(())
    }
}
