//! What is to be done, decided from values: no client, no clock.
//!
//! For each secret that a target selects: made, updated in place, left, or refused with the way out.
//! Only a secret that bears our mark is ever written.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use syncd_config::config::{CredentialTarget, TargetPlace};
use syncd_config::text::clean;

use super::content::{Content, OWNER, Published, marks_of};
use super::inventory::Key;
use super::memory::Memory;
use crate::cluster::SecretMeta;
use crate::report::TargetOutcome;

/// The words about a secret that is as it should be.
pub(super) const HELD: &str = "it holds this already";

/// A namespace that a target selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) name: String,
    pub(super) terminating: bool,
}

/// What was found in the place of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// No secret of that name; `namespace` is `false` when there is no such namespace either.
    Absent { namespace: bool },
    /// A secret.
    There(Box<SecretMeta>),
    /// The namespace is being deleted.
    Terminating,
    /// It could not be read.
    Unread { kind: &'static str, words: String },
}

/// What is done to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    /// It holds what is published.
    Keep(Box<SecretMeta>),
    Create,
    Update(Box<SecretMeta>),
    Remove(Box<SecretMeta>),
}

/// An action with the words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) action: Action,
    pub(super) outcome: TargetOutcome,
    pub(super) kind: Option<String>,
    pub(super) reason: String,
    pub(super) hint: Option<String>,
}

/// What is done to one secret, and for which target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) key: Key,
    /// The place in the configuration's targets; `None` for one that no target wants any more.
    pub(super) target: Option<usize>,
    pub(super) judgement: Judgement,
}

/// By what a secret is judged.
pub(super) struct Rules<'a> {
    /// The id of this installation.
    pub(super) owner: &'a str,
    pub(super) memory: &'a Memory,
    pub(super) now: Timestamp,
}

impl Judgement {
    pub(super) fn nothing(outcome: TargetOutcome, reason: impl Into<String>) -> Self {
        Self {
            action: Action::Nothing,
            outcome,
            kind: None,
            reason: reason.into(),
            hint: None,
        }
    }

    fn to_do(action: Action, outcome: TargetOutcome, reason: impl Into<String>) -> Self {
        Self {
            action,
            ..Self::nothing(outcome, reason)
        }
    }

    fn refused(kind: &str, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind: Some(kind.to_owned()),
            hint: Some(hint.into()),
            ..Self::nothing(TargetOutcome::Refused, reason)
        }
    }

    pub(super) fn failed(kind: &str, reason: impl Into<String>) -> Self {
        Self {
            kind: Some(kind.to_owned()),
            ..Self::nothing(TargetOutcome::Failed, reason)
        }
    }

    pub(super) fn hinted(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// The steps for all targets, in their order. `selected` has no entry for a target whose namespaces
/// could not be listed; of such a target nothing is known and nothing is done.
pub(super) fn steps(
    targets: &[CredentialTarget],
    selected: &BTreeMap<usize, Vec<Selected>>,
    secrets: &BTreeMap<Key, Seen>,
    published: &[Published],
    rules: &Rules<'_>,
) -> Vec<Step> {
    let mut taken: BTreeMap<Key, usize> = BTreeMap::new();
    let mut steps = Vec::new();
    for (at, target) in targets.iter().enumerate() {
        let TargetPlace::Kubernetes(place) = &target.place else {
            continue;
        };
        let Some(published) = published.get(at) else {
            continue;
        };
        for namespace in selected.get(&at).into_iter().flatten() {
            let key = Key {
                namespace: namespace.name.clone(),
                secret: place.secret.clone(),
            };
            let first = *taken.entry(key.clone()).or_insert(at);
            let judgement = if first == at {
                let unseen = Seen::Absent { namespace: true };
                let seen = secrets.get(&key).unwrap_or(&unseen);
                let seen = if namespace.terminating {
                    &Seen::Terminating
                } else {
                    seen
                };
                judge(&key, seen, published, rules)
            } else {
                duplicate(first)
            };
            steps.push(Step {
                key,
                target: Some(at),
                judgement,
            });
        }
    }
    steps
}

fn duplicate(first: usize) -> Judgement {
    Judgement::refused(
        "duplicate",
        format!("credentials.targets[{first}] keeps this secret already"),
        "give one of the two targets another `secret`, or narrow its `namespaces`",
    )
}

/// All secrets that a target wants, whether they can be written or not.
pub(super) fn wanted(
    targets: &[CredentialTarget],
    selected: &BTreeMap<usize, Vec<Selected>>,
) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for (at, target) in targets.iter().enumerate() {
        if let TargetPlace::Kubernetes(place) = &target.place {
            let namespaces = selected.get(&at).into_iter().flatten();
            keys.extend(namespaces.map(|namespace| Key {
                namespace: namespace.name.clone(),
                secret: place.secret.clone(),
            }));
        }
    }
    keys
}

/// What is done about one secret.
pub(super) fn judge(key: &Key, seen: &Seen, published: &Published, rules: &Rules<'_>) -> Judgement {
    use TargetOutcome::Unchanged;
    let meta = match seen {
        Seen::Terminating => return Judgement::nothing(Unchanged, "the namespace is being deleted"),
        Seen::Unread { kind, words } => return Judgement::failed(kind, words),
        Seen::Absent { namespace: false } => {
            return Judgement::nothing(Unchanged, "the namespace does not exist yet");
        }
        Seen::Absent { namespace: true } => None,
        Seen::There(meta) => Some(meta),
    };
    if let Some(meta) = meta {
        if meta.terminating {
            return Judgement::nothing(Unchanged, "the secret is being deleted");
        }
        if let Some(refusal) = not_ours(key, meta, rules.owner) {
            return refusal;
        }
    }
    let content = match published {
        Published::Ready(content) => content,
        Published::TooLarge(sizes) => {
            let hint = "divide its `registries` among several targets, each with a `secret` of its own";
            return Judgement::refused("too_large", sizes, hint);
        }
        Published::Held => {
            return Judgement::nothing(Unchanged, "waits until this process's own registry is filled");
        }
        Published::Nothing if meta.is_some() => {
            return Judgement::nothing(Unchanged, "there is no credential to put in its place");
        }
        Published::Nothing => {
            return Judgement::failed("no_credential", "there is no credential for it yet");
        }
    };
    match meta {
        None => absent(key, content, rules),
        Some(meta) => present(key, meta, content, rules),
    }
}

/// A secret of that name that syncd must not write.
fn not_ours(key: &Key, meta: &SecretMeta, owner: &str) -> Option<Judgement> {
    let Key { namespace, secret } = key;
    if !meta.is_docker_config {
        return Some(Judgement::refused(
            "wrong_type",
            "a secret of this name is there and is not of type kubernetes.io/dockerconfigjson, which cannot be changed",
            format!(
                "choose another `secret`, or delete it if nobody needs it: kubectl delete secret {secret} -n {namespace}"
            ),
        ));
    }
    let found = meta.annotations.get(OWNER);
    if found.is_some_and(|found| found == owner) {
        return None;
    }
    let whose = found.map_or_else(
        || "a secret of this name is there and is not syncd's".to_owned(),
        |other| format!("it belongs to another syncd: {}", clean(other)),
    );
    let overwrite = if found.is_some() { " --overwrite" } else { "" };
    Some(Judgement::refused(
        "foreign",
        whose,
        format!(
            "choose another `secret`, or hand it over (its content is replaced): \
             kubectl annotate secret {secret} -n {namespace} {OWNER}={owner}{overwrite}"
        ),
    ))
}

fn absent(key: &Key, content: &Content, rules: &Rules<'_>) -> Judgement {
    if rules.memory.is_contested(key, &content.hash, rules.now) {
        return contested("someone", "deletes");
    }
    let reason = if rules.memory.is_restore(key, &content.hash) {
        "it was deleted by someone else".to_owned()
    } else {
        but_missing("the namespace had none".to_owned(), content)
    };
    Judgement::to_do(Action::Create, TargetOutcome::Created, reason)
}

fn present(key: &Key, meta: &SecretMeta, content: &Content, rules: &Rules<'_>) -> Judgement {
    let is_marked = content.is_marked_on(meta);
    let is_known = rules.memory.is_known(key, meta, &content.hash);
    if is_known || is_marked && meta.other_managers.is_empty() {
        let reason = but_missing(HELD.to_owned(), content);
        return Judgement::to_do(
            Action::Keep(Box::new(meta.clone())),
            TargetOutcome::Unchanged,
            reason,
        );
    }
    if let Some(host) = would_lose(meta, content, rules.now) {
        let reason =
            format!("there is no credential for {host} now: it keeps what it has, with the one for {host}");
        return Judgement::nothing(TargetOutcome::Unchanged, reason);
    }
    let others = clean(&meta.other_managers.join(", "));
    if rules.memory.is_contested(key, &content.hash, rules.now) {
        let who = if others.is_empty() { "someone" } else { &others };
        return contested(who, "changes");
    }
    let reason = but_missing(why(meta, content, &others), content);
    Judgement::to_do(
        Action::Update(Box::new(meta.clone())),
        TargetOutcome::Updated,
        reason,
    )
}

/// A host whose credential the secret has and the new content has not, because there is none now
/// (after the last good ones were lost): it is not taken away while it may still work. It is when
/// another one of that secret has ended meanwhile, which only a write can cure.
fn would_lose(meta: &SecretMeta, content: &Content, now: Timestamp) -> Option<String> {
    let marks = marks_of(meta);
    let is_alive = |host: &str| {
        marks
            .get(host)
            .is_some_and(|mark| mark.expires.is_none_or(|ends| ends > now))
    };
    let lost = content.missing.iter().find(|host| is_alive(host))?;
    let mut known = content.parts.iter().map(|part| part.host.as_str());
    let cures = known.any(|host| marks.contains_key(host) && !is_alive(host));
    (!cures).then(|| lost.clone())
}

fn contested(who: &str, does: &str) -> Judgement {
    Judgement::refused(
        "contested",
        format!("{who} {does} it again and again: left alone for ten minutes"),
        "end the other program's rule for this secret, or choose another `secret`",
    )
}

fn why(meta: &SecretMeta, content: &Content, others: &str) -> String {
    if content.is_marked_on(meta) {
        return format!("it was changed by {others}");
    }
    let changed = content.changed_since(&marks_of(meta));
    let hash = meta.annotations.get(super::content::CONTENT_HASH);
    let is_same = hash.is_some_and(|hash| *hash == content.hash);
    match (is_same, changed.as_slice()) {
        (true, _) => "its labels or annotations were changed".to_owned(),
        (false, []) => "its content was changed, or registries were taken out".to_owned(),
        (false, changed) => format!("a new credential for {}", list(changed)),
    }
}

fn but_missing(reason: String, content: &Content) -> String {
    match content.missing.as_slice() {
        [] => reason,
        missing => format!("{reason}; without {}, which has no credential yet", list(missing)),
    }
}

/// The first three, and how many more there are.
fn list(hosts: &[String]) -> String {
    let shown = hosts.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match hosts.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
