use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{Request as HttpRequest, Response};
use http_body_util::Full;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::{BoxError, service_fn};

use super::*;

/// An API that answers one request after the other, and repeats its last answer for ever.
struct Api {
    answers: Vec<(u16, Vec<Value>)>,
    asked: Mutex<Vec<String>>,
    at: AtomicUsize,
}

impl Api {
    fn cluster(answers: Vec<(u16, Vec<Value>)>) -> (Cluster, Arc<Self>) {
        let api = Arc::new(Self {
            answers,
            asked: Mutex::new(Vec::new()),
            at: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&api);
        let service = service_fn(move |request: HttpRequest<Body>| {
            let (status, lines) = shared.answer(&request);
            let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            async move {
                let mut answer = Response::new(Full::new(bytes::Bytes::from(text)));
                *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
                Ok::<_, BoxError>(answer)
            }
        });
        (Cluster::of_client(Client::new(service, "default"), "syncd"), api)
    }

    fn answer(&self, request: &HttpRequest<Body>) -> (u16, Vec<Value>) {
        self.asked.lock().unwrap().push(request.uri().to_string());
        let at = self.at.fetch_add(1, Ordering::Relaxed);
        self.answers[at.min(self.answers.len() - 1)].clone()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn item(name: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "uid": format!("uid-{name}"), "resourceVersion": version}})
}

fn page(names: &[&str], version: &str, more: Option<&str>) -> (u16, Vec<Value>) {
    let items = names.iter().map(|name| item(name, version)).collect::<Vec<_>>();
    let list = json!({"metadata": {"resourceVersion": version, "continue": more}, "items": items});
    (200, vec![list])
}

fn events(events: &[(&str, Value)]) -> (u16, Vec<Value>) {
    let lines = events
        .iter()
        .map(|(kind, object)| json!({"type": kind, "object": object}));
    (200, lines.collect())
}

fn status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "code": code, "reason": reason, "message": format!("as the API says: {reason}")})
}

fn names(event: Result<WatchEvent<NamespaceMeta>, ClusterError>) -> String {
    let of = |item: &NamespaceMeta| item.name.clone();
    match event {
        Ok(WatchEvent::Synced(items)) => {
            format!("synced {}", items.iter().map(of).collect::<Vec<_>>().join(","))
        }
        Ok(WatchEvent::Applied(item)) => format!("applied {}", of(&item)),
        Ok(WatchEvent::Deleted(item)) => format!("deleted {}", of(&item)),
        Err(error) => format!("error {}", error.kind.as_str()),
    }
}

async fn first(cluster: &Cluster, count: usize) -> Vec<String> {
    let told = cluster
        .watch_namespaces()
        .take(count)
        .map(names)
        .collect::<Vec<_>>();
    timeout(Duration::from_secs(3600), told).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_list_of_pages_then_what_happens() {
    let (cluster, api) = Api::cluster(vec![
        page(&["a", "b"], "5", Some("more")),
        page(&["c"], "5", None),
        events(&[
            ("ADDED", item("d", "6")),
            (
                "BOOKMARK",
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"resourceVersion": "9"}}),
            ),
            ("DELETED", item("a", "10")),
        ]),
        events(&[("MODIFIED", item("b", "12"))]),
        events(&[]),
    ]);
    assert_eq!(
        first(&cluster, 4).await,
        ["synced a,b,c", "applied d", "deleted a", "applied b"]
    );
    let asked = api.asked();
    assert!(
        asked[0].contains("limit=500") && !asked[0].contains("watch"),
        "{asked:?}"
    );
    assert!(asked[1].contains("continue=more"), "{asked:?}");
    for (request, version) in [(2, "5"), (3, "10")] {
        let wanted = format!("resourceVersion={version}");
        assert!(asked[request].contains(&wanted), "{asked:?}");
        assert!(
            asked[request].contains("watch=true&timeoutSeconds=200"),
            "{asked:?}"
        );
        assert!(asked[request].contains("allowWatchBookmarks=true"), "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_grew_old_between_pages_is_begun_again_but_not_for_ever() {
    let old = (410, vec![status(410, "Expired")]);
    let (cluster, api) = Api::cluster(vec![
        page(&["a"], "5", Some("more")),
        old.clone(),
        page(&["a"], "7", None),
    ]);
    let listed = cluster.namespaces().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(!api.asked()[2].contains("continue"), "{:?}", api.asked());

    let (cluster, api) = Api::cluster(vec![old]);
    let error = cluster.namespaces().await.unwrap_err();
    assert_eq!((error.kind, api.asked().len()), (ClusterErrorKind::Gone, 4));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_is_listed_again() {
    for gone in [
        (410, vec![status(410, "Expired")]),
        events(&[("ERROR", status(410, "Expired"))]),
    ] {
        let (cluster, _) = Api::cluster(vec![
            page(&["a"], "5", None),
            gone,
            page(&["a", "b"], "9", None),
            events(&[("MODIFIED", item("b", "12"))]),
            events(&[]),
        ]);
        assert_eq!(
            first(&cluster, 4).await,
            ["synced a", "error gone", "synced a,b", "applied b"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_and_outlived_with_growing_pauses() {
    let (cluster, api) = Api::cluster(vec![
        page(&["a"], "5", None),
        (503, vec![json!("a proxy's words")]),
        (403, vec![status(403, "Forbidden")]),
        events(&[("MODIFIED", item("a", "12"))]),
        events(&[]),
    ]);
    assert_eq!(
        first(&cluster, 4).await,
        ["synced a", "error unreachable", "error forbidden", "applied a"]
    );
    assert!(api.asked()[3].contains("watch=true"), "goes on where it was");

    let (cluster, api) = Api::cluster(vec![page(&["a"], "5", None), (500, vec![json!("broken")])]);
    let before = Instant::now();
    let told = first(&cluster, 21).await;
    assert!(told[1..].iter().all(|told| told == "error other"), "{told:?}");
    let asked = api.asked();
    assert!(
        asked[5].contains("watch=true") && !asked[6].contains("watch=true"),
        "{asked:?}"
    );
    let took = before.elapsed();
    assert!(
        took > Duration::from_secs(150) && took < Duration::from_secs(450),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_at_once_is_not_asked_for_at_once() {
    let (cluster, api) = Api::cluster(vec![page(&["a"], "5", None), events(&[])]);
    let mut watch = cluster.watch_namespaces();
    assert_eq!(names(watch.next().await.unwrap()), "synced a");
    let silent = timeout(Duration::from_secs(60), watch.next()).await;
    assert!(silent.is_err());
    let asked = api.asked().len();
    assert!((30..=62).contains(&asked), "{asked} requests in a minute");
}

#[test]
fn pauses_double_up_to_half_a_minute() {
    let of = |failures, random| pause(failures, random).as_millis();
    assert_eq!(
        [of(1, 0.0), of(1, 1.0), of(2, 1.0), of(4, 0.5)],
        [100, 200, 400, 1200]
    );
    assert_eq!(
        [of(9, 1.0), of(1000, 1.0), of(u32::MAX, 0.0)],
        [30_000, 30_000, 15_000]
    );
}

fn secret(namespace: &str, uid: &str) -> SecretMeta {
    let item = json!({"metadata": {"namespace": namespace, "name": "pull", "uid": uid}});
    meta::secret(serde_json::from_value(item).unwrap(), true)
}

fn told(events: &[Event]) -> Vec<String> {
    let all = events.iter().map(|event| match event {
        Ok(WatchEvent::Synced(secrets)) => {
            let uids = secrets.iter().map(|secret| secret.uid.as_str());
            format!("synced {}", uids.collect::<Vec<_>>().join(","))
        }
        Ok(WatchEvent::Applied(secret)) => format!("applied {}", secret.uid),
        Ok(WatchEvent::Deleted(secret)) => format!("deleted {}", secret.uid),
        Err(error) => format!("error {}", error.kind.as_str()),
    });
    all.collect()
}

#[test]
fn parts_are_told_as_one_once_each_was_heard() {
    let mut union = Union::of(3);
    let synced = |secrets: &[SecretMeta]| Ok(WatchEvent::Synced(secrets.to_vec()));
    let forbidden = || {
        Err(ClusterError::new(
            ClusterErrorKind::Forbidden,
            Verb::List,
            "x",
            "",
        ))
    };
    let (a, b, c) = (secret("a", "1"), secret("b", "2"), secret("c", "3"));

    assert_eq!(
        told(&union.join(0, synced(std::slice::from_ref(&a)))),
        Vec::<String>::new()
    );
    assert_eq!(
        told(&union.join(0, Ok(WatchEvent::Applied(b.clone())))),
        Vec::<String>::new()
    );
    assert_eq!(told(&union.join(1, forbidden())), ["error forbidden"]);
    assert_eq!(
        told(&union.join(2, synced(std::slice::from_ref(&c)))),
        ["synced 1,2,3"]
    );
    // From here on each event is told; a part's failure takes nothing away.
    assert_eq!(told(&union.join(0, Ok(WatchEvent::Deleted(a)))), ["deleted 1"]);
    assert_eq!(told(&union.join(2, forbidden())), ["error forbidden"]);
    assert_eq!(told(&union.join(1, synced(&[]))), ["synced 2,3"]);
    assert_eq!(told(&union.join(2, Ok(WatchEvent::Applied(c)))), ["applied 3"]);

    let mut union = Union::of(2);
    assert_eq!(told(&union.join(0, synced(&[b]))), Vec::<String>::new());
    assert_eq!(told(&union.join(1, forbidden())), ["error forbidden", "synced 2"]);
}

#[tokio::test(start_paused = true)]
async fn secrets_of_no_namespace_are_none_and_the_watch_does_not_end() {
    let (cluster, api) = Api::cluster(vec![page(&[], "1", None)]);
    let mut watch = cluster.watch_secrets(Watched::Names(Vec::new()), "pull");
    assert_eq!(
        watch.next().await.unwrap().unwrap(),
        WatchEvent::Synced(Vec::new())
    );
    assert!(timeout(Duration::from_secs(60), watch.next()).await.is_err());
    assert!(api.asked().is_empty());
}
