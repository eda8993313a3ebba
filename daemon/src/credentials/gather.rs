//! What a pass looks at: the tokens and their proofs, the namespaces, and the secrets' metadata.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;
use jiff::Timestamp;
use syncd_config::config::{CredentialTarget, KubernetesTarget, RegistryEntry, TargetPlace};
use syncd_providers::token::Token;

use super::entries::{Candidate, Had, is_same};
use super::inventory::Key;
use super::plan::{Seen, Selected, wanted};
use super::prove::{Proof, prove};
use super::{CredentialContext, words};
use crate::cluster::{Cluster, ClusterError, NamespaceMeta, SecretMeta};
use crate::tokens::{Good, LastGood, TokenState, due};

/// How many requests to the cluster are under way at once.
pub(super) const AT_ONCE: usize = 8;

/// A token, its proof and what was published before, for each entry: all at once, so that a hung
/// one delays none.
pub(super) async fn candidates<'a>(
    context: &CredentialContext,
    entries: &[&'a RegistryEntry],
    good: &LastGood,
    renew: bool,
    now: Timestamp,
) -> Vec<Candidate<'a>> {
    let states: Vec<_> = entries
        .iter()
        .map(|entry| context.tokens.state(&entry.name))
        .collect();
    let is_due = |state: &Option<TokenState>| {
        let due = state.as_ref().and_then(|state| state.next_refresh);
        due.is_some_and(|due| due <= now)
    };
    // When one goes to every namespace, those that are nearly due go with it.
    let fan_out = states.iter().any(is_due);
    join_all(entries.iter().zip(&states).map(|(entry, state)| {
        let fresh = renew || fan_out && is_nearly_due(state.as_ref(), now);
        candidate(context, entry, good, fresh, now)
    }))
    .await
}

fn is_nearly_due(state: Option<&TokenState>, now: Timestamp) -> bool {
    state.is_some_and(|state| {
        let token = state.token.as_ref();
        token.is_some_and(|token| due::wanted(token.minted_at, state.next_refresh, now))
    })
}

async fn candidate<'a>(
    context: &CredentialContext,
    entry: &'a RegistryEntry,
    good: &LastGood,
    fresh: bool,
    now: Timestamp,
) -> Candidate<'a> {
    let name = &entry.name;
    let good = super::content::of_entry(good, entry).cloned();
    let held = context.hold.contains(name);
    let had = match held {
        true => Had::Held,
        false => had(context, entry, good.as_ref(), fresh).await,
    };
    let state = context.tokens.state(name);
    let failed = state.as_ref().and_then(|state| state.error.clone());
    let trouble = match (&had, failed) {
        (Had::Held, _) => None,
        (_, Some((kind, message))) => Some((kind.as_str(), message)),
        (Had::Nothing, None) => Some(("misconfigured", format!("{name} has no identity"))),
        (Had::Token { .. }, None) => None,
    };
    Candidate {
        entry,
        identity: state
            .as_ref()
            .map_or_else(String::new, |state| state.identity.clone()),
        good,
        had,
        trouble,
        next_refresh: state.and_then(|state| state.next_refresh).map(|due| due.max(now)),
        useful_minimum: context.tokens.useful_minimum(name).unwrap_or_default(),
    }
}

async fn had(context: &CredentialContext, entry: &RegistryEntry, good: Option<&Good>, fresh: bool) -> Had {
    let name = &entry.name;
    let token = match fresh {
        true => context.tokens.fresh(name).await,
        false => context.tokens.get(name).await,
    };
    let Ok(Some(mut token)) = token else {
        return Had::Nothing;
    };
    let mut proof = proof(context, entry, good, &token).await;
    if matches!(proof, Some(Proof::Refused { .. })) {
        // Whatever its own end says: a new one may do better, and a wrong one must not be kept.
        context.tokens.rejected(name, &token);
        if let Ok(Some(newer)) = context.tokens.fresh(name).await
            && newer.secret != token.secret
        {
            proof = self::proof(context, entry, good, &newer).await;
            token = newer;
        }
    }
    let old_refused = match (&proof, good) {
        (Some(Proof::Undecided { .. }), Some(good)) if !is_same(good, &token) => {
            let old = prove(&context.client, entry, &good.token()).await;
            matches!(old, Proof::Refused { .. })
        }
        _ => false,
    };
    Had::Token {
        token,
        proof,
        old_refused,
    }
}

/// Asks the registry, but not about a credential that it was seen to take.
async fn proof(
    context: &CredentialContext,
    entry: &RegistryEntry,
    good: Option<&Good>,
    token: &Token,
) -> Option<Proof> {
    let is_known = good.is_some_and(|good| good.proven.is_some() && is_same(good, token));
    match is_known {
        true => None,
        false => Some(prove(&context.client, entry, token).await),
    }
}

/// What the cluster looks like to the targets.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// The namespaces of each target; none for a target whose namespaces could not be listed.
    pub(super) selected: BTreeMap<usize, Vec<Selected>>,
    pub(super) secrets: BTreeMap<Key, Seen>,
    /// What could not be seen at all.
    pub(super) incomplete: Vec<String>,
}

/// Looks at all that the targets select, and at `written`: what was written before.
pub(super) async fn snapshot<'a>(
    cluster: &Cluster,
    targets: &[CredentialTarget],
    written: impl Iterator<Item = &'a Key>,
) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let kubernetes = kubernetes(targets);
    let namespaces = match kubernetes
        .iter()
        .any(|(_, target)| target.namespaces.literal().is_none())
    {
        true => match cluster.namespaces().await {
            Ok(list) => Some(
                list.into_iter()
                    .map(|meta| (meta.name.clone(), meta))
                    .collect::<BTreeMap<_, _>>(),
            ),
            Err(error) => {
                snapshot.incomplete.push(words(&error));
                None
            }
        },
        false => None,
    };
    let mut lists = BTreeSet::new();
    for (at, target) in kubernetes {
        match (target.namespaces.literal(), &namespaces) {
            (Some(names), _) => {
                let selected = names.into_iter().map(|name| named(name, namespaces.as_ref()));
                snapshot.selected.insert(at, selected.collect());
            }
            (None, Some(namespaces)) => {
                snapshot.selected.insert(at, select(target, namespaces.values()));
                lists.insert(target.secret.as_str());
            }
            (None, None) => {}
        }
    }
    let mut keys = wanted(targets, &snapshot.selected);
    keys.extend(written.cloned());
    snapshot.secrets = secrets(cluster, keys, &lists, namespaces.as_ref()).await;
    snapshot
}

fn kubernetes(targets: &[CredentialTarget]) -> Vec<(usize, &KubernetesTarget)> {
    let targets = targets.iter().enumerate();
    let kubernetes = targets.filter_map(|(at, target)| match &target.place {
        TargetPlace::Kubernetes(place) => Some((at, place)),
        TargetPlace::File { .. } => None,
    });
    kubernetes.collect()
}

/// The namespaces that a target selects.
pub(super) fn select<'a>(
    target: &KubernetesTarget,
    namespaces: impl Iterator<Item = &'a NamespaceMeta>,
) -> Vec<Selected> {
    namespaces
        .filter(|meta| target.namespaces.selects(&meta.name, &meta.labels))
        .map(|meta| Selected {
            name: meta.name.clone(),
            terminating: meta.terminating,
        })
        .collect()
}

fn named(name: &str, namespaces: Option<&BTreeMap<String, NamespaceMeta>>) -> Selected {
    let known = namespaces.and_then(|namespaces| namespaces.get(name));
    Selected {
        name: name.to_owned(),
        terminating: known.is_some_and(|meta| meta.terminating),
    }
}

/// What is in the place of each key: by one list for the names in `lists`, else one by one.
async fn secrets(
    cluster: &Cluster,
    keys: BTreeSet<Key>,
    lists: &BTreeSet<&str>,
    namespaces: Option<&BTreeMap<String, NamespaceMeta>>,
) -> BTreeMap<Key, Seen> {
    let listed = join_all(
        lists
            .iter()
            .map(|name| async move { (*name, cluster.secrets_named(name).await) }),
    )
    .await;
    let listed: BTreeMap<&str, Result<BTreeMap<String, SecretMeta>, ClusterError>> = listed
        .into_iter()
        .map(|(name, list)| {
            let by_namespace = |list: Vec<SecretMeta>| {
                list.into_iter()
                    .map(|meta| (meta.namespace.clone(), meta))
                    .collect()
            };
            (name, list.map(by_namespace))
        })
        .collect();
    let look = |key: Key| {
        let listed = &listed;
        async move {
            let namespace = namespaces.map(|namespaces| namespaces.get(&key.namespace));
            let seen = match (namespace, listed.get(key.secret.as_str())) {
                (Some(None), _) => Seen::Absent { namespace: false },
                (Some(Some(meta)), _) if meta.terminating => Seen::Terminating,
                (_, Some(Err(error))) => unread(error),
                (_, Some(Ok(list))) => match list.get(&key.namespace) {
                    Some(meta) => Seen::There(Box::new(meta.clone())),
                    None => Seen::Absent { namespace: true },
                },
                (_, None) => look(cluster, &key).await,
            };
            (key, seen)
        }
    };
    stream::iter(keys)
        .map(look)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// What is in the place of one key now. Where nothing is, the namespace is looked at, when that is
/// permitted.
pub(super) async fn look(cluster: &Cluster, key: &Key) -> Seen {
    match cluster.secret(&key.namespace, &key.secret).await {
        Ok(Some(meta)) => return Seen::There(Box::new(meta)),
        Ok(None) => {}
        Err(error) => return unread(&error),
    }
    match cluster.namespace(&key.namespace).await {
        Ok(Some(meta)) if meta.terminating => Seen::Terminating,
        Ok(None) => Seen::Absent { namespace: false },
        // Who may not read namespaces finds out by making the secret.
        Ok(Some(_)) | Err(_) => Seen::Absent { namespace: true },
    }
}

fn unread(error: &ClusterError) -> Seen {
    Seen::Unread {
        kind: error.kind.as_str(),
        words: words(error),
    }
}
