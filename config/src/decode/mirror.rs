//! `mirror`: what is copied, where to, and when.

use crate::config::{Destination, ImageRule, Mirror, MirrorName, Source};
use crate::host::RegistryHost;
use crate::keys::IMAGE;
use crate::reference::{Reference, ReferenceError, Repository, Tag, Target, looks_like_host};
use crate::suggest;
use crate::tree::Span;

use super::fields::{Fields, Read, Walk};

/// The section, and the places that checks across sections point at.
pub(super) struct MirrorRead {
    pub(super) mirror: Mirror,
    pub(super) span: Span,
    /// The place of `destination`, and whether it could be read.
    pub(super) destination: Option<(Span, bool)>,
    /// One for each image of `mirror.images`.
    pub(super) images: Vec<Read<()>>,
}

pub(super) fn read(walk: &mut Walk<'_>, fields: &Fields<'_>) -> MirrorRead {
    let schedule = super::schedule::read(walk, fields);
    let written = fields.take(walk, "destination");
    let destination = destination(walk, fields);
    let items = fields.list(walk, "images");
    if items.as_ref().is_some_and(Vec::is_empty)
        && let Some(images) = fields.take(walk, "images")
    {
        walk.diagnostics.warn(
            images.span,
            &images.path,
            "nothing is mirrored: the list is empty",
        );
    }
    let mut rules = Vec::new();
    let mut places = Vec::new();
    for item in items.unwrap_or_default() {
        let place = item.clone().map(|_| ());
        let rule = match item.value.text() {
            Some(text) => {
                registry_image(walk, item.map(|_| text)).map(|source| ImageRule { source, name: None })
            }
            None => walk
                .open(&IMAGE, item.value, &item.path, item.span)
                .and_then(|fields| image(walk, &fields)),
        };
        if let Some(rule) = rule {
            rules.push(rule);
            places.push(place);
        }
    }
    MirrorRead {
        span: fields.span,
        destination: written.map(|read| (read.span, destination.is_some())),
        images: places,
        mirror: Mirror {
            schedule,
            destination: destination.map_or(Destination::Embedded, |read| read.value),
            images: rules,
        },
    }
}

fn destination(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<Read<Destination>> {
    let text = fields.text(walk, "destination")?;
    match parse_destination(text.value) {
        Ok(destination) => Some(text.map(|_| destination)),
        Err((message, hint)) => {
            walk.diagnostics
                .error(text.span, &text.path, format!("`destination`: {message}"))
                .hint_opt(hint);
            None
        }
    }
}

type Complaint = (String, Option<String>);

fn parse_destination(text: &str) -> Result<Destination, Complaint> {
    if text == "embedded" {
        return Ok(Destination::Embedded);
    }
    let (host, prefix) = match text.split_once('/') {
        Some((host, prefix)) if !text.contains("://") => (host, Some(prefix)),
        _ => (text, None),
    };
    if !looks_like_host(host) {
        let hint = match suggest::nearest(host, ["embedded"]) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "a registry has a dot or a port in its name, such as harbor.corp.example".to_owned(),
        };
        return Err(("neither `embedded` nor a registry host".to_owned(), Some(hint)));
    }
    let host = host
        .parse::<RegistryHost>()
        .map_err(|error| (error.to_string(), None))?;
    let prefix = match prefix {
        None => None,
        Some(prefix) => Some(
            prefix
                .parse::<Repository>()
                .map_err(|error| (error.to_string(), prefix_hint(prefix)))?,
        ),
    };
    Ok(Destination::Registry { host, prefix })
}

fn prefix_hint(prefix: &str) -> Option<String> {
    if prefix.ends_with('/') || prefix.is_empty() {
        Some("leave the slash at the end out".to_owned())
    } else if prefix.contains(':') {
        Some("a path in front of every name has no tag".to_owned())
    } else {
        None
    }
}

fn image(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<ImageRule> {
    let text = fields.text(walk, "source");
    let name_text = fields.text(walk, "as");
    let name = name_text.as_ref().and_then(|text| mirror_name(walk, text));
    let named = fields.take(walk, "as").is_some();
    let text = text?;
    let source = match text.value.strip_prefix("ociLayout:") {
        Some(folder) => {
            if !named {
                walk.diagnostics
                    .error(
                        text.span,
                        &text.path,
                        "`as` is missing: an image of a folder has no name of its own",
                    )
                    .hint("add `as: docker.io/library/hello:1`, or what it shall be called");
            }
            layout(walk, &text, folder)
        }
        None => registry_image(walk, text),
    };
    if named && name.is_none() {
        return None;
    }
    Some(ImageRule {
        source: source?,
        name,
    })
}

/// `FOLDER[:TAG|@DIGEST]`
fn layout(walk: &mut Walk<'_>, text: &Read<&str>, folder: &str) -> Option<Source> {
    // A slash after the mark means that the mark is part of the path.
    let at = |mark| folder.rsplit_once(mark).filter(|(_, pick)| !pick.contains('/'));
    let (path, pick) = match (at('@'), at(':')) {
        (Some((path, digest)), _) => {
            let digest = digest.parse().map(Target::Digest).map_err(ReferenceError::Digest);
            (path, digest.map(Some))
        }
        (None, Some((path, tag))) => (path, tag.parse().map(Target::Tag).map(Some)),
        (None, None) => (folder, Ok(None)),
    };
    let pick = match pick {
        Ok(pick) => pick,
        Err(error) => {
            walk.diagnostics
                .error(text.span, &text.path, format!("`source`: {error}"))
                .hint("ociLayout:FOLDER, ociLayout:FOLDER:TAG or ociLayout:FOLDER@DIGEST");
            return None;
        }
    };
    if path.is_empty() || path.starts_with("//") {
        walk.diagnostics
            .error(
                text.span,
                &text.path,
                "`source`: a folder is missing after `ociLayout:`",
            )
            .hint("such as ociLayout:./images/hello");
        return None;
    }
    Some(Source::OciLayout {
        path: walk.joined(path),
        pick,
    })
}

/// An image of a registry, as it may be mirrored.
fn registry_image(walk: &mut Walk<'_>, text: Read<&str>) -> Option<Source> {
    let name = if text.path.ends_with(']') {
        "image"
    } else {
        "`source`"
    };
    let (message, hint) = match text.value.parse::<Reference>() {
        Ok(reference) if reference.host.as_str().starts_with('[') => (
            "an IPv6 address cannot be part of a name in the mirror".to_owned(),
            Some("use the registry's DNS name"),
        ),
        Ok(reference) => {
            warn_latest(walk, &text, &reference);
            return Some(Source::Registry(reference));
        }
        Err(error) => (error.to_string(), reference_hint(text.value, error)),
    };
    walk.diagnostics
        .error(text.span, &text.path, format!("{name}: {message}"))
        .hint_opt(hint);
    None
}

fn warn_latest(walk: &mut Walk<'_>, text: &Read<&str>, reference: &Reference) {
    let written = text.value.ends_with(":latest");
    let latest =
        reference.digest.is_none() && reference.tag.as_ref().is_some_and(|tag| tag.as_str() == "latest");
    if latest && !written {
        walk.diagnostics
            .warn(
                text.span,
                &text.path,
                "no tag and no digest: the tag `latest` is mirrored",
            )
            .hint("write the tag, if only `:latest`");
    }
}

fn reference_hint(text: &str, error: ReferenceError) -> Option<&'static str> {
    if text.starts_with("ociLayout:") {
        return Some("write it as `source: ociLayout:FOLDER`, with `as: NAME:TAG`");
    }
    if text.starts_with("oci:") || text.starts_with("oci-layout:") || text.starts_with("dir:") {
        return Some("an image in a folder is written ociLayout:FOLDER");
    }
    match error {
        ReferenceError::Scheme => Some("such as docker.io/library/nginx:1.27"),
        ReferenceError::Repository | ReferenceError::Tag if text.contains('*') => {
            Some("patterns are not known: write each tag out")
        }
        _ => None,
    }
}

/// `docker.io/library/hello:1` is mapped like that image, `hello:1` is literal.
fn mirror_name(walk: &mut Walk<'_>, text: &Read<&str>) -> Option<MirrorName> {
    match parse_name(text.value) {
        Ok(name) => Some(name),
        Err(message) => {
            walk.diagnostics
                .error(text.span, &text.path, format!("`as`: {message}"))
                .hint("such as docker.io/library/hello:1, or hello:1 for that very name");
            None
        }
    }
}

fn parse_name(text: &str) -> Result<MirrorName, String> {
    if text.contains("://") {
        return Err(ReferenceError::Scheme.to_string());
    }
    if text.contains('@') {
        return Err("a name in the mirror has a tag, not a digest".to_owned());
    }
    let last = text.rsplit('/').next().unwrap_or_default();
    if !last.contains(':') {
        return Err("a tag is missing".to_owned());
    }
    if text
        .split_once('/')
        .is_some_and(|(first, _)| looks_like_host(first))
    {
        let reference = text.parse::<Reference>().map_err(|error| error.to_string())?;
        if reference.host.as_str().starts_with('[') {
            return Err("an IPv6 address cannot be part of a name in the mirror".to_owned());
        }
        return Ok(MirrorName::Like(reference));
    }
    let (path, tag) = text.rsplit_once(':').unwrap_or((text, ""));
    let repository = path.parse::<Repository>().map_err(|error| error.to_string())?;
    let tag = tag.parse::<Tag>().map_err(|error| error.to_string())?;
    Ok(MirrorName::Literal(repository, tag))
}
