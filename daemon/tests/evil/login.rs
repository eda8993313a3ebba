//! Logging in, against a registry that counts.

use super::client::*;
use super::server::*;

const MANIFEST: &str = "/v2/a/manifests/1";

#[tokio::test]
async fn without_a_challenge_there_is_no_login() {
    let server = Server::plain(|_, _| answer("200 OK", &[], "hello")).await;
    let client = plain_client(&server.host());
    assert_eq!(
        text(get(&client, &server.host(), MANIFEST).await).await.unwrap(),
        "hello"
    );
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, "GET /v2/a/manifests/1 HTTP/1.1");
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    assert_eq!(
        seen[0].header("user-agent"),
        Some(concat!("syncd/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(client.requests(&server.host()), 1);
}

#[tokio::test]
async fn basic_is_asked_for_once() {
    let server = Server::plain(|seen, _| match seen.header("authorization") {
        Some(_) => answer("200 OK", &[], "hello"),
        None => answer("401 Unauthorized", &[("WWW-Authenticate", "Basic realm=x")], ""),
    })
    .await;
    let client = plain_client(&server.host());
    for _ in 0..3 {
        assert_eq!(
            text(get(&client, &server.host(), MANIFEST).await).await.unwrap(),
            "hello"
        );
    }
    let seen = server.seen();
    let sent: Vec<_> = seen.iter().map(|seen| seen.header("authorization")).collect();
    let basic = format!("Basic {CANARY_BASIC}");
    assert_eq!(sent, [None, Some(&*basic), Some(&*basic), Some(&*basic)]);
    assert_eq!(client.requests(&server.host()), 4);
    assert_eq!(server.most_connections(), 1, "connections are kept");
}

#[tokio::test]
async fn bearer_costs_one_exchange_a_scope() {
    let server = Server::plain(token_registry).await;
    let client = plain_client(&server.host());
    for _ in 0..3 {
        assert_eq!(
            text(get(&client, &server.host(), MANIFEST).await).await.unwrap(),
            "hello"
        );
    }
    let lines: Vec<_> = server.seen().iter().map(|seen| seen.line.clone()).collect();
    assert_eq!(
        lines,
        [
            "GET /v2/a/manifests/1 HTTP/1.1",
            "GET /token?service=s&scope=repository%3Aa%3Apull HTTP/1.1",
            "GET /v2/a/manifests/1 HTTP/1.1",
            "GET /v2/a/manifests/1 HTTP/1.1",
            "GET /v2/a/manifests/1 HTTP/1.1",
        ]
    );
}

/// A registry that wants tokens, with its token endpoint on the same port.
pub(crate) fn token_registry(seen: &Seen, _: usize) -> Act {
    let host = seen.header("host").unwrap();
    let path = seen.line.split(' ').nth(1).unwrap();
    let authorization = seen.header("authorization");
    if path.starts_with("/token") {
        assert!(authorization.is_some_and(|a| a.starts_with("Basic ")));
        return answer(
            "200 OK",
            &[],
            &format!(r#"{{"token":"{TOKEN}","expires_in":300}}"#),
        );
    }
    match authorization {
        Some(value) if *value == format!("Bearer {TOKEN}") => answer("200 OK", &[], "hello"),
        _ => {
            let challenge =
                format!(r#"Bearer realm="http://{host}/token",service="s",scope="repository:a:pull""#);
            answer("401 Unauthorized", &[("WWW-Authenticate", &challenge)], "")
        }
    }
}
