//! Transactions made of transactions (`spec/04 §3.6`).

use cells::{Cell, Vector};

use super::execute::{Beginning, Executed, Execution};
use super::transaction::MAX_JUICE;
use super::{Failure, OUT_OF_JUICE, Stop};
use crate::exit::Code;
use crate::state::{Kind, Mark, Mode, ResultRecord, Transaction};

/// A Multi under way. Nested ones form a stack of their own, since a hostile message can nest them at any depth.
struct Level {
    origin: u64,
    mode: Mode,
    transactions: Vector,
    /// Next child.
    next: u64,
    /// Before the first child.
    start: Mark,
    /// Before the child that runs.
    child: Mark,
    /// Juice of the last child that ran; it replaces what earlier ones used.
    juice: u64,
    log: Vec<Cell>,
    results: Vec<Cell>,
    /// How the last child ended.
    last: Last,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    None,
    Success,
    Error,
    Juice,
}

impl Execution<'_> {
    /// Runs a Multi of `origin`.
    pub(super) fn multi(
        &mut self,
        origin: u64,
        mode: Mode,
        transactions: &Cell,
    ) -> Result<Executed, Stop> {
        let mut levels = vec![self.level(origin, mode, transactions)?];
        while let Some(level) = levels.last_mut() {
            if level.is_done() {
                let executed = self.finish_level(levels.pop());
                match levels.last_mut() {
                    Some(parent) => self.deliver(parent, executed),
                    None => return Ok(executed),
                }
                continue;
            }
            level.child = self.state.mark();
            let child = level.take_child()?;
            if let Some(refusal) = self.refuse(level.origin, child.origin)? {
                // A child that may not run leaves the juice of the one before.
                let executed = Executed {
                    log: Vec::new(),
                    ..Executed::failed(refusal, level.juice)
                };
                self.deliver(level, executed);
                continue;
            }
            if let Kind::Multi { mode, transactions } = &child.kind {
                let nested = self.level(child.origin, *mode, transactions)?;
                levels.push(nested);
                continue;
            }
            let start = Beginning {
                origin: child.origin,
                limit: MAX_JUICE,
                location: (self.state.globals().block_number, 0),
                signer: None,
                peer: None,
            };
            let executed = self.run_simple(child.kind, &start)?;
            self.deliver(level, executed);
        }
        Err(Stop::fatal("multi transaction without an end"))
    }

    fn level(&mut self, origin: u64, mode: Mode, transactions: &Cell) -> Result<Level, Stop> {
        let Cell::Vector(transactions) = transactions else {
            return Err(Stop::void("multi transaction without a vector"));
        };
        let start = self.state.mark();
        Ok(Level {
            origin,
            mode,
            transactions: transactions.clone(),
            next: 0,
            start,
            child: start,
            juice: 0,
            log: Vec::new(),
            results: Vec::new(),
            last: Last::None,
        })
    }

    /// Why a child may not act for its origin, if so.
    fn refuse(&self, origin: u64, child: u64) -> Result<Option<Failure>, Stop> {
        if origin == child {
            return Ok(None);
        }
        let (code, message) = match self.state.account(child)? {
            None => (
                Code::Nobody,
                "Child transaction origin account does not exist",
            ),
            Some(account) if *account.controller() != Cell::Address(origin) => {
                (Code::Trust, "Account control not available")
            }
            Some(_) => return Ok(None),
        };
        Ok(Some(Failure::Error {
            code: code.cell(),
            message: Cell::from(message),
            trace: Vector::empty(),
            address: Some(origin),
        }))
    }

    /// Takes over what a child left. Its juice limit needs no care: a Multi uses no juice of its own.
    fn deliver(&mut self, level: &mut Level, executed: Executed) {
        level.juice = executed.juice;
        let (value, error) = match executed.outcome {
            Ok(value) => {
                level.log = executed.log;
                level.last = Last::Success;
                (value, Cell::Nil)
            }
            Err(failure) => {
                self.state.rollback(level.child);
                match failure {
                    Failure::Error { code, message, .. } => {
                        level.last = Last::Error;
                        (message, code)
                    }
                    Failure::Juice => {
                        level.last = Last::Juice;
                        (Cell::from(OUT_OF_JUICE), Code::Juice.cell())
                    }
                }
            }
        };
        level.results.push(
            ResultRecord {
                id: None,
                value,
                error,
                log: None,
                info: None,
            }
            .to_cell(),
        );
    }

    fn finish_level(&mut self, level: Option<Level>) -> Executed {
        let Some(level) = level else {
            return Executed::failed(Failure::Juice, 0);
        };
        let results = Cell::from(Vector::from_iter(level.results));
        // A juice failure of the last child does not undo the others.
        if level.mode == Mode::All && level.last == Last::Error {
            self.state.rollback(level.start);
            let failure = Failure::Error {
                code: Code::Child.cell(),
                message: results,
                trace: Vector::empty(),
                address: Some(level.origin),
            };
            return Executed::failed(failure, level.juice);
        }
        Executed {
            outcome: Ok(results),
            juice: level.juice,
            log: level.log,
        }
    }
}

impl Level {
    fn is_done(&self) -> bool {
        let failed = matches!(self.last, Last::Error | Last::Juice);
        self.next >= self.transactions.count()
            || match self.mode {
                Mode::Any => false,
                Mode::All | Mode::Until => failed,
                Mode::First => self.last == Last::Success,
            }
    }

    fn take_child(&mut self) -> Result<Transaction, Stop> {
        let child = self.transactions.get(self.next)?.unwrap_or(Cell::Nil);
        self.next += 1;
        Transaction::from_cell(&child)?
            .ok_or_else(|| Stop::void("child of a multi transaction is no transaction"))
    }
}
