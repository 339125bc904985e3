//! The consensus state of a peer, read cell by cell as it is needed.
//!
//! A peer names the hash of its state; every cell below is asked for by its hash and checked against it. So all that
//! is read of a [`Snapshot`] belongs to one state, whatever the network executes meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use cells::{Cell, CellError, Decoder, Hash, Signed, Source, branches, decode_cell, decode_stored};
use client::{Client, ClientError};
use cvm::state::{Account, State};
use rustix::event::{Timespec, poll};
use wire::{MAX_HASHES, Reply};

use crate::cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::remote::{connect, form, no_answer};

/// Bytes of cells that are read of a network at most: what is looked at here is a small part of a state.
const MAX_BYTES: usize = 200_000_000;
/// Between two looks at a state that is to change.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// A network, as one of its peers shows it.
pub(crate) struct Chain {
    link: Arc<Link>,
    /// The peer that is asked.
    pub(crate) host: String,
    /// Hash of its genesis state.
    pub(crate) network: Hash,
    patience: Duration,
}

/// A connection, and the cells that came over it.
struct Link {
    client: Mutex<Client>,
    cells: Mutex<Known>,
    own: Weak<Self>,
}

/// Cells that have arrived.
#[derive(Default)]
struct Known {
    cells: HashMap<Hash, Cell>,
    /// Length of their encodings.
    bytes: usize,
}

/// One state of a network.
pub(crate) struct Snapshot {
    /// The state; its cells arrive when they are looked at.
    pub(crate) state: State,
    /// Its hash.
    pub(crate) hash: Hash,
}

impl Chain {
    /// Connects to the peer that is meant.
    pub(crate) fn open(at: &cli::Remote) -> Result<Self, Failure> {
        let (mut client, host) = connect(at)?;
        let status = client.status().map_err(|error| no_answer(&host, &error))?;
        let link = Arc::new_cyclic(|own| Link {
            client: Mutex::new(client),
            cells: Mutex::default(),
            own: own.clone(),
        });
        Ok(Self {
            link,
            host,
            network: status.genesis,
            patience: Duration::from_secs(at.timeout.clamp(1, 86_400)),
        })
    }

    /// The state that the peer has now.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Failure> {
        let status = self.link.client().status();
        let status = status.map_err(|error| no_answer(&self.host, &error))?;
        let cell = match self.link.load(&status.state) {
            // A state of few peers is so short that peers of the reference don't store it by itself.
            Err(CellError::Missing(_)) => self.told()?,
            other => other.map_err(|error| self.unread(&error))?,
        };
        let state = State::from_cell(&cell).map_err(|error| self.unread(&error))?;
        // One question after the other would take a way to the peer for each cell; peers are looked at all together.
        let peers = Cell::from(state.peers().clone());
        self.link
            .fetch_below(&peers)
            .map_err(|error| self.unread(&error))?;
        Ok(Snapshot {
            state,
            hash: cell.hash(),
        })
    }

    /// The cell of the state, as the peer tells it when it is asked for its bytes.
    fn told(&self) -> Result<Cell, Failure> {
        let question = form("(encoding *state*)")?;
        let reply = self.link.client().query(question, None);
        let reply = reply.map_err(|error| no_answer(&self.host, &error))?;
        let Cell::Blob(bytes) = &reply.value else {
            let failure = format!("{} does not tell its state: {}", self.host, reply.error);
            return Err(Failure::new(Exit::Unavailable, failure));
        };
        let bytes = bytes.to_vec().map_err(|error| self.unread(&error))?;
        let decoder = Decoder::with_source(self.link.clone());
        decode_cell(&bytes, &decoder).map_err(|error| {
            Failure::new(
                Exit::Unavailable,
                format!("{} tells a state that is none: {error}", self.host),
            )
        })
    }

    /// The first state in which an account has used a sequence number.
    pub(crate) fn snapshot_after(&self, account: u64, sequence: i64) -> Result<Snapshot, Failure> {
        let until = Instant::now() + self.patience;
        loop {
            let snapshot = self.snapshot()?;
            let at = self
                .account(&snapshot, account)?
                .map_or(0, |account| account.sequence);
            if at >= sequence {
                return Ok(snapshot);
            }
            if Instant::now() >= until {
                return Err(Failure::new(
                    Exit::Temporary,
                    format!(
                        "{} has a result, but does not show the state after it",
                        self.host
                    ),
                )
                .remedy("look at it later with `convexctl stake show`"));
            }
            // Nothing is to be waited for: peers don't tell of new states.
            let _ = poll(&mut [], Some(&LOOK));
        }
    }

    /// An account of a state.
    pub(crate) fn account(
        &self,
        snapshot: &Snapshot,
        address: u64,
    ) -> Result<Option<Account>, Failure> {
        let account = snapshot
            .state
            .account(address)
            .map_err(|error| self.unread(&error))?;
        Ok(account.cloned())
    }

    /// Has a transaction executed.
    pub(crate) fn transact(&self, transaction: Signed) -> Result<Reply, ClientError> {
        self.link.client().transact(transaction)
    }

    /// A cell that is not to be had.
    pub(crate) fn unread(&self, error: &CellError) -> Failure {
        let failure = Failure::new(
            Exit::Unavailable,
            format!("the state of {} can't be read: {error}", self.host),
        );
        match error {
            CellError::Missing(_) => failure.remedy("it may have collected that state by now: try again, or ask another peer with --peer HOST:PORT"),
            _ => failure.remedy("ask another peer with --peer HOST:PORT"),
        }
    }
}

impl Link {
    fn client(&self) -> MutexGuard<'_, Client> {
        // A panic elsewhere leaves a connection that tells itself what it can't do.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings cells here, as many as one request may ask for.
    fn fetch(&self, hashes: &[Hash]) -> Result<Vec<Cell>, CellError> {
        let failure = |reason: &str| CellError::Store {
            hash: hashes.first().copied().unwrap_or(Hash::NIL),
            reason: reason.into(),
        };
        let source = self
            .own
            .upgrade()
            .ok_or_else(|| failure("the connection has ended"))?;
        let decoder = Decoder::with_source(source);
        let answer = self
            .client()
            .data(hashes)
            .map_err(|error| failure(&error.to_string()))?;
        let mut found = Vec::with_capacity(hashes.len());
        let mut length = 0;
        for (hash, cell) in hashes.iter().zip(answer) {
            // What came along is left: only what was asked for has been compared with its hash.
            let bytes = cell.ok_or(CellError::Missing(*hash))?.encode();
            length += bytes.len();
            let cell = decode_stored(*hash, &bytes, &decoder);
            found.push(cell.map_err(|error| failure(&error.to_string()))?);
        }
        let mut known = self.known();
        known.bytes += length;
        if known.bytes > MAX_BYTES {
            return Err(failure("more than is ever needed here"));
        }
        known
            .cells
            .extend(hashes.iter().copied().zip(found.iter().cloned()));
        drop(known);
        Ok(found)
    }

    /// Brings all cells below one here, level by level.
    fn fetch_below(&self, top: &Cell) -> Result<(), CellError> {
        let below = |cell: &Cell| branches(cell).into_iter().map(|branch| branch.hash());
        let mut level: Vec<Hash> = below(top).collect();
        loop {
            level.sort_unstable();
            level.dedup();
            let known = self.known();
            level.retain(|hash| !known.cells.contains_key(hash));
            drop(known);
            if level.is_empty() {
                return Ok(());
            }
            let mut next = Vec::new();
            for batch in level.chunks(MAX_HASHES) {
                next.extend(self.fetch(batch)?.iter().flat_map(below));
            }
            level = next;
        }
    }
}

impl Source for Link {
    fn load(&self, hash: &Hash) -> Result<Cell, CellError> {
        let known = self.known().cells.get(hash).cloned();
        match known {
            Some(cell) => Ok(cell),
            None => self.fetch(&[*hash])?.pop().ok_or(CellError::Missing(*hash)),
        }
    }
}
