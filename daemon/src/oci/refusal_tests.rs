use http::HeaderValue;

use super::*;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn kind_of(status: u16, path: &str, reading: bool, credential: bool, body: &str) -> ErrorKind {
    error_of(status, path, reading, credential, body).kind
}

fn error_of(status: u16, path: &str, reading: bool, credential: bool, body: &str) -> RegistryError {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: &HeaderMap::new(),
        body: body.as_bytes(),
        subject: Subject::of_path(path),
        reading,
        credential,
        hidden: &Hidden::default(),
        now: now(),
    }
    .error("r.example", "read")
}

fn code(code: &str) -> String {
    format!(r#"{{"errors":[{{"code":"{code}","message":"m","detail":{{"x":1}}}}]}}"#)
}

#[test]
fn subjects() {
    for (path, subject) in [
        ("/v2/", Subject::Base),
        ("/v2/a/manifests/latest", Subject::Manifest),
        ("/v2/a/blobs/sha256:0", Subject::Blob),
        ("/v2/a/blobs/uploads/", Subject::Upload),
        ("/v2/a/blobs/uploads/1", Subject::Upload),
        ("/v2/a/manifests/b/blobs/sha256:0", Subject::Blob),
        ("/v2/a/blobs/uploads/manifests/1", Subject::Manifest),
        ("/v2/a/tags/list?n=1", Subject::Repository),
        ("/v2/a/referrers/sha256:0", Subject::Manifest),
        ("/other", Subject::Repository),
    ] {
        assert_eq!(Subject::of_path(path), subject, "{path}");
    }
}

#[test]
fn kinds() {
    let (manifest, blob, tags) = ("/v2/a/manifests/1", "/v2/a/blobs/sha256:0", "/v2/a/tags/list");
    let upload = "/v2/a/blobs/uploads/";
    let read = |status, path, body: &str| kind_of(status, path, true, true, body);
    let write = |status, path, body: &str| kind_of(status, path, false, true, body);
    assert_eq!(
        read(404, manifest, &code("MANIFEST_UNKNOWN")),
        ErrorKind::ManifestUnknown
    );
    assert_eq!(
        read(404, manifest, &code("NAME_UNKNOWN")),
        ErrorKind::RepositoryUnknown
    );
    assert_eq!(read(404, manifest, ""), ErrorKind::ManifestUnknown);
    assert_eq!(
        read(404, manifest, &code("NOT_FOUND")),
        ErrorKind::ManifestUnknown
    );
    assert_eq!(read(404, blob, ""), ErrorKind::BlobUnknown);
    assert_eq!(read(404, tags, ""), ErrorKind::RepositoryUnknown);
    assert_eq!(read(404, "/v2/", "<html>"), ErrorKind::NotARegistry);
    assert_eq!(read(403, manifest, ""), ErrorKind::Denied);
    assert_eq!(read(403, manifest, &code("DENIED")), ErrorKind::Denied);
    assert_eq!(
        read(401, manifest, &code("UNAUTHORIZED")),
        ErrorKind::CredentialsRejected
    );
    assert_eq!(kind_of(401, manifest, true, false, ""), ErrorKind::LoginRequired);
    assert_eq!(read(429, manifest, ""), ErrorKind::RateLimited);
    assert_eq!(
        read(403, manifest, &code("TOOMANYREQUESTS")),
        ErrorKind::RateLimited
    );
    assert_eq!(
        read(503, manifest, &code("TOOMANYREQUESTS")),
        ErrorKind::RateLimited
    );
    assert_eq!(read(500, manifest, "<html>"), ErrorKind::ServerError);
    assert_eq!(read(501, manifest, ""), ErrorKind::Unsupported);
    assert_eq!(read(418, manifest, ""), ErrorKind::Malformed);
    assert_eq!(
        read(400, "/v2/", "Client sent an HTTP request to an HTTPS server.\n"),
        ErrorKind::TlsHttpMismatch
    );
    assert_eq!(
        write(405, manifest, &code("UNSUPPORTED")),
        ErrorKind::WriteRefused
    );
    assert_eq!(write(409, manifest, ""), ErrorKind::WriteRefused);
    assert_eq!(write(413, upload, ""), ErrorKind::TooLarge);
    assert_eq!(write(400, upload, &code("DIGEST_INVALID")), ErrorKind::Integrity);
    assert_eq!(
        write(400, manifest, &code("MANIFEST_BLOB_UNKNOWN")),
        ErrorKind::BlobUnknown
    );
    assert_eq!(
        write(404, manifest, &code("MANIFEST_BLOB_UNKNOWN")),
        ErrorKind::BlobUnknown
    );
    assert_eq!(write(404, upload, ""), ErrorKind::BlobUnknown);
    assert_eq!(
        write(404, upload, &code("NAME_UNKNOWN")),
        ErrorKind::RepositoryUnknown
    );
    assert_eq!(write(507, upload, ""), ErrorKind::ServerError);
    assert_eq!(
        write(400, manifest, &code("SOMETHING_ELSE")),
        ErrorKind::WriteRefused
    );
}

#[test]
fn words() {
    let text = |body: &str| error_of(500, "/v2/", true, true, body).detail;
    assert_eq!(text(&code("DENIED")), "DENIED: m");
    assert_eq!(
        text(r#"{"errors":[{"code":"A","message":"one"},{"code":"B","message":"two","detail":"more"}]}"#),
        "A: one; B: two: more"
    );
    assert_eq!(
        text(r#"{"details":"incorrect username or password"}"#),
        "incorrect username or password"
    );
    assert_eq!(
        text(r#"{"error":"invalid_grant","error_description":"too old"}"#),
        "invalid_grant: too old"
    );
    assert_eq!(
        text(r#"{"errors":[{"code":7}]}"#),
        "HTTP 500 Internal Server Error"
    );
    assert_eq!(
        text("<!DOCTYPE html><html><TITLE> Log in </TITLE>"),
        "an HTML page: Log in"
    );
    assert_eq!(text("<html>"), "an HTML page");
    assert_eq!(text(""), "HTTP 500 Internal Server Error");
    assert_eq!(text("plain \u{1b}[31m words\n"), "plain \\u{1b}[31m words");
    let lossy = error_of_bytes(b"\xff\xfe");
    assert_eq!(lossy, "\u{fffd}\u{fffd}");
    assert!(text(&"x".repeat(10_000)).chars().count() <= 257);
}

fn error_of_bytes(body: &[u8]) -> String {
    Words::of(body).text
}

#[test]
fn expired_tokens_are_known_by_their_words() {
    let ecr = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;
    assert!(says_expired(&error_of(403, "/v2/a/manifests/1", true, true, ecr)));
    assert!(!says_expired(&error_of(
        403,
        "/v2/a/manifests/1",
        true,
        true,
        &code("DENIED")
    )));
}

#[test]
fn retry_after_forms() {
    let of = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        retry_after(&headers, now()).map(|wait| wait.as_secs())
    };
    for (text, expected) in [
        ("0", Some(0)),
        ("7", Some(7)),
        (" 7 ", Some(7)),
        ("3600", Some(3600)),
        ("7200", Some(3600)),
        ("315360000", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("99999999999999999999999", None),
        ("Fri, 02 Jan 2026 03:04:35 GMT", Some(30)),
        ("Fri, 02 Jan 2026 03:00:00 GMT", Some(0)),
        ("Fri, 02 Jan 2026 05:04:05 GMT", Some(3600)),
        ("Fri, 02 Jan 2036 05:04:05 GMT", None),
        ("Mon, 02 Jan 2026 03:04:35 GMT", None),
    ] {
        assert_eq!(of(text), expected, "{text}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), now()), None);
}

#[test]
fn docker_hub_counts_pulls() {
    let of = |limit: &str, remaining: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit-limit", HeaderValue::from_str(limit).unwrap());
        headers.insert("ratelimit-remaining", HeaderValue::from_str(remaining).unwrap());
        rate_limit(&headers).map(|said| (said.limit, said.remaining, said.window.map(|w| w.as_secs())))
    };
    assert_eq!(of("100;w=21600", "0;w=21600"), Some((100, 0, Some(21600))));
    assert_eq!(of("100", "76"), Some((100, 76, None)));
    assert_eq!(of("100, 100;w=10", "76"), None);
    assert_eq!(of("many", "76"), None);
    assert_eq!(rate_limit(&HeaderMap::new()), None);
}

#[test]
fn clocks_apart_are_told() {
    let of = |date: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        clock_skew(&headers, now())
    };
    assert_eq!(of("Fri, 02 Jan 2026 03:04:55 GMT"), None);
    assert_eq!(
        of("Fri, 02 Jan 2026 05:04:05 GMT").as_deref(),
        Some("its clock is 7200 s ahead of ours")
    );
    assert_eq!(
        of("Fri, 02 Jan 2026 01:04:05 GMT").as_deref(),
        Some("its clock is 7200 s behind ours")
    );
    assert_eq!(of("yesterday"), None);
}
