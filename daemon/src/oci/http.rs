//! The only client that speaks to registries, and the only one that carries a registry's
//! credential.
//!
//! [`RegistryClient::send`] gives a 2xx answer or an error that says who failed at what. Between
//! the two it logs in ([`super::auth`]), follows the redirects that policy allows, tries again
//! what may be sent twice, waits when a registry asks for it, and keeps to each registry's limit
//! of connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use syncd_config::RegistryHost;
use syncd_config::config::{Limits, RegistryEntry};
use syncd_providers::Clock;
use syncd_providers::http::{Reach, Timeouts};

use super::auth::{Anonymous, CredentialSource};
use super::credentials::entry_for;
use super::error::{ErrorKind, RegistryError};
use super::exchange::{Parts, Payload, Registry, Shared};
use super::limit::Gate;
use super::login::Logins;
use super::origin::{Origin, Policy};
use super::refusal::LONGEST_WAIT;
pub use super::refusal::RateLimit;
pub use super::request::{Patience, RegistryRequest, RequestBody, RequestTarget, Scope};
pub use super::response::{Location, RegistryResponse};
use super::retry::Retry;
use super::wire::Wires;

/// One for the whole process; clones share connections, tokens, limits and counters.
#[derive(Clone)]
pub struct RegistryClient {
    pub(super) inner: Arc<Inner>,
    retry: Retry,
    anonymous: bool,
}

pub(super) struct Inner {
    pub(super) entries: Vec<RegistryEntry>,
    wires: Arc<Wires>,
    credentials: Arc<dyn CredentialSource>,
    clock: Clock,
    hosts: Mutex<HashMap<RegistryHost, Host>>,
}

/// One host, as the configured identity and as nobody.
struct Host {
    shared: Arc<Shared>,
    known: [Option<Arc<Registry>>; 2],
}

impl RegistryClient {
    /// A client for the registries of a configuration and any other host, each of which then has
    /// no credential.
    ///
    /// # Errors
    /// A CA file cannot be used.
    pub fn new(
        entries: &[RegistryEntry],
        credentials: Arc<dyn CredentialSource>,
        clock: Clock,
    ) -> Result<Self, RegistryError> {
        Self::with_timeouts(entries, credentials, clock, Timeouts::default())
    }

    /// As [`Self::new`], with other deadlines.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_timeouts(
        entries: &[RegistryEntry],
        credentials: Arc<dyn CredentialSource>,
        clock: Clock,
        timeouts: Timeouts,
    ) -> Result<Self, RegistryError> {
        Ok(Self {
            inner: Arc::new(Inner {
                wires: Arc::new(Wires::new(entries, timeouts)?),
                entries: entries.to_vec(),
                credentials,
                clock,
                hosts: Mutex::default(),
            }),
            retry: Retry::default(),
            anonymous: false,
        })
    }

    /// This client without any credential: what a registry serves to everyone.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self {
            anonymous: true,
            ..self.clone()
        }
    }

    /// This client trying everything once: to look at a registry, not to get something done.
    #[must_use]
    pub fn without_retries(&self) -> Self {
        let retry = Retry {
            tries: 1,
            ..self.retry
        };
        Self {
            retry,
            ..self.clone()
        }
    }

    /// This client waiting at most that long when a registry says `Retry-After`; beyond it the
    /// answer is [`ErrorKind::RateLimited`] at once. 2 minutes by default, 1 hour at most.
    #[must_use]
    pub fn waiting_at_most(&self, longest: Duration) -> Self {
        let longest_wait = longest.min(LONGEST_WAIT);
        let retry = Retry {
            longest_wait,
            ..self.retry
        };
        Self {
            retry,
            ..self.clone()
        }
    }

    /// HTTP requests made on behalf of that registry so far, token requests and redirects included.
    #[must_use]
    pub fn requests(&self, host: &RegistryHost) -> u64 {
        let hosts = self.inner.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts
            .get(host)
            .map_or(0, |host| host.shared.requests.load(Ordering::Relaxed))
    }

    /// What the registry said last about how many pulls are left (Docker Hub's headers).
    #[must_use]
    pub fn rate_limit(&self, host: &RegistryHost) -> Option<RateLimit> {
        let hosts = self.inner.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(host)?.shared.rate_limit()
    }

    /// Sends the request and returns an answer of status 2xx. Retries what may be sent twice,
    /// follows the redirects that are allowed, logs in where a login is asked for.
    ///
    /// # Errors
    /// Everything else, by kind.
    pub async fn send(
        &self,
        host: &RegistryHost,
        request: RegistryRequest,
    ) -> Result<RegistryResponse, RegistryError> {
        let registry = self.registry(host)?;
        let (parts, payload) = prepare(&registry, request)?;
        let gate = match parts.is_read() {
            true => &registry.shared.reads,
            false => &registry.shared.writes,
        };
        let retry = match &payload {
            Payload::Bytes(_) => self.retry,
            Payload::Stream(_) => Retry {
                tries: 1,
                ..self.retry
            },
        };
        let payload = tokio::sync::Mutex::new(payload);
        let (registry, parts, payload) = (&registry, &parts, &payload);
        retry
            .run(gate, host.as_str(), parts.operation, || async {
                let permit = match parts.continues {
                    true => gate.enter_now(),
                    false => gate.enter().await,
                };
                // Uncontended: one try at a time.
                let mut payload = payload.lock().await;
                let hop = registry.attempt(parts, &mut payload).await?;
                Ok(RegistryResponse::new(registry, parts, hop, permit))
            })
            .await
    }

    pub(super) fn registry(&self, host: &RegistryHost) -> Result<Arc<Registry>, RegistryError> {
        let inner = &self.inner;
        let entry = entry_for(&inner.entries, host)?;
        let limits = entry.map_or_else(Limits::default, |(_, entry)| entry.limits);
        let mut hosts = inner.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_host = hosts.entry(host.clone()).or_insert_with(|| {
            let (reads, writes) = Gate::pair(limits.connections);
            let shared = Shared {
                requests: AtomicU64::new(0),
                rate_limit: Mutex::new(None),
                reads,
                writes,
            };
            Host {
                shared: Arc::new(shared),
                known: [None, None],
            }
        });
        let shared = of_host.shared.clone();
        let known = &mut of_host.known[usize::from(self.anonymous)];
        let make = || Arc::new(inner.registry(host, entry, shared, self.anonymous));
        Ok(known.get_or_insert_with(make).clone())
    }
}

impl Inner {
    fn registry(
        &self,
        host: &RegistryHost,
        entry: Option<(usize, &RegistryEntry)>,
        shared: Arc<Shared>,
        anonymous: bool,
    ) -> Registry {
        let plain = self.entries.iter().filter(|entry| entry.plain_http);
        Registry {
            host: host.clone(),
            policy: Policy {
                own: Origin::of_registry(host, entry.is_some_and(|(_, entry)| entry.plain_http)),
                trusted: entry.map_or_else(Vec::new, |(_, entry)| entry.trusted_token_hosts.clone()),
                plain: plain
                    .map(|entry| Origin::of_registry(&entry.host, true))
                    .collect(),
            },
            entry: entry.map(|(at, _)| at),
            wires: self.wires.clone(),
            credentials: if anonymous {
                Arc::new(Anonymous)
            } else {
                self.credentials.clone()
            },
            clock: self.clock.clone(),
            shared,
            logins: Logins::default(),
            reach: AtomicU8::new(Reach::Public as u8),
        }
    }
}

fn prepare(registry: &Registry, request: RegistryRequest) -> Result<(Parts, Payload), RegistryError> {
    let RegistryRequest {
        operation,
        method,
        target,
        scope,
        mut headers,
        body,
        patience,
        continues,
    } = request;
    let url = match target {
        RequestTarget::Path(path) => registry.policy().own.url(&path),
        // Checked when it was made, perhaps for another registry: checked again.
        RequestTarget::Location(Location(url)) => registry.policy().is_own(&url).then_some(url),
    };
    let url = url.ok_or_else(|| {
        RegistryError::new(ErrorKind::OriginRefused, registry.place(), operation)
            .detail("the request would leave the registry")
    })?;
    for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
        headers.remove(name);
    }
    let payload = match body {
        RequestBody::Empty => Payload::Bytes(Bytes::new()),
        RequestBody::Bytes(bytes) => Payload::Bytes(bytes),
        RequestBody::Stream { len, stream } => Payload::Stream(Some((len, stream))),
    };
    let parts = Parts {
        operation,
        method,
        url,
        scope,
        headers,
        patience,
        continues,
    };
    Ok((parts, payload))
}
