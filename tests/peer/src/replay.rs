//! A replayer of frames: sends what was prepared over several connections from one thread, reads no more of the answers than it must, and
//! measures.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Bytes that are read at once.
const READ: usize = 1 << 16;
/// Bytes that are handed to a socket at once.
const WRITE: usize = 1 << 16;
/// Time without any answer after which a run is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As many unanswered ones on each connection at most.
    Window(usize),
    /// So many a second over all connections, answered or not. The time of one counts from when it was due.
    Rate(u32),
}

/// What a run measured.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Answers without an error.
    pub succeeded: usize,
    /// Answers with one, by its encoding, the first of each kind.
    pub failed: usize,
    /// The first errors, as they were encoded.
    pub errors: Vec<String>,
    /// From the first byte sent to the last answer.
    pub took: Duration,
    /// From sending (or being due) to the answer, in microseconds, sorted.
    pub latencies: Vec<u64>,
}

impl Outcome {
    /// Answers a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (self.succeeded + self.failed) as f64 / self.took.as_secs_f64()
    }

    /// Latency that this many of a thousand answers do not exceed, in milliseconds.
    #[must_use]
    pub fn latency(&self, thousandth: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (self.latencies.len() * thousandth / 1000).min(last);
        self.latencies.get(at).map_or(0.0, |us| *us as f64 / 1e3)
    }
}

/// What goes over one connection: frames one after another, whose ids count from 0.
#[derive(Debug, Default, Clone)]
pub struct Script {
    bytes: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<usize>,
}

impl Script {
    /// Number of frames, which is the id of the next one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds the body of a message with that id.
    pub fn push(&mut self, body: &[u8]) {
        cells::vlq::write(&mut self.bytes, body.len() as u64);
        self.bytes.extend_from_slice(body);
        self.ends.push(self.bytes.len());
    }
}

struct Connection {
    stream: TcpStream,
    script: Script,
    /// Bytes sent, and frames of which at least a byte was.
    written: usize,
    begun: usize,
    /// Frames that may be sent.
    allowed: usize,
    answered: usize,
    sent_at: Vec<Instant>,
    input: Vec<u8>,
}

/// Sends the scripts, one on each connection, until all is answered.
///
/// # Errors
/// When a connection fails, an answer is no result or to no request, or nothing is answered for long.
pub fn run(endpoint: &str, scripts: Vec<Script>, pace: Pace) -> io::Result<Outcome> {
    let total: usize = scripts.iter().map(Script::len).sum();
    let mut connections = Vec::new();
    for script in scripts {
        let stream = TcpStream::connect(endpoint)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        connections.push(Connection {
            stream,
            sent_at: Vec::with_capacity(script.len()),
            script,
            written: 0,
            begun: 0,
            allowed: 0,
            answered: 0,
            input: Vec::new(),
        });
    }
    let mut outcome = Outcome {
        latencies: Vec::with_capacity(total),
        ..Outcome::default()
    };
    let start = Instant::now();
    let mut heard = start;
    let mut released = VecDeque::from_iter(0..total);
    let mut last = start;
    let mut chunk = vec![0; READ];
    while outcome.latencies.len() < total {
        let now = Instant::now();
        let mut wait = PATIENCE.saturating_sub(now - heard);
        if wait.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "no answer for long",
            ));
        }
        match pace {
            Pace::Window(window) => {
                for c in &mut connections {
                    c.allowed = c.script.len().min(c.answered + window);
                }
            }
            Pace::Rate(rate) => {
                let due_of = |n: usize| {
                    start + Duration::from_nanos(n as u64 * 1_000_000_000 / u64::from(rate))
                };
                while let Some(&n) = released.front() {
                    let due = due_of(n);
                    if due > now {
                        wait = wait.min(due - now);
                        break;
                    }
                    released.pop_front();
                    if let Some(c) = next(&mut connections) {
                        c.allowed += 1;
                        c.sent_at.push(due);
                    }
                }
            }
        }
        for c in &mut connections {
            c.send(matches!(pace, Pace::Window(_)))?;
        }
        let mut fds: Vec<PollFd<'_>> = connections
            .iter()
            .map(|c| {
                let more = c.written < c.limit();
                let flags = if more {
                    PollFlags::IN | PollFlags::OUT
                } else {
                    PollFlags::IN
                };
                PollFd::new(&c.stream, flags)
            })
            .collect();
        let timeout = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        poll(&mut fds, Some(&timeout))?;
        let readable: Vec<bool> = fds
            .iter()
            .map(|fd| !(fd.revents() - PollFlags::OUT).is_empty())
            .collect();
        for (c, _) in connections
            .iter_mut()
            .zip(readable)
            .filter(|(_, readable)| *readable)
        {
            if c.receive(&mut chunk, &mut outcome)? {
                last = Instant::now();
                heard = last;
            }
        }
    }
    outcome.took = last - start;
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

/// The connection that is furthest behind in what it may send.
fn next(connections: &mut [Connection]) -> Option<&mut Connection> {
    let part = |c: &Connection| c.allowed as f64 / c.script.len() as f64;
    connections
        .iter_mut()
        .filter(|c| c.allowed < c.script.len())
        .min_by(|a, b| part(a).total_cmp(&part(b)))
}

impl Connection {
    /// Bytes that may have been sent.
    fn limit(&self) -> usize {
        self.allowed
            .checked_sub(1)
            .map_or(0, |n| self.script.ends[n])
    }

    fn send(&mut self, note_times: bool) -> io::Result<()> {
        while self.written < self.limit() {
            let end = self.limit().min(self.written + WRITE);
            match self.stream.write(&self.script.bytes[self.written..end]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if note_times {
            let now = Instant::now();
            while self.begun < self.allowed && self.start_of(self.begun) < self.written {
                self.sent_at.push(now);
                self.begun += 1;
            }
        }
        Ok(())
    }

    fn start_of(&self, frame: usize) -> usize {
        frame
            .checked_sub(1)
            .map_or(0, |before| self.script.ends[before])
    }

    fn receive(&mut self, chunk: &mut [u8], outcome: &mut Outcome) -> io::Result<bool> {
        match self.stream.read(chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => self.input.extend_from_slice(&chunk[..length]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        let mut used = 0;
        let mut any = false;
        while let Some((length, prefix)) = cells::vlq::read(&self.input[used..]) {
            let start = used + prefix;
            let Some(body) = self.input.get(start..start + length as usize) else {
                break;
            };
            used = start + body.len();
            let Some(answer) = peek(body) else {
                // A challenge or a belief is for others to answer.
                continue;
            };
            let sent = usize::try_from(answer.id)
                .ok()
                .and_then(|id| self.sent_at.get(id));
            let sent = sent.ok_or_else(|| {
                io::Error::other(format!("an answer to no request: {}", answer.id))
            })?;
            outcome
                .latencies
                .push(now.saturating_duration_since(*sent).as_micros() as u64);
            self.answered += 1;
            any = true;
            if answer.failed {
                outcome.failed += 1;
                if outcome.errors.len() < 3 {
                    outcome
                        .errors
                        .push(hex::encode(&body[..body.len().min(120)]));
                }
            } else {
                outcome.succeeded += 1;
            }
        }
        self.input.drain(..used);
        Ok(any)
    }
}

struct Answer {
    id: i64,
    failed: bool,
}

/// Id of a result, and whether its error is something; `None` for other messages.
fn peek(body: &[u8]) -> Option<Answer> {
    let [0xdd, 5, rest @ ..] = body else {
        return None;
    };
    let (id, rest) = integer(rest)?;
    // A value that is a number is passed over; any other result is read in full.
    let failed = match integer(rest) {
        Some((_, [error, ..])) => *error != 0,
        _ => {
            let (payload, _) = cells::decode_partial(body, &cells::Decoder::new()).ok()?;
            match wire::Message::read(payload) {
                Ok(wire::Message::Result(reply)) => reply.error != cells::Cell::Nil,
                _ => return None,
            }
        }
    };
    Some(Answer { id, failed })
}

/// A small integer and what follows.
fn integer(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let length = usize::from(tag.checked_sub(0x10).filter(|length| *length <= 8)?);
    let (digits, rest) = rest.split_at_checked(length)?;
    let mut value = if digits.first().is_some_and(|first| *first >= 0x80) {
        -1
    } else {
        0
    };
    for digit in digits {
        value = value << 8 | i64::from(*digit);
    }
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::Cell;
    use wire::{Code, Reply};

    #[test]
    fn ids_and_errors_of_results_are_seen_without_decoding() {
        for id in [0, 1, 127, 128, 1_000_000, -1] {
            let good = Reply::ok(id, Cell::Long(1234)).encode().unwrap();
            let answer = peek(&good).unwrap();
            assert_eq!((answer.id, answer.failed), (id, false));
            let bad = Reply::error(id, Code::Sequence, "Old sequence number")
                .encode()
                .unwrap();
            let answer = peek(&bad).unwrap();
            assert_eq!((answer.id, answer.failed), (id, true));
        }
        let text = Reply::ok(5, Reply::ok(1, Cell::Nil).to_cell())
            .encode()
            .unwrap();
        assert!(peek(&text).is_some_and(|answer| answer.id == 5 && !answer.failed));
        assert!(peek(&[0x80, 0]).is_none());
    }
}
