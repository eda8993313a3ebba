//! Why a key does not match an image, and how near it is.

use syncd_config::host::DOCKER_HUB;
use syncd_config::text::edit_distance;

use super::image::ImageName;
use super::matching::{Parts, hosts_match, label_matches, matches};
use crate::oci::docker_config::key::{HUB_FALLBACK, IndexKey, KeyFault, index, shown};

/// The key of Docker Hub that every client understands.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Why a key does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MismatchKind {
    /// It is no URL, so kubelet leaves it out.
    Invalid,
    /// It is the `auths` of a config.json in a secret of the older form.
    Form,
    /// Another scheme than `https://` and `http://` stands before the host.
    Scheme,
    /// It names no host.
    NoHost,
    /// A name of Docker Hub that kubelet does not take for it.
    HubAlias,
    /// Docker Hub's key without the slash at its end.
    HubSlash,
    /// Docker Hub's general key, which is used only when no other one matches.
    HubNotNeeded,
    /// The host is right and the port is not.
    Port,
    /// An IPv6 address without a port.
    Ipv6,
    /// Only upper and lower case differ.
    Case,
    /// A `*` would have to span a dot.
    StarDots,
    /// The host has more or fewer parts than the image's, and belongs to the same domain.
    HostParts,
    /// The host differs by a letter or two.
    Typo,
    /// The path is `/v1` or `/v2` without a slash at its end.
    PathVersion,
    /// The path has a tag or a digest.
    PathTag,
    /// The path ends in a slash.
    PathSlash,
    /// The path has a `*`, which means nothing there.
    PathStar,
    /// The registry is right, the path is another.
    Path,
    /// It is for another registry.
    OtherHost,
}

impl MismatchKind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Invalid,
        Self::Form,
        Self::Scheme,
        Self::NoHost,
        Self::HubAlias,
        Self::HubSlash,
        Self::HubNotNeeded,
        Self::Port,
        Self::Ipv6,
        Self::Case,
        Self::StarDots,
        Self::HostParts,
        Self::Typo,
        Self::PathVersion,
        Self::PathTag,
        Self::PathSlash,
        Self::PathStar,
        Self::Path,
        Self::OtherHost,
    ];

    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Form => "form",
            Self::Scheme => "scheme",
            Self::NoHost => "no_host",
            Self::HubAlias => "hub_alias",
            Self::HubSlash => "hub_slash",
            Self::HubNotNeeded => "hub_not_needed",
            Self::Port => "port",
            Self::Ipv6 => "ipv6",
            Self::Case => "case",
            Self::StarDots => "star_dots",
            Self::HostParts => "host_parts",
            Self::Typo => "typo",
            Self::PathVersion => "path_version",
            Self::PathTag => "path_tag",
            Self::PathSlash => "path_slash",
            Self::PathStar => "path_star",
            Self::Path => "path",
            Self::OtherHost => "other_host",
        }
    }
}

/// What is said about a key that does not match.
pub(super) struct Mismatch {
    pub(super) kind: MismatchKind,
    pub(super) reason: String,
    pub(super) fix: Option<String>,
}

/// Why `key`, which kubelet sees as `indexed`, does not match `image`.
pub(super) fn of(key: &str, indexed: &Result<IndexKey, KeyFault>, image: &ImageName) -> Mismatch {
    let (kind, reason, fix) = judge(key, indexed, image);
    Mismatch {
        kind,
        reason,
        // A fix that would not match is none.
        fix: fix.filter(|fix| is_used(fix, image)),
    }
}

/// Whether kubelet would use this key if it were the only one.
fn is_used(key: &str, image: &ImageName) -> bool {
    index(key)
        .is_ok_and(|key| matches(&key, image) || image.falls_back_to_hub() && key.text() == HUB_FALLBACK)
}

type Judgement = (MismatchKind, String, Option<String>);

fn judge(key: &str, indexed: &Result<IndexKey, KeyFault>, image: &ImageName) -> Judgement {
    let whole = || Some(whole_registry(image));
    let indexed = match indexed {
        Err(fault) => {
            let fix = repaired(key).filter(|fix| is_used(fix, image));
            return (
                MismatchKind::Invalid,
                format!("kubelet leaves this key out: {fault}"),
                fix,
            );
        }
        Ok(indexed) => indexed,
    };
    if key == "auths" {
        let reason = "a whole config.json lies in a secret of the type kubernetes.io/dockercfg, which is the bare map of hosts: kubelet takes `auths` for a host";
        return (MismatchKind::Form, reason.to_owned(), None);
    }
    if let Some(found) = scheme(key, indexed, image).or_else(|| hub(indexed, image)) {
        return found;
    }
    let parts = Parts::of(&indexed.text()).zip(Parts::of(&image.to_string()));
    let Some((ours, theirs)) = parts else {
        let reason = "kubelet cannot read it a second time, after its escapes are taken out".to_owned();
        return (MismatchKind::Invalid, reason, None);
    };
    if ours.host.is_empty() {
        return (MismatchKind::NoHost, "it names no host".to_owned(), None);
    }
    if ours.host == theirs.host && ours.host.starts_with('[') {
        let reason =
            "an IPv6 address without a port never matches: kubelet reads its brackets as a set of characters";
        return (MismatchKind::Ipv6, reason.to_owned(), None);
    }
    if hosts_match(&ours, &theirs) {
        if ours.port != theirs.port {
            return (MismatchKind::Port, port_words(&ours, &theirs), whole());
        }
        return path(&ours, &theirs, image);
    }
    host(&ours, &theirs, image)
}

/// The key for the whole of the image's registry.
fn whole_registry(image: &ImageName) -> String {
    if image.is_on_hub() {
        HUB_KEY.to_owned()
    } else {
        image.domain.clone()
    }
}

/// A key without the white space around it and without a pattern for the port.
fn repaired(key: &str) -> Option<String> {
    let trimmed = key.trim();
    let (rest, port) = trimmed.rsplit_once(':').unwrap_or((trimmed, ""));
    let repaired = if port == "*" { rest } else { trimmed };
    (repaired != key).then(|| repaired.to_owned())
}

fn scheme(key: &str, indexed: &IndexKey, image: &ImageName) -> Option<Judgement> {
    let (scheme, rest) = key.split_once("://")?;
    if matches!(scheme, "https" | "http") || !indexed.host.trim_end_matches(':').eq(scheme) {
        return None;
    }
    let fix = is_used(rest, image).then(|| rest.to_owned());
    let reason = "only https:// and http://, in lower case, may stand before the host: kubelet takes this scheme for the host";
    Some((MismatchKind::Scheme, reason.to_owned(), fix))
}

/// The names of Docker Hub, of which kubelet knows two.
fn hub(key: &IndexKey, image: &ImageName) -> Option<Judgement> {
    let names_hub =
        |host: &str| host.ends_with(".docker.io") || host.ends_with(".docker.com") || host == "docker.com";
    let host = key.host.split(':').next().unwrap_or_default();
    let is_known = host == HUB_FALLBACK || host == DOCKER_HUB;
    if !image.is_on_hub() {
        let is_alias = names_hub(&image.domain) && is_known;
        return is_alias.then(|| {
            let reason = format!(
                "the image is named with {}, which kubelet takes for another registry than Docker Hub",
                image.domain
            );
            (MismatchKind::HubAlias, reason, Some(image.domain.clone()))
        });
    }
    let fix = Some(HUB_KEY.to_owned());
    if key.host == HUB_FALLBACK {
        return Some(match key.path.as_str() {
            "" => {
                let reason =
                    "this key of Docker Hub counts only when no other key matches, and another one does";
                (MismatchKind::HubNotNeeded, reason.to_owned(), None)
            }
            "/v1" | "/v2" => {
                let reason = "the slash at its end is missing, so kubelet keeps the version as a path, which no image has";
                (MismatchKind::HubSlash, reason.to_owned(), fix)
            }
            _ => {
                let reason = "for index.docker.io kubelet knows no paths: with a path it never matches";
                (MismatchKind::HubAlias, reason.to_owned(), fix)
            }
        });
    }
    names_hub(host).then(|| {
        let reason = format!(
            "kubelet looks for Docker Hub under docker.io and index.docker.io only, never under {}",
            shown(&key.host)
        );
        (MismatchKind::HubAlias, reason, fix)
    })
}

fn port_words(key: &Parts, image: &Parts) -> String {
    let named = |port: &str| match port {
        "" => "no port".to_owned(),
        port => format!("port {port}"),
    };
    let default = if [&key.port, &image.port]
        .iter()
        .any(|port| *port == "443" || *port == "80")
    {
        " (kubelet compares texts: a default port is no exception)"
    } else {
        ""
    };
    format!(
        "the key has {}, the image has {}{default}",
        named(&key.port),
        named(&image.port)
    )
}

/// Host and port match: the path is not the beginning of the image's.
fn path(key: &Parts, image: &Parts, name: &ImageName) -> Judgement {
    let with = |path: &str| {
        let fix = format!("{}{path}", name.domain);
        Some(if path.is_empty() {
            whole_registry(name)
        } else {
            fix
        })
    };
    if matches!(key.path.as_str(), "/v1" | "/v2") {
        let reason = format!(
            "the slash after {} is missing, so kubelet keeps it as a path",
            key.path
        );
        return (MismatchKind::PathVersion, reason, with(""));
    }
    if let Some((before, _)) = key.path.split_once('*') {
        let reason = "`*` means nothing in a path: a path matches all that begins with it";
        let before = before.trim_end_matches('/');
        return (MismatchKind::PathStar, reason.to_owned(), with(before));
    }
    if let Some((before, _)) = key.path.split_once([':', '@']) {
        let reason = "keys have no tag and no digest: kubelet compares the repository's name only";
        return (MismatchKind::PathTag, reason.to_owned(), with(before));
    }
    if key.path.strip_suffix('/') == Some(&image.path) {
        let reason = "the slash at its end is one more than the image's name has";
        return (MismatchKind::PathSlash, reason.to_owned(), with(&image.path));
    }
    let low = key.path.to_ascii_lowercase();
    if low != key.path && image.path.starts_with(&low) {
        let reason = "upper and lower case count: the image's path is spelt in another way";
        return (MismatchKind::Case, reason.to_owned(), with(&low));
    }
    let library = format!("/library{}", key.path);
    if name.is_on_hub() && image.path.starts_with(&library) {
        let reason = "on Docker Hub the images without an owner lie under library/";
        return (MismatchKind::Path, reason.to_owned(), with(&library));
    }
    let reason = format!(
        "it is for {} on this registry, and {} does not begin with that",
        shown_path(&key.path),
        image.path
    );
    (MismatchKind::Path, reason, None)
}

fn shown_path(path: &str) -> String {
    syncd_config::text::clean_to(path, 128)
}

/// The hosts differ: how near are they?
fn host(key: &Parts, image: &Parts, name: &ImageName) -> Judgement {
    let fix = || Some(whole_registry(name));
    let (a, b) = (key.labels(), image.labels());
    let (low, image_low) = (key.host.to_ascii_lowercase(), image.host.to_ascii_lowercase());
    if low == image_low {
        let reason = "upper and lower case count: the image's host is spelt in another way".to_owned();
        return (MismatchKind::Case, reason, fix());
    }
    if key.host.contains('*') && a.len() != b.len() && label_matches(&key.host, &image.host) {
        let reason = format!(
            "`*` never spans a dot: the key has {}, {} has {}",
            parts(a.len()),
            image.host,
            b.len()
        );
        return (MismatchKind::StarDots, reason, fix());
    }
    let is_within = |inner: &str, outer: &str| {
        inner.strip_suffix(outer).is_some_and(|rest| rest.ends_with('.')) && outer.contains('.')
    };
    if is_within(&image_low, &low) || is_within(&low, &image_low) || low.trim_end_matches('.') == image_low {
        let reason = format!(
            "the host has {}, {} has {}: hosts are compared part by part, and a domain does not stand for what is within it",
            parts(a.len()),
            image.host,
            b.len()
        );
        return (MismatchKind::HostParts, reason, fix());
    }
    if a.len() == 1 && key.port.is_empty() && !key.host.contains('*') && key.host != "localhost" {
        let reason = "its host has no dot and no port, so no image can name it".to_owned();
        return (MismatchKind::NoHost, reason, None);
    }
    // A slip in one label; hosts that differ in their last part, or in a short one, are others.
    let is_typo = key.host.len() >= 8 && key.host.len().abs_diff(image.host.len()) <= 2;
    if is_typo && edit_distance(&low, &image_low) <= 2 && !differs_by_digits(&low, &image_low) {
        let reason = format!("the host differs from {} by a letter or two: a slip?", image.host);
        return (MismatchKind::Typo, reason, fix());
    }
    let reason = format!("it is for another registry than {}", name.domain);
    (MismatchKind::OtherHost, reason, None)
}

/// Numbered hosts and regions are other registries, not slips.
fn differs_by_digits(a: &str, b: &str) -> bool {
    let letters = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    letters(a) == letters(b)
}

fn parts(n: usize) -> String {
    match n {
        1 => "one part".to_owned(),
        n => format!("{n} parts"),
    }
}
