//! Closures: the order, what is read how often, and what is refused.

use bytes::Bytes;
use syncd::oci::ErrorKind;
use syncd::oci::conformance::{Sample, descriptor, manifest};
use syncd::oci::graph::{OCI_INDEX, OCI_MANIFEST};
use syncd::oci::memory::Memory;
use syncd::oci::store::{Descriptor, ImageSink as _, Manifest};
use syncd::oci::walk::{MAX_MANIFESTS, WalkError, walk};
use syncd_config::Repository;
use syncd_config::reference::Target;

use crate::conformance::{fill, repository};

fn app() -> Repository {
    repository("team/app")
}

fn digest(manifest: &Manifest) -> Target {
    Target::Digest(manifest.digest.clone())
}

fn of(manifest: &Manifest) -> Descriptor {
    descriptor(&manifest.media_type, &manifest.bytes)
}

fn index(children: &[Descriptor]) -> Manifest {
    let text = serde_json::json!({"schemaVersion": 2, "manifests": children}).to_string();
    manifest(OCI_INDEX, text)
}

fn image(name: &str) -> Manifest {
    let config = descriptor("application/vnd.oci.image.config.v1+json", name.as_bytes());
    let text = serde_json::json!({"schemaVersion": 2, "config": config, "layers": []}).to_string();
    manifest(OCI_MANIFEST, text)
}

async fn memory(manifests: &[&Manifest]) -> Memory {
    let memory = Memory::new();
    for manifest in manifests {
        memory.put_manifest(&app(), manifest, None).await.unwrap();
    }
    memory
}

async fn refused(memory: &Memory, root: &Manifest) -> (ErrorKind, String) {
    let error = walk(memory, &app(), &digest(root)).await.unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    (error.kind(), format!("{error}: {}", source.unwrap_or_default()))
}

#[tokio::test]
async fn the_whole_sample() {
    let (memory, sample) = (Memory::new(), Sample::sized("walk", 10_000).unwrap());
    fill(&memory, &app(), &sample).await;
    let closure = walk(&memory, &app(), &Target::Tag(sample.tag.clone()))
        .await
        .unwrap();
    let manifests: Vec<_> = closure.manifests.iter().map(|m| &m.manifest).collect();
    assert_eq!(
        manifests,
        sample.manifests[..3].iter().collect::<Vec<_>>(),
        "children, then the root"
    );
    let paths: Vec<_> = closure.blobs.iter().map(|b| b.path.clone()).collect();
    let short = |at: usize| format!("sha256:{}", &sample.manifests[at].digest.hex()[..12]);
    assert_eq!(
        paths,
        [
            format!("v1 -> index -> {} -> config", short(0)),
            format!("v1 -> index -> {} -> layer 1", short(0)),
            format!("v1 -> index -> {} -> layer 2", short(0)),
            format!("v1 -> index -> {} -> config", short(1)),
        ],
        "shared layers once"
    );
    let sizes: u64 = closure.blobs.iter().map(|b| b.descriptor.size).sum();
    assert_eq!(closure.blob_bytes(), sizes);
    assert_eq!(
        memory.counts().manifests,
        3,
        "each manifest is read once, and no blob"
    );
    assert_eq!((memory.counts().heads, memory.counts().blobs), (0, 0));
}

#[tokio::test]
async fn a_platform_names_the_way() {
    let child = image("child");
    let mut pointer = of(&child);
    pointer.platform = Some(syncd::oci::store::DescriptorPlatform {
        architecture: "arm".to_owned(),
        os: "linux".to_owned(),
        variant: Some("v7\u{1b}".to_owned()),
        os_version: None,
    });
    let root = index(&[pointer]);
    let memory = memory(&[&child, &root]).await;
    let closure = walk(&memory, &app(), &digest(&root)).await.unwrap();
    assert!(
        closure.blobs[0]
            .path
            .ends_with(" -> index -> linux/arm/v7\\u{1b} -> config")
    );
    assert_eq!(
        closure.manifests[0].platform.as_ref().unwrap().architecture,
        "arm"
    );
    assert_eq!(closure.root().unwrap().manifest, root);
}

/// A manifest on two levels has to come before both parents.
#[tokio::test]
async fn shared_children_come_first() {
    let shared = image("shared");
    let middle = index(&[of(&shared)]);
    let root = index(&[of(&shared), of(&middle), of(&shared)]);
    let memory = memory(&[&shared, &middle, &root]).await;
    let closure = walk(&memory, &app(), &digest(&root)).await.unwrap();
    let order: Vec<_> = closure.manifests.iter().map(|m| &m.manifest).collect();
    assert_eq!(order, [&shared, &middle, &root]);
    assert_eq!(memory.counts().manifests, 3);
}

/// buildkit's cache: an index whose entries are blobs, some of a type nobody knows.
#[tokio::test]
async fn entries_of_unknown_type_are_manifests_or_blobs() {
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", b"layer");
    let unknown = descriptor("application/x.new", b"new");
    let child = image("child");
    let mut odd = of(&child);
    odd.media_type = "application/x.odd".to_owned();
    let root = index(&[layer, unknown.clone(), odd]);
    let memory = memory(&[&child, &root]).await;
    memory
        .put_blob(
            &app(),
            &unknown,
            syncd::oci::conformance::pieces(&Bytes::from_static(b"new")),
        )
        .await
        .unwrap();
    let closure = walk(&memory, &app(), &digest(&root)).await.unwrap();
    let blobs: Vec<_> = closure
        .blobs
        .iter()
        .map(|b| b.path.rsplit(" -> ").next().unwrap())
        .collect();
    let short = format!("sha256:{}", &unknown.digest.hex()[..12]);
    assert_eq!(blobs, ["blob 1", short.as_str(), "config"]);
    assert_eq!(closure.manifests.len(), 2);
}

#[tokio::test]
async fn foreign_layers_are_recorded_apart() {
    let config = descriptor("application/vnd.oci.image.config.v1+json", b"c");
    let mut layer = descriptor(
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        b"base",
    );
    layer.urls = vec!["http://169.254.169.254/".to_owned()];
    let text = serde_json::json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string();
    let root = manifest(OCI_MANIFEST, text);
    let memory = memory(&[&root]).await;
    let closure = walk(&memory, &app(), &digest(&root)).await.unwrap();
    assert_eq!(closure.blobs.len(), 1);
    assert!(closure.foreign[0].path.ends_with("foreign layer 1"));
}

#[tokio::test]
async fn depth_is_capped() {
    let mut nested = vec![image("deep")];
    for _ in 0..4 {
        nested.push(index(&[of(nested.last().unwrap())]));
    }
    let all: Vec<_> = nested.iter().collect();
    let memory = memory(&all).await;
    assert!(
        walk(&memory, &app(), &digest(&nested[3])).await.is_ok(),
        "4 levels"
    );
    let (kind, text) = refused(&memory, &nested[4]).await;
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(text.contains("deeper than 4 levels"), "{text}");
}

#[tokio::test]
async fn the_number_of_manifests_is_capped() {
    let children =
        |salt: usize| -> Vec<Manifest> { (0..900).map(|n| image(&format!("{salt}-{n}"))).collect() };
    let mut all: Vec<Manifest> = Vec::new();
    let mut middles = Vec::new();
    for salt in 0..3 {
        let leaves = children(salt);
        middles.push(index(&leaves.iter().map(of).collect::<Vec<_>>()));
        all.extend(leaves);
    }
    let root = index(&middles.iter().map(of).collect::<Vec<_>>());
    all.extend(middles);
    let memory = memory(&all.iter().chain([&root]).collect::<Vec<_>>()).await;
    let (kind, text) = refused(&memory, &root).await;
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(
        text.contains(&format!("more than {MAX_MANIFESTS} manifests")),
        "{text}"
    );
    assert!(
        memory.counts().manifests <= 4,
        "refused before they are read: {:?}",
        memory.counts()
    );
}

#[tokio::test]
async fn parents_and_children_agree() {
    let child = image("child");
    let mut shorter = of(&child);
    shorter.size -= 1;
    let mut retyped = of(&child);
    retyped.media_type = OCI_INDEX.to_owned();
    for (pointers, kind, words) in [
        (vec![shorter.clone()], ErrorKind::Integrity, "its parent says"),
        (vec![retyped.clone()], ErrorKind::Malformed, "its parent says"),
        (vec![of(&child), retyped], ErrorKind::Malformed, "elsewhere"),
        (vec![of(&child), shorter], ErrorKind::Malformed, "elsewhere"),
    ] {
        let root = index(&pointers);
        let memory = memory(&[&child, &root]).await;
        let (found, text) = refused(&memory, &root).await;
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_blob_has_one_size() {
    let config = descriptor("application/vnd.oci.image.config.v1+json", b"c");
    let mut layer = config.clone();
    layer.size = 9;
    let text = serde_json::json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string();
    let root = manifest(OCI_MANIFEST, text);
    let memory = memory(&[&root]).await;
    let (kind, text) = refused(&memory, &root).await;
    assert_eq!(kind, ErrorKind::Malformed);
    assert!(
        text.contains("layer 1") && text.contains("9 bytes here and 1 elsewhere"),
        "{text}"
    );
}

#[tokio::test]
async fn a_missing_child_is_named_with_its_way() {
    let child = image("child");
    let root = index(&[of(&child)]);
    let memory = memory(&[&root]).await;
    let error = walk(&memory, &app(), &digest(&root)).await.unwrap_err();
    assert!(matches!(error, WalkError::Source { .. }));
    assert_eq!(error.kind(), ErrorKind::ManifestUnknown);
    let short = &child.digest.hex()[..12];
    assert!(
        error
            .to_string()
            .ends_with(&format!(" -> index -> sha256:{short}")),
        "{error}"
    );
}
