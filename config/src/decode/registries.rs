//! `registries`: who we are where.

use std::collections::HashMap;

use crate::config::{Identity, Limits, Probe, Proxy, RegistryEntry};
use crate::host::RegistryHost;
use crate::reference::{ReferenceError, Repository, Target, looks_like_host};

use super::fields::{Fields, Read, Walk};

pub(super) fn read(walk: &mut Walk<'_>, root: &Fields<'_>) -> Vec<RegistryEntry> {
    let mut entries = Vec::new();
    let mut seen = Seen::default();
    for item in root.list(walk, "registries").unwrap_or_default() {
        let Some(fields) = walk.open(&crate::keys::REGISTRY_ENTRY, item.value, &item.path, item.span) else {
            continue;
        };
        if let Some(entry) = entry(walk, &fields, &mut seen) {
            entries.push(entry);
        }
    }
    entries
}

/// Names and hosts of the entries so far, with their lines.
#[derive(Default)]
struct Seen {
    names: HashMap<String, u32>,
    hosts: HashMap<RegistryHost, (u32, bool)>,
}

fn entry(walk: &mut Walk<'_>, fields: &Fields<'_>, seen: &mut Seen) -> Option<RegistryEntry> {
    let host = host(walk, fields);
    let name = name(walk, fields);
    let identity = identity(walk, fields);
    let probe = probe(walk, fields, host.as_ref().map(|host| &host.value));
    let ca_file = fields.file(walk, "caFile");
    let plain_http = fields.boolean(walk, "plainHttp").unwrap_or(false);
    let trusted_token_hosts = token_hosts(walk, fields);
    let proxy = proxy(walk, fields).unwrap_or_default();
    let limits = limits(walk, fields);
    transport(walk, fields, plain_http, host.as_ref(), identity.is_some());

    let host = host?;
    unique(walk, seen, &host, name.as_ref());
    Some(RegistryEntry {
        name: name.map_or_else(|| host.value.to_string(), |name| name.value),
        host: host.value,
        identity,
        probe,
        ca_file,
        plain_http,
        trusted_token_hosts,
        proxy,
        limits,
    })
}

/// A registry that image references can name.
fn host(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<Read<RegistryHost>> {
    let host = fields.parsed::<RegistryHost>(walk, "host")?;
    if looks_like_host(host.value.as_str()) {
        return Some(host);
    }
    walk.diagnostics
        .error(
            host.span,
            &host.path,
            "no image reference can name this host: a single word is a path of Docker Hub",
        )
        .hint("write a name with a dot in it, or with its port");
    None
}

fn name(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<Read<String>> {
    let name = fields.text(walk, "name")?;
    let good = name.value.len() <= 253
        && name
            .value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'[' | b']'));
    if !good {
        walk.diagnostics.error(
            name.span,
            &name.path,
            "a name is of A-Z a-z 0-9 . _ - : and brackets, without spaces",
        );
        return None;
    }
    Some(name.map(str::to_owned))
}

fn unique(walk: &mut Walk<'_>, seen: &mut Seen, host: &Read<RegistryHost>, name: Option<&Read<String>>) {
    if let Some((line, named)) = seen.hosts.get(&host.value)
        && !(*named && name.is_some())
    {
        walk.diagnostics
            .error(
                host.span,
                &host.path,
                format!("a second entry for this host (the first is on line {line})"),
            )
            .hint("give each entry of a host a `name` of its own");
        return;
    }
    seen.hosts
        .entry(host.value.clone())
        .or_insert((host.span.start.line, name.is_some()));
    let (key, span, path) = match name {
        Some(name) => (name.value.clone(), name.span, &name.path),
        None => (host.value.to_string(), host.span, &host.path),
    };
    match seen.names.get(&key) {
        Some(line) => {
            walk.diagnostics.error(
                span,
                path,
                format!("this name is taken by the entry on line {line}"),
            );
        }
        None => {
            seen.names.insert(key, span.start.line);
        }
    }
}

fn identity(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<Identity> {
    let basic = fields.section(walk, "basic")?;
    let username = basic.text(walk, "username");
    let username = user(walk, username);
    let password_file = basic.file(walk, "passwordFile");
    Some(Identity::Basic {
        username: username?,
        password_file: password_file?,
    })
}

/// A user name as HTTP's Basic scheme takes it (RFC 7617, section 2: no colon, no control characters).
pub(super) fn user(walk: &mut Walk<'_>, text: Option<Read<&str>>) -> Option<String> {
    let text = text?;
    if text.value.contains(':') {
        walk.diagnostics
            .error(text.span, &text.path, "a user name has no colon")
            .hint("if a password follows it: that goes into a file of its own");
        return None;
    }
    if text.value.chars().any(char::is_control) || text.value.len() > 256 {
        walk.diagnostics.error(
            text.span,
            &text.path,
            "a user name has at most 256 characters and no control characters",
        );
        return None;
    }
    Some(text.value.to_owned())
}

fn probe(walk: &mut Walk<'_>, fields: &Fields<'_>, host: Option<&RegistryHost>) -> Option<Probe> {
    let text = fields.text(walk, "probe")?;
    let parsed = parse_probe(text.value, host);
    match parsed {
        Ok(probe) => Some(probe),
        Err((message, hint)) => {
            walk.diagnostics
                .error(text.span, &text.path, format!("`probe`: {message}"))
                .hint(hint);
            None
        }
    }
}

fn parse_probe(text: &str, host: Option<&RegistryHost>) -> Result<Probe, (String, &'static str)> {
    const FORM: &str = "write it as `team/app:1.0` or `team/app@sha256:…`";
    if text
        .split_once('/')
        .is_some_and(|(first, _)| looks_like_host(first))
    {
        return Err(("the host is the entry's own".to_owned(), "leave the host out"));
    }
    let wrong = |error: ReferenceError| (error.to_string(), FORM);
    let (path, target) = match (text.split_once('@'), text.rsplit_once(':')) {
        (Some((path, digest)), _) => (
            path,
            digest.parse().map(Target::Digest).map_err(ReferenceError::Digest),
        ),
        (None, Some((path, tag))) => (path, tag.parse().map(Target::Tag)),
        (None, None) => return Err(("a tag or digest is missing".to_owned(), FORM)),
    };
    let library = host.is_some_and(RegistryHost::is_docker_hub) && !path.contains('/');
    let repository = if library {
        format!("library/{path}").parse::<Repository>()
    } else {
        path.parse::<Repository>()
    };
    Ok(Probe {
        repository: repository.map_err(wrong)?,
        target: target.map_err(wrong)?,
    })
}

fn token_hosts(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Vec<RegistryHost> {
    let mut hosts = Vec::new();
    for item in fields.list(walk, "trustedTokenHosts").unwrap_or_default() {
        let Some(text) = item.value.text() else { continue };
        if let Some(host) = walk.parse::<RegistryHost>(item.clone().map(|_| text)) {
            hosts.push(host.value);
        }
    }
    hosts
}

fn proxy(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<Proxy> {
    let text = fields.text(walk, "proxy")?;
    let (message, hint) = match text.value {
        "environment" => return Some(Proxy::Environment),
        "direct" => return Some(Proxy::Direct),
        url if url.contains('@') => ("a credential in a proxy's URL is not accepted", None),
        url => match url.parse::<url::Url>() {
            Ok(url) if is_bare(&url) => return Some(Proxy::Url(url)),
            Ok(url) if url.scheme() != "http" => ("a proxy's URL begins with http://", None),
            Ok(_) => ("a proxy's URL ends after the port", None),
            Err(_) => (
                "not `environment`, `direct` or a URL",
                Some("such as http://proxy.corp.example:3128"),
            ),
        },
    };
    walk.diagnostics
        .error(text.span, &text.path, format!("`proxy`: {message}"))
        .hint_opt(hint);
    None
}

/// `http://host[:port]` and nothing else.
fn is_bare(url: &url::Url) -> bool {
    url.scheme() == "http"
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

fn limits(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Limits {
    let mut limits = Limits::default();
    if let Some(section) = fields.section(walk, "limits")
        && let Some(connections) = section.integer(walk, "connections")
    {
        limits.connections = connections;
    }
    limits
}

/// What http to a registry rules out or makes doubtful.
fn transport(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    plain_http: bool,
    host: Option<&Read<RegistryHost>>,
    identity: bool,
) {
    if !plain_http {
        return;
    }
    let Some(plain) = fields.take(walk, "plainHttp") else {
        return;
    };
    if fields.take(walk, "caFile").is_some() {
        walk.diagnostics
            .error(
                plain.span,
                &plain.path,
                "`plainHttp` and `caFile` exclude one another",
            )
            .hint("http has no certificate that a CA could sign");
    }
    if identity && host.is_some_and(|host| !is_loopback(&host.value)) {
        walk.diagnostics
            .warn(
                plain.span,
                &plain.path,
                "the password is sent readable for everyone on the way",
            )
            .hint("use https, with `caFile` for a private CA");
    }
}

/// Whether the host is this machine.
fn is_loopback(host: &RegistryHost) -> bool {
    let name = host.name();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
