//! What `netd` looks names up with: it can't read files, so it is told which name servers to ask, and what the file of hosts says.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use config::NetworkSide;

/// Where the system keeps its name servers (resolv.conf(5)).
const RESOLV: &str = "/etc/resolv.conf";
/// Where it keeps its hosts (hosts(5)).
const HOSTS: &str = "/etc/hosts";
/// The port of name servers.
const PORT: u16 = 53;
/// Name servers at most.
const MAX_SERVERS: usize = 4;
/// Addresses of one host at most.
const MAX_ADDRESSES: usize = 8;
/// Bytes of such a file that are read.
const MAX_FILE: u64 = 1 << 20;

/// The name servers of the settings, else those of the system, the preferred ones first.
#[must_use]
pub fn servers(settings: &NetworkSide) -> Vec<SocketAddr> {
    let mut servers = if settings.name_servers.is_empty() {
        servers_in(&read(Path::new(RESOLV)))
    } else {
        settings
            .name_servers
            .iter()
            .map(|server| server.0)
            .collect()
    };
    servers.truncate(MAX_SERVERS);
    servers
}

/// Those of the peers of the settings that the file of hosts knows. Nobody else may say which of its names are looked up.
#[must_use]
pub fn hosts(settings: &NetworkSide) -> Vec<(String, Vec<IpAddr>)> {
    let names: Vec<String> = settings.peers.iter().map(|peer| host(peer)).collect();
    if names.is_empty() {
        return Vec::new();
    }
    hosts_in(&read(Path::new(HOSTS)), &names)
}

/// The host of `tcp://host:port`, without what only `netd` has to understand.
fn host(peer: &str) -> String {
    let (_, rest) = peer.split_once("://").unwrap_or(("", peer));
    let (host, _) = rest.split_once([':', '/']).unwrap_or((rest, ""));
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// The text of a file; of one that is not there or can't be read, nothing, as the system's own look-ups have it.
fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!(target: "supervisor", "can't read {}: {error}", path.display());
        }
        _ => {}
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The words of each line, up to a comment.
fn lines<'a>(text: &'a str, comments: &'a [char]) -> impl Iterator<Item = Vec<&'a str>> {
    text.lines().map(move |line| {
        let line = line.split(comments).next().unwrap_or_default();
        line.split_whitespace().collect()
    })
}

fn servers_in(text: &str) -> Vec<SocketAddr> {
    let mut servers = Vec::new();
    for line in lines(text, &['#', ';']) {
        let ["nameserver", address, ..] = line[..] else {
            continue;
        };
        match address.parse() {
            Ok(address) => servers.push(SocketAddr::new(address, PORT)),
            Err(_) => {
                log::warn!(target: "supervisor", "name server `{address}` of {RESOLV} is left out: only addresses without a zone are of use; or set network.name-servers");
            }
        }
    }
    if servers.is_empty() {
        // As resolv.conf(5) has it.
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
    }
    servers
}

fn hosts_in(text: &str, names: &[String]) -> Vec<(String, Vec<IpAddr>)> {
    let mut hosts: Vec<(String, Vec<IpAddr>)> = Vec::new();
    for line in lines(text, &['#']) {
        let Some(Ok(address)) = line.first().map(|word| word.parse::<IpAddr>()) else {
            continue;
        };
        for word in &line[1..] {
            let name = word.trim_end_matches('.').to_ascii_lowercase();
            if !names.contains(&name) {
                continue;
            }
            match hosts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, addresses)) if addresses.len() < MAX_ADDRESSES => addresses.push(address),
                Some(_) => {}
                None => hosts.push((name, vec![address])),
            }
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers_of(text: &str) -> Vec<String> {
        servers_in(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn name_servers_are_read_as_the_system_writes_them() {
        let text = "# made by hand\nsearch example.org\nnameserver 192.0.2.53\n  nameserver\t2001:db8::53 ; the other\n\
                    options timeout:1\nnameserver fe80::1%eth0\nnameserver\n#nameserver 192.0.2.54\nnameservers 192.0.2.55\n";
        assert_eq!(servers_of(text), ["192.0.2.53:53", "[2001:db8::53]:53"]);
        assert_eq!(servers_of(""), ["127.0.0.1:53"]);
    }

    #[test]
    fn hosts_are_those_that_the_settings_name() {
        let text = "127.0.0.1 localhost\n192.0.2.1 Peer.Example. other # peer2\n2001:db8::1 peer.example\nno address\n192.0.2.9\n";
        let names = ["peer.example", "peer2", "absent"].map(str::to_owned);
        let hosts = hosts_in(text, &names);
        let addresses = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        assert_eq!(hosts, [("peer.example".to_owned(), addresses.to_vec())]);
        let many = "192.0.2.1 peer2\n".repeat(1_000);
        assert_eq!(hosts_in(&many, &names)[0].1.len(), MAX_ADDRESSES);
    }

    #[test]
    fn the_host_of_a_peer_is_found_in_each_of_its_forms() {
        for text in [
            "peer.example",
            "Peer.Example.",
            "peer.example:18888",
            "tcp://peer.example:18888",
            "tcp://peer.example/",
        ] {
            assert_eq!(host(text), "peer.example", "{text}");
        }
    }
}
