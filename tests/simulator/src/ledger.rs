//! What the network has executed, by the first peer that did, and who votes after it.

use std::collections::HashMap;
use std::sync::Arc;

use cells::{Blob, Cell, Hash, Index};
use consensus::{Electorate, check_block};
use crypto::AccountKey;
use cvm::state::PeerStatus;

/// The blocks in force. Of states only what decides votes is kept: the time, and the latest block of each peer (`spec/05 §7.3`).
pub(crate) struct Ledger {
    chain: Vec<Hash>,
    number_of: HashMap<Hash, u64>,
    /// Whether the blocks had an effect.
    counts: Vec<bool>,
    peers: Index,
    /// After as many blocks.
    electorates: Vec<Arc<Electorate>>,
}

fn key_cell(key: &AccountKey) -> Cell {
    Cell::from(Blob::new(key.as_bytes()))
}

impl Ledger {
    /// Peers with these stakes, all active at the beginning.
    pub(crate) fn new(time: i64, stakes: &[(AccountKey, i64)]) -> Self {
        let mut peers = Index::empty();
        for (key, stake) in stakes {
            let mut peer = PeerStatus::new(1, *stake);
            peer.timestamp = time;
            peers = place(peers, key, &peer);
        }
        let electorate = Electorate::new(time, &peers).expect("peers in memory");
        Self {
            chain: Vec::new(),
            number_of: HashMap::new(),
            counts: Vec::new(),
            peers,
            electorates: vec![Arc::new(electorate)],
        }
    }

    /// Number of blocks that somebody has executed.
    pub(crate) fn len(&self) -> u64 {
        self.chain.len() as u64
    }

    pub(crate) fn chain(&self) -> &[Hash] {
        &self.chain
    }

    pub(crate) fn number_of(&self, block: &Hash) -> Option<u64> {
        self.number_of.get(block).copied()
    }

    pub(crate) fn electorate(&self, position: u64) -> Arc<Electorate> {
        self.electorates[position as usize].clone()
    }

    /// Executes a block; false when it is void. The error is the block that others have in this place.
    pub(crate) fn execute(&mut self, number: u64, block: &Cell) -> Result<bool, Hash> {
        let hash = block.hash();
        if let Some(other) = self.chain.get(number as usize) {
            return match *other == hash {
                true => Ok(self.counts[number as usize]),
                false => Err(*other),
            };
        }
        assert_eq!(number, self.len(), "blocks are executed in their order");
        let before = self.electorate(number);
        let mut after = before.clone();
        if let Cell::Signed(signed) = block
            && let Some(key) = signed.key()
            && let Ok(block) = check_block(&before, signed)
        {
            let voter = before.voter(key).expect("a peer that passed the check");
            let record = self.peers.get(&key_cell(key)).expect("in memory");
            let mut record = PeerStatus::from_cell(&record.expect("a voter")).expect("a peer");
            record.timestamp = voter.timestamp.max(block.timestamp);
            self.peers = place(
                std::mem::replace(&mut self.peers, Index::empty()),
                key,
                &record,
            );
            let time = before.time().max(block.timestamp);
            after = Arc::new(Electorate::new(time, &self.peers).expect("peers in memory"));
        }
        let counts = !Arc::ptr_eq(&before, &after);
        self.chain.push(hash);
        self.counts.push(counts);
        self.number_of.entry(hash).or_insert(number);
        self.electorates.push(after);
        Ok(counts)
    }
}

fn place(peers: Index, key: &AccountKey, peer: &PeerStatus) -> Index {
    let peers = peers.assoc(key_cell(key), peer.to_cell());
    peers.expect("an index in memory").expect("a key")
}
