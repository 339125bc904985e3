//! The control socket of a peer on this machine.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use ipc::control::{Reply, Request, Why};
use ipc::{FrameBuffer, encode};

use crate::cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local::Layout;

/// Name of the socket in a run directory.
pub(crate) const SOCKET: &str = "control.sock";
/// Run directory of an installed peer.
const INSTALLED: &str = "/run/convexd";

/// A connection to a supervisor.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    buffer: FrameBuffer,
    path: PathBuf,
}

/// The run directory that is meant.
pub(crate) fn run_directory(args: &cli::Control) -> PathBuf {
    if let Some(run) = &args.run {
        return run.clone();
    }
    let local = Layout::default_directory().map(|dir| Layout::new(dir).peer(0).run());
    match local {
        Some(run) if run.join(SOCKET).exists() => run,
        _ => PathBuf::from(INSTALLED),
    }
}

impl Connection {
    /// Connects to the supervisor with this run directory.
    pub(crate) fn open(run: &Path) -> Result<Self, Failure> {
        let path = run.join(SOCKET);
        let stream = UnixStream::connect(&path).map_err(|error| {
            let (exit, remedy) = match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => (
                    Exit::Unavailable,
                    "no peer runs there: start one with `convexctl local start` or `convexctl peer start`, or name its run directory with --run",
                ),
                ErrorKind::PermissionDenied => (Exit::NoPermission, "use the user of the peer, or root"),
                _ => (Exit::Io, "check the run directory"),
            };
            Failure::new(exit, format!("no connection to {}: {error}", path.display())).remedy(remedy)
        })?;
        Ok(Self {
            stream,
            buffer: FrameBuffer::new(),
            path,
        })
    }

    fn fail(&self, why: impl std::fmt::Display) -> Failure {
        Failure::new(Exit::Io, format!("{}: {why}", self.path.display()))
    }

    /// Sends a request.
    pub(crate) fn send(&mut self, request: &Request) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        encode(request, &mut bytes).map_err(|error| self.fail(error))?;
        self.stream
            .write_all(&bytes)
            .map_err(|error| self.fail(error))
    }

    /// The next reply; none when the supervisor closed the connection.
    pub(crate) fn receive(&mut self) -> Result<Option<Reply>, Failure> {
        let mut chunk = [0; 1 << 16];
        loop {
            if let Some(reply) = self.buffer.pop().map_err(|error| self.fail(error))? {
                return Ok(Some(reply));
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(length) => self.buffer.extend(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    /// The connection itself, for what follows a reply.
    pub(crate) fn into_stream(self) -> UnixStream {
        self.stream
    }

    /// Sends a request and waits for its reply.
    pub(crate) fn call(&mut self, request: &Request) -> Result<Reply, Failure> {
        self.send(request)?;
        match self.receive()? {
            Some(Reply::Refused { why, text }) => Err(refused(why, &text)),
            Some(reply) => Ok(reply),
            None => Err(Failure::new(
                Exit::Temporary,
                "the supervisor ended before it answered",
            )),
        }
    }
}

/// A refusal as a failure.
pub(crate) fn refused(why: Why, text: &str) -> Failure {
    let exit = match why {
        Why::Permission => Exit::NoPermission,
        Why::State => Exit::Negative,
        Why::Failed => Exit::Unavailable,
    };
    Failure::new(exit, text)
}

/// A reply that does not belong to the request.
pub(crate) fn unexpected(reply: &Reply) -> Failure {
    Failure::new(
        Exit::Software,
        format!("an answer of another kind: {reply:?}"),
    )
    .remedy("convexctl and the peer should come from one package")
}
