//! `convexctl repl`: a conversation in Convex Lisp with a state that nobody else sees.

mod doc;
mod editor;
mod input;

use std::io::IsTerminal;

use cells::print::{DEFAULT_LIMIT, print};
use cells::{Cell, Symbol};

use crate::cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;
use crate::session::{Evaluated, Session};
use crate::snippet;
use editor::{Editor, Line};
use input::Entry;

/// What can be asked besides forms.
const HELP: &str = "\
Enter any form; it is evaluated when its brackets close. Effects stay for the forms after it.
  :doc SYMBOL     what a symbol means
  :address #N     evaluate as another account
  :state          hash, accounts and time of the state
  :help           this
  :quit           leave (so does Ctrl-D)
Tab completes symbols; the arrow keys and Ctrl-R recall what was entered before.";

pub(crate) fn run(args: &cli::Repl, out: &mut Out) -> Result<Exit, Failure> {
    let mut repl = Repl {
        session: Session::new(&args.on)?,
        out,
    };
    let interactive = std::io::stdin().is_terminal();
    let mut editor = Editor::new(interactive)?;
    if interactive {
        repl.state()?;
        repl.out.line(":help tells what can be entered")?;
    }
    editor.set_names(repl.session.names(editor::MAX_NAMES));
    loop {
        repl.out.flush()?;
        if !repl.out.is_open() {
            return Ok(Exit::Ok);
        }
        let text = match editor.read(&format!("#{}> ", repl.session.address))? {
            Line::Text(text) => text,
            Line::Interrupted => continue,
            Line::End => break,
        };
        match input::parse(&text) {
            Entry::Forms => repl.forms(&text)?,
            Entry::Help => repl.out.line(HELP)?,
            Entry::State => repl.state()?,
            Entry::Quit => break,
            Entry::Address(text) => repl.address(text)?,
            Entry::Doc(name) => repl.doc(name)?,
        }
        editor.set_names(repl.session.names(editor::MAX_NAMES));
    }
    editor.save();
    Ok(Exit::Ok)
}

struct Repl<'a> {
    session: Session,
    out: &'a mut Out,
}

impl Repl<'_> {
    fn forms(&mut self, text: &str) -> Result<(), Failure> {
        let forms = match cvm::reader::read_all(text) {
            Ok(forms) => forms,
            Err(error) => return self.out.line(snippet::show("input", text, &error)),
        };
        for form in forms.iter() {
            let evaluated = self.session.evaluate(&form.map_err(Failure::data)?)?;
            self.show(&evaluated)?;
            if evaluated.outcome.is_err() {
                break;
            }
        }
        Ok(())
    }

    fn show(&mut self, evaluated: &Evaluated) -> Result<(), Failure> {
        for entry in &evaluated.log {
            self.out.line(format_args!("log {entry}"))?;
        }
        match &evaluated.outcome {
            Ok(value) => self.value(value)?,
            Err(problem) => self.out.line(problem.text())?,
        }
        self.out.line(format_args!(
            "; juice {}, memory {:+}",
            evaluated.juice, evaluated.memory
        ))
    }

    fn value(&mut self, value: &Cell) -> Result<(), Failure> {
        match print(value, DEFAULT_LIMIT) {
            Ok(Some(text)) => {
                self.out.bytes(&text)?;
                self.out.line("")
            }
            Ok(None) => self.out.line(format_args!(
                "; value of type {} that takes more than {DEFAULT_LIMIT} bytes when printed; ask for a part of it",
                cvm::value::type_name(value)
            )),
            Err(error) => self.out.line(format_args!("; a value that can't be printed: {error}")),
        }
    }

    fn state(&mut self) -> Result<(), Failure> {
        let hash = self.session.hash()?;
        let (accounts, time) = (
            self.session.state().account_count(),
            self.session.state().globals().timestamp,
        );
        self.out.line(format_args!(
            "state {hash}, {accounts} accounts, time {time}"
        ))
    }

    fn address(&mut self, text: &str) -> Result<(), Failure> {
        let changed = cli::address(text)
            .map_err(Failure::usage)
            .and_then(|address| self.session.become_account(address));
        match changed {
            Ok(()) => Ok(()),
            Err(failure) => {
                let remedy = failure
                    .remedy
                    .map(|remedy| format!("; {remedy}"))
                    .unwrap_or_default();
                self.out.line(format_args!("{}{remedy}", failure.cause))
            }
        }
    }

    fn doc(&mut self, name: &str) -> Result<(), Failure> {
        let text = match Symbol::new(name.as_bytes()) {
            Some(symbol) => doc::text(
                name,
                self.session.value(&symbol).as_ref(),
                self.session.metadata(&symbol).as_ref(),
            ),
            None => format!("`{name}` is no symbol"),
        };
        self.out.line(text)
    }
}
