//! The few file operations that the writer needs, behind a trait: tests put a disk behind it that tears, reorders and fails.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::sys::{self, SharedMap};

/// A file as the writer sees it: ordinary calls with error returns. It never shrinks.
pub trait FileLayer: Send {
    /// Reads up to `buf.len()` bytes at `at`; 0 at or beyond the end.
    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// Writes up to `buf.len()` bytes at `at`; visible to every reader on return, durable only after [`sync`](Self::sync).
    fn write_at(&self, at: u64, buf: &[u8]) -> io::Result<usize>;
    /// Begins making a range durable without waiting for it: a hint, so that the disk works while the caller does. It
    /// promises nothing and hides no error from the next [`sync`](Self::sync).
    fn start_sync(&self, _at: u64, _len: u64) {}
    /// Makes everything written so far durable, the size included.
    fn sync(&self) -> io::Result<()>;
    /// Physical size in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Makes the file at least `to` bytes long, with space on the disk for `from..to`; new bytes read as zero.
    fn reserve(&self, from: u64, to: u64) -> io::Result<()>;
}

/// A file of the operating system.
#[derive(Debug)]
pub struct RealFile {
    map: SharedMap,
}

impl RealFile {
    /// Opens a file for reading and writing, creating it (readable and writable by its owner, readable by its group) if
    /// `create`. Returns the file and whether it was created.
    pub fn open(path: &Path, create: bool) -> io::Result<(RealFile, bool)> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o640);
        let (file, created) = match options.open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && create => {
                (options.create_new(true).open(path)?, true)
            }
            other => (other?, false),
        };
        Ok((RealFile::new(file)?, created))
    }

    /// Takes a file that is open for reading and writing, for instance a descriptor passed by another process.
    pub fn new(file: File) -> io::Result<RealFile> {
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        Ok(RealFile {
            map: SharedMap::new(file)?,
        })
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        self.map.file()
    }

    /// Fills `buf` from the map; `Ok(false)` when the file does not reach that far.
    pub(crate) fn copy(&self, at: u64, buf: &mut [u8]) -> io::Result<bool> {
        self.map.copy_long(at, buf)
    }

    /// Takes the exclusive lock that a writer holds, here or in the reference; `Ok(false)` when somebody has it. It ends with the
    /// last handle of this file.
    pub fn lock(&self) -> io::Result<bool> {
        sys::lock(self.file())
    }
}

impl FileLayer for RealFile {
    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        sys::read_at(&self.map, at, buf)
    }

    fn write_at(&self, at: u64, buf: &[u8]) -> io::Result<usize> {
        self.file().write_at(buf, at)
    }

    fn start_sync(&self, at: u64, len: u64) {
        sys::start_writing(self.file(), at, len);
    }

    fn sync(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file().metadata()?.len())
    }

    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        sys::reserve(self.file(), from, to)
    }
}

/// Reads exactly `buf.len()` bytes; a file that ends before is an error.
pub(crate) fn read_exact<F: FileLayer>(
    file: &F,
    mut at: u64,
    mut buf: &mut [u8],
) -> io::Result<()> {
    while !buf.is_empty() {
        match file.read_at(at, buf) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            Ok(n) => {
                buf = &mut buf[n..];
                at += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Writes all of `buf`, however short the single writes are.
pub(crate) fn write_all<F: FileLayer>(file: &F, mut at: u64, mut buf: &[u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match file.write_at(at, buf) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(n) => {
                buf = &buf[n..];
                at += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Makes the name of a new file durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}
