//! The control socket of a peer.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ipc::control::{PeerStatus, Reply, Request};
use ipc::{FrameBuffer, encode};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends one request to the supervisor with this run directory.
///
/// # Errors
/// When there is no answer.
pub fn call(run: &Path, request: &Request) -> io::Result<Reply> {
    let mut stream = UnixStream::connect(run.join("control.sock"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = Vec::new();
    encode(request, &mut bytes).map_err(io::Error::other)?;
    stream.write_all(&bytes)?;
    let mut buffer = FrameBuffer::new();
    let mut chunk = [0; 1 << 14];
    loop {
        if let Some(reply) = buffer.pop().map_err(io::Error::other)? {
            return Ok(reply);
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => buffer.extend(&chunk[..length]),
        }
    }
}

/// The status of a peer.
///
/// # Errors
/// When there is none to be had.
pub fn status(run: &Path) -> io::Result<PeerStatus> {
    match call(run, &Request::Status)? {
        Reply::Status(status) => Ok(*status),
        other => Err(io::Error::other(format!("not a status: {other:?}"))),
    }
}
