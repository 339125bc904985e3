//! What happens when the system has no descriptor left. Alone in its file: it lowers the limit of the process.

mod common;

use std::fs::File;

use common::{Client, Netd, settings};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use wire::{Message, frame};

#[test]
fn without_a_descriptor_the_newest_connection_is_closed_and_the_others_are_served() {
    let netd = Netd::with_limits(settings(), |limits| limits.sweep = 20);
    let mut first = netd.client();
    first.ping(1);
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 100, most).unwrap();
    // Both sides are this process: when the client's side gets the last descriptor, the other has none.
    let mut fillers = vec![File::open("/dev/null").unwrap()];
    let mut open: Vec<Client> = Vec::new();
    loop {
        let Ok(stream) = std::net::TcpStream::connect(netd.address) else {
            // It was the client's turn: with one more it will not be.
            drop(fillers.pop().expect("one is enough"));
            continue;
        };
        let mut client = Client::over(stream);
        client.raw(&frame(&Message::Ping { id: 1 }.encode().unwrap()).unwrap());
        match client.try_receive() {
            Some(_) => open.push(client),
            None => break,
        }
        assert!(open.len() < 100);
    }
    assert!(netd.count("refused_descriptors") >= 1);
    first.ping(2);
    for client in &mut open {
        client.ping(2);
    }
    let closed = netd.count("closed_by_other");
    open.truncate(open.len() - 2);
    netd.wait_for_count("closed_by_other", closed + 2);
    netd.client().ping(3);
}
