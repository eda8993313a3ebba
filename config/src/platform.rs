//! `os/arch[/variant]`, with containerd's rules of what is equal.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A platform (OCI image-spec, image-index.md): lower case, architectures by their Go names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// Operating system: `linux`, `windows`, …
    pub os: String,
    /// CPU architecture: `amd64`, `arm64`, …
    pub architecture: String,
    /// Variant: `v7`, `v8`, …
    pub variant: Option<String>,
}

/// Why a text is no platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a platform is written os/arch or os/arch/variant, such as linux/amd64")]
pub struct PlatformError;

impl Platform {
    /// The platform with containerd's defaults taken out: `arm64/v8` is `arm64`, `arm` is `arm/v7`,
    /// `x86_64` is `amd64`, `aarch64` is `arm64` (containerd platforms, `normalizeArch`).
    #[must_use]
    pub fn normalized(&self) -> Self {
        let mut p = self.clone();
        p.architecture = match p.architecture.as_str() {
            "x86_64" | "x86-64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            "i386" => "386".to_owned(),
            _ => p.architecture,
        };
        p.variant = match (p.architecture.as_str(), p.variant.as_deref()) {
            ("arm64", Some("v8" | "8")) | ("amd64", Some("v1")) => None,
            ("arm", None | Some("")) => Some("v7".to_owned()),
            (_, Some("")) => None,
            _ => p.variant,
        };
        p
    }

    /// Whether an image for `self` is the one a node of `other` would choose by exact match.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.normalized() == other.normalized()
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let word = |s: &str| {
            (1..=32).contains(&s.len())
                && s.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.'))
        };
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(|p| word(p)) {
            return Err(PlatformError);
        }
        Ok(Self {
            os: parts[0].to_owned(),
            architecture: parts[1].to_owned(),
            variant: parts.get(2).map(|v| (*v).to_owned()),
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}
