//! Copying and proving, many images side by side.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use syncd_config::reference::Target;
use syncd_config::{Digest, Repository};

use super::gather::{Gathered, Image};
use super::plan::{self, Facts, Step, Verify};
use super::{MirrorContext, PassOptions};
use crate::images::copy::{Engine, Job};
use crate::images::fault::ImageFault;
use crate::images::place::Place;
use crate::images::progress::Progress;
use crate::images::receipt::Receipt;
use crate::images::verify::{self, Depth, Found, Inventory};
use crate::oci::RegistryError;
use crate::report::{ImageError, ImageOutcome, ImageReport, Verified};

/// Images worked on side by side; their blobs share the engine's limit.
const AT_ONCE: usize = 8;

/// What applying a plan needs.
pub(super) struct Work<'a> {
    ctx: &'a MirrorContext,
    sink: Place,
    engine: Engine<Place>,
    options: PassOptions,
    progress: Arc<dyn Progress>,
}

/// The good end of one image.
struct Done {
    outcome: ImageOutcome,
    verified: Verified,
    bytes: u64,
    reason: String,
    /// All its parts, when they were looked at in this run.
    inventory: Option<Inventory>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        ctx: &'a MirrorContext,
        sink: Place,
        options: PassOptions,
        progress: Arc<dyn Progress>,
    ) -> Self {
        Self {
            ctx,
            engine: Engine::new(sink.clone()),
            sink,
            options,
            progress,
        }
    }
}

/// Does what the plan says about each image; the reports are in the order of the configuration.
pub(super) async fn apply(work: &Work<'_>, images: Vec<Gathered>, now: Timestamp) -> Vec<ImageReport> {
    let reports = stream::iter(images)
        .map(|gathered| one(work, gathered, now))
        .buffered(AT_ONCE)
        .collect()
        .await;
    if let Place::Registry(remote) = &work.sink {
        remote.end_sessions().await;
    }
    reports
}

async fn one(work: &Work<'_>, gathered: Gathered, now: Timestamp) -> ImageReport {
    let Gathered {
        index,
        source,
        destination,
        image,
    } = gathered;
    work.progress.image_started(index, &source, &destination);
    let mut report = ImageReport {
        source,
        destination,
        digest: None,
        outcome: ImageOutcome::Failed,
        verified: None,
        bytes: 0,
        reason: String::new(),
        error: None,
    };
    match image {
        Err(error) => report.error = Some(error),
        Ok(image) => {
            report.digest = Some(image.from.digest.to_string());
            let step = step(work, &image, now);
            carry_out(work, &image, step, index, &mut report).await;
            if let Some(note) = image.from.note {
                let separator = if report.reason.is_empty() { "" } else { "; " };
                report.reason = format!("{}{separator}{note}", report.reason);
            }
        }
    }
    work.progress.image_finished(index, &report);
    report
}

fn step(work: &Work<'_>, image: &Image, now: Timestamp) -> Step {
    let facts = Facts {
        destination: &image.spot.name,
        source: Ok(image.from.digest.clone()),
        present: image.present.clone(),
        receipt: image.receipt.as_ref(),
        own_store: matches!(work.sink, Place::Folder(_)),
    };
    plan::plan(&facts, work.options.verify, now)
}

async fn carry_out(work: &Work<'_>, image: &Image, step: Step, index: usize, report: &mut ImageReport) {
    let done = match step {
        Step::Fail(error) => Err(error),
        Step::Present { .. } => Ok(Done {
            outcome: ImageOutcome::Present,
            verified: Verified::Receipt,
            bytes: 0,
            reason: "in the mirror, proven within a day".to_owned(),
            inventory: None,
        }),
        Step::Copy { why, .. } if work.options.dry_run => return would_copy(report, &why.text()),
        Step::Prove { digest, why } if work.options.dry_run => match look(work, image, &digest).await {
            Ok(Ok(_)) => Ok(Done {
                outcome: ImageOutcome::Present,
                verified: proof(work.options.verify),
                bytes: 0,
                reason: why.text(),
                inventory: None,
            }),
            Ok(Err(flaws)) => return would_copy(report, &format!("not whole in the mirror: {flaws}")),
            Err(fault) => Err(fault.report()),
        },
        Step::Copy { why, .. } => copy(work, image, index, why.text()).await,
        Step::Prove { digest, why } => prove(work, image, index, &digest, why.text()).await,
    };
    match done {
        Err(error) => {
            report.error = Some(error);
            if work.options.dry_run {
                return;
            }
            // What it said may no longer be so.
            if let Err(error) = work.ctx.receipts.revoke(&image.spot.name) {
                tracing::warn!(image = %image.spot.name, %error, "failed to take a receipt back");
            }
        }
        Ok(done) => {
            report.outcome = done.outcome;
            report.verified = Some(done.verified);
            report.bytes = done.bytes;
            report.reason = done.reason;
            if let Some(inventory) = done.inventory {
                record(work, image, report, done.verified, inventory).await;
            }
        }
    }
}

/// A dry run changes nothing, receipts included: reading is all it does.
fn would_copy(report: &mut ImageReport, why: &str) {
    report.outcome = ImageOutcome::Skipped;
    report.reason = format!("dry run; {why}");
}

fn proof(verify: Verify) -> Verified {
    match verify {
        Verify::Touch => Verified::Touched,
        Verify::Full => Verified::Hashed,
    }
}

async fn copy(work: &Work<'_>, image: &Image, index: usize, reason: String) -> Result<Done, ImageError> {
    let (depth, verified) = match work.options.verify {
        Verify::Touch => (Depth::ReadBack, Verified::Touched),
        Verify::Full => (Depth::Hash, Verified::Hashed),
    };
    // Before anything of it is served; the other way round only when all of it is there.
    if !image.public {
        let marked = mark(&work.sink, &image.spot.repository, false);
        marked.map_err(|e| ImageFault::at("close the repository of", image.from.name.clone(), e).report())?;
    }
    let job = Job {
        source: image.from.place.clone(),
        from: image.from.repository.clone(),
        digest: image.from.digest.clone(),
        to: image.spot.repository.clone(),
        tags: image.spot.tags.clone(),
        name: image.from.name.clone(),
        depth,
        index,
        progress: Arc::clone(&work.progress),
    };
    let copied = work.engine.copy(&job).await.map_err(|fault| fault.report())?;
    let reason = match copied.foreign {
        0 => reason,
        n => format!("{reason}; left out {n} layers that may not be distributed"),
    };
    Ok(Done {
        outcome: ImageOutcome::Copied,
        verified,
        bytes: copied.bytes,
        reason,
        inventory: Some(copied.inventory),
    })
}

/// Looks at every part of an image that seems to be there; copies it again when one is not whole.
async fn prove(
    work: &Work<'_>,
    image: &Image,
    index: usize,
    digest: &Digest,
    reason: String,
) -> Result<Done, ImageError> {
    let proven = look(work, image, digest).await.map_err(|fault| fault.report())?;
    let inventory = match proven {
        Ok(inventory) => inventory,
        Err(flaws) => return copy(work, image, index, format!("not whole in the mirror: {flaws}")).await,
    };
    Ok(Done {
        outcome: ImageOutcome::Present,
        verified: proof(work.options.verify),
        bytes: 0,
        reason,
        inventory: Some(inventory),
    })
}

/// The parts of the image at the destination, or in words what is wrong with them.
async fn look(
    work: &Work<'_>,
    image: &Image,
    digest: &Digest,
) -> Result<Result<Inventory, String>, ImageFault> {
    let repository = &image.spot.repository;
    let own_store = matches!(work.sink, Place::Folder(_));
    let receipt = image
        .receipt
        .as_ref()
        .filter(|r| r.is_about(digest, &image.spot.name));
    let inventory = match receipt {
        // A receipt lists the parts: no manifest needs to be read, which some registries count.
        Some(receipt) if !own_store && work.options.verify == Verify::Touch => receipt.inventory.clone(),
        _ => {
            let target = Target::Digest(digest.clone());
            match verify::inventory_at(&work.sink, repository, &target).await? {
                Found::Whole(inventory) => inventory,
                Found::Absent => return Ok(Err("its manifest is missing".to_owned())),
                Found::Broken(_, flaw) => return Ok(Err(flaw)),
            }
        }
    };
    let depth = match work.options.verify {
        Verify::Touch => Depth::Touch,
        Verify::Full => Depth::Hash,
    };
    let flaws = verify::flaws(&work.sink, repository, &inventory, depth).await?;
    Ok(if flaws.is_empty() {
        Ok(inventory)
    } else {
        Err(verify::list(&flaws))
    })
}

/// Keeps the receipt, and whether the image needs no login at the embedded registry.
async fn record(
    work: &Work<'_>,
    image: &Image,
    report: &ImageReport,
    verified: Verified,
    inventory: Inventory,
) {
    let receipt = Receipt::new(
        image.spot.name.clone(),
        report.source.clone(),
        image.from.digest.clone(),
        work.ctx.clock.now(),
        verified,
        inventory,
    );
    let receipts = work.ctx.receipts.clone();
    let work_sink = work.sink.clone();
    let (repository, public) = (image.spot.repository.clone(), image.public);
    // It waits for the disk.
    let kept = tokio::task::spawn_blocking(move || {
        let public = mark(&work_sink, &repository, public);
        (receipts.keep(&receipt), public)
    });
    let Ok((kept, public)) = kept.await else { return };
    if let Err(error) = kept {
        tracing::warn!(image = %image.spot.name, %error, "failed to keep a receipt: the next pass looks again");
    }
    if let Err(error) = public {
        tracing::warn!(image = %image.spot.name, %error, "failed to note whether the image is public");
    }
}

/// Notes in our own store whether a repository needs no login.
fn mark(sink: &Place, repository: &Repository, public: bool) -> Result<(), RegistryError> {
    match sink {
        Place::Folder(store) if store.is_public(repository) != public => store.set_public(repository, public),
        _ => Ok(()),
    }
}
