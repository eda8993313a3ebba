//! Logging in at one registry: which challenge is answered and how, and the tokens had so far.
//!
//! - No request is spent on finding out: the first one goes without a login, and what it is
//!   challenged with is kept; from then on tokens are had ahead.
//! - One exchange at a time for a scope; those who wait share its token, and its failure.
//! - A token is renewed at 80 % of its life; one that is refused is replaced once.
//! - A credential that is configured is used or its absence is an error; never anonymous instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderValue, StatusCode};
use syncd_config::Secret;
use url::Url;

use super::auth::Credential;
use super::challenge::Challenge;
use super::error::{ErrorKind, RegistryError, Shown};
use super::exchange::Registry;
use super::hidden::Hidden;
use super::http::Scope;
use super::refusal::{Answer, Subject};
use super::token::{self, Token};

/// Tokens kept for one registry.
const MAX_TOKENS: usize = 1024;

/// How a request says who it is from.
#[derive(Clone)]
pub(crate) enum Login {
    /// Not at all.
    None,
    /// User and password.
    Basic(Credential),
    /// A token.
    Token {
        value: Secret,
        /// Had for a credential, not for everyone.
        credential: bool,
        /// Had for this very request.
        fresh: bool,
    },
}

impl Login {
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Basic(credential) => token::basic(credential),
            Self::Token { value, .. } => token::bearer(value),
        }
    }

    pub(crate) fn with_credential(&self) -> bool {
        self.shows() != Shown::Nothing
    }

    pub(crate) fn shows(&self) -> Shown {
        match self {
            Self::Basic(_) => Shown::Credential,
            Self::Token { credential: true, .. } => Shown::Token,
            Self::None | Self::Token { .. } => Shown::Nothing,
        }
    }
}

/// The logins of one registry.
#[derive(Default)]
pub(crate) struct Logins {
    /// What the registry asked for last.
    known: Mutex<Option<Vec<Challenge>>>,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

/// The token of one scope.
#[derive(Default)]
struct Slot {
    token: tokio::sync::Mutex<Option<Token>>,
    failure: Mutex<(u64, Option<RegistryError>)>,
}

impl Slot {
    fn failed_since(&self, count: u64) -> Option<RegistryError> {
        let failed = lock(&self.failure);
        failed
            .1
            .as_ref()
            .filter(|_| failed.0 > count)
            .map(RegistryError::again)
    }
}

/// The challenge to answer.
enum Method {
    Basic,
    Bearer {
        realm: Url,
        service: Option<String>,
        extra: Vec<String>,
    },
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Logins {
    /// The login that the registry will ask for, as far as is known.
    pub(crate) async fn ahead(&self, registry: &Registry, scope: &Scope) -> Result<Login, RegistryError> {
        // First, even where no login may be asked for: a credential that is configured and cannot
        // be had is an error, not a reason to go as nobody.
        let credential = registry.credential().await?;
        let Some(known) = lock(&self.known).clone() else {
            return Ok(Login::None);
        };
        match choose(registry, &known, credential.as_ref()) {
            Ok(method) => self.by(registry, method, credential, scope, None).await,
            // It may serve this one to everyone.
            Err(error) if error.kind == ErrorKind::LoginRequired => Ok(Login::None),
            Err(error) => Err(error),
        }
    }

    /// The login to try after `refused` was answered with 401 and these challenges; `None` when
    /// there is no better one.
    pub(crate) async fn after_401(
        &self,
        registry: &Registry,
        challenges: Vec<Challenge>,
        refused: &Login,
        scope: &Scope,
    ) -> Result<Option<Login>, RegistryError> {
        let refused_token = match refused {
            Login::Token { fresh: true, .. } => return Ok(None),
            Login::Token { value, .. } => Some(value),
            Login::Basic(credential) => return self.other_password(registry, credential).await,
            Login::None => None,
        };
        let credential = registry.credential().await?;
        let method = choose(registry, &challenges, credential.as_ref())?;
        *lock(&self.known) = Some(challenges);
        self.by(registry, method, credential, scope, refused_token)
            .await
            .map(Some)
    }

    /// The login to try after the registry said that the token which is the password has expired.
    pub(crate) async fn after_expiry(
        &self,
        registry: &Registry,
        refused: &Login,
    ) -> Result<Option<Login>, RegistryError> {
        match refused {
            Login::Basic(credential) => self.other_password(registry, credential).await,
            _ => Ok(None),
        }
    }

    async fn other_password(
        &self,
        registry: &Registry,
        refused: &Credential,
    ) -> Result<Option<Login>, RegistryError> {
        registry.credential_rejected(refused);
        let other = registry.credential().await?.filter(|other| other != refused);
        Ok(other.map(Login::Basic))
    }

    async fn by(
        &self,
        registry: &Registry,
        method: Method,
        credential: Option<Credential>,
        scope: &Scope,
        refused: Option<&Secret>,
    ) -> Result<Login, RegistryError> {
        let (realm, service, extra) = match (method, credential.clone()) {
            (Method::Basic, Some(credential)) => return Ok(Login::Basic(credential)),
            (Method::Basic, None) => return Err(login_required(registry)),
            (
                Method::Bearer {
                    realm,
                    service,
                    extra,
                },
                _,
            ) => (realm, service, extra),
        };
        let ask = Ask {
            scopes: token::scopes(scope, &extra),
            realm,
            service,
        };
        let slot = self.slot(&ask, credential.as_ref());
        let failures = lock(&slot.failure).0;
        let mut held = slot.token.lock().await;
        let now = registry.now();
        if let Some(token) = &*held
            && refused != Some(&token.value)
            && now < token.renew_at
        {
            return Ok(of_token(token, credential.is_some(), false));
        }
        // Somebody failed at this while we waited: asking again at once would be a storm.
        if let Some(error) = slot.failed_since(failures) {
            return Err(error);
        }
        match ask.exchange_or_other(registry, credential.as_ref()).await {
            Ok(token) => {
                *held = Some(token.clone());
                Ok(of_token(&token, credential.is_some(), true))
            }
            Err(error) => match &*held {
                Some(token)
                    if refused != Some(&token.value) && now < token.expires && error.is_retryable() =>
                {
                    Ok(of_token(token, credential.is_some(), false))
                }
                _ => {
                    *held = None;
                    let mut failed = lock(&slot.failure);
                    *failed = (failed.0 + 1, Some(error.again()));
                    Err(error)
                }
            },
        }
    }

    fn slot(&self, ask: &Ask, credential: Option<&Credential>) -> Arc<Slot> {
        let user = credential.map_or("", |credential| &credential.username);
        let service = ask.service.as_deref().unwrap_or_default();
        let key = format!("{}\n{service}\n{user}\n{}", ask.realm, ask.scopes.join(" "));
        let mut slots = lock(&self.slots);
        if slots.len() >= MAX_TOKENS && !slots.contains_key(&key) {
            slots.clear();
        }
        slots.entry(key).or_default().clone()
    }
}

fn of_token(token: &Token, credential: bool, fresh: bool) -> Login {
    Login::Token {
        value: token.value.clone(),
        credential,
        fresh,
    }
}

fn login_required(registry: &Registry) -> RegistryError {
    RegistryError::new(ErrorKind::LoginRequired, registry.place(), "log in")
        .detail("the registry asks for a user and password, and none is configured for it")
}

/// The first challenge that policy allows and that we can answer; else why not.
fn choose(
    registry: &Registry,
    challenges: &[Challenge],
    credential: Option<&Credential>,
) -> Result<Method, RegistryError> {
    let mut refusal = None;
    let mut basic = false;
    for challenge in challenges {
        let Challenge::Bearer {
            realm,
            service,
            extra,
            ..
        } = challenge
        else {
            basic = true;
            continue;
        };
        // The realm stands in errors and logs, and leads to another host, perhaps.
        if Hidden::of(credential).is_in(realm) {
            refusal = Some("the realm repeats the credential".to_owned());
            continue;
        }
        match registry.policy().realm(realm, credential.is_some()) {
            Ok(realm) => {
                return Ok(Method::Bearer {
                    realm,
                    service: service.clone(),
                    extra: extra.clone(),
                });
            }
            Err(refused) => refusal = Some(refused.to_string()),
        }
    }
    let may_basic = credential.is_some_and(|credential| !credential.is_refresh_token());
    match refusal {
        _ if basic && may_basic => Ok(Method::Basic),
        Some(refused) => {
            Err(RegistryError::new(ErrorKind::OriginRefused, registry.place(), "log in").detail(&refused))
        }
        None if basic => Err(login_required(registry)),
        None => Err(
            RegistryError::new(ErrorKind::Malformed, registry.place(), "log in")
                .detail("the registry asks for a login and names no way that syncd knows"),
        ),
    }
}

/// One token to be had.
struct Ask {
    realm: Url,
    service: Option<String>,
    scopes: Vec<String>,
}

impl Ask {
    /// The exchange; when the credential is refused and another one can be had, once more.
    async fn exchange_or_other(
        &self,
        registry: &Registry,
        credential: Option<&Credential>,
    ) -> Result<Token, RegistryError> {
        let error = match self.exchange(registry, credential).await {
            Err(error) if error.kind == ErrorKind::CredentialsRejected => error,
            done => return done,
        };
        let Some(refused) = credential else {
            return Err(error);
        };
        registry.credential_rejected(refused);
        match registry.credential().await? {
            Some(other) if other != *refused => self.exchange(registry, Some(&other)).await,
            _ => Err(error),
        }
    }

    async fn exchange(
        &self,
        registry: &Registry,
        credential: Option<&Credential>,
    ) -> Result<Token, RegistryError> {
        let service = self.service.as_deref();
        let place = registry.place_of(&self.realm);
        let fail = |kind, detail: &str| RegistryError::new(kind, place.clone(), "get a token").detail(detail);
        let request = token::request(&self.realm, service, &self.scopes, credential).ok_or_else(|| {
            fail(
                ErrorKind::CredentialUnavailable,
                "the user or the password has characters that no header can carry",
            )
        })?;
        let answer = registry.ask_token(request).await?;
        if answer.status.is_redirection() {
            return Err(fail(
                ErrorKind::OriginRefused,
                "the token endpoint redirects; that is never followed",
            )
            .status(answer.status));
        }
        if answer.status != StatusCode::OK {
            return Err(refused(registry, &answer, &place, credential));
        }
        if answer.more {
            return Err(fail(
                ErrorKind::TokenEndpoint,
                "the token reply is longer than 64 KiB",
            ));
        }
        token::reply(&answer.body, &answer.headers, registry.now())
            .map_err(|detail| fail(ErrorKind::TokenEndpoint, detail).status(answer.status))
    }
}

/// What the token endpoint answers.
pub(crate) struct TokenAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: bytes::Bytes,
    /// The body was longer than it may be.
    pub(crate) more: bool,
}

fn refused(
    registry: &Registry,
    answer: &TokenAnswer,
    place: &str,
    credential: Option<&Credential>,
) -> RegistryError {
    let hidden = Hidden::of(credential);
    let credential = credential.is_some();
    let mut error = Answer {
        status: answer.status,
        headers: &answer.headers,
        body: &answer.body,
        subject: Subject::Base,
        reading: true,
        credential,
        hidden: &hidden,
        now: registry.now(),
    }
    .error(place, "get a token");
    if credential {
        error.shown = Shown::CredentialForToken;
    }
    // RFC 6749, 5.2: a refresh token that is no good is a 400.
    let grant = answer.status == StatusCode::BAD_REQUEST && error.detail.contains("invalid_grant");
    error.kind = match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if credential => ErrorKind::CredentialsRejected,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::LoginRequired,
        _ if error.kind == ErrorKind::RateLimited => ErrorKind::RateLimited,
        _ if grant && credential => ErrorKind::CredentialsRejected,
        _ => ErrorKind::TokenEndpoint,
    };
    error
}
