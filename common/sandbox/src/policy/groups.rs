//! Groups of system calls that several roles share.

use super::When::{AnyOf, Refused};
use super::{Group, Test};

/// `call!(name, "reason")` or `call!(name, condition, "reason")`.
macro_rules! call {
    ($name:ident, $why:literal) => {
        call!($name, crate::policy::When::Always, $why)
    };
    ($name:ident, $when:expr, $why:literal) => {
        crate::policy::Call {
            number: libc::$name,
            name: stringify!($name),
            when: $when,
            why: $why,
        }
    };
}
pub(crate) use call;

/// Flags with which both glibc and musl start a thread, and nothing else: VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS,
/// PARENT_SETTID, CHILD_CLEARTID. A new process or namespace needs others.
const THREAD_FLAGS: u32 = 0x003d_0f00;
/// The same with CLONE_DETACHED, which the kernel ignores and musl still sets.
const MUSL_THREAD_FLAGS: u32 = 0x007d_0f00;

const NO_EXEC: Test = Test::Masked(2, libc::PROT_EXEC as u32, 0);

/// Every role: memory, threads, time, signals to itself, the end.
pub(super) static BASE: Group = Group {
    purpose: "what the standard library, libc and the allocator need in any process",
    calls: &[
        // Memory. Nothing is ever made executable, so code that was not there at the start can't run.
        call!(SYS_brk, "the heap of libc"),
        call!(
            SYS_mmap,
            AnyOf(&[&[NO_EXEC]]),
            "memory, stacks, maps of descriptors; not executable"
        ),
        call!(
            SYS_mprotect,
            AnyOf(&[&[NO_EXEC]]),
            "guard pages, growing heaps; not executable"
        ),
        call!(SYS_munmap, "memory and maps given back"),
        call!(SYS_mremap, "large reallocations"),
        call!(SYS_madvise, "memory given back to the system"),
        #[cfg(target_arch = "x86_64")]
        call!(
            SYS_access,
            Refused(libc::ENOENT),
            "the allocator asks for memory nodes in /sys, late; it is told that there are none"
        ),
        call!(
            SYS_faccessat,
            Refused(libc::ENOENT),
            "the same where there is no other call"
        ),
        // Threads.
        call!(
            SYS_clone3,
            Refused(libc::ENOSYS),
            "its flags are in memory, where no filter can look: libc falls back to clone"
        ),
        call!(
            SYS_clone,
            AnyOf(&[
                &[Test::Is(0, THREAD_FLAGS)],
                &[Test::Is(0, MUSL_THREAD_FLAGS)]
            ]),
            "threads; not processes, not namespaces"
        ),
        call!(SYS_set_robust_list, "start of a thread"),
        call!(SYS_rseq, "start of a thread"),
        call!(SYS_sigaltstack, "stack overflow handler of each thread"),
        call!(
            SYS_sched_getaffinity,
            "attributes of a new thread; libc's choice of heap"
        ),
        call!(
            SYS_prctl,
            AnyOf(&[
                &[Test::Is(0, libc::PR_SET_NAME as u32)],
                &[Test::Is(0, libc::PR_SET_VMA as u32)]
            ]),
            "names of threads and, by the allocator, of memory; no other option"
        ),
        call!(
            SYS_prlimit64,
            AnyOf(&[&[Test::Is(0, 0), Test::Null(2)]]),
            "reads the own stack limit for new threads; sets nothing"
        ),
        call!(SYS_futex, "locks, condition variables, channels, joins"),
        call!(SYS_sched_yield, "spinning locks"),
        call!(SYS_gettid, "abort, thread identity"),
        call!(SYS_getpid, "abort"),
        call!(SYS_exit, "end of a thread"),
        call!(SYS_exit_group, "end of the process"),
        // Time, where the clock source needs a system call, and bounded waits.
        call!(SYS_clock_gettime, "clocks without a vDSO"),
        call!(SYS_clock_nanosleep, "waits"),
        call!(SYS_nanosleep, "waits"),
        call!(
            SYS_restart_syscall,
            "the kernel resumes an interrupted wait"
        ),
        // Signals.
        call!(SYS_rt_sigreturn, "return from a handler"),
        call!(SYS_rt_sigprocmask, "start of a thread, abort"),
        call!(SYS_rt_sigaction, "abort restores the default action"),
        call!(
            SYS_tgkill,
            AnyOf(&[&[Test::OwnProcess(0)]]),
            "abort; no other process can be addressed"
        ),
        call!(SYS_getrandom, "seeds of hash tables, tokens, nonces"),
    ],
};

/// Every role: bytes on descriptors that it holds.
pub(super) static CHANNELS: Group = Group {
    purpose: "messages on inherited socket pairs, log lines on standard error",
    calls: &[
        call!(SYS_read, "channels, events"),
        call!(SYS_readv, "channels"),
        call!(SYS_write, "channels, events, log lines"),
        call!(SYS_writev, "channels, log lines"),
        call!(
            SYS_recvfrom,
            "channels read without a control buffer: what comes attached is dropped by the kernel"
        ),
        call!(
            SYS_recvmsg,
            "descriptors on the supervision channel (the filter can't see which descriptor or control buffer)"
        ),
        call!(SYS_sendto, "channels, without SIGPIPE"),
        call!(SYS_sendmsg, "channels, without SIGPIPE"),
        call!(SYS_shutdown, "orderly end of a channel"),
        call!(SYS_close, "descriptors given back"),
        call!(SYS_fstat, "type of a received descriptor, length of a map"),
        call!(
            SYS_newfstatat,
            AnyOf(&[&[Test::Masked(
                3,
                libc::AT_EMPTY_PATH as u32,
                libc::AT_EMPTY_PATH as u32
            )]]),
            "fstat of newer libcs"
        ),
        call!(
            SYS_statx,
            AnyOf(&[&[Test::Masked(
                2,
                libc::AT_EMPTY_PATH as u32,
                libc::AT_EMPTY_PATH as u32
            )]]),
            "metadata of an open file in the standard library"
        ),
        call!(
            SYS_fcntl,
            AnyOf(&[
                &[Test::Is(1, libc::F_GETFL as u32)],
                &[Test::Is(1, libc::F_GETFD as u32)],
                &[Test::Is(1, libc::F_SETFD as u32)],
                &[Test::Is(1, libc::F_DUPFD_CLOEXEC as u32)],
                &[Test::Is(1, libc::F_GET_SEALS as u32)],
                &[Test::Is(1, libc::F_OFD_GETLK as u32)],
            ]),
            "whether it blocks, close-on-exec, second handle, seals of received memory, whether the store's writer lives; no owner, lease or \
             signal, and no flags: a file that is open for appending stays so"
        ),
        call!(
            SYS_ioctl,
            AnyOf(&[
                &[Test::Is(1, libc::FIONBIO as u32)],
                &[Test::Is(1, libc::FIOCLEX as u32)]
            ]),
            "how the standard library sets blocking and close-on-exec"
        ),
        call!(
            SYS_getsockopt,
            AnyOf(&[
                &[
                    Test::Is(1, libc::SOL_SOCKET as u32),
                    Test::Is(2, libc::SO_ERROR as u32)
                ],
                &[
                    Test::Is(1, libc::SOL_SOCKET as u32),
                    Test::Is(2, libc::SO_TYPE as u32)
                ],
                &[
                    Test::Is(1, libc::SOL_SOCKET as u32),
                    Test::Is(2, libc::SO_DOMAIN as u32)
                ],
                &[
                    Test::Is(1, libc::SOL_SOCKET as u32),
                    Test::Is(2, libc::SO_ACCEPTCONN as u32)
                ],
            ]),
            "pending error; kind of a received socket"
        ),
        call!(
            SYS_setsockopt,
            AnyOf(&[
                &[
                    Test::Is(1, libc::SOL_SOCKET as u32),
                    Test::Is(2, libc::SO_RCVTIMEO as u32)
                ],
                &[
                    Test::Is(1, libc::SOL_SOCKET as u32),
                    Test::Is(2, libc::SO_SNDTIMEO as u32)
                ],
            ]),
            "time limits of blocking channels"
        ),
    ],
};

/// Waiting for several descriptors.
pub(super) static EVENTS: Group = Group {
    purpose: "event loops",
    calls: &[
        call!(SYS_epoll_create1, "event loop"),
        call!(SYS_epoll_ctl, "event loop"),
        #[cfg(target_arch = "x86_64")]
        call!(SYS_epoll_wait, "event loop"),
        call!(SYS_epoll_pwait, "event loop"),
        call!(SYS_eventfd2, "waking an event loop from another thread"),
        #[cfg(target_arch = "x86_64")]
        call!(SYS_poll, "waiting for a few descriptors"),
        call!(SYS_ppoll, "waiting for a few descriptors"),
    ],
};

/// Reading a file by its descriptor.
pub(super) static FILE_READS: Group = Group {
    purpose: "files that are open already, read-only",
    calls: &[
        call!(SYS_pread64, "records at their offset"),
        call!(SYS_lseek, "length of a file"),
    ],
};

/// Writing a file by its descriptor, durably.
pub(super) static FILE_WRITES: Group = Group {
    purpose: "files that are open already, written and synced",
    calls: &[
        call!(SYS_pwrite64, "records at their offset"),
        call!(SYS_fdatasync, "durability barrier"),
        call!(SYS_fsync, "durability of a file's length"),
        call!(SYS_flock, "nobody else writes"),
    ],
};

/// Changing the length of a file by its descriptor.
pub(super) static FILE_LENGTHS: Group = Group {
    purpose: "files that are open already, made longer or shorter",
    calls: &[call!(SYS_ftruncate, "a torn tail cut off, space reserved")],
};

/// Secrets in locked memory.
pub(super) static LOCKED_MEMORY: Group = Group {
    purpose: "pages with secrets that never reach a swap device",
    calls: &[
        call!(SYS_mlock, "the pages of a secret"),
        call!(SYS_munlock, "given back after wiping"),
    ],
};

/// Memory files as a way to hand over bulk data.
pub(super) static SEALED_MEMORY: Group = Group {
    purpose: "sealed memory files: batches of cells, and the control page of the store",
    calls: &[
        call!(SYS_memfd_create, "memory that another process may map"),
        call!(SYS_ftruncate, "its length"),
        call!(SYS_pwrite64, "its content"),
        call!(
            SYS_fcntl,
            AnyOf(&[&[Test::Is(1, libc::F_ADD_SEALS as u32)]]),
            "no change after it was handed over"
        ),
    ],
};

/// Connections that a peer or client made to a listener that was inherited, or that were made before.
pub(super) static CONNECTIONS: Group = Group {
    purpose: "TCP connections: their options and addresses",
    calls: &[
        call!(
            SYS_getpeername,
            "who is at the other end: limits, allow and deny lists"
        ),
        call!(SYS_getsockname, "own address of a connection"),
        call!(
            SYS_setsockopt,
            AnyOf(&[
                &[
                    Test::Is(1, libc::SOL_SOCKET as u32),
                    Test::Is(2, libc::SO_KEEPALIVE as u32)
                ],
                &[
                    Test::Is(1, libc::SOL_SOCKET as u32),
                    Test::Is(2, libc::SO_LINGER as u32)
                ],
                &[
                    Test::Is(1, libc::SOL_SOCKET as u32),
                    Test::Is(2, libc::SO_RCVBUF as u32)
                ],
                &[
                    Test::Is(1, libc::SOL_SOCKET as u32),
                    Test::Is(2, libc::SO_SNDBUF as u32)
                ],
                &[
                    Test::Is(1, libc::IPPROTO_TCP as u32),
                    Test::Is(2, libc::TCP_NODELAY as u32)
                ],
                &[
                    Test::Is(1, libc::IPPROTO_TCP as u32),
                    Test::Is(2, libc::TCP_KEEPIDLE as u32)
                ],
                &[
                    Test::Is(1, libc::IPPROTO_TCP as u32),
                    Test::Is(2, libc::TCP_KEEPINTVL as u32)
                ],
                &[
                    Test::Is(1, libc::IPPROTO_TCP as u32),
                    Test::Is(2, libc::TCP_KEEPCNT as u32)
                ],
                &[
                    Test::Is(1, libc::IPPROTO_TCP as u32),
                    Test::Is(2, libc::TCP_USER_TIMEOUT as u32)
                ],
                &[
                    Test::Is(1, libc::IPPROTO_TCP as u32),
                    Test::Is(2, libc::TCP_NOTSENT_LOWAT as u32)
                ],
            ]),
            "latency, dead peers, bounded buffers; no packet filters, no binding to devices"
        ),
    ],
};

/// Accepting on an inherited listener.
pub(super) static ACCEPTING: Group = Group {
    purpose: "connections on the listeners that the supervisor bound",
    calls: &[call!(SYS_accept4, "the next connection")],
};

/// Making connections.
pub(super) static CONNECTING: Group = Group {
    purpose: "outgoing TCP, and UDP to the name servers; neither binds a port",
    calls: &[
        call!(
            SYS_socket,
            AnyOf(INTERNET_SOCKETS),
            "TCP and UDP over IPv4 and IPv6; no other family, raw socket or protocol"
        ),
        call!(SYS_connect, "peers, name servers"),
    ],
};

/// Family; type without its flags; protocol.
const INTERNET_SOCKETS: &[&[Test]] = &[
    &[Test::Is(0, libc::AF_INET as u32), STREAM, Test::Is(2, 0)],
    &[
        Test::Is(0, libc::AF_INET as u32),
        STREAM,
        Test::Is(2, libc::IPPROTO_TCP as u32),
    ],
    &[Test::Is(0, libc::AF_INET as u32), DATAGRAM, Test::Is(2, 0)],
    &[
        Test::Is(0, libc::AF_INET as u32),
        DATAGRAM,
        Test::Is(2, libc::IPPROTO_UDP as u32),
    ],
    &[Test::Is(0, libc::AF_INET6 as u32), STREAM, Test::Is(2, 0)],
    &[
        Test::Is(0, libc::AF_INET6 as u32),
        STREAM,
        Test::Is(2, libc::IPPROTO_TCP as u32),
    ],
    &[Test::Is(0, libc::AF_INET6 as u32), DATAGRAM, Test::Is(2, 0)],
    &[
        Test::Is(0, libc::AF_INET6 as u32),
        DATAGRAM,
        Test::Is(2, libc::IPPROTO_UDP as u32),
    ],
];
const TYPE_MASK: u32 = !((libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) as u32);
const STREAM: Test = Test::Masked(1, TYPE_MASK, libc::SOCK_STREAM as u32);
const DATAGRAM: Test = Test::Masked(1, TYPE_MASK, libc::SOCK_DGRAM as u32);
