//! Which addresses may be connected to, judged after name resolution (a name says nothing: it may
//! resolve to anything, and to something else the next time).
//!
//! Never: link-local addresses and the metadata services of the clouds, which hand out credentials
//! to whoever asks. Internal addresses: only as far as the one who named the host may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use thiserror::Error;
use tower_service::Service;

use super::error::BoxError;

/// How far inwards a connection may go. Ordered: each one includes those before it, but for
/// [`Self::Metadata`], which stands apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Public addresses only: for hosts that a public server named.
    Public,
    /// Private networks as well (RFC 1918, RFC 6598, unique local).
    Private,
    /// This machine as well.
    Local,
    /// The metadata services of the clouds, and what the user put in their place on this machine or
    /// a private network; nothing public. Only for whoever asks such a service for credentials.
    Metadata,
}

/// Policy forbids the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressRefused {
    /// To nobody.
    #[error("connections to the address {0} are never allowed")]
    Always(IpAddr),
    /// What hands out a machine's credentials is never public.
    #[error("{0} is no address of a metadata service")]
    NoMetadata(IpAddr),
    /// To a host that a server named, not the user.
    #[error("connections to the address {0} are not allowed for a host that a server named")]
    Internal(IpAddr),
}

impl Reach {
    /// Whether `address` may be connected to.
    ///
    /// # Errors
    /// It may not.
    pub fn check(self, address: IpAddr) -> Result<(), AddressRefused> {
        match Self::needed(address) {
            _ if self == Self::Metadata => reaches_metadata(address),
            None => Err(AddressRefused::Always(address)),
            Some(needed) if needed > self => Err(AddressRefused::Internal(address)),
            Some(_) => Ok(()),
        }
    }

    /// The smallest reach that includes the address; `None` for those that are refused to all but
    /// [`Self::Metadata`], which no address needs.
    #[must_use]
    pub fn needed(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(v4) => needed_v4(v4),
            IpAddr::V6(v6) => match embedded_v4(v6) {
                Some(v4) => needed_v4(v4),
                None => needed_v6(v6),
            },
        }
    }
}

fn reaches_metadata(address: IpAddr) -> Result<(), AddressRefused> {
    let known = match address {
        // GCE and EC2 (.169.254), GKE's node agent (.169.252), ECS (.170.2), EKS Pod Identity (.170.23).
        IpAddr::V4(v4) => matches!(v4.octets(), [169, 254, 169, 252..=254] | [169, 254, 170, 2 | 23]),
        // EC2's, and EKS Pod Identity's.
        IpAddr::V6(v6) => matches!(v6.segments(), [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23]),
    };
    match Reach::needed(address) {
        _ if known => Ok(()),
        Some(Reach::Private | Reach::Local) => Ok(()),
        None => Err(AddressRefused::Always(address)),
        Some(_) => Err(AddressRefused::NoMetadata(address)),
    }
}

fn needed_v4(address: Ipv4Addr) -> Option<Reach> {
    let [a, b, ..] = address.octets();
    // 100.100.100.200 is Alibaba Cloud's metadata service; the others' are link-local.
    let metadata = address == Ipv4Addr::new(100, 100, 100, 200);
    if a == 0 || address.is_link_local() || address.is_broadcast() || address.is_multicast() || metadata {
        None
    } else if address.is_loopback() {
        Some(Reach::Local)
    } else if address.is_private() || (a == 100 && (64..128).contains(&b)) || (a == 198 && (b & 0xfe) == 18) {
        Some(Reach::Private)
    } else {
        Some(Reach::Public)
    }
}

fn needed_v6(address: Ipv6Addr) -> Option<Reach> {
    let first = address.segments()[0];
    // AWS's metadata service over IPv6.
    let metadata = address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    if address.is_unspecified() || address.is_multicast() || (first & 0xffc0) == 0xfe80 || metadata {
        None
    } else if address.is_loopback() {
        Some(Reach::Local)
    } else if (first & 0xfe00) == 0xfc00 || (first & 0xffc0) == 0xfec0 {
        Some(Reach::Private)
    } else {
        Some(Reach::Public)
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped (`::ffff:a.b.c.d`), compatible, NAT64
/// (RFC 6052) and 6to4 (RFC 3056), which all reach the same machine.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

/// Resolves names and drops the addresses that policy forbids. The connection is made to exactly
/// the addresses that were judged.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    pub(crate) reach: Reach,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(|error| ResolveError::Lookup(error.to_string()))?;
            Ok(judge(reach, found)?.into_iter())
        })
    }
}

/// A name that leads nowhere.
#[derive(Debug, Error)]
pub(crate) enum ResolveError {
    #[error("the name does not resolve: {0}")]
    Lookup(String),
    #[error(transparent)]
    Refused(AddressRefused),
}

/// All of a name's addresses must be allowed: one forbidden among good ones is an attack or a
/// mistake, and which one is connected to would be chance.
fn judge(reach: Reach, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, ResolveError> {
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(ResolveError::Lookup("no addresses".to_owned()));
    }
    for address in &found {
        reach.check(address.ip()).map_err(ResolveError::Refused)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Reach, judge};

    #[test]
    fn addresses_need_their_reach() {
        for (address, needed) in [
            ("8.8.8.8", Some(Reach::Public)),
            ("2606:4700::1", Some(Reach::Public)),
            ("10.1.2.3", Some(Reach::Private)),
            ("172.16.0.1", Some(Reach::Private)),
            ("172.32.0.1", Some(Reach::Public)),
            ("192.168.0.1", Some(Reach::Private)),
            ("100.64.0.1", Some(Reach::Private)),
            ("100.127.255.255", Some(Reach::Private)),
            ("100.128.0.1", Some(Reach::Public)),
            ("198.18.0.1", Some(Reach::Private)),
            ("fd12::1", Some(Reach::Private)),
            ("127.0.0.1", Some(Reach::Local)),
            ("127.8.8.8", Some(Reach::Local)),
            ("::1", Some(Reach::Local)),
            ("::ffff:127.0.0.1", Some(Reach::Local)),
            ("::127.0.0.1", Some(Reach::Local)),
            ("64:ff9b::10.0.0.1", Some(Reach::Private)),
            ("2002:a00:1::", Some(Reach::Private)),
            ("169.254.169.254", None),
            ("169.254.0.1", None),
            ("::ffff:169.254.169.254", None),
            ("64:ff9b::169.254.169.254", None),
            ("2002:a9fe:a9fe::", None),
            ("100.100.100.200", None),
            ("fd00:ec2::254", None),
            ("fe80::1", None),
            ("febf::1", None),
            ("0.0.0.0", None),
            ("0.1.2.3", None),
            ("::", None),
            ("224.0.0.1", None),
            ("255.255.255.255", None),
        ] {
            assert_eq!(Reach::needed(address.parse().unwrap()), needed, "{address}");
        }
    }

    #[test]
    fn a_reach_includes_the_smaller_ones_only() {
        let ok = |reach: Reach, address: &str| reach.check(address.parse().unwrap()).is_ok();
        assert!(ok(Reach::Public, "8.8.8.8") && !ok(Reach::Public, "10.0.0.1"));
        assert!(ok(Reach::Private, "8.8.8.8") && ok(Reach::Private, "10.0.0.1"));
        assert!(!ok(Reach::Private, "127.0.0.1") && ok(Reach::Local, "127.0.0.1"));
        assert!(!ok(Reach::Local, "169.254.169.254"));
    }

    #[test]
    fn metadata_services_are_reached_by_their_own_reach_only() {
        let ok = |reach: Reach, address: &str| reach.check(address.parse().unwrap()).is_ok();
        for address in [
            "169.254.169.254",
            "169.254.169.252",
            "169.254.170.2",
            "169.254.170.23",
            "fd00:ec2::254",
        ] {
            assert!(ok(Reach::Metadata, address), "{address}");
            assert!(!ok(Reach::Local, address), "{address}");
        }
        for address in ["127.0.0.1", "::1", "10.0.0.1", "fd00:ec2::23"] {
            assert!(ok(Reach::Metadata, address), "{address}");
        }
        for address in [
            "8.8.8.8",
            "2606:4700::1",
            "169.254.0.1",
            "169.254.169.1",
            "fe80::1",
            "0.0.0.0",
            "224.0.0.1",
            "100.100.100.200",
        ] {
            assert!(!ok(Reach::Metadata, address), "{address}");
        }
    }

    #[test]
    fn one_forbidden_address_spoils_the_name() {
        let list = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<_>>();
        assert!(judge(Reach::Public, list(&["8.8.8.8:0", "1.1.1.1:0"]).into_iter()).is_ok());
        assert!(judge(Reach::Public, list(&["8.8.8.8:0", "10.0.0.1:0"]).into_iter()).is_err());
        assert!(
            judge(
                Reach::Local,
                list(&["127.0.0.1:0", "169.254.169.254:0"]).into_iter()
            )
            .is_err()
        );
        assert!(judge(Reach::Local, list(&[]).into_iter()).is_err());
    }
}
