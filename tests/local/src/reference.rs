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
    /// Starts it with options of the virtual machine; `None`, with a word about it, where there is no Java.
    ///
    /// # Panics
    /// When it can't be built or started.
    #[must_use]
    pub fn start(options: &str) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/run-oracle");
        let built = Command::new(&script).arg("--build-only").status();
        let built = built.expect("the script runs");
        if built.code() == Some(SKIPPED) {
            eprintln!("skipped: the reference can't run here");
            return None;
        }
        assert!(built.success(), "the line server can't be built");
        let mut child = Command::new(script)
            .env("ORACLE_JAVA_OPTS", options)
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
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It fails only when the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
