//! The same image at its own registry and in a mirror: what `mirror.presence` says, and when it
//! decides the verdict.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use syncd::diagnose::{DiagnoseContext, DiagnoseOptions, image};
use syncd::oci::RegistryClient;
use syncd::report::{Cause, CheckStatus, DiagnoseReport};
use syncd::tokens::Tokens;
use syncd_config::Config;
use syncd_config::config::{Destination, EmbeddedRegistry, ImageRule, Mirror, RegistryAuth, Source};
use syncd_providers::Clock;

use crate::image::Image;
use crate::server::{Ask, Reply, Server, answer, refuse};
use crate::{Entry, of_host, registry};

/// A configuration with that mirror, which lists `listed` of the source.
fn config(destination: Destination, source: SocketAddr, listed: &str) -> Config {
    Config {
        credentials: None,
        state_dir: PathBuf::from("unused"),
        listen: "127.0.0.1:1".parse().unwrap(),
        registries: Vec::new(),
        mirror: Some(Mirror {
            schedule: None,
            destination,
            images: vec![ImageRule {
                source: Source::Registry(format!("{source}/{listed}").parse().unwrap()),
                name: None,
            }],
        }),
        registry: Some(EmbeddedRegistry {
            listen: "127.0.0.1:2".parse().unwrap(),
            names: Vec::new(),
            tls: None,
            auth: RegistryAuth::default(),
        }),
    }
}

async fn ask(
    source: SocketAddr,
    config: Config,
    mirror: Option<SocketAddr>,
    store: Option<PathBuf>,
) -> DiagnoseReport {
    let hosts = std::iter::once(source).chain(mirror);
    let entries: Vec<_> = hosts
        .map(|host| {
            let mut entry = of_host(&host.to_string(), &Entry::plain(), &PathBuf::from("unused"));
            entry.name = host.to_string();
            entry
        })
        .collect();
    let clock = Clock::new(|| jiff::Timestamp::UNIX_EPOCH);
    let credentials = Arc::new(Tokens::new(&entries, None, clock.clone()));
    let context = DiagnoseContext {
        config: Some(Arc::new(config)),
        client: RegistryClient::new(&entries, credentials, clock).unwrap(),
        store,
    };
    let options = DiagnoseOptions {
        platform: "linux/amd64".parse().unwrap(),
        ..DiagnoseOptions::default()
    };
    image(&context, &format!("{source}/app:1"), &options).await
}

/// The mirror has what the registry has, under its name there, and answers otherwise as told.
async fn mirrored(
    otherwise: impl Fn(&Ask) -> Option<Reply> + Send + Sync + 'static,
    listed: &str,
) -> DiagnoseReport {
    let source = Server::plain(registry(|_, _| None)).await;
    let stored = format!("/v2/{}/app/", source.address.to_string().replace(':', "_"));
    let held = Image::new(["amd64", "arm64"]);
    let mirror = Server::plain(Arc::new(move |ask: &Ask| {
        if let Some(reply) = otherwise(ask) {
            return reply;
        }
        let Some(rest) = ask.path.strip_prefix(&stored) else {
            return refuse(ask, "404 Not Found", "", "NAME_UNKNOWN", "no such repository");
        };
        held.serve(&Ask {
            method: ask.method.clone(),
            path: format!("/v2/app/{rest}"),
            authorization: None,
        })
    }))
    .await;
    let destination = Destination::Registry {
        host: mirror.address.to_string().parse().unwrap(),
        prefix: None,
    };
    let config = config(destination, source.address, listed);
    ask(source.address, config, Some(mirror.address), None).await
}

#[tokio::test]
async fn a_mirror_is_looked_into() {
    let manifests = |ask: &Ask| ask.path.contains("/manifests/");
    let present = mirrored(|_| None, "app:1").await;
    let missing = mirrored(
        move |ask| {
            manifests(ask).then(|| refuse(ask, "404 Not Found", "", "MANIFEST_UNKNOWN", "manifest unknown"))
        },
        "app:1",
    )
    .await;
    let unlisted = mirrored(
        move |ask| {
            manifests(ask).then(|| refuse(ask, "404 Not Found", "", "MANIFEST_UNKNOWN", "manifest unknown"))
        },
        "app:2",
    )
    .await;
    let damaged = mirrored(
        |ask| {
            ask.path
                .contains("/blobs/")
                .then(|| refuse(ask, "404 Not Found", "", "BLOB_UNKNOWN", "blob unknown"))
        },
        "app:1",
    )
    .await;
    let down = mirrored(
        |ask| Some(answer(ask, "503 Service Unavailable", "", b"")),
        "app:1",
    )
    .await;
    for (report, cause, status, words) in [
        (
            &present,
            Cause::None,
            CheckStatus::Pass,
            "is complete, the same digest",
        ),
        (
            &missing,
            Cause::None,
            CheckStatus::Warn,
            "although `mirror.images` lists it",
        ),
        (&unlisted, Cause::None, CheckStatus::Warn, "does not list it"),
        (&damaged, Cause::MirrorFault, CheckStatus::Fail, "is missing"),
        (&down, Cause::MirrorFault, CheckStatus::Fail, "503"),
    ] {
        let check = report.checks.last().unwrap();
        assert_eq!(
            (check.id.as_str(), check.status),
            ("mirror.presence", status),
            "{report:?}"
        );
        assert_eq!(report.verdict.cause, cause, "{report:?}");
        assert!(check.detail.contains(words), "{words}: {}", check.detail);
    }
}

#[tokio::test]
async fn a_store_that_was_never_made_lacks_the_image() {
    let source = Server::plain(registry(|_, _| None)).await;
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let config = config(Destination::Embedded, source.address, "app:1");
    let report = ask(source.address, config, None, Some(store.clone())).await;
    assert_eq!(report.verdict.cause, Cause::None, "{report:?}");
    assert_eq!(
        report.checks.last().unwrap().status,
        CheckStatus::Warn,
        "{report:?}"
    );
    assert!(!store.exists(), "a diagnosis writes nothing");
}
