//! Looking up names, without sockets: what servers say, what liars say, and what time does.

#[path = "common/dns.rs"]
mod dns;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use dns::{AAAA, NXDOMAIN, Query, REFUSED, Record, SERVFAIL, address, alias, authority, refers};
use netd::names::{Action, Exchange, Known, Moment, Names, Over, Resolver, Strange};

const NAME: &str = "peer.example";
/// Longer than one server has for an answer over UDP or TCP.
const LATE: u64 = 5_000;

/// A question that a server has.
#[derive(Debug, Clone)]
struct Asked {
    exchange: Exchange,
    server: SocketAddr,
    query: Query,
}

/// A resolver, its time, and what it wants.
struct World {
    resolver: Resolver,
    now: u64,
    numbers: u64,
    open: HashMap<Exchange, Asked>,
    done: Vec<(String, Result<Vec<IpAddr>, &'static str>)>,
}

fn server(number: u16) -> SocketAddr {
    format!("192.0.2.53:{number}").parse().unwrap()
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

impl World {
    fn new(servers: u16) -> Self {
        let names = Names {
            servers: (1..=servers).map(server).collect(),
            hosts: [("host.example".to_owned(), addresses(&["192.0.2.7"]))].into(),
        };
        Self {
            resolver: Resolver::new(names),
            now: 1_000,
            numbers: 0,
            open: HashMap::new(),
            done: Vec::new(),
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Resolver, &mut Moment<'_>) -> T) -> T {
        let numbers = &mut self.numbers;
        let mut random = || {
            *numbers += 1;
            numbers.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let mut moment = Moment {
            now: self.now,
            random: &mut random,
        };
        let result = act(&mut self.resolver, &mut moment);
        while let Some(action) = self.resolver.next_action() {
            match action {
                Action::Ask {
                    exchange,
                    server,
                    over,
                    message,
                } => {
                    let query = Query::new(&message, over == Over::Tcp);
                    let asked = Asked {
                        exchange,
                        server,
                        query,
                    };
                    assert!(self.open.insert(exchange, asked).is_none());
                }
                Action::Close(exchange) => assert!(self.open.remove(&exchange).is_some()),
                Action::Done { name, result } => self.done.push((name, result)),
            }
        }
        result
    }

    fn look_up(&mut self, name: &str) -> Known {
        self.with(|resolver, moment| resolver.look_up(name, moment))
    }

    /// The questions that wait, the oldest first.
    fn asked(&self) -> Vec<Asked> {
        let mut asked: Vec<Asked> = self.open.values().cloned().collect();
        asked.sort_by_key(|asked| asked.exchange);
        asked
    }

    fn tell(&mut self, asked: &Asked, bytes: &[u8]) -> Result<(), Strange> {
        self.with(|resolver, moment| resolver.received(asked.exchange, bytes, moment))
    }

    /// Answers everything that is asked until nothing is asked any more.
    fn answer(&mut self, answer: impl Fn(&Asked) -> Vec<u8>) {
        let mut rounds = 0;
        while !self.open.is_empty() {
            for asked in self.asked() {
                let _ = self.tell(&asked, &answer(&asked));
            }
            rounds += 1;
            assert!(rounds < 50, "it asks without end");
        }
    }

    /// Lets time pass.
    fn pass(&mut self, time: u64) {
        self.now += time;
        self.with(|resolver, moment| resolver.tick(moment));
    }

    /// The outcome of the only look-up.
    fn outcome(&mut self) -> Result<Vec<IpAddr>, &'static str> {
        assert!(self.open.is_empty() && self.resolver.due().is_none());
        let (name, result) = self.done.pop().expect("no outcome");
        assert_eq!((&*name, self.done.len()), (NAME, 0));
        result
    }

    /// Looks the name up at one server that knows these records.
    fn result_of(records: &[Record]) -> Result<Vec<IpAddr>, &'static str> {
        let mut world = Self::new(1);
        assert_eq!(world.look_up(NAME), Known::Pending);
        world.answer(|asked| asked.query.answer(0, records, &[]));
        world.outcome()
    }
}

#[test]
fn both_kinds_of_addresses_are_asked_for_and_found() {
    let mut world = World::new(2);
    assert_eq!(world.look_up(NAME), Known::Pending);
    // Once is enough.
    assert_eq!(world.look_up(NAME), Known::Pending);
    let asked = world.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|a| a.server == server(1) && !a.query.tcp));
    assert_ne!(asked[0].query.id(), asked[1].query.id());
    let records = [
        address(NAME, "192.0.2.1"),
        address(NAME, "2001:db8::1"),
        address(NAME, "192.0.2.2"),
        address("another.example", "192.0.2.3"),
    ];
    world.answer(|asked| asked.query.select(&records));
    let found = addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    assert_eq!(world.outcome(), Ok(found.clone()));
    assert_eq!(world.look_up(NAME), Known::Addresses(found));
}

#[test]
fn what_was_found_is_remembered_as_long_as_the_answer_says() {
    let mut world = World::new(1);
    world.look_up(NAME);
    let mut short = address(NAME, "192.0.2.1");
    short.ttl = 40;
    world.answer(|asked| asked.query.select(&[short.clone()]));
    // The shorter of both answers: that there is no address of IPv6 holds for 30 s.
    world.pass(29_999);
    assert!(matches!(world.look_up(NAME), Known::Addresses(_)));
    world.pass(1);
    assert_eq!(world.look_up(NAME), Known::Pending);
}

#[test]
fn a_name_without_addresses_is_not_asked_for_again_at_once() {
    for code in [0, NXDOMAIN] {
        let mut world = World::new(1);
        world.look_up(NAME);
        world.answer(|asked| asked.query.answer(code, &[], &[authority("example", 20)]));
        let why = "the name has no address";
        assert_eq!(world.outcome(), Err(why));
        assert_eq!(world.look_up(NAME), Known::Nothing(why));
        world.pass(20_000);
        assert_eq!(world.look_up(NAME), Known::Pending);
    }
}

#[test]
fn hosts_need_no_server() {
    let mut world = World::new(0);
    let known = world.look_up("host.example");
    assert_eq!(known, Known::Addresses(addresses(&["192.0.2.7"])));
    assert!(matches!(world.look_up(NAME), Known::Nothing(_)));
    assert!(world.open.is_empty());
}

#[test]
fn aliases_are_followed_and_their_loops_are_not() {
    let chain = [
        alias("b.example", "c.example"),
        alias(NAME, "b.example"),
        address("c.example", "192.0.2.1"),
        address("c.example", "2001:db8::1"),
    ];
    let found = addresses(&["192.0.2.1", "2001:db8::1"]);
    assert_eq!(World::result_of(&chain), Ok(found));
    let circle = [alias(NAME, "b.example"), alias("b.example", NAME)];
    let refused = World::result_of(&circle);
    assert_eq!(refused, Err("the name is an alias without end"));
    let itself = World::result_of(&[alias(NAME, NAME)]);
    assert_eq!(itself, refused);
    let long: Vec<Record> = (0..50)
        .map(|i| alias(&format!("{i}.example"), &format!("{}.example", i + 1)))
        .chain([alias(NAME, "0.example"), address("50.example", "192.0.2.1")])
        .collect();
    assert_eq!(World::result_of(&long), refused);
    // One that leads to nothing, or to somebody else's address.
    let nowhere = [alias(NAME, "b.example"), address("c.example", "192.0.2.1")];
    assert_eq!(World::result_of(&nowhere), Err("the name has no address"));
}

#[test]
fn answers_to_something_else_are_passed_over() {
    let mut world = World::new(1);
    world.look_up(NAME);
    let good = [address(NAME, "192.0.2.1")];
    let lie = [address(NAME, "203.0.113.66")];
    for asked in world.asked() {
        let mut other_id = asked.query.select(&lie);
        other_id[1] ^= 1;
        let mut a_question = asked.query.select(&lie);
        a_question[2] &= 0x7f;
        let other = |name: &str, kind: u16| {
            let mut bytes = asked.query.bytes[..12].to_vec();
            bytes.extend(dns::encode(name));
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1]);
            Query::new(&bytes, false).answer(0, &lie, &[])
        };
        let mut none = asked.query.answer(0, &lie, &[]);
        none[5] = 0;
        for strange in [
            other_id,
            a_question,
            other("peer.example.org", asked.query.kind),
            other("peer", asked.query.kind),
            other(NAME, 16),
            none,
            vec![0xff; 11],
        ] {
            assert_eq!(world.tell(&asked, &strange), Err(Strange));
            assert!(world.open.contains_key(&asked.exchange));
        }
        assert_eq!(world.tell(&asked, &asked.query.select(&good)), Ok(()));
    }
    assert_eq!(world.outcome(), Ok(addresses(&["192.0.2.1"])));
}

#[test]
fn a_flood_of_guesses_moves_the_question_to_tcp() {
    let mut world = World::new(1);
    world.look_up(NAME);
    let good = [address(NAME, "192.0.2.1")];
    for asked in world.asked() {
        let mut guesses = 0;
        while world.open.contains_key(&asked.exchange) {
            let guess = [guesses, 0, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0];
            assert_eq!(world.tell(&asked, &guess), Err(Strange));
            guesses += 1;
        }
        assert_eq!(guesses, 8);
    }
    let asked = world.asked();
    assert!(asked.iter().all(|a| a.query.tcp && a.server == server(1)));
    world.answer(|asked| asked.query.select(&good));
    assert_eq!(world.outcome(), Ok(addresses(&["192.0.2.1"])));
}

#[test]
fn what_is_cut_off_is_asked_for_again_over_tcp() {
    let mut world = World::new(1);
    world.look_up(NAME);
    let many: Vec<Record> = (0..60)
        .map(|i| address(NAME, &format!("192.0.2.{i}")))
        .collect();
    world.answer(|asked| match asked.query.tcp {
        true => asked.query.select(&many),
        false => asked.query.truncated(),
    });
    // No more than can be of use.
    assert_eq!(world.outcome().map(|found| found.len()), Ok(16));
    // Cut off over TCP too: nobody is asked for ever.
    let mut world = World::new(2);
    world.look_up(NAME);
    world.answer(|asked| asked.query.truncated());
    assert!(world.outcome().is_err());
}

#[test]
fn servers_that_refuse_refer_or_speak_nonsense_make_way_for_the_next() {
    let good = [address(NAME, "192.0.2.1")];
    let beyond = |asked: &Asked| {
        let mut answer = asked.query.answer(0, &good, &[]);
        answer[7] = 9;
        answer
    };
    let pointers = |asked: &Asked| {
        // A name that points at itself.
        let mut answer = asked.query.answer(0, &[], &[]);
        answer[7] = 1;
        let at = answer.len() as u16 | 0xc000;
        answer.extend(at.to_be_bytes());
        answer.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        answer
    };
    let too_many = |asked: &Asked| {
        let records: Vec<Record> = (0..200).map(|_| good[0].clone()).collect();
        asked.query.answer(0, &records, &[])
    };
    let referral = |asked: &Asked| {
        let to = refers("example", "ns.example");
        asked.query.answer(0, &[], &[to])
    };
    type Spoiled<'a> = &'a dyn Fn(&Asked) -> Vec<u8>;
    let bad: [Spoiled<'_>; 6] = [
        &|asked| asked.query.answer(REFUSED, &[], &[]),
        &|asked| asked.query.answer(SERVFAIL, &[], &[]),
        &beyond,
        &pointers,
        &too_many,
        &referral,
    ];
    for (i, bad) in bad.iter().enumerate() {
        let mut world = World::new(2);
        world.look_up(NAME);
        world.answer(|asked| match asked.server == server(1) {
            true => bad(asked),
            false => asked.query.select(&good),
        });
        assert_eq!(world.outcome(), Ok(addresses(&["192.0.2.1"])), "{i}");
        // Nobody else to ask: it ends, is told why, and is not remembered.
        let mut world = World::new(1);
        world.look_up(NAME);
        world.answer(bad);
        assert!(world.outcome().is_err(), "{i}");
        assert_eq!(world.look_up(NAME), Known::Pending);
    }
}

#[test]
fn silence_leads_to_the_next_server_and_to_an_end() {
    let mut world = World::new(2);
    world.look_up(NAME);
    let mut servers = Vec::new();
    let mut ids = Vec::new();
    let start = world.now;
    while world.done.is_empty() {
        let asked = world.asked();
        assert_eq!(asked.len(), 2);
        servers.push(asked[0].server);
        ids.extend(asked.iter().map(|asked| asked.query.id()));
        let due = world.resolver.due().unwrap();
        world.pass(due - world.now);
        assert!(world.now - start < 20_000);
    }
    assert_eq!(servers, [server(1), server(2), server(1), server(2)]);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 8, "an id of its own for each question");
    assert_eq!(world.outcome(), Err("no name server answered in time"));
    // An answer that comes after all is nobody's.
    assert_eq!(world.look_up(NAME), Known::Pending);
    let asked = world.asked().remove(0);
    world.pass(LATE);
    let late = asked.query.select(&[address(NAME, "192.0.2.1")]);
    assert_eq!(world.tell(&asked, &late), Ok(()));
    assert!(world.done.is_empty());
}

#[test]
fn one_kind_of_address_is_enough_when_the_other_question_is_never_answered() {
    let mut world = World::new(3);
    world.look_up(NAME);
    let asked = world.asked();
    let (six, four): (Vec<_>, Vec<_>) = asked.into_iter().partition(|a| a.query.kind == AAAA);
    assert_eq!(six.len(), 1);
    let good = four[0].query.select(&[address(NAME, "192.0.2.1")]);
    world.tell(&four[0], &good).unwrap();
    assert!(world.done.is_empty());
    world.pass(LATE);
    assert_eq!(world.outcome(), Ok(addresses(&["192.0.2.1"])));
    // It is looked up again soon, as half of it is not known.
    world.pass(10_000);
    assert_eq!(world.look_up(NAME), Known::Pending);
}

#[test]
fn sockets_that_fail_lead_to_the_next_server() {
    let mut world = World::new(2);
    world.look_up(NAME);
    for asked in world.asked() {
        world.with(|resolver, moment| resolver.failed(asked.exchange, moment));
    }
    assert!(world.asked().iter().all(|a| a.server == server(2)));
    for _ in 0..10 {
        for asked in world.asked() {
            world.with(|resolver, moment| resolver.failed(asked.exchange, moment));
        }
    }
    assert_eq!(world.outcome(), Err("no name server can be reached"));
}

#[test]
fn the_number_of_look_ups_is_bounded() {
    let mut world = World::new(1);
    for i in 0..100 {
        world.look_up(&format!("{i}.example"));
    }
    assert_eq!(world.open.len(), 64);
    let known = world.look_up("one-more.example");
    assert!(matches!(known, Known::Nothing(_)), "{known:?}");
    world.answer(|asked| asked.query.select(&[]));
    assert_eq!(world.look_up("one-more.example"), Known::Pending);
}

#[test]
fn every_prefix_and_every_changed_byte_of_an_answer_is_read_without_harm() {
    let records = [
        alias(NAME, "b.example"),
        address("b.example", "192.0.2.1"),
        address("b.example", "2001:db8::1"),
    ];
    let none = [authority("example", 30), refers("example", "ns.example")];
    let mut world = World::new(1);
    world.look_up(NAME);
    for asked in world.asked() {
        for answer in [
            asked.query.answer(0, &records, &none),
            asked.query.answer(NXDOMAIN, &records[..1], &none),
        ] {
            for end in 0..answer.len() {
                let mut fresh = Resolver::clone(&world.resolver);
                let mut random = || 7;
                let mut moment = Moment {
                    now: world.now,
                    random: &mut random,
                };
                let _ = fresh.received(asked.exchange, &answer[..end], &mut moment);
            }
            for at in 0..answer.len() {
                for value in [0, 1, 0x3f, 0x40, 0x7f, 0xc0, 0xff] {
                    let mut changed = answer.clone();
                    changed[at] = value;
                    let mut fresh = Resolver::clone(&world.resolver);
                    let mut random = || 7;
                    let mut moment = Moment {
                        now: world.now,
                        random: &mut random,
                    };
                    let _ = fresh.received(asked.exchange, &changed, &mut moment);
                }
            }
        }
    }
}
