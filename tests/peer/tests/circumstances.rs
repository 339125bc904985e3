//! Bad circumstances: the peer says what is wrong and what to do, with the exit code for it, and loses nothing.

use std::fs::{self, Permissions};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;
use std::time::{Duration, Instant};

use cells::Cell;
use client::Client;
use ipc::control::PeerStatus;
use ipc::supervision::RoleStatus;
use peer_tests::files::Files;
use peer_tests::honest;
use peer_tests::running::{Ended, PATIENCE, Running, connect, log_of, pids, status};
use peer_tests::users::{self, Genesis};
use peer_tests::{programs, usage};

/// A peer that is not started yet.
fn files() -> (Genesis, Files) {
    let mut genesis = users::fresh();
    let files = Files::temporary(&mut genesis).expect("files");
    (genesis, files)
}

fn start(files: &Files, arguments: &[&str]) -> Running {
    Running::start(files, arguments).expect("a peer").0
}

fn stop(peer: Running) {
    assert!(peer.stop().is_some_and(|status| status.success()));
}

/// Starts a peer that must fail with this code and say this.
fn fails(files: &Files, arguments: &[&str], code: i32, says: &[&str]) {
    let before = log_of(files).len();
    let ended: Ended = match Running::start(files, arguments) {
        Ok(_) => panic!("it started"),
        Err(ended) => ended,
    };
    let log = &ended.log[before..];
    assert_eq!(ended.status.code(), Some(code), "{log}");
    for part in says {
        assert!(log.contains(part), "`{part}` is not said: {log}");
    }
}

fn succeeds(files: &Files, genesis: &Genesis, sequence: i64) {
    let reply = connect(files).transact(genesis.users.transfer(0, sequence));
    let reply = reply.expect("an answer");
    assert_eq!(reply.error, Cell::Nil, "{:?}", reply.value);
}

/// Runs a program to its end: its exit code, and what it wrote.
fn output(command: &mut Command) -> (Option<i32>, String) {
    let output = command.env_clear().output().expect("a process");
    let text = [output.stderr, output.stdout].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Asks for the status until it shows something.
fn wait<T>(files: &Files, mut look: impl FnMut(&PeerStatus) -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look(&status(files)) {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{}", log_of(files));
        std::thread::yield_now();
    }
}

#[test]
fn a_port_in_use_is_named() {
    let (genesis, files) = files();
    let listener = TcpListener::bind(files.endpoint()).expect("the port");
    fails(
        &files,
        &[],
        69,
        &[&files.endpoint(), "in use", "network.listen"],
    );
    drop(listener);
    let peer = start(&files, &[]);
    succeeds(&files, &genesis, 1);
    stop(peer);
}

#[test]
fn secrets_that_others_can_read_are_refused() {
    let (_, files) = files();
    for path in [files.key_store(), files.passphrase()] {
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("a mode");
        let name = path.display().to_string();
        fails(&files, &[], 78, &[&name, "chmod 600"]);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a mode");
    }
}

#[test]
fn a_wrong_passphrase_is_told() {
    let (_, files) = files();
    fs::write(files.passphrase(), "another one").expect("written");
    let says = ["keyd", "wrong passphrase", "give the passphrase"];
    fails(&files, &[], 78, &says);
}

#[test]
fn a_genesis_of_another_network_is_told() {
    let (_, files) = files();
    let other = format!("peer.network={}", "ab".repeat(32));
    let says = ["consensusd", "genesis state", "give the store"];
    fails(&files, &["--set", &other], 78, &says);
}

#[test]
fn a_running_peer_keeps_its_directories_and_its_store_for_itself() {
    let (genesis, files) = files();
    let peer = start(&files, &[]);
    let second = |more: &[&str]| {
        let mut command = Command::new(programs::directory().join("supervisor"));
        command.arg("--config").arg(files.config());
        output(
            command
                .args(["--set", "network.listen=[\"127.0.0.1:0\"]"])
                .args(more),
        )
    };
    let (code, text) = second(&[]);
    assert_eq!(code, Some(75), "{text}");
    let run = files.run().display().to_string();
    assert!(text.contains(&run), "{text}");
    // Another run directory, but the same store and journal.
    let run = format!(
        "supervisor.run=\"{}\"",
        files.directory().join("run2").display()
    );
    let (code, text) = second(&["--set", &run]);
    assert_eq!(code, Some(75), "{text}");
    assert!(text.contains("another"), "{text}");
    succeeds(&files, &genesis, 1);
    stop(peer);
}

#[test]
fn a_store_of_another_user_is_refused() {
    let (_, files) = files();
    stop(start(&files, &[]));
    let owner = fs::metadata(files.store()).expect("the store").uid();
    if chown(files.store(), Some(owner + 20), None).is_err() {
        println!("skipped: only root can give files away");
        return;
    }
    let name = files.store().display().to_string();
    fails(&files, &[], 77, &["stored", &name, "chown"]);
    chown(files.store(), Some(owner), None).expect("given back");
    stop(start(&files, &[]));
}

#[test]
fn without_room_transactions_are_refused_and_what_was_acknowledged_stays() {
    let (genesis, files) = files();
    let peer = start(&files, &[]);
    succeeds(&files, &genesis, 1);
    stop(peer);
    let peer = start(&files, &["--set", "store.reserve=\"1000000 GiB\""]);
    // The first one is in a block before the store says no: its outcome stays open. Then transactions are refused at once.
    let mut client = connect(&files);
    let transaction = genesis.users.transfer(0, 2);
    client
        .send(|id| wire::Message::Transact { id, transaction })
        .expect("sent");
    let refusal = wait(&files, |status| {
        let workers = &mut status.workers.iter();
        workers.find_map(|worker| match &worker.status {
            Some(RoleStatus::Stored { refuses, .. }) => refuses.clone(),
            _ => None,
        })
    });
    assert!(refusal.contains("free"), "{refusal}");
    let hindrance = wait(&files, |status| {
        let hindrance = status.consensus.as_ref()?.hindrance.clone();
        hindrance.filter(|why| why.contains("store"))
    });
    println!("{refusal}; {hindrance}");
    let reply = connect(&files).transact(genesis.users.transfer(1, 1));
    let reply = reply.expect("an answer");
    assert_eq!(reply.error, Cell::from(wire::Code::State));
    let address = genesis.users.address(0);
    let sequence = honest::sequence(&mut connect(&files), address);
    assert_eq!(sequence.expect("an answer"), Some(1), "it is still read");
    assert!(peer.stop().is_some());
    // With room again it goes on.
    let peer = start(&files, &[]);
    let done = honest::sequence(&mut connect(&files), address);
    let done = done.expect("an answer").expect("a number");
    assert!(done >= 1, "what was acknowledged stays");
    succeeds(&files, &genesis, done + 1);
    stop(peer);
}

#[test]
fn too_little_memory_ends_with_a_message_and_loses_nothing() {
    let (genesis, files) = files();
    let peer = start(&files, &[]);
    succeeds(&files, &genesis, 1);
    stop(peer);
    let limited = "ulimit -v 60000; exec \"$0\" --config \"$1\"";
    let (code, text) = output(
        Command::new("/bin/sh")
            .args(["-c", limited])
            .arg(programs::directory().join("supervisor"))
            .arg(files.config()),
    );
    assert!(code.is_some_and(|code| (69..79).contains(&code)), "{text}");
    assert!(text.contains("memory") && text.contains("limit"), "{text}");
    let peer = start(&files, &[]);
    succeeds(&files, &genesis, 2);
    stop(peer);
}

#[test]
fn after_a_panic_nothing_answers_or_signs_within_a_second_and_the_peer_stays_down() {
    let (genesis, files) = files();
    let mut peer = start(&files, &[]);
    succeeds(&files, &genesis, 1);
    let mut open = TcpStream::connect(files.endpoint()).expect("a connection");
    open.set_read_timeout(Some(PATIENCE)).expect("set");
    connect(&files).status().expect("a status");
    let processes = pids(&status(&files));
    let began = Instant::now();
    let (code, text) = output(
        Command::new(programs::directory().join("convexctl"))
            .args(["panic", "--reason", "a test", "--run"])
            .arg(files.run()),
    );
    assert_eq!(code, Some(0), "{text}");
    assert!(matches!(open.read(&mut [0]), Ok(0) | Err(_)), "closed");
    assert!(!answers(&files), "nobody answers");
    peer.wait(PATIENCE).expect("the peer ends");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    for pid in processes {
        assert_eq!(usage::cpu(pid), None, "process {pid} is gone");
    }
    fails(&files, &[], 78, &["stay down", "a test", "remove"]);
    fs::remove_file(files.directory().join("destake/down")).expect("the note");
    let peer = start(&files, &[]);
    succeeds(&files, &genesis, 2);
    stop(peer);
}

fn answers(files: &Files) -> bool {
    Client::connect(&files.endpoint(), Duration::from_millis(200))
        .is_ok_and(|mut client| client.status().is_ok())
}
