//! The two traits of everything that holds images: a registry, a layout folder, memory.

use std::collections::BTreeMap;
use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;
use serde::{Deserialize, Serialize};
use syncd_config::reference::Target;
use syncd_config::{Digest, Repository, Tag};

use super::error::RegistryError;

/// Reads of one blob: chunks in order, cut at the descriptor's size. **Not verified**: whoever
/// stores the bytes hashes them.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes, RegistryError>> + Send>>;

/// A pointer to content (OCI image-spec, descriptor.md). Only read, never written back:
/// manifests travel as the bytes they came as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The content's media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Inline content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Foreign places of the content; never followed.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub urls: Vec<String>,
    /// The platform, on entries of an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<DescriptorPlatform>,
    /// The artifact type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// Go programs write `null` for an empty list or map.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// The platform of an index entry, as written there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescriptorPlatform {
    /// CPU architecture.
    #[serde(default)]
    pub architecture: String,
    /// Operating system.
    #[serde(default)]
    pub os: String,
    /// Variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Version of the operating system (Windows).
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

/// What a HEAD of a manifest tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// Its digest, as the registry says.
    pub digest: Digest,
    /// Its size in bytes, when told.
    pub size: Option<u64>,
    /// Its media type, when told.
    pub media_type: Option<String>,
}

/// A manifest as the bytes it came as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The bytes.
    pub bytes: Bytes,
    /// The media type to serve and push it with.
    pub media_type: String,
    /// The digest of the bytes, computed here.
    pub digest: Digest,
}

/// How a blob stands up to a touch: its size was told and its last byte was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// There, of the right size, and the last byte can be read.
    Good,
    /// Not there.
    Missing,
    /// There by name, but its size is wrong or its last byte cannot be read.
    Damaged,
}

/// What images are read from.
pub trait ImageSource: Send + Sync {
    /// What the tag or digest points to; `None` when it is not there. One request at most.
    fn head(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> impl Future<Output = Result<Option<ManifestHead>, RegistryError>> + Send;

    /// The manifest. Guarantees that its digest is the one asked for (or told by the source for a
    /// tag) and that it is at most 4 MiB.
    fn manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> impl Future<Output = Result<Manifest, RegistryError>> + Send;

    /// A blob from byte `offset` on.
    fn blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        offset: u64,
    ) -> impl Future<Output = Result<BlobStream, RegistryError>> + Send;

    /// The name of the place, for messages: a host or a folder.
    fn place(&self) -> String;
}

/// What images are written to.
pub trait ImageSink: Send + Sync {
    /// Whether the repository has the blob, with that size.
    fn has_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> impl Future<Output = Result<bool, RegistryError>> + Send;

    /// Makes a blob of repository `from` part of `repository` without sending it. `false` means
    /// "send it": never an error for a registry that cannot mount.
    fn mount_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        from: &Repository,
    ) -> impl Future<Output = Result<bool, RegistryError>> + Send;

    /// Stores a blob. Nothing is visible unless size and digest are right.
    fn put_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        content: BlobStream,
    ) -> impl Future<Output = Result<(), RegistryError>> + Send;

    /// Stores a manifest under its digest and, when given, makes the tag point to it.
    fn put_manifest(
        &self,
        repository: &Repository,
        manifest: &Manifest,
        tag: Option<&Tag>,
    ) -> impl Future<Output = Result<(), RegistryError>> + Send;

    /// Reads the size and the last byte of a blob.
    fn touch_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> impl Future<Output = Result<Touch, RegistryError>> + Send;
}
