//! Writing with a record of it: in the inventory before, with identities after.

use std::collections::BTreeSet;

use syncd_config::config::{CredentialTarget, TargetPlace};

use super::apply::{self, Change, Done, Work};
use super::content::{Published, published};
use super::inventory::{Inventory, InventoryStore, Item, Key, Stored, fingerprint, in_folder};
use super::plan::{Action, Step};
use super::state::Writes;
use super::{CredentialContext, tell, words};
use crate::tokens::{LastGood, LastGoodStore};

/// Records what is about to be made, does the steps, records how they ended, and tells of it. Gives
/// the steps as they ended, in their order, and the secrets of which something new was told.
pub(super) async fn perform(
    work: Work<'_>,
    targets: &[CredentialTarget],
    steps: Vec<Step>,
    store: &InventoryStore,
    writes: &mut Writes,
    incomplete: &mut Vec<String>,
) -> (Vec<Done>, BTreeSet<Key>) {
    let stored = writes.inventory.get_or_insert_default();
    record_steps(&mut stored.inventory, targets, &steps);
    save(store, stored, incomplete).await;
    let done = apply::apply(work, steps, &mut writes.memory).await;
    record_done(&mut stored.inventory, &done);
    save(store, stored, incomplete).await;
    let told = tell::events(work.cluster, &done, &mut writes.memory).await;
    (done, told)
}

/// What there is to publish, by the place of the target.
pub(super) fn contents(
    context: &CredentialContext,
    targets: &[CredentialTarget],
    good: &LastGood,
    owner: &str,
) -> Vec<Published> {
    let entries = &context.config.registries;
    let targets = targets.iter();
    targets
        .map(|target| published(target, entries, good, &context.hold, owner))
        .collect()
}

/// The inventory lies beside the last good credentials.
pub(super) fn store(context: &CredentialContext) -> InventoryStore {
    match &context.last_good {
        LastGoodStore::Folder(_) => in_folder(&context.config.state_dir),
        LastGoodStore::Secret(cluster) => InventoryStore::ConfigMap(Box::new(cluster.clone())),
    }
}

/// Takes what is ours, and what is about to be, into the inventory.
fn record_steps(inventory: &mut Inventory, targets: &[CredentialTarget], steps: &[Step]) {
    for step in steps {
        let uid = match &step.judgement.action {
            Action::Create => None,
            Action::Keep(meta) | Action::Update(meta) => Some(meta.uid.clone()),
            Action::Nothing | Action::Remove(_) => continue,
        };
        let Some(TargetPlace::Kubernetes(place)) = step
            .target
            .and_then(|at| targets.get(at))
            .map(|target| &target.place)
        else {
            continue;
        };
        let target = fingerprint(place);
        inventory.secrets.insert(step.key.clone(), Item { target, uid });
    }
}

/// Notes the identities of what was made, and forgets what was removed.
fn record_done(inventory: &mut Inventory, done: &[Done]) {
    for done in done {
        if done.change == Change::Removed {
            inventory.secrets.remove(&done.key);
        } else if let (Some(meta), Some(item)) = (&done.object, inventory.secrets.get_mut(&done.key)) {
            item.uid = Some(meta.uid.clone());
        }
    }
}

/// Stores the inventory. When that fails it is said, and what was to be written is written
/// nevertheless: a namespace without its credential is worse than a secret that is not in a list,
/// and it is stored with the next change.
pub(super) async fn save(store: &InventoryStore, stored: &mut Stored, incomplete: &mut Vec<String>) {
    if let Err(error) = store.save(stored).await {
        let error = words(&error);
        if !incomplete.contains(&error) {
            incomplete.push(error);
        }
    }
}
