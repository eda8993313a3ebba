//! A small image as a scripted registry has it.

use syncd_config::Digest;

use crate::server::{Ask, Reply, answer, refuse};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// `app:1`: an index of two platforms; both have the same manifest, config and layer.
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    layer: Vec<u8>,
    manifest: String,
    pub(crate) index: String,
}

impl Image {
    pub(crate) fn new(architectures: [&str; 2]) -> Self {
        let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}"#.to_vec();
        let layer = b"not really a layer".to_vec();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]}}"#,
            descriptor("application/vnd.oci.image.config.v1+json", &config, ""),
            descriptor("application/vnd.oci.image.layer.v1.tar", &layer, ""),
        );
        let entries = architectures.map(|architecture| {
            let platform = format!(r#","platform":{{"os":"linux","architecture":"{architecture}"}}"#);
            descriptor(MANIFEST, manifest.as_bytes(), &platform)
        });
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#,
            entries.join(",")
        );
        Self {
            config,
            layer,
            manifest,
            index,
        }
    }

    /// As an open registry that holds nothing else serves it.
    pub(crate) fn serve(&self, ask: &Ask) -> Reply {
        let digest = |bytes: &[u8]| Digest::sha256(bytes).to_string();
        let manifest = |media_type: &str, text: &str| {
            let headers = format!(
                "Content-Type: {media_type}\r\nDocker-Content-Digest: {}\r\n",
                digest(text.as_bytes())
            );
            answer(ask, "200 OK", &headers, text.as_bytes())
        };
        let path = ask.path.as_str();
        let rest = path.strip_prefix("/v2/app/").unwrap_or_default();
        let last = rest.rsplit('/').next().unwrap_or_default();
        match rest {
            "manifests/1" => manifest(INDEX, &self.index),
            _ if path == "/v2/" => answer(ask, "200 OK", "", b"{}"),
            _ if rest.starts_with("tags/list") => answer(
                ask,
                "200 OK",
                "Content-Type: application/json\r\n",
                br#"{"name":"app","tags":["1"]}"#,
            ),
            _ if rest.starts_with("manifests/sha256:") && last == digest(self.index.as_bytes()) => {
                manifest(INDEX, &self.index)
            }
            _ if rest.starts_with("manifests/sha256:") && last == digest(self.manifest.as_bytes()) => {
                manifest(MANIFEST, &self.manifest)
            }
            _ if rest.starts_with("manifests/") => {
                refuse(ask, "404 Not Found", "", "MANIFEST_UNKNOWN", "manifest unknown")
            }
            _ if rest.starts_with("blobs/") && last == digest(&self.config) => {
                answer(ask, "200 OK", "", &self.config)
            }
            _ if rest.starts_with("blobs/") && last == digest(&self.layer) => {
                answer(ask, "200 OK", "", &self.layer)
            }
            _ => refuse(
                ask,
                "404 Not Found",
                "",
                "NAME_UNKNOWN",
                "repository name not known",
            ),
        }
    }
}

fn descriptor(media_type: &str, bytes: &[u8], more: &str) -> String {
    format!(
        r#"{{"mediaType":"{media_type}","digest":"{}","size":{}{more}}}"#,
        Digest::sha256(bytes),
        bytes.len()
    )
}
