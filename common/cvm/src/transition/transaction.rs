//! One transaction of a block: whether it runs, and what it costs (`spec/04 §3.2`, `§4`).

use cells::{Cell, Signed, UsesOfRun, Vector};
use crypto::AccountKey;

use super::execute::{Beginning, Executed, Execution};
use super::{BlockError, Failure, OUT_OF_JUICE, Stop};
use crate::context::Machine;
use crate::exit::Code;
use crate::state::{
    Info, Kind, Mark, ResultRecord, Source, State, Transaction, pool, storage_size,
};

/// Juice limit of a transaction, a scheduled operation and a child of a Multi.
pub(super) const MAX_JUICE: u64 = 10_000_000;
/// Juice that every transaction costs.
const BASE: i64 = 500;
/// Juice for each byte of a transaction.
const PER_BYTE: i64 = 20;

/// Applies the transactions of one block and keeps count of the fees.
pub(super) struct Ledger<'a> {
    machine: &'a mut Machine,
    state: &'a mut State,
    /// Key of the peer that made the block.
    peer: Option<Cell>,
    fees: i64,
}

/// What a transaction that ran is to be charged.
struct Bill {
    juice: i64,
    /// Coppers for juice and bytes.
    fee: i64,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(machine: &'a mut Machine, state: &'a mut State, peer: [u8; 32]) -> Self {
        Self {
            machine,
            state,
            peer: Some(Cell::from(cells::Blob::new(&peer))),
            fees: 0,
        }
    }

    /// Fees of all transactions so far, whatever was really paid (`spec/04 §4.7`).
    pub(super) fn fees(&self) -> i64 {
        self.fees
    }

    /// Keeps the undo journal of a long block small.
    pub(super) fn compact(&mut self, start: Mark) {
        self.state.compact(start);
    }

    /// Applies element `index` of the block.
    pub(super) fn apply(&mut self, index: i64, element: &Cell) -> Result<ResultRecord, Stop> {
        let (transaction, size, signed) = read(element)?;
        let balance = match self.check(&transaction, signed) {
            Ok(balance) => balance,
            Err(Refusal::Stop(stop)) => return Err(stop),
            Err(Refusal::Error(code, message)) => return self.refused(index, code, &message),
        };
        self.execute(index, transaction, balance, size, signed.key())
    }

    /// Check 5 of `spec/04 §3.2`, execution and completion.
    fn execute(
        &mut self,
        index: i64,
        transaction: Transaction,
        balance: i64,
        size: i64,
        signer: Option<&AccountKey>,
    ) -> Result<ResultRecord, Stop> {
        let origin = transaction.origin;
        let price = self.state.globals().juice_price;
        let bill = |juice: u64| {
            let total = (juice as i64)
                .saturating_add(BASE)
                .saturating_add(size.saturating_mul(PER_BYTE));
            Bill {
                juice: juice as i64,
                fee: total.saturating_mul(price),
            }
        };
        let limit = juice_limit(balance, price)?;
        if limit == 0 {
            // The trap of `spec/04 §3.2`: nobody pays, yet the fee is handed out.
            self.fees = self.fees.saturating_add(bill(0).fee);
            return Ok(ResultRecord {
                id: Some(index),
                value: Cell::from(OUT_OF_JUICE),
                error: Code::Juice.cell(),
                log: Some(Vec::new()),
                info: Some(Info {
                    source: Some(Source::Cvm),
                    ..Info::default()
                }),
            });
        }
        let location = (self.state.globals().block_number, index);
        let start = Beginning {
            origin,
            limit,
            location,
            signer,
            peer: self.peer.as_ref(),
        };
        let before = self.state.mark();
        let executed = Execution {
            machine: self.machine,
            state: self.state,
        }
        .run(transaction.kind, &start)?;
        let bill = bill(executed.juice);
        self.fees = self.fees.saturating_add(bill.fee);
        self.complete(index, origin, before, executed, &bill)
    }

    /// Checks 1 to 4 of `spec/04 §3.2`; answers the balance of the origin.
    fn check(&self, transaction: &Transaction, signed: &Signed) -> Result<i64, Refusal> {
        let origin = transaction.origin;
        let Some(account) = self.state.account(origin)? else {
            return Err(Refusal::Error(
                Code::Nobody,
                format!("Transaction for non-existent Account: #{origin}"),
            ));
        };
        let expected = account.sequence.wrapping_add(1);
        if transaction.sequence != expected {
            let text = format!(
                "Sequence = {} but expected {expected}",
                transaction.sequence
            );
            return Err(Refusal::Error(Code::Sequence, text));
        }
        let Some(key) = account.key() else {
            return Err(Refusal::Error(
                Code::State,
                format!("Transaction for account that is an Actor: #{origin}"),
            ));
        };
        let Some(signer) = signed.key() else {
            return Err(Refusal::Stop(Stop::void("signed data without a key")));
        };
        if signer.as_bytes() != key || !signed.verify() {
            return Err(Refusal::Error(Code::Signature, "Bad Signature!".to_owned()));
        }
        Ok(account.balance)
    }

    /// The result of a transaction that failed one of these checks and did nothing.
    fn refused(&self, index: i64, code: Code, message: &str) -> Result<ResultRecord, Stop> {
        if self.state.account_count() == 0 {
            return Err(Stop::fatal(
                "a refused transaction in a state without account #0",
            ));
        }
        Ok(ResultRecord {
            id: Some(index),
            value: Cell::from(message),
            error: code.cell(),
            log: Some(Vec::new()),
            info: Some(Info {
                error: Some((Vector::empty(), Some(0))),
                source: Some(Source::Cvm),
                ..Info::default()
            }),
        })
    }

    /// `spec/04 §4.3`: exactly one branch.
    fn complete(
        &mut self,
        index: i64,
        origin: u64,
        before: Mark,
        executed: Executed,
        bill: &Bill,
    ) -> Result<ResultRecord, Stop> {
        let Executed {
            mut outcome,
            mut log,
            ..
        } = executed;
        if outcome.is_err() {
            self.state.rollback(before);
        }
        let balance = self.balance(origin)?;
        let mut memory = 0;
        let mut spend = bill.fee;
        let mut source = match &outcome {
            Ok(_) => None,
            Err(Failure::Error { .. }) => Some(Source::Code),
            Err(Failure::Juice) => Some(Source::Cvm),
        };
        if bill.fee > balance {
            // The record of the origin survives as the code left it, except for its coins; all else is undone.
            let left = self.state.account(origin)?.cloned();
            self.state.rollback(before);
            let account = self.origin(origin)?;
            if let Some(left) = left {
                *account = left;
            }
            account.balance = 0;
            account.sequence = account.sequence.wrapping_add(1);
            let message = format!("Insuffienct balance to cover juice fees of {}", bill.fee);
            outcome = Err(error(Code::Juice, &message, origin));
            source = Some(Source::Cvm);
            spend = balance;
        } else {
            if outcome.is_ok() {
                memory = self.state.memory_since(before)?;
                match self.pay_memory(origin, memory, balance - bill.fee)? {
                    Some(price) => spend += price,
                    None => {
                        self.state.rollback(before);
                        let message = format!(
                            "Unable to allocate additional memory required for transaction ({memory} bytes)"
                        );
                        outcome = Err(error(Code::Memory, &message, origin));
                        source = Some(Source::Cvm);
                    }
                }
            }
            let account = self.origin(origin)?;
            account.balance = account.balance.wrapping_sub(spend);
            account.sequence = account.sequence.wrapping_add(1);
        }
        let mut info = Info {
            error: None,
            memory,
            fees: spend,
            juice: bill.juice,
            source,
        };
        let (value, code) = match outcome {
            Ok(value) => (value, Cell::Nil),
            Err(Failure::Juice) => (Cell::from(OUT_OF_JUICE), Code::Juice.cell()),
            Err(Failure::Error {
                code,
                message,
                trace,
                address,
            }) => {
                info.error = Some((trace, address));
                (message, code)
            }
        };
        let log = std::mem::take(&mut log);
        Ok(ResultRecord {
            id: Some(index),
            value,
            error: code,
            log: Some(log),
            info: Some(info),
        })
    }

    /// Settles memory with the allowance, then with the pool. Answers what was paid in coppers; `None` when the
    /// origin can't pay.
    fn pay_memory(&mut self, origin: u64, memory: i64, coins: i64) -> Result<Option<i64>, Stop> {
        if memory == 0 {
            return Ok(Some(0));
        }
        let allowance = self.origin(origin)?.allowance;
        let used = memory.min(allowance.max(0));
        if memory < 0 || used == memory {
            let account = self.origin(origin)?;
            account.allowance = allowance.wrapping_sub(memory);
            return Ok(Some(0));
        }
        let bought = memory - used;
        let globals = self.state.globals();
        let price = pool::price(globals.memory_pool, globals.memory_coins, bought)
            .ok_or_else(|| Stop::void("memory pool can't sell that much"))?;
        if coins < price {
            return Ok(None);
        }
        self.origin(origin)?.allowance = allowance - used;
        let globals = self.state.globals_mut();
        globals.memory_coins += price;
        globals.memory_pool -= bought;
        Ok(Some(price))
    }

    fn balance(&self, origin: u64) -> Result<i64, Stop> {
        Ok(self
            .state
            .account(origin)?
            .map_or(0, |account| account.balance))
    }

    fn origin(&mut self, origin: u64) -> Result<&mut crate::state::Account, Stop> {
        self.state
            .account_mut(origin)?
            .ok_or_else(|| Stop::void("origin is missing"))
    }
}

/// What a transaction of `origin` with this command would answer, were it executed next (`spec/04 §10`). Nobody has
/// to sign, nobody pays, and the state stays as it is.
///
/// # Errors
/// When the state can't be read, or the command would void its block.
pub fn query(
    machine: &mut Machine,
    state: &mut State,
    origin: u64,
    command: Cell,
) -> Result<ResultRecord, QueryError> {
    let start = state.mark();
    let result = preview(machine, state, origin, Kind::Invoke { command });
    state.rollback(start);
    result
}

/// As [`query`], of a transaction as it is, whatever its sequence number (`spec/06 §6.3`).
///
/// # Errors
/// As [`query`].
pub fn detached(
    machine: &mut Machine,
    state: &mut State,
    transaction: Transaction,
) -> Result<ResultRecord, QueryError> {
    let start = state.mark();
    let result = unchecked(machine, state, transaction);
    state.rollback(start);
    result
}

/// As [`query`], of any transaction; what it does, fees included, stays in the state. That is the state after a block
/// with this transaction alone, but for time, schedule and the peer's part of the fees.
///
/// # Errors
/// As [`query`]; then the state is as it was.
pub fn preview(
    machine: &mut Machine,
    state: &mut State,
    origin: u64,
    kind: Kind,
) -> Result<ResultRecord, QueryError> {
    let account = state.account(origin).map_err(BlockError::Data)?;
    let sequence = account.map_or(0, |account| account.sequence);
    let transaction = Transaction {
        origin,
        sequence: sequence.wrapping_add(1),
        kind,
    };
    unchecked(machine, state, transaction)
}

/// Executes a transaction without looking at its sequence number and signature.
fn unchecked(
    machine: &mut Machine,
    state: &mut State,
    transaction: Transaction,
) -> Result<ResultRecord, QueryError> {
    let _uses = UsesOfRun::other();
    let start = state.mark();
    let mut ledger = Ledger {
        machine,
        state,
        peer: None,
        fees: 0,
    };
    let result = ledger.unchecked(transaction);
    result.map_err(|stop| {
        state.rollback(start);
        match stop {
            Stop::Void(why) => QueryError::HostFault(why),
            Stop::Error(error) => QueryError::Block(error),
        }
    })
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The code does what the reference halts at; in a block it would void the block.
    #[error("this can't be executed: {0}")]
    HostFault(String),
    /// As for a block.
    #[error(transparent)]
    Block(#[from] BlockError),
}

impl Ledger<'_> {
    fn unchecked(&mut self, transaction: Transaction) -> Result<ResultRecord, Stop> {
        let Some(account) = self.state.account(transaction.origin)? else {
            return self.refused(0, Code::Nobody, "Account does not exist");
        };
        let balance = account.balance;
        let size = storage_size(&transaction.to_cell())?;
        self.execute(0, transaction, balance, size, None)
    }
}

fn error(code: Code, message: &str, address: u64) -> Failure {
    Failure::Error {
        code: code.cell(),
        message: Cell::from(message),
        trace: Vector::empty(),
        address: Some(address),
    }
}

/// Why a transaction was not run.
enum Refusal {
    /// Its result.
    Error(Code, String),
    /// The block ends here.
    Stop(Stop),
}

impl From<cells::CellError> for Refusal {
    fn from(error: cells::CellError) -> Self {
        Self::Stop(error.into())
    }
}

/// Check 0 of `spec/04 §3.2`: the transaction in an element of a block, and the bytes that it is charged for.
fn read(element: &Cell) -> Result<(Transaction, i64, &Signed), Stop> {
    let refuse = || Stop::void(format!("Not a signed transaction: 0x{}", element.hash()));
    let Cell::Signed(signed) = element else {
        return Err(refuse());
    };
    let value = signed.value_ref().load()?;
    let transaction = Transaction::from_cell(&value)?.ok_or_else(refuse)?;
    Ok((transaction, storage_size(&value)?, signed))
}

/// Juice that a balance affords beyond the base, at most what a transaction may use.
fn juice_limit(balance: i64, price: i64) -> Result<u64, Stop> {
    let affordable = balance
        .checked_div(price)
        .ok_or_else(|| Stop::void("/ by zero"))?;
    Ok((affordable.saturating_sub(BASE).max(0) as u64).min(MAX_JUICE))
}
