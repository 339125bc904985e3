//! Transactions of many accounts, signed before they are sent and pipelined at many peers, and what became of them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use cells::{Cell, Hash, Signed};
use client::Client;
use crypto::SigningKey;
use cvm::reader::read;
use cvm::state::{Account, Kind, State, Transaction};
use wire::Message;

/// Accounts that send to one peer.
const ACCOUNTS: usize = 8;
/// Transactions without an answer that one peer may have.
const WINDOW: usize = 150;
/// Coppers of each account.
const BALANCE: i64 = 100_000_000_000;
/// Bytes of memory that each account may use before paying.
const ALLOWANCE: i64 = 100_000;
/// Whom coins are sent to.
const SINK: u64 = 12;
/// How long an answer may take. A peer that was killed and is back may take blocks in again only when others make new ones.
const PATIENCE: Duration = Duration::from_secs(120);

/// An account, and how far it is.
struct User {
    address: u64,
    key: SigningKey,
    /// Sequence number of the next transaction.
    next: i64,
    /// The outcome of a transaction is not known, and so neither is the next sequence number.
    unclear: bool,
}

impl User {
    /// The next transaction, and whether it is to succeed. Of each kind 0.8.0 makes what 0.8.5 makes.
    fn next(&mut self) -> (Signed, bool) {
        let form = |text: &str| Kind::Invoke {
            command: read(text).expect("a form"),
        };
        let transfer = |amount| Kind::Transfer {
            target: Cell::Address(SINK),
            amount,
        };
        let kind = match self.next % 8 {
            1 => form(&format!("(transfer #{SINK} 7)")),
            3 => form(&format!("(def latest {})", self.next)),
            5 => form("(+ 1 2 3)"),
            // More than it has.
            7 => transfer(2 * BALANCE),
            _ => transfer(1_000 + self.next),
        };
        let good = self.next % 8 != 7;
        let transaction = Transaction {
            origin: self.address,
            sequence: self.next,
            kind,
        };
        self.next += 1;
        (Signed::sign(&self.key, transaction.to_cell()), good)
    }
}

/// Accounts, those of each peer apart: transactions of one account are then executed in the order in which they were sent.
#[derive(Default)]
pub struct Work {
    users: Vec<Vec<User>>,
    /// Transactions that were acknowledged as successful.
    acknowledged: Vec<Hash>,
}

/// What became of the transactions of a round at one peer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Executed, as they should be.
    pub executed: usize,
    /// Without an answer.
    pub lost: usize,
    /// Answered otherwise, by error code.
    pub otherwise: BTreeMap<String, usize>,
    successes: Vec<Hash>,
}

impl Tally {
    /// True when all were executed, as they should be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.otherwise.is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            executed,
            lost,
            otherwise,
            ..
        } = self;
        write!(
            f,
            "{executed} executed, {lost} without an answer, {otherwise:?}"
        )
    }
}

impl Work {
    /// Puts new accounts into a state.
    ///
    /// # Panics
    /// Never: the state is in memory.
    #[must_use]
    pub fn endow(state: &mut State, peers: usize) -> Self {
        let mut user = |peer: usize, number: usize| {
            let label = format!("local-networks/user {peer} {number}");
            let key = SigningKey::from_seed(&crypto::sha3_256(label.as_bytes()));
            let mut account = Account::default();
            (account.balance, account.allowance) = (BALANCE, ALLOWANCE);
            account.set_key(Some(*key.account_key().as_bytes()));
            User {
                address: state.push_account(account),
                key,
                next: 1,
                unclear: false,
            }
        };
        let users = (0..peers)
            .map(|peer| (0..ACCOUNTS).map(|number| user(peer, number)).collect())
            .collect();
        Self {
            users,
            acknowledged: Vec::new(),
        }
    }

    /// Sends `count` transactions to each of these peers at once, and hears all answers. `meanwhile` is told of each answer, by the number
    /// of the peer; its end of the channel is to be kept until all are there.
    ///
    /// # Panics
    /// When there is no connection.
    pub fn round(
        &mut self,
        peers: &[(usize, String)],
        count: usize,
        meanwhile: impl FnOnce(&Receiver<usize>),
    ) -> Vec<Tally> {
        let (sender, answers) = channel();
        let mut users: Vec<Option<&mut Vec<User>>> = self.users.iter_mut().map(Some).collect();
        let tallies: Vec<Tally> = std::thread::scope(|scope| {
            let threads: Vec<_> = peers
                .iter()
                .map(|(peer, endpoint)| {
                    let users = users[*peer].take().expect("each peer once");
                    let sender = sender.clone();
                    scope.spawn(move || send(users, (*peer, endpoint), count, &sender))
                })
                .collect();
            drop(sender);
            meanwhile(&answers);
            threads
                .into_iter()
                .map(|thread| thread.join().expect("a client"))
                .collect()
        });
        for tally in &tallies {
            self.acknowledged.extend(&tally.successes);
        }
        tallies
    }

    /// Transactions that were acknowledged as successful.
    #[must_use]
    pub fn acknowledged(&self) -> &[Hash] {
        &self.acknowledged
    }

    /// Finds out what became of transactions whose outcome was not clear; answers how many accounts that concerned.
    ///
    /// # Panics
    /// When fewer transactions were executed than were acknowledged, or more than were sent.
    pub fn settle(&mut self, mut sequence: impl FnMut(u64) -> i64) -> usize {
        let unclear = self.users.iter_mut().flatten().filter(|user| user.unclear);
        let mut count = 0;
        for user in unclear {
            let executed = sequence(user.address);
            assert!(executed < user.next, "more executed than sent");
            user.next = executed + 1;
            user.unclear = false;
            count += 1;
        }
        count
    }

    /// Address and executed transactions of each account.
    ///
    /// # Panics
    /// When that of one is not known.
    #[must_use]
    pub fn sequences(&self) -> Vec<(u64, i64)> {
        let known = |user: &User| {
            assert!(!user.unclear, "an account whose transactions are unclear");
            (user.address, user.next - 1)
        };
        self.users.iter().flatten().map(known).collect()
    }
}

fn send(
    users: &mut [User],
    (peer, endpoint): (usize, &str),
    count: usize,
    told: &Sender<usize>,
) -> Tally {
    let mut tally = Tally::default();
    let mut client = Client::connect(endpoint, PATIENCE).expect("a connection");
    let signed: Vec<(usize, Signed, bool)> = (0..count)
        .map(|n| {
            let place = n % users.len();
            let (signed, good) = users[place].next();
            (place, signed, good)
        })
        .collect();
    let mut waiting = signed.into_iter();
    let mut under_way = VecDeque::new();
    let mut connected = true;
    loop {
        while connected && under_way.len() < WINDOW {
            let Some((place, transaction, good)) = waiting.next() else {
                break;
            };
            let hash = Cell::from(transaction.clone()).hash();
            let sent = client.send(|id| Message::Transact { id, transaction });
            connected = sent.is_ok();
            under_way.push_back((sent.ok(), place, hash, good));
        }
        let Some((id, place, hash, good)) = under_way.pop_front() else {
            break;
        };
        let reply = id.filter(|_| connected).map(|id| client.receive(id));
        match reply {
            Some(Ok(reply)) if reply.error.is_nil() && good => {
                tally.executed += 1;
                tally.successes.push(hash);
            }
            Some(Ok(reply)) if !good && reply.error.to_string() == ":FUNDS" => tally.executed += 1,
            Some(Ok(reply)) => {
                users[place].unclear = true;
                let code = reply.error.to_string();
                *tally.otherwise.entry(code).or_default() += 1;
            }
            _ => {
                connected = false;
                users[place].unclear = true;
                tally.lost += 1;
            }
        }
        // Nobody may want to know.
        let _ = told.send(peer);
    }
    for (place, ..) in waiting {
        users[place].unclear = true;
        tally.lost += 1;
    }
    tally
}
