//! Why an image does not pull.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `syncd diagnose -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiagnoseReport {
    /// The image asked about, in full.
    pub image: String,
    /// The pod asked about; only when one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodRef>,
    /// The answer.
    pub verdict: Verdict,
    /// Other causes that the evidence allows.
    pub alternatives: Vec<Alternative>,
    /// What was looked at, in order.
    pub checks: Vec<Check>,
    /// What to do.
    pub fixes: Vec<Fix>,
}

/// The container that a diagnosis is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRef {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The container of it that has the trouble; the first one when none has.
    pub container: String,
    /// The node it is on, once it has one.
    pub node: Option<String>,
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
    /// `reference`, `network`, `registry`, `mirror`, `message`; of a pod also `pod`, `secrets`, `node`.
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

/// Declares the closed list once: the enum, its names and the list of all.
macro_rules! causes {
    ($($variant:ident = $slug:literal),* $(,)?) => {
        /// The closed list of causes, by their names in JSON and in `syncd explain`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each is described in the reference page of causes")]
        pub enum Cause {
            $(#[serde(rename = $slug)] $variant),*
        }

        impl Cause {
            /// All of them, in the order of the reference page.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in JSON, on the command line and in the reference page.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $slug),*
                }
            }
        }
    };
}

causes! {
    None = "none",
    Unknown = "unknown",
    RepoNotFound = "repo_not_found",
    TagNotFound = "tag_not_found",
    PlatformMismatch = "platform_mismatch",
    UnsupportedManifest = "unsupported_manifest",
    InvalidReference = "invalid_reference",
    AuthMissing = "auth_missing",
    AuthWrongCredentials = "auth_wrong_credentials",
    AuthTokenExpired = "auth_token_expired",
    SecretMissing = "secret_missing",
    SecretMisconfigured = "secret_misconfigured",
    CredentialProviderFailed = "credential_provider_failed",
    PermissionDenied = "permission_denied",
    BlockedByPolicy = "blocked_by_policy",
    SignatureRejected = "signature_rejected",
    RateLimited = "rate_limited",
    RegistryError = "registry_error",
    MirrorFault = "mirror_fault",
    DnsFailure = "dns_failure",
    NetworkTimeout = "network_timeout",
    NetworkUnreachable = "network_unreachable",
    ConnectionRefused = "connection_refused",
    ConnectionReset = "connection_reset",
    ProxyError = "proxy_error",
    TlsUnknownCa = "tls_unknown_ca",
    TlsHostnameMismatch = "tls_hostname_mismatch",
    TlsCertTime = "tls_cert_time",
    TlsHttpMismatch = "tls_http_mismatch",
    ContentCorrupt = "content_corrupt",
    DiskFull = "disk_full",
    LayerExtractFailed = "layer_extract_failed",
    LocalStoreCorrupt = "local_store_corrupt",
    ImageNeverPull = "image_never_pull",
    PullQpsExceeded = "pull_qps_exceeded",
    PullCanceled = "pull_canceled",
    SandboxImagePull = "sandbox_image_pull",
    RuntimeUnavailable = "runtime_unavailable",
    RuntimeMisconfigured = "runtime_misconfigured",
    NoCauseInMessage = "no_cause_in_message",
    NotImageProblem = "not_image_problem",
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Confidence {
    /// The name in JSON and in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

impl CheckStatus {
    /// The name in JSON and in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}
