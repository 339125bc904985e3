//! The journal: the ceiling of `signing`, on disk before anything up to it is signed.
//!
//! ```text
//! offset 0      slot A   magic 8 · sequence 8 · ceiling 8 · SHA3-256 of these 32     (numbers little endian)
//! offset 4096   slot B   the same
//! ```
//!
//! A write goes to the slot that does not hold the latest ceiling and is synced before anyone relies on it. So a write that a crash
//! tears leaves the ceiling before it, and nothing was signed under the new one. The slots are a page apart, so that no disk
//! block holds both. The file gets its full length at the start: a full disk stops nothing later.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

/// Where the slots begin.
const SLOTS: [u64; 2] = [0, 4096];
const MAGIC: [u8; 8] = *b"keydjnl1";
const SLOT: usize = 8 + 8 + 8 + 32;
/// Bytes before the checksum.
const SUMMED: usize = SLOT - 32;
/// Bytes of the file.
const LENGTH: u64 = SLOTS[1] + SLOT as u64;

/// The journal can't be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process holds it.
    #[error(
        "another keyd uses the journal of this key: stop it first, for two signers of one key contradict each other"
    )]
    InUse,
    /// Others than its owner can write to it.
    #[error(
        "the journal of keyd can be changed by others (owner {owner}, mode {mode:04o}): run chmod 600 on it, and chown to the user of the supervisor"
    )]
    Exposed {
        /// Its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Neither slot is one.
    #[error(
        "the journal of keyd is damaged. If the clock of this machine is right and no other machine signs with this key, remove the file and start again"
    )]
    Damaged,
    /// The disk.
    #[error("can't {doing} the journal of keyd, so nothing can be signed: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn io_error(doing: &'static str) -> impl FnOnce(io::Error) -> JournalError {
    move |source| JournalError::Io { doing, source }
}

/// The open journal, held against other processes.
#[derive(Debug)]
pub struct Journal {
    file: File,
    /// Slot and sequence of the latest ceiling.
    latest: Option<(usize, u64)>,
    ceiling: Option<i64>,
}

impl Journal {
    /// Locks the file, which has to be open for reading and writing, without reading it. It has to belong to root or to one of `owners`.
    ///
    /// # Errors
    /// [`JournalError::InUse`] or [`JournalError::Exposed`].
    pub fn lock(file: &File, owners: &[u32]) -> Result<(), JournalError> {
        file.try_lock().map_err(|e| match e {
            std::fs::TryLockError::WouldBlock => JournalError::InUse,
            std::fs::TryLockError::Error(e) => io_error("lock")(e),
        })?;
        let metadata = file.metadata().map_err(io_error("examine"))?;
        let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        if mode & 0o022 != 0 || (owner != 0 && !owners.contains(&owner)) {
            return Err(JournalError::Exposed { owner, mode });
        }
        Ok(())
    }

    /// Gives a file its full length. Before the sandbox, which lets nobody change that of a file.
    ///
    /// # Errors
    /// What the disk says.
    pub fn reserve(file: &File) -> Result<(), JournalError> {
        let length = file.metadata().map_err(io_error("examine"))?.len();
        if length >= LENGTH {
            return Ok(());
        }
        file.set_len(LENGTH).map_err(io_error("extend"))?;
        // With bytes, for a hole may lack its block later.
        let zeros = [0; SLOT];
        for at in SLOTS.into_iter().filter(|&at| at + SLOT as u64 > length) {
            let from = at.max(length);
            let missing = &zeros[..(at + SLOT as u64 - from) as usize];
            file.write_all_at(missing, from)
                .map_err(io_error("extend"))?;
        }
        file.sync_all().map_err(io_error("sync"))
    }

    /// Reads a file that is locked and has its length.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] or what the disk says.
    pub fn open(file: File) -> Result<Self, JournalError> {
        let mut slots = [[0; SLOT]; 2];
        for (slot, at) in slots.iter_mut().zip(SLOTS) {
            file.read_exact_at(slot, at).map_err(io_error("read"))?;
        }
        let found = slots.map(|slot| decode(&slot));
        let is_blank = |slot: &[u8; SLOT]| slot.iter().all(|&byte| byte == 0);
        let latest = (0..2)
            .filter_map(|i| found[i].map(|(sequence, ceiling)| (sequence, i, ceiling)))
            .max();
        // With one blank and one bad slot, the first write ever was torn.
        if latest.is_none() && !slots.iter().any(is_blank) {
            return Err(JournalError::Damaged);
        }
        Ok(Self {
            file,
            latest: latest.map(|(sequence, slot, _)| (slot, sequence)),
            ceiling: latest.map(|(_, _, ceiling)| ceiling),
        })
    }

    /// The ceiling on disk; `None` in a new journal.
    #[must_use]
    pub fn ceiling(&self) -> Option<i64> {
        self.ceiling
    }

    /// Puts a later ceiling on disk. One that is not later changes nothing.
    ///
    /// # Errors
    /// What the disk says. Nothing may be signed under the new ceiling then, and the one before still holds.
    pub fn record(&mut self, ceiling: i64) -> Result<(), JournalError> {
        if self.ceiling.is_some_and(|on_disk| ceiling <= on_disk) {
            return Ok(());
        }
        let (slot, sequence) = match self.latest {
            Some((slot, sequence)) => (1 - slot, sequence + 1),
            None => (0, 1),
        };
        self.file
            .write_all_at(&encode(sequence, ceiling), SLOTS[slot])
            .map_err(io_error("write"))?;
        self.file.sync_data().map_err(io_error("sync"))?;
        self.latest = Some((slot, sequence));
        self.ceiling = Some(ceiling);
        Ok(())
    }
}

fn encode(sequence: u64, ceiling: i64) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(&MAGIC);
    slot[8..16].copy_from_slice(&sequence.to_le_bytes());
    slot[16..24].copy_from_slice(&ceiling.to_le_bytes());
    let sum = crypto::sha3_256(&slot[..SUMMED]);
    slot[SUMMED..].copy_from_slice(&sum);
    slot
}

/// Sequence and ceiling.
fn decode(slot: &[u8; SLOT]) -> Option<(u64, i64)> {
    let (summed, sum) = slot.split_at(SUMMED);
    if summed[..8] != MAGIC || sum != crypto::sha3_256(summed) {
        return None;
    }
    let number = |at: usize| summed[at..at + 8].try_into().ok().map(u64::from_le_bytes);
    Some((number(8)?, number(16)?.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(file: &File) -> Result<Journal, JournalError> {
        Journal::reserve(file)?;
        Journal::open(file.try_clone().unwrap())
    }

    fn reopened(file: &File) -> Result<Option<i64>, JournalError> {
        open(file).map(|journal| journal.ceiling())
    }

    fn written(ceilings: &[i64]) -> File {
        let file = tempfile::tempfile().unwrap();
        let mut journal = open(&file).unwrap();
        for &ceiling in ceilings {
            journal.record(ceiling).unwrap();
        }
        file
    }

    #[test]
    fn the_latest_ceiling_is_found_again() {
        for ceilings in [&[][..], &[5], &[5, 7], &[5, 7, 9], &[-4, i64::MAX]] {
            let file = written(ceilings);
            assert_eq!(reopened(&file).unwrap(), ceilings.last().copied());
            assert_eq!(file.metadata().unwrap().len(), LENGTH);
        }
    }

    #[test]
    fn a_ceiling_that_is_not_later_is_not_written() {
        let file = written(&[9, 5, 9]);
        assert_eq!(reopened(&file).unwrap(), Some(9));
    }

    #[test]
    fn a_write_torn_at_any_byte_leaves_the_ceiling_before_it() {
        for count in 1..=4_i64 {
            let ceilings: Vec<i64> = (1..=count).map(|i| i * 1_000).collect();
            let whole = written(&ceilings);
            let before = written(&ceilings[..ceilings.len() - 1]);
            let bytes = |file: &File| {
                let mut bytes = vec![0; LENGTH as usize];
                file.read_exact_at(&mut bytes, 0).unwrap();
                bytes
            };
            let (new, old) = (bytes(&whole), bytes(&before));
            let expected = [count * 1_000 - 1_000, count * 1_000];
            for torn in 0..=new.len() {
                if torn < new.len() && new[torn] == old[torn] {
                    continue;
                }
                let file = tempfile::tempfile().unwrap();
                file.write_all_at(&new[..torn], 0).unwrap();
                file.write_all_at(&old[torn..], torn as u64).unwrap();
                let found = reopened(&file).unwrap().unwrap_or(0);
                assert!(expected.contains(&found), "{count} {torn} {found}");
                // Whatever is found, the next ceiling takes its place.
                let mut journal = open(&file).unwrap();
                journal.record(77_777).unwrap();
                assert_eq!(reopened(&file).unwrap(), Some(77_777));
            }
        }
    }

    #[test]
    fn a_journal_without_a_good_slot_is_damaged_and_not_new() {
        let file = written(&[5, 7]);
        for at in SLOTS {
            file.write_all_at(b"x", at + 20).unwrap();
        }
        assert!(matches!(reopened(&file), Err(JournalError::Damaged)));
        let text = tempfile::tempfile().unwrap();
        text.write_all_at(&[b'#'; 8192], 0).unwrap();
        assert!(matches!(reopened(&text), Err(JournalError::Damaged)));
    }

    #[test]
    fn a_journal_is_held_by_one_process_only() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let user = file.as_file().metadata().unwrap().uid();
        let open = || File::options().read(true).write(true).open(file.path());
        let (first, second) = (open().unwrap(), open().unwrap());
        Journal::lock(&first, &[user]).unwrap();
        assert!(matches!(
            Journal::lock(&second, &[user]),
            Err(JournalError::InUse)
        ));
        drop(first);
        Journal::lock(&second, &[user]).unwrap();
    }

    #[test]
    fn a_journal_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::tempfile().unwrap();
        let user = file.metadata().unwrap().uid();
        file.set_permissions(PermissionsExt::from_mode(0o620))
            .unwrap();
        let locked = Journal::lock(&file, &[user]);
        assert!(matches!(
            locked,
            Err(JournalError::Exposed { mode: 0o620, .. })
        ));
    }
}
