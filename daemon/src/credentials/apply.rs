//! Does what was planned: each write names the version that it was planned from, one that fails
//! stops no other, and none is tried more than three times.

use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;

use super::content::{self, Content, Published};
use super::gather::{self, AT_ONCE};
use super::inventory::Key;
use super::memory::Memory;
use super::plan::{Action, HELD, Judgement, Rules, Step, judge};
use super::{tell, words};
use crate::cluster::{Cluster, ClusterError, ClusterErrorKind, NewSecret, SecretMeta, Verb};
use crate::report::TargetOutcome;

/// How often a secret that others change at the same time is looked at again.
const ATTEMPTS: usize = 3;

/// With what steps are done.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) owner: &'a str,
    /// By the place of the target.
    pub(super) published: &'a [Published],
    pub(super) now: Timestamp,
}

/// A step that was done.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) key: Key,
    pub(super) judgement: Judgement,
    /// The secret of ours, when there is one.
    pub(super) object: Option<SecretMeta>,
    /// The digest of what the object holds now, when that is known.
    pub(super) holds: Option<String>,
    pub(super) change: Change,
}

/// What was done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    Written,
    Removed,
}

/// Does the steps, some at a time; the answers are in the order of the steps.
pub(super) async fn apply(work: Work<'_>, steps: Vec<Step>, memory: &mut Memory) -> Vec<Done> {
    let known = &*memory;
    let done: Vec<Done> = stream::iter(steps)
        .map(|step| one(work, step, known))
        .buffered(AT_ONCE)
        .collect()
        .await;
    for done in &done {
        remember(memory, done, work.now);
    }
    done
}

async fn one(work: Work<'_>, step: Step, memory: &Memory) -> Done {
    let Step {
        key,
        target,
        judgement,
    } = step;
    match target.and_then(|at| work.published.get(at)) {
        Some(published) => write(work, key, judgement, published, memory).await,
        None => remove(work, key, judgement).await,
    }
}

async fn write(
    work: Work<'_>,
    key: Key,
    mut judgement: Judgement,
    published: &Published,
    memory: &Memory,
) -> Done {
    let Published::Ready(content) = published else {
        return Done::nothing(key, judgement);
    };
    let new = new_secret(&key, content);
    for attempt in 1.. {
        let (written, was) = match &judgement.action {
            Action::Create => (work.cluster.create_secret(&new).await, None),
            Action::Update(was) => (work.cluster.update_secret(was, &new).await, Some(was)),
            Action::Keep(_) | Action::Nothing | Action::Remove(_) => break,
        };
        let error = match written {
            Ok(meta) => return wrote(key, judgement.clone(), was.map(|was| &**was), meta, content),
            Err(error) => error,
        };
        if attempt == ATTEMPTS || !is_passing(&error) {
            let object = was.map(|was| (**was).clone());
            return Done {
                object,
                ..Done::nothing(key, failed(&error))
            };
        }
        let rules = Rules {
            owner: work.owner,
            memory,
            now: work.now,
        };
        judgement = judge(&key, &gather::look(work.cluster, &key).await, published, &rules);
    }
    match &judgement.action {
        Action::Keep(meta) => Done {
            object: Some((**meta).clone()),
            holds: Some(content.hash.clone()),
            ..Done::nothing(key, judgement)
        },
        _ => Done::nothing(key, judgement),
    }
}

fn wrote(
    key: Key,
    judgement: Judgement,
    was: Option<&SecretMeta>,
    meta: SecretMeta,
    content: &Content,
) -> Done {
    // The API keeps the version when nothing changes: someone else owns the very same content.
    let is_same = was.is_some_and(|was| was.resource_version == meta.resource_version);
    let (judgement, change) = match is_same {
        true => (
            Judgement::nothing(TargetOutcome::Unchanged, HELD),
            Change::Nothing,
        ),
        false => (judgement, Change::Written),
    };
    if change == Change::Written {
        tell::audit(&key, &judgement, content);
    }
    Done {
        key,
        judgement,
        object: Some(meta),
        holds: Some(content.hash.clone()),
        change,
    }
}

/// Whether looking again may show another way: someone else was faster.
fn is_passing(error: &ClusterError) -> bool {
    let faster = matches!(
        error.kind,
        ClusterErrorKind::Conflict | ClusterErrorKind::AlreadyExists
    );
    faster || error.kind == ClusterErrorKind::NotFound && error.verb != Verb::Create
}

fn failed(error: &ClusterError) -> Judgement {
    use TargetOutcome::Unchanged;
    match (error.kind, error.verb) {
        (ClusterErrorKind::NotFound, Verb::Create) => {
            Judgement::nothing(Unchanged, "the namespace does not exist yet")
        }
        (ClusterErrorKind::Terminating, _) => Judgement::nothing(Unchanged, "the namespace is being deleted"),
        (kind, _) => {
            let judgement = Judgement::failed(kind.as_str(), words(error));
            match error.hint() {
                Some(hint) => judgement.hinted(hint),
                None => judgement,
            }
        }
    }
}

/// Takes one away that is ours, or empties it where deleting is not permitted. One that others
/// change at the same time is left for the next pass.
async fn remove(work: Work<'_>, key: Key, judgement: Judgement) -> Done {
    let Action::Remove(was) = &judgement.action else {
        return Done::nothing(key, judgement);
    };
    let empty = content::emptied(work.owner);
    let error = match work.cluster.delete_secret(was).await {
        Ok(()) => {
            tell::audit(&key, &judgement, &empty);
            return Done {
                change: Change::Removed,
                ..Done::nothing(key, judgement.clone())
            };
        }
        Err(error) => error,
    };
    if error.kind != ClusterErrorKind::Forbidden {
        return Done::nothing(key, failed(&error));
    }
    let reason = "no target wants it any more: emptied, because deleting it is not permitted";
    let emptied = Judgement::nothing(TargetOutcome::Updated, reason);
    match work.cluster.update_secret(was, &new_secret(&key, &empty)).await {
        Ok(meta) => wrote(key, emptied, Some(was), meta, &empty),
        Err(error) => Done::nothing(key, failed(&error)),
    }
}

fn new_secret(key: &Key, content: &Content) -> NewSecret {
    NewSecret {
        namespace: key.namespace.clone(),
        name: key.secret.clone(),
        labels: Content::labels(),
        annotations: content.annotations.clone(),
        docker_config: content.docker_config.clone(),
    }
}

fn remember(memory: &mut Memory, done: &Done, now: Timestamp) {
    match (&done.object, &done.holds, done.change) {
        (Some(meta), Some(hash), Change::Written) => memory.written(&done.key, meta, hash, now),
        (Some(meta), Some(hash), Change::Nothing) => memory.seen(&done.key, meta, hash),
        (_, _, Change::Removed) => memory.forget(&done.key),
        _ => {}
    }
}

impl Done {
    /// Nothing was written.
    fn nothing(key: Key, judgement: Judgement) -> Self {
        Self {
            key,
            judgement,
            object: None,
            holds: None,
            change: Change::Nothing,
        }
    }
}
