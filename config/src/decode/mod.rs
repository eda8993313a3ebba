//! The one walker: tree -> [`Config`], collecting every problem on the way.
//!
//! Each key is asked for by name and must stand in the key table (`keys.rs`), which says what
//! shape its value has; what spans several keys is checked in `cross.rs`. A value that is wrong is
//! reported and replaced by its default, so that the walk goes on; the result is only handed out
//! when nothing was reported.

mod credentials;
mod cross;
mod fields;
mod hints;
mod mirror;
mod registries;
mod registry;
mod schedule;
mod targets;
mod values;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::diagnostics::Diagnostics;
use crate::keys::ROOT;
use crate::tree::{Node, Span};

pub(crate) use self::fields::Read;
use self::fields::{Fields, Walk};

/// What a walk found.
pub(crate) struct Walked {
    /// There when no problem is an error.
    pub(crate) config: Option<Config>,
    /// The files that the configuration names.
    pub(crate) files: Vec<Read<PathBuf>>,
    pub(crate) diagnostics: Diagnostics,
    #[cfg(test)]
    pub(crate) asked: std::collections::BTreeSet<(&'static str, &'static str)>,
}

/// Walks the tree of a whole file; relative paths are relative to `base`.
pub(crate) fn walk(tree: &Node, base: &Path, diagnostics: Diagnostics) -> Walked {
    let mut walk = Walk::new(diagnostics, base);
    let top = Span {
        start: tree.span.start,
        end: tree.span.start,
    };
    let config = walk
        .open(&ROOT, tree, "", top)
        .map(|fields| root(&mut walk, &fields));
    Walked {
        config: config.filter(|_| !walk.diagnostics.has_errors()),
        files: walk.files,
        diagnostics: walk.diagnostics,
        #[cfg(test)]
        asked: walk.asked,
    }
}

fn root(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Config {
    fields.choice(walk, "apiVersion");
    fields.choice(walk, "kind");
    let state_dir = fields.path(walk, "stateDir");
    let listen = address(walk, fields, "listen");
    let registries = registries::read(walk, fields);
    let state_dir = state_dir.unwrap_or_else(|| PathBuf::from("/var/lib/syncd"));
    let credentials = fields.section(walk, "credentials");
    let credentials = credentials.map(|fields| credentials::read(walk, &fields, &registries));
    let mirror = fields.section(walk, "mirror");
    let mirror = mirror.map(|fields| mirror::read(walk, &fields));
    let registry = fields.section(walk, "registry");
    let registry = registry.map(|fields| registry::read(walk, &fields));

    let listen_value = listen.as_ref().map_or(DEFAULT_LISTEN, |read| read.value);
    if let Some(credentials) = &credentials {
        targets::own_files(walk, &state_dir, &credentials.files);
    }
    if let Some(registry) = &registry {
        cross::listeners(walk, listen_value, registry);
    }
    if let Some(mirror) = &mirror {
        let has_registry = fields.take(walk, "registry").is_some();
        cross::destination(walk, mirror, has_registry, registry.as_ref());
        cross::stored_names(walk, mirror);
    }
    Config {
        state_dir,
        listen: listen_value,
        registries,
        credentials: credentials.map(|read| read.credentials),
        mirror: mirror.map(|read| read.mirror),
        registry: registry.map(|read| read.registry),
    }
}

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// An IP address and a port to listen on.
fn address(walk: &mut Walk<'_>, fields: &Fields<'_>, name: &'static str) -> Option<Read<SocketAddr>> {
    let text = fields.text(walk, name)?;
    if let Ok(address) = text.value.parse::<SocketAddr>() {
        return Some(text.map(|_| address));
    }
    let hint = match text.value.rsplit_once(':') {
        Some(("", port)) if port.parse::<u16>().is_ok() => {
            format!("for every address write 0.0.0.0:{port}")
        }
        Some(("localhost", port)) if port.parse::<u16>().is_ok() => format!("write 127.0.0.1:{port}"),
        _ => "such as 127.0.0.1:8080, or 0.0.0.0:8080 for every address".to_owned(),
    };
    walk.diagnostics
        .error(
            text.span,
            &text.path,
            format!("`{name}` must be an IP address and a port"),
        )
        .hint(hint);
    None
}
