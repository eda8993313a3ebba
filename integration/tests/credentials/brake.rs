//! Removing, and not removing.

use serde_json::{Value, json};
use syncd_integration::Result;

use crate::stage::{PRIVATE, SOON, Stage, rewrite};

#[tokio::test]
async fn a_selector_that_matches_nothing_removes_nothing_until_a_person_says_so() -> Result<()> {
    let mut stage = Stage::with(&[]).await?;
    let names = ["one", "two", "three", "four", "five"];
    for name in names {
        stage.make_namespace(name, &[(PRIVATE, "yes")]).await;
    }
    let selector = format!("{{matchLabels: {{{PRIVATE}: \"yes\"}}}}");
    let syncd = stage.setup(&selector)?.start().await?;
    let password = stage.password().to_owned();
    for name in names {
        stage.wait_password(&syncd, name, &password, SOON).await?;
    }
    let versions = stage.versions().await;

    // A label is renamed in the config: every namespace falls out.
    rewrite(&syncd.setup, "\"yes\"", "\"renamed\"");
    let waits = |report: &Value| report["removal"].is_object().then(|| report.clone());
    let report = stage.wait_report(&syncd, "the pending removal", waits).await?;
    let items = report["removal"]["items"].as_array().unwrap();
    assert_eq!(items.len(), 5, "{report:#}");
    assert_eq!(report["removal"]["managed"], 5);
    let (code, _) = stage.json(&syncd.setup, &["sync", "credentials"])?;
    assert_ne!(code, 0);
    let (_, wrong) = stage.json(
        &syncd.setup,
        &["sync", "credentials", "--confirm-removal", "0000"],
    )?;
    assert_eq!(wrong["totals"]["removed"], 0, "{wrong:#}");
    assert_eq!(stage.versions().await, versions, "nothing was removed");

    // Labels that are set right again end it.
    rewrite(&syncd.setup, "\"renamed\"", "\"yes\"");
    let none = |report: &Value| report["removal"].is_null().then_some(());
    stage.wait_report(&syncd, "no pending removal", none).await?;
    assert_eq!(stage.versions().await, versions);

    // All but one lose the label in the cluster; a person looks at the list and wants it.
    for name in &names[1..] {
        stage.label(name, json!({PRIVATE: null})).await;
    }
    let of_four = |report: &Value| {
        let items = report["removal"]["items"].as_array()?;
        (items.len() == 4).then(|| report["removal"]["id"].as_str().unwrap().to_owned())
    };
    let id = stage
        .wait_report(&syncd, "the pending removal of four", of_four)
        .await?;
    assert_eq!(stage.versions().await, versions);
    let (code, report) = stage.json(&syncd.setup, &["sync", "credentials", "--confirm-removal", &id])?;
    assert_eq!((code, &report["totals"]["removed"]), (0, &json!(4)), "{report:#}");
    assert_eq!(stage.all().await.into_keys().collect::<Vec<_>>(), ["one"]);
    stage.assert_told_no_password(&syncd).await
}
