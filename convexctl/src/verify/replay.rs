//! Executing the blocks of an order on a state.

use std::num::NonZero;
use std::time::{Duration, Instant};

use cells::{Cell, Hash, Signed, Vector, Verdict};
use cvm::state::{Block, Globals, State};
use cvm::transition::{BlockError, BlockOutcome, apply_block, try_block};
use cvm::{Machine, Rules};
use serde_json::json;

use super::rule::{self, Rule};
use super::signatures::Signatures;
use crate::failure::Failure;
use crate::output::Out;
use crate::progress::Bar;

/// A chain to be replayed.
pub(super) struct Replay<'a> {
    pub(super) genesis: &'a Cell,
    pub(super) blocks: &'a [Signed],
    pub(super) seed: &'a [u8; 32],
}

/// Where the blocks led.
pub(super) struct Outcome {
    pub(super) state: State,
    pub(super) hash: Hash,
    pub(super) accounts: u64,
    pub(super) globals: Globals,
    pub(super) blocks: u64,
    pub(super) transactions: u64,
    /// Transactions whose result is an error, those of invalid blocks not counted.
    pub(super) errors: u64,
    pub(super) invalid: Vec<Invalid>,
    /// Signatures that were checked.
    pub(super) signatures: u64,
    /// Blocks with a wrong signature.
    pub(super) forged: Vec<u64>,
    /// Transactions with a wrong signature; each has the result `:SIGNATURE`.
    pub(super) bad_transactions: u64,
    /// Time of execution with the checks, decoding not counted.
    pub(super) time: Duration,
}

/// A block that did nothing.
pub(super) struct Invalid {
    pub(super) block: u64,
    /// The transaction that voids it, when one does.
    pub(super) transaction: Option<u64>,
    pub(super) reason: String,
    pub(super) rule: &'static Rule,
}

impl Replay<'_> {
    /// Replays the chain; with a `listing`, each block adds a line to it (JSON when asked for).
    pub(super) fn run(&self, mut listing: Option<(&mut Out, bool)>) -> Result<Outcome, Failure> {
        let start = Instant::now();
        let mut state = State::from_cell(self.genesis).map_err(Failure::data)?;
        let mut machine = Machine::new(Rules::latest());
        let signatures = Signatures::of(self.blocks, self.seed)?;
        let mut errors = 0;
        let mut invalid = Vec::new();
        let mut bar = Bar::new(self.blocks.len() as u64, "blocks");
        // The executing thread checks too, so one thread less than cores.
        let workers = std::thread::available_parallelism().map_or(1, NonZero::get) - 1;
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| while signatures.check_one() {});
            }
            for (chunk, range) in signatures.ranges() {
                signatures.await_chunk(chunk);
                for number in range {
                    let block = &self.blocks[number];
                    let outcome = apply_block(&mut machine, &mut state, block)
                        .map_err(|error| stopped(number, block, error))?;
                    let failed = failed(&outcome);
                    if let Some(reason) = &outcome.invalid {
                        invalid.push(Invalid {
                            block: number as u64,
                            transaction: culprit(&mut machine, &mut state, block)?,
                            reason: reason.clone(),
                            rule: rule::of(reason),
                        });
                    } else {
                        errors += failed;
                    }
                    if let Some((out, json)) = &mut listing {
                        let hash = state.hash().map_err(Failure::data)?;
                        out.line(block_line(number, block, &outcome, failed, hash, *json))?;
                    }
                    bar.at(number as u64 + 1);
                }
            }
            Ok(())
        })?;
        drop(bar);
        let hash = state.hash().map_err(Failure::data)?;
        let time = start.elapsed();
        let forged: Vec<u64> = (0u64..)
            .zip(self.blocks)
            .filter(|(_, block)| block.verdict() != Verdict::Good)
            .map(|(number, _)| number)
            .collect();
        let (count, bad) = signatures.counts();
        Ok(Outcome {
            hash,
            accounts: state.account_count(),
            globals: *state.globals(),
            blocks: self.blocks.len() as u64,
            transactions: signatures.transactions(),
            errors,
            invalid,
            signatures: count,
            bad_transactions: bad - forged.len() as u64,
            forged,
            time,
            state,
        })
    }

    /// After how many blocks the state has this hash, if ever.
    pub(super) fn find(&self, hash: &Hash) -> Result<Option<u64>, Failure> {
        if self.genesis.hash() == *hash {
            return Ok(Some(0));
        }
        let mut state = State::from_cell(self.genesis).map_err(Failure::data)?;
        let mut machine = Machine::new(Rules::latest());
        let mut bar = Bar::new(self.blocks.len() as u64, "blocks compared");
        for (done, block) in (1u64..).zip(self.blocks) {
            apply_block(&mut machine, &mut state, block)
                .map_err(|error| stopped(done as usize - 1, block, error))?;
            if state.hash().map_err(Failure::data)? == *hash {
                return Ok(Some(done));
            }
            bar.at(done);
        }
        Ok(None)
    }
}

fn failed(outcome: &BlockOutcome) -> u64 {
    outcome
        .results
        .iter()
        .filter(|result| !result.error.is_nil())
        .count() as u64
}

fn stopped(number: usize, block: &Signed, error: BlockError) -> Failure {
    let failure = Failure::data(format!(
        "block {number} ({}) has no outcome: {error}",
        Cell::from(block.clone()).hash()
    ));
    match error {
        BlockError::Data(_) => failure
            .remedy("the genesis or the belief is incomplete: export it with all its branches"),
        BlockError::Fatal(_) => {
            failure.remedy("no peer of the network gets past this block; it can't be in consensus")
        }
    }
}

/// The transaction that makes a block invalid; none when the block itself does. `state` is the one before the block.
///
/// A fault ends a block where it happens, so a beginning of the transactions is invalid exactly when it contains
/// that one.
fn culprit(
    machine: &mut Machine,
    state: &mut State,
    signed: &Signed,
) -> Result<Option<u64>, Failure> {
    let value = signed.value().map_err(Failure::data)?;
    let block = Block::from_cell(&value).map_err(Failure::data)?;
    let Some(key) = signed.key() else {
        return Ok(None);
    };
    let count = block.transactions.count();
    if count > cvm::state::MAX_TRANSACTIONS {
        return Ok(None);
    }
    let mut invalid_with = |n: u64| -> Result<bool, Failure> {
        let transactions: Vector = block
            .transactions
            .slice(0, n)
            .map_err(Failure::data)?
            .unwrap_or_else(Vector::empty);
        let start = Block {
            timestamp: block.timestamp,
            transactions,
        };
        let start = Signed::new(*key, *signed.signature(), start.to_cell());
        let outcome = try_block(machine, state, &start).map_err(Failure::data)?;
        Ok(outcome.invalid.is_some())
    };
    if invalid_with(0)? {
        return Ok(None);
    }
    let (mut valid, mut invalid) = (0, count);
    while invalid - valid > 1 {
        let middle = valid + (invalid - valid) / 2;
        if invalid_with(middle)? {
            invalid = middle;
        } else {
            valid = middle;
        }
    }
    Ok(invalid.checked_sub(1))
}

fn block_line(
    number: usize,
    signed: &Signed,
    outcome: &BlockOutcome,
    failed: u64,
    hash: Hash,
    json: bool,
) -> String {
    let time = match signed.value().and_then(|value| Block::from_cell(&value)) {
        Ok(block) => block.timestamp,
        Err(_) => 0,
    };
    let peer = signed.key().map_or_else(String::new, ToString::to_string);
    if json {
        let line = json!({
            "block": number,
            "timestamp": time,
            "peer": peer,
            "transactions": outcome.results.len(),
            "errors": failed,
            "invalid": outcome.invalid,
            "state": hash.to_string(),
        });
        return line.to_string();
    }
    let verdict = match &outcome.invalid {
        Some(reason) => format!("INVALID ({reason})"),
        None => format!("{failed} errors"),
    };
    format!(
        "block {number}  time {time}  peer {}  {} transactions  {verdict}  state {hash}",
        peer.get(..12).unwrap_or(&peer),
        outcome.results.len(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::{Index, Record, RecordKind};
    use crypto::SigningKey;
    use cvm::state::{Account, PeerStatus};

    fn transfer(key: &SigningKey, sequence: i64, target: Cell) -> Cell {
        let fields = [
            Cell::Address(1),
            Cell::Long(sequence),
            target,
            Cell::Long(0),
        ];
        let record = Record::of_kind(RecordKind::Transfer, fields);
        Cell::from(Signed::sign(key, Cell::from(record)))
    }

    fn good(key: &SigningKey, sequence: i64) -> Cell {
        transfer(key, sequence, Cell::Address(1))
    }

    /// A transfer to what is no address: a host fault once the funds suffice (`spec/04 §3.4`).
    fn faulty(key: &SigningKey, sequence: i64) -> Cell {
        transfer(key, sequence, Cell::Nil)
    }

    fn block(
        key: &SigningKey,
        timestamp: i64,
        transactions: impl IntoIterator<Item = Cell>,
    ) -> Signed {
        let block = Block {
            timestamp,
            transactions: transactions.into_iter().collect(),
        };
        Signed::sign(key, block.to_cell())
    }

    /// Two accounts and one peer, enough for blocks.
    fn genesis(key: &SigningKey) -> Cell {
        let mut user = Account::default();
        user.balance = 1_000_000_000_000;
        user.allowance = 10_000;
        user.set_key(Some(key.account_key().to_bytes()));
        let accounts = [Account::default(), user].map(|account| account.to_cell());
        let mut state = State::new(
            accounts.into_iter().collect(),
            Index::empty(),
            Globals::default(),
            Index::empty(),
        );
        let peer = PeerStatus::new(1, 2_000_000_000_000);
        state
            .set_peer(&key.account_key().to_bytes(), &peer)
            .unwrap();
        state.to_cell().unwrap()
    }

    fn replay(genesis: &Cell, blocks: &[Signed]) -> Outcome {
        Replay {
            genesis,
            blocks,
            seed: &[0; 32],
        }
        .run(None)
        .unwrap()
    }

    #[test]
    fn the_transaction_that_voids_a_block_is_found() {
        let key = SigningKey::from_seed(&[1; 32]);
        let genesis = genesis(&key);
        let time = Globals::default().timestamp;
        for bad in [0, 1, 6, 9] {
            let transactions = (0..10).map(|i| {
                if i == bad {
                    faulty(&key, i + 1)
                } else {
                    good(&key, i + 1)
                }
            });
            let blocks = [
                block(&key, time, [good(&key, 1)]),
                block(&key, time, [good(&key, 5)]),
            ];
            let outcome = replay(&genesis, &blocks);
            assert_eq!((outcome.errors, outcome.invalid.len()), (1, 0));

            let blocks = [block(&key, time, transactions)];
            let outcome = replay(&genesis, &blocks);
            let [invalid] = outcome.invalid.as_slice() else {
                panic!("one invalid block")
            };
            assert_eq!(invalid.transaction, Some(bad as u64));
            assert_eq!(invalid.rule.section, "spec/04 §5.5, §11");
            assert_eq!(outcome.hash, genesis.hash());
        }
    }

    #[test]
    fn a_block_that_is_itself_invalid_blames_no_transaction() {
        let key = SigningKey::from_seed(&[1; 32]);
        let genesis = genesis(&key);
        let time = Globals::default().timestamp;
        let blocks = [
            block(&key, time - 900_001, [good(&key, 1)]),
            block(&SigningKey::from_seed(&[2; 32]), time, []),
            block(&key, time, (0..1025).map(|i| good(&key, i + 1))),
        ];
        let outcome = replay(&genesis, &blocks);
        let sections: Vec<_> = outcome
            .invalid
            .iter()
            .map(|i| (i.transaction, i.rule.section))
            .collect();
        assert_eq!(
            sections,
            [
                (None, "spec/04 §5.1 check 4"),
                (None, "spec/04 §5.1 check 1"),
                (None, "spec/04 §5.1 check 5")
            ]
        );
        assert_eq!(outcome.hash, genesis.hash());
    }

    #[test]
    fn wrong_signatures_of_blocks_and_of_transactions_are_counted_apart() {
        let key = SigningKey::from_seed(&[1; 32]);
        let genesis = genesis(&key);
        let time = Globals::default().timestamp;
        let other = SigningKey::from_seed(&[2; 32]);
        let honest = block(&key, time, [good(&key, 1), good(&other, 2)]);
        let value = honest.value().unwrap();
        let Cell::Record(record) = &value else {
            panic!("a record")
        };
        let forged = Signed::new(
            key.account_key(),
            crypto::Signature::new([7; 64]),
            Cell::from(record.clone()),
        );
        let outcome = replay(&genesis, &[forged]);
        assert_eq!(outcome.forged, [0]);
        // A right signature of the wrong key is an error of the transaction, not a wrong signature.
        assert_eq!(
            (outcome.errors, outcome.bad_transactions, outcome.signatures),
            (1, 0, 3)
        );
        assert_eq!(outcome.hash, replay(&genesis, &[honest]).hash);
    }

    #[test]
    fn an_expected_state_is_found_among_the_earlier_ones() {
        let key = SigningKey::from_seed(&[1; 32]);
        let genesis = genesis(&key);
        let time = Globals::default().timestamp;
        let blocks: Vec<_> = (1..=5)
            .map(|i| block(&key, time + i, [good(&key, i)]))
            .collect();
        let after_three = replay(&genesis, &blocks[..3]).hash;
        let replay = Replay {
            genesis: &genesis,
            blocks: &blocks,
            seed: &[0; 32],
        };
        assert_eq!(replay.find(&after_three).unwrap(), Some(3));
        assert_eq!(replay.find(&genesis.hash()).unwrap(), Some(0));
        assert_eq!(replay.find(&Hash::NIL).unwrap(), None);
    }
}
