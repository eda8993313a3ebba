//! Which proxy, if any, a request takes.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use syncd_config::config::Proxy;

use super::error::{HttpError, HttpErrorKind};

/// A client's proxies.
pub(crate) struct Proxies {
    matcher: Option<Matcher>,
    from_environment: bool,
}

impl Proxies {
    pub(crate) fn new(proxy: &Proxy) -> Self {
        let (matcher, from_environment) = match proxy {
            Proxy::Direct => (None, false),
            Proxy::Environment => (Some(Matcher::from_env()), true),
            Proxy::Url(url) => (Some(Matcher::builder().all(url.as_str()).build()), false),
        };
        Self {
            matcher,
            from_environment,
        }
    }

    /// The proxy for a request.
    pub(crate) fn for_uri(&self, uri: &Uri) -> Result<Option<Intercept>, HttpError> {
        // What every Go client does: this machine is never asked for through the environment's proxy.
        if self.from_environment && is_local(uri.host().unwrap_or_default()) {
            return Ok(None);
        }
        let found = self.matcher.as_ref().and_then(|matcher| matcher.intercept(uri));
        match found {
            Some(proxy) if proxy.uri().scheme() != Some(&http::uri::Scheme::HTTP) => Err(HttpError::new(
                HttpErrorKind::Proxy,
                "the proxy's URL is not http://host:port, the only kind syncd speaks",
            )),
            found => Ok(found),
        }
    }
}

fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use syncd_config::config::Proxy;

    use super::{Proxies, is_local};

    #[test]
    fn a_given_proxy_is_used_for_both_schemes() {
        let proxies = Proxies::new(&Proxy::Url("http://proxy.example:3128".parse().unwrap()));
        for uri in ["http://127.0.0.1:5000/v2/", "https://registry.example/v2/"] {
            let proxy = proxies.for_uri(&uri.parse().unwrap()).unwrap().unwrap();
            assert_eq!(proxy.uri().to_string(), "http://proxy.example:3128/");
        }
        let direct = Proxies::new(&Proxy::Direct);
        assert!(
            direct
                .for_uri(&"https://registry.example/".parse().unwrap())
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn other_kinds_of_proxy_are_refused() {
        for url in ["https://proxy.example", "socks5://proxy.example"] {
            let proxies = Proxies::new(&Proxy::Url(url.parse().unwrap()));
            assert!(
                proxies
                    .for_uri(&"https://registry.example/".parse().unwrap())
                    .is_err(),
                "{url}"
            );
        }
    }

    #[test]
    fn this_machine_is_known() {
        assert!(is_local("localhost") && is_local("127.0.0.1") && is_local("[::1]"));
        assert!(!is_local("registry.example") && !is_local("10.0.0.1"));
    }
}
