//! The real process in its real sandbox, between a supervisor and a consensusd that may be hostile.

mod support;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use cells::{Cell, Hash};
use ipc::key::{Answer, ToKey};
use ipc::supervision::{AlarmKind, FromWorker, Ready, ToWorker};
use ipc::{Channel, Epoch, Hello, Link, LinkError, encode};
use sandbox::Ended;
use support::{
    Files, NETWORK, PASSPHRASE, PATIENCE, block, challenge, is_signature_of, key, order,
    order_request, transfer, wall,
};

#[test]
fn orders_blocks_challenges_and_answers_are_signed() {
    let files = Files::new();
    let mut keyd = files.start();
    let mut asker = keyd.connect();
    let time = wall() + 1_000;

    let first = order(time, &[1, 2]);
    asker.signed(&order_request(&first), &Cell::from(first.clone()));
    let appended = order(time, &[1, 2, 3]);
    asker.signed(&order_request(&appended), &Cell::from(appended.clone()));
    let proposed = block(time, 3);
    let request = signing::block_request(&proposed).unwrap();
    asker.signed(&request, &Cell::from(proposed.clone()));

    let Answer::Signed { signature, value } = asker.ask(&[0x00]) else {
        panic!("no challenge");
    };
    let value = cells::decode_cell(&value, &cells::Decoder::new()).unwrap();
    assert!(is_signature_of(signature.into_array(), &value));

    let (received, challenger) = challenge(Some(&key().account_key()), NETWORK);
    let answer = signing::challenge::ReceivedChallenge::read(&received).unwrap();
    asker.signed(&answer.encode(), &answer.answer());
    assert_eq!(*answer.challenger(), challenger.account_key());

    let (locked, ceiling, counters) = keyd.status();
    assert!(!locked && ceiling >= time);
    let count = |name: &str| counters.iter().find(|(n, _)| n == name).map(|(_, c)| *c);
    assert_eq!(count("signed_order"), Some(2));
    for kind in [
        "signed_block",
        "signed_challenge",
        "signed_answer",
        "key_memory_locked",
    ] {
        assert_eq!(count(kind), Some(1), "{kind}");
    }
}

#[test]
fn a_hostile_consensusd_gets_no_signature_that_a_peer_should_not_give() {
    let files = Files::new();
    let mut keyd = files.start();
    let mut asker = keyd.connect();
    let time = wall() + 1_000;
    let first = order(time, &[1, 2]);
    asker.signed(&order_request(&first), &Cell::from(first.clone()));
    let proposed = block(time, 1);
    let request = signing::block_request(&proposed).unwrap();
    asker.signed(&request, &Cell::from(proposed.clone()));

    let someone = crypto::SigningKey::from_seed(&[8; 32]).account_key();
    let foreign_network = challenge(None, [0x22; 32]).0;
    let foreign_target = challenge(Some(&someone), NETWORK).0;
    let mut forged = Cell::from(challenge(None, NETWORK).0).encode();
    forged[40] ^= 1;
    let mut oversized = order_request(&order(time, &[1, 2]));
    oversized.resize(signing::MAX_ORDER_BYTES + 1, 0);
    let before = signing::block_request(&block(time - 1, 1)).unwrap();
    let hash = [&[0x31, 0x20][..], &Hash([4; 32]).0].concat();
    let cases: &[(&str, Vec<u8>)] = &[
        ("transaction", Cell::from(transfer(1)).encode()),
        ("wrong_network", Cell::from(foreign_network).encode()),
        ("wrong_target", Cell::from(foreign_target).encode()),
        ("challenge_signature", forged),
        // Another order of the same time, and one block less.
        ("not_an_append", order_request(&order(time, &[1, 3]))),
        ("not_an_append", order_request(&order(time, &[1]))),
        ("order_not_later", order_request(&order(time - 1, &[1, 2]))),
        ("block_before_last", before),
        (
            "block_size",
            signing::block_request(&block(time, 0)).unwrap(),
        ),
        (
            "from_the_future",
            order_request(&order(wall() + 60_000, &[1])),
        ),
        ("too_long", oversized),
        ("malformed", hash[..20].to_vec()),
        ("malformed", Vec::new()),
        ("unknown_type", b"\x30\x05hello".to_vec()),
    ];
    for (reason, request) in cases {
        assert_eq!(asker.refused(request), *reason, "{request:02x?}");
    }
    // Told once a second at most; the first tells what was tried.
    let alarm = keyd.hear_alarm(AlarmKind::Signing);
    assert!(alarm.contains("transaction"), "{alarm}");
    let counters = keyd.status().2;
    for (reason, _) in cases {
        let name = format!("refused_{reason}");
        let expected = cases.iter().filter(|(r, _)| r == reason).count() as u64;
        assert!(
            counters.contains(&(name, expected)),
            "{reason} {counters:?}"
        );
    }
    // And honest ones are served as before.
    let next = order(time + 1, &[4]);
    asker.signed(&order_request(&next), &Cell::from(next.clone()));
}

#[test]
fn a_channel_with_garbage_is_closed_and_another_one_works() {
    let files = Files::new();
    let mut keyd = files.start();
    let greeting = |epoch: Epoch| {
        let mut bytes = Vec::new();
        encode(&Hello::new(Channel::Key, epoch), &mut bytes).unwrap();
        bytes
    };
    let too_long = (ipc::key::MAX_REQUEST as u32 + 1_000).to_le_bytes();
    let mut trailing = Vec::new();
    encode(
        &ToKey {
            ticket: 1,
            request: vec![0].into(),
        },
        &mut trailing,
    )
    .unwrap();
    trailing[0] += 1;
    trailing.push(0);
    let cases = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        greeting(Epoch(1_000)),
        [&greeting(Epoch(3))[..], &too_long].concat(),
        [&greeting(Epoch(4))[..], &[3, 0, 0, 0, 0xff, 0xff, 0xff]].concat(),
        [&greeting(Epoch(5))[..], &trailing].concat(),
    ];
    let mut alarms = 0;
    for bytes in cases {
        let (mut stream, _) = keyd.stream();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&bytes).unwrap();
        // Its greeting, then the end, though this side is open.
        let mut rest = Vec::new();
        // Unread bytes make the end a reset.
        let end = stream.read_to_end(&mut rest);
        assert!(end.is_ok() || end.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset));
        alarms += 1;
    }
    assert_eq!(alarms, 5);
    let alarm = keyd.hear_alarm(AlarmKind::Channel);
    assert!(alarm.contains("no message"), "{alarm}");
    let mut asker = keyd.connect();
    let next = order(wall() + 1_000, &[1]);
    asker.signed(&order_request(&next), &Cell::from(next.clone()));
}

#[test]
fn what_was_signed_is_remembered_across_channels() {
    let files = Files::new();
    let mut keyd = files.start();
    let mut old = keyd.connect();
    let time = wall() + 1_000;
    let first = order(time, &[1]);
    old.signed(&order_request(&first), &Cell::from(first.clone()));
    let mut new = keyd.connect();
    assert!(matches!(
        old.link.receiver.receive(),
        Ok(None) | Err(LinkError::Closed)
    ));
    assert_eq!(
        new.refused(&order_request(&order(time, &[2]))),
        "not_an_append"
    );
}

#[test]
fn a_consensusd_that_reads_no_answers_gets_no_more_and_blocks_nobody() {
    let files = Files::new();
    let mut keyd = files.start();
    let (stream, epoch) = keyd.stream();
    let link =
        Link::<ToKey, ipc::key::FromKey>::open(stream, Channel::Key, epoch, PATIENCE).unwrap();
    let (mut sender, mut receiver) = (link.sender, link.receiver);
    std::thread::scope(|scope| {
        let (first, begun) = std::sync::mpsc::channel();
        let flood = scope.spawn(move || {
            // Until keyd takes no more; the write then waits, and ends with the channel.
            let request = ToKey {
                ticket: 0,
                request: vec![0xd0; 1_000].into(),
            };
            sender.send(&request).unwrap();
            first.send(()).unwrap();
            while sender.send(&request).is_ok() {}
        });
        begun.recv_timeout(PATIENCE).unwrap();
        for _ in 0..50 {
            keyd.assert_alive();
        }
        keyd.tell(&ToWorker::Lock);
        keyd.assert_alive();
        let mut other = keyd.connect();
        assert_eq!(other.ask(&[0x00]), Answer::Locked);
        while let Ok(Some(_)) = receiver.receive() {}
        drop(receiver);
        flood.join().unwrap();
    });
}

#[test]
fn after_a_kill_only_times_beyond_the_ceiling_are_signed() {
    let files = Files::new();
    for _ in 0..5 {
        let mut keyd = files.start();
        let mut asker = keyd.connect();
        let time = wall() + 1_000;
        let signed = order(time, &[1]);
        asker.signed(&order_request(&signed), &Cell::from(signed.clone()));
        let (_, ceiling, _) = keyd.status();
        keyd.child.kill().unwrap();
        assert!(matches!(keyd.child.wait().unwrap(), Ended::Killed(9)));

        let mut keyd = files.start();
        let mut asker = keyd.connect();
        // Even what is the same byte for byte: this process knows nothing of it.
        for time in [time, time - 500, ceiling] {
            assert_eq!(
                asker.refused(&order_request(&order(time, &[1]))),
                "under_ceiling"
            );
            let request = signing::block_request(&block(time, 1)).unwrap();
            assert_eq!(asker.refused(&request), "under_ceiling");
        }
        let later = order(wall() + 1_000, &[2]);
        asker.signed(&order_request(&later), &Cell::from(later.clone()));
        assert!(keyd.status().1 > ceiling);
        keyd.end();
    }
}

#[test]
fn it_waits_for_a_passphrase_and_a_wrong_one_is_no_end() {
    let mut files = Files::new();
    files.settings.passphrase = false;
    let mut keyd = files.spawn();
    assert!(matches!(keyd.hear(), FromWorker::Sandboxed(_)));
    assert_eq!(keyd.hear(), FromWorker::Ready(Ready::Keyd { locked: true }));
    let alarm = keyd.hear_alarm(AlarmKind::Locked);
    assert!(alarm.contains("convexctl key unlock"));
    let mut asker = keyd.connect();
    assert_eq!(asker.ask(&[0x00]), Answer::Locked);

    keyd.unlock("wrong horse\n");
    assert!(
        keyd.hear_alarm(AlarmKind::Locked)
            .contains("wrong passphrase")
    );
    assert!(keyd.status().0);
    keyd.unlock(&"x".repeat(2_000));
    assert!(keyd.hear_alarm(AlarmKind::Locked).contains("longer than"));

    keyd.unlock(&format!("{PASSPHRASE}\n"));
    assert_eq!(
        keyd.hear(),
        FromWorker::Ready(Ready::Keyd { locked: false })
    );
    assert!(matches!(asker.ask(&[0x00]), Answer::Signed { .. }));
}

#[test]
fn locked_by_order_it_signs_nothing_until_a_restart() {
    let files = Files::new();
    let mut keyd = files.start();
    let mut asker = keyd.connect();
    keyd.tell(&ToWorker::Lock);
    assert!(keyd.status().0);
    assert_eq!(asker.ask(&[0x00]), Answer::Locked);
    keyd.unlock(PASSPHRASE);
    assert!(keyd.hear_alarm(AlarmKind::Locked).contains("restart"));
    assert_eq!(asker.ask(&[0x00]), Answer::Locked);
    keyd.end();
    let mut keyd = files.start();
    assert!(matches!(keyd.connect().ask(&[0x00]), Answer::Signed { .. }));
}

#[test]
fn the_audit_log_tells_what_was_refused_and_counts_what_was_signed() {
    let files = Files::new();
    let mut keyd = files.start();
    let mut asker = keyd.connect();
    let signed = order(wall() + 1_000, &[1]);
    asker.signed(&order_request(&signed), &Cell::from(signed.clone()));
    let transaction = Cell::from(transfer(1)).encode();
    assert_eq!(asker.refused(&transaction), "transaction");
    let alarm = keyd.hear_alarm(AlarmKind::Signing);
    keyd.tell(&ToWorker::Lock);
    keyd.tell(&ToWorker::Stop { within: 1_000 });
    assert!(matches!(keyd.child.wait().unwrap(), Ended::Exited(0)));
    let expected = [
        format!("started key={}", key().account_key()),
        "unlocked".to_owned(),
        "refused reason=transaction".to_owned(),
        format!("alarm kind=Signing: {alarm}"),
        "signed order=1 block=0 challenge=0 answer=0, refused 1".to_owned(),
        "locked by order".to_owned(),
        "ended".to_owned(),
    ];
    assert_eq!(files.audit_lines(), expected);

    // The next one goes on behind it.
    files.start().end();
    let lines = files.audit_lines();
    assert_eq!(lines[..expected.len()], expected);
    assert_eq!(lines[expected.len()..], expected[..2]);
    let all = lines.concat();
    assert!(!all.contains(PASSPHRASE) && !all.contains(&"07".repeat(32)));
}

#[test]
fn with_a_full_audit_log_it_goes_on_signing_and_says_so() {
    let mut files = Files::new();
    files.settings.audit = 300;
    let mut keyd = files.start();
    let mut asker = keyd.connect();
    for _ in 0..50 {
        let transaction = Cell::from(transfer(1)).encode();
        assert_eq!(asker.refused(&transaction), "transaction");
    }
    assert!(matches!(asker.ask(&[0x00]), Answer::Signed { .. }));
    assert!(files.audit_lines().last().unwrap() == "full");
    keyd.hear_alarm(AlarmKind::Signing);
    let lost = keyd.status().2.into_iter();
    let lost = lost.filter(|(name, _)| name == "audit_lines_lost");
    assert!(lost.map(|(_, lost)| lost).sum::<u64>() > 10);
}

#[test]
fn it_ends_in_order_when_told_and_when_the_supervisor_is_gone() {
    let files = Files::new();
    let keyd = files.start();
    keyd.tell(&ToWorker::Stop { within: 1_000 });
    assert!(matches!(keyd.child.wait().unwrap(), Ended::Exited(0)));

    let keyd = files.start();
    let support::Keyd {
        child, supervisor, ..
    } = keyd;
    drop(supervisor);
    assert!(matches!(child.wait().unwrap(), Ended::Exited(0)));
}

#[test]
fn bad_circumstances_have_their_exit_code_and_name_the_remedy() {
    let mut files = Files::new();

    files.write_passphrase("wrong horse");
    let (code, words) = files.fail();
    assert_eq!(code, 78);
    assert!(
        words.contains("wrong passphrase") && words.contains("keystore.pfx"),
        "{words}"
    );
    files.write_passphrase(PASSPHRASE);

    let loose = |name: &str, mode| {
        let permissions = PermissionsExt::from_mode(mode);
        std::fs::set_permissions(files.path(name), permissions).unwrap();
    };
    loose("keystore.pfx", 0o640);
    let (code, words) = files.fail();
    let path = files.path("keystore.pfx");
    assert_eq!(code, 78);
    assert!(
        words.ends_with(&format!("run chmod 600 {}", path.display())),
        "{words}"
    );
    loose("keystore.pfx", 0o600);

    loose("passphrase", 0o644);
    let (code, words) = files.fail();
    assert!(code == 78 && words.contains("chmod 600"), "{code} {words}");
    loose("passphrase", 0o600);

    let running = files.start();
    let (code, words) = files.fail();
    assert!(
        code == 75 && words.contains("another keyd"),
        "{code} {words}"
    );
    running.end();
    let (code, words) = {
        files.settings.key = [1; 32];
        files.fail()
    };
    assert!(
        code == 78 && words.contains("convexctl key import"),
        "{code} {words}"
    );
    files.settings.key = key().account_key().to_bytes();

    files.settings.demands = "armour".to_owned();
    let (code, words) = files.fail();
    assert!(code == 78 && words.contains("armour"), "{code} {words}");
    files.settings.demands = "default".to_owned();

    let store = std::fs::read(files.path("keystore.pfx")).unwrap();
    keys::file::replace(&files.path("keystore.pfx"), &store[..store.len() - 9]).unwrap();
    let (code, words) = files.fail();
    assert!(code == 65 && words.contains("damaged"), "{code} {words}");
    keys::file::replace(&files.path("keystore.pfx"), &store).unwrap();

    std::fs::write(files.path("journal"), [b'#'; 8_192]).unwrap();
    let (code, words) = files.fail();
    assert!(
        code == 65 && words.contains("remove the file"),
        "{code} {words}"
    );
}

#[test]
fn files_of_the_supervisor_are_good_and_those_of_anybody_else_are_not() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let mut files = Files::new();
    files.settings.supervisor = 12_345;
    files.start().end();
    let names = ["keystore.pfx", "passphrase", "journal"];
    for name in names {
        std::os::unix::fs::chown(files.path(name), Some(12_345), None).unwrap();
    }
    files.start().end();
    for name in names {
        std::os::unix::fs::chown(files.path(name), Some(12_346), None).unwrap();
        let (code, words) = files.fail();
        assert!(code == 78 && words.contains("12346"), "{name}: {words}");
        std::os::unix::fs::chown(files.path(name), Some(12_345), None).unwrap();
    }
    files.start().end();
}

#[test]
fn started_by_hand_it_says_who_starts_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_keyd"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("supervisor") && words.contains("convexctl"),
        "{words}"
    );
}
