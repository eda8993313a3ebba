//! What must hold between keys of different sections.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::config::{Destination, ImageRule, MirrorName, Source};
use crate::reference::{Reference, Target};

use super::fields::Walk;
use super::mirror::MirrorRead;
use super::registry::RegistryRead;

/// The longest repository name that registries take.
const LONGEST: usize = 255;

/// The status page and the registry cannot share a port.
pub(super) fn listeners(walk: &mut Walk<'_>, status: SocketAddr, registry: &RegistryRead) {
    let other = registry.registry.listen;
    let meet = status.ip() == other.ip() || status.ip().is_unspecified() || other.ip().is_unspecified();
    if meet && status.port() == other.port() && status.port() != 0 {
        walk.diagnostics
            .error(
                registry.listen,
                format!("{}.listen", registry.path),
                "the registry listens where the status page does (the top-level `listen`)",
            )
            .hint("use another port for one of them");
    }
}

/// `embedded` needs the embedded registry.
pub(super) fn destination(
    walk: &mut Walk<'_>,
    mirror: &MirrorRead,
    has_registry: bool,
    registry: Option<&RegistryRead>,
) {
    let (span, known) = mirror.destination.unwrap_or((mirror.span, true));
    if !known {
        return;
    }
    match &mirror.mirror.destination {
        Destination::Embedded if !has_registry => {
            walk.diagnostics
                .error(
                    span,
                    "mirror.destination",
                    "the destination is the embedded registry, and there is no `registry` section",
                )
                .hint("add `registry: {}`, or name another registry in `mirror.destination`");
        }
        Destination::Registry { host, .. } => {
            let own = registry.is_some_and(|read| {
                read.registry.names.contains(host) || read.registry.listen.to_string() == host.as_str()
            });
            if own {
                walk.diagnostics
                    .warn(
                        span,
                        "mirror.destination",
                        "the destination is the embedded registry itself",
                    )
                    .hint("write `embedded`: it is copied into the store without a login and the network");
            }
        }
        Destination::Embedded => {}
    }
}

/// No two images land on the same name, and no name is too long.
pub(super) fn stored_names(walk: &mut Walk<'_>, mirror: &MirrorRead) {
    let prefix = match &mirror.mirror.destination {
        Destination::Registry {
            prefix: Some(prefix), ..
        } => Some(prefix.as_str()),
        _ => None,
    };
    let mut taken: HashMap<String, u32> = HashMap::new();
    for (rule, place) in mirror.mirror.images.iter().zip(&mirror.images) {
        let Some((name, target)) = stored(rule) else {
            continue;
        };
        let length = name.len() + prefix.map_or(0, |prefix| prefix.len() + 1);
        if length > LONGEST {
            walk.diagnostics.error(
                place.span,
                &place.path,
                format!("the image's name in the mirror has {length} characters; registries take {LONGEST}"),
            );
        }
        let key = format!("{name} {target}");
        if let Some(line) = taken.get(&key) {
            walk.diagnostics
                .error(
                    place.span,
                    &place.path,
                    format!("this image has the same name in the mirror as the one on line {line}"),
                )
                .hint("remove one, or give one another name with `as`");
        } else {
            taken.insert(key, place.span.start.line);
        }
    }
}

/// The repository of an image in the mirror, and the tag or, without one, the digest there.
fn stored(rule: &ImageRule) -> Option<(String, Target)> {
    match (&rule.name, &rule.source) {
        (Some(MirrorName::Literal(repository, tag)), _) => {
            Some((repository.to_string(), Target::Tag(tag.clone())))
        }
        (Some(MirrorName::Like(reference)), _) | (None, Source::Registry(reference)) => {
            Some((mapped(reference), tag_or_digest(reference)))
        }
        (None, Source::OciLayout { .. }) => None,
    }
}

/// A host's port is joined by `_`: a repository name has no colon.
fn mapped(reference: &Reference) -> String {
    let host = reference.host.as_str().replace(':', "_");
    format!("{host}/{}", reference.repository)
}

/// The tag that is written in the mirror; a digest alone stays one.
fn tag_or_digest(reference: &Reference) -> Target {
    match (&reference.tag, &reference.digest) {
        (None, Some(digest)) => Target::Digest(digest.clone()),
        (Some(tag), _) => Target::Tag(tag.clone()),
        (None, None) => reference.target(),
    }
}
