//! The verdicts, at registries that answer what a test says.

use std::sync::Arc;

use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use syncd_config::{RegistryHost, Secret};
use syncd_providers::{Clock, Expiry};

use super::*;
use crate::oci::auth::{Anonymous, REFRESH_TOKEN_USER};
use crate::oci::scripted::{Asked, Scripted, answer, entry};
use crate::tokens::Tokens;

const GOOD: &str = "canary-good-password";
const WRONG: &str = "canary-wrong-password";
const PROBE: &str = "team/app";
const DENIED: &str = r#"{"errors":[{"code":"DENIED","message":"no right here"}]}"#;
const UNAUTHORIZED: &str = r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}"#;

fn basic(secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("bot:{secret}")))
}

fn token(secret: &str) -> Token {
    Token {
        username: "bot".to_owned(),
        secret: Secret::new(secret),
        expires: Expiry::Unknown,
        minted_at: Timestamp::UNIX_EPOCH,
    }
}

fn probed(host: &RegistryHost) -> RegistryEntry {
    let mut entry = entry(host);
    entry.probe = Some(Probe {
        repository: PROBE.parse().unwrap(),
        target: syncd_config::reference::Target::Tag("1.0".parse().unwrap()),
    });
    entry
}

fn client_of(entries: &[RegistryEntry]) -> RegistryClient {
    let clock = Clock::from_tokio("2026-05-01T10:00:00Z".parse().unwrap());
    RegistryClient::new(entries, Arc::new(Anonymous), clock).unwrap()
}

async fn proof(entry: &RegistryEntry, token: &Token) -> Proof {
    let proof = prove(&client_of(std::slice::from_ref(entry)), entry, token).await;
    let text = format!("{proof:?}");
    assert!(!text.contains("canary"), "{text}");
    proof
}

/// The verdict and its words.
fn told(proof: &Proof) -> (&'static str, &str) {
    match proof {
        Proof::Proven { image } => ("proven", image),
        Proof::Refused { words } => ("refused", words),
        Proof::PullDenied { words } => ("pull_denied", words),
        Proof::Undecided { why } => ("undecided", why),
    }
}

/// How a registry asks for a login.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asks {
    Bearer,
    Basic,
    /// In no way that syncd knows.
    Strangely,
    /// Never: everyone may.
    Never,
    /// Everyone gets a 403.
    Wall,
}

/// A registry. Statuses of 0: what a sound one answers.
#[derive(Clone, Copy)]
struct Kind {
    base: Asks,
    manifest: Asks,
    /// The token endpoint's answer to the right password, without and with a scope.
    login: u16,
    scoped: u16,
    /// `/v2/` and the manifest, to who is logged in.
    at_base: u16,
    at_manifest: u16,
}

const BEARER: Kind = Kind {
    base: Asks::Bearer,
    manifest: Asks::Bearer,
    login: 0,
    scoped: 0,
    at_base: 0,
    at_manifest: 0,
};
const BASIC: Kind = Kind {
    base: Asks::Basic,
    manifest: Asks::Basic,
    ..BEARER
};

impl Kind {
    async fn start(self) -> Scripted {
        Scripted::start(move |asked| self.answer(asked)).await
    }

    fn answer(self, asked: &Asked) -> Response {
        let host = asked.header("host").unwrap();
        let scoped = asked.uri.contains("scope=");
        if asked.uri.starts_with("/token") {
            return match asked.header("authorization") {
                Some(header) if header == basic(GOOD) => {
                    let (status, kind) = if scoped {
                        (self.scoped, "scoped")
                    } else {
                        (self.login, "plain")
                    };
                    match status {
                        0 => answer(200, &[], format!(r#"{{"token":"{kind}-t"}}"#)),
                        403 => answer(403, &[], DENIED),
                        other => answer(other, &[], UNAUTHORIZED),
                    }
                }
                Some(_) => answer(401, &[], UNAUTHORIZED),
                None => answer(200, &[], r#"{"token":"everyone"}"#),
            };
        }
        let (asks, status) = match asked.uri.as_str() {
            "/v2/" => (self.base, self.at_base),
            "/v2/team/app/manifests/1.0" => (self.manifest, self.at_manifest),
            other => panic!("{other}"),
        };
        let shown = asked.header("authorization").unwrap_or_default();
        let known = match asks {
            Asks::Bearer => shown.ends_with("-t"),
            Asks::Basic => shown == basic(GOOD),
            Asks::Never => true,
            Asks::Strangely | Asks::Wall => false,
        };
        let challenge = match asks {
            Asks::Bearer => format!(r#"Bearer realm="http://{host}/token",service="s""#),
            Asks::Basic => r#"Basic realm="r""#.to_owned(),
            _ => "Negotiate".to_owned(),
        };
        match (known, asks, status) {
            (false, Asks::Wall, _) => answer(403, &[], DENIED),
            (false, _, _) => answer(401, &[("www-authenticate", &challenge)], UNAUTHORIZED),
            (true, _, 0) => answer(200, &[], ""),
            (true, _, 401) => answer(401, &[("www-authenticate", &challenge)], UNAUTHORIZED),
            (true, _, 429) => answer(429, &[("retry-after", "3600")], ""),
            (true, _, other) => answer(other, &[], if other == 403 { DENIED } else { "" }),
        }
    }
}

async fn check(kind: Kind, secret: &str, verdict: &str, words: &str, case: &str) {
    let server = kind.start().await;
    let proof = proof(&probed(&server.host), &token(secret)).await;
    let (got, text) = told(&proof);
    assert_eq!(got, verdict, "{case}: {text}");
    assert!(text.contains(words), "{case}: {text}");
    let passwords = server
        .asked()
        .into_iter()
        .filter(|asked| asked.header("authorization") == Some(&basic(WRONG)));
    assert!(passwords.count() <= 1, "{case}: accounts get locked");
}

#[tokio::test]
async fn the_verdicts() {
    let base = |base| Kind { base, ..BEARER };
    let open = Kind {
        base: Asks::Never,
        manifest: Asks::Never,
        ..BEARER
    };
    let login = |login| Kind { login, ..BEARER };
    let scoped = |scoped| Kind { scoped, ..BEARER };
    let bearer = |at_manifest| Kind {
        at_manifest,
        ..BEARER
    };
    let basic = |at_manifest| Kind { at_manifest, ..BASIC };
    let public = |base| Kind {
        base,
        manifest: Asks::Never,
        ..BEARER
    };
    let late = |manifest| Kind {
        base: Asks::Never,
        manifest,
        ..BEARER
    };
    let missing = |at_base| Kind {
        base: Asks::Never,
        at_base,
        ..BEARER
    };
    let odd = |at_manifest| Kind {
        at_base: 401,
        at_manifest,
        ..BEARER
    };
    let cases = [
        (BEARER, GOOD, "proven", "/team/app:1.0"),
        (BASIC, GOOD, "proven", "/team/app:1.0"),
        (BEARER, WRONG, "refused", "UNAUTHORIZED: who are you"),
        (BASIC, WRONG, "refused", "UNAUTHORIZED: who are you"),
        (login(401), GOOD, "refused", "who are you"),
        (login(403), GOOD, "refused", "no right here"),
        (
            Kind {
                at_base: 403,
                ..BASIC
            },
            GOOD,
            "refused",
            "no right here",
        ),
        // The login is good; the right is missing.
        (scoped(401), GOOD, "pull_denied", "who are you"),
        (scoped(403), GOOD, "pull_denied", "no right here"),
        (bearer(401), GOOD, "pull_denied", "who are you"),
        (bearer(403), GOOD, "pull_denied", "no right here"),
        (basic(401), GOOD, "pull_denied", "HTTP 401"),
        (basic(403), GOOD, "pull_denied", "no right here"),
        // Nothing was said about the credential.
        (bearer(404), GOOD, "undecided", "/team/app:1.0 was not found"),
        (basic(404), GOOD, "undecided", "/team/app:1.0 was not found"),
        (bearer(429), GOOD, "undecided", "429"),
        (bearer(500), GOOD, "undecided", "500"),
        (basic(503), GOOD, "undecided", "503"),
        (bearer(418), GOOD, "undecided", "418"),
        (login(500), GOOD, "undecided", "failed to get a token"),
        (scoped(500), GOOD, "undecided", "failed to get a token"),
        (login(429), GOOD, "undecided", "failed to get a token"),
        (
            Kind {
                at_base: 500,
                ..BASIC
            },
            GOOD,
            "undecided",
            "500",
        ),
        (base(Asks::Strangely), GOOD, "undecided", "failed to log in"),
        (base(Asks::Wall), WRONG, "undecided", "no right here"),
        (late(Asks::Wall), WRONG, "undecided", "no right here"),
        // An image that everyone gets proves no password.
        (open, WRONG, "undecided", "the registry does not ask for a login"),
        (open, GOOD, "undecided", "the registry does not ask for a login"),
        (public(Asks::Bearer), WRONG, "refused", "who are you"),
        (public(Asks::Basic), WRONG, "refused", "who are you"),
        (public(Asks::Bearer), GOOD, "proven", "/team/app:1.0"),
        (public(Asks::Basic), GOOD, "proven", "/team/app:1.0"),
        // A registry that asks only at the image.
        (late(Asks::Basic), GOOD, "proven", "/team/app:1.0"),
        (late(Asks::Bearer), GOOD, "proven", "/team/app:1.0"),
        (late(Asks::Basic), WRONG, "refused", "HTTP 401"),
        (late(Asks::Bearer), WRONG, "refused", "who are you"),
        (
            Kind {
                scoped: 403,
                ..late(Asks::Bearer)
            },
            GOOD,
            "refused",
            "no right here",
        ),
        (
            Kind {
                at_manifest: 403,
                ..late(Asks::Bearer)
            },
            GOOD,
            "pull_denied",
            "no right here",
        ),
        (
            Kind {
                at_manifest: 403,
                ..late(Asks::Basic)
            },
            GOOD,
            "pull_denied",
            "no right here",
        ),
        (missing(404), GOOD, "proven", "/team/app:1.0"),
        (missing(404), WRONG, "refused", "who are you"),
        // `/v2/` takes no token of no scope.
        (odd(0), GOOD, "proven", "/team/app:1.0"),
        (odd(401), GOOD, "refused", "who are you"),
        (odd(403), GOOD, "refused", "no right here"),
        (odd(404), GOOD, "undecided", "was not found"),
    ];
    let checks = cases
        .into_iter()
        .enumerate()
        .map(|(at, (kind, secret, verdict, words))| async move {
            let case = format!("case {at} {:?}/{:?} {secret}", kind.base, kind.manifest);
            check(kind, secret, verdict, words, &case).await;
        });
    futures::future::join_all(checks).await;
}

#[tokio::test]
async fn asks_as_a_node_does() {
    let server = BEARER.start().await;
    let entry = probed(&server.host);
    assert_eq!(told(&proof(&entry, &token(GOOD)).await).0, "proven");
    let scope = "scope=repository%3Ateam%2Fapp%3Apull";
    assert_eq!(
        server.lines(),
        [
            "GET /v2/",
            "GET /token?service=s",
            "GET /v2/",
            &format!("GET /token?service=s&{scope}"),
            "HEAD /v2/team/app/manifests/1.0",
        ]
    );
}

#[tokio::test]
async fn without_a_probe_nothing_is_asked() {
    let server = BEARER.start().await;
    let proof = proof(&entry(&server.host), &token(GOOD)).await;
    assert_eq!(told(&proof), ("undecided", "no probe is configured"));
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn who_cannot_be_reached_has_said_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent: RegistryHost = listener.local_addr().unwrap().to_string().parse().unwrap();
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string().parse().unwrap()
    };
    let plain = BEARER.start().await;
    let mut tls = probed(&plain.host);
    tls.plain_http = false;
    let cases = [
        (probed(&closed), "refused"),
        (probed(&"registry.invalid".parse().unwrap()), "registry.invalid"),
        (tls, "TLS"),
        (probed(&silent), "answer"),
    ];
    for (entry, words) in cases {
        let clock = Clock::from_tokio("2026-05-01T10:00:00Z".parse().unwrap());
        let timeouts = syncd_providers::http::Timeouts {
            headers: Duration::from_millis(300),
            ..syncd_providers::http::Timeouts::default()
        };
        let entries = [entry.clone()];
        let client = RegistryClient::with_timeouts(&entries, Arc::new(Anonymous), clock, timeouts).unwrap();
        let proof = prove(&client.without_retries(), &entry, &token(GOOD)).await;
        let (verdict, text) = told(&proof);
        assert_eq!(verdict, "undecided", "{text}");
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn ends_in_time() {
    // Accepts and says nothing; nothing else is going on, so the paused time runs to the deadline.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let entry = probed(&listener.local_addr().unwrap().to_string().parse().unwrap());
    let start = tokio::time::Instant::now();
    let proof = proof(&entry, &token(GOOD)).await;
    assert_eq!(told(&proof).0, "undecided");
    assert!(start.elapsed() <= DEADLINE, "{:?}", start.elapsed());
}

/// A registry that sends the login to another host.
async fn elsewhere(token_host: &RegistryHost) -> Scripted {
    let realm = format!(r#"Bearer realm="http://{token_host}/token",service="s""#);
    Scripted::start(move |asked| match asked.header("authorization") {
        Some("Bearer plain-t" | "Bearer scoped-t") => answer(200, &[], ""),
        _ => answer(401, &[("www-authenticate", &realm)], UNAUTHORIZED),
    })
    .await
}

#[tokio::test]
async fn the_token_goes_to_its_host_and_trusted_token_hosts_only() {
    let token_host = BEARER.start().await;
    let registry = elsewhere(&token_host.host).await;
    let own = probed(&registry.host);
    let proof = proof(&own, &token(GOOD)).await;
    assert_eq!(told(&proof).0, "undecided", "{proof:?}");
    assert_eq!(token_host.asked().len(), 0);
    assert!(
        registry
            .asked()
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );

    let mut trusting = own;
    trusting.trusted_token_hosts = vec![token_host.host.clone()];
    // Plain http is for hosts that have an entry which says so; that entry's identity is not used.
    let entries = [trusting.clone(), entry(&token_host.host)];
    let proof = prove(&client_of(&entries), &trusting, &token(GOOD)).await;
    assert_eq!(told(&proof).0, "proven", "{proof:?}");
    assert!(
        registry
            .asked()
            .iter()
            .all(|asked| asked.header("authorization") != Some(&basic(GOOD)))
    );
}

#[tokio::test]
async fn a_redirect_takes_no_credential_along() {
    let other = Kind {
        manifest: Asks::Never,
        ..BEARER
    }
    .start()
    .await;
    let to = format!("http://{}/v2/team/app/manifests/1.0", other.host);
    let server = Scripted::start(move |asked| match asked.header("authorization") {
        Some(_) if asked.uri == "/v2/" => answer(200, &[], ""),
        Some(_) => answer(307, &[("location", &to)], ""),
        None => answer(401, &[("www-authenticate", "Basic")], UNAUTHORIZED),
    })
    .await;
    let own = probed(&server.host);
    let entries = [own.clone(), entry(&other.host)];
    let proof = prove(&client_of(&entries), &own, &token(GOOD)).await;
    assert_eq!(told(&proof).0, "proven", "{proof:?}");
    assert_eq!(other.asked().len(), 1);
    assert!(other.asked()[0].header("authorization").is_none());
}

#[tokio::test]
async fn the_token_itself_is_proven_and_not_what_the_client_knows() {
    let server = BASIC.start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, GOOD).unwrap();
    let mut own = probed(&server.host);
    own.identity = Some(syncd_config::config::Identity::Basic {
        username: "bot".to_owned(),
        password_file: file,
    });
    // Two identities for one host: the entry says which, and the client's own password is good.
    let mut second = own.clone();
    second.name = "second".to_owned();
    let entries = [own.clone(), second.clone()];
    let clock = Clock::from_tokio("2026-05-01T10:00:00Z".parse().unwrap());
    let tokens = Tokens::new(&entries, None, clock.clone());
    let client = RegistryClient::new(&entries, Arc::new(tokens), clock).unwrap();
    let manifest = async |client: &RegistryClient| {
        let remote = Remote::source(client.clone(), server.host.clone());
        let probe = own.probe.clone().unwrap();
        let answer = remote.try_manifest(Method::HEAD, &probe.repository, &probe.target);
        answer.await.map(|_| ())
    };
    manifest(&client).await.unwrap();
    for entry in [&own, &second] {
        assert_eq!(told(&prove(&client, entry, &token(WRONG)).await).0, "refused");
        assert_eq!(told(&prove(&client, entry, &token(GOOD)).await).0, "proven");
    }
    let mut unknown = own.clone();
    unknown.name = "unknown".to_owned();
    let proof = prove(&client, &unknown, &token(GOOD)).await;
    assert_eq!(told(&proof).0, "undecided");
    assert!(
        told(&proof).1.contains("no registries entry unknown"),
        "{proof:?}"
    );
    // The client that was asked still has its own, and counts what was done in its name.
    manifest(&client).await.unwrap();
    assert!(client.requests(&server.host) >= 10);
}

#[tokio::test]
async fn a_refresh_token_is_traded_and_never_a_password() {
    let server = Scripted::start(|asked| {
        let body = String::from_utf8_lossy(asked.body.as_deref().unwrap_or_default()).into_owned();
        let host = asked.header("host").unwrap();
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="s""#);
        match (asked.method.as_str(), asked.header("authorization")) {
            ("POST", None) if body.contains(&format!("refresh_token={GOOD}")) => {
                answer(200, &[], r#"{"access_token":"scoped-t"}"#)
            }
            ("POST", None) => answer(400, &[], r#"{"error":"invalid_grant"}"#),
            (_, Some("Bearer scoped-t")) => answer(200, &[], ""),
            _ => answer(401, &[("www-authenticate", &challenge)], UNAUTHORIZED),
        }
    })
    .await;
    let own = probed(&server.host);
    for (secret, verdict) in [(GOOD, "proven"), (WRONG, "refused")] {
        let mut token = token(secret);
        token.username = REFRESH_TOKEN_USER.to_owned();
        assert_eq!(told(&proof(&own, &token).await).0, verdict);
    }
}

#[tokio::test]
async fn one_host_has_the_credential_and_no_other() {
    let (own, other) = (BASIC.start().await, BASIC.start().await);
    let client = client_of(&[entry(&own.host), entry(&other.host)]);
    let credential = Credential {
        username: "bot".to_owned(),
        secret: Secret::new(GOOD),
    };
    let only = client.with_only(None, &own.host, Some(credential)).unwrap();
    let get = async |client: &RegistryClient, host: &RegistryHost| {
        let request = RegistryRequest::new(LOG_IN, Method::GET, "/v2/", Scope::default());
        client.send(host, request).await.map(|answer| answer.shown)
    };
    assert_eq!(get(&only, &own.host).await.unwrap(), Shown::Credential);
    let error = get(&only, &other.host).await.unwrap_err();
    assert_eq!(
        (error.kind, error.shown),
        (ErrorKind::LoginRequired, Shown::Nothing)
    );
    let nobody = client.with_only(None, &own.host, None).unwrap();
    assert_eq!(
        get(&nobody, &own.host).await.unwrap_err().kind,
        ErrorKind::LoginRequired
    );
    assert_eq!(
        get(&only.anonymous(), &own.host).await.unwrap_err().kind,
        ErrorKind::LoginRequired
    );
    assert!(
        other
            .asked()
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );
}
