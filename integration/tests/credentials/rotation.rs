//! A new password, and a wrong one.

use std::process::Command;

use serde_json::Value;
use syncd_integration::Result;
use syncd_integration::process::run;
use syncd_integration::secrets::unique;

use crate::stage::{SOON, Stage, bytes, row, uid, write_password};

#[tokio::test]
async fn a_rotated_password_reaches_all_in_place_and_a_wrong_one_none() -> Result<()> {
    let names = ["team-a", "team-b", "team-c"];
    let mut stage = Stage::with(&names).await?;
    let syncd = stage.setup("{names: [\"team-*\"]}")?.start().await?;
    let first = stage.password().to_owned();
    for name in names {
        stage.wait_password(&syncd, name, &first, SOON).await?;
    }
    let before = stage.all().await;

    let second = unique("second");
    stage.registry_takes(&second)?;
    write_password(&syncd.setup, &second);
    for name in names {
        let secret = stage.wait_password(&syncd, name, &second, SOON).await?;
        assert_eq!(uid(&secret), uid(&before[name]), "in place");
    }
    let after = stage.all().await;
    assert!(
        names
            .iter()
            .all(|name| bytes(&after[*name]) == bytes(&after["team-a"]))
    );

    // A password that the registry does not take: no secret changes, and it is said.
    let versions = stage.versions().await;
    let wrong = unique("wrong");
    stage.know(&wrong);
    write_password(&syncd.setup, &wrong);
    let is_refused = |report: &Value| {
        let refused = report["registries"][0]["error"]["kind"] == "refused";
        refused.then(|| report.clone())
    };
    let refused = stage.wait_report(&syncd, "the refusal", is_refused).await?;
    assert_eq!(refused["registries"][0]["result"], "kept", "{refused:#}");
    let (code, report) = stage.json(&syncd.setup, &["sync", "credentials"])?;
    assert_ne!(code, 0, "{report:#}");
    assert_eq!(report["registries"][0]["error"]["kind"], "refused", "{report:#}");
    assert_eq!(report["registries"][0]["result"], "kept", "{report:#}");
    assert_eq!(row(&report, "team-a")["outcome"], "unchanged", "{report:#}");
    assert_eq!(stage.versions().await, versions);

    // A new namespace gets what is known to be good.
    stage.make_namespace("team-d", &[]).await;
    stage.wait_password(&syncd, "team-d", &second, SOON).await?;

    // The right one again, and all is well: nothing had to be written.
    let versions = stage.versions().await;
    write_password(&syncd.setup, &second);
    run(Command::new("kill").args(["-HUP", &syncd.server.pid().to_string()]))?;
    let is_well = |report: &Value| report["registries"][0]["error"].is_null().then_some(());
    stage.wait_report(&syncd, "no error", is_well).await?;
    assert_eq!(stage.versions().await, versions);
    stage.assert_told_no_password(&syncd).await
}
