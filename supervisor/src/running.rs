//! One worker that runs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc::supervision::{FromWorker, RoleStatus, ToWorker};
use ipc::{Role, SUPERVISION_FD, Supervision, SupervisionError, logging};
use log::Level;
use rustix::io::Errno;
use sandbox::{Child, Ended, Report, Spawn, Usage};

use crate::exit::{self, Fatal};
use crate::setup::Setup;

/// Lines of one worker that are passed on in a second; the others are counted.
const LINES_PER_SECOND: u32 = 200;
/// Bytes that are read from a pipe at once.
const READ: usize = 1 << 14;

/// The number of a request for the status, and what was answered.
type Told = (u64, RoleStatus, Vec<(String, u64)>);

/// A process and what it said of itself.
#[derive(Debug)]
pub struct Running {
    /// Its role.
    pub role: Role,
    child: Child,
    /// Its supervision channel.
    pub channel: Supervision<ToWorker, FromWorker>,
    output: OwnedFd,
    line: Vec<u8>,
    /// The second and the lines in it.
    budget: (u64, u32),
    dropped: u32,
    /// Start, milliseconds of the steady clock.
    pub started: u64,
    /// True when it is at work.
    pub ready: bool,
    /// Its sandbox.
    pub sandbox: Option<Report>,
    /// What it said when it had to end.
    pub fatal: Option<String>,
    /// The ping that it has not answered yet: number and time.
    pub pinged: Option<(u64, u64)>,
    /// When it was last pinged.
    pub last_ping: u64,
    /// What it last said of itself, and in answer to which request.
    pub status: Option<Told>,
    /// When it is killed, if it was asked to stop.
    pub deadline: Option<u64>,
}

impl Running {
    /// Starts a worker. From the main thread: it dies with the thread that started it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start(
        setup: &Setup,
        role: Role,
        program: &str,
        sandbox: sandbox::Role,
        arguments: &[&str],
        now: u64,
    ) -> Result<Self, Fatal> {
        let fail = |what: &str, error: &dyn std::fmt::Display| {
            Fatal::new(exit::OS, format!("can't start {role}: {what}: {error}"))
        };
        let (channel, theirs) = Supervision::pair().map_err(|error| fail("its channel", &error))?;
        let (output, input) = rustix::pipe::pipe_with(
            rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK,
        )
        .map_err(|error| fail("its log", &error))?;
        let path = setup.program(program);
        let mut spawn = Spawn::new(&path, sandbox)
            .env(logging::LEVEL, setup.config.log.level.0)
            .descriptor(1, input.as_fd())
            .descriptor(2, input.as_fd())
            .descriptor(SUPERVISION_FD, theirs.as_fd());
        for argument in arguments {
            spawn = spawn.arg(argument);
        }
        if let Some(identity) = setup.identity(role) {
            spawn = spawn.identity(identity);
        }
        let child = spawn.start().map_err(|error| fail("its process", &error))?;
        Ok(Self {
            role,
            child,
            channel,
            output,
            line: Vec::new(),
            budget: (0, 0),
            dropped: 0,
            started: now,
            ready: false,
            sandbox: None,
            fatal: None,
            pinged: None,
            last_ping: now,
            status: None,
            deadline: None,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Readable when the process has ended.
    pub fn ended_fd(&self) -> BorrowedFd<'_> {
        self.child.as_fd()
    }

    /// Readable when the process has written to its log.
    pub fn output_fd(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// How it ended, if it has; reaps it.
    pub fn ended(&mut self) -> Option<Ended> {
        self.child.try_wait().ok().flatten()
    }

    /// What it takes of the machine.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.child.usage()
    }

    /// Ends it at once.
    pub fn kill(&self) {
        if let Err(error) = self.child.kill() {
            // One that has ended is no error until it is reaped.
            log::error!(target: "supervisor", "{} can't be killed: {error}", self.role);
        }
    }

    /// Sends it a message. One that does not take messages, or whose channel is closed, is killed: it will be started again.
    pub fn send(&self, message: &ToWorker, fds: &[BorrowedFd<'_>]) {
        match self.channel.send(message, fds) {
            Ok(()) => {}
            Err(SupervisionError::Closed) => {}
            Err(error) => {
                log::error!("{}: {error}; it is killed", self.role);
                self.kill();
            }
        }
    }

    /// Asks it to end, and sets the time when it is killed.
    pub fn stop(&mut self, now: u64, within: u64) {
        if self.deadline.is_none() {
            self.deadline = Some(now + within + 500);
            let within = u32::try_from(within).unwrap_or(u32::MAX);
            self.send(&ToWorker::Stop { within }, &[]);
        }
    }

    /// Reads what it has written, and passes whole lines on. What a worker writes is not to be trusted: lines are bounded in length and number,
    /// and hold no control characters.
    pub fn read_output(&mut self, now: u64) {
        let mut chunk = [0; READ];
        // As much as a pipe holds; the rest waits for the next turn.
        for _ in 0..8 {
            match rustix::io::read(&self.output, &mut chunk) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(length) => self.take(&chunk[..length], now),
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
    }

    /// Passes on what is left when it has ended.
    pub fn finish_output(&mut self, now: u64) {
        self.read_output(now);
        if !self.line.is_empty() {
            self.flush_line(now);
        }
        if self.dropped > 0 {
            log::warn!(target: self.role.name(), "{} more lines", self.dropped);
        }
    }

    fn take(&mut self, bytes: &[u8], now: u64) {
        for byte in bytes {
            if *byte == b'\n' {
                self.flush_line(now);
            } else if self.line.len() < logging::MAX_LINE {
                self.line.push(*byte);
            }
        }
    }

    fn flush_line(&mut self, now: u64) {
        let line = std::mem::take(&mut self.line);
        let second = now / 1000;
        if self.budget.0 != second {
            if self.dropped > 0 {
                log::warn!(target: self.role.name(), "{} more lines in a second", self.dropped);
                self.dropped = 0;
            }
            self.budget = (second, 0);
        }
        self.budget.1 += 1;
        if self.budget.1 > LINES_PER_SECOND {
            self.dropped += 1;
            return;
        }
        let text: String = String::from_utf8_lossy(&line)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let (level, text) = logging::parse(&text);
        let level = if level == Level::Trace {
            Level::Debug
        } else {
            level
        };
        if !text.trim().is_empty() {
            log::log!(target: self.role.name(), level, "{text}");
        }
    }
}
