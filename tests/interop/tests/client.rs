//! The client library of the reference, unchanged, on a peer of this tree and on a peer of the reference with the same genesis: the same
//! calls have the same answers. Says so and does nothing where the reference can't run.

use cells::{Cell, Decoder, Signed, Vector, decode_message};
use crypto::SigningKey;
use cvm::reader::read;
use cvm::state::{Kind, Mode, Transaction};
use interop::oracle::Oracle;
use interop::own_peer::{KEY_2, OwnPeer, SEED_1, default_genesis, public};
use interop::subject;
use serde_json::Value;
use wire::Reply;

/// Another key than that of the account.
const WRONG_SEED: [u8; 32] = [9; 32];

/// Both peers, and a client of the library at each.
struct Both {
    oracle: Oracle,
    own: OwnPeer,
}

const OWN: usize = 0;
const THEIRS: usize = 1;

impl Both {
    /// `None` where the reference can't run.
    fn start() -> Option<Self> {
        let mut oracle = Oracle::chosen()?;
        let genesis = default_genesis(&[public(&SEED_1)]);
        let own = OwnPeer::start(&genesis, &SEED_1);
        let message = hex::encode(subject::sorted_message(&genesis).expect("in memory"));
        let seed = hex::encode(SEED_1);
        ask(&mut oracle, "limit 16000000 1999");
        let state = ask(&mut oracle, &format!("state {message}"));
        assert_eq!(state["state"], genesis.hash().to_string());
        let theirs = ask(&mut oracle, &format!("peer-start {seed}"));
        assert_eq!(theirs["genesis"], genesis.hash().to_string());
        for endpoint in [
            own.endpoint().to_owned(),
            format!("127.0.0.1:{}", theirs["port"]),
        ] {
            let client = ask(&mut oracle, &format!("connect {endpoint} 11 {seed}"));
            assert_eq!(client["connected"], true);
        }
        Some(Self { oracle, own })
    }

    /// One call of the library at one peer.
    fn call(&mut self, client: usize, call: &str) -> Value {
        let name = call.split(' ').next().unwrap_or_default();
        let request = call.replacen(name, &format!("call {client} {name}"), 1);
        ask(&mut self.oracle, &request)
    }

    fn result(&mut self, client: usize, call: &str) -> Reply {
        let answer = self.call(client, call);
        let bytes = hex::decode(answer["result"].as_str().expect("a result")).expect("hex");
        let cell = decode_message(&bytes, &Decoder::new()).expect("a cell");
        let Cell::Record(record) = cell else {
            panic!("no record: {answer}");
        };
        Reply::read(&record).expect("a result")
    }

    /// The same call at both peers: the same answer.
    fn same(&mut self, call: &str) -> Reply {
        let [own, theirs] = [OWN, THEIRS].map(|client| self.result(client, call));
        assert_eq!(shown(&own), shown(&theirs), "{call}");
        own
    }

    /// As [`Both::same`], and the value or error code is this.
    fn is(&mut self, call: &str, expected: &str) {
        let reply = self.same(call);
        let outcome = if reply.error.is_nil() {
            reply.value.to_string()
        } else {
            reply.error.to_string()
        };
        assert_eq!(outcome, expected, "{call}");
    }
}

fn ask(oracle: &mut Oracle, request: &str) -> Value {
    let answer = oracle
        .ask(&[request.to_owned()])
        .expect("an answer")
        .remove(0);
    assert!(answer.get("fail").is_none(), "{request:.200}: {answer}");
    answer
}

/// All of an answer but `:fees`, which 0.8.0 does not tell of queries (`spec/06 §15`), and which follow from the rest.
fn shown(reply: &Reply) -> String {
    let mut info: Vec<String> = match &reply.info {
        Cell::Map(map) => map
            .iter()
            .map(|entry| entry.expect("in memory"))
            .map(|(key, value)| format!("{key} {value}"))
            .filter(|entry| !entry.starts_with(":fees "))
            .collect(),
        other => vec![other.to_string()],
    };
    info.sort();
    format!(
        "value {} error {} log {} info {info:?}",
        reply.value, reply.error, reply.log
    )
}

fn form(text: &str) -> Cell {
    read(text).expect("a form")
}

fn transaction(origin: u64, sequence: i64, kind: Kind) -> Cell {
    Transaction {
        origin,
        sequence,
        kind,
    }
    .to_cell()
}

fn invoke(origin: u64, sequence: i64, text: &str) -> Cell {
    let command = form(text);
    transaction(origin, sequence, Kind::Invoke { command })
}

fn transfer(origin: u64, sequence: i64, target: &str, amount: i64) -> Cell {
    let target = form(target);
    transaction(origin, sequence, Kind::Transfer { target, amount })
}

fn hex_of(cell: &Cell) -> String {
    hex::encode(cells::encode_message(cell).expect("in memory"))
}

/// A call with a transaction that is signed here.
fn signed(transaction: Cell, seed: &[u8; 32]) -> String {
    let key = SigningKey::from_seed(seed);
    format!(
        "signed {}",
        hex_of(&Cell::from(Signed::sign(&key, transaction)))
    )
}

#[test]
fn the_client_library_of_the_reference_works_unchanged_and_has_the_answers_of_the_reference() {
    let Some(mut both) = Both::start() else {
        return;
    };

    // Status: everything but the belief, which has the signature of a time in it.
    let status = |both: &mut Both, client| {
        let reply = both.result(client, "status");
        assert!(reply.error.is_nil());
        wire::Status::read(&reply.value).expect("a status")
    };
    let [own, theirs] = [OWN, THEIRS].map(|client| status(&mut both, client));
    assert_eq!(own.genesis, both.own.genesis());
    assert_eq!(
        format!(
            "{:?}",
            wire::Status {
                belief: theirs.belief,
                ..own
            }
        ),
        format!("{theirs:?}")
    );

    // Queries: values, errors, accounts that are there and not, values with branches.
    both.is("query 11 (+ 1 2)", "3");
    both.is("query - *address*", "#11");
    both.same("query 12 [*address* *balance* *key*]");
    both.is("query 11 (foo)", ":UNDECLARED");
    both.is("query 11 (fail :MINE \"a message\")", ":MINE");
    both.is("query 99999 1", ":NOBODY");
    both.same("query 11 (account #11)");
    both.same("query 11 *state*");
    both.is("query 11 (do (log :a 1) [1 2])", "[1 2]");
    both.is("query 11 (loop [i 0] (recur (inc i)))", ":JUICE");
    both.is("query 11 (transfer #12 1000)", "1000");

    // Transactions of all kinds that work, numbered and signed by the library.
    both.is("query 11 *sequence*", "0");
    both.is("source (def x 5)", "5");
    both.is(
        "source (do (def f ^{:callable true} (fn [a] (* a x))) 1)",
        "1",
    );
    both.is("source (f 3)", "15");
    both.is("transfer 12 1000000", "1000000");
    let text = "a text that is longer than a cell may be that is embedded in others, so that it comes as a branch of its own: \
                one hundred and forty bytes are the limit of that";
    both.is(
        &format!("source (def long \"{text}\")"),
        &format!("\"{text}\""),
    );
    both.is(
        &format!("transact {}", hex_of(&transfer(11, 6, "#12", 500))),
        "500",
    );
    let children: Vector = [
        invoke(11, 0, "(def y 7)"),
        transfer(11, 0, "#12", 10),
        invoke(11, 0, "(fail :INNER 1)"),
    ]
    .into_iter()
    .collect();
    for (sequence, mode) in [Mode::Any, Mode::All, Mode::First, Mode::Until]
        .into_iter()
        .enumerate()
    {
        let kind = Kind::Multi {
            mode,
            transactions: Cell::from(children.clone()),
        };
        let multi = transaction(11, 7 + sequence as i64, kind);
        both.same(&format!("transact {}", hex_of(&multi)));
    }
    both.is("query 11 [*sequence* x y]", "[10 5 7]");
    let address = [OWN, THEIRS]
        .map(|client| both.call(client, &format!("create-account {KEY_2}"))["address"].clone());
    assert_eq!(address[OWN], address[THEIRS]);

    // Forms that are transactions, signed by whomever or not at all: executed whatever their number, and nothing stays.
    let kind = Kind::Multi {
        mode: Mode::All,
        transactions: Cell::from(children),
    };
    let multi = transaction(11, 1, kind);
    for form in [
        invoke(11, 1, "(+ 1 2)"),
        invoke(11, 99, "[*sequence* *address* x]"),
        invoke(11, 1, "(fail :A 1)"),
        invoke(99_999, 1, "1"),
        transfer(11, 1, "#12", 1_000),
        transfer(11, 1, "#99999", 1_000),
        multi,
    ] {
        let plain = both.same(&format!("query-cell 12 {}", hex_of(&form)));
        // To 0.8.0 a signed one is a value. To 0.8.5 it is what was signed.
        let key = SigningKey::from_seed(&WRONG_SEED);
        let signed = hex_of(&Cell::from(Signed::sign(&key, form)));
        let reply = both.result(OWN, &format!("query-cell 12 {signed}"));
        assert_eq!(shown(&reply), shown(&plain));
    }

    // Transactions that fail when they are executed: in a block, with a place in it.
    both.is("source (undefined-fn 1)", ":UNDECLARED");
    both.is("source (fail :OOPS 1)", ":OOPS");
    both.is("transfer 99999 5", ":NOBODY");
    both.is("transfer 12 999999999999999999", ":FUNDS");
    let next = 16;
    both.is("query 11 *sequence*", &(next - 1).to_string());
    both.is(&signed(invoke(11, next + 7, "1"), &SEED_1), ":SEQUENCE");

    // Transactions that are refused at once.
    both.is(&signed(invoke(11, 1, "1"), &SEED_1), ":SEQUENCE");
    both.is(&signed(invoke(11, next, "1"), &WRONG_SEED), ":SIGNATURE");
    both.is(&signed(invoke(99_999, 1, "1"), &SEED_1), ":NOBODY");
    both.is(&signed(invoke(8, 1, "1"), &SEED_1), ":STATE");
    let mut bytes = signed(invoke(11, next, "(def z 1)"), &SEED_1);
    // A digit of the signature, which begins after the tag and the key.
    let place = "signed ".len() + 2 + 64 + 20;
    let digit = if &bytes[place..=place] == "0" {
        "1"
    } else {
        "0"
    };
    bytes.replace_range(place..=place, digit);
    both.is(&bytes, ":SIGNATURE");
    both.is("query 11 *sequence*", &(next - 1).to_string());
    // None of them is in the way of the next one.
    both.is("source (+ 1 1)", "2");

    // The genesis state by its hash, into an empty store, and of our peer the current state and belief too: those of the reference can't
    // always be had, as it does not store embedded ones by themselves.
    let whole = default_genesis(&[public(&SEED_1)]);
    let message = hex::encode(subject::sorted_message(&whole).expect("in memory"));
    for client in [OWN, THEIRS] {
        let status = status(&mut both, client);
        let genesis = both.call(client, &format!("acquire {}", status.genesis));
        assert_eq!(genesis["hash"], both.own.genesis().to_string());
        assert_eq!(genesis["mc"], message);
        let unknown = ["ab"; 32].concat();
        let line = format!("call {client} acquire {unknown}");
        let refused = both.oracle.ask(&[line]).expect("an answer").remove(0);
        let cause = refused["cause"].as_str().unwrap_or_default();
        assert!(cause.contains("Missing"), "{refused}");
    }
    let now = status(&mut both, OWN);
    let state = both.call(OWN, &format!("acquire {}", now.state));
    assert_eq!(state["hash"], now.state.to_string());
    assert_eq!(state["kind"], "State");
    let belief = both.call(OWN, &format!("acquire {}", now.belief));
    assert_eq!(belief["hash"], now.belief.to_string());
    assert_eq!(belief["kind"], "Belief");

    // A new connection of the same client finds everything as it was.
    for client in [OWN, THEIRS] {
        assert_eq!(both.call(client, "reconnect")["connected"], true);
    }
    both.is("query 11 [x y]", "[5 7]");

    // A call that comes over the wire can't be executed by the reference: both say so, with texts of their own, and count no sequence.
    let call = Kind::Call {
        target: form("#11"),
        offer: 0,
        function: form("f"),
        args: form("[3]"),
    };
    let call = hex_of(&transaction(11, next + 1, call));
    for client in [OWN, THEIRS] {
        let reply = both.result(client, &format!("transact {call}"));
        assert_eq!(reply.error.to_string(), ":PEER");
    }
    both.is("query 11 *sequence*", &next.to_string());
    // The reference answers nothing to a query with one.
    let reply = both.result(OWN, &format!("query-cell 11 {call}"));
    assert_eq!(reply.error.to_string(), ":EXCEPTION");

    // The whole state in one call: the library understands the status of neither, although it is that of release 0.8.5 to the byte.
    for client in [OWN, THEIRS] {
        let line = format!("call {client} acquire-state");
        let refused = both.oracle.ask(&[line]).expect("an answer").remove(0);
        let cause = refused["cause"].as_str().unwrap_or_default();
        assert!(cause.contains("Bad status response"), "{refused}");
    }

    // The largest message that a stranger may send, and a larger one, which the reference takes (docs/compatibility.md).
    let text = |length: usize| -> String {
        let digits: String = (0..length / 6).map(|i| format!("{i:06}")).collect();
        format!("query 11 (count \"{digits}\")")
    };
    both.is(&text(1_020_000), "1020000");
    let refused = both.result(OWN, &text(1_100_000));
    // The library hears of a closed connection by the time it waits.
    let error = refused.error.to_string();
    assert!([":TIMEOUT", ":CONNECT"].contains(&&*error), "{error}");
    assert_eq!(both.call(OWN, "reconnect")["connected"], true);
    both.is("query 11 [x y]", "[5 7]");
}
