//! A way to a peer that is worse than the peer: slow, deaf, or one that spoils what comes back.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustix::event::{Timespec, poll};
use wire::{FrameLimits, FrameReader, frame};

/// What is done to what the peer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Nothing.
    Plain,
    /// It takes its time: bytes in a second.
    Slow(u64),
    /// Long answers never arrive.
    Mute,
    /// The end of long answers is changed.
    Spoils,
}

/// Answers with cells are longer than that, a status is not.
const LONG: usize = 300;
/// Bytes that are passed on at once.
const CHUNK: usize = 4 << 10;

/// The way. It stays until the process of the test ends.
#[derive(Debug)]
pub struct Relay {
    endpoint: String,
    bytes: Arc<AtomicU64>,
}

impl Relay {
    /// To the peer that listens there.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn to(peer: String, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = listener.local_addr().expect("an address").to_string();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = bytes.clone();
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                // A peer that does not run: whoever came is told so.
                if let Ok(far) = TcpStream::connect(&peer) {
                    pass(near, far, manner, counted.clone());
                }
            }
        });
        Self { endpoint, bytes }
    }

    /// Where it begins.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Bytes that came back from the peer.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn pass(near: TcpStream, far: TcpStream, manner: Manner, bytes: Arc<AtomicU64>) {
    let (Ok(mut to_far), Ok(mut from_near)) = (far.try_clone(), near.try_clone()) else {
        return;
    };
    thread::spawn(move || {
        // One end is gone: so is the other.
        let _ = io::copy(&mut from_near, &mut to_far);
        let _ = to_far.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let _ = back(&far, &near, manner, &bytes);
        let _ = near.shutdown(Shutdown::Both);
        let _ = far.shutdown(Shutdown::Both);
    });
}

fn back(
    mut far: &TcpStream,
    mut near: &TcpStream,
    manner: Manner,
    bytes: &AtomicU64,
) -> io::Result<()> {
    let mut frames = FrameReader::new(FrameLimits::DIALLED);
    let mut chunk = [0; CHUNK];
    loop {
        let length = far.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        bytes.fetch_add(length as u64, Ordering::Relaxed);
        let mut input = &chunk[..length];
        match manner {
            Manner::Plain => near.write_all(input)?,
            Manner::Slow(rate) => {
                near.write_all(input)?;
                let nanos = length as u64 * 1_000_000_000 / rate;
                let time = Timespec {
                    tv_sec: (nanos / 1_000_000_000) as i64,
                    tv_nsec: (nanos % 1_000_000_000) as i64,
                };
                // Nothing can happen before.
                let _ = poll(&mut [], Some(&time));
            }
            Manner::Mute | Manner::Spoils => {
                while let Some(mut body) = frames.read(&mut input).map_err(io::Error::other)? {
                    match (body.len() > LONG, manner) {
                        (true, Manner::Mute) => continue,
                        (true, _) => {
                            if let Some(last) = body.last_mut() {
                                *last ^= 1;
                            }
                        }
                        (false, _) => {}
                    }
                    near.write_all(&frame(&body).ok_or(io::ErrorKind::InvalidData)?)?;
                }
            }
        }
    }
}
