//! Messages of the domain name system, made by hand, and a name server that gives them: what tests have `netd` look names up with.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const AAAA: u16 = 28;

pub const NXDOMAIN: u8 = 3;
pub const SERVFAIL: u8 = 2;
pub const REFUSED: u8 = 5;

/// A record.
#[derive(Debug, Clone)]
pub struct Record {
    pub name: String,
    pub kind: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
}

fn record(name: &str, kind: u16, data: Vec<u8>) -> Record {
    Record {
        name: name.to_owned(),
        kind,
        ttl: 60,
        data,
    }
}

/// A name as it is written in messages.
pub fn encode(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

pub fn address(name: &str, address: &str) -> Record {
    match address.parse().unwrap() {
        IpAddr::V4(v4) => record(name, A, v4.octets().to_vec()),
        IpAddr::V6(v6) => record(name, AAAA, v6.octets().to_vec()),
    }
}

pub fn alias(name: &str, of: &str) -> Record {
    record(name, CNAME, encode(of))
}

pub fn refers(name: &str, to: &str) -> Record {
    record(name, NS, encode(to))
}

pub fn authority(name: &str, minimum: u32) -> Record {
    let mut data = encode("ns.example");
    data.extend(encode("root.example"));
    for number in [1, 2, 3, 4, minimum] {
        data.extend(number.to_be_bytes());
    }
    record(name, SOA, data)
}

/// A message that was sent to a server.
#[derive(Debug, Clone)]
pub struct Query {
    pub bytes: Vec<u8>,
    pub name: String,
    pub kind: u16,
    pub tcp: bool,
}

impl Query {
    pub fn new(bytes: &[u8], tcp: bool) -> Self {
        let mut labels = Vec::new();
        let mut at = 12;
        while bytes[at] != 0 {
            let end = at + 1 + usize::from(bytes[at]);
            labels.push(String::from_utf8(bytes[at + 1..end].to_vec()).unwrap());
            at = end;
        }
        let kind = u16::from_be_bytes([bytes[at + 1], bytes[at + 2]]);
        assert_eq!(bytes.len(), at + 5, "one question and nothing else");
        Self {
            bytes: bytes.to_vec(),
            name: labels.join("."),
            kind,
            tcp,
        }
    }

    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// The answer of a server that recurses.
    pub fn answer(&self, code: u8, answers: &[Record], authority: &[Record]) -> Vec<u8> {
        let mut message = self.bytes.clone();
        message[2] = 0x81;
        message[3] = 0x80 | code;
        message[6..8].copy_from_slice(&(answers.len() as u16).to_be_bytes());
        message[8..10].copy_from_slice(&(authority.len() as u16).to_be_bytes());
        for record in answers.iter().chain(authority) {
            message.extend(encode(&record.name));
            message.extend(record.kind.to_be_bytes());
            message.extend(1u16.to_be_bytes());
            message.extend(record.ttl.to_be_bytes());
            message.extend((record.data.len() as u16).to_be_bytes());
            message.extend(&record.data);
        }
        message
    }

    /// Those of the records that are asked for; nothing when there is none.
    pub fn select(&self, records: &[Record]) -> Vec<u8> {
        let of_name = |r: &&Record| r.name == self.name;
        let wanted = |r: &&Record| of_name(r) && r.kind == self.kind;
        let answers: Vec<Record> = records.iter().filter(wanted).cloned().collect();
        let code = if records.iter().any(|r| of_name(&r)) {
            0
        } else {
            NXDOMAIN
        };
        let none = [authority("example", 30)];
        self.answer(code, &answers, if answers.is_empty() { &none } else { &[] })
    }

    /// The same answer, cut off.
    pub fn truncated(&self) -> Vec<u8> {
        let mut message = self.answer(0, &[], &[]);
        message[2] |= 2;
        message
    }
}

/// A name server on the loopback. Dropped, it ends.
pub struct NameServer {
    pub address: SocketAddr,
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl NameServer {
    /// Answers each question with the messages that `answers` gives.
    pub fn start(answers: impl Fn(&Query) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(answers);
        let over_udp = std::thread::spawn({
            let (ends, answers) = (ends.clone(), answers.clone());
            move || {
                let mut chunk = [0; 1024];
                while let Ok((length, from)) = udp.recv_from(&mut chunk) {
                    if ends.load(Ordering::Relaxed) {
                        break;
                    }
                    for answer in answers(&Query::new(&chunk[..length], false)) {
                        udp.send_to(&answer, from).unwrap();
                    }
                }
            }
        });
        let over_tcp = std::thread::spawn({
            let ends = ends.clone();
            move || {
                while let Ok((stream, _)) = tcp.accept() {
                    if ends.load(Ordering::Relaxed) {
                        break;
                    }
                    // Who asked may have gone.
                    let _ = serve(stream, &*answers);
                }
            }
        });
        Self {
            address,
            ends,
            threads: vec![over_udp, over_tcp],
        }
    }

    /// Knows these records.
    pub fn of(records: &[Record]) -> Self {
        let records = records.to_vec();
        Self::start(move |query| vec![query.select(&records)])
    }
}

/// Both with one port.
fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

fn serve(mut stream: TcpStream, answers: &impl Fn(&Query) -> Vec<Vec<u8>>) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes)?;
    for answer in answers(&Query::new(&bytes, true)) {
        stream.write_all(&(answer.len() as u16).to_be_bytes())?;
        stream.write_all(&answer)?;
    }
    Ok(())
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let wake = UdpSocket::bind("127.0.0.1:0").unwrap();
        wake.send_to(&[], self.address).unwrap();
        drop(TcpStream::connect(self.address));
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}
