//! What is taken away: only what the inventory lists, what no target wants any more and what is
//! still ours, only when everything that is wanted is known, and not much of it unasked. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use syncd_config::Digest;
use syncd_config::config::{CredentialTarget, TargetPlace};

use super::content::{self, CONTENT_HASH, OWNER};
use super::inventory::{Inventory, Item, Key, fingerprint};
use super::plan::{Action, Judgement, Seen, Selected, Step};
use crate::cluster::SecretMeta;
use crate::report::{PendingRemoval, TargetOutcome};

/// Up to this many are removed unasked…
const FEW: usize = 3;
/// …or up to this share of what is managed, in percent.
const SHARE: usize = 20;

/// What a pass removes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Removals {
    /// Secrets that go, and those about which something is said.
    pub(super) steps: Vec<Step>,
    /// Files out of which our entries go.
    pub(super) files: Vec<PathBuf>,
    /// What the inventory lists and is not there, or not ours, any more.
    pub(super) forget: Vec<Key>,
    /// The removal that waits instead.
    pub(super) pending: Option<PendingRemoval>,
}

/// What is known when removals are decided on.
pub(super) struct Known<'a> {
    pub(super) owner: &'a str,
    pub(super) targets: &'a [CredentialTarget],
    pub(super) selected: &'a BTreeMap<usize, Vec<Selected>>,
    pub(super) wanted: &'a BTreeSet<Key>,
    pub(super) secrets: &'a BTreeMap<Key, Seen>,
    pub(super) inventory: &'a Inventory,
}

/// What goes. `confirmed` is the id of the pending removal that a person has seen. The caller has
/// made sure that every list is complete: otherwise nothing may be removed and this is not asked.
pub(super) fn removals(known: &Known<'_>, confirmed: Option<&str>) -> Removals {
    let mut out = Removals::default();
    let mut going: Vec<(&Key, &Item, &SecretMeta)> = Vec::new();
    for (key, item) in &known.inventory.secrets {
        if known.wanted.contains(key) {
            continue;
        }
        match known.secrets.get(key) {
            Some(Seen::There(meta)) if is_ours(meta, item, known.owner) => {
                match is_emptied(meta, known.owner) {
                    true => out.steps.push(kept_empty(key)),
                    false => going.push((key, item, meta)),
                }
            }
            Some(Seen::There(_) | Seen::Absent { .. }) => out.forget.push(key.clone()),
            Some(Seen::Unread { kind, words }) => out.steps.push(Step {
                key: key.clone(),
                target: None,
                judgement: Judgement::failed(kind, words),
            }),
            // Goes with its namespace; not looked at: not removed.
            Some(Seen::Terminating) | None => {}
        }
    }
    let files = unwanted_files(known);
    if going.is_empty() && files.is_empty() {
        return out;
    }
    let items = items(&going, &files);
    let id = id(&items);
    let managed = known.inventory.secrets.len() + known.inventory.files.len() - out.forget.len();
    let is_large = items.len() > FEW && items.len() * 100 > managed * SHARE;
    let waits = is_large || going.iter().any(|(key, item, _)| is_suspect(known, key, item));
    if waits && confirmed != Some(id.as_str()) {
        let managed = managed as u64;
        out.pending = Some(PendingRemoval { id, items, managed });
        return out;
    }
    out.steps.extend(going.into_iter().map(|(key, _, meta)| Step {
        key: key.clone(),
        target: None,
        judgement: Judgement {
            action: Action::Remove(Box::new(meta.clone())),
            ..Judgement::nothing(TargetOutcome::Removed, "no target wants it any more")
        },
    }));
    out.files = files;
    out
}

/// Whether the object is the one that was recorded and still says that it is ours.
fn is_ours(meta: &SecretMeta, item: &Item, owner: &str) -> bool {
    let is_marked = meta.annotations.get(OWNER).is_some_and(|found| found == owner);
    is_marked && item.uid.as_ref().is_none_or(|uid| *uid == meta.uid)
}

fn is_emptied(meta: &SecretMeta, owner: &str) -> bool {
    let hash = meta.annotations.get(CONTENT_HASH);
    hash.is_some_and(|hash| *hash == content::emptied(owner).hash)
}

fn kept_empty(key: &Key) -> Step {
    let reason = "no target wants it any more: emptied, because deleting it is not permitted";
    Step {
        key: key.clone(),
        target: None,
        judgement: Judgement::nothing(TargetOutcome::Unchanged, reason),
    }
}

/// A target that had namespaces and now has none at all: a label that was renamed looks just like
/// a wish, so a person decides, whatever the number.
fn is_suspect(known: &Known<'_>, key: &Key, item: &Item) -> bool {
    let mut of_secret = Vec::new();
    for (at, target) in known.targets.iter().enumerate() {
        if let TargetPlace::Kubernetes(place) = &target.place
            && place.secret == key.secret
        {
            let is_empty = known.selected.get(&at).is_none_or(Vec::is_empty);
            of_secret.push((fingerprint(place), is_empty));
        }
    }
    let its_own = of_secret.iter().find(|(target, _)| *target == item.target);
    match its_own {
        Some((_, is_empty)) => *is_empty,
        // The target was changed: which one it is now cannot be told, so an empty one is suspect.
        None => of_secret.iter().any(|(_, is_empty)| *is_empty),
    }
}

fn unwanted_files(known: &Known<'_>) -> Vec<PathBuf> {
    let is_wanted = |path: &PathBuf| {
        known
            .targets
            .iter()
            .any(|target| matches!(&target.place, TargetPlace::File { path: wanted } if wanted == path))
    };
    let files = known.inventory.files.keys();
    files.filter(|path| !is_wanted(path)).cloned().collect()
}

fn items(going: &[(&Key, &Item, &SecretMeta)], files: &[PathBuf]) -> Vec<String> {
    let secrets = going.iter().map(|(key, ..)| key.to_string());
    let files = files.iter().map(|path| path.display().to_string());
    secrets.chain(files).collect()
}

/// Changes when the list does: what a person confirms is what they have seen.
fn id(items: &[String]) -> String {
    let digest = Digest::sha256(items.join("\n").as_bytes());
    digest.hex().chars().take(12).collect()
}
