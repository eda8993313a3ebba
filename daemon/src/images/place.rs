//! Where images are: a registry or a folder, as one type for the jobs.

use syncd_config::reference::Target;
use syncd_config::{Repository, Tag};

use crate::oci::RegistryError;
use crate::oci::layout::Layout;
use crate::oci::remote::Remote;
use crate::oci::store::{BlobStream, Descriptor, ImageSink, ImageSource, Manifest, ManifestHead, Touch};

/// A registry or a folder.
#[derive(Clone)]
pub enum Place {
    /// A registry.
    Registry(Remote),
    /// A folder: our own store, or a user's image layout.
    Folder(Layout),
}

macro_rules! at_either {
    ($place:expr, $it:ident => $call:expr) => {
        match $place {
            Place::Registry($it) => $call.await,
            Place::Folder($it) => $call.await,
        }
    };
}

impl ImageSource for Place {
    async fn head(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Option<ManifestHead>, RegistryError> {
        at_either!(self, it => it.head(repository, target))
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<Manifest, RegistryError> {
        at_either!(self, it => it.manifest(repository, target))
    }

    async fn blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        offset: u64,
    ) -> Result<BlobStream, RegistryError> {
        at_either!(self, it => it.blob(repository, blob, offset))
    }

    fn place(&self) -> String {
        match self {
            Self::Registry(it) => it.place(),
            Self::Folder(it) => it.place(),
        }
    }
}

impl ImageSink for Place {
    async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool, RegistryError> {
        at_either!(self, it => it.has_blob(repository, blob))
    }

    async fn mount_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        from: &Repository,
    ) -> Result<bool, RegistryError> {
        at_either!(self, it => it.mount_blob(repository, blob, from))
    }

    async fn put_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        content: BlobStream,
    ) -> Result<(), RegistryError> {
        at_either!(self, it => it.put_blob(repository, blob, content))
    }

    async fn put_manifest(
        &self,
        repository: &Repository,
        manifest: &Manifest,
        tag: Option<&Tag>,
    ) -> Result<(), RegistryError> {
        at_either!(self, it => it.put_manifest(repository, manifest, tag))
    }

    async fn touch_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<Touch, RegistryError> {
        at_either!(self, it => it.touch_blob(repository, blob))
    }
}
