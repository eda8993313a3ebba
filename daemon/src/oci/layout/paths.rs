//! Where things are in a store. Every name comes from a checked type, so no path can leave it.
//!
//! ```text
//! <root>/VERSION  lock  tmp/
//! <root>/blobs/<algorithm>/<hex>                      the content, once
//! <root>/repositories/<name>/_layout/                 an OCI image layout: oci-layout, index.json,
//!                            _layout/blobs/<algorithm>/<hex>   hard links into <root>/blobs
//!                            _tags/<tag>              the digest
//!                            _manifests/<algorithm>-<hex>      media type, size, subject
//!                            _public                  there when no login is wanted
//! ```
//! A component of a repository's name cannot start with `_`, so names never meet these.

use std::path::{Path, PathBuf};

use syncd_config::{Digest, Repository, Tag};

#[derive(Debug)]
pub(super) struct Paths {
    root: PathBuf,
}

impl Paths {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn version(&self) -> PathBuf {
        self.root.join("VERSION")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(super) fn repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }

    pub(super) fn shared_blob(&self, digest: &Digest) -> PathBuf {
        let mut path = self.root.join("blobs");
        path.push(digest.algorithm().as_str());
        path.push(digest.hex());
        path
    }

    pub(super) fn repository(&self, name: &Repository) -> PathBuf {
        let mut path = self.repositories();
        path.push(name.as_str());
        path
    }

    pub(super) fn layout(&self, name: &Repository) -> PathBuf {
        self.repository(name).join("_layout")
    }

    pub(super) fn blob(&self, name: &Repository, digest: &Digest) -> PathBuf {
        let mut path = self.layout(name);
        path.push("blobs");
        path.push(digest.algorithm().as_str());
        path.push(digest.hex());
        path
    }

    pub(super) fn tags(&self, name: &Repository) -> PathBuf {
        self.repository(name).join("_tags")
    }

    pub(super) fn tag(&self, name: &Repository, tag: &Tag) -> PathBuf {
        self.tags(name).join(tag.as_str())
    }

    pub(super) fn manifests(&self, name: &Repository) -> PathBuf {
        self.repository(name).join("_manifests")
    }

    pub(super) fn manifest(&self, name: &Repository, digest: &Digest) -> PathBuf {
        let file = format!("{}-{}", digest.algorithm(), digest.hex());
        self.manifests(name).join(file)
    }

    pub(super) fn public(&self, name: &Repository) -> PathBuf {
        self.repository(name).join("_public")
    }
}
