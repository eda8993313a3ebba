//! The proof that an image is whole where it should be.
//!
//! A registry may say of a blob that it has it and not be able to serve it: its garbage collection
//! raced a push, its disk was full, it was restored from a backup. So each blob is *touched*: a
//! request for its last byte must give exactly that byte, and the size in `Content-Range` must be
//! the one the manifest says. Only reading everything back ([`Depth::Hash`]) finds more.

use std::collections::HashMap;

use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use syncd_config::digest::Hasher;
use syncd_config::reference::Target;
use syncd_config::{Digest, Repository};

use super::fault::{ImageFault, chain};
use crate::oci::store::{Descriptor, ImageSink, ImageSource, Touch};
use crate::oci::walk::{self, Closure, WalkError};
use crate::oci::{ErrorKind, RegistryError};

/// How many parts of one image are looked at side by side.
const AT_ONCE: usize = 8;

/// All parts of an image by digest, the manifests in push order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Manifests, the root last.
    pub manifests: Vec<Part>,
    /// Blobs.
    pub blobs: Vec<Part>,
}

/// A manifest or a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
    /// The way to it, for messages.
    pub path: String,
}

impl Inventory {
    /// The parts of a closure.
    #[must_use]
    pub fn of(closure: &Closure) -> Self {
        let manifests = closure.manifests.iter().map(|m| Part {
            digest: m.manifest.digest.clone(),
            size: m.manifest.bytes.len() as u64,
            path: m.path.clone(),
        });
        let blobs = closure.blobs.iter().map(|b| Part {
            digest: b.descriptor.digest.clone(),
            size: b.descriptor.size,
            path: b.path.clone(),
        });
        Self {
            manifests: manifests.collect(),
            blobs: blobs.collect(),
        }
    }

    /// Manifests and blobs, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let parts = self.manifests.iter().chain(&self.blobs);
        parts.fold(0, |sum, part| sum.saturating_add(part.size))
    }
}

impl Part {
    pub(super) fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: "application/octet-stream".to_owned(),
            digest: self.digest.clone(),
            size: self.size,
            data: None,
            urls: Vec::new(),
            platform: None,
            artifact_type: None,
            annotations: std::collections::BTreeMap::new(),
        }
    }
}

/// How deep the proof goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Manifests asked for by HEAD (some registries count a GET as a pull), blobs touched.
    Touch,
    /// Manifests read back, blobs touched: after a copy.
    ReadBack,
    /// Everything read back and hashed.
    Hash,
}

/// What is wrong with a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The part.
    pub part: Part,
    /// Whether it is a manifest.
    pub manifest: bool,
    /// Not there at all, or there and not whole.
    pub touch: Touch,
}

impl Flaw {
    /// In words.
    #[must_use]
    pub fn text(&self) -> String {
        let what = match self.touch {
            Touch::Missing => "is missing",
            _ => "is damaged",
        };
        format!("{} {what}", self.part.path)
    }
}

/// Looks at every part of an image in `repository`; gives those that are not whole.
///
/// # Errors
///
/// When the place fails in another way than by not having the content.
pub async fn flaws<P>(
    place: &P,
    repository: &Repository,
    inventory: &Inventory,
    depth: Depth,
) -> Result<Vec<Flaw>, ImageFault>
where
    P: ImageSource + ImageSink,
{
    let manifests = inventory.manifests.iter().map(|part| (part, true));
    let blobs = inventory.blobs.iter().map(|part| (part, false));
    let parts: &Vec<(&Part, bool)> = &manifests.chain(blobs).collect();
    // By index: with borrowed items the compiler cannot prove that this future is `Send`
    // (rust-lang/rust#102211).
    let mut looks = stream::iter(0..parts.len())
        .map(|index| async move {
            let (part, manifest) = parts[index];
            let touch = if manifest {
                look_at_manifest(place, repository, part, depth).await
            } else {
                look_at_blob(place, repository, part, depth).await
            };
            (part, manifest, touch)
        })
        .buffer_unordered(AT_ONCE);
    let mut flaws = Vec::new();
    while let Some((part, manifest, touch)) = looks.next().await {
        let touch = touch.map_err(|e| ImageFault::at("prove", part.path.clone(), e))?;
        if touch != Touch::Good {
            flaws.push(Flaw {
                part: part.clone(),
                manifest,
                touch,
            });
        }
    }
    Ok(flaws)
}

async fn look_at_manifest<P: ImageSource>(
    place: &P,
    repository: &Repository,
    part: &Part,
    depth: Depth,
) -> Result<Touch, RegistryError> {
    let target = Target::Digest(part.digest.clone());
    if depth == Depth::Touch {
        let head = place.head(repository, &target).await?;
        return Ok(match head {
            None => Touch::Missing,
            Some(head) if head.digest == part.digest => Touch::Good,
            Some(_) => Touch::Damaged,
        });
    }
    judge(place.manifest(repository, &target).await.map(|_| ()))
}

async fn look_at_blob<P: ImageSource + ImageSink>(
    place: &P,
    repository: &Repository,
    part: &Part,
    depth: Depth,
) -> Result<Touch, RegistryError> {
    let descriptor = part.descriptor();
    if depth != Depth::Hash {
        return place.touch_blob(repository, &descriptor).await;
    }
    judge(hash_back(place, repository, &descriptor).await)
}

async fn hash_back<P: ImageSource>(
    place: &P,
    repository: &Repository,
    blob: &Descriptor,
) -> Result<(), RegistryError> {
    let mut content = place.blob(repository, blob, 0).await?;
    let mut hasher = Hasher::new(blob.digest.algorithm());
    while let Some(chunk) = content.next().await {
        hasher.update(&chunk?);
    }
    if hasher.finish() == blob.digest {
        return Ok(());
    }
    let operation = format!("read back blob {}", blob.digest);
    Err(RegistryError::new(ErrorKind::Integrity, place.place(), operation))
}

/// What a failed reading says about the content.
fn judge(read: Result<(), RegistryError>) -> Result<Touch, RegistryError> {
    match read {
        Ok(()) => Ok(Touch::Good),
        Err(error) if error.kind().is_not_found() => Ok(Touch::Missing),
        Err(error) => match error.kind() {
            ErrorKind::Integrity | ErrorKind::TooLarge | ErrorKind::ConnectionReset => Ok(Touch::Damaged),
            _ => Err(error),
        },
    }
}

/// Whether an image is there, and whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// There is no such tag or digest.
    Absent,
    /// All of it is there, and was touched just now.
    Whole {
        /// The digest of the root manifest.
        digest: Digest,
    },
    /// It is there by name, but parts of it are missing or damaged.
    Broken {
        /// The digest of the root manifest, when it could be read.
        digest: Option<Digest>,
        /// What is wrong, a line a part.
        flaws: Vec<String>,
    },
}

/// Whether `place` has the image, by reading its manifests there and touching its blobs.
///
/// # Errors
///
/// When the place fails in another way than by not having the content.
pub async fn presence<P>(place: &P, repository: &Repository, target: &Target) -> Result<Presence, ImageFault>
where
    P: ImageSource + ImageSink,
{
    let inventory = match inventory_at(place, repository, target).await? {
        Found::Absent => return Ok(Presence::Absent),
        Found::Broken(digest, flaw) => {
            return Ok(Presence::Broken {
                digest,
                flaws: vec![flaw],
            });
        }
        Found::Whole(inventory) => inventory,
    };
    let digest = inventory.manifests.last().map(|root| root.digest.clone());
    // The manifests were read a moment ago.
    let blobs = Inventory {
        manifests: Vec::new(),
        blobs: inventory.blobs,
    };
    let flaws = flaws(place, repository, &blobs, Depth::Touch).await?;
    Ok(match (flaws.is_empty(), digest) {
        (true, Some(digest)) => Presence::Whole { digest },
        (_, digest) => Presence::Broken {
            digest,
            flaws: flaws.iter().map(Flaw::text).collect(),
        },
    })
}

/// The manifests of an image where it is, as far as they can be read.
pub(crate) enum Found {
    /// Not there.
    Absent,
    /// A manifest below is missing or damaged; in words.
    Broken(Option<Digest>, String),
    /// All manifests were read.
    Whole(Inventory),
}

/// Reads the manifests of an image at `place`.
pub(crate) async fn inventory_at<P: ImageSource>(
    place: &P,
    repository: &Repository,
    target: &Target,
) -> Result<Found, ImageFault> {
    let failed = |e| ImageFault::at("look up", target.to_string(), e);
    let Some(head) = place.head(repository, target).await.map_err(failed)? else {
        return Ok(Found::Absent);
    };
    match walk::walk(place, repository, &Target::Digest(head.digest.clone())).await {
        Ok(closure) => Ok(Found::Whole(Inventory::of(&closure))),
        Err(WalkError::Source { path, source })
            if source.kind().is_not_found()
                || matches!(source.kind(), ErrorKind::Integrity | ErrorKind::ConnectionReset) =>
        {
            Ok(Found::Broken(
                Some(head.digest),
                format!("{path}: {}", chain(source.as_ref())),
            ))
        }
        Err(error) => Err(error.into()),
    }
}

/// The flaws that are still there, by digest, as one list for a message.
pub(crate) fn list(flaws: &[Flaw]) -> String {
    const SHOWN: usize = 3;
    let mut texts: Vec<String> = flaws.iter().take(SHOWN).map(Flaw::text).collect();
    if flaws.len() > SHOWN {
        texts.push(format!("and {} more", flaws.len() - SHOWN));
    }
    texts.join(", ")
}

/// The parts of `flaws`, to find them in a closure.
pub(crate) fn by_digest(flaws: &[Flaw]) -> HashMap<&Digest, &Flaw> {
    flaws.iter().map(|flaw| (&flaw.part.digest, flaw)).collect()
}
