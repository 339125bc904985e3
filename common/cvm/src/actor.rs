//! Execution in other accounts: actor calls, deployment, evaluation as another account (`spec/02 §10.4, §10.5`).

use cells::{Cell, Symbol};

use crate::context::{Args, Context, Entry};
use crate::exit::{Code, Exit, Outcome, Trace};
use crate::juice;
use crate::names;
use crate::state::Account;

/// Address and scope of an actor call's target; `None` when it has not the shape of one.
#[must_use]
pub(crate) fn target_parts(target: &Cell) -> Option<(u64, Cell)> {
    match target {
        Cell::Address(address) => Some((*address, Cell::Nil)),
        Cell::Vector(pair) if pair.count() == 2 => match (pair.get(0), pair.get(1)) {
            (Ok(Some(Cell::Address(address))), Ok(Some(scope))) => Some((address, scope)),
            _ => None,
        },
        _ => None,
    }
}

impl Context<'_> {
    /// Calls the callable function `name` of `target` as an actor, with `offer` coppers offered.
    ///
    /// # Errors
    /// `CAST`, `NOBODY`, `FUNDS`, `ARGUMENT` and `STATE` before the call; afterwards what the function raises.
    pub fn actor_call(&mut self, target: &Cell, offer: i64, name: &Symbol, args: Args) -> Outcome {
        let Some((address, scope)) = target_parts(target) else {
            let text = match target {
                Cell::Vector(v) if v.count() != 2 => "call target vector must have length 2",
                Cell::Vector(_) => "call target vector must start with an Address",
                _ => "call target must be an Address or [Address *scope*] vector",
            };
            return Err(self.error(Code::Cast, text));
        };
        if self.state.account(address)?.is_none() {
            return Err(self.error(
                Code::Nobody,
                format!("Call target Account does not exist: {target}").as_str(),
            ));
        }
        if offer > 0 && self.account()?.balance < offer {
            let text = format!(
                "Insufficient funds for offer: {offer} trying to call Actor {target} function ({name:?} ...)"
            );
            return Err(self.error(Code::Funds, text.as_str()));
        }
        if offer < 0 {
            let text = format!("Cannot make negative offer in Actor call: {offer}");
            return Err(self.error(Code::Argument, text.as_str()));
        }
        let Some(function) = self.callable_function(address, name)? else {
            let text = match self.own_value(address, name)? {
                None => format!("Account #{address} does not define Symbol: {name:?}"),
                Some(_) => format!(
                    "Value defined in account #{address} is not a callable function: {name:?}"
                ),
            };
            return Err(self.error(Code::State, text.as_str()));
        };
        let caller = self.address;
        let entry = Entry {
            address,
            caller: Some(caller),
            scope,
            offer,
            depth: self.depth + 1,
        };
        let frame = self.enter(entry)?;
        if offer > 0
            && let Some(account) = self.state.account_mut(caller)?
        {
            account.balance -= offer;
        }
        let outcome = self.call(&function, args);
        let outcome = self.leave(frame, outcome);
        Self::traced(outcome, || Trace::Actor(target.clone(), name.clone()))
    }

    /// Runs a form in another account that the executing one controls (`eval-as`, before its charge).
    pub(crate) fn eval_as(&mut self, address: u64, form: &Cell) -> Outcome {
        self.check_control(address)?;
        let entry = Entry {
            address,
            caller: Some(self.address),
            scope: Cell::Nil,
            offer: 0,
            depth: self.depth + 1,
        };
        let frame = self.enter(entry)?;
        let outcome = self.run_form(form);
        self.leave(frame, outcome)
    }

    fn check_control(&mut self, address: u64) -> Outcome<()> {
        let Some(account) = self.state.account(address)? else {
            return Err(self.error(
                Code::Nobody,
                format!("Account does not exist: #{address}").as_str(),
            ));
        };
        if address == self.address {
            return Ok(());
        }
        let controller = account.controller().clone();
        if controller == Cell::Address(self.address) {
            return Ok(());
        }
        if controller.is_nil() {
            let text = format!("Cannot control address with nil controller set: #{address}");
            return Err(self.error(Code::Trust, text.as_str()));
        }
        let untrusted =
            |ctx: &Self| ctx.error(Code::Trust, "Failure trying to obtain :control rights");
        let Some((monitor, _)) = target_parts(&controller) else {
            return Err(untrusted(self));
        };
        if self.state.account(monitor)?.is_none() {
            return Err(untrusted(self));
        }
        let args = Args::from_iter([
            Cell::Address(self.address),
            names::control(),
            Cell::Address(address),
        ]);
        let check = Symbol::literal("check-trusted?");
        match self.actor_call(&controller, 0, &check, args) {
            Ok(answer) if answer.is_truthy() => Ok(()),
            Err(abort @ Exit::Abort(_)) => Err(abort),
            _ => Err(untrusted(self)),
        }
    }

    /// Runs a form in another account and undoes its effects (`query-as`, before its charge).
    pub(crate) fn query_as(&mut self, address: u64, form: &Cell) -> Outcome {
        if self.state.account(address)?.is_none() {
            return Err(self.error(
                Code::Nobody,
                format!("Address does not exist: #{address}").as_str(),
            ));
        }
        let entry = Entry {
            address,
            caller: Some(self.address),
            scope: Cell::Nil,
            offer: 0,
            depth: self.depth,
        };
        let frame = self.enter(entry)?;
        let outcome = match self.run_form(form) {
            Ok(value) => Err(Exit::Rollback(value)),
            Err(Exit::Halt(value) | Exit::Return(value)) => Err(Exit::Rollback(value)),
            other => other,
        };
        self.leave(frame, outcome)
    }

    /// Makes an account and runs code in it (`deploy`). The address is returned even when the code rolled back.
    pub(crate) fn deploy(&mut self, code: &[Cell]) -> Outcome {
        let address = self.state.account_count();
        let entry = Entry {
            address,
            caller: Some(self.address),
            scope: Cell::Nil,
            offer: 0,
            depth: self.depth + 1,
        };
        let frame = self.enter(entry)?;
        self.state.push_account(Account::default());
        let mut outcome = Ok(Cell::Nil);
        for form in code {
            outcome = self.run_form(form);
            if outcome.is_err() {
                break;
            }
        }
        self.leave(frame, outcome)?;
        self.done(juice::DEPLOY, Cell::Address(address))
    }
}
