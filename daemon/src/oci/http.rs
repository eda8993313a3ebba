//! The only client that speaks to registries.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use syncd_config::config::RegistryEntry;
use syncd_config::{RegistryHost, Repository};
use syncd_providers::Clock;

use super::auth::CredentialSource;
use super::error::{ErrorKind, RegistryError};
use super::store::BlobStream;

/// One for the whole process; clones share connections, tokens, limits and counters.
#[derive(Clone)]
pub struct RegistryClient {
    inner: Arc<()>,
}

/// A place on the registry that it named itself (an upload's `Location`, a page's `Link`):
/// resolved, and checked to be at the registry's own origin.
#[derive(Clone)]
pub struct Location(url::Url);

/// What a request is for.
#[derive(Clone)]
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
    /// A stream of exactly `len` bytes; never sent twice.
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
    /// More headers; never an `Authorization`.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
    /// How long to wait for the answer.
    pub patience: Patience,
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
        }
    }
}

/// A registry's answer, status 2xx.
pub struct RegistryResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
}

impl RegistryClient {
    /// A client for the registries of a configuration and any other host, each of which then has
    /// no credential.
    ///
    /// # Errors
    /// A CA file cannot be read, or the same host is configured in a way that cannot be.
    pub fn new(
        entries: &[RegistryEntry],
        credentials: Arc<dyn CredentialSource>,
        clock: Clock,
    ) -> Result<Self, RegistryError> {
        let _ = (entries, credentials, clock);
        Ok(Self { inner: Arc::new(()) })
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
        let _ = &self.inner;
        Err(RegistryError::new(
            ErrorKind::Io,
            host.as_str(),
            request.operation,
        ))
    }

    /// HTTP requests made on behalf of that registry so far, token requests and redirects included.
    #[must_use]
    pub fn requests(&self, _host: &RegistryHost) -> u64 {
        0
    }

    /// This client without any credential: what a registry serves to everyone.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        self.clone()
    }

    /// This client waiting at most that long when a registry says `Retry-After`; beyond it the
    /// answer is [`ErrorKind::RateLimited`] at once. 2 minutes by default, 1 hour at most.
    #[must_use]
    pub fn waiting_at_most(&self, _longest: Duration) -> Self {
        self.clone()
    }
}

impl RegistryResponse {
    /// Who answered, for messages: the registry or a host it redirected to.
    #[must_use]
    pub fn place(&self) -> &str {
        ""
    }

    /// The whole body, at most `cap` bytes.
    ///
    /// # Errors
    /// A longer or a broken body.
    pub async fn bytes(self, cap: usize) -> Result<Bytes, RegistryError> {
        let _ = cap;
        Ok(Bytes::new())
    }

    /// The body as a stream that fails with [`ErrorKind::TooLarge`] after `size` bytes and with
    /// [`ErrorKind::ConnectionReset`] when it ends before.
    #[must_use]
    pub fn stream(self, size: u64) -> BlobStream {
        let _ = size;
        Box::pin(futures::stream::empty())
    }

    /// The `Location` of an upload, when there is one.
    ///
    /// # Errors
    /// It is not at the registry's own origin, or no URL.
    pub fn location(&self) -> Result<Option<Location>, RegistryError> {
        Ok(None)
    }

    /// The `Link` to the next page, when there is one.
    ///
    /// # Errors
    /// It is not at the registry's own origin, or no URL.
    pub fn next_page(&self) -> Result<Option<Location>, RegistryError> {
        Ok(None)
    }
}

impl Location {
    /// The same place with one more query parameter, percent-encoded here.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        self.0.query_pairs_mut().append_pair(name, value);
        self
    }
}
