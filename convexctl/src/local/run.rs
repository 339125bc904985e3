//! Starting the peers of a local network, and waiting for them.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ipc::control::{Reply, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::layout::{Layout, PeerFiles};
use super::{directory, make, programs};
use crate::cli::LocalStart;
use crate::control::{Connection, unexpected};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

/// How long the peers may take until they are at work.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines of a log that are shown when a peer does not start.
const TAIL: usize = 8;

/// A supervisor that was started.
struct Started {
    files: PeerFiles,
    child: Child,
    pidfd: OwnedFd,
}

pub(super) fn start(args: &LocalStart, out: &mut Out) -> Result<Exit, Failure> {
    let layout = Layout::new(directory(args.dir.clone())?);
    let programs = programs(args.programs.as_deref())?;
    let new = layout.peers().is_empty();
    let held_ports = if new {
        make::network(&layout, args)?
    } else {
        Vec::new()
    };
    let began = Instant::now();
    let notify = listen(&layout.notify())?;
    // From here on an interrupt ends the peers in good order.
    let mut interrupts = (!args.detach).then(Interrupts::new).transpose()?;
    let mut peers = Vec::new();
    for files in layout.peers() {
        let result = supervisor(&programs, &layout, &files, args);
        match result {
            Ok(peer) => peers.push(peer),
            Err(failure) => {
                stop_all(peers);
                return Err(failure);
            }
        }
    }
    if let Err(failure) = wait_until_ready(&notify, &mut peers, began + PATIENCE) {
        stop_all(peers);
        return Err(failure);
    }
    drop(held_ports);
    // Nobody listens any more.
    let _ = fs::remove_file(layout.notify());
    for peer in &peers {
        note_endpoint(&peer.files)?;
    }
    announce(&layout, &peers, new, began.elapsed(), args, out)?;
    let Some(interrupts) = &mut interrupts else {
        return Ok(Exit::Ok);
    };
    watch(interrupts, peers, out)
}

fn listen(path: &Path) -> Result<UnixDatagram, Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Failure::new(
                Exit::CantCreate,
                format!("{}: {error}", path.display()),
            ));
        }
        _ => {}
    }
    let socket = UnixDatagram::bind(path)
        .map_err(|error| Failure::new(Exit::CantCreate, format!("{}: {error}", path.display())))?;
    socket
        .set_nonblocking(true)
        .map_err(|error| Failure::new(Exit::Io, error))?;
    Ok(socket)
}

fn supervisor(
    programs: &Path,
    layout: &Layout,
    files: &PeerFiles,
    args: &LocalStart,
) -> Result<Started, Failure> {
    let program = programs.join("supervisor");
    let fail = |what: &Path, error: std::io::Error| {
        Failure::new(Exit::Unavailable, format!("{}: {error}", what.display()))
    };
    let log = File::create(files.log()).map_err(|error| fail(&files.log(), error))?;
    let errors = log.try_clone().map_err(|error| fail(&files.log(), error))?;
    let mut command = Command::new(&program);
    command
        .arg("--config")
        .arg(files.config())
        .args(["--set", "log.format=text"])
        .env("NOTIFY_SOCKET", layout.notify())
        .env_remove("WATCHDOG_USEC")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // An interrupt from the terminal is for this process, which stops the peers in good order.
        .process_group(0);
    for setting in &args.settings {
        command.arg("--set").arg(setting);
    }
    let child = command.spawn().map_err(|error| fail(&program, error))?;
    let pidfd = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| std::io::Error::other("no process id"))
        .and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?))
        .map_err(|error| fail(&program, error))?;
    Ok(Started {
        files: files.clone(),
        child,
        pidfd,
    })
}

/// Waits until every supervisor has said that its peer is at work.
fn wait_until_ready(
    notify: &UnixDatagram,
    peers: &mut [Started],
    until: Instant,
) -> Result<(), Failure> {
    let mut ready = 0;
    let mut message = [0; 4096];
    while ready < peers.len() {
        while let Ok(length) = notify.recv(&mut message) {
            if message[..length]
                .split(|b| *b == b'\n')
                .any(|line| line == b"READY=1")
            {
                ready += 1;
            }
        }
        for peer in peers.iter_mut() {
            if let Ok(Some(status)) = peer.child.try_wait() {
                return Err(ended(peer, status.code()));
            }
        }
        if ready == peers.len() {
            break;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let log = peers[0].files.log();
            return Err(
                Failure::new(Exit::Temporary, "the peers are not ready in time")
                    .remedy(format!("see {}", log.display())),
            );
        }
        let mut fds = vec![PollFd::new(notify, PollFlags::IN)];
        fds.extend(
            peers
                .iter()
                .map(|peer| PollFd::new(&peer.pidfd, PollFlags::IN)),
        );
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        // An interruption is as good as an event.
        let _ = poll(&mut fds, Some(&timeout));
    }
    Ok(())
}

/// A supervisor ended before its peer was at work.
fn ended(peer: &Started, code: Option<i32>) -> Failure {
    let log = fs::read_to_string(peer.files.log()).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n  ");
    let exit = code
        .and_then(|code| Exit::ALL.iter().find(|exit| i32::from(exit.code()) == code))
        .copied()
        .unwrap_or(Exit::Unavailable);
    Failure::new(
        exit,
        format!(
            "the peer in {} did not start:\n  {tail}",
            peer.files.directory().display()
        ),
    )
}

/// Notes where a peer listens, for the commands that come later.
fn note_endpoint(files: &PeerFiles) -> Result<(), Failure> {
    match Connection::open(&files.run())?.call(&Request::Status)? {
        Reply::Status(status) => {
            let endpoint = status.listen.first().cloned().unwrap_or_default();
            fs::write(files.endpoint_file(), endpoint).map_err(|error| {
                Failure::new(
                    Exit::CantCreate,
                    format!("{}: {error}", files.endpoint_file().display()),
                )
            })
        }
        other => Err(unexpected(&other)),
    }
}

fn announce(
    layout: &Layout,
    peers: &[Started],
    new: bool,
    took: Duration,
    args: &LocalStart,
    out: &mut Out,
) -> Result<(), Failure> {
    let what = if new { "A new network" } else { "The network" };
    out.line(format!(
        "{what} of {} runs in {} ({} ms)",
        match peers.len() {
            1 => "one peer".to_owned(),
            n => format!("{n} peers"),
        },
        layout.directory().display(),
        took.as_millis()
    ))?;
    for peer in peers {
        out.line(format!(
            "  {}  {}  key store {}, log {}",
            peer.files
                .directory()
                .file_name()
                .unwrap_or_default()
                .display(),
            peer.files.endpoint().unwrap_or_default(),
            peer.files.key_store().display(),
            peer.files.log().display()
        ))?;
    }
    out.line(format!(
        "  user    account #11, key store {}",
        layout.user().key_store().display()
    ))?;
    let dir = match &args.dir {
        Some(dir) => format!(" --dir {}", dir.display()),
        None => String::new(),
    };
    let (peer, keys) = match (&args.dir, peers.first()) {
        (Some(_), Some(first)) => (
            format!(" --peer {}", first.files.endpoint().unwrap_or_default()),
            format!(
                " --address 11 --key-store {} --passphrase-file {}",
                layout.user().key_store().display(),
                layout.user().passphrase().display()
            ),
        ),
        _ => (String::new(), String::new()),
    };
    out.line(format!("Try: convexctl query{peer} '(+ 1 2)'"))?;
    out.line(format!(
        "     convexctl transact{peer}{keys} '(transfer #12 1000)'"
    ))?;
    if args.detach {
        out.line(format!("Stop it with: convexctl local stop{dir}"))?;
    } else {
        out.line("Stop it with Ctrl-C.")?;
    }
    out.flush()
}

/// Waits for an interrupt, or for the end of a peer.
fn watch(
    interrupts: &mut Interrupts,
    mut peers: Vec<Started>,
    out: &mut Out,
) -> Result<Exit, Failure> {
    loop {
        let mut fds = vec![PollFd::new(&interrupts.wake, PollFlags::IN)];
        fds.extend(
            peers
                .iter()
                .map(|peer| PollFd::new(&peer.pidfd, PollFlags::IN)),
        );
        let _ = poll(&mut fds, None);
        if interrupts.wanted() {
            out.line("stopping")?;
            out.flush()?;
            stop_all(peers);
            return Ok(Exit::Ok);
        }
        for index in (0..peers.len()).rev() {
            if let Ok(Some(status)) = peers[index].child.try_wait() {
                let peer = peers.remove(index);
                if !status.success() {
                    let failure = ended(&peer, status.code());
                    stop_all(peers);
                    return Err(failure);
                }
                out.line(format!("{} has stopped", peer.files.directory().display()))?;
                out.flush()?;
            }
        }
        if peers.is_empty() {
            return Ok(Exit::Ok);
        }
    }
}

/// Stops supervisors in good order. They bound the time themselves.
fn stop_all(peers: Vec<Started>) {
    for peer in &peers {
        // It fails only when the process has ended.
        let _ =
            rustix::process::pidfd_send_signal(peer.pidfd.as_fd(), rustix::process::Signal::TERM);
    }
    for mut peer in peers {
        let _ = peer.child.wait();
    }
}

/// Interrupts of this process, as something to wait for.
struct Interrupts {
    wake: std::os::unix::net::UnixStream,
}

impl Interrupts {
    fn new() -> Result<Self, Failure> {
        let pair = || -> std::io::Result<Self> {
            let (wake, write) = std::os::unix::net::UnixStream::pair()?;
            wake.set_nonblocking(true)?;
            for signal in [
                signal_hook::consts::SIGINT,
                signal_hook::consts::SIGTERM,
                signal_hook::consts::SIGHUP,
            ] {
                signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
            }
            Ok(Self { wake })
        };
        pair().map_err(|error| Failure::new(Exit::Software, error))
    }

    fn wanted(&mut self) -> bool {
        let mut byte = [0];
        matches!(std::io::Read::read(&mut self.wake, &mut byte), Ok(1))
    }
}
