//! What an issuer answered, judged.

use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use syncd_config::Secret;
use syncd_config::text::clean_to;

use super::words::strike;
use crate::token::{TokenError, TokenErrorKind};

/// Clocks that differ by less are not to blame.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// What issuers say when it is about time.
const TIME_WORDS: [&str; 14] = [
    "clock",
    "iat",
    "exp ",
    "exp)",
    "'exp'",
    "expired",
    "expiration",
    "not yet valid",
    "future",
    "timeframe",
    "time range",
    "too old",
    "too far",
    "nbf",
];

/// A good answer, in JSON. Not printable: it holds a token.
pub struct Answer {
    /// Its headers.
    pub headers: HeaderMap,
    /// The issuer's clock.
    pub date: Option<Timestamp>,
    pub(super) what: &'static str,
    pub(super) identity: String,
    pub(super) value: Value,
}

impl Answer {
    /// The text at a JSON pointer (RFC 6901).
    #[must_use]
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer)?.as_str()
    }

    /// The whole number at a JSON pointer, also when it is written as text.
    #[must_use]
    pub fn number(&self, pointer: &str) -> Option<i64> {
        let value = self.value.pointer(pointer)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    /// Whatever is at a JSON pointer.
    #[must_use]
    pub fn value(&self, pointer: &str) -> Option<&Value> {
        self.value.pointer(pointer)
    }

    /// The token at a JSON pointer: some visible ASCII text. Nothing is supposed about its form.
    ///
    /// # Errors
    /// There is none: malformed.
    pub fn secret(&self, pointer: &str) -> Result<Secret, TokenError> {
        let text = self.text(pointer).unwrap_or_default();
        match !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
            true => Ok(Secret::new(text)),
            false => Err(self.malformed(&format!("no token in {}", pointer.trim_start_matches('/')))),
        }
    }

    /// An answer that lacks something.
    #[must_use]
    pub fn malformed(&self, why: &str) -> TokenError {
        let detail = format!("failed to {}: the answer has {why}", self.what);
        TokenError::new(TokenErrorKind::Malformed, &self.identity, &detail)
    }
}

/// The head of an answer, with what it is about.
pub(super) struct Head<'a> {
    pub(super) identity: &'a str,
    pub(super) what: &'static str,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) now: Timestamp,
    pub(super) sent: &'a [&'a str],
}

/// The issuer's clock, as its answer says (RFC 9110, 6.6.1).
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}

impl Head<'_> {
    /// What an answer that is not 2xx means.
    pub(super) fn refusal(&self, body: &[u8]) -> TokenError {
        let words = self.words(body);
        let mut kind = self.kind(words.as_deref());
        let mut detail = format!("failed to {}: {}", self.what, self.status.as_u16());
        if let Some(words) = &words {
            detail = format!("{detail}, {words}");
        } else if looks_like_html(self.headers, body) {
            detail.push_str(", an HTML page");
        }
        if kind == TokenErrorKind::Throttled
            && let Some(seconds) = self.retry_after()
        {
            detail = format!("{detail}; not before {seconds} s");
        }
        if kind == TokenErrorKind::Denied
            && let Some(skew) = self.skew()
            && words.as_deref().is_some_and(about_time)
        {
            kind = TokenErrorKind::ClockSkew;
            let ahead = if skew.is_negative() { "behind" } else { "ahead" };
            // First, so that long words of the issuer do not cut it off.
            detail = format!(
                "the clock here is {} s {ahead}; {detail}",
                skew.unsigned_abs().as_secs()
            );
        }
        TokenError::new(kind, self.identity, &detail)
    }

    fn kind(&self, words: Option<&str>) -> TokenErrorKind {
        let said = words.unwrap_or_default();
        match self.status.as_u16() {
            401 | 403 => TokenErrorKind::Denied,
            429 => TokenErrorKind::Throttled,
            408 | 500..=599 => TokenErrorKind::Unreachable,
            400 if words.is_none() => TokenErrorKind::Malformed,
            400 if said.contains("invalid_grant")
                || said.contains("unauthorized_client")
                || about_time(said) =>
            {
                TokenErrorKind::Denied
            }
            // What does not exist under that name, or was asked for in a wrong way.
            400..=499 => TokenErrorKind::Misconfigured,
            // Redirects are not followed: credentials go where they were sent, nowhere else.
            _ => TokenErrorKind::Malformed,
        }
    }

    /// How far the clock here is ahead of the issuer's, when it is far.
    fn skew(&self) -> Option<SignedDuration> {
        let skew = self.now.duration_since(date(self.headers)?);
        (skew.abs() > SKEW).then_some(skew)
    }

    fn retry_after(&self) -> Option<u64> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
    }

    /// What the issuer said, in the shapes that issuers have: OAuth (RFC 6749, 5.2), Google's
    /// `{"error":{"status","message"}}`, the registry's `{"errors":[{"code","message"}]}`, GitHub's
    /// and AWS' `{"message"}`.
    fn words(&self, body: &[u8]) -> Option<String> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let at = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let mut words: Vec<&str> = Vec::new();
        for pointer in [
            "/__type",
            "/error",
            "/error/status",
            "/error/code",
            "/errors/0/code",
            "/Code",
            "/error_description",
            "/error/message",
            "/errors/0/message",
            "/message",
            "/Message",
        ] {
            words.extend(at(pointer).filter(|text| !text.is_empty()));
        }
        let words = strike(&words.join(": "), self.sent);
        (!words.is_empty()).then(|| clean_to(&words, 180))
    }
}

fn about_time(words: &str) -> bool {
    let words = words.to_lowercase();
    TIME_WORDS.iter().any(|word| words.contains(word))
}

/// Whether a page came where an answer should: of a captive portal, or a proxy.
pub(super) fn looks_like_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let named = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.to_lowercase().starts_with("text/html"));
    named || body.trim_ascii_start().starts_with(b"<")
}
