//! Blobs of the store: written to a staged file, hashed on the way, and only then named.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use syncd_config::digest::{Algorithm, Hasher};
use syncd_config::{Digest, Repository};

use super::super::error::ErrorKind;
use super::super::store::{Descriptor, Touch};
use super::disk::{Staged, present};
use super::{Layout, Result, Store};

/// A blob being written. Nobody sees it before [`BlobWriter::commit`]; dropped, it is gone.
pub struct BlobWriter {
    store: Arc<Store>,
    staged: Staged,
    hasher: Hasher,
    algorithm: Algorithm,
    written: u64,
}

impl BlobWriter {
    /// Appends bytes. Waits for the disk: meant for pieces of up to 1 MiB, or a blocking task.
    ///
    /// # Errors
    /// When the disk is full or fails. The writer is of no use after that.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.staged
            .file
            .write_all(bytes)
            .map_err(|error| self.store.disk.error("write a blob", error))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// How many bytes were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Makes the blob part of `repository` when it has the digest `expected`; gives its size. It
    /// has its name on the disk for good once a manifest or tag was written after it.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`] when it has another digest.
    pub fn commit(mut self, repository: &Repository, expected: &Digest) -> Result<u64> {
        let operation = format!("write blob {expected}");
        if self.digest(expected.algorithm(), &operation)? != *expected {
            let detail = "the content has another digest";
            return Err(self.store.fault(ErrorKind::Integrity, &operation, detail));
        }
        let Self {
            store,
            mut staged,
            written,
            ..
        } = self;
        let shared = store.paths.shared_blob(expected);
        // Before the stripe is taken: a sync can take long.
        if !shared.exists() {
            staged
                .sync()
                .map_err(|error| store.disk.error(&operation, error))?;
        }
        let _one = store.stripes[stripe(expected)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // What is there may be damaged; then the fresh copy heals it.
        if !is_whole(&shared, written, expected) {
            store.disk.publish(staged, &shared, &operation)?;
        }
        let name = store.paths.blob(repository, expected);
        store.disk.link(&shared, &name, &operation)?;
        Ok(written)
    }

    /// The digest of what was written; read again when it was hashed by another algorithm.
    fn digest(&mut self, algorithm: Algorithm, operation: &str) -> Result<Digest> {
        if algorithm == self.algorithm {
            return Ok(self.hasher.clone().finish());
        }
        let file = &mut self.staged.file;
        file.rewind()
            .and_then(|()| hash(file, algorithm))
            .map_err(|error| self.store.disk.error(operation, error))
    }
}

fn stripe(digest: &Digest) -> usize {
    let first = digest.hex().chars().next().and_then(|c| c.to_digit(16));
    first.map_or(0, |nibble| nibble as usize % 16)
}

fn hash(file: &mut File, algorithm: Algorithm) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Whether the file is there with this size and digest. One that cannot be read is not.
pub(super) fn is_whole(path: &Path, size: u64, digest: &Digest) -> bool {
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    file.metadata().is_ok_and(|m| m.len() == size)
        && hash(&mut file, digest.algorithm()).is_ok_and(|found| found == *digest)
}

impl Layout {
    /// Begins a blob that will be named by a SHA-256 digest (another algorithm costs a second
    /// reading at the end).
    ///
    /// # Errors
    /// When the disk fails.
    pub fn begin_blob(&self) -> Result<BlobWriter> {
        self.begin_blob_as(Algorithm::Sha256)
    }

    /// Begins a blob that will be named by a digest of this algorithm.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn begin_blob_as(&self, algorithm: Algorithm) -> Result<BlobWriter> {
        let store = self.writable()?;
        Ok(BlobWriter {
            staged: store.disk.stage()?,
            store: Arc::clone(store),
            hasher: Hasher::new(algorithm),
            algorithm,
            written: 0,
        })
    }

    /// The file and size of a blob of the repository; `None` when it is not there.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn blob_file(&self, repository: &Repository, digest: &Digest) -> Result<Option<(File, u64)>> {
        match &self.0 {
            super::Form::Store(store) => store.blob_file(repository, digest),
            super::Form::Folder(folder) => folder.blob_file(digest),
        }
    }

    /// Takes a blob out of the repository; `false` when it was not there. The content stays for
    /// other repositories.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn delete_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool> {
        let store = self.writable()?;
        let operation = format!("delete blob {digest}");
        let _alone = store.delete_alone();
        if store.paths.manifest(repository, digest).exists() {
            return Ok(false);
        }
        let gone = store
            .disk
            .remove(&store.paths.blob(repository, digest), &operation)?;
        store.disk.settle()?;
        Ok(gone)
    }
}

impl Store {
    pub(super) fn blob_file(&self, repository: &Repository, digest: &Digest) -> Result<Option<(File, u64)>> {
        let opened = File::open(self.paths.blob(repository, digest))
            .and_then(|file| Ok((file.metadata()?.len(), file)))
            .map(|(size, file)| (file, size));
        present(opened).map_err(|error| self.disk.error(&format!("read blob {digest}"), error))
    }

    pub(super) fn blob_size(&self, repository: &Repository, digest: &Digest) -> Result<Option<u64>> {
        let size = std::fs::metadata(self.paths.blob(repository, digest)).map(|m| m.len());
        present(size).map_err(|error| self.disk.error(&format!("look for blob {digest}"), error))
    }

    pub(super) fn mount(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        from: &Repository,
    ) -> Result<bool> {
        if self.blob_size(from, &blob.digest)? != Some(blob.size) {
            return Ok(false);
        }
        let operation = format!("mount blob {}", blob.digest);
        self.disk.link(
            &self.paths.blob(from, &blob.digest),
            &self.paths.blob(repository, &blob.digest),
            &operation,
        )?;
        Ok(true)
    }
}

/// Size and last byte of an open blob.
pub(super) fn touch(found: Option<(File, u64)>, size: u64) -> Touch {
    use std::os::unix::fs::FileExt as _;
    let Some((file, len)) = found else {
        return Touch::Missing;
    };
    let mut last = [0];
    let reads = size == 0 || file.read_at(&mut last, size - 1).is_ok_and(|n| n == 1);
    if len == size && reads {
        Touch::Good
    } else {
        Touch::Damaged
    }
}
