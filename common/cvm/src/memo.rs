//! What small commands were prepared or compiled to, by the bytes of their encoding.
//!
//! The same short code is sent again and again, each time decoded anew. An embedded cell's encoding is at hand and
//! says all about it, so it serves as the key: no hash has to be computed. A key has two places in a table, so that
//! tables stay small and no choice of keys makes them slow. As with every cache, what is in them never shows in a
//! result.

use std::cell::Cell as StdCell;
use std::sync::Arc;

use cells::{Cell, MAX_EMBEDDED, Map, Symbol};

use crate::context::Context;
use crate::env::CORE;
use crate::exit::Outcome;
use crate::op::Op;
use crate::op_prepare;
use crate::state::Account;

/// Pairs of entries in each table.
const PAIRS: usize = 4096;

/// A table from short byte strings. Of two entries in the same place and a third that comes, the older one leaves.
#[derive(Debug)]
pub(crate) struct Table<V> {
    pairs: Vec<[Option<Box<Entry<V>>>; 2]>,
}

#[derive(Debug)]
struct Entry<V> {
    tag: u64,
    key: Box<[u8]>,
    value: V,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { pairs: Vec::new() }
    }
}

impl<V> Table<V> {
    /// Position of a key: a multiplicative mix of its words.
    fn place(tag: u64, key: &[u8]) -> usize {
        const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mix = tag.wrapping_mul(MIX) ^ key.len() as u64;
        let mut words = key.chunks_exact(8);
        for word in &mut words {
            let word = word
                .first_chunk::<8>()
                .map_or(0, |w| u64::from_le_bytes(*w));
            mix = (mix.rotate_left(23) ^ word).wrapping_mul(MIX);
        }
        for byte in words.remainder() {
            mix = (mix.rotate_left(23) ^ u64::from(*byte)).wrapping_mul(MIX);
        }
        (mix ^ mix >> 32) as usize % PAIRS
    }

    fn get(&self, tag: u64, key: &[u8]) -> Option<&V> {
        let pair = self.pairs.get(Self::place(tag, key))?;
        let entry = pair.iter().flatten().find(|entry| entry.is(tag, key))?;
        Some(&entry.value)
    }

    fn insert(&mut self, tag: u64, key: &[u8], value: V) {
        if self.pairs.is_empty() {
            self.pairs.resize_with(PAIRS, || [None, None]);
        }
        let [newer, older] = &mut self.pairs[Self::place(tag, key)];
        if !newer.as_ref().is_some_and(|entry| entry.is(tag, key)) {
            *older = newer.take();
        }
        let key = key.into();
        *newer = Some(Box::new(Entry { tag, key, value }));
    }
}

impl<V> Entry<V> {
    fn is(&self, tag: u64, key: &[u8]) -> bool {
        self.tag == tag && *self.key == *key
    }
}

/// Tables of a machine.
#[derive(Debug, Default)]
pub(crate) struct Memos {
    ops: Table<Op>,
    forms: Table<Compiled>,
}

/// A form that was compiled by the initial expander and compiler alone, for one account or for any.
#[derive(Debug, Clone)]
struct Compiled {
    /// Environment and metadata of the core account then.
    core: (Option<Map>, Option<Map>),
    /// Symbols that were looked up, and whether the account itself defined them, then without metadata.
    symbols: Arc<[(Symbol, bool)]>,
    /// Stamp of the account for which `symbols` were last found to be right.
    checked: StdCell<u64>,
    op: Op,
    /// The account whose address stands in the op wherever it looks up a symbol as the account itself.
    home: Option<u64>,
    juice: u64,
    /// Levels of execution that it took.
    levels: u32,
}

/// What a compilation under way has depended on. Gone when that is more than a [`Compiled`] can say.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    symbols: Vec<(Symbol, bool)>,
    /// Greatest depth.
    deepest: u32,
    /// True when the op looks up symbols in the account that it was compiled for.
    own: bool,
    /// True when an address stands in the op, or decided about it, for another reason, or where it can't be replaced.
    addressed: bool,
}

/// Tag of what was compiled for any account that defines the same of the symbols: no account has this address.
const ANY: u64 = u64::MAX;

/// Symbols that a compiled form may depend on.
const MAX_SYMBOLS: usize = 32;

impl Context<'_> {
    /// Prepares the op of a transaction or of `*lang*`.
    pub(crate) fn prepared_once(&mut self, cell: &Cell) -> Option<Op> {
        if cell.encoded_len() > MAX_EMBEDDED {
            return op_prepare::prepare(cell, &mut 0);
        }
        cell.with_encoding(|key| {
            let table = &mut self.machine.memos.ops;
            if let Some(op) = table.get(0, key) {
                return Some(op.clone());
            }
            let op = op_prepare::prepare(cell, &mut 0)?;
            // The same code sent again comes with numbers of its own.
            if !op.shows_object() {
                table.insert(0, key, op.clone());
            }
            Some(op)
        })
    }

    /// Compiles the form of a command, or remembers what that gave in the same circumstances.
    pub(crate) fn compile_command(&mut self, form: &Cell) -> Outcome<Op> {
        // A command in the middle of a compilation, as a macro can issue it, is not what that compilation depends on.
        self.note_other();
        let plain = self.address != CORE && form.encoded_len() <= MAX_EMBEDDED;
        if !plain || self.account()?.parent().is_some() {
            return self.front_end(form);
        }
        form.with_encoding(|key| {
            if let Some(compiled) = self.recall(self.address, key)? {
                let (op, juice) = (compiled.op.clone(), compiled.juice);
                self.charge(juice)?;
                return Ok(op);
            }
            if let Some(compiled) = self.recall(ANY, key)? {
                let (op, juice) = (compiled.op.clone(), compiled.juice);
                let op = match compiled.home {
                    Some(home) if home != self.address => {
                        let mut moved = compiled.clone();
                        moved.op = op.relocated(home, self.address);
                        let op = moved.op.clone();
                        let table = &mut self.machine.memos.forms;
                        table.insert(self.address, key, moved);
                        op
                    }
                    _ => op,
                };
                self.charge(juice)?;
                return Ok(op);
            }
            let before = self.juice();
            self.recorder = Some(Recorder::default());
            let outcome = self.front_end(form);
            let recorder = self.recorder.take();
            let op = outcome?;
            if let Some(recorder) = recorder
                && !op.shows_object()
            {
                let juice = self.juice() - before;
                self.remember_compiled(key, recorder, &op, juice)?;
            }
            Ok(op)
        })
    }

    /// What a form was compiled to, if nothing that decided it has changed and its juice is there.
    fn recall(&self, tag: u64, key: &[u8]) -> Outcome<Option<&Compiled>> {
        let Some(compiled) = self.machine.memos.forms.get(tag, key) else {
            return Ok(None);
        };
        let core = self.state.account(CORE)?;
        // The same maps, not only equal ones: that is what can be told at once.
        let same = is_same(&compiled.core.0, core.and_then(Account::environment))
            && is_same(&compiled.core.1, core.and_then(Account::metadata));
        let deep = self.depth + compiled.levels > self.rules.max_depth;
        if !same || deep || compiled.juice > self.available() {
            return Ok(None);
        }
        let account = self.account()?;
        if compiled.checked.get() != account.stamp() {
            for (symbol, defined) in &*compiled.symbols {
                if self.own_definition(account, symbol)? != Some(*defined) {
                    return Ok(None);
                }
            }
            compiled.checked.set(account.stamp());
        }
        Ok(Some(compiled))
    }

    /// Whether an account itself defines a symbol; `None` when it does so with metadata.
    fn own_definition(&self, account: &Account, symbol: &Symbol) -> Outcome<Option<bool>> {
        let Some(env) = account.environment() else {
            return Ok(Some(false));
        };
        if env.get_by_hash(symbol.hash())?.is_none() {
            return Ok(Some(false));
        }
        let Some(metadata) = account.metadata() else {
            return Ok(Some(true));
        };
        Ok(metadata
            .get_by_hash(symbol.hash())?
            .is_none()
            .then_some(true))
    }

    fn remember_compiled(
        &mut self,
        key: &[u8],
        recorder: Recorder,
        op: &Op,
        juice: u64,
    ) -> Outcome<()> {
        let core = self.state.account(CORE)?;
        let core = (
            core.and_then(Account::environment).cloned(),
            core.and_then(Account::metadata).cloned(),
        );
        let compiled = Compiled {
            core,
            symbols: recorder.symbols.into(),
            checked: StdCell::new(self.account()?.stamp()),
            op: op.clone(),
            home: recorder.own.then_some(self.address),
            juice,
            levels: recorder.deepest.saturating_sub(self.depth),
        };
        let table = &mut self.machine.memos.forms;
        if !recorder.addressed {
            table.insert(ANY, key, compiled.clone());
        }
        if recorder.addressed || recorder.own {
            table.insert(self.address, key, compiled);
        }
        Ok(())
    }

    /// Notes that a compilation under way looks a symbol up.
    pub(crate) fn note_symbol(&mut self, address: u64, symbol: &Symbol) -> Outcome<()> {
        if self.recorder.is_none() {
            return Ok(());
        }
        let own = if address == self.address {
            self.own_definition(self.account()?, symbol)?
        } else {
            None
        };
        let Some(recorder) = &mut self.recorder else {
            return Ok(());
        };
        match own {
            Some(defined) if recorder.symbols.len() < MAX_SYMBOLS => {
                if !recorder.symbols.iter().any(|(known, _)| known == symbol) {
                    recorder.symbols.push((symbol.clone(), defined));
                }
            }
            _ => self.recorder = None,
        }
        Ok(())
    }

    /// A look-up of a value, which no [`Compiled`] can depend on.
    pub(crate) fn noted_lookup(&mut self, address: u64, symbol: &Symbol) -> Outcome<Option<Cell>> {
        self.note_other();
        self.lookup(address, symbol)
    }

    /// Notes that a compilation under way depends on an address.
    pub(crate) fn note_address(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.addressed = true;
        }
    }

    /// Notes that a compilation under way makes a look-up of a symbol in `address`.
    pub(crate) fn note_own_lookup(&mut self, address: u64) {
        if let Some(recorder) = &mut self.recorder {
            recorder.own |= address == self.address;
        }
    }

    /// Notes that a compilation under way makes a function: its body has become a cell, addresses included.
    pub(crate) fn note_function(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.addressed |= recorder.own;
        }
    }

    /// Notes that a compilation under way goes `levels` deeper than now.
    #[inline]
    pub(crate) fn note_depth(&mut self, levels: u32) {
        if let Some(recorder) = &mut self.recorder {
            recorder.deepest = recorder.deepest.max(self.depth + levels);
        }
    }

    /// Notes that a compilation under way does something that is not remembered.
    pub(crate) fn note_other(&mut self) {
        self.recorder = None;
    }
}

/// True when both are the same map, or absent.
fn is_same(a: &Option<Map>, b: Option<&Map>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.is_identical(b),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::context::{Context, Machine, Start};
    use crate::exit::Exit;
    use crate::juice;
    use crate::rules::Rules;
    use crate::state::State;
    use crate::testing::{USER, small_state};

    struct Bench(Machine, State);

    impl Bench {
        fn new() -> Self {
            Self(Machine::new(Rules::latest()), small_state())
        }

        /// Runs a form as `origin`: printed value or code, and juice.
        fn run_as(&mut self, origin: u64, source: &str) -> (String, u64) {
            let form = crate::reader::read(source).unwrap();
            let start = Start {
                origin,
                limit: juice::TRANSACTION_LIMIT,
                location: (0, 0),
                signer: None,
                peer: None,
            };
            let mut ctx = Context::new(&mut self.0, &mut self.1, start);
            let value = match ctx.run(&form) {
                Ok(value) => value.to_string(),
                Err(Exit::Error(error)) => error.code.to_string(),
                Err(other) => format!("{other:?}"),
            };
            (value, ctx.juice())
        }

        fn run(&mut self, source: &str) -> (String, u64) {
            self.run_as(USER, source)
        }
    }

    #[test]
    fn a_form_that_is_compiled_again_costs_what_it_cost_at_first() {
        let mut bench = Bench::new();
        let first = bench.run("(+ 1 (count [1 2 3]))");
        assert_eq!(bench.run("(+ 1 (count [1 2 3]))"), first);
        assert_eq!(first.0, "4");
    }

    #[test]
    fn a_remembered_form_follows_the_definitions_that_it_uses() {
        let mut bench = Bench::new();
        assert_eq!(bench.run("(inc x)").0, ":UNDECLARED");
        bench.run("(def x 1)");
        assert_eq!(bench.run("(inc x)").0, "2");
        bench.run("(def x 5)");
        assert_eq!(bench.run("(inc x)").0, "6");
        bench.run("(def ^{:static true} x 7)");
        let made_static = bench.run("(inc x)");
        assert_eq!(made_static.0, "8");
        bench.run("(def inc dec)");
        assert_eq!(bench.run("(inc x)").0, "6");
        bench.run("(undef* 'inc)");
        assert_eq!(bench.run("(inc x)"), made_static);
        bench.run("(def ^{:expander true} inc (fn [x e] 99))");
        assert_eq!(bench.run("(inc x)").0, "99");
    }

    #[test]
    fn a_remembered_form_follows_the_core_account_and_the_parent() {
        let mut bench = Bench::new();
        assert_eq!(bench.run("(do later)").0, ":UNDECLARED");
        bench.run_as(crate::CORE, "(def later 1)");
        assert_eq!(bench.run("(do later)").0, "1");
        bench.run_as(12, "(def later 2)");
        assert_eq!(bench.run("(do later)").0, "1");
        bench.run("(set-parent #12)");
        assert_eq!(bench.run("(do later)").0, "2");
        bench.run("(set-parent nil)");
        assert_eq!(bench.run("(do later)").0, "1");
    }

    #[test]
    fn a_remembered_form_is_as_deep_as_it_was_at_first() {
        let outcome = |remembered: bool, levels: usize| {
            let mut bench = Bench::new();
            if remembered {
                assert_eq!(bench.run("(inc 1)").0, "2");
            }
            let nested = (0..levels).fold("(eval-as *address* '(inc 1))".to_owned(), |inner, _| {
                format!("(do 1 {inner})")
            });
            bench.run(&nested)
        };
        let ends: Vec<_> = (240..256)
            .map(|levels| {
                let first = outcome(false, levels);
                assert_eq!(outcome(true, levels), first, "{levels}");
                first.0
            })
            .collect();
        assert_eq!((&*ends[0], &*ends[15]), ("2", ":DEPTH"));
    }

    #[test]
    fn a_remembered_form_that_names_an_account_belongs_to_one_account() {
        let mut bench = Bench::new();
        assert_eq!(bench.run_as(12, "(lookup #12 b)").0, ":UNDECLARED");
        bench.run_as(12, "(def ^{:static true} b 1)");
        let elsewhere = bench.run_as(13, "(lookup #12 b)");
        assert_eq!(elsewhere.0, "1");
        assert_eq!(bench.run_as(12, "(lookup #12 b)"), elsewhere);
    }

    #[test]
    fn a_form_that_one_account_compiled_looks_up_in_another_what_that_one_defines() {
        let forms = [
            "(do mine)",
            "(do (fn [] mine))",
            "((fn [] mine))",
            "(let [a mine f (fn [x] (* x mine))] [a (f 2) *address*])",
            "(loop [a mine] (cond (< a 9) (recur (inc a)) mine))",
            "(do #12/mine)",
            "[mine #12/mine #13/mine]",
            "(do (def z (inc mine)) (* z 2))",
            "(def mine (inc mine))",
            "(set! mine (inc mine))",
            "(try (fail mine) mine)",
            "(query (def mine 8) mine)",
            "(quote mine)",
            "(mine)",
            "(fail mine)",
            "(nth [] mine)",
        ];
        let fresh = || {
            let mut bench = Bench::new();
            for (account, value) in [(12, 1), (13, 2)] {
                bench.run_as(account, &format!("(def mine {value})"));
            }
            bench
        };
        for form in forms {
            let mut used = fresh();
            for account in [12, 13, 12, 13] {
                // What the form does to definitions is to be seen by the next run, but not by the other account.
                let first = fresh().run_as(account, form);
                let mark = used.1.mark();
                assert_eq!(used.run_as(account, form), first, "{form} by #{account}");
                used.1.rollback(mark);
            }
        }
    }

    #[test]
    fn of_three_keys_in_one_place_the_oldest_leaves() {
        let place = Table::<u8>::place(0, b"a");
        let same: Vec<u64> = (1..)
            .filter(|&tag| Table::<u8>::place(tag, b"a") == place)
            .take(2)
            .collect();
        let mut table = Table::default();
        table.insert(0, b"a", 1);
        table.insert(same[0], b"a", 2);
        table.insert(same[0], b"a", 3);
        assert_eq!(
            (table.get(0, b"a"), table.get(same[0], b"a")),
            (Some(&1), Some(&3))
        );
        table.insert(same[1], b"a", 4);
        assert_eq!(table.get(0, b"a"), None);
        assert_eq!(
            (table.get(same[0], b"a"), table.get(same[1], b"a")),
            (Some(&3), Some(&4))
        );
    }

    #[test]
    fn what_an_account_s_own_compiler_returned_is_not_remembered() {
        let mut bench = Bench::new();
        bench.run("(def n 0)");
        bench.run("(def *lang* (fn [x] (do (def n (inc n)) (compile n))))");
        assert_eq!(bench.run("(do mine)").0, "1");
        assert_eq!(bench.run("(do mine)").0, "2");
    }

    #[test]
    fn a_form_that_one_account_compiled_means_the_same_to_a_new_one() {
        let mut bench = Bench::new();
        let first = bench.run("(deploy '(+ 1 2))").1;
        assert_eq!(bench.run("(+ 1 2)").0, "3");
        assert_eq!(bench.run("(deploy '(+ 1 2))").1, first);
        bench.run_as(12, "(def + -)");
        assert_eq!(bench.run_as(12, "(+ 1 2)").0, "-1");
        assert_eq!(bench.run_as(13, "(+ 1 2)").0, "3");
    }

    #[test]
    fn what_one_account_compiled_is_not_used_for_another() {
        let mut bench = Bench::new();
        bench.run("(def mine 1)");
        assert_eq!(bench.run("(do mine)").0, "1");
        assert_eq!(bench.run_as(12, "(do mine)").0, ":UNDECLARED");
        bench.run("(def *lang* (fn [x] (compile 42)))");
        assert_eq!(bench.run("(do mine)").0, "42");
    }

    #[test]
    fn a_remembered_form_still_needs_its_juice() {
        let mut bench = Bench::new();
        let (_, used) = bench.run("(+ 1 2)");
        let form = crate::reader::read("(+ 1 2)").unwrap();
        for limit in 0..=used {
            let start = Start {
                origin: USER,
                limit,
                location: (0, 0),
                signer: None,
                peer: None,
            };
            let mut ctx = Context::new(&mut bench.0, &mut bench.1, start);
            assert_eq!(ctx.run(&form).is_ok(), limit == used, "{limit}");
            assert_eq!(ctx.juice(), limit);
        }
    }
}
