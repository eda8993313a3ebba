//! Sample images for tests.

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde_json::json;
use syncd_config::{Digest, Repository};

use crate::oci::graph::{OCI_INDEX, OCI_MANIFEST};
use crate::oci::store::{Descriptor, ImageSink, Manifest};

/// Makes a descriptor of content.
pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Descriptor {
    let value = json!({"mediaType": media_type, "digest": Digest::sha256(content), "size": content.len()});
    serde_json::from_value(value).unwrap()
}

/// Puts a blob.
pub(crate) async fn blob(sink: &impl ImageSink, repository: &Repository, content: &[u8]) -> Descriptor {
    let descriptor = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", content);
    let chunks: Vec<_> = content
        .chunks(1000)
        .map(|c| Ok(Bytes::copy_from_slice(c)))
        .collect();
    sink.put_blob(repository, &descriptor, stream::iter(chunks).boxed())
        .await
        .unwrap();
    descriptor
}

/// Puts an image for one platform with these layers, without a tag.
pub(crate) async fn image(
    sink: &impl ImageSink,
    repository: &Repository,
    arch: &str,
    layers: &[&[u8]],
) -> Manifest {
    let config =
        serde_json::to_vec(&json!({"architecture": arch, "os": "linux", "n": layers.len()})).unwrap();
    let mut config = blob(sink, repository, &config).await;
    config.media_type = "application/vnd.oci.image.config.v1+json".to_owned();
    let mut descriptors = Vec::new();
    for layer in layers {
        descriptors.push(blob(sink, repository, layer).await);
    }
    let value =
        json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": descriptors});
    put(sink, repository, OCI_MANIFEST, &value).await
}

/// Puts an index over an amd64 and an arm64 image with these layers, and tags it.
pub(crate) async fn index(
    sink: &impl ImageSink,
    repository: &Repository,
    tag: &str,
    amd64: &[&[u8]],
    arm64: &[&[u8]],
) -> Manifest {
    let mut entries = Vec::new();
    for (arch, layers) in [("amd64", amd64), ("arm64", arm64)] {
        let manifest = image(sink, repository, arch, layers).await;
        let mut entry = serde_json::to_value(descriptor(OCI_MANIFEST, &manifest.bytes)).unwrap();
        entry["platform"] = json!({"os": "linux", "architecture": arch});
        entries.push(entry);
    }
    let value = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    let manifest = put(sink, repository, OCI_INDEX, &value).await;
    sink.put_manifest(repository, &manifest, Some(&tag.parse().unwrap()))
        .await
        .unwrap();
    manifest
}

async fn put(
    sink: &impl ImageSink,
    repository: &Repository,
    media_type: &str,
    value: &serde_json::Value,
) -> Manifest {
    // Odd white space: what is written again from what was parsed would lose it.
    let bytes = Bytes::from(format!("{}\n \n", serde_json::to_string_pretty(value).unwrap()));
    let manifest = Manifest {
        digest: Digest::sha256(&bytes),
        media_type: media_type.to_owned(),
        bytes,
    };
    sink.put_manifest(repository, &manifest, None).await.unwrap();
    manifest
}
