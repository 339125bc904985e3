//! Checking the signatures of many transactions at once.

use cells::{Cell, CellError, Signed, Verdict};
use crypto::{KeyCache, SignedMessage, verify_batch};

use crate::state::{Block, MAX_TRANSACTIONS};

/// Fewest signatures that are worth a thread of their own.
const PER_THREAD: usize = 64;

/// The transactions of blocks whose signature nobody has checked.
fn unchecked(blocks: &[Signed]) -> Result<Vec<Signed>, CellError> {
    let mut found = Vec::new();
    for block in blocks {
        let transactions = Block::from_cell(&block.value()?)?.transactions;
        // A block with more is void, whatever the signatures in it; walking it could take for ever.
        if transactions.count() > MAX_TRANSACTIONS {
            continue;
        }
        for element in transactions.iter() {
            match element? {
                Cell::Signed(signed)
                    if signed.verdict() == Verdict::Unknown && signed.key().is_some() =>
                {
                    found.push(signed);
                }
                // Whatever else a block holds is the business of its application.
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Notes for every transaction of these blocks whether its signature is right, as [`Signed::verify`] would.
///
/// `seed` should be unknown to whoever sends blocks, see [`verify_batch`].
///
/// # Errors
/// When a block can't be read, or is none.
pub fn check_signatures(
    blocks: &[Signed],
    cache: &KeyCache,
    seed: &[u8; 32],
) -> Result<(), CellError> {
    check(&unchecked(blocks)?, cache, seed);
    Ok(())
}

/// As [`check_signatures`], on up to `threads` threads.
///
/// # Errors
/// When a block can't be read, or is none.
pub fn check_signatures_parallel(
    blocks: &[Signed],
    cache: &KeyCache,
    seed: &[u8; 32],
    threads: usize,
) -> Result<(), CellError> {
    let unchecked = unchecked(blocks)?;
    let share = unchecked.len().div_ceil(threads.max(1)).max(PER_THREAD);
    std::thread::scope(|scope| {
        let mut shares = unchecked.chunks(share);
        let own = shares.next();
        for share in shares {
            scope.spawn(move || check(share, cache, seed));
        }
        if let Some(own) = own {
            check(own, cache, seed);
        }
    });
    Ok(())
}

fn check(signed: &[Signed], cache: &KeyCache, seed: &[u8; 32]) {
    let messages: Vec<_> = signed.iter().map(Signed::message).collect();
    let (items, owners): (Vec<_>, Vec<_>) = signed
        .iter()
        .zip(&messages)
        .filter_map(|(signed, message)| {
            let key = signed.key()?;
            Some((
                SignedMessage {
                    key,
                    message,
                    signature: signed.signature(),
                },
                signed,
            ))
        })
        .unzip();
    for (owner, good) in owners.iter().zip(verify_batch(cache, seed, &items)) {
        owner.set_verdict(if good { Verdict::Good } else { Verdict::Bad });
    }
}
