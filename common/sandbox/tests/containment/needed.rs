//! What a role's work needs: it has to go on inside.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, epoll, poll};
use rustix::fs::{AtFlags, MemfdFlags, Mode, OFlags, RenameFlags, SealFlags};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use sandbox::{Ended, Role};

use crate::worker::{
    Act, CHANNEL, CONNECTION, JOURNAL, LISTENER, LOG, MAP, STORE, borrowed, call, in_sandbox,
    inherited, listen, number, start,
};
use crate::{Bench, Test};

const ALL: &[Role] = &Role::ALL;
const READERS: &[Role] = &[
    Role::Stored,
    Role::Consensusd,
    Role::Keyd,
    Role::Netd,
    Role::Api,
];

/// Roles that need it; name; the act.
const ACTS: &[(&[Role], &str, Act)] = &[
    (ALL, "starts threads that wait for each other", threads),
    (
        ALL,
        "allocates much, by both allocators, in several threads",
        allocations,
    ),
    (ALL, "reads the clock and waits", clocks),
    (ALL, "draws random numbers", randomness),
    (ALL, "waits for events", events),
    (ALL, "exchanges messages", messages),
    (
        ALL,
        "takes a descriptor where one is due",
        takes_a_descriptor,
    ),
    (ALL, "sends a descriptor", sends_a_descriptor),
    (ALL, "asks what a descriptor is", asks_what_a_descriptor_is),
    (READERS, "asks whether a file is locked", asks_for_a_lock),
    (READERS, "reads a map of a file", reads_a_map),
    (
        &[Role::Stored, Role::Keyd],
        "writes a locked journal durably",
        journal,
    ),
    (
        &[Role::Keyd],
        "adds lines to a log and can do nothing else to it",
        log_lines,
    ),
    (
        &[Role::Stored],
        "makes, replaces and removes files of the store",
        store_files,
    ),
    (
        &[Role::Consensusd, Role::Stored],
        "seals a memory file",
        sealed_memory,
    ),
    (
        &[Role::Keyd, Role::Api],
        "locks a secret in memory",
        locked_memory,
    ),
    (&[Role::Netd], "connects to a peer", connects),
    (&[Role::Netd], "asks a name server", asks_by_datagram),
    (&[Role::Netd, Role::Api], "accepts a connection", accepts),
    (
        &[Role::Netd, Role::Api, Role::Rescue],
        "speaks on a connection made before",
        speaks,
    ),
];

pub(crate) fn act(name: &str) -> Option<Act> {
    match name {
        "ends by a panic" => Some(panics),
        _ => ACTS
            .iter()
            .find(|(_, known, _)| *known == name)
            .map(|&(_, _, act)| act),
    }
}

pub(crate) fn tests(role: Role) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for &(_, name, _) in ACTS.iter().filter(|(roles, ..)| roles.contains(&role)) {
        let test = move |bench: &Bench| {
            if matches!(
                name,
                "takes a descriptor where one is due" | "accepts a connection"
            ) {
                return accompanied(bench, role, name);
            }
            assert_eq!(in_sandbox(bench, role, name), Ended::Exited(0));
        };
        tests.push((format!("{role} {name}"), Box::new(test)));
    }
    let panic = move |bench: &Bench| {
        let ended = in_sandbox(bench, role, "ends by a panic");
        assert!(
            matches!(ended, Ended::Aborted | Ended::Crashed(libc::SIGSEGV)),
            "it {ended}"
        );
    };
    tests.push((
        format!("a panic of {role} is no violation"),
        Box::new(panic),
    ));
    tests
}

/// Acts for which the parent has to do its part.
fn accompanied(bench: &Bench, role: Role, name: &str) {
    let mut worker = start(bench, role, name, true);
    assert!(!worker.hear().is_empty(), "not in its sandbox");
    if name == "accepts a connection" {
        let mut stream = TcpStream::connect(worker.listener.local_addr().expect("address"))
            .expect("a connection");
        let mut word = [0; 4];
        stream.read_exact(&mut word).expect("a word");
        assert_eq!(&word, b"word");
    } else {
        let file = tempfile::tempfile().expect("a file");
        send_descriptor(&worker.channel, file.as_fd()).expect("sent");
    }
    assert_eq!(worker.wait(), Ended::Exited(0));
}

/// Sends one byte with a descriptor attached.
pub(crate) fn send_descriptor(
    channel: impl AsFd,
    descriptor: std::os::fd::BorrowedFd<'_>,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    rustix::net::sendmsg(
        channel,
        &[IoSlice::new(b"!")],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

fn check(holds: bool, what: &str) -> io::Result<()> {
    if holds {
        Ok(())
    } else {
        Err(io::Error::other(what.to_owned()))
    }
}

fn threads() -> io::Result<()> {
    let (send, receive) = mpsc::channel();
    let threads: Vec<_> = (0..8_u64)
        .map(|index| {
            let send = send.clone();
            thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || send.send(index))
        })
        .collect::<Result<_, _>>()?;
    drop(send);
    let sum: u64 = receive.iter().sum();
    threads.into_iter().try_for_each(|thread| {
        thread
            .join()
            .map_err(|_| io::Error::other("join"))
            .map(drop)
    })?;
    check(sum == 28, "sum of the threads")
}

fn allocations() -> io::Result<()> {
    let work = || {
        let mut kept = Vec::new();
        for round in 0..2_000_usize {
            kept.push(vec![round as u8; round * 7 % 100_000 + 1]);
            if round % 3 == 0 {
                kept.swap_remove(round % kept.len());
            }
        }
        let layout = Layout::from_size_align(3 << 20, 64).expect("a layout");
        // SAFETY: the layout is not empty, and the memory is given back with the layout that it was got with.
        unsafe {
            let memory = System.alloc(layout);
            assert!(!memory.is_null());
            memory.write_bytes(7, layout.size());
            let larger = System.realloc(memory, layout, 9 << 20);
            assert_eq!(larger.read(), 7);
            System.dealloc(larger, Layout::from_size_align_unchecked(9 << 20, 64));
            for size in (16..4_096).step_by(16) {
                let layout = Layout::from_size_align_unchecked(size, 8);
                System.dealloc(System.alloc(layout), layout);
            }
        }
        kept.len()
    };
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(work)).collect();
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("join"))?;
    }
    Ok(())
}

fn clocks() -> io::Result<()> {
    let start = Instant::now();
    let pair = (Mutex::new(()), Condvar::new());
    let guard = pair.0.lock().expect("no panic");
    let (_guard, result) = pair
        .1
        .wait_timeout_while(guard, Duration::from_millis(2), |()| true)
        .expect("no panic");
    check(
        result.timed_out() && start.elapsed() >= Duration::from_millis(2),
        "a bounded wait",
    )?;
    let moment = rustix::thread::Timespec {
        tv_sec: 0,
        tv_nsec: 1,
    };
    check(
        matches!(
            rustix::thread::nanosleep(&moment),
            rustix::thread::NanosleepRelativeResult::Ok
        ),
        "a short sleep",
    )?;
    // By the system call, as where the clock source has no other way.
    let mut time = [0_i64; 2];
    call(
        libc::SYS_clock_gettime,
        [libc::CLOCK_REALTIME.into(), time.as_mut_ptr() as i64],
    )?;
    check(time[0] > 1_700_000_000, "the time of day")
}

fn randomness() -> io::Result<()> {
    let map: HashMap<u32, u32> = (0..100).map(|key| (key, key)).collect();
    let mut bytes = [0_u8; 32];
    call(libc::SYS_getrandom, [bytes.as_mut_ptr() as i64, 32, 0])?;
    check(map[&7] == 7 && bytes != [0; 32], "random bytes")
}

fn events() -> io::Result<()> {
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let event = Arc::new(rustix::event::eventfd(
        0,
        EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
    )?);
    epoll::add(
        &queue,
        &*event,
        epoll::EventData::new_u64(7),
        epoll::EventFlags::IN,
    )?;
    let waker = thread::spawn({
        let event = Arc::clone(&event);
        move || rustix::io::write(&*event, &1_u64.to_ne_bytes())
    });
    let mut list = [epoll::Event {
        flags: epoll::EventFlags::empty(),
        data: epoll::EventData::new_u64(0),
    }; 4];
    let woken = epoll::wait(&queue, &mut list[..], None)?;
    waker.join().map_err(|_| io::Error::other("join"))??;
    let polled = poll(&mut [PollFd::new(&*event, PollFlags::IN)], None)?;
    // libc's own wait, which event loops of others use.
    let mut list = [libc::epoll_event { events: 0, u64: 0 }; 4];
    // SAFETY: four entries to write to.
    let waited = unsafe { libc::epoll_wait(number(&queue) as i32, list.as_mut_ptr(), 4, -1) };
    check((woken, polled, waited) == (1, 1, 1), "one event")
}

/// Our own end of the channel, as the standard library has it.
fn channel() -> UnixStream {
    UnixStream::from(inherited(CHANNEL))
}

fn messages() -> io::Result<()> {
    let channel = channel();
    channel.set_read_timeout(Some(Duration::from_secs(5)))?;
    let second = channel.try_clone()?;
    second.set_nonblocking(true)?;
    check(channel.take_error()?.is_none(), "no error")?;
    let mut byte = [0];
    let result = rustix::net::recv(&second, &mut byte, RecvFlags::DONTWAIT);
    check(result == Err(rustix::io::Errno::AGAIN), "nothing to read")?;
    check(
        (&second).write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")])? == 2,
        "both written",
    )?;
    rustix::net::send(&second, b"c", SendFlags::NOSIGNAL)?;
    second.shutdown(std::net::Shutdown::Write)?;
    eprint!("");
    Ok(())
}

fn takes_a_descriptor() -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    rustix::net::recvmsg(
        borrowed(CHANNEL),
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        flags,
    )?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
            let file = descriptors.next().ok_or_else(|| io::Error::other("none"))?;
            let stat = rustix::fs::fstat(&file)?;
            let metadata = std::fs::File::from(file).metadata()?;
            return check(
                stat.st_mode & libc::S_IFMT == libc::S_IFREG && metadata.is_file(),
                "a file",
            );
        }
    }
    check(false, "a descriptor")
}

/// As the receiver of a descriptor asks what it got.
fn asks_what_a_descriptor_is() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketType, sockopt};
    let (listener, connection) = (borrowed(LISTENER), borrowed(CONNECTION));
    check(
        sockopt::socket_acceptconn(listener)? && !sockopt::socket_acceptconn(connection)?,
        "listens or not",
    )?;
    check(
        sockopt::socket_type(connection)? == SocketType::STREAM,
        "a stream",
    )?;
    check(
        sockopt::socket_domain(listener)? == AddressFamily::INET,
        "of the internet",
    )?;
    check(
        rustix::fs::fcntl_get_seals(borrowed(MAP)).is_err(),
        "a file of a disk has no seals",
    )
}

/// As a reader asks whether the writer of the store lives.
fn asks_for_a_lock() -> io::Result<()> {
    check(
        lock(MAP, libc::F_OFD_GETLK, libc::F_RDLCK)? == libc::F_UNLCK,
        "nobody writes",
    )
}

fn lock(descriptor: i32, command: i32, kind: i32) -> io::Result<i32> {
    // SAFETY: a structure of numbers, for which zero is "the whole file".
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = kind as libc::c_short;
    // SAFETY: the system reads and writes the structure for the length of the call.
    match unsafe { libc::fcntl(descriptor, command, &raw mut range) } {
        0 => Ok(range.l_type.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn sends_a_descriptor() -> io::Result<()> {
    send_descriptor(borrowed(CHANNEL), borrowed(CONNECTION))
}

fn reads_a_map() -> io::Result<()> {
    let file = std::fs::File::from(inherited(MAP));
    let length = file.metadata()?.len();
    // SAFETY: nobody changes the file while the test runs.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    let mut copy = [0; 7];
    file.read_exact_at(&mut copy, 0)?;
    check(
        &map[..] == b"content" && copy == map[..] && length == 7,
        "the content",
    )
}

fn journal() -> io::Result<()> {
    let file = std::fs::File::from(inherited(JOURNAL));
    file.try_lock()?;
    file.write_all_at(b"ceiling", 8)?;
    file.sync_data()?;
    file.sync_all()?;
    let mut back = [0; 7];
    file.read_exact_at(&mut back, 8)?;
    check(&back == b"ceiling", "what was written")
}

/// Whatever way it writes, the lines before stay.
fn log_lines() -> io::Result<()> {
    let file = std::fs::File::from(inherited(LOG));
    (&file).write_all(b"one\n")?;
    file.write_all_at(b"two\n", 0)?;
    // SAFETY: nobody else changes the file.
    let map = unsafe { memmap2::MmapOptions::new().len(8).map_mut(&file) };
    check(map.is_err(), "no writable map")?;
    file.sync_data()?;
    check(file.metadata()?.len() == 8, "both lines")
}

fn store_files() -> io::Result<()> {
    let store = borrowed(STORE);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = std::fs::File::from(rustix::fs::openat(
        store,
        c"etch.new",
        flags,
        Mode::RUSR | Mode::WUSR,
    )?);
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 8_192)?;
    file.set_len(4_096)?;
    check(rustix::fs::fstatfs(&file)?.f_bsize > 0, "free space")?;
    check(
        lock(number(&file) as i32, libc::F_OFD_SETLK, libc::F_WRLCK)? == libc::F_WRLCK,
        "the lock of the writer",
    )?;
    file.write_all_at(b"etch", 0)?;
    rustix::fs::fcntl_get_seals(rustix::fs::memfd_create(
        c"page",
        MemfdFlags::ALLOW_SEALING,
    )?)?;
    // SAFETY: numbers only.
    let started =
        unsafe { libc::sync_file_range(number(&file) as i32, 0, 4, libc::SYNC_FILE_RANGE_WRITE) };
    check(started == 0, "write-back")?;
    // SAFETY: the file is this test's own.
    let mut map = unsafe { memmap2::MmapMut::map_mut(&file)? };
    map[4] = 1;
    map.flush()?;
    file.sync_data()?;
    rustix::fs::renameat(store, c"etch.new", store, c"etch")?;
    rustix::fs::renameat_with(store, c"etch", store, c"etch.old", RenameFlags::NOREPLACE)?;
    rustix::fs::fsync(rustix::fs::openat(
        store,
        c".",
        OFlags::RDONLY | OFlags::DIRECTORY,
        Mode::empty(),
    )?)?;
    let listing = std::fs::read_dir("/")?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()?;
    check(
        listing.iter().any(|name| name == "etch.old"),
        "the directory is the root",
    )?;
    rustix::fs::unlinkat(store, c"etch.old", AtFlags::empty())?;
    Ok(())
}

fn sealed_memory() -> io::Result<()> {
    let file = rustix::fs::memfd_create(c"batch", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&file, 5)?;
    rustix::io::pwrite(&file, b"cells", 0)?;
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL,
    )?;
    check(
        rustix::io::pwrite(&file, b"other", 0) == Err(rustix::io::Errno::PERM),
        "no change afterwards",
    )?;
    send_descriptor(borrowed(CHANNEL), file.as_fd())
}

fn locked_memory() -> io::Result<()> {
    let mut map = memmap2::MmapMut::map_anon(4_096)?;
    map.lock()?;
    map.advise(memmap2::Advice::DontDump)?;
    map[0] = 42;
    map.unlock()
}

fn connects() -> io::Result<()> {
    let port = std::env::var("PORT")
        .expect("a port")
        .parse()
        .expect("a number");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
    check(
        stream.peer_addr()? == address && stream.local_addr()?.port() != 0,
        "its addresses",
    )?;
    stream.write_all(b"word")
}

fn asks_by_datagram() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
    let port = std::env::var("PORT")
        .expect("a port")
        .parse()
        .expect("a number");
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        flags,
        Some(ipproto::UDP),
    )?;
    rustix::net::connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    rustix::net::send(&socket, b"question", SendFlags::NOSIGNAL)?;
    Ok(())
}

fn accepts() -> io::Result<()> {
    let listener = TcpListener::from(inherited(LISTENER));
    let (mut stream, peer) = listener.accept()?;
    stream.set_nodelay(true)?;
    check(peer.ip().is_loopback(), "the peer")?;
    stream.write_all(b"word")
}

fn speaks() -> io::Result<()> {
    let mut stream = TcpStream::from(inherited(CONNECTION));
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    check(byte == *b"!", "the byte of the other end")?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))
}

/// As with `panic = "abort"`: the hook writes its message, with the backtrace that the environment asks for, and the process
/// aborts.
fn panics() -> io::Result<()> {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    panic!("this message is part of the test");
}

/// How many descriptors the process has.
pub(crate) fn count_descriptors() -> usize {
    // SAFETY: asks only; what is not open gives an error.
    (0..256)
        .filter(|&number| unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0)
        .count()
}

/// Reads what the parent sends with a descriptor attached, and tells how many descriptors came of it.
pub(crate) fn descriptors_that_arrive(with_control_buffer: bool) -> usize {
    let before = count_descriptors();
    if with_control_buffer {
        takes_a_descriptor_and_keeps_it();
    } else {
        listen();
    }
    count_descriptors() - before
}

fn takes_a_descriptor_and_keeps_it() {
    let mut control = [0_u64; 8];
    let mut byte = [0_u8; 1];
    let mut vector = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    // SAFETY: a structure of numbers and pointers, for which zero is "none".
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: the buffers live as long as the call. What arrives stays open, as in a process that is not careful.
    let length = unsafe { libc::recvmsg(CHANNEL, &raw mut message, 0) };
    assert_eq!(length, 1);
}

/// Opens descriptors until the system refuses one; gives how many there are then.
pub(crate) fn descriptors_that_fit() -> usize {
    // SAFETY: a descriptor of our own; the copies stay open until the process ends.
    while unsafe { libc::fcntl(CHANNEL, libc::F_DUPFD_CLOEXEC, 0) } >= 0 {}
    // SAFETY: as above; nothing else owns it.
    drop(unsafe { OwnedFd::from_raw_fd(20) });
    count_descriptors() + 1
}
