//! A start while the registry is away.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use syncd_integration::{Result, Syncd};

use crate::stage::{SOON, Stage, version};

const SELECTOR: &str = "{names: [\"team-*\"]}";

/// The first pass keeps what there is, and says why there is nothing newer.
async fn changes_nothing(
    stage: &mut Stage,
    syncd: &Syncd,
    versions: &BTreeMap<String, String>,
) -> Result<()> {
    let first = |report: &Value| {
        report["registries"][0]["host"]
            .is_string()
            .then(|| report.clone())
    };
    let report = stage.wait_report(syncd, "the first report", first).await?;
    assert_eq!(report["registries"][0]["result"], "kept", "{report:#}");
    assert_eq!(&stage.versions().await, versions, "{report:#}");
    Ok(())
}

#[tokio::test]
async fn a_start_without_the_registry_changes_nothing_and_serves_new_namespaces() -> Result<()> {
    let mut stage = Stage::with(&["team-a", "team-b"]).await?;
    let mut syncd = stage.setup(SELECTOR)?.start().await?;
    let password = stage.password().to_owned();
    for name in ["team-a", "team-b"] {
        stage.wait_password(&syncd, name, &password, SOON).await?;
    }
    stage.assert_told_no_password(&syncd).await?;
    syncd.server.terminate(Duration::from_secs(10)).await?;
    let versions = stage.versions().await;

    stage.registry.stop()?;
    let mut syncd = syncd.setup.start().await?;
    changes_nothing(&mut stage, &syncd, &versions).await?;
    stage.assert_told_no_password(&syncd).await?;
    syncd.server.terminate(Duration::from_secs(10)).await?;

    // As a new pod, in whose folders there is nothing: what is known is in the cluster.
    let syncd = stage.setup(SELECTOR)?.start().await?;
    changes_nothing(&mut stage, &syncd, &versions).await?;
    stage.make_namespace("team-new", &[]).await;
    stage
        .wait_password(&syncd, "team-new", &password, Duration::from_secs(1))
        .await?;
    let (_, report) = stage.json(&syncd.setup, &["sync", "credentials"])?;
    assert_eq!(report["totals"]["unchanged"], 3, "{report:#}");
    for (namespace, before) in versions {
        assert_eq!(version(&stage.secret(&namespace).await.unwrap()), before);
    }
    stage.assert_told_no_password(&syncd).await
}
