//! What is asked of a registry.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use syncd_config::Repository;

use super::response::Location;
use super::store::BlobStream;

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
