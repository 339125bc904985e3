//! The orders of a belief, and which of them is replayed (`spec/05 §2.2`, `§2.3`).

use std::collections::BTreeMap;

use cells::{Cell, Record, RecordKind, Signed, Vector, Verdict};
use crypto::{AccountKey, KeyCache};

use super::{CONSENSUS, MOST, signatures};
use crate::failure::Failure;

/// An order that is well-formed and rightly signed.
pub(super) struct Order {
    pub(super) peer: AccountKey,
    /// Milliseconds since the epoch.
    pub(super) timestamp: i64,
    /// Block counts by level: all, proposed, in consensus, final.
    pub(super) points: [u64; 4],
    blocks: Vector,
}

/// All orders of a belief.
pub(super) struct Orders {
    good: BTreeMap<[u8; 32], Order>,
    /// Keys in hex with what is wrong.
    pub(super) bad: Vec<(String, String)>,
}

/// The order that is replayed, and why that one.
pub(super) struct Chosen<'a> {
    pub(super) order: &'a Order,
    pub(super) why: &'static str,
}

impl Orders {
    /// Reads a belief record and checks its orders.
    pub(super) fn read(belief: &Cell, seed: &[u8; 32]) -> Result<Self, Failure> {
        let unreadable = |why: &str| Failure::data(format!("the belief can't be used: {why}"));
        let Cell::Record(belief) = belief else {
            return Err(unreadable("it is no record"));
        };
        let Some(Cell::Index(index)) = belief.field(0).map_err(Failure::data)? else {
            return Err(unreadable("its orders are no Index"));
        };
        if index.count() > MOST {
            return Err(unreadable("it claims more orders than a file can hold"));
        }
        let mut orders = Self {
            good: BTreeMap::new(),
            bad: Vec::new(),
        };
        let mut entries = Vec::new();
        for entry in index.iter() {
            let (key, value) = entry.map_err(Failure::data)?;
            match value {
                Cell::Signed(signed) => entries.push((key, signed)),
                _ => orders
                    .bad
                    .push((key.to_string(), "it is not signed".to_owned())),
            }
        }
        let signed: Vec<Signed> = entries.iter().map(|(_, signed)| signed.clone()).collect();
        signatures::check(&signed, &KeyCache::new(signed.len().max(1)), seed);
        for (key, signed) in entries {
            match order(&key, &signed) {
                Ok(order) => {
                    orders.good.insert(order.peer.to_bytes(), order);
                }
                Err(why) => orders.bad.push((key.to_string(), why.to_owned())),
            }
        }
        if orders.good.is_empty() {
            let cause = match orders.bad.first() {
                Some((key, why)) => format!("the belief has no usable order; that of {key}: {why}"),
                None => "the belief has no orders".to_owned(),
            };
            return Err(
                Failure::data(cause).remedy("get the belief again, from a peer that you trust")
            );
        }
        Ok(orders)
    }

    /// Number of usable orders.
    pub(super) fn count(&self) -> usize {
        self.good.len()
    }

    /// The order of a peer (its key or the beginning of it), or the one that is furthest in consensus.
    pub(super) fn choose(&self, peer: Option<&str>) -> Result<Chosen<'_>, Failure> {
        let Some(peer) = peer else {
            let mut best: Option<&Order> = None;
            for order in self.good.values() {
                if best.is_none_or(|best| order.points[CONSENSUS] > best.points[CONSENSUS]) {
                    best = Some(order);
                }
            }
            return match best {
                Some(order) if self.good.len() == 1 => Ok(Chosen {
                    order,
                    why: "the only one",
                }),
                Some(order) => Ok(Chosen {
                    order,
                    why: "highest consensus point, then lowest key",
                }),
                None => Err(Failure::data("the belief has no orders")),
            };
        };
        let wanted = peer.strip_prefix("0x").unwrap_or(peer).to_ascii_lowercase();
        if wanted.is_empty() || wanted.len() > 64 || !wanted.bytes().all(|b| b.is_ascii_hexdigit())
        {
            return Err(Failure::usage(format!("`{peer}` is no peer key"))
                .remedy("a key is 64 hex digits; the first few are enough where they are unique"));
        }
        let mut found = self
            .good
            .values()
            .filter(|order| order.peer.to_string().starts_with(&wanted));
        match (found.next(), found.next()) {
            (Some(order), None) => Ok(Chosen {
                order,
                why: "asked for",
            }),
            (Some(_), Some(_)) => Err(Failure::usage(format!(
                "several peers have a key that begins with {wanted}"
            ))
            .remedy("give more of the key")),
            (None, _) => Err(self.absent(&wanted)),
        }
    }

    fn absent(&self, wanted: &str) -> Failure {
        let bad = self
            .bad
            .iter()
            .find(|(key, _)| key.trim_start_matches("0x").starts_with(wanted));
        if let Some((key, why)) = bad {
            return Failure::data(format!("the order of {key} can't be used: {why}"));
        }
        let known: Vec<_> = self
            .good
            .values()
            .take(10)
            .map(|order| order.peer.to_string())
            .collect();
        let more = if self.good.len() > known.len() {
            ", …"
        } else {
            ""
        };
        Failure::usage(format!("the belief has no order of a peer {wanted}"))
            .remedy(format!("it has those of {}{more}", known.join(", ")))
    }
}

impl Order {
    /// Its first `count` blocks.
    pub(super) fn blocks(&self, count: u64) -> Result<Vec<Signed>, Failure> {
        let mut blocks = Vec::new();
        for (number, element) in (0..count).zip(self.blocks.iter()) {
            match element.map_err(Failure::data)? {
                Cell::Signed(signed) => blocks.push(signed),
                _ => {
                    return Err(Failure::data(format!(
                        "element {number} of the order of {} is no signed block",
                        self.peer
                    )));
                }
            }
        }
        Ok(blocks)
    }
}

/// The order in an entry of a belief, or what is wrong with it.
fn order(key: &Cell, signed: &Signed) -> Result<Order, &'static str> {
    const UNREADABLE: &str = "it can't be read";
    let Cell::Blob(key) = key else {
        return Err("its key is no blob");
    };
    let peer = AccountKey::new(*key.as_key().ok_or("its key is not 32 bytes long")?);
    if signed.key() != Some(&peer) {
        return Err("another key has signed it");
    }
    if signed.verdict() != Verdict::Good {
        return Err("its signature is wrong");
    }
    let value = signed.value().map_err(|_| UNREADABLE)?;
    let record: &Record = match &value {
        Cell::Record(record) if record.kind() == Some(RecordKind::Order) => record,
        _ => return Err("it is no order"),
    };
    let field = |i| record.field(i).ok().flatten();
    let (Some(Cell::Long(timestamp)), Some(Cell::Vector(points)), Some(Cell::Vector(blocks))) =
        (field(0), field(1), field(2))
    else {
        return Err("its fields are of the wrong types");
    };
    if points.count() != 4 {
        return Err("it does not have four consensus points");
    }
    let mut counts = [0; 4];
    let mut above = blocks.count();
    for (count, point) in counts.iter_mut().zip(points.iter()) {
        let Ok(Cell::Long(point)) = point else {
            return Err(UNREADABLE);
        };
        *count = u64::try_from(point)
            .ok()
            .filter(|&point| point <= above)
            .ok_or("its consensus points do not descend from the number of its blocks")?;
        above = *count;
    }
    if blocks.count() > MOST {
        return Err("it claims more blocks than a file can hold");
    }
    if counts[0] != blocks.count() {
        return Err("its first consensus point is not the number of its blocks");
    }
    Ok(Order {
        peer,
        timestamp,
        points: counts,
        blocks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::{Blob, Index};
    use crypto::SigningKey;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_seed(&[n; 32])
    }

    fn order_cell(points: &[i64], blocks: i64) -> Cell {
        let fields = [
            Cell::Long(1),
            Cell::from(points.iter().copied().map(Cell::Long).collect::<Vector>()),
            Cell::from((0..blocks).map(Cell::Long).collect::<Vector>()),
        ];
        Cell::from(Record::of_kind(RecordKind::Order, fields))
    }

    fn belief(entries: &[(u8, Cell)]) -> Cell {
        let mut index = Index::empty();
        for (signer, order) in entries {
            let signed = Signed::sign(&key(*signer), order.clone());
            let key = Cell::from(Blob::new(key(*signer).account_key().as_bytes()));
            index = index.assoc(key, Cell::from(signed)).unwrap().unwrap();
        }
        Cell::from(Record::of_kind(RecordKind::Belief, [Cell::from(index)]))
    }

    fn chosen(belief: &Cell, peer: Option<&str>) -> Result<(AccountKey, [u64; 4]), Failure> {
        let orders = Orders::read(belief, &[0; 32])?;
        let chosen = orders.choose(peer)?;
        Ok((chosen.order.peer, chosen.order.points))
    }

    #[test]
    fn the_highest_consensus_point_wins_and_the_lowest_key_among_equals() {
        let belief = belief(&[
            (1, order_cell(&[9, 9, 3, 3], 9)),
            (2, order_cell(&[5, 5, 5, 0], 5)),
            (3, order_cell(&[7, 6, 5, 1], 7)),
        ]);
        let lowest = key(2).account_key().min(key(3).account_key());
        assert_eq!(chosen(&belief, None).unwrap().0, lowest);
        let name = key(1).account_key().to_string();
        assert_eq!(chosen(&belief, Some(&name)).unwrap().1, [9, 9, 3, 3]);
        assert_eq!(
            chosen(&belief, Some(&name[..12].to_uppercase())).unwrap().1,
            [9, 9, 3, 3]
        );
    }

    #[test]
    fn a_peer_that_is_not_there_is_answered_with_those_that_are() {
        let belief = belief(&[(1, order_cell(&[0, 0, 0, 0], 0))]);
        let failure = chosen(&belief, Some("00ff00ff")).unwrap_err();
        assert!(
            failure
                .remedy
                .unwrap()
                .contains(&key(1).account_key().to_string())
        );
        assert!(
            chosen(&belief, Some("xyz"))
                .unwrap_err()
                .cause
                .contains("no peer key")
        );
    }

    #[test]
    fn malformed_orders_are_refused_with_the_reason() {
        for (points, blocks, why) in [
            (&[1, 1, 1][..], 1, "four consensus points"),
            (&[1, 1, 1, 1, 1], 1, "four consensus points"),
            (&[2, 1, 1, 1], 1, "do not descend"),
            (&[2, 1, 2, 1], 2, "do not descend"),
            (&[1, 1, 1, -1], 1, "do not descend"),
            (&[1, 1, 1, 1], 2, "not the number of its blocks"),
        ] {
            let failure = chosen(&belief(&[(1, order_cell(points, blocks))]), None).unwrap_err();
            assert!(failure.cause.contains(why), "{points:?}: {}", failure.cause);
        }
    }

    #[test]
    fn an_order_under_the_key_of_another_peer_is_refused() {
        let signed = Signed::sign(&key(1), order_cell(&[0, 0, 0, 0], 0));
        let other = Cell::from(Blob::new(key(2).account_key().as_bytes()));
        let index = Index::empty()
            .assoc(other, Cell::from(signed))
            .unwrap()
            .unwrap();
        let belief = Cell::from(Record::of_kind(RecordKind::Belief, [Cell::from(index)]));
        let failure = chosen(&belief, None).unwrap_err();
        assert!(
            failure.cause.contains("another key has signed it"),
            "{}",
            failure.cause
        );
    }
}
