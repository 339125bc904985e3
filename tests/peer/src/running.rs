//! A running peer: its supervisor is a child of this process.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use client::Client;
use ipc::Role;
use ipc::control::{PeerStatus, Phase};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::control;
use crate::files::Files;
use crate::programs;

/// How long a peer may take to come to work, or to end.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A peer whose supervisor is a child of this process. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pidfd: OwnedFd,
    notify: UnixDatagram,
    log: PathBuf,
    started: Instant,
}

/// A peer that ended instead of coming to work.
#[derive(Debug, thiserror::Error)]
#[error("the peer ended with {status}:\n{log}")]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it had logged.
    pub log: String,
}

impl Running {
    /// Starts a peer and does not wait for it. Further arguments go to the supervisor.
    ///
    /// # Errors
    /// When there is no process.
    pub fn spawn(files: &Files, arguments: &[&str]) -> io::Result<Self> {
        let socket = files.directory().join("notify.sock");
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let notify = UnixDatagram::bind(&socket)?;
        notify.set_nonblocking(true)?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(files.log())?;
        let program = programs::directory().join("supervisor");
        let started = Instant::now();
        let child = Command::new(program)
            .arg("--config")
            .arg(files.config())
            .args(arguments)
            // Variables of the tests would be settings that do not exist.
            .env_clear()
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(File::try_clone(&log)?)
            .stderr(log)
            .spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pidfd = pidfd_open(pid.ok_or(io::ErrorKind::Other)?, PidfdFlags::empty())?;
        Ok(Self {
            child,
            pidfd,
            notify,
            log: files.log(),
            started,
        })
    }

    /// Starts a peer and waits until it is at work; how long that took.
    ///
    /// # Errors
    /// When it ends instead.
    ///
    /// # Panics
    /// When it does neither in time, with its log.
    pub fn start(files: &Files, arguments: &[&str]) -> Result<(Self, Duration), Ended> {
        let mut peer = Self::spawn(files, arguments).expect("a supervisor starts");
        match peer.ready() {
            Ok(Some(took)) => Ok((peer, took)),
            Ok(None) => panic!("not at work in time:\n{}", log_of(files)),
            Err(ended) => Err(ended),
        }
    }

    /// Waits until the peer says that it is at work; how long that took, or `None` when it doesn't in time.
    ///
    /// # Errors
    /// When it ends instead.
    pub fn ready(&mut self) -> Result<Option<Duration>, Ended> {
        let mut message = [0; 4096];
        loop {
            while let Ok(length) = self.notify.recv(&mut message) {
                if message[..length]
                    .split(|b| *b == b'\n')
                    .any(|line| line == b"READY=1")
                {
                    return Ok(Some(self.started.elapsed()));
                }
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Ended {
                    status,
                    log: fs::read_to_string(&self.log).unwrap_or_default(),
                });
            }
            let Some(left) = PATIENCE.checked_sub(self.started.elapsed()) else {
                return Ok(None);
            };
            let mut fds = [
                PollFd::new(&self.notify, PollFlags::IN),
                PollFd::new(&self.pidfd, PollFlags::IN),
            ];
            // An interruption is as good as an event.
            let _ = poll(&mut fds, Some(&timespec(left)));
        }
    }

    /// Waits for the end of the supervisor; `None` when it does not come in time.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            let left = until.checked_duration_since(Instant::now())?;
            let _ = poll(
                &mut [PollFd::new(&self.pidfd, PollFlags::IN)],
                Some(&timespec(left)),
            );
        }
    }

    /// Process id of the supervisor.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the supervisor to stop the peer, and waits for it.
    pub fn stop(mut self) -> Option<ExitStatus> {
        signal(self.pid(), Signal::TERM);
        self.wait(PATIENCE)
    }

    /// Kills the supervisor and waits until it and all of these workers are gone.
    pub fn kill(&mut self, workers: &[u32]) {
        let ends: Vec<OwnedFd> = workers.iter().filter_map(|pid| open(*pid)).collect();
        let _ = self.child.kill();
        let _ = self.child.wait();
        for end in ends {
            let _ = poll(
                &mut [PollFd::new(&end, PollFlags::IN)],
                Some(&timespec(PATIENCE)),
            );
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Workers end when the supervisor does.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}

fn open(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Sends a signal to a process; true when there was one.
pub fn signal(pid: u32, signal: Signal) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Kills a process and waits until it is gone; true when there was one.
pub fn kill(pid: u32) -> bool {
    let Some(end) = open(pid) else { return false };
    let was_there = signal(pid, Signal::KILL);
    let _ = poll(
        &mut [PollFd::new(&end, PollFlags::IN)],
        Some(&timespec(PATIENCE)),
    );
    was_there
}

/// What a peer has logged.
#[must_use]
pub fn log_of(files: &Files) -> String {
    fs::read_to_string(files.log()).unwrap_or_default()
}

/// The status of a peer that answers.
///
/// # Panics
/// When it doesn't, with its log.
#[must_use]
pub fn status(files: &Files) -> PeerStatus {
    match control::status(&files.run()) {
        Ok(status) => status,
        Err(error) => panic!("no status: {error}\n{}", log_of(files)),
    }
}

/// Process ids of the supervisor and the workers.
#[must_use]
pub fn pids(status: &PeerStatus) -> Vec<u32> {
    let workers = status.workers.iter().filter_map(|worker| worker.pid);
    std::iter::once(status.pid).chain(workers).collect()
}

/// Process id of a worker.
#[must_use]
pub fn worker(status: &PeerStatus, role: Role) -> Option<u32> {
    status.workers.iter().find(|w| w.role == role)?.pid
}

/// Waits until the peer runs and `role` is another process than `before`; how long that took.
///
/// # Panics
/// When it doesn't in time, with its log.
pub fn recovered(files: &Files, role: Role, before: u32) -> Duration {
    let began = Instant::now();
    loop {
        let status = status(files);
        if status.phase == Phase::Running && worker(&status, role).is_some_and(|now| now != before)
        {
            return began.elapsed();
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{} is not back: {:?}\n{}",
            role.name(),
            status.phase,
            log_of(files)
        );
        std::thread::yield_now();
    }
}

/// A connection to the peer.
///
/// # Panics
/// When it refuses.
#[must_use]
pub fn connect(files: &Files) -> Client {
    Client::connect(&files.endpoint(), Duration::from_secs(20)).expect("a connection")
}
