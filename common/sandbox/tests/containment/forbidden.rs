//! What a compromised worker would try.

use std::io;

use sandbox::{Ended, Role};

use crate::worker::{
    Act, CHANNEL, LISTENER, LOG, OUTSIDE, STORE, call, in_sandbox, outside, refused,
};
use crate::{Bench, Test};

/// How an act ends without a sandbox.
#[derive(Clone, Copy, PartialEq)]
enum Free {
    /// It is done.
    Works,
    /// The user may not do it anyway, or this kernel has no such thing: an error, not death.
    Fails,
    /// As the kernel was built.
    Depends,
}
use Free::{Depends, Fails, Works};

/// Name; without a sandbox; the act. In a sandbox each of them ends the process, whatever its role, but for [`EXCEPTIONS`].
#[rustfmt::skip]
const ACTS: &[(&str, Free, Act)] = &[
    // Files.
    ("opens a file of the system", Works, || open(libc::AT_FDCWD, c"/etc/passwd", libc::O_RDONLY)),
    ("opens a file beside the store", Works, || open(OUTSIDE, c"file", libc::O_RDONLY)),
    ("opens the parent of the store", Works, || open(STORE, c"../outside/file", libc::O_RDONLY)),
    ("reads the memory of another process by name", Works, || open(libc::AT_FDCWD, c"/proc/self/mem", libc::O_RDONLY)),
    ("opens by the old call", Works, || legacy_open()),
    ("opens by a structure that no filter can see into", Works, || openat2()),
    ("creates a directory", Works, || call(libc::SYS_mkdirat, [STORE.into(), c"new".as_ptr() as i64, 0o700]).and_then(|_| call(libc::SYS_unlinkat, [STORE.into(), c"new".as_ptr() as i64, libc::AT_REMOVEDIR.into()])).map(drop)),
    ("creates a device", Fails, || call(libc::SYS_mknodat, [STORE.into(), c"dev".as_ptr() as i64, (libc::S_IFBLK | 0o600).into(), 0x0800]).map(drop)),
    ("creates a symbolic link", Works, || call(libc::SYS_symlinkat, [c"/etc".as_ptr() as i64, STORE.into(), c"link".as_ptr() as i64]).and_then(|_| call(libc::SYS_unlinkat, [STORE.into(), c"link".as_ptr() as i64, 0])).map(drop)),
    ("changes a file's mode by path", Works, || call(libc::SYS_fchmodat, [OUTSIDE.into(), c"file".as_ptr() as i64, 0o600]).map(drop)),
    ("changes a file's mode by descriptor", Works, || call(libc::SYS_fchmod, [OUTSIDE.into(), 0o755]).map(drop)),
    ("changes a file's owner", Fails, || call(libc::SYS_fchown, [OUTSIDE.into(), 0, 0]).map(drop)),
    ("asks for the status of a path", Works, || { let mut stat = [0_u8; 256]; call(libc::SYS_newfstatat, [cwd(), c"/etc".as_ptr() as i64, stat.as_mut_ptr() as i64, 0]).map(drop) }),
    ("changes the working directory", Works, || call(libc::SYS_chdir, [c"/etc".as_ptr() as i64]).map(drop)),
    ("changes the root directory", Works, || call(libc::SYS_chroot, [c"/".as_ptr() as i64]).map(drop)),
    ("mounts", Fails, || call(libc::SYS_mount, [0, c"/".as_ptr() as i64, 0, libc::MS_REMOUNT as i64, 0]).map(drop)),
    ("mounts by descriptor", Fails, || call(libc::SYS_open_tree, [cwd(), c"/".as_ptr() as i64, 1]).map(drop)),
    ("lets a log be overwritten", Works, || call(libc::SYS_fcntl, [LOG.into(), libc::F_SETFL.into(), 0]).map(drop)),
    ("shortens a file", Works, || call(libc::SYS_ftruncate, [LOG.into(), 0]).map(drop)),
    ("watches files", Works, || call(libc::SYS_inotify_init1, [0]).map(drop)),
    ("opens a file by handle", Fails, || call(libc::SYS_open_by_handle_at, [OUTSIDE.into(), 0, 0]).map(drop)),
    // Sockets.
    ("makes a TCP socket", Works, || socket(libc::AF_INET, libc::SOCK_STREAM, 0)),
    ("makes a TCP socket of IPv6", Works, || socket(libc::AF_INET6, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, libc::IPPROTO_TCP)),
    ("makes a UDP socket", Works, || socket(libc::AF_INET, libc::SOCK_DGRAM, 0)),
    ("makes a multipath TCP socket", Fails, || socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP).and(Err(io::ErrorKind::Other.into()))),
    ("makes a raw socket", Fails, || socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)),
    ("makes an ICMP socket", Fails, || socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP).and(Err(io::ErrorKind::Other.into()))),
    ("makes a local socket", Works, || socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)),
    ("makes a netlink socket", Works, || socket(libc::AF_NETLINK, libc::SOCK_RAW, 0)),
    ("makes a packet socket", Fails, || socket(libc::AF_PACKET, libc::SOCK_RAW, 0)),
    ("makes a socket to its host", Fails, || socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0).and(Err(io::ErrorKind::Other.into()))),
    ("makes a socket of the kernel's cryptography", Fails, || socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0).and(Err(io::ErrorKind::Other.into()))),
    ("makes a pair of sockets", Works, || { let mut pair = [0_i32; 2]; call(libc::SYS_socketpair, [libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0, pair.as_mut_ptr() as i64]).map(drop) }),
    ("binds a socket", Fails, || call(libc::SYS_bind, [CHANNEL.into(), 0, 0]).map(drop)),
    ("listens", Works, || call(libc::SYS_listen, [LISTENER.into(), 1]).map(drop)),
    ("attaches a packet filter", Fails, || call(libc::SYS_setsockopt, [CHANNEL.into(), libc::SOL_SOCKET.into(), libc::SO_ATTACH_FILTER.into(), 0, 0]).map(drop)),
    ("steers a socket to an interface", Fails, || call(libc::SYS_setsockopt, [LISTENER.into(), libc::SOL_SOCKET.into(), libc::SO_BINDTODEVICE.into(), c"lo".as_ptr() as i64, 0]).and(Err(io::ErrorKind::Other.into()))),
    // Programs and processes.
    ("executes a program", Works, || call(libc::SYS_execve, [c"/bin/true".as_ptr() as i64, [c"true".as_ptr(), std::ptr::null()].as_ptr() as i64, 0]).map(drop)),
    ("executes a program by descriptor", Fails, || call(libc::SYS_execveat, [OUTSIDE.into(), c"file".as_ptr() as i64, 0, 0, 0]).map(drop)),
    ("starts a program by the standard library", Works, || std::process::Command::new("/bin/true").status().map(drop)),
    ("forks", Works, || fork()),
    ("makes a process with a memory of its own", Works, || process(libc::SIGCHLD)),
    ("makes a process in a user namespace", Works, || process(libc::SIGCHLD | libc::CLONE_NEWUSER)),
    ("leaves its user namespace", Works, || call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into()]).map(drop)),
    ("enters a namespace", Fails, || call(libc::SYS_setns, [OUTSIDE.into(), 0]).map(drop)),
    // Other processes.
    ("traces a process", Fails, || call(libc::SYS_ptrace, [libc::PTRACE_ATTACH.into(), 1, 0, 0]).map(drop)),
    ("lets itself be traced", Works, || call(libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0, 0]).map(drop)),
    ("signals a process", Works, || call(libc::SYS_kill, [own(), 0]).map(drop)),
    ("signals every process", Fails, || call(libc::SYS_kill, [-1, 0]).map(drop).and(Err(io::ErrorKind::Other.into()))),
    ("signals a thread of another process", Fails, || call(libc::SYS_tgkill, [own() + 1, own() + 1, libc::SIGKILL.into()]).map(drop)),
    ("signals a thread by the old call", Works, || call(libc::SYS_tkill, [own(), 0]).map(drop)),
    ("queues a signal", Fails, || call(libc::SYS_rt_sigqueueinfo, [own(), 0, 0]).map(drop)),
    ("opens a process", Works, || call(libc::SYS_pidfd_open, [own(), 0]).map(drop)),
    ("takes a descriptor out of a process", Fails, || call(libc::SYS_pidfd_getfd, [OUTSIDE.into(), 0, 0]).map(drop)),
    ("reads the memory of a process", Works, || call(libc::SYS_process_vm_readv, [own(), 0, 0, 0, 0, 0]).map(drop)),
    ("writes the memory of a process", Works, || call(libc::SYS_process_vm_writev, [own(), 0, 0, 0, 0, 0]).map(drop)),
    ("reads the limits of another process", Fails, || { let mut limit = [0_u64; 2]; call(libc::SYS_prlimit64, [own() + 1, 0, 0, limit.as_mut_ptr() as i64]).map(drop) }),
    ("sets a limit", Works, || call(libc::SYS_prlimit64, [0, libc::RLIMIT_CPU.into(), [1_u64 << 40; 2].as_ptr() as i64, 0]).map(drop)),
    ("moves a process to other processors", Works, || call(libc::SYS_sched_setaffinity, [0, 8, [u64::MAX].as_ptr() as i64]).map(drop)),
    // Code.
    ("maps memory that can be executed", Works, || map(libc::PROT_READ | libc::PROT_EXEC)),
    ("maps memory that can be written and executed", Works, || map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC)),
    ("makes its memory executable", Works, || call(libc::SYS_mprotect, [page(), 4096, (libc::PROT_READ | libc::PROT_EXEC).into()]).map(drop)),
    ("makes its memory executable with a key", Works, || call(libc::SYS_pkey_mprotect, [page(), 4096, (libc::PROT_READ | libc::PROT_EXEC).into(), -1]).map(drop)),
    ("changes its personality", Works, || call(libc::SYS_personality, [0x0040_0000]).map(drop)),
    ("loads a module into the kernel", Fails, || call(libc::SYS_finit_module, [OUTSIDE.into(), 0, 0]).map(drop)),
    // Parts of the kernel that are large or new.
    ("sets up io_uring", Fails, || call(libc::SYS_io_uring_setup, [1, 0]).map(drop)),
    ("opens a performance counter", Fails, || call(libc::SYS_perf_event_open, [0, 0, -1, -1, 0]).map(drop)),
    ("loads a BPF program", Fails, || call(libc::SYS_bpf, [5, 0, 0]).map(drop)),
    ("looks into a key ring", Fails, || call(libc::SYS_keyctl, [0, -3, 0]).and(Err(io::ErrorKind::Other.into()))),
    ("handles page faults itself", Fails, || call(libc::SYS_userfaultfd, [0]).and(Err(io::ErrorKind::Other.into()))),
    ("shares memory by a key", Fails, || call(libc::SYS_shmget, [0x1234, 4096, 0]).map(drop)),
    ("types into a terminal", Fails, || call(libc::SYS_ioctl, [0, libc::TIOCSTI as i64, c"x".as_ptr() as i64]).map(drop)),
    ("has signals sent for a descriptor", Works, || call(libc::SYS_fcntl, [CHANNEL.into(), libc::F_SETOWN.into(), own()]).map(drop)),
    ("installs another filter", Fails, || call(libc::SYS_seccomp, [1, 0, 0]).map(drop)),
    // What it may become.
    ("becomes dumpable", Works, || prctl(libc::PR_SET_DUMPABLE, 1)),
    ("lets another process trace it", Depends, || prctl(libc::PR_SET_PTRACER, -1)),
    ("outlives its parent", Works, || prctl(libc::PR_SET_PDEATHSIG, 0)),
    ("keeps capabilities", Works, || prctl(libc::PR_SET_KEEPCAPS, 1)),
    ("raises a capability", Fails, || call(libc::SYS_prctl, [libc::PR_CAP_AMBIENT.into(), libc::PR_CAP_AMBIENT_RAISE.into(), 21, 0, 0]).map(drop)),
    ("becomes root", Fails, || call(libc::SYS_setuid, [0]).map(drop)),
    ("changes its group", Fails, || call(libc::SYS_setresgid, [0, 0, 0]).map(drop)),
    ("changes its groups", Fails, || call(libc::SYS_setgroups, [1, [0_u32].as_ptr() as i64]).map(drop)),
    ("sets the clock", Fails, || call(libc::SYS_clock_settime, [0, [1_i64, 0].as_ptr() as i64]).map(drop)),
    ("stops the machine", Fails, || call(libc::SYS_reboot, [0, 0, 0, 0]).map(drop)),
    #[cfg(target_arch = "x86_64")]
    ("uses the numbers of 32 bit programs", Depends, || foreign_numbers()),
    #[cfg(target_arch = "x86_64")]
    ("uses the numbers of the x32 interface", Fails, || call(0x4000_0000 + libc::SYS_getpid, []).map(drop)),
    #[cfg(target_arch = "x86_64")]
    ("moves its local descriptor table", Depends, || call(libc::SYS_modify_ldt, [0, 0, 0]).map(drop)),
];

/// What is in a role's list, and bounded by another layer: refused with an error, or done because it is the role's job.
const EXCEPTIONS: &[(Role, &str, Exception)] = &[
    (
        Role::Stored,
        "opens a file of the system",
        Exception::Refused,
    ),
    (
        Role::Stored,
        "opens a file beside the store",
        Exception::Refused,
    ),
    (
        Role::Stored,
        "opens the parent of the store",
        Exception::Refused,
    ),
    (
        Role::Stored,
        "reads the memory of another process by name",
        Exception::Refused,
    ),
    (Role::Stored, "shortens a file", Exception::Done),
    (Role::Consensusd, "shortens a file", Exception::Done),
    (Role::Netd, "makes a TCP socket", Exception::Done),
    (Role::Netd, "makes a TCP socket of IPv6", Exception::Done),
    (Role::Netd, "makes a UDP socket", Exception::Done),
];

#[derive(Clone, Copy)]
enum Exception {
    Refused,
    Done,
}

pub(crate) fn act(name: &str) -> Option<Act> {
    ACTS.iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, _, act)| *act)
}

pub(crate) fn tests(role: Role) -> Vec<Test> {
    let test = |&(name, free, _): &(&'static str, Free, Act)| -> Test {
        let exception = EXCEPTIONS
            .iter()
            .find(|(of, act, _)| *of == role && *act == name)
            .map(|(_, _, exception)| *exception);
        let sentence = match exception {
            None => format!("{role} dies when it {name}"),
            Some(Exception::Refused) => format!("{role} gets an error when it {name}"),
            Some(Exception::Done) => format!("{role}, whose job it is, {name}"),
        };
        (
            sentence,
            Box::new(move |bench| try_it(bench, role, name, free, exception)),
        )
    };
    ACTS.iter().map(test).collect()
}

fn try_it(bench: &Bench, role: Role, name: &str, free: Free, exception: Option<Exception>) {
    // What an act does without a sandbox does not depend on the role.
    if role == Role::ALL[0] && free != Depends {
        let ended = outside(bench, role, name);
        match free {
            Works => assert_eq!(ended, Ended::Exited(0), "without a sandbox"),
            Fails | Depends => assert!(refused(ended), "without a sandbox it {ended}"),
        }
    }
    let ended = in_sandbox(bench, role, name);
    match exception {
        None => assert_eq!(ended, Ended::Violation),
        Some(Exception::Refused) => assert!(refused(ended), "it {ended}"),
        Some(Exception::Done) => assert_eq!(ended, Ended::Exited(0)),
    }
}

fn cwd() -> i64 {
    libc::AT_FDCWD.into()
}

fn own() -> i64 {
    std::process::id().into()
}

fn open(directory: i32, path: &std::ffi::CStr, flags: i32) -> io::Result<()> {
    call(
        libc::SYS_openat,
        [directory.into(), path.as_ptr() as i64, flags.into(), 0],
    )
    .map(drop)
}

fn legacy_open() -> io::Result<()> {
    #[cfg(target_arch = "x86_64")]
    return call(libc::SYS_open, [c"/etc/passwd".as_ptr() as i64, 0, 0]).map(drop);
    #[cfg(not(target_arch = "x86_64"))]
    return openat2();
}

fn openat2() -> io::Result<()> {
    let how = [0_u64; 3];
    call(
        libc::SYS_openat2,
        [
            cwd(),
            c"/etc/passwd".as_ptr() as i64,
            how.as_ptr() as i64,
            24,
        ],
    )
    .map(drop)
}

fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<()> {
    call(
        libc::SYS_socket,
        [family.into(), kind.into(), protocol.into()],
    )
    .map(drop)
}

fn prctl(option: i32, value: i64) -> io::Result<()> {
    call(libc::SYS_prctl, [option.into(), value, 0, 0, 0]).map(drop)
}

fn map(protection: i32) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    call(
        libc::SYS_mmap,
        [0, 4096, protection.into(), flags.into(), -1, 0],
    )
    .map(drop)
}

/// A page of memory that can be read and written.
fn page() -> i64 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    call(
        libc::SYS_mmap,
        [
            0,
            4096,
            (libc::PROT_READ | libc::PROT_WRITE).into(),
            flags.into(),
            -1,
            0,
        ],
    )
    .expect("a page")
}

fn fork() -> io::Result<()> {
    #[cfg(target_arch = "x86_64")]
    return match call(libc::SYS_fork, [])? {
        0 => std::process::exit(0),
        _ => Ok(()),
    };
    #[cfg(not(target_arch = "x86_64"))]
    return process(libc::SIGCHLD);
}

fn process(flags: i32) -> io::Result<()> {
    match call(libc::SYS_clone, [flags.into(), 0, 0, 0, 0])? {
        0 => std::process::exit(0),
        _ => Ok(()),
    }
}

/// `getpid` by the interface of 32 bit programs.
#[cfg(target_arch = "x86_64")]
fn foreign_numbers() -> io::Result<()> {
    let mut result = 20_i64;
    // SAFETY: this call takes no argument and changes nothing but the registers named.
    unsafe {
        std::arch::asm!("int 0x80", inout("rax") result, out("r8") _, out("r9") _, out("r10") _, out("r11") _)
    };
    if result == own() {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(-result as i32))
    }
}
