//! A merge keeps what others wrote, and says what is in its way.

use super::*;

const OLD: &str = r#"{
	"auths": {
		"other.example": {"auth": "eDp5",   "odd": [1, 2.50]},
		"reg.example": {"auth": "b2xkOm9sZA=="}
	},
	"credHelpers": {"gcr.io": "gcloud"},
	"detachKeys": "ctrl-\u0065"
}"#;

fn host(text: &str) -> RegistryHost {
    text.parse().unwrap()
}

fn merged(existing: Option<&str>, hosts: &[&str], formerly: &[&str]) -> Result<Merged, DockerConfigError> {
    let secret = Secret::new("s3cret");
    let ours: Vec<_> = hosts.iter().map(|h| (host(h), "bot", &secret)).collect();
    let formerly: Vec<String> = formerly.iter().map(|k| (*k).to_owned()).collect();
    merge(existing.map(str::as_bytes), &ours, &formerly)
}

#[test]
fn makes_a_file_as_docker_writes_it() {
    let made = merged(None, &["reg.example", "docker.io"], &[]).unwrap();
    assert!(made.is_changed);
    assert_eq!(
        made.config.expose(),
        "{\n\t\"auths\": {\n\t\t\"reg.example\": {\n\t\t\t\"auth\": \"Ym90OnMzY3JldA==\"\n\t\t},\n\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"Ym90OnMzY3JldA==\"\n\t\t}\n\t}\n}\n"
    );
    let again = merged(Some(made.config.expose()), &["docker.io", "reg.example"], &[]).unwrap();
    assert_eq!((again.is_changed, &again.config), (false, &made.config));
    assert_eq!(merged(Some("{}"), &[], &[]).unwrap().config.expose(), "{}");
    assert_eq!(
        merged(Some(" \n"), &[], &[]).unwrap().config.expose(),
        "{\n\t\"auths\": {}\n}\n"
    );
}

#[test]
fn keeps_what_others_wrote_byte_by_byte() {
    let made = merged(Some(OLD), &["reg.example"], &["reg.example"]).unwrap();
    let text = made.config.expose();
    for kept in [
        r#""other.example": {"auth": "eDp5",   "odd": [1, 2.50]}"#,
        r#""credHelpers": {"gcr.io": "gcloud"}"#,
        r#""detachKeys": "ctrl-\u0065""#,
    ] {
        assert!(text.contains(kept), "{kept}");
    }
    assert!(!text.contains("b2xkOm9sZA=="));
    assert_eq!((made.foreign, made.warnings), (vec![], vec![]));
}

#[test]
fn a_foreign_entry_for_our_host_stays_and_is_named() {
    for key in [
        "reg.example",
        "https://reg.example",
        "http://reg.example/v2/",
        "REG.example",
    ] {
        let old = OLD.replace("reg.example", key);
        let made = merged(Some(&old), &["reg.example", "b.example"], &[]).unwrap();
        let foreign: Vec<_> = made
            .foreign
            .iter()
            .map(|f| (f.host.as_str(), f.key.as_str()))
            .collect();
        assert_eq!(foreign, [("reg.example", key)]);
        assert!(made.config.expose().contains("b2xkOm9sZA=="), "{key}");
        assert_eq!(
            made.config.expose().matches("Ym90OnMzY3JldA==").count(),
            1,
            "b.example only"
        );
    }
    let same = OLD.replace("b2xkOm9sZA==", "Ym90OnMzY3JldA==");
    let made = merged(Some(&same), &["reg.example"], &[]).unwrap();
    assert_eq!(
        (made.is_changed, made.foreign),
        (false, vec![]),
        "it is what we would write"
    );
}

#[test]
fn an_entry_of_ours_stays_fresh_beside_another_spelling() {
    let both = OLD.replace("other.example", "https://reg.example");
    let made = merged(Some(&both), &["reg.example"], &["reg.example"]).unwrap();
    assert_eq!(made.foreign.len(), 1);
    assert!(!made.config.expose().contains("b2xkOm9sZA=="));
    assert!(made.config.expose().contains("eDp5"));
}

#[test]
fn what_was_ours_and_is_not_wanted_goes() {
    let made = merged(Some(OLD), &[], &["reg.example", "gone.example"]).unwrap();
    assert!(made.is_changed);
    assert!(!made.config.expose().contains("reg.example"));
    assert!(made.config.expose().contains("other.example"));
}

#[test]
fn a_host_stands_for_its_keys() {
    let old = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"b2xkOm9sZA=="}}}"#;
    let made = merged(Some(old), &["docker.io"], &["docker.io"]).unwrap();
    assert_eq!((made.is_changed, made.foreign), (true, vec![]));
    let gone = merged(Some(old), &[], &["docker.io"]).unwrap();
    assert_eq!(gone.config.expose(), "{\n\t\"auths\": {}\n}\n");
}

#[test]
fn a_token_beside_the_password_is_not_ours() {
    let old = r#"{"auths":{"reg.example":{"auth":"Ym90OnMzY3JldA==","identitytoken":"x"}}}"#;
    assert_eq!(merged(Some(old), &["reg.example"], &[]).unwrap().foreign.len(), 1);
    let made = merged(Some(old), &["reg.example"], &["reg.example"]).unwrap();
    assert!(made.is_changed && !made.config.expose().contains("identitytoken"));
}

#[test]
fn helpers_that_come_first_are_said() {
    let old = r#"{"credsStore":"desktop","credHelpers":{"https://reg.example/v2/":"x","b.example":"x"}}"#;
    let made = merged(Some(old), &["reg.example"], &[]).unwrap();
    assert_eq!(made.warnings.len(), 2);
    assert!(made.warnings[0].contains("credsStore"));
    assert!(made.warnings[1].contains("names reg.example"));
    assert_eq!(
        merged(Some(r#"{"credsStore":""}"#), &["reg.example"], &[])
            .unwrap()
            .warnings
            .len(),
        0
    );
}

#[test]
fn malformed_is_an_error_with_a_place_and_without_content() {
    for (text, kind, place) in [
        ("{\n \"auths\": {\"hunter2\"", Kind::NotJson, (2, 20)),
        ("null", Kind::NotAnObject, (1, 1)),
        ("[]", Kind::NotAnObject, (1, 1)),
        ("{\n\"auths\": \"hunter2\"}", Kind::Auths, (2, 10)),
        ("{\"auths\":{},\"Auths\":{}}", Kind::Repeated, (1, 21)),
        ("{\"\\ud800\":1}", Kind::NotUnicode, (1, 11)),
    ] {
        let error = merged(Some(text), &["reg.example"], &[]).unwrap_err();
        assert_eq!((error.kind, (error.line, error.column)), (kind, place), "{text}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let twice = r#"{"auths":{"reg.example":{},"reg.example":{}}}"#;
    let error = merged(Some(twice), &["reg.example"], &["reg.example"]).unwrap_err();
    assert_eq!(error.kind, Kind::Repeated);
    assert_eq!(
        merge(Some(b"{\xff}"), &[], &[]).unwrap_err().kind,
        Kind::NotUnicode
    );
    let large = vec![b' '; MAX_SIZE + 1];
    assert_eq!(merge(Some(&large), &[], &[]).unwrap_err().kind, Kind::TooLarge);
}
