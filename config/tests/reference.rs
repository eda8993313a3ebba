//! References, digests and hosts: tables, round trips, and oci-client's grammar as the oracle.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests stop at the first surprise"
)]

use oci_client::Reference as Oracle;
use proptest::prelude::*;
use syncd_config::digest::{Algorithm, DigestError};
use syncd_config::host::HostError;
use syncd_config::reference::{ReferenceError, Target};
use syncd_config::{Digest, Reference, RegistryHost, Repository, Tag};

const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Host, repository, tag and digest of a reference, as one text.
fn parts(reference: &Reference) -> String {
    let tag = reference.tag.as_ref().map_or("-", |tag| tag.as_str());
    let digest = if reference.digest.is_some() { "pinned" } else { "-" };
    format!("{} {} {tag} {digest}", reference.host, reference.repository)
}

#[test]
fn reads_references() {
    let pinned = format!("quay.io/a/b:1@{SHA}");
    let digest = format!("nginx@{SHA}");
    for (text, expected) in [
        ("nginx", "docker.io library/nginx latest -"),
        ("nginx:1.27", "docker.io library/nginx 1.27 -"),
        ("bitnami/nginx", "docker.io bitnami/nginx latest -"),
        ("docker.io/nginx", "docker.io library/nginx latest -"),
        ("docker.io/library/nginx", "docker.io library/nginx latest -"),
        ("index.docker.io/nginx", "docker.io library/nginx latest -"),
        (
            "registry-1.docker.io/library/nginx:1",
            "docker.io library/nginx 1 -",
        ),
        ("library/nginx", "docker.io library/nginx latest -"),
        ("myhost/app", "docker.io myhost/app latest -"),
        ("localhost/app", "localhost app latest -"),
        ("localhost:5000/app:5000", "localhost:5000 app 5000 -"),
        ("localhost:5000", "docker.io library/localhost 5000 -"),
        ("host:5000/x", "host:5000 x latest -"),
        ("HOST.Example/x:T", "host.example x T -"),
        ("10.0.0.1:5000/a/b/c:v1", "10.0.0.1:5000 a/b/c v1 -"),
        ("[::1]:5000/x", "[::1]:5000 x latest -"),
        ("[2001:DB8:0::1]/x:1", "[2001:db8::1] x 1 -"),
        ("LOCALHOST/app", "localhost app latest -"),
        ("x/a__b.c-d--e/f_g:_x", "docker.io x/a__b.c-d--e/f_g _x -"),
        (&pinned, "quay.io a/b 1 pinned"),
        (&digest, "docker.io library/nginx - pinned"),
    ] {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(parts(&reference), expected, "{text}");
        let again: Reference = reference.to_string().parse().unwrap();
        assert_eq!(again, reference, "{text}");
    }
}

#[test]
fn refuses_what_is_no_reference() {
    use ReferenceError::{
        Digest as Pin, Empty, Host, Repository as Path, RepositoryLength, Scheme, Tag as Label, UpperCase,
        UserInfo,
    };
    let two = format!("nginx@{SHA}@{SHA}");
    for (text, expected) in [
        ("", Empty),
        (" nginx", Path),
        ("nginx ", Path),
        ("https://quay.io/a:1", Scheme),
        ("docker://nginx", Scheme),
        ("a//b", Path),
        ("a/", Path),
        ("/a", Path),
        ("quay.io/", Path),
        ("quay.io//a", Path),
        ("a:", Label),
        (":a", Path),
        ("a:b:c", Path),
        ("nginx:1.27:", Label),
        ("nginx:-x", Label),
        ("nginx:.x", Label),
        ("nginx:a b", Label),
        ("nginx:a/b", Host(HostError::Port)),
        ("Nginx", UpperCase),
        ("MyHost/app", UpperCase),
        ("quay.io/Nginx", UpperCase),
        ("a_-b", Path),
        ("a___b", Path),
        ("a..b", Path),
        ("-a", Path),
        ("a-", Path),
        ("a/_b", Path),
        ("a/../b", Path),
        ("ä", Path),
        ("host_name.example/a", Host(HostError::Name)),
        ("host:0/a", Host(HostError::Port)),
        ("host:65536/a", Host(HostError::Port)),
        ("host:/a", Host(HostError::Port)),
        ("host:05/a", Host(HostError::Port)),
        (".example/a", Host(HostError::Name)),
        ("-a.example/b", Host(HostError::Name)),
        ("1.2.3/a", Host(HostError::Name)),
        ("1.2.3.256/a", Host(HostError::Name)),
        ("[::g]/a", Host(HostError::Name)),
        ("[::1/a", Host(HostError::Name)),
        ("[::1]x/a", Host(HostError::Name)),
        ("user:pass@quay.io/a", UserInfo),
        ("token@quay.io/a", UserInfo),
        ("nginx@", Pin(DigestError::Form)),
        ("nginx@sha256:abc", Pin(DigestError::Hex(Algorithm::Sha256, 64))),
        (
            "nginx@md5:d41d8cd98f00b204e9800998ecf8427e",
            Pin(DigestError::Algorithm),
        ),
        (&two, Pin(DigestError::Hex(Algorithm::Sha256, 64))),
        (&format!("{}/a", "a".repeat(255)), RepositoryLength),
        (&"a".repeat(248), RepositoryLength),
    ] {
        assert_eq!(text.parse::<Reference>().unwrap_err(), expected, "{text}");
    }
    // `library/` counts.
    assert!("a".repeat(247).parse::<Reference>().is_ok());
    assert!(
        format!("quay.io/{}", "a".repeat(255))
            .parse::<Reference>()
            .is_ok()
    );
    assert!(format!("nginx:{}", "t".repeat(128)).parse::<Reference>().is_ok());
    assert!(format!("nginx:{}", "t".repeat(129)).parse::<Reference>().is_err());
}

#[test]
fn reads_hosts() {
    for (text, expected) in [
        ("quay.io", Ok("quay.io")),
        ("Quay.IO:443", Ok("quay.io:443")),
        ("index.docker.io", Ok("docker.io")),
        ("registry-1.docker.io", Ok("docker.io")),
        ("localhost", Ok("localhost")),
        ("127.0.0.1:5000", Ok("127.0.0.1:5000")),
        ("[::1]:5000", Ok("[::1]:5000")),
        ("", Err(HostError::Empty)),
        ("https://quay.io", Err(HostError::Scheme)),
        ("quay.io/", Err(HostError::Name)),
        ("quay.io/v2", Err(HostError::Name)),
        ("quay.io:", Err(HostError::Port)),
        (":5000", Err(HostError::Name)),
        ("::1", Err(HostError::Name)),
        ("quay..io", Err(HostError::Name)),
        ("quay.io.", Err(HostError::Name)),
        ("a b", Err(HostError::Name)),
        ("user@quay.io", Err(HostError::UserInfo)),
        ("user:pass@quay.io:443", Err(HostError::UserInfo)),
        ("quay.io#x", Err(HostError::Name)),
        ("quay.io?x", Err(HostError::Name)),
        ("quay.io\\x", Err(HostError::Name)),
        ("quay.io%2f", Err(HostError::Name)),
        ("0x7f.1", Err(HostError::Name)),
        ("1.2.3.0x4", Err(HostError::Name)),
        ("a.0X", Err(HostError::Name)),
        ("[::1%25lo]", Err(HostError::Name)),
        ("[::FFFF:10.0.0.1]:5000", Ok("[::ffff:10.0.0.1]:5000")),
        ("[0:0:0:0:0:0:0:1]", Ok("[::1]")),
        ("256.1.1.1", Err(HostError::Name)),
        ("quay.io:+5", Err(HostError::Port)),
    ] {
        let host = text.parse::<RegistryHost>();
        assert_eq!(
            host.as_ref().map(RegistryHost::as_str),
            expected.as_ref().copied(),
            "{text}"
        );
    }
    let long = format!("{}.example", vec!["a".repeat(60); 5].join("."));
    assert_eq!(long.parse::<RegistryHost>().unwrap_err(), HostError::Length);
}

#[test]
fn knows_a_hosts_parts() {
    let host: RegistryHost = "[::1]:5000".parse().unwrap();
    assert_eq!(
        (host.name(), host.port(), host.is_ip()),
        ("[::1]", Some(5000), true)
    );
    let host: RegistryHost = "quay.io".parse().unwrap();
    assert_eq!((host.name(), host.port(), host.is_ip()), ("quay.io", None, false));
    let host: RegistryHost = "index.docker.io".parse().unwrap();
    assert_eq!(host.api_authority(), "registry-1.docker.io");
    assert_eq!(host.auth_keys(), ["https://index.docker.io/v1/"]);
}

/// Where we differ from the oracle, and why.
///
/// | text | oci-client | here |
/// | --- | --- | --- |
/// | a host in brackets | refused | an IPv6 address |
/// | an upper-case host | kept | lower case: hosts are compared |
/// | a single upper-case word in front (`MyHost/app`) | a host | refused: `myhost/app` is on Docker Hub |
/// | letters of other alphabets in a tag | kept | refused, as registries do |
/// | `registry-1.docker.io/x`, `registry.hub.docker.com/x` | a registry of its own | Docker Hub |
/// | labels over 63 or names over 253 characters, an all-numeric last label that is no IPv4 address | kept | refused: no resolver takes them |
/// | port 0, above 65535 or with a zero in front | kept | refused |
/// | `sha384` digests, upper-case hex | kept | refused: not registered, not canonical |
fn differs(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    if !text.is_ascii() {
        return true;
    }
    let host_like =
        text.contains('/') && (first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase()));
    host_like && (first.bytes().any(|b| b.is_ascii_uppercase()) || first.parse::<RegistryHost>().is_err())
        || first.ends_with("docker.io") && first != "docker.io" && first != "index.docker.io"
        || first == "registry.hub.docker.com"
        || text.contains('[')
        || text.contains("sha384:")
        || text
            .split_once('@')
            .is_some_and(|(_, digest)| digest.bytes().any(|b| b.is_ascii_uppercase()))
}

fn compare(text: &str) -> Result<(), TestCaseError> {
    if differs(text) {
        return Ok(());
    }
    match (text.parse::<Reference>(), text.parse::<Oracle>()) {
        (Ok(ours), Ok(oracle)) => {
            prop_assert_eq!(ours.host.as_str(), oracle.registry(), "{}", text);
            prop_assert_eq!(ours.repository.as_str(), oracle.repository(), "{}", text);
            prop_assert_eq!(ours.tag.as_ref().map(Tag::as_str), oracle.tag(), "{}", text);
            let digest = ours.digest.as_ref().map(ToString::to_string);
            prop_assert_eq!(digest.as_deref(), oracle.digest(), "{}", text);
        }
        (Err(_), Err(_)) => {}
        (ours, oracle) => prop_assert!(false, "{text}: {ours:?}, the oracle: {oracle:?}"),
    }
    Ok(())
}

/// References, and texts that are nearly ones.
fn near_reference() -> impl Strategy<Value = String> {
    let host = "(|localhost/|quay\\.io/|index\\.docker\\.io/|docker\\.io/|[a-z0-9-]{1,8}(\\.[a-z0-9-]{1,4}){0,2}(:[0-9]{0,6})?/)";
    let path = "[a-z0-9]{1,4}([._/-]{0,3}[a-zA-Z0-9]{1,3}){0,4}/?";
    let tag = "(|:[\\w.-]{0,6}|:é)";
    let digest = "(|@sha256:[0-9a-f]{64}|@sha512:[0-9a-f]{128}|@sha256:[0-9a-f]{32,65}|@md5:[0-9a-f]{32}|@)";
    (host, path, tag, digest).prop_map(|(host, path, tag, digest)| format!("{host}{path}{tag}{digest}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn agrees_with_oci_client(text in near_reference()) {
        compare(&text)?;
    }

    #[test]
    fn agrees_with_oci_client_on_noise(text in "[a-zA-Z0-9._:/@-]{0,30}|\\PC{0,20}") {
        compare(&text)?;
    }

    #[test]
    fn what_is_read_is_written_the_same(text in near_reference()) {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference.clone());
            prop_assert!(reference.tag.is_some() || reference.digest.is_some());
            prop_assert!(reference.repository.as_str().len() <= 255);
            prop_assert_eq!(reference.host.as_str().parse::<RegistryHost>().unwrap(), reference.host);
        }
    }

    #[test]
    fn nothing_panics_and_nothing_odd_gets_through(text in "\\PC{0,40}|[a-z0-9.:/@\\[\\]%?#_-]{0,40}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert!(!reference.to_string().contains([' ', '?', '#', '%', '\\', '\n']));
            prop_assert!(!reference.repository.as_str().contains("..") && !reference.repository.as_str().contains("//"));
        }
        if let Ok(host) = text.parse::<RegistryHost>() {
            let url: url::Url = format!("https://{}/v2/", host.api_authority()).parse().unwrap();
            prop_assert_eq!(url.path(), "/v2/");
            prop_assert!(url.username().is_empty() && url.password().is_none());
        }
        for target in [text.parse::<Target>().ok(), text.parse::<Digest>().ok().map(Target::Digest)].into_iter().flatten() {
            prop_assert_eq!(target.to_string().parse::<Target>().unwrap(), target.clone());
            prop_assert!(!target.to_string().contains('/'));
        }
        if let Ok(repository) = text.parse::<Repository>() {
            prop_assert_eq!(repository.as_str(), &text);
        }
    }

    #[test]
    fn a_digest_is_of_its_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>()) {
        let digest = Digest::sha256(&bytes);
        prop_assert!(digest.matches(&bytes));
        prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest.clone());
        if !bytes.is_empty() {
            let mut other = bytes.clone();
            other[flip.index(bytes.len())] ^= 1;
            prop_assert!(!digest.matches(&other));
        }
    }
}

#[test]
fn digests_have_one_form() {
    assert_eq!(Digest::sha256(b"").to_string(), SHA);
    for text in [
        "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "sha256:../../../../etc/passwd",
        "sha256",
        "SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 ",
        "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ] {
        assert!(text.parse::<Digest>().is_err(), "{text}");
    }
}
