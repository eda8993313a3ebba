//! Which host failed, at which step, and what kind of registry it is.

use super::Hop;
use super::fold::Folded;

/// Registries whose words mean something of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Hub,
    Ghcr,
    Quay,
    Ecr,
    EcrPublic,
    Acr,
    /// gcr.io and pkg.dev.
    Google,
    /// registry.k8s.io and what it leads to.
    K8s,
    GitLab,
    RedHat,
    /// Object storage and CDNs, where blobs are fetched.
    Storage,
    Other,
}

/// What the text says about where it happened.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The host of the URL that failed.
    pub(super) host: Option<String>,
    /// The host of the image's reference.
    pub(super) reference: Option<String>,
    pub(super) family: Family,
    pub(super) hop: Hop,
    /// Whether the host that failed is a mirror.
    pub(super) mirror: bool,
    /// `443` of `https://…`, or as written.
    pub(super) port: Option<u16>,
}

/// Links in messages that lead to help pages.
const HELP: [&str; 12] = [
    "aka.ms",
    "docs.",
    "www.docker.com",
    "hub.docker.com",
    "github.com",
    "forums.",
    "learn.",
    "support.",
    "cloud.google.com",
    "access.redhat.com",
    "kubernetes.io",
    "docs.docker.com",
];

pub(super) fn place(text: &Folded) -> Place {
    let lower = text.lower.as_str();
    let url = last_url(lower);
    let reference = reference_host(lower);
    let host = url
        .as_ref()
        .map(|url| url.host.clone())
        .or_else(|| named_host(lower));
    let token = [
        "fetch oauth token",
        "fetch anonymous token",
        "auth token",
        "bearer token",
    ]
    .iter()
    .any(|words| lower.contains(words))
        || url.as_ref().is_some_and(|url| is_token(url.path));
    let mirror = is_mirror(url.as_ref(), reference.as_deref(), token);
    let asked = if token || url.as_ref().is_some_and(|url| !url.path.starts_with("/v2")) {
        reference.as_deref().or(host.as_deref())
    } else {
        host.as_deref().or(reference.as_deref())
    };
    let storage = url.as_ref().is_some_and(|url| is_storage(&url.host));
    let family = match asked {
        _ if storage => Family::Storage,
        Some(host) if family(host) != Family::Other => family(host),
        // A host with a placeholder in it is cut short; its domain is still there.
        _ => domain(lower),
    };
    Place {
        hop: hop(lower, url.as_ref(), token, mirror),
        port: url.as_ref().and_then(|url| port(url)),
        host,
        reference,
        family,
        mirror,
    }
}

struct Url<'a> {
    https: bool,
    host: String,
    path: &'a str,
    query: &'a str,
}

fn is_token(path: &str) -> bool {
    path.starts_with("/token")
        || path.ends_with("/token")
        || path.contains("/jwt/auth")
        || path.contains("/oauth2/")
        || path.starts_with("/service/token")
}

fn last_url(lower: &str) -> Option<Url<'_>> {
    let mut found = None;
    for (at, _) in lower.match_indices("://") {
        let before = lower.get(..at).unwrap_or_default();
        let https = before.ends_with("https");
        if !https && !before.ends_with("http") {
            continue;
        }
        let rest = lower.get(at + 3..).unwrap_or_default();
        let rest = rest.get(..rest.find([' ', '"', '\'', '>', ',']).unwrap_or(rest.len()));
        let rest = rest.unwrap_or_default().trim_end_matches([':', '.', ')', ']']);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default().to_owned();
        if host.is_empty() || HELP.iter().any(|help| host.starts_with(help)) {
            continue;
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        found = Some(Url {
            https,
            host,
            path,
            query,
        });
    }
    found
}

fn port(url: &Url<'_>) -> Option<u16> {
    match url.host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(']') || !port.ends_with(']') => {
            port.parse().ok().or(Some(if url.https { 443 } else { 80 }))
        }
        _ => Some(if url.https { 443 } else { 80 }),
    }
}

/// `pinging container registry H:` of containers/image, `pulling from host H failed` of containerd.
fn named_host(lower: &str) -> Option<String> {
    for words in [
        "pinging container registry ",
        "pinging docker registry ",
        "pulling from host ",
        "dial tcp: lookup ",
    ] {
        if let Some(at) = lower.find(words) {
            let rest = lower.get(at + words.len()..).unwrap_or_default();
            let host: String = rest.chars().take_while(|c| is_host(*c)).collect();
            let host = host.trim_end_matches([':', '.']);
            if host.contains(['.', ':']) {
                return Some(host.to_owned());
            }
        }
    }
    None
}

fn is_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_' | '[' | ']')
}

/// The words before a reference, the innermost ones first.
const BEFORE: [&str; 18] = [
    "failed to resolve reference \"",
    "failed to pull and unpack image \"",
    "failed to get sandbox image \"",
    "pull access denied for ",
    "docker://",
    "failed to pull image \"",
    "failed pulling image \"",
    "pull image \"",
    "pullimage \"",
    "manifest for ",
    "repository ",
    "back-off pulling image \"",
    "container image \"",
    "failed to inspect image \"",
    "pulling image \"",
    "failed to solve: ",
    "reading image \"",
    "image=\"",
];

fn reference_host(lower: &str) -> Option<String> {
    for words in BEFORE {
        if let Some(at) = lower.rfind(words) {
            let rest = lower.get(at + words.len()..).unwrap_or_default();
            let end = rest.find([' ', '"', ',', '\'']).unwrap_or(rest.len());
            let reference = rest.get(..end).unwrap_or_default().trim_end_matches(':');
            if reference.is_empty() || words == "repository " && !reference.contains('/') {
                continue;
            }
            return Some(host_of(reference));
        }
    }
    None
}

/// The registry of a reference: what stands before the first slash, if that looks like a host.
pub(super) fn host_of(reference: &str) -> String {
    let reference = reference.split_once("://").map_or(reference, |(_, rest)| rest);
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':', '#', '<']) || host == "localhost" => host.to_owned(),
        _ => "docker.io".to_owned(),
    }
}

const STORAGE: [&str; 9] = [
    ".s3.",
    "s3.amazonaws.com",
    ".cloudfront.net",
    ".cloudflarestorage.com",
    ".blob.core.windows.net",
    "storage.googleapis.com",
    "production.cloudflare.docker.com",
    "githubusercontent.com",
    ".cdn",
];

fn is_storage(host: &str) -> bool {
    STORAGE.iter().any(|part| host.contains(part)) || host.starts_with("s3.") || host.starts_with("cdn")
}

pub(super) fn family(host: &str) -> Family {
    let name = host.split(':').next().unwrap_or_default();
    let is = |domain: &str| name == domain || name.strip_suffix(domain).is_some_and(|p| p.ends_with('.'));
    if is("docker.io") || is("docker.com") {
        Family::Hub
    } else if is("ghcr.io") || is("docker.pkg.github.com") {
        Family::Ghcr
    } else if is("quay.io") {
        Family::Quay
    } else if name == "public.ecr.aws" {
        Family::EcrPublic
    } else if name.contains(".dkr.ecr") || name.contains(".dkr-ecr") {
        Family::Ecr
    } else if is("azurecr.io") || is("azurecr.cn") || is("azurecr.us") {
        Family::Acr
    } else if is("registry.k8s.io") || is("k8s.gcr.io") {
        Family::K8s
    } else if is("gcr.io") || is("pkg.dev") {
        Family::Google
    } else if name.contains("gitlab") {
        Family::GitLab
    } else if is("redhat.io") || is("registry.connect.redhat.com") {
        Family::RedHat
    } else {
        Family::Other
    }
}

/// The registry of a domain that stands anywhere in the text.
fn domain(lower: &str) -> Family {
    const DOMAINS: [(&str, Family); 6] = [
        (".dkr.ecr.", Family::Ecr),
        (".azurecr.io", Family::Acr),
        ("public.ecr.aws", Family::EcrPublic),
        ("registry.gitlab", Family::GitLab),
        ("docker.pkg.dev", Family::Google),
        ("registry.redhat.io", Family::RedHat),
    ];
    DOMAINS
        .iter()
        .find(|(domain, _)| lower.contains(domain))
        .map_or(Family::Other, |(_, family)| *family)
}

/// containerd names the original in `?ns=`; else a registry's path on another host tells it.
fn is_mirror(url: Option<&Url<'_>>, reference: Option<&str>, token: bool) -> bool {
    let Some(url) = url else {
        return false;
    };
    let ns = url.query.split('&').find_map(|pair| pair.strip_prefix("ns="));
    if let Some(ns) = ns {
        return ns.contains("redacted") || !same(ns, &url.host);
    }
    let Some(reference) = reference else {
        return false;
    };
    let path = url.path.starts_with("/v2/") && url.path.len() > 4 || url.path == "/v2/";
    // A registry may lead on to one of the public ones, which are nobody's mirrors.
    let public = !matches!(
        family(&url.host),
        Family::Other | Family::Acr | Family::Ecr | Family::Google
    ) || family(&url.host) == Family::Google && !url.host.starts_with("mirror.");
    path && !token && !public && !same(reference, &url.host)
}

/// Whether a request for `reference` goes to `host` without a mirror.
fn same(reference: &str, host: &str) -> bool {
    let bare = |text: &str| text.trim_end_matches(":443").to_owned();
    let (reference, host) = (bare(reference), bare(host));
    let (a, b) = (family(&reference), family(&host));
    reference == host
        || a == b && !matches!(a, Family::Other | Family::Google | Family::Ecr | Family::Acr)
        || a == Family::K8s && b == Family::Google
        || a == Family::Google && b == Family::Google
        || is_storage(&host)
        || reference.contains(['<', '#', '*'])
        || host.contains(['<', '#', '*'])
}

fn hop(lower: &str, url: Option<&Url<'_>>, token: bool, mirror: bool) -> Hop {
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if mirror {
        Hop::Mirror
    } else if token {
        Hop::Token
    } else if url.is_some_and(|url| url.path.contains("/blobs/"))
        || has(&[
            "httpreadseeker",
            "failed commit on ref",
            "failed to copy",
            "pulling image configuration",
            "reading blob",
            "writing blob",
            "layer-sha256",
        ])
    {
        Hop::Blob
    } else if url.is_some_and(|url| url.path.contains("/manifests/"))
        || has(&[
            "failed to resolve",
            "reading manifest",
            "manifest unknown",
            "[manifests ",
        ])
    {
        Hop::Manifest
    } else if url.is_some_and(|url| url.path.starts_with("/v2") || url.path.starts_with("/v1"))
        || has(&["pinging container registry", "pinging docker registry"])
    {
        Hop::Api
    } else {
        Hop::Unknown
    }
}
