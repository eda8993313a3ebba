//! A registry looked at from below, for a diagnosis: the way to it, and its first answer to
//! somebody without a credential. By the same policy, clients and deadlines as every request.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use syncd_config::RegistryHost;

use super::challenge::{self, Challenge};
use super::error::RegistryError;
use super::exchange::{Parts, Payload};
use super::http::{Patience, RegistryClient, Scope};
use super::login::Login;
use super::wire::of_http;

/// The way to a registry.
#[derive(Clone)]
pub struct Way {
    /// The host that connections are made to; an IPv6 address without brackets.
    pub name: String,
    /// The port.
    pub port: u16,
    /// http instead of https, because the registry's entry says so.
    pub plain_http: bool,
    /// `host:port` of the proxy in between.
    pub proxy: Option<String>,
    /// The `registries` entry that stands for this host.
    pub entry: Option<String>,
    /// Whether that entry has an identity.
    pub identity: bool,
    /// Whether that entry adds CAs to those of the system.
    pub extra_ca: bool,
    /// What is trusted in a TLS handshake.
    pub trust: Arc<rustls::ClientConfig>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Way({}:{})", self.name, self.port)
    }
}

/// What `/v2/` answers to somebody without a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// 200, 401, 403 or 404; anything else is an error.
    pub status: u16,
    /// The schemes it challenges with, as far as they are known here.
    pub schemes: Vec<&'static str>,
}

const OPERATION: &str = "greet the registry";

impl RegistryClient {
    /// How connections to a registry are made.
    ///
    /// # Errors
    /// Several entries stand for the host, or its proxy or CAs cannot be used.
    pub fn way(&self, host: &RegistryHost) -> Result<Way, RegistryError> {
        let entry = self.inner.entry(host)?.map(|(_, entry)| entry);
        let registry = self.registry(host)?;
        let client = registry.wires.of_registry(registry.entry);
        let of_http = |error| of_http(error, host.as_str(), OPERATION);
        let own = &registry.policy().own;
        let url = own.url("/v2/").ok_or_else(|| {
            RegistryError::new(super::ErrorKind::OriginRefused, host.as_str(), OPERATION)
                .detail("the host makes no URL")
        })?;
        Ok(Way {
            name: url
                .host_str()
                .unwrap_or_default()
                .trim_matches(['[', ']'])
                .to_owned(),
            port: url.port_or_known_default().unwrap_or(443),
            plain_http: url.scheme() == "http",
            proxy: client.proxy_of(&url).map_err(of_http)?,
            entry: entry.map(|entry| entry.name.clone()),
            identity: entry.is_some_and(|entry| entry.identity.is_some()),
            extra_ca: entry.is_some_and(|entry| entry.ca_file.is_some()),
            trust: client.trust().map_err(of_http)?,
        })
    }

    /// One `GET /v2/` without a credential, and without a token in its place.
    ///
    /// # Errors
    /// No answer, or one that a registry does not give.
    pub async fn greet(&self, host: &RegistryHost) -> Result<Greeting, RegistryError> {
        let registry = self.anonymous().registry(host)?;
        let url = registry.policy().own.url("/v2/").ok_or_else(|| {
            RegistryError::new(super::ErrorKind::OriginRefused, host.as_str(), OPERATION)
                .detail("the host makes no URL")
        })?;
        let parts = Parts {
            operation: OPERATION,
            method: Method::GET,
            url,
            scope: Scope::default(),
            headers: HeaderMap::new(),
            patience: Patience::Normal,
            continues: false,
        };
        let permit = registry.shared.reads.clone().enter().await;
        let mut nothing = Payload::Bytes(Bytes::new());
        let hop = registry.hops(&parts, &Login::None, &mut nothing).await?;
        drop(permit);
        let status = hop.response.status;
        let schemes = schemes(&hop.response.headers);
        match status {
            StatusCode::OK => {
                registry.plausible(&parts, hop)?;
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {}
            _ => return Err(registry.error_of(&parts, hop, &Login::None).await),
        }
        Ok(Greeting {
            status: status.as_u16(),
            schemes,
        })
    }
}

fn schemes(headers: &HeaderMap) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = challenge::parse(headers)
        .iter()
        .map(|challenge| match challenge {
            Challenge::Basic => "Basic",
            Challenge::Bearer { .. } => "Bearer",
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
