//! What a faulty registry holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use super::Fault;
use crate::error::{Context, Result};

/// Names to repositories.
pub(super) type Repositories = BTreeMap<String, std::sync::Arc<Repository>>;

/// A manifest or an index.
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
}

/// A repository, read into memory.
pub(super) struct Repository {
    pub(super) fault: Fault,
    /// Tags to digests.
    pub(super) tags: BTreeMap<String, String>,
    pub(super) manifests: BTreeMap<String, Manifest>,
    pub(super) blobs: BTreeMap<String, Bytes>,
    /// The digests of layers: what is damaged and cut.
    pub(super) layers: BTreeSet<String>,
}

impl Repository {
    /// Reads an OCI layout.
    pub(super) fn read(layout: &Path, fault: Fault) -> Result<Self> {
        let mut repository = Self {
            fault,
            tags: BTreeMap::new(),
            manifests: BTreeMap::new(),
            blobs: BTreeMap::new(),
            layers: BTreeSet::new(),
        };
        let index = document(&read(&layout.join("index.json"))?)?;
        for manifest in list(&index, "manifests") {
            let digest = text(manifest, "digest");
            if let Some(tag) = manifest["annotations"]["org.opencontainers.image.ref.name"].as_str() {
                repository.tags.insert(tag.to_owned(), digest.clone());
            }
            repository.add(layout, &digest)?;
        }
        Ok(repository)
    }

    fn add(&mut self, layout: &Path, digest: &str) -> Result<()> {
        let bytes = blob(layout, digest)?;
        let manifest = document(&bytes)?;
        for child in list(&manifest, "manifests") {
            self.add(layout, &text(child, "digest"))?;
        }
        for layer in list(&manifest, "layers") {
            self.layers.insert(text(layer, "digest"));
        }
        let config = manifest.get("config").into_iter();
        for part in config.chain(list(&manifest, "layers")) {
            let digest = text(part, "digest");
            let bytes = blob(layout, &digest)?;
            self.blobs.insert(digest, bytes);
        }
        let media_type = text(&manifest, "mediaType");
        self.manifests
            .insert(digest.to_owned(), Manifest { media_type, bytes });
        Ok(())
    }
}

fn blob(layout: &Path, digest: &str) -> Result<Bytes> {
    read(&layout.join("blobs").join(digest.replace(':', "/")))
}

fn read(path: &Path) -> Result<Bytes> {
    fs::read(path)
        .map(Bytes::from)
        .context(format!("read {}", path.display()))
}

fn document(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).context("read a document of a layout")
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
