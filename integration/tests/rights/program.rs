//! syncd itself with the shipped configuration and nothing but the shipped rights.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use syncd_integration::http::get;
use syncd_integration::image::{Image, write_layout};
use syncd_integration::process::{Server, outcome, run, wait_for};
use syncd_integration::secrets::{assert_none, unique};
use syncd_integration::{Apiserver, Registry, RegistryOptions, Result, Setup};

use crate::ask::{Allowed, account, apply, cluster, make, overlay, row, until};
use crate::token_theft;

/// A registry with the image of the shipped configuration, for its user with this password.
async fn registry(password: &str) -> Result<Registry> {
    let registry = Registry::start(RegistryOptions {
        login: Some(("robot".to_owned(), password.to_owned())),
        ..Default::default()
    })
    .await?;
    let layout = registry.folder().join("layout");
    write_layout(&layout, "1", &[Image::of_random(7, 1000)])?;
    let image = registry.image("team/app:1.0");
    run(&mut registry.crane(&["push", &layout.to_string_lossy(), &image])?)?;
    Ok(registry)
}

/// The configuration of an overlay, moved to this registry and a folder of the test's own.
fn setup(name: &str, registry: &Registry, password: &str) -> Result<Setup> {
    let shipped = fs::read_to_string(overlay(name).join("config.yaml")).unwrap();
    let host = format!(
        "  - name: registry.example\n    host: {}\n    plainHttp: true",
        registry.host()
    );
    let text = shipped
        .replace("  - host: registry.example", &host)
        .replace("/etc/syncd-passwords/registry.example", "password")
        .replace("0.0.0.0:8080", "{status}");
    assert!(text.contains(&host) && text.contains("{status}"), "{text}");
    let setup = Setup::with_config(&text)?;
    fs::write(setup.folder().join("password"), password).unwrap();
    Ok(setup)
}

/// The daemon as the pod runs it, but for the place of its files.
async fn start(setup: &Setup, apiserver: &Apiserver) -> Result<Server> {
    let kubeconfig = apiserver.kubeconfig_of_account("syncd", "syncd").await?;
    let mut command = setup.command(&["run", "--kubeconfig", &kubeconfig.to_string_lossy()])?;
    command.env("POD_NAMESPACE", "syncd");
    let mut server = Server::start("syncd", command, &setup.folder().join("syncd.log"))?;
    let ready = async || {
        get(&setup.status, "/readyz")
            .await
            .is_ok_and(|reply| reply.status == 200)
    };
    server.wait_ready(Duration::from_secs(60), ready).await?;
    Ok(server)
}

/// An object as the administrator sees it.
async fn read(apiserver: &Apiserver, path: &str) -> Option<Value> {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    apiserver.client.request(request).await.ok()
}

/// Changes an object as the administrator.
async fn label(apiserver: &Apiserver, namespace: &str, value: Value) {
    let body = json!({"metadata": {"labels": {"syncd.dev/pull": value}}});
    let request = http::Request::patch(format!("/api/v1/namespaces/{namespace}"))
        .header("content-type", "application/merge-patch+json")
        .body(body.to_string().into_bytes())
        .unwrap();
    apiserver.client.request_text(request).await.unwrap();
}

async fn pull_secret(apiserver: &Apiserver, namespace: &str) -> Option<Value> {
    read(
        apiserver,
        &format!("/api/v1/namespaces/{namespace}/secrets/syncd-pull"),
    )
    .await
}

/// Waits until the pull secret of a namespace is as `is` says.
async fn wait_secret(
    apiserver: &Apiserver,
    server: &Server,
    namespace: &str,
    is: impl Fn(Option<&Value>) -> bool,
) -> Result<Option<Value>> {
    wait_for(
        &format!("the pull secret of {namespace}"),
        Duration::from_secs(60),
        async || {
            let secret = pull_secret(apiserver, namespace).await;
            Ok(is(secret.as_ref()).then_some(secret))
        },
        async || server.log_tail(),
    )
    .await
}

/// What syncd makes with a credential for `host`.
fn holds(secret: Option<&Value>, host: &str) -> bool {
    let data = secret.and_then(|secret| secret["data"][".dockerconfigjson"].as_str());
    data.is_some_and(|data| {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        String::from_utf8(bytes).unwrap().contains(host)
    })
}

/// What is true of every run: the documents of syncd are there, an event tells of a new secret, and
/// [`check_quiet`].
async fn check(apiserver: &Apiserver, server: &Server, password: &str) -> Result<()> {
    let map = read(apiserver, "/api/v1/namespaces/syncd/configmaps/syncd-inventory").await;
    assert!(map.is_some_and(|map| map["data"]["inventory.json"].is_string()));
    let state = read(apiserver, "/api/v1/namespaces/syncd/secrets/syncd-state").await;
    assert_eq!(
        state.map(|state| state["type"].clone()),
        Some(json!("syncd.dev/state"))
    );
    wait_for(
        "an event about the new secret",
        Duration::from_secs(20),
        async || {
            let events = read(apiserver, "/apis/events.k8s.io/v1/namespaces/team-b/events").await;
            let text = events
                .map(|events| events["items"].to_string())
                .unwrap_or_default();
            Ok(text.contains("CredentialsCreated").then_some(()))
        },
        async || server.log_tail(),
    )
    .await?;
    check_quiet(server, password)
}

/// No request was refused, and no secret is in the log.
fn check_quiet(server: &Server, password: &str) -> Result<()> {
    let log = server.log();
    for word in ["orbidden", "not permitted", "ValidatingAdmissionPolicy"] {
        let line = log.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "{word}");
    }
    assert_none("the log", &log, &[password])
}

#[tokio::test(flavor = "multi_thread")]
async fn syncd_works_with_the_rights_of_the_cluster_overlay() -> Result<()> {
    let password = unique("pw");
    let registry = registry(&password).await?;
    let apiserver = cluster().await?;
    apply(&apiserver, "overlays/cluster")?;
    until(&account(&apiserver).await?, token_theft).await?;
    for namespace in ["team-a", "team-b", "other"] {
        label(&apiserver, namespace, json!("enabled")).await;
    }
    let foreign = pull_secret(&apiserver, "other").await;
    let before = pull_secret(&apiserver, "team-a").await.unwrap();

    let setup = setup("overlays/cluster", &registry, &password)?;
    let server = start(&setup, &apiserver).await?;
    let host = registry.host();
    let ours = |secret: Option<&Value>| holds(secret, &host);
    wait_secret(&apiserver, &server, "team-b", ours).await?;
    let after = wait_secret(&apiserver, &server, "team-a", ours).await?.unwrap();
    assert_eq!(
        after["metadata"]["uid"], before["metadata"]["uid"],
        "updated in place"
    );
    assert_eq!(
        pull_secret(&apiserver, "other").await,
        foreign,
        "another's secret"
    );
    check(&apiserver, &server, &password).await?;

    // One that is selected later, and one that no longer is.
    let new = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "team-c", "labels": {"syncd.dev/pull": "enabled"}},
    });
    make(&apiserver, "/api/v1/namespaces", new).await;
    wait_secret(&apiserver, &server, "team-c", ours).await?;
    label(&apiserver, "team-b", Value::Null).await;
    let (output, text) = outcome(&mut setup.command(&["sync", "credentials"])?)?;
    // Not all: what another made in `other` is refused, and its way out is said.
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("kubectl annotate secret syncd-pull -n other syncd.dev/owner=syncd"),
        "{text}"
    );
    wait_secret(&apiserver, &server, "team-b", |secret| secret.is_none()).await?;
    check_quiet(&server, &password)
}

#[tokio::test(flavor = "multi_thread")]
async fn syncd_works_with_the_rights_of_the_namespaced_overlay() -> Result<()> {
    let password = unique("pw");
    let registry = registry(&password).await?;
    let apiserver = cluster().await?;
    apply(&apiserver, "overlays/namespaced")?;
    until(&account(&apiserver).await?, || {
        row(Allowed, "get", "/api/v1/namespaces/team-b")
    })
    .await?;

    let setup = setup("overlays/namespaced", &registry, &password)?;
    let server = start(&setup, &apiserver).await?;
    let host = registry.host();
    for namespace in ["team-a", "team-b"] {
        wait_secret(&apiserver, &server, namespace, |secret| holds(secret, &host)).await?;
    }
    check(&apiserver, &server, &password).await
}
