//! From the API's metadata to ours.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ManagedFieldsEntry, ObjectMeta};
use serde::Deserialize;
use syncd_config::text::clean;

use super::{FIELD_MANAGER, NamespaceMeta, SecretMeta};

/// An object of which only the metadata is read, whatever else comes.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Item {
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
}

/// A page of them.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    pub(super) metadata: ListMeta,
    /// Go's empty list is `null`.
    #[serde(default)]
    pub(super) items: Option<Vec<Item>>,
}

pub(super) fn namespace(item: Item) -> NamespaceMeta {
    let meta = item.metadata;
    NamespaceMeta {
        name: meta.name.unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        labels: meta.labels.unwrap_or_default(),
        terminating: meta.deletion_timestamp.is_some(),
    }
}

pub(super) fn secret(item: Item, is_docker_config: bool) -> SecretMeta {
    let meta = item.metadata;
    let managed = meta.managed_fields.unwrap_or_default();
    SecretMeta {
        namespace: meta.namespace.unwrap_or_default(),
        name: meta.name.unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        resource_version: meta.resource_version.unwrap_or_default(),
        labels: meta.labels.unwrap_or_default(),
        annotations: meta.annotations.unwrap_or_default(),
        other_managers: other_managers(&managed),
        is_docker_config,
        terminating: meta.deletion_timestamp.is_some(),
    }
}

/// The managers other than ours of a secret's content, each once, in order.
fn other_managers(managed: &[ManagedFieldsEntry]) -> Vec<String> {
    let others = managed.iter().filter_map(|entry| {
        let fields = entry.fields_v1.as_ref()?.0.as_object()?;
        let owns_content = fields.contains_key("f:data") || fields.contains_key("f:type");
        let manager = entry.manager.as_deref().unwrap_or("unknown");
        (owns_content && manager != FIELD_MANAGER).then(|| clean(manager))
    });
    others.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_managers_of_the_content_count_and_not_ourselves() {
        let item: Item = serde_json::from_value(serde_json::json!({
            "metadata": {
                "name": "pull", "namespace": "a", "uid": "u", "resourceVersion": "7",
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "managedFields": [
                    {"manager": "syncd", "fieldsV1": {"f:data": {"f:.dockerconfigjson": {}}, "f:type": {}}},
                    {"manager": "kubectl-edit", "fieldsV1": {"f:data": {"f:.dockerconfigjson": {}}}},
                    {"manager": "kubectl-edit", "fieldsV1": {"f:type": {}}},
                    {"manager": "labeler", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
                    {"manager": "esc\u{1b}[2J", "fieldsV1": {"f:type": {}}},
                    {"manager": "empty"}
                ]
            },
            "data": {".dockerconfigjson": "never kept"}
        }))
        .unwrap();
        assert!(!format!("{item:?}").contains("never kept"));
        let meta = secret(item, true);
        assert_eq!(meta.other_managers, ["esc\\u{1b}[2J", "kubectl-edit"]);
        assert!(meta.terminating && meta.is_docker_config);
        assert_eq!((meta.resource_version.as_str(), meta.uid.as_str()), ("7", "u"));
    }
}
