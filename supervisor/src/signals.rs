//! Signals as bytes of a socket, so that they are waited for like everything else.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

/// What was asked for by signals.
#[derive(Debug)]
pub struct Signals {
    wake: UnixStream,
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// Takes over `SIGTERM`, `SIGINT` (stop) and `SIGHUP` (reload).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> io::Result<Self> {
        let (wake, write) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let signals = Self {
            wake,
            stop: Arc::default(),
            reload: Arc::default(),
        };
        for (signal, set) in [
            (SIGTERM, &signals.stop),
            (SIGINT, &signals.stop),
            (SIGHUP, &signals.reload),
        ] {
            flag::register(signal, Arc::clone(set))?;
            pipe::register(signal, write.try_clone()?)?;
        }
        Ok(signals)
    }

    /// True when the peer is to stop, then whether it is to read its settings again; each is told once.
    pub fn take(&mut self) -> (bool, bool) {
        let mut bytes = [0; 64];
        while matches!(self.wake.read(&mut bytes), Ok(length) if length > 0) {}
        (
            self.stop.swap(false, Ordering::Relaxed),
            self.reload.swap(false, Ordering::Relaxed),
        )
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
