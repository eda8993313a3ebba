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

mod reach;

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
