//! The control page: shared memory in which the writer publishes where the data ends, and by which a reader knows whether
//! the index stood still while it looked. Behind it lies the table of changes that the store file does not have yet
//! ([`deferred`](crate::deferred)).
//!
//! Words (native byte order, 8 bytes each; both sides run on one machine):
//!
//! | word | content |
//! |---|---|
//! | 0 | magic `EtchCtl2` |
//! | 1 | generation: rises when a collected copy replaces the store file |
//! | 2 | write sequence: odd while slots are being changed |
//! | 3 | published length: data below it may be read |
//! | 4 | durable sequence: number of the last commit on disk |
//! | 5 | state, see [`State`] |
//! | 6–9 | root hash |
//! | 10–12 | of the table behind the page |
//!
//! The writer holds a lock on the page as long as it lives. A page whose lock is gone gives values, but what is absent from
//! it may have been written by a successor.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use crate::deferred::{Table, WORDS};
use crate::error::Error;
use crate::format::{Key, NO_ROOT};
use crate::sys::{self, SharedWords};

const MAGIC: u64 = u64::from_be_bytes(*b"EtchCtl2");
const GENERATION: usize = 1;
const SEQUENCE: usize = 2;
const LENGTH: usize = 3;
const DURABLE: usize = 4;
const STATE: usize = 5;
const ROOT: usize = 6;

/// What the writer says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No writer has published yet.
    New,
    /// A writer is at work.
    Live,
    /// The writer closed the store in order; what is there stays.
    Closed,
    /// A newer generation took the place of this file: absence here proves nothing.
    Retired,
    /// The writer gave up after an error; the index may be half changed.
    Failed,
}

impl State {
    fn from_word(w: u64) -> State {
        match w {
            0 => State::New,
            1 => State::Live,
            2 => State::Closed,
            3 => State::Retired,
            _ => State::Failed,
        }
    }
}

/// What one look at a control page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Generation of the store file.
    pub generation: u64,
    /// Data length that may be read.
    pub length: u64,
    /// Number of the last durable commit.
    pub durable: u64,
    /// Root hash as of that commit.
    pub root: Key,
    /// State of the writer.
    pub state: State,
}

/// The writer's side of a control page.
#[derive(Debug)]
pub struct ControlPage {
    file: File,
    page: Arc<SharedWords>,
}

impl ControlPage {
    /// Makes a page in anonymous memory and seals it: readers get its descriptor and cannot change or shrink it.
    pub fn anonymous(generation: u64) -> Result<ControlPage, Error> {
        let name = Path::new("(anonymous)");
        let make = || {
            let file = sys::memfd()?;
            sys::reserve(&file, 0, WORDS as u64 * 8)?;
            let page = SharedWords::map(&file, WORDS, true)?;
            // Kernels before 5.1 lack the seal against later writers; then the descriptor itself is the protection.
            if let Err(e) = sys::seal(&file)
                && e.raw_os_error() != Some(libc::EINVAL)
            {
                return Err(e);
            }
            Ok((file, page))
        };
        let (file, page) = make().map_err(Error::io(name, "making a control page"))?;
        Self::begin(file, page, name, generation)
    }

    /// Makes a page in a file, or takes over the one that an earlier writer left there, going on with its write sequence.
    /// The file belongs on a file system in memory, since commits write to it at random places.
    pub fn at_path(path: &Path, generation: u64) -> Result<ControlPage, Error> {
        let make = || {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            sys::reserve(&file, 0, WORDS as u64 * 8)?;
            let page = SharedWords::map(&file, WORDS, true)?;
            Ok((file, page))
        };
        let (file, page) = make().map_err(Error::io(path, "making a control page"))?;
        Self::begin(file, page, path, generation)
    }

    fn begin(
        file: File,
        page: SharedWords,
        name: &Path,
        generation: u64,
    ) -> Result<ControlPage, Error> {
        if !sys::lock(&file).map_err(Error::io(name, "locking the control page"))? {
            return Err(Error::Locked {
                file: name.to_owned(),
            });
        }
        let page = Arc::new(page);
        let table = Table::new(page.clone());
        table
            .prepare()
            .map_err(Error::io(name, "drawing random bytes"))?;
        let control = ControlPage { file, page };
        control.start(generation);
        Ok(control)
    }

    fn start(&self, generation: u64) {
        self.page.store(GENERATION, generation, Ordering::Relaxed);
        // An earlier writer may have died while the sequence was odd; ours begins odd until something is published.
        let s = self.page.load(SEQUENCE, Ordering::Relaxed);
        self.page.store(SEQUENCE, s | 1, Ordering::Relaxed);
        self.page.store(STATE, 0, Ordering::Relaxed);
        self.page.store(0, MAGIC, Ordering::Release);
    }

    /// A descriptor for readers, opened read-only.
    pub fn reader_file(&self) -> Result<File, Error> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        File::open(&path).map_err(Error::io(&path, "opening the control page for readers"))
    }

    /// The table behind the page.
    pub(crate) fn table(&self) -> Table {
        Table::new(self.page.clone())
    }

    /// Slots are about to change.
    pub(crate) fn open_window(&self) {
        let s = self.page.load(SEQUENCE, Ordering::Relaxed);
        self.page.store(SEQUENCE, s | 1, Ordering::Relaxed);
        // The odd number must be seen before the first changed slot.
        fence(Ordering::SeqCst);
    }

    /// The change is complete: publishes the new state of the store.
    pub(crate) fn publish(&self, length: u64, durable: u64, root: &Key, state: State) {
        self.open_window();
        self.page.store(LENGTH, length, Ordering::Relaxed);
        self.page.store(DURABLE, durable, Ordering::Relaxed);
        for (i, w) in root.chunks_exact(8).enumerate() {
            let w = w.iter().fold(0, |n, b| n << 8 | u64::from(*b));
            self.page.store(ROOT + i, w, Ordering::Relaxed);
        }
        self.set_state(state);
        let s = self.page.load(SEQUENCE, Ordering::Relaxed);
        self.page
            .store(SEQUENCE, s.wrapping_add(1), Ordering::Release);
    }

    /// Changes the state only. [`State::Failed`] leaves the window open: the index may be half changed.
    pub(crate) fn set_state(&self, state: State) {
        let w = match state {
            State::New => 0,
            State::Live => 1,
            State::Closed => 2,
            State::Retired => 3,
            State::Failed => 4,
        };
        self.page.store(STATE, w, Ordering::Release);
    }
}

/// A reader's side of a control page.
#[derive(Debug)]
pub struct ControlView {
    file: File,
    page: Arc<SharedWords>,
}

impl ControlView {
    /// Maps a page that a writer made, from a descriptor.
    pub fn from_file(file: &File) -> Result<ControlView, Error> {
        Self::map(file, Path::new("(descriptor)"))
    }

    /// Maps a page that a writer made in a file.
    pub fn open(path: &Path) -> Result<ControlView, Error> {
        let file = File::open(path).map_err(Error::io(path, "opening the control page"))?;
        Self::map(&file, path)
    }

    fn map(file: &File, name: &Path) -> Result<ControlView, Error> {
        let page = SharedWords::map(file, WORDS, false).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Error::Control {
                file: name.to_owned(),
                why: "shorter than a page and its table",
            },
            _ => Error::io(name, "mapping the control page")(e),
        })?;
        if page.load(0, Ordering::Acquire) != MAGIC {
            return Err(Error::Control {
                file: name.to_owned(),
                why: "it does not begin with the mark of a control page",
            });
        }
        let file = file
            .try_clone()
            .map_err(Error::io(name, "keeping the control page"))?;
        Ok(ControlView {
            file,
            page: Arc::new(page),
        })
    }

    /// The writer of this page lives. Asks the system: not for the way to a value.
    pub(crate) fn is_held(&self) -> io::Result<bool> {
        sys::is_locked(&self.file)
    }

    /// The table behind the page.
    pub(crate) fn table(&self) -> Table {
        Table::new(self.page.clone())
    }

    /// The write sequence, or `None` while it is odd. What was read between two equal answers did not change meanwhile.
    pub(crate) fn stamp(&self) -> Option<u64> {
        // The reads before the second call must not slip behind it.
        fence(Ordering::Acquire);
        let s = self.page.load(SEQUENCE, Ordering::Acquire);
        s.is_multiple_of(2).then_some(s)
    }

    pub(crate) fn length(&self) -> u64 {
        self.page.load(LENGTH, Ordering::Acquire)
    }

    /// State of the writer.
    pub fn state(&self) -> State {
        State::from_word(self.page.load(STATE, Ordering::Acquire))
    }

    /// Number of the last durable commit.
    pub fn durable(&self) -> u64 {
        self.page.load(DURABLE, Ordering::Acquire)
    }

    /// Generation of the store file.
    pub fn generation(&self) -> u64 {
        self.page.load(GENERATION, Ordering::Acquire)
    }

    /// One consistent view of all fields, or `None` while the writer is changing them.
    pub fn published(&self) -> Option<Published> {
        let stamp = self.stamp();
        let mut root = NO_ROOT;
        for (i, b) in root.chunks_exact_mut(8).enumerate() {
            b.copy_from_slice(&self.page.load(ROOT + i, Ordering::Relaxed).to_be_bytes());
        }
        let view = Published {
            generation: self.generation(),
            length: self.length(),
            durable: self.durable(),
            root,
            state: self.state(),
        };
        (stamp.is_some() && self.stamp() == stamp).then_some(view)
    }
}
