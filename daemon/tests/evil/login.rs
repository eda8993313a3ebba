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

/// A server may repeat what it was sent; errors and logs must not.
#[tokio::test]
async fn a_credential_that_comes_back_is_not_shown() {
    super::logs::watch();
    type Script = fn(&Seen, usize) -> Act;
    let body: Script = |seen, _| match seen.header("authorization") {
        Some(sent) => answer(
            "403 Forbidden",
            &[("X-Sent", sent)],
            &format!(r#"{{"errors":[{{"code":"DENIED","message":"{sent} is {CANARY}"}}]}}"#),
        ),
        None => answer("401 Unauthorized", &[("WWW-Authenticate", "Basic realm=x")], ""),
    };
    let redirect: Script = |seen, _| match seen.header("authorization") {
        Some(_) => answer(
            "302 Found",
            &[("Location", &format!("/v2/{CANARY}/manifests/1"))],
            "",
        ),
        None => answer("401 Unauthorized", &[("WWW-Authenticate", "Basic realm=x")], ""),
    };
    let realm: Script = |seen, _| {
        let host = seen.header("host").unwrap();
        let challenge = format!(r#"Bearer realm="http://{host}/{CANARY}",service="s""#);
        answer("401 Unauthorized", &[("WWW-Authenticate", &challenge)], "")
    };
    let token: Script = |seen, n| match seen.line.starts_with("GET /token") {
        true => {
            let sent = seen.header("authorization").unwrap_or_default();
            answer("401 Unauthorized", &[], &format!(r#"{{"details":"no {sent}"}}"#))
        }
        false => token_registry(seen, n),
    };
    let bearer: Script = |seen, n| match seen.header("authorization") {
        Some(sent) if sent.starts_with("Bearer ") => answer("403 Forbidden", &[], sent),
        _ => token_registry(seen, n),
    };
    for (script, shown) in [
        (body, "DENIED: Basic **** is ****"),
        (redirect, "the redirect repeats the credential"),
        (realm, "the realm repeats the credential"),
        (token, "no Basic ****"),
        (bearer, "Bearer ****"),
    ] {
        let server = Server::plain(script).await;
        let error = get(&plain_client(&server.host()), &server.host(), MANIFEST)
            .await
            .map(drop)
            .unwrap_err();
        super::logs::assert_clean_error(&error);
        assert!(error.to_string().contains(shown), "{error}");
    }
    super::logs::assert_clean();
}
