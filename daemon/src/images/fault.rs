//! Why an image was not mirrored.

use std::error::Error as StdError;

use thiserror::Error;

use super::mapping::MappingError;
use crate::oci::walk::WalkError;
use crate::oci::{ErrorKind, RegistryError};
use crate::report::ImageError;

/// A failure at one part of an image.
#[derive(Debug, Error)]
#[error("failed to {operation} {path}")]
pub struct ImageFault {
    /// What was tried, as in "failed to …".
    pub operation: &'static str,
    /// The way to the part: `1.27 -> index -> linux/arm64 -> layer 3`.
    pub path: String,
    /// The closed class: an [`ErrorKind`]'s name, or one of this module's.
    pub kind: &'static str,
    /// What to do, when known.
    pub hint: Option<&'static str>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Said when content at the mirror stays damaged after it was sent again.
pub const DAMAGED: &str =
    "the mirror holds a damaged blob; a push cannot heal it: run its garbage collection, then mirror again";

impl ImageFault {
    /// A failure of a registry or store at `path`.
    #[must_use]
    pub fn at(operation: &'static str, path: impl Into<String>, source: RegistryError) -> Self {
        Self {
            operation,
            path: path.into(),
            kind: source.kind().as_str(),
            hint: hint(&source),
            source: Some(Box::new(source)),
        }
    }

    /// A failure of our own finding.
    #[must_use]
    pub fn found(operation: &'static str, path: impl Into<String>, kind: &'static str) -> Self {
        Self {
            operation,
            path: path.into(),
            kind,
            hint: None,
            source: None,
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// As it is reported: the chain of causes in one line.
    #[must_use]
    pub fn report(&self) -> ImageError {
        ImageError {
            kind: self.kind.to_owned(),
            path: self.path.clone(),
            message: chain(self),
            hint: self.hint.map(str::to_owned),
        }
    }
}

impl From<WalkError> for ImageFault {
    fn from(error: WalkError) -> Self {
        let kind = error.kind().as_str();
        let operation = "read the image at";
        match error {
            WalkError::Source { path, source } => Self::at(operation, path, *source),
            WalkError::Manifest { path, source } => Self {
                kind,
                source: Some(Box::new(source)),
                ..Self::found("accept the manifest at", path, kind)
            },
            WalkError::Closure { path, kind, detail } => Self {
                source: Some(detail.into()),
                ..Self::found("accept the manifest at", path, kind.as_str())
            },
        }
    }
}

impl From<MappingError> for ImageFault {
    fn from(error: MappingError) -> Self {
        Self {
            hint: error.hint(),
            kind: error.kind(),
            source: Some(Box::new(error)),
            ..Self::found("name", "the image in the mirror", "")
        }
    }
}

/// What to do about the commonest failures.
fn hint(error: &RegistryError) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::LoginRequired => Some("give the registry an entry with an identity under `registries`"),
        ErrorKind::CredentialsRejected => {
            Some("check the user and the password file of its entry under `registries`")
        }
        ErrorKind::Denied => Some("the login works, the right is missing: ask the registry's owner for it"),
        ErrorKind::TlsUnknownCa => Some("name its CA with `caFile` in its entry under `registries`"),
        ErrorKind::TlsHttpMismatch => Some("set or remove `plainHttp` in its entry under `registries`"),
        ErrorKind::RateLimited => Some("the registry limits requests: log in there, or mirror less often"),
        ErrorKind::DiskFull => Some("make room where the mirror keeps its store"),
        ErrorKind::ManifestUnknown
        | ErrorKind::RepositoryUnknown
        | ErrorKind::Dns
        | ErrorKind::ConnectionRefused
        | ErrorKind::Unreachable
        | ErrorKind::Timeout
        | ErrorKind::Proxy
        | ErrorKind::Tls
        | ErrorKind::TlsHostname
        | ErrorKind::TlsCertTime => Some("`syncd diagnose` with the image's name asks step by step"),
        _ => None,
    }
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some layers say of their cause what it says itself.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
