//! A registry's answer that is not 2xx, as a [`RegistryError`].

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use oci_client::errors::{OciEnvelope, OciErrorCode};

use super::error::{ErrorKind, RegistryError};
use super::hidden::Hidden;

/// An error body is read up to here.
pub(crate) const ERROR_BODY: usize = 16 * 1024;

/// A longer wait than this is never taken at its word.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What a path of `/v2/` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Base,
    Manifest,
    Blob,
    Upload,
    Repository,
}

impl Subject {
    /// By the path; a repository's name may hold any of the words, so the last one decides.
    pub(crate) fn of_path(path: &str) -> Self {
        if matches!(path, "/v2/" | "/v2") {
            return Self::Base;
        }
        let places = [
            (path.rfind("/manifests/"), Self::Manifest),
            (path.rfind("/blobs/"), Self::Blob),
            (path.rfind("/blobs/uploads"), Self::Upload),
            (path.rfind("/tags/list"), Self::Repository),
            (path.rfind("/referrers/"), Self::Manifest),
        ];
        let last = places
            .into_iter()
            .filter(|(at, _)| at.is_some())
            .max_by_key(|(at, _)| *at);
        last.map_or(Self::Repository, |(_, subject)| subject)
    }
}

/// What is known about an answer.
pub(crate) struct Answer<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) subject: Subject,
    /// A GET or HEAD.
    pub(crate) reading: bool,
    /// A credential went with the request, or the token with it was had for one.
    pub(crate) credential: bool,
    /// What was sent, and may be in the answer.
    pub(crate) hidden: &'a Hidden,
    pub(crate) now: Timestamp,
}

impl Answer<'_> {
    /// The error of `operation` at `place`.
    pub(crate) fn error(&self, place: &str, operation: &str) -> RegistryError {
        let mut words = Words::of(self.body);
        words.text = self.hidden.taken_out_of(&words.text);
        let mut error = RegistryError::new(self.kind(&words), place, operation)
            .status(self.status)
            .detail(&words.text);
        if error.detail.is_empty() {
            error = error.detail(&status_text(self.status));
        }
        error.retry_after = retry_after(self.headers, self.now);
        error
    }

    fn kind(&self, words: &Words) -> ErrorKind {
        if words.text.contains("HTTP request to an HTTPS server")
            || words.text.contains("plain HTTP request was sent to HTTPS port")
        {
            return ErrorKind::TlsHttpMismatch;
        }
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
            StatusCode::UNAUTHORIZED if self.credential => ErrorKind::CredentialsRejected,
            StatusCode::UNAUTHORIZED => ErrorKind::LoginRequired,
            // Docker Hub has used 403 and 503 for it as well: its code decides.
            _ if words.has(&OciErrorCode::Toomanyrequests) => ErrorKind::RateLimited,
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => self.by_code(words),
            StatusCode::METHOD_NOT_ALLOWED if !self.reading => ErrorKind::WriteRefused,
            StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => ErrorKind::Proxy,
            StatusCode::REQUEST_TIMEOUT => ErrorKind::Timeout,
            StatusCode::GONE if self.reading => self.missing(),
            StatusCode::NOT_IMPLEMENTED => ErrorKind::Unsupported,
            status if status.is_server_error() => ErrorKind::ServerError,
            _ if self.reading => ErrorKind::Malformed,
            _ => ErrorKind::WriteRefused,
        }
    }

    fn by_code(&self, words: &Words) -> ErrorKind {
        for code in &words.codes {
            match code {
                OciErrorCode::NameUnknown => return ErrorKind::RepositoryUnknown,
                OciErrorCode::ManifestUnknown => return ErrorKind::ManifestUnknown,
                OciErrorCode::BlobUnknown => return ErrorKind::BlobUnknown,
                OciErrorCode::ManifestBlobUnknown => return ErrorKind::BlobUnknown,
                OciErrorCode::DigestInvalid | OciErrorCode::SizeInvalid if !self.reading => {
                    return ErrorKind::Integrity;
                }
                OciErrorCode::Denied => return ErrorKind::Denied,
                OciErrorCode::Unauthorized if self.credential => return ErrorKind::CredentialsRejected,
                OciErrorCode::Unauthorized => return ErrorKind::LoginRequired,
                _ => {}
            }
        }
        match self.status {
            StatusCode::FORBIDDEN => ErrorKind::Denied,
            StatusCode::NOT_FOUND => self.missing(),
            _ if self.reading => ErrorKind::Malformed,
            _ => ErrorKind::WriteRefused,
        }
    }

    fn missing(&self) -> ErrorKind {
        match self.subject {
            Subject::Base => ErrorKind::NotARegistry,
            Subject::Manifest if self.reading => ErrorKind::ManifestUnknown,
            Subject::Manifest | Subject::Repository => ErrorKind::RepositoryUnknown,
            Subject::Blob => ErrorKind::BlobUnknown,
            // An upload session that is gone: a POST begins a new one.
            Subject::Upload => ErrorKind::BlobUnknown,
        }
    }
}

/// Whether an error's words say that a token is too old: ECR answers 403 then, not 401.
pub(crate) fn says_expired(error: &RegistryError) -> bool {
    let text = error.detail.to_ascii_lowercase();
    text.contains("token") && text.contains("expired")
}

fn status_text(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("HTTP {} {reason}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    }
}

/// The words of an error body: JSON of distribution-spec, of a token server, or plain text.
pub(crate) struct Words {
    pub(crate) codes: Vec<OciErrorCode>,
    pub(crate) text: String,
}

impl Words {
    pub(crate) fn of(body: &[u8]) -> Self {
        if let Ok(envelope) = serde_json::from_slice::<OciEnvelope>(body) {
            let text: Vec<String> = envelope.errors.iter().take(4).map(one_error).collect();
            return Self {
                text: text.join("; "),
                codes: envelope.errors.into_iter().map(|error| error.code).collect(),
            };
        }
        Self {
            codes: Vec::new(),
            text: loose_text(body),
        }
    }

    fn has(&self, code: &OciErrorCode) -> bool {
        self.codes.contains(code)
    }
}

fn one_error(error: &oci_client::errors::OciError) -> String {
    let code = serde_json::to_value(&error.code).ok();
    let code = code
        .as_ref()
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    let detail = error.detail.as_str().unwrap_or_default();
    let words = [code, &error.message, detail];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(": ")
}

/// What other servers write: `{"details": …}` (Docker Hub's token server), `{"error": …,
/// "error_description": …}` (RFC 6749), `{"message": …}`; or the beginning of a plain text.
fn loose_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if let Ok(serde_json::Value::Object(object)) = serde_json::from_str(&text) {
        let names = [
            "code",
            "error",
            "error_description",
            "message",
            "details",
            "detail",
        ];
        let words = names.iter().filter_map(|name| object.get(*name)?.as_str());
        return words.collect::<Vec<_>>().join(": ");
    }
    let text = text.trim();
    if text.starts_with('<') {
        html_text(text)
    } else {
        text.to_owned()
    }
}

/// A page's title, as far as there is one: nobody wants to read markup.
fn html_text(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title>").map(|at| at + "<title>".len());
    let title = title.and_then(|from| Some((from, lower.get(from..)?.find('<')? + from)));
    let title = title
        .and_then(|(from, to)| page.get(from..to))
        .unwrap_or_default();
    format!("an HTML page: {}", title.trim())
        .trim_end_matches([':', ' '])
        .to_owned()
}

/// `Retry-After` (RFC 9110, 10.2.3) in seconds or as a date; at most [`LONGEST_WAIT`]. What is
/// absurd (negative, a word, more than a day) counts as not said.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    const ABSURD: Duration = Duration::from_secs(24 * 3600);
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new()
                .parse_timestamp(text)
                .ok()?;
            // A date that has passed means "now".
            Duration::try_from(date.duration_since(now)).unwrap_or_default()
        }
    };
    (wait <= ABSURD).then(|| wait.min(LONGEST_WAIT))
}

/// Says so when the registry's clock (its `Date`) and ours are apart: tokens then look expired, or
/// not valid yet, to one of the two.
pub(crate) fn clock_skew(headers: &HeaderMap, now: Timestamp) -> Option<String> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .ok()?;
    let seconds = date.duration_since(now).as_secs();
    let side = if seconds > 0 { "ahead of" } else { "behind" };
    (seconds.abs() > 60).then(|| format!("its clock is {} s {side} ours", seconds.abs()))
}

/// How many pulls a registry says are left (Docker Hub's `RateLimit-…` headers, in the form of
/// draft-ietf-httpapi-ratelimit-headers: `100;w=21600`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Pulls in a window.
    pub limit: u64,
    /// Pulls left in it.
    pub remaining: u64,
    /// The window.
    pub window: Option<Duration>,
}

/// What the headers say about the limit.
pub(crate) fn rate_limit(headers: &HeaderMap) -> Option<RateLimit> {
    let of = |name| {
        let text = headers.get(name)?.to_str().ok()?;
        let (number, rest) = text.split_once(';').unwrap_or((text, ""));
        let window = rest
            .split(';')
            .find_map(|part| part.trim().strip_prefix("w=")?.parse().ok());
        Some((number.trim().parse().ok()?, window.map(Duration::from_secs)))
    };
    let (limit, window) = of("ratelimit-limit")?;
    let (remaining, _) = of("ratelimit-remaining")?;
    Some(RateLimit {
        limit,
        remaining,
        window,
    })
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
