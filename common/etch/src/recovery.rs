//! Opening a store: telling what state it was left in, replaying the log, and the checkpoint that ends both a recovery and
//! an epoch of the log.

use std::path::Path;

use crate::error::Error;
use crate::format::{BadHeader, EMPTY_LENGTH, HEADER_BYTES, Header, LENGTH_AT, MAGIC};
use crate::index::Walk;
use crate::layer::{FileLayer, read_exact, write_all};
use crate::log::{Found, Log, inspect};
use crate::source::{Fault, Source, in_range, record};
use crate::writer::{apply_patches, fresh_base, write_appended, write_header};

/// What opening a store found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The store was made.
    pub created: bool,
    /// Commits replayed from the log.
    pub replayed: u64,
    /// The file came without a log of ours that fits, so its whole index was checked.
    pub checked: bool,
    /// Data length that its header said, when records were found beyond it and kept.
    pub stale_length: Option<u64>,
}

pub(crate) struct Opened<F: FileLayer> {
    pub(crate) log: Log<F>,
    pub(crate) size: u64,
    pub(crate) recovery: Recovery,
}

/// Physical size of a store that was just made.
const INITIAL_SIZE: u64 = EMPTY_LENGTH.next_multiple_of(64 << 10);

fn first_bytes<F: FileLayer>(
    main: &F,
    name: &Path,
    size: u64,
) -> Result<[u8; HEADER_BYTES as usize], Error> {
    let mut b = [0; HEADER_BYTES as usize];
    let n = size.min(HEADER_BYTES) as usize;
    read_exact(main, 0, &mut b[..n]).map_err(Error::io(name, "reading the header"))?;
    Ok(b)
}

/// Refuses what does not begin as a store of ours; an empty file may become one. For a caller that opens the files itself, to
/// be asked before a log is made beside the file.
pub fn check_magic<F: FileLayer>(main: &F, name: &Path) -> Result<(), Error> {
    let size = main.size().map_err(Error::io(name, "reading its size"))?;
    if size == 0 {
        return Ok(());
    }
    let b = first_bytes(main, name, size)?;
    if size < HEADER_BYTES {
        return Err(if size >= 2 && b[..2] != MAGIC {
            not_etch(name, &b)
        } else {
            Error::Truncated {
                file: name.to_owned(),
                size,
                needed: EMPTY_LENGTH,
            }
        });
    }
    if is_half_made(main, name, size)? {
        return Ok(());
    }
    match Header::decode(&b) {
        Ok(_) => Ok(()),
        Err(BadHeader::Magic(_)) => Err(not_etch(name, &b)),
        Err(BadHeader::Version(found)) => Err(Error::Version {
            file: name.to_owned(),
            found,
        }),
    }
}

fn not_etch(name: &Path, b: &[u8]) -> Error {
    Error::NotEtch {
        file: name.to_owned(),
        found: [b[0], b[1]],
    }
}

/// The file is one whose making was cut: of the size that making gives, nothing in it but some bytes of an empty header.
fn is_half_made<F: FileLayer>(main: &F, name: &Path, size: u64) -> Result<bool, Error> {
    if size != INITIAL_SIZE {
        return Ok(false);
    }
    let head = first_bytes(main, name, size)?;
    let empty = Header::EMPTY.encode();
    if head == empty || head.iter().zip(empty).any(|(b, e)| *b != 0 && *b != e) {
        return Ok(false);
    }
    let mut rest = vec![0; (size - HEADER_BYTES) as usize];
    read_exact(main, HEADER_BYTES, &mut rest).map_err(Error::io(name, "reading a new store"))?;
    Ok(rest.iter().all(|b| *b == 0))
}

/// The physical bytes of the file, whatever length its header says.
struct Physical<'a, F: FileLayer> {
    main: &'a F,
    size: u64,
}

impl<F: FileLayer> Source for Physical<'_, F> {
    fn length(&self) -> u64 {
        self.size
    }
    fn read(&self, at: u64, buf: &mut [u8]) -> Result<(), Fault> {
        if !in_range(at, buf.len(), self.size) {
            return Err(Fault::corrupt(at, "pointer beyond the end of the file"));
        }
        read_exact(self.main, at, buf).map_err(Fault::Io)
    }
}

pub(crate) fn open<F: FileLayer>(
    main: &F,
    name: &Path,
    log_file: F,
    log_name: &Path,
) -> Result<Opened<F>, Error> {
    check_magic(main, name)?;
    let io = |doing| Error::io(name, doing);
    let mut size = main.size().map_err(io("reading its size"))?;
    let found = inspect(&log_file, log_name)?;
    let mut recovery = Recovery::default();

    let raw = first_bytes(main, name, size)?;
    let unmade = size == 0 || is_half_made(main, name, size)?;

    // A log of ours: does it go with the file?
    let (mut log, epoch, sequence) = match found {
        Found::Nothing => {
            let base = fresh_base(0, 0, Header::EMPTY, EMPTY_LENGTH, 0)
                .map_err(io("drawing random bytes"))?;
            (Log::resume(log_file, log_name.to_owned(), base)?, 0, 0)
        }
        Found::Base(base) => {
            let (epoch, sequence) = (base.epoch, base.sequence);
            let mut log = Log::resume(log_file, log_name.to_owned(), base)?;
            let (count, end) = scan(&mut log)?;
            if !unmade && fits(&raw, &log.base.header_on_disk(), &end) {
                let clean = count == 0 && log.base.main_length == log.base.header.length;
                if !clean {
                    replay(main, name, &mut log)?;
                    recovery.replayed = count;
                    checkpoint(main, name, &mut log, end, sequence + count)?;
                }
                size = main.size().map_err(io("reading its size"))?;
                if log.base.header.length > size {
                    return Err(Error::Truncated {
                        file: name.to_owned(),
                        size,
                        needed: log.base.header.length,
                    });
                }
                if !clean || size == log.base.main_size {
                    main.reserve(0, size).map_err(io("reserving space"))?;
                    return Ok(Opened {
                        log,
                        size,
                        recovery,
                    });
                }
            } else if count > 0 {
                return Err(Error::LogMismatch {
                    file: name.to_owned(),
                    why: if unmade {
                        "the log holds commits but the store file is empty"
                    } else {
                        "its length and root are neither those before nor those after the logged commits"
                    },
                });
            }
            (log, epoch, sequence)
        }
    };

    // No log that fits: a new store, or one that somebody else wrote last.
    let main_length;
    let header;
    if unmade {
        make(main, name)?;
        size = main.size().map_err(io("reading its size"))?;
        recovery.created = true;
        header = Header::EMPTY;
        main_length = header.length;
    } else {
        let on_disk = Header::decode(&raw).map_err(|_| not_etch(name, &raw))?;
        main_length = on_disk.length;
        header = Header {
            length: check_foreign(main, name, size, on_disk.length)?,
            root: on_disk.root,
        };
        recovery.checked = true;
        if header.length != main_length {
            recovery.stale_length = Some(main_length);
        }
        main.reserve(0, size).map_err(io("reserving space"))?;
        // What was found may still be only in memory of the system, and the log will build on it.
        main.sync().map_err(io("syncing the store"))?;
    }
    let base = fresh_base(epoch + 1, sequence, header, main_length, size)
        .map_err(io("drawing random bytes"))?;
    log.reset(base)
        .map_err(Error::io(log_name, "starting the redo log"))?;
    Ok(Opened {
        log,
        size,
        recovery,
    })
}

/// Number of commits in the log and the state after them.
fn scan<F: FileLayer>(log: &mut Log<F>) -> Result<(u64, Header), Error> {
    let mut end = log.base.header;
    let mut count = 0;
    log.rewind();
    while let Some(frame) = log.read_frame(log.base.sequence + count + 1, end.length)? {
        end = Header {
            length: frame.end(),
            root: frame.root,
        };
        count += 1;
    }
    Ok((count, end))
}

/// The header on disk is that before or that after the logged commits, or torn between them: a checkpoint writes it while
/// the log still holds everything.
fn fits(raw: &[u8; HEADER_BYTES as usize], before: &Header, after: &Header) -> bool {
    let (before, after) = (before.encode(), after.encode());
    (0..raw.len()).all(|i| raw[i] == before[i] || raw[i] == after[i])
}

/// Writes all logged commits into the store file again. Writing the same bytes twice changes nothing, so a cut during a
/// replay needs no care.
fn replay<F: FileLayer>(main: &F, name: &Path, log: &mut Log<F>) -> Result<(), Error> {
    let io = |doing| Error::io(name, doing);
    let mut length = log.base.header.length;
    let mut sequence = log.base.sequence;
    log.rewind();
    while let Some(mut frame) = log.read_frame(sequence + 1, length)? {
        let size = main.size().map_err(io("reading its size"))?;
        main.reserve(size, frame.end())
            .map_err(io("reserving space to replay the redo log"))?;
        write_appended(main, frame.start, &frame.appended)
            .and_then(|()| apply_patches(main, &mut frame.patches))
            .map_err(io("replaying the redo log"))?;
        length = frame.end();
        sequence = frame.sequence;
    }
    Ok(())
}

/// Everything logged is written: make it durable, say so in the header, then start the log anew.
pub(crate) fn checkpoint<F: FileLayer>(
    main: &F,
    name: &Path,
    log: &mut Log<F>,
    header: Header,
    sequence: u64,
) -> Result<(), Error> {
    let io = |doing| Error::io(name, doing);
    main.sync().map_err(io("syncing the store"))?;
    write_header(main, &header).map_err(io("writing the header"))?;
    main.sync().map_err(io("syncing the header"))?;
    let size = main.size().map_err(io("reading its size"))?;
    let base = fresh_base(log.base.epoch + 1, sequence, header, header.length, size)
        .map_err(io("drawing random bytes"))?;
    log.reset(base)
        .map_err(|e| Error::io(&log.name, "starting the redo log anew")(e))
}

/// Makes an empty store: size first, header last, so that a cut leaves what [`is_half_made`] knows.
fn make<F: FileLayer>(main: &F, name: &Path) -> Result<(), Error> {
    let made = main
        .size()
        .and_then(|size| main.reserve(size, INITIAL_SIZE))
        .and_then(|()| main.sync())
        .and_then(|()| write_all(main, 0, &Header::EMPTY.encode()))
        .and_then(|()| main.sync());
    made.map_err(Error::io(name, "making the store"))
}

/// Checks the index of a file without log, and returns where its data really ends: a reference that was killed leaves a
/// stale length (spec/07 §8), and writing at it would overwrite live records.
fn check_foreign<F: FileLayer>(
    main: &F,
    name: &Path,
    size: u64,
    length: u64,
) -> Result<u64, Error> {
    if size < EMPTY_LENGTH || length > size {
        return Err(Error::Truncated {
            file: name.to_owned(),
            size,
            needed: length.max(EMPTY_LENGTH),
        });
    }
    if length < EMPTY_LENGTH {
        return Err(Error::Corrupt {
            file: name.to_owned(),
            at: LENGTH_AT,
            why: "data length shorter than an empty store",
        });
    }
    let source = Physical { main, size };
    let mut walk = Walk::new();
    let fault = |f| Error::fault(name, "checking the index")(f);
    while let Some(visit) = walk.step(&source).map_err(fault)? {
        if let Some(finding) = visit.findings.first() {
            return Err(Error::Corrupt {
                file: name.to_owned(),
                at: finding.at,
                why: finding.why,
            });
        }
        for at in visit.records {
            if at >= length || at + 43 + 16383 > length {
                let record = record(&source, at).map_err(fault)?;
                if at + record.size() > length && !record.is_sound() {
                    return Err(Error::Corrupt {
                        file: name.to_owned(),
                        at,
                        why: "the data length is stale and a record beyond it is damaged",
                    });
                }
            }
        }
    }
    Ok(length.max(walk.stats.extent))
}
