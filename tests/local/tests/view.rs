//! What a peer of ours looks like to the others: through the client library of the reference, at a peer of each kind in one network.

use std::collections::HashMap;

use cells::{Cell, Decoder, Hash, Keyword, decode_message};
use consensus::Belief;
use crypto::AccountKey;
use cvm::state::{PeerStatus, State};
use local_networks::{Mixed, Theirs};
use serde_json::Value;
use wire::{Reply, Status};

/// What the library finds at one peer.
struct View {
    status: Status,
    belief: Belief,
}

fn cell(hex_text: &Value) -> Cell {
    let bytes = hex::decode(hex_text.as_str().expect("a text")).expect("hex");
    decode_message(&bytes, &Decoder::new()).expect("a cell")
}

/// A connection of the library to a peer.
struct Library<'a> {
    theirs: &'a mut Theirs,
    client: u64,
}

impl<'a> Library<'a> {
    fn connect(mixed: &'a mut Mixed, endpoint: &str) -> Self {
        let seed = mixed.network.seed(0).to_hex().to_string();
        let theirs = &mut mixed.theirs[0];
        theirs.ask("limit 16000000 1999");
        let client = theirs.ask(&format!("connect {endpoint} 11 {seed}"));
        assert_eq!(client["connected"], true);
        let client = client["client"].as_u64().expect("a number");
        Self { theirs, client }
    }

    fn call(&mut self, what: &str) -> Value {
        self.theirs.ask(&format!("call {} {what}", self.client))
    }

    fn status(&mut self) -> Status {
        let status = self.call("status");
        let Cell::Record(record) = cell(&status["result"]) else {
            panic!("no result: {status}");
        };
        let reply = Reply::read(&record).expect("a result");
        assert_eq!(reply.error, Cell::Nil);
        let Cell::Vector(fields) = &reply.value else {
            panic!("no vector: {status}");
        };
        assert_eq!(fields.count(), 9, "as many as the reference tells");
        Status::read(&reply.value).expect("a status")
    }

    fn acquire(&mut self, hash: Hash) -> Cell {
        cell(&self.call(&format!("acquire {hash}"))["mc"])
    }
}

fn view(mixed: &mut Mixed, endpoint: &str) -> View {
    let mut library = Library::connect(mixed, endpoint);
    let status = library.status();
    let belief = Belief::from_cell(&library.acquire(status.belief)).expect("a belief");
    View { status, belief }
}

fn url(peer: &PeerStatus) -> String {
    let metadata = peer.metadata.as_ref().expect("metadata");
    let url = metadata.get(&Cell::from(Keyword::literal("url")));
    url.expect("in memory").expect("a host").to_string()
}

#[test]
fn ours_is_a_peer_like_any_other_to_the_library_of_the_reference() {
    let Some(mut mixed) = Mixed::start(&[45], &[40]) else {
        return;
    };
    for (peer, tally) in mixed.round(40, |_, _| {}) {
        assert!(tally.is_clean(), "peer {peer}: {tally}");
    }
    let (blocks, _) = mixed.agree(1);
    assert_eq!(mixed.same_order(), blocks);
    let at_theirs = mixed.theirs[0].standing().expect("it runs");
    assert_eq!(at_theirs.connections, 1, "it found ours by the state");

    let endpoints = mixed.running();
    let keys: Vec<AccountKey> = (0..2)
        .map(|peer| {
            let key = mixed.network.seed(peer).signing_key().expect("a key");
            key.account_key()
        })
        .collect();
    let views: Vec<View> = endpoints
        .iter()
        .map(|(_, endpoint)| view(&mut mixed, endpoint))
        .collect();
    for (view, key) in views.iter().zip(&keys) {
        assert_eq!(view.status.peer, *key);
        assert_eq!(view.status.genesis, views[0].status.genesis);
        assert_eq!(view.status.state, views[0].status.state);
        assert_eq!(view.status.points, [blocks; 4], "nothing is under way");
        // In the belief of each stands a signed order of each, and both say the same.
        assert_eq!(view.belief.orders().count(), 2);
        for key in &keys {
            let signed = view.belief.signed_order(key).expect("in memory");
            assert!(signed.expect("an order").verify());
            let order = view.belief.order(key).expect("an order").expect("an order");
            assert_eq!(order.points[..], [blocks as i64; 4]);
            assert_eq!(order.blocks.count(), blocks);
        }
    }
    // Blocks of both kinds are in the chain.
    let order = views[1].belief.order(&keys[0]).expect("one").expect("one");
    let mut by_signer = HashMap::new();
    for block in order.blocks.iter() {
        let Ok(Cell::Signed(signed)) = block else {
            panic!("no signed block");
        };
        assert!(signed.verify());
        *by_signer.entry(*signed.key().expect("a key")).or_insert(0) += 1;
    }
    assert_eq!(by_signer.len(), 2, "{by_signer:?}");
    // The records of both, in the state that both have. (The reference does not give its own away by its hash.)
    let mut library = Library::connect(&mut mixed, &endpoints[0].1);
    let state = library.acquire(views[0].status.state);
    assert!(views.iter().all(|view| view.status.state == state.hash()));
    let state = State::from_cell(&state).expect("a state");
    for (peer, key) in keys.iter().enumerate() {
        let record = state.peer(key.as_bytes()).expect("in memory");
        let record = record.expect("a peer");
        let stake = [45, 40][peer] * 1_000_000_000_000;
        assert_eq!((record.stake, record.delegated_stake), (stake, 0));
        assert!(record.balance > stake, "fees of its blocks");
        assert!(record.timestamp > 0, "the time of its last block");
        assert_eq!(url(&record), format!("\"tcp://{}\"", endpoints[peer].1));
    }
}
