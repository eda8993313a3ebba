//! The rules of sources and sinks, kept by memory and by the store; and what a folder layout reads.

use syncd::oci::conformance::{Sample, sink_conformance, source_conformance};
use syncd::oci::layout::Layout;
use syncd::oci::memory::Memory;
use syncd::oci::store::ImageSink as _;
use syncd_config::Repository;

fn repository(name: &str) -> Repository {
    name.parse().unwrap()
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
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::own(dir.path()).unwrap();
    let (name, sample) = (repository("team/app"), Sample::new("folder").unwrap());
    for (descriptor, bytes) in &sample.blobs {
        let content = syncd::oci::conformance::pieces(bytes);
        store.put_blob(&name, descriptor, content).await.unwrap();
    }
    for manifest in &sample.manifests {
        store.put_manifest(&name, manifest, None).await.unwrap();
    }
    let index = sample.index().unwrap();
    store.set_tag(&name, &sample.tag, &index.digest).unwrap();
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
