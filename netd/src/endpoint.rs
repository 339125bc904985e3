//! Where a peer is to be reached, as the configuration or the state says it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use wire::DEFAULT_PORT;

/// Longest name in the domain name system, bytes.
const MAX_NAME: usize = 253;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Host {
    Address(IpAddr),
    Name(String),
}

/// Text that names no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No host, or characters that no host has.
    #[error("no host name or address: expected host:port")]
    Host,
    /// The port is no number of 1 to 65535.
    #[error("no port: expected a number of 1 to 65535 after the last colon")]
    Port,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// `tcp://host:port`, `host:port` or a host alone; addresses of IPv6 in brackets where a port follows (`spec/06 §1`).
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let text = match text.split_once("://") {
            // The scheme means nothing.
            Some((_, rest)) => rest.trim_end_matches('/'),
            None => text,
        };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or(EndpointError::Host)?;
            let host: Ipv6Addr = host.parse().map_err(|_| EndpointError::Host)?;
            let port = match rest {
                "" => None,
                _ => Some(rest.strip_prefix(':').ok_or(EndpointError::Port)?),
            };
            (Host::Address(host.into()), port)
        } else if let Ok(address) = text.parse::<Ipv6Addr>() {
            (Host::Address(address.into()), None)
        } else {
            let (host, port) = match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            (name_or_address(host)?, port)
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                port.parse().map_err(|_| EndpointError::Port)?
            }
            Some(_) => return Err(EndpointError::Port),
        };
        if port == 0 {
            return Err(EndpointError::Port);
        }
        Ok(Self { host, port })
    }
}

fn name_or_address(host: &str) -> Result<Host, EndpointError> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() > MAX_NAME || !name.split('.').all(label) {
        return Err(EndpointError::Host);
    }
    Ok(Host::Name(name))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Address(address) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl Endpoint {
    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name to look up; `None` when [`Endpoint::addresses`] knows without.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) if name != "localhost" => Some(name),
            _ => None,
        }
    }

    /// The addresses, where no look-up is needed: a literal, and `localhost`.
    #[must_use]
    pub fn addresses(&self) -> Option<Vec<SocketAddr>> {
        let with_port = |address: IpAddr| SocketAddr::new(address, self.port);
        match &self.host {
            Host::Address(address) => Some(vec![with_port(*address)]),
            Host::Name(name) if name == "localhost" => Some(vec![
                with_port(Ipv4Addr::LOCALHOST.into()),
                with_port(Ipv6Addr::LOCALHOST.into()),
            ]),
            Host::Name(_) => None,
        }
    }
}

/// Whether an address that a stranger named may be connected to. A peer that anybody can register must not make others speak to
/// their own machine or to a crowd; `local` says that this peer's network is on this machine, so that loopback is where it lives.
#[must_use]
pub fn may_dial(address: IpAddr, local: bool) -> bool {
    let address = address.to_canonical();
    let is_link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let excluded = address.is_unspecified() || address.is_multicast() || is_link_local;
    !excluded && (local || !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_the_network_writes_them() {
        for (text, shown) in [
            ("tcp://peer.example.org:18890", "peer.example.org:18890"),
            ("peer.example.org", "peer.example.org:18888"),
            ("Peer.Example.org.:1", "peer.example.org:1"),
            ("tcp://peer.example.org/", "peer.example.org:18888"),
            ("127.0.0.1:18888", "127.0.0.1:18888"),
            ("[::1]:5", "[::1]:5"),
            ("[2001:db8::1]", "[2001:db8::1]:18888"),
            ("2001:db8::1", "[2001:db8::1]:18888"),
            ("localhost:7", "localhost:7"),
        ] {
            assert_eq!(
                text.parse::<Endpoint>().unwrap().to_string(),
                shown,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            ":",
            ":1",
            "host:",
            "host:0",
            "host:65536",
            "host:-1",
            "host:+1",
            "a b:1",
            "a..b:1",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[host]:1",
            "-\u{e9}:1",
            "a/b:1",
            "tcp://",
            "user@host:1",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
        assert!(format!("{}:1", "a".repeat(64)).parse::<Endpoint>().is_err());
        assert!("a.".repeat(200).parse::<Endpoint>().is_err());
    }

    #[test]
    fn literals_and_localhost_need_no_look_up() {
        let addresses = |text: &str| text.parse::<Endpoint>().unwrap().addresses();
        assert_eq!(
            addresses("1.2.3.4:5"),
            Some(vec!["1.2.3.4:5".parse().unwrap()])
        );
        assert_eq!(addresses("localhost:5").unwrap().len(), 2);
        assert_eq!(addresses("example.org:5"), None);
        assert_eq!(
            "example.org:5".parse::<Endpoint>().unwrap().name(),
            Some("example.org")
        );
        assert_eq!("localhost:5".parse::<Endpoint>().unwrap().name(), None);
    }

    #[test]
    fn strangers_can_not_point_at_this_machine_or_a_crowd() {
        for (address, abroad, local) in [
            ("8.8.8.8", true, true),
            ("10.0.0.1", true, true),
            ("127.0.0.1", false, true),
            ("::1", false, true),
            ("::ffff:127.0.0.1", false, true),
            ("0.0.0.0", false, false),
            ("::", false, false),
            ("224.0.0.1", false, false),
            ("255.255.255.255", false, false),
            ("169.254.169.254", false, false),
            ("fe80::1", false, false),
            ("ff02::1", false, false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(may_dial(address, false), abroad, "{address}");
            assert_eq!(may_dial(address, true), local, "{address}");
        }
    }
}
