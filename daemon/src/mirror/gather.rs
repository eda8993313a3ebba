//! What is at the sources and at the destination: each image is resolved once.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use syncd_config::config::{Config, ImageRule, Mirror, Source};
use syncd_config::reference::Target;
use syncd_config::{Digest, Reference, Repository, Tag};

use super::{MirrorContext, Spot, destination_host, is_anonymous, plan};
use crate::images::fault::ImageFault;
use crate::images::mapping;
use crate::images::place::Place;
use crate::images::receipt::Receipt;
use crate::oci::ErrorKind;
use crate::oci::layout::Layout;
use crate::oci::remote::Remote;
use crate::oci::store::ImageSource;
use crate::report::{ImageError, ImageOutcome, ImageReport};

/// Images looked up side by side: more makes a loopback registry slower, not faster.
const AT_ONCE: usize = 8;

/// What is known about one image.
pub(super) struct Gathered {
    /// Its place in the configuration.
    pub(super) index: usize,
    /// Where it comes from, for people.
    pub(super) source: String,
    /// Where it goes, for people.
    pub(super) destination: String,
    /// All of it, or why it cannot be mirrored.
    pub(super) image: Result<Image, ImageError>,
}

/// An image that was resolved.
pub(super) struct Image {
    pub(super) from: From,
    pub(super) spot: Spot,
    pub(super) present: Result<Option<Digest>, ImageError>,
    pub(super) receipt: Option<Receipt>,
    /// Whether nothing in its repository needed a credential at its source.
    pub(super) public: bool,
}

/// An image at its source.
pub(super) struct From {
    pub(super) place: Place,
    pub(super) repository: Repository,
    /// What the rule asks for: a tag or a digest.
    pub(super) name: String,
    pub(super) digest: Digest,
    /// Something that the report should say about it.
    pub(super) note: Option<String>,
}

pub(super) async fn gather(
    ctx: &MirrorContext,
    mirror: &Mirror,
    sink: &Place,
    now: Timestamp,
) -> Vec<Gathered> {
    let spots: Vec<_> = mirror.images.iter().map(|rule| spot(ctx, mirror, rule)).collect();
    let doubles = doubles(mirror, &spots);
    let private = &private(&ctx.config, mirror, &spots);
    // The items own what they hold: with borrowed ones the compiler cannot prove that this future
    // is `Send` (rust-lang/rust#102211).
    let images = spots.into_iter().zip(doubles).enumerate();
    stream::iter(images)
        .map(|(index, (spot, double))| async move {
            let rule = &mirror.images[index];
            let destination = spot.as_ref().map(|s| s.name.clone()).unwrap_or_default();
            let image = match (double, spot) {
                (Some(fault), _) | (None, Err(fault)) => Err(fault.report()),
                (None, Ok(spot)) => {
                    let public = !private.contains(&spot.repository);
                    look(ctx, sink, rule, spot, public, now).await
                }
            };
            Gathered {
                index,
                source: source_text(&rule.source),
                destination,
                image,
            }
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

/// The report of an image about which nothing could be gathered.
pub(super) fn failed(config: &Config, mirror: &Mirror, rule: &ImageRule, fault: &ImageFault) -> ImageReport {
    let host = destination_host(config, &mirror.destination);
    let spot = place(&host, mirror, rule);
    ImageReport {
        source: source_text(&rule.source),
        destination: spot.map(|s| s.name).unwrap_or_default(),
        digest: None,
        outcome: ImageOutcome::Failed,
        verified: None,
        bytes: 0,
        reason: String::new(),
        error: Some(fault.report()),
    }
}

fn source_text(source: &Source) -> String {
    match source {
        Source::Registry(reference) => reference.to_string(),
        Source::OciLayout { path, pick: None } => format!("ociLayout:{}", path.display()),
        Source::OciLayout {
            path,
            pick: Some(Target::Tag(tag)),
        } => format!("ociLayout:{}:{tag}", path.display()),
        Source::OciLayout {
            path,
            pick: Some(Target::Digest(digest)),
        } => format!("ociLayout:{}@{digest}", path.display()),
    }
}

fn spot(ctx: &MirrorContext, mirror: &Mirror, rule: &ImageRule) -> Result<Spot, ImageFault> {
    place(&destination_host(&ctx.config, &mirror.destination), mirror, rule)
}

fn place(host: &str, mirror: &Mirror, rule: &ImageRule) -> Result<Spot, ImageFault> {
    let reference = match &rule.source {
        Source::Registry(reference) => Some(reference),
        Source::OciLayout { .. } => None,
    };
    let stored = mapping::stored_image(reference, rule.name.as_ref(), &mirror.destination)?;
    let Some(stored) = stored else {
        let fault = ImageFault::found("name", "an image of a folder", "mapping_name");
        return Err(fault.hint("say with `as` what it is called in the mirror"));
    };
    let pinned = reference.and_then(|r| r.digest.as_ref());
    // Content without a tag is rubbish to a registry's garbage collection.
    let tag = stored
        .tag
        .or_else(|| pinned.and_then(keep_tag))
        .unwrap_or_else(Tag::latest);
    Ok(Spot {
        name: format!("{host}/{}:{tag}", stored.repository),
        repository: stored.repository,
        tags: vec![tag],
    })
}

/// The tag that keeps an image known by digest only: `syncd-sha256-<12 hex digits>`.
fn keep_tag(digest: &Digest) -> Option<Tag> {
    let hex = digest.hex().get(..12)?;
    format!("syncd-{}-{hex}", digest.algorithm()).parse().ok()
}

/// Rules that write the tag of an earlier rule: which of them won would be chance.
fn doubles(mirror: &Mirror, spots: &[Result<Spot, ImageFault>]) -> Vec<Option<ImageFault>> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut doubles = Vec::with_capacity(spots.len());
    for (index, spot) in spots.iter().enumerate() {
        let earlier = spot
            .as_ref()
            .ok()
            .map(|s| (*first.entry(&s.name).or_insert(index), &s.name));
        doubles.push(
            earlier
                .filter(|(earlier, _)| *earlier != index)
                .map(|(earlier, name)| {
                    let other = mirror.images.get(earlier).map(|rule| source_text(&rule.source));
                    ImageFault {
                        source: other.map(|o| format!("{o} goes to the same name").into()),
                        ..ImageFault::found("place", name.clone(), "conflict")
                            .hint("give one of them another name with `as`")
                    }
                }),
        );
    }
    doubles
}

/// Repositories of the mirror that get anything that needed a credential at its source. Decided by
/// the configuration alone: an image that cannot be looked up today may be there since yesterday.
fn private(config: &Config, mirror: &Mirror, spots: &[Result<Spot, ImageFault>]) -> HashSet<Repository> {
    let rules = mirror.images.iter().zip(spots);
    rules
        .filter(|(rule, _)| match &rule.source {
            Source::Registry(reference) => !is_anonymous(config, &reference.host),
            // Who may read the folder needs no credential for it.
            Source::OciLayout { .. } => false,
        })
        .filter_map(|(_, spot)| spot.as_ref().ok().map(|s| s.repository.clone()))
        .collect()
}

async fn look(
    ctx: &MirrorContext,
    sink: &Place,
    rule: &ImageRule,
    spot: Spot,
    public: bool,
    now: Timestamp,
) -> Result<Image, ImageError> {
    let receipt = ctx.receipts.load(&spot.name);
    let there = sink.head(&spot.repository, &Target::Tag(first_tag(&spot))).await;
    let present = there.map(|head| head.map(|h| h.digest)).map_err(|e| {
        let path = spot.tags.first().map(ToString::to_string).unwrap_or_default();
        ImageFault::at("look at the mirror for", path, e).report()
    });
    let from = match &rule.source {
        Source::Registry(reference) => {
            let known = known_pin(reference, sink, &spot, &present, receipt.as_ref(), now);
            registry_image(ctx, reference, known).await
        }
        Source::OciLayout { path, pick } => folder_image(path, pick.as_ref(), &spot).await,
    };
    Ok(Image {
        from: from.map_err(|fault| fault.report())?,
        spot,
        present,
        receipt,
        public,
    })
}

fn first_tag(spot: &Spot) -> Tag {
    spot.tags.first().cloned().unwrap_or_else(Tag::latest)
}

/// Whether the digest that a rule pins stands at the destination already, so that there is nothing
/// to ask the source.
fn known_pin(
    reference: &Reference,
    sink: &Place,
    spot: &Spot,
    present: &Result<Option<Digest>, ImageError>,
    receipt: Option<&Receipt>,
    now: Timestamp,
) -> bool {
    let Some(pin) = &reference.digest else {
        return false;
    };
    let there = matches!(present, Ok(Some(digest)) if digest == pin);
    let own_store = matches!(sink, Place::Folder(_));
    there && (own_store || plan::pin_needs_no_source(pin, &spot.name, receipt, now))
}

async fn registry_image(ctx: &MirrorContext, reference: &Reference, known: bool) -> Result<From, ImageFault> {
    let remote = Remote::source(ctx.client.clone(), reference.host.clone());
    let from = |digest: Digest, note| From {
        place: Place::Registry(remote.clone()),
        repository: reference.repository.clone(),
        name: reference
            .tag
            .as_ref()
            .map_or_else(|| digest.to_string(), Tag::to_string),
        digest,
        note,
    };
    match (&reference.digest, &reference.tag) {
        (Some(pin), None) => Ok(from(pin.clone(), None)),
        (Some(pin), Some(_)) if known => Ok(from(pin.clone(), None)),
        // The digest is what is wanted; where the tag points by now is only reported.
        (Some(pin), Some(tag)) => {
            let head = remote
                .head(&reference.repository, &Target::Tag(tag.clone()))
                .await;
            let note = match head {
                Ok(Some(head)) if head.digest == *pin => None,
                Ok(Some(head)) => Some(format!(
                    "tag {tag} at the source is {} by now; the digest was followed",
                    head.digest
                )),
                Ok(None) => Some(format!("tag {tag} is not at the source; the digest was followed")),
                Err(_) => Some(format!("where tag {tag} points at the source could not be asked")),
            };
            Ok(from(pin.clone(), note))
        }
        (None, tag) => {
            let target = Target::Tag(tag.clone().unwrap_or_else(Tag::latest));
            let failed = |e| ImageFault::at("resolve the tag or digest", target.to_string(), e);
            let head = remote
                .head(&reference.repository, &target)
                .await
                .map_err(failed)?;
            let head = head.ok_or_else(|| absent(&target))?;
            Ok(from(head.digest, None))
        }
    }
}

fn absent(target: &Target) -> ImageFault {
    ImageFault::found(
        "find at the source",
        target.to_string(),
        ErrorKind::ManifestUnknown.as_str(),
    )
    .hint("check the name and the tag; a registry may also hide what a login would show")
}

async fn folder_image(path: &Path, pick: Option<&Target>, spot: &Spot) -> Result<From, ImageFault> {
    let failed = |e| ImageFault::at("open the folder of", spot.name.clone(), e);
    let layout = Layout::open_read(path).map_err(failed)?;
    let digest = match pick {
        Some(target) => {
            let head = layout.head(&spot.repository, target).await.map_err(failed)?;
            head.ok_or_else(|| absent(target))?.digest
        }
        None => only_image(&layout, path)?,
    };
    Ok(From {
        place: Place::Folder(layout),
        repository: spot.repository.clone(),
        name: first_tag(spot).to_string(),
        digest,
        note: None,
    })
}

fn only_image(layout: &Layout, path: &Path) -> Result<Digest, ImageFault> {
    let name = path.display().to_string();
    let entries = layout
        .top_level()
        .map_err(|e| ImageFault::at("read", name.clone(), e))?;
    let mut digests: Vec<_> = entries
        .into_iter()
        .map(|(_, descriptor)| descriptor.digest)
        .collect();
    digests.sort();
    digests.dedup();
    match <[Digest; 1]>::try_from(digests) {
        Ok([digest]) => Ok(digest),
        Err(digests) if digests.is_empty() => Err(ImageFault::found(
            "find an image in",
            name,
            ErrorKind::ManifestUnknown.as_str(),
        )),
        Err(_) => Err(ImageFault::found("choose an image of", name, "ambiguous")
            .hint("the folder holds several images: write ociLayout:PATH:TAG or ociLayout:PATH@DIGEST")),
    }
}
