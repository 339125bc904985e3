//! Couriers: a process each, that talks to one peer (DESIGN §1). The attempts of a withdrawal are such.

use ipc::control::Armed;
use ipc::supervision::{FromWorker, Ready, RescueSettings, Settings, ToWorker};
use ipc::{Bytes, Received, Role};

use crate::destake::{Attempt, Outcome, Task};
use crate::exit::Fatal;
use crate::running::Running;
use crate::setup::Setup;

/// Milliseconds beyond the time of an attempt after which its process is killed.
const MARGIN: u64 = 1_000;

/// A process that talks to one peer.
#[derive(Debug)]
pub struct Courier {
    running: Running,
    kill_at: u64,
    answer: Option<Result<Answer, String>>,
}

/// What the peer answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The printed result.
    pub text: String,
    /// It is what was expected.
    pub confirmed: bool,
}

/// What to bring to a peer, and what to ask it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// The peer, `host:port`.
    pub target: String,
    /// The transaction, if any.
    pub transaction: Bytes,
    /// The question; empty for the network.
    pub check: String,
    /// The answer that is expected; empty for any.
    pub expected: String,
    /// Milliseconds for all of it.
    pub within: u64,
}

impl Courier {
    /// Sends one.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(setup: &Setup, errand: Errand, now: u64) -> Result<Self, Fatal> {
        let running = Running::start(
            setup,
            Role::Rescue,
            "netd",
            sandbox::Role::Rescue,
            &["--role", "rescue"],
            now,
        )?;
        let within = errand.within;
        let settings = RescueSettings {
            target: errand.target,
            transaction: errand.transaction,
            check: errand.check,
            expected: errand.expected,
            within: u32::try_from(within).unwrap_or(u32::MAX),
            demands: setup.config.sandbox.minimum.0.clone(),
        };
        running.send(&ToWorker::Start(Box::new(Settings::Rescue(settings))), &[]);
        Ok(Self {
            running,
            kill_at: now + within + MARGIN,
            answer: None,
        })
    }

    /// Its process.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// When it is killed.
    #[must_use]
    pub fn kill_at(&self) -> u64 {
        self.kill_at
    }

    /// Hears what it says; what came of it once it has ended.
    pub fn turn(&mut self, now: u64) -> Option<Result<Answer, String>> {
        while let Ok(Received::Message(message, _)) = self.running.channel.receive() {
            match message {
                FromWorker::Fatal(text) => {
                    self.running.fatal = Some(text.chars().take(500).collect());
                }
                FromWorker::Ready(Ready::Rescue {
                    outcome,
                    answered,
                    confirmed,
                }) => {
                    self.answer = Some(match answered {
                        true => Ok(Answer {
                            text: outcome,
                            confirmed,
                        }),
                        false => Err(outcome),
                    });
                }
                _ => {}
            }
        }
        self.running.read_output(now);
        if now >= self.kill_at {
            self.running.kill();
        }
        let how = self.running.ended()?;
        self.running.finish_output(now);
        Some(self.answer.take().unwrap_or_else(|| {
            Err(match self.running.fatal.take() {
                Some(text) => text,
                None => format!("the attempt {how}"),
            })
        }))
    }

    /// Ends it; its answer does not matter any more.
    pub fn kill(mut self) {
        self.running.kill();
        // It is reaped when its handle goes.
        let _ = self.running.ended();
    }
}

/// The attempts that go on.
#[derive(Debug, Default)]
pub struct Rescues {
    open: Vec<(Attempt, Courier)>,
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
        let errand = Errand {
            target: armed.peers.get(attempt.peer).cloned().unwrap_or_default(),
            transaction,
            check,
            expected,
            within: setup.config.destake.attempt.0.max(100),
        };
        let courier = Courier::start(setup, errand, now);
        let courier = courier.map_err(|fatal| Outcome::Failed(fatal.text))?;
        self.open.push((attempt, courier));
        Ok(())
    }

    /// The processes.
    pub fn running(&self) -> impl Iterator<Item = &Running> {
        self.open.iter().map(|(_, courier)| courier.running())
    }

    /// When the next one is killed.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.open.iter().map(|(_, courier)| courier.kill_at()).min()
    }

    /// Ends them all; their outcomes don't matter any more.
    pub fn kill(&mut self) {
        for (_, courier) in self.open.drain(..) {
            courier.kill();
        }
    }

    /// Hears what they say; those that ended are returned with their outcome.
    pub fn turn(&mut self, now: u64) -> Vec<(Attempt, Outcome)> {
        let mut ended = Vec::new();
        self.open
            .retain_mut(|(attempt, courier)| match courier.turn(now) {
                None => true,
                Some(answer) => {
                    ended.push((*attempt, outcome(*attempt, answer)));
                    false
                }
            });
        ended
    }
}

fn outcome(attempt: Attempt, answer: Result<Answer, String>) -> Outcome {
    match (attempt.task, answer) {
        (_, Err(text)) => Outcome::Failed(text),
        (Task::Ask, Ok(answer)) if answer.text == "nil" => Outcome::Sequence(None),
        (Task::Ask, Ok(answer)) => match answer.text.parse() {
            Ok(sequence) => Outcome::Sequence(Some(sequence)),
            Err(_) => Outcome::Failed(format!("no sequence number: {}", answer.text)),
        },
        (Task::Send(_), Ok(answer)) if answer.confirmed => Outcome::Gone,
        (Task::Send(_), Ok(answer)) => Outcome::Still(answer.text),
    }
}
