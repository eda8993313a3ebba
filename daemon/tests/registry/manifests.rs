//! Writing manifests: what is refused, and with which words.

use serde_json::json;
use syncd_config::Digest;
use syncd_config::config::AnonymousPull;

use crate::harness::{OCI_INDEX, OCI_MANIFEST, Request, Server, descriptor, image};

async fn put(server: &Server, reference: &str, media_type: Option<&str>, body: &[u8]) -> String {
    let mut request = Request::new("PUT", &format!("/v2/a/manifests/{reference}")).user("writer");
    if let Some(media_type) = media_type {
        request = request.header("Content-Type", media_type);
    }
    request.body(body).send(server).await.error()
}

#[tokio::test]
async fn a_manifest_is_stored_by_tag_and_by_digest() {
    let server = Server::start(AnonymousPull::All).await;
    server.put_blob("a", b"{}").await;
    server.put_blob("a", b"layer").await;
    let manifest = image(b"layer");
    let digest = Digest::sha256(&manifest).to_string();
    let with_parameter = format!("{OCI_MANIFEST}; charset=utf-8");
    for (reference, media_type) in [
        ("1", Some(OCI_MANIFEST)),
        (&digest, Some(OCI_MANIFEST)),
        ("2", Some(&with_parameter)),
        ("3", None),
    ] {
        assert_eq!(
            put(&server, reference, media_type, &manifest).await,
            "201",
            "{reference}"
        );
        assert_eq!(
            server.get(&format!("/v2/a/manifests/{reference}")).await.body,
            manifest
        );
    }
    let reply = server.write("PUT", "/v2/a/manifests/1", &manifest).await;
    assert_eq!(reply.header("location"), format!("/v2/a/manifests/{digest}"));
    assert_eq!(reply.header("docker-content-digest"), digest);
}

#[tokio::test]
async fn a_manifest_whose_blobs_are_not_there_is_refused_with_their_digests() {
    let server = Server::start(AnonymousPull::All).await;
    server.put_blob("a", b"{}").await;
    server.put_blob("elsewhere", b"layer").await;
    let request = Request::new("PUT", "/v2/a/manifests/1")
        .user("writer")
        .header("Content-Type", OCI_MANIFEST);
    let reply = request.body(&image(b"layer")).send(&server).await;
    assert_eq!(reply.error(), "400 MANIFEST_BLOB_UNKNOWN");
    let errors = reply.json()["errors"].clone();
    assert_eq!(errors.as_array().unwrap().len(), 1);
    assert_eq!(errors[0]["detail"], Digest::sha256(b"layer").to_string());
    assert_eq!(server.get("/v2/a/manifests/1").await.status, 404);
    // There, but of another size than the manifest says.
    let mut lying = image(b"{}");
    let text = String::from_utf8(lying.clone())
        .unwrap()
        .replacen("\"size\":2", "\"size\":3", 1);
    lying = text.into_bytes();
    assert_eq!(
        put(&server, "1", Some(OCI_MANIFEST), &lying).await,
        "400 MANIFEST_BLOB_UNKNOWN"
    );
    let index =
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(OCI_MANIFEST, b"x")]});
    let index = serde_json::to_vec(&index).unwrap();
    assert_eq!(
        put(&server, "1", Some(OCI_INDEX), &index).await,
        "400 MANIFEST_BLOB_UNKNOWN"
    );
}

#[tokio::test]
async fn what_need_not_be_there() {
    let server = Server::start(AnonymousPull::All).await;
    server.put_blob("a", b"{}").await;
    let foreign = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar", b"foreign")],
        "subject": descriptor(OCI_MANIFEST, b"nowhere"),
    });
    let foreign = serde_json::to_vec(&foreign).unwrap();
    assert_eq!(put(&server, "1", Some(OCI_MANIFEST), &foreign).await, "201");
    let empty =
        serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})).unwrap();
    assert_eq!(put(&server, "2", Some(OCI_INDEX), &empty).await, "201");
}

#[tokio::test]
async fn manifests_that_break_the_rules() {
    let server = Server::start(AnonymousPull::All).await;
    server.put_blob("a", b"{}").await;
    let good = image(b"{}");
    let other = Digest::sha256(b"other").to_string();
    let config = descriptor("application/vnd.oci.image.config.v1+json", b"{}");
    let two_ways = json!({"schemaVersion": 2, "config": config, "layers": [], "manifests": []});
    let traversal = json!({"schemaVersion": 2, "config": config, "layers": [
        {"mediaType": "x", "digest": "sha256:../../../../etc/passwd", "size": 1}]});
    let deep = "[".repeat(100_000);
    let large = vec![b' '; 4 * 1024 * 1024 + 1];
    let cases: [(&str, &str, Vec<u8>, &str); 11] = [
        ("1", OCI_INDEX, good.clone(), "400 MANIFEST_INVALID"),
        ("1", "text/html", good.clone(), "400 MANIFEST_INVALID"),
        (
            "1",
            OCI_MANIFEST,
            two_ways.to_string().into_bytes(),
            "400 MANIFEST_INVALID",
        ),
        (
            "1",
            OCI_MANIFEST,
            traversal.to_string().into_bytes(),
            "400 MANIFEST_INVALID",
        ),
        ("1", OCI_MANIFEST, b"".to_vec(), "400 MANIFEST_INVALID"),
        ("1", OCI_MANIFEST, b"\xff\xfe".to_vec(), "400 MANIFEST_INVALID"),
        ("1", OCI_MANIFEST, deep.into_bytes(), "400 MANIFEST_INVALID"),
        ("1", OCI_MANIFEST, large, "413 SIZE_INVALID"),
        (&other, OCI_MANIFEST, good.clone(), "400 DIGEST_INVALID"),
        ("sha256:abc", OCI_MANIFEST, good.clone(), "400 DIGEST_INVALID"),
        (".bad", OCI_MANIFEST, good, "400 MANIFEST_INVALID"),
    ];
    for (reference, media_type, body, expected) in cases {
        let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(
            put(&server, reference, Some(media_type), &body).await,
            expected,
            "{reference} {start}"
        );
    }
    assert_eq!(server.get("/v2/a/manifests/1").await.status, 404);
}

#[tokio::test]
async fn a_tag_moves_and_what_it_left_stays_by_digest() {
    let server = Server::start(AnonymousPull::All).await;
    let old = server.put_image("a", "1", b"old").await;
    let new = server.put_image("a", "1", b"new").await;
    assert_eq!(server.get("/v2/a/manifests/1").await.body, new);
    let by_digest = format!("/v2/a/manifests/{}", Digest::sha256(&old));
    assert_eq!(server.get(&by_digest).await.body, old);
}

#[tokio::test]
async fn tags_and_manifests_are_deleted_by_who_may_push() {
    let server = Server::start(AnonymousPull::All).await;
    let manifest = server.put_image("a", "1", b"layer").await;
    server.put_manifest("a", "2", &manifest).await;
    let by_digest = format!("/v2/a/manifests/{}", Digest::sha256(&manifest));
    assert_eq!(
        Request::new("DELETE", "/v2/a/manifests/1")
            .send(&server)
            .await
            .status,
        401
    );
    assert_eq!(
        Request::new("DELETE", "/v2/a/manifests/1")
            .user("reader")
            .send(&server)
            .await
            .status,
        403
    );
    assert_eq!(server.write("DELETE", "/v2/a/manifests/1", b"").await.status, 202);
    assert_eq!(
        server.write("DELETE", "/v2/a/manifests/1", b"").await.error(),
        "404 MANIFEST_UNKNOWN"
    );
    assert_eq!(server.get(&by_digest).await.status, 200);
    assert_eq!(server.write("DELETE", &by_digest, b"").await.status, 202);
    assert_eq!(server.get("/v2/a/manifests/2").await.status, 404);
    assert_eq!(server.get(&by_digest).await.status, 404);
    let blob = format!("/v2/a/blobs/{}", Digest::sha256(b"layer"));
    assert_eq!(
        server.write("DELETE", &blob, b"").await.error(),
        "405 UNSUPPORTED"
    );
}
