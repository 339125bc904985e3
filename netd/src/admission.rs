//! How many connections there may be, in all and of one origin.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::cidr::origin;

/// Counts accepted connections against their limits.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    limits: AdmissionLimits,
    open: u32,
    by_origin: HashMap<IpAddr, u32>,
}

/// Most connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdmissionLimits {
    /// In all.
    pub total: u32,
    /// Of one address; of IPv6, of one /64.
    pub per_origin: u32,
}

/// Why a connection is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// As many as there may be in all.
    #[error("too many connections")]
    Total,
    /// As many as there may be of its address.
    #[error("too many connections from one address")]
    Origin,
}

impl Admission {
    /// None yet.
    #[must_use]
    pub fn new(limits: AdmissionLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Other limits, for connections from now on.
    pub fn set_limits(&mut self, limits: AdmissionLimits) {
        self.limits = limits;
    }

    /// Counts a connection in, if there may be one more.
    ///
    /// # Errors
    /// When there may not.
    pub fn enter(&mut self, address: IpAddr) -> Result<(), Full> {
        let origin = origin(address);
        if self.open >= self.limits.total {
            return Err(Full::Total);
        }
        let of_origin = self.by_origin.get(&origin).copied().unwrap_or(0);
        if of_origin >= self.limits.per_origin {
            return Err(Full::Origin);
        }
        self.by_origin.insert(origin, of_origin + 1);
        self.open += 1;
        Ok(())
    }

    /// Counts a connection out that was counted in.
    pub fn leave(&mut self, address: IpAddr) {
        let origin = origin(address);
        if let Some(count) = self.by_origin.get_mut(&origin) {
            self.open = self.open.saturating_sub(1);
            *count -= 1;
            if *count == 0 {
                self.by_origin.remove(&origin);
            }
        }
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_and_all_together_are_limited() {
        let mut admission = Admission::new(AdmissionLimits {
            total: 4,
            per_origin: 2,
        });
        assert_eq!(admission.enter(ip("1.1.1.1")), Ok(()));
        assert_eq!(admission.enter(ip("::ffff:1.1.1.1")), Ok(()));
        assert_eq!(admission.enter(ip("1.1.1.1")), Err(Full::Origin));
        assert_eq!(admission.enter(ip("2001:db8::1")), Ok(()));
        assert_eq!(admission.enter(ip("2001:db8::2")), Ok(()));
        assert_eq!(admission.enter(ip("2.2.2.2")), Err(Full::Total));
        admission.leave(ip("1.1.1.1"));
        assert_eq!(admission.enter(ip("2001:db8::3")), Err(Full::Origin));
        assert_eq!(admission.enter(ip("1.1.1.1")), Ok(()));
        assert_eq!(admission.open(), 4);
    }

    #[test]
    fn what_left_takes_no_memory() {
        let mut admission = Admission::new(AdmissionLimits {
            total: 10,
            per_origin: 1,
        });
        for i in 0..1000u32 {
            let address = IpAddr::from(i.to_be_bytes());
            admission.enter(address).unwrap();
            admission.leave(address);
        }
        admission.leave(ip("9.9.9.9"));
        assert_eq!(admission.open(), 0);
        assert!(admission.by_origin.is_empty());
    }
}
