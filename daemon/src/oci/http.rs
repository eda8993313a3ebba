//! The only client that speaks to registries, and the only one that carries a registry's
//! credential.
//!
//! [`RegistryClient::send`] gives a 2xx answer or an error that says who failed at what. Between
//! the two it logs in ([`super::auth`]), follows the redirects that policy allows, tries again
//! what may be sent twice, waits when a registry asks for it, and keeps to each registry's limit
//! of connections.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::header::{AUTHORIZATION, COOKIE, LINK, LOCATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use syncd_config::config::{Limits, RegistryEntry};
use syncd_config::{RegistryHost, Repository};
use syncd_providers::Clock;
use syncd_providers::http::{HttpError, HttpResponse, Reach, Timeouts};
use url::Url;

use super::auth::{Anonymous, CredentialSource};
use super::credentials::entry_for;
use super::error::{ErrorKind, RegistryError};
use super::exchange::{Hop, Parts, Payload, Registry, Shared};
use super::limit::{Gate, Permit};
use super::login::Logins;
use super::origin::{Origin, Policy, Refusal};
use super::refusal::LONGEST_WAIT;
pub use super::refusal::RateLimit;
use super::retry::Retry;
use super::store::BlobStream;
use super::wire::{Wires, of_http};

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

/// A place on the registry that it named itself (an upload's `Location`, a page's `Link`):
/// resolved, and checked to be at the registry's own origin.
#[derive(Clone)]
pub struct Location(Url);

/// What a request is for.
#[derive(Clone, Debug)]
pub enum RequestTarget {
    /// `/v2/…?query`, percent-encoded, at the registry's own origin.
    Path(String),
    /// Where the registry said to go on.
    Location(Location),
}

/// What a token must allow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The repository; `None` asks for no scope (`/v2/`).
    pub repository: Option<Repository>,
    /// Push as well as pull.
    pub push: bool,
    /// A repository to mount a blob from.
    pub mount_from: Option<Repository>,
}

/// A request's body.
pub enum RequestBody {
    /// None.
    Empty,
    /// Bytes, sent again on a retry.
    Bytes(Bytes),
    /// A stream of exactly `len` bytes; never sent twice. When it fails, the request fails with
    /// the stream's own error.
    Stream {
        /// The length.
        len: u64,
        /// The bytes.
        stream: BlobStream,
    },
}

/// How long the answer's head may take after the last body byte was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// 30 s.
    #[default]
    Normal,
    /// 10 min: the PUT that ends an upload, while the registry stores and hashes.
    EndOfUpload,
}

/// One request to a registry.
pub struct RegistryRequest {
    /// What it does, as in "failed to …".
    pub operation: &'static str,
    /// The method.
    pub method: Method,
    /// Where to.
    pub target: RequestTarget,
    /// What a token must allow.
    pub scope: Scope,
    /// More headers; an `Authorization` among them is not sent.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
    /// How long to wait for the answer.
    pub patience: Patience,
    /// Goes on with a body that broke off while it is being passed on. It waits for no free
    /// connection: it holds one for writing, and those who hold the others may wait for that.
    pub continues: bool,
}

/// A registry's answer, status 2xx.
pub struct RegistryResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    response: HttpResponse,
    place: String,
    operation: &'static str,
    url: Url,
    registry: Arc<Registry>,
    permit: Permit,
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

impl Patience {
    pub(crate) fn headers_within(self) -> Option<Duration> {
        match self {
            Self::Normal => None,
            Self::EndOfUpload => Some(Duration::from_secs(600)),
        }
    }
}

impl RegistryRequest {
    /// A request without body and further headers to `path` (`/v2/…`, percent-encoded).
    #[must_use]
    pub fn new(operation: &'static str, method: Method, path: impl Into<String>, scope: Scope) -> Self {
        Self {
            operation,
            method,
            target: RequestTarget::Path(path.into()),
            scope,
            headers: HeaderMap::new(),
            body: RequestBody::Empty,
            patience: Patience::Normal,
            continues: false,
        }
    }
}

impl RegistryResponse {
    fn new(registry: &Arc<Registry>, parts: &Parts, hop: Hop, permit: Permit) -> Self {
        Self {
            status: hop.response.status,
            headers: hop.response.headers.clone(),
            place: registry.place_of(&hop.url),
            response: hop.response,
            operation: parts.operation,
            url: hop.url,
            registry: registry.clone(),
            permit,
        }
    }

    /// Who answered, for messages: the registry or a host it redirected to.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The whole body, at most `cap` bytes. Gives the connection back also when it is empty.
    ///
    /// # Errors
    /// A longer or a broken body.
    pub async fn bytes(self, cap: usize) -> Result<Bytes, RegistryError> {
        let body = self.response.bytes(cap).await;
        drop(self.permit);
        body.map_err(|error| of_http(error, &self.place, self.operation))
    }

    /// The body as a stream that fails with [`ErrorKind::TooLarge`] after `size` bytes and with
    /// [`ErrorKind::ConnectionReset`] when it ends before.
    #[must_use]
    pub fn stream(self, size: u64) -> BlobStream {
        let cut = Cut {
            left: size,
            place: self.place,
            operation: self.operation,
            permit: Some(self.permit),
        };
        let body: Body = Box::pin(self.response.stream());
        Box::pin(futures::stream::unfold((cut, Some(body)), next_chunk))
    }

    /// The `Location` of an upload, when there is one.
    ///
    /// # Errors
    /// It is not at the registry's own origin, or no URL.
    pub fn location(&self) -> Result<Option<Location>, RegistryError> {
        let Some(value) = self.headers.get(LOCATION) else {
            return Ok(None);
        };
        self.named(value.to_str().ok(), |text| {
            self.registry.policy().location(&self.url, text)
        })
    }

    /// The `Link` to the next page, when there is one.
    ///
    /// # Errors
    /// It is not at the registry's own origin, or no URL.
    pub fn next_page(&self) -> Result<Option<Location>, RegistryError> {
        let mut links = self.headers.get_all(LINK).iter().filter_map(next_link);
        let Some(link) = links.next() else {
            return Ok(None);
        };
        self.named(Some(link), |text| {
            self.registry.policy().next_page(&self.url, text)
        })
    }

    fn named(
        &self,
        text: Option<&str>,
        check: impl Fn(&str) -> Result<Url, Refusal>,
    ) -> Result<Option<Location>, RegistryError> {
        let fail = |kind, detail: &str| RegistryError::new(kind, &*self.place, self.operation).detail(detail);
        let text = text.ok_or_else(|| fail(ErrorKind::Malformed, "the Location is not text"))?;
        match check(text) {
            Ok(url) => Ok(Some(Location(url))),
            Err(Refusal::NotUrl(named)) => Err(fail(ErrorKind::Malformed, &format!("{named} is not a URL"))),
            Err(refused) => Err(fail(ErrorKind::OriginRefused, &refused.to_string())),
        }
    }
}

/// The target of `<…>; rel="next"` (RFC 8288), the one form that registries send.
fn next_link(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok().filter(|text| text.len() <= 4096)?;
    let (target, parameters) = text.trim().strip_prefix('<')?.split_once('>')?;
    let mut parameters = parameters
        .split(';')
        .map(|p| p.trim().to_ascii_lowercase().replace([' ', '"'], ""));
    parameters
        .any(|parameter| parameter == "rel=next")
        .then_some(target)
}

type Body = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, HttpError>> + Send>>;

/// What is still to come of a body.
struct Cut {
    left: u64,
    place: String,
    operation: &'static str,
    permit: Option<Permit>,
}

async fn next_chunk(
    (mut cut, body): (Cut, Option<Body>),
) -> Option<(Result<Bytes, RegistryError>, (Cut, Option<Body>))> {
    let mut body = body?;
    let error = match body.next().await {
        Some(Ok(chunk)) if chunk.len() as u64 <= cut.left => {
            cut.left -= chunk.len() as u64;
            return Some((Ok(chunk), (cut, Some(body))));
        }
        Some(Ok(_)) => RegistryError::new(ErrorKind::TooLarge, &*cut.place, cut.operation)
            .detail("more bytes came than the descriptor says"),
        Some(Err(error)) => of_http(error, &cut.place, cut.operation),
        None if cut.left > 0 => RegistryError::new(ErrorKind::ConnectionReset, &*cut.place, cut.operation)
            .detail("fewer bytes came than the descriptor says"),
        None => return None,
    };
    // The connection is given back before the reader gets round to dropping the stream.
    cut.permit = None;
    Some((Err(error), (cut, None)))
}

impl Location {
    /// The same place with one more query parameter, percent-encoded here.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        self.0.query_pairs_mut().append_pair(name, value);
        self
    }

    /// The path, for keeping and for messages; queries may hold secrets.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::{HeaderValue, next_link};

    #[test]
    fn links_to_the_next_page() {
        let long = format!("</v2/{}>; rel=next", "a".repeat(5000));
        for (text, target) in [
            (
                "</v2/a/tags/list?last=x&n=2>; rel=\"next\"",
                Some("/v2/a/tags/list?last=x&n=2"),
            ),
            (" <https://r.example/p> ; rel=next ", Some("https://r.example/p")),
            ("</p>; title=\"x\"; REL = \"Next\"", Some("/p")),
            ("<>; rel=next", Some("")),
            ("</p>; rel=prev", None),
            ("</p>", None),
            ("/p; rel=next", None),
            ("</p; rel=next", None),
            (&long, None),
            ("", None),
        ] {
            assert_eq!(next_link(&HeaderValue::from_str(text).unwrap()), target, "{text}");
        }
    }
}
