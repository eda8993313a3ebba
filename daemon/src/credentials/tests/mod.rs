//! Tables of the pure parts, and passes against an API that runs in this process.

mod api;
mod between;
mod content;
mod entries;
mod files;
mod follow;
mod inventory;
mod pass;
mod plan;
mod removal;

use std::collections::BTreeMap;

use jiff::Timestamp;
use syncd_config::Secret;
use syncd_config::config::{
    CredentialTarget, Identity, KubernetesTarget, Limits, NamespaceSelector, Probe, Proxy, RegistryEntry,
    TargetPlace,
};
use syncd_providers::token::Expiry;

use super::content::{CONTENT_HASH, Content, OWNER, Published, REGISTRIES, published};
use super::inventory::Key;
use crate::cluster::SecretMeta;
use crate::tokens::{Good, LastGood};

/// Whose secrets the tests' are.
const US: &str = "syncd";

fn at(clock: &str) -> Timestamp {
    format!("2026-05-01T{clock}Z").parse().unwrap()
}

fn entry(name: &str, probe: bool) -> RegistryEntry {
    RegistryEntry {
        name: name.to_owned(),
        host: format!("{name}.example").parse().unwrap(),
        identity: Some(Identity::Basic {
            username: "bot".to_owned(),
            password_file: "/nowhere".into(),
        }),
        probe: probe.then(|| Probe {
            repository: "team/app".parse().unwrap(),
            target: syncd_config::reference::Target::Tag("1.0".parse().unwrap()),
        }),
        ca_file: None,
        plain_http: false,
        trusted_token_hosts: Vec::new(),
        proxy: Proxy::Direct,
        limits: Limits::default(),
    }
}

fn good(name: &str, secret: &str, expires: Option<&str>, proven: bool) -> Good {
    Good {
        name: name.to_owned(),
        host: format!("{name}.example").parse().unwrap(),
        identity: "basic: bot".to_owned(),
        username: "bot".to_owned(),
        secret: Secret::new(secret),
        expires: expires.map_or(Expiry::Unknown, |ends| Expiry::Known(at(ends))),
        minted: at("08:00:00"),
        proven: proven.then(|| at("08:00:01")),
    }
}

fn all_good(good: &[Good]) -> LastGood {
    good.iter()
        .map(|good| (good.name.clone(), good.clone()))
        .collect()
}

fn key(namespace: &str) -> Key {
    Key {
        namespace: namespace.to_owned(),
        secret: "pull".to_owned(),
    }
}

/// A target of the secret `pull` in namespaces of these names.
fn target(names: &[&str], registries: &[&str]) -> CredentialTarget {
    selecting(
        NamespaceSelector {
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
            ..NamespaceSelector::default()
        },
        registries,
    )
}

/// A target of the secret `pull` in namespaces with the label `pull: LABEL`.
fn labelled(label: &str, registries: &[&str]) -> CredentialTarget {
    selecting(
        NamespaceSelector {
            match_labels: labels(label),
            ..NamespaceSelector::default()
        },
        registries,
    )
}

fn labels(label: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("pull".to_owned(), label.to_owned())])
}

fn selecting(namespaces: NamespaceSelector, registries: &[&str]) -> CredentialTarget {
    CredentialTarget {
        place: TargetPlace::Kubernetes(KubernetesTarget {
            secret: "pull".to_owned(),
            namespaces,
        }),
        registries: registries.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// What a target of the registry `a` alone publishes.
fn ready(good: Good) -> Published {
    let entries = [entry("a", true)];
    published(&target(&["*"], &["a"]), &entries, &all_good(&[good]), &[], US)
}

fn content(published: &Published) -> &Content {
    match published {
        Published::Ready(content) => content,
        _ => panic!("there is content"),
    }
}

/// A secret of ours that holds this.
fn holding(namespace: &str, content: &Content) -> SecretMeta {
    SecretMeta {
        namespace: namespace.to_owned(),
        name: "pull".to_owned(),
        uid: format!("uid-{namespace}"),
        resource_version: "7".to_owned(),
        labels: Content::labels(),
        annotations: content.annotations.clone(),
        other_managers: Vec::new(),
        is_docker_config: true,
        terminating: false,
    }
}

fn annotated(meta: SecretMeta, key: &str, value: Option<&str>) -> SecretMeta {
    let mut meta = meta;
    match value {
        Some(value) => meta.annotations.insert(key.to_owned(), value.to_owned()),
        None => meta.annotations.remove(key),
    };
    meta
}

fn owned_by(meta: SecretMeta, owner: Option<&str>) -> SecretMeta {
    annotated(meta, OWNER, owner)
}

fn hashed(meta: SecretMeta, hash: &str) -> SecretMeta {
    annotated(meta, CONTENT_HASH, Some(hash))
}

fn marked(meta: SecretMeta, marks: &str) -> SecretMeta {
    annotated(meta, REGISTRIES, Some(marks))
}
