//! What a pod's diagnosis is joined from, and what comes out: plain values.

use super::creds::Creds;
use super::told::Told;
use crate::diagnose::faults::Finding;
use crate::report::Cause::{
    self, AuthMissing, AuthTokenExpired, AuthWrongCredentials, BlockedByPolicy, ConnectionRefused,
    ConnectionReset, ContentCorrupt, CredentialProviderFailed, DiskFull, DnsFailure, ImageNeverPull,
    InvalidReference, LayerExtractFailed, LocalStoreCorrupt, MirrorFault, NetworkTimeout, NetworkUnreachable,
    NoCauseInMessage, NotImageProblem, PermissionDenied, PlatformMismatch, ProxyError, PullCanceled,
    PullQpsExceeded, RateLimited, RegistryError, RepoNotFound, RuntimeMisconfigured, RuntimeUnavailable,
    SandboxImagePull, SecretMisconfigured, SecretMissing, SignatureRejected, TagNotFound, TlsCertTime,
    TlsHostnameMismatch, TlsHttpMismatch, TlsUnknownCa, Unknown, UnsupportedManifest,
};

/// What the registry answered to the node's credential, asked from here.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// Nobody was asked.
    NotAsked,
    /// The image can be pulled.
    Works,
    /// It wants a login, and none was sent.
    WantsLogin(Finding),
    /// It refused the credential.
    Refused(Finding),
    /// It accepts the credential, and gives no right to this repository.
    Denied(Finding),
    /// A rule refuses.
    Blocked(Finding),
    /// It has no such repository, tag or digest.
    Missing(Finding),
    /// It was reached and fails in another way: a limit, an outage, content, a platform.
    Fails(Finding),
    /// It was not reached, or something on this side stopped the question.
    Unreached(Finding),
}

impl Seen {
    /// What was found, when something was asked and did not work.
    pub(super) fn finding(&self) -> Option<&Finding> {
        match self {
            Self::NotAsked | Self::Works => None,
            Self::WantsLogin(found)
            | Self::Refused(found)
            | Self::Denied(found)
            | Self::Blocked(found)
            | Self::Missing(found)
            | Self::Fails(found)
            | Self::Unreached(found) => Some(found),
        }
    }
}

/// How the parts fit together: what is said about it, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Story {
    /// The node's own words decide.
    Words,
    /// The words stand, and the same is seen from here.
    Confirmed,
    /// The node fails, and from here it works: a part of the node's path, or it was mended since.
    WorksFromHere,
    /// The pod's secrets decide.
    Secrets,
    /// The registry's answer to the node's credential decides.
    Probe,
    /// What the configured mirror lacks decides.
    Mirror,
}

/// The outcome.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Joined {
    pub(super) finding: Finding,
    pub(super) story: Story,
}

/// What is joined.
pub(super) struct Evidence<'a> {
    pub(super) told: &'a Told,
    pub(super) creds: &'a Creds,
    pub(super) seen: &'a Seen,
    /// Whether the configured mirror was asked and lacks the image.
    pub(super) mirror_lacks: bool,
}

/// The families of causes, by who can decide them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Rights and existence.
    Access,
    /// The way to the registry, and the registry itself.
    Remote,
    /// The node; no registry can say anything about it.
    Node,
    /// The words hold no cause.
    None,
}

/// The family of a cause.
pub(super) fn family(cause: Cause) -> Family {
    match cause {
        RepoNotFound
        | TagNotFound
        | AuthMissing
        | AuthWrongCredentials
        | AuthTokenExpired
        | SecretMissing
        | SecretMisconfigured
        | CredentialProviderFailed
        | PermissionDenied
        | BlockedByPolicy => Family::Access,
        PlatformMismatch | UnsupportedManifest | RateLimited | RegistryError | MirrorFault | DnsFailure
        | NetworkTimeout | NetworkUnreachable | ConnectionRefused | ConnectionReset | ProxyError
        | TlsUnknownCa | TlsHostnameMismatch | TlsCertTime | TlsHttpMismatch | ContentCorrupt
        | PullCanceled => Family::Remote,
        InvalidReference | SignatureRejected | DiskFull | LayerExtractFailed | LocalStoreCorrupt
        | ImageNeverPull | PullQpsExceeded | SandboxImagePull | RuntimeUnavailable | RuntimeMisconfigured
        | NotImageProblem => Family::Node,
        Cause::None | Unknown | NoCauseInMessage => Family::None,
    }
}
