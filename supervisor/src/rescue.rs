//! The attempts of a withdrawal: a process each, that talks to one good peer (DESIGN §1).

use ipc::control::Armed;
use ipc::supervision::{FromWorker, Ready, RescueSettings, Settings, ToWorker};
use ipc::{Bytes, Received, Role};

use crate::destake::{Attempt, Outcome, Task};
use crate::running::Running;
use crate::setup::Setup;

/// Milliseconds beyond the time of an attempt after which its process is killed.
const MARGIN: u64 = 1_000;

/// The attempts that go on.
#[derive(Debug, Default)]
pub struct Rescues {
    open: Vec<Rescue>,
}

#[derive(Debug)]
struct Rescue {
    attempt: Attempt,
    running: Running,
    kill_at: u64,
    outcome: Option<Outcome>,
}

impl Rescues {
    /// Starts an attempt.
    ///
    /// # Errors
    /// The outcome, when no process can be started.
    pub fn start(
        &mut self,
        setup: &Setup,
        armed: &Armed,
        attempt: Attempt,
        now: u64,
    ) -> Result<(), Outcome> {
        let within = setup.config.destake.attempt.0.max(100);
        let running = Running::start(
            setup,
            Role::Rescue,
            "netd",
            sandbox::Role::Rescue,
            &["--role", "rescue"],
            now,
        )
        .map_err(|fatal| Outcome::Failed(fatal.text))?;
        let (transaction, check, expected) = match attempt.task {
            Task::Ask => (
                Bytes::default(),
                format!("(:sequence (account #{}))", armed.account),
                String::new(),
            ),
            Task::Send(index) => (
                armed.transactions.get(index).cloned().unwrap_or_default(),
                armed.check.clone(),
                armed.expected.clone(),
            ),
        };
        let settings = RescueSettings {
            target: armed.peers.get(attempt.peer).cloned().unwrap_or_default(),
            transaction,
            check,
            expected,
            within: u32::try_from(within).unwrap_or(u32::MAX),
            demands: setup.config.sandbox.minimum.0.clone(),
        };
        running.send(&ToWorker::Start(Box::new(Settings::Rescue(settings))), &[]);
        self.open.push(Rescue {
            attempt,
            running,
            kill_at: now + within + MARGIN,
            outcome: None,
        });
        Ok(())
    }

    /// The processes.
    pub fn running(&self) -> impl Iterator<Item = &Running> {
        self.open.iter().map(|rescue| &rescue.running)
    }

    /// When the next one is killed.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.open.iter().map(|rescue| rescue.kill_at).min()
    }

    /// Ends them all; their outcomes don't matter any more.
    pub fn kill(&mut self) {
        for mut rescue in self.open.drain(..) {
            rescue.running.kill();
            // It is reaped when its handle goes.
            let _ = rescue.running.ended();
        }
    }

    /// Hears what they say; those that ended are returned with their outcome.
    pub fn turn(&mut self, now: u64) -> Vec<(Attempt, Outcome)> {
        let mut ended = Vec::new();
        self.open.retain_mut(|rescue| {
            while let Ok(Received::Message(message, _)) = rescue.running.channel.receive() {
                rescue.hear(message);
            }
            rescue.running.read_output(now);
            if now >= rescue.kill_at {
                rescue.running.kill();
            }
            match rescue.running.ended() {
                None => true,
                Some(how) => {
                    rescue.running.finish_output(now);
                    let outcome = rescue.outcome.take().unwrap_or_else(|| {
                        Outcome::Failed(match rescue.running.fatal.take() {
                            Some(text) => text,
                            None => format!("the attempt {how}"),
                        })
                    });
                    ended.push((rescue.attempt, outcome));
                    false
                }
            }
        });
        ended
    }
}

impl Rescue {
    fn hear(&mut self, message: FromWorker) {
        match message {
            FromWorker::Fatal(text) => self.running.fatal = Some(text.chars().take(500).collect()),
            FromWorker::Ready(Ready::Rescue {
                outcome,
                answered,
                confirmed,
            }) => {
                self.outcome = Some(match self.attempt.task {
                    _ if !answered => Outcome::Failed(outcome),
                    Task::Ask if outcome == "nil" => Outcome::Sequence(None),
                    Task::Ask => match outcome.parse() {
                        Ok(sequence) => Outcome::Sequence(Some(sequence)),
                        Err(_) => Outcome::Failed(format!("no sequence number: {outcome}")),
                    },
                    Task::Send(_) if confirmed => Outcome::Gone,
                    Task::Send(_) => Outcome::Still(outcome),
                });
            }
            _ => {}
        }
    }
}
