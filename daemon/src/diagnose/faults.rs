//! The one table from a failure to its cause.
//!
//! `certain` is said only where nothing else explains what was seen: a refused connection is a
//! refused connection. Registries answer 401, 403 and 404 for private, missing and misspelt
//! repositories alike, so those give a ranked list.

use syncd_config::RegistryHost;
use syncd_config::text::clean;

use super::facts::Fault;
use crate::oci::ErrorKind;
use crate::report::{Alternative, Cause, Confidence};

use Confidence::{Certain, Likely, Possible};

/// A cause with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// The cause.
    pub(crate) cause: Cause,
    /// How sure.
    pub(crate) confidence: Confidence,
    /// The deciding words.
    pub(crate) evidence: String,
    /// The host that failed.
    pub(crate) place: String,
    /// Other causes that the evidence allows, the likelier first.
    pub(crate) alternatives: Vec<Alternative>,
}

impl Finding {
    /// A finding without alternatives.
    pub(crate) fn new(cause: Cause, confidence: Confidence, evidence: &str, place: &str) -> Self {
        Self {
            cause,
            confidence,
            evidence: evidence.to_owned(),
            place: place.to_owned(),
            alternatives: Vec::new(),
        }
    }

    /// And these are possible as well.
    pub(crate) fn or(mut self, causes: &[Cause]) -> Self {
        self.alternatives.extend(causes.iter().map(|cause| Alternative {
            cause: *cause,
            confidence: Possible,
        }));
        self
    }
}

/// The step in which a failure happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Resolving the name.
    Dns,
    /// Connecting.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// `/v2/` without a credential.
    Api,
    /// Logging in.
    Login,
    /// Asking for the manifest of the image, or of its platform.
    Manifest,
    /// Reading a blob.
    Blob,
}

/// What the table needs to know besides the failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    /// The registry of the reference.
    pub(crate) host: &'a RegistryHost,
    /// Whether no credential is configured for it.
    pub(crate) anonymous: bool,
    /// Whether a proxy lies in between.
    pub(crate) proxied: bool,
    /// The step.
    pub(crate) step: Step,
}

/// The cause of a failure.
pub(crate) fn cause_of(fault: &Fault, around: Around<'_>) -> Finding {
    let (cause, confidence, others) = row(fault, around);
    let evidence = if fault.place == around.host.as_str() || fault.place.is_empty() {
        fault.evidence()
    } else {
        // Another host than the one asked: a token server, a blob store that was redirected to.
        format!("{}: {}", clean(&fault.place), fault.evidence())
    };
    Finding::new(cause, confidence, &evidence, &fault.place).or(others)
}

type Row = (Cause, Confidence, &'static [Cause]);

/// Public registries that answer 401 for a missing repository as for a private one; in the field
/// the missing one is the commoner by far.
const HIDE_MISSING: &[&str] = &["docker.io", "quay.io"];

fn row(fault: &Fault, around: Around<'_>) -> Row {
    match fault.kind {
        ErrorKind::ManifestUnknown => (Cause::TagNotFound, Likely, &[Cause::RepoNotFound]),
        ErrorKind::RepositoryUnknown if around.anonymous => {
            (Cause::RepoNotFound, Likely, &[Cause::AuthMissing])
        }
        ErrorKind::RepositoryUnknown => (Cause::RepoNotFound, Likely, &[Cause::PermissionDenied]),
        ErrorKind::BlobUnknown => (Cause::ContentCorrupt, Likely, &[Cause::RegistryError]),
        ErrorKind::LoginRequired => login_required(around),
        ErrorKind::CredentialsRejected => rejected(fault, around),
        ErrorKind::Denied => denied(fault, around),
        ErrorKind::TokenEndpoint => token_endpoint(fault, around),
        ErrorKind::RateLimited => (Cause::RateLimited, Certain, &[]),
        ErrorKind::ServerError if around.proxied => (Cause::RegistryError, Likely, &[Cause::ProxyError]),
        ErrorKind::ServerError => (Cause::RegistryError, Certain, &[]),
        ErrorKind::NotARegistry => (
            Cause::RegistryError,
            Possible,
            &[Cause::RepoNotFound, Cause::ProxyError],
        ),
        ErrorKind::Malformed => (Cause::RegistryError, Likely, &[Cause::ProxyError]),
        ErrorKind::TooLarge | ErrorKind::Unsupported => {
            (Cause::UnsupportedManifest, Likely, &[Cause::RegistryError])
        }
        ErrorKind::Integrity => (Cause::ContentCorrupt, Likely, &[Cause::ProxyError]),
        ErrorKind::Dns
        | ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::Unreachable
        | ErrorKind::Timeout
        | ErrorKind::Proxy => network(fault.kind, around),
        ErrorKind::TlsUnknownCa => (Cause::TlsUnknownCa, Certain, &[]),
        ErrorKind::TlsHostname => (Cause::TlsHostnameMismatch, Certain, &[]),
        ErrorKind::TlsCertTime => (Cause::TlsCertTime, Certain, &[]),
        ErrorKind::TlsHttpMismatch => (Cause::TlsHttpMismatch, Certain, &[]),
        // Our own troubles and refusals: a node might get through, so no cause is claimed.
        ErrorKind::CredentialUnavailable
        | ErrorKind::Tls
        | ErrorKind::OriginRefused
        | ErrorKind::WriteRefused
        | ErrorKind::DiskFull
        | ErrorKind::Io
        | ErrorKind::Locked
        | ErrorKind::Canceled => (Cause::Unknown, Possible, &[]),
    }
}

fn login_required(around: Around<'_>) -> Row {
    if HIDE_MISSING.contains(&around.host.as_str()) {
        (Cause::RepoNotFound, Likely, &[Cause::AuthMissing])
    } else {
        (Cause::AuthMissing, Likely, &[Cause::RepoNotFound])
    }
}

fn rejected(fault: &Fault, around: Around<'_>) -> Row {
    if says_expired(fault) {
        (Cause::AuthTokenExpired, Likely, &[Cause::AuthWrongCredentials])
    } else if fault.status == Some(403) && around.step == Step::Login && !says_denied_denied(fault) {
        // A token server knows who asks, and gives no token for this repository.
        (Cause::PermissionDenied, Likely, &[Cause::AuthWrongCredentials])
    } else if around.step == Step::Login {
        (Cause::AuthWrongCredentials, Likely, &[Cause::AuthTokenExpired])
    } else {
        (
            Cause::AuthWrongCredentials,
            Likely,
            &[Cause::PermissionDenied, Cause::RepoNotFound],
        )
    }
}

fn denied(fault: &Fault, around: Around<'_>) -> Row {
    if says_expired(fault) {
        (Cause::AuthTokenExpired, Likely, &[Cause::PermissionDenied])
    } else if says_policy(fault) && around.anonymous {
        (Cause::BlockedByPolicy, Likely, &[Cause::AuthMissing])
    } else if says_policy(fault) {
        (Cause::BlockedByPolicy, Likely, &[Cause::PermissionDenied])
    } else if around.anonymous && fault.has_code() {
        (
            Cause::AuthMissing,
            Likely,
            &[Cause::RepoNotFound, Cause::BlockedByPolicy],
        )
    } else if around.anonymous {
        (
            Cause::BlockedByPolicy,
            Possible,
            &[Cause::AuthMissing, Cause::ProxyError],
        )
    } else if fault.has_code() {
        (
            Cause::PermissionDenied,
            Likely,
            &[Cause::RepoNotFound, Cause::BlockedByPolicy],
        )
    } else {
        (
            Cause::PermissionDenied,
            Possible,
            &[Cause::BlockedByPolicy, Cause::ProxyError],
        )
    }
}

fn token_endpoint(fault: &Fault, around: Around<'_>) -> Row {
    match fault.status {
        Some(429) => (Cause::RateLimited, Certain, &[]),
        Some(400 | 401 | 403) if around.anonymous => login_required(around),
        Some(400 | 401 | 403) => rejected(fault, around),
        _ => (Cause::RegistryError, Likely, &[Cause::ProxyError]),
    }
}

/// Through a proxy the same words speak of the proxy, or of what lies behind it.
fn network(kind: ErrorKind, around: Around<'_>) -> Row {
    let first_hop = matches!(around.step, Step::Dns | Step::Tcp);
    if kind == ErrorKind::Proxy || (around.proxied && first_hop) {
        return (Cause::ProxyError, Certain, &[]);
    }
    match (kind, around.proxied) {
        (ErrorKind::Dns, false) => (Cause::DnsFailure, Certain, &[]),
        (ErrorKind::Dns, true) => (Cause::DnsFailure, Likely, &[Cause::ProxyError]),
        (ErrorKind::ConnectionRefused, false) => (Cause::ConnectionRefused, Certain, &[]),
        (ErrorKind::ConnectionRefused, true) => (Cause::ProxyError, Likely, &[Cause::ConnectionRefused]),
        (ErrorKind::Unreachable, false) => (Cause::NetworkUnreachable, Certain, &[]),
        (ErrorKind::Unreachable, true) => (Cause::NetworkUnreachable, Likely, &[Cause::ProxyError]),
        (ErrorKind::ConnectionReset, false) if around.step == Step::Tls => {
            (Cause::ConnectionReset, Likely, &[Cause::TlsHttpMismatch])
        }
        (ErrorKind::ConnectionReset, false) => (Cause::ConnectionReset, Likely, &[Cause::RegistryError]),
        (ErrorKind::ConnectionReset, true) => (Cause::ConnectionReset, Likely, &[Cause::ProxyError]),
        (_, false) if around.step == Step::Tcp => (Cause::NetworkTimeout, Certain, &[]),
        // A server of plain http may wait for the end of what it takes for a request.
        (_, false) if around.step == Step::Tls => (
            Cause::NetworkTimeout,
            Likely,
            &[Cause::TlsHttpMismatch, Cause::RegistryError],
        ),
        (_, false) => (Cause::NetworkTimeout, Likely, &[Cause::RegistryError]),
        (_, true) => (Cause::NetworkTimeout, Likely, &[Cause::ProxyError]),
    }
}

/// "Your authorization token has expired", "token is expired".
fn says_expired(fault: &Fault) -> bool {
    fault.words.to_ascii_lowercase().contains("expired")
}

/// GHCR's words for a login that is no good.
fn says_denied_denied(fault: &Fault) -> bool {
    fault.words.to_ascii_lowercase().contains("denied: denied")
}

/// Words of servers that refuse by rule and not by right.
fn says_policy(fault: &Fault) -> bool {
    const WORDS: &[&str] = &[
        "policy",
        "policyviolation",
        "blocked",
        "vulnerab",
        "quarantine",
        "firewall",
        "not available in your",
        "ip address",
        "not allowed from",
    ];
    let words = fault.words.to_ascii_lowercase();
    WORDS.iter().any(|word| words.contains(word))
}
