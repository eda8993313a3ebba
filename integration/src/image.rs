//! Test images: OCI layout folders made from files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::{Context, Error, Result};

/// One file of a layer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Path in the image, without a leading slash.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its mode.
    pub mode: u32,
}

/// An image for one platform, not yet written.
#[derive(Clone, Debug)]
pub struct Image {
    /// CPU architecture, as in `linux/<this>`.
    pub architecture: String,
    /// Each layer's files.
    pub layers: Vec<Vec<Entry>>,
    /// What runs in it.
    pub entrypoint: Vec<String>,
}

impl Image {
    /// An image of one static program that is its entry point.
    pub fn of_program(program: &Path) -> Result<Self> {
        let bytes = fs::read(program).context(format!("read {}", program.display()))?;
        let entry = Entry {
            path: "program".to_owned(),
            bytes,
            mode: 0o755,
        };
        Ok(Self {
            architecture: "amd64".to_owned(),
            layers: vec![vec![entry]],
            entrypoint: vec!["/program".to_owned()],
        })
    }

    /// An image of one incompressible layer, the same for the same seed.
    pub fn of_random(seed: u64, size: usize) -> Self {
        let mut bytes = vec![0; size];
        fastrand::Rng::with_seed(seed).fill(&mut bytes);
        let entry = Entry {
            path: "random".to_owned(),
            bytes,
            mode: 0o644,
        };
        Self {
            architecture: "amd64".to_owned(),
            layers: vec![vec![entry]],
            entrypoint: Vec::new(),
        }
    }

    /// Adds a layer with one marker file: images that share layers hide each
    /// other's faults in a node's one content store.
    #[must_use]
    pub fn unique(mut self, marker: &str) -> Self {
        self.layers.push(vec![Entry {
            path: "marker".to_owned(),
            bytes: marker.as_bytes().to_vec(),
            mode: 0o644,
        }]);
        self
    }
}

/// What was written: where, and under which digest.
#[derive(Clone, Debug)]
pub struct Written {
    /// The layout folder.
    pub folder: PathBuf,
    /// The digest of the image (of its index when it has several platforms).
    pub digest: String,
}

/// Writes an OCI layout with one image. Several platforms make an index.
pub fn write_layout(folder: &Path, tag: &str, platforms: &[Image]) -> Result<Written> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).context(format!("make {}", blobs.display()))?;
    let mut manifests = Vec::new();
    for image in platforms {
        manifests.push(write_image(&blobs, image)?);
    }
    let mut top = match <[Value; 1]>::try_from(manifests) {
        Ok([single]) => single,
        Err(several) => {
            let index = json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": several,
            });
            put(
                &blobs,
                "application/vnd.oci.image.index.v1+json",
                index.to_string().as_bytes(),
            )?
        }
    };
    let digest = top["digest"].as_str().unwrap_or_default().to_owned();
    let names = BTreeMap::from([("org.opencontainers.image.ref.name", tag)]);
    top["annotations"] = json!(names);
    let index = json!({ "schemaVersion": 2, "manifests": [top] });
    let write = |name: &str, text: String| {
        fs::write(folder.join(name), text).context(format!("write {name} of a layout"))
    };
    write("index.json", index.to_string())?;
    write("oci-layout", json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;
    Ok(Written {
        folder: folder.to_owned(),
        digest,
    })
}

fn write_image(blobs: &Path, image: &Image) -> Result<Value> {
    let mut layers = Vec::new();
    for entries in &image.layers {
        layers.push(put(
            blobs,
            "application/vnd.oci.image.layer.v1.tar",
            &archive(entries)?,
        )?);
    }
    let diff_ids = layers
        .iter()
        .map(|layer| layer["digest"].clone())
        .collect::<Vec<_>>();
    let config = json!({
        "architecture": image.architecture,
        "os": "linux",
        "config": { "Entrypoint": image.entrypoint },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = put(
        blobs,
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    )?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": layers,
    });
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let mut descriptor = put(blobs, media_type, manifest.to_string().as_bytes())?;
    descriptor["platform"] = json!({ "architecture": image.architecture, "os": "linux" });
    Ok(descriptor)
}

/// Hashes every file below `folder` that is named by its digest
/// (`…/sha256/<hex>`): how many there are; fails at one that holds other bytes.
pub fn check_store(folder: &Path) -> Result<usize> {
    let mut checked = 0;
    let entries = fs::read_dir(folder).context(format!("read {}", folder.display()))?;
    for entry in entries {
        let path = entry.context(format!("read {}", folder.display()))?.path();
        if path.is_dir() {
            checked += check_store(&path)?;
        } else if folder.ends_with("sha256") && is_digest(&path) {
            let bytes = fs::read(&path).context(format!("read {}", path.display()))?;
            if !path.ends_with(hex(&bytes)) {
                return Err(Error::Other {
                    operation: format!("find whole blobs only in {}", folder.display()),
                    source: format!("{} holds other bytes ({})", path.display(), bytes.len()).into(),
                });
            }
            checked += 1;
        }
    }
    Ok(checked)
}

fn is_digest(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Writes a blob and returns its descriptor.
pub fn put(blobs: &Path, media_type: &str, bytes: &[u8]) -> Result<Value> {
    let hex = hex(bytes);
    fs::write(blobs.join(&hex), bytes).context("write a blob of a layout")?;
    Ok(json!({
        "mediaType": media_type,
        "digest": format!("sha256:{hex}"),
        "size": bytes.len(),
    }))
}

fn archive(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(entry.mode);
        header.set_mtime(0);
        header.set_cksum();
        builder
            .append_data(&mut header, &entry.path, entry.bytes.as_slice())
            .context("write a layer")?;
    }
    builder.into_inner().context("write a layer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_blob_is_found() {
        let folder = tempfile::TempDir::new().unwrap();
        let written = write_layout(folder.path(), "1", &[Image::of_random(1, 100)]).unwrap();
        assert_eq!(check_store(&written.folder).unwrap(), 3);
        let blob = written
            .folder
            .join("blobs")
            .join(written.digest.replace(':', "/"));
        fs::write(blob, b"").unwrap();
        let error = check_store(&written.folder).unwrap_err();
        assert!(format!("{error:?}").contains("holds other bytes"), "{error:?}");
    }
}
