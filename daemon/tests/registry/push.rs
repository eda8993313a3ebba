//! Writing blobs: whole, in chunks, by mount; and what breaks the rules.

use syncd_config::Digest;
use syncd_config::config::AnonymousPull;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Reply, Request, Server};

#[tokio::test]
async fn a_blob_in_chunks() {
    let server = Server::start(AnonymousPull::All).await;
    let content: Vec<u8> = (0..3_000_000u32)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect();
    let digest = Digest::sha256(&content);
    let path = server.begin("team/app").await;
    for (first, last) in [(0, 9), (10, 2_000_009), (2_000_010, 2_999_998)] {
        let range = format!("{first}-{last}");
        let request = Request::new("PATCH", &path)
            .user("writer")
            .header("Content-Range", &range);
        let reply = request.body(&content[first..=last]).send(&server).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        assert_eq!(reply.header("range"), format!("0-{last}"));
        assert_eq!(reply.header("location"), path);
        let status = server.write("GET", &path, b"").await;
        assert_eq!(
            (status.status, status.header("range")),
            (204, format!("0-{last}").as_str())
        );
    }
    let end = format!("{path}?digest={digest}");
    let reply = server.write("PUT", &end, &content[2_999_999..]).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.header("location"), format!("/v2/team/app/blobs/{digest}"));
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    assert!(server.get(&format!("/v2/team/app/blobs/{digest}")).await.body == content);
    assert_eq!(
        server.write("GET", &path, b"").await.error(),
        "404 BLOB_UPLOAD_UNKNOWN"
    );
}

#[tokio::test]
async fn a_blob_in_a_post_and_a_put_and_one_by_sha512() {
    let server = Server::start(AnonymousPull::All).await;
    let mut hash = syncd_config::digest::Hasher::new(syncd_config::digest::Algorithm::Sha512);
    hash.update(b"content");
    for digest in [Digest::sha256(b"content"), hash.finish()] {
        let path = server.begin("a").await;
        let reply = server
            .write("PUT", &format!("{path}?digest={digest}"), b"content")
            .await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        assert_eq!(
            server.get(&format!("/v2/a/blobs/{digest}")).await.body,
            b"content"
        );
    }
}

#[tokio::test]
async fn a_wrong_digest_leaves_nothing_behind() {
    let server = Server::start(AnonymousPull::All).await;
    let digest = Digest::sha256(b"right");
    let single = format!("/v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(
        server.write("POST", &single, b"wrong").await.error(),
        "400 DIGEST_INVALID"
    );
    let path = server.begin("a").await;
    assert_eq!(
        server
            .write("PUT", &format!("{path}?digest={digest}"), b"wrong")
            .await
            .error(),
        "400 DIGEST_INVALID"
    );
    assert_eq!(
        server.write("GET", &path, b"").await.error(),
        "404 BLOB_UPLOAD_UNKNOWN"
    );
    assert_eq!(server.head(&format!("/v2/a/blobs/{digest}")).await.status, 404);
    let temporary = std::fs::read_dir(server.dir.path().join("store/tmp"))
        .unwrap()
        .count();
    assert_eq!(temporary, 0);
}

#[tokio::test]
async fn chunks_that_break_the_rules() {
    let server = Server::start(AnonymousPull::All).await;
    let path = server.begin("a").await;
    let first = Request::new("PATCH", &path)
        .user("writer")
        .body(b"0123456789")
        .send(&server)
        .await;
    assert_eq!(first.header("range"), "0-9");
    for (range, chunked, expected) in [
        ("0-9", false, "416 BLOB_UPLOAD_INVALID"),
        ("11-20", false, "416 BLOB_UPLOAD_INVALID"),
        ("9-18", false, "416 BLOB_UPLOAD_INVALID"),
        (
            "18446744073709551615-18446744073709551615",
            false,
            "416 BLOB_UPLOAD_INVALID",
        ),
        ("10-18446744073709551615", false, "400 SIZE_INVALID"),
        ("10-20", false, "400 SIZE_INVALID"),
        ("10-18446744073709551616", false, "400 BLOB_UPLOAD_INVALID"),
        ("19-10", false, "400 BLOB_UPLOAD_INVALID"),
        ("-10-19", false, "400 BLOB_UPLOAD_INVALID"),
        ("ten-19", false, "400 BLOB_UPLOAD_INVALID"),
        ("10-19", true, "400 SIZE_INVALID"),
    ] {
        let request = Request::new("PATCH", &path)
            .user("writer")
            .header("Content-Range", range);
        // A body whose length only its end tells may be longer than its Content-Range.
        let request = if chunked {
            request.chunked(b"01234567890")
        } else {
            request.body(b"0123456789")
        };
        let reply = request.send(&server).await;
        assert_eq!(reply.error(), expected, "{range}");
        if reply.status == 416 {
            assert_eq!(
                (reply.header("range"), reply.header("location")),
                ("0-9", path.as_str())
            );
        }
    }
    let status = server.write("GET", &path, b"").await;
    assert_eq!(status.header("range"), "0-9", "none of these was taken in");
}

#[tokio::test]
async fn a_session_belongs_to_its_user_and_repository() {
    let server = Server::start(AnonymousPull::All).await;
    let path = server.begin("a").await;
    let elsewhere = path.replacen("/v2/a/", "/v2/b/", 1);
    let guess = "/v2/a/blobs/uploads/00000000000000000000000000000000";
    for (user, path) in [
        ("other", path.as_str()),
        ("writer", &elsewhere),
        ("writer", guess),
    ] {
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            let path = format!("{path}?digest={}", Digest::sha256(b""));
            let reply = Request::new(method, &path).user(user).send(&server).await;
            assert_eq!(reply.error(), "404 BLOB_UPLOAD_UNKNOWN", "{user} {method} {path}");
        }
    }
    assert_eq!(server.write("DELETE", &path, b"").await.status, 204);
    assert_eq!(
        server.write("DELETE", &path, b"").await.error(),
        "404 BLOB_UPLOAD_UNKNOWN"
    );
    let temporary = std::fs::read_dir(server.dir.path().join("store/tmp"))
        .unwrap()
        .count();
    assert_eq!(temporary, 0);
}

#[tokio::test]
async fn the_end_of_an_upload_needs_a_digest() {
    let server = Server::start(AnonymousPull::All).await;
    let path = server.begin("a").await;
    for query in [
        "",
        "?digest=",
        "?digest=sha256:abc",
        "?digest=md5:d41d8cd98f00b204e9800998ecf8427e",
    ] {
        let reply = server.write("PUT", &format!("{path}{query}"), b"x").await;
        assert_eq!(reply.error(), "400 DIGEST_INVALID", "{query}");
    }
    assert_eq!(
        server.write("GET", &path, b"").await.status,
        204,
        "the session is still there"
    );
}

#[tokio::test]
async fn a_mount_needs_the_blob_in_the_repository_it_names() {
    let server = Server::start(AnonymousPull::All).await;
    let digest = server.put_blob("from", b"content").await;
    for (query, status) in [
        (format!("?mount={digest}&from=from"), 201),
        (format!("?mount={digest}&from=empty"), 202),
        (format!("?mount={digest}"), 202),
        (format!("?mount={digest}&from=..%2F.."), 202),
        (format!("?mount={}&from=from", Digest::sha256(b"other")), 202),
        ("?mount=sha256:abc&from=from".to_owned(), 400),
    ] {
        let reply = server
            .write("POST", &format!("/v2/to/blobs/uploads/{query}"), b"")
            .await;
        assert_eq!(reply.status, status, "{query}");
        assert_eq!(
            reply.header("location").contains("/uploads/"),
            status == 202,
            "{query}"
        );
    }
    assert_eq!(
        server.get(&format!("/v2/to/blobs/{digest}")).await.body,
        b"content"
    );
}

#[tokio::test]
async fn a_push_with_ns_is_refused() {
    let server = Server::start(AnonymousPull::All).await;
    let digest = Digest::sha256(b"content");
    for (method, path) in [
        ("POST", "/v2/library/nginx/blobs/uploads/?ns=docker.io".to_owned()),
        (
            "POST",
            format!("/v2/a/blobs/uploads/?digest={digest}&ns=registry.corp.example:5000"),
        ),
        ("PUT", "/v2/library/nginx/manifests/1?ns=docker.io".to_owned()),
        ("DELETE", "/v2/library/nginx/manifests/1?ns=docker.io".to_owned()),
    ] {
        assert_eq!(
            server.write(method, &path, b"content").await.error(),
            "400 UNSUPPORTED",
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn an_upload_that_stops_coming_ends_and_can_be_resumed() {
    let server = Server::start(AnonymousPull::All).await;
    let path = server.begin("a").await;
    let mut stream = server.connect().await;
    let request = Request::new("PATCH", &path)
        .user("writer")
        .header("Content-Length", "10");
    stream.write_all(&request.body(b"012").bytes()).await.unwrap();
    // Taken in before the clock moves.
    while server
        .registry
        .metrics()
        .connections
        .load(std::sync::atomic::Ordering::Relaxed)
        == 0
    {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    let reply = Reply::read(&mut stream).await;
    tokio::time::resume();
    assert_eq!(reply.error(), "408 BLOB_UPLOAD_INVALID");
    let status = server.write("GET", &path, b"").await;
    assert_eq!(status.header("range"), "0-2");
    let digest = Digest::sha256(b"0123456789");
    let end = format!("{path}?digest={digest}");
    assert_eq!(server.write("PUT", &end, b"3456789").await.status, 201);
}

#[tokio::test]
async fn a_connection_cut_in_a_large_upload_leaves_the_session_usable() {
    let server = Server::start(AnonymousPull::All).await;
    let path = server.begin("a").await;
    let content = vec![5; 4_000_000];
    let mut stream = server.connect().await;
    let request = Request::new("PATCH", &path)
        .user("writer")
        .header("Content-Length", "9000000");
    stream.write_all(&request.body(&content).bytes()).await.unwrap();
    drop(stream);
    // The server learns of the cut when it reads; until then the session is held.
    let status = loop {
        let status = server.write("GET", &path, b"").await;
        match status.status {
            204 if status.header("range") == "0-3999999" => break status,
            204 | 409 => tokio::task::yield_now().await,
            _ => panic!("{}", status.text()),
        }
    };
    assert_eq!(status.header("range"), "0-3999999");
    let end = format!("{path}?digest={}", Digest::sha256(&content));
    assert_eq!(server.write("PUT", &end, b"").await.status, 201);
}

#[tokio::test]
async fn one_request_at_a_time_writes_to_a_session() {
    let server = Server::start(AnonymousPull::All).await;
    let path = server.begin("a").await;
    let mut stream = server.connect().await;
    let request = Request::new("PATCH", &path)
        .user("writer")
        .header("Content-Length", "10");
    stream.write_all(&request.body(b"01234").bytes()).await.unwrap();
    while server.write("GET", &path, b"").await.status != 409 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        server.write("PATCH", &path, b"x").await.error(),
        "409 BLOB_UPLOAD_INVALID"
    );
    stream.write_all(b"56789").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 202"));
}
