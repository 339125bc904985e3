//! A stream between two workers, for threads that block.

use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::{Bounded, Channel, Epoch, FrameBuffer, FrameError, Hello, encode};

/// Bytes that are read at once.
const READ: usize = 1 << 16;

/// Why a channel can't be used any further.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The other side is gone.
    #[error("the other process closed the channel")]
    Closed,
    /// The stream ended within a message.
    #[error("the channel ended within a message")]
    Torn,
    /// The other side greets as another channel, version or epoch.
    #[error("expected {expected:?}, greeted by {found:?}")]
    Hello {
        /// What this side is.
        expected: Hello,
        /// What the other says.
        found: Hello,
    },
    /// What arrived is no message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The system refuses.
    #[error("channel: {0}")]
    Io(#[from] io::Error),
}

/// One end of a channel: sends `S`, receives `R`.
#[derive(Debug)]
pub struct Link<S, R> {
    /// The sending half.
    pub sender: Sender<S>,
    /// The receiving half.
    pub receiver: Receiver<R>,
}

/// Sends messages, each at once.
#[derive(Debug)]
pub struct Sender<S> {
    stream: UnixStream,
    buffer: Vec<u8>,
    sends: PhantomData<fn(S)>,
}

/// Receives messages. Descriptors that come with them are discarded by the kernel: nothing here asks for any.
#[derive(Debug)]
pub struct Receiver<R> {
    stream: UnixStream,
    buffer: FrameBuffer,
    chunk: Box<[u8]>,
    receives: PhantomData<fn() -> R>,
}

fn write_error(error: io::Error) -> LinkError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => LinkError::Closed,
        _ => LinkError::Io(error),
    }
}

impl<S: Bounded, R: Bounded> Link<S, R> {
    /// Greets, and waits at most `patience` for the greeting of the other side.
    ///
    /// # Errors
    /// When the other side is another channel, version or epoch, or does not greet in time.
    pub fn open(
        stream: UnixStream,
        channel: Channel,
        epoch: Epoch,
        patience: Duration,
    ) -> Result<Self, LinkError> {
        let hello = Hello::new(channel, epoch);
        stream.set_nonblocking(false)?;
        let mut greeting = Vec::new();
        encode(&hello, &mut greeting)?;
        (&stream).write_all(&greeting).map_err(write_error)?;
        let mut receiver = Receiver::<R>::new(stream.try_clone()?);
        stream.set_read_timeout(Some(patience))?;
        let found: Hello = receiver.take()?.ok_or(LinkError::Closed)?;
        stream.set_read_timeout(None)?;
        if found != hello {
            return Err(LinkError::Hello {
                expected: hello,
                found,
            });
        }
        Ok(Self {
            sender: Sender {
                stream,
                buffer: Vec::new(),
                sends: PhantomData,
            },
            receiver,
        })
    }
}

impl<S: Bounded> Sender<S> {
    /// Sends a message; waits while the other side does not read.
    ///
    /// # Errors
    /// When the message is too large for its type, or the other side is gone.
    pub fn send(&mut self, message: &S) -> Result<(), LinkError> {
        self.buffer.clear();
        encode(message, &mut self.buffer)?;
        self.write()
    }

    /// Sends several messages by one call of the system.
    ///
    /// # Errors
    /// As [`Sender::send`]; nothing is sent when one of them is too large.
    pub fn send_all<'a>(
        &mut self,
        messages: impl IntoIterator<Item = &'a S>,
    ) -> Result<(), LinkError>
    where
        S: 'a,
    {
        self.buffer.clear();
        for message in messages {
            encode(message, &mut self.buffer)?;
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), LinkError> {
        let written = self.stream.write_all(&self.buffer);
        self.buffer.shrink_to(READ);
        written.map_err(write_error)
    }

    /// Ends the channel in both directions: a receiver that waits gets [`LinkError::Closed`].
    pub fn shutdown(&self) {
        // It fails only when the channel has ended already.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

impl<R: Bounded> Receiver<R> {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            buffer: FrameBuffer::new(),
            chunk: vec![0; READ].into_boxed_slice(),
            receives: PhantomData,
        }
    }

    /// Waits for the next message; `None` when the other side has closed the channel between two messages.
    ///
    /// # Errors
    /// When what arrives is no message of this type, or the stream fails.
    pub fn receive(&mut self) -> Result<Option<R>, LinkError> {
        self.take()
    }

    /// A message that has arrived already, without waiting for more bytes.
    ///
    /// # Errors
    /// As [`Receiver::receive`].
    pub fn buffered(&mut self) -> Result<Option<R>, LinkError> {
        Ok(self.buffer.pop()?)
    }

    fn take<T: Bounded>(&mut self) -> Result<Option<T>, LinkError> {
        loop {
            if let Some(message) = self.buffer.pop()? {
                return Ok(Some(message));
            }
            match self.stream.read(&mut self.chunk) {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(LinkError::Torn),
                Ok(length) => self.buffer.extend(&self.chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
