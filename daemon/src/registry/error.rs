//! The two kinds of error here: what a client is told, and why the registry cannot start or reload.

use std::path::PathBuf;

use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde::Serialize;
use syncd_config::text::clean;
use thiserror::Error;

use super::body::ReplyBody;
use crate::oci::{ErrorKind, RegistryError};

/// The challenge (RFC 7617).
pub(crate) const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"syncd\"");

/// The error codes of distribution-spec 1.1, "Error Codes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Unauthorized,
    Denied,
    Unsupported,
    TooManyRequests,
    /// Not of the specification's list: what is wrong is on our side.
    Unknown,
}

impl Code {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// A request that is answered with an error in the specification's JSON.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    message: String,
    details: Vec<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Document<'a> {
    errors: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn bad(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_found(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// "Log in".
    pub(crate) fn unauthorized(message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, message).header(WWW_AUTHENTICATE, CHALLENGE)
    }

    /// "Known, but not allowed".
    pub(crate) fn denied(message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Denied, message)
    }

    /// "Later".
    pub(crate) fn busy(message: &'static str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyRequests, message)
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    pub(crate) fn method(allow: &'static str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::Unsupported,
            "this method is not supported here",
        )
        .header(http::header::ALLOW, HeaderValue::from_static(allow))
    }

    /// A range outside the blob (RFC 9110, 15.5.17).
    pub(crate) fn range(size: u64) -> Self {
        let refusal = Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            Code::SizeInvalid,
            "the range is outside the blob",
        );
        match HeaderValue::try_from(format!("bytes */{size}")) {
            Ok(value) => refusal.header(CONTENT_RANGE, value),
            Err(_) => refusal,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// One entry of the error list for each of these (the missing blobs of a manifest).
    pub(crate) fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// The answer. hyper leaves the body out when the request was a HEAD.
    pub(crate) fn into_response(self) -> Response<ReplyBody> {
        let entry = |detail| Entry {
            code: self.code.as_str(),
            message: &self.message,
            detail,
        };
        let errors = if self.details.is_empty() {
            vec![entry(None)]
        } else {
            self.details.iter().map(|d| entry(Some(d.as_str()))).collect()
        };
        let body = serde_json::to_vec(&Document { errors }).unwrap_or_default();
        let mut response = Response::new(ReplyBody::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

/// A failure of the store, as the client is told it. The cause stays in our log: it may hold paths.
impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        match error.kind() {
            ErrorKind::ManifestUnknown => Self::not_found(Code::ManifestUnknown, "no such manifest"),
            ErrorKind::RepositoryUnknown => Self::not_found(Code::NameUnknown, "no such repository"),
            ErrorKind::BlobUnknown => Self::not_found(Code::BlobUnknown, "no such blob"),
            ErrorKind::Integrity => Self::bad(Code::DigestInvalid, "the content has another digest"),
            ErrorKind::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Code::SizeInvalid,
                "the content is too large",
            ),
            ErrorKind::Unsupported | ErrorKind::Malformed => {
                Self::bad(Code::ManifestInvalid, clean(&error.detail))
            }
            ErrorKind::DiskFull => {
                log_failure(&error);
                Self::new(
                    StatusCode::INSUFFICIENT_STORAGE,
                    Code::Unknown,
                    "the registry's disk is full",
                )
            }
            _ => {
                log_failure(&error);
                Self::internal()
            }
        }
    }
}

impl Refusal {
    /// A failure to read what is stored. Damage there is ours, not the client's: a 500 lets a runtime
    /// go on to the next host.
    pub(crate) fn reading(error: RegistryError) -> Self {
        if error.kind() == ErrorKind::Integrity {
            log_failure(&error);
            return Self::internal();
        }
        Self::from(error)
    }
}

fn log_failure(error: &RegistryError) {
    tracing::error!(error = %error, kind = %error.kind(), source = ?error.source, "registry: the store failed");
}

impl Refusal {
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::Unknown,
            "the registry's store failed",
        )
    }
}

/// Why the embedded registry cannot start, or cannot take new files over.
#[derive(Debug, Error)]
pub enum RegistryServerError {
    /// A file cannot be read.
    #[error("failed to read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file is far larger than one of its kind is.
    #[error("failed to read {}: it is larger than {max} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The cap.
        max: u64,
    },
    /// Lines of the htpasswd file that cannot be used. What stands in them is not repeated.
    #[error("failed to read the users of {}: {}", .path.display(), .problems.join("; "))]
    Htpasswd {
        /// The file.
        path: PathBuf,
        /// `line 3: …`, at most ten.
        problems: Vec<String>,
    },
    /// A user that may push is not in the htpasswd file.
    #[error("failed to find the user {user} of auth.push in the htpasswd file")]
    UnknownPushUser {
        /// The user.
        user: String,
    },
    /// The certificate, the key or the client CA cannot be used.
    #[error("failed to use {}: {problem}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// The cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// TLS was switched on or off while running.
    #[error("failed to switch TLS of the registry while it runs")]
    TlsSwitched,
}

impl RegistryServerError {
    /// The closed class.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::TooLarge { .. } => "registry_file",
            Self::Htpasswd { .. } | Self::UnknownPushUser { .. } => "registry_htpasswd",
            Self::Certificate { .. } => "registry_certificate",
            Self::TlsSwitched => "registry_tls_switched",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Htpasswd { .. } => Some("write the line with `htpasswd -nBC 10 USER`"),
            Self::UnknownPushUser { .. } => Some("add the user to the htpasswd file, or take it out of push"),
            Self::TlsSwitched => Some("restart syncd: this needs a new listener"),
            _ => None,
        }
    }
}

/// Reads a small file of ours whole.
pub(crate) fn read_capped(path: &std::path::Path, max: u64) -> Result<Vec<u8>, RegistryServerError> {
    use std::io::Read as _;
    let read = |source| RegistryServerError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(read)?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() as u64 > max {
        return Err(RegistryServerError::TooLarge {
            path: path.to_owned(),
            max,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_failure_tells_no_path() {
        let error = RegistryError::new(ErrorKind::Io, "/srv/secret/place", "read a blob")
            .caused_by(std::io::Error::other("at /srv/secret/place"));
        let refusal = Refusal::from(error);
        assert_eq!(refusal.status, 500);
        assert!(!refusal.message.contains("/srv"));
    }

    #[test]
    fn damage_in_the_store_is_not_the_clients_fault() {
        let error = |kind| {
            Refusal::reading(RegistryError::new(kind, "store", "x"))
                .status
                .as_u16()
        };
        assert_eq!(error(ErrorKind::Integrity), 500);
        assert_eq!(error(ErrorKind::ManifestUnknown), 404);
    }

    #[test]
    fn kinds_become_the_codes_of_the_specification() {
        for (kind, status, code) in [
            (ErrorKind::ManifestUnknown, 404, "MANIFEST_UNKNOWN"),
            (ErrorKind::RepositoryUnknown, 404, "NAME_UNKNOWN"),
            (ErrorKind::BlobUnknown, 404, "BLOB_UNKNOWN"),
            (ErrorKind::Integrity, 400, "DIGEST_INVALID"),
            (ErrorKind::TooLarge, 413, "SIZE_INVALID"),
            (ErrorKind::Unsupported, 400, "MANIFEST_INVALID"),
            (ErrorKind::DiskFull, 507, "UNKNOWN"),
            (ErrorKind::Io, 500, "UNKNOWN"),
        ] {
            let refusal = Refusal::from(RegistryError::new(kind, "store", "x"));
            assert_eq!((refusal.status.as_u16(), refusal.code.as_str()), (status, code));
        }
    }
}
