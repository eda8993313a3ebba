//! The part of the probe that pulls, as a node would: manifest, platform, blobs.

use futures::{StreamExt as _, stream};
use serde::Deserialize;
use syncd_config::Platform;
use syncd_config::reference::Target;

use super::facts::{Blobs, Facts, Fault, Fits, ImageFacts, ManifestFacts};
use super::lookup;
use super::probe::Probe;
use crate::oci::graph::{self, Child, Kind, Node, Role};
use crate::oci::remote::Remote;
use crate::oci::store::{Descriptor, DescriptorPlatform, ImageSink as _, ImageSource as _, Manifest, Touch};
use crate::oci::{ErrorKind, RegistryError};

/// A config blob is read up to here.
const CONFIG: u64 = 8 << 20;
/// Layers touched side by side.
const AT_ONCE: usize = 4;

/// Asks for the manifest, and for what hangs on it.
pub(crate) async fn manifest(probe: &Probe<'_>, facts: &mut Facts, source: &Remote) -> Option<()> {
    let (manifest, head_failed) = match find(probe, source).await {
        Ok(found) => found,
        Err(fault) => {
            let missing = fault.kind.is_not_found();
            facts.manifest = Some(Err(fault));
            if missing {
                facts.tags = Some(probe.tags().await);
                facts.neighbours = lookup::neighbours(probe).await;
            }
            return None;
        }
    };
    let node = match parse(&manifest, source) {
        Ok(node) => node,
        Err(fault) => {
            facts.manifest = Some(Err(fault));
            return None;
        }
    };
    let index = node.kind == Kind::Index;
    facts.manifest = Some(Ok(ManifestFacts {
        digest: manifest.digest.to_string(),
        platforms: index.then(|| {
            let entries = node.children.iter().filter_map(platform_of);
            entries.take(64).collect()
        }),
        head_failed,
    }));
    let node = if index {
        of_index(probe, facts, source, &node).await?
    } else {
        node
    };
    of_image(probe, facts, source, &node, !index).await
}

/// HEAD, then GET by the digest it told. A HEAD has no body, so its failure is asked about by GET,
/// unless asking again does harm.
async fn find(probe: &Probe<'_>, source: &Remote) -> Result<(Manifest, Option<Fault>), Fault> {
    let reference = probe.reference;
    let (host, repository, target) = (&reference.host, &reference.repository, reference.target());
    let head = probe.within(host, "look up the manifest", source.head(repository, &target));
    let (target, head_failed) = match head.await {
        Ok(Some(head)) => (Target::Digest(head.digest), None),
        Ok(None) => {
            let words = "HEAD says that it is not there";
            let fault = Fault::new(
                ErrorKind::ManifestUnknown,
                host.as_str(),
                "look up the manifest",
                words,
            );
            (target, Some(fault))
        }
        Err(fault) if fault.status.is_none() || fault.kind == ErrorKind::RateLimited => return Err(fault),
        Err(fault) => (target, Some(fault)),
    };
    let manifest = probe.within(host, "read the manifest", source.manifest(repository, &target));
    Ok((manifest.await?, head_failed))
}

fn parse(manifest: &Manifest, source: &Remote) -> Result<Node, Fault> {
    graph::parse(manifest).map_err(|error| {
        Fault::new(
            error.kind(),
            source.host().as_str(),
            "read the manifest",
            &error.to_string(),
        )
    })
}

/// Chooses from an index as a node would, and reads what was chosen.
async fn of_index(probe: &Probe<'_>, facts: &mut Facts, source: &Remote, index: &Node) -> Option<Node> {
    let (chosen, fits) = choose(&index.children, &facts.platform);
    facts.image = Some(Ok(ImageFacts {
        platform: chosen.and_then(platform_of),
        fits,
    }));
    let chosen = chosen?;
    let target = Target::Digest(chosen.descriptor.digest.clone());
    let reference = probe.reference;
    let read = probe.within(
        &reference.host,
        "read the manifest of the platform",
        source.manifest(&reference.repository, &target),
    );
    match read.await.and_then(|manifest| parse(&manifest, source)) {
        Ok(node) => Some(node),
        Err(fault) => {
            facts.image = Some(Err(fault));
            None
        }
    }
}

/// The entry for a platform, the exact one first.
fn choose<'a>(children: &'a [Child], wanted: &Platform) -> (Option<&'a Child>, Fits) {
    let by = |fits: &dyn Fn(&Platform) -> bool| {
        children
            .iter()
            .find(|child| platform_of(child).is_some_and(|platform| fits(&platform)))
    };
    if let Some(child) = by(&|platform| platform.same_as(wanted)) {
        return (Some(child), Fits::Exactly);
    }
    match by(&|platform| runs_instead(platform, wanted)) {
        Some(child) => (Some(child), Fits::Instead),
        None if children.iter().all(|child| child.descriptor.platform.is_none()) => (None, Fits::Unknown),
        None => (None, Fits::No),
    }
}

/// What a node takes when its own platform is not there (containerd, platforms.Default): 386 on
/// amd64, older variants on arm, 32 bits on arm64.
fn runs_instead(platform: &Platform, wanted: &Platform) -> bool {
    let (platform, wanted) = (platform.normalized(), wanted.normalized());
    let rank =
        |variant: Option<&str>| variant.and_then(|text| text.trim_start_matches('v').parse::<u8>().ok());
    platform.os == wanted.os
        && match (wanted.architecture.as_str(), platform.architecture.as_str()) {
            ("amd64", "386") | ("arm64", "arm") => true,
            ("amd64", "amd64") | ("arm", "arm") => {
                rank(platform.variant.as_deref()).unwrap_or(1) < rank(wanted.variant.as_deref()).unwrap_or(1)
            }
            _ => false,
        }
}

/// The platform of an index entry; attestations stand under `unknown/unknown`.
fn platform_of(child: &Child) -> Option<Platform> {
    let named = child.descriptor.platform.as_ref()?;
    platform(named).filter(|platform| platform.os != "unknown")
}

fn platform(named: &DescriptorPlatform) -> Option<Platform> {
    let variant = named.variant.as_deref().filter(|variant| !variant.is_empty());
    let text = match variant {
        Some(variant) => format!("{}/{}/{variant}", named.os, named.architecture),
        None => format!("{}/{}", named.os, named.architecture),
    };
    text.parse().ok()
}

/// Reads the config and touches the layers, when they are asked for.
async fn of_image(
    probe: &Probe<'_>,
    facts: &mut Facts,
    source: &Remote,
    node: &Node,
    alone: bool,
) -> Option<()> {
    let config = node.children.iter().find(|child| child.role == Role::Config);
    let layers: Vec<&Child> = node
        .children
        .iter()
        .filter(|child| matches!(child.role, Role::Layer(_)))
        .collect();
    let mut blobs = Blobs {
        good: 0,
        all: layers.len() + usize::from(config.is_some()),
        bad: None,
    };
    let mut named = None;
    if let Some(config) = config {
        match read_config(probe, source, &config.descriptor).await {
            Ok(read) => {
                named = read;
                blobs.good += 1;
            }
            Err(fault) => {
                let fault = broken_off(probe, source, &config.descriptor, fault).await;
                blobs.bad = Some(("the config".to_owned(), fault));
            }
        }
    }
    if alone && blobs.bad.is_none() {
        facts.image = Some(Ok(fit(node, named, &facts.platform)));
    }
    if probe.blobs && blobs.bad.is_none() {
        touch(probe, source, &layers, &mut blobs).await;
    }
    let good = blobs.bad.is_none();
    facts.blobs = Some(blobs);
    good.then_some(())
}

/// How a single image fits, by its config.
fn fit(node: &Node, named: Option<Platform>, wanted: &Platform) -> ImageFacts {
    let fits = match &named {
        _ if node.kind == Kind::Artifact => Fits::Unknown,
        None => Fits::Unknown,
        Some(named) if named.same_as(wanted) => Fits::Exactly,
        Some(named) if runs_instead(named, wanted) => Fits::Instead,
        Some(_) => Fits::No,
    };
    ImageFacts {
        platform: named,
        fits,
    }
}

/// Reads a config blob, checks its digest, and says which platform it names.
async fn read_config(
    probe: &Probe<'_>,
    source: &Remote,
    descriptor: &Descriptor,
) -> Result<Option<Platform>, Fault> {
    const OPERATION: &str = "read the config";
    let host = &probe.reference.host;
    let fail = |kind, words: &str| RegistryError::new(kind, host.as_str(), OPERATION).detail(words);
    let read = async {
        if descriptor.size > CONFIG {
            return Err(fail(ErrorKind::TooLarge, "the config is over 8 MiB"));
        }
        let mut content = source.blob(&probe.reference.repository, descriptor, 0).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = content.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        if !descriptor.digest.matches(&bytes) {
            return Err(fail(ErrorKind::Integrity, "its bytes do not have its digest"));
        }
        Ok(bytes)
    };
    let bytes = probe.within(host, OPERATION, read).await?;
    let named = serde_json::from_slice::<ConfigPlatform>(&bytes).ok();
    Ok(named.and_then(|named| {
        platform(&DescriptorPlatform {
            architecture: named.architecture,
            os: named.os,
            variant: named.variant,
            os_version: None,
        })
    }))
}

/// A body that breaks off may be the network's fault, or the registry promises what it no longer
/// has: that breaks off every time.
async fn broken_off(probe: &Probe<'_>, source: &Remote, blob: &Descriptor, fault: Fault) -> Fault {
    if fault.kind != ErrorKind::ConnectionReset || fault.status.is_some() {
        return fault;
    }
    let reference = probe.reference;
    let touch = source.touch_blob(&reference.repository, blob);
    match probe.within(&reference.host, &fault.operation, touch).await {
        Ok(Touch::Damaged) => Fault {
            kind: ErrorKind::Integrity,
            words: "it breaks off in the middle, every time".to_owned(),
            ..fault
        },
        _ => fault,
    }
}

/// The part of an image's config that says what it runs on (image-spec, config.md).
#[derive(Deserialize)]
struct ConfigPlatform {
    architecture: String,
    os: String,
    #[serde(default)]
    variant: Option<String>,
}

/// Asks for the last byte of every layer.
async fn touch(probe: &Probe<'_>, source: &Remote, layers: &[&Child], blobs: &mut Blobs) {
    let host = &probe.reference.host;
    let mut touches = stream::iter(layers)
        .map(|child| async move {
            let touched = probe
                .within(
                    host,
                    "read the end of the layer",
                    source.touch_blob(&probe.reference.repository, &child.descriptor),
                )
                .await;
            (child, touched)
        })
        .buffered(AT_ONCE);
    while let Some((child, touched)) = touches.next().await {
        let name = match child.role {
            Role::Layer(n) => format!("layer {n}"),
            _ => "a blob".to_owned(),
        };
        let fault = |kind, words| Fault::new(kind, host.as_str(), "read the end of the layer", words);
        let bad = match touched {
            Ok(Touch::Good) => {
                blobs.good += 1;
                continue;
            }
            Ok(Touch::Missing) => fault(ErrorKind::BlobUnknown, "the registry does not have it"),
            Ok(Touch::Damaged) => fault(
                ErrorKind::Integrity,
                "the registry has it with a wrong size, or cut short",
            ),
            Err(fault) => fault,
        };
        blobs.bad = Some((name, bad));
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::{Fits, choose, runs_instead};
    use crate::oci::graph::{Child, Role};
    use crate::oci::store::{Descriptor, DescriptorPlatform};

    fn child(platform: Option<&str>) -> Child {
        let platform = platform.map(|text| {
            let parts: Vec<&str> = text.split('/').collect();
            DescriptorPlatform {
                os: parts[0].to_owned(),
                architecture: parts[1].to_owned(),
                variant: parts.get(2).map(|v| (*v).to_owned()),
                os_version: None,
            }
        });
        Child {
            role: Role::Manifest,
            descriptor: Descriptor {
                media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
                digest: syncd_config::Digest::sha256(b"x"),
                size: 1,
                data: None,
                urls: Vec::new(),
                platform,
                artifact_type: None,
                annotations: std::collections::BTreeMap::new(),
            },
        }
    }

    #[test]
    fn a_node_chooses_the_exact_platform_first() {
        for (entries, wanted, expected, fits) in [
            (
                vec!["linux/386", "linux/amd64"],
                "linux/amd64",
                Some(1),
                Fits::Exactly,
            ),
            (
                vec!["linux/386", "linux/arm64"],
                "linux/amd64",
                Some(0),
                Fits::Instead,
            ),
            (vec!["linux/amd64/v3"], "linux/amd64", None, Fits::No),
            (vec!["linux/arm64/v8"], "linux/arm64", Some(0), Fits::Exactly),
            (vec!["linux/arm/v6"], "linux/arm/v7", Some(0), Fits::Instead),
            (vec!["linux/arm/v7"], "linux/arm/v6", None, Fits::No),
            (vec!["windows/amd64"], "linux/amd64", None, Fits::No),
            (vec!["unknown/unknown"], "linux/amd64", None, Fits::No),
            (vec![], "linux/amd64", None, Fits::Unknown),
        ] {
            let children: Vec<Child> = entries.iter().map(|text| child(Some(text))).collect();
            let (chosen, found) = choose(&children, &wanted.parse().unwrap());
            let at = chosen.and_then(|chosen| children.iter().position(|c| std::ptr::eq(c, chosen)));
            assert_eq!((at, found), (expected, fits), "{entries:?} for {wanted}");
        }
        assert_eq!(
            choose(&[child(None)], &"linux/amd64".parse().unwrap()).1,
            Fits::Unknown
        );
    }

    #[test]
    fn no_platform_stands_in_for_itself() {
        for platform in ["linux/amd64", "linux/arm64", "linux/arm/v7", "windows/amd64"] {
            let platform = platform.parse().unwrap();
            assert!(!runs_instead(&platform, &platform));
        }
    }
}
