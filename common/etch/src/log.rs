//! The redo log beside the store file: what every commit since the last checkpoint changed, byte by byte.
//!
//! Two header copies of one page each, then frames, each starting on a page, so that writing one never rewrites a sector
//! of another. `docs/store.md` draws the bytes and argues why this is enough.

use std::io;
use std::path::{Path, PathBuf};

use crate::draft::{Commit, Draft};
use crate::error::Error;
use crate::format::{EMPTY_LENGTH, Header, Key};
use crate::layer::{FileLayer, read_exact, write_all};

pub(crate) const PAGE: u64 = 4096;
/// Where the first frame goes.
const FRAMES_AT: u64 = 2 * PAGE;
const HEADER_MAGIC: [u8; 8] = *b"EtchLog2";
pub(crate) const FRAME_MAGIC: [u8; 8] = *b"EtchFrm2";
const HEADER_BYTES: usize = 160;
pub(crate) const FRAME_HEAD: usize = 120;
/// Longest body of a frame. Larger ones do not come from this crate.
pub(crate) const MAX_BODY: u64 = 512 << 20;
/// Bytes of memory that are kept from one commit to the next.
pub(crate) const KEPT: usize = 8 << 20;
/// Log space is reserved in steps of this many bytes.
const STEP: u64 = 256 << 10;

/// State of the store that the frames of one epoch build on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    /// Number of the checkpoint.
    pub(crate) epoch: u64,
    /// Number of the last commit before it.
    pub(crate) sequence: u64,
    /// Length and root of the store.
    pub(crate) header: Header,
    /// Length that the store file's own header says. Another than that of `header` only when a file was taken over whose
    /// header was stale.
    pub(crate) main_length: u64,
    /// Physical size of the store file then: if it is another now, somebody else may have been at work.
    pub(crate) main_size: u64,
    /// Key of the frames' checksums. Frames hold bytes from strangers; without the key nobody can make bytes that pass
    /// for a frame.
    pub(crate) secret: [u8; 32],
}

impl Base {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut b = [0; HEADER_BYTES];
        b[..8].copy_from_slice(&HEADER_MAGIC);
        b[8..16].copy_from_slice(&self.epoch.to_be_bytes());
        b[16..24].copy_from_slice(&self.sequence.to_be_bytes());
        b[24..32].copy_from_slice(&self.header.length.to_be_bytes());
        b[32..64].copy_from_slice(&self.header.root);
        b[64..72].copy_from_slice(&self.main_size.to_be_bytes());
        b[72..104].copy_from_slice(&self.secret);
        b[104..112].copy_from_slice(&self.main_length.to_be_bytes());
        let sum = blake3::hash(&b[..128]);
        b[128..].copy_from_slice(sum.as_bytes());
        b
    }

    fn decode(b: &[u8; HEADER_BYTES]) -> Option<Base> {
        if b[..8] != HEADER_MAGIC || blake3::hash(&b[..128]).as_bytes()[..] != b[128..] {
            return None;
        }
        Some(Base {
            epoch: be64(&b[8..16]),
            sequence: be64(&b[16..24]),
            header: Header {
                length: be64(&b[24..32]),
                root: key(&b[32..64]),
            },
            main_size: be64(&b[64..72]),
            secret: key(&b[72..104]),
            main_length: be64(&b[104..112]),
        })
    }
}

impl Base {
    /// What the store file's header says while this epoch lasts.
    pub(crate) fn header_on_disk(&self) -> Header {
        Header {
            length: self.main_length,
            root: self.header.root,
        }
    }
}

fn be64(b: &[u8]) -> u64 {
    b.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

fn key(b: &[u8]) -> Key {
    let mut k = [0; 32];
    k.copy_from_slice(b);
    k
}

/// A change of up to 8 bytes of what was there before the frame, or of what the frame itself appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    pub(crate) at: u64,
    pub(crate) len: u8,
    pub(crate) bytes: [u8; 8],
}

impl Patch {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

pub(crate) const PATCH_BYTES: usize = 17;

/// One commit, as read from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) sequence: u64,
    /// Data length before it.
    pub(crate) start: u64,
    /// Root after it.
    pub(crate) root: Key,
    /// What is appended at `start`.
    pub(crate) appended: Vec<u8>,
    /// What changes below its end, after the appended bytes are in place.
    pub(crate) patches: Vec<Patch>,
}

impl Frame {
    pub(crate) fn end(&self) -> u64 {
        self.start + self.appended.len() as u64
    }
}

/// Zeros come in runs of this many bytes.
const RUN: usize = 32;

/// Appends `bytes` without its runs of zeros: fresh index blocks are nearly nothing else, and the barrier waits for every
/// byte. Repeated: number of literal bytes (4), number of zeros after them (4), the literal bytes.
pub(crate) fn pack(bytes: &[u8], out: &mut Vec<u8>) {
    const CHUNKS: usize = 1 << 20;
    let is_zero = |c: &[u8]| c == &[0; RUN][..c.len()];
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = |zero: bool, b: &[u8]| {
            let n = b
                .chunks(RUN)
                .take(CHUNKS)
                .take_while(|c| is_zero(c) == zero)
                .count();
            (n * RUN).min(b.len())
        };
        let literal = count(false, rest);
        let zeros = count(true, &rest[literal..]);
        out.extend_from_slice(&(literal as u32).to_be_bytes());
        out.extend_from_slice(&(zeros as u32).to_be_bytes());
        out.extend_from_slice(&rest[..literal]);
        rest = &rest[literal + zeros..];
    }
}

/// Undoes [`pack`]; `None` unless it gives exactly `length` bytes.
fn unpack(mut packed: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    while let Some((head, rest)) = packed.split_first_chunk::<8>() {
        let literal = be64(&head[..4]) as usize;
        let zeros = be64(&head[4..]) as usize;
        if out.len() + literal + zeros > length || (literal, zeros) == (0, 0) {
            return None;
        }
        out.extend_from_slice(rest.get(..literal)?);
        out.resize(out.len() + zeros, 0);
        packed = &rest[literal..];
    }
    (packed.is_empty() && out.len() == length).then_some(out)
}

/// Over the body, then the head without the checksum itself: the body is known first.
fn checksum(base: &Base, frame: &[u8]) -> [u8; 32] {
    let mut h = blake3::Hasher::new_keyed(&base.secret);
    h.update(&frame[FRAME_HEAD..]);
    h.update(&frame[..88]);
    *h.finalize().as_bytes()
}

/// The log file with its current epoch.
#[derive(Debug)]
pub(crate) struct Log<F: FileLayer> {
    pub(crate) name: PathBuf,
    file: F,
    pub(crate) base: Base,
    /// Where the next frame goes.
    next: u64,
    /// Physical size known to be reserved.
    reserved: u64,
    draft: Draft,
}

/// What a log file that was found holds.
pub(crate) enum Found {
    /// Nothing that a writer ever relied on.
    Nothing,
    /// A base; frames may follow it.
    Base(Base),
}

/// Reads the header copies of a log file; a file without any that was ever used is refused.
pub(crate) fn inspect<F: FileLayer>(file: &F, name: &Path) -> Result<Found, Error> {
    let io = |e| Error::io(name, "reading the redo log")(e);
    let size = file.size().map_err(io)?;
    let mut best: Option<Base> = None;
    for copy in 0..2 {
        let at = copy * PAGE;
        if at + HEADER_BYTES as u64 > size {
            continue;
        }
        let mut b = [0; HEADER_BYTES];
        read_exact(file, at, &mut b).map_err(io)?;
        if let Some(base) = Base::decode(&b)
            && best.as_ref().is_none_or(|o| o.epoch < base.epoch)
        {
            best = Some(base);
        }
    }
    if let Some(base) = best {
        if base.header.length < EMPTY_LENGTH {
            // Never written by us; new records would go over the index.
            return Err(Error::LogDamaged {
                file: name.to_owned(),
                at: 0,
                why: "length shorter than an empty store",
            });
        }
        return Ok(Found::Base(base));
    }
    // The first header is durable before the first frame is written. So a file without header but with anything after the
    // header pages is not a log that was cut while it was made.
    let mut at = FRAMES_AT;
    let mut b = vec![0; 64 << 10];
    while at < size {
        let n = b.len().min((size - at) as usize);
        read_exact(file, at, &mut b[..n]).map_err(io)?;
        if b[..n].iter().any(|b| *b != 0) {
            return Err(Error::LogDamaged {
                file: name.to_owned(),
                at: 0,
                why: "no readable header",
            });
        }
        at += n as u64;
    }
    Ok(Found::Nothing)
}

/// The log holds at least one commit since its last checkpoint.
pub(crate) fn holds_commits<F: FileLayer>(file: F, name: &Path) -> Result<bool, Error> {
    match inspect(&file, name)? {
        Found::Nothing => Ok(false),
        Found::Base(base) => {
            let (sequence, start) = (base.sequence, base.header.length);
            let mut log = Log::resume(file, name.to_owned(), base)?;
            Ok(log.read_frame(sequence + 1, start)?.is_some())
        }
    }
}

impl<F: FileLayer> Log<F> {
    /// Takes a log file as it is, positioned before its first frame.
    pub(crate) fn resume(file: F, name: PathBuf, base: Base) -> Result<Log<F>, Error> {
        let reserved = file
            .size()
            .map_err(Error::io(&name, "reading the redo log"))?;
        Ok(Log {
            name,
            file,
            base,
            next: FRAMES_AT,
            reserved,
            draft: Draft::default(),
        })
    }

    /// Goes back before the first frame.
    pub(crate) fn rewind(&mut self) {
        self.next = FRAMES_AT;
    }

    /// Bytes of frames since the last checkpoint.
    pub(crate) fn pending(&self) -> u64 {
        self.next - FRAMES_AT
    }

    /// Physical bytes of the log.
    pub(crate) fn reserved(&self) -> u64 {
        self.reserved
    }

    /// The next committed frame, or `None` at the end of the log. A commit is written only when the one before it is
    /// durable, so a frame that fails its checks ends the log, unless a later one proves that the log is damaged.
    pub(crate) fn read_frame(&mut self, expect: u64, start: u64) -> Result<Option<Frame>, Error> {
        match self.frame_at(self.next, |s| s == expect)? {
            Some((frame, total)) => {
                if frame.start != start {
                    return Err(self.damaged("frame does not follow the one before it"));
                }
                self.next += total;
                Ok(Some(frame))
            }
            None => {
                let mut at = self.next + PAGE;
                while at + FRAME_HEAD as u64 <= self.reserved {
                    if self.frame_at(at, |s| s > expect)?.is_some() {
                        return Err(self.damaged("a committed frame is unreadable"));
                    }
                    at += PAGE;
                }
                Ok(None)
            }
        }
    }

    fn damaged(&self, why: &'static str) -> Error {
        Error::LogDamaged {
            file: self.name.clone(),
            at: self.next,
            why,
        }
    }

    fn frame_at(
        &self,
        at: u64,
        wanted: impl Fn(u64) -> bool,
    ) -> Result<Option<(Frame, u64)>, Error> {
        let io = |e| Error::io(&self.name, "reading the redo log")(e);
        if at + FRAME_HEAD as u64 > self.reserved {
            return Ok(None);
        }
        let mut head = [0; FRAME_HEAD];
        read_exact(&self.file, at, &mut head).map_err(io)?;
        let sequence = be64(&head[16..24]);
        if head[..8] != FRAME_MAGIC || be64(&head[8..16]) != self.base.epoch || !wanted(sequence) {
            return Ok(None);
        }
        let start = be64(&head[24..32]);
        let (appended, patches) = (be64(&head[32..40]), be64(&head[40..48]));
        let packed = be64(&head[80..88]);
        if appended.max(packed) > MAX_BODY || patches > MAX_BODY / PATCH_BYTES as u64 {
            return Ok(None);
        }
        let body = packed + patches * PATCH_BYTES as u64;
        if at + FRAME_HEAD as u64 + body > self.reserved {
            return Ok(None);
        }
        let mut b = vec![0; FRAME_HEAD + body as usize];
        read_exact(&self.file, at, &mut b).map_err(io)?;
        if checksum(&self.base, &b)[..] != b[88..120] {
            return Ok(None);
        }
        let split = FRAME_HEAD + packed as usize;
        let mut list = Vec::with_capacity(patches as usize);
        for p in b[split..].chunks_exact(PATCH_BYTES) {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&p[9..]);
            let patch = Patch {
                at: be64(&p[..8]),
                len: p[8],
                bytes,
            };
            let end = patch.at.saturating_add(u64::from(patch.len));
            if patch.len > 8
                || patch.at < crate::format::INDEX_AT
                || end > start.saturating_add(appended)
            {
                return Err(Error::LogDamaged {
                    file: self.name.clone(),
                    at,
                    why: "change outside of the data",
                });
            }
            list.push(patch);
        }
        let total = (b.len() as u64).next_multiple_of(PAGE);
        let Some(bytes) = unpack(&b[FRAME_HEAD..split], appended as usize) else {
            return Err(Error::LogDamaged {
                file: self.name.clone(),
                at,
                why: "appended bytes that do not unpack",
            });
        };
        let frame = Frame {
            sequence,
            start,
            root: key(&head[48..80]),
            appended: bytes,
            patches: list,
        };
        if start < EMPTY_LENGTH || frame.start.checked_add(appended).is_none() {
            return Err(Error::LogDamaged {
                file: self.name.clone(),
                at,
                why: "length outside of the data",
            });
        }
        Ok(Some((frame, total)))
    }

    /// How many appended bytes of the open batch the log has taken in.
    pub(crate) fn taken(&self) -> usize {
        self.draft.taken()
    }

    /// Takes in more of what the open batch appends and sends it on its way to the disk, all but the first page of the
    /// frame, which makes it one. After a failure the bytes are written by the next call or by [`append`](Self::append).
    pub(crate) fn send(&mut self, appended: &[u8]) -> io::Result<()> {
        self.draft.take(&self.base, appended);
        let to = self.draft.bytes().len() / PAGE as usize * PAGE as usize;
        self.write_draft(self.draft.written.max(PAGE as usize), to)
    }

    /// Forgets what was taken in: the batch is given up, or goes into another epoch.
    pub(crate) fn forget(&mut self) {
        self.draft.clear();
    }

    fn write_draft(&mut self, from: usize, to: usize) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        let at = self.next + from as u64;
        let end = self.next + to as u64;
        if end > self.reserved {
            let room = end.next_multiple_of(STEP);
            self.file.reserve(self.reserved, room)?;
            self.reserved = room;
        }
        write_all(&self.file, at, &self.draft.bytes()[from..to])?;
        self.file.start_sync(at, end - at);
        self.draft.written = self.draft.written.max(to);
        Ok(())
    }

    /// Completes the frame of a batch after the last one: `appended` is what [`send`](Self::send) was not given. Not
    /// durable yet. A failure leaves the log as it was, and the batch is forgotten.
    pub(crate) fn append(
        &mut self,
        commit: &Commit,
        appended: &[u8],
        patches: &[Patch],
    ) -> io::Result<Appended> {
        self.draft.finish(&self.base, commit, appended, patches);
        let end = self.draft.bytes().len();
        let result = match self.draft.written {
            0 => self.write_draft(0, end),
            sent => self
                .write_draft(sent, end)
                .and_then(|()| self.write_draft(0, PAGE as usize)),
        };
        self.draft.clear();
        result.map(|()| Appended(self.next + end as u64))
    }

    /// The one barrier of a commit: makes the appended frame durable.
    pub(crate) fn sync(&mut self, appended: Appended) -> io::Result<()> {
        self.file.sync()?;
        self.next = appended.0;
        Ok(())
    }

    /// Starts a new epoch: everything in the frames so far is in the store file. Durable on return.
    pub(crate) fn reset(&mut self, base: Base) -> io::Result<()> {
        let at = (base.epoch % 2) * PAGE;
        let mut page = [0; PAGE as usize];
        page[..HEADER_BYTES].copy_from_slice(&base.encode());
        if self.reserved < FRAMES_AT {
            self.file.reserve(self.reserved, FRAMES_AT)?;
            self.reserved = FRAMES_AT;
        }
        write_all(&self.file, at, &page)?;
        self.file.sync()?;
        self.base = base;
        self.next = FRAMES_AT;
        self.forget();
        Ok(())
    }
}

/// A frame that is written but not yet durable.
#[must_use]
pub(crate) struct Appended(u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Base {
        Base {
            epoch: 3,
            sequence: 9,
            header: Header {
                length: EMPTY_LENGTH,
                root: [7; 32],
            },
            main_length: EMPTY_LENGTH,
            main_size: 1 << 20,
            secret: [1; 32],
        }
    }

    #[test]
    fn packing_is_undone_exactly_and_cuts_zeros() {
        let mut block = vec![0; 2048];
        block[700..708].copy_from_slice(&[1; 8]);
        for bytes in [
            vec![],
            vec![0],
            vec![7],
            vec![0; 5000],
            vec![9; 5000],
            block.clone(),
            [vec![3; 45], block.clone(), vec![0; 31], vec![4; 200]].concat(),
        ] {
            let mut packed = Vec::new();
            pack(&bytes, &mut packed);
            assert!(packed.len() <= bytes.len() + 8);
            assert_eq!(unpack(&packed, bytes.len()), Some(bytes.clone()));
            assert_eq!(unpack(&packed, bytes.len() + 1), None);
            if !bytes.is_empty() {
                assert_eq!(unpack(&packed, bytes.len() - 1), None);
                assert_eq!(unpack(&packed[..packed.len() - 1], bytes.len()), None);
            }
        }
        let mut packed = Vec::new();
        pack(&block, &mut packed);
        assert!(packed.len() < 100);
    }

    #[test]
    fn a_base_whose_data_would_end_within_the_index_is_refused() {
        struct Bytes(Vec<u8>);
        impl FileLayer for Bytes {
            fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
                let rest = &self.0[at as usize..];
                let n = rest.len().min(buf.len());
                buf[..n].copy_from_slice(&rest[..n]);
                Ok(n)
            }
            fn write_at(&self, _: u64, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ReadOnlyFilesystem.into())
            }
            fn sync(&self) -> io::Result<()> {
                Ok(())
            }
            fn size(&self) -> io::Result<u64> {
                Ok(self.0.len() as u64)
            }
            fn reserve(&self, _: u64, _: u64) -> io::Result<()> {
                Err(io::ErrorKind::ReadOnlyFilesystem.into())
            }
        }
        let mut base = base();
        let found = inspect(&Bytes(base.encode().to_vec()), "log".as_ref());
        assert!(matches!(found, Ok(Found::Base(b)) if b == base));
        base.header.length = EMPTY_LENGTH - 1;
        let found = inspect(&Bytes(base.encode().to_vec()), "log".as_ref());
        assert!(matches!(found, Err(Error::LogDamaged { .. })));
    }

    #[test]
    fn a_base_survives_encoding_and_any_flipped_bit_is_noticed() {
        let b = base().encode();
        assert_eq!(Base::decode(&b), Some(base()));
        for i in 0..HEADER_BYTES {
            let mut c = b;
            c[i] ^= 1;
            assert_eq!(Base::decode(&c), None, "byte {i}");
        }
    }
}
