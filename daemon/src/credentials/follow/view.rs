//! What the watches have told so far, and which secrets have to be looked at because of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use syncd_config::config::{CredentialTarget, TargetPlace};

use crate::cluster::{NamespaceMeta, SecretMeta, WatchEvent};
use crate::credentials::content::{OWNER, Published};
use crate::credentials::inventory::Key;

/// What is known of the cluster between passes. It holds names and identities, no content.
pub(in crate::credentials) struct View<'a> {
    targets: &'a [CredentialTarget],
    namespaces: BTreeMap<String, NamespaceMeta>,
    /// Whether all namespaces were told of once.
    listed: bool,
    /// The secrets that are there, with their identity.
    present: BTreeMap<Key, String>,
    /// The secret names of which all were told of once.
    synced: BTreeSet<String>,
    /// Secrets that hold what no target publishes, in namespaces that were not told of yet.
    doubtful: BTreeSet<Key>,
    /// What has to be looked at.
    due: BTreeSet<Key>,
    /// Namespaces that are gone, or were made again.
    gone: BTreeSet<String>,
    /// Secrets in namespaces that no target selects any more: a pass removes them.
    unselected: bool,
}

impl<'a> View<'a> {
    pub(in crate::credentials) fn new(targets: &'a [CredentialTarget]) -> Self {
        Self {
            targets,
            namespaces: BTreeMap::new(),
            listed: false,
            present: BTreeMap::new(),
            synced: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            due: BTreeSet::new(),
            gone: BTreeSet::new(),
            unselected: false,
        }
    }

    /// What has to be looked at; asked once.
    pub(in crate::credentials) fn take_due(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.due)
    }

    /// Namespaces that are gone, also when another one of that name is there; asked once.
    pub(in crate::credentials) fn take_gone(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.gone)
    }

    /// Whether a namespace left a target; asked once.
    pub(in crate::credentials) fn take_unselected(&mut self) -> bool {
        std::mem::take(&mut self.unselected)
    }

    /// Has `key` looked at again.
    pub(in crate::credentials) fn look_again(&mut self, key: Key) {
        if self.target_of(&key).is_some() {
            self.due.insert(key);
        }
    }

    /// Whether the watch says that there is nothing in the place of `key`.
    pub(in crate::credentials) fn is_absent(&self, key: &Key) -> bool {
        self.synced.contains(&key.secret) && !self.present.contains_key(key)
    }

    /// The first target that wants a secret, by its place in the configuration; none in a namespace
    /// that is not there or is being deleted.
    pub(in crate::credentials) fn target_of(&self, key: &Key) -> Option<usize> {
        let namespace = self.namespaces.get(&key.namespace)?;
        let is_wanted = |target: &CredentialTarget| match &target.place {
            TargetPlace::Kubernetes(place) => {
                place.secret == key.secret && place.namespaces.selects(&namespace.name, &namespace.labels)
            }
            TargetPlace::File { .. } => false,
        };
        match namespace.terminating {
            true => None,
            false => self.targets.iter().position(is_wanted),
        }
    }

    /// Takes in what the watch of namespaces told.
    pub(in crate::credentials) fn namespace(&mut self, event: WatchEvent<NamespaceMeta>) {
        match event {
            WatchEvent::Synced(list) => {
                let names: BTreeSet<&str> = list.iter().map(|meta| meta.name.as_str()).collect();
                let gone: Vec<String> = self
                    .namespaces
                    .keys()
                    .filter(|name| !names.contains(name.as_str()))
                    .cloned()
                    .collect();
                for name in gone {
                    self.gone(&name);
                }
                for meta in list {
                    self.namespace_is(meta);
                }
                self.listed = true;
            }
            WatchEvent::Applied(meta) => self.namespace_is(meta),
            WatchEvent::Deleted(meta) => {
                let known = self.namespaces.get(&meta.name);
                if known.is_some_and(|known| known.uid == meta.uid) {
                    self.gone(&meta.name);
                }
            }
        }
    }

    fn gone(&mut self, name: &str) {
        if self.namespaces.remove(name).is_some() {
            self.gone.insert(name.to_owned());
        }
        self.present.retain(|key, _| key.namespace != name);
        self.due.retain(|key| key.namespace != name);
        self.doubtful.retain(|key| key.namespace != name);
    }

    fn namespace_is(&mut self, meta: NamespaceMeta) {
        let name = meta.name.clone();
        let before = self.wanted_in(&name);
        let known = self.namespaces.get(&name).map(|known| known.uid == meta.uid);
        let is_new = known != Some(true);
        if known == Some(false) {
            // One of this name was deleted and made again: its secrets went with it. Of one that was
            // not told of before, the secrets may have been.
            self.gone(&name);
        }
        self.namespaces.insert(name.clone(), meta);
        let now = self.wanted_in(&name);
        for (key, target) in &now {
            let is_changed = before.get(key).is_some_and(|before| before != target);
            // Before the secrets were listed, absence is not known: their list will show it. A
            // namespace that is made meanwhile is looked at whatever was listed.
            let is_missing = match self.synced.contains(&key.secret) {
                true => !self.present.contains_key(key),
                false => is_new && self.listed,
            };
            if is_changed || is_missing || self.doubtful.contains(key) {
                self.due.insert(key.clone());
            }
        }
        self.doubtful.retain(|key| key.namespace != name);
        let left = before.keys().any(|key| !now.contains_key(key));
        let terminating = self.namespaces.get(&name).is_some_and(|meta| meta.terminating);
        self.unselected |= left && !is_new && !terminating;
    }

    /// The secrets that targets want in a namespace, each with the target that keeps it.
    fn wanted_in(&self, namespace: &str) -> BTreeMap<Key, usize> {
        let keys = self.targets.iter().filter_map(|target| match &target.place {
            TargetPlace::Kubernetes(place) => Some(Key {
                namespace: namespace.to_owned(),
                secret: place.secret.clone(),
            }),
            TargetPlace::File { .. } => None,
        });
        keys.filter_map(|key| Some((self.target_of(&key)?, key)))
            .map(|(target, key)| (key, target))
            .collect()
    }

    /// Takes in what the watch of the secrets of one name told.
    pub(in crate::credentials) fn secret(
        &mut self,
        name: &str,
        event: WatchEvent<SecretMeta>,
        published: &[Published],
        owner: &str,
    ) {
        match event {
            WatchEvent::Synced(list) => {
                self.present.retain(|key, _| key.secret != name);
                self.doubtful.retain(|key| key.secret != name);
                self.synced.insert(name.to_owned());
                for meta in list {
                    self.secret_is(&meta, published, owner);
                }
                let namespaces: Vec<String> = self.namespaces.keys().cloned().collect();
                for namespace in namespaces {
                    let key = Key {
                        namespace,
                        secret: name.to_owned(),
                    };
                    if self.is_absent(&key) {
                        self.look_again(key);
                    }
                }
            }
            WatchEvent::Applied(meta) => self.secret_is(&meta, published, owner),
            WatchEvent::Deleted(meta) => {
                let key = key_of(&meta);
                if self.present.get(&key).is_some_and(|uid| *uid == meta.uid) {
                    self.present.remove(&key);
                    self.doubtful.remove(&key);
                    self.look_again(key);
                }
            }
        }
    }

    fn secret_is(&mut self, meta: &SecretMeta, published: &[Published], owner: &str) {
        let key = key_of(meta);
        self.present.insert(key.clone(), meta.uid.clone());
        self.doubtful.remove(&key);
        let is_ours = meta.annotations.get(OWNER).is_some_and(|found| found == owner);
        let holds = |published: &Published| match published {
            Published::Ready(content) => {
                is_ours && content.is_marked_on(meta) && meta.other_managers.is_empty()
            }
            _ => true,
        };
        if meta.terminating {
            return;
        }
        if !self.namespaces.contains_key(&key.namespace) {
            let of_its_name = |target: &&CredentialTarget| match &target.place {
                TargetPlace::Kubernetes(place) => place.secret == key.secret,
                TargetPlace::File { .. } => false,
            };
            let mut targets = self.targets.iter().zip(published);
            if !targets.any(|(target, published)| of_its_name(&target) && holds(published)) {
                self.doubtful.insert(key);
            }
            return;
        }
        let target = self.target_of(&key).and_then(|at| published.get(at));
        if target.is_some_and(|target| !holds(target)) {
            self.due.insert(key);
        }
    }
}

fn key_of(meta: &SecretMeta) -> Key {
    Key {
        namespace: meta.namespace.clone(),
        secret: meta.name.clone(),
    }
}
