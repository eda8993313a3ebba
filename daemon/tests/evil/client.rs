//! The client under test, with credentials that can be recognised anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Method;
use jiff::Timestamp;
use syncd::oci::{
    Credential, CredentialSource, RegistryClient, RegistryError, RegistryRequest, RegistryResponse, Scope,
};
use syncd_config::config::{Limits, Proxy, RegistryEntry};
use syncd_config::{RegistryHost, Secret};
use syncd_providers::Clock;
use syncd_providers::http::Timeouts;

/// The password: found nowhere but at the registry and its token host.
pub(crate) const CANARY: &str = "canary-9f3b7c-password";
/// `user:CANARY` in base64.
pub(crate) const CANARY_BASIC: &str = "dXNlcjpjYW5hcnktOWYzYjdjLXBhc3N3b3Jk";
/// The token that scripted token endpoints hand out.
pub(crate) const TOKEN: &str = "canary-4d1e8a-token";

/// One user with one password for one host.
pub(crate) struct OneUser {
    pub(crate) host: RegistryHost,
    pub(crate) username: String,
    pub(crate) asked: AtomicUsize,
    pub(crate) rejected: AtomicUsize,
}

impl CredentialSource for OneUser {
    fn get<'a>(&'a self, host: &'a RegistryHost) -> BoxFuture<'a, Result<Option<Credential>, RegistryError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let credential = (*host == self.host).then(|| Credential {
            username: self.username.clone(),
            secret: Secret::new(CANARY),
        });
        Box::pin(std::future::ready(Ok(credential)))
    }

    fn rejected(&self, _: &RegistryHost, _: &Credential) {
        self.rejected.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn user(host: &RegistryHost) -> Arc<OneUser> {
    Arc::new(OneUser {
        host: host.clone(),
        username: "user".to_owned(),
        asked: AtomicUsize::new(0),
        rejected: AtomicUsize::new(0),
    })
}

pub(crate) fn entry(host: &RegistryHost, plain_http: bool) -> RegistryEntry {
    RegistryEntry {
        name: host.to_string(),
        host: host.clone(),
        identity: None,
        probe: None,
        ca_file: None,
        plain_http,
        trusted_token_hosts: Vec::new(),
        proxy: Proxy::Direct,
        limits: Limits::default(),
    }
}

/// Deadlines in milliseconds, so that a test of one takes no longer.
pub(crate) fn quick() -> Timeouts {
    Timeouts {
        connect: Duration::from_millis(2000),
        headers: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        window: Duration::from_millis(600),
        window_bytes: 600,
    }
}

pub(crate) fn clock() -> Clock {
    Clock::from_tokio("2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap())
}

pub(crate) fn client(entries: &[RegistryEntry], credentials: Arc<dyn CredentialSource>) -> RegistryClient {
    super::logs::watch();
    RegistryClient::with_timeouts(entries, credentials, clock(), quick()).unwrap()
}

/// A plain-http registry with a user, everything tried once.
pub(crate) fn plain_client(host: &RegistryHost) -> RegistryClient {
    client(&[entry(host, true)], user(host)).without_retries()
}

pub(crate) fn pull(repository: &str) -> Scope {
    Scope {
        repository: Some(repository.parse().unwrap()),
        ..Scope::default()
    }
}

pub(crate) async fn get(
    client: &RegistryClient,
    host: &RegistryHost,
    path: &str,
) -> Result<RegistryResponse, RegistryError> {
    client
        .send(
            host,
            RegistryRequest::new("read a test object", Method::GET, path, pull("a")),
        )
        .await
}

pub(crate) async fn text(response: Result<RegistryResponse, RegistryError>) -> Result<String, RegistryError> {
    let bytes = response?.bytes(1024).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
