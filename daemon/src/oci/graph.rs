//! What a manifest points to, and the closure below it.
//!
//! [`parse`] is pure: bytes and a media type in, children out. It reads a copy; manifests are never
//! written from what was parsed. It refuses what two readers could understand differently
//! (CVE-2021-41190: the same bytes taken as an image or as an index by their `Content-Type`), and
//! every list is capped: all of this comes from outside.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

use super::error::ErrorKind;
use super::store::{Descriptor, Manifest};

pub use super::walk::{Closure, ClosureBlob, ClosureManifest, WalkError, walk};

/// The largest manifest that is read or written (distribution-spec: registries should take 4 MiB).
pub const MAX_MANIFEST: usize = 4 << 20;
/// The most children of one manifest.
pub const MAX_CHILDREN: usize = 1_000;

/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The artifact manifest of image-spec 1.1's release candidates: gone from the spec, still stored.
pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What a manifest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An index or manifest list.
    Index,
    /// A container image.
    Image,
    /// Anything else in an image manifest's clothes: charts, signatures, SBOMs, …
    Artifact,
}

/// What a child is to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A manifest of a known type.
    Manifest,
    /// An entry of an index whose type says neither manifest nor blob: ask for a manifest, then for
    /// a blob (buildkit's caches put blobs into an index).
    Unknown,
    /// The config blob.
    Config,
    /// A layer, counted from 1.
    Layer(usize),
    /// A layer that its maker forbids to distribute, counted from 1. Skipped and recorded; its
    /// `urls` are never followed.
    Foreign(usize),
    /// An entry of an index that is a blob by its type, counted from 1.
    Blob(usize),
}

/// A pointer of a manifest to its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// What it is.
    pub role: Role,
    /// Where it is.
    pub descriptor: Descriptor,
}

/// A parsed manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its children in their order: manifests of an index; config, then layers of an image.
    pub children: Vec<Child>,
    /// What it is attached to. May be missing where the manifest is stored.
    pub subject: Option<Descriptor>,
    /// Its artifact type: the field, else the config's media type for an [`Kind::Artifact`]
    /// (image-spec, manifest.md, "Guidelines for Artifact Usage").
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Why a manifest is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GraphError {
    /// Over the size cap.
    #[error("the manifest has more than 4 MiB")]
    TooLarge,
    /// No JSON, or not of the form.
    #[error("not a manifest: {0}")]
    Malformed(String),
    /// Two readers could take it for different things.
    #[error("the manifest can be read in two ways: {0}")]
    Confusing(String),
    /// Docker schema 1.
    #[error(
        "docker schema 1 is not carried (current container runtimes no longer pull it): rebuild the image, or pull and push it with a current docker"
    )]
    Schema1,
    /// A media type that syncd does not know as a manifest.
    #[error("not a manifest type that syncd carries: {0}")]
    UnknownType(String),
    /// Too many children.
    #[error("the manifest has {0} children, more than the {MAX_CHILDREN} allowed")]
    TooManyChildren(usize),
    /// Inline `data` that is not the content it stands for.
    #[error("inline data does not have the digest and size beside it: {0}")]
    Data(String),
}

impl GraphError {
    /// The class.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge => ErrorKind::TooLarge,
            Self::Malformed(_) | Self::Confusing(_) => ErrorKind::Malformed,
            Self::Schema1 | Self::UnknownType(_) | Self::TooManyChildren(_) => ErrorKind::Unsupported,
            Self::Data(_) => ErrorKind::Integrity,
        }
    }
}

/// The fields of all manifest types. A field given twice is an error of the derived reader.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
    fs_layers: Option<IgnoredAny>,
}

const FIELDS: [&str; 10] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "manifests",
    "config",
    "layers",
    "blobs",
    "subject",
    "annotations",
    "fsLayers",
];

/// Reads what a manifest points to.
///
/// # Errors
/// For everything that is not exactly one of the known manifest types.
pub fn parse(manifest: &Manifest) -> Result<Node, GraphError> {
    let (raw, keys) = read(&manifest.bytes)?;
    let form = form_of(&raw, &keys, &manifest.media_type)?;
    let children = match form {
        Form::Index => index_children(raw.manifests.unwrap_or_default()),
        Form::Image => image_children(raw.config, raw.layers.unwrap_or_default())?,
        Form::OldArtifact => layers(raw.blobs.unwrap_or_default()).collect(),
    };
    if children.len() > MAX_CHILDREN {
        return Err(GraphError::TooManyChildren(children.len()));
    }
    for descriptor in children.iter().map(|c| &c.descriptor).chain(&raw.subject) {
        check_data(descriptor)?;
    }
    let config_type = children
        .first()
        .filter(|child| child.role == Role::Config)
        .map(|child| child.descriptor.media_type.clone());
    let kind = match form {
        Form::Index => Kind::Index,
        Form::Image if raw.artifact_type.is_none() && config_type.as_deref().is_some_and(is_image_config) => {
            Kind::Image
        }
        Form::Image | Form::OldArtifact => Kind::Artifact,
    };
    let artifact_type = raw
        .artifact_type
        .or_else(|| config_type.filter(|_| kind == Kind::Artifact));
    Ok(Node {
        kind,
        children,
        subject: raw.subject,
        artifact_type,
        annotations: raw.annotations.unwrap_or_default(),
    })
}

/// The media type that the bytes claim: the `mediaType` inside, else what the shape tells. `None`
/// when they are no manifest. For places that store no media type beside the content.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Option<String> {
    let (raw, keys) = read(bytes).ok()?;
    if let Some(media_type) = raw.media_type {
        return form_of_type(&media_type).is_ok().then_some(media_type);
    }
    let has = |key: &str| keys.contains_key(key);
    match (has("manifests"), has("layers") || has("config")) {
        (true, false) => Some(OCI_INDEX.to_owned()),
        (false, true) => Some(OCI_MANIFEST.to_owned()),
        _ => None,
    }
}

/// Whether the media type is one of a manifest that [`parse`] reads.
#[must_use]
pub fn is_manifest_type(media_type: &str) -> bool {
    form_of_type(media_type).is_ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Index,
    Image,
    OldArtifact,
}

fn form_of_type(media_type: &str) -> Result<Form, GraphError> {
    match media_type {
        OCI_INDEX | DOCKER_LIST => Ok(Form::Index),
        OCI_MANIFEST | DOCKER_MANIFEST => Ok(Form::Image),
        OCI_ARTIFACT => Ok(Form::OldArtifact),
        _ if is_schema1(media_type) => Err(GraphError::Schema1),
        _ => Err(GraphError::UnknownType(syncd_config::text::clean(media_type))),
    }
}

fn is_schema1(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.docker.distribution.manifest.v1+")
}

fn is_image_config(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
    )
}

type Keys = BTreeMap<String, IgnoredAny>;

fn read(bytes: &[u8]) -> Result<(Raw, Keys), GraphError> {
    if bytes.len() > MAX_MANIFEST {
        return Err(GraphError::TooLarge);
    }
    let keys: Keys = serde_json::from_slice(bytes).map_err(malformed)?;
    // Go's JSON reader takes `Layers` for `layers`; ours does not.
    for key in keys.keys() {
        let twin = FIELDS.iter().find(|f| f.eq_ignore_ascii_case(key) && *f != key);
        if let Some(field) = twin {
            return Err(GraphError::Confusing(format!(
                "a field is {field} but for its case"
            )));
        }
    }
    let raw = serde_json::from_slice(bytes).map_err(malformed)?;
    Ok((raw, keys))
}

/// serde_json's texts hold pieces of the input, so they are cleaned.
fn malformed(error: serde_json::Error) -> GraphError {
    GraphError::Malformed(syncd_config::text::clean(&error.to_string()))
}

/// Which type it is, when `Content-Type`, `mediaType` and shape agree.
fn form_of(raw: &Raw, keys: &Keys, media_type: &str) -> Result<Form, GraphError> {
    if raw.fs_layers.is_some() || raw.schema_version == Some(1) || is_schema1(media_type) {
        return Err(GraphError::Schema1);
    }
    let form = form_of_type(media_type)?;
    if let Some(inner) = &raw.media_type
        && inner != media_type
    {
        let inner = syncd_config::text::clean(inner);
        return Err(GraphError::Confusing(format!(
            "it came as {media_type} and calls itself {inner}"
        )));
    }
    if form != Form::OldArtifact && raw.schema_version != Some(2) {
        return Err(GraphError::Malformed("schemaVersion is not 2".to_owned()));
    }
    let own = match form {
        Form::Index => "manifests",
        Form::Image => "layers",
        Form::OldArtifact => "blobs",
    };
    let foreign: &[&str] = match form {
        Form::Index => &["layers", "config", "blobs"],
        Form::Image => &["manifests", "blobs"],
        Form::OldArtifact => &["manifests", "layers", "config"],
    };
    match foreign.iter().find(|key| keys.contains_key(**key)) {
        Some(key) => Err(GraphError::Confusing(format!(
            "it came as {media_type} and has {key}"
        ))),
        None if form == Form::Index && !keys.contains_key(own) => {
            Err(GraphError::Malformed("the index has no manifests".to_owned()))
        }
        None => Ok(form),
    }
}

fn index_children(entries: Vec<Descriptor>) -> Vec<Child> {
    let child = |(at, descriptor): (usize, Descriptor)| {
        let role = match descriptor.media_type.as_str() {
            t if is_manifest_type(t) || is_schema1(t) => Role::Manifest,
            t if is_blob_type(t) => Role::Blob(at + 1),
            _ => Role::Unknown,
        };
        Child { role, descriptor }
    };
    entries.into_iter().enumerate().map(child).collect()
}

fn is_blob_type(media_type: &str) -> bool {
    is_image_config(media_type)
        || media_type.starts_with("application/vnd.oci.image.layer.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.")
        || media_type == "application/vnd.buildkit.cacheconfig.v0"
}

fn image_children(config: Option<Descriptor>, entries: Vec<Descriptor>) -> Result<Vec<Child>, GraphError> {
    let descriptor = config.ok_or_else(|| GraphError::Malformed("the manifest has no config".to_owned()))?;
    let mut children = vec![Child {
        role: Role::Config,
        descriptor,
    }];
    children.extend(layers(entries));
    Ok(children)
}

fn layers(entries: Vec<Descriptor>) -> impl Iterator<Item = Child> {
    entries.into_iter().enumerate().map(|(at, descriptor)| {
        let role = if is_nondistributable(&descriptor.media_type) {
            Role::Foreign(at + 1)
        } else {
            Role::Layer(at + 1)
        };
        Child { role, descriptor }
    })
}

/// image-spec, layer.md, "Non-Distributable Layers", and docker's foreign layers.
fn is_nondistributable(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
}

/// image-spec, descriptor.md: inline data must be the content the descriptor names.
fn check_data(descriptor: &Descriptor) -> Result<(), GraphError> {
    let Some(data) = &descriptor.data else {
        return Ok(());
    };
    let good = STANDARD
        .decode(data)
        .is_ok_and(|bytes| bytes.len() as u64 == descriptor.size && descriptor.digest.matches(&bytes));
    if good {
        Ok(())
    } else {
        Err(GraphError::Data(descriptor.digest.to_string()))
    }
}
