//! The line server around the reference, as a child process (`README.md` has its protocol).

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::Value;

/// Seconds that the reference may take for one request.
const TIMEOUT: &str = "60";

/// Exit code of `run-oracle` on a machine that lacks what it needs.
const LACKING: i32 = 77;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// This machine lacks Java, Maven or the library. Tests skip.
    #[error("the reference can't run on this machine (no Java, Maven or library, see above)")]
    Lacking,
    /// The server can't be started.
    #[error("the oracle {command} can't be started: {why}")]
    Start {
        /// The command.
        command: String,
        /// The system's reason.
        why: std::io::Error,
    },
    /// The server ended or said something that isn't in the protocol.
    #[error("the oracle stopped answering: {0}")]
    Broken(String),
    /// The server could not do what a set-up request asks.
    #[error("the oracle refused {request}: {answer}")]
    Refused {
        /// The request's beginning.
        request: String,
        /// All it said.
        answer: String,
    },
}

/// A running reference.
///
/// Requests are sent ahead of the answers. A server that takes too long for a request ends itself; it is started
/// again, brought to the state that [`Oracle::set_up`] made, and goes on after that request.
pub struct Oracle {
    command: String,
    process: Process,
    set_up: Vec<String>,
    version: String,
}

struct Process {
    child: Child,
    requests: Option<Sender<String>>,
    replies: Receiver<String>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input ends the server, also one that works on something.
        self.requests = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(command: &str) -> Result<Self, OracleError> {
        let failed = |why| OracleError::Start {
            command: command.to_owned(),
            why,
        };
        let mut words = command.split_whitespace();
        let program = words.next().unwrap_or_default();
        let mut child = Command::new(program)
            .args(words)
            .env("ORACLE_TIMEOUT", TIMEOUT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(OracleError::Broken("no pipes".to_owned()));
        };
        let (requests, queue) = channel::<String>();
        std::thread::spawn(move || {
            let mut stdin = BufWriter::new(stdin);
            while let Ok(mut line) = queue.recv() {
                line.push('\n');
                // A server that has gone shows at the other end.
                if stdin.write_all(line.as_bytes()).is_err() {
                    return;
                }
                for mut line in queue.try_iter() {
                    line.push('\n');
                    if stdin.write_all(line.as_bytes()).is_err() {
                        return;
                    }
                }
                if stdin.flush().is_err() {
                    return;
                }
            }
        });
        let (answers, replies) = channel::<String>();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if answers.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            requests: Some(requests),
            replies,
        })
    }

    fn send(&self, line: &str) {
        if let Some(requests) = &self.requests {
            // When the writer is gone, so is the server: the missing answer tells.
            let _ = requests.send(line.to_owned());
        }
    }

    fn receive(&mut self) -> Result<Value, OracleError> {
        match self.replies.recv() {
            Ok(line) => serde_json::from_str(&line)
                .map_err(|why| OracleError::Broken(format!("{why} in {line:.200}"))),
            Err(_) => match self.child.wait() {
                Ok(status) if status.code() == Some(LACKING) => Err(OracleError::Lacking),
                Ok(status) => Err(OracleError::Broken(format!("it ended with {status}"))),
                Err(why) => Err(OracleError::Broken(why.to_string())),
            },
        }
    }
}

/// The oracle of this tree.
#[must_use]
pub fn own_oracle() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("run-oracle")
        .display()
        .to_string()
}

/// The oracle that tests use: what `CONVEXD_ORACLE` says, else that of this tree.
#[must_use]
pub fn chosen_oracle() -> String {
    std::env::var("CONVEXD_ORACLE").unwrap_or_else(|_| own_oracle())
}

impl Oracle {
    /// Starts the oracle that tests use. `None`, with a word about it, where the reference can't run.
    ///
    /// # Panics
    /// When it can run but does not start.
    #[must_use]
    pub fn chosen() -> Option<Self> {
        match Self::start(&chosen_oracle()) {
            Ok(oracle) => Some(oracle),
            Err(OracleError::Lacking) => {
                println!("skipped: {}", OracleError::Lacking);
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts the server: a program and its arguments, separated by spaces.
    ///
    /// # Errors
    /// [`OracleError::Lacking`] where it can't run.
    pub fn start(command: &str) -> Result<Self, OracleError> {
        let mut oracle = Self {
            command: command.to_owned(),
            process: Process::start(command)?,
            set_up: Vec::new(),
            version: String::new(),
        };
        let hello = oracle.request("hello")?;
        let library = hello["library"].as_str().unwrap_or_default();
        oracle.version = library
            .trim_start_matches("convex-core-")
            .trim_end_matches(".jar")
            .to_owned();
        Ok(oracle)
    }

    /// Release of the reference, `0.8.0` for example.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// One request that must succeed, and that is repeated whenever the server has to be started again.
    ///
    /// # Errors
    /// When it fails.
    pub fn set_up(&mut self, request: &str) -> Result<Value, OracleError> {
        self.set_up.push(request.to_owned());
        self.request(request)
    }

    /// The requests that made the state it is in.
    #[must_use]
    pub fn requests_of_set_up(&self) -> &[String] {
        &self.set_up
    }

    fn request(&mut self, request: &str) -> Result<Value, OracleError> {
        self.process.send(request);
        let answer = self.process.receive()?;
        if answer.get("fail").is_some() {
            return Err(OracleError::Refused {
                request: request.chars().take(200).collect(),
                answer: answer.to_string(),
            });
        }
        Ok(answer)
    }

    /// Sends requests without waiting; [`Oracle::answers`] has what comes back.
    pub fn send(&mut self, requests: &[String]) {
        for request in requests {
            self.process.send(request);
        }
    }

    /// The answers to the requests last sent. One that took too long is answered by an object whose `fail` is
    /// `Timeout`.
    ///
    /// # Errors
    /// When the server is broken.
    pub fn answers(&mut self, requests: &[String]) -> Result<Vec<Value>, OracleError> {
        let mut answers: Vec<Value> = Vec::with_capacity(requests.len());
        while answers.len() < requests.len() {
            let answer = self.process.receive()?;
            let late = answer["fail"] == "Timeout";
            answers.push(answer);
            if late {
                self.process = Process::start(&self.command)?;
                for request in self.set_up.clone() {
                    self.request(&request)?;
                }
                self.send(&requests[answers.len()..]);
            }
        }
        Ok(answers)
    }

    /// Sends requests and waits for the answers.
    ///
    /// # Errors
    /// As [`Oracle::answers`].
    pub fn ask(&mut self, requests: &[String]) -> Result<Vec<Value>, OracleError> {
        self.send(requests);
        self.answers(requests)
    }
}
