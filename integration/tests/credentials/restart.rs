//! A start while the registry is away.

use std::time::Duration;

use serde_json::Value;
use syncd_integration::Result;

use crate::stage::{SOON, Stage, version};

#[tokio::test]
async fn a_start_without_the_registry_changes_nothing_and_serves_new_namespaces() -> Result<()> {
    let mut stage = Stage::with(&["team-a", "team-b"]).await?;
    let mut syncd = stage.setup("{names: [\"team-*\"]}")?.start().await?;
    let password = stage.password().to_owned();
    for name in ["team-a", "team-b"] {
        stage.wait_password(&syncd, name, &password, SOON).await?;
    }
    stage.assert_told_no_password(&syncd).await?;
    syncd.server.terminate(Duration::from_secs(10)).await?;
    let versions = stage.versions().await;

    stage.registry.stop()?;
    let syncd = syncd.setup.start().await?;
    let first = |report: &Value| {
        report["registries"][0]["host"]
            .is_string()
            .then(|| report.clone())
    };
    let report = stage.wait_report(&syncd, "the first report", first).await?;
    assert_eq!(report["registries"][0]["result"], "kept", "{report:#}");
    assert_eq!(stage.versions().await, versions, "{report:#}");
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
