//! `diagnose pod/NAME` of the real binary, with an API that answers by a list.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::bench::{Bench, Done};
use crate::help::golden;

const CANARY: &str = "canary-41c7f0-password";

/// Serves `answers` by path, and 404 for the rest, as long as the process lives.
fn api(answers: BTreeMap<&'static str, (u16, Value)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                head.push(line);
            }
            let path = head
                .first()
                .and_then(|line| line.split(' ').nth(1))
                .unwrap_or_default();
            let path = path.split('?').next().unwrap_or_default();
            let missing = (
                404,
                json!({"kind": "Status", "message": "pods \"web\" not found", "code": 404}),
            );
            let (code, body) = answers.get(path).cloned().unwrap_or(missing);
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nConnection: close\r\n\
                 WWW-Authenticate: Basic realm=\"r\"\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _sent = stream.get_mut().write_all((head + &body).as_bytes());
        }
    });
    address.to_string()
}

fn ask(bench: &Bench, server: &str, more: &[&str]) -> Done {
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         contexts: [{{name: c, context: {{cluster: c, user: u, namespace: team-a}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'http://{server}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
    );
    std::fs::write(bench.path("kubeconfig"), kubeconfig).unwrap();
    let mut args = vec!["diagnose", "pod/web", "--kubeconfig", "kubeconfig"];
    args.extend(more);
    let mut command = bench.command(&args);
    command.env("RUST_LOG", "trace");
    if !bench.path("config.yaml").exists() {
        command.env_remove("SYNCD_CONFIG");
    }
    command.output().unwrap().into()
}

fn talk(done: &Done) -> String {
    let kept = done
        .stderr
        .lines()
        .filter(|line| line.starts_with("error") || line.starts_with("  ") || line.starts_with("help:"));
    kept.map(|line| format!("{line}\n")).collect()
}

#[test]
fn how_it_ends_without_the_pod() {
    let bench = Bench::empty();
    let forbidden = json!({
        "kind": "Status", "code": 403,
        "message": "pods \"web\" is forbidden: User \"dev\" cannot get resource \"pods\" in API group \"\" in the namespace \"team-a\""
    });
    let server = api(BTreeMap::from([(
        "/api/v1/namespaces/team-a/pods/web",
        (403, forbidden),
    )]));
    let done = ask(&bench, &server, &[]);
    assert_eq!((done.code, done.stdout.as_str()), (4, ""), "{done:?}");
    golden("diagnose-pod-forbidden", &talk(&done));

    let done = ask(&bench, &server, &["-n", "team-b"]);
    assert_eq!((done.code, done.stdout.as_str()), (5, ""), "{done:?}");
    golden("diagnose-pod-missing", &talk(&done));

    let done = ask(&bench, &bench.registry, &[]);
    assert_eq!((done.code, done.stdout.as_str()), (5, ""), "{done:?}");
    for wrong in [
        &["-n", "../x"][..],
        &["--context", "nope"],
        &["--kubeconfig", "/nowhere/at/all"],
    ] {
        let mut args = vec!["diagnose", "pod/web"];
        if wrong[0] != "--kubeconfig" {
            args.extend(["--kubeconfig", "kubeconfig"]);
        }
        args.extend(wrong);
        let done = bench
            .command(&args)
            .env_remove("SYNCD_CONFIG")
            .output()
            .map(Done::from)
            .unwrap();
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{wrong:?} {done:?}");
    }
    let done = bench.run(&["diagnose", "nginx", "-n", "team-a"]);
    assert_eq!(done.code, 2, "{done:?}");
}

#[test]
fn no_secret_is_told_at_the_highest_level_either() {
    let bench = Bench::empty();
    let registry = api(BTreeMap::from([("/v2/", (401, json!({"errors": []})))]));
    let image = format!("{registry}/app:1");
    bench.configure(&format!(
        "apiVersion: syncd.dev/v1alpha1\nkind: Config\nregistries: [{{host: \"{registry}\", plainHttp: true}}]\n"
    ));
    let auth = BASE64_STANDARD.encode(format!("user:{CANARY}"));
    let config = json!({"auths": {&registry: {"auth": &auth}}}).to_string();
    let data = BASE64_STANDARD.encode(&config);
    let server = api(BTreeMap::from([
        (
            "/api/v1/namespaces/team-a/pods/web",
            (
                200,
                json!({
                    "metadata": {"name": "web", "namespace": "team-a", "uid": "u"},
                    "spec": {
                        "containers": [{"name": "app", "image": image}],
                        "imagePullSecrets": [{"name": "good"}, {"name": "odd"}]
                    },
                    "status": {"containerStatuses": [{
                        "name": "app", "image": image, "imageID": "", "ready": false, "restartCount": 0,
                        "state": {"waiting": {"reason": "ErrImagePull", "message": "failed to pull and unpack image"}}
                    }]}
                }),
            ),
        ),
        (
            "/api/v1/namespaces/team-a/secrets/good",
            (
                200,
                json!({"metadata": {}, "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": data}}),
            ),
        ),
        // Not of the form that it should have: a parser's words would quote it.
        (
            "/api/v1/namespaces/team-a/secrets/odd",
            (
                200,
                json!({"metadata": {}, "type": 1, "data": CANARY, "stringData": {".dockerconfigjson": config}}),
            ),
        ),
        ("/api/v1/namespaces/team-a/events", (200, json!({"items": []}))),
    ]));
    let done = ask(&bench, &server, &["-vv", "-o", "json"]);
    let report = done.json();
    assert_eq!(report["pod"]["container"], "app", "{report}");
    // The credential was used, and the log is there.
    let said = report.to_string();
    assert!(
        said.contains("asked from this machine with pull secret `good`"),
        "{said}"
    );
    assert!(done.stderr.contains(" trace "), "{done:?}");
    for secret in [CANARY, &auth, &data] {
        assert!(
            !done.stdout.contains(secret) && !done.stderr.contains(secret),
            "{secret} in {done:?}"
        );
    }
    assert_eq!(done.code, 1, "{done:?}");
    assert_eq!(report["verdict"]["cause"], "auth_wrong_credentials", "{report}");
}
