//! What consensus has been asked and has not answered yet, and who may ask more.
//!
//! Requests of all connections share one room. A connection may have as much of it as a quarter of what is free. So one
//! alone gets a fifth of the room, many greedy ones get equal parts, and there is always some left for one that has just begun.

use std::collections::VecDeque;

use wire::Kind;

/// Room for requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Requests.
    pub count: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// How much of the room is taken.
#[derive(Debug, Clone)]
pub struct Flow {
    room: Room,
    taken: Room,
}

/// Bytes that a connection without a request may ask whatever others have: the longest request (`wire::FrameLimits::ACCEPTED`).
const ONE: usize = 1 << 20;
/// A connection may have this part of what is free.
const SHARE: usize = 4;

impl Flow {
    /// An empty room.
    #[must_use]
    pub fn new(room: Room) -> Self {
        Self {
            room,
            taken: Room { count: 0, bytes: 0 },
        }
    }

    /// Whether a connection that has `asked` may ask a request of `bytes` more.
    #[must_use]
    pub fn admits(&self, asked: &Asked, bytes: usize) -> bool {
        let free_count = self.room.count.saturating_sub(self.taken.count);
        let free_bytes = self.room.bytes.saturating_sub(self.taken.bytes);
        let one_fits = free_count > 0 && bytes <= free_bytes;
        let few = asked.requests.len() < (free_count / SHARE).max(1);
        let short = asked.bytes + bytes <= (free_bytes / SHARE).max(ONE);
        one_fits && few && short
    }

    /// Notes a request of a connection.
    pub fn ask(&mut self, asked: &mut Asked, request: Request) {
        self.taken.count += 1;
        self.taken.bytes += request.bytes as usize;
        asked.bytes += request.bytes as usize;
        asked.requests.push_back(request);
    }

    /// Notes an answer: the request of this id, else (an answer without an id, or with one that nobody asked) the oldest. `None`
    /// when the connection has not asked anything.
    pub fn answered(&mut self, asked: &mut Asked, id: Option<i64>) -> Option<Request> {
        let place = asked.requests.iter().position(|r| Some(r.id) == id);
        let request = asked.requests.remove(place.unwrap_or(0))?;
        if asked.requests.is_empty() {
            // Idle connections keep no memory.
            asked.requests = VecDeque::new();
        }
        asked.bytes -= request.bytes as usize;
        self.release(1, request.bytes as usize);
        Some(request)
    }

    /// Nothing that a connection asked will be answered: its requests, oldest first.
    pub fn forget(&mut self, asked: &mut Asked) -> VecDeque<Request> {
        let forgotten = std::mem::take(asked);
        self.release(forgotten.requests.len(), forgotten.bytes);
        forgotten.requests
    }

    fn release(&mut self, count: usize, bytes: usize) {
        self.taken.count = self.taken.count.saturating_sub(count);
        self.taken.bytes = self.taken.bytes.saturating_sub(bytes);
    }

    /// What is taken.
    #[must_use]
    pub fn taken(&self) -> Room {
        self.taken
    }
}

/// A request without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: i64,
    /// Its length.
    pub bytes: u32,
    /// Its type: query, transact or challenge.
    pub kind: Kind,
}

/// What one connection has asked.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    requests: VecDeque<Request>,
    bytes: usize,
}

impl Asked {
    /// True when everything is answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Requests without an answer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Bytes of memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.requests.capacity() * size_of::<Request>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: i64, bytes: u32) -> Request {
        Request {
            id,
            bytes,
            kind: Kind::Transact,
        }
    }

    /// Lets all ask until nobody may.
    fn saturate(flow: &mut Flow, flows: &mut [Asked], bytes: u32) {
        let mut more = true;
        while more {
            more = false;
            for asked in &mut *flows {
                if flow.admits(asked, bytes as usize) {
                    flow.ask(asked, request(0, bytes));
                    more = true;
                }
            }
        }
    }

    #[test]
    fn one_connection_gets_a_fifth_and_many_equal_parts_and_one_more_fits() {
        for n in [1, 2, 8, 100, 1000] {
            let mut flow = Flow::new(Room {
                count: 40_000,
                bytes: 64 << 20,
            });
            let mut flows = vec![Asked::default(); n];
            saturate(&mut flow, &mut flows, 300);
            let most = flows.iter().map(Asked::len).max().unwrap();
            let least = flows.iter().map(Asked::len).min().unwrap();
            let expected = 40_000 / (n + 4);
            assert!(
                most <= expected + 2 && least + 2 >= expected,
                "{n}: {least} to {most}, {expected}"
            );
            assert!(flow.admits(&Asked::default(), 300), "{n}");
        }
    }

    #[test]
    fn bytes_are_shared_too() {
        let mut flow = Flow::new(Room {
            count: 40_000,
            bytes: 64 << 20,
        });
        let mut flows = vec![Asked::default(); 20];
        saturate(&mut flow, &mut flows, 1 << 20);
        assert!(flow.taken().bytes <= 64 << 20);
        assert!(flow.admits(&Asked::default(), 1 << 20));
    }

    #[test]
    fn answers_free_what_they_answer() {
        let mut flow = Flow::new(Room {
            count: 100,
            bytes: 1000,
        });
        let mut asked = Asked::default();
        for id in [5, 6, 7, 6] {
            flow.ask(&mut asked, request(id, 10));
        }
        assert_eq!(flow.answered(&mut asked, Some(6)).unwrap().id, 6);
        assert_eq!(flow.answered(&mut asked, None).unwrap().id, 5);
        assert_eq!(flow.answered(&mut asked, Some(99)).unwrap().id, 7);
        assert_eq!(
            flow.taken(),
            Room {
                count: 1,
                bytes: 10
            }
        );
        assert_eq!(flow.forget(&mut asked).len(), 1);
        assert_eq!(flow.taken(), Room { count: 0, bytes: 0 });
        assert_eq!(flow.answered(&mut asked, Some(6)), None);
        assert_eq!(asked.held(), 0);
    }

    #[test]
    fn a_full_room_admits_nobody() {
        let mut flow = Flow::new(Room {
            count: 2,
            bytes: 100,
        });
        let mut a = Asked::default();
        flow.ask(&mut a, request(1, 10));
        assert!(!flow.admits(&a, 10), "one each when there is little");
        let mut b = Asked::default();
        assert!(!flow.admits(&b, 91));
        assert!(flow.admits(&b, 90));
        flow.ask(&mut b, request(1, 10));
        assert!(!flow.admits(&Asked::default(), 0));
    }
}
