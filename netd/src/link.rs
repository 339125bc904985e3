//! The channel to `consensusd`, without waiting: messages are appended to a buffer that is written once in each turn of the loop.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use ipc::net::{FromNet, ToNet};
use ipc::{Channel, Epoch, FrameBuffer, FrameError, Hello, encode};
use mio::event::Source;
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use crate::out_buffer::OutBuffer;

/// Bytes that are read in one turn at most.
const TURN: usize = 1 << 20;

/// Why the channel ends.
#[derive(Debug, thiserror::Error)]
pub enum LinkEnd {
    /// The other process is gone.
    #[error("consensusd closed the channel")]
    Closed,
    /// It greets as another channel, version or epoch.
    #[error("consensusd greets as {0:?}")]
    Hello(Hello),
    /// What came is no message.
    #[error("consensusd: {0}")]
    Frame(#[from] FrameError),
    /// The system refuses.
    #[error("channel to consensusd: {0}")]
    Io(#[from] io::Error),
}

impl LinkEnd {
    /// True when no honest process ends so.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        matches!(self, Self::Hello(_) | Self::Frame(_))
    }
}

/// The channel.
#[derive(Debug)]
pub struct Link {
    stream: UnixStream,
    hello: Hello,
    greeted: bool,
    input: FrameBuffer,
    out: OutBuffer,
    readable: bool,
    ended: bool,
}

impl Link {
    /// Over a descriptor of the supervisor. The greeting goes first.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new(fd: OwnedFd, epoch: Epoch) -> io::Result<Self> {
        let stream = std::os::unix::net::UnixStream::from(fd);
        stream.set_nonblocking(true)?;
        let hello = Hello::new(Channel::Net, epoch);
        let mut out = OutBuffer::default();
        encode(&hello, out.end()).map_err(io::Error::other)?;
        Ok(Self {
            stream: UnixStream::from_std(stream),
            hello,
            greeted: false,
            input: FrameBuffer::new(),
            out,
            readable: true,
            ended: false,
        })
    }

    /// Has its events told under `token`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.stream
            .register(registry, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Ends the events.
    pub fn deregister(&mut self, registry: &Registry) {
        // It fails only where there were none.
        let _ = self.stream.deregister(registry);
    }

    /// True once the other side has greeted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.greeted
    }

    /// Bytes that wait for being read by the other side.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.out.len()
    }

    /// Appends a message. It leaves with [`Link::flush`].
    pub fn send(&mut self, message: &FromNet) {
        if let Err(error) = encode(message, self.out.end()) {
            // All that is sent here was bounded when it came.
            log::error!("a message for consensusd was not sent: {error}");
        }
    }

    /// Writes what waits, as far as the other side takes it.
    ///
    /// # Errors
    /// When the channel has ended.
    pub fn flush(&mut self) -> Result<(), LinkEnd> {
        if self.out.is_empty() {
            return Ok(());
        }
        match self.out.write_to(&mut self.stream) {
            Ok(_) => Ok(()),
            Err(error) if is_gone(&error) => Err(LinkEnd::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes that bytes have arrived, and whether the other side has said that nothing follows.
    pub fn set_readable(&mut self, ended: bool) {
        self.readable = true;
        self.ended |= ended;
    }

    /// True when more may be there than was read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Reads what has arrived, a bounded number of bytes, through `chunk`; each message goes to `take`.
    ///
    /// # Errors
    /// When the channel has ended or broken.
    pub fn read(&mut self, chunk: &mut [u8], mut take: impl FnMut(ToNet)) -> Result<(), LinkEnd> {
        let mut read = 0;
        while self.readable && read < TURN {
            match self.stream.read(chunk) {
                Ok(0) => return Err(LinkEnd::Closed),
                Ok(n) => {
                    read += n;
                    // Less than asked for: nothing is left, and what comes next makes an event; but the end may have come already.
                    self.readable = self.ended || n == chunk.len();
                    self.input.extend(&chunk[..n]);
                    self.messages(&mut take)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_gone(&error) => return Err(LinkEnd::Closed),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn messages(&mut self, take: &mut impl FnMut(ToNet)) -> Result<(), LinkEnd> {
        if !self.greeted {
            let Some(hello) = self.input.pop::<Hello>()? else {
                return Ok(());
            };
            if hello != self.hello {
                return Err(LinkEnd::Hello(hello));
            }
            self.greeted = true;
        }
        while let Some(message) = self.input.pop::<ToNet>()? {
            take(message);
        }
        Ok(())
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}
