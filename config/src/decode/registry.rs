//! `registry`: the embedded one.

use std::net::{Ipv4Addr, SocketAddr};

use crate::config::{AnonymousPull, EmbeddedRegistry, RegistryAuth, ServerTls};
use crate::host::RegistryHost;
use crate::tree::Span;

use super::fields::{Fields, Read, Walk};

/// The section, and where it says what it listens on.
pub(super) struct RegistryRead {
    pub(super) registry: EmbeddedRegistry,
    pub(super) listen: Span,
    pub(super) path: String,
}

pub(super) fn read(walk: &mut Walk<'_>, fields: &Fields<'_>) -> RegistryRead {
    let listen = super::address(walk, fields, "listen");
    let tls_section = fields.section(walk, "tls");
    let has_tls = tls_section.is_some();
    let tls = tls_section.and_then(|section| tls(walk, &section));
    let names = names(walk, fields);
    let client_ca = tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
    let auth = fields.section(walk, "auth");
    let auth = auth
        .map(|section| auth_section(walk, &section, client_ca))
        .unwrap_or_default();
    let address = listen
        .as_ref()
        .map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)), |read| read.value);
    if auth.htpasswd_file.is_some() && !has_tls && !address.ip().is_loopback() {
        let span = listen.as_ref().map_or(fields.span, |read| read.span);
        walk.diagnostics
            .warn(
                span,
                "registry.listen",
                "passwords reach this registry readable for everyone on the way",
            )
            .hint("add `tls` to `registry`");
    }
    RegistryRead {
        listen: listen.as_ref().map_or(fields.span, |read| read.span),
        path: fields.path.clone(),
        registry: EmbeddedRegistry {
            listen: address,
            names,
            tls,
            auth,
        },
    }
}

fn names(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Vec<RegistryHost> {
    let mut names = Vec::new();
    for item in fields.list(walk, "names").unwrap_or_default() {
        let Some(text) = item.value.text() else { continue };
        if let Some(host) = walk.parse::<RegistryHost>(item.clone().map(|_| text)) {
            names.push(host.value);
        }
    }
    names
}

fn tls(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<ServerTls> {
    let cert_file = fields.file(walk, "certFile");
    let key_file = fields.file(walk, "keyFile");
    let client_ca_file = fields.file(walk, "clientCaFile");
    Some(ServerTls {
        cert_file: cert_file?,
        key_file: key_file?,
        client_ca_file,
    })
}

fn auth_section(walk: &mut Walk<'_>, fields: &Fields<'_>, client_ca: bool) -> RegistryAuth {
    let htpasswd_file = fields.file(walk, "htpasswdFile");
    let anonymous = fields.choice(walk, "anonymousPull");
    let push = push(walk, fields);
    let has_users = fields.take(walk, "htpasswdFile").is_some();
    let anonymous_pull = match anonymous.as_ref().map(|read| read.value) {
        Some("all") => AnonymousPull::All,
        Some("none") => AnonymousPull::None,
        _ => AnonymousPull::Public,
    };
    if let Some(read) =
        anonymous.filter(|_| anonymous_pull == AnonymousPull::None && !has_users && !client_ca)
    {
        walk.diagnostics
            .error(
                read.span,
                &read.path,
                "nobody could pull: no anonymous pull, and no way to log in",
            )
            .hint("add `htpasswdFile`, or `clientCaFile` under registry.tls");
    }
    if let Some(first) = push.first().filter(|_| !has_users) {
        walk.diagnostics
            .error(
                first.span,
                &first.path,
                "`push` names users, and there is no `htpasswdFile`",
            )
            .hint("add `htpasswdFile` with these users");
    }
    RegistryAuth {
        htpasswd_file,
        anonymous_pull,
        push: push.into_iter().map(|read| read.value).collect(),
    }
}

fn push(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Vec<Read<String>> {
    let mut users = Vec::new();
    for item in fields.list(walk, "push").unwrap_or_default() {
        let text = item.value.text().map(|text| item.clone().map(|_| text));
        if let Some(user) = super::registries::user(walk, text) {
            users.push(item.map(|_| user));
        }
    }
    users
}
