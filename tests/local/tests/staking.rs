//! Staking by `convexctl` in a network of whole peers: each change is read back from the state of the network, and what was shown
//! beforehand is what came.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use cells::Cell;
use client::Client;
use cvm::reader::read_all_bytes;
use local_networks::{Network, Theirs};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

/// Controller of the first peer of a new network; its key is that of the user.
const CONTROLLER: &str = "12";
/// Controller of the second peer; its key is that of the peer.
const OTHER: &str = "13";

/// An operator, who has key stores and a peer to talk to.
struct Desk<'a> {
    network: &'a Network,
    /// Key of the peer that all is about.
    key: String,
}

impl Desk<'_> {
    fn run(&self, command: &[&str], account: &str, options: &[&str]) -> Output {
        let keys: PathBuf = match account {
            OTHER => self.network.directory(1),
            _ => self.network.user(),
        };
        self.network
            .convexctl()
            .args(command)
            .args(["--peer", &self.network.endpoint(0), "--peer-key", &self.key])
            .args(["--address", account, "--timeout", "60"])
            .arg("--key-store")
            .arg(keys.join("keys.pfx"))
            .arg("--passphrase-file")
            .arg(keys.join("passphrase"))
            .args(options)
            .output()
            .expect("convexctl runs")
    }

    /// Has something done; what was shown beforehand and what came are the same to the copper.
    fn done(&self, command: &[&str], account: &str) -> Value {
        let tried = json(&self.run(command, account, &["--dry-run", "--json"]));
        let done = json(&self.run(command, account, &["--yes", "--json"]));
        for part in ["balance", "sequence", "delegated_by_account"] {
            assert_eq!(
                tried["effect"]["after"][part], done["now"][part],
                "{command:?}: {part}: {done}"
            );
        }
        let (shown, now) = (&tried["effect"]["after"]["peer"], &done["now"]["peer"]);
        for part in [
            "controller",
            "own_shares",
            "delegated_shares",
            "own_stake",
            "host",
        ] {
            assert_eq!(shown[part], now[part], "{command:?}: {part}: {done}");
        }
        done["now"].clone()
    }

    /// The exit code and what was said.
    fn refused(&self, command: &[&str], account: &str) -> (i32, String) {
        let output = self.run(command, account, &["--yes"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().expect("a code"), text)
    }

    /// What the first peer answers to a form, printed.
    fn ask(&self, form: &str) -> String {
        self.ask_at(0, form)
    }

    /// The same of any peer.
    fn ask_at(&self, peer: usize, form: &str) -> String {
        let form = form.replace("KEY", &format!("0x{}", self.key));
        let form = read_all_bytes(form.as_bytes()).expect("a form").get(0);
        let form = form.expect("in memory").expect("a form");
        let mut client = Client::connect(&self.network.endpoint(peer), Duration::from_secs(60))
            .expect("a connection");
        let reply = client.query(form, None).expect("an answer");
        assert_eq!(reply.error, Cell::Nil, "{}", reply.value);
        reply.value.to_string()
    }
}

/// Runs a command that goes on until it has succeeded, or for a minute.
fn within_a_minute(mut command: Command) -> Output {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("a child");
    let minute = Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    if poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&minute)) != Ok(1) {
        child.kill().expect("a child");
    }
    child.wait_with_output().expect("a child")
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("an object")
}

fn coppers(coins: i64) -> String {
    (coins * 1_000_000_000).to_string()
}

#[test]
fn a_peer_is_registered_joins_is_staked_delegated_to_moved_and_evicted() {
    let mut network = Network::start(3);
    network.transfer(0);
    let (fourth, key) = network.add();
    let host = network.endpoint(fourth);

    let desk = Desk {
        network: &network,
        key: key.clone(),
    };
    assert_eq!(desk.ask("(get-peer-stake KEY)"), "nil");
    let (code, text) = desk.refused(&["stake", "set", "2000"], CONTROLLER);
    assert!(
        code == 1 && text.contains("no peer with this key"),
        "{text}"
    );
    let (code, text) = desk.refused(&["peer", "create", "--stake", "999.999999999"], CONTROLLER);
    assert!(
        code == 1 && text.contains("below the minimum of 1,000 coins"),
        "{text}"
    );
    let (code, text) = desk.refused(&["peer", "create", "--stake", "10 emerald"], CONTROLLER);
    assert!(code == 1 && text.contains("has 133,2"), "{text}");
    let now = desk.done(
        &[
            "peer", "create", "--stake", "20,000", "coins", "--host", &host,
        ],
        CONTROLLER,
    );
    assert_eq!(now["peer"]["controller"].to_string(), CONTROLLER);
    assert_eq!(desk.ask("(get-peer-stake KEY)"), coppers(20_000));
    assert_eq!(
        desk.ask("(:url (:metadata (get (:peers *state*) KEY)))"),
        format!("{host:?}")
    );
    let user = desk.ask("(= (:key (account #12)) (:key (account #11)))");
    assert_eq!(user, "true", "the account has its own key again");

    // Registered, it joins from key, network and hosts alone, and its blocks count.
    network.restart(fourth);
    let (before, _) = network.agree(1);
    network.transfer(fourth);
    network.agree(before.executed + 1);
    let desk = Desk {
        network: &network,
        key,
    };
    let shown = network
        .convexctl()
        .args([
            "stake",
            "show",
            "--json",
            "--peer",
            &network.endpoint(2),
            "--peer-key",
            &desk.key,
        ])
        .output();
    let shown = json(&shown.expect("convexctl runs"));
    assert_eq!(
        (shown["activity"].as_f64(), shown["counts"].as_bool()),
        (Some(1.0), Some(true)),
        "{shown}"
    );
    let earned = shown["earned"].as_i64().expect("a number");
    assert!(earned > 0, "half of the fees of its block: {shown}");

    // Its controller sets its stake, nobody else does.
    let (code, text) = desk.refused(&["stake", "set", "30000"], OTHER);
    assert!(
        code == 77 && text.contains("#12 does") && text.contains("--address 12"),
        "{text}"
    );
    let now = desk.done(&["stake", "set", "25,000.5"], CONTROLLER);
    assert_eq!(now["peer"]["own_shares"].to_string(), "25000500000000");
    assert_eq!(
        desk.ask("(:stake (get (:peers *state*) KEY))"),
        "25000500000000"
    );

    // Somebody delegates, and can't take back what would break the peer.
    desk.done(&["stake", "delegate", "3", "diamond"], OTHER);
    assert_eq!(
        desk.ask("(:stakes (get (:peers *state*) KEY))"),
        format!("#Index {{#13 {}}}", coppers(3_000))
    );
    let now = desk.done(&["stake", "delegate", "500"], OTHER);
    assert_eq!(now["peer"]["counts"], true);
    drop(desk);
    network.transfer(fourth);
    let (_, _) = network.agree(before.executed + 2);
    let desk = Desk {
        network: &network,
        key: key_of(&network, fourth),
    };
    let (code, text) = desk.refused(&["stake", "delegate", "0"], OTHER);
    assert!(
        code == 1 && text.contains("all its blocks are void") && text.contains("leave 0.0"),
        "{text}"
    );
    let least = text
        .split("leave ")
        .nth(1)
        .and_then(|rest| rest.split(" coins").next())
        .expect("an amount");
    desk.done(&["stake", "delegate", least], OTHER);

    // It moves, and back.
    desk.done(&["peer", "set-host", "peer.example:18888"], CONTROLLER);
    assert_eq!(
        desk.ask("(:url (:metadata (get (:peers *state*) KEY)))"),
        "\"peer.example:18888\""
    );
    assert_eq!(
        desk.ask("(= (:key (account #12)) (:key (account #11)))"),
        "true"
    );

    // Withdrawn, and evicted by a stranger once that is allowed.
    let (code, text) = desk.refused(&["peer", "evict"], OTHER);
    assert!(
        code == 77 && text.contains("only below 1,000 coins"),
        "{text}"
    );
    let (code, text) = desk.refused(&["stake", "withdraw", "26000"], CONTROLLER);
    assert!(code == 1 && text.contains("can't be withdrawn"), "{text}");
    let (code, text) = desk.refused(&["stake", "withdraw", "24,500"], CONTROLLER);
    assert!(code == 1 && text.contains("--below-minimum"), "{text}");
    let now = desk.done(&["stake", "withdraw", "20,000"], CONTROLLER);
    assert!(
        now["peer"]["own_shares"]
            .as_i64()
            .is_some_and(|own| own / 1_000_000_000 == 5_000),
        "{now}"
    );
    let now = desk.done(&["stake", "withdraw", "all"], CONTROLLER);
    assert_eq!(now["peer"]["own_shares"], 0);
    let output = desk.run(&["peer", "evict"], OTHER, &["--yes"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(desk.ask("(get (:peers *state*) KEY)"), "nil");
    assert_eq!(desk.ask("(count (:peers *state*))"), "3");
    drop(desk);
    network.kill(fourth);
    for peer in 0..3 {
        network.transfer(peer);
    }
    network.agree(before.executed + 5);
}

/// The key of a peer in hex, as its config has it.
fn key_of(network: &Network, peer: usize) -> String {
    let path = network.directory(peer).join("convexd.toml");
    let text = std::fs::read_to_string(path).expect("a config");
    let line = text.lines().find(|line| line.starts_with("key = "));
    line.expect("a key")
        .trim_start_matches("key = ")
        .trim_matches('"')
        .to_owned()
}

#[test]
fn a_controller_without_a_network_signs_and_who_uses_its_account_is_reminded_of_armed_withdrawals()
{
    let network = Network::start(2);
    let desk = Desk {
        network: &network,
        key: key_of(&network, 0),
    };
    let scratch = tempfile::tempdir().expect("a directory");
    let path = |name: &str| {
        scratch
            .path()
            .join(name)
            .to_str()
            .expect("UTF-8")
            .to_owned()
    };
    let (keys, passphrase) = (
        network.user().join("keys.pfx"),
        network.user().join("passphrase"),
    );
    let with_key = |command: &[&str]| {
        let mut built = network.convexctl();
        built
            .args(command)
            .arg("--key-store")
            .arg(&keys)
            .arg("--passphrase-file")
            .arg(&passphrase);
        built.output().expect("convexctl runs")
    };

    // Without somebody to ask, nothing is sent.
    let output = desk.run(&["stake", "set", "50000"], CONTROLLER, &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(64)
            && text.contains("sets the own stake of the peer to 50,000 coins"),
        "{text}"
    );
    assert_eq!(desk.ask("(get-peer-stake KEY)"), coppers(99_900));

    // A file goes to the key, another one comes back.
    let unsigned = path("unsigned");
    let output = desk.run(
        &["stake", "set", "90000"],
        CONTROLLER,
        &["--unsigned", &unsigned],
    );
    assert!(output.status.success(), "{output:?}");
    let refused = network
        .convexctl()
        .args(["submit", &unsigned, "--peer", &network.endpoint(0)])
        .output();
    assert_eq!(
        refused.expect("convexctl runs").status.code(),
        Some(65),
        "it is not signed"
    );
    assert_eq!(
        with_key(&["sign", &unsigned]).status.code(),
        Some(64),
        "nobody said yes"
    );
    let signed = with_key(&["sign", &unsigned, "--yes"]);
    let shown = String::from_utf8_lossy(&signed.stderr);
    assert!(
        signed.status.success()
            && shown.contains(&format!(
                "#12, sequence number 1: (set-peer-stake 0x{} 90000000000000)",
                desk.key
            )),
        "{signed:?}"
    );
    std::fs::write(path("signed"), signed.stdout).expect("a file");
    let other = "0".repeat(64);
    let elsewhere = network
        .convexctl()
        .args([
            "submit",
            &path("signed"),
            "--peer",
            &network.endpoint(1),
            "--network",
            &other,
        ])
        .output();
    assert_eq!(
        elsewhere.expect("convexctl runs").status.code(),
        Some(1),
        "another network"
    );
    let submit = || {
        network
            .convexctl()
            .args(["submit", &path("signed"), "--peer", &network.endpoint(1)])
            .output()
            .expect("convexctl runs")
    };
    let sent = submit();
    assert!(sent.status.success(), "{sent:?}");
    assert_eq!(
        String::from_utf8_lossy(&sent.stdout).trim(),
        "-9900000000000"
    );
    let twice = submit();
    assert!(
        twice.status.code() == Some(1)
            && String::from_utf8_lossy(&twice.stderr).contains(":SEQUENCE"),
        "{twice:?}"
    );

    // A ladder of two is armed: one transaction of the account takes a step of it, the next the other.
    let run = network.directory(0).join("run");
    let run = run.to_str().expect("UTF-8");
    let arm = |first: &str| {
        let what = [
            "destake",
            "prepare",
            "--address",
            CONTROLLER,
            "--peer-key",
            &desk.key,
        ];
        let ladder = with_key(&[&what[..], &["--from", first, "--count", "2"]].concat());
        std::fs::write(path("ladder"), ladder.stdout).expect("a file");
        let armed = network
            .convexctl()
            .args(["destake", "arm", &path("ladder"), "--run", run])
            .args(["--peer", &network.endpoint(1)])
            .output()
            .expect("convexctl runs");
        assert!(armed.status.success(), "{armed:?}");
    };
    arm("2");
    for (stake, expected) in [
        ("80000", "is good for the next transaction only"),
        ("20000", "does NOT work any more"),
    ] {
        let output = desk.run(
            &["stake", "set", stake],
            CONTROLLER,
            &["--yes", "--run", run],
        );
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success()
                && text.contains(expected)
                && text.contains("destake prepare --address 12"),
            "{text}"
        );
    }
    let second = Desk {
        network: &network,
        key: key_of(&network, 1),
    };
    let output = second.run(&["stake", "delegate", "7"], OTHER, &["--yes", "--run", run]);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "the account of nothing that is armed: {output:?}"
    );
    let stake = "(:stake (get (:peers *state*) KEY))";
    assert_eq!(desk.ask(stake), coppers(20_000));

    // The peer has earned fees, which stay when its stake is withdrawn: it is gone all the same.
    arm("4");
    let destake = |command: &[&str]| {
        let mut built = network.convexctl();
        built.arg("destake").args(command).args(["--run", run]);
        within_a_minute(built)
    };
    let drill = destake(&["drill"]);
    assert!(drill.status.success(), "{drill:?}");
    let now = destake(&["now", "--yes"]);
    assert!(now.status.success(), "{now:?}");
    assert_eq!(desk.ask_at(1, stake), "0");
    assert_eq!(desk.ask_at(1, "(> (get-peer-stake KEY) 0)"), "true");
}

/// What is asked of a peer is asked in the protocol of all: one of the reference does as well. (Release 0.8.0 keeps absent metadata absent
/// when a stake changes, which costs a byte less than in 0.8.5; the account has an allowance for it.)
#[test]
fn a_peer_of_the_reference_is_as_good_to_ask() {
    let mut network = Network::start(1);
    network.kill(0);
    let seed = network.seed(0).to_hex();
    let store = network.directory(0).join("theirs.etch");
    let mut theirs = Theirs::new(&seed, &store, &network.endpoint(0));
    if !theirs.start(&network.genesis()) {
        return;
    }
    let (_, key) = network.add();
    let desk = Desk {
        network: &network,
        key,
    };
    let now = desk.done(
        &[
            "peer",
            "create",
            "--stake",
            "1,500",
            "--host",
            "127.0.0.1:1",
        ],
        CONTROLLER,
    );
    assert_eq!(now["peer"]["host"], "127.0.0.1:1");
    desk.done(&["stake", "set", "2,000"], CONTROLLER);
    desk.done(&["stake", "withdraw", "500 silver"], CONTROLLER);
    desk.done(&["peer", "set-host", "h:2"], CONTROLLER);
    assert_eq!(desk.ask("(get-peer-stake KEY)"), "1999500000000");
    desk.done(&["peer", "evict"], CONTROLLER);
    assert_eq!(desk.ask("(get (:peers *state*) KEY)"), "nil");
}
