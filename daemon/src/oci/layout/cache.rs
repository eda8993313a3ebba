//! The manifests asked for last, in memory, bounded by their bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use syncd_config::{Digest, Repository};

use super::super::store::Manifest;

const MAX_BYTES: usize = 16 << 20;
/// What an entry costs beside the manifest's bytes, roughly.
const ENTRY: usize = 512;

#[derive(Default)]
pub(super) struct ManifestCache(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    by_key: HashMap<Digest, Vec<Entry>>,
    by_age: BTreeMap<u64, (Repository, Digest)>,
    clock: u64,
    bytes: usize,
}

struct Entry {
    repository: Repository,
    manifest: Manifest,
    age: u64,
}

impl ManifestCache {
    pub(super) fn get(&self, repository: &Repository, digest: &Digest) -> Option<Manifest> {
        let mut entries = self.lock();
        entries.clock += 1;
        let now = entries.clock;
        let entry = entries
            .by_key
            .get_mut(digest)?
            .iter_mut()
            .find(|e| e.repository == *repository)?;
        let (old, manifest) = (std::mem::replace(&mut entry.age, now), entry.manifest.clone());
        if let Some(key) = entries.by_age.remove(&old) {
            entries.by_age.insert(now, key);
        }
        Some(manifest)
    }

    pub(super) fn insert(&self, repository: &Repository, manifest: &Manifest) {
        let mut entries = self.lock();
        entries.remove(repository, &manifest.digest);
        entries.clock += 1;
        let age = entries.clock;
        entries.bytes += manifest.bytes.len() + ENTRY;
        entries
            .by_age
            .insert(age, (repository.clone(), manifest.digest.clone()));
        let entry = Entry {
            repository: repository.clone(),
            manifest: manifest.clone(),
            age,
        };
        entries
            .by_key
            .entry(manifest.digest.clone())
            .or_default()
            .push(entry);
        while entries.bytes > MAX_BYTES
            && let Some((_, (repository, digest))) = entries.by_age.pop_first()
        {
            entries.remove(&repository, &digest);
        }
    }

    pub(super) fn remove(&self, repository: &Repository, digest: &Digest) {
        self.lock().remove(repository, digest);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, repository: &Repository, digest: &Digest) {
        let Some(list) = self.by_key.get_mut(digest) else {
            return;
        };
        if let Some(at) = list.iter().position(|e| e.repository == *repository) {
            let gone = list.swap_remove(at);
            self.bytes -= gone.manifest.bytes.len() + ENTRY;
            self.by_age.remove(&gone.age);
        }
        if list.is_empty() {
            self.by_key.remove(digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use syncd_config::Digest;

    use super::super::super::store::Manifest;
    use super::{MAX_BYTES, ManifestCache};

    fn manifest(n: u8, size: usize) -> Manifest {
        let bytes = Bytes::from(vec![n; size]);
        Manifest {
            digest: Digest::sha256(&bytes),
            bytes,
            media_type: "t".to_owned(),
        }
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let cache = ManifestCache::default();
        let repository = "a".parse().unwrap();
        let all: Vec<_> = (0..5).map(|n| manifest(n, MAX_BYTES / 4 - 1024)).collect();
        for m in &all[..4] {
            cache.insert(&repository, m);
        }
        assert_eq!(cache.get(&repository, &all[0].digest), Some(all[0].clone()));
        cache.insert(&repository, &all[4]);
        assert_eq!(
            cache.get(&repository, &all[1].digest),
            None,
            "the oldest use was evicted"
        );
        assert!(cache.get(&repository, &all[0].digest).is_some());
        assert_eq!(
            cache.get(&"b".parse().unwrap(), &all[0].digest),
            None,
            "a repository sees its own only"
        );
        cache.remove(&repository, &all[0].digest);
        assert_eq!(cache.get(&repository, &all[0].digest), None);
        assert!(cache.lock().bytes <= MAX_BYTES);
        assert_eq!(cache.lock().by_age.len(), 3);
    }
}
