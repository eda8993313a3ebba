use super::*;

fn host(text: &str) -> RegistryHost {
    text.parse().unwrap()
}

fn policy(registry: &str, plain_http: bool) -> Policy {
    Policy {
        own: Origin::of_registry(&host(registry), plain_http),
        trusted: Vec::new(),
        plain: Vec::new(),
    }
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    let own = |registry: &str, plain| policy(registry, plain);
    for (registry, plain, target, same) in [
        ("r.example", false, "https://r.example/x", true),
        ("r.example", false, "https://r.example:443/x", true),
        ("r.example", false, "https://R.EXAMPLE/x", true),
        ("r.example", false, "https://r.example./x", true),
        ("r.example", false, "https://r.example:8443/x", false),
        ("r.example", false, "http://r.example/x", false),
        ("r.example", false, "http://r.example:443/x", false),
        ("r.example", false, "https://r.example.evil.example/x", false),
        ("r.example", false, "https://xr.example/x", false),
        ("r.example:8443", false, "https://r.example:8443/x", true),
        ("r.example:8443", false, "https://r.example/x", false),
        ("r.example:80", true, "http://r.example/x", true),
        ("r.example", true, "http://r.example:80/x", true),
        ("[::1]:5000", true, "http://[::1]:5000/x", true),
        ("[0:0::1]:5000", true, "http://[::1]:5000/x", true),
        ("127.0.0.1:5000", true, "http://127.1:5000/x", true),
        ("docker.io", false, "https://registry-1.docker.io/v2/", true),
        ("docker.io", false, "https://docker.io/v2/", false),
    ] {
        assert_eq!(
            own(registry, plain).is_own(&url(target)),
            same,
            "{registry} {target}"
        );
    }
}

#[test]
fn a_path_cannot_leave_the_origin() {
    let own = Origin::of_registry(&host("r.example"), false);
    assert_eq!(
        own.url("/v2/a/tags/list?n=1").unwrap().as_str(),
        "https://r.example/v2/a/tags/list?n=1"
    );
    for path in ["", "@evil.example/", ".evil.example/", "0/v2/", "v2/"] {
        assert_eq!(own.url(path), None, "{path}");
    }
    // Two slashes are a path here, not a host.
    assert_eq!(own.url("//evil.example/").unwrap().host_str(), Some("r.example"));
}

#[test]
fn redirects() {
    let from = "https://r.example/v2/a/blobs/sha256:0";
    let mut with_entries = policy("r.example", false);
    with_entries.plain = vec![Origin::of_registry(&host("plain.example"), true)];
    for (to, expected) in [
        ("/v2/b", Ok("https://r.example/v2/b")),
        (
            "https://cdn.example/x?sig=1#frag",
            Ok("https://cdn.example/x?sig=1"),
        ),
        ("//cdn.example/x", Ok("https://cdn.example/x")),
        ("https://r.example:8443/x", Ok("https://r.example:8443/x")),
        (
            "http://r.example/x",
            Err("the redirect leads from https to http at r.example"),
        ),
        (
            "http://plain.example/x",
            Err("the redirect leads from https to http at plain.example"),
        ),
        (
            "file:///etc/passwd",
            Err("the redirect is neither http nor https"),
        ),
        ("ftp://r.example/x", Err("the redirect is neither http nor https")),
        (
            "https://u:p@cdn.example/",
            Err("the redirect has a user in its URL"),
        ),
        ("https://", Err("the redirect is not a URL")),
        ("https://[::1", Err("the redirect is not a URL")),
    ] {
        let got = with_entries.redirect(&url(from), to, 1);
        let got = got.as_ref().map(Url::as_str).map_err(ToString::to_string);
        assert_eq!(got, expected.map_err(str::to_owned), "{to}");
    }
    let plain = policy("r.example", true);
    let from = url("http://r.example/v2/");
    assert!(plain.redirect(&from, "http://r.example/x", 1).is_ok());
    assert!(plain.redirect(&from, "https://cdn.example/x", 1).is_ok());
    // plainHttp is for the one host, not for those it names.
    assert!(matches!(
        plain.redirect(&from, "http://cdn.example/x", 1),
        Err(Refusal::PlainHttp(..))
    ));
    assert!(matches!(
        plain.redirect(&from, "http://r.example:81/x", 1),
        Err(Refusal::PlainHttp(..))
    ));
    assert!(plain.redirect(&from, "/x", MAX_HOPS).is_ok());
    assert_eq!(plain.redirect(&from, "/x", MAX_HOPS + 1), Err(Refusal::TooMany));
}

#[test]
fn uploads_and_pages_stay_at_home() {
    let policy = policy("r.example:8443", false);
    let base = url("https://r.example:8443/v2/a/blobs/uploads/");
    for (text, expected) in [
        (
            "/v2/a/blobs/uploads/1?_state=x",
            Some("https://r.example:8443/v2/a/blobs/uploads/1?_state=x"),
        ),
        ("1", Some("https://r.example:8443/v2/a/blobs/uploads/1")),
        ("https://r.example:8443/up/1", Some("https://r.example:8443/up/1")),
        (
            "?next=2",
            Some("https://r.example:8443/v2/a/blobs/uploads/?next=2"),
        ),
        ("https://r.example/up/1", None),
        ("http://r.example:8443/up/1", None),
        ("//evil.example/up/1", None),
        ("https://evil.example/up/1", None),
        ("https://r.example:8443@evil.example/", None),
        ("https://user@r.example:8443/up/1", None),
        ("javascript:alert(1)", None),
    ] {
        let got = policy.location(&base, text);
        assert_eq!(got.as_ref().ok().map(Url::as_str), expected, "{text}: {got:?}");
        assert_eq!(got.is_ok(), policy.next_page(&base, text).is_ok(), "{text}");
    }
    let default = Policy {
        own: Origin::of_registry(&host("r.example"), false),
        ..policy
    };
    assert!(
        default
            .location(&url("https://r.example/v2/"), "https://r.example:443/up")
            .is_ok()
    );
}

/// Registry, its plainHttp, trustedTokenHosts, realm, allowed with a credential, allowed without.
type RealmCase = (
    &'static str,
    bool,
    &'static [&'static str],
    &'static str,
    bool,
    bool,
);

const REALMS: &[RealmCase] = &[
    // the own authority
    (
        "r.corp.example",
        false,
        &[],
        "https://r.corp.example/token",
        true,
        true,
    ),
    (
        "r.corp.example",
        false,
        &[],
        "https://r.corp.example:443/token",
        true,
        true,
    ),
    (
        "r.corp.example:8443",
        false,
        &[],
        "https://r.corp.example:8443/token",
        true,
        true,
    ),
    (
        "127.0.0.1:5000",
        true,
        &[],
        "http://127.0.0.1:5000/token",
        true,
        true,
    ),
    ("10.0.0.7", false, &[], "https://10.0.0.7/token", true, true),
    // the own authority, but TLS where the registry is plain
    (
        "127.0.0.1:5000",
        true,
        &[],
        "https://127.0.0.1:5000/token",
        true,
        true,
    ),
    // another port is another authority
    (
        "r.corp.example:8443",
        false,
        &[],
        "https://r.corp.example/token",
        false,
        true,
    ),
    (
        "r.corp.example",
        false,
        &[],
        "https://r.corp.example:8443/token",
        false,
        false,
    ),
    (
        "127.0.0.1:5000",
        true,
        &[],
        "http://127.0.0.1:5001/token",
        false,
        false,
    ),
    (
        "127.0.0.1:5000",
        true,
        &["127.0.0.1:5001"],
        "http://127.0.0.1:5001/token",
        true,
        true,
    ),
    // pairs
    (
        "docker.io",
        false,
        &[],
        "https://auth.docker.io/token",
        true,
        true,
    ),
    (
        "docker.io",
        false,
        &[],
        "https://auth.docker.io:8443/token",
        false,
        false,
    ),
    (
        "docker.io",
        false,
        &[],
        "http://auth.docker.io/token",
        false,
        false,
    ),
    (
        "registry.gitlab.com",
        false,
        &[],
        "https://gitlab.com/jwt/auth",
        true,
        true,
    ),
    (
        "registry.gitlab.com:5000",
        false,
        &[],
        "https://gitlab.com/jwt/auth",
        false,
        true,
    ),
    (
        "gitlab.com",
        false,
        &[],
        "https://registry.gitlab.com/",
        false,
        false,
    ),
    // relatives: without a credential only
    (
        "r.corp.example",
        false,
        &[],
        "https://auth.corp.example/token",
        false,
        true,
    ),
    (
        "r.corp.example",
        false,
        &[],
        "https://corp.example/token",
        false,
        true,
    ),
    (
        "r.corp.example",
        false,
        &[],
        "https://sub.r.corp.example/token",
        false,
        true,
    ),
    (
        "r.corp.example",
        false,
        &[],
        "https://evilcorp.example/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        false,
        &[],
        "https://corp.example.evil.example/t",
        false,
        false,
    ),
    (
        "r.example",
        false,
        &[],
        "https://other.example/token",
        false,
        false,
    ),
    // strangers
    (
        "r.corp.example",
        false,
        &[],
        "https://evil.test/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        false,
        &["auth.test"],
        "https://auth.test/token",
        true,
        true,
    ),
    (
        "r.corp.example",
        false,
        &["auth.test"],
        "https://auth.test:8443/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        false,
        &["auth.test"],
        "http://auth.test/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        false,
        &["auth.test"],
        "https://xauth.test/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        false,
        &["docker.io"],
        "https://docker.io/token",
        true,
        true,
    ),
    // addresses and this machine
    (
        "r.corp.example",
        false,
        &[],
        "https://169.254.169.254/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        false,
        &[],
        "https://10.0.0.1/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        false,
        &["10.0.0.1"],
        "https://10.0.0.1/token",
        true,
        true,
    ),
    ("r.corp.example", false, &[], "https://[::1]/token", false, false),
    (
        "r.corp.example",
        false,
        &[],
        "https://0x7f000001/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        false,
        &[],
        "https://localhost/token",
        false,
        false,
    ),
    // scheme and shape
    (
        "r.corp.example",
        false,
        &[],
        "http://r.corp.example/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        false,
        &[],
        "http://r.corp.example:443/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        true,
        &[],
        "http://evil.test/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        true,
        &["auth.test"],
        "http://auth.test/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        true,
        &["auth.test"],
        "https://auth.test/token",
        true,
        true,
    ),
    (
        "r.corp.example",
        false,
        &[],
        "https://u:p@r.corp.example/token",
        false,
        false,
    ),
    (
        "r.corp.example",
        false,
        &[],
        "https://r.corp.example@evil.test/",
        false,
        false,
    ),
    ("r.corp.example", false, &[], "/token", false, false),
    ("r.corp.example", false, &[], "file:///token", false, false),
    ("r.corp.example", false, &[], "", false, false),
];

#[test]
fn realms() {
    for (registry, plain, trusted, realm, with, without) in REALMS {
        let mut policy = policy(registry, *plain);
        policy.trusted = trusted.iter().map(|t| host(t)).collect();
        let got = policy.realm(realm, true);
        assert_eq!(
            got.is_ok(),
            *with,
            "with a credential: {registry} {realm} {got:?}"
        );
        let got = policy.realm(realm, false);
        assert_eq!(got.is_ok(), *without, "anonymously: {registry} {realm} {got:?}");
    }
}

#[test]
fn a_trusted_plain_host_needs_its_own_entry() {
    let mut policy = policy("r.corp.example", true);
    policy.trusted = vec![host("auth.test")];
    policy.plain = vec![Origin::of_registry(&host("auth.test"), true)];
    assert!(policy.realm("http://auth.test/token", true).is_ok());
    policy.trusted.clear();
    assert!(policy.realm("http://auth.test/token", true).is_err());
}

#[test]
fn refusals_tell_the_host_only() {
    let policy = policy("r.example", false);
    let text = policy
        .realm("https://evil.test/token?secret=1", true)
        .unwrap_err()
        .to_string();
    assert_eq!(
        text,
        "the login is to happen at evil.test, which is not this registry's; if it is, list it in trustedTokenHosts"
    );
}

/// Texts that look like what servers name, and like what attackers make of it.
fn named_by_server() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let piece = prop_oneof![
        Just("https://"),
        Just("http://"),
        Just("//"),
        Just("/"),
        Just("\\"),
        Just(":"),
        Just("@"),
        Just("r.corp.example"),
        Just("R.corp.example."),
        Just("auth.corp.example"),
        Just("evil.test"),
        Just("127.0.0.1"),
        Just("[::1]"),
        Just("0x7f.1"),
        Just("localhost"),
        Just("169.254.169.254"),
        Just("443"),
        Just("8443"),
        Just("80"),
        Just("u:p"),
        Just("?q=1"),
        Just("#f"),
        Just("%2f"),
        Just("\t"),
        Just(" "),
        Just("token"),
        Just(".."),
        Just("file:"),
        Just("é"),
        Just("\u{3002}"),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(4000))]

    #[test]
    fn whatever_is_named_stays_within_the_rules(text in named_by_server(), credential: bool, plain: bool) {
        let mut policy = policy("r.corp.example", plain);
        policy.trusted = vec![host("auth.corp.example:8443")];
        let base = policy.own.url("/v2/a/blobs/uploads/").unwrap();
        let clean = |url: &Url| url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        for got in [policy.location(&base, &text), policy.next_page(&base, &text)].into_iter().flatten() {
            proptest::prop_assert!(policy.is_own(&got) && clean(&got), "{} -> {}", text, got);
        }
        if let Ok(got) = policy.redirect(&base, &text, 1) {
            let https = got.scheme() == "https";
            proptest::prop_assert!(clean(&got) && (https || policy.is_own(&got)), "{} -> {}", text, got);
        }
        if let Ok(got) = policy.realm(&text, credential) {
            let origin = Origin::of_url(&got).unwrap();
            let own_host = origin.host == "r.corp.example";
            let listed = origin.host == "auth.corp.example" && origin.port == 8443 && origin.https;
            let relative = !credential && origin.https && origin.host.ends_with("corp.example");
            proptest::prop_assert!(clean(&got), "{} -> {}", text, got);
            proptest::prop_assert!(own_host || listed || relative, "{} -> {}", text, got);
            proptest::prop_assert!(origin.https || origin == policy.own, "{} -> {}", text, got);
        }
    }
}
