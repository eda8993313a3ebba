//! The images: the same in every run, incompressible, and valid (each layer is
//! a gzipped tar of one file, so that clients that look inside are content).

use std::io::Write;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use syncd_integration::Result;
use syncd_integration::error::Context;

const TAGS: [&str; 2] = ["1.0", "1.1"];
const PLATFORMS: [&str; 2] = ["amd64", "arm64"];
/// Of which the first is shared with the neighbouring repository.
const LAYERS: usize = 3;

/// Bytes with a name.
pub(crate) struct Blob {
    pub digest: String,
    pub bytes: Bytes,
}

/// A manifest and where it is put: children under their digest, indexes under
/// their tag.
pub(crate) struct Manifest {
    pub reference: String,
    pub digest: String,
    pub media_type: &'static str,
    pub bytes: Bytes,
}

/// A repository: which of the set's blobs it needs, and its manifests in the
/// order in which they may be put.
pub(crate) struct Repository {
    pub name: String,
    pub blobs: Vec<usize>,
    pub manifests: Vec<Manifest>,
}

/// The whole set.
pub(crate) struct Set {
    pub blobs: Vec<Blob>,
    pub repositories: Vec<Repository>,
}

impl Set {
    /// Makes the set; the same arguments give the same bytes.
    pub(crate) fn make(megabytes: usize, repositories: usize) -> Result<Self> {
        let mut set = Self {
            blobs: Vec::new(),
            repositories: Vec::new(),
        };
        let pairs = repositories.div_ceil(2);
        let images = TAGS.len() * PLATFORMS.len();
        let unique = images * (pairs + repositories * (LAYERS - 1));
        let mean = (megabytes << 20) / unique.max(1);
        let mut shared = vec![None; pairs * images];
        for number in 0..repositories {
            let repository = set.repository(number, mean, &mut shared)?;
            set.repositories.push(repository);
        }
        Ok(set)
    }

    /// All images, as `repository` and `tag`.
    pub(crate) fn images(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.repositories
            .iter()
            .flat_map(|one| TAGS.map(|tag| (one.name.as_str(), tag)))
    }

    /// How many images there are.
    pub(crate) fn tags(&self) -> usize {
        self.images().count()
    }

    /// The set in one line.
    pub(crate) fn summary(&self) -> String {
        let bytes = self.blobs.iter().map(|blob| blob.bytes.len()).sum::<usize>();
        let places = self.repositories.iter().map(|one| one.blobs.len()).sum::<usize>();
        format!(
            "{} repositories x {} tags x {} platforms: {} blobs in {places} places, {:.0} MB",
            self.repositories.len(),
            TAGS.len(),
            PLATFORMS.len(),
            self.blobs.len(),
            bytes as f64 / 1e6,
        )
    }

    fn repository(
        &mut self,
        number: usize,
        mean: usize,
        shared: &mut [Option<(usize, String)>],
    ) -> Result<Repository> {
        let mut blobs = Vec::new();
        let mut manifests = Vec::new();
        let mut slot = number / 2 * TAGS.len() * PLATFORMS.len();
        for tag in TAGS {
            let mut children = Vec::new();
            for platform in PLATFORMS {
                let mut layers = Vec::new();
                for layer in 0..LAYERS {
                    let made = match &shared[slot] {
                        Some(made) if layer == 0 => made.clone(),
                        _ => self.layer(mean)?,
                    };
                    if layer == 0 {
                        shared[slot] = Some(made.clone());
                    }
                    layers.push(made);
                }
                slot += 1;
                let (config, child) = self.image(platform, &layers);
                blobs.extend(layers.iter().map(|(blob, _)| *blob).chain([config]));
                children.push((platform, child));
            }
            let index = index(tag, &children);
            manifests.extend(children.into_iter().map(|(_, child)| child));
            manifests.push(index);
        }
        Ok(Repository {
            name: format!("bench/r{number:02}"),
            blobs,
            manifests,
        })
    }

    /// A layer of a size around the mean; its place among the blobs and the
    /// digest of the archive inside.
    fn layer(&mut self, mean: usize) -> Result<(usize, String)> {
        let mut random = fastrand::Rng::with_seed(self.blobs.len() as u64);
        let mut content = vec![0; mean / 4 + random.usize(0..=mean * 3 / 2)];
        random.fill(&mut content);
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::with_capacity(content.len() + 4096));
        archive
            .append_data(&mut header, "data", content.as_slice())
            .context("write a layer")?;
        let archive = archive.into_inner().context("write a layer")?;
        let inside = digest(&archive);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        packed.write_all(&archive).context("pack a layer")?;
        let packed = packed.finish().context("pack a layer")?;
        Ok((self.blob(packed), inside))
    }

    fn blob(&mut self, bytes: Vec<u8>) -> usize {
        self.blobs.push(Blob {
            digest: digest(&bytes),
            bytes: bytes.into(),
        });
        self.blobs.len() - 1
    }

    fn image(&mut self, platform: &str, layers: &[(usize, String)]) -> (usize, Manifest) {
        let inside = layers.iter().map(|(_, inside)| inside).collect::<Vec<_>>();
        let config = json!({
            "architecture": platform, "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": inside },
        });
        let config = self.blob(config.to_string().into_bytes());
        let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": layers
                .iter()
                .map(|(blob, _)| self.descriptor(layer_type, *blob))
                .collect::<Vec<_>>(),
        });
        (config, Manifest::new(MANIFEST, None, &manifest))
    }

    fn descriptor(&self, media_type: &str, blob: usize) -> Value {
        let blob = &self.blobs[blob];
        json!({ "mediaType": media_type, "digest": blob.digest, "size": blob.bytes.len() })
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl Manifest {
    fn new(media_type: &'static str, tag: Option<&str>, content: &Value) -> Self {
        let bytes = Bytes::from(content.to_string());
        let digest = digest(&bytes);
        let reference = tag.map_or_else(|| digest.clone(), str::to_owned);
        Self {
            reference,
            digest,
            media_type,
            bytes,
        }
    }
}

fn index(tag: &str, children: &[(&str, Manifest)]) -> Manifest {
    let manifests = children.iter().map(|(platform, child)| {
        json!({
            "mediaType": child.media_type, "digest": child.digest, "size": child.bytes.len(),
            "platform": { "architecture": platform, "os": "linux" },
        })
    });
    let content = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests.collect::<Vec<_>>(),
    });
    Manifest::new(INDEX, Some(tag), &content)
}

fn digest(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("sha256:{hex}")
}
