//! Whole passes, against an API and a registry that run in this process.

use std::sync::Arc;

use syncd_config::config::Credentials;
use syncd_providers::Clock;

use super::api::Api;
use super::*;
use crate::credentials::{CredentialContext, CredentialState, PassOptions, pass};
use crate::oci::RegistryClient;
use crate::oci::scripted::{Scripted, answer};
use crate::report::{CredentialReport, CredentialResult, TargetOutcome};
use crate::tokens::{LastGoodStore, Tokens};

const KIND: &str = "kubernetes.io/dockerconfigjson";

/// One installation of syncd: its configuration, state folder and password file.
pub(super) struct World {
    pub(super) api: Api,
    pub(super) dir: tempfile::TempDir,
    pub(super) context: CredentialContext,
}

impl World {
    /// One registry `a` without a probe, published to namespaces labelled `private`.
    pub(super) fn new() -> Self {
        Self::with(labelled("private", &["a"]), |_| {})
    }

    pub(super) fn with(target: CredentialTarget, change: impl FnOnce(&mut RegistryEntry)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("password"), "one").unwrap();
        let mut entry = entry("a", false);
        entry.identity = Some(Identity::Basic {
            username: "bot".to_owned(),
            password_file: dir.path().join("password"),
        });
        change(&mut entry);
        let api = Api::default();
        let config = syncd_config::Config {
            state_dir: dir.path().join("state"),
            listen: "127.0.0.1:1".parse().unwrap(),
            registries: vec![entry],
            credentials: Some(Credentials {
                max_age: None,
                schedule: None,
                targets: vec![target],
            }),
            mirror: None,
            registry: None,
        };
        let context = context(&api, Arc::new(config));
        Self { api, dir, context }
    }

    /// The same after a restart: only what is on disk and in the cluster is known.
    pub(super) fn restart(&mut self) {
        self.context = context(&self.api, Arc::clone(&self.context.config));
    }

    pub(super) fn password(&self, password: &str) {
        std::fs::write(self.dir.path().join("password"), password).unwrap();
    }

    pub(super) fn retarget(&mut self, targets: Vec<CredentialTarget>) {
        let mut config = (*self.context.config).clone();
        config.credentials.as_mut().unwrap().targets = targets;
        self.context.config = Arc::new(config);
    }

    pub(super) async fn pass(&self) -> CredentialReport {
        self.pass_at("10:00:00", PassOptions::default()).await
    }

    pub(super) async fn pass_at(&self, clock: &str, options: PassOptions) -> CredentialReport {
        pass(&self.context, options, at(clock)).await
    }
}

fn context(api: &Api, config: Arc<syncd_config::Config>) -> CredentialContext {
    // No two tokens are of the same moment.
    let ticks = std::sync::atomic::AtomicI64::new(0);
    let clock = Clock::new(move || {
        let tick = ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        at("10:00:00") + jiff::SignedDuration::from_millis(tick)
    });
    let tokens = Tokens::new(&config.registries, None, clock.clone());
    let client = RegistryClient::new(&config.registries, Arc::new(tokens.clone()), clock.clone()).unwrap();
    CredentialContext {
        last_good: LastGoodStore::Folder(config.state_dir.join("tokens")),
        config,
        tokens,
        client,
        cluster: Some(Ok(api.cluster())),
        state: CredentialState::new(),
        clock,
        hold: Vec::new(),
    }
}

fn outcomes(report: &CredentialReport) -> Vec<(&str, TargetOutcome)> {
    let of = |target: &'_ crate::report::TargetReport| target.outcome;
    report
        .targets
        .iter()
        .map(|target| (target.namespace.as_deref().unwrap(), of(target)))
        .collect()
}

pub(super) fn password_in(api: &Api, namespace: &str) -> String {
    let content: serde_json::Value = serde_json::from_str(&api.content(namespace).unwrap()).unwrap();
    let auths = content["auths"].as_object().unwrap();
    let entry = auths.values().next();
    entry.map_or_else(String::new, |entry| {
        entry["password"].as_str().unwrap().to_owned()
    })
}

#[tokio::test]
async fn a_pass_publishes_and_the_next_one_writes_nothing() {
    let mut world = World::new();
    for (name, label) in [("team-a", "private"), ("team-b", "private"), ("team-c", "public")] {
        world.api.has_namespace(name, label);
    }
    let report = world.pass().await;
    assert_eq!(report.incomplete, Vec::<String>::new());
    assert_eq!(
        outcomes(&report),
        [
            ("team-a", TargetOutcome::Created),
            ("team-b", TargetOutcome::Created)
        ]
    );
    assert_eq!(report.totals.mints, 1);
    assert_eq!(report.registries[0].result, CredentialResult::Minted);
    assert_eq!(password_in(&world.api, "team-a"), "one");
    assert_eq!(world.api.content("team-a"), world.api.content("team-b"));
    assert_eq!(world.api.secret("team-c"), None);
    let mut events = world.api.events();
    events.sort();
    assert_eq!(
        events,
        [
            "Normal CredentialsCreated Secret team-a",
            "Normal CredentialsCreated Secret team-b"
        ]
    );
    assert_eq!(world.api.writes().len(), 2);
    for restart in [false, true] {
        if restart {
            world.restart();
        }
        world.api.reads();
        let report = world.pass().await;
        assert_eq!(report.totals.unchanged, 2, "{report:?}");
        assert_eq!(report.registries[0].result, CredentialResult::Kept);
        assert_eq!(world.api.writes(), Vec::<String>::new());
        assert_eq!(world.api.events(), Vec::<String>::new());
        assert_eq!(
            world.api.reads(),
            3,
            "the namespaces, the secrets, and those of the type"
        );
    }
}

#[tokio::test]
async fn a_changed_password_reaches_all_in_place() {
    let world = World::new();
    for name in ["team-a", "team-b"] {
        world.api.has_namespace(name, "private");
    }
    world.pass().await;
    let uid = world.api.uid("team-a");
    world.api.events();
    world.password("two");
    let report = world.pass().await;
    assert_eq!(report.totals.updated, 2, "{report:?}");
    assert_eq!(report.targets[0].reason, "a new credential for a.example");
    assert_eq!(password_in(&world.api, "team-b"), "two");
    assert_eq!(world.api.uid("team-a"), uid);
    assert_eq!(world.api.events().len(), 2);
}

#[tokio::test]
async fn what_the_registry_refuses_changes_nothing() {
    let registry = Scripted::start(|asked| match asked.header("authorization") {
        // bot:one
        Some("Basic Ym90Om9uZQ==") => answer(200, &[("content-type", "application/json")], "{}"),
        _ => answer(401, &[("www-authenticate", "Basic realm=\"here\"")], ""),
    })
    .await;
    let host = registry.host.clone();
    let world = World::with(labelled("private", &["a"]), |entry| {
        entry.host = host;
        entry.plain_http = true;
        entry.probe = super::entry("a", true).probe;
    });
    world.api.has_namespace("team-a", "private");
    let report = world.pass().await;
    assert!(report.registries[0].proven, "{report:?}");
    let asked = registry.lines().len();
    assert!(asked > 0);
    world.api.writes();
    world.pass().await;
    assert_eq!(
        registry.lines().len(),
        asked,
        "what was proven is not proven again"
    );
    world.password("wrong");
    let report = world.pass().await;
    let registry = &report.registries[0];
    assert_eq!(registry.result, CredentialResult::Kept);
    assert_eq!(registry.error.as_ref().unwrap().kind, "refused");
    assert!(registry.proven);
    assert_eq!(world.api.writes(), Vec::<String>::new());
    // Also not in a namespace that is made now.
    world.api.has_namespace("team-b", "private");
    world.pass().await;
    assert_eq!(password_in(&world.api, "team-b"), "one");
}

#[tokio::test]
async fn a_changed_password_waits_for_a_registry_that_is_down() {
    let up = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_up = Arc::clone(&up);
    let registry = Scripted::start(move |asked| {
        if !is_up.load(std::sync::atomic::Ordering::Relaxed) {
            return answer(404, &[], "not here");
        }
        match asked.header("authorization") {
            Some(_) => answer(200, &[("content-type", "application/json")], "{}"),
            None => answer(401, &[("www-authenticate", "Basic realm=\"here\"")], ""),
        }
    })
    .await;
    let host = registry.host.clone();
    let world = World::with(labelled("private", &["a"]), |entry| {
        entry.host = host;
        entry.plain_http = true;
        entry.probe = super::entry("a", true).probe;
    });
    world.api.has_namespace("team-a", "private");
    world.pass().await;
    up.store(false, std::sync::atomic::Ordering::Relaxed);
    world.password("two");
    let report = world.pass().await;
    assert_eq!(report.registries[0].error.as_ref().unwrap().kind, "undecided");
    assert_eq!(password_in(&world.api, "team-a"), "one");
    up.store(true, std::sync::atomic::Ordering::Relaxed);
    let report = world.pass().await;
    assert!(report.registries[0].proven && report.registries[0].error.is_none());
    assert_eq!(password_in(&world.api, "team-a"), "two");
}

#[tokio::test]
async fn a_published_password_that_is_refused_gives_way_to_an_unproven_one() {
    // The probe is gone, and only `two` is still taken.
    let two = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let only_two = Arc::clone(&two);
    let registry = Scripted::start(move |asked| {
        let only_two = only_two.load(std::sync::atomic::Ordering::Relaxed);
        match asked.header("authorization") {
            // bot:two
            Some("Basic Ym90OnR3bw==") if asked.uri == "/v2/" => answer(200, &[], "{}"),
            Some("Basic Ym90OnR3bw==") => answer(404, &[], ""),
            Some(_) if !only_two => answer(200, &[("content-type", "application/json")], "{}"),
            _ => answer(401, &[("www-authenticate", "Basic realm=\"here\"")], ""),
        }
    })
    .await;
    let host = registry.host.clone();
    let world = World::with(labelled("private", &["a"]), |entry| {
        entry.host = host;
        entry.plain_http = true;
        entry.probe = super::entry("a", true).probe;
    });
    world.api.has_namespace("team-a", "private");
    world.pass().await;
    world.password("two");
    let report = world.pass().await;
    assert_eq!(
        report.registries[0].error.as_ref().unwrap().kind,
        "undecided",
        "{report:?}"
    );
    assert_eq!(password_in(&world.api, "team-a"), "one");
    two.store(true, std::sync::atomic::Ordering::Relaxed);
    let report = world.pass().await;
    assert_eq!(report.registries[0].result, CredentialResult::Minted);
    assert!(!report.registries[0].proven);
    assert_eq!(password_in(&world.api, "team-a"), "two");
}

/// An issuer whose first token is refused.
struct Issuer(std::sync::atomic::AtomicU64);

impl syncd_providers::TokenProvider for Issuer {
    fn identity(&self) -> String {
        "issuer".to_owned()
    }

    fn mint(
        &self,
        now: Timestamp,
    ) -> futures::future::BoxFuture<'_, Result<syncd_providers::Token, syncd_providers::TokenError>> {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(syncd_providers::Token {
            username: "bot".to_owned(),
            secret: Secret::new(if number == 0 { "bad" } else { "two" }),
            expires: Expiry::Unknown,
            minted_at: now,
        })))
    }

    fn is_current(&self, _: &syncd_providers::Token) -> bool {
        true
    }

    fn rejected(&self, _: &syncd_providers::Token) {}

    fn useful_minimum(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_minted_again_at_once() {
    let registry = Scripted::start(|asked| match asked.header("authorization") {
        // bot:two
        Some("Basic Ym90OnR3bw==") => answer(200, &[("content-type", "application/json")], "{}"),
        _ => answer(401, &[("www-authenticate", "Basic realm=\"here\"")], ""),
    })
    .await;
    let host = registry.host.clone();
    let mut world = World::with(labelled("private", &["a"]), |entry| {
        entry.host = host;
        entry.plain_http = true;
        entry.probe = super::entry("a", true).probe;
    });
    let issuer: Arc<dyn syncd_providers::TokenProvider> = Arc::new(Issuer(0.into()));
    let entry = world.context.config.registries[0].clone();
    world.context.tokens = Tokens::of_providers(vec![(entry, issuer)], None, world.context.clock.clone());
    world.api.has_namespace("team-a", "private");
    let report = world.pass().await;
    assert!(report.registries[0].proven, "{report:?}");
    assert_eq!(password_in(&world.api, "team-a"), "two");
    assert_eq!(report.totals.mints, 2);
}

#[tokio::test]
async fn after_a_restart_without_any_token_new_namespaces_are_served() {
    let mut world = World::new();
    world.api.has_namespace("team-a", "private");
    world.pass().await;
    world.api.writes();
    std::fs::remove_file(world.dir.path().join("password")).unwrap();
    world.restart();
    world.api.has_namespace("team-b", "private");
    let report = world.pass().await;
    assert_eq!(report.registries[0].error.as_ref().unwrap().kind, "misconfigured");
    assert_eq!(report.registries[0].result, CredentialResult::Kept);
    assert_eq!(world.api.writes(), ["POST team-b/secrets"]);
    assert_eq!(password_in(&world.api, "team-b"), "one");
}

#[tokio::test]
async fn a_dry_run_writes_nothing_anywhere() {
    let world = World::new();
    world.api.has_namespace("team-a", "private");
    let options = PassOptions {
        dry_run: true,
        ..PassOptions::default()
    };
    let report = world.pass_at("10:00:00", options).await;
    assert_eq!(outcomes(&report), [("team-a", TargetOutcome::Created)]);
    assert_eq!(world.api.writes(), Vec::<String>::new());
    assert_eq!(world.api.events(), Vec::<String>::new());
    assert!(!world.dir.path().join("state").exists());
    // Nor does it count as done.
    assert_eq!(world.pass().await.totals.created, 1);
}

#[tokio::test]
async fn the_last_good_and_the_inventory_are_kept_before_the_first_secret() {
    let world = World::new();
    world.api.has_namespace("team-a", "private");
    let state = world.dir.path().join("state");
    let found: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&found);
    world.api.on_create(move || {
        let listed = std::fs::read_to_string(state.join("inventory.json")).unwrap_or_default();
        let kept = std::fs::read_dir(state.join("tokens")).map_or(0, Iterator::count);
        seen.lock().unwrap().push(format!("{kept} {listed}"));
    });
    assert_eq!(
        outcomes(&world.pass().await),
        [("team-a", TargetOutcome::Created)]
    );
    let found = found.lock().unwrap().clone();
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("1 {") && found[0].contains("team-a"),
        "{found:?}"
    );
    assert!(!found[0].contains("\"one\""), "{found:?}");
}

#[tokio::test]
async fn one_that_fails_stops_no_other_and_is_told_once() {
    let world = World::new();
    for name in ["team-a", "team-b", "team-c"] {
        world.api.has_namespace(name, "private");
    }
    world.api.plant("team-a", KIND);
    world
        .api
        .fail("POST namespaces/team-b/secrets", 403, "Forbidden", usize::MAX);
    let report = world.pass().await;
    assert_eq!(
        outcomes(&report),
        [
            ("team-a", TargetOutcome::Refused),
            ("team-b", TargetOutcome::Failed),
            ("team-c", TargetOutcome::Created)
        ]
    );
    assert_eq!(report.targets[1].kind.as_deref(), Some("forbidden"));
    assert!(report.targets[1].hint.is_some());
    let mut events = world.api.events();
    events.sort();
    assert_eq!(
        events,
        [
            "Normal CredentialsCreated Secret team-c",
            "Warning CredentialsFailed Namespace team-b",
            "Warning CredentialsRefused Namespace team-a"
        ]
    );
    world.pass().await;
    assert_eq!(world.api.events(), Vec::<String>::new());
    assert_eq!(world.api.content("team-a").as_deref(), Some("theirs"));
    // What became well and bad again is news.
    world.api.heal();
    world.pass().await;
    assert_eq!(world.api.events(), ["Normal CredentialsCreated Secret team-b"]);
}

#[tokio::test]
async fn a_write_that_comes_too_late_is_planned_again_three_times_at_most() {
    let world = World::new();
    for name in ["team-a", "team-b"] {
        world.api.has_namespace(name, "private");
    }
    world.pass().await;
    world.password("two");
    world.api.writes();
    world
        .api
        .fail("PATCH namespaces/team-a/secrets", 409, "Conflict", 2);
    world
        .api
        .fail("PATCH namespaces/team-b/secrets", 409, "Conflict", usize::MAX);
    let report = world.pass().await;
    assert_eq!(
        outcomes(&report),
        [
            ("team-a", TargetOutcome::Updated),
            ("team-b", TargetOutcome::Failed)
        ]
    );
    assert_eq!(report.targets[1].kind.as_deref(), Some("conflict"));
    assert_eq!(password_in(&world.api, "team-a"), "two");
    // A secret that somebody made in between is looked at: here it is not ours.
    world.api.has_namespace("team-c", "private");
    world
        .api
        .fail("POST namespaces/team-c/secrets", 409, "AlreadyExists", 1);
    world.api.heal();
    world.api.plant("team-c", KIND);
    assert_eq!(world.pass().await.targets[2].kind.as_deref(), Some("foreign"));
}

#[tokio::test]
async fn drift_is_undone_and_shared_ownership_is_not_fought() {
    let world = World::new();
    world.api.has_namespace("team-a", "private");
    world.pass().await;
    world.api.writes();
    world.api.edit("team-a");
    let report = world.pass().await;
    assert_eq!(report.targets[0].reason, "it was changed by kubectl-edit");
    assert_eq!(password_in(&world.api, "team-a"), "one");
    assert_eq!(world.api.writes(), ["PATCH team-a/secrets/pull"]);
    assert_eq!(world.pass().await.totals.unchanged, 1);
    assert_eq!(world.api.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn content_that_another_owns_as_well_is_written_once_without_effect() {
    let world = World::new();
    world.api.has_namespace("team-a", "private");
    world.pass().await;
    world.api.writes();
    world.api.events();
    world.api.share("team-a");
    assert_eq!(world.pass().await.totals.unchanged, 1);
    assert_eq!(world.api.writes(), ["PATCH team-a/secrets/pull"]);
    assert_eq!(world.api.events(), Vec::<String>::new());
    assert_eq!(world.pass().await.totals.unchanged, 1);
    assert_eq!(world.api.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_namespace_that_is_made_again_and_again_is_no_contest() {
    let world = World::with(target(&["team-a"], &["a"]), |_| {});
    for _ in 0..6 {
        world.api.has_namespace("team-a", "x");
        assert_eq!(world.pass().await.totals.created, 1);
        world.api.drop_namespace("team-a");
        assert_eq!(world.pass().await.totals.unchanged, 1);
    }
}

#[tokio::test]
async fn a_store_that_could_not_be_read_is_read_later_and_never_older() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tokens");
    let store = LastGoodStore::Folder(folder.clone());
    let kept = [good("a", "old", None, true), good("b", "two", None, true)];
    store.save(&all_good(&kept)).await.unwrap();
    let open = |mode| std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    open(0o777);
    let state = CredentialState::new();
    let (found, problems) = state.good(&store).await;
    assert!(found.is_empty() && problems.len() == 1, "{problems:?}");
    state.publish(all_good(&[good("a", "new", None, true)]));
    open(0o700);
    let (found, problems) = state.good(&store).await;
    assert_eq!(problems, Vec::<String>::new());
    let secrets: Vec<_> = found.values().map(|good| good.secret.expose()).collect();
    assert_eq!(secrets, ["new", "two"]);
}

#[tokio::test]
async fn what_leaves_is_removed_and_emptied_where_that_is_forbidden() {
    let mut world = World::new();
    for name in ["team-a", "team-b", "team-c"] {
        world.api.has_namespace(name, "private");
    }
    world.pass().await;
    world.api.writes();
    world.api.relabel("team-a", "public");
    let report = world.pass().await;
    assert_eq!(report.totals.removed, 1, "{report:?}");
    assert_eq!(world.api.secret("team-a"), None);
    world.api.writes();
    world.api.relabel("team-b", "public");
    world.api.fail("DELETE", 403, "Forbidden", usize::MAX);
    let report = world.pass().await;
    assert_eq!(report.totals.updated, 1, "{report:?}");
    assert_eq!(world.api.content("team-b").as_deref(), Some(r#"{"auths":{}}"#));
    assert_eq!(world.api.writes(), ["PATCH team-b/secrets/pull"]);
    world.restart();
    world.pass().await;
    assert_eq!(world.api.writes(), Vec::<String>::new());
    // Wanted again, it is filled again.
    world.api.relabel("team-b", "private");
    world.pass().await;
    assert_eq!(password_in(&world.api, "team-b"), "one");
}

#[tokio::test]
async fn a_selector_that_selects_nothing_removes_nothing_until_confirmed() {
    let mut world = World::new();
    for name in ["team-a", "team-b"] {
        world.api.has_namespace(name, "private");
    }
    world.pass().await;
    world.api.writes();
    world.retarget(vec![labelled("privat", &["a"])]);
    world.restart();
    let report = world.pass().await;
    let pending = report.removal.unwrap();
    assert_eq!(pending.items, ["team-a/pull", "team-b/pull"]);
    assert_eq!(world.api.writes(), Vec::<String>::new());
    let confirmed = PassOptions {
        confirm_removal: Some(pending.id),
        ..PassOptions::default()
    };
    let report = world.pass_at("10:00:00", confirmed).await;
    assert_eq!((report.totals.removed, report.removal), (2, None));
    assert_eq!(world.api.secret("team-a"), None);
}

#[tokio::test]
async fn without_the_whole_list_nothing_is_removed() {
    let world = World::new();
    for name in ["team-a", "team-b", "team-c"] {
        world.api.has_namespace(name, "private");
    }
    world.pass().await;
    world.api.writes();
    world.api.relabel("team-a", "public");
    world.api.fail("GET namespaces", 500, "InternalError", 1);
    let report = world.pass().await;
    assert_eq!(report.incomplete.len(), 1, "{report:?}");
    assert!(report.targets.is_empty() && report.removal.is_none());
    assert_eq!(world.api.writes(), Vec::<String>::new());
    // Nor when the inventory cannot be read.
    let listed = world.dir.path().join("state/inventory.json");
    let text = std::fs::read(&listed).unwrap();
    std::fs::write(&listed, "{").unwrap();
    let report = world.pass().await;
    assert_eq!(report.incomplete.len(), 1, "{report:?}");
    assert_eq!(world.api.writes(), Vec::<String>::new());
    std::fs::write(&listed, text).unwrap();
    assert_eq!(world.pass().await.totals.removed, 1);
}

#[tokio::test]
async fn literal_names_need_no_list() {
    let world = World::with(target(&["team-a", "team-b"], &["a"]), |_| {});
    world.api.has_namespace("team-a", "x");
    world.api.fail("GET namespaces", 403, "Forbidden", 0);
    let report = world.pass().await;
    assert_eq!(
        outcomes(&report),
        [
            ("team-a", TargetOutcome::Created),
            ("team-b", TargetOutcome::Unchanged)
        ]
    );
    assert_eq!(report.targets[1].reason, "the namespace does not exist yet");
    // Nor when even the one namespace may not be read.
    world
        .api
        .fail("GET namespaces/team-b", 403, "Forbidden", usize::MAX);
    let report = world.pass().await;
    assert_eq!(report.targets[1].outcome, TargetOutcome::Failed);
}

#[tokio::test]
async fn what_is_held_is_not_published_and_no_fault() {
    let mut world = World::new();
    world.api.has_namespace("team-a", "private");
    world.context.hold = vec!["a".to_owned()];
    let report = world.pass().await;
    assert_eq!(report.registries[0].result, CredentialResult::Kept);
    assert_eq!(outcomes(&report), [("team-a", TargetOutcome::Unchanged)]);
    assert_eq!(world.api.writes(), Vec::<String>::new());
    world.context.hold.clear();
    assert_eq!(world.pass().await.totals.created, 1);
}

#[tokio::test]
async fn secrets_of_before_are_said_when_no_target_names_a_cluster() {
    let mut world = World::new();
    world.api.has_namespace("team-a", "private");
    world.pass().await;
    world.retarget(Vec::new());
    world.context.cluster = None;
    let report = world.pass().await;
    assert_eq!(
        report.incomplete,
        [
            "no target names a cluster, and 1 secrets were written to one before: keep one `kubernetes` target until they are removed"
        ]
    );
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_said() {
    let mut world = World::new();
    let error = crate::cluster::ClusterError::new(
        crate::cluster::ClusterErrorKind::NotConfigured,
        crate::cluster::Verb::Connect,
        "the cluster",
        "no kubeconfig",
    );
    world.context.cluster = Some(Err(Arc::new(error)));
    let report = world.pass().await;
    assert_eq!(
        report.incomplete,
        ["failed to connect to the cluster: no kubeconfig"]
    );
    assert_eq!(report.registries[0].result, CredentialResult::Minted);
}
