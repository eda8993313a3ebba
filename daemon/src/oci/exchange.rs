//! One request to one registry: the login, the redirects, the answer. What is tried again, and
//! when, is [`super::retry`]'s.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use syncd_config::RegistryHost;
use syncd_providers::Clock;
use syncd_providers::http::{HttpBody, HttpClient, HttpRequest, HttpResponse, Reach};
use url::Url;

use super::auth::{Credential, CredentialSource};
use super::challenge;
use super::error::{ErrorKind, RegistryError, Shown};
use super::hidden::Hidden;
use super::http::{Patience, Scope};
use super::limit::Gate;
use super::login::{Login, Logins, TokenAnswer};
use super::origin::{Origin, Policy};
use super::refusal::{self, Answer, ERROR_BODY, RateLimit, Subject, says_expired};
use super::store::BlobStream;
use super::token::{TOKEN_REPLY, TokenRequest};
use super::wire::{Wires, of_http};

/// What a request went through at most: without a login, with a kept token, with a fresh one, and
/// one with another credential.
const MAX_ROUNDS: usize = 4;

/// What a host's clients share, with or without credentials.
pub(crate) struct Shared {
    pub(crate) requests: AtomicU64,
    pub(crate) rate_limit: Mutex<Option<RateLimit>>,
    pub(crate) reads: Arc<Gate>,
    pub(crate) writes: Arc<Gate>,
}

impl Shared {
    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_rate_limit(&self, headers: &HeaderMap) {
        if let Some(said) = refusal::rate_limit(headers) {
            *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        }
    }
}

/// One registry as one identity (or nobody) sees it.
pub(crate) struct Registry {
    pub(crate) host: RegistryHost,
    pub(crate) policy: Policy,
    pub(crate) entry: Option<usize>,
    pub(crate) wires: Arc<Wires>,
    pub(crate) credentials: Arc<dyn CredentialSource>,
    pub(crate) clock: Clock,
    pub(crate) shared: Arc<Shared>,
    pub(crate) logins: Logins,
    /// How far inwards the registry itself is: the hosts it names may be no further.
    pub(crate) reach: AtomicU8,
}

/// A request's unchanging parts.
pub(crate) struct Parts {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) scope: Scope,
    pub(crate) headers: HeaderMap,
    pub(crate) patience: Patience,
    pub(crate) continues: bool,
}

impl Parts {
    /// Counted with the reads: a GET or HEAD, but not of an upload, which is asked about while a
    /// read is held.
    pub(crate) fn is_read(&self) -> bool {
        let reading = self.method == Method::GET || self.method == Method::HEAD;
        reading && Subject::of_path(self.url.path()) != Subject::Upload
    }
}

/// What is sent with it.
pub(crate) enum Payload {
    Bytes(Bytes),
    Stream(Option<(u64, BlobStream)>),
}

/// An answer and where it came from.
pub(crate) struct Hop {
    pub(crate) response: HttpResponse,
    pub(crate) url: Url,
    /// At the registry's own origin, which was never left.
    pub(crate) at_home: bool,
    /// What was shown at the registry's own origin.
    pub(crate) shown: Shown,
}

impl Registry {
    pub(crate) fn place(&self) -> &str {
        self.host.as_str()
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The name of a URL's host in messages: the registry's own name at home.
    pub(crate) fn place_of(&self, url: &Url) -> String {
        match Origin::of_url(url) {
            Some(origin) if origin != self.policy.own => origin.authority(),
            _ => self.place().to_owned(),
        }
    }

    pub(crate) async fn credential(&self) -> Result<Option<Credential>, RegistryError> {
        self.credentials.get(&self.host).await
    }

    pub(crate) fn credential_rejected(&self, credential: &Credential) {
        tracing::debug!(host = self.place(), "the credential was refused");
        self.credentials.rejected(&self.host, credential);
    }

    /// One try of a request: an answer of status 2xx, or why not.
    pub(crate) async fn attempt(&self, parts: &Parts, payload: &mut Payload) -> Result<Hop, RegistryError> {
        let mut login = self.logins.ahead(self, &parts.scope).await?;
        let mut passwords = 0;
        for _ in 0..MAX_ROUNDS {
            let hop = self.hops(parts, &login, payload).await?;
            if hop.response.status.is_success() {
                return self.plausible(parts, hop);
            }
            let (status, at_home) = (hop.response.status, hop.at_home);
            let challenges = challenge::parse(&hop.response.headers);
            let insufficient = challenges.iter().any(|challenge| {
                matches!(
                    challenge,
                    challenge::Challenge::Bearer {
                        insufficient: true,
                        ..
                    }
                )
            });
            let mut error = self.error_of(parts, hop, &login).await;
            passwords += usize::from(matches!(login, Login::Basic(_)));
            let next = match status {
                // One other password is tried, not one after the other: accounts get locked.
                _ if passwords > 1 => None,
                StatusCode::UNAUTHORIZED if at_home && !challenges.is_empty() => {
                    self.logins
                        .after_401(self, challenges, &login, &parts.scope)
                        .await?
                }
                StatusCode::FORBIDDEN if at_home && says_expired(&error) => {
                    self.logins.after_expiry(self, &login).await?
                }
                _ => None,
            };
            if at_home && login.with_credential() && status == StatusCode::FORBIDDEN && says_expired(&error) {
                error.kind = ErrorKind::CredentialsRejected;
            }
            // The token endpoint took the credential; it is the right that is missing.
            if status == StatusCode::UNAUTHORIZED && insufficient && login.with_credential() {
                error.kind = ErrorKind::Denied;
            }
            match next {
                Some(next) if payload.can_be_sent_again() => login = next,
                _ => return Err(error),
            }
        }
        Err(self
            .error(ErrorKind::CredentialsRejected, parts.operation)
            .detail("the registry asks for one login after the other"))
    }

    fn error(&self, kind: ErrorKind, operation: &str) -> RegistryError {
        RegistryError::new(kind, self.place(), operation)
    }

    /// Sends the request and follows redirects. A credential goes with it only while every hop so
    /// far was at the registry's own origin.
    pub(super) async fn hops(
        &self,
        parts: &Parts,
        login: &Login,
        payload: &mut Payload,
    ) -> Result<Hop, RegistryError> {
        let mut url = parts.url.clone();
        let mut at_home = self.policy.is_own(&url);
        let mut reach = Reach::Local;
        for number in 1.. {
            let mut headers = parts.headers.clone();
            if let Some(header) = login.header().filter(|_| at_home) {
                headers.insert(AUTHORIZATION, header);
            }
            let place = self.place_of(&url);
            let request = HttpRequest {
                method: parts.method.clone(),
                url: url.clone(),
                headers,
                body: payload.take(),
                headers_within: parts.patience.headers_within(),
            };
            let client = self.client_for(&url, at_home, reach);
            let response = self.send(client, request, &place, parts.operation).await?;
            let seen = reach_of(&response);
            if at_home {
                self.reach.store(seen as u8, Ordering::Relaxed);
                self.shared.note_rate_limit(&response.headers);
            }
            reach = reach.min(seen);
            let Some(to) = redirect_target(&response) else {
                return Ok(Hop {
                    response,
                    url,
                    at_home,
                    shown: login.shows(),
                });
            };
            let refuse = |detail: &str| {
                let error = RegistryError::new(ErrorKind::OriginRefused, place.as_str(), parts.operation);
                error.detail(detail).status(response.status)
            };
            if parts.method != Method::GET && parts.method != Method::HEAD {
                return Err(refuse("the registry redirects a write; that is never followed"));
            }
            let to = to.map_err(|()| refuse("the redirect is not a URL"))?;
            // Hosts and paths stand in errors and logs; queries never do.
            if Hidden::of_login(login).is_in(to.split('?').next().unwrap_or_default()) {
                return Err(refuse("the redirect repeats the credential"));
            }
            let next = self.policy.redirect(&url, &to, number);
            url = next.map_err(|refused| refuse(&refused.to_string()))?;
            at_home = at_home && self.policy.is_own(&url);
            drain(response).await;
        }
        Err(self.error(ErrorKind::OriginRefused, parts.operation))
    }

    fn client_for(&self, url: &Url, at_home: bool, reach: Reach) -> &HttpClient {
        match Origin::of_url(url) {
            Some(origin) if !at_home && origin != self.policy.own => self.wires.of_foreign(&origin, reach),
            _ => self.wires.of_registry(self.entry),
        }
    }

    async fn send(
        &self,
        client: &HttpClient,
        request: HttpRequest,
        place: &str,
        operation: &str,
    ) -> Result<HttpResponse, RegistryError> {
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let method = request.method.clone();
        let path = request.url.path().to_owned();
        match client.send(request).await {
            Ok(response) => {
                let status = response.status.as_u16();
                tracing::trace!(host = place, %method, path, status, "answered");
                Ok(response)
            }
            Err(error) => {
                tracing::trace!(host = place, %method, path, %error, "not answered");
                Err(of_http(error, place, operation))
            }
        }
    }

    /// One request to a token endpoint; policy has allowed the URL. Follows nothing.
    pub(crate) async fn ask_token(&self, request: TokenRequest) -> Result<TokenAnswer, RegistryError> {
        let origin = Origin::of_url(&request.url);
        let client = match &origin {
            Some(origin) if *origin == self.policy.own => self.wires.of_registry(self.entry),
            Some(origin) if self.policy.trusts(origin) => self.wires.of_named(origin),
            Some(origin) => self.wires.of_foreign(origin, self.reach_seen()),
            None => return Err(self.error(ErrorKind::OriginRefused, "get a token")),
        };
        let place = self.place_of(&request.url);
        let mut headers = request.headers;
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        let request = HttpRequest {
            method: request.method,
            url: request.url,
            headers,
            body: HttpBody::Bytes(request.body.into()),
            headers_within: None,
        };
        let response = self.send(client, request, &place, "get a token").await?;
        let (status, headers) = (response.status, response.headers.clone());
        let body = response.prefix(TOKEN_REPLY).await;
        let (body, more) = body.map_err(|error| of_http(error, &place, "get a token"))?;
        Ok(TokenAnswer {
            status,
            headers,
            body,
            more,
        })
    }

    fn reach_seen(&self) -> Reach {
        let seen = self.reach.load(Ordering::Relaxed);
        [Reach::Private, Reach::Local]
            .into_iter()
            .find(|reach| *reach as u8 == seen)
            .unwrap_or(Reach::Public)
    }

    pub(super) async fn error_of(&self, parts: &Parts, hop: Hop, login: &Login) -> RegistryError {
        let place = self.place_of(&hop.url);
        let Hop {
            response, at_home, ..
        } = hop;
        let (status, headers) = (response.status, response.headers.clone());
        let body = match response.prefix(ERROR_BODY).await {
            Ok((body, _)) => body,
            Err(_) => Bytes::new(),
        };
        let mut error = Answer {
            status,
            headers: &headers,
            body: &body,
            subject: Subject::of_path(parts.url.path()),
            reading: parts.method == Method::GET || parts.method == Method::HEAD,
            credential: at_home && login.with_credential(),
            hidden: &Hidden::of_login(login),
            now: self.now(),
        }
        .error(&place, parts.operation);
        error.shown = if at_home { login.shows() } else { Shown::Nothing };
        if status == StatusCode::UNAUTHORIZED
            && let Some(words) = refusal::clock_skew(&headers, self.now())
        {
            let detail = format!("{} ({words})", error.detail);
            error = error.detail(&detail);
        }
        // No login is ours to give at a host that the registry led to.
        if !at_home && matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            error.kind = ErrorKind::Denied;
        }
        error
    }

    /// Refuses a web page where a registry should have answered (a captive portal, a login page).
    pub(super) fn plausible(&self, parts: &Parts, hop: Hop) -> Result<Hop, RegistryError> {
        let subject = Subject::of_path(parts.url.path());
        let kind = hop
            .response
            .headers
            .get(CONTENT_TYPE)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let page = kind.to_ascii_lowercase().starts_with(b"text/html");
        if page && !matches!(subject, Subject::Blob | Subject::Upload) {
            let place = self.place_of(&hop.url);
            return Err(
                RegistryError::new(ErrorKind::NotARegistry, place, parts.operation)
                    .status(hop.response.status)
                    .detail("an HTML page came instead of a registry's answer"),
            );
        }
        Ok(hop)
    }
}

impl Payload {
    fn take(&mut self) -> HttpBody {
        match self {
            Self::Bytes(bytes) if bytes.is_empty() => HttpBody::Empty,
            Self::Bytes(bytes) => HttpBody::Bytes(bytes.clone()),
            Self::Stream(stream) => match stream.take() {
                Some((len, stream)) => HttpBody::Stream {
                    len,
                    stream: Box::pin(stream.map(|chunk| chunk.map_err(Into::into))),
                },
                None => HttpBody::Empty,
            },
        }
    }

    fn can_be_sent_again(&self) -> bool {
        matches!(self, Self::Bytes(_))
    }
}

/// Where a redirect leads to; `None` when the answer is none.
fn redirect_target(response: &HttpResponse) -> Option<Result<String, ()>> {
    if !matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = response
        .headers
        .get(LOCATION)
        .ok_or(())
        .and_then(|to| to.to_str().map_err(|_| ()));
    Some(target.map(str::to_owned))
}

/// How far inwards the peer is; behind a proxy it is taken for public.
fn reach_of(response: &HttpResponse) -> Reach {
    let needed = response.peer.and_then(|peer| Reach::needed(peer.ip()));
    needed.unwrap_or(Reach::Public)
}

/// Reads the rest of a small body, so that its connection can be used again.
async fn drain(response: HttpResponse) {
    if let Err(error) = response.prefix(ERROR_BODY).await {
        tracing::trace!(%error, "the body of a redirect broke off");
    }
}
