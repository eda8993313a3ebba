//! `index.json` of each repository, derived from tags and manifests, so that other tools read the
//! folder. Never read back: the truth is in the small files.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::PoisonError;
use std::time::SystemTime;

use serde::Serialize;
use syncd_config::{Digest, Repository, Tag};

use super::super::error::ErrorKind;
use super::super::graph::{self, Kind};
use super::disk::present;
use super::manifests::Record;
use super::{Layout, Result, Store};

/// The annotation that names an entry (image-spec, annotations.md); skopeo's and crane's key.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
const LAYOUT_FILE: &[u8] = b"{\"imageLayoutVersion\":\"1.0.0\"}";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: Vec<Entry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Annotations>,
}

#[derive(Serialize)]
struct Annotations {
    #[serde(rename = "org.opencontainers.image.ref.name")]
    ref_name: Tag,
}

impl Layout {
    /// Whether an `index.json` is older than its repository's tags.
    #[must_use]
    pub fn index_is_stale(&self) -> bool {
        self.store().is_ok_and(|store| {
            let stale = store.stale.lock().unwrap_or_else(PoisonError::into_inner);
            !stale.is_empty()
        })
    }

    /// Writes every `index.json` that is older than its repository's tags. For a quiet moment: it
    /// reads all tags of these repositories. Waits for the disk.
    ///
    /// # Errors
    /// The first failure; the other repositories are done all the same. A damaged tag or manifest
    /// is left out and said once, not at every call.
    pub fn flush_index(&self) -> Result<()> {
        let store = self.writable()?;
        let stale = std::mem::take(&mut *store.stale.lock().unwrap_or_else(PoisonError::into_inner));
        let mut result = Ok(());
        for repository in stale {
            if let Err(error) = store.write_index(&repository) {
                if error.kind() != ErrorKind::Integrity {
                    store.note_stale(&repository);
                }
                result = result.and(Err(error));
            }
        }
        result
    }
}

impl Store {
    /// Finds the repositories whose `index.json` was not written before the last writer ended.
    pub(super) fn find_stale(&self) -> Result<()> {
        let mut failed = Ok(());
        self.each_repository(|name| match self.is_stale(&name) {
            Ok(false) => {}
            Ok(true) => self.note_stale(&name),
            Err(error) => failed = Err(self.disk.error("look at index.json", error)),
        })?;
        failed
    }

    fn is_stale(&self, repository: &Repository) -> io::Result<bool> {
        let Some(index) = modified(&self.paths.layout(repository).join("index.json"))? else {
            return Ok(true);
        };
        // The same tick of the file system's clock may hide a change.
        for folder in [self.paths.tags(repository), self.paths.manifests(repository)] {
            if modified(&folder)?.is_some_and(|changed| changed >= index) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn write_index(&self, repository: &Repository) -> Result<()> {
        let operation = format!("write index.json of {repository}");
        let mut damage = Ok(());
        let index = Index {
            schema_version: 2,
            media_type: graph::OCI_INDEX,
            manifests: self.entries(repository, &mut damage)?,
        };
        let text = serde_json::to_vec(&index).map_err(|error| self.disk.error(&operation, error.into()))?;
        let layout = self.paths.layout(repository);
        let marker = layout.join("oci-layout");
        if !marker.exists() {
            self.disk.write_small(&marker, LAYOUT_FILE, &operation)?;
        }
        self.disk
            .write_small(&layout.join("index.json"), &text, &operation)?;
        damage
    }

    /// The tags in order, then the manifests that neither a tag nor an index leads to.
    fn entries(&self, repository: &Repository, damage: &mut Result<()>) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut reached = HashSet::new();
        for tag in self.tags(repository, None, usize::MAX)? {
            let Some(digest) = undamaged(self.read_tag(repository, &tag), damage)? else {
                continue;
            };
            let Some(record) = undamaged(self.record(repository, &digest), damage)? else {
                continue;
            };
            reached.insert(digest.clone());
            entries.push(entry(digest, record, Some(tag)));
        }
        let records = self.records(repository, damage)?;
        for (digest, record) in &records {
            let reached = self.reach(repository, digest, record, &mut reached);
            undamaged(reached.map(Some), damage)?;
        }
        let rest = records
            .into_iter()
            .filter(|(digest, _)| !reached.contains(digest));
        entries.extend(rest.map(|(digest, record)| entry(digest, record, None)));
        Ok(entries)
    }

    /// Adds the children of an index.
    fn reach(
        &self,
        repository: &Repository,
        digest: &Digest,
        record: &Record,
        reached: &mut HashSet<Digest>,
    ) -> Result<()> {
        if !matches!(record.media_type.as_str(), graph::OCI_INDEX | graph::DOCKER_LIST) {
            return Ok(());
        }
        let target = syncd_config::reference::Target::Digest(digest.clone());
        let Some(manifest) = self.manifest(repository, &target)? else {
            return Ok(());
        };
        if let Ok(node) = graph::parse(&manifest)
            && node.kind == Kind::Index
        {
            reached.extend(node.children.into_iter().map(|child| child.descriptor.digest));
        }
        Ok(())
    }

    fn records(&self, repository: &Repository, damage: &mut Result<()>) -> Result<Vec<(Digest, Record)>> {
        let failed = |error| {
            self.disk
                .error(&format!("list the manifests of {repository}"), error)
        };
        let entries = present(std::fs::read_dir(self.paths.manifests(repository))).map_err(failed)?;
        let mut found = Vec::new();
        for entry in entries.into_iter().flatten() {
            let name = entry.map_err(failed)?.file_name();
            let digest = name.to_str().and_then(|n| n.replacen('-', ":", 1).parse().ok());
            let Some(digest) = digest else {
                continue;
            };
            if let Some(record) = undamaged(self.record(repository, &digest), damage)? {
                found.push((digest, record));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }
}

/// Notes the first damage in `damage` and goes on without.
fn undamaged<T>(read: Result<Option<T>>, damage: &mut Result<()>) -> Result<Option<T>> {
    match read {
        Err(error) if error.kind() == ErrorKind::Integrity => {
            if damage.is_ok() {
                *damage = Err(error);
            }
            Ok(None)
        }
        read => read,
    }
}

fn entry(digest: Digest, record: Record, tag: Option<Tag>) -> Entry {
    Entry {
        media_type: record.media_type,
        digest,
        size: record.size,
        artifact_type: record.artifact_type,
        annotations: tag.map(|ref_name| Annotations { ref_name }),
    }
}

fn modified(path: &Path) -> io::Result<Option<SystemTime>> {
    present(std::fs::metadata(path).and_then(|m| m.modified()))
}
