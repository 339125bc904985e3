//! What each type of transaction does (`spec/04 §3.3`–`§3.5`).

use cells::{Cell, Symbol, Vector};
use crypto::AccountKey;

use super::{Failure, Stop};
use crate::context::{Context, Machine, Start};
use crate::exit::{Code, Exit, Outcome};
use crate::state::{Kind, MAX_COINS, State};

/// Juice of a transfer.
const TRANSFER: u64 = 200;

/// Runs transactions on a state.
pub(super) struct Execution<'a> {
    pub(super) machine: &'a mut Machine,
    pub(super) state: &'a mut State,
}

/// How a transaction begins: a [`Start`] that has not been made yet, since a plain transfer needs none.
pub(super) struct Beginning<'a> {
    pub(super) origin: u64,
    pub(super) limit: u64,
    /// Number of the block, and of the transaction in it.
    pub(super) location: (i64, i64),
    pub(super) signer: Option<&'a AccountKey>,
    pub(super) peer: Option<&'a Cell>,
}

impl Beginning<'_> {
    fn start(&self) -> Start {
        Start {
            origin: self.origin,
            limit: self.limit,
            location: self.location,
            signer: self.signer.map(|key| *key.as_bytes()),
            peer: self.peer.cloned(),
        }
    }
}

/// How a transaction ended. The effects of a failed one may still be in the state.
pub(super) struct Executed {
    pub(super) outcome: Result<Cell, Failure>,
    /// Juice used.
    pub(super) juice: u64,
    pub(super) log: Vec<Cell>,
}

impl Executed {
    pub(super) fn failed(failure: Failure, juice: u64) -> Self {
        Self {
            outcome: Err(failure),
            juice,
            log: Vec::new(),
        }
    }
}

impl Execution<'_> {
    /// Runs a transaction of any type.
    pub(super) fn run(&mut self, kind: Kind, start: &Beginning<'_>) -> Result<Executed, Stop> {
        match kind {
            Kind::Multi { mode, transactions } => self.multi(start.origin, mode, &transactions),
            simple => self.run_simple(simple, start),
        }
    }

    /// Runs a transaction that contains no others.
    pub(super) fn run_simple(
        &mut self,
        kind: Kind,
        start: &Beginning<'_>,
    ) -> Result<Executed, Stop> {
        match kind {
            Kind::Invoke { command } => {
                let mut context = Context::new(self.machine, self.state, start.start());
                let outcome = context.run(&command);
                finish(context, outcome)
            }
            Kind::Transfer { target, amount } => self.transfer(&target, amount, start),
            // A Call that was decoded has lost its arguments in the reference, and every Call on the network was
            // decoded (`spec/04 §3.5`).
            Kind::Call { .. } => Err(Stop::void("call transactions can't be executed")),
            Kind::Multi { .. } => Err(Stop::void("multi transaction in place of a simple one")),
        }
    }

    /// `spec/04 §3.4`.
    fn transfer(
        &mut self,
        target: &Cell,
        amount: i64,
        start: &Beginning<'_>,
    ) -> Result<Executed, Stop> {
        let origin = start.origin;
        if start.limit < TRANSFER {
            return Ok(Executed::failed(Failure::Juice, start.limit));
        }
        let fail = |code: Code, message: String| {
            let failure = Failure::Error {
                code: code.cell(),
                message: Cell::from(message.as_str()),
                trace: Vector::empty(),
                address: Some(origin),
            };
            Ok(Executed::failed(failure, TRANSFER))
        };
        if amount < 0 {
            return fail(
                Code::Argument,
                "Can't transfer a negative amount".to_owned(),
            );
        }
        if amount > MAX_COINS {
            return fail(
                Code::Argument,
                "Can't transfer an amount beyond maximum limit".to_owned(),
            );
        }
        let balance = self.balance(origin)?;
        if balance < amount {
            return fail(
                Code::Funds,
                format!("Insufficient funds in account [#{origin}] required={amount}"),
            );
        }
        let Cell::Address(target) = *target else {
            return Err(Stop::void("transfer to what is no address"));
        };
        let Some(account) = self.state.account(target)? else {
            return fail(
                Code::Nobody,
                format!("Target account for transfer #{target} does not exist"),
            );
        };
        if account.is_actor() && target != 0 {
            return self.transfer_to_actor(target, amount, start);
        }
        if amount != 0 && target != origin {
            self.add(origin, -amount)?;
            self.add(target, amount)?;
        }
        Ok(Executed {
            outcome: Ok(Cell::Long(amount)),
            juice: TRANSFER,
            log: Vec::new(),
        })
    }

    /// An actor decides itself what it accepts.
    fn transfer_to_actor(
        &mut self,
        target: u64,
        amount: i64,
        start: &Beginning<'_>,
    ) -> Result<Executed, Stop> {
        let origin = start.origin;
        let before = self.balance(origin)?;
        let mut context = Context::new(self.machine, self.state, start.start());
        let args = [Cell::Address(origin), Cell::Long(amount), Cell::Nil]
            .into_iter()
            .collect();
        let outcome = context.charge(TRANSFER).and_then(|()| {
            context.actor_call(
                &Cell::Address(target),
                amount,
                &Symbol::literal("receive-coin"),
                args,
            )
        });
        let mut executed = finish(context, outcome)?;
        if executed.outcome.is_ok() {
            executed.outcome = Ok(Cell::Long(before.wrapping_sub(self.balance(origin)?)));
        }
        Ok(executed)
    }

    pub(super) fn balance(&self, address: u64) -> Result<i64, Stop> {
        Ok(self
            .state
            .account(address)?
            .map_or(0, |account| account.balance))
    }

    fn add(&mut self, address: u64, amount: i64) -> Result<(), Stop> {
        if let Some(account) = self.state.account_mut(address)? {
            account.balance = account.balance.wrapping_add(amount);
        }
        Ok(())
    }
}

/// Takes from a context what outlives it.
fn finish(mut context: Context<'_>, outcome: Outcome) -> Result<Executed, Stop> {
    let juice = context.juice();
    let log = std::mem::take(&mut context.log);
    let outcome = match outcome {
        Ok(value) => Ok(value),
        Err(Exit::Error(error)) => Err(Failure::Error {
            trace: error.trace_cells(),
            code: error.code,
            message: error.message,
            address: error.address,
        }),
        Err(Exit::Juice) => Err(Failure::Juice),
        Err(Exit::Abort(abort)) => return Err((*abort).into()),
        // `run` and `actor_call` have turned the others into one of these.
        Err(other) => {
            return Err(Stop::fatal(format!(
                "control value at top level: {other:?}"
            )));
        }
    };
    Ok(Executed {
        outcome,
        juice,
        log,
    })
}
