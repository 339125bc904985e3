//! The executed state, and the blocks that were executed ahead of their finality.
//!
//! A block is executed once: before it is proposed, or when it is first needed. If it then becomes final on the state that it was
//! executed on, what came out is taken over; if another block comes between, what was ahead is thrown away.

use std::collections::VecDeque;
use std::sync::Arc;

use cells::{Cell, CellError, Hash, Signed, Vector};
use consensus::Electorate;
use crypto::{AccountKey, KeyCache, Signature};
use cvm::state::{Block, Globals, ResultRecord, State};
use cvm::transition::{
    BlockError, BlockOutcome, apply_block, check_signatures_parallel, try_block,
};
use cvm::{Machine, Rules};

/// Keys of accounts whose decoded form is kept for signature checks.
const KEYS: usize = 1 << 16;

/// Execution of one peer.
pub struct Ledger {
    machine: Machine,
    /// The working state at the end of `ahead`.
    tip: State,
    /// State after the executed blocks.
    state: Cell,
    electorate: Arc<Electorate>,
    globals: Globals,
    accounts: u64,
    ahead: VecDeque<Applied>,
    keys: KeyCache,
    seed: [u8; 32],
    threads: usize,
}

/// Which block was executed: what it does depends on its signer and content, not on its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BlockId {
    signer: Option<AccountKey>,
    content: Hash,
}

impl BlockId {
    fn of(signed: &Signed) -> Self {
        Self {
            signer: signed.key().copied(),
            content: signed.value_ref().hash(),
        }
    }
}

/// What the execution of a block came to.
#[derive(Debug, Clone)]
pub struct Applied {
    id: BlockId,
    /// The state after it.
    pub state: Cell,
    /// The peers of that state.
    pub electorate: Arc<Electorate>,
    globals: Globals,
    accounts: u64,
    /// One for each transaction.
    pub results: Arc<Vec<ResultRecord>>,
    /// The block result record.
    pub record: Cell,
}

/// Why a block was not executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotProposed {
    /// It would be void, because of the transaction of this number.
    Culprit(usize, String),
    /// It would be void, whatever is in it.
    Void(String),
    /// It has no outcome.
    Error(BlockError),
}

impl Ledger {
    /// On a state. `seed` should be unknown to others; `threads` are used to check signatures.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn new(state: Cell, seed: [u8; 32], threads: usize) -> Result<Self, CellError> {
        let tip = State::from_cell(&state)?;
        Ok(Self {
            machine: Machine::new(Rules::latest()),
            electorate: Arc::new(Electorate::of(&tip)?),
            globals: *tip.globals(),
            accounts: tip.account_count(),
            tip,
            state,
            ahead: VecDeque::new(),
            keys: KeyCache::new(KEYS),
            seed,
            threads,
        })
    }

    /// The state after the executed blocks.
    #[must_use]
    pub fn state(&self) -> &Cell {
        &self.state
    }

    /// Its peers.
    #[must_use]
    pub fn electorate(&self) -> &Arc<Electorate> {
        &self.electorate
    }

    /// Its global values.
    #[must_use]
    pub fn globals(&self) -> &Globals {
        &self.globals
    }

    /// Its number of accounts.
    #[must_use]
    pub fn accounts(&self) -> u64 {
        self.accounts
    }

    /// Reads the state from elsewhere from now on: `same` is equal to it. Only possible with nothing ahead.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn reread(&mut self, same: Cell) -> Result<(), CellError> {
        self.ahead.clear();
        self.tip = State::from_cell(&same)?;
        self.state = same;
        Ok(())
    }

    /// Executes ahead, so that exactly `blocks`, from the first that is not executed on, are.
    ///
    /// # Errors
    /// When one of them has no outcome.
    pub fn align(&mut self, blocks: impl IntoIterator<Item = Signed>) -> Result<(), BlockError> {
        let mut count = 0;
        for block in blocks {
            let id = BlockId::of(&block);
            if self
                .ahead
                .get(count)
                .is_some_and(|applied| applied.id != id)
            {
                self.truncate(count)?;
            }
            if count == self.ahead.len() {
                self.execute(&block)?;
            }
            count += 1;
        }
        self.truncate(count)
    }

    /// Throws away what is ahead from block `count` on.
    fn truncate(&mut self, count: usize) -> Result<(), BlockError> {
        if count >= self.ahead.len() {
            return Ok(());
        }
        self.ahead.truncate(count);
        let state = self.ahead.back().map_or(&self.state, |last| &last.state);
        self.tip = State::from_cell(state).map_err(BlockError::Data)?;
        Ok(())
    }

    fn execute(&mut self, block: &Signed) -> Result<(), BlockError> {
        // What is wrong with the block itself is told by its application.
        if let Err(error @ CellError::Store { .. }) = check_signatures_parallel(
            std::slice::from_ref(block),
            &self.keys,
            &self.seed,
            self.threads,
        ) {
            return Err(BlockError::Data(error));
        }
        let outcome = apply_block(&mut self.machine, &mut self.tip, block)?;
        self.note(BlockId::of(block), outcome)
    }

    fn note(&mut self, id: BlockId, outcome: BlockOutcome) -> Result<(), BlockError> {
        let state = self.tip.to_cell().map_err(BlockError::Data)?;
        let electorate = Electorate::of(&self.tip).map_err(BlockError::Data)?;
        let record = outcome.to_cell(state.clone());
        let _ = record.hash_all();
        self.ahead.push_back(Applied {
            id,
            state,
            electorate: Arc::new(electorate),
            globals: *self.tip.globals(),
            accounts: self.tip.account_count(),
            results: Arc::new(outcome.results),
            record,
        });
        Ok(())
    }

    /// Executes a block that this peer is about to propose behind all that is ahead. The signatures of its transactions were checked.
    ///
    /// # Errors
    /// When it would be void; nothing has changed then.
    pub fn propose(&mut self, key: AccountKey, block: &Block) -> Result<(), NotProposed> {
        let signed = unsigned(key, block);
        let outcome =
            apply_block(&mut self.machine, &mut self.tip, &signed).map_err(NotProposed::Error)?;
        let Some(why) = outcome.invalid else {
            return self
                .note(BlockId::of(&signed), outcome)
                .map_err(NotProposed::Error);
        };
        match self.culprit(key, block)? {
            Some(number) => Err(NotProposed::Culprit(number, why)),
            None => Err(NotProposed::Void(why)),
        }
    }

    /// The first transaction with which the block is void: a block of those before it is not. Found by halving, since execution is
    /// in order and stops at the first fault.
    fn culprit(&mut self, key: AccountKey, block: &Block) -> Result<Option<usize>, NotProposed> {
        let transactions: Vec<Cell> = block
            .transactions
            .iter()
            .collect::<Result<_, _>>()
            .map_err(|error| NotProposed::Error(BlockError::Data(error)))?;
        let mut is_void = |count: usize| {
            let start = Block {
                timestamp: block.timestamp,
                transactions: transactions[..count].iter().cloned().collect(),
            };
            try_block(&mut self.machine, &mut self.tip, &unsigned(key, &start))
                .map(|outcome| outcome.invalid.is_some())
                .map_err(NotProposed::Error)
        };
        if is_void(0)? {
            return Ok(None);
        }
        let (mut good, mut void) = (0, transactions.len());
        while void - good > 1 {
            let middle = good + (void - good) / 2;
            if is_void(middle)? {
                void = middle;
            } else {
                good = middle;
            }
        }
        Ok(Some(good))
    }

    /// Executes the next final block, or takes over what came of it when it was executed ahead.
    ///
    /// # Errors
    /// When it has no outcome.
    pub fn finalise(&mut self, block: &Signed) -> Result<Applied, BlockError> {
        let id = BlockId::of(block);
        if self.ahead.front().is_none_or(|next| next.id != id) {
            self.truncate(0)?;
            self.execute(block)?;
        }
        let Some(applied) = self.ahead.pop_front() else {
            return Err(BlockError::Fatal(
                "a block that was executed is gone".to_owned(),
            ));
        };
        self.state = applied.state.clone();
        self.electorate = applied.electorate.clone();
        self.globals = applied.globals;
        self.accounts = applied.accounts;
        Ok(applied)
    }
}

/// The signature of a block has no influence on what it does (`spec/04 §5`).
fn unsigned(key: AccountKey, block: &Block) -> Signed {
    Signed::new(key, Signature::new([0; 64]), block.to_cell())
}

/// The results as cells, of a void block as many as it has answers.
#[must_use]
pub fn results_of(record: &Cell) -> Option<Vector> {
    match record {
        Cell::Record(record) => match record.field(1) {
            Ok(Some(Cell::Vector(results))) => Some(results),
            _ => None,
        },
        _ => None,
    }
}
