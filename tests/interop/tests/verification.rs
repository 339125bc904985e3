//! The recorded sessions in which two peers met (`spec/06 §16`), as far as one of them alone decides what it answers, played to a whole peer of
//! this tree: what a peer that joins asks first, and how each side finds out who the other is. Tokens are drawn by who challenges, so answers
//! to them are signed anew, as right or as wrong as the recorded ones. Says so and does nothing where the reference, which makes the genesis
//! state, can't run.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use cells::{Blob, Cell, Decoder, Hash, Signed, Vector, decode_partial};
use crypto::{Signature, SigningKey};
use interop::own_peer::{KEY_2, OwnPeer, SEED_1, SEED_2, key, public};
use interop::recorded::{
    BELIEF, Connection, FENCE, PATIENCE, WIDE, bytes, genesis, hash, lines, recorded, request,
    shown, shown_data,
};
use serde_json::Value;
use wire::{FrameReader, Message, Reply, Status};

/// The recorded genesis: peers with the seeds 1 and 2.
const GENESIS: &str = "7ae115dfee8412857b55fab03853620c32ff1f7a8a64b4038fb53e15f9f5de1e";

/// The orders of the recorded belief.
const ORDERS: &str = "fde5baa084c98f3275079625900dc2ff492391a72439187b19fd43978339b2f2";

/// A key that belongs to no peer.
const SEED_9: &str = "0000008b1258e70b1688fddd96e8068e079b53aeb2f2734d4cb717b53e3aea5b";

/// Time in which a challenge comes if one does. It is far below the 5 s after which a challenge counts as not answered.
const SOON: Duration = Duration::from_millis(400);

/// Longer than those 5 s.
const LONG: Duration = Duration::from_millis(5_500);

/// What is done otherwise on purpose, after a message of a session: whether the other side is challenged.
const DEVIATIONS: [(&str, u64, bool); 2] = [
    // Its signature is none: another try is due.
    ("forged", 3, true),
    // It answers no challenge of ours: the right answer may still come.
    ("badtoken", 3, false),
];

/// The row of `docs/compatibility.md` for both.
const WHY: &str = "answer to our challenge";

fn sessions() -> BTreeMap<String, Vec<Value>> {
    let mut sessions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines() {
        let name = line["session"].as_str().expect("a name").to_owned();
        sessions.entry(name).or_default().push(line);
    }
    sessions
}

fn peer(seed: &[u8; 32]) -> Option<OwnPeer> {
    let genesis = genesis(&[public(&SEED_1), key(KEY_2)], GENESIS)?;
    Some(OwnPeer::start(&genesis, seed))
}

fn message(line: &Value) -> Message {
    let bytes = bytes(line);
    let body = FrameReader::new(WIDE).read(&mut &bytes[..]);
    let body = body.expect("a frame").expect("a whole one");
    let (payload, _) = decode_partial(&body, &Decoder::new()).expect("a message");
    Message::read(payload).expect("a message")
}

/// The token of a challenge to anybody, which this peer made for this network.
fn token_of(challenge: &Signed, by: &[u8; 32]) -> Hash {
    assert_eq!(challenge.key().map(|key| *key.as_bytes()), Some(*by));
    assert!(challenge.verify());
    let Cell::Vector(parts) = challenge.value().expect("in memory") else {
        panic!("no vector");
    };
    let part = |i| parts.get(i).expect("in memory").expect("a part");
    assert_eq!((parts.count(), part(1)), (3, Cell::Nil));
    assert_eq!(part(2).to_string(), format!("0x{GENESIS}"));
    let Cell::Blob(token) = part(0) else {
        panic!("no token");
    };
    Hash(*token.as_key().expect("32 bytes"))
}

/// What an answer to a challenge of the peer with this key signs.
fn proof(token: &Hash, challenger: &[u8; 32]) -> Cell {
    let parts = [token.0, *challenger, hash(GENESIS).0];
    let parts: Vector = parts
        .iter()
        .map(|part| Cell::from(Blob::new(part)))
        .collect();
    Cell::from(parts)
}

/// The answer of the recorded line to this challenge of ours: right and wrong in what it was right and wrong.
fn answer_as_recorded(line: &Value, challenged: &Value, ours: (i64, &Signed)) -> Message {
    let (Message::Result(reply), Message::Challenge { id, signed: theirs }) =
        (message(line), message(challenged))
    else {
        panic!("{line}");
    };
    let by = public(&SEED_1);
    let token = token_of(ours.1, &by);
    let Cell::Signed(shown_proof) = &reply.value else {
        panic!("{line}");
    };
    let Cell::Vector(parts) = shown_proof.value().expect("in memory") else {
        panic!("{line}");
    };
    let their_token = Cell::from(Blob::new(&token_of(&theirs, &by).0));
    let answered = parts.get(0).expect("in memory").expect("a token");
    let value = if answered == their_token {
        proof(&token, &by)
    } else {
        Cell::from(parts)
    };
    let signer = *shown_proof.key().expect("a key");
    let seeds = [SEED_2, key(SEED_9)];
    let seed = seeds.iter().find(|seed| public(seed) == *signer.as_bytes());
    let signed = if shown_proof.verify() {
        let key = SigningKey::from_seed(seed.expect("a known key"));
        Signed::sign(&key, value)
    } else {
        Signed::new(signer, Signature::new([0xaa; 64]), value)
    };
    let id = if reply.id == Cell::Long(id) {
        Cell::Long(ours.0)
    } else {
        reply.id
    };
    Message::Result(Reply {
        id,
        ..Reply::ok(0, Cell::from(signed))
    })
}

#[test]
fn what_a_joining_peer_asks_first_has_the_recorded_answers() {
    let Some(peer) = peer(&SEED_1) else {
        return;
    };
    let sessions = sessions();
    let mut compared = 0;
    for name in ["P2->P1#1", "interop P1=0.8.5 P2=0.8.0 P2->P1#1"] {
        let mut connection = Connection::open(peer.endpoint());
        connection.ask(&Message::Status { id: FENCE });
        let status = connection.answer(None).expect("an answer");
        let belief = Status::read(&status.value).expect("a status").belief;
        let instead = [(hash(BELIEF), belief)];
        // The orders of the recorded belief are a cell of their own. Here there are others, or none yet, and nobody would ask for those.
        let of_orders = |line: &Value| {
            let decoded = line["decoded"].as_str().unwrap_or_default();
            decoded.contains(ORDERS)
        };
        let mut left_out = false;
        let mut lines = sessions[name].iter().peekable();
        while let Some(line) = lines.next_if(|line| line["type"] != "BELIEF") {
            if line["dir"] == "C>S" {
                // What was recorded in part only, the other session has as a whole.
                left_out = of_orders(line) || line.get("truncated").is_some();
                if !left_out {
                    let (bytes, _) = request(line, &instead);
                    connection.send(&bytes);
                }
            } else if let (Some((expected, cut)), false) = (recorded(line), left_out) {
                let reply = connection.answer(Some(&expected.id)).expect("an answer");
                if cut || line.get("truncated").is_some() {
                    assert!(reply.error.is_nil(), "{reply:?}");
                    continue;
                }
                assert_eq!(
                    text(&reply, belief),
                    text(&expected, hash(BELIEF)),
                    "{name} {}",
                    line["seq"]
                );
                compared += 1;
            }
        }
        // Then it sends a belief, and has to show who it is.
        connection.send(&bytes(lines.next().expect("a belief")));
        let (_, challenge) = connection.challenge(PATIENCE).expect("a challenge");
        token_of(&challenge, &public(&SEED_1));
    }
    assert!(compared >= 15, "{compared}");
}

fn text(reply: &Reply, belief: Hash) -> String {
    match &reply.value {
        Cell::Vector(_) if Status::read(&reply.value).is_err() => {
            shown_data(reply, &[(belief, "the belief")])
        }
        _ => shown(reply, false),
    }
}

#[test]
fn a_peer_that_is_dialled_answers_the_recorded_challenge_and_asks_back() {
    let Some(peer) = peer(&SEED_2) else {
        return;
    };
    // Else it would answer that it has no key to sign with.
    peer.wait_until_it_signs();
    let lines = &sessions()["P1->P2#1"];
    let mut connection = Connection::open(peer.endpoint());
    let of_type = |name: &str, dir: &str| {
        lines
            .iter()
            .filter(|line| line["type"] == name && line["dir"] == dir)
            .collect::<Vec<_>>()
    };
    connection.send(&bytes(of_type("CHALLENGE", "C>S")[0]));
    let (expected, _) = recorded(of_type("RESULT", "S>C")[0]).expect("an answer");
    let reply = connection.answer(Some(&expected.id)).expect("an answer");
    // Signatures are functions of what is signed.
    assert_eq!(shown(&reply, false), shown(&expected, false));
    let (id, challenge) = connection.challenge(PATIENCE).expect("a challenge");
    let token = token_of(&challenge, &public(&SEED_2));
    let value = proof(&token, &public(&SEED_2));
    let signed = Signed::sign(&SigningKey::from_seed(&SEED_1), value);
    connection.ask(&Message::Result(Reply::ok(id, Cell::from(signed))));
    // Nobody is asked twice.
    for belief in of_type("BELIEF", "C>S").iter().take(8) {
        connection.send(&bytes(belief));
        assert!(connection.challenge(SOON).is_none());
    }
}

#[test]
fn who_sends_beliefs_is_challenged_as_recorded_and_believed_only_with_a_proof() {
    let Some(peer) = peer(&SEED_1) else {
        return;
    };
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md");
    let page = fs::read_to_string(page).expect("the page of deviations");
    assert!(page.contains(&format!("| {WHY} |")), "no row {WHY}");
    let sessions = sessions();
    let mut deviations = DEVIATIONS.to_vec();
    for name in ["genuine", "forged", "badtoken", "silent", "nonpeer"] {
        let lines = &sessions[name];
        let mut connection = Connection::open(peer.endpoint());
        let mut challenged: Option<(&Value, (i64, Signed))> = None;
        for (at, line) in lines.iter().enumerate() {
            if line["dir"] != "C>S" {
                continue;
            }
            let seq = line["seq"].as_u64().expect("a number");
            let before = |place: usize| lines[place]["t_ms"].as_f64().expect("a time");
            if at > 0 && before(at) - before(at - 1) > 5_000.0 {
                assert!(connection.challenge(LONG).is_none());
            }
            if line["type"] == "RESULT" {
                let (theirs, ours) = challenged.as_ref().expect("a challenge");
                connection.ask(&answer_as_recorded(line, theirs, (ours.0, &ours.1)));
                continue;
            }
            let follows = lines.get(at + 1).filter(|next| next["type"] == "CHALLENGE");
            let deviation = deviations.iter().position(|d| (d.0, d.1) == (name, seq));
            let expected = match deviation {
                Some(place) => {
                    let (.., expected) = deviations.remove(place);
                    assert_ne!(expected, follows.is_some(), "{name} {seq} is none any more");
                    expected
                }
                None => follows.is_some(),
            };
            let came = belief(&mut connection, line, expected);
            assert_eq!(came.is_some(), expected, "{name} {seq}");
            if let (Some(theirs), Some(ours)) = (follows, came) {
                token_of(&ours.1, &public(&SEED_1));
                challenged = Some((theirs, ours));
            }
        }
    }
    assert!(deviations.is_empty(), "{deviations:?}");
}

/// Sends a belief: the challenge that follows, if one does. Where one should, the belief is sent until it does: what came before may still be
/// looked at.
fn belief(connection: &mut Connection, line: &Value, expected: bool) -> Option<(i64, Signed)> {
    let tries = if expected { 50 } else { 1 };
    for _ in 0..tries {
        connection.send(&bytes(line));
        let came = connection.challenge(SOON);
        if came.is_some() {
            return came;
        }
    }
    None
}
