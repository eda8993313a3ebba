//! Image references: `[host[:port]/]path[:tag][@digest]`, by the rules docker and kubelet share.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::digest::{Digest, DigestError};
use crate::host::{DOCKER_HUB, HostError, RegistryHost};

/// A repository's path within its registry: `[a-z0-9]+` words joined by `.`, `_`, `__` or `-`,
/// components joined by `/` (distribution-spec, "Pulling manifests"); at most 255 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository(Box<str>);

/// A tag: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}` (distribution-spec, "Pulling manifests").
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

/// A full image reference. Without a tag and a digest the tag is `latest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The registry.
    pub host: RegistryHost,
    /// The repository there; on Docker Hub single names have `library/` in front.
    pub repository: Repository,
    /// The tag; `None` only when a digest stands alone.
    pub tag: Option<Tag>,
    /// The digest, when pinned.
    pub digest: Option<Digest>,
}

/// Why a text is no image reference. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReferenceError {
    /// Nothing there.
    #[error("the image reference is empty")]
    Empty,
    /// `https://`, `docker://` and the like.
    #[error("an image reference has no scheme: write host/path:tag")]
    Scheme,
    /// `user:password@host/…`.
    #[error("an image reference holds no user and no password")]
    UserInfo,
    /// The host part is wrong.
    #[error("the registry host is wrong: {0}")]
    Host(HostError),
    /// The path has upper case letters.
    #[error("a repository name is lower case")]
    UpperCase,
    /// The path is not of the grammar.
    #[error("not a repository name: words of a-z 0-9 joined by . _ __ - and /")]
    Repository,
    /// The path is too long.
    #[error("a repository name has at most 255 characters")]
    RepositoryLength,
    /// The tag is not of the grammar.
    #[error("not a tag: at most 128 of A-Z a-z 0-9 _ . - and no . or - in front")]
    Tag,
    /// The digest is wrong.
    #[error("the digest is wrong: {0}")]
    Digest(DigestError),
}

impl Repository {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Tag {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag that a reference without tag and digest means.
    #[must_use]
    pub fn latest() -> Self {
        Self("latest".into())
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() > 255 {
            return Err(ReferenceError::RepositoryLength);
        }
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ReferenceError::UpperCase);
        }
        if text.split('/').all(is_component) {
            Ok(Self(text.into()))
        } else {
            Err(ReferenceError::Repository)
        }
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_well = bytes.first().is_some_and(|b| alnum(*b)) && bytes.last().is_some_and(|b| alnum(*b));
    ends_well
        && bytes
            .split(|b| alnum(*b))
            .filter(|separator| !separator.is_empty())
            .all(|separator| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let ok = text.len() <= 128
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if ok {
            Ok(Self(text.into()))
        } else {
            Err(ReferenceError::Tag)
        }
    }
}

impl Reference {
    /// What names the manifest in a request: the digest when pinned, else the tag.
    #[must_use]
    pub fn target(&self) -> Target {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Target::Digest(digest.clone()),
            (None, Some(tag)) => Target::Tag(tag.clone()),
            (None, None) => Target::Tag(Tag::latest()),
        }
    }
}

/// What names a manifest within a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// By tag.
    Tag(Tag),
    /// By digest.
    Digest(Digest),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(&tag.0),
            Self::Digest(digest) => fmt::Display::fmt(digest, f),
        }
    }
}

impl FromStr for Target {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            text.parse().map(Self::Digest).map_err(ReferenceError::Digest)
        } else {
            text.parse().map(Self::Tag)
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.contains("://") {
            return Err(ReferenceError::Scheme);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((_, after)) if after.contains('/') => return Err(ReferenceError::UserInfo),
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(ReferenceError::Digest)?)),
            None => (text, None),
        };
        let (host, rest) = split_host(rest);
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag.parse::<Tag>()?)),
            None => (rest, None),
        };
        let host: RegistryHost = host.unwrap_or(DOCKER_HUB).parse().map_err(ReferenceError::Host)?;
        let repository = if host.is_docker_hub() && !path.contains('/') {
            format!("library/{path}").parse()?
        } else {
            path.parse()?
        };
        let tag = tag.or_else(|| digest.is_none().then(Tag::latest));
        Ok(Self {
            host,
            repository,
            tag,
            digest,
        })
    }
}

/// The first component is a host when it has a dot or a colon, or is `localhost`
/// (distribution/reference, `splitDockerDomain`).
fn split_host(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((first, rest)) if looks_like_host(first) => (Some(first), rest),
        _ => (None, text),
    }
}

/// Whether the first component of a path is meant as a registry host.
///
/// Docker also takes a single word with upper case letters (`MyHost/app`) for one. Hosts are lower
/// case here, and `myhost/app` is another image, on Docker Hub: such a word is refused instead.
#[must_use]
pub fn looks_like_host(first: &str) -> bool {
    first.contains(['.', ':']) || first.eq_ignore_ascii_case("localhost")
}

macro_rules! text_type {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
text_type!(Repository, Tag);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl serde::Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
