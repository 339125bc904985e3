//! Evaluating forms one after another on a state that is nobody else's: nothing is signed, charged or sent.

use cells::{Cell, Hash, RecordKind};
use cvm::state::State;
use cvm::{Abort, Context, ErrorValue, Exit as Leaving, Machine, Rules, Start};

use crate::cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;

/// A state, and who evaluates on it under which limit.
pub(crate) struct Session {
    machine: Machine,
    state: State,
    pub(crate) address: u64,
    pub(crate) limit: u64,
}

/// What evaluating a form came to.
pub(crate) struct Evaluated {
    pub(crate) outcome: Result<Cell, Problem>,
    /// Juice used.
    pub(crate) juice: u64,
    /// Bytes that the state grew by; negative when it shrank.
    pub(crate) memory: i64,
    /// What was logged.
    pub(crate) log: Vec<Cell>,
}

/// Why a form has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Printed error code, `:CAST` for example; none where the network knows no error.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    /// Account in which the error arose.
    pub(crate) address: Option<u64>,
    /// What the error passed on its way out, innermost first.
    pub(crate) trace: Vec<String>,
}

impl Problem {
    fn of(error: &ErrorValue) -> Self {
        let message = match &error.message {
            Cell::Str(text) => text.to_vec().map_or_else(
                |_| error.message.to_string(),
                |bytes| String::from_utf8_lossy(&bytes).into_owned(),
            ),
            Cell::Nil => String::new(),
            other => other.to_string(),
        };
        Self {
            code: Some(error.code.to_string()),
            message,
            address: error.address,
            trace: error.trace.iter().map(cvm::Trace::text).collect(),
        }
    }

    fn plain(code: Option<&str>, message: impl Into<String>) -> Self {
        Self {
            code: code.map(str::to_owned),
            message: message.into(),
            address: None,
            trace: Vec::new(),
        }
    }

    /// One line.
    pub(crate) fn headline(&self) -> String {
        match (&self.code, self.message.as_str()) {
            (Some(code), "") => code.clone(),
            (Some(code), message) => format!("{code} {message}"),
            (None, message) => message.to_owned(),
        }
    }

    /// All of it; lines after the first are indented.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("error {}", self.headline());
        if let Some(address) = self.address {
            text += &format!("\n  in #{address}");
        }
        for line in &self.trace {
            text += &format!("\n  {line}");
        }
        text
    }
}

impl Session {
    /// What the arguments ask for.
    pub(crate) fn new(args: &cli::Evaluation) -> Result<Self, Failure> {
        let state = match &args.state {
            Some(path) => {
                let cell = files::load(path, RecordKind::State)?;
                State::from_cell(&cell)
                    .map_err(|error| Failure::data(format!("{}: {error}", path.display())))?
            }
            None => fresh()?,
        };
        let mut session = Self {
            machine: Machine::new(Rules::latest()),
            state,
            address: args.address,
            limit: args.juice.min(cvm::juice::MAX),
        };
        session.become_account(args.address)?;
        Ok(session)
    }

    /// Evaluates as another account from now on.
    pub(crate) fn become_account(&mut self, address: u64) -> Result<(), Failure> {
        let count = self.state.account_count();
        if address >= count {
            return Err(
                Failure::usage(format!("the state has no account #{address}")).remedy(match count
                    .checked_sub(1)
                {
                    Some(last) => format!("its accounts are #0 to #{last}"),
                    None => "it has no accounts at all".to_owned(),
                }),
            );
        }
        self.address = address;
        Ok(())
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn hash(&mut self) -> Result<Hash, Failure> {
        self.state.hash().map_err(Failure::data)
    }

    /// Evaluates a form at top level, as a transaction would but for fees, sequence and memory allowance.
    pub(crate) fn evaluate(&mut self, form: &Cell) -> Result<Evaluated, Failure> {
        let mark = self.state.mark();
        let start = Start {
            origin: self.address,
            limit: self.limit,
            location: (self.state.globals().block_number, 0),
            signer: None,
            peer: None,
        };
        let mut context = Context::new(&mut self.machine, &mut self.state, start);
        let outcome = context.run(form);
        let juice = context.juice();
        let log = std::mem::take(&mut context.log);
        drop(context);
        let outcome = match outcome {
            Ok(value) => Ok(value),
            Err(Leaving::Error(error)) => Err(Problem::of(&error)),
            Err(Leaving::Juice) => Err(Problem::plain(
                Some(":JUICE"),
                format!("Out of juice! (limit {})", self.limit),
            )),
            Err(Leaving::Abort(abort)) => {
                self.state.rollback(mark);
                Err(match *abort {
                    Abort::HostFault(why) => Problem::plain(
                        None,
                        format!("this would void the whole block that it is in: {why}"),
                    ),
                    Abort::Data(error) => Problem::plain(None, error.to_string()),
                    Abort::Fatal(why) => {
                        Problem::plain(None, format!("no peer of the network survives this: {why}"))
                    }
                })
            }
            Err(other) => {
                return Err(Failure::new(
                    Exit::Software,
                    format!("evaluation ended in a way that it can't: {other:?}"),
                ));
            }
        };
        let memory = self.state.memory_since(mark).map_err(Failure::data)?;
        self.state.settle().map_err(Failure::data)?;
        Ok(Evaluated {
            outcome,
            juice,
            memory,
            log,
        })
    }

    /// Metadata of a symbol as the account sees it.
    pub(crate) fn metadata(&mut self, symbol: &cells::Symbol) -> Option<cells::Map> {
        let address = self.address;
        self.context().lookup_meta(address, symbol).ok().flatten()
    }

    /// Value of a symbol as the account sees it.
    pub(crate) fn value(&mut self, symbol: &cells::Symbol) -> Option<Cell> {
        let address = self.address;
        self.context().lookup(address, symbol).ok().flatten()
    }

    /// A context that only looks.
    fn context(&mut self) -> Context<'_> {
        let start = Start {
            origin: self.address,
            limit: self.limit,
            location: (-1, 0),
            signer: None,
            peer: None,
        };
        Context::new(&mut self.machine, &mut self.state, start)
    }

    /// Names that the account and those above it define or document, sorted; at most `limit` of each account.
    pub(crate) fn names(&self, limit: usize) -> Vec<String> {
        let mut names = Vec::new();
        let mut at = Some(self.address);
        // The chain of parents is short by the rules (`spec/02 §9.4`); a loop in it ends here.
        for _ in 0..Rules::latest().max_lookup {
            let Some(account) = at.and_then(|at| self.state.account(at).ok().flatten()) else {
                break;
            };
            for map in [account.environment(), account.metadata()]
                .into_iter()
                .flatten()
            {
                names.extend(map.iter().take(limit).filter_map(|entry| match entry {
                    Ok((Cell::Symbol(name), _)) => String::from_utf8(name.name().to_vec()).ok(),
                    _ => None,
                }));
            }
            at = match (account.parent(), at) {
                (Some(parent), _) => Some(parent),
                (None, Some(cvm::CORE)) => None,
                (None, _) => Some(cvm::CORE),
            };
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The genesis state of a network that nobody runs.
fn fresh() -> Result<State, Failure> {
    use cvm::genesis::{Parameters, genesis};
    // Keys that don't matter, since nothing here is ever signed.
    let key = |label: &str| {
        crypto::SigningKey::from_seed(&crypto::sha3_256(label.as_bytes())).account_key()
    };
    let [governance, first, peer] = [
        "convexctl/governance",
        "convexctl/genesis",
        "convexctl/peer",
    ]
    .map(|l| key(l).to_bytes());
    genesis(&Parameters::new(governance, first, &[peer]))
        .map_err(|error| Failure::new(Exit::Software, format!("no genesis state: {error}")))
}
