//! Reading blobs, whole or in part.

use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use syncd_config::{Digest, Repository};

use super::Registry;
use super::body::{FileBody, ReplyBody};
use super::error::{Code, Refusal};

/// The header that names what is sent (distribution-spec, "Pulling manifests").
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Which part of a blob is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Whole,
    /// First and last byte.
    Part(u64, u64),
    Outside,
}

pub(crate) fn get(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
    headers: &HeaderMap,
    head: bool,
) -> Result<Response<ReplyBody>, Refusal> {
    let unknown = || Refusal::not_found(Code::BlobUnknown, "no such blob in this repository");
    let (file, size) = registry
        .store
        .blob_file(repository, digest)?
        .ok_or_else(unknown)?;
    let etag = header(format!("\"{digest}\""))?;
    if is_same(headers.get(IF_NONE_MATCH), &etag) {
        return not_modified(etag);
    }
    let span = match headers.get(IF_RANGE) {
        // The part was meant of another content (RFC 9110, 13.1.5).
        Some(known) if *known != etag => Span::Whole,
        _ => span(headers.get(RANGE), size),
    };
    let (status, offset, length) = match span {
        Span::Whole => (StatusCode::OK, 0, size),
        Span::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Span::Outside => return Err(Refusal::range(size)),
    };
    let body = if head {
        ReplyBody::Empty
    } else {
        let sent = Arc::clone(&registry.metrics.bytes_served);
        ReplyBody::File(FileBody::new(file, offset, length, registry.pool.clone(), sent))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_DIGEST, header(digest.to_string())?);
    headers.insert(ETAG, etag);
    if let Span::Part(first, last) = span {
        headers.insert(CONTENT_RANGE, header(format!("bytes {first}-{last}/{size}"))?);
    }
    Ok(response)
}

/// A header value of text that we made.
pub(crate) fn header(text: String) -> Result<HeaderValue, Refusal> {
    HeaderValue::try_from(text).map_err(|_| Refusal::internal())
}

/// Whether `If-None-Match` names this content (RFC 9110, 13.1.2).
pub(crate) fn is_same(condition: Option<&HeaderValue>, etag: &HeaderValue) -> bool {
    let known = |condition: &str| {
        condition.trim() == "*"
            || condition
                .split(',')
                .map(|known| known.trim().trim_start_matches("W/"))
                .any(|known| known.as_bytes() == etag.as_bytes())
    };
    condition.and_then(|value| value.to_str().ok()).is_some_and(known)
}

/// The answer to a condition that already has the content.
pub(crate) fn not_modified(etag: HeaderValue) -> Result<Response<ReplyBody>, Refusal> {
    let mut response = Response::new(ReplyBody::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(ETAG, etag);
    Ok(response)
}

/// A `Range` header (RFC 9110, 14.1.2). One that is of another unit, malformed or of several ranges
/// is ignored, as the RFC allows.
fn span(header: Option<&HeaderValue>, size: u64) -> Span {
    let text = header.and_then(|value| value.to_str().ok());
    let Some((first, last)) = text
        .and_then(|t| t.strip_prefix("bytes="))
        .and_then(|t| t.split_once('-'))
    else {
        return Span::Whole;
    };
    match (number(first), number(last)) {
        _ if last.contains(',') => Span::Whole,
        (Some(first), Some(last)) if first > last => Span::Whole,
        (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => Span::Outside,
        (Some(first), Some(last)) => Span::Part(first, last.min(size - 1)),
        (Some(first), None) if last.is_empty() => Span::Part(first, size - 1),
        (None, Some(0)) if first.is_empty() => Span::Outside,
        (None, Some(_)) if first.is_empty() && size == 0 => Span::Outside,
        (None, Some(count)) if first.is_empty() => Span::Part(size.saturating_sub(count), size - 1),
        _ => Span::Whole,
    }
}

/// Digits and nothing else; one too large for any file is the largest number.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        use Span::{Outside, Part, Whole};
        for (text, size, expected) in [
            ("bytes=0-0", 10, Part(0, 0)),
            ("bytes=0-9", 10, Part(0, 9)),
            ("bytes=0-99", 10, Part(0, 9)),
            ("bytes=9-9", 10, Part(9, 9)),
            ("bytes=3-", 10, Part(3, 9)),
            ("bytes=-1", 10, Part(9, 9)),
            ("bytes=-99", 10, Part(0, 9)),
            ("bytes=0-99999999999999999999999999", 10, Part(0, 9)),
            ("bytes=10-", 10, Outside),
            ("bytes=10-20", 10, Outside),
            ("bytes=99999999999999999999999999-", 10, Outside),
            ("bytes=-0", 10, Outside),
            ("bytes=0-", 0, Outside),
            ("bytes=-1", 0, Outside),
            ("bytes=5-4", 10, Whole),
            ("bytes=0-1,3-4", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes=1 - 2", 10, Whole),
            ("bytes=12-x", 10, Whole),
            ("items=0-1", 10, Whole),
            ("", 10, Whole),
        ] {
            assert_eq!(
                span(Some(&HeaderValue::from_str(text).unwrap()), size),
                expected,
                "{text} of {size}"
            );
        }
        assert_eq!(span(None, 10), Whole);
    }

    #[test]
    fn conditions() {
        let etag = HeaderValue::from_static("\"sha256:ab\"");
        for (condition, expected) in [
            ("\"sha256:ab\"", true),
            ("W/\"sha256:ab\"", true),
            ("\"x\", \"sha256:ab\"", true),
            ("*", true),
            ("\"sha256:abc\"", false),
            ("sha256:ab", false),
        ] {
            assert_eq!(
                is_same(Some(&HeaderValue::from_static(condition)), &etag),
                expected,
                "{condition}"
            );
        }
        assert!(!is_same(None, &etag));
    }
}
