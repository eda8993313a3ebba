//! What is said about writes: an audit line for each, and an event where a person looks.
//!
//! Neither ever holds a value.

use std::collections::BTreeSet;
use std::path::Path;

use futures::StreamExt as _;
use futures::stream;
use tracing::{debug, info};

use super::apply::Done;
use super::content::Content;
use super::file::FileChange;
use super::gather::AT_ONCE;
use super::inventory::Key;
use super::memory::Memory;
use super::plan::Judgement;
use super::words;
use crate::cluster::{Cluster, EventSubject};
use crate::report::TargetOutcome;
use crate::tokens::Good;

/// One line a secret that was written or removed.
pub(super) fn audit(key: &Key, judgement: &Judgement, content: &Content) {
    let list = |texts: Vec<String>| texts.join(", ");
    let registries = list(content.parts.iter().map(|part| part.host.to_string()).collect());
    let identity = list(content.parts.iter().map(|part| part.identity.clone()).collect());
    let expiry = content.parts.iter().filter_map(|part| part.mark.expires).min();
    info!(
        target: "audit",
        namespace = %key.namespace,
        name = %key.secret,
        outcome = ?judgement.outcome,
        why = %judgement.reason,
        %registries,
        expiry = %expiry.map_or_else(|| "unknown".to_owned(), |ends| ends.to_string()),
        %identity,
        "secret written"
    );
}

/// One line a docker config file that was written.
pub(super) fn audit_file(path: &Path, change: FileChange, good: &[&Good]) {
    let list = |texts: Vec<String>| texts.join(", ");
    let registries = list(good.iter().map(|good| good.host.to_string()).collect());
    let identity = list(good.iter().map(|good| good.identity.clone()).collect());
    let expiry = good.iter().filter_map(|good| good.expires.known()).min();
    info!(
        target: "audit",
        file = %path.display(),
        outcome = ?change,
        %registries,
        expiry = %expiry.map_or_else(|| "unknown".to_owned(), |ends| ends.to_string()),
        %identity,
        "docker config file written"
    );
}

/// Tells by events what is new: each change, and each trouble once. An event that cannot be made
/// changes nothing else. Gives the secrets of which something was new.
pub(super) async fn events(cluster: &Cluster, done: &[Done], memory: &mut Memory) -> BTreeSet<Key> {
    let mut told = BTreeSet::new();
    let mut news = Vec::new();
    for done in done {
        if let Some(event) = event(done, memory) {
            told.insert(done.key.clone());
            news.push(event);
        }
    }
    stream::iter(news)
        .for_each_concurrent(AT_ONCE, |event| async move {
            let Event {
                about,
                warning,
                reason,
                action,
                note,
            } = event;
            let told = cluster.event(&about, warning, reason, action, &note).await;
            if let Err(error) = told {
                debug!(error = %words(&error), "an event could not be made");
            }
        })
        .await;
    told
}

struct Event {
    about: EventSubject,
    warning: bool,
    reason: &'static str,
    action: &'static str,
    note: String,
}

fn event(done: &Done, memory: &mut Memory) -> Option<Event> {
    let Done { key, judgement, .. } = done;
    let (warning, reason, action) = match judgement.outcome {
        TargetOutcome::Created => (false, "CredentialsCreated", "Create"),
        TargetOutcome::Updated => (false, "CredentialsUpdated", "Update"),
        TargetOutcome::Refused => (true, "CredentialsRefused", "Check"),
        TargetOutcome::Failed => (true, "CredentialsFailed", "Write"),
        TargetOutcome::Unchanged | TargetOutcome::Removed => {
            memory.untell(key);
            return None;
        }
    };
    let note = match &judgement.hint {
        Some(hint) if warning => format!("{}: {}: {hint}", key.secret, judgement.reason),
        _ => format!("{}: {}", key.secret, judgement.reason),
    };
    if !warning {
        memory.untell(key);
    } else if !memory.tell(key, &note) {
        return None;
    }
    let about = match &done.object {
        Some(meta) => EventSubject {
            kind: "Secret".to_owned(),
            namespace: key.namespace.clone(),
            name: key.secret.clone(),
            uid: meta.uid.clone(),
        },
        // There is no secret of ours to hang it on.
        None => EventSubject {
            kind: "Namespace".to_owned(),
            namespace: key.namespace.clone(),
            name: key.namespace.clone(),
            uid: String::new(),
        },
    };
    Some(Event {
        about,
        warning,
        reason,
        action,
        note,
    })
}
