//! The pod's pull secrets as kubelet's keyring for one image, and what is known of the age of each
//! credential. Pure; the credentials that fit leave here for the probe alone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use syncd_config::text::clean_to;
use syncd_config::{Reference, RegistryHost};

use super::creds::{Creds, Login, Note, Unfit};
use super::freshness::{Written, freshness, is_short_lived};
use super::probe::AsSecret;
use super::read::SecretSeen;
use crate::diagnose::chain::{Chain, ImageName, PodSecret, Try, UnusedKind, chain};

/// Keys of a secret that are spoken of.
const KEYS: usize = 3;

/// What kubelet makes of the secrets.
pub(super) struct Keyring {
    pub(super) creds: Creds,
    pub(super) notes: Vec<Note>,
    /// The credentials that fit, in the order in which kubelet tries them.
    pub(super) credentials: Vec<AsSecret>,
}

/// The keyring for `image` as the pod writes it. `later`: what the pod's account names by now.
pub(super) fn keyring(image: &str, secrets: &[SecretSeen], later: Vec<String>, now: Timestamp) -> Keyring {
    let image = image.trim();
    let parsed = image
        .parse::<Reference>()
        .ok()
        .zip(image.parse::<ImageName>().ok());
    let Some((reference, name)) = parsed else {
        return Keyring {
            creds: Creds::Unjudged,
            notes: Vec::new(),
            credentials: Vec::new(),
        };
    };
    let listed: Vec<PodSecret> = secrets.iter().map(|seen| seen.secret.clone()).collect();
    let chain = chain(&name, &listed);
    let written = secrets
        .iter()
        .map(|seen| (seen.secret.name.as_str(), &seen.written))
        .collect();
    let of_use = || chain.tries.iter().filter(|tried| !tried.is_empty());
    Keyring {
        creds: creds(&chain, &reference.host, &written, later, now),
        notes: secrets
            .iter()
            .map(|seen| note(&chain, &seen.secret.name))
            .collect(),
        credentials: of_use()
            .map(|tried| AsSecret {
                secret: tried.secret.clone(),
                credential: tried.credential.clone(),
            })
            .collect(),
    }
}

fn creds(
    chain: &Chain,
    host: &RegistryHost,
    written: &BTreeMap<&str, &Written>,
    later: Vec<String>,
    now: Timestamp,
) -> Creds {
    if let Some(broken) = chain.broken.first() {
        let words = broken.error.to_string();
        let words = words
            .rsplit_once("docker config: ")
            .map_or(words.as_str(), |(_, rest)| rest);
        return Creds::Malformed {
            secret: broken.secret.clone(),
            why: format!("does not parse: {words}"),
        };
    }
    let logins: Vec<Login> = chain
        .tries
        .iter()
        .filter(|tried| !tried.is_empty())
        .map(|tried| login(tried, host, written, now))
        .collect();
    if !logins.is_empty() {
        return Creds::Sent(logins);
    }
    let of_kind = |kind| {
        let unused = chain.unused.iter().filter(|unused| unused.kind == kind);
        unused.map(|unused| unused.secret.clone()).collect::<Vec<_>>()
    };
    let (missing, unread) = (of_kind(UnusedKind::Missing), of_kind(UnusedKind::Unread));
    // One that was not read may fit, so that one that is missing decides nothing.
    if !chain.is_complete {
        return Creds::Unread { names: unread };
    }
    if !missing.is_empty() {
        return Creds::Missing { names: missing };
    }
    let secrets = unfit(chain);
    if secrets.is_empty() {
        Creds::Unnamed { later }
    } else {
        Creds::Unfit { secrets }
    }
}

fn login(tried: &Try, host: &RegistryHost, written: &BTreeMap<&str, &Written>, now: Timestamp) -> Login {
    let unknown = Written::default();
    let written = written.get(tried.secret.as_str()).copied().unwrap_or(&unknown);
    let (username, secret) = (&tried.credential.username, &tried.credential.secret);
    Login {
        secret: tried.secret.clone(),
        key: tried.key.clone(),
        freshness: freshness(host, username, secret, written, now),
        short_lived: is_short_lived(username, secret),
        by_syncd: written.by_syncd(),
    }
}

/// The secrets that are there and give nothing.
fn unfit(chain: &Chain) -> Vec<Unfit> {
    let mut out: Vec<Unfit> = chain
        .unused
        .iter()
        .filter(|unused| {
            matches!(
                unused.kind,
                UnusedKind::WrongType | UnusedKind::WrongKey | UnusedKind::NoEntries
            )
        })
        .map(|unused| Unfit {
            secret: unused.secret.clone(),
            why: unused.reason.clone(),
            wrong_type: unused.kind == UnusedKind::WrongType,
            key: None,
        })
        .collect();
    for tried in &chain.tries {
        out.push(Unfit {
            secret: tried.secret.clone(),
            why: format!("key {}: {}", tried.key, tried.notes.join("; ")),
            wrong_type: false,
            key: None,
        });
    }
    // One line a secret: its nearest miss.
    let mut nearest: Vec<&crate::diagnose::chain::Unmatched> = chain.unmatched.iter().collect();
    nearest.sort_by_key(|unmatched| unmatched.fix.is_none());
    for unmatched in nearest {
        if !out.iter().any(|unfit| unfit.secret == unmatched.secret) {
            out.push(Unfit {
                secret: unmatched.secret.clone(),
                why: format!("key {}: {}", unmatched.key, unmatched.reason),
                wrong_type: false,
                key: unmatched.fix.clone(),
            });
        }
    }
    out
}

/// What is said of one secret.
fn note(chain: &Chain, secret: &str) -> Note {
    let tried: Vec<&Try> = chain
        .tries
        .iter()
        .filter(|tried| tried.secret == secret)
        .collect();
    let mut words: Vec<String> = tried
        .iter()
        .take(KEYS)
        .map(|tried| match tried.notes.as_slice() {
            [] => format!("key {} fits", tried.key),
            notes => format!("key {} fits; {}", tried.key, notes.join("; ")),
        })
        .collect();
    let broken = chain.broken.iter().filter(|broken| broken.secret == secret);
    words.extend(broken.map(|broken| broken.error.to_string()));
    let unused = chain.unused.iter().filter(|unused| unused.secret == secret);
    words.extend(unused.map(|unused| unused.reason.clone()));
    if words.is_empty() {
        let all: Vec<_> = chain
            .unmatched
            .iter()
            .filter(|key| key.secret == secret)
            .collect();
        words.extend(
            all.iter()
                .take(KEYS)
                .map(|key| format!("key {}: {}", key.key, key.reason)),
        );
        if all.len() > KEYS {
            words.push(format!("and {} keys more", all.len() - KEYS));
        }
    }
    Note {
        secret: secret.to_owned(),
        fits: tried.iter().any(|tried| !tried.is_empty()),
        words: clean_to(&words.join("; "), 600),
    }
}
