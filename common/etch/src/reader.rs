//! Reading a store that another process or thread may be writing: no lock, no message, and on the way to a cell no system
//! call.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::control::{ControlView, State};
use crate::deferred::Table;
use crate::error::Error;
use crate::format::{HEADER_BYTES, Header, Key, RECORD_HEAD};
use crate::index;
use crate::layer::RealFile;
use crate::recovery::check_magic;
use crate::source::{Fault, Record, Source, in_range, record};
use crate::sys;
use crate::writer::log_path;

/// How long a reader tries to see the index between two writes before it reports that it could not.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads cells by key. Shared freely between threads; each process makes its own from descriptors or paths.
///
/// Three outcomes: `Ok(Some(_))` the cell, its hash verified; `Ok(None)` proven absent; `Err(_)` neither.
#[derive(Debug)]
pub struct Reader {
    name: PathBuf,
    file: RealFile,
    view: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Follows a writer by its control page and the table behind it.
    Live(ControlView, Table),
    /// Looks at a file as it lies there. `whole` = nobody writes it and no log waits to be replayed, so that absence can
    /// be proven.
    Still { length: u64, whole: bool },
}

/// What [`Reader::inspect`] found out about a file beside its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Length and root by the file's header. While the store is in use they are those of the last checkpoint.
    pub header: Header,
    /// Physical size in bytes.
    pub size: u64,
    /// A writer holds the lock.
    pub in_use: bool,
    /// A redo log with content lies beside it: opening for writing may replay commits that are not in the file yet.
    pub log: bool,
}

impl Reader {
    /// A reader that follows a writer: the store file and the control page, both as descriptors opened for reading.
    pub fn follow(store: File, name: &Path, control: ControlView) -> Result<Reader, Error> {
        let io = |e| Error::io(name, "mapping the store")(e);
        let file = RealFile::new(store).map_err(io)?;
        Ok(Reader {
            name: name.to_owned(),
            file,
            view: {
                let table = control.table();
                Kind::Live(control, table)
            },
        })
    }

    /// As [`follow`](Self::follow), from the paths of both.
    pub fn follow_path(store: &Path, control: &Path) -> Result<Reader, Error> {
        let file = File::open(store).map_err(Error::io(store, "opening the store for reading"))?;
        Reader::follow(file, store, ControlView::open(control)?)
    }

    /// Looks at a store file without a lock, whoever uses it. It finds what the last checkpoint left in the file, perhaps
    /// more. Absence is proven only if nobody uses it and no log waits beside it. Nothing is written.
    pub fn inspect(path: &Path) -> Result<(Reader, Inspection), Error> {
        let io = |doing| Error::io(path, doing);
        let file = File::open(path).map_err(io("opening the store for reading"))?;
        let file = RealFile::new(file).map_err(io("mapping the store"))?;
        check_magic(&file, path)?;
        let mut b = [0; HEADER_BYTES as usize];
        crate::layer::read_exact(&file, 0, &mut b).map_err(io("reading the header"))?;
        let header = Header::decode(&b).map_err(|_| Error::Corrupt {
            file: path.to_owned(),
            at: 0,
            why: "header of a store that was never finished being made",
        })?;
        let size = file
            .file()
            .metadata()
            .map_err(io("reading its size"))?
            .len();
        let in_use = sys::is_locked(file.file()).map_err(io("asking for its lock"))?;
        let log = log_pending(&log_path(path));
        let info = Inspection {
            header,
            size,
            in_use,
            log,
        };
        let view = Kind::Still {
            // Not the header's length, which is stale while the store is in use and after a crash (spec/07 §8).
            length: size,
            whole: !in_use && !log,
        };
        let reader = Reader {
            name: path.to_owned(),
            file,
            view,
        };
        Ok((reader, info))
    }

    /// Path of the store, for messages.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The control page that this reader follows.
    pub fn control(&self) -> Option<&ControlView> {
        match &self.view {
            Kind::Live(control, _) => Some(control),
            Kind::Still { .. } => None,
        }
    }

    /// The encoding of the cell with this key.
    pub fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.get_record(key)?.map(|r| r.encoding))
    }

    /// The whole record of this key. Its flags and memory size are hints.
    pub fn get_record(&self, key: &Key) -> Result<Option<Record>, Error> {
        let mut since = None;
        loop {
            let stamp = self.stamp();
            let outcome = self.look_up(key);
            // A record whose hash is right is the value, whatever moves around it.
            if let Ok(Some(record)) = &outcome
                && record.key == *key
                && record.is_sound()
            {
                return outcome.map_err(Error::fault(&self.name, "reading a cell"));
            }
            let stable = stamp.is_some() && self.stamp() == stamp;
            if stable || matches!(outcome, Err(Fault::Io(_))) {
                return self.settle(outcome);
            }
            let since = since.get_or_insert_with(Instant::now);
            let state = self.control().map_or(State::Closed, ControlView::state);
            if state == State::Failed || since.elapsed() > PATIENCE {
                return Err(self.unproven(match state {
                    State::Failed => "the writer failed and may have left the index half changed",
                    State::New => "no writer has opened the store yet",
                    _ => "the index was being changed all the time",
                }));
            }
            std::thread::yield_now();
        }
    }

    fn look_up(&self, key: &Key) -> Result<Option<Record>, Fault> {
        match index::find(self, key)? {
            Some(at) => record(self, at).map(Some),
            None => Ok(None),
        }
    }

    /// What an outcome means that is not the value and was seen while nothing moved.
    fn settle(&self, outcome: Result<Option<Record>, Fault>) -> Result<Option<Record>, Error> {
        let refusal = match &self.view {
            Kind::Live(control, _) => match control.state() {
                State::Live => match control.is_held() {
                    Ok(true) => None,
                    Ok(false) => Some(
                        "the writer died; whoever opens the store next may write without this reader's knowledge",
                    ),
                    Err(e) => {
                        return Err(Error::io(&self.name, "asking whether its writer lives")(e));
                    }
                },
                State::Closed => None,
                State::New => Some("no writer has opened the store yet"),
                State::Retired => {
                    Some("a newer generation of the store has taken this one's place")
                }
                State::Failed => Some("the writer failed and may have left the index half changed"),
            },
            Kind::Still { whole: true, .. } => None,
            Kind::Still { .. } => {
                Some("the store is in use or has a redo log to replay, and is only inspected here")
            }
        };
        match (outcome, refusal) {
            (Err(Fault::Io(e)), _) => Err(Error::io(&self.name, "reading a cell")(e)),
            (_, Some(why)) => Err(self.unproven(why)),
            (Ok(None), None) => Ok(None),
            (Ok(Some(record)), None) => Err(Error::Corrupt {
                file: self.name.clone(),
                at: record.at,
                why: "the encoding does not have the hash that it is stored under",
            }),
            (Err(fault), None) => Err(Error::fault(&self.name, "reading a cell")(fault)),
        }
    }

    fn unproven(&self, why: &'static str) -> Error {
        Error::Unproven {
            file: self.name.clone(),
            why,
        }
    }

    /// The root hash: that of the last commit where a writer is followed, else that of the header.
    pub fn root(&self) -> Result<Key, Error> {
        match &self.view {
            Kind::Live(control, _) => {
                let since = Instant::now();
                loop {
                    if let Some(p) = control.published() {
                        return Ok(p.root);
                    }
                    if since.elapsed() > PATIENCE {
                        return Err(
                            self.unproven("the control page was being changed all the time")
                        );
                    }
                    std::thread::yield_now();
                }
            }
            Kind::Still { .. } => {
                let fault = Error::fault(&self.name, "reading the root");
                header(self).map(|h| h.root).map_err(fault)
            }
        }
    }
}

/// Header of the store in `source`.
pub fn header<S: Source + ?Sized>(source: &S) -> Result<Header, Fault> {
    let mut b = [0; HEADER_BYTES as usize];
    source.read(0, &mut b)?;
    Header::decode(&b).map_err(|_| Fault::corrupt(0, "not the header of an Etch store, version 1"))
}

/// A log lies there that holds a commit. A log that cannot be read counts as one.
fn log_pending(path: &Path) -> bool {
    match File::open(path).and_then(RealFile::new) {
        Err(e) => e.kind() != std::io::ErrorKind::NotFound,
        Ok(file) => crate::log::holds_commits(file, path).unwrap_or(true),
    }
}

impl Source for Reader {
    fn length(&self) -> u64 {
        match &self.view {
            Kind::Live(control, _) => control.length(),
            Kind::Still { length, .. } => *length,
        }
    }

    fn read(&self, at: u64, buf: &mut [u8]) -> Result<(), Fault> {
        if !in_range(at, buf.len(), self.length()) {
            return Err(Fault::corrupt(at, "pointer beyond the end of the data"));
        }
        match self.file.copy(at, buf).map_err(Fault::Io)? {
            true => Ok(()),
            false => Err(Fault::corrupt(
                at,
                "the file is shorter than the published data",
            )),
        }
    }

    fn slot(&self, at: u64) -> Result<u64, Fault> {
        if let Kind::Live(_, table) = &self.view
            && let Some(raw) = table.slot(at)
        {
            return Ok(raw);
        }
        let mut b = [0; 8];
        self.read(at, &mut b)?;
        Ok(u64::from_be_bytes(b))
    }

    fn head(&self, at: u64) -> Result<[u8; RECORD_HEAD as usize], Fault> {
        let mut b = [0; RECORD_HEAD as usize];
        self.read(at, &mut b)?;
        if let Kind::Live(_, table) = &self.view {
            table.overlay_marks(at, &mut b);
        }
        Ok(b)
    }

    fn stamp(&self) -> Option<u64> {
        match &self.view {
            Kind::Live(control, _) => control.stamp(),
            Kind::Still { .. } => Some(0),
        }
    }
}
