//! Checks of clients' transactions, many at once, beside the peer's own thread (`spec/06 §6.4`).

use std::sync::Arc;

use cells::{Cell, CellError, Decoder, Hash, Signed, Source, Verdict, decode_partial};
use crypto::{KeyCache, SignedMessage, verify_batch};
use cvm::state::{Kind, State, Transaction};
use wire::{Code, Message, Reply, Unusable, Why};

use crate::peer::{Connection, Requester, Submitted, View, not_taken};
use crate::source::Shelf;

/// Signatures that are checked together.
const TOGETHER: usize = 1_024;

/// A request of a client as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The connection.
    pub connection: Connection,
    /// The message.
    pub body: Vec<u8>,
}

/// What came of the checks.
#[derive(Default)]
pub struct Checked {
    /// Transactions for the queue, in the order in which they arrived.
    pub accepted: Vec<Submitted>,
    /// Answers for the others.
    pub replies: Vec<(Connection, Reply)>,
}

/// A state for look-ups, read anew when there is a newer one.
#[derive(Default)]
pub(crate) struct Latest {
    state: Option<(Hash, State)>,
}

impl Latest {
    pub(crate) fn of(&mut self, view: &View) -> Result<&mut State, CellError> {
        let hash = view.state.hash();
        if self.state.as_ref().is_none_or(|(held, _)| *held != hash) {
            self.state = Some((hash, State::from_cell(&view.state)?));
        }
        match &mut self.state {
            Some((_, state)) => Ok(state),
            None => Err(CellError::Malformed("no state")),
        }
    }
}

/// One thread's means of checking.
pub struct Checker {
    keys: Arc<KeyCache>,
    seed: [u8; 32],
    shelf: Arc<Shelf>,
    latest: Latest,
}

/// A transaction that is good but for its signature.
struct Candidate {
    at: Requester,
    signed: Signed,
    kind: Kind,
    origin: u64,
    size: usize,
    lacking: Option<Hash>,
}

enum Refused {
    /// Nobody to answer to.
    Silently,
    With(Reply),
}

impl Checker {
    /// With a cache of keys that threads may share. `seed` should be unknown to others.
    #[must_use]
    pub fn new(keys: Arc<KeyCache>, seed: [u8; 32], shelf: Arc<Shelf>) -> Self {
        Self {
            keys,
            seed,
            shelf,
            latest: Latest::default(),
        }
    }

    /// Checks requests to execute transactions, on a recent state. Each that has an id gets one answer, now or with its result.
    pub fn check(&mut self, view: &View, arrived: &[Arrived]) -> Checked {
        let mut checked = Checked::default();
        let mut candidates = Vec::with_capacity(arrived.len());
        for request in arrived {
            match self.read(view, request) {
                Ok(candidate) => candidates.push(candidate),
                Err(Refused::Silently) => {}
                Err(Refused::With(reply)) => checked.replies.push((request.connection, reply)),
            }
        }
        for together in candidates.chunks(TOGETHER) {
            self.check_signatures(together);
        }
        let encodings: Vec<Vec<u8>> = candidates
            .iter()
            .map(|candidate| Cell::from(candidate.signed.clone()).encode())
            .collect();
        let slices: Vec<&[u8]> = encodings.iter().map(Vec::as_slice).collect();
        for (candidate, hash) in candidates.into_iter().zip(Hash::of_many(&slices)) {
            let id = candidate.at.id;
            let refusal = if candidate.signed.verdict() != Verdict::Good {
                Some(Reply::rejected(id, Code::Signature, "Bad Signature!"))
            } else if let Some(lacking) = candidate.lacking {
                let text = format!("Transaction data not available: 0x{lacking}");
                Some(Reply::rejected(id, Code::Missing, &text))
            } else if matches!(candidate.kind, Kind::Call { .. }) {
                // Its block would be void (`spec/04 §3.5`).
                let text = "Transaction can't be executed: call transactions void their block";
                Some(Reply::rejected(id, Code::Peer, text))
            } else {
                None
            };
            match refusal {
                Some(reply) => checked.replies.push((candidate.at.connection, reply)),
                None => checked.accepted.push(Submitted {
                    requester: candidate.at,
                    signed: candidate.signed,
                    hash,
                    origin: candidate.origin,
                    size: candidate.size,
                }),
            }
        }
        checked
    }

    /// Everything but the signature, in the order of the rules.
    fn read(&mut self, view: &View, request: &Arrived) -> Result<Candidate, Refused> {
        let source: Arc<dyn Source> = self.shelf.clone();
        let decoded = decode_partial(&request.body, &Decoder::with_source(source));
        let (payload, missing) =
            decoded.map_err(|error| Refused::With(Reply::undecodable(&request.body, &error)))?;
        let (id, transaction) = match Message::read(payload) {
            Ok(Message::Transact { id, transaction }) => (id, Ok(transaction)),
            Ok(_) => return Err(Refused::Silently),
            Err(Unusable {
                id: Some(id), why, ..
            }) => (id, Err(why)),
            Err(Unusable { id: None, .. }) => return Err(Refused::Silently),
        };
        let refuse = |code, text: &str| Refused::With(Reply::rejected(id, code, text));
        let malformed = || refuse(Code::Format, "Bad Message Format!");
        if let Some(why) = view.closed {
            return Err(refuse(Code::State, why));
        }
        if view.cut_off {
            return Err(Refused::With(not_taken(id)));
        }
        let signed = transaction.map_err(|_: Why| malformed())?;
        let value = signed.value_ref().load().map_err(|_| malformed())?;
        let Ok(Some(transaction)) = Transaction::from_cell(&value) else {
            return Err(malformed());
        };
        drop(value);
        let failed = |error: CellError| refuse(Code::Io, &format!("State can't be read: {error}"));
        let state = self.latest.of(view).map_err(failed)?;
        let account = state
            .account(transaction.origin)
            .map_err(failed)?
            .ok_or_else(|| refuse(Code::Nobody, "Account does not exist"))?;
        if transaction.sequence <= account.sequence {
            return Err(refuse(Code::Sequence, "Old sequence number"));
        }
        let Some(key) = account.key() else {
            let text = "Cannot run external transaction for actor account";
            return Err(refuse(Code::State, text));
        };
        if signed.key().map(crypto::AccountKey::as_bytes) != Some(key) {
            return Err(refuse(Code::Signature, "Wrong key for account"));
        }
        let mut lacking = None;
        for hash in missing {
            match self.shelf.has(&hash) {
                Ok(true) => {}
                Ok(false) => {
                    lacking = Some(hash);
                    break;
                }
                Err(error) => {
                    let text = format!("IO error persisting transaction: {error}");
                    return Err(refuse(Code::Io, &text));
                }
            }
        }
        Ok(Candidate {
            at: Requester {
                connection: request.connection,
                id,
            },
            signed,
            kind: transaction.kind,
            origin: transaction.origin,
            size: request.body.len(),
            lacking,
        })
    }

    fn check_signatures(&self, candidates: &[Candidate]) {
        let messages: Vec<Vec<u8>> = candidates.iter().map(|c| c.signed.message()).collect();
        let mut items = Vec::with_capacity(candidates.len());
        let mut owners = Vec::with_capacity(candidates.len());
        for (candidate, message) in candidates.iter().zip(&messages) {
            if let Some(key) = candidate.signed.key() {
                items.push(SignedMessage {
                    key,
                    message,
                    signature: candidate.signed.signature(),
                });
                owners.push(&candidate.signed);
            }
        }
        for (owner, good) in owners
            .into_iter()
            .zip(verify_batch(&self.keys, &self.seed, &items))
        {
            owner.set_verdict(if good { Verdict::Good } else { Verdict::Bad });
        }
    }
}
