//! What every [`ImageSource`] and [`ImageSink`] has to do, as functions that tests call with each
//! of them. They return the first rule that is broken.

use std::fmt::Display;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use syncd_config::reference::Target;
use syncd_config::{Digest, Repository, Tag};

use super::error::{ErrorKind, RegistryError};
use super::graph;
use super::store::{BlobStream, Descriptor, ImageSink, ImageSource, Manifest, Touch};

/// A broken rule.
pub type Broken = String;

macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

/// A small image of two platforms with all that is easily got wrong: bytes that no JSON writer
/// would write, an empty layer, an artifact without layers that refers to the index.
pub struct Sample {
    /// Its blobs.
    pub blobs: Vec<(Descriptor, Bytes)>,
    /// Its manifests, children first; the last but one is the index, the last the artifact.
    pub manifests: Vec<Manifest>,
    /// The tag of the index.
    pub tag: Tag,
}

impl Sample {
    /// The sample; `salt` makes it one with other digests.
    ///
    /// # Errors
    /// Never.
    pub fn new(salt: &str) -> Result<Self, Broken> {
        Self::sized(salt, 3 << 20)
    }

    /// As [`Sample::new`], with a big layer of `size` bytes.
    ///
    /// # Errors
    /// Never.
    pub fn sized(salt: &str, size: usize) -> Result<Self, Broken> {
        let empty = blob("application/vnd.oci.empty.v1+json", Bytes::from_static(b"{}"));
        let nothing = blob("application/vnd.oci.image.layer.v1.tar", Bytes::new());
        let big: Vec<u8> = salt.bytes().cycle().take(size).collect();
        let big = blob("application/vnd.oci.image.layer.v1.tar", big.into());
        let (mut blobs, mut manifests) = (vec![empty.clone(), nothing.clone(), big.clone()], Vec::new());
        for architecture in ["amd64", "arm64"] {
            let config =
                format!("{{\"architecture\":\"{architecture}\",\"os\":\"linux\",\"salt\":\"{salt}\"}}");
            let config = blob("application/vnd.oci.image.config.v1+json", config.into());
            manifests.push(image(&config.0, &[&nothing.0, &big.0]));
            blobs.push(config);
        }
        manifests.push(index(&manifests));
        manifests.push(artifact(&empty.0, manifests.last().map(as_descriptor)));
        Ok(Self {
            blobs,
            manifests,
            tag: tag("v1")?,
        })
    }

    /// The index.
    ///
    /// # Errors
    /// Never.
    pub fn index(&self) -> Result<&Manifest, Broken> {
        self.manifests
            .iter()
            .rev()
            .nth(1)
            .ok_or_else(|| "no index".to_owned())
    }
}

fn blob(media_type: &str, bytes: Bytes) -> (Descriptor, Bytes) {
    (descriptor(media_type, &bytes), bytes)
}

/// The descriptor of these bytes.
#[must_use]
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::sha256(bytes),
        size: bytes.len() as u64,
        data: None,
        urls: Vec::new(),
        platform: None,
        artifact_type: None,
        annotations: std::collections::BTreeMap::new(),
    }
}

/// The manifest of these bytes.
#[must_use]
pub fn manifest(media_type: &str, text: String) -> Manifest {
    Manifest {
        digest: Digest::sha256(text.as_bytes()),
        bytes: text.into(),
        media_type: media_type.to_owned(),
    }
}

/// The blob as a stream of small pieces.
#[must_use]
pub fn pieces(bytes: &Bytes) -> BlobStream {
    let bytes = bytes.clone();
    let starts = (0..bytes.len()).step_by(100_000);
    let pieces: Vec<_> = starts
        .map(|at| Ok(bytes.slice(at..bytes.len().min(at + 100_000))))
        .collect();
    stream::iter(pieces).boxed()
}

fn as_descriptor(manifest: &Manifest) -> Descriptor {
    descriptor(&manifest.media_type, &manifest.bytes)
}

fn json(descriptor: &Descriptor) -> String {
    format!(
        "{{ \"size\": {}, \"digest\":\"{}\",\t\"mediaType\":\"{}\"}}",
        descriptor.size, descriptor.digest, descriptor.media_type
    )
}

/// An image manifest in a form that no writer gives back.
fn image(config: &Descriptor, layers: &[&Descriptor]) -> Manifest {
    let layers: Vec<_> = layers.iter().map(|layer| json(layer)).collect();
    let text = format!(
        "{{\n\"layers\" : [{}],\n   \"x-unknown\": 1.50e1,\"config\":{},\"schemaVersion\":2}}\n\n",
        layers.join(" ,\n"),
        json(config)
    );
    manifest(graph::OCI_MANIFEST, text)
}

fn index(children: &[Manifest]) -> Manifest {
    let entries: Vec<_> = children.iter().map(|child| json(&as_descriptor(child))).collect();
    let text = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{}\",\"manifests\":[{}]}}",
        graph::OCI_INDEX,
        entries.join(",")
    );
    manifest(graph::OCI_INDEX, text)
}

fn artifact(empty: &Descriptor, subject: Option<Descriptor>) -> Manifest {
    let subject = subject
        .map(|s| format!(",\"subject\":{}", json(&s)))
        .unwrap_or_default();
    let text = format!(
        "{{\"schemaVersion\":2,\"artifactType\":\"application/x.test\",\"config\":{},\"layers\":[]{subject}}}",
        json(empty)
    );
    manifest(graph::OCI_MANIFEST, text)
}

fn tag(text: &str) -> Result<Tag, Broken> {
    text.parse().map_err(said("a tag"))
}

fn said<E: Display>(what: &str) -> impl Fn(E) -> Broken {
    move |error| format!("{what}: {error}")
}

/// The rules of a source that holds the sample in `repository`.
///
/// # Errors
/// The first rule that is broken.
pub async fn source_conformance<S: ImageSource>(
    source: &S,
    repository: &Repository,
    sample: &Sample,
) -> Result<(), Broken> {
    ensure!(!source.place().is_empty(), "a place has a name");
    for manifest in &sample.manifests {
        reads_manifest(
            source,
            repository,
            &Target::Digest(manifest.digest.clone()),
            manifest,
        )
        .await?;
    }
    let by_tag = Target::Tag(sample.tag.clone());
    reads_manifest(source, repository, &by_tag, sample.index()?).await?;
    for (descriptor, bytes) in &sample.blobs {
        for offset in [0, bytes.len() / 3, bytes.len()] {
            let read = read(source, repository, descriptor, offset as u64)
                .await
                .map_err(said("reading a blob"))?;
            ensure!(read == bytes[offset..], "a blob is read from the offset on");
        }
    }
    knows_what_is_missing(source, repository).await
}

async fn reads_manifest<S: ImageSource>(
    source: &S,
    repository: &Repository,
    target: &Target,
    expected: &Manifest,
) -> Result<(), Broken> {
    let head = source
        .head(repository, target)
        .await
        .map_err(said("head of a manifest"))?
        .ok_or_else(|| format!("head finds {target}"))?;
    ensure!(
        head.digest == expected.digest,
        "head tells the digest of {target}"
    );
    let size = expected.bytes.len() as u64;
    ensure!(
        head.size.is_none_or(|s| s == size),
        "head tells no wrong size of {target}"
    );
    let told = head.media_type.as_ref();
    ensure!(
        told.is_none_or(|t| *t == expected.media_type),
        "head tells no wrong media type of {target}"
    );
    let manifest = source
        .manifest(repository, target)
        .await
        .map_err(said("reading a manifest"))?;
    ensure!(
        manifest == *expected,
        "{target} is read as the bytes it was written as"
    );
    Ok(())
}

async fn knows_what_is_missing<S: ImageSource>(source: &S, repository: &Repository) -> Result<(), Broken> {
    let absent = descriptor("application/x.absent", b"absent");
    for target in [Target::Digest(absent.digest.clone()), Target::Tag(tag("absent")?)] {
        let head = source.head(repository, &target).await;
        ensure!(
            matches!(head, Ok(None)),
            "head of an absent manifest is none: {head:?}"
        );
        let error = source.manifest(repository, &target).await.err();
        ensure!(
            error.is_some_and(|e| e.kind().is_not_found()),
            "an absent manifest is said to be absent"
        );
    }
    let error = read(source, repository, &absent, 0).await.err();
    ensure!(
        error.is_some_and(|e| e.kind().is_not_found()),
        "an absent blob is said to be absent"
    );
    Ok(())
}

async fn read<S: ImageSource>(
    source: &S,
    repository: &Repository,
    blob: &Descriptor,
    offset: u64,
) -> Result<Vec<u8>, RegistryError> {
    let mut stream = source.blob(repository, blob, offset).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.try_next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The rules of a sink, which is read back as a source. `repository` and `other` are empty.
///
/// # Errors
/// The first rule that is broken.
pub async fn sink_conformance<S: ImageSink + ImageSource>(
    sink: &S,
    repository: &Repository,
    other: &Repository,
) -> Result<(), Broken> {
    let sample = Sample::new("sink")?;
    refuses_wrong_content(sink, repository, &sample).await?;
    for (descriptor, bytes) in &sample.blobs {
        keeps_blob(sink, repository, descriptor, bytes).await?;
    }
    for manifest in &sample.manifests {
        sink.put_manifest(repository, manifest, None)
            .await
            .map_err(said("writing a manifest"))?;
    }
    moves_tag(sink, repository, &sample).await?;
    mounts(sink, repository, other, &sample).await?;
    source_conformance(sink, repository, &sample).await
}

async fn refuses_wrong_content<S: ImageSink>(
    sink: &S,
    repository: &Repository,
    sample: &Sample,
) -> Result<(), Broken> {
    for (descriptor, bytes) in &sample.blobs {
        let mut other = bytes.to_vec();
        match other.last_mut() {
            Some(last) => *last ^= 1,
            None => other.push(0),
        }
        let longer = [bytes.as_ref(), b"x"].concat();
        let mut wrong = vec![pieces(&other.into()), pieces(&longer.into())];
        if !bytes.is_empty() {
            wrong.push(pieces(&bytes.slice(..bytes.len() - 1)));
        }
        for content in wrong {
            let put = sink.put_blob(repository, descriptor, content).await;
            ensure!(put.is_err(), "content with another digest or size is refused");
        }
        let cut = RegistryError::new(ErrorKind::ConnectionReset, "there", "read");
        let broken = pieces(bytes).chain(stream::iter([Err(cut)])).boxed();
        let put = sink.put_blob(repository, descriptor, broken).await;
        ensure!(put.is_err(), "a stream that fails, fails the writing");
        let there = sink
            .has_blob(repository, descriptor)
            .await
            .map_err(said("looking for a blob"))?;
        ensure!(!there, "nothing is visible of content that was refused");
        let touch = sink.touch_blob(repository, descriptor).await;
        ensure!(
            matches!(touch, Ok(Touch::Missing)),
            "what is not there is missing"
        );
    }
    Ok(())
}

async fn keeps_blob<S: ImageSink>(
    sink: &S,
    repository: &Repository,
    descriptor: &Descriptor,
    bytes: &Bytes,
) -> Result<(), Broken> {
    for _ in 0..2 {
        sink.put_blob(repository, descriptor, pieces(bytes))
            .await
            .map_err(said("writing a blob, and again"))?;
        let there = sink.has_blob(repository, descriptor).await;
        ensure!(matches!(there, Ok(true)), "a written blob is there");
        let touch = sink.touch_blob(repository, descriptor).await;
        ensure!(
            matches!(touch, Ok(Touch::Good)),
            "a written blob stands a touch: {touch:?}"
        );
    }
    Ok(())
}

async fn moves_tag<S: ImageSink + ImageSource>(
    sink: &S,
    repository: &Repository,
    sample: &Sample,
) -> Result<(), Broken> {
    let target = Target::Tag(sample.tag.clone());
    let before = sink.head(repository, &target).await;
    ensure!(
        matches!(before, Ok(None)),
        "a manifest written without a tag sets none"
    );
    let first = sample.manifests.first().ok_or("no manifest")?;
    for manifest in [first, sample.index()?] {
        sink.put_manifest(repository, manifest, Some(&sample.tag))
            .await
            .map_err(said("writing a tag"))?;
        reads_manifest(sink, repository, &target, manifest).await?;
    }
    Ok(())
}

async fn mounts<S: ImageSink>(
    sink: &S,
    repository: &Repository,
    other: &Repository,
    sample: &Sample,
) -> Result<(), Broken> {
    let absent = descriptor("application/x.absent", b"absent");
    let mounted = sink.mount_blob(other, &absent, repository).await;
    ensure!(matches!(mounted, Ok(false)), "what is not there is not mounted");
    for (descriptor, _) in &sample.blobs {
        let before = sink.has_blob(other, descriptor).await;
        ensure!(
            matches!(before, Ok(false)),
            "a repository does not have another one's blobs"
        );
        let mounted = sink
            .mount_blob(other, descriptor, repository)
            .await
            .map_err(said("mounting"))?;
        let after = sink.has_blob(other, descriptor).await;
        ensure!(
            matches!(after, Ok(there) if there == mounted),
            "what is mounted is there"
        );
    }
    Ok(())
}
