//! The control socket: who is there, what they ask, and what they are answered.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use ipc::control::{Reply, Request, Why};
use ipc::{FrameBuffer, Role, encode};
use nix::unistd::{Group, Uid, User, geteuid};
use rustix::net::sockopt::socket_peercred;
use rustix::pipe::{SpliceFlags, splice};

use crate::exit::{self, Fatal};
use crate::journal;

/// Name of the socket in the run directory.
pub const SOCKET: &str = "control.sock";
/// Connections at a time.
const MAX_CONNECTIONS: usize = 32;
/// Milliseconds for a request to arrive.
const REQUEST_TIME: u64 = 10_000;
/// Longest passphrase that is passed on, bytes.
const MAX_PASSPHRASE: usize = 1024;
/// Bytes that may wait for a reader of the log before it is cut off.
const MAX_WAITING: usize = 1 << 20;

/// The listening socket and its connections.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    group: Option<Group>,
    connections: Vec<Connection>,
    next: u64,
}

/// A connection, by a number that is never used again.
pub type Id = u64;

#[derive(Debug)]
struct Connection {
    id: Id,
    stream: UnixStream,
    buffer: FrameBuffer,
    out: Vec<u8>,
    uid: u32,
    operates: bool,
    state: State,
    deadline: u64,
}

#[derive(Debug)]
enum State {
    /// The request has not arrived.
    Reading,
    /// The request is being worked on.
    Working,
    /// Lines of the log are sent as they come: of one worker, from this number on.
    Following(Option<Role>, u64),
    /// A passphrase is passed on: how much of it was, and where to.
    Passing(usize, OwnedFd),
    /// The reply is being written.
    Closing,
}

impl Control {
    /// Opens the socket.
    ///
    /// # Errors
    /// When it can't be made, or the group does not exist.
    pub fn open(run: &Path, group: Option<&str>) -> Result<Self, Fatal> {
        let path = run.join(SOCKET);
        let fail = |error: io::Error| {
            Fatal::new(
                exit::CANT_CREATE,
                format!("can't make the control socket {}: {error}", path.display()),
            )
        };
        let group = look_up(group)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        // Everybody on this machine may observe; who operates is told by their credentials.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).map_err(fail)?;
        Ok(Self {
            listener,
            path,
            group,
            connections: Vec::new(),
            next: 0,
        })
    }

    /// Whose members may operate from now on; the group is looked up again, with its members of this moment.
    ///
    /// # Errors
    /// When it does not exist; those who might operate before still may.
    pub fn set_group(&mut self, group: Option<&str>) -> Result<(), Fatal> {
        self.group = look_up(group)?;
        Ok(())
    }

    /// The descriptors to wait for: the listener, then each connection with whether it wants to write.
    pub fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, bool, bool)> {
        std::iter::once((self.listener.as_fd(), true, false)).chain(self.connections.iter().map(
            |connection| {
                let reads = !matches!(connection.state, State::Closing);
                (connection.stream.as_fd(), reads, !connection.out.is_empty())
            },
        ))
    }

    /// When something is to be done although nothing arrives.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.connections
            .iter()
            .filter(|c| matches!(c.state, State::Reading | State::Passing(..)))
            .map(|c| c.deadline)
            .min()
    }

    /// Accepts, reads and writes what can be. Requests that arrived are returned with the user who sent them; each has to be
    /// answered by [`Control::reply`].
    pub fn turn(&mut self, now: u64) -> Vec<(Id, u32, Request)> {
        while self.connections.len() < MAX_CONNECTIONS {
            match self.listener.accept() {
                Ok((stream, _)) => self.accept(stream, now),
                Err(_) => break,
            }
        }
        let mut requests = Vec::new();
        for connection in &mut self.connections {
            if let Some(request) = connection.read(now) {
                requests.push((connection.id, connection.uid, request));
            }
            connection.follow();
            connection.write();
        }
        self.connections.retain(|c| !c.is_over(now));
        requests
    }

    fn accept(&mut self, stream: UnixStream, now: u64) {
        let Ok(credentials) = socket_peercred(&stream) else {
            return;
        };
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        let uid = Uid::from_raw(credentials.uid.as_raw());
        let operates = uid.is_root()
            || uid == geteuid()
            || self.group.as_ref().is_some_and(|group| {
                group.gid.as_raw() == credentials.gid.as_raw() || is_member(uid, group)
            });
        self.next += 1;
        self.connections.push(Connection {
            id: self.next,
            stream,
            buffer: FrameBuffer::new(),
            out: Vec::new(),
            uid: uid.as_raw(),
            operates,
            state: State::Reading,
            deadline: now + REQUEST_TIME,
        });
    }

    fn find(&mut self, id: Id) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|c| c.id == id)
    }

    /// Whether the other side of a connection may operate the peer.
    pub fn operates(&self, id: Id) -> bool {
        self.connections.iter().any(|c| c.id == id && c.operates)
    }

    /// Answers a request; if its connection is gone, so is the answer.
    pub fn reply(&mut self, id: Id, reply: &Reply) {
        if let Some(connection) = self.find(id) {
            connection.reply(reply);
            connection.state = State::Closing;
            connection.write();
        }
    }

    /// Sends the last lines of the log, and further ones if wanted.
    pub fn logs(&mut self, id: Id, lines: usize, of: Option<Role>, follow: bool) {
        if let Some(connection) = self.find(id) {
            let (lines, next) = journal::lines(0, lines.min(10_000), of.map(Role::name));
            connection.reply(&Reply::Logs(lines));
            connection.state = if follow {
                State::Following(of, next)
            } else {
                State::Closing
            };
            connection.write();
        }
    }

    /// Tells the other side to go on with the passphrase, which goes into the pipe without being read here.
    pub fn pass(&mut self, id: Id, pipe: OwnedFd, now: u64) {
        if let Some(connection) = self.find(id) {
            connection.reply(&Reply::Done);
            connection.state = State::Passing(0, pipe);
            connection.deadline = now + REQUEST_TIME;
            connection.write();
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // It may be gone already; the next start removes it as well.
        let _ = fs::remove_file(&self.path);
    }
}

fn look_up(group: Option<&str>) -> Result<Option<Group>, Fatal> {
    let Some(name) = group else {
        return Ok(None);
    };
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(Some(group)),
        Ok(None) => Err(Fatal::new(
            exit::NO_USER,
            format!("supervisor.group: there is no group {name}: groupadd makes it"),
        )),
        Err(error) => Err(Fatal::new(
            exit::OS,
            format!("supervisor.group: can't look up group {name}: {error}"),
        )),
    }
}

fn is_member(uid: Uid, group: &Group) -> bool {
    User::from_uid(uid)
        .ok()
        .flatten()
        .is_some_and(|user| group.mem.contains(&user.name))
}

impl Connection {
    fn read(&mut self, now: u64) -> Option<Request> {
        if let State::Passing(passed, pipe) = &mut self.state {
            // From socket to pipe within the kernel: the bytes never enter this process.
            let flags = SpliceFlags::NONBLOCK;
            match splice(&self.stream, None, &*pipe, None, MAX_PASSPHRASE, flags) {
                Ok(0) => self.state = State::Closing,
                Ok(more) => {
                    *passed += more;
                    if *passed > MAX_PASSPHRASE {
                        self.state = State::Closing;
                    }
                }
                Err(rustix::io::Errno::AGAIN) => {}
                Err(_) => self.state = State::Closing,
            }
            return None;
        }
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                // Whoever has sent a request may close its side and still wait for the reply.
                Ok(0) if matches!(self.state, State::Working) => return None,
                Ok(0) => {
                    self.state = State::Closing;
                    self.out.clear();
                    return None;
                }
                Ok(_) if !matches!(self.state, State::Reading) => {
                    self.state = State::Closing;
                    return None;
                }
                Ok(length) => self.buffer.extend(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => {
                    self.state = State::Closing;
                    self.out.clear();
                    return None;
                }
            }
            match self.buffer.pop::<Request>() {
                Ok(None) => {}
                Ok(Some(request)) => return self.admit(request, now),
                Err(error) => {
                    self.refuse(Why::Failed, format!("no request: {error}"));
                    return None;
                }
            }
        }
    }

    fn admit(&mut self, request: Request, _now: u64) -> Option<Request> {
        self.state = State::Working;
        if self.operates || request.is_observing() {
            return Some(request);
        }
        self.refuse(
            Why::Permission,
            "you may observe this peer, not operate it: use the user of the supervisor, root, or a member of supervisor.group".to_owned(),
        );
        None
    }

    fn refuse(&mut self, why: Why, text: String) {
        self.reply(&Reply::Refused { why, text });
        self.state = State::Closing;
    }

    fn reply(&mut self, reply: &Reply) {
        if encode(reply, &mut self.out).is_err() {
            let short = Reply::Refused {
                why: Why::Failed,
                text: "the answer is too long".to_owned(),
            };
            // This one is short.
            let _ = encode(&short, &mut self.out);
        }
    }

    fn follow(&mut self) {
        if let State::Following(of, from) = self.state {
            let (lines, next) = journal::lines(from, usize::MAX, of.map(Role::name));
            self.state = State::Following(of, next);
            if !lines.is_empty() {
                self.reply(&Reply::Logs(lines));
            }
            if self.out.len() > MAX_WAITING {
                self.out.clear();
                self.state = State::Closing;
            }
        }
    }

    fn write(&mut self) {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(0) => break,
                Ok(length) => {
                    self.out.drain(..length);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.out.clear();
                    self.state = State::Closing;
                }
            }
        }
    }

    fn is_over(&self, now: u64) -> bool {
        match self.state {
            State::Closing => self.out.is_empty() || now > self.deadline + REQUEST_TIME,
            State::Reading | State::Passing(..) => now > self.deadline,
            State::Working | State::Following(..) => false,
        }
    }
}
