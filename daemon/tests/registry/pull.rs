//! Reading manifests and blobs.

use syncd_config::Digest;
use syncd_config::config::AnonymousPull;

use crate::harness::{OCI_MANIFEST, Request, Server};

const ABSENT: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[tokio::test]
async fn a_manifest_is_read_by_tag_and_by_digest_as_the_bytes_that_came() {
    let server = Server::start(AnonymousPull::All).await;
    let manifest = server.put_image("team/app", "1.0", b"layer").await;
    let digest = Digest::sha256(&manifest).to_string();
    for reference in ["1.0", &digest] {
        let path = format!("/v2/team/app/manifests/{reference}");
        let got = server.get(&path).await;
        assert_eq!((got.status, &got.body), (200, &manifest));
        for reply in [&got, &server.head(&path).await] {
            assert_eq!(reply.status, 200);
            assert_eq!(reply.header("content-type"), OCI_MANIFEST);
            assert_eq!(reply.header("docker-content-digest"), digest);
            assert_eq!(reply.header("content-length"), manifest.len().to_string());
            assert_eq!(reply.header("etag"), format!("\"{digest}\""));
            assert_eq!(reply.header("docker-distribution-api-version"), "registry/2.0");
        }
        assert!(server.head(&path).await.body.is_empty());
        let etag = format!("\"{digest}\"");
        let known = Request::new("GET", &path)
            .header("If-None-Match", &etag)
            .send(&server)
            .await;
        assert_eq!((known.status, known.body.len()), (304, 0));
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let server = Server::start(AnonymousPull::All).await;
    server.put_image("a", "1", b"layer").await;
    for (path, expected) in [
        ("/v2/a/manifests/2", "404 MANIFEST_UNKNOWN"),
        ("/v2/a/manifests/.impossible", "404 MANIFEST_UNKNOWN"),
        (&format!("/v2/a/manifests/{ABSENT}"), "404 MANIFEST_UNKNOWN"),
        ("/v2/b/manifests/1", "404 NAME_UNKNOWN"),
        ("/v2/b/tags/list", "404 NAME_UNKNOWN"),
        (&format!("/v2/a/blobs/{ABSENT}"), "404 BLOB_UNKNOWN"),
        (&format!("/v2/a/referrers/{ABSENT}"), "404 UNSUPPORTED"),
    ] {
        assert_eq!(server.get(path).await.error(), expected, "{path}");
        let head = server.head(path).await;
        assert_eq!((head.status, head.body.len()), (404, 0), "{path}");
    }
}

#[tokio::test]
async fn a_blob_is_read_whole_and_in_part() {
    let server = Server::start(AnonymousPull::All).await;
    let content: Vec<u8> = (0..300_000u32).map(|i| u8::try_from(i % 253).unwrap()).collect();
    server.put_image("a", "1", &content).await;
    let digest = Digest::sha256(&content);
    let path = format!("/v2/a/blobs/{digest}");
    let whole = server.get(&path).await;
    assert!(whole.status == 200 && whole.body == content);
    let head = server.head(&path).await;
    for reply in [&whole, &head] {
        assert_eq!(reply.header("content-length"), "300000");
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        assert_eq!(reply.header("accept-ranges"), "bytes");
        assert_eq!(reply.header("content-type"), "application/octet-stream");
    }
    for (range, status, part, shown) in [
        ("bytes=0-9", 206, &content[..10], "bytes 0-9/300000"),
        (
            "bytes=299999-299999",
            206,
            &content[299_999..],
            "bytes 299999-299999/300000",
        ),
        (
            "bytes=100000-",
            206,
            &content[100_000..],
            "bytes 100000-299999/300000",
        ),
        ("bytes=-1", 206, &content[299_999..], "bytes 299999-299999/300000"),
        ("bytes=0-1,5-6", 200, &content[..], ""),
    ] {
        let reply = Request::new("GET", &path)
            .header("Range", range)
            .send(&server)
            .await;
        assert!(reply.status == status && reply.body == part, "{range}");
        assert_eq!(reply.header("content-range"), shown, "{range}");
    }
    let outside = Request::new("GET", &path)
        .header("Range", "bytes=300000-")
        .send(&server)
        .await;
    assert_eq!(outside.error(), "416 SIZE_INVALID");
    assert_eq!(outside.header("content-range"), "bytes */300000");
    let other = Request::new("GET", &path)
        .header("Range", "bytes=0-9")
        .header("If-Range", "\"other\"");
    assert_eq!(other.send(&server).await.body.len(), 300_000);
    let etag = format!("\"{digest}\"");
    let same = Request::new("GET", &path)
        .header("Range", "bytes=0-9")
        .header("If-Range", &etag);
    assert_eq!(same.send(&server).await.body.len(), 10);
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let server = Server::start(AnonymousPull::All).await;
    let digest = server.put_blob("a", b"").await;
    let path = format!("/v2/a/blobs/{digest}");
    let reply = server.get(&path).await;
    assert_eq!(
        (reply.status, reply.header("content-length"), reply.body.len()),
        (200, "0", 0)
    );
}

#[tokio::test]
async fn a_blob_is_read_only_through_a_repository_that_holds_it() {
    let server = Server::start(AnonymousPull::All).await;
    server.put_image("secret", "1", b"layer").await;
    server.put_image("other", "1", b"something").await;
    let digest = Digest::sha256(b"layer");
    assert_eq!(
        server.get(&format!("/v2/other/blobs/{digest}")).await.error(),
        "404 BLOB_UNKNOWN"
    );
    assert_eq!(
        server.get(&format!("/v2/secret/blobs/{digest}")).await.status,
        200
    );
    let manifest = Digest::sha256(&crate::harness::image(b"layer"));
    let reply = server.get(&format!("/v2/other/manifests/{manifest}")).await;
    assert_eq!(reply.error(), "404 MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn ns_names_the_registry_that_a_node_means() {
    let server = Server::start(AnonymousPull::All).await;
    let hub = server.put_image("docker.io/library/nginx", "1", b"hub").await;
    let port = server
        .put_image("h.example_8443/library/nginx", "1", b"port")
        .await;
    let own = server.put_image("library/nginx", "1", b"own").await;
    let listen = format!("?ns={}", server.addr);
    for (query, expected) in [
        ("?ns=docker.io", Ok(&hub)),
        ("?ns=registry-1.docker.io", Ok(&hub)),
        ("?ns=h.example:8443", Ok(&port)),
        ("?ns=h.example%3A8443", Ok(&port)),
        ("?ns=registry.corp.example:5000", Ok(&own)),
        (&listen, Ok(&own)),
        ("", Ok(&own)),
        ("?ns=quay.io", Err("404 NAME_UNKNOWN")),
        ("?ns=", Err("400 NAME_INVALID")),
        ("?ns=..%2F..", Err("400 NAME_INVALID")),
        ("?ns=http://docker.io", Err("400 NAME_INVALID")),
        ("?ns=docker.io&ns=quay.io", Err("400 UNSUPPORTED")),
    ] {
        let reply = server.get(&format!("/v2/library/nginx/manifests/1{query}")).await;
        match expected {
            Ok(manifest) => assert!(reply.body == *manifest, "{query}: {}", reply.text()),
            Err(error) => assert_eq!(reply.error(), error, "{query}"),
        }
    }
    let tags = server.get("/v2/library/nginx/tags/list?ns=docker.io").await;
    assert_eq!(
        tags.json(),
        serde_json::json!({"name": "library/nginx", "tags": ["1"]})
    );
}

#[tokio::test]
async fn what_was_served_is_counted() {
    let server = Server::start(AnonymousPull::All).await;
    let digest = server.put_blob("a", &[7; 1000]).await;
    server.get(&format!("/v2/a/blobs/{digest}")).await;
    server.get("/v2/nowhere").await;
    let rows: Vec<String> = server
        .registry
        .metrics()
        .requests()
        .iter()
        .map(|row| format!("{} {} {} {}", row.method, row.route, row.status, row.count))
        .collect();
    assert_eq!(rows, ["GET blob 2xx 1", "GET other 4xx 1", "POST upload 2xx 1"]);
    let metrics = server.registry.metrics();
    assert_eq!(
        metrics.bytes_served.load(std::sync::atomic::Ordering::Relaxed),
        1000
    );
    assert_eq!(
        metrics.bytes_received.load(std::sync::atomic::Ordering::Relaxed),
        1000
    );
}
