//! Secrets and decisions from the terminal.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, IsTerminal, Write};

use keys::{IncomingPassphrase, Passphrase};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::exit::Exit;
use crate::failure::Failure;

/// Puts the terminal back as it was, however this ends.
struct Echo {
    terminal: File,
    before: Termios,
}

impl Drop for Echo {
    fn drop(&mut self) {
        // There is nothing else to be done about a terminal that is gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Asks for a passphrase on the terminal, without an echo.
pub(crate) fn passphrase(prompt: &str) -> Result<Passphrase, Failure> {
    let fail = |error: std::io::Error| {
        Failure::new(
            Exit::NoInput,
            format!("no terminal to ask for the passphrase: {error}"),
        )
        .remedy("name a file that only you can read, with --passphrase-file")
    };
    let mut terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(fail)?;
    let before = tcgetattr(&terminal).map_err(|error| fail(error.into()))?;
    let echo = Echo {
        terminal: terminal.try_clone().map_err(fail)?,
        before: before.clone(),
    };
    let mut silent = before;
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|error| fail(error.into()))?;
    terminal.write_all(prompt.as_bytes()).map_err(fail)?;
    // In its usual mode a terminal hands out a whole line at once.
    let result = IncomingPassphrase::new().and_then(|mut incoming| {
        incoming.read_some(&mut terminal)?;
        incoming.finish()
    });
    let result = result.map_err(Failure::data);
    terminal.write_all(b"\n").map_err(fail)?;
    drop(echo);
    result
}

/// Says what is going to happen, and goes on only when somebody says yes. Where nobody can be asked, the answer is no.
pub(crate) fn confirm(effect: &str) -> Result<(), Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(
            Failure::usage(format!("{effect} There is no terminal to ask on"))
                .remedy("look at the effect with --dry-run, and say so with --yes"),
        );
    }
    eprint!("{effect}\nGo ahead? Type yes: ");
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(Exit::Io, format!("the terminal: {error}")))?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::new(Exit::Negative, "nothing was done"))
}
