//! The client of the line server, with small programs in its place.

use interop::oracle::{Oracle, OracleError};

/// A server in one line of shell.
fn server(folder: &std::path::Path, script: &str) -> String {
    let path = folder.join("server");
    std::fs::write(&path, script).expect("a script");
    format!("sh {}", path.display())
}

fn folder(name: &str) -> std::path::PathBuf {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&path).expect("a folder");
    path
}

#[test]
fn a_machine_without_java_is_told_from_a_broken_server() {
    let dir = folder("lacking");
    let lacking = Oracle::start(&server(&dir, "exit 77\n")).err();
    assert!(matches!(lacking, Some(OracleError::Lacking)), "{lacking:?}");
    let broken = Oracle::start(&server(&dir, "exit 1\n")).err();
    assert!(matches!(broken, Some(OracleError::Broken(_))), "{broken:?}");
    let babble = Oracle::start(&server(&dir, "echo hello\n")).err();
    assert!(matches!(babble, Some(OracleError::Broken(_))), "{babble:?}");
    let nothing = Oracle::start("/nonexistent/server").err();
    assert!(
        matches!(nothing, Some(OracleError::Start { .. })),
        "{nothing:?}"
    );
}

#[test]
fn a_server_that_was_too_slow_is_started_again_in_the_same_state() {
    // "slow" is answered and ends it, as the real one does; "state" must come before anything else is answered.
    let script = r#"
state=none
while read -r line; do
  case $line in
    hello) echo '{"library":"convex-core-0.8.0.jar"}' ;;
    state*) state=${line#state }; echo '{}' ;;
    slow) echo '{"fail":"Timeout"}'; exit 3 ;;
    *) echo "{\"line\":\"$line\",\"state\":\"$state\"}" ;;
  esac
done
"#;
    let mut oracle = Oracle::start(&server(&folder("slow"), script)).expect("a server");
    assert_eq!(oracle.version(), "0.8.0");
    oracle.set_up("state 7").expect("a state");
    let requests = ["a", "slow", "b", "slow", "c"].map(str::to_owned);
    let answers = oracle.ask(&requests).expect("answers");
    let lines: Vec<_> = answers
        .iter()
        .map(|a| a["line"].as_str().unwrap_or("late"))
        .collect();
    assert_eq!(lines, ["a", "late", "b", "late", "c"]);
    assert!(
        answers
            .iter()
            .all(|a| a.get("fail").is_some() || a["state"] == "7")
    );
}
