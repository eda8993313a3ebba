//! The table of joins: the node's words × the pod's secrets × what the registry answers.

use super::creds::{Creds, Login, Unfit};
use super::freshness::Freshness;
use super::join::{Evidence, Family, Seen, Story, family, join};
use super::told::Told;
use crate::diagnose::event;
use crate::diagnose::faults::Finding;
use crate::report::{Cause, Confidence};

/// What nodes say, as containerd 2.3 under kubelet 1.36 says it.
fn words(name: &str) -> String {
    let resolve = |rest: &str| {
        format!("failed to pull and unpack image \"reg.example/team/app:1\": failed to resolve image: {rest}")
    };
    match name {
        "anonymous 401" => resolve(
            "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to \
             https://reg.example/token?scope=repository%3Ateam%2Fapp%3Apull: 401 Unauthorized",
        ),
        "no basic" => resolve(
            "pull access denied, repository does not exist or may require authorization: authorization failed: \
             no basic auth credentials",
        ),
        "oauth 401" => resolve(
            "failed to authorize: failed to fetch oauth token: unexpected status from GET request to \
             https://reg.example/token?scope=repository%3Ateam%2Fapp%3Apull: 401 Unauthorized",
        ),
        "basic 401" => resolve(
            "unexpected status from HEAD request to https://reg.example/v2/team/app/manifests/1: 401 Unauthorized",
        ),
        "hub denied" => "failed to pull and unpack image \"docker.io/team/app:1\": failed to resolve image: \
             pull access denied, repository does not exist or may require authorization: server message: \
             insufficient_scope: authorization failed"
            .to_owned(),
        "not found" => resolve("reg.example/team/app:1: not found"),
        "403" => resolve(
            "unexpected status from HEAD request to https://reg.example/v2/team/app/manifests/1: 403 Forbidden",
        ),
        "ecr none" => {
            "failed to pull and unpack image \"123456789012.dkr.ecr.eu-central-1.amazonaws.com/a:1\": \
             failed to resolve image: pull access denied, repository does not exist or may require \
             authorization: authorization failed: no basic auth credentials"
                .to_owned()
        }
        "mirror 404" => resolve(
            "unexpected status from HEAD request to http://mirror.example:5000/v2/team/app/manifests/1?ns=reg.example: \
             404 Not Found",
        ),
        "x509" => resolve(
            "failed to do request: Head \"https://reg.example/v2/team/app/manifests/1\": tls: failed to verify \
             certificate: x509: certificate signed by unknown authority",
        ),
        "dns" => resolve(
            "failed to do request: Head \"https://reg.example/v2/team/app/manifests/1\": dial tcp: lookup \
             reg.example on 10.0.0.10:53: no such host",
        ),
        "refused" => resolve(
            "failed to do request: Head \"https://reg.example/v2/team/app/manifests/1\": dial tcp 10.1.1.1:443: \
             connect: connection refused",
        ),
        "timeout" => resolve(
            "failed to do request: Head \"https://reg.example/v2/team/app/manifests/1\": dial tcp 10.1.1.1:443: \
             i/o timeout",
        ),
        "500" => resolve(
            "unexpected status from HEAD request to https://reg.example/v2/team/app/manifests/1: 500 Internal \
             Server Error",
        ),
        "429" => resolve(
            "unexpected status from HEAD request to https://reg.example/v2/team/app/manifests/1: 429 Too Many \
             Requests",
        ),
        "platform" => "failed to pull and unpack image \"reg.example/team/app:1\": no match for platform in \
             manifest: not found"
            .to_owned(),
        "never" => {
            "Container image \"reg.example/team/app:1\" is not present with pull policy of Never".to_owned()
        }
        "name" => "Failed to apply default image tag \"reg.example/Team:1\": couldn't parse image reference \
             \"reg.example/Team:1\": invalid reference format: repository name must be lowercase"
            .to_owned(),
        "back-off" => "Back-off pulling image \"reg.example/team/app:1\"".to_owned(),
        "parse" => "illegal base64 data at input byte 4".to_owned(),
        "auths" => "json: cannot unmarshal array into Go struct field DockerConfigJSON.auths of type \
             credentialprovider.DockerConfig"
            .to_owned(),
        "entry" => "json: cannot unmarshal string into Go value of type \
             credentialprovider.dockerConfigEntryWithAuth"
            .to_owned(),
        "no colon" => {
            "unable to parse auth field, must be formatted as base64-encoded username:password".to_owned()
        }
        "nothing" => String::new(),
        other => unreachable!("no words for {other}"),
    }
}

fn told(name: &str) -> Told {
    let text = words(name);
    Told {
        sent: match name {
            "oauth 401" => Some(true),
            "anonymous 401" | "no basic" | "ecr none" => Some(false),
            _ => None,
        },
        missing: Vec::new(),
        ranked: event::read(&text).ranked,
        ..Told::default()
    }
}

fn creds(name: &str) -> Creds {
    let names = vec!["regcred".to_owned()];
    let login = |freshness, short_lived| {
        Creds::Sent(vec![Login {
            secret: "regcred".to_owned(),
            key: "reg.example".to_owned(),
            freshness,
            short_lived,
            by_syncd: false,
        }])
    };
    match name {
        "none" => Creds::Unnamed { later: Vec::new() },
        "later" => Creds::Unnamed { later: names },
        "missing" => Creds::Missing { names },
        "unread" => Creds::Unread { names },
        "unfit" => Creds::Unfit {
            secrets: vec![Unfit {
                secret: "regcred".to_owned(),
                why: "its key is other.example".to_owned(),
                wrong_type: false,
                key: None,
            }],
        },
        "malformed" => Creds::Malformed {
            secret: "regcred".to_owned(),
            why: "is not JSON".to_owned(),
        },
        "sent" => login(Freshness::Unknown, false),
        "token" => login(Freshness::Unknown, true),
        "expired" => login(Freshness::Expired(jiff::Timestamp::UNIX_EPOCH), true),
        other => unreachable!("no secrets {other}"),
    }
}

fn seen(name: &str) -> Seen {
    use Confidence::{Certain, Likely, Possible};
    let finding = |cause, confidence| Finding::new(cause, confidence, "what was seen", "reg.example");
    match name {
        "-" => Seen::NotAsked,
        "works" => Seen::Works,
        "login" => Seen::WantsLogin(finding(Cause::AuthMissing, Likely).or(&[Cause::RepoNotFound])),
        "hidden" => Seen::WantsLogin(finding(Cause::RepoNotFound, Likely).or(&[Cause::AuthMissing])),
        "refused" => {
            Seen::Refused(finding(Cause::AuthWrongCredentials, Likely).or(&[Cause::AuthTokenExpired]))
        }
        "expired" => {
            Seen::Refused(finding(Cause::AuthTokenExpired, Likely).or(&[Cause::AuthWrongCredentials]))
        }
        "denied" => Seen::Denied(finding(Cause::PermissionDenied, Likely).or(&[Cause::RepoNotFound])),
        "blocked" => Seen::Blocked(finding(Cause::BlockedByPolicy, Likely).or(&[Cause::PermissionDenied])),
        "403" => Seen::Blocked(finding(Cause::BlockedByPolicy, Possible).or(&[Cause::AuthMissing])),
        "no tag" => Seen::Missing(finding(Cause::TagNotFound, Certain)),
        "no repo" => Seen::Missing(finding(Cause::RepoNotFound, Likely).or(&[Cause::AuthMissing])),
        "429" => Seen::Fails(finding(Cause::RateLimited, Certain)),
        "500" => Seen::Fails(finding(Cause::RegistryError, Certain)),
        "platform" => Seen::Fails(finding(Cause::PlatformMismatch, Certain)),
        "x509" => Seen::Unreached(finding(Cause::TlsUnknownCa, Certain)),
        "dns" => Seen::Unreached(finding(Cause::DnsFailure, Certain)),
        "own" => Seen::Unreached(finding(Cause::Unknown, Possible)),
        other => unreachable!("nothing seen {other}"),
    }
}

fn outcome(words: &str, secrets: &str, answer: &str) -> String {
    let (told, creds, seen) = (told(words), creds(secrets), seen(answer));
    let joined = join(&Evidence {
        told: &told,
        creds: &creds,
        seen: &seen,
        mirror_lacks: false,
    });
    let mut out = format!("{} {}", joined.finding.confidence.as_str(), joined.finding.cause);
    for other in &joined.finding.alternatives {
        out.push_str(&format!(" / {}", other.cause));
    }
    out
}

/// Words, secrets, the registry's answer: and what it comes to.
const TABLE: &[(&str, &str, &str, &str)] = &[
    (
        "anonymous 401",
        "none",
        "login",
        "likely auth_missing / repo_not_found",
    ),
    (
        "anonymous 401",
        "none",
        "hidden",
        "likely repo_not_found / auth_missing",
    ),
    (
        "anonymous 401",
        "later",
        "login",
        "likely auth_missing / repo_not_found",
    ),
    (
        "anonymous 401",
        "none",
        "works",
        "likely auth_missing / permission_denied / repo_not_found",
    ),
    (
        "anonymous 401",
        "none",
        "-",
        "likely auth_missing / permission_denied / repo_not_found",
    ),
    (
        "anonymous 401",
        "missing",
        "login",
        "likely secret_missing / auth_missing",
    ),
    (
        "anonymous 401",
        "missing",
        "hidden",
        "likely secret_missing / repo_not_found",
    ),
    (
        "anonymous 401",
        "missing",
        "-",
        "likely secret_missing / auth_missing",
    ),
    (
        "anonymous 401",
        "missing",
        "x509",
        "likely secret_missing / auth_missing",
    ),
    (
        "anonymous 401",
        "missing",
        "403",
        "likely secret_missing / blocked_by_policy",
    ),
    (
        "anonymous 401",
        "missing",
        "blocked",
        "likely blocked_by_policy / permission_denied / auth_missing",
    ),
    (
        "anonymous 401",
        "missing",
        "no tag",
        "likely tag_not_found / auth_missing",
    ),
    (
        "anonymous 401",
        "unread",
        "login",
        "possible auth_missing / permission_denied / repo_not_found / secret_misconfigured",
    ),
    (
        "anonymous 401",
        "unfit",
        "login",
        "likely secret_misconfigured / auth_missing",
    ),
    (
        "anonymous 401",
        "unfit",
        "429",
        "likely secret_misconfigured / auth_missing",
    ),
    (
        "anonymous 401",
        "malformed",
        "login",
        "likely secret_misconfigured / auth_missing",
    ),
    (
        "anonymous 401",
        "sent",
        "refused",
        "likely auth_wrong_credentials / permission_denied",
    ),
    (
        "anonymous 401",
        "expired",
        "-",
        "likely auth_token_expired / auth_missing",
    ),
    (
        "no basic",
        "none",
        "login",
        "likely auth_missing / repo_not_found",
    ),
    (
        "no basic",
        "missing",
        "login",
        "likely secret_missing / auth_missing",
    ),
    (
        "no basic",
        "unfit",
        "login",
        "likely secret_misconfigured / auth_missing",
    ),
    (
        "no basic",
        "sent",
        "-",
        "likely auth_wrong_credentials / permission_denied / repo_not_found",
    ),
    (
        "oauth 401",
        "sent",
        "refused",
        "likely auth_wrong_credentials / permission_denied",
    ),
    (
        "oauth 401",
        "token",
        "refused",
        "likely auth_wrong_credentials / auth_token_expired",
    ),
    (
        "oauth 401",
        "sent",
        "expired",
        "likely auth_token_expired / auth_wrong_credentials",
    ),
    (
        "oauth 401",
        "expired",
        "refused",
        "likely auth_token_expired / auth_wrong_credentials",
    ),
    ("oauth 401", "expired", "expired", "certain auth_token_expired"),
    (
        "oauth 401",
        "sent",
        "denied",
        "likely permission_denied / repo_not_found",
    ),
    (
        "oauth 401",
        "sent",
        "works",
        "likely auth_wrong_credentials / permission_denied / auth_token_expired",
    ),
    (
        "oauth 401",
        "none",
        "login",
        "likely auth_wrong_credentials / credential_provider_failed",
    ),
    (
        "oauth 401",
        "unread",
        "login",
        "possible auth_wrong_credentials / permission_denied / auth_token_expired / secret_misconfigured",
    ),
    (
        "basic 401",
        "none",
        "login",
        "likely auth_missing / repo_not_found",
    ),
    (
        "basic 401",
        "none",
        "-",
        "likely auth_missing / auth_wrong_credentials / repo_not_found",
    ),
    (
        "basic 401",
        "sent",
        "refused",
        "likely auth_wrong_credentials / permission_denied",
    ),
    (
        "basic 401",
        "sent",
        "-",
        "likely auth_wrong_credentials / auth_missing",
    ),
    (
        "hub denied",
        "none",
        "hidden",
        "likely repo_not_found / auth_missing",
    ),
    (
        "hub denied",
        "none",
        "no tag",
        "likely tag_not_found / repo_not_found",
    ),
    (
        "hub denied",
        "missing",
        "hidden",
        "likely secret_missing / repo_not_found",
    ),
    (
        "hub denied",
        "sent",
        "denied",
        "likely permission_denied / repo_not_found",
    ),
    ("not found", "none", "no tag", "certain tag_not_found"),
    (
        "not found",
        "sent",
        "no repo",
        "likely repo_not_found / auth_missing",
    ),
    (
        "not found",
        "none",
        "works",
        "likely tag_not_found / repo_not_found / mirror_fault",
    ),
    (
        "not found",
        "none",
        "login",
        "likely tag_not_found / repo_not_found / auth_missing",
    ),
    (
        "not found",
        "missing",
        "-",
        "likely tag_not_found / repo_not_found",
    ),
    (
        "not found",
        "sent",
        "refused",
        "likely auth_wrong_credentials / permission_denied",
    ),
    (
        "403",
        "sent",
        "denied",
        "likely permission_denied / repo_not_found",
    ),
    (
        "403",
        "sent",
        "refused",
        "likely auth_wrong_credentials / permission_denied",
    ),
    (
        "403",
        "expired",
        "denied",
        "likely auth_token_expired / permission_denied",
    ),
    (
        "403",
        "none",
        "403",
        "possible blocked_by_policy / auth_missing / permission_denied",
    ),
    (
        "403",
        "none",
        "blocked",
        "likely blocked_by_policy / permission_denied",
    ),
    (
        "403",
        "missing",
        "403",
        "likely secret_missing / blocked_by_policy",
    ),
    (
        "403",
        "none",
        "works",
        "likely permission_denied / blocked_by_policy",
    ),
    (
        "ecr none",
        "none",
        "login",
        "likely credential_provider_failed / auth_missing",
    ),
    (
        "ecr none",
        "missing",
        "login",
        "likely secret_missing / auth_missing",
    ),
    (
        "ecr none",
        "unfit",
        "login",
        "likely secret_misconfigured / auth_missing",
    ),
    (
        "mirror 404",
        "none",
        "works",
        "likely mirror_fault / tag_not_found",
    ),
    (
        "mirror 404",
        "none",
        "no tag",
        "likely mirror_fault / tag_not_found",
    ),
    (
        "mirror 404",
        "missing",
        "login",
        "likely mirror_fault / tag_not_found",
    ),
    ("x509", "sent", "works", "likely tls_unknown_ca / proxy_error"),
    ("x509", "sent", "x509", "likely tls_unknown_ca / proxy_error"),
    ("x509", "missing", "login", "likely tls_unknown_ca / proxy_error"),
    ("dns", "none", "works", "likely dns_failure / repo_not_found"),
    ("dns", "none", "no repo", "likely dns_failure / repo_not_found"),
    (
        "refused",
        "none",
        "x509",
        "likely connection_refused / proxy_error",
    ),
    ("timeout", "none", "works", "likely network_timeout / proxy_error"),
    ("500", "sent", "500", "likely registry_error"),
    ("500", "sent", "refused", "likely registry_error"),
    ("429", "none", "429", "likely rate_limited"),
    ("429", "none", "works", "likely rate_limited"),
    ("platform", "none", "platform", "certain platform_mismatch"),
    ("platform", "none", "works", "certain platform_mismatch"),
    ("never", "none", "-", "certain image_never_pull"),
    ("never", "malformed", "-", "certain image_never_pull"),
    ("name", "none", "-", "certain invalid_reference"),
    ("parse", "malformed", "-", "certain secret_misconfigured"),
    ("auths", "malformed", "-", "certain secret_misconfigured"),
    ("entry", "malformed", "-", "certain secret_misconfigured"),
    ("no colon", "malformed", "-", "certain secret_misconfigured"),
    ("parse", "malformed", "login", "certain secret_misconfigured"),
    (
        "back-off",
        "missing",
        "login",
        "likely secret_missing / auth_missing",
    ),
    ("back-off", "none", "no tag", "likely tag_not_found"),
    (
        "back-off",
        "sent",
        "refused",
        "likely auth_wrong_credentials / permission_denied",
    ),
    ("back-off", "none", "dns", "likely dns_failure"),
    ("back-off", "sent", "works", "certain no_cause_in_message"),
    ("back-off", "none", "own", "certain no_cause_in_message"),
    ("back-off", "malformed", "-", "likely secret_misconfigured"),
    ("nothing", "none", "works", "possible unknown"),
    ("nothing", "none", "-", "possible unknown"),
    (
        "nothing",
        "unfit",
        "login",
        "likely secret_misconfigured / auth_missing",
    ),
    ("nothing", "none", "429", "likely rate_limited"),
    ("nothing", "malformed", "works", "likely secret_misconfigured"),
];

#[test]
fn the_table() {
    let mut wrong = String::new();
    for (words, secrets, answer, expected) in TABLE {
        let found = outcome(words, secrets, answer);
        if found != *expected {
            wrong.push_str(&format!(
                "{words} × {secrets} × {answer}\n  expected {expected}\n  found    {found}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

const WORDS: &[&str] = &[
    "anonymous 401",
    "no basic",
    "oauth 401",
    "basic 401",
    "hub denied",
    "not found",
    "403",
    "ecr none",
    "mirror 404",
    "x509",
    "dns",
    "refused",
    "timeout",
    "500",
    "429",
    "platform",
    "never",
    "name",
    "back-off",
    "parse",
    "auths",
    "entry",
    "no colon",
    "nothing",
];
const SECRETS: &[&str] = &[
    "none",
    "later",
    "missing",
    "unread",
    "unfit",
    "malformed",
    "sent",
    "token",
    "expired",
];
const ANSWERS: &[&str] = &[
    "-", "works", "login", "hidden", "refused", "expired", "denied", "blocked", "403", "no tag", "no repo",
    "429", "500", "platform", "x509", "dns", "own",
];

/// Every combination: `certain` only where words, secrets or answer leave nothing else.
#[test]
fn certain_is_rare() {
    for words in WORDS {
        for secrets in SECRETS {
            for answer in ANSWERS {
                let found = outcome(words, secrets, answer);
                let Some(cause) = found.strip_prefix("certain ") else {
                    continue;
                };
                let good = match cause {
                    "image_never_pull" => *words == "never",
                    "invalid_reference" => *words == "name",
                    "platform_mismatch" => *words == "platform",
                    "no_cause_in_message" => *words == "back-off",
                    "secret_misconfigured" => {
                        *secrets == "malformed" && ["parse", "auths", "entry", "no colon"].contains(words)
                    }
                    "tag_not_found" => *answer == "no tag" && *words == "not found",
                    "auth_token_expired" => *secrets == "expired" && *answer == "expired",
                    _ => false,
                };
                assert!(good, "{words} × {secrets} × {answer}: {found}");
            }
        }
    }
}

/// What the secrets cannot change: the node was not stopped by a login.
#[test]
fn secrets_do_not_explain_the_network() {
    for words in [
        "x509", "dns", "refused", "timeout", "500", "429", "platform", "never", "name",
    ] {
        for secrets in SECRETS {
            assert_eq!(
                outcome(words, secrets, "-"),
                outcome(words, "none", "-"),
                "{words} × {secrets}"
            );
        }
    }
}

#[test]
fn a_secret_that_came_later_is_told() {
    let mut told = told("no basic");
    told.missing = vec!["regcred".to_owned()];
    let joined = join(&Evidence {
        told: &told,
        creds: &creds("sent"),
        seen: &Seen::Works,
        mirror_lacks: false,
    });
    assert_eq!(joined.finding.cause, Cause::SecretMissing);
    assert_eq!(joined.finding.confidence, Confidence::Likely);
    assert_eq!(joined.story, Story::WorksFromHere);
}

#[test]
fn every_cause_has_a_family() {
    for cause in Cause::ALL {
        let none = matches!(cause, Cause::None | Cause::Unknown | Cause::NoCauseInMessage);
        assert_eq!(family(*cause) == Family::None, none, "{cause}");
    }
}

/// containerd tells a mirror's 404, and not that it could not reach the registry behind it.
#[test]
fn what_the_mirror_lacks_explains_a_404_that_the_registry_did_not_give() {
    for (words, answer, mirror_lacks, cause) in [
        ("not found", "dns", true, Cause::MirrorFault),
        ("not found", "x509", true, Cause::MirrorFault),
        ("not found", "works", true, Cause::MirrorFault),
        ("not found", "dns", false, Cause::TagNotFound),
        ("not found", "own", true, Cause::TagNotFound),
        ("not found", "no tag", true, Cause::TagNotFound),
        ("no basic", "dns", true, Cause::AuthMissing),
        ("dns", "dns", true, Cause::DnsFailure),
    ] {
        let joined = join(&Evidence {
            told: &told(words),
            creds: &creds("none"),
            seen: &seen(answer),
            mirror_lacks,
        });
        let found = &joined.finding;
        assert_eq!(found.cause, cause, "{words} × {answer} × {mirror_lacks}");
        if cause == Cause::MirrorFault {
            assert_eq!(found.confidence, Confidence::Likely);
            assert_eq!(found.alternatives[0].cause, Cause::TagNotFound);
        }
    }
}
