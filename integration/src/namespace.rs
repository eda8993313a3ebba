//! A namespace of a test's own.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt;
use k8s_openapi::api::core::v1::{Event, Namespace, Pod, Secret};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};

use crate::error::Context;

/// Runs a test in a new namespace: what is in it is printed when the test
/// fails, and it is deleted afterwards.
pub async fn with_temp_ns<T, E: From<crate::error::Error>>(
    client: &Client,
    test: impl AsyncFnOnce(Client, String) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut wanted = Namespace::default();
    wanted.metadata.generate_name = Some("syncd-test-".to_owned());
    let made = namespaces
        .create(&PostParams::default(), &wanted)
        .await
        .context("make a namespace")?;
    let name = made.metadata.name.unwrap_or_default();

    let run = AssertUnwindSafe(test(client.clone(), name.clone()));
    let result = run.catch_unwind().await;
    if !matches!(result, Ok(Ok(_))) {
        print(&dump(client, &name).await);
    }
    // Without a controller manager the namespace stays "Terminating"; its pods
    // are what must go.
    let pods: Api<Pod> = Api::namespaced(client.clone(), &name);
    let now = DeleteParams::default().grace_period(0);
    pods.delete_collection(&now, &ListParams::default())
        .await
        .context("delete the pods")?;
    namespaces
        .delete(&name, &DeleteParams::default())
        .await
        .context("delete a namespace")?;
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// What is in a namespace, for a failure message: pods with the state of their
/// containers, events, and the names (never the content) of secrets.
pub async fn dump(client: &Client, namespace: &str) -> String {
    let mut text = format!("namespace {namespace}:\n");
    let all = ListParams::default();
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for pod in pods.list(&all).await.map(|list| list.items).unwrap_or_default() {
        let status = serde_json::to_string(&pod.status).unwrap_or_default();
        text += &format!("  pod {}: {status}\n", pod.metadata.name.unwrap_or_default());
    }
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    for event in events.list(&all).await.map(|list| list.items).unwrap_or_default() {
        let (reason, message) = (
            event.reason.unwrap_or_default(),
            event.message.unwrap_or_default(),
        );
        text += &format!("  event {reason}: {message}\n");
    }
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    for secret in secrets
        .list_metadata(&all)
        .await
        .map(|list| list.items)
        .unwrap_or_default()
    {
        text += &format!("  secret {}\n", secret.metadata.name.unwrap_or_default());
    }
    text
}

#[allow(clippy::print_stderr, reason = "a failing test's output is its report")]
fn print(text: &str) {
    eprint!("{text}");
}
