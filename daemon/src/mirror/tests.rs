//! Whole passes between registries that run in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;

use syncd_config::config::{
    AnonymousPull, EmbeddedRegistry, Identity, ImageRule, MirrorName, RegistryAuth, RegistryEntry,
};
use syncd_config::digest::Digest;
use syncd_config::reference::Target;

use super::*;
use crate::images::progress::Silent;
use crate::images::samples;
use crate::oci::scripted::entry;
use crate::oci::store::{ImageSource as _, Manifest};
use crate::registry::{Registry, serve};
use crate::report::Verified;
use crate::tokens::Tokens;

const SECRET: &str = "correct-horse-mirror-tests";
const A: &[u8] = &[b'a'; 70_000];
const B: &[u8] = &[b'b'; 3_000];

fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

fn tag(name: &str) -> Target {
    Target::Tag(name.parse().unwrap())
}

fn now() -> Timestamp {
    "2026-05-01T10:00:00Z".parse().unwrap()
}

/// A registry on a loopback port, over a store that the test can reach into.
struct Server {
    host: RegistryHost,
    address: SocketAddr,
    store: Layout,
    registry: Arc<Registry>,
    _dir: tempfile::TempDir,
}

impl Server {
    async fn start(dir: tempfile::TempDir, auth: RegistryAuth) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let store = Layout::own(&dir.path().join("store")).unwrap();
        let config = embedded(address, auth);
        let registry = Arc::new(Registry::new(&config, store.clone()).unwrap());
        tokio::spawn(serve(listener, Arc::clone(&registry), std::future::pending()));
        Self {
            host: address.to_string().parse().unwrap(),
            address,
            store,
            registry,
            _dir: dir,
        }
    }

    /// Answered requests as `METHOD route`, with how many of them.
    fn count(&self, method: &str, route: &str) -> u64 {
        let rows = self.registry.metrics().requests();
        let rows = rows
            .iter()
            .filter(|row| row.method == method && row.route == route);
        rows.map(|row| row.count).sum()
    }

    fn total(&self) -> u64 {
        self.registry
            .metrics()
            .requests()
            .iter()
            .map(|row| row.count)
            .sum()
    }
}

fn embedded(listen: SocketAddr, auth: RegistryAuth) -> EmbeddedRegistry {
    EmbeddedRegistry {
        listen,
        names: Vec::new(),
        tls: None,
        auth,
    }
}

/// A source that everyone may read, a destination that `bot` may write to, and a folder for state.
struct World {
    source: Server,
    mirror: Server,
    state: tempfile::TempDir,
    rules: Vec<ImageRule>,
    to_registry: bool,
    credential_at_source: bool,
}

impl World {
    async fn new(to_registry: bool) -> Self {
        let open = RegistryAuth {
            anonymous_pull: AnonymousPull::All,
            ..RegistryAuth::default()
        };
        let source = Server::start(tempfile::tempdir().unwrap(), open).await;
        let dir = tempfile::tempdir().unwrap();
        let htpasswd = dir.path().join("htpasswd");
        std::fs::write(&htpasswd, format!("bot:{}\n", bcrypt::hash(SECRET, 4).unwrap())).unwrap();
        let closed = RegistryAuth {
            htpasswd_file: Some(htpasswd),
            anonymous_pull: AnonymousPull::None,
            push: vec!["bot".to_owned()],
        };
        let mirror = Server::start(dir, closed).await;
        Self {
            source,
            mirror,
            state: tempfile::tempdir().unwrap(),
            rules: Vec::new(),
            to_registry,
            credential_at_source: false,
        }
    }

    /// Has `lib/<name>:1` mirrored, an index of two platforms that all share one layer.
    async fn add(&mut self, name: &str) -> Manifest {
        let manifest = self.put(name, "1", name.as_bytes()).await;
        self.rule(&format!("lib/{name}:1"));
        manifest
    }

    async fn put(&self, name: &str, tag: &str, own: &[u8]) -> Manifest {
        let repository = repository(&format!("lib/{name}"));
        samples::index(&self.source.store, &repository, tag, &[A, own], &[A, B]).await
    }

    fn rule(&mut self, rest: &str) {
        let reference = format!("{}/{rest}", self.source.host).parse().unwrap();
        self.rules.push(ImageRule {
            source: Source::Registry(reference),
            name: None,
        });
    }

    fn registries(&self) -> Vec<RegistryEntry> {
        let password = self.state.path().join("password");
        std::fs::write(&password, SECRET).unwrap();
        let bot = Identity::Basic {
            username: "bot".to_owned(),
            password_file: password,
        };
        let mut source = entry(&self.source.host);
        source.identity = self.credential_at_source.then(|| bot.clone());
        let mut mirror = entry(&self.mirror.host);
        mirror.identity = Some(bot);
        vec![source, mirror]
    }

    fn context(&self) -> MirrorContext {
        let registries = self.registries();
        let clock = Clock::new(now);
        let credentials = Arc::new(Tokens::new(&registries, None, clock.clone()));
        let client = RegistryClient::new(&registries, credentials, clock.clone()).unwrap();
        let destination = if self.to_registry {
            Destination::Registry {
                host: self.mirror.host.clone(),
                prefix: Some(repository("m")),
            }
        } else {
            Destination::Embedded
        };
        let config = Config {
            credentials: None,
            state_dir: self.state.path().to_owned(),
            listen: self.mirror.address,
            registries,
            mirror: Some(Mirror {
                schedule: None,
                destination,
                images: self.rules.clone(),
            }),
            registry: Some(embedded(self.mirror.address, RegistryAuth::default())),
        };
        MirrorContext {
            config: Arc::new(config),
            client: client.without_retries(),
            store: (!self.to_registry).then(|| self.mirror.store.clone()),
            receipts: Receipts::new(self.state.path()),
            clock,
        }
    }

    async fn pass_at(&self, now: Timestamp, options: PassOptions) -> MirrorReport {
        pass(&self.context(), options, Arc::new(Silent), now).await
    }

    async fn pass(&self) -> MirrorReport {
        self.pass_at(now(), PassOptions::default()).await
    }

    /// Where `lib/<name>` is at the destination.
    fn mirrored(&self, name: &str) -> Repository {
        let prefix = if self.to_registry { "m/" } else { "" };
        let host = self.source.host.as_str().replace(':', "_");
        repository(&format!("{prefix}{host}/lib/{name}"))
    }

    async fn at_mirror(&self, name: &str, target: &Target) -> Option<Digest> {
        let head = self
            .mirror
            .store
            .head(&self.mirrored(name), target)
            .await
            .unwrap();
        head.map(|head| head.digest)
    }
}

fn outcomes(report: &MirrorReport) -> Vec<(ImageOutcome, Option<Verified>)> {
    report.images.iter().map(|i| (i.outcome, i.verified)).collect()
}

#[tokio::test]
async fn one_bad_image_among_three_stops_none() {
    for to_registry in [true, false] {
        let mut world = World::new(to_registry).await;
        let first = world.add("a").await;
        world.rule("lib/absent:1");
        world.add("b").await;
        let report = world.pass().await;
        let copied = (ImageOutcome::Copied, Some(Verified::Touched));
        assert_eq!(
            outcomes(&report),
            [copied, (ImageOutcome::Failed, None), copied],
            "{report:#?}"
        );
        let error = report.images[1].error.as_ref().unwrap();
        assert_eq!(
            (error.kind.as_str(), error.path.as_str()),
            ("manifest_unknown", "1")
        );
        let totals = &report.totals;
        assert_eq!(
            (totals.images, totals.copied, totals.failed, totals.present),
            (3, 2, 1, 0)
        );
        assert_eq!(world.at_mirror("a", &tag("1")).await, Some(first.digest.clone()));
        let got = world
            .mirror
            .store
            .manifest(&world.mirrored("a"), &tag("1"))
            .await
            .unwrap();
        assert_eq!(got, first);
        assert_eq!(
            report.images[0].digest.as_deref(),
            Some(first.digest.to_string().as_str())
        );
        // Four blobs of their own (a layer, and the configs shared), the others once for both.
        assert_eq!(world.source.count("GET", "blob"), 2 + 2 + 2);
    }
}

#[tokio::test]
async fn nothing_changed_costs_one_head_a_side() {
    let mut world = World::new(true).await;
    for name in ["a", "b", "c"] {
        world.add(name).await;
    }
    // One context for both, as the daemon has it: logged in since the first pass.
    let ctx = world.context();
    let run = || pass(&ctx, PassOptions::default(), Arc::new(Silent), now());
    run().await;
    let (source, mirror) = (world.source.total(), world.mirror.total());
    let report = run().await;
    assert_eq!(
        outcomes(&report),
        [(ImageOutcome::Present, Some(Verified::Receipt)); 3]
    );
    assert_eq!(
        (world.source.total() - source, world.mirror.total() - mirror),
        (3, 3)
    );
    let requests = &report.totals.requests;
    assert_eq!(
        (requests.source, requests.destination, report.totals.bytes),
        (3, 3, 0)
    );
}

#[tokio::test]
async fn a_pin_with_a_receipt_costs_nothing_at_the_source() {
    let mut world = World::new(true).await;
    let digest = world.put("a", "1", b"own").await.digest;
    world.rule(&format!("lib/a@{digest}"));
    world.rule(&format!("lib/a:1@{digest}"));
    let report = world.pass().await;
    assert_eq!(report.totals.copied, 2, "{report:#?}");
    let hex = &digest.hex()[..12];
    assert_eq!(
        world.at_mirror("a", &tag(&format!("syncd-sha256-{hex}"))).await,
        Some(digest.clone())
    );
    assert_eq!(world.at_mirror("a", &tag("1")).await, Some(digest));
    let source = world.source.total();
    let report = world.pass().await;
    assert_eq!((report.totals.present, world.source.total() - source), (2, 0));
}

#[tokio::test]
async fn a_tag_that_left_its_pin_is_reported_and_the_pin_followed() {
    let mut world = World::new(true).await;
    let digest = world.put("a", "1", b"old").await.digest;
    let moved = world.put("a", "1", b"new").await.digest;
    world.rule(&format!("lib/a:1@{digest}"));
    let report = world.pass().await;
    assert_eq!(report.totals.copied, 1);
    assert!(
        report.images[0].reason.contains(&moved.to_string()),
        "{}",
        report.images[0].reason
    );
    assert_eq!(world.at_mirror("a", &tag("1")).await, Some(digest));
}

#[tokio::test]
async fn an_aged_receipt_means_touching_without_reading_manifests() {
    let mut world = World::new(true).await;
    world.add("a").await;
    world.pass().await;
    let manifests = world.mirror.count("GET", "manifest");
    let blobs = world.mirror.count("GET", "blob");
    let later = now() + jiff::SignedDuration::from_hours(25);
    let report = world.pass_at(later, PassOptions::default()).await;
    assert_eq!(
        outcomes(&report),
        [(ImageOutcome::Present, Some(Verified::Touched))]
    );
    assert_eq!(world.mirror.count("GET", "manifest"), manifests);
    assert_eq!(
        world.mirror.count("GET", "blob") - blobs,
        5,
        "each blob by its last byte"
    );
    // Without any receipt the mirror's own manifests tell what to touch.
    std::fs::remove_dir_all(world.state.path().join("receipts")).unwrap();
    let report = world.pass().await;
    assert_eq!(
        outcomes(&report),
        [(ImageOutcome::Present, Some(Verified::Touched))]
    );
    assert_eq!(world.mirror.count("GET", "manifest") - manifests, 3);
}

/// Moves the tag at the source once the pass has resolved it.
struct MovesTheTag {
    store: Layout,
    to: Mutex<Option<Manifest>>,
}

impl Progress for MovesTheTag {
    fn image_started(&self, _: usize, _: &str, _: &str) {
        if let Some(manifest) = self.to.lock().unwrap().take() {
            let tag = "1".parse().unwrap();
            self.store
                .set_tag(&repository("lib/a"), &tag, &manifest.digest)
                .unwrap();
        }
    }
}

#[tokio::test]
async fn a_tag_that_moves_during_the_copy_changes_nothing_in_it() {
    let mut world = World::new(true).await;
    let new = world.put("a", "2", b"new").await;
    let old = world.add("a").await;
    let progress = MovesTheTag {
        store: world.source.store.clone(),
        to: Mutex::new(Some(new.clone())),
    };
    let report = pass(
        &world.context(),
        PassOptions::default(),
        Arc::new(progress),
        now(),
    )
    .await;
    assert_eq!(report.totals.copied, 1);
    assert_eq!(world.at_mirror("a", &tag("1")).await, Some(old.digest.clone()));
    assert_eq!(
        world.at_mirror("a", &Target::Digest(new.digest.clone())).await,
        None
    );
    let report = world.pass().await;
    assert_eq!(report.totals.copied, 1);
    assert!(report.images[0].reason.contains(&old.digest.to_string()));
    assert_eq!(world.at_mirror("a", &tag("1")).await, Some(new.digest));
}

fn shared_blob(world: &World, content: &[u8]) -> PathBuf {
    fn find(dir: &std::path::Path, hex: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                find(&entry.path(), hex, found);
            } else if entry.file_name().to_str() == Some(hex) {
                found.push(entry.path());
            }
        }
    }
    let mut found = Vec::new();
    find(
        world.mirror._dir.path(),
        Digest::sha256(content).hex(),
        &mut found,
    );
    found.remove(0)
}

#[tokio::test]
async fn damage_in_the_store_is_found_and_healed_by_the_next_pass() {
    let mut world = World::new(false).await;
    world.add("a").await;
    world.pass().await;
    let before = world.source.total();
    let report = world.pass().await;
    assert_eq!(
        outcomes(&report),
        [(ImageOutcome::Present, Some(Verified::Touched))]
    );
    assert_eq!(
        (world.source.total() - before, report.totals.requests.destination),
        (1, 0)
    );
    // One inode has several names: all of them are cut.
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(shared_blob(&world, A))
        .unwrap();
    file.set_len(100).unwrap();
    let report = world.pass().await;
    assert_eq!(
        outcomes(&report),
        [(ImageOutcome::Copied, Some(Verified::Touched))]
    );
    assert!(
        report.images[0].reason.contains("layer 1 is damaged"),
        "{}",
        report.images[0].reason
    );
    assert!(report.images[0].bytes > A.len() as u64);
    // A flipped bit keeps the size: only a full check finds it.
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(shared_blob(&world, A))
        .unwrap();
    file.write_all_at(b"x", 10).unwrap();
    assert_eq!(world.pass().await.totals.present, 1);
    let full = PassOptions {
        verify: Verify::Full,
        ..PassOptions::default()
    };
    let report = world.pass_at(now(), full).await;
    assert_eq!(
        outcomes(&report),
        [(ImageOutcome::Copied, Some(Verified::Hashed))],
        "{report:#?}"
    );
    let report = world.pass_at(now(), full).await;
    assert_eq!(
        outcomes(&report),
        [(ImageOutcome::Present, Some(Verified::Hashed))]
    );
}

#[tokio::test]
async fn a_repository_is_public_only_when_nothing_in_it_needed_a_credential() {
    let mut world = World::new(false).await;
    world.add("a").await;
    world.pass().await;
    assert!(world.mirror.store.is_public(&world.mirrored("a")));
    world.credential_at_source = true;
    world.pass().await;
    assert!(
        !world.mirror.store.is_public(&world.mirrored("a")),
        "also when nothing was copied"
    );
}

/// Notes whether the repository was public when its content was about to come.
struct LooksAtTheDoor {
    store: Layout,
    repository: Repository,
    open: Mutex<Vec<bool>>,
}

impl Progress for LooksAtTheDoor {
    fn image_sized(&self, _: usize, _: u64) {
        self.open
            .lock()
            .unwrap()
            .push(self.store.is_public(&self.repository));
    }
}

#[tokio::test]
async fn a_repository_is_closed_before_private_content_comes() {
    let mut world = World::new(false).await;
    world.add("a").await;
    world.pass().await;
    world.put("a", "1", b"private by now").await;
    world.credential_at_source = true;
    let progress = Arc::new(LooksAtTheDoor {
        store: world.mirror.store.clone(),
        repository: world.mirrored("a"),
        open: Mutex::default(),
    });
    let told = Arc::clone(&progress);
    let report = pass(&world.context(), PassOptions::default(), told, now()).await;
    assert_eq!(report.totals.copied, 1);
    assert_eq!(*progress.open.lock().unwrap(), [false]);
}

#[tokio::test]
async fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let mut world = World::new(false).await;
    world.add("a").await;
    world.rule("lib/absent:1");
    let dry = PassOptions {
        dry_run: true,
        ..PassOptions::default()
    };
    let report = world.pass_at(now(), dry).await;
    assert_eq!(
        outcomes(&report),
        [(ImageOutcome::Skipped, None), (ImageOutcome::Failed, None)]
    );
    assert_eq!(report.images[0].reason, "dry run; not in the mirror yet");
    assert_eq!(world.at_mirror("a", &tag("1")).await, None);
    assert_eq!(
        world.source.count("GET", "manifest") + world.source.count("GET", "blob"),
        0
    );
}

#[tokio::test]
async fn folders_are_sources_and_two_rules_never_write_one_name() {
    let mut world = World::new(false).await;
    let manifest = world.put("a", "1", b"own").await;
    world.source.store.flush_index().unwrap();
    let path = world.source._dir.path().join("store/repositories/lib/a/_layout");
    let folder = |name, pick: Option<&str>| ImageRule {
        source: Source::OciLayout {
            path: path.clone(),
            pick: pick.map(|p| p.parse().unwrap()),
        },
        name,
    };
    let literal = |name: &str| Some(MirrorName::Literal(repository(name), "1".parse().unwrap()));
    let like = MirrorName::Like("docker.io/library/hello:1".parse().unwrap());
    world.rules = vec![
        folder(Some(like), Some("1")),
        folder(literal("hello"), Some(&manifest.digest.to_string())),
        folder(literal("hello"), Some("1")),
        folder(literal("other"), Some("2")),
        folder(None, Some("1")),
    ];
    let report = world.pass().await;
    let kinds: Vec<_> = report
        .images
        .iter()
        .map(|i| i.error.as_ref().map(|e| e.kind.as_str()))
        .collect();
    let expected = [
        None,
        None,
        Some("conflict"),
        Some("manifest_unknown"),
        Some("mapping_name"),
    ];
    assert_eq!(kinds, expected, "{report:#?}");
    for name in ["docker.io/library/hello", "hello"] {
        let head = world
            .mirror
            .store
            .head(&repository(name), &tag("1"))
            .await
            .unwrap();
        assert_eq!(head.map(|h| h.digest), Some(manifest.digest.clone()));
    }
    assert_eq!(
        report.images[1].destination,
        format!("{}/hello:1", world.mirror.address)
    );
    assert_eq!(report.totals.requests, Requests::default());
}

#[tokio::test]
async fn a_registry_is_a_source_and_a_sink_like_any_other() {
    let world = World::new(true).await;
    let client = world.context().client;
    let remote = Remote::destination(client, world.mirror.host.clone());
    let (one, other) = (repository("team/app"), repository("other"));
    crate::oci::conformance::sink_conformance(&remote, &one, &other)
        .await
        .unwrap();
}

#[tokio::test]
async fn copying_within_one_registry_needs_no_second_connection_to_hold() {
    let mut world = World::new(true).await;
    world.add("a").await;
    world.pass().await;
    let from = world.mirrored("a");
    let reference = format!("{}/{from}:1", world.mirror.host).parse().unwrap();
    world.rules = vec![ImageRule {
        source: Source::Registry(reference),
        name: Some(MirrorName::Literal(repository("again"), "1".parse().unwrap())),
    }];
    let mut ctx = world.context();
    let mut registries = ctx.config.registries.clone();
    registries[1].limits.connections = 1;
    let credentials = Arc::new(Tokens::new(&registries, None, ctx.clock.clone()));
    ctx.client = RegistryClient::new(&registries, credentials, ctx.clock.clone()).unwrap();
    let report = pass(&ctx, PassOptions::default(), Arc::new(Silent), now()).await;
    assert_eq!(report.totals.copied, 1, "{report:#?}");
    let mounted = world
        .mirror
        .store
        .head(&repository("m/again"), &tag("1"))
        .await
        .unwrap();
    assert!(mounted.is_some());
}

#[tokio::test]
async fn a_refused_login_fails_by_its_own_kind() {
    let mut world = World::new(true).await;
    world.add("a").await;
    let ctx = world.context();
    std::fs::write(world.state.path().join("password"), "wrong").unwrap();
    let report = pass(&ctx, PassOptions::default(), Arc::new(Silent), now()).await;
    let error = report.images[0].error.as_ref().unwrap();
    assert_eq!(error.kind, "credentials_rejected", "{error:?}");
    assert!(error.hint.is_some() && !error.message.contains("wrong"));
}
