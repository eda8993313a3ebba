//! What the status listener shows is golden.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use jiff::Timestamp;
use syncd_providers::Clock;
use tokio::sync::watch;
use tower::ServiceExt;

use super::{Counters, Served, ServedCount, View, ViewSources, render, router};
use crate::report::{
    Activation, ConfigProblem, ConfigStatus, CredentialReport, CredentialResult, CredentialTotals,
    ImageOutcome, ImageReport, MirrorReport, MirrorTotals, PendingRemoval, RegistryCredential,
};
use crate::schedule::{Finished, Task, TaskHandle, Timetable, spawn};

struct Nothing;

impl Task for Nothing {
    fn name(&self) -> &'static str {
        "mirror"
    }

    fn run(&self, _why: Activation) -> BoxFuture<'_, Finished> {
        Box::pin(async { Finished::done("2 images: 1 copied, 1 present") })
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn count(method: &'static str, status: &'static str, count: u64) -> ServedCount {
    ServedCount {
        method,
        route: "manifest",
        status,
        count,
    }
}

fn view() -> (View, ViewSources) {
    let config = ConfigStatus {
        file: "/etc/syncd/config.yaml".to_owned(),
        loaded: at("2026-03-10T10:00:00Z"),
        problem: None,
        needs_restart: Vec::new(),
    };
    let served = Served {
        requests: vec![count("GET", "2xx", 7), count("HEAD", "4xx", 2)],
        sent: 4711,
        received: 12,
        connections: 3,
    };
    let counters = Counters {
        served: Arc::new(move || Some(served.clone())),
        mints: Arc::new(|| vec![("harbor-team-a".to_owned(), 3), ("ghcr.io".to_owned(), 1)]),
    };
    View::new(at("2026-03-10T10:00:01Z"), config, counters)
}

fn image(outcome: ImageOutcome) -> ImageReport {
    ImageReport {
        source: "docker.io/library/hello:1".to_owned(),
        destination: "127.0.0.1:5050/docker.io/library/hello:1".to_owned(),
        digest: None,
        outcome,
        verified: None,
        bytes: 10,
        reason: String::new(),
        error: None,
    }
}

fn credential(name: &str, result: CredentialResult) -> RegistryCredential {
    let at = |text| (result != CredentialResult::Failed).then(|| at(text));
    RegistryCredential {
        name: name.to_owned(),
        host: format!("{name}.example"),
        identity: "basic: bot, password in /etc/syncd/bot".to_owned(),
        result,
        minted: at("2026-03-10T10:20:00Z"),
        expires: at("2026-03-10T22:20:00Z"),
        next_refresh: at("2026-03-10T16:20:00Z"),
        proven: result != CredentialResult::Failed,
        proof: "pulled team/app:1.0".to_owned(),
        error: None,
    }
}

fn credentials() -> CredentialReport {
    CredentialReport {
        started: at("2026-03-10T10:20:00Z"),
        registries: vec![
            credential("harbor-team-a", CredentialResult::Minted),
            credential("ghcr.io", CredentialResult::Failed),
        ],
        targets: Vec::new(),
        removal: Some(PendingRemoval {
            id: "9f2c41".to_owned(),
            items: vec!["old/syncd-pull".to_owned(); 5],
            managed: 12,
        }),
        incomplete: vec!["failed to list namespaces".to_owned()],
        totals: CredentialTotals {
            targets: 7,
            created: 1,
            unchanged: 3,
            refused: 1,
            failed: 2,
            mints: 2,
            ..CredentialTotals::default()
        },
    }
}

async fn task() -> TaskHandle {
    let (_table, table) = watch::channel(Timetable::default());
    let (stop, stopping) = watch::channel(false);
    let (handle, _join) = spawn(
        Arc::new(Nothing),
        table,
        Clock::new(|| at("2026-03-10T10:20:00Z")),
        stopping,
    );
    handle.run_now(Activation::Hand).await.unwrap();
    drop(stop);
    handle
}

async fn get(view: &View, method: &str, path: &str) -> (StatusCode, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap();
    let response = router(view.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn metrics_are_golden() {
    let (view, sources) = view();
    sources.tasks.send_replace(vec![task().await]);
    sources.mirror.send_replace(Some(Arc::new(MirrorReport {
        started: at("2026-03-10T10:20:00Z"),
        images: vec![image(ImageOutcome::Copied), image(ImageOutcome::Failed)],
        totals: MirrorTotals {
            bytes: 20,
            ..MirrorTotals::default()
        },
    })));
    sources.credentials.send_replace(Some(Arc::new(credentials())));
    let text = render(&view).unwrap().replace(view.version, "VERSION");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn ready_only_when_everything_holds_and_what_fails_is_named() {
    let (view, sources) = view();
    assert_eq!(
        get(&view, "GET", "/readyz").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    sources.ready.send_modify(|ready| {
        ready.set("configuration", true, "/etc/syncd/config.yaml");
        ready.set("store", false, "held by process 12");
    });
    let (status, text) = get(&view, "GET", "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        text,
        "[+] configuration: /etc/syncd/config.yaml\n[-] store: held by process 12\nnot ready\n"
    );
    sources
        .ready
        .send_modify(|ready| ready.set("store", true, "/var/lib/syncd"));
    assert_eq!(
        get(&view, "GET", "/readyz").await,
        (StatusCode::OK, "ready\n".to_owned())
    );
    let (_, text) = get(&view, "GET", "/readyz?verbose").await;
    assert_eq!(
        text,
        "[+] configuration: /etc/syncd/config.yaml\n[+] store: /var/lib/syncd\nready\n"
    );
}

#[tokio::test]
async fn reading_only() {
    let (view, _sources) = view();
    for path in ["/", "/livez", "/metrics", "/api/v1/report"] {
        assert_eq!(get(&view, "GET", path).await.0, StatusCode::OK, "{path}");
        assert_eq!(
            get(&view, "HEAD", path).await,
            (StatusCode::OK, String::new()),
            "{path}"
        );
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let (status, _) = get(&view, method, path).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        }
    }
    assert_eq!(
        get(&view, "GET", "/v1/sync/mirror").await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_report_is_golden() {
    let (view, sources) = view();
    sources.tasks.send_replace(vec![task().await]);
    sources.mirror.send_replace(Some(Arc::new(MirrorReport {
        started: at("2026-03-10T10:20:00Z"),
        images: vec![image(ImageOutcome::Copied)],
        totals: MirrorTotals::default(),
    })));
    sources.credentials.send_replace(Some(Arc::new(credentials())));
    sources.config.send_modify(|config| {
        config.problem = Some(ConfigProblem {
            since: at("2026-03-10T10:30:00Z"),
            message: "config.yaml:3:1: unknown key".to_owned(),
        });
    });
    let (_, text) = get(&view, "GET", "/api/v1/report").await;
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["pid"] = 1.into();
    value["version"] = "VERSION".into();
    value["tasks"][0]["last"]["millis"] = 0.into();
    insta::assert_json_snapshot!(value);
}
