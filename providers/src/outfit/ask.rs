//! One request to an issuer.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::answer::{self, Answer, Head};
use crate::http::{HttpBody, HttpClient, HttpError, HttpErrorKind, HttpRequest};
use crate::token::{TokenError, TokenErrorKind};

/// No issuer's answer is longer.
const LONGEST: usize = 64 * 1024;

/// A request to an issuer. It is sent once: no redirects, no retries.
pub struct Ask<'a> {
    /// Whose request it is, for errors.
    pub identity: &'a str,
    /// What it does, for errors: `failed to <what>`.
    pub what: &'static str,
    /// Where to.
    pub url: Url,
    /// Headers besides those of the body; `Accept: application/json` unless it is given.
    pub headers: HeaderMap,
    /// What is sent.
    pub payload: Payload<'a>,
    /// The secrets in all of this: whatever is repeated of them is struck from errors.
    pub secrets: &'a [&'a str],
}

/// What a request carries.
pub enum Payload<'a> {
    /// A GET.
    Get,
    /// A POST of a form.
    Form(&'a [(&'a str, &'a str)]),
    /// A POST of JSON.
    Json(&'a Value),
}

impl Ask<'_> {
    /// Sends it, and gives the answer if it is 2xx and JSON of at most 64 KiB.
    ///
    /// # Errors
    /// By status: 401 and 403 denied (clock skew, when the issuer speaks of time and its `Date` is
    /// more than a minute away from `now`), 429 throttled, 408 and 5xx unreachable, 400 denied when
    /// it is `invalid_grant` or about time, else misconfigured as all other 4xx; what is no JSON,
    /// and redirects, malformed. Without an answer: unreachable, or misconfigured when it cannot be
    /// asked at all. The words of the issuer are in it, without what was sent as a secret.
    pub async fn send(self, client: &HttpClient, now: Timestamp) -> Result<Answer, TokenError> {
        self.send_up_to(client, now, LONGEST).await
    }

    /// As [`Self::send`], for an issuer whose answers have up to `longest` bytes.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_up_to(
        self,
        client: &HttpClient,
        now: Timestamp,
        longest: usize,
    ) -> Result<Answer, TokenError> {
        let (identity, what, sent) = (self.identity, self.what, self.secrets);
        let failed = |error| http_failure(identity, what, error);
        let response = client.send(self.request()).await.map_err(failed)?;
        let (status, headers) = (response.status, response.headers.clone());
        let body = response.bytes(longest).await.map_err(failed)?;
        let head = Head {
            identity,
            what,
            status,
            headers: &headers,
            now,
            sent,
        };
        if !status.is_success() {
            return Err(head.refusal(&body));
        }
        // Its error would hold a part of the answer.
        let Ok(value) = serde_json::from_slice(&body) else {
            let shape = match answer::looks_like_html(&headers, &body) {
                true => "an HTML page",
                false => "no JSON",
            };
            let detail = format!("failed to {what}: the answer is {shape}");
            return Err(TokenError::new(TokenErrorKind::Malformed, identity, &detail));
        };
        Ok(Answer {
            date: answer::date(&headers),
            headers,
            what,
            identity: identity.to_owned(),
            value,
        })
    }

    fn request(self) -> HttpRequest {
        let mut headers = self.headers;
        let json = HeaderValue::from_static("application/json");
        headers.entry(ACCEPT).or_insert(json.clone());
        let (method, body) = match self.payload {
            Payload::Get => (Method::GET, HttpBody::Empty),
            Payload::Form(pairs) => {
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.insert(CONTENT_TYPE, kind);
                let form = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(pairs)
                    .finish();
                (Method::POST, HttpBody::Bytes(Bytes::from(form)))
            }
            Payload::Json(value) => {
                headers.insert(CONTENT_TYPE, json);
                (Method::POST, HttpBody::Bytes(Bytes::from(value.to_string())))
            }
        };
        HttpRequest {
            method,
            url: self.url,
            headers,
            body,
            headers_within: None,
        }
    }
}

/// A failure to exchange anything, as one of an identity.
#[must_use]
pub fn http_failure(identity: &str, what: &str, error: HttpError) -> TokenError {
    let kind = match error.kind() {
        HttpErrorKind::Dns
        | HttpErrorKind::Refused
        | HttpErrorKind::Reset
        | HttpErrorKind::Unreachable
        | HttpErrorKind::ConnectTimeout
        | HttpErrorKind::HeaderTimeout
        | HttpErrorKind::IdleTimeout
        | HttpErrorKind::Proxy
        | HttpErrorKind::TlsHostname
        | HttpErrorKind::TlsCertTime
        | HttpErrorKind::Tls
        | HttpErrorKind::RequestBody => TokenErrorKind::Unreachable,
        HttpErrorKind::AddressRefused
        | HttpErrorKind::TlsUnknownCa
        | HttpErrorKind::TlsHttpMismatch
        | HttpErrorKind::Forbidden
        | HttpErrorKind::Setup => TokenErrorKind::Misconfigured,
        HttpErrorKind::Malformed | HttpErrorKind::TooLarge => TokenErrorKind::Malformed,
    };
    TokenError {
        source: Some(Box::new(error)),
        ..TokenError::new(kind, identity, &format!("failed to {what}"))
    }
}
