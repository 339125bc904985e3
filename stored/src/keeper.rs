//! From messages to batches, barriers and answers.
//!
//! Several complete batches may become durable by one barrier. When that fails for want of space, the first of them is refused and
//! everything that was on its way behind it is passed over until it comes again; the sender keeps what is not durable
//! (DESIGN §2 rule 4).

use etch::{FileLayer, Flags, Put, RealFile, Writer};
use ipc::store::FromStore;

use crate::cells::{BadCells, split};

/// Bytes of complete batches that are gathered for one barrier; what comes next waits for the one after.
pub const GATHER: u64 = 8 << 20;
/// Longest text of a refusal in bytes ([`FromStore::Refused`]).
const MAX_TEXT: usize = 1000;

/// Why a message can't be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The sender breaks a rule; its channel has to end. What it sent and is not durable is forgotten.
    #[error("{0}")]
    Violation(#[from] Violation),
    /// The store refuses.
    #[error(transparent)]
    Store(etch::Error),
}

/// A rule that no honest sender breaks.
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// The cells of a message.
    #[error(transparent)]
    Cells(#[from] BadCells),
    /// A batch out of order.
    #[error("batch {found}, where {expected} is due")]
    Sequence {
        /// Number that is due.
        expected: u64,
        /// Number that came.
        found: u64,
    },
    /// A batch without end.
    #[error("a batch of more than {0} bytes")]
    Size(u64),
    /// The root that a batch names is in no batch.
    #[error("{0}")]
    Root(etch::Error),
}

/// What a message added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// Cells in it.
    pub cells: u64,
    /// Of them, those that the store did not have.
    pub new: u64,
}

/// The store, and where the sender is.
#[derive(Debug)]
pub struct Keeper<F: FileLayer = RealFile> {
    writer: Writer<F>,
    /// Free bytes of the file system below which nothing is taken.
    reserve: u64,
    /// Number of the next batch; none before the first of a channel.
    next: Option<u64>,
    /// First and last batch that are complete and not durable.
    complete: Option<(u64, u64)>,
    /// A batch was refused; until it comes again, what arrives was sent before the sender knew.
    passing_over: bool,
}

impl<F: FileLayer> Keeper<F> {
    /// Of an open store.
    pub fn new(writer: Writer<F>, reserve: u64) -> Self {
        Self {
            writer,
            reserve,
            next: None,
            complete: None,
            passing_over: false,
        }
    }

    /// The store.
    pub fn writer(&self) -> &Writer<F> {
        &self.writer
    }

    /// Number of complete batches that wait for a barrier.
    pub fn waiting(&self) -> u64 {
        self.complete.map_or(0, |(first, last)| last - first + 1)
    }

    /// Complete batches wait, and are as much as one barrier takes.
    pub fn is_due(&self) -> bool {
        self.complete.is_some() && self.writer.sizes().uncommitted >= GATHER
    }

    /// A new channel begins: what belonged to the old one and is not durable will come again.
    pub fn begin(&mut self) {
        self.writer.abort();
        self.next = None;
        self.complete = None;
        self.passing_over = false;
    }

    /// Adds cells to the next batch.
    ///
    /// # Errors
    /// When the bytes are no cells, the batch is too large, or the store can't be read; the open batch is then forgotten.
    pub fn cells(&mut self, bytes: &[u8]) -> Result<Added, Trouble> {
        let cells = split(bytes).map_err(Violation::from)?;
        let inputs: Vec<&[u8]> = cells.iter().map(|cell| cell.encoding).collect();
        let mut keys = vec![[0; 32]; inputs.len()];
        crypto::sha3_256_many(&inputs, &mut keys);
        let mut added = Added::default();
        for (cell, key) in cells.iter().zip(keys) {
            // Children come first and batches are whole, so everything below it is here.
            let flags = Flags::new(Flags::PERSISTED, cell.encoding.len());
            let put = self
                .writer
                .put_hashed(key, cell.encoding, flags, cell.memory_size);
            match put {
                Ok(put) => {
                    added.cells += 1;
                    added.new += u64::from(put == Put::New);
                }
                Err(etch::Error::BatchFull(bytes)) => return Err(Violation::Size(bytes).into()),
                Err(error) => return Err(Trouble::Store(error)),
            }
        }
        Ok(added)
    }

    /// Ends the next batch. It waits for [`Keeper::flush`].
    ///
    /// # Errors
    /// When another number is due, or the root is not there.
    pub fn commit(&mut self, sequence: u64, root: Option<[u8; 32]>) -> Result<(), Trouble> {
        let expected = self.next.unwrap_or(sequence);
        if sequence != expected {
            if self.passing_over {
                self.writer.abort();
                return Ok(());
            }
            return Err(Violation::Sequence {
                expected,
                found: sequence,
            }
            .into());
        }
        let Some(next) = sequence.checked_add(1) else {
            return Err(Violation::Sequence {
                expected: 0,
                found: sequence,
            }
            .into());
        };
        if let Some(root) = root {
            match self.writer.set_root(root) {
                Ok(()) => {}
                Err(error @ etch::Error::RootMissing { .. }) => {
                    return Err(Violation::Root(error).into());
                }
                Err(error) => return Err(Trouble::Store(error)),
            }
        }
        self.passing_over = false;
        self.next = Some(next);
        let first = self.complete.map_or(sequence, |(first, _)| first);
        self.complete = Some((first, sequence));
        Ok(())
    }

    /// Makes the complete batches durable; `free` is what the file system has left. Cells of the next batch that are here already
    /// become durable too, which harms nobody.
    ///
    /// # Errors
    /// When the store fails for another reason than want of space.
    pub fn flush(&mut self, free: u64) -> Result<Option<FromStore>, Trouble> {
        let Some((first, last)) = self.complete else {
            return Ok(None);
        };
        // The batch goes into the log and into the file.
        let needed = self.writer.sizes().uncommitted.saturating_mul(2);
        if free < self.reserve.saturating_add(needed) {
            let text = format!(
                "{}: {free} bytes free, and {} have to stay so: free space or enlarge the disk, acknowledged data is safe",
                self.writer.name().display(),
                self.reserve
            );
            return Ok(Some(self.refuse(first, text)));
        }
        match self.writer.commit() {
            Ok(_) => {
                self.complete = None;
                Ok(Some(FromStore::Durable { sequence: last }))
            }
            Err(error) if error.is_full() => Ok(Some(self.refuse(first, error.to_string()))),
            Err(error) => Err(Trouble::Store(error)),
        }
    }

    fn refuse(&mut self, sequence: u64, mut text: String) -> FromStore {
        self.writer.abort();
        self.complete = None;
        self.next = Some(sequence);
        self.passing_over = true;
        cut(&mut text);
        FromStore::Refused {
            sequence,
            text,
            retry: true,
        }
    }

    /// The refusal of everything that is not durable, for good. `None` before the first batch.
    pub fn give_up(&self, why: &etch::Error) -> Option<FromStore> {
        let sequence = self.complete.map(|(first, _)| first).or(self.next)?;
        let mut text = why.to_string();
        cut(&mut text);
        Some(FromStore::Refused {
            sequence,
            text,
            retry: false,
        })
    }

    /// Prepares a checkpoint if one is due, and says so: what changed is in the file then, and to be synced by another thread while
    /// batches go on.
    ///
    /// # Errors
    /// When the store fails.
    pub fn settle_if_due(&mut self) -> Result<bool, etch::Error> {
        if !self.writer.checkpoint_due() {
            return Ok(false);
        }
        self.writer.settle()?;
        Ok(true)
    }

    /// Works the log into the store file.
    ///
    /// # Errors
    /// When the store fails.
    pub fn checkpoint(&mut self) -> Result<(), etch::Error> {
        self.writer.checkpoint()
    }

    /// Forgets what is not complete and leaves a plain Etch file.
    ///
    /// # Errors
    /// When the store fails. Everything acknowledged is in its log then.
    pub fn close(mut self) -> Result<(), etch::Error> {
        self.writer.abort();
        self.writer.close()?;
        Ok(())
    }
}

fn cut(text: &mut String) {
    let end = (0..=MAX_TEXT.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end));
    text.truncate(end.unwrap_or(0));
}
