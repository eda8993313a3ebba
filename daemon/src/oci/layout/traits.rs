//! [`Layout`] as a place to read images from and to write them to.

use syncd_config::reference::Target;
use syncd_config::{Repository, Tag};

use super::super::error::{ErrorKind, RegistryError};
use super::super::store::{BlobStream, Descriptor, ImageSink, ImageSource, Manifest, ManifestHead, Touch};
use super::{Children, Form, Layout, Result, blobs, blocking, stream};

impl Layout {
    pub(super) fn place_name(&self) -> String {
        match &self.0 {
            Form::Store(store) => store.place(),
            Form::Folder(folder) => folder.place(),
        }
    }

    fn failed(&self, kind: ErrorKind, operation: String) -> RegistryError {
        RegistryError::new(kind, self.place_name(), operation)
    }
}

impl ImageSource for Layout {
    async fn head(&self, repository: &Repository, target: &Target) -> Result<Option<ManifestHead>> {
        self.head_sync(repository, target)
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<Manifest> {
        self.manifest_sync(repository, target)?.ok_or_else(|| {
            let separator = if matches!(target, Target::Tag(_)) {
                ':'
            } else {
                '@'
            };
            let operation = format!("read manifest {repository}{separator}{target}");
            self.failed(ErrorKind::ManifestUnknown, operation)
        })
    }

    async fn blob(&self, repository: &Repository, blob: &Descriptor, offset: u64) -> Result<BlobStream> {
        let operation = format!("read blob {}", blob.digest);
        let Some((file, size)) = self.blob_file(repository, &blob.digest)? else {
            return Err(self.failed(ErrorKind::BlobUnknown, operation));
        };
        if size != blob.size {
            let detail = format!("its file has {size} bytes, it should have {}", blob.size);
            return Err(self.failed(ErrorKind::Integrity, operation).detail(&detail));
        }
        Ok(stream::read(self.place_name(), file, offset, size))
    }

    fn place(&self) -> String {
        self.place_name()
    }
}

impl ImageSink for Layout {
    async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool> {
        let size = self.store()?.blob_size(repository, &blob.digest)?;
        Ok(size == Some(blob.size))
    }

    async fn mount_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        from: &Repository,
    ) -> Result<bool> {
        self.writable()?.mount(repository, blob, from)
    }

    async fn put_blob(&self, repository: &Repository, blob: &Descriptor, content: BlobStream) -> Result<()> {
        self.write_stream(repository, blob, content).await
    }

    async fn put_manifest(
        &self,
        repository: &Repository,
        manifest: &Manifest,
        tag: Option<&Tag>,
    ) -> Result<()> {
        let (layout, repository) = (self.clone(), repository.clone());
        let (manifest, tag) = (manifest.clone(), tag.cloned());
        let operation = format!("write manifest {}", manifest.digest);
        blocking(&self.place_name(), &operation, move || {
            layout.put_manifest_sync(&repository, &manifest, tag.as_ref(), Children::Required)
        })
        .await
    }

    async fn touch_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<Touch> {
        let (layout, repository) = (self.clone(), repository.clone());
        let (digest, size) = (blob.digest.clone(), blob.size);
        let operation = format!("touch blob {digest}");
        blocking(&self.place_name(), &operation, move || {
            let found = layout.blob_file(&repository, &digest)?;
            Ok(blobs::touch(found, size))
        })
        .await
    }
}
