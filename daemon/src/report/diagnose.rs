//! Why an image does not pull.

use serde::{Deserialize, Serialize};

/// `syncd diagnose -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiagnoseReport {
    /// The image asked about, in full.
    pub image: String,
    /// The answer.
    pub verdict: Verdict,
    /// Other causes that the evidence allows.
    pub alternatives: Vec<Alternative>,
    /// What was looked at, in order.
    pub checks: Vec<Check>,
    /// What to do.
    pub fixes: Vec<Fix>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The cause.
    pub cause: Cause,
    /// How sure.
    pub confidence: Confidence,
    /// One sentence.
    pub summary: String,
    /// The deciding words.
    pub evidence: String,
}

/// Another cause that the evidence allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// The cause.
    pub cause: Cause,
    /// How sure.
    pub confidence: Confidence,
}

/// How sure an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Other causes are as likely.
    Possible,
    /// The best of several.
    Likely,
    /// Nothing else explains the evidence.
    Certain,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// `reference`, `dns`, `tcp`, `tls`, `api`, `auth`, `manifest`, `platform`, `mirror.presence`, …
    pub id: String,
    /// `reference`, `network`, `registry`, `mirror`.
    pub category: String,
    /// How it went.
    pub status: CheckStatus,
    /// What would be true if all were well.
    pub claim: String,
    /// What was seen.
    pub detail: String,
    /// What to do; empty when nothing.
    pub hint: String,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// The claim holds.
    Pass,
    /// It holds with a reservation.
    Warn,
    /// It does not hold.
    Fail,
    /// It was not looked at; `detail` says why.
    Skip,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fix {
    /// In words.
    pub text: String,
    /// As a command, when there is one.
    pub command: Option<String>,
    /// Whether it takes something away.
    pub destructive: bool,
}

/// The closed list of causes, by their names in JSON and in `syncd explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is described by its runbook page")]
pub enum Cause {
    None,
    Unknown,
    RepoNotFound,
    TagNotFound,
    PlatformMismatch,
    UnsupportedManifest,
    InvalidReference,
    AuthMissing,
    AuthWrongCredentials,
    PermissionDenied,
    RateLimited,
    RegistryError,
    MirrorFault,
    DnsFailure,
    NetworkTimeout,
    NetworkUnreachable,
    ConnectionRefused,
    ConnectionReset,
    ProxyError,
    TlsUnknownCa,
    TlsHostnameMismatch,
    TlsCertTime,
    TlsHttpMismatch,
    ContentCorrupt,
}
