//! `convexctl sign`, as somebody runs it whose key is on a machine without a network; and amounts that can't be meant.

mod tool;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cells::{Cell, Decoder, Record, RecordKind, Vector, decode_message, encode_message};
use cvm::state::{Kind, Transaction};
use tool::{Files, Ran, run, run_with};

/// A desk with a key store.
fn desk() -> (Files, [String; 4]) {
    let files = Files::new();
    let passphrase = files.bytes("passphrase", b"correct horse");
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    let options = [
        "--key-store".to_owned(),
        files.path("keys.pfx"),
        "--passphrase-file".to_owned(),
        passphrase,
    ];
    let options_of: Vec<&str> = options.iter().map(String::as_str).collect();
    let made = run(&[&["key", "generate"], options_of.as_slice()].concat());
    assert_eq!(made.code, Some(0), "{made:?}");
    (files, options)
}

fn sign(options: &[String; 4], file: &str, more: &[&str], input: &[u8]) -> Ran {
    let mut args = vec!["sign", file];
    args.extend(options.iter().map(String::as_str));
    args.extend(more);
    run_with(&args, input)
}

fn line(transaction: &Cell) -> String {
    let bytes = encode_message(transaction).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn invoke(form: &str) -> Transaction {
    Transaction {
        origin: 12,
        sequence: 7,
        kind: Kind::Invoke {
            command: cvm::reader::read(form).unwrap(),
        },
    }
}

#[test]
fn what_is_shown_is_what_is_signed_whatever_a_remark_claims() {
    let (files, options) = desk();
    let transaction = invoke("(set-peer-stake 0x12 5)");
    let text = format!(
        "# (transfer #1 1), harmless\n\n{}\n",
        line(&transaction.to_cell())
    );
    let file = files.bytes("unsigned", text.as_bytes());
    let refused = sign(&options, &file, &[], b"yes\n");
    assert_eq!(
        (refused.code, refused.out.as_str()),
        (Some(64), ""),
        "nobody looked at it"
    );
    let signed = sign(&options, &file, &["--yes"], b"");
    assert_eq!(signed.code, Some(0), "{signed:?}");
    assert!(
        signed
            .err
            .contains("#12, sequence number 7: (set-peer-stake 0x12 5)"),
        "{signed:?}"
    );
    assert!(!signed.err.contains("transfer"), "{signed:?}");
    let digits = signed.out.trim().as_bytes().chunks(2);
    let bytes: Vec<u8> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let Cell::Signed(signed) = decode_message(&bytes, &Decoder::new()).unwrap() else {
        panic!("nothing signed");
    };
    assert!(signed.verify());
    assert_eq!(
        Transaction::from_cell(&signed.value().unwrap()),
        Ok(Some(transaction))
    );
}

#[test]
fn what_nobody_can_read_is_not_signed() {
    let (files, options) = desk();
    let call = Record::of_kind(
        RecordKind::Call,
        [
            Cell::Address(12),
            Cell::Long(7),
            Cell::Address(1),
            Cell::Long(0),
            Cell::Nil,
            Cell::from(Vector::empty()),
        ],
    );
    let long = format!("(str {:?})", "x".repeat(100_001));
    for (name, text) in [
        ("nothing", String::new()),
        ("remarks", "# one\n".to_owned()),
        ("no hex", "zz".to_owned()),
        (
            "cut off",
            line(&invoke("(+ 1 2)").to_cell())[..20].to_owned(),
        ),
        ("no transaction", line(&Cell::Long(7))),
        ("a call", line(&Cell::from(call))),
        ("a long form", line(&invoke(&long).to_cell())),
    ] {
        let file = files.bytes("unsigned", text.as_bytes());
        let ran = sign(&options, &file, &["--yes"], b"");
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (Some(65), ""),
            "{name}: {ran:?}"
        );
    }
    // Text that would move the cursor is shown, not obeyed.
    let hidden = format!("(str {:?})", "a\u{1b}[2Kb").replace("\\u{1b}", "\u{1b}");
    let file = files.bytes("unsigned", line(&invoke(&hidden).to_cell()).as_bytes());
    let ran = sign(&options, &file, &["--yes"], b"");
    assert!(
        ran.code == Some(0) && !ran.err.contains('\u{1b}'),
        "{ran:?}"
    );
}

#[test]
fn amounts_that_can_not_be_meant_are_wrong_arguments_before_anybody_is_asked() {
    let key = "12".repeat(32);
    for (command, amount) in [
        ("set", vec!["1,5"]),
        ("set", vec!["1.5", "copper"]),
        ("delegate", vec!["5", "dollars"]),
        ("withdraw", vec!["0"]),
        ("withdraw", vec!["everything"]),
        ("set", vec!["1001", "emerald"]),
    ] {
        let mut args = vec!["stake", command];
        args.extend(&amount);
        args.extend(["--peer-key", key.as_str(), "--peer", "127.0.0.1:1", "--yes"]);
        let ran = run(&args);
        assert_eq!(ran.code, Some(64), "{amount:?}: {ran:?}");
    }
    let ran = run(&["stake", "set", "-1", "--peer-key", &key]);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    let ran = run(&[
        "stake",
        "set",
        "1",
        "--peer-key",
        &key,
        "--peer",
        "127.0.0.1:1",
        "--yes",
    ]);
    assert_eq!(ran.code, Some(69), "nobody listens there: {ran:?}");
}
