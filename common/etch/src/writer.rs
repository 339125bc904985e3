//! The one writer of a store: puts into an open batch, commits it by one barrier, checkpoints, closes.
//!
//! Order of a commit, and why a cut at any point is harmless, is argued step by step in `docs/store.md`:
//! space is reserved; the batch goes into the redo log, and what it appends also behind the data of the store file, most of
//! it already while the batch grows; then the log is synced: the commit is durable; then the new state is published to
//! readers in shared memory. Changed slots reach the store file at the next checkpoint.

use std::path::{Path, PathBuf};

use crate::control::{ControlPage, State};
use crate::deferred::{Deferred, MOST};
use crate::draft::Commit;
use crate::error::Error;
use crate::format::{
    EMPTY_LENGTH, Flags, Header, Key, LENGTH_AT, MAX_ENCODING, NIL_ROOT, NO_ROOT, RecordHead,
};
use crate::index;
use crate::insert::{NewRecord, Put, Space, insert};
use crate::layer::{FileLayer, RealFile, read_exact, sync_parent, write_all};
use crate::log::{Base, Log, Patch};
use crate::recovery::{self, Recovery};
use crate::source::{Record, record};
use crate::staged::{Staged, View};

/// How a store is opened for writing.
#[derive(Debug)]
pub struct Options {
    /// Make the store if there is none.
    pub create: bool,
    /// Bytes of log after which a checkpoint is due. A commit that finds four times as many makes one itself.
    pub checkpoint_bytes: u64,
    /// Changed slots and marks that may wait for a checkpoint in memory, at most 262,144. A commit that finds no room writes
    /// them to the store file itself.
    pub most_deferred: usize,
    /// The open batch is sent ahead to the disk whenever it has grown by this many bytes, so that its commit finds little left
    /// to do. Short pieces cost calls and make the checksum slow.
    pub ahead_bytes: usize,
    /// Page by which readers in this and other processes follow the writer.
    pub control: Option<ControlPage>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            create: true,
            checkpoint_bytes: 32 << 20,
            most_deferred: MOST,
            ahead_bytes: 64 << 10,
            control: None,
        }
    }
}

const WRITING_LOG: &str = "writing a commit to the redo log";
const WRITING_STORE: &str = "writing a commit to the store file";

/// Most bytes that a batch may hold.
pub const MAX_BATCH: u64 = 256 << 20;

/// What is durable: everything put before the commit with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// Number of the commit; rises by one with each, also over restarts.
    pub sequence: u64,
    /// Data length of the store.
    pub length: u64,
    /// Root hash.
    pub root: Key,
}

/// Sizes of a store that is open for writing, in bytes where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Data length.
    pub length: u64,
    /// Physical size of the store file.
    pub physical: u64,
    /// Log since the last checkpoint: what a recovery would replay.
    pub log_pending: u64,
    /// Physical size of the log file.
    pub log_physical: u64,
    /// The open batch.
    pub uncommitted: u64,
    /// Committed changes of slots and marks that wait in memory and in the log for the next checkpoint: a number, not bytes.
    pub deferred: u64,
}

/// The writer of a store.
#[derive(Debug)]
pub struct Writer<F: FileLayer = RealFile> {
    name: PathBuf,
    main: F,
    log: Log<F>,
    control: Option<ControlPage>,
    checkpoint_bytes: u64,
    ahead_bytes: usize,
    committed: Header,
    sequence: u64,
    /// Physical size of the store file.
    reserved: u64,
    deferred: Deferred,
    staged: Staged,
    failed: Option<String>,
    recovery: Recovery,
}

/// Path of the redo log of the store at `path`.
pub fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".redo");
    name.into()
}

impl Writer<RealFile> {
    /// Opens the store at `path` for writing, takes its lock, and recovers what a crash left.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        let open = |p: &Path, create, doing| RealFile::open(p, create).map_err(Error::io(p, doing));
        let (main, created) = open(path, options.create, "opening the store for writing")?;
        if !main.lock().map_err(Error::io(path, "locking the store"))? {
            return Err(Error::Locked {
                file: path.to_owned(),
            });
        }
        // A file that is not ours is refused before anything is made beside it.
        recovery::check_magic(&main, path)?;
        let log = log_path(path);
        let (log_file, log_created) = open(&log, true, "opening the redo log")?;
        if created || log_created {
            sync_parent(path).map_err(Error::io(path, "syncing the directory"))?;
        }
        Self::open_files(main, path, log_file, &log, options)
    }
}

impl<F: FileLayer> Writer<F> {
    /// Opens a store from its two files. The caller has made sure that there is no other writer.
    pub fn open_files(
        main: F,
        name: &Path,
        log: F,
        log_name: &Path,
        options: Options,
    ) -> Result<Self, Error> {
        let opened = recovery::open(&main, name, log, log_name)?;
        // What an earlier writer left in the table was in its log, and so is in the store file now.
        let most = options.most_deferred.min(MOST);
        let deferred = match &options.control {
            Some(control) => Deferred::take(control.table(), most),
            None => {
                Deferred::private(most).map_err(Error::io(name, "making a table of changes"))?
            }
        };
        let writer = Writer {
            name: name.to_owned(),
            main,
            committed: opened.log.base.header,
            sequence: opened.log.base.sequence,
            log: opened.log,
            control: options.control,
            checkpoint_bytes: options.checkpoint_bytes,
            ahead_bytes: options.ahead_bytes.max(1),
            reserved: opened.size,
            deferred,
            staged: Staged::default(),
            failed: None,
            recovery: opened.recovery,
        };
        writer.publish();
        Ok(writer)
    }

    /// What opening found and did.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Path of the store file, for messages.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The last durable state.
    pub fn durable(&self) -> Durable {
        Durable {
            sequence: self.sequence,
            length: self.committed.length,
            root: self.committed.root,
        }
    }

    /// Root hash, that of the open batch included: [`NO_ROOT`] = never set, [`NIL_ROOT`] = nil.
    pub fn root(&self) -> Key {
        self.staged.root.unwrap_or(self.committed.root)
    }

    /// Sizes for metrics.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            length: self.committed.length,
            physical: self.reserved,
            log_pending: self.log.pending(),
            log_physical: self.log.reserved(),
            uncommitted: self.staged.bytes(),
            deferred: self.deferred.len() as u64,
        }
    }

    fn view(&self) -> View<'_, F, &Staged> {
        View {
            main: &self.main,
            length: self.committed.length,
            table: &self.deferred.table,
            staged: &self.staged,
        }
    }

    fn view_mut(&mut self) -> View<'_, F, &mut Staged> {
        View {
            main: &self.main,
            length: self.committed.length,
            table: &self.deferred.table,
            staged: &mut self.staged,
        }
    }

    fn check_usable(&self) -> Result<(), Error> {
        match &self.failed {
            None => Ok(()),
            Some(why) => Err(Error::Failed {
                file: self.name.clone(),
                why: why.clone(),
            }),
        }
    }

    /// Remembers that it is unknown what is on disk, and returns the error that says why.
    fn fail(&mut self, e: Error) -> Error {
        self.failed = Some(e.to_string());
        if let Some(control) = &self.control {
            control.open_window();
            control.set_state(State::Failed);
        }
        e
    }

    fn publish(&self) {
        if let Some(control) = &self.control {
            control.publish(
                self.committed.length,
                self.sequence,
                &self.committed.root,
                State::Live,
            );
        }
    }

    /// Adds a cell to the open batch and returns its key. `memory_size` (bytes, 0 = not known) is recorded with status ≥ 3
    /// only, and the reference computes with what is recorded: give it exactly or not at all (spec/07 §12).
    pub fn put(
        &mut self,
        encoding: &[u8],
        flags: Flags,
        memory_size: u64,
    ) -> Result<(Key, Put), Error> {
        let key = crypto::sha3_256(encoding);
        Ok((key, self.put_hashed(key, encoding, flags, memory_size)?))
    }

    /// As [`put`](Self::put) for a caller that has already computed `key`, the SHA3-256 of `encoding`, itself. A wrong key
    /// damages nothing, but every reader will report the record as corrupt.
    pub fn put_hashed(
        &mut self,
        key: Key,
        encoding: &[u8],
        flags: Flags,
        memory_size: u64,
    ) -> Result<Put, Error> {
        self.check_usable()?;
        if encoding.is_empty() || encoding.len() > MAX_ENCODING {
            return Err(Error::BadLength(encoding.len()));
        }
        if self.staged.bytes() > MAX_BATCH {
            return Err(Error::BatchFull(self.staged.bytes()));
        }
        let flags = flags.merge(Flags(Flags::STORED));
        let new = NewRecord {
            key,
            flags,
            memory_size,
            encoding,
        };
        let put = insert(&mut self.view_mut(), &new).map_err(|fault| {
            // The batch may hold half of the change; nothing of it counts before a commit.
            self.abort();
            Error::fault(&self.name, "adding a cell")(fault)
        })?;
        if self.staged.appended.len() - self.staged.sent >= self.ahead_bytes {
            self.send_ahead()?;
        }
        Ok(put)
    }

    /// Sends what the open batch appends ahead to the log and the store file, so that little is left for the commit. A full
    /// disk is the commit's to report: it tries again.
    fn send_ahead(&mut self) -> Result<(), Error> {
        let all = self.staged.appended.len();
        self.staged.sent = all;
        let log = self.log.send(&self.staged.appended[self.log.taken()..]);
        let done = log
            .map_err(|e| Error::io(&self.log.name, WRITING_LOG)(e))
            .and_then(|()| self.reserve(self.committed.length + all as u64))
            .and_then(|()| self.write_to_store());
        match done {
            Err(e) if !e.is_full() => {
                self.abort();
                Err(self.fail(e))
            }
            _ => Ok(()),
        }
    }

    /// Writes into the store file what the open batch appends and the file does not have yet. Behind the data nothing
    /// points to it, so it need not wait for the barrier.
    fn write_to_store(&mut self) -> Result<(), Error> {
        let from = self.staged.in_file;
        let at = self.committed.length + from as u64;
        write_appended(&self.main, at, &self.staged.appended[from..])
            .map_err(Error::io(&self.name, WRITING_STORE))?;
        self.staged.in_file = self.staged.appended.len();
        Ok(())
    }

    /// Raises flags and memory size of a cell that is there; `false` when it is not.
    pub fn raise(&mut self, key: &Key, flags: Flags, memory_size: u64) -> Result<bool, Error> {
        self.check_usable()?;
        let name = self.name.clone();
        let fault = |f| Error::fault(&name, "raising a cell's status")(f);
        let mut view = self.view_mut();
        let Some(at) = index::find(&view, key).map_err(fault)? else {
            return Ok(false);
        };
        let head = crate::source::Source::head(&view, at).map_err(fault)?;
        let old = RecordHead::decode(&head);
        let merged = old.flags.merge(flags);
        if merged != old.flags {
            let fill =
                old.memory_size == 0 && merged.status() >= Flags::PERSISTED && memory_size != 0;
            view.set_marks(at, merged, fill.then_some(memory_size));
        }
        Ok(true)
    }

    /// The record of `key`, the open batch included, its hash verified; `Ok(None)` = proven absent.
    pub fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        let fault = |f| Error::fault(&self.name, "reading a cell")(f);
        let view = self.view();
        let Some(at) = index::find(&view, key).map_err(fault)? else {
            return Ok(None);
        };
        let record = record(&view, at).map_err(fault)?;
        if record.key != *key || !record.is_sound() {
            return Err(Error::Corrupt {
                file: self.name.clone(),
                at,
                why: "the encoding does not have the hash that it is stored under",
            });
        }
        Ok(Some(record))
    }

    /// Flags of the record of `key`, hash not verified; `Ok(None)` = proven absent.
    pub fn flags(&self, key: &Key) -> Result<Option<Flags>, Error> {
        let fault = |f| Error::fault(&self.name, "looking a cell up")(f);
        let view = self.view();
        let Some(at) = index::find(&view, key).map_err(fault)? else {
            return Ok(None);
        };
        let head = crate::source::Source::head(&view, at).map_err(fault)?;
        Ok(Some(RecordHead::decode(&head).flags))
    }

    /// Sets the root as part of the open batch. Its record must be there, unless it is [`NIL_ROOT`].
    pub fn set_root(&mut self, root: Key) -> Result<(), Error> {
        self.check_usable()?;
        if root != NIL_ROOT && root != NO_ROOT && self.flags(&root)?.is_none() {
            return Err(Error::RootMissing {
                file: self.name.clone(),
                key: root,
            });
        }
        self.staged.root = Some(root);
        Ok(())
    }

    /// Forgets the open batch.
    pub fn abort(&mut self) {
        self.staged = Staged::default();
        self.log.forget();
    }

    /// Makes the open batch durable by one barrier, then visible to readers. On an error nothing of the batch is
    /// acknowledged and it is dropped: put it again once the cause is gone. After a full disk the writer goes on working;
    /// after any other failure it refuses until it is opened again.
    pub fn commit(&mut self) -> Result<Durable, Error> {
        self.check_usable()?;
        if self.staged.is_empty() {
            return Ok(self.durable());
        }
        if self.log.pending() >= self.checkpoint_bytes.saturating_mul(4) {
            self.checkpoint()?;
        }
        match self.commit_batch() {
            Ok(()) => Ok(self.durable()),
            Err(e) => {
                self.abort();
                Err(e)
            }
        }
    }

    fn commit_batch(&mut self) -> Result<(), Error> {
        let start = self.committed.length;
        let (mut patches, below) = self.staged.patches(start);
        if !self.deferred.has_room(below) {
            self.drain()?;
        }
        let length = start + self.staged.appended.len() as u64;
        self.reserve(length)?;
        let commit = Commit {
            sequence: self.sequence + 1,
            start,
            root: self.staged.root.unwrap_or(self.committed.root),
        };
        let rest = &self.staged.appended[self.log.taken()..];
        let appended = match self.log.append(&commit, rest, &patches) {
            Ok(appended) => appended,
            Err(e) => {
                let e = Error::io(&self.log.name, WRITING_LOG)(e);
                return Err(self.fail_unless_full(e));
            }
        };
        // Now, since the disk is busy meanwhile.
        let (patches, late) = patches.split_at_mut(below);
        let written = self.write_to_store().and_then(|()| {
            apply_patches(&self.main, late).map_err(Error::io(&self.name, WRITING_STORE))
        });
        if let Err(e) = written {
            return Err(self.fail_unless_full(e));
        }
        if let Err(e) = self.log.sync(appended) {
            let e = Error::io(&self.log.name, "syncing the redo log")(e);
            return Err(self.fail(e));
        }
        // Durable from here on.
        self.sequence = commit.sequence;
        if let Some(control) = &self.control {
            control.open_window();
        }
        self.committed = Header {
            length,
            root: commit.root,
        };
        if self.deferred.has_room(patches.len()) {
            self.deferred.add(patches);
        } else if let Err(e) = apply_patches(&self.main, patches) {
            let e = Error::io(&self.name, WRITING_STORE)(e);
            return Err(self.fail(e));
        }
        self.publish();
        self.staged = std::mem::take(&mut self.staged).reuse();
        Ok(())
    }

    /// A failure before the barrier. The next commit takes the place of the broken one, so a full disk needs no restart.
    fn fail_unless_full(&mut self, e: Error) -> Error {
        if e.is_full() { e } else { self.fail(e) }
    }

    /// Carries deferred changes over to the store file.
    fn drain(&mut self) -> Result<(), Error> {
        if let Err(e) = self.deferred.drain(&self.main) {
            let e = Error::io(&self.name, "carrying changes over to the store file")(e);
            return Err(self.fail(e));
        }
        Ok(())
    }

    /// Reserves space for data up to `length`, in bounded steps.
    fn reserve(&mut self, length: u64) -> Result<(), Error> {
        if length <= self.reserved {
            return Ok(());
        }
        let step = (length / 16).clamp(64 << 10, 16 << 20);
        let roomy = length.saturating_add(step).next_multiple_of(64 << 10);
        let doing = "reserving space for the store";
        let mut to = roomy;
        let mut result = self.main.reserve(self.reserved, to);
        if result.is_err() {
            // Perhaps there is space for just this.
            to = length;
            result = self.main.reserve(self.reserved, to);
        }
        result.map_err(Error::io(&self.name, doing))?;
        self.reserved = to;
        Ok(())
    }

    /// A checkpoint is due: call [`checkpoint`](Self::checkpoint) when there is time.
    pub fn checkpoint_due(&self) -> bool {
        self.log.pending() >= self.checkpoint_bytes
    }

    /// Carries changed slots over to the store file now. Nothing about what is durable changes; a caller that then has the file
    /// synced by another thread, through a descriptor of its own, finds little left to do at the next checkpoint.
    pub fn settle(&mut self) -> Result<(), Error> {
        self.check_usable()?;
        self.drain()
    }

    /// Syncs the store file and starts the log anew. The open batch is not touched.
    pub fn checkpoint(&mut self) -> Result<(), Error> {
        self.check_usable()?;
        let base = &self.log.base;
        if self.log.pending() == 0 && base.main_length == self.committed.length {
            return Ok(());
        }
        self.drain()?;
        let result = recovery::checkpoint(
            &self.main,
            &self.name,
            &mut self.log,
            self.committed,
            self.sequence,
        );
        result.map_err(|e| self.fail(e))
    }

    /// Commits the open batch, checkpoints, and leaves a plain Etch file that the reference opens.
    pub fn close(mut self) -> Result<Durable, Error> {
        self.commit()?;
        self.checkpoint()?;
        self.end(State::Closed);
        Ok(self.durable())
    }

    /// As [`close`](Self::close), telling readers that another generation has taken this one's place: what they don't find
    /// here they must look for there.
    pub fn retire(mut self) -> Result<Durable, Error> {
        self.commit()?;
        self.checkpoint()?;
        self.end(State::Retired);
        Ok(self.durable())
    }

    fn end(&self, state: State) {
        if let Some(control) = &self.control {
            control.publish(
                self.committed.length,
                self.sequence,
                &self.committed.root,
                state,
            );
        }
    }

    /// The control page given at opening.
    pub fn control(&self) -> Option<&ControlPage> {
        self.control.as_ref()
    }
}

/// Appended bytes go to the file in calls of this size: one long call makes the system look for large units of memory to cache
/// them in, which takes longer than it saves (measured).
const CALL: usize = 16 << 10;

/// Writes appended bytes into the store file.
pub(crate) fn write_appended<F: FileLayer>(main: &F, at: u64, bytes: &[u8]) -> std::io::Result<()> {
    bytes
        .chunks(CALL)
        .zip((at..).step_by(CALL))
        .try_for_each(|(part, at)| write_all(main, at, part))
}

/// Slots closer than this are written by one call together with what lies between them: a call costs more than copying an
/// index block does (measured).
const GAP: u64 = 2048;
/// Longest such write.
const RUN: u64 = 4096;

/// Writes changes into the store file in order of position, neighbours together.
pub(crate) fn apply_patches<F: FileLayer>(main: &F, patches: &mut [Patch]) -> std::io::Result<()> {
    patches.sort_unstable_by_key(|p| p.at);
    let mut buf = [0u8; RUN as usize];
    let mut rest = &*patches;
    while let Some(first) = rest.first() {
        let mut end = first.at + u64::from(first.len);
        let mut count = 1;
        let mut dense = true;
        for p in &rest[1..] {
            let to = p.at + u64::from(p.len);
            if p.at > end + GAP || to - first.at > RUN {
                break;
            }
            dense &= p.at == end;
            end = to;
            count += 1;
        }
        let run = &mut buf[..(end - first.at) as usize];
        if !dense {
            read_exact(main, first.at, run)?;
        }
        for p in &rest[..count] {
            let i = (p.at - first.at) as usize;
            run[i..i + usize::from(p.len)].copy_from_slice(p.bytes());
        }
        write_all(main, first.at, run)?;
        rest = &rest[count..];
    }
    Ok(())
}

/// Bytes of the header that change: length and root, in one write.
pub(crate) fn write_header<F: FileLayer>(main: &F, header: &Header) -> std::io::Result<()> {
    write_all(main, LENGTH_AT, &header.encode()[LENGTH_AT as usize..])
}

const _: () = assert!(EMPTY_LENGTH == 524_332);

pub(crate) fn fresh_base(
    epoch: u64,
    sequence: u64,
    header: Header,
    main_length: u64,
    main_size: u64,
) -> std::io::Result<Base> {
    Ok(Base {
        epoch,
        sequence,
        header,
        main_length,
        main_size,
        secret: crate::sys::random()?,
    })
}
