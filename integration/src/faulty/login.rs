//! Who may pull: passwords, and the tokens of a token server.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use serde_json::{Value, json};

use super::reply::{Refusal, Reply, bytes_reply, set};
use super::{Fault, Shared};
use crate::secrets::unique;

/// Who may pull.
#[derive(Clone, Debug, Default)]
pub enum Login {
    /// Everybody.
    #[default]
    Open,
    /// Who sends user and password with each request.
    Basic(String, String),
    /// Who has a token of the token server, which wants user and password.
    Bearer(String, String),
}

/// Tokens that were given out, and the repository that each is for.
#[derive(Default)]
pub(super) struct Tokens(BTreeMap<String, String>);

impl Tokens {
    pub(super) fn all(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// A password that is good until `expires` (seconds since 1970) only: a signed
/// token, as cloud registries use them.
pub fn expiring_password(expires: u64) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "alg": "HS256", "typ": "JWT" }));
    let claims = part(json!({ "sub": "puller", "iat": expires.saturating_sub(3600), "exp": expires }));
    let signature = URL_SAFE_NO_PAD.encode(unique("signature"));
    format!("{header}.{claims}.{signature}")
}

/// Whether a password is a token past its time.
fn is_expired(password: &str) -> bool {
    let claims = password.split('.').nth(1);
    let claims = claims.and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = claims.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let expires = claims.and_then(|claims| claims["exp"].as_u64());
    expires.is_some_and(|expires| expires < now())
}

#[allow(
    clippy::disallowed_methods,
    reason = "tokens of this registry end by the same clock as those of a real one"
)]
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| passed.as_secs())
}

/// What was sent as `Authorization`.
pub(super) fn sent(parts: &Parts) -> Option<&str> {
    parts.headers.get(AUTHORIZATION)?.to_str().ok()
}

/// User and password of a Basic header.
pub(super) fn basic(sent: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(sent.strip_prefix("Basic ")?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Refuses who may not pull from `repository` (`None`: ask for `/v2/`).
pub(super) fn refuse(shared: &Shared, parts: &Parts, repository: Option<&str>) -> Option<Reply> {
    let sent = sent(parts);
    match &shared.login {
        Login::Open => None,
        Login::Basic(user, password) => {
            let challenge = "Basic realm=\"faulty\"".to_owned();
            match sent {
                None => Some(unauthorized("authentication required", &challenge)),
                Some(sent) => wrong(sent, user, password).map(|words| unauthorized(words, &challenge)),
            }
        }
        Login::Bearer(..) => {
            let token = sent.and_then(|sent| sent.strip_prefix("Bearer "));
            let state = shared.state();
            let scope = token.and_then(|token| state.tokens.0.get(token));
            match (scope, repository) {
                (Some(_), None) => None,
                (Some(scope), Some(repository)) if scope == repository => None,
                (found, _) => {
                    let error = found.map(|_| "insufficient_scope");
                    let challenge = challenge(shared, repository, error);
                    Some(unauthorized("authentication required", &challenge))
                }
            }
        }
    }
}

fn challenge(shared: &Shared, repository: Option<&str>, error: Option<&str>) -> String {
    let mut text = format!(
        "Bearer realm=\"{}/token\",service=\"{}\"",
        shared.url, shared.host
    );
    if let Some(repository) = repository {
        text.push_str(&format!(",scope=\"repository:{repository}:pull\""));
    }
    if let Some(error) = error {
        text.push_str(&format!(",error=\"{error}\""));
    }
    text
}

/// Why user and password are not accepted.
fn wrong(sent: &str, user: &str, password: &str) -> Option<&'static str> {
    match basic(sent) {
        Some((_, sent)) if is_expired(&sent) => Some("expired token"),
        Some(sent) if sent == (user.to_owned(), password.to_owned()) => None,
        _ => Some("authentication required"),
    }
}

fn unauthorized(words: &str, challenge: &str) -> Reply {
    let mut reply = Refusal::new(401, "UNAUTHORIZED", words).reply();
    set(&mut reply, WWW_AUTHENTICATE, challenge);
    reply
}

/// The token server: `GET /token?service=…&scope=repository:NAME:pull`.
pub(super) fn token(shared: &Shared, parts: &Parts) -> Reply {
    let Login::Bearer(user, password) = &shared.login else {
        return Refusal::new(404, "NOT_FOUND", "page not found").reply();
    };
    let query = parts.uri.query().unwrap_or_default();
    let pairs = form(query);
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
    if value("service") != Some(shared.host.as_str()) {
        return Refusal::new(400, "BAD_REQUEST", "unknown service").reply();
    }
    let scope = value("scope").unwrap_or_default();
    let repository = scope
        .strip_prefix("repository:")
        .and_then(|rest| rest.strip_suffix(":pull"));
    let found = repository.and_then(|name| shared.state().repositories.get(name).cloned());
    match found.as_ref().map(|found| &found.fault) {
        Some(Fault::Token(refusal)) => return refusal.reply(),
        Some(Fault::EchoToken) => return super::answer::echo(401, parts),
        _ => {}
    }
    let words = match sent(parts) {
        None => Some("authentication required"),
        Some(sent) => wrong(sent, user, password).map(|words| match words {
            "expired token" => words,
            _ => "incorrect username or password",
        }),
    };
    if let Some(words) = words {
        return Refusal::new(401, "UNAUTHORIZED", words).reply();
    }
    let made = unique("bearer");
    let mut state = shared.state();
    let for_repository = repository.unwrap_or_default().to_owned();
    state.tokens.0.insert(made.clone(), for_repository);
    let body = json!({ "token": made, "expires_in": 300 });
    bytes_reply(200, "application/json", Bytes::from(body.to_string()))
}

/// The pairs of a query, as far as token requests need decoding.
fn form(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| text.replace("%3A", ":").replace("%2F", "/").replace("%3a", ":");
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (decode(key), decode(value).replace("%2f", "/")))
        .collect()
}
