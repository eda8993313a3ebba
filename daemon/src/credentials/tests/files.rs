//! Docker config files as targets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::pass::World;
use super::*;
use crate::credentials::PassOptions;
use crate::report::TargetOutcome::{self, Created, Failed, Refused, Removed, Unchanged, Updated};

fn file_target(path: &Path) -> CredentialTarget {
    CredentialTarget {
        place: TargetPlace::File {
            path: path.to_owned(),
        },
        registries: vec!["a".to_owned()],
    }
}

/// A world whose only target is a file, and that file.
fn world() -> (World, PathBuf) {
    let mut world = World::new();
    let path = world.dir.path().join("docker/config.json");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    world.retarget(vec![file_target(&path)]);
    (world, path)
}

async fn outcome(world: &World) -> (TargetOutcome, Option<String>) {
    let report = world.pass().await;
    assert_eq!(report.incomplete, Vec::<String>::new());
    assert_eq!(report.targets.len(), 1, "{report:?}");
    (report.targets[0].outcome, report.targets[0].kind.clone())
}

fn auths(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read(path).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let auths = config["auths"].as_object().unwrap().iter();
    auths
        .map(|(key, entry)| (key.clone(), entry["auth"].as_str().unwrap().to_owned()))
        .collect()
}

fn only(key: &str, auth: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), auth.to_owned())])
}

/// `bot:one` and `bot:two`.
const ONE: &str = "Ym90Om9uZQ==";
const TWO: &str = "Ym90OnR3bw==";

#[tokio::test]
async fn a_file_is_made_kept_and_changed_when_the_credential_does() {
    let (mut world, path) = world();
    assert_eq!(outcome(&world).await, (Created, None));
    assert_eq!(auths(&path), only("a.example", ONE));
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(outcome(&world).await, (Unchanged, None));
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
    // After a restart its entry is still known as ours.
    world.restart();
    world.password("two");
    assert_eq!(outcome(&world).await, (Updated, None));
    assert_eq!(auths(&path), only("a.example", TWO));
    assert_eq!(world.api.reads(), 0, "no cluster is asked");
}

#[tokio::test]
async fn a_dry_run_makes_no_file() {
    let (world, path) = world();
    let options = PassOptions {
        dry_run: true,
        ..PassOptions::default()
    };
    let report = world.pass_at("10:00:00", options).await;
    assert_eq!(report.targets[0].outcome, Created);
    assert_eq!(report.targets[0].file.as_deref(), Some(path.to_str().unwrap()));
    assert!(!path.exists() && !world.dir.path().join("state").exists());
}

#[tokio::test]
async fn what_others_wrote_stays_and_is_never_taken_for_ours() {
    let (mut world, path) = world();
    let theirs = r#"{"auths":{"a.example":{"auth":"eDp5"},"b.example":{"auth":"eDp5"}}}"#;
    std::fs::write(&path, theirs).unwrap();
    assert_eq!(outcome(&world).await, (Refused, Some("foreign".to_owned())));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), theirs);
    // Also not when the target goes.
    world.retarget(Vec::new());
    assert!(world.pass().await.targets.is_empty());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), theirs);
}

#[tokio::test]
async fn a_target_that_goes_takes_its_entries_with_it() {
    let (mut world, path) = world();
    std::fs::write(
        &path,
        r#"{"auths":{"b.example":{"auth":"eDp5"}},"detachKeys":"ctrl-e"}"#,
    )
    .unwrap();
    assert_eq!(outcome(&world).await, (Updated, None));
    assert_eq!(auths(&path).len(), 2);
    world.retarget(Vec::new());
    world.restart();
    let report = world.pass().await;
    assert_eq!(report.targets[0].outcome, Removed);
    assert_eq!(auths(&path), only("b.example", "eDp5"));
    assert!(std::fs::read_to_string(&path).unwrap().contains("detachKeys"));
    assert!(world.pass().await.targets.is_empty());
}

#[tokio::test]
async fn without_a_credential_an_entry_of_ours_stays() {
    let (mut world, path) = world();
    outcome(&world).await;
    std::fs::remove_file(world.dir.path().join("password")).unwrap();
    std::fs::remove_dir_all(world.dir.path().join("state/tokens")).unwrap();
    world.restart();
    assert_eq!(outcome(&world).await, (Unchanged, None));
    assert_eq!(auths(&path), only("a.example", ONE));
    std::fs::remove_file(world.dir.path().join("state/inventory.json")).unwrap();
    world.restart();
    assert_eq!(outcome(&world).await, (Failed, Some("no_credential".to_owned())));
}

#[tokio::test]
async fn one_of_two_credentials_that_is_lost_is_not_taken_out() {
    let (mut world, path) = world();
    let password = world.dir.path().join("other");
    std::fs::write(&password, "two").unwrap();
    let mut config = (*world.context.config).clone();
    let mut b = config.registries[0].clone();
    b.name = "b".to_owned();
    b.host = "b.example".parse().unwrap();
    b.identity = Some(Identity::Basic {
        username: "bot".to_owned(),
        password_file: password.clone(),
    });
    config.registries.push(b);
    config.credentials.as_mut().unwrap().targets[0]
        .registries
        .push("b".to_owned());
    world.context.config = std::sync::Arc::new(config);
    world.restart();
    assert_eq!(outcome(&world).await, (Created, None));
    std::fs::remove_file(&password).unwrap();
    std::fs::remove_dir_all(world.dir.path().join("state/tokens")).unwrap();
    world.password("two");
    world.restart();
    assert_eq!(outcome(&world).await, (Updated, None));
    let both = BTreeMap::from([("a.example", TWO), ("b.example", TWO)]);
    assert_eq!(
        auths(&path),
        both.into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect()
    );
}

#[tokio::test]
async fn an_entry_that_was_taken_out_is_not_ours_any_more() {
    let (mut world, path) = world();
    let mut config = (*world.context.config).clone();
    let mut b = config.registries[0].clone();
    b.name = "b".to_owned();
    b.host = "b.example".parse().unwrap();
    config.registries.push(b);
    let both = vec!["a".to_owned(), "b".to_owned()];
    config.credentials.as_mut().unwrap().targets[0].registries = both;
    world.context.config = std::sync::Arc::new(config);
    world.restart();
    assert_eq!(outcome(&world).await, (Created, None));
    world.retarget(vec![file_target(&path)]);
    assert_eq!(outcome(&world).await, (Updated, None));
    assert_eq!(auths(&path), only("a.example", ONE));
    // Somebody else logs in there.
    let text = format!(r#"{{"auths":{{"a.example":{{"auth":"{ONE}"}},"b.example":{{"auth":"eDp5"}}}}}}"#);
    std::fs::write(&path, &text).unwrap();
    world.restart();
    assert_eq!(outcome(&world).await, (Unchanged, None));
    world.retarget(Vec::new());
    world.pass().await;
    assert_eq!(auths(&path), only("b.example", "eDp5"));
}

#[tokio::test]
async fn what_cannot_be_used_is_left_and_said() {
    let (world, path) = world();
    std::fs::write(&path, "{\"auths\": [").unwrap();
    assert_eq!(outcome(&world).await, (Refused, Some("malformed".to_owned())));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"auths\": [");
}

#[tokio::test]
async fn a_second_target_for_a_file_is_refused() {
    let (mut world, path) = world();
    world.retarget(vec![file_target(&path), file_target(&path)]);
    let report = world.pass().await;
    let outcomes: Vec<_> = report.targets.iter().map(|target| target.outcome).collect();
    assert_eq!(outcomes, [Created, Refused]);
    assert_eq!(report.targets[1].kind.as_deref(), Some("duplicate"));
}
