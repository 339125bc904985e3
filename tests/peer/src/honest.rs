//! Clients that want their transactions executed, whatever happens to the peer, and that remember what they were told.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use cells::{Cell, Decoder, Hash, decode_cell};
use client::{Client, ClientError};

use crate::users::Users;

/// Encoding of the op that gives the sequence number of its account.
const SEQUENCE: [u8; 2] = [0xe5, 0x0c];
/// How long one answer may take before its outcome counts as unclear.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a client goes on without any success.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one client was told.
#[derive(Debug, Default)]
pub struct Told {
    /// Hashes of signed transactions with a result that says success.
    pub acknowledged: Vec<Hash>,
    /// Those of which only the sequence number told afterwards that they were executed.
    pub inferred: Vec<Hash>,
    /// How often the outcome was unclear.
    pub unclear: usize,
    /// Times from sending to a clear outcome.
    pub latencies: Vec<Duration>,
}

/// Sends transfers of a user one after another until told to stop, and notes each success in `progress`.
///
/// # Panics
/// When the peer goes back on what it said, or nothing succeeds for long.
pub fn work(
    endpoint: &str,
    users: &Users,
    user: usize,
    stop: &AtomicBool,
    succeeded: &AtomicUsize,
    progress: &Sender<()>,
) -> Told {
    let mut told = Told::default();
    let mut client = None;
    let mut sequence = 1;
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        assert!(
            last.elapsed() < PATIENCE,
            "user {user} got nothing done for long"
        );
        let transaction = users.transfer(user, sequence);
        let hash = Cell::from(transaction.clone()).hash();
        let began = Instant::now();
        let Some(connection) = connected(&mut client, endpoint) else {
            continue;
        };
        let result = connection.transact(transaction);
        match result {
            Ok(reply) if reply.error == Cell::Nil => told.acknowledged.push(hash),
            other => {
                if other.is_err() {
                    client = None;
                }
                told.unclear += 1;
                let Some(executed) = executed(&mut client, endpoint, users.address(user), stop)
                else {
                    break;
                };
                assert!(
                    executed + 1 >= sequence,
                    "user {user}: {executed} executed, {} acknowledged",
                    sequence - 1
                );
                if executed < sequence {
                    continue;
                }
                assert_eq!(executed, sequence, "user {user}: more executed than sent");
                told.inferred.push(hash);
            }
        }
        sequence += 1;
        last = Instant::now();
        told.latencies.push(last - began);
        succeeded.fetch_add(1, Ordering::Relaxed);
        // The other side may have seen enough.
        let _ = progress.send(());
    }
    told
}

fn connected<'a>(client: &'a mut Option<Client>, endpoint: &str) -> Option<&'a mut Client> {
    if client.is_none() {
        *client = Client::connect(endpoint, ANSWER).ok();
        if client.is_none() {
            std::thread::yield_now();
        }
    }
    client.as_mut()
}

/// The sequence number of an account, asked for until there is an answer.
fn executed(
    client: &mut Option<Client>,
    endpoint: &str,
    address: u64,
    stop: &AtomicBool,
) -> Option<i64> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let Some(connection) = connected(client, endpoint) else {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            continue;
        };
        match sequence(connection, address) {
            Ok(Some(sequence)) => return Some(sequence),
            Ok(None) => {}
            Err(_) => *client = None,
        }
    }
    panic!("no answer for long");
}

/// The sequence number of an account; `None` when the peer can't tell now.
///
/// # Errors
/// When there is no answer.
///
/// # Panics
/// Never: the op is well-formed.
pub fn sequence(client: &mut Client, address: u64) -> Result<Option<i64>, ClientError> {
    let op = decode_cell(&SEQUENCE, &Decoder::new()).expect("an op");
    let reply = client.query(op, Some(address))?;
    Ok(match (reply.error, reply.value) {
        (Cell::Nil, Cell::Long(sequence)) => Some(sequence),
        _ => None,
    })
}
