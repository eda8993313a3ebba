//! The engine between a source and a sink in memory that misbehave on command.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures::{StreamExt as _, stream};

use super::super::progress::Silent;
use super::super::samples;
use super::*;
use crate::oci::memory::Memory;
use crate::oci::store::{BlobStream, Manifest, ManifestHead, Touch};

/// What goes wrong, by digest.
#[derive(Default)]
struct Faults {
    /// Readings of the blob that break off after that many bytes, one after the other.
    cuts: HashMap<Digest, Vec<usize>>,
    /// Blobs that cannot be read at all, that many times.
    gone: HashMap<Digest, u32>,
    /// Blobs that the sink claims to have and cannot serve.
    lost: HashSet<Digest>,
    /// Whether sending a lost blob again heals it.
    heals: bool,
    /// Manifests that are refused once because a blob below is gone; the blob goes with it.
    forgets: HashMap<Digest, Digest>,
    no_mounts: bool,
    /// Uploads whose session the sink forgets, of this digest.
    forgotten_sessions: HashMap<Digest, u32>,
    /// All offsets at which blobs were read.
    reads: Vec<(Digest, u64)>,
    /// What was written, in order.
    log: Vec<String>,
}

#[derive(Clone, Default)]
struct Odd {
    name: &'static str,
    /// How many connections it allows at once, when it counts them.
    connections: Option<Arc<Semaphore>>,
    memory: Memory,
    faults: Arc<Mutex<Faults>>,
}

impl Odd {
    fn source() -> Self {
        Self {
            name: "source",
            ..Self::default()
        }
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    async fn connection(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let connections = self.connections.clone()?;
        connections.acquire_owned().await.ok()
    }

    fn broken(&self, kind: ErrorKind) -> RegistryError {
        RegistryError::new(kind, "odd", "read a blob")
    }
}

impl ImageSource for Odd {
    async fn head(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Option<ManifestHead>, RegistryError> {
        self.memory.head(repository, target).await
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<Manifest, RegistryError> {
        self.memory.manifest(repository, target).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        offset: u64,
    ) -> Result<BlobStream, RegistryError> {
        let cut = {
            let mut faults = self.faults();
            faults.reads.push((blob.digest.clone(), offset));
            if let Some(left) = faults.gone.get_mut(&blob.digest).filter(|left| **left > 0) {
                *left -= 1;
                return Err(self.broken(ErrorKind::BlobUnknown));
            }
            let cuts = faults.cuts.get_mut(&blob.digest);
            cuts.filter(|cuts| !cuts.is_empty()).map(|cuts| cuts.remove(0))
        };
        let connection = self.connection().await;
        let whole = self.memory.blob(repository, blob, offset).await?;
        let whole = whole
            .inspect(move |_| {
                let _held = &connection;
            })
            .boxed();
        let Some(cut) = cut else { return Ok(whole) };
        let bytes: Vec<Bytes> = whole.map(Result::unwrap).collect().await;
        let kept = bytes.concat().into_iter().take(cut).collect::<Vec<u8>>();
        let broken = Err(self.broken(ErrorKind::ConnectionReset));
        Ok(stream::iter([Ok(Bytes::from(kept)), broken]).boxed())
    }

    fn place(&self) -> String {
        self.name.to_owned()
    }
}

impl ImageSink for Odd {
    async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool, RegistryError> {
        let lost = self.faults().lost.contains(&blob.digest);
        Ok(lost || self.memory.has_blob(repository, blob).await?)
    }

    async fn mount_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        from: &Repository,
    ) -> Result<bool, RegistryError> {
        if self.faults().no_mounts {
            return Ok(false);
        }
        self.memory.mount_blob(repository, blob, from).await
    }

    async fn put_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        content: BlobStream,
    ) -> Result<(), RegistryError> {
        // The request that starts the upload.
        drop(self.connection().await);
        let forgotten = self
            .faults()
            .forgotten_sessions
            .get_mut(&blob.digest)
            .is_some_and(|left| {
                let forgets = *left > 0;
                *left = left.saturating_sub(1);
                forgets
            });
        if forgotten {
            return Err(
                RegistryError::new(ErrorKind::BlobUnknown, "odd", "send").detail("BLOB_UPLOAD_UNKNOWN")
            );
        }
        self.memory.put_blob(repository, blob, content).await?;
        let mut faults = self.faults();
        faults.log.push("blob".to_owned());
        if faults.heals {
            faults.lost.remove(&blob.digest);
        }
        Ok(())
    }

    async fn put_manifest(
        &self,
        repository: &Repository,
        manifest: &Manifest,
        tag: Option<&Tag>,
    ) -> Result<(), RegistryError> {
        let forgotten = self.faults().forgets.remove(&manifest.digest);
        if let Some(blob) = forgotten {
            self.memory.damage_blob(repository, &blob, Bytes::new());
            return Err(
                RegistryError::new(ErrorKind::Malformed, "odd", "write").detail("MANIFEST_BLOB_UNKNOWN")
            );
        }
        let name = tag.map_or_else(|| "manifest".to_owned(), Tag::to_string);
        self.faults().log.push(name);
        self.memory.put_manifest(repository, manifest, tag).await
    }

    async fn touch_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<Touch, RegistryError> {
        if self.faults().lost.contains(&blob.digest) {
            return Ok(Touch::Damaged);
        }
        self.memory.touch_blob(repository, blob).await
    }
}

const A: &[u8] = &[b'a'; 5000];
const B: &[u8] = &[b'b'; 3000];
const C: &[u8] = &[b'c'; 100];

fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

fn job(source: &Odd, from: &str, root: &Manifest, to: &str) -> Job<Odd> {
    Job {
        source: source.clone(),
        from: repository(from),
        digest: root.digest.clone(),
        to: repository(to),
        tags: vec!["1".parse().unwrap()],
        name: "1".to_owned(),
        depth: Depth::ReadBack,
        index: 0,
        progress: Arc::new(Silent),
    }
}

/// A source with `lib/x:1` of two platforms that share layer [`A`].
async fn source() -> (Odd, Manifest) {
    let source = Odd::source();
    let root = samples::index(&source.memory, &repository("lib/x"), "1", &[A, B], &[A, C]).await;
    (source, root)
}

fn reads_of(odd: &Odd, content: &[u8]) -> Vec<u64> {
    let digest = Digest::sha256(content);
    let reads = odd.faults().reads.clone();
    reads
        .into_iter()
        .filter(|(d, _)| *d == digest)
        .map(|(_, at)| at)
        .collect()
}

#[tokio::test]
async fn an_image_comes_whole_byte_for_byte_and_its_tag_last() {
    let (source, root) = source().await;
    let sink = Odd::default();
    let copied = Engine::new(sink.clone())
        .copy(&job(&source, "lib/x", &root, "to/x"))
        .await
        .unwrap();
    let got = sink
        .manifest(&repository("to/x"), &"1".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(got, root);
    assert_eq!(copied.inventory.manifests.len(), 3);
    assert_eq!(copied.inventory.blobs.len(), 5);
    assert_eq!(
        reads_of(&source, A).len(),
        1,
        "shared by both platforms, read once"
    );
    let log = sink.faults().log.clone();
    assert_eq!(log[..5], ["blob"; 5].map(str::to_owned));
    assert_eq!(
        log[5..],
        ["manifest", "manifest", "manifest", "1"].map(str::to_owned)
    );
    assert_eq!(copied.bytes, copied.inventory.bytes());
}

#[tokio::test]
async fn blobs_shared_by_images_come_once_and_are_mounted() {
    let source = Odd::source();
    let mut jobs = Vec::new();
    for n in 0..6 {
        let name = format!("lib/x{n}");
        let own = vec![n; 2000];
        let root = samples::index(&source.memory, &repository(&name), "1", &[A, &own], &[A, B]).await;
        jobs.push(job(&source, &name, &root, &format!("to/x{n}")));
    }
    let sink = Odd::default();
    let engine = Engine::new(sink.clone());
    let done = futures::future::join_all(jobs.iter().map(|job| engine.copy(job))).await;
    assert!(done.iter().all(Result::is_ok));
    assert_eq!((reads_of(&source, A).len(), reads_of(&source, B).len()), (1, 1));
    // A, B and the two configs, in five more repositories each.
    assert_eq!(sink.memory.counts().mounts, 4 * 5);
    assert_eq!(sink.memory.counts().puts, 4 + 6);
}

#[tokio::test]
async fn a_sink_that_does_not_mount_gets_the_blobs_again() {
    let (source, root) = source().await;
    let sink = Odd::default();
    sink.faults().no_mounts = true;
    let engine = Engine::new(sink.clone());
    for to in ["to/x", "to/y"] {
        engine.copy(&job(&source, "lib/x", &root, to)).await.unwrap();
    }
    assert_eq!(reads_of(&source, A).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reading_never_holds_the_connection_that_its_own_upload_waits_for() {
    let (mut odd, root) = source().await;
    odd.connections = Some(Arc::new(Semaphore::new(1)));
    odd.faults().no_mounts = true;
    let engine = Engine::new(odd.clone());
    let job = job(&odd, "lib/x", &root, "to/x");
    let hour = std::time::Duration::from_secs(3600);
    let copied = tokio::time::timeout(hour, engine.copy(&job)).await;
    copied.expect("source and sink are one registry").unwrap();
}

#[tokio::test]
async fn a_follower_tries_itself_when_the_leader_failed() {
    let (source, root) = source().await;
    source.faults().gone.insert(Digest::sha256(A), 1);
    let sink = Odd::default();
    let engine = Engine::new(sink.clone());
    let (one, two) = (
        job(&source, "lib/x", &root, "to/x"),
        job(&source, "lib/x", &root, "to/y"),
    );
    let (one, two) = futures::join!(engine.copy(&one), engine.copy(&two));
    assert_eq!(
        [one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(),
        1,
        "{one:?} {two:?}"
    );
}

#[tokio::test]
async fn a_blob_that_the_source_lacks_is_named_and_nothing_is_tagged() {
    let (source, root) = source().await;
    source.faults().gone.insert(Digest::sha256(C), u32::MAX);
    let sink = Odd::default();
    let fault = Engine::new(sink.clone())
        .copy(&job(&source, "lib/x", &root, "to/x"))
        .await
        .unwrap_err();
    let report = fault.report();
    assert_eq!(report.kind, "blob_unknown");
    assert_eq!(report.path, "1 -> index -> linux/arm64 -> layer 2");
    assert_eq!(sink.memory.tags(&repository("to/x")), []);
    assert_eq!(reads_of(&source, C).len(), 1, "asking again would not help");
}

#[tokio::test]
async fn a_reading_that_breaks_off_goes_on_where_it_was() {
    let (source, root) = source().await;
    source
        .faults()
        .cuts
        .insert(Digest::sha256(A), vec![1200, 1200, 1200, 1200, 100]);
    let sink = Odd::default();
    Engine::new(sink.clone())
        .copy(&job(&source, "lib/x", &root, "to/x"))
        .await
        .unwrap();
    assert_eq!(reads_of(&source, A), [0, 1200, 2400, 3600, 4800, 4900]);
    assert_eq!(sink.memory.counts().puts, 5, "one upload a blob");
}

#[tokio::test(start_paused = true)]
async fn a_reading_without_progress_or_with_too_many_breaks_begins_again_and_ends() {
    for (cuts, reads) in [
        (vec![0, 100, 0], vec![0, 0, 100, 0]),
        (vec![100; 6], vec![0, 100, 200, 300, 400, 500, 0]),
        (vec![0; 9], vec![0, 0, 0]),
    ] {
        let (source, root) = source().await;
        let ends_well = cuts.len() < 9;
        source.faults().cuts.insert(Digest::sha256(A), cuts);
        let done = Engine::new(Odd::default())
            .copy(&job(&source, "lib/x", &root, "to/x"))
            .await;
        assert_eq!(done.is_ok(), ends_well);
        assert_eq!(reads_of(&source, A), reads);
    }
}

#[tokio::test]
async fn a_forgotten_upload_session_is_begun_again_once() {
    for (times, ends_well) in [(1, true), (2, false)] {
        let (source, root) = source().await;
        let sink = Odd::default();
        sink.faults().forgotten_sessions.insert(Digest::sha256(A), times);
        let done = Engine::new(sink)
            .copy(&job(&source, "lib/x", &root, "to/x"))
            .await;
        assert_eq!(done.is_ok(), ends_well);
        assert_eq!(reads_of(&source, A).len(), 2);
    }
}

#[tokio::test]
async fn corrupt_bytes_are_never_stored() {
    let (source, root) = source().await;
    let mut wrong = A.to_vec();
    wrong[4999] ^= 1;
    source
        .memory
        .damage_blob(&repository("lib/x"), &Digest::sha256(A), wrong.into());
    let sink = Odd::default();
    let fault = Engine::new(sink.clone())
        .copy(&job(&source, "lib/x", &root, "to/x"))
        .await
        .unwrap_err();
    assert_eq!(fault.kind, "integrity");
    let blob = samples::descriptor("x", A);
    assert!(!sink.has_blob(&repository("to/x"), &blob).await.unwrap());
    assert_eq!(sink.memory.tags(&repository("to/x")), []);
}

#[tokio::test]
async fn a_sink_that_lies_about_a_blob_gets_it_once_more() {
    for heals in [true, false] {
        let (source, root) = source().await;
        let sink = Odd::default();
        sink.faults().lost.insert(Digest::sha256(B));
        sink.faults().heals = heals;
        let done = Engine::new(sink.clone())
            .copy(&job(&source, "lib/x", &root, "to/x"))
            .await;
        assert_eq!(reads_of(&source, B).len(), 1, "one attempt to heal");
        if heals {
            done.unwrap();
            continue;
        }
        let report = done.unwrap_err().report();
        assert_eq!(
            (report.kind.as_str(), report.hint.as_deref()),
            ("integrity", Some(DAMAGED))
        );
        assert!(report.message.contains(DAMAGED), "{}", report.message);
        assert_eq!(report.path, "1 -> index -> linux/amd64 -> layer 2");
        assert_eq!(sink.memory.tags(&repository("to/x")), [], "no tag points to it");
    }
}

#[tokio::test]
async fn blobs_that_a_garbage_collection_took_are_sent_again_once() {
    let (source, root) = source().await;
    let sink = Odd::default();
    sink.faults()
        .forgets
        .insert(root.digest.clone(), Digest::sha256(B));
    Engine::new(sink.clone())
        .copy(&job(&source, "lib/x", &root, "to/x"))
        .await
        .unwrap();
    assert_eq!(reads_of(&source, B).len(), 2);
    assert_eq!(reads_of(&source, A).len(), 1);
}

#[tokio::test]
async fn a_registry_that_drops_the_connection_mid_blob_is_asked_for_the_rest() {
    use crate::oci::scripted::{Asked, Scripted, answer, broken, client};
    static CONTENT: [u8; 9000] = [b'a'; 9000];
    let memory = Memory::new();
    let from = repository("lib/x");
    let root = samples::image(&memory, &from, "amd64", &[&CONTENT]).await;
    let config = memory
        .manifest(&from, &Target::Digest(root.digest.clone()))
        .await
        .unwrap();
    let config = crate::oci::graph::parse(&config).unwrap().children[0]
        .descriptor
        .clone();
    let config_bytes = memory
        .blob(&from, &config, 0)
        .await
        .unwrap()
        .next()
        .await
        .unwrap()
        .unwrap();
    let (served, layer) = (root.clone(), Digest::sha256(&CONTENT).to_string());
    let script = move |asked: &Asked| match (asked.uri.rsplit('/').next().unwrap(), asked.header("range")) {
        (digest, None) if digest == layer => {
            answer(200, &[("content-length", "9000")], broken(&CONTENT[..4000]))
        }
        (digest, Some(range)) if digest == layer => {
            let at: usize = range
                .strip_prefix("bytes=")
                .unwrap()
                .trim_end_matches('-')
                .parse()
                .unwrap();
            answer(
                206,
                &[("content-range", &format!("bytes {at}-8999/9000"))],
                &CONTENT[at..],
            )
        }
        (digest, _) if digest == served.digest.to_string() => {
            answer(200, &[("content-type", &served.media_type)], served.bytes.clone())
        }
        _ => answer(200, &[], config_bytes.clone()),
    };
    let registry = Scripted::start(script).await;
    let source = crate::oci::remote::Remote::source(client(&[&registry.host]), registry.host.clone());
    let to = repository("to/x");
    let copied = Engine::new(memory.clone())
        .copy(&Job {
            source,
            from: from.clone(),
            digest: root.digest.clone(),
            to: to.clone(),
            tags: vec!["1".parse().unwrap()],
            name: "1".to_owned(),
            depth: Depth::Hash,
            index: 0,
            progress: Arc::new(Silent),
        })
        .await
        .unwrap();
    assert_eq!(copied.bytes, copied.inventory.bytes(), "no byte came twice");
    let ranges: Vec<_> = registry
        .asked()
        .iter()
        .filter_map(|a| a.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges, ["bytes=4000-"]);
    assert_eq!(memory.tags(&to).len(), 1);
}
