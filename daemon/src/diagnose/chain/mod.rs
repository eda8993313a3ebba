//! Which credentials kubelet tries for an image, in which order, and why not the others.
//!
//! One pure function over the pod's secrets. It follows `pkg/credentialprovider` (`keyring.go`, `config.go`,
//! `secrets/secrets.go`) and `pkg/kubelet/images` of Kubernetes 1.36:
//!
//! - Only the pod's own list counts, in its own namespace. Admission copies the service account's list
//!   when a pod is made without one; the two are never merged.
//! - A secret of another type, or with its content under another key, is passed over without a word. One
//!   that does not parse fails every pull of the pod.
//! - Every key that matches is tried, in reverse order of the keys' texts; under one key the secrets in
//!   the pod's order. `index.docker.io` (`https://index.docker.io/v1/`) counts only when no key matches.
//! - The credentials of the node and its provider plugins come after these, and are not known here. A pull
//!   without any credential is made only when there are none at all.

mod image;
mod matching;
mod mismatch;
mod unused;

use std::collections::{BTreeMap, HashSet};

use syncd_config::Secret;
use syncd_config::text::clean_to;

use crate::oci::Credential;
use crate::oci::docker_config::key::{HUB_FALLBACK, IndexKey, KeyFault, index, shown};
use crate::oci::docker_config::{DockerConfigError, KeyringEntry, PullSecret};

pub use image::ImageName;
pub use mismatch::MismatchKind;
pub use unused::UnusedKind;

/// The longest user name that is shown; what is longer may be a token.
const SHOWN_USER: usize = 64;

/// One secret that a pod or its service account names.
#[derive(Clone, Debug)]
pub struct PodSecret {
    /// The pod's namespace.
    pub namespace: String,
    /// The secret's name.
    pub name: String,
    /// Whose list it is on.
    pub source: SecretSource,
    /// What was found under that name.
    pub state: SecretState,
}

/// Whose list a secret is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The pod's own `imagePullSecrets`, which after admission is all that kubelet reads.
    Pod,
    /// The service account's list, and not the pod's.
    Account,
}

/// What was found under a secret's name.
#[derive(Clone, Debug)]
pub enum SecretState {
    /// There is none.
    Missing,
    /// It could not be read.
    Forbidden {
        /// Why, in one line that is safe to show.
        why: String,
    },
    /// It is there.
    Present {
        /// Its type.
        type_: String,
        /// Its data.
        data: BTreeMap<String, Secret>,
    },
}

/// What kubelet does about credentials for one image of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The name that is looked up: `docker.io/library/nginx`.
    pub image: String,
    /// The credentials in the order in which they are tried; empty when a secret does not parse.
    pub tries: Vec<Try>,
    /// The keys that do not match.
    pub unmatched: Vec<Unmatched>,
    /// The secrets of which no key is looked at.
    pub unused: Vec<UnusedSecret>,
    /// The secrets that do not parse: with one of them every pull of the pod fails.
    pub broken: Vec<BrokenSecret>,
    /// Whether every secret of the pod was read. If not, `tries` may lack some, and nothing is known
    /// of a pull without a credential.
    pub is_complete: bool,
    /// Whether the secrets give nothing, so that without a credential of the node itself the pull is
    /// anonymous.
    pub anonymous: bool,
}

/// A credential that kubelet hands to the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// The secret's name.
    pub secret: String,
    /// The key under which it was found, made safe to show.
    pub key: String,
    /// The user name, made safe to show.
    pub username: String,
    /// What is sent.
    pub credential: Credential,
    /// What is odd about it, in whole sentences.
    pub notes: Vec<String>,
}

/// A key that does not match the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// The secret's name.
    pub secret: String,
    /// The key, made safe to show.
    pub key: String,
    /// The closed class.
    pub kind: MismatchKind,
    /// Why, in plain words.
    pub reason: String,
    /// For a near miss, the key to write instead. It matches the image.
    pub fix: Option<String>,
}

/// A secret that kubelet does not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusedSecret {
    /// The secret's name.
    pub secret: String,
    /// The closed class.
    pub kind: UnusedKind,
    /// Why, in plain words.
    pub reason: String,
}

/// A secret that does not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenSecret {
    /// The secret's name.
    pub secret: String,
    /// What is wrong, and where.
    pub error: DockerConfigError,
}

impl Try {
    /// Whether the runtime asks anonymously although kubelet found an entry: containerd and CRI-O take
    /// a credential without a user name for none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.credential.username.is_empty()
    }
}

/// What kubelet does for `image` with these secrets, given in the order of the pod's list.
#[must_use]
pub fn chain(image: &ImageName, secrets: &[PodSecret]) -> Chain {
    let read = unused::sort(secrets);
    let mut keys: Vec<Key<'_>> = read
        .usable
        .iter()
        .flat_map(|(secret, found)| found.entries.iter().map(|entry| Key::new(secret, entry)))
        .collect();
    // Stable: under one key the pod's order stays.
    keys.sort_by(|a, b| b.text.cmp(&a.text));
    let mut tried: HashSet<usize> = positions(&keys, |key| key.matches(image));
    let is_fallback = tried.is_empty() && image.falls_back_to_hub();
    if is_fallback {
        tried = positions(&keys, |key| key.text.as_deref() == Some(HUB_FALLBACK));
    }
    let mut tries = Vec::new();
    let mut unmatched = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        if tried.contains(&at) {
            tries.push(key.tried(&keys, is_fallback.then_some(image)));
        } else {
            unmatched.push(key.unmatched(image));
        }
    }
    if !read.broken.is_empty() {
        tries.clear();
    }
    Chain {
        image: image.to_string(),
        anonymous: tries.is_empty() && read.broken.is_empty() && read.is_complete,
        tries,
        unmatched,
        unused: read.unused,
        broken: read.broken,
        is_complete: read.is_complete,
    }
}

fn positions(keys: &[Key<'_>], wanted: impl Fn(&Key<'_>) -> bool) -> HashSet<usize> {
    let found = keys.iter().enumerate().filter(|(_, key)| wanted(key));
    found.map(|(at, _)| at).collect()
}

/// One key of one secret.
struct Key<'a> {
    secret: &'a str,
    entry: &'a KeyringEntry,
    index: Result<IndexKey, KeyFault>,
    /// The text of the index, by which kubelet sorts; `None` when the key is no URL.
    text: Option<String>,
}

impl<'a> Key<'a> {
    fn new(secret: &'a str, entry: &'a KeyringEntry) -> Self {
        let index = index(&entry.key);
        Self {
            secret,
            entry,
            text: index.as_ref().ok().map(IndexKey::text),
            index,
        }
    }

    fn matches(&self, image: &ImageName) -> bool {
        self.index.as_ref().is_ok_and(|key| matching::matches(key, image))
    }

    fn tried(&self, all: &[Key<'_>], fallback: Option<&ImageName>) -> Try {
        let entry = self.entry;
        let mut notes = Vec::new();
        if entry.credential.username.is_empty() {
            let token = if entry.has_token {
                " (its identity or registry token is left out by kubelet)"
            } else {
                ""
            };
            notes.push(format!(
                "the entry has no user name{token}: it counts as a match, and the runtime asks anonymously"
            ));
        }
        if entry.is_garbled {
            notes.push("its user or password is not UTF-8: kubelet cannot send it to the runtime".to_owned());
        }
        let same = |key: &&Key<'_>| key.secret == self.secret && key.text == self.text;
        if all
            .iter()
            .filter(same)
            .map(|key| &key.entry.key)
            .collect::<HashSet<_>>()
            .len()
            > 1
        {
            notes.push(format!(
                "the secret has several keys that kubelet takes for {}: their order changes from pull to pull",
                shown(self.text.as_deref().unwrap_or_default())
            ));
        }
        match fallback {
            Some(image) if image.is_on_hub() => {
                notes.push("this key is used because no other one matches".to_owned());
            }
            Some(image) => notes.push(format!(
                "{} has no dot and no port, so kubelet falls back to the credential of Docker Hub and sends it there",
                image.domain
            )),
            None => {}
        }
        Try {
            secret: self.secret.to_owned(),
            key: shown(&entry.key),
            username: shown_user(&entry.credential.username),
            credential: entry.credential.clone(),
            notes,
        }
    }

    fn unmatched(&self, image: &ImageName) -> Unmatched {
        let mismatch = mismatch::of(&self.entry.key, &self.index, image);
        Unmatched {
            secret: self.secret.to_owned(),
            key: shown(&self.entry.key),
            kind: mismatch.kind,
            reason: mismatch.reason,
            fix: mismatch.fix,
        }
    }
}

fn shown_user(username: &str) -> String {
    let length = username.chars().count();
    if length > SHOWN_USER {
        return format!("(a name of {length} characters)");
    }
    clean_to(username, SHOWN_USER)
}

/// The secrets, sorted into those whose keys count and the others.
struct Read<'a> {
    usable: Vec<(&'a str, PullSecret)>,
    unused: Vec<UnusedSecret>,
    broken: Vec<BrokenSecret>,
    is_complete: bool,
}

#[cfg(test)]
mod tests;
