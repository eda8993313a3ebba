//! The table of causes and the reports of made-up observations, as golden files.

use std::fmt::Write as _;

use super::judge;
use crate::diagnose::facts::{
    Api, Blobs, Connect, Facts, Fault, Fits, Handshake, Identity, ImageFacts, ManifestFacts, MirrorFacts,
    Route, Tags,
};
use crate::diagnose::faults::{Around, Step, cause_of};
use crate::oci::ErrorKind;
use crate::report::{Cause, CheckStatus, Confidence, DiagnoseReport};

const DIGEST: &str = "sha256:5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5";

/// Every class, so that the golden table below has a row for each.
const KINDS: &[ErrorKind] = &[
    ErrorKind::ManifestUnknown,
    ErrorKind::RepositoryUnknown,
    ErrorKind::BlobUnknown,
    ErrorKind::LoginRequired,
    ErrorKind::CredentialsRejected,
    ErrorKind::Denied,
    ErrorKind::TokenEndpoint,
    ErrorKind::CredentialUnavailable,
    ErrorKind::RateLimited,
    ErrorKind::ServerError,
    ErrorKind::NotARegistry,
    ErrorKind::Malformed,
    ErrorKind::TooLarge,
    ErrorKind::Dns,
    ErrorKind::ConnectionRefused,
    ErrorKind::ConnectionReset,
    ErrorKind::Unreachable,
    ErrorKind::Timeout,
    ErrorKind::Proxy,
    ErrorKind::TlsUnknownCa,
    ErrorKind::TlsHostname,
    ErrorKind::TlsCertTime,
    ErrorKind::TlsHttpMismatch,
    ErrorKind::Tls,
    ErrorKind::OriginRefused,
    ErrorKind::Integrity,
    ErrorKind::Unsupported,
    ErrorKind::WriteRefused,
    ErrorKind::DiskFull,
    ErrorKind::Io,
    ErrorKind::Locked,
    ErrorKind::Canceled,
];

fn fault(kind: ErrorKind, status: Option<u16>, words: &str) -> Fault {
    Fault {
        status,
        ..Fault::new(kind, "reg.example", "read the manifest", words)
    }
}

fn told(finding: &crate::diagnose::faults::Finding) -> String {
    let mut out = format!("{} {}", finding.cause, finding.confidence.as_str());
    for other in &finding.alternatives {
        write!(out, ", {} {}", other.cause, other.confidence.as_str()).unwrap();
    }
    out
}

#[test]
fn every_class_has_a_cause() {
    let host = "reg.example".parse().unwrap();
    let mut table = String::new();
    for kind in KINDS {
        for (name, anonymous, proxied) in [
            ("login", false, false),
            ("anonymous", true, false),
            ("proxy", false, true),
        ] {
            let around = Around {
                host: &host,
                anonymous,
                proxied,
                step: Step::Manifest,
            };
            let finding = cause_of(&fault(*kind, None, ""), around);
            writeln!(table, "{:22} {name:9} {}", kind.as_str(), told(&finding)).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn words_and_status_decide_between_causes() {
    let mut table = String::new();
    for (host, kind, status, words, anonymous, step) in [
        (
            "docker.io",
            ErrorKind::LoginRequired,
            401,
            "UNAUTHORIZED: authentication required",
            true,
            Step::Manifest,
        ),
        (
            "quay.io",
            ErrorKind::LoginRequired,
            401,
            "UNAUTHORIZED: access to the requested resource is not authorized",
            true,
            Step::Manifest,
        ),
        (
            "reg.example",
            ErrorKind::LoginRequired,
            401,
            "UNAUTHORIZED: authentication required",
            true,
            Step::Login,
        ),
        (
            "reg.example",
            ErrorKind::CredentialsRejected,
            401,
            "UNAUTHORIZED: bad password",
            false,
            Step::Login,
        ),
        (
            "reg.example",
            ErrorKind::CredentialsRejected,
            401,
            "UNAUTHORIZED: insufficient scope",
            false,
            Step::Manifest,
        ),
        (
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
            ErrorKind::Denied,
            403,
            "DENIED: Your authorization token has expired. Reauthenticate and try again.",
            false,
            Step::Manifest,
        ),
        (
            "reg.example",
            ErrorKind::Denied,
            403,
            "DENIED: requested access to the resource is denied",
            false,
            Step::Manifest,
        ),
        (
            "reg.example",
            ErrorKind::Denied,
            403,
            "DENIED: requested access to the resource is denied",
            true,
            Step::Manifest,
        ),
        ("reg.example", ErrorKind::Denied, 403, "", true, Step::Manifest),
        (
            "reg.example",
            ErrorKind::Denied,
            403,
            "<html><h1>403</h1></html>",
            false,
            Step::Api,
        ),
        (
            "reg.example",
            ErrorKind::Denied,
            403,
            "PROJECTPOLICYVIOLATION: current image with 3 vulnerabilities cannot be pulled",
            false,
            Step::Manifest,
        ),
        (
            "reg.example",
            ErrorKind::TokenEndpoint,
            401,
            "",
            true,
            Step::Login,
        ),
        (
            "reg.example",
            ErrorKind::TokenEndpoint,
            401,
            "invalid_grant",
            false,
            Step::Login,
        ),
        (
            "reg.example",
            ErrorKind::CredentialsRejected,
            403,
            "DENIED: requested access to the resource is denied",
            false,
            Step::Login,
        ),
        (
            "ghcr.io",
            ErrorKind::CredentialsRejected,
            403,
            "DENIED: denied",
            false,
            Step::Login,
        ),
        (
            "reg.example",
            ErrorKind::TokenEndpoint,
            429,
            "",
            false,
            Step::Login,
        ),
        (
            "reg.example",
            ErrorKind::TokenEndpoint,
            503,
            "",
            false,
            Step::Login,
        ),
        ("reg.example", ErrorKind::ConnectionReset, 0, "", false, Step::Tls),
        ("reg.example", ErrorKind::Timeout, 0, "", false, Step::Tcp),
        ("reg.example", ErrorKind::Timeout, 0, "", false, Step::Manifest),
    ] {
        let host = host.parse().unwrap();
        let around = Around {
            host: &host,
            anonymous,
            proxied: false,
            step,
        };
        let finding = cause_of(&fault(kind, (status > 0).then_some(status), words), around);
        let who = if anonymous { "anonymous" } else { "login" };
        writeln!(
            table,
            "{host} {step:?} {who} {status} {words}\n    {}",
            told(&finding)
        )
        .unwrap();
    }
    insta::assert_snapshot!(table);
}

fn route(host: &str, entry: Option<&str>) -> Route {
    let host: syncd_config::RegistryHost = host.parse().unwrap();
    Route {
        name: host.name().to_owned(),
        port: host.port().unwrap_or(443),
        plain_http: false,
        fallback: false,
        proxy: None,
        identity: entry.map(|name| Identity::Entry(name.to_owned())),
        extra_ca: false,
        own: false,
        embedded: None,
        host,
    }
}

/// An image at a registry with TLS where all is well; the scenarios spoil it.
fn good(image: &str, entry: Option<&str>) -> Facts {
    let mut facts = Facts::new(image, "linux/amd64".parse().unwrap());
    let host = facts.reference.as_ref().unwrap().host.to_string();
    facts.route = Some(route(&host, entry));
    facts.names = Some(Ok(vec!["192.0.2.7".parse().unwrap()]));
    facts.connects = vec![Connect {
        address: "192.0.2.7:443".parse().unwrap(),
        outcome: Ok(()),
    }];
    facts.handshake = Some(Ok(Handshake {
        version: "TLS 1.3".to_owned(),
    }));
    facts.api = Some(Ok(Api {
        status: 401,
        schemes: vec!["Bearer".to_owned()],
    }));
    facts.login = Some(Ok(()));
    facts.manifest = Some(Ok(ManifestFacts {
        digest: DIGEST.to_owned(),
        platforms: Some(vec![
            "linux/amd64".parse().unwrap(),
            "linux/arm64".parse().unwrap(),
        ]),
        head_failed: None,
    }));
    facts.image = Some(Ok(ImageFacts {
        platform: Some("linux/amd64".parse().unwrap()),
        fits: Fits::Exactly,
    }));
    facts.blobs = Some(Blobs {
        good: 1,
        all: 4,
        bad: None,
    });
    facts.mirror = MirrorFacts::NotAsked("no mirror is configured".to_owned());
    facts
}

/// With the place that the probe gives it: the registry of the image.
fn at(place: &str, fault: Fault) -> Fault {
    Fault {
        place: place.to_owned(),
        ..fault
    }
}

fn spoilt(image: &str, entry: Option<&str>, spoil: impl FnOnce(&mut Facts)) -> DiagnoseReport {
    let mut facts = good(image, entry);
    spoil(&mut facts);
    judge(&facts)
}

fn texts(report: &DiagnoseReport) -> String {
    let text = crate::cli::diagnose_text::text(report, 80);
    for line in text.lines() {
        // A single word (a digest, a host) may be longer than a line.
        let long = line.chars().count() > 80 && line.trim().contains(' ');
        assert!(!long, "too long: {line}");
    }
    text
}

fn not_found(facts: &mut Facts, kind: ErrorKind, words: &str) {
    facts.manifest = Some(Err(fault(kind, Some(404), words)));
    facts.image = None;
    facts.blobs = None;
}

fn tags(names: &[&str]) -> Option<Result<Tags, Fault>> {
    Some(Ok(Tags {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    }))
}

#[test]
fn a_good_image() {
    let report = spoilt("reg.example/team/app:1", Some("reg.example"), |_| {});
    assert_eq!(report.verdict.cause, Cause::None);
    insta::assert_snapshot!(texts(&report));
    insta::assert_json_snapshot!("a_good_image_json", report);
}

#[test]
fn a_reference_that_does_not_parse() {
    for (asked, expected) in [
        ("https://Reg.example/App:1", true),
        ("reg.example/${NAME}:1", false),
        ("", false),
    ] {
        let report = judge(&Facts::new(asked, "linux/amd64".parse().unwrap()));
        assert_eq!(report.verdict.cause, Cause::InvalidReference);
        assert_eq!(report.fixes[0].command.is_some(), expected, "{:?}", report.fixes);
        assert!(
            report
                .checks
                .iter()
                .skip(1)
                .all(|check| check.status == CheckStatus::Skip)
        );
    }
    let report = judge(&Facts::new(
        "https://Reg.example/App:1",
        "linux/amd64".parse().unwrap(),
    ));
    insta::assert_snapshot!(texts(&report));
}

#[test]
fn a_misspelt_tag() {
    let report = spoilt("reg.example/team/app:1.72", Some("reg.example"), |facts| {
        not_found(
            facts,
            ErrorKind::ManifestUnknown,
            "MANIFEST_UNKNOWN: manifest unknown",
        );
        facts.tags = tags(&["1.26", "1.27", "2.0", "latest", "stable", "beta"]);
    });
    assert_eq!(report.verdict.cause, Cause::TagNotFound);
    assert_eq!(report.verdict.confidence, Confidence::Certain);
    insta::assert_snapshot!(texts(&report));
    insta::assert_json_snapshot!("a_misspelt_tag_json", report);
}

#[test]
fn a_misspelt_repository() {
    let report = spoilt("reg.example/team/apq:1", None, |facts| {
        not_found(
            facts,
            ErrorKind::RepositoryUnknown,
            "NAME_UNKNOWN: no such repository",
        );
        facts.tags = Some(Err(fault(
            ErrorKind::RepositoryUnknown,
            Some(404),
            "NAME_UNKNOWN: no such repository",
        )));
        facts.neighbours = vec!["team/app".to_owned(), "other".to_owned()];
    });
    assert_eq!(report.verdict.cause, Cause::RepoNotFound);
    // The registry wants a login, so it may hide the repository.
    assert_eq!(report.verdict.confidence, Confidence::Likely);
    insta::assert_snapshot!(texts(&report));
}

/// (what the manifest said, what the list of tags said) -> the answer.
#[test]
fn tag_or_repository() {
    let manifest_unknown = "MANIFEST_UNKNOWN: manifest unknown";
    let name_unknown = "NAME_UNKNOWN: repository name not known";
    let refuse = |kind, status, words| Some(Err(fault(kind, Some(status), words)));
    let mut table = String::new();
    for (name, open, kind, words, tags) in [
        (
            "a tag is missing",
            true,
            ErrorKind::ManifestUnknown,
            manifest_unknown,
            tags(&["2"]),
        ),
        (
            "no code, tags there",
            true,
            ErrorKind::ManifestUnknown,
            "",
            tags(&["2"]),
        ),
        (
            "the tag is listed",
            true,
            ErrorKind::ManifestUnknown,
            manifest_unknown,
            tags(&["1"]),
        ),
        (
            "an open registry knows no such name",
            true,
            ErrorKind::ManifestUnknown,
            manifest_unknown,
            refuse(ErrorKind::RepositoryUnknown, 404, name_unknown),
        ),
        (
            "one with a login knows none",
            false,
            ErrorKind::ManifestUnknown,
            manifest_unknown,
            refuse(ErrorKind::RepositoryUnknown, 404, name_unknown),
        ),
        (
            "no list, manifest unknown",
            true,
            ErrorKind::ManifestUnknown,
            manifest_unknown,
            refuse(ErrorKind::ManifestUnknown, 404, ""),
        ),
        (
            "no list, name unknown",
            true,
            ErrorKind::RepositoryUnknown,
            name_unknown,
            refuse(ErrorKind::Denied, 403, ""),
        ),
        (
            "no list, no code",
            true,
            ErrorKind::ManifestUnknown,
            "",
            refuse(ErrorKind::ServerError, 500, ""),
        ),
        (
            "an empty list",
            true,
            ErrorKind::ManifestUnknown,
            manifest_unknown,
            tags(&[]),
        ),
        ("never asked", true, ErrorKind::ManifestUnknown, "", None),
    ] {
        let report = spoilt("reg.example/team/app:1", None, |facts| {
            if open {
                facts.api = Some(Ok(Api {
                    status: 200,
                    schemes: Vec::new(),
                }));
            }
            not_found(facts, kind, words);
            facts.tags = tags;
        });
        let others: Vec<&str> = report
            .alternatives
            .iter()
            .map(|other| other.cause.as_str())
            .collect();
        writeln!(
            table,
            "{name:36} {} {} / {}",
            report.verdict.cause,
            report.verdict.confidence.as_str(),
            others.join(" ")
        )
        .unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_dead_port() {
    let report = spoilt("127.0.0.1:5059/hello:1", None, |facts| {
        facts.names = Some(Ok(vec!["127.0.0.1".parse().unwrap()]));
        facts.route.as_mut().unwrap().embedded = Some("127.0.0.1:5050".parse().unwrap());
        facts.connects = vec![Connect {
            address: "127.0.0.1:5059".parse().unwrap(),
            outcome: Err(Fault::new(
                ErrorKind::ConnectionRefused,
                "127.0.0.1:5059",
                "connect",
                "connection refused",
            )),
        }];
    });
    assert_eq!(report.verdict.cause, Cause::ConnectionRefused);
    insta::assert_snapshot!(texts(&report));
}

#[test]
fn two_addresses_that_both_fail() {
    for (kinds, cause) in [
        (
            [ErrorKind::Unreachable, ErrorKind::ConnectionRefused],
            Cause::ConnectionRefused,
        ),
        (
            [ErrorKind::Unreachable, ErrorKind::Timeout],
            Cause::NetworkTimeout,
        ),
        (
            [ErrorKind::Timeout, ErrorKind::ConnectionRefused],
            Cause::ConnectionRefused,
        ),
        (
            [ErrorKind::Unreachable, ErrorKind::Unreachable],
            Cause::NetworkUnreachable,
        ),
    ] {
        let report = spoilt("reg.example/app:1", None, |facts| {
            facts.connects = ["[2001:db8::7]:443", "192.0.2.7:443"]
                .into_iter()
                .zip(kinds)
                .map(|(address, kind)| Connect {
                    address: address.parse().unwrap(),
                    outcome: Err(Fault::new(kind, address, "connect", kind.as_str())),
                })
                .collect();
        });
        assert_eq!(report.verdict.cause, cause, "{kinds:?}");
        assert_eq!(report.verdict.confidence, Confidence::Certain);
    }
}

#[test]
fn one_address_of_two_fails() {
    let report = spoilt("reg.example/app:1", None, |facts| {
        facts.connects.push(Connect {
            address: "[2001:db8::7]:443".parse().unwrap(),
            outcome: Err(Fault::new(
                ErrorKind::Unreachable,
                "[2001:db8::7]:443",
                "connect",
                "no route",
            )),
        });
    });
    assert_eq!(report.verdict.cause, Cause::None);
    assert_eq!(
        report.checks[2].status,
        CheckStatus::Warn,
        "{:?}",
        report.checks[2]
    );
}

#[test]
fn an_unknown_ca() {
    let report = spoilt("reg.example:8443/app:1", None, |facts| {
        facts.handshake = Some(Err(at(
            "reg.example:8443",
            fault(
                ErrorKind::TlsUnknownCa,
                None,
                "the certificate's issuer is not among the trusted CAs",
            ),
        )));
    });
    insta::assert_snapshot!(texts(&report));
}

#[test]
fn an_expired_certificate() {
    let report = spoilt("reg.example/app:1", None, |facts| {
        facts.handshake = Some(Err(fault(
            ErrorKind::TlsCertTime,
            None,
            "the certificate was valid until 2026-01-02 03:04 UTC, this machine's clock says 2026-11-24 \
             20:00 UTC",
        )));
    });
    insta::assert_snapshot!(texts(&report));
}

#[test]
fn plain_http_where_https_was_tried() {
    let report = spoilt("reg.example:5000/app:1", None, |facts| {
        facts.handshake = Some(Err(at(
            "reg.example:5000",
            fault(
                ErrorKind::TlsHttpMismatch,
                None,
                "the server answered the TLS greeting in plain http",
            ),
        )));
    });
    insta::assert_snapshot!(texts(&report));
}

#[test]
fn no_credential() {
    let report = spoilt("reg.example/team/app:1", None, |facts| {
        facts.api = Some(Ok(Api {
            status: 401,
            schemes: vec!["Basic".to_owned()],
        }));
        let wanted = fault(
            ErrorKind::LoginRequired,
            Some(401),
            "UNAUTHORIZED: authentication required",
        );
        facts.login = Some(Err(wanted.clone()));
        facts.manifest = Some(Err(wanted));
    });
    assert_eq!(report.verdict.cause, Cause::AuthMissing);
    insta::assert_snapshot!(texts(&report));
}

#[test]
fn a_public_image_at_a_registry_that_wants_a_login() {
    let report = spoilt("reg.example/team/app:1", None, |facts| {
        let wanted = fault(ErrorKind::LoginRequired, Some(401), "");
        facts.login = Some(Err(wanted));
    });
    assert_eq!(report.verdict.cause, Cause::None);
    assert_eq!(report.checks[5].status, CheckStatus::Warn);
}

#[test]
fn a_wrong_password() {
    let report = spoilt("reg.example/team/app:1", Some("team-a"), |facts| {
        facts.login = Some(Err(fault(
            ErrorKind::CredentialsRejected,
            Some(401),
            "UNAUTHORIZED: authentication required",
        )));
        facts.manifest = None;
    });
    assert_eq!(report.verdict.cause, Cause::AuthWrongCredentials);
    insta::assert_snapshot!(texts(&report));
}

#[test]
fn a_rate_limit() {
    let report = spoilt("docker.io/library/nginx:1", None, |facts| {
        facts.manifest = Some(Err(Fault {
            place: "docker.io".to_owned(),
            retry_after: Some(std::time::Duration::from_secs(90)),
            ..fault(
                ErrorKind::RateLimited,
                Some(429),
                "TOOMANYREQUESTS: You have reached your pull rate limit",
            )
        }));
        facts.mirror = MirrorFacts::Present {
            name: "127.0.0.1:5050/docker.io/library/nginx:1".to_owned(),
            digest: DIGEST.to_owned(),
        };
    });
    insta::assert_snapshot!(texts(&report));
}

#[test]
fn another_platform() {
    let report = spoilt("reg.example/team/app:1", None, |facts| {
        facts.manifest = Some(Ok(ManifestFacts {
            digest: DIGEST.to_owned(),
            platforms: Some(vec![
                "linux/arm64".parse().unwrap(),
                "linux/s390x".parse().unwrap(),
            ]),
            head_failed: None,
        }));
        facts.image = Some(Ok(ImageFacts {
            platform: None,
            fits: Fits::No,
        }));
        facts.blobs = None;
    });
    assert_eq!(report.verdict.cause, Cause::PlatformMismatch);
    insta::assert_snapshot!(texts(&report));
}

#[test]
fn a_damaged_mirror() {
    let report = spoilt("docker.io/library/nginx:1", None, |facts| {
        facts.mirror = MirrorFacts::Damaged {
            name: "127.0.0.1:5050/docker.io/library/nginx:1".to_owned(),
            words: "1 -> index -> linux/amd64 -> layer 2 is cut short".to_owned(),
        };
    });
    assert_eq!(report.verdict.cause, Cause::MirrorFault);
    insta::assert_snapshot!(texts(&report));
}

#[test]
fn a_mirror_that_lacks_the_image_is_no_failure() {
    let report = spoilt("docker.io/library/nginx:1", None, |facts| {
        facts.mirror = MirrorFacts::Missing {
            name: "127.0.0.1:5050/docker.io/library/nginx:1".to_owned(),
            listed: true,
        };
    });
    assert_eq!(report.verdict.cause, Cause::None);
    assert_eq!(report.checks.last().unwrap().status, CheckStatus::Warn);
}

#[test]
fn a_credential_file_that_cannot_be_read_decides_nothing() {
    let report = spoilt("reg.example/team/app:1", Some("reg.example"), |facts| {
        facts.login = Some(Err(Fault::new(
            ErrorKind::CredentialUnavailable,
            "reg.example",
            "read the credential",
            "failed to read the password file /etc/syncd/x",
        )));
        facts.manifest = None;
    });
    assert_eq!(report.verdict.cause, Cause::Unknown);
    insta::assert_snapshot!(texts(&report));
}
