//! Who gets a secret, how soon, and what it costs.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use syncd_integration::error::Context;
use syncd_integration::http::get;
use syncd_integration::process::{run, wait_for};
use syncd_integration::{Result, Tools};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::stage::{PRIVATE, SOON, Stage, annotation, bytes, content, course, docker_config, row, uid};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn selected_namespaces_have_it_and_a_new_one_within_a_second() -> Result<()> {
    let mut stage = Stage::with(&["team-a", "team-b", "team-c", "other", "team-x"]).await?;
    let syncd = stage
        .setup("{names: [\"team-*\"], exclude: [team-x]}")?
        .start()
        .await?;
    let password = stage.password().to_owned();
    for namespace in ["team-a", "team-b", "team-c"] {
        stage.wait_password(&syncd, namespace, &password, SOON).await?;
    }
    let all = stage.all().await;
    assert_eq!(all.keys().collect::<Vec<_>>(), ["team-a", "team-b", "team-c"]);
    let wanted = content(&stage.registry.host(), &password);
    for secret in all.values() {
        assert_eq!(bytes(secret), wanted.as_bytes());
        assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/dockerconfigjson"));
        let labels = secret.metadata.labels.as_ref().unwrap();
        assert_eq!(labels["app.kubernetes.io/managed-by"], "syncd");
        let marks: Value = serde_json::from_str(annotation(secret, "syncd.dev/registries").unwrap()).unwrap();
        assert!(marks[stage.registry.host()]["minted"].is_string(), "{marks}");
    }
    pulls_with(&stage, &all["team-a"])?;

    // A new namespace: within a second, and nobody is asked for anything.
    let asked = stage.requests();
    let mut slowest = Duration::ZERO;
    for number in 0..10 {
        let name = format!("team-new-{number}");
        let before = Instant::now();
        stage.make_namespace(&name, &[]).await;
        stage.wait_password(&syncd, &name, &password, SECOND).await?;
        slowest = slowest.max(before.elapsed());
    }
    assert!(slowest < SECOND, "{slowest:?}");
    assert_eq!(stage.requests(), asked, "{}", stage.registry.log());
    stage.make_namespace("unselected", &[]).await;

    steady(&mut stage, &syncd).await?;
    told(&mut stage, &syncd).await?;
    assert_eq!(stage.all().await.len(), 13);
    stage.assert_told_no_password(&syncd).await
}

/// A client that is not ours pulls with what is in the secret.
fn pulls_with(stage: &Stage, secret: &k8s_openapi::api::core::v1::Secret) -> Result<()> {
    let folder = TempDir::new().context("make a folder")?;
    let home = docker_config(folder.path(), secret);
    let mut crane = Command::new(Tools::path("crane")?);
    let image = stage.registry.image("team/app:1");
    run(crane.args(["digest", &image]).env("DOCKER_CONFIG", home)).map(drop)
}

/// A pass with nothing to do writes nothing.
async fn steady(stage: &mut Stage, syncd: &syncd_integration::Syncd) -> Result<()> {
    let versions = stage.versions().await;
    let events = count_events(stage)?;
    for _ in 0..2 {
        let (code, report) = stage.json(&syncd.setup, &["sync", "credentials"])?;
        assert_eq!(code, 0, "{report:#}");
        assert_eq!(report["totals"]["unchanged"], 13, "{report:#}");
        assert_eq!(report["totals"]["targets"], 13);
    }
    assert_eq!(stage.versions().await, versions);
    assert_eq!(count_events(stage)?, events);
    Ok(())
}

fn count_events(stage: &Stage) -> Result<usize> {
    let mut list = stage.apiserver.kubectl(&["get", "events", "-A", "-o", "name"])?;
    Ok(run(&mut list)?.lines().count())
}

/// `get credentials`, the metrics and the events say how it stands.
async fn told(stage: &mut Stage, syncd: &syncd_integration::Syncd) -> Result<()> {
    let (code, report) = stage.json(&syncd.setup, &["get", "credentials"])?;
    assert_eq!(code, 0);
    let registry = &report["registries"][0];
    assert_eq!(registry["proven"], true, "{report:#}");
    assert_eq!(registry["host"], stage.registry.host());
    assert!(
        registry["proof"].as_str().unwrap().contains("team/app:1"),
        "{report:#}"
    );
    assert_eq!(row(&report, "team-new-9")["secret"], "syncd-pull");
    let (_, table) = stage.text(&syncd.setup, &["get", "credentials"])?;
    assert!(table.contains("13 targets: 13 unchanged"), "{table}");
    let (_, wide) = stage.text(&syncd.setup, &["get", "credentials", "-o", "wide"])?;
    assert!(wide.contains("team-a"), "{wide}");

    let metrics = get(&syncd.setup.status, "/metrics").await?.body;
    assert!(
        metrics.contains("syncd_credential_proven{registry=\"app\"} 1"),
        "{metrics}"
    );
    // A password has no end, and nothing is claimed about it.
    assert!(
        !metrics.contains("syncd_credential_expiration_timestamp_seconds{"),
        "{metrics}"
    );
    assert!(
        metrics.contains("syncd_credential_mints_total{registry=\"app\"} 1"),
        "{metrics}"
    );

    let mut describe = stage
        .apiserver
        .kubectl(&["get", "events", "-n", "team-a", "-o", "json"])?;
    let events: Value = serde_json::from_str(&run(&mut describe)?).unwrap();
    let events = events["items"].as_array().unwrap();
    let about = |event: &&Value| event["involvedObject"]["kind"] == "Secret";
    let event = events.iter().find(about).unwrap_or_else(|| panic!("{events:?}"));
    assert_eq!(event["involvedObject"]["name"], "syncd-pull");
    assert_eq!(event["type"], "Normal");
    Ok(())
}

#[tokio::test]
async fn labels_select_and_what_others_break_is_put_right() -> Result<()> {
    let stage = Stage::with(&["late"]).await?;
    stage.make_namespace("one", &[(PRIVATE, "yes")]).await;
    stage.make_namespace("two", &[(PRIVATE, "no")]).await;
    let syncd = stage
        .setup(&format!("{{matchLabels: {{{PRIVATE}: \"yes\"}}}}"))?
        .start()
        .await?;
    let password = stage.password().to_owned();
    let first = stage.wait_password(&syncd, "one", &password, SOON).await?;
    stage.label("late", serde_json::json!({PRIVATE: "yes"})).await;
    stage.wait_password(&syncd, "late", &password, SECOND * 2).await?;
    assert_eq!(stage.all().await.len(), 2);

    let asked = stage.requests();
    // Changed by a person: undone in place.
    let planted = r#"{"stringData":{".dockerconfigjson":"{\"auths\":{}}"}}"#;
    let patch = ["patch", "secret", "syncd-pull", "-n", "one", "-p", planted];
    run(&mut stage.apiserver.kubectl(&patch)?)?;
    let restored = stage.wait_password(&syncd, "one", &password, SECOND * 3).await?;
    assert_eq!(uid(&restored), uid(&first));
    // Deleted: made again.
    let delete = ["delete", "secret", "syncd-pull", "-n", "one"];
    run(&mut stage.apiserver.kubectl(&delete)?)?;
    let again = stage.wait_password(&syncd, "one", &password, SECOND * 3).await?;
    assert_ne!(uid(&again), uid(&first));
    assert_eq!(stage.requests(), asked, "{}", stage.registry.log());

    // A label that goes: one is few, and is removed.
    stage.label("late", serde_json::json!({PRIVATE: null})).await;
    wait_for(
        "the removal from `late`",
        SOON,
        async || Ok(stage.secret("late").await.is_none().then_some(())),
        async || course(&syncd),
    )
    .await?;
    assert!(stage.secret("one").await.is_some());
    stage.assert_told_no_password(&syncd).await
}
