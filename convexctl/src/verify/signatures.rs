//! Checking the signatures of many blocks on all cores while the blocks are executed.
//!
//! Blocks are cut into chunks of signatures: small ones first, so that execution begins soon, then larger ones, since a
//! large batch is cheaper for each signature. Whoever has nothing better to do takes the next chunk: the workers all
//! the time, and the executing thread whenever the chunk that it needs is not ready. So no core waits while there is
//! a chunk to take, and nothing is checked twice.

use std::io::Read;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use cells::{Cell, Signed, Verdict};
use crypto::{KeyCache, SignedMessage, verify_batch};
use cvm::state::{Block, MAX_TRANSACTIONS};

use super::MOST;
use crate::exit::Exit;
use crate::failure::Failure;

/// Signatures of the first chunk, at least, unless the blocks end before; each next chunk has twice as many.
const FIRST: usize = 32;
/// Where that ends.
const LARGEST: usize = 512;
/// Keys whose decoded form is kept.
const KEYS: usize = 4096;

/// A secret that makes batches of signatures unpredictable for whoever made them, see [`verify_batch`].
pub(super) fn seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut seed))
        .map_err(|error| {
            Failure::new(
                Exit::Io,
                format!("no random bytes from /dev/urandom: {error}"),
            )
        })?;
    Ok(seed)
}

/// Notes for each of these whether its signature is right.
pub(super) fn check(signed: &[Signed], cache: &KeyCache, seed: &[u8; 32]) {
    let messages: Vec<_> = signed.iter().map(Signed::message).collect();
    let (items, owners): (Vec<_>, Vec<_>) = signed
        .iter()
        .zip(&messages)
        .filter_map(|(signed, message)| {
            let key = signed.key()?;
            let signature = signed.signature();
            Some((
                SignedMessage {
                    key,
                    message,
                    signature,
                },
                signed,
            ))
        })
        .unzip();
    for (owner, good) in owners.iter().zip(verify_batch(cache, seed, &items)) {
        owner.set_verdict(if good { Verdict::Good } else { Verdict::Bad });
    }
}

/// The signatures of a chain of blocks.
pub(super) struct Signatures<'a> {
    chunks: Vec<Chunk>,
    /// The chunk to take next.
    next: AtomicUsize,
    /// For those who wait for a chunk that another thread has taken.
    lock: Mutex<()>,
    ready: Condvar,
    cache: KeyCache,
    seed: &'a [u8; 32],
    transactions: u64,
}

struct Chunk {
    blocks: Range<usize>,
    signed: Vec<Signed>,
    done: AtomicBool,
}

impl<'a> Signatures<'a> {
    /// Collects them: those of the blocks themselves and of their transactions.
    pub(super) fn of(blocks: &[Signed], seed: &'a [u8; 32]) -> Result<Self, Failure> {
        let mut chunks = Vec::new();
        let mut signed = Vec::new();
        let mut start = 0;
        let mut size = FIRST;
        let mut transactions = 0;
        for (i, block) in blocks.iter().enumerate() {
            signed.push(block.clone());
            let value = block.value().map_err(Failure::data)?;
            // What is no block at all, or holds other things than transactions, is the business of its execution.
            if let Ok(block) = Block::from_cell(&value) {
                let count = block.transactions.count();
                if count > MOST {
                    return Err(Failure::data(format!(
                        "block {i} claims {count} transactions, more than a file can hold"
                    )));
                }
                transactions += count;
                // One with too many is not executed, so nobody asks for their signatures.
                let count = if count > MAX_TRANSACTIONS { 0 } else { count };
                for (_, element) in (0..count).zip(block.transactions.iter()) {
                    if let Cell::Signed(transaction) = element.map_err(Failure::data)? {
                        signed.push(transaction);
                    }
                }
            }
            if signed.len() >= size || i + 1 == blocks.len() {
                chunks.push(Chunk {
                    blocks: start..i + 1,
                    signed: std::mem::take(&mut signed),
                    done: AtomicBool::new(false),
                });
                start = i + 1;
                size = (2 * size).min(LARGEST);
            }
        }
        Ok(Self {
            chunks,
            next: AtomicUsize::new(0),
            lock: Mutex::new(()),
            ready: Condvar::new(),
            cache: KeyCache::new(KEYS),
            seed,
            transactions,
        })
    }

    /// Number of transactions in all blocks.
    pub(super) fn transactions(&self) -> u64 {
        self.transactions
    }

    /// The ranges of blocks that become ready together, in order.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.chunks
            .iter()
            .map(|chunk| chunk.blocks.clone())
            .enumerate()
    }

    /// Checks one chunk that nobody has taken; false when there is none left.
    pub(super) fn check_one(&self) -> bool {
        let Some(chunk) = self.chunks.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
            return false;
        };
        check(&chunk.signed, &self.cache, self.seed);
        chunk.done.store(true, Ordering::Release);
        // Taken, so that nobody begins to wait between the look at `done` and the wait itself.
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.ready.notify_all();
        true
    }

    /// Comes back when the signatures of chunk `i` are checked; meanwhile checks others.
    pub(super) fn await_chunk(&self, i: usize) {
        let Some(chunk) = self.chunks.get(i) else {
            return;
        };
        while !chunk.done.load(Ordering::Acquire) {
            if self.check_one() {
                continue;
            }
            let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            let done = self
                .ready
                .wait_while(guard, |()| !chunk.done.load(Ordering::Acquire));
            drop(done.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// How many there are, and how many of the transactions' are wrong.
    pub(super) fn counts(&self) -> (u64, u64) {
        let all = self.chunks.iter().flat_map(|chunk| &chunk.signed);
        let bad = all
            .clone()
            .filter(|signed| signed.verdict() != Verdict::Good);
        (all.count() as u64, bad.count() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::{Record, RecordKind, Vector};
    use crypto::SigningKey;

    fn block(key: &SigningKey, number: i64, transactions: i64, bad: Option<i64>) -> Signed {
        let signed = (0..transactions).map(|i| {
            let other = SigningKey::from_seed(&[i as u8 + 1; 32]);
            let signed = Signed::sign(key, Cell::Long(number * 1000 + i));
            let key = if bad == Some(i) {
                other.account_key()
            } else {
                key.account_key()
            };
            // Made anew: nothing is known about the signature.
            Cell::from(Signed::new(
                key,
                *signed.signature(),
                Cell::Long(number * 1000 + i),
            ))
        });
        let transactions = Cell::from(signed.collect::<Vector>());
        let value = Cell::from(Record::of_kind(
            RecordKind::Block,
            [Cell::Long(number), transactions],
        ));
        let signed = Signed::sign(key, value.clone());
        Signed::new(key.account_key(), *signed.signature(), value)
    }

    #[test]
    fn all_signatures_are_checked_once_whoever_waits_for_which_chunk() {
        let key = SigningKey::from_seed(&[9; 32]);
        let blocks: Vec<_> = (0..40)
            .map(|n| block(&key, n, 20, (n == 7).then_some(3)))
            .collect();
        for workers in [0, 1, 3] {
            let signatures = Signatures::of(&blocks, &[1; 32]).unwrap();
            assert!(signatures.chunks.len() > 2);
            std::thread::scope(|scope| {
                for _ in 0..workers {
                    scope.spawn(|| while signatures.check_one() {});
                }
                let mut seen = 0;
                for (i, range) in signatures.ranges() {
                    signatures.await_chunk(i);
                    assert_eq!(range.start, seen);
                    seen = range.end;
                    for block in &blocks[range] {
                        assert_eq!(block.verdict(), Verdict::Good);
                    }
                }
                assert_eq!(seen, blocks.len());
            });
            assert_eq!(signatures.counts(), (40 * 21, 1));
            assert_eq!(signatures.transactions(), 800);
        }
    }

    #[test]
    fn no_blocks_have_no_signatures() {
        let signatures = Signatures::of(&[], &[1; 32]).unwrap();
        assert!(!signatures.check_one());
        signatures.await_chunk(0);
        assert_eq!(signatures.counts(), (0, 0));
    }
}
