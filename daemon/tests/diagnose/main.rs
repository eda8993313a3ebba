//! `diagnose` against servers that fail in every way a node meets: what it says is a golden table,
//! and no password is in any report.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail the test"
)]

mod image;
mod mirror;
mod pod;
mod server;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use image::Image;
use server::{Ask, Reply, Script, Server, answer, refuse};
use syncd::cli::diagnose_text;
use syncd::diagnose::{DiagnoseContext, DiagnoseOptions, image};
use syncd::oci::RegistryClient;
use syncd::report::{Cause, DiagnoseReport};
use syncd::tokens::Tokens;
use syncd_config::config::{Identity, Limits, Proxy, RegistryEntry};
use syncd_providers::Clock;
use syncd_providers::http::Timeouts;
use tokio_rustls::TlsAcceptor;

/// The password: found in no report, in no form.
const CANARY: &str = "canary-5b21d0-password";
/// `user:CANARY` in base64.
const CANARY_BASIC: &str = "dXNlcjpjYW5hcnktNWIyMWQwLXBhc3N3b3Jk";
/// The token that scripted token endpoints hand out.
const TOKEN: &str = "canary-77e0aa-token";

/// How the host is configured.
#[derive(Default)]
struct Entry {
    plain: bool,
    login: bool,
    missing_file: bool,
    ca: Option<PathBuf>,
    proxy: Option<SocketAddr>,
}

impl Entry {
    fn plain() -> Self {
        Self {
            plain: true,
            ..Self::default()
        }
    }

    fn login() -> Self {
        Self {
            plain: true,
            login: true,
            ..Self::default()
        }
    }
}

/// Diagnoses with a configuration of one host, and looks for secrets in what comes out.
async fn ask(host: &str, path: &str, entry: Option<Entry>) -> DiagnoseReport {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, CANARY).unwrap();
    let entries: Vec<RegistryEntry> = entry
        .into_iter()
        .map(|entry| of_host(host, &entry, &password))
        .collect();
    let clock = Clock::new(|| jiff::Timestamp::UNIX_EPOCH);
    let timeouts = Timeouts {
        connect: Duration::from_secs(2),
        headers: Duration::from_millis(400),
        idle: Duration::from_millis(400),
        ..Timeouts::default()
    };
    let credentials = Arc::new(Tokens::new(&entries, None, clock.clone()));
    let context = DiagnoseContext {
        config: None,
        client: RegistryClient::with_timeouts(&entries, credentials, clock, timeouts).unwrap(),
        store: None,
    };
    let options = DiagnoseOptions {
        platform: "linux/amd64".parse().unwrap(),
        blobs: true,
        step: Duration::from_secs(2),
        ..DiagnoseOptions::default()
    };
    let report = image(&context, &format!("{host}/{path}"), &options).await;
    let told = format!(
        "{report:?} {} {}",
        serde_json::to_string(&report).unwrap(),
        diagnose_text::text(&report, 80)
    );
    for secret in [CANARY, CANARY_BASIC, TOKEN] {
        assert!(!told.contains(secret), "{secret} is in {told}");
    }
    report
}

fn of_host(host: &str, entry: &Entry, password: &Path) -> RegistryEntry {
    let password_file = if entry.missing_file {
        password.with_file_name("nowhere")
    } else {
        password.to_owned()
    };
    RegistryEntry {
        name: "the-entry".to_owned(),
        host: host.parse().unwrap(),
        identity: entry.login.then(|| Identity::Basic {
            username: "user".to_owned(),
            password_file,
        }),
        probe: None,
        ca_file: entry.ca.clone(),
        plain_http: entry.plain,
        trusted_token_hosts: Vec::new(),
        proxy: match entry.proxy {
            Some(proxy) => Proxy::Url(format!("http://{proxy}").parse().unwrap()),
            None => Proxy::Direct,
        },
        limits: Limits::default(),
    }
}

/// A row of the table: what was said, with this run's ports and digests taken out.
fn row(table: &mut String, name: &str, report: &DiagnoseReport) {
    let verdict = &report.verdict;
    let failed = report
        .checks
        .iter()
        .find(|check| check.status == syncd::report::CheckStatus::Fail)
        .map_or("-", |check| check.id.as_str());
    let others: Vec<&str> = report
        .alternatives
        .iter()
        .map(|other| other.cause.as_str())
        .collect();
    let evidence = anonymous(&verdict.evidence);
    writeln!(
        table,
        "{name}\n    {} {} at {failed}; or {}\n    {evidence}",
        verdict.cause,
        verdict.confidence.as_str(),
        if others.is_empty() {
            "-".to_owned()
        } else {
            others.join(" ")
        },
    )
    .unwrap();
}

/// Ports, digests and folders differ from run to run.
fn anonymous(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.rsplit_once('/') {
        Some((folder, file)) if folder.contains("/.tmp") => format!("DIR/{file}"),
        _ => word.to_owned(),
    });
    without_ports(&words.collect::<Vec<_>>().join(" "))
}

fn without_ports(text: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() {
            digits.push(c);
            continue;
        }
        let port = digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit()) && out.ends_with(':');
        out.push_str(match digits.as_str() {
            _ if port => "PORT",
            hex if hex.len() == 64 => "DIGEST",
            other => other,
        });
        digits.clear();
        out.push(c);
    }
    out.trim_end_matches('\0').to_owned()
}

/// A registry with the image that answers some requests otherwise.
fn registry(otherwise: impl Fn(&Ask, &Image) -> Option<Reply> + Send + Sync + 'static) -> Script {
    let image = Image::new(["amd64", "arm64"]);
    Arc::new(move |ask| otherwise(ask, &image).unwrap_or_else(|| image.serve(ask)))
}

async fn plain(
    entry: Entry,
    path: &str,
    otherwise: impl Fn(&Ask, &Image) -> Option<Reply> + Send + Sync + 'static,
) -> DiagnoseReport {
    let server = Server::plain(registry(otherwise)).await;
    ask(&server.address.to_string(), path, Some(entry)).await
}

fn of_manifests(ask: &Ask) -> bool {
    ask.path.contains("/manifests/")
}

const BASIC: &str = "WWW-Authenticate: Basic realm=\"r\"\r\n";

#[tokio::test]
async fn content() {
    let mut table = String::new();
    let open = |ask: &Ask, _: &Image| -> Option<Reply> {
        assert!(ask.authorization.is_none());
        None
    };
    let report = plain(Entry::plain(), "app:1", open).await;
    assert_eq!(report.verdict.cause, Cause::None, "{report:?}");
    row(&mut table, "all is well", &report);
    row(
        &mut table,
        "a misspelt tag",
        &plain(Entry::plain(), "app:2", |_, _| None).await,
    );
    row(
        &mut table,
        "a misspelt repository",
        &plain(Entry::plain(), "apq:1", |_, _| None).await,
    );
    let no_code = plain(Entry::plain(), "apq:1", |ask, _| {
        (ask.path != "/v2/").then(|| answer(ask, "404 Not Found", "", b""))
    });
    row(&mut table, "404 without a code, for everything", &no_code.await);
    let nothing = plain(Entry::plain(), "app:1", |ask, _| {
        Some(answer(
            ask,
            "404 Not Found",
            "Content-Type: text/html\r\n",
            b"<html>nginx</html>",
        ))
    });
    row(&mut table, "404 for /v2/ as well", &nothing.await);
    let other = Server::plain({
        let image = Image::new(["arm64", "s390x"]);
        Arc::new(move |ask| image.serve(ask))
    })
    .await;
    let report = ask(&other.address.to_string(), "app:1", Some(Entry::plain())).await;
    row(&mut table, "other platforms", &report);
    let schema1 = plain(Entry::plain(), "app:1", |ask, _| {
        of_manifests(ask).then(|| {
            answer(
                ask,
                "200 OK",
                "Content-Type: application/vnd.docker.distribution.manifest.v1+prettyjws\r\n",
                br#"{"schemaVersion":1,"name":"app","tag":"1","fsLayers":[]}"#,
            )
        })
    });
    row(&mut table, "docker schema 1", &schema1.await);
    let no_child = plain(Entry::plain(), "app:1", |ask, image| {
        let index = syncd_config::Digest::sha256(image.index.as_bytes()).to_string();
        let child = ask.path.contains("/manifests/sha256:") && !ask.path.ends_with(&index);
        child.then(|| refuse(ask, "404 Not Found", "", "MANIFEST_UNKNOWN", "manifest unknown"))
    });
    row(&mut table, "the platform's manifest is gone", &no_child.await);
    let no_blob = plain(Entry::plain(), "app:1", |ask, _| {
        ask.path.contains("/blobs/").then(|| {
            refuse(
                ask,
                "404 Not Found",
                "",
                "BLOB_UNKNOWN",
                "blob unknown to registry",
            )
        })
    });
    row(&mut table, "the config is gone", &no_blob.await);
    let cut = plain(Entry::plain(), "app:1", |ask, image| {
        let config = syncd_config::Digest::sha256(&image.config).to_string();
        ask.path.ends_with(&config).then(|| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                image.config.len()
            );
            Reply::Bytes(head.into_bytes())
        })
    });
    row(&mut table, "the config has no bytes", &cut.await);
    let wrong = plain(Entry::plain(), "app:1", |ask, image| {
        let config = syncd_config::Digest::sha256(&image.config).to_string();
        ask.path
            .ends_with(&config)
            .then(|| answer(ask, "200 OK", "", &vec![b'x'; image.config.len()]))
    });
    row(&mut table, "the config has other bytes", &wrong.await);
    let layers = plain(Entry::plain(), "app:1", |ask, image| {
        let config = syncd_config::Digest::sha256(&image.config).to_string();
        (ask.path.contains("/blobs/") && !ask.path.ends_with(&config)).then(|| {
            refuse(
                ask,
                "404 Not Found",
                "",
                "BLOB_UNKNOWN",
                "blob unknown to registry",
            )
        })
    });
    row(&mut table, "a layer is gone", &layers.await);
    let dead = closed_port();
    let elsewhere = plain(Entry::plain(), "app:1", move |ask, _| {
        let to = format!("Location: https://127.0.0.1:{dead}/blob?X-Amz-Signature={TOKEN}\r\n");
        ask.path
            .contains("/blobs/")
            .then(|| answer(ask, "307 Temporary Redirect", &to, b""))
    });
    let report = elsewhere.await;
    row(&mut table, "blobs are on a dead host", &report);
    assert!(
        report.fixes[0].text.contains(&format!("127.0.0.1:{dead}")),
        "{report:?}"
    );
    assert!(report.fixes.iter().all(|fix| fix.command.is_none()), "{report:?}");
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn access() {
    let mut table = String::new();
    let basic = |ask: &Ask, _: &Image| -> Option<Reply> {
        let good = ask.authorization.as_deref() == Some(&format!("Basic {CANARY_BASIC}"));
        (!good).then(|| {
            refuse(
                ask,
                "401 Unauthorized",
                BASIC,
                "UNAUTHORIZED",
                "authentication required",
            )
        })
    };
    row(
        &mut table,
        "Basic, with the password",
        &plain(Entry::login(), "app:1", basic).await,
    );
    row(
        &mut table,
        "Basic, without any",
        &plain(Entry::plain(), "app:1", basic).await,
    );
    let never = |ask: &Ask, _: &Image| -> Option<Reply> {
        Some(refuse(
            ask,
            "401 Unauthorized",
            BASIC,
            "UNAUTHORIZED",
            "authentication required",
        ))
    };
    row(
        &mut table,
        "Basic, with a wrong password",
        &plain(Entry::login(), "app:1", never).await,
    );
    let only_door = plain(Entry::plain(), "app:1", |ask, _| {
        (ask.path == "/v2/").then(|| refuse(ask, "401 Unauthorized", BASIC, "UNAUTHORIZED", "log in"))
    });
    row(&mut table, "only /v2/ wants a login", &only_door.await);
    let missing = Entry {
        missing_file: true,
        ..Entry::login()
    };
    row(
        &mut table,
        "the password file is missing",
        &plain(missing, "app:1", never).await,
    );
    let denied = |ask: &Ask, _: &Image| -> Option<Reply> {
        if ask.authorization.is_none() {
            return Some(refuse(
                ask,
                "401 Unauthorized",
                BASIC,
                "UNAUTHORIZED",
                "authentication required",
            ));
        }
        of_manifests(ask).then(|| {
            refuse(
                ask,
                "403 Forbidden",
                "",
                "DENIED",
                "requested access to the resource is denied",
            )
        })
    };
    row(
        &mut table,
        "403 with the password",
        &plain(Entry::login(), "app:1", denied).await,
    );
    let wall = plain(Entry::plain(), "app:1", |ask, _| {
        let page = b"<html><title>Blocked by the firewall</title></html>";
        Some(answer(ask, "403 Forbidden", "Content-Type: text/html\r\n", page))
    });
    row(&mut table, "403 from a firewall", &wall.await);
    let expired = plain(Entry::login(), "app:1", |ask, _| {
        if ask.authorization.is_none() {
            return Some(refuse(
                ask,
                "401 Unauthorized",
                BASIC,
                "UNAUTHORIZED",
                "authentication required",
            ));
        }
        Some(refuse(
            ask,
            "403 Forbidden",
            "",
            "DENIED",
            "Your authorization token has expired. Reauthenticate and try again.",
        ))
    });
    row(&mut table, "an expired token (as ECR says it)", &expired.await);
    for (name, status, body, entry) in [
        (
            "Bearer, anonymous token for a private image",
            "200 OK",
            format!(r#"{{"token":"{TOKEN}"}}"#),
            Entry::plain(),
        ),
        (
            "Bearer, the token endpoint refuses",
            "401 Unauthorized",
            r#"{"details":"incorrect username or password"}"#.to_owned(),
            Entry::login(),
        ),
        (
            "Bearer, the token endpoint denies anonymous",
            "403 Forbidden",
            r#"{"errors":[{"code":"DENIED","message":"denied"}]}"#.to_owned(),
            Entry::plain(),
        ),
        (
            "Bearer, the token endpoint fails",
            "503 Service Unavailable",
            "upstream down".to_owned(),
            Entry::login(),
        ),
        (
            "Bearer, the token endpoint talks nonsense",
            "200 OK",
            "<html>".to_owned(),
            Entry::login(),
        ),
    ] {
        row(&mut table, name, &bearer(entry, status, body).await);
    }
    let foreign = plain(Entry::login(), "app:1", |ask, _| {
        let challenge = "WWW-Authenticate: Bearer realm=\"https://tokens.other.example/t\"\r\n";
        Some(refuse(
            ask,
            "401 Unauthorized",
            challenge,
            "UNAUTHORIZED",
            "authentication required",
        ))
    });
    row(&mut table, "the login leads to a foreign host", &foreign.await);
    insta::assert_snapshot!(table);
}

/// A registry with a token endpoint that answers as told; it never gives the image out.
async fn bearer(entry: Entry, status: &'static str, body: String) -> DiagnoseReport {
    let port = Arc::new(std::sync::OnceLock::new());
    let own = port.clone();
    let server = Server::plain(registry(move |ask, _| {
        let realm = format!("http://127.0.0.1:{}/token", own.get().copied().unwrap_or(0));
        if ask.path.starts_with("/token") {
            return Some(answer(
                ask,
                status,
                "Content-Type: application/json\r\n",
                body.as_bytes(),
            ));
        }
        if ask.path == "/v2/" && ask.authorization.is_some() {
            return None;
        }
        let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\"\r\n");
        Some(refuse(
            ask,
            "401 Unauthorized",
            &challenge,
            "UNAUTHORIZED",
            "authentication required",
        ))
    }))
    .await;
    port.set(server.address.port()).unwrap();
    ask(&server.address.to_string(), "app:1", Some(entry)).await
}

#[tokio::test]
async fn registry_trouble() {
    let mut table = String::new();
    let limited = Server::plain(registry(|ask, _| {
        of_manifests(ask).then(|| {
            refuse(
                ask,
                "429 Too Many Requests",
                "Retry-After: 90\r\n",
                "TOOMANYREQUESTS",
                "slow down",
            )
        })
    }))
    .await;
    let report = ask(&limited.address.to_string(), "app:1", Some(Entry::plain())).await;
    row(&mut table, "429", &report);
    assert!(report.fixes[0].text.contains("90 seconds"), "{:?}", report.fixes);
    let manifests = limited
        .asked()
        .iter()
        .filter(|ask| ask.contains("/manifests/"))
        .count();
    assert_eq!(
        manifests,
        1,
        "no second request after a 429: {:?}",
        limited.asked()
    );
    let broken = Server::plain(Arc::new(|ask| {
        answer(ask, "500 Internal Server Error", "", b"boom")
    }))
    .await;
    let report = ask(&broken.address.to_string(), "app:1", Some(Entry::plain())).await;
    row(&mut table, "500", &report);
    assert_eq!(broken.asked(), ["GET /v2/"], "everything is sent once");
    let failing = Server::plain(registry(|ask, _| {
        of_manifests(ask).then(|| answer(ask, "502 Bad Gateway", "Retry-After: 0\r\n", b"no upstream"))
    }))
    .await;
    let report = ask(&failing.address.to_string(), "app:1", Some(Entry::plain())).await;
    row(&mut table, "502 for the manifest", &report);
    let asked = ["GET /v2/", "HEAD /v2/app/manifests/1", "GET /v2/app/manifests/1"];
    assert_eq!(failing.asked(), asked, "HEAD, and GET once for the words");
    let page = plain(Entry::plain(), "app:1", |ask, _| {
        Some(answer(
            ask,
            "200 OK",
            "Content-Type: text/html\r\n",
            b"<html>log in to the hotel</html>",
        ))
    });
    row(&mut table, "a web page", &page.await);
    let garbage = plain(Entry::plain(), "app:1", |ask, _| {
        of_manifests(ask).then(|| {
            answer(
                ask,
                "200 OK",
                "Content-Type: application/json\r\n",
                b"{\"hello\":1}",
            )
        })
    });
    row(&mut table, "JSON that is no manifest", &garbage.await);
    let head = plain(Entry::plain(), "app:1", |ask, _| {
        (ask.method == "HEAD").then(|| answer(ask, "405 Method Not Allowed", "", b""))
    });
    let report = head.await;
    row(&mut table, "HEAD is not allowed", &report);
    assert_eq!(report.checks[6].status, syncd::report::CheckStatus::Warn);
    let silent = plain(Entry::plain(), "app:1", |ask, _| {
        of_manifests(ask).then_some(Reply::Silence)
    });
    row(&mut table, "no answer to the manifest", &silent.await);
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn network_trouble() {
    let mut table = String::new();
    let dead = format!("127.0.0.1:{}", closed_port());
    row(&mut table, "nothing listens", &ask(&dead, "app:1", None).await);
    let report = ask("no-such-host.invalid", "app:1", None).await;
    assert_eq!(report.verdict.cause, Cause::DnsFailure, "{report:?}");
    let report = ask("169.254.169.254", "app:1", None).await;
    row(&mut table, "a metadata service", &report);
    let proxy = Entry {
        proxy: Some(dead.parse().unwrap()),
        ..Entry::default()
    };
    row(
        &mut table,
        "a dead proxy",
        &ask("reg.example", "app:1", Some(proxy)).await,
    );
    let refusing = Server::plain(Arc::new(|ask| {
        answer(ask, "407 Proxy Authentication Required", "", b"")
    }))
    .await;
    let proxy = Entry {
        proxy: Some(refusing.address),
        ..Entry::default()
    };
    row(
        &mut table,
        "a proxy that wants a login",
        &ask("reg.example", "app:1", Some(proxy)).await,
    );
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn tls_trouble() {
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    let ca = Ca::new(&ca_file);
    let trusting = || {
        Some(Entry {
            ca: Some(ca_file.clone()),
            ..Entry::default()
        })
    };
    let mut table = String::new();
    let script = || registry(|_, _| None);
    let server = Server::tls(script(), ca.acceptor("127.0.0.1", Valid::Now)).await;
    let host = server.address.to_string();
    row(
        &mut table,
        "a good certificate",
        &ask(&host, "app:1", trusting()).await,
    );
    row(&mut table, "an unknown CA", &ask(&host, "app:1", None).await);
    row(
        &mut table,
        "http where TLS is spoken",
        &ask(&host, "app:1", Some(Entry::plain())).await,
    );
    let server = Server::tls(script(), ca.acceptor("other.example", Valid::Now)).await;
    let report = ask(&server.address.to_string(), "app:1", trusting()).await;
    row(&mut table, "another name", &report);
    let server = Server::tls(script(), ca.acceptor("127.0.0.1", Valid::Past)).await;
    let report = ask(&server.address.to_string(), "app:1", trusting()).await;
    assert!(
        report.verdict.evidence.contains("until 2001-02-03 "),
        "{report:?}"
    );
    row(&mut table, "an expired certificate", &without_clock(report));
    let server = Server::tls(script(), ca.acceptor("127.0.0.1", Valid::Future)).await;
    let report = ask(&server.address.to_string(), "app:1", trusting()).await;
    row(&mut table, "a certificate of the future", &without_clock(report));
    let server = Server::plain(script()).await;
    row(
        &mut table,
        "TLS where http is spoken",
        &ask(&server.address.to_string(), "app:1", None).await,
    );
    let server = Server::banner(b"SSH-2.0-OpenSSH_9.6\r\n").await;
    row(
        &mut table,
        "TLS where ssh is spoken",
        &ask(&server.address.to_string(), "app:1", None).await,
    );
    insta::assert_snapshot!(table);
}

fn without_clock(mut report: DiagnoseReport) -> DiagnoseReport {
    let evidence = &mut report.verdict.evidence;
    if let Some((before, _)) = evidence.split_once("clock says ") {
        *evidence = format!("{before}clock says NOW");
    }
    report
}

/// The whole ends in time however long a single answer takes.
#[tokio::test]
async fn it_ends_in_time() {
    let server = Server::plain(Arc::new(|_| Reply::Silence)).await;
    let host = server.address.to_string();
    let entries = [of_host(&host, &Entry::plain(), Path::new("unused"))];
    let clock = Clock::new(|| jiff::Timestamp::UNIX_EPOCH);
    let credentials = Arc::new(Tokens::new(&entries, None, clock.clone()));
    let context = DiagnoseContext {
        config: None,
        // This client would wait for 30 s.
        client: RegistryClient::new(&entries, credentials, clock).unwrap(),
        store: None,
    };
    let options = DiagnoseOptions {
        deadline: Duration::from_millis(300),
        ..DiagnoseOptions::default()
    };
    let started = tokio::time::Instant::now();
    let report = image(&context, &format!("{host}/app:1"), &options).await;
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(report.verdict.cause, Cause::NetworkTimeout, "{report:?}");
}

fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A private CA.
struct Ca {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

enum Valid {
    Now,
    Past,
    Future,
}

impl Ca {
    fn new(file: &Path) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(file, certificate.pem()).unwrap();
        Self {
            issuer: rcgen::Issuer::new(params, key),
        }
    }

    fn acceptor(&self, name: &str, valid: Valid) -> TlsAcceptor {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        match valid {
            Valid::Now => {}
            Valid::Past => params.not_after = rcgen::date_time_ymd(2001, 2, 3),
            Valid::Future => params.not_before = rcgen::date_time_ymd(2200, 2, 3),
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
