//! The network itself: what it carries, how long that takes, and what it doesn't carry.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use fabric::{Conditions, Fabric};

const PATIENCE: Duration = Duration::from_secs(30);

fn start(nodes: usize, conditions: Conditions) -> Option<Fabric> {
    match Fabric::start(nodes, conditions, 1) {
        Ok(fabric) => Some(fabric),
        Err(why) => {
            eprintln!("skipped: {why}");
            None
        }
    }
}

#[test]
fn bytes_arrive_whole_although_packets_are_delayed_and_lost() {
    let conditions = Conditions {
        delay: (Duration::from_millis(20), Duration::from_millis(20)),
        loss: 20,
    };
    let Some(fabric) = start(2, conditions) else {
        return;
    };
    let to = SocketAddr::from((fabric.address(1), 7));
    let listener = fabric.inside(1, || TcpListener::bind(to).unwrap());
    let sent: Vec<u8> = (0..400_000_u32).map(|i| (i >> 3) as u8).collect();
    let began = Instant::now();
    let mut out = fabric.inside(0, || TcpStream::connect(to).unwrap());
    assert!(
        began.elapsed() >= Duration::from_millis(40),
        "there and back"
    );
    let (mut accepted, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), fabric.address(0));
    let received = std::thread::scope(|scope| {
        scope.spawn(|| {
            out.write_all(&sent).unwrap();
            drop(out);
        });
        let mut received = Vec::new();
        accepted.set_read_timeout(Some(PATIENCE)).unwrap();
        accepted.read_to_end(&mut received).unwrap();
        received
    });
    assert!(received == sent, "the bytes that were sent");
    let counts = fabric.counts();
    assert!(
        counts.moved > 200 && counts.lost > 0 && counts.cut == 0,
        "{counts:?}"
    );
}

#[test]
fn nodes_that_are_cut_off_reach_each_other_alone_until_it_heals() {
    let conditions = Conditions {
        delay: (Duration::ZERO, Duration::from_millis(2)),
        loss: 0,
    };
    let Some(fabric) = start(3, conditions) else {
        return;
    };
    let at = |node: usize| SocketAddr::from((fabric.address(node), 9));
    let socket = |node: usize| fabric.inside(node, || UdpSocket::bind(at(node)).unwrap());
    let sockets: Vec<UdpSocket> = (0..3).map(socket).collect();
    sockets[1].set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 16];
    fabric.part(&[0, 1]);
    for (from, word) in [(2, b"cut"), (0, b"yes")] {
        sockets[from].send_to(word, at(1)).unwrap();
    }
    let (length, from) = sockets[1].recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from), (&b"yes"[..], at(0)));
    assert_eq!(fabric.counts().cut, 1);
    fabric.heal();
    sockets[2].send_to(b"whole", at(1)).unwrap();
    let (length, from) = sockets[1].recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from), (&b"whole"[..], at(2)));
}
