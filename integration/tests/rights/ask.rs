//! A cluster with an overlay, and the questions that syncd's account asks of it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};
use syncd_integration::process::{run, wait_for};
use syncd_integration::tools::repository;
use syncd_integration::{Apiserver, Result};

/// Whether a request of syncd's account is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Allowed,
    /// By a role that is missing.
    NoRole,
    /// By an admission policy.
    Policy,
}
pub(crate) use Answer::{Allowed, NoRole, Policy};

/// One request, and what must come of it.
pub(crate) struct Row {
    verb: &'static str,
    path: String,
    body: Option<Value>,
    wanted: Answer,
}

pub(crate) fn row(wanted: Answer, verb: &'static str, path: &str) -> Row {
    Row {
        verb,
        path: path.to_owned(),
        body: None,
        wanted,
    }
}

pub(crate) fn with(wanted: Answer, verb: &'static str, path: &str, body: Value) -> Row {
    Row {
        body: Some(body),
        ..row(wanted, verb, path)
    }
}

pub(crate) const PULL: &str = "kubernetes.io/dockerconfigjson";
pub(crate) const ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";

/// A secret as it is made; nothing in it is secret.
pub(crate) fn secret(name: &str, kind: &str) -> Value {
    let annotations = match kind {
        PULL => json!({"syncd.dev/owner": "syncd"}),
        ACCOUNT_TOKEN => json!({"kubernetes.io/service-account.name": "default"}),
        _ => json!({}),
    };
    let data = match kind {
        PULL => json!({".dockerconfigjson": "eyJhdXRocyI6e319"}),
        _ => json!({}),
    };
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": kind, "data": data,
        "metadata": {"name": name, "annotations": annotations},
    })
}

pub(crate) fn annotate() -> Value {
    json!({"metadata": {"annotations": {"test": "x"}}})
}

pub(crate) fn event() -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"generateName": "syncd-"},
        "eventTime": "2026-01-02T03:04:05.000000Z", "type": "Normal", "reason": "Test", "action": "Test",
        "reportingController": "syncd", "reportingInstance": "syncd-0",
        "regarding": {"apiVersion": "v1", "kind": "Secret", "name": "syncd-pull", "namespace": "team-a"},
    })
}

/// Asks for everything in turn as the account, changing nothing; the table, and whether all of it is
/// as wanted.
pub(crate) async fn ask(client: &Client, rows: Vec<Row>) -> (String, bool) {
    let (mut table, mut right) = (String::new(), true);
    for row in rows {
        let got = answer(client, &row).await;
        let good = got.as_ref() == Ok(&row.wanted);
        let mark = if good { ' ' } else { '!' };
        let got = got.map_or_else(|words| words, |answer| format!("{answer:?}"));
        let kind = row
            .body
            .as_ref()
            .and_then(|body| body["type"].as_str())
            .unwrap_or_default();
        writeln!(table, "{mark} {:<8} {got:<8} {} {kind}", row.verb, row.path).unwrap();
        right &= good;
    }
    (table, right)
}

/// `Err` has the words of an answer that is neither a yes nor a no.
pub(crate) async fn answer(client: &Client, row: &Row) -> std::result::Result<Answer, String> {
    let join = if row.path.contains('?') { '&' } else { '?' };
    let uri = match row.verb {
        "get" | "list" => row.path.clone(),
        "watch" => format!("{}{join}watch=true&timeoutSeconds=1", row.path),
        _ => format!("{}{join}dryRun=All", row.path),
    };
    let (method, media) = match row.verb {
        "create" => ("POST", "application/json"),
        "patch" => ("PATCH", "application/merge-patch+json"),
        "update" => ("PUT", "application/json"),
        "delete" => ("DELETE", "application/json"),
        _ => ("GET", "application/json"),
    };
    let body = row.body.as_ref().map(Value::to_string).unwrap_or_default();
    let request = http::Request::builder()
        .method(method)
        .uri(uri)
        .header("content-type", media)
        .body(body.into_bytes())
        .unwrap();
    match client.request_text(request).await {
        Ok(_) => Ok(Allowed),
        Err(kube::Error::Api(status)) if status.code == 403 => {
            let policy = status.message.contains("ValidatingAdmissionPolicy");
            Ok(if policy { Policy } else { NoRole })
        }
        Err(error) => Err(format!("{error:?}")),
    }
}

pub(crate) fn overlay(name: &str) -> PathBuf {
    repository().join("deploy/kustomize").join(name)
}

/// Applies a folder with kustomize, as the documentation says.
pub(crate) fn apply(apiserver: &Apiserver, folder: &str) -> Result<String> {
    run(&mut apiserver.kubectl(&["apply", "-k", &overlay(folder).to_string_lossy()])?)
}

/// Makes an object as the administrator.
pub(crate) async fn make(apiserver: &Apiserver, path: &str, body: Value) {
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(body.to_string().into_bytes())
        .unwrap();
    apiserver.client.request_text(request).await.unwrap();
}

pub(crate) fn secrets(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}

/// A cluster with two teams and another namespace, in which there are secrets of syncd's name and
/// others, some made by syncd.
pub(crate) async fn cluster() -> Result<Apiserver> {
    let apiserver = Apiserver::start().await?;
    for name in ["team-a", "team-b", "other"] {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        make(&apiserver, "/api/v1/namespaces", body).await;
    }
    let mut foreign = secret("syncd-pull", PULL);
    foreign["metadata"]["annotations"] = json!({"syncd.dev/owner": "another"});
    make(&apiserver, &secrets("other"), foreign).await;
    for namespace in ["team-a", "kube-system"] {
        make(&apiserver, &secrets(namespace), secret("syncd-pull", PULL)).await;
        make(&apiserver, &secrets(namespace), secret("database", "Opaque")).await;
    }
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"},
        "imagePullSecrets": [{"name": "theirs"}],
    });
    make(&apiserver, "/api/v1/namespaces/team-a/serviceaccounts", account).await;
    Ok(apiserver)
}

/// What syncd keeps in its own namespace, and what else is there.
pub(crate) async fn own_documents(apiserver: &Apiserver) {
    make(
        apiserver,
        &secrets("syncd"),
        secret("syncd-state", "syncd.dev/state"),
    )
    .await;
    make(apiserver, &secrets("syncd"), secret("syncd-passwords", "Opaque")).await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "syncd-inventory"}});
    make(apiserver, "/api/v1/namespaces/syncd/configmaps", map).await;
}

pub(crate) async fn account(apiserver: &Apiserver) -> Result<Client> {
    let kubeconfig = apiserver.kubeconfig_of_account("syncd", "syncd").await?;
    apiserver.client_of(&kubeconfig).await
}

/// A new policy or role is in force after a moment.
pub(crate) async fn until(client: &Client, probe: fn() -> Row) -> Result<()> {
    wait_for(
        "the rights in force",
        Duration::from_secs(30),
        async || Ok((answer(client, &probe()).await == Ok(probe().wanted)).then_some(())),
        async || format!("{:?}", answer(client, &probe()).await),
    )
    .await
}
