//! Pull secrets: read as metadata, written whole and in place.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::Resource;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, PostParams, Preconditions, Request};
use serde_json::{Map, Value, json};
use syncd_config::text::clean;

use super::meta::Item;
use super::request::Doing;
use super::{Cluster, ClusterError, ClusterErrorKind, FIELD_MANAGER, NewSecret, SecretMeta, Verb, meta};

/// The type of pull secrets, and the key of their content.
const DOCKER_CONFIG: &str = "kubernetes.io/dockerconfigjson";
const DOCKER_CONFIG_KEY: &str = ".dockerconfigjson";

/// Annotations of this prefix are ours alone: an update removes those that it does not name.
const OURS: &str = "syncd.dev/";

/// A secret with its content, for the one who asks why a pod cannot pull.
#[derive(Clone)]
pub struct SecretContent {
    /// Its type, cleaned.
    pub type_: String,
    /// Its data as bytes, for what is not text as well.
    pub data: BTreeMap<String, Vec<u8>>,
}

impl fmt::Debug for SecretContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.data.keys().collect::<Vec<_>>();
        f.debug_struct("SecretContent")
            .field("type_", &self.type_)
            .field("keys", &keys)
            .finish()
    }
}

impl Cluster {
    /// A secret's metadata, when there is one of that name. The content is not sent by the API.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Option<SecretMeta>, ClusterError> {
        let what = what(namespace, name);
        let path = KubeSecret::url_path(&(), Some(namespace));
        let request = Request::new(&path).get_metadata(name, &GetParams::default());
        let item = match self.ask_metadata(Doing::new(Verb::Get, &what), request).await {
            Ok(item) => item,
            Err(error) if error.kind == ClusterErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Asked after it: a type never changes while the uid stays.
        let typed = self.docker_configs(&what, &path, name).await?;
        Ok(Some(typed.join(item)))
    }

    /// The metadata of all secrets of a name, in every namespace: the whole list or an error. The
    /// right to `list` secrets of that one name is enough.
    pub async fn secrets_named(&self, name: &str) -> Result<Vec<SecretMeta>, ClusterError> {
        let (secrets, _) = self.secrets_at(None, name).await?;
        Ok(secrets)
    }

    /// As [`Self::secrets_named`], in one namespace or all, with the version of the list.
    pub(super) async fn secrets_at(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<(Vec<SecretMeta>, String), ClusterError> {
        let what = named(namespace, name);
        let path = KubeSecret::url_path(&(), namespace);
        let doing = Doing::new(Verb::List, &what);
        let fields = format!("metadata.name={name}");
        let (items, version) = self.list_metadata(doing, &path, Some(&fields)).await?;
        let typed = self.docker_configs(&what, &path, name).await?;
        Ok((items.into_iter().map(|item| typed.join(item)).collect(), version))
    }

    /// Which secrets of a name at `path` are of the right type. The API does not tell the type in
    /// metadata; it does select by it.
    async fn docker_configs(&self, what: &str, path: &str, name: &str) -> Result<Typed, ClusterError> {
        let fields = format!("metadata.name={name},type={DOCKER_CONFIG}");
        let doing = Doing::new(Verb::List, what);
        let (items, _) = self.list_metadata(doing, path, Some(&fields)).await?;
        let uids = items.into_iter().filter_map(|item| item.metadata.uid);
        Ok(Typed(uids.collect()))
    }

    /// Makes a pull secret.
    ///
    /// # Errors
    /// `AlreadyExists`; `Terminating` or `NotFound` (the namespace); `Invalid` and `Forbidden` with
    /// the words of the API or of an admission policy.
    pub async fn create_secret(&self, new: &NewSecret) -> Result<SecretMeta, ClusterError> {
        let encoded = STANDARD.encode(new.docker_config.expose());
        let private = [new.docker_config.expose(), encoded.as_str()];
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": new.name,
                "namespace": new.namespace,
                "labels": new.labels,
                "annotations": new.annotations,
            },
            "type": DOCKER_CONFIG,
            "data": { DOCKER_CONFIG_KEY: encoded },
        });
        let what = what(&new.namespace, &new.name);
        let path = KubeSecret::url_path(&(), Some(&new.namespace));
        let request = Request::new(path).create(&post(), body.to_string().into_bytes());
        let doing = Doing::new(Verb::Create, &what).hiding(&private);
        let item = self.ask_metadata(doing, request).await?;
        Ok(meta::secret(item, true))
    }

    /// Changes a pull secret in place: its uid, and the labels, annotations, owners, finalizers and
    /// other keys of others stay; annotations `syncd.dev/…` that `new` does not name go.
    ///
    /// # Errors
    /// `Conflict` when it is no longer what `was` says; `NotFound` when it is gone; `Invalid` when it
    /// is immutable or of another type, or a policy refuses.
    pub async fn update_secret(&self, was: &SecretMeta, new: &NewSecret) -> Result<SecretMeta, ClusterError> {
        let encoded = STANDARD.encode(new.docker_config.expose());
        let private = [new.docker_config.expose(), encoded.as_str()];
        let patch = json!({
            "metadata": {
                "resourceVersion": was.resource_version,
                "labels": new.labels,
                "annotations": annotations(was, new),
            },
            // Never changes anything: on a secret of another type the API refuses.
            "type": DOCKER_CONFIG,
            "data": { DOCKER_CONFIG_KEY: encoded },
        });
        let what = what(&was.namespace, &was.name);
        let path = KubeSecret::url_path(&(), Some(&was.namespace));
        let request = Request::new(path).patch(&was.name, &patched(), &Patch::Merge(patch));
        let doing = Doing::new(Verb::Patch, &what).hiding(&private);
        let item = self.ask_metadata(doing, request).await?;
        Ok(meta::secret(item, was.is_docker_config))
    }

    /// Removes a secret, only if it still is what `was` says; one that is gone is removed.
    ///
    /// # Errors
    /// `Conflict` when it was changed or made again since.
    pub async fn delete_secret(&self, was: &SecretMeta) -> Result<(), ClusterError> {
        let what = what(&was.namespace, &was.name);
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                resource_version: Some(was.resource_version.clone()),
                uid: Some(was.uid.clone()),
            }),
            ..DeleteParams::default()
        };
        let path = KubeSecret::url_path(&(), Some(&was.namespace));
        let request = Request::new(path).delete(&was.name, &params);
        match self.send(Doing::new(Verb::Delete, &what), request).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind == ClusterErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A secret with its content, when there is one of that name. For diagnosis only: what is
    /// published never comes from a secret that others can write.
    pub async fn secret_content(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<SecretContent>, ClusterError> {
        let what = what(namespace, name);
        let path = KubeSecret::url_path(&(), Some(namespace));
        let request = Request::new(path).get(name, &GetParams::default());
        match self
            .ask::<KubeSecret>(Doing::new(Verb::Get, &what), request)
            .await
        {
            Ok(secret) => Ok(Some(SecretContent {
                type_: clean(secret.type_.as_deref().unwrap_or("Opaque")),
                data: (secret.data.unwrap_or_default().into_iter())
                    .map(|(key, value)| (key, value.0))
                    .collect(),
            })),
            Err(error) if error.kind == ClusterErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The uids of the secrets that are pull secrets.
struct Typed(HashSet<String>);

impl Typed {
    fn join(&self, item: Item) -> SecretMeta {
        let is_docker_config = item.metadata.uid.as_ref().is_some_and(|uid| self.0.contains(uid));
        meta::secret(item, is_docker_config)
    }
}

/// The annotations of an update: ours, and nothing for those of ours that are no longer wanted.
fn annotations(was: &SecretMeta, new: &NewSecret) -> Map<String, Value> {
    let gone = was.annotations.keys().filter(|key| key.starts_with(OURS));
    let gone = gone.map(|key| (key.clone(), Value::Null));
    let wanted = new.annotations.iter();
    gone.chain(wanted.map(|(key, value)| (key.clone(), value.as_str().into())))
        .collect()
}

pub(super) fn post() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

pub(super) fn patched() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

pub(super) fn what(namespace: &str, name: &str) -> String {
    format!("secret {namespace}/{name}")
}

pub(super) fn named(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => what(namespace, name),
        None => format!("secrets named {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_takes_only_its_own_old_annotations_away() {
        let pairs = |keys: &[&str]| {
            let pairs = keys.iter().map(|key| ((*key).to_owned(), "x".to_owned()));
            pairs.collect::<BTreeMap<_, _>>()
        };
        let was = SecretMeta {
            namespace: "a".into(),
            name: "pull".into(),
            uid: "u".into(),
            resource_version: "1".into(),
            labels: BTreeMap::new(),
            annotations: pairs(&["syncd.dev/old", "syncd.dev/kept", "theirs"]),
            other_managers: Vec::new(),
            is_docker_config: true,
            terminating: false,
        };
        let new = NewSecret {
            namespace: "a".into(),
            name: "pull".into(),
            labels: BTreeMap::new(),
            annotations: pairs(&["syncd.dev/kept", "argocd"]),
            docker_config: syncd_config::Secret::new("{}"),
        };
        assert_eq!(
            Value::Object(annotations(&was, &new)),
            json!({"syncd.dev/old": null, "syncd.dev/kept": "x", "argocd": "x"})
        );
    }

    #[test]
    fn content_is_never_printed() {
        let content = SecretContent {
            type_: DOCKER_CONFIG.to_owned(),
            data: [(DOCKER_CONFIG_KEY.to_owned(), b"hunter2".to_vec())].into(),
        };
        let text = format!("{content:?}");
        assert!(
            text.contains(DOCKER_CONFIG_KEY) && !text.contains("hunter2"),
            "{text}"
        );
        assert!(!text.contains(&format!("{:?}", b"hunter2")), "{text}");
    }
}
