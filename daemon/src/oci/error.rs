//! What can go wrong with a registry or a store, typed so that nobody reads texts.

use std::error::Error as StdError;
use std::fmt;

use thiserror::Error;

/// A failed operation at one place (a registry host or a folder).
#[derive(Debug, Error)]
#[error("failed to {operation} at {place}{}", detail_text(.detail))]
pub struct RegistryError {
    /// The closed class.
    pub kind: ErrorKind,
    /// The host (or folder) where it happened; the host that failed, not the one asked first.
    pub place: String,
    /// What was tried, as in "failed to …".
    pub operation: String,
    /// The HTTP status, when there was one.
    pub status: Option<u16>,
    /// The registry's own codes and messages, cleaned and cut, joined: `MANIFEST_UNKNOWN: …`.
    pub detail: String,
    /// What the refused request had to show.
    pub shown: Shown,
    /// How long the registry asked us to wait, when it did.
    pub retry_after: Option<std::time::Duration>,
    /// The cause below, free of secrets.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

fn detail_text(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(": {detail}")
    }
}

/// What a request said about who it is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// Nothing, or a token that everyone gets.
    #[default]
    Nothing,
    /// The credential, to the registry itself.
    Credential,
    /// The credential, to the token endpoint.
    CredentialForToken,
    /// A token that was had for the credential.
    Token,
}

/// The closed set of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The tag or digest is not there (404, `MANIFEST_UNKNOWN`, or no code).
    ManifestUnknown,
    /// The repository is not there (404, `NAME_UNKNOWN`).
    RepositoryUnknown,
    /// The blob is not there.
    BlobUnknown,
    /// A login is wanted and none is configured.
    LoginRequired,
    /// A credential was sent and refused.
    CredentialsRejected,
    /// The identity is known, the right is missing (403, `DENIED`).
    Denied,
    /// The token endpoint failed or answered nonsense.
    TokenEndpoint,
    /// A credential that is configured could not be had (file missing, empty, …).
    CredentialUnavailable,
    /// 429 or `TOOMANYREQUESTS`.
    RateLimited,
    /// 5xx.
    ServerError,
    /// Answers, but not as a registry (an HTML page, no `/v2/`).
    NotARegistry,
    /// An answer outside the protocol.
    Malformed,
    /// A body over its cap.
    TooLarge,
    /// The name does not resolve.
    Dns,
    /// Nothing listens there.
    ConnectionRefused,
    /// Cut in the middle.
    ConnectionReset,
    /// No route.
    Unreachable,
    /// No answer in time (connect, headers, idle or deadline).
    Timeout,
    /// The proxy refused or failed.
    Proxy,
    /// The certificate's issuer is not trusted.
    TlsUnknownCa,
    /// The certificate is for another name.
    TlsHostname,
    /// The certificate is expired or not valid yet.
    TlsCertTime,
    /// TLS spoken to a plain http port, or the other way round.
    TlsHttpMismatch,
    /// Any other TLS failure.
    Tls,
    /// A redirect, realm, Location or Link that policy refuses to follow.
    OriginRefused,
    /// Content does not have its digest or size.
    Integrity,
    /// A manifest that syncd does not carry (schema 1), or caps exceeded.
    Unsupported,
    /// The registry refuses the write (405, read-only, immutable tag).
    WriteRefused,
    /// The disk is full.
    DiskFull,
    /// Any other I/O failure of a store.
    Io,
    /// Another process holds the store.
    Locked,
    /// Given up because syncd is stopping.
    Canceled,
}

impl ErrorKind {
    /// The name in reports and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ManifestUnknown => "manifest_unknown",
            Self::RepositoryUnknown => "repository_unknown",
            Self::BlobUnknown => "blob_unknown",
            Self::LoginRequired => "login_required",
            Self::CredentialsRejected => "credentials_rejected",
            Self::Denied => "denied",
            Self::TokenEndpoint => "token_endpoint",
            Self::CredentialUnavailable => "credential_unavailable",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::NotARegistry => "not_a_registry",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Dns => "dns",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionReset => "connection_reset",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Proxy => "proxy",
            Self::TlsUnknownCa => "tls_unknown_ca",
            Self::TlsHostname => "tls_hostname",
            Self::TlsCertTime => "tls_cert_time",
            Self::TlsHttpMismatch => "tls_http_mismatch",
            Self::Tls => "tls",
            Self::OriginRefused => "origin_refused",
            Self::Integrity => "integrity",
            Self::Unsupported => "unsupported",
            Self::WriteRefused => "write_refused",
            Self::DiskFull => "disk_full",
            Self::Io => "io",
            Self::Locked => "locked",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the thing asked for does not exist there.
    #[must_use]
    pub fn is_not_found(self) -> bool {
        matches!(
            self,
            Self::ManifestUnknown | Self::RepositoryUnknown | Self::BlobUnknown
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl RegistryError {
    /// An error of `kind` while trying to `operation` at `place`.
    #[must_use]
    pub fn new(kind: ErrorKind, place: impl Into<String>, operation: impl Into<String>) -> Self {
        Self {
            kind,
            place: place.into(),
            operation: operation.into(),
            status: None,
            detail: String::new(),
            shown: Shown::Nothing,
            retry_after: None,
            source: None,
        }
    }

    /// With the registry's or our own words about it; cleaned here.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.detail = syncd_config::text::clean(detail);
        self
    }

    /// With the HTTP status.
    #[must_use]
    pub fn status(mut self, status: http::StatusCode) -> Self {
        self.status = Some(status.as_u16());
        self
    }

    /// The same error once more, for the others that waited for the same thing. The cause is
    /// left out.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            kind: self.kind,
            place: self.place.clone(),
            operation: self.operation.clone(),
            status: self.status,
            detail: self.detail.clone(),
            shown: self.shown,
            retry_after: self.retry_after,
            source: None,
        }
    }

    /// With the cause below.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The class.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let token_server_down =
            self.kind == ErrorKind::TokenEndpoint && self.status.is_some_and(|status| status >= 500);
        token_server_down
            || matches!(
                self.kind,
                ErrorKind::RateLimited
                    | ErrorKind::ServerError
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionRefused
                    | ErrorKind::Timeout
                    | ErrorKind::Unreachable
            )
    }
}
