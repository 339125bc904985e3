//! Queries and results as messages, beside the peer's own thread.

use std::sync::Arc;

use cells::{Cell, CellError, Decoder, Keyword, Map, Source, Vector, decode_partial};
use cvm::state::Transaction;
use cvm::transition::{BlockError, QueryError, detached, query};
use cvm::{Machine, Rules};
use wire::{Code, Message, Reply, Unusable};

use crate::checking::{Arrived, Latest};
use crate::peer::{Connection, Results, View, results_of};
use crate::source::Shelf;

/// To the client of a query that is not answered.
const OLD_STATE: &str = "Peer is cut off from the network: its state may be old";

/// What becomes of queries while consensus is out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenCutOff {
    /// They are answered `:NETWORK`: others may have gone on without this peer, and nobody takes an old state for the present one.
    Refuse,
    /// They are answered from the last state, and the answer says so.
    Stale,
}

/// One thread's means of answering queries.
pub struct Answerer {
    machine: Machine,
    shelf: Arc<Shelf>,
    latest: Latest,
    when_cut_off: WhenCutOff,
}

impl Answerer {
    /// With values read from this shelf.
    #[must_use]
    pub fn new(shelf: Arc<Shelf>, when_cut_off: WhenCutOff) -> Self {
        Self {
            machine: Machine::new(Rules::latest()),
            shelf,
            latest: Latest::default(),
            when_cut_off,
        }
    }

    /// The answer to a query on a recent state (`spec/06 §6.3`); `None` when there is nobody to answer to.
    pub fn answer(&mut self, view: &View, request: &Arrived) -> Option<Reply> {
        let source: Arc<dyn Source> = self.shelf.clone();
        let payload = match decode_partial(&request.body, &Decoder::with_source(source)) {
            Ok((payload, _)) => payload,
            Err(error) => return Some(Reply::undecodable(&request.body, &error)),
        };
        match Message::read(payload) {
            Ok(Message::Query { id, .. })
                if view.cut_off && self.when_cut_off == WhenCutOff::Refuse =>
            {
                Some(Reply::rejected(id, Code::Network, OLD_STATE))
            }
            Ok(Message::Query { id, form, address }) => {
                let origin = address.unwrap_or(Message::DEFAULT_ADDRESS);
                Some(match self.run(view, id, origin, form) {
                    Ok(reply) if view.cut_off => stale(id, reply),
                    Ok(reply) => reply,
                    Err(CellError::Missing(hash)) => Reply::missing(id, &hash),
                    Err(error) => Reply::rejected(id, Code::Io, &error.to_string()),
                })
            }
            Ok(_) | Err(Unusable { id: None, .. }) => None,
            Err(Unusable { id: Some(id), .. }) => {
                Some(Reply::rejected(id, Code::Format, "Bad Message Format!"))
            }
        }
    }

    fn run(&mut self, view: &View, id: i64, origin: u64, form: Cell) -> Result<Reply, CellError> {
        let state = self.latest.of(view)?;
        let answer = match transaction_in(&form)? {
            Some(transaction) => detached(&mut self.machine, state, transaction),
            None if state.account(origin)?.is_none() => return Ok(nobody(id)),
            None => query(&mut self.machine, state, origin, form),
        };
        match answer {
            Ok(result) => match result.to_cell() {
                Cell::Record(record) => Reply::queried(id, &record),
                _ => Err(CellError::Malformed("no result record")),
            },
            Err(QueryError::Block(BlockError::Data(error))) => Err(error),
            Err(error) => Ok(Reply::rejected(id, Code::Exception, &error.to_string())),
        }
    }
}

fn stale(id: i64, reply: Reply) -> Reply {
    let marked = reply.stale();
    marked.unwrap_or_else(|error| Reply::rejected(id, Code::Io, &error.to_string()))
}

/// A form that is a transaction, signed or not, is executed as such; nobody checks its signature (`spec/06 §6.3`).
fn transaction_in(form: &Cell) -> Result<Option<Transaction>, CellError> {
    match form {
        Cell::Signed(signed) => Transaction::from_cell(&signed.value()?),
        form => Transaction::from_cell(form),
    }
}

fn keyword(name: &'static str) -> Cell {
    Cell::from(Keyword::literal(name))
}

fn nobody(id: i64) -> Reply {
    let info: Map = [
        (keyword("trace"), Cell::from(Vector::empty())),
        (keyword("eaddr"), Cell::Address(0)),
        (keyword("source"), keyword("PEER")),
    ]
    .into_iter()
    .collect();
    Reply {
        log: Cell::from(Vector::empty()),
        info: Cell::from(info),
        ..Reply::rejected(id, Code::Nobody, "Query for non-existant account")
    }
}

/// The messages to the clients that wait for the results of a block.
#[must_use]
pub fn encode_results(results: &Results) -> Vec<(Connection, Vec<u8>)> {
    let list = results_of(&results.record);
    let mut messages = Vec::with_capacity(results.waiting.len());
    for (index, hash, requester) in &results.waiting {
        let produced = match list.as_ref().map(|list| list.get(*index)) {
            Some(Ok(Some(Cell::Record(record)))) => {
                Reply::executed(requester.id, &record, hash, results.block, *index)
            }
            Some(Err(error)) => Err(error),
            _ => Err(CellError::Malformed("no result record")),
        };
        let message = produced.and_then(|reply| reply.encode()).or_else(|_| {
            Reply::rejected(requester.id, Code::Fatal, "Failed to produce result").encode()
        });
        // An answer of few small values can always be encoded.
        if let Ok(message) = message {
            messages.push((requester.connection, message));
        }
    }
    messages
}
