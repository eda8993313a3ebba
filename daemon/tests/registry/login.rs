//! Who may do what, over the wire; and that a credential leaves no trace.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use syncd_config::Digest;
use syncd_config::config::AnonymousPull::{self, All, None as Nothing, Public};

use crate::harness::{Request, Server};

#[derive(Clone, Copy, Debug)]
enum Who {
    Anonymous,
    User(&'static str),
    /// An upstream registry's secret, as kubelet hands it on.
    Upstream,
}

fn request(who: Who, method: &str, path: &str) -> Request {
    let request = Request::new(method, path);
    match who {
        Who::Anonymous => request,
        Who::User(user) => request.user(user),
        Who::Upstream => request.login("AWS", "upstream-token-5e1f"),
    }
}

#[tokio::test]
async fn the_matrix() {
    // Columns: ping, pull public, pull private, pull missing, tags private, push.
    let rows: [(AnonymousPull, Who, [u16; 6]); 12] = [
        (Public, Who::Anonymous, [200, 200, 401, 404, 401, 401]),
        (Public, Who::User("reader"), [200, 200, 200, 404, 200, 403]),
        (Public, Who::User("writer"), [200, 200, 200, 404, 200, 202]),
        (Public, Who::Upstream, [401, 200, 401, 404, 401, 401]),
        (All, Who::Anonymous, [200, 200, 200, 404, 200, 401]),
        (All, Who::User("reader"), [200, 200, 200, 404, 200, 403]),
        (All, Who::User("writer"), [200, 200, 200, 404, 200, 202]),
        (All, Who::Upstream, [401, 200, 200, 404, 200, 401]),
        (Nothing, Who::Anonymous, [401, 401, 401, 401, 401, 401]),
        (Nothing, Who::User("reader"), [200, 200, 200, 404, 200, 403]),
        (Nothing, Who::User("writer"), [200, 200, 200, 404, 200, 202]),
        (Nothing, Who::Upstream, [401, 401, 401, 401, 401, 401]),
    ];
    for (policy, who, expected) in rows {
        let server = Server::start(policy).await;
        server.put_image("public", "1", b"layer").await;
        server.put_image("private", "1", b"layer").await;
        server.publish("public");
        let requests = [
            ("GET", "/v2/"),
            ("GET", "/v2/public/manifests/1"),
            ("GET", "/v2/private/manifests/1"),
            ("GET", "/v2/missing/manifests/1"),
            ("GET", "/v2/private/tags/list"),
            ("POST", "/v2/private/blobs/uploads/"),
        ];
        for ((method, path), expected) in requests.into_iter().zip(expected) {
            let reply = request(who, method, path).send(&server).await;
            assert_eq!(reply.status, expected, "{policy:?} {who:?} {method} {path}");
            let challenge = if expected == 401 {
                "Basic realm=\"syncd\""
            } else {
                ""
            };
            assert_eq!(
                reply.header("www-authenticate"),
                challenge,
                "{policy:?} {who:?} {method} {path}"
            );
            let code = match expected {
                401 => "401 UNAUTHORIZED",
                403 => "403 DENIED",
                _ => continue,
            };
            assert_eq!(reply.error(), code);
        }
    }
}

/// What a runtime does without a credential: it gets all of a public image and meets no challenge,
/// so that it never sends one.
#[tokio::test]
async fn a_public_pull_is_never_challenged() {
    let server = Server::start(Public).await;
    server.put_image("docker.io/library/hello", "1", b"layer").await;
    server.publish("docker.io/library/hello");
    for path in [
        "/v2/library/hello/manifests/1?ns=docker.io".to_owned(),
        format!(
            "/v2/library/hello/blobs/{}?ns=docker.io",
            Digest::sha256(b"layer")
        ),
        "/v2/library/hello/manifests/2?ns=docker.io".to_owned(),
        "/v2/library/never-mirrored/manifests/1?ns=docker.io".to_owned(),
        "/v2/team/never-mirrored/manifests/1?ns=quay.io".to_owned(),
    ] {
        for reply in [server.get(&path).await, server.head(&path).await] {
            assert!(matches!(reply.status, 200 | 404), "{path}: {}", reply.text());
            assert_eq!(reply.header("www-authenticate"), "", "{path}");
        }
    }
}

/// skopeo logs in only when its ping is challenged; CRI-O, made of the same library, would send the
/// pod's upstream secret then.
#[tokio::test]
async fn a_ping_tells_skopeo_alone_that_there_is_a_login() {
    let server = Server::start(Public).await;
    for (agent, challenge) in [
        ("skopeo/1.9.3", "Basic realm=\"syncd\""),
        ("cri-o/1.30.0 go/1.22 os/linux arch/amd64", ""),
        ("containerd/2.0", ""),
        ("x skopeo/1", ""),
        ("", ""),
    ] {
        let request = Request::new("GET", "/v2/").header("User-Agent", agent);
        let reply = request.send(&server).await;
        assert_eq!(
            (reply.status, reply.header("www-authenticate")),
            (200, challenge),
            "{agent}"
        );
    }
}

/// Blobs arrive before the manifest that makes a repository: nobody but users sees them.
#[tokio::test]
async fn a_repository_that_is_being_written_is_closed_to_strangers() {
    let server = Server::start(Public).await;
    let digest = server.put_blob("coming", b"secret layer").await;
    let path = format!("/v2/coming/blobs/{digest}");
    assert_eq!(server.get(&path).await.error(), "404 NAME_UNKNOWN");
    let upstream = request(Who::Upstream, "GET", &path).send(&server).await;
    assert_eq!(upstream.error(), "404 NAME_UNKNOWN");
    assert_eq!(
        request(Who::User("writer"), "HEAD", &path)
            .send(&server)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn users_are_taken_over_by_a_reload_and_bad_ones_are_not() {
    let server = Server::start(Nothing).await;
    let htpasswd = server.dir.path().join("htpasswd");
    let ping = |password: &'static str| {
        Request::new("GET", "/v2/")
            .login("writer", password)
            .send(&server)
    };
    assert_eq!(ping("writer-pw").await.status, 200);
    std::fs::write(&htpasswd, "writer:plain-text\n").unwrap();
    let error = server.registry.reload(&server.config).unwrap_err();
    assert_eq!(error.kind(), "registry_htpasswd");
    assert!(!error.to_string().contains("plain-text"));
    assert_eq!(ping("writer-pw").await.status, 200, "the old file still counts");
    let hash = bcrypt::hash("new-pw", 4).unwrap();
    std::fs::write(&htpasswd, format!("writer:{hash}\nother:{hash}\n")).unwrap();
    server.registry.reload(&server.config).unwrap();
    assert_eq!(
        ping("writer-pw").await.status,
        401,
        "no remembered verdict outlives the file"
    );
    assert_eq!(ping("new-pw").await.status, 200);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_credential_is_logged() {
    // With one subscriber alone, tracing asks the thread that meets a log line first whether anybody
    // listens, and remembers its "no" for all threads: a second one makes it ask everybody.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let log = Log::default();
    let sink = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || sink.clone())
        .finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let server = Server::start(Nothing).await;
    for who in [Who::Upstream, Who::User("writer")] {
        for path in ["/v2/", "/v2/a/manifests/1?ns=docker.io", "/v2/a/blobs/uploads/"] {
            request(who, "POST", path).send(&server).await;
            request(who, "GET", path).send(&server).await;
        }
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("registry: answered"), "the log was captured");
    // The base64 of what was sent begins with these.
    for secret in [
        "upstream-token",
        "writer-pw",
        "QVdTOnVwc3RyZWFt",
        "d3JpdGVyOndyaXRlci1w",
        "Basic QVdT",
    ] {
        assert!(!log.contains(secret), "{secret}");
    }
}
