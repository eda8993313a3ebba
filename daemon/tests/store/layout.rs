//! The store: who may open it, what is shared, what damage does, what deleting leaves.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use syncd::oci::conformance::{Sample, descriptor, pieces, source_conformance};
use syncd::oci::layout::{Children, Layout};
use syncd::oci::store::{Descriptor, ImageSink as _, ImageSource as _, Touch};
use syncd::oci::{ErrorKind, RegistryError};
use syncd_config::reference::Target;
use syncd_config::{Digest, Tag};

use crate::conformance::{fill, filled, repository};

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn refused(opened: Result<Layout, RegistryError>) -> (ErrorKind, String) {
    let error = opened.err().unwrap();
    (error.kind(), error.to_string())
}

fn shared(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join("blobs")
        .join(digest.algorithm().as_str())
        .join(digest.hex())
}

fn own(dir: &Path, name: &str, digest: &Digest) -> PathBuf {
    dir.join("repositories")
        .join(name)
        .join("_layout/blobs/sha256")
        .join(digest.hex())
}

#[test]
fn one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::own(dir.path()).unwrap();
    let (kind, text) = refused(Layout::own(dir.path()));
    assert_eq!(kind, ErrorKind::Locked);
    assert!(
        text.ends_with(&format!("process {} is writing to it", std::process::id())),
        "{text}"
    );
    let clone = store.clone();
    drop(store);
    assert!(Layout::own(dir.path()).is_err(), "a clone holds it as well");
    drop(clone);
    Layout::own(dir.path()).unwrap();
}

#[test]
fn a_newer_store_is_read_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    drop(Layout::own(dir.path()).unwrap());
    assert_eq!(
        std::fs::read_to_string(dir.path().join("VERSION")).unwrap(),
        "1\n"
    );
    std::fs::write(dir.path().join("VERSION"), "2\n").unwrap();
    let (kind, text) = refused(Layout::own(dir.path()));
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(text.contains("a newer syncd made it (form 2"), "{text}");
    let reader = Layout::open_read(dir.path()).unwrap();
    assert!(reader.repositories(None, 10).unwrap().is_empty());
    let refused_write = reader.set_public(&repository("a"), true).unwrap_err();
    assert_eq!(refused_write.kind(), ErrorKind::WriteRefused);
    for damaged in ["", "one\n"] {
        std::fs::write(dir.path().join("VERSION"), damaged).unwrap();
        assert_eq!(refused(Layout::own(dir.path())).0, ErrorKind::Integrity);
    }
}

#[test]
fn a_folder_of_somebody_else_is_left_alone() {
    for (name, folder) in [("notes.txt", "."), ("notes.txt", "tmp"), ("syncd-1", "data")] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(folder);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(name), "precious").unwrap();
        let (kind, text) = refused(Layout::own(dir.path()));
        assert_eq!(kind, ErrorKind::Unsupported, "{text}");
        assert_eq!(std::fs::read_to_string(path.join(name)).unwrap(), "precious");
        assert!(!dir.path().join("VERSION").exists());
    }
    let new = tempfile::tempdir().unwrap();
    std::fs::create_dir(new.path().join("lost+found")).unwrap();
    Layout::own(new.path()).unwrap();
}

#[tokio::test]
async fn what_a_dead_writer_left_is_swept() {
    let (dir, store, sample) = filled().await;
    let mut unfinished = store.begin_blob().unwrap();
    unfinished.write(b"half").unwrap();
    assert_eq!(unfinished.written(), 4);
    let tmp = || std::fs::read_dir(dir.path().join("tmp")).unwrap().count();
    assert_eq!(tmp(), 1);
    drop(unfinished);
    assert_eq!(tmp(), 0, "dropped is gone");
    drop(store);
    std::fs::write(dir.path().join("tmp/syncd-7"), b"left over").unwrap();
    let store = Layout::own(dir.path()).unwrap();
    assert_eq!(tmp(), 0);
    source_conformance(&store, &repository("team/app"), &sample)
        .await
        .unwrap();
}

#[tokio::test]
async fn content_is_there_once() {
    let (dir, store, sample) = filled().await;
    let (app, other) = (repository("team/app"), repository("team"));
    fill(&store, &other, &sample).await;
    for (blob, _) in &sample.blobs {
        let inode = |path: PathBuf| std::fs::metadata(path).map(|m| (m.ino(), m.nlink())).unwrap();
        let all = inode(shared(dir.path(), &blob.digest));
        assert_eq!(all.1, 3, "the shared name and one for each repository");
        assert_eq!(inode(own(dir.path(), "team/app", &blob.digest)), all);
        assert_eq!(inode(own(dir.path(), "team", &blob.digest)), all);
        assert!(store.delete_blob(&app, &blob.digest).unwrap());
        assert!(!store.delete_blob(&app, &blob.digest).unwrap());
        assert!(!store.has_blob(&app, blob).await.unwrap());
        assert!(store.has_blob(&other, blob).await.unwrap());
        store.delete_blob(&other, &blob.digest).unwrap();
        assert_eq!(inode(shared(dir.path(), &blob.digest)).1, 1, "one link: rubbish");
    }
    assert_eq!(
        store.repositories(None, 10).unwrap(),
        [other.clone(), app.clone()],
        "one repository below another"
    );
}

/// A damaged file must not be taken for the content that is written again.
#[tokio::test]
async fn writing_again_heals() {
    let (dir, store, sample) = filled().await;
    let app = repository("team/app");
    let (blob, bytes) = &sample.blobs[2];
    type Harm = fn(&Path);
    let harms: [(&str, Harm, Touch); 3] = [
        (
            "cut",
            |path| {
                std::fs::File::options()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .set_len(7)
                    .unwrap()
            },
            Touch::Damaged,
        ),
        (
            "emptied",
            |path| std::fs::write(path, b"").unwrap(),
            Touch::Damaged,
        ),
        (
            "rotten",
            |path| {
                let zeros = vec![0; std::fs::metadata(path).unwrap().len() as usize];
                std::fs::write(path, zeros).unwrap();
            },
            Touch::Good,
        ),
    ];
    for (name, harm, touch) in harms {
        harm(&shared(dir.path(), &blob.digest));
        assert_eq!(store.touch_blob(&app, blob).await.unwrap(), touch, "{name}");
        assert_eq!(
            store.has_blob(&app, blob).await.unwrap(),
            touch == Touch::Good,
            "{name}"
        );
        store.put_blob(&app, blob, pieces(bytes)).await.unwrap();
        assert_eq!(store.touch_blob(&app, blob).await.unwrap(), Touch::Good, "{name}");
        assert_eq!(
            std::fs::read(own(dir.path(), "team/app", &blob.digest)).unwrap(),
            *bytes,
            "{name}"
        );
        assert_eq!(
            std::fs::read_dir(dir.path().join("tmp")).unwrap().count(),
            0,
            "{name}"
        );
    }
}

/// A manifest as well; its record, too.
#[tokio::test]
async fn writing_a_manifest_again_heals() {
    let (dir, store, sample) = filled().await;
    let (app, index) = (repository("team/app"), sample.index().unwrap());
    let record = format!("repositories/team/app/_manifests/sha256-{}", index.digest.hex());
    for path in [
        own(dir.path(), "team/app", &index.digest),
        dir.path().join(record),
    ] {
        let zeros = vec![0; std::fs::metadata(&path).unwrap().len() as usize];
        std::fs::write(&path, zeros).unwrap();
        store.put_manifest(&app, index, None).await.unwrap();
        let reader = Layout::open_read(dir.path()).unwrap();
        let read = reader.manifest(&app, &Target::Tag(sample.tag.clone())).await;
        assert_eq!(read.unwrap(), *index, "{}", path.display());
    }
}

#[tokio::test]
async fn damage_is_said_and_never_served() {
    let (dir, store, sample) = filled().await;
    drop(store);
    let app = repository("team/app");
    let index = sample.index().unwrap();
    let folder = dir.path().join("repositories/team/app");
    let record = folder.join(format!("_manifests/sha256-{}", index.digest.hex()));
    let content = own(dir.path(), "team/app", &index.digest);
    let by_tag = Target::Tag(sample.tag.clone());
    for (name, path, bytes) in [
        ("an empty tag", folder.join("_tags/v1"), ""),
        ("a tag that is no digest", folder.join("_tags/v1"), "sha256:12\n"),
        ("an empty record", record.clone(), ""),
        ("a record cut short", record.clone(), "{\"mediaType\":\"x"),
        ("content cut short", content.clone(), "{}"),
    ] {
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let store = Layout::own(dir.path()).unwrap();
        let error = store.manifest_sync(&app, &by_tag).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "{name}: {error}");
        drop(store);
        std::fs::write(&path, good).unwrap();
    }
    for (name, path) in [("record", &record), ("content", &content)] {
        let good = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        let store = Layout::own(dir.path()).unwrap();
        let error = store.manifest_sync(&app, &by_tag).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "lost {name}: {error}");
        drop(store);
        std::fs::write(path, good).unwrap();
    }
    let store = Layout::own(dir.path()).unwrap();
    assert_eq!(store.manifest_sync(&app, &by_tag).unwrap().as_ref(), Some(index));

    // One damaged tag does not keep index.json from the others, and is said once.
    store.set_tag(&app, &tag("good"), &index.digest).unwrap();
    std::fs::write(folder.join("_tags/v1"), "").unwrap();
    assert_eq!(store.flush_index().unwrap_err().kind(), ErrorKind::Integrity);
    assert!(!store.index_is_stale());
    let text = std::fs::read_to_string(folder.join("_layout/index.json")).unwrap();
    assert!(text.contains("\"good\"") && !text.contains("\"v1\""), "{text}");
    // Nor does it keep its manifest from being deleted, nor itself from being written again.
    assert!(store.delete_manifest(&app, &index.digest).unwrap());
    store.put_manifest(&app, index, Some(&sample.tag)).await.unwrap();
    assert_eq!(store.manifest_sync(&app, &by_tag).unwrap().as_ref(), Some(index));
}

#[tokio::test]
async fn a_manifest_wants_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let (store, app) = (Layout::own(dir.path()).unwrap(), repository("a"));
    let sample = Sample::sized("children", 100).unwrap();
    let index = sample.index().unwrap();
    let put = |manifest, children| store.put_manifest_sync(&app, manifest, None, children);
    let error = put(index, Children::Required).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestUnknown);
    assert!(
        error
            .to_string()
            .contains(&sample.manifests[0].digest.to_string()),
        "{error}"
    );
    let error = put(&sample.manifests[0], Children::Sparse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BlobUnknown);
    for (blob, bytes) in &sample.blobs {
        store.put_blob(&app, blob, pieces(bytes)).await.unwrap();
    }
    put(&sample.manifests[0], Children::Required).unwrap();
    assert_eq!(
        put(index, Children::Required).unwrap_err().kind(),
        ErrorKind::ManifestUnknown
    );
    put(index, Children::Sparse).unwrap();
    let artifact = sample.manifests.last().unwrap();
    put(artifact, Children::Required).unwrap();
    let mut lie = artifact.clone();
    lie.digest = Digest::sha256(b"other");
    assert_eq!(
        put(&lie, Children::Required).unwrap_err().kind(),
        ErrorKind::Integrity
    );
    assert!(
        store
            .manifest_sync(&app, &Target::Digest(lie.digest))
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn deleting() {
    let (dir, store, sample) = filled().await;
    let (app, index) = (repository("team/app"), sample.index().unwrap());
    for name in ["a", "b"] {
        store.set_tag(&app, &tag(name), &index.digest).unwrap();
    }
    store
        .set_tag(&app, &tag("other"), &sample.manifests[0].digest)
        .unwrap();
    let missing = store.set_tag(&app, &tag("x"), &Digest::sha256(b"x")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::ManifestUnknown);
    assert!(store.delete_tag(&app, &tag("a")).unwrap());
    assert!(!store.delete_tag(&app, &tag("a")).unwrap());
    assert!(
        !store.delete_blob(&app, &index.digest).unwrap(),
        "a manifest is no blob to delete"
    );
    assert!(store.delete_manifest(&app, &index.digest).unwrap());
    assert!(!store.delete_manifest(&app, &index.digest).unwrap());
    assert_eq!(
        store.tags(&app, None, 10).unwrap(),
        [tag("other")],
        "its tags went with it"
    );
    for target in [
        Target::Tag(sample.tag.clone()),
        Target::Digest(index.digest.clone()),
    ] {
        assert!(store.manifest_sync(&app, &target).unwrap().is_none());
        assert!(store.head(&app, &target).await.unwrap().is_none());
    }
    assert!(store.blob_file(&app, &index.digest).unwrap().is_none());
    assert_eq!(
        std::fs::metadata(shared(dir.path(), &index.digest))
            .unwrap()
            .nlink(),
        1
    );
}

#[tokio::test]
async fn tags_come_in_pages_and_in_order() {
    let (_dir, store, sample) = filled().await;
    let (app, digest) = (repository("team/app"), &sample.index().unwrap().digest);
    for name in ["b", "a.1", "A", "a", "10", "9", "_x"] {
        store.set_tag(&app, &tag(name), digest).unwrap();
    }
    let page = |last: Option<&str>, n| -> Vec<String> {
        let tags = store.tags(&app, last, n).unwrap();
        tags.iter().map(ToString::to_string).collect()
    };
    assert_eq!(page(None, 100), ["10", "9", "A", "_x", "a", "a.1", "b", "v1"]);
    assert_eq!(page(None, 3), ["10", "9", "A"]);
    assert_eq!(page(Some("A"), 2), ["_x", "a"]);
    assert_eq!(page(Some("a.0"), 2), ["a.1", "b"], "a last that is no tag");
    assert!(page(Some("v1"), 2).is_empty() && page(None, 0).is_empty());
    assert!(store.tags(&repository("none"), None, 10).unwrap().is_empty());
    assert!(store.has_repository(&app).unwrap() && !store.has_repository(&repository("team")).unwrap());
}

#[test]
fn public_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (store, app) = (Layout::own(dir.path()).unwrap(), repository("team/app"));
    assert!(!store.is_public(&app));
    store.set_public(&app, true).unwrap();
    drop(store);
    let store = Layout::own(dir.path()).unwrap();
    assert!(store.is_public(&app) && !store.is_public(&repository("team")));
    store.set_public(&app, false).unwrap();
    store.set_public(&app, false).unwrap();
    assert!(!store.is_public(&app));
}

#[tokio::test]
async fn sha512_is_stored_under_its_own_name() {
    let dir = tempfile::tempdir().unwrap();
    let (store, app) = (Layout::own(dir.path()).unwrap(), repository("a"));
    let mut hasher = syncd_config::digest::Hasher::new(syncd_config::digest::Algorithm::Sha512);
    hasher.update(b"content");
    let digest = hasher.finish();
    // An upload that did not say its algorithm is hashed again at its end.
    let mut writer = store.begin_blob().unwrap();
    writer.write(b"con").unwrap();
    writer.write(b"tent").unwrap();
    assert_eq!(writer.commit(&app, &digest).unwrap(), 7);
    let blob = Descriptor {
        digest: digest.clone(),
        ..descriptor("application/x", b"content")
    };
    assert_eq!(store.touch_blob(&app, &blob).await.unwrap(), Touch::Good);
    assert!(shared(dir.path(), &digest).exists());
    let mut writer = store.begin_blob().unwrap();
    writer.write(b"other").unwrap();
    assert_eq!(
        writer.commit(&app, &digest).unwrap_err().kind(),
        ErrorKind::Integrity
    );
}

/// What a writer that ended left undone is done by the next.
#[tokio::test]
async fn an_old_index_is_found_at_the_start() {
    let (dir, store, sample) = filled().await;
    store.flush_index().unwrap();
    let index = dir.path().join("repositories/team/app/_layout/index.json");
    let old = std::fs::read_to_string(&index).unwrap();
    store
        .set_tag(
            &repository("team/app"),
            &tag("new"),
            &sample.index().unwrap().digest,
        )
        .unwrap();
    drop(store);
    assert_eq!(std::fs::read_to_string(&index).unwrap(), old);
    let store = Layout::own(dir.path()).unwrap();
    assert!(store.index_is_stale());
    store.flush_index().unwrap();
    assert!(std::fs::read_to_string(&index).unwrap().contains("\"new\""));
    drop(store);
    // Newer than the folders by more than a tick of the file system's clock.
    let later = std::fs::metadata(&index).unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
    std::fs::File::open(&index).unwrap().set_modified(later).unwrap();
    assert!(!Layout::own(dir.path()).unwrap().index_is_stale());
}

/// The bytes this thread has written so far, its reads and its writes. (Not the bytes it has read:
/// these numbers are read as text.)
fn work() -> Vec<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    let number = |line: &str| line.split(' ').nth(1).unwrap().parse().unwrap();
    text.lines().skip(1).take(3).map(number).collect()
}

#[tokio::test]
async fn a_tag_costs_the_same_at_10_and_at_10_000() {
    let (dir, store, sample) = filled().await;
    let (app, digest) = (repository("team/app"), sample.index().unwrap().digest.clone());
    let folder = dir.path().join("repositories/team/app/_tags");
    let cost = |name: &str| {
        let before = work();
        store.set_tag(&app, &tag(name), &digest).unwrap();
        let after = work();
        after.iter().zip(before).map(|(a, b)| a - b).collect::<Vec<_>>()
    };
    for n in 0..9 {
        std::fs::write(folder.join(format!("t{n}")), format!("{digest}\n")).unwrap();
    }
    let few = cost("new-1");
    for n in 9..10_000 {
        std::fs::write(folder.join(format!("t{n}")), format!("{digest}\n")).unwrap();
    }
    assert_eq!(cost("new-2"), few);
    assert!(few[0] < 1_000, "bytes written: {few:?}");
}
