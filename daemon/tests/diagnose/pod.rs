//! `diagnose pod/NAME` against a scripted API and a scripted registry: what it says is golden, what
//! it asks the API is listed, and no secret is in any report.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use syncd::cli::diagnose_text;
use syncd::cluster::{Cluster, ClusterErrorKind};
use syncd::diagnose::pod::{PodError, PodQuestion, pod};
use syncd::diagnose::{DiagnoseContext, DiagnoseOptions};
use syncd::oci::RegistryClient;
use syncd::report::{Cause, Confidence, DiagnoseReport};
use syncd::tokens::Tokens;
use syncd_providers::Clock;
use syncd_providers::http::Timeouts;

use crate::server::{Ask, Reply, Server, refuse};
use crate::{BASIC, CANARY, CANARY_BASIC, TOKEN, anonymous, closed_port, registry};

const NOW: &str = "2026-08-20T12:00:00Z";
const PODS: &str = "/api/v1/namespaces/team-a/pods/web";
const EVENTS: &str = "/api/v1/namespaces/team-a/events";
const ACCOUNT: &str = "/api/v1/namespaces/team-a/serviceaccounts/web";
const NODE: &str = "/api/v1/nodes/node-1";

/// A Kubernetes API that answers what it is told to, and 404 for the rest.
#[derive(Clone, Default)]
struct Api {
    answers: BTreeMap<String, (u16, Value)>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Api {
    /// With a pod whose image is at `image` and whose pull failed with `message`.
    fn new(image: &str, message: &str, secrets: &[&str]) -> Self {
        let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
        let mut api = Self::default();
        api.set(
            PODS,
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": "web", "namespace": "team-a", "uid": "u-1",
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "r"}]
                },
                "spec": {
                    "nodeName": "node-1", "serviceAccountName": "web", "imagePullSecrets": secrets,
                    "containers": [{"name": "app", "image": image}]
                },
                "status": {"phase": "Pending", "containerStatuses": [{
                    "name": "app", "image": image, "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}
                }]}
            }),
        );
        api.set(EVENTS, json!({"kind": "EventList", "metadata": {}, "items": []}));
        api.set(
            ACCOUNT,
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}}),
        );
        api.set(
            NODE,
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}, "status": {"nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "bootID": "", "kernelVersion": "",
                "containerRuntimeVersion": "containerd://2.3.1", "kubeProxyVersion": "", "kubeletVersion": "v1.36.0",
                "machineID": "", "osImage": "", "systemUUID": ""
            }}}),
        );
        api
    }

    fn set(&mut self, path: &str, answer: Value) {
        self.answers.insert(path.to_owned(), (200, answer));
    }

    fn forbid(&mut self, path: &str, what: &str) {
        let words = format!("{what} is forbidden: User \"u\" cannot do that");
        self.answers.insert(path.to_owned(), (403, status(403, &words)));
    }

    fn secret(&mut self, name: &str, type_: &str, key: &str, content: &str) {
        self.set(
            &format!("/api/v1/namespaces/team-a/secrets/{name}"),
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name, "creationTimestamp": "2026-08-01T00:00:00Z"},
                "type": type_, "data": {key: BASE64_STANDARD.encode(content)}
            }),
        );
    }

    /// A pull secret with one login.
    fn login(&mut self, name: &str, host: &str, password: &str) {
        let auth = BASE64_STANDARD.encode(format!("user:{password}"));
        let content = json!({"auths": {host: {"auth": auth}}}).to_string();
        self.secret(
            name,
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
            &content,
        );
    }

    fn cluster(&self) -> Cluster {
        let api = self.clone();
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let path = request.uri().path().to_owned();
            let asked = format!("{} {}", request.method(), request.uri());
            api.asked.lock().unwrap().push(asked);
            let (code, body) = api
                .answers
                .get(&path)
                .cloned()
                .unwrap_or_else(|| (404, status(404, "not found")));
            async move {
                let body = kube::client::Body::from(serde_json::to_vec(&body).unwrap());
                let answer = http::Response::builder().status(code).body(body).unwrap();
                Ok::<_, tower::BoxError>(answer)
            }
        });
        Cluster::of_client(kube::Client::new(service, "default"), "syncd")
    }

    async fn ask(&self, container: Option<&str>) -> Result<DiagnoseReport, PodError> {
        let now = NOW.parse().unwrap();
        let clock = Clock::new(move || now);
        let timeouts = Timeouts {
            connect: Duration::from_secs(2),
            headers: Duration::from_millis(400),
            idle: Duration::from_millis(400),
            ..Timeouts::default()
        };
        let credentials = Arc::new(Tokens::new(&[], None, clock.clone()));
        let context = DiagnoseContext {
            config: None,
            client: RegistryClient::with_timeouts(&[], credentials, clock.clone(), timeouts).unwrap(),
            store: None,
        };
        let question = PodQuestion {
            namespace: "team-a".to_owned(),
            name: "web".to_owned(),
            container: container.map(str::to_owned),
            platform: None,
        };
        let options = DiagnoseOptions {
            step: Duration::from_secs(2),
            ..DiagnoseOptions::default()
        };
        let report = pod(&context, &self.cluster(), &question, &options, &clock).await?;
        let told = format!(
            "{report:?} {} {}",
            serde_json::to_string(&report).unwrap(),
            diagnose_text::text(&report, 80)
        );
        for secret in [CANARY, CANARY_BASIC, TOKEN] {
            assert!(!told.contains(secret), "{secret} is in {told}");
        }
        Ok(report)
    }
}

fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code})
}

/// A registry that lets only `user:CANARY` in, and says why not in Basic's way.
fn guarded(ask: &Ask) -> Option<Reply> {
    let good = ask.authorization.as_deref() == Some(&format!("Basic {CANARY_BASIC}"));
    (!good).then(|| {
        refuse(
            ask,
            "401 Unauthorized",
            BASIC,
            "UNAUTHORIZED",
            "authentication required",
        )
    })
}

async fn guarded_registry() -> (Server, String) {
    let server = Server::plain(registry(|ask, _| guarded(ask))).await;
    let host = server.address.to_string();
    (server, host)
}

/// What containerd says when nothing answers a Basic challenge.
fn no_basic(host: &str) -> String {
    format!(
        "Back-off pulling image \"{host}/app:1\": ErrImagePull: failed to pull and unpack image \"{host}/app:1\": failed \
         to resolve image: pull access denied, repository does not exist or may require authorization: \
         authorization failed: no basic auth credentials"
    )
}

fn refused(host: &str) -> String {
    format!(
        "Back-off pulling image \"{host}/app:1\": ErrImagePull: failed to pull and unpack image \"{host}/app:1\": failed \
         to resolve image: unexpected status from HEAD request to http://{host}/v2/app/manifests/1: 401 Unauthorized"
    )
}

fn told(out: &mut String, name: &str, report: &DiagnoseReport) {
    let text = anonymous(&diagnose_text::text(report, 80));
    // A port alone: `the image has port 40123`.
    let words = text.split_inclusive([' ', '\n', '.']).map(|word| {
        let bare = word.trim_end();
        let port = bare.trim_end_matches('.').len() == 5
            && bare.trim_end_matches('.').bytes().all(|b| b.is_ascii_digit());
        if port {
            word.replace(bare.trim_end_matches('.'), "PORT")
        } else {
            word.to_owned()
        }
    });
    let text: String = words.collect();
    writeln!(out, "=== {name}\n{text}").unwrap();
}

#[tokio::test]
async fn secrets_decide() {
    let (_server, host) = guarded_registry().await;
    let image = format!("{host}/app:1");
    let mut out = String::new();

    let api = Api::new(&image, &no_basic(&host), &[]);
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::AuthMissing);
    told(&mut out, "no pull secret", &report);

    let mut api = Api::new(&image, &no_basic(&host), &[]);
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}, "imagePullSecrets": [{"name": "late"}]
    });
    api.set(ACCOUNT, account);
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::AuthMissing);
    told(&mut out, "the account got one later", &report);

    let api = Api::new(&image, &no_basic(&host), &["regcred"]);
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::SecretMissing);
    told(&mut out, "a missing secret", &report);

    let mut api = Api::new(&image, &no_basic(&host), &["regcred"]);
    api.login("regcred", "127.0.0.1", CANARY);
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::SecretMisconfigured);
    told(&mut out, "another host key", &report);

    let mut api = Api::new(&image, &no_basic(&host), &["regcred"]);
    let content = json!({"auths": {&host: {"auth": CANARY_BASIC}}}).to_string();
    api.secret("regcred", "Opaque", ".dockerconfigjson", &content);
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::SecretMisconfigured);
    told(&mut out, "another type", &report);

    let mut api = Api::new(&image, "", &["regcred"]);
    let content = format!(r#"{{"auths":{{"{host}":{{"auth":"{CANARY}"}}}}}}"#);
    api.secret(
        "regcred",
        "kubernetes.io/dockerconfigjson",
        ".dockerconfigjson",
        &content,
    );
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::SecretMisconfigured);
    told(&mut out, "a malformed one", &report);

    let mut api = Api::new(&image, &refused(&host), &["regcred"]);
    api.login("regcred", &host, "no good");
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::AuthWrongCredentials);
    told(&mut out, "a wrong password", &report);

    let mut api = Api::new(&image, &refused(&host), &["regcred"]);
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let end = "2026-08-20T09:00:00Z"
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_second();
    let jwt = format!(
        "{}.{}.{}",
        part(r#"{"alg":"none"}"#),
        part(&format!(r#"{{"exp":{end}}}"#)),
        part(TOKEN)
    );
    api.login("regcred", &host, &jwt);
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::AuthTokenExpired);
    assert!(!serde_json::to_string(&report).unwrap().contains(&jwt));
    told(&mut out, "an expired token", &report);

    let mut api = Api::new(&image, &no_basic(&host), &["regcred"]);
    api.login("regcred", &host, CANARY);
    let report = api.ask(None).await.unwrap();
    told(&mut out, "mended since", &report);

    let mut api = Api::new(&image, &no_basic(&host), &["regcred"]);
    api.forbid("/api/v1/namespaces/team-a/secrets/regcred", "secrets \"regcred\"");
    let report = api.ask(None).await.unwrap();
    told(&mut out, "a secret that may not be read", &report);

    insta::assert_snapshot!(out);
}

#[tokio::test]
async fn the_nodes_words_decide() {
    let mut out = String::new();
    let server = Server::plain(registry(|_, _| None)).await;
    let host = server.address.to_string();
    let resolve = |image: &str, rest: &str| {
        format!("failed to pull and unpack image \"{image}\": failed to resolve image: {rest}")
    };

    let image = format!("{host}/app:2");
    let api = Api::new(&image, &resolve(&image, &format!("{image}: not found")), &[]);
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::TagNotFound);
    told(&mut out, "a missing tag", &report);

    let image = format!("{host}/app:1");
    let x509 = "failed to do request: Head \"https://HOST/v2/app/manifests/1\": tls: failed to verify certificate: x509: certificate \
                signed by unknown authority";
    let api = Api::new(&image, &resolve(&image, &x509.replace("HOST", &host)), &[]);
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::TlsUnknownCa);
    told(&mut out, "the node does not trust the CA", &report);

    let dead = format!("127.0.0.1:{}", closed_port());
    let image = format!("{dead}/app:1");
    let words = format!(
        "failed to do request: Head \"https://{dead}/v2/app/manifests/1\": dial tcp {dead}: connect: connection refused"
    );
    let report = Api::new(&image, &resolve(&image, &words), &[])
        .ask(None)
        .await
        .unwrap();
    assert_eq!(report.verdict.cause, Cause::ConnectionRefused);
    told(&mut out, "nobody listens", &report);

    let mut api = Api::new("reg.example/app:1", "", &["regcred"]);
    api.answers.get_mut(PODS).unwrap().1["status"]["containerStatuses"][0]["state"]["waiting"] = json!({
        "reason": "ErrImageNeverPull",
        "message": "Container image \"reg.example/app:1\" is not present with pull policy of Never"
    });
    api.answers.get_mut(NODE).unwrap().1["status"]["images"] = json!([{"names": ["reg.example/app:1"]}]);
    api.login("regcred", "reg.example", CANARY);
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::ImageNeverPull);
    told(&mut out, "policy Never, and the node lists the image", &report);

    let mut api = Api::new("reg.example/Team/${APP}:1", "", &["regcred"]);
    api.answers.get_mut(PODS).unwrap().1["status"]["containerStatuses"][0]["state"]["waiting"] = json!({
        "reason": "InvalidImageName",
        "message": "Failed to apply default image tag \"reg.example/Team/${APP}:1\": couldn't parse image reference \
                    \"reg.example/Team/${APP}:1\": invalid reference format"
    });
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::InvalidReference);
    told(&mut out, "no reference", &report);

    let mut api = Api::new(&format!("{host}/app:1"), "", &[]);
    api.answers.get_mut(PODS).unwrap().1["status"]["containerStatuses"][0]["state"] =
        json!({"running": {"startedAt": NOW}});
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::None);
    told(&mut out, "nothing is wrong", &report);

    let mut api = Api::new(&format!("{host}/app:1"), "", &[]);
    api.answers.get_mut(PODS).unwrap().1["status"]["containerStatuses"][0]["state"]["waiting"] =
        json!({"reason": "CreateContainerConfigError", "message": "secret \"settings\" not found"});
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::NotImageProblem);
    told(&mut out, "another trouble", &report);

    let mut api = Api::new(&format!("{host}/app:1"), "", &[]);
    api.answers.get_mut(PODS).unwrap().1["status"] = json!({"phase": "Pending"});
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::Unknown);
    told(&mut out, "not started yet", &report);

    insta::assert_snapshot!(out);
}

#[tokio::test]
async fn what_may_not_be_read_is_said_and_the_rest_goes_on() {
    let (_server, host) = guarded_registry().await;
    let mut api = Api::new(&format!("{host}/app:1"), &no_basic(&host), &[]);
    api.forbid(EVENTS, "events");
    api.forbid(ACCOUNT, "serviceaccounts \"web\"");
    api.forbid(NODE, "nodes \"node-1\"");
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::AuthMissing);
    let text = diagnose_text::text(&report, 1000);
    for part in [
        "failed to list events of namespace team-a",
        "failed to get serviceaccount team-a/web",
        "failed to get node node-1",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    // Its list of pull secrets is not known, so no patch is proposed.
    assert!(!text.contains("kubectl patch"), "{text}");

    let mut api = Api::default();
    assert_eq!(kind(&api.ask(None).await), ClusterErrorKind::NotFound);
    api.forbid(PODS, "pods \"web\"");
    let error = api.ask(None).await.unwrap_err();
    let PodError::Read(read) = &error else {
        unreachable!("{error}")
    };
    assert!(
        read.to_string().starts_with("failed to get pod team-a/web: "),
        "{read}"
    );
    assert_eq!(kind(&Err(error)), ClusterErrorKind::Forbidden);

    let api = Api::new("a:1", "", &[]);
    let error = api.ask(Some("nope")).await.unwrap_err().to_string();
    assert_eq!(error, "pod team-a/web has no container of that name; it has app");
}

fn kind(result: &Result<DiagnoseReport, PodError>) -> ClusterErrorKind {
    match result {
        Err(PodError::Read(error)) => error.kind,
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn secrets_are_read_by_name_and_nothing_is_written() {
    let (_server, host) = guarded_registry().await;
    let mut api = Api::new(
        &format!("{host}/app:1"),
        &no_basic(&host),
        &["regcred", "../../nodes", "other"],
    );
    api.login("regcred", &host, CANARY);
    api.ask(None).await.unwrap();
    let mut asked = api.asked.lock().unwrap().clone();
    asked.sort();
    assert_eq!(
        asked,
        [
            "GET /api/v1/namespaces/team-a/events?fieldSelector=involvedObject.uid%3Du-1&limit=500",
            "GET /api/v1/namespaces/team-a/pods/web",
            "GET /api/v1/namespaces/team-a/secrets/other",
            "GET /api/v1/namespaces/team-a/secrets/regcred",
            "GET /api/v1/nodes/node-1",
        ]
    );
}

#[tokio::test]
async fn a_secret_over_the_bound_may_fit_and_nothing_is_claimed() {
    let (_server, host) = guarded_registry().await;
    let names: Vec<String> = (0..17).map(|n| format!("s{n:02}")).collect();
    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut api = Api::new(&format!("{host}/app:1"), &no_basic(&host), &listed);
    api.login("s16", &host, CANARY);
    let report = api.ask(None).await.unwrap();
    assert_ne!(report.verdict.cause, Cause::SecretMissing);
    assert_eq!(report.verdict.confidence, Confidence::Possible, "{report:?}");
    let check = report
        .checks
        .iter()
        .find(|check| check.id == "secrets.fit")
        .unwrap();
    assert_eq!(check.detail, "one that could not be read may");
    let asked = api.asked.lock().unwrap().clone();
    assert_eq!(asked.iter().filter(|line| line.contains("/secrets/")).count(), 16);
}

#[tokio::test]
async fn only_the_images_own_host_gets_the_credential_and_the_next_one_only_after_a_refusal() {
    let (server, host) = guarded_registry().await;
    let mut api = Api::new(
        &format!("{host}/app:1"),
        &refused(&host),
        &["first", "second", "foreign"],
    );
    api.login("first", &host, "stale");
    api.login("second", &host, CANARY);
    api.login("foreign", "other.example", "for another host");
    let report = api.ask(None).await.unwrap();
    let check = report.checks.iter().find(|check| check.id == "registry").unwrap();
    assert!(
        check
            .detail
            .starts_with("asked from this machine with pull secret `second`; it refused `first` before"),
        "{check:?}"
    );
    assert!(
        server
            .asked()
            .iter()
            .all(|line| line.starts_with("GET /v2/") || line.starts_with("HEAD /v2/"))
    );
}

#[tokio::test]
async fn a_credential_that_works_is_the_only_one_that_is_sent() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    let server = Server::plain(registry(move |ask, _| {
        log.lock().unwrap().extend(ask.authorization.clone());
        guarded(ask)
    }))
    .await;
    let host = server.address.to_string();
    let mut api = Api::new(&format!("{host}/app:1"), &no_basic(&host), &["b", "a", "foreign"]);
    api.login("b", &host, CANARY);
    api.login("a", &host, "another");
    api.login("foreign", "other.example", "for another host");
    api.ask(None).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|sent| *sent == format!("Basic {CANARY_BASIC}")));
}

#[tokio::test]
async fn hostile_texts_are_shown_escaped() {
    let escape = "\u{1b}[2J\u{202e}";
    let mut api = Api::new(
        "reg.example/app:1",
        &format!("{escape}{}", "x".repeat(100_000)),
        &["regcred"],
    );
    {
        let pod = &mut api.answers.get_mut(PODS).unwrap().1;
        pod["spec"]["containers"][0]["name"] = json!(format!("app{escape}"));
        pod["status"]["containerStatuses"][0]["name"] = json!(format!("app{escape}"));
        pod["spec"]["serviceAccountName"] = json!(escape);
        pod["spec"]["nodeName"] = json!(format!("node{escape}"));
        pod["spec"]["containers"][0]["image"] = json!(format!("127.0.0.1:1/app:{escape}"));
        pod["spec"]["imagePullSecrets"] = json!([{"name": format!("a{escape}")}, {"name": "b; rm -rf /"}]);
    }
    let items: Vec<Value> = (0..2000)
        .map(|_| json!({"reason": format!("Failed{escape}"), "message": escape, "involvedObject": {"fieldPath": "{"}}))
        .collect();
    api.set(EVENTS, json!({"metadata": {"continue": "more"}, "items": items}));
    let report = api.ask(None).await.unwrap();
    let text = diagnose_text::text(&report, 80) + &serde_json::to_string(&report).unwrap();
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    let commands = report.fixes.iter().filter_map(|fix| fix.command.as_ref());
    for command in commands {
        assert!(!command.contains("rm -rf"), "{command}");
    }
    // Its pages never end: it is asked a bounded number of times.
    let pages = api
        .asked
        .lock()
        .unwrap()
        .iter()
        .filter(|line| line.contains("/events?"))
        .count();
    assert_eq!(pages, 10);
}

#[tokio::test]
async fn names_that_are_none_stand_in_no_command() {
    let (_server, host) = guarded_registry().await;
    let api = Api::new(
        &format!("{host}/app:1"),
        &no_basic(&host),
        &["b; rm -rf /", "$(id)"],
    );
    let report = api.ask(None).await.unwrap();
    assert_eq!(report.verdict.cause, Cause::SecretMissing);
    for fix in &report.fixes {
        let command = fix.command.as_deref().unwrap_or_default();
        assert!(
            !command.contains("rm -rf") && !command.contains("$("),
            "{command}"
        );
    }
}

#[tokio::test]
async fn a_document_of_another_form_is_named_by_its_place() {
    let mut api = Api::new("127.0.0.1:1/app:1", "", &["regcred"]);
    api.set(
        "/api/v1/namespaces/team-a/secrets/regcred",
        json!({"metadata": {}, "type": [CANARY], "data": {".dockerconfigjson": CANARY}}),
    );
    let report = api.ask(None).await.unwrap();
    let text = diagnose_text::text(&report, 1000);
    assert!(
        text.contains("the answer is not of the expected form (line 1, column"),
        "{text}"
    );
    let mut api = Api::new("127.0.0.1:1/app:1", "", &["regcred"]);
    api.set(
        "/api/v1/namespaces/team-a/secrets/regcred",
        json!({"metadata": {}, "data": {".dockerconfigjson": CANARY}}),
    );
    let text = diagnose_text::text(&api.ask(None).await.unwrap(), 1000);
    assert!(text.contains("the answer is not of the expected form"), "{text}");
}
