//! What this process remembers about single secrets. Values only; lost at a restart, which costs a
//! write that changes nothing or an event that is told twice.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::inventory::Key;
use crate::cluster::SecretMeta;

/// A secret that others changed back this often…
const REVERTS: usize = 3;
/// …within this time is contested: writing on would only be a fight.
const WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// What is remembered about secrets.
#[derive(Debug, Default)]
pub(super) struct Memory {
    secrets: BTreeMap<Key, Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// The object as it was when it last held our content.
    written: Option<Written>,
    /// When we had to write the same content again.
    reverts: Vec<Timestamp>,
    /// The last thing that was told by an event.
    told: Option<String>,
}

#[derive(Debug)]
struct Written {
    uid: String,
    resource_version: String,
    hash: String,
}

impl Memory {
    /// Whether the secret is exactly the object that was seen to hold the content of that hash.
    pub(super) fn is_known(&self, key: &Key, meta: &SecretMeta, hash: &str) -> bool {
        let written = self
            .secrets
            .get(key)
            .and_then(|remembered| remembered.written.as_ref());
        written.is_some_and(|written| {
            written.uid == meta.uid
                && written.resource_version == meta.resource_version
                && written.hash == hash
        })
    }

    /// Whether the content of that hash was written there before: writing it again undoes what
    /// someone else did.
    pub(super) fn is_restore(&self, key: &Key, hash: &str) -> bool {
        let written = self
            .secrets
            .get(key)
            .and_then(|remembered| remembered.written.as_ref());
        written.is_some_and(|written| written.hash == hash)
    }

    /// Whether restoring the content of that hash is given up for now. New content is not: a
    /// credential that ended helps nobody.
    pub(super) fn is_contested(&self, key: &Key, hash: &str, now: Timestamp) -> bool {
        let Some(remembered) = self.secrets.get(key) else {
            return false;
        };
        let recent = |at: &&Timestamp| now.duration_since(**at) < WITHIN;
        self.is_restore(key, hash) && remembered.reverts.iter().filter(recent).count() >= REVERTS
    }

    /// The secret holds the content of that hash now. `now` counts it as a restore, when it was one.
    pub(super) fn written(&mut self, key: &Key, meta: &SecretMeta, hash: &str, now: Timestamp) {
        let is_restore = self.is_restore(key, hash);
        let remembered = self.secrets.entry(key.clone()).or_default();
        remembered.reverts.retain(|at| now.duration_since(*at) < WITHIN);
        if is_restore {
            remembered.reverts.push(now);
        }
        remembered.see(meta, hash);
    }

    /// The secret was seen to hold the content of that hash, without a write.
    pub(super) fn seen(&mut self, key: &Key, meta: &SecretMeta, hash: &str) {
        self.secrets.entry(key.clone()).or_default().see(meta, hash);
    }

    /// Whether `words` are news about the secret; they are not the next time.
    pub(super) fn tell(&mut self, key: &Key, words: &str) -> bool {
        let remembered = self.secrets.entry(key.clone()).or_default();
        let is_news = remembered.told.as_deref() != Some(words);
        remembered.told = Some(words.to_owned());
        is_news
    }

    /// All is well with the secret: the next trouble is news, whatever was told before.
    pub(super) fn untell(&mut self, key: &Key) {
        if let Some(remembered) = self.secrets.get_mut(key) {
            remembered.told = None;
        }
    }

    /// The namespace is gone: one that is made again starts anew.
    pub(super) fn forget_namespace(&mut self, namespace: &str) {
        self.secrets.retain(|key, _| key.namespace != namespace);
    }

    /// The secret is gone for good.
    pub(super) fn forget(&mut self, key: &Key) {
        self.secrets.remove(key);
    }

    /// Forgets what is not in `keys`.
    pub(super) fn keep_only(&mut self, keep: impl Fn(&Key) -> bool) {
        self.secrets.retain(|key, _| keep(key));
    }
}

impl Remembered {
    fn see(&mut self, meta: &SecretMeta, hash: &str) {
        self.written = Some(Written {
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            hash: hash.to_owned(),
        });
    }
}
