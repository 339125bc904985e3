//! What concerns a worker as a process: its report against the kernel's own view, its neighbours, its parent, its minimum.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Command};
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::thread::{CapabilitySet, CapabilitySets};
use sandbox::{Ended, Identity, Layer, Requirements, Role, SandboxError, Spawn, SpawnError};

use crate::needed::{descriptors_that_arrive, descriptors_that_fit, send_descriptor};
use crate::worker::{
    ACT, CHANNEL, DONE, ROLE, STORE, borrowed, call, enter, hear, listen, policy, start, tell,
};
use crate::{Bench, NOBODY, Test};

/// Acts of workers that enter by themselves.
pub(crate) fn act(name: &str) -> Option<fn(Role) -> !> {
    Some(match name {
        "waits in its sandbox" => |role| {
            enter(role);
            listen();
            process::exit(DONE)
        },
        "waits without a sandbox" => |_| {
            // A process may not look into one that has a capability more: this is not what is to be shown here.
            drop_capabilities();
            tell("waiting");
            listen();
            process::exit(DONE)
        },
        "reads without a control buffer" => |role| {
            enter(role);
            tell(&descriptors_that_arrive(false).to_string());
            process::exit(DONE)
        },
        "reads with a control buffer" => |role| {
            enter(role);
            tell(&descriptors_that_arrive(true).to_string());
            process::exit(DONE)
        },
        "opens what it can" => |role| {
            enter(role);
            tell(&descriptors_that_fit().to_string());
            process::exit(DONE)
        },
        "enters with a second thread" => |role| {
            let (done, wait) = std::sync::mpsc::channel::<()>();
            let thread = thread::spawn(move || wait.recv());
            assert_eq!(
                sandbox::enter(&policy(role), &Requirements::none()),
                Err(SandboxError::Threads)
            );
            drop(done);
            let _ = thread.join();
            process::exit(DONE)
        },
        "demands what it can't have" => |role| {
            let mut debugging = policy(role);
            debugging.violation = sandbox::policy::Violation::Errno;
            let error = sandbox::enter(&debugging, &Requirements::list([Layer::Seccomp]))
                .expect_err("below the minimum");
            tell(&error.to_string());
            process::exit(error.exit_code().into())
        },
        "tells its environment" => |_| {
            let variables: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
            let open = (0..64)
                .filter(|&fd| rustix::io::fcntl_getfd(borrowed(fd)).is_ok())
                .map(|fd| fd.to_string());
            tell(&format!(
                "{} | {}",
                variables.join(" "),
                open.collect::<Vec<_>>().join(" ")
            ));
            process::exit(DONE)
        },
        "leans on landlock" => |role| lean_on_landlock(role),
        "supervises" => |role| supervise(role, borrowed(CHANNEL), borrowed(STORE)),
        "supervises without root" => |_| supervise_without_root(),
        "supervises where namespaces are used up" => |role| {
            use_up_namespaces();
            supervise_by_hand(role)
        },
        "supervises in a container" => |role| {
            refuse_as_a_container();
            supervise_by_hand(role)
        },
        _ => return None,
    })
}

/// Enters with a list that only logs, as an ordinary process that nobody prepared, and tells what it is refused.
fn lean_on_landlock(role: Role) -> ! {
    let store = fs::File::open(std::env::var_os("STORE").expect("a path")).expect("the store");
    let port: u16 = std::env::var("PORT")
        .expect("a port")
        .parse()
        .expect("a number");
    let mut lenient = match role {
        Role::Stored => sandbox::policy::stored(store.as_fd()),
        _ => policy(role),
    };
    lenient.violation = sandbox::policy::Violation::Log;
    sandbox::enter(&lenient, &Requirements::none()).expect("no minimum");
    let refused = |result: std::io::Result<()>| {
        result
            .err()
            .and_then(|error| error.raw_os_error())
            .unwrap_or(0)
    };
    let answers = [
        refused(fs::File::open("/etc/passwd").map(drop)),
        refused(fs::File::open(std::env::var_os("OUTSIDE").expect("a path")).map(drop)),
        refused(
            rustix::fs::openat(&store, c"file", OFlags::RDWR, Mode::empty())
                .map(drop)
                .map_err(Into::into),
        ),
        refused(TcpListener::bind("127.0.0.1:0").map(drop)),
        refused(TcpStream::connect(("127.0.0.1", port)).map(drop)),
        refused(
            call(
                libc::SYS_kill,
                [std::os::unix::process::parent_id().into(), 0],
            )
            .map(drop),
        ),
    ];
    println!("{answers:?}");
    process::exit(DONE)
}

fn landlock_alone(bench: &Bench) {
    // Asks for the version; an older kernel has less to lean on, and says so in its reports.
    if call(libc::SYS_landlock_create_ruleset, [0, 0, 1]).unwrap_or(0) < 6 {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (access, permission) = (libc::EACCES, libc::EPERM);
    for role in Role::ALL {
        let path = |name: &str| bench.directory.path().join(name);
        let mut worker = Command::new(&bench.program);
        worker
            .env_clear()
            .env(ACT, "leans on landlock")
            .env(ROLE, role.name());
        worker
            .env("STORE", path("store"))
            .env("OUTSIDE", path("outside/file"));
        worker.env(
            "PORT",
            listener.local_addr().expect("address").port().to_string(),
        );
        if let Some(Identity { uid, gid }) = bench.identity {
            worker.uid(uid).gid(gid);
        }
        let output = worker.output().expect("the worker starts");
        assert!(output.status.success(), "{output:?}");
        let file = if role == Role::Stored { 0 } else { access };
        let connect = if role == Role::Netd { 0 } else { access };
        // The signal goes to this process; as root another uid alone would keep it off.
        let expected = [access, access, file, access, connect, permission];
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            format!("{expected:?}"),
            "{role}"
        );
    }
}

/// A supervisor in a process of its own: it starts one worker that waits, and waits itself.
fn supervise(role: Role, channel: BorrowedFd<'_>, store: BorrowedFd<'_>) -> ! {
    let program = std::env::current_exe().expect("own path");
    let child = Spawn::new(&program, role)
        .env(ACT, "waits in its sandbox")
        .env(ROLE, role.name())
        .descriptor(CHANNEL, channel)
        .descriptor(STORE, store)
        .start()
        .expect("the worker starts");
    let _ = child.wait();
    process::exit(DONE)
}

/// The same for a supervisor that was not spawned itself: its standard input is the channel.
fn supervise_by_hand(role: Role) -> ! {
    let store = fs::File::open(std::env::var_os("STORE").expect("a path")).expect("the store");
    supervise(role, std::io::stdin().as_fd(), store.as_fd())
}

/// The user of a supervisor that is not root.
const SUPERVISOR: u32 = 65_533;

/// What a service manager does before it starts such a supervisor: a user of its own, and of root's rights only those that it
/// needs for its workers.
fn become_supervisor() -> std::io::Result<()> {
    let rights = [
        CapabilitySet::SETUID,
        CapabilitySet::SETGID,
        CapabilitySet::SETPCAP,
        CapabilitySet::SYS_ADMIN,
        CapabilitySet::SYS_CHROOT,
    ];
    let all = rights.into_iter().collect();
    let (uid, gid) = (
        rustix::process::Uid::from_raw(SUPERVISOR),
        rustix::process::Gid::from_raw(SUPERVISOR),
    );
    rustix::thread::set_keep_capabilities(true)?;
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: all,
            permitted: all,
            inheritable: all,
        },
    )?;
    for right in rights {
        rustix::thread::configure_capability_in_ambient_set(right, true)?;
    }
    Ok(())
}

/// Starts workers of another user, and ends them, each twice: nothing of the first end may be in the way of the second start.
fn supervise_without_root() -> ! {
    let store = fs::File::open(std::env::var_os("STORE").expect("a path")).expect("the store");
    let program = std::env::current_exe().expect("own path");
    for role in [Role::Keyd, Role::Keyd, Role::Stored, Role::Stored] {
        let (mut ours, theirs) = UnixStream::pair().expect("a channel");
        let child = Spawn::new(&program, role)
            .env(ACT, "waits in its sandbox")
            .env(ROLE, role.name())
            .descriptor(CHANNEL, theirs.as_fd())
            .descriptor(STORE, store.as_fd())
            .identity(Identity {
                uid: NOBODY,
                gid: NOBODY,
            })
            .start()
            .expect("the worker starts");
        let report = hear(&mut ours);
        everything_is_in_force(&report);
        let uid = format!("{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}");
        assert_eq!(status_of(child.pid(), "Uid"), uid);
        assert_eq!(status_of(child.pid(), "Groups"), "");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(status_of(child.pid(), set), "0000000000000000", "{set}");
        }
        assert!(child.usage().memory > 0);

        let directly = rustix::process::pidfd_send_signal(&child, rustix::process::Signal::KILL);
        assert_eq!(directly, Err(rustix::io::Errno::PERM));
        child.kill().expect("killed as its own user");
        assert_eq!(child.wait().expect("its end"), Ended::Killed(libc::SIGKILL));
        assert!(child.kill().is_err(), "waited for already");
        assert_eq!(child.usage(), sandbox::Usage::default());
        assert_eq!(rustix::process::geteuid().as_raw(), SUPERVISOR);
    }
    process::exit(DONE)
}

fn without_root(bench: &Bench) {
    if bench.identity.is_none() {
        // An ordinary user can't start such a one.
        return;
    }
    let mut supervisor = Command::new(&bench.program);
    supervisor
        .env_clear()
        .env(ACT, "supervises without root")
        .env(ROLE, Role::Keyd.name())
        .env("STORE", bench.directory.path().join("store"));
    // SAFETY: only makes system calls.
    unsafe { supervisor.pre_exec(become_supervisor) };
    assert!(supervisor.status().expect("it starts").success());
}

/// What container engines refuse to processes without privileges: namespaces, mounts, and `clone3`, which is said not to exist.
fn refuse_as_a_container() {
    use seccompiler::{
        SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };
    let namespace = |flag: i32| {
        let flag = flag as u64;
        SeccompCondition::new(
            0,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(flag),
            flag,
        )
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .expect("a rule")
    };
    let namespaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
    ];
    let refused = [
        (libc::SYS_clone, namespaces.map(namespace).to_vec()),
        (libc::SYS_unshare, Vec::new()),
        (libc::SYS_mount, Vec::new()),
        (libc::SYS_mount_setattr, Vec::new()),
    ];
    let filters = [
        (libc::EPERM, refused.to_vec()),
        (libc::ENOSYS, vec![(libc::SYS_clone3, Vec::new())]),
    ];
    for (errno, rules) in filters {
        let architecture = std::env::consts::ARCH
            .try_into()
            .expect("a known processor");
        let action = SeccompAction::Errno(errno.unsigned_abs());
        let filter = SeccompFilter::new(
            rules.into_iter().collect(),
            SeccompAction::Allow,
            action,
            architecture,
        );
        let program: seccompiler::BpfProgram =
            filter.and_then(TryInto::try_into).expect("a filter");
        seccompiler::apply_filter(&program).expect("a container");
    }
}

/// Makes a user namespace that may hold no other, and keeps no capability in it: an ordinary user on a hardened system.
fn use_up_namespaces() {
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    // SAFETY: this process has one thread, and its memory stays as it is.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWUSER) }
        .expect("a user namespace");
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).expect("uid");
    fs::write("/proc/self/setgroups", "deny").expect("setgroups");
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).expect("gid");
    fs::write("/proc/sys/user/max_user_namespaces", "0").expect("a limit of this namespace");
    drop_capabilities();
}

fn drop_capabilities() {
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
    .expect("no capabilities");
}

/// A sentence and what it takes to find out whether it is true.
type Named = (&'static str, fn(&Bench));

pub(crate) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for role in Role::ALL {
        tests.push((
            format!("the report of {role} agrees with the kernel"),
            Box::new(move |bench| report_is_true(bench, role)),
        ));
    }
    let named: [Named; 15] = [
        (
            "a descriptor that is not due is dropped by reading without a control buffer",
            undue_descriptors,
        ),
        (
            "a worker opens no more descriptors than its limit",
            limited_descriptors,
        ),
        (
            "another process of the worker's user can't read its memory",
            memory_is_closed,
        ),
        ("a sandbox is not entered with a second thread", |bench| {
            assert_eq!(
                start(bench, Role::Keyd, "enters with a second thread", true).wait(),
                Ended::Exited(DONE)
            );
        }),
        ("a worker below its minimum says what is missing", minimum),
        (
            "a worker gets its own environment and descriptors and no others",
            nothing_stray,
        ),
        ("a worker ends with its supervisor", orphans),
        (
            "a supervisor that is not root gives its workers users and ends them",
            without_root,
        ),
        (
            "a worker without namespaces is confined by what is left",
            without_namespaces,
        ),
        (
            "a worker in a container is confined by what is left",
            in_a_container,
        ),
        ("landlock holds where no other layer does", landlock_alone),
        (
            "a program that does not exist is an error of the start",
            no_program,
        ),
        (
            "an identity that can't be taken is an error of the start",
            no_identity,
        ),
        (
            "a worker that is killed is told from one that broke out",
            killed,
        ),
        ("numbers given twice are an error of the start", |bench| {
            let null = fs::File::open("/dev/null").expect("null");
            let spawn = Spawn::new(&bench.program, Role::Keyd)
                .descriptor(3, null.as_fd())
                .descriptor(3, null.as_fd());
            assert!(matches!(
                spawn.start(),
                Err(SpawnError::Arguments(Role::Keyd))
            ));
        }),
    ];
    tests.extend(named.map(|(name, test)| -> Test { (name.to_owned(), Box::new(test)) }));
    tests
}

/// The states by layer of a report's text.
fn states(report: &str) -> impl Fn(Layer) -> String {
    let lines: Vec<Vec<String>> = report
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect();
    move |layer| {
        let line = lines
            .iter()
            .find(|words| words[1] == layer.name())
            .expect("every layer is reported");
        line[2].trim_end_matches(':').to_owned()
    }
}

fn status_of(pid: u32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .expect("a field");
    value.trim().to_owned()
}

fn report_is_true(bench: &Bench, role: Role) {
    let mut worker = start(bench, role, "waits in its sandbox", true);
    let report = worker.hear();
    let state = states(&report);
    let enforced = |layer| state(layer) == "enforced";
    let pid = worker.child.pid();

    assert!(
        enforced(Layer::Seccomp) && enforced(Layer::NoNewPrivileges) && enforced(Layer::CoreDumps),
        "{report}"
    );
    assert_eq!(status_of(pid, "Seccomp"), "2");
    assert_eq!(status_of(pid, "NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status_of(pid, set), "0000000000000000", "{set}");
    }
    assert_eq!(
        enforced(Layer::Capabilities),
        status_of(pid, "CapBnd") == "0000000000000000"
    );
    if let Some(Identity { uid, .. }) = bench.identity {
        assert!(enforced(Layer::Identity), "{report}");
        assert_eq!(status_of(pid, "Uid"), format!("{uid}\t{uid}\t{uid}\t{uid}"));
        assert_eq!(status_of(pid, "Groups"), "");
    } else {
        assert_eq!(state(Layer::Identity), "partial", "{report}");
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .expect("a limit");
    assert_eq!(
        core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
        ["0", "0"]
    );

    let namespace = |of: &str, kind: &str| fs::read_link(format!("/proc/{of}/ns/{kind}"));
    let kinds = [
        (Layer::UserNamespace, "user"),
        (Layer::MountNamespace, "mnt"),
        (Layer::PidNamespace, "pid"),
        (Layer::NetworkNamespace, "net"),
        (Layer::IpcNamespace, "ipc"),
        (Layer::UtsNamespace, "uts"),
    ];
    for (layer, kind) in kinds {
        // An ordinary user sees these of a process that is not dumpable only if he owns its user namespace.
        let (Ok(own), Ok(other)) = (namespace("self", kind), namespace(&pid.to_string(), kind))
        else {
            assert!(bench.identity.is_none() && !enforced(Layer::UserNamespace));
            continue;
        };
        assert_eq!(own != other, enforced(layer), "{kind}: {report}");
    }
    if role.uses_network() {
        assert_eq!(state(Layer::NetworkNamespace), "off");
    }
    if enforced(Layer::Root)
        && let Ok(root) = fs::read_link(format!("/proc/{pid}/root"))
    {
        let store = bench.directory.path().join("store");
        assert_eq!(root == store, role == Role::Stored, "{}", root.display());
        assert_ne!(root, std::path::Path::new("/"));
    }
    if enforced(Layer::MountNamespace)
        && let Ok(mounts) = fs::read_to_string(format!("/proc/{pid}/mountinfo"))
    {
        let writable = mounts.lines().find(|line| {
            line.split(' ')
                .nth(5)
                .is_some_and(|options| options.starts_with("rw"))
        });
        assert_eq!(writable, None);
    }
    if bench.identity.is_some() {
        everything_is_in_force(&report);
    }
    worker.say();
    assert_eq!(worker.wait(), Ended::Exited(DONE));
}

/// Everything there is, where the kernel has it and the supervisor has root's rights.
fn everything_is_in_force(report: &str) {
    if call(libc::SYS_landlock_create_ruleset, [0, 0, 1]).unwrap_or(0) >= 6 {
        let state = states(report);
        let missing = Layer::ALL
            .into_iter()
            .find(|&layer| !matches!(state(layer).as_str(), "enforced" | "off"));
        assert_eq!(missing, None, "{report}");
    }
}

fn undue_descriptors(bench: &Bench) {
    for (act, arrived) in [
        ("reads without a control buffer", "0"),
        ("reads with a control buffer", "1"),
    ] {
        for role in Role::ALL {
            let mut worker = start(bench, role, act, true);
            worker.hear();
            send_descriptor(&worker.channel, worker.channel.as_fd()).expect("sent");
            assert_eq!(worker.hear(), arrived, "{role} {act}");
            assert_eq!(worker.wait(), Ended::Exited(DONE));
        }
    }
}

fn limited_descriptors(bench: &Bench) {
    let mut worker = start(bench, Role::Consensusd, "opens what it can", true);
    worker.hear();
    assert_eq!(worker.hear(), "64");
    assert_eq!(worker.wait(), Ended::Exited(DONE));
}

/// Reads from another process's memory as the worker's user, from a process that has no capability.
fn read_memory_as_nobody(pid: u32, address: u64) -> bool {
    let mut reader = Command::new("/bin/dd");
    reader.arg(format!("if=/proc/{pid}/mem")).args([
        "of=/dev/null",
        "bs=1",
        "count=1",
        "status=none",
    ]);
    reader
        .arg(format!("skip={address}"))
        .arg("iflag=skip_bytes")
        .stderr(process::Stdio::null());
    if rustix::process::geteuid().is_root() {
        reader.uid(NOBODY).gid(NOBODY);
    }
    reader.status().expect("dd starts").success()
}

fn memory_is_closed(bench: &Bench) {
    for (act, readable) in [
        ("waits without a sandbox", true),
        ("waits in its sandbox", false),
    ] {
        for role in Role::ALL {
            let mut worker = start(bench, role, act, true);
            let report = worker.hear();
            let pid = worker.child.pid();
            if !readable && report.contains("user-namespace     enforced") {
                // Who made the user namespace can look in; what matters is a neighbour, in a namespace of its own.
                assert!(report.contains("not-dumpable       partial"), "{report}");
                assert!(!readable_by_a_neighbour(pid));
            } else {
                // The address of its program, which is mapped for reading; only root may ask for it.
                let address = own_address(pid).unwrap_or(0);
                assert_eq!(
                    read_memory_as_nobody(pid, address),
                    readable,
                    "{role} {act}: {report}"
                );
            }
            worker.say();
            assert_eq!(worker.wait(), Ended::Exited(DONE));
        }
    }
}

fn own_address(pid: u32) -> Option<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    u64::from_str_radix(maps.split('-').next()?, 16).ok()
}

/// Whether a worker of the same user that has not even entered its sandbox can open the memory of this one.
fn readable_by_a_neighbour(pid: u32) -> bool {
    let script = format!("if : </proc/{pid}/mem; then exit 7; fi");
    let child = Spawn::new("/bin/sh".as_ref(), Role::Consensusd)
        .arg("-c")
        .arg(script)
        .start()
        .expect("sh starts");
    let own = "if : </proc/self/mem; then exit 7; fi";
    let control = Spawn::new("/bin/sh".as_ref(), Role::Consensusd)
        .arg("-c")
        .arg(own)
        .start()
        .expect("sh starts");
    assert_eq!(
        control.wait().expect("its end"),
        Ended::Exited(7),
        "its own memory it can open"
    );
    child.wait().expect("its end") == Ended::Exited(7)
}

fn minimum(bench: &Bench) {
    let mut worker = start(bench, Role::Keyd, "demands what it can't have", true);
    let text = worker.hear();
    assert!(
        text.contains("seccomp is partial") && text.contains("minimum"),
        "{text}"
    );
    assert_eq!(worker.wait(), Ended::Exited(78));
}

fn nothing_stray(bench: &Bench) {
    // A descriptor that is not close-on-exec, as a library might leave one.
    let stray = fs::File::open("/dev/null").expect("null");
    rustix::io::fcntl_setfd(&stray, rustix::io::FdFlags::empty()).expect("a flag");
    let mut worker = start(bench, Role::Keyd, "tells its environment", true);
    let text = worker.hear();
    let (variables, open) = text.split_once(" | ").expect("two lists");
    let mut variables: Vec<&str> = variables.split(' ').collect();
    variables.sort_unstable();
    let expected = [
        "CONVEXD_SANDBOX_PREPARED",
        "PORT",
        "RUST_BACKTRACE",
        "SANDBOX_TEST_ACT",
        "SANDBOX_TEST_ROLE",
    ];
    assert_eq!(variables, expected);
    assert_eq!(open, "0 1 2 3 4 5 6 7 8 9 10");
    assert_eq!(worker.wait(), Ended::Exited(DONE));
}

fn orphans(bench: &Bench) {
    for role in Role::ALL {
        let mut supervisor = start(bench, role, "supervises", true);
        assert!(supervisor.hear().contains("seccomp            enforced"));
        supervisor.child.kill().expect("killed");
        assert_eq!(supervisor.wait(), Ended::Killed(libc::SIGKILL));
        // The end comes when the last process that holds the other end is gone.
        assert_eq!(
            supervisor.channel.read(&mut [0]).expect("the end"),
            0,
            "{role}"
        );
    }
}

fn without_namespaces(bench: &Bench) {
    confined_by_what_is_left(
        bench,
        "supervises where namespaces are used up",
        "No space left on device",
    );
}

fn in_a_container(bench: &Bench) {
    confined_by_what_is_left(
        bench,
        "supervises in a container",
        "Operation not permitted",
    );
}

fn confined_by_what_is_left(bench: &Bench, act: &str, reason: &str) {
    for role in Role::ALL {
        let (mut ours, theirs) = UnixStream::pair().expect("a channel");
        let mut supervisor = Command::new(&bench.program);
        supervisor.env_clear().env(ACT, act).env(ROLE, role.name());
        supervisor
            .env("STORE", bench.directory.path().join("store"))
            .stdin(OwnedFd::from(theirs));
        if let Some(Identity { uid, gid }) = bench.identity {
            supervisor.uid(uid).gid(gid);
        }
        let mut supervisor = supervisor.spawn().expect("the supervisor starts");
        let report = hear(&mut ours);
        let state = states(&report);
        for layer in [
            Layer::UserNamespace,
            Layer::MountNamespace,
            Layer::PidNamespace,
            Layer::IpcNamespace,
            Layer::UtsNamespace,
            Layer::Root,
        ] {
            assert_eq!(state(layer), "unavailable", "{report}");
        }
        for layer in [
            Layer::Seccomp,
            Layer::NoNewPrivileges,
            Layer::NotDumpable,
            Layer::CoreDumps,
            Layer::ParentDeath,
        ] {
            assert_eq!(state(layer), "enforced", "{report}");
        }
        assert!(report.contains(reason), "{report}");
        ours.write_all(b"!").expect("a word to the worker");
        assert!(supervisor.wait().expect("its end").success());
    }
}

fn no_program(bench: &Bench) {
    let spawn = Spawn::new(&bench.directory.path().join("missing"), Role::Netd);
    let text = spawn.start().expect_err("no such program").to_string();
    assert_eq!(
        text,
        "netd: can't execute the program: No such file or directory (os error 2)"
    );
}

fn no_identity(bench: &Bench) {
    if bench.identity.is_some() {
        return assert!(rustix::process::geteuid().is_root());
    }
    let spawn = Spawn::new(&bench.program, Role::Netd).identity(Identity { uid: 1, gid: 1 });
    let text = spawn.start().expect_err("no right").to_string();
    assert!(
        text.contains("netd: can't") && text.contains("Operation not permitted"),
        "{text}"
    );
}

fn killed(bench: &Bench) {
    let mut worker = start(bench, Role::Keyd, "waits in its sandbox", true);
    worker.hear();
    assert_eq!(worker.child.try_wait().expect("it runs"), None);
    worker.child.kill().expect("killed");
    assert_eq!(worker.wait(), Ended::Killed(libc::SIGKILL));
    assert!(worker.child.try_wait().is_err(), "waited for already");
}
