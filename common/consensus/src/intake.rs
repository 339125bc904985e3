//! Intake: which orders of a message may enter the belief (`spec/05 §9.2`).
//!
//! Cheap tests come first, so that a stranger can't make us check signatures: who signed, whether that peer is staked, whether the
//! order is newer than what is held, whether it is well-formed. The caller then checks the signatures of what is left, many at once,
//! and stores the cells, before it accepts them. The tests for stake and time would be made by the merge too; made here, an order
//! from the future doesn't hide the one of today.

use std::cell::RefCell;

use cells::{Cell, CellError, Index, RecordKind, Signed};
use crypto::AccountKey;
use cvm::state::Block;

use crate::belief::{insert, key_cell};
use crate::changed::changed;
use crate::order::covers;
use crate::prefix::{Hashes, common_prefix, walk};
use crate::{Belief, BeliefFault, DropReason, Dropped, Electorate, MergeError, Order, OrderFault};

/// The belief being made from what comes in between two merges.
pub struct Intake<'a> {
    key: AccountKey,
    time: i64,
    electorate: &'a Electorate,
    mine: Order,
    orders: Index,
    changed: bool,
    /// Chains that were found to be in order, by the hash of the vector: most orders have one of a few.
    walked: RefCell<Hashes>,
    /// Orders that are not newer than what is held, and so never will be: most peers tell of them.
    old: RefCell<Hashes>,
}

/// A newer order that passed all tests but those of its signature and of the data below its blocks.
#[derive(Clone)]
pub struct Offer {
    key: AccountKey,
    signed: Signed,
    order: Order,
}

impl Offer {
    /// The peer that signed it, so it says.
    #[must_use]
    pub fn key(&self) -> &AccountKey {
        &self.key
    }

    /// What is to be verified and stored.
    #[must_use]
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// The order in it.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }
}

/// What a message has to offer.
#[derive(Clone, Default)]
pub struct Offers {
    /// In the order of the message.
    pub orders: Vec<Offer>,
    /// The others, with the reason. Own orders and those that are merely not newer are not listed.
    pub refused: Vec<Dropped>,
    /// Of the others, those of staked peers that can't be judged since a part is not there. Their signatures are not checked.
    pub incomplete: Vec<Signed>,
}

impl<'a> Intake<'a> {
    /// Begins with the own belief at a time in milliseconds since the epoch.
    ///
    /// # Errors
    /// When the own belief is malformed or has no own order.
    pub fn new(
        key: AccountKey,
        time: i64,
        electorate: &'a Electorate,
        own: &Belief,
    ) -> Result<Self, MergeError> {
        let mine = own
            .order(&key)
            .map_err(MergeError::OwnOrder)?
            .ok_or(MergeError::NoOwnOrder)?;
        Ok(Self::of_order(key, time, electorate, own, mine))
    }

    pub(crate) fn of_order(
        key: AccountKey,
        time: i64,
        electorate: &'a Electorate,
        own: &Belief,
        mine: Order,
    ) -> Self {
        Self {
            key,
            time,
            electorate,
            mine,
            orders: own.orders().clone(),
            changed: false,
            walked: RefCell::default(),
            old: RefCell::default(),
        }
    }

    /// What a message offers: a belief, or one signed order.
    ///
    /// # Errors
    /// When the store fails; everything else is a reason to refuse.
    pub fn offers(&self, message: &Cell) -> Result<Offers, MergeError> {
        let mut offers = Offers::default();
        match message {
            Cell::Signed(signed) => self.consider(&Cell::Signed(signed.clone()), &mut offers)?,
            Cell::Record(record) if record.kind() == Some(RecordKind::Belief) => {
                if let Err(fault) = self.consider_all(message, &mut offers)? {
                    offers.refused.push(unnamed(fault));
                }
            }
            _ => offers.refused.push(unnamed(OrderFault::NotAnOrder)),
        }
        Ok(offers)
    }

    fn consider_all(
        &self,
        message: &Cell,
        offers: &mut Offers,
    ) -> Result<Result<(), OrderFault>, MergeError> {
        let belief = match Belief::from_cell(message) {
            Ok(belief) => belief,
            Err(fault) => return belief_fault(fault).map(Err),
        };
        let (entries, end) = changed(&self.orders, belief.orders());
        for value in entries {
            // The signer decides, not the key that the sender put it under.
            match value.load() {
                Ok(value) => self.consider(&value, offers)?,
                Err(error) => offers.refused.push(unnamed(belief_fault(error.into())?)),
            }
        }
        end.map_or_else(|fault| belief_fault(fault).map(Err), |()| Ok(Ok(())))
    }

    /// What the belief has of a peer, if that is an order. In place of anything else whatever is newer is welcome.
    fn held(&self, key: &AccountKey) -> Result<Option<(Signed, Order)>, CellError> {
        let signed = match self.orders.get(&key_cell(key)) {
            Ok(Some(Cell::Signed(signed))) => signed,
            Err(error @ CellError::Store { .. }) => return Err(error),
            _ => return Ok(None),
        };
        match signed.value_ref().load().map(|v| Order::from_cell(&v)) {
            Ok(Ok(order)) => Ok(Some((signed, order))),
            Err(error @ CellError::Store { .. })
            | Ok(Err(OrderFault::Data(error @ CellError::Store { .. }))) => Err(error),
            _ => Ok(None),
        }
    }

    fn consider(&self, value: &Cell, offers: &mut Offers) -> Result<(), MergeError> {
        let Cell::Signed(signed) = value else {
            offers.refused.push(unnamed(OrderFault::NotAnOrder));
            return Ok(());
        };
        let Some(key) = signed.key().filter(|key| **key != self.key) else {
            return Ok(());
        };
        let hash = value.hash();
        if self.old.borrow().contains(&hash) {
            return Ok(());
        }
        match self.test(key, signed) {
            Ok(Some(order)) => offers.orders.push(Offer {
                key: *key,
                signed: signed.clone(),
                order,
            }),
            Ok(None) => {
                self.old.borrow_mut().insert(hash);
            }
            Err(DropReason::Fault(OrderFault::Data(error @ CellError::Store { .. }))) => {
                return Err(MergeError::Data(error));
            }
            Err(reason) => {
                if let DropReason::Fault(OrderFault::Data(CellError::Missing(_))) = reason {
                    offers.incomplete.push(signed.clone());
                }
                offers.refused.push(Dropped {
                    key: Some(*key),
                    held: false,
                    reason,
                });
            }
        }
        Ok(())
    }

    /// The order when it is newer.
    fn test(&self, key: &AccountKey, signed: &Signed) -> Result<Option<Order>, DropReason> {
        match self.electorate.voter(key) {
            None => return Err(DropReason::Unregistered),
            Some(peer) if !peer.is_staked() => return Err(DropReason::Understaked),
            Some(_) => {}
        }
        let held = self
            .held(key)
            .map_err(|error| DropReason::Fault(error.into()))?;
        if held.as_ref().is_some_and(|(held, _)| {
            held.signature() == signed.signature()
                && held.value_ref().hash() == signed.value_ref().hash()
        }) {
            return Ok(None);
        }
        let order = read(signed).map_err(DropReason::Fault)?;
        if order.timestamp > self.time {
            return Err(DropReason::Future(order.timestamp));
        }
        if let Some((_, held)) = held
            && !order.replaces(&held).map_err(DropReason::Fault)?
        {
            return Ok(None);
        }
        if signed.verdict() == cells::Verdict::Bad {
            return Err(DropReason::BadSignature);
        }
        self.walk_chain(&order).map_err(DropReason::Fault)?;
        Ok(Some(order))
    }

    /// Every new block is there and can be executed, and no part of the chain repeats. A chain in conflict with what is in consensus is
    /// not read.
    fn walk_chain(&self, order: &Order) -> Result<(), OrderFault> {
        let hash = Cell::from(order.blocks.clone()).hash();
        if self.walked.borrow().contains(&hash) {
            return Ok(());
        }
        let common = common_prefix(&self.mine.blocks, &order.blocks)?;
        // The merge will leave it aside; nobody is to make us read all that was ever executed.
        if !covers(common, self.mine.point(2)) {
            return Ok(());
        }
        let repeated = walk(
            &order.blocks,
            common,
            &mut Hashes::default(),
            &mut |block| match &*block.load()? {
                Cell::Signed(signed) => check_form(signed),
                _ => Err(OrderFault::NotABlock),
            },
        )?;
        if repeated {
            return Err(OrderFault::Repeated);
        }
        self.walked.borrow_mut().insert(hash);
        Ok(())
    }

    /// Takes an order whose signature was found to be right. False when the signature wasn't, or a newer order of the
    /// same peer was taken meanwhile.
    ///
    /// # Errors
    /// When a node of the own belief can't be read. Then nothing of this intake is left.
    pub fn accept(&mut self, offer: Offer) -> Result<bool, CellError> {
        let Offer { key, signed, order } = offer;
        if signed.verdict() != cells::Verdict::Good {
            return Ok(false);
        }
        if let Some((_, held)) = self.held(&key)?
            && !order.replaces(&held).unwrap_or(false)
        {
            return Ok(false);
        }
        // Alone it is changed in place.
        let orders = std::mem::replace(&mut self.orders, Index::empty());
        self.changed = false;
        self.orders = insert(orders, &key, signed)?;
        self.changed = true;
        Ok(true)
    }

    /// The belief for the merge, when anything was accepted.
    #[must_use]
    pub fn finish(self) -> Option<Belief> {
        self.changed.then(|| Belief::new(self.orders))
    }
}

fn read(signed: &Signed) -> Result<Order, OrderFault> {
    let order = Order::from_cell(&*signed.value_ref().load()?)?;
    order.check()?;
    Ok(order)
}

/// A block that is void has results all the same; one that is none ends whoever executes it.
fn check_form(signed: &Signed) -> Result<(), OrderFault> {
    match Block::from_cell(&*signed.value_ref().load()?) {
        Ok(_) => Ok(()),
        Err(CellError::Malformed(_)) => Err(OrderFault::NotABlock),
        Err(error) => Err(error.into()),
    }
}

fn unnamed(fault: OrderFault) -> Dropped {
    Dropped {
        key: None,
        held: false,
        reason: DropReason::Fault(fault),
    }
}

fn belief_fault(fault: BeliefFault) -> Result<OrderFault, MergeError> {
    match fault {
        BeliefFault::Data(error @ CellError::Store { .. }) => Err(MergeError::Data(error)),
        BeliefFault::Data(error) => Ok(OrderFault::Data(error)),
        BeliefFault::NotABelief | BeliefFault::Unordered => Ok(OrderFault::NotAnOrder),
    }
}
