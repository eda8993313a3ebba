//! The closure below a tag or digest: every manifest once, every blob once.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use syncd_config::reference::Target;
use syncd_config::{Digest, Repository};
use thiserror::Error;

use super::error::{ErrorKind, RegistryError};
use super::graph::{self, Child, GraphError, Kind, Node, Role};
use super::store::{Descriptor, DescriptorPlatform, ImageSource, Manifest};

/// How deep indexes may nest: the root is level 1.
pub const MAX_DEPTH: usize = 4;
/// The most manifests of one closure.
pub const MAX_MANIFESTS: usize = 2_000;
/// The most blobs of one closure.
pub const MAX_BLOBS: usize = 20_000;
/// The most bytes of manifests of one closure: they are held in memory.
pub const MAX_BYTES: usize = 64 << 20;
const AT_ONCE: usize = 4;

/// All that an image needs.
#[derive(Clone, Debug)]
pub struct Closure {
    /// The manifests in push order: children before parents, the root last.
    pub manifests: Vec<ClosureManifest>,
    /// The blobs, each once.
    pub blobs: Vec<ClosureBlob>,
    /// Layers that their maker forbids to distribute: not among `blobs`.
    pub foreign: Vec<ClosureBlob>,
}

/// A manifest of a closure.
#[derive(Clone, Debug)]
pub struct ClosureManifest {
    /// The manifest.
    pub manifest: Manifest,
    /// What it points to.
    pub node: Node,
    /// The platform its index gives it.
    pub platform: Option<DescriptorPlatform>,
    /// The way to it, for messages: `1.27 -> index -> linux/arm64`.
    pub path: String,
}

/// A blob of a closure.
#[derive(Clone, Debug)]
pub struct ClosureBlob {
    /// Where it is.
    pub descriptor: Descriptor,
    /// The first way to it, for messages: `1.27 -> index -> linux/arm64 -> layer 3`.
    pub path: String,
}

impl Closure {
    /// The manifest that the closure hangs on.
    #[must_use]
    pub fn root(&self) -> Option<&ClosureManifest> {
        self.manifests.last()
    }

    /// The bytes of its blobs.
    #[must_use]
    pub fn blob_bytes(&self) -> u64 {
        self.blobs
            .iter()
            .fold(0, |sum, blob| sum.saturating_add(blob.descriptor.size))
    }
}

/// Why a closure could not be walked.
#[derive(Debug, Error)]
pub enum WalkError {
    /// The source failed.
    #[error("failed to read {path}")]
    Source {
        /// The way to what could not be read.
        path: String,
        /// The cause.
        #[source]
        source: Box<RegistryError>,
    },
    /// A manifest is refused.
    #[error("failed to accept {path}")]
    Manifest {
        /// The way to it.
        path: String,
        /// The cause.
        #[source]
        source: GraphError,
    },
    /// The parts do not fit together.
    #[error("failed to accept {path}: {detail}")]
    Closure {
        /// The way to the part.
        path: String,
        /// The class.
        kind: ErrorKind,
        /// What is wrong.
        detail: String,
    },
}

impl WalkError {
    /// The class.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Source { source, .. } => source.kind(),
            Self::Manifest { source, .. } => source.kind(),
            Self::Closure { kind, .. } => *kind,
        }
    }
}

/// A manifest still to be read.
struct Wanted {
    target: Target,
    descriptor: Option<Descriptor>,
    /// Whether it may turn out to be a blob.
    maybe_blob: bool,
    path: String,
}

/// What was read for one.
enum Read {
    Manifest(Box<ClosureManifest>),
    Blob(Box<ClosureBlob>),
}

/// Reads the closure below `root`. Each manifest is asked for once.
///
/// # Errors
/// When a manifest cannot be read, is refused, or a cap is exceeded.
pub async fn walk<S: ImageSource>(
    source: &S,
    repository: &Repository,
    root: &Target,
) -> Result<Closure, WalkError> {
    let mut found = Found::default();
    let mut level = vec![Wanted {
        target: root.clone(),
        descriptor: None,
        maybe_blob: false,
        path: short(root),
    }];
    let mut root_digest = None;
    for depth in 1.. {
        if let Some(first) = level.first().filter(|_| depth > MAX_DEPTH) {
            let detail = format!("indexes nest deeper than {MAX_DEPTH} levels");
            return Err(refused(&first.path, ErrorKind::Unsupported, detail));
        }
        let mut read = stream::iter(level)
            .map(|wanted| read_one(source, repository, wanted))
            .buffered(AT_ONCE);
        let mut next = Vec::new();
        while let Some(read) = read.try_next().await? {
            if let Read::Manifest(m) = &read {
                root_digest.get_or_insert_with(|| m.manifest.digest.clone());
            }
            found.take(read, &mut next)?;
        }
        if next.is_empty() {
            break;
        }
        level = next;
    }
    Ok(match root_digest {
        Some(root) => found.in_push_order(&root),
        None => found.in_push_order(&Digest::sha256(b"")),
    })
}

async fn read_one<S: ImageSource>(
    source: &S,
    repository: &Repository,
    wanted: Wanted,
) -> Result<Read, WalkError> {
    let Wanted {
        target,
        descriptor,
        maybe_blob,
        path,
    } = wanted;
    let failed = |source| WalkError::Source {
        path: path.clone(),
        source: Box::new(source),
    };
    if let Some(descriptor) = descriptor.as_ref().filter(|_| maybe_blob)
        && source.head(repository, &target).await.map_err(failed)?.is_none()
    {
        return Ok(Read::Blob(Box::new(ClosureBlob {
            descriptor: descriptor.clone(),
            path,
        })));
    }
    let manifest = source.manifest(repository, &target).await.map_err(failed)?;
    if let Some(descriptor) = &descriptor {
        fits(descriptor, &manifest, maybe_blob, &path)?;
    }
    let node = graph::parse(&manifest).map_err(|source| WalkError::Manifest {
        path: path.clone(),
        source,
    })?;
    let path = if node.kind == Kind::Index {
        format!("{path} -> index")
    } else {
        path
    };
    Ok(Read::Manifest(Box::new(ClosureManifest {
        manifest,
        node,
        platform: descriptor.and_then(|d| d.platform),
        path,
    })))
}

/// Whether the manifest is what its parent said.
fn fits(descriptor: &Descriptor, manifest: &Manifest, any_type: bool, path: &str) -> Result<(), WalkError> {
    if manifest.bytes.len() as u64 != descriptor.size {
        let detail = format!(
            "it has {} bytes, its parent says {}",
            manifest.bytes.len(),
            descriptor.size
        );
        return Err(refused(path, ErrorKind::Integrity, detail));
    }
    if !any_type && manifest.media_type != descriptor.media_type {
        let detail = format!(
            "it came as {}, its parent says {}",
            syncd_config::text::clean(&manifest.media_type),
            syncd_config::text::clean(&descriptor.media_type)
        );
        return Err(refused(path, ErrorKind::Malformed, detail));
    }
    Ok(())
}

fn refused(path: &str, kind: ErrorKind, detail: String) -> WalkError {
    WalkError::Closure {
        path: path.to_owned(),
        kind,
        detail,
    }
}

/// What has been read so far.
#[derive(Default)]
struct Found {
    manifests: HashMap<Digest, ClosureManifest>,
    /// Media type and size that the first parent gave, of all that was read or is to be.
    wanted: HashMap<Digest, (String, u64)>,
    bytes: usize,
    blobs: Vec<ClosureBlob>,
    foreign: Vec<ClosureBlob>,
    sizes: BTreeMap<Digest, u64>,
}

impl Found {
    fn take(&mut self, read: Read, next: &mut Vec<Wanted>) -> Result<(), WalkError> {
        let manifest = match read {
            Read::Blob(blob) => return self.blob(*blob, false),
            Read::Manifest(manifest) => *manifest,
        };
        self.bytes += manifest.manifest.bytes.len();
        let told = (
            manifest.manifest.media_type.clone(),
            manifest.manifest.bytes.len() as u64,
        );
        self.wanted
            .entry(manifest.manifest.digest.clone())
            .or_insert(told);
        if self.bytes > MAX_BYTES {
            let detail = format!("its manifests have more than {} MiB", MAX_BYTES >> 20);
            return Err(refused(&manifest.path, ErrorKind::Unsupported, detail));
        }
        for child in &manifest.node.children {
            self.child(child, &manifest.path, next)?;
        }
        self.manifests.insert(manifest.manifest.digest.clone(), manifest);
        Ok(())
    }

    fn child(&mut self, child: &Child, parent: &str, next: &mut Vec<Wanted>) -> Result<(), WalkError> {
        let path = format!("{parent} -> {}", label(child));
        let descriptor = child.descriptor.clone();
        match child.role {
            Role::Config | Role::Layer(_) | Role::Blob(_) => {
                self.blob(ClosureBlob { descriptor, path }, false)
            }
            Role::Foreign(_) => self.blob(ClosureBlob { descriptor, path }, true),
            Role::Manifest | Role::Unknown => {
                let told = (descriptor.media_type.clone(), descriptor.size);
                match self.wanted.get(&descriptor.digest) {
                    Some(known) if *known == told => return Ok(()),
                    Some(_) => {
                        let detail = format!("{} has another type or size elsewhere", descriptor.digest);
                        return Err(refused(&path, ErrorKind::Malformed, detail));
                    }
                    None => self.wanted.insert(descriptor.digest.clone(), told),
                };
                if self.wanted.len() > MAX_MANIFESTS {
                    let detail = format!("it has more than {MAX_MANIFESTS} manifests");
                    return Err(refused(&path, ErrorKind::Unsupported, detail));
                }
                next.push(Wanted {
                    target: Target::Digest(descriptor.digest.clone()),
                    descriptor: Some(descriptor),
                    maybe_blob: child.role == Role::Unknown,
                    path,
                });
                Ok(())
            }
        }
    }

    fn blob(&mut self, blob: ClosureBlob, foreign: bool) -> Result<(), WalkError> {
        let Descriptor { digest, size, .. } = &blob.descriptor;
        match self.sizes.get(digest) {
            Some(known) if known == size => return Ok(()),
            Some(known) => {
                let detail = format!("{digest} has {size} bytes here and {known} elsewhere");
                return Err(refused(&blob.path, ErrorKind::Malformed, detail));
            }
            None => self.sizes.insert(digest.clone(), *size),
        };
        if self.sizes.len() > MAX_BLOBS {
            let detail = format!("it has more than {MAX_BLOBS} blobs");
            return Err(refused(&blob.path, ErrorKind::Unsupported, detail));
        }
        if foreign {
            self.foreign.push(blob);
        } else {
            self.blobs.push(blob);
        }
        Ok(())
    }

    /// A manifest may hang on parents of several levels, so the order of reading will not do.
    fn in_push_order(mut self, root: &Digest) -> Closure {
        let mut order = Vec::with_capacity(self.manifests.len());
        let mut stack = vec![(root.clone(), false)];
        let mut entered = HashSet::new();
        while let Some((digest, done)) = stack.pop() {
            if done {
                order.push(digest);
            } else if let Some(manifest) = self.manifests.get(&digest)
                && entered.insert(digest.clone())
            {
                stack.push((digest, true));
                let children = manifest.node.children.iter().rev();
                stack.extend(children.map(|child| (child.descriptor.digest.clone(), false)));
            }
        }
        Closure {
            manifests: order
                .iter()
                .filter_map(|digest| self.manifests.remove(digest))
                .collect(),
            blobs: self.blobs,
            foreign: self.foreign,
        }
    }
}

pub(crate) fn short(target: &Target) -> String {
    match target {
        Target::Tag(tag) => tag.to_string(),
        Target::Digest(digest) => short_digest(digest),
    }
}

fn short_digest(digest: &Digest) -> String {
    let hex = digest.hex().get(..12).unwrap_or_default();
    format!("{}:{hex}", digest.algorithm())
}

fn label(child: &Child) -> String {
    match child.role {
        Role::Config => "config".to_owned(),
        Role::Layer(n) => format!("layer {n}"),
        Role::Foreign(n) => format!("foreign layer {n}"),
        Role::Blob(n) => format!("blob {n}"),
        Role::Manifest | Role::Unknown => match &child.descriptor.platform {
            Some(p) if !p.os.is_empty() && p.os != "unknown" => {
                let variant = p.variant.as_deref().map(|v| format!("/{v}")).unwrap_or_default();
                syncd_config::text::clean_to(&format!("{}/{}{variant}", p.os, p.architecture), 64)
            }
            _ => short_digest(&child.descriptor.digest),
        },
    }
}
