//! Names in the mirror: one mapping, used by copying, serving, diagnosing and node configuration.
//!
//! `docker.io/library/nginx` is stored as `[<prefix>/]docker.io/library/nginx`. A repository name has
//! no colon (distribution-spec, "Pulling manifests"), so `host:port` becomes `host_port`; no host name
//! has an underscore, which is what makes the mapping injective and reversible.

use syncd_config::config::{Destination, MirrorName};
use syncd_config::reference::ReferenceError;
use syncd_config::{Reference, RegistryHost, Repository, Tag};
use thiserror::Error;

/// Why an image has no name in the mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MappingError {
    /// An IPv6 literal: no repository name can hold it.
    #[error("failed to map a registry at an IPv6 address to a name in the mirror")]
    Ipv6,
    /// An underscore in the host: it stands for the colon of a port.
    #[error("failed to map a registry host with an underscore to a name in the mirror")]
    Underscore,
    /// The prefix, the host and the repository are too long together.
    #[error("failed to map the image to the mirror: its name there would exceed 255 characters")]
    Length,
    /// Not a repository name.
    #[error("failed to map the image to the mirror: its name there would not be a repository name")]
    Name,
    /// `?ns=` is not a registry host.
    #[error("failed to read ns: it is not a registry host")]
    Namespace,
}

impl MappingError {
    /// The closed class.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ipv6 => "mapping_ipv6",
            Self::Underscore => "mapping_underscore",
            Self::Length => "mapping_length",
            Self::Name => "mapping_name",
            Self::Namespace => "mapping_namespace",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Ipv6 | Self::Underscore => {
                Some("use a DNS name for the source, or give the image a name with `as`")
            }
            Self::Length | Self::Name => {
                Some("give the image a shorter name with `as`, or shorten the destination's path")
            }
            Self::Namespace => None,
        }
    }
}

/// An image's place in the mirror.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoredImage {
    /// The repository.
    pub repository: Repository,
    /// The tag to write; `None` for an image known by digest only.
    pub tag: Option<Tag>,
}

/// The repository under which the image of `reference` is stored.
///
/// # Errors
///
/// When the host has no form in a repository name, or the name gets too long.
pub fn stored_name(reference: &Reference, prefix: Option<&Repository>) -> Result<Repository, MappingError> {
    with_prefix(&mapped(&reference.host, reference.repository.as_str())?, prefix)
}

/// The place of an image in the mirror: by its `as` when it has one, else by its own name.
/// `None` when it has neither (an image of a folder without `as`).
///
/// # Errors
///
/// As [`stored_name`].
pub fn stored_image(
    source: Option<&Reference>,
    name: Option<&MirrorName>,
    destination: &Destination,
) -> Result<Option<StoredImage>, MappingError> {
    let prefix = match destination {
        Destination::Embedded => None,
        Destination::Registry { prefix, .. } => prefix.as_ref(),
    };
    match (name, source) {
        (Some(MirrorName::Literal(repository, tag)), _) => Ok(Some(StoredImage {
            repository: with_prefix(repository.as_str(), prefix)?,
            tag: Some(tag.clone()),
        })),
        (Some(MirrorName::Like(reference)), _) | (None, Some(reference)) => Ok(Some(StoredImage {
            repository: stored_name(reference, prefix)?,
            tag: reference.tag.clone(),
        })),
        (None, None) => Ok(None),
    }
}

/// The repository that a request to the embedded registry means: `path` is what stands between
/// `/v2/` and the verb, `ns` the query parameter by which containerd names the upstream registry
/// (containerd, docs/hosts.md). One of the registry's own names as `ns` means the path itself.
///
/// # Errors
///
/// When `ns` is no registry host, or the path is no repository name.
pub fn lookup_name(
    path: &str,
    ns: Option<&str>,
    own_names: &[RegistryHost],
) -> Result<Repository, MappingError> {
    let literal: Repository = path.parse().map_err(name_error)?;
    let Some(ns) = ns else { return Ok(literal) };
    let host: RegistryHost = ns.parse().map_err(|_| MappingError::Namespace)?;
    if own_names.contains(&host) {
        return Ok(literal);
    }
    with_prefix(&mapped(&host, literal.as_str())?, None)
}

/// What [`stored_name`] was made from: the registry and its repository. `None` for a literal name.
#[must_use]
pub fn original_name(stored: &Repository, prefix: Option<&Repository>) -> Option<(RegistryHost, Repository)> {
    let path = match prefix {
        Some(prefix) => stored.as_str().strip_prefix(prefix.as_str())?.strip_prefix('/')?,
        None => stored.as_str(),
    };
    let (first, rest) = path.split_once('/')?;
    let host: RegistryHost = match first.split_once('_') {
        Some((name, port)) => format!("{name}:{port}").parse().ok()?,
        None if syncd_config::reference::looks_like_host(first) => first.parse().ok()?,
        None => return None,
    };
    Some((host, rest.parse().ok()?))
}

fn mapped(host: &RegistryHost, repository: &str) -> Result<String, MappingError> {
    if host.as_str().starts_with('[') {
        return Err(MappingError::Ipv6);
    }
    if host.as_str().contains('_') {
        return Err(MappingError::Underscore);
    }
    Ok(format!("{}/{repository}", host.as_str().replace(':', "_")))
}

fn with_prefix(path: &str, prefix: Option<&Repository>) -> Result<Repository, MappingError> {
    match prefix {
        Some(prefix) => format!("{prefix}/{path}").parse().map_err(name_error),
        None => path.parse().map_err(name_error),
    }
}

fn name_error(error: ReferenceError) -> MappingError {
    match error {
        ReferenceError::RepositoryLength => MappingError::Length,
        _ => MappingError::Name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference(text: &str) -> Reference {
        text.parse().unwrap()
    }

    fn stored(text: &str, prefix: Option<&str>) -> Result<String, MappingError> {
        let prefix = prefix.map(|p| p.parse().unwrap());
        stored_name(&reference(text), prefix.as_ref()).map(|r| r.to_string())
    }

    #[test]
    fn names_are_mapped() {
        for (image, prefix, expected) in [
            ("nginx", None, "docker.io/library/nginx"),
            ("index.docker.io/nginx", None, "docker.io/library/nginx"),
            ("quay.io/a/b:1", Some("mirror/x"), "mirror/x/quay.io/a/b"),
            (
                "harbor.corp.example:8443/team/app",
                None,
                "harbor.corp.example_8443/team/app",
            ),
            ("localhost:5000/app", None, "localhost_5000/app"),
            ("127.0.0.1:5000/app", None, "127.0.0.1_5000/app"),
            ("localhost/app", None, "localhost/app"),
        ] {
            assert_eq!(stored(image, prefix).unwrap(), expected, "{image}");
        }
    }

    #[test]
    fn hosts_without_a_form_are_refused() {
        assert_eq!(stored("[::1]:5000/app", None), Err(MappingError::Ipv6));
        // An underscore never gets as far as the mapping: it is no host name.
        assert!("my_host.example/app".parse::<Reference>().is_err());
    }

    #[test]
    fn names_over_255_characters_are_refused() {
        let long = format!("quay.io/{}", "a".repeat(247));
        assert_eq!(stored(&long, None).unwrap().len(), 255);
        assert_eq!(stored(&format!("{long}a"), None), Err(MappingError::Length));
        assert_eq!(stored(&long, Some("p")), Err(MappingError::Length));
    }

    #[test]
    fn as_names() {
        let embedded = Destination::Embedded;
        let registry = Destination::Registry {
            host: "h.example".parse().unwrap(),
            prefix: Some("mirror".parse().unwrap()),
        };
        let source = reference("quay.io/a/b:1");
        let like = MirrorName::Like(reference("docker.io/library/hello:1"));
        let literal = MirrorName::Literal("hello".parse().unwrap(), "1".parse().unwrap());
        for (source, name, destination, expected) in [
            (Some(&source), None, &embedded, Some("quay.io/a/b 1")),
            (
                Some(&source),
                Some(&like),
                &embedded,
                Some("docker.io/library/hello 1"),
            ),
            (None, Some(&literal), &embedded, Some("hello 1")),
            (None, Some(&literal), &registry, Some("mirror/hello 1")),
            (
                None,
                Some(&like),
                &registry,
                Some("mirror/docker.io/library/hello 1"),
            ),
            (None, None, &registry, None),
        ] {
            let got = stored_image(source, name, destination).unwrap();
            let got = got.map(|i| format!("{} {}", i.repository, i.tag.unwrap()));
            assert_eq!(got.as_deref(), expected);
        }
    }

    #[test]
    fn requests_find_what_was_stored() {
        let own = [
            "registry.corp.example:5000".parse().unwrap(),
            "127.0.0.1:5000".parse().unwrap(),
        ];
        for (path, ns, expected) in [
            ("library/nginx", Some("docker.io"), Ok("docker.io/library/nginx")),
            (
                "library/nginx",
                Some("registry-1.docker.io"),
                Ok("docker.io/library/nginx"),
            ),
            ("team/app", Some("h.example:8443"), Ok("h.example_8443/team/app")),
            ("docker.io/library/nginx", None, Ok("docker.io/library/nginx")),
            ("hello", None, Ok("hello")),
            ("hello", Some("registry.corp.example:5000"), Ok("hello")),
            ("hello", Some("127.0.0.1:5000"), Ok("hello")),
            ("hello", Some(""), Err(MappingError::Namespace)),
            ("hello", Some("http://h"), Err(MappingError::Namespace)),
            ("hello", Some("my_host.example"), Err(MappingError::Namespace)),
            ("hello", Some("../../etc"), Err(MappingError::Namespace)),
            ("hello", Some("[::1]:5000"), Err(MappingError::Ipv6)),
            ("../hello", Some("docker.io"), Err(MappingError::Name)),
            ("Hello", None, Err(MappingError::Name)),
        ] {
            let got = lookup_name(path, ns, &own).map(|r| r.to_string());
            assert_eq!(got.as_deref(), expected.as_ref().map(|s| *s), "{path} {ns:?}");
        }
    }

    fn images() -> impl Strategy<Value = Reference> {
        let host = "([a-z0-9]([a-z0-9-]{0,4}[a-z0-9])?\\.){1,2}[a-z]{2,3}|localhost|10\\.0\\.0\\.[1-9]";
        let port = prop_oneof![Just(None), (1u16..).prop_map(Some)];
        let component = "[a-z0-9]{1,3}((\\.|_|__|-{1,2})[a-z0-9]{1,2}){0,2}";
        (host, port, prop::collection::vec(component, 1..4)).prop_map(|(host, port, path)| {
            let port = port.map(|p| format!(":{p}")).unwrap_or_default();
            format!("{host}{port}/{}", path.join("/")).parse().unwrap()
        })
    }

    proptest! {
        #[test]
        fn the_mapping_is_reversible_and_so_injective(image in images(), prefix in prop::option::of(Just("a/b"))) {
            let prefix = prefix.map(|p| p.parse::<Repository>().unwrap());
            let stored = stored_name(&image, prefix.as_ref()).unwrap();
            prop_assert_eq!(
                original_name(&stored, prefix.as_ref()),
                Some((image.host.clone(), image.repository.clone()))
            );
        }

        #[test]
        fn what_is_stored_is_found_by_ns_and_by_path(image in images()) {
            let stored = stored_name(&image, None).unwrap();
            let by_ns = lookup_name(image.repository.as_str(), Some(image.host.as_str()), &[]).unwrap();
            prop_assert_eq!(&by_ns, &stored);
            prop_assert_eq!(&lookup_name(stored.as_str(), None, &[]).unwrap(), &stored);
        }

        #[test]
        fn different_images_have_different_names(a in images(), b in images()) {
            let same = a.host == b.host && a.repository == b.repository;
            prop_assert_eq!(stored_name(&a, None).unwrap() == stored_name(&b, None).unwrap(), same);
        }
    }
}
