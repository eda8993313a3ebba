//! What an issuer is asked, and what it says.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::Value;

/// No request to an issuer is longer.
const LONGEST: usize = 64 * 1024;

/// A request, read whole.
#[derive(Clone)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The path, as sent.
    pub path: String,
    /// The query, as sent.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Asked {
    pub(super) async fn read(request: hyper::Request<Incoming>) -> Result<Self, String> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, LONGEST).collect().await;
        Ok(Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body: body.map_err(|error| error.to_string())?.to_bytes(),
        })
    }

    /// A header's text; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The token of `Authorization: Bearer`; empty when there is none.
    pub fn bearer(&self) -> &str {
        self.header(AUTHORIZATION.as_str())
            .strip_prefix("Bearer ")
            .unwrap_or_default()
    }

    /// The parameters of the query. No parameter may come twice.
    pub fn parameters(&self) -> Result<BTreeMap<String, String>, String> {
        pairs(self.query.as_bytes())
    }

    /// The fields of a form: RFC 6749, 3.2: "parameters MUST NOT be included more than once", and
    /// the body is `application/x-www-form-urlencoded`.
    pub fn form(&self) -> Result<BTreeMap<String, String>, String> {
        self.is_of("application/x-www-form-urlencoded")?;
        pairs(&self.body)
    }

    /// A JSON body.
    pub fn json(&self) -> Result<Value, String> {
        self.is_of("application/json")?;
        serde_json::from_slice(&self.body).map_err(|error| error.to_string())
    }

    fn is_of(&self, kind: &str) -> Result<(), String> {
        let given = self.header(CONTENT_TYPE.as_str());
        let is = given.split(';').next().unwrap_or_default().trim();
        match is.eq_ignore_ascii_case(kind) {
            true => Ok(()),
            false => Err(format!("the body is {given:?}, not {kind}")),
        }
    }
}

fn pairs(text: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let mut map = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(text) {
        if map.insert(name.to_string(), value.into_owned()).is_some() {
            return Err(format!("{name} comes twice"));
        }
    }
    Ok(map)
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::raw(status, "application/json; charset=UTF-8", value.to_string())
    }

    /// A plain text.
    pub fn text(status: u16, text: &str) -> Self {
        Self::raw(status, "text/plain; charset=UTF-8", text.to_owned())
    }

    /// Any answer.
    pub fn raw(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers,
            body: body.into(),
        }
    }

    /// The same with another header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// An OAuth error (RFC 6749, 5.2).
    pub fn oauth(status: u16, error: &str, description: &str) -> Self {
        let body = serde_json::json!({"error": error, "error_description": description});
        Self::json(status, &body)
    }
}
