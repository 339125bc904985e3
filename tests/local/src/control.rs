//! The control socket of a peer.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ipc::control::{PeerStatus, Reply, Request};
use ipc::{FrameBuffer, encode};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The status of the peer with this run directory.
///
/// # Errors
/// When there is none to be had.
pub(crate) fn status(run: &Path) -> io::Result<PeerStatus> {
    let mut stream = UnixStream::connect(run.join("control.sock"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = Vec::new();
    encode(&Request::Status, &mut bytes).map_err(io::Error::other)?;
    stream.write_all(&bytes)?;
    let mut buffer = FrameBuffer::new();
    let mut chunk = [0; 1 << 14];
    loop {
        match buffer.pop().map_err(io::Error::other)? {
            Some(Reply::Status(status)) => return Ok(*status),
            Some(other) => return Err(io::Error::other(format!("not a status: {other:?}"))),
            None => {}
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => buffer.extend(&chunk[..length]),
        }
    }
}
