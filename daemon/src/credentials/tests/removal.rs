//! What goes, what waits for a person, and what is left alone.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::credentials::content::emptied;
use crate::credentials::inventory::{Inventory, Item, fingerprint};
use crate::credentials::plan::{Action, Seen, Selected};
use crate::credentials::removal::{Known, Removals, removals};
use crate::report::TargetOutcome;

use super::*;

/// A world in which `managed` namespaces have our secret and `wanted` of them are still selected.
struct World {
    targets: Vec<CredentialTarget>,
    selected: BTreeMap<usize, Vec<Selected>>,
    secrets: BTreeMap<Key, Seen>,
    inventory: Inventory,
}

impl World {
    fn new(managed: usize, wanted: usize) -> Self {
        let targets = vec![labelled("private", &["a"])];
        let mut world = Self {
            selected: BTreeMap::from([(0, Vec::new())]),
            secrets: BTreeMap::new(),
            inventory: Inventory::default(),
            targets,
        };
        for n in 0..managed {
            world.has(&format!("team-{n:02}"), n < wanted);
        }
        world
    }

    fn has(&mut self, namespace: &str, wanted: bool) {
        let published = ready(good("a", "old", None, true));
        let meta = holding(namespace, content(&published));
        let TargetPlace::Kubernetes(place) = &self.targets[0].place else {
            panic!("a target of secrets");
        };
        let item = Item {
            target: fingerprint(place),
            uid: Some(meta.uid.clone()),
        };
        self.inventory.secrets.insert(key(namespace), item);
        self.secrets.insert(key(namespace), Seen::There(Box::new(meta)));
        if wanted {
            self.selected.entry(0).or_default().push(Selected {
                name: namespace.to_owned(),
                terminating: false,
            });
        }
    }

    fn is(mut self, namespace: &str, seen: Seen) -> Self {
        self.secrets.insert(key(namespace), seen);
        self
    }

    fn meta(&self, namespace: &str) -> SecretMeta {
        match &self.secrets[&key(namespace)] {
            Seen::There(meta) => (**meta).clone(),
            _ => panic!("there is one"),
        }
    }

    fn removals(&self, confirmed: Option<&str>) -> Removals {
        let wanted: BTreeSet<Key> = crate::credentials::plan::wanted(&self.targets, &self.selected);
        let known = Known {
            owner: US,
            targets: &self.targets,
            selected: &self.selected,
            wanted: &wanted,
            secrets: &self.secrets,
            inventory: &self.inventory,
        };
        removals(&known, confirmed)
    }

    /// The namespaces whose secret goes.
    fn removed(&self, confirmed: Option<&str>) -> Vec<String> {
        let removals = self.removals(confirmed);
        let goes =
            |step: &&crate::credentials::plan::Step| matches!(step.judgement.action, Action::Remove(_));
        let steps = removals.steps.iter().filter(goes);
        steps.map(|step| step.key.namespace.clone()).collect()
    }
}

#[test]
fn a_few_go_unasked_and_many_wait() {
    for (managed, wanted, removed) in [
        (10, 10, 0),
        (10, 9, 1),
        (10, 7, 3),
        (4, 1, 3),
        (10, 6, 0),
        (20, 16, 4),
        (20, 15, 0),
        (100, 80, 20),
        (100, 79, 0),
    ] {
        let world = World::new(managed, wanted);
        assert_eq!(world.removed(None).len(), removed, "{wanted} of {managed}");
        let pending = world.removals(None).pending;
        assert_eq!(
            pending.is_some(),
            removed != managed - wanted,
            "{wanted} of {managed}"
        );
        if let Some(pending) = pending {
            assert_eq!(pending.items.len(), managed - wanted);
            assert_eq!(pending.managed, managed as u64);
        }
    }
}

#[test]
fn a_person_confirms_what_they_have_seen() {
    let world = World::new(10, 2);
    let pending = world.removals(None).pending.unwrap();
    assert_eq!(pending.items[0], "team-02/pull");
    assert_eq!(world.removed(Some("000000000000")), Vec::<String>::new());
    assert_eq!(world.removed(Some(&pending.id)).len(), 8);
    assert_eq!(world.removals(Some(&pending.id)).pending, None);
    // One more is another list.
    let other = World::new(10, 1);
    assert_eq!(other.removed(Some(&pending.id)), Vec::<String>::new());
    assert_ne!(other.removals(None).pending.unwrap().id, pending.id);
}

#[test]
fn a_target_that_suddenly_selects_nothing_removes_nothing() {
    for managed in 1..=3 {
        let world = World::new(managed, 0);
        assert!(world.removed(None).is_empty(), "{managed}");
        let pending = world.removals(None).pending.unwrap();
        assert_eq!(world.removed(Some(&pending.id)).len(), managed);
    }
    // Nor when its selector was changed at the same time.
    let mut changed = World::new(2, 0);
    changed.targets = vec![labelled("privat", &["a"])];
    assert!(changed.removed(None).is_empty());
    assert!(changed.removals(None).pending.is_some());
    // One of another secret is no reason to wait, nor is one that never had any.
    let mut renamed = World::new(2, 0);
    if let TargetPlace::Kubernetes(place) = &mut renamed.targets[0].place {
        place.secret = "other".to_owned();
    }
    assert_eq!(renamed.removed(None).len(), 2);
    let mut beside = World::new(3, 2);
    beside.targets.push(labelled("later", &["a"]));
    beside.selected.insert(1, Vec::new());
    assert_eq!(beside.removed(None).len(), 1);
    // A target that was taken out of the configuration is a wish.
    let mut without = World::new(2, 0);
    without.targets.clear();
    assert_eq!(without.removed(None).len(), 2);
}

#[test]
fn only_what_is_still_ours_goes() {
    let world = World::new(10, 9);
    let meta = world.meta("team-09");
    let there = |meta| Seen::There(Box::new(meta));
    let again = SecretMeta {
        uid: "another".to_owned(),
        ..meta.clone()
    };
    for (name, seen, removed, forgotten) in [
        ("ours", there(meta.clone()), 1, 0),
        ("handed over", there(owned_by(meta.clone(), None)), 0, 1),
        ("another syncd's", there(owned_by(meta.clone(), Some("b"))), 0, 1),
        ("made again", there(again), 0, 1),
        ("gone", Seen::Absent { namespace: true }, 0, 1),
        ("gone with its namespace", Seen::Absent { namespace: false }, 0, 1),
        ("going with its namespace", Seen::Terminating, 0, 0),
        (
            "unread",
            Seen::Unread {
                kind: "forbidden",
                words: "no".to_owned(),
            },
            0,
            0,
        ),
    ] {
        let world = World::new(10, 9).is("team-09", seen);
        assert_eq!(world.removed(None).len(), removed, "{name}");
        assert_eq!(world.removals(None).forget.len(), forgotten, "{name}");
    }
}

#[test]
fn one_that_was_emptied_is_not_emptied_again() {
    let world = World::new(10, 9);
    let meta = hashed(world.meta("team-09"), &emptied(US).hash);
    let world = world.is("team-09", Seen::There(Box::new(meta)));
    let removals = world.removals(None);
    assert!(world.removed(None).is_empty() && removals.pending.is_none() && removals.forget.is_empty());
    assert_eq!(removals.steps[0].judgement.outcome, TargetOutcome::Unchanged);
}

#[test]
fn what_the_inventory_does_not_list_is_never_removed() {
    let mut world = World::new(10, 9);
    world.inventory.secrets.clear();
    assert_eq!(world.removals(None), Removals::default());
}

#[test]
fn files_count_and_go_when_no_target_has_them() {
    let mut world = World::new(10, 8);
    let files = [("/a", vec!["x".to_owned()]), ("/b", vec!["x".to_owned()])];
    world.inventory.files = files.map(|(path, hosts)| (PathBuf::from(path), hosts)).into();
    world.targets.push(CredentialTarget {
        place: TargetPlace::File { path: "/a".into() },
        registries: vec!["a".to_owned()],
    });
    let removals = world.removals(None);
    assert_eq!(removals.files, [PathBuf::from("/b")]);
    assert_eq!(removals.steps.len(), 2);
    // Four of twelve are too many.
    world.targets.pop();
    let removals = world.removals(None);
    assert!(removals.files.is_empty() && removals.steps.is_empty());
    assert_eq!(
        removals.pending.unwrap().items,
        ["team-08/pull", "team-09/pull", "/a", "/b"]
    );
}
