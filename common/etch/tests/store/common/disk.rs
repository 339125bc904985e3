//! A disk in memory that keeps the history of what was asked of it, so that a test can ask what might be on it after a cut
//! at any point: everything synced, and of the rest any part, in any order, torn anywhere.

use std::io;
use std::sync::{Arc, Mutex};

use etch::FileLayer;

use crate::common::Rng;

#[derive(Clone)]
pub enum Op {
    Write(usize, u64, Vec<u8>),
    Grow(usize, u64),
    Sync(usize),
}

/// What the disk does instead of obeying.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fault {
    /// The power goes: this and every later call fails.
    Cut,
    /// This call fails once with the given error number.
    Errno(i32),
    /// This write is carried out in part and then fails with the given error number.
    Partial(i32),
}

#[derive(Default)]
pub struct State {
    pub files: Vec<Vec<u8>>,
    pub history: Vec<Op>,
    pub keep_history: bool,
    /// Calls that change something, counted.
    pub calls: u64,
    pub fault: Option<(u64, Fault)>,
    pub read_fault: Option<u64>,
    pub reads: u64,
    pub cut: bool,
    /// Writes do at most this many bytes per call.
    pub short: Option<usize>,
}

#[derive(Clone)]
pub struct Disk(pub Arc<Mutex<State>>);

#[derive(Clone)]
pub struct DiskFile {
    disk: Disk,
    index: usize,
}

impl Disk {
    pub fn new(files: Vec<Vec<u8>>) -> Disk {
        Disk(Arc::new(Mutex::new(State {
            files,
            ..State::default()
        })))
    }

    pub fn file(&self, index: usize) -> DiskFile {
        DiskFile {
            disk: self.clone(),
            index,
        }
    }

    pub fn calls(&self) -> u64 {
        self.0.lock().unwrap().calls
    }

    pub fn fail_at(&self, call: u64, fault: Fault) {
        self.0.lock().unwrap().fault = Some((call, fault));
    }

    pub fn files(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().files.clone()
    }
}

fn errno(n: i32) -> io::Error {
    io::Error::from_raw_os_error(n)
}

const EIO: i32 = 5;

impl State {
    fn gate(&mut self) -> io::Result<Option<Fault>> {
        if self.cut {
            return Err(errno(EIO));
        }
        let call = self.calls;
        self.calls += 1;
        match self.fault {
            Some((at, fault)) if at == call => match fault {
                Fault::Cut => {
                    self.cut = true;
                    Err(errno(EIO))
                }
                Fault::Errno(n) => Err(errno(n)),
                Fault::Partial(_) => Ok(Some(fault)),
            },
            _ => Ok(None),
        }
    }
}

pub fn write(file: &mut Vec<u8>, at: u64, buf: &[u8]) {
    let end = at as usize + buf.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at as usize..end].copy_from_slice(buf);
}

impl FileLayer for DiskFile {
    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut s = self.disk.0.lock().unwrap();
        let read = s.reads;
        s.reads += 1;
        if s.cut || s.read_fault == Some(read) {
            return Err(errno(EIO));
        }
        let file = &s.files[self.index];
        let at = (at as usize).min(file.len());
        let n = buf.len().min(file.len() - at);
        buf[..n].copy_from_slice(&file[at..at + n]);
        Ok(n)
    }

    fn write_at(&self, at: u64, buf: &[u8]) -> io::Result<usize> {
        let mut s = self.disk.0.lock().unwrap();
        let fault = s.gate()?;
        let n = match (fault, s.short) {
            (Some(_), _) => buf.len() / 2,
            (None, Some(short)) => buf.len().min(short),
            (None, None) => buf.len(),
        };
        write(&mut s.files[self.index], at, &buf[..n]);
        if s.keep_history {
            s.history.push(Op::Write(self.index, at, buf[..n].to_vec()));
        }
        match fault {
            Some(Fault::Partial(e)) => Err(errno(e)),
            _ => Ok(n),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut s = self.disk.0.lock().unwrap();
        s.gate()?;
        if s.keep_history {
            s.history.push(Op::Sync(self.index));
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        let s = self.disk.0.lock().unwrap();
        if s.cut {
            return Err(errno(EIO));
        }
        Ok(s.files[self.index].len() as u64)
    }

    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        if to <= from {
            return Ok(());
        }
        let mut s = self.disk.0.lock().unwrap();
        s.gate()?;
        let file = &mut s.files[self.index];
        if (file.len() as u64) < to {
            file.resize(to as usize, 0);
            if s.keep_history {
                s.history.push(Op::Grow(self.index, to));
            }
        }
        Ok(())
    }
}

/// What is certainly on the disk, and what may be, after a number of operations of a history.
pub struct Aftermath {
    durable: Vec<Vec<u8>>,
    pending: Vec<Vec<Op>>,
}

impl Aftermath {
    pub fn new(start: Vec<Vec<u8>>) -> Aftermath {
        let pending = start.iter().map(|_| Vec::new()).collect();
        Aftermath {
            durable: start,
            pending,
        }
    }

    pub fn advance(&mut self, op: &Op) {
        match op {
            Op::Write(f, ..) | Op::Grow(f, _) => self.pending[*f].push(op.clone()),
            Op::Sync(f) => {
                for op in self.pending[*f].drain(..) {
                    apply(&mut self.durable[*f], &op);
                }
            }
        }
    }

    /// One way the disk may look after a cut here: a random part of what was not synced, each write torn at random places,
    /// in random order.
    pub fn cut(&self, rng: &mut Rng) -> Vec<Vec<u8>> {
        let mut files = self.durable.clone();
        for (file, pending) in files.iter_mut().zip(&self.pending) {
            // Chance that a piece survives, and size of the pieces, differ from cut to cut.
            let survive = [0, 1, 2, 3, 4][rng.below(5) as usize];
            let sector = [1, 8, 64, 512, 4096][rng.below(5) as usize];
            let mut pieces: Vec<Op> = Vec::new();
            for op in pending {
                match op {
                    Op::Write(f, at, bytes) => {
                        let mut from = 0;
                        while from < bytes.len() {
                            let pos = *at as usize + from;
                            let end = (from + sector - pos % sector).min(bytes.len());
                            if rng.below(4) < survive {
                                pieces.push(Op::Write(*f, pos as u64, bytes[from..end].to_vec()));
                            }
                            from = end;
                        }
                    }
                    Op::Grow(..) if rng.below(4) < survive => pieces.push(op.clone()),
                    _ => {}
                }
            }
            if rng.below(2) == 0 {
                for i in (1..pieces.len()).rev() {
                    pieces.swap(i, rng.below(i as u64 + 1) as usize);
                }
            }
            for piece in &pieces {
                apply(file, piece);
            }
        }
        files
    }
}

fn apply(file: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(_, at, bytes) => write(file, *at, bytes),
        Op::Grow(_, to) => {
            if (file.len() as u64) < *to {
                file.resize(*to as usize, 0);
            }
        }
        Op::Sync(_) => {}
    }
}
