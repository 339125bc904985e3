//! The only unsafe code of the crate: shared maps, the control page's memory, the file lock, space reservation.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

/// Bytes of the file that one region of a map stands for.
const REGION: u64 = 1 << 28;
/// Regions overlap by this much, so that a record at the end of one is read through one map.
const OVERLAP: u64 = 1 << 16;
/// Most regions: files up to 2 TiB.
const REGIONS: usize = 8192;

/// A read-only shared map of a file that grows while it is mapped.
///
/// The file is mapped in regions that may reach beyond its end: pages appear in them as the file grows, so no map is ever
/// moved or replaced and threads need no lock. Bytes beyond the end are never touched: `size`, what `fstat` last said, is
/// checked first. Files of this crate never shrink (the writer has no call for it); a file that somebody else truncates
/// under us, or a disk that cannot deliver a mapped page, ends the process with SIGBUS.
pub(crate) struct SharedMap {
    file: File,
    regions: Box<[OnceLock<MmapRaw>]>,
    size: AtomicU64,
}

impl std::fmt::Debug for SharedMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedMap")
            .field("file", &self.file)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl SharedMap {
    pub(crate) fn new(file: File) -> io::Result<SharedMap> {
        let size = file.metadata()?.len();
        Ok(SharedMap {
            file,
            regions: (0..REGIONS).map(|_| OnceLock::new()).collect(),
            size: AtomicU64::new(size),
        })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Physical size that is at least `wanted` if the file has it; asks the system only when the known size is less.
    pub(crate) fn size(&self, wanted: u64) -> io::Result<u64> {
        let known = self.size.load(Ordering::Relaxed);
        if wanted <= known {
            return Ok(known);
        }
        let now = self.file.metadata()?.len();
        Ok(self.size.fetch_max(now, Ordering::Relaxed).max(now))
    }

    fn region(&self, r: usize) -> io::Result<&MmapRaw> {
        let slot = self
            .regions
            .get(r)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        if let Some(map) = slot.get() {
            return Ok(map);
        }
        let map = MmapOptions::new()
            .offset(r as u64 * REGION)
            .len((REGION + OVERLAP) as usize)
            .map_raw_read_only(&self.file)?;
        Ok(slot.get_or_init(|| map))
    }

    /// Copies out `buf.len()` bytes (at most 64 KiB) at `at`. `Ok(false)` when the file does not reach that far.
    pub(crate) fn copy(&self, at: u64, buf: &mut [u8]) -> io::Result<bool> {
        debug_assert!(buf.len() as u64 <= OVERLAP);
        let Some(end) = at.checked_add(buf.len() as u64) else {
            return Ok(false);
        };
        if end > self.size(end)? {
            return Ok(false);
        }
        let map = self.region((at / REGION) as usize)?;
        let start = (at % REGION) as usize;
        // SAFETY: start < REGION and buf.len() <= OVERLAP, so the range lies in the region's map; its pages exist since
        // end is within the file's size, which never shrinks (see the type).
        unsafe { copy_racy(map.as_ptr().add(start), buf) };
        Ok(true)
    }

    /// Copies out a range of any length; `Ok(false)` when the file does not reach that far.
    pub(crate) fn copy_long(&self, at: u64, buf: &mut [u8]) -> io::Result<bool> {
        let mut at = at;
        for part in buf.chunks_mut(OVERLAP as usize) {
            if !self.copy(at, part)? {
                return Ok(false);
            }
            at += part.len() as u64;
        }
        Ok(true)
    }
}

/// Copies memory that another process may be writing: by relaxed atomic loads, so that a race gives some mix of old and
/// new bytes (which the hash or the write sequence tells) and not undefined behaviour.
///
/// # Safety
/// `src..src + dst.len()` is mapped readable for the duration of the call.
unsafe fn copy_racy(src: *const u8, dst: &mut [u8]) {
    // Atomic loads through a read-only map are plain load instructions of at most a word.
    let byte = |i: usize| {
        // SAFETY: the caller vouches for the range, and i < dst.len().
        unsafe { AtomicU8::from_ptr(src.add(i).cast_mut()).load(Ordering::Relaxed) }
    };
    let head = src.align_offset(8).min(dst.len());
    for (i, b) in dst[..head].iter_mut().enumerate() {
        *b = byte(i);
    }
    let mut i = head;
    for word in dst[head..].chunks_exact_mut(8) {
        // SAFETY: the caller vouches for the range; src + i is aligned to 8, since head made it so.
        let w = unsafe {
            AtomicU64::from_ptr(src.add(i).cast_mut().cast::<u64>()).load(Ordering::Relaxed)
        };
        word.copy_from_slice(&w.to_ne_bytes());
        i += 8;
    }
    for (k, b) in dst[i..].iter_mut().enumerate() {
        *b = byte(i + k);
    }
}

/// 64-bit words of memory, shared between processes or private to this one, accessed by atomic operations only.
#[derive(Debug)]
pub(crate) struct SharedWords {
    map: MmapRaw,
    words: usize,
    writable: bool,
}

impl SharedWords {
    /// Maps the first `words` words of `file`, which must have as many.
    pub(crate) fn map(file: &File, words: usize, writable: bool) -> io::Result<SharedWords> {
        if file.metadata()?.len() < words as u64 * 8 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let mut options = MmapOptions::new();
        options.len(words * 8);
        let map = if writable {
            options.map_raw(file)?
        } else {
            options.map_raw_read_only(file)?
        };
        Ok(SharedWords {
            map,
            words,
            writable,
        })
    }

    /// Memory of this process alone, zero at first. What is never touched costs nothing.
    pub(crate) fn private(words: usize) -> io::Result<SharedWords> {
        let map = MmapOptions::new().len(words * 8).map_anon()?;
        Ok(SharedWords {
            map: map.into(),
            words,
            writable: true,
        })
    }

    fn word(&self, i: usize) -> &AtomicU64 {
        assert!(i < self.words);
        // SAFETY: the map has `words` words, is aligned to a page, and lives as long as self; it is only ever accessed
        // through these atomics.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().cast::<u64>().add(i)) }
    }

    pub(crate) fn load(&self, i: usize, order: Ordering) -> u64 {
        self.word(i).load(order)
    }

    pub(crate) fn store(&self, i: usize, value: u64, order: Ordering) {
        assert!(self.writable, "store through a read-only control page");
        self.word(i).store(value, order);
    }
}

/// A new anonymous memory file.
pub(crate) fn memfd() -> io::Result<File> {
    // SAFETY: the name is a NUL-terminated constant; the result is checked before use.
    let fd = unsafe {
        libc::memfd_create(
            c"etch-control".as_ptr(),
            libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fd is a fresh descriptor that nobody else owns.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Seals a memory file: it can neither shrink nor grow nor be mapped or written by anybody else from now on.
pub(crate) fn seal(file: &File) -> io::Result<()> {
    const F_SEAL_FUTURE_WRITE: libc::c_int = 0x0010;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | F_SEAL_FUTURE_WRITE | libc::F_SEAL_SEAL;
    // SAFETY: plain call on a descriptor that file owns.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Takes the exclusive lock on the whole file; `Ok(false)` when somebody holds one. It ends with the file's last
/// descriptor. An open-file-description lock: it excludes the POSIX lock that the reference takes (spec/07 §5) and is
/// not lost when another descriptor of this process on the same file is closed.
pub(crate) fn lock(file: &File) -> io::Result<bool> {
    let range = whole_file(libc::F_WRLCK);
    // SAFETY: range is a valid flock that outlives the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const range) } == 0 {
        return Ok(true);
    }
    let e = io::Error::last_os_error();
    match e.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(e),
    }
}

/// Somebody holds the exclusive lock.
pub(crate) fn is_locked(file: &File) -> io::Result<bool> {
    let mut range = whole_file(libc::F_RDLCK);
    // SAFETY: range is a valid flock that outlives the call; the system writes its answer into it.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut range) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(libc::c_int::from(range.l_type) != libc::F_UNLCK)
}

/// Makes the file at least `to` bytes long with disk space behind `from..to`, content unchanged.
pub(crate) fn reserve(file: &File, from: u64, to: u64) -> io::Result<()> {
    if to <= from {
        return Ok(());
    }
    loop {
        // SAFETY: plain call on a descriptor that file owns.
        let rc = unsafe {
            libc::fallocate(
                file.as_raw_fd(),
                0,
                from as libc::off_t,
                (to - from) as libc::off_t,
            )
        };
        if rc == 0 {
            return Ok(());
        }
        let e = io::Error::last_os_error();
        match e.raw_os_error() {
            Some(libc::EINTR) => {}
            // A file system without reservation: extend only. Writing may then meet a full disk, which is an error too.
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => {
                if file.metadata()?.len() < to {
                    file.set_len(to)?;
                }
                return Ok(());
            }
            _ => return Err(e),
        }
    }
}

/// Asks the system to begin writing `len` bytes at `at` to the disk, without waiting. Only time depends on it: whether they
/// are durable, and whether writing them failed, is what a later sync says.
pub(crate) fn start_writing(file: &File, at: u64, len: u64) {
    // SAFETY: plain call on a descriptor that file owns.
    let _ = unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            at as libc::off64_t,
            len as libc::off64_t,
            libc::SYNC_FILE_RANGE_WRITE,
        )
    };
}

/// 32 random bytes from the system.
pub(crate) fn random() -> io::Result<[u8; 32]> {
    let mut b = [0u8; 32];
    loop {
        // SAFETY: the buffer is 32 bytes long; requests of up to 256 bytes are never cut short.
        let n = unsafe { libc::getrandom(b.as_mut_ptr().cast(), b.len(), 0) };
        if n == b.len() as isize {
            return Ok(b);
        }
        let e = io::Error::last_os_error();
        if e.kind() != io::ErrorKind::Interrupted {
            return Err(e);
        }
    }
}

/// Reads as `pread` does, from the map where it reaches, else by the system call.
pub(crate) fn read_at(map: &SharedMap, at: u64, buf: &mut [u8]) -> io::Result<usize> {
    if map.copy_long(at, buf)? {
        return Ok(buf.len());
    }
    map.file().read_at(buf, at)
}
