//! A configuration written out with every default, as a file that loads to the same again.

use std::fmt::{self, Write};
use std::path::Path;

use crate::config::{
    AnonymousPull, Config, CredentialTarget, Credentials, Destination, EmbeddedRegistry, Identity, ImageRule,
    KubernetesTarget, Mirror, MirrorName, NamespaceSelector, Proxy, RegistryAuth, RegistryEntry, Schedule,
    Source, TargetPlace,
};
use crate::duration;
use crate::glob::Glob;
use crate::keys::API_VERSION;

/// The configuration as YAML. It names files with secrets and holds none; relative paths in it
/// are relative to the working directory, no longer to the file they were read from.
#[must_use]
pub fn show(config: &Config) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    write_config(&mut out, config).unwrap_or_default();
    out
}

/// A text in double quotes whenever it could be read as something else.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._/-@:+".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with(':')
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain || text.parse::<std::net::SocketAddr>().is_ok_and(|a| a.is_ipv4()) {
        return text.to_owned();
    }
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii_control() => {
                out.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn write_config(out: &mut String, config: &Config) -> fmt::Result {
    let Config {
        state_dir,
        listen,
        registries,
        credentials,
        mirror,
        registry,
    } = config;
    writeln!(out, "apiVersion: {API_VERSION}\nkind: Config")?;
    writeln!(out, "stateDir: {}", path(state_dir))?;
    writeln!(out, "listen: {}", quoted(&listen.to_string()))?;
    if registries.is_empty() {
        writeln!(out, "registries: []")?;
    } else {
        writeln!(out, "registries:")?;
        registries.iter().try_for_each(|entry| write_entry(out, entry))?;
    }
    if let Some(credentials) = credentials {
        write_credentials(out, credentials)?;
    }
    if let Some(mirror) = mirror {
        write_mirror(out, mirror)?;
    }
    match registry {
        Some(registry) => write_registry(out, registry),
        None => Ok(()),
    }
}

fn write_list(out: &mut String, indent: &str, name: &str, items: &[String]) -> fmt::Result {
    if items.is_empty() {
        return writeln!(out, "{indent}{name}: []");
    }
    writeln!(out, "{indent}{name}:")?;
    items
        .iter()
        .try_for_each(|item| writeln!(out, "{indent}  - {}", quoted(item)))
}

fn write_entry(out: &mut String, entry: &RegistryEntry) -> fmt::Result {
    let RegistryEntry {
        name,
        host,
        identity,
        probe,
        ca_file,
        plain_http,
        trusted_token_hosts,
        proxy,
        limits,
    } = entry;
    writeln!(out, "  - name: {}", quoted(name))?;
    writeln!(out, "    host: {}", quoted(host.as_str()))?;
    if let Some(Identity::Basic {
        username,
        password_file,
    }) = identity
    {
        writeln!(out, "    basic:\n      username: {}", quoted(username))?;
        writeln!(out, "      passwordFile: {}", path(password_file))?;
    }
    if let Some(probe) = probe {
        let join = match probe.target {
            crate::reference::Target::Tag(_) => ':',
            crate::reference::Target::Digest(_) => '@',
        };
        let text = format!("{}{join}{}", probe.repository, probe.target);
        writeln!(out, "    probe: {}", quoted(&text))?;
    }
    if let Some(file) = ca_file {
        writeln!(out, "    caFile: {}", path(file))?;
    }
    writeln!(out, "    plainHttp: {plain_http}")?;
    let hosts: Vec<String> = trusted_token_hosts.iter().map(ToString::to_string).collect();
    write_list(out, "    ", "trustedTokenHosts", &hosts)?;
    let proxy = match proxy {
        Proxy::Environment => "environment",
        Proxy::Direct => "direct",
        Proxy::Url(url) => url.as_str(),
    };
    writeln!(out, "    proxy: {}", quoted(proxy))?;
    writeln!(out, "    limits:\n      connections: {}", limits.connections)
}

fn write_schedule(out: &mut String, schedule: &Schedule) -> fmt::Result {
    let Schedule { cron, time_zone } = schedule;
    writeln!(out, "  schedule: {}", quoted(cron.as_str()))?;
    let zone = time_zone.iana_name().unwrap_or("UTC");
    writeln!(out, "  timeZone: {}", quoted(zone))
}

fn write_credentials(out: &mut String, credentials: &Credentials) -> fmt::Result {
    let Credentials {
        max_age,
        schedule,
        targets,
    } = credentials;
    writeln!(out, "credentials:")?;
    if let Some(max_age) = max_age {
        writeln!(out, "  maxAge: {}", duration::format(*max_age))?;
    }
    if let Some(schedule) = schedule {
        write_schedule(out, schedule)?;
    }
    if targets.is_empty() {
        return writeln!(out, "  targets: []");
    }
    writeln!(out, "  targets:")?;
    targets.iter().try_for_each(|target| write_target(out, target))
}

fn write_target(out: &mut String, target: &CredentialTarget) -> fmt::Result {
    let CredentialTarget { place, registries } = target;
    match place {
        TargetPlace::File { path: file } => writeln!(out, "    - file:\n        path: {}", path(file))?,
        TargetPlace::Kubernetes(KubernetesTarget { secret, namespaces }) => {
            writeln!(out, "    - kubernetes:\n        secret: {}", quoted(secret))?;
            writeln!(out, "        namespaces:")?;
            write_namespaces(out, namespaces)?;
        }
    }
    write_list(out, "      ", "registries", registries)
}

fn write_namespaces(out: &mut String, namespaces: &NamespaceSelector) -> fmt::Result {
    let NamespaceSelector {
        names,
        match_labels,
        exclude,
    } = namespaces;
    let texts = |globs: &[Glob]| globs.iter().map(ToString::to_string).collect::<Vec<_>>();
    if !names.is_empty() {
        write_list(out, "          ", "names", &texts(names))?;
    }
    if !match_labels.is_empty() {
        writeln!(out, "          matchLabels:")?;
        for (key, value) in match_labels {
            writeln!(out, "            {}: {}", quoted(key), quoted(value))?;
        }
    }
    write_list(out, "          ", "exclude", &texts(exclude))
}

fn write_mirror(out: &mut String, mirror: &Mirror) -> fmt::Result {
    let Mirror {
        schedule,
        destination,
        images,
    } = mirror;
    writeln!(out, "mirror:")?;
    if let Some(schedule) = schedule {
        write_schedule(out, schedule)?;
    }
    let destination = match destination {
        Destination::Embedded => "embedded".to_owned(),
        Destination::Registry { host, prefix: None } => host.to_string(),
        Destination::Registry {
            host,
            prefix: Some(prefix),
        } => format!("{host}/{prefix}"),
    };
    writeln!(out, "  destination: {}", quoted(&destination))?;
    if images.is_empty() {
        return writeln!(out, "  images: []");
    }
    writeln!(out, "  images:")?;
    images.iter().try_for_each(|rule| write_image(out, rule))
}

fn write_image(out: &mut String, rule: &ImageRule) -> fmt::Result {
    use crate::reference::Target;
    let source = match &rule.source {
        Source::Registry(reference) => reference.to_string(),
        Source::OciLayout { path, pick } => match pick {
            None => format!("ociLayout:{}", path.to_string_lossy()),
            Some(Target::Tag(tag)) => format!("ociLayout:{}:{tag}", path.to_string_lossy()),
            Some(Target::Digest(digest)) => format!("ociLayout:{}@{digest}", path.to_string_lossy()),
        },
    };
    writeln!(out, "    - source: {}", quoted(&source))?;
    match &rule.name {
        Some(MirrorName::Like(reference)) => writeln!(out, "      as: {}", quoted(&reference.to_string())),
        Some(MirrorName::Literal(repository, tag)) => {
            writeln!(out, "      as: {}", quoted(&format!("{repository}:{tag}")))
        }
        None => Ok(()),
    }
}

fn write_registry(out: &mut String, registry: &EmbeddedRegistry) -> fmt::Result {
    let EmbeddedRegistry {
        listen,
        names,
        tls,
        auth,
    } = registry;
    writeln!(out, "registry:\n  listen: {}", quoted(&listen.to_string()))?;
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    write_list(out, "  ", "names", &names)?;
    if let Some(tls) = tls {
        writeln!(out, "  tls:\n    certFile: {}", path(&tls.cert_file))?;
        writeln!(out, "    keyFile: {}", path(&tls.key_file))?;
        if let Some(file) = &tls.client_ca_file {
            writeln!(out, "    clientCaFile: {}", path(file))?;
        }
    }
    let RegistryAuth {
        htpasswd_file,
        anonymous_pull,
        push,
    } = auth;
    writeln!(out, "  auth:")?;
    if let Some(file) = htpasswd_file {
        writeln!(out, "    htpasswdFile: {}", path(file))?;
    }
    let anonymous_pull = match anonymous_pull {
        AnonymousPull::Public => "public",
        AnonymousPull::All => "all",
        AnonymousPull::None => "none",
    };
    writeln!(out, "    anonymousPull: {anonymous_pull}")?;
    write_list(out, "    ", "push", push)
}
