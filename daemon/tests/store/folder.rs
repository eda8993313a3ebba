//! A user's image layout folder: what tools write, and what an attacker might.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use syncd::oci::ErrorKind;
use syncd::oci::conformance::{Sample, descriptor};
use syncd::oci::layout::Layout;
use syncd::oci::store::{ImageSink as _, ImageSource as _};
use syncd_config::reference::Target;

use crate::conformance::repository;

/// A layout with the sample's blobs, as some tool writes it; `index.json` has these annotations.
fn write(dir: &Path, sample: &Sample, annotations: &Value) {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for (descriptor, bytes) in &sample.blobs {
        std::fs::write(blobs.join(descriptor.digest.hex()), bytes).unwrap();
    }
    for manifest in &sample.manifests {
        std::fs::write(blobs.join(manifest.digest.hex()), &manifest.bytes).unwrap();
    }
    let index = sample.index().unwrap();
    let mut entry = json!(descriptor(&index.media_type, &index.bytes));
    entry["annotations"] = annotations.clone();
    let text = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    std::fs::write(dir.join("index.json"), text).unwrap();
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

fn sample() -> Sample {
    Sample::sized("folder", 1_000).unwrap()
}

fn listing(dir: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.path().display().to_string();
        if entry.file_type().unwrap().is_dir() {
            found.extend(listing(&entry.path()));
        } else {
            found.push((name, entry.metadata().unwrap().len()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn tags_are_found_under_every_tools_names() {
    const NAME: &str = "org.opencontainers.image.ref.name";
    const CONTAINERD: &str = "io.containerd.image.name";
    let name = repository("any/name");
    for (annotations, tag, found) in [
        (json!({NAME: "v1"}), "v1", true),
        (json!({NAME: "docker.io/library/hello:v1"}), "v1", true),
        (
            json!({NAME: "x", CONTAINERD: "registry.example:5000/a/b:v1"}),
            "v1",
            true,
        ),
        (json!({NAME: "v1"}), "v2", false),
        (json!({NAME: "docker.io/library/v1:other"}), "v1", false),
        (Value::Null, "latest", false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let sample = sample();
        write(dir.path(), &sample, &annotations);
        let before = listing(dir.path());
        let folder = Layout::open_read(dir.path()).unwrap();
        let target = Target::Tag(tag.parse().unwrap());
        let head = folder.head(&name, &target).await.unwrap();
        assert_eq!(head.is_some(), found, "{annotations} {tag}");
        assert_eq!(folder.top_level().unwrap().len(), 1);
        let put = folder
            .put_manifest(&name, sample.index().unwrap(), None)
            .await
            .unwrap_err();
        assert_eq!(put.kind(), ErrorKind::WriteRefused);
        assert_eq!(listing(dir.path()), before, "nothing was written");
    }
}

#[tokio::test]
async fn what_is_damaged_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let sample = sample();
    write(
        dir.path(),
        &sample,
        &json!({"org.opencontainers.image.ref.name": "v1"}),
    );
    let (folder, name) = (Layout::open_read(dir.path()).unwrap(), repository("a"));
    let target = Target::Tag(sample.tag.clone());
    let blobs = dir.path().join("blobs/sha256");
    let index = blobs.join(sample.index().unwrap().digest.hex());
    let mut bytes = std::fs::read(&index).unwrap();

    *bytes.last_mut().unwrap() = b' ';
    std::fs::write(&index, &bytes).unwrap();
    let error = folder.manifest(&name, &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);

    std::fs::File::create(&index).unwrap().set_len(5 << 20).unwrap();
    let error = folder.manifest(&name, &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);

    std::fs::remove_file(&index).unwrap();
    let error = folder.manifest(&name, &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestUnknown);

    let (big, _) = &sample.blobs[2];
    std::fs::write(blobs.join(big.digest.hex()), b"short").unwrap();
    let error = folder.blob(&name, big, 0).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Integrity);

    std::fs::File::create(dir.path().join("index.json"))
        .unwrap()
        .set_len(5 << 20)
        .unwrap();
    assert_eq!(folder.top_level().unwrap_err().kind(), ErrorKind::TooLarge);
    std::fs::write(dir.path().join("index.json"), b"").unwrap();
    assert_eq!(folder.top_level().unwrap_err().kind(), ErrorKind::Malformed);
}

/// An unpacked layout must not lead out of itself, and not hang on a named pipe.
#[tokio::test]
async fn links_and_pipes_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    let sample = sample();
    write(outside.path(), &sample, &Value::Null);
    let (blob, _) = &sample.blobs[2];
    let hex = blob.digest.hex();
    let real = outside.path().join("blobs/sha256").join(hex);

    for step in ["blobs", "blobs/sha256", "file", "pipe"] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &sample, &Value::Null);
        let path = dir.path().join(step);
        let file = dir.path().join("blobs/sha256").join(hex);
        match step {
            "file" => {
                std::fs::remove_file(&file).unwrap();
                symlink(&real, &file).unwrap();
            }
            "pipe" => {
                std::fs::remove_file(&file).unwrap();
                rustix::fs::mknodat(
                    rustix::fs::CWD,
                    &file,
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::RUSR,
                    0,
                )
                .unwrap();
            }
            _ => {
                std::fs::remove_dir_all(&path).unwrap();
                symlink(outside.path().join(step), &path).unwrap();
            }
        }
        let folder = Layout::open_read(dir.path()).unwrap();
        let error = folder.blob(&repository("a"), blob, 0).await.err().unwrap();
        assert!(
            matches!(error.kind(), ErrorKind::Malformed | ErrorKind::BlobUnknown),
            "{step}: {error}"
        );
        assert!(error.kind() == ErrorKind::Malformed, "{step}: {error}");
    }
}

#[test]
fn what_is_no_layout_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let words = |dir: &Path| Layout::open_read(dir).err().unwrap().to_string();
    assert!(words(dir.path()).ends_with("no OCI image layout: it has no file oci-layout"));
    assert!(words(&dir.path().join("absent")).ends_with("it has no file oci-layout"));
    std::fs::write(dir.path().join("oci-layout"), "{").unwrap();
    assert!(words(dir.path()).ends_with("its file oci-layout is damaged"));
    std::fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(words(dir.path()).ends_with("its imageLayoutVersion is not 1"));
    assert_eq!(listing(dir.path()).len(), 1, "nothing was written");
}
