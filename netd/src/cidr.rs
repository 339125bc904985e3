//! Networks in CIDR notation, and who may connect.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A network: an address and how many of its first bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// Text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no network: expected an address, or an address and the number of its bits as in 10.0.0.0/8 or 2001:db8::/32"
)]
pub struct CidrError(String);

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let error = || CidrError(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            // Digits only: a sign or a space is a slip that would go unnoticed.
            Some(bits) if !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit()) => {
                bits.parse().map_err(|_| error())?
            }
            Some(_) => return Err(error()),
        };
        if bits > width {
            return Err(error());
        }
        // IPv4 in IPv6 notation is IPv4: that is how accepted addresses are compared.
        match address {
            IpAddr::V6(v6) if bits >= 96 && v6.to_ipv4_mapped().is_some() => Ok(Self {
                address: canonical(address),
                bits: bits - 96,
            }),
            _ => Ok(Self { address, bits }),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Cidr {
    /// Whether an address, [`canonical`], belongs to it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differ = u32::from(network) ^ u32::from(address);
                differ.checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differ = u128::from(network) ^ u128::from(address);
                differ.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// The address as it is compared and counted: IPv4 that came over a dual-stack socket is IPv4.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// What counts as one address in limits: of IPv6 the first 64 bits, since whoever has one address there has all of them.
#[must_use]
pub fn origin(address: IpAddr) -> IpAddr {
    match canonical(address) {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}

/// Who may connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessList {
    allow: Vec<Cidr>,
    deny: Vec<Cidr>,
}

impl AccessList {
    /// From networks that may connect (none: all may) and networks that may not, whatever the former say.
    ///
    /// # Errors
    /// The first text that is no network.
    pub fn new(allow: &[String], deny: &[String]) -> Result<Self, CidrError> {
        let parse = |texts: &[String]| -> Result<Vec<Cidr>, CidrError> {
            texts.iter().map(|text| text.parse()).collect()
        };
        Ok(Self {
            allow: parse(allow)?,
            deny: parse(deny)?,
        })
    }

    /// Whether an address may connect.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        let within = |list: &[Cidr]| list.iter().any(|network| network.contains(address));
        !within(&self.deny) && (self.allow.is_empty() || within(&self.allow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn list(allow: &[&str], deny: &[&str]) -> AccessList {
        let own = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        AccessList::new(&own(allow), &own(deny)).unwrap()
    }

    #[test]
    fn networks_contain_what_shares_their_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.168.1.77/24", "192.168.1.0", "192.168.2.0"),
            ("1.2.3.4", "1.2.3.4", "1.2.3.5"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
        ] {
            let network: Cidr = network.parse().unwrap();
            assert!(network.contains(ip(inside)), "{network} {inside}");
            assert!(!network.contains(ip(outside)), "{network} {outside}");
        }
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(ip("255.255.255.255")) && !all.contains(ip("::1")));
        let all: Cidr = "::/0".parse().unwrap();
        assert!(all.contains(ip("ffff::")) && !all.contains(ip("1.1.1.1")));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "host/8",
            "10.0.0.0/8/8",
            "1.2.3.4/ 8",
            "10.0.0.0/256",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }

    #[test]
    fn denied_beats_allowed_and_no_list_allows_all() {
        assert!(list(&[], &[]).permits(ip("1.2.3.4")));
        let some = list(&["10.0.0.0/8", "::1/128"], &["10.1.0.0/16"]);
        for (address, permitted) in [
            ("10.0.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("::1", true),
            ("10.1.0.1", false),
            ("::ffff:10.1.0.1", false),
            ("11.0.0.1", false),
        ] {
            assert_eq!(some.permits(ip(address)), permitted, "{address}");
        }
        assert!(!list(&[], &["::/0"]).permits(ip("fe80::1")));
        assert!(list(&[], &["::/0"]).permits(ip("127.0.0.1")));
    }

    #[test]
    fn addresses_of_one_site_are_one_origin() {
        assert_eq!(origin(ip("::ffff:1.2.3.4")), ip("1.2.3.4"));
        assert_eq!(origin(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_ne!(origin(ip("2001:db8:1:2::1")), origin(ip("2001:db8:1:3::1")));
    }
}
