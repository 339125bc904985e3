//! A peer with stake that lies: a program of the tests that speaks the protocol of the network with a key of it.
//!
//! It listens where its peer is expected, proves its key to who asks, tells a status, and answers requests for data from a branch that goes
//! on and on. Over connections of its own it sends what a test wants sent.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cells::{Blob, Cell, Decoder, Hash, Ref, Signed, Vector};
use consensus::{Belief, Order};
use crypto::SigningKey;
use cvm::state::Block;
use signing::challenge::ReceivedChallenge;
use wire::{DataRequest, FrameLimits, FrameReader, Message, Reply, Status, answer_data};

/// Values one below the other, more than anybody gets through.
const DEEP: u32 = 60_000;
/// How long a message may take to be taken by who is flooded.
const PATIENCE: Duration = Duration::from_secs(20);
/// After this time another belief asks for a challenge anew (`spec/06 §8.3`), and how often one is sent.
const ANEW: Duration = Duration::from_millis(5_500);
const ATTEMPTS: u32 = 10;
const WIDE: FrameLimits = FrameLimits {
    belief: wire::MAX_MESSAGE,
    result: wire::MAX_MESSAGE,
    request: wire::MAX_MESSAGE,
};

/// The peer. Dropped, it closes what was opened to it.
pub struct Hostile {
    shared: Arc<Shared>,
}

struct Shared {
    key: SigningKey,
    network: Hash,
    /// The cells of the branch, by hash.
    deep: HashMap<Hash, Vec<u8>>,
    top: Hash,
    served: AtomicUsize,
    proofs: AtomicUsize,
    over: AtomicBool,
}

/// A connection of its own to somebody.
pub struct Line {
    stream: TcpStream,
    proven: Receiver<()>,
}

fn read_frames(mut stream: &TcpStream, mut each: impl FnMut(&[u8]) -> bool) {
    let mut reader = FrameReader::new(WIDE);
    let mut chunk = vec![0; 1 << 16];
    while let Ok(length) = stream.read(&mut chunk)
        && length > 0
    {
        let mut input = &chunk[..length];
        while let Ok(Some(body)) = reader.read(&mut input) {
            if !each(&body) {
                return;
            }
        }
    }
}

fn send(mut stream: &TcpStream, message: &Message) -> bool {
    let body = message.encode().expect("in memory");
    stream
        .write_all(&wire::frame(&body).expect("a frame"))
        .is_ok()
}

/// Values each of which holds the one before; and the last.
fn deep() -> (HashMap<Hash, Vec<u8>>, Hash) {
    let mut cells = HashMap::new();
    let mut below: Option<Hash> = None;
    for i in 0..DEEP {
        // Too long to stand in its parent.
        let mut bytes = [7; 120];
        bytes[..4].copy_from_slice(&i.to_be_bytes());
        let filling = [bytes, [8; 120]].map(|bytes| Ref::new(Cell::from(Blob::new(&bytes))));
        let branch = below.map(|hash| Ref::branch(hash, None));
        let cell = Cell::from(Vector::from_refs(filling.into_iter().chain(branch)));
        cells.insert(cell.hash(), cell.encode());
        below = Some(cell.hash());
    }
    (cells, below.expect("values"))
}

impl Shared {
    fn answer(&self, stream: &TcpStream, message: Message) -> bool {
        let reply = match message {
            Message::Challenge { id, signed } => {
                let challenge = ReceivedChallenge::read(&signed).expect("a challenge");
                self.proofs.fetch_add(1, Ordering::Relaxed);
                Reply::ok(id, Cell::from(Signed::sign(&self.key, challenge.answer())))
            }
            Message::Status { id } => {
                let status = Status {
                    belief: self.top,
                    genesis: self.network,
                    peer: self.key.account_key(),
                    state: self.top,
                    points: [0; 4],
                };
                Reply::ok(id, status.to_cell())
            }
            Message::DataRequest(request) => return self.serve(stream, &request),
            _ => return true,
        };
        send(stream, &Message::Result(reply))
    }

    fn serve(&self, mut stream: &TcpStream, request: &DataRequest) -> bool {
        self.served.fetch_add(1, Ordering::Relaxed);
        let body = answer_data(request, 8 << 20, |hash| {
            Ok::<_, std::convert::Infallible>(self.deep.get(hash).cloned())
        });
        let body = body.expect("in memory");
        stream
            .write_all(&wire::frame(&body).expect("a frame"))
            .is_ok()
    }

    fn attend(&self, stream: &TcpStream, proven: Option<&Sender<()>>) {
        read_frames(stream, |body| {
            match Message::decode(body, &Decoder::new().generic()) {
                Ok(Ok(message)) => {
                    let challenged = matches!(message, Message::Challenge { .. });
                    let goes_on = self.answer(stream, message);
                    if let (true, Some(proven)) = (challenged, proven) {
                        // Nobody may wait for it any more.
                        let _ = proven.send(());
                    }
                    goes_on && !self.over.load(Ordering::Relaxed)
                }
                // Beliefs, which are of no interest.
                _ => !self.over.load(Ordering::Relaxed),
            }
        });
    }
}

impl Hostile {
    /// A peer with this key in this network, listening there.
    ///
    /// # Panics
    /// When it can't listen.
    #[must_use]
    pub fn start(key: SigningKey, network: Hash, endpoint: &str) -> Self {
        let (deep, top) = deep();
        let shared = Arc::new(Shared {
            key,
            network,
            deep,
            top,
            served: AtomicUsize::new(0),
            proofs: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let listener = TcpListener::bind(endpoint).expect("the place of the peer");
        let own = shared.clone();
        std::thread::spawn(move || {
            let open = Arc::new(Mutex::new(Vec::<TcpStream>::new()));
            for stream in listener.incoming().flatten() {
                if own.over.load(Ordering::Relaxed) {
                    break;
                }
                let own = own.clone();
                let kept = stream.try_clone().expect("a descriptor");
                open.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(kept);
                std::thread::spawn(move || own.attend(&stream, None));
            }
            for stream in open.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                // It fails when the other side was faster.
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        Self { shared }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.shared.key
    }

    /// Requests for data that it answered.
    #[must_use]
    pub fn served(&self) -> usize {
        self.shared.served.load(Ordering::Relaxed)
    }

    /// Challenges that it answered.
    #[must_use]
    pub fn proofs(&self) -> usize {
        self.shared.proofs.load(Ordering::Relaxed)
    }

    /// Connects to somebody.
    ///
    /// # Panics
    /// When that is refused.
    #[must_use]
    pub fn dial(&self, endpoint: &str) -> Line {
        let stream = TcpStream::connect(endpoint).expect("a connection");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a time for writing");
        let (sender, proven) = channel();
        let (own, reading) = (
            self.shared.clone(),
            stream.try_clone().expect("a descriptor"),
        );
        std::thread::spawn(move || own.attend(&reading, Some(&sender)));
        Line { stream, proven }
    }

    /// A signed order.
    #[must_use]
    pub fn order(&self, order: &Order) -> Signed {
        Signed::sign(&self.shared.key, order.to_cell())
    }

    /// A signed block with these transactions.
    #[must_use]
    pub fn block(&self, timestamp: i64, transactions: Vector) -> Signed {
        let block = Block {
            timestamp,
            transactions,
        };
        Signed::sign(&self.shared.key, block.to_cell())
    }

    /// A signed block with a transaction that has no end.
    #[must_use]
    pub fn endless(&self, timestamp: i64) -> Signed {
        self.block(
            timestamp,
            Vector::from_refs([Ref::branch(self.shared.top, None)]),
        )
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

impl Line {
    /// Sends beliefs until the other side has asked for a proof of the key, and has got it.
    ///
    /// # Panics
    /// When it does not ask.
    pub fn prove(&mut self) {
        for _ in 0..ATTEMPTS {
            assert!(self.believe(&Belief::empty()), "the connection is closed");
            if self.proven.recv_timeout(ANEW).is_ok() {
                return;
            }
        }
        panic!("nobody asks for a proof");
    }

    /// Sends a belief with all of it that is in memory; false when the connection is closed.
    pub fn believe(&mut self, belief: &Belief) -> bool {
        self.say(&cells::encode_delta(&cells::novelty(
            &belief.to_cell(),
            |_| false,
        )))
    }

    /// Sends a message as it is; false when the connection is closed.
    pub fn say(&mut self, body: &[u8]) -> bool {
        let frame = wire::frame(body).expect("a frame");
        self.stream.write_all(&frame).is_ok()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // It fails when the other side was faster.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
