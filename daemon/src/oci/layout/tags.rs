//! Tags and repositories of the store. A tag is one small file: setting one costs the same
//! however many there are.

use std::collections::BinaryHeap;
use std::path::Path;

use syncd_config::{Digest, Repository, Tag};

use super::super::error::ErrorKind;
use super::disk::present;
use super::{Layout, Result, Store};

impl Layout {
    /// The first `n` tags after `last`, in order.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn tags(&self, repository: &Repository, last: Option<&str>, n: usize) -> Result<Vec<Tag>> {
        self.store()?.tags(repository, last, n)
    }

    /// The first `n` repositories after `last`, in order.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn repositories(&self, last: Option<&str>, n: usize) -> Result<Vec<Repository>> {
        let mut first = First::new(n, last);
        self.store()?.each_repository(|name| first.offer(name))?;
        Ok(first.in_order())
    }

    /// Whether the repository has ever had a manifest.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn has_repository(&self, repository: &Repository) -> Result<bool> {
        Ok(self.store()?.paths.manifests(repository).is_dir())
    }

    /// Makes the tag point to a manifest of the repository.
    ///
    /// # Errors
    /// [`ErrorKind::ManifestUnknown`] when the manifest is not there.
    pub fn set_tag(&self, repository: &Repository, tag: &Tag, digest: &Digest) -> Result<()> {
        let store = self.writable()?;
        let _kept = store.keep();
        if store.record(repository, digest)?.is_none() {
            let operation = format!("write tag {tag}");
            return Err(store.fault(ErrorKind::ManifestUnknown, &operation, &digest.to_string()));
        }
        store.disk.settle()?;
        store.write_tag(repository, tag, digest)?;
        store.disk.settle()?;
        store.note_stale(repository);
        Ok(())
    }

    /// Takes a tag away; `false` when it was not there. The manifest stays.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn delete_tag(&self, repository: &Repository, tag: &Tag) -> Result<bool> {
        let store = self.writable()?;
        let operation = format!("delete tag {tag}");
        let gone = store.disk.remove(&store.paths.tag(repository, tag), &operation)?;
        store.disk.settle()?;
        store.note_stale(repository);
        Ok(gone)
    }

    /// Notes whether the repository is served without login.
    ///
    /// # Errors
    /// When the disk fails; then it is not certain which of both is noted.
    pub fn set_public(&self, repository: &Repository, public: bool) -> Result<()> {
        let store = self.writable()?;
        let path = store.paths.public(repository);
        if path.exists() == public {
            return Ok(());
        }
        let operation = format!("note whether {repository} is public");
        if public {
            store.disk.write_small(&path, b"public\n", &operation)?;
        } else {
            store.disk.remove(&path, &operation)?;
        }
        store.disk.settle()
    }

    /// Whether the repository is served without login. What cannot be read is not.
    #[must_use]
    pub fn is_public(&self, repository: &Repository) -> bool {
        self.store()
            .is_ok_and(|store| store.paths.public(repository).is_file())
    }
}

impl Store {
    pub(super) fn tags(&self, repository: &Repository, last: Option<&str>, n: usize) -> Result<Vec<Tag>> {
        let mut first = First::new(n, last);
        self.each_tag(repository, |tag| {
            first.offer(tag);
            Ok(())
        })?;
        Ok(first.in_order())
    }

    /// All tags that point to a manifest. A damaged one points nowhere.
    pub(super) fn tags_of(&self, repository: &Repository, digest: &Digest) -> Result<Vec<Tag>> {
        let mut found = Vec::new();
        self.each_tag(repository, |tag| {
            match self.read_tag(repository, &tag) {
                Ok(Some(target)) if target == *digest => found.push(tag),
                Err(error) if error.kind() != ErrorKind::Integrity => return Err(error),
                _ => {}
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn each_tag(&self, repository: &Repository, mut take: impl FnMut(Tag) -> Result<()>) -> Result<()> {
        let failed = |error| self.disk.error(&format!("list the tags of {repository}"), error);
        let entries = present(std::fs::read_dir(self.paths.tags(repository))).map_err(failed)?;
        for entry in entries.into_iter().flatten() {
            let name = entry.map_err(failed)?.file_name();
            if let Some(tag) = name.to_str().and_then(|name| name.parse().ok()) {
                take(tag)?;
            }
        }
        Ok(())
    }

    pub(super) fn read_tag(&self, repository: &Repository, tag: &Tag) -> Result<Option<Digest>> {
        let operation = format!("read tag {tag}");
        let bytes = present(std::fs::read(self.paths.tag(repository, tag)))
            .map_err(|error| self.disk.error(&operation, error))?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.trim_end().parse().ok())
            .map(Some)
            .ok_or_else(|| {
                self.fault(
                    ErrorKind::Integrity,
                    &operation,
                    "the tag's file in the store is damaged",
                )
            })
    }

    /// Whoever calls this has settled the manifest, and settles the tag.
    pub(super) fn write_tag(&self, repository: &Repository, tag: &Tag, digest: &Digest) -> Result<()> {
        let path = self.paths.tag(repository, tag);
        self.disk.write_small(
            &path,
            format!("{digest}\n").as_bytes(),
            &format!("write tag {tag}"),
        )
    }

    pub(super) fn each_repository(&self, mut take: impl FnMut(Repository)) -> Result<()> {
        self.repositories_below(&self.paths.repositories(), "", &mut take)
    }

    fn repositories_below(&self, folder: &Path, name: &str, take: &mut impl FnMut(Repository)) -> Result<()> {
        let failed = |error| self.disk.error("list the repositories", error);
        let entries = present(std::fs::read_dir(folder)).map_err(failed)?;
        for entry in entries.into_iter().flatten() {
            let entry = entry.map_err(failed)?;
            let component = entry.file_name();
            let Some(component) = component.to_str() else {
                continue;
            };
            let path = folder.join(component);
            if component == "_manifests" {
                if let Ok(name) = name.parse() {
                    take(name);
                }
            } else if !component.starts_with('_') && path.is_dir() {
                let below = if name.is_empty() {
                    component.to_owned()
                } else {
                    format!("{name}/{component}")
                };
                self.repositories_below(&path, &below, take)?;
            }
        }
        Ok(())
    }
}

/// The first `n` of what is offered, in order, of those after `last`.
struct First<'a, T> {
    n: usize,
    last: Option<&'a str>,
    heap: BinaryHeap<T>,
}

impl<'a, T: Ord + std::fmt::Display> First<'a, T> {
    fn new(n: usize, last: Option<&'a str>) -> Self {
        Self {
            n,
            last,
            heap: BinaryHeap::new(),
        }
    }

    fn offer(&mut self, item: T) {
        if self.last.is_some_and(|last| item.to_string().as_str() <= last) {
            return;
        }
        self.heap.push(item);
        if self.heap.len() > self.n {
            self.heap.pop();
        }
    }

    fn in_order(self) -> Vec<T> {
        self.heap.into_sorted_vec()
    }
}
