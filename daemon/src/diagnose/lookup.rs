//! What the configured mirror knows: is the image there, and what is there beside it.

use std::error::Error as _;

use syncd_config::config::{Config, Destination, EmbeddedRegistry, Mirror, Source};
use syncd_config::reference::Target;
use syncd_config::{Reference, RegistryHost, Repository};
use tokio::time::timeout_at;

use super::facts::{Fault, MirrorFacts};
use super::probe::Probe;
use crate::images::fault::{ImageFault, chain};
use crate::images::mapping::{StoredImage, stored_image, stored_name};
use crate::images::place::Place;
use crate::images::verify::{Presence, presence};
use crate::oci::layout::Layout;
use crate::oci::remote::Remote;
use crate::oci::{ErrorKind, RegistryError};

/// Repositories read for "did you mean", at most.
const NEIGHBOURS: usize = 1000;

/// Whether the host is the embedded registry of this configuration.
pub(crate) fn is_own(registry: &EmbeddedRegistry, host: &RegistryHost) -> bool {
    registry.names.contains(host) || registry.listen.to_string() == host.as_str()
}

/// Whether the host is where the mirror writes to.
fn is_mirror(config: &Config, mirror: &Mirror, host: &RegistryHost) -> bool {
    match &mirror.destination {
        Destination::Embedded => config
            .registry
            .as_ref()
            .is_some_and(|registry| is_own(registry, host)),
        Destination::Registry { host: own, .. } => own == host,
    }
}

/// Looks for the image in the mirror of the configuration.
pub(crate) async fn mirror(probe: &Probe<'_>) -> MirrorFacts {
    let Some(config) = probe.context.config.as_deref() else {
        return MirrorFacts::NotAsked("there is no configuration, so no mirror is known".to_owned());
    };
    let Some(mirror) = &config.mirror else {
        return MirrorFacts::NotAsked("no mirror is configured".to_owned());
    };
    let reference = probe.reference;
    if is_mirror(config, mirror, &reference.host) {
        return MirrorFacts::Itself;
    }
    let prefix = match &mirror.destination {
        Destination::Embedded => None,
        Destination::Registry { prefix, .. } => prefix.as_ref(),
    };
    let repository = match stored_name(reference, prefix) {
        Ok(repository) => repository,
        Err(error) => return MirrorFacts::NotAsked(error.to_string()),
    };
    let name = shown(config, mirror, &repository, &reference.target());
    let listed = || listed(mirror, &repository, reference);
    let place = match place(probe, mirror) {
        Ok(Some(place)) => place,
        Ok(None) => {
            return MirrorFacts::Missing {
                name,
                listed: listed(),
            };
        }
        Err(error) => {
            let fault = Fault::from(&error);
            return MirrorFacts::Failed { name, fault };
        }
    };
    let target = reference.target();
    let looked = presence(&place, &repository, &target);
    match timeout_at(probe.end(), looked).await {
        Err(_) => {
            let fault = probe.too_late(&name, "look into the mirror");
            MirrorFacts::Failed { name, fault }
        }
        Ok(Err(error)) => {
            let fault = of_image(&error, &name);
            MirrorFacts::Failed { name, fault }
        }
        Ok(Ok(Presence::Absent)) => MirrorFacts::Missing {
            name,
            listed: listed(),
        },
        Ok(Ok(Presence::Whole { digest })) => MirrorFacts::Present {
            name,
            digest: digest.to_string(),
        },
        Ok(Ok(Presence::Broken { flaws, .. })) => MirrorFacts::Damaged {
            name,
            words: syncd_config::text::clean(&flaws.join(", ")),
        },
    }
}

/// The mirror as a place; `None` when its store was never made.
fn place(probe: &Probe<'_>, mirror: &Mirror) -> Result<Option<Place>, RegistryError> {
    match &mirror.destination {
        Destination::Registry { host, .. } => Ok(Some(Place::Registry(Remote::source(
            probe.mirror_client.clone(),
            host.clone(),
        )))),
        Destination::Embedded => store(probe).map(|store| store.map(Place::Folder)),
    }
}

/// The store of the embedded registry, for reading: no lock, nothing written.
fn store(probe: &Probe<'_>) -> Result<Option<Layout>, RegistryError> {
    match &probe.context.store {
        Some(dir) if dir.is_dir() => Layout::open_read(dir).map(Some),
        _ => Ok(None),
    }
}

/// `host/repository:tag` in the mirror.
fn shown(config: &Config, mirror: &Mirror, repository: &Repository, target: &Target) -> String {
    let host = match &mirror.destination {
        Destination::Registry { host, .. } => host.to_string(),
        Destination::Embedded => match &config.registry {
            Some(registry) => registry
                .names
                .first()
                .map_or_else(|| registry.listen.to_string(), ToString::to_string),
            None => "embedded".to_owned(),
        },
    };
    match target {
        Target::Tag(tag) => format!("{host}/{repository}:{tag}"),
        Target::Digest(digest) => format!("{host}/{repository}@{digest}"),
    }
}

/// Whether `mirror.images` leads to that repository and tag.
fn listed(mirror: &Mirror, repository: &Repository, reference: &Reference) -> bool {
    images(mirror).any(|image| {
        image.repository == *repository && (reference.digest.is_some() || image.tag == reference.tag)
    })
}

/// The places of the configured images in the mirror.
fn images(mirror: &Mirror) -> impl Iterator<Item = StoredImage> {
    mirror.images.iter().filter_map(|rule| {
        let source = match &rule.source {
            Source::Registry(reference) => Some(reference),
            Source::OciLayout { .. } => None,
        };
        stored_image(source, rule.name.as_ref(), &mirror.destination)
            .ok()
            .flatten()
    })
}

/// Repositories that are at the registry of the reference for all we know, without asking it.
pub(crate) async fn neighbours(probe: &Probe<'_>) -> Vec<String> {
    let Some(config) = probe.context.config.as_deref() else {
        return Vec::new();
    };
    let host = &probe.reference.host;
    let mut names: Vec<String> = match &config.mirror {
        Some(mirror) if is_mirror(config, mirror, host) => {
            images(mirror).map(|image| image.repository.to_string()).collect()
        }
        Some(mirror) => {
            let of_rule = |source: &Source| match source {
                Source::Registry(reference) if reference.host == *host => {
                    Some(reference.repository.to_string())
                }
                _ => None,
            };
            mirror
                .images
                .iter()
                .filter_map(|rule| of_rule(&rule.source))
                .collect()
        }
        None => Vec::new(),
    };
    if config
        .registry
        .as_ref()
        .is_some_and(|registry| is_own(registry, host))
        && let Ok(Some(store)) = store(probe)
    {
        let listed = tokio::task::spawn_blocking(move || store.repositories(None, NEIGHBOURS)).await;
        if let Ok(Ok(found)) = listed {
            names.extend(found.iter().map(ToString::to_string));
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The failure of a place, as plain values.
fn of_image(error: &ImageFault, place: &str) -> Fault {
    let below = error
        .source()
        .and_then(|source| source.downcast_ref::<RegistryError>());
    match below {
        Some(below) => Fault::from(below),
        None => Fault::new(ErrorKind::Malformed, place, error.operation, &chain(error)),
    }
}
