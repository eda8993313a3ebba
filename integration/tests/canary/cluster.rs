//! Namespaces, secrets and pods, and what the daemon writes beside them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use syncd_integration::Result;
use syncd_integration::error::Context;
use syncd_integration::process::wait_for;
use syncd_integration::syncd::Syncd;

use crate::world::{USER, World};

pub(crate) const NAMESPACES: [&str; 3] = ["team-a", "team-b", "team-taken"];

/// A pull secret, or what somebody took for one.
pub(crate) async fn secret(client: &Client, namespace: &str, name: &str, content: Value) -> Result<()> {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": name },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": content.to_string() },
    }))
    .context("write a secret")?;
    Api::<Secret>::namespaced(client.clone(), namespace)
        .create(&PostParams::default(), &secret)
        .await
        .context("make a secret")
        .map(drop)
}

pub(crate) fn docker_config(host: &str, password: &str) -> Value {
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    json!({ "auths": { host: { "auth": auth, "username": USER, "password": password } } })
}

/// A pod as kubelet leaves it after a failed pull.
pub(crate) async fn pod(
    client: &Client,
    name: &str,
    image: &str,
    secrets: &[&str],
    words: &str,
) -> Result<()> {
    let named: Vec<Value> = secrets.iter().map(|name| json!({ "name": name })).collect();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "nodeName": "nowhere",
            "imagePullSecrets": named,
            "containers": [{ "name": "main", "image": image }],
        },
    }))
    .context("write a pod")?;
    let status = json!({ "status": { "phase": "Pending", "containerStatuses": [{
        "name": "main", "image": image, "imageID": "", "ready": false, "restartCount": 0,
        "state": { "waiting": { "reason": "ErrImagePull", "message": words } },
    }] } });
    let pods: Api<Pod> = Api::namespaced(client.clone(), "team-a");
    pods.create(&PostParams::default(), &pod)
        .await
        .context("make a pod")?;
    let patch = Patch::Merge(&status);
    pods.patch_status(name, &PatchParams::default(), &patch)
        .await
        .context("set a pod's status")
        .map(drop)
}

/// Pods whose secrets are good, wrong, past their time, echoed and malformed.
pub(crate) async fn pods(world: &World, client: &Client) -> Result<Vec<&'static str>> {
    let a = "team-a";
    let refused = |host: &str| {
        format!(
            "failed to resolve image: unexpected status from HEAD request to http://{host}/v2/team/app/manifests/1: 401 Unauthorized"
        )
    };
    // containerd passes on what the token server says, and this one repeats what it was sent.
    let password = &world.secrets["tokens"];
    let sent = STANDARD.encode(format!("{USER}:{password}"));
    let echoed = format!(
        "failed to resolve image: failed to authorize: failed to fetch oauth token: unexpected status from GET \
         request to http://{}/token?service=x: 401 Unauthorized\nunauthorized: {password} or Basic {sent} is wrong",
        world.tokens.host()
    );
    let kinds = [
        ("echo", &world.echo, refused(&world.echo.host())),
        ("tokens", &world.tokens, echoed),
        ("wrong", &world.wrong, refused(&world.wrong.host())),
        ("expired", &world.wrong, refused(&world.wrong.host())),
        ("good", &world.good, refused(&world.good.host())),
    ];
    let mut names = Vec::new();
    for (name, registry, words) in kinds {
        secret(
            client,
            a,
            name,
            docker_config(&registry.host(), &world.secrets[name]),
        )
        .await?;
        pod(client, name, &registry.image("team/app:1"), &[name], &words).await?;
        names.push(name);
    }
    let canary = &world.secrets["malformed"];
    for (name, content) in [
        (
            "malformed",
            json!({ "auths": { "reg.example": { "auth": canary } } }),
        ),
        ("misshapen", json!({ "auths": { "reg.example": [canary] } })),
        ("misplaced", json!({ "auths": canary })),
    ] {
        secret(client, a, name, content).await?;
        let words = "illegal base64 data at input byte 9";
        pod(client, name, &world.good.image("team/app:1"), &[name], words).await?;
        names.push(name);
    }
    Ok(names)
}

pub(crate) async fn namespaces(client: &Client) -> Result<()> {
    let all: Api<Namespace> = Api::all(client.clone());
    for name in NAMESPACES {
        let mut wanted = Namespace::default();
        wanted.metadata.name = Some(name.to_owned());
        all.create(&PostParams::default(), &wanted)
            .await
            .context("make a namespace")?;
    }
    Ok(())
}

/// What the daemon wrote into the cluster, without the content of secrets.
pub(crate) async fn written(client: &Client) -> Result<String> {
    let all = ListParams::default();
    let events = Api::<Event>::all(client.clone())
        .list(&all)
        .await
        .context("list events")?;
    let maps = Api::<ConfigMap>::all(client.clone())
        .list(&all)
        .await
        .context("list maps")?;
    let secrets: Api<Secret> = Api::all(client.clone());
    let metadata = secrets.list_metadata(&all).await.context("list metadata")?;
    let text = |list: serde_json::Result<String>| list.context("write as JSON");
    Ok([
        text(serde_json::to_string(&events.items))?,
        text(serde_json::to_string(&maps.items))?,
        text(serde_json::to_string(&metadata.items))?,
    ]
    .join("\n"))
}

/// Waits until the credentials of all registries were tried and the good one stands in a secret.
pub(crate) async fn published(client: &Client, world: &World, syncd: &Syncd) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "team-a");
    wait_for(
        "the secret of team-a",
        Duration::from_secs(60),
        async || {
            let found = secrets.get_opt("syncd-pull").await.context("read a secret")?;
            let data = found.and_then(|secret| secret.data?.remove(".dockerconfigjson"));
            let text = data.map(|data| String::from_utf8_lossy(&data.0).into_owned());
            Ok(text.filter(|text| text.contains(&world.good.host())).map(drop))
        },
        async || syncd.server.log_tail(),
    )
    .await
}
