//! Token endpoints: good ones, slow ones, broken ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use syncd::oci::{
    Credential, CredentialSource, ErrorKind, RegistryClient, RegistryError, RegistryRequest, Scope,
};
use syncd_config::{RegistryHost, Secret};
use syncd_providers::Clock;

use super::client::*;
use super::logs;
use super::server::*;

const MANIFEST: &str = "/v2/a/manifests/1";

fn is_token_request(seen: &Seen) -> bool {
    seen.line.contains(" /token")
}

/// A registry whose tokens are numbered; `token` answers the requests for one.
async fn registry(token: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Server {
    let asked = AtomicUsize::new(0);
    Server::plain(move |seen, _| {
        if is_token_request(seen) {
            return token(seen, asked.fetch_add(1, Ordering::SeqCst) + 1);
        }
        match seen.header("authorization") {
            Some(value) if value.starts_with("Bearer good") => answer("200 OK", &[], value),
            _ => {
                let challenge = format!(
                    r#"Bearer realm="http://{}/token",service="s""#,
                    seen.header("host").unwrap()
                );
                answer("401 Unauthorized", &[("WWW-Authenticate", &challenge)], "")
            }
        }
    })
    .await
}

fn token(value: &str, life: u32) -> Act {
    answer(
        "200 OK",
        &[],
        &format!(r#"{{"token":"{value}","expires_in":{life}}}"#),
    )
}

fn token_requests(server: &Server) -> usize {
    server.seen().iter().filter(|seen| is_token_request(seen)).count()
}

/// A clock that a test moves.
fn moved() -> (Arc<AtomicI64>, Clock) {
    let seconds = Arc::new(AtomicI64::new(0));
    let base: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let shared = seconds.clone();
    let clock = Clock::new(move || base + SignedDuration::from_secs(shared.load(Ordering::SeqCst)));
    (seconds, clock)
}

fn client_with(host: &RegistryHost, credentials: Arc<dyn CredentialSource>, clock: Clock) -> RegistryClient {
    logs::watch();
    let entries = [entry(host, true)];
    RegistryClient::with_timeouts(&entries, credentials, clock, quick())
        .unwrap()
        .without_retries()
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let server = registry(|_, number| token(&format!("good{number}"), 100)).await;
    let (seconds, clock) = moved();
    let client = client_with(&server.host(), user(&server.host()), clock);
    let read = async || text(get(&client, &server.host(), MANIFEST).await).await.unwrap();
    assert_eq!(read().await, "Bearer good1");
    seconds.store(79, Ordering::SeqCst);
    assert_eq!(read().await, "Bearer good1");
    seconds.store(80, Ordering::SeqCst);
    assert_eq!(read().await, "Bearer good2");
    assert_eq!((token_requests(&server), server.seen().len()), (2, 1 + 2 + 3));
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let server = registry(|_, number| match number {
        1 => token("good1", 100),
        _ => answer("503 Oops", &[], ""),
    })
    .await;
    let (seconds, clock) = moved();
    let client = client_with(&server.host(), user(&server.host()), clock);
    let read = async || text(get(&client, &server.host(), MANIFEST).await).await;
    assert_eq!(read().await.unwrap(), "Bearer good1");
    seconds.store(99, Ordering::SeqCst);
    assert_eq!(read().await.unwrap(), "Bearer good1");
    seconds.store(100, Ordering::SeqCst);
    let error = read().await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::TokenEndpoint, Some(503)));
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    // The first token is refused from the start, the second one is taken.
    let server = registry(|_, number| token(if number == 1 { "bad" } else { "good2" }, 300)).await;
    let client = plain_client(&server.host());
    let error = text(get(&client, &server.host(), MANIFEST).await)
        .await
        .unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::CredentialsRejected,
        "a fresh one is not replaced at once"
    );
    assert_eq!(token_requests(&server), 1);
    let second = text(get(&client, &server.host(), MANIFEST).await).await.unwrap();
    assert_eq!((second.as_str(), token_requests(&server)), ("Bearer good2", 2));
}

#[tokio::test]
async fn who_waits_for_the_same_token_shares_it() {
    let server = registry(|_, number| token(&format!("good{number}"), 300)).await;
    let client = plain_client(&server.host());
    let all = (0..12).map(|_| async { text(get(&client, &server.host(), MANIFEST).await).await.unwrap() });
    let all = futures::future::join_all(all).await;
    assert!(all.iter().all(|got| got == "Bearer good1"), "{all:?}");
    assert_eq!(token_requests(&server), 1);
}

#[tokio::test]
async fn who_waits_for_the_same_failure_shares_it() {
    // It takes its time, so that all wait for it.
    let body = r#"{"details":"the database is down"}"#;
    let answer = format!(
        "HTTP/1.1 500 Oops\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let later = vec![Vec::new(), answer.into_bytes()];
    let server = registry(move |_, _| Act::Slowly(later.clone(), Duration::from_millis(200))).await;
    let client = plain_client(&server.host());
    let all = (0..12).map(|_| async {
        text(get(&client, &server.host(), MANIFEST).await)
            .await
            .unwrap_err()
    });
    for error in futures::future::join_all(all).await {
        assert_eq!(
            (error.kind, &*error.detail),
            (ErrorKind::TokenEndpoint, "the database is down")
        );
    }
    assert_eq!(token_requests(&server), 1);
}

#[tokio::test]
async fn each_scope_has_its_own_token() {
    let server = registry(|_, number| token(&format!("good{number}"), 300)).await;
    let client = plain_client(&server.host());
    for (repository, push, mount_from) in [("a", false, None), ("b/c", true, None), ("a", true, Some("b"))] {
        let scope = Scope {
            repository: Some(repository.parse().unwrap()),
            push,
            mount_from: mount_from.map(|from: &str| from.parse().unwrap()),
        };
        let request = RegistryRequest::new("read", Method::GET, MANIFEST, scope);
        text(client.send(&server.host(), request).await).await.unwrap();
    }
    let asked: Vec<String> = server
        .seen()
        .iter()
        .filter(|s| is_token_request(s))
        .map(|s| s.line.clone())
        .collect();
    assert_eq!(
        asked,
        [
            "GET /token?service=s&scope=repository%3Aa%3Apull HTTP/1.1",
            "GET /token?service=s&scope=repository%3Ab%2Fc%3Apull%2Cpush HTTP/1.1",
            "GET /token?service=s&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull HTTP/1.1",
        ]
    );
}

#[tokio::test]
async fn a_refresh_token_is_traded_by_post() {
    let server = registry(|seen, _| {
        assert_eq!(seen.line, "POST /token HTTP/1.1");
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(
            seen.header("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        let form = String::from_utf8_lossy(&seen.body).into_owned();
        assert!(
            form.contains(&format!("refresh_token={CANARY}")) && form.contains("grant_type=refresh_token")
        );
        answer("200 OK", &[], r#"{"access_token":"good1"}"#)
    })
    .await;
    let source = Arc::new(OneUser {
        host: server.host(),
        username: "<token>".to_owned(),
        asked: AtomicUsize::new(0),
        rejected: AtomicUsize::new(0),
    });
    let client = client_with(&server.host(), source, clock());
    assert_eq!(
        text(get(&client, &server.host(), MANIFEST).await).await.unwrap(),
        "Bearer good1"
    );
    logs::assert_clean();
}

#[tokio::test]
async fn what_the_token_endpoint_says_reaches_the_caller() {
    use ErrorKind::*;
    let json = |status: &'static str, body: &'static str| answer(status, &[], body);
    for (act, with, without, detail) in [
        (
            json(
                "401 Unauthorized",
                r#"{"details":"incorrect username or password"}"#,
            ),
            CredentialsRejected,
            LoginRequired,
            "incorrect username or password",
        ),
        (
            json(
                "403 Forbidden",
                r#"{"errors":[{"code":"DENIED","message":"account locked"}]}"#,
            ),
            CredentialsRejected,
            LoginRequired,
            "DENIED: account locked",
        ),
        (
            json(
                "400 Bad Request",
                r#"{"error":"invalid_grant","error_description":"too old"}"#,
            ),
            CredentialsRejected,
            TokenEndpoint,
            "invalid_grant: too old",
        ),
        (
            json("429 Slow", "slow down"),
            RateLimited,
            RateLimited,
            "slow down",
        ),
        (
            json("500 Oops", ""),
            TokenEndpoint,
            TokenEndpoint,
            "HTTP 500 Internal Server Error",
        ),
        (
            json("404 Not Found", "<html>"),
            TokenEndpoint,
            TokenEndpoint,
            "an HTML page",
        ),
        (
            json("200 OK", "<html>"),
            TokenEndpoint,
            TokenEndpoint,
            "the token reply is not JSON",
        ),
        (
            json("200 OK", "{}"),
            TokenEndpoint,
            TokenEndpoint,
            "the token reply holds no token",
        ),
        (
            json("200 OK", r#"{"token":"canary-4d1e8a-token\r\nX: y"}"#),
            TokenEndpoint,
            TokenEndpoint,
            "the token of the reply has characters that no token has",
        ),
        (
            Act::Flood(
                b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n".to_vec(),
                10 << 20,
            ),
            TokenEndpoint,
            TokenEndpoint,
            "the token reply is longer than 64 KiB",
        ),
        (
            Act::Close,
            ConnectionReset,
            ConnectionReset,
            "the connection was closed in the middle of the exchange",
        ),
        (Act::Hang(Vec::new()), Timeout, Timeout, "no answer in time"),
    ] {
        let server = registry(move |_, _| act.clone()).await;
        let client = plain_client(&server.host());
        for (client, kind) in [(client.clone(), with), (client.anonymous(), without)] {
            let error = text(get(&client, &server.host(), MANIFEST).await)
                .await
                .unwrap_err();
            assert_eq!((error.kind, &*error.detail), (kind, detail));
            assert_eq!(error.operation, "get a token");
            logs::assert_clean_error(&error);
        }
        assert!(server.seen().len() <= 6, "no storm: {}", server.seen().len());
    }
    logs::assert_clean();
}

/// A source whose password changes when it is refused.
struct Rotating(AtomicUsize);

impl CredentialSource for Rotating {
    fn get<'a>(
        &'a self,
        _: &'a RegistryHost,
    ) -> futures::future::BoxFuture<'a, Result<Option<Credential>, RegistryError>> {
        let credential = Credential {
            username: "AWS".to_owned(),
            secret: Secret::new(format!("{CANARY}{}", self.0.load(Ordering::SeqCst))),
        };
        Box::pin(std::future::ready(Ok(Some(credential))))
    }

    fn rejected(&self, _: &RegistryHost, _: &Credential) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

const EXPIRED: &str = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;

/// ECR: a password that is too old is a 403.
#[tokio::test]
async fn an_expired_password_is_replaced_once() {
    for (good_after, wanted) in [(1, Ok("hello")), (99, Err(ErrorKind::CredentialsRejected))] {
        for (status, body) in [("403 Forbidden", EXPIRED), ("401 Unauthorized", "")] {
            let tried = AtomicUsize::new(0);
            let server = Server::plain(move |seen, _| match seen.header("authorization") {
                Some(_) if tried.fetch_add(1, Ordering::SeqCst) >= good_after => {
                    answer("200 OK", &[], "hello")
                }
                Some(_) if status.starts_with("403") => answer(status, &[], body),
                _ => answer(
                    "401 Unauthorized",
                    &[("WWW-Authenticate", "Basic realm=\"ecr\"")],
                    "",
                ),
            })
            .await;
            let client = client_with(&server.host(), Arc::new(Rotating(AtomicUsize::new(0))), clock());
            let got = text(get(&client, &server.host(), MANIFEST).await).await;
            assert_eq!(got.as_deref().map_err(|e| e.kind), wanted, "{status}");
            assert_eq!(server.seen().len(), 3, "{status}");
        }
    }
    logs::assert_clean();
}

#[tokio::test]
async fn an_expired_password_that_is_the_only_one_is_refused() {
    let server = Server::plain(|seen, _| match seen.header("authorization") {
        None => answer(
            "401 Unauthorized",
            &[("WWW-Authenticate", "Basic realm=\"ecr\"")],
            "",
        ),
        Some(_) => answer("403 Forbidden", &[], EXPIRED),
    })
    .await;
    let source = user(&server.host());
    let client = client_with(&server.host(), source.clone(), clock());
    let error = text(get(&client, &server.host(), MANIFEST).await)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, server.seen().len()),
        (ErrorKind::CredentialsRejected, 2)
    );
    assert_eq!(source.rejected.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn rights_are_told_from_credentials() {
    for (error, with, without) in [
        ("", ErrorKind::CredentialsRejected, ErrorKind::LoginRequired),
        (
            r#",error="insufficient_scope""#,
            ErrorKind::Denied,
            ErrorKind::LoginRequired,
        ),
    ] {
        let server = Server::plain(move |seen, _| match is_token_request(seen) {
            true => token("good", 300),
            false => {
                let host = seen.header("host").unwrap();
                let challenge = format!(r#"Bearer realm="http://{host}/token"{error}"#);
                answer("401 Unauthorized", &[("WWW-Authenticate", &challenge)], "")
            }
        })
        .await;
        let client = plain_client(&server.host());
        let kind = text(get(&client, &server.host(), MANIFEST).await)
            .await
            .unwrap_err()
            .kind;
        assert_eq!(kind, with, "{error}");
        let kind = text(get(&client.anonymous(), &server.host(), MANIFEST).await)
            .await
            .unwrap_err()
            .kind;
        assert_eq!(kind, without, "{error}");
    }
}

#[tokio::test]
async fn basic_without_a_user_is_a_login_wanted() {
    let server = Server::plain(|_, _| {
        answer(
            "401 Unauthorized",
            &[("WWW-Authenticate", "Basic realm=\"r\"")],
            "",
        )
    })
    .await;
    let nobody = plain_client(&server.host()).anonymous();
    let error = text(get(&nobody, &server.host(), MANIFEST).await)
        .await
        .unwrap_err();
    assert_eq!((error.kind, server.seen().len()), (ErrorKind::LoginRequired, 1));
    let unknown =
        Server::plain(|_, _| answer("401 Unauthorized", &[("WWW-Authenticate", "Negotiate")], "")).await;
    let error = text(get(&plain_client(&unknown.host()), &unknown.host(), MANIFEST).await)
        .await
        .unwrap_err();
    assert_eq!((error.kind, unknown.seen().len()), (ErrorKind::LoginRequired, 1));
}
