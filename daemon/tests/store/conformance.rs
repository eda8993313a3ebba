//! The rules of sources and sinks, kept by memory and by the store; and what a folder layout reads.

use syncd::oci::conformance::{Sample, pieces, sink_conformance, source_conformance};
use syncd::oci::layout::Layout;
use syncd::oci::memory::Memory;
use syncd::oci::store::ImageSink;
use syncd_config::Repository;

pub(crate) fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

/// A store in a new folder that holds the sample under `team/app`.
pub(crate) async fn filled() -> (tempfile::TempDir, Layout, Sample) {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::own(dir.path()).unwrap();
    let sample = Sample::sized("sample", 5_000).unwrap();
    fill(&store, &repository("team/app"), &sample).await;
    (dir, store, sample)
}

/// Writes the whole sample.
pub(crate) async fn fill<S: ImageSink>(store: &S, name: &Repository, sample: &Sample) {
    for (descriptor, bytes) in &sample.blobs {
        store.put_blob(name, descriptor, pieces(bytes)).await.unwrap();
    }
    for manifest in &sample.manifests {
        let tag = (manifest == sample.index().unwrap()).then_some(&sample.tag);
        store.put_manifest(name, manifest, tag).await.unwrap();
    }
}

#[tokio::test]
async fn memory_conforms() {
    let memory = Memory::new();
    sink_conformance(&memory, &repository("team/app"), &repository("other"))
        .await
        .unwrap();
}

#[tokio::test]
async fn store_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::own(dir.path()).unwrap();
    sink_conformance(&store, &repository("team/app"), &repository("team"))
        .await
        .unwrap();
}

/// What the store writes is an OCI image layout for everybody else, and the whole store can be read
/// beside its writer.
#[tokio::test]
async fn what_the_store_writes_is_read_as_a_folder() {
    let (dir, store, sample) = filled().await;
    let (name, index) = (repository("team/app"), sample.index().unwrap());
    let beside = Layout::open_read(dir.path()).unwrap();
    source_conformance(&beside, &name, &sample).await.unwrap();
    assert!(store.index_is_stale());
    store.flush_index().unwrap();
    assert!(!store.index_is_stale());

    let folder = Layout::open_read(&dir.path().join("repositories/team/app/_layout")).unwrap();
    source_conformance(&folder, &name, &sample).await.unwrap();
    let names: Vec<_> = folder
        .top_level()
        .unwrap()
        .into_iter()
        .map(|(name, d)| (name, d.digest))
        .collect();
    let artifact = sample.manifests.last().unwrap();
    assert_eq!(
        names,
        [
            (Some("v1".to_owned()), index.digest.clone()),
            (None, artifact.digest.clone())
        ],
        "tags, then what neither a tag nor an index leads to"
    );
}
