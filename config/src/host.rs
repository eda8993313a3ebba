//! The host part of an image reference: `host[:port]`, lower case, Docker Hub's aliases folded.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Docker Hub's name in references.
pub const DOCKER_HUB: &str = "docker.io";

/// A registry's `host[:port]` as written in image references.
///
/// Guarantees: lower case; a DNS name, an IPv4 address or a bracketed IPv6 address in its
/// canonical form (RFC 5952), so that equal hosts are equal texts;
/// `index.docker.io`, `registry-1.docker.io` and `registry.hub.docker.com` are [`DOCKER_HUB`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryHost(Box<str>);

/// Why a text is no registry host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// Nothing there.
    #[error("the registry host is empty")]
    Empty,
    /// `https://` or the like in front.
    #[error("a registry host has no scheme: write host[:port]")]
    Scheme,
    /// `user:password@` in front.
    #[error("a registry host holds no user and no password")]
    UserInfo,
    /// Characters or a shape that no host has.
    #[error("not a host name or address")]
    Name,
    /// A port that is not 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// Longer than 253 characters.
    #[error("a host name has at most 253 characters")]
    Length,
}

impl RegistryHost {
    /// The text: `host[:port]`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without the port; an IPv6 address keeps its brackets.
    #[must_use]
    pub fn name(&self) -> &str {
        split_port(&self.0).0
    }

    /// The port, when one is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        split_port(&self.0).1.and_then(|p| p.parse().ok())
    }

    /// Whether this is Docker Hub.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        &*self.0 == DOCKER_HUB
    }

    /// The `host[:port]` whose `/v2/` answers for this registry: Docker Hub's API lives on
    /// `registry-1.docker.io`, every other registry on its own name.
    #[must_use]
    pub fn api_authority(&self) -> &str {
        if self.is_docker_hub() {
            "registry-1.docker.io"
        } else {
            &self.0
        }
    }

    /// Whether the host is an address rather than a name.
    #[must_use]
    pub fn is_ip(&self) -> bool {
        let name = self.name();
        name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok()
    }

    /// The keys of a docker `config.json` under which a credential for this host is looked up,
    /// the one to write first.
    #[must_use]
    pub fn auth_keys(&self) -> Vec<String> {
        if self.is_docker_hub() {
            vec!["https://index.docker.io/v1/".to_owned()]
        } else {
            vec![self.0.to_string()]
        }
    }
}

impl FromStr for RegistryHost {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.contains("://") {
            return Err(HostError::Scheme);
        }
        if text.contains('@') {
            return Err(HostError::UserInfo);
        }
        let (name, port) = split_port(text);
        if let Some(port) = port {
            let digits = !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
            if !digits || port.parse::<u16>().map_or(true, |p| p == 0) || port.starts_with('0') {
                return Err(HostError::Port);
            }
        }
        if name.len() > 253 {
            return Err(HostError::Length);
        }
        let name = canonical(name).ok_or(HostError::Name)?;
        let host = match port {
            Some(port) => format!("{name}:{port}"),
            None => name,
        };
        Ok(match host.as_str() {
            "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => Self(DOCKER_HUB.into()),
            _ => Self(host.into()),
        })
    }
}

/// Splits off a port; brackets of an IPv6 address stay with the host.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some(end) = text.rfind(']') {
        let (host, rest) = text.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => (text, None),
        };
    }
    match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

/// The one way to write a host; `None` when it is none.
fn canonical(name: &str) -> Option<String> {
    if let Some(inner) = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        return inner
            .parse::<std::net::Ipv6Addr>()
            .ok()
            .map(|ip| format!("[{ip}]"));
    }
    (name.parse::<std::net::Ipv4Addr>().is_ok() || is_dns_name(name)).then(|| name.to_ascii_lowercase())
}

/// RFC 1123 labels. A last label that is a number, `0x` ones too, is refused: resolvers and URLs
/// read such a name as an address (URL standard, "ends in a number").
fn is_dns_name(name: &str) -> bool {
    let labels = || name.split('.');
    labels().all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    }) && labels().next_back().is_some_and(|last| !is_number(last))
}

fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|b| b.is_ascii_digit())
        || hex.is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for RegistryHost {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
