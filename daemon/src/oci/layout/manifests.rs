//! Manifests of the store: the bytes are a blob, what makes them a manifest is one small file.

use std::io::Read as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use syncd_config::reference::Target;
use syncd_config::{Digest, Repository, Tag};

use super::super::error::ErrorKind;
use super::super::graph::{self, MAX_MANIFEST, Node, Role};
use super::super::store::{Manifest, ManifestHead};
use super::blobs::is_whole;
use super::disk::present;
use super::{Form, Layout, Result, Store};

/// What is kept of a manifest beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) media_type: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
}

/// Whether a manifest's children have to be there before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Children {
    /// All but the non-distributable ones.
    Required,
    /// Only its blobs: platforms of an index may be missing.
    Sparse,
}

impl Layout {
    /// The manifest; `None` when it is not there. Cheap enough to call from an async worker: from
    /// memory for what was asked for before, else two small reads.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`] when what is stored is damaged.
    pub fn manifest_sync(&self, repository: &Repository, target: &Target) -> Result<Option<Manifest>> {
        match &self.0 {
            Form::Store(store) => store.manifest(repository, target),
            Form::Folder(folder) => folder.manifest(target),
        }
    }

    /// What the tag or digest points to, without reading the manifest.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`] when what is stored is damaged.
    pub fn head_sync(&self, repository: &Repository, target: &Target) -> Result<Option<ManifestHead>> {
        match &self.0 {
            Form::Store(store) => store.head(repository, target),
            Form::Folder(folder) => Ok(folder.manifest(target)?.map(|m| ManifestHead {
                size: Some(m.bytes.len() as u64),
                media_type: Some(m.media_type),
                digest: m.digest,
            })),
        }
    }

    /// Stores a manifest and then makes the tag point to it. Waits for the disk (a blocking task,
    /// please). When it returns, all of it is there to stay.
    ///
    /// # Errors
    /// [`ErrorKind::BlobUnknown`] and [`ErrorKind::ManifestUnknown`] name the first child that is
    /// missing; the kinds of [`graph::GraphError`] for a manifest that is refused.
    pub fn put_manifest_sync(
        &self,
        repository: &Repository,
        manifest: &Manifest,
        tag: Option<&Tag>,
        children: Children,
    ) -> Result<()> {
        let store = self.writable()?;
        let operation = format!("write manifest {}", manifest.digest);
        let _kept = store.keep();
        let node = graph::parse(manifest)
            .map_err(|error| store.fault(error.kind(), &operation, &error.to_string()))?;
        store.require(repository, &node, children, &operation)?;
        let record = Record {
            media_type: manifest.media_type.clone(),
            size: manifest.bytes.len() as u64,
            subject: node.subject.map(|subject| subject.digest),
            artifact_type: node.artifact_type,
        };
        // Hashed, not looked at: writing again is how damage is healed.
        let content = store.paths.blob(repository, &manifest.digest);
        let known = is_whole(&content, record.size, &manifest.digest)
            && store.record(repository, &manifest.digest).ok().flatten() == Some(record.clone());
        if !known {
            let mut writer = self.begin_blob_as(manifest.digest.algorithm())?;
            writer.write(&manifest.bytes)?;
            writer.commit(repository, &manifest.digest)?;
        }
        // All that the manifest points to is on the disk before the manifest can be seen, and the
        // manifest before the tag.
        store.disk.settle()?;
        if !known {
            store.write_record(repository, &manifest.digest, &record, &operation)?;
            store.disk.settle()?;
        }
        store.cache.insert(repository, manifest);
        if let Some(tag) = tag {
            store.write_tag(repository, tag, &manifest.digest)?;
            store.disk.settle()?;
        }
        store.note_stale(repository);
        Ok(())
    }

    /// Takes a manifest and the tags that point to it out of the repository; `false` when it was
    /// not there.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn delete_manifest(&self, repository: &Repository, digest: &Digest) -> Result<bool> {
        let store = self.writable()?;
        let operation = format!("delete manifest {digest}");
        let _alone = store.delete_alone();
        let record = store.paths.manifest(repository, digest);
        if !record.exists() {
            return Ok(false);
        }
        for tag in store.tags_of(repository, digest)? {
            store
                .disk
                .remove(&store.paths.tag(repository, &tag), &operation)?;
        }
        // No tag may outlive its manifest, no manifest its bytes.
        store.disk.settle()?;
        store.disk.remove(&record, &operation)?;
        store.cache.remove(repository, digest);
        store.disk.settle()?;
        store
            .disk
            .remove(&store.paths.blob(repository, digest), &operation)?;
        store.disk.settle()?;
        store.note_stale(repository);
        Ok(true)
    }
}

impl Store {
    /// The digest that a target names; a digest names itself, there or not.
    fn resolve(&self, repository: &Repository, target: &Target) -> Result<Option<Digest>> {
        match target {
            Target::Digest(digest) => Ok(Some(digest.clone())),
            Target::Tag(tag) => self.read_tag(repository, tag),
        }
    }

    pub(super) fn manifest(&self, repository: &Repository, target: &Target) -> Result<Option<Manifest>> {
        let Some(digest) = self.resolve(repository, target)? else {
            return Ok(None);
        };
        if let Some(manifest) = self.cached(repository, &digest) {
            return Ok(Some(manifest));
        }
        let operation = format!("read manifest {digest}");
        let damaged = |what: &str| self.fault(ErrorKind::Integrity, &operation, what);
        let Some(record) = self.record(repository, &digest)? else {
            return match target {
                Target::Digest(_) => Ok(None),
                Target::Tag(_) => self.absent_or_damaged(repository, target, &digest),
            };
        };
        let Some((file, size)) = self.blob_file(repository, &digest)? else {
            return Err(damaged("the store has lost its content"));
        };
        let mut bytes = Vec::new();
        file.take(MAX_MANIFEST as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.disk.error(&operation, error))?;
        if size != record.size || bytes.len() as u64 != size || !digest.matches(&bytes) {
            return Err(damaged("its content in the store is damaged"));
        }
        let manifest = Manifest {
            bytes: Bytes::from(bytes),
            media_type: record.media_type,
            digest,
        };
        if self.lock.is_some() {
            self.cache.insert(repository, &manifest);
            // Deleted since its record was read: then nobody else takes it out of the cache.
            if !self.paths.manifest(repository, &manifest.digest).exists() {
                self.cache.remove(repository, &manifest.digest);
            }
        }
        Ok(Some(manifest))
    }

    /// A tag led to a manifest that is not there: damage, unless the tag has moved meanwhile.
    fn absent_or_damaged<T>(
        &self,
        repository: &Repository,
        target: &Target,
        digest: &Digest,
    ) -> Result<Option<T>> {
        if self.resolve(repository, target)?.as_ref() != Some(digest) {
            return Ok(None);
        }
        let operation = format!("read manifest {target}");
        let detail = format!("the tag points to {digest}, which the store has lost");
        Err(self.fault(ErrorKind::Integrity, &operation, &detail))
    }

    fn head(&self, repository: &Repository, target: &Target) -> Result<Option<ManifestHead>> {
        let Some(digest) = self.resolve(repository, target)? else {
            return Ok(None);
        };
        let found = match self.cached(repository, &digest) {
            Some(manifest) => Some((manifest.bytes.len() as u64, manifest.media_type)),
            None => self
                .record(repository, &digest)?
                .map(|record| (record.size, record.media_type)),
        };
        let Some((size, media_type)) = found else {
            return match target {
                Target::Digest(_) => Ok(None),
                Target::Tag(_) => self.absent_or_damaged(repository, target, &digest),
            };
        };
        Ok(Some(ManifestHead {
            digest,
            size: Some(size),
            media_type: Some(media_type),
        }))
    }

    /// Only the writer's memory is the truth: to a reader the folder may change.
    fn cached(&self, repository: &Repository, digest: &Digest) -> Option<Manifest> {
        self.lock
            .as_ref()
            .and_then(|_| self.cache.get(repository, digest))
    }

    pub(super) fn record(&self, repository: &Repository, digest: &Digest) -> Result<Option<Record>> {
        let operation = format!("read manifest {digest}");
        let bytes = present(std::fs::read(self.paths.manifest(repository, digest)))
            .map_err(|error| self.disk.error(&operation, error))?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| {
            self.fault(
                ErrorKind::Integrity,
                &operation,
                "its record in the store is damaged",
            )
        })
    }

    fn write_record(
        &self,
        repository: &Repository,
        digest: &Digest,
        record: &Record,
        what: &str,
    ) -> Result<()> {
        let mut text = serde_json::to_vec(record).map_err(|error| self.disk.error(what, error.into()))?;
        text.push(b'\n');
        self.disk
            .write_small(&self.paths.manifest(repository, digest), &text, what)
    }

    fn require(
        &self,
        repository: &Repository,
        node: &Node,
        children: Children,
        operation: &str,
    ) -> Result<()> {
        for child in &node.children {
            let digest = &child.descriptor.digest;
            let (kind, there) = match child.role {
                Role::Foreign(_) => continue,
                Role::Manifest | Role::Unknown if children == Children::Sparse => continue,
                Role::Manifest => (
                    ErrorKind::ManifestUnknown,
                    self.paths.manifest(repository, digest).exists(),
                ),
                Role::Config | Role::Layer(_) | Role::Blob(_) | Role::Unknown => (
                    ErrorKind::BlobUnknown,
                    self.blob_size(repository, digest)? == Some(child.descriptor.size),
                ),
            };
            if !there {
                let detail = format!("{digest}, which it points to, is not there");
                return Err(self.fault(kind, operation, &detail));
            }
        }
        Ok(())
    }
}
