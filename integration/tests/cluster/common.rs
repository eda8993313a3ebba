//! What the tests share.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::Api;
use serde_json::json;
use syncd::cluster::{Cluster, ClusterOptions, NewSecret};
use syncd_config::Secret;
use syncd_integration::error::Context;
use syncd_integration::process::run;
use syncd_integration::{Apiserver, Result};

pub(crate) const NAME: &str = "pull";

pub(crate) async fn connect(kubeconfig: &Path) -> Cluster {
    let options = ClusterOptions {
        kubeconfig: Some(kubeconfig.to_owned()),
        context: None,
    };
    Cluster::connect(&options).await.unwrap()
}

/// `kubectl apply -f` of a document, or of several in a list.
pub(crate) fn apply(apiserver: &Apiserver, document: &serde_json::Value) -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder")?;
    let file = folder.path().join("document.json");
    fs::write(&file, document.to_string()).context("write a document")?;
    let arguments = ["apply", "--server-side", "-f", &file.to_string_lossy()];
    run(&mut apiserver.kubectl(&arguments)?).map(drop)
}

pub(crate) fn namespace(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"pull": "private"}}})
}

/// A namespace that its deletion leaves in the state Terminating: nothing here empties it.
pub(crate) fn terminate(apiserver: &Apiserver, name: &str) -> Result<()> {
    run(&mut apiserver.kubectl(&["delete", "namespace", name, "--wait=false"])?).map(drop)
}

/// What a namespace controller does when the namespace is empty.
pub(crate) async fn finalize(apiserver: &Apiserver, name: &str) {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {"finalizers": []}});
    let request = http::Request::put(format!("/api/v1/namespaces/{name}/finalize"))
        .body(body.to_string().into_bytes())
        .unwrap();
    apiserver.client.request_text(request).await.unwrap();
}

pub(crate) fn docker_config(password: &str) -> String {
    let auth = STANDARD.encode(format!("robot:{password}"));
    json!({"auths": {"registry.test": {"auth": auth, "password": password, "username": "robot"}}}).to_string()
}

pub(crate) fn new_secret(namespace: &str, config: &str) -> NewSecret {
    let pairs = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        pairs.collect::<BTreeMap<String, String>>()
    };
    NewSecret {
        namespace: namespace.to_owned(),
        name: NAME.to_owned(),
        labels: pairs(&[("app.kubernetes.io/managed-by", "syncd")]),
        annotations: pairs(&[("syncd.dev/owner", "test")]),
        docker_config: Secret::new(config),
    }
}

/// The secret as it stands in the cluster, by another client.
pub(crate) async fn stored(apiserver: &Apiserver, namespace: &str) -> KubeSecret {
    let secrets: Api<KubeSecret> = Api::namespaced(apiserver.client.clone(), namespace);
    secrets.get(NAME).await.unwrap()
}
