//! The reference peer as a process, for measurements beside it.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running reference peer. Dropped, it is killed.
#[derive(Debug)]
pub struct Reference {
    child: Child,
    endpoint: String,
}

/// Exit code of the launcher where the reference can't be had.
const MISSING: i32 = 77;

impl Reference {
    /// Starts it with a genesis state and a peer key; how long it took until it was at work. `None` where it can't be had.
    ///
    /// # Errors
    /// When it doesn't start.
    pub fn start(
        genesis: &Path,
        seed: &[u8; 32],
        store: &Path,
    ) -> io::Result<Option<(Self, Duration)>> {
        let launcher = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/run-reference");
        let built = Command::new(&launcher).arg("--build-only").status()?;
        if built.code() == Some(MISSING) {
            return Ok(None);
        }
        let started = Instant::now();
        let mut child = Command::new(&launcher)
            .arg(genesis)
            .arg(hex::encode(seed))
            .arg(store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut reference = Self {
            child,
            endpoint: String::new(),
        };
        for line in BufReader::new(output).lines() {
            if let Some(port) = line?.strip_prefix("READY ") {
                reference.endpoint = format!("127.0.0.1:{port}");
                return Ok(Some((reference, started.elapsed())));
            }
        }
        Err(io::Error::other("the reference did not start"))
    }

    /// Where it is reached.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends its input, upon which it stops in good order.
    pub fn stop(mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
