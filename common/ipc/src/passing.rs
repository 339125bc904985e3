//! The supervision channel: datagrams with descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::{FileType, fcntl_get_seals, fstat};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair, sockopt,
};

use crate::supervision::{FromWorker, MAX_DATAGRAM, MAX_FDS, ToWorker};
use crate::{Bounded, FdKind, FrameError, decode};

/// The descriptor by which a worker finds its supervision channel.
pub const SUPERVISION_FD: RawFd = 3;

/// A message that may bring descriptors.
pub trait Carries: Bounded {
    /// Those that are due with it, in their order.
    fn due(&self) -> Vec<FdKind>;
}

impl Carries for ToWorker {
    fn due(&self) -> Vec<FdKind> {
        self.descriptors()
    }
}

impl Carries for FromWorker {
    fn due(&self) -> Vec<FdKind> {
        self.descriptors()
    }
}

/// Why a supervision channel can't be used any further.
#[derive(Debug, thiserror::Error)]
pub enum SupervisionError {
    /// What arrived is no message.
    #[error("supervision: {0}")]
    Frame(#[from] FrameError),
    /// The datagram, or the descriptors with it, did not fit.
    #[error("supervision: a datagram that was cut off")]
    Truncated,
    /// Other descriptors than are due.
    #[error("supervision: {found} descriptors, where {due:?} are due")]
    Descriptors {
        /// What is due.
        due: Vec<FdKind>,
        /// How many came.
        found: usize,
    },
    /// A descriptor is not what it should be.
    #[error("supervision: a descriptor that is no {0:?}")]
    WrongKind(FdKind),
    /// The other side is gone.
    #[error("supervision: the channel is closed")]
    Closed,
    /// The other side does not read.
    #[error("supervision: the other side does not read")]
    Full,
    /// The system refuses.
    #[error("supervision: {0}")]
    Io(#[from] io::Error),
}

/// What came.
#[derive(Debug)]
pub enum Received<R> {
    /// A message, and the descriptors that are due with it, each checked.
    Message(R, Vec<OwnedFd>),
    /// Nothing now; only where the channel does not block.
    Nothing,
    /// The other side closed the channel.
    Ended,
}

/// One end of a supervision channel: sends `S`, receives `R`. All methods take it shared: datagrams are whole.
#[derive(Debug)]
pub struct Supervision<S, R> {
    fd: OwnedFd,
    types: PhantomData<fn(S) -> R>,
}

impl Supervision<ToWorker, FromWorker> {
    /// A channel: the supervisor's end, which does not block, and the descriptor for the worker. Both are closed by `exec`.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn pair() -> Result<(Self, OwnedFd), SupervisionError> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(io::Error::from)?;
        let ours = Self::new(ours);
        ours.set_blocking(false)?;
        Ok((ours, theirs))
    }
}

impl Supervision<FromWorker, ToWorker> {
    /// The worker's end, which blocks, from the descriptor that it was started with. Once in a process.
    ///
    /// # Errors
    /// When descriptor [`SUPERVISION_FD`] is no such channel, for instance because somebody started the worker by hand.
    pub fn inherited() -> Result<Self, SupervisionError> {
        // SAFETY: the descriptor is only borrowed to ask what it is, and the call answers EBADF if there is none.
        let borrowed = unsafe { BorrowedFd::borrow_raw(SUPERVISION_FD) };
        if sockopt::socket_type(borrowed).map_err(io::Error::from)? != SocketType::SEQPACKET {
            return Err(io::Error::from(Errno::PROTOTYPE).into());
        }
        // SAFETY: by contract the descriptor was passed for this, once; nothing else in the process owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(SUPERVISION_FD) };
        fcntl_setfd(&fd, FdFlags::CLOEXEC).map_err(io::Error::from)?;
        Ok(Self::new(fd))
    }
}

impl<S: Carries, R: Carries> Supervision<S, R> {
    /// From an end of a pair.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            types: PhantomData,
        }
    }

    /// Whether calls wait.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_blocking(&self, blocking: bool) -> Result<(), SupervisionError> {
        // Not by `fcntl`, which could as well let a file be overwritten that is open for appending: no sandbox has that.
        Ok(rustix::io::ioctl_fionbio(&self.fd, !blocking).map_err(io::Error::from)?)
    }

    /// Sends a message with its descriptors, which stay open here.
    ///
    /// # Errors
    /// When the descriptors are not as many as are due, or the message is too large, or the channel fails.
    pub fn send(&self, message: &S, fds: &[BorrowedFd<'_>]) -> Result<(), SupervisionError> {
        let due = message.due();
        if due.len() != fds.len() || due.len() > MAX_FDS {
            return Err(SupervisionError::Descriptors {
                due,
                found: fds.len(),
            });
        }
        let body = postcard::to_stdvec(message).map_err(FrameError::Malformed)?;
        if body.len() > S::MAX {
            return Err(FrameError::Length {
                length: body.len(),
                max: S::MAX,
            }
            .into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        // It fits: there are no more than MAX_FDS.
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(SupervisionError::Truncated);
        }
        loop {
            let parts = [IoSlice::new(&body)];
            match sendmsg(&self.fd, &parts, &mut control, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => {
                    return Err(SupervisionError::Closed);
                }
                Err(Errno::AGAIN) => return Err(SupervisionError::Full),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }

    /// Receives a message and the descriptors that are due with it.
    ///
    /// # Errors
    /// When what arrives is no message of this type, or brings other descriptors than are due; those are closed.
    pub fn receive(&self) -> Result<Received<R>, SupervisionError> {
        let mut body = vec![0; MAX_DATAGRAM];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let (length, truncated) = loop {
            let mut parts = [IoSliceMut::new(&mut body)];
            match recvmsg(&self.fd, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(message) => {
                    let cut = ReturnFlags::TRUNC | ReturnFlags::CTRUNC;
                    break (message.bytes, message.flags.intersects(cut));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Received::Nothing),
                Err(Errno::CONNRESET) => return Ok(Received::Ended),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        };
        let mut fds: Vec<OwnedFd> = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if truncated {
            return Err(SupervisionError::Truncated);
        }
        if length == 0 {
            return Ok(Received::Ended);
        }
        let message: R = decode(&body[..length])?;
        let due = message.due();
        if due.len() != fds.len() {
            let found = fds.len();
            return Err(SupervisionError::Descriptors { due, found });
        }
        for (fd, kind) in fds.iter().zip(&due) {
            if !is_of_kind(fd.as_fd(), *kind) {
                return Err(SupervisionError::WrongKind(*kind));
            }
        }
        Ok(Received::Message(message, fds))
    }
}

impl<S, R> AsFd for Supervision<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Asks the system whether a descriptor is what it should be.
fn is_of_kind(fd: BorrowedFd<'_>, kind: FdKind) -> bool {
    let Ok(status) = fstat(fd) else {
        return false;
    };
    let file_type = FileType::from_raw_mode(status.st_mode);
    let is_stream = |families: &[AddressFamily], listens| {
        file_type == FileType::Socket
            && sockopt::socket_type(fd) == Ok(SocketType::STREAM)
            && sockopt::socket_acceptconn(fd) == Ok(listens)
            && sockopt::socket_domain(fd).is_ok_and(|domain| families.contains(&domain))
    };
    match kind {
        FdKind::Channel => is_stream(&[AddressFamily::UNIX], false),
        FdKind::Listener => is_stream(&[AddressFamily::INET, AddressFamily::INET6], true),
        FdKind::File => file_type == FileType::RegularFile,
        FdKind::Directory => file_type == FileType::Directory,
        FdKind::Secret => matches!(file_type, FileType::RegularFile | FileType::Fifo),
        FdKind::Memory => file_type == FileType::RegularFile && fcntl_get_seals(fd).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channel, Epoch};
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;

    /// Sends a message with descriptors that are not due.
    fn smuggle(channel: &Supervision<ToWorker, FromWorker>, gift: &UnixStream, times: usize) {
        let body = postcard::to_stdvec(&ToWorker::Ping(1)).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS + 3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = vec![gift.as_fd(); times];
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        let parts = [IoSlice::new(&body)];
        sendmsg(channel, &parts, &mut control, SendFlags::empty()).unwrap();
    }

    fn pair() -> (
        Supervision<ToWorker, FromWorker>,
        Supervision<FromWorker, ToWorker>,
    ) {
        let (ours, theirs) = Supervision::pair().unwrap();
        (ours, Supervision::new(theirs))
    }

    #[test]
    fn a_channel_end_arrives_and_works() {
        let (supervisor, worker) = pair();
        let (a, b) = UnixStream::pair().unwrap();
        let message = ToWorker::Channel {
            channel: Channel::Key,
            epoch: Epoch(3),
        };
        supervisor.send(&message, &[a.as_fd()]).unwrap();
        drop(a);
        let Received::Message(got, mut fds) = worker.receive().unwrap() else {
            panic!("no message");
        };
        assert_eq!(got, message);
        let a = UnixStream::from(fds.pop().unwrap());
        io::Write::write_all(&mut &a, b"x").unwrap();
        let mut byte = [0];
        io::Read::read_exact(&mut &b, &mut byte).unwrap();
        assert_eq!(byte, *b"x");
    }

    #[test]
    fn a_descriptor_of_another_kind_is_refused() {
        let (supervisor, worker) = pair();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let file = tempfile::tempfile().unwrap();
        let message = ToWorker::Channel {
            channel: Channel::Key,
            epoch: Epoch(1),
        };
        for fd in [listener.as_fd(), file.as_fd()] {
            supervisor.send(&message, &[fd]).unwrap();
            assert!(matches!(
                worker.receive(),
                Err(SupervisionError::WrongKind(FdKind::Channel))
            ));
        }
        supervisor
            .send(&ToWorker::Store, &[file.as_fd(), file.as_fd()])
            .unwrap();
        // A file on disk is no shared memory, unless the temporary directory is in memory itself.
        match worker.receive() {
            Err(SupervisionError::WrongKind(FdKind::Memory)) => {}
            Ok(Received::Message(..)) => {
                assert!(fcntl_get_seals(&file).is_ok());
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn descriptors_that_are_not_due_are_refused_and_closed() {
        let (supervisor, worker) = pair();
        let (gift, watched) = UnixStream::pair().unwrap();
        smuggle(&supervisor, &gift, 1);
        drop(gift);
        assert!(matches!(
            worker.receive(),
            Err(SupervisionError::Descriptors { found: 1, .. })
        ));
        // The end that was passed is closed, so the other one is at its end.
        let mut byte = [0];
        assert_eq!(io::Read::read(&mut &watched, &mut byte).unwrap(), 0);
    }

    #[test]
    fn of_more_descriptors_than_any_message_brings_none_stays_open() {
        let (supervisor, worker) = pair();
        let (gift, watched) = UnixStream::pair().unwrap();
        smuggle(&supervisor, &gift, MAX_FDS + 3);
        drop(gift);
        assert!(matches!(worker.receive(), Err(SupervisionError::Truncated)));
        let mut byte = [0];
        assert_eq!(io::Read::read(&mut &watched, &mut byte).unwrap(), 0);
    }

    #[test]
    fn the_end_of_the_channel_is_seen_on_both_sides() {
        let (supervisor, worker) = pair();
        assert!(matches!(supervisor.receive().unwrap(), Received::Nothing));
        drop(worker);
        assert!(matches!(supervisor.receive().unwrap(), Received::Ended));
        assert!(matches!(
            supervisor.send(&ToWorker::Ping(1), &[]),
            Err(SupervisionError::Closed)
        ));
        let (supervisor, worker) = pair();
        drop(supervisor);
        assert!(matches!(worker.receive().unwrap(), Received::Ended));
    }
}
