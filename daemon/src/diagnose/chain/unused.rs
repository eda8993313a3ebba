//! The secrets that kubelet passes over, and why.

use std::collections::BTreeMap;

use syncd_config::Secret;
use syncd_config::text::clean;

use super::{BrokenSecret, PodSecret, Read, SecretSource, SecretState, UnusedSecret};
use crate::oci::docker_config::{
    CONFIG_JSON_KEY, CONFIG_JSON_TYPE, CONFIG_KEY, CONFIG_TYPE, DockerConfigErrorKind, PullSecret,
    parse_kubernetes,
};

/// Why kubelet looks at no key of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnusedKind {
    /// There is no secret of that name in the pod's namespace.
    Missing,
    /// It could not be read, so nothing is known of it.
    Unread,
    /// It is on the service account's list and not on the pod's.
    AccountOnly,
    /// Its type is none of the two that hold docker configs.
    WrongType,
    /// Its content is under a key that does not go with its type.
    WrongKey,
    /// It parses and holds no entry.
    NoEntries,
}

impl UnusedKind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Missing,
        Self::Unread,
        Self::AccountOnly,
        Self::WrongType,
        Self::WrongKey,
        Self::NoEntries,
    ];

    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unread => "unread",
            Self::AccountOnly => "account_only",
            Self::WrongType => "wrong_type",
            Self::WrongKey => "wrong_key",
            Self::NoEntries => "no_entries",
        }
    }
}

/// Sorts a pod's secrets into those that count and the others.
pub(super) fn sort(secrets: &[PodSecret]) -> Read<'_> {
    let mut read = Read {
        usable: Vec::new(),
        unused: Vec::new(),
        broken: Vec::new(),
        is_complete: true,
    };
    let pod_has_own = secrets.iter().any(|secret| secret.source == SecretSource::Pod);
    for secret in secrets {
        let unused = |kind, reason: String| UnusedSecret {
            secret: secret.name.clone(),
            kind,
            reason,
        };
        if secret.source == SecretSource::Account {
            let reason = account_only(pod_has_own);
            read.unused
                .push(unused(UnusedKind::AccountOnly, reason.to_owned()));
            continue;
        }
        match &secret.state {
            SecretState::Missing => read.unused.push(unused(UnusedKind::Missing, missing(secret))),
            SecretState::Forbidden { why } => {
                read.is_complete = false;
                let reason = format!(
                    "it could not be read, so what kubelet does with it is not known: {}",
                    clean(why)
                );
                read.unused.push(unused(UnusedKind::Unread, reason));
            }
            SecretState::Present { type_, data } => present(secret, type_, data, &mut read),
        }
    }
    read
}

fn account_only(pod_has_own: bool) -> &'static str {
    if pod_has_own {
        "it is on the service account's list only: the pod has a list of its own, which replaces that one"
    } else {
        "it is on the service account's list, which is copied when a pod is made: this pod was made before and stays without it until it is replaced"
    }
}

fn missing(secret: &PodSecret) -> String {
    format!(
        "there is no secret of this name in namespace {}: kubelet goes on without it (event FailedToRetrieveImagePullSecret), and never looks into other namespaces",
        clean(&secret.namespace)
    )
}

fn present<'a>(secret: &'a PodSecret, type_: &str, data: &BTreeMap<String, Secret>, read: &mut Read<'a>) {
    let unused = |kind, reason: String| UnusedSecret {
        secret: secret.name.clone(),
        kind,
        reason,
    };
    let bytes = data
        .iter()
        .filter(|(key, _)| [CONFIG_JSON_KEY, CONFIG_KEY].contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.expose().as_bytes().to_vec()))
        .collect();
    match parse_kubernetes(type_, &bytes) {
        // Not a limit of kubelet's, so nothing is claimed about it.
        Err(error) if error.kind == DockerConfigErrorKind::TooLarge => {
            read.is_complete = false;
            read.unused.push(unused(
                UnusedKind::Unread,
                "it is larger than 1 MiB and was not looked at".to_owned(),
            ));
        }
        Err(error) => read.broken.push(BrokenSecret {
            secret: secret.name.clone(),
            error,
        }),
        Ok(None) => {
            let (kind, reason) = passed_over(type_, data);
            read.unused.push(unused(kind, reason));
        }
        Ok(Some(found)) if found.entries.is_empty() => {
            read.unused
                .push(unused(UnusedKind::NoEntries, no_entries(&found)));
        }
        Ok(Some(found)) => read.usable.push((&secret.name, found)),
    }
}

/// Why a secret that is there holds nothing for kubelet.
fn passed_over(type_: &str, data: &BTreeMap<String, Secret>) -> (UnusedKind, String) {
    let has = |key: &str| data.get(key).is_some_and(|value| !value.is_empty());
    let wanted = match type_ {
        CONFIG_JSON_TYPE => CONFIG_JSON_KEY,
        CONFIG_TYPE => CONFIG_KEY,
        _ => {
            let type_ = if type_.is_empty() {
                "Opaque".to_owned()
            } else {
                clean(type_)
            };
            let reason = format!(
                "its type is {type_}, which kubelet passes over without a word: it wants {CONFIG_JSON_TYPE} with the key {CONFIG_JSON_KEY} (a secret's type cannot be changed: make it anew)"
            );
            return (UnusedKind::WrongType, reason);
        }
    };
    let other = if wanted == CONFIG_KEY {
        CONFIG_JSON_KEY
    } else {
        CONFIG_KEY
    };
    let seen = if has(other) {
        format!("its content is under {other}")
    } else {
        "that key is missing or empty".to_owned()
    };
    let reason = format!(
        "of the type {type_} kubelet reads only the key {wanted}, and {seen}: it is passed over without a word"
    );
    (UnusedKind::WrongKey, reason)
}

fn no_entries(found: &PullSecret) -> String {
    let helper = if found.store || !found.helpers.is_empty() {
        "; it names a credential helper (credsStore or credHelpers), which kubelet does not ask"
    } else {
        ""
    };
    format!("it has no entry under `auths`{helper}")
}
