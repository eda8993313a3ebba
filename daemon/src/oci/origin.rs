//! Where a request and a credential may go: the one judge of every hop.
//!
//! An origin is scheme, host and port, all three. A registry's credential goes to the registry's
//! own origin and, to be traded for a token, to its token host; the token goes to the registry's
//! own origin. Everything a registry names itself (a redirect, a realm, a `Location`, a `Link`)
//! comes through here first. Foreign layer URLs do not: nothing follows them.
//!
//! | what the server names | may be requested | takes the credential |
//! |---|---|---|
//! | redirect of GET or HEAD | 5 hops at most, never from https to http, http only to a host whose entry says `plainHttp` | only while at the own origin; once left, never again |
//! | redirect of anything else, or of a token request | never | - |
//! | token `realm` | own authority, a built-in pair, `trustedTokenHosts`; without a credential also a host of the same parent domain; https, no address, unless it is the own authority | yes, then |
//! | upload `Location`, `Link` to the next page | own origin only | yes |
//!
//! Which addresses the names may resolve to is judged where the connection is made
//! (`syncd_providers::http::Reach`).

use std::fmt;

use syncd_config::RegistryHost;
use syncd_config::text::clean_to;
use thiserror::Error;
use url::{Host, Url};

/// Redirects followed for one request.
pub(crate) const MAX_HOPS: usize = 5;

/// The token hosts that are not the registry's own and yet belong to it: registry, token host.
const PAIRS: [(&str, &str); 2] = [
    ("registry-1.docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
];

/// Scheme, host and port.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Origin {
    https: bool,
    host: String,
    port: u16,
}

/// Why a hop is not taken. Only the host of a URL is ever told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    #[error("{0} is not a URL")]
    NotUrl(Named),
    #[error("{0} has a user in its URL")]
    User(Named),
    #[error("{0} is neither http nor https")]
    Scheme(Named),
    #[error("{0} leads from https to http at {1}")]
    Downgrade(Named, String),
    #[error("{0} leads to plain http at {1}, which has no registries entry with plainHttp")]
    PlainHttp(Named, String),
    #[error("{0} leads to another host ({1})")]
    Foreign(Named, String),
    #[error(
        "the login is to happen at {0}, which is not this registry's; if it is, list it in trustedTokenHosts"
    )]
    Realm(String),
    #[error("the login is to happen at the address {0}; if that is right, list it in trustedTokenHosts")]
    RealmAddress(String),
    #[error("the login is to happen without TLS at {0}")]
    RealmPlain(String),
    #[error("more than {MAX_HOPS} redirects")]
    TooMany,
}

/// What a server named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Redirect,
    Realm,
    Location,
    Link,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redirect => "the redirect",
            Self::Realm => "the realm of the login",
            Self::Location => "the upload's Location",
            Self::Link => "the Link to the next page",
        })
    }
}

impl Origin {
    /// The origin of a registry's `/v2/`.
    pub(crate) fn of_registry(host: &RegistryHost, plain_http: bool) -> Self {
        let authority: &str = host.api_authority();
        let (name, port) = match host.port() {
            Some(port) => (host.name(), port),
            None => (authority, if plain_http { 80 } else { 443 }),
        };
        // As url writes it, so that `[::0:1]` and `[::1]` are one.
        let host = Host::parse(name).map_or_else(|_| name.to_owned(), |host| host.to_string());
        Self {
            https: !plain_http,
            host,
            port,
        }
    }

    /// The origin of an http or https URL.
    pub(crate) fn of_url(url: &Url) -> Option<Self> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self {
            https,
            host: url.host_str()?.trim_end_matches('.').to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// The URL of a path at this origin.
    pub(crate) fn url(&self, path: &str) -> Option<Url> {
        let scheme = if self.https { "https" } else { "http" };
        let url = Url::parse(&format!("{scheme}://{}:{}{path}", self.host, self.port)).ok()?;
        (path.starts_with('/') && Self::of_url(&url).as_ref() == Some(self)).then_some(url)
    }

    /// `host:port`, the port only where it is not the scheme's own.
    pub(crate) fn authority(&self) -> String {
        match (self.https, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    fn same_authority(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }
}

/// The rules of one registry.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// The registry's own origin.
    pub(crate) own: Origin,
    /// `trustedTokenHosts` of its entry.
    pub(crate) trusted: Vec<RegistryHost>,
    /// Hosts whose own entries say `plainHttp`.
    pub(crate) plain: Vec<Origin>,
}

impl Policy {
    /// Whether the registry's credential or token may be sent to that URL.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        Origin::of_url(url).as_ref() == Some(&self.own)
    }

    /// The target of a redirect of a GET or HEAD: hop number `hop`, the first is 1.
    pub(crate) fn redirect(&self, from: &Url, to: &str, hop: usize) -> Result<Url, Refusal> {
        if hop > MAX_HOPS {
            return Err(Refusal::TooMany);
        }
        let (url, origin) = resolve(Named::Redirect, from, to)?;
        if from.scheme() == "https" && !origin.https {
            return Err(Refusal::Downgrade(Named::Redirect, shown(&url)));
        }
        if !origin.https && origin != self.own && !self.plain.contains(&origin) {
            return Err(Refusal::PlainHttp(Named::Redirect, shown(&url)));
        }
        Ok(url)
    }

    /// Where an upload goes on. The body must not go elsewhere either.
    pub(crate) fn location(&self, base: &Url, text: &str) -> Result<Url, Refusal> {
        self.at_home(Named::Location, base, text)
    }

    /// The next page.
    pub(crate) fn next_page(&self, base: &Url, text: &str) -> Result<Url, Refusal> {
        self.at_home(Named::Link, base, text)
    }

    fn at_home(&self, named: Named, base: &Url, text: &str) -> Result<Url, Refusal> {
        let (url, origin) = resolve(named, base, text)?;
        if self.own.https && !origin.https {
            return Err(Refusal::Downgrade(named, shown(&url)));
        }
        if origin != self.own {
            return Err(Refusal::Foreign(named, shown(&url)));
        }
        Ok(url)
    }

    /// The token endpoint that a challenge names.
    pub(crate) fn realm(&self, realm: &str, with_credential: bool) -> Result<Url, Refusal> {
        let mut url = Url::parse(realm).map_err(|_| Refusal::NotUrl(Named::Realm))?;
        let origin = check(Named::Realm, &url)?;
        url.set_fragment(None);
        if origin == self.own {
            return Ok(url);
        }
        if self.own.https && !origin.https {
            return Err(Refusal::Downgrade(Named::Realm, shown(&url)));
        }
        let listed = self.trusts(&origin);
        let plain_listed = self.plain.contains(&origin);
        let same_host = !self.own.https && origin.host == self.own.host;
        if !origin.https && !(listed && (plain_listed || same_host)) {
            return Err(Refusal::RealmPlain(shown(&url)));
        }
        if listed || self.own.same_authority(&origin) {
            return Ok(url);
        }
        if !matches!(url.host(), Some(Host::Domain(_))) {
            return Err(Refusal::RealmAddress(shown(&url)));
        }
        // Without a credential nothing can be stolen; what is left is a GET to a host that the
        // server chose, and that is kept within the registry's own domain.
        if self.is_pair(&origin) || (!with_credential && self.is_relative(&origin)) {
            return Ok(url);
        }
        Err(Refusal::Realm(shown(&url)))
    }

    pub(crate) fn trusts(&self, origin: &Origin) -> bool {
        self.trusted.iter().any(|host| {
            let named = Origin::of_registry(host, !origin.https);
            // Docker Hub as a token host is its name, not its API's.
            let hub = host.is_docker_hub() && origin.host == host.as_str();
            named == *origin || hub
        })
    }

    fn is_pair(&self, origin: &Origin) -> bool {
        let standard = self.own.https && self.own.port == 443 && origin.port == 443;
        standard && PAIRS.contains(&(self.own.host.as_str(), origin.host.as_str()))
    }

    /// The registry's parent domain, or a host under it. A parent has two labels at least, so
    /// `registry.example` has no relatives.
    fn is_relative(&self, origin: &Origin) -> bool {
        let Some((_, parent)) = self.own.host.split_once('.') else {
            return false;
        };
        let under = origin.host.strip_suffix(parent);
        if origin.port != 443 && origin.port != self.own.port {
            return false;
        }
        parent.contains('.') && under.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

fn resolve(named: Named, base: &Url, text: &str) -> Result<(Url, Origin), Refusal> {
    let mut url = base.join(text).map_err(|_| Refusal::NotUrl(named))?;
    url.set_fragment(None);
    let origin = check(named, &url)?;
    Ok((url, origin))
}

fn check(named: Named, url: &Url) -> Result<Origin, Refusal> {
    let origin = Origin::of_url(url).ok_or(Refusal::Scheme(named))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::User(named));
    }
    Ok(origin)
}

/// The host of a URL for a message.
fn shown(url: &Url) -> String {
    let authority = Origin::of_url(url).map_or_else(String::new, |origin| origin.authority());
    clean_to(&authority, 100)
}

#[cfg(test)]
#[path = "origin_tests.rs"]
mod tests;
