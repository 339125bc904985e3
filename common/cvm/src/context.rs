//! The context in which code runs (`spec/02 §9`): state, juice, frame, and the rules for leaving a frame.

use cells::{Cell, CellError, Symbol};
use smallvec::SmallVec;

use crate::core_cache::CoreCache;
use crate::exit::{Code, ErrorValue, Exit, Outcome, Trace};
use crate::juice;
use crate::locals::{Locals, Scope};
use crate::memo::{Memos, Recorder};
use crate::natives::Table;
use crate::op_cache::OpCache;
use crate::rules::Rules;
use crate::scopes::Scopes;
use crate::state::{Account, Mark, State};

/// Arguments of a call.
pub type Args = SmallVec<[Cell; 8]>;

/// Elements that an execution may copy or visit in all without paying for them, and that one function may copy so. Honest
/// code stays far below; what a few shared cells can claim to hold is far above, and the reference does not come to
/// an end with it.
const PATIENCE: u64 = 1 << 28;
const MAX_UNPAID_COPY: u64 = 1 << 22;

/// What stays from one execution to the next: the rules and the cache of prepared ops. One for each thread.
#[derive(Debug)]
pub struct Machine {
    rules: &'static Rules,
    pub(crate) cache: OpCache,
    pub(crate) memos: Memos,
    pub(crate) core: CoreCache,
    /// `*lang*`, the name of an account's own compiler.
    pub(crate) lang: Symbol,
}

impl Machine {
    /// A machine for these rules.
    #[must_use]
    pub fn new(rules: &'static Rules) -> Self {
        Self {
            rules,
            cache: OpCache::default(),
            memos: Memos::default(),
            core: CoreCache::default(),
            lang: Symbol::literal("*lang*"),
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &'static Rules {
        self.rules
    }

    /// Changes the rules from the next execution on. Prepared ops don't depend on them, compiled forms do.
    pub fn set_rules(&mut self, rules: &'static Rules) {
        if !std::ptr::eq(self.rules, rules) {
            self.memos = Memos::default();
        }
        self.rules = rules;
    }
}

/// How an execution begins.
#[derive(Debug, Clone)]
pub struct Start {
    /// Account that runs the code.
    pub origin: u64,
    /// Juice limit.
    pub limit: u64,
    /// Number of the block, and of the transaction in it.
    pub location: (i64, i64),
    /// Key that signed the transaction.
    pub signer: Option<[u8; 32]>,
    /// Key of the peer that made the block.
    pub peer: Option<Cell>,
}

/// The state of one execution.
pub struct Context<'a> {
    pub(crate) machine: &'a mut Machine,
    pub(crate) rules: &'static Rules,
    /// The core functions of the rules.
    pub(crate) natives: &'static Table,
    /// The global state. Balances change through [`Context::changing_coins`] only.
    pub state: &'a mut State,
    /// Account that sent the transaction.
    pub origin: u64,
    /// Account that executes.
    pub address: u64,
    /// Account that called, if any.
    pub caller: Option<u64>,
    /// Scope of the actor call, or nil.
    pub scope: Cell,
    /// Coins offered and not yet accepted, in coppers.
    pub offer: i64,
    /// Depth of execution, 0 at the top.
    pub depth: u32,
    /// The result register, `*result*`.
    pub result: Cell,
    /// Log entries so far.
    pub log: Vec<Cell>,
    /// Number of the block, and of the transaction in it.
    pub location: (i64, i64),
    /// Key that signed the transaction.
    pub signer: Option<[u8; 32]>,
    /// Key of the peer that made the block.
    pub peer: Option<Cell>,
    pub(crate) locals: Locals,
    pub(crate) scopes: Scopes,
    pub(crate) pending: Args,
    pub(crate) pending_target: Cell,
    /// Identity of the context object that the reference would be using: a successful `try` changes it.
    pub(crate) fork: u32,
    forks: u32,
    /// What an `unquote` under way falls back to (`spec/02 §4.7`, quirk).
    pub(crate) watch: Option<Box<Watch>>,
    /// The `&` vector that `reduce` hands to the next closure, and the one alive (`natives/views.rs`).
    pub(crate) view_next: Option<Cell>,
    pub(crate) view: Option<Cell>,
    /// What the compilation under way depends on, when that may be remembered.
    pub(crate) recorder: Option<Recorder>,
    juice: u64,
    limit: u64,
    /// What is left of the elements that may be visited without being paid for.
    pub patience: u64,
}

/// What is remembered of the first successful `try` inside an `unquote`.
pub(crate) struct Watch {
    pub(crate) fork: u32,
    pub(crate) before: Option<Before>,
}

/// The part of a context that a discarded `try` would put back.
pub(crate) struct Before {
    mark: Mark,
    juice: u64,
    limit: u64,
    log: usize,
    offer: i64,
}

/// The frame of a caller, to come back to (`spec/02 §10.3`).
pub(crate) struct Frame {
    address: u64,
    caller: Option<u64>,
    scope: Cell,
    offer: i64,
    depth: u32,
    limit: u64,
    locals: Scope,
    scopes: Scopes,
    fork: u32,
    watch: Option<Box<Watch>>,
    log: usize,
    mark: Mark,
    balance: i64,
}

/// The frame of a callee.
pub(crate) struct Entry {
    pub(crate) address: u64,
    pub(crate) caller: Option<u64>,
    pub(crate) scope: Cell,
    pub(crate) offer: i64,
    pub(crate) depth: u32,
}

impl<'a> Context<'a> {
    /// A context at depth 0 with no juice used.
    pub fn new(machine: &'a mut Machine, state: &'a mut State, start: Start) -> Self {
        let rules = machine.rules;
        Self {
            machine,
            rules,
            natives: rules.table(),
            state,
            origin: start.origin,
            address: start.origin,
            caller: None,
            scope: Cell::Nil,
            offer: 0,
            depth: 0,
            result: Cell::Nil,
            log: Vec::new(),
            location: start.location,
            signer: start.signer,
            peer: start.peer,
            locals: Locals::default(),
            scopes: Scopes::default(),
            pending: Args::new(),
            pending_target: Cell::Nil,
            fork: 0,
            forks: 0,
            watch: None,
            view_next: None,
            view: None,
            recorder: None,
            juice: 0,
            limit: start.limit,
            patience: PATIENCE,
        }
    }

    /// Runs a command at top level: an op as it is, any other form after expansion and compilation.
    ///
    /// The state keeps the effects when the outcome is a value and is as before otherwise. `halt`, `return` and
    /// `rollback` have become values.
    ///
    /// # Errors
    /// [`Exit::Error`], [`Exit::Juice`] or [`Exit::Abort`]; nothing else leaves here.
    pub fn run(&mut self, command: &Cell) -> Outcome {
        let entry = Entry {
            address: self.address,
            caller: self.caller,
            scope: self.scope.clone(),
            offer: self.offer,
            depth: self.depth,
        };
        let frame = self.enter(entry)?;
        let outcome = self.run_form(command);
        // A fork of the context: what is left of the offer is not handed back to anybody, it stays offered.
        self.offer = 0;
        self.leave(frame, outcome)
    }

    // ---- juice -----------------------------------------------------------------------------------------

    /// Juice used so far.
    #[must_use]
    pub fn juice(&self) -> u64 {
        self.juice
    }

    /// Replaces the juice used, as a multi transaction does (`spec/04 §3.6`).
    pub fn set_juice(&mut self, juice: u64) {
        self.juice = juice;
    }

    /// The juice limit now in force.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Replaces the limit.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Juice that is left.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.limit.saturating_sub(self.juice)
    }

    /// True when `n` more fits (`spec/02 §12.1`).
    fn fits(&self, n: u64) -> bool {
        self.juice
            .checked_add(n)
            .is_some_and(|total| total <= self.limit && total <= juice::MAX)
    }

    /// Uses `n` juice.
    ///
    /// # Errors
    /// [`Exit::Juice`] when it doesn't fit; all juice is used then.
    #[inline]
    pub fn charge(&mut self, n: u64) -> Outcome<()> {
        if self.fits(n) {
            self.juice += n;
            Ok(())
        } else {
            Err(self.out_of_juice())
        }
    }

    /// Checks that `n` would fit, without using it.
    ///
    /// # Errors
    /// As [`Context::charge`].
    #[inline]
    pub fn precheck(&mut self, n: u64) -> Outcome<()> {
        if self.fits(n) {
            Ok(())
        } else {
            Err(self.out_of_juice())
        }
    }

    /// Uses `n` juice for `value`.
    ///
    /// # Errors
    /// As [`Context::charge`].
    #[inline]
    pub fn done(&mut self, n: u64, value: impl Into<Cell>) -> Outcome {
        self.charge(n)?;
        Ok(value.into())
    }

    /// Uses `n` juice whatever the outcome; when it doesn't fit, that is the outcome.
    ///
    /// # Errors
    /// Those of `outcome`, or as [`Context::charge`].
    pub fn after<T>(&mut self, n: u64, outcome: Outcome<T>) -> Outcome<T> {
        if let Err(abort @ Exit::Abort(_)) = outcome {
            return Err(abort);
        }
        self.charge(n)?;
        outcome
    }

    /// Raises the limit and uses as much (`spec/03 §5.10`, `evict-peer`).
    pub fn charge_beyond(&mut self, n: u64) -> Outcome<()> {
        self.limit = self.limit.saturating_add(n).min(juice::MAX);
        self.charge(n)
    }

    /// Notes that `n` elements are about to be visited for which the juice of the function doesn't pay.
    ///
    /// # Errors
    /// A host fault when these are too many in all.
    #[inline]
    pub(crate) fn visit_unpaid(&mut self, n: u64) -> Outcome<()> {
        match self.patience.checked_sub(n) {
            Some(left) => {
                self.patience = left;
                Ok(())
            }
            None => Err(Exit::host_fault("more work than anybody pays for")),
        }
    }

    /// As [`Context::visit_unpaid`] for elements that are copied, and so need memory.
    ///
    /// # Errors
    /// A host fault when these are too many at once, or in all.
    pub(crate) fn copy_unpaid(&mut self, n: u64) -> Outcome<()> {
        if n > MAX_UNPAID_COPY {
            return Err(Exit::host_fault("more elements than anybody pays for"));
        }
        self.visit_unpaid(n)
    }

    fn out_of_juice(&mut self) -> Exit {
        self.juice = self.limit;
        Exit::Juice
    }

    // ---- errors ----------------------------------------------------------------------------------------

    /// An error that arises here.
    #[must_use]
    pub fn error(&self, code: Code, message: impl Into<Cell>) -> Exit {
        self.error_value(code.cell(), message.into())
    }

    /// An error with any code.
    #[must_use]
    pub fn error_value(&self, code: Cell, message: Cell) -> Exit {
        Exit::Error(Box::new(ErrorValue {
            code,
            message,
            address: Some(self.address),
            trace: Vec::new(),
        }))
    }

    /// The error that argument `i` (from 0) can't be used as a `wanted`.
    #[must_use]
    pub fn cast(&self, args: &[Cell], i: usize, wanted: &str) -> Exit {
        let kind = args.get(i).map_or("Nil", crate::value::type_name);
        let text = format!(
            "Can't convert argument at position {} (with type {kind}) to type {wanted}",
            i + 1
        );
        self.error(Code::Cast, text.as_str())
    }

    /// The error that execution is too deep.
    #[must_use]
    pub(crate) fn too_deep(&self) -> Exit {
        self.error(
            Code::Depth,
            format!("Invalid depth: {}", self.depth + 1).as_str(),
        )
    }

    // ---- state -----------------------------------------------------------------------------------------

    /// The account that executes.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn account(&self) -> Outcome<&Account> {
        self.state
            .account(self.address)?
            .ok_or_else(|| no_account(self.address))
    }

    /// The account that executes, to be changed.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn account_mut(&mut self) -> Outcome<&mut Account> {
        let address = self.address;
        self.state
            .account_mut(address)?
            .ok_or_else(|| no_account(address))
    }

    /// Balance of the origin, in coppers.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn origin_balance(&self) -> Result<i64, CellError> {
        Ok(self.state.account(self.origin)?.map_or(0, |a| a.balance))
    }

    /// Runs `change`, which may move coins, and lowers the juice limit when the origin has fewer afterwards.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn changing_coins<T>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Outcome<T>,
    ) -> Outcome<T> {
        let before = self.origin_balance()?;
        let outcome = change(self)?;
        self.lower_limit(before)?;
        Ok(outcome)
    }

    /// The limit rule (`spec/02 §12.2`): a lower balance of the origin than `before` lowers the juice limit.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn lower_limit(&mut self, before: i64) -> Outcome<()> {
        let now = self.origin_balance()?;
        if now < before {
            let price = self.state.globals().juice_price;
            let Some(affordable) = now.checked_div(price) else {
                return Err(Exit::host_fault("juice price of zero"));
            };
            let affordable = affordable
                .saturating_sub(juice::TRANSACTION_BASE as i64)
                .max(0);
            self.limit = self.limit.min(affordable as u64);
        }
        Ok(())
    }

    // ---- frames ----------------------------------------------------------------------------------------

    /// Begins a child context; the caller has to come back with [`Context::leave`].
    pub(crate) fn enter(&mut self, entry: Entry) -> Outcome<Frame> {
        let frame = Frame {
            address: std::mem::replace(&mut self.address, entry.address),
            caller: std::mem::replace(&mut self.caller, entry.caller),
            scope: std::mem::replace(&mut self.scope, entry.scope),
            offer: std::mem::replace(&mut self.offer, entry.offer),
            depth: std::mem::replace(&mut self.depth, entry.depth),
            limit: self.limit,
            locals: self.locals.scope(),
            scopes: std::mem::take(&mut self.scopes),
            fork: self.fork,
            watch: self.watch.take(),
            log: self.log.len(),
            mark: self.state.mark(),
            balance: self.origin_balance()?,
        };
        self.locals.enter();
        self.result = Cell::Nil;
        self.fork = self.new_fork();
        Ok(frame)
    }

    /// Ends a child context by the boundary rule (`spec/02 §10.3`).
    pub(crate) fn leave(&mut self, frame: Frame, outcome: Outcome) -> Outcome {
        let (outcome, keep) = match outcome {
            Ok(value) | Err(Exit::Halt(value) | Exit::Return(value)) => (Ok(value), true),
            Err(Exit::Rollback(value)) => (Ok(value), false),
            Err(exit @ (Exit::Error(_) | Exit::Juice)) => (Err(exit), false),
            Err(abort @ Exit::Abort(_)) => return Err(abort),
            Err(Exit::Recur) => (Err(stray("Unhandled Exception with Code::RECUR")), false),
            Err(Exit::Tailcall) => (Err(stray("Unhandled Exception with Code::TAILCALL")), false),
            Err(Exit::Reduced(_)) => (
                Err(stray("reduced used outside of a reduce operation")),
                false,
            ),
        };
        self.resume(frame, keep)?;
        outcome
    }

    /// Comes back to `frame`, with or without what happened since.
    pub(crate) fn resume(&mut self, frame: Frame, keep: bool) -> Outcome<()> {
        let unspent = std::mem::replace(&mut self.offer, frame.offer);
        self.address = frame.address;
        self.caller = frame.caller;
        self.scope = frame.scope;
        self.depth = frame.depth;
        self.limit = frame.limit;
        self.locals.restore(frame.locals);
        self.scopes = frame.scopes;
        self.fork = frame.fork;
        self.watch = frame.watch;
        if keep {
            if unspent > 0 {
                let account = self.account_mut()?;
                account.balance = account.balance.wrapping_add(unspent);
            }
            self.lower_limit(frame.balance)
        } else {
            self.state.rollback(frame.mark);
            self.log.truncate(frame.log);
            Ok(())
        }
    }

    pub(crate) fn new_fork(&mut self) -> u32 {
        self.forks = self.forks.wrapping_add(1);
        self.forks
    }

    /// What an `unquote` would come back to if a `try` began here and went well.
    pub(crate) fn before(&mut self) -> Before {
        Before {
            mark: self.state.mark(),
            juice: self.juice,
            limit: self.limit,
            log: self.log.len(),
            offer: self.offer,
        }
    }

    /// Comes back to the moment of [`Context::before`].
    pub(crate) fn go_back(&mut self, before: Before) {
        self.state.rollback(before.mark);
        self.juice = before.juice;
        self.limit = before.limit;
        self.log.truncate(before.log);
        self.offer = before.offer;
    }

    /// Adds what an error passes on its way out.
    pub(crate) fn traced<T>(outcome: Outcome<T>, trace: impl FnOnce() -> Trace) -> Outcome<T> {
        outcome.map_err(|mut exit| {
            if let Exit::Error(error) = &mut exit {
                error.trace.push(trace().noted());
            }
            exit
        })
    }
}

fn no_account(address: u64) -> Exit {
    Exit::host_fault(format!("account #{address} is missing"))
}

/// The error for a control value at a boundary: no address, no trace.
fn stray(message: &str) -> Exit {
    Exit::Error(Box::new(ErrorValue {
        code: Code::Exception.cell(),
        message: Cell::from(message),
        address: None,
        trace: Vec::new(),
    }))
}
