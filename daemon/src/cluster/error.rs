//! What the API refused, and in which words.

use std::fmt;

use thiserror::Error;

/// A request that failed.
#[derive(Debug, Error)]
#[error("failed to {verb} {what}{}", Detail(.detail))]
pub struct ClusterError {
    /// The closed class.
    pub kind: ClusterErrorKind,
    /// What was tried.
    pub verb: Verb,
    /// On what: `secret team-a/syncd-pull`, `namespaces`.
    pub what: String,
    /// The API's own words, escaped and cut; empty when it did not answer.
    pub detail: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ClusterError {
    /// An error without a cause of its own. `detail` must be safe to show.
    #[must_use]
    pub fn new(
        kind: ClusterErrorKind,
        verb: Verb,
        what: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            verb,
            what: what.into(),
            detail: detail.into(),
            source: None,
        }
    }

    /// What to do, where that is the same whatever was tried.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self.kind {
            ClusterErrorKind::NotConfigured => {
                Some("name a kubeconfig (--kubeconfig, KUBECONFIG), or run in a pod with a service account")
            }
            ClusterErrorKind::Unauthenticated => {
                Some("renew the credential of the kubeconfig, or check the service account's token")
            }
            ClusterErrorKind::Forbidden => {
                Some("give syncd's account this right; `kubectl auth can-i` shows what it has")
            }
            _ => None,
        }
    }
}

/// The classes of [`ClusterError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClusterErrorKind {
    /// No cluster is configured, or its configuration cannot be used.
    NotConfigured,
    /// No answer.
    Unreachable,
    /// 401: the API does not know us.
    Unauthenticated,
    /// 403: the right is missing.
    Forbidden,
    /// 404.
    NotFound,
    /// 409: it was changed since it was read.
    Conflict,
    /// 409: it is there already.
    AlreadyExists,
    /// The namespace is being deleted.
    Terminating,
    /// 422: an immutable field (a secret's type), or an admission policy's refusal in its own words.
    Invalid,
    /// 429.
    Throttled,
    /// 410: the list is too old.
    Gone,
    /// Anything else.
    Other,
}

impl ClusterErrorKind {
    /// The name in reports and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::Unreachable => "unreachable",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::AlreadyExists => "already_exists",
            Self::Terminating => "terminating",
            Self::Invalid => "invalid",
            Self::Throttled => "throttled",
            Self::Gone => "gone",
            Self::Other => "other",
        }
    }
}

/// The verbs of RBAC that syncd uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Reads one.
    Get,
    /// Reads many.
    List,
    /// Follows changes.
    Watch,
    /// Makes one.
    Create,
    /// Replaces one.
    Update,
    /// Changes a part of one.
    Patch,
    /// Removes one.
    Delete,
    /// Not a verb of RBAC: reaches the API at all.
    Connect,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Connect => "connect to",
        })
    }
}

struct Detail<'a>(&'a str);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            detail => write!(f, ": {detail}"),
        }
    }
}
