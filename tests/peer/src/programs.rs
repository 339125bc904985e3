//! Where the programs of a peer are.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The packages whose programs a peer needs.
const PACKAGES: [&str; 6] = [
    "supervisor",
    "netd",
    "consensusd",
    "stored",
    "keyd",
    "convexctl",
];

/// The directory with the programs: `CONVEXD_PROGRAMS`, else that of this build, where they are brought up to date first.
///
/// # Panics
/// When they can't be built.
#[must_use]
pub fn directory() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(find).clone()
}

fn find() -> PathBuf {
    if let Some(given) = std::env::var_os("CONVEXD_PROGRAMS") {
        return given.into();
    }
    let own = std::env::current_exe().expect("the path of this program");
    let directory = own
        .ancestors()
        .skip(1)
        .find(|dir| !dir.ends_with("deps"))
        .expect("a directory")
        .to_owned();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", directory.parent().expect("a directory"))
        .args(["build", "--quiet", "--bins"]);
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "the programs of the peer can't be built");
    directory
}
