//! The chain of a peer as others see it: its signed orders, fetched cell by cell, and what their blocks make of the genesis state.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cells::{Cell, CellError, Decoder, Hash, Source, branches, decode_stored};
use client::{Client, ClientError};
use consensus::{Belief, Order};
use cvm::state::{Block, State};
use cvm::transition::apply_block;
use cvm::{Machine, Rules};

/// Cells that are asked for at once.
const AT_ONCE: usize = 200;

/// Cells that were fetched.
#[derive(Debug, Clone, Default)]
pub struct Cells(Arc<Mutex<HashMap<Hash, Vec<u8>>>>);

impl Source for Cells {
    fn load(&self, hash: &Hash) -> Result<Cell, CellError> {
        let cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = cells.get(hash).ok_or(CellError::Missing(*hash))?;
        let decoder = Decoder::with_source(Arc::new(self.clone()));
        decode_stored(*hash, bytes, &decoder).map_err(|_| CellError::Missing(*hash))
    }
}

impl Cells {
    fn has(&self, hash: &Hash) -> bool {
        let cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cells.contains_key(hash)
    }

    /// Fetches a cell and everything below it that is not here yet; false when the peer lacks a part of it.
    ///
    /// # Errors
    /// When the peer does not answer.
    pub fn acquire(&self, client: &mut Client, root: Hash) -> Result<bool, ClientError> {
        let mut wanted = vec![root];
        // What is noted at the end stands for all below it.
        let mut fetched = Vec::new();
        while !wanted.is_empty() {
            let part: Vec<Hash> = wanted
                .drain(wanted.len().saturating_sub(AT_ONCE)..)
                .collect();
            for cell in client.data(&part)? {
                let Some(cell) = cell else { return Ok(false) };
                wanted.extend(
                    branches(&cell)
                        .iter()
                        .map(cells::Ref::hash)
                        .filter(|hash| !self.has(hash)),
                );
                fetched.push((cell.hash(), cell.encode()));
            }
        }
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cells.extend(fetched);
        Ok(true)
    }
}

/// The order that a peer says is its own, complete, its signature checked; `None` when it had no such order just now.
///
/// # Errors
/// When the peer does not answer.
///
/// # Panics
/// When what it tells is no rightly signed order of its own.
pub fn own_order(client: &mut Client, cells: &Cells) -> Result<Option<Order>, ClientError> {
    let status = client.status()?;
    if !cells.acquire(client, status.belief)? {
        return Ok(None);
    }
    let belief = cells.load(&status.belief)?;
    let belief = Belief::from_cell(&belief).expect("a belief");
    let Some(signed) = belief.signed_order(&status.peer)? else {
        return Ok(None);
    };
    assert!(signed.verify(), "a signature of the peer");
    let order = belief
        .order(&status.peer)
        .expect("an order")
        .expect("an order");
    Ok(Some(order))
}

/// Orders of one peer that were seen, and what they must not show.
#[derive(Debug, Default)]
pub struct Witness {
    orders: HashMap<Hash, Order>,
}

impl Witness {
    /// Notes an order.
    pub fn see(&mut self, order: Order) {
        self.orders.insert(order.to_cell().hash(), order);
    }

    /// Number of different orders.
    #[must_use]
    pub fn count(&self) -> usize {
        self.orders.len()
    }

    /// Checks that no two orders contradict one another: with the same time one continues the other, and what was final in one is in
    /// all later ones.
    ///
    /// # Panics
    /// When two do.
    pub fn check(&self) {
        let mut orders: Vec<&Order> = self.orders.values().collect();
        orders.sort_by_key(|order| (order.timestamp, order.blocks.count()));
        for pair in orders.windows(2) {
            let [before, after] = pair else {
                unreachable!("pairs")
            };
            if before.timestamp == after.timestamp {
                assert!(
                    is_prefix(before, after, before.blocks.count()),
                    "two orders of the time {}",
                    before.timestamp
                );
                assert!(
                    before.points[1..] == after.points[1..],
                    "two orders of one time with other points"
                );
            }
            let last = before.points.len() - 1;
            assert!(
                is_prefix(before, after, before.point(last).unsigned_abs()),
                "a final block is gone"
            );
        }
    }
}

fn is_prefix(before: &Order, after: &Order, count: u64) -> bool {
    let cut = |order: &Order| {
        order
            .blocks
            .slice(0, count)
            .expect("all cells")
            .map(|part| Cell::from(part).hash())
    };
    count <= after.blocks.count() && cut(before) == cut(after)
}

/// What the blocks of an order up to its finality lead to.
#[derive(Debug)]
pub struct Replayed {
    /// Hash of the state.
    pub state: Hash,
    /// Blocks.
    pub blocks: Vec<Block>,
    /// By the hash of its signed form: how often each transaction stands in the blocks, and how often it succeeded.
    pub transactions: HashMap<Hash, (usize, usize)>,
    /// Blocks without effect.
    pub invalid: usize,
}

/// Executes the final blocks of an order on a genesis state, undisturbed.
///
/// # Panics
/// When they can't be executed.
#[must_use]
pub fn replay(genesis: &Cell, order: &Order) -> Replayed {
    let mut state = State::from_cell(genesis).expect("a state");
    let mut machine = Machine::new(Rules::latest());
    let (mut blocks, mut transactions, mut invalid) = (Vec::new(), HashMap::new(), 0);
    let count = usize::try_from(order.point(3)).expect("a point");
    for block in order.blocks.iter().take(count) {
        let Ok(Cell::Signed(signed)) = block else {
            panic!("not a signed block");
        };
        let outcome = apply_block(&mut machine, &mut state, &signed).expect("a block");
        let block = Block::from_cell(&signed.value().expect("all cells")).expect("a block");
        if outcome.invalid.is_some() {
            invalid += 1;
        }
        for (transaction, result) in block.transactions.iter().zip(&outcome.results) {
            let entry: &mut (usize, usize) = transactions
                .entry(transaction.expect("all cells").hash())
                .or_default();
            entry.0 += 1;
            if result.error == Cell::Nil {
                entry.1 += 1;
            }
        }
        blocks.push(block);
    }
    Replayed {
        state: state.hash().expect("all cells"),
        blocks,
        transactions,
        invalid,
    }
}
