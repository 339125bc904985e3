//! Who is asked for cells, how much at once, and who is left alone for a while.

use super::super::event::Connection;

/// Requests that one source has at once.
const PER_SOURCE: usize = 4;
/// Least hashes in a request to a source that is slow.
const LEAST: usize = 8;
/// Wait after a first failure, milliseconds, and after a first request without an answer; it doubles up to [`MAX_WAIT`].
const FIRST_WAIT: u64 = 250;
const SILENT_WAIT: u64 = 1_000;
const MAX_WAIT: u64 = 30_000;
/// How long nobody asks who sent something else than what was asked for, milliseconds.
const LIE_WAIT: u64 = 600_000;

/// What is wrong with a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No answer in time.
    Silent,
    /// An error, or nothing of what was asked for.
    Useless,
    /// Something else than what was asked for.
    Lied,
    /// What it names has no end.
    Endless,
}

/// The connections that cells can be asked for on.
#[derive(Debug, Default)]
pub struct Sources {
    list: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    connection: Connection,
    /// Requests under way.
    open: usize,
    /// Hashes in a request.
    most: usize,
    failures: u32,
    not_before: u64,
    lied: bool,
}

impl Sources {
    /// One more.
    pub fn opened(&mut self, connection: Connection) {
        if self.find(connection).is_none() {
            self.list.push(Source {
                connection,
                open: 0,
                most: wire::MAX_HASHES,
                failures: 0,
                not_before: 0,
                lied: false,
            });
        }
    }

    /// One less.
    pub fn closed(&mut self, connection: Connection) {
        self.list.retain(|source| source.connection != connection);
    }

    fn find(&mut self, connection: Connection) -> Option<&mut Source> {
        let mut list = self.list.iter_mut();
        list.find(|source| source.connection == connection)
    }

    /// Those that may have what is lacking: all that have not lied.
    #[must_use]
    pub fn honest(&self) -> Vec<Connection> {
        let honest = self.list.iter().filter(|source| !source.lied);
        honest.map(|source| source.connection).collect()
    }

    /// Those that may be asked now and how many hashes at once: those without failures first, and among them the least busy.
    #[must_use]
    pub fn free(&self, now: u64) -> Vec<(Connection, usize)> {
        let free = |source: &&Source| now >= source.not_before && source.open < PER_SOURCE;
        let mut free: Vec<&Source> = self.list.iter().filter(free).collect();
        free.sort_by_key(|source| (source.failures, source.open));
        let told = |source: &Source| (source.connection, source.most);
        free.into_iter().map(told).collect()
    }

    /// True when it may be asked, now or when it has answered something else.
    #[must_use]
    pub fn may_answer(&self, connection: Connection, now: u64) -> bool {
        let mut list = self.list.iter();
        list.any(|source| source.connection == connection && now >= source.not_before)
    }

    /// True when nothing is being asked there.
    #[must_use]
    pub fn is_idle(&self, connection: Connection) -> bool {
        let mut list = self.list.iter();
        list.any(|source| source.connection == connection && source.open == 0)
    }

    /// When the next one may be asked again that may not now.
    #[must_use]
    pub fn next(&self, now: u64) -> Option<u64> {
        let times = self.list.iter().map(|source| source.not_before);
        times.filter(|time| *time > now).min()
    }

    /// A request is under way.
    pub fn asked(&mut self, connection: Connection) {
        if let Some(source) = self.find(connection) {
            source.open += 1;
        }
    }

    /// It is over, well or not.
    pub fn over(&mut self, connection: Connection) {
        if let Some(source) = self.find(connection) {
            source.open = source.open.saturating_sub(1);
        }
    }

    /// It brought something.
    pub fn useful(&mut self, connection: Connection) {
        if let Some(source) = self.find(connection) {
            source.failures = 0;
            source.most = (source.most * 2).min(wire::MAX_HASHES);
        }
    }

    /// It is left alone for a while.
    pub fn failed(&mut self, connection: Connection, fault: Fault, now: u64) {
        let Some(source) = self.find(connection) else {
            return;
        };
        let first = match fault {
            Fault::Silent => SILENT_WAIT,
            _ => FIRST_WAIT,
        };
        let doubled = first << source.failures.min(16);
        source.failures += 1;
        source.not_before = now + doubled.min(MAX_WAIT);
        match fault {
            // What it is slow with may be too much at once.
            Fault::Silent => source.most = (source.most / 2).max(LEAST),
            Fault::Lied => {
                source.lied = true;
                source.not_before = now + LIE_WAIT;
            }
            Fault::Endless => source.not_before = now + MAX_WAIT,
            Fault::Useless => {}
        }
    }
}
