//! Authorising: whether a request of the right shape may be signed now.

use cells::{Cell, Hash, Signed};
use crypto::{AccountKey, Signature};

use crate::order::Edge;
use crate::{AHEAD, Kind, OrderRequest, Refusal, Request, challenge};

/// Who signs, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Key of the peer.
    pub key: AccountKey,
    /// Hash of the genesis state, the name of the network.
    pub network: Hash,
}

/// What has been signed, as far as later signatures depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Only later times may be signed.
    pub(crate) floor: i64,
    pub(crate) order: Option<LastOrder>,
    pub(crate) block_time: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastOrder {
    time: i64,
    points: [u64; 4],
    hash: Hash,
    edge: Edge,
}

impl Memory {
    /// Of a run that has signed nothing and may sign times above `floor`.
    #[must_use]
    pub fn new(floor: i64) -> Self {
        Self {
            floor,
            order: None,
            block_time: None,
        }
    }

    /// With what was approved, once it is signed.
    pub fn signed(&mut self, approval: &Approval) {
        match &approval.effect {
            Effect::None => {}
            Effect::Order(last) => self.order = Some((**last).clone()),
            Effect::Block(time) => self.block_time = Some(*time),
        }
    }
}

/// Leave to sign one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    kind: Kind,
    value: Cell,
    effect: Effect,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Effect {
    None,
    // An edge is large beside the rest.
    Order(Box<LastOrder>),
    Block(i64),
}

impl Approval {
    /// What is signed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The value that is signed. For challenges and answers this is news to the one who asked.
    #[must_use]
    pub fn value(&self) -> &Cell {
        &self.value
    }

    /// The time that the signature binds this key to, for orders and blocks.
    #[must_use]
    pub fn time(&self) -> Option<i64> {
        match &self.effect {
            Effect::None => None,
            Effect::Order(last) => Some(last.time),
            Effect::Block(time) => Some(*time),
        }
    }

    /// The bytes to sign: the value in ref form (`spec/01 §11.1`).
    #[must_use]
    pub fn message(&self, key: &AccountKey) -> Vec<u8> {
        let nobody = Signature::new([0; Signature::LENGTH]);
        Signed::new(*key, nobody, self.value.clone()).message()
    }
}

/// Decides whether `request` may be signed at `now` (milliseconds since the epoch) by `identity`, which has signed what `memory`
/// says. `token` are 32 bytes that the signer drew for this request; only challenges use them.
///
/// # Errors
/// The first rule that is broken.
pub fn authorise(
    request: &Request,
    identity: &Identity,
    memory: &Memory,
    token: [u8; 32],
    now: i64,
) -> Result<Approval, Refusal> {
    match request {
        Request::Order(order) => {
            check_time(order.timestamp(), memory, now)?;
            check_order(order, memory)?;
            let last = LastOrder {
                time: order.timestamp(),
                points: *order.points(),
                hash: order.value().hash(),
                edge: order.edge().clone(),
            };
            Ok(Approval {
                kind: Kind::Order,
                value: order.value().clone(),
                effect: Effect::Order(Box::new(last)),
            })
        }
        Request::Block(block) => {
            let time = block.timestamp();
            check_time(time, memory, now)?;
            if memory.block_time.is_some_and(|last| time < last) {
                return Err(Refusal::BlockBeforeLast);
            }
            Ok(Approval {
                kind: Kind::Block,
                value: block.value().clone(),
                effect: Effect::Block(time),
            })
        }
        Request::Challenge { target } => Ok(Approval {
            kind: Kind::Challenge,
            value: challenge::challenge(&Hash(token), target.as_ref(), &identity.network),
            effect: Effect::None,
        }),
        Request::Answer(received) => {
            if received.target().is_some_and(|key| *key != identity.key) {
                return Err(Refusal::WrongTarget);
            }
            if received.network().is_some_and(|n| *n != identity.network) {
                return Err(Refusal::WrongNetwork);
            }
            if !received.is_genuine() {
                return Err(Refusal::ChallengeSignature);
            }
            Ok(Approval {
                kind: Kind::Answer,
                value: received.answer(),
                effect: Effect::None,
            })
        }
    }
}

fn check_time(time: i64, memory: &Memory, now: i64) -> Result<(), Refusal> {
    if time > now.saturating_add(AHEAD) {
        return Err(Refusal::FromTheFuture);
    }
    if time <= memory.floor {
        return Err(Refusal::UnderCeiling);
    }
    Ok(())
}

fn check_order(order: &OrderRequest, memory: &Memory) -> Result<(), Refusal> {
    let Some(last) = &memory.order else {
        return Ok(());
    };
    if order.timestamp() > last.time {
        return Ok(());
    }
    if order.timestamp() < last.time {
        return Err(Refusal::OrderNotLater);
    }
    // The same order again, perhaps because the answer was lost, has the same signature.
    if order.value().hash() == last.hash {
        return Ok(());
    }
    if order.points()[1..] == last.points[1..] && order.appends_to(&last.edge)? {
        Ok(())
    } else {
        Err(Refusal::NotAnAppend)
    }
}
