//! A chain from files, served as a peer would: what it takes for the first peer of a test to join a network that is not there.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::{fs, thread};

use cells::{Cell, Decoder, Hash};
use consensus::{Belief, Order};
use crypto::SigningKey;
use wire::{FrameLimits, FrameReader, Message, Reply, Status, answer_data, frame};

/// A genesis state and a belief on it.
#[derive(Debug)]
pub struct Archive {
    /// Hash of the genesis state.
    pub network: Hash,
    /// Where it is served.
    pub endpoint: String,
    /// Blocks in the longest order.
    pub blocks: u64,
    /// Cells of both.
    pub cells: usize,
    /// Bytes of their encodings.
    pub bytes: usize,
}

struct Served {
    cells: HashMap<Hash, Vec<u8>>,
    status: Status,
}

impl Archive {
    /// Serves what is in two files, until the process ends.
    ///
    /// # Panics
    /// When they can't be read.
    #[must_use]
    pub fn serve(genesis: &Path, belief: &Path) -> Self {
        let read = |path: &Path| {
            let bytes = fs::read(path).expect("a file");
            cells::decode_message(&bytes, &Decoder::new()).expect("a value")
        };
        let (genesis, belief) = (read(genesis), read(belief));
        let mut cells = HashMap::new();
        for value in [&genesis, &belief] {
            for cell in cells::novelty(value, |_| false) {
                cells.insert(cell.hash(), cell.encode());
            }
        }
        let orders = Belief::from_cell(&belief).expect("a belief");
        let blocks = orders.orders().iter().map(|entry| {
            let (_, signed) = entry.expect("an order");
            let Cell::Signed(signed) = signed else {
                panic!("no order");
            };
            let order = signed.value().expect("an order");
            Order::from_cell(&order).expect("an order").blocks.count()
        });
        let blocks = blocks.max().unwrap_or(0);
        let point = blocks as i64;
        let status = Status {
            belief: belief.hash(),
            genesis: genesis.hash(),
            peer: SigningKey::from_seed(&[1; 32]).account_key(),
            state: genesis.hash(),
            points: [point as u64; 4],
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let archive = Self {
            network: genesis.hash(),
            endpoint: listener.local_addr().expect("an address").to_string(),
            blocks,
            cells: cells.len(),
            bytes: cells.values().map(Vec::len).sum(),
        };
        let served = Arc::new(Served { cells, status });
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let served = served.clone();
                // Whoever asked for more than there is has gone.
                thread::spawn(move || served.answer(stream));
            }
        });
        archive
    }
}

impl Served {
    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut frames = FrameReader::new(FrameLimits::ACCEPTED);
        let mut chunk = [0; 1 << 16];
        loop {
            let length = stream.read(&mut chunk)?;
            if length == 0 {
                return Ok(());
            }
            let mut input = &chunk[..length];
            while let Some(body) = frames.read(&mut input).map_err(io::Error::other)? {
                let answer = match Message::decode(&body, &Decoder::new().generic()) {
                    Ok(Ok(Message::Status { id })) => {
                        Reply::ok(id, self.status.to_cell()).encode().ok()
                    }
                    Ok(Ok(Message::DataRequest(request))) => {
                        let find = |hash: &Hash| Ok::<_, Infallible>(self.cells.get(hash).cloned());
                        answer_data(&request, cells::MAX_MESSAGE, find).ok()
                    }
                    _ => None,
                };
                if let Some(answer) = answer.and_then(|answer| frame(&answer)) {
                    stream.write_all(&answer)?;
                }
            }
        }
    }
}
