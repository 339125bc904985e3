//! `convexctl key` and `convexctl destake prepare`, as an operator runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        desk.secret("passphrase", "correct horse");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        mode(&path, 0o600);
        path
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_convexctl"))
            .current_dir(self.dir.path())
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code and what is said.
    fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const STORE: [&str; 4] = ["--key-store", "keys.pfx", "--passphrase-file", "passphrase"];

fn with_store<'a>(head: &[&'a str], tail: &[&'a str]) -> Vec<&'a str> {
    [head, &STORE, tail].concat()
}

#[test]
fn a_new_key_is_kept_for_its_owner_and_found_again() {
    let desk = Desk::new();
    let key = desk.ok(&with_store(&["key", "generate"], &[]));
    let key = key.trim();
    assert_eq!(key.len(), 64);
    let store = fs::metadata(desk.path("keys.pfx")).unwrap();
    assert_eq!(store.permissions().mode() & 0o777, 0o600);
    assert_eq!(
        desk.ok(&["key", "list", "--key-store", "keys.pfx"]).trim(),
        key
    );
    let shown = desk.ok(&with_store(&["key", "show"], &[&key[..8]]));
    assert!(
        shown.contains(key) && shown.contains("the passphrase opens it"),
        "{shown}"
    );

    // A second one joins the first.
    let second = desk.ok(&with_store(&["key", "generate"], &[]));
    let listed = desk.ok(&["key", "list", "--key-store", "keys.pfx"]);
    assert!(
        listed.contains(key) && listed.contains(second.trim()),
        "{listed}"
    );
}

#[test]
fn words_and_seeds_give_the_keys_that_the_reference_derives() {
    let desk = Desk::new();
    // RFC 8032, test 1.
    desk.secret(
        "seed",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n",
    );
    let key = desk.ok(&with_store(&["key", "import"], &["--file", "seed"]));
    assert_eq!(
        key.trim(),
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    );

    let words = desk.ok(&with_store(&["key", "generate"], &["--words", "12"]));
    let (key, words) = words.split_once('\n').unwrap();
    assert_eq!(words.split_whitespace().count(), 12);
    desk.secret("words", words);
    let again = desk.ok(&[
        "key",
        "import",
        "--key-store",
        "other.pfx",
        "--passphrase-file",
        "passphrase",
        "--file",
        "words",
    ]);
    assert_eq!(again.trim(), key);
    let elsewhere = desk.ok(&[
        "key",
        "import",
        "--key-store",
        "third.pfx",
        "--passphrase-file",
        "passphrase",
        "--file",
        "words",
        "--path",
        "m/44/864/1/0/0",
    ]);
    assert_ne!(elsewhere.trim(), key);
}

#[test]
fn a_pem_file_of_the_reference_is_imported() {
    let desk = Desk::new();
    desk.secret("foobar", "foobar\n");
    // spec/09 §3.4
    desk.secret(
        "key.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
         MGUwKQYKKoZIhvcNAQwBBTAbBBTXKHnsxITtdYT3+2WebwFZImfS2gIDAQAABDic\n\
         qSZhBN3Zn2qhDG6pNmhTGw8QuVeYmFigbWJubr4Xmye1nWemp13uQnOFlE1FSONG\n\
         Jur+COtB5w==\n\
         -----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let import = |passphrase| {
        let tail = ["--file", "key.pem", "--pem-passphrase-file", passphrase];
        with_store(&["key", "import"], &tail)
    };
    let (code, text) = desk.fails(&import("passphrase"));
    assert!(code == 65 && text.contains("PEM"), "{code} {text}");
    assert_eq!(
        desk.ok(&import("foobar")).trim(),
        "4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29"
    );
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_changed() {
    let desk = Desk::new();
    desk.secret(
        "seed",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    );
    desk.ok(&with_store(&["key", "import"], &["--file", "seed"]));
    let before = fs::read(desk.path("keys.pfx")).unwrap();

    let (code, text) = desk.fails(&with_store(&["key", "import"], &["--file", "seed"]));
    assert!(code == 73 && text.contains("already"), "{code} {text}");

    desk.secret("wrong", "another horse");
    let wrong = [
        "key",
        "generate",
        "--key-store",
        "keys.pfx",
        "--passphrase-file",
        "wrong",
    ];
    let (code, text) = desk.fails(&wrong);
    assert!(code == 65 && text.contains("passphrase"), "{code} {text}");

    desk.secret("short", "9d61b1");
    let (code, text) = desk.fails(&with_store(&["key", "import"], &["--file", "short"]));
    assert!(code == 65 && !text.contains("9d61b1"), "{code} {text}");

    mode(&desk.path("passphrase"), 0o644);
    let (code, text) = desk.fails(&with_store(&["key", "generate"], &[]));
    assert!(code == 77 && text.contains("chmod 600"), "{code} {text}");
    mode(&desk.path("passphrase"), 0o600);

    mode(&desk.path("keys.pfx"), 0o640);
    let (code, text) = desk.fails(&["key", "list", "--key-store", "keys.pfx"]);
    assert!(code == 77 && text.contains("chmod 600"), "{code} {text}");
    mode(&desk.path("keys.pfx"), 0o600);
    assert_eq!(fs::read(desk.path("keys.pfx")).unwrap(), before);
}

#[test]
fn a_ladder_of_withdrawals_is_signed_without_a_network() {
    let desk = Desk::new();
    let controller = desk.ok(&with_store(&["key", "generate"], &[]));
    let peer = "ab".repeat(32);
    let args = [
        "destake",
        "prepare",
        "--address",
        "#12",
        "--peer-key",
        &peer,
        "--from",
        "7",
        "--count",
        "3",
    ];
    let ladder = desk.ok(&with_store(&args, &[]));
    assert_eq!(ladder.lines().count(), 3);
    for line in ladder.lines() {
        let inspected = desk.ok(&["inspect", "--hex", line]);
        assert!(inspected.contains(controller.trim()), "{inspected}");
    }
    let (code, _) = desk.fails(&with_store(
        &[
            "destake",
            "prepare",
            "--address",
            "12",
            "--peer-key",
            &peer,
            "--from",
            "0",
        ],
        &[],
    ));
    assert_eq!(code, 64);
}
