//! The base client by itself: what it sends, and what it does not do on its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_in_result
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Method};
use syncd_config::config::Proxy;
use syncd_providers::http::{
    HttpBody, HttpClient, HttpErrorKind, HttpRequest, HttpResponse, Profile, Reach, Timeouts,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers every request with the same bytes, and keeps what came.
async fn server(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/path?query=1", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let shared = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let seen = shared.clone();
            tokio::spawn(async move {
                let mut part = vec![0; 16 * 1024];
                while let Ok(read @ 1..) = tcp.read(&mut part).await {
                    seen.lock()
                        .unwrap()
                        .push(String::from_utf8_lossy(&part[..read]).into_owned());
                    tcp.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (url, seen)
}

fn profile(reach: Reach) -> Profile {
    Profile {
        ca_file: None,
        plain_http: true,
        proxy: Proxy::Direct,
        reach,
        timeouts: Timeouts {
            headers: Duration::from_millis(300),
            idle: Duration::from_millis(300),
            ..Timeouts::default()
        },
    }
}

async fn get(profile: &Profile, url: &str) -> Result<HttpResponse, HttpErrorKind> {
    let request = HttpRequest {
        method: Method::GET,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: HttpBody::Empty,
        headers_within: None,
    };
    let sent = HttpClient::new(profile).unwrap().send(request).await;
    sent.map_err(|error| error.kind())
}

#[tokio::test]
async fn asks_for_the_bytes_as_they_are() {
    // A packed body and a redirect are handed on as they came.
    let answer = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Encoding: gzip\r\n\
                  Set-Cookie: a=b\r\nContent-Length: 4\r\n\r\n\u{1}\u{2}\u{3}\u{4}";
    let (url, seen) = server(answer).await;
    let response = get(&profile(Reach::Local), &url).await.unwrap();
    assert_eq!(response.status, 302);
    assert!(response.peer.unwrap().ip().is_loopback());
    assert_eq!(response.bytes(4).await.unwrap(), "\u{1}\u{2}\u{3}\u{4}");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    let host = url[7..].split('/').next().unwrap();
    let mut lines: Vec<&str> = seen[0].trim_end().split("\r\n").collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "GET /path?query=1 HTTP/1.1",
            "accept-encoding: identity",
            &format!("host: {host}"),
            concat!("user-agent: syncd/", env!("CARGO_PKG_VERSION")),
        ]
    );
}

#[tokio::test]
async fn some_urls_are_not_requested() {
    let (url, seen) = server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let only_tls = Profile {
        plain_http: false,
        ..profile(Reach::Local)
    };
    let kind = async |profile: &Profile, url: &str| get(profile, url).await.err();
    assert_eq!(kind(&only_tls, &url).await, Some(HttpErrorKind::Forbidden));
    let local = profile(Reach::Local);
    let with_user = url.replace("http://", "http://user:secret@");
    assert_eq!(kind(&local, &with_user).await, Some(HttpErrorKind::Forbidden));
    assert_eq!(
        kind(&local, "ftp://127.0.0.1/").await,
        Some(HttpErrorKind::Forbidden)
    );
    for reach in [Reach::Public, Reach::Private] {
        assert_eq!(
            kind(&profile(reach), &url).await,
            Some(HttpErrorKind::AddressRefused)
        );
        // Judged after the name is resolved, too.
        let by_name = url.replace("127.0.0.1", "localhost");
        assert_eq!(
            kind(&profile(reach), &by_name).await,
            Some(HttpErrorKind::AddressRefused)
        );
    }
    assert_eq!(
        kind(&local, "http://169.254.169.254/").await,
        Some(HttpErrorKind::AddressRefused)
    );
    assert!(seen.lock().unwrap().is_empty());
    assert_eq!(kind(&local, &url.replace("127.0.0.1", "localhost")).await, None);
}

#[tokio::test]
async fn bodies_are_bounded() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n";
    let (url, _) = server(answer).await;
    let response = async || get(&profile(Reach::Local), &url).await.unwrap();
    assert_eq!(response().await.bytes(8).await.unwrap(), "helloyou");
    assert_eq!(
        response().await.bytes(7).await.unwrap_err().kind(),
        HttpErrorKind::TooLarge
    );
    assert_eq!(response().await.prefix(6).await.unwrap(), ("helloy".into(), true));
    assert_eq!(
        response().await.prefix(8).await.unwrap(),
        ("helloyou".into(), false)
    );
}
