//! What a worker can't do in its sandbox, and what it still can: real processes, by table.
//!
//! The test program starts itself as the worker, since a sandbox is entered before a second thread exists, and Rust's test
//! harness is made of threads. As root everything is tried twice: with workers under a user of their own, and once more by an
//! ordinary user, whose workers get what user namespaces give. Every act is also done without a sandbox, so that what is refused
//! inside is known to be refused by the sandbox.

mod forbidden;
mod needed;
mod processes;
mod worker;

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use sandbox::{Identity, Role};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The user that nothing belongs to.
const NOBODY: u32 = 65_534;

/// Told to the second run that it is the ordinary user's.
const AS_USER: &str = "SANDBOX_TEST_AS_USER";

/// A test: its name as a sentence, and what it does; it panics if it fails.
type Test = (String, Box<dyn Fn(&Bench)>);

/// Where the workers of this run live.
struct Bench {
    /// The test program, where every user can read it.
    program: PathBuf,
    /// A directory that the worker's user may write.
    directory: TempDir,
    /// The worker's user, where it is another one.
    identity: Option<Identity>,
}

impl Bench {
    fn new(identity: Option<Identity>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))
            .expect("permissions");
        let program = directory.path().join("worker");
        fs::copy(env::current_exe().expect("own path"), &program)
            .expect("a copy of the test program");
        for name in ["store", "outside"] {
            let path = directory.path().join(name);
            fs::create_dir(&path).expect("a directory");
            File::create(path.join("file"))
                .and_then(|mut file| std::io::Write::write_all(&mut file, b"content"))
                .expect("a file");
            if let Some(Identity { uid, gid }) = identity {
                std::os::unix::fs::chown(&path, Some(uid), Some(gid)).expect("chown");
                std::os::unix::fs::chown(path.join("file"), Some(uid), Some(gid)).expect("chown");
            }
        }
        Self {
            program,
            directory,
            identity,
        }
    }
}

fn main() -> ExitCode {
    if env::var_os(worker::ACT).is_some() {
        worker::main();
    }
    let root = rustix::process::geteuid().is_root();
    let as_user = env::var_os(AS_USER).is_some();
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let who = if root {
        "as root"
    } else {
        "as an ordinary user"
    };

    let mut tests: Vec<Test> = Vec::new();
    for role in Role::ALL {
        tests.extend(forbidden::tests(role));
        tests.extend(needed::tests(role));
    }
    tests.extend(processes::tests());
    for (name, _) in &mut tests {
        *name = format!("{who}: {name}");
    }
    let filters: Vec<&str> = arguments
        .iter()
        .filter_map(|text| text.to_str())
        .filter(|text| !text.starts_with('-'))
        .collect();
    let all = tests.len();
    tests.retain(|(name, _)| filters.iter().all(|filter| name.contains(filter)));
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }

    println!("\nrunning {} tests", tests.len());
    let bench = Bench::new(root.then_some(Identity {
        uid: NOBODY,
        gid: NOBODY,
    }));
    let mut failed = Vec::new();
    for (name, test) in &tests {
        let passed = catch_unwind(AssertUnwindSafe(|| test(&bench))).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(name);
        }
    }
    let second_failed = root && !as_user && !run_as_nobody(&arguments);
    failed.iter().for_each(|name| println!("    {name}"));
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        tests.len() - failed.len(),
        failed.len(),
        all - tests.len()
    );
    if failed.is_empty() && !second_failed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The same tests, by a supervisor that is an ordinary user. It prints its own results.
fn run_as_nobody(arguments: &[OsString]) -> bool {
    let bench = Bench::new(None);
    Command::new(&bench.program)
        .args(arguments)
        .env_clear()
        .env(AS_USER, "1")
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .stdin(Stdio::null())
        .status()
        .expect("the test program starts as another user")
        .success()
}
