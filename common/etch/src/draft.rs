//! The frame of the open batch, encoded and checksummed piece by piece while the batch grows, so that a commit has only the
//! last piece left to do.

use crate::format::Key;
use crate::log::{Base, FRAME_HEAD, FRAME_MAGIC, KEPT, PAGE, PATCH_BYTES, Patch, pack};

/// What a frame's head says and its body does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    pub(crate) sequence: u64,
    /// Data length before it.
    pub(crate) start: u64,
    /// Root after it.
    pub(crate) root: Key,
}

/// A frame in the making.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Room for the head, then the body so far. Its memory is kept for the next frame: new memory would cost more than
    /// filling it.
    bytes: Vec<u8>,
    sum: Option<blake3::Hasher>,
    /// How many of the batch's appended bytes are in it.
    taken: usize,
    /// Bytes of the frame, behind its first page, that are in the file.
    pub(crate) written: usize,
}

impl Draft {
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.sum = None;
        self.taken = 0;
        self.written = 0;
    }

    fn hash_from(&mut self, from: usize, base: &Base) -> &mut blake3::Hasher {
        let sum = self
            .sum
            .get_or_insert_with(|| blake3::Hasher::new_keyed(&base.secret));
        sum.update(&self.bytes[from..]);
        sum
    }

    /// Takes the next appended bytes in.
    pub(crate) fn take(&mut self, base: &Base, appended: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.resize(FRAME_HEAD, 0);
        }
        let from = self.bytes.len();
        pack(appended, &mut self.bytes);
        self.taken += appended.len();
        self.hash_from(from, base);
    }

    /// Takes the rest in and fills in the head; zeros up to a full page.
    pub(crate) fn finish(
        &mut self,
        base: &Base,
        commit: &Commit,
        appended: &[u8],
        patches: &[Patch],
    ) {
        self.take(base, appended);
        let from = self.bytes.len();
        let packed = (from - FRAME_HEAD) as u64;
        self.bytes
            .reserve(patches.len() * PATCH_BYTES + PAGE as usize);
        for p in patches {
            let mut b = [0; PATCH_BYTES];
            b[..8].copy_from_slice(&p.at.to_be_bytes());
            b[8] = p.len;
            b[9..].copy_from_slice(&p.bytes);
            self.bytes.extend_from_slice(&b);
        }
        let mut head = [0; 88];
        head[..8].copy_from_slice(&FRAME_MAGIC);
        let numbers = [
            base.epoch,
            commit.sequence,
            commit.start,
            self.taken as u64,
            patches.len() as u64,
        ];
        for (to, n) in head[8..48].chunks_exact_mut(8).zip(numbers) {
            to.copy_from_slice(&n.to_be_bytes());
        }
        head[48..80].copy_from_slice(&commit.root);
        head[80..].copy_from_slice(&packed.to_be_bytes());
        let sum = *self
            .hash_from(from, base)
            .update(&head)
            .finalize()
            .as_bytes();
        self.bytes[..88].copy_from_slice(&head);
        self.bytes[88..FRAME_HEAD].copy_from_slice(&sum);
        let whole = self.bytes.len().next_multiple_of(PAGE as usize);
        self.bytes.resize(whole, 0);
    }
}
