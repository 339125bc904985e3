//! The recorded sessions of clients with one peer of the reference (`spec/06 §16`), played to a whole peer of this tree on the same genesis
//! state: its answers are the recorded ones, but for the deviations that are listed here, each of which `docs/compatibility.md` explains. A
//! listed deviation that is none any more fails as well. Says so and does nothing where the reference, which makes the genesis state, can't
//! run.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use cells::Hash;
use interop::own_peer::{OwnPeer, SEED_1, public};
use interop::recorded::{
    BELIEF, Came, Connection, FENCE, genesis, hash, lines, recorded, request, shown, shown_data,
};
use serde_json::Value;
use wire::{Message, Reply, Status};

/// The recorded genesis: a peer with seed 1.
const GENESIS: &str = "c18a5e032c22ff755ea6e6f6147957f883b9e6f9788e1682ed5d7fcb2051f074";

/// Sessions that were recorded one after the other with one peer.
const FAMILIES: [&[&str]; 4] = [
    &["client"],
    &[
        "client-tx",
        "client-query",
        "client-query2",
        "client-query3",
        "client-query4",
        "client-status",
    ],
    &[
        "client-malformed1",
        "client-malformed2",
        "client-malformed3",
        "client-malformed4",
        "client-partial2",
        "client-data",
        "client-challenge",
    ],
    &[
        "lib-client-0.8.5#1",
        "lib-client-0.8.0#1",
        "client-pipeline",
        "client-sameid",
        "client-lenwrap",
        "client-len-neg",
    ],
];

/// What is done otherwise on purpose.
struct Deviation {
    session: &'static str,
    /// Place of the request in the session.
    seq: u64,
    /// What this peer does.
    here: &'static str,
    /// A row of `docs/compatibility.md`.
    why: &'static str,
}

const DEVIATIONS: &[Deviation] = &[
    Deviation {
        session: "client-query",
        seq: 1,
        here: "1 \"Bad Message Format!\" :FORMAT",
        why: "query that can't be understood but has an id",
    },
    Deviation {
        session: "client-query4",
        seq: 4,
        here: "12 \"Bad Message Format!\" :FORMAT",
        why: "query that can't be understood but has an id",
    },
    Deviation {
        session: "client-malformed4",
        seq: 10,
        here: "9 \"Bad Message Format!\" :FORMAT",
        why: "query that can't be understood but has an id",
    },
    Deviation {
        session: "client-malformed1",
        seq: 13,
        here: "nil \"input ends inside a cell\" :FORMAT",
        why: "undecodable message",
    },
    Deviation {
        session: "client-malformed1",
        seq: 16,
        here: "nothing",
        why: "undecodable result",
    },
    Deviation {
        session: "client-malformed1",
        seq: 19,
        here: "nil \"integer is not minimal\" :FORMAT",
        why: "undecodable message",
    },
    Deviation {
        session: "client-malformed1",
        seq: 25,
        here: "nil \"embedded cell among the children of a message\" :FORMAT",
        why: "undecodable message",
    },
    Deviation {
        session: "client-malformed1",
        seq: 28,
        here: "nil \"embedded cell among the children of a message\" :FORMAT",
        why: "undecodable message",
    },
    Deviation {
        session: "client-malformed1",
        seq: 40,
        here: "nil \"embedded cell among the children of a message\" :FORMAT",
        why: "undecodable message",
    },
    Deviation {
        session: "client-malformed1",
        seq: 43,
        here: "closed",
        why: "frame length with a leading `80`, or of more than 32 bits",
    },
    Deviation {
        session: "client-lenwrap",
        seq: 0,
        here: "closed",
        why: "frame length with a leading `80`, or of more than 32 bits",
    },
    Deviation {
        session: "client-challenge",
        seq: 35,
        here: "12 \"Token and context must be hashes\" :UNEXPECTED",
        why: "challenge whose token or context is no hash",
    },
    Deviation {
        session: "client-challenge",
        seq: 38,
        here: "13 \"Token and context must be hashes\" :UNEXPECTED",
        why: "challenge whose token or context is no hash",
    },
    Deviation {
        session: "client-challenge",
        seq: 41,
        here: "14 \"Token and context must be hashes\" :UNEXPECTED",
        why: "challenge whose token or context is no hash",
    },
];

/// Sessions at whose end the reference closed the connection (`spec/06 §2`, `§4.1`, `§6.3`, `§6.5`).
const CLOSED: &[&str] = &[
    "client-query",
    "client-query2",
    "client-query3",
    "client-query4",
    "client-status",
    "client-malformed2",
    "client-malformed4",
    "client-len-neg",
];

/// The session that ends inside a frame.
const IN_FRAME: &str = "client-malformed3";

struct Play<'a> {
    peer: &'a OwnPeer,
    /// The belief at the beginning.
    belief: Hash,
    /// What differs, by session and place of the request: recorded, here.
    differences: BTreeMap<(String, u64), (String, String)>,
    compared: usize,
}

impl Play<'_> {
    fn compare(&mut self, place: (&str, u64), recorded: String, here: String) {
        self.compared += 1;
        if recorded != here {
            let place = (place.0.to_owned(), place.1);
            self.differences.insert(place, (recorded, here));
        }
    }

    fn session(&mut self, name: &str, lines: &[Value]) {
        let mut connection = Connection::open(self.peer.endpoint());
        let requests: Vec<usize> = (0..lines.len())
            .filter(|at| lines[*at]["dir"] == "C>S" && lines[*at].get("hex").is_some())
            .collect();
        let mut challenged = false;
        let mut seq = 0;
        for (number, &at) in requests.iter().enumerate() {
            seq = lines[at]["seq"].as_u64().expect("a number");
            let (bytes, data) = request(&lines[at], &[(hash(BELIEF), self.belief)]);
            connection.send(&bytes);
            let end = requests.get(number + 1).copied().unwrap_or(lines.len());
            for answer in lines[at..end].iter().filter(|line| line["dir"] == "S>C") {
                if answer["type"] == "CHALLENGE" {
                    challenged = true;
                    continue;
                }
                let Some((expected, cut)) = recorded(answer) else {
                    continue;
                };
                let came = connection.answer(Some(&expected.id));
                let text = |reply: &Reply, belief| {
                    if data {
                        shown_data(reply, &[(belief, "the belief")])
                    } else {
                        shown(reply, cut)
                    }
                };
                let here = match &came {
                    Ok(reply) => text(reply, self.belief),
                    Err(Came::Closed) => "closed".to_owned(),
                    Err(_) => "nothing".to_owned(),
                };
                self.compare((name, seq), text(&expected, hash(BELIEF)), here);
                if matches!(came, Err(Came::Closed)) {
                    connection = Connection::open(self.peer.endpoint());
                }
            }
        }
        let recorded = if CLOSED.contains(&name) { "closed" } else { "" };
        let here = match connection.rest(name == IN_FRAME) {
            Some(replies) => {
                let replies: Vec<String> = replies.iter().map(|r| shown(r, false)).collect();
                replies.join(", ")
            }
            None => "closed".to_owned(),
        };
        if self
            .differences
            .get(&(name.to_owned(), seq))
            .is_none_or(|(_, before)| *before != here)
        {
            self.compare((name, seq), recorded.to_owned(), here);
        }
        assert_eq!(!connection.challenges.is_empty(), challenged, "{name}");
    }
}

#[test]
fn recorded_sessions_of_clients_have_the_recorded_answers() {
    let Some(genesis) = genesis(&[public(&SEED_1)], GENESIS) else {
        return;
    };
    let mut sessions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines() {
        let name = line["session"].as_str().expect("a name").to_owned();
        sessions.entry(name).or_default().push(line);
    }
    let mut differences = BTreeMap::new();
    let mut compared = 0;
    for family in FAMILIES {
        let peer = OwnPeer::start(&genesis, &SEED_1);
        let mut client = Connection::open(peer.endpoint());
        client.ask(&Message::Status { id: FENCE });
        let status = client.answer(None).expect("an answer");
        let mut play = Play {
            peer: &peer,
            belief: Status::read(&status.value).expect("a status").belief,
            differences: BTreeMap::new(),
            compared: 0,
        };
        for name in family {
            play.session(name, &sessions[*name]);
        }
        differences.append(&mut play.differences);
        compared += play.compared;
    }
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md");
    let page = fs::read_to_string(page).expect("the page of deviations");
    for deviation in DEVIATIONS {
        let row = format!("| {} |", deviation.why);
        assert!(page.contains(&row), "the page has no row {row}");
        let place = (deviation.session.to_owned(), deviation.seq);
        let Some((recorded, here)) = differences.remove(&place) else {
            panic!("{place:?} is no deviation any more");
        };
        assert!(
            here.starts_with(deviation.here),
            "{place:?}\n  recorded {recorded}\n  here     {here}"
        );
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(compared > 120, "{compared}");
}

/// Sessions that are not played here, by the beginning of their names, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("genuine", "verification.rs"),
    ("forged", "verification.rs"),
    ("badtoken", "verification.rs"),
    ("silent", "verification.rs"),
    ("nonpeer", "verification.rs"),
    (
        "P2->P1#1",
        "verification.rs, as far as it concerns one peer",
    ),
    (
        "P1->P2#1",
        "verification.rs, as far as it concerns one peer",
    ),
    (
        "interop P1=0.8.5 P2=0.8.0 P2->P1#1",
        "verification.rs, as far as it concerns one peer",
    ),
    (
        "interop P1=0.8.5 P2=0.8.0 P1->P2#1",
        "a peer of another release answers",
    ),
    (
        "interop P1=0.8.0 P2=0.8.5 P2->P1#1",
        "a peer of another release answers",
    ),
    (
        "interop P1=0.8.0 P2=0.8.5 P1->P2#1",
        "the state of a peer that follows another one",
    ),
    ("0.8.0 ", "a peer of another release answers"),
    ("lattice-", "a node of another kind answers"),
];

#[test]
fn every_recorded_session_is_played_or_known_to_concern_no_single_peer_of_this_release() {
    for line in lines() {
        let name = line["session"].as_str().expect("a name");
        let played = FAMILIES.iter().any(|family| family.contains(&name));
        let elsewhere = ELSEWHERE.iter().any(|(begin, _)| name.starts_with(begin));
        assert!(played != elsewhere, "{name}");
    }
}
