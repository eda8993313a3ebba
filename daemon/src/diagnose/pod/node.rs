//! The node, as far as the API tells: its platform, and the images it has.

use k8s_openapi::api::core::v1::Node;
use syncd_config::text::clean_to;
use syncd_config::{Platform, Reference};

/// Names of images that are compared.
const NAMES: usize = 4000;

/// What is known of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NodeSeen {
    /// The pod has none.
    Unscheduled,
    /// It could not be read, and why.
    Unread(String),
    /// It was read.
    Seen(NodeView),
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeView {
    pub(super) name: String,
    /// Its platform, when it tells a sane one.
    pub(super) platform: Option<Platform>,
    /// `containerd://2.3.1`; safe to show.
    pub(super) runtime: String,
    /// Whether it lists the image. A node lists its 50 largest ones.
    pub(super) has_image: bool,
}

impl NodeSeen {
    /// Whether the node lists the image, when that is known.
    pub(super) fn has_image(&self) -> Option<bool> {
        match self {
            Self::Seen(node) => Some(node.has_image),
            Self::Unscheduled | Self::Unread(_) => None,
        }
    }
}

/// The node, with an eye on one image.
pub(super) fn view(node: &Node, image: &str) -> NodeView {
    let status = node.status.as_ref();
    let info = status.and_then(|status| status.node_info.as_ref());
    let wanted: Option<Reference> = image.trim().parse().ok();
    let images = status
        .and_then(|status| status.images.as_deref())
        .unwrap_or_default();
    let names = images
        .iter()
        .flat_map(|image| image.names.iter().flatten())
        .take(NAMES);
    NodeView {
        name: node.metadata.name.clone().unwrap_or_default(),
        platform: info.and_then(|info| {
            let text = format!("{}/{}", info.operating_system, info.architecture);
            text.parse::<Platform>()
                .ok()
                .map(|platform| platform.normalized())
        }),
        runtime: info.map_or_else(String::new, |info| clean_to(&info.container_runtime_version, 40)),
        has_image: wanted.is_some_and(|wanted| {
            let is_wanted = |name: &Reference| {
                name.host == wanted.host
                    && name.repository == wanted.repository
                    && match &wanted.digest {
                        Some(digest) => name.digest.as_ref() == Some(digest),
                        None => name.digest.is_none() && name.tag == wanted.tag,
                    }
            };
            names
                .filter_map(|name| name.parse().ok())
                .any(|name| is_wanted(&name))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::view;

    #[test]
    fn tells_platform_and_images() {
        let digest = "sha256:5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5";
        let node = serde_json::from_value(json!({
            "metadata": {"name": "node-1"},
            "status": {
                "nodeInfo": {
                    "architecture": "arm64", "operatingSystem": "linux", "bootID": "", "containerRuntimeVersion":
                    "containerd://2.3.1\u{1b}[31m", "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "v1.36.0",
                    "machineID": "", "osImage": "", "systemUUID": ""
                },
                "images": [
                    {"names": [format!("docker.io/library/nginx@{digest}"), "docker.io/library/nginx:1.27"], "sizeBytes": 1},
                    {"names": null, "sizeBytes": 1},
                    {"names": ["<none>@<none>"]}
                ]
            }
        }))
        .unwrap();
        for (image, there) in [
            ("nginx:1.27", true),
            ("docker.io/library/nginx:1.27", true),
            (&format!("nginx@{digest}"), true),
            ("nginx", false),
            ("nginx:1.28", false),
            ("reg.example/library/nginx:1.27", false),
            ("Not an image", false),
        ] {
            assert_eq!(view(&node, image).has_image, there, "{image}");
        }
        let seen = view(&node, "nginx:1.27");
        assert_eq!(seen.platform.unwrap().to_string(), "linux/arm64");
        assert_eq!(seen.runtime, "containerd://2.3.1\\u{1b}[31m");
        assert_eq!(
            view(&serde_json::from_value(json!({"metadata": {}})).unwrap(), "a").platform,
            None
        );
    }
}
