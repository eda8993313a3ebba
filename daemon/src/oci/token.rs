//! One token exchange (distribution's "token authentication specification" and its OAuth2 form):
//! what is asked, and what an answer is worth. Pure.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};
use syncd_config::Secret;
use url::Url;

use super::auth::Credential;
use super::http::Scope;

/// A token reply is read up to here.
pub(crate) const TOKEN_REPLY: usize = 64 * 1024;
/// What a reply that does not say lasts (the specification's default).
const DEFAULT_LIFE: SignedDuration = SignedDuration::from_secs(60);
/// No token is kept longer.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// A token and when to get the next one.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) value: Secret,
    /// From here on a new one is asked for, at 80 % of its life.
    pub(crate) renew_at: Timestamp,
    pub(crate) expires: Timestamp,
}

/// The request for a token.
pub(crate) struct TokenRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// The scopes in the order in which registries expect them.
pub(crate) fn scopes(scope: &Scope, extra: &[String]) -> Vec<String> {
    let actions = if scope.push { "pull,push" } else { "pull" };
    let own = scope
        .repository
        .iter()
        .map(|name| format!("repository:{}:{actions}", name.as_str()));
    let from = scope
        .mount_from
        .iter()
        .filter(|from| scope.repository.as_ref() != Some(from));
    let from = from.map(|name| format!("repository:{}:pull", name.as_str()));
    own.chain(from).chain(extra.iter().cloned()).collect()
}

/// Basic's header value; marked sensitive, so that no layer below prints it.
pub(crate) fn basic(credential: &Credential) -> Option<HeaderValue> {
    let pair = Secret::new(format!("{}:{}", credential.username, credential.secret.expose()));
    sensitive("Basic ", &BASE64_STANDARD.encode(pair.expose()))
}

/// Bearer's header value.
pub(crate) fn bearer(token: &Secret) -> Option<HeaderValue> {
    sensitive("Bearer ", token.expose())
}

fn sensitive(scheme: &str, value: &str) -> Option<HeaderValue> {
    let text = Secret::new(format!("{scheme}{value}"));
    let mut value = HeaderValue::from_str(text.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What to ask of the token endpoint. A refresh token goes by POST, in the body; a password goes
/// by GET, in the header; neither ever goes into a URL.
pub(crate) fn request(
    realm: &Url,
    service: Option<&str>,
    scopes: &[String],
    credential: Option<&Credential>,
) -> Option<TokenRequest> {
    let mut headers = HeaderMap::new();
    if let Some(credential) = credential.filter(|credential| credential.is_refresh_token()) {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token");
        form.append_pair("client_id", "syncd");
        form.append_pair("service", service.unwrap_or_default());
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes.join(" "));
        }
        form.append_pair("refresh_token", credential.secret.expose());
        return Some(TokenRequest {
            method: Method::POST,
            url: realm.clone(),
            headers,
            body: form.finish(),
        });
    }
    if let Some(credential) = credential {
        headers.insert(AUTHORIZATION, basic(credential)?);
    }
    let mut url = realm.clone();
    if service.is_some() || !scopes.is_empty() {
        let mut query = url.query_pairs_mut();
        query.extend_pairs(service.map(|service| ("service", service)));
        query.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
    }
    Some(TokenRequest {
        method: Method::GET,
        url,
        headers,
        body: String::new(),
    })
}

/// Reads a token reply. The error never holds a word of the reply: it may be the secret.
pub(crate) fn reply(body: &[u8], headers: &HeaderMap, now: Timestamp) -> Result<Token, &'static str> {
    let reply: serde_json::Value = serde_json::from_slice(body).map_err(|_| "the token reply is not JSON")?;
    let text = |name: &str| reply.get(name)?.as_str().filter(|text| !text.is_empty());
    let value = text("token")
        .or_else(|| text("access_token"))
        .ok_or("the token reply holds no token")?;
    // RFC 6750, 2.1: nothing that could end the header or begin another one.
    if !value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~+/=:,".contains(&b))
    {
        return Err("the token of the reply has characters that no token has");
    }
    let seconds = reply.get("expires_in").and_then(|value| {
        let text = value.as_str().and_then(|text| text.parse().ok());
        value.as_i64().or(text)
    });
    let life = seconds
        .filter(|s| *s > 0)
        .map_or(DEFAULT_LIFE, SignedDuration::from_secs);
    let life = (life - age(text("issued_at"), headers)).clamp(SignedDuration::ZERO, LONGEST_LIFE);
    let at = |part: SignedDuration| now.checked_add(part).unwrap_or(Timestamp::MAX);
    Ok(Token {
        value: Secret::new(value),
        renew_at: at(life * 4 / 5),
        expires: at(life),
    })
}

/// How old a token was when it was handed out, by the server's own clock (its `Date`): servers
/// hand out cached ones. Our clock has no say: it may differ from theirs.
fn age(issued_at: Option<&str>, headers: &HeaderMap) -> SignedDuration {
    let parsed = || {
        let issued: Timestamp = issued_at?.parse().ok()?;
        let date = headers.get(DATE)?.to_str().ok()?;
        let date = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(date)
            .ok()?;
        Some(date.duration_since(issued))
    };
    parsed().unwrap_or_default().max(SignedDuration::ZERO)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
