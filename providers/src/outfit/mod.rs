//! What every identity asks its issuer with: one way to trust, one way through proxies, one view of
//! the environment, whatever SDK is on top.
//!
//! - [`Outfit`][]: how to reach issuers, the same for all
//! - [`Ask`][]: one request to one, with its answer or a [`TokenError`] of a closed kind
//! - [`Environment`][]: what the process was told, as a value

mod answer;
mod ask;
mod words;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use syncd_config::config::Proxy;
use url::{Host, Url};

pub use self::answer::Answer;
pub use self::ask::{Ask, Payload, http_failure};
pub use self::words::strike;

use crate::http::{HttpClient, Profile, Reach, Timeouts};
use crate::token::TokenError;

/// No mint takes longer; who calls gives up after it.
pub const WHOLE: Duration = Duration::from_secs(10);

/// How issuers are reached.
#[derive(Clone, Debug, Default)]
pub struct Outfit {
    /// A PEM file of CAs, trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy; never taken to a metadata service.
    pub proxy: Proxy,
    /// What the process was told by variables.
    pub environment: Environment,
}

impl Outfit {
    /// A client that connects no further than `reach`: within 1 s to a metadata service (off its
    /// cloud nobody answers there), within 5 s elsewhere. Its requests end within 10 s, as a whole
    /// mint does by its caller's deadline.
    ///
    /// # Errors
    /// The CA file cannot be used: misconfigured. The error names no identity ([`TokenError::about`]).
    pub fn client(&self, reach: Reach, plain_http: bool) -> Result<HttpClient, TokenError> {
        let metadata = reach == Reach::Metadata;
        let profile = Profile {
            ca_file: self.ca_file.clone(),
            plain_http,
            proxy: match metadata {
                true => Proxy::Direct,
                false => self.proxy.clone(),
            },
            reach,
            timeouts: Timeouts {
                connect: Duration::from_secs(if metadata { 1 } else { 5 }),
                headers: WHOLE,
                idle: WHOLE,
                ..Timeouts::default()
            },
        };
        HttpClient::new(&profile).map_err(|error| http_failure("", "set up the connection", error))
    }
}

/// Whether a URL may be asked by plain http: on this machine only, where nobody listens in between.
#[must_use]
pub fn may_be_plain(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => v6.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The variables of the process, or what stands for them.
#[derive(Clone)]
pub struct Environment(Arc<Look>);

type Look = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Environment {
    /// Variables that `look` knows.
    pub fn new(look: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    /// Exactly these variables.
    #[must_use]
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let map: std::collections::BTreeMap<String, String> = pairs.iter().map(owned).collect();
        Self::new(move |name| map.get(name).cloned())
    }

    /// The variable; `None` also when it is empty or no UTF-8 text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }
}

/// The process' own.
impl Default for Environment {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place where identities see what their cloud told the process"
    )]
    fn default() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

#[cfg(test)]
mod tests {
    use super::{Environment, Outfit, may_be_plain};
    use crate::http::Reach;
    use crate::token::TokenErrorKind;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for (url, plain) in [
            ("http://127.0.0.1:80/", true),
            ("http://[::1]/", true),
            ("http://localhost:9/", true),
            ("http://127.0.0.1.example/", false),
            ("http://10.0.0.1/", false),
            ("http://oauth2.googleapis.com/token", false),
        ] {
            assert_eq!(may_be_plain(&url.parse().unwrap()), plain, "{url}");
        }
    }

    #[test]
    fn the_environment_is_a_value() {
        let environment = Environment::of(&[("A", "1"), ("B", "")]);
        assert_eq!(environment.get("A").as_deref(), Some("1"));
        assert_eq!(environment.get("B"), None);
        assert_eq!(environment.get("PATH"), None);
        assert!(Environment::default().get("PATH").is_some());
    }

    #[test]
    fn a_ca_file_that_is_missing_is_our_mistake() {
        let outfit = Outfit {
            ca_file: Some("/nowhere/ca.pem".into()),
            ..Outfit::default()
        };
        let error = outfit
            .client(Reach::Private, false)
            .err()
            .unwrap()
            .about("gar: x");
        assert_eq!(error.kind, TokenErrorKind::Misconfigured);
        assert!(error.to_string().contains("gar: x"), "{error}");
        let cause = error.source.unwrap().to_string();
        assert!(cause.contains("/nowhere/ca.pem"), "{cause}");
    }
}
