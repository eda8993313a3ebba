//! Whether a token pulls: asked as a node would ask, before any node gets it.
//!
//! `/v2/` with the credential (what `docker login` does) → a token for the probe's repository →
//! HEAD of the probe's manifest. Nothing is proven by an answer that everyone gets: where the
//! registry never asked who we are, the verdict is undecided, however well the image was found.
//! The token goes to the entry's host and its trusted token hosts, by the registry client's policy.

use std::time::Duration;

use http::Method;
use syncd_config::config::{Probe, RegistryEntry};
use syncd_config::text::clean;
use syncd_providers::Token;

use crate::oci::http::{RegistryResponse, Scope};
use crate::oci::remote::Remote;
use crate::oci::{Credential, ErrorKind, RegistryClient, RegistryError, RegistryRequest, Shown};

/// The longest that one proof takes.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// The longest that a registry may make a proof wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const LOG_IN: &str = "log in";

/// What is known about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It pulls.
    Proven {
        /// What was looked up with it.
        image: String,
    },
    /// The registry, or its token endpoint, refuses it.
    Refused {
        /// In these words.
        words: String,
    },
    /// The login is good, and the image is not for this identity.
    PullDenied {
        /// In these words.
        words: String,
    },
    /// Nothing was said about it.
    Undecided {
        /// Why not.
        why: String,
    },
}

/// How far the login came before the pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoggedIn {
    /// `/v2/` took the credential.
    Yes,
    /// `/v2/` never asked for it.
    NotAsked,
    /// The token endpoint took the credential; `/v2/` does not take its token.
    TokenRefused,
}

/// Proves `token` at the entry's host, on the entry's probe. Never fails: what keeps it from being
/// said either way is the reason of [`Proof::Undecided`]. Takes [`DEADLINE`] at most.
pub async fn prove(client: &RegistryClient, entry: &RegistryEntry, token: &Token) -> Proof {
    let Some(probe) = &entry.probe else {
        return undecided("no probe is configured");
    };
    let credential = Credential {
        username: token.username.clone(),
        secret: token.secret.clone(),
    };
    let client = match client.with_only(Some(entry), &entry.host, Some(credential)) {
        Ok(client) => client.waiting_at_most(LONGEST_WAIT),
        Err(error) => return undecided(&error.to_string()),
    };
    match tokio::time::timeout(DEADLINE, attempt(&client, entry, probe)).await {
        Ok(proof) => proof,
        Err(_) => undecided(&format!(
            "{} did not answer within {} s",
            entry.host,
            DEADLINE.as_secs()
        )),
    }
}

async fn attempt(client: &RegistryClient, entry: &RegistryEntry, probe: &Probe) -> Proof {
    let base = RegistryRequest::new(LOG_IN, Method::GET, "/v2/", Scope::default());
    let answer = client.send(&entry.host, base).await;
    let login = match after_login(answer.map(|response| response.shown)) {
        Ok(login) => login,
        Err(proof) => return proof,
    };
    let answer = pull(client, entry, probe).await;
    after_pull(login, answer.map(|response| response.shown), image(entry, probe))
}

/// HEAD of the manifest. The answer to a HEAD has no words: a refusal is asked for once more with
/// GET, but never with a password that was just refused (accounts get locked).
async fn pull(
    client: &RegistryClient,
    entry: &RegistryEntry,
    probe: &Probe,
) -> Result<RegistryResponse, RegistryError> {
    let remote = Remote::source(client.clone(), entry.host.clone());
    let ask = |method| remote.try_manifest(method, &probe.repository, &probe.target);
    let error = match ask(Method::HEAD).await {
        Err(error) if is_refusal(&error) => error,
        other => return other,
    };
    let locks = error.shown == Shown::Credential && error.kind == ErrorKind::CredentialsRejected;
    if locks || error.shown == Shown::CredentialForToken {
        return Err(error);
    }
    match ask(Method::GET).await {
        Err(with_words) if with_words.kind == error.kind => Err(with_words),
        _ => Err(error),
    }
}

fn is_refusal(error: &RegistryError) -> bool {
    matches!(error.kind, ErrorKind::CredentialsRejected | ErrorKind::Denied)
}

/// What the answer of `/v2/` says; a verdict when there is no point in going on.
fn after_login(answer: Result<Shown, RegistryError>) -> Result<LoggedIn, Proof> {
    let error = match answer {
        Ok(Shown::Nothing) => return Ok(LoggedIn::NotAsked),
        Ok(_) => return Ok(LoggedIn::Yes),
        Err(error) => error,
    };
    match (error.shown, error.kind) {
        // A registry may serve images and nothing at /v2/.
        (Shown::Nothing, ErrorKind::NotARegistry) if error.status == Some(404) => Ok(LoggedIn::NotAsked),
        (Shown::Token, _) if is_refusal(&error) => Ok(LoggedIn::TokenRefused),
        (Shown::Credential | Shown::CredentialForToken, _) if is_refusal(&error) => {
            Err(Proof::Refused { words: words(&error) })
        }
        _ => Err(undecided(&words(&error))),
    }
}

/// What the answer to the HEAD of the manifest says.
fn after_pull(login: LoggedIn, answer: Result<Shown, RegistryError>, image: String) -> Proof {
    let error = match answer {
        Ok(Shown::Nothing) => return undecided("the registry does not ask for a login"),
        Ok(_) => return Proof::Proven { image },
        Err(error) => error,
    };
    let words = words(&error);
    match (error.shown, error.kind) {
        _ if error.kind.is_not_found() => undecided(&format!("the probe {image} was not found: {words}")),
        (Shown::Nothing, _) => undecided(&words),
        _ if !is_refusal(&error) => undecided(&words),
        // Nothing of it was ever taken.
        _ if login == LoggedIn::TokenRefused => Proof::Refused { words },
        (Shown::Credential | Shown::CredentialForToken, ErrorKind::CredentialsRejected)
            if login == LoggedIn::NotAsked =>
        {
            Proof::Refused { words }
        }
        _ => Proof::PullDenied { words },
    }
}

fn image(entry: &RegistryEntry, probe: &Probe) -> String {
    let separator = match probe.target {
        syncd_config::reference::Target::Tag(_) => ':',
        syncd_config::reference::Target::Digest(_) => '@',
    };
    format!("{}/{}{separator}{}", entry.host, probe.repository, probe.target)
}

fn words(error: &RegistryError) -> String {
    clean(&error.to_string())
}

fn undecided(why: &str) -> Proof {
    Proof::Undecided { why: clean(why) }
}

#[cfg(test)]
mod tests;
