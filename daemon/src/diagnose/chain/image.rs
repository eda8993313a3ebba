//! The name by which kubelet looks an image up.

use std::fmt;
use std::str::FromStr;

use syncd_config::Reference;
use syncd_config::host::DOCKER_HUB;
use syncd_config::reference::{ReferenceError, looks_like_host};

use crate::oci::docker_config::key::HUB_FALLBACK;

/// An image's name as kubelet compares it with the keys of secrets: tag and digest are gone, the
/// defaults of Docker Hub are filled in (`docker.io/library/nginx`), and the host is spelt as the pod
/// spells it: kubelet folds neither case nor any name of Docker Hub but `index.docker.io`
/// (distribution/reference, `ParseNormalizedNamed`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// `host[:port]`.
    pub domain: String,
    /// The repository.
    pub path: String,
}

impl ImageName {
    /// Whether kubelet falls back to the key of Docker Hub for it: an image there, or at a host
    /// without a dot and without a port, such as `localhost` (`isDefaultRegistryMatch`).
    #[must_use]
    pub fn falls_back_to_hub(&self) -> bool {
        self.is_on_hub() || !self.domain.contains(['.', ':'])
    }

    /// Whether it is on Docker Hub.
    #[must_use]
    pub fn is_on_hub(&self) -> bool {
        self.domain == DOCKER_HUB
    }
}

impl FromStr for ImageName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        text.parse::<Reference>()?;
        let name = text.split_once('@').map_or(text, |(name, _)| name);
        let (domain, path) = match name.split_once('/') {
            Some((first, rest)) if looks_like_host(first) => (first, rest),
            _ => (DOCKER_HUB, name),
        };
        let path = path.split_once(':').map_or(path, |(path, _)| path);
        let domain = if domain == HUB_FALLBACK {
            DOCKER_HUB
        } else {
            domain
        };
        let library = if domain == DOCKER_HUB && !path.contains('/') {
            "library/"
        } else {
            ""
        };
        Ok(Self {
            domain: domain.to_owned(),
            path: format!("{library}{path}"),
        })
    }
}

impl From<&Reference> for ImageName {
    fn from(reference: &Reference) -> Self {
        Self {
            domain: reference.host.to_string(),
            path: reference.repository.to_string(),
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_normalised_as_kubelet_does() {
        for (text, want) in [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1.27", "docker.io/library/nginx"),
            (
                "team/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "docker.io/team/app",
            ),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/a/b:1", "docker.io/a/b"),
            (
                "registry-1.docker.io/library/nginx:1",
                "registry-1.docker.io/library/nginx",
            ),
            ("registry-1.docker.io/nginx", "registry-1.docker.io/nginx"),
            ("Reg.Example:5000/app:1", "Reg.Example:5000/app"),
            (
                "reg.example/team/app:1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "reg.example/team/app",
            ),
            ("localhost/app", "localhost/app"),
            ("[::1]:5000/app:1", "[::1]:5000/app"),
        ] {
            assert_eq!(text.parse::<ImageName>().unwrap().to_string(), want, "{text}");
        }
        assert!("Reg/app:1".parse::<ImageName>().is_err());
        let folded: Reference = "registry-1.docker.io/nginx".parse().unwrap();
        assert_eq!(ImageName::from(&folded).to_string(), "docker.io/library/nginx");
    }
}
