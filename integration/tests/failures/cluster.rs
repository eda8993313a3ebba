//! Namespaces, secrets and pods, and what kubelet says about them.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStateWaiting, Event, Namespace, Pod, Secret};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use syncd_integration::error::Context;
use syncd_integration::process::wait_for;
use syncd_integration::{Node, Result};
use tokio::time::Instant;

use crate::scenarios::{Given, Scenario};

/// The slowest answer is containerd's about a host that says nothing.
const SOON: Duration = Duration::from_secs(90);

/// What kubelet says.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// `ErrImagePull`, …
    pub(crate) reason: String,
    /// Its words.
    pub(crate) message: String,
    /// The messages of the pod's events.
    pub(crate) events: Vec<String>,
    /// How long after the first look.
    pub(crate) seconds: f64,
}

/// Makes the namespace, the secrets and the pod of a scenario.
pub(crate) async fn create(client: &Client, node: &Node, scenario: &Scenario) -> Result<()> {
    namespace(client, scenario.name).await?;
    for given in &scenario.secrets {
        if let Some(other) = given.namespace {
            namespace(client, other).await?;
        }
        secret(client, given.namespace.unwrap_or(scenario.name), given).await?;
    }
    let mut pod = node.pod("app", &scenario.image, &scenario.named)?;
    if let Some(container) = pod.spec.iter_mut().flat_map(|spec| &mut spec.containers).next() {
        container.image_pull_policy = Some(scenario.policy.to_owned());
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), scenario.name);
    pods.create(&PostParams::default(), &pod)
        .await
        .context("make a pod")
        .map(drop)
}

async fn namespace(client: &Client, name: &str) -> Result<()> {
    let mut wanted = Namespace::default();
    wanted.metadata.name = Some(name.to_owned());
    Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &wanted)
        .await
        .context("make a namespace")
        .map(drop)
}

async fn secret(client: &Client, namespace: &str, given: &Given) -> Result<()> {
    let secret: Secret = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": given.name, "annotations": given.annotations },
        "type": given.kind,
        "stringData": given.data,
    }))
    .context("write a secret")?;
    Api::<Secret>::namespaced(client.clone(), namespace)
        .create(&PostParams::default(), &secret)
        .await
        .context("make a secret")
        .map(drop)
}

/// Waits until kubelet has said of every pod why it waits.
pub(crate) async fn wait_all(client: &Client, scenarios: &[Scenario]) -> Result<BTreeMap<String, Waiting>> {
    let started = Instant::now();
    let mut found: BTreeMap<String, Waiting> = BTreeMap::new();
    let pods: Api<Pod> = Api::all(client.clone());
    let all = ListParams::default();
    let seen = wait_for(
        "a reason of every pod",
        SOON,
        async || {
            for pod in pods.list(&all).await.context("list pods")?.items {
                let namespace = pod.metadata.namespace.clone().unwrap_or_default();
                if let Some((reason, message)) = reason(&pod).filter(|_| !found.contains_key(&namespace)) {
                    let waiting = Waiting {
                        reason,
                        message,
                        events: Vec::new(),
                        seconds: started.elapsed().as_secs_f64(),
                    };
                    found.insert(namespace, waiting);
                }
            }
            let all = scenarios.iter().all(|scenario| found.contains_key(scenario.name));
            Ok(all.then(|| found.clone()))
        },
        async || unsaid(client).await,
    );
    let mut seen = seen.await?;
    for (namespace, waiting) in &mut seen {
        waiting.events = events(client, namespace).await?;
    }
    Ok(seen)
}

fn reason(pod: &Pod) -> Option<(String, String)> {
    let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    let waiting: &ContainerStateWaiting = status.state.as_ref()?.waiting.as_ref()?;
    let message = waiting.message.clone().filter(|text| !text.is_empty())?;
    Some((waiting.reason.clone().unwrap_or_default(), message))
}

/// The state of pods that wait for nothing yet.
async fn unsaid(client: &Client) -> String {
    let pods: Api<Pod> = Api::all(client.clone());
    let list = pods.list(&ListParams::default()).await;
    let mut text = String::new();
    for pod in list.map(|list| list.items).unwrap_or_default() {
        if reason(&pod).is_none() {
            let namespace = pod.metadata.namespace.unwrap_or_default();
            let status = serde_json::to_string(&pod.status).unwrap_or_default();
            text += &format!("  {namespace}: {status}\n");
            for event in events(client, &namespace).await.unwrap_or_default() {
                text += &format!("    {event}\n");
            }
        }
    }
    text
}

async fn events(client: &Client, namespace: &str) -> Result<Vec<String>> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let list = events.list(&ListParams::default()).await.context("list events")?;
    let text = |event: Event| {
        let reason = event.reason.unwrap_or_default();
        format!("{reason}: {}", event.message.unwrap_or_default())
    };
    Ok(list.items.into_iter().map(text).collect())
}
