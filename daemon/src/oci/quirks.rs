//! Where a registry departs from distribution-spec: data, not code paths spread about.

use syncd_config::RegistryHost;

/// How a registry wants a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// POST and one streaming PUT: what every registry of the spec takes.
    Monolithic,
    /// POST, one PATCH without `Content-Range`, PUT. GHCR: of several PATCHes only the last stays.
    OnePatch,
    /// POST, PATCHes of that many bytes, PUT. ACR: a body over some 20 MB is cut off.
    Chunked(u64),
}

/// The departures of one registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// How it wants a blob.
    pub upload: Upload,
}

const TABLE: &[(&str, Quirks)] = &[
    (
        "ghcr.io",
        Quirks {
            upload: Upload::OnePatch,
        },
    ),
    (
        ".azurecr.io",
        Quirks {
            upload: Upload::Chunked(16 << 20),
        },
    ),
];

impl Quirks {
    /// Those of `host`. A name with a dot in front means the hosts below it.
    #[must_use]
    pub fn of(host: &RegistryHost) -> Self {
        let name = host.name();
        let found = TABLE.iter().find(|(pattern, _)| {
            if pattern.starts_with('.') {
                name.ends_with(pattern)
            } else {
                name == *pattern
            }
        });
        found.map_or(
            Self {
                upload: Upload::Monolithic,
            },
            |(_, quirks)| *quirks,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_by_whole_names() {
        for (host, upload) in [
            ("ghcr.io", Upload::OnePatch),
            ("team.azurecr.io", Upload::Chunked(16 << 20)),
            ("azurecr.io.example", Upload::Monolithic),
            ("notghcr.io", Upload::Monolithic),
            ("127.0.0.1:5000", Upload::Monolithic),
        ] {
            assert_eq!(Quirks::of(&host.parse().unwrap()).upload, upload, "{host}");
        }
    }
}
