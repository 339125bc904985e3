//! The stream to `consensusd`, for a loop that waits for nobody.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use ipc::key::{FromKey, ToKey};
use ipc::{Channel, Epoch, FrameBuffer, FrameError, Hello, encode};

/// Bytes that are read at once.
const READ: usize = 1 << 16;
/// Bytes of answers that may wait before no more requests are taken. An answer has at most 512.
const UNREAD: usize = 1 << 16;

/// The channel can't be used any further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The other side is gone.
    #[error("consensusd closed the channel")]
    Ended,
    /// What arrived is no message: not what an honest process sends.
    #[error("consensusd sent what is no message: {0}")]
    Frame(#[from] FrameError),
    /// It greets as another version, channel or epoch.
    #[error("consensusd greets with {found:?}, where {expected:?} is due")]
    Hello {
        /// What is due.
        expected: Hello,
        /// What came.
        found: Hello,
    },
    /// The stream ended within a message.
    #[error("the channel of consensusd ended within a message")]
    Torn,
    /// The system refuses.
    #[error("channel of consensusd: {0}")]
    Io(#[from] io::Error),
}

impl Broken {
    /// Whether an honest process, which may be killed at any time, can be the cause.
    pub(crate) fn is_ordinary(&self) -> bool {
        matches!(self, Self::Ended | Self::Torn | Self::Io(_))
    }
}

/// One making of the channel.
pub(crate) struct KeyLink {
    stream: UnixStream,
    hello: Hello,
    greeted: bool,
    arrived: FrameBuffer,
    leaving: Vec<u8>,
    /// Bytes of `leaving` that are gone.
    left: usize,
}

impl KeyLink {
    pub(crate) fn new(stream: UnixStream, epoch: Epoch) -> Result<Self, Broken> {
        stream.set_nonblocking(true)?;
        let hello = Hello::new(Channel::Key, epoch);
        let mut leaving = Vec::new();
        encode(&hello, &mut leaving)?;
        Ok(Self {
            stream,
            hello,
            greeted: false,
            arrived: FrameBuffer::new(),
            leaving,
            left: 0,
        })
    }

    /// Reads once what is there.
    pub(crate) fn fill(&mut self, chunk: &mut Chunk) -> Result<(), Broken> {
        match self.stream.read(&mut chunk.0) {
            Ok(0) if self.arrived.is_empty() => Err(Broken::Ended),
            Ok(0) => Err(Broken::Torn),
            Ok(length) => {
                self.arrived.extend(&chunk.0[..length]);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Err(Broken::Ended),
            Err(e) => Err(e.into()),
        }
    }

    /// The next request, when all of it is here and its answer has room.
    pub(crate) fn next(&mut self) -> Result<Option<ToKey>, Broken> {
        if !self.takes_requests() {
            return Ok(None);
        }
        if !self.greeted {
            let Some(found) = self.arrived.pop::<Hello>()? else {
                return Ok(None);
            };
            if found != self.hello {
                let expected = self.hello;
                return Err(Broken::Hello { expected, found });
            }
            self.greeted = true;
        }
        Ok(self.arrived.pop()?)
    }

    /// Puts an answer into the queue.
    pub(crate) fn answer(&mut self, answer: &FromKey) -> Result<(), Broken> {
        Ok(encode(answer, &mut self.leaving)?)
    }

    /// Sends what the other side takes now.
    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        while self.is_sending() {
            match self.stream.write(&self.leaving[self.left..]) {
                Ok(sent) => self.left += sent,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // A reader that is always a little behind must not make the queue grow.
                    self.leaving.drain(..self.left);
                    self.left = 0;
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Err(Broken::Ended),
                Err(e) => return Err(e.into()),
            }
        }
        self.leaving.clear();
        self.left = 0;
        Ok(())
    }

    /// Whether answers wait for the other side.
    pub(crate) fn is_sending(&self) -> bool {
        self.left < self.leaving.len()
    }

    /// Whether there is room for answers.
    pub(crate) fn takes_requests(&self) -> bool {
        self.leaving.len() - self.left < UNREAD
    }
}

impl AsFd for KeyLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Room for one read.
pub(crate) struct Chunk(Box<[u8]>);

impl Default for Chunk {
    fn default() -> Self {
        Self(vec![0; READ].into_boxed_slice())
    }
}
