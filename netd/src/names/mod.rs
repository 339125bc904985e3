//! Looking up the addresses of host names (RFC 1035), without sockets, clock or chance of its own: DESIGN §1 has `netd` ask the name servers
//! that the supervisor tells it, since a process in its sandbox can't read which they are.
//!
//! Each name is asked for twice, for IPv4 and for IPv6. A question goes to one server after the other until one answers, each time with
//! another id and from another port. What does not answer it is passed over; when too much of that comes, the server is asked over TCP, where
//! nobody else can answer in its place. Answers are remembered for as long as they say, within bounds.

mod cache;
mod message;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use self::cache::Cache;
use self::message::{Answer, Family, Question};

pub use self::message::Strange;

/// Name servers that are used.
pub const MAX_SERVERS: usize = 4;
/// Longest answer over TCP that is read.
pub const MAX_ANSWER: usize = 16 << 10;
/// Look-ups at once.
const MAX_LOOK_UPS: usize = 32;
/// Longest time of a look-up, milliseconds.
const LOOK_UP: u64 = 12_000;
/// Time that one server has for an answer, milliseconds.
const ANSWER: u64 = 2_000;
/// The same over TCP.
const ANSWER_TCP: u64 = 4_000;
/// Questions to the only server there is; of several, each is asked twice.
const TRIES: usize = 3;
/// Messages that answer something else, after which TCP is used.
const MAX_STRANGE: u8 = 8;
const NO_ANSWER: &str = "no name server answered in time";
const NO_ADDRESS: &str = "the name has no address";

/// Which exchange with a server: one socket.
pub type Exchange = u32;
/// Numbers of exchanges are below.
pub const EXCHANGES: Exchange = 1 << 24;

/// How a server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// One datagram each way, from a socket that is connected and has a port of its own.
    Udp,
    /// A connection; two bytes with its length before each message.
    Tcp,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask a server over a new socket.
    Ask {
        /// The number of the exchange.
        exchange: Exchange,
        /// Whom.
        server: SocketAddr,
        /// How.
        over: Over,
        /// The question.
        message: Vec<u8>,
    },
    /// Close the socket of an exchange.
    Close(Exchange),
    /// A look-up is over.
    Done {
        /// The name.
        name: String,
        /// Its addresses, or why there are none, for people.
        result: Result<Vec<IpAddr>, &'static str>,
    },
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Its addresses.
    Addresses(Vec<IpAddr>),
    /// Nothing: why, for people.
    Nothing(&'static str),
    /// It is being looked up; an [`Action::Done`] follows.
    Pending,
}

/// Whom to ask, and what needs no asking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// The name servers, the preferred ones first.
    pub servers: Vec<SocketAddr>,
    /// Addresses of hosts, by name in lower case.
    pub hosts: HashMap<String, Vec<IpAddr>>,
}

/// How the question for one kind of address ended.
#[derive(Debug, Clone)]
enum Half {
    Asking(Asking),
    Found(Vec<IpAddr>, u32),
    Nothing(u32),
    Failed(&'static str),
}

#[derive(Debug, Clone)]
struct Asking {
    exchange: Exchange,
    server: SocketAddr,
    over: Over,
    id: u16,
    until: u64,
    strange: u8,
    /// Whom to ask next.
    next: VecDeque<SocketAddr>,
}

#[derive(Debug, Clone)]
struct LookUp {
    until: u64,
    halves: [Half; 2],
}

/// When something happens.
pub struct Moment<'a> {
    /// Steady milliseconds.
    pub now: u64,
    /// Gives numbers that nobody can guess.
    pub random: &'a mut dyn FnMut() -> u64,
}

/// A name and the place of one of its halves.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    half: usize,
}

/// The resolver.
#[derive(Debug, Clone, Default)]
pub struct Resolver {
    names: Names,
    cache: Cache,
    look_ups: BTreeMap<String, LookUp>,
    /// What the exchanges that are under way ask: a name, and which of its halves.
    exchanges: HashMap<Exchange, (String, usize)>,
    last_exchange: Exchange,
    actions: VecDeque<Action>,
}

impl Resolver {
    /// With nothing known.
    #[must_use]
    pub fn new(names: Names) -> Self {
        let mut resolver = Self::default();
        resolver.configure(names);
        resolver
    }

    /// Other servers and hosts from now on; what the former ones said is forgotten.
    pub fn configure(&mut self, mut names: Names) {
        names.servers.truncate(MAX_SERVERS);
        self.names = names;
        self.cache.clear();
    }

    /// What is known of a name in lower case; if nothing, it is being looked up from now on.
    pub fn look_up(&mut self, name: &str, moment: &mut Moment<'_>) -> Known {
        if let Some(addresses) = self.names.hosts.get(name) {
            return Known::Addresses(addresses.clone());
        }
        match self.cache.get(name, moment.now) {
            Some([]) => return Known::Nothing(NO_ADDRESS),
            Some(addresses) => return Known::Addresses(addresses.to_vec()),
            None => {}
        }
        if self.look_ups.contains_key(name) {
            return Known::Pending;
        }
        if self.names.servers.is_empty() {
            return Known::Nothing("there is no name server to ask");
        }
        if self.look_ups.len() >= MAX_LOOK_UPS {
            return Known::Nothing("too many names are being looked up");
        }
        let look_up = LookUp {
            until: moment.now + LOOK_UP,
            halves: [Half::Failed(NO_ANSWER), Half::Failed(NO_ANSWER)],
        };
        self.look_ups.insert(name.to_owned(), look_up);
        for half in 0..Family::ALL.len() {
            let plan = self.plan();
            self.ask_next(Place { name, half }, plan, NO_ANSWER, moment);
        }
        Known::Pending
    }

    /// The order in which servers are asked.
    fn plan(&self) -> VecDeque<SocketAddr> {
        let servers = &self.names.servers;
        let tries = TRIES.max(2 * servers.len());
        servers.iter().copied().cycle().take(tries).collect()
    }

    /// Asks the next server, or gives up.
    fn ask_next(
        &mut self,
        place: Place<'_>,
        mut next: VecDeque<SocketAddr>,
        why: &'static str,
        moment: &mut Moment<'_>,
    ) {
        match next.pop_front() {
            Some(server) => self.ask(place, server, Over::Udp, next, moment),
            None => self.end_half(place, Half::Failed(why), moment.now),
        }
    }

    fn ask(
        &mut self,
        place: Place<'_>,
        server: SocketAddr,
        over: Over,
        next: VecDeque<SocketAddr>,
        moment: &mut Moment<'_>,
    ) {
        let Place { name, half } = place;
        let id = (moment.random)() as u16;
        let family = Family::ALL[half];
        let Some(message) = (Question { id, name, family }).encode() else {
            return self.end_half(place, Half::Failed("it is no host name"), moment.now);
        };
        let Some(look_up) = self.look_ups.get_mut(name) else {
            return;
        };
        let time = match over {
            Over::Udp => ANSWER,
            Over::Tcp => ANSWER_TCP,
        };
        self.last_exchange = (self.last_exchange + 1) % EXCHANGES;
        let exchange = self.last_exchange;
        look_up.halves[half] = Half::Asking(Asking {
            exchange,
            server,
            over,
            id,
            until: look_up.until.min(moment.now + time),
            strange: 0,
            next,
        });
        self.exchanges.insert(exchange, (name.to_owned(), half));
        self.actions.push_back(Action::Ask {
            exchange,
            server,
            over,
            message,
        });
    }

    /// Takes a message that came over the socket of an exchange.
    ///
    /// # Errors
    /// When it answers something else.
    pub fn received(
        &mut self,
        exchange: Exchange,
        bytes: &[u8],
        moment: &mut Moment<'_>,
    ) -> Result<(), Strange> {
        let Some((name, half)) = self.exchanges.get(&exchange).cloned() else {
            return Ok(());
        };
        let place = Place { name: &name, half };
        let Some(Half::Asking(asking)) = self.half(place) else {
            return Ok(());
        };
        let question = Question {
            id: asking.id,
            name: &name,
            family: Family::ALL[half],
        };
        let answer = question.read(bytes);
        if answer.is_err() {
            asking.strange += 1;
            if asking.over == Over::Udp && asking.strange < MAX_STRANGE {
                return Err(Strange);
            }
        }
        let strange = answer.as_ref().map(drop).map_err(|strange| *strange);
        if let Some(asked) = self.end_exchange(place) {
            self.use_answer(place, answer, asked, moment);
        }
        strange
    }

    fn use_answer(
        &mut self,
        place: Place<'_>,
        answer: Result<Answer, Strange>,
        asked: Asking,
        moment: &mut Moment<'_>,
    ) {
        let Asking {
            server, over, next, ..
        } = asked;
        match answer {
            Ok(Answer::Addresses(addresses, seconds)) => {
                self.end_half(place, Half::Found(addresses, seconds), moment.now);
            }
            Ok(Answer::Nothing(seconds)) => {
                self.end_half(place, Half::Nothing(seconds), moment.now);
            }
            Ok(Answer::Refused(why)) => {
                // It would say so again.
                let others = next.into_iter().filter(|other| *other != server).collect();
                self.ask_next(place, others, why, moment);
            }
            Ok(Answer::Truncated) | Err(Strange) if over == Over::Udp => {
                self.ask(place, server, Over::Tcp, next, moment);
            }
            Ok(Answer::Truncated) | Err(Strange) => {
                self.ask_next(
                    place,
                    next,
                    "the answer of the server can't be read",
                    moment,
                );
            }
        }
    }

    /// Whether an exchange waits for more messages.
    #[must_use]
    pub fn expects(&self, exchange: Exchange) -> bool {
        self.exchanges.contains_key(&exchange)
    }

    /// The socket of an exchange can't be made, or has failed.
    pub fn failed(&mut self, exchange: Exchange, moment: &mut Moment<'_>) {
        let Some((name, half)) = self.exchanges.get(&exchange).cloned() else {
            return;
        };
        let place = Place { name: &name, half };
        if let Some(asked) = self.end_exchange(place) {
            self.ask_next(place, asked.next, "no name server can be reached", moment);
        }
    }

    /// When to call [`Resolver::tick`], if nothing else happens.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let halves = self.look_ups.values().flat_map(|look_up| &look_up.halves);
        let times = halves.filter_map(|half| match half {
            Half::Asking(asking) => Some(asking.until),
            _ => None,
        });
        times.min()
    }

    /// Gives up what takes too long.
    pub fn tick(&mut self, moment: &mut Moment<'_>) {
        let now = moment.now;
        let mut late = Vec::new();
        for (name, look_up) in &self.look_ups {
            for (half, state) in look_up.halves.iter().enumerate() {
                if matches!(state, Half::Asking(asking) if asking.until <= now) {
                    late.push((name.clone(), half, look_up.until <= now));
                }
            }
        }
        for (name, half, over) in late {
            let place = Place { name: &name, half };
            if let Some(mut asked) = self.end_exchange(place) {
                if over {
                    asked.next.clear();
                }
                self.ask_next(place, asked.next, NO_ANSWER, moment);
            }
        }
    }

    /// What to do next.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn half(&mut self, place: Place<'_>) -> Option<&mut Half> {
        Some(&mut self.look_ups.get_mut(place.name)?.halves[place.half])
    }

    /// Takes an exchange back that is under way.
    fn end_exchange(&mut self, place: Place<'_>) -> Option<Asking> {
        let state = self.half(place)?;
        let Half::Asking(asked) = std::mem::replace(state, Half::Failed(NO_ANSWER)) else {
            return None;
        };
        self.exchanges.remove(&asked.exchange);
        self.actions.push_back(Action::Close(asked.exchange));
        Some(asked)
    }

    fn end_half(&mut self, place: Place<'_>, outcome: Half, now: u64) {
        let Some(look_up) = self.look_ups.get_mut(place.name) else {
            return;
        };
        let found = matches!(outcome, Half::Found(..));
        look_up.halves[place.half] = outcome;
        match &mut look_up.halves[1 - place.half] {
            // There are addresses: the others get the time of one answer, and no more.
            Half::Asking(asking) if found => asking.next.clear(),
            Half::Asking(_) => {}
            _ => self.end(place.name, now),
        }
    }

    fn end(&mut self, name: &str, now: u64) {
        let Some(LookUp { halves, .. }) = self.look_ups.remove(name) else {
            return;
        };
        let mut all = Vec::new();
        let mut seconds = u32::MAX;
        let mut failure = None;
        for half in halves {
            match half {
                Half::Found(addresses, until) => {
                    all.extend(addresses);
                    seconds = seconds.min(until);
                }
                Half::Nothing(until) => seconds = seconds.min(until),
                // To be looked up again soon.
                Half::Failed(why) => {
                    failure = Some(why);
                    seconds = 0;
                }
                Half::Asking(_) => {}
            }
        }
        let result = match failure {
            Some(why) if all.is_empty() => Err(why),
            _ => {
                self.cache.put(name, all.clone(), seconds, now);
                Some(all).filter(|all| !all.is_empty()).ok_or(NO_ADDRESS)
            }
        };
        let name = name.to_owned();
        self.actions.push_back(Action::Done { name, result });
    }
}
