//! Answers to data requests, straight from the store, on a thread of their own: a cell that is not in the cache of the system has to be
//! waited for, and the connections must not.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, mem, thread};

use cells::Cell;
use etch::{ControlView, Reader};
use ipc::net::Connection;
use mio::Waker;
use wire::{AnswerError, Code, DataRequest, Reply, answer_data};

/// Stack of the thread. Requests and cells are walked without recursion.
const STACK: usize = 1 << 20;
/// How long a request waits for a store: when `stored` is started again, a new one comes.
const PATIENCE: Duration = Duration::from_secs(8);

/// An answer, a message for the connection that asked.
#[derive(Debug)]
pub struct Answer {
    /// Who asked.
    pub connection: Connection,
    /// The message.
    pub body: Vec<u8>,
    /// Why it says that there is none, if so.
    pub failure: Option<String>,
}

#[derive(Debug)]
struct Asked {
    connection: Connection,
    request: DataRequest,
    until: Instant,
}

/// The thread and its queues.
#[derive(Debug)]
pub struct DataService {
    shared: Arc<Shared>,
    capacity: usize,
}

#[derive(Debug)]
struct Shared {
    queues: Mutex<Queues>,
    changed: Condvar,
    waker: Arc<Waker>,
    longest: usize,
}

#[derive(Debug, Default)]
struct Queues {
    requests: VecDeque<Asked>,
    answers: Vec<Answer>,
    store: Option<Arc<Reader>>,
    /// How many stores there were.
    stores: u64,
    ended: bool,
}

impl DataService {
    /// Starts the thread. At most `capacity` requests wait; answers are at most `longest` bytes long. `waker` is woken for answers.
    ///
    /// # Errors
    /// When there can't be another thread.
    pub fn start(capacity: usize, longest: usize, waker: Arc<Waker>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            changed: Condvar::new(),
            waker,
            longest,
        });
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("data".to_owned())
            .stack_size(STACK)
            .spawn(move || of_thread.serve())?;
        Ok(Self { shared, capacity })
    }

    /// Reads from this store from now on: the file, and its control page.
    ///
    /// # Errors
    /// When they are no store.
    pub fn set_store(&self, file: OwnedFd, control: OwnedFd) -> Result<(), etch::Error> {
        let control = ControlView::from_file(&File::from(control))?;
        let reader = Reader::follow(File::from(file), Path::new("(store)"), control)?;
        let mut queues = self.shared.lock();
        queues.store = Some(Arc::new(reader));
        queues.stores += 1;
        self.shared.changed.notify_one();
        Ok(())
    }

    /// True when one more request may wait.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.shared.lock().requests.len() < self.capacity
    }

    /// Has a request answered.
    pub fn ask(&self, connection: Connection, request: DataRequest) {
        let until = Instant::now() + PATIENCE;
        self.shared.lock().requests.push_back(Asked {
            connection,
            request,
            until,
        });
        self.shared.changed.notify_one();
    }

    /// The answers that are there.
    #[must_use]
    pub fn answers(&self) -> Vec<Answer> {
        mem::take(&mut self.shared.lock().answers)
    }
}

impl Drop for DataService {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        // Nothing is half changed where a thread could end.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        loop {
            let mut queues = self.lock();
            while queues.requests.is_empty() && !queues.ended {
                queues = self
                    .changed
                    .wait(queues)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if queues.ended {
                return;
            }
            let Some(asked) = queues.requests.pop_front() else {
                continue;
            };
            drop(queues);
            let (body, failure) = self.answer(&asked.request, asked.until);
            self.lock().answers.push(Answer {
                connection: asked.connection,
                body,
                failure,
            });
            if let Err(error) = self.waker.wake() {
                log::error!("waking for an answer: {error}");
            }
        }
    }

    /// The message that answers a request, and why it is an error.
    fn answer(&self, request: &DataRequest, until: Instant) -> (Vec<u8>, Option<String>) {
        let mut used = 0;
        loop {
            let Some((store, number)) = self.store_after(used, until) else {
                let text = "The store is not available";
                return (
                    error_reply(&request.id, Code::Load, text),
                    Some(text.to_owned()),
                );
            };
            used = number;
            let found = answer_data(request, self.longest, |hash| store.get(&hash.0));
            match found {
                Ok(body) => return (body, None),
                // Its writer is gone; a new one brings a new store.
                Err(AnswerError::Store(etch::Error::Unproven { .. })) => {}
                Err(AnswerError::Id(error)) => {
                    let text = "Bad Message Format!";
                    let body = error_reply(&Cell::Nil, Code::Format, text);
                    return (body, Some(error.to_string()));
                }
                Err(error) => {
                    // What exactly is wrong with the store is the operator's business.
                    let body = error_reply(&request.id, Code::Io, "The store can't be read");
                    return (body, Some(error.to_string()));
                }
            }
        }
    }

    /// A store that came after the first `used`, waited for at most until then.
    fn store_after(&self, used: u64, until: Instant) -> Option<(Arc<Reader>, u64)> {
        let mut queues = self.lock();
        loop {
            if queues.ended {
                return None;
            }
            if queues.stores > used
                && let Some(store) = &queues.store
            {
                return Some((Arc::clone(store), queues.stores));
            }
            let left = until.checked_duration_since(Instant::now())?;
            let waited = self.changed.wait_timeout(queues, left);
            queues = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn error_reply(id: &Cell, code: Code, text: &str) -> Vec<u8> {
    let reply = Reply {
        id: id.clone(),
        ..Reply::rejected(0, code, text)
    };
    // An id with parts that did not come along can't be given back.
    reply.encode().unwrap_or_default()
}
