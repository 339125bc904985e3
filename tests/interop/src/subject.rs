//! What this tree makes of a program or an op, in a fresh fork of one state.

use std::collections::BTreeMap;
use std::sync::Mutex;

use cells::{Cell, CellError};
use cvm::state::State;
use cvm::{Abort, Context, Exit, Machine, Outcome, Rules, Start};

/// What is being worked on, for the message of a panic, which ends the process.
static UNDER_WAY: Mutex<String> = Mutex::new(String::new());

/// Notes what is worked on from here.
pub fn under_way(what: &str) {
    if let Ok(mut text) = UNDER_WAY.lock() {
        text.clear();
        text.push_str(what);
    }
}

/// Makes panics say what was worked on.
pub fn name_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if let Ok(text) = UNDER_WAY.lock() {
            eprintln!("\npanic while working on:\n{text}\n");
        }
        usual(info);
    }));
}

/// How an execution ended, in the terms of the reference.
#[derive(Debug, Clone)]
pub enum End {
    /// With a value.
    Value(Cell),
    /// With an error.
    Error {
        /// Any value but nil.
        code: Cell,
        /// Any value.
        message: Cell,
        /// Where it arose.
        address: Option<u64>,
        /// Lines of the trace.
        trace: Vec<String>,
    },
    /// Out of juice.
    Juice,
    /// The reference would raise an exception.
    HostFault(String),
    /// The reference would not survive.
    Fatal(String),
    /// Something that must not come out of an execution.
    Wrong(String),
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(value) => Self::Value(value),
            Err(Exit::Error(error)) => Self::Error {
                trace: error.trace.iter().map(cvm::Trace::text).collect(),
                code: error.code,
                message: error.message,
                address: error.address,
            },
            Err(Exit::Juice) => Self::Juice,
            Err(Exit::Abort(abort)) => match *abort {
                Abort::HostFault(why) => Self::HostFault(why),
                Abort::Fatal(why) => Self::Fatal(why),
                Abort::Data(why) => Self::Wrong(why.to_string()),
            },
            Err(other) => Self::Wrong(format!("{other:?}")),
        }
    }
}

/// What an execution did.
#[derive(Debug, Clone)]
pub struct Seen {
    /// How it ended.
    pub end: End,
    /// Juice used.
    pub juice: u64,
    /// The log.
    pub log: Cell,
    /// Hash of the state afterwards.
    pub state: String,
    /// Bytes of memory that the state has grown by.
    pub memory: i64,
}

/// Account and juice limit of an execution.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Origin and address.
    pub account: u64,
    /// Juice limit.
    pub limit: u64,
}

/// This tree's machine over a state that every execution starts from.
pub struct Subject {
    machine: Machine,
    state: State,
    memory: i64,
}

impl Subject {
    /// A machine for these rules.
    ///
    /// # Errors
    /// When the cell is no state.
    pub fn new(genesis: &Cell, rules: &'static Rules) -> Result<Self, CellError> {
        Ok(Self {
            machine: Machine::new(rules),
            state: State::from_cell(genesis)?,
            memory: memory_size(genesis)?,
        })
    }

    /// Runs a form or an op as a transaction's command is run, and undoes it.
    pub fn run(&mut self, setting: Setting, command: &Cell) -> Seen {
        self.fork(setting, |context| context.run(command))
    }

    /// Compiles a form, and undoes what its macros did.
    pub fn compile(&mut self, account: u64, form: &Cell) -> Seen {
        const COMPILE: Cell = Cell::Core(257);
        let setting = Setting {
            account,
            limit: cvm::juice::TRANSACTION_LIMIT,
        };
        self.fork(setting, |context| {
            context.call(&COMPILE, std::iter::once(form.clone()).collect())
        })
    }

    fn fork(&mut self, setting: Setting, run: impl FnOnce(&mut Context<'_>) -> Outcome) -> Seen {
        let start = Start {
            origin: setting.account,
            limit: setting.limit,
            location: (-1, 0),
            signer: None,
            peer: None,
        };
        let mark = self.state.mark();
        let mut context = Context::new(&mut self.machine, &mut self.state, start);
        let outcome = run(&mut context);
        let (juice, log) = (context.juice(), std::mem::take(&mut context.log));
        let seen = self.state.to_cell().and_then(|cell| {
            Ok(Seen {
                end: outcome.into(),
                juice,
                log: Cell::from(log.into_iter().collect::<cells::Vector>()),
                state: cell.hash().to_string(),
                memory: memory_size(&cell)? - self.memory,
            })
        });
        self.state.rollback(mark);
        seen.unwrap_or_else(|error| Seen {
            end: End::Wrong(error.to_string()),
            juice,
            log: Cell::Nil,
            state: String::new(),
            memory: 0,
        })
    }
}

fn memory_size(cell: &Cell) -> Result<i64, CellError> {
    Ok(i64::try_from(cell.memory_size()?).unwrap_or(i64::MAX))
}

/// The multi-cell encoding with the children in the order of their hashes, as the oracle gives it.
///
/// # Errors
/// When a child can't be read.
pub fn sorted_message(cell: &Cell) -> Result<Vec<u8>, CellError> {
    let mut below = BTreeMap::new();
    let mut open = cells::branches(cell);
    while let Some(branch) = open.pop() {
        let child = branch.get()?;
        if below.insert(child.hash().0, child.encode()).is_none() {
            open.extend(cells::branches(&child));
        }
    }
    let mut out = cell.encode();
    for encoding in below.values() {
        cells::vlq::write(&mut out, encoding.len() as u64);
        out.extend_from_slice(encoding);
    }
    Ok(out)
}
