//! `convexctl inspect`, the generated files, and what all commands share.

mod tool;

use std::io::Read;
use std::process::{Command, Stdio};

use cells::{Blob, Cell, Vector};
use serde_json::Value;
use tool::{Files, genesis, run, run_with, shared};

#[test]
fn hex_is_told_apart_to_the_last_detail() {
    let ran = run(&["inspect", "--hex", "8003 1101 1102 3203666f6f"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        ran.out,
        "\
type      Vector
hash      5260795bfb06e8bf3cc8c1d1a26badc8e6cc32bd9a5acace04e1eebe24e64544
input     11 bytes
encoding  11 bytes (this cell alone)
memory    0 bytes
embedded  yes
refs      3, branches 0
CVM value yes
valid     yes
printed   [1 2 foo]

Vector(3) [embedded 11 bytes]  [1 2 foo]
  0: Integer [embedded 2 bytes]  1
  1: Integer [embedded 2 bytes]  2
  2: Symbol [embedded 5 bytes]  foo
"
    );
}

#[test]
fn input_comes_from_files_and_from_standard_input_as_bytes_or_hex() {
    let files = Files::new();
    let file = files.bytes("cell", &[0x11, 42]);
    for ran in [
        run(&["inspect", &file]),
        run_with(&["inspect", "-"], &[0x11, 42]),
        run_with(&["inspect", "--hex", "-"], b"0x11\n2a\n"),
    ] {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(
            ran.out.ends_with("\nInteger [embedded 2 bytes]  42\n"),
            "{ran:?}"
        );
    }
    assert_eq!(run(&["inspect"]).code, Some(64));
    assert_eq!(run(&["inspect", &file, "--hex", "00"]).code, Some(64));
}

#[test]
fn a_missing_branch_is_shown_as_such() {
    let hash = "ab".repeat(32);
    let ran = run(&["inspect", "--hex", &format!("8002 1101 20{hash}")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in [
        "memory    unknown: missing data: abab",
        "missing   1 branches\n",
        &format!("\n  1: missing {hash}\n"),
        "valid     not checked: incomplete\n",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let ran = run(&["inspect", "--json", "--hex", &format!("8002 1101 20{hash}")]);
    let value: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["missing"], 1);
    assert_eq!(value["memory"], Value::Null);
    assert_eq!(value["tree"][2]["missing"], hash);
}

#[test]
fn a_small_file_that_unfolds_to_a_huge_value_is_described_at_once() {
    // Each level has the level below it sixteen times; the file has each once.
    let mut cell = Cell::from(Blob::new(&[7; 200]));
    for _ in 0..15 {
        cell = Cell::from(std::iter::repeat_n(cell, 16).collect::<Vector>());
    }
    let files = Files::new();
    let ran = run(&["inspect", &files.cell("huge", &cell), "--depth", "99"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("\nvalid     not checked: too large\n"));
    assert!(
        ran.out
            .ends_with("and more: the first 5000 cells are shown\n")
    );
}

#[test]
fn fields_of_records_have_names_and_depth_and_width_bound_the_tree() {
    let files = Files::new();
    let state = files.cell("state", &genesis());
    let ran = run(&["inspect", &state, "--depth", "1", "--width", "2"]);
    assert!(
        ran.out.contains("\n  accounts: Vector(2) [embedded "),
        "{ran:?}"
    );
    assert!(
        ran.out.ends_with("\n  … 2 more (--width shows them)\n"),
        "{ran:?}"
    );
    let ran = run(&["inspect", &state, "--depth", "0"]);
    assert_eq!(
        ran.out.lines().filter(|line| line.starts_with(' ')).count(),
        0,
        "{ran:?}"
    );
}

#[test]
fn what_is_no_cell_is_refused_with_the_reason() {
    for (input, cause) in [
        ("zz", "this is no hex"),
        ("123", "this is no hex"),
        ("", "there are no hex digits"),
        ("ff", "these 1 bytes are no cell"),
        ("8001", "input ends inside a cell"),
        (&*"8001".repeat(5_000), "these 10000 bytes are no cell"),
    ] {
        let ran = run_with(&["inspect", "--hex", "-"], input.as_bytes());
        assert_eq!((ran.code, ran.out.as_str()), (Some(65), ""), "{cause}");
        assert!(ran.err.contains(cause), "{cause}: {ran:?}");
    }
}

#[test]
fn input_without_end_is_refused() {
    let ran = run(&["inspect", "/dev/zero"]);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(ran.err.contains("longer than 50000000 bytes"), "{ran:?}");
    let digits = vec![b'0'; 100_000_002];
    let ran = run_with(&["inspect", "--hex", "-"], &digits);
    assert_eq!(ran.code, Some(65), "{}", ran.err);
    assert!(
        ran.err.contains("longer than 50000000 bytes"),
        "{}",
        ran.err
    );
}

#[test]
fn control_characters_of_a_value_do_not_reach_the_terminal() {
    // A symbol with an escape sequence in its name.
    let ran = run(&["inspect", "--hex", "3205 1b5b33316d"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.out.contains('\x1b'), "{ran:?}");
}

#[test]
fn a_reader_that_leaves_early_ends_the_run_quietly() {
    let Some(state) = shared("protonet-genesis.cad3") else {
        return;
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_convexctl"))
        .args(["inspect", &state, "--depth", "1000", "--width", "1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_a_failure() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        println!("skipped: there is no /dev/full");
        return;
    };
    let output = Command::new(env!("CARGO_BIN_EXE_convexctl"))
        .args(["inspect", "--hex", "00"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output can't be written"));
}

#[test]
fn completions_and_man_pages_are_generated() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains("verify-chain"), "{shell}");
    }
    let files = Files::new();
    let ran = run(&["manpages", &files.path("man")]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    for page in [
        "convexctl",
        "convexctl-verify-chain",
        "convexctl-eval",
        "convexctl-repl",
        "convexctl-inspect",
    ] {
        let text = std::fs::read_to_string(files.path(&format!("man/{page}.1"))).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
    let ran = run(&["manpages", &files.bytes("file", b"")]);
    assert_eq!(ran.code, Some(73), "{ran:?}");
}

#[test]
fn help_lists_the_exit_codes_and_wrong_arguments_have_theirs() {
    let ran = run(&["--help"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(
        ran.out.contains("\nExit codes:\n   0  it worked\n"),
        "{ran:?}"
    );
    assert!(!ran.out.contains("manpages"), "{ran:?}");
    assert_eq!(run(&["--version"]).code, Some(0));
    assert_eq!(run(&["no-such-command"]).code, Some(64));
    assert_eq!(run(&[]).code, Some(64));
}
