//! Who asks, and what that one may do.
//!
//! kubelet hands the runtime one credential an image, without a server name, and the runtime sends it
//! to every host that challenges it. So a challenge from here would be answered with the *upstream's*
//! secret. Therefore what may be served without a login is served without looking at the credential
//! at all: it is neither asked for nor checked, and a wrong one does no harm. For the same reason a
//! repository that is not there is "not found" under `public`, not "log in": an image that was never
//! mirrored must not draw its pull secret here. `none` challenges everything, and so hides names.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};
use syncd_config::Secret;
use syncd_config::config::{AnonymousPull, RegistryAuth};
use tokio::sync::Semaphore;

use super::error::{Refusal, RegistryServerError};
use super::htpasswd::Users;

/// bcrypt checks at once: one core stays free whatever is tried.
const CHECKS: usize = 1;
/// Logins that wait for their check; the next ones are told to come back.
const WAITING: usize = 32;
/// What a wrong password costs the one who sent it, besides the check.
const WRONG_DELAY: Duration = Duration::from_millis(300);
/// Verdicts that are remembered.
const REMEMBERED: usize = 1024;
/// The longest `Authorization` header that is decoded.
const LONGEST: usize = 8 * 1024;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// No credential was sent.
    Anonymous,
    /// A node that proved itself with a client certificate.
    Node,
    /// A user with the right password.
    User {
        /// The name.
        name: Arc<str>,
        /// Whether it may write.
        push: bool,
    },
    /// A credential was sent and is wrong.
    Wrong,
}

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// `/v2/`
    Ping,
    /// Read a repository.
    Pull(Visibility),
    /// Read the list of repositories.
    Catalog,
    /// Write a repository.
    Push,
}

/// What is known of a repository that somebody wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// Its last copy needed no credential at the source.
    Public,
    /// It needs a login.
    Private,
    /// It is not there.
    Missing,
}

/// The rule: whether `caller` may have its `wish`.
pub(crate) fn allow(policy: AnonymousPull, wish: Wish, caller: &Caller) -> Result<(), Refusal> {
    match (wish, caller) {
        // Whatever credential came with it: see the head of this module.
        (Wish::Pull(visibility), _) if open(policy, visibility) => Ok(()),
        (_, Caller::Wrong) => Err(Refusal::unauthorized("the user or the password is wrong")),
        (Wish::Ping | Wish::Pull(_), Caller::Node | Caller::User { .. }) => Ok(()),
        (Wish::Ping, Caller::Anonymous) if policy != AnonymousPull::None => Ok(()),
        (Wish::Catalog, Caller::User { .. }) => Ok(()),
        (Wish::Push, Caller::User { push: true, .. }) => Ok(()),
        (Wish::Push, Caller::User { .. }) => Err(Refusal::denied("this user may not push")),
        _ => Err(Refusal::unauthorized("a login is needed")),
    }
}

/// Whether a repository is read without a login.
pub(crate) fn open(policy: AnonymousPull, visibility: Visibility) -> bool {
    match policy {
        AnonymousPull::All => true,
        AnonymousPull::Public => visibility != Visibility::Private,
        AnonymousPull::None => false,
    }
}

/// Users, rights, and what was checked already. Made anew when a file changes.
pub(crate) struct Access {
    pub(crate) policy: AnonymousPull,
    users: Users,
    push: HashSet<String>,
    /// Verdicts by SHA-256 of salt, user and password: a runtime asks for every layer with the same
    /// credential, and sends a wrong one just as often.
    verdicts: Mutex<HashMap<[u8; 32], bool>>,
    salt: [u8; 32],
    checks: Semaphore,
    waiting: Semaphore,
}

impl Access {
    pub(crate) fn load(auth: &RegistryAuth) -> Result<Self, RegistryServerError> {
        let users = match &auth.htpasswd_file {
            Some(path) => Users::load(path)?,
            None => Users::default(),
        };
        let push: HashSet<String> = auth.push.iter().cloned().collect();
        if let Some(user) = users.missing(&push) {
            return Err(RegistryServerError::UnknownPushUser { user: user.clone() });
        }
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|error| RegistryServerError::Read {
            path: "the kernel's random numbers".into(),
            source: std::io::Error::other(error.to_string()),
        })?;
        Ok(Self {
            policy: auth.anonymous_pull,
            users,
            push,
            verdicts: Mutex::default(),
            salt,
            checks: Semaphore::new(CHECKS),
            waiting: Semaphore::new(WAITING),
        })
    }

    /// Who sent this `Authorization` header; `node` when the connection has a client certificate.
    /// A certificate is enough to read, so a credential besides it is looked at only to write.
    pub(crate) async fn caller(
        &self,
        header: Option<&HeaderValue>,
        node: bool,
        wish: Wish,
    ) -> Result<Caller, Refusal> {
        if node && wish != Wish::Push {
            return Ok(Caller::Node);
        }
        let Some(header) = header else {
            return Ok(Caller::Anonymous);
        };
        match basic(header) {
            Some((user, password)) => self.login(user, password).await,
            // A bearer token of another registry, or nonsense: never ours.
            None => Ok(Caller::Wrong),
        }
    }

    async fn login(&self, user: String, password: Secret) -> Result<Caller, Refusal> {
        let key = self.key(&user, &password);
        let known = self.remembered(&key);
        let right = match known {
            Some(right) => right,
            None => self.check(&user, password, key).await?,
        };
        if !right {
            return Ok(Caller::Wrong);
        }
        let push = self.push.contains(&user);
        Ok(Caller::User {
            name: user.into(),
            push,
        })
    }

    async fn check(&self, user: &str, password: Secret, key: [u8; 32]) -> Result<bool, Refusal> {
        let Some((hash, exists)) = self.users.hash_of(user) else {
            return Ok(false);
        };
        let hash = hash.to_owned();
        let busy = || Refusal::busy("too many logins at once");
        let waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let turn = self.checks.acquire().await.map_err(|_| busy())?;
        // The same credential may have been checked while this one waited.
        if let Some(right) = self.remembered(&key) {
            return Ok(right);
        }
        let checked = tokio::task::spawn_blocking(move || bcrypt::verify(password.expose(), &hash));
        let matches = matches!(checked.await, Ok(Ok(true)));
        drop((turn, waiting));
        let right = matches && exists;
        self.remember(key, right);
        if !right {
            tokio::time::sleep(WRONG_DELAY).await;
        }
        Ok(right)
    }

    fn key(&self, user: &str, password: &Secret) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        hash.update((user.len() as u64).to_be_bytes());
        hash.update(user.as_bytes());
        hash.update(password.expose().as_bytes());
        hash.finalize().into()
    }

    fn remembered(&self, key: &[u8; 32]) -> Option<bool> {
        self.verdicts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .copied()
    }

    fn remember(&self, key: [u8; 32], right: bool) {
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        if verdicts.len() >= REMEMBERED {
            // Guesses must not push out the users that are really there.
            verdicts.retain(|_, right| *right);
        }
        if verdicts.len() < REMEMBERED {
            verdicts.insert(key, right);
        }
    }
}

/// The user and password of a `Basic` header (RFC 7617).
fn basic(header: &HeaderValue) -> Option<(String, Secret)> {
    let bytes = header.as_bytes();
    if bytes.len() > LONGEST {
        return None;
    }
    let (scheme, rest) = bytes.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(rest.trim_ascii())
        .ok()?;
    let text = Secret::new(String::from_utf8(decoded).ok()?);
    let (user, password) = text.expose().split_once(':')?;
    Some((user.to_owned(), Secret::new(password)))
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
