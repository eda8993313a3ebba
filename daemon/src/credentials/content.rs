//! The content of a target: one text, the same in every namespace, with what is said about it
//! beside it. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use syncd_config::config::{CredentialTarget, RegistryEntry};
use syncd_config::{Digest, RegistryHost, Secret};

use crate::cluster::SecretMeta;
use crate::oci::docker_config;
use crate::tokens::{Good, LastGood};

/// Host -> when its credential ends, was proven and was minted (JSON).
pub(super) const REGISTRIES: &str = "syncd.dev/registries";
/// Whose secret it is.
pub(super) const OWNER: &str = "syncd.dev/owner";
/// The SHA-256 digest of the content.
pub(super) const CONTENT_HASH: &str = "syncd.dev/content-hash";
/// What never changes: keeps Argo CD and Flux from removing a secret that is in no repository.
const STATIC: [(&str, &str); 3] = [
    ("argocd.argoproj.io/compare-options", "IgnoreExtraneous"),
    ("argocd.argoproj.io/sync-options", "Prune=false"),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
];
const LABEL: (&str, &str) = ("app.kubernetes.io/managed-by", "syncd");

/// A secret holds 1 MiB in all; below that stays room for its annotations and for what others add.
const LARGEST: usize = 900 << 10;
/// The most bytes of an annotation that are read.
const ANNOTATION_CAP: usize = 256 << 10;

/// What is published in a target.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) docker_config: Secret,
    pub(super) hash: String,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) parts: Vec<Part>,
    /// The hosts that the target wants and for which there is no credential.
    pub(super) missing: Vec<String>,
}

/// One credential of a content, without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) host: RegistryHost,
    pub(super) identity: String,
    pub(super) mark: Mark,
}

/// What an annotation says about one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The end of the credential's life, when it is known.
    pub(super) expires: Option<Timestamp>,
    /// When it was seen to pull.
    pub(super) proven: Option<Timestamp>,
    /// When it was asked for.
    pub(super) minted: Timestamp,
}

/// What there is to publish in a target.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Published {
    /// This.
    Ready(Box<Content>),
    /// No credential at all: what is there stays.
    Nothing,
    /// None yet, because all wait for this process's own registry.
    Held,
    /// More than a secret holds; in words, with sizes.
    TooLarge(String),
}

/// The content of a target from the credentials that are good. `hold` are the names of entries for
/// which there is none yet and no fault in that.
pub(super) fn published(
    target: &CredentialTarget,
    entries: &[RegistryEntry],
    good: &LastGood,
    hold: &[String],
    owner: &str,
) -> Published {
    let mut missing = Vec::new();
    let mut found = Vec::new();
    for entry in wanted(target, entries) {
        match of_entry(good, entry) {
            Some(good) => found.push(good),
            None => missing.push(entry),
        }
    }
    if found.is_empty() {
        let held = missing.iter().all(|entry| hold.contains(&entry.name));
        return match held {
            true => Published::Held,
            false => Published::Nothing,
        };
    }
    let missing = missing.iter().map(|entry| entry.host.to_string()).collect();
    let content = build(&found, missing, owner);
    if content.docker_config.expose().len() > LARGEST {
        return Published::TooLarge(sizes(&content, &found));
    }
    Published::Ready(Box::new(content))
}

/// The entries of a target, in the order of the configuration.
pub(super) fn wanted<'a>(
    target: &'a CredentialTarget,
    entries: &'a [RegistryEntry],
) -> impl Iterator<Item = &'a RegistryEntry> {
    entries
        .iter()
        .filter(|entry| target.registries.contains(&entry.name))
}

/// The good credential of an entry. One that was got for another host is not: a credential goes to
/// the host that its entry names and nowhere else.
pub(super) fn of_entry<'a>(good: &'a LastGood, entry: &RegistryEntry) -> Option<&'a Good> {
    good.get(&entry.name).filter(|good| good.host == entry.host)
}

/// A secret that opens nothing: for one that is no longer wanted and may not be deleted.
pub(super) fn emptied(owner: &str) -> Content {
    build(&[], Vec::new(), owner)
}

fn build(found: &[&Good], missing: Vec<String>, owner: &str) -> Content {
    let logins: Vec<_> = found
        .iter()
        .map(|good| (good.host.clone(), good.username.as_str(), &good.secret))
        .collect();
    let docker_config = docker_config::build(&logins);
    let hash = Digest::sha256(docker_config.expose().as_bytes()).to_string();
    let parts: Vec<Part> = found.iter().map(|good| part(good)).collect();
    let marks: BTreeMap<&str, Mark> = parts.iter().map(|part| (part.host.as_str(), part.mark)).collect();
    let mut annotations: BTreeMap<String, String> = STATIC
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    annotations.insert(OWNER.to_owned(), owner.to_owned());
    annotations.insert(CONTENT_HASH.to_owned(), hash.clone());
    // Texts and times only: cannot fail, and an empty annotation would only lose words.
    annotations.insert(
        REGISTRIES.to_owned(),
        serde_json::to_string(&marks).unwrap_or_default(),
    );
    Content {
        docker_config,
        hash,
        annotations,
        parts,
        missing,
    }
}

fn part(good: &Good) -> Part {
    Part {
        host: good.host.clone(),
        identity: good.identity.clone(),
        mark: Mark {
            expires: good.expires.known(),
            proven: good.proven,
            minted: good.minted,
        },
    }
}

fn sizes(content: &Content, found: &[&Good]) -> String {
    let mut largest: Vec<_> = found
        .iter()
        .map(|good| (good.secret.expose().len(), good.host.as_str()))
        .collect();
    largest.sort_by(|a, b| b.cmp(a));
    let some: Vec<String> = largest
        .iter()
        .take(3)
        .map(|(size, host)| format!("{host} {size} bytes"))
        .collect();
    format!(
        "{} registries make {} KiB, and a secret holds {} KiB; the largest: {}",
        found.len(),
        content.docker_config.expose().len() >> 10,
        LARGEST >> 10,
        some.join(", ")
    )
}

impl Content {
    /// The labels that syncd writes.
    pub(super) fn labels() -> BTreeMap<String, String> {
        BTreeMap::from([(LABEL.0.to_owned(), LABEL.1.to_owned())])
    }

    /// Whether a secret says that it holds exactly this and still has all of our marks.
    pub(super) fn is_marked_on(&self, meta: &SecretMeta) -> bool {
        let has = |key: &str, value: &str| meta.annotations.get(key).is_some_and(|have| have == value);
        has(CONTENT_HASH, &self.hash)
            && STATIC.iter().all(|(key, value)| has(key, value))
            && meta.labels.get(LABEL.0).is_some_and(|have| have == LABEL.1)
    }

    /// The hosts whose credential differs from what `marks` say.
    pub(super) fn changed_since(&self, marks: &BTreeMap<String, Mark>) -> Vec<String> {
        let is_new = |part: &&Part| {
            marks
                .get(part.host.as_str())
                .is_none_or(|mark| mark.minted != part.mark.minted)
        };
        let parts = self.parts.iter().filter(is_new);
        parts.map(|part| part.host.to_string()).collect()
    }
}

/// What a secret of ours says about its hosts; empty when that cannot be read. A tenant can write
/// there: it decides on waiting, never on content, and its words are not repeated.
pub(super) fn marks_of(meta: &SecretMeta) -> BTreeMap<String, Mark> {
    let text = meta.annotations.get(REGISTRIES);
    text.filter(|text| text.len() <= ANNOTATION_CAP)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}
