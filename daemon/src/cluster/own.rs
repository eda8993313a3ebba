//! syncd's own small documents, in its own namespace.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{ConfigMap, Secret as KubeSecret};
use kube::Resource;
use kube::api::{GetParams, Patch, Request};
use kube::core::request;
use serde_json::{Value, json};
use syncd_config::Secret;

use super::request::Doing;
use super::secrets::{patched, post};
use super::{Cluster, ClusterError, ClusterErrorKind, Verb};

/// The type of secrets that hold syncd's own state.
const STATE: &str = "syncd.dev/state";

/// What a document is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnKind {
    /// What must stay secret; of type `syncd.dev/state`.
    Secret,
    /// What anyone may read.
    ConfigMap,
}

/// A document as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnObject {
    /// The version that the next write names.
    pub resource_version: String,
    /// Its texts by key.
    pub data: BTreeMap<String, Secret>,
}

impl OwnKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::ConfigMap => "config map",
        }
    }

    fn requests(self, namespace: &str) -> Request {
        Request::new(match self {
            Self::Secret => KubeSecret::url_path(&(), Some(namespace)),
            Self::ConfigMap => ConfigMap::url_path(&(), Some(namespace)),
        })
    }

    /// One text as the API wants it.
    fn encode(self, text: &Secret) -> String {
        match self {
            Self::Secret => STANDARD.encode(text.expose()),
            Self::ConfigMap => text.expose().to_owned(),
        }
    }
}

impl Cluster {
    /// A document of our own namespace, when there is one of that name.
    ///
    /// # Errors
    /// Also when something in it is not text.
    pub async fn read_own(&self, kind: OwnKind, name: &str) -> Result<Option<OwnObject>, ClusterError> {
        let what = self.own_what(kind, name);
        let doing = Doing::new(Verb::Get, &what);
        let request = kind
            .requests(&self.own_namespace)
            .get(name, &GetParams::default());
        let read = match kind {
            OwnKind::Secret => self.ask::<KubeSecret>(doing, request).await.map(|secret| {
                let data = secret.data.unwrap_or_default().into_iter();
                let texts = data.map(|(key, value)| Some((key, String::from_utf8(value.0).ok()?)));
                (secret.metadata, texts.collect::<Option<BTreeMap<_, _>>>())
            }),
            OwnKind::ConfigMap => self
                .ask::<ConfigMap>(doing, request)
                .await
                .map(|map| (map.metadata, Some(map.data.unwrap_or_default()))),
        };
        match read {
            Ok((meta, Some(texts))) => Ok(Some(OwnObject {
                resource_version: meta.resource_version.unwrap_or_default(),
                data: (texts.into_iter())
                    .map(|(key, text)| (key, Secret::new(text)))
                    .collect(),
            })),
            Ok((_, None)) => Err(doing.error(ClusterErrorKind::Other, "a value in it is not text")),
            Err(error) if error.kind == ClusterErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a document of our own namespace: makes it when `was` is `None`, else replaces all its
    /// data if it still has that version. Gives its new version.
    ///
    /// # Errors
    /// `AlreadyExists`, or `Conflict` when it was changed since it was read.
    pub async fn write_own(
        &self,
        kind: OwnKind,
        name: &str,
        data: &BTreeMap<String, Secret>,
        was: Option<&str>,
    ) -> Result<String, ClusterError> {
        let what = self.own_what(kind, name);
        let encoded: BTreeMap<&str, String> = (data.iter())
            .map(|(key, text)| (key.as_str(), kind.encode(text)))
            .collect();
        let plain = data.values().map(Secret::expose);
        let private: Vec<&str> = plain.chain(encoded.values().map(String::as_str)).collect();
        let requests = kind.requests(&self.own_namespace);
        let (verb, request) = match was {
            None => {
                let body = self.new_document(kind, name, &encoded).to_string();
                (Verb::Create, requests.create(&post(), body.into_bytes()))
            }
            Some(version) => (Verb::Patch, replace_data(&requests, name, version, &encoded)),
        };
        let doing = Doing::new(verb, &what).hiding(&private);
        let written = self.ask_metadata(doing, request).await?;
        Ok(written.metadata.resource_version.unwrap_or_default())
    }

    fn new_document(&self, kind: OwnKind, name: &str, encoded: &BTreeMap<&str, String>) -> Value {
        let metadata = json!({
            "name": name,
            "namespace": self.own_namespace,
            "labels": { "app.kubernetes.io/managed-by": "syncd" },
        });
        match kind {
            OwnKind::Secret => json!({
                "apiVersion": "v1", "kind": "Secret", "type": STATE,
                "metadata": metadata, "data": encoded,
            }),
            OwnKind::ConfigMap => json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": metadata, "data": encoded,
            }),
        }
    }

    fn own_what(&self, kind: OwnKind, name: &str) -> String {
        format!("{} {}/{name}", kind.word(), self.own_namespace)
    }
}

/// A JSON patch (RFC 6902): `add` puts the whole of `data` in place of what is there, and a version
/// that is no longer the present one is a conflict to the API. A merge would keep old keys.
fn replace_data(
    requests: &Request,
    name: &str,
    version: &str,
    encoded: &BTreeMap<&str, String>,
) -> Result<http::Request<Vec<u8>>, request::Error> {
    let operations = json!([
        { "op": "replace", "path": "/metadata/resourceVersion", "value": version },
        { "op": "add", "path": "/data", "value": encoded },
    ]);
    let operations = serde_json::from_value(operations).map_err(request::Error::SerializeBody)?;
    requests.patch(name, &patched(), &Patch::<()>::Json(operations))
}
