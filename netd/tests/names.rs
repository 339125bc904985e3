//! Peers whose host is a name: `netd` in its sandbox asks a name server, which the tests play, over real sockets.

mod common;
#[path = "common/dns.rs"]
mod dns;

use std::net::{SocketAddr, TcpListener};

use common::{Consensus, Netd, settings};
use dns::{NameServer, Record, address, alias};
use ipc::net::{FromNet, Peer, ToNet};
use ipc::supervision::{NetdSettings, Settings, ToWorker};

fn peer() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn with_servers(servers: &[SocketAddr], peers: &[String]) -> NetdSettings {
    NetdSettings {
        name_servers: servers.to_vec(),
        peers: peers.to_vec(),
        target: 4,
        ..settings()
    }
}

/// The host of the next connection that is open.
fn opened(consensus: &mut Consensus) -> String {
    loop {
        if let FromNet::Opened { host, .. } = consensus.receive() {
            return host;
        }
    }
}

/// What this name server knows is enough to connect to a peer by its name.
fn reaches_a_peer(server: &NameServer) -> Netd {
    let (listener, port) = peer();
    let host = format!("peer.example:{port}");
    let mut netd = Netd::start(with_servers(&[server.address], std::slice::from_ref(&host)));
    let mut consensus = netd.consensus();
    listener.accept().unwrap();
    assert_eq!(opened(&mut consensus), host);
    netd
}

fn records() -> Vec<Record> {
    vec![
        alias("www.example", "peer.example"),
        address("peer.example", "127.0.0.1"),
    ]
}

#[test]
fn a_peer_is_reached_by_its_name() {
    let netd = reaches_a_peer(&NameServer::of(&records()));
    assert!(netd.count("names_asked") >= 2);
    assert_eq!(netd.count("names_strange"), 0);
}

#[test]
fn lies_that_come_before_the_answer_do_not_matter() {
    let server = NameServer::start(|query| {
        let lie = [address("peer.example", "127.0.0.2")];
        let mut other = query.answer(0, &lie, &[]);
        other[0] ^= 0x80;
        let shout = vec![0xff; 4_000];
        vec![other, Vec::new(), shout, query.select(&records())]
    });
    let netd = reaches_a_peer(&server);
    assert!(netd.count("names_strange") >= 3);
}

#[test]
fn what_is_cut_off_comes_over_tcp() {
    let server = NameServer::start(|query| {
        vec![match query.tcp {
            true => query.select(&records()),
            false => query.truncated(),
        }]
    });
    reaches_a_peer(&server);
}

#[test]
fn a_server_that_is_not_there_makes_way_for_the_next() {
    let (gone, port) = peer();
    drop(gone);
    let server = NameServer::of(&records());
    let (listener, peer) = peer();
    let host = format!("peer.example:{peer}");
    let servers = [SocketAddr::new([127, 0, 0, 1].into(), port), server.address];
    let mut netd = Netd::start(with_servers(&servers, std::slice::from_ref(&host)));
    let mut consensus = netd.consensus();
    let _peer = listener.accept().unwrap();
    assert_eq!(opened(&mut consensus), host);
}

#[test]
fn servers_that_say_nothing_or_nonsense_keep_nobody_from_being_served() {
    let silent = NameServer::start(|_| Vec::new());
    let babbling =
        NameServer::start(|query| vec![vec![0xa5; 2_000]; if query.tcp { 1 } else { 20 }]);
    let names = ["one.example:1".to_owned(), "two.example:1".to_owned()];
    let netd = Netd::start(with_servers(&[silent.address, babbling.address], &names));
    let mut client = netd.client();
    for id in 0..10 {
        client.ping(id);
    }
    netd.wait_for_count("dial_unresolved", 2);
    assert!(netd.count("names_strange") >= 8);
    client.ping(11);
}

#[test]
fn names_of_the_state_lead_nowhere_that_their_addresses_would_not() {
    let (listener, port) = peer();
    // Whoever connects to this address connects to its own machine.
    let mut known = vec![
        address("bad.example", "0.0.0.0"),
        address("bad.example", "::"),
    ];
    known.push(address("good.example", "127.0.0.1"));
    let server = NameServer::of(&known);
    let mut netd = Netd::start(with_servers(&[server.address], &[]));
    let mut consensus = netd.consensus();
    let listed = |names: &[&str]| {
        let peers = names.iter().zip(1u8..).map(|(name, n)| Peer {
            key: [n; 32],
            host: format!("tcp://{name}:{port}"),
            stake: 1_000,
        });
        ToNet::Peers(peers.collect())
    };
    consensus.send(&listed(&["bad.example"]));
    netd.wait_for_count("dial_unresolved", 2);
    assert_eq!(netd.count("dial_failed"), 0);
    // One that leaves the state while its name is looked up is forgotten; another is found.
    consensus.send(&listed(&["bad.example", "good.example"]));
    let _peer = listener.accept().unwrap();
    assert_eq!(opened(&mut consensus), format!("good.example:{port}"));
}

#[test]
fn hosts_that_the_supervisor_knows_and_servers_of_a_reload_are_used() {
    let (listener, port) = peer();
    let host = format!("lan.example:{port}");
    let mut settings = with_servers(&[], std::slice::from_ref(&host));
    settings.hosts = vec![("Lan.example".to_owned(), vec!["127.0.0.1".parse().unwrap()])];
    let mut netd = Netd::start(settings.clone());
    let mut consensus = netd.consensus();
    let _peer = listener.accept().unwrap();
    assert_eq!(opened(&mut consensus), host);
    let server = NameServer::of(&records());
    let (second, port) = peer();
    settings.name_servers = vec![server.address];
    settings.peers.push(format!("peer.example:{port}"));
    netd.order(&ToWorker::Reload(Box::new(Settings::Netd(settings))));
    let _second = second.accept().unwrap();
    assert_eq!(opened(&mut consensus), format!("peer.example:{port}"));
}

#[test]
fn a_locked_or_stopping_process_asks_nobody_any_more() {
    let silent = NameServer::start(|_| Vec::new());
    for order in [ToWorker::Lock, ToWorker::Stop { within: 10_000 }] {
        let names = ["one.example:1".to_owned()];
        let mut netd = Netd::start(with_servers(&[silent.address], &names));
        netd.wait_for_count("names_asked", 2);
        netd.order(&order);
        if order == ToWorker::Lock {
            let asked = netd.count("names_asked");
            netd.receive_nothing_for(std::time::Duration::from_millis(2_500));
            assert_eq!(netd.count("names_asked"), asked);
        } else {
            assert_eq!(netd.ended(), sandbox::Ended::Exited(0));
        }
    }
}
