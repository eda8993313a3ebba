//! Requests that no honest client sends.

use syncd_config::config::AnonymousPull;
use tokio::io::AsyncWriteExt as _;

use crate::harness::{Reply, Request, Server, exchange};

#[tokio::test]
async fn odd_paths_reach_nothing() {
    let server = Server::start(AnonymousPull::All).await;
    server.put_image("a", "1", b"layer").await;
    let long_name = format!("/v2/{}/manifests/1", "a".repeat(256));
    let long_path = format!("/v2/{}manifests/1", "a/".repeat(6000));
    let long_tag = format!("/v2/a/manifests/{}", "t".repeat(129));
    for (path, expected) in [
        ("/v2/../../etc/passwd/manifests/1", "400 NAME_INVALID"),
        ("/v2/a/../b/manifests/1", "400 NAME_INVALID"),
        ("/v2/a%2fb/manifests/1", "400 NAME_INVALID"),
        ("/v2/%2e%2e/manifests/1", "400 NAME_INVALID"),
        ("/v2/_tags/manifests/1", "400 NAME_INVALID"),
        ("/v2/a/_layout/manifests/1", "400 NAME_INVALID"),
        ("/v2/A/manifests/1", "400 NAME_INVALID"),
        ("/v2//manifests/1", "400 NAME_INVALID"),
        ("/v2/a//b/manifests/1", "400 NAME_INVALID"),
        ("/v2/a/blobs/sha256:..%2f..%2fVERSION", "400 NAME_INVALID"),
        ("/v2/a/blobs/sha256:../../VERSION", "404 UNSUPPORTED"),
        ("/v2/a/manifests/..", "404 MANIFEST_UNKNOWN"),
        ("/v2/a/manifests/1%00", "400 NAME_INVALID"),
        (&long_name, "400 NAME_INVALID"),
        (&long_path, "414 NAME_INVALID"),
        (&long_tag, "404 MANIFEST_UNKNOWN"),
        ("/v2/a/tags/list?n=99999999999999999999999999999", "200"),
        ("/", "404 UNSUPPORTED"),
        ("/metrics", "404 UNSUPPORTED"),
    ] {
        assert_eq!(
            server.get(path).await.error(),
            expected,
            "{}",
            &path[..path.len().min(60)]
        );
    }
    let long_query = format!("/v2/a/tags/list?x={}", "y".repeat(9000));
    assert_eq!(server.get(&long_query).await.error(), "414 NAME_INVALID");
}

#[tokio::test]
async fn methods_that_mean_nothing_here() {
    let server = Server::start(AnonymousPull::All).await;
    for (method, path, allow) in [
        ("POST", "/v2/", "GET, HEAD"),
        ("PUT", "/v2/_catalog", "GET, HEAD"),
        ("POST", "/v2/a/manifests/1", "GET, HEAD, PUT, DELETE"),
        ("PUT", "/v2/a/tags/list", "GET, HEAD"),
        ("GET", "/v2/a/blobs/uploads/", "POST"),
        ("POST", "/v2/a/blobs/uploads/x", "GET, PATCH, PUT, DELETE"),
        ("BREW", "/v2/a/manifests/1", "GET, HEAD, PUT, DELETE"),
    ] {
        let reply = Request::new(method, path).user("writer").send(&server).await;
        assert_eq!(
            (reply.error().as_str(), reply.header("allow")),
            ("405 UNSUPPORTED", allow),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_its_head() {
    let server = Server::start(AnonymousPull::All).await;
    let long = "x".repeat(40 * 1024);
    let many: String = (0..200).map(|i| format!("x-{i}: y\r\n")).collect();
    for (bytes, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{many}\r\n"), 431),
        (
            "GET /v2/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
            400,
        ),
        (
            "PUT /v2/a/manifests/1 HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(),
            400,
        ),
    ] {
        let reply = exchange(&mut server.connect().await, bytes.as_bytes()).await;
        assert_eq!(reply.status, status, "{}", &bytes[..bytes.len().min(40)]);
    }
    assert_eq!(server.get("/v2/").await.status, 200);
}

/// What a client announces is never allocated, and what it sends beyond the cap is not read.
#[tokio::test]
async fn an_announced_length_is_only_a_word() {
    let server = Server::start(AnonymousPull::All).await;
    let mut stream = server.connect().await;
    let request = Request::new("PUT", "/v2/a/manifests/1").user("writer");
    let request = request
        .header("Content-Length", "9000000000000000000")
        .body(b"{}");
    stream.write_all(&request.bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes)
        .await
        .ok();
    assert!(
        !bytes.starts_with(b"HTTP/1.1 2"),
        "{}",
        String::from_utf8_lossy(&bytes)
    );
    assert_eq!(server.get("/v2/").await.status, 200);
}

#[tokio::test]
async fn a_body_without_a_login_is_not_read() {
    let server = Server::start(AnonymousPull::All).await;
    let mut stream = server.connect().await;
    let request = Request::new("PUT", "/v2/a/manifests/1").header("Content-Length", "1000000");
    stream.write_all(&request.bytes()).await.unwrap();
    assert_eq!(Reply::read(&mut stream).await.error(), "401 UNAUTHORIZED");
}
