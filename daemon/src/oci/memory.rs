//! Images in memory, for tests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use syncd_config::reference::Target;
use syncd_config::{Digest, Repository, Tag};

use super::error::{ErrorKind, RegistryError};
use super::store::{BlobStream, Descriptor, ImageSink, ImageSource, Manifest, ManifestHead, Touch};

/// A registry in memory. Clones are handles to the same content.
#[derive(Clone, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    repositories: HashMap<Repository, Content>,
    counts: Counts,
}

#[derive(Default)]
struct Content {
    blobs: HashMap<Digest, Bytes>,
    manifests: HashMap<Digest, Manifest>,
    tags: BTreeMap<Tag, Digest>,
}

/// How often each operation was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `head`.
    pub heads: u64,
    /// `manifest`.
    pub manifests: u64,
    /// `blob`.
    pub blobs: u64,
    /// `mount_blob` that mounted.
    pub mounts: u64,
    /// `put_blob`.
    pub puts: u64,
    /// `put_manifest`.
    pub manifest_puts: u64,
    /// `touch_blob`.
    pub touches: u64,
}

impl Memory {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often each operation was asked for so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Replaces the bytes of a blob without any check, as bit rot would.
    pub fn damage_blob(&self, repository: &Repository, digest: &Digest, bytes: Bytes) {
        if let Some(content) = self.lock().repositories.get_mut(repository) {
            content.blobs.insert(digest.clone(), bytes);
        }
    }

    /// The tags of a repository, in order.
    #[must_use]
    pub fn tags(&self, repository: &Repository) -> Vec<Tag> {
        let state = self.lock();
        let tags = state.repositories.get(repository).map(|c| c.tags.keys());
        tags.into_iter().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blob_of(&self, repository: &Repository, digest: &Digest) -> Option<Bytes> {
        let state = self.lock();
        state.repositories.get(repository)?.blobs.get(digest).cloned()
    }

    fn manifest_of(&self, repository: &Repository, target: &Target) -> Option<Manifest> {
        let state = self.lock();
        let content = state.repositories.get(repository)?;
        let digest = match target {
            Target::Tag(tag) => content.tags.get(tag)?,
            Target::Digest(digest) => digest,
        };
        content.manifests.get(digest).cloned()
    }

    fn error(&self, kind: ErrorKind, operation: String) -> RegistryError {
        RegistryError::new(kind, self.place(), operation)
    }
}

impl ImageSource for Memory {
    async fn head(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Option<ManifestHead>, RegistryError> {
        self.lock().counts.heads += 1;
        let manifest = self.manifest_of(repository, target);
        Ok(manifest.map(|manifest| ManifestHead {
            size: Some(manifest.bytes.len() as u64),
            media_type: Some(manifest.media_type),
            digest: manifest.digest,
        }))
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<Manifest, RegistryError> {
        self.lock().counts.manifests += 1;
        self.manifest_of(repository, target).ok_or_else(|| {
            self.error(
                ErrorKind::ManifestUnknown,
                format!("read manifest {repository}:{target}"),
            )
        })
    }

    async fn blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        offset: u64,
    ) -> Result<BlobStream, RegistryError> {
        self.lock().counts.blobs += 1;
        let operation = format!("read blob {}", blob.digest);
        let Some(mut bytes) = self.blob_of(repository, &blob.digest) else {
            return Err(self.error(ErrorKind::BlobUnknown, operation));
        };
        if bytes.len() as u64 != blob.size {
            return Err(self.error(ErrorKind::Integrity, operation));
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = bytes.split_off(offset);
        Ok(stream::iter([Ok(bytes)]).boxed())
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

impl ImageSink for Memory {
    async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool, RegistryError> {
        let bytes = self.blob_of(repository, &blob.digest);
        Ok(bytes.is_some_and(|bytes| bytes.len() as u64 == blob.size))
    }

    async fn mount_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        from: &Repository,
    ) -> Result<bool, RegistryError> {
        let Some(bytes) = self.blob_of(from, &blob.digest) else {
            return Ok(false);
        };
        let mut state = self.lock();
        state.counts.mounts += 1;
        let content = state.repositories.entry(repository.clone()).or_default();
        content.blobs.insert(blob.digest.clone(), bytes);
        Ok(true)
    }

    async fn put_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        mut content: BlobStream,
    ) -> Result<(), RegistryError> {
        self.lock().counts.puts += 1;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = content.try_next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > blob.size {
                break;
            }
        }
        if bytes.len() as u64 != blob.size || !blob.digest.matches(&bytes) {
            let operation = format!("write blob {}", blob.digest);
            return Err(self
                .error(ErrorKind::Integrity, operation)
                .detail("the content does not have this size and digest"));
        }
        let mut state = self.lock();
        let content = state.repositories.entry(repository.clone()).or_default();
        content.blobs.insert(blob.digest.clone(), bytes.freeze());
        Ok(())
    }

    async fn put_manifest(
        &self,
        repository: &Repository,
        manifest: &Manifest,
        tag: Option<&Tag>,
    ) -> Result<(), RegistryError> {
        let operation = format!("write manifest {}", manifest.digest);
        if !manifest.digest.matches(&manifest.bytes) {
            return Err(self.error(ErrorKind::Integrity, operation));
        }
        let mut state = self.lock();
        state.counts.manifest_puts += 1;
        let content = state.repositories.entry(repository.clone()).or_default();
        content
            .manifests
            .insert(manifest.digest.clone(), manifest.clone());
        if let Some(tag) = tag {
            content.tags.insert(tag.clone(), manifest.digest.clone());
        }
        Ok(())
    }

    async fn touch_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<Touch, RegistryError> {
        self.lock().counts.touches += 1;
        Ok(match self.blob_of(repository, &blob.digest) {
            None => Touch::Missing,
            Some(bytes) if bytes.len() as u64 == blob.size => Touch::Good,
            Some(_) => Touch::Damaged,
        })
    }
}
