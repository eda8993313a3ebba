//! Secrets of others that have the name.

use serde_json::json;
use syncd_integration::Result;
use syncd_integration::process::run;
use syncd_integration::secrets::unique;

use crate::stage::{SECRET, SOON, Stage, bytes, content, row, uid, version};

#[tokio::test]
async fn a_foreign_secret_is_left_alone_until_it_is_handed_over() -> Result<()> {
    let mut stage = Stage::with(&["team-a", "team-b", "team-c"]).await?;
    let theirs = unique("theirs");
    stage.know(&theirs);
    let config = content("theirs.test", &theirs);
    for (namespace, type_, key) in [
        ("team-a", "kubernetes.io/dockerconfigjson", ".dockerconfigjson"),
        ("team-b", "Opaque", "password"),
    ] {
        let secret = json!({"metadata": {"name": SECRET}, "type": type_, "stringData": {key: config}});
        let secret = serde_json::from_value(secret).unwrap();
        let params = kube::api::PostParams::default();
        stage.secrets(namespace).create(&params, &secret).await.unwrap();
    }
    let before = stage.all().await;
    // What is planted is never read: also not when it is no docker config at all.
    let syncd = stage.setup("{names: [\"team-*\"]}")?.start().await?;
    let password = stage.password().to_owned();
    stage.wait_password(&syncd, "team-c", &password, SOON).await?;

    let (code, report) = stage.json(&syncd.setup, &["sync", "credentials"])?;
    assert_ne!(code, 0, "{report:#}");
    for (namespace, kind, hint) in [
        (
            "team-a",
            "foreign",
            "kubectl annotate secret syncd-pull -n team-a syncd.dev/owner=syncd",
        ),
        ("team-b", "wrong_type", "choose another `secret`"),
    ] {
        let row = row(&report, namespace);
        assert_eq!(row["outcome"], "refused", "{report:#}");
        assert_eq!(row["kind"], kind, "{report:#}");
        assert!(row["hint"].as_str().unwrap().contains(hint), "{report:#}");
        let after = stage.secret(namespace).await.unwrap();
        assert_eq!(version(&after), version(&before[namespace]), "untouched");
    }
    let mut describe = stage
        .apiserver
        .kubectl(&["get", "events", "-n", "team-a", "-o", "yaml"])?;
    assert!(run(&mut describe)?.contains("CredentialsRefused"));

    // The way out that it names.
    let hand_over = [
        "annotate",
        "secret",
        SECRET,
        "-n",
        "team-a",
        "syncd.dev/owner=syncd",
    ];
    run(&mut stage.apiserver.kubectl(&hand_over)?)?;
    let adopted = stage.wait_password(&syncd, "team-a", &password, SOON).await?;
    assert_eq!(uid(&adopted), uid(&before["team-a"]));
    run(&mut stage
        .apiserver
        .kubectl(&["delete", "secret", SECRET, "-n", "team-b"])?)?;
    stage.wait_password(&syncd, "team-b", &password, SOON).await?;
    assert!(!bytes(&stage.secret("team-b").await.unwrap()).is_empty());
    stage.assert_told_no_password(&syncd).await
}
