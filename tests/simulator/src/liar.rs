//! Peers that lie. They follow the network as anybody does, and show others something else.

use cells::{Cell, Signed, Vector};
use consensus::{Belief, Order, Peer};
use crypto::{AccountKey, Signature, SigningKey};
use cvm::state::Block;

use crate::config::{Malice, START};
use crate::garbage;
use crate::ledger::Ledger;
use crate::rng::Rng;
use crate::store::{Id, Store};
use crate::transaction;

/// Time between two blocks of a liar.
const FRESH: u64 = 1_000;
/// For how long a block is withheld.
const WITHHELD: u64 = 3_000;
/// Time between two values below a block without end.
const BIT: u64 = 100;

/// A liar's memory.
pub(crate) struct Liar {
    malice: Malice,
    made: u64,
    /// Blocks that it pushes: of an equivocator the two of which each half of the network sees one.
    blocks: Vec<Signed>,
    /// Cells that nobody gets until then.
    hidden: Vec<(Id, u64)>,
    /// Orders of those that nobody knows.
    crowd: Vec<(AccountKey, Signed)>,
}

/// What a liar does with what it knows.
pub(crate) struct Scene<'a> {
    pub(crate) now: u64,
    pub(crate) clock: i64,
    pub(crate) peer: &'a Peer,
    pub(crate) number: usize,
    pub(crate) signer: &'a SigningKey,
    pub(crate) keys: &'a [AccountKey],
    pub(crate) ledger: &'a Ledger,
    pub(crate) store: &'a Store,
}

impl Scene<'_> {
    fn block(&self, timestamp: i64, mark: u64) -> Signed {
        self.block_of(timestamp, Cell::from(transaction(self.signer, mark)))
    }

    fn block_of(&self, timestamp: i64, transaction: Cell) -> Signed {
        let transactions = Vector::from_iter([transaction]);
        let block = Block {
            timestamp,
            transactions,
        };
        Signed::sign(self.signer, block.to_cell())
    }

    /// The blocks that are not final yet.
    fn open(&self) -> Vec<Cell> {
        let order = self.peer.order();
        let all = order.blocks.iter_refs_from(order.point(3).max(0) as u64);
        all.map(|r| r.and_then(|r| r.get()).expect("an own block"))
            .collect()
    }

    fn settled(&self) -> Vector {
        let order = self.peer.order();
        let slice = order.blocks.slice(0, order.point(3).max(0) as u64);
        slice.expect("own blocks").expect("points within the chain")
    }
}

fn with(chain: Vector, more: impl IntoIterator<Item = Cell>) -> Vector {
    chain
        .concat(&more.into_iter().collect())
        .expect("own blocks")
}

/// An order that claims as much as it can.
fn boast(timestamp: i64, blocks: Vector) -> Order {
    let count = blocks.count() as i64;
    Order {
        timestamp,
        points: [count; 4].into(),
        blocks,
    }
}

impl Liar {
    pub(crate) fn new(malice: Malice) -> Self {
        Self {
            malice,
            made: 0,
            blocks: Vec::new(),
            hidden: Vec::new(),
            crowd: Vec::new(),
        }
    }

    /// Cells that it keeps from others.
    pub(crate) fn hidden(&self) -> Vec<Id> {
        self.hidden.iter().map(|(id, _)| *id).collect()
    }

    /// What it shows to one half of the network, and to the other.
    pub(crate) fn beliefs(&mut self, scene: &Scene<'_>, rng: &mut Rng) -> [Belief; 2] {
        self.renew(scene, rng);
        if self.malice == Malice::Malform {
            return same(self.malformed(scene, rng));
        }
        let orders = match self.malice {
            Malice::Equivocate => self.two_faces(scene),
            Malice::TimeTravel => same(self.travel(scene)),
            Malice::Withhold | Malice::Endless | Malice::FutureBlocks => {
                same(boast(scene.clock, self.pushed(scene)))
            }
            Malice::Forge | Malice::Crowd | Malice::Malform => same(Order {
                timestamp: scene.clock,
                ..scene.peer.order().clone()
            }),
        };
        let public = scene.peer.public_belief().expect("an own belief");
        orders.map(|order| {
            let own = Signed::sign(scene.signer, order.to_cell());
            let belief = public.clone().with_order(scene.peer.key(), own);
            let belief = belief.expect("an own belief");
            match self.malice {
                Malice::Forge => forge(scene, belief, rng),
                Malice::Crowd => self.crowd.iter().fold(belief, |belief, (key, order)| {
                    let belief = belief.with_order(key, order.clone());
                    belief.expect("an own belief")
                }),
                _ => belief,
            }
        })
    }

    /// New blocks now and then; old ones are forgotten when they are final.
    fn renew(&mut self, scene: &Scene<'_>, rng: &mut Rng) {
        self.hidden.retain(|(_, until)| *until > scene.now);
        let is_final = |b: &Signed| {
            let hash = Cell::from(b.clone()).hash();
            scene.ledger.number_of(&hash).is_some()
        };
        if self.made + FRESH > scene.now {
            return;
        }
        self.made = scene.now;
        let time = match self.malice {
            Malice::TimeTravel => START - 3_600_000,
            Malice::FutureBlocks => scene.clock + 3_600_000,
            _ => scene.clock,
        };
        let new = match self.malice {
            Malice::Equivocate => vec![scene.block(time, 1), scene.block(time, 2)],
            Malice::Forge | Malice::Malform => Vec::new(),
            Malice::Crowd => {
                self.crowd = garbage::crowd(scene.clock, rng);
                Vec::new()
            }
            Malice::Endless => vec![self.endless(scene, rng)],
            _ => vec![scene.block(time, scene.now)],
        };
        if self.malice == Malice::Withhold {
            self.blocks.retain(|b| !is_final(b));
            for block in &new {
                let id = scene.store.put(scene.number, &Cell::from(block.clone()));
                self.hidden.push((id, scene.now + WITHHELD));
            }
            self.blocks.extend(new);
        } else {
            self.blocks = new;
        }
    }

    /// A block below which there is always something missing.
    fn endless(&mut self, scene: &Scene<'_>, rng: &mut Rng) -> Signed {
        let deep = garbage::deep(rng);
        let block = deep.last().cloned().expect("a value");
        for (place, cell) in deep.iter().rev().enumerate() {
            let until = match place + 1 == deep.len() {
                true => u64::MAX,
                false => scene.now + BIT * place as u64,
            };
            let id = scene.store.put(scene.number, cell);
            self.hidden.push((id, until));
        }
        scene.block_of(scene.clock, block)
    }

    /// Something in place of an own order, and nil in place of another.
    fn malformed(&self, scene: &Scene<'_>, rng: &mut Rng) -> Belief {
        let poison = Signed::sign(scene.signer, Cell::Long(5));
        let chain = &scene.peer.order().blocks;
        let order = garbage::malformed(scene.clock, chain, poison, rng.next());
        let own = Signed::sign(scene.signer, order);
        let public = scene.peer.public_belief().expect("an own belief");
        let belief = public.with_order(scene.peer.key(), own);
        garbage::with_nil(&belief.expect("an own belief"), rng)
    }

    /// The followed chain with the own blocks that are not in it.
    fn pushed(&self, scene: &Scene<'_>) -> Vector {
        let open = scene.open();
        let new = self.blocks.iter().cloned().map(Cell::from);
        let new: Vec<Cell> = new
            .filter(|b| scene.ledger.number_of(&b.hash()).is_none() && !open.contains(b))
            .collect();
        with(scene.peer.order().blocks.clone(), new)
    }

    fn two_faces(&self, scene: &Scene<'_>) -> [Order; 2] {
        let [one, two] = self.blocks.as_slice() else {
            return same(scene.peer.order().clone());
        };
        let mut open = scene.open();
        open.retain(|block| {
            let hash = block.hash();
            [one, two]
                .iter()
                .all(|b| Cell::from((*b).clone()).hash() != hash)
        });
        let place = |b: &Signed| Cell::from(b.clone());
        let new = |b: &Signed| scene.ledger.number_of(&place(b).hash()).is_none();
        let forth = open.iter().cloned().chain(new(one).then(|| place(one)));
        let forth = with(scene.settled(), forth);
        open.reverse();
        let back = open.into_iter().chain(new(two).then(|| place(two)));
        let back = with(scene.settled(), back);
        [boast(scene.clock, forth), boast(scene.clock, back)]
    }

    fn travel(&self, scene: &Scene<'_>) -> Order {
        let chain = &scene.peer.order().blocks;
        match scene.now / 400 % 3 {
            0 => boast(scene.clock + 60_000, chain.clone()),
            1 => {
                let half = chain.slice(0, chain.count() / 2);
                boast(1, half.expect("own blocks").expect("a part"))
            }
            _ => boast(scene.clock, self.pushed(scene)),
        }
    }
}

fn same<T: Clone>(shown: T) -> [T; 2] {
    [shown.clone(), shown]
}

/// Orders of others that they never signed.
fn forge(scene: &Scene<'_>, mut belief: Belief, rng: &mut Rng) -> Belief {
    for _ in 0..3 {
        let victim = scene.keys[rng.below(scene.keys.len() as u64) as usize];
        if victim == *scene.peer.key() {
            continue;
        }
        let mut signature = [0; 64];
        signature[..8].copy_from_slice(&rng.next().to_be_bytes());
        let mut open = scene.open();
        open.reverse();
        let order = boast(scene.clock, with(scene.settled(), open));
        let forged = Signed::new(victim, Signature::new(signature), order.to_cell());
        belief = belief.with_order(&victim, forged).expect("an own belief");
    }
    belief
}
