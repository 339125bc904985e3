//! Everything that can go wrong with a store, each with the file, what was being done, and the remedy.

use std::io;
use std::path::{Path, PathBuf};

use crate::source::Fault;

/// Failure of a store operation. Never means "absent": absence is a value (`Ok(None)`).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a read, write, sync, lock or map.
    #[error("{}: {doing}: {source}; {}", file.display(), remedy(source))]
    Io {
        /// File concerned.
        file: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// Somebody else has the file open for writing.
    #[error("{}: another process (or another part of this one) has this store open for writing; stop that peer first, or open the store for inspection only", file.display())]
    Locked {
        /// File concerned.
        file: PathBuf,
    },
    /// Not an Etch file.
    #[error("{}: not an Etch store: it begins with {found:02x?}, not [e7, c6]; check the path, nothing was changed", file.display())]
    NotEtch {
        /// File concerned.
        file: PathBuf,
        /// Its first bytes.
        found: [u8; 2],
    },
    /// An Etch file of another format version.
    #[error("{}: Etch format version {found} is not supported, only version 1; export it as version 1 with the software that wrote it, nothing was changed", file.display())]
    Version {
        /// File concerned.
        file: PathBuf,
        /// Version in its header.
        found: u16,
    },
    /// The file ends before the data that its header or its control page promises.
    #[error("{}: truncated: {size} bytes, but {needed} are needed; restore it from a backup, or rebuild what is left into a new store with repair", file.display())]
    Truncated {
        /// File concerned.
        file: PathBuf,
        /// Physical size in bytes.
        size: u64,
        /// Bytes that should be there.
        needed: u64,
    },
    /// The redo log does not belong to the state that the store file is in.
    #[error("{}: the redo log beside this store belongs to another state of it ({why}); put back the store file that goes with the log, or move the log away to accept the store as it is", file.display())]
    LogMismatch {
        /// The store file.
        file: PathBuf,
        /// How they differ.
        why: &'static str,
    },
    /// The redo log is damaged in the middle or unreadable.
    #[error("{}: the redo log is damaged at {at} ({why}); restore store and log from a backup, or move the log away and rebuild the store with repair", file.display())]
    LogDamaged {
        /// The log file.
        file: PathBuf,
        /// Position in the log.
        at: u64,
        /// What is wrong there.
        why: &'static str,
    },
    /// The store file contradicts the rules of its format.
    #[error("{}: corrupt at {at}: {why}; run verify, then rebuild it into a new store with repair", file.display())]
    Corrupt {
        /// File concerned.
        file: PathBuf,
        /// Position in the file.
        at: u64,
        /// Rule that is broken.
        why: &'static str,
    },
    /// The reader could not get a view that stood still for long enough to prove absence.
    #[error("{}: absence could not be proven: {why}; try again, and if it stays so check that the process that writes the store is alive", file.display())]
    Unproven {
        /// File concerned.
        file: PathBuf,
        /// What stood in the way.
        why: &'static str,
    },
    /// The control page is not one of ours.
    #[error("control page {}: {why}; pass the descriptor that the store process made", file.display())]
    Control {
        /// Name of the page.
        file: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An encoding that no record can hold.
    #[error("an encoding of {0} bytes does not fit a record (1 to 16383); split the cell")]
    BadLength(usize),
    /// The uncommitted batch is as large as it may get.
    #[error("the uncommitted batch holds {0} bytes; commit it before adding more")]
    BatchFull(u64),
    /// The root to be set has no record.
    #[error("{}: the root {} has no record in this store; store the root cell before setting it", file.display(), hex(key))]
    RootMissing {
        /// File concerned.
        file: PathBuf,
        /// Hash that was to become the root.
        key: [u8; 32],
    },
    /// An earlier failure left the writer unable to know what is on disk.
    #[error("{}: the store refuses work since an earlier failure ({why}); acknowledged data is safe: free space or replace the disk, then restart the store, which recovers from its log", file.display())]
    Failed {
        /// File concerned.
        file: PathBuf,
        /// The first failure.
        why: String,
    },
}

fn remedy(e: &io::Error) -> &'static str {
    match e.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => {
            "free space or enlarge the disk or quota, acknowledged data is safe"
        }
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => {
            "let the peer's user write to this file and its directory"
        }
        Some(libc::ENOENT | libc::ENOTDIR) => "create the directory or correct the path",
        Some(libc::EIO) => "check the disk and its cables, then restart the store",
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => "raise the limit of the process",
        _ => "check the disk and the permissions",
    }
}

pub(crate) fn hex(key: &[u8]) -> String {
    use std::fmt::Write;
    key.iter().fold(String::new(), |mut s, b| {
        // Writing into a String cannot fail.
        let _ = write!(s, "{b:02x}");
        s
    })
}

impl Error {
    pub(crate) fn io(file: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Error + use<> {
        let file = file.to_owned();
        move |source| Error::Io {
            file,
            doing,
            source,
        }
    }

    pub(crate) fn fault(file: &Path, doing: &'static str) -> impl FnOnce(Fault) -> Error + use<> {
        let file = file.to_owned();
        move |fault| match fault {
            Fault::Corrupt { at, why } => Error::Corrupt { file, at, why },
            Fault::Io(source) => Error::Io {
                file,
                doing,
                source,
            },
            Fault::Moving => Error::Unproven {
                file,
                why: "the index changed under every attempt to read it",
            },
        }
    }

    /// The failure is a full disk or quota: acknowledged data is safe and work may go on once there is space.
    pub fn is_full(&self) -> bool {
        matches!(self, Error::Io { source, .. }
            if matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)))
    }
}
