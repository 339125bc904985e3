//! Laws of the byte stream and of connections, whatever arrives in whatever pieces.

use cells::{Cell, Hash, Keyword, MAX_MESSAGE, Signed, Vector};
use crypto::SigningKey;
use proptest::prelude::*;
use signing::{Identity, Now, Rate, challenge};
use wire::{
    Acceptor, AcceptorConfig, Action, CloseReason, Dialler, DiallerAction, DiallerConfig,
    DropReason, FrameError, FrameLimits, FrameReader, Header, Kind, Message, Reply, RequestError,
    frame,
};

const LIMITS: FrameLimits = FrameLimits {
    belief: MAX_MESSAGE,
    result: MAX_MESSAGE,
    request: MAX_MESSAGE,
};

fn us() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn identity() -> Identity {
    Identity {
        key: us().account_key(),
        network: Hash([2; 32]),
    }
}

fn at(steady: u64) -> Now {
    Now {
        wall: 1_735_056_000_000,
        steady,
    }
}

fn acceptor(config: AcceptorConfig) -> Acceptor {
    Acceptor::new(identity(), config, at(0))
}

fn framed(message: &Message) -> Vec<u8> {
    frame(&message.encode().unwrap()).unwrap()
}

/// The frames of a stream that arrives in pieces, and what ends it.
fn read_in_pieces(
    stream: &[u8],
    cuts: &[usize],
    limits: FrameLimits,
) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut reader = FrameReader::new(limits);
    let mut frames = Vec::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (stream.len() + 1)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    for pair in cuts.windows(2) {
        let mut input = &stream[pair[0]..pair[1]];
        loop {
            match reader.read(&mut input) {
                Ok(Some(body)) => frames.push(body),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fn play(stream: &[u8], cuts: &[usize]) -> Vec<Action> {
    let mut connection = acceptor(AcceptorConfig::default());
    let mut actions = Vec::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (stream.len() + 1)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    for pair in cuts.windows(2) {
        let mut input = &stream[pair[0]..pair[1]];
        while let Some(action) = connection.receive(&mut input, at(0)) {
            actions.push(action);
        }
    }
    actions
}

fn some_message() -> impl Strategy<Value = Message> {
    let word = "[a-z]{0,300}";
    prop_oneof![
        any::<i64>().prop_map(|id| Message::Status { id }),
        any::<i64>().prop_map(|id| Message::Ping { id }),
        (any::<i64>(), word, any::<Option<u32>>()).prop_map(|(id, form, address)| Message::Query {
            id,
            form: Cell::from(form.as_str()),
            address: address.map(u64::from),
        }),
        (any::<i64>(), word).prop_map(|(id, value)| Message::Transact {
            id,
            transaction: Signed::sign(&us(), Cell::from(value.as_str())),
        }),
        (
            any::<i64>(),
            prop::collection::vec(any::<[u8; 32]>(), 0..=254)
        )
            .prop_map(|(id, hashes)| {
                Message::DataRequest(wire::DataRequest {
                    id: Cell::Long(id),
                    hashes: hashes.into_iter().map(Hash).collect(),
                })
            }),
        any::<Option<bool>>().prop_map(|m| Message::Goodbye {
            message: m.map(Cell::from)
        }),
        (any::<i64>(), word).prop_map(|(id, path)| Message::LatticeQuery {
            id,
            path: Cell::from(path.as_str()),
        }),
        (word, any::<i64>()).prop_map(|(path, value)| Message::LatticeValue {
            path: Cell::from(path.as_str()),
            value: Cell::Long(value),
        }),
        (any::<i64>(), word)
            .prop_map(|(id, value)| { Message::Result(Reply::ok(id, Cell::from(value.as_str()))) }),
        any::<i64>().prop_map(|n| Message::Unknown(Cell::Long(n))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_message_survives_encoding(message in some_message()) {
        let body = message.encode().unwrap();
        let read = Message::decode(&body, &cells::Decoder::new()).unwrap();
        prop_assert_eq!(read, Ok(message.clone()));
        if let Some(header) = Header::peek(&body) {
            prop_assert_eq!(header, Header::of_payload(&message.payload()));
        }
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..400), 0..8),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let stream: Vec<u8> = bodies.iter().flat_map(|b| frame(b).unwrap()).collect();
        prop_assert_eq!(read_in_pieces(&stream, &cuts, LIMITS), (bodies, None));
    }

    #[test]
    fn any_split_of_garbage_gives_the_same_frames_and_end(
        stream in prop::collection::vec(any::<u8>(), 0..600),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let limits = FrameLimits { belief: 300, result: 50, request: 150 };
        let whole = read_in_pieces(&stream, &[], limits);
        prop_assert!(whole.0.iter().all(|body| body.len() <= 300));
        prop_assert_eq!(read_in_pieces(&stream, &cuts, limits), whole);
    }

    #[test]
    fn any_split_of_messages_gives_the_same_actions(
        messages in prop::collection::vec(some_message(), 0..8),
        garbage in prop::collection::vec(any::<u8>(), 0..40),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut stream: Vec<u8> = messages.iter().flat_map(framed).collect();
        stream.extend(garbage);
        prop_assert_eq!(play(&stream, &cuts), play(&stream, &[]));
    }

    #[test]
    fn the_first_bytes_tell_what_decoding_finds(count in 0u8..20, parts in prop::collection::vec(prop_oneof![
        prop::sample::select(vec![&b"\x33\x02SR"[..], b"\x33\x01Q", b"\x33\x02DR", b"\x33\x03FOO", b"\x33\x04PING", b"\x33\x03BYE"]).prop_map(<[u8]>::to_vec),
        any::<i64>().prop_map(|n| Cell::Long(n).encode()),
        prop::sample::select(vec![vec![0], vec![0xb1], vec![0x11, 0], vec![0x19, 1], vec![0x80, 0], vec![0xff]]),
        Just([&[0x20][..], &[7; 32]].concat()),
    ], 0..20), first in prop::sample::select(vec![0x80u8, 0xdd, 0xd4, 0x90, 0x81])) {
        let body = [&[first, count][..], &parts.concat()].concat();
        if let (Some(peeked), Ok((payload, _))) = (Header::peek(&body), cells::decode_partial(&body, &cells::Decoder::new())) {
            prop_assert_eq!(peeked, Header::of_payload(&payload));
        }
    }

    #[test]
    fn garbage_in_frames_is_answered_or_dropped(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..80), 1..20), tag in 0usize..8) {
        let mut stream = Vec::new();
        for mut body in bodies {
            body[0] = [0x80, 0xdd, 0xd4, 0x90, 0x33, 0x82, body[0], 0xff][tag];
            stream.extend(frame(&body).unwrap());
        }
        let actions = play(&stream, &[]);
        prop_assert!(!actions.is_empty());
    }
}

#[test]
fn an_unfinished_frame_closes_the_connection_in_time() {
    let mut connection = acceptor(AcceptorConfig {
        idle: Some(100_000),
        ..AcceptorConfig::default()
    });
    assert_eq!(connection.deadline(), Some(100_000));
    let mut input = &[0x8a, 0x00, 0x80][..];
    assert_eq!(connection.receive(&mut input, at(1_000)), None);
    // 30 s, and 1,280 bytes at 16,384 bytes a second.
    assert_eq!(connection.deadline(), Some(1_000 + 30_000 + 78));
    // A byte now and then does not help.
    let mut input = &[2][..];
    assert_eq!(connection.receive(&mut input, at(31_000)), None);
    assert_eq!(connection.tick(at(31_077)), None);
    let slow = Some(Action::Close(CloseReason::SlowFrame));
    assert_eq!(connection.tick(at(31_078)), slow);
    let mut input = &[1, 1][..];
    assert_eq!(connection.receive(&mut input, at(31_079)), None);

    let mut idle = acceptor(AcceptorConfig {
        idle: Some(10),
        ..AcceptorConfig::default()
    });
    assert_eq!(idle.tick(at(10)), Some(Action::Close(CloseReason::Idle)));
}

#[test]
fn a_connection_beyond_its_rate_is_paused_and_loses_nothing() {
    let mut connection = acceptor(AcceptorConfig {
        messages: Rate::new(10, 2),
        ..AcceptorConfig::default()
    });
    let stream: Vec<u8> = (0..5)
        .flat_map(|id| framed(&Message::Ping { id }))
        .collect();
    let mut input = &stream[..];
    let (mut answers, mut now) = (0, 0);
    while !input.is_empty() {
        match connection.receive(&mut input, at(now)) {
            Some(Action::Send(_)) => answers += 1,
            None => now = connection.paused_until(at(now)).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answers, 5);
    assert!((200..=300).contains(&now), "{now}");
}

#[test]
fn a_client_that_does_not_read_is_closed() {
    let mut connection = acceptor(AcceptorConfig {
        reply_buffer: 40,
        ..AcceptorConfig::default()
    });
    let ping = framed(&Message::Ping { id: 1 });
    let ask = |connection: &mut Acceptor| connection.receive(&mut &ping[..], at(0)).unwrap();
    let Action::Send(first) = ask(&mut connection) else {
        panic!("no answer");
    };
    assert!(matches!(ask(&mut connection), Action::Send(_)));
    connection.written(first.len());
    assert!(matches!(ask(&mut connection), Action::Send(_)));
    assert_eq!(connection.unwritten(), 2 * first.len());
    assert_eq!(ask(&mut connection), Action::Close(CloseReason::SlowReader));
}

/// Everything that the connection wants done about `bytes`.
fn all(connection: &mut Acceptor, bytes: &[u8], now: Now) -> Vec<Action> {
    let mut input = bytes;
    std::iter::from_fn(|| connection.receive(&mut input, now)).collect()
}

#[test]
fn a_belief_starts_one_verification_whose_answer_is_told_by_its_id() {
    let peer = SigningKey::from_seed(&[3; 32]);
    let mut connection = acceptor(AcceptorConfig::default());
    let belief = frame(&[0xd4, 1, 0x84, 0]).unwrap();
    let actions = all(&mut connection, &belief, at(0));
    assert!(
        matches!(&actions[..], [Action::AskChallenge, Action::Forward(f)] if f.kind == Kind::Belief && f.trusted.is_none())
    );
    // Not a second one while the first is under way.
    assert_eq!(all(&mut connection, &belief, at(1)).len(), 1);

    let token = Hash([7; 32]);
    let text = challenge::challenge(&token, None, &identity().network);
    let sent = connection.challenge(Signed::sign(&us(), text.clone()), at(2));
    let Some(Action::Send(bytes)) = sent else {
        panic!("not sent");
    };
    // The other side, a dialler, has it answered.
    let mut dialler = Dialler::new(
        Some(Identity {
            key: peer.account_key(),
            network: identity().network,
        }),
        DiallerConfig::default(),
        at(0),
    );
    let Some(DiallerAction::Challenged { id, signed }) = dialler.receive(&mut &bytes[..], at(0))
    else {
        panic!("not challenged");
    };
    let received = challenge::ReceivedChallenge::parse(&signed).unwrap();
    let answer = Reply::ok(id, Cell::from(Signed::sign(&peer, received.answer())));
    let answer = dialler.send(&answer.encode().unwrap()).unwrap();

    // A result with another id is no answer.
    let other = frame(&Reply::ok(id + 1, Cell::Nil).encode().unwrap()).unwrap();
    let unexpected = [Action::Drop(DropReason::UnexpectedResult)];
    assert_eq!(all(&mut connection, &other, at(3)), unexpected);
    let actions = all(&mut connection, &answer, at(4));
    let [Action::Forward(forward)] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!((forward.kind, forward.id), (Kind::Result, Some(1)));
    let Ok(Ok(Message::Result(reply))) = Message::decode(&forward.body, &cells::Decoder::new())
    else {
        panic!("no result");
    };
    let Cell::Signed(proof) = reply.value else {
        panic!("not signed");
    };
    let proven = challenge::proven_key(&proof, &token, &identity().key, &identity().network);
    assert_eq!(proven, Some(peer.account_key()));
    connection.verified(proven);
    assert_eq!(connection.trusted(), Some(peer.account_key()));
    let actions = all(&mut connection, &belief, at(5));
    assert!(matches!(&actions[..], [Action::Forward(f)] if f.trusted == proven));
    // The same answer again proves nothing more.
    assert_eq!(all(&mut connection, &answer, at(6)), unexpected);
    assert_eq!(connection.challenge(Signed::sign(&us(), text), at(6)), None);
}

#[test]
fn a_verification_without_answer_ends_and_the_next_belief_starts_another() {
    let mut connection = acceptor(AcceptorConfig::default());
    let belief = frame(&[0xd4, 1, 0x84, 0]).unwrap();
    let text = || {
        Signed::sign(
            &us(),
            challenge::challenge(&Hash([7; 32]), None, &identity().network),
        )
    };
    assert!(all(&mut connection, &belief, at(0)).contains(&Action::AskChallenge));
    assert!(connection.challenge(text(), at(4_000)).is_some());
    assert!(!all(&mut connection, &belief, at(8_999)).contains(&Action::AskChallenge));
    let late = frame(&Reply::ok(1, Cell::Nil).encode().unwrap()).unwrap();
    let unexpected = [Action::Drop(DropReason::UnexpectedResult)];
    assert_eq!(all(&mut connection, &late, at(9_000)), unexpected);
    assert!(all(&mut connection, &belief, at(9_001)).contains(&Action::AskChallenge));
    // A challenge that was signed too late is not sent.
    assert_eq!(connection.challenge(text(), at(14_001)), None);
}

#[test]
fn challenges_beyond_the_rate_are_dropped() {
    let mut connection = acceptor(AcceptorConfig {
        challenges: Rate::new(1, 2),
        ..AcceptorConfig::default()
    });
    let text = challenge::challenge(&Hash([7; 32]), None, &identity().network);
    let signed = Signed::sign(&SigningKey::from_seed(&[3; 32]), text);
    let ask = framed(&Message::Challenge { id: 1, signed });
    let first = all(&mut connection, &ask, at(0));
    assert!(
        matches!(&first[..], [Action::AskChallenge, Action::Forward(f)] if f.kind == Kind::Challenge)
    );
    assert_eq!(all(&mut connection, &ask, at(0)).len(), 1);
    let dropped = [Action::Drop(DropReason::ChallengeRate)];
    assert_eq!(all(&mut connection, &ask, at(0)), dropped);
    assert!(matches!(
        all(&mut connection, &ask, at(1_000))[..],
        [Action::Forward(_)]
    ));
}

#[test]
fn a_dialler_matches_answers_by_id_and_lets_go_of_late_ones() {
    let config = DiallerConfig {
        max_pending: 3,
        ..DiallerConfig::default()
    };
    let mut dialler = Dialler::new(None, config, at(0));
    let mut ids = Vec::new();
    for now in [0, 10, 20] {
        let (id, bytes) = dialler
            .request(at(now), |id| Message::Status { id })
            .unwrap();
        assert_eq!(bytes, framed(&Message::Status { id }));
        ids.push(id);
    }
    assert_eq!(ids, [0, 1, 2]);
    let more = dialler.request(at(20), |id| Message::Ping { id });
    assert_eq!(more, Err(RequestError::Pending));
    let answer = |id| frame(&Reply::ok(id, Cell::Nil).encode().unwrap()).unwrap();
    let got = dialler.receive(&mut &answer(1)[..], at(30));
    assert!(matches!(
        got,
        Some(DiallerAction::Answered {
            id: 1,
            kind: Kind::Status,
            ..
        })
    ));
    let unexpected = Some(DiallerAction::Drop(DropReason::UnexpectedResult));
    assert_eq!(dialler.receive(&mut &answer(1)[..], at(30)), unexpected);
    assert_eq!(dialler.deadline(), Some(8_000));
    assert_eq!(dialler.expire(at(8_000)), [(0, Kind::Status)]);
    assert_eq!(dialler.receive(&mut &answer(0)[..], at(8_001)), unexpected);
    assert_eq!(dialler.expire(at(8_020)), [(2, Kind::Status)]);
    assert_eq!(dialler.deadline(), None);

    // Requests of the other side have no place here.
    let request = framed(&Message::DataRequest(wire::DataRequest {
        id: Cell::Long(1),
        hashes: vec![],
    }));
    let dropped = Some(DiallerAction::Drop(DropReason::NotForDialler));
    assert_eq!(dialler.receive(&mut &request[..], at(9_000)), dropped);
    let bye = framed(&Message::Goodbye { message: None });
    let closed = Some(DiallerAction::Close(CloseReason::Goodbye));
    assert_eq!(dialler.receive(&mut &bye[..], at(9_000)), closed);
    assert_eq!(dialler.send(&[0x80, 0]), Err(RequestError::Closed));
}

#[test]
fn a_data_request_is_bounded_and_may_have_any_id() {
    let mut connection = acceptor(AcceptorConfig::default());
    let request = |n: usize| {
        let hashes = (0..n).map(|_| Cell::from(Hash([5; 32])));
        let head = [Keyword::literal("DR"), Keyword::literal("x")].map(Cell::from);
        let vector: Vector = head.into_iter().chain(hashes).collect();
        frame(&cells::encode_message(&Cell::from(vector)).unwrap()).unwrap()
    };
    for n in [0, 14, 15, 254] {
        let actions = all(&mut connection, &request(n), at(0));
        assert!(
            matches!(&actions[..], [Action::AnswerData(r)] if r.hashes.len() == n),
            "{n}"
        );
    }
    let dropped = [Action::Drop(DropReason::BadDataRequest)];
    assert_eq!(all(&mut connection, &request(255), at(0)), dropped);
}

#[test]
fn results_carry_place_and_source_as_the_network_has_them() {
    // From the capture in spec/06 §5: (+ 1 2) with fees 13810 and juice 581.
    let sent = "dd0511021103008000820333046665657312 35f23306736f75726365330450454552 33056a75696365120245".replace(' ', "");
    let sent = hex::decode(sent).unwrap();
    let Ok(Cell::Record(record)) = cells::decode_cell(&sent, &cells::Decoder::new()) else {
        panic!("no record");
    };
    let mut bare = Reply::read(&record).unwrap();
    let Cell::Map(info) = &bare.info else {
        panic!("no info");
    };
    let source = Cell::from(Keyword::literal("source"));
    bare.info = Cell::from(info.clone().dissoc(&source).unwrap());
    bare.id = Cell::Nil;
    let Cell::Record(outcome) = bare.to_cell() else {
        panic!("no record");
    };
    assert_eq!(Reply::queried(2, &outcome).unwrap().encode().unwrap(), sent);
    let executed = Reply::executed(1, &outcome, &Hash([9; 32]), 4, 7).unwrap();
    let shown = executed.to_cell().to_string();
    assert!(
        shown.contains(":loc [4 7]") && shown.contains(":tx 0x0909"),
        "{shown}"
    );
    assert!(!shown.contains(":source"));
}

/// The reference sends a trace of two kilobytes (`spec/05 §20` number 21).
#[test]
fn an_undecodable_message_is_answered_without_our_insides() {
    for body in [
        &[0xff; 20][..],
        &[0x33, 0x80],
        &[0x80, 0x02, 0x33, 0x04, 0x50],
    ] {
        let error = cells::decode_partial(body, &cells::Decoder::new().generic());
        let Err(error) = error else {
            panic!("{body:?} is a message")
        };
        let reply = Reply::undecodable(body, &error);
        assert!(!reply.error.is_nil() && reply.info.is_nil() && reply.log.is_nil());
        assert!(reply.encode().unwrap().len() < 200);
    }
}
