//! Peers of the reference, in the line server of `tests/interop`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Exit code of the script on a machine without Java.
const SKIPPED: i32 = 77;

/// A process with peers of the reference.
#[derive(Debug)]
pub struct Reference {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reference {
    /// Starts it; `None`, with a word about it, where there is no Java.
    ///
    /// # Panics
    /// When it can't be built or started.
    #[must_use]
    pub fn start() -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/run-oracle");
        let built = Command::new(&script).arg("--build-only").status();
        let built = built.expect("the script runs");
        if built.code() == Some(SKIPPED) {
            eprintln!("skipped: the reference can't run here");
            return None;
        }
        assert!(built.success(), "the line server can't be built");
        let mut child = Command::new(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the line server starts");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Some(Self {
            child,
            input,
            output,
        })
    }

    /// One request.
    ///
    /// # Panics
    /// When it fails.
    pub fn ask(&mut self, request: &str) -> Value {
        writeln!(self.input, "{request}").expect("the line server runs");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        let reply: Value = serde_json::from_str(&line).expect("an object");
        assert!(reply.get("fail").is_none(), "{request}: {reply}");
        reply
    }

    /// A peer with this seed, on a genesis state in a file; answers its number and where it listens.
    ///
    /// # Panics
    /// When it does not start.
    pub fn peer(&mut self, genesis: &Path, seed: &str) -> (u64, String) {
        self.ask(&format!("state @{}", genesis.display()));
        let reply = self.ask(&format!("peer-start {seed}"));
        let number = reply["peer"].as_u64().expect("a number");
        (number, format!("127.0.0.1:{}", reply["port"]))
    }

    /// Blocks that a peer has executed, and the state after them in hex.
    pub fn standing(&mut self, peer: u64) -> (u64, String) {
        let reply = self.ask(&format!("peer-where {peer}"));
        let state = reply["state"].as_str().unwrap_or_default().to_lowercase();
        (reply["blocks"].as_u64().unwrap_or(0), state)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It fails only when the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
