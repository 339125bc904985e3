//! Memory that changes took, found without walking the state (`spec/04 §4.3`, `§4.5`).

use cells::{Cell, CellError};

use super::account::cell_ref_len;
use super::journal::{Before, Mark};
use super::size::{self, Shape, full_leaf, memory_size, own_memory};
use super::{Account, Globals, State};

/// Entries of the journal at which it is compacted.
const COMPACT_AT: usize = 1 << 16;

impl State {
    /// Memory size of the state record now, minus that at the mark, in bytes.
    ///
    /// # Errors
    /// When a value that changed can't be read.
    pub fn memory_since(&self, mark: Mark) -> Result<i64, CellError> {
        let before = self.journal.before(mark);
        let count_before = self.count - before.pushed;
        let tail_start = size::tail_start(count_before);
        let mut delta = 0i64;
        let mut tail_changed = before.pushed > 0;
        for (address, old) in &before.accounts {
            let new = self.existing(*address)?;
            delta += new.memory_since(old)?;
            if *address < tail_start {
                delta += new.ref_len() as i64 - old.ref_len() as i64;
            } else {
                tail_changed = true;
            }
        }
        let top_changed =
            before.peers.is_some() || before.schedule.is_some() || before.globals.is_some();
        if !tail_changed && !top_changed {
            return Ok(delta);
        }

        let shape_before = size::shape(
            count_before,
            self.tail_before(tail_start..count_before, &before)?,
        );
        let (shape_now, leaves) = self.shape_now(tail_start)?;
        delta += shape_now.memory as i64 - shape_before.memory as i64 + leaves as i64;
        for address in count_before..self.count {
            delta += self.existing(address)?.memory()?;
        }

        let (peers, schedule) = (
            Cell::from(self.peers.clone()),
            Cell::from(self.schedule.clone()),
        );
        let peers_before = before
            .peers
            .map_or_else(|| peers.clone(), |old| Cell::from(old.clone()));
        let schedule_before = before
            .schedule
            .map_or_else(|| schedule.clone(), |old| Cell::from(old.clone()));
        for (new, old) in [(&peers, &peers_before), (&schedule, &schedule_before)] {
            if !new.is_identical(old) {
                delta += memory_size(new)? - memory_size(old)?;
            }
        }
        let globals_before = before.globals.unwrap_or(self.globals);
        let record_before = record_len(
            shape_before,
            &peers_before,
            &globals_before,
            &schedule_before,
        );
        let record_now = record_len(shape_now, &peers, &self.globals, &schedule);
        Ok(delta + own_memory(record_now) as i64 - own_memory(record_before) as i64)
    }

    fn existing(&self, address: u64) -> Result<&Account, CellError> {
        self.account(address)?
            .ok_or(CellError::Malformed("address beyond the accounts"))
    }

    /// Bytes that the accounts of the partial leaf took in it at the time of `before`.
    fn tail_before(
        &self,
        tail: std::ops::Range<u64>,
        before: &Before<'_>,
    ) -> Result<u64, CellError> {
        let mut sum = 0;
        for address in tail {
            let old = before.accounts.iter().find(|(a, _)| *a == address);
            sum += match old {
                Some((_, old)) => old.ref_len(),
                None => self.existing(address)?.ref_len(),
            };
        }
        Ok(sum)
    }

    /// Nodes of the accounts vector now, and the memory of the full leaves from `start` on.
    fn shape_now(&self, start: u64) -> Result<(Shape, u64), CellError> {
        let (mut leaves, mut payload) = (0, 0);
        for address in start..self.count {
            payload += self.existing(address)?.ref_len();
            if size::tail_start(address + 1) == address + 1 {
                leaves += full_leaf(payload);
                payload = 0;
            }
        }
        Ok((size::shape(self.count, payload), leaves))
    }

    /// Drops what only marks since this one would need, when that is much.
    pub fn compact(&mut self, mark: Mark) {
        if self.journal.len_since(mark) > COMPACT_AT {
            self.journal.compact(mark);
        }
    }
}

/// Bytes of the state record.
fn record_len(accounts: Shape, peers: &Cell, globals: &Globals, schedule: &Cell) -> u64 {
    2 + accounts.ref_len + cell_ref_len(peers) + globals.ref_len() + cell_ref_len(schedule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::{Blob, Index, Map, Symbol, Vector};
    use proptest::prelude::*;

    use crate::state::PeerStatus;

    #[derive(Debug, Clone)]
    enum Step {
        Balance(u64, i64),
        Define(u64, u8, usize),
        Push(usize),
        Key(u64),
        Peer(u8, i64),
        Evict(u8),
        Schedule(i64, usize),
        Pool(i64),
        Nested(Vec<Step>, bool),
        Materialise,
    }

    fn step() -> impl Strategy<Value = Step> {
        let amount = prop_oneof![0..200i64, any::<i64>()];
        let leaf = prop_oneof![
            4 => (0..60u64, amount.clone()).prop_map(|(a, n)| Step::Balance(a, n)),
            4 => (0..60u64, 0..30u8, 0..200usize).prop_map(|(a, s, n)| Step::Define(a, s, n)),
            2 => (1..20usize).prop_map(Step::Push),
            1 => (0..60u64).prop_map(Step::Key),
            1 => (0..5u8, amount.clone()).prop_map(|(k, n)| Step::Peer(k, n)),
            1 => (0..5u8).prop_map(Step::Evict),
            1 => (0..9i64, 0..200usize).prop_map(|(t, n)| Step::Schedule(t, n)),
            1 => amount.prop_map(Step::Pool),
            1 => Just(Step::Materialise),
        ];
        leaf.prop_recursive(3, 20, 6, |inner| {
            (prop::collection::vec(inner, 0..6), any::<bool>())
                .prop_map(|(steps, keep)| Step::Nested(steps, keep))
        })
    }

    fn apply(state: &mut State, step: &Step) {
        let at = |state: &State, a: u64| a % state.account_count();
        match step {
            Step::Balance(a, n) => {
                let a = at(state, *a);
                state.account_mut(a).unwrap().unwrap().balance = *n;
            }
            Step::Define(a, s, n) => {
                let a = at(state, *a);
                let env = state.account_mut(a).unwrap().unwrap().environment_mut();
                let map = env.take().unwrap_or_else(Map::empty);
                let name = Cell::from(Symbol::new(format!("name{s}").as_bytes()).unwrap());
                *env = Some(match n {
                    0 => map.dissoc(&name).unwrap(),
                    n => map
                        .assoc(name, Cell::from(Blob::new(&vec![1; *n])))
                        .unwrap(),
                });
            }
            Step::Push(n) => {
                for _ in 0..*n {
                    state.push_account(Account::default());
                }
            }
            Step::Key(a) => {
                let a = at(state, *a);
                state
                    .account_mut(a)
                    .unwrap()
                    .unwrap()
                    .set_key(Some([3; 32]));
            }
            Step::Peer(k, n) => state.set_peer(&[*k; 32], &PeerStatus::new(1, *n)).unwrap(),
            Step::Evict(k) => state.remove_peer(&[*k; 32]).unwrap(),
            Step::Schedule(t, n) => state
                .schedule_op(*t, 1, Cell::from(Blob::new(&vec![1; *n])))
                .unwrap(),
            Step::Pool(n) => state.globals_mut().memory_coins = *n,
            Step::Nested(steps, keep) => {
                let mark = state.mark();
                for step in steps {
                    apply(state, step);
                }
                if !keep {
                    state.rollback(mark);
                }
            }
            Step::Materialise => drop(state.to_cell().unwrap()),
        }
    }

    fn fresh(accounts: u64) -> State {
        let accounts = Vector::from_iter((0..accounts).map(|_| Account::default().to_cell()));
        State::new(accounts, Index::empty(), Globals::default(), Index::empty())
    }

    /// The same cell built from its encodings, with nothing cached.
    fn walked(cell: &Cell) -> i64 {
        let message = cells::encode_message(cell).unwrap();
        cells::decode_message(&message, &cells::Decoder::new())
            .unwrap()
            .memory_size()
            .unwrap() as i64
    }

    proptest! {
        /// `spec/04 §4.5`: what the journal says equals the difference of two walks, whatever happened.
        #[test]
        fn incremental_memory_equals_the_difference_of_full_walks(
            accounts in 1..70u64,
            first in prop::collection::vec(step(), 0..10),
            second in prop::collection::vec(step(), 0..25),
            compact in any::<bool>(),
        ) {
            let mut state = fresh(accounts);
            for step in &first {
                apply(&mut state, step);
            }
            let before = state.to_cell().unwrap();
            let mark = state.mark();
            for step in &second {
                apply(&mut state, step);
            }
            if compact {
                state.journal.compact(mark);
            }
            let delta = state.memory_since(mark).unwrap();
            let after = state.to_cell().unwrap();
            prop_assert_eq!(delta, walked(&after) - walked(&before));

            state.rollback(mark);
            prop_assert_eq!(state.to_cell().unwrap(), before);
        }
    }
}
