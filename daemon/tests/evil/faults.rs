//! Servers that are broken rather than cunning: each fault ends soon, with its own class, and
//! within bounds.

use std::time::Duration;

use futures::StreamExt as _;
use http::{HeaderMap, Method};
use syncd::oci::{ErrorKind, RegistryClient, RegistryError, RegistryRequest, RequestBody};
use syncd_config::RegistryHost;
use tokio::time::{Instant, timeout};

use super::client::*;
use super::logs;
use super::server::*;

const MANIFEST: &str = "/v2/a/manifests/1";
const BLOB: &str = "/v2/a/blobs/sha256:0";
const LIMIT: Duration = Duration::from_secs(5);

async fn read_all(client: &RegistryClient, host: &RegistryHost, size: u64) -> Result<u64, RegistryError> {
    let mut stream = get(client, host, BLOB).await?.stream(size);
    let mut bytes = 0;
    while let Some(chunk) = stream.next().await {
        bytes += chunk?.len() as u64;
    }
    Ok(bytes)
}

fn raw(text: &str) -> Act {
    Act::Say(text.as_bytes().to_vec())
}

/// The kinds of reading it as a manifest (4 MiB at most) and as a blob of 5 bytes.
async fn kinds(act: Act) -> (Result<(), ErrorKind>, Result<(), ErrorKind>) {
    let server = Server::plain(move |_, _| act.clone()).await;
    let (host, client) = (server.host(), plain_client(&server.host()));
    let manifest = timeout(LIMIT, async {
        get(&client, &host, MANIFEST).await?.bytes(4 << 20).await
    });
    let manifest = manifest.await.expect("an end").map(|_| ());
    let blob = timeout(LIMIT, read_all(&client, &host, 5))
        .await
        .expect("an end")
        .map(|_| ());
    for error in [&manifest, &blob]
        .into_iter()
        .filter_map(|result| result.as_ref().err())
    {
        logs::assert_clean_error(error);
        assert_eq!(error.place, host.as_str());
    }
    (manifest.map_err(|e| e.kind), blob.map_err(|e| e.kind))
}

#[tokio::test]
async fn every_fault_has_its_class() {
    use ErrorKind::*;
    let ok = "HTTP/1.1 200 OK\r\n";
    let slowly = |head: &str, part: &str, count: usize| {
        let mut parts = vec![head.as_bytes().to_vec()];
        parts.resize(count + 1, part.as_bytes().to_vec());
        Act::Slowly(parts, Duration::from_millis(50))
    };
    let flood = |head: String, bytes: u64| Act::Flood(head.into_bytes(), bytes);
    for (name, act, manifest, blob) in [
        (
            "all is well",
            raw(&format!("{ok}Content-Length: 5\r\n\r\nhello")),
            Ok(()),
            Ok(()),
        ),
        ("hangs up", Act::Close, Err(ConnectionReset), Err(ConnectionReset)),
        ("says nothing", Act::Hang(Vec::new()), Err(Timeout), Err(Timeout)),
        ("half a head", Act::Hang(ok.into()), Err(Timeout), Err(Timeout)),
        (
            "a head, then nothing",
            Act::Hang(format!("{ok}Content-Length: 5\r\n\r\n").into()),
            Err(Timeout),
            Err(Timeout),
        ),
        (
            "a trickle",
            slowly(&format!("{ok}Content-Length: 5000\r\n\r\n"), "x", 40),
            Err(Timeout),
            Err(TooLarge),
        ),
        (
            "an early end",
            Act::Slowly(
                vec![format!("{ok}Content-Length: 5\r\n\r\nhel").into()],
                Duration::ZERO,
            ),
            Err(ConnectionReset),
            Err(ConnectionReset),
        ),
        (
            "an early end without a length",
            Act::Slowly(
                vec![format!("{ok}Connection: close\r\n\r\nhel").into()],
                Duration::ZERO,
            ),
            Ok(()),
            Err(ConnectionReset),
        ),
        (
            "one byte too many",
            raw(&format!("{ok}Content-Length: 6\r\n\r\nhello!")),
            Ok(()),
            Err(TooLarge),
        ),
        (
            "200 MiB",
            flood(format!("{ok}Connection: close\r\n\r\n"), 200 << 20),
            Err(TooLarge),
            Err(TooLarge),
        ),
        (
            "512 MiB declared",
            Act::Hang(format!("{ok}Content-Length: 536870912\r\n\r\n").into()),
            Err(TooLarge),
            Err(Timeout),
        ),
        (
            "both lengths",
            raw(&format!(
                "{ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            )),
            Err(Malformed),
            Err(Malformed),
        ),
        (
            "two lengths",
            raw(&format!(
                "{ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
            )),
            Err(Malformed),
            Err(Malformed),
        ),
        (
            "chunked garbage",
            raw(&format!("{ok}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n")),
            Err(Malformed),
            Err(Malformed),
        ),
        (
            "no HTTP at all",
            raw("SSH-2.0-OpenSSH_9.6\r\n\r\n"),
            Err(Malformed),
            Err(Malformed),
        ),
        (
            "a head without end",
            flood(format!("{ok}X: "), 4 << 20),
            Err(Malformed),
            Err(Malformed),
        ),
        (
            "a web page",
            answer(
                "200 OK",
                &[("Content-Type", "text/html; charset=utf-8")],
                "<html>",
            ),
            Err(NotARegistry),
            Err(TooLarge),
        ),
        (
            "a TLS alert",
            Act::Say(vec![0x15, 0x03, 0x03, 0, 2, 2, 10]),
            Err(TlsHttpMismatch),
            Err(TlsHttpMismatch),
        ),
        (
            "what TLS servers say to plain http",
            answer(
                "400 Bad Request",
                &[],
                "Client sent an HTTP request to an HTTPS server.\n",
            ),
            Err(TlsHttpMismatch),
            Err(TlsHttpMismatch),
        ),
        (
            "an empty error",
            answer("500 Oops", &[], ""),
            Err(ServerError),
            Err(ServerError),
        ),
        (
            "an error body of 100 MiB",
            flood(
                "HTTP/1.1 500 Oops\r\nContent-Length: 104857600\r\n\r\n".into(),
                100 << 20,
            ),
            Err(ServerError),
            Err(ServerError),
        ),
        (
            "an error body that never comes",
            Act::Hang("HTTP/1.1 503 Oops\r\nContent-Length: 10\r\n\r\n".into()),
            Err(ServerError),
            Err(ServerError),
        ),
    ] {
        let start = Instant::now();
        let got = kinds(act).await;
        assert_eq!(got, (manifest, blob), "{name}");
        assert!(start.elapsed() < LIMIT, "{name}");
    }
    logs::assert_clean();
}

#[tokio::test]
async fn the_head_answer_of_a_large_object_is_no_large_body() {
    let server = Server::plain(|_, _| raw("HTTP/1.1 200 OK\r\nContent-Length: 536870912\r\n\r\n")).await;
    let client = plain_client(&server.host());
    let head = RegistryRequest::new("look", Method::HEAD, BLOB, pull("a"));
    let response = client.send(&server.host(), head).await.unwrap();
    assert_eq!(response.headers["content-length"], "536870912");
    assert_eq!(response.bytes(0).await.unwrap(), "");
}

#[tokio::test]
async fn retries_are_counted() {
    let limited = |after: &str| answer("429 Slow down", &[("Retry-After", after)], "");
    let fine = || answer("200 OK", &[], "hello");
    let broken = || answer("503 Oops", &[("Retry-After", "0")], "");
    for (name, acts, wanted, requests) in [
        ("at once", vec![fine()], Ok("hello"), 1),
        ("after one", vec![limited("0"), fine()], Ok("hello"), 2),
        (
            "after four",
            vec![broken(), broken(), limited("0"), broken(), fine()],
            Ok("hello"),
            5,
        ),
        ("never", vec![broken()], Err(ErrorKind::ServerError), 5),
        (
            "limited for ever",
            vec![limited("0")],
            Err(ErrorKind::RateLimited),
            5,
        ),
        (
            "too long to wait",
            vec![limited("121")],
            Err(ErrorKind::RateLimited),
            1,
        ),
        (
            "a date that has passed",
            vec![limited("Fri, 02 Jan 2026 03:04:00 GMT"), fine()],
            Ok("hello"),
            2,
        ),
        (
            "a date too far",
            vec![limited("Fri, 02 Jan 2026 04:04:00 GMT")],
            Err(ErrorKind::RateLimited),
            1,
        ),
        (
            "not found",
            vec![answer("404 Not Found", &[], "")],
            Err(ErrorKind::ManifestUnknown),
            1,
        ),
        ("cut once", vec![Act::Close, fine()], Ok("hello"), 2),
    ] {
        let server = Server::plain(in_order(acts)).await;
        let client = client(&[entry(&server.host(), true)], user(&server.host()));
        let got = text(get(&client, &server.host(), MANIFEST).await).await;
        assert_eq!(got.as_deref().map_err(|e| e.kind), wanted, "{name}");
        assert_eq!(server.seen().len(), requests, "{name}");
        assert_eq!(client.requests(&server.host()), requests as u64, "{name}");
    }
}

#[tokio::test]
async fn a_told_wait_is_told_on() {
    let server = Server::plain(|_, _| {
        answer(
            "429 Slow down",
            &[
                ("Retry-After", "600"),
                ("RateLimit-Limit", "100;w=21600"),
                ("RateLimit-Remaining", "0;w=21600"),
            ],
            "",
        )
    })
    .await;
    let client = client(&[entry(&server.host(), true)], user(&server.host()));
    let first = text(get(&client, &server.host(), MANIFEST).await)
        .await
        .unwrap_err();
    assert_eq!(first.retry_after, Some(Duration::from_secs(600)));
    let second = text(get(&client, &server.host(), MANIFEST).await)
        .await
        .unwrap_err();
    assert_eq!(second.kind, ErrorKind::RateLimited);
    assert!(second.retry_after > Some(Duration::from_secs(590)));
    assert_eq!(
        server.seen().len(),
        1,
        "nobody asks again before the time is over"
    );
    let left = client.rate_limit(&server.host()).unwrap();
    assert_eq!(
        (left.limit, left.remaining, left.window),
        (100, 0, Some(Duration::from_secs(21600)))
    );
}

#[tokio::test]
async fn no_more_connections_than_allowed() {
    let server = Server::plain(|_, _| {
        let parts = vec![
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe".into(),
            "llo".into(),
        ];
        Act::Slowly(parts, Duration::from_millis(20))
    })
    .await;
    let mut own = entry(&server.host(), true);
    own.limits.connections = 2;
    let client = client(&[own], user(&server.host()));
    let all = (0..10).map(|_| async { read_all(&client, &server.host(), 5).await.unwrap() });
    assert_eq!(futures::future::join_all(all).await, vec![5; 10]);
    assert_eq!(server.most_connections(), 2);
    assert_eq!(server.seen().len(), 10);
}

/// A copy within one registry holds a read while it writes, and a broken read goes on while the
/// write waits: with one connection each, none of it may wait for the other.
#[tokio::test]
async fn a_copy_within_one_registry_cannot_block_itself() {
    let server = Server::plain(|seen, _| match seen.line.split(' ').next().unwrap() {
        "GET" => answer("200 OK", &[], "hello"),
        _ => answer("202 Accepted", &[("Location", "/v2/a/blobs/uploads/1")], ""),
    })
    .await;
    let mut own = entry(&server.host(), true);
    own.limits.connections = 1;
    let (client, host) = (client(&[own], user(&server.host())), server.host());
    let copy = async {
        let read = get(&client, &host, BLOB).await.unwrap();
        let start = RegistryRequest::new("start", Method::POST, "/v2/a/blobs/uploads/", pull("a"));
        client.send(&host, start).await.unwrap();
        let asked = RegistryRequest::new("ask", Method::GET, "/v2/a/blobs/uploads/1", pull("a"));
        client.send(&host, asked).await.unwrap();
        let (again, from) = (client.clone(), host.clone());
        let body = read.stream(5).chain(futures::stream::once(async move {
            // Another read takes the free place first.
            let _other = get(&again, &from, BLOB).await.unwrap();
            let mut rest = RegistryRequest::new("go on", Method::GET, BLOB, pull("a"));
            rest.continues = true;
            again.send(&from, rest).await?.bytes(5).await
        }));
        let mut request = put(10, Vec::new());
        request.body = RequestBody::Stream {
            len: 10,
            stream: Box::pin(body),
        };
        client.send(&host, request).await.unwrap();
    };
    timeout(LIMIT, copy).await.expect("an end");
    assert_eq!(server.seen().last().unwrap().body, b"hellohello");
}

fn put(len: u64, chunks: Vec<Result<bytes::Bytes, RegistryError>>) -> RegistryRequest {
    RegistryRequest {
        headers: HeaderMap::new(),
        body: RequestBody::Stream {
            len,
            stream: Box::pin(futures::stream::iter(chunks)),
        },
        ..RegistryRequest::new("upload", Method::PUT, "/v2/a/blobs/uploads/1", pull("a"))
    }
}

#[tokio::test]
async fn a_streamed_body_is_sent_once_and_whole() {
    let server = Server::plain(|_, _| answer("503 Oops", &[("Retry-After", "0")], "")).await;
    let client = client(&[entry(&server.host(), true)], user(&server.host()));
    let host = server.host();
    let error = client
        .send(&host, put(5, vec![Ok("hello".into())]))
        .await
        .err()
        .unwrap();
    assert_eq!((error.kind, server.seen().len()), (ErrorKind::ServerError, 1));
    assert_eq!(server.seen()[0].header("content-length"), Some("5"));

    // What the source says is what the caller hears.
    let source = RegistryError::new(ErrorKind::Integrity, "source.example", "read a blob");
    let error = client
        .send(&host, put(5, vec![Ok("he".into()), Err(source)]))
        .await
        .err()
        .unwrap();
    assert_eq!(
        (error.kind, &*error.place),
        (ErrorKind::Integrity, "source.example")
    );
    for (len, chunk) in [(5, "hell"), (5, "hello!")] {
        let error = client
            .send(&host, put(len, vec![Ok(chunk.into())]))
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind, ErrorKind::Io, "{chunk}");
    }
    assert_eq!(
        server.seen().iter().filter(|seen| seen.body.len() == 5).count(),
        1
    );
}

#[tokio::test]
async fn a_peer_that_takes_no_more_is_noticed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host: RegistryHost = listener.local_addr().unwrap().to_string().parse().unwrap();
    let accepted = tokio::spawn(async move { listener.accept().await.unwrap() });
    let client = plain_client(&host);
    let chunk = bytes::Bytes::from(vec![0; 1 << 20]);
    let chunks = (0..64).map(|_| Ok(chunk.clone())).collect();
    let sent = timeout(Duration::from_secs(10), client.send(&host, put(64 << 20, chunks))).await;
    assert_eq!(sent.expect("an end").err().unwrap().kind, ErrorKind::Timeout);
    drop(accepted);
}

#[tokio::test]
async fn the_end_of_an_upload_is_waited_for() {
    let later = vec![
        Vec::new(),
        b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".to_vec(),
    ];
    let server = Server::plain(move |_, _| Act::Slowly(later.clone(), Duration::from_millis(600))).await;
    let client = plain_client(&server.host());
    let mut request = put(5, vec![Ok("hello".into())]);
    request.patience = syncd::oci::http::Patience::EndOfUpload;
    assert_eq!(client.send(&server.host(), request).await.unwrap().status, 201);
    let silent = Server::plain(|_, _| Act::Hang(Vec::new())).await;
    let request = put(5, vec![Ok("hello".into())]);
    let error = plain_client(&silent.host())
        .send(&silent.host(), request)
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::Timeout);
}

/// A reader that takes its time is no fault of the server's.
#[tokio::test]
async fn a_slow_reader_does_not_run_into_the_idle_deadline() {
    let server = Server::plain(|_, _| {
        Act::Flood(
            b"HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n".to_vec(),
            8 << 20,
        )
    })
    .await;
    let client = plain_client(&server.host());
    let mut stream = get(&client, &server.host(), BLOB).await.unwrap().stream(8 << 20);
    let mut bytes = stream.next().await.unwrap().unwrap().len();
    tokio::time::sleep(Duration::from_millis(700)).await;
    while let Some(chunk) = stream.next().await {
        bytes += chunk.unwrap().len();
    }
    assert_eq!(bytes, 8 << 20);
}
