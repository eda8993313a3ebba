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

use super::auth::{Anonymous, Credential, CredentialSource, Only};
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
    entries: Vec<RegistryEntry>,
    wires: Arc<Wires>,
    credentials: Arc<dyn CredentialSource>,
    clock: Clock,
    /// The entry that speaks for one host whatever [`entry_for`] says (of several for that host).
    chosen: Option<(RegistryHost, Option<usize>)>,
    /// What is one for all credentials: connections in use, pauses, counters.
    shared: Arc<Mutex<HashMap<RegistryHost, Arc<Shared>>>>,
    /// Each host, as the configured identity and as nobody.
    known: Mutex<HashMap<(RegistryHost, bool), Arc<Registry>>>,
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
                chosen: None,
                shared: Arc::default(),
                known: Mutex::default(),
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

    /// A client by the same rules, limits and connections in which `host` has exactly this
    /// credential (or none) and every other host has none; it shares no tokens with this one.
    /// `entry` says how the host is reached when several entries stand for it; without it the one
    /// that speaks for the host does, else the first.
    ///
    /// # Errors
    /// `entry` is not one of this client's for `host`.
    pub fn with_only(
        &self,
        entry: Option<&RegistryEntry>,
        host: &RegistryHost,
        credential: Option<Credential>,
    ) -> Result<Self, RegistryError> {
        let entries = &self.inner.entries;
        let at = match entry {
            Some(wanted) => {
                let same = |entry: &RegistryEntry| entry.name == wanted.name && entry.host == *host;
                let Some(at) = entries.iter().position(same) else {
                    let error =
                        RegistryError::new(ErrorKind::CredentialUnavailable, host.as_str(), "reach it");
                    return Err(
                        error.detail(&format!("no registries entry {} is for this host", wanted.name))
                    );
                };
                Some(at)
            }
            None => match entry_for(entries, host) {
                Ok(found) => found.map(|(at, _)| at),
                Err(_) => entries.iter().position(|entry| entry.host == *host),
            },
        };
        Ok(Self {
            inner: Arc::new(Inner {
                entries: entries.clone(),
                wires: self.inner.wires.clone(),
                credentials: Arc::new(Only::new(host.clone(), credential)),
                clock: self.inner.clock.clone(),
                chosen: Some((host.clone(), at)),
                shared: self.inner.shared.clone(),
                known: Mutex::default(),
            }),
            retry: self.retry,
            anonymous: false,
        })
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
        self.inner
            .seen(host)
            .map_or(0, |shared| shared.requests.load(Ordering::Relaxed))
    }

    /// What the registry said last about how many pulls are left (Docker Hub's headers).
    #[must_use]
    pub fn rate_limit(&self, host: &RegistryHost) -> Option<RateLimit> {
        self.inner.seen(host)?.rate_limit()
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
        let entry = inner.entry(host)?;
        let limits = entry.map_or_else(Limits::default, |(_, entry)| entry.limits);
        let shared = inner.shared(host, limits);
        let mut known = inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(inner.registry(host, entry, shared, self.anonymous));
        Ok(known
            .entry((host.clone(), self.anonymous))
            .or_insert_with(make)
            .clone())
    }
}

impl Inner {
    /// The entry that speaks for a host, and its place in the list.
    pub(super) fn entry(
        &self,
        host: &RegistryHost,
    ) -> Result<Option<(usize, &RegistryEntry)>, RegistryError> {
        match &self.chosen {
            Some((chosen, at)) if chosen == host => Ok(at.and_then(|at| Some((at, self.entries.get(at)?)))),
            _ => entry_for(&self.entries, host),
        }
    }

    fn seen(&self, host: &RegistryHost) -> Option<Arc<Shared>> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.get(host).cloned()
    }

    fn shared(&self, host: &RegistryHost, limits: Limits) -> Arc<Shared> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let (reads, writes) = Gate::pair(limits.connections);
            Arc::new(Shared {
                requests: AtomicU64::new(0),
                rate_limit: Mutex::new(None),
                reads,
                writes,
            })
        };
        shared.entry(host.clone()).or_insert_with(make).clone()
    }

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
