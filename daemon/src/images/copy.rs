//! The copy engine: an image from any source to one sink, whole and proven.
//!
//! Everything is asked for by the one digest that the tag resolved to. The order is blobs, child
//! manifests, root manifest, proof, tag: a tag never points to what was not read back. A blob that
//! several images share comes from its source once: whoever needs it first copies it, the others
//! wait and mount it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use syncd_config::reference::Target;
use syncd_config::{Digest, Repository, Tag};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::fault::{DAMAGED, ImageFault};
use super::progress::Progress;
use super::resume;
use super::verify::{self, Depth, Flaw, Inventory};
use crate::oci::limit::Gate;
use crate::oci::retry::Retry;
use crate::oci::store::{Descriptor, ImageSink, ImageSource};
use crate::oci::walk::{self, Closure, ClosureBlob, ClosureManifest};
use crate::oci::{ErrorKind, RegistryError};

/// Blobs in flight over all images. Less than a registry's connections: manifests go first.
const BLOBS_AT_ONCE: usize = 12;
/// How often a blob is sent from its beginning.
const TRIES: u32 = 3;

/// Copies images to one sink. Clones share what is known about it.
#[derive(Clone)]
pub struct Engine<D> {
    sink: D,
    held: Arc<Mutex<HashMap<Digest, Arc<Holders>>>>,
    permits: Arc<Semaphore>,
    /// The budget of blobs begun again, over all images.
    retries: Arc<Gate>,
}

/// The repositories of the sink that have a blob. Locked while one of them gets it.
type Holders = tokio::sync::Mutex<Vec<Repository>>;

/// One image to copy.
#[derive(Clone)]
pub struct Job<S> {
    /// Where it comes from.
    pub source: S,
    /// Its repository there.
    pub from: Repository,
    /// What its tag resolved to, once.
    pub digest: Digest,
    /// Its repository at the sink.
    pub to: Repository,
    /// The tags to write there, last.
    pub tags: Vec<Tag>,
    /// What to call it in messages: the tag or digest that was asked for.
    pub name: String,
    /// How deep the proof goes.
    pub depth: Depth,
    /// Its place in the configuration, for progress.
    pub index: usize,
    /// Who is told how it goes on.
    pub progress: Arc<dyn Progress>,
}

/// A copied image.
#[derive(Clone, Debug)]
pub struct Copied {
    /// All its parts.
    pub inventory: Inventory,
    /// Bytes sent.
    pub bytes: u64,
    /// Layers left out because their maker forbids to distribute them.
    pub foreign: usize,
}

/// A blob's way to the sink.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Believe the sink when it says that it has the blob.
    Told,
    /// Send it whatever the sink says.
    Nothing,
}

impl<D> Engine<D>
where
    D: ImageSource + ImageSink + Clone + 'static,
{
    /// An engine that knows nothing about `sink` yet.
    #[must_use]
    pub fn new(sink: D) -> Self {
        Self {
            sink,
            held: Arc::default(),
            permits: Arc::new(Semaphore::new(BLOBS_AT_ONCE)),
            retries: Gate::new(1),
        }
    }

    /// Copies one image and proves it.
    ///
    /// # Errors
    ///
    /// When a part cannot be read, written or proven; the fault names the part.
    pub async fn copy<S>(&self, job: &Job<S>) -> Result<Copied, ImageFault>
    where
        S: ImageSource + Clone + 'static,
    {
        let closure = self.walk(job).await?;
        let sent = Arc::new(AtomicU64::new(0));
        let wanted = || closure.blobs.iter().cloned();
        job.progress.image_sized(job.index, closure.blob_bytes());
        self.send_blobs(job, wanted(), Trust::Told, &sent).await?;
        if let Err(fault) = self.put_manifests(job, &closure.manifests, &sent).await {
            if !misses_a_child(&fault) {
                return Err(fault);
            }
            // A garbage collection took blobs between our look and the manifest: look again, once.
            self.forget(&closure, &job.to);
            self.send_blobs(job, wanted(), Trust::Told, &sent).await?;
            self.put_manifests(job, &closure.manifests, &sent).await?;
        }
        let inventory = Inventory::of(&closure);
        self.prove(job, &closure, &inventory, &sent).await?;
        self.tag(job, &closure).await?;
        Ok(Copied {
            inventory,
            bytes: sent.load(Ordering::Relaxed),
            foreign: closure.foreign.len(),
        })
    }

    /// The closure, with paths that begin with the name that was asked for.
    async fn walk<S: ImageSource>(&self, job: &Job<S>) -> Result<Closure, ImageFault> {
        let root = Target::Digest(job.digest.clone());
        let short = walk::short(&root);
        let rename = |path: &mut String| {
            if let Some(rest) = path.strip_prefix(&short) {
                *path = format!("{}{rest}", job.name);
            }
        };
        let walked = walk::walk(&job.source, &job.from, &root).await;
        let mut closure = walked.map_err(|error| {
            let mut fault = ImageFault::from(error);
            rename(&mut fault.path);
            fault
        })?;
        closure.manifests.iter_mut().for_each(|m| rename(&mut m.path));
        closure.blobs.iter_mut().for_each(|b| rename(&mut b.path));
        Ok(closure)
    }

    async fn send_blobs<S>(
        &self,
        job: &Job<S>,
        blobs: impl Iterator<Item = ClosureBlob>,
        trust: Trust,
        sent: &Arc<AtomicU64>,
    ) -> Result<(), ImageFault>
    where
        S: ImageSource + Clone + 'static,
    {
        let mut blobs: Vec<_> = blobs.collect();
        // The big ones first: they decide when the last one ends.
        blobs.sort_by_key(|blob| std::cmp::Reverse(blob.descriptor.size));
        // Tasks, not just futures: hashing should use all cores. Dropped, they are aborted.
        let mut tasks = JoinSet::new();
        for blob in blobs {
            let (engine, job, sent) = (self.clone(), job.clone(), Arc::clone(sent));
            tasks.spawn(async move {
                let done = engine.provide(&job, &blob.descriptor, trust, &sent).await;
                done.map_err(|e| ImageFault::at("copy", blob.path, e))
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap_or_else(|error| {
                let canceled = RegistryError::new(ErrorKind::Canceled, self.sink.place(), "copy a blob");
                Err(ImageFault::at(
                    "copy",
                    job.name.clone(),
                    canceled.caused_by(error),
                ))
            })?;
        }
        Ok(())
    }

    /// Makes the sink's repository have the blob, by the cheapest way.
    async fn provide<S>(
        &self,
        job: &Job<S>,
        blob: &Descriptor,
        trust: Trust,
        sent: &Arc<AtomicU64>,
    ) -> Result<(), RegistryError>
    where
        S: ImageSource + Clone + 'static,
    {
        let holders = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(held.entry(blob.digest.clone()).or_default())
        };
        // One at a time to a digest. When the one before failed, the next tries itself.
        let mut holders = holders.lock().await;
        let found = |bytes| job.progress.image_advanced(job.index, bytes);
        if trust == Trust::Told && holders.contains(&job.to) {
            found(blob.size);
            return Ok(());
        }
        let _permit = self.permits.acquire().await;
        if trust == Trust::Told {
            let home = self.is_home(job).then_some(&job.from);
            let mounted = match holders.first().or(home) {
                Some(from) => self.sink.mount_blob(&job.to, blob, from).await?,
                None => false,
            };
            let there = mounted || holders.is_empty() && self.sink.has_blob(&job.to, blob).await?;
            if there {
                found(blob.size);
                holders.push(job.to.clone());
                return Ok(());
            }
        }
        self.send(job, blob, sent).await?;
        if !holders.contains(&job.to) {
            holders.push(job.to.clone());
        }
        Ok(())
    }

    /// Whether source and sink are one place.
    fn is_home<S: ImageSource>(&self, job: &Job<S>) -> bool {
        job.source.place() == self.sink.place()
    }

    /// The blob's bytes, from the source's live answer into the sink. A reading that breaks off
    /// goes on where it was; what fails otherwise is begun again.
    async fn send<S>(
        &self,
        job: &Job<S>,
        blob: &Descriptor,
        sent: &Arc<AtomicU64>,
    ) -> Result<(), RegistryError>
    where
        S: ImageSource + Clone + 'static,
    {
        // Requests that fail are tried again by the client; this is for uploads that broke half way,
        // which only a new reading can begin again.
        let again = Retry {
            tries: TRIES,
            ..Retry::default()
        };
        let place = self.sink.place();
        let sent = again.run(&self.retries, &place, "copy the blob", || async {
            let mut result = self.send_once(job, blob, sent).await?;
            if result.as_ref().is_err_and(is_worth_another) {
                result = self.send_once(job, blob, sent).await?;
            }
            result.map(Ok).or_else(|error| {
                if error.is_retryable() {
                    Err(error)
                } else {
                    Ok(Err(error))
                }
            })
        });
        sent.await?
    }

    /// The inner result is the upload's, the outer one the source's: that was tried often enough.
    async fn send_once<S>(
        &self,
        job: &Job<S>,
        blob: &Descriptor,
        sent: &Arc<AtomicU64>,
    ) -> Result<Result<(), RegistryError>, RegistryError>
    where
        S: ImageSource + Clone + 'static,
    {
        let (progress, index, sum) = (Arc::clone(&job.progress), job.index, Arc::clone(sent));
        let meter: resume::Meter = Arc::new(move |bytes| {
            sum.fetch_add(bytes, Ordering::Relaxed);
            progress.image_advanced(index, bytes);
        });
        let later = self.is_home(job);
        let content = resume::read(&job.source, &job.from, blob, later, meter).await?;
        Ok(self.sink.put_blob(&job.to, blob, content).await)
    }

    async fn put_manifests<S>(
        &self,
        job: &Job<S>,
        manifests: &[ClosureManifest],
        sent: &AtomicU64,
    ) -> Result<(), ImageFault> {
        for ClosureManifest { manifest, path, .. } in manifests {
            let put = self.sink.put_manifest(&job.to, manifest, None).await;
            put.map_err(|e| ImageFault::at("write", path.clone(), e))?;
            sent.fetch_add(manifest.bytes.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Reads back what was written. What is not whole is sent once more, whatever the sink says.
    async fn prove<S>(
        &self,
        job: &Job<S>,
        closure: &Closure,
        inventory: &Inventory,
        sent: &Arc<AtomicU64>,
    ) -> Result<(), ImageFault>
    where
        S: ImageSource + Clone + 'static,
    {
        let flaws = verify::flaws(&self.sink, &job.to, inventory, job.depth).await?;
        if flaws.is_empty() {
            return Ok(());
        }
        tracing::warn!(image = %job.name, flaws = %verify::list(&flaws), "the mirror lacks parts: they are sent again");
        let again = verify::by_digest(&flaws);
        let blobs = closure.blobs.iter();
        let blobs = blobs.filter(|blob| again.contains_key(&blob.descriptor.digest));
        self.send_blobs(job, blobs.cloned(), Trust::Nothing, sent).await?;
        // With the manifests above them: a registry may have dropped those as well.
        self.put_manifests(job, &closure.manifests, sent).await?;
        let flaws = verify::flaws(&self.sink, &job.to, inventory, job.depth).await?;
        match flaws.first() {
            None => Ok(()),
            Some(first) => Err(unhealed(first, &flaws)),
        }
    }

    async fn tag<S>(&self, job: &Job<S>, closure: &Closure) -> Result<(), ImageFault> {
        let Some(root) = closure.root() else {
            return Ok(());
        };
        for tag in &job.tags {
            let failed = |e| ImageFault::at("write", tag.to_string(), e);
            let put = self.sink.put_manifest(&job.to, &root.manifest, Some(tag)).await;
            put.map_err(failed)?;
            let head = self
                .sink
                .head(&job.to, &Target::Tag(tag.clone()))
                .await
                .map_err(failed)?;
            if head.is_none_or(|head| head.digest != root.manifest.digest) {
                let fault = ImageFault::found("prove", tag.to_string(), ErrorKind::Integrity.as_str());
                return Err(
                    fault.hint("another program writes the same tag, or the mirror serves an old answer")
                );
            }
        }
        Ok(())
    }

    /// Takes back what is known about the image's blobs in `repository`.
    fn forget(&self, closure: &Closure, repository: &Repository) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for blob in &closure.blobs {
            // One that is locked is on its way: nothing to take back.
            if let Some(holders) = held.get(&blob.descriptor.digest)
                && let Ok(mut holders) = holders.try_lock()
            {
                holders.retain(|holder| holder != repository);
            }
        }
    }
}

/// Whether an upload may succeed when it is begun again at once: a proxy may have spoiled the bytes
/// once (a second time is the source's own fault), and a registry that was restarted no longer knows
/// the session.
fn is_worth_another(error: &RegistryError) -> bool {
    error.kind() == ErrorKind::Integrity || error.kind().is_not_found() || error.status == Some(416)
}

/// Whether the sink refused a manifest because something below it is gone.
fn misses_a_child(fault: &ImageFault) -> bool {
    let source = fault
        .source
        .as_ref()
        .and_then(|s| s.downcast_ref::<RegistryError>());
    source.is_some_and(|error| {
        error.kind().is_not_found()
            || error.detail.contains("BLOB_UNKNOWN")
            || error.detail.contains("MANIFEST_UNKNOWN")
    })
}

fn unhealed(first: &Flaw, flaws: &[Flaw]) -> ImageFault {
    let mut fault =
        ImageFault::found("prove", first.part.path.clone(), ErrorKind::Integrity.as_str()).hint(DAMAGED);
    let words = format!("{DAMAGED} ({})", verify::list(flaws));
    fault.source = Some(words.into());
    fault
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
