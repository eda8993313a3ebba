//! Whether a key matches an image: `URLsMatch` of kubelet.

use super::image::ImageName;
use crate::oci::docker_config::key::{IndexKey, parse};

/// Host parts, port and path of a key or an image.
pub(super) struct Parts {
    pub(super) host: String,
    pub(super) port: String,
    pub(super) path: String,
}

impl Parts {
    /// As `ParseSchemelessURL` and `SplitURL` see it; `None` when it does not parse (again: escapes
    /// that the first parse took out may leave something that is no URL).
    pub(super) fn of(text: &str) -> Option<Self> {
        let IndexKey { host, path } = parse(text).ok()?;
        let (name, port) = split_port(&host).unwrap_or((host.as_str(), ""));
        Some(Self {
            host: name.to_owned(),
            port: port.to_owned(),
            path,
        })
    }

    pub(super) fn labels(&self) -> Vec<&str> {
        self.host.split('.').collect()
    }
}

/// Whether kubelet uses this key for this image.
pub(super) fn matches(key: &IndexKey, image: &ImageName) -> bool {
    match (Parts::of(&key.text()), Parts::of(&image.to_string())) {
        (Some(key), Some(image)) => {
            key.port == image.port && image.path.starts_with(&key.path) && hosts_match(&key, &image)
        }
        _ => false,
    }
}

/// As many labels, and each one matches.
pub(super) fn hosts_match(key: &Parts, image: &Parts) -> bool {
    let (key, image) = (key.labels(), image.labels());
    key.len() == image.len()
        && key
            .iter()
            .zip(image)
            .all(|(pattern, label)| label_matches(pattern, label))
}

/// `filepath.Match` for what can stand in a host: `*` is any run of characters. `[` is there only in
/// an IPv6 address without a port, where it opens a set of characters and so never matches the address.
pub(super) fn label_matches(pattern: &str, label: &str) -> bool {
    if pattern.contains('[') {
        return false;
    }
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = label.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// Go's `net.SplitHostPort`; `None` where it errs (no port, too many colons, brackets in a wrong place).
fn split_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        return (!inner.contains(['[', ']']) && !port.contains(['[', ']'])).then_some((inner, port));
    }
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_label() {
        for (pattern, label, want) in [
            ("*", "", true),
            ("*", "abc", true),
            ("a*", "a", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("a*b*c", "aXbYc", true),
            ("*ab*ab*", "xabab", true),
            ("*ab*ab", "ab", false),
            ("aa*aa", "aaa", false),
            ("**", "x", true),
            ("", "", true),
            ("", "a", false),
            ("abc", "abcd", false),
            ("[::1]", "[::1]", false),
        ] {
            assert_eq!(label_matches(pattern, label), want, "{pattern} {label}");
        }
    }

    #[test]
    fn ports_are_split_like_go() {
        for (text, want) in [
            ("a:1", Some(("a", "1"))),
            ("a:", Some(("a", ""))),
            ("a", None),
            ("a:b:1", None),
            ("[::1]:5", Some(("::1", "5"))),
            ("[::1]", None),
            ("::1", None),
        ] {
            assert_eq!(split_port(text), want, "{text}");
        }
    }
}
