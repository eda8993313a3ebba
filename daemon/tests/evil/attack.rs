//! Credentials sent to the wrong place: what went wrong in this field, case by case, as one table.
//! Every new way for a server to name another place gets a row here.
//!
//! | case | where |
//! |---|---|
//! | A1 foreign layer URLs | here: nothing in the client follows `urls`; that the copier does not either is its own test |
//! | A2, A3 realms | here, and the whole matrix as a pure table in `oci/origin.rs` |
//! | A4 guards on every hop, token endpoint that redirects | here |
//! | A5 a retry after a redirect must not bring the credential back; one client type | here, and `one_client.rs` |
//! | A6 upload `Location` | here, default port spelled out in `oci/origin.rs` |
//! | A7 an origin is scheme, host and port | here |
//! | A8 `Link` | here |
//! | A9 the same behind a proxy | here: the whole table runs again through one |
//! | A10 addresses | here, ranges in `providers/src/http/address.rs` |
//! | A11, A12 a server's answer never selects an identity | here, and the property test in `oci/credentials.rs` |
//! | A13 a missing credential is an error | here |
//! | A14 `plainHttp` and `caFile` hold for their own host only | here |
//! | A15, A16 narrow tokens and audiences | concern minting at the clouds, which syncd does not do yet |

use std::sync::Arc;

use futures::future::BoxFuture;
use http::Method;
use syncd::oci::{
    Credential, CredentialSource, ErrorKind, RegistryClient, RegistryError, RegistryRequest, RequestBody,
    RequestTarget,
};
use syncd_config::config::{Proxy, RegistryEntry};
use syncd_config::{RegistryHost, Secret};

use super::client::*;
use super::logs;
use super::proxy::ForwardProxy;
use super::server::*;

/// What the registry of a case does: given the request, its own base URL and the attacker's.
type Registry = fn(&Seen, &str, &str) -> Act;

/// What is asked of it.
#[derive(Clone, Copy, PartialEq)]
enum Ask {
    Get,
    /// POST, then PUT to the Location.
    Upload,
    /// GET, then GET of the next page.
    Pages,
}

struct Case {
    name: &'static str,
    ask: Ask,
    registry: Registry,
    /// The outcome.
    wanted: Result<&'static str, ErrorKind>,
    /// Requests that reach the attacker (which has an entry of its own, so that it can be reached).
    attacked: usize,
    /// The attacker is listed in `trustedTokenHosts`.
    trusted: bool,
}

const fn case(
    name: &'static str,
    ask: Ask,
    registry: Registry,
    wanted: Result<&'static str, ErrorKind>,
    attacked: usize,
) -> Case {
    Case {
        name,
        ask,
        registry,
        wanted,
        attacked,
        trusted: false,
    }
}

fn path(seen: &Seen) -> &str {
    seen.line.split(' ').nth(1).unwrap()
}

fn logged_in(seen: &Seen) -> bool {
    seen.header("authorization").is_some()
}

fn challenge(value: &str) -> Act {
    answer("401 Unauthorized", &[("WWW-Authenticate", value)], "")
}

fn redirect(to: &str) -> Act {
    answer("307 Temporary Redirect", &[("Location", to)], "moved")
}

/// Wants Basic, then does `then`.
fn basic_then(seen: &Seen, then: impl FnOnce() -> Act) -> Act {
    if logged_in(seen) {
        then()
    } else {
        challenge("Basic realm=\"r\"")
    }
}

const CASES: &[Case] = &[
    case(
        "A1 a manifest with foreign layer URLs",
        Ask::Get,
        |seen, _, attacker| {
            basic_then(seen, || {
                let layer = format!(r#"{{"layers":[{{"urls":["{attacker}/layer"]}}]}}"#);
                answer(
                    "200 OK",
                    &[("Content-Type", "application/vnd.oci.image.manifest.v1+json")],
                    &layer,
                )
            })
        },
        Ok("*"),
        0,
    ),
    case(
        "A2 the realm is the attacker's",
        Ask::Get,
        |seen, _, attacker| match logged_in(seen) {
            true => answer("200 OK", &[], "hello"),
            false => challenge(&format!(r#"Bearer realm="{attacker}/token",service="s""#)),
        },
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A2 two challenges in one header, the first one the attacker's",
        Ask::Get,
        |seen, own, attacker| two_challenges(seen, own, attacker, false),
        Ok("hello"),
        0,
    ),
    case(
        "A2 the attacker's Bearer before an honest Basic",
        Ask::Get,
        |seen, _, attacker| match seen.header("authorization") {
            Some(value) if value.starts_with("Basic ") => answer("200 OK", &[], "hello"),
            _ => challenge(&format!(r#"Bearer realm="{attacker}/token", Basic realm="r""#)),
        },
        Ok("hello"),
        0,
    ),
    case(
        "A2 a realm with a user in it",
        Ask::Get,
        |_, own, _| {
            challenge(&format!(
                r#"Bearer realm="{}/token""#,
                own.replace("://", "://u:p@")
            ))
        },
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A2 the realm is this machine by another name",
        Ask::Get,
        |_, own, _| {
            challenge(&format!(
                r#"Bearer realm="{}/token""#,
                own.replace("127.0.0.1", "localhost")
            ))
        },
        Err(ErrorKind::OriginRefused),
        0,
    ),
    Case {
        trusted: true,
        ..case(
            "A3 the realm is a trusted token host",
            Ask::Get,
            |seen, _, attacker| match seen.header("authorization") {
                Some(value) if *value == format!("Bearer {TOKEN}") => answer("200 OK", &[], "hello"),
                _ => challenge(&format!(r#"Bearer realm="{attacker}/token",service="s""#)),
            },
            Ok("hello"),
            1,
        )
    },
    case(
        "A4 the token endpoint redirects to the attacker",
        Ask::Get,
        |seen, own, attacker| match path(seen) {
            path if path.starts_with("/token") => redirect(&format!("{attacker}/token")),
            _ => challenge(&format!(r#"Bearer realm="{own}/token",service="s""#)),
        },
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A4 the token endpoint redirects to itself",
        Ask::Get,
        |seen, own, _| match path(seen) {
            path if path.starts_with("/token") => redirect("/token2"),
            _ => challenge(&format!(r#"Bearer realm="{own}/token",service="s""#)),
        },
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A4 the second redirect leads to the attacker",
        Ask::Get,
        |seen, own, attacker| {
            basic_then(seen, || match path(seen) {
                "/second" => redirect(&format!("{attacker}/file")),
                _ => redirect(&format!("{own}/second")),
            })
        },
        Ok("the attacker's file"),
        1,
    ),
    case(
        "A5 the redirect leads to the attacker, who asks for a login",
        Ask::Get,
        |seen, _, attacker| basic_then(seen, || redirect(&format!("{attacker}/login"))),
        Err(ErrorKind::Denied),
        1,
    ),
    case(
        "A5 the attacker fails, and all is tried again",
        Ask::Get,
        |seen, _, attacker| basic_then(seen, || redirect(&format!("{attacker}/busy"))),
        Err(ErrorKind::ServerError),
        5,
    ),
    case(
        "A5 the attacker redirects back to the registry",
        Ask::Get,
        |seen, own, attacker| match path(seen) {
            "/back" if logged_in(seen) => answer("500 Leak", &[], ""),
            "/back" => answer("200 OK", &[], "back without a login"),
            _ => basic_then(seen, || redirect(&format!("{attacker}/to?{own}/back"))),
        },
        Ok("back without a login"),
        1,
    ),
    case(
        "A7 the redirect leads to the same port under another name",
        Ask::Get,
        |seen, own, _| match path(seen) {
            "/alias" if logged_in(seen) => answer("500 Leak", &[], ""),
            "/alias" => answer("200 OK", &[], "without a login"),
            _ => basic_then(seen, || {
                redirect(&format!("{}/alias", own.replace("127.0.0.1", "localhost")))
            }),
        },
        // No entry says plain http, or which CA, for that name.
        Err(ErrorKind::Dns),
        0,
    ),
    case(
        "A6 an upload goes on at the attacker",
        Ask::Upload,
        |seen, _, attacker| {
            basic_then(seen, || {
                answer("202 Accepted", &[("Location", &format!("{attacker}/upload"))], "")
            })
        },
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A6 an upload goes on at home, relative",
        Ask::Upload,
        |seen, _, _| basic_then(seen, || upload(seen, "/upload/1?state=x")),
        Ok("stored"),
        0,
    ),
    case(
        "A6 an upload goes on at home, relative without a slash",
        Ask::Upload,
        |seen, _, _| basic_then(seen, || upload(seen, "1?state=x")),
        Ok("stored"),
        0,
    ),
    case(
        "A6 an upload goes on at home, absolute",
        Ask::Upload,
        |seen, own, _| basic_then(seen, || upload(seen, &format!("{own}/upload/1"))),
        Ok("stored"),
        0,
    ),
    case(
        "A6 an upload's PUT is redirected to the attacker",
        Ask::Upload,
        |seen, _, attacker| {
            basic_then(seen, || match seen.line.starts_with("PUT") {
                true => redirect(&format!("{attacker}/upload")),
                false => upload(seen, "/upload/1"),
            })
        },
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A6 an upload goes on under another name of the registry",
        Ask::Upload,
        |seen, own, _| basic_then(seen, || upload(seen, &own.replace("127.0.0.1", "localhost"))),
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A6 an upload goes on at nonsense",
        Ask::Upload,
        |seen, _, _| basic_then(seen, || upload(seen, "https://[::1")),
        Err(ErrorKind::Malformed),
        0,
    ),
    case(
        "A8 the next page is the attacker's",
        Ask::Pages,
        |seen, _, attacker| {
            basic_then(seen, || {
                answer(
                    "200 OK",
                    &[("Link", &format!("<{attacker}/page>; rel=\"next\""))],
                    "{}",
                )
            })
        },
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A8 the next page is at home",
        Ask::Pages,
        |seen, _, _| {
            basic_then(seen, || match path(seen) {
                "/v2/a/tags/list?last=x" => answer("200 OK", &[], "page two"),
                _ => answer("200 OK", &[("Link", "</v2/a/tags/list?last=x>; rel=next")], "{}"),
            })
        },
        Ok("page two"),
        0,
    ),
    case(
        "A10 the redirect leads to a metadata service",
        Ask::Get,
        |seen, own, _| {
            basic_then(seen, || {
                redirect(&format!("{}://169.254.169.254/latest", scheme(own)))
            })
        },
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A10 the redirect leads to a metadata service by TLS",
        Ask::Get,
        |seen, _, _| basic_then(seen, || redirect("https://169.254.169.254/latest")),
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A10 the redirect leads to a metadata service in disguise",
        Ask::Get,
        |seen, _, _| basic_then(seen, || redirect("https://[::ffff:a9fe:a9fe]/latest")),
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A10 the redirect leads to no address",
        Ask::Get,
        |seen, _, _| basic_then(seen, || redirect("https://0/")),
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "A10 the redirect leads to a file",
        Ask::Get,
        |seen, _, _| basic_then(seen, || redirect("file:///etc/passwd")),
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "a redirect to itself ends",
        Ask::Get,
        |seen, _, _| basic_then(seen, || redirect("/v2/a/manifests/1")),
        Err(ErrorKind::OriginRefused),
        0,
    ),
    case(
        "a redirect without a target",
        Ask::Get,
        |seen, _, _| basic_then(seen, || answer("307 Temporary Redirect", &[], "")),
        Err(ErrorKind::OriginRefused),
        0,
    ),
];

fn scheme(url: &str) -> &str {
    url.split_once(':').unwrap().0
}

fn upload(seen: &Seen, location: &str) -> Act {
    if !seen.line.starts_with("PUT") {
        return answer("202 Accepted", &[("Location", location)], "");
    }
    assert!(seen.line.contains("digest=sha256%3A0"), "{}", seen.line);
    assert_eq!(seen.body, b"blob body");
    answer("201 Created", &[], "stored")
}

fn two_challenges(seen: &Seen, own: &str, attacker: &str, attacker_last: bool) -> Act {
    if path(seen).starts_with("/token") {
        return answer("200 OK", &[], &format!(r#"{{"token":"{TOKEN}"}}"#));
    }
    if logged_in(seen) {
        return answer("200 OK", &[], "hello");
    }
    let mut two = [
        format!(r#"Bearer realm="{attacker}/token""#),
        format!(r#"Bearer realm="{own}/token""#),
    ];
    if attacker_last {
        two.reverse();
    }
    challenge(&two.join(", "))
}

/// The attacker: wants every kind of login, hands out what is asked for.
fn attacker(seen: &Seen, _: usize) -> Act {
    let path = path(seen);
    match path.split('?').next().unwrap() {
        "/token" => answer("200 OK", &[], &format!(r#"{{"token":"{TOKEN}"}}"#)),
        "/file" => answer("200 OK", &[], "the attacker's file"),
        "/busy" => answer("503 Busy", &[("Retry-After", "0")], ""),
        "/to" => redirect(path.split_once('?').unwrap().1),
        _ => {
            let both = format!(
                r#"Bearer realm="http://{}/token", Basic realm="x""#,
                seen.header("host").unwrap()
            );
            challenge(&both)
        }
    }
}

/// User and password for the registry, and others for the attacker: those of its own entry, which
/// a request that is not for it must not carry either.
struct Both(RegistryHost, RegistryHost);

const OTHER: &str = "canary-77aa01-other";

impl CredentialSource for Both {
    fn get<'a>(&'a self, host: &'a RegistryHost) -> BoxFuture<'a, Result<Option<Credential>, RegistryError>> {
        let credential = |secret: &str| Credential {
            username: "user".to_owned(),
            secret: Secret::new(secret),
        };
        let found = if *host == self.0 {
            Some(credential(CANARY))
        } else if *host == self.1 {
            Some(credential(OTHER))
        } else {
            None
        };
        Box::pin(std::future::ready(Ok(found)))
    }

    fn rejected(&self, _: &RegistryHost, _: &Credential) {}
}

/// Whether a request holds any secret in any form that a client could write it in.
fn leaked(seen: &Seen) -> bool {
    let raw = String::from_utf8_lossy(&seen.raw).to_lowercase();
    logs::forms(CANARY)
        .chain(logs::forms(OTHER))
        .chain(logs::forms(TOKEN))
        .any(|form| raw.contains(&form.to_lowercase()))
        || raw.contains("authorization")
}

struct Setup {
    registry: Server,
    attacker: Server,
    entries: Vec<RegistryEntry>,
    _ca: Option<Ca>,
}

impl Setup {
    async fn new(case: &'static Case, tls: bool, proxy: Option<&ForwardProxy>) -> Self {
        let ca = tls.then(Ca::new);
        let acceptor = || ca.as_ref().map(|ca| ca.acceptor(&["127.0.0.1", "localhost"]));
        let base = if tls { "https" } else { "http" };
        let bad = Server::start(acceptor(), Arc::new(attacker)).await;
        let attacker_url = format!("{base}://{}", bad.address);
        let script = move |seen: &Seen, _: usize| {
            let own = format!("{base}://{}", seen.header("host").unwrap());
            (case.registry)(seen, &own, &attacker_url)
        };
        let registry = Server::start(acceptor(), Arc::new(script)).await;
        let mut entries = vec![entry(&registry.host(), !tls), entry(&bad.host(), !tls)];
        for entry in &mut entries {
            entry.ca_file = ca.as_ref().map(|ca| ca.file.path().to_owned());
            if let Some(proxy) = proxy {
                entry.proxy = Proxy::Url(proxy.url());
            }
        }
        if case.trusted {
            entries[0].trusted_token_hosts = vec![bad.host()];
        }
        Self {
            registry,
            attacker: bad,
            entries,
            _ca: ca,
        }
    }

    fn client(&self) -> RegistryClient {
        client(
            &self.entries,
            Arc::new(Both(self.registry.host(), self.attacker.host())),
        )
    }
}

async fn ask(client: &RegistryClient, host: &RegistryHost, ask: Ask) -> Result<String, RegistryError> {
    match ask {
        Ask::Get => text(get(client, host, "/v2/a/manifests/1").await).await,
        Ask::Pages => {
            let first = get(client, host, "/v2/a/tags/list").await?;
            let mut next = RegistryRequest::new("list tags", Method::GET, "", pull("a"));
            next.target = RequestTarget::Location(first.next_page()?.expect("a next page"));
            text(client.send(host, next).await).await
        }
        Ask::Upload => {
            let start =
                RegistryRequest::new("start an upload", Method::POST, "/v2/a/blobs/uploads/", pull("a"));
            let location = client.send(host, start).await?.location()?.expect("a Location");
            let mut put = RegistryRequest::new("upload", Method::PUT, "", pull("a"));
            put.target = RequestTarget::Location(location.with_query("digest", "sha256:0"));
            put.body = RequestBody::Stream {
                len: 9,
                stream: Box::pin(futures::stream::iter([Ok("blob ".into()), Ok("body".into())])),
            };
            text(client.send(host, put).await).await
        }
    }
}

async fn run(case: &'static Case, tls: bool, proxy: Option<&ForwardProxy>) {
    let setup = Setup::new(case, tls, proxy).await;
    let name = format!("{} (tls: {tls}, proxy: {})", case.name, proxy.is_some());
    let got = ask(&setup.client(), &setup.registry.host(), case.ask).await;
    match (&got, &case.wanted) {
        (Ok(got), Ok(wanted)) => assert!(got == wanted || *wanted == "*", "{name}: {got}"),
        // Which error depends on what the other name leads to; that it is one does not.
        (Err(_), Err(ErrorKind::Dns)) => {}
        (Err(error), Err(kind)) => assert_eq!(error.kind, *kind, "{name}: {error:?}"),
        (got, wanted) => panic!("{name}: {got:?} instead of {wanted:?}"),
    }
    if let Err(error) = &got {
        logs::assert_clean_error(error);
    }
    let seen = setup.attacker.seen();
    assert_eq!(
        seen.len(),
        case.attacked,
        "{name}: requests at the attacker {seen:?}"
    );
    if case.trusted {
        let basic = format!("Basic {CANARY_BASIC}");
        assert_eq!(seen[0].header("authorization"), Some(&*basic), "{name}");
        assert!(!String::from_utf8_lossy(&seen[0].raw).contains(TOKEN), "{name}");
    } else {
        let leaks: Vec<_> = seen.iter().filter(|seen| leaked(seen)).collect();
        assert!(leaks.is_empty(), "{name}: {leaks:?}");
        assert!(seen.iter().all(|seen| seen.body.is_empty()), "{name}");
    }
    let back = setup.registry.seen();
    assert!(back.len() < 20, "{name}: {} requests", back.len());
}

#[tokio::test]
async fn no_credential_reaches_the_attacker_by_http() {
    for case in CASES {
        run(case, false, None).await;
    }
    logs::assert_clean();
}

#[tokio::test]
async fn no_credential_reaches_the_attacker_by_tls() {
    for case in CASES {
        run(case, true, None).await;
    }
    logs::assert_clean();
}

#[tokio::test]
async fn no_credential_reaches_the_attacker_through_a_proxy() {
    for tls in [false, true] {
        let proxy = ForwardProxy::start().await;
        for case in CASES {
            run(case, tls, Some(&proxy)).await;
        }
        assert!(proxy.used() > 0);
    }
    logs::assert_clean();
}

#[tokio::test]
async fn a13_a_missing_credential_is_an_error() {
    let server = Server::plain(|_, _| answer("200 OK", &[], "served to everyone")).await;
    let mut own = entry(&server.host(), true);
    own.identity = Some(syncd_config::config::Identity::Basic {
        username: "bot".to_owned(),
        password_file: "/nowhere/password".into(),
    });
    let clock = syncd_providers::Clock::new(|| jiff::Timestamp::UNIX_EPOCH);
    let credentials = syncd::tokens::Tokens::new(&[own.clone()], None, clock);
    let client = client(&[own], Arc::new(credentials));
    let error = text(get(&client, &server.host(), "/v2/a/manifests/1").await)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::CredentialUnavailable);
    assert!(error.to_string().contains("/nowhere/password"), "{error}");
    assert_eq!(server.seen().len(), 0, "not as nobody either");
    // Asked for explicitly, it is no secret that one goes as nobody.
    let nobody = text(get(&client.anonymous(), &server.host(), "/v2/a/manifests/1").await).await;
    assert_eq!(nobody.unwrap(), "served to everyone");
}

/// What a caller puts in has no say either.
#[tokio::test]
async fn a_request_brings_no_credential_of_its_own() {
    let server = Server::plain(|_, _| answer("200 OK", &[], "")).await;
    let client = plain_client(&server.host());
    let mut request = RegistryRequest::new("read", Method::GET, "/v2/", pull("a"));
    for name in ["authorization", "proxy-authorization", "cookie"] {
        request
            .headers
            .insert(name, http::HeaderValue::from_static(CANARY));
    }
    client.send(&server.host(), request).await.unwrap();
    assert!(!leaked(&server.seen()[0]), "{:?}", server.seen());
    // A place that another registry named is not asked for here.
    let other = Server::plain(|_, _| answer("202 Accepted", &[("Location", "/upload")], "")).await;
    let start = RegistryRequest::new("start", Method::POST, "/v2/a/blobs/uploads/", pull("a"));
    let location = plain_client(&other.host())
        .send(&other.host(), start)
        .await
        .unwrap()
        .location();
    let mut put = RegistryRequest::new("upload", Method::PUT, "", pull("a"));
    put.target = RequestTarget::Location(location.unwrap().unwrap());
    let error = client.send(&server.host(), put).await.err().unwrap();
    assert_eq!((error.kind, server.seen().len()), (ErrorKind::OriginRefused, 1));
}

/// A14: the attacker has no entry, so neither plain http nor the registry's CA is good for it.
#[tokio::test]
async fn a14_what_an_entry_says_is_for_its_own_host() {
    let ca = Ca::new();
    for tls in [false, true] {
        let acceptor = || tls.then(|| ca.acceptor(&["127.0.0.1"]));
        let bad = Server::start(acceptor(), Arc::new(attacker)).await;
        let url = format!("{}://{}/file", if tls { "https" } else { "http" }, bad.address);
        let script = move |seen: &Seen, _: usize| basic_then(seen, || redirect(&url));
        let registry = Server::start(acceptor(), Arc::new(script)).await;
        let mut own = entry(&registry.host(), !tls);
        own.ca_file = tls.then(|| ca.file.path().to_owned());
        let client = client(&[own], user(&registry.host())).without_retries();
        let error = text(get(&client, &registry.host(), "/v2/a/blobs/sha256:0").await)
            .await
            .unwrap_err();
        let wanted = if tls {
            ErrorKind::TlsUnknownCa
        } else {
            ErrorKind::OriginRefused
        };
        assert_eq!(error.kind, wanted, "{error:?}");
        assert_eq!(bad.seen().len(), 0);
    }
}

/// A14: a realm without TLS, for a registry with it.
#[tokio::test]
async fn a14_a_token_is_not_asked_for_without_tls() {
    let ca = Ca::new();
    let bad = Server::plain(attacker).await;
    let realm = format!(r#"Bearer realm="http://{}/token""#, bad.address);
    let registry = Server::tls(&ca, move |_, _| challenge(&realm)).await;
    let mut own = entry(&registry.host(), false);
    own.ca_file = Some(ca.file.path().to_owned());
    own.trusted_token_hosts = vec![bad.host()];
    let client = client(&[own, entry(&bad.host(), true)], user(&registry.host())).without_retries();
    let error = text(get(&client, &registry.host(), "/v2/a/manifests/1").await)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::OriginRefused, "{error:?}");
    assert_eq!(bad.seen().len(), 0);
}
