//! What is read from and written to the API, without what syncd must not see.

use std::collections::BTreeMap;

use syncd_config::Secret;

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceMeta {
    /// Its name.
    pub name: String,
    /// Its identity: another one after it was deleted and made again.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is being deleted: nothing can be created in it any more.
    pub terminating: bool,
}

/// A secret without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretMeta {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// The version that was read; every write names the one it was planned from.
    pub resource_version: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The field managers other than ours that own its content (`f:data`, `f:type`).
    pub other_managers: Vec<String>,
    /// Whether it is of type `kubernetes.io/dockerconfigjson` (asked for by field selector).
    pub is_docker_config: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
}

/// A secret of type `kubernetes.io/dockerconfigjson` as syncd writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Labels of ours; others that it has stay.
    pub labels: BTreeMap<String, String>,
    /// Annotations of ours; others that it has stay.
    pub annotations: BTreeMap<String, String>,
    /// The whole `.dockerconfigjson`.
    pub docker_config: Secret,
}
